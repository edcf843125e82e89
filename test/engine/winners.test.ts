/**
 * A stream joined with the maximum of its own windows, which the planner filters beforehand, beside the same join written
 * so that it cannot: by computed keys. Late rows, restarts and other parallelism change nothing.
 */
import { blackhole, channel, explain, from, hop, job, max, min, schema, t, tumble } from 'millrace';
import { testDriver } from 'millrace/testing';
import { describe, expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';

const bid = schema({ id: t.bigint(), g: t.string(), v: t.bigint().nullable(), at: t.timestamp(3) });
const bids = () => channel(bid);
type Bids = ReturnType<typeof bids>;
const timed = (source: Bids) => from(source).eventTime('at', { outOfOrderness: '3 seconds' });

/** `more`: added to both sides of the condition. */
const shapes = {
  'highest of tumbling windows': (source: Bids, more: number | null) =>
    timed(source)
      .join(
        timed(source)
          .groupBy(tumble('10 seconds'))
          .aggregate((b) => ({ v: max(b.v) })),
        (b, most) =>
          (more === null ? b.v.eq(most.v) : b.v.add(more).eq(most.v.add(more)))
            .and(b.at.gte(most.window.start))
            .and(b.at.lt(most.window.end)),
      )
      .select((b) => ({ id: b.id })),
  'highest of each group': (source: Bids, more: number | null) =>
    timed(source)
      .join(
        timed(source)
          .groupBy('g', tumble('10 seconds'))
          .aggregate((b) => ({ v: max(b.v) })),
        (b, most) =>
          (more === null ? b.v.eq(most.v) : b.v.add(more).eq(most.v.add(more)))
            .and(b.g.eq(most.g))
            .and(b.at.gte(most.window.start))
            .and(most.window.end.gt(b.at)),
      )
      .select((b) => ({ id: b.id })),
  'lowest of hopping windows': (source: Bids, more: number | null) =>
    timed(source)
      .join(
        timed(source)
          .groupBy('g', hop('15 seconds', '5 seconds'))
          .aggregate((b) => ({ v: min(b.v) })),
        (b, least) =>
          (more === null ? b.v.eq(least.v) : b.v.add(more).eq(least.v.add(more)))
            .and(b.g.eq(least.g))
            .and(b.at.gte(least.window.start))
            .and(b.at.lt(least.window.end)),
      )
      .select((b) => ({ id: b.id })),
};

describe.each(Object.entries(shapes))('%s', (_name, shape) => {
  test('is filtered before the join, and where it is computed it is not', async () => {
    const source = bids();
    expect(await explain(shape(source, null).to(blackhole()))).toContain('dynamic filter');
    expect(await explain(shape(source, 1).to(blackhole()))).not.toContain('dynamic filter');
  });

  test.each([1, 2, 3])('has the same rows at parallelism %i, late ones and a crash among them', async (parallelism) => {
    const seed = 71 + parallelism;
    const random = prng(seed);
    const source = bids();
    const ends = job('winners', () => ({ filtered: shape(source, null), plain: shape(source, 1) }));
    await using driver = testDriver(ends, { parallelism, seed, batchRows: 16 });
    const seen = { filtered: [] as number[], plain: [] as number[] };
    const read = async (): Promise<void> => {
      for (const output of ['filtered', 'plain'] as const)
        seen[output].push(...((await driver.read(output)) as { id: number }[]).map(({ id }) => id));
    };
    for (let i = 0; i < 400; i += 20) {
      const rows = Array.from({ length: 20 }, (_, k) => ({
        id: i + k,
        g: `g${random.below(3)}`,
        v: random.below(10) === 0 ? null : random.below(12),
        // Every tenth or so comes long after its window.
        at: new Date(Math.max(0, (i + k) * 250 - random.below(random.below(10) === 0 ? 60_000 : 3_000))),
      }));
      await driver.push(source, rows);
      if (i === 160) await driver.checkpoint();
      if (i === 240) {
        await read();
        await driver.crash();
        await driver.restore({ parallelism: 1 + (parallelism % 3) });
      }
    }
    await driver.end();
    await read();
    const sorted = (of: readonly number[]): string => `seed ${seed}: ${of.toSorted((a, b) => a - b)}`;
    expect(seen.filtered.length).toBeGreaterThan(20);
    expect(sorted(seen.filtered)).toBe(sorted(seen.plain));
  });
});

describe('what may not be filtered is not', () => {
  const join = (other: (source: Bids) => ReturnType<typeof highest>, until: 'lt' | 'lte' = 'lt') => {
    const source = bids();
    return explain(
      timed(source)
        .join(other(source), (b, most) =>
          b.v.eq(most.v).and(b.at.gte(most.window.start)).and(b.at[until](most.window.end)),
        )
        .select((b) => ({ id: b.id }))
        .to(blackhole()),
    );
  };
  const highest = (source: Bids) =>
    timed(source)
      .groupBy(tumble('10 seconds'))
      .aggregate((b) => ({ v: max(b.v) }));

  test('as such it is', async () => {
    expect(await join(highest)).toContain('dynamic filter');
  });
  test('a maximum of some rows only', async () => {
    const some = (source: Bids) =>
      timed(source)
        .filter((b) => b.g.eq('a'))
        .groupBy(tumble('10 seconds'))
        .aggregate((b) => ({ v: max(b.v) }));
    expect(await join(some)).not.toContain('dynamic filter');
    const counted = (source: Bids) =>
      timed(source)
        .groupBy(tumble('10 seconds'))
        .aggregate((b) => ({ v: max(b.v).filter(b.g.eq('a')) }));
    expect(await join(counted)).not.toContain('dynamic filter');
  });
  test('a maximum that is corrected later', async () => {
    const source = bids();
    const corrected = timed(source)
      .groupBy(tumble('10 seconds'))
      .aggregate((b) => ({ v: max(b.v) }), { allowedLateness: '1 minute' });
    const winners = timed(source)
      .join(corrected, (b, most) => b.v.eq(most.v).and(b.at.gte(most.window.start)).and(b.at.lt(most.window.end)))
      .select((b) => ({ id: b.id }));
    expect(await explain(winners.to(blackhole()))).not.toContain('dynamic filter');
  });
  test('versions: one that is left out would let an older one stand', async () => {
    const source = bids();
    const versions = highest(source)
      .asOfJoin(timed(source), (most, b) =>
        b.v.eq(most.v).and(b.at.gte(most.window.start)).and(b.at.lt(most.window.end)),
      )
      .select((most, b) => ({ id: b.id, v: most.v }));
    expect(await explain(versions.to(blackhole()))).not.toContain('dynamic filter');
  });
  test('rows of the next window', async () => {
    expect(await join(highest, 'lte')).not.toContain('dynamic filter');
  });
  test('the maximum of other rows', async () => {
    const other = bids();
    expect(await join(() => highest(other))).not.toContain('dynamic filter');
  });
});
