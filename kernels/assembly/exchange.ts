// The exchange's kernels: rows apart by target, together into frames (stages), and the checks of frames that arrive.
// Layouts: core/record/frame-layout.ts. A stage that is full or whose heap is short is an answer, never a trap.
import {
  dictionaryCount, dictionaryEntries, dictionaryEntryBytesMax, dictionaryHeap, dictionaryHeapMax, dictionaryHeapUsed,
  dictionaryIndex, dictionaryIndexMask, dictionaryViews, gather4, gather8, gatherBit, gatherEntry, gatherView,
  sourceBytes, sourceGather, sourceValidity, sourceValues, sourceViews, stageCapacity, stageColumnBytes, stageEnd,
  stageHeadBytes, stageHeap, stageHeapCapacity, stageHeapUsed, stageKinds, stageKindsSeen, stageNext, stageRows,
  stageValidity, stageValiditySeen, stageValues,
} from '../../core/record/frame-layout';
import { mix } from './canonical';

const keyGroupBits: u64 = 10;
const unknownCode: u32 = 0xffffffff;

export function partitionRows(hashes: usize, rows: usize, n: i32, targets: i32, lists: usize, stages: usize, stageBytes: i32): void {
  if (targets == 1) {
    if (rows) memory.copy(lists, rows, <usize>n << 2);
    else for (let k: usize = 0; k < <usize>n; k++) store<u32>(lists + (k << 2), <u32>k);
    store<u32>(stages, 0, stageNext);
    store<u32>(stages, <u32>n, stageEnd);
    return;
  }
  if (targets == 2) {
    // The first bit is the target: both lists grow at once, no branch, no count.
    let a = lists;
    let b = lists + (<usize>n << 2);
    const start = b;
    for (let k: usize = 0; k < <usize>n; k++) {
      const row = rows ? load<u32>(rows + (k << 2)) : <u32>k;
      const second = load<u32>(hashes + (k << 3), 4) >>> 31;
      store<u32>(a, row);
      store<u32>(b, row);
      a += (1 - second) << 2;
      b += second << 2;
    }
    store<u32>(stages, 0, stageNext);
    store<u32>(stages, <u32>((a - lists) >> 2), stageEnd);
    store<u32>(stages + stageBytes, <u32>n, stageNext);
    store<u32>(stages + stageBytes, <u32>n + <u32>((b - start) >> 2), stageEnd);
    return;
  }
  for (let t = 0; t < targets; t++) store<u32>(stages + t * stageBytes, 0, stageEnd);
  // Targets are noted in the upper half of the lists' room, so that they are computed once.
  const noted = lists + (<usize>n << 2);
  for (let k: usize = 0; k < <usize>n; k++) {
    const target = <u32>(((load<u64>(hashes + (k << 3)) >> (64 - keyGroupBits)) * <u64>targets) >> keyGroupBits);
    store<u8>(noted + k, <u8>target);
    const end = stages + <usize>target * stageBytes;
    store<u32>(end, load<u32>(end, stageEnd) + 1, stageEnd);
  }
  let at: u32 = 0;
  for (let t = 0; t < targets; t++) {
    const stage = stages + t * stageBytes;
    const count = load<u32>(stage, stageEnd);
    store<u32>(stage, at, stageNext);
    store<u32>(stage, at, stageEnd);
    at += count;
  }
  for (let k: usize = 0; k < <usize>n; k++) {
    const stage = stages + <usize>load<u8>(noted + k) * stageBytes;
    const place = load<u32>(stage, stageEnd);
    store<u32>(lists + (<usize>place << 2), rows ? load<u32>(rows + (k << 2)) : <u32>k);
    store<u32>(stage, place + 1, stageEnd);
  }
}

export function gatherStages(sources: usize, columns: i32, kinds: usize, lists: usize, stages: usize, stageBytes: i32, from: i32, to: i32): i32 {
  for (let t = from; t < to; t++) {
    if (!gatherStage(sources, columns, kinds, lists, stages + <usize>t * stageBytes)) return t;
  }
  return to;
}

