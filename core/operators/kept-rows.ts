/**
 * Kept rows as a snapshot takes them: by the key group of their partition, in the order in which they are kept. Rows
 * without a partition belong to the subtask that has them.
 */
import { keyGroupOfHigh, keyGroupRange } from '../base/key-groups.ts';
import type { KeyedValue } from '../ports/state.ts';
import type { Batch } from '../record/batch.ts';
import type { StorageKind } from '../record/layout.ts';
import { type ColumnBuffer, columnBuffers, keptBatch, type RowStore } from '../record/row-store.ts';
import { eachBatchOf, type RowValues, rowValues } from '../record/row-values.ts';
import type { OperatorContext } from './operator.ts';

export class RowSaver {
  readonly #context: OperatorContext;
  readonly #partitionBy: readonly number[];
  /** Taken when a first snapshot is. */
  #buffers: readonly ColumnBuffer[] | null = null;
  #ids = 0;
  #hashes = 0;

  constructor(partitionBy: readonly number[], context: OperatorContext) {
    this.#partitionBy = partitionBy;
    this.#context = context;
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
    if (this.#partitionBy.length > 0) this.#hash(batch);
    const own = keyGroupRange(subtask, parallelism).from;
    rowValues(batch, memory).forEach((row, k) => {
      const high = memory.u32[(this.#hashes >>> 2) + 2 * k + 1] as number;
      const keyGroup = this.#partitionBy.length > 0 ? keyGroupOfHigh(high) : own;
      const group = groups.get(keyGroup);
      if (group) group.push(row);
      else groups.set(keyGroup, [row]);
    });
  }

  /** The same hash by which an exchange brings rows of a partition here. */
  #hash(batch: Batch): void {
    const { kernels, hashSeed } = this.#context;
    const byStorage: { readonly [K in StorageKind]: typeof kernels.hashI64 } = {
      bit: kernels.hashBit,
      i32: kernels.hashI32,
      i64: kernels.hashI64,
      f64: kernels.hashF64,
      view: kernels.hashView,
    };
    this.#partitionBy.forEach((leaf, k) => {
      const column = batch.columns[leaf];
      const storage = batch.layout[leaf]?.storage;
      if (!column || !storage) throw new RangeError(`no column ${leaf} to partition by`);
      byStorage[storage](column.values, column.validity, 0, batch.size, hashSeed, k === 0 ? 1 : 0, this.#hashes);
    });
  }
}
