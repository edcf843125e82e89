/**
 * The `iterable` source: an Iterable or AsyncIterable of plain objects, pulled on the caller's thread as fast as the job
 * takes rows and no faster. Options: `resource` (id of the iterable, or of a function that makes one), `schema` (Fields),
 * `bounded` (default true: the job's input ends with it). Not replayable: after a failure its rows are gone, unless the
 * resource is a function, which is called again and read up to the position.
 */
import { describeKind } from '../../core/base/describe.ts';
import { MillraceError } from '../../core/base/errors.ts';
import type { ConnectorSpec, SourceConnector } from '../../core/ports/connector.ts';
import { declaredFields } from './fields.ts';
import { ended, needFields, oneSplit, type RowFeed, resourceOf, rowReaderOf, waiting } from './row-source.ts';

export const iterableSource: SourceConnector = {
  kind: 'iterable',

  async describe(spec) {
    return {
      fields: needFields(declaredFields(spec), spec),
      bounded: spec.options.bounded !== false,
      estimatedRows: null,
      place: 'caller',
      replayable: spec.options.again === true,
      notes: [
        'read on the thread that called run',
        spec.options.again === true
          ? 'made again and read up to its position after a failure'
          : 'not replayable: rows taken before a failure do not come again',
      ],
    };
  },

  enumerate: async () => oneSplit(null),

  reader(spec, request, context) {
    const fields = needFields(declaredFields(spec), spec);
    let opened = false;
    return rowReaderOf(spec, fields, request, context, (position) => {
      const from = resourceOf(spec, context.resource);
      if (typeof from !== 'function' && (opened || position > 0)) throw notReplayable(spec);
      opened = true;
      const feed = feedOf(typeof from === 'function' ? from() : from, spec, () => context.wake());
      return position === 0 ? feed : skipping(feed, position);
    });
  },
};

function feedOf(from: unknown, spec: ConnectorSpec, wake: () => void): RowFeed {
  const iterable = from as Partial<AsyncIterable<unknown> & Iterable<unknown>> | null | undefined;
  if (typeof iterable?.[Symbol.asyncIterator] === 'function') {
    return asyncFeed(iterable[Symbol.asyncIterator]!(), spec, wake);
  }
  if (typeof iterable?.[Symbol.iterator] === 'function') return syncFeed(iterable[Symbol.iterator]!(), spec);
  throw new MillraceError('option/invalid', `${spec.label}: expected an iterable of rows, got ${describeKind(from)}`);
}

function syncFeed(iterator: Iterator<unknown>, spec: ConnectorSpec): RowFeed {
  let done = false;
  return {
    next() {
      if (done) return ended;
      let result: IteratorResult<unknown>;
      try {
        result = iterator.next();
      } catch (error) {
        done = true;
        throw failed(error, spec);
      }
      done = result.done === true;
      return done ? ended : result.value;
    },
    close() {
      if (!done) iterator.return?.();
      done = true;
    },
  };
}

/** Reads at most `aheadRows` ahead of the job; one `next` is under way at a time. */
function asyncFeed(iterator: AsyncIterator<unknown>, spec: ConnectorSpec, wake: () => void): RowFeed {
  let ahead: unknown[] = [];
  let head = 0;
  let pulling = false;
  let starved = false;
  let finished = false;
  let closed = false;
  let error: MillraceError | null = null;
  const pull = async (): Promise<void> => {
    pulling = true;
    try {
      while (!closed && !finished && ahead.length - head < aheadRows) {
        const result = await iterator.next();
        if (result.done) finished = true;
        else ahead.push(result.value);
        if (starved && !closed) {
          starved = false;
          wake();
        }
      }
    } catch (cause) {
      error = failed(cause, spec);
      finished = true;
      if (!closed) wake();
    }
    pulling = false;
  };
  return {
    next() {
      if (head < ahead.length) {
        const row = ahead[head++];
        if (head === ahead.length) {
          ahead = [];
          head = 0;
        }
        return row;
      }
      if (error) throw error;
      if (finished) return ended;
      starved = true;
      if (!pulling) void pull();
      return waiting;
    },
    close() {
      const mustReturn = !finished && !closed;
      closed = true;
      // The iterator may be waiting for something that never comes: its answer is not awaited.
      if (mustReturn) iterator.return?.().then(undefined, () => {});
    },
  };
}

const aheadRows = 256;

/** Leaves out the first `count` rows. */
function skipping(feed: RowFeed, count: number): RowFeed {
  let left = count;
  return {
    next() {
      for (; left > 0; left--) {
        const row = feed.next();
        if (row === waiting || row === ended) return row;
      }
      return feed.next();
    },
    close: () => feed.close(),
  };
}

function notReplayable(spec: ConnectorSpec): MillraceError {
  return new MillraceError(
    'source/failed',
    `${spec.label}: an iterable can be read once; to read it again pass a function that makes one`,
  );
}

function failed(cause: unknown, spec: ConnectorSpec): MillraceError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new MillraceError('source/failed', `${spec.label}: the iterable failed: ${message}`, { cause });
}
