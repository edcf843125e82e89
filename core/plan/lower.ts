/**
 * Logical nodes, already checked, become physical operators over leaf columns, one small step each and nothing clever:
 * event time is a last leaf of every layout behind `eventTime`, every aggregate is one step, everything is read. The rules
 * take from there.
 */

import { bindCondition } from '../expr/bind.ts';
import { exprText } from '../expr/print.ts';
import type { AggregateCall, Expr } from '../expr/tree.ts';
import { type Layout, layoutOf, rowtimeColumn, rowtimeName } from '../record/layout.ts';
import { sameType } from '../record/types.ts';
import { leafIndices, leavesOf, projectColumns, rowtimeIndex, type Schema, sameLayout } from './columns.ts';
import { columnExpr, identity, isIdentity } from './expressions.ts';
import { lowerJoin } from './join.ts';
import { lowerOver } from './lower-over.ts';
import { whereOf } from './names.ts';
import type { AggregateNode, NodeRef, Plan, PlanNode, PlanNodeKind, WindowSpec } from './nodes.ts';
import type { SortKey } from './physical.ts';
import { type Rel, type RelBuilder, type RelNode, type RelPlan, type RelRef, type RelRole, relBuilder } from './rel.ts';
import { type SplitAggregates, splitAggregates } from './rules/split-aggregates.ts';
import { attachedWindow, inputSchemas, keyFields, type Schemas } from './schema.ts';
import type { StateSpec } from './states.ts';

interface Context {
  readonly schemas: Schemas;
  readonly outputs: ReadonlyMap<string, string>;
  readonly builder: RelBuilder;
  /** Nodes above a process function: it waits for event time also on ended input. */
  readonly timers: ReadonlySet<string>;
}
type Lower<N extends PlanNode> = (node: N, inputs: readonly RelRef[], context: Context) => readonly RelRef[];

export function lower(plan: Plan, schemas: Schemas): RelPlan {
  const builder = relBuilder();
  const outputs = new Map<string, string>();
  for (const output of plan.outputs) if (!outputs.has(output.node)) outputs.set(output.node, output.name);
  const refs = new Map<string, readonly RelRef[]>();
  const timers = aboveProcess(plan);
  for (const node of plan.nodes) {
    const inputs = node.inputs.map((ref: NodeRef) => refs.get(ref.node)![ref.port]!);
    refs.set(node.id, (table[node.kind] as Lower<PlanNode>)(node, inputs, { schemas, outputs, builder, timers }));
  }
  return builder.plan();
}

function aboveProcess(plan: Plan): ReadonlySet<string> {
  const found = new Set<string>();
  for (const node of [...plan.nodes].reverse()) {
    if (node.kind === 'process' || found.has(node.id)) for (const { node: above } of node.inputs) found.add(above);
  }
  return found;
}

