/**
 * Ordered tables alone, on one thread: puts at random and in order, gets, walks, deletes, and timers (set by time and by
 * key, taken in order, deleted from the index) beside what a careful person writes in JavaScript: a Map of the timer of each
 * key, and a binary heap. Counts for no bar; the timers of whole jobs stand on it.
 */
import { prng } from '../core/base/prng.ts';
import { entryBytes } from '../core/ports/ordered-layout.ts';
import type { OrderedTableDecl } from '../core/ports/state.ts';
import { slotMemory } from '../core/record/memory.ts';
import { loadKernels } from '../kernels/load.ts';
import { pagePool } from '../state/page-pool.ts';
import { slotState } from '../state/slot-state.ts';
import type { Bench, CaseOptions, EngineName, Measure } from './harness.ts';

type Result = Measure & { readonly engine: EngineName; readonly name: string };
const batchRows = 4096;

export const kernelOrdered: Bench = {
  name: 'kernel-ordered',
  describe: 'ordered tables, one thread, ns per entry',
  cases: [
    { name: 'entries', rows: 1_000_000, slots: [1], bar: 'none', measure: async (options) => measureEntries(options) },
    { name: 'timers', rows: 2_000_000, slots: [1], bar: 'none', measure: async (options) => measureTimers(options) },
  ],
};

const decl = (name: string, keyGroupAt: number): OrderedTableDecl => ({
  name,
  keyGroupAt,
  key: [{ name: 'key', type: { kind: 'HASH' }, nullable: false }],
  value: [{ name: 'value', type: { kind: 'BIGINT' }, nullable: false }],
});

function bench() {
  const bytes = 1 << 30;
  const wasm = new WebAssembly.Memory({ initial: bytes / 65_536, maximum: bytes / 65_536, shared: true });
  const from = 64 << 20;
  const memory = slotMemory(wasm, 1024, from);
  const state = slotState({ memory, kernels: loadKernels(memory), pool: pagePool(memory, from, bytes), hashSeed: 42n });
  const take = (size: number): number => memory.arena.allocate(size, 'bench');
  return { memory, state, take, view: new DataView(memory.buffer), operator: state.operator('bench') };
}
type House = ReturnType<typeof bench>;

/** An array of entries whose keys and values lie at fixed distances. */
function entriesOf(house: House, keyBytes: number, valueBytes: number) {
  const stride = Math.ceil((keyBytes + valueBytes) / 8) * 8;
  const entries = house.take(entryBytes * batchRows);
  const bytes = house.take(stride * batchRows + 64);
  for (let i = 0; i < batchRows; i++) {
    const at = (entries + i * entryBytes) >>> 2;
    house.memory.u32[at] = bytes + i * stride;
    house.memory.u32[at + 1] = keyBytes;
    house.memory.u32[at + 2] = bytes + i * stride + keyBytes;
    house.memory.u32[at + 3] = valueBytes;
  }
  return { entries, bytes, stride };
}

/**
 * The best of several turns, batch by batch, in ms: what others do on the machine in the meantime counts little. `prepare`
 * is not timed.
 */
function best(
  turns: number,
  batches: number,
  begin: () => void,
  prepare: (b: number) => void,
  work: (b: number) => void,
) {
  const least = new Float64Array(batches).fill(Number.POSITIVE_INFINITY);
  for (let turn = 0; turn < turns; turn++) {
    begin();
    for (let b = 0; b < batches; b++) {
      prepare(b);
      const from = performance.now();
      work(b);
      least[b] = Math.min(least[b] as number, performance.now() - from);
    }
  }
  return least.reduce((sum, ms) => sum + ms, 0);
}

