/**
 * Keyed state as operators see it. All of it lives in 16 KB pages of the slot's page pool (state/), reached through one
 * page table with dirty and frozen flags, so that a snapshot copies on first write. Operators hold entry addresses for
 * one batch at most: the next `resolve` may move them.
 */
import type { Batch } from '../record/batch.ts';
import type { ByteSource } from '../record/bytes.ts';
import type { KeyPart } from '../record/key-bytes.ts';
import type { Layout } from '../record/layout.ts';
import type { DataType, Fields } from '../record/types.ts';

/** What a table of groups holds. */
export interface GroupTableDecl {
  /** Unique within the operator; with its id, the name under which a snapshot keeps it. */
  readonly name: string;
  /** Leaf columns of the key, in order. */
  readonly keys: Layout;
  /** Bytes of the accumulators behind each key, all zero when a key is new; a multiple of 8. */
  readonly accumulatorBytes: number;
  /**
   * Offsets, within the accumulators, of 16-byte views whose text the table keeps (`keepText`). A zeroed view is empty.
   * Default none.
   */
  readonly texts?: readonly number[];
  /** What the accumulators hold, for tools and savepoints. Without it they are bytes. */
  readonly leaves?: readonly AccumulatorLeaf[];
}

/** A value within accumulators. */
export interface AccumulatorLeaf {
  /** Unique within the declaration. */
  readonly name: string;
  readonly type: DataType;
  /** Bytes from the accumulators' start. */
  readonly offset: number;
  /**
   * How it lies there. `bit`: a u32, 0 or 1. `i32`, `i64`, `f64`: 4 or 8 bytes. `view`: one of the declaration's `texts`.
   * `min`, `max`: 8 bytes in the code of core/compile/accumulators.ts, 0 = nothing yet = NULL; `minView`, `maxView`: {u32
   * has, u32 zero, view}.
   */
  readonly coding: 'bit' | 'i32' | 'i64' | 'f64' | 'view' | 'min' | 'max' | 'minView' | 'maxView';
  /** It is NULL when one of these words, of all 32 bits or those of a mask, is zero or is not. */
  readonly absent?: readonly { readonly at: number; readonly mask: number; readonly when: 'zero' | 'set' }[];
}

/** Why a resolve stopped before the end of its rows. */
export const ResolveStop = {
  /** All rows resolved. */ done: 0,
  /** The page pool is used up (or no spare page for copy-on-write): nothing past the stop row was touched. */
  needPage: 1,
  /** The bound of page copies for one call is reached: go on from the stop row in a next step. */
  copied: 2,
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
   * were resolved; when fewer than n, `stop` says why. Errors: `record/too-large` for a key beyond `entryBytesMax`.
   */
  resolve(
    batch: Batch,
    keyColumns: readonly number[],
    hashes: number,
    rows: number,
    n: number,
    entries: number,
  ): number;
  /**
   * As `resolve`, without hashes, where the table stands still and remembers where the keys lie that it has met; new ones
   * are inserted. Answers how many rows it resolved: often none. What is left is for `resolve`, after these were used.
   */
  recall(batch: Batch, keyColumns: readonly number[], rows: number, n: number, entries: number): number;
  /**
   * Walks all entries in hash order, page by page (a walk that is under way sees no page twice as long as nothing is inserted): writes up to `max` entry addresses to `entries`, answers how many; 0 at the end.
   * `cursor` starts as `{ at: 0 }` and is the walker's. Writing through them needs `resolve`. `until`, a multiple of
   * 1 / 2 ** `evenDepth`: the walk ends, until it is taken up with a greater one, at that part of all hashes.
   */
  scan(cursor: { at: number }, entries: number, max: number, until?: number): number;
  /** Pages lie wholly in one of the 2 ** `evenDepth` equal parts of all hashes: tables can be walked side by side. */
  readonly evenDepth: number;
  /**
   * Copies key leaf `key` of `n` entries into a column buffer: values at `values` (views of long strings point into the
   * page), validity bits at `validity` when it is not 0.
   */
  readKey(key: number, entries: number, n: number, values: number, validity: number): void;
  /** Why the last `resolve` or `absorb` answered fewer rows. */
  readonly stop: ResolveStop;
  /**
   * As `resolve`, for the keys of `n` entries of another table with an equal declaration: writes this table's entry
   * address for `sources`[k] to `entries`[k]. Accumulators are left as they are (zero when new).
   */
  absorb(sources: number, n: number, entries: number): number;
  /**
   * Takes entries out for good, in page order: writes up to `max` addresses to `entries`, answers how many; 0 when none
   * is left. They are readable until the next call and are in no snapshot from now on. No `resolve` may follow.
   */
  drain(entries: number, max: number): number;
  /**
   * Keeps a text for an entry: copies the bytes of the view at `view` (a short one is copied itself) and writes a view of
   * the copy at `target`, one of the declaration's `texts`. The text that `target` held stays readable until `reclaim`. Errors:
   * `record/too-large` beyond `textBytesMax`, `memory/exhausted`.
   */
  keepText(target: number, view: number): void;
  /** Texts that were replaced are no longer read by anyone downstream. */
  reclaim(): void;
  /**
   * Entries leave for good, and their bytes are free: `n` distinct addresses at `entries`, as the last `resolve` or `scan`
   * gave them. They are sorted in place; answers how many of the first are gone. When fewer than n, `stop` says why, and
   * the rest are where they were. Addresses of other entries of the pages that lost one move: resolve again before
   * writing, and start a `scan` anew. A text that an entry held stays readable until `reclaim`.
   */
  remove(entries: number, n: number): number;
  /** Pages it holds. */
  readonly pages: number;
  /** Frees every page. */
  clear(): void;
}