const table: { [K in PlanNodeKind]: Lower<Extract<PlanNode, { kind: K }>> } = {
  source: (node, _inputs, { schemas, builder }) => {
    const layout = leavesOf(schemas.get(node.id)![0]!);
    const request = { layout, prune: [], timeColumn: null };
    const never = node.key?.flatMap((name) => leafIndices(schemas.get(node.id)![0]!, name)!);
    const key = never === undefined ? {} : { neverRepeats: never };
    const table = node.table ? ({ table: true } as const) : {};
    const source = { kind: 'source', connector: node.connector, request, watermark: null, ...key, ...table } as const;
    return outputsOf(builder.add(rel(node, 'main', [], source, ...schemas.get(node.id)!.map(leavesOf))), node, schemas);
  },
  eventTime: (node, [input], context) => {
    const { schemas, builder } = context;
    const before = builder.layout(input!);
    const schema = schemas.get(node.id)![0]!;
    const layout = leavesOf(schema);
    const time = columnExpr(before, leafIndices(schema, node.column)![0]!);
    const precise = time.type.kind === 'TIMESTAMP' && time.type.precision > 3;
    const rowtime: Expr = precise
      ? { kind: 'cast', arg: time, safe: false, type: rowtimeColumn.type, nullable: time.nullable }
      : time;
    const columns = [...identity(layout.slice(0, -1)), rowtime];
    const timed = builder.add(rel(node, 'time', [input!], { kind: 'project', filter: null, columns }, layout));
    const watermark = {
      column: layout.length - 1,
      outOfOrdernessMs: node.outOfOrdernessMs,
      idleAfterMs: node.idleAfterMs,
    };
    const always = context.timers.has(node.id) ? ({ always: true } as const) : {};
    return [builder.add(rel(node, 'main', [timed], { kind: 'watermark', watermark, ...always }, layout))];
  },
  filter: (node, [input], { builder }) => {
    const layout = builder.layout(input!);
    const filter = bindCondition(node.condition, layout, whereOf(node));
    return [builder.add(rel(node, 'main', [input!], { kind: 'project', filter, columns: identity(layout) }, layout))];
  },
  project: (node, [input], { schemas, builder }) => {
    const [schema] = inputSchemas(node, schemas);
    const columns = projectColumns(node, schema!).flatMap((column) => column.leaves);
    const time = rowtimeIndex(builder.layout(input!));
    if (time !== null) columns.push(columnExpr(builder.layout(input!), time));
    const layout = leavesOf(schemas.get(node.id)![0]!);
    return [builder.add(rel(node, 'main', [input!], { kind: 'project', filter: null, columns }, layout))];
  },
  map: (node, [input], { schemas, builder }) => {
    const [schema] = inputSchemas(node, schemas);
    const layout = leavesOf(schemas.get(node.id)![0]!);
    const rowtime = rowtimeIndex(layout) === null ? null : rowtimeIndex(builder.layout(input!));
    const { style, functionId, onError } = node;
    const policy = onError === undefined ? {} : { onError };
    const map = {
      kind: 'map',
      style,
      functionId,
      input: schema!.fields,
      output: node.schema,
      rowtime,
      ...policy,
    } as const;
    const made = builder.add(rel(node, 'main', [input!], map, ...schemas.get(node.id)!.map(leavesOf)));
    return outputsOf(made, node, schemas);
  },
  union: (node, inputs, { schemas, builder }) => {
    const schema = schemas.get(node.id)![0]!;
    const layout = leavesOf(schema);
    const aligned = inputs.map((input, i) => alignedTo(node, input, inputSchemas(node, schemas)[i]!, schema, builder));
    return [builder.add(rel(node, 'main', aligned, { kind: 'union' }, layout))];
  },
  aggregate: (node, [input], { schemas, builder }) => lowerAggregate(node, input!, schemas, builder),
  process: (node, inputs, { schemas, builder }) => {
    const from = inputSchemas(node, schemas);
    const outputs = schemas.get(node.id)!.map(leavesOf);
    const timed = schemas.get(node.id)![0]!.time;
    const ports = node.ports.map(({ name, keys, handler }, i) => ({
      name,
      handler,
      fields: from[i]!.fields,
      key:
        keys === null
          ? null
          : { fields: keyFields(node, i, from[i]!), leaves: keys.flatMap((key) => leafIndices(from[i]!, key)!) },
      rowtime: rowtimeIndex(builder.layout(inputs[i]!)),
    }));
    const ttl = (spec: StateSpec): StateSpec =>
      spec.ttl?.time === null ? { ...spec, ttl: { ...spec.ttl, time: timed ? 'event' : 'processing' } } : spec;
    const process: RelNode = {
      kind: 'process',
      ports,
      output: node.output,
      side: node.side,
      state: node.state.map(ttl),
      broadcastState: node.broadcastState,
      ...(node.operatorState === undefined ? {} : { operatorState: node.operatorState }),
      onTimer: node.onTimer,
      ...(node.onError === undefined ? {} : { onError: node.onError }),
      timed,
    };
    return outputsOf(builder.add(rel(node, 'main', inputs, process, ...outputs)), node, schemas);
  },
  join: (node, [left, right], { schemas, builder }) => {
    const from = inputSchemas(node, schemas);
    return [lowerJoin(node, [left!, right!], [from[0]!, from[1]!], schemas.get(node.id)![0]!, builder)];
  },
  distinct: (node, [input], { schemas, builder }) => {
    const layout = leavesOf(schemas.get(node.id)![0]!);
    const keys = layout.map((_, i) => i);
    const aggregate: RelNode = {
      kind: 'aggregate',
      phase: 'single',
      keys,
      calls: [],
      window: null,
      time: null,
      allowedLatenessMs: 0,
    };
    return [builder.add(rel(node, 'main', [input!], aggregate, layout))];
  },
  sort: (node, [input], { schemas, builder }) => {
    const by = sortKeys(node.by, schemas.get(node.id)![0]!);
    return [
      builder.add(
        rel(node, 'main', [input!], { kind: 'sort', phase: 'single', by, limit: null }, builder.layout(input!)),
      ),
    ];
  },
  limit: (node, [input], { builder }) => [
    builder.add(
      rel(node, 'main', [input!], { kind: 'limit', phase: 'single', rows: node.rows }, builder.layout(input!)),
    ),
  ],
  topN: (node, [input], { schemas, builder }) => {
    const [schema] = inputSchemas(node, schemas);
    const top: RelNode = {
      kind: 'topN',
      phase: 'single',
      partitionBy: node.partitionBy.flatMap((name) => leafIndices(schema!, name)!),
      by: sortKeys(node.by, schema!),
      n: node.n,
      using: node.using,
      rank: node.rankAs !== null,
      ...(node.keep === undefined ? {} : { keep: node.keep }),
      windowEnd:
        schema!.window && node.partitionBy.includes(schema!.window.column)
          ? leafIndices(schema!, schema!.window.column)![1]!
          : null,
    };
    return [builder.add(rel(node, 'main', [input!], top, leavesOf(schemas.get(node.id)![0]!)))];
  },
  toChangelog: (node, [input], { schemas, builder }) => [
    builder.add(rel(node, 'main', [input!], { kind: 'toChangelog' }, leavesOf(schemas.get(node.id)![0]!))),
  ],
  fromChangelog: (node, [input], { schemas, builder }) => {
    const [from] = inputSchemas(node, schemas);
    const before = builder.layout(input!);
    const schema = schemas.get(node.id)![0]!;
    const layout = leavesOf(schema);
    // The kind goes last, event time goes.
    const columns = [...schema.fields.map(({ name }) => name), 'row_kind']
      .flatMap((name) => leafIndices(from!, name)!)
      .map((leaf) => columnExpr(before, leaf));
    const kinds = before[leafIndices(from!, 'row_kind')![0]!]!;
    const ordered = builder.add(
      rel(node, 'columns', [input!], { kind: 'project', filter: null, columns }, [...layout, kinds]),
    );
    const keys = node.key.flatMap((name) => leafIndices(schema, name)!);
    return [builder.add(rel(node, 'main', [ordered], { kind: 'fromChangelog', keys }, layout))];
  },
  over: (node, [input], { schemas, builder }) => [lowerOver(node, input!, schemas, builder)],
  sink: (node, [input], { schemas, outputs, builder }) => {
    const schema = schemas.get(node.id)![0]!;
    const fitted = alignedTo(node, input!, inputSchemas(node, schemas)[0]!, schema, builder);
    const sink: RelNode = {
      kind: 'sink',
      connector: node.connector,
      output: outputs.get(node.id) ?? node.id,
      fields: schema.fields,
      updating: false,
      ...(node.connector.upsertKey
        ? { upsert: { key: node.connector.upsertKey.flatMap((name) => leafIndices(schema, name)!) } }
        : {}),
    };
    return [builder.add(rel(node, 'main', [fitted], sink, leavesOf(schema)))];
  },
};

