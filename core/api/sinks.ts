// biome-ignore-all lint/suspicious/noExplicitAny: print and blackhole take rows of any type
/**
 * Sinks as values (files are in sources.ts: they are both). What a plan holds of them, by `connector.kind`:
 *
 * | kind | options | the resource |
 * |---|---|---|
 * | `parquet`, `jsonl`, `csv` | `path`; `changelog: true`: a first column `row_kind`, and every change is taken | |
 * | `arrow` | `resource`, `changes` | a function of one apache-arrow RecordBatch |
 * | `callback` | `resource`, `changes` | a function of one row, or of one `Change` where `changes` is true |
 * | `print` | `limit` (number or null), `format`, `sort`: the order of the rows, where one was asked for | |
 * | `blackhole` | `resource`, if any | a SharedArrayBuffer of 24 bytes for its checksum |
 * | `handle` | `output`, `changes` | rows of an end without a sink go to the job's handle under that name |
 *
 * `changes`: the stream was built as an updating one (or the receiver asked), so its receiver expects `{ kind, row }` and
 * takes every change; otherwise it reads rows, and corrections must not reach it.
 */
import { MillraceError } from '../base/errors.ts';
import type { Json } from '../ports/connector.ts';
import type { Change, Mode, OneOrMore, Received } from './modes.ts';
import { type Place, placeValue, type Sink } from './place.ts';
import { type ArrowBatch, upsertKey } from './sources.ts';

export interface PrintOptions {
  /** Rows of a table at most (100 unless said); the rest is counted. */
  readonly limit?: number;
  /** `table` draws an ended result at its end and redraws an updating one; `changelog` and `jsonl` print as rows come. */
  readonly format?: 'table' | 'changelog' | 'jsonl';
}

/** Standard output of the process. Takes every change. */
export function print(options: PrintOptions = {}): Sink<any, Mode> {
  const { limit = null, format = 'table' } = options;
  if (limit !== null && !(Number.isSafeInteger(limit) && limit >= 0)) {
    throw new MillraceError('option/invalid', `the limit of print() is a whole number from 0, not ${limit}`);
  }
  return sink('print', '', { limit, format });
}

export interface BlackholeOptions {
  /**
   * 24 bytes that are added to when a slot finishes: three i64, a sum over a hash of every row's bytes (rows that
   * changes take away count negative), rows added less rows taken away, rows in all. Tells the final multiset of rows.
   */
  readonly checksum?: SharedArrayBuffer;
}

export interface BlackholeOptions {
  /**
   * 24 bytes that get the rows' checksum when the job ends: three 64-bit integers, the sum of a hash of every row (rows
   * taken away count negative), the rows that remain, and the rows in all. It does not depend on order or parallelism.
   */
  readonly checksum?: SharedArrayBuffer;
}

/** Nothing: rows are counted and forgotten. Takes every change. */
export function blackhole({ checksum }: BlackholeOptions = {}): Sink<any, Mode> {
  if (checksum === undefined) return sink('blackhole', '', {});
  if (!(checksum instanceof SharedArrayBuffer) || checksum.byteLength < 24) {
    throw new MillraceError('option/invalid', 'the checksum of blackhole() is a SharedArrayBuffer of 24 bytes');
  }
  return sink('blackhole', '', {}, { value: checksum });
}

/**
 * Calls a function with every row, or, of an updating stream, with every change; on the thread that runs the job. A
 * promise that it returns holds back the next call. With `changes` it gets changes whatever the stream is, and with a `key` an
 * update as the row that is, `+U`, alone.
 */
export function callback<R>(
  receive: (change: Change<R>) => unknown,
  options: { readonly changes: true; readonly key?: OneOrMore<keyof R & string> },
): Sink<R, Mode>;
export function callback<R, M extends Mode>(receive: (received: Received<R, M>) => unknown): Sink<R, M>;
export function callback(
  receive: unknown,
  options: { readonly changes?: boolean; readonly key?: unknown } = {},
): unknown {
  const { changes = false, key } = options;
  return receiver('callback', receive, changes, key === undefined ? undefined : upsertKey('callback()', key, changes));
}

/** Calls a function with apache-arrow RecordBatches of the rows, on the thread that runs the job. */
export function arrowBatches(receive: (batch: ArrowBatch) => void): Sink<any, 'bounded' | 'append'> {
  return receiver('arrow', receive, false);
}

function receiver<V>(kind: string, receive: unknown, changes: boolean, key?: readonly string[]): V {
  if (typeof receive !== 'function')
    throw new MillraceError('option/invalid', `${kind === 'arrow' ? 'arrowBatches' : kind}() takes a function`);
  return sink(kind, (receive as { name: string }).name, { changes }, { value: receive }, key);
}

function sink<V>(
  kind: string,
  label: string,
  options: Readonly<Record<string, Json>>,
  resource: Place['resource'] = null,
  key?: readonly string[],
): V {
  return placeValue({
    connector: { kind, label, options, ...(key ? { upsertKey: key } : {}) },
    schema: null,
    reads: false,
    writes: true,
    mode: 'append',
    resource,
  });
}
