/**
 * Keyed state as operators see it. All of it lives in 16 KB pages of the slot's page pool (state/), reached through one
 * page table with dirty and frozen flags, so that a snapshot copies on first write. Operators hold entry addresses for
 * one batch at most: the next `resolve` may move them.
 */
import type { Batch } from '../record/batch.ts';
import type { Layout } from '../record/layout.ts';

/** What a table of groups holds. */
export interface GroupTableDecl {
  /** Unique within the operator; with its id, the name under which a snapshot keeps it. */
  readonly name: string;
  /** Leaf columns of the key, in order. */
  readonly keys: Layout;
  /** Bytes of the accumulators behind each key, all zero when a key is new; a multiple of 8. */
  readonly accumulatorBytes: number;
}

/** Why a resolve stopped before the end of its rows. */
export const ResolveStop = {
  /** All rows resolved. */ done: 0,
  /** The page pool is used up (or no spare page for copy-on-write): nothing past the stop row was touched. */
  needPage: 1,
} as const;
export type ResolveStop = (typeof ResolveStop)[keyof typeof ResolveStop];

/** Group keys → accumulators. One table, or one per time slice. */
export interface GroupTable {
  /** Byte offset from an entry's address to its accumulators. */
  readonly accumulatorOffset: number;
  readonly size: number;
  /**
   * Finds or inserts the key of each row: for k in [0, n), row `rows[k]` (or k when `rows` is 0) of `batch`, whose key
   * leaves are `keyColumns`, whose hash is at `hashes` + 8k; writes the u32 entry address to `entries` + 4k. All
   * addresses stay valid, and writable without copying, until the next resolve, snapshot or drop. Answers how many rows
   * were resolved; fewer than n only when memory is used up.
   */
  resolve(batch: Batch, keyColumns: readonly number[], hashes: number, rows: number, n: number, entries: number): number;
  /**
   * Walks all entries in page order: writes up to `max` entry addresses to `entries`, answers how many; 0 at the end.
   * `cursor` starts as `{ at: 0 }` and is the walker's. Writing through them needs `resolve`.
   */
  scan(cursor: { at: number }, entries: number, max: number): number;
  /**
   * Copies key leaf `key` of `n` entries into a column buffer: values at `values` (views of long strings point into the
   * page), validity bits at `validity` when it is not 0.
   */
  readKey(key: number, entries: number, n: number, values: number, validity: number): void;
  /** Frees every page. */
  clear(): void;
}

/** Tables by time slice; dropping a slice is a free list. */
export interface SlicedTables {
  /** The table of a slice (its number, or its end in ms), made if absent. */
  open(slice: number): GroupTable;
  get(slice: number): GroupTable | null;
  /** Frees the slice's pages. */
  drop(slice: number): void;
  /** Slices that exist, ascending. */
  slices(): readonly number[];
}

/** An operator's declared state. */
export interface OperatorState {
  groups(decl: GroupTableDecl): GroupTable;
  slices(decl: GroupTableDecl): SlicedTables;
  /** A small JSON value of this subtask that a snapshot keeps (a watermark, a cursor). */
  value<T>(name: string, initial: T): { get(): T; set(value: T): void };
}