/** False: the stage is full. */
function gatherStage(sources: usize, columns: i32, kinds: usize, lists: usize, stage: usize): bool {
  const next = load<u32>(stage, stageNext);
  const end = load<u32>(stage, stageEnd);
  if (next >= end) return true;
  const rows = load<u32>(stage, stageRows);
  let n = min(end - next, load<u32>(stage, stageCapacity) - rows);
  if (n == 0) return false;
  n = gatherStrings(sources, columns, lists, stage, next, rows, n);
  if (n == 0) return false;
  for (let c = 0; c < columns; c++) {
    const source = sources + c * sourceBytes;
    const column = stage + stageHeadBytes + c * stageColumnBytes;
    const gather = load<u32>(source, sourceGather);
    const values = <usize>load<u32>(source, sourceValues);
    const out = <usize>load<u32>(column, stageValues);
    if (gather == gather8) copy8(values, lists, next, n, out + (<usize>rows << 3));
    else if (gather == gather4) copy4(values, lists, next, n, out + (<usize>rows << 2));
    else if (gather == gatherBit) copyBits(values, lists, next, n, out, rows);
    const validity = <usize>load<u32>(source, sourceValidity);
    const outValidity = <usize>load<u32>(column, stageValidity);
    if (validity) {
      if (!load<u32>(column, stageValiditySeen)) {
        memory.fill(outValidity, 0xff, (<usize>load<u32>(stage, stageCapacity) + 7) >> 3);
        store<u32>(column, 1, stageValiditySeen);
      }
      copyBits(validity, lists, next, n, outValidity, rows);
    }
  }
  copyKinds(kinds, lists, stage, next, rows, n);
  store<u32>(stage, rows + n, stageRows);
  store<u32>(stage, next + n, stageNext);
  return next + n == end && rows + n < load<u32>(stage, stageCapacity);
}

// ── strings ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Gathers the view columns of up to `n` rows, as many as the heap holds; answers how many. */
function gatherStrings(sources: usize, columns: i32, lists: usize, stage: usize, next: u32, rows: u32, n: u32): u32 {
  const used = load<u32>(stage, stageHeapUsed);
  if (gatherViewColumns(sources, columns, lists, stage, next, rows, n)) return n;
  store<u32>(stage, used, stageHeapUsed);
  n = rowsThatFit(sources, columns, lists, stage, next, n);
  if (n > 0) gatherViewColumns(sources, columns, lists, stage, next, rows, n);
  return n;
}

function gatherViewColumns(sources: usize, columns: i32, lists: usize, stage: usize, next: u32, rows: u32, n: u32): bool {
  for (let c = 0; c < columns; c++) {
    const source = sources + c * sourceBytes;
    const gather = load<u32>(source, sourceGather);
    if (gather != gatherView && gather != gatherEntry) continue;
    const out = <usize>load<u32>(stage + stageHeadBytes + c * stageColumnBytes, stageValues) + (<usize>rows << 4);
    if (!copyViews(source, gather, lists, next, n, out, stage)) return false;
  }
  return true;
}

function copyViews(source: usize, gather: u32, lists: usize, next: u32, n: u32, out: usize, stage: usize): bool {
  const values = <usize>load<u32>(source, sourceValues);
  const validity = <usize>load<u32>(source, sourceValidity);
  const entries = <usize>load<u32>(source, sourceViews);
  const heap = <usize>load<u32>(stage, stageHeap);
  const heapEnd = heap + <usize>load<u32>(stage, stageHeapCapacity);
  let at = heap + <usize>load<u32>(stage, stageHeapUsed);
  const zero = i32x4.splat(0);
  for (let k: u32 = next; k < next + n; k++) {
    const row = rowAt(lists, k);
    if (isNull(validity, row)) {
      v128.store(out, zero);
    } else {
      const view = gather == gatherView ? values + (row << 4) : entries + (<usize>load<u32>(values + (row << 2)) << 4);
      const v = v128.load(view);
      const length = <usize>v128.extract_lane<u32>(v, 0);
      if (length <= 12) {
        v128.store(out, v);
      } else {
        if (at + length > heapEnd) return false;
        v128.store(out, v128.replace_lane<u32>(v, 3, <u32>(at - heap)));
        copyLong(at, <usize>v128.extract_lane<u32>(v, 3), length);
        at += length;
      }
    }
    out += 16;
  }
  store<u32>(stage, <u32>(at - heap), stageHeapUsed);
  return true;
}

/** How many of the next `n` rows have all their long strings fit into the heap. The slow, exact way. */
function rowsThatFit(sources: usize, columns: i32, lists: usize, stage: usize, next: u32, n: u32): u32 {
  let room = <i64>load<u32>(stage, stageHeapCapacity) - <i64>load<u32>(stage, stageHeapUsed);
  for (let k: u32 = 0; k < n; k++) {
    const row = rowAt(lists, next + k);
    for (let c = 0; c < columns; c++) {
      const source = sources + c * sourceBytes;
      const gather = load<u32>(source, sourceGather);
      if (gather != gatherView && gather != gatherEntry) continue;
      if (isNull(load<u32>(source, sourceValidity), row)) continue;
      const values = <usize>load<u32>(source, sourceValues);
      const entries = <usize>load<u32>(source, sourceViews);
      const length = load<u32>(gather == gatherView ? values + (row << 4) : entries + (<usize>load<u32>(values + (row << 2)) << 4));
      if (length > 12) room -= <i64>length;
    }
    if (room < 0) return k;
  }
  return n;
}

