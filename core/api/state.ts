// biome-ignore-all lint/suspicious/noExplicitAny: a record of states of any type
// biome-ignore-all lint/suspicious/noConfusingVoidType: a function may return nothing
/**
 * State of process functions, declared by schema: what a person writes beside the function, and the handles that the
 * function gets. Declarations are frozen data; what lies behind a handle is the operator's business.
 */
import type { Duration } from '../base/duration.ts';
import { durationMs } from '../base/duration.ts';
import { MillraceError } from '../base/errors.ts';
import type { StateSpec, TimeToLive } from '../plan/states.ts';
import type { handle } from './marks.ts';
import { type Fields, fieldOf, fieldsOf, type RowOfFields, type Schema, schema, type Type } from './schema.ts';

/** A declared state; `H` is what the function gets as `ctx.state.NAME`. */
export interface StateDecl<out H> {
  readonly [handle]: H;
}
export type States = Readonly<Record<string, StateDecl<any>>>;

export interface StateOptions {
  /**
   * So long after it was written (created, set, added), a value is gone: it is never returned again, and its bytes are
   * freed without a read. Lists and maps: each element for itself.
   */
  readonly ttl?: Duration;
  /** Which time: of the rows (`event`, where they have one: the default there), or the clock. */
  readonly ttlTime?: 'event' | 'processing';
}

/** One value per key. */
export interface ValueState<T> {
  /** Null where there is none. */
  get(): T | null;
  set(value: T): void;
  clear(): void;
}
/** Values per key in the order in which they were added. Iterating sees what is there when it begins. */
export interface ListState<T> extends Iterable<T> {
  readonly length: number;
  add(value: T): void;
  clear(): void;
}
/** Values per key by a key of their own, in the order of that. Iterating sees what is there when it begins. */
export interface MapState<K, V> extends Iterable<[K, V]> {
  /** Null where there is none. */
  get(key: K): V | null;
  set(key: K, value: V): void;
  has(key: K): boolean;
  delete(key: K): void;
  keys(): Iterable<K>;
  values(): Iterable<V>;
  clear(): void;
}
/** One value per key, into which each that is added is folded. */
export interface ReducingState<T> {
  /** Null where nothing was added. */
  get(): T | null;
  add(value: T): void;
  clear(): void;
}
/** One accumulator per key, and what is computed of it. */
export interface AggregatingState<In, Out> {
  /** Null where nothing was added. */
  get(): Out | null;
  add(value: In): void;
  clear(): void;
}

/** Values of a subtask, whatever the key, in the order in which they were added. Iterating sees what is there when it begins. */
export interface OperatorListState<T> extends Iterable<T> {
  readonly length: number;
  add(value: T): void;
  clear(): void;
}

/** What an aggregating state is made of. */
export interface Aggregation<In, C extends Fields, Out> {
  readonly input: Type<In>;
  readonly accumulator: C;
  init(): RowOfFields<C>;
  /** Changes the accumulator, or answers another. */
  add(accumulator: RowOfFields<C>, value: In): RowOfFields<C> | void;
  finish(accumulator: RowOfFields<C>): Out;
}

