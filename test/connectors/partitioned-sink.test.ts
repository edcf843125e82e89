/** Partitions of a sink's directory: rows where they belong, every row once whatever the disk does, marks when event time has passed. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { csvSink } from '../../connectors/csv/sink.ts';
import { openPartitionsMax } from '../../connectors/files/partitioned-files.ts';
import { jsonlSink } from '../../connectors/jsonl/sink.ts';
import { prng } from '../../core/base/prng.ts';
import { watermarkMax } from '../../core/operators/operator.ts';
import type { Json, SinkWriter } from '../../core/ports/connector.ts';
import type { Fields } from '../../core/record/types.ts';
import { type DiskFault, type SimulatedDisk, simulatedDisk } from '../../testing/simulated-disk.ts';
import { testSlot } from '../support/slot.ts';
import { batchesOf, writerContext } from './sink-support.ts';
import { specOf } from './support.ts';

const fields: Fields = [
  { name: 'dt', type: { kind: 'DATE' }, nullable: false },
  { name: 'id', type: { kind: 'INT' }, nullable: false },
  { name: 'hm', type: { kind: 'VARCHAR' }, nullable: true },
  { name: 'note', type: { kind: 'VARCHAR' }, nullable: true },
];
const out = 'data/out';
const subtasks = 2;
const steps = 8;
const batchRows = 6;
const startMs = Date.UTC(2026, 2, 1, 23, 58);
const spec = specOf('csv', {
  path: out,
  partitionBy: ['dt', 'hm'],
  partitionCommit: { time: '$dt $hm:00', delayMs: 60_000 },
});

const slot = testSlot({ bytes: 128 * 1024 * 1024 });
/** Rows of step i are of minute i, some of them of the minute before. */
const timeOf = (id: number): number => {
  const step = Math.floor(id / (subtasks * batchRows));
  return startMs + (step - (step > 0 && id % 5 === 0 ? 1 : 0)) * 60_000;
};
const rowOf = (id: number) => {
  const at = new Date(timeOf(id));
  return {
    dt: new Date(Math.floor(timeOf(id) / 86_400_000) * 86_400_000),
    id,
    hm: at.toISOString().slice(11, 16),
    note: `n, ${id}`,
  };
};
const directoryOf = (id: number): string => {
  const iso = new Date(timeOf(id)).toISOString();
  return `dt=${iso.slice(0, 10)}/hm=${iso.slice(11, 16).replace(':', '%3A')}`;
};
const rowsTotal = steps * subtasks * batchRows;
const batches = Array.from({ length: steps * subtasks }, (_, i) => {
  const rows = Array.from({ length: batchRows }, (_, k) => rowOf(i * batchRows + k));
  const [only] = batchesOf(slot, fields, rows, { batchRows });
  return only!;
});

interface Durable {
  manifest: { readonly step: number; readonly id: number; readonly handles: readonly Json[] } | null;
  epoch: number;
  nextId: number;
}
const fresh = (): Durable => ({ manifest: null, epoch: 0, nextId: 1 });

/** All files below `out`, by their paths in it. */
function filesIn(disk: SimulatedDisk): Map<string, string> {
  const found = new Map<string, string>();
  const visit = (directory: string): void => {
    for (const name of disk.list(join(out, directory))) {
      const path = directory === '' ? name : `${directory}/${name}`;
      if (name.startsWith('.')) continue;
      if (disk.stat(join(out, path))!.kind === 'directory') visit(path);
      else found.set(path, Buffer.from(disk.read(join(out, path))).toString('utf8'));
    }
  };
  visit('');
  return found;
}

/** Ids by the partition that they stand in. Throws where one stands twice. */
function idsIn(disk: SimulatedDisk): Map<number, string> {
  const found = new Map<number, string>();
  for (const [path, text] of filesIn(disk)) {
    if (path.endsWith('_SUCCESS')) continue;
    const [header, ...lines] = text.trimEnd().split('\n');
    expect(header).toBe('id,note');
    for (const line of lines) {
      const id = Number(line.split(',')[0]);
      if (found.has(id)) throw new Error(`${id} is there twice`);
      found.set(id, path.split('/').slice(0, -1).join('/'));
    }
  }
  return found;
}
const marksIn = (disk: SimulatedDisk): string[] =>
  [...filesIn(disk).keys()].filter((path) => path.endsWith('/_SUCCESS')).map((path) => path.slice(0, -9));

