/** Files that are missing, forbidden, cut off or damaged: which, where in it, and the process goes on. */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  collect,
  count,
  describeError,
  from,
  generator,
  jsonl,
  type MillraceError,
  parquet,
  run,
  type Stream,
  schema,
  t,
  tumble,
} from 'millrace';
import { beforeAll, describe, expect, test } from 'vitest';
import { expectHealth, failureOf, testDirectory } from './support.ts';

const directory = testDirectory();
const place = (name: string): string => join(directory, name);
const reading = (source: Parameters<typeof from>[0]): Promise<MillraceError> =>
  failureOf(async () => collect(from(source) as never, { parallelism: 1 }));

beforeAll(async () => {
  const rows = 30_000;
  const numbers = from(
    generator({ rows, columns: (g) => ({ n: g.sequence(), text: g.text({ distinct: 1000, length: 12 }) }) }),
  );
  await run(numbers.to(parquet(place('good.parquet'))), { parallelism: 1 }).result();
  await run(numbers.to(jsonl(place('good.jsonl'))), { parallelism: 1 }).result();
});

/** A copy of the good file with bytes changed. */
function damaged(name: string, change: (bytes: Buffer) => Uint8Array): string {
  const bytes = readFileSync(place(name.endsWith('.parquet') ? 'good.parquet' : 'good.jsonl'));
  writeFileSync(place(name), change(bytes));
  return place(name);
}

/** As somebody who is not root, where we are: root may read everything. */
function unprivileged(): (() => void) | null {
  if (process.getuid?.() !== 0 || !process.seteuid) return () => {};
  try {
    process.seteuid(65_534);
    return () => process.seteuid?.(0);
  } catch {
    return null;
  }
}

describe('a missing', () => {
  for (const [what, source, parts] of [
    ['parquet file', parquet(place('nowhere.parquet')), ['there is no file', 'nowhere.parquet']],
    ['jsonl file', jsonl(place('nowhere.jsonl')), ['there is no file', 'nowhere.jsonl']],
    ['match of a pattern', parquet(place('no*.parquet')), ['no file matches', 'no*.parquet']],
    ['jsonl match', jsonl(place('no*.jsonl')), ['no file matches', 'no*.jsonl']],
  ] as const) {
    test(`${what} is named`, async () => {
      const error = await reading(source);
      expect(error.code).toBe('source/not-found');
      for (const part of parts) expect(error.message).toContain(part);
      expect(error.where.path).toContain(directory);
      expect(error.where.callSite).toContain('files.test.ts');
    });
  }

  test('kind of file in a directory is named', async () => {
    mkdirSync(place('empty'), { recursive: true });
    for (const [source, kind] of [
      [parquet(place('empty')), '.parquet'],
      [jsonl(place('empty')), '.jsonl'],
    ] as const) {
      const error = await reading(source);
      expect([error.code, error.message]).toEqual(['source/not-found', expect.stringContaining(kind)]);
    }
  });
});

test('a file or directory that may not be read is named', async (context) => {
  await expectHealth();
  mkdirSync(place('closed'), { recursive: true });
  for (const name of ['closed.parquet', 'closed.jsonl']) {
    copyFileSync(place(`good${name.slice(6)}`), place(name));
    chmodSync(place(name), 0o000);
  }
  chmodSync(place('closed'), 0o000);
  chmodSync(directory, 0o755);
  const back = unprivileged();
  if (!back) context.skip('this user may read everything and cannot become another');
  try {
    for (const source of [
      parquet(place('closed.parquet')),
      jsonl(place('closed.jsonl')),
      parquet(place('closed')),
      jsonl(place('closed')),
    ]) {
      const error = await reading(source);
      expect(error.code).toBe('source/forbidden');
      expect(error.message).toContain('may not be read');
      expect(error.message).toContain(place('closed'));
    }
  } finally {
    back?.();
  }
});

describe('a Parquet file', () => {
  const cases: [name: string, make: (bytes: Buffer) => Uint8Array, part: RegExp][] = [
    ['cut-tail.parquet', (bytes) => bytes.subarray(0, bytes.length - 100), /Parquet/],
    ['cut-half.parquet', (bytes) => bytes.subarray(0, bytes.length / 2), /Parquet/],
    ['empty.parquet', () => new Uint8Array(0), /no Parquet file: it has 0 bytes/],
    ['text.parquet', () => Buffer.from('this is some text and no Parquet file\n'), /Parquet/],
    [
      'footer.parquet',
      (bytes) => {
        const length = bytes.readUInt32LE(bytes.length - 8);
        bytes.fill(0xff, bytes.length - 8 - length + 4, bytes.length - 8 - length + 40);
        return bytes;
      },
      /footer/,
    ],
  ];
  for (const [name, make, part] of cases) {
    test(`${name} is refused before a row is read, with its path`, async () => {
      const error = await reading(parquet(damaged(name, make)));
      expect(error.code).toBe('source/corrupt');
      expect(error.message).toMatch(part);
      expect(`${error.message} ${error.where.path}`).toContain(place(name));
    });
  }

  test('with damaged pages names the path and the row group', async () => {
    const at = (bytes: Buffer): number => Math.floor(bytes.length * 0.8);
    const path = damaged('pages.parquet', (bytes) => bytes.fill(0xff, at(bytes), at(bytes) + 2000));
    const error = await reading(parquet(path));
    expect(error.code).toBe('source/corrupt');
    expect(error.where.path).toBe(path);
    expect(error.where.position).toMatch(/^row group \d+, column \w+, page \d+$/);
    expect(describeError(error)).toMatch(/^\[source\/corrupt\] .*pages\.parquet.*row group \d/);
    await expectHealth();
  });

  test('whose columns are others than declared is told so, with the columns it has', async () => {
    const missing = await reading(parquet(place('good.parquet'), { schema: schema({ m: t.bigint() }) }));
    expect(missing.code).toBe('plan/unknown-column');
    for (const part of ["'m'", 'good.parquet', "did you mean 'n'?"]) expect(missing.message).toContain(part);
    const other = await reading(parquet(place('good.parquet'), { schema: schema({ n: t.string() }) }));
    expect(other.code).toBe('schema/mismatch');
    for (const part of ["'n'", 'VARCHAR', 'BIGINT']) expect(other.message).toContain(part);
  });
});

