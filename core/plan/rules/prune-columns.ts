/**
 * What nobody reads is not computed, not sent and not read from the source, the hidden event time included: it goes as
 * far as the last step that needs it. Event time that no step needs is not assigned at all.
 *
 * First from the sinks up: which leaves does each consumer need of each output. Then from the sources down: operators are
 * built again with what is kept, and whoever gets more than it needs, and moves rows, gets a projection before it.
 */
import { assert } from '../../base/assert.ts';
import type { Layout } from '../../record/layout.ts';
import { rowtimeIndex } from '../columns.ts';
import { columnExpr, columnsOf, moveColumns } from '../expressions.ts';
import type { JoinBounds, TimeBound } from '../physical.ts';
import { type Rel, type RelNode, type RelPlan, type RelRef, relBuilder, withoutUnused } from '../rel.ts';

type Leaves = ReadonlySet<number>;

export function pruneColumns(plan: RelPlan): RelPlan {
  const needs = needsOf(plan);
  const builder = relBuilder();
  /** By old position and port: what stands for it, and which of its old leaves are still there, in order. */
  const built: { ref: RelRef; kept: readonly number[] }[][] = [];
  let changed = false;
  plan.rels.forEach((rel, index) => {
    const inputs = rel.inputs.map((input, i) => {
      const from = built[input.rel]![input.port]!;
      if (!narrows[rel.node.kind]) return from;
      const wanted = from.kept.filter((leaf) => needs.of(index, i).has(leaf));
      if (wanted.length === from.kept.length) return from;
      const layout = builder.layout(from.ref);
      const places = wanted.map((leaf) => from.kept.indexOf(leaf));
      const outputs = [places.map((place) => layout[place]!)];
      const columns = places.map((place) => columnExpr(layout, place));
      changed = true;
      const node = { kind: 'project', filter: null, columns } as const;
      return { ref: builder.add({ node, inputs: [from.ref], outputs, from: rel.from, role: 'columns' }), kept: wanted };
    });
    if (rel.node.kind === 'watermark' && !needs.output(index, 0).has(rowtimeIndex(rel.outputs[0]!) ?? -1)) {
      built.push([inputs[0]!]);
      changed = true;
      return;
    }
    const moved = inputs.map(({ kept }) => {
      const places = new Map(kept.map((leaf, place) => [leaf, place] as const));
      return (leaf: number): number => {
        const place = places.get(leaf);
        assert(place !== undefined, `leaf ${leaf} of a ${rel.node.kind} was pruned`);
        return place;
      };
    });
    const keptInput = inputs.map(({ kept }) => kept);
    const narrow = table[rel.node.kind] as Narrow<RelNode>;
    const { node, kept, outputs } = narrow(rel.node, {
      rel,
      moved,
      keptInput,
      needed: needs.output(index, 0),
      neededOf: (port) => needs.output(index, port),
    });
    const ref = builder.add({ ...rel, node, inputs: inputs.map(({ ref: input }) => input), outputs });
    built.push(kept.map((leaves, port) => ({ ref: { rel: ref.rel, port }, kept: leaves })));
    changed ||= kept.some((leaves, port) => leaves.length !== rel.outputs[port]!.length);
  });
  return changed ? withoutUnused(builder.plan()) : plan;
}

/** Consumers before which unneeded columns are taken off: those that keep or send rows, or need them exactly so. */
const narrows: { [K in RelNode['kind']]: boolean } = {
  source: false,
  watermark: false,
  dynamicFilter: false,
  project: false,
  map: true,
  process: true,
  join: true,
  union: true,
  aggregate: true,
  sort: true,
  limit: true,
  topN: true,
  // What is a change is decided by all columns.
  toChangelog: false,
  fromChangelog: true,
  over: true,
  sink: true,
};

