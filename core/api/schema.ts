// biome-ignore-all lint/suspicious/noExplicitAny: a record of columns of any type
// biome-ignore-all lint/complexity/noBannedTypes: `& {}` makes an intersection show as one object
/**
 * Column types and schemas: SQL's names, and for each what JavaScript sees of it. Values are frozen data; the JSON form
 * that plans carry is record/types.ts. Must never know expressions or streams.
 */
import { MillraceError } from '../base/errors.ts';
import { type Decimal, decimalOf } from '../record/decimal.ts';
import type { DataType, Field, Fields as PlainFields } from '../record/types.ts';
import type { value } from './marks.ts';
import type { StreamOf } from './modes.ts';

export type { Decimal } from '../record/decimal.ts';
export type Numeric = number | bigint | Decimal;
/** The value of a window key. `end` is the first instant after the window. */
export interface Window {
  readonly start: Date;
  readonly end: Date;
}

/** A SQL type; `T` is what JavaScript sees of it. */
export interface Type<out T> {
  readonly [value]: T;
  nullable(): Type<T | null>;
}
export interface BigintType extends Type<number> {
  /** Rows carry `bigint`. Without it they carry a `number`, and a value beyond 2^53 is an error that names this. */
  asBigInt(): Type<bigint>;
}
/** The columns of a table, in order. It is also the ROW type of those columns. */
export interface Schema<out R> extends Type<R> {
  readonly columns: readonly string[];
}

type TypeOf<X> = X extends Type<infer T> ? T : never;
export type Fields = Readonly<Record<string, Type<any>>>;
export type RowOfFields<C> = { -readonly [K in keyof C]: TypeOf<C[K]> } & {};
/** The row type of a schema, or of a stream. */
export type RowOf<S> = S extends Type<infer R> ? R : S extends StreamOf<infer R, any> ? R : never;

/**
 * The column types, under SQL's names. JavaScript sees BOOLEAN as `boolean`; TINYINT to BIGINT, FLOAT and DOUBLE as
 * `number`; DECIMAL as `Decimal`; STRING as `string`; DATE and TIMESTAMP as `Date` (whole milliseconds; the engine keeps
 * the rest); NULL as `null`. A column is not null unless it says `.nullable()`.
 */
export const t: {
  boolean(): Type<boolean>;
  tinyint(): Type<number>;
  smallint(): Type<number>;
  int(): Type<number>;
  bigint(): BigintType;
  float(): Type<number>;
  double(): Type<number>;
  decimal(precision: number, scale: number): Type<Decimal>;
  string(): Type<string>;
  binary(): Type<Uint8Array>;
  date(): Type<Date>;
  time(): Type<string>;
  /** Precision is the number of fraction digits of a second, 0 to 9; SQL's default is 6. */
  timestamp(precision?: number): Type<Date>;
  timestampLtz(precision?: number): Type<Date>;
  array<T>(of: Type<T>): Type<readonly T[]>;
  map<K, V>(key: Type<K>, of: Type<V>): Type<ReadonlyMap<K, V>>;
  row<C extends Fields>(fields: C): Type<RowOfFields<C>>;
} = Object.freeze({
  boolean: () => typed<boolean>({ kind: 'BOOLEAN' }),
  tinyint: () => typed<number>({ kind: 'TINYINT' }),
  smallint: () => typed<number>({ kind: 'SMALLINT' }),
  int: () => typed<number>({ kind: 'INT' }),
  bigint: () => typed<number>({ kind: 'BIGINT' }) as BigintType,
  float: () => typed<number>({ kind: 'FLOAT' }),
  double: () => typed<number>({ kind: 'DOUBLE' }),
  decimal: (precision: number, scale: number) => {
    const p = whole('the precision of a DECIMAL', precision, 1, 38);
    return typed<Decimal>({ kind: 'DECIMAL', precision: p, scale: whole('the scale of a DECIMAL', scale, 0, p) });
  },
  string: () => typed<string>({ kind: 'VARCHAR' }),
  binary: () => typed<Uint8Array>({ kind: 'BINARY' }),
  date: () => typed<Date>({ kind: 'DATE' }),
  time: () => typed<string>({ kind: 'TIME', precision: 0 }),
  timestamp: (precision = 6) =>
    typed<Date>({ kind: 'TIMESTAMP', precision: whole('the precision of a TIMESTAMP', precision, 0, 9) }),
  timestampLtz: (precision = 6) =>
    typed<Date>({ kind: 'TIMESTAMP_LTZ', precision: whole('the precision of a TIMESTAMP_LTZ', precision, 0, 9) }),
  array: <T>(of: Type<T>) => {
    const { dataType, isNullable } = plain(of);
    return typed<readonly T[]>({ kind: 'ARRAY', of: dataType, nullable: isNullable });
  },
  map: <K, V>(key: Type<K>, of: Type<V>) => {
    const values = plain(of);
    return typed<ReadonlyMap<K, V>>({
      kind: 'MAP',
      key: plain(key).dataType,
      value: values.dataType,
      nullable: values.isNullable,
    });
  },
  row: <C extends Fields>(fields: C) => typed<RowOfFields<C>>({ kind: 'ROW', fields: fieldList(fields) }),
});

