/**
 * Whether the state of a checkpoint fits the plan that is to go on from it: operators are matched by their stable ids, what
 * they keep by a description of it. Says what is new, what has no owner any more, and what looks different now.
 */
import { MillraceError } from '../core/base/errors.ts';
import type { Plan } from '../core/plan/nodes.ts';
import type { Chain, ChainOperator, PhysicalNode, PhysicalPlan } from '../core/plan/physical.ts';
import type { StateSpec } from '../core/plan/states.ts';
import type { ConnectorSpec, Json } from '../core/ports/connector.ts';
import type { Layout } from '../core/record/layout.ts';
import type { DataType } from '../core/record/types.ts';

/** An operator that keeps something, as a checkpoint remembers it. */
export interface KeepingOperator {
  readonly id: string;
  readonly name: string;
  readonly kind: PhysicalNode['kind'];
  /** What it keeps, for people and to be compared: another text is another schema. */
  readonly keeps: string;
  /** Of a sink: where its last transactions go, should it be gone. */
  readonly connector: ConnectorSpec | null;
}

/** What a manifest holds as its plan. */
export interface PlanRecord {
  readonly logical: Plan;
  readonly operators: readonly KeepingOperator[];
}

export function planRecord(logical: Plan, physical: PhysicalPlan): PlanRecord {
  return { logical, operators: keepingOperators(physical) };
}

/** Operators with state, positions or transactions. First phases keep nothing of their own: theirs is the operator's. */
export function keepingOperators(physical: PhysicalPlan): readonly KeepingOperator[] {
  return physical.chains.flatMap((chain) =>
    chain.operators.flatMap((operator): KeepingOperator[] => {
      const keeps = keptBy(
        operator,
        inputOf(physical, chain, operator),
        chain.inputs.map((ids) => edgeLayout(physical, ids)),
      );
      if (keeps === null || operator.id.endsWith('.partial')) return [];
      const { id, name, node } = operator;
      const connector = node.kind === 'sink' ? node.connector : null;
      return [{ id, name, kind: node.kind, keeps, connector }];
    }),
  );
}

/** null: nothing. */
function keptBy({ node }: ChainOperator, input: Layout, ports: readonly Layout[]): string | null {
  const column = (index: number): string => {
    const leaf = input[index];
    return leaf ? `${leaf.name} ${typeText(leaf.type)}` : `#${index}`;
  };
  switch (node.kind) {
    case 'project':
    case 'map':
    case 'toChangelog':
      return null;
    case 'fromChangelog':
      return `the last rows (${input.map((_, i) => column(i)).join(', ')}) by (${node.keys.map((i) => input[i]?.name).join(', ')})`;
    case 'source':
      return `positions in ${node.connector.kind}`;
    case 'sink':
      return `transactions of ${node.connector.kind}`;
    case 'dynamicFilter':
    case 'watermark':
      return 'event time';
    case 'limit':
      return 'a count of rows';
    case 'sort':
      return `rows (${input.map((_, i) => column(i)).join(', ')})`;
    case 'topN':
      return `${node.keep ? `${node.keep} ` : ''}rows (${input.map((_, i) => column(i)).join(', ')}) by (${node.partitionBy.map((i) => input[i]?.name).join(', ')})${node.updating ? ` that may go, in order of (${node.by.map((key) => input[key.column]?.name).join(', ')})` : ''}${node.frees ? ` until ${column(node.frees.leaf)}` : ''}`;
    case 'over':
      return `rows (${input.map((_, i) => column(i)).join(', ')}) by (${node.partitionBy.map((i) => input[i]?.name).join(', ')}) in order of (${node.by.map((i) => input[i]?.name).join(', ')}), ${JSON.stringify(node.frame)}: ${node.calls.map((call) => `${call.fn}(${call.argType ? typeText(call.argType) : '*'})`).join(', ')}${node.updating ? ', that may go' : ''}`;
    case 'aggregate': {
      // Of a second phase the input are accumulators: what they are is said by the calls.
      const keys = node.keys.map((index) => column(index));
      const calls = node.calls.map(
        (call) => `${call.fn}(${call.distinct ? 'DISTINCT ' : ''}${call.argType ? typeText(call.argType) : '*'})`,
      );
      return `groups by (${keys.join(', ')})${node.window ? ` in ${JSON.stringify(node.window)}` : ''}: ${calls.join(', ')}${node.frees ? ` until ${column(node.frees.leaf)}` : ''}`;
    }
    case 'join': {
      // It begins a chain: each of its inputs is an edge.
      const side = (port: 0 | 1): string => {
        const text = (leaf: number): string => `${ports[port]![leaf]!.name} ${typeText(ports[port]![leaf]!.type)}`;
        const kept = [...new Set([...node.output[port], ...(node.residual?.leaves[port] ?? [])])].sort((a, b) => a - b);
        return `(${kept.map(text).join(', ')}) by (${node.keys[port].map(text).join(', ')})${node.updating[port] ? ' that may go' : ''}`;
      };
      return `${node.type} join of rows ${side(0)} with ${side(1)}`;
    }
    case 'process':
      return `state {${[...node.state, ...node.broadcastState, ...(node.operatorState ?? [])].map(stateText).join('; ')}} by (${(node.ports.find((port) => port.key)?.key?.fields ?? []).map((field) => `${field.name} ${typeText(field.type)}`).join(', ')})`;
  }
}

