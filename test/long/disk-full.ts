/**
 * A disk that fills up under a running job: state and files of a job lie on a small file system of their own (tmpfs), of
 * which all but a few pages are taken away, so that now this write fails and now that one. A job that may go on says so and
 * goes on; one that may not ends with an error that says so. The last checkpoint stays whole, and once there is room again
 * the job gets through, and its files hold every row once. Needs the right to mount.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobHandle, RunOptions } from '../../core/api/run.ts';
import { isMillraceError } from '../../core/base/errors.ts';
import { prng } from '../../core/base/prng.ts';
import { checkpointsOf, verifyCheckpoints } from '../../engine/inspect.ts';
import { launch, leftovers, type Millrace, wait, whatIsWrong, within } from './durable-job.ts';
import type { LongSuite } from './suite.ts';

const pageBytes = 4096;
/** Room that is left is a number of pages below this: about what one checkpoint and its files take. */
const pagesMax = 48;
const rows = 20_000;
const full = /^(state|sink)\/disk-full$/;

export const suite: LongSuite = {
  name: 'disk-full',
  describe:
    'a disk that is full at any write: the job says so, keeps its last checkpoint, and holds every row once in the end',
  cases: 200,
  casesInCi: 6,
  async run({ cases, seed, log }) {
    const millrace = await import('millrace');
    const failures: string[] = [];
    const coverage = { 'went on': 0, 'ended with an error': 0, 'checkpoints that failed': 0, restarts: 0 };
    const folder = mkdtempSync(join(tmpdir(), 'millrace-disk-full-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', folder], { stdio: 'pipe' });
    } catch (error) {
      log(`disk-full: skipped, for a tmpfs cannot be mounted here (${String(error).split('\n')[0]})`);
      rmSync(folder, { recursive: true });
      return { cases: 0, failures, coverage: {} };
    }
    try {
      for (let i = 0; i < cases && failures.length < 10; i++) {
        const where = `seed ${seed + i}, room for ${i % pagesMax} pages, ${i % 2 === 0 ? 'may go on' : 'may not go on'}`;
        const place = join(folder, `job-${i}`);
        mkdirSync(place);
        try {
          await filled(millrace, seed + i, place, i % pagesMax, i % 2 === 0, coverage);
        } catch (error) {
          failures.push(`${where}: ${error instanceof Error ? error.stack?.slice(0, 800) : error}`);
          log(`disk-full: ${failures.at(-1)}`);
        }
        rmSync(place, { recursive: true, force: true });
        rmSync(join(folder, 'filler'), { force: true });
        if (i % 20 === 19) log(`disk-full: ${i + 1} of ${cases}, ${failures.length} failures`);
      }
    } finally {
      execFileSync('umount', ['-l', folder]);
      rmSync(folder, { recursive: true, force: true });
    }
    return { cases, failures, coverage: cases >= 20 ? coverage : {} };
  },
};

async function filled(
  millrace: Millrace,
  seed: number,
  place: string,
  pages: number,
  mayGoOn: boolean,
  coverage: Record<string, number>,
): Promise<void> {
  const random = prng(seed);
  const filler = join(place, '..', 'filler');
  const options: RunOptions = mayGoOn
    ? {
        checkpoint: { every: '20 ms', tolerateFailures: 1_000_000 },
        restart: { strategy: 'fixedDelay', attempts: 1_000_000, delay: '20 ms' },
      }
    : { checkpoint: { every: '20 ms', tolerateFailures: 0 }, restart: 'none' };
  const handle = launch(millrace, random, place, rows, options);
  let outcome: { readonly error: unknown } | null = null;
  const over = handle.result().then(
    () => {
      outcome = { error: null };
    },
    (error: unknown) => {
      outcome = { error };
    },
  );
  await until('a first checkpoint', () => outcome !== null || (handle.metrics().checkpoints?.completed ?? 0) > 0);
  await wait(random.below(300));
  const before = handle.metrics().checkpoints!;
  fill(filler, pages);
  await until('the disk to be noticed', () => outcome !== null || noticed(handle, before));
  // A while of it: one failure is not the last.
  if (outcome === null && mayGoOn) await wait(random.below(200));
  const kept = checkpointsOf(join(place, 'state'));
  const whole = [...verifyCheckpoints(join(place, 'state'), kept, () => {})].filter(({ reason }) => reason === null);
  rmSync(filler, { force: true });
  if (whole.length === 0) throw new Error('no whole checkpoint was kept');
  await within(60_000, 'a job whose disk has room again', over);
  const { error } = outcome as unknown as { readonly error: unknown };
  const after = handle.metrics().checkpoints!;
  coverage['checkpoints that failed']! += after.failed;
  coverage.restarts! += after.restarts;
  if (error === null) coverage['went on']!++;
  else {
    if (mayGoOn) throw error;
    if (!saysFull(error)) throw new Error(`it did not say that the disk is full: ${describe(error)}`);
    coverage['ended with an error']!++;
    await within(60_000, 'the run after it', launch(millrace, random, place, rows).result());
  }
  const left = leftovers(place);
  if (left.length > 0) throw new Error(`left over: ${left.join(', ')}`);
  const wrong = whatIsWrong(place, rows);
  if (wrong !== null) throw new Error(wrong);
}

/** Takes all room there is, and gives some pages of it back. */
function fill(path: string, pages: number): void {
  const file = openSync(path, 'w');
  let bytes = 0;
  for (const chunk of [new Uint8Array(2 ** 20), new Uint8Array(pageBytes)]) {
    try {
      for (;;) bytes += writeSync(file, chunk);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
  ftruncateSync(file, Math.max(0, bytes - pages * pageBytes));
  closeSync(file);
}

const noticed = (
  handle: JobHandle<unknown>,
  before: { readonly failed: number; readonly restarts: number },
): boolean => {
  const now = handle.metrics().checkpoints;
  return now !== null && (now.failed > before.failed || now.restarts > before.restarts);
};

/** Somewhere among its causes. */
function saysFull(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (isMillraceError(at) && full.test(at.code)) return true;
  return false;
}

const describe = (error: unknown): string =>
  error instanceof Error
    ? `${(error as { code?: string }).code} ${error.message}; cause: ${String(error.cause)}`
    : String(error);

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 6000; i++) {
    if (holds()) return;
    await wait(10);
  }
  throw new Error(`waited in vain for ${what}`);
}
