// Pages of ordered tables: search, insert, delete, copy out, split and merge. The layout is drawn in
// core/ports/ordered-layout.ts. A kernel that cannot go on (leaf full or frozen) stops at that entry, says why in the
// table's block, and is called again; whoever owns the tree makes room meanwhile.
import { pageSize, pageIdAt, pageCountAt, pageDirty, pageFrozen, pageAbsent, pageFlags } from '../../core/ports/page-layout';
import {
  nodeLevelAt, nodeHeapAt, nodeDeadAt, nodeSlotsAt, slotBytes, slotOffsetAt, slotKeyAt, slotValueAt, slotChunkAt, slotLong, blockEntryBytes,
  treePageTableAt, treeRootAt, treeHeightAt, treeScratchAt, treeReasonAt, treeStopAt, treeSizeAt, treeKeyMaxAt, treeIndexAt, treeFoundAt,
  treeValueAt, treeValueBytesAt, treeLastAt, treeTakenAt, treePathAt, treeBoundAt, treeSinkAt, treeAheadAt, treeLocatedAt, treeLocatedToAt, treeAhead, cursorLeafAt, cursorIndexAt, cursorKeyBytesAt, cursorEndBytesAt,
  cursorValueAt, cursorValueBytesAt, cursorKeyAt, cursorEndAt, entryBytes,
  orderedDone, orderedFull, orderedFrozen, orderedSmall, orderedLong, orderedTooLarge, orderedRoom, orderedDamaged,
} from '../../core/ports/ordered-layout';

const pageMask: usize = ~<usize>pageFlags;
/** As in core/base/limits.ts: orderedKeyBytesMax, orderedInlineBytesMax. */
const keyBytesMax: u32 = 2048;
const inlineBytesMax: u32 = 1920;
/** Behind every chunk of a key. */
const afterChunks: u32 = 65536;
/** Leaves with fewer live bytes want to be merged. */
const smallBytes: usize = pageSize / 4;

// ── search ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The leaf where (key, chunk) is or would be; 0 when the tree is empty. */
export function orderedFind(tree: usize, key: usize, keyBytes: u32, chunk: u32): usize {
  const leaf = descend(tree, headOf(key, keyBytes), key, keyBytes, chunk);
  if (leaf == 0) {
    store<u32>(tree, 0, treeFoundAt);
    return 0;
  }
  const place = lowerBound(leaf, 0, headOf(key, keyBytes), key, keyBytes, chunk);
  const found = isAt(leaf, place, headOf(key, keyBytes), key, keyBytes, chunk);
  store<u32>(tree, <u32>place, treeIndexAt);
  store<u32>(tree, <u32>found, treeFoundAt);
  if (found) {
    const slot = slotAt(leaf, place);
    store<u32>(tree, <u32>valueOf(leaf, slot), treeValueAt);
    store<u32>(tree, <u32>load<u16>(slot, slotValueAt), treeValueBytesAt);
  }
  return leaf;
}

/** The first place of a leaf whose key is not below `key`. */
export function orderedPlace(leaf: usize, key: usize, keyBytes: u32): i32 {
  return <i32>lowerBound(leaf, 0, headOf(key, keyBytes), key, keyBytes, 0);
}

/** The leaf of a key; the way stands in the block. Learns the last leaf on the way. */
function descend(tree: usize, head: u64, key: usize, keyBytes: u32, chunk: u32): usize {
  const pages = <usize>load<u32>(tree, treePageTableAt);
  const height = load<u32>(tree, treeHeightAt);
  if (height == 0) return 0;
  let id = load<u32>(tree, treeRootAt);
  let path = tree + treePathAt;
  let last = true;
  let bound = ~(<u64>0);
  for (let level: u32 = 1; level < height; level++, path += 8) {
    const node = <usize>load<u32>(pages + (<usize>id << 2)) & pageMask;
    let place = lowerBound(node, 1, head, key, keyBytes, chunk);
    const count = <usize>load<u32>(node, pageCountAt);
    if (place == count || !isAt(node, place, head, key, keyBytes, chunk)) place--;
    store<u32>(path, id);
    store<u32>(path, <u32>place, 4);
    if (place + 1 != count) {
      last = false;
      bound = load<u64>(slotAt(node, place + 1));
    }
    id = load<u32>(valueOf(node, slotAt(node, place)));
  }
  store<u32>(path, id);
  store<u64>(tree, bound, treeBoundAt);
  if (last) store<u32>(tree, id, treeLastAt);
  return <usize>load<u32>(pages + (<usize>id << 2)) & pageMask;
}

/**
 * Finds the leaves of entries `from` to `to` (at most `treeAhead`), and touches what they will be searched and written
 * through. A leaf is far away, but these loads do not wait for one another. False: the tree is empty.
 */
