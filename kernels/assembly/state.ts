// State pages: find or insert keys, split, move and read entries. The layout is drawn in core/ports/page-layout.ts. A
// kernel that cannot go on (page full, frozen, absent) stops at that row, says why in the shape block, and is called again.
import {
  hasRoom, heapHas, insert, matches, occupy, pageEntry, pageMask, placeOf, sameBytes, sameKey, stopAtPage, stopFullAt, stored, tagOf, undoRecord, writable,
} from './entries';
import {
  pageSize, pageIdAt, pageDepthAt, pagePrefixAt, pageCountAt, pageCapacityAt, pageEntriesAt, pageCountMaxAt, pageHeapAt, pageDeadAt, pageUndoAt, pageUndoneAt, pageTagsAt,
  pageDirty, pageFrozen, pageAbsent, tableDirectoryAt, tableShiftAt, shapePageTableAt, shapeCapacityAt, shapeStrideAt,
  shapeEntriesAt, shapeKeysAt, shapeNullsAt, shapeAccumulatorsAt, shapeReasonAt, shapeSinkAt,
  shapeTextsAt, shapeLineMaskAt, shapeInverseAt, shapeLeavesAt, leafBytes, leafStorageAt, leafOffsetAt, leafValuesAt, leafViewsAt,
  storageBit, storageI32, storageI64, storageF64, storageView, stopDone, stopFull, stopFrozen, stopUndone, undoRecordBytes, pageUndoneMax, shapeStopAt,
} from '../../core/ports/page-layout';

/** Rows whose cache lines are touched ahead of the probes that depend on them. */
const ahead: usize = 256;

// ── find or insert ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Entries first, lines touched ahead: for tables larger than the cache. Answers the row it stopped at. */
export function resolveEntriesI64(shape: usize, table: usize, hashes: usize, rows: usize, from: i32, n: i32, entries: usize): i32 {
  return byEntries<i64>(shape, table, hashes, rows, from, n, entries);
}
export function resolveEntriesI32(shape: usize, table: usize, hashes: usize, rows: usize, from: i32, n: i32, entries: usize): i32 {
  return byEntries<i32>(shape, table, hashes, rows, from, n, entries);
}
export function resolveEntriesView(shape: usize, table: usize, hashes: usize, rows: usize, from: i32, n: i32, entries: usize): i32 {
  return byEntries<v128>(shape, table, hashes, rows, from, n, entries);
}
export function resolveEntriesAny(shape: usize, table: usize, hashes: usize, rows: usize, from: i32, n: i32, entries: usize): i32 {
  return byEntries<bool>(shape, table, hashes, rows, from, n, entries);
}

/** Tags first, sixteen at a time: for tables that stay in the cache. */
export function resolveTagsI64(shape: usize, table: usize, hashes: usize, rows: usize, from: i32, n: i32, entries: usize): i32 {
  return byTags<i64>(shape, table, hashes, rows, from, n, entries);
}
export function resolveTagsI32(shape: usize, table: usize, hashes: usize, rows: usize, from: i32, n: i32, entries: usize): i32 {
  return byTags<i32>(shape, table, hashes, rows, from, n, entries);
}
export function resolveTagsView(shape: usize, table: usize, hashes: usize, rows: usize, from: i32, n: i32, entries: usize): i32 {
  return byTags<v128>(shape, table, hashes, rows, from, n, entries);
}
export function resolveTagsAny(shape: usize, table: usize, hashes: usize, rows: usize, from: i32, n: i32, entries: usize): i32 {
  return byTags<bool>(shape, table, hashes, rows, from, n, entries);
}

/**
 * Rows k < n whose entry lies in the page at `moved` (which split or was rebuilt) are found again. Their keys exist.
 */
export function resolveAgain(shape: usize, table: usize, hashes: usize, rows: usize, n: i32, entries: usize, moved: usize): void {
  const stride = <usize>load<u32>(shape, shapeStrideAt);
  const lineMask = <usize>load<u32>(shape, shapeLineMaskAt);
  for (let k: usize = 0; k < <usize>n; k++) {
    if ((<usize>load<u32>(entries + (k << 2)) & pageMask) != moved) continue;
    const row = rows ? <usize>load<u32>(rows + (k << 2)) : k;
    const hash = stored(load<u64>(hashes + (k << 3)));
    const page = <usize>load<u32>(pageEntry(shape, table, hash)) & pageMask;
    const capacity = load<u32>(page, pageCapacityAt);
    const first = page + <usize>load<u32>(page, pageEntriesAt);
    const end = first + <usize>capacity * stride;
    let at = first + placeOf(hash, capacity, lineMask) * stride;
    for (let i: u32 = 0; i <= capacity; i++) {
      if (load<u64>(at) == hash && matches(shape, at, page, row)) break;
      at += stride;
      if (at == end) at = first;
    }
    store<u32>(entries + (k << 2), <u32>at);
  }
}