function measureEntries({ rows, smoke }: CaseOptions): Result[] {
  const results: Result[] = [];
  const house = bench();
  const { view } = house;
  const random = prng(7);
  const keyBytes = 24;
  const batch = entriesOf(house, keyBytes, 8);
  const batches = Math.floor(rows / batchRows);
  const n = batches * batchRows;
  const first = new Uint32Array(n);
  const second = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    first[i] = random.u32();
    second[i] = i;
  }
  const write = (at: number, i: number, ordered: boolean): void => {
    view.setUint32(at, ordered ? i : (first[i] as number));
    view.setUint32(at + 4, second[i] as number);
    view.setUint32(at + 8, first[i] as number);
    view.setUint32(at + 12, 0);
    view.setUint32(at + 16, 0);
    view.setUint32(at + 20, 0);
  };
  const add = (name: string, ms: number, checked: boolean): void => {
    const value = Number(((ms * 1e6) / n).toPrecision(3));
    results.push({ engine: 'millrace', name, value, unit: 'ns/entry', checked });
  };
  const none = (): void => {};
  const turns = smoke ? 1 : 5;
  for (const ordered of [false, true]) {
    const table = house.operator.ordered(decl(`t${ordered}`, 0));
    const what = ordered ? 'in order' : 'at random';
    const fill = (b: number): void => {
      for (let i = 0; i < batchRows; i++) write(batch.bytes + i * batch.stride, b * batchRows + i, ordered);
    };
    const all = (call: 'putMany' | 'deleteMany') => (): void => {
      if (table[call](batch.entries, batchRows) !== batchRows) throw new Error('out of pages');
    };
    add(
      `put ${what}`,
      best(turns, batches, () => table.clear(), fill, all('putMany')),
      table.size === n,
    );
    add(`replace ${what}`, best(turns, batches, none, fill, all('putMany')), table.size === n);
    let found = 0;
    const start = (): void => {
      found = 0;
    };
    add(
      `get ${what}`,
      best(turns, batches, start, fill, () => {
        for (let i = 0; i < batchRows; i++) if (table.get(batch.bytes + i * batch.stride, keyBytes)) found++;
      }),
      found === n,
    );
    const { u32 } = house.memory;
    add(
      `get many ${what}`,
      best(turns, batches, none, fill, () => table.getMany(batch.entries, batchRows)),
      u32[(batch.entries >>> 2) + 2] !== 0,
    );
    for (let i = 0; i < batchRows; i++) {
      u32[((batch.entries + i * entryBytes) >>> 2) + 2] = batch.bytes + i * batch.stride + keyBytes;
      u32[((batch.entries + i * entryBytes) >>> 2) + 3] = 8;
    }
    const cursor = table.cursor();
    add(
      `walk ${what}`,
      best(
        turns,
        batches,
        () => {
          cursor.prefix(0, 0);
          found = 0;
        },
        none,
        () => {
          for (let i = 0; i < batchRows && cursor.next(); i++) found++;
        },
      ),
      found === n,
    );
    const taken = house.take(entryBytes * batchRows);
    const takenBytes = house.take(64 * batchRows);
    const takeBatch = (): void => {
      if (table.takeUpTo(0, 0, batchRows, taken, takenBytes, 64 * batchRows) !== batchRows) throw new Error('too few');
    };
    const refill = (): void => {
      for (let b = 0; b < batches; b++) {
        fill(b);
        table.putMany(batch.entries, batchRows);
      }
    };
    add(`take ${what}`, best(turns, batches, refill, none, takeBatch), table.size === 0 && table.pages === 0);
    refill();
    add(`delete ${what}`, best(1, batches, none, fill, all('deleteMany')), table.size === 0 && table.pages === 0);
  }
  return results;
}

/**
 * `live` timers are armed at any time: each batch of rows sets the timer of 4,096 random keys 60 s ahead, some of which have
 * one already, and then what is due fires. What is timed is all of it, but for writing the keys.
 */
