/**
 * The `arrow` sink: a function is called with RecordBatches, on the thread that called `run`. Options: `resource` (id of
 * the function). A promise that it returns holds back the next batch. Takes inserts only: a RecordBatch has no row kinds.
 */
import { isPromise } from '../../core/base/describe.ts';
import { MillraceError } from '../../core/base/errors.ts';
import type { SinkConnector } from '../../core/ports/connector.ts';
import type { Batch } from '../../core/record/batch.ts';
import { batchBytes } from '../rows/bytes.ts';
import { toRecordBatch } from './boundary.ts';

export const arrowSink: SinkConnector = {
  kind: 'arrow',
  describe(spec, _fields, updating) {
    if (updating) {
      throw new MillraceError(
        'plan/changelog',
        `${spec.label || 'the Arrow sink'} takes rows, but this result is corrected later; take its changes with callback(fn, { changes: true }), or make it final (a window without early results, a bounded run)`,
      );
    }
    return { accepts: 'insert', parallelismMax: 1, place: 'caller' };
  },
  writer(spec, fields, context) {
    const receive = context.resource(String(spec.options.resource)) as (batch: unknown) => unknown;
    if (typeof receive !== 'function')
      throw new MillraceError('sink/failed', `${spec.label}: its function is not in this thread`);
    const failed = (error: unknown): MillraceError => {
      const message = error instanceof Error ? error.message : String(error);
      return new MillraceError('function/threw', `the receiver of Arrow batches threw: ${message}`, { cause: error });
    };
    let bytes = 0;
    let under: Batch | null = null;
    let pending = false;
    let failure: MillraceError | null = null;
    const taken = (batch: Batch): true => {
      under = null;
      bytes += batchBytes(batch);
      return true;
    };
    return {
      write(batch) {
        if (failure) throw failure;
        if (under === batch) return pending ? false : taken(batch);
        let answer: unknown;
        try {
          answer = receive(toRecordBatch(batch, fields, context.memory));
        } catch (error) {
          throw failed(error);
        }
        if (!isPromise(answer)) return taken(batch);
        under = batch;
        pending = true;
        const settled = (): void => {
          pending = false;
          context.wake();
        };
        (answer as PromiseLike<unknown>).then(settled, (error) => {
          failure = failed(error);
          settled();
        });
        return false;
      },
      flush() {},
      finish() {},
      close() {},
      get bytes() {
        return bytes;
      },
    };
  },
};