// @ts-ignore: decorator
@inline
function byEntries<K>(shape: usize, table: usize, hashes: usize, rows: usize, from: i32, n: i32, entries: usize): i32 {
  const stride = <usize>load<u32>(shape, shapeStrideAt);
  const values = <usize>load<u32>(shape, shapeLeavesAt + leafValuesAt);
  const views = <usize>load<u32>(shape, shapeLeavesAt + leafViewsAt);
  const keyAt = <usize>load<u32>(shape, shapeLeavesAt + leafOffsetAt);
  const directory = <usize>load<u32>(table, tableDirectoryAt);
  const shift = <u64>load<u32>(table, tableShiftAt);
  const pages = <usize>load<u32>(shape, shapePageTableAt);
  const lineMask = <usize>load<u32>(shape, shapeLineMaskAt);
  let capacity = load<u32>(shape, shapeCapacityAt);
  let firstAt = <usize>load<u32>(shape, shapeEntriesAt);
  let k = <usize>from;
  let sum: u64 = 0;
  let grows = false;
  while (k < <usize>n) {
    const stop = min(k + ahead, <usize>n);
    for (let j = k; j < stop; j++) {
      const hash = load<u64>(hashes + (j << 3));
      const entry = load<u32>(pages + (<usize>load<u32>(directory + (<usize>(((hash << 10) >> 1) >> shift) << 2)) << 2));
      const page = <usize>entry & pageMask;
      if (!isInteger<K>() || isBoolean<K>()) {
        capacity = load<u32>(page, pageCapacityAt);
        firstAt = <usize>load<u32>(page, pageEntriesAt);
      }
      const home = page + firstAt + placeOf(hash, capacity, lineMask) * stride;
      sum += load<u64>(home);
      store<u32>(entries + (j << 2), (entry & (pageDirty | pageFrozen | pageAbsent)) == pageDirty ? <u32>home : 0);
    }
    if (grows) {
      // Many keys are new: what inserting them writes (header and tag) is touched ahead as well.
      for (let j = k; j < stop; j++) {
        const home = <usize>load<u32>(entries + (j << 2));
        if (load<u64>(home) != 0) continue;
        const page = home & pageMask;
        sum += <u64>load<u32>(page) + <u64>load<u8>(page + placeOf(load<u64>(hashes + (j << 3)), capacity, lineMask), pageTagsAt);
      }
    }
    let inserted: u32 = 0;
    for (; k < stop; k++) {
      let at = <usize>load<u32>(entries + (k << 2));
      const hash = stored(load<u64>(hashes + (k << 3)));
      if (at == 0) {
        const page = <usize>writable(shape, pageEntry(shape, table, hash)) & pageMask;
        if (page == 0) return stopAtPage(shape, table, hash, k);
        if (!isInteger<K>() || isBoolean<K>()) {
          capacity = load<u32>(page, pageCapacityAt);
          firstAt = <usize>load<u32>(page, pageEntriesAt);
        }
        at = page + firstAt + placeOf(hash, capacity, lineMask) * stride;
      }
      const row = rows ? <usize>load<u32>(rows + (k << 2)) : k;
      const key = isVector<K>() ? (views ? views + (<usize>load<u32>(values + (row << 2)) << 4) : values + (row << 4)) : 0;
      for (;;) {
        const found = load<u64>(at);
        if (found == hash) {
          if (sameKey<K>(shape, at, keyAt, values, key, row)) break;
        } else if (found == 0) {
          const page = at & pageMask;
          if (!hasRoom<K>(shape, page, key, row)) return stopFullAt(shape, page, k);
          insert<K>(shape, page, at, hash, keyAt, values, key, row, stride);
          inserted++;
          break;
        }
        const page = at & pageMask;
        at += stride;
        if (!isInteger<K>() || isBoolean<K>()) {
          capacity = load<u32>(page, pageCapacityAt);
          firstAt = <usize>load<u32>(page, pageEntriesAt);
        }
        if (at == page + firstAt + <usize>capacity * stride) at = page + firstAt;
      }
      store<u32>(entries + (k << 2), <u32>at);
    }
    grows = inserted > <u32>(ahead >> 3);
  }
  store<u64>(shape, sum, shapeSinkAt + 16);
  store<u32>(shape, stopDone, shapeReasonAt);
  return n;
}

