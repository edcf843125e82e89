/** An ordered table beside its plain reference: a Map and a sorted array. Shared by the tests and by test/long. */
import { type Prng, prng } from '../../core/base/prng.ts';
import { entryBytes } from '../../core/ports/ordered-layout.ts';
import { type OrderedTable, type OrderedTableDecl, ResolveStop } from '../../core/ports/state.ts';
import type { ByteSource } from '../../core/record/bytes.ts';
import { pagePool } from '../../state/page-pool.ts';
import { slotState } from '../../state/slot-state.ts';
import type { StateSnapshot } from '../../state/snapshot.ts';
import { testSlot } from '../support/slot.ts';

export const anyKey: OrderedTableDecl = {
  name: 'rows',
  keyGroupAt: null,
  key: [{ name: 'k', type: { kind: 'VARCHAR' }, nullable: false }],
  value: [{ name: 'v', type: { kind: 'VARCHAR' }, nullable: false }],
};
export const hashedKey: OrderedTableDecl = {
  ...anyKey,
  keyGroupAt: 0,
  key: [{ name: 'hash', type: { kind: 'HASH' }, nullable: false }, ...anyKey.key],
};

/** A slot with a pool of so many KB, and buffers for entries and their bytes. */
export function orderedFixture(options: { readonly poolKb?: number } = {}) {
  const poolBytes = (options.poolKb ?? 16 * 1024) * 1024;
  const slot = testSlot({ bytes: poolBytes + (16 << 20), poolBytes });
  const pool = pagePool(slot.memory, slot.poolFrom, slot.poolTo);
  const state = slotState({ memory: slot.memory, kernels: slot.kernels, pool, hashSeed: 42n });
  const take = (bytes: number): number => slot.memory.arena.allocate(bytes, 'test');
  return {
    slot,
    pool,
    state,
    entries: take(entryBytes * 4096),
    bytes: take(bytesRoom),
    key: take(4096),
    bound: take(4096),
    baseFree: pool.free,
  };
}
export type OrderedFixture = ReturnType<typeof orderedFixture>;
export const bytesRoom = 4 << 20;

/** Keys as binary strings: JavaScript compares them as memcmp compares bytes. */
export type Bytes = string;

export function poke(f: OrderedFixture, at: number, bytes: Bytes): number {
  for (let i = 0; i < bytes.length; i++) f.slot.memory.u8[at + i] = bytes.charCodeAt(i);
  return bytes.length;
}

export function peek(u8: Uint8Array, at: number, length: number): Bytes {
  let bytes = '';
  for (let i = 0; i < length; i++) bytes += String.fromCharCode(u8[at + i] as number);
  return bytes;
}

export const sourceBytes = (from: ByteSource): Bytes => peek(from.u8, from.at, from.end - from.at);

/** Writes entries and their bytes; answers how many found room. */
export function pokeEntries(f: OrderedFixture, rows: readonly (readonly [Bytes, Bytes])[]): number {
  const { u32 } = f.slot.memory;
  let at = f.bytes;
  let n = 0;
  for (const [key, value] of rows) {
    if (at + key.length + value.length > f.bytes + bytesRoom || n === 4096) break;
    const entry = (f.entries + n * entryBytes) >>> 2;
    u32[entry] = at;
    u32[entry + 1] = poke(f, at, key);
    u32[entry + 2] = at + key.length;
    u32[entry + 3] = poke(f, at + key.length, value);
    at += key.length + value.length;
    n++;
  }
  return n;
}

export function peekEntries(f: OrderedFixture, n: number): [Bytes, Bytes][] {
  const { u8, u32 } = f.slot.memory;
  return Array.from({ length: n }, (_, i) => {
    const entry = (f.entries + i * entryBytes) >>> 2;
    return [
      peek(u8, u32[entry] as number, u32[entry + 1] as number),
      peek(u8, u32[entry + 2] as number, u32[entry + 3] as number),
    ];
  });
}