/** A schema of these columns, in this order. Errors: `option/invalid` for a name that the engine keeps for itself. */
export function schema<C extends Fields>(columns: C): Schema<RowOfFields<C>> {
  return typed<RowOfFields<C>>({ kind: 'ROW', fields: fieldList(columns) }) as Schema<RowOfFields<C>>;
}

/** An exact decimal literal: `decimal('0.908')`. Errors: `option/invalid`. */
export function decimal(literal: `${number}`): Decimal {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(literal);
  if (!match) throw new MillraceError('option/invalid', `'${literal}' is not a decimal; write it as in '12.50'`);
  const [, sign, units, fraction = ''] = match;
  return decimalOf(BigInt(`${sign}${units}${fraction}`), fraction.length);
}

/** The plain columns of a schema, as plans carry them. Errors: `option/invalid` for what is no schema. */
export function fieldsOf(of: Schema<unknown>): PlainFields {
  const { dataType } = plain(of);
  if (dataType.kind !== 'ROW') throw new MillraceError('option/invalid', 'a schema is made by schema({ … })');
  return dataType.fields;
}

/** The plain type behind a `t.…()`. Errors: `option/invalid`. */
export function dataTypeOf(of: Type<unknown>): DataType {
  return plain(of).dataType;
}

/** The plain type behind a `t.…()`, and whether it may be null. Errors: `option/invalid`. */
export function fieldOf(of: Type<unknown>): { readonly type: DataType; readonly nullable: boolean } {
  const { dataType, isNullable } = plain(of);
  return { type: dataType, nullable: isNullable };
}

const behind = Symbol.for('millrace.type');
interface PlainType {
  readonly dataType: DataType;
  readonly isNullable: boolean;
}

function plain(of: Type<unknown>): PlainType {
  const found = (of as unknown as { [behind]?: PlainType } | undefined)?.[behind];
  if (!found)
    throw new MillraceError('option/invalid', `${String(of)} is not a column type; types are t.int(), t.string(), …`);
  return found;
}

function typed<T>(dataType: DataType, isNullable = false): Type<T> {
  return Object.freeze({
    [behind]: Object.freeze({ dataType: Object.freeze(dataType), isNullable }),
    ...(dataType.kind === 'ROW' ? { columns: Object.freeze(dataType.fields.map((field) => field.name)) } : {}),
    ...(dataType.kind === 'BIGINT' ? { asBigInt: () => typed({ kind: 'BIGINT', asBigInt: true }, isNullable) } : {}),
    nullable: () => typed(dataType, true),
  }) as unknown as Type<T>;
}

function fieldList(columns: Fields): PlainFields {
  const list = Object.entries(columns).map(([name, type]): Field => {
    checkColumnName(name);
    const { dataType, isNullable } = plain(type);
    return Object.freeze({ name, type: dataType, nullable: isNullable });
  });
  if (list.length === 0) throw new MillraceError('option/invalid', 'a row needs at least one column');
  return Object.freeze(list);
}

/** Errors: `option/invalid`. */
export function checkColumnName(name: string): void {
  if (name === '' || name.startsWith('$')) {
    throw new MillraceError(
      'option/invalid',
      `'${name}' cannot be the name of a column: ${name === '' ? 'it is empty' : "names that start with $ are the engine's own"}`,
    );
  }
}

function whole(what: string, given: number, low: number, high: number): number {
  if (Number.isInteger(given) && given >= low && given <= high) return given;
  throw new MillraceError('option/invalid', `${what} is a whole number from ${low} to ${high}, not ${given}`);
}
