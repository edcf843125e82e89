import { expect, test } from 'vitest';
import { keyGroupOf, keyGroupOfHigh, keyGroupRange, slotOfKeyGroup } from '../../core/base/key-groups.ts';
import { keyGroups } from '../../core/base/limits.ts';
import { type Prng, prng } from '../../core/base/prng.ts';
import type { StorageKind } from '../../core/record/layout.ts';
import { type TestValue, testColumn } from '../support/columns.ts';
import { testSlot } from '../support/slot.ts';
import { hashKey, type KeyValue, rawHash } from './hash-reference.ts';

const seed = 0x0123456789abcdefn;

function randomValue(random: Prng, storage: StorageKind): TestValue {
  switch (storage) {
    case 'bit':
      return random.below(2) === 1;
    case 'i32':
      return BigInt(random.u32() | 0);
    case 'i64':
      return BigInt.asIntN(64, (BigInt(random.u32()) << 32n) | BigInt(random.u32()));
    case 'f64':
      return [0, -0, Number.NaN, Number.POSITIVE_INFINITY, random.next() * 1e9, -random.next()][
        random.below(6)
      ] as number;
    case 'view':
      return Array.from({ length: random.below(3) === 0 ? random.below(90) : random.below(20) }, () =>
        String.fromCodePoint(random.below(20) === 0 ? 0x1f600 + random.below(50) : 97 + random.below(26)),
      ).join('');
  }
}

test('every hash kernel agrees with a second implementation, with nulls, selections and dictionaries', () => {
  const slot = testSlot({ bytes: 64 * 1024 * 1024 });
  const { memory, kernels } = slot;
  const kernel = {
    bit: kernels.hashBit,
    i32: kernels.hashI32,
    i64: kernels.hashI64,
    f64: kernels.hashF64,
    view: kernels.hashView,
  };
  const out = memory.arena.allocate(8 * 300, 'hashes');
  for (let round = 0; round < 60; round++) {
    const random = prng(round);
    const n = 1 + random.below(300);
    const shape = Array.from(
      { length: 1 + random.below(3) },
      () => (['bit', 'i32', 'i64', 'f64', 'view'] as const)[random.below(5)] as StorageKind,
    );
    const nulls = random.below(2) === 1;
    const columns = shape.map((storage) =>
      Array.from({ length: n }, () => (nulls && random.below(4) === 0 ? null : randomValue(random, storage))),
    );
    const picked = Array.from({ length: n }, (_, i) => i).filter(() => random.below(3) > 0);
    const selection = memory.arena.allocate(4 * n, 'selection');
    memory.u32.set(picked, selection >>> 2);
    const rows = random.below(2) === 1 ? selection : 0;
    shape.forEach((storage, c) => {
      const dictionary = storage === 'view' && random.below(2) === 1;
      const column = testColumn(memory, storage, columns[c] as TestValue[], { dictionary });
      const size = rows ? picked.length : n;
      const first = c === 0 ? 1 : 0;
      if (column.dictionary) {
        const hashes = memory.arena.allocate(8 * (column.dictionary.count + 1), 'dictionary hashes');
        kernels.hashDictionary(column.dictionary.views, column.dictionary.count, hashes);
        kernels.hashCode(column.values, hashes, column.validity, rows, size, seed, first, out);
      } else kernel[storage](column.values, column.validity, rows, size, seed, first, out);
    });
    const expected = (rows ? picked : Array.from({ length: n }, (_, i) => i)).map((row) =>
      hashKey(
        columns.map((column) => column[row] as KeyValue),
        seed,
      ),
    );
    expect([...memory.u64.subarray(out >>> 3, (out >>> 3) + expected.length)], `seed ${round}`).toEqual(expected);
  }
});

test('−0 hashes as 0, all NaNs alike, NULL as none of them', () => {
  expect(rawHash(-0)).toBe(rawHash(0));
  expect(rawHash(Number.NaN)).not.toBe(rawHash(null));
  const { memory, kernels } = testSlot();
  const values = memory.arena.allocate(32, 'values');
  const out = memory.arena.allocate(32, 'hashes');
  memory.u64.set([0x7ff8000000000000n, 0xfff8000000000001n, 0n, 1n << 63n], values >>> 3);
  kernels.hashF64(values, 0, 0, 4, seed, 1, out);
  const [nan, otherNan, zero, minusZero] = memory.u64.subarray(out >>> 3, (out >>> 3) + 4);
  expect(otherNan).toBe(nan);
  expect(minusZero).toBe(zero);
});

test('the hash of known keys is pinned: it is a file format', () => {
  expect(hashKey([1n], 0n).toString(16)).toMatchInlineSnapshot(`"5692161d100b05e5"`);
  expect(hashKey(['JFK', 5n, null], 7n).toString(16)).toMatchInlineSnapshot(`"fe24a9a735c258aa"`);
  expect(hashKey(['a string that is longer than twelve bytes'], 7n).toString(16)).toMatchInlineSnapshot(
    `"c7f715d65411a47d"`,
  );
});

test('key groups are spread evenly, and every subtask owns what the router sends it', () => {
  for (const parallelism of [1, 2, 3, 5, 7, 64, 256]) {
    for (let subtask = 0; subtask < parallelism; subtask++) {
      const range = keyGroupRange(subtask, parallelism);
      for (let group = range.from; group < range.to; group++) expect(slotOfKeyGroup(group, parallelism)).toBe(subtask);
    }
    expect(keyGroupRange(parallelism - 1, parallelism).to).toBe(keyGroups);
  }
  const counts = new Uint32Array(keyGroups);
  for (let i = 0n; i < 64n * BigInt(keyGroups); i++) {
    const hash = hashKey([i], seed);
    expect(keyGroupOf(hash)).toBe(keyGroupOfHigh(Number(hash >> 32n)));
    counts[keyGroupOf(hash)]!++;
  }
  expect(Math.min(...counts)).toBeGreaterThan(24);
  expect(Math.max(...counts)).toBeLessThan(112);
});