async function attempt(
  disk: SimulatedDisk,
  durable: Durable,
  check: (handles: readonly Json[]) => void,
): Promise<void> {
  const epoch = ++durable.epoch;
  const found = durable.manifest;
  const committer = csvSink.committer!(spec, { disk, jobKey: 'job-1' });
  committer.open(epoch, found?.handles ?? [], found?.id ?? null);
  const writers = Array.from({ length: subtasks }, (_, subtask) =>
    csvSink.writer(spec, fields, {
      ...writerContext(slot, fields, { subtask, parallelism: subtasks, attemptId: `job-${epoch}` }),
      batchRows,
      transaction: { epoch, jobKey: 'job-1', disk, nowMs: () => 0 },
    }),
  );
  const checkpoint = async (step: number): Promise<void> => {
    const id = durable.nextId++;
    const settled = await Promise.allSettled(writers.map(async (writer) => writer.prepare!(id)));
    const prepared = settled.flatMap((one) => {
      if (one.status === 'rejected') throw one.reason;
      return one.value;
    });
    const handles = JSON.parse(JSON.stringify(prepared)) as Json[];
    durable.manifest = { step, id, handles };
    committer.commit(handles);
    check(handles);
    for (const writer of writers) writer.completed!(id);
  };
  const tell = (writer: SinkWriter, subtask: number, step: number): void => {
    // One is ahead of the other. Behind step i, only rows of the minute before may follow.
    if (step - subtask > 0) writer.watermark!(startMs + (step - subtask - 1) * 60_000 - 1);
  };
  try {
    for (let step = found?.step ?? 0; step < steps; step++) {
      for (const [subtask, writer] of writers.entries()) {
        writer.write(batches[step * subtasks + subtask]!);
        tell(writer, subtask, step + 1);
        writer.flush();
      }
      if (step % 2 === 1) await checkpoint(step + 1);
    }
    for (const writer of writers) {
      writer.watermark!(watermarkMax);
      writer.finish();
    }
    await checkpoint(steps);
  } finally {
    for (const writer of writers) writer.close();
  }
  committer.close();
}

function expectComplete(disk: SimulatedDisk, context: string): void {
  const { onCall } = disk;
  disk.onCall = () => null;
  const ids = idsIn(disk);
  expect(ids.size, context).toBe(rowsTotal);
  for (const [id, directory] of ids) expect(directory, context).toBe(directoryOf(id));
  const all = [...new Set(Array.from({ length: rowsTotal }, (_, id) => directoryOf(id)))];
  expect(marksIn(disk).sort(), context).toEqual(all.sort());
  disk.onCall = onCall;
}

describe('partitions of a csv sink', () => {
  test('rows stand in their partition, and a mark when event time has passed it in every writer', async () => {
    const disk = simulatedDisk(1);
    const told: number[] = [];
    await attempt(disk, fresh(), (handles) => {
      const times = handles.flatMap((one) => (one as { watermarkMs?: number | null }).watermarkMs ?? []);
      const slowest = times.length < subtasks ? Number.NEGATIVE_INFINITY : Math.min(...times);
      const visible = idsIn(disk);
      const partitions = [...new Set([...visible].map(([id]) => id))].map(
        (id) => [directoryOf(id), timeOf(id)] as const,
      );
      const whole = new Set(partitions.filter(([, at]) => slowest >= at + 59_999).map(([directory]) => directory));
      expect(marksIn(disk).sort()).toEqual([...whole].sort());
      told.push(whole.size);
    });
    expect(told).toEqual([0, 2, 4, 6, 8]);
    expectComplete(disk, 'clean');
    expect([...filesIn(disk).keys()][0]).toBe('dt=2026-03-01/hm=23%3A58/_SUCCESS');
  });

  test('a fault at every call: every row once, no mark before its partition is whole, all marks in the end', async () => {
    const clean = simulatedDisk(0);
    await attempt(clean, fresh(), () => {});
    const faults: DiskFault[] = ['error', 'crashBefore', 'crashAfter', 'torn'];
    let happened = 0;
    for (let n = 1; n <= clean.calls; n++) {
      for (const [k, fault] of faults.entries()) {
        // Each call gets two of the four; its neighbours, which do much the same, the others.
        if ((n + (k >> 1)) % 2 === 0) continue;
        const disk = simulatedDisk(n);
        disk.onCall = (call, _path, at) => {
          if (at !== n || (fault === 'torn' && call !== 'write')) return null;
          happened++;
          return fault;
        };
        await run(disk, (n >> 1) % 2 === 0);
        expectComplete(disk, `call ${n}, ${fault}`);
      }
    }
    expect(happened).toBeGreaterThan(clean.calls);
  });

  test('many faults a run, in recovery too', async () => {
    let crashes = 0;
    for (let seed = 1; seed <= 40; seed++) {
      const random = prng(seed);
      const disk = simulatedDisk(seed);
      let left = 6;
      disk.onCall = (call) => {
        if (left === 0 || random.below(30) !== 0) return null;
        left--;
        crashes++;
        return (['error', 'crashBefore', 'crashAfter', call === 'write' ? 'torn' : 'error'] as const)[random.below(4)]!;
      };
      await run(disk, random.below(2) === 0);
      expectComplete(disk, `seed ${seed}`);
    }
    expect(crashes).toBeGreaterThan(80);
  });

  async function run(disk: SimulatedDisk, lossless: boolean): Promise<void> {
    const durable = fresh();
    for (let tries = 0; ; tries++) {
      if (tries > 20) throw new Error('it does not come to an end');
      try {
        await attempt(disk, durable, () => {});
        return;
      } catch (error) {
        const code = (error as { code?: string }).code ?? '';
        const cause = (error as { cause?: { code?: string } }).cause?.code ?? '';
        if (!['CRASHED', 'EIO', 'ENOSPC'].some((one) => one === code || one === cause)) throw error;
        if (disk.crashed) disk.restart({ lossless });
      }
    }
  }
});

