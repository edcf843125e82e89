/**
 * A plan is data, and data may come from anywhere: a file, a checkpoint, another process. This checks its shape, its
 * references and its size before anything else looks at it. Meaning (names, types, regimes) is for later passes.
 */
import { MillraceError } from '../base/errors.ts';
import { columnsMax } from '../base/limits.ts';
import { onErrorOf } from './dead-letters.ts';
import type { Plan, PlanNode, PlanNodeKind } from './nodes.ts';

/** Nodes of a plan, and nesting of one expression or type, at most: what recursion over them can bear. */
export const planNodesMax = 10_000;
export const depthMax = 500;

/** The plan itself, when it is one. Errors: `plan/invalid` with the path to what is wrong. */
export function validatePlan(from: unknown): Plan {
  const plan = record(from, 'plan');
  if (plan.version !== 1) wrong('plan.version', 'the number 1: this plan is of another version', plan.version);
  text(plan.name, 'plan.name');
  const nodes = list(plan.nodes, 'plan.nodes', planNodesMax);
  const kinds = new Map<string, PlanNodeKind>();
  const outputs = new Map<string, number>();
  nodes.forEach((node, i) => {
    validateNode(node, `plan.nodes[${i}]`, kinds, outputs);
  });
  const names = new Set<string>();
  list(plan.outputs, 'plan.outputs', planNodesMax).forEach((entry, i) => {
    const at = `plan.outputs[${i}]`;
    const output = record(entry, at);
    const name = text(output.name, `${at}.name`);
    if (names.has(name)) wrong(`${at}.name`, 'a name that no other output has', name);
    names.add(name);
    if (kinds.get(text(output.node, `${at}.node`)) !== 'sink') wrong(`${at}.node`, 'the id of a sink', output.node);
  });
  return from as Plan;
}

function wrong(path: string, expected: string, actual: unknown): never {
  const shown = JSON.stringify(actual) ?? String(actual);
  throw new MillraceError(
    'plan/invalid',
    `${path} must be ${expected}, not ${shown.length > 60 ? `${shown.slice(0, 60)}…` : shown}; a plan is made by the API or by an earlier run of this version, never by hand`,
  );
}

type Check = (value: unknown, path: string) => unknown;

const record = (value: unknown, path: string): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : wrong(path, 'an object', value);
const list = (value: unknown, path: string, most = columnsMax): readonly unknown[] => {
  if (!Array.isArray(value)) wrong(path, 'a list', value);
  if (value.length > most) wrong(path, `a list of at most ${most}`, `${value.length} entries`);
  return value;
};
const text = (value: unknown, path: string): string => (typeof value === 'string' ? value : wrong(path, 'text', value));
const flag: Check = (value, path) => typeof value === 'boolean' || wrong(path, 'true or false', value);
const whole: Check = (value, path) => Number.isSafeInteger(value) || wrong(path, 'a whole number', value);
const optional =
  (check: Check): Check =>
  (value, path) =>
    value === undefined || check(value, path);
const orNull =
  (check: Check): Check =>
  (value, path) =>
    value === null || check(value, path);
const maybe =
  (check: Check): Check =>
  (value, path) =>
    value === undefined || check(value, path);
const oneOf =
  (...values: readonly unknown[]): Check =>
  (value, path) =>
    values.includes(value) || wrong(path, `one of ${values.join(', ')}`, value);
const listOf =
  (check: Check): Check =>
  (value, path) =>
    list(value, path).forEach((entry, i) => {
      check(entry, `${path}[${i}]`);
    });
const shape =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value, path) => {
    const object = record(value, path);
    for (const [name, check] of Object.entries(fields)) check(object[name], `${path}.${name}`);
  };
/** Shapes by `kind`. */
const byKind =
  (shapes: Readonly<Record<string, Check>>): Check =>
  (value, path) => {
    const { kind } = record(value, path);
    if (typeof kind !== 'string' || !Object.hasOwn(shapes, kind))
      wrong(`${path}.kind`, `one of ${Object.keys(shapes).join(', ')}`, kind);
    shapes[kind as string]!(value, path);
  };

