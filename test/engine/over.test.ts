/** OVER from end to end: by time as a stream and over ended input, and what is refused when a job is planned. */
import { avg, collect, collection, count, explain, from, max, min, print, run, schema, sum, t } from 'millrace';
import { expect, test } from 'vitest';

const sale = schema({ shop: t.string(), cents: t.bigint(), at: t.timestamp(3), day: t.date().nullable() });
const minute = (m: number): string => `2026-03-01T10:${String(m).padStart(2, '0')}:00.000Z`;
const sales = [
  { shop: 'a', cents: 1, at: minute(0), day: null },
  { shop: 'a', cents: 10, at: minute(2), day: null },
  { shop: 'b', cents: 5, at: minute(1), day: null },
  { shop: 'a', cents: 100, at: minute(2), day: null },
  { shop: 'a', cents: 1000, at: minute(9), day: null },
].map((row) => ({ ...row, at: new Date(row.at) }));
const stream = () => from(collection(sales, { schema: sale })).eventTime('at');

const totals = () =>
  stream().select((s) => ({
    shop: s.shop,
    cents: s.cents,
    running: sum(s.cents).over({ partitionBy: s.shop, orderBy: s.at }),
    lastTwo: count().over({ partitionBy: s.shop, orderBy: [s.at, s.cents], rows: [-1, 0] }),
    sevenMinutes: sum(s.cents).over({ partitionBy: s.shop, orderBy: s.at, range: '7 minutes' }),
    all: count().over({ orderBy: s.at }),
    dearest: max(s.cents.mul(2)).filter(s.cents.lt(1000)).over({ partitionBy: s.shop, orderBy: s.at }),
  }));
const expected = [
  { shop: 'a', cents: 1, running: 1, lastTwo: 1, sevenMinutes: 1, all: 1, dearest: 2 },
  { shop: 'a', cents: 10, running: 111, lastTwo: 2, sevenMinutes: 111, all: 4, dearest: 200 },
  { shop: 'a', cents: 100, running: 111, lastTwo: 2, sevenMinutes: 111, all: 4, dearest: 200 },
  { shop: 'a', cents: 1000, running: 1111, lastTwo: 2, sevenMinutes: 1110, all: 5, dearest: 200 },
  { shop: 'b', cents: 5, running: 5, lastTwo: 1, sevenMinutes: 5, all: 2, dearest: 10 },
];
const sorted = (rows: readonly { shop: string; cents: number }[]): unknown[] =>
  rows.toSorted((a, b) => a.shop.localeCompare(b.shop) || a.cents - b.cents);

async function drained(handle: ReturnType<typeof run>): Promise<void> {
  while (handle.metrics().rowsIn < sales.length) await new Promise((resolve) => setTimeout(resolve, 5));
  await handle.stop({ drain: true });
}

for (const parallelism of [1, 3]) {
  for (const mode of ['bounded', 'stream'] as const) {
    test(`frames by rows, by range and of all before: ${mode}, at parallelism ${parallelism}`, async () => {
      const handle = run(totals(), { parallelism, mode });
      const rows: unknown[] = [];
      // A stream waits for event time to pass a row, and the last one's passes when it is drained.
      const stopped = mode === 'stream' ? drained(handle) : null;
      for await (const row of handle) rows.push(row);
      await stopped;
      expect(sorted(rows as never)).toEqual(expected);
    });
  }
}

test('results stand in expressions, and a with keeps the other columns', async () => {
  const rows = await collect(
    stream()
      .with((s) => ({ share: s.cents.div(sum(s.cents).over({ partitionBy: s.shop, orderBy: s.at })) }))
      .filter((s) => s.cents.eq(5)),
  );
  expect(rows).toEqual([{ ...sales[2], share: 1 }]);
});

test('explain says what it keeps', async () => {
  const text = await explain({ end: totals().to(print()) }, { mode: 'stream' });
  expect(text).toContain('ROWS BETWEEN 1 PRECEDING AND CURRENT ROW');
  expect(text).toContain('the last 1 rows of each (shop), bounded only by the number of keys');
  expect(text).toContain('those of the last 7 minutes, dropped when the watermark has passed them so far');
  const best = stream()
    .groupBy('shop')
    .keepLast('at')
    .with((s) => ({ n: count().over({ orderBy: s.at }) }));
  expect(await explain({ end: best.to(print()) }, { mode: 'stream' })).toContain(
    'with their results, until they are taken back: it grows with every row that stays',
  );
});

test.each([
  [
    'no event time',
    () => from(collection(sales, { schema: sale })).with((s) => ({ n: count().over({ orderBy: s.at }) })),
    'plan/window',
    'say .eventTime(column) before it',
  ],
  [
    'another order',
    () => stream().with((s) => ({ n: count().over({ orderBy: s.cents }) })),
    'plan/window',
    'order by the column that eventTime names, first',
  ],
  ['no order', () => stream().with(() => ({ n: count().over({ orderBy: [] }) })), 'plan/window', 'OVER needs an order'],
  [
    'changes without time',
    () =>
      stream()
        .groupBy('shop')
        .aggregate((s) => ({ n: sum(s.cents) }))
        .with((s) => ({ m: count().over({ orderBy: s.n }) })),
    'plan/window',
    'order by a TIMESTAMP or DATE column first',
  ],
  [
    'a range of what is no time',
    () => stream().with((s) => ({ n: count().over({ orderBy: s.cents, range: '1 hour' }) })),
    'plan/window',
    'measured by a TIMESTAMP or DATE',
  ],
  [
    'a frame that is too long',
    () => stream().with((s) => ({ n: count().over({ orderBy: s.at, rows: [-2000, 0] }) })),
    'plan/unsupported',
    'it takes 1000 at most',
  ],
  [
    'texts',
    () => stream().with((s) => ({ n: min(s.shop).over({ orderBy: s.at }) })),
    'plan/unsupported',
    'OVER of texts',
  ],
  [
    'different values',
    () => stream().with((s) => ({ n: count(s.shop).distinct().over({ orderBy: s.at }) })),
    'plan/unsupported',
    'deduplicate before it',
  ],
  [
    'in a filter',
    () => stream().filter((s) => count().over({ orderBy: s.at }).gt(1)),
    'plan/type',
    'can stand in a select or with only',
  ],
] as const)('refused: %s', async (_, make, code, says) => {
  await expect(run(make().to(print()) as never, { mode: 'stream' }).result()).rejects.toMatchObject({
    code,
    message: expect.stringContaining(says),
    where: { operator: expect.any(String) },
  });
});

test('refused where it is said: frames that are none', () => {
  const over = (window: object) => () => stream().with((s) => ({ n: avg(s.cents).over({ orderBy: s.at, ...window }) }));
  expect(over({ rows: [-1, 1] })).toThrow(/up to the row itself: \[-1, 0\]/);
  expect(over({ rows: [1, 0] })).toThrow(/from so many before/);
  expect(over({ rows: [-1, 0], range: '1 hour' })).toThrow(/rows or range, not both/);
  expect(over({ row: [-1, 0] })).toThrow(/knows no 'row'/);
  expect(() =>
    stream().select((s) => ({ n: (s.cents as never as { over(w: object): never }).over({ orderBy: s.at }) })),
  ).toThrow(/no aggregate/);
});
