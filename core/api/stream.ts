// biome-ignore-all lint/suspicious/noExplicitAny: conditional types infer through rows of any type
// biome-ignore-all lint/complexity/noBannedTypes: `{}` stands for no options and no side outputs
/**
 * The types of streams: rows on their way, as a value that describes work and does none. Types only; flow.ts makes the
 * values. Every method returns a new stream.
 */
import type { Duration } from '../base/duration.ts';
import type { Columns, Condition, Overall, Peer, Selected, Selection } from './columns.ts';
import type { LookupTable } from './lookup.ts';
import type { mode, value } from './marks.ts';
import type { Any, Appending, Both, Flat, Mode, NamesOf, OneOrMore, RowKind, StreamOf, Updating } from './modes.ts';
import type { Sink } from './place.ts';
import type { Broadcast, Keyed } from './process.ts';
import type { Schema, Window } from './schema.ts';
import type { ArrowBatch } from './sources.ts';
import type { Order, OrderBy, WindowKey } from './windows.ts';

export interface AggregateOptions {
  /** How long a closed window still takes late rows, correcting its result. */
  readonly allowedLateness?: Duration;
}

export interface ErrorOptions {
  /**
   * What a row does for which the function throws, or gives what does not fit: fails the job (unless said), is counted and left
   * out (`skip`), or goes to the side output `errors`. Rows that a flatMap gave before it threw stay.
   */
  readonly onError?: 'fail' | 'skip' | 'side';
}
/** A record that could not be read or worked on. */
export interface DeadLetter {
  /** Name of the step that could not take it. */
  readonly operator: string;
  /** Where the record came from, as far as it is known: `in.jsonl, byte 4711`. */
  readonly position: string | null;
  /** Code and message of the error. */
  readonly reason: string;
  /** The record, shortened: a line as it stands in the file, a row as text. */
  readonly record: string;
}
/** Records that failed are inserts, whatever the stream is. */
type Erring<M extends Mode> = M extends 'updating' ? 'append' : M;
type WithErrors<Out, M extends Mode, O> = O extends { readonly onError: 'side' }
  ? WithSide<Out, M, { errors: Stream<DeadLetter, Erring<M>> }>
  : Stream<Out, M>;

type KeyRow<R, K> = { [P in Extract<K, string>]: R[P & keyof R] } & ([Extract<K, WindowKey>] extends [never]
  ? unknown
  : { window: Window });
type IsWindow<T, P> = Any<T> extends true ? (P extends 'window' ? true : false) : [T] extends [Window] ? true : false;
type Windowed<K> = true extends { [P in keyof K]: IsWindow<K[P], P> }[keyof K] ? true : false;
type Grouping<K, M extends Mode> = Windowed<K> extends true ? M : Updating<M>;
type Emitting<O, M extends Mode> = O extends { allowedLateness: unknown } ? Updating<M> : M;
type Aggregated<R, K, E, O, M extends Mode> =
  Windowed<K> extends true
    ? WithSide<Flat<K & Selected<E>>, Emitting<O, M>, { late: Stream<R, M> }>
    : Stream<Flat<K & Selected<E>>, Updating<M>>;

/** Rows of type `R` on their way: a value that describes work and does none. Every method returns a new one. */
export interface Stream<R, out M extends Mode = Mode> extends StreamOf<R, M> {
  /**
   * The column that says when a row happened. No row comes later than `outOfOrderness` (none, unless said) behind the
   * latest before it; one that does is late. A source that is silent for `idleAfter` no longer holds up the others.
   */
  eventTime(column: NamesOf<R, Date>, options?: { outOfOrderness?: Duration; idleAfter?: Duration }): Stream<R, M>;
  /** Names the last step: in `explain`, in metrics, and as the stable id of its state. */
  named(name: string): this;

  /** Keeps rows where the condition is true. */
  filter(condition: (row: Columns<R>) => Condition): Stream<R, M>;
  /** These columns instead. */
  select<E extends Selection<'row'>>(columns: (row: Columns<R>) => E): Stream<Flat<Selected<E>>, M>;
  /** These columns besides; one of a name that is there takes its place. */
  with<E extends Selection<'row'>>(columns: (row: Columns<R>) => E): Stream<Flat<Omit<R, keyof E> & Selected<E>>, M>;
  /** Only these columns, in this order. */
  pick<K extends keyof R & string>(...columns: K[]): Stream<Flat<Pick<R, K>>, M>;
  /** All columns but these. */
  drop<K extends keyof R & string>(...columns: K[]): Stream<Flat<Omit<R, K>>, M>;
  /** Each row once. */
  distinct(): Stream<R, M>;
  limit(rows: number): Stream<R, M extends 'append' ? 'bounded' : M>;
  /** Of ended input. Nulls order as the least value. */
  orderBy(...by: ((keyof R & string) | Order<keyof R & string>)[]): Stream<R, M>;
  /** The first n rows by an order. */
  topN<N extends string = never>(n: number, options: TopN<R, N>): Stream<Flat<R & { [K in N]: number }>, Updating<M>>;
  /** UNION ALL: the same columns, by name. */
  union<M2 extends Mode>(...others: StreamOf<R, M2>[]): Stream<R, Both<M, M2>>;

