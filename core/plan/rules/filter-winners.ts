/**
 * A stream joined with the maximum (or minimum) of each of its own windows: the winners of every window. A row that is
 * less than one before it in the same window can be in no result, so it need not come to the join. Sound because what the
 * filter has seen the aggregate sees too: the two read the same rows, and a maximum only grows. Late rows pass.
 *
 * Asked for: an inner join, one side of which is the aggregate of the other's rows with nothing left out before it; equal
 * groups; `column = max(column)`; and the row's time in the window, at or behind its start and before its end.
 */
import { assert } from '../../base/assert.ts';
import type { Expr } from '../../expr/tree.ts';
import { conjunctsOf } from '../expressions.ts';
import type { PhysicalNode } from '../physical.ts';
import { consumerCounts, type Rel, type RelPlan, type RelRef, rewrite } from '../rel.ts';

import { isPlainInner } from './facts.ts';

type AggregateNode = Extract<PhysicalNode, { kind: 'aggregate' }>;
type JoinNode = Extract<PhysicalNode, { kind: 'join' }>;
type DynamicFilter = Extract<PhysicalNode, { kind: 'dynamicFilter' }>;

export function filterWinners(plan: RelPlan): RelPlan {
  if (!plan.rels.some(({ node }) => node.kind === 'join')) return plan;
  const filters = new Map<number, { readonly rel: number; readonly node: DynamicFilter; readonly from: Rel }>();
  plan.rels.forEach((rel, index) => {
    const { node } = rel;
    if (!isPlainInner(node)) return;
    for (const side of [0, 1] as const) {
      const found = winnersOf(plan, index, node, side);
      if (found) filters.set(found.above, { rel: found.common, node: found.node, from: rel });
    }
  });
  if (filters.size === 0) return plan;
  return rewrite(plan, (rel, builder, index) => {
    const filter = filters.get(index);
    if (!filter) return builder.add(rel);
    const side = plan.rels[index]!.inputs.findIndex((ref) => ref.rel === filter.rel);
    const inputs = rel.inputs.map((input, i) => {
      if (i !== side) return input;
      const layout = builder.layout(input);
      return builder.add({
        node: filter.node,
        inputs: [input],
        outputs: [layout],
        from: filter.from.from,
        role: 'filter',
      });
    });
    return builder.add({ ...rel, inputs });
  });
}

/** Where rows of `side` come from, and the filter for them: it belongs between `common` and the operator `above` it. Null: none does. */
function winnersOf(
  plan: RelPlan,
  index: number,
  join: JoinNode,
  side: 0 | 1,
): { readonly common: number; readonly above: number; readonly node: DynamicFilter } | null {
  const { inputs } = plan.rels[index]!;
  const toGroup = pathDown(plan, inputs[1 - side]!, () => true);
  const grouped = toGroup.pop();
  const aggregate = grouped ? plan.rels[grouped.rel]!.node : null;
  if (!grouped || aggregate?.kind !== 'aggregate' || !closesWindows(aggregate)) return null;
  const counted = pathDown(plan, plan.rels[grouped.rel]!.inputs[0]!, ({ filter }) => filter === null);
  const single = consumerCounts(plan);
  const rows = pathDown(plan, inputs[side]!, () => true);
  // The first operator that both pass; above it, the rows on their way to the join must be nobody else's.
  const at = rows.findIndex((step) => counted.some(({ rel }) => rel === step.rel));
  if (at < 0 || rows.slice(0, at).some(({ rel }) => single(rel, 0) > 1)) return null;
  const common = rows[at]!.rel;

  /** Leaves of the common operator, from those of the join's rows and of the aggregate's input. */
  const ofRow = (leaf: number | null): number | null => leafAt(plan, rows.slice(0, at), leaf);
  const below = counted.slice(
    0,
    counted.findIndex(({ rel }) => rel === common),
  );
  const ofInput = (leaf: number | null): number | null => leafAt(plan, below, leaf);
  const origin = (leaf: number | null): string | null => originOf(plan, common, leaf);

  const left = join.output[0].length;
  const ofGroup = (leaf: number | null): number | null => leafAt(plan, toGroup, leaf);
  /** Each pair that must be equal: a leaf of the common operator, and one of the aggregate's results. */
  const equal = join.keys[side].map((leaf, i) => ({ row: ofRow(leaf), group: ofGroup(join.keys[1 - side]![i]!) }));
  const keys = aggregate.keys.map((leaf, i) => {
    const row = ofInput(leaf);
    return equal.some((pair) => pair.group === i && pair.row !== null && pair.row === row) ? row : null;
  });
  const firstCall = aggregate.keys.length + 2;
  const extreme = aggregate.calls.findIndex(
    (call, i) =>
      (call.fn === 'max' || call.fn === 'min') &&
      call.filter === null &&
      ofInput(call.arg) !== null &&
      equal.some((pair) => pair.group === firstCall + i && pair.row === ofInput(call.arg)),
  );
  const time = ofInput(aggregate.time);
  if (keys.includes(null) || extreme < 0 || time === null) return null;
  const call = aggregate.calls[extreme]!;
  const arg = ofInput(call.arg)!;
  if (plan.rels[common]!.outputs[0]![arg]!.storage === 'view') return null;

  /** A leaf of the join's result, as a side and a leaf of its input. */
  const sided = (leaf: number): { readonly side: number; readonly leaf: number } =>
    leaf < left ? { side: 0, leaf: join.output[0][leaf]! } : { side: 1, leaf: join.output[1][leaf - left]! };
  const isTime = (leaf: number): boolean => {
    const of = sided(leaf);
    return of.side === side && origin(ofRow(of.leaf)) === origin(time);
  };
  const isEdge = (leaf: number, edge: 0 | 1): boolean => {
    const of = sided(leaf);
    return of.side !== side && ofGroup(of.leaf) === aggregate.keys.length + edge;
  };
  const conditions = conditionsBehind(plan, index);
  const starts = conditions.some((c) => compares(c, 'gte', isTime, (leaf) => isEdge(leaf, 0)));
  const ends = conditions.some((c) => compares(c, 'lt', isTime, (leaf) => isEdge(leaf, 1)));
  if (!starts || !ends) return null;
  assert(aggregate.window && aggregate.window.kind !== 'session', 'its windows are of slices');
  const node = {
    kind: 'dynamicFilter',
    keys: keys as number[],
    call: { ...call, arg },
    window: aggregate.window,
    time,
  } as const;
  return { common, above: at === 0 ? index : rows[at - 1]!.rel, node };
}

