/**
 * Exactly-once files: writers, checkpoints and committers over a disk that fails or crashes at every call, in every way.
 * The coordinator is modelled in its bare duties: prepare at a barrier, the manifest, commit, restore by replay.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { csvSink } from '../../connectors/csv/sink.ts';
import { fileCommitter } from '../../connectors/files/committer.ts';
import { jsonlSink } from '../../connectors/jsonl/sink.ts';
import { jsonlSource } from '../../connectors/jsonl/source.ts';
import { parquetSink } from '../../connectors/parquet/sink.ts';
import { parquetSource } from '../../connectors/parquet/source.ts';
import { prng } from '../../core/base/prng.ts';
import type { Json, SinkCommitter, SinkConnector, SinkWriter } from '../../core/ports/connector.ts';
import type { Batch } from '../../core/record/batch.ts';
import type { Fields } from '../../core/record/types.ts';
import { realDisk } from '../../engine/disk.ts';
import { type DiskFault, type SimulatedDisk, simulatedDisk } from '../../testing/simulated-disk.ts';
import { type TestSlot, testSlot } from '../support/slot.ts';
import { batchesOf, writerContext } from './sink-support.ts';
import { readAll, specOf } from './support.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-files-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const fields: Fields = [
  { name: 'id', type: { kind: 'INT' }, nullable: false },
  { name: 'word', type: { kind: 'VARCHAR' }, nullable: true },
];
const out = 'data/out';
const subtasks = 2;
const batchesTotal = 8;
const batchRows = 5;
/** A barrier comes behind each of these batches. */
const barriers = [2, 4, 5, 7];

let slot: TestSlot;
let batches: readonly Batch[];
beforeAll(() => {
  slot = testSlot({ bytes: 64 * 1024 * 1024 });
  const rows = Array.from({ length: batchesTotal * subtasks * batchRows }, (_, id) => ({ id, word: `word ${id % 7}` }));
  // Each batch in buffers of its own: they are written again after every restart.
  batches = Array.from({ length: batchesTotal * subtasks }, (_, i) => {
    const [only] = batchesOf(slot, fields, rows.slice(i * batchRows, (i + 1) * batchRows), { batchRows });
    return only!;
  });
});

interface Manifest {
  readonly id: number;
  /** Batches before it. */
  readonly position: number;
  readonly handles: readonly Json[];
}

/** What outlives the process: the state directory, in one variable. */
interface Durable {
  manifest: Manifest | null;
  older: Manifest | null;
  epoch: number;
  nextId: number;
}

interface Format {
  readonly connector: SinkConnector;
  readonly options: Record<string, unknown>;
  /** Ids in a file's bytes. Throws when it is not whole. */
  ids(bytes: Uint8Array): Promise<number[]>;
}

const readFiles = new Map<string, number[]>();
const formats: Readonly<Record<string, Format>> = {
  jsonl: {
    connector: jsonlSink,
    options: { path: out },
    async ids(bytes) {
      const text = Buffer.from(bytes).toString('utf8');
      if (!text.endsWith('\n')) throw new Error('the last line is cut off');
      return text
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { id: number }).id);
    },
  },
  csv: {
    connector: csvSink,
    options: { path: out },
    async ids(bytes) {
      const text = Buffer.from(bytes).toString('utf8');
      if (!text.endsWith('\n')) throw new Error('the last record is cut off');
      const [header, ...lines] = text.trimEnd().split('\n');
      const at = header!.split(',').indexOf('id');
      return lines.map((line) => Number(line.split(',')[at]));
    },
  },
  parquet: {
    connector: parquetSink,
    // Compression takes room in the slot that no restart gives back here.
    options: { path: out, compression: 'uncompressed' },
    async ids(bytes) {
      // The same few files come from thousands of runs.
      const content = Buffer.from(bytes).toString('latin1');
      const known = readFiles.get(content);
      if (known) return known;
      const path = join(root, 'one.parquet');
      writeFileSync(path, bytes);
      const spec = specOf('parquet', { path });
      const { rows } = await readAll(parquetSource, spec, { columns: ['id'], slotBytes: 2 ** 22 });
      const ids = rows.map(([id]) => id as number);
      readFiles.set(content, ids);
      return ids;
    },
  },
};

