/** Every operator against its plain reference, in every regime. The same cases by the thousand: test/long/operators.ts. */
import { describe, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import { aggregateCases } from '../support/aggregate-cases.ts';
import { boundedJoinCases } from '../support/bounded-join-cases.ts';
import { changelogCases } from '../support/changelog-cases.ts';
import { dynamicFilterCases } from '../support/dynamic-filter-cases.ts';
import { joinCases } from '../support/join-cases.ts';
import { operatorCases } from '../support/operator-cases.ts';
import { regimes, runOperator } from '../support/operator-harness.ts';
import { overCases } from '../support/over-cases.ts';
import { sessionCases } from '../support/session-cases.ts';
import { timedJoinCases } from '../support/timed-join-cases.ts';
import { windowJoinCases } from '../support/window-join-cases.ts';

const seeds = 5;
const cases: typeof operatorCases = {
  ...operatorCases,
  ...aggregateCases,
  ...sessionCases,
  ...joinCases,
  ...boundedJoinCases,
  ...windowJoinCases,
  ...dynamicFilterCases,
  ...timedJoinCases,
  ...changelogCases,
  ...overCases,
};

describe.each(Object.keys(cases))('%s', (name) => {
  test.each(Array.from({ length: seeds }, (_, k) => k + 1))('gives what its reference gives (seed %i)', (seed) => {
    const random = prng(seed);
    const found = cases[name]?.(random);
    for (const regime of regimes(random)) {
      const run = runOperator(found!.setup, found!.arrivals, regime, random);
      found!.check(run);
    }
  });
});
