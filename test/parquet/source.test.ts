import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fileError } from '../../connectors/parquet/files.ts';
import { parquetSource } from '../../connectors/parquet/source.ts';
import { PollStatus, type PruneCondition, type Split } from '../../core/ports/connector.ts';
import { layoutOf } from '../../core/record/layout.ts';
import type { DataType, Fields } from '../../core/record/types.ts';
import { readAll, testContext, type Value, valueAt } from './harness.ts';
import { duckdb } from './oracle.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-parquet-'));
const fixtures = fileURLToPath(new URL('../fixtures/parquet/', import.meta.url));
const numbers = join(directory, 'numbers.parquet');
afterAll(() => rmSync(directory, { recursive: true, force: true }));
beforeAll(async () => {
  await (await duckdb()).run(`COPY (
    SELECT i::INTEGER AS i, i * 1000000000 AS l, i / 4 AS d, 'name' || lpad((i // 10)::VARCHAR, 6, '0') AS s,
      make_timestamp(1500000000000000 + i * 1000001) AS at, DATE '2020-01-01' + (i // 1000)::INTEGER AS day, i % 2 = 0 AS even,
      CASE WHEN i < 5000 THEN i END AS half
    FROM range(10000) r(i)) TO '${numbers}' (FORMAT parquet, ROW_GROUP_SIZE 2048, COMPRESSION zstd)`);
});

const spec = (path: string) => ({ kind: 'parquet', label: path, options: { path } });
const column = (name: string, type: DataType, nullable = true): Fields => [{ name, type, nullable }];
const none = () => undefined;

describe('paths', () => {
  const many = join(directory, 'many');
  beforeAll(() => {
    mkdirSync(join(many, 'b', 'deep'), { recursive: true });
    for (const name of [
      'b.parquet',
      'a.parquet',
      '_skip.parquet',
      '.part.parquet',
      'b/c.parquet',
      'b/deep/d.parquet',
    ]) {
      cpSync(numbers, join(many, name));
    }
    writeFileSync(join(many, 'notes.txt'), 'no data');
  });
  const files = async (path: string): Promise<unknown[]> => {
    const request = { layout: layoutOf(column('i', { kind: 'INT' })), prune: [], timeColumn: null };
    const splits = await parquetSource.enumerate(spec(path), request, 1, none);
    return [...new Set(splits.map((split) => (split.options.path as string).slice(many.length + 1)))];
  };

  test('a directory is its .parquet files by name, without hidden ones', async () => {
    expect(await files(many)).toEqual(['a.parquet', 'b.parquet']);
  });

  test('globs match within a folder, ** any depth', async () => {
    expect(await files(join(many, '*.parquet'))).toEqual(['a.parquet', 'b.parquet']);
    expect(await files(join(many, '?.par*'))).toEqual(['a.parquet', 'b.parquet']);
    expect(await files(join(many, '**', '*.parquet'))).toEqual([
      'a.parquet',
      'b.parquet',
      'b/c.parquet',
      'b/deep/d.parquet',
    ]);
    expect(await files(join(many, '*', 'c.parquet'))).toEqual(['b/c.parquet']);
  });

  test('what is not there is source/not-found, with the path', async () => {
    for (const path of [
      join(directory, 'no.parquet'),
      join(directory, '*.csv'),
      join(numbers, 'x'),
      join(directory, 'many', 'b', 'deep', 'e'),
    ]) {
      await expect(parquetSource.describe(spec(path), none)).rejects.toMatchObject({
        code: 'source/not-found',
        where: { path },
      });
    }
    mkdirSync(join(directory, 'empty'));
    await expect(parquetSource.describe(spec(join(directory, 'empty')), none)).rejects.toMatchObject({
      code: 'source/not-found',
    });
    await expect(parquetSource.describe(spec(''), none)).rejects.toMatchObject({ code: 'option/invalid' });
  });

  test('what the operating system refuses has a code of its own', () => {
    const refused = (code: string) => fileError(Object.assign(new Error(code), { code }), '/data/x.parquet').code;
    expect(refused('EACCES')).toBe('source/forbidden');
    expect(refused('EPERM')).toBe('source/forbidden');
    expect(refused('ENOENT')).toBe('source/not-found');
    expect(refused('EIO')).toBe('source/failed');
  });

  test.skipIf(process.getuid?.() === 0)('what may not be read is source/forbidden', async () => {
    const path = join(directory, 'secret.parquet');
    cpSync(numbers, path);
    chmodSync(path, 0);
    await expect(parquetSource.describe(spec(path), none)).rejects.toMatchObject({ code: 'source/forbidden' });
  });
});

