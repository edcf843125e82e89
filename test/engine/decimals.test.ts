/** DECIMAL through the engine: in and out of every place, as key, sum, order and state; against exact integers of our own. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as arrow from 'apache-arrow';
import {
  arrowBatches,
  arrowTable,
  avg,
  channel,
  collect,
  collection,
  count,
  csv,
  type Decimal,
  decimal,
  desc,
  explain,
  from,
  jsonl,
  max,
  min,
  parquet,
  run,
  schema,
  state,
  sum,
  t,
} from 'millrace';
import { afterAll, describe, expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import { testDriver } from '../../testing.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-decimals-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const sale = schema({ id: t.bigint(), shop: t.string(), price: t.decimal(12, 2), tax: t.decimal(4, 4).nullable() });

/** Seeded rows; prices repeat, a fifth of the taxes are NULL. */
function sales(n: number, seed: number) {
  const random = prng(seed);
  const text = (unscaled: number, scale: number): `${number}` =>
    `${unscaled < 0 ? '-' : ''}${(Math.abs(unscaled) / 10 ** scale).toFixed(scale)}` as `${number}`;
  return Array.from({ length: n }, (_, id) => ({
    id,
    shop: `shop ${random.below(7)}`,
    price: decimal(text(random.below(random.below(2) === 0 ? 30 : 900_000) - 12, 2)),
    tax: random.below(5) === 0 ? null : decimal(text(random.below(9999), 4)),
  }));
}
function grouped<T>(rows: readonly T[], key: (row: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) groups.set(key(row), [...(groups.get(key(row)) ?? []), row]);
  return groups;
}
const texts = (rows: readonly object[]): string[] => rows.map((row) => JSON.stringify(row)).sort();
const units = (value: Decimal | null): bigint => value?.unscaled ?? 0n;