// @ts-ignore: decorator
@inline
function byTags<K>(shape: usize, table: usize, hashes: usize, rows: usize, from: i32, n: i32, entries: usize): i32 {
  const stride = <usize>load<u32>(shape, shapeStrideAt);
  const values = <usize>load<u32>(shape, shapeLeavesAt + leafValuesAt);
  const views = <usize>load<u32>(shape, shapeLeavesAt + leafViewsAt);
  const keyAt = <usize>load<u32>(shape, shapeLeavesAt + leafOffsetAt);
  const directory = <usize>load<u32>(table, tableDirectoryAt);
  const shift = <u64>load<u32>(table, tableShiftAt);
  const pages = <usize>load<u32>(shape, shapePageTableAt);
  const lineMask = <usize>load<u32>(shape, shapeLineMaskAt);
  let capacity = load<u32>(shape, shapeCapacityAt);
  let firstAt = <usize>load<u32>(shape, shapeEntriesAt);
  const none = i8x16.splat(0);
  for (let k = <usize>from; k < <usize>n; k++) {
    const hash = stored(load<u64>(hashes + (k << 3)));
    const tableEntry = pages + (<usize>load<u32>(directory + (<usize>(((hash << 10) >> 1) >> shift) << 2)) << 2);
    let entry = load<u32>(tableEntry);
    if ((entry & (pageDirty | pageFrozen | pageAbsent)) != pageDirty) {
      entry = writable(shape, tableEntry);
      if (entry == 0) return stopAtPage(shape, table, hash, k);
    }
    const page = <usize>entry & pageMask;
    if (!isInteger<K>() || isBoolean<K>()) {
      capacity = load<u32>(page, pageCapacityAt);
      firstAt = <usize>load<u32>(page, pageEntriesAt);
    }
    const row = rows ? <usize>load<u32>(rows + (k << 2)) : k;
    const key = isVector<K>() ? (views ? views + (<usize>load<u32>(values + (row << 2)) << 4) : values + (row << 4)) : 0;
    const wanted = i8x16.splat(tagOf(hash));
    let place = placeOf(hash, capacity, lineMask);
    let at: usize = 0;
    for (;;) {
      const group = v128.load(page + pageTagsAt + place);
      let mask = i8x16.bitmask(i8x16.eq(group, wanted));
      while (mask) {
        let i = place + <usize>ctz(mask);
        while (i >= <usize>capacity) i -= <usize>capacity;
        at = page + firstAt + i * stride;
        if (load<u64>(at) == hash && sameKey<K>(shape, at, keyAt, values, key, row)) break;
        mask &= mask - 1;
      }
      if (mask) break;
      const empty = i8x16.bitmask(i8x16.eq(group, none));
      if (empty) {
        let i = place + <usize>ctz(empty);
        while (i >= <usize>capacity) i -= <usize>capacity;
        if (!hasRoom<K>(shape, page, key, row)) return stopFullAt(shape, page, k);
        at = page + firstAt + i * stride;
        insert<K>(shape, page, at, hash, keyAt, values, key, row, stride);
        break;
      }
      place += 16;
      if (place >= <usize>capacity) place -= <usize>capacity;
    }
    store<u32>(entries + (k << 2), <u32>at);
  }
  store<u32>(shape, stopDone, shapeReasonAt);
  return n;
}

// ── whole pages ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** A whole page, to another place. */
export function copyPage(to: usize, from: usize): void {
  memory.copy(to, from, pageSize);
}

/** An empty page with its header. */
export function clearPage(page: usize, id: u32, depth: u32, prefix: u32, capacity: u32, entriesAt: u32, countMax: u32): void {
  memory.fill(page, 0, pageSize);
  store<u32>(page, id, pageIdAt);
  store<u32>(page, depth, pageDepthAt);
  store<u32>(page, prefix, pagePrefixAt);
  store<u32>(page, capacity, pageCapacityAt);
  store<u32>(page, entriesAt, pageEntriesAt);
  store<u32>(page, countMax, pageCountMaxAt);
  store<u32>(page, pageSize, pageHeapAt);
}

/** Small copies of whole words; memory.copy is a call. */
// @ts-ignore: decorator
@inline
function copyWords(to: usize, from: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 8) store<u64>(to + i, load<u64>(from + i));
}

/**
 * Puts the entries of `source` (a copy of a page) into the fresh pages `zero` and `one` by bit `depth` of their hash
 * (counted after the key group's); with `one` 0 all go to `zero`.
 */
export function distribute(shape: usize, source: usize, zero: usize, one: usize, depth: i32): void {
  const stride = <usize>load<u32>(shape, shapeStrideAt);
  const lineMask = <usize>load<u32>(shape, shapeLineMaskAt);
  const capacity = <usize>load<u32>(source, pageCapacityAt);
  let at = source + <usize>load<u32>(source, pageEntriesAt);
  for (let i: usize = 0; i < capacity; i++, at += stride) {
    const hash = load<u64>(at);
    if (hash == 0) continue;
    const page = one != 0 && ((hash << (10 + <u64>depth)) >> 63) != 0 ? one : zero;
    moveEntry(shape, source, at, page, freePlace(page, hash, stride, lineMask), stride);
  }
}

