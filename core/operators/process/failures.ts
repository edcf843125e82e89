/**
 * What is said of a call of the user's that failed: whose it was, for which row or timer, and where that came from; and of
 * results that a handler may not have.
 */
import { describeKind, describeValue, isPromise } from '../../base/describe.ts';
import { isMillraceError, MillraceError, withWhere } from '../../base/errors.ts';
import { deadLetterRecordMax } from '../../plan/dead-letters.ts';
import type { Batch } from '../../record/batch.ts';
import type { RowView } from '../../record/row-view.ts';
import { positionOf } from '../source.ts';
import type { Call } from './call.ts';
import { dateOf } from './context.ts';

/** Characters of a row or key in a message at most. */
const rowTextMax = 240;

/** The timer that fires, and what the function gets of it. */
export interface FiredTimer {
  name: string;
  timeMs: number;
  readonly api: object;
}

/** One object for all timers: a Date is made where somebody reads it. */
export function firedTimer(): FiredTimer {
  const fired: FiredTimer = {
    name: '',
    timeMs: 0,
    api: Object.freeze({
      get name(): string {
        return fired.name;
      },
      get time(): Date {
        return dateOf(fired.timeMs);
      },
    }),
  };
  return fired;
}

export class Failures {
  /** What is called: `onRow`, `onRow.orders`, `onTimer`. */
  handler = '';
  /** The batch whose rows are given to the function; null: none. */
  batch: Batch | null = null;
  /** The rows of that batch. */
  view: RowView | null = null;
  readonly #operator: string;
  readonly #call: Call;
  readonly #timer: FiredTimer;
  /** Keys of the timers that fire. */
  readonly #timerKeys: RowView;

  constructor(operator: string, call: Call, timer: FiredTimer, timerKeys: RowView) {
    this.#operator = operator;
    this.#call = call;
    this.#timer = timer;
    this.#timerKeys = timerKeys;
  }

  /** What the call that is under way threw, with the function, the row or key, and its place. */
  named(error: unknown): MillraceError {
    const ofTimer = this.handler === 'onTimer';
    const handler = ofTimer ? `onTimer('${this.#timer.name.slice(0, 60)}')` : this.handler;
    const where = {
      operator: this.#operator,
      ...(this.batch && !ofTimer ? positionOf(this.batch, this.#call.row) : {}),
    };
    const shown = ofTimer ? `key ${this.#key()}` : `row ${this.#row(rowTextMax)}`;
    if (isMillraceError(error)) {
      const { cause, retryable, code } = error;
      const message = `${error.message}; ${handler} was called for ${shown}`;
      return withWhere(new MillraceError(code, message, { where: error.where, cause, retryable }), where, code);
    }
    const said = error instanceof Error ? `${error.name}: ${error.message}` : describeValue(error);
    return new MillraceError('function/threw', `${handler} threw ${said}; it was called for ${shown}`, {
      where,
      cause: error,
    });
  }

  /** The record of a dead letter: the row, or the timer. */
  record(): string {
    if (this.handler !== 'onTimer') return this.#row(deadLetterRecordMax);
    const { name, timeMs } = this.#timer;
    const due = Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : String(timeMs);
    return `timer '${name}' due ${due} of key ${this.#key()}`;
  }

  #key(): string {
    return describeValue(this.#timerKeys.at(this.#call.row), rowTextMax);
  }

  #row(most: number): string {
    return this.view === null ? '' : describeValue(this.view.at(this.#call.row), most);
  }
}

/** The rows of a handler that is a generator. Errors: `function/bad-result` for everything else. */
export function iteratorOf(result: unknown): Iterator<unknown> {
  if (isPromise(result)) throw promised(result);
  if (typeof result === 'object' && result !== null && Symbol.iterator in result)
    return (result as Iterable<unknown>)[Symbol.iterator]();
  throw new MillraceError(
    'function/bad-result',
    `a handler returned ${describeKind(result)}; it emits rows by ctx.emit, or, as a generator, yields them`,
  );
}

/** A row never meets a promise. Its own failure is nobody's any more. */
export function promised(result: unknown): MillraceError {
  (result as PromiseLike<unknown>).then(
    () => undefined,
    () => undefined,
  );
  const error = new MillraceError(
    'function/bad-result',
    'the function returned a promise; handlers are synchronous: make them ordinary functions, without async',
  );
  promises.add(error);
  return error;
}
const promises = new WeakSet<object>();

/** A function of the wrong kind: it would fail for every row, so no policy passes over it. */
export function isMisuse(error: unknown): boolean {
  return isMillraceError(error) && (error.code === 'function/misuse' || promises.has(error));
}
