/**
 * One process of the jsonl fuzz: random lines, parts of them changed, read by the kernel in random splits, and once more
 * line by line through JSON.parse. Both must give the same rows, or the same typed error at the same line; nothing may be
 * written past a buffer (each has a canary behind it), take long, or touch a prototype. Arguments: seed, first case,
 * cases, file for the running case.
 */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jsonlSource } from '../../connectors/jsonl/source.ts';
import { BadLine, leavesOf, lineValues, type Stored } from '../../connectors/jsonl/values.ts';
import { MillraceError } from '../../core/base/errors.ts';
import { type Prng, prng } from '../../core/base/prng.ts';
import { type Json, PollStatus, type ReadRequest, type Split } from '../../core/ports/connector.ts';
import type { Kernels } from '../../core/ports/kernels.ts';
import { layoutOf } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import type { Fields } from '../../core/record/types.ts';
import { type TestSlot, testSlot } from '../support/slot.ts';
import { jsonFields, randomLines } from './json-lines.ts';
import { readerContext, rowsOf, specOf } from './support.ts';

const caseMsMax = 2_000;
const canaryBytes = 128;

export interface FuzzReport {
  readonly cases: number;
  readonly failures: readonly string[];
  readonly coverage: Readonly<Record<string, number>>;
  readonly maxRssMb: number;
}

const coverage: Record<string, number> = {};
const count = (what: string, times = 1): void => {
  coverage[what] = (coverage[what] ?? 0) + times;
};

/** Ways to change bytes; each has a name for the report. */
const changes: Readonly<Record<string, (bytes: Buffer, random: Prng) => Buffer>> = {
  'flip a bit': (bytes, random) => {
    const copy = Buffer.from(bytes);
    if (copy.length > 0) copy[random.below(copy.length)]! ^= 1 << random.below(8);
    return copy;
  },
  'cut out a piece': (bytes, random) => {
    const at = random.below(bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.below(9))]);
  },
  'say a piece twice': (bytes, random) => {
    const at = random.below(bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, at + random.below(30)), bytes.subarray(at)]);
  },
  'end early': (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  'put in a token': (bytes, random) => insert(bytes, random, Buffer.from(tokens[random.below(tokens.length)]!)),
  'put in bytes': (bytes, random) =>
    insert(bytes, random, Buffer.from(Array.from({ length: 1 + random.below(4) }, () => 128 + random.below(128)))),
  'put in a token where a value is': (bytes, random) => {
    const colon = bytes.indexOf(0x3a, random.below(bytes.length + 1));
    if (colon < 0) return bytes;
    const token = Buffer.from(`${tokens[random.below(tokens.length)]!}${random.below(2) ? ',' : ''}`);
    return Buffer.concat([bytes.subarray(0, colon + 1), token, bytes.subarray(colon + 1)]);
  },
  'replace a value': (bytes, random) => {
    const colon = bytes.indexOf(0x3a, random.below(bytes.length + 1));
    if (colon < 0) return bytes;
    let end = colon + 1;
    while (end < bytes.length && bytes[end] !== 0x2c && bytes[end] !== 0x7d) end++;
    return Buffer.concat([
      bytes.subarray(0, colon + 1),
      Buffer.from(tokens[random.below(tokens.length)]!),
      bytes.subarray(end),
    ]);
  },
};

function insert(bytes: Buffer, random: Prng, what: Buffer): Buffer {
  const at = random.below(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), what, bytes.subarray(at)]);
}

const tokens = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  '\n',
  '\r',
  '\u0000',
  '\u001f',
  '\ufeff',
  '  ',
  'null',
  'true',
  'false',
  'nul',
  '-',
  '+1',
  '.5',
  '01',
  '-0',
  '1e',
  '1e5',
  '1E+400',
  '1e-400',
  '0.1e-30',
  '9007199254740993',
  '9223372036854775808',
  '-9223372036854775808',
  '1'.repeat(40),
  `0.${'0'.repeat(400)}1`,
  '2147483648',
  '"\\u00e9"',
  '"\\ud83d\\ude80"',
  '"\\ud83d"',
  '"\\u12"',
  '"\\x"',
  '"NaN"',
  '"2001-02-29"',
  '"2000-02-29"',
  '"2001-01-01T00:00:00Z"',
  '"2001-01-01T25:00:00Z"',
  '"2001-01-01T00:00:00.1234567890Z"',
  '{"a":{"b":[1,2,{"c":null}]}}',
  '[[[[[[]]]]]]',
  '{"a":}',
  '[1,]',
  '['.repeat(100),
  `${'['.repeat(70)}${']'.repeat(70)}`,
  '"__proto__":{"polluted":1},',
  '"i64":1,',
  '"s":"twice",',
  '"\\u0073":"s by another name",',
  '"x":1e999,',
  '{"__proto__":1}\n',
  'x'.repeat(2000),
];