/** Puts the entries of `source` (a copy of a page) into the pages that the table's directory leads to, all of them fresh. */
export function spread(shape: usize, table: usize, source: usize): void {
  const stride = <usize>load<u32>(shape, shapeStrideAt);
  const lineMask = <usize>load<u32>(shape, shapeLineMaskAt);
  const capacity = <usize>load<u32>(source, pageCapacityAt);
  let at = source + <usize>load<u32>(source, pageEntriesAt);
  for (let i: usize = 0; i < capacity; i++, at += stride) {
    const hash = load<u64>(at);
    if (hash == 0) continue;
    const page = <usize>load<u32>(pageEntry(shape, table, hash)) & pageMask;
    moveEntry(shape, source, at, page, freePlace(page, hash, stride, lineMask), stride);
  }
}

/** Takes `n` entries of a page out. Others move up to where they are found without them. */
export function removeEntries(shape: usize, page: usize, entries: usize, n: i32): void {
  const first = page + <usize>load<u32>(page, pageEntriesAt);
  const inverse = <u64>load<u32>(shape, shapeInverseAt);
  if (n == 1) {
    removeAt(shape, page, <usize>((<u64>(<usize>load<u32>(entries) - first) * inverse) >> 32));
    return;
  }
  // They may move on the way: their tags say which they are.
  for (let k: usize = 0; k < <usize>n; k++) {
    setTag(page, <usize>((<u64>(<usize>load<u32>(entries + (k << 2)) - first) * inverse) >> 32), leaving);
  }
  const capacity = <usize>load<u32>(page, pageCapacityAt);
  for (let i: usize = 0; i < capacity; i++) {
    while (load<i8>(page + i, pageTagsAt) == leaving) removeAt(shape, page, i);
  }
}

/** No tag of an entry: those are below zero. */
const leaving: i8 = 1;

function removeAt(shape: usize, page: usize, place: usize): void {
  const stride = <usize>load<u32>(shape, shapeStrideAt);
  const lineMask = <usize>load<u32>(shape, shapeLineMaskAt);
  const capacity = <usize>load<u32>(page, pageCapacityAt);
  const first = page + <usize>load<u32>(page, pageEntriesAt);
  store<u32>(page, load<u32>(page, pageDeadAt) + <u32>stringBytes(shape, first + place * stride), pageDeadAt);
  let gap = place;
  let next = place;
  for (;;) {
    if (++next == capacity) next = 0;
    const tag = load<i8>(page + next, pageTagsAt);
    if (tag == 0) break;
    const at = first + next * stride;
    const home = placeOf(load<u64>(at), <u32>capacity, lineMask);
    // Found without the gap: its probes begin behind it.
    if (gap <= next ? gap < home && home <= next : gap < home || home <= next) continue;
    copyWords(first + gap * stride, at, stride);
    setTag(page, gap, tag);
    gap = next;
  }
  memory.fill(first + gap * stride, 0, stride);
  setTag(page, gap, 0);
  store<u32>(page, load<u32>(page, pageCountAt) - 1, pageCountAt);
}

/** With its repetitions behind the last. */
function setTag(page: usize, place: usize, tag: i8): void {
  const capacity = <usize>load<u32>(page, pageCapacityAt);
  for (let j = place; j < capacity + 16; j += capacity) store<i8>(page + j, tag, pageTagsAt);
}

function freePlace(page: usize, hash: u64, stride: usize, lineMask: usize): usize {
  const capacity = load<u32>(page, pageCapacityAt);
  const first = page + <usize>load<u32>(page, pageEntriesAt);
  const end = first + <usize>capacity * stride;
  let at = first + placeOf(hash, capacity, lineMask) * stride;
  while (load<u64>(at) != 0) {
    at += stride;
    if (at == end) at = first;
  }
  return at;
}

function moveEntry(shape: usize, source: usize, from: usize, page: usize, to: usize, stride: usize): void {
  occupy(shape, page, to, load<u64>(from));
  copyWords(to + 8, from + 8, stride - 8);
  moveStrings(shape, source, from, page, to);
}

/** The long strings of the key of an entry that was copied from `source` go to the heap of its new page. */
function moveStrings(shape: usize, source: usize, from: usize, page: usize, to: usize): void {
  const keys = <usize>load<u32>(shape, shapeKeysAt);
  let leaf = shape + shapeLeavesAt;
  for (let i: usize = 0; i < keys; i++, leaf += leafBytes) {
    if (load<u32>(leaf, leafStorageAt) == storageView) moveString(source, from, page, to, <usize>load<u32>(leaf, leafOffsetAt));
  }
}

