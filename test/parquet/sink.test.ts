import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pl from 'nodejs-polars';
import { afterAll, expect, test } from 'vitest';
import { systemError } from '../../connectors/files/output.ts';
import { parquetSink } from '../../connectors/parquet/sink.ts';
import { parquetSource } from '../../connectors/parquet/source.ts';
import { prng } from '../../core/base/prng.ts';
import type { Json, WriterContext } from '../../core/ports/connector.ts';
import { PollStatus } from '../../core/ports/connector.ts';
import { type Batch, batch, type Column } from '../../core/record/batch.ts';
import { layoutOf, valueBytes } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import type { Fields } from '../../core/record/types.ts';
import { readAll, testContext, type Value } from './harness.ts';
import { duckdb, duckdbRows } from './oracle.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-parquet-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const fields: Fields = [
  { name: 'b', type: { kind: 'BOOLEAN' }, nullable: true },
  { name: 'i', type: { kind: 'INT' }, nullable: true },
  { name: 'l', type: { kind: 'BIGINT' }, nullable: true },
  { name: 'd', type: { kind: 'DOUBLE' }, nullable: true },
  { name: 'few', type: { kind: 'VARCHAR' }, nullable: true },
  { name: 'many', type: { kind: 'VARCHAR' }, nullable: true },
  { name: 'day', type: { kind: 'DATE' }, nullable: true },
  { name: 'ms', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: true },
  { name: 'us', type: { kind: 'TIMESTAMP', precision: 6 }, nullable: true },
  { name: 'key', type: { kind: 'BIGINT' }, nullable: false },
];

function context(attemptId = 'a1'): WriterContext & { readonly fieldsLayout: Fields } {
  const { memory, kernels } = testContext();
  return {
    memory,
    kernels,
    layout: layoutOf(fields),
    batchRows: 4096,
    subtask: 0,
    parallelism: 1,
    resource: () => undefined,
    wake: () => {},
    attemptId,
    fieldsLayout: fields,
  };
}

/** Lays `rows` out as a batch. */
function batchOf(
  memory: SlotMemory,
  of: Fields,
  rows: readonly Value[][],
  more: { kinds?: number[]; only?: number[] } = {},
): Batch {
  const layout = layoutOf(of);
  const columns: Column[] = layout.map((column, c) => {
    const values = memory.arena.allocate(valueBytes(column.storage, rows.length) + 64, 'test');
    const validity = memory.arena.allocate(valueBytes('bit', rows.length) + 64, 'test');
    for (const [r, row] of rows.entries()) {
      const value = row[c] as Value;
      if (value === null) continue;
      memory.u8[validity + (r >>> 3)] = (memory.u8[validity + (r >>> 3)] as number) | (1 << (r & 7));
      switch (column.storage) {
        case 'bit':
          if (value === true)
            memory.u8[values + (r >>> 3)] = (memory.u8[values + (r >>> 3)] as number) | (1 << (r & 7));
          break;
        case 'i32':
          memory.i32[(values >>> 2) + r] = value as number;
          break;
        case 'i64':
          memory.i64[(values >>> 3) + r] = value as bigint;
          break;
        case 'f64':
          memory.f64[(values >>> 3) + r] = value as number;
          break;
        case 'view': {
          const bytes = Buffer.from(value as string);
          const view = values + 16 * r;
          memory.u32[view >>> 2] = bytes.length;
          const at = bytes.length > 12 ? memory.arena.allocate(bytes.length, 'test') : view + 4;
          memory.u8.set(bytes, at);
          if (bytes.length > 12) {
            memory.u8.set(bytes.subarray(0, 4), view + 4);
            memory.u32[(view >>> 2) + 3] = at;
          }
        }
      }
    }
    return { validity: column.nullable ? validity : 0, values, dictionary: null };
  });
  let kinds = 0;
  if (more.kinds) {
    kinds = memory.arena.allocate(rows.length, 'test');
    memory.u8.set(more.kinds, kinds);
  }
  let selection = 0;
  if (more.only) {
    selection = memory.arena.allocate(4 * more.only.length, 'test');
    memory.u32.set(more.only, selection >>> 2);
  }
  return batch(layout, rows.length, columns, { kinds, selection, size: more.only?.length ?? rows.length });
}

