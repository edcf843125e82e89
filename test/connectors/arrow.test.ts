import * as arrow from 'apache-arrow';
import { expect, test } from 'vitest';
import { prepareArrowTable } from '../../connectors/arrow/share.ts';
import { arrowSource } from '../../connectors/arrow/source.ts';
import { type Prng, prng } from '../../core/base/prng.ts';
import type { Fields } from '../../core/record/types.ts';
import { readAll, specOf, type Value } from './support.ts';

const spec = specOf('arrow', { resource: 't' }, 'my table');
/** As the slots get it: prepared by the caller, then cloned. */
const cloned = (table: unknown) => structuredClone(prepareArrowTable(table));

/** A column of every type the engine reads: how to make it, and what is stored of a value. */
interface Kind {
  readonly type: arrow.DataType;
  value(random: Prng): unknown;
  stored(value: never): Value;
}
const texts = ['', 'a', 'twelve bytes', 'thirteen byte', 'größer und größer und größer', '🚀🚀🚀🚀', 'x'.repeat(300)];
const i64 = (random: Prng): bigint => BigInt.asIntN(64, (BigInt(random.u32()) << 32n) | BigInt(random.u32()));
const kinds: Record<string, Kind> = {
  bool: { type: new arrow.Bool(), value: (r) => r.below(2) === 1, stored: (v: boolean) => v },
  int8: { type: new arrow.Int8(), value: (r) => r.below(256) - 128, stored: (v: number) => v },
  int16: { type: new arrow.Int16(), value: (r) => r.below(65536) - 32768, stored: (v: number) => v },
  int32: { type: new arrow.Int32(), value: (r) => r.u32() | 0, stored: (v: number) => v },
  int64: { type: new arrow.Int64(), value: i64, stored: (v: bigint) => v },
  uint8: { type: new arrow.Uint8(), value: (r) => r.below(256), stored: (v: number) => v },
  uint16: { type: new arrow.Uint16(), value: (r) => r.below(65536), stored: (v: number) => v },
  uint32: { type: new arrow.Uint32(), value: (r) => r.u32(), stored: (v: number) => BigInt(v) },
  uint64: { type: new arrow.Uint64(), value: (r) => i64(r) & 0x7fff_ffff_ffff_ffffn, stored: (v: bigint) => v },
  float32: { type: new arrow.Float32(), value: (r) => Math.fround(r.next() - 0.5), stored: (v: number) => v },
  float64: {
    type: new arrow.Float64(),
    value: (r) => [r.next(), -0, 1 / 0, 5e-324][r.below(4)],
    stored: (v: number) => v,
  },
  utf8: { type: new arrow.Utf8(), value: (r) => texts[r.below(texts.length)], stored: (v: string) => v },
  largeUtf8: { type: new arrow.LargeUtf8(), value: (r) => texts[r.below(texts.length)], stored: (v: string) => v },
  dateDay: {
    type: new arrow.DateDay(),
    value: (r) => new Date((r.below(40_000) - 10_000) * 86_400_000),
    stored: (v: Date) => v.getTime() / 86_400_000,
  },
  dateMs: {
    type: new arrow.DateMillisecond(),
    value: (r) => new Date((r.below(40_000) - 10_000) * 86_400_000),
    stored: (v: Date) => v.getTime() / 86_400_000,
  },
  seconds: {
    type: new arrow.TimestampSecond(),
    value: (r) => (r.u32() | 0) * 1000,
    stored: (v: number) => BigInt(v),
  },
  millis: { type: new arrow.TimestampMillisecond(), value: (r) => r.u32() | 0, stored: (v: number) => BigInt(v) },
  micros: {
    type: new arrow.TimestampMicrosecond(),
    value: (r) => r.u32() | 0,
    stored: (v: number) => BigInt(v) * 1000n,
  },
  nanos: { type: new arrow.TimestampNanosecond(), value: (r) => r.u32() | 0, stored: (v: number) => BigInt(v) * 1000n },
  coded: {
    type: new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32()),
    value: (r) => texts[r.below(texts.length)],
    stored: (v: string) => v,
  },
  coded8: {
    type: new arrow.Dictionary(new arrow.Utf8(), new arrow.Int8()),
    value: (r) => texts[r.below(texts.length)],
    stored: (v: string) => v,
  },
  codedLarge: {
    type: new arrow.Dictionary(new arrow.LargeUtf8(), new arrow.Uint16()),
    value: (r) => texts[r.below(texts.length)],
    stored: (v: string) => v,
  },
  codedInts: {
    type: new arrow.Dictionary(new arrow.Int64(), new arrow.Int32()),
    value: (r) => BigInt(r.below(50)) - 25n,
    stored: (v: bigint) => v,
  },
};

