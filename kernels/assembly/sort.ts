// Rows that are kept and put in order: gathers between batches and a row store's chunks, order-preserving prefixes,
// radix sort, ties, a merge of sorted runs, ranks. Three layouts, written by core/record/row-store.ts and
// core/operators/sorter.ts:
//
//   keys     u32 root (address of the cell that holds the address of the chunk table: a u32 address per chunk)
//            u32 shift (a chunk has 1 << shift rows; row id = chunk << shift | row in chunk)
//            u32 count
//            u32 first (the first key that a prefix does not decide)
//            count × { u32 storage | descending << 8; u32 offset of the values in a chunk; u32 of the validity, or none }
//   entry    16 bytes: { u64 prefix; u32 row id; u32 unused }; prefixes order as their rows do, or are equal
//   merge    u32 runs; u32 stopped; 8 bytes unused;
//            runs × { u64 prefix; u32 row id; u32 at; u32 end; u32 live; 8 bytes unused }, then runs × u32: the loser tree
//
// Order: NULL is the least value, NaN the greatest number, −0 equals 0, strings by their bytes; equal rows by row id,
// which is the order of arrival.
import { canonicalBits } from './canonical';

const none: u32 = 0xffffffff;
const bit = 0;
const i32Kind = 1;
const i64Kind = 2;
const f64Kind = 3;
const view = 4;
const high: u64 = 0x8000000000000000;

// ── gathers: n values of rows rows[k], or first + k when rows is 0, to `to` in order ────────────────────────────────

export function gather4(from: usize, rows: usize, first: u32, n: i32, to: usize): void {
  if (!rows) return memory.copy(to, from + (<usize>first << 2), <usize>n << 2);
  for (let k: usize = 0; k < <usize>n; k++) store<u32>(to + (k << 2), load<u32>(from + (<usize>load<u32>(rows + (k << 2)) << 2)));
}

export function gather8(from: usize, rows: usize, first: u32, n: i32, to: usize): void {
  if (!rows) return memory.copy(to, from + (<usize>first << 3), <usize>n << 3);
  for (let k: usize = 0; k < <usize>n; k++) store<u64>(to + (k << 3), load<u64>(from + (<usize>load<u32>(rows + (k << 2)) << 3)));
}

/** Bits to bit `toBit` of `to` and on; `from` 0 stands for ones. Answers how many of them are 0. */
export function gatherBits(from: usize, rows: usize, first: u32, n: i32, to: usize, toBit: u32): i32 {
  let zeros = 0;
  for (let k: u32 = 0; k < <u32>n; k++) {
    const row = rows ? load<u32>(rows + (<usize>k << 2)) : first + k;
    const set = from == 0 || testBit(from, row);
    zeros += set ? 0 : 1;
    writeBit(to, toBit + k, set);
  }
  return zeros;
}

/** Views of a plain column, or of a dictionary-coded one (`views` its entries, else 0); NULL's view is empty. */
export function gatherTexts(from: usize, views: usize, validity: usize, rows: usize, first: u32, n: i32, to: usize): void {
  for (let k: usize = 0; k < <usize>n; k++) {
    const row = rows ? load<u32>(rows + (k << 2)) : first + <u32>k;
    const at = to + (k << 4);
    if (isNull(validity, row)) v128.store(at, i64x2.splat(0));
    else v128.store(at, v128.load(viewOf(from, views, row)));
  }
}

/**
 * Copies the bytes of long strings to `heap` and points their views (n from `views` on) there. Stops where `end` leaves
 * no room: answers the views done, and stores the next free address to `next`.
 */
export function adoptTexts(views: usize, n: i32, heap: usize, end: usize, next: usize): i32 {
  let k = 0;
  for (; k < n; k++) {
    const at = views + (<usize>k << 4);
    const length = <usize>load<u32>(at);
    if (length <= 12) continue;
    if (heap + length > end) break;
    memory.copy(heap, <usize>load<u32>(at + 12), length);
    store<u32>(at + 12, <u32>heap);
    heap += length;
  }
  store<u32>(next, <u32>heap);
  return k;
}

// ── gathers out of a store, by row id ───────────────────────────────────────────────────────────────────────────────