export function locate(tree: usize, entries: usize, from: usize, to: usize): bool {
  const leaves = tree + treeAheadAt;
  let leaf: usize = 0;
  let least: u64 = 0;
  let bound: u64 = 0;
  let sum: u64 = 0;
  for (let k = from; k < to; k++) {
    const entry = entries + k * entryBytes;
    const key = <usize>load<u32>(entry);
    const keyBytes = load<u32>(entry, 4);
    const head = headOf(key, keyBytes);
    // Of keys in order most are in the leaf of the one before.
    if (leaf == 0 || head <= least || head >= bound) {
      leaf = descend(tree, head, key, keyBytes, 0);
      if (leaf == 0) return false;
      least = head;
      bound = load<u64>(tree, treeBoundAt);
      sum += load<u64>(leaf, nodeSlotsAt);
    }
    store<u32>(leaves + ((k - from) << 3), <u32>leaf);
  }
  leaf = 0;
  for (let k = from; k < to; k++) {
    const next = <usize>load<u32>(leaves + ((k - from) << 3));
    if (next != leaf) sum += load<u64>(slotAt(next, <usize>load<u32>(next, pageCountAt) - 1));
    leaf = next;
  }
  leaf = 0;
  for (let k = from; k < to; k++) {
    const next = <usize>load<u32>(leaves + ((k - from) << 3));
    if (next == leaf) continue;
    leaf = next;
    const entry = entries + k * entryBytes;
    const n = <usize>load<u32>(leaf, pageCountAt);
    const at = slotAt(leaf, guessOf(slotAt(leaf, 0), n, headOf(<usize>load<u32>(entry), load<u32>(entry, 4))));
    sum += load<u64>(at - 64) + load<u64>(min(at + 64, leaf + pageSize - 8));
  }
  for (let k = from; k < to; k++) {
    const entry = entries + k * entryBytes;
    const head = headOf(<usize>load<u32>(entry), load<u32>(entry, 4));
    leaf = <usize>load<u32>(leaves + ((k - from) << 3));
    const place = headBound(leaf, 0, head);
    store<u32>(leaves + ((k - from) << 3), <u32>place, 4);
    // There may be no such slot: what stands there leads into the page all the same.
    sum += <u64>load<u8>(leaf + <usize>(load<u16>(slotAt(leaf, place), slotOffsetAt) & <u16>pageFlags));
  }
  store<u64>(tree, sum, treeSinkAt);
  return true;
}

/**
 * The first place from `from` on whose head is not below. Heads are often evenly spread (hashes, times): the search then
 * has few slots around where the head would be, and no branch to guess wrong.
 */
function headBound(node: usize, from: usize, head: u64): usize {
  const base = slotAt(node, from);
  const n = <usize>load<u32>(node, pageCountAt) - from;
  if (n > 32) {
    const first = load<u64>(base);
    const last = load<u64>(base + (n - 1) * slotBytes);
    if (head > last) return from + n;
    if (head <= first) return from;
    const guess = guessOf(base, n, head);
    const low = min(guess > 16 ? guess - 16 : 0, n - 32);
    const found = low + among(base + low * slotBytes, 32, head);
    // Between two of them it is right; at either end a look beyond tells.
    const isRight =
      found == low
        ? low == 0 || load<u64>(base + (low - 1) * slotBytes) < head
        : found != low + 32 || found == n || load<u64>(base + found * slotBytes) >= head;
    if (isRight) return from + found;
  }
  return from + among(base, n, head);
}

/** Where a head would be among `n` slots, were theirs evenly spread. */
// @ts-ignore: decorator
@inline
function guessOf(base: usize, n: usize, head: u64): usize {
  const first = load<u64>(base);
  const last = load<u64>(base + (n - 1) * slotBytes);
  if (n == 0 || head <= first) return 0;
  if (head >= last) return n;
  return <usize>(<f64>(<i64>((head - first) >> 1)) / <f64>(<i64>(((last - first) >> 1) | 1)) * <f64>(<i32>n));
}

/** How many of `n` slots have a head below; no branch depends on them. */
// @ts-ignore: decorator
@inline
function among(base: usize, n: usize, head: u64): usize {
  if (n == 0) return 0;
  let at = base;
  while (n > 1) {
    const half = n >> 1;
    at += <usize>(load<u64>(at + (half - 1) * slotBytes) < head) * half * slotBytes;
    n -= half;
  }
  at += <usize>(load<u64>(at) < head) * slotBytes;
  return (at - base) / slotBytes;
}

/** A key's first eight bytes as a number that compares as they do. */
// @ts-ignore: decorator
@inline
export function headOf(key: usize, keyBytes: u32): u64 {
  const head = bswap<u64>(load<u64>(key));
  if (keyBytes >= 8) return head;
  return keyBytes == 0 ? 0 : head & (~(<u64>0) << (64 - 8 * <u64>keyBytes));
}
// @ts-ignore: decorator
@inline
export function slotAt(node: usize, place: usize): usize {
  return node + nodeSlotsAt + place * slotBytes;
}
// @ts-ignore: decorator
@inline
function restOf(keyBytes: u32): usize {
  return keyBytes > 8 ? <usize>(keyBytes - 8) : 0;
}
/** Address of a slot's value. */
// @ts-ignore: decorator
@inline
export function valueOf(node: usize, slot: usize): usize {
  return node + <usize>load<u16>(slot, slotOffsetAt) + restOf(<u32>load<u16>(slot, slotKeyAt));
}
// @ts-ignore: decorator
@inline
function cellBytes(slot: usize): usize {
  return restOf(<u32>load<u16>(slot, slotKeyAt)) + <usize>(load<u16>(slot, slotValueAt) & (slotLong - 1));
}

/** Whether the slot's (key, chunk) is below. */
// @ts-ignore: decorator
@inline
function below(node: usize, slot: usize, head: u64, key: usize, keyBytes: u32, chunk: u32): bool {
  const mine = load<u64>(slot);
  return mine != head ? mine < head : compareRest(node, slot, key, keyBytes, chunk) < 0;
}