/** Chunks of random lengths, cut out of larger ones, so that bitmaps begin in the middle of a byte. */
function randomTable(random: Prng, rows: number): { table: arrow.Table; stored: Value[][] } {
  const nullShare = [0, 0, 0.1, 0.9, 1][random.below(5)];
  const columns = Object.entries(kinds).map(([name, kind]) => {
    const values = Array.from({ length: rows }, () => (random.next() < nullShare ? null : kind.value(random)));
    return { name, kind, values, vector: arrow.vectorFromArray(values as never, kind.type as never) };
  });
  const whole = new arrow.Table(Object.fromEntries(columns.map((c) => [c.name, c.vector])) as never);
  const cuts: arrow.RecordBatch[] = [];
  const kept: number[] = [];
  for (let at = 0; at < rows; ) {
    const skip = random.below(4);
    const length = Math.min(rows - at, random.below(300));
    if (length > skip) {
      cuts.push(...whole.slice(at + skip, at + length).batches);
      for (let i = at + skip; i < at + length; i++) kept.push(i);
    }
    at += Math.max(1, length);
  }
  if (cuts.length === 0) return randomTable(random, rows + 10);
  const stored = kept.map((i) =>
    columns.map(({ kind, values }) => (values[i] === null ? null : kind.stored(values[i] as never))),
  );
  return { table: new arrow.Table(cuts), stored };
}

const seed = 20_261_122;
for (const batchRows of [1, 7, 4096]) {
  test(`every type comes out of random sliced tables as it went in: batches of ${batchRows}`, async () => {
    for (let i = 0; i < 12; i++) {
      const random = prng(seed + i);
      const { table, stored } = randomTable(random, batchRows === 1 ? 60 : 1500);
      const read = await readAll(arrowSource, spec, {
        batchRows,
        parallelism: 1 + random.below(4),
        resources: { t: cloned(table) },
        reopenEvery: 1 + random.below(5),
      });
      expect(read.rows, `seed ${seed + i}`).toEqual(stored);
    }
  });
}

test('structs are ROWs: a null struct makes its leaves null', async () => {
  const child = arrow.makeData({
    type: new arrow.Int32(),
    data: Int32Array.of(1, 2, 3, 4),
    nullBitmap: Uint8Array.of(0b1101),
  });
  const type = new arrow.Struct([new arrow.Field('x', new arrow.Int32(), true)]);
  const struct = arrow.makeData({
    type,
    children: [child],
    length: 4,
    nullBitmap: Uint8Array.of(0b1011),
    nullCount: 1,
  });
  const schema = new arrow.Schema([new arrow.Field('s', type, true)]);
  const batch = new arrow.RecordBatch(
    schema,
    arrow.makeData({ type: new arrow.Struct(schema.fields), children: [struct] }),
  );
  const read = await readAll(arrowSource, spec, { resources: { t: cloned(new arrow.Table(batch)) } });
  expect(read.layout.map((c) => c.name)).toEqual(['s.x']);
  expect(read.rows).toEqual([[1], [null], [null], [4]]);
});

