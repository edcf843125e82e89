/** What the planner finds out about the rows of joins: which can meet no other, and which keys never repeat. */
import { describe, expect, test } from 'vitest';
import {
  blackhole,
  type Columns,
  channel,
  count,
  explain,
  from,
  job,
  max,
  type RowOf,
  type Stream,
  schema,
  t,
  tumble,
} from '../../index.ts';

const auction = schema({ id: t.bigint(), category: t.int(), opens: t.timestamp(3), closes: t.timestamp(3).nullable() });
const bid = schema({ auction: t.bigint(), price: t.bigint(), at: t.timestamp(3) });
const auctions = channel(auction);
const bids = channel(bid);
const timedAuctions = (options = {}) => from(auctions, options).eventTime('opens', { outOfOrderness: '1 second' });
const timedBids = () => from(bids).eventTime('at', { outOfOrderness: '1 second' });

// biome-ignore lint/suspicious/noExplicitAny: streams of any rows
const keeps = async (stream: Stream<any, any>): Promise<string> => {
  const text = await explain(stream, { parallelism: 1 });
  return text.split('\n').find((line) => line.includes('· keeps rows of the left'))!;
};

describe('what a join keeps', () => {
  test('an interval of columns bounds both sides by event time', async () => {
    const joined = timedAuctions()
      .join(timedBids(), (a, b) => a.id.eq(b.auction).and(b.at.between(a.opens, a.closes)))
      .select((a, b) => ({ id: a.id, price: b.price }));
    expect(await keeps(joined)).toMatch(
      /left side by \(id\), each until event time passes closes; rows of the right side by \(auction\), each until event time passes at$/,
    );
  });

  test('a window joined back to its rows bounds both sides', async () => {
    const best = timedBids()
      .groupBy(tumble('10 seconds'))
      .aggregate((b) => ({ price: max(b.price) }));
    const joined = timedBids()
      .join(best, (b, m) => b.price.eq(m.price).and(b.at.gte(m.window.start)).and(b.at.lt(m.window.end)))
      .select((b, m) => ({ price: b.price, window: m.window }));
    expect(await keeps(joined)).toMatch(
      /left side by \(price\), each until event time passes at \+ 9999 ms|left side by \(price\), each until event time passes at \+ 9.999 seconds/,
    );
    expect(await keeps(joined)).toMatch(/right side by \(price\), each until event time passes window.end/);
  });

  test('a declared key lets go of rows that have met its one row, also where a filter drops it', async () => {
    const joined = from(bids)
      .join(
        from(auctions, { key: 'id' }).filter((a) => a.category.eq(10)),
        (b, a) => b.auction.eq(a.id),
      )
      .select((b, a) => ({ price: b.price, id: a.id }));
    expect(await keeps(joined)).toMatch(
      /left side by \(auction\), each until its one match comes \(id never repeats\); rows of the right side by \(id\), for as long as/,
    );
  });

  test.each([
    ['no declaration', {}],
    ['a key that is not all of the declared one', { key: ['id', 'category'] as const }],
  ])('%s: nothing bounds it, which is a warning', async (_, options) => {
    const joined = from(bids)
      .join(from(auctions, options), (b, a) => b.auction.eq(a.id))
      .select((b, a) => ({ price: b.price, id: a.id }));
    expect(await keeps(joined)).toContain('nothing bounds it');
    expect(await explain(joined)).toMatch(/warning: join.*declare a source's key that never repeats/);
  });

  test('an outer join, a column that may be corrected and a side without event time bound nothing', async () => {
    type Side<S> = Columns<RowOf<S>>;
    const between = (a: Side<typeof auction>, b: Side<typeof bid>) =>
      a.id.eq(b.auction).and(b.at.between(a.opens, a.closes));
    const outer = timedAuctions()
      .leftJoin(timedBids(), between)
      .select((a, b) => ({ id: a.id, price: b.price }));
    expect(await keeps(outer)).toContain('nothing bounds it');
    const untimed = timedAuctions()
      .join(from(bids), between)
      .select((a, b) => ({ id: a.id, price: b.price }));
    expect(await keeps(untimed)).toContain('nothing bounds it');
  });

  test('a key that is no column is refused', () => {
    expect(() => from(auctions, { key: 'nope' as 'id' })).toThrow(
      /has no column 'nope'; it has id, category, opens, closes/,
    );
  });
});

describe('what groups behind a join keep', () => {
  const offers = (
    options = {},
    filter = (a: Columns<RowOf<typeof auction>>, b: Columns<RowOf<typeof bid>>) => b.at.between(a.opens, a.closes),
  ) =>
    timedAuctions(options)
      .join(timedBids(), (a, b) => a.id.eq(b.auction).and(filter(a, b)))
      .select((a, b) => ({ id: a.id, auction: b.auction, category: a.category, price: b.price }));
  // biome-ignore lint/suspicious/noExplicitAny: streams of any rows
  const last = async (stream: Stream<any, any>): Promise<string> => {
    const text = await explain(stream, { parallelism: 1 });
    return text
      .split('\n')
      .filter((line) => /· keeps one/.test(line))
      .at(0)!;
  };

  test('they go with their auction, whose time is carried to them', async () => {
    const best = (key: 'id' | 'auction', options = {}) =>
      offers(options)
        .groupBy(key, 'category')
        .aggregate((r) => ({ price: max(r.price) }));
    expect(await last(best('id', { key: 'id' }))).toMatch(
      /one entry per \(id, category\), each until event time passes closes/,
    );
    expect(await last(best('auction', { key: 'id' }))).toMatch(/each until event time passes closes/);
    expect(await last(offers({ key: 'id' }).groupBy('id').topN(1, { orderBy: 'price' }))).toMatch(
      /one row per key, each until event time passes closes/,
    );
    expect(await last(best('id'))).toContain('for as long as the job runs');
  });

  test('not where rows of other keys are grouped, or a time says nothing of rows to come', async () => {
    const byCategory = offers({ key: 'id' })
      .groupBy('category')
      .aggregate((r) => ({ price: max(r.price) }));
    expect(await last(byCategory)).toContain('for as long as the job runs');
    const oneSided = offers({ key: 'id' }, (a, b) => b.at.lte(a.closes))
      .groupBy('id')
      .aggregate((r) => ({ price: max(r.price) }));
    expect(await last(oneSided)).toContain('for as long as the job runs');
  });

  test('not where rows may come late: a stream as it came, beside such a join', async () => {
    const ends = job('two', () => ({
      joined: offers({ key: 'id' }).to(blackhole()),
      moments: timedBids()
        .groupBy('at')
        .aggregate(() => ({ n: count() }))
        .to(blackhole()),
    }));
    const text = await explain(ends, { parallelism: 1 });
    expect(text).toMatch(/keeps one entry per \(at\), kept for as long as the job runs/);
  });
});
