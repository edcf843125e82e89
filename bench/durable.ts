/**
 * What checkpoints cost while a job runs, how long its output stops for them, how much of the state they write, and how
 * long a killed process takes until it goes on. A gigabyte of state; `--smoke` makes it small.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { count, from, generator, type JobHandle, run, sum, tumble, when } from '../index.ts';
import durable from './children/durable-job.ts';
import { type Bench, type CaseOptions, median } from './harness.ts';

/** A gigabyte of windows: key, sum and count in pages about two thirds full. */
const keysOfGigabyte = 20_000_000;
type Dirty = 'pages' | 'keys' | 'all';

export const checkpointCost: Bench = {
  name: 'checkpoint-cost',
  describe: 'rows/s of a keyed windowed job with 1 GB of state and a checkpoint every 10 s, against none',
  cases: [
    costCase('pages-1%', 'pages', '95 %; aim 98'),
    costCase('keys-1%', 'keys', '90 %; aim 95'),
    costCase('all', 'all', '75 %; aim 85'),
  ],
};
export const incremental: Bench = {
  name: 'incremental',
  describe: 'bytes of a checkpoint after 1 % of 1 GB of state changed, against a full one',
  cases: [bytesCase('pages-1%', 'pages', '< 3 %; aim 1.5'), bytesCase('keys-1%', 'keys', '< 10 %; aim 3')],
};
export const checkpointPause: Bench = {
  name: 'checkpoint-pause',
  describe: 'longest gap in the output of a job that emits for every row, 1 GB of state',
  cases: [{ name: 'process-1gb', rows: 10_000_000, slots: [1, 2], bar: '< 50 ms; aim 10', measure: pause }],
};
export const recovery: Bench = {
  name: 'recovery',
  describe: 'kill -9 of a process with 1 GB of state, to the first new row out of the next one',
  cases: [{ name: 'process-1gb', rows: 10_000_000, slots: [2], bar: '< 5 s; aim 2', measure: recover }],
};

function costCase(name: string, dirty: Dirty, bar: string) {
  const measure = (options: CaseOptions) => cost(options, dirty);
  return { name, rows: keysOfGigabyte, slots: [2], bar, measure };
}
function bytesCase(name: string, dirty: Dirty, bar: string) {
  const measure = (options: CaseOptions) => written(options, dirty);
  return { name, rows: keysOfGigabyte, slots: [2], bar, measure };
}

/**
 * State of so many keys, then rows that change a part of it for ever. One in a hundred pages: a hundred open windows of
 * which one gets rows. One in a hundred keys: one window, in which one key of a hundred gets rows.
 */
function windowed(keys: number, dirty: Dirty, slots: number, stateDir: string): Windowed {
  const spread = dirty === 'pages' ? 100 : 1;
  const perWindow = Math.ceil(keys / spread);
  const changing = dirty === 'keys' ? Math.ceil(perWindow / 100) : perWindow;
  const rows = from(
    generator({
      seed: 4,
      columns: (g) => ({
        n: g.sequence(),
        any: g.bigint(0, changing - 1),
        time: g.time({ start: '2026-01-01T00:00:00Z', perSecond: perWindow / 86_400 }),
        v: g.int(0, 99),
      }),
    }),
  )
    .with((r) => ({
      k: when(r.n.lt(keys), r.n.mod(perWindow)).otherwise(r.any),
      at: when(r.n.lt(keys), r.time).otherwise(new Date('2026-01-01T12:00:00Z')),
    }))
    .eventTime('at', { outOfOrderness: '365 days' });
  const job = rows
    .groupBy('k', tumble('1 day'))
    .aggregate((r) => ({ total: sum(r.v), n: count() }))
    .aggregate((r) => ({ rows: sum(r.n), windows: count() }));
  const handle = run(job, {
    parallelism: slots,
    memory: '6gb',
    stateDir,
    checkpoint: { every: 'never', timeout: '5 minutes' },
  });
  let told: { rows: number | null; windows: number } | null = null;
  const reading = (async () => {
    for await (const change of handle) if (change.kind === '+I' || change.kind === '+U') told = change.row;
  })();
  reading.catch(() => {});
  return {
    handle,
    // All windows close, and are summed up: each row that was read is in one, each key has one.
    async holdsEveryRow() {
      await handle.stop({ drain: true });
      await reading;
      return told !== null && told.rows === handle.metrics().rowsIn && told.windows === perWindow * spread;
    },
  };
}

