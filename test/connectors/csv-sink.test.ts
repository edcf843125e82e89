import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, expect, test } from 'vitest';
import { csvEncoder } from '../../connectors/csv/encode.ts';
import { csvSink } from '../../connectors/csv/sink.ts';
import { csvSource } from '../../connectors/csv/source.ts';
import type { ByteSink } from '../../connectors/text/write.ts';
import { prng } from '../../core/base/prng.ts';
import { layoutOf } from '../../core/record/layout.ts';
import type { Fields } from '../../core/record/types.ts';
import { testSlot } from '../support/slot.ts';
import { batchesOf, writerContext } from './sink-support.ts';
import { readAll, readerContext, rowsOf, specOf } from './support.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-csv-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const fields: Fields = [
  { name: 'flag', type: { kind: 'BOOLEAN' }, nullable: true },
  { name: 'n, "quoted"', type: { kind: 'INT' }, nullable: true },
  { name: 'big', type: { kind: 'BIGINT', asBigInt: true }, nullable: true },
  { name: 'x', type: { kind: 'DOUBLE' }, nullable: true },
  { name: 'text', type: { kind: 'VARCHAR' }, nullable: true },
  { name: 'day', type: { kind: 'DATE' }, nullable: true },
  {
    name: 'window',
    type: {
      kind: 'ROW',
      fields: [
        { name: 'start', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false },
        { name: 'end', type: { kind: 'TIMESTAMP', precision: 6 }, nullable: true },
      ],
    },
    nullable: true,
  },
];

const seed = 4712;
const random = prng(seed);
const pick = <T>(...from: T[]): T => from[random.below(from.length)]!;
const maybe = <T>(value: T): T | null => (random.below(5) === 0 ? null : value);
const alphabet = ['a', 'Z', '"', ',', ';', '\\', '\n', '\r', '\u0001', 'é', '🚀', ' '];
const text = () => Array.from({ length: pick(0, 1, 5, 12, 13, 40, 3000) }, () => pick(...alphabet)).join('');
const rows = Array.from({ length: 400 }, (_, i) => ({
  flag: maybe(random.below(2) === 1),
  'n, "quoted"': maybe(pick(0, -1, 99, 2 ** 31 - 1, -(2 ** 31))),
  big: maybe(pick(0n, -1n, 999_999_999n, 99_999_999_999n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n))),
  x: maybe(pick(0, -0, 1.5, 1e21, 1e-7, 5e-324, -2.5e100, 1 / 3, Number.NaN, Number.NEGATIVE_INFINITY)),
  text: maybe(pick(text(), 'NULL', 'null')),
  day: maybe(new Date(Math.floor(random.u32() / 100_000 - 20_000) * 86_400_000)),
  window: maybe({ start: new Date((random.u32() - 2 ** 31) * 1000 + random.below(1000)), end: maybe(new Date(i)) }),
}));

function encoded(
  bufferBytes: number,
  options: { nullText?: string; delimiter?: string; header?: boolean; kinds?: readonly number[] } = {},
) {
  const slot = testSlot();
  const { nullText = '', delimiter = ',', header = true, kinds } = options;
  const dialect = { delimiter: delimiter.charCodeAt(0), header, nullText };
  const encoder = csvEncoder(fields, slot.memory, dialect, kinds !== undefined);
  const parts: Buffer[] = [];
  const out: ByteSink = {
    buffer: new Uint8Array(bufferBytes),
    at: 0,
    drain() {
      parts.push(Buffer.from(this.buffer.slice(0, this.at)));
      this.at = 0;
    },
  };
  encoder.begin?.(out);
  for (const batch of batchesOf(slot, fields, rows, { batchRows: 64, ...(kinds ? { kinds } : {}) }))
    encoder.encode(batch, out);
  out.drain();
  return Buffer.concat(parts).toString('utf8');
}

