/**
 * What a plan may not ask for, beyond names and types (schema.ts). Two tables by kind: `checkNodes` on what was written,
 * `checkChanges` on what it means in this regime. Every message names the operator, the place, the reason and a remedy.
 */
import { MillraceError } from '../base/errors.ts';
import type { ConnectorSpec, SinkInfo, SourceInfo } from '../ports/connector.ts';
import { storageOf, storedTypes } from '../record/layout.ts';
import { type DataType, type Fields, typeName } from '../record/types.ts';
import { leafIndices, leavesOf, rowtimeIndex, type Schema } from './columns.ts';
import { isEventTime } from './event-time.ts';
import { fail, nodeName, whereOf } from './names.ts';
import type { Plan, PlanNode, PlanNodeKind, ProcessNode, TopNNode } from './nodes.ts';
import type { Rel, RelNode, RelPlan } from './rel.ts';
import { inputSchemas, type Schemas } from './schema.ts';
import type { StateSpec } from './states.ts';
import { changeMakers, type Traits } from './traits.ts';

/** Whether the job's input ends, and why not. */
export interface Regime {
  readonly bounded: boolean;
  /** `the job runs with --stream`, or `clicks never ends`. */
  readonly why: string;
}

/** Errors: `plan/unbounded` when an input that never ends is to be read as bounded. */
export function regimeOf(
  plan: Plan,
  mode: 'bounded' | 'stream' | null,
  sources: ReadonlyMap<string, SourceInfo>,
): Regime {
  if (mode === 'stream') return { bounded: false, why: 'the job runs as a stream' };
  for (const node of plan.nodes) {
    if (node.kind !== 'source' || sources.get(node.id)!.bounded) continue;
    const why = `${node.connector.kind} ${node.connector.label} never ends`;
    if (mode === 'bounded') {
      fail(
        'plan/unbounded',
        node,
        `${why}, so the job cannot run bounded; run it as a stream, or read a source that ends`,
      );
    }
    return { bounded: false, why };
  }
  return { bounded: true, why: 'all sources end' };
}

type NodeCheck<N extends PlanNode> = (node: N, context: { schemas: Schemas; regime: Regime; plan: Plan }) => void;
const nothing = (): void => {};

export function checkNodes(plan: Plan, schemas: Schemas, regime: Regime): void {
  for (const node of plan.nodes) {
    checkPorts(node, plan);
    (nodeChecks[node.kind] as NodeCheck<PlanNode>)(node, { schemas, regime, plan });
  }
}

/** Late rows come from a windowed aggregate only; that no other node has a second output, `validatePlan` has seen. */
function checkPorts(node: PlanNode, plan: Plan): void {
  for (const ref of node.inputs) {
    const from = ref.port === 0 ? null : plan.nodes.find((n) => n.id === ref.node);
    if (from?.kind === 'aggregate' && from.window === null) {
      fail(
        'plan/window',
        node,
        `${nodeName(from)} has no late rows: it has no window; group by tumble, hop or session to have some`,
      );
    }
  }
}

