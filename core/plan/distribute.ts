/**
 * Where operators run and how rows get there: each gets a place, a parallelism and, per input, either the same task as
 * its producer or an exchange. Keyed operators get their rows hashed unless they lie that way already; what must see all
 * rows is gathered to one subtask. Operators that gain by it are split in two around their exchange. Unions dissolve.
 */
import type { SinkInfo, SourceInfo } from '../ports/connector.ts';
import type { Exchange, PhysicalNode } from './physical.ts';
import type { Rel, RelNode, RelPlan, RelRef } from './rel.ts';
import { splitPhases } from './rules/two-phase.ts';
import type { Changes, Traits } from './traits.ts';

/** How rows lie over the subtasks of an operator's output. */
export type Distribution =
  | { readonly kind: 'any' }
  | { readonly kind: 'single' }
  /** Equal values of these leaves, hashed in this order, are in the subtask that owns their key group. */
  | { readonly kind: 'hash'; readonly keys: readonly number[] };

export interface Placement {
  readonly place: 'slots' | 'caller';
  readonly parallelism: number;
  readonly distribution: Distribution;
}

export interface PlacedRel extends Rel {
  readonly node: PhysicalNode;
  readonly placement: Placement;
  /** One per producer (a union has several); `exchange` null: runs in the producer's task. */
  readonly producers: readonly Producer[];
  readonly changes: readonly Changes[];
  readonly updates: Traits['updates'];
  readonly state: string | null;
}

export interface Producer {
  readonly ref: RelRef;
  readonly exchange: Exchange | null;
  /** The input port that it feeds. */
  readonly port: number;
}

export interface DistributeOptions {
  readonly parallelism: number;
  readonly bounded: boolean;
  readonly sources: ReadonlyMap<string, SourceInfo>;
  readonly sinks: ReadonlyMap<string, SinkInfo>;
}

/** What an operator asks of the distribution of its input. */
export type Requirement =
  | { readonly kind: 'none' }
  | { readonly kind: 'one' }
  | { readonly kind: 'hash'; readonly keys: readonly number[] }
  /** Every row in every subtask. */
  | { readonly kind: 'all' };

/** What is asked of input `port`; all operators but joins and process functions have one. */
export function requirementOf(node: PhysicalNode, port = 0): Requirement {
  switch (node.kind) {
    case 'process': {
      const { key } = node.ports[port]!;
      return key === null ? { kind: 'all' } : { kind: 'hash', keys: key.leaves };
    }
    case 'join':
      if (node.lookup) return { kind: port === 1 ? 'all' : 'none' };
      return node.keys[0].length === 0 ? { kind: 'one' } : { kind: 'hash', keys: node.keys[port]! };
    case 'aggregate':
      if (node.phase === 'partial') return { kind: 'none' };
      return node.keys.length === 0 ? { kind: 'one' } : { kind: 'hash', keys: node.keys };
    case 'topN':
      if (node.phase === 'partial') return { kind: 'none' };
      return node.partitionBy.length === 0 ? { kind: 'one' } : { kind: 'hash', keys: node.partitionBy };
    case 'fromChangelog':
      return { kind: 'hash', keys: node.keys };
    case 'over':
      return node.partitionBy.length === 0 ? { kind: 'one' } : { kind: 'hash', keys: node.partitionBy };
    case 'sort':
    case 'limit':
      return { kind: node.phase === 'partial' ? 'none' : 'one' };
    default:
      return { kind: 'none' };
  }
}

