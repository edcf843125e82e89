import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, expect, test } from 'vitest';
import { jsonlSource } from '../../connectors/jsonl/source.ts';
import { prng } from '../../core/base/prng.ts';
import type { ConnectorSpec, Split } from '../../core/ports/connector.ts';
import { layoutOf } from '../../core/record/layout.ts';
import type { DataType, Field, Fields } from '../../core/record/types.ts';
import { testSlot } from '../support/slot.ts';
import { jsonFields, randomLines } from './json-lines.ts';
import { type ReadOptions, readAll, readerContext, rowsOf, specOf, type Value } from './support.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-jsonl-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let files = 0;
function fileOf(content: string | Uint8Array): string {
  const path = join(root, `${files++}.jsonl`);
  writeFileSync(path, content);
  return path;
}
const spec = (path: string, fields: Fields | null, more: object = {}): ConnectorSpec =>
  specOf('jsonl', { path, ...(fields ? { schema: fields } : {}), ...more }, path);
const read = async (
  content: string | Uint8Array,
  fields: Fields | null,
  options: ReadOptions & { spec?: object } = {},
) => (await readAll(jsonlSource, spec(fileOf(content), fields, options.spec), options)).rows;
const field = (name: string, kind: DataType['kind'], nullable = true): Field => {
  const type = (kind === 'TIMESTAMP' ? { kind, precision: 3 } : { kind }) as DataType;
  return { name, type, nullable };
};

/** Reads with splits of our own choice: what lies where must not matter. */
async function readSplits(path: string, fields: Fields, cuts: readonly number[], size: number, batchRows: number) {
  const slot = testSlot({ bytes: 64 * 1024 * 1024 });
  const request = { layout: layoutOf(fields), prune: [], timeColumn: null };
  const reader = jsonlSource.reader(spec(path, fields), request, readerContext(slot, batchRows));
  const bounds = [0, ...cuts, size];
  const rows: Value[][] = [];
  for (let i = 0; i + 1 < bounds.length; i++) {
    const options = { path, from: bounds[i], to: bounds[i + 1], size };
    const split: Split = { id: `${i}`, options, position: null, estimatedRows: null, minimum: null };
    reader.open(split);
    for (let n = 0; reader.poll() === 0; n++) {
      rows.push(...rowsOf(reader.batch, slot.memory));
      if (n % 3 === 2) reader.open({ ...split, position: JSON.parse(JSON.stringify(reader.position())) });
    }
  }
  reader.close();
  return rows;
}

const seed = 31_337;
for (const batchRows of [1, 7, 4096]) {
  test(`random lines read as the values they were written from, however the file is cut: batches of ${batchRows}`, async () => {
    for (let i = 0; i < 10; i++) {
      const random = prng(seed + i);
      const { text, rows } = randomLines(random, batchRows === 1 ? 40 : 400);
      const bytes = Buffer.from(text);
      const path = fileOf(bytes);
      const cuts = Array.from({ length: random.below(6) }, () => 1 + random.below(bytes.length - 1)).sort(
        (a, b) => a - b,
      );
      const got = await readSplits(path, jsonFields, cuts, bytes.length, batchRows);
      expect(got, `seed ${seed + i}, cuts ${cuts}`).toEqual(rows);
    }
  });
}

test('a column can be left out, and columns come in the order asked for', async () => {
  const random = prng(seed);
  const { text, rows } = randomLines(random, 100);
  const names = ['s', 'i64', 'at'];
  const got = await read(text, jsonFields, { columns: names });
  const index = names.map((name) => jsonFields.findIndex((f) => f.name === name));
  expect(got).toEqual(rows.map((row) => index.map((i) => row[i])));
});

