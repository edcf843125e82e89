/**
 * What is known of every operator's rows without running it, in one table: change kinds, upsert key, event time, order,
 * rows at most, and what bounds its state. Rules and checks ask here; `explain` prints it. How rows are distributed over
 * subtasks is known only behind the exchanges (distribute.ts).
 */
import { grouped } from '../base/describe.ts';
import type { Layout } from '../record/layout.ts';
import { rowtimeIndex } from './columns.ts';
import { durationText, nodeName } from './names.ts';
import type { SortKey, TimeBound } from './physical.ts';
import type { Rel, RelNode, RelPlan } from './rel.ts';

/** `insert`: only +I. `all`: rows may be corrected or withdrawn. */
export type Changes = 'insert' | 'all';

export interface Traits {
  readonly bounded: boolean;
  /**
   * How the update of a key is told, where there are updates. `whole`: by −U and +U, from one subtask; `after`: by +U alone;
   * `halves`: one of the two may be missing; `loose`: nothing is known.
   */
  readonly updates: 'whole' | 'after' | 'halves' | 'loose';
  /** By output port. */
  readonly changes: readonly Changes[];
  /** Leaves of the main output that identify a row; null: none known. */
  readonly upsertKey: readonly number[] | null;
  /** Leaf of the event time in the main output. */
  readonly time: number | null;
  /** The order in which the rows of one subtask come; null: none. */
  readonly order: readonly SortKey[] | null;
  /** At most so many rows come out; null: unknown. */
  readonly rowsMax: number | null;
  /** What is kept between batches and what bounds it; null: nothing. */
  readonly state: string | null;
}

/** Traits of one rel from those of its inputs (the trait of the port that is read stands first in `changes`). */
type TraitRule<N extends RelNode> = (of: {
  readonly node: N;
  readonly rel: Rel;
  readonly inputs: readonly Traits[];
  readonly inputLayouts: readonly Layout[];
  readonly estimatedRows: number | null;
  readonly bounded: boolean;
}) => Omit<Traits, 'bounded' | 'time' | 'updates'> & Partial<Pick<Traits, 'updates'>>;

/** `estimates`: rows of sources, by logical node. Answers one entry per rel. */
export function traitsOf(plan: RelPlan, bounded: boolean, estimates: ReadonlyMap<string, number | null>): Traits[] {
  const all: Traits[] = [];
  for (const rel of plan.rels) {
    const inputs = rel.inputs.map(({ rel: from, port }): Traits => {
      const traits = all[from]!;
      return port === 0 ? traits : { ...traits, changes: [traits.changes[port]!], upsertKey: null, order: null };
    });
    const inputLayouts = rel.inputs.map((ref) => plan.rels[ref.rel]!.outputs[ref.port]!);
    const rule = table[rel.node.kind] as TraitRule<RelNode>;
    const estimatedRows = bounded ? (estimates.get(rel.from.id) ?? null) : null;
    const traits = rule({ node: rel.node, rel, inputs, inputLayouts, estimatedRows, bounded });
    all.push({ bounded, time: rowtimeIndex(rel.outputs[0]!), updates: 'loose', ...traits });
  }
  return all;
}

/** Rows go through as they are. */
const passed = (input: Traits): Omit<Traits, 'bounded' | 'time'> => ({
  ...input,
  changes: [input.changes[0]!],
  state: null,
});

