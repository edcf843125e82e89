// biome-ignore-all lint/suspicious/noExplicitAny: rows, keys and states of any type meet here
// biome-ignore-all lint/complexity/noBannedTypes: `{}` stands for no state and no side outputs
// biome-ignore-all lint/suspicious/noConfusingVoidType: a handler may return nothing
/**
 * The types of process functions: keyed streams, several inputs under names, what a handler gets as its context. Types
 * only; flow.ts and connect.ts make the values.
 */
import type { Duration } from '../base/duration.ts';
import type { handle, mode, value } from './marks.ts';
import type { Appending, Mode, RowKind } from './modes.ts';
import type { Schema } from './schema.ts';
import type { OnError } from './sources.ts';
import type { MapState, OperatorListState, StateDecl, States, ValueState } from './state.ts';
import type { DeadLetter, Stream, WithSide } from './stream.ts';

type OperatorStates = Readonly<Record<string, StateDecl<OperatorListState<any>>>>;
type Handles<S> = { readonly [K in keyof S]: S[K] extends StateDecl<infer H> ? H : never };
type ReadOnly<H> =
  H extends MapState<infer K, infer V>
    ? Omit<MapState<K, V>, 'set' | 'delete' | 'clear'>
    : H extends ValueState<infer T>
      ? Pick<ValueState<T>, 'get'>
      : Omit<H, 'add' | 'clear'>;

/**
 * Named timers of the current key, one of a name: setting it again moves it. A `Duration` counts from this call's time
 * (the row's, or the timer's that fires), for `processingTime` from the clock's. A timer in the past fires at once.
 */
export interface Timers {
  /** Fires when event time has passed `when`. Errors: `process/misuse` where rows have no event time. */
  eventTime(name: string, when: Date | Duration): void;
  /** Fires when the clock has passed `when`. What has not fired when the input ends, never will. */
  processingTime(name: string, when: Date | Duration): void;
  /** Of either kind; nothing where there is none. */
  cancel(name: string): void;
}
/** What is emitted waits for the end of the call. A handler that makes very many rows is a generator (`*onRow`) and yields them. */
interface Emitter<Out, Side, O> {
  emit(row: Out): void;
  readonly side: { readonly [K in keyof Side]: (row: Side[K]) => void };
  /** Event time has passed it: no row at or before it will follow. Before the first: the least Date there is. */
  readonly watermark: Date;
  /** Operator state: lists of the subtask. */
  readonly operator: Handles<O>;
}
export interface KeyedContext<K, S, B, Out, Side, O = {}> extends Emitter<Out, Side, O> {
  readonly key: K;
  /** The row's event time; of a timer, when it was due. */
  readonly time: Date;
  /** What the row does to those before it; of a timer `+I`. */
  readonly kind: RowKind;
  readonly timers: Timers;
  readonly state: Handles<S>;
  readonly broadcast: { readonly [N in keyof B]: B[N] extends StateDecl<infer H> ? ReadOnly<H> : never };
}
export interface BroadcastContext<B, Out, Side, O = {}> extends Emitter<Out, Side, O> {
  readonly broadcast: Handles<B>;
}
/** A timer that fires: its name, and when it was due. */
export interface Timer {
  readonly name: string;
  readonly time: Date;
}
type Made<Out> = void | Iterable<Out>;
interface FunctionShape<S, B, Out, Side, OnRow, Timed, E, O> {
  readonly output?: Schema<Out>;
  readonly side?: { readonly [N in keyof Side]: Schema<Side[N]> };
  readonly state?: S;
  readonly broadcastState?: B;
  /** Lists of a subtask, by `state.split` or `state.union`. */
  readonly operatorState?: O;
  readonly onRow: OnRow;
  onTimer?(timer: Timer, context: Timed): Made<Out>;
  /**
   * What a row or a timer does for which the function throws, or gives what does not fit: fails the job (unless said), is
   * counted and left out (`skip`), or goes to the side output `errors`. What its call wrote, set and emitted is taken back.
   */
  readonly onError?: E;
}
/** The side outputs that are declared, and `errors` where that was asked for. */
type Sides<Side, M extends Mode, E> = { readonly [N in keyof Side]: Stream<Side[N], Appending<M>> } & (E extends 'side'
  ? { readonly errors: Stream<DeadLetter, Appending<M>> }
  : unknown);
/** Rows by key: what has the same key meets the same state. */
export interface Keyed<R, K, M extends Mode> {
  readonly [value]: R;
  process<
    S extends States = {},
    Out = never,
    Side = {},
    const E extends OnError = 'fail',
    O extends OperatorStates = {},
  >(
    fn: FunctionShape<
      S,
      {},
      Out,
      Side,
      (row: R, context: KeyedContext<K, S, {}, Out, Side, O>) => Made<Out>,
      KeyedContext<K, S, {}, Out, Side, O>,
      E,
      O
    >,
  ): WithSide<Out, Appending<M>, Sides<Side, M, E>>;
  readonly [mode]: M;
  readonly [handle]: K;
}
/** Rows that every subtask gets. */
export interface Broadcast<R> {
  readonly kind: 'broadcast';
  readonly [value]: R;
}
export type Inputs = Readonly<Record<string, Keyed<any, any, any> | Broadcast<any>>>;
type Handlers<I, S, B, Out, Side, O> = {
  readonly [N in keyof I]: I[N] extends Keyed<infer R, infer K, any>
    ? (row: R, context: KeyedContext<K, S, B, Out, Side, O>) => Made<Out>
    : I[N] extends Broadcast<infer R>
      ? (row: R, context: BroadcastContext<B, Out, Side, O>) => Made<Out>
      : never;
};
type ModeOfInputs<I> = I[keyof I] extends infer X ? (X extends Keyed<any, any, infer M> ? Appending<M> : never) : never;
type KeyOfInputs<I> = I[keyof I] extends infer X ? (X extends Keyed<any, infer K, any> ? K : never) : never;
/** Several inputs under their names. */
export interface Connected<I extends Inputs> {
  process<
    S extends States = {},
    B extends States = {},
    Out = never,
    Side = {},
    const E extends OnError = 'fail',
    O extends OperatorStates = {},
  >(
    fn: FunctionShape<
      S,
      B,
      Out,
      Side,
      Handlers<I, S, B, Out, Side, O>,
      KeyedContext<KeyOfInputs<I>, S, B, Out, Side, O>,
      E,
      O
    >,
  ): WithSide<Out, ModeOfInputs<I>, Sides<Side, ModeOfInputs<I>, E>>;
}
