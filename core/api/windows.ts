/** Windows as grouping keys, and the order of rows. Plain values; knows neither streams nor expressions. */
import { type Duration, durationMs } from '../base/duration.ts';
import { MillraceError } from '../base/errors.ts';
import type { OrderKey, WindowSpec } from '../plan/nodes.ts';
import type { OneOrMore } from './modes.ts';

export interface WindowOptions {
  /** Windows begin at the epoch plus this (UTC): `'6 hours'` makes days begin at six. */
  readonly offset?: Duration;
  /** `'processing'`: a row is in the window in which it arrives, by the clock; no row is late. Default: the rows' event time. */
  readonly time?: WindowTime;
}

export type WindowTime = 'event' | 'processing';

/** A window as a grouping key; the rows that come out have it as the column `window`. */
export interface WindowKey {
  readonly kind: 'tumble' | 'hop' | 'session';
}

/** Windows of `size` side by side. Errors: `plan/window`. */
export function tumble(size: Duration, options: WindowOptions = {}): WindowKey {
  const sizeMs = positive('the size of tumble()', size);
  return windowKey({ kind: 'tumble', sizeMs, offsetMs: offsetOf(options), ...timeOf(options) });
}

/** Windows of `size` that begin every `slide`: a row is in size ÷ slide of them. Errors: `plan/window`. */
export function hop(size: Duration, slide: Duration, options: WindowOptions = {}): WindowKey {
  const sizeMs = positive('the size of hop()', size);
  const slideMs = positive('the slide of hop()', slide);
  if (slideMs > sizeMs) {
    throw new MillraceError(
      'plan/window',
      `hop('${size}', '${slide}'): rows between two windows would be in none; the slide is at most the size`,
    );
  }
  if (sizeMs % slideMs !== 0) {
    throw new MillraceError(
      'plan/window',
      `hop('${size}', '${slide}'): the size must be a multiple of the slide, so that windows share their slices`,
    );
  }
  return windowKey({ kind: 'hop', sizeMs, slideMs, offsetMs: offsetOf(options), ...timeOf(options) });
}

/**
 * A window for each stretch of activity of a key: its rows that are no more than `gap` apart. It begins with the first of
 * them and ends `gap` behind the last. Errors: `plan/window`.
 */
export function session(gap: Duration, options: { readonly time?: WindowTime } = {}): WindowKey {
  return windowKey({ kind: 'session', gapMs: positive('the gap of session()', gap), ...timeOf(options) });
}

const spec = Symbol.for('millrace.window');

function windowKey(of: WindowSpec): WindowKey {
  return Object.freeze({ kind: of.kind, [spec]: Object.freeze(of) });
}

/** The specification behind a window key; null for anything else. */
export function windowSpecOf(key: unknown): WindowSpec | null {
  return typeof key === 'object' && key !== null ? ((key as { [spec]?: WindowSpec })[spec] ?? null) : null;
}

export interface Order<out C> {
  readonly column: C;
  readonly descending: boolean;
}
export type OrderBy<R> = OneOrMore<(keyof R & string) | Order<keyof R & string>>;

/** The greatest first. */
export function desc<const C extends string>(column: C): Order<C> {
  return Object.freeze({ column, descending: true });
}

/** Errors: `option/invalid`. */
export function orderKeys(by: unknown): readonly OrderKey[] {
  const keys = (Array.isArray(by) ? by : [by]).map((one: unknown): OrderKey => {
    if (typeof one === 'string') return { column: one, descending: false };
    const { column, descending } = (one ?? {}) as Partial<Order<string>>;
    if (typeof column === 'string') return { column, descending: descending === true };
    throw new MillraceError('option/invalid', `rows are ordered by column names or desc(name), not by ${String(one)}`);
  });
  if (keys.length === 0) throw new MillraceError('option/invalid', 'rows are ordered by one column at least');
  return keys;
}

function offsetOf({ offset }: WindowOptions): number {
  return offset === undefined ? 0 : durationMs(offset);
}

function timeOf({ time = 'event' }: { readonly time?: WindowTime }): { time?: 'processing' } {
  if (time !== 'event' && time !== 'processing')
    throw new MillraceError('option/invalid', `the time of a window is 'event' or 'processing', not ${String(time)}`);
  return time === 'processing' ? { time } : {};
}

function positive(what: string, duration: Duration): number {
  const ms = durationMs(duration);
  if (ms > 0) return ms;
  throw new MillraceError('plan/window', `${what} must be more than nothing, not '${duration}'`);
}
