/** Nexmark's three sources in jobs: bounded and not, at several parallelisms, one read for several branches. */
import { collect, count, explain, from, max, run, sum, tumble } from 'millrace';
import { nexmark } from 'millrace/connectors/nexmark';
import { expect, test } from 'vitest';

const events = 20_000;
const perWindow = (n: ReturnType<typeof nexmark<typeof events>>) => {
  const { persons, auctions, bids } = n;
  const times = from(persons)
    .select((p) => ({ kind: 'person', at: p.dateTime, id: p.id }))
    .union(from(auctions).select((a) => ({ kind: 'auction', at: a.dateTime, id: a.id })))
    .union(from(bids).select((b) => ({ kind: 'bid', at: b.dateTime, id: b.auction })));
  return times
    .groupBy('kind', tumble('1 second'))
    .aggregate((e) => ({ n: count(), last: max(e.id), ids: sum(e.id) }))
    .select((e) => ({ kind: e.kind, start: e.window.start, n: e.n, last: e.last, ids: e.ids }));
};
const sorted = (rows: readonly object[]): string[] => rows.map((row) => JSON.stringify(row)).sort();

test('three sources in one job: the same windows bounded and unbounded, alone and side by side', async () => {
  const source = nexmark({ events, rate: 1000, seed: 4 });
  const expected = sorted(await collect(perWindow(source), { parallelism: 1 }));
  expect(expected.length).toBe(60);
  expect(sorted(await collect(perWindow(source), { parallelism: 3 }))).toEqual(expected);
  for (const parallelism of [1, 2]) {
    const rows: object[] = [];
    const handle = run(perWindow(source), { parallelism, mode: 'stream', batchRows: 64 } as never);
    for await (const row of handle) {
      rows.push(row as object);
      // The windows that the watermark has passed; the last four seconds stay open.
      if (rows.length === 45) break;
    }
    await handle.cancel();
    expect(expected).toEqual(expect.arrayContaining(sorted(rows)));
  }
}, 60_000);

test('several branches read a source once, and only what they need', async () => {
  const { bids } = nexmark({ events });
  const text = await explain({
    a: from(bids)
      .filter((b) => b.price.gt(1_000_000))
      .pick('auction'),
    b: from(bids).pick('bidder'),
  });
  expect(text.match(/source nexmark bids/g)?.length).toBeGreaterThan(0);
  const physical = text.slice(text.search(/^Chains/m), text.search(/^Shared/m));
  expect(physical.match(/nexmark bids/g)?.length).toBe(1);
  expect(physical).not.toMatch(/extra|url/);
});