function measureTimers({ rows, smoke }: CaseOptions): Result[] {
  const house = bench();
  const { memory, view, take } = house;
  const { u8, u32 } = memory;
  const keys = 1_000_000;
  const spanMs = 60_000;
  const stepMs = Math.max(1, Math.round((spanMs * batchRows) / (keys / 2)));
  const name = 'forget';
  /** time 8 | hash 8 | key 8 | name; hash 8 | key 8 | name → time. */
  const byTime = entriesOf(house, 24 + name.length, 0);
  const byKey = entriesOf(house, 16 + name.length, 8);
  const bound = take(16);
  const taken = take(entryBytes * batchRows);
  const room = 64 * batchRows;
  const takenBytes = take(room);
  const index = take(entryBytes * batchRows);
  const batches = Math.max(8, Math.floor(rows / batchRows));
  const scenario = (): { readonly ns: number; readonly fired: number; readonly sum: number } => {
    const timers = house.operator.ordered(decl(`timers${house.state.usedBytes}-${count}`, 8));
    const due = house.operator.ordered(decl(`due${house.state.usedBytes}-${count++}`, 0));
    const random = prng(11);
    let ms = 0;
    let set = 0;
    let fired = 0;
    let sum = 0;
    const fire = (until: number): void => {
      view.setUint32(bound, 0);
      view.setUint32(bound + 4, until + 1);
      for (;;) {
        const n = timers.takeUpTo(bound, 8, batchRows, taken, takenBytes, room);
        if (n === 0) break;
        for (let i = 0; i < n; i++) {
          const from = (taken + i * entryBytes) >>> 2;
          const to = (index + i * entryBytes) >>> 2;
          sum += view.getUint32((u32[from] as number) + 4) % 1000;
          u32[to] = (u32[from] as number) + 8;
          u32[to + 1] = (u32[from + 1] as number) - 8;
        }
        due.deleteMany(index, n);
        fired += n;
      }
    };
    let now = 0;
    for (let b = 0; b < batches; b++) {
      now += stepMs;
      const first = random.below(keys);
      for (let i = 0; i < batchRows; i++) {
        const key = keyOf(first, i, keys);
        const at = byKey.bytes + i * byKey.stride;
        view.setUint32(at, Math.imul(key, 0x9e3779b1));
        view.setUint32(at + 4, Math.imul(key, 0x85ebca6b));
        view.setUint32(at + 8, 0);
        view.setUint32(at + 12, key);
        for (let c = 0; c < name.length; c++) u8[at + 16 + c] = name.charCodeAt(c);
        view.setUint32(at + 16 + name.length, 0);
        view.setUint32(at + 20 + name.length, now + spanMs + (i % stepMs));
      }
      const begin = performance.now();
      // A key that has a timer already moves it.
      let moved = 0;
      for (let i = 0; i < batchRows; i++) {
        const at = byKey.bytes + i * byKey.stride;
        const time = byTime.bytes + i * byTime.stride;
        for (let c = 0; c < 16 + name.length; c++) u8[time + 8 + c] = u8[at + c] as number;
        u32[(index + i * entryBytes) >>> 2] = at;
        u32[((index + i * entryBytes) >>> 2) + 1] = 16 + name.length;
      }
      due.getMany(index, batchRows);
      for (let i = 0; i < batchRows; i++) {
        const had = u32[((index + i * entryBytes) >>> 2) + 2] as number;
        if (had === 0) continue;
        const at = byTime.bytes + i * byTime.stride;
        const to = takenBytes + moved * 32;
        for (let c = 0; c < 8; c++) u8[to + c] = u8[had + c] as number;
        for (let c = 8; c < 24 + name.length; c++) u8[to + c] = u8[at + c] as number;
        u32[(taken + moved * entryBytes) >>> 2] = to;
        u32[((taken + moved * entryBytes) >>> 2) + 1] = 24 + name.length;
        moved++;
      }
      if (moved > 0) timers.deleteMany(taken, moved);
      for (let i = 0; i < batchRows; i++) {
        const time = byTime.bytes + i * byTime.stride;
        view.setUint32(time, 0);
        view.setUint32(time + 4, now + spanMs + (i % stepMs));
      }
      due.putMany(byKey.entries, batchRows);
      timers.putMany(byTime.entries, batchRows);
      set += batchRows;
      fire(now);
      ms += performance.now() - begin;
    }
    const begin = performance.now();
    fire(now + 2 * spanMs);
    ms += performance.now() - begin;
    if (timers.size !== 0 || due.size !== 0 || timers.pages !== 0) throw new Error('timers left');
    return { ns: (ms * 1e6) / set, fired, sum };
  };
  let count = 0;
  let mine = scenario();
  for (let i = 0; i < (smoke ? 0 : 3); i++) {
    const again = scenario();
    if (again.ns < mine.ns) mine = again;
  }
  const theirs = plainTimers(batches, keys, spanMs, stepMs);
  const checked = mine.fired === theirs.fired && mine.sum === theirs.sum;
  const result = (engine: EngineName, ns: number): Result => ({
    engine,
    name: 'set and fire',
    value: Number(ns.toPrecision(3)),
    unit: 'ns/timer',
    checked,
    note: `${mine.fired} fired`,
  });
  return [result('millrace', mine.ns), result('plain-js', theirs.ns)];
}

/** Keys of a batch, each once. */
const keyOf = (first: number, i: number, keys: number): number => (first + i * 7919) % keys;

function plainTimers(batches: number, keys: number, spanMs: number, stepMs: number) {
  const random = prng(11);
  const due = new Map<number, number>();
  /** Binary heap of {time, key}; timers that were moved stay in it and are skipped. */
  const heap: { readonly time: number; readonly key: number }[] = [];
  const before = (a: { readonly time: number; readonly key: number }, b: typeof a): boolean => a.time < b.time;
  const push = (timer: { readonly time: number; readonly key: number }): void => {
    let i = heap.length;
    heap.push(timer);
    while (i > 0) {
      const parent = (i - 1) >>> 1;
      if (!before(timer, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = timer;
  };
  const pop = (): void => {
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  };
  let fired = 0;
  let sum = 0;
  const fire = (until: number): void => {
    while (heap.length > 0 && heap[0]!.time <= until) {
      const { time, key } = heap[0]!;
      pop();
      if (due.get(key) !== time) continue;
      due.delete(key);
      fired++;
      sum += time % 1000;
    }
  };
  let now = 0;
  let ms = 0;
  const drawn = new Float64Array(batchRows);
  for (let b = 0; b < batches; b++) {
    now += stepMs;
    const first = random.below(keys);
    for (let i = 0; i < batchRows; i++) drawn[i] = keyOf(first, i, keys);
    const begin = performance.now();
    for (let i = 0; i < batchRows; i++) {
      const time = now + spanMs + (i % stepMs);
      due.set(drawn[i]!, time);
      push({ time, key: drawn[i]! });
    }
    fire(now);
    ms += performance.now() - begin;
  }
  const begin = performance.now();
  fire(now + 2 * spanMs);
  ms += performance.now() - begin;
  return { ns: (ms * 1e6) / (batches * batchRows), fired, sum };
}
