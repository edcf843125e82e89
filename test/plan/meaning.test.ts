import { describe, expect, test } from 'vitest';
import { comparePlan } from './meaning.ts';

const cases = 100;

describe('random plans are well-formed and keep their meaning', () => {
  for (const parallelism of [1, 2, 3]) {
    test(`at parallelism ${parallelism}`, () => {
      let compared = 0;
      for (let seed = 1; seed <= cases; seed++) compared += comparePlan(seed, parallelism);
      expect(compared).toBeGreaterThan(1000);
    });
  }
});