/** The same, spelled out. */
function expected(nullText = '', delimiter = ',') {
  const cell = (value: unknown, digits = 3): string => {
    if (value === null || value === undefined) return nullText;
    if (typeof value === 'string') {
      const quoted = value === nullText || value.includes(delimiter) || /["\r\n]/.test(value);
      return quoted ? `"${value.replaceAll('"', '""')}"` : value;
    }
    if (value instanceof Date) {
      const iso = value.toISOString().replace('T', ' ').replace('Z', '');
      return digits === 0 ? iso.split(' ')[0]! : iso + '0'.repeat(digits - 3);
    }
    return Object.is(value, -0) ? '-0' : String(value);
  };
  const names = ['flag', 'n, "quoted"', 'big', 'x', 'text', 'day', 'window_start', 'window_end'].map((name) =>
    cell(name),
  );
  const lines = rows.map((row) => [
    cell(row.flag),
    cell(row['n, "quoted"']),
    cell(row.big),
    cell(row.x),
    cell(row.text),
    cell(row.day, 0),
    cell(row.window?.start ?? null),
    cell(row.window?.end ?? null, 6),
  ]);
  return [names, ...lines].map((line) => `${line.join(delimiter)}\n`).join('');
}

test('rows as text, whatever the size of the buffer', () => {
  for (const bytes of [4096, 4099, 1 << 20]) expect(encoded(bytes)).toBe(expected());
  expect(encoded(4096, { nullText: 'NULL', delimiter: ';' })).toBe(expected('NULL', ';'));
  expect(encoded(4096, { header: false })).toBe(expected().slice(expected().indexOf('\n') + 1));
});

test('a changelog begins with the kind of each row', () => {
  const kinds = rows.map((_, i) => i % 4);
  const lines = encoded(1 << 20, { kinds, nullText: '\\N' });
  expect(lines.startsWith('row_kind,flag,"n, ""quoted""",')).toBe(true);
  const found = lines.match(/^(?:\+I|-U|\+U|-D),(?=true|false|\\N)/gm);
  expect(found).toHaveLength(rows.length);
  expect(found!.slice(0, 4)).toEqual(['+I,', '-U,', '+U,', '-D,']);
});

test('what is written reads as it was, here and in DuckDB', async () => {
  const path = join(root, 'all.csv');
  const slot = testSlot();
  const spec = specOf('csv', { path });
  expect(csvSink.describe(spec, fields, false)).toEqual({ accepts: 'insert', parallelismMax: 1, place: 'slot' });
  const writer = csvSink.writer(spec, fields, writerContext(slot, fields));
  for (const batch of batchesOf(slot, fields, rows)) writer.write(batch);
  writer.finish();
  writer.close();
  expect(readFileSync(path, 'utf8')).toBe(expected());
  const { rows: back } = await readAll(csvSource, specOf('csv', { path, schema: fields }));
  const ms = (date: Date | null | undefined) => (date ? BigInt(date.getTime()) : null);
  expect(back).toEqual(
    rows.map((row) => [
      row.flag,
      row['n, "quoted"'],
      row.big,
      row.x,
      row.text,
      row.day && row.day.getTime() / 86_400_000,
      ms(row.window?.start),
      row.window?.end ? BigInt(row.window.end.getTime()) * 1000n : null,
    ]),
  );
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const result = await connection.runAndReadAll(
    `SELECT big, x::VARCHAR, "text", epoch_ms(window_start) FROM read_csv('${path}', header = true, auto_detect = false, quote = '"', escape = '"', allow_quoted_nulls = false, parallel = false, strict_mode = true,
     columns = {'flag': 'BOOLEAN', 'n': 'INTEGER', 'big': 'BIGINT', 'x': 'DOUBLE', 'text': 'VARCHAR', 'day': 'DATE', 'window_start': 'TIMESTAMP', 'window_end': 'TIMESTAMP'})`,
  );
  const theirs = result
    .getRows()
    .map(([big, x, words, start]) => [
      big,
      x === null ? null : Number((x as string).replace('inf', 'Infinity')),
      words,
      start,
    ]);
  connection.closeSync();
  expect(theirs).toEqual(rows.map((row) => [row.big, row.x, row.text, ms(row.window?.start)]));
});

test('DECIMAL is written with all digits of its scale', async () => {
  const money: Fields = [{ name: 'v', type: { kind: 'DECIMAL', precision: 18, scale: 2 }, nullable: false }];
  const path = join(root, 'money.csv');
  const slot = testSlot();
  const given = specOf('csv', { path: join(root, 'given.csv'), schema: money });
  writeFileSync(join(root, 'given.csv'), 'v\n0\n0.05\n-1.5\n9999999999999999.99\n');
  const request = { layout: layoutOf(money), prune: [], timeColumn: null };
  const reader = csvSource.reader(given, request, readerContext(slot, 16));
  const [split] = await csvSource.enumerate(given, request, 1, () => undefined);
  reader.open(split!);
  expect(reader.poll()).toBe(0);
  expect(rowsOf(reader.batch, slot.memory).flat()).toEqual([0n, 5n, -150n, 999_999_999_999_999_999n]);
  const writer = csvSink.writer(specOf('csv', { path }), money, writerContext(slot, money));
  writer.write(reader.batch);
  writer.finish();
  writer.close();
  reader.close();
  expect(readFileSync(path, 'utf8')).toBe('v\n0.00\n0.05\n-1.50\n9999999999999999.99\n');
});

test('a directory of parts that roll, each with its header', async () => {
  const path = join(root, 'parts');
  const slot = testSlot();
  const spec = specOf('csv', { path, roll: { bytes: 20_000, everyMs: null } });
  for (const subtask of [0, 1]) {
    const writer = csvSink.writer(spec, fields, writerContext(slot, fields, { subtask, parallelism: 2 }));
    for (const batch of batchesOf(slot, fields, rows, { batchRows: 32 })) writer.write(batch);
    expect(readdirSync(path).filter((name) => name.startsWith(`part-0000${subtask}`))).toEqual([]);
    writer.finish();
    writer.close();
  }
  expect(readdirSync(path).length).toBeGreaterThan(4);
  const { rows: back } = await readAll(csvSource, specOf('csv', { path, schema: fields }), { columns: ['big'] });
  expect(back).toHaveLength(2 * rows.length);
});

test('what cannot be written is refused when the job is planned', () => {
  const describe = (options: object, of: Fields = fields, updating = false, checkpointed = false) =>
    csvSink.describe(specOf('csv', { path: 'out', ...options }), of, updating, checkpointed);
  expect(() => describe({}, fields, true)).toThrow('is corrected later');
  expect(describe({ changelog: true }, fields, true).accepts).toBe('all');
  expect(() => describe({ path: 'out.csv' }, fields, false, true)).toThrow("name a directory, as in 'out'");
  expect(() => describe({ delimiter: '""' })).toThrow('the delimiter is one ASCII character');
  for (const nullText of ['0', 'NaN', 'true', '-1']) expect(() => describe({ nullText })).toThrow('could be a value');
  expect(describe({ nullText: 'NULL' }).accepts).toBe('insert');
  const twice: Fields = [...fields, { name: 'window_start', type: { kind: 'INT' }, nullable: false }];
  expect(() => describe({}, twice)).toThrow("two columns would be called 'window_start'");
});
