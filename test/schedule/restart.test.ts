/** Restart strategies, as tables of failures and what is decided. */
import { describe, expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import { attemptFailed, attemptRuns, type RestartStrategy, startRestarts } from '../../core/schedule/restart.ts';

/** Delays until it gives up; failures at these moments, the attempt running from `sinceMs` (default: 0). */
function decide(strategy: RestartStrategy, failuresMs: readonly number[], seed = 1): (number | string)[] {
  const random = prng(seed);
  let state = startRestarts(strategy, 0);
  return failuresMs.map((ms) => {
    const [next, decision] = attemptFailed(state, ms, random);
    state = attemptRuns(next, ms);
    return decision.kind === 'restart' ? decision.inMs : decision.because;
  });
}

describe('restart strategies', () => {
  test('none', () => {
    expect(decide({ kind: 'none' }, [5])).toEqual(["its restart strategy is 'none'"]);
  });
  test('a fixed delay, so many times', () => {
    expect(decide({ kind: 'fixedDelay', attempts: 2, delayMs: 10 }, [1, 2, 3])).toEqual([
      10,
      10,
      'it was restarted 2 times already',
    ]);
  });
  test('a rate counts what lies within its interval', () => {
    const rate = { kind: 'failureRate', failures: 2, intervalMs: 100, delayMs: 7 } as const;
    expect(decide(rate, [0, 50, 110, 150, 160])).toEqual([7, 7, 7, 7, 'it failed 3 times within 100 ms']);
  });
  test('an exponential delay grows to its limit, and begins anew after a calm time', () => {
    const growing = {
      kind: 'exponentialDelay',
      initialMs: 10,
      maxMs: 60,
      factor: 2,
      jitter: 0,
      resetAfterMs: 1000,
      attempts: 6,
    } as const;
    expect(decide(growing, [1, 2, 3, 4, 2000, 2001])).toEqual([10, 20, 40, 60, 10, 20]);
    expect(decide({ ...growing, attempts: 2 }, [1, 2, 3])).toEqual([10, 20, 'it was restarted 2 times in a row']);
  });
  test('jitter stays within its share and is the seed’s', () => {
    const jittery = {
      kind: 'exponentialDelay',
      initialMs: 1000,
      maxMs: 1100,
      factor: 1,
      jitter: 0.2,
      resetAfterMs: 1e9,
      attempts: null,
    } as const;
    const times = Array.from({ length: 200 }, (_, i) => i);
    const delays = decide(jittery, times) as number[];
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(800);
    expect(delays.filter((ms) => ms > 1000).length).toBeGreaterThan(50);
    expect(Math.max(...delays), 'no jitter goes beyond the limit').toBe(1100);
    expect(new Set(delays).size).toBeGreaterThan(80);
    expect(decide(jittery, times)).toEqual(delays);
    expect(decide(jittery, times, 2)).not.toEqual(delays);
  });
});
