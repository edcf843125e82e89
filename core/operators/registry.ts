/**
 * Every kind of plan node has its operator: a new kind does not compile until it stands here. Operators are most of the
 * code that a thread runs, and a job has few kinds of them: each is loaded where a task of its kind is built.
 */
import type { PhysicalKind, PhysicalNode } from '../plan/physical.ts';
import type { Operator, OperatorContext } from './operator.ts';

/** Sources and sinks are connectors: the runtime makes their drivers itself. */
export type OperatorKind = Exclude<PhysicalKind, 'source' | 'sink'>;
export type OperatorNode = Extract<PhysicalNode, { kind: OperatorKind }>;
type Create<K extends PhysicalKind> = (node: Extract<PhysicalNode, { kind: K }>, context: OperatorContext) => Operator;

const operators: { readonly [K in OperatorKind]: () => Promise<Create<K>> } = {
  watermark: async () => (await import('./watermark.ts')).watermarkOperator,
  dynamicFilter: async () => (await import('./aggregate/dynamic-filter.ts')).dynamicFilterOperator,
  project: async () => (await import('./project.ts')).projectOperator,
  map: async () => (await import('./map.ts')).mapOperator,
  aggregate: async () => (await import('./aggregate/operator.ts')).aggregateOperator,
  process: async () => (await import('./process/operator.ts')).processOperator,
  join: async () => (await import('./join/operator.ts')).joinOperator,
  sort: async () => (await import('./ranking/sort.ts')).sortOperator,
  limit: async () => (await import('./limit.ts')).limitOperator,
  topN: async () => (await import('./ranking/operator.ts')).topNOperator,
  toChangelog: async () => (await import('./to-changelog.ts')).toChangelogOperator,
  fromChangelog: async () => (await import('./ranking/from-changelog.ts')).fromChangelogOperator,
  over: async () => (await import('./over/operator.ts')).overOperator,
};

export const operatorKinds = Object.keys(operators) as OperatorKind[];

/** What makes the operator of a node of this kind: with its buffers taken from the arena and its state restored. */
export async function loadOperator(
  kind: OperatorKind,
): Promise<(node: OperatorNode, context: OperatorContext) => Operator> {
  // One erasing cast: the table pairs each kind with its own node.
  return (await operators[kind]()) as (node: OperatorNode, context: OperatorContext) => Operator;
}