const nodeChecks: { [K in PlanNodeKind]: NodeCheck<Extract<PlanNode, { kind: K }>> } = {
  source: nothing,
  eventTime: (node) => {
    if (!(node.outOfOrdernessMs >= 0))
      fail('plan/window', node, `outOfOrderness is ${node.outOfOrdernessMs} ms; it cannot be negative`);
    if (node.idleAfterMs !== null && !(node.idleAfterMs > 0))
      fail('plan/window', node, `idleAfter is ${node.idleAfterMs} ms; it must be positive`);
  },
  filter: nothing,
  project: nothing,
  map: nothing,
  union: nothing,
  aggregate: (node, { schemas }) => {
    const [input] = inputSchemas(node, schemas);
    if (node.window === null) {
      if (node.allowedLatenessMs > 0)
        fail('plan/window', node, 'allowedLateness needs a window among the keys; without one no row is late');
      return;
    }
    if (node.keys.includes('window')) {
      fail(
        'plan/duplicate',
        node,
        `the key already has a column 'window', and the new window would be another; rename the first with select`,
      );
    }
    const byClock = node.window.time === 'processing';
    if (byClock && node.allowedLatenessMs > 0)
      fail('plan/window', node, 'allowedLateness is for windows by event time; by the clock no row is late');
    if (!byClock && !input!.time) {
      fail(
        'plan/window',
        node,
        `windows need event time, and the rows have none here; say .eventTime(column) before the window, or time: 'processing' for windows by the clock (event time is lost behind a groupBy without a window and behind distinct, and in a union with a stream that has none)`,
      );
    }
    const { window } = node;
    const lengths =
      window.kind === 'session'
        ? [window.gapMs]
        : window.kind === 'hop'
          ? [window.sizeMs, window.slideMs]
          : [window.sizeMs];
    for (const ms of lengths)
      if (!(Number.isSafeInteger(ms) && ms > 0))
        fail('plan/window', node, `a window of ${ms} ms; lengths are positive whole milliseconds`);
    if (window.kind === 'hop' && window.slideMs > window.sizeMs) {
      fail(
        'plan/window',
        node,
        `the window slides by ${window.slideMs} ms, further than its size of ${window.sizeMs} ms: rows between would be lost; slide by at most the size`,
      );
    }
  },
  process: checkProcess,
  join: nothing,
  distinct: nothing,
  sort: (node, { regime }) => {
    if (!regime.bounded)
      fail(
        'plan/unbounded',
        node,
        `rows can only be put in order when the input ends, and ${regime.why}; use topN for a ranking that is kept up to date, or sort what reads the result`,
      );
  },
  limit: (node) => positive(node, node.rows, 'limit'),
  topN: (node, { regime, schemas }) => {
    positive(node, node.n, 'topN');
    if (node.keep) checkKept(node, regime, inputSchemas(node, schemas)[0]!);
    else if (node.by.length === 0)
      fail('plan/unbounded', node, 'topN needs an order; give orderBy at least one column');
  },
  toChangelog: nothing,
  fromChangelog: nothing,
  over: nothing,
  sink: nothing,
};

/** Deduplication: by what can be compared in state, and the first only where no earlier one can come. */
function checkKept(node: TopNNode, regime: Regime, input: Schema): void {
  const by = node.by[0];
  if (input.window && node.partitionBy.includes(input.window.column)) {
    fail(
      'plan/unsupported',
      node,
      'one row of each window is a ranking: say topN(1, { orderBy: … }), which is final with the window',
    );
  }
  if (by === undefined) return;
  const leaves = leafIndices(input, by.column)!.map((leaf) => leavesOf(input)[leaf]!);
  if (leaves.length !== 1 || leaves[0]!.storage === 'view') {
    fail(
      'plan/unsupported',
      node,
      `rows are kept by a number or a time, and '${by.column}' is none; say topN(1, { orderBy: '${by.column}' })`,
    );
  }
  if (node.keep === 'first' && !regime.bounded) {
    fail(
      'plan/unbounded',
      node,
      `an earlier row by '${by.column}' may always come, and ${regime.why}; say keepFirst() for the first that comes, or topN(1, { orderBy: '${by.column}' }), which is corrected`,
    );
  }
}

function checkProcess(node: ProcessNode, { schemas, plan }: Parameters<NodeCheck<ProcessNode>>[1]): void {
  const inputs = inputSchemas(node, schemas);
  const keyed = node.ports.flatMap((port, i) => (port.keys === null ? [] : [{ port, timed: inputs[i]!.time }]));
  const without = keyed.find(({ timed }) => !timed);
  if (without && keyed.some(({ timed }) => timed)) {
    fail(
      'plan/window',
      node,
      `input '${without.port.name}' has no event time, others have: timers would wait for it for ever; say .eventTime(column) before its keyBy`,
    );
  }
  if (without) {
    const spec = node.state.find(({ ttl }) => ttl?.time === 'event');
    if (spec)
      fail(
        'plan/window',
        node,
        `state '${spec.name}' lives by event time, and the rows have none; say .eventTime(column) before keyBy, or ttlTime: 'processing'`,
      );
  }
  if (node.broadcastState.length > 0 && node.ports.every((port) => port.keys !== null))
    fail(
      'plan/type',
      node,
      'broadcastState needs a broadcast input that writes it: none of the inputs is .broadcast()',
    );
  for (const spec of [...node.state, ...node.broadcastState, ...(node.operatorState ?? [])]) checkState(node, spec);
  const read = (port: number): boolean =>
    plan.nodes.some((n) => n.inputs.some((ref) => ref.node === node.id && ref.port === port));
  [node.output ?? [], ...node.side.map(({ schema }) => schema)].forEach((fields, port) => {
    const bad = read(port) ? unstored({ kind: 'ROW', fields }) : null;
    if (bad === null) return;
    const what = port === 0 ? 'its output' : `side output '${node.side[port - 1]!.name}'`;
    fail(
      'plan/unsupported',
      node,
      `${what} has a column of type ${typeName(bad)}, which rows cannot carry yet; use ${storedTypes}`,
    );
  });
  if (node.output === null && read(0))
    fail('plan/type', node, 'its main output is read, but it declares none; give process an output schema');
}