const table: { [K in RelNode['kind']]: TraitRule<Extract<RelNode, { kind: K }>> } = {
  source: ({ rel, estimatedRows }) => ({
    changes: rel.outputs.map((): Changes => 'insert'),
    upsertKey: null,
    order: null,
    rowsMax: estimatedRows,
    state: 'the position in each split',
  }),
  watermark: ({ inputs: [input] }) => passed(input!),
  dynamicFilter: ({ inputs: [input] }) => passed(input!),
  project: ({ node, inputs: [input] }) => {
    const places = new Map<number, number>();
    node.columns.forEach((column, i) => {
      if (column.kind === 'column' && !places.has(column.index)) places.set(column.index, i);
    });
    return {
      ...passed(input!),
      updates: node.filter !== null && input!.updates === 'whole' ? 'halves' : input!.updates,
      upsertKey: input!.upsertKey?.every((leaf) => places.has(leaf))
        ? input!.upsertKey.map((leaf) => places.get(leaf)!)
        : null,
      order: movedOrder(input!.order, places),
    };
  },
  map: ({ node, rel, inputs: [input] }) => ({
    ...passed(input!),
    changes: rel.outputs.map((_, port): Changes => (port === 0 ? input!.changes[0]! : 'insert')),
    updates: 'loose',
    upsertKey: null,
    order: null,
    rowsMax: node.style === 'map' ? input!.rowsMax : null,
  }),
  union: ({ inputs }) => ({
    changes: [inputs.some((input) => input.changes[0] === 'all') ? 'all' : 'insert'],
    upsertKey: null,
    order: null,
    rowsMax: inputs.reduce<number | null>(
      (sum, input) => (sum === null || input.rowsMax === null ? null : sum + input.rowsMax),
      0,
    ),
    state: null,
  }),
  aggregate: ({ node, rel, inputs: [input], bounded, inputLayouts }) => {
    const keyCount = node.keys.length + (node.window ? 2 : 0);
    const corrects = node.window ? node.allowedLatenessMs > 0 : node.calls.length > 0 || input!.changes[0] === 'all';
    const copies = node.window?.kind === 'hop' ? Math.ceil(node.window.sizeMs / node.window.slideMs) : 1;
    return {
      changes: [!bounded && node.phase !== 'partial' && corrects ? 'all' : 'insert', 'insert'].slice(
        0,
        rel.outputs.length,
      ) as Changes[],
      updates: told(node),
      upsertKey: node.phase === 'partial' ? null : Array.from({ length: keyCount }, (_, i) => i),
      order: null,
      rowsMax: keyCount === 0 ? 1 : input!.rowsMax === null ? null : input!.rowsMax * copies,
      state: aggregateState(node, keyNames(rel, node.keys.length), bounded, untilText(node.frees, inputLayouts[0]!)),
    };
  },
  process: ({ node, rel }) => ({
    changes: rel.outputs.map((): Changes => 'insert'),
    upsertKey: null,
    order: null,
    rowsMax: null,
    state: processState(node),
  }),
  join: ({ node, inputs: [left, right], bounded, inputLayouts }) => ({
    changes: [joinChanges(node, [left!.changes[0]!, right!.changes[0]!], bounded)],
    upsertKey: joinKey(node, left!, right!),
    order: null,
    rowsMax: null,
    state: joinState(node, inputLayouts, bounded),
  }),
  sort: ({ node, inputs: [input] }) => ({
    ...passed(input!),
    order: node.by,
    rowsMax: least(input!.rowsMax, node.limit),
    state: node.limit === null ? 'all rows of the input, until it ends' : `the first ${node.limit} rows`,
  }),
  limit: ({ node, inputs: [input] }) => ({
    ...passed(input!),
    rowsMax: least(input!.rowsMax, node.rows),
    state: 'a count of rows',
  }),
  over: ({ node, rel, inputs: [input], bounded }) => ({
    ...passed(input!),
    updates: 'loose',
    order: null,
    changes: [bounded ? 'insert' : input!.changes[0]!],
    state: overState(node, rel, bounded, input!.changes[0] === 'all'),
  }),
  topN: ({ node, rel, inputs: [input], bounded, inputLayouts }) => {
    const partition = node.partitionBy.length > 0;
    const until = !bounded && node.windowEnd != null ? ", dropped when the watermark passes its window's end" : '';
    const known = node.keep !== undefined || (node.using === 'ROW_NUMBER' && (node.rank || node.n === 1));
    const ties = node.using === 'ROW_NUMBER' ? '' : ' and their ties';
    return {
      changes: [
        bounded || node.windowEnd != null || (node.keep === 'first' && node.by.length === 0) ? 'insert' : 'all',
      ],
      updates: known ? told(node) : 'loose',
      upsertKey:
        node.keep || (node.n === 1 && node.using === 'ROW_NUMBER')
          ? node.partitionBy
          : (rankKey(node, rel) ?? input!.upsertKey),
      order: partition || !bounded || node.keep ? null : node.by,
      rowsMax: partition || node.using !== 'ROW_NUMBER' ? input!.rowsMax : least(input!.rowsMax, node.n),
      state:
        !bounded && node.windowEnd == null && input!.changes[0] === 'all'
          ? 'every row of the input, in order, until it is taken back: any of them may move up'
          : node.frees
            ? `one row per key${untilText(node.frees, inputLayouts[0]!)}`
            : node.keep
              ? `one row per key (${node.keep === 'first' && node.by.length === 0 ? 'only the key of it' : 'the whole row'}), kept for as long as the ${bounded ? 'input lasts' : 'job runs: bounded only by the number of keys'}`
              : partition
                ? `${node.n} rows${ties} per group${until}`
                : `${node.n} rows${ties}`,
    };
  },
  toChangelog: ({ inputs: [input] }) => ({
    changes: ['insert'],
    upsertKey: null,
    order: input!.order,
    rowsMax: input!.changes[0] === 'all' ? null : input!.rowsMax,
    state: null,
  }),
  fromChangelog: ({ node, rel, inputs: [input], bounded }) => ({
    changes: [bounded ? 'insert' : 'all'],
    updates: told(node),
    upsertKey: node.keys,
    order: null,
    rowsMax: input!.rowsMax,
    state: `the last row of each (${node.keys.map((key) => rel.outputs[0]![key]!.name).join(', ')}), until it is deleted: bounded only by the number of keys${bounded ? '' : ' that stand'}`,
  }),
  sink: ({ inputs: [input] }) => ({ ...passed(input!), state: null }),
};

