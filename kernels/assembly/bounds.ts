// Rows that are done with: told by their time columns, before they are kept and in the leaves of an ordered table; keys
// that come again. Leaves are told as core/ports/rows-layout.ts says.
import { pageCountAt, pageSize } from '../../core/ports/page-layout';
import {
  entryBytes, nodeDeadAt, nodeHeapAt, slotChunkAt, slotKeyAt, slotLong, slotValueAt,
} from '../../core/ports/ordered-layout';
import { leafBitAt, leafBoundAt, leafBoundedAt, leafBytes, leafStorageAt, storedBit, storedI32, storedView } from '../../core/ports/rows-layout';
import { slotAt, valueOf } from './ordered';

/** Marks rows k from `from` to n whose time is NULL or not above `bound`. */
export function markUpTo(values: usize, validity: usize, rows: usize, from: i32, n: i32, bound: i64, marks: usize): void {
  for (let k = from; k < n; k++) {
    const row = <usize>(rows == 0 ? <u32>k : load<u32>(rows + (<usize>k << 2)));
    const isNull = validity != 0 && ((load<u8>(validity + (row >> 3)) >> <u8>(row & 7)) & 1) == 0;
    if (isNull || load<i64>(values + (row << 3)) <= bound) store<u8>(marks + <usize>k, 1);
  }
}

/** Entries `from` to n that are marked have no key any more; answers how many had one. */
export function entriesDrop(entries: usize, marks: usize, from: i32, n: i32): i32 {
  let dropped: i32 = 0;
  for (let k = from; k < n; k++) {
    const entry = entries + <usize>k * entryBytes;
    if (load<u8>(marks + <usize>k) == 0 || load<u32>(entry, 4) == 0) continue;
    store<u32>(entry, 0, 4);
    dropped++;
  }
  return dropped;
}

/** Of entries `from` to n whose bit (of `rows`) is 0, it is asked only whether there are matches. */
export function entriesOnly(entries: usize, bits: usize, rows: usize, from: i32, n: i32): void {
  for (let k = from; k < n; k++) {
    const row = <usize>(rows == 0 ? <u32>k : load<u32>(rows + (<usize>k << 2)));
    if (((load<u8>(bits + (row >> 3)) >> <u8>(row & 7)) & 1) == 0) store<u32>(entries + <usize>k * entryBytes, 1, 8);
  }
}

/** Marks entries `from` to n whose key an earlier one of them has. `table`: 4 << bits bytes, more than twice the entries. */
export function keysRepeat(entries: usize, from: i32, n: i32, table: usize, bits: i32, marks: usize): void {
  const mask = (<usize>1 << <usize>bits) - 1;
  memory.fill(table, 0, <usize>4 << <usize>bits);
  for (let k = from; k < n; k++) {
    const entry = entries + <usize>k * entryBytes;
    const keyBytes = load<u32>(entry, 4);
    if (keyBytes == 0) continue;
    const key = <usize>load<u32>(entry);
    // A key begins with its hash.
    let at = <usize>(load<u64>(key) >> 20) & mask;
    for (;;) {
      const other = load<u32>(table + (at << 2));
      if (other == 0) {
        store<u32>(table + (at << 2), <u32>k + 1);
        break;
      }
      const its = entries + <usize>(other - 1) * entryBytes;
      if (load<u32>(its, 4) == keyBytes && memory.compare(<usize>load<u32>(its), key, <usize>keyBytes) == 0) {
        store<u8>(marks + <usize>k, 1);
        break;
      }
      at = (at + 1) & mask;
    }
  }
}

/**
 * Marks the places of a leaf whose rows are dead: 1; 2, where the row lies in chunks; 0, others. Bounded leaves stand before
 * all others. Answers how many are marked.
 */
export function orderedDead(leaf: usize, leaves: usize, count: i32, nullBytes: i32, headBytes: i32, marks: usize): i32 {
  const slots = <usize>load<u32>(leaf, pageCountAt);
  let found: i32 = 0;
  for (let place: usize = 0; place < slots; place++) {
    const slot = slotAt(leaf, place);
    let mark: u8 = 0;
    if (load<u16>(slot, slotChunkAt) == 0) {
      const isLong = (load<u16>(slot, slotValueAt) & slotLong) != 0;
      const value = valueOf(leaf, slot) + (isLong ? 4 : 0);
      if (isDead(value, leaves, count, nullBytes, headBytes)) mark = isLong ? 2 : 1;
    }
    store<u8>(marks + place, mark);
    found += <i32>(mark != 0);
  }
  return found;
}

function isDead(row: usize, leaves: usize, count: i32, nullBytes: i32, headBytes: i32): bool {
  let from = row + <usize>(nullBytes + headBytes);
  let last = false;
  for (let i = 0; i < count; i++) {
    const leaf = leaves + <usize>i * leafBytes;
    const isBounded = load<u32>(leaf, leafBoundedAt) != 0;
    // The mark, if there is one, then the bounded ones.
    if (!isBounded && last) return false;
    last = last || isBounded;
    const bit = load<i32>(leaf, leafBitAt);
    const isNull = bit >= 0 && ((load<u8>(row + <usize>(bit >> 3)) >> <u8>(bit & 7)) & 1) != 0;
    if (isNull) {
      if (isBounded) return true;
      continue;
    }
    if (isBounded && load<i64>(from) <= load<i64>(leaf, leafBoundAt)) return true;
    const storage = load<u32>(leaf, leafStorageAt);
    if (storage == storedView) from += 4 + <usize>load<u32>(from);
    else from += storage == storedBit ? 1 : storage == storedI32 ? 4 : 8;
  }
  return false;
}

/** Takes the places that are marked 1 out of a leaf that may be written; answers how many they were. */
export function orderedDrop(leaf: usize, marks: usize): i32 {
  const slots = <usize>load<u32>(leaf, pageCountAt);
  let dead = <usize>load<u32>(leaf, nodeDeadAt);
  let kept: usize = 0;
  for (let place: usize = 0; place < slots; place++) {
    const slot = slotAt(leaf, place);
    if (load<u8>(marks + place) == 1) {
      const key = <usize>load<u16>(slot, slotKeyAt);
      dead += (key > 8 ? key - 8 : 0) + <usize>(load<u16>(slot, slotValueAt) & (slotLong - 1));
      continue;
    }
    if (kept != place) v128.store(slotAt(leaf, kept), v128.load(slot));
    kept++;
  }
  store<u32>(leaf, <u32>kept, pageCountAt);
  if (kept == 0) {
    store<u32>(leaf, pageSize, nodeHeapAt);
    dead = 0;
  }
  store<u32>(leaf, <u32>dead, nodeDeadAt);
  return <i32>(slots - kept);
}
