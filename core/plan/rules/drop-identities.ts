/** A projection that passes every column on as it is goes; where it only renames, an aggregate below takes the names. */

import { sameLayout } from '../columns.ts';
import { isIdentity } from '../expressions.ts';
import { consumerCounts, type RelPlan, rewrite } from '../rel.ts';

export function dropIdentities(plan: RelPlan): RelPlan {
  const consumers = consumerCounts(plan);
  /** Aggregates whose results are only renamed: by position, the position of the projection that does it. */
  const renamed = new Map<number, number>();
  const gone = new Set<number>();
  plan.rels.forEach((rel, index) => {
    if (rel.node.kind !== 'project' || rel.node.filter !== null) return;
    const ref = rel.inputs[0]!;
    const below = plan.rels[ref.rel]!;
    const layout = below.outputs[ref.port]!;
    if (!isIdentity(rel.node.columns, layout)) return;
    if (sameLayout(layout, rel.outputs[0]!)) gone.add(index);
    else if (below.node.kind === 'aggregate' && ref.port === 0 && consumers(ref.rel, 0) === 1) {
      gone.add(index);
      renamed.set(ref.rel, index);
    }
  });
  if (gone.size === 0) return plan;
  return rewrite(plan, (rel, builder, index) => {
    if (gone.has(index)) return rel.inputs[0]!;
    const by = renamed.get(index);
    if (by === undefined) return builder.add(rel);
    return builder.add({ ...rel, outputs: [plan.rels[by]!.outputs[0]!, ...rel.outputs.slice(1)] });
  });
}