function randomRows(seed: number, n: number, first = 0): Value[][] {
  const random = prng(seed);
  const maybe = (value: Value): Value => (random.below(6) === 0 ? null : value);
  const big = (): bigint => BigInt.asIntN(64, (BigInt(random.u32()) << 32n) | BigInt(random.u32()));
  return Array.from({ length: n }, (_, i) => [
    maybe(random.below(2) === 0),
    maybe(random.u32() | 0),
    maybe(big()),
    maybe([0, -0, 1 / 3, -1e300, Number.POSITIVE_INFINITY, random.next()][random.below(6)] as number),
    maybe(`few ${'é'.repeat(random.below(30))}`),
    maybe(`${random.u32()}${'x'.repeat(random.below(20))}`),
    maybe(random.below(40_000) - 10_000),
    maybe(BigInt(random.u32()) * 1000n - 2n ** 40n),
    maybe(BigInt(random.u32()) * 1_000_000n - 2n ** 50n),
    BigInt(first + i),
  ]);
}

function write(path: string, options: Record<string, Json>, seed: number, batches: number, rows = 4096): Value[][] {
  const on = context();
  const spec = { kind: 'parquet', label: path, options: { path, ...options } };
  parquetSink.describe(spec, fields, false);
  const writer = parquetSink.writer(spec, fields, on);
  const all: Value[][] = [];
  for (let i = 0; i < batches; i++) {
    const next = randomRows(seed + i, rows, i * rows);
    const only = next.map((_, r) => r).filter((r) => r % 3 !== i % 3);
    expect(writer.write(batchOf(on.memory, fields, next, i % 2 === 0 ? {} : { only }))).toBe(true);
    all.push(...(i % 2 === 0 ? next : only.map((r) => next[r] as Value[])));
  }
  writer.finish();
  writer.close();
  expect(writer.bytes).toBeGreaterThan(0);
  return all;
}

test.each(['snappy', 'uncompressed', 'gzip', 'brotli'])(
  '%s files are read back by DuckDB, Polars and ourselves',
  async (compression) => {
    const path = join(directory, `${compression}.parquet`);
    const rows = write(path, { compression }, 7, 3, 1500);
    expect(await duckdbRows(path, fields)).toEqual(rows);
    expect((await readAll(path)).rows).toEqual(rows);
    const frame = pl.readParquet(path);
    expect(frame.height).toBe(rows.length);
    expect(frame.getColumn('key').sum()).toBe(Number(rows.reduce((sum, row) => sum + (row[9] as bigint), 0n)));
    expect(frame.getColumn('many').toArray()).toEqual(rows.map((row) => row[5]));
  },
);