const told = ({ withoutBefore }: { readonly withoutBefore?: true }): Traits['updates'] =>
  withoutBefore ? 'after' : 'whole';

type JoinRel = Extract<RelNode, { kind: 'join' }>;

function joinChanges(
  { type, windowEnd, lookup, within, asOf }: JoinRel,
  inputs: readonly Changes[],
  bounded: boolean,
): Changes {
  if (bounded || windowEnd || asOf) return 'insert';
  if (within) return inputs.includes('all') ? 'all' : 'insert';
  const corrects = type !== 'inner' && type !== 'semi' && !lookup;
  return corrects || inputs.includes('all') ? 'all' : 'insert';
}

/** The keys of both sides; of one alone, where a row of it meets one row of the other at most. */
function joinKey({ type, keys, output, lookup, asOf }: JoinRel, left: Traits, right: Traits): readonly number[] | null {
  const sides = [left, right].map(({ upsertKey }, side) => {
    const places = upsertKey?.map((leaf) => output[side]!.indexOf(leaf) + (side === 0 ? 0 : output[0].length));
    return {
      key: places && upsertKey!.every((leaf) => output[side]!.includes(leaf)) ? places : null,
      once: upsertKey?.every((leaf) => keys[side]!.includes(leaf)) ?? false,
    };
  });
  const [l, r] = sides;
  if (type === 'semi' || type === 'anti' || lookup || asOf) return l!.key;
  if (r!.once && (type === 'inner' || type === 'left') && l!.key) return l!.key;
  if (l!.once && (type === 'inner' || type === 'right') && r!.key) return r!.key;
  return l!.key && r!.key ? [...l!.key, ...r!.key] : null;
}

function joinState(
  { keys, type, bounds, windowEnd, lookup, within, asOf }: JoinRel,
  inputs: readonly Layout[],
  bounded: boolean,
): string {
  const names = (side: number, leaves: readonly number[]): string =>
    leaves.map((leaf) => inputs[side]![leaf]!.name).join(', ');
  const by = (side: number): string => (keys[side]!.length === 0 ? '' : ` by (${names(side, keys[side]!)})`);
  const right = type === 'semi' || type === 'anti' ? 'different rows' : 'rows';
  const sides = [`rows of the left side${by(0)}`, `${right} of the right side${by(1)}`];
  if (lookup)
    return `the table by (${names(1, keys[1])}), whole, in every slot; rows of the left side until it was read`;
  if (bounded) return `${sides.join(' and ')}, until the inputs end`;
  if (asOf) return asOfState(asOf, by(0), by(1));
  if (within && type !== 'inner') {
    const until = (ms: number): string => `each until event time passes its own${shift(ms)}`;
    return `${sides[0]}, ${until(within.toMs)}; ${sides[1]}, ${until(-within.fromMs)}`;
  }
  if (windowEnd) return `${sides.join(' and ')}, dropped when the watermark passes their window's end`;
  if (!bounds) {
    return `${sides.join(' and ')}, for as long as the job runs: it grows with every row of both sides, and nothing bounds it (${remedies})`;
  }
  const until = [0, 1].map((side) => {
    const ends = [
      ...(bounds.once[1 - side] ? [`its one match comes (${names(1 - side, keys[1 - side]!)} never repeats)`] : []),
      ...bounds.dies[side]!.map(({ leaf, plusMs }) => `event time passes ${names(side, [leaf])}${shift(-plusMs)}`),
    ];
    return ends.length === 0
      ? `${sides[side]}, for as long as the job runs: it grows with every row of that side`
      : `${sides[side]}, each until ${ends.join(', or ')}`;
  });
  return until.join('; ');
}

