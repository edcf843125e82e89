/** Holds docs/types.md: its tables are read, and what they say of each type is tried with real jobs, both ways. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as arrow from 'apache-arrow';
import type { Type } from 'millrace';
import { arrowBatches, arrowTable, collect, collection, decimal, from, MillraceError, run, schema, t } from 'millrace';
import { describe, expect, test } from 'vitest';
import { describeArrow } from '../../connectors/arrow/describe.ts';
import { dataTypeOf } from '../../core/api/schema.ts';
import { typeName } from '../../core/record/types.ts';

const root = join(import.meta.dirname, '..', '..');
const page = readFileSync(join(root, 'docs', 'types.md'), 'utf8');

/** Cells of the table under that heading. */
function tableOf(heading: string): string[][] {
  const section = page.split(`## ${heading}\n`)[1]!.split('\n## ')[0]!;
  const lines = section.split('\n').filter((line) => line.startsWith('| '));
  return lines.slice(1).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => plain(cell.trim())),
  );
}
const plain = (cell: string): string =>
  cell
    .replace(/^`(.*)`$/, '$1')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>');

interface Sample {
  readonly type: Type<unknown>;
  /** What JavaScript writes, and what it then reads, where that is another value. */
  readonly values: readonly (readonly [written: unknown, read?: unknown])[];
  /** Name of the Arrow type. */
  readonly arrow?: string;
}

const at = (text: string): Date => new Date(text);
const samples: Readonly<Record<string, Sample>> = {
  't.boolean()': { type: t.boolean(), values: [[true], [false]], arrow: 'Bool' },
  't.tinyint()': { type: t.tinyint(), values: [[1]] },
  't.smallint()': { type: t.smallint(), values: [[1]] },
  't.int()': { type: t.int(), values: [[0], [-(2 ** 31)], [2 ** 31 - 1]], arrow: 'Int32' },
  't.bigint()': { type: t.bigint(), values: [[0], [2 ** 53 - 1], [-(2 ** 53) + 1], [7n, 7]], arrow: 'Int64' },
  't.bigint().asBigInt()': {
    type: t.bigint().asBigInt(),
    values: [[2n ** 63n - 1n], [-(2n ** 63n)], [0n]],
    arrow: 'Int64',
  },
  't.float()': { type: t.float(), values: [[1]] },
  't.double()': {
    type: t.double(),
    values: [[0.1], [-0], [Number.NaN], [Number.POSITIVE_INFINITY], [5e-324], [1.7976931348623157e308]],
    arrow: 'Float64',
  },
  't.decimal(10, 2)': {
    type: t.decimal(10, 2),
    values: [[decimal('1.50')], [decimal('-99999999.99')], [decimal('7'), decimal('7.00')], [decimal('0.00')]],
    arrow: 'Decimal[10e+2]',
  },
  't.decimal(23, 3)': { type: t.decimal(23, 3), values: [[decimal('1.500')]] },
  't.string()': { type: t.string(), values: [[''], ['twelve bytes'], ['thirteen bytes'], ['ü–€–𝄞 \0']], arrow: 'Utf8' },
  't.binary()': { type: t.binary(), values: [[new Uint8Array([1])]] },
  't.date()': {
    type: t.date(),
    values: [
      [at('2026-01-31')],
      [at('1969-12-31')],
      [at('2026-01-31T23:59:59.999Z'), at('2026-01-31')],
      [at('1969-12-31T00:00:00.001Z'), at('1969-12-31')],
    ],
    arrow: 'Date32<DAY>',
  },
  't.time()': { type: t.time(), values: [['10:00:00']] },
  't.timestamp(3)': {
    type: t.timestamp(3),
    values: [[at('2026-01-31T12:34:56.789Z')], [at('1969-12-31T23:59:59.999Z')], [new Date(8.64e15)]],
    arrow: 'Timestamp<MILLISECOND>',
  },
  't.timestamp(6)': {
    type: t.timestamp(6),
    values: [[at('2026-01-31T12:34:56.789Z')], [at('1969-12-31T23:59:59.999Z')]],
    arrow: 'Timestamp<MICROSECOND>',
  },
  't.timestamp(9)': { type: t.timestamp(9), values: [[at('2026-01-31')]] },
  't.timestampLtz(3)': { type: t.timestampLtz(3), values: [[at('2026-01-31')]] },
  't.array(t.int())': { type: t.array(t.int()), values: [[[1]]] },
  't.map(t.string(), t.int())': { type: t.map(t.string(), t.int()), values: [[new Map([['a', 1]])]] },
  't.row({ a: t.int(), b: t.string() })': {
    type: t.row({ a: t.int(), b: t.string() }),
    values: [[{ a: 1, b: 'x' }]],
    arrow: 'Struct<{a:Int32, b:Utf8}>',
  },
};

