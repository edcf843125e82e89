/** Interval joins and as-of joins through the whole engine: DuckDB's answer over ended input, the same from streams, through a crash. */
import { DuckDBInstance } from '@duckdb/node-api';
import { beforeAll, describe, expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import {
  channel,
  collect,
  collection,
  count,
  explain,
  from,
  job,
  type Mode,
  type Stream,
  type StreamOf,
  schema,
  t,
  tumble,
} from '../../index.ts';
import { testDriver } from '../../testing.ts';

const order = schema({ id: t.bigint(), currency: t.string().nullable(), at: t.timestamp(3) });
const rate = schema({ number: t.bigint(), currency: t.string().nullable(), rate: t.bigint(), at: t.timestamp(3) });
type Order = { id: number; currency: string | null; at: Date };
type Rate = { number: number; currency: string | null; rate: number; at: Date };

const random = prng(11);
const currency = (): string | null => ['EUR', 'JPY', 'USD', null][random.below(4)] as string | null;
const orders = Array.from(
  { length: 400 },
  (_, id): Order => ({ id, currency: currency(), at: new Date(1000 * id + random.below(900)) }),
);
const rates = Array.from(
  { length: 120 },
  (_, number): Rate => ({
    number,
    currency: currency(),
    rate: random.below(100),
    at: new Date(3400 * number + random.below(3000)),
  }),
);

type Orders = Stream<Order, Mode>;
type Rates = Stream<Rate, Mode>;
interface Case {
  readonly query: (o: Orders, r: Rates) => StreamOf<unknown, Mode>;
  readonly sql: string;
}
const within = { within: ['-5 seconds', '7 seconds'] } as const;
const between = 'o.currency = r.currency AND r.at BETWEEN o.at - INTERVAL 5 SECOND AND o.at + INTERVAL 7 SECOND';
const cases: Readonly<Record<string, Case>> = {
  'interval join': {
    query: (o, r) =>
      o.join(r, (a, b) => a.currency.eq(b.currency), within).select((a, b) => ({ id: a.id, number: b.number })),
    sql: `SELECT id, number FROM orders o JOIN rates r ON ${between}`,
  },
  'interval leftJoin': {
    query: (o, r) =>
      o
        .leftJoin(r, (a, b) => a.currency.eq(b.currency).and(b.rate.gt(50)), within)
        .select((a, b) => ({ id: a.id, number: b.number })),
    sql: `SELECT id, number FROM orders o LEFT JOIN rates r ON ${between} AND r.rate > 50`,
  },
  'interval rightJoin': {
    query: (o, r) =>
      o.rightJoin(r, (a, b) => a.currency.eq(b.currency), within).select((a, b) => ({ id: a.id, number: b.number })),
    sql: `SELECT id, number FROM orders o RIGHT JOIN rates r ON ${between}`,
  },
  'interval fullJoin': {
    query: (o, r) =>
      o
        .fullJoin(r, (a, b) => a.currency.eq(b.currency), { within: ['2 seconds', '3 seconds'] })
        .select((a, b) => ({ id: a.id, number: b.number })),
    sql: `SELECT id, number FROM orders o FULL JOIN rates r
      ON o.currency = r.currency AND r.at BETWEEN o.at + INTERVAL 2 SECOND AND o.at + INTERVAL 3 SECOND`,
  },
  'interval semiJoin': {
    query: (o, r) => o.semiJoin(r, (a, b) => a.currency.eq(b.currency), within).select((a) => ({ id: a.id })),
    sql: `SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM rates r WHERE ${between})`,
  },
  'interval antiJoin': {
    query: (o, r) => o.antiJoin(r, (a, b) => a.currency.eq(b.currency), within).select((a) => ({ id: a.id })),
    sql: `SELECT id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM rates r WHERE ${between})`,
  },
  asOfJoin: {
    query: (o, r) =>
      o
        .asOfJoin(r, (a, b) => a.currency.eq(b.currency))
        .select((a, b) => ({ id: a.id, rate: b.rate, number: b.number })),
    sql: 'SELECT id, rate, number FROM orders o ASOF JOIN rates r ON o.currency = r.currency AND o.at >= r.at',
  },
  'leftAsOfJoin with a tolerance': {
    query: (o, r) =>
      o
        .leftAsOfJoin(r, (a, b) => a.currency.eq(b.currency), { tolerance: '4 seconds' })
        .select((a, b) => ({ id: a.id, number: b.number })),
    sql: `SELECT id, CASE WHEN r.at >= o.at - INTERVAL 4 SECOND THEN number END AS number
      FROM orders o ASOF LEFT JOIN rates r ON o.currency = r.currency AND o.at >= r.at`,
  },
  'leftAsOfJoin by versions that may say that there is none': {
    query: (o, r) =>
      o
        .leftAsOfJoin(r, (a, b) => a.currency.eq(b.currency).and(b.rate.gte(30)))
        .select((a, b) => ({ id: a.id, number: b.number })),
    sql: `SELECT id, CASE WHEN rate >= 30 THEN number END AS number
      FROM orders o ASOF LEFT JOIN rates r ON o.currency = r.currency AND o.at >= r.at`,
  },
};
const answers = new Map<string, readonly string[]>();

beforeAll(async () => {
  const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
  const text = (value: unknown): string =>
    value === null
      ? 'NULL'
      : value instanceof Date
        ? `TIMESTAMP '${value.toISOString().replace('Z', '')}'`
        : typeof value === 'string'
          ? `'${value}'`
          : String(value);
  const values = (rows: readonly object[]): string =>
    rows.map((row) => `(${Object.values(row).map(text).join()})`).join();
  await duckdb.run(`CREATE TABLE orders AS SELECT * FROM (VALUES ${values(orders)}) v(id, currency, "at")`);
  await duckdb.run(`CREATE TABLE rates AS SELECT * FROM (VALUES ${values(rates)}) v(number, currency, rate, "at")`);
  for (const [name, { sql }] of Object.entries(cases)) {
    const result = await duckdb.runAndReadAll(sql);
    answers.set(
      name,
      result
        .getRowsJS()
        .map((row) => JSON.stringify(row.map((value) => (value === null ? null : Number(value)))))
        .sort(),
    );
  }
});

const texts = (rows: readonly unknown[]): string[] =>
  rows.map((row) => JSON.stringify(Object.values(row as object))).sort();

describe.each(Object.keys(cases))('%s', (name) => {
  const { query } = cases[name]!;
  test.each([1, 2, 3])('over ended input at parallelism %i', async (parallelism) => {
    const rows = await collect(
      query(
        from(collection(orders, { schema: order })).eventTime('at') as Orders,
        from(collection(rates, { schema: rate })).eventTime('at') as Rates,
      ) as StreamOf<Record<string, unknown>, 'bounded'>,
      { parallelism },
    );
    expect(answers.get(name)!.length).toBeGreaterThan(10);
    expect(texts(rows)).toEqual(answers.get(name));
  });

  test.each([1, 2, 3])('of streams at parallelism %i, through a crash', async (parallelism) => {
    const [o, r] = [channel(order), channel(rate)];
    const outOfOrderness = '60 seconds';
    const joined = query(
      from(o).eventTime('at', { outOfOrderness }) as unknown as Orders,
      from(r).eventTime('at', { outOfOrderness }) as unknown as Rates,
    );
    await using driver = testDriver(
      job('timed', () => ({ joined })),
      { seed: parallelism, parallelism },
    );
    const rows: unknown[] = [];
    const read = async (): Promise<void> => void rows.push(...((await driver.read('joined')) as unknown as unknown[]));
    for (let part = 0; part < 8; part++) {
      driver.push(
        o,
        orders
          .slice(50 * part, 50 * part + 50)
          .reverse()
          .sort(() => random.below(3) - 1),
      );
      driver.push(r, rates.slice(15 * part, 15 * part + 15).reverse());
      await read();
      if (part === 3) {
        driver.checkpoint();
        driver.crash();
        driver.restore({ parallelism: 4 - parallelism });
      }
    }
    driver.end();
    await read();
    expect(texts(rows)).toEqual(answers.get(name));
  });
});

test('what comes out of an interval join has event time: the later of both, or when a row stands alone for good', async () => {
  const [o, r] = [channel(order), channel(rate)];
  const perTen = from(o)
    .eventTime('at')
    .leftJoin(from(r).eventTime('at'), (a, b) => a.currency.eq(b.currency), { within: ['0 seconds', '7 seconds'] })
    .select((a, b) => ({ id: a.id, number: b.number }))
    .groupBy(tumble('10 seconds'))
    .aggregate((j) => ({ rows: count(), met: count(j.number) }));
  await using driver = testDriver({ perTen }, { seed: 3, parallelism: 2 });
  const at = (seconds: number): Date => new Date(1000 * seconds);
  driver.push(o, { id: 1, currency: 'EUR', at: at(8) }, { id: 2, currency: 'USD', at: at(9) });
  driver.push(
    r,
    { number: 1, currency: 'EUR', rate: 1, at: at(9) },
    { number: 2, currency: 'EUR', rate: 1, at: at(14) },
  );
  driver.watermark(o, at(40));
  driver.watermark(r, at(40));
  // Late on its side: it meets nothing and stands alone nowhere.
  driver.push(o, { id: 3, currency: 'EUR', at: at(12) });
  const rows = await driver.read('perTen');
  expect(rows.map(({ window, rows: n, met }) => [window.start.getTime() / 1000, n, met])).toEqual([
    [0, 1, 1],
    [10, 2, 1],
  ]);
});

describe('explained and refused', () => {
  const live = from(channel(order)).eventTime('at');
  const versions = from(channel(rate)).eventTime('at');
  const plain = from(channel(rate));

  test('what is kept, and until when', async () => {
    const inner = live
      .join(versions, (o, r) => o.currency.eq(r.currency), within)
      .select((o, r) => ({ id: o.id, rate: r.rate }));
    const text = String(await explain(inner));
    expect(text).toMatch(/rows of the left side by \(currency\), each until event time passes .* \+ 7 s/);
    expect(text).toMatch(/rows of the right side by \(currency\), each until event time passes .* \+ 5 s/);
    expect(text).not.toContain('nothing bounds it');
    const anti = String(await explain(live.antiJoin(versions, (o, r) => o.currency.eq(r.currency), within)));
    expect(anti).toContain('each until event time passes its own + 7 s');
    const asOf = live
      .asOfJoin(versions, (o, r) => o.currency.eq(r.currency))
      .select((o, r) => ({ id: o.id, rate: r.rate }));
    expect(String(await explain(asOf))).toContain('bounded only by the number of keys');
  });

  test('a condition that adds a constant bounds an inner join as within does', async () => {
    const joined = live
      .join(versions, (o, r) =>
        o.currency.eq(r.currency).and(r.at.between(o.at.minus('5 seconds'), o.at.plus('7 seconds'))),
      )
      .select((o, r) => ({ id: o.id, rate: r.rate }));
    const text = String(await explain(joined));
    expect(text).toMatch(/left side by \(currency\), each until event time passes at \+ 7 s/);
    expect(text).toMatch(/right side by \(currency\), each until event time passes at \+ 5 s/);
  });

  test('sides without event time, versions of nothing, rows that are corrected', async () => {
    const select = (o: { id: unknown }, r: { rate: unknown }) => ({ id: o.id, rate: r.rate }) as never;
    const on = (o: { currency: { eq(of: unknown): never } }, r: { currency: unknown }) => o.currency.eq(r.currency);
    await expect(explain(live.join(plain, on as never, within).select(select as never))).rejects.toThrow(
      /within compares event time, and the right side has none here; say \.eventTime\(column\)/,
    );
    await expect(explain(live.asOfJoin(plain, on as never).select(select as never))).rejects.toThrow(
      /no version is known.*say \.eventTime\(column\).*lookupJoin/,
    );
    await expect(explain(live.asOfJoin(versions, (o, r) => o.id.gt(r.rate)).select(select as never))).rejects.toThrow(
      /versions are of a key, and the condition has none/,
    );
    const last = versions.groupBy('currency').keepLast();
    await expect(explain(live.asOfJoin(last, on as never).select(select as never))).rejects.toThrow(
      /every row of the right side is a version.*keepLast is not needed/,
    );
    await expect(explain(live.leftJoin(last, on as never, within).select(select as never))).rejects.toThrow(
      /what an interval join gives is final/,
    );
  });

  test('options that are none', () => {
    const on = (o: { currency: { eq(of: unknown): never } }, r: { currency: unknown }) => o.currency.eq(r.currency);
    expect(() => live.join(versions, on as never, { within: ['7 seconds', '5 seconds'] })).toThrow(
      /from the lesser to the greater/,
    );
    expect(() => live.join(versions, on as never, { within: '5 seconds' } as never)).toThrow(/two durations/);
    expect(() => live.join(versions, on as never, { ttl: '5 seconds' } as never)).toThrow(/no option 'ttl'/);
    expect(() => live.asOfJoin(versions, on as never, { within: 1 } as never)).toThrow(/it takes 'tolerance'/);
    expect(() => live.asOfJoin(versions, on as never, { tolerance: '-1 second' })).toThrow(/cannot be negative/);
  });
});