export function distribute(plan: RelPlan, traits: readonly Traits[], options: DistributeOptions): PlacedRel[] {
  const placed: PlacedRel[] = [];
  /** What stands for each output: several for a union. */
  const standing: RelRef[][] = [];
  const keyed = keysBelow(plan);
  const inOrder = orderedRels(plan);

  const put = (
    rel: Rel & { node: PhysicalNode },
    refs: readonly Feed[],
    { changes, updates, state }: Pick<Traits, 'changes' | 'updates' | 'state'>,
    keys: readonly number[] | null = null,
    alone = false,
  ): number => {
    const updating = refs.some(({ ref }) => placed[ref.rel]!.changes[ref.port] === 'all');
    const from = refs.map(({ ref }) => outputPlacement(placed[ref.rel]!, ref.port));
    const ports = refs.map(({ port }) => port);
    const { placement, exchanges } =
      rel.node.kind === 'process' || rel.node.kind === 'join'
        ? placePorts(rel.node, from, ports, options.parallelism)
        : placeOf(rel, from, updating, keys, alone ? { ...options, parallelism: 1 } : options);
    const producers = refs.map(({ ref, port }, i): Producer => ({ ref, exchange: exchanges[i]!, port }));
    const node = informed(rel.node, refs, placed);
    placed.push({
      ...rel,
      node,
      placement,
      changes,
      updates,
      state,
      producers: refs.length === 1 ? producers : producers.map(unfused),
    });
    return placed.length - 1;
  };

  plan.rels.forEach((rel, index) => {
    const feeds = rel.inputs.flatMap((ref, port): Feed[] =>
      (ref.port === 0 ? standing[ref.rel]! : [{ rel: standing[ref.rel]![0]!.rel, port: ref.port }]).map((from) => ({
        ref: from,
        port: rel.node.kind === 'process' || rel.node.kind === 'join' ? port : 0,
      })),
    );
    const refs = feeds.map(({ ref }) => ref);
    const { node } = rel;
    if (node.kind === 'union') {
      standing.push(refs);
      return;
    }
    let input = feeds;
    let main: Rel & { node: PhysicalNode } = { ...rel, node };
    if (
      spreadOver(
        refs.map((ref) => outputPlacement(placed[ref.rel]!, ref.port)),
        requirementOf(node),
      )
    ) {
      const inputLayout = refs.map((ref) => placed[ref.rel]!.outputs[ref.port]!)[0]!;
      const sideUsed = plan.rels.some((r) => r.inputs.some((ref) => ref.rel === index && ref.port > 0));
      const split = splitPhases(main, inputLayout, { bounded: options.bounded, sideUsed });
      if (split) {
        input = [
          {
            ref: { rel: put(split.partial, feeds, { changes: ['insert'], updates: 'loose', state: null }), port: 0 },
            port: 0,
          },
        ];
        main = split.final;
      }
    }
    standing.push([{ rel: put(main, input, traits[index]!, keyed[index], inOrder.has(index)), port: 0 }]);
  });
  return placed;
}

/** A node that is told which of its inputs may take rows back. */
function informed(node: PhysicalNode, feeds: readonly Feed[], placed: readonly PlacedRel[]): PhysicalNode {
  const updating = (port: number): boolean =>
    feeds.some((feed) => feed.port === port && placed[feed.ref.rel]!.changes[feed.ref.port] === 'all');
  if (node.kind === 'sink') return { ...node, updating: updating(0) };
  if (node.kind === 'join') {
    const { bounds, ...join } = { ...node, updating: [updating(0), updating(1)] as const };
    return bounds && !join.updating.includes(true) ? { ...join, bounds } : join;
  }
  if ((node.kind === 'topN' || node.kind === 'aggregate' || node.kind === 'over') && updating(0))
    return { ...node, updating: true };
  return node;
}

/** What feeds an input port: several where a union stood. */
interface Feed {
  readonly ref: RelRef;
  readonly port: number;
}

/** Whether meeting `wanted` takes an exchange from several subtasks: only then is anything gained by reducing first. */
function spreadOver(from: readonly Placement[], wanted: Requirement): boolean {
  if (wanted.kind === 'none' || wanted.kind === 'all' || from.length === 0) return false;
  const many = from.some((p) => p.place === 'slots' && p.parallelism > 1);
  return many && !from.every((p) => satisfies(p, wanted));
}

function satisfies(from: Placement, wanted: Requirement): boolean {
  if (from.place === 'caller') return false;
  if (wanted.kind === 'none') return true;
  if (wanted.kind === 'one') return from.parallelism === 1;
  if (wanted.kind === 'all') return false;
  const { distribution } = from;
  return (
    distribution.kind === 'hash' &&
    distribution.keys.length === wanted.keys.length &&
    distribution.keys.every((key, i) => key === wanted.keys[i])
  );
}

/** Side outputs lie as their operator's input does, which nobody asks about. */
function outputPlacement(rel: PlacedRel, port: number): Placement {
  if (port === 0 || rel.placement.distribution.kind !== 'hash') return rel.placement;
  return { ...rel.placement, distribution: { kind: 'any' } };
}

const unfused = (producer: Producer): Producer => ({
  ...producer,
  exchange: producer.exchange ?? { kind: 'forward' },
});

