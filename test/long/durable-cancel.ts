/**
 * Jobs with a state directory, ended at random moments: cancelled, stopped, drained; while they restore, while checkpoints
 * are written, while sinks commit. Nothing is left but the checkpoint to go on from: no lock, no staged file, no socket, no
 * thread, no descriptor. Then each is run until it is through, and its files hold every row once.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Prng, prng } from '../../core/base/prng.ts';
import {
  launch,
  leftovers,
  type Millrace,
  names,
  openFiles,
  stagedParts,
  wait,
  whatIsWrong,
  within,
} from './durable-job.ts';
import type { LongSuite } from './suite.ts';

const endings = ['cancelled', 'stopped', 'aborted', 'twice'] as const;

export const suite: LongSuite = {
  name: 'durable-cancel',
  describe: 'jobs with a state directory, ended at random moments, leave only what they go on from',
  cases: 300,
  casesInCi: 20,
  async run({ cases, seed, log }) {
    const millrace = await import('millrace');
    const failures: string[] = [];
    const coverage: Record<string, number> = {
      ...Object.fromEntries(endings.map((how) => [how, 0])),
      'before it was deployed': 0,
      'while it restored': 0,
      'inside a checkpoint': 0,
      'went on': 0,
      'jobs through': 0,
    };
    const folder = mkdtempSync(join(tmpdir(), 'millrace-durable-cancel-'));
    let ends = 0;
    try {
      for (let job = 0; ends < cases && failures.length < 10; job++) {
        const random = prng(seed + job);
        const place = join(folder, `job-${job}`);
        try {
          const rows = 20_000 + random.below(60_000);
          const lives = 2 + random.below(4);
          for (let life = 0; life < lives && ends < cases; life++, ends++) {
            await ended(millrace, random, place, rows, coverage);
            const left = leftovers(place);
            if (left.length > 0) throw new Error(`left over: ${left.join(', ')}`);
          }
          await within(60_000, 'the last run', launch(millrace, random, place, rows).result());
          const wrong = whatIsWrong(place, rows);
          if (wrong !== null) throw new Error(wrong);
          coverage['jobs through']!++;
          rmSync(place, { recursive: true, force: true });
        } catch (error) {
          failures.push(`seed ${seed + job}: ${error instanceof Error ? error.stack?.slice(0, 800) : error}`);
        }
        const open = openFiles().filter((path) => path.startsWith(folder));
        if (open.length > 0) failures.push(`seed ${seed + job}: still open: ${open.join(', ')}`);
        if (job % 10 === 9) log(`durable-cancel: ${ends} of ${cases}, ${failures.length} failures`);
      }
    } finally {
      if (failures.length === 0) rmSync(folder, { recursive: true, force: true });
      else log(`durable-cancel: kept ${folder}`);
    }
    // Where a few ends fall is chance; a long run has to hit everything.
    log(
      `durable-cancel: ${Object.entries(coverage)
        .map(([what, count]) => `${what} ${count}`)
        .join(', ')}`,
    );
    return { cases: ends, failures, coverage: ends >= 100 ? coverage : { 'jobs through': coverage['jobs through']! } };
  },
};

async function ended(
  millrace: Millrace,
  random: Prng,
  place: string,
  rows: number,
  coverage: Record<string, number>,
): Promise<void> {
  const abort = new AbortController();
  const goesOn = names(join(place, 'state', 'manifests')).length > 0;
  const handle = launch(millrace, random, place, rows, { signal: abort.signal });
  const over = handle.result().then(
    () => {},
    (error: { readonly code?: string }) => {
      if (error.code !== 'job/cancelled') throw error;
    },
  );
  over.catch(() => {});
  // Half of them end while they begin; the others anywhere.
  await wait(random.below(2) === 0 ? random.below(80) : random.below(800));
  const { tasks, rowsIn, checkpoints } = handle.metrics();
  if (tasks.length === 0) coverage['before it was deployed']!++;
  else if (rowsIn === 0 && goesOn) coverage['while it restored']!++;
  if (checkpoints?.restoredFrom != null) coverage['went on']!++;
  if (stagedParts(place)) coverage['inside a checkpoint']!++;
  const how = endings[random.below(endings.length)]!;
  coverage[how]!++;
  const stop = (): Promise<void> =>
    handle.stop().catch((error: { readonly code?: string }) => {
      if (!error.code?.startsWith('checkpoint/') && error.code !== 'job/cancelled') throw error;
      return handle.cancel();
    });
  const done = async (): Promise<void> => {
    if (how === 'cancelled') await handle.cancel();
    else if (how === 'aborted') abort.abort();
    else if (how === 'stopped') await stop();
    else await Promise.all([stop(), wait(random.below(20)).then(() => handle.cancel())]);
    await over;
  };
  await within(60_000, `a job that was ${how}`, done());
}
