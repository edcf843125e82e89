import { expect, test } from 'vitest';
import { type Prng, prng } from '../../core/base/prng.ts';
import * as at from '../../core/ports/page-layout.ts';
import { type GroupTableDecl, ResolveStop } from '../../core/ports/state.ts';
import type { Batch } from '../../core/record/batch.ts';
import { layoutOf } from '../../core/record/layout.ts';
import { readText } from '../../core/record/text.ts';
import { pagePool } from '../../state/page-pool.ts';
import { slotState } from '../../state/slot-state.ts';
import type { StateSnapshot } from '../../state/snapshot.ts';
import { readValue, testBatch } from '../support/columns.ts';
import { testSlot } from '../support/slot.ts';

/** Keys (a number or a text), a count and a kept text each. */
function fixture(poolKb: number, strings: boolean) {
  const poolBytes = poolKb * 1024;
  const slot = testSlot({ bytes: poolBytes + (64 << 20), poolBytes });
  const pool = pagePool(slot.memory, slot.poolFrom, slot.poolTo);
  const state = slotState({ memory: slot.memory, kernels: slot.kernels, pool, hashSeed: 42n });
  const keys = layoutOf([{ name: 'k', type: { kind: strings ? 'VARCHAR' : 'BIGINT' }, nullable: true }]);
  const decl: GroupTableDecl = { name: 't', keys, accumulatorBytes: 24, texts: [8] };
  const take = (bytes: number): number => slot.memory.arena.allocate(bytes, 'test');
  return {
    slot,
    pool,
    state,
    keys,
    decl,
    strings,
    /** A small pool has no room for texts. */
    texts: poolKb > 1024,
    hashes: take(8 * 4096),
    entries: take(4 * 4096),
    values: take(16 * 4096),
    validity: take(4096),
    view: take(4096),
    baseFree: pool.free,
  };
}
type Fixture = ReturnType<typeof fixture>;
type Table = ReturnType<ReturnType<Fixture['state']['operator']>['groups']>;

const keyOf = (f: Fixture, i: number): string | bigint | null =>
  i === 0
    ? null
    : f.strings
      ? i % 3 === 0
        ? `k${i}`
        : `${'a long key, and long '.repeat(1 + (i % 5))}${i}`
      : BigInt(i);

function resolve(f: Fixture, table: Table, keys: readonly number[]): number {
  const of = testBatch(f.slot.memory, f.keys, [keys.map((i) => keyOf(f, i))]);
  const column = of.columns[0] as Batch['columns'][number];
  const { kernels } = f.slot;
  const hash = f.strings ? kernels.hashView : kernels.hashI64;
  hash(column.values, column.validity, 0, of.size, 42n, 1, f.hashes);
  return table.resolve(of, [0], f.hashes, 0, of.size, f.entries);
}

const textFor = (key: number, count: number): string => `${'text '.repeat(3 + (count % 30))}${key}/${count}`;

/** Counts keys up, and keeps a text with each. */
function feed(f: Fixture, table: Table, model: Map<string, string>, keys: readonly number[]): number {
  const done = resolve(f, table, keys);
  const { u8, u32 } = f.slot.memory;
  for (let k = 0; k < done; k++) {
    const at = (u32[(f.entries >>> 2) + k] as number) + table.accumulatorOffset;
    const count = (u32[at >>> 2] as number) + 1;
    u32[at >>> 2] = count;
    const text = textFor(keys[k] as number, count);
    for (let i = 0; i < text.length; i++) u8[f.view + 16 + i] = text.charCodeAt(i);
    u32[f.view >>> 2] = text.length;
    u32[(f.view + 12) >>> 2] = f.view + 16;
    const keep = f.texts && text.length > 12;
    if (keep) table.keepText(at + 8, f.view);
    model.set(String(keyOf(f, keys[k] as number)), keep ? text : '');
  }
  return done;
}

function contents(f: Fixture, table: Table): Map<string, string> {
  const found = new Map<string, string>();
  eachEntry(f, table, (key, entry) => {
    found.set(key, readText(f.slot.memory, entry + table.accumulatorOffset + 8));
  });
  return found;
}

