/**
 * `millrace run`: progress while it works (on a terminal), rows of ends without a sink as JSON lines, a summary at the
 * end. Ctrl-C once ends the job in order (exit code 130), twice at once; SIGTERM and SIGHUP end it in order too. With a
 * state directory the end is a last checkpoint, from which the next run goes on.
 */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { Duration, Size } from '../core/base/duration.ts';
import { describeError, MillraceError, reviveError } from '../core/base/errors.ts';
import { coordinator } from '../engine/caller.ts';
import { startJob } from '../engine/run.ts';
import type { RunningJob } from '../engine/running-job.ts';
import { importJob, type JobFileOptions } from './job-file.ts';
import { onOutputClosed, outputClosed, outputFailure, write } from './output.ts';
import { progressLine, summary } from './report.ts';

export interface RunCommandOptions extends JobFileOptions {
  readonly parallelism?: number;
  readonly memory?: string;
  readonly stream?: boolean;
  readonly quiet?: boolean;
  readonly stateDir?: string;
  readonly checkpoint?: string;
  readonly from?: string;
  readonly allowNonRestoredState?: boolean;
  readonly takeOver?: boolean;
}

export async function runCommand(file: string, options: RunCommandOptions): Promise<void> {
  // Threads start while the job file is imported. What is wrong with the number is said when the job starts.
  const slots = options.parallelism ?? availableParallelism();
  if (slots >= 1 && slots <= availableParallelism()) coordinator().send({ kind: 'warm', slots });
  const { job, params } = await importJob(file, options);
  const running = startJob(job, {
    params,
    ...(options.parallelism === undefined ? {} : { parallelism: options.parallelism }),
    ...(options.memory === undefined ? {} : { memory: options.memory as Size }),
    ...(options.stream ? { mode: 'stream' as const } : {}),
    ...(options.stateDir === undefined ? {} : { stateDir: options.stateDir }),
    ...(options.checkpoint === undefined ? {} : { checkpoint: { every: every(options.checkpoint) } }),
    ...(options.from === undefined ? {} : { from: options.from }),
    ...(options.allowNonRestoredState ? { allowNonRestoredState: true } : {}),
    ...(options.takeOver ? { takeOver: true } : {}),
  });
  running.onNotice = (text) => process.stderr.write(`millrace: ${text}\n`);
  running.onWait = () => process.stderr.write('waiting for free slots…\n');
  const interrupted = onInterrupt(running, options.stream === true, options.stateDir !== undefined);
  onOutputClosed(() => running.cancel());
  const stopProgress = options.quiet ? () => {} : showProgress(running);
  try {
    await Promise.all(running.endNames.map((name) => printRows(running, name)));
    const result = await running.result();
    stopProgress();
    if (!options.quiet) process.stderr.write(summary(result, running.numbers(), running.checkpoints));
    if (running.resumable) {
      const id = running.checkpoints?.lastId;
      process.stderr.write(
        `stopped with checkpoint ${id}; run it again with --state-dir ${resolve(options.stateDir ?? '.')} to go on from there\n`,
      );
    }
  } catch (error) {
    stopProgress();
    if (outputFailure()) throw outputFailure();
    if (!endedByUs(error, interrupted() !== 0)) throw error;
    // A reader of our output that left (`| head`) is no failure, unless more than that was to be made.
    if (interrupted() === 0 && writesElsewhere(running)) {
      throw new MillraceError(
        'sink/closed',
        'standard output was closed by who read it; the job was ended and wrote no files',
      );
    }
  } finally {
    if (interrupted() !== 0) process.exitCode = interrupted();
  }
}

function endedByUs(error: unknown, interrupted: boolean): boolean {
  if (!(error instanceof MillraceError)) return false;
  return error.code === 'job/cancelled' ? interrupted || outputClosed() : error.code === 'sink/closed';
}

/** Whether the job has sinks that are not this process's standard output. */
function writesElsewhere(running: RunningJob): boolean {
  const kinds = running.plan?.chains.flatMap(({ operators }) =>
    operators.flatMap(({ node }) => (node.kind === 'sink' ? [node.connector.kind] : [])),
  );
  return kinds?.some((kind) => !['handle', 'print', 'blackhole'].includes(kind)) ?? false;
}

const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * An unbounded job's results so far are whole and stay; a bounded one's are not, and go. A job with a state directory can go on
 * from where it is. Answers the exit code to end with, 0 as long as there was no signal.
 */
function onInterrupt(running: RunningJob, stream: boolean, durable: boolean): () => number {
  let code = 0;
  for (const [signal, exitCode] of Object.entries(signals)) {
    process.on(signal, () => {
      if (code !== 0) process.exit(exitCode);
      code = exitCode;
      if (signal === 'SIGINT') process.stderr.write('\nending the job; once more to leave at once\n');
      if (durable) void stopOrCancel(running);
      else if (stream || running.plan?.bounded === false) void running.stop(false);
      else running.cancel();
    });
  }
  return () => code;
}

/** Where no last checkpoint can be made, the one before has to do. */
async function stopOrCancel(running: RunningJob): Promise<void> {
  const { error } = await running.stop(false);
  if (!error || running.ended) return;
  process.stderr.write(`millrace: ${describeError(reviveError(error))}; the job ends without a last checkpoint\n`);
  running.cancel();
}

/** `10s`, `500ms`, `5m`, `1h`, as on other command lines; or `'10 seconds'` as in programs; or `never`. */
function every(text: string): Duration | 'never' {
  if (text === 'never') return text;
  const short = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)$/.exec(text);
  if (!short) return text as Duration;
  const unit = { ms: 'ms', s: 'seconds', m: 'minutes', h: 'hours' }[short[2] as 'ms' | 's' | 'm' | 'h'];
  return `${Number(short[1])} ${unit}` as Duration;
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
  for await (const row of queue) {
    const line = jsonText(several ? { output: name, ...(row as object) } : row);
    if (!(await write(`${line}\n`))) return;
  }
}

/** As `JSON.stringify`, with the digits of a bigint, which that refuses. */
function jsonText(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null || value instanceof Date) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}:${jsonText(member)}`);
  return `{${members.join(',')}}`;
}
