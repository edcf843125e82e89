import { expect, test } from 'vitest';
import { orderedStory } from './ordered-support.ts';

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