/** Slot against (key, chunk), whose heads are equal. */
function compareRest(node: usize, slot: usize, key: usize, keyBytes: u32, chunk: u32): i32 {
  const mineBytes = <u32>load<u16>(slot, slotKeyAt);
  const common = restOf(min(mineBytes, keyBytes));
  let a = node + <usize>load<u16>(slot, slotOffsetAt);
  let b = key + 8;
  const end = a + (common & ~7);
  for (; a < end; a += 8, b += 8) {
    const x = bswap<u64>(load<u64>(a));
    const y = bswap<u64>(load<u64>(b));
    if (x != y) return x < y ? -1 : 1;
  }
  const tail = <u64>(common & 7);
  if (tail != 0) {
    // The last bytes with those before them, which are masked off; there are eight before either.
    const mask = ~(<u64>0) >> (64 - 8 * tail);
    const x = bswap<u64>(load<u64>(a + <usize>tail - 8)) & mask;
    const y = bswap<u64>(load<u64>(b + <usize>tail - 8)) & mask;
    if (x != y) return x < y ? -1 : 1;
  }
  if (mineBytes != keyBytes) return mineBytes < keyBytes ? -1 : 1;
  const mineChunk = <u32>load<u16>(slot, slotChunkAt);
  return mineChunk == chunk ? 0 : mineChunk < chunk ? -1 : 1;
}

// @ts-ignore: decorator
@inline
function isAt(node: usize, place: usize, head: u64, key: usize, keyBytes: u32, chunk: u32): bool {
  if (place >= <usize>load<u32>(node, pageCountAt)) return false;
  const slot = slotAt(node, place);
  return load<u64>(slot) == head && compareRest(node, slot, key, keyBytes, chunk) == 0;
}

/** The first place from `from` on whose slot is not below (key, chunk). */
// @ts-ignore: decorator
@inline
function lowerBound(node: usize, from: usize, head: u64, key: usize, keyBytes: u32, chunk: u32): usize {
  const place = headBound(node, from, head);
  if (place == <usize>load<u32>(node, pageCountAt) || load<u64>(slotAt(node, place)) != head) return place;
  return restBound(node, place, head, key, keyBytes, chunk);
}

/** As `lowerBound`, where `hint` was the answer a few writes ago. */
// @ts-ignore: decorator
@inline
export function lowerBoundNear(node: usize, hint: usize, head: u64, key: usize, keyBytes: u32, chunk: u32): usize {
  const count = <usize>load<u32>(node, pageCountAt);
  const right =
    hint <= count && (hint == count || load<u64>(slotAt(node, hint)) >= head) && (hint == 0 || load<u64>(slotAt(node, hint - 1)) < head);
  const place = right ? hint : headBound(node, 0, head);
  if (place == count || load<u64>(slotAt(node, place)) != head) return place;
  return restBound(node, place, head, key, keyBytes, chunk);
}

/**
 * Among slots with the key's head, from `low` on: the first of them is mostly it (keys that begin with this one are looked for),
 * or the place behind the last (what arrived later is put). So those are tried first; heads alone tell where they end.
 */
function restBound(node: usize, low: usize, head: u64, key: usize, keyBytes: u32, chunk: u32): usize {
  if (!below(node, slotAt(node, low), head, key, keyBytes, chunk)) return low;
  const count = <usize>load<u32>(node, pageCountAt);
  if (++low == count || load<u64>(slotAt(node, low)) != head) return low;
  let high = headEnd(node, low, count, head);
  if (below(node, slotAt(node, high - 1), head, key, keyBytes, chunk)) return high;
  high--;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (below(node, slotAt(node, middle), head, key, keyBytes, chunk)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first place behind `from`, which has it, without that head: in growing steps. */
function headEnd(node: usize, from: usize, count: usize, head: u64): usize {
  let low = from + 1;
  let high = count;
  for (let step: usize = 1; low < high; step <<= 1) {
    const at = min(low + step, high) - 1;
    if (load<u64>(slotAt(node, at)) != head) {
      high = at;
      break;
    }
    low = at + 1;
  }
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<u64>(slotAt(node, middle)) == head) low = middle + 1;
    else high = middle;
  }
  return low;
}

// ── put ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Inserts or replaces entries `from` to n. Answers the entry it stopped at: called again from there, it knows the leaves of those
 * behind it still, but for the one that it stopped at.
 */
export function orderedPut(tree: usize, entries: usize, from: i32, n: i32): i32 {
  let first = <usize>load<u32>(tree, treeLocatedAt);
  let stop = <usize>load<u32>(tree, treeLocatedToAt);
  store<u32>(tree, 0, treeLocatedToAt);
  for (let k = <usize>from; k < <usize>n; ) {
    let located = stop > k;
    if (!located) {
      first = k;
      stop = min(k + treeAhead, <usize>n);
      located = locate(tree, entries, k, stop);
    }
    for (; k < stop; k++) {
      const entry = entries + k * entryBytes;
      const keyBytes = load<u32>(entry, 4);
      const valueBytes = load<u32>(entry, 12);
      if (keyBytes - 1 >= keyBytesMax || valueBytes > inlineBytesMax) {
        store<u32>(tree, orderedTooLarge, treeReasonAt);
        return <i32>k;
      }
      const ahead = tree + treeAheadAt + ((k - first) << 3);
      const leaf = located ? <usize>load<u32>(ahead) : 0;
      if (putAt(tree, leaf, <usize>load<u32>(ahead, 4), <usize>load<u32>(entry), keyBytes, 0, <usize>load<u32>(entry, 8), valueBytes) == 0) {
        if (located) keepLocated(tree, first, k, stop);
        return <i32>k;
      }
    }
    stop = 0;
  }
  store<u32>(tree, orderedDone, treeReasonAt);
  return n;
}