interface Scenario {
  readonly format: Format;
  readonly roll?: { readonly bytes?: number; readonly everyMs?: number };
  /** A checkpoint that is never completed: its handles come again with the next. */
  readonly aborted?: number;
  /** The manifest that a restart finds damaged: it takes the one before. */
  readonly damaged?: number;
}

/** One process: takes over, replays from the last checkpoint, runs to the end. Throws where the disk does. */
async function attempt(disk: SimulatedDisk, durable: Durable, scenario: Scenario): Promise<void> {
  const { connector, options } = scenario.format;
  const spec = specOf('files', { ...options, ...(scenario.roll ? { roll: scenario.roll } : {}) });
  const epoch = ++durable.epoch;
  const found = durable.manifest?.id === scenario.damaged ? durable.older : durable.manifest;
  const committer = connector.committer!(spec, { disk, jobKey: 'job-1' });
  committer.open(epoch, found?.handles ?? [], found?.id ?? null);
  let nowMs = 0;
  const writers = Array.from({ length: subtasks }, (_, subtask) =>
    connector.writer(spec, fields, {
      ...writerContext(slot, fields, { subtask, parallelism: subtasks, attemptId: `job-${epoch}` }),
      transaction: { epoch, jobKey: 'job-1', disk, nowMs: () => nowMs },
    }),
  );
  try {
    for (let i = found?.position ?? 0; i < batchesTotal; i++) {
      for (const [subtask, writer] of writers.entries()) writer.write(batches[i * subtasks + subtask]!);
      nowMs += 1000;
      for (const writer of writers) writer.flush();
      if (barriers.includes(i + 1)) await checkpoint(durable, scenario, committer, writers, i + 1);
    }
    for (const writer of writers) writer.finish();
    while (!(await checkpoint(durable, scenario, committer, writers, batchesTotal)));
  } finally {
    for (const writer of writers) writer.close();
  }
  committer.close();
}

async function checkpoint(
  durable: Durable,
  scenario: Scenario,
  committer: SinkCommitter,
  writers: readonly SinkWriter[],
  position: number,
): Promise<boolean> {
  const id = durable.nextId++;
  // All of them come to an end before the process goes on, or is gone.
  const settled = await Promise.allSettled(writers.map(async (writer) => writer.prepare!(id)));
  const prepared = settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
  if (id === scenario.aborted) return false;
  const handles = JSON.parse(JSON.stringify(prepared.flat())) as Json[];
  durable.older = durable.manifest;
  durable.manifest = { id, position, handles };
  committer.commit(handles);
  for (const writer of writers) writer.completed!(id);
  return true;
}

/** Runs attempts until one ends in order; what it threw is the disk's doing. */
async function run(disk: SimulatedDisk, durable: Durable, scenario: Scenario, lossless: () => boolean): Promise<void> {
  for (let tries = 0; ; tries++) {
    if (tries > 20) throw new Error('it does not come to an end');
    try {
      await attempt(disk, durable, scenario);
      return;
    } catch (error) {
      const code = (error as { code?: string }).code ?? '';
      const cause = (error as { cause?: { code?: string } }).cause?.code ?? '';
      const byDisk = ['CRASHED', 'EIO', 'ENOSPC'].some((one) => one === code || one === cause);
      if (!byDisk) throw error;
      if (disk.crashed) disk.restart({ lossless: lossless() });
    }
  }
}

