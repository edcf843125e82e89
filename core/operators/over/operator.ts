/** OVER (PARTITION BY … ORDER BY …): beside each row, aggregates over rows up to it; by what its input does. */
import { type Layout, rowtimeName } from '../../record/layout.ts';
import type { Operator, OperatorContext } from '../operator.ts';
import { ChangingOver } from './changing.ts';
import { OverAtEnd } from './ended.ts';
import { OverInOrder } from './in-order.ts';
import type { OverNode } from './rows.ts';

export function overOperator(node: OverNode, context: OperatorContext): Operator {
  const results = resultsOf(node, context.outputs[0]!);
  if (context.bounded) return new OverAtEnd(node, results, context);
  return node.updating ? new ChangingOver(node, results, context) : new OverInOrder(node, results, context);
}

/** Leaves of the results: before the event time, where there is one. */
function resultsOf(node: OverNode, output: Layout): Layout {
  const end = output.at(-1)?.name === rowtimeName ? output.length - 1 : output.length;
  return output.slice(end - node.calls.length, end);
}
