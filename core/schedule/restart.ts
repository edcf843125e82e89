/**
 * Whether a failed job is tried again, and when: pure, with chance and time as arguments.
 */
import type { Prng } from '../base/prng.ts';

export type RestartStrategy =
  | { readonly kind: 'none' }
  /** At most `attempts` restarts, each after `delayMs`. */
  | { readonly kind: 'fixedDelay'; readonly attempts: number; readonly delayMs: number }
  /** At most `failures` within `intervalMs`. */
  | {
      readonly kind: 'failureRate';
      readonly failures: number;
      readonly intervalMs: number;
      readonly delayMs: number;
    }
  /** Delays grow by `factor` up to a limit; after `resetAfterMs` without a failure they begin anew. */
  | {
      readonly kind: 'exponentialDelay';
      readonly initialMs: number;
      readonly maxMs: number;
      readonly factor: number;
      /** Share of the delay by which it varies, up or down, never beyond the limit. */
      readonly jitter: number;
      readonly resetAfterMs: number;
      /** Restarts without such a reset in between; null: any number. */
      readonly attempts: number | null;
    };

export interface RestartState {
  readonly strategy: RestartStrategy;
  /** Restarts so far; of an exponential delay, since it was reset. */
  readonly restarts: number;
  /** Moments of the failures that a rate counts. */
  readonly failuresMs: readonly number[];
  /** When the attempt that runs was begun. */
  readonly runningSinceMs: number;
}

export type RestartDecision =
  | { readonly kind: 'restart'; readonly inMs: number }
  /** `because` ends the sentence "the job is not restarted: …". */
  | { readonly kind: 'giveUp'; readonly because: string };

export const startRestarts = (strategy: RestartStrategy, nowMs: number): RestartState => ({
  strategy,
  restarts: 0,
  failuresMs: [],
  runningSinceMs: nowMs,
});

/** An attempt begins to run. */
export const attemptRuns = (state: RestartState, nowMs: number): RestartState => ({ ...state, runningSinceMs: nowMs });

/** An attempt has failed. */
export function attemptFailed(
  state: RestartState,
  nowMs: number,
  random: Prng,
): readonly [RestartState, RestartDecision] {
  const { strategy } = state;
  const again = (next: RestartState, inMs: number) => [next, { kind: 'restart', inMs }] as const;
  const enough = (because: string) => [state, { kind: 'giveUp', because }] as const;
  switch (strategy.kind) {
    case 'none':
      return enough("its restart strategy is 'none'");
    case 'fixedDelay':
      if (state.restarts >= strategy.attempts) return enough(`it was restarted ${times(state.restarts)} already`);
      return again({ ...state, restarts: state.restarts + 1 }, strategy.delayMs);
    case 'failureRate': {
      const failuresMs = [...state.failuresMs.filter((ms) => ms > nowMs - strategy.intervalMs), nowMs];
      if (failuresMs.length > strategy.failures)
        return enough(`it failed ${times(failuresMs.length)} within ${strategy.intervalMs} ms`);
      return again({ ...state, restarts: state.restarts + 1, failuresMs }, strategy.delayMs);
    }
    case 'exponentialDelay': {
      const calm = nowMs - state.runningSinceMs >= strategy.resetAfterMs;
      const before = calm ? 0 : state.restarts;
      if (strategy.attempts !== null && before >= strategy.attempts)
        return enough(`it was restarted ${times(before)} in a row`);
      const grown = Math.min(strategy.maxMs, strategy.initialMs * strategy.factor ** before);
      const varied = Math.min(strategy.maxMs, grown * (1 + strategy.jitter * (2 * random.next() - 1)));
      return again({ ...state, restarts: before + 1 }, Math.round(varied));
    }
  }
}

const times = (n: number): string => (n === 1 ? 'once' : `${n} times`);
