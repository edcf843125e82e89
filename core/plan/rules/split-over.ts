/** What an OVER is made of, over the leaves of its input: keys, order, and aggregate calls whose arguments are expressions. */
import { bind, bindAggregate, bindCondition } from '../../expr/bind.ts';
import { unboundText } from '../../expr/print.ts';
import type { Expr, UnboundExpr } from '../../expr/tree.ts';
import type { Field } from '../../record/types.ts';
import { typeName } from '../../record/types.ts';
import { leavesOf, type Schema } from '../columns.ts';
import { fail, whereOf } from '../names.ts';
import type { OverNode } from '../nodes.ts';
import type { SplitCall } from './split-aggregates.ts';

export interface SplitOver {
  readonly partitionBy: readonly Expr[];
  readonly orderBy: readonly Expr[];
  readonly calls: readonly SplitCall[];
  /** What the calls give, by the asked names. */
  readonly columns: readonly Field[];
}

/** Rows before the own one that a frame of rows may have. */
export const precedingRowsMax = 1000;

/** Errors: `plan/type`, `plan/unknown-column`, `plan/unsupported`, `plan/window`. */
export function splitOver(node: OverNode, input: Schema): SplitOver {
  const leaves = leavesOf(input);
  const where = whereOf(node);
  const { frame } = node;
  const expr = (of: UnboundExpr): Expr => bind(of, leaves, where);
  const orderBy = node.orderBy.map(expr);
  if (orderBy.length === 0)
    fail(
      'plan/window',
      node,
      'OVER needs an order: frames are of rows up to the own one; say orderBy, a time column first',
    );
  if (frame.unit === 'rows' && frame.preceding !== null && frame.preceding > precedingRowsMax)
    fail(
      'plan/unsupported',
      node,
      `a frame of ${frame.preceding} rows before the own one; it takes ${precedingRowsMax} at most: say range, or all rows before`,
    );
  if (frame.unit === 'range' && frame.preceding !== null) {
    const [time, more] = orderBy;
    if (more)
      fail('plan/window', node, 'a range of time is measured by one order column; leave the others out, or say rows');
    if (time!.type.kind !== 'TIMESTAMP' && time!.type.kind !== 'DATE')
      fail(
        'plan/window',
        node,
        `a range of time is measured by a TIMESTAMP or DATE, and ${unboundText(node.orderBy[0]!)} is ${typeName(time!.type)}; order by a time, or say rows`,
      );
  }
  const calls = node.columns.map(({ expr: asked }) => callOf(node, asked, input));
  const columns = node.columns.map(
    ({ name }, i): Field => ({ name, type: calls[i]!.type, nullable: calls[i]!.nullable }),
  );
  return { partitionBy: node.partitionBy.map(expr), orderBy, calls, columns };
}

function callOf(node: OverNode, asked: UnboundExpr, input: Schema): SplitCall {
  const leaves = leavesOf(input);
  const where = whereOf(node);
  if (asked.kind !== 'aggregate')
    return fail('plan/type', node, `${unboundText(asked)} is no aggregate; OVER is of one`);
  const { fn } = asked;
  if (asked.distinct && fn !== 'min' && fn !== 'max')
    return fail('plan/unsupported', node, `${unboundText(asked)} OVER is not supported yet; deduplicate before it`);
  const arg = asked.arg === null ? null : bind(asked.arg, leaves, where);
  const filter = asked.filter === null ? null : bindCondition(asked.filter, leaves, where);
  if ((fn === 'min' || fn === 'max') && arg?.type.kind === 'VARCHAR')
    return fail(
      'plan/unsupported',
      node,
      `${unboundText(asked)} OVER of texts is not supported yet; take it of numbers, times or BOOLEANs`,
    );
  // The row itself is in its frame.
  const more = { nullable: arg?.nullable ?? false, filtered: filter !== null, keyed: true };
  return { fn, arg, filter, distinct: false, ...bindAggregate(fn, arg?.type ?? null, more, where) };
}