describe.each([1, 2, 3])('at parallelism %i', (parallelism) => {
  const one = { parallelism } as const;
  const rows = sales(5000, 7);

  test('arithmetic, comparison and casts are exact', async () => {
    const found = await collect(
      from(collection(rows, { schema: sale }))
        .filter((s) => s.price.gt(1.5).and(s.price.lte(decimal('8999.99'))))
        .select((s) => ({
          id: s.id,
          gross: s.price.mul(s.tax.add(1)),
          half: s.price.div(2),
          whole: s.price.cast(t.bigint()),
          text: s.price.cast(t.string()),
        })),
      one,
    );
    const kept = rows.filter(({ price }) => price.unscaled > 150n && price.unscaled <= 899_999n);
    const expected = kept.map(({ id, price, tax }) => {
      const gross = tax === null ? null : price.unscaled * (tax.unscaled + 10_000n);
      return [id, gross, price.unscaled * 5n, price.unscaled / 100n, price.toString()].join(' ');
    });
    const got = found.map((row) => {
      expect(row.half.scale).toBeGreaterThanOrEqual(3);
      const half = row.half.unscaled / 10n ** BigInt(row.half.scale - 3);
      return [row.id, row.gross === null ? null : row.gross.unscaled, half, row.whole, row.text].join(' ');
    });
    expect(found.some((row) => row.gross !== null && row.gross.scale !== 6)).toBe(false);
    expect(got.sort()).toEqual(expected.map(String).sort());
  });

  test('as a key, summed, averaged, least and greatest', async () => {
    const found = await collect(
      from(collection(rows, { schema: sale }))
        .groupBy('price')
        .aggregate((s) => ({ n: count(), total: sum(s.tax), mean: avg(s.tax), least: min(s.tax), most: max(s.tax) })),
      one,
    );
    const groups = grouped(rows, ({ price }) => price.toString());
    expect(found.length).toBe(groups.size);
    for (const row of found) {
      const taxes = groups.get(row.price.toString())!.flatMap(({ tax }) => (tax === null ? [] : [tax.unscaled]));
      expect(row.n).toBe(groups.get(row.price.toString())!.length);
      if (taxes.length === 0) {
        expect([row.total, row.mean, row.least, row.most]).toEqual([null, null, null, null]);
        continue;
      }
      const total = taxes.reduce((a, b) => a + b, 0n);
      expect([units(row.total), row.total?.scale]).toEqual([total, 4]);
      const n = BigInt(taxes.length);
      expect([units(row.mean), row.mean?.scale]).toEqual([(2n * total * 100n + n) / (2n * n), 6]);
      expect(units(row.least)).toBe(taxes.reduce((a, b) => (a < b ? a : b)));
      expect(units(row.most)).toBe(taxes.reduce((a, b) => (a > b ? a : b)));
    }
  });

  test('joined by, ordered by, and the greatest', async () => {
    const prices = [...new Set(rows.map(({ price }) => price.toString()))].slice(0, 40).map((price, i) => {
      return { label: `label ${i}`, worth: decimal(price as `${number}`) };
    });
    const labels = from(collection(prices, { schema: schema({ label: t.string(), worth: t.decimal(12, 2) }) }));
    const joined = from(collection(rows, { schema: sale }))
      .join(labels, (s, l) => s.price.eq(l.worth))
      .select((s, l) => ({ id: s.id, label: l.label, price: s.price }));
    const expected = rows.flatMap(({ id, price }) =>
      prices.filter(({ worth }) => worth.unscaled === price.unscaled).map(({ label }) => ({ id, label, price })),
    );
    expect(texts(await collect(joined, one))).toEqual(texts(expected));
    const best = await collect(from(collection(rows, { schema: sale })).topN(25, { orderBy: desc('price') }), one);
    const ordered = rows.map(({ price }) => price.unscaled).sort((a, b) => (a < b ? 1 : -1));
    expect(best.map(({ price }) => price.unscaled)).toEqual(ordered.slice(0, 25));
    const all = await collect(from(collection(rows, { schema: sale })).orderBy('price'), one);
    expect(all.map(({ price }) => price.unscaled)).toEqual(ordered.toReversed());
  });

  test.each(['jsonl', 'csv', 'parquet'] as const)('through %s and back', async (format) => {
    const place = join(directory, `${format}-${parallelism}`);
    const make = { jsonl, csv, parquet }[format];
    const sink = make(place);
    await run(from(collection(rows, { schema: sale })).to(sink), one).result();
    const files = `${place}/*.${format}`;
    const source = make(files, { schema: sale });
    expect(texts(await collect(from(source), one))).toEqual(texts(rows));
    const pruned = await collect(
      from(source).filter((s) => s.price.eq(rows[0]!.price)),
      one,
    );
    expect(pruned.length).toBe(rows.filter(({ price }) => price.unscaled === rows[0]!.price.unscaled).length);
  });

  test('in state, through a crash and another parallelism', async () => {
    const live = channel(sale);
    const totals = from(live)
      .keyBy('shop')
      .process({
        output: schema({ shop: t.string(), total: t.decimal(18, 2), largest: t.decimal(12, 2) }),
        state: { total: state.value(t.decimal(18, 2)), largest: state.value(t.decimal(12, 2)) },
        onRow(row, ctx) {
          const total = units(ctx.state.total.get()) + row.price.unscaled;
          const before = ctx.state.largest.get();
          const largest = before === null || row.price.unscaled > before.unscaled ? row.price : before;
          ctx.state.total.set(money(total));
          ctx.state.largest.set(largest);
          ctx.emit({ shop: row.shop, total: money(total), largest });
        },
      });
    const perShop = from(live)
      .groupBy('shop')
      .aggregate((s) => ({ total: sum(s.price), mean: avg(s.price) }));
    await using driver = testDriver({ totals, perShop }, { seed: 3, parallelism });
    const some = sales(300, 9);
    driver.push(live, ...some.slice(0, 150));
    await driver.read('totals');
    await driver.read('perShop');
    driver.checkpoint();
    driver.crash();
    driver.restore({ parallelism: 4 - parallelism });
    driver.push(live, ...some.slice(150));
    const last = new Map(((await driver.read('totals')) as { shop: string }[]).map((row) => [row.shop, row]));
    for (const [shop, of] of grouped(some, (row) => row.shop)) {
      const total = of.reduce((all, { price }) => all + price.unscaled, 0n);
      const largest = of.reduce((most, { price }) => (price.unscaled > most ? price.unscaled : most), -100_000n);
      const { total: got, largest: most } = last.get(shop) as unknown as { total: Decimal; largest: Decimal };
      expect([got.unscaled, most.unscaled]).toEqual([total, largest]);
    }
    const changes = (await driver.read('perShop')) as { kind: string; row: { shop: string; total: Decimal } }[];
    const folded = new Map<string, bigint>();
    for (const { kind, row } of changes) if (kind === '+I' || kind === '+U') folded.set(row.shop, row.total.unscaled);
    for (const [shop, unscaled] of folded) {
      expect(unscaled).toBe(
        some.filter((row) => row.shop === shop).reduce((all, { price }) => all + price.unscaled, 0n),
      );
    }
  });
});

const money = (unscaled: bigint): Decimal => decimal(`${Number(unscaled) / 100}` as `${number}`);

