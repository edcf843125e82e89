/** The planner alone: random plans keep the laws of physical plans, and mean the same before and after planning. */
import { comparePlan } from '../plan/meaning.ts';
import type { LongSuite } from './suite.ts';

export const suite: LongSuite = {
  name: 'plans',
  describe: 'random plans are well-formed and keep their meaning, at parallelism 1, 2, 3 and 5',
  cases: 20_000,
  casesInCi: 400,
  async run({ cases, seed, log }) {
    const failures: string[] = [];
    const coverage = { plans: 0, 'rows compared': 0, 'with rows': 0 };
    for (let i = 0; i < cases && failures.length < 20; i++) {
      try {
        const compared = comparePlan(seed + i, [1, 2, 3, 5][i % 4]!, { stepsMax: 12, places: ['slot', 'caller'] });
        coverage.plans++;
        coverage['rows compared'] += compared;
        if (compared > 0) coverage['with rows']++;
      } catch (error) {
        failures.push(
          `parallelism ${[1, 2, 3, 5][i % 4]}: ${error instanceof Error ? error.stack?.slice(0, 3000) : error}`,
        );
      }
      if (i % 2000 === 1999) log(`plans: ${i + 1} of ${cases}, ${failures.length} failures`);
    }
    return { cases, failures, coverage };
  },
};
