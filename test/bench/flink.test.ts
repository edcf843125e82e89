/** The comparison with Flink, but for running it: what counts, and that it goes on where it was. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Case, casesOf, comparisons } from '../../bench/rivals/flink/cases.ts';
import { Results } from '../../bench/rivals/flink/results.ts';
import { tableOf } from '../../bench/rivals/flink/table.ts';

const sql = join(import.meta.dirname, '..', '..', 'bench', 'rivals', 'flink', 'sql');
const folder = (): string => {
  const made = mkdtempSync(join(tmpdir(), 'millrace-flink-'));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
};
const run = (ms: number, cpuMs: number) => ({ ms, cpuMs, rowsOut: 1, digest: null });
const comparison = (name: string) => comparisons.find(({ query }) => query === name)!;

test('every query that Flink can run has its SQL', () => {
  expect(comparisons.map(({ query }) => query)).toEqual(Array.from({ length: 24 }, (_, i) => `q${i}`));
  const missing = comparisons.filter(({ query }) => !existsSync(join(sql, `${query}.sql`)));
  expect(missing).toEqual(comparisons.filter(({ alone }) => alone));
});

test('runs are kept, by case and size', () => {
  const results = new Results(folder());
  const [theirs] = casesOf(comparison('q0'), 1) as [Case];
  for (const ms of [3000, 1000, 2000]) results.add(theirs, run(ms, 2 * ms));
  expect(results.median(theirs)).toMatchObject({ ms: 2000, cpuMs: 4000 });
  expect(results.runs({ ...theirs, parallelism: 2 })).toEqual([]);
  expect(results.runs({ ...theirs, events: 5 })).toEqual([]);
  results.forget(theirs);
  expect(results.median(theirs)).toBe(null);
});

test('the smaller ratio counts, against the better of heap and RocksDB', () => {
  const results = new Results(folder());
  const cells = (): string[] =>
    tableOf(results)
      .split('\n')[2]!
      .split('|')
      .map((cell) => cell.trim());
  const [heap, ours, rocksdb] = casesOf(comparison('q4'), 1) as [Case, Case, Case];
  results.add(ours, run(1000, 1000));
  results.add(heap, run(20_000, 30_000));
  expect(cells()).toEqual(expect.arrayContaining(['q4', '20', '30', '**20**', '8, aim 20', 'aim']));
  // A third of the events in a sixth of the time.
  results.add(rocksdb, run(3500, 4000));
  expect(cells()).toEqual(expect.arrayContaining(['10.5', '12', '**10.5**', 'yes']));
});
