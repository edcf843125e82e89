/**
 * The order of rows that lie in batches and in cells of entries, by columns of fixed width: NULL is the least, NaN the greatest
 * DOUBLE. Knows no operator.
 */
import type { CellLayout } from '../../compile/cells.ts';
import type { SortKey } from '../../plan/physical.ts';
import type { Batch, Column } from '../../record/batch.ts';
import { isValid } from '../../record/column-reader.ts';
import type { Layout, StorageKind } from '../../record/layout.ts';
import type { SlotMemory } from '../../record/memory.ts';

export class RowOrder {
  readonly #memory: SlotMemory;
  readonly #keys: readonly {
    readonly column: number;
    readonly descending: boolean;
    readonly storage: StorageKind;
    /** Where it is in a row's cells; −1: a key column, the same in all rows that meet. */
    readonly valueAt: number;
    readonly presentAt: number;
  }[];

  constructor(by: readonly SortKey[], layout: Layout, { cells }: CellLayout, memory: SlotMemory) {
    this.#memory = memory;
    this.#keys = by.map(({ column, descending }) => {
      const cell = cells.find(({ leaf }) => leaf === column);
      const { storage } = layout[column]!;
      return { column, descending, storage, valueAt: cell?.valueAt ?? -1, presentAt: cell?.presentAt ?? -1 };
    });
  }

  /** Below 0: row `a` of the batch goes before its row `b`. */
  ofRows(batch: Batch, a: number, b: number): number {
    const memory = this.#memory;
    for (let i = 0; i < this.#keys.length; i++) {
      const { column, descending, storage } = this.#keys[i]!;
      const { values, validity } = batch.columns[column] as Column;
      const [hasA, hasB] = [isValid(memory, validity, a), isValid(memory, validity, b)];
      const order =
        hasA && hasB
          ? compare(memory, storage, placeOf(storage, values, a), a, placeOf(storage, values, b), b)
          : Number(hasA) - Number(hasB);
      if (order !== 0) return descending ? -order : order;
    }
    return 0;
  }

  /** Below 0: row `a` of the batch goes before the one whose cells are at `cells`. */
  ofKept(batch: Batch, a: number, cells: number): number {
    const memory = this.#memory;
    for (let i = 0; i < this.#keys.length; i++) {
      const { column, descending, storage, valueAt, presentAt } = this.#keys[i]!;
      if (valueAt < 0) continue;
      const { values, validity } = batch.columns[column] as Column;
      const hasA = isValid(memory, validity, a);
      const hasB = presentAt < 0 || memory.u32[(cells + presentAt) >>> 2] !== 0;
      const order =
        hasA && hasB
          ? compare(memory, storage, placeOf(storage, values, a), a, cells + valueAt, 0)
          : Number(hasA) - Number(hasB);
      if (order !== 0) return descending ? -order : order;
    }
    return 0;
  }
}

/** Two values at addresses; of BOOLEANs, bits counted from there. */
function compare(memory: SlotMemory, storage: StorageKind, a: number, bitA: number, b: number, bitB: number): number {
  const { u8, u32, i32, f64 } = memory;
  switch (storage) {
    case 'bit': {
      const bit = (at: number, i: number): number => ((u8[at + (i >>> 3)] as number) >>> (i & 7)) & 1;
      return bit(a, bitA) - bit(b, bitB);
    }
    case 'i32':
      return (i32[a >>> 2] as number) - (i32[b >>> 2] as number);
    case 'i64': {
      const high = (i32[(a >>> 2) + 1] as number) - (i32[(b >>> 2) + 1] as number);
      return high !== 0 ? high : (u32[a >>> 2] as number) - (u32[b >>> 2] as number);
    }
    case 'f64': {
      const [x, y] = [f64[a >>> 3] as number, f64[b >>> 3] as number];
      if (x < y) return -1;
      if (x > y) return 1;
      return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
    }
    case 'view':
      return 0;
  }
}

/** Where a row's value is; of a BOOLEAN, where the bits begin. */
function placeOf(storage: StorageKind, values: number, row: number): number {
  if (storage === 'bit') return values;
  return values + (storage === 'i32' ? 4 : 8) * row;
}
