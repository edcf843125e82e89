/**
 * Grouped aggregation: which operator does which phase. `single` and `final` hold the groups as state; `partial` reduces
 * rows before they are exchanged and holds nothing across a flush.
 */

import type { Operator, OperatorContext } from '../operator.ts';
import { SessionAggregate } from '../session/operator.ts';
import { GroupedAggregate } from './grouped.ts';
import { PartialAggregate } from './partial.ts';
import type { AggregateNode } from './setup.ts';
import { WindowedAggregate } from './windowed.ts';

/** Errors: `plan/unsupported` when a group's keys and accumulators are larger than an entry may be. */
export function aggregateOperator(node: AggregateNode, context: OperatorContext): Operator {
  if (node.phase === 'partial') return new PartialAggregate(node, context);
  if (node.window?.kind === 'session') return new SessionAggregate(node, context);
  return node.window === null ? new GroupedAggregate(node, context) : new WindowedAggregate(node, context);
}