async function expectAllOnce(disk: SimulatedDisk, format: Format, context: string): Promise<void> {
  const onCall = disk.onCall;
  disk.onCall = () => null;
  const names = disk.list(out);
  expect(
    names.filter((name) => !name.startsWith('part-job-1-')),
    `${context}: nothing else is left`,
  ).toEqual([]);
  const ids: number[] = [];
  for (const name of names) ids.push(...(await format.ids(disk.read(join(out, name)))));
  expect(
    ids.sort((a, b) => a - b),
    `${context}: every row once`,
  ).toEqual(Array.from({ length: batchesTotal * subtasks * batchRows }, (_, id) => id));
  disk.onCall = onCall;
}

const fresh = (): Durable => ({ manifest: null, older: null, epoch: 0, nextId: 1 });

describe.each(Object.entries(formats))('%s', (name, format) => {
  test('files appear with their checkpoint and not before, and nothing else is left', async () => {
    const disk = simulatedDisk(1);
    const seen: number[] = [];
    const durable = fresh();
    disk.onCall = (call) => {
      if (call === 'syncDirectory' && durable.manifest) seen.push(durable.manifest.id);
      return null;
    };
    await attempt(disk, durable, { format });
    expect(new Set(seen)).toEqual(new Set([1, 2, 3, 4, 5]));
    await expectAllOnce(disk, format, name);
    const ending = format.connector.kind;
    expect(disk.list(out)[0]).toBe(`part-job-1-000001-00000-00000.${ending}`);
    expect(disk.list(out)).toHaveLength(5 * subtasks);
  });

  const scenarios: Readonly<Record<string, Scenario>> = {
    'every checkpoint completes': { format },
    'files roll, and one checkpoint is aborted': { format, roll: { bytes: 150, everyMs: 1500 }, aborted: 2 },
  };
  for (const [what, scenario] of Object.entries(scenarios)) {
    const faults: DiskFault[] = ['error', 'crashBefore', 'crashAfter', 'torn'];
    test(`a fault at every call, ${what}: every row is there once, in whole files`, async () => {
      const clean = simulatedDisk(0);
      await attempt(clean, fresh(), scenario);
      let happened = 0;
      for (let n = 1; n <= clean.calls; n++) {
        for (const fault of faults) {
          for (const lossless of [false, true]) {
            const disk = simulatedDisk(n);
            disk.onCall = (call, _path, at) => {
              if (at !== n || (fault === 'torn' && call !== 'write')) return null;
              happened++;
              return fault;
            };
            await run(disk, fresh(), scenario, () => lossless);
            await expectAllOnce(disk, format, `call ${n}, ${fault}${lossless ? ', lossless' : ''}`);
          }
        }
      }
      expect(happened).toBeGreaterThan(clean.calls * 6);
    });
  }

  test('many faults a run, in recovery too', async () => {
    const seeds = format.connector.kind === 'parquet' ? 50 : 150;
    let crashes = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      const random = prng(seed);
      const disk = simulatedDisk(seed);
      let left = 6;
      disk.onCall = (call) => {
        if (left === 0 || random.below(25) !== 0) return null;
        left--;
        crashes++;
        return (['error', 'crashBefore', 'crashAfter', call === 'write' ? 'torn' : 'error'] as const)[random.below(4)]!;
      };
      const aborted = random.below(7);
      await run(disk, fresh(), { format, aborted, roll: { bytes: 200 } }, () => random.below(2) === 0);
      await expectAllOnce(disk, format, `seed ${seed}`);
    }
    expect(crashes).toBeGreaterThan(seeds * 2);
  });
});

const { jsonl } = formats as { jsonl: Format };
const specOfOut = specOf('jsonl', { path: out });
const writerOf = (disk: SimulatedDisk, epoch: number, attemptId = `a${epoch}`): SinkWriter =>
  jsonlSink.writer(specOfOut, fields, {
    ...writerContext(slot, fields, { attemptId }),
    transaction: { epoch, jobKey: 'k', disk, nowMs: () => 0 },
  });
const committerOf = (disk: SimulatedDisk): SinkCommitter => jsonlSink.committer!(specOfOut, { disk, jobKey: 'k' });