/** Copies more than 12 bytes without reading or writing past either end. */
// @ts-ignore: decorator
@inline
function copyLong(to: usize, from: usize, bytes: usize): void {
  if (bytes < 16) {
    const first = load<u64>(from);
    const last = load<u64>(from + bytes - 8);
    store<u64>(to, first);
    store<u64>(to + bytes - 8, last);
    return;
  }
  if (bytes > 256) {
    memory.copy(to, from, bytes);
    return;
  }
  const last = v128.load(from + bytes - 16);
  const end = to + bytes - 16;
  while (to < end) {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  }
  v128.store(end, last);
}

// ── fixed widths ─────────────────────────────────────────────────────────────────────────────────────────────────────

function copy8(values: usize, lists: usize, next: u32, n: u32, out: usize): void {
  if (lists == 0) {
    memory.copy(out, values + (<usize>next << 3), <usize>n << 3);
    return;
  }
  let row = lists + (<usize>next << 2);
  const end = out + (<usize>n << 3);
  const unrolled = out + (<usize>(n & ~3) << 3);
  while (out < unrolled) {
    const a = load<u64>(values + (<usize>load<u32>(row) << 3));
    const b = load<u64>(values + (<usize>load<u32>(row, 4) << 3));
    const c = load<u64>(values + (<usize>load<u32>(row, 8) << 3));
    const d = load<u64>(values + (<usize>load<u32>(row, 12) << 3));
    store<u64>(out, a);
    store<u64>(out, b, 8);
    store<u64>(out, c, 16);
    store<u64>(out, d, 24);
    row += 16;
    out += 32;
  }
  while (out < end) {
    store<u64>(out, load<u64>(values + (<usize>load<u32>(row) << 3)));
    row += 4;
    out += 8;
  }
}

function copy4(values: usize, lists: usize, next: u32, n: u32, out: usize): void {
  if (lists == 0) {
    memory.copy(out, values + (<usize>next << 2), <usize>n << 2);
    return;
  }
  let row = lists + (<usize>next << 2);
  const end = out + (<usize>n << 2);
  while (out < end) {
    store<u32>(out, load<u32>(values + (<usize>load<u32>(row) << 2)));
    row += 4;
    out += 4;
  }
}

/** Bits of the listed rows to bits `at` … of `out`. Whole bytes when rows and bits both lie on one. */
function copyBits(bits: usize, lists: usize, next: u32, n: u32, out: usize, at: u32): void {
  let k: u32 = 0;
  if (lists == 0 && ((next | at) & 7) == 0) {
    const bytes = <usize>(n >>> 3);
    memory.copy(out + <usize>(at >>> 3), bits + <usize>(next >>> 3), bytes);
    k = <u32>bytes << 3;
  }
  for (; k < n; k++) {
    const row = rowAt(lists, next + k);
    const bit = (load<u8>(bits + (row >> 3)) >> <u8>(row & 7)) & 1;
    const byte = out + <usize>((at + k) >>> 3);
    const shift = <u8>((at + k) & 7);
    store<u8>(byte, (load<u8>(byte) & ~(<u8>1 << shift)) | (bit << shift));
  }
}

/** A frame has kinds from the first batch on that has some; what came before was +I, which is 0. */
function copyKinds(kinds: usize, lists: usize, stage: usize, next: u32, rows: u32, n: u32): void {
  const out = <usize>load<u32>(stage, stageKinds);
  if (kinds == 0) {
    if (load<u32>(stage, stageKindsSeen)) memory.fill(out + rows, 0, n);
    return;
  }
  if (!load<u32>(stage, stageKindsSeen)) {
    memory.fill(out, 0, rows);
    store<u32>(stage, 1, stageKindsSeen);
  }
  for (let k: u32 = 0; k < n; k++) store<u8>(out + rows + k, load<u8>(kinds + rowAt(lists, next + k)));
}

// @ts-ignore: decorator
@inline
function rowAt(lists: usize, k: u32): usize {
  return lists ? <usize>load<u32>(lists + (<usize>k << 2)) : <usize>k;
}

// @ts-ignore: decorator
@inline
function isNull(validity: usize, row: usize): bool {
  return validity != 0 && ((load<u8>(validity + (row >> 3)) >> <u8>(row & 7)) & 1) == 0;
}