const context = (disk: SimulatedDisk, of: Fields) => ({
  ...writerContext(slot, of, {}),
  batchRows: 64,
  transaction: { epoch: 1, jobKey: 'k', disk, nowMs: () => 0 },
});

test('more partitions than a writer has files open, names that paths give a meaning, NULL and nothing', async () => {
  const disk = simulatedDisk(3);
  const of: Fields = [
    { name: 'key', type: { kind: 'VARCHAR' }, nullable: true },
    { name: 'n', type: { kind: 'INT' }, nullable: false },
  ];
  const place = specOf('jsonl', { path: out, partitionBy: ['key'] });
  const committer = jsonlSink.committer!(place, { disk, jobKey: 'k' });
  committer.open(1, []);
  const writer = jsonlSink.writer(place, of, context(disk, of));
  const keys = [
    null,
    '',
    '..',
    'a/b',
    '../x',
    'é=1',
    'x'.repeat(40),
    ...Array.from({ length: 100 }, (_, i) => `k${i}`),
  ];
  const rows = Array.from({ length: 400 }, (_, n) => ({ key: keys[n % keys.length]!, n }));
  for (const batch of batchesOf(slot, of, rows, { batchRows: 64 })) writer.write(batch);
  writer.finish();
  committer.commit((await writer.prepare!(1)) as Json[]);
  writer.close();
  committer.close();
  const found = new Map<string, number[]>();
  for (const [path, text] of filesIn(disk)) {
    const [directory, name, more] = path.split('/');
    expect([name!.startsWith('part-k-'), more]).toEqual([true, undefined]);
    const ids = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).n as number);
    found.set(directory!, [...(found.get(directory!) ?? []), ...ids]);
  }
  expect(keys.length).toBeGreaterThan(openPartitionsMax);
  expect(found.size).toBe(keys.length - 1);
  expect([...found.values()].flat().sort((a, b) => a - b)).toEqual(rows.map(({ n }) => n));
  for (const name of [
    'key=__HIVE_DEFAULT_PARTITION__',
    'key=%2E%2E',
    'key=a%2Fb',
    'key=..%2Fx',
    'key=é%3D1',
    'key=k99',
  ])
    expect(found.has(name), name).toBe(true);
});

test('what cannot be is said', () => {
  const describeIt = (options: object, checkpointed = true, of = fields) =>
    csvSink.describe(specOf('csv', { path: 'out', ...options }), of, false, checkpointed);
  expect(() => describeIt({ partitionBy: ['dt'] }, false)).toThrow('run the job with a stateDir');
  expect(() => describeIt({ partitionBy: ['dt'], path: 'out.csv' })).toThrow('is one file, which has no partitions');
  expect(() => describeIt({ partitionBy: ['hn'] })).toThrow("did you mean 'hm'?");
  expect(() => describeIt({ partitionBy: fields.map(({ name }) => name) })).toThrow('leaves no column');
  const doubles: Fields = [...fields, { name: 'x', type: { kind: 'DOUBLE' }, nullable: true }];
  expect(() => describeIt({ partitionBy: ['x'] }, true, doubles)).toThrow('a DOUBLE such as');
  expect(() => describeIt({ partitionBy: ['dt'], partitionCommit: { time: '$day', delayMs: 0 } })).toThrow(
    "names 'day'",
  );
  expect(() => describeIt({ partitionBy: ['dt'], partitionCommit: { time: '2001', delayMs: 0 } })).toThrow(
    'names no column',
  );
  const disk = simulatedDisk(4);
  const place = specOf('csv', { path: out, partitionBy: ['note'], partitionCommit: { time: '$note', delayMs: 0 } });
  csvSink.committer!(place, { disk, jobKey: 'k' }).open(1, []);
  const writer = csvSink.writer(place, fields, context(disk, fields));
  expect(() => writer.write(batches[0]!)).toThrow("makes 'n, 0' of it, which is no timestamp");
  writer.close();
});
