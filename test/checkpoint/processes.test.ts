/** One owner, with real processes. The full numbers are in `npm run long -- owners`. */
import { expect, test } from 'vitest';
import { type Before, concurrentStarts, emptyPlace, stoppedOwner } from './processes.ts';

test.each(['nothing', 'given up', 'killed'] as Before[])(
  'of 12 starts at one moment one wins (before: %s)',
  { timeout: 60_000 },
  async (before) => {
    const place = emptyPlace();
    try {
      expect(await concurrentStarts(place.path, 12, before)).toEqual({ won: 1, lost: { 'state/locked': 11 } });
    } finally {
      place.remove();
    }
  },
);

test('an owner that is stopped, taken over from and continued is fenced and changes nothing', {
  timeout: 60_000,
}, async () => {
  for (const n of [1, 8, 15, 22, 29, 36, 43]) {
    const place = emptyPlace();
    try {
      const outcome = await stoppedOwner(place.path, n);
      expect(outcome.stopped, `call ${n}`).toBe(true);
      expect(outcome.changed, `call ${n}: ${outcome.said}`).toBe(false);
      expect(outcome.wrong, `call ${n}`).toBeNull();
      expect(outcome.said, `call ${n}`).toMatch(/^ended (state\/fenced|ENOENT)$/);
    } finally {
      place.remove();
    }
  }
});
