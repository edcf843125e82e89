import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pl from 'nodejs-polars';
import { afterAll, expect, test } from 'vitest';
import { parquetSource } from '../../connectors/parquet/source.ts';
import type { DataType, Fields } from '../../core/record/types.ts';
import { readAll, type Value } from './harness.ts';
import { duckdbRows } from './oracle.ts';

const directory = fileURLToPath(new URL('../fixtures/parquet/', import.meta.url));
const expected = JSON.parse(readFileSync(join(directory, 'expected.json'), 'utf8')) as Record<string, unknown>;
const names = Object.keys(expected).filter((name) => !name.startsWith('='));
const scratch = mkdtempSync(join(tmpdir(), 'millrace-parquet-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function fieldsOf(path: string): Promise<Fields> {
  return (await parquetSource.describe({ kind: 'parquet', label: '', options: { path } }, () => undefined)).fields;
}

/** As expected.json has it: integers as decimal strings. */
function plain(value: Value): Value {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** pyarrow's ticks in ours: nanoseconds are floored, seconds are stored as milliseconds. */
function inTicks(fixture: string, column: string, value: Value): Value {
  if (value === null) return null;
  if (column === 'ns') {
    const ns = BigInt(value as string);
    return (ns >= 0n ? ns / 1000n : -((-ns + 999n) / 1000n)).toString();
  }
  return fixture === 'times' && column === 's' ? `${value}000` : value;
}

test.each(names)('pyarrow fixture %s reads as pyarrow reads it', async (name) => {
  const path = join(directory, `${name}.parquet`);
  const columns = expected[`=${expected[name]}`] as Record<string, Value[]>;
  // Unannotated bytes are read as the VARCHAR that a schema declares.
  const fields = (await fieldsOf(path)).map((field) =>
    field.type.kind === 'BINARY' ? { ...field, type: { kind: 'VARCHAR' } as DataType } : field,
  );
  for (const batchRows of [4096, 60]) {
    const read = await readAll(path, { fields, batchRows });
    expect(read.layout.map((column) => column.name)).toEqual(Object.keys(columns));
    for (const [c, column] of read.layout.entries()) {
      const ours = read.rows.map((row) => {
        const value = plain(row[c] as Value);
        return column.storage === 'i32' && value !== null ? String(value) : value;
      });
      const theirs = (columns[column.name] as Value[]).map((value) => inTicks(name, column.name, value));
      expect(ours).toEqual(theirs);
    }
  }
});

test('nested groups become ROWs, lists stay unread', async () => {
  const path = join(directory, 'nested.parquet');
  const fields = (await fieldsOf(path)).filter((field) => field.name === 'outer');
  const read = await readAll(path, { columns: ['outer'] });
  expect(read.layout.map((column) => column.name)).toEqual(['outer.a', 'outer.inner.b']);
  expect(read.rows).toEqual(await duckdbRows(path, fields));
  await expect(readAll(path, { columns: ['list'] })).rejects.toMatchObject({ code: 'plan/unsupported' });
});

test('Zstandard of level 19', async () => {
  const path = join(directory, 'zstd-19.parquet');
  const read = await readAll(path);
  expect(read.rows).toEqual(await duckdbRows(path, await fieldsOf(path)));
});

test.each(['uncompressed', 'snappy', 'gzip', 'brotli', 'lz4', 'zstd'] as const)(
  'a file of Polars, %s',
  async (compression) => {
    const n = 3000;
    const rows = Array.from({ length: n }, (_, i) => i);
    const frame = pl.DataFrame({
      i: pl.Series(
        'i',
        rows.map((i) => (i % 7 === 0 ? null : (i * 7919) % 100_003)),
        pl.Int64,
      ),
      small: pl.Series(
        'small',
        rows.map((i) => i % 100),
        pl.Int32,
      ),
      d: pl.Series(
        'd',
        rows.map((i) => (i % 11 === 0 ? null : i / 7)),
        pl.Float64,
      ),
      s: pl.Series(
        's',
        rows.map((i) => (i % 13 === 0 ? null : `name ${i % 40} of the column`)),
        pl.Utf8,
      ),
      b: pl.Series(
        'b',
        rows.map((i) => (i % 5 === 0 ? null : i % 3 === 0)),
        pl.Bool,
      ),
    });
    const path = join(scratch, `polars-${compression}.parquet`);
    frame.writeParquet(path, { compression });
    const read = await readAll(path);
    expect(read.rows).toEqual(await duckdbRows(path, await fieldsOf(path)));
    expect(read.rows.length).toBe(n);
  },
);
