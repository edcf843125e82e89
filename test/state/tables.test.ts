import { expect, test } from 'vitest';
import { keyGroupRange } from '../../core/base/key-groups.ts';
import { type Prng, prng } from '../../core/base/prng.ts';
import { pageSize } from '../../core/ports/page-layout.ts';
import type { GroupTable, GroupTableDecl } from '../../core/ports/state.ts';
import { ResolveStop } from '../../core/ports/state.ts';
import { type Batch, batch } from '../../core/record/batch.ts';
import { type Layout, layoutOf, type StorageKind } from '../../core/record/layout.ts';
import type { DataType } from '../../core/record/types.ts';
import { type PagePool, pagePool } from '../../state/page-pool.ts';
import { slotState } from '../../state/slot-state.ts';
import type { SnapshotPart } from '../../state/snapshot.ts';
import { readValue, type TestValue, testBatch } from '../support/columns.ts';
import { type TestSlot, testSlot } from '../support/slot.ts';

const types: Readonly<Record<StorageKind, DataType>> = {
  bit: { kind: 'BOOLEAN' },
  i32: { kind: 'INT' },
  i64: { kind: 'BIGINT' },
  f64: { kind: 'DOUBLE' },
  view: { kind: 'VARCHAR' },
};
const seed = 42n;

function layoutFrom(storages: readonly StorageKind[], nullable: boolean): Layout {
  return layoutOf(storages.map((storage, i) => ({ name: `k${i}`, type: types[storage], nullable })));
}

/** A slot with a pool, and buffers for hashes and entries. */
function fixture(options: { readonly mb?: number; readonly poolMb?: number } = {}) {
  const slot = testSlot({ bytes: (options.mb ?? 64) << 20, poolBytes: (options.poolMb ?? 32) << 20 });
  const pool = pagePool(slot.memory, slot.poolFrom, slot.poolTo);
  const state = slotState({ memory: slot.memory, kernels: slot.kernels, pool, hashSeed: seed });
  const hashes = slot.memory.arena.allocate(8 * 4096, 'hashes');
  const entries = slot.memory.arena.allocate(4 * 4096, 'entries');
  return { slot, pool, state, hashes, entries, baseFree: pool.free };
}
type Fixture = ReturnType<typeof fixture>;

function hashKeys(slot: TestSlot, of: Batch, out: number): void {
  of.columns.forEach((column, i) => {
    const { kernels, memory } = slot;
    const first = i === 0 ? 1 : 0;
    if (column.dictionary) {
      const raw = memory.arena.allocate(8 * (column.dictionary.count + 1), 'raw hashes');
      kernels.hashDictionary(column.dictionary.views, column.dictionary.count, raw);
      kernels.hashCode(column.values, raw, column.validity, of.selection, of.size, seed, first, out);
      return;
    }
    const kernel = {
      bit: kernels.hashBit,
      i32: kernels.hashI32,
      i64: kernels.hashI64,
      f64: kernels.hashF64,
      view: kernels.hashView,
    }[(of.layout[i] as Layout[number]).storage];
    kernel(column.values, column.validity, of.selection, of.size, seed, first, out);
  });
}

/** Rows that were found without their hashes. */
let recalledRows = 0;

/** Counts the batch's rows by key: finds the entries as operators do, adds one to each. Answers the rows counted. */
function count(f: Fixture, table: GroupTable, of: Batch): number {
  const { memory } = f.slot;
  const { u32, u64 } = memory;
  const keys = of.layout.map((_, i) => i);
  const add = (n: number): void => {
    for (let k = 0; k < n; k++) {
      const at = ((u32[(f.entries >>> 2) + k] as number) + table.accumulatorOffset) >>> 3;
      u64[at] = (u64[at] as bigint) + 1n;
    }
  };
  const recalled = table.recall(of, keys, of.selection, of.size, f.entries);
  add(recalled);
  recalledRows += recalled;
  if (recalled === of.size) return recalled;
  hashKeys(f.slot, of, f.hashes);
  let rows = of.selection + 4 * recalled;
  if (of.selection === 0) {
    rows = recalled === 0 ? 0 : memory.arena.allocate(4 * of.size, 'rows');
    for (let k = recalled; rows !== 0 && k < of.size; k++) u32[(rows >>> 2) + k - recalled] = k;
  }
  const resolved = table.resolve(of, keys, f.hashes + 8 * recalled, rows, of.size - recalled, f.entries);
  add(resolved);
  return recalled + resolved;
}

