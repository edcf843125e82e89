/**
 * `millrace run`: progress while it works (on a terminal), rows of ends without a sink as JSON lines, a summary at the
 * end. Ctrl-C once ends the job in order (exit code 130), twice at once.
 */

import type { Size } from '../core/base/duration.ts';
import { MillraceError } from '../core/base/errors.ts';
import { startJob } from '../engine/run.ts';
import type { RunningJob } from '../engine/running-job.ts';
import { importJob, type JobFileOptions } from './job-file.ts';
import { progressLine, summary } from './report.ts';

export interface RunCommandOptions extends JobFileOptions {
  readonly parallelism?: number;
  readonly memory?: string;
  readonly stream?: boolean;
  readonly quiet?: boolean;
}

export async function runCommand(file: string, options: RunCommandOptions): Promise<void> {
  const { job, params } = await importJob(file, options);
  const running = startJob(job, {
    params,
    ...(options.parallelism === undefined ? {} : { parallelism: options.parallelism }),
    ...(options.memory === undefined ? {} : { memory: options.memory as Size }),
    ...(options.stream ? { mode: 'stream' as const } : {}),
  });
  running.onWait = () => process.stderr.write('waiting for free slots…\n');
  const interrupted = onInterrupt(running, options.stream === true);
  const stopProgress = options.quiet ? () => {} : showProgress(running);
  try {
    await Promise.all(running.endNames.map((name) => printRows(running, name)));
    const result = await running.result();
    stopProgress();
    if (!options.quiet) process.stderr.write(summary(result, running.numbers()));
    if (interrupted()) process.exitCode = 130;
  } catch (error) {
    stopProgress();
    if (interrupted() && error instanceof MillraceError && error.code === 'job/cancelled') {
      process.exitCode = 130;
      return;
    }
    // A reader of our output that left (`| head`) is no failure of the job.
    if (error instanceof MillraceError && error.code === 'sink/closed') return;
    throw error;
  }
}

/** An unbounded job's results so far are whole and stay; a bounded one's are not, and go. */
function onInterrupt(running: RunningJob, stream: boolean): () => boolean {
  let times = 0;
  process.on('SIGINT', () => {
    if (++times > 1) process.exit(130);
    process.stderr.write('\nending the job; once more to leave at once\n');
    if (stream) running.stop(false);
    else running.cancel();
  });
  process.on('SIGTERM', () => {
    times++;
    if (stream) running.stop(false);
    else running.cancel();
  });
  return () => times > 0;
}

function showProgress(running: RunningJob): () => void {
  if (!process.stderr.isTTY) return () => {};
  const startMs = performance.now();
  let drawn = false;
  const timer = setInterval(() => {
    process.stderr.write(`\r\x1b[K${progressLine(running.numbers(), performance.now() - startMs)}`);
    drawn = true;
  }, 100);
  return () => {
    clearInterval(timer);
    if (drawn) process.stderr.write('\r\x1b[K');
    drawn = false;
  };
}

async function printRows(running: RunningJob, name: string): Promise<void> {
  const several = running.endNames.length > 1;
  const queue = running.end(name)!;
  process.stdout.on('error', () => {
    queue.close();
    running.cancel();
  });
  for await (const row of queue) {
    const line = JSON.stringify(several ? { output: name, ...(row as object) } : row);
    if (!process.stdout.write(`${line}\n`)) await new Promise((resolve) => process.stdout.once('drain', resolve));
  }
}
