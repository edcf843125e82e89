/**
 * An OVER becomes three steps: a projection that makes computed keys, order columns and arguments leaves, the operator, and
 * a projection that takes them out again.
 */
import { exprText } from '../expr/print.ts';
import type { AggregateCall, Expr } from '../expr/tree.ts';
import { layoutOf } from '../record/layout.ts';
import { leavesOf, rowtimeIndex } from './columns.ts';
import { columnExpr, identity } from './expressions.ts';
import type { OverNode } from './nodes.ts';
import type { Rel, RelBuilder, RelRef } from './rel.ts';
import { splitOver } from './rules/split-over.ts';
import { inputSchemas, type Schemas } from './schema.ts';

export function lowerOver(node: OverNode, input: RelRef, schemas: Schemas, builder: RelBuilder): RelRef {
  const split = splitOver(node, inputSchemas(node, schemas)[0]!);
  const before = builder.layout(input);
  const time = rowtimeIndex(before);
  const own = time === null ? before : before.slice(0, time);
  const timeOf = time === null ? [] : [columnExpr(before, time)];
  const computed: Expr[] = [];
  const leafOf = (expr: Expr): number => {
    if (expr.kind === 'column' && expr.index !== time) return expr.index;
    const key = JSON.stringify(expr);
    const known = computed.findIndex((other) => JSON.stringify(other) === key);
    return own.length + (known < 0 ? computed.push(expr) - 1 : known);
  };
  const calls = split.calls.map(
    ({ fn, arg, filter, type, nullable }): AggregateCall => ({
      fn,
      arg: arg && leafOf(arg),
      argType: arg?.type ?? null,
      ...(arg === null ? {} : { argText: exprText(arg, before) }),
      argNullable: arg?.nullable ?? false,
      filter: filter && leafOf(filter),
      type,
      nullable,
    }),
  );
  const [partitionBy, by] = [split.partitionBy.map(leafOf), split.orderBy.map(leafOf)];
  const add = (role: Rel['role'], from: RelRef, made: Rel['node'], layout: Rel['outputs'][number]): RelRef =>
    builder.add({ node: made, inputs: [from], outputs: [layout], from: node, role });
  const made = computed.map(({ type, nullable }, i) => layoutOf([{ name: `$arg${i}`, type, nullable }])[0]!);
  const wide = [...own, ...made, ...before.slice(own.length)];
  const columns = [...identity(own), ...computed, ...timeOf];
  const from = made.length === 0 ? input : add('arguments', input, { kind: 'project', filter: null, columns }, wide);
  const results = layoutOf(split.columns);
  const layout = [...own, ...made, ...results, ...before.slice(own.length)];
  const over = add('main', from, { kind: 'over', partitionBy, by, frame: node.frame, calls }, layout);
  if (made.length === 0) return over;
  const kept = identity(layout).filter((_, i) => i < own.length || i >= own.length + made.length);
  return add('result', over, { kind: 'project', filter: null, columns: kept }, leavesOf(schemas.get(node.id)![0]!));
}
