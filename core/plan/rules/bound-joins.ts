/**
 * What a row of a join can still meet, from what the plan says: conditions that compare time columns of both sides, event
 * time, and keys that sources declare never to repeat. Rule and proof: docs/join-state.md. For unbounded inner joins whose
 * sides only insert; the conditions are the equal keys and the filter right behind the join.
 */
import type { Expr } from '../../expr/tree.ts';
import type { LayoutColumn } from '../../record/layout.ts';
import { rowtimeIndex } from '../columns.ts';
import { timeColumn } from '../event-time.ts';
import { conjunctsOf } from '../expressions.ts';
import type { JoinBounds, TimeBound } from '../physical.ts';
import { consumerCounts, type Rel, type RelBuilder, type RelPlan, type RelRef, rewrite } from '../rel.ts';
import type { RuleContext } from '../rules.ts';
import { traitsOf } from '../traits.ts';
import { type Facts, factsOf, isPlainInner, nothing } from './facts.ts';

export function boundJoins(plan: RelPlan, { bounded }: RuleContext): RelPlan {
  if (bounded || !plan.rels.some(({ node }) => node.kind === 'join')) return plan;
  const consumers = consumerCounts(plan);
  const facts = factsOf(plan).behind;
  const traits = traitsOf(plan, bounded, new Map());
  /** By join: the filter behind it, which nobody else passes by. */
  const behind = new Map<number, Expr>();
  for (const { node, inputs } of plan.rels) {
    if (node.kind === 'project' && node.filter !== null && consumers(inputs[0]!.rel, 0) === 1)
      behind.set(inputs[0]!.rel, node.filter);
  }
  let found = false;
  const next = rewrite(plan, (rel, builder, index) => {
    const { node } = rel;
    if (!isPlainInner(node)) return builder.add(rel);
    const refs = plan.rels[index]!.inputs;
    if (refs.some((ref) => traits[ref.rel]!.changes[ref.port] === 'all')) return builder.add(rel);
    const timed = refs.every((ref) => rowtimeIndex(plan.rels[ref.rel]!.outputs[ref.port]!) !== null);
    const sides = refs.map((ref): Facts => {
      const known = ref.port === 0 ? facts[ref.rel]! : nothing;
      // Event time is that of both sides, or of neither.
      return timed ? known : { ...known, times: new Map() };
    });
    const bounds = boundsOf(node, behind.get(index) ?? null, sides);
    if (bounds === null) return builder.add(rel);
    found = true;
    const known: (number | null)[] = [null, null];
    const inputs = rel.inputs.map((input, side) => {
      const alone = consumers(refs[side]!.rel, 0) === 1;
      const marked = bounds.once[side] && alone ? withMark(input, builder) : null;
      if (marked === null) return input;
      known[side] = marked.leaf;
      return marked.ref;
    });
    const time = (side: number): number | null =>
      bounds.dies.flat().length === 0 ? null : rowtimeIndex(builder.layout(inputs[side]!));
    const all: JoinBounds = { ...bounds, known: [known[0]!, known[1]!], time: [time(0), time(1)] };
    return builder.add({ ...rel, inputs, node: { ...node, bounds: all } });
  });
  return found ? next : plan;
}

type JoinNode = Extract<Rel['node'], { kind: 'join' }>;

