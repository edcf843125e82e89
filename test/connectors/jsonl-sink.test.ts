import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { guarded } from '../../connectors/files/output.ts';
import { rowEncoder } from '../../connectors/jsonl/encode.ts';
import { jsonlSink } from '../../connectors/jsonl/sink.ts';
import { type ByteSink, sinkBufferMin } from '../../connectors/text/write.ts';
import { prng } from '../../core/base/prng.ts';
import type { Fields } from '../../core/record/types.ts';
import { testSlot } from '../support/slot.ts';
import { batchesOf, type WriterOptions, writerContext } from './sink-support.ts';
import { specOf } from './support.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-jsonl-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const fields: Fields = [
  { name: 'flag', type: { kind: 'BOOLEAN' }, nullable: true },
  { name: 'n "quoted"', type: { kind: 'INT' }, nullable: true },
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
  { name: '__proto__', type: { kind: 'INT' }, nullable: false },
];

const seed = 4711;
const random = prng(seed);
const pick = <T>(...from: T[]): T => from[random.below(from.length)];
const maybe = <T>(value: T): T | null => (random.below(5) === 0 ? null : value);
const alphabet = ['a', 'Z', '"', '\\', '\n', '\u0000', '\u001f', '\u007f', 'é', '€', '🚀', '/', '\u2028'];
const text = () => Array.from({ length: pick(0, 1, 5, 12, 13, 40, 3000) }, () => pick(...alphabet)).join('');
const rows = Array.from({ length: 400 }, (_, i) =>
  Object.defineProperty(
    {
      flag: maybe(random.below(2) === 1),
      'n "quoted"': maybe(pick(0, 1, -1, 9, 10, 99, 100, 2 ** 31 - 1, -(2 ** 31), random.u32() | 0)),
      big: maybe(pick(0n, -1n, 999_999_999n, 1_000_000_000n, 99_999_999_999n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n))),
      x: maybe(pick(0, -0, 1.5, 1e21, 123456789012345680000, 1e-7, 5e-324, -2.5e100, 9007199254740992, 1 / 3)),
      text: maybe(text()),
      day: maybe(new Date(Math.floor(random.u32() / 100_000 - 20_000) * 86_400_000)),
      window: maybe({ start: new Date((random.u32() - 2 ** 31) * 1000 + random.below(1000)), end: maybe(new Date(i)) }),
    },
    '__proto__',
    { value: i, enumerable: true },
  ),
);

/** The same by JSON.stringify, with what it cannot say spelled out. */
function expected(row: (typeof rows)[number], i: number): string {
  const { flag, big, x, text: words, day, window } = row;
  const n = row['n "quoted"'];
  const parts = [
    `"flag":${flag}`,
    `"n \\"quoted\\"":${n}`,
    `"big":${big}`,
    `"x":${Object.is(x, -0) ? '-0' : JSON.stringify(x)}`,
    `"text":${JSON.stringify(words)}`,
    `"day":${day ? `"${day.toISOString().split('T')[0]}"` : null}`,
    `"window":${window ? `{"start":"${window.start.toISOString()}","end":${window.end ? `"${window.end.toISOString().replace('Z', '000Z')}"` : null}}` : null}`,
    `"__proto__":${i}`,
  ];
  return `{${parts.join(',')}}`;
}

for (const [batchRows, buffer] of [
  [1, sinkBufferMin],
  [7, sinkBufferMin],
  [4096, 256 * 1024],
] as const) {
  test(`rows are the bytes that JSON.stringify makes, batches of ${batchRows}, a buffer of ${buffer}`, () => {
    const slot = testSlot({ bytes: 64 * 1024 * 1024 });
    const chunks: Buffer[] = [];
    const out: ByteSink = {
      buffer: new Uint8Array(buffer),
      at: 0,
      drain() {
        chunks.push(Buffer.from(this.buffer.slice(0, this.at)));
        this.at = 0;
      },
    };
    const encoder = rowEncoder(fields, slot.memory, false);
    const select = (i: number) => i % 3 !== 1;
    for (const batch of batchesOf(slot, fields, rows, { batchRows, select })) encoder.encode(batch, out);
    out.drain();
    const lines = Buffer.concat(chunks).toString('utf8').split('\n');
    expect(lines.pop()).toBe('');
    expect(lines, `seed ${seed}`).toEqual(rows.map(expected).filter((_, i) => select(i)));
  });
}

