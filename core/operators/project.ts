/** The `project` node: a filter and output expressions over each batch, by the compiled projector. It keeps no state. */
import { type Projector, projector } from '../compile/projector.ts';
import type { PhysicalNode } from '../plan/physical.ts';
import type { Batch } from '../record/batch.ts';
import { type Operator, type OperatorContext, type Output, Progress } from './operator.ts';

export function projectOperator(
  node: Extract<PhysicalNode, { kind: 'project' }>,
  context: Pick<OperatorContext, 'memory' | 'kernels' | 'inputs' | 'outputs' | 'name'> &
    Partial<Pick<OperatorContext, 'userFunction' | 'counters'>>,
): Operator {
  const [input, output] = [context.inputs[0] ?? [], context.outputs[0] ?? []];
  return new Project(projector(node.filter, node.columns, { ...context, input, output }));
}

class Project implements Operator {
  readonly #projector: Projector;

  constructor(of: Projector) {
    this.#projector = of;
  }
  onBatch(batch: Batch, _port: number, out: Output): Progress {
    this.#projector.begin(batch);
    return this.resume(out);
  }
  resume(out: Output): Progress {
    for (let rows = this.#projector.next(); rows !== null; rows = this.#projector.next()) {
      if (out.emit(rows) === Progress.more) return Progress.more;
    }
    return Progress.done;
  }
}
