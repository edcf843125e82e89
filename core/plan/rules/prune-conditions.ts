/**
 * Tells a source which rows nobody wants, as far as statistics can say it: conjuncts that compare a column with a literal
 * and stand in the filter of every reader. Rows are filtered again.
 */
import type { Expr } from '../../expr/tree.ts';
import type { PruneCondition } from '../../ports/connector.ts';
import type { Layout } from '../../record/layout.ts';
import { sameType } from '../../record/types.ts';
import { conjunctsOf } from '../expressions.ts';
import { type RelPlan, rewrite } from '../rel.ts';

export function pruneConditions(plan: RelPlan): RelPlan {
  let pruned = false;
  const next = rewrite(plan, (rel, builder, index) => {
    if (rel.node.kind !== 'source') return builder.add(rel);
    const { request } = rel.node;
    const readers = plan.rels.filter((r) => r.inputs.some((input) => input.rel === index));
    const [first, ...others] = readers.map(({ node }) =>
      node.kind === 'project' ? conjunctsOf(node.filter).flatMap((c) => conditionOf(c, request.layout)) : [],
    );
    const common = (first ?? []).filter((condition) =>
      others.every((conditions) => conditions.some((c) => JSON.stringify(c) === JSON.stringify(condition))),
    );
    if (common.length === 0) return builder.add(rel);
    pruned = true;
    return builder.add({ ...rel, node: { ...rel.node, request: { ...request, prune: common } } });
  });
  return pruned ? next : plan;
}

const mirrored = { eq: 'eq', lt: 'gt', lte: 'gte', gt: 'lt', gte: 'lte' } as const;

/** The value is the literal's, in the column's declared type: ticks of a TIMESTAMP, days of a DATE. */
function conditionOf(expr: Expr, layout: Layout): PruneCondition[] {
  if (expr.kind === 'column' && expr.type.kind === 'BOOLEAN')
    return [{ column: layout[expr.index]!.name, op: 'eq', value: true }];
  if (expr.kind !== 'call' || expr.args.length !== 2 || !Object.hasOwn(mirrored, expr.fn)) return [];
  const op = expr.fn as keyof typeof mirrored;
  const [left, right] = expr.args as [Expr, Expr];
  if (left.kind === 'column' && right.kind === 'literal') return condition(left, op, right, layout);
  if (left.kind === 'literal' && right.kind === 'column') return condition(right, mirrored[op], left, layout);
  return [];
}

function condition(
  column: Extract<Expr, { kind: 'column' }>,
  op: PruneCondition['op'],
  literal: Extract<Expr, { kind: 'literal' }>,
  layout: Layout,
): PruneCondition[] {
  if (literal.value === null || !sameType(column.type, literal.type)) return [];
  // NaN, infinities and −0 of a DOUBLE are text; statistics of files do not agree on where they lie.
  if (column.type.kind === 'DOUBLE' && typeof literal.value !== 'number') return [];
  return [{ column: layout[column.index]!.name, op, value: literal.value }];
}
