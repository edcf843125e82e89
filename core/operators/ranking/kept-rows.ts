/**
 * Kept rows as a snapshot takes them: by the key group of their partition, in the order in which they are kept. Rows
 * without a partition belong to the subtask that has them.
 */
import { keyGroupOfHigh, keyGroupRange } from '../../base/key-groups.ts';
import type { KeyedValue } from '../../ports/state.ts';
import type { Batch } from '../../record/batch.ts';
import { type ColumnBuffer, columnBuffers, keptBatch, type RowStore } from '../../record/row-store.ts';
import { eachBatchOf, type RowValues, rowValues } from '../../record/row-values.ts';
import { KeyHasher } from '../keyed-parts.ts';
import type { OperatorContext } from '../operator.ts';

export class RowSaver {
  readonly #context: OperatorContext;
  readonly #partitionBy: readonly number[];
  readonly #hasher: KeyHasher;
  /** Taken when a first snapshot is. */
  #buffers: readonly ColumnBuffer[] | null = null;
  #ids = 0;
  #hashes = 0;

  constructor(partitionBy: readonly number[], context: OperatorContext) {
    this.#partitionBy = partitionBy;
    this.#context = context;
    this.#hasher = new KeyHasher(context, context.inputs[0] ?? [], partitionBy);
  }

  /** The rows `ids` of a store, those of one key group in the order given. */
  save(store: RowStore, ids: Iterable<number>): readonly KeyedValue<RowValues[]>[] {
    const { memory, batchRows, name } = this.#context;
    this.#buffers ??= columnBuffers(store.layout, memory, batchRows, name);
    if (this.#ids === 0) {
      this.#ids = memory.arena.allocate(batchRows * 4, name);
      this.#hashes = memory.arena.allocate(batchRows * 8, name);
    }
    const groups = new Map<number, RowValues[]>();
    let n = 0;
    const leave = (): void => {
      const batch = keptBatch(store, this.#ids, n, this.#buffers as readonly ColumnBuffer[]);
      this.#sort(batch, groups);
      n = 0;
    };
    for (const id of ids) {
      memory.u32[(this.#ids >>> 2) + n++] = id;
      if (n === batchRows) leave();
    }
    if (n > 0) leave();
    return [...groups].map(([keyGroup, value]) => ({ keyGroup, value }));
  }

  /** Calls `take` with batches of what was saved, in the order of each key group. */
  restore(saved: readonly KeyedValue<RowValues[]>[], take: (batch: Batch) => void): void {
    if (saved.length === 0) return;
    const { memory, batchRows, inputs } = this.#context;
    const rows = saved.flatMap(({ value }) => value);
    eachBatchOf(rows, inputs[0] ?? [], memory, batchRows, take);
  }

  #sort(batch: Batch, groups: Map<number, RowValues[]>): void {
    const { memory, subtask, parallelism } = this.#context;
    // The same hash by which an exchange brings rows of a partition here.
    if (this.#partitionBy.length > 0) this.#hasher.hash(batch, 0, batch.size, this.#hashes);
    const own = keyGroupRange(subtask, parallelism).from;
    rowValues(batch, memory).forEach((row, k) => {
      const high = memory.u32[(this.#hashes >>> 2) + 2 * k + 1] as number;
      const keyGroup = this.#partitionBy.length > 0 ? keyGroupOfHigh(high) : own;
      const group = groups.get(keyGroup);
      if (group) group.push(row);
      else groups.set(keyGroup, [row]);
    });
  }
}
