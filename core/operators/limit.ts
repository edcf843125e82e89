/** The first rows that come, whichever they are. Runs in one subtask where the limit is of all rows, or in each as a first cut. */
import type { PhysicalNode } from '../plan/physical.ts';
import { type Batch, batch as batchOf } from '../record/batch.ts';
import { type Operator, type OperatorContext, type Output, Progress } from './operator.ts';

type LimitNode = Extract<PhysicalNode, { kind: 'limit' }>;

export function limitOperator(node: LimitNode, context: OperatorContext): Operator {
  return new Limit(node.rows, context);
}

class Limit implements Operator {
  readonly #limit: number;
  readonly #passed: { get(): number; set(value: number): void };

  constructor(limit: number, context: OperatorContext) {
    this.#limit = limit;
    this.#passed = context.state.value('passed', 0);
  }

  get satisfied(): boolean {
    return this.#passed.get() >= this.#limit;
  }

  onBatch(batch: Batch, _port: number, out: Output): Progress {
    const passed = this.#passed.get();
    const rows = Math.min(batch.size, this.#limit - passed);
    if (rows <= 0) return Progress.done;
    this.#passed.set(passed + rows);
    return out.emit(rows === batch.size ? batch : firstOf(batch, rows));
  }

  /** Downstream has consumed the batch that it had no room for. */
  resume(): Progress {
    return Progress.done;
  }
}

/** The first `rows` rows that are in. */
function firstOf(batch: Batch, rows: number): Batch {
  const { layout, columns, kinds, selection, origin } = batch;
  return batchOf(layout, selection === 0 ? rows : batch.rowCount, columns, { kinds, selection, size: rows, origin });
}