test('dictionaries stay dictionaries: one id for as long as the batches share one', async () => {
  const type = new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32());
  const vector = arrow.vectorFromArray(
    Array.from({ length: 9000 }, (_, i) => `airport ${i % 7}`),
    type,
  );
  const table = new arrow.Table({ k: vector });
  const data = cloned(table);
  const { testSlot } = await import('../support/slot.ts');
  const { readerContext } = await import('./support.ts');
  const { layoutOf } = await import('../../core/record/layout.ts');
  const request = { layout: layoutOf(data.fields), prune: [], timeColumn: null };
  const [split] = await arrowSource.enumerate(spec, request, 1, () => data);
  const reader = arrowSource.reader(spec, request, readerContext(testSlot(), 4096, { t: data }));
  reader.open(split);
  const ids = new Set<number>();
  while (reader.poll() === 0) {
    const { dictionary } = reader.batch.columns[0];
    expect(dictionary?.count).toBe(7);
    expect(dictionary?.hashes).not.toBe(0);
    ids.add(dictionary!.id);
  }
  expect(ids.size).toBe(1);
});

test('declared types are checked casts: widened, floored to their precision, parsed, or refused with the value', async () => {
  const as = async (vector: arrow.Vector, type: Fields[number]['type']): Promise<Value[]> => {
    const table = new arrow.Table({ c: vector } as never);
    const fields: Fields = [{ name: 'c', type, nullable: true }];
    return (await readAll(arrowSource, spec, { fields, resources: { t: cloned(table) } })).rows.map((r) => r[0]);
  };
  const ints = arrow.vectorFromArray([1, -2, null], new arrow.Int32());
  expect(await as(ints, { kind: 'BIGINT' })).toEqual([1n, -2n, null]);
  expect(await as(ints, { kind: 'DOUBLE' })).toEqual([1, -2, null]);
  const times = arrow.vectorFromArray([1500, -1], new arrow.TimestampMillisecond());
  expect(await as(times, { kind: 'TIMESTAMP', precision: 6 })).toEqual([1_500_000n, -1000n]);
  expect(await as(times, { kind: 'DATE' })).toEqual([0, -1]);
  const dates = arrow.vectorFromArray(['2001-02-03T04:05:06.789Z', '1969-12-31 23:59:59.9'], new arrow.Utf8());
  expect(await as(dates, { kind: 'TIMESTAMP', precision: 3 })).toEqual([
    BigInt(Date.UTC(2001, 1, 3, 4, 5, 6, 789)),
    -100n,
  ]);
  const doubles = arrow.vectorFromArray([1, 2.5], new arrow.Float64());
  await expect(as(doubles, { kind: 'BIGINT' })).rejects.toMatchObject({
    code: 'source/bad-record',
    message: /'c': 2.5 is no BIGINT/,
  });
  const big = arrow.vectorFromArray([2n ** 63n], new arrow.Uint64());
  await expect(as(big, { kind: 'BIGINT' })).rejects.toMatchObject({ code: 'source/bad-record' });
  await expect(as(ints, { kind: 'BOOLEAN' })).rejects.toMatchObject({ code: 'source/unsupported' });
});

test('a decimal column is read as units of its scale; as DOUBLE it is refused by name', async () => {
  const data = arrow.makeData({
    type: new arrow.Decimal(2, 10, 128),
    data: Uint32Array.of(150, 0, 0, 0, -1, -1, -1, -1),
  });
  const table = new arrow.Table({
    price: new arrow.Vector([data]),
    n: arrow.vectorFromArray([1, 2], new arrow.Int32()),
  });
  const t = cloned(table);
  expect(t.fields[0].type).toEqual({ kind: 'DECIMAL', precision: 10, scale: 2 });
  const fields: Fields = [t.fields[1]];
  expect((await readAll(arrowSource, spec, { fields, resources: { t } })).rows).toEqual([[1], [2]]);
  const asIs: Fields = [{ name: 'price', type: { kind: 'DECIMAL', precision: 10, scale: 2 }, nullable: true }];
  expect((await readAll(arrowSource, spec, { fields: asIs, resources: { t } })).rows).toEqual([[150n], [-1n]]);
  const asDouble: Fields = [{ name: 'price', type: { kind: 'DOUBLE' }, nullable: true }];
  await expect(readAll(arrowSource, spec, { fields: asDouble, resources: { t } })).rejects.toThrow(/'price'.*Decimal/);
});