test('columns found by looking agree with DuckDB, and so do the values', async () => {
  const random = prng(99);
  const lines = Array.from({ length: 3000 }, (_, i) => {
    const row = {
      id: i,
      big: random.u32() * 1000,
      x: random.next() * 10 ** (random.below(40) - 20),
      name: ['ä "quoted" name', 'plain', '', 'tab\tand\\'][random.below(4)],
      ok: random.below(3) === 0 ? null : random.below(2) === 1,
      day: new Date(random.below(20_000) * 86_400_000).toISOString().slice(0, 10),
      at: new Date(random.u32() * 500).toISOString(),
    };
    return JSON.stringify(row);
  });
  const path = fileOf(lines.join('\n'));
  const info = await jsonlSource.describe(spec(path, null), () => undefined);
  expect(info.fields.map((f) => [f.name, f.type.kind])).toEqual([
    ['id', 'BIGINT'],
    ['big', 'BIGINT'],
    ['x', 'DOUBLE'],
    ['name', 'VARCHAR'],
    ['ok', 'BOOLEAN'],
    ['day', 'DATE'],
    ['at', 'TIMESTAMP'],
  ]);
  const ours = (await readAll(jsonlSource, spec(path, null), { parallelism: 3 })).rows;
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const result = await connection.runAndReadAll(
    `SELECT id, big, x, name, ok, datediff('day', DATE '1970-01-01', "day"::DATE), epoch_ms("at"::TIMESTAMP) FROM read_json('${path}', format = 'newline_delimited')`,
  );
  const theirs = result.getRows().map((row) => {
    const [id, big, x, name, ok, day, at] = row as [bigint, bigint, number, string, boolean | null, bigint, bigint];
    return [BigInt(id), BigInt(big), x, name, ok, Number(day), BigInt(at)];
  });
  connection.closeSync();
  expect(ours).toEqual(theirs);
});

test('byte order mark, CRLF, blank lines, tabs and a last line without its end', async () => {
  const fields = [field('a', 'INT'), field('b', 'VARCHAR')];
  const text = '\ufeff{"a":1,"b":"x"}\r\n\r\n   \n\t{ "a" : 2 ,\t"b" : "y" } \r\n\n{"b":"z","a":3}';
  expect(await read(text, fields)).toEqual([
    [1, 'x'],
    [2, 'y'],
    [3, 'z'],
  ]);
  expect(await read('', fields)).toEqual([]);
  expect(await read('\n\n', fields)).toEqual([]);
  expect(await read('\ufeff', fields)).toEqual([]);
  expect(await read('{}\n{}', fields)).toEqual([
    [null, null],
    [null, null],
  ]);
});

test('whole numbers keep every digit; beyond their column they are refused', async () => {
  const big = [field('n', 'BIGINT')];
  const values = [
    '9007199254740993',
    '-9223372036854775808',
    '9223372036854775807',
    '1e3',
    '12.00',
    '"42"',
    '1e18',
    '-0',
  ];
  expect(await read(values.map((v) => `{"n":${v}}`).join('\n'), big)).toEqual(
    [9007199254740993n, -(2n ** 63n), 2n ** 63n - 1n, 1000n, 12n, 42n, 10n ** 18n, 0n].map((v) => [v]),
  );
  for (const bad of ['9223372036854775808', '1.5', '1e30', '"1.5"', 'true', '{}', '""']) {
    await expect(read(`{"n":${bad}}`, big), bad).rejects.toMatchObject({ code: 'source/bad-record' });
  }
  await expect(read('{"n":2147483648}', [field('n', 'INT')])).rejects.toThrow(
    /'n' \(INT\) expects a whole number of 32 bits/,
  );
});

test('doubles are the nearest ones, to the last bit, and text may say what JSON cannot', async () => {
  const random = prng(5);
  const texts = [
    '0',
    '-0',
    '1e-400',
    '1.7976931348623157e308',
    '5e-324',
    '0.1',
    '123456789.123456789',
    '9007199254740993',
    '1E5',
    '-1.5e+3',
  ];
  for (let i = 0; i < 3000; i++) {
    const digits = Array.from({ length: 1 + random.below(22) }, () => random.below(10))
      .join('')
      .replace(/^0+(?=\d)/, '');
    texts.push(
      `${digits}${random.below(2) ? `.${random.u32()}` : ''}${random.below(2) ? `e${random.below(640) - 320}` : ''}`,
    );
  }
  const got = await read(texts.map((t) => `{"x":${t}}`).join('\n'), [field('x', 'DOUBLE')]);
  expect(got.map((row) => row[0])).toEqual(texts.map(Number));
  const words = await read('{"x":"NaN"}\n{"x":"-Infinity"}\n{"x":"2.5"}', [field('x', 'DOUBLE')]);
  expect(words).toEqual([[Number.NaN], [Number.NEGATIVE_INFINITY], [2.5]]);
});

