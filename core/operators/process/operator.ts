/** Process functions: the operator (under construction: it refuses to run). */
import { MillraceError } from '../../base/errors.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import type { Operator, OperatorContext } from '../operator.ts';

export function processOperator(_node: Extract<PhysicalNode, { kind: 'process' }>, context: OperatorContext): Operator {
  throw new MillraceError('plan/unsupported', 'process functions cannot run yet', {
    where: { operator: context.name },
  });
}
