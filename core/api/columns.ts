// biome-ignore-all lint/suspicious/noExplicitAny: columns of a source without a schema are `any`, and types infer through it
/**
 * The types of expressions: a typed tree, never run as JavaScript. Types only; expression.ts makes the values, and the
 * two must offer the same methods. Knows nothing of streams.
 */
import type { Duration } from '../base/duration.ts';
import type { level, neverNull, value } from './marks.ts';
import type { Any, Name, Nulls, OneOrMore } from './modes.ts';
import type { Decimal, Numeric, Type } from './schema.ts';

/** An expression has one value per row, or one per group. The two do not mix. */
export type Level = 'row' | 'group';

export interface Expr<out T, out L extends Level = 'row'> extends Equality<T, L> {
  readonly [value]: T;
  readonly [level]: L;
}
interface Equality<out T, out L extends Level> {
  /** `=`: null where either side is null. */
  eq<O extends Peer<T, L>>(other: O): BooleanExpr<boolean | Nulls<T> | NullIn<O>, L>;
  ne<O extends Peer<T, L>>(other: O): BooleanExpr<boolean | Nulls<T> | NullIn<O>, L>;
  isNull(): BooleanExpr<boolean, L>;
  isNotNull(): BooleanExpr<boolean, L>;
}
export interface Scalar<out T, out L extends Level> extends Expr<T, L> {
  in(values: readonly Literal<NonNullable<T>>[]): BooleanExpr<boolean | Nulls<T>, L>;
  /** CAST: a value that does not fit is an error. */
  cast<U>(to: Type<U>): Col<U | Nulls<T>, L>;
  /** TRY_CAST: a value that does not fit is null. */
  tryCast<U>(to: Type<U>): Col<U | null, L>;
}
interface Ordered<out T, out L extends Level> extends Scalar<T, L> {
  gt<O extends Peer<T, L>>(other: O): BooleanExpr<boolean | Nulls<T> | NullIn<O>, L>;
  gte<O extends Peer<T, L>>(other: O): BooleanExpr<boolean | Nulls<T> | NullIn<O>, L>;
  lt<O extends Peer<T, L>>(other: O): BooleanExpr<boolean | Nulls<T> | NullIn<O>, L>;
  lte<O extends Peer<T, L>>(other: O): BooleanExpr<boolean | Nulls<T> | NullIn<O>, L>;
  /** Both ends included. */
  between<A extends Peer<T, L>, B extends Peer<T, L>>(
    low: A,
    high: B,
  ): BooleanExpr<boolean | Nulls<T> | NullIn<A | B>, L>;
}
export interface BooleanExpr<out T, out L extends Level = 'row'> extends Scalar<T, L> {
  /** Three-valued, as in SQL. */
  and<O extends Operand<T, L>>(...others: O[]): BooleanExpr<T | NullIn<O>, L>;
  or<O extends Operand<T, L>>(...others: O[]): BooleanExpr<T | NullIn<O>, L>;
  not(): BooleanExpr<T, L>;
}
export interface NumberExpr<out T, out L extends Level = 'row'> extends Ordered<T, L> {
  add<O extends Operand<T, L>>(other: O): NumberExpr<T | NullIn<O>, L>;
  sub<O extends Operand<T, L>>(other: O): NumberExpr<T | NullIn<O>, L>;
  mul<O extends Operand<T, L>>(other: O): NumberExpr<T | NullIn<O>, L>;
  /** Of integers, a DOUBLE. */
  div<O extends Operand<T, L>>(other: O): NumberExpr<Mean<T> | NullIn<O>, L>;
  mod<O extends Operand<T, L>>(other: O): NumberExpr<T | NullIn<O>, L>;
  neg(): NumberExpr<T, L>;
}
export interface StringExpr<out T, out L extends Level = 'row'> extends Ordered<T, L> {
  /** `%` any text, `_` one character. */
  like(pattern: string): BooleanExpr<boolean | Nulls<T>, L>;
}
export interface TimeExpr<out T, out L extends Level = 'row'> extends Ordered<T, L> {
  plus(by: Duration): TimeExpr<T, L>;
  minus(by: Duration): TimeExpr<T, L>;
}
export interface ArrayExpr<out T, out E, out L extends Level = 'row'> extends Scalar<T, L> {
  at(index: number): Col<E | null, L>;
}
export interface MapExpr<out T, K, out V, out L extends Level = 'row'> extends Scalar<T, L> {
  get(key: K): Col<V | null, L>;
}
/** A ROW: its fields are properties; `get` reaches a field whose name is taken by `eq`, `ne`, `isNull`, `isNotNull` or `get`. */
export type RowExpr<T, L extends Level = 'row'> = Expr<T, L> & {
  get<K extends Name<T>>(field: K): Col<NonNullable<T>[K] | Nulls<T>, L>;
} & { readonly [K in keyof NonNullable<T>]: Col<NonNullable<T>[K] | Nulls<T>, L> };

