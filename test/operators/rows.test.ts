/** Rows at the boundary: what goes in through a writer comes out of readers and views, and what cannot be is refused. */
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../core/base/errors.ts';
import { valueBytesMax } from '../../core/base/limits.ts';
import { prng } from '../../core/base/prng.ts';
import { layoutOf, rowtimeColumn } from '../../core/record/layout.ts';
import { type SlotMemory, slotMemory } from '../../core/record/memory.ts';
import { readRow, rowReader, rowView } from '../../core/record/row-view.ts';
import { type RowWriterOptions, rowWriter } from '../../core/record/row-writer.ts';
import { type DataType, type Fields, windowType } from '../../core/record/types.ts';

const memoryOf = (megabytes: number): SlotMemory => {
  const pages = megabytes * 16;
  return slotMemory(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }), 1024, pages * 65_536);
};
const field = (name: string, type: DataType, nullable = true) => ({ name, type, nullable });
const everything: Fields = [
  field('flag', { kind: 'BOOLEAN' }),
  field('small', { kind: 'INT' }),
  field('big', { kind: 'BIGINT' }),
  field('huge', { kind: 'BIGINT', asBigInt: true }),
  field('real', { kind: 'DOUBLE' }),
  field('text', { kind: 'VARCHAR' }),
  field('day', { kind: 'DATE' }),
  field('ms', { kind: 'TIMESTAMP', precision: 3 }),
  field('us', { kind: 'TIMESTAMP', precision: 6 }),
  field('window', windowType, false),
];
const sample = {
  flag: true,
  small: -2_147_483_648,
  big: -9_007_199_254_740_991,
  huge: -(2n ** 63n),
  real: -0,
  text: 'grün – 🦆',
  day: new Date('1969-12-31T00:00:00Z'),
  ms: new Date('1969-12-31T23:59:59.999Z'),
  us: new Date('9999-12-31T23:59:59.999Z'),
  window: { start: new Date(0), end: new Date(86_400_000) },
};

function writerOf(fields: Fields, options: RowWriterOptions & { rows?: number; megabytes?: number } = {}) {
  const memory = memoryOf(options.megabytes ?? 4);
  return { memory, writer: rowWriter(fields, layoutOf(fields), memory, options.rows ?? 64, options) };
}

function errorOf(work: () => unknown): MillraceError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    return error as MillraceError;
  }
  throw new Error('nothing was thrown');
}

