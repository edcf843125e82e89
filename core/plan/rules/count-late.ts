/**
 * Late rows are counted exactly, also where they come as partial results that stand for several rows: an unbounded
 * windowed aggregate always counts its rows, even if nobody asked. At any parallelism, so that its state is the same.
 */
import { rowsField } from '../../compile/accumulators.ts';
import type { AggregateCall } from '../../expr/tree.ts';
import type { LayoutColumn } from '../../record/layout.ts';
import { columnExpr } from '../expressions.ts';
import type { WindowSpec } from '../nodes.ts';
import { consumerCounts, type RelPlan, rewrite } from '../rel.ts';
import type { RuleContext } from '../rules.ts';

const countRows: AggregateCall = {
  fn: 'count',
  arg: null,
  argType: null,
  filter: null,
  type: { kind: 'BIGINT' },
  nullable: false,
};
const rowsColumn: LayoutColumn = { name: '$rows', type: countRows.type, nullable: false, storage: 'i64' };

/** Rows are counted where they may come as partial results; by the clock none is late. */
const canBeSplit = (window: WindowSpec | null): boolean =>
  window !== null && window.kind !== 'session' && window.time !== 'processing';

export function countLate(plan: RelPlan, { bounded }: RuleContext): RelPlan {
  if (bounded) return plan;
  const consumers = consumerCounts(plan);
  let added = false;
  const next = rewrite(plan, (rel, builder, index) => {
    const { node } = rel;
    // Where late rows leave as rows, there are no partial results.
    if (
      node.kind !== 'aggregate' ||
      !canBeSplit(node.window) ||
      consumers(index, 1) > 0 ||
      rowsField(node.calls) !== null
    )
      return builder.add(rel);
    added = true;
    const [before, ...sides] = rel.outputs;
    const at = before!.length - 1;
    const layout = [...before!.slice(0, at), rowsColumn, before![at]!];
    const counted = builder.add({
      ...rel,
      node: { ...node, calls: [...node.calls, countRows] },
      outputs: [layout, ...sides],
    });
    const columns = before!.map((_, i) => columnExpr(layout, i < at ? i : i + 1));
    const project = { kind: 'project', filter: null, columns } as const;
    const main = builder.add({ node: project, inputs: [counted], outputs: [before!], from: rel.from, role: 'columns' });
    return { main, sides: counted };
  });
  return added ? next : plan;
}
