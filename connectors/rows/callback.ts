/**
 * Rows out to the program: `callback` calls a function for each row, `handle` fills the queue that `for await` over a
 * job's handle drains. Both run on the thread that called `run`, hold back the job when the program is behind, and give
 * each row at most once per attempt. Options: `resource` (id of the function) or `output` (name of the end), `changes`
 * (items are `{ kind, row }`; a callback has to ask for them where the result is updating).
 */
import { describeValue, isPromise } from '../../core/base/describe.ts';
import { MillraceError } from '../../core/base/errors.ts';
import type { BoundedQueue } from '../../core/base/queue.ts';
import type { ConnectorSpec, SinkConnector, SinkInfo, WriterContext } from '../../core/ports/connector.ts';
import { deliver, type Receiver } from './deliver.ts';

const caller = { parallelismMax: 1, place: 'caller' } as const;

export const callbackSink: SinkConnector = {
  kind: 'callback',
  describe: (spec, _fields, updating) => acceptsChanges(spec, updating),
  writer(spec, fields, context) {
    const call = context.resource(String(spec.options.resource));
    if (typeof call !== 'function')
      throw new MillraceError('sink/failed', `${spec.label}: its function is not in this thread`);
    return deliver(fields, context, wantsChanges(spec, context), calling(call as Callback, spec, context));
  },
};

/** Id of the resource that is the `BoundedQueue` of an end's rows. */
export const handleResource = (output: string): string => `output:${output}`;

export const handleSink: SinkConnector = {
  kind: 'handle',
  /** Whether rows or changes come out follows the plan: a handle takes either. */
  describe: () => ({ accepts: 'all', ...caller }),
  writer(spec, fields, context) {
    const queue = context.resource(handleResource(String(spec.options.output))) as BoundedQueue<unknown> | undefined;
    if (queue === undefined)
      throw new MillraceError('sink/failed', `${spec.label}: its receiver is not in this thread`);
    return deliver(fields, context, wantsChanges(spec, context), queueing(queue, context));
  },
};

/** An updating result comes as changes whether asked for or not: a row without its kind would say something else. */
const wantsChanges = (spec: ConnectorSpec, context: WriterContext): boolean =>
  spec.options.changes === true || context.updating === true;

function acceptsChanges(spec: ConnectorSpec, updating: boolean): SinkInfo {
  if (updating && spec.options.changes !== true) {
    throw new MillraceError(
      'plan/changelog',
      `${spec.label} takes rows, but this result is corrected later; ask for its changes with callback(fn, { changes: true }), or make it final (a window without early results, a bounded run)`,
    );
  }
  return { accepts: spec.options.changes === true ? 'all' : 'insert', ...caller };
}

type Callback = (item: unknown) => unknown;

/** A promise that the function returns holds back the next row until it settles. */
function calling(call: Callback, spec: ConnectorSpec, context: WriterContext): Receiver {
  let calls = 0;
  let state: 'ready' | 'pending' | 'settled' = 'ready';
  let failure: MillraceError | null = null;
  const failed = (error: unknown, item: unknown): MillraceError => {
    const message = error instanceof Error ? error.message : String(error);
    return new MillraceError('function/threw', `the callback threw: ${message}; row: ${describeValue(item)}`, {
      cause: error,
      where: { operator: spec.label, position: `row ${calls}` },
    });
  };
  return {
    take(item) {
      if (failure) throw failure;
      if (state === 'pending') return false;
      if (state === 'settled') {
        state = 'ready';
        calls++;
        return true;
      }
      let answer: unknown;
      try {
        answer = call(item);
      } catch (error) {
        throw failed(error, item);
      }
      if (!isPromise(answer)) {
        calls++;
        return true;
      }
      state = 'pending';
      const settled = (): void => {
        state = 'settled';
        context.wake();
      };
      (answer as PromiseLike<unknown>).then(settled, (error) => {
        failure = failed(error, item);
        settled();
      });
      return false;
    },
    end() {},
  };
}

function queueing(queue: BoundedQueue<unknown>, context: WriterContext): Receiver {
  let asked = false;
  return {
    take(item) {
      if (queue.tryPush(item)) return true;
      if (!asked) {
        asked = true;
        queue.whenRoom(() => {
          asked = false;
          context.wake();
        });
      }
      return false;
    },
    end: () => queue.end(),
  };
}
