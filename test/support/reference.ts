/**
 * An oracle for whole jobs: interprets a logical plan over arrays of plain rows, all input at once, in the plainest way
 * there is. It gives what a bounded run gives, and what an unbounded run has given in the end if it counted no late row.
 * It shares names, types and the reference interpreter of expressions with the engine, and no operator, rule or kernel.
 */
import { bind, bindAggregate, bindCondition } from '../../core/expr/bind.ts';
import { interpret } from '../../core/expr/interpret.ts';
import type { UnboundExpr } from '../../core/expr/tree.ts';
import { literalOfValue, type Value } from '../../core/expr/value.ts';
import { leafIndices, leavesOf, projectColumns, type Schema } from '../../core/plan/columns.ts';
import type {
  AggregateNode,
  FromChangelogNode,
  JoinNode,
  OrderKey,
  Plan,
  PlanNode,
  TopNNode,
} from '../../core/plan/nodes.ts';
import { inputSchemas, schemasOf } from '../../core/plan/schema.ts';
import type { SourceInfo } from '../../core/ports/connector.ts';
import { type DataType, type Fields, ticksPerMs } from '../../core/record/types.ts';
import type { SessionWindow, SlicedWindow } from '../../core/time/windows.ts';

/** Leaf values in the order of `leavesOf(schema)`; the event time, where there is one, is the last (bigint, ms). */
export type Row = readonly Value[];

export interface ReferenceInput {
  readonly plan: Plan;
  readonly sources: ReadonlyMap<string, SourceInfo>;
  /** Rows of each source node: leaves in the order of its declared schema, or of the place's own columns. */
  readonly rows: ReadonlyMap<string, readonly Row[]>;
  /** User functions by id; they see rows as JavaScript does. */
  readonly functions?: ReadonlyMap<string, (row: never) => unknown>;
}

export interface ReferenceOutput {
  readonly name: string;
  readonly fields: Fields;
  readonly rows: readonly Row[];
  /** The order of the rows is part of the answer (as far as its keys decide it). */
  readonly ordered: boolean;
  /** Another answer may be right too: a limit without order, or a ranking whose order leaves ties. */
  readonly ambiguous: boolean;
}

interface Table {
  readonly schema: Schema;
  readonly rows: readonly Row[];
  readonly ordered: boolean;
  readonly ambiguous: boolean;
}

/** Errors: those of binding, and those of expressions that a row raises. */
export function reference({ plan, sources, rows, functions }: ReferenceInput): ReferenceOutput[] {
  const schemas = schemasOf(plan, sources);
  const tables = new Map<string, Table>();
  for (const node of plan.nodes) {
    const inputs = node.inputs.map((ref): Table => {
      // On ended input no row is late.
      if (ref.port > 0) return { schema: schemas.get(ref.node)![1]!, rows: [], ordered: false, ambiguous: false };
      return tables.get(ref.node)!;
    });
    const schema = schemas.get(node.id)![0]!;
    const made = evaluate(node, inputs, schema, inputSchemas(node, schemas), rows, functions ?? new Map());
    const ambiguous = made.ambiguous ?? inputs.some((input) => input.ambiguous);
    tables.set(node.id, { schema, rows: made.rows, ordered: made.ordered ?? false, ambiguous });
  }
  return plan.outputs.map(({ name, node }) => {
    const { schema, rows: result, ordered, ambiguous } = tables.get(node)!;
    return { name, fields: schema.fields, rows: result, ordered, ambiguous };
  });
}

interface Made {
  readonly rows: readonly Row[];
  readonly ordered?: boolean;
  readonly ambiguous?: boolean;
}