/** Recursion that ends: expressions and types nest no deeper than `depthMax`. */
const nested = (check: (value: unknown, path: string, inside: Check) => void): Check => {
  const at =
    (depth: number): Check =>
    (value, path) => {
      if (depth > depthMax) wrong(path.slice(0, 80), `nested at most ${depthMax} deep`, '…');
      check(value, path, at(depth + 1));
    };
  return at(1);
};

const any: Check = () => {};
const type: Check = nested((value, path, inside) => {
  const precision = shape({ precision: whole });
  const field = shape({ name: text, type: inside, nullable: flag });
  byKind({
    BOOLEAN: any, TINYINT: any, SMALLINT: any, INT: any, BIGINT: any, FLOAT: any, DOUBLE: any, VARCHAR: any, BINARY: any, DATE: any,
    DECIMAL: shape({ precision: whole, scale: whole }),
    TIME: precision, TIMESTAMP: precision, TIMESTAMP_LTZ: precision,
    INTERVAL: shape({ of: oneOf('YEAR_MONTH', 'DAY_TIME') }),
    ARRAY: shape({ of: inside, nullable: flag }),
    MAP: shape({ key: inside, value: inside, nullable: flag }),
    ROW: shape({ fields: listOf(field) }),
  })(value, path); // biome-ignore format: a table
});
const fields = listOf(shape({ name: text, type, nullable: flag }));
const literalValue: Check = (value, path) =>
  value === null ||
  ['boolean', 'number', 'string'].includes(typeof value) ||
  wrong(path, 'a boolean, number, text or null', value);
const frame = shape({ unit: oneOf('rows', 'range'), preceding: orNull(whole) });
const expr: Check = nested((value, path, inside) => {
  byKind({
    column: shape({ path: listOf(text) }),
    literal: shape({ value: literalValue, type: orNull(type) }),
    call: shape({ fn: text, args: listOf(inside) }),
    cast: shape({ arg: inside, type, safe: flag }),
    case: shape({ branches: listOf(shape({ when: inside, then: inside })), otherwise: inside }),
    aggregate: shape({
      fn: oneOf('count', 'sum', 'min', 'max', 'avg'),
      arg: orNull(inside),
      filter: orNull(inside),
      distinct: flag,
    }),
    over: shape({ of: inside, partitionBy: listOf(inside), orderBy: listOf(inside), frame }),
  })(value, path);
});
const columns = listOf(shape({ name: text, expr }));
const connector = shape({
  kind: text,
  label: text,
  options: record,
  alignedWith: (value, path) => value === undefined || text(value, path),
  eventTime: (value, path) => value === undefined || value === true || wrong(path, 'true', value),
  upsertKey: maybe(listOf(text)),
});
const windowTime: Check = (value, path) => (value === undefined ? value : oneOf('processing')(value, path));
const window = byKind({
  tumble: shape({ sizeMs: whole, offsetMs: whole, time: windowTime }),
  hop: shape({ sizeMs: whole, slideMs: whole, offsetMs: whole, time: windowTime }),
  session: shape({ gapMs: whole, time: windowTime }),
});
const ttl = orNull(shape({ ms: whole, time: orNull(oneOf('event', 'processing')) }));
const stateHead = { name: text, ttl };
const states = listOf(
  byKind({
    value: shape({ ...stateHead, type, nullable: flag }),
    list: shape({ ...stateHead, type, nullable: flag }),
    split: shape({ ...stateHead, type, nullable: flag }),
    union: shape({ ...stateHead, type, nullable: flag }),
    map: shape({ ...stateHead, key: type, type, nullable: flag }),
    reducing: shape({ ...stateHead, type, nullable: flag, reduce: text }),
    aggregating: shape({ ...stateHead, accumulator: fields, init: text, add: text, finish: text }),
  }),
);
const order = listOf(shape({ column: text, descending: flag }));

