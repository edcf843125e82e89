/**
 * Leaves of rows as kernels are told of them (core/ports/rows-layout.ts): where the columns of a batch lie, or those that
 * rows are read into. Knows neither what rows mean nor who keeps them.
 */
import {
  leafBitAt,
  leafBoundAt,
  leafBoundedAt,
  leafBytes,
  leafStorageAt,
  leafValidityAt,
  leafValuesAt,
  leafViewsAt,
} from '../ports/rows-layout.ts';
import type { Batch } from './batch.ts';
import type { SlotMemory } from './memory.ts';
import type { LeafTarget, RowShape } from './row-columns.ts';
import { storageCode } from './row-store.ts';

export class LeafList {
  readonly address: number;
  readonly count: number;
  readonly #memory: SlotMemory;
  readonly #leaves: RowShape['leaves'];

  constructor(leaves: RowShape['leaves'], memory: SlotMemory, name: string) {
    this.#memory = memory;
    this.#leaves = leaves;
    this.count = leaves.length;
    this.address = memory.arena.allocate(leafBytes * Math.max(1, leaves.length), `leaves of ${name}`);
    leaves.forEach(({ storage, bit }, i) => {
      this.#set(i, leafStorageAt, storageCode[storage]);
      this.#set(i, leafBitAt, bit);
      this.#set(i, leafValuesAt, 0);
      this.#set(i, leafValidityAt, 0);
      this.#set(i, leafViewsAt, 0);
      this.#set(i, leafBoundedAt, 0);
    });
  }

  /** Its columns are those of `batch`. */
  read(batch: Batch): void {
    for (let i = 0; i < this.count; i++) {
      const { values, validity, dictionary } = batch.columns[this.#leaves[i]!.leaf]!;
      this.#set(i, leafValuesAt, values);
      this.#set(i, leafValidityAt, validity);
      this.#set(i, leafViewsAt, dictionary?.views ?? 0);
    }
  }

  /** Its columns are these, by place; null: the leaf is passed over. */
  write(targets: readonly (LeafTarget | null)[]): void {
    for (let i = 0; i < this.count; i++) {
      this.#set(i, leafValuesAt, targets[i]?.values ?? 0);
      this.#set(i, leafValidityAt, targets[i]?.validity ?? 0);
    }
  }

  /** Rows whose `i`th value is NULL or not above `bound` are dead. */
  bound(i: number, bound: bigint): void {
    this.#set(i, leafBoundedAt, 1);
    this.#memory.i64[(this.address + i * leafBytes + leafBoundAt) >>> 3] = bound;
  }

  #set(i: number, at: number, value: number): void {
    this.#memory.u32[(this.address + i * leafBytes + at) >>> 2] = value;
  }
}