/** What the lines say, by JSON.parse alone: rows, up to the first bad line or without the bad ones. */
function expected(
  bytes: Buffer,
  fields: Fields,
): { good: Stored[][]; bad: { row: number; message: string } | null; skipped: number } {
  const leaves = leavesOf(layoutOf(fields), fields);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const good: Stored[][] = [];
  let bad: { row: number; message: string } | null = null;
  let skipped = 0;
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  for (let from = hasMark ? 3 : 0; from < bytes.length; ) {
    const end = bytes.indexOf(0x0a, from);
    const line = bytes.subarray(from, end < 0 ? bytes.length : end);
    from = end < 0 ? bytes.length : end + 1;
    if (line.every((b) => b === 0x20 || b === 0x09 || b === 0x0d)) continue;
    try {
      let text: string;
      try {
        text = decoder.decode(line);
      } catch {
        throw new BadLine('this is no UTF-8');
      }
      // A surrogate on its own is no character: it is stored as U+FFFD.
      good.push(lineValues(text, leaves).map((v) => (typeof v === 'string' ? Buffer.from(v).toString() : v)));
    } catch (error) {
      if (!(error instanceof BadLine)) throw error;
      bad ??= { row: good.length, message: error.message };
      skipped++;
    }
  }
  return { good, bad, skipped };
}

interface Guard {
  readonly slot: TestSlot;
  /** Forgets what was allocated. */
  reset(): void;
  /** What was written past, or null. */
  broken(): string | null;
}

/** A slot in which every buffer has a canary behind it. */
function guarded(): Guard {
  const inner = testSlot({ bytes: 16 * 1024 * 1024 });
  const { u8 } = inner.memory;
  let canaries: { at: number; purpose: string }[] = [];
  let next = 1024;
  const memory: SlotMemory = {
    ...inner.memory,
    arena: {
      allocate(bytes, purpose) {
        const at = next;
        const canary = at + bytes;
        next = Math.ceil((canary + canaryBytes) / 64) * 64;
        if (next > u8.length) throw new MillraceError('memory/exhausted', `no room for ${purpose}`);
        u8.fill(0xa5, canary, canary + canaryBytes);
        canaries.push({ at: canary, purpose });
        return at;
      },
      usedBytes: 0,
      freeBytes: 0,
    },
  };
  const kernels: Kernels = {
    ...inner.kernels,
    jsonScan(context) {
      const why = inner.kernels.jsonScan(context);
      count(['kernel: all lines taken', 'kernel: batch full', 'kernel: line refused'][why]!);
      return why;
    },
  };
  return {
    slot: { ...inner, memory, kernels },
    reset() {
      next = 1024;
      canaries = [];
    },
    broken() {
      for (const { at, purpose } of canaries) {
        for (let i = 0; i < canaryBytes; i++) if (u8[at + i] !== 0xa5) return `${purpose}, ${i} bytes behind its end`;
      }
      return null;
    },
  };
}

function readSplits(path: string, bytes: Buffer, fields: Fields, random: Prng, guard: Guard, skip: boolean) {
  const { slot } = guard;
  const batchRows = [1, 7, 64][random.below(3)]!;
  const request: ReadRequest = { layout: layoutOf(fields), prune: [], timeColumn: null };
  const spec = specOf('jsonl', { path, schema: fields, ...(skip ? { onError: 'skip' } : {}) });
  const reader = jsonlSource.reader(spec, request, readerContext(slot, batchRows));
  const bounds = [
    0,
    ...Array.from({ length: random.below(4) }, () => random.below(bytes.length + 1)).sort((a, b) => a - b),
    bytes.length,
  ];
  const rows: unknown[][] = [];
  try {
    for (let i = 0; i + 1 < bounds.length; i++) {
      if (bounds[i] === bounds[i + 1]) continue;
      const options: Record<string, Json> = { path, from: bounds[i]!, to: bounds[i + 1]!, size: bytes.length };
      const split: Split = { id: `${i}`, options, position: null, estimatedRows: null, minimum: null };
      reader.open(split);
      while (reader.poll() === PollStatus.moved) {
        rows.push(...rowsOf(reader.batch, slot.memory));
        if (random.below(8) === 0) reader.open({ ...split, position: reader.position() });
      }
    }
  } finally {
    reader.close();
  }
  return { rows, skipped: reader.skipped ?? 0 };
}