/**
 * Entries `k` to `stop`, of those located from `first` on, are still where they were when the put goes on, but for those of the leaf
 * that it stopped at, which is divided or copied. Where a long value must go first, any leaf may change.
 */
function keepLocated(tree: usize, first: usize, k: usize, stop: usize): void {
  if (load<u32>(tree, treeReasonAt) == orderedLong) return;
  const id = <usize>load<u32>(tree, treeStopAt);
  const leaf = load<u32>(<usize>load<u32>(tree, treePageTableAt) + (id << 2)) & <u32>pageMask;
  for (; k < stop; k++) {
    const ahead = tree + treeAheadAt + ((k - first) << 3);
    if (load<u32>(ahead) == leaf) store<u32>(ahead, 0);
  }
  store<u32>(tree, <u32>first, treeLocatedAt);
  store<u32>(tree, <u32>stop, treeLocatedToAt);
}

export function orderedPutOne(tree: usize, key: usize, keyBytes: u32, chunk: u32, value: usize, valueBytes: u32): i32 {
  if (putAt(tree, 0, 0, key, keyBytes, chunk, value, valueBytes) == 0) return 0;
  store<u32>(tree, orderedDone, treeReasonAt);
  return 1;
}

/** Puts one entry into its leaf, at about `hint`; 0: the leaf is not known. Answers the leaf, or 0 with the reason. */
function putAt(tree: usize, leaf: usize, hint: usize, key: usize, keyBytes: u32, chunk: u32, value: usize, valueBytes: u32): usize {
  const head = headOf(key, keyBytes);
  const pages = <usize>load<u32>(tree, treePageTableAt);
  let place: usize = 0;
  let found = false;
  let behind = false;
  const last = load<u32>(tree, treeLastAt);
  if (leaf == 0 && last != 0) {
    // Behind everything: keys that come in order need no search.
    const node = <usize>load<u32>(pages + (<usize>last << 2)) & pageMask;
    const count = <usize>load<u32>(node, pageCountAt);
    if (count != 0 && below(node, slotAt(node, count - 1), head, key, keyBytes, chunk)) {
      leaf = node;
      place = count;
      behind = true;
    }
  }
  if (!behind) {
    if (leaf == 0) {
      leaf = descend(tree, head, key, keyBytes, chunk);
      if (leaf == 0) {
        store<u32>(tree, orderedFull, treeReasonAt);
        return 0;
      }
      place = lowerBound(leaf, 0, head, key, keyBytes, chunk);
    } else place = lowerBoundNear(leaf, hint, head, key, keyBytes, chunk);
    found = isAt(leaf, place, head, key, keyBytes, chunk);
  }
  if (!isWritable(tree, leaf)) return 0;
  const slot = slotAt(leaf, place);
  const rest = restOf(keyBytes);
  const bytes = <usize>(valueBytes & (slotLong - 1));
  const heap = <usize>load<u32>(leaf, nodeHeapAt);
  const count = <usize>load<u32>(leaf, pageCountAt);
  const dead = <usize>load<u32>(leaf, nodeDeadAt);
  if (found) {
    const had = <u32>load<u16>(slot, slotValueAt);
    if ((had & slotLong) != (valueBytes & slotLong)) {
      // Its chunks, or chunks to come, are not this kernel's.
      if (had & slotLong) {
        store<u32>(tree, orderedLong, treeReasonAt);
        return 0;
      }
    }
    const hadBytes = <usize>(had & (slotLong - 1));
    if (bytes <= hadBytes) {
      copyBytes(valueOf(leaf, slot), value, bytes);
      store<u32>(leaf, <u32>(dead + hadBytes - bytes), nodeDeadAt);
      store<u16>(slot, <u16>valueBytes, slotValueAt);
      return leaf;
    }
    const need = rest + bytes;
    const free = heap - nodeSlotsAt - count * slotBytes;
    if (need > free) {
      if (need > free + dead + rest + hadBytes) return fullAt(tree, leaf);
      // The old cell goes with the dead ones; the key's bytes come from the caller.
      store<u16>(slot, 0, slotKeyAt);
      store<u16>(slot, 0, slotValueAt);
      compact(tree, leaf);
      store<u16>(slot, <u16>keyBytes, slotKeyAt);
    } else store<u32>(leaf, <u32>(dead + rest + hadBytes), nodeDeadAt);
    writeCell(leaf, slot, key, rest, value, valueBytes);
    return leaf;
  }
  const need = <usize>slotBytes + rest + bytes;
  const free = heap - nodeSlotsAt - count * slotBytes;
  if (need > free) {
    if (need > free + dead) return fullAt(tree, leaf);
    compact(tree, leaf);
  }
  insertSlot(leaf, place, count, head, keyBytes, chunk);
  writeCell(leaf, slot, key, rest, value, valueBytes);
  if (chunk == 0) store<u32>(tree, load<u32>(tree, treeSizeAt) + 1, treeSizeAt);
  if (keyBytes > load<u32>(tree, treeKeyMaxAt)) store<u32>(tree, keyBytes, treeKeyMaxAt);
  return leaf;
}