describe('a row', () => {
  test('of every type comes back as it went in, through a reader and through a view', () => {
    const { memory, writer } = writerOf(everything);
    expect(writer.append(sample)).toBe(true);
    const written = writer.batch();
    expect(readRow(written, 0, everything, memory)).toStrictEqual(sample);
    const view = rowView(everything, memory);
    view.open(written);
    const row = view.at(0);
    expect({ ...row }).toStrictEqual(sample);
    expect(Object.keys(row)).toEqual(Object.keys(sample));
    const json = (value: unknown): string => JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}n` : v));
    expect(json(row)).toBe(json(sample));
  });

  test('of NULLs comes back as nulls, and a nullable ROW of NULLs as null', () => {
    const fields = [...everything.slice(0, -1), field('window', windowType, true)];
    const nulls = Object.fromEntries(fields.map((f) => [f.name, null]));
    const { memory, writer } = writerOf(fields);
    writer.append({ ...sample });
    writer.append(nulls);
    const written = writer.batch();
    expect(readRow(written, 1, fields, memory)).toStrictEqual(nulls);
    expect(readRow(written, 0, fields, memory)).toStrictEqual(sample);
  });

  test('may have columns called __proto__, constructor and toString', () => {
    const fields = ['__proto__', 'constructor', 'toString'].map((name) => field(name, { kind: 'VARCHAR' }, false));
    const { memory, writer } = writerOf(fields);
    const row = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c"}');
    writer.append(row);
    const written = writer.batch();
    const view = rowView(fields, memory);
    view.open(written);
    for (const back of [readRow(written, 0, fields, memory), { ...view.at(0) }]) {
      expect(JSON.stringify(back)).toBe(JSON.stringify(row));
      expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    }
    expect(errorOf(() => writer.append({})).message).toContain("column '__proto__' is missing");
  });

  test('of random values comes back from batches of several sizes (seed 11)', () => {
    const random = prng(11);
    const alphabet = ['', 'a', 'longer than twelve bytes', 'ä'.repeat(7), '🦆'.repeat(4), 'exactly12byt'];
    for (const rows of [1, 7, 1000]) {
      const { memory, writer } = writerOf(everything, { rows });
      const reader = rowReader(everything, memory);
      const pending: object[] = [];
      const check = (): void => {
        const written = writer.batch();
        expect(written.rowCount).toBe(pending.length);
        reader.open(written);
        expect(pending.map((_, i) => reader.read(i))).toStrictEqual(pending);
        pending.length = 0;
        writer.reset();
      };
      for (let i = 0; i < 2000; i++) {
        const maybe = <T>(value: T): T | null => (random.below(4) === 0 ? null : value);
        const date = () => new Date(Math.floor((random.next() - 0.5) * 1e14));
        const row = {
          flag: maybe(random.below(2) === 0),
          small: maybe(random.u32() | 0),
          big: maybe(Math.floor((random.next() - 0.5) * 2 ** 53)),
          huge: maybe(BigInt.asIntN(64, (BigInt(random.u32()) << 32n) | BigInt(random.u32()))),
          real: maybe(random.next() * 10 ** (random.below(600) - 300)),
          text: maybe((alphabet[random.below(alphabet.length)] as string) + random.below(100)),
          day: maybe(new Date(Math.floor((random.next() - 0.5) * 1e6) * 86_400_000)),
          ms: maybe(date()),
          us: maybe(date()),
          window: { start: date(), end: date() },
        };
        if (!writer.append(row)) {
          check();
          expect(writer.append(row)).toBe(true);
        }
        pending.push(row);
      }
      check();
    }
  });
});

describe('a view', () => {
  const fields = [field('a', { kind: 'INT' }, false), field('s', { kind: 'VARCHAR' }, false)];
  const twoRows = () => {
    const { memory, writer } = writerOf(fields);
    writer.append({ a: 1, s: 'one' });
    writer.append({ a: 2, s: 'two' });
    return { memory, written: writer.batch() };
  };

  test('is one object for all rows, and cannot be written to', () => {
    const { memory, written } = twoRows();
    const view = rowView(fields, memory);
    view.open(written);
    const first = view.at(0);
    expect(view.at(1)).toBe(first);
    expect(first.a).toBe(2);
    expect(() => Object.assign(first, { a: 3 })).toThrow(TypeError);
    expect(() => Object.assign(first, { b: 3 })).toThrow(TypeError);
  });

  test('that is kept throws in test mode, and a copy of it does not', () => {
    const { memory, written } = twoRows();
    const view = rowView(fields, memory, { poison: true });
    view.open(written);
    const kept = view.at(0);
    const copy = { ...kept };
    view.end();
    expect(copy).toStrictEqual({ a: 1, s: 'one' });
    expect(errorOf(() => kept.a).message).toContain('keep a copy');
    view.at(1);
    expect(errorOf(() => kept.s).code).toBe('function/threw');
  });

  test('of a BIGINT beyond 2^53 says how to ask for a bigint; one of exactly 2^53 - 1 is a number', () => {
    const big = [field('n', { kind: 'BIGINT' }, false)];
    const { memory, writer } = writerOf(big);
    for (const n of [2n ** 53n - 1n, 2n ** 53n, -(2n ** 53n), -(2n ** 53n) + 1n]) writer.append({ n });
    const written = writer.batch();
    const reader = rowReader(big, memory);
    reader.open(written);
    expect(reader.read(0)).toEqual({ n: 9007199254740991 });
    expect(reader.read(3)).toEqual({ n: -9007199254740991 });
    for (const row of [1, 2]) {
      const error = errorOf(() => reader.read(row));
      expect(error.code).toBe('value/unsafe-integer');
      expect(error.message).toContain('.asBigInt()');
    }
  });
});

describe('a writer', () => {
  test('refuses what a column cannot hold, names the column, and goes on as before', () => {
    const { memory, writer } = writerOf(everything);
    const wrong: [string, unknown, string][] = [
      ['flag', 1, 'true or false'],
      ['small', 1.5, 'whole number'],
      ['small', 2 ** 31, 'whole number'],
      ['big', 2 ** 53, '2^53'],
      ['big', 2n ** 63n, '64 bits'],
      ['real', '1', 'a number, got "1", a string'],
      ['text', 7, 'a string'],
      ['text', undefined, 'is missing'],
      ['day', '2020-01-01', 'a valid Date'],
      ['ms', new Date(Number.NaN), 'an invalid Date'],
      ['window', null, 'is null, but declared not null'],
      ['window', 5, 'an object'],
      ['window', { start: null, end: new Date(0) }, "column 'window.start'"],
    ];
    writer.append(sample);
    for (const [name, value, message] of wrong) {
      const error = errorOf(() => writer.append({ ...sample, [name]: value }));
      expect(error.code).toBe('function/bad-result');
      expect(error.message).toContain(`column '${name}`);
      expect(error.message).toContain(message);
    }
    expect(errorOf(() => writer.append(7)).message).toContain('expected an object with the columns flag, small');
    writer.append(sample);
    const written = writer.batch();
    expect(written.rowCount).toBe(2);
    expect(readRow(written, 1, everything, memory)).toStrictEqual(sample);
  });

  test('takes an absent column as NULL only where it was told to', () => {
    const fields = [field('a', { kind: 'INT' }), field('b', { kind: 'INT' }, false)];
    const { memory, writer } = writerOf(fields, { absentIsNull: true, code: 'schema/mismatch' });
    writer.append({ b: 1 });
    expect(readRow(writer.batch(), 0, fields, memory)).toStrictEqual({ a: null, b: 1 });
    expect(errorOf(() => writer.append({ a: 1 })).code).toBe('schema/mismatch');
  });

  test('is full when its rows or its strings are, and takes a row of any size when it is empty', () => {
    const fields = [field('s', { kind: 'VARCHAR' }, false)];
    const { memory, writer } = writerOf(fields, { rows: 64, megabytes: 8 });
    const long = 'x'.repeat(1500);
    let taken = 0;
    while (writer.append({ s: long })) taken++;
    expect(taken).toBe(2);
    writer.reset();
    const huge = 'ü'.repeat(1_000_000);
    expect(writer.append({ s: huge })).toBe(true);
    expect(readRow(writer.batch(), 0, fields, memory).s).toBe(huge);
    expect(writer.append({ s: 'a string beside it that is longer than a view' })).toBe(false);
    for (let i = 0; i < 20; i++) {
      writer.reset();
      expect(writer.append({ s: huge })).toBe(true);
    }
    writer.reset();
    for (let i = 0; i < 64; i++) expect(writer.append({ s: `${i}` })).toBe(true);
    expect(writer.append({ s: '' })).toBe(false);
  });

  test('says what to do when a row finds no memory, and what the limit of a value is', () => {
    const fields = [field('s', { kind: 'VARCHAR' }, false)];
    const small = writerOf(fields, { megabytes: 2 }).writer;
    expect(errorOf(() => small.append({ s: 'x'.repeat(5_000_000) })).code).toBe('memory/exhausted');
    expect(small.append({ s: 'a string that is longer than a view' })).toBe(true);
    const error = errorOf(() =>
      writerOf(fields, { megabytes: 80 }).writer.append({ s: 'x'.repeat(valueBytesMax + 1) }),
    );
    expect(error.code).toBe('record/too-large');
    expect(error.message).toContain(`${valueBytesMax}`);
    const { memory, writer } = writerOf(fields, { megabytes: 80 });
    expect(writer.append({ s: 'y'.repeat(valueBytesMax) })).toBe(true);
    expect(readRow(writer.batch(), 0, fields, memory).s).toHaveLength(valueBytesMax);
  });

  test('carries event time and row kinds', () => {
    const fields = [field('a', { kind: 'INT' }, false)];
    const memory = memoryOf(4);
    const writer = rowWriter(fields, [...layoutOf(fields), rowtimeColumn], memory, 4, { kinds: true });
    const at = memory.arena.allocate(8, 'test');
    memory.i64[at >>> 3] = -123_456_789_012n;
    writer.append({ a: 1 }, at, 0);
    expect(writer.batch().kinds).toBe(0);
    writer.append({ a: 2 }, at, 3);
    const written = writer.batch();
    expect([...memory.u8.subarray(written.kinds, written.kinds + 2)]).toEqual([0, 3]);
    expect(memory.i64[((written.columns[1]?.values ?? 0) >>> 3) + 1]).toBe(-123_456_789_012n);
  });
});
