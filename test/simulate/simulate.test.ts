/** A few seeds of the simulation, and that a seed is a life: the long run has the rest (`npm run long -- simulate`). */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { shapes } from './shapes.ts';
import { live, noCoverage } from './world.ts';

test('two seeds of each shape hold every result once', async () => {
  const coverage = noCoverage();
  for (let seed = 1; seed <= 2 * shapes.length; seed++) await live(seed, coverage);
  for (const { name } of shapes) expect(coverage[name]).toBe(2);
  expect(coverage['power lost']! + coverage['process died']!).toBeGreaterThan(5);
  expect(coverage['went on from a checkpoint']).toBeGreaterThan(3);
});

test('a seed lives the same life twice', async () => {
  for (const seed of [5, 10, 16]) expect(await live(seed, noCoverage())).toEqual(await live(seed, noCoverage()));
});

test('at least twelve bugs are kept to be planted', () => {
  expect(readdirSync(join(import.meta.dirname, 'planted')).length).toBeGreaterThanOrEqual(12);
});
