/** The public handle over a running job. */
import type { Ends } from '../core/api/job.ts';
import type { JobHandle } from '../core/api/run.ts';
import { MillraceError } from '../core/base/errors.ts';
import { prometheusText } from './numbers.ts';
import type { RunningJob } from './running-job.ts';

export function jobHandle<O extends Ends>(running: RunningJob, signal: AbortSignal | null): JobHandle<O> {
  const abort = (): void => running.cancel();
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, { once: true });
  void running.settled.then(() => signal?.removeEventListener('abort', abort));

  /** Rows until the end; a cancel by the caller's own signal is an end, not an error. */
  async function* rowsOf(name: string): AsyncGenerator<unknown> {
    const queue = running.end(name);
    if (!queue) {
      throw new MillraceError(
        'option/invalid',
        `the job has no output '${name}' to read${running.endNames.length > 0 ? `; there are ${running.endNames.join(', ')}` : ': all its ends have sinks'}`,
      );
    }
    try {
      for await (const row of queue) yield row;
      await running.result();
    } catch (error) {
      if (!(signal?.aborted && error instanceof MillraceError && error.code === 'job/cancelled')) throw error;
    } finally {
      queue.close();
    }
  }

  const handle: Omit<JobHandle<O>, 'output'> & { output: unknown } = {
    output: (name: string) => rowsOf(name),
    [Symbol.asyncIterator]: () => rowsOf('result') as ReturnType<JobHandle<O>[typeof Symbol.asyncIterator]>,
    async result() {
      return running.result();
    },
    metrics() {
      const numbers = running.numbers();
      return {
        rowsIn: numbers.rowsIn,
        rowsOut: numbers.rowsOut,
        lateRows: numbers.lateRows,
        skippedRows: numbers.skippedRows,
        watermark: numbers.watermarkMs === null ? null : new Date(numbers.watermarkMs),
        estimatedRows: numbers.estimatedRows,
        inboxBytes: numbers.inboxBytes,
        tasks: numbers.tasks,
        prometheus: () => prometheusText(running.name, numbers),
      };
    },
    async stop(options: { drain?: boolean } = {}) {
      running.stop(options.drain ?? false);
      await running.result();
    },
    async cancel() {
      running.cancel();
      // However it ended: what went wrong before is told by `result`.
      await running.result().catch(() => {});
    },
    async [Symbol.asyncDispose]() {
      if (!running.ended) await handle.cancel();
    },
  };
  return handle as JobHandle<O>;
}