/** All rows, by a cursor. */
export function rowsOf(f: OrderedFixture, table: OrderedTable): [Bytes, Bytes][] {
  const cursor = table.cursor();
  cursor.prefix(0, 0);
  const rows: [Bytes, Bytes][] = [];
  while (cursor.next()) rows.push([peek(f.slot.memory.u8, cursor.key, cursor.keyBytes), sourceBytes(cursor.value())]);
  return rows;
}

export const sorted = (model: ReadonlyMap<Bytes, Bytes>): [Bytes, Bytes][] =>
  [...model].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

/** The first key behind a prefix; null: none. */
export function behind(prefix: Bytes): Bytes | null {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const byte = prefix.charCodeAt(i);
    if (byte < 255) return prefix.slice(0, i) + String.fromCharCode(byte + 1);
  }
  return null;
}

/** What keys look like: each kind meets another part of the search. */
export type KeyKind = 'short' | 'hash' | 'time' | 'long' | 'prefixed' | 'tiny';
const kinds: readonly KeyKind[] = ['short', 'hash', 'time', 'long', 'prefixed', 'tiny'];

export function randomKey(random: Prng, kind: KeyKind, distinct: number): Bytes {
  const i = random.below(distinct);
  const mixed = Math.imul(i + 1, 0x9e3779b1) >>> 0;
  const be = (value: number): Bytes =>
    String.fromCharCode(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
  switch (kind) {
    case 'short':
      return `${i}\0`.slice(0, 1 + (i % 7));
    case 'hash':
      return be(mixed) + be(Math.imul(mixed, 77) >>> 0);
    case 'time':
      return `${be(1)}${be(i >>> 3)}${be(mixed)}key ${i}`;
    case 'long':
      return be(mixed) + 'x'.repeat(20 + (i % 2000)) + be(i);
    case 'prefixed':
      return `${'the same first bytes in every key '.repeat(1 + (i % 2))}${be(i)}`;
    case 'tiny':
      return String.fromCharCode(1 + (i % 255));
  }
}

/** Mostly short, some inline, some in chunks. */
export function randomValue(random: Prng, longest: number): Bytes {
  const most = [0, 8, 40, 300, 1920, longest][random.below(6)] as number;
  const length = random.below(Math.min(most, longest) + 1);
  return String.fromCharCode(97 + random.below(26)).repeat(length);
}

/**
 * One table through `steps` random calls, beside a Map. Freezes at random, and what was frozen must be what the Map held.
 * Answers how often each thing happened.
 */
export function orderedStory(seed: number, steps: number): Record<string, number> {
  const random = prng(seed);
  const where = `seed ${seed}`;
  const f = orderedFixture({ poolKb: [200, 700, 32_768][random.below(3)] as number });
  const { u8 } = f.slot.memory;
  const operator = f.state.operator('o');
  const table = operator.ordered(anyKey);
  const kind = kinds[random.below(kinds.length)] as KeyKind;
  const distinct = [20, 500, 20_000][random.below(3)] as number;
  const longest = [40, 1920, 6000, 50_000][random.below(4)] as number;
  const model = new Map<Bytes, Bytes>();
  const seen: Record<string, number> = {};
  const happened = (what: string): void => {
    seen[what] = (seen[what] ?? 0) + 1;
  };
  const check = (condition: boolean, what: string): void => {
    if (!condition) throw new Error(`${what}, ${where}`);
  };
  let snapshot: { readonly open: StateSnapshot; readonly expected: [Bytes, Bytes][] } | null = null;
  const cursor = table.cursor();
  let walked: Bytes | null = null;

  const finish = (): void => {
    if (!snapshot) return;
    while (!snapshot.open.read(3)) happened('read');
    const other = orderedFixture();
    const restored = other.state.operator('o', undefined, [structuredClone(snapshot.open.part)]);
    const rows = rowsOf(other, restored.ordered(anyKey));
    check(same(rows, snapshot.expected), 'a frozen view that changed');
    snapshot = null;
    happened('snapshots');
  };
  /** Calls that may find no page: once a snapshot under way is read, only a full table may. */
  const attempt = (call: () => void): boolean => {
    for (;;) {
      try {
        call();
        return true;
      } catch (error) {
        if (!(error instanceof Error) || !error.message.includes('no page is left')) throw error;
        happened('no page');
        if (!snapshot) return false;
        finish();
      }
    }
  };

  for (let step = 0; step < steps; step++) {
    const key = randomKey(random, kind, distinct);
    switch (random.below(12)) {
      case 0:
      case 1: {
        const value = randomValue(random, longest);
        poke(f, f.key, key);
        const done = attempt(() => {
          if (value.length <= 1920 && random.below(2) === 0) {
            poke(f, f.bytes, value);
            table.put(f.key, key.length, f.bytes, value.length);
          } else table.putBytes(f.key, key.length, bytesOf(value), 0, value.length);
        });
        if (done) model.set(key, value);
        if (value.length > 1920) happened('long values');
        break;
      }
      case 2:
      case 3: {
        const order = random.below(2) === 0;
        const rows = Array.from({ length: 1 + random.below(400) }, (): [Bytes, Bytes] => [
          randomKey(random, kind, distinct),
          randomValue(random, 200),
        ]);
        if (order) rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
        const n = pokeEntries(f, rows);
        let done = table.putMany(f.entries, n);
        while (done < n) {
          happened(table.stop === ResolveStop.copied ? 'stopped for copies' : 'stopped for pages');
          check(table.stop !== ResolveStop.done, 'a stop without a reason');
          if (table.stop === ResolveStop.needPage) {
            if (!snapshot) break;
            finish();
          }
          done += table.putMany(f.entries + done * entryBytes, n - done);
        }
        for (const [k, v] of rows.slice(0, done)) model.set(k, v);
        break;
      }
      case 4: {
        poke(f, f.key, key);
        let there = false;
        if (attempt(() => (there = table.delete(f.key, key.length)))) {
          check(there === model.delete(key), 'a delete that is wrong about what was there');
        }
        break;
      }
      case 5: {
        const rows = Array.from({ length: 1 + random.below(600) }, (): [Bytes, Bytes] => [
          randomKey(random, kind, distinct),
          '',
        ]);
        const n = pokeEntries(f, rows);
        let done = table.deleteMany(f.entries, n);
        while (done < n) {
          if (table.stop === ResolveStop.needPage) {
            if (!snapshot) break;
            finish();
          }
          done += table.deleteMany(f.entries + done * entryBytes, n - done);
        }
        for (const [k] of rows.slice(0, done)) model.delete(k);
        break;
      }
      case 6: {
        if (random.below(3) !== 0) break;
        const bound = random.below(4) === 0 ? '' : key;
        poke(f, f.bound, bound);
        const max = 1 + random.below(2000);
        const n = table.takeUpTo(f.bound, bound.length, max, f.entries, f.bytes, bytesRoom);
        const rows = peekEntries(f, n);
        const expected = sorted(model).filter(([k]) => bound === '' || k < bound);
        check(same(rows, expected.slice(0, n)), 'what was taken is not what comes first');
        if (n < Math.min(max, expected.length)) check(table.stop !== ResolveStop.done, 'too few were taken');
        for (const [k] of rows) model.delete(k);
        happened('taken');
        break;
      }
      case 7: {
        if (random.below(3) !== 0) break;
        const prefix = key.slice(0, 1 + random.below(key.length));
        poke(f, f.bound, prefix);
        let gone = -1;
        if (!attempt(() => (gone = table.deletePrefix(f.bound, prefix.length)))) break;
        const expected = [...model.keys()].filter((k) => k.startsWith(prefix));
        check(gone === expected.length, `${gone} went by a prefix, not ${expected.length}`);
        for (const k of expected) model.delete(k);
        happened('prefixes');
        break;
      }
      case 8: {
        poke(f, f.key, key);
        const found = table.get(f.key, key.length);
        check((found ? sourceBytes(found) : undefined) === model.get(key), 'another value than was put');
        break;
      }
      case 9: {
        // A cursor that lives through everything: it goes to the first key behind the last one it was on.
        if (walked === null) {
          cursor.prefix(0, 0);
          walked = '';
        }
        for (let i = random.below(50); i >= 0 && walked !== null; i--) {
          const next: Bytes | undefined = sortedKeys(model).find((k) => k > (walked as Bytes));
          const moved = cursor.next();
          check(moved === (next !== undefined), 'a cursor that ends elsewhere');
          walked = next ?? null;
          if (next === undefined) break;
          check(peek(u8, cursor.key, cursor.keyBytes) === next, 'a cursor on another key');
          check(sourceBytes(cursor.value()) === model.get(next), 'a cursor with another value');
          if (random.below(10) === 0 && attempt(() => cursor.delete())) model.delete(next);
        }
        break;
      }
      case 10: {
        const from = randomKey(random, kind, distinct);
        poke(f, f.bound, from);
        poke(f, f.key, key);
        const range = table.cursor();
        if (random.below(2) === 0) range.range(f.bound, from.length, f.key, key.length);
        else range.prefix(f.bound, from.length - 1);
        const isPrefix = range.keyBytes === from.length - 1;
        const inside = (k: Bytes): boolean => (isPrefix ? k.startsWith(from.slice(0, -1)) : k >= from && k < key);
        const expected = sorted(model).filter(([k]) => inside(k));
        for (const [k, v] of expected.slice(0, 200)) {
          check(range.next(), 'a range that ends early');
          check(peek(u8, range.key, range.keyBytes) === k, 'a range with another key');
          check(sourceBytes(range.value()) === v, 'a range with another value');
        }
        if (expected.length <= 200) check(!range.next(), 'a range that goes on');
        happened('ranges');
        const shared = random.below(3);
        const steps = random.below(60);
        const before = sortedKeys(model).filter((k) => k.startsWith(key.slice(0, shared)) && k < key);
        const back = table.cursor();
        check(
          back.back(f.key, key.length, steps, Math.min(shared, key.length)) === Math.min(steps, before.length),
          'steps back',
        );
        const expectedNext = sortedKeys(model).find(
          (k) =>
            k.startsWith(key.slice(0, shared)) &&
            k >= (before.at(-steps) ?? before[0] ?? key) &&
            (steps > 0 || k >= key),
        );
        check(back.next() === (expectedNext !== undefined), 'a way back that ends elsewhere');
        if (expectedNext !== undefined)
          check(peek(u8, back.key, back.keyBytes) === expectedNext, 'a way back to another key');
        break;
      }
      default: {
        if (!snapshot) {
          if (random.below(3) === 0) snapshot = { open: operator.snapshot(), expected: sorted(model) };
        } else if (snapshot.open.read(1 + random.below(8))) finish();
      }
    }
    if (table.size !== model.size) throw new Error(`${table.size} keys, not ${model.size}, at step ${step}, ${where}`);
  }
  finish();
  check(same(rowsOf(f, table), sorted(model)), 'rows at the end');
  if (model.size === 0) check(table.pages === 0, 'an empty table with pages');
  seen.pages = table.pages;
  // Deleting everything singly gives every page back.
  const keys = sortedKeys(model);
  for (let i = keys.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [keys[i], keys[j]] = [keys[j] as Bytes, keys[i] as Bytes];
  }
  for (const k of keys) table.delete(f.key, poke(f, f.key, k));
  check(table.size === 0 && table.pages === 0, `${table.pages} pages of an empty table`);
  operator.dispose();
  check(f.pool.free === f.baseFree, 'pages left behind');
  return seen;
}

const bytesOf = (text: Bytes): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const sortedKeys = (model: ReadonlyMap<Bytes, Bytes>): Bytes[] => [...model.keys()].sort();

function same(a: readonly [Bytes, Bytes][], b: readonly [Bytes, Bytes][]): boolean {
  return a.length === b.length && a.every(([k, v], i) => k === b[i]?.[0] && v === b[i]?.[1]);
}
