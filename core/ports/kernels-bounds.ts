/** Kernels of kernels/assembly/bounds.ts: rows that are done with. `marks`: a byte for each row or place. */
export interface BoundKernels {
  /** Marks rows k from `from` to n whose time is NULL or not above `bound`. */
  markUpTo(values: number, validity: number, rows: number, from: number, n: number, bound: bigint, marks: number): void;
  /** Entries `from` to n that are marked have no key any more; answers how many had one. */
  entriesDrop(entries: number, marks: number, from: number, n: number): number;
  /** Of entries `from` to n whose bit (of `rows`) is 0, it is asked only whether there are matches. */
  entriesOnly(entries: number, bits: number, rows: number, from: number, n: number): void;
  /** Marks entries `from` to n whose key an earlier one of them has. `table`: 4 << bits bytes, twice as many places as entries. */
  keysRepeat(entries: number, from: number, n: number, table: number, bits: number, marks: number): void;
  /** Marks the places of a leaf whose rows are dead: 1, or 2 where a row lies in chunks. Answers how many. */
  orderedDead(leaf: number, leaves: number, count: number, nullBytes: number, headBytes: number, marks: number): number;
  /** Takes the places that are marked 1 out of a leaf that may be written; answers how many they were. */
  orderedDrop(leaf: number, marks: number): number;
}