/** Types that state can hold, each with a place in its layout. */
function checkState(node: ProcessNode, spec: StateSpec): void {
  const types = spec.kind === 'aggregating' ? spec.accumulator.map((field) => field.type) : [spec.type];
  for (const type of types) {
    const bad = unstored(type, true);
    if (bad !== null)
      fail('plan/unsupported', node, `state '${spec.name}' is of type ${typeName(bad)}, which state cannot hold yet`);
  }
  const bad = spec.kind === 'map' ? unstored(spec.key) : null;
  if (bad !== null)
    fail('plan/unsupported', node, `the key of map '${spec.name}' is of type ${typeName(bad)}; use ${storedTypes}`);
}

/** A type within `type` that has no place; `kept`: arrays and maps have one, as bytes. */
function unstored(type: DataType, kept = false): DataType | null {
  const inner =
    type.kind === 'ROW'
      ? type.fields.map((field) => field.type)
      : kept && type.kind === 'ARRAY'
        ? [type.of]
        : kept && type.kind === 'MAP'
          ? [type.key, type.value]
          : null;
  if (inner !== null) {
    for (const of of inner) {
      const bad = unstored(of, kept);
      if (bad !== null) return bad;
    }
    return null;
  }
  try {
    storageOf(type);
    return null;
  } catch {
    return type;
  }
}

function positive(node: PlanNode, n: number, what: string): void {
  if (!Number.isSafeInteger(n) || n < (what === 'limit' ? 0 : 1))
    fail('option/invalid', node, `${what} of ${n}; it takes a whole number of rows`);
}

export type DescribeSink = (spec: ConnectorSpec, fields: Fields, updating: boolean) => SinkInfo;

/** Asks every sink what it takes, by index of the rel. Errors: `plan/changelog`, and the connectors' own. */
export function checkChanges(
  plan: RelPlan,
  traits: readonly Traits[],
  regime: Regime,
  sinks: DescribeSink,
): Map<string, SinkInfo> {
  const infos = new Map<string, SinkInfo>();
  plan.rels.forEach((rel) => {
    rel.inputs.forEach((ref, port) => {
      const updating = traits[ref.rel]!.changes[ref.port] === 'all';
      const makers = updating ? changeMakers(plan, traits, ref.rel).join(' and ') : '';
      const context = { rel, port, updating, makers, regime };
      if (rel.node.kind === 'over' && !updating && !regime.bounded) checkTimeOrder(rel.node, rel, plan, regime);
      if (rel.node.kind === 'sink') infos.set(rel.from.id, checkSink(rel.node, context, sinks));
      else if (updating) (changeChecks[rel.node.kind] as ChangeCheck<RelNode>)(rel.node, context);
    });
  });
  return infos;
}

interface ChangeContext {
  readonly rel: Rel;
  /** Whose rows they are. */
  readonly port: number;
  readonly updating: boolean;
  readonly makers: string;
  readonly regime: Regime;
}
type ChangeCheck<N> = (node: N, context: ChangeContext) => void;

