import { expect, test } from 'vitest';
import { keyGroupRange } from '../../core/base/key-groups.ts';
import { orderedKeyBytesMax, orderedValueBytesMax } from '../../core/base/limits.ts';
import type { SnapshotPart } from '../../state/snapshot.ts';
import {
  anyKey,
  hashedKey,
  orderedFixture,
  orderedStory,
  peek,
  poke,
  pokeEntries,
  rowsOf,
  sorted,
} from './ordered-support.ts';

test('random calls on an ordered table agree with a sorted map, through freezes and full pools', () => {
  const seen: Record<string, number> = {};
  for (let seed = 1; seed <= 60; seed++) {
    const story = orderedStory(seed, 300);
    for (const [what, times] of Object.entries(story)) seen[what] = (seen[what] ?? 0) + times;
  }
  for (const what of ['snapshots', 'long values', 'no page', 'stopped for pages', 'taken', 'prefixes', 'ranges']) {
    expect(seen[what] ?? 0, what).toBeGreaterThan(0);
  }
});

const hashOf = (i: number): string => {
  const mixed = Math.imul(i + 1, 0x9e3779b1) >>> 0;
  return String.fromCharCode(mixed >>> 24, (mixed >>> 16) & 255, (mixed >>> 8) & 255, mixed & 255, 0, 0, 0, i & 255);
};

test('an ordered table restores at any parallelism: rows go by the hash in their keys, broadcast rows to all', () => {
  for (const [p, q] of [
    [1, 3],
    [3, 1],
    [2, 5],
    [5, 2],
  ] as const) {
    const parts: SnapshotPart[] = [];
    const expected = new Map<string, string>();
    const rules = new Map<string, string>(Array.from({ length: 900 }, (_, i) => [`rule ${i}`, `${i}`.repeat(9)]));
    for (let subtask = 0; subtask < p; subtask++) {
      const f = orderedFixture();
      const range = keyGroupRange(subtask, p);
      const operator = f.state.operator('o', range);
      const table = operator.ordered(hashedKey);
      const shared = operator.ordered({ ...anyKey, name: 'rules' });
      for (let i = 0; i < 6000; i++) {
        const key = `${hashOf(i)}key ${i}`;
        const group = (key.charCodeAt(0) << 2) | (key.charCodeAt(1) >> 6);
        if (group < range.from || group >= range.to) continue;
        const value = i % 50 === 0 ? `${i},`.repeat(2000) : `value ${i}`;
        expected.set(key, value);
        table.putBytes(f.key, poke(f, f.key, key), Buffer.from(value), 0, value.length);
      }
      for (const [key, value] of rules) {
        shared.putBytes(f.key, poke(f, f.key, key), Buffer.from(value), 0, value.length);
      }
      const snapshot = operator.snapshot();
      while (!snapshot.read(7)) table.deletePrefix(f.key, poke(f, f.key, hashOf(parts.length)));
      parts.push(structuredClone(snapshot.part));
    }
    const kept = parts.flatMap((part) => part.tables.filter(({ name }) => name === 'rules'));
    expect(kept.length, 'broadcast rows are kept by each subtask: any other may have ended').toBe(p);
    const found = new Map<string, string>();
    for (let subtask = 0; subtask < q; subtask++) {
      const f = orderedFixture();
      const operator = f.state.operator('o', keyGroupRange(subtask, q), parts);
      const rows = rowsOf(f, operator.ordered(hashedKey));
      for (const [key, value] of rows) found.set(key, value);
      expect(rowsOf(f, operator.ordered({ ...anyKey, name: 'rules' }))).toEqual(sorted(rules));
    }
    expect(found).toEqual(expected);
  }
});

test('what is too long is refused, by table and size, and the most is kept', () => {
  const f = orderedFixture({ poolKb: 64 * 1024 });
  const table = f.state.operator('o').ordered(anyKey);
  const key = 'k'.repeat(orderedKeyBytesMax);
  poke(f, f.key, `${key}x`);
  expect(() => table.put(f.key, key.length + 1, f.bytes, 1)).toThrow(
    /a key of table 'rows' takes 2049 bytes, at most 2048/,
  );
  const long = new Uint8Array(orderedValueBytesMax + 1).fill(7);
  expect(() => table.putBytes(f.key, 10, long, 0, long.length)).toThrow(/takes 16777217 bytes, at most 16777216/);
  expect(table.size).toBe(0);
  table.put(f.key, key.length, f.bytes, 9);
  expect(table.delete(f.key, key.length)).toBe(true);
  table.putBytes(f.key, 10, long, 1, long.length);
  const value = table.get(f.key, 10);
  expect(value && value.end - value.at).toBe(orderedValueBytesMax);
  expect(value?.u8.subarray(value.at, value.end).every((byte) => byte === 7)).toBe(true);
  expect(table.delete(f.key, 10)).toBe(true);
  expect(table.pages).toBe(0);
  expect(
    pokeEntries(f, [
      ['a', ''],
      [`${key}x`, ''],
    ]),
  ).toBe(2);
  expect(() => table.putMany(f.entries, 2)).toThrow(/a key of table 'rows' takes 2049 bytes/);
  // Entries that a caller reads into too little room.
  table.putBytes(f.key, 10, long, 0, 5000);
  expect(() => table.takeUpTo(f.bound, 0, 10, f.entries, f.bytes, 100)).not.toThrow();
  expect(() => table.takeUpTo(f.bound, 0, 10, f.entries, f.bytes, 100)).toThrow(/takes 5010 bytes, more than the 100/);
});

test('many are looked up at once', () => {
  const f = orderedFixture();
  const table = f.state.operator('o').ordered(anyKey);
  const rows = Array.from({ length: 3000 }, (_, i): [string, string] => [`${hashOf(i)}${i}`, `${i}`]);
  expect(table.putMany(f.entries, pokeEntries(f, rows))).toBe(3000);
  pokeEntries(
    f,
    rows.map(([key], i) => [i % 3 === 0 ? `${key}?` : key, '']),
  );
  table.getMany(f.entries, 3000);
  const { u8, u32 } = f.slot.memory;
  for (let i = 0; i < 3000; i++) {
    const entry = (f.entries + 16 * i) >>> 2;
    const at = u32[entry + 2] as number;
    if (i % 3 === 0) expect(at).toBe(0);
    else expect(peek(u8, at, u32[entry + 3] as number)).toBe(`${i}`);
  }
  table.clear();
  table.getMany(f.entries, 10);
  expect(u32[(f.entries >>> 2) + 2]).toBe(0);
});