test('row groups hold about 122,880 rows, with statistics that DuckDB trusts', async () => {
  const path = join(directory, 'groups.parquet');
  const of: Fields = [fields[2], fields[9]] as Fields;
  const on = { ...context(), layout: layoutOf(of) };
  const spec = { kind: 'parquet', label: path, options: { path } };
  const writer = parquetSink.writer(spec, of, on);
  const random = prng(5);
  for (let i = 0; i < 35; i++) {
    const next = Array.from({ length: 4096 }, (_, r): Value[] => [
      r % 9 === 0 ? null : BigInt(random.u32()) * 4_000_000_000n - 2n ** 62n,
      BigInt(4096 * i + r),
    ]);
    writer.write(batchOf(on.memory, of, next));
  }
  writer.finish();
  const request = { layout: layoutOf(of), prune: [], timeColumn: null };
  const splits = await parquetSource.enumerate(spec, request, 1, () => undefined);
  expect(splits.map((split) => split.estimatedRows)).toEqual([122_880, 20_480]);
  const connection = await duckdb();
  const told = await connection.runAndReadAll(
    `SELECT stats_min_value, stats_max_value, stats_null_count::VARCHAR FROM parquet_metadata('${path}') ORDER BY row_group_id, column_id`,
  );
  const found = await connection.runAndReadAll(
    `SELECT min(l)::VARCHAR, max(l)::VARCHAR, sum((l IS NULL)::INTEGER)::VARCHAR, min(key)::VARCHAR, max(key)::VARCHAR
     FROM read_parquet('${path}') GROUP BY key >= 122880 ORDER BY min(key)`,
  );
  expect((told.getRows() as string[][]).flat()).toEqual(
    (found.getRows() as string[][]).flatMap((row) => [...row, '0']),
  );
  const prune = [{ column: 'key', op: 'gt', value: '130000' } as const];
  const after = await parquetSource.enumerate(spec, { ...request, prune }, 1, () => undefined);
  expect(after.map((split) => split.options.rowGroup)).toEqual([1]);
});

test('a directory gets one file per task and nothing half-written', async () => {
  const path = join(directory, 'many', 'parts');
  const spec = { kind: 'parquet', label: path, options: { path } };
  expect(parquetSink.describe(spec, fields, false).parallelismMax).toBeGreaterThan(100);
  const writers = [0, 1].map((subtask) => {
    const on = { ...context('x/y'), subtask };
    const writer = parquetSink.writer(spec, fields, on);
    writer.write(batchOf(on.memory, fields, randomRows(subtask, 100, subtask * 100)));
    return writer;
  });
  expect(readdirSync(path).every((name) => name.startsWith('.'))).toBe(true);
  writers[0]?.finish();
  writers[0]?.close();
  writers[1]?.close();
  expect(readdirSync(path)).toEqual(['part-0-x_y.parquet']);
  expect((await readAll(path)).rows.map((row) => row[9])).toEqual(Array.from({ length: 100 }, (_, i) => BigInt(i)));
});

test('without rows there is still a file with its columns', async () => {
  const path = join(directory, 'none.parquet');
  const on = context();
  const writer = parquetSink.writer({ kind: 'parquet', label: path, options: { path } }, fields, on);
  writer.finish();
  expect((await readAll(path)).rows).toEqual([]);
  expect(await duckdbRows(path, fields)).toEqual([]);
});

test('changelog: true puts the kind of every row first, and takes corrections', async () => {
  const path = join(directory, 'changes.parquet');
  const spec = { kind: 'parquet', label: path, options: { path, changelog: true } };
  expect(parquetSink.describe(spec, fields, true).accepts).toBe('all');
  const on = context();
  const writer = parquetSink.writer(spec, fields, on);
  writer.write(batchOf(on.memory, fields, randomRows(1, 5), { kinds: [0, 1, 2, 3, 0] }));
  writer.write(batchOf(on.memory, fields, randomRows(2, 2)));
  writer.finish();
  const read = await readAll(path);
  expect(read.layout[0]?.name).toBe('row_kind');
  expect(read.rows.map((row) => row[0])).toEqual(['+I', '-U', '+U', '-D', '+I', '+I', '+I']);
  expect(read.coded[0]).toBe(7);
});