export function keptRows4(chunks: usize, shift: u32, offset: u32, ids: usize, n: i32, to: usize): void {
  const mask = ((<u32>1) << shift) - 1;
  for (let k: usize = 0; k < <usize>n; k++) {
    const id = load<u32>(ids + (k << 2));
    store<u32>(to + (k << 2), load<u32>(chunkOf(chunks, id, shift) + offset + (<usize>(id & mask) << 2)));
  }
}

export function keptRows8(chunks: usize, shift: u32, offset: u32, ids: usize, n: i32, to: usize): void {
  const mask = ((<u32>1) << shift) - 1;
  for (let k: usize = 0; k < <usize>n; k++) {
    const id = load<u32>(ids + (k << 2));
    store<u64>(to + (k << 3), load<u64>(chunkOf(chunks, id, shift) + offset + (<usize>(id & mask) << 3)));
  }
}

export function keptRows16(chunks: usize, shift: u32, offset: u32, ids: usize, n: i32, to: usize): void {
  const mask = ((<u32>1) << shift) - 1;
  for (let k: usize = 0; k < <usize>n; k++) {
    const id = load<u32>(ids + (k << 2));
    v128.store(to + (k << 4), v128.load(chunkOf(chunks, id, shift) + offset + (<usize>(id & mask) << 4)));
  }
}

/** Answers how many bits are 0. */
export function keptRowsBits(chunks: usize, shift: u32, offset: u32, ids: usize, n: i32, to: usize): i32 {
  const mask = ((<u32>1) << shift) - 1;
  let zeros = 0;
  for (let k: u32 = 0; k < <u32>n; k++) {
    const id = load<u32>(ids + (<usize>k << 2));
    const set = testBit(chunkOf(chunks, id, shift) + offset, id & mask);
    zeros += set ? 0 : 1;
    writeBit(to, k, set);
  }
  return zeros;
}

// ── event time of selected rows ─────────────────────────────────────────────────────────────────────────────────────

/** The greatest of n > 0 i64. */
export function greatestI64(values: usize, rows: usize, n: i32): i64 {
  let most = i64.MIN_VALUE;
  for (let k: usize = 0; k < <usize>n; k++) {
    const v = load<i64>(values + (<usize>(rows ? load<u32>(rows + (k << 2)) : <u32>k) << 3));
    if (v > most) most = v;
  }
  return most;
}

/** The least of n > 0 i64. */
export function leastI64(values: usize, rows: usize, n: i32): i64 {
  let least = i64.MAX_VALUE;
  for (let k: usize = 0; k < <usize>n; k++) {
    const v = load<i64>(values + (<usize>(rows ? load<u32>(rows + (k << 2)) : <u32>k) << 3));
    if (v < least) least = v;
  }
  return least;
}

/** The first row that is null, or −1. */
export function firstNullOf(validity: usize, rows: usize, n: i32): i32 {
  if (!validity) return -1;
  for (let k: usize = 0; k < <usize>n; k++) {
    const row = rows ? load<u32>(rows + (k << 2)) : <u32>k;
    if (!testBit(validity, row)) return <i32>row;
  }
  return -1;
}

// ── prefixes ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** n entries without a prefix yet, of row ids from `id` on. */
export function sortEntries(entries: usize, n: i32, id: u32): void {
  for (let k: usize = 0; k < <usize>n; k++) {
    store<u64>(entries + (k << 4), 0);
    store<u64>(entries + (k << 4) + 8, <u64>(id + <u32>k));
  }
}

/**
 * Puts one key column behind the `used` bits of the prefixes already there. BOOLEAN takes 1 bit, i32 32, the others all
 * that are left; a `nullable` BOOLEAN or i32 takes one more, on the others NULL is the least prefix.
 */
export function sortPrefix(
  storage: i32, values: usize, validity: usize, views: usize, rows: usize, first: u32, n: i32,
  nullable: i32, descending: i32, used: u32, entries: usize,
): void {
  if (storage == bit) prefixes<bool>(values, validity, views, rows, first, n, nullable, descending, used, entries);
  else if (storage == i32Kind) prefixes<i32>(values, validity, views, rows, first, n, nullable, descending, used, entries);
  else if (storage == i64Kind) prefixes<i64>(values, validity, views, rows, first, n, nullable, descending, used, entries);
  else if (storage == f64Kind) prefixes<f64>(values, validity, views, rows, first, n, nullable, descending, used, entries);
  else prefixes<v128>(values, validity, views, rows, first, n, nullable, descending, used, entries);
}

