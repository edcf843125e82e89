/** The public handle over a running job. */
import { resolve } from 'node:path';
import type { Ends } from '../core/api/job.ts';
import type { JobHandle } from '../core/api/run.ts';
import { MillraceError, reviveError } from '../core/base/errors.ts';
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
        checkpoints: running.checkpoints,
        prometheus: () => prometheusText(running.name, numbers, running.checkpoints),
      };
    },
    async checkpoint() {
      return (await running.checkpoint()).id;
    },
    async savepoint(directory: string) {
      return (await running.checkpoint(resolve(directory))).path ?? directory;
    },
    async stop(options: { drain?: boolean; savepoint?: string } = {}) {
      const { drain = false, savepoint } = options;
      const { error } = await running.stop(drain, savepoint === undefined ? null : resolve(savepoint));
      // Without a checkpoint it would not go on from here: the job still runs.
      if (error && !running.ended) throw reviveError(error);
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
