/**
 * ORDER BY on ended input: the rows of a subtask in order, all of them or the first few. The final sort of gathered,
 * already sorted rows is the same work: its batches come in order, and are merged.
 */
import { assert } from '../../base/assert.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import type { Batch } from '../../record/batch.ts';
import { arenaBlocks } from '../../record/blocks.ts';
import { type ColumnBuffer, columnBuffers, keptBatch } from '../../record/row-store.ts';
import type { RowValues } from '../../record/row-values.ts';
import { type Operator, type OperatorContext, type Output, Progress } from '../operator.ts';
import { RowSaver } from './kept-rows.ts';
import { boundedTopN } from './operator.ts';
import { Sorter } from './sorter.ts';

type SortNode = Extract<PhysicalNode, { kind: 'sort' }>;

export function sortOperator(node: SortNode, context: OperatorContext): Operator {
  if (node.limit === null) return new SortAll(node, context);
  return boundedTopN({ partitionBy: [], by: node.by, n: node.limit, using: 'ROW_NUMBER', rank: false }, context);
}

class SortAll implements Operator {
  readonly holdsToEnd = true;
  readonly #sorter: Sorter;
  readonly #buffers: readonly ColumnBuffer[];
  readonly #batchRows: number;
  #leaving = false;

  constructor(node: SortNode, context: OperatorContext) {
    const { memory, kernels, batchRows, name } = context;
    const layout = context.inputs[0] ?? [];
    const blocks = context.blocks ?? arenaBlocks(memory.arena);
    this.#batchRows = batchRows;
    this.#sorter = new Sorter({ layout, by: node.by, memory, kernels, blocks, name, batchRows });
    this.#buffers = columnBuffers(layout, memory, batchRows, name);
    const saver = new RowSaver([], context);
    const saved = context.state.keyed<RowValues[]>('rows', () => {
      assert(!this.#leaving, 'a snapshot comes before the rows leave');
      return saver.save(this.#sorter.store, this.#sorter.store.everyId());
    });
    saver.restore(saved, (batch) => this.#sorter.add(batch));
  }

  onBatch(batch: Batch): Progress {
    this.#sorter.add(batch);
    return Progress.done;
  }

  onEnd(out: Output): Progress {
    this.#sorter.begin();
    this.#leaving = true;
    return this.resume(out);
  }

  /** One batch a call: between two of them the runtime may look at the clock. */
  resume(out: Output): Progress {
    if (!this.#leaving) return Progress.done;
    const n = this.#sorter.next(this.#batchRows);
    if (n > 0) {
      out.emit(keptBatch(this.#sorter.store, this.#sorter.ids, n, this.#buffers));
      return Progress.more;
    }
    this.#leaving = false;
    this.#sorter.close();
    return Progress.done;
  }
}
