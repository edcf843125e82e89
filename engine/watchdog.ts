/**
 * Which user function a thread is in, by the counters its tasks keep in shared memory: finds those that do not come back,
 * and those in which a thread died. Asks no thread.
 */
import type { PhysicalPlan } from '../core/plan/physical.ts';
import { Counter, taskBlock } from '../workers/counters.ts';

/** A user function that a slot is in. */
export interface Stuck {
  readonly operator: string;
  readonly callSite: string | null;
  readonly slot: number;
}

interface Seen {
  readonly calls: number;
  readonly operator: number;
  readonly sinceMs: number;
}

export class Watchdog {
  readonly #plan: PhysicalPlan;
  readonly #blocks: { readonly slot: number; readonly chain: number; readonly block: Float64Array }[];
  readonly #limitMs: number;
  readonly #seen = new Map<Float64Array, Seen>();

  constructor(plan: PhysicalPlan, counters: SharedArrayBuffer, slots: number, limitMs: number) {
    this.#plan = plan;
    this.#limitMs = limitMs;
    this.#blocks = plan.chains
      .filter(
        (chain) =>
          chain.place === 'slots' && chain.operators.some(({ node }) => node.kind === 'map' || node.kind === 'process'),
      )
      .flatMap((chain) =>
        Array.from({ length: Math.min(chain.parallelism, slots) }, (_, slot) => ({
          slot,
          chain: chain.id,
          block: taskBlock(counters, plan.chains.length, slot, chain.id),
        })),
      );
  }

  /** The first call that has lasted longer than the limit; call it a few times per limit. */
  look(nowMs: number): Stuck | null {
    for (const { slot, chain, block } of this.#blocks) {
      const operator = block[Counter.userOperator]!;
      const calls = block[Counter.userCalls]!;
      const seen = this.#seen.get(block);
      if (operator === 0 || !seen || seen.calls !== calls || seen.operator !== operator) {
        this.#seen.set(block, { calls, operator, sinceMs: nowMs });
      } else if (nowMs - seen.sinceMs >= this.#limitMs) {
        return this.#stuck(chain, operator, slot);
      }
    }
    return null;
  }

  /** The function that slot `slot` is in, or was in when it died; null: none. */
  inside(slot: number): Stuck | null {
    for (const { slot: of, chain, block } of this.#blocks) {
      const operator = block[Counter.userOperator]!;
      if (of !== slot || operator === 0) continue;
      return this.#stuck(chain, operator, slot);
    }
    return null;
  }

  #stuck(chain: number, operator: number, slot: number): Stuck {
    const found = this.#plan.chains.find((candidate) => candidate.id === chain)!.operators[operator - 1]!;
    return { operator: found.name, callSite: found.callSite, slot };
  }
}