interface Windowed {
  readonly handle: JobHandle<unknown>;
  /** Ends the job, and compares what its state held with the rows that it read. */
  holdsEveryRow(): Promise<boolean>;
}

async function cost({ rows: all, slots, smoke }: CaseOptions, dirty: Dirty) {
  const keys = smoke ? 50_000 : all;
  const everyMs = smoke ? 300 : 10_000;
  return await withStateDir(async (stateDir) => {
    const { handle, holdsEveryRow } = windowed(keys, dirty, slots, stateDir);
    try {
      await reached(handle, keys);
      await handle.checkpoint();
      const rates: { none: number[]; with: number[] } = { none: [], with: [] };
      let longestMs = 0;
      for (let turn = 0; turn < (smoke ? 1 : 3); turn++) {
        rates.none.push(await rateDuring(handle, () => wait(everyMs)));
        rates.with.push(
          await rateDuring(handle, async () => {
            const startMs = performance.now();
            const ends = wait(everyMs);
            await handle.checkpoint();
            longestMs = Math.max(longestMs, performance.now() - startMs);
            await ends;
          }),
        );
      }
      const share = median(rates.with) / median(rates.none);
      const bytes = stateBytes(handle);
      const right = await holdsEveryRow();
      return [
        measured('state', bytes / 1e6, 'MB', right),
        measured('rows/s without', median(rates.none) / 1e6, 'M', right),
        measured('rows/s against none', share * 100, '%', right),
        measured('checkpoint takes', longestMs, 'ms', right),
      ];
    } finally {
      await end(handle);
    }
  });
}

async function written({ rows: all, slots, smoke }: CaseOptions, dirty: Dirty) {
  const keys = smoke ? 50_000 : all;
  return await withStateDir(async (stateDir) => {
    const { handle, holdsEveryRow } = windowed(keys, dirty, slots, stateDir);
    try {
      await reached(handle, keys * 1.05);
      await handle.checkpoint();
      const full = handle.metrics().checkpoints!.lastBytes;
      const shares: number[] = [];
      for (let turn = 0; turn < (smoke ? 1 : 3); turn++) {
        // Every key that changes has changed a few times.
        await reached(handle, handle.metrics().rowsIn + (keys / 100) * 5);
        await handle.checkpoint();
        shares.push(handle.metrics().checkpoints!.lastBytes / full);
      }
      const right = await holdsEveryRow();
      return [
        measured('full', full / 1e6, 'MB', right && full > keys * 8),
        measured('written', Math.max(...shares) * 100, '% of full', right),
      ];
    } finally {
      await end(handle);
    }
  });
}

async function pause({ rows: all, slots, smoke }: CaseOptions) {
  const keys = smoke ? 20_000 : all;
  return await withStateDir(async (stateDir) => {
    const outputs: number[] = [];
    const handle = run(durable, {
      parallelism: slots,
      memory: '6gb',
      stateDir,
      checkpoint: { every: 'never', timeout: '5 minutes' },
      params: { keys },
    });
    /** No row comes twice, and with one slot, which reads in order, the first of each key is its first. */
    const seen = new Set<number>();
    let right = true;
    const reading = (async () => {
      for await (const { n, times } of handle) {
        outputs.push(performance.now());
        right &&= !seen.has(n) && n % 256 === 0 && (slots === 1 && n < keys ? times === 1 : times >= 1);
        seen.add(n);
      }
    })();
    reading.catch(() => {});
    try {
      await reached(handle, keys);
      const calm = await longestGap(outputs, () => wait(smoke ? 200 : 3000));
      const first = await longestGap(outputs, () => handle.checkpoint());
      const later: number[] = [];
      for (let turn = 0; turn < (smoke ? 1 : 5); turn++) {
        await wait(smoke ? 50 : 2000);
        later.push(await longestGap(outputs, () => handle.checkpoint()));
      }
      return [
        measured('state', stateBytes(handle) / 1e6, 'MB', right),
        measured('longest gap without', calm, 'ms', right),
        measured('longest gap, first checkpoint', first, 'ms', right),
        measured('longest gap, later ones', Math.max(...later), 'ms', right),
      ];
    } finally {
      await end(handle);
    }
  });
}