  /**
   * Rows of both streams for which the condition is true, on any condition; equal columns of the two sides make it fast.
   * NULL equals nothing. A `select` says which columns come out.
   */
  join<R2, M2 extends Mode>(right: StreamOf<R2, M2>, on: On<R, R2>, options?: JoinOptions): Joined<R, R2, Both<M, M2>>;
  /** As `join`, and rows of the left side that match none, the right side's columns NULL: taken back when a match comes. */
  leftJoin<R2, M2 extends Mode, const O extends JoinOptions = {}>(
    right: StreamOf<R2, M2>,
    on: On<R, R2>,
    options?: O,
  ): Joined<R, Nullable<R2>, Outer<O, M, M2>>;
  rightJoin<R2, M2 extends Mode, const O extends JoinOptions = {}>(
    right: StreamOf<R2, M2>,
    on: On<R, R2>,
    options?: O,
  ): Joined<Nullable<R>, R2, Outer<O, M, M2>>;
  fullJoin<R2, M2 extends Mode, const O extends JoinOptions = {}>(
    right: StreamOf<R2, M2>,
    on: On<R, R2>,
    options?: O,
  ): Joined<Nullable<R>, Nullable<R2>, Outer<O, M, M2>>;
  /** Rows for which the other stream has a match, each once. */
  semiJoin<R2, M2 extends Mode>(right: StreamOf<R2, M2>, on: On<R, R2>, options?: JoinOptions): Stream<R, Both<M, M2>>;
  /** Rows for which the other stream has none: taken back when one comes. */
  antiJoin<R2, M2 extends Mode, const O extends JoinOptions = {}>(
    right: StreamOf<R2, M2>,
    on: On<R, R2>,
    options?: O,
  ): Stream<R, Outer<O, M, M2>>;
  /**
   * Each row beside the version of its own event time: of the right rows that the condition's equal columns make its own, the last one that is not
   * later. Both sides have event time; a row waits until event time has come to its own, keeps it, and meets one version at most. What else the condition
   * asks must be true of that version.
   */
  asOfJoin<R2, M2 extends Mode>(
    versions: StreamOf<R2, M2>,
    on: On<R, R2>,
    options?: AsOfOptions,
  ): Joined<R, R2, Both<M, M2>>;
  /** As `asOfJoin`, and rows that have no version, its columns NULL. */
  leftAsOfJoin<R2, M2 extends Mode>(
    versions: StreamOf<R2, M2>,
    on: On<R, R2>,
    options?: AsOfOptions,
  ): Joined<R, Nullable<R2>, Both<M, M2>>;
  /**
   * Each row beside the one of a table that has this key, its columns NULL where there is none. A row waits until the table was read;
   * it keeps its event time.
   */
  lookupJoin<K, R2>(
    table: LookupTable<K, R2>,
    key: (row: Columns<R>) => { [P in keyof K]: Peer<K[P], 'row'> },
  ): Joined<R, Nullable<R2>, M>;

  /** Relational grouping. A window is a key like a column is. */
  groupBy<const K extends readonly ((keyof R & string) | WindowKey)[]>(
    ...keys: K
  ): Grouped<R, Flat<KeyRow<R, K[number]>>, M>;
  /** One group of all rows; over no row at all a count is 0 and the rest is null. */
  aggregate<E extends Selection<'group'>>(columns: (row: Columns<R>) => E): Stream<Overall<E>, Updating<M>>;

  /** Partitioning for process functions: what has the same key meets the same state. */
  keyBy<const K extends readonly (keyof R & string)[]>(...columns: K): Keyed<R, Flat<KeyRow<R, K[number]>>, M>;
  /** Every row goes to every slot: a side of `connect`. */
  broadcast(): Broadcast<R>;

