// Rows between columns and bytes, a batch at a time: keys as core/record/key-bytes.ts writes them, rows as
// core/record/row-columns.ts does, and back. Leaves are told as core/ports/rows-layout.ts says.
import {
  leafStorageAt, leafBitAt, leafValuesAt, leafValidityAt, leafViewsAt, leafBytes, storedBit, storedI32, storedView,
  encodedRowAt, encodedCountAt,
} from '../../core/ports/rows-layout';
import { entryBytes } from '../../core/ports/ordered-layout';

/** As in core/base/limits.ts: orderedKeyBytesMax. */
const keyBytesMax: usize = 2048;
const inlineText: u32 = 12;
const storedF64: u32 = 3;

/** What is added behind a key to tell its rows apart. */
const numberBytes: usize = 8;

// ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Writes the keys of rows `from` to n: hash and key columns, with room for a number behind each. An entry gets a key's address and
 * bytes; 0 bytes: part of it is NULL or NaN. Answers the row it stopped at, for want of room or at a key that is too long.
 */
export function keysEncode(leaves: usize, count: i32, hashes: usize, rows: usize, from: i32, n: i32, entries: usize, bytes: usize, room: usize): i32 {
  let to = bytes;
  const end = bytes + room;
  for (let k = from; k < n; k++) {
    const row = rows == 0 ? <u32>k : load<u32>(rows + (<usize>k << 2));
    const entry = entries + <usize>k * entryBytes;
    const key = to;
    if (to + 8 + numberBytes > end) return k;
    store<u64>(to, bswap<u64>(load<u64>(hashes + (<usize>k << 3))));
    to += 8;
    let isWhole = true;
    for (let i = 0; i < count; i++) {
      const leaf = leaves + <usize>i * leafBytes;
      if (!isValid(leaf, row)) {
        isWhole = false;
        break;
      }
      const storage = load<u32>(leaf, leafStorageAt);
      const values = <usize>load<u32>(leaf, leafValuesAt);
      if (storage == storedView) {
        const next = writeText(textView(leaf, values, row), to, min(end, key + keyBytesMax));
        if (next == 0) return k;
        to = next;
      } else {
        if (to + 8 + numberBytes > end) return k;
        if (storage == storedBit) {
          store<u8>(to, bitAt(values, row));
          to += 1;
        } else if (storage == storedI32) {
          store<u32>(to, bswap<u32>(load<u32>(values + (<usize>row << 2)) ^ 0x80000000));
          to += 4;
        } else {
          let word = load<u64>(values + (<usize>row << 3));
          if (storage == storedF64) {
            const number = reinterpret<f64>(word);
            if (number != number) {
              isWhole = false;
              break;
            }
            // −0 is 0.
            if (number == 0) word = 0;
            word = word >> 63 ? ~word : word ^ 0x8000000000000000;
          } else word ^= 0x8000000000000000;
          store<u64>(to, bswap<u64>(word));
          to += 8;
        }
      }
    }
    if (isWhole && to - key + numberBytes > keyBytesMax) return k;
    store<u32>(entry, <u32>key);
    store<u32>(entry, isWhole ? <u32>(to - key) : 0, 4);
    store<u64>(entry, 0, 8);
    if (isWhole) to += numberBytes;
    else to = key;
    if (to > end) return k;
  }
  return n;
}

/** A text with its zeros marked, and its end. 0: there is no room. */
function writeText(view: usize, to: usize, end: usize): usize {
  const length = load<u32>(view);
  const from = textBytes(view, length);
  for (let i: u32 = 0; i < length; i++) {
    if (to + 4 + numberBytes > end) return 0;
    const byte = load<u8>(from + <usize>i);
    store<u8>(to, byte);
    to += 1;
    if (byte == 0) {
      store<u8>(to, 0xff);
      to += 1;
    }
  }
  if (to + 2 + numberBytes > end) return 0;
  store<u16>(to, 0);
  return to + 2;
}

// ── rows to bytes ───────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Writes rows `from` to n that have a key (see `keysEncode`), but those marked in `skip` (a byte each; 0: none), whose head is
 * zeros, and numbers them from `number` + k. `puts` gets an entry of key, number and value for each; `result`, the row it stopped at, because
 * its bytes do not fit the room or `most`, and how many entries there are.
 */
export function rowsEncode(
  leaves: usize, count: i32, nullBytes: i32, headBytes: i32, rows: usize, from: i32, n: i32, entries: usize, skip: usize, number: u64,
  puts: usize, bytes: usize, room: usize, most: usize, result: usize,
): void {
  const head = <usize>(nullBytes + headBytes);
  let to = bytes;
  let put = puts;
  let k = from;
  for (; k < n; k++) {
    const entry = entries + <usize>k * entryBytes;
    const keyBytes = <usize>load<u32>(entry, 4);
    if (keyBytes == 0) continue;
    if (skip != 0 && load<u8>(skip + <usize>k) != 0) continue;
    const row = rows == 0 ? <u32>k : load<u32>(rows + (<usize>k << 2));
    const limit = min(bytes + room, to + most);
    if (to + head > limit) break;
    memory.fill(to, 0, head);
    const next = writeRow(leaves, count, row, to, to + head, limit);
    if (next == 0) break;
    const key = <usize>load<u32>(entry);
    store<u64>(key + keyBytes, bswap<u64>((number + <u64>k) ^ 0x8000000000000000));
    store<u32>(put, <u32>key);
    store<u32>(put, <u32>(keyBytes + numberBytes), 4);
    store<u32>(put, <u32>to, 8);
    store<u32>(put, <u32>(next - to), 12);
    put += entryBytes;
    to = next;
  }
  store<u32>(result, <u32>k, encodedRowAt);
  store<u32>(result, <u32>((put - puts) / entryBytes), encodedCountAt);
}

