import { expect, test } from 'vitest';
import { type Prng, prng } from '../../core/base/prng.ts';
import { type ByteSink, byteSink, byteSource, openBytes } from '../../core/record/bytes.ts';
import {
  afterPrefix,
  keyCodec,
  readKeyNumber,
  writeKeyColumns,
  writeKeyHash,
  writeKeyNumber,
} from '../../core/record/key-bytes.ts';
import { layoutOf } from '../../core/record/layout.ts';
import { rowCodec, valueCodec } from '../../core/record/row-bytes.ts';
import type { DataType, Fields } from '../../core/record/types.ts';
import { testBatch } from '../support/columns.ts';
import { testSlot } from '../support/slot.ts';

const slot = testSlot();
const { memory } = slot;
const scratch = memory.arena.allocate(4096, 'bytes');
const sinkOf = (room = 4096, most = 1 << 20): ByteSink => byteSink(memory, scratch, room, most, "the value of 'x'");
const source = byteSource(memory);

const scalars: readonly DataType[] = [
  { kind: 'BOOLEAN' },
  { kind: 'INT' },
  { kind: 'BIGINT', asBigInt: true },
  { kind: 'BIGINT' },
  { kind: 'DOUBLE' },
  { kind: 'VARCHAR' },
  { kind: 'DATE' },
  { kind: 'TIMESTAMP', precision: 3 },
  { kind: 'TIMESTAMP', precision: 6 },
];

function randomType(random: Prng, depth: number): DataType {
  if (depth === 0 || random.below(3) > 0) return scalars[random.below(scalars.length)] as DataType;
  const inner = (): DataType => randomType(random, depth - 1);
  switch (random.below(3)) {
    case 0:
      return { kind: 'ROW', fields: randomFields(random, depth - 1) };
    case 1:
      return { kind: 'ARRAY', of: inner(), nullable: random.below(2) === 0 };
    default:
      return { kind: 'MAP', key: { kind: 'VARCHAR' }, value: inner(), nullable: random.below(2) === 0 };
  }
}

function randomFields(random: Prng, depth: number): Fields {
  return Array.from({ length: 1 + random.below(12) }, (_, i) => ({
    name: ['__proto__', 'toString', 'a', 'b'][random.below(40)] ?? `f${i}`,
    type: randomType(random, depth),
    nullable: random.below(2) === 0,
  })).filter((field, i, all) => all.findIndex(({ name }) => name === field.name) === i);
}

const texts = [
  '',
  'a',
  'a\0',
  'a\0b',
  '\0',
  '\0\0',
  'ÿ',
  '𝄞',
  '￿',
  'é',
  'e\u0301',
  'zz'.repeat(40),
  '\u0001',
  'a\u0001',
];

function randomValue(random: Prng, type: DataType): unknown {
  switch (type.kind) {
    case 'BOOLEAN':
      return random.below(2) === 0;
    case 'INT':
      return [0, -1, 1, 2 ** 31 - 1, -(2 ** 31), 256][random.below(12)] ?? random.u32() | 0;
    case 'BIGINT': {
      const value =
        [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 32n, -(2n ** 32n)][random.below(12)] ??
        BigInt.asIntN(64, (BigInt(random.u32()) << 32n) | BigInt(random.u32()));
      return type.asBigInt ? value : Number(BigInt.asIntN(53, value));
    }
    case 'DOUBLE':
      return (
        [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324, -5e-324, 1.7e308][
          random.below(16)
        ] ?? (random.next() - 0.5) * 10 ** (random.below(40) - 20)
      );
    case 'VARCHAR':
      return (
        texts[random.below(2 * texts.length)] ?? String.fromCodePoint(random.below(0xd800)).repeat(random.below(9))
      );
    case 'DATE':
      return new Date((random.below(40_000) - 20_000) * 86_400_000);
    case 'TIMESTAMP':
      return new Date((random.next() - 0.5) * 1e13);
    case 'ROW':
      return rowOf(random, type.fields);
    case 'ARRAY':
      return Array.from({ length: random.below(6) }, () =>
        type.nullable && random.below(4) === 0 ? null : randomValue(random, type.of),
      );
    case 'MAP':
      return new Map(
        Array.from({ length: random.below(6) }, () => [
          randomValue(random, type.key),
          type.nullable && random.below(4) === 0 ? null : randomValue(random, type.value),
        ]),
      );
    default:
      throw new Error(type.kind);
  }
}

