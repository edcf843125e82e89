/**
 * How the planner speaks to people: names of nodes, lists of nearest names, errors that carry operator and call site.
 * It knows nodes and fields; it must never know physical plans.
 */
import { type ErrorCode, type ErrorWhere, MillraceError } from '../base/errors.ts';
import { nearestNames } from '../expr/nearest.ts';
import { unboundText } from '../expr/print.ts';
import { type DataType, type Fields, typeName } from '../record/types.ts';
import type { AggregateNode, OrderKey, PlanNode, PlanNodeKind, ProcessNode, WindowSpec } from './nodes.ts';

type NameTable = { [K in PlanNodeKind]: (node: Extract<PlanNode, { kind: K }>) => string };

const names: NameTable = {
  source: (n) => `from ${n.connector.kind} ${n.connector.label}`,
  eventTime: (n) => `eventTime(${n.column})`,
  filter: () => 'filter',
  over: (n) => `over(${[...n.partitionBy, ...n.orderBy].map(unboundText).join(', ')})`,
  project: (n) => (n.dropped.length > 0 && n.columns.length === 0 ? 'drop' : n.keepOthers ? 'with' : 'select'),
  map: (n) => n.style,
  union: () => 'union',
  aggregate: (n) => (n.keys.length === 0 ? 'aggregate' : `groupBy(${groupKeys(n)})`),
  process: (n) => `${n.ports.map(portText).join(', ')}.process`,
  join: (n) =>
    n.lookup
      ? 'lookupJoin'
      : n.asOf
        ? n.type === 'left'
          ? 'leftAsOfJoin'
          : 'asOfJoin'
        : n.type === 'inner'
          ? 'join'
          : `${n.type}Join`,
  distinct: () => 'distinct',
  sort: (n) => `orderBy(${orderText(n.by)})`,
  limit: (n) => `limit(${n.rows})`,
  topN: (n) =>
    n.keep
      ? `groupBy(${n.partitionBy.join(', ')}).${n.keep === 'first' ? 'keepFirst' : 'keepLast'}(${n.by.map(({ column }) => column).join(', ')})`
      : `${n.partitionBy.length > 0 ? `groupBy(${n.partitionBy.join(', ')}).` : ''}topN(${n.n}, ${orderText(n.by)})`,
  toChangelog: () => 'toChangelog',
  fromChangelog: (n) => `fromChangelog(${n.key.join(', ')})`,
  sink: (n) => `to ${n.connector.kind} ${n.connector.label}`.trimEnd(),
};

/** What `.named()` said, else what the node does: `groupBy(origin, tumble 1 day)`. */
export function nodeName(node: PlanNode): string {
  return node.name ?? (names[node.kind] as (of: PlanNode) => string)(node);
}

/** The place that an error about `node` names. */
export function whereOf(node: PlanNode): ErrorWhere {
  return { operator: nodeName(node), ...(node.callSite === null ? {} : { callSite: node.callSite }) };
}

/** An error of the plan, at a node. */
export function fail(code: ErrorCode, node: PlanNode, message: string): never {
  throw new MillraceError(code, message, { where: whereOf(node) });
}

/** `did you mean 'delay'?`, or the names there are. */
export function nearest(wanted: string, existing: readonly string[]): string {
  const near = nearestNames(wanted, existing);
  if (near.length > 0) return `did you mean ${near.map((name) => `'${name}'`).join(' or ')}?`;
  const shown = existing.slice(0, 20).map((name) => `'${name}'`);
  if (shown.length === 0) return 'there are no columns here';
  return `there are ${shown.join(', ')}${existing.length > shown.length ? ', …' : ''}`;
}

export function unknownColumn(node: PlanNode, column: string, fields: Fields, use: string): never {
  const names = fields.map((field) => field.name);
  return fail('plan/unknown-column', node, `${use} '${column}' is no column of its input; ${nearest(column, names)}`);
}

/** A duration as it would be written: `1 day`, `90 seconds`, `1500 ms`. */
export function durationText(ms: number): string {
  const units: readonly (readonly [string, number])[] = [
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
    ['second', 1000],
  ];
  for (const [unit, unitMs] of units) {
    if (ms !== 0 && ms % unitMs === 0) return `${ms / unitMs} ${unit}${Math.abs(ms / unitMs) === 1 ? '' : 's'}`;
  }
  return `${ms} ms`;
}

export function windowText(window: WindowSpec): string {
  const clock = window.time === 'processing' ? ', processing time' : '';
  if (window.kind === 'session') return `session ${durationText(window.gapMs)}${clock}`;
  const offset = (window.offsetMs === 0 ? '' : `, offset ${durationText(window.offsetMs)}`) + clock;
  return window.kind === 'tumble'
    ? `tumble ${durationText(window.sizeMs)}${offset}`
    : `hop ${durationText(window.sizeMs)} by ${durationText(window.slideMs)}${offset}`;
}

export function orderText(by: readonly OrderKey[]): string {
  return by.map((key) => (key.descending ? `${key.column} desc` : key.column)).join(', ');
}

/** `origin VARCHAR, delay BIGINT NOT NULL`. */
export function fieldsText(fields: Fields): string {
  return fields.map((field) => `${field.name} ${fieldTypeText(field.type, field.nullable)}`).join(', ');
}

export function fieldTypeText(type: DataType, nullable: boolean): string {
  return nullable ? typeName(type) : `${typeName(type)} NOT NULL`;
}

function portText({ name, keys }: ProcessNode['ports'][number], _i: number, all: ProcessNode['ports']): string {
  const how = keys === null ? 'broadcast' : `keyBy(${keys.join(', ')})`;
  return all.length === 1 ? how : `${name} ${how}`;
}

function groupKeys(node: AggregateNode): string {
  return node.keys.map((key) => key ?? (node.window ? windowText(node.window) : 'window')).join(', ');
}