/** Keys as text, and counts. −0 is 0 and NaNs are one. */
const textOf = (values: readonly TestValue[]): string =>
  values
    .map((v) =>
      v === null ? 'NULL' : Object.is(v, -0) ? '0' : `${typeof v}:${String(v)}`.replace('number:-0', 'number:0'),
    )
    .join('|')
    .replace(/(^|\|)0(?=\||$)/g, '$1number:0');

function contents(f: Fixture, table: GroupTable, keys: Layout, max = 1000, drain = false): Map<string, bigint> {
  const { memory } = f.slot;
  const found = new Map<string, bigint>();
  const buffers = keys.map(() => ({
    values: memory.arena.allocate(16 * max, 'values'),
    validity: memory.arena.allocate(max + 64, 'v'),
  }));
  const cursor = { at: 0 };
  for (;;) {
    const n = drain ? table.drain(f.entries, max) : table.scan(cursor, f.entries, max);
    if (n === 0) return found;
    keys.forEach((_, i) => {
      const { values, validity } = buffers[i] as (typeof buffers)[number];
      table.readKey(i, f.entries, n, values, validity);
    });
    const read: Batch = {
      layout: keys,
      rowCount: n,
      columns: buffers.map((b) => ({ ...b, dictionary: null })),
      kinds: 0,
      selection: 0,
      size: n,
      origin: null,
    };
    for (let k = 0; k < n; k++) {
      const key = textOf(keys.map((_, i) => readValue(memory, keys, read, i, k)));
      if (found.has(key)) throw new Error(`key ${key} twice`);
      const entry = memory.u32[(f.entries >>> 2) + k] as number;
      found.set(key, memory.u64[(entry + table.accumulatorOffset) >>> 3] as bigint);
    }
  }
}

function randomKey(random: Prng, storage: StorageKind, distinct: number): TestValue {
  const i = random.below(distinct);
  switch (storage) {
    case 'bit':
      return i % 2 === 1;
    case 'i32':
      return BigInt((Math.imul(i, 0x9e3779b1) | 0) >> 3);
    case 'i64':
      return BigInt.asIntN(64, BigInt(i) * 0x9e3779b97f4a7c15n);
    case 'f64':
      return ([0, -0, Number.NaN, Number.NEGATIVE_INFINITY][i] ?? i / 7) as number;
    case 'view':
      return i % 3 === 0 ? `k${i}` : `${'long string number '.repeat(1 + (i % 4))}${i}`;
  }
}

const declOf = (keys: Layout): GroupTableDecl => ({ name: 't', keys, accumulatorBytes: 16 });

test('counts by keys of every shape equal a Map, with nulls, selections and dictionaries, through page splits', () => {
  const storages: StorageKind[] = ['bit', 'i32', 'i64', 'f64', 'view'];
  for (let round = 0; round < 24; round++) {
    const random = prng(1000 + round);
    const f = fixture({ mb: 96, poolMb: 32 });
    const shape =
      round < 10
        ? [storages[round % 5] as StorageKind]
        : Array.from({ length: 1 + random.below(4) }, () => storages[random.below(5)] as StorageKind);
    const nullable = random.below(2) === 1;
    const keys = layoutFrom(shape, nullable);
    const operator = f.state.operator('o');
    const table = operator.groups(declOf(keys));
    const expected = new Map<string, bigint>();
    const distinct = [3, 100, 4000, 20_000][random.below(4)] as number;
    for (let b = 0; b < 6; b++) {
      const rows = [1, 7, 4096][random.below(3)] as number;
      const columns = shape.map((storage) =>
        Array.from({ length: rows }, () =>
          nullable && random.below(5) === 0 ? null : randomKey(random, storage, distinct),
        ),
      );
      const selection =
        random.below(3) === 0
          ? Array.from({ length: rows }, (_, i) => i).filter(() => random.below(2) === 1)
          : undefined;
      const of = testBatch(f.slot.memory, keys, columns, {
        dictionary: random.below(2) === 1,
        ...(selection ? { selection } : {}),
      });
      expect(count(f, table, of)).toBe(of.size);
      for (const row of selection ?? Array.from({ length: rows }, (_, i) => i)) {
        const key = textOf(columns.map((column) => column[row] as TestValue));
        expected.set(key, (expected.get(key) ?? 0n) + 1n);
      }
    }
    expect(table.size, `seed ${1000 + round}`).toBe(expected.size);
    expect(contents(f, table, keys, 1 + random.below(999)), `seed ${1000 + round}`).toEqual(expected);
    expect(contents(f, table, keys, 100, true), `seed ${1000 + round}`).toEqual(expected);
    operator.dispose();
    expect(f.pool.free, `pages left behind, seed ${1000 + round}`).toBe(f.baseFree);
  }
});

