import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parquetSource } from '../../connectors/parquet/source.ts';
import { decimalText } from '../../core/record/decimal.ts';
import { type ReadOptions, readAll } from './harness.ts';
import { duckdb, duckdbRows } from './oracle.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-parquet-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function write(name: string, select: string, options: string): Promise<string> {
  const path = join(directory, `${name}.parquet`);
  await (await duckdb()).run(`COPY (${select}) TO '${path}' (FORMAT parquet${options === '' ? '' : `, ${options}`})`);
  return path;
}

async function expectSame(path: string, options: ReadOptions = {}): Promise<Awaited<ReturnType<typeof readAll>>> {
  const info = await parquetSource.describe({ kind: 'parquet', label: '', options: { path } }, () => undefined);
  const fields = info.fields.filter((field) => options.columns?.includes(field.name) ?? true);
  const read = await readAll(path, options);
  expect(read.rows).toEqual(await duckdbRows(path, fields));
  return read;
}

const everyType = (rows: number, nulls: string): string => `
  SELECT ${[
    ['b', `(hash(i) % 3 = 0)`],
    ['t', `((hash(i) % 256)::INTEGER - 128)::TINYINT`],
    ['s', `((hash(i) % 65536)::INTEGER - 32768)::SMALLINT`],
    ['i', `((hash(i) % 4294967296)::BIGINT - 2147483648)::INTEGER`],
    ['l', `(hash(i)::HUGEINT - 9223372036854775808)::BIGINT`],
    ['ut', `(hash(i) % 256)::UTINYINT`],
    ['us', `(hash(i) % 65536)::USMALLINT`],
    ['ui', `(hash(i) % 4294967296)::UINTEGER`],
    ['ul', `(hash(i) % 9223372036854775807)::UBIGINT`],
    ['f', `(hash(i) % 100000)::FLOAT / 7`],
    ['d', `(hash(i) % 100000)::DOUBLE / 7`],
    ['short', `'v' || (hash(i) % 50)`],
    ['long', `repeat('é' || chr((33 + hash(i) % 90)::INTEGER), (hash(i) % 40)::INTEGER)`],
    ['day', `DATE '1960-01-01' + (hash(i) % 40000)::INTEGER`],
    ['us6', `make_timestamp((hash(i) % 4000000000000000)::BIGINT - 1000000000000000)`],
    ['ms3', `epoch_ms((hash(i) % 4000000000000)::BIGINT - 1000000000000)::TIMESTAMP_MS`],
    ['tz', `make_timestamptz((hash(i) % 4000000000000000)::BIGINT)`],
    ['id', `md5(i::VARCHAR)::UUID`],
    ['nothing', `NULL::INTEGER`],
    ['sorted', `i`],
  ]
    .map(([name, value]) => `CASE WHEN ${nulls.replaceAll('name', `'${name}'`)} THEN NULL ELSE ${value} END AS ${name}`)
    .join(',\n  ')} FROM range(${rows}) r(i)`;

const someNulls = `hash(name || i::VARCHAR) % 5 = 0`;
const runsOfNulls = `(i // 700) % 2 = length(name) % 2`;

