/**
 * Jobs ended at random moments: by cancel, stop, signal, failure of a function, or left to finish. Afterwards threads,
 * handles and files are what they were, and memory does not grow.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunOptions } from '../../core/api/run.ts';
import { type Prng, prng } from '../../core/base/prng.ts';
import type { LongSuite } from './suite.ts';

export const suite: LongSuite = {
  name: 'cancel',
  describe: 'jobs started and ended at random moments leave no thread, handle, file or memory behind',
  cases: 1000,
  casesInCi: 60,
  async run({ cases, seed, log }) {
    const millrace = await import('millrace');
    const failures: string[] = [];
    const coverage: Record<string, number> = {
      cancelled: 0,
      stopped: 0,
      aborted: 0,
      'left to finish': 0,
      'ended before deployed': 0,
      'threads at most': 0,
    };
    const folder = mkdtempSync(join(tmpdir(), 'cancel-'));
    let rssAfterTenth = 0;
    const measures: string[] = [];
    try {
      for (let i = 0; i < cases; i++) {
        const random = prng(seed + i);
        const out = join(folder, `job-${i}`);
        try {
          await one(millrace, random, out, coverage);
          const left = leftovers(out);
          if (left.length > 0) failures.push(`seed ${seed + i}: unfinished files ${left.join(', ')}`);
        } catch (error) {
          failures.push(`seed ${seed + i}: ${error instanceof Error ? error.stack?.slice(0, 800) : error}`);
        }
        rmSync(out, { recursive: true, force: true });
        coverage['threads at most'] = Math.max(coverage['threads at most']!, threads());
        if (i === 9) rssAfterTenth = await settledRss();
        if (i % 100 === 99)
          log(
            `cancel: ${i + 1} of ${cases}, ${failures.length} failures, RSS ${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`,
          );
        if (failures.length >= 20) break;
      }
      const rss = await settledRss();
      measures.push(`RSS after the tenth ${rssAfterTenth} MB, after the last ${rss} MB`);
      if (cases > 10 && rss > rssAfterTenth + 50) failures.push(`memory grew: ${measures[0]}`);
      const open = openFiles().filter((path) => path.startsWith(folder));
      if (open.length > 0) failures.push(`files still open: ${open.join(', ')}`);
      log(`cancel: ${measures.join('; ')}`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    return { cases, failures, coverage };
  },
};

type Millrace = typeof import('../../index.ts');

async function one(millrace: Millrace, random: Prng, out: string, coverage: Record<string, number>): Promise<void> {
  const { blackhole, count, from, generator, jsonl, parquet, run, sum } = millrace;
  const rows = random.below(3) === 0 ? undefined : 200_000 + random.below(2_000_000);
  const source = from(
    generator({
      ...(rows === undefined ? {} : { rows }),
      seed: random.below(1000),
      columns: (g) => ({ key: g.bigint(0, 9_999), value: g.bigint(0, 99) }),
    }),
  );
  const ends = [
    () => source.to(blackhole()),
    () => source.filter((r) => r.value.gt(90)).to(jsonl(out)),
    () => source.filter((r) => r.value.gt(90)).to(parquet(out)),
    () =>
      source
        .groupBy('key')
        .aggregate((r) => ({ rows: count(), total: sum(r.value) }))
        .to(blackhole()),
  ];
  const abort = new AbortController();
  const options: RunOptions = { parallelism: 1 + random.below(3), memory: '256mb', signal: abort.signal };
  const handle = run(ends[random.below(ends.length)]!() as never, options);
  const ended = handle.result().then(
    () => 'finished',
    (error: { code?: string; message: string }) =>
      error.code === 'job/cancelled' ? 'cancelled' : Promise.reject(error),
  );
  await new Promise((resolve) => setTimeout(resolve, random.below(120)));
  if (handle.metrics().tasks.length === 0) coverage['ended before deployed']!++;
  switch (random.below(rows === undefined ? 3 : 4)) {
    case 0:
      coverage.cancelled!++;
      await handle.cancel();
      break;
    case 1:
      coverage.stopped!++;
      await handle.stop({ drain: random.below(2) === 0 }).catch((error: { code?: string }) => {
        if (error.code !== 'job/cancelled') throw error;
      });
      break;
    case 2:
      coverage.aborted!++;
      abort.abort();
      break;
    default:
      coverage['left to finish']!++;
  }
  await ended;
}

/** Files in progress have hidden names. */
function leftovers(out: string): string[] {
  try {
    return readdirSync(out).filter((name) => name.startsWith('.'));
  } catch {
    return [];
  }
}

function threads(): number {
  return readdirSync('/proc/self/task').length;
}

function openFiles(): string[] {
  const { readlinkSync } = process.getBuiltinModule('node:fs');
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

/** RSS in MB after memories were let go and collected. */
async function settledRss(): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 4500));
  (globalThis as { gc?: () => void }).gc?.();
  await new Promise((resolve) => setTimeout(resolve, 500));
  return Math.round(process.memoryUsage().rss / 2 ** 20);
}