/** What an ordered table holds. Keys are bytes, compared as memcmp does, a prefix before what it begins. */
export interface OrderedTableDecl {
  /** Unique within the operator; with its id, the name under which a snapshot keeps it. */
  readonly name: string;
  /**
   * Offset, in every key, of the 8 big-endian bytes of its hash, whose first bits are the key group: a restore takes the
   * rows of its own key groups. null: the rows are the same in every subtask (broadcast state), and those of any are
   * taken.
   */
  readonly keyGroupAt: number | null;
  /** With a `keyGroupAt` of null: rows differ from subtask to subtask (operator state), and those of all are taken. */
  readonly perSubtask?: boolean;
  /** What keys are made of, in the encoding of core/record/key-bytes.ts. For tools, and checked on restore. */
  readonly key: readonly KeyPart[];
  /** What values hold, in the encoding of core/record/row-bytes.ts. Empty: values are empty. */
  readonly value: Fields;
}

/**
 * Keys → values in key order: a B+tree of 16 KB pages. Keys are of 1 to `orderedKeyBytesMax` bytes, values of 0 to
 * `orderedValueBytesMax`. All arguments are addresses in the slot's memory unless said otherwise; nothing is kept of them,
 * and none may be a value of the same table: its pages are moved about. Values that are read in chunks share one buffer.
 *
 * An array of entries is 16 bytes each: u32 key address, u32 key bytes, u32 value address, u32 value bytes.
 *
 * Calls for one key (`put`, `delete`, `deleteRange`) do their work whole, and throw `memory/exhausted`, with nothing
 * changed that counts, when no page is left: who must not fail in the middle looks at `OperatorState.freePages` first (a
 * call takes `orderedPagesPerCall` at most). Calls for many answer how many they did; `stop` says why fewer.
 */
export interface OrderedTable {
  /** Entries. */
  readonly size: number;
  readonly pages: number;
  /** Why the last call for many answered fewer. */
  readonly stop: ResolveStop;
  /** Frozen pages that were copied since it was set to 0; calls for many set it to 0 and are bounded by `pageCopiesMax`. */
  copies: number;
  /** The value of a key, or null; valid until the table is next written. One object, used again by the next call. */
  get(key: number, keyBytes: number): ByteSource | null;
  has(key: number, keyBytes: number): boolean;
  /**
   * Looks the keys of `n` entries up: writes value address (0: the key is not there) and value bytes into the entries. For
   * tables whose values are never longer than `orderedInlineBytesMax`.
   */
  getMany(entries: number, n: number): void;
  /**
   * Goes on with a search (`probe`: core/ports/rows-layout.ts) of the entries whose keys begin with those of `entries`, up to n, in
   * key order for each: a key has eight bytes at least, or none and is passed over. Answers whether it is done; if not, as many
   * were found as it may find, or a long value needs room. Values stand where they are until the table is next written.
   */
  probeMany(entries: number, n: number, probe: number): boolean;
  /** Inserts or replaces. Errors: `record/too-large`, `memory/exhausted`. */
  put(key: number, keyBytes: number, value: number, valueBytes: number): void;
  /** As `put`, with a value of any length in [`from`, `to`) of bytes anywhere. */
  putBytes(key: number, keyBytes: number, value: Uint8Array, from: number, to: number): void;
  /** Answers whether it was there. */
  delete(key: number, keyBytes: number): boolean;
  /**
   * Inserts or replaces `n` entries, the later of two with one key wins; in key order it is fastest. Values of up to
   * `orderedInlineBytesMax`. Answers how many were put, from the first on. Errors: `record/too-large`.
   */
  putMany(entries: number, n: number): number;
  /** Deletes the keys of `n` entries, those that are there. Answers how many of the entries it is done with. */
  deleteMany(entries: number, n: number): number;
  /**
   * Takes the first entries with a key below `bound` (`boundBytes` 0: all) out for good, in order: writes up to `max` to
   * `entries`, their bytes to `bytes`, which has room for `room`. Answers how many; 0 with `stop` done: none is left
   * below the bound. Errors: `record/too-large` for a first one that is larger than the room.
   */
  takeUpTo(bound: number, boundBytes: number, max: number, entries: number, bytes: number, room: number): number;
  /** Deletes all keys in [`from`, `to`); `toBytes` 0: to the end. Whole pages go unread. Answers how many went. */
  deleteRange(from: number, fromBytes: number, to: number, toBytes: number): number;
  /** Deletes all keys that begin with `prefix`. Answers how many went. */
  deletePrefix(prefix: number, prefixBytes: number): number;
  /**
   * Goes on through the table where it last stopped, over `entries` entries at least and the whole at most, and takes out those whose
   * rows are dead. What a snapshot is reading stays for the next time. Answers how many went.
   */
  sweep(rows: DeadRows, entries: number): number;
  /** A cursor that belongs to the caller; made once, used many times (it holds buffers for good). */
  cursor(): OrderedCursor;
  /** Frees every page. */
  clear(): void;
}