test('rows of a checkpoint that was damaged are taken back before they come again', async () => {
  for (let n = 40; n < 120; n++) {
    const disk = simulatedDisk(n);
    disk.onCall = (_call, _path, at) => (at === n ? 'crashAfter' : null);
    await run(disk, fresh(), { format: jsonl, damaged: 3 }, () => true);
    await expectAllOnce(disk, jsonl, `call ${n}`);
  }
});

test("on the machine's own disk: files and directories have the modes of any program, staged ones are private", async () => {
  const path = join(root, 'real', 'deep');
  const spec = specOf('jsonl', { path });
  const committer = jsonlSink.committer!(spec, { disk: realDisk, jobKey: 'k' });
  committer.open(1, []);
  const writer = jsonlSink.writer(spec, fields, {
    ...writerContext(slot, fields),
    transaction: { epoch: 1, jobKey: 'k', disk: realDisk, nowMs: () => 0 },
  });
  writer.write(batches[0]!);
  const [first] = (await writer.prepare!(1)) as { staged: string; bytes: number; rows: number }[];
  expect(first!.rows).toBe(batchRows);
  expect(statSync(join(path, '.millrace-k.1')).mode & 0o077).toBe(0);
  writer.write(batches[1]!);
  const second = await writer.prepare!(2);
  expect(second).toHaveLength(2);
  committer.commit(second);
  writer.completed!(2);
  expect(await writer.prepare!(3)).toEqual([]);
  writer.finish();
  writer.close();
  committer.close();
  expect(readdirSync(path)).toEqual(['part-k-000001-00000-00000.jsonl', 'part-k-000002-00000-00001.jsonl']);
  const umask = process.umask();
  expect(statSync(path).mode & 0o777).toBe(0o777 & ~umask);
  expect(statSync(join(path, 'part-k-000001-00000-00000.jsonl')).mode & 0o777).toBe(0o666 & ~umask);
  expect(first!.bytes).toBe(statSync(join(path, 'part-k-000001-00000-00000.jsonl')).size);
});

test('a directory that is made is made known to every parent that did not know it', () => {
  const disk = simulatedDisk(1);
  disk.makeDirectory('data');
  const synced: string[] = [];
  disk.onCall = (call, path) => {
    if (call === 'syncDirectory') synced.push(path);
    return null;
  };
  jsonlSink.committer!(specOf('jsonl', { path: 'data/a/b' }), { disk, jobKey: 'k' }).open(1, []);
  expect(synced).toEqual(['data', 'data/a', 'data/a/b']);
});

test('whoever was taken over stages and commits nothing any more', async () => {
  const disk = simulatedDisk(1);
  const zombie = committerOf(disk);
  zombie.open(1, []);
  const writer = writerOf(disk, 1);
  writer.write(batches[0]!);
  const handles = await writer.prepare!(1);
  writer.write(batches[1]!);
  const successor = committerOf(disk);
  successor.open(2, []);
  expect(() => zombie.commit(handles)).toThrow(expect.objectContaining({ code: 'state/fenced' }));
  await expect(writer.prepare!(2)).rejects.toMatchObject({ code: 'state/fenced' });
  expect(() => writer.write(batches[2]!)).toThrow(expect.objectContaining({ code: 'state/fenced' }));
  expect(() => zombie.open(1, [])).toThrow(expect.objectContaining({ code: 'state/fenced' }));
  zombie.close();
  const next = writerOf(disk, 2);
  next.write(batches[0]!);
  successor.commit(await next.prepare!(1));
  successor.close();
  expect(disk.list(out)).toEqual(['part-k-000001-00000-00000.jsonl']);
});