test('a table of many thousands of keys grows page by page and leaves nothing behind', () => {
  const f = fixture({ mb: 96, poolMb: 64 });
  const keys = layoutFrom(['i64'], false);
  const operator = f.state.operator('o');
  const table = operator.groups(declOf(keys));
  const values = new BigInt64Array(4096);
  const of = testBatch(f.slot.memory, keys, [Array.from(values)]);
  const at = (of.columns[0] as { values: number }).values;
  const batches = 40;
  for (let round = 0; round < 2; round++) {
    for (let b = 0; b < batches; b++) {
      for (let i = 0; i < 4096; i++) f.slot.memory.u32[(at >>> 2) + 2 * i] = b * 4096 + i;
      expect(count(f, table, of)).toBe(4096);
    }
  }
  expect(table.size).toBe(batches * 4096);
  const { u32, u64 } = f.slot.memory;
  const cursor = { at: 0 };
  let seen = 0;
  for (let n = table.scan(cursor, f.entries, 4096); n > 0; n = table.scan(cursor, f.entries, 4096)) {
    for (let k = 0; k < n; k++) {
      if (u64[((u32[(f.entries >>> 2) + k] as number) + table.accumulatorOffset) >>> 3] !== 2n)
        throw new Error('not 2');
    }
    seen += n;
  }
  expect(seen).toBe(batches * 4096);
  expect(table.pages * pageSize).toBeLessThan((batches * 4096 * 33) / 0.37);
  operator.dispose();
  expect(f.pool.free).toBe(f.baseFree);
});

test('keys that are remembered are the right ones, whatever moves in between: growth, removals, snapshots, other tables, new dictionaries', () => {
  for (const [round, storage] of (['i64', 'i32', 'view', 'view', 'i64', 'i32', 'i64'] as const).entries()) {
    const random = prng(7000 + round);
    const where = `seed ${7000 + round}`;
    const f = fixture({ mb: 256, poolMb: 64 });
    const keys = layoutFrom([storage], false);
    const operator = f.state.operator('o');
    const tables = [0, 1, 2, 3, 4, 5].map((i) => operator.groups({ ...declOf(keys), name: `t${i}` }));
    const expected = tables.map(() => new Map<string, bigint>());
    // Far apart; or near one another, in the last round from the least BIGINT on, with some that begin elsewhere later.
    const near = (i: number): TestValue => {
      if (storage === 'i32') return BigInt(3 * i - 9000 + (i < 5900 ? 0 : 1_000_000));
      return BigInt(3 * i) + (i < 5900 ? (round === 6 ? -(2n ** 63n) : -9000n) : 2n ** 62n);
    };
    const texts = Array.from({ length: 6000 }, (_, i) =>
      round > 3 ? near(i) : randomKey(random, storage, 2 ** 30 + i),
    );
    let snapshot: ReturnType<typeof operator.snapshot> | null = null;
    recalledRows = 0;
    for (let b = 0; b < 120; b++) {
      const i = random.below(b % 40 < 20 ? 2 : 6);
      const [table, known] = [tables[i] as GroupTable, expected[i] as Map<string, bigint>];
      // Some batches meet new keys, so that pages split between batches that do not.
      const distinct = b % 30 < 3 ? 6000 : 300 * (1 + i);
      const column = Array.from({ length: 64 + random.below(2000) }, () => texts[random.below(distinct)] as TestValue);
      const selection = random.below(3) === 0 ? column.map((_, row) => row).filter((row) => row % 5 !== 0) : null;
      const of = testBatch(f.slot.memory, keys, [column], {
        dictionary: round === 3,
        ...(selection ? { selection } : {}),
      });
      for (let done = 0; done < of.size; ) {
        const rest = selection ?? column.map((_, row) => row);
        const n = count(f, table, testRows(f, of, rest.slice(done)));
        for (const row of rest.slice(done, done + n)) {
          const key = textOf([column[row] as TestValue]);
          known.set(key, (known.get(key) ?? 0n) + 1n);
        }
        done += n;
      }
      if (snapshot?.read(2)) snapshot = null;
      if (snapshot === null && random.below(8) === 0) snapshot = operator.snapshot();
      if (random.below(25) === 0 && snapshot === null) {
        table.clear();
        known.clear();
      }
      if (random.below(10) === 0) {
        table.remove(f.entries, table.scan({ at: 0 }, f.entries, 1 + random.below(200)));
        expected[i] = contents(f, table, keys);
      }
    }
    expect(recalledRows, where).toBeGreaterThan(10_000);
    for (const [i, table] of tables.entries()) expect(contents(f, table, keys), where).toEqual(expected[i]);
  }
});