interface Decision {
  readonly placement: Placement;
  readonly exchanges: readonly (Exchange | null)[];
}

function placeOf(
  rel: Rel & { node: PhysicalNode },
  from: readonly Placement[],
  updating: boolean,
  keys: readonly number[] | null,
  options: DistributeOptions,
): Decision {
  const { node } = rel;
  if (node.kind === 'source') {
    const caller = options.sources.get(rel.from.id)!.place === 'caller';
    return { placement: placement(caller ? 'caller' : 'slots', caller ? 1 : options.parallelism), exchanges: [] };
  }
  if (node.kind === 'sink') return placeSink(options.sinks.get(rel.from.id)!, from, updating, options.parallelism);
  const wanted = requirementOf(node);
  if (wanted.kind === 'one') return gathered(from, placement('slots', 1));
  if (wanted.kind === 'hash') {
    if (options.parallelism === 1) return gathered(from, placement('slots', 1));
    const distribution: Distribution = { kind: 'hash', keys: wanted.keys };
    const lying = from.every((p) => satisfies(p, wanted));
    return {
      placement: {
        place: 'slots',
        parallelism: options.parallelism,
        distribution: outputDistribution(rel, distribution),
      },
      exchanges: from.map(() => (lying ? null : { kind: 'hash', keys: wanted.keys })),
    };
  }
  if (keys !== null && options.parallelism > 1 && from.every((p) => p.place === 'caller')) {
    // On their way to a process function: they are sent by its key at once, so that rows of a key keep their order.
    const distribution = outputDistribution(rel, { kind: 'hash', keys });
    return {
      placement: { place: 'slots', parallelism: options.parallelism, distribution },
      exchanges: from.map(() => ({ kind: 'hash', keys })),
    };
  }
  // Asks for nothing: stays where its input is, but leaves the caller's thread alone.
  const parallelism = Math.max(...from.map((p) => (p.place === 'caller' ? options.parallelism : p.parallelism)));
  const together = from.every((p) => p.place === 'slots' && p.parallelism === parallelism);
  const lying = together && from.every((p) => JSON.stringify(p.distribution) === JSON.stringify(from[0]!.distribution));
  const distribution = lying
    ? outputDistribution(rel, from[0]!.distribution)
    : placement('slots', parallelism).distribution;
  return {
    placement: { place: 'slots', parallelism, distribution },
    exchanges: from.map((p) => (p.place === 'slots' && p.parallelism === parallelism ? null : { kind: 'rebalance' })),
  };
}

/**
 * By operator that only passes rows on or projects them: the leaves of its input that are the key of the process function
 * its rows go to, where that is all they are for.
 */
function keysBelow(plan: RelPlan): (readonly number[] | null)[] {
  const wanted: (readonly number[] | null)[] = plan.rels.map(() => null);
  const seen = plan.rels.map(() => false);
  for (let index = plan.rels.length - 1; index >= 0; index--) {
    const { node, inputs } = plan.rels[index]!;
    const own = wanted[index]!;
    const moved = own?.map((leaf): number | null => {
      if (node.kind === 'watermark' || node.kind === 'union') return leaf;
      if (node.kind !== 'project') return null;
      const column = node.columns[leaf]!;
      return column.kind === 'column' ? column.index : null;
    });
    const keys = moved?.every((leaf) => leaf !== null) ? (moved as number[]) : null;
    wanted[index] = keys;
    inputs.forEach((ref, port) => {
      const asked =
        node.kind === 'process'
          ? (node.ports[port]!.key?.leaves ?? null)
          : node.kind === 'join' && !node.lookup && node.keys[port]!.length > 0
            ? node.keys[port]!
            : keys;
      const first = !seen[ref.rel];
      seen[ref.rel] = true;
      wanted[ref.rel] =
        ref.port === 0 && (first || JSON.stringify(wanted[ref.rel]) === JSON.stringify(asked)) ? asked : null;
    });
  }
  return wanted;
}

/**
 * Operators whose rows say what earlier ones become, from the sources on: one subtask each, since of two rows of a key that are
 * read or sent side by side nobody knows which is the later.
 */
