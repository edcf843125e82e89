// Entries of state pages: where a key belongs, whether an entry holds it, how a new one is written. Shared by the kernels
// of state.ts and recall.ts; not exported from the .wasm. The layout is drawn in core/ports/page-layout.ts.
import { canonicalBits } from './canonical';
import {
  pageCountAt, pageCapacityAt, pageEntriesAt, pageCountMaxAt, pageHeapAt, pageTagsAt, pageUndoAt, pageUndoneAt, pageDirty, pageFrozen, pageAbsent,
  pageLogged, pageFlags, tableDirectoryAt, tableShiftAt, shapeUndoAt, undoNextAt, undoEndAt, undoRecordBytes,
  shapePageTableAt, shapeStrideAt, shapeKeysAt, shapeNullsAt, shapeReasonAt, shapeStopAt, shapeNeedAt, shapeEntryMaxAt, shapeInverseAt,
  shapeLeavesAt, leafBytes, leafStorageAt, leafOffsetAt, leafValuesAt, leafValidityAt, leafViewsAt,
  storageBit, storageI32, storageI64, storageF64, storageView, stopFull, stopHeap, stopFrozen, stopAbsent,
} from '../../core/ports/page-layout';

/** A page's address within an address in it, or within its page table entry. */
export const pageMask: usize = ~<usize>pageFlags;

// @ts-ignore: decorator
@inline
export function stored(hash: u64): u64 {
  return hash + u64(hash == 0);
}
// @ts-ignore: decorator
@inline
export function placeOf(hash: u64, capacity: u32, lineMask: usize): usize {
  return <usize>(((hash & 0xffffffff) * <u64>capacity) >> 32) & lineMask;
}
// @ts-ignore: decorator
@inline
export function tagOf(hash: u64): i8 {
  return <i8>((<u32>hash & 0x7f) | 0x80);
}

/** Address of the page table entry that a hash leads to. */
// @ts-ignore: decorator
@inline
export function pageEntry(shape: usize, table: usize, hash: u64): usize {
  const index = <usize>(((hash << 10) >> 1) >> <u64>load<u32>(table, tableShiftAt));
  const id = <usize>load<u32>(<usize>load<u32>(table, tableDirectoryAt) + (index << 2));
  return <usize>load<u32>(shape, shapePageTableAt) + (id << 2);
}

export function stopAtPage(shape: usize, table: usize, hash: u64, k: usize): i32 {
  const entry = pageEntry(shape, table, hash);
  store<u32>(shape, load<u32>(entry) & pageAbsent ? stopAbsent : stopFrozen, shapeReasonAt);
  store<u32>(shape, <u32>((entry - <usize>load<u32>(shape, shapePageTableAt)) >> 2), shapeStopAt);
  return <i32>k;
}

/**
 * The page of a page table entry is to be written: it becomes dirty, and where a snapshot still reads it, its header and
 * tags go to the undo log first. Answers what the entry is now; 0: the page is absent, or the log is full.
 */
export function writable(shape: usize, tableEntry: usize): u32 {
  let entry = load<u32>(tableEntry);
  const page = <usize>entry & pageMask;
  if (page == 0 || entry & pageAbsent) return 0;
  if (entry & pageFrozen) {
    const bytes = <usize>pageTagsAt + ((<usize>load<u32>(page, pageCapacityAt) + 16 + 7) & ~7);
    const record = undoRecord(shape, 0, 0, bytes);
    if (record == 0) return 0;
    memory.copy(record + undoRecordBytes, page, bytes);
    store<u32>(page, <u32>record, pageUndoAt);
    store<u32>(page, 0, pageUndoneAt);
    entry = (entry & ~pageFrozen) | pageLogged;
  }
  entry |= pageDirty;
  store<u32>(tableEntry, entry);
  return entry;
}

/** Room for a record of `bytes` bytes of what stands at `at`; 0: none. */
export function undoRecord(shape: usize, older: u32, at: usize, bytes: usize): usize {
  const log = <usize>load<u32>(shape, shapeUndoAt);
  const record = <usize>load<u32>(log, undoNextAt);
  const next = record + undoRecordBytes + bytes;
  if (next > <usize>load<u32>(log, undoEndAt)) return 0;
  store<u32>(log, <u32>next, undoNextAt);
  store<u32>(record, older);
  store<u32>(record, <u32>at, 4);
  return record;
}

/** `hasRoom` has said which kind of full it is. */
export function stopFullAt(shape: usize, page: usize, k: usize): i32 {
  store<u32>(shape, load<u32>(page), shapeStopAt);
  return <i32>k;
}