/** The same batch with other rows selected. */
function testRows(f: Fixture, of: Batch, rows: readonly number[]): Batch {
  const selection = f.slot.memory.arena.allocate(4 * rows.length + 4, 'rows');
  f.slot.memory.u32.set(rows, selection >>> 2);
  return batch(of.layout, of.rowCount, of.columns, { selection, size: rows.length });
}

test('when memory is used up, resolve says so, and what it resolved is whole', () => {
  const f = fixture({ mb: 32, poolMb: 1 });
  const keys = layoutFrom(['i64'], false);
  const table = f.state.operator('o').groups(declOf(keys));
  let done = 0;
  for (let b = 0; ; b++) {
    const of = testBatch(f.slot.memory, keys, [Array.from({ length: 1000 }, (_, i) => BigInt(b * 1000 + i))]);
    const n = count(f, table, of);
    done += n;
    if (n < 1000) break;
  }
  expect(table.stop).toBe(ResolveStop.needPage);
  expect(table.size).toBe(done);
  expect([...contents(f, table, keys).values()].every((v) => v === 1n)).toBe(true);
});

test('a key that is too long is refused, by name and size', () => {
  const f = fixture();
  const keys = layoutFrom(['view'], false);
  const table = f.state.operator('o').groups(declOf(keys));
  const fits = testBatch(f.slot.memory, keys, [Array.from({ length: 50 }, (_, i) => `${i}`.padEnd(3900, 'x'))]);
  expect(count(f, table, fits)).toBe(50);
  expect(table.size).toBe(50);
  const tooLong = testBatch(f.slot.memory, keys, [['y'.repeat(4100)]]);
  expect(() => count(f, table, tooLong)).toThrow(/4140 bytes in table 't', at most 4032/);
});

test('absorbing entries of other tables groups their keys', () => {
  for (const storages of [['i64'], ['view'], ['i32', 'view', 'f64', 'bit']] as StorageKind[][]) {
    const random = prng(storages.length);
    const f = fixture({ mb: 96 });
    const keys = layoutFrom(storages, storages.length > 1);
    const slices = f.state.operator('o').slices(declOf(keys));
    const expected = new Set<string>();
    for (const slice of [1, 2, 3]) {
      const columns = storages.map((s) => Array.from({ length: 4000 }, () => randomKey(random, s, 3000)));
      count(f, slices.open(slice), testBatch(f.slot.memory, keys, columns));
      for (let i = 0; i < 4000; i++) expected.add(textOf(columns.map((c) => c[i] as TestValue)));
    }
    const merged = slices.open(100);
    const to = f.slot.memory.arena.allocate(4 * 4096, 'to');
    for (const slice of [1, 2, 3]) {
      const cursor = { at: 0 };
      const source = slices.open(slice);
      for (let n = source.scan(cursor, f.entries, 777); n > 0; n = source.scan(cursor, f.entries, 777)) {
        expect(merged.absorb(f.entries, n, to)).toBe(n);
      }
    }
    expect(merged.size).toBe(expected.size);
    expect(new Set(contents(f, merged, keys).keys())).toEqual(expected);
  }
});