/** T stands for the storage: bool = bit, v128 = view. */
// @ts-ignore: decorator
@inline
function prefixes<T>(
  values: usize, validity: usize, views: usize, rows: usize, first: u32, n: i32,
  nullable: i32, descending: i32, used: u32, entries: usize,
): void {
  const flip: u64 = descending ? 0xffffffffffffffff : 0;
  let keep: u64 = 0xffffffffffffffff;
  if (isInteger<T>() && sizeof<T>() <= 4) keep = ~(keep >> (<u64>(sizeof<T>() == 1 ? 1 : 32) + <u64>nullable));
  for (let k: usize = 0; k < <usize>n; k++) {
    const row = rows ? load<u32>(rows + (k << 2)) : first + <u32>k;
    let prefix: u64 = 0;
    if (!isNull(validity, row)) {
      if (isVector<T>()) prefix = textPrefix(viewOf(values, views, row));
      else if (isFloat<T>()) prefix = ordered(load<f64>(values + (<usize>row << 3)));
      else if (sizeof<T>() == 8) prefix = load<u64>(values + (<usize>row << 3)) ^ high;
      else {
        if (sizeof<T>() == 1) prefix = testBit(values, row) ? high : 0;
        else prefix = <u64>(load<u32>(values + (<usize>row << 2)) ^ 0x80000000) << 32;
        if (nullable) prefix = prefix >> 1 | high;
      }
    }
    const at = entries + (k << 4);
    store<u64>(at, load<u64>(at) | ((prefix ^ flip) & keep) >> used);
  }
}

/** The first eight bytes, the first one highest, zeros behind the end. */
// @ts-ignore: decorator
@inline
function textPrefix(at: usize): u64 {
  const length = load<u32>(at);
  return bswap(length <= 12 ? load<u64>(at + 4) : load<u64>(<usize>load<u32>(at + 12)));
}

// @ts-ignore: decorator
@inline
function ordered(value: f64): u64 {
  const bits = canonicalBits(value);
  return bits & high ? ~bits : bits | high;
}

/**
 * Rows whose prefix is below `limit` (or equal, with `orEqual`), of n entries whose row ids are rows of a batch, to
 * `out`. Answers how many.
 */
export function prefixesBelow(entries: usize, n: i32, limit: u64, orEqual: i32, out: usize): i32 {
  let found = 0;
  for (let k: usize = 0; k < <usize>n; k++) {
    const prefix = load<u64>(entries + (k << 4));
    if (prefix > limit || (prefix == limit && !orEqual)) continue;
    store<u32>(out + (<usize>found << 2), load<u32>(entries + (k << 4) + 8));
    found++;
  }
  return found;
}

// ── order ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** < 0, 0 or > 0, by all keys from `first` on. */
export function compareKept(keys: usize, a: u32, b: u32): i32 {
  return compareFrom(keys, 0, a, b);
}

/** The same of two entries; equal rows by row id. */
export function compareEntries(keys: usize, a: usize, b: usize): i32 {
  return precedes(keys, a, b) ? -1 : 1;
}

/** 1 when n entries stand in order. */
export function entriesInOrder(keys: usize, entries: usize, n: i32): i32 {
  for (let k: usize = 1; k < <usize>n; k++) {
    if (!precedes(keys, entries + ((k - 1) << 4), entries + (k << 4))) return 0;
  }
  return 1;
}

/**
 * Sorts n entries; `scratch` has room for as many, `counts` 8 KB. Stable radix sort by prefix from the last byte on, all
 * bytes counted in one pass, bytes that are the same everywhere left out; then rows of equal prefix by full comparison.
 */