test('ROWs are written as groups that DuckDB reads', async () => {
  const window: Fields = [
    {
      name: 'window',
      nullable: false,
      type: {
        kind: 'ROW',
        fields: [
          { name: 'start', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false },
          { name: 'end', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: true },
        ],
      },
    },
    {
      name: 'deep',
      nullable: true,
      type: { kind: 'ROW', fields: [{ name: 'value', type: { kind: 'VARCHAR' }, nullable: true }] },
    },
  ];
  const path = join(directory, 'rows.parquet');
  const on = { ...context(), layout: layoutOf(window) };
  const writer = parquetSink.writer({ kind: 'parquet', label: path, options: { path } }, window, on);
  const rows: Value[][] = [
    [1n, 2n, 'a'],
    [3n, null, null],
    [5n, 6n, 'a long text of many bytes'],
  ];
  writer.write(batchOf(on.memory, window, rows));
  writer.finish();
  expect(await duckdbRows(path, window)).toEqual(rows);
  expect((await readAll(path)).rows).toEqual(rows);
});

test('what one reader decodes, the writer takes with its dictionary', async () => {
  const from = join(directory, 'from.parquet');
  await (await duckdb()).run(
    `COPY (SELECT 'k' || (i % 50) AS s FROM range(10000) r(i)) TO '${from}' (FORMAT parquet, ROW_GROUP_SIZE 4096)`,
  );
  const of: Fields = [{ name: 's', type: { kind: 'VARCHAR' }, nullable: true }];
  const reading = testContext();
  const spec = { kind: 'parquet', label: from, options: { path: from } };
  const request = { layout: layoutOf(of), prune: [], timeColumn: null };
  const reader = parquetSource.reader(spec, request, reading);
  const to = join(directory, 'to.parquet');
  const writer = parquetSink.writer({ kind: 'parquet', label: to, options: { path: to } }, of, {
    ...context(),
    memory: reading.memory,
    layout: request.layout,
  });
  for (const split of await parquetSource.enumerate(spec, request, 1, () => undefined)) {
    reader.open(split);
    while (reader.poll() === PollStatus.moved) writer.write(reader.batch);
  }
  writer.finish();
  const read = await readAll(to);
  expect(read.rows).toEqual(await duckdbRows(from, of));
  expect(read.coded).toEqual([10_000]);
});

test('places that cannot take rows are refused when planned', () => {
  const describe = (path: unknown, options: Record<string, Json> = {}, updating = false): (() => unknown) => {
    const spec = { kind: 'parquet', label: 'x', options: { path: path as string, ...options } };
    return () => parquetSink.describe(spec, fields, updating);
  };
  expect(parquetSink.describe({ kind: 'parquet', label: 'x', options: { path: 'a.parquet' } }, fields, false)).toEqual({
    accepts: 'insert',
    parallelismMax: 1,
    place: 'slot',
  });
  expect(describe('out', {}, true)).toThrow(expect.objectContaining({ code: 'plan/changelog' }));
  expect(describe('')).toThrow(expect.objectContaining({ code: 'option/invalid' }));
  const folder = join(directory, 'folder.parquet');
  mkdirSync(folder);
  expect(describe(folder)).toThrow(expect.objectContaining({ code: 'sink/failed' }));
  const file = join(directory, 'file');
  writeFileSync(file, '');
  expect(describe(file)).toThrow(expect.objectContaining({ code: 'sink/failed' }));
  expect(() =>
    parquetSink.writer({ kind: 'parquet', label: 'x', options: { path: join(file, 'x') } }, fields, context()),
  ).toThrow(expect.objectContaining({ code: 'sink/failed' }));
  const lzo = { kind: 'parquet', label: 'x', options: { path: join(directory, 'y'), compression: 'lzo' } };
  expect(() => parquetSink.writer(lzo, fields, context())).toThrow(expect.objectContaining({ code: 'option/invalid' }));
  expect(existsSync(join(directory, 'y'))).toBe(false);
});

test('a full disk and a forbidden directory have codes of their own', () => {
  const code = (name: string): string => systemError(Object.assign(new Error(name), { code: name }), '/x').code;
  expect(code('ENOSPC')).toBe('sink/disk-full');
  expect(code('EACCES')).toBe('sink/forbidden');
  expect(code('EROFS')).toBe('sink/forbidden');
  expect(code('EIO')).toBe('sink/failed');
});