// @ts-ignore: decorator
@inline
function moveString(source: usize, from: usize, page: usize, to: usize, offset: usize): void {
  const length = <usize>load<u32>(from + offset);
  if (length <= 12) return;
  const heap = <usize>load<u32>(page, pageHeapAt) - length;
  memory.copy(page + heap, source + <usize>load<u32>(from + offset, 12), length);
  store<u32>(page, <u32>heap, pageHeapAt);
  store<u32>(to + offset, <u32>heap, 12);
}

/** Heap bytes that the strings of an entry's key take. */
function stringBytes(shape: usize, at: usize): usize {
  const keys = <usize>load<u32>(shape, shapeKeysAt);
  let leaf = shape + shapeLeavesAt;
  let bytes: usize = 0;
  for (let i: usize = 0; i < keys; i++, leaf += leafBytes) {
    if (load<u32>(leaf, leafStorageAt) != storageView) continue;
    const length = <usize>load<u32>(at + <usize>load<u32>(leaf, leafOffsetAt));
    if (length > 12) bytes += length;
  }
  return bytes;
}

/** Bytes of the texts that an entry's accumulators refer to. */
function textBytes(shape: usize, at: usize): usize {
  const texts = <usize>load<u32>(shape, shapeTextsAt);
  const offsets = shape + shapeLeavesAt + <usize>load<u32>(shape, shapeKeysAt) * leafBytes;
  let bytes: usize = 0;
  for (let i: usize = 0; i < texts; i++) {
    const length = <usize>load<u32>(at + <usize>load<u32>(offsets + (i << 2)));
    if (length > 12) bytes += length;
  }
  return bytes;
}

/** Texts of an exported entry go to the chunk's heap. */
function exportTexts(shape: usize, chunk: usize, to: usize): void {
  const texts = <usize>load<u32>(shape, shapeTextsAt);
  const offsets = shape + shapeLeavesAt + <usize>load<u32>(shape, shapeKeysAt) * leafBytes;
  for (let i: usize = 0; i < texts; i++) {
    const view = to + <usize>load<u32>(offsets + (i << 2));
    const length = <usize>load<u32>(view);
    if (length <= 12) continue;
    const heap = <usize>load<u32>(chunk, pageHeapAt) - length;
    memory.copy(chunk + heap, <usize>load<u32>(view, 12), length);
    store<u32>(chunk, <u32>heap, pageHeapAt);
    store<u32>(view, <u32>heap, 12);
  }
}

/** Addresses of the occupied entries of a page from place `from` on, at most `max`; answers the place to go on at. */
export function scanPage(shape: usize, page: usize, from: i32, entries: usize, max: i32, count: usize): i32 {
  const stride = <usize>load<u32>(shape, shapeStrideAt);
  const capacity = <usize>load<u32>(page, pageCapacityAt);
  const first = page + <usize>load<u32>(page, pageEntriesAt);
  let to = entries;
  const end = entries + (<usize>max << 2);
  let i = <usize>from;
  // Sixteen places at once while there is room for all of them.
  for (; i < capacity && to + 64 <= end; i += 16) {
    let mask = i8x16.bitmask(v128.load(page + pageTagsAt + i));
    if (i + 16 > capacity) mask &= (1 << <i32>(capacity - i)) - 1;
    const at = first + i * stride;
    while (mask) {
      store<u32>(to, <u32>(at + <usize>ctz(mask) * stride));
      to += 4;
      mask &= mask - 1;
    }
  }
  i = min(i, capacity);
  for (; i < capacity && to < end; i++) {
    store<u32>(to, <u32>(first + i * stride));
    to += <usize>(load<u8>(page + i, pageTagsAt) >> 7) << 2;
  }
  store<u32>(count, <u32>((to - entries) >> 2));
  return <i32>i;
}

/**
 * For each of `n` entries of other tables of the same shape: finds or inserts its key in `table`, writes the entry's
 * address to `to`. Answers where it stopped.
 */
