/** What a physical operator does, in words and SQL: one line or a few, for `explain`. It decides nothing. */
import { exprText, frameText } from '../expr/print.ts';
import type { AggregateCall, Expr } from '../expr/tree.ts';
import type { PruneCondition } from '../ports/connector.ts';
import { type Layout, type LayoutColumn, rowtimeName } from '../record/layout.ts';
import { typeName } from '../record/types.ts';
import { durationText, windowText } from './names.ts';
import type { Exchange, ProcessInput, SortKey } from './physical.ts';
import type { RelNode } from './rel.ts';
import type { StateSpec } from './states.ts';

type Describe<N> = (node: N, input: Layout, output: Layout) => readonly string[];

/** The first line begins with what the operator is; others are details. */
export function describeOperator(node: RelNode, input: Layout, output: Layout): readonly string[] {
  return (table[node.kind] as Describe<RelNode>)(node, input, output);
}

export function exchangeText(exchange: Exchange, layout: Layout, subtasks: number): string {
  switch (exchange.kind) {
    case 'hash':
      return `hash(${names(exchange.keys, layout)})`;
    case 'rebalance':
      return subtasks === 1 ? 'gather' : 'rebalance';
    default:
      return exchange.kind;
  }
}

export function layoutText(layout: Layout): string {
  return layout.map(leafText).join(', ');
}

function leafText(leaf: LayoutColumn): string {
  return `${leaf.name} ${typeName(leaf.type)}${leaf.nullable ? '' : ' NOT NULL'}`;
}

const onErrorText = {
  skip: 'rows it cannot take are counted and left out',
  side: 'rows it cannot take go to errors',
} as const;

const table: { [K in RelNode['kind']]: Describe<Extract<RelNode, { kind: K }>> } = {
  source: ({ connector, request, watermark }) => [
    `source ${connector.kind} ${connector.label}`,
    `reads ${request.layout.map((leaf) => leaf.name).join(', ')}`,
    ...(request.prune.length === 0
      ? []
      : [`skips what cannot have ${request.prune.map((p) => conditionText(p, request.layout)).join(' and ')}`]),
    ...(watermark === null ? [] : [watermarkText(watermark, request.layout)]),
  ],
  watermark: ({ watermark }, input) => ['watermark', watermarkText(watermark, input)],
  dynamicFilter: ({ keys, call, window }, input) => {
    const groups = keys.length === 0 ? '' : ` per (${names(keys, input)})`;
    return ['dynamic filter', `only what may be ${callText(call, input)} by ${windowText(window)}${groups}`];
  },
  project: ({ filter, columns }, input, output) => {
    const made = columns.flatMap((column, i) => {
      const name = output[i]!.name;
      const text = exprText(column, input);
      return column.kind === 'column' && text === name ? [] : [`${name} = ${text}`];
    });
    const passed = columns.flatMap((column, i) =>
      column.kind === 'column' && input[column.index]!.name === output[i]!.name ? [output[i]!.name] : [],
    );
    return [
      filter === null ? 'project' : made.length === 0 ? 'filter' : 'filter and project',
      ...(filter === null ? [] : [`where ${exprText(filter, input)}`]),
      ...made,
      ...(passed.length === 0 ? [] : [`passes ${passed.join(', ')}`]),
    ];
  },
  map: ({ style, functionId, onError }) => [
    `${style} function ${functionId}`,
    'runs JavaScript',
    ...(onError ? [onErrorText[onError]] : []),
  ],
  union: () => ['union'],
  aggregate: ({ phase, keys, calls, window, allowedLatenessMs }, input, output) => {
    const by = [...keys.map((key) => input[key]!.name), ...(window ? [windowText(window)] : [])];
    const firstCall = keys.length + (window ? 2 : 0);
    return [
      `aggregate${phaseText(phase)}${by.length === 0 ? ' of all rows' : ` by ${by.join(', ')}`}`,
      // Behind the exchange, arguments are not columns of the input any more: what comes in are accumulators.
      ...(phase === 'final'
        ? []
        : calls.map(
            (call, i) => `${phase === 'partial' ? '' : `${output[firstCall + i]!.name} = `}${callText(call, input)}`,
          )),
      ...(allowedLatenessMs > 0 ? [`takes rows up to ${durationText(allowedLatenessMs)} late`] : []),
    ];
  },
  process: ({ ports, side, state, broadcastState, operatorState = [], onTimer, onError }) => [
    `process${ports.map(portText).join(',')}`,
    'runs JavaScript',
    ...[
      ...state,
      ...broadcastState.map((spec) => ({ ...spec, name: `${spec.name} (broadcast)` })),
      ...operatorState.map((spec) => ({ ...spec, name: `${spec.name} (operator)` })),
    ].map(stateText),
    ...(onTimer === null ? [] : ['sets timers']),
    ...(side.length === 0 ? [] : [`side outputs ${side.map(({ name }) => name).join(', ')}`]),
    ...(onError ? [onErrorText[onError]] : []),
  ],
  join: ({ type, keys, residual, on, lookup, within, asOf }) => [
    `${lookup ? 'lookup' : asOf ? `${type} as-of` : within ? `${type} interval` : type} join${keys[0].length === 0 ? ' of all rows with all' : ` on ${on}`}`,
    ...(residual === null ? [] : [`matches where ${residual.text}`]),
  ],
  sort: ({ phase, by, limit }, input) => [
    `sort${phaseText(phase)} by ${orderText(by, input)}${limit === null ? '' : `, the first ${limit} rows`}`,
  ],
  limit: ({ phase, rows }) => [`limit${phaseText(phase)} ${rows} rows`],
  topN: ({ phase, partitionBy, by, n, using, rank, keep }, input) => [
    keep
      ? `keep ${keep}${by.length === 0 ? ' to come' : ` by ${by.map(({ column }) => input[column]!.name).join(', ')}`} per (${names(partitionBy, input)})`
      : `topN${phaseText(phase)} ${n} by ${orderText(by, input)}${partitionBy.length === 0 ? '' : ` per (${names(partitionBy, input)})`}`,
    ...(keep ? [] : [`${using}${rank ? ', gives the rank' : ''}`]),
  ],
  toChangelog: () => ['changes become rows', 'gives row_kind'],
  fromChangelog: ({ keys }, input) => [`rows become changes, the last per (${names(keys, input)}) stands`],
  over: ({ partitionBy, by, frame, calls, updating }, input, output) => {
    const first = input.length - (input.at(-1)?.name === rowtimeName ? 1 : 0);
    return [
      `over${partitionBy.length === 0 ? ' all rows' : ` (${names(partitionBy, input)})`} by ${names(by, input)}, ${frameText(frame)}`,
      ...calls.map((call, i) => `${output[first + i]!.name} = ${callText(call, input)}`),
      ...(updating ? ['takes rows back'] : []),
    ];
  },
  sink: ({ connector, output, upsert }, input) => [
    `sink ${connector.kind} ${connector.label}`.trimEnd(),
    `output '${output}'`,
    ...(upsert ? [`upserts by (${names(upsert.key, input)})`] : []),
  ],
};

