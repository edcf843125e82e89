/**
 * The context that a process function is called with: one object for all calls of a handler. In test mode every call gets
 * its own, which throws once the call is over.
 */
import { MillraceError } from '../../base/errors.ts';
import { rowKindNames } from '../../record/batch.ts';
import type { RowObject } from '../../record/row-view.ts';
import { watermarkMax, watermarkMin } from '../operator.ts';
import { alive, type Call, callOver } from './call.ts';
import type { Emitted } from './emitted.ts';
import type { Timers } from './timers.ts';

export interface ContextParts {
  readonly call: Call;
  /** The main output; null: it has none. */
  readonly main: Emitted | null;
  readonly side: readonly (readonly [name: string, output: Emitted])[];
  /** Lists of the subtask, by name. */
  readonly operator: object;
  readonly watermarkMs: () => number;
  /** Rows have event time. */
  readonly timed: boolean;
}

export interface KeyedContextParts extends ContextParts {
  readonly key: () => RowObject;
  readonly states: Readonly<Record<string, object>>;
  readonly broadcast: Readonly<Record<string, object>>;
  /** null: the function has no `onTimer`. */
  readonly timers: Timers | null;
}

export function keyedContext(parts: KeyedContextParts): object {
  const { call, timed } = parts;
  return Object.freeze({
    ...emitter(parts),
    get watermark() {
      return watermarkOf(parts);
    },
    get key() {
      alive(call);
      return parts.key();
    },
    get time() {
      alive(call);
      if (!timed || call.timeMs === null) throw noTime('ctx.time');
      return dateOf(call.timeMs);
    },
    get kind() {
      alive(call);
      return rowKindNames[call.kind];
    },
    state: Object.freeze(parts.states),
    operator: parts.operator,
    broadcast: Object.freeze(parts.broadcast),
    timers: timersApi(parts.timers),
  });
}

export function broadcastContext(
  parts: ContextParts & { readonly broadcast: Readonly<Record<string, object>> },
): object {
  return Object.freeze({
    ...emitter(parts),
    get watermark() {
      return watermarkOf(parts);
    },
    broadcast: Object.freeze(parts.broadcast),
    operator: parts.operator,
  });
}

/** The same context for one call: everything of it throws when `over` says so. */
export function guardedContext(context: object, over: () => boolean): object {
  return guarded(context, over, 2);
}

function emitter({ main, side }: ContextParts): { emit(row: unknown): void; side: object } {
  const emit = main
    ? (row: unknown) => main.add(row)
    : () => {
        throw new MillraceError(
          'function/misuse',
          'ctx.emit was called, but process declares no output; give it a schema, or use ctx.side',
        );
      };
  const sides = Object.fromEntries(side.map(([name, output]) => [name, (row: unknown) => output.add(row)]));
  return { emit, side: Object.freeze(sides) };
}

function timersApi(timers: Timers | null): object {
  const none = (): never => {
    throw new MillraceError('function/misuse', 'a timer was set, but process has no onTimer; write what it does there');
  };
  if (timers === null) return Object.freeze({ eventTime: none, processingTime: none, cancel: none });
  return Object.freeze({
    eventTime: (name: string, when: unknown) => timers.setEventTime(name, when),
    processingTime: (name: string, when: unknown) => timers.setProcessingTime(name, when),
    cancel: (name: string) => timers.cancel(name),
  });
}

function watermarkOf({ call, timed, watermarkMs }: ContextParts): Date {
  alive(call);
  if (!timed) throw noTime('ctx.watermark');
  return dateOf(watermarkMs());
}

function noTime(what: string): MillraceError {
  return new MillraceError(
    'function/misuse',
    `${what} was read, and the rows have no event time; say .eventTime(column) before keyBy`,
  );
}

/** Before the first and after the last event time: the least and the greatest Date there is. */
export function dateOf(ms: number): Date {
  if (ms <= watermarkMin || ms < -dateMsMax) return new Date(-dateMsMax);
  return new Date(ms >= watermarkMax || ms > dateMsMax ? dateMsMax : ms);
}
const dateMsMax = 8.64e15;

/** Proxies of an object, of the objects in it down to `depth`, and of its methods. */
function guarded(of: object, over: () => boolean, depth: number): object {
  // An empty target: a proxy of a frozen object may not answer with other objects.
  return new Proxy(
    {},
    {
      get(_target, name) {
        if (over()) throw callOver();
        const value = (of as Record<PropertyKey, unknown>)[name];
        if (typeof value === 'function') {
          return (...args: unknown[]) => {
            if (over()) throw callOver();
            return (value as (...args: unknown[]) => unknown).apply(of, args);
          };
        }
        const nested = depth > 0 && typeof value === 'object' && value !== null && !(value instanceof Date);
        return nested && name !== 'key' ? guarded(value, over, depth - 1) : value;
      },
      set() {
        throw new TypeError('the context of a process function cannot be changed');
      },
    },
  );
}
