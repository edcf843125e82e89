/**
 * The whole engine on one thread from a seed: jobs of a dozen shapes, a virtual clock, a simulated disk, faults at every
 * step; what the committed files hold in the end is compared with a plain model. Every hundredth seed is run twice.
 */
import { live, noCoverage } from '../simulate/world.ts';
import type { LongSuite } from './suite.ts';

export const suite: LongSuite = {
  name: 'simulate',
  describe: 'jobs that crash, fail, stall and are rescaled, on a simulated disk, hold every result once',
  cases: 100_000,
  casesInCi: 1000,
  async run({ cases, seed, log }) {
    const failures: string[] = [];
    const coverage = noCoverage();
    for (let i = 0; i < cases; i++) {
      try {
        const life = await live(seed + i, coverage);
        if ((seed + i) % 100 === 0) {
          const again = await live(seed + i, noCoverage());
          coverage['run twice']!++;
          if (JSON.stringify(life) !== JSON.stringify(again))
            failures.push(`seed ${seed + i}: two runs differ: ${JSON.stringify(life)} and ${JSON.stringify(again)}`);
        }
      } catch (error) {
        failures.push(`seed ${seed + i}: ${error instanceof Error ? error.stack?.slice(0, 1500) : error}`);
        if (failures.length >= 20) break;
      }
      if (i % 100 === 99) log(`simulate: ${i + 1} of ${cases}, ${failures.length} failures`);
    }
    return { cases, failures, coverage };
  },
};