/** The leaves of a row from `to` on, its null bits at `nulls`. 0: there is no room. */
function writeRow(leaves: usize, count: i32, row: u32, nulls: usize, to: usize, limit: usize): usize {
  const end = leaves + <usize>count * leafBytes;
  for (let leaf = leaves; leaf < end; leaf += leafBytes) {
    const bit = load<i32>(leaf, leafBitAt);
    if (bit >= 0 && !isValid(leaf, row)) {
      const at = nulls + <usize>(bit >> 3);
      store<u8>(at, load<u8>(at) | <u8>(<u32>1 << <u32>(bit & 7)));
      continue;
    }
    const storage = load<u32>(leaf, leafStorageAt);
    const values = <usize>load<u32>(leaf, leafValuesAt);
    if (storage == storedView) {
      const view = textView(leaf, values, row);
      const length = load<u32>(view);
      if (to + 4 + <usize>length > limit) return 0;
      store<u32>(to, length);
      const from = textBytes(view, length);
      if (length <= inlineText) for (let i: usize = 0; i < <usize>length; i++) store<u8>(to + 4 + i, load<u8>(from + i));
      else memory.copy(to + 4, from, <usize>length);
      to += 4 + <usize>length;
    } else if (storage == storedBit) {
      if (to + 1 > limit) return 0;
      store<u8>(to, bitAt(values, row));
      to += 1;
    } else if (storage == storedI32) {
      if (to + 4 > limit) return 0;
      store<u32>(to, load<u32>(values + (<usize>row << 2)));
      to += 4;
    } else {
      if (to + 8 > limit) return 0;
      store<u64>(to, load<u64>(values + (<usize>row << 3)));
      to += 8;
    }
  }
  return to;
}

// ── bytes to rows ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Reads the rows at n addresses into places 0 to n of columns. Views of long texts lead to where the rows lie. */
export function rowsDecode(leaves: usize, count: i32, nullBytes: i32, headBytes: i32, kept: usize, n: i32): void {
  const end = leaves + <usize>count * leafBytes;
  for (let k: u32 = 0; k < <u32>n; k++) {
    const nulls = <usize>load<u32>(kept + (<usize>k << 2));
    let from = nulls + <usize>(nullBytes + headBytes);
    for (let leaf = leaves; leaf < end; leaf += leafBytes) {
      const storage = load<u32>(leaf, leafStorageAt);
      const values = <usize>load<u32>(leaf, leafValuesAt);
      const validity = <usize>load<u32>(leaf, leafValidityAt);
      const bit = load<i32>(leaf, leafBitAt);
      const isNull = bit >= 0 && ((load<u8>(nulls + <usize>(bit >> 3)) >> <u8>(bit & 7)) & 1) != 0;
      if (values != 0 && validity != 0) setBit(validity, k, !isNull);
      if (isNull) {
        if (values != 0 && storage == storedView) v128.store(values + (<usize>k << 4), i64x2.splat(0));
        continue;
      }
      if (storage == storedView) {
        const length = load<u32>(from);
        if (values != 0) writeView(values + (<usize>k << 4), from + 4, length);
        from += 4 + <usize>length;
      } else if (storage == storedBit) {
        if (values != 0) setBit(values, k, load<u8>(from) != 0);
        from += 1;
      } else if (storage == storedI32) {
        if (values != 0) store<u32>(values + (<usize>k << 2), load<u32>(from));
        from += 4;
      } else {
        if (values != 0) store<u64>(values + (<usize>k << 3), load<u64>(from));
        from += 8;
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function writeView(view: usize, bytes: usize, length: u32): void {
  if (length > inlineText) {
    store<u32>(view, length);
    store<u32>(view, load<u32>(bytes), 4);
    store<u32>(view, 0, 8);
    store<u32>(view, <u32>bytes, 12);
    return;
  }
  v128.store(view, i64x2.splat(0));
  store<u32>(view, length);
  for (let i: usize = 0; i < <usize>length; i++) store<u8>(view + 4 + i, load<u8>(bytes + i));
}

// @ts-ignore: decorator
@inline
function textView(leaf: usize, values: usize, row: u32): usize {
  const views = <usize>load<u32>(leaf, leafViewsAt);
  return views == 0 ? values + (<usize>row << 4) : views + (<usize>load<u32>(values + (<usize>row << 2)) << 4);
}
// @ts-ignore: decorator
@inline
function textBytes(view: usize, length: u32): usize {
  return length <= inlineText ? view + 4 : <usize>load<u32>(view, 12);
}
// @ts-ignore: decorator
@inline
function isValid(leaf: usize, row: u32): bool {
  const validity = <usize>load<u32>(leaf, leafValidityAt);
  return validity == 0 || bitAt(validity, row) != 0;
}
// @ts-ignore: decorator
@inline
function bitAt(bits: usize, at: u32): u8 {
  return (load<u8>(bits + <usize>(at >> 3)) >> <u8>(at & 7)) & 1;
}
// @ts-ignore: decorator
@inline
function setBit(bits: usize, at: u32, on: bool): void {
  const byte = bits + <usize>(at >> 3);
  const mask = <u8>(<u32>1 << (at & 7));
  store<u8>(byte, on ? load<u8>(byte) | mask : load<u8>(byte) & ~mask);
}