async function errorOf(work: Promise<unknown>): Promise<MillraceError> {
  const error = await work.then(
    () => null,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(MillraceError);
  return error as MillraceError;
}

const types = tableOf('Every type');

test('every kind of type has its row', () => {
  const source = readFileSync(join(root, 'core', 'record', 'types.ts'), 'utf8').split('export type TypeKind')[0]!;
  const kinds = [...source.matchAll(/kind: '([A-Z_]+)'/g)].map(([, kind]) => kind!).filter((k) => k !== 'INTERVAL');
  const documented = new Set(types.map(([sql]) => /^[A-Z_]+/.exec(sql!)![0]));
  expect([...documented].sort()).toEqual([...kinds].sort());
  expect(page).toContain('INTERVAL has no constructor');
  expect(types.map(([, made]) => made)).toEqual(Object.keys(samples));
});

for (const [sql, makes, , , arrowName, now] of types) {
  const { type, values, arrow: arrowType } = samples[makes!]!;
  const row = schema({ v: type });
  const nullable = schema({ v: type.nullable() });

  describe(makes!, () => {
    test('has the SQL name that the page gives it', () => {
      expect(typeName(dataTypeOf(type))).toBe(sql);
    });

    if (now === 'no') {
      test('is refused by name', async () => {
        const error = await errorOf(collect(from(collection([{ v: values[0]![0] }], { schema: row })), one));
        expect(error.code).toBe('plan/unsupported');
        expect(error.message).toContain(`'v' is ${sql}`);
      });
      return;
    }

    const written = [...values.map(([v]) => ({ v })), { v: null }];
    const read = [...values.map((pair) => ({ v: pair.length === 1 ? pair[0] : pair[1] })), { v: null }];
    const stream = () => from(collection(written, { schema: nullable as never }));

    test('goes through a job and comes back', async () => {
      expect(await collect(stream(), one)).toEqual(read);
      // Over a hash edge and through state: as a key.
      const keys = await collect(stream().distinct(), { parallelism: 2 });
      expect(new Set(keys.map(textOf))).toEqual(new Set(read.map(textOf)));
    });

    test(`is ${arrowName} in Arrow, there and back`, async () => {
      const batches: arrow.RecordBatch[] = [];
      await run(stream().to(arrowBatches((batch) => void batches.push(batch as arrow.RecordBatch))), one).result();
      expect(String(batches[0]!.schema.fields[0]!.type)).toBe(arrowType);
      expect(batches[0]!.getChild('v')!.isValid(values.length)).toBe(false);
      expect(await collect(from(arrowTable(batches, { schema: nullable as never })), one)).toEqual(read);
    });

    test('is not null unless it says so', async () => {
      const error = await errorOf(collect(from(collection([{ v: null }], { schema: row })), one));
      expect(error.code).toBe('schema/mismatch');
    });
  });
}

const one = { parallelism: 1 };
const textOf = (of: unknown): string =>
  JSON.stringify(of, (_, value) =>
    typeof value === 'bigint' ? `${value}n` : typeof value === 'number' && !Number.isFinite(value) ? `${value}` : value,
  );

describe('what to know', () => {
  test('a BIGINT that no number holds names the column and the remedy; Arrow and keys keep it', async () => {
    const big = 2n ** 53n + 1n;
    const rows = from(collection([{ n: big }], { schema: schema({ n: t.bigint().asBigInt() }) }));
    expect(await collect(rows, one)).toEqual([{ n: big }]);
    const table = arrow.tableFromArrays({ n: BigInt64Array.of(big) });
    expect(await collect(from(arrowTable(table, { schema: schema({ n: t.bigint().asBigInt() }) })), one)).toEqual([
      { n: big },
    ]);
    const error = await errorOf(collect(from(arrowTable(table)), one));
    expect(error.code).toBe('value/unsafe-integer');
    expect(error.message).toMatch(/'n'.*asBigInt\(\)/);
  });

  test('microseconds are kept by the engine and floored for JavaScript', async () => {
    const field = new arrow.Schema([new arrow.Field('at', new arrow.TimestampMicrosecond(), false)]);
    const data = arrow.makeData({ type: new arrow.TimestampMicrosecond(), data: BigInt64Array.of(-1n, 1_001n) });
    const struct = arrow.makeData({ type: new arrow.Struct(field.fields), length: 2, nullCount: 0, children: [data] });
    const source = from(arrowTable(new arrow.RecordBatch(field, struct)));
    expect(await collect(source, one)).toEqual([{ at: new Date(-1) }, { at: new Date(1) }]);
    const out: bigint[] = [];
    const receive = arrowBatches((batch) => {
      out.push(...((batch as arrow.RecordBatch).getChild('at')!.data[0]!.values as BigInt64Array));
    });
    await run(source.to(receive), one).result();
    expect(out).toEqual([-1n, 1_001n]);
  });

  test('rows without a schema tell their own types', async () => {
    const rows = [{ whole: 1, real: 0.5, big: 5n, at: new Date(0), text: 'x', flag: true, row: { a: 1 } }];
    let fields: readonly string[] = [];
    const receive = arrowBatches((batch) => {
      fields = (batch as arrow.RecordBatch).schema.fields.map(({ name, type }) => `${name} ${String(type)}`);
    });
    await run(from(collection(rows)).to(receive), one).result();
    expect(fields).toEqual([
      'whole Int64',
      'real Float64',
      'big Int64',
      'at Timestamp<MILLISECOND>',
      'text Utf8',
      'flag Bool',
      'row Struct<{a:Int64}>',
    ]);
    expect(await collect(from(collection(rows)), one)).toEqual(rows);
    expect((await errorOf(collect(from(collection([{ n: null }])), one))).code).toBe('schema/mismatch');
  });
});

test('Arrow types are read as the page says', () => {
  const structure = new arrow.Struct([new arrow.Field('a', new arrow.Int32(), true)]);
  const dictionary = new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32());
  const made = (name: string): arrow.DataType => {
    if (name === 'Struct') return structure;
    if (name === 'Dictionary') return dictionary;
    if (name === 'Decimal') return new arrow.Decimal(2, 10, 128);
    return new (arrow as unknown as Record<string, new () => arrow.DataType>)[name]!();
  };
  const found = tableOf('From Arrow').map(([name]) => {
    const only = new arrow.Schema([new arrow.Field('v', made(name!), true)]);
    const { type } = describeArrow({ schema: only, batches: [] }).fields[0]!;
    return [name, type.kind === 'ROW' ? 'ROW' : typeName(type)];
  });
  expect(found).toEqual(tableOf('From Arrow'));
});
