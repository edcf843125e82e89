/**
 * Filters go down, past what does not mind: into both sides of a union, below a sort, and, where they ask only for keys,
 * below grouping and ranking. One step at a time; `applyRules` repeats it. A condition that can raise stays where it is.
 */
import { canFail } from '../../expr/functions.ts';
import type { Expr } from '../../expr/tree.ts';
import { columnsOf, conjunction, conjunctsOf, identity, moveColumns } from '../expressions.ts';
import { consumerCounts, type Rel, type RelBuilder, type RelPlan, type RelRef, rewrite } from '../rel.ts';
import type { RuleContext } from '../rules.ts';

export function pushFilters(plan: RelPlan, context: RuleContext): RelPlan {
  const consumers = consumerCounts(plan);
  let pushed = false;
  const next = rewrite(plan, (rel, builder, index) => {
    const { node } = rel;
    if (node.kind !== 'project' || node.filter === null) return builder.add(rel);
    const old = plan.rels[index]!.inputs[0]!;
    const alone = consumers(old.rel, old.port) === 1 && consumers(old.rel, 1) === 0 && old.port === 0;
    const below = builder.at(rel.inputs[0]!);
    const to = alone ? inputLeaf(below, context) : null;
    if (to === null) return builder.add(rel);
    const conjuncts = conjunctsOf(node.filter);
    const movable = conjuncts.filter((c) => !canFail(c) && [...columnsOf(c)].every((leaf) => to(leaf) !== null));
    if (movable.length === 0) return builder.add(rel);
    pushed = true;
    const filter = conjunction(movable.map((c) => moveColumns(c, (leaf) => to(leaf)!)))!;
    const inputs = below.inputs.map((input) => filtered(builder, input, filter, rel));
    const above = builder.add({ ...below, inputs });
    const rest = conjunction(conjuncts.filter((c) => !movable.includes(c)));
    return builder.add({ ...rel, inputs: [above], node: { ...node, filter: rest } });
  });
  return pushed ? next : plan;
}

/** Which leaf of its input an operator's output leaf is, for filters that may go below it; null: none may. */
function inputLeaf(rel: Rel, { bounded }: RuleContext): ((leaf: number) => number | null) | null {
  const { node } = rel;
  switch (node.kind) {
    case 'union':
      return (leaf) => leaf;
    case 'sort':
      return node.limit === null ? (leaf) => leaf : null;
    case 'aggregate':
      // Below an unbounded window a filter would change which rows are counted as late.
      return node.keys.length === 0 || (node.window && !bounded) ? null : (leaf) => node.keys[leaf] ?? null;
    case 'topN':
      return (leaf) => (node.partitionBy.includes(leaf) ? leaf : null);
    default:
      return null;
  }
}

function filtered(builder: RelBuilder, input: RelRef, filter: Expr, rel: Rel): RelRef {
  const layout = builder.layout(input);
  const node = { kind: 'project', filter, columns: identity(layout) } as const;
  return builder.add({ node, inputs: [input], outputs: [layout], from: rel.from, role: 'columns' });
}
