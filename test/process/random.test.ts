/** A few of the random jobs of test/long/process.ts. */
import { expect, test } from 'vitest';
import { suite } from '../long/process.ts';

test('random process functions give what a plain model gives, restored at another parallelism', async () => {
  const { failures, coverage } = await suite.run({ cases: 20, seed: 1, log: () => {} });
  expect(failures).toEqual([]);
  expect(coverage.restored).toBeGreaterThan(3);
});