test('the successor commits what the last checkpoint had prepared, whoever staged it', async () => {
  const disk = simulatedDisk(1);
  committerOf(disk).open(1, []);
  const writer = writerOf(disk, 1);
  writer.write(batches[0]!);
  const handles = await writer.prepare!(1);
  writer.write(batches[1]!);
  writer.close();
  const successor = committerOf(disk);
  successor.open(5, handles, 1);
  expect(disk.list(out).filter((name) => name.startsWith('part-'))).toEqual(['part-k-000001-00000-00000.jsonl']);
  // Again, as after a crash right behind it; and when somebody has fetched the file meanwhile.
  committerOf(disk).open(6, handles, 1);
  disk.remove(join(out, 'part-k-000001-00000-00000.jsonl'));
  committerOf(disk).open(7, handles, 1);
  expect(disk.list(join(out, '.millrace-k.7'))).toEqual(['committed-1']);
});

describe('what a process renamed or removed that died before the directory was synced', () => {
  const partitions = { columns: ['d', 'h'], commit: null };
  const stage = (disk: SimulatedDisk, epoch: number, checkpoint: number): Json => {
    const staged = `${epoch}-a-0-${checkpoint}.jsonl`;
    const bytes = new TextEncoder().encode(`{"id":${checkpoint}}\n`);
    const file = disk.create(join(out, `.millrace-k.${epoch}`, staged));
    file.write(bytes);
    file.syncNow();
    file.close();
    disk.syncDirectory(join(out, `.millrace-k.${epoch}`));
    const final = `d=1/h=2/part-k-00000${checkpoint}-00000-00000.jsonl`;
    return { staged, final, checkpoint, bytes: bytes.length, rows: 1, checksum: crc32(bytes) };
  };
  const files = (disk: SimulatedDisk): readonly string[] =>
    disk.stat(join(out, 'd=1/h=2')) ? disk.list(join(out, 'd=1/h=2')) : [];
  const opened = (disk: SimulatedDisk, epoch: number, handles: readonly Json[], restored: number): SinkCommitter => {
    const committer = fileCommitter(out, { disk, jobKey: 'k' }, partitions);
    committer.open(epoch, handles, restored);
    return committer;
  };

  for (const died of ['d=1/h=2', 'd=1', ''] as const) {
    test(`a committed file stays when power is lost later: before the sync of '${died}'`, () => {
      for (let seed = 1; seed <= 10; seed++) {
        const disk = simulatedDisk(seed);
        const first = opened(disk, 1, [], 0);
        const handle = stage(disk, 1, 1);
        disk.onCall = (call, path) => (call === 'syncDirectory' && path === join(out, died) ? 'crashBefore' : null);
        expect(() => first.commit([handle])).toThrow(/crashed/);
        disk.onCall = () => null;
        disk.restart({ lossless: true });
        opened(disk, 2, [handle], 1);
        disk.crash();
        disk.restart();
        // The next checkpoint names it no more.
        opened(disk, 3, [], 2);
        expect(files(disk), `seed ${seed}`).toEqual(['part-k-000001-00000-00000.jsonl']);
      }
    });
  }

  test('a file that was taken back stays away when power is lost later', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const disk = simulatedDisk(seed);
      const first = opened(disk, 1, [], 0);
      first.commit([stage(disk, 1, 1)]);
      first.commit([stage(disk, 1, 2)]);
      disk.onCall = (call, path) => (call === 'syncDirectory' && path === join(out, 'd=1/h=2') ? 'crashBefore' : null);
      expect(() => opened(disk, 2, [], 1)).toThrow(/crashed/);
      disk.onCall = () => null;
      disk.restart({ lossless: true });
      opened(disk, 3, [], 1);
      disk.crash();
      disk.restart();
      // By now it goes on from a checkpoint behind it.
      opened(disk, 4, [], 3);
      expect(files(disk), `seed ${seed}`).toEqual(['part-k-000001-00000-00000.jsonl']);
    }
  });
});