function portText({ name, key }: ProcessInput): string {
  return key === null ? ` ${name} broadcast` : ` ${name} by ${key.fields.map((field) => field.name).join(', ')}`;
}

function stateText(spec: StateSpec): string {
  const types =
    spec.kind === 'aggregating'
      ? typeName({ kind: 'ROW', fields: spec.accumulator })
      : `${spec.kind === 'map' ? `${typeName(spec.key)} to ` : ''}${typeName(spec.type)}`;
  const ttl =
    spec.ttl === null ? '' : `, gone ${durationText(spec.ttl.ms)} after it was written (${spec.ttl.time} time)`;
  return `keeps ${spec.name}: ${spec.kind} of ${types}${ttl}`;
}

const signs = { eq: '=', lt: '<', lte: '<=', gt: '>', gte: '>=' } as const;

function conditionText({ column, op, value }: PruneCondition, layout: Layout): string {
  const type = layout.find((leaf) => leaf.name === column)!.type;
  const literal: Expr = { kind: 'literal', value, type, nullable: false };
  return `${column} ${signs[op]} ${exprText(literal, layout)}`;
}

function phaseText(phase: string | undefined): string {
  return phase === undefined || phase === 'single' ? '' : ` (${phase})`;
}

function watermarkText(
  of: { column: number; outOfOrdernessMs: number; idleAfterMs: number | null },
  layout: Layout,
): string {
  const behind = of.outOfOrdernessMs === 0 ? 'rows in order' : `${durationText(of.outOfOrdernessMs)} behind`;
  const idle = of.idleAfterMs === null ? '' : `, idle after ${durationText(of.idleAfterMs)}`;
  return `watermark from ${layout[of.column]!.name}, ${behind}${idle}`;
}

function callText(call: AggregateCall, input: Layout): string {
  const filter = call.filter === null ? '' : ` FILTER (WHERE ${input[call.filter]!.name})`;
  return `${call.fn.toUpperCase()}(${call.distinct ? 'DISTINCT ' : ''}${call.arg === null ? '*' : input[call.arg]!.name})${filter}`;
}

function orderText(by: readonly SortKey[], layout: Layout): string {
  return by.map((key) => `${layout[key.column]!.name}${key.descending ? ' desc' : ''}`).join(', ');
}

function names(leaves: readonly number[], layout: Layout): string {
  return leaves.map((leaf) => layout[leaf]!.name).join(', ');
}
