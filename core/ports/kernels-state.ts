/**
 * Kernels of kernels/assembly/state.ts, over the pages of core/ports/page-layout.ts. `shape` and `table` are addresses of
 * the blocks drawn there. Kernels that answer a row stopped before it when it is less than n: why stands in the shape
 * block (`stop…`), and they are called again from that row once the cause is gone.
 */
type Resolve = (
  shape: number,
  table: number,
  hashes: number,
  rows: number,
  from: number,
  n: number,
  entries: number,
) => number;

type Recall = (
  shape: number,
  table: number,
  rows: number,
  n: number,
  entries: number,
  places: number,
  bits: number,
) => number;

export interface StateKernels {
  /** Find or insert, entries first: tables larger than the cache. `Any`: every key shape; the others: one leaf, no nulls. */
  resolveEntriesI64: Resolve;
  resolveEntriesI32: Resolve;
  resolveEntriesView: Resolve;
  resolveEntriesAny: Resolve;
  /** Find or insert, tags first: tables that fit the cache. */
  resolveTagsI64: Resolve;
  resolveTagsI32: Resolve;
  resolveTagsView: Resolve;
  resolveTagsAny: Resolve;
  /**
   * Find or insert without hashes: one leaf, no nulls, of a table that stands still. `places`: 2^bits sets of four marks
   * and four u32 entry addresses, zeroed at first. Like the above they answer the row they stopped at.
   */
  recallI64: Recall;
  recallI32: Recall;
  recallView: Recall;
  /** As the above for keys near one another: `places` begins with {i64 least key, u64 keys}, then a u32 entry address for each. */
  recallRangeI64(shape: number, table: number, rows: number, n: number, entries: number, places: number): number;
  recallRangeI32(shape: number, table: number, rows: number, n: number, entries: number, places: number): number;
  /** Widens {i64 least, i64 greatest} at `range` to the keys of a page of one integer leaf. */
  keyRange(shape: number, page: number, range: number): void;
  /** One dictionary-coded key without nulls; `places`: a u32 entry address per code, zeroed at first. */
  recallCodes(shape: number, table: number, rows: number, n: number, entries: number, places: number): number;
  /** Zeroes what was remembered. */
  forget(places: number, bytes: number): void;
  /** Finds rows again whose entry lay in the page at `moved`. */
  resolveAgain(
    shape: number,
    table: number,
    hashes: number,
    rows: number,
    n: number,
    entries: number,
    moved: number,
  ): void;
  /** Find or insert the keys of `n` entries of other tables of the same shape. */
  absorbEntries(shape: number, table: number, sources: number, from: number, n: number, to: number): number;
  absorbAgain(shape: number, table: number, sources: number, n: number, to: number, moved: number): void;
  /** A whole page, to another place. */
  copyPage(to: number, from: number): void;
  /** An empty page with its header. */
  clearPage(
    page: number,
    id: number,
    depth: number,
    prefix: number,
    capacity: number,
    entriesAt: number,
    countMax: number,
  ): void;
  /** Entries of `source` go to fresh pages by hash bit `depth`; `one` 0: all to `zero`. */
  distribute(shape: number, source: number, zero: number, one: number, depth: number): void;
  /** Entries of `source` go to the fresh pages that the table's directory leads to. */
  spread(shape: number, table: number, source: number): void;
  /** Takes `n` entries of a page out; others of the page move. */
  removeEntries(shape: number, page: number, entries: number, n: number): void;
  /** Occupied entries of a page from place `from`; how many at `count`; answers the place to go on at. */
  scanPage(shape: number, page: number, from: number, entries: number, max: number, count: number): number;
  /** A key leaf of `n` entries as a column; answers 1 when one was null. */
  readLeaf(shape: number, leaf: number, entries: number, n: number, values: number, validity: number): number;
  /** A page's entries (with `stampAt`, those with a later stamp than `since`) appended to a chunk; answers the place it stopped at. */
  exportEntries(shape: number, page: number, from: number, chunk: number, stampAt: number, since: number): number;
  /** What entries [from, n) of a list hold goes to the undo log where a snapshot reads their page; answers where it stopped. */
  keepEntries(shape: number, entries: number, from: number, n: number, stampAt: number, stamp: number): number;
  /** Entries of a list that lie in the page at `from` lie in its copy at `to` now. */
  movePage(entries: number, n: number, from: number, to: number): void;
  /** Writes at `to` what a logged page was when it froze. */
  pageAsFrozen(shape: number, page: number, to: number): void;
  /** Writes a stamp into the entries [from, n) of a list. */
  stampEntries(entries: number, from: number, n: number, stampAt: number, stamp: number): void;
  /** Accumulators of entries of another table with an equal declaration replace those of entry by entry. */
  overwriteEntries(shape: number, sources: number, entries: number, n: number): void;
  /** A chunk's entries of key groups [groupFrom, groupTo) inserted, their addresses (or 0) at `to`; answers where it stopped. */
  importEntries(
    shape: number,
    table: number,
    chunk: number,
    from: number,
    groupFrom: number,
    groupTo: number,
    to: number,
  ): number;
  /**
   * Groups n ≤ 4096 rows by slice floor((times[row] − offset) / length). `work`: `sliceWorkBytes`; bin b at `work` + 16b is
   * {i64 slice, u32 first position in `list`, u32 rows}, in no particular order. Answers the number of bins.
   */
  partitionSlices(
    times: number,
    rows: number,
    n: number,
    offset: bigint,
    length: bigint,
    work: number,
    list: number,
  ): number;
  /** Slice end of each row, as an i64 column (written at the row's own number). */
  sliceEnds(times: number, rows: number, n: number, offset: bigint, length: bigint, out: number): void;
  /**
   * Entries whose u32 at offset `at` is not `round` yet (it is set): each once to `out`, what stood there to `before`.
   * Both have room for n + 1 numbers. Answers how many.
   */
  distinctEntries(entries: number, n: number, at: number, round: number, out: number, before: number): number;
}

/** Bytes of `partitionSlices`' work block. */
export const sliceWorkBytes = 4096 * 16 + 8192 * 4 + 4096 * 4;