function eachEntry(f: Fixture, table: Table, take: (key: string, entry: number) => void): void {
  const { u32 } = f.slot.memory;
  const cursor = { at: 0 };
  for (let n = table.scan(cursor, f.entries, 1000); n > 0; n = table.scan(cursor, f.entries, 1000)) {
    table.readKey(0, f.entries, n, f.values, f.validity);
    const of: Batch = {
      layout: f.keys,
      rowCount: n,
      columns: [{ values: f.values, validity: f.validity, dictionary: null }],
      kinds: 0,
      selection: 0,
      size: n,
      origin: null,
    };
    for (let k = 0; k < n; k++) {
      take(String(readValue(f.slot.memory, f.keys, of, 0, k)), u32[(f.entries >>> 2) + k] as number);
    }
  }
}

/** Where pages are, by id. */
function places({ pool }: Fixture): Map<number, number> {
  const found = new Map<number, number>();
  for (let id = 1; id <= pool.total; id++) if (pool.entry(id) !== 0) found.set(id, pool.entry(id) & ~at.pageFlags);
  return found;
}

function story(seed: number): Record<string, number> {
  const random: Prng = prng(seed);
  const strings = random.below(2) === 1;
  const f = fixture([700, 24 * 1024][random.below(2)] as number, strings);
  const operator = f.state.operator('o');
  const table = operator.groups(f.decl);
  const model = new Map<string, string>();
  const distinct = [30, 1000, 12_000][random.below(3)] as number;
  const seen = { removed: 0, snapshots: 0, 'no page': 0, copied: 0, logged: 0, 'logged and copied': 0, pages: 0 };
  let snapshot: { readonly open: StateSnapshot; readonly expected: Map<string, string> } | null = null;
  const finish = (): void => {
    if (!snapshot) return;
    while (!snapshot.open.read(5));
    const other = fixture(32 * 1024, strings);
    const restored = other.state.operator('o', undefined, [structuredClone(snapshot.open.part)]).groups(other.decl);
    expect(contents(other, restored), `frozen, seed ${seed}`).toEqual(snapshot.expected);
    snapshot = null;
    seen.snapshots++;
  };
  if (f.texts && random.below(2) === 0) {
    for (let from = 0; from < distinct; from += 3000) {
      feed(
        f,
        table,
        model,
        Array.from({ length: Math.min(3000, distinct - from) }, (_, i) => from + i),
      );
    }
  }
  for (let step = 0; step < 60; step++) {
    const many = [1, 20, 1500][random.below(3)] as number;
    const keys = [...new Set(Array.from({ length: many }, () => random.below(distinct)))];
    switch (random.below(6)) {
      case 5: {
        // A few that are there, again and again: more of them is written than their pages may keep in the undo log.
        const hot = keys.filter((i) => model.has(String(keyOf(f, i)))).slice(0, 5);
        const before = places(f);
        for (let turn = 0; turn < 300 && snapshot && hot.length > 0; turn++) {
          for (let done = 0; done < hot.length; ) {
            const n = feed(f, table, model, hot.slice(done));
            done += n;
            if (done === hot.length || table.stop === ResolveStop.copied) continue;
            seen['no page']++;
            finish();
          }
        }
        for (const [id, place] of places(f)) {
          if (((f.pool.entry(id) & at.pageLogged) as number) !== 0) seen.logged++;
          if (place !== before.get(id)) seen['logged and copied']++;
        }
        table.reclaim();
        break;
      }
      case 0:
      case 1: {
        for (let done = 0; done < keys.length; ) {
          const n = feed(f, table, model, keys.slice(done));
          done += n;
          if (done === keys.length || table.stop === ResolveStop.copied) continue;
          seen['no page']++;
          if (!snapshot) break;
          finish();
        }
        table.reclaim();
        break;
      }
      case 2: {
        // Every so many of all, by their addresses: most of them may be in frozen pages.
        const every = 1 + random.below(40);
        const leaving: [number, string][] = [];
        eachEntry(f, table, (key, entry) => {
          if (leaving.length < 4096 && random.below(every) === 0) leaving.push([entry, key]);
        });
        leaving.sort(([a], [b]) => a - b);
        const { u32 } = f.slot.memory;
        leaving.forEach(([entry], k) => {
          u32[(f.entries >>> 2) + k] = entry;
        });
        for (let done = 0; done < leaving.length; ) {
          const n = table.remove(f.entries + 4 * done, leaving.length - done);
          for (const [, key] of leaving.slice(done, done + n)) model.delete(key);
          done += n;
          seen.removed += n;
          if (done === leaving.length) break;
          if (table.stop === ResolveStop.copied) seen.copied++;
          else if (snapshot) finish();
          else break;
        }
        table.reclaim();
        break;
      }
      case 3: {
        // Some of those that are there, by many calls or by one.
        const there = keys.filter((i) => model.has(String(keyOf(f, i))));
        while (there.length > 0) {
          const n = resolve(f, table, there);
          if (n < there.length && table.stop === ResolveStop.needPage) {
            if (!snapshot) break;
            finish();
            continue;
          }
          const { u32 } = f.slot.memory;
          const byAddress = there
            .slice(0, n)
            .map((i, k) => [u32[(f.entries >>> 2) + k] as number, i] as const)
            .sort(([a], [b]) => a - b);
          const done = table.remove(f.entries, n);
          const gone = new Set(byAddress.slice(0, done).map(([, i]) => i));
          for (const i of gone) model.delete(String(keyOf(f, i)));
          there.splice(0, there.length, ...there.filter((i) => !gone.has(i)));
          seen.removed += done;
          if (done < n) {
            expect(table.stop).not.toBe(ResolveStop.done);
            if (table.stop === ResolveStop.copied) continue;
            if (!snapshot) break;
            finish();
          }
        }
        table.reclaim();
        break;
      }
      default:
        if (!snapshot) snapshot = { open: operator.snapshot(), expected: new Map(model) };
        else if (snapshot.open.read(1 + random.below(30))) finish();
    }
    expect(table.size, `size, seed ${seed}, step ${step}`).toBe(model.size);
    seen.pages = Math.max(seen.pages, table.pages);
  }
  finish();
  expect(contents(f, table), `contents, seed ${seed}`).toEqual(model);
  for (let i = 0; i < distinct; i++)
    if (model.has(String(keyOf(f, i)))) {
      expect(resolve(f, table, [i])).toBe(1);
      expect(table.remove(f.entries, 1)).toBe(1);
    }
  expect(table.size).toBe(0);
  expect(table.pages, `pages of an empty table, seed ${seed}`).toBe(0);
  operator.dispose();
  expect(f.pool.free, `pages left behind, seed ${seed}`).toBe(f.baseFree);
  return seen;
}