describe('declared types', () => {
  const read = async (name: string, type: DataType, nullable = true): Promise<Value[]> =>
    (await readAll(numbers, { fields: column(name, type, nullable) })).rows.map((row) => row[0] as Value);

  test('integers widen, and become doubles', async () => {
    expect((await read('i', { kind: 'BIGINT' }))[9999]).toBe(9999n);
    expect((await read('i', { kind: 'DOUBLE' }))[9999]).toBe(9999);
    expect((await read('l', { kind: 'DOUBLE' }))[9999]).toBe(9_999_000_000_000);
  });

  test('a BIGINT that does not fit in INT is schema/mismatch, one that fits is not', async () => {
    await expect(read('l', { kind: 'INT' })).rejects.toMatchObject({
      code: 'schema/mismatch',
      where: { path: numbers, position: 'row group 0, column l, page 1' },
    });
    expect((await read('half', { kind: 'INT' }))[4999]).toBe(4999);
  });

  test('timestamps are floored to milliseconds, dates become midnight', async () => {
    expect((await read('at', { kind: 'TIMESTAMP', precision: 3 }))[7]).toBe(1_500_000_007_000n);
    expect((await read('at', { kind: 'TIMESTAMP', precision: 6 }))[7]).toBe(1_500_000_007_000_007n);
    expect((await read('day', { kind: 'TIMESTAMP', precision: 3 }))[0]).toBe(BigInt(Date.UTC(2020, 0, 1)));
  });

  test('what cannot be cast, and columns that are not there, are schema/mismatch', async () => {
    for (const [name, type] of [
      ['s', { kind: 'INT' }],
      ['i', { kind: 'VARCHAR' }],
      ['d', { kind: 'BIGINT' }],
      ['even', { kind: 'INT' }],
      ['at', { kind: 'BIGINT' }],
      ['missing', { kind: 'INT' }],
    ] as [string, DataType][]) {
      await expect(read(name, type)).rejects.toMatchObject({ code: 'schema/mismatch', where: { path: numbers } });
    }
  });

  test('NULL in a column declared NOT NULL is schema/mismatch', async () => {
    expect((await read('i', { kind: 'INT' }, false)).length).toBe(10_000);
    await expect(read('half', { kind: 'BIGINT' }, false)).rejects.toMatchObject({ code: 'schema/mismatch' });
  });
});

