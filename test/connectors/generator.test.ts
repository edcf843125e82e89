import { expect, test } from 'vitest';
import { bitThreshold, columnSeed } from '../../connectors/generator/columns.ts';
import { generatorSource } from '../../connectors/generator/generator.ts';
import { type GeneratorColumn, generatorFields, generatorOptions } from '../../connectors/generator/options.ts';
import { prng } from '../../core/base/prng.ts';
import { PollStatus } from '../../core/ports/connector.ts';
import { layoutOf } from '../../core/record/layout.ts';
import { testSlot } from '../support/slot.ts';
import { readAll, readerContext, rowsOf, specOf, type Value } from './support.ts';

const u64 = (v: bigint): bigint => BigInt.asUintN(64, v);
/** SplitMix64 as published: the state advances by the golden ratio, then it is mixed. */
function draw(seed: bigint, n: number): bigint {
  let z = u64(seed + BigInt(n) * 0x9e3779b97f4a7c15n);
  z = u64((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = u64((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}
const below = (x: bigint, range: bigint): bigint => (range <= 1n << 32n ? ((x >> 32n) * range) >> 32n : x % range);

function expected(of: GeneratorColumn, seed: number, n: number): Value {
  if (of.nulls && draw(columnSeed(seed, of.name, 'null'), n) >> 11n >= bitThreshold(1 - of.nulls)) return null;
  const x = draw(columnSeed(seed, of.name, 'value'), n);
  switch (of.kind) {
    case 'sequence': {
      const v = BigInt(of.from) + BigInt(of.step) * BigInt(n);
      return of.type === 'INT' ? Number(v) : v;
    }
    case 'int': {
      const v = BigInt(of.min) + below(x, BigInt(of.max) - BigInt(of.min) + 1n);
      return of.type === 'INT' ? Number(v) : v;
    }
    case 'double':
      return of.min + Number(x >> 11n) * 2 ** -53 * (of.max - of.min);
    case 'boolean':
      return x >> 11n < bitThreshold(of.probability);
    case 'text': {
      const digits = String(below(x, BigInt(of.distinct)));
      return of.prefix + digits.padStart(of.length - Buffer.byteLength(of.prefix), '0');
    }
    case 'time': {
      const ticks = of.precision > 3 ? 1000 : 1;
      const start = BigInt(of.start) * BigInt(ticks) + BigInt(Math.floor(n * of.stepMs * ticks));
      return start + (of.disorderMs > 0 ? below(x, BigInt(of.disorderMs * ticks)) : 0n);
    }
    case 'constant':
      return of.value;
    case 'due':
      throw new Error('depends on the clock');
  }
}

const columns: GeneratorColumn[] = [
  { name: 'id', kind: 'sequence', type: 'BIGINT', from: 5, step: 3 },
  { name: 'small', kind: 'sequence', type: 'INT', from: -7, step: 1 },
  { name: 'key', kind: 'int', type: 'BIGINT', min: 0, max: 9_999 },
  { name: 'wide', kind: 'int', type: 'BIGINT', min: '-9223372036854775808', max: '9223372036854775807', nulls: 0.25 },
  { name: 'mid', kind: 'int', type: 'BIGINT', min: '-5000000000000', max: '5000000000000' },
  { name: 'die', kind: 'int', type: 'INT', min: 1, max: 6, nulls: 0.1 },
  { name: 'x', kind: 'double', min: -2, max: 3 },
  { name: 'flag', kind: 'boolean', probability: 0.3, nulls: 0.5 },
  ...[5, 6, 8, 9, 10, 12, 13, 16, 40].map(
    (length): GeneratorColumn => ({
      name: `t${length}`,
      kind: 'text',
      prefix: length % 2 ? 'k' : '',
      distinct: Math.min(10 ** (length - 1), 2 ** 32),
      length,
    }),
  ),
  { name: 'at', kind: 'time', precision: 3, start: 1_000_000, stepMs: 0.01, disorderMs: 1000 },
  { name: 'fine', kind: 'time', precision: 6, start: 0, stepMs: 0.25, disorderMs: 0 },
  { name: 'short', kind: 'constant', type: { kind: 'VARCHAR' }, value: 'tiny' },
  { name: 'long', kind: 'constant', type: { kind: 'VARCHAR' }, value: 'longer than twelve bytes' },
  { name: 'one', kind: 'constant', type: { kind: 'DOUBLE' }, value: 1.5 },
  { name: 'yes', kind: 'constant', type: { kind: 'BOOLEAN' }, value: true },
];

const byFirst = (a: Value[], b: Value[]): number => Number((a[0] as bigint) - (b[0] as bigint));

for (const [batchRows, parallelism, rows] of [
  [1, 1, 30],
  [7, 3, 5000],
  [4096, 2, 20_000],
  [4096, 5, 3],
] as const) {
  test(`row n is a function of seed and n: ${parallelism} splits, batches of ${batchRows}`, async () => {
    const seed = 42;
    const read = await readAll(generatorSource, specOf('generator', { columns, rows, seed, rowsPerSecond: null }), {
      batchRows,
      parallelism,
      reopenEvery: 3,
    });
    expect(read.rows.length).toBe(rows);
    expect(read.splits.reduce((sum, s) => sum + s.estimatedRows!, 0)).toBe(rows);
    const sorted = read.rows.sort(byFirst);
    for (let n = 0; n < rows; n++) {
      const want = columns.map((c) => expected(c, seed, n));
      if (rows < 100 || n % 17 === 0) expect(sorted[n], `row ${n}`).toEqual(want);
    }
  });
}

test('another seed gives other rows, the same seed the same', async () => {
  const key: GeneratorColumn = { name: 'key', kind: 'int', type: 'BIGINT', min: 0, max: 1_000_000 };
  const read = async (seed: number): Promise<Value[][]> =>
    (await readAll(generatorSource, specOf('generator', { columns: [key], rows: 100, seed, rowsPerSecond: null })))
      .rows;
  expect(await read(1)).toEqual(await read(1));
  expect(await read(1)).not.toEqual(await read(2));
});

test('only the columns asked for are made, in the order asked for', async () => {
  const spec = specOf('generator', { columns, rows: 10, seed: 1, rowsPerSecond: null });
  const read = await readAll(generatorSource, spec, { columns: ['key', 'id'] });
  expect(read.rows[2]).toEqual([expected(columns[2], 1, 2), 11n]);
});

test('rows come when they are due and not before, whichever slot makes them', async () => {
  const seed = prng(3).u32();
  const cols: GeneratorColumn[] = [
    { name: 'id', kind: 'sequence', type: 'BIGINT', from: 0, step: 1 },
    { name: 'due', kind: 'due', precision: 6 },
  ];
  const spec = specOf('generator', { columns: cols, rows: null, seed, rowsPerSecond: 10 });
  const request = { layout: layoutOf(generatorFields(generatorOptions(spec.options))), prune: [], timeColumn: 'due' };
  const [at] = await generatorSource.enumerate(
    spec,
    request,
    2,
    () => undefined,
    () => 1_234_567,
  );
  // Where the clock is a simulated one, what is due goes by it.
  expect(at!.minimum).toBe('1234567000');
  const splits = await generatorSource.enumerate(spec, request, 2, () => undefined);
  const slot = testSlot();
  const clock = { nowMs: 5000, wakeAt: null as number | null, wakes: 0 };
  const reader = generatorSource.reader(spec, request, readerContext(slot, 4096, {}, clock));
  reader.open(splits[1]);
  expect(reader.poll()).toBe(PollStatus.starved);
  expect(clock.wakeAt).toBe(5100);
  clock.nowMs = 5100;
  expect(reader.poll()).toBe(PollStatus.moved);
  const [[id, due]] = rowsOf(reader.batch, slot.memory);
  expect(id).toBe(1n);
  expect(String(due)).toBe(String(BigInt(splits[1].minimum!) + 100_000n));
  expect(reader.poll()).toBe(PollStatus.starved);
  clock.nowMs = 6500;
  expect(reader.poll()).toBe(PollStatus.moved);
  expect(rowsOf(reader.batch, slot.memory).map((r) => r[0])).toEqual([3n, 5n, 7n, 9n, 11n, 13n, 15n]);
});

test('options that mean nothing are refused with the column and the reason', () => {
  const refuse = (column: object, what: RegExp): void => {
    expect(() => generatorOptions({ columns: [column as never], rows: 1, seed: 1, rowsPerSecond: null })).toThrow(what);
  };
  refuse({ name: 'k', kind: 'int', type: 'INT', min: 0, max: 2 ** 31 }, /'k'.*no INT/);
  refuse({ name: 'k', kind: 'int', type: 'BIGINT', min: 2, max: 1 }, /min 2 is above max 1/);
  refuse({ name: 'k', kind: 'text', prefix: 'ab', distinct: 1000, length: 4 }, /4 bytes are too few/);
  refuse({ name: 'k', kind: 'sequence', type: 'INT', from: 1.5, step: 1 }, /not a whole number/);
  refuse({ name: 'k', kind: 'due', precision: 3 }, /needs rowsPerSecond/);
  refuse({ name: 'k', kind: 'nothing' }, /unknown kind 'nothing'/);
});
