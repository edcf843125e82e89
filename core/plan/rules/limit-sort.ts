/** A limit over a sort is a sort that keeps only so many rows; of two limits the smaller one holds. */
import { consumerCounts, type RelPlan, rewrite } from '../rel.ts';

export function limitSort(plan: RelPlan): RelPlan {
  const consumers = consumerCounts(plan);
  let merged = false;
  const next = rewrite(plan, (rel, builder, index) => {
    if (rel.node.kind !== 'limit') return builder.add(rel);
    const old = plan.rels[index]!.inputs[0]!;
    const below = builder.at(rel.inputs[0]!);
    if (consumers(old.rel, old.port) !== 1) return builder.add(rel);
    const { rows } = rel.node;
    if (below.node.kind === 'sort') {
      merged = true;
      const limit = below.node.limit === null ? rows : Math.min(rows, below.node.limit);
      return builder.add({ ...below, node: { ...below.node, limit } });
    }
    if (below.node.kind === 'limit') {
      merged = true;
      return builder.add({ ...below, node: { ...below.node, rows: Math.min(rows, below.node.rows) } });
    }
    // Past a projection that drops no row, towards the sort.
    if (below.node.kind === 'project' && below.node.filter === null) {
      const under = builder.at(below.inputs[0]!);
      if (under.node.kind !== 'sort' && under.node.kind !== 'limit') return builder.add(rel);
      merged = true;
      const limited = builder.add({ ...rel, inputs: below.inputs, outputs: [builder.layout(below.inputs[0]!)] });
      return builder.add({ ...below, inputs: [limited] });
    }
    return builder.add(rel);
  });
  return merged ? next : plan;
}