// @ts-ignore: decorator
@inline
function isWritable(tree: usize, leaf: usize): bool {
  const id = load<u32>(leaf, pageIdAt);
  const flags = load<u32>(<usize>load<u32>(tree, treePageTableAt) + (<usize>id << 2)) & (pageDirty | pageFrozen | pageAbsent);
  if (flags == pageDirty) return true;
  store<u32>(tree, orderedFrozen, treeReasonAt);
  store<u32>(tree, id, treeStopAt);
  return false;
}

function fullAt(tree: usize, leaf: usize): usize {
  store<u32>(tree, orderedFull, treeReasonAt);
  store<u32>(tree, load<u32>(leaf, pageIdAt), treeStopAt);
  return 0;
}

// @ts-ignore: decorator
@inline
function insertSlot(node: usize, place: usize, count: usize, head: u64, keyBytes: u32, chunk: u32): void {
  const slot = slotAt(node, place);
  if (place < count) memory.copy(slot + slotBytes, slot, (count - place) * slotBytes);
  store<u64>(slot, head);
  store<u16>(slot, <u16>keyBytes, slotKeyAt);
  store<u16>(slot, <u16>chunk, slotChunkAt);
  store<u32>(node, <u32>(count + 1), pageCountAt);
}

/** A cell below the others; there is room. */
// @ts-ignore: decorator
@inline
function writeCell(node: usize, slot: usize, key: usize, rest: usize, value: usize, valueBytes: u32): void {
  const bytes = <usize>(valueBytes & (slotLong - 1));
  const heap = <usize>load<u32>(node, nodeHeapAt) - rest - bytes;
  copyBytes(node + heap, key + 8, rest);
  copyBytes(node + heap + rest, value, bytes);
  store<u32>(node, <u32>heap, nodeHeapAt);
  store<u16>(slot, <u16>heap, slotOffsetAt);
  store<u16>(slot, <u16>valueBytes, slotValueAt);
}

/** Few bytes, as they are mostly; `memory.copy` is a call. */
// @ts-ignore: decorator
@inline
function copyBytes(to: usize, from: usize, bytes: usize): void {
  if (bytes > 64) {
    memory.copy(to, from, bytes);
    return;
  }
  if (bytes >= 8) {
    const last = bytes - 8;
    for (let i: usize = 0; i < last; i += 8) store<u64>(to + i, load<u64>(from + i));
    store<u64>(to + last, load<u64>(from + last));
    return;
  }
  for (let i: usize = 0; i < bytes; i++) store<u8>(to + i, load<u8>(from + i));
}

/** Moves the cells together: dead bytes are free again. */
function compact(tree: usize, node: usize): void {
  const scratch = <usize>load<u32>(tree, treeScratchAt);
  const from = <usize>load<u32>(node, nodeHeapAt);
  memory.copy(scratch + from, node + from, pageSize - from);
  let heap: usize = pageSize;
  const end = slotAt(node, <usize>load<u32>(node, pageCountAt));
  for (let slot = slotAt(node, 0); slot < end; slot += slotBytes) {
    const bytes = cellBytes(slot);
    heap -= bytes;
    copyBytes(node + heap, scratch + <usize>load<u16>(slot, slotOffsetAt), bytes);
    store<u16>(slot, <u16>heap, slotOffsetAt);
  }
  store<u32>(node, <u32>heap, nodeHeapAt);
  store<u32>(node, 0, nodeDeadAt);
}

// ── get many ────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Writes value address (0: the key is not there) and value bytes of entries. Answers the entry it stopped at: its value is
 * long.
 */
export function orderedGet(tree: usize, entries: usize, n: i32): i32 {
  for (let k: usize = 0; k < <usize>n; ) {
    const first = k;
    const stop = min(k + treeAhead, <usize>n);
    const located = locate(tree, entries, k, stop);
    for (; k < stop; k++) {
      const entry = entries + k * entryBytes;
      const key = <usize>load<u32>(entry);
      const keyBytes = load<u32>(entry, 4);
      const head = headOf(key, keyBytes);
      store<u64>(entry, 0, 8);
      if (!located) continue;
      const ahead = tree + treeAheadAt + ((k - first) << 3);
      const leaf = <usize>load<u32>(ahead);
      const place = lowerBoundNear(leaf, <usize>load<u32>(ahead, 4), head, key, keyBytes, 0);
      if (!isAt(leaf, place, head, key, keyBytes, 0)) continue;
      const slot = slotAt(leaf, place);
      if (load<u16>(slot, slotValueAt) & slotLong) return <i32>k;
      store<u32>(entry, <u32>valueOf(leaf, slot), 8);
      store<u32>(entry, <u32>load<u16>(slot, slotValueAt), 12);
    }
  }
  return n;
}

// ── delete and take ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Deletes the keys of entries `from` to n. Answers the entry it stopped at. */
export function orderedDelete(tree: usize, entries: usize, from: i32, n: i32): i32 {
  for (let k = <usize>from; k < <usize>n; ) {
    const first = k;
    const stop = min(k + treeAhead, <usize>n);
    if (!locate(tree, entries, k, stop)) break;
    for (; k < stop; k++) {
      const entry = entries + k * entryBytes;
      const key = <usize>load<u32>(entry);
      const keyBytes = load<u32>(entry, 4);
      const head = headOf(key, keyBytes);
      const ahead = tree + treeAheadAt + ((k - first) << 3);
      const leaf = <usize>load<u32>(ahead);
      const place = lowerBoundNear(leaf, <usize>load<u32>(ahead, 4), head, key, keyBytes, 0);
      if (!isAt(leaf, place, head, key, keyBytes, 0)) continue;
      if (load<u16>(slotAt(leaf, place), slotValueAt) & slotLong) {
        store<u32>(tree, orderedLong, treeReasonAt);
        return <i32>k;
      }
      if (!isWritable(tree, leaf)) return <i32>k;
      const before = liveBytes(leaf);
      orderedRemoveAt(leaf, <i32>place, <i32>place + 1);
      store<u32>(tree, load<u32>(tree, treeSizeAt) - 1, treeSizeAt);
      const after = liveBytes(leaf);
      // Care is asked for a few times on the way down, not at every entry.
      if (after == 0 || (after < smallBytes && after >> 10 != before >> 10)) {
        store<u32>(tree, orderedSmall, treeReasonAt);
        return <i32>k + 1;
      }
    }
  }
  store<u32>(tree, orderedDone, treeReasonAt);
  return n;
}