/** The expression for a value of type `T`. */
export type Col<T, L extends Level = 'row'> =
  Any<T> extends true
    ? any
    : [NonNullable<T>] extends [boolean]
      ? BooleanExpr<T, L>
      : [NonNullable<T>] extends [Numeric]
        ? NumberExpr<T, L>
        : [NonNullable<T>] extends [string]
          ? StringExpr<T, L>
          : [NonNullable<T>] extends [Date]
            ? TimeExpr<T, L>
            : [NonNullable<T>] extends [Uint8Array]
              ? Scalar<T, L>
              : [NonNullable<T>] extends [ReadonlyMap<infer K, infer V>]
                ? MapExpr<T, K, V, L>
                : [NonNullable<T>] extends [readonly (infer E)[]]
                  ? ArrayExpr<T, E, L>
                  : RowExpr<T, L>;
/** What a callback gets for a row of type `R`: one expression a column. */
export type Columns<R> = Any<R> extends true ? any : { readonly [K in keyof R]-?: Col<R[K]> };

/** What may stand for a `T` as a plain JavaScript value. */
export type Literal<T> = T extends number | bigint
  ? number | bigint
  : T extends Decimal
    ? Decimal | number
    : T extends Date
      ? Date | string
      : T extends string | boolean
        ? T
        : never;
type Widen<V> = V extends string ? string : V extends number ? number : V extends boolean ? boolean : V;
export type Mean<T> = T extends bigint ? number : T;
/** A literal, or an expression of the same type and level. */
export type Operand<T, L extends Level> = Literal<NonNullable<T>> | Expr<T | null, L>;
/** What may be compared with a `T`: the same, or, for a number, any number. */
export type Peer<T, L extends Level> = [NonNullable<T>] extends [Numeric] ? Operand<Numeric, L> : Operand<T, L>;
export type NullIn<O> = O extends Expr<infer T, any> ? Nulls<T> : never;
export type ValueOf<V> = Any<V> extends true ? any : V extends { readonly [value]: infer T } ? T : Widen<V>;
export type Selection<L extends Level> = Readonly<
  Record<string, Expr<any, L> | string | number | bigint | boolean | Date>
>;
export type Selected<E> = { -readonly [K in keyof E]: ValueOf<E[K]> };
/** Of one group of all rows: over no row at all a count is 0 and the rest is null. */
export type Overall<E> = { -readonly [K in keyof E]: E[K] extends Count ? number : ValueOf<E[K]> | null };
export type Condition<L extends Level = 'row'> = Expr<boolean | null, L>;

interface Aggregating<T> {
  /** FILTER (WHERE …): rows where the condition is true. */
  filter(condition: Condition): Aggregate<T | null>;
  /** Of rows with equal arguments (among those that the filter lets through) one counts. */
  distinct(): Aggregate<T>;
  /** Beside each row, of the rows of its partition up to it. */
  over(window: Over): Col<T>;
}
/** OVER (PARTITION BY … ORDER BY … ROWS or RANGE …): in the order of time. Without `rows` and `range` all rows up to the row and its peers. */
export interface Over {
  readonly partitionBy?: OneOrMore<Expr<any>>;
  /** Ascending; on input that does not end, event time first. */
  readonly orderBy: OneOrMore<Expr<any>>;
  /** `[-9, 0]`: the row and nine before it; `[-Infinity, 0]`: all before it. */
  readonly rows?: readonly [from: number, to: number];
  /** `'1 hour'`: rows that are not older than the row by more. */
  readonly range?: Duration;
}
export type Aggregate<T> = Col<T, 'group'> & Aggregating<T>;
/** A count is 0, not null, where there is no row. */
export interface Count extends NumberExpr<number, 'group'> {
  readonly [neverNull]: true;
  filter(condition: Condition): Count;
  /** COUNT(DISTINCT …): different values that are not null. */
  distinct(): Count;
  over(window: Over): NumberExpr<number>;
}