function evaluate(
  node: PlanNode,
  inputs: readonly Table[],
  schema: Schema,
  inputSchema: readonly Schema[],
  sourceRows: ReadonlyMap<string, readonly Row[]>,
  functions: ReadonlyMap<string, (row: never) => unknown>,
): Made {
  const input = inputs[0]!;
  switch (node.kind) {
    case 'source':
      return { rows: sourceRows.get(node.id) ?? [] };
    case 'eventTime': {
      const from = inputSchema[0]!;
      const [leaf] = leafIndices(from, node.column)!;
      const type = leavesOf(from)[leaf!]!.type;
      const own = from.fields.length === 0 ? 0 : leavesOf({ ...from, time: false }).length;
      return { ...input, rows: input.rows.map((row) => [...row.slice(0, own), toMs(row[leaf!]!, type)]) };
    }
    case 'filter': {
      const condition = interpret(bindCondition(node.condition, leavesOf(inputSchema[0]!)));
      return { ...input, rows: input.rows.filter((row) => condition(row) === true) };
    }
    case 'project': {
      const columns = projectColumns(node, inputSchema[0]!).flatMap((column) => column.leaves.map(interpret));
      return {
        ...input,
        rows: input.rows.map((row) => [...columns.map((column) => column(row)), ...timeOf(row, schema)]),
      };
    }
    case 'map':
      return {
        rows: input.rows.flatMap((row) =>
          mapped(node.style, functions.get(node.functionId)!, row, inputSchema[0]!, schema),
        ),
      };
    case 'union':
      return { rows: inputs.flatMap((table, i) => table.rows.map((row) => reordered(row, inputSchema[i]!, schema))) };
    case 'aggregate':
      return { rows: aggregated(node, input.rows, inputSchema[0]!, schema) };
    case 'distinct': {
      const leaves = leavesOf(schema).length;
      return {
        rows: [...groupsOf(input.rows, (row) => row.slice(0, leaves)).values()].map(([row]) => row!.slice(0, leaves)),
      };
    }
    case 'sort': {
      const rows = sorted(input.rows, node.by, schema);
      return { rows, ordered: decided(rows, comparer(node.by, schema)), ambiguous: input.ambiguous };
    }
    case 'limit': {
      const rows = input.rows.slice(0, node.rows);
      return {
        rows,
        ordered: input.ordered,
        ambiguous: input.ambiguous || (rows.length < input.rows.length && !input.ordered),
      };
    }
    case 'topN':
      return topN(node, input, inputSchema[0]!);
    // On ended input every result is final.
    case 'toChangelog':
      return { ...input, rows: input.rows.map((row) => withKind(row, schema)) };
    case 'fromChangelog':
      return { rows: standing(node, input.rows, inputSchema[0]!, schema) };
    case 'join':
      return { rows: joined(node, inputs, inputSchema) };
    case 'over':
      throw new Error('OVER has a reference of its own (over-cases.ts)');
    case 'process':
      throw new Error('process functions have a reference of their own (process-reference.ts)');
    case 'sink': {
      const rows = input.rows.map((row) => reordered(row, inputSchema[0]!, schema));
      return { ...input, rows };
    }
  }
}

function withKind(row: Row, schema: Schema): Row {
  return schema.time ? [...row.slice(0, -1), '+I', row.at(-1)!] : [...row, '+I'];
}

/** The last row of each key, where it was not taken away. */
function standing({ key }: FromChangelogNode, rows: readonly Row[], from: Schema, to: Schema): Row[] {
  const [kind] = leafIndices(from, 'row_kind')!;
  const keys = key.flatMap((name) => leafIndices(from, name)!);
  const leaves = to.fields.flatMap(({ name }) => leafIndices(from, name)!);
  const last = new Map<string, Row | null>();
  for (const row of rows) {
    const adds = row[kind!] === '+I' || row[kind!] === '+U';
    last.set(keyText(keys.map((leaf) => row[leaf]!)), adds ? leaves.map((leaf) => row[leaf]!) : null);
  }
  return [...last.values()].filter((row) => row !== null);
}

function timeOf(row: Row, schema: Schema): Row {
  return schema.time ? [row.at(-1)!] : [];
}

/** Leaves by name, widened where the target is wider. */
function reordered(row: Row, from: Schema, to: Schema): Row {
  const before = leavesOf(from);
  return leavesOf(to).map((leaf) => {
    const at = before.findIndex((other) => other.name === leaf.name);
    const value = row[at]!;
    if (value === null) return null;
    const type = before[at]!.type;
    if (leaf.type.kind === 'BIGINT' && type.kind === 'INT') return BigInt(value as number);
    if (leaf.type.kind === 'DOUBLE' && type.kind !== 'DOUBLE') return Number(value);
    if (leaf.type.kind === 'TIMESTAMP' && type.kind === 'TIMESTAMP') {
      return (value as bigint) * BigInt(ticksPerMs(leaf.type.precision) / ticksPerMs(type.precision));
    }
    return value;
  });
}

function toMs(value: Value, type: DataType): bigint {
  if (typeof value !== 'bigint' || type.kind !== 'TIMESTAMP') throw new Error(`no event time: ${value}`);
  return floorDivide(value, BigInt(ticksPerMs(type.precision)));
}

