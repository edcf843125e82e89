// The rows of many keys in an ordered table: every entry whose key begins with one of the given ones, in their order, without
// a call for each. Answers addresses of values, where they lie; those in chunks are put together.
import { pageCountAt, pageFlags, pageIdAt } from '../../core/ports/page-layout';
import {
  slotChunkAt, slotKeyAt, slotLong, slotOffsetAt, slotValueAt, cursorKeyAt, cursorKeyBytesAt, entryBytes, treeAhead, treeAheadAt, treePageTableAt,
  treeFoundAt, treeValueAt, treeValueBytesAt,
} from '../../core/ports/ordered-layout';
import {
  probeEntryAt, probeLeafAt, probePlaceAt, probeCountAt, probeMostAt, probeEntriesAt, probeValuesAt, probeMatchedAt, probeOnceAt, probeRoomAt,
  probeRoomBytesAt, probeUsedAt, probeNeedAt, probeOnlyAt, probeMarkAt, probeCursorAt, entryOnlyAt,
} from '../../core/ports/rows-layout';
import { copyKey, headOf, locate, lowerBoundNear, nextLeaf, orderedFind, slotAt, valueOf } from './ordered';

/**
 * Goes on with the entries ({u32 key address, u32 key bytes; 0: none}, at least eight of them) up to n, and answers 1 when it is done with them; 0: as
 * many matches as it may find, or a long value that needs more room than there is (`probeNeedAt` is not 0). The table must
 * not be written between calls for one array of entries.
 */
export function orderedProbe(tree: usize, entries: usize, n: i32, probe: usize): i32 {
  const pages = <usize>load<u32>(tree, treePageTableAt);
  const most = load<u32>(probe, probeMostAt);
  const matched = <usize>load<u32>(probe, probeMatchedAt);
  const once = load<u32>(probe, probeOnceAt) != 0;
  const toEntries = <usize>load<u32>(probe, probeEntriesAt);
  const toValues = <usize>load<u32>(probe, probeValuesAt);
  const only = load<u32>(probe, probeOnlyAt) != 0;
  const mark = <usize>load<u32>(probe, probeMarkAt);
  let count: u32 = 0;
  store<u32>(probe, 0, probeNeedAt);
  let k = <usize>load<u32>(probe, probeEntryAt);
  let leaf: usize = 0;
  let place: usize = 0;
  const resumed = load<u32>(probe, probeLeafAt);
  if (resumed != 0) {
    leaf = pageOf(pages, resumed);
    place = <usize>load<u32>(probe, probePlaceAt);
  }
  while (k < <usize>n) {
    const first = k;
    const stop = min(k + treeAhead, <usize>n);
    if (!locate(tree, entries, k, stop)) break;
    for (; k < stop; k++) {
      const entry = entries + k * entryBytes;
      const keyBytes = load<u32>(entry, 4);
      if (keyBytes == 0) continue;
      const key = <usize>load<u32>(entry);
      const head = headOf(key, keyBytes);
      if (leaf == 0) {
        const ahead = tree + treeAheadAt + ((k - first) << 3);
        leaf = <usize>load<u32>(ahead);
        place = lowerBoundNear(leaf, <usize>load<u32>(ahead, 4), head, key, keyBytes, 0);
      }
      for (;;) {
        if (place == <usize>load<u32>(leaf, pageCountAt)) {
          leaf = leafBehind(tree, leaf, probe + probeCursorAt);
          if (leaf == 0) break;
          place = 0;
        }
        const slot = slotAt(leaf, place);
        if (!begins(leaf, slot, head, key, keyBytes)) break;
        if (load<u16>(slot, slotChunkAt) != 0) {
          place++;
          continue;
        }
        if (only || load<u32>(entry, entryOnlyAt) != 0) {
          store<u8>(matched + k, 1);
          break;
        }
        let value = valueOf(leaf, slot);
        // A mark stands in the first chunk, behind its length.
        if (mark != 0 && load<u8>(value + mark - 1 + (load<u16>(slot, slotValueAt) & slotLong ? 4 : 0)) == 0) {
          store<u8>(matched + k, 1);
          if (once) break;
          place++;
          continue;
        }
        if (count == most) return pause(probe, k, leaf, place, count);
        if (load<u16>(slot, slotValueAt) & slotLong) {
          value = whole(tree, leaf, place, probe);
          if (value == 0) return pause(probe, k, leaf, place, count);
        }
        store<u32>(toEntries + (<usize>count << 2), <u32>k);
        store<u32>(toValues + (<usize>count << 2), <u32>value);
        store<u8>(matched + k, 1);
        count++;
        if (once) break;
        place++;
      }
      leaf = 0;
    }
  }
  pause(probe, <usize>n, 0, 0, count);
  return 1;
}