test('texts: every escape, surrogates, and what is no text as it stands in the file', async () => {
  const fields = [field('s', 'VARCHAR')];
  const raw = [
    '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
    '"\\u0041\\u00e9\\u20ac\\u0000"',
    '"\\ud83d\\ude80"',
    '"\\ud83d"',
    '"é€🚀 and a longer tail"',
    '12.50',
    'true',
    '[1, {"a": "x,y"}]',
    '{"a":[]}',
    '1e400',
    '"\\u0022\\\\u0041"',
  ];
  expect((await read(raw.map((r) => `{"s": ${r} }`).join('\n'), fields)).map((row) => row[0])).toEqual([
    '"\\/\b\f\n\r\t',
    'Aé€\u0000',
    '🚀',
    '\ufffd',
    'é€🚀 and a longer tail',
    '12.50',
    'true',
    '[1, {"a": "x,y"}]',
    '{"a":[]}',
    '1e400',
    '"\\u0041',
  ]);
});

test('a name that comes twice counts last, an escaped name is the same name, and __proto__ is only a name', async () => {
  const fields = [field('a', 'INT'), field('__proto__', 'INT'), field('constructor', 'VARCHAR')];
  const text =
    '{"a":1,"a":2}\n{"\\u0061":3}\n{"a":null,"a":4}\n{"a":5,"a":null}\n{"__proto__":7,"a":8}\n{"__proto__":{"a":9}, "a":1}';
  await expect(read(text, fields)).rejects.toThrow(/'__proto__' \(INT\) expects/);
  expect(await read(text.split('\n').slice(0, 5).join('\n'), fields)).toEqual([
    [2, null, null],
    [3, null, null],
    [4, null, null],
    [null, null, null],
    [8, 7, null],
  ]);
  expect(({} as { a?: unknown }).a).toBeUndefined();
});

test('times: ISO texts with fraction and offset, epoch milliseconds, dates; floored to their precision', async () => {
  const at: Field = { name: 't', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: true };
  const fine: Field = { name: 't', type: { kind: 'TIMESTAMP', precision: 6 }, nullable: true };
  const texts = [
    '"2001-02-03T04:05:06.789Z"',
    '"2001-02-03 04:05:06"',
    '"2001-02-03"',
    '"2001-02-03T04:05:06.7891234+02:00"',
    '"1969-12-31T23:59:59.9999999Z"',
    '981173106789',
    '-1',
    '"2000-02-29T00:00Z"',
    '"0000-01-01T00:00:00"',
  ];
  const ms = [
    Date.UTC(2001, 1, 3, 4, 5, 6, 789),
    Date.UTC(2001, 1, 3, 4, 5, 6),
    Date.UTC(2001, 1, 3),
    Date.UTC(2001, 1, 3, 2, 5, 6, 789),
    -1,
    981173106789,
    -1,
    Date.UTC(2000, 1, 29),
    -62167219200000,
  ];
  const lines = texts.map((t) => `{"t":${t}}`).join('\n');
  expect((await read(lines, [at])).map((r) => r[0])).toEqual(ms.map(BigInt));
  const micros = (await read(lines, [fine])).map((r) => r[0]);
  expect(micros[3]).toBe(BigInt(ms[3]) * 1000n + 123n);
  expect(micros[4]).toBe(-1n);
  const day: Field = { name: 't', type: { kind: 'DATE' }, nullable: true };
  expect(await read('{"t":"1969-12-31"}\n{"t":"2000-02-29T00:00:00.000Z"}', [day])).toEqual([[-1], [11016]]);
  for (const bad of [
    '"2001-02-29"',
    '"2001-13-01"',
    '"yesterday"',
    '"2001-02-03T24:00:00Z"',
    '1.5',
    '"2001-2-3"',
    'true',
  ]) {
    await expect(read(`{"t":${bad}}`, [at]), bad).rejects.toMatchObject({ code: 'source/bad-record' });
  }
  await expect(read('{"t":"2001-02-03T00:00:01Z"}', [day])).rejects.toThrow(/expects a date/);
});

test('ROWs are nested objects; a ROW that is null makes its leaves null', async () => {
  const type: DataType = { kind: 'ROW', fields: [field('start', 'TIMESTAMP'), field('n', 'INT')] };
  const fields: Fields = [{ name: 'w', type, nullable: true }, field('a.b', 'INT')];
  const text = '{"w":{"start":"1970-01-01T00:00:01Z","n":1},"a.b":5}\n{"w":null}\n{"w":{"n":2}}\n{}';
  expect(await read(text, fields)).toEqual([
    [1000n, 1, 5],
    [null, null, null],
    [null, 2, null],
    [null, null, null],
  ]);
  await expect(read('{"w":5}', fields)).rejects.toThrow(/column 'w' is a ROW; found 5/);
});