test('entries that are removed are gone, others stay, through freezes and full pools', () => {
  const seen: Record<string, number> = {};
  for (let seed = 1; seed <= 30; seed++) {
    for (const [what, times] of Object.entries(story(seed))) seen[what] = (seen[what] ?? 0) + times;
  }
  for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(0);
});

test('keys that come and go keep no bytes: pages and texts of those that left are used again', () => {
  const f = fixture(16 * 1024, true);
  const operator = f.state.operator('o');
  const table = operator.groups(f.decl);
  const model = new Map<string, string>();
  const waves = 40;
  const size = 2000;
  let most = 0;
  for (let wave = 0; wave < waves; wave++) {
    expect(
      feed(
        f,
        table,
        model,
        Array.from({ length: size }, (_, i) => wave * size + i + 1),
      ),
    ).toBe(size);
    expect(
      feed(
        f,
        table,
        model,
        Array.from({ length: size }, (_, i) => wave * size + i + 1),
      ),
    ).toBe(size);
    if (wave > 0) {
      const old = Array.from({ length: size }, (_, i) => (wave - 1) * size + i + 1);
      expect(resolve(f, table, old)).toBe(size);
      expect(table.remove(f.entries, size)).toBe(size);
      table.reclaim();
    }
    if (wave === 3) most = f.baseFree - f.pool.free;
  }
  expect(table.size).toBe(size);
  expect(f.baseFree - f.pool.free).toBeLessThan(1.5 * most);
  const last = Array.from({ length: size }, (_, i) => (waves - 1) * size + i + 1);
  resolve(f, table, last);
  expect(table.remove(f.entries, size)).toBe(size);
  table.reclaim();
  expect(table.pages).toBe(0);
  expect((f.baseFree - f.pool.free) * at.pageSize).toBeLessThan(1 << 20);
});