interface NarrowContext {
  readonly rel: Rel;
  /** By input: where an old leaf is now. */
  readonly moved: readonly ((leaf: number) => number)[];
  readonly keptInput: readonly (readonly number[])[];
  /** Old leaves of the main output that somebody reads, and those of any. */
  readonly needed: Leaves;
  readonly neededOf: (port: number) => Leaves;
}
type Narrow<N extends RelNode> = (
  node: N,
  context: NarrowContext,
) => { readonly node: RelNode; readonly kept: readonly (readonly number[])[]; readonly outputs: readonly Layout[] };

const pick = (layout: Layout, leaves: readonly number[]): Layout => leaves.map((leaf) => layout[leaf]!);
const all = (layout: Layout): number[] => layout.map((_, i) => i);

/** Rows pass with whatever columns came; a rank may stand before the event time. */
function passing(node: RelNode, { rel, keptInput }: NarrowContext) {
  const kept = [...keptInput[0]!];
  return { node, kept: [kept], outputs: [pick(rel.outputs[0]!, kept)] };
}

const table: { [K in RelNode['kind']]: Narrow<Extract<RelNode, { kind: K }>> } = {
  source: (node, { rel, needed }) => {
    const layout = rel.outputs[0]!;
    const errors = rel.outputs.slice(1);
    // Which records cannot be read must not depend on who reads the others.
    const kept = all(layout).filter((leaf) => errors.length > 0 || needed.has(leaf) || leaf === node.watermark?.column);
    const read = pick(layout, kept);
    const watermark = node.watermark && { ...node.watermark, column: kept.indexOf(node.watermark.column) };
    const { neverRepeats: never, ...rest } = node;
    const key = never?.every((leaf) => kept.includes(leaf))
      ? { neverRepeats: never.map((leaf) => kept.indexOf(leaf)) }
      : {};
    return {
      node: { ...rest, ...key, watermark, request: { ...node.request, layout: read } },
      kept: [kept, ...errors.map(all)],
      outputs: [read, ...errors],
    };
  },
  watermark: (node, context) => {
    const column = context.moved[0]!(node.watermark.column);
    return passing({ ...node, watermark: { ...node.watermark, column } }, context);
  },
  dynamicFilter: (node, context) => {
    const move = context.moved[0]!;
    const call = { ...node.call, arg: move(node.call.arg!) };
    return passing({ ...node, keys: node.keys.map(move), call, time: move(node.time) }, context);
  },
  project: (node, { rel, moved, needed }) => {
    const kept = node.columns.flatMap((_, i) => (needed.has(i) ? [i] : []));
    const columns = kept.map((i) => moveColumns(node.columns[i]!, moved[0]!));
    const filter = node.filter && moveColumns(node.filter, moved[0]!);
    return { node: { ...node, filter, columns }, kept: [kept], outputs: [pick(rel.outputs[0]!, kept)] };
  },
  map: (node, { rel, moved, needed }) => {
    const layout = rel.outputs[0]!;
    const time = rowtimeIndex(layout);
    const timed = time !== null && needed.has(time);
    const kept = timed || time === null ? all(layout) : all(layout).slice(0, time);
    const rowtime = timed ? moved[0]!(node.rowtime!) : null;
    const errors = rel.outputs.slice(1);
    return {
      node: { ...node, rowtime },
      kept: [kept, ...errors.map(all)],
      outputs: [pick(layout, kept), ...errors],
    };
  },
  // The functions see all columns and the event time; what they give has it where somebody reads it.
  process: (node, { rel, moved, neededOf }) => {
    const kept = rel.outputs.map((layout, port) => {
      const time = rowtimeIndex(layout);
      return all(layout).filter((leaf) => leaf !== time || neededOf(port).has(leaf));
    });
    const ports = node.ports.map((port, i) => ({
      ...port,
      key: port.key && { ...port.key, leaves: port.key.leaves.map(moved[i]!) },
      rowtime: port.rowtime === null ? null : moved[i]!(port.rowtime),
    }));
    return { node: { ...node, ports }, kept, outputs: kept.map((leaves, port) => pick(rel.outputs[port]!, leaves)) };
  },
  join: (node, { rel, moved, needed }) => {
    const [left, right] = node.output;
    const kept = all(rel.outputs[0]!).filter((leaf) => needed.has(leaf));
    const own = (leaves: readonly number[], side: number): number[] => leaves.map(moved[side]!);
    const pair = (of: readonly [number, number]) => [moved[0]!(of[0]), moved[1]!(of[1])] as const;
    const both = (leaves: readonly [readonly number[], readonly number[]]) =>
      [own(leaves[0], 0), own(leaves[1], 1)] as const;
    return {
      node: {
        ...node,
        keys: both(node.keys),
        ...(node.windowEnd ? { windowEnd: pair(node.windowEnd) } : {}),
        ...(node.within ? { within: { ...node.within, times: pair(node.within.times) } } : {}),
        ...(node.asOf ? { asOf: { ...node.asOf, times: pair(node.asOf.times) } } : {}),
        output: both([left.filter((_, i) => needed.has(i)), right.filter((_, i) => needed.has(left.length + i))]),
        residual: node.residual && { ...node.residual, leaves: both(node.residual.leaves) },
        ...(node.bounds ? { bounds: movedBounds(node.bounds, moved) } : {}),
      },
      kept: [kept],
      outputs: [pick(rel.outputs[0]!, kept)],
    };
  },
  union: (node, context) => passing(node, context),
  aggregate: (node, { rel, moved, keptInput, needed }) => {
    const layout = rel.outputs[0]!;
    const move = (leaf: number | null): number | null => (leaf === null ? null : moved[0]!(leaf));
    const firstCall = node.keys.length + (node.window ? 2 : 0);
    const wanted = node.calls.flatMap((_, i) => (needed.has(firstCall + i) ? [i] : []));
    // A group of all rows without a key must have something to show for itself.
    const calls = wanted.length === 0 && firstCall === 0 ? [0] : wanted;
    const kept = all(layout).filter(
      (leaf) => leaf < firstCall || leaf >= firstCall + node.calls.length || calls.includes(leaf - firstCall),
    );
    const late = rel.outputs.length > 1 ? [[...keptInput[0]!]] : [];
    return {
      node: {
        ...node,
        keys: node.keys.map(moved[0]!),
        calls: calls.map((i) => ({
          ...node.calls[i]!,
          arg: move(node.calls[i]!.arg),
          filter: move(node.calls[i]!.filter),
        })),
        time: move(node.time),
        ...movedFrees(node, moved[0]!),
      },
      kept: [kept, ...late],
      outputs: [pick(layout, kept), ...late.map((leaves) => pick(rel.outputs[1]!, leaves))],
    };
  },
  sort: (node, context) => passing({ ...node, by: movedKeys(node.by, context) }, context),
  limit: (node, context) => passing(node, context),
  topN: (node, context) => {
    const { rel, needed, moved, keptInput } = context;
    const layout = rel.outputs[0]!;
    const time = rowtimeIndex(layout);
    const rankLeaf = node.rank ? layout.length - 1 - (time === null ? 0 : 1) : null;
    const rank = rankLeaf !== null && needed.has(rankLeaf);
    // Leaves of the input before the rank have their own number; the event time moves behind it.
    const outputLeaf = (leaf: number): number => (rankLeaf !== null && leaf >= rankLeaf ? leaf + 1 : leaf);
    const kept = keptInput[0]!.map(outputLeaf);
    if (rank) kept.splice(kept.at(-1) === time && time !== null ? kept.length - 1 : kept.length, 0, rankLeaf);
    const partitionBy = node.partitionBy.map(moved[0]!);
    const windowEnd = node.windowEnd == null ? null : moved[0]!(node.windowEnd);
    return {
      node: { ...node, rank, partitionBy, windowEnd, by: movedKeys(node.by, context), ...movedFrees(node, moved[0]!) },
      kept: [kept],
      outputs: [pick(layout, kept)],
    };
  },
  toChangelog: (node, { rel }) => ({ node, kept: [all(rel.outputs[0]!)], outputs: rel.outputs }),
  fromChangelog: (node, { rel, moved, keptInput }) => {
    const kept = keptInput[0]!.slice(0, -1);
    return {
      node: { ...node, keys: node.keys.map(moved[0]!) },
      kept: [kept],
      outputs: [pick(rel.outputs[0]!, kept)],
    };
  },
  over: (node, { rel, needed, moved, keptInput }) => {
    const layout = rel.outputs[0]!;
    const time = rowtimeIndex(layout);
    const first = layout.length - node.calls.length - (time === null ? 0 : 1);
    const wanted = node.calls.flatMap((_, i) => (needed.has(first + i) ? [i] : []));
    const asked = wanted.length === 0 ? [0] : wanted;
    const own = keptInput[0]!.filter((leaf) => leaf < first);
    const timed = own.length < keptInput[0]!.length;
    const kept = [...own, ...asked.map((i) => first + i), ...(timed ? [time!] : [])];
    const move = (leaf: number | null): number | null => (leaf === null ? null : moved[0]!(leaf));
    const calls = asked.map((i) => ({
      ...node.calls[i]!,
      arg: move(node.calls[i]!.arg),
      filter: move(node.calls[i]!.filter),
    }));
    const [partitionBy, by] = [node.partitionBy.map(moved[0]!), node.by.map(moved[0]!)];
    return { node: { ...node, partitionBy, by, calls }, kept: [kept], outputs: [pick(layout, kept)] };
  },
  sink: (node, { rel, keptInput }) => {
    assert(keptInput[0]!.length === rel.outputs[0]!.length, 'a sink gets all its columns');
    return { node, kept: [all(rel.outputs[0]!)], outputs: rel.outputs };
  },
};