// @ts-ignore: decorator
@inline
export function hasRoom<K>(shape: usize, page: usize, key: usize, row: usize): bool {
  if (load<u32>(page, pageCountAt) >= load<u32>(page, pageCountMaxAt)) {
    store<u32>(shape, stopFull, shapeReasonAt);
    return false;
  }
  if (isVector<K>()) {
    const length = load<u32>(key);
    return length <= 12 || heapHas(shape, page, <usize>length);
  }
  return isBoolean<K>() ? heapHas(shape, page, longBytes(shape, row)) : true;
}

export function heapHas(shape: usize, page: usize, bytes: usize): bool {
  const stride = <usize>load<u32>(shape, shapeStrideAt);
  const end = <usize>load<u32>(page, pageEntriesAt) + <usize>load<u32>(page, pageCapacityAt) * stride;
  if (end + bytes <= <usize>load<u32>(page, pageHeapAt) && bytes + stride <= <usize>load<u32>(shape, shapeEntryMaxAt)) return true;
  store<u32>(shape, stopHeap, shapeReasonAt);
  store<u32>(shape, <u32>bytes, shapeNeedAt);
  return false;
}

// @ts-ignore: decorator
@inline
export function sameKey<K>(shape: usize, at: usize, keyAt: usize, values: usize, key: usize, row: usize): bool {
  if (isVector<K>()) return sameView(at + keyAt, at & pageMask, key);
  if (isBoolean<K>()) return matches(shape, at, at & pageMask, row);
  if (sizeof<K>() == 8) return load<u64>(at, 8) == load<u64>(values + (row << 3));
  return load<u32>(at, 8) == load<u32>(values + (row << 2));
}

// @ts-ignore: decorator
@inline
export function insert<K>(shape: usize, page: usize, at: usize, hash: u64, keyAt: usize, values: usize, key: usize, row: usize, stride: usize): void {
  occupy(shape, page, at, hash);
  if (isVector<K>()) keepView(page, at + keyAt, key);
  else if (isBoolean<K>()) writeKey(shape, page, at, row);
  else if (sizeof<K>() == 8) store<u64>(at, load<u64>(values + (row << 3)), 8);
  else store<u32>(at, load<u32>(values + (row << 2)), 8);
}

/** Hash, tag and count of a new entry. */
// @ts-ignore: decorator
@inline
export function occupy(shape: usize, page: usize, at: usize, hash: u64): void {
  const capacity = <usize>load<u32>(page, pageCapacityAt);
  // Division by the stride: exact for offsets below a page's size.
  const i = <usize>((<u64>(at - page - <usize>load<u32>(page, pageEntriesAt)) * <u64>load<u32>(shape, shapeInverseAt)) >> 32);
  store<u64>(at, hash);
  store<i8>(page + i, tagOf(hash), pageTagsAt);
  // The first 16 tags once more behind the last (several times when there are fewer), so that a group never wraps.
  for (let j = i + capacity; j < capacity + 16; j += capacity) store<i8>(page + j, tagOf(hash), pageTagsAt);
  store<u32>(page, load<u32>(page, pageCountAt) + 1, pageCountAt);
}

/** Equality of a view in a page and a view of a batch. */
// @ts-ignore: decorator
@inline
export function sameView(mine: usize, page: usize, other: usize): bool {
  if (load<u64>(mine) != load<u64>(other)) return false;
  if (load<u32>(mine) <= 12) return load<u64>(mine, 8) == load<u64>(other, 8);
  return sameBytes(page + <usize>load<u32>(mine, 12), <usize>load<u32>(other, 12), <usize>load<u32>(mine));
}

/** `length` is more than 12: sixteen bytes at a time, or eight, the last ones overlapping. */
// @ts-ignore: decorator
@inline
export function sameBytes(a: usize, b: usize, length: usize): bool {
  if (length < 16) return load<u64>(a) == load<u64>(b) && load<u64>(a + length - 8) == load<u64>(b + length - 8);
  const end = a + length - 16;
  const last = v128.xor(v128.load(end), v128.load(b + length - 16));
  if (v128.any_true(last)) return false;
  for (; a < end; a += 16, b += 16) if (v128.any_true(v128.xor(v128.load(a), v128.load(b)))) return false;
  return true;
}

