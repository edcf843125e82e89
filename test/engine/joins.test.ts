/** Joins as a person runs them: through corrections, a crash and another parallelism; and what is refused. */

import { describe, expect, test } from 'vitest';
import { channel, collect, collection, count, explain, from, schema, sum, t } from '../../index.ts';
import { testDriver } from '../../testing.ts';

const auctions = channel(schema({ id: t.bigint(), category: t.string() }));
const bids = channel(schema({ auction: t.bigint().nullable(), price: t.bigint() }));

interface Change {
  readonly kind: string;
  readonly row: Readonly<Record<string, unknown>>;
}

/** What a changelog comes to. */
function fold(changes: readonly Change[], into = new Map<string, number>()): Map<string, number> {
  for (const { kind, row } of changes) {
    const text = JSON.stringify(row);
    const n = (into.get(text) ?? 0) + (kind === '+I' || kind === '+U' ? 1 : -1);
    expect(n, `${kind} ${text}`).toBeGreaterThanOrEqual(0);
    if (n === 0) into.delete(text);
    else into.set(text, n);
  }
  return into;
}

describe.each([1, 2, 3])('at parallelism %i', (parallelism) => {
  test('a row stands alone until its match comes, through a crash', async () => {
    const standing = from(auctions)
      .leftJoin(from(bids), (a, b) => a.id.eq(b.auction).and(b.price.gt(10)))
      .select((a, b) => ({ id: a.id, price: b.price }));
    await using driver = testDriver({ standing }, { seed: 7, parallelism });
    driver.push(auctions, { id: 1, category: 'a' }, { id: 2, category: 'b' });
    driver.push(bids, { auction: 1, price: 5 }, { auction: null, price: 50 });
    const result = fold((await driver.read('standing')) as Change[]);
    expect([...result.keys()].sort()).toEqual(['{"id":1,"price":null}', '{"id":2,"price":null}']);
    driver.checkpoint();
    driver.crash();
    driver.restore({ parallelism: 4 - parallelism });
    driver.push(bids, { auction: 2, price: 20 }, { auction: 2, price: 21 });
    fold((await driver.read('standing')) as Change[], result);
    expect([...result.keys()].sort()).toEqual(['{"id":1,"price":null}', '{"id":2,"price":20}', '{"id":2,"price":21}']);
  });

  test('what a side takes back, the join and what groups it take back', async () => {
    const best = from(bids)
      .groupBy('auction')
      .aggregate((b) => ({ bids: count(), total: sum(b.price) }));
    const perCategory = from(auctions)
      .join(best, (a, b) => a.id.eq(b.auction))
      .select((a, b) => ({ category: a.category, total: b.total }))
      .groupBy('category')
      .aggregate((r) => ({ auctions: count(), total: sum(r.total) }));
    await using driver = testDriver({ perCategory }, { seed: 11, parallelism });
    const result = new Map<string, number>();
    for (let i = 0; i < 60; i++) {
      if (i % 10 === 0) driver.push(auctions, { id: i / 10, category: i % 20 === 0 ? 'even' : 'odd' });
      driver.push(bids, { auction: i % 7, price: i });
      if (i === 40) driver.checkpoint();
      if (i === 45) {
        driver.crash();
        driver.restore({ parallelism: 4 - parallelism });
      }
    }
    fold((await driver.read('perCategory')) as Change[], result);
    const totals = [0, 1, 2, 3, 4, 5].map((id) =>
      Array.from({ length: 60 }, (_, i) => i)
        .filter((i) => i % 7 === id)
        .reduce((a, b) => a + b, 0),
    );
    const of = (parity: number): number => totals.filter((_, id) => id % 2 === parity).reduce((a, b) => a + b, 0);
    expect([...result.keys()].sort()).toEqual([
      JSON.stringify({ category: 'even', auctions: 3, total: of(0) }),
      JSON.stringify({ category: 'odd', auctions: 3, total: of(1) }),
    ]);
  });
});