export function sortEntriesInPlace(keys: usize, entries: usize, scratch: usize, counts: usize, n: i32): void {
  if (n <= 24) return insertionSort(keys, entries, n);
  memory.fill(counts, 0, 8192);
  for (let k: usize = 0; k < <usize>n; k++) {
    let prefix = load<u64>(entries + (k << 4));
    for (let at = counts; at < counts + 8192; at += 1024) {
      const cell = at + ((<usize>prefix & 255) << 2);
      store<u32>(cell, load<u32>(cell) + 1);
      prefix >>= 8;
    }
  }
  let from = entries;
  let to = scratch;
  for (let byte: usize = 0; byte < 8; byte++) {
    const cells = counts + (byte << 10);
    const shift = <u64>(byte << 3);
    if (load<u32>(cells + ((<usize>(load<u64>(from) >> shift) & 255) << 2)) == <u32>n) continue;
    let sum: u32 = 0;
    for (let cell = cells; cell < cells + 1024; cell += 4) {
      const here = load<u32>(cell);
      store<u32>(cell, sum);
      sum += here;
    }
    for (let k: usize = 0; k < <usize>n; k++) {
      const entry = v128.load(from + (k << 4));
      const cell = cells + ((<usize>(v128.extract_lane<u64>(entry, 0) >> shift) & 255) << 2);
      const place = load<u32>(cell);
      store<u32>(cell, place + 1);
      v128.store(to + (<usize>place << 4), entry);
    }
    const other = from;
    from = to;
    to = other;
  }
  if (from != entries) memory.copy(entries, from, <usize>n << 4);
  let start: usize = 0;
  for (let k: usize = 1; k <= <usize>n; k++) {
    if (k < <usize>n && load<u64>(entries + (k << 4)) == load<u64>(entries + (start << 4))) continue;
    if (k - start > 1) mergeSort(keys, entries + (start << 4), scratch, <i32>(k - start));
    start = k;
  }
}

function insertionSort(keys: usize, entries: usize, n: i32): void {
  for (let k: usize = 1; k < <usize>n; k++) {
    const entry = v128.load(entries + (k << 4));
    const end = entries + (k << 4);
    let at = end;
    while (at > entries && follows(keys, at - 16, entry)) {
      v128.store(at, v128.load(at - 16));
      at -= 16;
    }
    v128.store(at, entry);
  }
}

/** Bottom-up, from insertion-sorted blocks of 16; already ordered neighbours are not merged. */
function mergeSort(keys: usize, entries: usize, scratch: usize, n: i32): void {
  const total = <usize>n << 4;
  for (let at: usize = 0; at < total; at += 256) insertionSort(keys, entries + at, <i32>(min<usize>(256, total - at) >> 4));
  for (let width: usize = 256; width < total; width <<= 1) {
    for (let at: usize = 0; at + width < total; at += width << 1) {
      merge(keys, entries + at, entries + at + width, entries + min<usize>(at + (width << 1), total), scratch);
    }
  }
}

function merge(keys: usize, left: usize, right: usize, end: usize, scratch: usize): void {
  if (precedes(keys, right - 16, right)) return;
  const bytes = right - left;
  memory.copy(scratch, left, bytes);
  let a = scratch;
  const aEnd = scratch + bytes;
  let to = left;
  while (a < aEnd) {
    if (right < end && !precedes(keys, a, right)) {
      v128.store(to, v128.load(right));
      right += 16;
    } else {
      v128.store(to, v128.load(a));
      a += 16;
    }
    to += 16;
  }
}

// ── merging sorted runs with a tree of losers (Knuth, TAOCP 3, 5.4.1) ───────────────────────────────────────────────

/** The runs' `at` and `end` are set: makes the tree. */
export function mergeStart(state: usize, keys: usize): void {
  const runs = load<u32>(state);
  const tree = state + 16 + (<usize>runs << 5);
  store<u32>(state + 4, none);
  for (let r: u32 = 0; r < runs; r++) {
    loadRun(state, r);
    store<u32>(tree + (<usize>r << 2), none);
  }
  for (let r: u32 = 0; r < runs; r++) {
    let winner = r;
    let node = (r + runs) >> 1;
    while (node > 0 && winner != none) {
      const cell = tree + (<usize>node << 2);
      const other = load<u32>(cell);
      if (other == none || runBefore(state, keys, other, winner)) {
        store<u32>(cell, winner);
        winner = other;
      }
      node >>= 1;
    }
    if (winner != none) store<u32>(tree, winner);
  }
}

/**
 * Writes up to `max` row ids in order to `out` and answers how many. Fewer than `max`: either `stopped` names a run that
 * has come to its `end` (set `at` and `end` to what follows, equal for nothing, and call again), or all runs are through.
 */
