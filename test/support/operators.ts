/** Operators by their node, made at once: a test has all kinds loaded before it begins. */
import assert from 'node:assert/strict';
import type { Operator, OperatorContext } from '../../core/operators/operator.ts';
import { loadOperator, operatorKinds } from '../../core/operators/registry.ts';
import type { PhysicalNode } from '../../core/plan/physical.ts';

const loaded = new Map(await Promise.all(operatorKinds.map(async (kind) => [kind, await loadOperator(kind)] as const)));

export function createOperator(node: PhysicalNode, context: OperatorContext): Operator {
  assert(node.kind !== 'source' && node.kind !== 'sink', `a ${node.kind} is no operator`);
  return loaded.get(node.kind)!(node, context);
}
