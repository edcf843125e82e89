/**
 * Group-level expressions become three steps: a projection that makes arguments and FILTER conditions columns, aggregate
 * calls over columns, and a projection that computes what was asked from keys and results. Equal calls are one.
 */
import { bind, bindAggregate, bindCondition } from '../../expr/bind.ts';
import { canFail } from '../../expr/functions.ts';
import { type AggregateName, type Expr, mapOperands, type UnboundExpr } from '../../expr/tree.ts';
import { type Layout, type LayoutColumn, storageOf } from '../../record/layout.ts';
import { type DataType, type Fields, windowType } from '../../record/types.ts';
import { type BoundColumn, bindColumn, leafIndices, leavesOf, type Schema } from '../columns.ts';
import { fail, whereOf } from '../names.ts';
import type { AggregateNode } from '../nodes.ts';

/** An aggregate whose argument and filter are expressions over the input's leaves. */
export interface SplitCall {
  readonly fn: AggregateName;
  readonly arg: Expr | null;
  readonly filter: Expr | null;
  readonly distinct: boolean;
  readonly type: DataType;
  readonly nullable: boolean;
}

export interface SplitAggregates {
  /** Input leaves of the keys (the window is not among them), in order. */
  readonly keys: readonly number[];
  readonly calls: readonly SplitCall[];
  /** What the physical aggregate gives: keys, window bounds, one column per call; without `$rowtime`. */
  readonly results: Layout;
  /** The asked columns, over `results`. */
  readonly columns: readonly BoundColumn[];
}

type AggregateExpr = Extract<UnboundExpr, { kind: 'aggregate' }>;

/** Errors: `plan/type`, `plan/unknown-column`, `plan/unsupported`. */
export function splitAggregates(node: AggregateNode, input: Schema): SplitAggregates {
  const leaves = leavesOf(input);
  const keys = node.keys.flatMap((key) => (key === null ? [] : (leafIndices(input, key) ?? [])));
  const calls: SplitCall[] = [];
  const known = new Map<string, number>();
  const attached = input.window !== undefined && input.window !== null && node.keys.includes(input.window.column);

  const callOf = (expr: AggregateExpr): number => {
    if (expr.distinct && (node.window || attached)) {
      fail(
        'plan/unsupported',
        node,
        `${expr.fn}(…).distinct() within a window is not supported yet; group by the value as well, and count its groups: .groupBy(…, value, window).aggregate(…).groupBy(…, 'window').aggregate(() => ({ values: count() }))`,
      );
    }
    const call = simplified(boundCall(node, expr, leaves));
    const key = JSON.stringify([call.fn, call.arg, call.filter, call.distinct]);
    let index = known.get(key);
    if (index === undefined) {
      index = calls.length;
      calls.push(call);
      known.set(key, index);
    }
    return index;
  };
  const asked = node.columns.map(({ name, expr }) => ({ name, expr: withoutAggregates(expr, callOf) }));
  // One group of all rows, of which only constants are asked: something must come out for it.
  if (keys.length === 0 && !node.window && calls.length === 0) callOf(countRows);

  const results = [
    ...keys.map((key) => leaves[key]!),
    ...(node.window ? leavesOf({ fields: [{ name: 'window', type: windowType, nullable: false }], time: false }) : []),
    ...calls.map(
      (call, i): LayoutColumn => ({
        name: callName(i),
        type: call.type,
        nullable: call.nullable,
        storage: storageOf(call.type),
      }),
    ),
  ];
  const keyFields: Fields = [
    ...input.fields.filter((field) => node.keys.includes(field.name)),
    ...(node.window ? [{ name: 'window', type: windowType, nullable: false }] : []),
  ];
  const columns = asked.map(({ name, expr }) => bindColumn(node, name, expr, keyFields, results));
  return { keys, calls, results, columns };
}

const countRows: AggregateExpr = { kind: 'aggregate', fn: 'count', arg: null, filter: null, distinct: false };
const callName = (index: number): string => `$call${index}`;

function boundCall(node: AggregateNode, expr: AggregateExpr, leaves: Layout): SplitCall {
  const where = whereOf(node);
  const arg = expr.arg === null ? null : bind(expr.arg, leaves, where);
  const filter = expr.filter === null ? null : bindCondition(expr.filter, leaves, where);
  const more = { nullable: arg?.nullable ?? false, filtered: filter !== null, keyed: node.keys.length > 0 };
  // The least and the greatest of different values are those of all.
  const distinct = expr.distinct && arg !== null && expr.fn !== 'min' && expr.fn !== 'max';
  return { fn: expr.fn, arg, filter, distinct, ...bindAggregate(expr.fn, arg?.type ?? null, more, where) };
}

/** COUNT of what is never NULL counts rows; a filter that is TRUE is none. */
function simplified(call: SplitCall): SplitCall {
  const arg =
    call.fn === 'count' && !call.distinct && call.arg && !call.arg.nullable && !canFail(call.arg) ? null : call.arg;
  const always = call.filter?.kind === 'literal' && call.filter.value === true;
  return { ...call, arg, filter: always ? null : call.filter };
}

function withoutAggregates(expr: UnboundExpr, callOf: (expr: AggregateExpr) => number): UnboundExpr {
  if (expr.kind === 'aggregate') return { kind: 'column', path: [callName(callOf(expr))] };
  return mapOperands(expr, (operand) => withoutAggregates(operand, callOf));
}