export function mergeNext(state: usize, keys: usize, out: usize, max: i32): i32 {
  const runs = load<u32>(state);
  const tree = state + 16 + (<usize>runs << 5);
  const stopped = load<u32>(state + 4);
  if (stopped != none) {
    loadRun(state, stopped);
    replay(state, keys, tree, runs, stopped);
    store<u32>(state + 4, none);
  }
  let n = 0;
  while (n < max) {
    const winner = load<u32>(tree);
    const run = runAt(state, winner);
    if (!load<u32>(run + 20)) return n;
    store<u32>(out + (<usize>n << 2), load<u32>(run + 8));
    n++;
    const at = load<u32>(run + 12) + 16;
    store<u32>(run + 12, at);
    if (at == load<u32>(run + 16)) {
      store<u32>(state + 4, winner);
      return n;
    }
    loadRun(state, winner);
    replay(state, keys, tree, runs, winner);
  }
  return n;
}

// @ts-ignore: decorator
@inline
function replay(state: usize, keys: usize, tree: usize, runs: u32, from: u32): void {
  let winner = from;
  for (let node = (from + runs) >> 1; node > 0; node >>= 1) {
    const cell = tree + (<usize>node << 2);
    const other = load<u32>(cell);
    if (runBefore(state, keys, other, winner)) {
      store<u32>(cell, winner);
      winner = other;
    }
  }
  store<u32>(tree, winner);
}

/** Takes the entry at `at` into the run's cell; a run without one is dead. */
// @ts-ignore: decorator
@inline
function loadRun(state: usize, r: u32): void {
  const run = runAt(state, r);
  const at = <usize>load<u32>(run + 12);
  const live = at != <usize>load<u32>(run + 16);
  store<u32>(run + 20, <u32>live);
  if (!live) return;
  store<u64>(run, load<u64>(at));
  store<u32>(run + 8, load<u32>(at + 8));
}

// @ts-ignore: decorator
@inline
function runAt(state: usize, r: u32): usize {
  return state + 16 + (<usize>r << 5);
}

// @ts-ignore: decorator
@inline
function runBefore(state: usize, keys: usize, a: u32, b: u32): bool {
  const runA = runAt(state, a);
  const runB = runAt(state, b);
  if (!load<u32>(runA + 20)) return false;
  if (!load<u32>(runB + 20)) return true;
  return precedes(keys, runA, runB);
}

// ── ranks ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Ranks of n rows that stand in order of `partition`, then `order`: u64 each to `ranks`. `using`: 0 ROW_NUMBER, 1 RANK,
 * 2 DENSE_RANK. `state`: { u32 last row id, or none; u32 unused; u64 position; u64 rank } of the rows before.
 */
export function rankKept(ids: usize, n: i32, partition: usize, order: usize, using: i32, state: usize, ranks: usize): void {
  let last = load<u32>(state);
  let position = load<u64>(state + 8);
  let rank = load<u64>(state + 16);
  for (let k: usize = 0; k < <usize>n; k++) {
    const id = load<u32>(ids + (k << 2));
    if (last == none || compareFrom(partition, 0, last, id) != 0) {
      position = 1;
      rank = 1;
    } else {
      position++;
      if (using == 0) rank = position;
      else if (compareFrom(order, 0, last, id) != 0) rank = using == 1 ? position : rank + 1;
    }
    last = id;
    store<u64>(ranks + (k << 3), rank);
  }
  store<u32>(state, last);
  store<u64>(state + 8, position);
  store<u64>(state + 16, rank);
}

// ── shared ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Whether entry a stands before entry b (both { u64 prefix; u32 id }). */
// @ts-ignore: decorator
@inline
function precedes(keys: usize, a: usize, b: usize): bool {
  const prefixA = load<u64>(a);
  const prefixB = load<u64>(b);
  if (prefixA != prefixB) return prefixA < prefixB;
  return tiePrecedes(keys, load<u32>(a + 8), load<u32>(b + 8));
}

/** Whether the entry at `a` stands behind `entry`. */
// @ts-ignore: decorator
@inline
function follows(keys: usize, a: usize, entry: v128): bool {
  const prefixA = load<u64>(a);
  const prefix = v128.extract_lane<u64>(entry, 0);
  if (prefixA != prefix) return prefixA > prefix;
  return !tiePrecedes(keys, load<u32>(a + 8), v128.extract_lane<u32>(entry, 2));
}

function tiePrecedes(keys: usize, a: u32, b: u32): bool {
  const order = compareFrom(keys, load<u32>(keys + 12), a, b);
  return order != 0 ? order < 0 : a < b;
}

