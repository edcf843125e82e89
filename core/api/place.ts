// biome-ignore-all lint/suspicious/noExplicitAny: a source without a schema reads rows of type `any`
/**
 * Places: what a source or a sink is as a value. JSON for the plan, and beside it what is no JSON (rows, iterables,
 * callbacks, Arrow tables), which the plan names as a resource. Constructors are in sources.ts and sinks.ts.
 */
import { MillraceError } from '../base/errors.ts';
import type { ConnectorSpec } from '../ports/connector.ts';
import type { Fields } from '../record/types.ts';
import type { accepts, errs, reads, sends, writes } from './marks.ts';
import type { Mode } from './modes.ts';

export interface Source<out R, out M extends Mode> {
  readonly [reads]: R;
  readonly [sends]: M;
}
export interface Sink<in R, in M extends Mode> {
  readonly [accepts]: (mode: M) => void;
  readonly [writes]: (row: R) => void;
}
/** A source whose unreadable records are rows of a side output. */
export interface ErringSource<out R, out M extends Mode> extends Source<R, M> {
  readonly [errs]: true;
}
/** A place that can be read and written. It takes inserts only. */
export interface Files<R> extends Source<R, 'bounded'>, Sink<R, 'bounded' | 'append'> {}
/** Files whose unreadable records are rows of a side output. */
export interface ErringFiles<R> extends ErringSource<R, 'bounded'>, Sink<R, 'bounded' | 'append'> {}

/** What a place is to the builder. */
export interface Place {
  readonly connector: ConnectorSpec;
  readonly schema: Fields | null;
  readonly reads: boolean;
  readonly writes: boolean;
  readonly mode: Mode;
  /** What is no JSON; null: there is nothing. The plan's `options.resource` will name it. */
  readonly resource: { readonly value: unknown } | null;
  /** Event time that the place's rows have of themselves; absent: a step says so. */
  readonly eventTime?: { readonly column: string; readonly outOfOrdernessMs: number };
  /** Columns that, together, no two of its rows have equal, ever. */
  readonly key?: readonly string[];
}

const behind = Symbol.for('millrace.place');

/** A value with `of` behind it: itself, or more methods on top. */
export function placeValue<V>(of: Place, more: object = {}): V {
  Object.freeze(of.connector.options);
  Object.freeze(of.connector);
  return Object.freeze({ ...more, [behind]: Object.freeze(of) }) as V;
}

/** The place behind a source. Errors: `option/invalid`. */
export function sourceOf(value: unknown): Place {
  const place = placeOf(value);
  if (place?.reads) return place;
  throw new MillraceError(
    'option/invalid',
    place
      ? `${place.connector.label} can be written, not read`
      : `from() takes a source such as parquet(path), not ${kindOf(value)}`,
  );
}

/** The place behind a sink. Errors: `option/invalid`. */
export function sinkOf(value: unknown): Place {
  const place = placeOf(value);
  if (place?.writes) return place;
  throw new MillraceError(
    'option/invalid',
    place
      ? `${place.connector.label} can be read, not written`
      : `.to() takes a sink such as jsonl(path), not ${kindOf(value)}`,
  );
}

function placeOf(value: unknown): Place | null {
  return typeof value === 'object' && value !== null ? ((value as { [behind]?: Place })[behind] ?? null) : null;
}

function kindOf(value: unknown): string {
  return value === null
    ? 'null'
    : Array.isArray(value)
      ? 'an array; wrap rows in collection(rows)'
      : `a ${typeof value}`;
}

/** Columns that a key is declared of; undefined: none. Errors: `option/invalid`. */
export function keyOf(
  callee: string,
  given: string | readonly string[],
  schema: Place['schema'],
  label: string,
): readonly string[] | undefined {
  const key = typeof given === 'string' ? [given] : [...given];
  const columns = schema?.map(({ name }) => name);
  const missing = key.find((name) => typeof name !== 'string' || (columns && !columns.includes(name)));
  if (missing !== undefined) {
    throw new MillraceError(
      'option/invalid',
      `key of ${callee}(): ${label} has no column '${missing}'${columns ? `; it has ${columns.join(', ')}` : ''}`,
    );
  }
  return key.length === 0 ? undefined : key;
}
