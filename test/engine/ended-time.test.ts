/**
 * Event time of ended input behind operators whose rows come at its end: it must not pass them before, or who reads those rows
 * fires without them. Many orders of steps, drawn from seeds, give one answer.
 */
import { describe, expect, test } from 'vitest';
import { count, desc, from, generator, hop, schema, state, t } from '../../index.ts';
import { runJob } from '../support/run-job.ts';

const start = '2026-01-01T00:00:00Z';
const windows = from(
  generator({
    rows: 3000,
    seed: 4,
    columns: (g) => ({ k: g.int(0, 40), at: g.time({ start, perSecond: 100, disorder: '1 second' }) }),
  }),
)
  .eventTime('at', { outOfOrderness: '1 second' })
  .groupBy('k', hop('10 seconds', '2 seconds'))
  .aggregate(() => ({ n: count() }));

const jobs = {
  'the best of each window': windows
    .groupBy('window')
    .topN(1, { orderBy: desc('n'), using: 'RANK' })
    .pick('k', 'n'),
  'timers of keys that windows are counted for': windows
    .select((w) => ({ k: w.k, n: w.n, at: w.window.end }))
    .keyBy('k')
    .process({
      output: schema({ k: t.int(), total: t.bigint() }),
      state: { total: state.value(t.bigint()) },
      onRow(row, ctx) {
        ctx.state.total.set((ctx.state.total.get() ?? 0) + row.n);
        // Long after the first windows, and before the last: it fires when all have been counted, or it fired too early.
        ctx.timers.eventTime('told', new Date(Date.parse(start) + 20_000));
      },
      onTimer(_timer, ctx) {
        ctx.emit({ k: ctx.key.k, total: ctx.state.total.get()! });
      },
    }),
};

describe.each(Object.entries(jobs))('%s', (_name, job) => {
  test.each([2, 3])('at parallelism %i as at one', async (parallelism) => {
    const lines = async (options: { parallelism: number; batchRows: number }, seed: number): Promise<string[]> => {
      const { rows } = await runJob(job, options, { seed, ringBytes: 32 * 1024 });
      return [...rows.values()]
        .flat()
        .map((row) => JSON.stringify(row))
        .sort();
    };
    const expected = await lines({ parallelism: 1, batchRows: 4096 }, 1);
    expect(expected.length).toBeGreaterThan(10);
    for (let seed = 1; seed <= 12; seed++) {
      expect(await lines({ parallelism, batchRows: seed % 2 ? 7 : 64 }, seed), `seed ${seed}`).toEqual(expected);
    }
  });
});