function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a < 0n && quotient * b !== a ? quotient - 1n : quotient;
}

function joined(node: JoinNode, [left, right]: readonly Table[], schemas: readonly Schema[]): Row[] {
  const sides = schemas.map((schema) => ({ fields: schema.fields, time: false }));
  const layout = leavesOf({
    fields: sides.map(({ fields }, i) => ({
      name: i === 0 ? 'left' : 'right',
      type: { kind: 'ROW', fields },
      nullable: false,
    })),
    time: false,
  });
  const condition = interpret(bindCondition(node.condition, layout));
  const [l, r] = [left!, right!].map(({ rows }, i) => rows.map((row) => row.slice(0, leavesOf(sides[i]!).length)));
  const nothing = sides.map((side): Row => leavesOf(side).map(() => null));
  const met = new Set<Row>();
  const result: Row[] = [];
  for (const a of l!) {
    const matches = r!.filter((b) => condition([...a, ...b]) === true);
    for (const b of matches) met.add(b);
    if (node.type === 'semi' || node.type === 'anti') {
      if (matches.length > 0 === (node.type === 'semi')) result.push(a);
      continue;
    }
    result.push(...matches.map((b) => [...a, ...b]));
    if (matches.length === 0 && (node.type === 'left' || node.type === 'full')) result.push([...a, ...nothing[1]!]);
  }
  if (node.type !== 'right' && node.type !== 'full') return result;
  return [...result, ...r!.filter((b) => !met.has(b)).map((b) => [...nothing[0]!, ...b])];
}

// ── Groups ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Equal keys: NULL with NULL, NaN with NaN, −0 with 0. */
export function keyText(values: Row): string {
  return values
    .map((v) =>
      typeof v === 'string' ? JSON.stringify(v) : Object.is(v, -0) ? '0' : typeof v === 'number' ? `${v}` : `${v}`,
    )
    .join('|');
}

function groupsOf(rows: readonly Row[], key: (row: Row) => Row): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const text = keyText(key(row));
    const group = groups.get(text);
    if (group) group.push(row);
    else groups.set(text, [row]);
  }
  return groups;
}

/** The bounds of the session that each row is in, by row: rows of a key that are no more than the gap apart. */
export function sessionsOf<R>(
  rows: readonly R[],
  keyOf: (row: R) => string,
  timeOf: (row: R) => bigint,
  { gapMs }: SessionWindow,
): Map<R, readonly [start: bigint, end: bigint]> {
  const times = new Map<string, bigint[]>();
  for (const row of rows) times.set(keyOf(row), [...(times.get(keyOf(row)) ?? []), timeOf(row)]);
  const sessions = new Map<string, [bigint, bigint][]>();
  for (const [key, all] of times) {
    const found: [bigint, bigint][] = [];
    for (const time of all.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))) {
      const last = found.at(-1);
      if (last && time <= last[1]) last[1] = time + BigInt(gapMs);
      else found.push([time, time + BigInt(gapMs)]);
    }
    sessions.set(key, found);
  }
  return new Map(
    rows.map((row) => [
      row,
      sessions.get(keyOf(row))!.find(([start, end]) => timeOf(row) >= start && timeOf(row) < end)!,
    ]),
  );
}

/** All windows that a time lies in, as starts. */
export function windowStarts(timeMs: bigint, window: SlicedWindow): bigint[] {
  const size = BigInt(window.sizeMs);
  const slide = window.kind === 'hop' ? BigInt(window.slideMs) : size;
  const offset = BigInt(window.offsetMs);
  const last = floorDivide(timeMs - offset, slide) * slide + offset;
  const starts: bigint[] = [];
  for (let start = last; start > timeMs - size; start -= slide) starts.push(start);
  return starts;
}