function asOfState({ toleranceMs }: NonNullable<JoinRel['asOf']>, left: string, right: string): string {
  const last =
    toleranceMs === null
      ? 'the last one for as long as the job runs: bounded only by the number of keys'
      : `the last one until event time is ${durationText(toleranceMs)} past it`;
  return `rows of the left side${left}, each until event time has come to its own; versions of the right side${right} that are still to come into force, and of each key ${last}`;
}

const remedies =
  "compare time columns of both sides, or declare a source's key that never repeats, from(source, { key }); group or deduplicate before the join, or filter both sides";

const shift = (ms: number): string => (ms === 0 ? '' : ` ${ms < 0 ? '−' : '+'} ${durationText(Math.abs(ms))}`);

/** Unbounded joins whose state nothing bounds, for a warning. */
export function unboundedJoins(
  plan: RelPlan,
  traits: readonly Traits[],
): readonly { readonly rel: Rel; readonly state: string }[] {
  return plan.rels.flatMap((rel, i) => {
    const { node } = rel;
    const free = node.kind === 'join' && !traits[i]!.bounded && !node.bounds && !boundedItself(node);
    return free ? [{ rel, state: traits[i]!.state! }] : [];
  });
}

/** Joins that let go of rows whatever their conditions are. */
const boundedItself = ({ windowEnd, lookup, within, asOf, type }: JoinRel): boolean =>
  windowEnd !== undefined || lookup === true || asOf !== undefined || (within !== undefined && type !== 'inner');

/** ROW_NUMBER beside the partition identifies a row. */
function rankKey(node: Extract<RelNode, { kind: 'topN' }>, rel: Rel): readonly number[] | null {
  if (!node.rank || node.using !== 'ROW_NUMBER') return null;
  const layout = rel.outputs[0]!;
  return [...node.partitionBy, layout.length - 1 - (rowtimeIndex(layout) === null ? 0 : 1)];
}

function overState({ partitionBy, by, frame }: OverRel, rel: Rel, bounded: boolean, changes: boolean): string {
  const names = (leaves: readonly number[]): string => leaves.map((leaf) => rel.outputs[0]![leaf]!.name).join(', ');
  const of = partitionBy.length === 0 ? '' : ` of each (${names(partitionBy)})`;
  if (bounded) return `all rows${of} in order of ${names(by)}, until the input ends`;
  if (changes)
    return `all rows${of} with their results, until they are taken back: it grows with every row that stays, and nothing bounds it (group or deduplicate before, or filter)`;
  const waiting = 'rows until event time has passed them';
  if (frame.preceding === null) return `${waiting}; the running aggregates${of}, bounded only by the number of keys`;
  if (frame.unit === 'rows')
    return `${waiting}; the last ${frame.preceding} rows${of}, bounded only by the number of keys`;
  return `${waiting}; those of the last ${durationText(frame.preceding)}, dropped when the watermark has passed them so far`;
}

type OverRel = Extract<RelNode, { kind: 'over' }>;

/** `each until event time passes expires`; empty: it stays. */
function untilText(frees: TimeBound | undefined, input: Layout): string {
  return frees
    ? `, each until event time passes ${input[frees.leaf]!.name.replace(/^(\$until |left\.|right\.)+/, '')}${shift(-frees.plusMs)}`
    : '';
}

