/** Many slots on few cores, and what travels between threads as messages. */
import { collect, count, from, generator, run, sum } from 'millrace';
import { expect, test } from 'vitest';

const grouped = (rows: number) =>
  from(generator({ rows, seed: 3, columns: (g) => ({ key: g.bigint(0, 999), value: g.bigint(0, 9) }) }))
    .groupBy('key')
    .aggregate((r) => ({ rows: count(), total: sum(r.value) }));

for (const parallelism of [16, 64]) {
  test(`${parallelism} slots give the answer of one`, async () => {
    const byKey = (a: { key: number }, b: { key: number }): number => a.key - b.key;
    const expected = (await collect(grouped(200_000), { parallelism: 1 })).sort(byKey);
    const handle = run(grouped(200_000), { parallelism });
    const rows: typeof expected = [];
    for await (const row of handle) rows.push(row);
    expect(rows.sort(byKey)).toEqual(expected);
    const { inboxBytes } = handle.metrics();
    const rss = Math.round(process.memoryUsage().rss / 2 ** 20);
    console.log(`${parallelism} slots: ${(inboxBytes / 2 ** 20).toFixed(1)} MB of inboxes, RSS ${rss} MB`);
    expect(inboxBytes).toBeGreaterThan(0);
  });
}

test('the number of messages between threads does not grow with rows', async () => {
  const messages = async (rows: number): Promise<number> => {
    const handle = run(grouped(rows), { parallelism: 2 });
    for await (const _ of handle);
    return (await handle.result()).messages;
  };
  const few = await messages(1000);
  expect(few).toBeGreaterThan(0);
  expect(await messages(2_000_000)).toBe(few);
});