test('a snapshot does not see what is written after it, whenever it is read, and restores at any parallelism', () => {
  for (let round = 0; round < 8; round++) {
    const random = prng(5000 + round);
    const where = `seed ${5000 + round}`;
    const storages: StorageKind[] = random.below(2) === 1 ? ['i64'] : ['view', 'i32'];
    const keys = layoutFrom(storages, storages.length > 1);
    const p = [1, 2, 3, 5][random.below(4)] as number;
    const expected = new Map<string, bigint>();
    const parts: SnapshotPart[] = [];
    for (let subtask = 0; subtask < p; subtask++) {
      const f = fixture({ mb: 64, poolMb: 24 });
      const range = keyGroupRange(subtask, p);
      const operator = f.state.operator('o', range);
      const table = operator.groups(declOf(keys));
      const slices = operator.slices({ ...declOf(keys), name: 's' });
      const watermark = operator.value('watermark', -5, Math.min);
      const own = (n: number): TestValue[][] => {
        // Only rows whose key group is this subtask's, as the exchange would send them.
        const columns = storages.map((s) => Array.from({ length: n }, () => randomKey(random, s, 5000)));
        const all = testBatch(f.slot.memory, keys, columns);
        hashKeys(f.slot, all, f.hashes);
        const high = f.slot.memory.u32.slice(f.hashes >>> 2, (f.hashes >>> 2) + 2 * n);
        const mine = Array.from({ length: n }, (_, i) => i).filter((i) => {
          const group = (high[2 * i + 1] as number) >>> 22;
          return group >= range.from && group < range.to;
        });
        return columns.map((column) => mine.map((i) => column[i] as TestValue));
      };
      const feed = (to: GroupTable, name: string | null, columns: TestValue[][]): void => {
        const of = testBatch(f.slot.memory, keys, columns);
        let done = 0;
        // The bound of copies cuts a resolve; going on from there applies every row once.
        while (done < of.size) {
          const rest = testBatch(
            f.slot.memory,
            keys,
            columns.map((c) => c.slice(done)),
          );
          const n = count(f, to, rest);
          if (n < rest.size) expect(to.stop, where).toBe(ResolveStop.copied);
          done += n;
        }
        if (name === null) return;
        for (let i = 0; i < of.size; i++) {
          const key = `${name} ${textOf(columns.map((c) => c[i] as TestValue))}`;
          expected.set(key, (expected.get(key) ?? 0n) + 1n);
        }
      };
      for (let b = 0; b < 5; b++) {
        feed(table, 't', own(4096));
        feed(slices.open(-10 + 10 * random.below(3)), null, []);
        const slice = -10 + 10 * random.below(3);
        feed(slices.open(slice), `s${slice}`, own(500));
      }
      watermark.set(subtask + 10);
      const live = f.pool.free;
      const snapshot = operator.snapshot();
      expect(f.pool.free, 'freezing takes no page').toBe(live);
      watermark.set(99);
      while (!snapshot.read(1 + random.below(20))) {
        feed(table, null, own(1 + random.below(900)));
        feed(slices.open(-10), null, own(50));
        if (random.below(6) === 0) slices.drop(0);
      }
      parts.push(structuredClone(snapshot.part));
      feed(table, null, own(4096));
      operator.dispose();
      expect(f.pool.free, `pages left behind, ${where}`).toBe(f.baseFree);
    }
    const q = [1, 2, 3, 5][random.below(4)] as number;
    const found = new Map<string, bigint>();
    for (let subtask = 0; subtask < q; subtask++) {
      const f = fixture({ mb: 64, poolMb: 24 });
      const operator = f.state.operator('o', keyGroupRange(subtask, q), parts);
      const table = operator.groups(declOf(keys));
      const slices = operator.slices({ ...declOf(keys), name: 's' });
      expect(operator.value('watermark', -5, Math.min).get(), where).toBeGreaterThanOrEqual(10);
      for (const [key, n] of contents(f, table, keys)) found.set(`t ${key}`, n);
      for (const slice of slices.slices()) {
        for (const [key, n] of contents(f, slices.open(slice), keys)) found.set(`s${slice} ${key}`, n);
      }
    }
    expect(found, `${where}, ${p} to ${q}`).toEqual(expected);
  }
});