function pause(probe: usize, k: usize, leaf: usize, place: usize, count: u32): i32 {
  store<u32>(probe, <u32>k, probeEntryAt);
  store<u32>(probe, leaf == 0 ? 0 : load<u32>(leaf, pageIdAt), probeLeafAt);
  store<u32>(probe, <u32>place, probePlaceAt);
  store<u32>(probe, count, probeCountAt);
  return 0;
}

// @ts-ignore: decorator
@inline
function pageOf(pages: usize, id: u32): usize {
  return <usize>load<u32>(pages + (<usize>id << 2)) & ~<usize>pageFlags;
}

/** Whether the slot's key begins with this one, of eight bytes or more. */
// @ts-ignore: decorator
@inline
function begins(leaf: usize, slot: usize, head: u64, key: usize, keyBytes: u32): bool {
  if (load<u64>(slot) != head || <u32>load<u16>(slot, slotKeyAt) < keyBytes) return false;
  let mine = leaf + <usize>load<u16>(slot, slotOffsetAt);
  let other = key + 8;
  const end = key + <usize>keyBytes;
  for (; other + 8 <= end; mine += 8, other += 8) {
    if (load<u64>(mine) != load<u64>(other)) return false;
  }
  for (; other < end; mine++, other++) {
    if (load<u8>(mine) != load<u8>(other)) return false;
  }
  return true;
}

/** The leaf behind one; its last key is written into the cursor, by which the way is found again. */
function leafBehind(tree: usize, leaf: usize, cursor: usize): usize {
  const last = slotAt(leaf, <usize>load<u32>(leaf, pageCountAt) - 1);
  copyKey(leaf, last, cursor + cursorKeyAt);
  store<u32>(cursor, <u32>load<u16>(last, slotKeyAt), cursorKeyBytesAt);
  return nextLeaf(tree, leaf, cursor);
}

/** A value put together from its chunks; 0: it needs more room. */
function whole(tree: usize, leaf: usize, place: usize, probe: usize): usize {
  const slot = slotAt(leaf, place);
  const at = valueOf(leaf, slot);
  const total = load<u32>(at);
  const used = load<u32>(probe, probeUsedAt);
  if (used + total > load<u32>(probe, probeRoomBytesAt)) {
    store<u32>(probe, total, probeNeedAt);
    return 0;
  }
  const value = <usize>load<u32>(probe, probeRoomAt) + <usize>used;
  let bytes = <usize>(load<u16>(slot, slotValueAt) & (slotLong - 1)) - 4;
  memory.copy(value, at + 4, bytes);
  const key = probe + probeCursorAt + cursorKeyAt;
  const keyBytes = <u32>load<u16>(slot, slotKeyAt);
  copyKey(leaf, slot, key);
  for (let chunk: u32 = 1; bytes < <usize>total; chunk++) {
    orderedFind(tree, key, keyBytes, chunk);
    if (load<u32>(tree, treeFoundAt) == 0) break;
    const chunkBytes = <usize>load<u32>(tree, treeValueBytesAt);
    memory.copy(value + bytes, <usize>load<u32>(tree, treeValueAt), chunkBytes);
    bytes += chunkBytes;
  }
  store<u32>(probe, used + ((total + 7) & ~7), probeUsedAt);
  return value;
}