  // JavaScript per row: first the shape of what comes out, then the function.
  /** The row is a view that ends with the call: copy what is to be kept. */
  map<Out, const O extends ErrorOptions = {}>(
    output: Schema<Out>,
    fn: (row: R) => NoInfer<Out>,
    options?: O,
  ): WithErrors<Out, M, O>;
  /** Any number of rows for each; where they are many, a generator, so that it can stop where room ends. */
  flatMap<Out, const O extends ErrorOptions = {}>(
    output: Schema<Out>,
    fn: (row: R) => Iterable<NoInfer<Out>>,
    options?: O,
  ): WithErrors<Out, M, O>;
  /** JavaScript per apache-arrow RecordBatch; it returns a RecordBatch or Table with the columns of `output`. */
  mapBatch<Out, B extends ArrowBatch = ArrowBatch>(output: Schema<Out>, fn: (batch: B) => ArrowBatch): Stream<Out, M>;

  /** The changes themselves as rows, their kind in a last column `row_kind`. */
  toChangelog(): Stream<Flat<R & { row_kind: RowKind }>, Appending<M>>;
  /**
   * Rows that say in `row_kind` what they are: `+I` and `+U` bring the row of a key, or another in its place, `-U` and `-D` take
   * it away, whatever stands in the other columns. Whoever sends updates without what was before (an upsert stream) sends enough.
   * The last row of each key is kept; one that takes away a key that is not there is counted (`skipped`). Sources above it are read in order, by one
   * subtask each.
   */
  fromChangelog(options: { readonly key: OneOrMore<ChangelogKey<R>> }): Stream<Flat<Omit<R, 'row_kind'>>, Updating<M>>;

  to(sink: Sink<R, M>): Output<R, M>;
}

/** Columns that can be a key; none where the rows do not say what they are. */
type ChangelogKey<R> =
  Any<R> extends true ? string : 'row_kind' extends keyof R ? Exclude<keyof R & string, 'row_kind'> : never;

export interface TopN<R, N extends string = never> {
  readonly orderBy: OrderBy<R>;
  /** Which ties are kept: none (ROW_NUMBER, unless said), or all of a rank. */
  readonly using?: 'ROW_NUMBER' | 'RANK' | 'DENSE_RANK';
  /** The name of a column that gets the rank, from 1. */
  readonly rankAs?: N;
}
export interface Grouped<R, K, M extends Mode> {
  /** The keys, then what is computed here. */
  aggregate<E extends Selection<'group'>, const O extends AggregateOptions = {}>(
    columns: (row: Columns<R>) => E,
    options?: O,
  ): Aggregated<R, K, E, O, M>;
  /** The first n rows of each group by an order. */
  topN<N extends string = never>(
    n: number,
    options: TopN<R, N>,
  ): Stream<Flat<R & { [P in N]: number }>, Grouping<K, M>>;
  /**
   * One row of each group: the first that comes. With a column, the one in which it is least, of equals the one that came
   * first: on ended input only, since an earlier one may always come.
   */
  keepFirst(by?: keyof R & string): Stream<R, M>;
  /** One row of each group: the last that has come. With a column, the one in which it is greatest, of equals the later. */
  keepLast(by?: keyof R & string): Stream<R, Grouping<K, M>>;
}
export interface JoinOptions {
  /**
   * Right event time minus left, both ends included: an interval join. Rows are kept until event time says that no match can come, and what comes
   * out is final.
   */
  readonly within?: readonly [from: Duration, to: Duration];
}
export interface AsOfOptions {
  /** A version that is older than the row by more than that is none. Versions are then let go, too. */
  readonly tolerance?: Duration;
}
type Outer<O, M1, M2> = O extends { readonly within: unknown } ? Both<M1, M2> : Updating<Both<M1, M2>>;
type On<L, R> = (left: Columns<L>, right: Columns<R>) => Condition;
type Nullable<R> = { [K in keyof R]: R[K] | null };
/** Two sides that still have to say which columns they become. */
export interface Joined<L, R, M extends Mode> {
  select<E extends Selection<'row'>>(columns: (left: Columns<L>, right: Columns<R>) => E): Stream<Flat<Selected<E>>, M>;
}
/** A stream with side outputs. */
export type WithSide<R, M extends Mode, S> = Stream<R, M> & { readonly side: S };

/** A stream with a place to go. */
export interface Output<R, out M extends Mode> {
  readonly [value]: R;
  readonly [mode]: M;
  readonly sink: true;
}
export type End = StreamOf<any, any> | Output<any, any>;
export type Ends = End | Readonly<Record<string, End>>;
