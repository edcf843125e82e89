/**
 * The rewrite rules in the order in which they are tried. Each keeps the meaning of the plan and says what it is for;
 * together they run until nothing changes.
 */

import type { RelPlan } from './rel.ts';
import { checkReadable } from './rules/check-readable.ts';

export interface RuleContext {
  readonly bounded: boolean;
}
export interface Rule {
  /** For `explain`: what it did. */
  readonly name: string;
  /** The same object when there was nothing to do. */
  apply(plan: RelPlan, context: RuleContext): RelPlan;
}

const rules: readonly Rule[] = [];

export function applyRules(plan: RelPlan, bounded: boolean): { plan: RelPlan; applied: readonly string[] } {
  const applied: string[] = [];
  let current = plan;
  for (const rule of rules) {
    const next = rule.apply(current, { bounded });
    if (next !== current) applied.push(rule.name);
    current = next;
  }
  checkReadable(current);
  return { plan: current, applied };
}