function movedKeys<K extends { readonly column: number }>(by: readonly K[], { moved }: NarrowContext): K[] {
  return by.map((key) => ({ ...key, column: moved[0]!(key.column) }));
}

function movedFrees(node: { readonly frees?: TimeBound }, moved: (leaf: number) => number): { frees?: TimeBound } {
  return node.frees ? { frees: { ...node.frees, leaf: moved(node.frees.leaf) } } : {};
}

function boundLeaves(bounds: JoinBounds | undefined, side: number): number[] {
  if (!bounds) return [];
  const times = bounds.dies[side]!.map(({ leaf }) => leaf);
  return [...times, bounds.known[side]!, bounds.time[side]!].filter((leaf) => leaf !== null);
}

function movedBounds(bounds: JoinBounds, moved: NarrowContext['moved']): JoinBounds {
  const times = (of: readonly TimeBound[], side: number): TimeBound[] =>
    of.map((bound) => ({ ...bound, leaf: moved[side]!(bound.leaf) }));
  const one = (of: JoinBounds['known'], side: 0 | 1): number | null =>
    of[side] === null ? null : moved[side]!(of[side]);
  return {
    dies: [times(bounds.dies[0], 0), times(bounds.dies[1], 1)],
    time: [one(bounds.time, 0), one(bounds.time, 1)],
    late: bounds.late,
    once: bounds.once,
    known: [one(bounds.known, 0), one(bounds.known, 1)],
  };
}

