/**
 * Every operator against plain references on seeded random input: batch sizes 1, 7 and 4096, tiny output room, selections,
 * dictionaries, nulls, row kinds, snapshots in the middle.
 */
import { prng } from '../../core/base/prng.ts';
import { aggregateCases } from '../support/aggregate-cases.ts';
import { boundedJoinCases } from '../support/bounded-join-cases.ts';
import { changelogCases } from '../support/changelog-cases.ts';
import { dynamicFilterCases } from '../support/dynamic-filter-cases.ts';
import { joinCases } from '../support/join-cases.ts';
import { operatorCases } from '../support/operator-cases.ts';
import { regimes, runOperator } from '../support/operator-harness.ts';
import { sessionCases } from '../support/session-cases.ts';
import { timedJoinCases } from '../support/timed-join-cases.ts';
import { windowJoinCases } from '../support/window-join-cases.ts';
import type { LongSuite } from './suite.ts';

export const suite: LongSuite = {
  name: 'operators',
  describe: 'operators against plain references, one thread, every regime',
  cases: 10_000,
  casesInCi: 300,
  async run({ cases, seed, log }) {
    const makers: typeof operatorCases = {
      ...operatorCases,
      ...aggregateCases,
      ...sessionCases,
      ...joinCases,
      ...boundedJoinCases,
      ...windowJoinCases,
      ...dynamicFilterCases,
      ...timedJoinCases,
      ...changelogCases,
    };
    const names = Object.keys(makers);
    const coverage: Record<string, number> = { more: 0, restored: 0, late: 0 };
    const failures: string[] = [];
    for (let k = 0; k < cases; k++) {
      const name = names[k % names.length] as string;
      const caseSeed = seed + k;
      const random = prng(caseSeed);
      const made = makers[name]?.(random);
      if (!made) continue;
      coverage[name] = (coverage[name] ?? 0) + 1;
      for (const regime of regimes(random)) {
        try {
          const run = runOperator(made.setup, made.arrivals, regime, random);
          made.check(run);
          coverage.more = (coverage.more ?? 0) + run.coverage.more;
          coverage.restored = (coverage.restored ?? 0) + run.coverage.restored;
          coverage.late = (coverage.late ?? 0) + run.late;
        } catch (error) {
          const said = error instanceof Error ? error.message.slice(0, 300) : String(error);
          failures.push(`${name}, seed ${caseSeed}, ${JSON.stringify(regime)}: ${said}`);
        }
      }
      if (k % 1000 === 999) log(`operators: ${k + 1} cases, ${failures.length} failures`);
    }
    return { cases, failures, coverage };
  },
};