/** Functions that fold and how long values live may change; what lies in the pages may not. */
function stateText(spec: StateSpec): string {
  switch (spec.kind) {
    case 'map':
      return `${spec.name}: map ${typeText(spec.key)} → ${typeText(spec.type)}`;
    case 'aggregating':
      return `${spec.name}: aggregating (${spec.accumulator.map((field) => `${field.name} ${typeText(field.type)}`).join(', ')})`;
    default:
      return `${spec.name}: ${spec.kind} ${typeText(spec.type)}${spec.nullable ? ' or NULL' : ''}`;
  }
}

const typeText = (type: DataType): string => {
  const { kind, ...rest } = type as { kind: string };
  const parameters = Object.values(rest).filter((value) => typeof value === 'number');
  return parameters.length > 0 ? `${kind}(${parameters.join(',')})` : kind;
};

const edgeLayout = (physical: PhysicalPlan, ids: readonly number[]): Layout =>
  physical.edges.find((edge) => edge.id === ids[0])?.layout ?? [];

function inputOf(physical: PhysicalPlan, chain: Chain, operator: ChainOperator): Layout {
  const index = chain.operators.indexOf(operator);
  if (index === 0) {
    return edgeLayout(physical, chain.inputs[0] ?? []);
  }
  for (const feeder of chain.operators) {
    for (const [port, targets] of feeder.targets.entries()) {
      if (targets.some((target) => target.kind === 'operator' && target.index === index && target.port === 0))
        return feeder.outputs[port] ?? [];
    }
  }
  return [];
}

export interface Fit {
  /** In the checkpoint, and nobody's now. */
  readonly orphans: readonly KeepingOperator[];
  /** In the plan, and not in the checkpoint: they begin empty. */
  readonly added: readonly KeepingOperator[];
}

/** Errors: `snapshot/mismatch` with all differences when something has no owner (unless `allowNonRestored`) or another schema. */
export function checkFit(
  before: PlanRecord,
  physical: PhysicalPlan,
  where: { readonly checkpoint: string; readonly allowNonRestored: boolean },
): Fit {
  const now = keepingOperators(physical);
  const byId = new Map(now.map((operator) => [operator.id, operator]));
  const known = new Set(before.operators.map(({ id }) => id));
  const orphans = before.operators.filter(({ id }) => !byId.has(id));
  const added = now.filter(({ id }) => !known.has(id));
  const changed = before.operators.filter(({ id, keeps }) => byId.has(id) && byId.get(id)!.keeps !== keeps);
  if (changed.length === 0 && (orphans.length === 0 || where.allowNonRestored)) return { orphans, added };
  const lines = [
    ...orphans.map((operator) => `  - ${told(operator)}: it is not in the job any more`),
    ...added.map((operator) => `  + ${told(operator)}: it is new`),
    ...changed.map(
      (operator) =>
        `  ~ ${operator.id}: was ${operator.keeps}\n    ${' '.repeat(operator.id.length)}   is ${byId.get(operator.id)!.keeps}`,
    ),
  ];
  const remedy = [
    ...(orphans.length > 0
      ? [
          added.length > 0
            ? "give an operator that was only moved its old id with .named('…')"
            : 'bring the operator back',
          'or drop its state with --allow-non-restored-state (allowNonRestoredState)',
        ]
      : []),
    ...(changed.length > 0
      ? [
          'state cannot change its schema: give the changed operator another name, or start anew in another state directory',
        ]
      : []),
  ];
  throw new MillraceError(
    'snapshot/mismatch',
    `the job does not fit the state in ${where.checkpoint}:\n${lines.join('\n')}\n${remedy.join(', ')}`,
    { where: { path: where.checkpoint } },
  );
}

const told = ({ id, name, keeps }: KeepingOperator): string => `${id}${name === id ? '' : ` (${name})`}, ${keeps}`;

/** The record in a manifest. Null: it is of another shape. */
export function recordOf(plan: Json): PlanRecord | null {
  const record = plan as unknown as Partial<PlanRecord> | null;
  return record && typeof record === 'object' && Array.isArray(record.operators) ? (record as PlanRecord) : null;
}
