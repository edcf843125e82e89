import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, expect, test } from 'vitest';
import { csvSource } from '../../connectors/csv/source.ts';
import { type Prng, prng } from '../../core/base/prng.ts';
import type { ConnectorSpec, RejectedRecords } from '../../core/ports/connector.ts';
import { layoutOf } from '../../core/record/layout.ts';
import type { DataType, Field, Fields } from '../../core/record/types.ts';
import { testSlot } from '../support/slot.ts';
import { type ReadOptions, readAll, readerContext, rowsOf, specOf, type Value } from './support.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-csv-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let files = 0;
function fileOf(content: string | Uint8Array): string {
  const path = join(root, `${files++}.csv`);
  writeFileSync(path, content);
  return path;
}
const spec = (path: string, fields: Fields | null, more: object = {}): ConnectorSpec =>
  specOf('csv', { path, ...(fields ? { schema: fields } : {}), ...more }, path);
const read = async (
  content: string | Uint8Array,
  fields: Fields | null,
  options: ReadOptions & { spec?: object } = {},
) => (await readAll(csvSource, spec(fileOf(content), fields, options.spec), options)).rows;
const field = (name: string, kind: DataType['kind'], nullable = true): Field => {
  const type = (kind === 'TIMESTAMP' ? { kind, precision: 6 } : { kind }) as DataType;
  return { name, type, nullable };
};

const fields: Fields = [
  field('flag', 'BOOLEAN'),
  field('i', 'INT'),
  field('n', 'BIGINT'),
  field('x', 'DOUBLE'),
  field('s, "quoted"', 'VARCHAR'),
  field('day', 'DATE'),
  field('at', 'TIMESTAMP'),
];

const alphabet = ['a', 'Z', '"', ',', ';', '\n', '\r\n', '\r', ' ', 'é', '€', '🚀', '\t', '\\', "'"];

