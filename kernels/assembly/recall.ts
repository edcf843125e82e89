// Keys that a table has met before, found again without hashing or probing: a memory of entry addresses beside the table
// (state/recall.ts says when it holds and when it is forgotten). All of them are of writable pages of that table, which
// have not moved since. What is not remembered is found or inserted as ever, and remembered; a row for which that cannot
// be done stops the kernel, with the reason in the shape block.
import { mix, rawView } from './canonical';
import { hasRoom, insert, pageEntry, pageMask, placeOf, sameKey, sameView, stopAtPage, stopFullAt, stored, writable } from './entries';
import {
  pageCapacityAt, pageEntriesAt, pageDirty, pageFrozen, pageAbsent, shapeStrideAt, shapeLineMaskAt, shapeReasonAt, shapeSeedAt,
  shapeMissesAt, shapeLeavesAt, leafStorageAt, leafOffsetAt, leafValuesAt, leafViewsAt, storageI64, stopDone,
} from '../../core/ports/page-layout';

const spread: u64 = 0x9e3779b97f4a7c15;
const again: u64 = 0xbf58476d1ce4e5b9;
/** What stands before the addresses of a range. */
const rangeHeadBytes: usize = 16;

/**
 * One integer key without nulls. `places`: 2^bits sets of four keys, each {4 × u32 mark of the key, never 0; 4 × u32 entry
 * address}, the one that came last first; zeros are free. Answers the row it stopped at.
 */
export function recallI64(shape: usize, table: usize, rows: usize, n: i32, entries: usize, places: usize, bits: u32): i32 {
  return byKey<i64>(shape, table, rows, n, entries, places, bits);
}
export function recallI32(shape: usize, table: usize, rows: usize, n: i32, entries: usize, places: usize, bits: u32): i32 {
  return byKey<i32>(shape, table, rows, n, entries, places, bits);
}
/** As `recallI64`, for one string key without nulls and without a dictionary. */
export function recallView(shape: usize, table: usize, rows: usize, n: i32, entries: usize, places: usize, bits: u32): i32 {
  return byKey<v128>(shape, table, rows, n, entries, places, bits);
}

/** One dictionary-coded key without nulls; `places`: a u32 entry address per code. Answers the row it stopped at. */
export function recallCodes(shape: usize, table: usize, rows: usize, n: i32, entries: usize, places: usize): i32 {
  const codes = <usize>load<u32>(shape, shapeLeavesAt + leafValuesAt);
  const views = <usize>load<u32>(shape, shapeLeavesAt + leafViewsAt);
  let misses: u32 = 0;
  for (let k: usize = 0; k < <usize>n; k++) {
    const row = rows ? <usize>load<u32>(rows + (k << 2)) : k;
    const code = <usize>load<u32>(codes + (row << 2));
    let at = <usize>load<u32>(places + (code << 2));
    if (at == 0) {
      const view = views + (code << 4);
      at = find<v128>(shape, table, stored(mix(rawView(view) ^ load<u64>(shape, shapeSeedAt))), codes, view, row, k);
      if (at == 0) return <i32>k;
      store<u32>(places + (code << 2), <u32>at);
      misses++;
    }
    store<u32>(entries + (k << 2), <u32>at);
  }
  store<u32>(shape, misses, shapeMissesAt);
  store<u32>(shape, stopDone, shapeReasonAt);
  return n;
}

// @ts-ignore: decorator
@inline
function byKey<K>(shape: usize, table: usize, rows: usize, n: i32, entries: usize, places: usize, bits: u32): i32 {
  const values = <usize>load<u32>(shape, shapeLeavesAt + leafValuesAt);
  const sets = (<usize>1 << bits) - 1;
  let misses: u32 = 0;
  for (let k: usize = 0; k < <usize>n; k++) {
    const row = rows ? <usize>load<u32>(rows + (k << 2)) : k;
    const key = isVector<K>() ? 0 : sizeof<K>() == 8 ? load<u64>(values + (row << 3)) : <u64>(<i64>load<i32>(values + (row << 2)));
    const view = isVector<K>() ? values + (row << 4) : 0;
    const bitsOfKey = isVector<K>() ? sample(view) : (key ^ (key >> 32)) * spread;
    const set = places + ((<usize>(bitsOfKey >> 40) & sets) << 5);
    const mark = <u32>(bitsOfKey >> 20) | 1;
    const mask = i32x4.bitmask(i32x4.eq(v128.load(set), i32x4.splat(mark)));
    let at: usize = mask ? <usize>load<u32>(set + (<usize>ctz(mask) << 2), 16) : 0;
    if (at == 0 || !holds<K>(at, key, view)) {
      const seed = load<u64>(shape, shapeSeedAt);
      at = find<K>(shape, table, stored(mix((isVector<K>() ? rawView(view) : key) ^ seed)), values, view, row, k);
      if (at == 0) return <i32>k;
      misses++;
      remember(set, mark, <u32>at);
    }
    store<u32>(entries + (k << 2), <u32>at);
  }
  store<u32>(shape, misses, shapeMissesAt);
  store<u32>(shape, stopDone, shapeReasonAt);
  return n;
}

/**
 * Bits of a string: of all of it up to 28 bytes, beyond of its length, beginning, middle and end. Cheaper than its hash,
 * and good enough: strings that agree in those are found by their hash.
 */