/** Bytes that a node's slots and cells take. */
// @ts-ignore: decorator
@inline
function liveBytes(node: usize): usize {
  return <usize>load<u32>(node, pageCountAt) * slotBytes + pageSize - <usize>load<u32>(node, nodeHeapAt) - <usize>load<u32>(node, nodeDeadAt);
}

/** Takes slots [from, to) out of a node; answers how many of them were first chunks. */
export function orderedRemoveAt(node: usize, from: i32, to: i32): i32 {
  const count = <usize>load<u32>(node, pageCountAt);
  let dead = <usize>load<u32>(node, nodeDeadAt);
  let keys: i32 = 0;
  const end = slotAt(node, <usize>to);
  for (let slot = slotAt(node, <usize>from); slot < end; slot += slotBytes) {
    dead += cellBytes(slot);
    keys += <i32>(load<u16>(slot, slotChunkAt) == 0);
  }
  const left = count - <usize>(to - from);
  if (<usize>to < count) memory.copy(slotAt(node, <usize>from), end, (count - <usize>to) * slotBytes);
  store<u32>(node, <u32>left, pageCountAt);
  if (left == 0) {
    store<u32>(node, pageSize, nodeHeapAt);
    dead = 0;
  }
  store<u32>(node, <u32>dead, nodeDeadAt);
  return keys;
}

/** Copies the first entries of a leaf below a bound (`boundBytes` 0: none). Answers how many. */
export function orderedTake(tree: usize, leaf: usize, bound: usize, boundBytes: u32, max: i32, entries: usize, bytes: usize, room: usize): i32 {
  const count = <usize>load<u32>(leaf, pageCountAt);
  let n = min(count, <usize>max);
  if (boundBytes != 0) n = min(n, lowerBound(leaf, 0, headOf(bound, boundBytes), bound, boundBytes, 0));
  let to = bytes;
  const end = bytes + room;
  let entry = entries;
  store<u32>(tree, orderedDone, treeReasonAt);
  for (let i: usize = 0; i < n; i++, entry += entryBytes) {
    const slot = slotAt(leaf, i);
    const value = load<u16>(slot, slotValueAt);
    const keyBytes = <usize>load<u16>(slot, slotKeyAt);
    const take = keyBytes + <usize>value;
    if ((value & slotLong) != 0 || to + take > end) {
      store<u32>(tree, (value & slotLong) != 0 ? orderedLong : orderedRoom, treeReasonAt);
      n = i;
      break;
    }
    store<u32>(entry, <u32>to);
    store<u32>(entry, <u32>keyBytes, 4);
    store<u32>(entry, <u32>(to + keyBytes), 8);
    store<u32>(entry, <u32>value, 12);
    copyKey(leaf, slot, to);
    copyBytes(to + keyBytes, valueOf(leaf, slot), <usize>value);
    to += take;
  }
  store<u32>(tree, <u32>(to - bytes), treeTakenAt);
  return <i32>n;
}

// @ts-ignore: decorator
@inline
export function copyKey(node: usize, slot: usize, to: usize): void {
  const keyBytes = <usize>load<u16>(slot, slotKeyAt);
  const head = bswap<u64>(load<u64>(slot));
  if (keyBytes >= 8) {
    store<u64>(to, head);
    copyBytes(to + 8, node + <usize>load<u16>(slot, slotOffsetAt), keyBytes - 8);
  } else {
    for (let i: usize = 0; i < keyBytes; i++) store<u8>(to + i, <u8>(head >> (8 * <u64>i)));
  }
}

// ── nodes ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export function orderedClear(node: usize, id: u32, level: u32): void {
  memory.fill(node, 0, nodeSlotsAt);
  store<u32>(node, id, pageIdAt);
  store<u32>(node, level, nodeLevelAt);
  store<u32>(node, pageSize, nodeHeapAt);
}

export function orderedInsertAt(tree: usize, node: usize, place: i32, key: usize, keyBytes: u32, chunk: u32, value: usize, valueBytes: u32): void {
  const count = <usize>load<u32>(node, pageCountAt);
  const rest = restOf(keyBytes);
  const free = <usize>load<u32>(node, nodeHeapAt) - nodeSlotsAt - count * slotBytes;
  if (<usize>slotBytes + rest + <usize>(valueBytes & (slotLong - 1)) > free) compact(tree, node);
  insertSlot(node, <usize>place, count, headOf(key, keyBytes), keyBytes, chunk);
  writeCell(node, slotAt(node, <usize>place), key, rest, value, valueBytes);
}