/** Which rows are dead: `count` leaves at `leaves`, with bounds (core/ports/rows-layout.ts), of rows of that shape. */
export interface DeadRows {
  readonly leaves: number;
  readonly count: number;
  readonly nullBytes: number;
  readonly headBytes: number;
}

/**
 * Walks an ordered table forwards. It stays valid whatever is put or deleted meanwhile: `next` goes to the first key
 * behind the current one that there is then.
 */
export interface OrderedCursor {
  /** Before the first key ≥ `from`; ends before the first key ≥ `to` (`toBytes` 0: at the table's end). */
  range(from: number, fromBytes: number, to: number, toBytes: number): void;
  /** Before the first key that begins with `prefix`; ends behind the last of them. `prefixBytes` 0: all keys. */
  prefix(prefix: number, prefixBytes: number): void;
  /**
   * As `prefix`, before the key that stands `steps` keys before [`key`, `key` + `keyBytes`), which begins with the prefix and
   * need not be there, or before the prefix's first. Answers how many keys that is.
   */
  back(key: number, keyBytes: number, steps: number, prefixBytes: number): number;
  /** Moves on; false at the end (call it again to look for what was put since). */
  next(): boolean;
  /** The current key: bytes in the slot's memory, valid until the next `next`. */
  readonly key: number;
  readonly keyBytes: number;
  /** The current value; valid until the table is next written or the cursor moves. One object, used again. */
  value(): ByteSource;
  /** Deletes the current entry. `next` goes on behind it. */
  delete(): void;
}

/** Part `index` of 2 ** `depth` equal parts of all hashes, counted behind the key group's bits. */
export interface HashPart {
  readonly depth: number;
  readonly index: number;
}

/** Tables by time slice; dropping a slice is a free list. */
export interface SlicedTables {
  /** As `GroupTable.accumulatorOffset`, of all of them. */
  readonly accumulatorOffset: number;
  /** The table of a slice (its number, or its end in ms), made if absent; for keys of that part of all hashes alone. */
  open(slice: number, part?: HashPart): GroupTable;
  get(slice: number): GroupTable | null;
  /** Frees the slice's pages. */
  drop(slice: number): void;
  /** Slices that exist, ascending. */
  slices(): readonly number[];
}

/** A value that moves with its key group. */
export interface KeyedValue<T> {
  readonly keyGroup: number;
  readonly value: T;
}

/** An operator's declared state. */
export interface OperatorState {
  groups(decl: GroupTableDecl): GroupTable;
  slices(decl: GroupTableDecl): SlicedTables;
  ordered(decl: OrderedTableDecl): OrderedTable;
  /**
   * A small JSON value of this subtask that a snapshot keeps (a watermark, a cursor). Restored into another parallelism,
   * the values of all subtasks whose key groups come here are merged by `merge` (default: the first one's).
   */
  value<T>(name: string, initial: T, merge?: (a: T, b: T) => T): { get(): T; set(value: T): void };
  /**
   * State that is neither groups nor slices: rows that an operator keeps. `save` is called while a snapshot is taken and
   * answers structured-cloneable values by key group; the answer is what was saved for the key groups that come here.
   */
  keyed<T>(name: string, save: () => Iterable<KeyedValue<T>>): readonly KeyedValue<T>[];
  /** A snapshot of the slot is being read: pages that it holds will come free. */
  readonly reading: boolean;
  /** Pages that can still be taken, and pages in all. */
  readonly freePages: number;
  readonly totalPages: number;
}
