/** Which columns are event time: in whose order rows are also in event time's. Knows nothing of who asks. */
import type { Expr } from '../expr/tree.ts';
import { rowtimeIndex } from './columns.ts';
import type { RelPlan, RelRef } from './rel.ts';

/** Whether a leaf of an output is the column that event time is read from, or the bound of windows whose results rows are. */
export function isEventTime(plan: RelPlan, ref: RelRef, leaf: number): boolean {
  const { node, inputs, outputs } = plan.rels[ref.rel]!;
  if (ref.port !== 0) return false;
  const above = (at: number): boolean => inputs.every((input) => isEventTime(plan, input, at));
  if (rowtimeIndex(outputs[0]!) === null) return false;
  switch (node.kind) {
    case 'watermark':
      return leaf === node.watermark.column || timeColumns(plan, inputs[0]!, node.watermark.column).has(leaf);
    case 'project': {
      const from = timeColumn(node.columns[leaf]!);
      return from !== null && above(from);
    }
    case 'union':
    case 'sort':
    case 'limit':
      return above(leaf);
    case 'over': {
      const first = outputs[0]!.length - 1 - node.calls.length;
      return leaf < first && above(leaf);
    }
    case 'topN':
      return !node.rank && above(leaf);
    case 'aggregate': {
      const { window, keys } = node;
      // Sessions that end later may have begun earlier.
      return window !== null && (leaf === keys.length + 1 || (leaf === keys.length && window.kind !== 'session'));
    }
    default:
      return false;
  }
}

/** A time column as it is compared, in millisecond precision at least; null: something else. */
export function timeColumn(expr: Expr): number | null {
  const inner = expr.kind === 'cast' ? expr.arg : expr;
  const isTime = (of: Expr): boolean => of.type.kind === 'TIMESTAMP' && of.type.precision >= 3;
  return inner.kind === 'column' && isTime(inner) && isTime(expr) ? inner.index : null;
}

/** The leaf that event time is read from, and those beside it that are the same. */
export function timeColumns(plan: RelPlan, input: RelRef, time: number): ReadonlySet<number> {
  const times = new Set([time]);
  const { node } = plan.rels[input.rel]!;
  if (node.kind !== 'project') return times;
  const origin = timeColumn(node.columns[time]!);
  node.columns.forEach((expr, i) => {
    if (origin !== null && timeColumn(expr) === origin) times.add(i);
  });
  return times;
}