function aggregated(node: AggregateNode, rows: readonly Row[], from: Schema, to: Schema): Row[] {
  const leaves = leavesOf(from);
  const keys = node.keys.map((key) => (key === null ? null : leafIndices(from, key)!));
  // Each row once per window, its bounds behind it.
  const { window } = node;
  const columnKey = (row: Row): string => keyText(keys.flatMap((key) => (key ?? []).map((leaf) => row[leaf]!)));
  const sessions =
    window?.kind === 'session' ? sessionsOf(rows, columnKey, (row) => row.at(-1) as bigint, window) : null;
  const placed = sessions
    ? rows.map((row): Row => [...row, ...sessions.get(row)!])
    : window && window.kind !== 'session'
      ? rows.flatMap((row) =>
          windowStarts(row.at(-1) as bigint, window).map(
            (start): Row => [...row, start, start + BigInt(window.sizeMs)],
          ),
        )
      : rows;
  const keyOf = (row: Row): Row =>
    keys.flatMap((key) => (key === null ? row.slice(-2) : key.map((leaf) => row[leaf]!)));
  const groups = groupsOf(placed, keyOf);
  if (node.keys.length === 0 && groups.size === 0) groups.set('', []);

  const keyLayout = leavesOf({ fields: to.fields.slice(0, node.keys.length), time: false });
  const keyCount = keyLayout.length;
  const conditionOf = new Map<UnboundExpr, (row: Row) => Value>();
  const compute = (expr: UnboundExpr, group: readonly Row[]): UnboundExpr => {
    if (expr.kind !== 'aggregate') return mapOperands(expr, (operand) => compute(operand, group));
    if (expr.filter && !conditionOf.has(expr.filter))
      conditionOf.set(expr.filter, interpret(bindCondition(expr.filter, leaves)));
    const kept = expr.filter ? group.filter((row) => conditionOf.get(expr.filter!)!(row) === true) : group;
    const arg = expr.arg === null ? null : bind(expr.arg, leaves);
    const more = { nullable: true, filtered: expr.filter !== null, keyed: node.keys.length > 0 };
    const { type } = bindAggregate(expr.fn, arg?.type ?? null, more);
    const evaluator = arg && interpret(arg);
    const present = evaluator ? kept.map((row) => evaluator(row)).filter((value) => value !== null) : null;
    const value = aggregate(expr.fn, present, kept.length, type, arg?.type ?? null);
    return { kind: 'literal', value: literalOfValue(value, type), type };
  };
  return [...groups.values()].map((group) => {
    const key = group.length === 0 ? [] : keyOf(group[0]!);
    const columns = node.columns.flatMap(({ expr }): Row => {
      const computed = compute(expr, group);
      if (computed.kind === 'column') {
        const path = computed.path.join('.');
        const found = keyLayout.flatMap((leaf, i) =>
          leaf.name === path || leaf.name.startsWith(`${path}.`) ? [key[i]!] : [],
        );
        if (found.length > 1) return found;
      }
      return [interpret(bind(computed, keyLayout))(key)];
    });
    // Grouped by the window they are results of, rows keep its time.
    const time = window ? [(group[0]!.at(-1) as bigint) - 1n] : to.time ? [group[0]!.at(-1)!] : [];
    return [...key.slice(0, keyCount), ...columns, ...time];
  });
}

function mapOperands(expr: UnboundExpr, f: (operand: UnboundExpr) => UnboundExpr): UnboundExpr {
  switch (expr.kind) {
    case 'call':
      return { ...expr, args: expr.args.map(f) };
    case 'cast':
      return { ...expr, arg: f(expr.arg) };
    case 'case':
      return {
        ...expr,
        branches: expr.branches.map((b) => ({ when: f(b.when), then: f(b.then) })),
        otherwise: f(expr.otherwise),
      };
    default:
      return expr;
  }
}

function aggregate(
  fn: string,
  values: readonly Value[] | null,
  rows: number,
  type: DataType,
  argType: DataType | null,
): Value {
  if (fn === 'count') return BigInt(values === null ? rows : values.length);
  if (values === null || values.length === 0) return null;
  switch (fn) {
    case 'sum':
      return type.kind === 'BIGINT' ? exactSum(values) : (values as number[]).reduce((sum, v) => sum + v, 0);
    case 'avg':
      return argType?.kind === 'DOUBLE'
        ? (values as number[]).reduce((sum, v) => sum + v, 0) / values.length
        : Number(exactSum(values)) / values.length;
    case 'min':
      return values.reduce((least, v) => (compareValues(v, least) < 0 ? v : least));
    default:
      return values.reduce((most, v) => (compareValues(v, most) > 0 ? v : most));
  }
}

function exactSum(values: readonly Value[]): bigint {
  return values.reduce<bigint>((sum, v) => sum + BigInt(v as bigint | number), 0n);
}

// ── Order ────────────────────────────────────────────────────────────────────────────────────────────────────

