/**
 * Kernels of kernels/assembly/sort.ts: rows that are kept and put in order. The layouts of `keys`, entries and the merge's
 * state are drawn there; core/record/row-store.ts and core/operators/sorter.ts write them.
 *
 * Gathers work on rows `rows[k]`, or `first + k` when `rows` is 0, for k < n, and write densely.
 */
export interface SortKernels {
  gather4(from: number, rows: number, first: number, n: number, to: number): void;
  gather8(from: number, rows: number, first: number, n: number, to: number): void;
  /** Bits to bit `toBit` of `to` and on; `from` 0 stands for ones. Answers how many are 0. */
  gatherBits(from: number, rows: number, first: number, n: number, to: number, toBit: number): number;
  /** Views; `views` is the dictionary's when `from` holds codes, else 0. NULL's view is empty. */
  gatherTexts(from: number, views: number, validity: number, rows: number, first: number, n: number, to: number): void;
  /** Copies long strings to [heap, end) and points their views there; answers the views done, the next free address at `next`. */
  adoptTexts(views: number, n: number, heap: number, end: number, next: number): number;

  /** Rows of a store by id (u32 at `ids`); `chunks`: the chunk table, `offset`: the column's place in a chunk. */
  keptRows4(chunks: number, shift: number, offset: number, ids: number, n: number, to: number): void;
  keptRows8(chunks: number, shift: number, offset: number, ids: number, n: number, to: number): void;
  keptRows16(chunks: number, shift: number, offset: number, ids: number, n: number, to: number): void;
  keptRowsBits(chunks: number, shift: number, offset: number, ids: number, n: number, to: number): number;

  /** The greatest, the least of n > 0 i64 (rows `rows[k]`, or k). */
  greatestI64(values: number, rows: number, n: number): bigint;
  leastI64(values: number, rows: number, n: number): bigint;
  /** The first row of `rows` that is null, or −1. */
  firstNullOf(validity: number, rows: number, n: number): number;

  /** n entries of row ids from `id` on, their prefixes 0. */
  sortEntries(entries: number, n: number, id: number): void;
  /** Adds one key column to the prefixes, behind `used` bits. */
  sortPrefix(
    storage: number,
    values: number,
    validity: number,
    views: number,
    rows: number,
    first: number,
    n: number,
    nullable: number,
    descending: number,
    used: number,
    entries: number,
  ): void;
  /** Row ids of entries whose prefix is below `limit` (or equal, with `orEqual` 1) to `out`; answers how many. */
  prefixesBelow(entries: number, n: number, limit: bigint, orEqual: number, out: number): number;

  /** < 0, 0, > 0 as row a stands before, with, behind row b by `keys`. */
  compareKept(keys: number, a: number, b: number): number;
  /** −1 or 1: the entry at a stands before or behind that at b (equal rows by row id). */
  compareEntries(keys: number, a: number, b: number): number;
  /** 1 when n entries stand in order. */
  entriesInOrder(keys: number, entries: number, n: number): number;
  /** Sorts n entries; `scratch` has room for as many, `counts` 8 KB. */
  sortEntriesInPlace(keys: number, entries: number, scratch: number, counts: number, n: number): void;

  mergeStart(state: number, keys: number): void;
  mergeNext(state: number, keys: number, out: number, max: number): number;

  /** Ranks (u64 each) of n ids in order of partition and order keys. `using`: 0 ROW_NUMBER, 1 RANK, 2 DENSE_RANK. */
  rankKept(ids: number, n: number, partition: number, order: number, using: number, state: number, ranks: number): void;
}