test('a table that looks different now is not restored', () => {
  const f = fixture();
  const keys = layoutFrom(['i64'], false);
  const table = f.state.operator('o').groups(declOf(keys));
  count(f, table, testBatch(f.slot.memory, keys, [[1n, 2n]]));
  const operator = f.state.operator('p');
  count(f, operator.groups(declOf(keys)), testBatch(f.slot.memory, keys, [[1n, 2n]]));
  const snapshot = operator.snapshot();
  snapshot.read(100);
  const other = f.state.operator('p', undefined, [snapshot.part]);
  expect(() => other.groups({ ...declOf(keys), accumulatorBytes: 24 })).toThrow(
    /table 't' of operator 'p' was saved as/,
  );
});

test('what a snapshot holds and nobody declares is named; empty tables are not', () => {
  const f = fixture();
  const keys = layoutFrom(['i64'], false);
  const operator = f.state.operator('p');
  const rows = operator.ordered({
    name: 'rows',
    keyGroupAt: null,
    key: [{ name: 'n', type: 'BIGINT' }],
    value: [],
  } as never);
  operator.ordered({ name: 'none', keyGroupAt: null, key: [{ name: 'n', type: 'BIGINT' }], value: [] } as never);
  void rows;
  count(f, operator.groups(declOf(keys)), testBatch(f.slot.memory, keys, [[1n, 2n]]));
  count(f, operator.slices({ ...declOf(keys), name: 's' }).open(7), testBatch(f.slot.memory, keys, [[1n]]));
  operator.groups({ ...declOf(keys), name: 'empty' });
  const snapshot = operator.snapshot();
  snapshot.read(100);
  const other = f.state.operator('p', undefined, [snapshot.part]);
  expect(other.unclaimed()).toEqual(['s', 't']);
  other.slices({ ...declOf(keys), name: 's' });
  expect(other.unclaimed()).toEqual(['t']);
  other.groups(declOf(keys));
  expect(other.unclaimed()).toEqual([]);
});

test('a snapshot that is given up frees what it held', () => {
  const f = fixture();
  const keys = layoutFrom(['i64'], false);
  const operator = f.state.operator('o');
  const table = operator.groups(declOf(keys));
  const rows = (from: number) =>
    testBatch(f.slot.memory, keys, [Array.from({ length: 4000 }, (_, i) => BigInt(from + i))]);
  for (let i = 0; i < 5; i++) count(f, table, rows(i * 4000));
  const snapshot = operator.snapshot();
  for (let i = 0; i < 3; i++) count(f, table, rows(i * 4000));
  expect(() => operator.snapshot()).toThrow(/still open/);
  snapshot.release();
  operator.dispose();
  expect(f.pool.free).toBe(f.baseFree);
});

test('a pool finds neighbours among freed places when no fresh memory is left', () => {
  const f = fixture({ mb: 16, poolMb: 2 });
  const places: number[] = [];
  for (let place = f.pool.takePlace(); place !== 0; place = f.pool.takePlace()) places.push(place);
  const pool: PagePool = f.pool;
  expect(pool.takeRun(2)).toBe(0);
  for (const i of [9, 4, 7, 12, 6]) pool.givePlace(places[i] as number);
  expect(pool.takeRun(3)).toBe(0);
  expect(pool.takeRun(2)).toBe(places[6]);
  expect(pool.free).toBe(3);
  expect([pool.takePlace(), pool.takePlace(), pool.takePlace(), pool.takePlace()].sort()).toEqual(
    [0, places[12], places[4], places[9]].sort(),
  );
});