/** Copies a view of a batch into a page, long bytes to its heap (`hasRoom` was asked). */
export function keepView(page: usize, to: usize, view: usize): void {
  const length = <usize>load<u32>(view);
  store<u64>(to, load<u64>(view));
  if (length <= 12) {
    store<u64>(to, load<u64>(view, 8), 8);
    return;
  }
  const heap = <usize>load<u32>(page, pageHeapAt) - length;
  memory.copy(page + heap, <usize>load<u32>(view, 12), length);
  store<u32>(page, <u32>heap, pageHeapAt);
  store<u32>(to, 0, 8);
  store<u32>(to, <u32>heap, 12);
}

// ── keys of any shape ───────────────────────────────────────────────────────────────────────────────────────────────

// @ts-ignore: decorator
@inline
export function isNull(validity: usize, row: usize): bool {
  return validity != 0 && ((load<u8>(validity + (row >> 3)) >> <u8>(row & 7)) & 1) == 0;
}
// @ts-ignore: decorator
@inline
export function bitOf(values: usize, row: usize): u8 {
  return (load<u8>(values + (row >> 3)) >> <u8>(row & 7)) & 1;
}
// @ts-ignore: decorator
@inline
export function viewOf(leaf: usize, values: usize, row: usize): usize {
  const views = <usize>load<u32>(leaf, leafViewsAt);
  return views ? views + (<usize>load<u32>(values + (row << 2)) << 4) : values + (row << 4);
}

export function matches(shape: usize, at: usize, page: usize, row: usize): bool {
  const keys = <usize>load<u32>(shape, shapeKeysAt);
  const nulls = <usize>load<u32>(shape, shapeNullsAt);
  let leaf = shape + shapeLeavesAt;
  for (let i: usize = 0; i < keys; i++, leaf += leafBytes) {
    const none = isNull(<usize>load<u32>(leaf, leafValidityAt), row);
    if (nulls) {
      const noneThere = ((load<u8>(at + nulls + (i >> 3)) >> <u8>(i & 7)) & 1) != 0;
      if (none != noneThere) return false;
      if (none) continue;
    }
    const values = <usize>load<u32>(leaf, leafValuesAt);
    const mine = at + <usize>load<u32>(leaf, leafOffsetAt);
    switch (load<u32>(leaf, leafStorageAt)) {
      case storageI64:
        if (load<u64>(mine) != load<u64>(values + (row << 3))) return false;
        break;
      case storageView:
        if (!sameView(mine, page, viewOf(leaf, values, row))) return false;
        break;
      case storageI32:
        if (load<u32>(mine) != load<u32>(values + (row << 2))) return false;
        break;
      case storageF64:
        if (load<u64>(mine) != canonicalBits(load<f64>(values + (row << 3)))) return false;
        break;
      default:
        if (load<u8>(mine) != bitOf(values, row)) return false;
    }
  }
  return true;
}

/** Heap bytes that a row's key needs. */
export function longBytes(shape: usize, row: usize): usize {
  const keys = <usize>load<u32>(shape, shapeKeysAt);
  let leaf = shape + shapeLeavesAt;
  let bytes: usize = 0;
  for (let i: usize = 0; i < keys; i++, leaf += leafBytes) {
    if (load<u32>(leaf, leafStorageAt) != storageView || isNull(<usize>load<u32>(leaf, leafValidityAt), row)) continue;
    const length = load<u32>(viewOf(leaf, <usize>load<u32>(leaf, leafValuesAt), row));
    if (length > 12) bytes += <usize>length;
  }
  return bytes;
}

export function writeKey(shape: usize, page: usize, at: usize, row: usize): void {
  const keys = <usize>load<u32>(shape, shapeKeysAt);
  const nulls = <usize>load<u32>(shape, shapeNullsAt);
  let leaf = shape + shapeLeavesAt;
  for (let i: usize = 0; i < keys; i++, leaf += leafBytes) {
    if (isNull(<usize>load<u32>(leaf, leafValidityAt), row)) {
      const byte = at + nulls + (i >> 3);
      if (nulls) store<u8>(byte, load<u8>(byte) | (1 << <u8>(i & 7)));
      continue;
    }
    const values = <usize>load<u32>(leaf, leafValuesAt);
    const mine = at + <usize>load<u32>(leaf, leafOffsetAt);
    switch (load<u32>(leaf, leafStorageAt)) {
      case storageI64:
        store<u64>(mine, load<u64>(values + (row << 3)));
        break;
      case storageView:
        keepView(page, mine, viewOf(leaf, values, row));
        break;
      case storageI32:
        store<u32>(mine, load<u32>(values + (row << 2)));
        break;
      case storageF64:
        store<u64>(mine, canonicalBits(load<f64>(values + (row << 3))));
        break;
      default:
        store<u8>(mine, bitOf(values, row));
    }
  }
}