/** NULL is least, NaN greatest, text by its UTF-8 bytes, −0 equals 0. */
export function compareValues(a: Value, b: Value): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? -1 : 1;
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b as string));
  if (typeof a === 'number' && (Number.isNaN(a) || Number.isNaN(b as number)))
    return Number(Number.isNaN(a)) - Number(Number.isNaN(b as number));
  return a < b ? -1 : a > b ? 1 : 0;
}

function comparer(by: readonly OrderKey[], schema: Schema): (a: Row, b: Row) => number {
  const keys = by.flatMap(({ column, descending }) =>
    leafIndices(schema, column)!.map((leaf) => ({ leaf, sign: descending ? -1 : 1 })),
  );
  return (a, b) => {
    for (const { leaf, sign } of keys) {
      const order = compareValues(a[leaf]!, b[leaf]!);
      if (order !== 0) return order * sign;
    }
    return 0;
  };
}

function sorted(rows: readonly Row[], by: readonly OrderKey[], schema: Schema): Row[] {
  return [...rows].sort(comparer(by, schema));
}

/** Whether the order leaves no choice: rows that tie are the same. */
function decided(rows: readonly Row[], compare: (a: Row, b: Row) => number): boolean {
  return rows.every((row, i) => i === 0 || compare(rows[i - 1]!, row) !== 0 || keyText(rows[i - 1]!) === keyText(row));
}

function topN(node: TopNNode, input: Table, from: Schema): Made {
  const compare = comparer(node.by, from);
  const partition = node.partitionBy.flatMap((name) => leafIndices(from, name)!);
  let ambiguous = input.ambiguous;
  const own = leavesOf({ ...from, time: false }).length;
  const rows = [...groupsOf(input.rows, (row) => partition.map((leaf) => row[leaf]!)).values()].flatMap((group) => {
    const order = [...group].sort(compare);
    let rank = 0;
    let dense = 0;
    const ranked = order.map((row, i) => {
      const tied = i > 0 && compare(order[i - 1]!, row) === 0;
      if (!tied) {
        rank = i + 1;
        dense++;
      }
      // Rows that differ but tie in the order: which of them is the 3rd is nobody's to say.
      if (
        tied &&
        node.using === 'ROW_NUMBER' &&
        i >= 1 &&
        (node.rankAs !== null || i === node.n) &&
        keyText(order[i - 1]!) !== keyText(row)
      ) {
        if (i <= node.n) ambiguous = true;
      }
      return { row, rank: node.using === 'ROW_NUMBER' ? i + 1 : node.using === 'RANK' ? rank : dense };
    });
    return ranked
      .filter((r) => r.rank <= node.n)
      .map((r): Row => (node.rankAs === null ? r.row : [...r.row.slice(0, own), BigInt(r.rank), ...r.row.slice(own)]));
  });
  return { rows, ambiguous, ordered: partition.length === 0 && decided(rows, compare) };
}

// ── Rows as JavaScript sees them ─────────────────────────────────────────────────────────────────────────────

function mapped(style: string, fn: (row: never) => unknown, row: Row, from: Schema, to: Schema): Row[] {
  if (style === 'mapBatch') throw new Error('the oracle has no Arrow');
  const result = fn(rowObject(row, from.fields) as never);
  const results = style === 'flatMap' ? [...(result as Iterable<object>)] : [result as object];
  return results.map((object) => [...rowValues(object as Record<string, unknown>, to.fields), ...timeOf(row, to)]);
}

/** Leaf values → an object as user functions and `result()` see it. */
export function rowObject(row: Row, fields: Fields): Record<string, unknown> {
  let next = 0;
  const read = (of: Fields): Record<string, unknown> =>
    Object.fromEntries(
      of.map(({ name, type }) => [name, type.kind === 'ROW' ? read(type.fields) : toJs(row[next++]!, type)]),
    );
  return read(fields);
}

/** What `rowObject` made, or the engine gave, as leaf values. Times lose what is below a millisecond. */
export function rowValues(object: Readonly<Record<string, unknown>>, fields: Fields): Row {
  return fields.flatMap(({ name, type }): Row => {
    const value = object[name];
    if (type.kind === 'ROW') return rowValues((value ?? {}) as Record<string, unknown>, type.fields);
    return [fromJs(value, type)];
  });
}

