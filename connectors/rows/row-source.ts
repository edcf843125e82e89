/**
 * Sources of JavaScript rows on the thread that called `run`: collections, iterables, channels. What differs between
 * them is where the next row comes from; how rows become batches is here.
 */
import { MillraceError, withWhere } from '../../core/base/errors.ts';
import {
  type ConnectorSpec,
  type Json,
  PollStatus,
  type ReaderContext,
  type ReadRequest,
  type SourceReader,
  type Split,
} from '../../core/ports/connector.ts';
import type { Batch } from '../../core/record/batch.ts';
import { type RowWriter, rowWriter } from '../../core/record/row-writer.ts';
import type { Fields } from '../../core/record/types.ts';
import { fieldsOfLayout } from './fields.ts';

/** Where rows come from, one after the other. */
export interface RowFeed {
  /** The next row; `waiting` when there is none now (the feed calls `wake`), `ended` when there is none any more. */
  next(): unknown;
  close(): void;
}
export const waiting = Symbol('waiting');
export const ended = Symbol('ended');

/** The only split of such a source. */
export function oneSplit(estimatedRows: number | null): readonly Split[] {
  return [{ id: '0', options: {}, position: null, estimatedRows, minimum: null }];
}

/** Reads `feed` (made for a position) into batches. A feed that cannot begin at a position refuses it. */
export function rowReaderOf(
  spec: ConnectorSpec,
  all: Fields,
  request: ReadRequest,
  context: ReaderContext,
  feedAt: (position: number) => RowFeed,
): SourceReader {
  const fields = fieldsOfLayout(all, request.layout, spec.label);
  let writer: RowWriter | null = null;
  let feed: RowFeed | null = null;
  /** A row that found the batch full. */
  let held: { readonly row: unknown } | null = null;
  /** What went wrong behind rows that are still to be emitted. */
  let failure: { readonly error: unknown } | null = null;
  let taken = 0;
  let batch: Batch | null = null;
  return {
    open(split: Split) {
      writer ??= rowWriter(fields, request.layout, context.memory, context.batchRows, {
        code: 'schema/mismatch',
        absentIsNull: true,
      });
      held = null;
      taken = split.position === null ? 0 : Number(split.position);
      feed = feedAt(taken);
    },
    poll() {
      if (failure) throw failure.error;
      const rows = writer!;
      rows.reset();
      const first = taken;
      const endMs = context.monotonicMs() + pollMs;
      let status: PollStatus = PollStatus.moved;
      while (rows.rows < context.batchRows) {
        try {
          const row = held ? held.row : feed!.next();
          held = null;
          if (row === waiting || row === ended) {
            status = row === waiting ? PollStatus.starved : PollStatus.ended;
            break;
          }
          if (!rows.append(row)) {
            held = { row };
            break;
          }
        } catch (error) {
          failure = { error: withWhere(error, { position: `row ${taken}` }, 'source/failed') };
          break;
        }
        taken++;
        if ((rows.rows & 63) === 0 && context.monotonicMs() > endMs) break;
      }
      if (rows.rows === 0) {
        if (failure) throw failure.error;
        return status;
      }
      // The end, or the wait, is found again by the next poll.
      batch = rows.batch({ source: spec.label, firstRow: first });
      return PollStatus.moved;
    },
    get batch() {
      return batch!;
    },
    position: (): Json => taken,
    close() {
      feed?.close();
      feed = null;
    },
  };
}

/** A poll ends after about this long, however slow the rows are made. */
const pollMs = 3;

/** The value of `options.resource`. Errors: `source/failed` when it is not there. */
export function resourceOf(spec: ConnectorSpec, resource: (id: string) => unknown): unknown {
  const id = spec.options.resource;
  const value = typeof id === 'string' ? resource(id) : undefined;
  if (value === undefined) {
    throw new MillraceError(
      'source/failed',
      `${spec.label}: its rows are not in this thread (resource '${String(id)}')`,
    );
  }
  return value;
}

/** Errors: `option/invalid` for a place whose rows have no declared columns. */
export function needFields(fields: Fields | null, spec: ConnectorSpec): Fields {
  if (fields) return fields;
  throw new MillraceError('option/invalid', `${spec.label}: the columns of these rows are not known; declare a schema`);
}