function rowOf(random: Prng, fields: Fields): object {
  const row = {};
  for (const { name, type, nullable } of fields) {
    const value = nullable && random.below(3) === 0 ? null : randomValue(random, type);
    Object.defineProperty(row, name, { value, enumerable: true, writable: true, configurable: true });
  }
  return row;
}

test('values of every type come back as they were written, one behind the other, in memory and on the heap', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = prng(seed);
    const fields = randomFields(random, 3);
    const codec = rowCodec(fields);
    const rows = [rowOf(random, fields), rowOf(random, fields)];
    const sink = sinkOf([16, 4096][random.below(2)]);
    for (let again = 0; again < 2; again++) {
      sink.reset();
      for (const row of rows) codec.write(row, sink);
      openBytes(source, sink.u8, sink.from, sink.at);
      for (const row of rows) expect(codec.read(source), `seed ${seed}`).toEqual(row);
      expect(source.at, `seed ${seed}`).toBe(sink.at);
    }
    // Cut anywhere, they are damaged, never something else.
    for (let i = 0; i < 5; i++) {
      openBytes(source, sink.u8, sink.from, sink.from + random.below(sink.at - sink.from));
      expect(() => rows.map(() => codec.read(source)), `seed ${seed}`).toThrow(/end too early/);
    }
  }
});

test('keys compare as their values do, and come back', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = prng(seed);
    const parts = Array.from({ length: 1 + random.below(3) }, (_, i) => ({
      name: `k${i}`,
      type: scalars[random.below(scalars.length)] as DataType,
      nullable: random.below(2) === 0,
    }));
    const codecs = parts.map(keyCodec);
    const keys = Array.from({ length: 40 }, () =>
      parts.map(({ type, nullable }) => (nullable && random.below(5) === 0 ? null : randomValue(random, type))),
    ).map((values) => {
      const sink = sinkOf();
      codecs.forEach((codec, i) => {
        codec.write(values[i], sink);
      });
      const bytes = sink.u8.slice(sink.from, sink.at);
      openBytes(source, sink.u8, sink.from, sink.at);
      const back = codecs.map((codec) => codec.read(source));
      expect(source.at).toBe(sink.at);
      // One zero.
      expect(back, `seed ${seed}`).toEqual(values.map((value) => (Object.is(value, -0) ? 0 : value)));
      return { values, bytes };
    });
    for (const a of keys) {
      for (const b of keys) {
        const byValue = parts.reduce((order, _, i) => order || compare(a.values[i], b.values[i]), 0);
        expect(Math.sign(Buffer.compare(a.bytes, b.bytes)), `seed ${seed}`).toBe(byValue);
      }
    }
  }
});

/** NULL first, NaN last, texts by their bytes. */
function compare(a: unknown, b: unknown): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? -1 : 1;
  if (typeof a === 'string') return Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b as string)));
  if (a instanceof Date) return Math.sign(a.getTime() - (b as Date).getTime());
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0;
}

test('columns become the same key bytes as their values', () => {
  const storable: readonly DataType[] = scalars.filter((type) => type.kind !== 'DATE' && type.kind !== 'TIMESTAMP');
  for (let seed = 1; seed <= 60; seed++) {
    const random = prng(seed);
    const fields = storable.map((type, i) => ({ name: `k${i}`, type, nullable: random.below(2) === 0 }));
    const layout = layoutOf(fields);
    const columns = fields.map(({ type, nullable }) =>
      Array.from({ length: 20 }, () => (nullable && random.below(4) === 0 ? null : randomValue(random, type))),
    );
    const of = testBatch(
      memory,
      layout,
      columns.map((column, i) =>
        column.map((value) => (fields[i]?.type.kind === 'DOUBLE' || typeof value !== 'number' ? value : BigInt(value))),
      ) as Parameters<typeof testBatch>[2],
      { dictionary: random.below(2) === 0 },
    );
    const byColumn = sinkOf();
    const byValue = sinkOf(8);
    for (let row = 0; row < 20; row++) {
      byColumn.reset();
      byValue.reset();
      writeKeyColumns(
        memory,
        of,
        fields.map((_, i) => i),
        row,
        byColumn,
      );
      fields.forEach((field, i) => {
        keyCodec(field).write(columns[i]?.[row], byValue);
      });
      expect(Buffer.from(byColumn.u8.slice(byColumn.from, byColumn.at))).toEqual(
        Buffer.from(byValue.u8.slice(byValue.from, byValue.at)),
      );
    }
  }
});