/** Where a node is best divided: with about half of its bytes before, something on either side. */
export function orderedHalf(node: usize): i32 {
  const count = <usize>load<u32>(node, pageCountAt);
  const half = liveBytes(node) >> 1;
  let bytes: usize = 0;
  for (let i: usize = 0; i < count; i++) {
    const mine = <usize>slotBytes + cellBytes(slotAt(node, i));
    if (bytes + (mine >> 1) >= half) return <i32>max(<usize>1, min(i, count - 1));
    bytes += mine;
  }
  return <i32>count - 1;
}

export function orderedSplit(tree: usize, from: usize, to: usize, at: i32): void {
  append(from, to, <usize>at);
  const count = <i32>load<u32>(from, pageCountAt);
  if (at < count) {
    orderedRemoveAt(from, at, count);
    compact(tree, from);
  }
}

export function orderedMerge(tree: usize, left: usize, right: usize, key: usize, keyBytes: u32, chunk: u32): void {
  compact(tree, left);
  if (load<u32>(left, nodeLevelAt) == 0) {
    append(right, left, 0);
    return;
  }
  const count = <i32>load<u32>(left, pageCountAt);
  orderedInsertAt(tree, left, count, key, keyBytes, chunk, valueOf(right, slotAt(right, 0)), 4);
  append(right, left, 1);
}

/** Slots of `from` from place `at` on go behind those of `to`, which has room. */
function append(from: usize, to: usize, at: usize): void {
  let count = <usize>load<u32>(to, pageCountAt);
  let heap = <usize>load<u32>(to, nodeHeapAt);
  const end = slotAt(from, <usize>load<u32>(from, pageCountAt));
  for (let slot = slotAt(from, at); slot < end; slot += slotBytes, count++) {
    const bytes = cellBytes(slot);
    heap -= bytes;
    copyBytes(to + heap, from + <usize>load<u16>(slot, slotOffsetAt), bytes);
    const mine = slotAt(to, count);
    v128.store(mine, v128.load(slot));
    store<u16>(mine, <u16>heap, slotOffsetAt);
  }
  store<u32>(to, <u32>count, pageCountAt);
  store<u32>(to, <u32>heap, nodeHeapAt);
}

export function orderedKeyAt(node: usize, place: i32, to: usize): i32 {
  const slot = slotAt(node, <usize>place);
  copyKey(node, slot, to);
  return <i32>load<u16>(slot, slotKeyAt);
}

// ── snapshots ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** A leaf as a block; answers its bytes: an entry takes fewer than in the page. */
export function orderedExport(leaf: usize, to: usize): i32 {
  let at = to;
  const end = slotAt(leaf, <usize>load<u32>(leaf, pageCountAt));
  for (let slot = slotAt(leaf, 0); slot < end; slot += slotBytes) {
    const keyBytes = <usize>load<u16>(slot, slotKeyAt);
    const value = load<u16>(slot, slotValueAt);
    const bytes = <usize>(value & (slotLong - 1));
    store<u16>(at, <u16>keyBytes);
    store<u16>(at, value, 2);
    store<u16>(at, load<u16>(slot, slotChunkAt), 4);
    copyKey(leaf, slot, at + blockEntryBytes);
    copyBytes(at + blockEntryBytes + keyBytes, valueOf(leaf, slot), bytes);
    at += blockEntryBytes + keyBytes + bytes;
  }
  return <i32>(at - to);
}

/** Puts what a block holds of the key groups. Answers the byte it stopped at. */
export function orderedImport(tree: usize, block: usize, from: i32, end: i32, groupAt: i32, groupFrom: u32, groupTo: u32): i32 {
  let at = <usize>from;
  while (at < <usize>end) {
    const entry = block + at;
    const keyBytes = <u32>load<u16>(entry);
    const value = <u32>load<u16>(entry, 2);
    const bytes = value & (slotLong - 1);
    const next = at + blockEntryBytes + <usize>(keyBytes + bytes);
    if (next > <usize>end || keyBytes - 1 >= keyBytesMax || bytes > inlineBytesMax || (groupAt >= 0 && <i32>keyBytes < groupAt + 8)) {
      store<u32>(tree, orderedDamaged, treeReasonAt);
      return <i32>at;
    }
    const key = entry + blockEntryBytes;
    let wanted = true;
    if (groupAt >= 0) {
      const group = <u32>bswap<u16>(load<u16>(key + <usize>groupAt)) >> 6;
      wanted = group >= groupFrom && group < groupTo;
    }
    if (wanted) {
      if (putAt(tree, 0, 0, key, keyBytes, <u32>load<u16>(entry, 4), key + <usize>keyBytes, value) == 0) return <i32>at;
    }
    at = next;
  }
  store<u32>(tree, orderedDone, treeReasonAt);
  return end;
}

// ── cursors ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export function orderedSeek(tree: usize, cursor: usize, after: i32): i32 {
  const key = cursor + cursorKeyAt;
  const keyBytes = load<u32>(cursor, cursorKeyBytesAt);
  const leaf = orderedFind(tree, key, keyBytes, after ? afterChunks : 0);
  if (leaf == 0) return 0;
  return arrive(tree, cursor, leaf, <usize>load<u32>(tree, treeIndexAt));
}

export function orderedStep(tree: usize, cursor: usize): i32 {
  const pages = <usize>load<u32>(tree, treePageTableAt);
  const leaf = <usize>load<u32>(pages + (<usize>load<u32>(cursor, cursorLeafAt) << 2)) & pageMask;
  const place = <usize>load<u32>(cursor, cursorIndexAt) + 1;
  if (place < <usize>load<u32>(leaf, pageCountAt)) return arrive(tree, cursor, leaf, place);
  return orderedSeek(tree, cursor, 1);
}