// @ts-ignore: decorator
@inline
function sample(view: usize): u64 {
  const head = load<u64>(view);
  const length = <usize>load<u32>(view);
  let rest: u64;
  if (length <= 12) rest = load<u64>(view, 8);
  else {
    const text = <usize>load<u32>(view, 12);
    rest = load<u64>(text + length - 8) ^ rotl(load<u64>(text + ((length - 4) >> 1)) * again, 32);
  }
  const x = rotl(head * spread, 32) ^ rest;
  return (x ^ (x >> 32)) * spread;
}

/** The new one comes first, the last goes. */
function remember(set: usize, mark: u32, at: u32): void {
  v128.store(set, i32x4.replace_lane(v128.shuffle<i32>(v128.load(set), v128.load(set), 0, 0, 1, 2), 0, mark));
  v128.store(set, i32x4.replace_lane(v128.shuffle<i32>(v128.load(set, 16), v128.load(set, 16), 0, 0, 1, 2), 0, at), 16);
}

/**
 * As `recallI64`, where all keys met so far are near one another: `places` begins with {i64 least key, u64 keys}, then a u32
 * entry address for each key from the least on. A key outside is found as ever, and counts as a miss.
 */
export function recallRangeI64(shape: usize, table: usize, rows: usize, n: i32, entries: usize, places: usize): i32 {
  return byRange<i64>(shape, table, rows, n, entries, places);
}
export function recallRangeI32(shape: usize, table: usize, rows: usize, n: i32, entries: usize, places: usize): i32 {
  return byRange<i32>(shape, table, rows, n, entries, places);
}

// @ts-ignore: decorator
@inline
function byRange<K>(shape: usize, table: usize, rows: usize, n: i32, entries: usize, places: usize): i32 {
  const values = <usize>load<u32>(shape, shapeLeavesAt + leafValuesAt);
  const least = load<u64>(places);
  const keys = load<u64>(places, 8);
  let misses: u32 = 0;
  for (let k: usize = 0; k < <usize>n; k++) {
    const row = rows ? <usize>load<u32>(rows + (k << 2)) : k;
    const key = sizeof<K>() == 8 ? load<u64>(values + (row << 3)) : <u64>(<i64>load<i32>(values + (row << 2)));
    const place = key - least;
    let at: usize = place < keys ? <usize>load<u32>(places + (<usize>place << 2), rangeHeadBytes) : 0;
    if (at == 0) {
      at = find<K>(shape, table, stored(mix(key ^ load<u64>(shape, shapeSeedAt))), values, 0, row, k);
      if (at == 0) return <i32>k;
      misses++;
      if (place < keys) store<u32>(places + (<usize>place << 2), <u32>at, rangeHeadBytes);
    }
    store<u32>(entries + (k << 2), <u32>at);
  }
  store<u32>(shape, misses, shapeMissesAt);
  store<u32>(shape, stopDone, shapeReasonAt);
  return n;
}

/** Widens {i64 least, i64 greatest} at `range` to the keys of a page of one integer leaf. */
export function keyRange(shape: usize, page: usize, range: usize): void {
  const stride = <usize>load<u32>(shape, shapeStrideAt);
  const wide = load<u32>(shape, shapeLeavesAt + leafStorageAt) == storageI64;
  let at = page + <usize>load<u32>(page, pageEntriesAt);
  let least = load<i64>(range);
  let greatest = load<i64>(range, 8);
  for (const end = at + <usize>load<u32>(page, pageCapacityAt) * stride; at < end; at += stride) {
    if (load<u64>(at) == 0) continue;
    const key = wide ? load<i64>(at, keyAt) : <i64>load<i32>(at, keyAt);
    least = min(least, key);
    greatest = max(greatest, key);
  }
  store<i64>(range, least);
  store<i64>(range, greatest, 8);
}

/** An entry's one key leaf lies behind its hash. */
const keyAt: usize = 8;

// @ts-ignore: decorator
@inline
function holds<K>(at: usize, key: u64, view: usize): bool {
  if (isVector<K>()) return sameView(at + keyAt, at & pageMask, view);
  if (sizeof<K>() == 8) return load<u64>(at, keyAt) == key;
  return load<u32>(at, keyAt) == <u32>key;
}

/** Entry of one key, inserted if it is new; 0: it cannot be, and the shape block says why. */
function find<K>(shape: usize, table: usize, hash: u64, values: usize, view: usize, row: usize, k: usize): usize {
  const tableEntry = pageEntry(shape, table, hash);
  let entry = load<u32>(tableEntry);
  if ((entry & (pageDirty | pageFrozen | pageAbsent)) != pageDirty) {
    entry = writable(shape, tableEntry);
    if (entry == 0) {
      stopAtPage(shape, table, hash, k);
      return 0;
    }
  }
  const page = <usize>entry & pageMask;
  const stride = <usize>load<u32>(shape, shapeStrideAt);
  const capacity = load<u32>(page, pageCapacityAt);
  const first = page + <usize>load<u32>(page, pageEntriesAt);
  const end = first + <usize>capacity * stride;
  let at = first + placeOf(hash, capacity, <usize>load<u32>(shape, shapeLineMaskAt)) * stride;
  for (;;) {
    const found = load<u64>(at);
    if (found == hash && sameKey<K>(shape, at, keyAt, values, view, row)) return at;
    if (found == 0) break;
    at += stride;
    if (at == end) at = first;
  }
  if (!hasRoom<K>(shape, page, view, row)) {
    stopFullAt(shape, page, k);
    return 0;
  }
  insert<K>(shape, page, at, hash, keyAt, values, view, row, stride);
  return at;
}

/** Forgets: `bytes` of memory become zero. */
export function forget(at: usize, bytes: i32): void {
  memory.fill(at, 0, bytes);
}