function compareFrom(keys: usize, first: u32, a: u32, b: u32): i32 {
  const chunks = <usize>load<u32>(<usize>load<u32>(keys));
  const shift = load<u32>(keys + 4);
  const count = load<u32>(keys + 8);
  const mask = ((<u32>1) << shift) - 1;
  const chunkA = chunkOf(chunks, a, shift);
  const chunkB = chunkOf(chunks, b, shift);
  const rowA = a & mask;
  const rowB = b & mask;
  for (let k = first; k < count; k++) {
    const key = keys + 16 + <usize>k * 12;
    const storage = load<u32>(key);
    const offset = <usize>load<u32>(key + 4);
    const validity = load<u32>(key + 8);
    let order = 0;
    const validA = validity == none || testBit(chunkA + validity, rowA);
    const validB = validity == none || testBit(chunkB + validity, rowB);
    if (validA && validB) order = compareValues(storage & 255, chunkA + offset, rowA, chunkB + offset, rowB);
    else order = <i32>validA - <i32>validB;
    if (order != 0) return storage >> 8 ? -order : order;
  }
  return 0;
}

function compareValues(storage: i32, a: usize, rowA: u32, b: usize, rowB: u32): i32 {
  if (storage == bit) return <i32>testBit(a, rowA) - <i32>testBit(b, rowB);
  if (storage == i32Kind) return compare<i32>(load<i32>(a + (<usize>rowA << 2)), load<i32>(b + (<usize>rowB << 2)));
  if (storage == i64Kind) return compare<i64>(load<i64>(a + (<usize>rowA << 3)), load<i64>(b + (<usize>rowB << 3)));
  if (storage == f64Kind) return compare<u64>(ordered(load<f64>(a + (<usize>rowA << 3))), ordered(load<f64>(b + (<usize>rowB << 3))));
  return compareTexts(a + (<usize>rowA << 4), b + (<usize>rowB << 4));
}

// @ts-ignore: decorator
@inline
function compare<T>(a: T, b: T): i32 {
  return <i32>(a > b) - <i32>(a < b);
}

/** Strings by their bytes, as unsigned; a shorter one before a longer one that starts with it. */
function compareTexts(a: usize, b: usize): i32 {
  const lengthA = load<u32>(a);
  const lengthB = load<u32>(b);
  const startA = bswap(load<u32>(a + 4));
  const startB = bswap(load<u32>(b + 4));
  if (startA != startB) return startA < startB ? -1 : 1;
  const bytesA = lengthA <= 12 ? a + 4 : <usize>load<u32>(a + 12);
  const bytesB = lengthB <= 12 ? b + 4 : <usize>load<u32>(b + 12);
  const common = min(lengthA, lengthB);
  let at: u32 = 0;
  for (; at + 8 <= common; at += 8) {
    const wordA = load<u64>(bytesA + at);
    const wordB = load<u64>(bytesB + at);
    if (wordA != wordB) return bswap(wordA) < bswap(wordB) ? -1 : 1;
  }
  for (; at < common; at++) {
    const order = <i32>load<u8>(bytesA + at) - <i32>load<u8>(bytesB + at);
    if (order != 0) return order;
  }
  return compare<u32>(lengthA, lengthB);
}

// @ts-ignore: decorator
@inline
function chunkOf(chunks: usize, id: u32, shift: u32): usize {
  return <usize>load<u32>(chunks + (<usize>(id >> shift) << 2));
}

// @ts-ignore: decorator
@inline
function viewOf(values: usize, views: usize, row: u32): usize {
  return views ? views + (<usize>load<u32>(values + (<usize>row << 2)) << 4) : values + (<usize>row << 4);
}

// @ts-ignore: decorator
@inline
function isNull(validity: usize, row: u32): bool {
  return validity != 0 && !testBit(validity, row);
}

// @ts-ignore: decorator
@inline
function testBit(bits: usize, i: u32): bool {
  return (<u32>load<u8>(bits + (i >> 3)) >> (i & 7) & 1) != 0;
}

// @ts-ignore: decorator
@inline
function writeBit(bits: usize, i: u32, set: bool): void {
  const at = bits + (i >> 3);
  const mask = <u8>(<u32>1 << (i & 7));
  const old = load<u8>(at);
  store<u8>(at, set ? old | mask : old & ~mask);
}