/** The first key from a place on; beyond the leaf's end, the way of the last search leads to the next. */
function arrive(tree: usize, cursor: usize, leaf: usize, place: usize): i32 {
  for (;;) {
    const count = <usize>load<u32>(leaf, pageCountAt);
    while (place < count && load<u16>(slotAt(leaf, place), slotChunkAt) != 0) place++;
    if (place < count) break;
    leaf = nextLeaf(tree, leaf, cursor);
    if (leaf == 0) return 0;
    place = 0;
  }
  const slot = slotAt(leaf, place);
  const endBytes = load<u32>(cursor, cursorEndBytesAt);
  if (endBytes != 0) {
    const end = cursor + cursorEndAt;
    if (!below(leaf, slot, headOf(end, endBytes), end, endBytes, 0)) return 0;
  }
  copyKey(leaf, slot, cursor + cursorKeyAt);
  store<u32>(cursor, <u32>load<u16>(slot, slotKeyAt), cursorKeyBytesAt);
  store<u32>(cursor, load<u32>(leaf, pageIdAt), cursorLeafAt);
  store<u32>(cursor, <u32>place, cursorIndexAt);
  store<u32>(cursor, <u32>valueOf(leaf, slot), cursorValueAt);
  store<u32>(cursor, <u32>load<u16>(slot, slotValueAt), cursorValueBytesAt);
  return 1;
}

/** The leaf behind the one that the last search led to. */
export function nextLeaf(tree: usize, leaf: usize, cursor: usize): usize {
  const pages = <usize>load<u32>(tree, treePageTableAt);
  const height = <usize>load<u32>(tree, treeHeightAt);
  // A step does not search: the way may be another's.
  if (load<u32>(tree + treePathAt + ((height - 1) << 3)) != load<u32>(leaf, pageIdAt)) {
    const key = cursor + cursorKeyAt;
    const keyBytes = load<u32>(cursor, cursorKeyBytesAt);
    const there = descend(tree, headOf(key, keyBytes), key, keyBytes, afterChunks);
    // All between them are chunks of the cursor's key.
    if (there != leaf) return there;
  }
  for (let level = <isize>height - 2; level >= 0; level--) {
    const step = tree + treePathAt + (<usize>level << 3);
    let node = <usize>load<u32>(pages + (<usize>load<u32>(step) << 2)) & pageMask;
    let place = <usize>load<u32>(step, 4) + 1;
    if (place == <usize>load<u32>(node, pageCountAt)) continue;
    store<u32>(step, <u32>place, 4);
    for (let down = <usize>level + 1; down < height; down++) {
      const id = load<u32>(valueOf(node, slotAt(node, place)));
      store<u32>(tree + treePathAt + (down << 3), id);
      store<u32>(tree + treePathAt + (down << 3), 0, 4);
      node = <usize>load<u32>(pages + (<usize>id << 2)) & pageMask;
      place = 0;
    }
    return node;
  }
  return 0;
}

/** Brings a cursor's key back to that of the `steps`th key before it, or the first that is not below `floor`. Answers the steps. */
export function orderedBack(tree: usize, cursor: usize, steps: i32, floor: usize, floorBytes: u32): i32 {
  const key = cursor + cursorKeyAt;
  const floorHead = headOf(floor, floorBytes);
  let leaf = orderedFind(tree, key, load<u32>(cursor, cursorKeyBytesAt), 0);
  if (leaf == 0) return 0;
  let place = <usize>load<u32>(tree, treeIndexAt);
  let done: i32 = 0;
  let found: usize = 0;
  let foundLeaf: usize = 0;
  while (done < steps) {
    if (place == 0) {
      leaf = leafBefore(tree);
      if (leaf == 0) break;
      place = <usize>load<u32>(leaf, pageCountAt);
      continue;
    }
    place--;
    const slot = slotAt(leaf, place);
    if (below(leaf, slot, floorHead, floor, floorBytes, 0)) break;
    if (load<u16>(slot, slotChunkAt) != 0) continue;
    found = slot;
    foundLeaf = leaf;
    done++;
  }
  if (found == 0) return 0;
  copyKey(foundLeaf, found, key);
  store<u32>(cursor, <u32>load<u16>(found, slotKeyAt), cursorKeyBytesAt);
  return done;
}

/** The leaf before the one that the last search led to; the way then leads to it. */
function leafBefore(tree: usize): usize {
  const pages = <usize>load<u32>(tree, treePageTableAt);
  const height = <usize>load<u32>(tree, treeHeightAt);
  for (let level = <isize>height - 2; level >= 0; level--) {
    const step = tree + treePathAt + (<usize>level << 3);
    let place = <usize>load<u32>(step, 4);
    if (place == 0) continue;
    let node = <usize>load<u32>(pages + (<usize>load<u32>(step) << 2)) & pageMask;
    place--;
    store<u32>(step, <u32>place, 4);
    for (let down = <usize>level + 1; down < height; down++) {
      const id = load<u32>(valueOf(node, slotAt(node, place)));
      store<u32>(tree + treePathAt + (down << 3), id);
      node = <usize>load<u32>(pages + (<usize>id << 2)) & pageMask;
      place = <usize>load<u32>(node, pageCountAt) - 1;
      store<u32>(tree + treePathAt + (down << 3), <u32>place, 4);
    }
    return node;
  }
  return 0;
}