describe('a line of JSON', () => {
  const good = Array.from({ length: 5000 }, (_, i) => `{"n":${i},"text":"t${i}"}`);
  const declared = schema({ n: t.bigint(), text: t.string() });
  /** The file with line `at` (from 1) replaced; the byte where that line begins. */
  const withLine = (name: string, at: number, line: string): { path: string; byte: number } => {
    const lines = good.with(at - 1, line);
    writeFileSync(place(name), `${lines.join('\n')}\n`);
    return { path: place(name), byte: lines.slice(0, at - 1).join('\n').length + 1 };
  };
  const bad: [name: string, line: string, parts: string[]][] = [
    ['broken', '{"n":1,"text":', []],
    ['no-object', '[1,2]', ['object']],
    ['wrong-type', '{"n":"one","text":"a"}', ["'n'", 'BIGINT']],
    ['null', '{"n":null,"text":"a"}', ["'n'", 'null']],
    ['garbage', '\u0000\u0001\u0002', []],
  ];
  for (const [name, line, parts] of bad) {
    test(`that is bad (${name}) is named by line and byte`, async () => {
      const { path, byte } = withLine(`${name}.jsonl`, 4321, line);
      const error = await reading(jsonl(path, { schema: declared }));
      expect(error.code).toBe('source/bad-record');
      for (const part of parts) expect(error.message.toLowerCase()).toContain(part.toLowerCase());
      expect(error.where).toMatchObject({ path, position: `line 4321, byte ${byte}` });
    });
  }

  test('may be skipped when asked', async () => {
    const { path } = withLine('skipped.jsonl', 4321, '{"n":');
    const rows = await collect(from(jsonl(path, { schema: declared, onError: 'skip' })), { parallelism: 1 });
    expect(rows.map((row) => row.n)).toEqual(good.map((_, i) => i).filter((i) => i !== 4320));
  });

  test('at the end of a file that was cut off is named too', async () => {
    const path = damaged('cut.jsonl', (bytes) => bytes.subarray(0, bytes.length - 9));
    const error = await reading(jsonl(path, { schema: declared }));
    expect(error.code).toBe('source/bad-record');
    expect(error.where.position).toMatch(/^line 30000, byte \d+$/);
  });
});

describe('event time', () => {
  const at = schema({ n: t.bigint(), at: t.timestamp(3).nullable() });
  const file = (name: string, value: string): string => {
    const lines = Array.from(
      { length: 100 },
      (_, i) => `{"n":${i},"at":${i === 41 ? value : '"2026-01-01T00:00:00Z"'}}`,
    );
    writeFileSync(place(name), lines.join('\n'));
    return place(name);
  };

  const daily = (stream: Stream<{ n: number; at: Date | null }, 'bounded'>) =>
    collect(
      stream
        .eventTime('at')
        .groupBy(tumble('1 day'))
        .aggregate(() => ({ rows: count() })),
      { parallelism: 1 },
    );

  test('that is null names column and row', async () => {
    const error = await failureOf(daily(from(jsonl(file('null-time.jsonl', 'null'), { schema: at }))));
    expect(error.code).toBe('time/bad-event-time');
    for (const part of ["'at'", 'NULL', 'coalesce']) expect(error.message).toContain(part);
    expect(error.where.operator).toContain('null-time.jsonl');
    expect(error.where.position).toMatch(/null-time\.jsonl.*row 41$/);
  });

  test('that is null is no matter where such rows were left out before', async () => {
    const stream = from(jsonl(file('some-time.jsonl', 'null'), { schema: at })).filter((row) => row.at.isNotNull());
    expect((await daily(stream)).map((row) => row.rows)).toEqual([99]);
  });

  test('that is no time names line, byte and column', async () => {
    const stream = from(jsonl(file('no-time.jsonl', '"tomorrow"'), { schema: at })).eventTime('at');
    const error = await failureOf(collect(stream, { parallelism: 1 }));
    expect(error.code).toBe('source/bad-record');
    for (const part of ["'at'", 'TIMESTAMP', 'tomorrow']) expect(error.message).toContain(part);
    expect(error.where.position).toMatch(/^line 42, byte \d+$/);
  });
});

test('no damaged file ends the process: rows or an error, and the next job runs', () => {
  const script = fileURLToPath(new URL('damage-child.mjs', import.meta.url));
  const child = spawnSync(
    process.execPath,
    [script, place('good.parquet'), place('good.jsonl'), directory, '30', '7'],
    {
      encoding: 'utf8',
      timeout: 60_000,
    },
  );
  expect([child.stderr, child.status, child.signal]).toEqual(['', 0, null]);
  const { seed, cases, failed, codes, healthy } = JSON.parse(child.stdout);
  expect([seed, cases, healthy]).toEqual([7, 30, true]);
  // The damage happened: jobs failed, and by nothing but what their files are to blame for.
  expect(failed).toBeGreaterThan(8);
  for (const code of Object.keys(codes)) expect(code).toMatch(/^(source|schema|value|record|time)\//);
});