/** Its results come once, when event time has passed their window. */
function closesWindows({ phase, window, allowedLatenessMs, updating }: AggregateNode): boolean {
  return (
    phase === 'single' &&
    window !== null &&
    window.kind !== 'session' &&
    window.time !== 'processing' &&
    allowedLatenessMs === 0 &&
    !updating
  );
}

interface Step {
  readonly rel: number;
}

/** From a reference down through projections that `passes` takes and assigned event time; the last step is something else. */
function pathDown(
  plan: RelPlan,
  from: RelRef,
  passes: (node: Extract<PhysicalNode, { kind: 'project' }>) => boolean,
): Step[] {
  const steps: Step[] = [];
  for (let at = from; ; at = plan.rels[at.rel]!.inputs[0]!) {
    const { node } = plan.rels[at.rel]!;
    if (at.port !== 0) return steps;
    steps.push({ rel: at.rel });
    if (node.kind === 'watermark') continue;
    if (node.kind !== 'project' || !passes(node)) return steps;
  }
}

/** The leaf below those steps that a leaf above them is, unchanged; null: it is computed there. */
function leafAt(plan: RelPlan, steps: readonly Step[], leaf: number | null): number | null {
  let at = leaf;
  for (const { rel } of steps) {
    if (at === null) return null;
    const { node } = plan.rels[rel]!;
    if (node.kind === 'watermark') continue;
    if (node.kind !== 'project') return null;
    const column: Expr = node.columns[at]!;
    at = column.kind === 'column' ? column.index : null;
  }
  return at;
}

/** The same for two leaves of an operator that are one column further down. */
function originOf(plan: RelPlan, from: number, leaf: number | null): string | null {
  let at = leaf;
  for (const { rel } of pathDown(plan, { rel: from, port: 0 }, () => true)) {
    const { node } = plan.rels[rel]!;
    if (at === null) return null;
    if (node.kind === 'watermark') continue;
    if (node.kind !== 'project') return `${rel}:${at}`;
    const column: Expr = node.columns[at]!;
    // Event time is in whole milliseconds, as the edges of windows are: that it was finer decides nothing.
    const floored = column.kind === 'cast' && column.arg.type.kind === 'TIMESTAMP' && column.type.kind === 'TIMESTAMP';
    const origin: Expr = floored ? column.arg : column;
    if (origin.kind !== 'column') return `${rel}:${at}`;
    at = origin.index;
  }
  return null;
}

/** What must be TRUE of every row of the join that anybody reads. */
function conditionsBehind(plan: RelPlan, join: number): readonly Expr[] {
  if (consumerCounts(plan)(join, 0) !== 1) return [];
  const next = plan.rels.find(({ inputs }) => inputs.some(({ rel }) => rel === join))!;
  return next.node.kind === 'project' ? conjunctsOf(next.node.filter) : [];
}

const mirrored = { gte: 'lte', lt: 'gt' } as const;

function compares(
  expr: Expr,
  fn: 'gte' | 'lt',
  low: (leaf: number) => boolean,
  high: (leaf: number) => boolean,
): boolean {
  if (expr.kind !== 'call' || expr.args.length !== 2) return false;
  const [a, b] = expr.args.map((arg) => (arg.kind === 'column' ? arg.index : null)) as [number | null, number | null];
  if (a === null || b === null) return false;
  return (expr.fn === fn && low(a) && high(b)) || (expr.fn === mirrored[fn] && low(b) && high(a));
}