describe('splits', () => {
  const enumerate = (fields: Fields, prune: PruneCondition[], timeColumn: string | null = null) =>
    parquetSource.enumerate(spec(numbers), { layout: layoutOf(fields), prune, timeColumn }, 2, none);
  const groups = async (name: string, type: DataType, op: PruneCondition['op'], value: boolean | number | string) =>
    (await enumerate(column(name, type), [{ column: name, op, value }])).map((split) => split.options.rowGroup);

  test('are the row groups, with rows and the least event time in ticks of the declared column', async () => {
    const micros = await enumerate(column('at', { kind: 'TIMESTAMP', precision: 6 }), [], 'at');
    expect(micros.map((split) => split.estimatedRows)).toEqual([2048, 2048, 2048, 2048, 1808]);
    expect(micros[1]?.minimum).toBe(String(1_500_000_000_000_000 + 2048 * 1_000_001));
    const millis = await enumerate(column('at', { kind: 'TIMESTAMP', precision: 3 }), [], 'at');
    expect(millis[1]?.minimum).toBe(String(1_500_000_000_000 + 2048 * 1000 + 2));
    expect(new Set(micros.map((split) => split.id)).size).toBe(5);
  });

  test('that no row can satisfy are left out', async () => {
    const int: DataType = { kind: 'INT' };
    expect(await groups('i', int, 'eq', 2048)).toEqual([1]);
    expect(await groups('i', int, 'eq', 20_000)).toEqual([]);
    expect(await groups('i', int, 'lt', 2048)).toEqual([0]);
    expect(await groups('i', int, 'lte', 2048)).toEqual([0, 1]);
    expect(await groups('i', int, 'gt', 8191)).toEqual([4]);
    expect(await groups('i', int, 'gte', 8191)).toEqual([3, 4]);
    expect(await groups('l', { kind: 'BIGINT' }, 'lt', '2048000000000')).toEqual([0]);
    expect(await groups('d', { kind: 'DOUBLE' }, 'lt', 512)).toEqual([0]);
    // NaN is in no statistics, so nothing is left out from above.
    expect((await groups('d', { kind: 'DOUBLE' }, 'gt', 1e9)).length).toBe(5);
    expect(await groups('s', { kind: 'VARCHAR' }, 'lt', 'name0002')).toEqual([0]);
    expect(await groups('at', { kind: 'TIMESTAMP', precision: 3 }, 'lt', String(1_500_002_048_002))).toEqual([0]);
    expect(await groups('half', { kind: 'BIGINT' }, 'gte', '0')).toEqual([0, 1, 2]);
    expect((await groups('even', { kind: 'BOOLEAN' }, 'eq', true)).length).toBe(5);
  });

  test('go on at any position', async () => {
    const layout = layoutOf([...column('i', { kind: 'INT' }), ...column('s', { kind: 'VARCHAR' })]);
    const request = { layout, prune: [], timeColumn: null };
    for (const path of [numbers, join(fixtures, 'plain-small-pages-v1.parquet')]) {
      const [split] = (await parquetSource.enumerate(spec(path), request, 1, none)) as [Split];
      const all = (await readAll(path, { columns: ['i', 's'] })).rows.slice(0, split.estimatedRows ?? 0);
      for (const batchRows of [1000, 64]) {
        const context = testContext(batchRows);
        const reader = parquetSource.reader(spec(path), request, context);
        for (const rows of [0, 1, 63, 64, 65, 311, (split.estimatedRows ?? 0) - 1, split.estimatedRows ?? 0]) {
          reader.open({ ...split, position: { rows } });
          const read: Value[][] = [];
          while (reader.poll() === PollStatus.moved) {
            for (let r = 0; r < reader.batch.rowCount; r++) {
              read.push([0, 1].map((c) => valueAt(context.memory, reader.batch, c, r)));
            }
            expect(reader.position()).toEqual({ rows: rows + read.length });
          }
          expect(read).toEqual(all.slice(rows));
        }
        reader.close();
      }
    }
  });

  test('read no columns at all when only rows are counted', async () => {
    const read = await readAll(numbers, { columns: [] });
    expect(read.rows.length).toBe(10_000);
  });

  test('of a file that changed meanwhile are not read', async () => {
    const path = join(directory, 'changing.parquet');
    cpSync(numbers, path);
    const request = { layout: layoutOf(column('i', { kind: 'INT' })), prune: [], timeColumn: null };
    const [split] = (await parquetSource.enumerate(spec(path), request, 1, none)) as [Split];
    cpSync(join(fixtures, 'plain-v1.parquet'), path);
    const reader = parquetSource.reader(spec(path), request, testContext());
    expect(() => reader.open(split)).toThrow(/changed since/);
    reader.close();
  });
});

describe('damage', () => {
  const bytes = () => readFileSync(numbers);
  const put = (name: string, content: Uint8Array): string => {
    const path = join(directory, name);
    writeFileSync(path, content);
    return path;
  };

  test('a file that is no Parquet, or was cut, is source/corrupt with its path', async () => {
    const whole = bytes();
    for (const path of [
      put('text.parquet', Buffer.from('a,b\n1,2\n3,4\n5,6\n')),
      put('nothing.parquet', Buffer.alloc(0)),
      put('short.parquet', Buffer.from('PAR1PAR1')),
      put('cut.parquet', whole.subarray(0, whole.length - 20)),
      put('no-start.parquet', whole.subarray(whole.length - 100)),
      put(
        'long-footer.parquet',
        Buffer.concat([whole.subarray(0, -8), Buffer.from([255, 255, 255, 127]), Buffer.from('PAR1')]),
      ),
    ]) {
      await expect(readAll(path)).rejects.toMatchObject({ code: 'source/corrupt', where: { path } });
    }
    const encrypted = put('encrypted.parquet', Buffer.concat([whole.subarray(0, -4), Buffer.from('PARE')]));
    await expect(readAll(encrypted)).rejects.toMatchObject({ code: 'source/unsupported' });
  });

  test('damage in a page is source/corrupt with row group, column and page', async () => {
    const content = bytes();
    // The first page header of the first column.
    content[4] = 0xff;
    const path = put('page.parquet', content);
    await expect(readAll(path)).rejects.toMatchObject({
      code: 'source/corrupt',
      where: { path, position: 'row group 0, column i, page 0' },
    });
  });

  test('a checksum in a page header is compared', async () => {
    const content = readFileSync(join(fixtures, 'dictionary-v1.parquet'));
    let caught = 0;
    for (let i = 60; i < 260; i += 20) {
      const changed = Buffer.from(content);
      changed[i] = (changed[i] as number) ^ 1;
      const path = put('checksum.parquet', changed);
      await readAll(path).catch((error) => {
        expect(error).toMatchObject({ code: 'source/corrupt' });
        if (/checksum/.test(error.message)) caught += 1;
      });
    }
    expect(caught).toBeGreaterThan(5);
  });
});
