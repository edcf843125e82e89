/**
 * The delta encodings. A page of them is expanded whole: into plain integers, or into views (with the bytes of prefix-
 * compressed strings beside them).
 */
import { isUtf8, storeView } from './plain';

// @ts-ignore: decorator
@inline const TRUNCATED: i32 = -1;
// @ts-ignore: decorator
@inline const BAD_HEADER: i32 = -4;
// @ts-ignore: decorator
@inline const BAD_COUNT: i32 = -5;
// @ts-ignore: decorator
@inline const BAD_LENGTH: i32 = -2;
// @ts-ignore: decorator
@inline const BAD_UTF8: i32 = -3;

/**
 * DELTA_BINARY_PACKED between `src` and `end`: at most `room` integers, modulo 2^32 when `wide` is 0, else 2^64, to `out`
 * (4 or 8 bytes each). Answers the bytes read. `scratch`: 16 bytes; the number of integers comes back at 8.
 */
export function deltaIntegers(src: usize, end: usize, room: u32, wide: u32, scratch: usize, out: usize): i32 {
  store<u32>(scratch, src);
  const blockValues = varint(scratch, end);
  const blocks = varint(scratch, end);
  const total = varint(scratch, end);
  let value = zigzag(varint(scratch, end));
  let at: usize = load<u32>(scratch);
  if (at == 0) return TRUNCATED;
  if (blockValues == 0 || blockValues > 0x1000000 || blockValues % 128 != 0) return BAD_HEADER;
  if (blocks == 0 || blocks > 512 || blockValues % blocks != 0) return BAD_HEADER;
  const perMini = <u32>(blockValues / blocks);
  if (perMini % 32 != 0) return BAD_HEADER;
  if (total > <u64>room) return BAD_COUNT;
  const n = <u32>total;
  store<u32>(scratch, n, 8);
  if (n == 0) return <i32>(at - src);
  let written: u32 = 0;
  if (wide) store<i64>(out, value);
  else store<i32>(out, <i32>value);
  written = 1;
  while (written < n) {
    store<u32>(scratch, at);
    const least = zigzag(varint(scratch, end));
    at = load<u32>(scratch);
    if (at == 0) return TRUNCATED;
    if (<u64>(end - at) < blocks) return TRUNCATED;
    const widths = at;
    at += <usize>blocks;
    for (let b: u32 = 0; b < <u32>blocks && written < n; b++) {
      const width = <u32>load<u8>(widths + b);
      // Narrow deltas may take 33 bits: some writers subtract in 64.
      if (width > 64) return BAD_HEADER;
      const bytes = (<u64>perMini * width) >> 3;
      const count = min<u32>(perMini, n - written);
      // The last miniblock's padding may be left out.
      const needed = (<u64>count * width + 7) >> 3;
      if (<u64>(end - at) < needed) return TRUNCATED;
      if (wide) {
        for (let i: u32 = 0; i < count; i++) {
          value += least + <i64>packed(at, i, width);
          store<i64>(out + (written << 3), value);
          written += 1;
        }
      } else {
        for (let i: u32 = 0; i < count; i++) {
          value += least + <i64>packed(at, i, width);
          store<i32>(out + (written << 2), <i32>value);
          written += 1;
        }
      }
      at = <u64>(end - at) < bytes ? end : at + <usize>bytes;
    }
  }
  return <i32>(at - src);
}

/** Value `i` of a packed run of `width` (0–64) bits. */
// @ts-ignore: decorator
@inline
function packed(run: usize, i: u32, width: u32): u64 {
  if (width == 0) return 0;
  const bit = <u64>i * width;
  const at = run + <usize>(bit >> 3);
  const shift = bit & 7;
  let value = load<u64>(at) >> shift;
  if (shift + width > 64) value |= <u64>load<u8>(at, 8) << (64 - shift);
  return width == 64 ? value : value & (((<u64>1) << width) - 1);
}

/** Reads at the position in `scratch` and moves it; position 0 afterwards: it did not end in time. */
function varint(scratch: usize, end: usize): u64 {
  let at: usize = load<u32>(scratch);
  if (at == 0) return 0;
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 64; shift += 7) {
    if (at >= end) break;
    const byte = <u64>load<u8>(at++);
    value |= (byte & 127) << shift;
    if (byte < 128) {
      store<u32>(scratch, at);
      return value;
    }
  }
  store<u32>(scratch, 0);
  return 0;
}

// @ts-ignore: decorator
@inline
function zigzag(v: u64): i64 {
  return <i64>(v >> 1) ^ -(<i64>(v & 1));
}

/** DELTA_LENGTH_BYTE_ARRAY: `lengths` (i32 × n) are decoded already, the bytes begin at `src`. Views to `out`. */
export function lengthViews(src: usize, end: usize, lengths: usize, n: u32, utf8: u32, out: usize): i32 {
  let at = src;
  for (let i: u32 = 0; i < n; i++) {
    const length = load<u32>(lengths + (i << 2));
    if (length > <u32>(end - at)) return BAD_LENGTH;
    if (utf8 && !isUtf8(at, length)) return BAD_UTF8;
    storeView(out + (<usize>i << 4), at, length);
    at += length;
  }
  return <i32>(at - src);
}

/** Bytes that `prefixViews` will write, or −1 when a length is impossible. */
export function prefixBytes(prefixes: usize, suffixes: usize, n: u32, suffixRoom: u32): i64 {
  let total: i64 = 0;
  let room: i64 = suffixRoom;
  let last: i64 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const prefix = <i64>load<i32>(prefixes + (i << 2));
    const suffix = <i64>load<i32>(suffixes + (i << 2));
    if (prefix < 0 || suffix < 0 || prefix > last) return -1;
    room -= suffix;
    if (room < 0) return -1;
    last = prefix + suffix;
    total += last;
  }
  return total;
}

/** DELTA_BYTE_ARRAY after `prefixBytes`: writes the strings to `bytes` and their views to `out`. */
export function prefixViews(src: usize, prefixes: usize, suffixes: usize, n: u32, utf8: u32, bytes: usize, out: usize): i32 {
  let from = src;
  let to = bytes;
  let before = bytes;
  for (let i: u32 = 0; i < n; i++) {
    const prefix = load<u32>(prefixes + (i << 2));
    const suffix = load<u32>(suffixes + (i << 2));
    memory.copy(to, before, prefix);
    memory.copy(to + prefix, from, suffix);
    from += suffix;
    if (utf8 && !isUtf8(to, prefix + suffix)) return BAD_UTF8;
    before = to;
    to += prefix + suffix;
  }
  // Views load past a value's end, so they are made when all bytes are there.
  to = bytes;
  for (let i: u32 = 0; i < n; i++) {
    const length = load<u32>(prefixes + (i << 2)) + load<u32>(suffixes + (i << 2));
    storeView(out + (<usize>i << 4), to, length);
    to += length;
  }
  return 0;
}