test('times, indices and hashes are parts that are written without values', () => {
  const sink = sinkOf();
  for (const value of [0, 1, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 1_700_000_000_000]) {
    sink.reset();
    writeKeyNumber(value, sink);
    const bytes = sink.u8.slice(sink.from, sink.at);
    sink.reset();
    keyCodec({ name: 'x', type: { kind: 'BIGINT' }, nullable: false }).write(value, sink);
    expect(sink.u8.slice(sink.from, sink.at)).toEqual(bytes);
    openBytes(source, sink.u8, sink.from, sink.at);
    expect(readKeyNumber(source)).toBe(value);
  }
  memory.u64[scratch >>> 3] = 0xfedc_ba98_7654_3210n;
  const hash = byteSink(memory, scratch + 64, 64, 64, 'a hash');
  writeKeyHash(memory, scratch, hash);
  openBytes(source, hash.u8, hash.from, hash.at);
  expect(keyCodec({ name: 'h', type: { kind: 'HASH' }, nullable: false }).read(source)).toBe(0xfedc_ba98_7654_3210n);
});

test('the key behind a prefix is the first that does not begin with it', () => {
  const behind = (bytes: number[]): number[] => {
    const u8 = Uint8Array.from(bytes);
    return [...u8.subarray(0, afterPrefix(u8, 0, bytes.length))];
  };
  expect(behind([1, 2])).toEqual([1, 3]);
  expect(behind([1, 255])).toEqual([2]);
  expect(behind([255, 255])).toEqual([]);
  expect(behind([])).toEqual([]);
});

test('what is no such value, or too long, is refused by name', () => {
  const write = (type: DataType, value: unknown, nullable = false) =>
    valueCodec(type, nullable, 'small').write(value, sinkOf());
  expect(() => write({ kind: 'BOOLEAN' }, 1)).toThrow(/'small' \(BOOLEAN\) expects true or false, got 1, a number/);
  expect(() => write({ kind: 'INT' }, null)).toThrow(/not declared \.nullable\(\)/);
  expect(() => write({ kind: 'INT' }, undefined, true)).toThrow(/'small' \(INT\) is missing/);
  expect(() => write({ kind: 'BIGINT' }, 2 ** 53)).toThrow(/whole number below 2\^53/);
  expect(() => write({ kind: 'TIMESTAMP', precision: 3 }, new Date(Number.NaN))).toThrow(/a valid Date/);
  expect(() => write({ kind: 'ARRAY', of: { kind: 'INT' }, nullable: false }, [1, 'x'])).toThrow(/'small\[\]'/);
  expect(() => valueCodec({ kind: 'DECIMAL', precision: 25, scale: 2 }, false, 'sum')).toThrow(
    /cannot be kept in state yet/,
  );
  expect(() =>
    keyCodec({ name: 'k', type: { kind: 'ARRAY', of: { kind: 'INT' }, nullable: false }, nullable: false }),
  ).toThrow(/cannot be a key of state/);
  // What fits to the byte is taken.
  const exact = byteSink(memory, scratch, 16, 104, 'x');
  valueCodec({ kind: 'VARCHAR' }, false, 'x').write('y'.repeat(100), exact);
  expect(exact.at - exact.from).toBe(104);
  exact.reset();
  keyCodec({ name: 'x', type: { kind: 'VARCHAR' }, nullable: false }).write(`\0${'é'.repeat(50)}`, exact);
  expect(exact.at - exact.from).toBe(104);
  const short = byteSink(memory, scratch, 16, 100, "the value of 'x'");
  expect(() => valueCodec({ kind: 'VARCHAR' }, false, 'x').write('y'.repeat(200), short)).toThrow(
    /the value of 'x' takes \d+ bytes, at most 100 are kept/,
  );
});