function rel(
  from: PlanNode,
  role: RelRole,
  inputs: readonly RelRef[],
  node: RelNode,
  ...outputs: readonly Layout[]
): Rel {
  return { node, inputs, outputs, from, role };
}

/** One reference for each output that the node has. */
const outputsOf = (made: RelRef, node: PlanNode, schemas: Schemas): readonly RelRef[] =>
  schemas.get(node.id)!.map((_, port) => ({ rel: made.rel, port }));

function sortKeys(by: readonly { column: string; descending: boolean }[], schema: Schema): SortKey[] {
  return by.flatMap(({ column, descending }) =>
    leafIndices(schema, column)!.map((leaf) => ({ column: leaf, descending })),
  );
}

/** The input's columns by name in the order, types and nullability of `to`. */
function alignedTo(node: PlanNode, input: RelRef, from: Schema, to: Schema, builder: RelBuilder): RelRef {
  const before = builder.layout(input);
  const layout = leavesOf(to);
  const columns = layout.map((leaf): Expr => {
    const index = leaf.name === rowtimeName ? rowtimeIndex(before)! : leafIndices(from, leaf.name)![0]!;
    const column = columnExpr(before, index);
    return sameType(column.type, leaf.type)
      ? column
      : { kind: 'cast', arg: column, safe: false, type: leaf.type, nullable: column.nullable };
  });
  if (isIdentity(columns, before) && sameLayout(before, layout)) return input;
  return builder.add(rel(node, 'columns', [input], { kind: 'project', filter: null, columns }, layout));
}