test('null where the schema says not null is an error that names the column', async () => {
  const table = new arrow.Table({ c: arrow.vectorFromArray([1, null], new arrow.Int32()) });
  const fields: Fields = [{ name: 'c', type: { kind: 'INT' }, nullable: false }];
  await expect(readAll(arrowSource, spec, { fields, resources: { t: cloned(table) } })).rejects.toMatchObject({
    code: 'source/bad-record',
    message: expect.stringMatching(/'c' is NULL/),
  });
});

test('broken offsets and codes are typed errors, not reads beyond the buffers', async () => {
  const utf8 = (offsets: number[], bytes: number) =>
    new arrow.Table({
      c: new arrow.Vector([
        arrow.makeData({ type: new arrow.Utf8(), valueOffsets: Int32Array.from(offsets), data: new Uint8Array(bytes) }),
      ]),
    });
  const broken = { code: 'source/corrupt' };
  for (const offsets of [
    [0, 5, 3, 9],
    [0, 5, 8, 1000],
    [-4, 1, 2, 3],
    [0, 2_000_000_000, 3, 4],
  ]) {
    await expect(readAll(arrowSource, spec, { resources: { t: cloned(utf8(offsets, 10)) } })).rejects.toMatchObject(
      broken,
    );
  }
  const type = new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32());
  const dictionary = arrow.vectorFromArray(['a', 'b'], new arrow.Utf8());
  const codes = arrow.makeData({ type, data: Int32Array.of(0, 1, 7), dictionary } as never);
  const coded = new arrow.Table({ c: new arrow.Vector([codes]) });
  await expect(readAll(arrowSource, spec, { resources: { t: cloned(coded) } })).rejects.toMatchObject(broken);
  const short = arrow.makeData({ type: new arrow.Int64(), length: 100, data: new BigInt64Array(5) });
  const cut = new arrow.Table({ c: new arrow.Vector([short]) });
  await expect(readAll(arrowSource, spec, { resources: { t: cloned(cut) } })).rejects.toMatchObject(broken);
});

test('shared buffers are passed on without a copy, others are copied into shared memory', () => {
  const words = new BigInt64Array(new SharedArrayBuffer(80));
  const shared = arrow.makeData({ type: new arrow.Int64(), data: words });
  const own = arrow.makeData({ type: new arrow.Int64(), data: new BigInt64Array(10) });
  const table = new arrow.Table({ a: new arrow.Vector([shared]), b: new arrow.Vector([own]) });
  const [{ columns }] = prepareArrowTable(table).chunks;
  expect(columns[0].values!.buffer).toBe(words.buffer);
  expect(columns[1].values!.buffer).toBeInstanceOf(SharedArrayBuffer);
});

test('splits tell their least event time', async () => {
  const at = [30, 10, 20, ...Array.from({ length: 5000 }, (_, i) => 1000 - i)];
  const table = new arrow.Table({ at: arrow.vectorFromArray(at, new arrow.TimestampMillisecond()) });
  const data = prepareArrowTable(table);
  const request = {
    layout: [{ name: 'at', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: true, storage: 'i64' }],
    prune: [],
    timeColumn: 'at',
  } as const;
  const splits = await arrowSource.enumerate(spec, request, 1, () => data);
  expect(splits.map((s) => s.minimum)).toEqual([String(1000 - 4092), String(1000 - 4999)]);
});

test('what is no Arrow is refused', () => {
  expect(() => prepareArrowTable([{ a: 1 }])).toThrow(/expected an apache-arrow Table or RecordBatch, got an object/);
  expect(() => prepareArrowTable(null)).toThrow(/got null/);
});