test('a bad line is named by path, line and byte, or counted and left out', async () => {
  const fields = [field('a', 'INT', false)];
  const good = '{"a":1}\n';
  const bad: [string | Uint8Array, RegExp][] = [
    ['{"a":', /no JSON/],
    ['{"a":1}}', /no JSON/],
    ['{"a":01}', /no JSON/],
    ["{'a':1}", /no JSON/],
    ['[1]', /expected an object, found an array/],
    ['{"a":null}', /'a' \(INT\) is null, but declared not null/],
    ['{"b":1}', /'a' \(INT\) is missing/],
    ['{"a":"x"}', /expects a whole number of 32 bits, found "x", a string/],
    ['{"a":1,"s":"\u0001"}', /no JSON/],
    [Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x31, 0x2c, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), /no UTF-8/],
    [Buffer.from('{"a":1,"s":"\xed\xa0\x80"}', 'latin1'), /no UTF-8/],
  ];
  for (const [line, message] of bad) {
    const content = Buffer.concat([Buffer.from(good.repeat(20)), Buffer.from(line), Buffer.from(`\n${good}`)]);
    const path = fileOf(content);
    await expect(readAll(jsonlSource, spec(path, fields)), String(line)).rejects.toMatchObject({
      code: 'source/bad-record',
      message: expect.stringMatching(message),
      where: { path, position: 'line 21, byte 160' },
    });
    expect((await readAll(jsonlSource, spec(path, fields, { onError: 'skip' }))).rows.length).toBe(21);
  }
});

test('a line longer than the buffer is read whole, up to the limit of the memory', async () => {
  const fields = [field('a', 'INT'), field('s', 'VARCHAR')];
  const long = 'x'.repeat(1_500_000);
  const text = `{"a":1,"s":"y"}\n{"a":2,"s":"${long}"}\n{"a":3,"s":"z"}`;
  expect(await read(text, fields, { slotBytes: 64 * 1024 * 1024 })).toEqual([
    [1, 'y'],
    [2, long],
    [3, 'z'],
  ]);
  await expect(read(text, fields, { slotBytes: 2 * 1024 * 1024 })).rejects.toMatchObject({ code: 'memory/exhausted' });
});

test('files, directories and patterns; what is not there, or shrinks while it is read', async () => {
  const fields = [field('a', 'INT')];
  const dir = join(root, 'many', 'deep');
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(root, 'many', '1.jsonl'), '{"a":1}');
  writeFileSync(join(root, 'many', '2.ndjson'), '{"a":2}');
  writeFileSync(join(root, 'many', '.3.jsonl'), '{"a":3}');
  writeFileSync(join(dir, '4.jsonl'), '{"a":4}');
  const values = async (path: string) => (await readAll(jsonlSource, spec(path, fields))).rows.map((r) => r[0]);
  expect(await values(join(root, 'many'))).toEqual([1, 2]);
  expect(await values(join(root, 'many', '*.jsonl'))).toEqual([1]);
  expect(await values(join(root, 'many', '**', '*.jsonl'))).toEqual([1, 4]);
  for (const missing of ['none.jsonl', 'none/*.jsonl', 'many/deep/x*']) {
    await expect(values(join(root, missing)), missing).rejects.toMatchObject({ code: 'source/not-found' });
  }
  const shrinking = fileOf('{"a":1}\n'.repeat(100));
  const size = 800;
  truncateSync(shrinking, 400);
  await expect(readSplits(shrinking, fields, [], size, 4096)).rejects.toMatchObject({ code: 'source/corrupt' });
});

test('large files become several splits, and their lines come once each', async () => {
  const fields = [field('n', 'BIGINT')];
  const path = fileOf(Array.from({ length: 400_000 }, (_, i) => `{"n":${i}}`).join('\n'));
  const { rows, splits } = await readAll(jsonlSource, spec(path, fields), { parallelism: 2 });
  expect(splits.length).toBeGreaterThan(3);
  expect(rows.length).toBe(400_000);
  expect(rows.every((row, i) => row[0] === BigInt(i))).toBe(true);
});