export function absorbEntries(shape: usize, table: usize, sources: usize, from: i32, n: i32, to: usize): i32 {
  const stride = <usize>load<u32>(shape, shapeStrideAt);
  const lineMask = <usize>load<u32>(shape, shapeLineMaskAt);
  const keyEnd = <usize>load<u32>(shape, shapeAccumulatorsAt);
  const directory = <usize>load<u32>(table, tableDirectoryAt);
  const shift = <u64>load<u32>(table, tableShiftAt);
  const pages = <usize>load<u32>(shape, shapePageTableAt);
  const strings = hasStrings(shape);
  let sum: u64 = 0;
  for (let k = <usize>from; k < <usize>n; ) {
    const stop = min(k + ahead, <usize>n);
    // What is merged comes from far away: nothing is decided by it before all of it is on its way.
    for (let j = k; j < stop; j++) {
      const hash = load<u64>(<usize>load<u32>(sources + (j << 2)));
      const entry = load<u32>(pages + (<usize>load<u32>(directory + (<usize>(((hash << 10) >> 1) >> shift) << 2)) << 2));
      const page = <usize>entry & pageMask;
      const home = page + <usize>load<u32>(page, pageEntriesAt) + placeOf(hash, load<u32>(page, pageCapacityAt), lineMask) * stride;
      sum += load<u64>(home);
      store<u32>(to + (j << 2), (entry & (pageDirty | pageFrozen | pageAbsent)) == pageDirty ? <u32>home : 0);
    }
    for (; k < stop; k++) {
      const source = <usize>load<u32>(sources + (k << 2));
      const hash = load<u64>(source);
      let at = <usize>load<u32>(to + (k << 2));
      if (at == 0) {
        const opened = <usize>writable(shape, pageEntry(shape, table, hash)) & pageMask;
        if (opened == 0) return stopAtPage(shape, table, hash, k);
        at = opened + <usize>load<u32>(opened, pageEntriesAt) + placeOf(hash, load<u32>(opened, pageCapacityAt), lineMask) * stride;
      }
      const page = at & pageMask;
      for (;;) {
        const found = load<u64>(at);
        if (found == hash && (strings ? sameEntryKey(shape, at, source) : sameWords(at, source, keyEnd))) break;
        if (found == 0) {
          if (load<u32>(page, pageCountAt) >= load<u32>(page, pageCountMaxAt)) {
            store<u32>(shape, stopFull, shapeReasonAt);
            return stopFullAt(shape, page, k);
          }
          if (strings && !heapHas(shape, page, stringBytes(shape, source))) return stopFullAt(shape, page, k);
          occupy(shape, page, at, hash);
          copyWords(at + 8, source + 8, keyEnd - 8);
          if (strings) moveStrings(shape, source & pageMask, source, page, at);
          break;
        }
        at += stride;
        const first = page + <usize>load<u32>(page, pageEntriesAt);
        if (at == first + <usize>load<u32>(page, pageCapacityAt) * stride) at = first;
      }
      store<u32>(to + (k << 2), <u32>at);
    }
  }
  store<u64>(shape, sum, shapeSinkAt + 16);
  store<u32>(shape, stopDone, shapeReasonAt);
  return n;
}

/** As `resolveAgain`, for entries found by `absorbEntries`. */
export function absorbAgain(shape: usize, table: usize, sources: usize, n: i32, to: usize, moved: usize): void {
  for (let k: usize = 0; k < <usize>n; k++) {
    if ((<usize>load<u32>(to + (k << 2)) & pageMask) == moved) absorbEntries(shape, table, sources, <i32>k, <i32>k + 1, to);
  }
}

function hasStrings(shape: usize): bool {
  const keys = <usize>load<u32>(shape, shapeKeysAt);
  let leaf = shape + shapeLeavesAt;
  for (let i: usize = 0; i < keys; i++, leaf += leafBytes) if (load<u32>(leaf, leafStorageAt) == storageView) return true;
  return false;
}

/** Equality of keys without strings: what is between the values, and in the place of NULL, is zero. */
// @ts-ignore: decorator
@inline
function sameWords(a: usize, b: usize, end: usize): bool {
  let i: usize = 8;
  while (i < end && load<u64>(a + i) == load<u64>(b + i)) i += 8;
  return i >= end;
}

function sameEntryKey(shape: usize, a: usize, b: usize): bool {
  const keys = <usize>load<u32>(shape, shapeKeysAt);
  const nulls = <usize>load<u32>(shape, shapeNullsAt);
  let leaf = shape + shapeLeavesAt;
  for (let i: usize = 0; i < keys; i++, leaf += leafBytes) {
    const offset = <usize>load<u32>(leaf, leafOffsetAt);
    switch (load<u32>(leaf, leafStorageAt)) {
      case storageView: {
        const length = <usize>load<u32>(a + offset);
        if (load<u64>(a + offset) != load<u64>(b + offset)) return false;
        if (length <= 12) {
          if (load<u64>(a + offset, 8) != load<u64>(b + offset, 8)) return false;
        } else if (!sameBytes((a & pageMask) + <usize>load<u32>(a + offset, 12), (b & pageMask) + <usize>load<u32>(b + offset, 12), length)) {
          return false;
        }
        break;
      }
      case storageI32:
        if (load<u32>(a + offset) != load<u32>(b + offset)) return false;
        break;
      case storageBit:
        if (load<u8>(a + offset) != load<u8>(b + offset)) return false;
        break;
      default:
        if (load<u64>(a + offset) != load<u64>(b + offset)) return false;
    }
  }
  if (nulls) {
    for (let i: usize = 0; i < (keys + 7) >> 3; i++) if (load<u8>(a + nulls + i) != load<u8>(b + nulls + i)) return false;
  }
  return true;
}

