/** Every kind of plan node has its operator: a new kind does not compile until it stands here. */
import { assert } from '../base/assert.ts';
import type { PhysicalKind, PhysicalNode } from '../plan/physical.ts';
import { aggregateOperator } from './aggregate.ts';
import { joinOperator } from './join/operator.ts';
import { limitOperator } from './limit.ts';
import { mapOperator } from './map.ts';
import type { Operator, OperatorContext } from './operator.ts';
import { processOperator } from './process/operator.ts';
import { projectOperator } from './project.ts';
import { sortOperator } from './sort.ts';
import { topNOperator } from './top-n.ts';
import { watermarkOperator } from './watermark.ts';

/** Sources and sinks are connectors: the runtime makes their drivers itself. */
export type OperatorKind = Exclude<PhysicalKind, 'source' | 'sink'>;
type Create<K extends PhysicalKind> = (node: Extract<PhysicalNode, { kind: K }>, context: OperatorContext) => Operator;

const operators: { readonly [K in OperatorKind]: Create<K> } = {
  watermark: watermarkOperator,
  project: projectOperator,
  map: mapOperator,
  aggregate: aggregateOperator,
  process: processOperator,
  join: joinOperator,
  sort: sortOperator,
  limit: limitOperator,
  topN: topNOperator,
};

/** The operator of a node, with its buffers taken from the arena and its state restored. */
export function createOperator(node: PhysicalNode, context: OperatorContext): Operator {
  assert(node.kind !== 'source' && node.kind !== 'sink', `a ${node.kind} is no operator`);
  // One erasing cast: the table pairs each kind with its own node.
  return (operators[node.kind] as Create<typeof node.kind>)(node as never, context);
}
