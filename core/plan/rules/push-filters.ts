/**
 * Filters go down, past what does not mind: into both sides of a union, below a sort, to the one side of a join that they
 * are about, and, where they ask only for keys, below grouping and ranking. One step at a time; `applyRules` repeats it.
 * A condition that can raise stays where it is.
 */
import { canFail } from '../../expr/functions.ts';
import type { Expr } from '../../expr/tree.ts';
import { columnsOf, conjunction, conjunctsOf, identity, moveColumns } from '../expressions.ts';
import { consumerCounts, type Rel, type RelBuilder, type RelPlan, type RelRef, rewrite } from '../rel.ts';
import type { RuleContext } from '../rules.ts';

export function pushFilters(plan: RelPlan, context: RuleContext): RelPlan {
  const consumers = consumerCounts(plan);
  let pushed = false;
  const next = rewrite(plan, (rel, builder, index) => {
    const { node } = rel;
    if (node.kind !== 'project' || node.filter === null) return builder.add(rel);
    const old = plan.rels[index]!.inputs[0]!;
    const alone = consumers(old.rel, old.port) === 1 && consumers(old.rel, 1) === 0 && old.port === 0;
    const below = builder.at(rel.inputs[0]!);
    if (alone && below.node.kind === 'join') {
      const made = belowJoin(rel, node.filter, below, below.node, builder);
      pushed ||= made !== null;
      return made ?? builder.add(rel);
    }
    const to = alone ? inputLeaf(below, context) : null;
    if (to === null) return builder.add(rel);
    const conjuncts = conjunctsOf(node.filter);
    const movable = conjuncts.filter((c) => !canFail(c) && [...columnsOf(c)].every((leaf) => to(leaf) !== null));
    if (movable.length === 0) return builder.add(rel);
    pushed = true;
    const filter = conjunction(movable.map((c) => moveColumns(c, (leaf) => to(leaf)!)))!;
    const inputs = below.inputs.map((input) => filtered(builder, input, filter, rel));
    const above = builder.add({ ...below, inputs });
    const rest = conjunction(conjuncts.filter((c) => !movable.includes(c)));
    return builder.add({ ...rel, inputs: [above], node: { ...node, filter: rest } });
  });
  return pushed ? next : plan;
}

/**
 * Conditions on one side of a join go to that side, where no row of it comes out as NULLs: what the filter would drop is dropped before
 * it is kept. Null: none can.
 */
function belowJoin(rel: Rel, filter: Expr, joined: Rel, join: JoinNode, builder: RelBuilder): RelRef | null {
  const leftLeaves = join.output[0].length;
  const conjuncts = conjunctsOf(filter).map((condition) => ({ condition, side: sideOf(condition, leftLeaves) }));
  const movable = conjuncts.filter(({ condition, side }) => side !== null && goes(join, side) && !canFail(condition));
  if (movable.length === 0) return null;
  const inputs = joined.inputs.map((input, side) => {
    const own = conjunction(
      movable
        .filter((one) => one.side === side)
        .map(({ condition }) =>
          moveColumns(condition, (leaf) => join.output[side]![leaf - (side === 0 ? 0 : leftLeaves)]!),
        ),
    );
    return own === null ? input : filtered(builder, input, own, rel);
  });
  const above = builder.add({ ...joined, inputs });
  const rest = conjunction(conjuncts.filter((one) => !movable.includes(one)).map(({ condition }) => condition));
  return builder.add({ ...rel, inputs: [above], node: { ...(rel.node as ProjectNode), filter: rest } });
}

type JoinNode = Extract<Rel['node'], { kind: 'join' }>;
type ProjectNode = Extract<Rel['node'], { kind: 'project' }>;

/** By side: a filter behind the join may go before it. */
const goesBelow: { readonly [T in JoinNode['type']]: readonly [boolean, boolean] } = {
  inner: [true, true],
  left: [true, false],
  right: [false, true],
  full: [false, false],
  semi: [true, false],
  anti: [true, false],
};

/** A version that a filter drops is a row's version all the same. */
const goes = (join: JoinNode, side: 0 | 1): boolean => goesBelow[join.type][side] && !(join.asOf && side === 1);

function sideOf(condition: Expr, leftLeaves: number): 0 | 1 | null {
  const leaves = [...columnsOf(condition)];
  if (leaves.length === 0) return null;
  if (leaves.every((leaf) => leaf < leftLeaves)) return 0;
  return leaves.every((leaf) => leaf >= leftLeaves) ? 1 : null;
}

/** Which leaf of its input an operator's output leaf is, for filters that may go below it; null: none may. */
function inputLeaf(rel: Rel, { bounded }: RuleContext): ((leaf: number) => number | null) | null {
  const { node } = rel;
  switch (node.kind) {
    case 'union':
      return (leaf) => leaf;
    case 'sort':
      return node.limit === null ? (leaf) => leaf : null;
    case 'aggregate':
      // Below an unbounded window a filter would change which rows are counted as late.
      return node.keys.length === 0 || (node.window && !bounded) ? null : (leaf) => node.keys[leaf] ?? null;
    case 'fromChangelog':
      return (leaf) => (node.keys.includes(leaf) ? leaf : null);
    case 'topN':
    case 'over':
      return (leaf) => (node.partitionBy.includes(leaf) ? leaf : null);
    default:
      return null;
  }
}

function filtered(builder: RelBuilder, input: RelRef, filter: Expr, rel: Rel): RelRef {
  const layout = builder.layout(input);
  const node = { kind: 'project', filter, columns: identity(layout) } as const;
  return builder.add({ node, inputs: [input], outputs: [layout], from: rel.from, role: 'columns' });
}