/** Text of random records, with what DuckDB takes as well. */
function randomRecords(random: Prng, count: number, delimiter: string): string {
  const pick = <T>(...from: readonly T[]): T => from[random.below(from.length)]!;
  const eol = pick('\n', '\r\n');
  const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  const mayQuote = (text: string): string =>
    /["\r\n]/.test(text) || text.includes(delimiter) || text === '' || random.below(5) === 0 ? quote(text) : text;
  const cell = (name: string): string => {
    if (random.below(6) === 0) return '';
    switch (name) {
      case 'flag':
        return mayQuote(pick('true', 'false'));
      case 'i':
        return mayQuote(String(pick(random.u32() | 0, random.below(100) - 50, 2 ** 31 - 1, -(2 ** 31))));
      case 'n':
        return mayQuote(
          String(
            pick(BigInt.asIntN(64, (BigInt(random.u32()) << 32n) | BigInt(random.u32())), BigInt(random.below(1000))),
          ),
        );
      case 'x':
        return mayQuote(
          String(
            pick(
              random.next(),
              random.below(1000),
              -random.next() * 10 ** (random.below(600) - 300),
              random.below(1e6) / 100,
            ),
          ),
        );
      case 'day':
        return mayQuote(new Date((random.below(60_000) - 20_000) * 86_400_000).toISOString().slice(0, 10));
      case 'at': {
        const iso = new Date(random.u32() * 700 - 1e12).toISOString().slice(0, -1);
        const text = pick(iso, `${iso}${String(random.below(1000)).padStart(3, '0')}`, iso.slice(0, 19));
        return mayQuote(pick(text, text.replace('T', ' ')));
      }
      default: {
        const text = Array.from({ length: pick(0, 1, 5, 12, 13, 40, 300) }, () =>
          random.below(3) === 0 ? pick(...alphabet) : 'x',
        ).join('');
        // An empty text in quotes is NULL for DuckDB.
        return text === '' ? 'x' : mayQuote(text);
      }
    }
  };
  const lines = Array.from({ length: count }, () => fields.map(({ name }) => cell(name)).join(delimiter));
  const header = fields.map(({ name }) => (/[", ]/.test(name) ? quote(name) : name)).join(delimiter);
  return [header, ...lines].join(eol) + (random.below(2) === 0 ? eol : '');
}

async function duckRows(path: string, delimiter: string): Promise<Value[][]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const types = ['BOOLEAN', 'INTEGER', 'BIGINT', 'DOUBLE', 'VARCHAR', 'DATE', 'TIMESTAMP'];
  const columns = fields.map(({ name }, i) => `'${name}': '${types[i]}'`).join(', ');
  const result = await connection.runAndReadAll(
    `SELECT * REPLACE (datediff('day', DATE '1970-01-01', "day") AS "day", epoch_us("at") AS "at")
     FROM read_csv('${path}', header = true, delim = '${delimiter}', quote = '"', escape = '"', auto_detect = false,
       columns = {${columns}}, parallel = false, null_padding = false)`,
  );
  const rows = result
    .getRows()
    .map(([flag, i, n, x, s, day, at]) => [
      flag as boolean,
      i as number,
      n as bigint,
      x as number,
      s as string,
      day === null ? null : Number(day),
      at as bigint,
    ]);
  connection.closeSync();
  return rows;
}

const seed = 20_040;
for (const batchRows of [1, 7, 4096]) {
  test(`random files read as DuckDB reads them, however they are cut: batches of ${batchRows}`, async () => {
    for (let k = 0; k < 12; k++) {
      const random = prng(seed + k);
      const delimiter = [',', ';', '\t'][k % 3]!;
      const path = fileOf(randomRecords(random, batchRows === 1 ? 60 : 500, delimiter));
      const theirs = await duckRows(path, delimiter);
      for (const parallelism of [1, 3]) {
        const options = { batchRows, parallelism, reopenEvery: 1 + random.below(5), slotBytes: 64 * 1024 * 1024 };
        const { rows } = await readAll(csvSource, spec(path, fields, { delimiter }), options);
        expect(rows, `seed ${seed + k}, parallelism ${parallelism}`).toEqual(theirs);
      }
    }
  });
}

test('large files are cut between records, also where texts hold line ends and quotes', async () => {
  let quotedEnds = 0;
  for (const marks of [true, false]) {
    const random = prng(seed + (marks ? 1 : 2));
    const lines: string[] = ['id,s'];
    for (let id = 0; id < 200_000; id++) {
      const rare = marks && random.below(50) === 0;
      if (rare) quotedEnds++;
      const text = rare
        ? '"a ""line""\nwith, an end\r\n"'
        : 'plain text of a row with 5" in it, no'.slice(0, 20 + random.below(12));
      lines.push(`${id},${text}`);
    }
    const path = fileOf(`${marks ? '\ufeff' : ''}${lines.join('\n')}`);
    const columns = [field('id', 'INT', false), field('s', 'VARCHAR')];
    const whole = await readAll(csvSource, spec(path, columns), { slotBytes: 64 * 1024 * 1024 });
    const cut = await readAll(csvSource, spec(path, columns), { parallelism: 8, slotBytes: 64 * 1024 * 1024 });
    expect(whole.splits).toHaveLength(1);
    expect(cut.splits.length).toBeGreaterThan(3);
    expect(whole.rows.map(([id]) => id)).toEqual(Array.from({ length: 200_000 }, (_, id) => id));
    expect(cut.rows).toEqual(whole.rows);
  }
  expect(quotedEnds).toBeGreaterThan(1000);
});

test('columns come by the names of each file, in the order asked for; others are passed over', async () => {
  const folder = join(root, 'several');
  mkdirSync(folder);
  writeFileSync(join(folder, 'a.csv'), 'id,name,left\n1,one,x\n2,two,y\n');
  writeFileSync(join(folder, 'b.csv'), 'name,more,id\nthree,,3\n');
  writeFileSync(join(folder, 'empty.csv'), '');
  const columns = [field('id', 'INT'), field('name', 'VARCHAR')];
  const { rows } = await readAll(csvSource, spec(folder, columns), { columns: ['name', 'id'] });
  expect(rows).toEqual([
    ['one', 1],
    ['two', 2],
    ['three', 3],
  ]);
  await expect(readAll(csvSource, spec(join(folder, 'a.csv'), [field('nmae', 'VARCHAR')]))).rejects.toMatchObject({
    code: 'schema/mismatch',
    message: expect.stringContaining("did you mean 'name'"),
  });
  const tabs = spec(fileOf('id\tname\n'), columns);
  await expect(readAll(csvSource, tabs)).rejects.toThrow("is ',' the delimiter?");
});

test('without a header, columns come in the order of the schema, or are numbered', async () => {
  const columns = [field('id', 'INT'), field('name', 'VARCHAR')];
  expect(await read('1,one\n2,two', columns, { spec: { header: false }, columns: ['name'] })).toEqual([
    ['one'],
    ['two'],
  ]);
  const path = fileOf('1,one\n2,two\n');
  const info = await csvSource.describe(spec(path, null, { header: false }), () => undefined);
  expect(info.fields.map(({ name, type }) => `${name} ${type.kind}`)).toEqual(['column0 BIGINT', 'column1 VARCHAR']);
  expect((await readAll(csvSource, spec(path, null, { header: false }))).rows).toEqual([
    [1n, 'one'],
    [2n, 'two'],
  ]);
});

test('columns found by looking', async () => {
  const text =
    'flag,whole,number,code,day,at,fine,mixed,nothing\n' +
    'true,1,1,007,2001-01-31,2001-01-31 10:00:00,2001-01-31T10:00:00.123456,1,\n' +
    'FALSE,-9223372036854775808,1e3,8,2001-02-01,2001-01-31T10:00:00.5Z,2001-01-31T10:00:00,x,\n';
  const path = fileOf(text);
  const info = await csvSource.describe(spec(path, null), () => undefined);
  expect(
    info.fields.map(({ type }) => (type.kind === 'TIMESTAMP' ? `${type.kind}(${type.precision})` : type.kind)),
  ).toEqual(['BOOLEAN', 'BIGINT', 'DOUBLE', 'VARCHAR', 'DATE', 'TIMESTAMP(3)', 'TIMESTAMP(6)', 'VARCHAR', 'VARCHAR']);
  expect((await readAll(csvSource, spec(path, null))).rows[1]).toEqual([
    false,
    -(2n ** 63n),
    1000,
    '8',
    11354,
    980_935_200_500n,
    980_935_200_000_000n,
    'x',
    null,
  ]);
});

test('NULL is the unquoted NULL text; where there is no NULL, nothing is an empty text', async () => {
  const nullable = [field('a', 'VARCHAR'), field('n', 'INT')];
  expect(await read('a,n\n,\n"",1\n', nullable)).toEqual([
    [null, null],
    ['', 1],
  ]);
  expect(await read('a,n\nNA,NA\n"NA",1\n,2\n', nullable, { spec: { nullText: 'NA' } })).toEqual([
    [null, null],
    ['NA', 1],
    ['', 2],
  ]);
  const strict = [field('a', 'VARCHAR', false), field('n', 'INT', false)];
  expect(await read('a,n\n,1\n', strict)).toEqual([['', 1]]);
  await expect(read('a,n\nx,\n', strict)).rejects.toThrow(
    "column 'n' (INT) is NULL (an unquoted ''), but declared not null",
  );
  await expect(read('a,n\nNA,1\n', strict, { spec: { nullText: 'NA' } })).rejects.toThrow(
    "column 'a' (VARCHAR) is NULL",
  );
});

test('byte order mark, CRLF, empty lines, quotes in the middle, and a last line without its end', async () => {
  const columns = [field('a', 'VARCHAR'), field('b', 'VARCHAR')];
  const text = '\ufeff"a",b\r\n\r\n"x\r\ny","""q"""\r\n\n5" disk,a"b""c\r\nlast,"one"';
  expect(await read(text, columns)).toEqual([
    ['x\r\ny', '"q"'],
    ['5" disk', 'a"b""c'],
    ['last', 'one'],
  ]);
  for (const nothing of ['', '\ufeff', 'a,b', 'a,b\n', '\ufeffa,b\r\n\r\n'])
    expect(await read(nothing, columns)).toEqual([]);
  // With one column, an empty line is a record.
  expect(await read('a\n\nx\n', [field('a', 'VARCHAR')])).toEqual([[null], ['x']]);
});

test('what does not fit a column is refused with path, line and byte', async () => {
  const bad = (kind: DataType['kind'], text: string, message: string) => {
    const path = fileOf(`"a\nb",v\n"x\ny",\n,${text}\n`);
    return expect(readAll(csvSource, spec(path, [field('v', kind)])), `${kind} of ${text}`).rejects.toMatchObject({
      code: 'source/bad-record',
      message: expect.stringContaining(message),
      where: { path, position: 'line 5, byte 15' },
    });
  };
  await bad('INT', '2147483648', "column 'v' (INT) expects a whole number of 32 bits, found '2147483648'");
  await bad('INT', '1.0', "found '1.0'");
  await bad('INT', '-', "found '-'");
  await bad('INT', ' ', "found ' '");
  await bad('BIGINT', '9223372036854775808', 'a whole number of 64 bits');
  await bad('BIGINT', '1e3', "found '1e3'");
  await bad('DOUBLE', '1,5', 'expected 2 fields, found 3');
  await bad('DOUBLE', '"1,5"', "expects a number, found '1,5'");
  await bad('DOUBLE', '.', "found '.'");
  await bad('DOUBLE', '0x10', "found '0x10'");
  await bad('BOOLEAN', 'yes', 'expects true or false');
  await bad('DATE', '2001-02-29', 'expects a date such as 2001-01-31');
  await bad('TIMESTAMP', '2001-01-31 24:00:00', 'expects a timestamp');
  await bad('TIMESTAMP', 'x'.repeat(50), `found '${'x'.repeat(40)}…'`);
  await bad('VARCHAR', '"x"y', 'must follow a closing quote, not "y"');
  await bad('VARCHAR', '"x', 'a quoted field does not end');
  await expect(read(Buffer.from([...Buffer.from('v\n'), 0xff, 0x0a]), [field('v', 'VARCHAR')])).rejects.toThrow(
    'is no UTF-8',
  );
});

test('numbers and times at their limits', async () => {
  const one = async (kind: DataType['kind'], ...texts: string[]) =>
    (await read(`a,v\n${texts.map((text) => `x,${text}\n`).join('')}`, [field('v', kind)])).map(([value]) => value);
  expect(await one('INT', '2147483647', '-2147483648', '+7', ' 8 ', '007', '-0')).toEqual([
    2147483647, -2147483648, 7, 8, 7, 0,
  ]);
  expect(
    await one('BIGINT', '9223372036854775807', '-9223372036854775808', '-1', '-4294967297', '999999999999999'),
  ).toEqual([2n ** 63n - 1n, -(2n ** 63n), -1n, -4294967297n, 999999999999999n]);
  expect(
    await one('DOUBLE', '-0', '.5', '5.', '0.1', '12345678901234567.5', '1e-400', 'NaN', '-inf', 'Infinity'),
  ).toEqual([
    -0,
    0.5,
    5,
    0.1,
    Number('12345678901234567.5'),
    0,
    Number.NaN,
    Number.NEGATIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  ]);
  expect(
    await one(
      'TIMESTAMP',
      '1969-12-31 23:59:59.999999',
      '1970-01-01',
      '9999-12-31T23:59:59Z',
      '1970-01-01 01:00:00+01:00',
      '1970-01-01 00:00:00.1234567',
    ),
  ).toEqual([-1n, 0n, 253402300799000000n, 0n, 123456n]);
  expect(await one('DATE', '1970-01-02', '0001-01-01', '+012001-01-01')).toEqual([1, -719162, 3663748]);
});

test('DECIMAL is exact, and refused where digits would be lost', async () => {
  const money: Field = { name: 'v', type: { kind: 'DECIMAL', precision: 6, scale: 2 }, nullable: true };
  const one = async (...texts: string[]) =>
    (await read(`a,v\n${texts.map((text) => `x,${text}\n`).join('')}`, [money])).flat();
  expect(await one('1.5', '-9999.99', '0.1', '', ' 7 ', '1.10')).toEqual([150n, -999999n, 10n, null, 700n, 110n]);
  for (const text of ['10000', '1,5', '0.001', 'x', '.', '1'.repeat(101)]) {
    await expect(one(`"${text}"`), text).rejects.toThrow("column 'v' (DECIMAL(6, 2)) expects");
  }
});

test('bad records are skipped and counted, or go to the side with what they were', async () => {
  const path = fileOf('id,s\n1,a\nx,"say ""no"""\n2\n3,"c"d,"e\n4,f\n5,"never ends\n6,g\n');
  const columns = [field('s', 'VARCHAR'), field('id', 'INT')];
  const request = { layout: layoutOf(columns), prune: [], timeColumn: null };
  const told: string[][] = [];
  let room = 0;
  const rejected: RejectedRecords = {
    get full() {
      return room === 0;
    },
    add(position, reason, record) {
      room--;
      told.push([position!, reason, record]);
    },
  };
  const slot = testSlot();
  const reader = csvSource.reader(spec(path, columns, { onError: 'side' }), request, {
    ...readerContext(slot, 4096),
    rejected,
  });
  const [split] = await csvSource.enumerate(spec(path, columns), request, 1, () => undefined);
  reader.open(split!);
  const rows: Value[][] = [];
  for (room = 1; reader.poll() === 0; room = 1) rows.push(...rowsOf(reader.batch, slot.memory));
  expect(rows).toEqual([
    ['a', 1],
    ['f', 4],
  ]);
  expect(reader.skipped).toBe(4);
  expect(told.map(([position, , record]) => [position!.replace(path, ''), record])).toEqual([
    [', byte 9', 'x,"say ""no"""'],
    [', byte 24', '2'],
    [', byte 26', '3,"c"d,"e'],
    [', byte 40', '5,"never ends\n6,g\n'],
  ]);
  expect(told[0]![1]).toBe("column 'id' (INT) expects a whole number of 32 bits, found 'x'");
});

test('long records and a file that became shorter', async () => {
  const long = 'é,"\n'.repeat(600_000);
  const text = `a,b\n1,"${long.replaceAll('"', '""')}"\n2,short\n`;
  const rows = await read(text, [field('b', 'VARCHAR'), field('a', 'INT')], { slotBytes: 64 * 1024 * 1024 });
  expect(rows[0]![0]).toBe(long);
  expect(rows[1]).toEqual(['short', 2]);

  const path = fileOf(`a\n${'12345\n'.repeat(200_000)}`);
  const columns = [field('a', 'INT')];
  const request = { layout: layoutOf(columns), prune: [], timeColumn: null };
  const [split] = await csvSource.enumerate(spec(path, columns), request, 1, () => undefined);
  const reader = csvSource.reader(spec(path, columns), request, readerContext(testSlot(), 4096));
  reader.open(split!);
  expect(reader.poll()).toBe(0);
  truncateSync(path, 1000);
  expect(() => {
    for (let i = 0; i < 1000; i++) reader.poll();
  }).toThrow('has become shorter');
  reader.close();
});

test('options and headers that cannot be', async () => {
  const path = fileOf('a,b\n1,2\n');
  const describe = (more: object, fields: Fields | null = null) =>
    csvSource.describe(spec(path, fields, more), () => undefined);
  for (const delimiter of ['', ',,', '"', '\n', 'é']) {
    await expect(describe({ delimiter })).rejects.toThrow('the delimiter is one ASCII character');
  }
  await expect(describe({ nullText: 'a"b' })).rejects.toThrow('nullText is a text without quotes');
  await expect(describe({ onError: 'never' })).rejects.toThrow("onError is 'fail', 'skip' or 'side'");
  await expect(csvSource.describe(spec(fileOf('a,a\n'), null), () => undefined)).rejects.toThrow(
    "has the column 'a' twice",
  );
  await expect(csvSource.describe(spec(fileOf('"a,b\n'), null), () => undefined)).rejects.toThrow('is none: at most');
  await expect(csvSource.describe(spec(fileOf(''), null), () => undefined)).rejects.toThrow('there are no records');
  await expect(csvSource.describe(spec(join(root, 'gone.csv'), null), () => undefined)).rejects.toMatchObject({
    code: 'source/not-found',
  });
});
