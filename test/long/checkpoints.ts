/** Checkpoints of random lives of a state directory, restored at another parallelism. */
import { noCoverage, story } from '../checkpoint/story.ts';
import type { LongSuite } from './suite.ts';

export const suite: LongSuite = {
  name: 'checkpoints',
  describe: 'incremental checkpoints restore to what the state was when it froze, at any parallelism',
  cases: 1000,
  casesInCi: 20,
  async run({ cases, seed, log }) {
    const failures: string[] = [];
    const coverage = noCoverage();
    for (let i = 0; i < cases; i++) {
      try {
        // Every tenth lives long enough for files to be retired.
        await story(seed + i, coverage, (seed + i) % 10 === 0 ? 600 : 60);
      } catch (error) {
        failures.push(`seed ${seed + i}: ${error instanceof Error ? error.stack?.slice(0, 1500) : error}`);
        if (failures.length >= 20) break;
      }
      if (i % 50 === 49) log(`checkpoints: ${i + 1} of ${cases}, ${failures.length} failures`);
    }
    return { cases, failures, coverage: { ...coverage } };
  },
};