const simple: Fields = [{ name: 'a', type: { kind: 'INT' }, nullable: false }];
function write(
  path: string,
  values: number[],
  options: WriterOptions & { kinds?: number[]; changelog?: boolean } = {},
) {
  const slot = testSlot();
  const spec = specOf('jsonl', { path, ...(options.changelog ? { changelog: true } : {}) });
  const writer = jsonlSink.writer(spec, simple, writerContext(slot, simple, options));
  const batches = batchesOf(
    slot,
    simple,
    values.map((a) => ({ a })),
    options.kinds ? { kinds: options.kinds } : {},
  );
  for (const batch of batches) writer.write(batch);
  return writer;
}

test('a file appears under its name when it is whole, and takes the place of the one before', () => {
  const path = join(root, 'deep', 'down', 'out.jsonl');
  const first = write(path, [1, 2]);
  first.flush();
  expect(existsSync(path)).toBe(false);
  first.finish();
  first.close();
  expect(readFileSync(path, 'utf8')).toBe('{"a":1}\n{"a":2}\n');
  const failed = write(path, [3], { attemptId: 'a2' });
  failed.flush();
  failed.close();
  expect(readFileSync(path, 'utf8')).toBe('{"a":1}\n{"a":2}\n');
  write(path, [4]).finish();
  expect(readFileSync(path, 'utf8')).toBe('{"a":4}\n');
  expect(readdirSync(join(root, 'deep', 'down'))).toEqual(['out.jsonl']);
});

test('a directory holds a part per writer, and of one run only', () => {
  const path = join(root, 'parts');
  const run = (parallelism: number) => {
    const writers = Array.from({ length: parallelism }, (_, subtask) =>
      write(path, [subtask], { subtask, parallelism }),
    );
    for (const writer of writers.reverse()) writer.finish();
  };
  run(3);
  writeFileSync(join(path, 'mine.txt'), 'kept');
  expect(readdirSync(path).sort()).toEqual(['mine.txt', 'part-00000.jsonl', 'part-00001.jsonl', 'part-00002.jsonl']);
  run(2);
  expect(readdirSync(path).sort()).toEqual(['mine.txt', 'part-00000.jsonl', 'part-00001.jsonl']);
  expect(jsonlSink.describe(specOf('jsonl', { path }), simple, false).parallelismMax).toBeGreaterThan(1);
  expect(jsonlSink.describe(specOf('jsonl', { path: 'x.jsonl' }), simple, false).parallelismMax).toBe(1);
});

test('corrections are refused, or written with their kind in front when asked for', () => {
  const path = join(root, 'changes.jsonl');
  expect(() => jsonlSink.describe(specOf('jsonl', { path }), simple, true)).toThrow(
    expect.objectContaining({ code: 'plan/changelog' }),
  );
  expect(jsonlSink.describe(specOf('jsonl', { path, changelog: true }), simple, true).accepts).toBe('all');
  const rowKind: Fields = [{ name: 'row_kind', type: { kind: 'INT' }, nullable: false }];
  expect(() => jsonlSink.describe(specOf('jsonl', { path, changelog: true }), rowKind, true)).toThrow(/rename it/);
  write(path, [1, 1, 2, 2], { changelog: true, kinds: [0, 1, 2, 3] }).finish();
  expect(readFileSync(path, 'utf8').split('\n').slice(0, 4)).toEqual([
    '{"row_kind":"+I","a":1}',
    '{"row_kind":"-U","a":1}',
    '{"row_kind":"+U","a":2}',
    '{"row_kind":"-D","a":2}',
  ]);
});

test('what the system refuses is an error with the path: a full disk, a forbidden or impossible place', () => {
  const path = join(root, 'x.jsonl');
  const full = () => writeSync(openSync('/dev/full', 'w'), 'x');
  expect(() => guarded(path, full)).toThrow(
    expect.objectContaining({ code: 'sink/disk-full', retryable: true, where: { path } }),
  );
  const refused = (code: string) => () => guarded(path, () => throwing(Object.assign(new Error('no'), { code })));
  expect(refused('EACCES')).toThrow(expect.objectContaining({ code: 'sink/forbidden', where: { path } }));
  expect(refused('EROFS')).toThrow(expect.objectContaining({ code: 'sink/forbidden' }));
  expect(refused('EIO')).toThrow(expect.objectContaining({ code: 'sink/failed' }));
  mkdirSync(join(root, 'taken.jsonl'));
  expect(() => write(join(root, 'taken.jsonl'), [1])).toThrow(/is a directory/);
  writeFileSync(join(root, 'file'), '');
  expect(() => write(join(root, 'file', 'x.jsonl'), [1])).toThrow(expect.objectContaining({ code: 'sink/failed' }));
  // /proc takes no files, whoever asks.
  expect(() => write('/proc/millrace/x.jsonl', [1])).toThrow(
    expect.objectContaining({ where: { path: '/proc/millrace/x.jsonl' } }),
  );
});

function throwing(error: Error): never {
  throw error;
}