async function recover({ rows: all, slots, smoke }: CaseOptions) {
  const keys = smoke ? 20_000 : all;
  return await withStateDir(async (stateDir) => {
    const begin = (): ChildProcess =>
      fork(fileURLToPath(new URL('./children/durable.js', import.meta.url)), [stateDir, `${slots}`, `${keys}`]);
    let child = begin();
    const times: number[] = [];
    let bytes = 0;
    let right = true;
    try {
      await told(child, (message) => (message.rows ?? 0) >= keys);
      for (let turn = 0; turn < (smoke ? 1 : 3); turn++) {
        await told(child, (message) => message.checkpoint !== undefined);
        // One that has begun and ended with all keys in it.
        await told(child, (message) => message.checkpoint !== undefined);
        bytes = (await told(child, (message) => message.stateBytes !== undefined)).stateBytes!;
        const gone = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        const startMs = performance.now();
        await gone;
        child = begin();
        const { row } = await told(child, (message) => message.row !== undefined);
        times.push(performance.now() - startMs);
        // Every key had been seen before the kill: whoever counts on has its state.
        right &&= row!.n >= keys && row!.times >= 2;
      }
    } finally {
      child.kill('SIGKILL');
    }
    return [
      measured('state', bytes / 1e6, 'MB', right),
      measured('kill to first new row', median(times) / 1000, 's', right),
      measured('longest', Math.max(...times) / 1000, 's', right),
    ];
  });
}

interface Told {
  readonly row?: { readonly n: number; readonly times: number };
  readonly rows?: number;
  readonly stateBytes?: number;
  readonly checkpoint?: number;
}

function told(child: ChildProcess, wanted: (message: Told) => boolean): Promise<Told> {
  return new Promise((resolve, reject) => {
    const heard = (message: Told): void => {
      if (!wanted(message)) return;
      child.off('message', heard);
      child.off('exit', gone);
      resolve(message);
    };
    const gone = (code: number | null): void => reject(new Error(`the job's process ended with ${code}`));
    child.on('message', heard);
    child.once('exit', gone);
  });
}

/** The longest time between two outputs from before the work until the first output after it. */
async function longestGap(outputs: number[], work: () => Promise<unknown>): Promise<number> {
  const first = outputs.length - 1;
  await work();
  const after = outputs.length;
  while (outputs.length === after) await wait(1);
  let longest = 0;
  for (let i = Math.max(1, first + 1); i < outputs.length; i++) {
    longest = Math.max(longest, outputs[i]! - outputs[i - 1]!);
  }
  return longest;
}

async function rateDuring(handle: JobHandle<unknown>, work: () => Promise<unknown>): Promise<number> {
  const [rows, ms] = [handle.metrics().rowsIn, performance.now()];
  await work();
  return ((handle.metrics().rowsIn - rows) / (performance.now() - ms)) * 1000;
}

async function reached(handle: JobHandle<unknown>, rows: number): Promise<void> {
  let failed: unknown = null;
  handle.result().catch((error: unknown) => {
    failed = error;
  });
  while (handle.metrics().rowsIn < rows) {
    if (failed) throw failed;
    await wait(10);
  }
}

async function end(handle: JobHandle<unknown>): Promise<void> {
  await handle.cancel();
  await handle.result().catch(() => {});
}

async function withStateDir<T>(work: (stateDir: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  try {
    return await work(join(folder, 'state'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Of all slots; a task tells its slot's. */
function stateBytes(handle: JobHandle<unknown>): number {
  const bySlot = new Map<string, number>();
  for (const { slot, stateBytes } of handle.metrics().tasks) {
    if (slot !== 'caller') bySlot.set(String(slot), Math.max(bySlot.get(String(slot)) ?? 0, stateBytes));
  }
  return [...bySlot.values()].reduce((all, bytes) => all + bytes, 0);
}

const measured = (name: string, value: number, unit: string, checked: boolean) => ({
  engine: 'millrace' as const,
  name,
  value: Number(value.toPrecision(3)),
  unit,
  checked,
});

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
