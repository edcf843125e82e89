/**
 * Groups behind a bounded join let go of what they keep: where all rows of a group have a time in common, and none with that time
 * behind event time comes any more, the group is done when event time has passed it. The time is carried to the grouping where the
 * query leaves it out. Rule and proof: docs/join-state.md. For unbounded input that only inserts.
 */
import { rowtimeIndex } from '../columns.ts';
import { columnExpr, identity, moveColumns } from '../expressions.ts';
import type { TimeBound } from '../physical.ts';
import type { Rel, RelBuilder, RelPlan, RelRef } from '../rel.ts';
import { rewrite } from '../rel.ts';
import type { RuleContext } from '../rules.ts';
import { traitsOf } from '../traits.ts';
import { type Facts, factsOf } from './facts.ts';

export function freeGroups(plan: RelPlan, { bounded }: RuleContext): RelPlan {
  if (bounded || !plan.rels.some(({ node }) => node.kind === 'join' && node.bounds)) return plan;
  const facts = factsOf(plan);
  const traits = traitsOf(plan, bounded, new Map());
  let found = false;
  const next = rewrite(plan, (rel, builder, index) => {
    const keys = groupedBy(rel);
    const [input] = plan.rels[index]!.inputs;
    if (keys === null || !input || input.port !== 0 || traits[input.rel]!.changes[0] === 'all') return builder.add(rel);
    const way = timeBelow(plan, facts, input.rel, keys);
    if (way === null) return builder.add(rel);
    found = true;
    const frees = (leaf: number): TimeBound => ({ leaf, plusMs: way.plusMs });
    if (way.projects === 0)
      return builder.add({ ...rel, node: { ...rel.node, frees: frees(way.leaf) } as Rel['node'] });
    const carried = carry(builder, rel.inputs[0]!, way.projects, way.leaf);
    const node = { ...rel.node, frees: frees(carried.leaf) } as Rel['node'];
    if (rel.node.kind === 'aggregate') return builder.add({ ...rel, node, inputs: [carried.ref] });
    // A ranking gives the columns that it gets: the time leaves behind it.
    const layout = rel.outputs[0]!;
    const wide = [
      ...layout.slice(0, carried.leaf),
      builder.layout(carried.ref)[carried.leaf]!,
      ...layout.slice(carried.leaf),
    ];
    const ranked = builder.add({ ...rel, node, inputs: [carried.ref], outputs: [wide] });
    const columns = identity(wide).filter((_, leaf) => leaf !== carried.leaf);
    const shown = { kind: 'project', filter: null, columns } as const;
    return builder.add({ node: shown, inputs: [ranked], outputs: [layout], from: rel.from, role: 'columns' });
  });
  return found ? next : plan;
}

/** The keys of a grouping that can let go: without a window, and nothing kept apart from its entries. */
function groupedBy({ node }: Rel): readonly number[] | null {
  if (node.kind === 'aggregate') {
    const plain = node.window === null && node.phase === 'single' && !node.calls.some(({ distinct }) => distinct);
    return plain && node.keys.length > 0 ? node.keys : null;
  }
  if (node.kind !== 'topN' || node.windowEnd != null || node.partitionBy.length === 0) return null;
  return node.keep || (node.n === 1 && node.using === 'ROW_NUMBER') ? node.partitionBy : null;
}

interface Way {
  /** Projections between the grouping and whoever has the time. */
  readonly projects: number;
  /** There. */
  readonly leaf: number;
  readonly plusMs: number;
}

function timeBelow(plan: RelPlan, facts: ReturnType<typeof factsOf>, at: number, keys: readonly number[]): Way | null {
  let wanted = keys;
  let rel = at;
  let known = facts.behind[at]!;
  for (let projects = 0; ; projects++) {
    const leaf = commonTime(known, wanted);
    if (leaf !== null) return { projects, leaf, plusMs: known.times.get(leaf)! };
    const { node, inputs } = plan.rels[rel]!;
    if (node.kind !== 'project' || inputs[0]!.port !== 0) return null;
    const below = wanted.map((key) => {
      const column = node.columns[key]!;
      return column.kind === 'column' ? column.index : -1;
    });
    if (below.includes(-1)) return null;
    wanted = below;
    known = facts.within[rel]!;
    rel = inputs[0]!.rel;
  }
}

/** A time that rows of equal keys have in common, and with which none comes late. */
function commonTime({ times, fixed, prompt }: Facts, keys: readonly number[]): number | null {
  if (!prompt) return null;
  const whole = fixed?.key.every((part) => part.some((leaf) => keys.includes(leaf)));
  for (const leaf of times.keys()) if (keys.includes(leaf) || (whole && fixed!.leaves.has(leaf))) return leaf;
  return null;
}

/** Takes a leaf of the input of the `count`th projection from `ref` up through all of them, as their last column but for the event time. */
function carry(
  builder: RelBuilder,
  ref: RelRef,
  count: number,
  leaf: number,
): { readonly ref: RelRef; readonly leaf: number } {
  const rel = builder.at(ref);
  if (rel.node.kind !== 'project') throw new Error('a time is carried through projections');
  const below = count === 1 ? { ref: rel.inputs[0]!, leaf } : carry(builder, rel.inputs[0]!, count - 1, leaf);
  const moved = (of: number): number => (count > 1 && of >= below.leaf ? of + 1 : of);
  const layout = builder.layout(below.ref);
  const own = rel.outputs[0]!;
  const at = rowtimeIndex(own) ?? own.length;
  const put = <T>(list: readonly T[], one: T): T[] => [...list.slice(0, at), one, ...list.slice(at)];
  const columns = put(
    rel.node.columns.map((column) => moveColumns(column, moved)),
    columnExpr(layout, below.leaf),
  );
  const filter = rel.node.filter && moveColumns(rel.node.filter, moved);
  const made = { ...layout[below.leaf]!, name: `$until ${layout[below.leaf]!.name}` };
  return {
    ref: builder.add({ ...rel, node: { kind: 'project', filter, columns }, outputs: [put(own, made)] }),
    leaf: at,
  };
}
