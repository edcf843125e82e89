/**
 * The `log` source: rows that a test pushes, kept, so that they can be read again from any position. It stands in for the
 * sources of a job under `testDriver`. Options: `resource` (id of a `RowLog`), `schema` (Fields), `bounded`. Replayable: a
 * position is a number of rows. One split, so that rows of a key stay in order.
 */
import type { SourceConnector } from '../../core/ports/connector.ts';
import { declaredFields } from './fields.ts';
import { ended, needFields, oneSplit, type RowFeed, resourceOf, rowReaderOf, waiting } from './row-source.ts';

/** What was pushed, oldest first. Nothing is ever taken out. */
export interface RowLog {
  readonly entries: readonly LogEntry[];
  /** No more entries will come. */
  readonly ended: boolean;
  /** So many entries have been read, by the reader that was opened last. */
  readTo(entries: number): void;
}

/** A row, or a time: no row at or before it follows. */
export type LogEntry = { readonly row: unknown } | { readonly watermarkMs: number };

export const logSource: SourceConnector = {
  kind: 'log',

  async describe(spec) {
    return {
      fields: needFields(declaredFields(spec), spec),
      bounded: spec.options.bounded === true,
      estimatedRows: null,
      place: 'slot',
      notes: ['pushed by a test, and read again after a crash'],
    };
  },

  enumerate: async () => oneSplit(null),

  reader(spec, request, context) {
    let feed: LogFeed | null = null;
    const reader = rowReaderOf(spec, needFields(declaredFields(spec), spec), request, context, (position) => {
      feed = logFeed(resourceOf(spec, context.resource) as RowLog, position);
      return feed;
    });
    return {
      open: (split) => reader.open(split),
      poll: () => reader.poll(),
      get batch() {
        return reader.batch;
      },
      position: () => reader.position(),
      watermarkMs: () => feed?.watermarkMs() ?? null,
      close: () => reader.close(),
    };
  },
};

interface LogFeed extends RowFeed {
  watermarkMs(): number | null;
}

/** Begins behind `position` rows. A time ends the batch before it: rows behind it come after it. */
function logFeed(log: RowLog, position: number): LogFeed {
  let at = 0;
  let watermarkMs: number | null = null;
  const raise = (ms: number): void => {
    watermarkMs = watermarkMs === null ? ms : Math.max(watermarkMs, ms);
  };
  for (let rows = 0; rows < position; at++) {
    const entry = log.entries[at]!;
    if ('row' in entry) rows++;
    else raise(entry.watermarkMs);
  }
  log.readTo(at);
  return {
    next() {
      const entry = log.entries[at];
      if (!entry) return log.ended ? ended : waiting;
      log.readTo(++at);
      if ('row' in entry) return entry.row;
      raise(entry.watermarkMs);
      return waiting;
    },
    watermarkMs: () => watermarkMs,
    close() {},
  };
}
