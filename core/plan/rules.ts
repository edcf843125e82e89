/**
 * The rewrite rules in the order in which they are tried. Each keeps the meaning of the plan and says what it is for.
 * Projections are merged between other rules, because each of those looks at what lies directly below or above.
 */
import type { RelPlan } from './rel.ts';
import { boundJoins } from './rules/bound-joins.ts';
import { checkReadable } from './rules/check-readable.ts';
import { countLate } from './rules/count-late.ts';
import { dropIdentities } from './rules/drop-identities.ts';
import { eventTimeSource } from './rules/event-time-source.ts';
import { filterWinners } from './rules/filter-winners.ts';
import { freeGroups } from './rules/free-groups.ts';
import { limitSort } from './rules/limit-sort.ts';
import { mergeProjects } from './rules/merge-projects.ts';
import { pruneColumns } from './rules/prune-columns.ts';
import { pruneConditions } from './rules/prune-conditions.ts';
import { pushFilters } from './rules/push-filters.ts';
import { shareEqual } from './rules/share-equal.ts';

export interface RuleContext {
  readonly bounded: boolean;
}
export interface Rule {
  /** For `explain`: what it did. */
  readonly name: string;
  /** The same object when there was nothing to do. */
  apply(plan: RelPlan, context: RuleContext): RelPlan;
}

const merge: Rule = { name: 'merged projections and filters', apply: mergeProjects };
const push: Rule = { name: 'pushed filters down', apply: pushFilters };

/** In order; those in brackets again and again, until none of them finds anything. */
const rules: readonly (Rule | readonly Rule[])[] = [
  { name: 'shared equal steps', apply: shareEqual },
  [{ name: 'took limits into sorts', apply: limitSort }],
  [merge, push],
  { name: 'let only rows through that may win their window', apply: filterWinners },
  { name: 'bounded what joins keep', apply: boundJoins },
  { name: 'let go of groups behind bounded joins', apply: freeGroups },
  { name: 'left out columns that nobody reads', apply: pruneColumns },
  { name: 'counts rows, so that late ones are told exactly', apply: countLate },
  { name: 'made watermarks in the source', apply: eventTimeSource },
  [merge, push],
  { name: 'dropped projections that do nothing', apply: dropIdentities },
  { name: 'told the source what to skip', apply: pruneConditions },
];

/** A plan has no more steps than this to push a filter past. */
const repeatsMax = 1_000;

/** Errors: `plan/unsupported` where a column is read that cannot be. */
export function applyRules(plan: RelPlan, context: RuleContext): { plan: RelPlan; applied: readonly string[] } {
  const applied = new Set<string>();
  let current = plan;
  const apply = (rule: Rule): boolean => {
    const next = rule.apply(current, context);
    if (next === current) return false;
    applied.add(rule.name);
    current = next;
    return true;
  };
  for (const entry of rules) {
    if ('name' in entry) apply(entry);
    else for (let i = 0; i < repeatsMax && entry.map(apply).includes(true); i++);
  }
  checkReadable(current);
  return { plan: current, applied: [...applied] };
}