/** Key leaf `leaf` of `n` entries as a column; `validity` 0: the leaf cannot be null. Answers whether one was null. */
export function readLeaf(shape: usize, leaf: i32, entries: usize, n: i32, values: usize, validity: usize): i32 {
  const block = shape + shapeLeavesAt + <usize>leaf * leafBytes;
  const offset = <usize>load<u32>(block, leafOffsetAt);
  const storage = load<u32>(block, leafStorageAt);
  const count = <usize>n;
  if (storage == storageI64 || storage == storageF64) {
    for (let k: usize = 0; k < count; k++) store<u64>(values + (k << 3), load<u64>(<usize>load<u32>(entries + (k << 2)) + offset));
  } else if (storage == storageI32) {
    for (let k: usize = 0; k < count; k++) store<u32>(values + (k << 2), load<u32>(<usize>load<u32>(entries + (k << 2)) + offset));
  } else if (storage == storageView) {
    for (let k: usize = 0; k < count; k++) {
      const at = <usize>load<u32>(entries + (k << 2));
      const view = v128.load(at + offset);
      v128.store(values + (k << 4), view);
      if (load<u32>(at + offset) > 12) store<u32>(values + (k << 4), <u32>((at & pageMask) + <usize>load<u32>(at + offset, 12)), 12);
    }
  } else {
    memory.fill(values, 0, (count + 7) >> 3);
    for (let k: usize = 0; k < count; k++) {
      const byte = values + (k >> 3);
      store<u8>(byte, load<u8>(byte) | (load<u8>(<usize>load<u32>(entries + (k << 2)) + offset) << <u8>(k & 7)));
    }
  }
  const nulls = <usize>load<u32>(shape, shapeNullsAt);
  if (validity == 0) return 0;
  memory.fill(validity, 0xff, (count + 7) >> 3);
  if (nulls == 0) return 0;
  let any: i32 = 0;
  const bit = <u8>(leaf & 7);
  for (let k: usize = 0; k < count; k++) {
    if (((load<u8>(<usize>load<u32>(entries + (k << 2)) + nulls + <usize>(leaf >> 3)) >> bit) & 1) == 0) continue;
    const byte = validity + (k >> 3);
    store<u8>(byte, load<u8>(byte) & ~(1 << <u8>(k & 7)));
    any = 1;
  }
  return any;
}

// ── snapshots ───────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Appends entries of `page` from place `from` on to `chunk`: a page-sized block with the header's count, entries packed
 * from byte 64 on, strings from its end down. With `stampAt`, where entries have their stamp, only those touched after `since`.
 * Answers the place it stopped at; less than the capacity: the chunk is full.
 */
export function exportEntries(shape: usize, page: usize, from: i32, chunk: usize, stampAt: usize, since: u32): i32 {
  const stride = <usize>load<u32>(shape, shapeStrideAt);
  const capacity = <usize>load<u32>(page, pageCapacityAt);
  const first = page + <usize>load<u32>(page, pageEntriesAt);
  let count = <usize>load<u32>(chunk, pageCountAt);
  let i = <usize>from;
  for (; i < capacity; i++) {
    const at = first + i * stride;
    if (load<u64>(at) == 0) continue;
    if (stampAt != 0 && load<u32>(at + stampAt) <= since) continue;
    const end = <usize>pageTagsAt + (count + 1) * stride;
    if (end + stringBytes(shape, at) + textBytes(shape, at) > <usize>load<u32>(chunk, pageHeapAt)) break;
    const to = chunk + end - stride;
    copyWords(to, at, stride);
    moveStrings(shape, page, at, chunk, to);
    exportTexts(shape, chunk, to);
    count++;
  }
  store<u32>(chunk, <u32>count, pageCountAt);
  return <i32>i;
}

/**
 * Inserts the entries of a chunk, from its `from`-th on, whose key group is in [groupFrom, groupTo). Keys are not there
 * yet. Writes the address of entry i to `to` + 4i, or 0; its texts still refer to the chunk. Answers where it stopped; fewer
 * than the chunk's count: see the reason.
 */
export function importEntries(shape: usize, table: usize, chunk: usize, from: i32, groupFrom: u32, groupTo: u32, to: usize): i32 {
  const stride = <usize>load<u32>(shape, shapeStrideAt);
  const lineMask = <usize>load<u32>(shape, shapeLineMaskAt);
  const count = <usize>load<u32>(chunk, pageCountAt);
  for (let i = <usize>from; i < count; i++) {
    const at = chunk + <usize>pageTagsAt + i * stride;
    const hash = load<u64>(at);
    const group = <u32>(hash >> 54);
    store<u32>(to + (i << 2), 0);
    if (group < groupFrom || group >= groupTo) continue;
    const entry = load<u32>(pageEntry(shape, table, hash));
    if ((entry & (pageDirty | pageFrozen | pageAbsent)) != pageDirty) return stopAtPage(shape, table, hash, i);
    const page = <usize>entry & pageMask;
    if (load<u32>(page, pageCountAt) >= load<u32>(page, pageCountMaxAt)) {
      store<u32>(shape, stopFull, shapeReasonAt);
      return stopFullAt(shape, page, i);
    }
    if (!heapHas(shape, page, stringBytes(shape, at))) return stopFullAt(shape, page, i);
    const place = freePlace(page, hash, stride, lineMask);
    moveEntry(shape, chunk, at, page, place, stride);
    store<u32>(to + (i << 2), <u32>place);
  }
  store<u32>(shape, stopDone, shapeReasonAt);
  return <i32>count;
}