function aggregateState(
  node: Extract<RelNode, { kind: 'aggregate' }>,
  keys: string,
  bounded: boolean,
  until: string,
): string {
  if (node.phase === 'partial')
    return 'none that lasts: partial results are emitted before every watermark and barrier';
  const entry = node.keys.length === 0 ? 'one entry' : `one entry per ${keys}`;
  if (!node.window) {
    if (until !== '') return `${entry}${until}`;
    return bounded
      ? `${entry}, until the input ends`
      : `${entry}, kept for as long as the job runs: bounded only by the number of keys`;
  }
  const lateness = node.allowedLatenessMs > 0 ? ` + ${durationText(node.allowedLatenessMs)}` : '';
  const [what, whose] = node.window.kind === 'session' ? ['session', "the session's"] : ['slice', "the window's"];
  const time = node.window.time === 'processing' ? 'clock' : 'watermark';
  return `${entry} and open ${what}, dropped when the ${time} passes ${whose} end${lateness}`;
}

function processState(node: Extract<RelNode, { kind: 'process' }>): string {
  const keys = node.ports.find((port) => port.key)!.key!.fields.map((field) => field.name);
  const parts = node.state.map(({ name, ttl }) =>
    ttl === null
      ? `'${name}' until the function clears it`
      : `'${name}' for ${durationText(ttl.ms)} of ${ttl.time} time after it was written`,
  );
  if (node.onTimer !== null) parts.push('timers until they fire or are cancelled');
  parts.push(...node.broadcastState.map(({ name }) => `'${name}' in every subtask`));
  parts.push(...(node.operatorState ?? []).map(({ name }) => `'${name}' of each subtask`));
  return parts.length === 0 ? 'nothing' : `per (${keys.join(', ')}): ${parts.join(', ')}`;
}

function keyNames(rel: Rel, count: number): string {
  return `(${rel.outputs[0]!.slice(0, count)
    .map((leaf) => leaf.name)
    .join(', ')})`;
}

function movedOrder(order: readonly SortKey[] | null, places: ReadonlyMap<number, number>): readonly SortKey[] | null {
  if (order === null) return null;
  const kept: SortKey[] = [];
  for (const key of order) {
    const place = places.get(key.column);
    if (place === undefined) break;
    kept.push({ ...key, column: place });
  }
  return kept.length > 0 ? kept : null;
}

function least(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null ? a : Math.min(a, b);
}

/** Row kinds, for people. */
export const changeKinds = { insert: '+I', after: '+I +U −D', all: '+I −U +U −D' } as const;

/** One line for people: only what is not obvious. */
export function traitsText(traits: Traits, rel: Rel): string {
  const layout = rel.outputs[0]!;
  const names = (leaves: readonly number[]): string =>
    leaves.map((leaf) => layout[leaf]?.name ?? `#${leaf}`).join(', ');
  const parts = [
    traits.bounded ? 'bounded' : 'unbounded',
    traits.changes[0] === 'all'
      ? `changes ${traits.updates === 'after' ? changeKinds.after : changeKinds.all}`
      : 'inserts only',
  ];
  if (traits.upsertKey !== null)
    parts.push(traits.upsertKey.length === 0 ? 'one row' : `key (${names(traits.upsertKey)})`);
  if (traits.time !== null) parts.push('event time');
  if (traits.order !== null)
    parts.push(`order (${traits.order.map((k) => names([k.column]) + (k.descending ? ' desc' : '')).join(', ')})`);
  if (traits.rowsMax !== null) parts.push(`at most ${grouped(traits.rowsMax)} rows`);
  return parts.join(' · ');
}

/** Who makes the changes that `rel` sees: the nearest operators above it that turn inserts into changes. */
export function changeMakers(plan: RelPlan, traits: readonly Traits[], index: number): string[] {
  const found = new Set<string>();
  const visit = (at: number): void => {
    const rel = plan.rels[at]!;
    const above = rel.inputs.filter(({ rel: from, port }) => traits[from]!.changes[port] === 'all');
    if (above.length === 0 && traits[at]!.changes[0] === 'all') found.add(nodeName(rel.from));
    for (const ref of above) visit(ref.rel);
  };
  visit(index);
  return [...found];
}
