/**
 * A job with a state directory for suites that disturb it: every row of it into one end, sums of windows into another; and
 * what must hold of what it leaves.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { JobHandle, RunOptions } from '../../core/api/run.ts';
import type { Prng } from '../../core/base/prng.ts';

export type Millrace = typeof import('../../index.ts');

export function launch(
  { count, from, generator, jsonl, run, sum, tumble }: Millrace,
  random: Prng,
  place: string,
  rows: number,
  more: RunOptions = {},
): JobHandle<unknown> {
  const numbers = from(
    generator({
      rows,
      rate: 40_000,
      columns: (g) => ({
        n: g.sequence(),
        k: g.bigint(0, 499),
        at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 1000 }),
      }),
    }),
  ).eventTime('at');
  return run(
    {
      rows: numbers.pick('n').to(jsonl(join(place, 'out', 'rows'))),
      windows: numbers
        .groupBy('k', tumble('5 seconds'))
        .aggregate((r) => ({ n: count(), total: sum(r.n) }))
        .to(jsonl(join(place, 'out', 'windows'))),
    },
    {
      parallelism: 1 + random.below(3),
      memory: '256mb',
      stateDir: join(place, 'state'),
      checkpoint: { every: '20 ms' },
      ...more,
    },
  );
}

/** What an ended job must not leave. */
export function leftovers(place: string): string[] {
  const state = join(place, 'state');
  const left = names(state).filter((name) => !['JOB', 'staging', 'files', 'manifests'].includes(name));
  for (const epoch of names(join(state, 'staging'))) {
    if (!/^\d+$/.test(epoch)) left.push(`staging/${epoch} has an owner`);
    left.push(...names(join(state, 'staging', epoch)).map((name) => `staging/${epoch}/${name}`));
  }
  return left;
}

export function stagedParts(place: string): boolean {
  const staging = join(place, 'state', 'staging');
  return names(staging).some((epoch) => names(join(staging, epoch)).some((name) => name.endsWith('.state')));
}

export function whatIsWrong(place: string, rows: number): string | null {
  const seen = new Set<number>();
  for (const { n } of lines<{ n: number }>(join(place, 'out', 'rows'))) {
    if (seen.has(n)) return `row ${n} is there twice`;
    seen.add(n);
  }
  if (seen.size !== rows) return `${rows - seen.size} of ${rows} rows are missing`;
  const windows = lines<{ n: number; total: number }>(join(place, 'out', 'windows'));
  const n = windows.reduce((sum, window) => sum + window.n, 0);
  const total = windows.reduce((sum, window) => sum + window.total, 0);
  if (n !== rows || total !== (rows * (rows - 1)) / 2) return `windows hold ${n} rows of ${rows}, in sum ${total}`;
  const hidden = ['rows', 'windows'].flatMap((end) => names(join(place, 'out', end)).filter((one) => one[0] === '.'));
  return hidden.length > 0 ? `left over: ${hidden.join(', ')}` : null;
}

function lines<R>(folder: string): R[] {
  return names(folder)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
    .map((line) => JSON.parse(line) as R);
}

export function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    // It came and went between two looks.
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

export function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not end within ${ms} ms`)), ms);
  });
  return await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

export const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
