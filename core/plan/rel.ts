/**
 * The planner's own form between the logical plan and the chains: a DAG of physical operators over leaf columns, not yet
 * cut into chains. Rules take one `RelPlan` and give another; nothing here is changed in place. Filters are projects
 * that keep all columns, so there is one rule where there would be two.
 */
import { assert } from '../base/assert.ts';
import type { Layout } from '../record/layout.ts';
import type { PlanNode } from './nodes.ts';
import type { PhysicalNode } from './physical.ts';

/** A physical operator, or a union, which becomes several edges on one port. */
export type RelNode = PhysicalNode | { readonly kind: 'union' };

/** Output `port` of the operator at position `rel`. */
export interface RelRef {
  readonly rel: number;
  readonly port: number;
}

export interface Rel {
  readonly node: RelNode;
  readonly inputs: readonly RelRef[];
  /** Layout of what comes out, by port. */
  readonly outputs: readonly Layout[];
  /** The logical node that this one stands for or helps. */
  readonly from: PlanNode;
  /** What it does for `from` where one logical node became several: `main` is the one that is it. */
  readonly role: RelRole;
}
export type RelRole = 'main' | 'arguments' | 'result' | 'time' | 'partial' | 'columns' | 'upserts' | 'filter';

/** In topological order: inputs stand before their consumers. */
export interface RelPlan {
  readonly rels: readonly Rel[];
}

export interface RelBuilder {
  readonly rels: readonly Rel[];
  add(rel: Rel): RelRef;
  at(ref: RelRef): Rel;
  layout(ref: RelRef): Layout;
}

export function relBuilder(): RelBuilder & { plan(): RelPlan } {
  const rels: Rel[] = [];
  const at = (ref: RelRef): Rel => {
    const rel = rels[ref.rel];
    assert(rel && ref.port < rel.outputs.length, `a reference to output ${ref.port} of operator ${ref.rel}`);
    return rel;
  };
  return {
    rels,
    add(rel) {
      for (const input of rel.inputs) at(input);
      rels.push(rel);
      return { rel: rels.length - 1, port: 0 };
    },
    at,
    layout: (ref) => at(ref).outputs[ref.port] as Layout,
    plan: () => ({ rels: [...rels] }),
  };
}

/**
 * Walks a plan from its sources and builds another. `visit` sees each operator with its inputs already replaced and says
 * what stands for its main output; side outputs stay with the operator that `visit` added for it (`sides`, when that is
 * not the one that stands for the main output).
 */
export function rewrite(
  plan: RelPlan,
  visit: (rel: Rel, builder: RelBuilder, index: number) => RelRef | { main: RelRef; sides: RelRef },
): RelPlan {
  const builder = relBuilder();
  const replaced: { main: RelRef; sides: RelRef }[] = [];
  plan.rels.forEach((rel, index) => {
    const inputs = rel.inputs.map((ref): RelRef => {
      const { main, sides } = replaced[ref.rel]!;
      return ref.port === 0 ? main : { rel: sides.rel, port: ref.port };
    });
    const made = visit({ ...rel, inputs }, builder, index);
    replaced.push('main' in made ? made : { main: made, sides: made });
  });
  return withoutUnused(builder.plan());
}

/** Only what some sink reads. */
export function withoutUnused(plan: RelPlan): RelPlan {
  const used = new Set<number>();
  for (let i = plan.rels.length - 1; i >= 0; i--) {
    const rel = plan.rels[i]!;
    if (rel.node.kind === 'sink') used.add(i);
    if (used.has(i)) for (const input of rel.inputs) used.add(input.rel);
  }
  const moved = new Map<number, number>();
  const rels: Rel[] = [];
  plan.rels.forEach((rel, i) => {
    if (!used.has(i)) return;
    moved.set(i, rels.length);
    rels.push({ ...rel, inputs: rel.inputs.map((ref) => ({ rel: moved.get(ref.rel)!, port: ref.port })) });
  });
  return { rels };
}

/** How many inputs read each output: `consumers(rel, port)`. */
export function consumerCounts(plan: RelPlan): (rel: number, port: number) => number {
  const counts = new Map<string, number>();
  for (const rel of plan.rels) {
    for (const ref of rel.inputs) {
      const key = `${ref.rel}:${ref.port}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return (rel, port) => counts.get(`${rel}:${port}`) ?? 0;
}
