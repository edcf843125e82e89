/**
 * Changelogs through every operator that takes or makes them: rows come and go in any valid order, in any batches, with tiny
 * output room and restores at random moments, against references that compute from scratch; where it is defined, the changes
 * themselves are judged, and not only what they come to.
 */
import { prng } from '../../core/base/prng.ts';
import { aggregateCases } from '../support/aggregate-cases.ts';
import { changelogCases } from '../support/changelog-cases.ts';
import { joinCases } from '../support/join-cases.ts';
import { operatorCases } from '../support/operator-cases.ts';
import { regimes, runOperator } from '../support/operator-harness.ts';
import { overCases } from '../support/over-cases.ts';
import type { LongSuite } from './suite.ts';

const makers: typeof operatorCases = {
  ...joinCases,
  ...changelogCases,
  'aggregate, updating': aggregateCases['aggregate, updating']!,
  'aggregate, retracting': aggregateCases['aggregate, retracting']!,
  'top n, updating': operatorCases['top n, updating']!,
  'top n, retracting': operatorCases['top n, retracting']!,
  'one row a key': operatorCases['one row a key']!,
  ...overCases,
};

export const suite: LongSuite = {
  name: 'changelogs',
  describe:
    'random changelogs through joins, aggregates, top n, deduplication and OVER, against references from scratch',
  cases: 100_000,
  casesInCi: 1_000,
  async run({ cases, seed, log }) {
    const names = Object.keys(makers);
    const coverage: Record<string, number> = { more: 0, restored: 0, skipped: 0 };
    const failures: string[] = [];
    for (let k = 0; k < cases; k++) {
      const caseSeed = seed + k;
      const name = names[caseSeed % names.length] as string;
      const random = prng(caseSeed);
      const made = makers[name]!(random);
      coverage[name] = (coverage[name] ?? 0) + 1;
      const all = regimes(random);
      // One regime a case: another case has another.
      const regime = all[random.below(all.length)]!;
      try {
        const run = runOperator(made.setup, made.arrivals, regime, random);
        made.check(run);
        coverage.more = (coverage.more ?? 0) + run.coverage.more;
        coverage.restored = (coverage.restored ?? 0) + run.coverage.restored;
        coverage.skipped = (coverage.skipped ?? 0) + run.skipped;
      } catch (error) {
        const said = error instanceof Error ? error.message.slice(0, 300) : String(error);
        failures.push(`${name}, seed ${caseSeed}, ${JSON.stringify(regime)}: ${said}`);
      }
      if (k % 1000 === 999) log(`changelogs: ${k + 1} cases, ${failures.length} failures`);
    }
    return { cases, failures, coverage };
  },
};