for (const codec of ['uncompressed', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4_raw']) {
  test(`DuckDB's types with NULLs, ${codec}`, async () => {
    await expectSame(
      await write(`types-${codec}`, everyType(3500, someNulls), `COMPRESSION ${codec}, ROW_GROUP_SIZE 2048`),
    );
  });
}

test("DuckDB's version 2 encodings: delta, byte-stream split, delta lengths", async () => {
  const path = await write('v2', everyType(8000, someNulls), 'PARQUET_VERSION V2, COMPRESSION zstd');
  await expectSame(path);
  await expectSame(await write('v2-unique', everyType(8000, 'false'), 'PARQUET_VERSION V2, DICTIONARY_SIZE_LIMIT 1'));
});

test('long runs of NULLs and of values, without dictionaries', async () => {
  await expectSame(await write('runs', everyType(5000, runsOfNulls), 'DICTIONARY_SIZE_LIMIT 1'));
  await expectSame(await write('none', everyType(2500, 'false'), 'COMPRESSION snappy'));
  await expectSame(await write('all', everyType(1500, 'true'), ''));
});

test('batches of 1, 7 and 64 rows give the same rows', async () => {
  const path = await write('sizes', everyType(700, someNulls), 'ROW_GROUP_SIZE 2048');
  for (const batchRows of [1, 7, 64]) await expectSame(path, { batchRows });
});

test('columns are read in the order asked for, others are not touched', async () => {
  const path = await write(
    'nested',
    `SELECT i, [i, i + 1] AS list, i::DECIMAL(18, 2) AS price, MAP {'a': i} AS m, TIME '10:00:00' AS at, 'x' || i AS name
     FROM range(5000) r(i)`,
    '',
  );
  await expectSame(path, { columns: ['i', 'name'] });
  for (const column of ['list', 'm', 'at']) {
    await expect(readAll(path, { columns: [column] })).rejects.toThrow(new RegExp(`${column}|not supported`));
  }
});

test('structs become ROWs whose leaves are null where the struct is', async () => {
  const path = await write(
    'struct',
    `SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE {'a': i, 'b': CASE WHEN i % 2 = 0 THEN 's' || i END} END AS s
     FROM range(5000) r(i)`,
    '',
  );
  await expectSame(path);
});

test('repeated strings come as dictionary codes, distinct ones as plain views', async () => {
  const path = await write(
    'dictionary',
    `SELECT 'k' || (i % 100) AS few, md5(i::VARCHAR) AS many FROM range(20000) r(i)`,
    'COMPRESSION zstd',
  );
  const read = await expectSame(path);
  expect(read.coded).toEqual([20_000, 0]);
});

test('an empty table has no splits', async () => {
  const read = await readAll(await write('empty', 'SELECT 1 AS a, 2.5::DOUBLE AS b WHERE false', ''));
  expect(read.rows).toEqual([]);
});

test('a page of many megabytes is decoded within the memory it needs', async () => {
  const path = await write(
    'big-page',
    `SELECT repeat(md5(i::VARCHAR), 4) AS wide FROM range(40000) r(i)`,
    'COMPRESSION snappy, ROW_GROUP_SIZE 40960',
  );
  await expectSame(path, { megabytes: 48 });
  await expect(readAll(path, { megabytes: 2 })).rejects.toMatchObject({ code: 'memory/exhausted' });
});

test('a dictionary too large to travel as codes is looked up', async () => {
  const path = await write(
    'large-dictionary',
    `SELECT 'entry number ' || (i % 70000) AS s, (i % 70000)::BIGINT AS l FROM range(150000) r(i)`,
    'ROW_GROUP_SIZE 200000, DICTIONARY_SIZE_LIMIT 100000, STRING_DICTIONARY_PAGE_SIZE_LIMIT 10000000',
  );
  const encodings = await (await duckdb()).runAndReadAll(`SELECT encodings FROM parquet_metadata('${path}')`);
  expect(encodings.getRows()[0]?.[0]).toContain('DICTIONARY');
  const read = await expectSame(path);
  expect(read.coded[0]).toBe(0);
});

test('decimals of 4, 8 and 16 bytes are units of their scale, in several encodings and with NULL', async () => {
  const types = { small: [5, 1], middle: [18, 4], wide: [18, 5] } as const;
  for (const options of ['', 'DICTIONARY_SIZE_LIMIT 1', 'PARQUET_VERSION V2']) {
    const path = await write(
      'decimals',
      `SELECT ((i * 7919) % 1999 - 999)::DECIMAL(5, 1) AS small,
         CASE WHEN i % 5 = 0 THEN NULL ELSE ((i * 104729) % 99991 - 50000)::DECIMAL(16, 4) / 8 END::DECIMAL(16, 4) AS middle,
         CASE WHEN i % 7 = 0 THEN NULL ELSE (((i * i) % 99991 - 50000) / 64)::DECIMAL(36, 5) END AS wide
       FROM range(5000) r(i)`,
      options,
    );
    for (const [name, [precision, scale]] of Object.entries(types)) {
      const texts = await (await duckdb()).runAndReadAll(`SELECT CAST(${name} AS VARCHAR) FROM '${path}'`);
      const fields = [{ name, type: { kind: 'DECIMAL' as const, precision, scale }, nullable: true }];
      const { rows } = await readAll(path, { fields });
      const got = rows.map(([v]) => (v === null ? null : decimalText(v as bigint, scale)));
      expect(got, `${name} ${options}`).toEqual(texts.getRows().map(([text]) => text));
    }
    const narrow = { name: 'wide', type: { kind: 'DECIMAL' as const, precision: 6, scale: 5 }, nullable: true };
    await expect(readAll(path, { fields: [narrow] })).rejects.toThrow(/wide/);
    await expect(readAll(path, { columns: ['wide'] })).rejects.toThrow(/DECIMAL\(36, 5\)/);
  }
});
