import { expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import {
  differs,
  differsTogether,
  type Kind,
  kinds,
  layout,
  makers,
  randomExpr,
  randomRows,
  randomTogether,
} from './random.ts';
import { testSlot } from './slot.ts';

function inputs(slot: ReturnType<typeof testSlot>, seed: number, n: number) {
  const random = prng(seed);
  return [0, 0.3].flatMap((nulls) =>
    [false, true].map((dictionaries) => {
      const rows = randomRows(random, n, nulls);
      const selected = random.below(2) === 1;
      const chosen = rows.map((_, i) => i).filter(() => !selected || random.below(3) > 0);
      return {
        rows,
        chosen,
        batch: slot.batch(layout, rows, selected ? { dictionaries, selection: chosen } : { dictionaries }),
      };
    }),
  );
}

test.each(kinds)('every function that makes %s: compiled and interpreted agree', (kind: Kind) => {
  let slot = testSlot(256);
  let batches = inputs(slot, 11, 61);
  let used = 0;
  for (const [name, make] of makers[kind]) {
    for (let seed = 1; seed <= 4; seed++) {
      if (++used % 60 === 0) {
        slot = testSlot(256);
        batches = inputs(slot, 11 + used, 61);
      }
      const random = prng(seed);
      const expr = make(random, (k) => randomExpr(k, seed === 1 ? 0 : seed - 2, random, {}));
      expect(differs(expr, batches, slot, 4096), `${name}, seed ${seed}`).toBe(null);
    }
  }
});

test('random trees of depth 1 to 6: compiled and interpreted agree', () => {
  let slot = testSlot(256);
  let batches = inputs(slot, 5, 61);
  const coverage: Record<string, number> = {};
  for (let seed = 1; seed <= 300; seed++) {
    if (seed % 50 === 0) {
      slot = testSlot(256);
      batches = inputs(slot, seed, 61);
    }
    const random = prng(seed);
    const expr = randomExpr(kinds[random.below(kinds.length)] as Kind, 1 + (seed % 6), random, coverage);
    expect(differs(expr, batches, slot, seed % 2 === 0 ? 600 : 65_536), `seed ${seed}`).toBe(null);
  }
});

test('conditions and columns that have parts in common: one loop gives what the reference gives', () => {
  const coverage: Record<string, number> = {};
  let slot = testSlot(256);
  let batches = inputs(slot, 7, 61);
  for (let seed = 1; seed <= 300; seed++) {
    if (seed % 50 === 0) {
      slot = testSlot(256);
      batches = inputs(slot, seed, 61);
    }
    const random = prng(seed);
    const together = randomTogether(random, seed % 4);
    expect(differsTogether(together, batches, slot, seed % 2 === 0 ? 600 : 65_536, coverage), `seed ${seed}`).toBe(
      null,
    );
  }
  expect(coverage.shared).toBeGreaterThan(200);
});