interface Needs {
  /** Leaves that operator `rel` needs of its input `i`. */
  of(rel: number, i: number): Leaves;
  /** Leaves of an output that anybody needs; never empty where somebody reads it. */
  output(rel: number, port: number): Leaves;
}

function needsOf(plan: RelPlan): Needs {
  const inputs: Set<number>[][] = plan.rels.map((rel) => rel.inputs.map(() => new Set()));
  const outputs = plan.rels.map((rel) => rel.outputs.map(() => new Set<number>()));
  for (let index = plan.rels.length - 1; index >= 0; index--) {
    const rel = plan.rels[index]!;
    rel.inputs.forEach((input, i) => {
      const layout = plan.rels[input.rel]!.outputs[input.port]!;
      const needed = new Set(neededBy(rel, layout, outputs[index]!, i));
      if (needed.size === 0) needed.add(cheapestLeaf(layout));
      inputs[index]![i] = needed;
      for (const leaf of needed) outputs[input.rel]![input.port]!.add(leaf);
    });
  }
  return { of: (rel, i) => inputs[rel]![i]!, output: (rel, port) => outputs[rel]![port]! };
}

function neededBy(rel: Rel, input: Layout, outputs: readonly Leaves[], port: number): Iterable<number> {
  const { node } = rel;
  const main = outputs[0]!;
  switch (node.kind) {
    case 'source':
      return [];
    case 'watermark': {
      const time = rowtimeIndex(rel.outputs[0]!);
      return time !== null && main.has(time) ? [...main, node.watermark.column] : main;
    }
    case 'dynamicFilter':
      return [...main, ...node.keys, node.call.arg!, node.time];
    case 'project':
      return columnsOf(node.filter, ...node.columns.filter((_, i) => main.has(i)));
    case 'map': {
      const time = rowtimeIndex(rel.outputs[0]!);
      const own = all(input).filter((leaf) => leaf !== rowtimeIndex(input));
      return time !== null && main.has(time) ? [...own, node.rowtime!] : own;
    }
    case 'process':
      return all(input);
    case 'join': {
      const first = port === 0 ? 0 : node.output[0].length;
      const shown = node.output[port]!.filter((_, i) => main.has(first + i));
      const times = (node.within ?? node.asOf)?.times[port];
      return [
        ...node.keys[port]!,
        ...shown,
        ...(times === undefined ? [] : [times]),
        ...(node.residual?.leaves[port] ?? []),
        ...boundLeaves(node.bounds, port),
      ];
    }
    case 'union':
    case 'limit':
      return main;
    case 'aggregate': {
      const firstCall = node.keys.length + (node.window ? 2 : 0);
      const calls = node.calls.filter((_, i) => main.has(firstCall + i) || (i === 0 && firstCall === 0));
      const read = [node.time, node.frees?.leaf ?? null, ...calls.flatMap((call) => [call.arg, call.filter])].filter(
        (leaf) => leaf !== null,
      );
      return [...node.keys, ...read, ...(outputs[1] ?? [])];
    }
    case 'sort':
      return [...main, ...node.by.map((key) => key.column)];
    case 'topN': {
      const layout = rel.outputs[0]!;
      const time = rowtimeIndex(layout);
      const rankLeaf = node.rank ? layout.length - 1 - (time === null ? 0 : 1) : null;
      const passed = [...main]
        .filter((leaf) => leaf !== rankLeaf)
        .map((leaf) => (leaf === time && rankLeaf !== null ? leaf - 1 : leaf));
      const until = node.frees ? [node.frees.leaf] : [];
      return [...passed, ...node.partitionBy, ...node.by.map((key) => key.column), ...until];
    }
    case 'fromChangelog':
      return [...main, ...node.keys, input.length - 1];
    case 'over': {
      const layout = rel.outputs[0]!;
      const time = rowtimeIndex(layout);
      const first = layout.length - node.calls.length - (time === null ? 0 : 1);
      const wanted = node.calls.filter((_, i) => main.has(first + i));
      const calls = wanted.length === 0 ? node.calls.slice(0, 1) : wanted;
      const read = calls.flatMap(({ arg, filter }) => [arg, filter]).filter((leaf) => leaf !== null);
      // Event time says when a row's frame is whole.
      const rowtime = rowtimeIndex(input);
      const passed = [...main].filter((leaf) => leaf < first);
      return [...passed, ...read, ...node.partitionBy, ...node.by, ...(rowtime === null ? [] : [rowtime])];
    }
    case 'toChangelog':
    case 'sink':
      return all(input);
  }
}

/** To count rows, one column must come; the narrowest, and rather one that can be read than one that cannot. */
function cheapestLeaf(layout: Layout): number {
  const cost = { bit: 0, i32: 1, i64: 2, f64: 2, view: 3 } as const;
  let best = 0;
  layout.forEach((leaf, i) => {
    if (cost[leaf.storage] < cost[layout[best]!.storage]) best = i;
  });
  return best;
}