// ── channel dictionaries ─────────────────────────────────────────────────────────────────────────────────────────────

export function translateCodes(codes: usize, validity: usize, rows: usize, n: i32, views: usize, count: i32, remap: usize, block: usize, out: usize): i32 {
  for (let k: u32 = 0; k < <u32>n; k++) {
    const row = rowAt(rows, k);
    let translated: u32 = 0;
    if (!isNull(validity, row)) {
      const code = load<u32>(codes + (row << 2));
      if (code >= <u32>count) return <i32>k;
      const known = remap + (<usize>code << 2);
      translated = load<u32>(known);
      if (translated == unknownCode) {
        translated = findOrAdd(views + (<usize>code << 4), block);
        if (translated == unknownCode) return <i32>k;
        store<u32>(known, translated);
      }
    }
    store<u32>(out + (row << 2), translated);
  }
  return n;
}

/** The channel's code of a string, added if new; unknownCode when the dictionary is full. */
function findOrAdd(view: usize, block: usize): u32 {
  const length = load<u32>(view);
  if (length > <u32>dictionaryEntryBytesMax) return unknownCode;
  const heap = <usize>load<u32>(block, dictionaryHeap);
  const views = <usize>load<u32>(block, dictionaryViews);
  const index = <usize>load<u32>(block, dictionaryIndex);
  const mask = load<u32>(block, dictionaryIndexMask);
  let slot = <u32>hashString(view) & mask;
  for (;;) {
    const entry = load<u32>(index + (<usize>slot << 2));
    if (entry == 0) break;
    if (sameString(view, views + (<usize>(entry - 1) << 4), heap)) return entry - 1;
    slot = (slot + 1) & mask;
  }
  const count = load<u32>(block, dictionaryCount);
  if (count == load<u32>(block, dictionaryEntries)) return unknownCode;
  const added = views + (<usize>count << 4);
  v128.store(added, v128.load(view));
  if (length > 12) {
    const used = load<u32>(block, dictionaryHeapUsed);
    if (used + length > load<u32>(block, dictionaryHeapMax)) return unknownCode;
    copyLong(heap + used, load<u32>(view, 12), length);
    store<u32>(added, used, 12);
    store<u32>(block, used + length, dictionaryHeapUsed);
  }
  store<u32>(index + (<usize>slot << 2), count + 1);
  store<u32>(block, count + 1, dictionaryCount);
  return count;
}

/** Any good hash: it never leaves this thread. */
function hashString(view: usize): u64 {
  const length = load<u32>(view);
  let h = mix(load<u64>(view) ^ 0x9e3779b97f4a7c15);
  if (length <= 12) return mix(h ^ load<u64>(view, 8));
  const from = <usize>load<u32>(view, 12);
  for (let at: usize = 0; at + 8 < length; at += 8) h = mix(h ^ load<u64>(from + at));
  return mix(h ^ load<u64>(from + length - 8));
}

/** `known` holds a heap offset where `view` holds an address. */
function sameString(view: usize, known: usize, heap: usize): bool {
  if (load<u64>(view) != load<u64>(known)) return false;
  const length = load<u32>(view);
  if (length <= 12) return load<u64>(view, 8) == load<u64>(known, 8);
  const a = <usize>load<u32>(view, 12);
  const b = heap + <usize>load<u32>(known, 12);
  for (let at: usize = 0; at + 8 < length; at += 8) if (load<u64>(a + at) != load<u64>(b + at)) return false;
  return load<u64>(a + length - 8) == load<u64>(b + length - 8);
}

// ── what arrives ─────────────────────────────────────────────────────────────────────────────────────────────────────

export function rebaseViews(views: usize, rows: i32, heap: usize, heapBytes: u32): i32 {
  for (let k = 0; k < rows; k++) {
    const view = views + (<usize>k << 4);
    const length = load<u32>(view);
    if (length > 12) {
      const offset = load<u32>(view, 12);
      if (length > heapBytes || offset > heapBytes - length) return k;
      store<u32>(view, <u32>heap + offset, 12);
    }
  }
  return rows;
}

export function checkCodes(codes: usize, rows: i32, count: u32): i32 {
  const limit = max(count, 1);
  for (let k = 0; k < rows; k++) if (load<u32>(codes + (<usize>k << 2)) >= limit) return k;
  return rows;
}

export function checkKinds(kinds: usize, rows: i32): i32 {
  for (let k = 0; k < rows; k++) if (load<u8>(kinds + k) > 3) return k;
  return rows;
}

export function copyBytes(to: usize, from: usize, bytes: usize): void {
  memory.copy(to, from, bytes);
}
