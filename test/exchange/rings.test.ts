/** A share of `npm run long -- rings` that is fast enough for every run. */
import { describe, expect, test } from 'vitest';
import { explore } from './explore.ts';
import { planted, plantedBugs, sound } from './planted.ts';
import { scenes } from './ring-scenes.ts';

describe('every interleaving of a small scene ends well', () => {
  test.each(scenes.slice(0, 2))('$name', (scene) => {
    const found = explore(scene.memoryBytes, scene.build(sound), 100_000);
    expect(found.failure).toBe(null);
    expect(found.complete).toBe(true);
    expect(found.sleeps).toBeGreaterThan(0);
  });
});

test.each(plantedBugs.slice(0, 5))('the exploration finds that $name', (bug) => {
  const code = planted(bug);
  const failures = scenes.map((scene) => () => explore(scene.memoryBytes, scene.build(code), 10_000).failure);
  expect(failures.some((explored) => explored() !== null)).toBe(true);
});

test('every planted bug still fits the code', () => {
  for (const bug of plantedBugs) planted(bug);
});