test('Arrow: Decimal128 in and out, all eighteen digits, NULL among them', async () => {
  const row = schema({ v: t.decimal(18, 4).nullable() });
  const values = ['99999999999999.9999', '-99999999999999.9999', '0.0001', '-0.0001', '0.0000'].map((text) => ({
    v: decimal(text as `${number}`),
  }));
  const batches: arrow.RecordBatch[] = [];
  const rows = from(collection([...values, { v: null }], { schema: row }));
  await run(rows.to(arrowBatches((batch) => void batches.push(batch as unknown as arrow.RecordBatch)))).result();
  const [batch] = batches;
  expect(String(batch!.schema.fields[0]!.type)).toBe('Decimal[18e+4]');
  const back = await collect(from(arrowTable(new arrow.Table([batch!]))));
  expect(back.map(({ v }) => (v === null ? null : String(v)))).toEqual([...values.map(({ v }) => String(v)), null]);
  const narrow = from(arrowTable(new arrow.Table([batch!]), { schema: schema({ v: t.decimal(10, 4).nullable() }) }));
  await expect(collect(narrow)).rejects.toThrow(/'v': 99999999999999\.9999 is no DECIMAL\(10, 4\)/);
});

test('jsonl: numbers and texts, exactly; what has too many digits is refused with its place', async () => {
  const file = join(directory, 'given.jsonl');
  const row = schema({ v: t.decimal(18, 6) });
  writeFileSync(file, '{"v":0.1}\n{"v":"0.1"}\n{"v":-123456789012.123456}\n{"v":1e3}\n{"v":7}\n{"v":1.500000000}\n');
  const found = await collect(from(jsonl(file, { schema: row })));
  expect(found.map(({ v }) => String(v)).sort()).toEqual(
    ['0.100000', '0.100000', '-123456789012.123456', '1000.000000', '7.000000', '1.500000'].sort(),
  );
  for (const bad of ['0.1234567', '1234567890123', '"x"', 'true', '1e13']) {
    writeFileSync(file, `{"v":1}\n{"v":${bad}}\n`);
    await expect(collect(from(jsonl(file, { schema: row })))).rejects.toMatchObject({
      code: 'source/bad-record',
      message: expect.stringMatching(/12 digits ahead of the point and 6 behind it/),
    });
  }
  const out = join(directory, 'written');
  await run(from(collection([{ v: decimal('-0.000001') }], { schema: row })).to(jsonl(out))).result();
  const [line] = (await import('node:fs')).readdirSync(out).flatMap((name) => {
    return name.endsWith('.jsonl') ? [readFileSync(join(out, name), 'utf8')] : [];
  });
  expect(line).toBe('{"v":-0.000001}\n');
});

test('more than eighteen digits are refused when the query is planned, and explain shows the types', async () => {
  const wide = schema({ v: t.decimal(23, 3) });
  await expect(collect(from(collection([], { schema: wide })))).rejects.toMatchObject({ code: 'plan/unsupported' });
  const rows = from(collection(sales(3, 1), { schema: sale }));
  await expect(collect(rows.select((s) => ({ v: s.price.cast(t.decimal(23, 3)) })))).rejects.toThrow(
    /DECIMAL\(23, 3\) has more than the 18 digits that a DECIMAL may have; cast to DECIMAL\(18, 3\)/,
  );
  await expect(collect(rows.select((s) => ({ v: s.price.mul(decimal('1234567890123456789.0')) })))).rejects.toThrow(
    /more than the 18 digits/,
  );
  const shown = String(
    await explain(rows.select((s) => ({ dear: s.price.mul(decimal('0.908')) })).to(jsonl('nowhere'))),
  );
  expect(shown).toContain('DECIMAL(16, 5)');
});

test('a sum, a product and a state beyond their digits are errors that say so', async () => {
  const row = schema({ v: t.decimal(18, 0) });
  const large = from(collection([{ v: decimal('999999999999999999') }, { v: decimal('1') }], { schema: row }));
  await expect(collect(large.aggregate((r) => ({ total: sum(r.v) })))).rejects.toMatchObject({ code: 'expr/overflow' });
  await expect(collect(large.select((r) => ({ v: r.v.mul(2) })))).rejects.toThrow(
    /999999999999999999 \* 2 is outside DECIMAL\(18, 0\)/,
  );
  await expect(collect(large.select((r) => ({ v: r.v.div(decimal('0.0')) })))).rejects.toMatchObject({
    code: 'expr/division-by-zero',
  });
  await expect(collect(from(collection([{ v: 1.5 }] as never, { schema: row })))).rejects.toThrow(
    /column 'v' \(DECIMAL\(18, 0\)\) expects a Decimal of at most 18 digits ahead of the point and 0 behind it/,
  );
});