describe.each([1, 2, 3])('bounded joins at parallelism %i', (parallelism) => {
  const sales = channel(schema({ id: t.bigint(), category: t.string() }));
  const offers = channel(schema({ auction: t.bigint(), price: t.bigint() }));

  test('rows wait for the one row of a key, also for one that a filter drops, through a crash', async () => {
    const sold = from(offers)
      .join(
        from(sales, { key: 'id' }).filter((a) => a.category.eq('ink')),
        (b, a) => b.auction.eq(a.id),
      )
      .select((b, a) => ({ price: b.price, category: a.category }));
    await using driver = testDriver({ sold }, { seed: 5, parallelism });
    const read = async () => (await driver.read('sold')).map(({ price }) => price).sort();
    driver.push(offers, { auction: 1, price: 10 }, { auction: 2, price: 20 }, { auction: 3, price: 30 });
    driver.push(sales, { id: 1, category: 'ink' }, { id: 2, category: 'pens' });
    expect(await read()).toEqual([10]);
    driver.checkpoint();
    driver.crash();
    driver.restore({ parallelism: 4 - parallelism });
    driver.push(offers, { auction: 1, price: 11 }, { auction: 2, price: 21 });
    driver.push(sales, { id: 3, category: 'ink' }, { id: 1, category: 'ink' });
    driver.push(offers, { auction: 3, price: 31 }, { auction: 1, price: 12 });
    // Auction 1 repeats against its declaration: it is left out.
    expect(await read()).toEqual([11, 12, 30, 31]);
  });

  const lots = channel(schema({ id: t.bigint(), opens: t.timestamp(3), closes: t.timestamp(3) }));
  const bidding = channel(schema({ lot: t.bigint(), price: t.bigint(), at: t.timestamp(3) }));

  test('old auctions stay for late bids as long as event time allows, and no longer', async () => {
    const timed = from(lots)
      .eventTime('opens', { outOfOrderness: '10 seconds' })
      .join(from(bidding).eventTime('at', { outOfOrderness: '10 seconds' }), (l, b) =>
        l.id.eq(b.lot).and(b.at.between(l.opens, l.closes)),
      )
      .select((l, b) => ({ id: l.id, price: b.price }));
    await using driver = testDriver({ timed }, { seed: 3, parallelism });
    const at = (second: number): Date => new Date(second * 1000);
    const read = async () => (await driver.read('timed')).map(({ price }) => price).sort();
    driver.push(lots, { id: 1, opens: at(0), closes: at(5) }, { id: 2, opens: at(0), closes: at(100) });
    driver.push(bidding, { lot: 1, price: 1, at: at(4) }, { lot: 3, price: 3, at: at(12) });
    // A bid that comes before its auction does; one on an old auction, out of order and in time.
    driver.push(lots, { id: 3, opens: at(11), closes: at(20) });
    driver.push(bidding, { lot: 1, price: 2, at: at(5) });
    expect(await read()).toEqual([1, 2, 3]);
    driver.push(lots, { id: 4, opens: at(60), closes: at(61) });
    driver.push(bidding, { lot: 2, price: 4, at: at(60) });
    expect(await read()).toEqual([4]);
    driver.checkpoint();
    driver.crash();
    driver.restore({ parallelism: 4 - parallelism });
    // Late: event time has come to 50 seconds. In time, on an auction as old.
    driver.push(bidding, { lot: 2, price: 5, at: at(40) }, { lot: 2, price: 6, at: at(51) });
    expect(await read()).toEqual([6]);
  });
});

describe('plans', () => {
  const rows = from(collection([{ id: 1, name: 'a' }], { schema: schema({ id: t.bigint(), name: t.string() }) }));

  test('explain says what a join keeps, what bounds it, and what is compiled', async () => {
    const text = await explain(
      rows
        .leftJoin(rows, (l, r) => l.id.eq(r.id).and(l.name.lt(r.name)))
        .select((l, r) => ({ id: l.id, other: r.name })),
      { mode: 'stream', parallelism: 2 },
    );
    expect(text).toContain('left join on left.id = right.id');
    expect(text).toContain('matches where left.name < right.name');
    expect(text).toContain('changes +I −U +U −D');
    expect(text).toMatch(
      /keeps rows of the left side by \(id\) and rows of the right side by \(id\), for as long as the job runs.*nothing bounds it/,
    );
    expect(text).toMatch(/compiled +leftJoin +left.name < right.name/);
    expect(text).toContain('hash(id)');
  });

  test('equal keys of different numbers meet', async () => {
    const small = from(collection([{ n: 1 }, { n: 2 }], { schema: schema({ n: t.int() }) }));
    const large = from(collection([{ n: 2 }, { n: 3 }], { schema: schema({ n: t.double() }) }));
    const joined = small.fullJoin(large, (s, l) => s.n.eq(l.n)).select((s, l) => ({ s: s.n, l: l.n }));
    const found = await collect(joined, { parallelism: 2 });
    expect(found.map(({ s, l }) => `${s} ${l}`).sort()).toEqual(['1 null', '2 2', 'null 3']);
  });
});

test('a filter behind a join is asked where its rows come from', async () => {
  const left = from(collection([{ id: 1, a: 1 }], { schema: schema({ id: t.bigint(), a: t.bigint() }) }));
  const right = from(collection([{ id: 1, b: 1 }], { schema: schema({ id: t.bigint(), b: t.bigint() }) }));
  const filtered = left
    .leftJoin(right, (l, r) => l.id.eq(r.id))
    .select((l, r) => ({ a: l.a, b: r.b }))
    .filter((row) => row.a.eq(2).and(row.b.isNull()));
  const text = await explain(filtered, { parallelism: 1 });
  const join = text.indexOf('left join on left.id = right.id');
  expect(text.indexOf('where a = 2')).toBeGreaterThan(0);
  expect(text.indexOf('where a = 2')).toBeLessThan(join);
  expect(text.indexOf('where right.b IS NULL')).toBeGreaterThan(join);
  expect(await collect(filtered)).toEqual([]);
});
