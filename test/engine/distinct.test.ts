/** Distinct values through the whole engine, where keys and values are alike. */
import { collect, count, from, generator } from 'millrace';
import { expect, test } from 'vitest';

test('the values of a column are counted within groups of that column: one each, in no more room than other values take', async () => {
  const rows = 60_000;
  const own = from(generator({ rows, columns: (g) => ({ k: g.int(1, 20_000), v: g.int(1, 20_000) }) }))
    .groupBy('k')
    .aggregate((r) => ({ own: count(r.k).distinct(), other: count(r.v).distinct(), n: count() }));
  const groups = await collect(own, { parallelism: 1, memory: '64mb' });
  expect(groups.filter((group) => Number(group.own) !== 1)).toEqual([]);
  expect(groups.reduce((sum, { n }) => sum + Number(n), 0)).toBe(rows);
  expect(groups.every(({ other, n }) => other >= 1 && other <= n)).toBe(true);
});
