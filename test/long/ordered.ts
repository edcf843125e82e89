/** Ordered tables beside a Map and a sorted array: random calls, freezes at random moments, pools too small for what comes. */
import { orderedStory } from '../state/ordered-support.ts';
import type { LongSuite } from './suite.ts';

export const suite: LongSuite = {
  name: 'ordered',
  describe: 'ordered tables against a sorted map, through freezes and full pools',
  cases: 5000,
  casesInCi: 100,
  async run({ cases, seed, log }) {
    const coverage: Record<string, number> = {
      snapshots: 0,
      'long values': 0,
      'no page': 0,
      'stopped for pages': 0,
      'stopped for copies': 0,
      taken: 0,
      prefixes: 0,
      ranges: 0,
    };
    const failures: string[] = [];
    for (let k = 0; k < cases; k++) {
      try {
        for (const [what, times] of Object.entries(orderedStory(seed + k, 400))) {
          coverage[what] = (coverage[what] ?? 0) + times;
        }
      } catch (error) {
        failures.push(`seed ${seed + k}: ${error instanceof Error ? error.message.slice(0, 300) : String(error)}`);
      }
      if (k % 500 === 499) log(`ordered: ${k + 1} cases, ${failures.length} failures`);
    }
    return { cases, failures, coverage };
  },
};