/**
 * Before the entries [from, n) of a list are written: what they hold goes to the undo log, where a snapshot still reads their
 * page. With `stampAt` those that carry `stamp` have been kept since. Answers the one it stopped at: the log has no room
 * (`stopFrozen`), or the page has had its share of it (`stopUndone`).
 */
export function keepEntries(shape: usize, entries: usize, from: i32, n: i32, stampAt: usize, stamp: u32): i32 {
  const offset = <usize>load<u32>(shape, shapeAccumulatorsAt);
  const bytes = <usize>load<u32>(shape, shapeStrideAt) - offset;
  if (bytes == 0) return n;
  for (let k = <usize>from; k < <usize>n; k++) {
    const at = <usize>load<u32>(entries + (k << 2));
    const page = at & pageMask;
    const older = load<u32>(page, pageUndoAt);
    if (older == 0 || (stampAt != 0 && load<u32>(at + stampAt) == stamp)) continue;
    const kept = load<u32>(page, pageUndoneAt);
    const full = kept >= <u32>pageUndoneMax;
    const record: usize = full ? 0 : undoRecord(shape, older, at + offset, bytes);
    if (record == 0) {
      store<u32>(shape, full ? stopUndone : stopFrozen, shapeReasonAt);
      store<u32>(shape, load<u32>(page), shapeStopAt);
      return <i32>k;
    }
    copyWords(record + undoRecordBytes, at + offset, bytes);
    store<u32>(page, <u32>record, pageUndoAt);
    store<u32>(page, kept + <u32>bytes, pageUndoneAt);
  }
  return n;
}

/** Entries of a list that lie in the page at `from` lie in its copy at `to` now. */
export function movePage(entries: usize, n: i32, from: usize, to: usize): void {
  for (let at = entries, end = entries + (<usize>n << 2); at < end; at += 4) {
    const entry = <usize>load<u32>(at);
    if ((entry & pageMask) == from) store<u32>(at, <u32>(entry - from + to));
  }
}

/** The page that a logged one was when it froze, at `to`. */
export function pageAsFrozen(shape: usize, page: usize, to: usize): void {
  memory.copy(to, page, pageSize);
  const bytes = <usize>load<u32>(shape, shapeStrideAt) - <usize>load<u32>(shape, shapeAccumulatorsAt);
  let record = <usize>load<u32>(page, pageUndoAt);
  while (record != 0) {
    const at = <usize>load<u32>(record, 4);
    if (at == 0) {
      memory.copy(to, record + undoRecordBytes, <usize>pageTagsAt + ((<usize>load<u32>(page, pageCapacityAt) + 16 + 7) & ~7));
    } else copyWords(to + at - page, record + undoRecordBytes, bytes);
    record = <usize>load<u32>(record);
  }
  const stride = <usize>load<u32>(shape, shapeStrideAt);
  const capacity = <usize>load<u32>(to, pageCapacityAt);
  let at = to + <usize>load<u32>(to, pageEntriesAt);
  for (let i: usize = 0; i < capacity; i++, at += stride) if (load<u8>(to + i, pageTagsAt) == 0) store<u64>(at, 0);
}

/** Stamps the entries [from, n) of a list. Their lines have just been touched. */
export function stampEntries(entries: usize, from: i32, n: i32, stampAt: usize, stamp: u32): void {
  const end = entries + (<usize>n << 2);
  for (let at = entries + (<usize>from << 2); at < end; at += 4) store<u32>(<usize>load<u32>(at) + stampAt, stamp);
}

/** Copies the accumulators (from offset `from` on) of entry k of `sources` over those of entry k of `entries`, for k < n. */
export function overwriteEntries(shape: usize, sources: usize, entries: usize, n: i32): void {
  const from = <usize>load<u32>(shape, shapeAccumulatorsAt);
  const bytes = <usize>load<u32>(shape, shapeStrideAt) - from;
  for (let k: usize = 0; k < <usize>n; k++) {
    copyWords(<usize>load<u32>(entries + (k << 2)) + from, <usize>load<u32>(sources + (k << 2)) + from, bytes);
  }
}
