/**
 * Sinks that know rows by a key: what must stand before them, and who need not tell what was before an update. An update of a key
 * is told to such a sink as the row that is (+U) alone. That is right as it stands where rows of the stream are known by just that
 * key, and −U and +U of a key come whole and from one subtask. Where a filter may have taken one of the two, −U is a deletion.
 * Where rows are known by another key, or not at all, updates of one key of the sink come from several subtasks and may overtake
 * each other: an operator before the sink keeps the rows of each key that stand, and shows one (Flink's SinkUpsertMaterializer).
 */
import type { SinkInfo } from '../ports/connector.ts';
import type { PhysicalNode } from './physical.ts';
import { type Rel, type RelPlan, rewrite } from './rel.ts';
import type { Traits } from './traits.ts';

type SinkRel = Extract<PhysicalNode, { kind: 'sink' }>;

/** Every sink with a key gets what it needs. `traits` are those of `plan`. */
export function upsertSinks(plan: RelPlan, traits: readonly Traits[]): RelPlan {
  const asked = plan.rels.some(({ node }) => node.kind === 'sink' && node.upsert);
  if (!asked) return plan;
  return rewrite(plan, (rel, builder, index) => {
    const { node } = rel;
    if (node.kind !== 'sink' || !node.upsert) return builder.add(rel);
    const ref = plan.rels[index]!.inputs[0]!;
    const input = traits[ref.rel]!;
    if (input.changes[ref.port] !== 'all') return builder.add(rel);
    const { key } = node.upsert;
    if (isKeyOf(input, key)) {
      const halves = input.updates === 'halves';
      return builder.add({ ...rel, node: { ...node, upsert: { key, halves } } satisfies SinkRel });
    }
    const layout = builder.layout(rel.inputs[0]!);
    const standing = builder.add({
      node: { kind: 'topN', phase: 'single', partitionBy: key, by: [], n: 1, using: 'ROW_NUMBER', rank: false },
      inputs: rel.inputs,
      outputs: [layout],
      from: rel.from,
      role: 'upserts',
    });
    return builder.add({ ...rel, inputs: [standing] });
  });
}

/** Whether its rows are known by just these leaves, and its updates can be told by them. */
function isKeyOf({ upsertKey, updates }: Traits, key: readonly number[]): boolean {
  const same = upsertKey !== null && upsertKey.length === key.length && upsertKey.every((leaf) => key.includes(leaf));
  return same && updates !== 'loose';
}

/** Operators whose −U nobody behind them needs leave it out: half of what updates are. */
export function withoutUpdateBefore(
  plan: RelPlan,
  traits: readonly Traits[],
  sinks: ReadonlyMap<string, SinkInfo>,
): RelPlan {
  const needed = plan.rels.map(() => false);
  for (let index = plan.rels.length - 1; index >= 0; index--) {
    const rel = plan.rels[index]!;
    rel.inputs.forEach(({ rel: from, port }) => {
      if (port === 0) needed[from] ||= needs(rel, needed[index]!, traits[from]!, sinks);
    });
  }
  const quiet = (rel: Rel, index: number): boolean =>
    !needed[index] && traits[index]!.updates === 'whole' && traits[index]!.changes[0] === 'all' && canLeaveOut(rel);
  if (!plan.rels.some(quiet)) return plan;
  return rewrite(plan, (rel, builder, index) =>
    builder.add(quiet(rel, index) ? { ...rel, node: { ...rel.node, withoutBefore: true } as Rel['node'] } : rel),
  );
}

/** Whether a reader needs the −U of its input; `behind`: those who read it do. */
function needs({ node, from }: Rel, behind: boolean, input: Traits, sinks: ReadonlyMap<string, SinkInfo>): boolean {
  switch (node.kind) {
    case 'sink':
      if (node.upsert) return node.upsert.halves === true;
      return sinks.get(from.id)?.updateBefore !== false || input.upsertKey === null;
    case 'project':
      return behind || node.filter !== null;
    default:
      return true;
  }
}

function canLeaveOut({ node }: Rel): boolean {
  return (
    (node.kind === 'aggregate' && node.window === null) ||
    node.kind === 'fromChangelog' ||
    (node.kind === 'topN' && node.keep !== undefined)
  );
}
