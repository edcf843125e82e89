/**
 * From what was asked for to what runs: check, lower, rewrite, distribute, chain. Pure: sources and sinks have been
 * described before. The coordinator's plan is the only one; slots get it and plan nothing.
 */
import { MillraceError } from '../base/errors.ts';
import type { SourceInfo } from '../ports/connector.ts';
import { chainsOf } from './chains.ts';
import { checkChanges, checkNodes, type DescribeSink, regimeOf } from './checks.ts';
import { distribute } from './distribute.ts';
import { type Explained, explain } from './explain.ts';
import { operatorIds, stableIds } from './ids.ts';
import { lower } from './lower.ts';
import { nodeName } from './names.ts';
import type { Plan } from './nodes.ts';
import type { PhysicalPlan } from './physical.ts';
import type { RelPlan } from './rel.ts';
import { applyRules } from './rules.ts';
import { schemasOf } from './schema.ts';
import { traitsOf, unboundedJoins } from './traits.ts';
import { upsertSinks, withoutUpdateBefore } from './upserts.ts';
import { validatePlan } from './validate.ts';

export interface PlanOptions {
  /** Slots of the job. */
  readonly parallelism: number;
  /** `stream`: sources do not end by themselves. `bounded`: every source must end. null: as the sources are. */
  readonly mode: 'bounded' | 'stream' | null;
  /** What the connectors said of the plan's sources, by node id. */
  readonly sources: ReadonlyMap<string, SourceInfo>;
  readonly sinks: DescribeSink;
}

export interface Planned {
  readonly physical: PhysicalPlan;
  /** Made when it is asked for: a run asks for none. */
  readonly explain: Explained;
  /** What runs and may come to harm: state that nothing bounds. */
  readonly warnings: readonly string[];
}

/**
 * Errors: every `plan/…` code, `schema/mismatch`, and what `options.sinks` throws; each with operator and call site.
 */
export function planPhysical(from: Plan, options: PlanOptions): Planned {
  const plan = validatePlan(from);
  if (!Number.isSafeInteger(options.parallelism) || options.parallelism < 1) {
    throw new MillraceError(
      'option/invalid',
      `parallelism is ${options.parallelism}; it must be a whole number of slots, at least 1`,
    );
  }
  const regime = regimeOf(plan, options.mode, options.sources);
  const schemas = schemasOf(plan, options.sources);
  checkNodes(plan, schemas, regime);
  const ids = stableIds(plan);

  const estimates = new Map([...options.sources].map(([id, info]) => [id, info.estimatedRows] as const));
  const lowered = lower(plan, schemas);
  const sinks = checkChanges(lowered, traitsOf(lowered, regime.bounded, estimates), regime, options.sinks);

  const { plan: ruled, applied } = applyRules(lowered, { bounded: regime.bounded });
  const known = (plan: RelPlan) => traitsOf(plan, regime.bounded, estimates);
  const keyed = upsertSinks(ruled, known(ruled));
  const rewritten = withoutUpdateBefore(keyed, known(keyed), sinks);
  const traits = known(rewritten);
  const { parallelism, sources } = options;
  const placed = distribute(rewritten, traits, { parallelism, bounded: regime.bounded, sources, sinks });
  const physical = chainsOf(plan.name, regime.bounded, placed, operatorIds(ids));
  const warnings = unboundedJoins(rewritten, traits).map(
    ({ rel, state }) => `${nodeName(rel.from)}${rel.from.callSite ? ` (${rel.from.callSite})` : ''} keeps ${state}`,
  );
  return {
    physical,
    warnings,
    get explain() {
      return explain({
        warnings,
        plan,
        schemas,
        regime,
        rewritten,
        traits,
        applied,
        placed,
        physical,
        parallelism,
        sources,
      });
    },
  };
}