function toJs(value: Value, type: DataType): unknown {
  if (value === null) return null;
  switch (type.kind) {
    case 'BIGINT':
      return type.asBigInt ? value : Number(value);
    case 'TIMESTAMP':
      return new Date(Number(floorDivide(value as bigint, BigInt(ticksPerMs(type.precision)))));
    case 'DATE':
      return new Date((value as number) * 86_400_000);
    default:
      return value;
  }
}

function fromJs(value: unknown, type: DataType): Value {
  if (value === null || value === undefined) return null;
  switch (type.kind) {
    case 'BIGINT':
      return BigInt(value as number | bigint);
    case 'TIMESTAMP':
      return BigInt((value as Date).getTime()) * BigInt(ticksPerMs(type.precision));
    case 'DATE':
      return Math.floor((value as Date).getTime() / 86_400_000);
    default:
      return value as Value;
  }
}

// ── Comparing answers ────────────────────────────────────────────────────────────────────────────────────────

export interface CompareOptions {
  readonly ordered?: boolean;
  /** Doubles may differ by this share of the greater one: sums depend on their order. */
  readonly tolerance?: number;
}

/** Null when both hold the same rows; else a few lines that say which rows differ. `actual` and `expected` are leaf values. */
export function rowsDifference(
  actual: readonly Row[],
  expected: readonly Row[],
  options: CompareOptions = {},
): string | null {
  const tolerance = options.tolerance ?? 1e-9;
  const problems: string[] = [];
  if (actual.length !== expected.length) problems.push(`${actual.length} rows, expected ${expected.length}`);
  if (options.ordered) {
    expected.forEach((row, i) => {
      const other = actual[i];
      if (!other || !sameRow(other, row, tolerance))
        problems.push(`row ${i}: ${other ? rowText(other) : 'missing'}, expected ${rowText(row)}`);
    });
  } else {
    const left = byExactColumns(actual);
    const right = byExactColumns(expected);
    for (const key of new Set([...left.keys(), ...right.keys()])) {
      const { extra, missing } = unmatched(left.get(key) ?? [], right.get(key) ?? [], tolerance);
      problems.push(
        ...extra.map((row) => `not expected: ${rowText(row)}`),
        ...missing.map((row) => `missing: ${rowText(row)}`),
      );
    }
  }
  return problems.length === 0
    ? null
    : [...problems.slice(0, 8), ...(problems.length > 8 ? [`… and ${problems.length - 8} more`] : [])].join('\n');
}

/** Numbers may differ in the last digits, everything else must be the same. */
function byExactColumns(rows: readonly Row[]): Map<string, Row[]> {
  const buckets = new Map<string, Row[]>();
  for (const row of rows) {
    const key = keyText(row.map((value) => (typeof value === 'number' ? '' : value)));
    const bucket = buckets.get(key);
    if (bucket) bucket.push(row);
    else buckets.set(key, [row]);
  }
  return buckets;
}

function unmatched(
  actual: readonly Row[],
  expected: readonly Row[],
  tolerance: number,
): { extra: Row[]; missing: Row[] } {
  const order = (a: Row, b: Row): number => a.map((value, i) => compareValues(value, b[i]!)).find((c) => c !== 0) ?? 0;
  const left = [...actual].sort(order);
  const right = [...expected].sort(order);
  if (left.length === right.length && left.every((row, i) => sameRow(row, right[i]!, tolerance)))
    return { extra: [], missing: [] };
  // Rounding may have swapped neighbours: look for a partner among all.
  const missing: Row[] = [];
  for (const row of right) {
    const at = left.findIndex((other) => sameRow(other, row, tolerance));
    if (at < 0) missing.push(row);
    else left.splice(at, 1);
  }
  return { extra: left, missing };
}

function sameRow(a: Row, b: Row, tolerance: number): boolean {
  return a.length === b.length && a.every((value, i) => sameValue(value, b[i]!, tolerance));
}

function sameValue(a: Value, b: Value, tolerance: number): boolean {
  if (typeof a === 'number' && typeof b === 'number') {
    return (
      a === b ||
      (Number.isNaN(a) && Number.isNaN(b)) ||
      Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b))
    );
  }
  return a === b;
}

export function rowText(row: Row): string {
  return `(${row.map((v) => (typeof v === 'string' ? JSON.stringify(v) : typeof v === 'bigint' ? `${v}n` : Object.is(v, -0) ? '-0' : String(v))).join(', ')})`;
}