const nodeShapes: { readonly [K in PlanNodeKind]: Check } = {
  source: shape({ connector, schema: orNull(fields), bounded: flag, key: maybe(listOf(text)) }),
  eventTime: shape({ column: text, outOfOrdernessMs: whole, idleAfterMs: orNull(whole) }),
  filter: shape({ condition: expr }),
  project: shape({ columns, keepOthers: flag, dropped: listOf(text) }),
  map: shape({
    style: oneOf('map', 'flatMap', 'mapBatch'),
    functionId: text,
    schema: fields,
    onError: oneOf(undefined, 'skip', 'side'),
  }),
  union: any,
  aggregate: shape({ keys: listOf(orNull(text)), window: orNull(window), columns, allowedLatenessMs: whole }),
  process: shape({
    ports: listOf(shape({ name: text, keys: orNull(listOf(text)), handler: text })),
    output: orNull(fields),
    side: listOf(shape({ name: text, schema: fields })),
    state: states,
    broadcastState: states,
    operatorState: (value, path) => (value === undefined ? undefined : states(value, path)),
    onTimer: orNull(text),
    onError: oneOf(undefined, 'skip', 'side'),
  }),
  join: shape({
    type: oneOf('inner', 'left', 'right', 'full', 'semi', 'anti'),
    condition: expr,
    lookup: oneOf(undefined, true),
    within: optional(shape({ fromMs: whole, toMs: whole })),
    asOf: optional(shape({ toleranceMs: orNull(whole) })),
  }),
  distinct: any,
  sort: shape({ by: order }),
  limit: shape({ rows: whole }),
  topN: shape({
    partitionBy: listOf(text),
    by: order,
    n: whole,
    using: oneOf('ROW_NUMBER', 'RANK', 'DENSE_RANK'),
    rankAs: orNull(text),
    keep: oneOf(undefined, 'first', 'last'),
  }),
  toChangelog: any,
  fromChangelog: shape({ key: listOf(text) }),
  over: shape({
    partitionBy: listOf(expr),
    orderBy: listOf(expr),
    frame,
    columns,
  }),
  sink: shape({ connector, schema: orNull(fields) }),
};

function inputsOf(kind: PlanNodeKind, node: Record<string, unknown>): number {
  if (kind === 'join') return 2;
  return kind === 'process' ? (node.ports as unknown[]).length : 1;
}

/**
 * `kinds`, and how many `outputs` they have: of the nodes before it. Inputs stand before their consumers, so a plan cannot
 * run in a circle.
 */
function validateNode(
  from: unknown,
  path: string,
  kinds: Map<string, PlanNodeKind>,
  outputs: Map<string, number>,
): void {
  const node = record(from, path);
  const id = text(node.id, `${path}.id`);
  if (kinds.has(id)) wrong(`${path}.id`, 'an id that no other node has', id);
  orNull(text)(node.name, `${path}.name`);
  orNull(text)(node.callSite, `${path}.callSite`);
  byKind(nodeShapes)(node, path);
  const kind = node.kind as PlanNodeKind;
  const inputs = list(node.inputs, `${path}.inputs`);
  const right =
    kind === 'source'
      ? inputs.length === 0
      : kind === 'union'
        ? inputs.length > 0
        : inputs.length === inputsOf(kind, node) && inputs.length > 0;
  if (!right) wrong(`${path}.inputs`, `as many as a ${kind} has`, `${inputs.length} inputs`);
  inputs.forEach((entry, i) => {
    const at = `${path}.inputs[${i}]`;
    const input = record(entry, at);
    const source = kinds.get(text(input.node, `${at}.node`));
    if (source === undefined || source === 'sink')
      wrong(`${at}.node`, 'the id of an earlier node that is no sink', input.node);
    const { port } = input;
    if (!(Number.isSafeInteger(port) && (port as number) >= 0 && (port as number) < outputs.get(input.node as string)!))
      wrong(`${at}.port`, 'an output of that node', input.port);
  });
  // The window stands among the keys, once, just where there is one.
  if (kind === 'aggregate' && (node.keys as unknown[]).includes(null) !== (node.window !== null)) {
    wrong(`${path}.keys`, 'with a null where the window stands', node.keys);
  }
  kinds.set(id, kind);
  const errors = onErrorOf(node as unknown as PlanNode) === 'side' ? 1 : 0;
  outputs.set(
    id,
    kind === 'aggregate' ? 2 : kind === 'process' ? 1 + (node.side as unknown[]).length + errors : 1 + errors,
  );
}