function boundsOf(node: JoinNode, filter: Expr | null, sides: readonly Facts[]): JoinBounds | null {
  const first = node.output[0].length;
  const dies: [TimeBound[], TimeBound[]] = [[], []];
  const late: [boolean, boolean] = [false, false];
  /** `low` of one side is not above `high` of the other: when rows to come have a greater low, the high one is done. */
  const ordered = (low: SidedTime, high: SidedTime): void => {
    const known = sides[low.side]!.times.get(low.leaf);
    if (known === undefined) return;
    const plusMs = known + low.plusMs - high.plusMs;
    const twin = dies[high.side]!.findIndex(({ leaf }) => leaf === high.leaf);
    // Of two bounds of one column the row is done at the earlier.
    if (twin < 0) dies[high.side]!.push({ leaf: high.leaf, plusMs });
    else if (dies[high.side]![twin]!.plusMs < plusMs) dies[high.side]![twin] = { leaf: high.leaf, plusMs };
    late[low.side] = true;
  };
  const sided = (expr: Expr): SidedTime | null => {
    const time = timeTerm(expr);
    if (time === null) return null;
    const [side, leaf] =
      time.leaf < first
        ? ([0, node.output[0][time.leaf]!] as const)
        : ([1, node.output[1][time.leaf - first]!] as const);
    return { side, leaf, plusMs: time.plusMs };
  };
  for (const condition of conjunctsOf(filter)) {
    if (condition.kind !== 'call' || condition.args.length !== 2) continue;
    const [a, b] = condition.args.map(sided) as [ReturnType<typeof sided>, ReturnType<typeof sided>];
    if (a === null || b === null || a.side === b.side) continue;
    if (['lt', 'lte', 'eq'].includes(condition.fn)) ordered(a, b);
    if (['gt', 'gte', 'eq'].includes(condition.fn)) ordered(b, a);
  }
  node.keys[0].forEach((leaf, i) => {
    const own: SidedTime = { side: 0, leaf, plusMs: 0 };
    const other: SidedTime = { side: 1, leaf: node.keys[1][i]!, plusMs: 0 };
    ordered(own, other);
    ordered(other, own);
  });
  const once = sides.map(({ never }, side) => never?.every((leaf) => node.keys[side]!.includes(leaf)) ?? false);
  if (dies.flat().length === 0 && !once.includes(true)) return null;
  return { dies, late, once: [once[0]!, once[1]!], known: [null, null], time: [null, null] };
}

/** A TIMESTAMP leaf of a side, and whole milliseconds that are added to it. */
interface SidedTime extends TimeBound {
  readonly side: 0 | 1;
}

/** A time column, or one with a constant added or taken away; null: something else. */
function timeTerm(expr: Expr): TimeBound | null {
  const shifted = expr.kind === 'call' && (expr.fn === 'plus' || expr.fn === 'minus');
  const leaf = timeColumn(shifted ? expr.args[0]! : expr);
  if (leaf === null) return null;
  if (!shifted) return { leaf, plusMs: 0 };
  const by = expr.args[1]!;
  if (by.kind !== 'literal' || by.type.kind !== 'INTERVAL' || by.type.of !== 'DAY_TIME') return null;
  const ms = Number(by.value);
  return Number.isSafeInteger(ms) ? { leaf, plusMs: expr.fn === 'plus' ? ms : -ms } : null;
}

/**
 * A filter right before a side whose key never repeats becomes a column: the other side must learn of the rows that it would drop, too,
 * for it need not wait for them.
 */
function withMark(input: RelRef, builder: RelBuilder): { readonly ref: RelRef; readonly leaf: number } | null {
  const below = builder.at(input);
  if (input.port !== 0 || below.node.kind !== 'project' || below.node.filter === null) return null;
  const { filter, columns } = below.node;
  const type = markColumn.type;
  const literal = (value: boolean): Expr => ({ kind: 'literal', value, type, nullable: false });
  const mark: Expr = {
    kind: 'case',
    branches: [{ when: filter, then: literal(true) }],
    otherwise: literal(false),
    type,
    nullable: false,
  };
  const layout = below.outputs[0]!;
  const time = rowtimeIndex(layout);
  const at = time ?? layout.length;
  const put = <T>(list: readonly T[], one: T): T[] => [...list.slice(0, at), one, ...list.slice(at)];
  const ref = builder.add({
    ...below,
    node: { kind: 'project', filter: null, columns: put(columns, mark) },
    outputs: [put(layout, markColumn)],
  });
  return { ref, leaf: at };
}

const markColumn: LayoutColumn = { name: '$passes', type: { kind: 'BOOLEAN' }, nullable: false, storage: 'bit' };