/** Declares state. Names are those of the record that a process function's `state` is. */
export const state: {
  value<T>(type: Type<T>, options?: StateOptions): StateDecl<ValueState<T>>;
  list<T>(type: Type<T>, options?: StateOptions): StateDecl<ListState<T>>;
  map<K, V>(key: Type<K>, of: Type<V>, options?: StateOptions): StateDecl<MapState<K, V>>;
  reducing<T>(
    type: Type<T>,
    reduce: (held: NoInfer<T>, added: NoInfer<T>) => NoInfer<T>,
    options?: StateOptions,
  ): StateDecl<ReducingState<T>>;
  aggregating<In, C extends Fields, Out>(
    of: Aggregation<In, C, Out>,
    options?: StateOptions,
  ): StateDecl<AggregatingState<In, Out>>;
  /** For `operatorState`: a list of each subtask; at another parallelism, a restore shares all values out evenly. */
  split<T>(type: Type<T>): StateDecl<OperatorListState<T>>;
  /** For `operatorState`: a list of each subtask; a restore gives every subtask the values of all. */
  union<T>(type: Type<T>): StateDecl<OperatorListState<T>>;
} = Object.freeze({
  value: <T>(type: Type<T>, options?: StateOptions) =>
    declared<ValueState<T>>({ kind: 'value', ...typed(type), ...lived(options) }),
  list: <T>(type: Type<T>, options?: StateOptions) =>
    declared<ListState<T>>({ kind: 'list', ...typed(type), ...lived(options) }),
  map: <K, V>(key: Type<K>, of: Type<V>, options?: StateOptions) => {
    const { type, nullable } = fieldOf(key);
    if (nullable) throw new MillraceError('option/invalid', 'the key of a map state cannot be null');
    return declared<MapState<K, V>>({ kind: 'map', key: type, ...typed(of), ...lived(options) });
  },
  reducing: <T>(type: Type<T>, reduce: (held: T, added: T) => T, options?: StateOptions) => {
    functions('state.reducing(type, reduce)', { reduce });
    return declared<ReducingState<T>>({ kind: 'reducing', ...typed(type), reduce: '', ...lived(options) }, { reduce });
  },
  aggregating: <In, C extends Fields, Out>(of: Aggregation<In, C, Out>, options?: StateOptions) => {
    const { init, add, finish } = of ?? {};
    functions('state.aggregating({ … })', { init, add, finish });
    fieldOf(of.input);
    const accumulator = fieldsOf(schema(of.accumulator) as Schema<unknown>);
    return declared<AggregatingState<In, Out>>(
      { kind: 'aggregating', accumulator, init: '', add: '', finish: '', ...lived(options) },
      { init, add, finish },
    );
  },
  split: <T>(type: Type<T>) => declared<OperatorListState<T>>({ kind: 'split', ...typed(type), ttl: null }),
  union: <T>(type: Type<T>) => declared<OperatorListState<T>>({ kind: 'union', ...typed(type), ttl: null }),
});

/** A plan's state without its name; functions by the member of the spec that gets their id. */
export interface DeclaredState {
  readonly spec: StateContent;
  readonly functions: Readonly<Record<string, (...args: never[]) => unknown>>;
}
type StateContent = StateSpec extends infer S ? (S extends StateSpec ? Omit<S, 'name'> : never) : never;

/** What stands behind a declaration. Errors: `option/invalid`. */
export function declaredOf(name: string, decl: unknown): DeclaredState {
  const found = (decl as { readonly [behind]?: DeclaredState } | null | undefined)?.[behind];
  if (!found) {
    throw new MillraceError(
      'option/invalid',
      `state '${name}' is declared by state.value(t.double()), state.list(…), state.map(…) and so on, not by ${typeof decl}`,
    );
  }
  return found;
}

const behind = Symbol.for('millrace.state');

function declared<H>(spec: StateContent, functions: DeclaredState['functions'] = {}): StateDecl<H> {
  return Object.freeze({
    [behind]: Object.freeze({ spec: Object.freeze(spec), functions }),
  }) as unknown as StateDecl<H>;
}

function typed(type: Type<unknown>) {
  const { type: plain, nullable } = fieldOf(type);
  return { type: plain, nullable };
}

function lived(options: StateOptions = {}): { ttl: TimeToLive | null } {
  const { ttl, ttlTime } = options;
  if (ttl === undefined) {
    if (ttlTime !== undefined)
      throw new MillraceError('option/invalid', 'ttlTime says which time a ttl counts; give one');
    return { ttl: null };
  }
  const ms = durationMs(ttl);
  if (!(ms > 0)) throw new MillraceError('option/invalid', `a ttl must be longer than nothing: '${ttl}'`);
  if (ttlTime !== undefined && ttlTime !== 'event' && ttlTime !== 'processing')
    throw new MillraceError('option/invalid', `ttlTime is 'event' or 'processing', not '${String(ttlTime)}'`);
  return { ttl: { ms, time: ttlTime ?? null } };
}

function functions(what: string, given: Readonly<Record<string, unknown>>): void {
  for (const [name, fn] of Object.entries(given))
    if (typeof fn !== 'function') throw new MillraceError('option/invalid', `${what}: ${name} must be a function`);
}