function lowerAggregate(node: AggregateNode, input: RelRef, schemas: Schemas, builder: RelBuilder): readonly RelRef[] {
  const [schema] = inputSchemas(node, schemas);
  const split = splitAggregates(node, schema!);
  const before = builder.layout(input);

  // Computed arguments and filters stand behind the input's own columns, before `$rowtime`; what nobody reads is pruned.
  const time = rowtimeIndex(before);
  const own = time === null ? before : before.slice(0, time);
  const computed: Expr[] = [];
  const known = new Map<string, number>();
  const columnFor = (expr: Expr | null): number | null => {
    if (expr === null) return null;
    if (expr.kind === 'column' && expr.index !== time) return expr.index;
    const key = JSON.stringify(expr);
    const at = known.get(key) ?? own.length + computed.length;
    if (!known.has(key)) {
      known.set(key, at);
      computed.push(expr);
    }
    return at;
  };
  const calls = split.calls.map((call): AggregateCall => {
    const arg = columnFor(call.arg);
    const filter = columnFor(call.filter);
    return {
      fn: call.fn,
      arg,
      argType: call.arg?.type ?? null,
      ...(call.arg === null ? {} : { argText: exprText(call.arg, before) }),
      argNullable: call.arg?.nullable ?? false,
      filter,
      ...(call.distinct ? { distinct: true as const } : {}),
      type: call.type,
      nullable: call.nullable,
    };
  });
  let from = input;
  let layout = before;
  if (computed.length > 0) {
    const made = computed.map(
      (expr, i) => layoutOf([{ name: `$arg${i}`, type: expr.type, nullable: expr.nullable }])[0]!,
    );
    layout = [...own, ...made, ...before.slice(own.length)];
    const columns = [...identity(own), ...computed, ...(time === null ? [] : [columnExpr(before, time)])];
    from = builder.add(rel(node, 'arguments', [input], { kind: 'project', filter: null, columns }, layout));
  }

  const attached = attachedWindow(node, schema!) ?? null;
  const byClock = node.window?.time === 'processing';
  const timed = (node.window !== null && !byClock) || attached !== null;
  const results = timed ? [...split.results, rowtimeColumn] : split.results;
  const aggregate = (keys: readonly number[], window: WindowSpec | null): RelNode => ({
    kind: 'aggregate',
    phase: 'single',
    keys,
    calls,
    window,
    time: window && window.time !== 'processing' ? rowtimeIndex(layout) : null,
    allowedLatenessMs: node.allowedLatenessMs,
  });
  const grouped = attached
    ? lowerAttached(node, from, leafIndices(schema!, attached.column)!, attached.spec, {
        split,
        results,
        aggregate,
        builder,
      })
    : builder.add(
        rel(node, 'main', [from], aggregate(split.keys, node.window), results, ...(node.window ? [layout] : [])),
      );

  // Back to the asked order: keys as they were named (the window among them), then the columns.
  const keyLeaves: number[][] = [];
  let next = 0;
  for (const key of node.keys) {
    if (key === null) keyLeaves.push([split.keys.length, split.keys.length + 1]);
    else keyLeaves.push(leafIndices(schema!, key)!.map(() => next++));
  }
  const columns = [
    ...keyLeaves.flat().map((leaf) => columnExpr(results, leaf)),
    ...split.columns.flatMap((column) => column.leaves),
    ...(timed ? [columnExpr(results, results.length - 1)] : []),
  ];
  const result = leavesOf(schemas.get(node.id)![0]!);
  const main = builder.add(rel(node, 'result', [grouped], { kind: 'project', filter: null, columns }, result));
  if (!node.window) return [main];

  // Late rows leave as they came: without the computed arguments.
  const lateColumns = [...identity(own), ...(time === null ? [] : [columnExpr(layout, layout.length - 1)])];
  const late: RelRef = { rel: grouped.rel, port: 1 };
  if (computed.length === 0) return [main, late];
  return [
    main,
    builder.add(rel(node, 'columns', [late], { kind: 'project', filter: null, columns: lateColumns }, before)),
  ];
}