function orderedRels({ rels }: RelPlan): ReadonlySet<number> {
  const found = new Set<number>();
  const visit = (index: number): void => {
    const { node, inputs } = rels[index]!;
    if (!passesInOrder.has(node.kind)) return;
    found.add(index);
    for (const { rel } of inputs) visit(rel);
  };
  for (const { node, inputs } of rels) if (node.kind === 'fromChangelog') for (const { rel } of inputs) visit(rel);
  return found;
}
const passesInOrder: ReadonlySet<RelNode['kind']> = new Set<RelNode['kind']>([
  'source',
  'project',
  'watermark',
  'map',
  'union',
]);

/** Keyed inputs are hashed, each by its own columns, unless they lie that way; broadcast ones go everywhere. */
function placePorts(
  node: Extract<PhysicalNode, { kind: 'process' | 'join' }>,
  from: readonly Placement[],
  ports: readonly number[],
  parallelism: number,
): Decision {
  if (parallelism === 1 || requirementOf(node).kind === 'one') return gathered(from, placement('slots', 1));
  const exchanges = from.map((p, i): Exchange | null => {
    const wanted = requirementOf(node, ports[i]!);
    if (wanted.kind === 'all') return { kind: 'broadcast' };
    if (wanted.kind !== 'hash')
      return p.place === 'slots' && p.parallelism === parallelism ? null : { kind: 'rebalance' };
    return p.parallelism === parallelism && satisfies(p, wanted) ? null : { kind: 'hash', keys: wanted.keys };
  });
  const distribution = node.kind === 'join' ? joinDistribution(node, from) : ({ kind: 'any' } as const);
  return { placement: { place: 'slots', parallelism, distribution }, exchanges };
}

/** Rows lie by the key of a side that none of them lacks. */
function joinDistribution(
  { type, keys, output, lookup }: Extract<PhysicalNode, { kind: 'join' }>,
  [left]: readonly Placement[],
): Distribution {
  if (lookup) {
    const own =
      left!.distribution.kind === 'hash' ? left!.distribution.keys.map((leaf) => output[0].indexOf(leaf)) : [-1];
    return own.includes(-1) ? { kind: 'any' } : { kind: 'hash', keys: own };
  }
  const side = type === 'full' ? null : type === 'right' ? 1 : 0;
  if (side === null) return { kind: 'any' };
  const places = keys[side].map((leaf) => output[side].indexOf(leaf));
  if (places.includes(-1)) return { kind: 'any' };
  return { kind: 'hash', keys: places.map((place) => (side === 0 ? place : output[0].length + place)) };
}

function placement(place: 'slots' | 'caller', parallelism: number): Placement {
  return { place, parallelism, distribution: { kind: parallelism === 1 ? 'single' : 'any' } };
}

function gathered(from: readonly Placement[], to: Placement): Decision {
  return {
    placement: to,
    exchanges: from.map((p) =>
      p.place === to.place && p.parallelism === to.parallelism ? null : { kind: 'rebalance' },
    ),
  };
}

function placeSink(info: SinkInfo, from: readonly Placement[], updating: boolean, parallelism: number): Decision {
  if (info.place === 'caller') return gathered(from, placement('caller', 1));
  const wide = Math.max(...from.map((p) => (p.place === 'caller' ? parallelism : p.parallelism)));
  if (wide <= info.parallelismMax) return gathered(from, placement('slots', wide));
  // Changes of one row must meet one writer, in order.
  return gathered(from, placement('slots', updating ? 1 : Math.max(1, info.parallelismMax)));
}

/** Where the hashed leaves of the input are in the output; lost if one of them is. */
function outputDistribution(rel: Rel & { node: PhysicalNode }, input: Distribution): Distribution {
  if (input.kind !== 'hash') return input;
  const moved = input.keys.map((key) => outputLeaf(rel.node, key));
  return moved.every((leaf) => leaf !== null) ? { kind: 'hash', keys: moved } : { kind: 'any' };
}

function outputLeaf(node: PhysicalNode, leaf: number): number | null {
  switch (node.kind) {
    case 'watermark':
    case 'dynamicFilter':
    case 'sort':
    case 'limit':
    case 'topN':
    case 'over':
    case 'fromChangelog':
      return leaf;
    case 'toChangelog':
      return leaf;
    case 'project': {
      const found = node.columns.findIndex((column) => column.kind === 'column' && column.index === leaf);
      return found < 0 ? null : found;
    }
    case 'aggregate': {
      const found = node.keys.indexOf(leaf);
      return found < 0 ? null : found;
    }
    default:
      return null;
  }
}