async function runCase(path: string, random: Prng, guard: Guard): Promise<void> {
  let bytes = Buffer.from(randomLines(random, 1 + random.below(25)).text);
  if (random.below(10) === 0) bytes = Buffer.concat([Buffer.from('\ufeff'), bytes]);
  for (let n = random.below(3); n > 0; n--) {
    const names = Object.keys(changes);
    const name = names[random.below(names.length)]!;
    bytes = Buffer.from(changes[name]!(bytes, random));
    count(`change: ${name}`);
  }
  writeFileSync(path, bytes);
  const fields = random.below(2) === 0 ? jsonFields : jsonFields.filter(() => random.below(2) === 0);
  const strict = random.below(5) === 0;
  const nulls = fields.map((field) => ({ ...field, nullable: !strict || random.below(3) !== 0 }));
  const want = expected(bytes, nulls);
  const skipping = readSplits(path, bytes, nulls, random, guard, true);
  same(skipping.rows, want.good, 'rows, bad lines left out');
  same(skipping.skipped, want.skipped, 'bad lines left out');
  count('lines read', want.good.length);
  count('lines refused', want.skipped);
  guard.reset();
  try {
    const { rows } = readSplits(path, bytes, nulls, random, guard, false);
    if (want.bad) throw new Error(`read to the end over a bad line: ${want.bad.message}`);
    same(rows, want.good, 'rows');
    count('cases read whole');
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'source/bad-record' || !want.bad) throw error;
    same(error.message, want.bad.message, 'what is wrong with the line');
    count('cases with a bad line');
  }
  await inferred(path, bytes, random, guard);
}

/** Columns found by looking: whatever they are, reading them ends in rows or a typed error. */
async function inferred(path: string, bytes: Buffer, random: Prng, guard: Guard): Promise<void> {
  guard.reset();
  try {
    const { fields } = await jsonlSource.describe(specOf('jsonl', { path }), () => undefined);
    readSplits(path, bytes, fields, random, guard, true);
    count('columns found');
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    count(`columns not found: ${error.code}`);
  }
  if (Object.keys(Object.prototype).length > 0) throw new Error('a prototype was changed');
}

function same(got: unknown, want: unknown, what: string): void {
  const text = (value: unknown): string =>
    JSON.stringify(value, (_, v) =>
      typeof v === 'bigint'
        ? `${v}n`
        : typeof v === 'number' && !Number.isFinite(v)
          ? String(v)
          : Object.is(v, -0)
            ? '-0'
            : v,
    );
  const [a, b] = [text(got), text(want)];
  if (a === b) return;
  let i = 0;
  while (a[i] === b[i]) i++;
  const near = (shown: string): string => shown.slice(Math.max(0, i - 80), i + 120);
  throw new Error(`${what} differ\n got …${near(a)}\nwant …${near(b)}`);
}

/** Of this process: a machine that pauses it says nothing of the case. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function main(seed: number, first: number, cases: number, progressPath: string): Promise<FuzzReport> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-fuzz-'));
  const path = join(directory, 'case.jsonl');
  const progress = openSync(progressPath, 'w');
  const guard = guarded();
  const failures: string[] = [];
  for (let i = first; i < first + cases; i++) {
    writeSync(progress, `${i}`.padEnd(12), 0);
    guard.reset();
    const startMs = cpuMs();
    try {
      await runCase(path, prng(seed * 1_000_003 + i), guard);
    } catch (error) {
      failures.push(`seed ${seed} case ${i}: ${error instanceof Error ? error.stack : String(error)}`);
    }
    const broken = guard.broken();
    if (broken !== null) failures.push(`seed ${seed} case ${i}: wrote past ${broken}`);
    const ms = cpuMs() - startMs;
    if (ms > caseMsMax) failures.push(`seed ${seed} case ${i}: took ${Math.round(ms)} ms of CPU`);
  }
  closeSync(progress);
  rmSync(directory, { recursive: true, force: true });
  return { cases, failures: failures.slice(0, 50), coverage, maxRssMb: maxRssMb() };
}

/** Of this process alone: what `resourceUsage` says begins with what its parent held when it was forked. */
function maxRssMb(): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;
}

if (process.argv[1]?.endsWith('fuzz-jsonl-child.ts')) {
  const [seed, first, cases, progressPath] = process.argv.slice(2) as [string, string, string, string];
  process.stdout.write(JSON.stringify(await main(Number(seed), Number(first), Number(cases), progressPath)));
}