/** Operators that get corrections: which can take them. */
const changeChecks: { [K in Exclude<RelNode['kind'], 'sink'>]: ChangeCheck<Extract<RelNode, { kind: K }>> } = {
  source: nothing,
  watermark: (_node, { rel, makers, regime }) => {
    fail(
      'plan/changelog',
      rel.from,
      `event time cannot be given to rows that ${makers} corrects later (${regime.why}); give it before that step`,
    );
  },
  dynamicFilter: nothing,
  project: nothing,
  map: nothing,
  union: nothing,
  aggregate: (node, { rel, makers, regime }) => {
    if (node.window) {
      fail(
        'plan/changelog',
        rel.from,
        `a window cannot take back rows, and ${makers} corrects its results (${regime.why}); leave out allowedLateness there, or run it bounded`,
      );
    }
  },
  process: nothing,
  join: (node, { rel, makers, regime, port }) => {
    const corrected = `and ${makers} corrects its results (${regime.why})`;
    if (node.lookup) {
      fail(
        'plan/changelog',
        rel.from,
        `a row that waits for the table cannot be taken back, ${corrected}; put lookupJoin before that step, use leftJoin with the table as a stream, or run it bounded`,
      );
    }
    if (node.within) {
      fail(
        'plan/changelog',
        rel.from,
        `what an interval join gives is final, ${corrected}; put the join before that step, leave out within, or run it bounded`,
      );
    }
    if (node.asOf) {
      fail(
        'plan/changelog',
        rel.from,
        port === 0
          ? `a row that has met its version is not taken back, ${corrected}; put the join before that step, or run it bounded`
          : `every row of the right side is a version from its event time on, ${corrected}; give the join the rows before that step (keepLast is not needed), or run it bounded`,
      );
    }
  },
  sort: nothing,
  toChangelog: nothing,
  fromChangelog: (_node, { rel, makers, regime }) => {
    fail(
      'plan/changelog',
      rel.from,
      `it takes rows that say what they change, and ${makers} corrects its results (${regime.why}); leave fromChangelog out: the stream is a changelog already`,
    );
  },
  limit: (_node, { rel, makers, regime }) => {
    fail(
      'plan/changelog',
      rel.from,
      `a limit cannot take back rows, and ${makers} corrects its results (${regime.why}); put the limit before it, use topN on final results, or run it bounded`,
    );
  },
  over: (node, { rel, makers, regime }) => {
    const leaf = rel.outputs[0]![node.by[0]!]!;
    if (leaf.type.kind === 'TIMESTAMP' || leaf.type.kind === 'DATE') return;
    fail(
      'plan/window',
      rel.from,
      `OVER of rows that ${makers} corrects (${regime.why}) goes in the order of a time, and ${leaf.name.startsWith('$') ? 'what it is ordered by' : `'${leaf.name}'`} is ${typeName(leaf.type)}; order by a TIMESTAMP or DATE column first, or run it bounded`,
    );
  },
  topN: (node, { rel, makers, regime }) => {
    if (node.keep) {
      fail(
        'plan/changelog',
        rel.from,
        `what is kept is one row of those that came, and ${makers} corrects its results (${regime.why}); say topN(1, { orderBy: … }), which keeps the rest for when that row is taken back, or run it bounded`,
      );
    }
    if (node.windowEnd != null) {
      fail(
        'plan/changelog',
        rel.from,
        `a ranking within a window is final when the window closes, and ${makers} corrects its results (${regime.why}); leave the window out of its groupBy, or run it bounded`,
      );
    }
    if (node.using !== 'ROW_NUMBER') {
      fail(
        'plan/changelog',
        rel.from,
        `${node.using} cannot take back rows yet, and ${makers} corrects its results (${regime.why}); rank by ROW_NUMBER, or run it bounded`,
      );
    }
  },
};

/** Rows that only come get their results in the order of event time, so an OVER goes by it. */
function checkTimeOrder(node: OverRel, { from, inputs, outputs }: Rel, plan: RelPlan, { why }: Regime): void {
  const [input] = inputs;
  if (isEventTime(plan, input!, node.by[0]!)) return;
  const timed = rowtimeIndex(plan.rels[input!.rel]!.outputs[input!.port]!) !== null;
  const column = outputs[0]![node.by[0]!]!.name;
  fail(
    'plan/window',
    from,
    `OVER of rows that never end goes in the order of their event time (${why}), and ${column.startsWith('$') ? 'what it is ordered by' : `'${column}'`} is not it: a row could always come before others; ${timed ? 'order by the column that eventTime names, first' : 'say .eventTime(column) before it, and order by that column'}, or run it bounded`,
  );
}
type OverRel = Extract<RelNode, { kind: 'over' }>;

function checkSink(
  node: Extract<RelNode, { kind: 'sink' }>,
  { rel, updating, makers, regime }: ChangeContext,
  sinks: DescribeSink,
): SinkInfo {
  const refuse = (): never =>
    fail(
      'plan/changelog',
      rel.from,
      `${node.connector.kind} ${node.connector.label} takes only new rows, and ${makers} corrects its results (${regime.why}); write to a sink that takes changes (jsonl, csv and parquet do with a row_kind column), group by a window without allowedLateness, or run it bounded`,
    );
  let info: SinkInfo;
  try {
    info = sinks(node.connector, node.fields, updating);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    throw new MillraceError(error.code, error.message, {
      where: { ...whereOf(rel.from), ...error.where },
      cause: error.cause,
      retryable: error.retryable,
    });
  }
  if (updating && info.accepts === 'insert') refuse();
  return info;
}
