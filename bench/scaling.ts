/** Two slots against our own fastest run in one: group-by and window, 10 K and 1 M keys. */
import { type ArrowBatch, arrowBatches, arrowTable, count, from, run, sum } from '../index.ts';
import { tableOf } from './data.ts';
import { groupColumns } from './group-by.ts';
import type { Bench, BenchCase, CaseOptions } from './harness.ts';
import { runWindows } from './window.ts';

/** Runs the work at a parallelism; answers what must be the same at all of them. */
type Work = (parallelism: number) => Promise<string>;

export const scaling: Bench = {
  name: 'scaling',
  describe: "two slots' rows per second over the best of one slot's",
  cases: [
    scalingCase('group-by-10k', '1.8 ×', (rows) => grouping(rows, 10_000)),
    scalingCase('group-by-1m', '1.4 ×', (rows) => grouping(rows, 1_000_000)),
    scalingCase('window-10k', '1.8 ×', (rows) => windowing(rows, 10_000)),
    scalingCase('window-1m', '1.4 ×', (rows) => windowing(rows, 1_000_000)),
  ],
};

function scalingCase(name: string, bar: string, make: (rows: number) => Work): BenchCase {
  return { name, rows: 10_000_000, slots: [2], bar, measure: (options) => measure(options, make(options.rows)) };
}

async function measure({ smoke }: CaseOptions, work: Work) {
  const best = { 1: Number.POSITIVE_INFINITY, 2: Number.POSITIVE_INFINITY };
  const answers = new Set<string>();
  for (let turn = 0; turn < (smoke ? 1 : 7); turn++) {
    for (const slots of [1, 2] as const) {
      (globalThis as { gc?: () => void }).gc?.();
      const began = performance.now();
      const answer = await work(slots);
      const ms = performance.now() - began;
      answers.add(answer);
      // The first turn warms up.
      if (turn > 0 || smoke) best[slots] = Math.min(best[slots], ms);
    }
  }
  const checked = answers.size === 1;
  const of = (name: string, value: number, unit: string) => ({
    engine: 'millrace' as const,
    name,
    value: Number(value.toPrecision(4)),
    unit,
    checked,
  });
  return [
    of('one slot', best[1], 'ms'),
    of('two slots', best[2], 'ms'),
    of('two slots over one', best[1] / best[2], '×'),
  ];
}

function grouping(rows: number, keys: number): Work {
  const table = tableOf(groupColumns(rows, keys, 'i64'));
  return async (parallelism) => {
    const batches: ArrowBatch[] = [];
    const grouped = from(arrowTable(table))
      .groupBy('k')
      .aggregate((r) => ({ total: sum(r.v), n: count() }));
    await run(grouped.to(arrowBatches((batch) => batches.push(batch))), { parallelism }).result();
    return String(batches.reduce((all, batch) => all + batch.numRows, 0));
  };
}

function windowing(rows: number, keys: number): Work {
  return async (parallelism) => (await runWindows(rows, { keys, sizeMs: 1000, slideMs: 1000 }, parallelism)).join();
}
