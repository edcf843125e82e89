import { describe, expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import { aggregate, column, field, PlanBuilder, tumble, types } from '../support/plan-builder.ts';
import type { Row } from '../support/reference.ts';
import { runPlanLocally } from '../support/run-plan.ts';

const fields = [field('k', types.int), field('v', types.bigint), field('at', types.timestamp3)];

describe('late rows are counted one by one', () => {
  for (const parallelism of [1, 2, 3]) {
    for (const seed of [1, 2, 3, 4]) {
      test(`in two phases, at parallelism ${parallelism}, seed ${seed}`, async () => {
        const random = prng(seed);
        const builder = new PlanBuilder();
        const source = builder.source(fields, { bounded: false, place: 'caller' });
        // Nobody asks for a count of rows; sums of 1 tell which arrived.
        const timed = builder.eventTime(source, 'at');
        const sums = builder.group(timed, ['k', null], { n: aggregate('sum', column('v')) }, tumble(1000));
        const plan = builder.plan(builder.sink(sums));
        const rows = Array.from(
          { length: 3000 },
          (_, i): Row => [
            random.below(3),
            1n,
            BigInt(1_000_000 + i * 5 - (random.below(4) === 0 ? random.below(20_000) : 0)),
          ],
        );
        const job = { builder, plan, sources: builder.sources, rows: new Map([[source.node, rows]]) };
        const options = { parallelism, batchRows: 50, memory: '64mb', mode: 'stream' } as const;
        const { received, run } = await runPlanLocally(job, options, {
          seed,
          ringBytes: 32 * 1024,
          drainWhenIdle: true,
        });
        const onTime = (received.get('result')!.items as { row: { n: number } }[]).reduce(
          (sum, { row }) => sum + row.n,
          0,
        );
        expect(run.numbers.lateRows).toBeGreaterThan(0);
        expect(onTime + run.numbers.lateRows).toBe(rows.length);
      });
    }
  }
});
