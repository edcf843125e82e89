/**
 * A projection (or filter) over a projection becomes one: one compiled loop, one selection. What is computed below and
 * used more than once above is merged only where saying it twice costs next to nothing.
 */
import { canFail } from '../../expr/functions.ts';
import type { Expr } from '../../expr/tree.ts';
import { conjunction, conjunctsOf, countColumns, isTrivial, operandsOf, replaceColumns } from '../expressions.ts';
import { consumerCounts, type RelPlan, rewrite } from '../rel.ts';

/** Nodes of a repeated expression, weighed, that may be computed again. */
const repeatedCostMax = 6;

export function mergeProjects(plan: RelPlan): RelPlan {
  const consumers = consumerCounts(plan);
  let merged = false;
  const next = rewrite(plan, (rel, builder, index) => {
    if (rel.node.kind !== 'project') return builder.add(rel);
    const old = plan.rels[index]!.inputs[0]!;
    const below = builder.at(rel.inputs[0]!);
    if (below.node.kind !== 'project' || consumers(old.rel, old.port) !== 1) return builder.add(rel);
    const { filter, columns } = rel.node;
    if (!worthwhile(below.node.columns, [filter, ...columns])) return builder.add(rel);
    merged = true;
    const inner = below.node;
    const inlined = (expr: Expr): Expr => replaceColumns(expr, (i) => inner.columns[i]!);
    const role = rel.role === 'main' || below.role === 'main' ? 'main' : rel.role;
    const from = rel.role === 'main' || below.role !== 'main' ? rel.from : below.from;
    return builder.add({
      ...rel,
      from,
      role,
      inputs: below.inputs,
      node: {
        kind: 'project',
        filter: both(inner.filter, filter && inlined(filter)),
        columns: columns.map(inlined),
      },
    });
  });
  return merged ? next : plan;
}

function worthwhile(below: readonly Expr[], above: readonly (Expr | null)[]): boolean {
  const uses = new Map<number, number>();
  for (const expr of above) countColumns(expr, uses);
  let repeated = 0;
  below.forEach((expr, i) => {
    const times = uses.get(i) ?? 0;
    if (times > 1 && !isTrivial(expr)) repeated += (times - 1) * costOf(expr);
  });
  return repeated <= repeatedCostMax;
}

function costOf(expr: Expr): number {
  const own = expr.kind === 'column' || expr.kind === 'literal' ? 1 : expr.type.kind === 'VARCHAR' ? 20 : 2;
  return operandsOf(expr).reduce((sum, operand) => sum + costOf(operand), own);
}

/**
 * Rows that pass both. The second saw only rows where the first was TRUE: where it can raise, it must not see those
 * where the first is NULL, which an AND goes on with.
 */
function both(first: Expr | null, second: Expr | null): Expr | null {
  if (first === null) return second;
  if (second === null) return first;
  const guard = first.nullable && canFail(second) ? isTrue(first) : first;
  return conjunction([...conjunctsOf(guard), ...conjunctsOf(second)]);
}

function isTrue(condition: Expr): Expr {
  const no: Expr = { kind: 'literal', value: false, type: condition.type, nullable: false };
  return { kind: 'call', fn: 'coalesce', args: [condition, no], type: condition.type, nullable: false };
}