interface AttachedContext {
  readonly split: SplitAggregates;
  /** What must come out: keys in order, the window among them, calls, `$rowtime`. */
  readonly results: Layout;
  readonly aggregate: (keys: readonly number[], window: WindowSpec | null) => RelNode;
  readonly builder: RelBuilder;
}

/**
 * Grouping by the window that rows are results of. Their event time is that window's end − 1 ms, and of all windows of a
 * kind just one ends there: so this is a tumbling window as long as the slide, fired by the same watermark. Sessions that end
 * together may have begun apart: their start stays a key, and each end is a window of its own.
 */
function lowerAttached(
  node: AggregateNode,
  from: RelRef,
  [startLeaf, endLeaf]: readonly number[],
  spec: WindowSpec,
  { split, results, aggregate, builder }: AttachedContext,
): RelRef {
  const slideMs = spec.kind === 'session' ? 1 : spec.kind === 'hop' ? spec.slideMs : spec.sizeMs;
  const offsetMs = spec.kind === 'session' ? 0 : (spec.offsetMs + spec.sizeMs) % slideMs;
  const window: WindowSpec = { kind: 'tumble', sizeMs: slideMs, offsetMs };
  const layout = builder.layout(from);
  const keys = split.keys.filter((key) => key !== endLeaf && (spec.kind === 'session' || key !== startLeaf));
  // Of a session, the millisecond in which it ends: its own start is a key.
  const own = spec.kind === 'session' ? '$' : '';
  const bounds = [startLeaf!, endLeaf!].map((leaf) => ({ ...layout[leaf]!, name: `${own}${layout[leaf]!.name}` }));
  const grouped = [...keys.map((key) => layout[key]!), ...bounds, ...results.slice(split.keys.length)];
  const main = builder.add(rel(node, 'main', [from], aggregate(keys, window), grouped, layout));
  const end = columnExpr(grouped, keys.length + 1);
  const start: Expr =
    spec.kind === 'session'
      ? columnExpr(grouped, keys.indexOf(startLeaf!))
      : spec.kind === 'tumble'
        ? columnExpr(grouped, keys.length)
        : earlier(end, spec.sizeMs);
  const columns = [
    ...split.keys.map((key) =>
      key === startLeaf ? start : key === endLeaf ? end : columnExpr(grouped, keys.indexOf(key)),
    ),
    ...identity(grouped).slice(keys.length + 2),
  ];
  return builder.add(rel(node, 'columns', [main], { kind: 'project', filter: null, columns }, results));
}

function earlier(time: Expr, ms: number): Expr {
  const length: Expr = {
    kind: 'literal',
    value: String(ms),
    type: { kind: 'INTERVAL', of: 'DAY_TIME' },
    nullable: false,
  };
  return { kind: 'call', fn: 'minus', args: [time, length], type: time.type, nullable: false };
}