test('prepared rows that are gone or damaged are named, not passed over', async () => {
  const lost = async (harm: (disk: SimulatedDisk, staged: string) => void): Promise<() => void> => {
    const disk = simulatedDisk(1);
    committerOf(disk).open(1, []);
    const writer = writerOf(disk, 1);
    writer.write(batches[0]!);
    const handles = await writer.prepare!(3);
    harm(disk, join(out, '.millrace-k.1', (handles[0] as { staged: string }).staged));
    return () => committerOf(disk).open(2, handles, 3);
  };
  const rewrite = (disk: SimulatedDisk, path: string, change: (bytes: Uint8Array) => Uint8Array): void => {
    const bytes = disk.read(path);
    disk.remove(path);
    disk.create(path).write(change(bytes));
  };
  const code = expect.objectContaining({ code: 'sink/lost' });
  expect(await lost((disk, path) => disk.remove(path))).toThrow(code);
  expect(await lost((disk, path) => disk.remove(path))).toThrow(
    /5 rows are gone: checkpoint 3 had prepared part-k-000003/,
  );
  expect(await lost((disk, path) => rewrite(disk, path, (bytes) => bytes.subarray(1)))).toThrow(code);
  const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 3 ? byte ^ 1 : byte));
  expect(await lost((disk, path) => rewrite(disk, path, flip))).toThrow(/is damaged/);
  const disk = simulatedDisk(1);
  for (const handle of [null, 7, { staged: '../x', final: 'y', checkpoint: 1, bytes: 1, rows: 1, checksum: 1 }]) {
    expect(() => committerOf(disk).open(1, [handle])).toThrow(/names no file of this sink/);
  }
});

test('one file cannot be written with checkpoints, and does not roll; both say to name a directory', () => {
  for (const [connector, path] of [
    [jsonlSink, 'deep/out.jsonl'],
    [parquetSink, 'deep/out.parquet'],
  ] as const) {
    const spec = specOf(connector.kind, { path });
    expect(() => connector.describe(spec, fields, false, true)).toThrow(
      expect.objectContaining({ code: 'plan/unsupported', where: { path } }),
    );
    expect(() => connector.describe(spec, fields, false, true)).toThrow(/name a directory, as in 'deep\/out'/);
    expect(() => connector.committer!(spec, { disk: simulatedDisk(1), jobKey: 'k' })).toThrow(/one file/);
    expect(connector.describe(spec, fields, false, false).parallelismMax).toBe(1);
    const rolling = specOf(connector.kind, { path, roll: { bytes: 1 } });
    expect(() => connector.describe(rolling, fields, false)).toThrow(
      expect.objectContaining({ code: 'option/invalid' }),
    );
  }
});

test('without checkpoints files roll too, appear together at the end, and replace those of an earlier run', () => {
  const path = join(root, 'rolled');
  const spec = specOf('jsonl', { path, roll: { bytes: 100, everyMs: null } });
  const write = (count: number): void => {
    const writer = jsonlSink.writer(spec, fields, writerContext(slot, fields));
    for (const batch of batches.slice(0, count)) writer.write(batch);
    expect(readdirSync(path).filter((name) => !name.startsWith('.'))).toEqual(readable);
    writer.finish();
    writer.close();
    readable = readdirSync(path).sort();
  };
  let readable: string[] = [];
  write(3);
  expect(readable).toEqual(['part-00000-00001.jsonl', 'part-00000-00002.jsonl', 'part-00000.jsonl']);
  write(2);
  expect(readable).toEqual(['part-00000-00001.jsonl', 'part-00000.jsonl']);
});

test('whoever reads the directory sees committed files only', async () => {
  const path = join(root, 'read');
  const writer = jsonlSink.writer(specOf('jsonl', { path }), fields, writerContext(slot, fields));
  writer.write(batches[0]!);
  writer.finish();
  mkdirSync(join(path, '.millrace-k.1'));
  writeFileSync(join(path, '.millrace-k.1', '1-a-0-0.jsonl'), 'half a li');
  for (const pattern of [path, join(path, '*.jsonl'), join(path, '**', '*.jsonl')]) {
    const { rows } = await readAll(jsonlSource, specOf('jsonl', { path: pattern }), { columns: ['id'] });
    expect(rows).toHaveLength(batchRows);
  }
});
