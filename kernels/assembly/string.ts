// Strings as Arrow views: {u32 length; up to 12 bytes inline, zero-padded} or {u32 length; 4 bytes prefix; u32 zero;
// u32 address}, UTF-8. What makes bytes writes them at `room` and answers the room's new start, ROOM_FULL when they do
// not fit before `roomEnd`. A result view is written whole at `out` (16 bytes), which may be one of the arguments' own.

const ROOM_FULL: u32 = 0;
/** The text holds a byte above 0x7F: the caller knows the other alphabets. */
const NOT_ASCII: u32 = 0xffffffff;

// @ts-ignore: decorator
@inline function bytesOf(view: u32): u32 {
  return load<u32>(view) <= 12 ? view + 4 : load<u32>(view, 12);
}

const HIGH_BITS: u64 = 0x8080808080808080;
const ONES: u64 = 0x0101010101010101;

/** Writes the view of `length` bytes at `from` to `out`. Short text is copied, long text referred to. */
export function writeView(from: u32, length: u32, out: u32): void {
  if (length > 12) {
    const prefix = load<u32>(from);
    store<u32>(out, length);
    store<u32>(out, prefix, 4);
    store<u32>(out, 0, 8);
    store<u32>(out, from, 12);
    return;
  }
  let low: u64 = 0;
  let high: u64 = 0;
  // `from` may lie inside `out`: all is read before anything is written.
  if (<u64>from + 12 <= <u64>memory.size() << 16) {
    low = load<u64>(from);
    high = <u64>load<u32>(from, 8);
    if (length < 8) {
      low &= (<u64>1 << (<u64>length << 3)) - 1;
      high = 0;
    } else high &= (<u64>1 << ((<u64>length - 8) << 3)) - 1;
  } else {
    for (let i: u32 = 0; i < length; i++) {
      const byte = <u64>load<u8>(from + i);
      if (i < 8) low |= byte << (i << 3);
      else high |= byte << ((i - 8) << 3);
    }
  }
  store<u64>(out, <u64>length | (low << 32));
  store<u64>(out, (low >> 32) | (high << 32), 8);
}

function copyBytes(to: u32, from: u32, n: u32): void {
  let i: u32 = 0;
  for (; i + 8 <= n; i += 8) store<u64>(to + i, load<u64>(from + i));
  for (; i < n; i++) store<u8>(to + i, load<u8>(from + i));
}

export function viewEquals(a: u32, b: u32): i32 {
  if (load<u64>(a) != load<u64>(b)) return 0;
  const length = load<u32>(a);
  if (length <= 12) return i32(load<u64>(a, 8) == load<u64>(b, 8));
  return i32(compareBytes(load<u32>(a, 12), load<u32>(b, 12), length) == 0);
}

/** Unsigned bytes, which for UTF-8 is code point order: -1, 0 or 1. */
export function viewCompare(a: u32, b: u32): i32 {
  // Zero padding sorts before every byte, so differing prefixes decide.
  const pa = bswap<u32>(load<u32>(a, 4));
  const pb = bswap<u32>(load<u32>(b, 4));
  if (pa != pb) return pa < pb ? -1 : 1;
  const la = load<u32>(a);
  const lb = load<u32>(b);
  const common = la < lb ? la : lb;
  const order = compareBytes(bytesOf(a), bytesOf(b), common);
  return order != 0 ? order : i32(la > lb) - i32(la < lb);
}

function compareBytes(a: u32, b: u32, n: u32): i32 {
  let i: u32 = 0;
  for (; i + 8 <= n; i += 8) {
    const x = load<u64>(a + i);
    const y = load<u64>(b + i);
    if (x != y) return bswap<u64>(x) < bswap<u64>(y) ? -1 : 1;
  }
  for (; i < n; i++) {
    const x = load<u8>(a + i);
    const y = load<u8>(b + i);
    if (x != y) return x < y ? -1 : 1;
  }
  return 0;
}

/** Bytes 10xxxxxx of eight: those that begin no character. */
// @ts-ignore: decorator
@inline function continuations(x: u64): i32 {
  return i32(popcnt<u64>(x & HIGH_BITS & ~(x << 1)));
}

/** Code points. */
export function viewLength(view: u32): i32 {
  const length = load<u32>(view);
  // The padding is zeros.
  if (length <= 12) return length - continuations(load<u64>(view) >> 32) - continuations(load<u64>(view, 8));
  return codePoints(load<u32>(view, 12), length);
}

function codePoints(from: u32, bytes: u32): i32 {
  let n: i32 = bytes;
  let i: u32 = 0;
  for (; i + 8 <= bytes; i += 8) n -= continuations(load<u64>(from + i));
  for (; i < bytes; i++) n -= i32((load<u8>(from + i) & 0xc0) == 0x80);
  return n;
}

/** Bytes of the character that begins with `lead`; 1 for what is no UTF-8. */
// @ts-ignore: decorator
@inline function width(lead: u32): u32 {
  return lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

export function lowerView(view: u32, out: u32, room: u32, roomEnd: u32): u32 {
  return changeCase(view, out, room, roomEnd, 0x41);
}
export function upperView(view: u32, out: u32, room: u32, roomEnd: u32): u32 {
  return changeCase(view, out, room, roomEnd, 0x61);
}

/** Flips bit 5 of the bytes from `first` on, 26 of them; eight ASCII bytes at a time. */
// @ts-ignore: decorator
@inline function flip(x: u64, first: u64): u64 {
  const from = x + (0x80 - first) * ONES;
  const behind = x + (0x7f - first - 25) * ONES;
  return x ^ (((from ^ behind) & HIGH_BITS) >> 2);
}

/** Flips the 26 letters from `first` on. */
function changeCase(view: u32, out: u32, room: u32, roomEnd: u32, first: u64): u32 {
  const length = load<u32>(view);
  if (length <= 12) {
    const low = load<u64>(view) >> 32;
    const high = load<u64>(view, 8);
    if (((low | high) & HIGH_BITS) != 0) return NOT_ASCII;
    store<u64>(out, <u64>length | (flip(low, first) << 32));
    store<u64>(out, flip(high, first), 8);
    return room;
  }
  const from = load<u32>(view, 12);
  let seen: u64 = 0;
  let i: u32 = 0;
  for (; i + 8 <= length; i += 8) seen |= load<u64>(from + i);
  for (; i < length; i++) seen |= <u64>load<u8>(from + i);
  if ((seen & HIGH_BITS) != 0) return NOT_ASCII;
  if (roomEnd - room < length) return ROOM_FULL;
  for (i = 0; i + 8 <= length; i += 8) store<u64>(room + i, flip(load<u64>(from + i), first));
  for (; i < length; i++) store<u8>(room + i, flip(<u64>load<u8>(from + i), first));
  writeView(room, length, out);
  return room + length;
}

/** Blanks (U+0020 only) at both ends. */
export function trimView(view: u32, out: u32): void {
  let from = bytesOf(view);
  let to = from + load<u32>(view);
  while (from < to && load<u8>(from) == 0x20) from++;
  while (to > from && load<u8>(to - 1) == 0x20) to--;
  writeView(from, to - from, out);
}

/** Flink's SUBSTRING: from 1, negative positions from the end, 0 is 1. `length` is not negative. */
export function substringView(view: u32, position: i32, length: i32, out: u32): void {
  const from = bytesOf(view);
  const end = from + load<u32>(view);
  let skip = position > 0 ? <i64>position - 1 : 0;
  if (position < 0) {
    skip = <i64>codePoints(from, load<u32>(view)) + <i64>position;
    if (skip < 0) {
      writeView(from, 0, out);
      return;
    }
  }
  let at = from;
  for (; skip > 0 && at < end; skip--) at += width(load<u8>(at));
  if (at > end) at = end;
  let to = at;
  for (; length > 0 && to < end; length--) to += width(load<u8>(to));
  if (to > end) to = end;
  writeView(at, to - at, out);
}

/** Joins `n` views, whose u32 addresses stand at `args`. */
export function concatViews(args: u32, n: i32, out: u32, room: u32, roomEnd: u32): u32 {
  let length: u64 = 0;
  for (let i = 0; i < n; i++) length += <u64>load<u32>(load<u32>(args + (<u32>i << 2)));
  if (length <= 12) {
    // Twelve bytes in two words, moved into place whole; padding is zeros. `out` may be an argument.
    let low: u64 = 0;
    let high: u64 = 0;
    let shift: u64 = 0;
    for (let i = 0; i < n; i++) {
      const view = load<u32>(args + (<u32>i << 2));
      const size = <u64>load<u32>(view);
      const first = load<u64>(view, 4);
      const rest = <u64>load<u32>(view, 12);
      if (shift == 0) {
        low = first;
        high = rest;
      } else if (shift < 64) {
        low |= first << shift;
        high |= (first >> (64 - shift)) | (rest << shift);
      } else high |= first << (shift - 64);
      shift += size << 3;
    }
    store<u64>(out, length | (low << 32));
    store<u64>(out, (low >> 32) | (high << 32), 8);
    return room;
  }
  if (<u64>(roomEnd - room) < length) return ROOM_FULL;
  let at = room;
  for (let i = 0; i < n; i++) {
    const view = load<u32>(args + (<u32>i << 2));
    const size = load<u32>(view);
    copyBytes(at, bytesOf(view), size);
    at += size;
  }
  writeView(room, <u32>length, out);
  return at;
}

/**
 * LIKE. A pattern is a program: u32 count of segments, u32 flags (1: the first segment stands at the start, 2: the last at
 * the end), then per segment u32 bytes and its bytes, padded to 4; 0xFF stands for any one character. Between segments is
 * any text: each is found at its first place, the last at the end; no backtracking over segments, O(text × segment).
 */
export function likeView(view: u32, program: u32): i32 {
  let at = bytesOf(view);
  const end = at + load<u32>(view);
  const segments = load<u32>(program);
  const flags = load<u32>(program, 4);
  let segment = program + 8;
  for (let i: u32 = 0; i < segments; i++) {
    const bytes = load<u32>(segment);
    const first = i == 0 && (flags & 1) != 0;
    const last = i == segments - 1 && (flags & 2) != 0;
    if (first) {
      at = matchAt(at, end, segment + 4, bytes);
      if (at == 0) return 0;
      if (last) return i32(at == end);
    } else if (last) {
      return matchEnd(at, end, segment + 4, bytes);
    } else {
      at = find(at, end, segment + 4, bytes);
      if (at == 0) return 0;
    }
    segment += 4 + ((bytes + 3) & ~3);
  }
  return 1;
}

/** Where the segment's match that begins at `at` ends, or 0. */
function matchAt(at: u32, end: u32, segment: u32, bytes: u32): u32 {
  for (let i: u32 = 0; i < bytes; i++) {
    if (at >= end) return 0;
    const want = load<u8>(segment + i);
    if (want == 0xff) {
      at += width(load<u8>(at));
      if (at > end) at = end;
    } else {
      if (load<u8>(at) != want) return 0;
      at++;
    }
  }
  return at;
}

/** Where the segment's first match at or after `at` ends, or 0. */
function find(at: u32, end: u32, segment: u32, bytes: u32): u32 {
  const lead = load<u8>(segment);
  for (; at < end; at++) {
    const byte = load<u8>(at);
    if (lead == 0xff ? (byte & 0xc0) == 0x80 : byte != lead) continue;
    const to = matchAt(at, end, segment, bytes);
    if (to != 0) return to;
  }
  return 0;
}

/** Does the segment match the end of the text, within [at, end)? */
function matchEnd(at: u32, end: u32, segment: u32, bytes: u32): i32 {
  for (let i = <i32>bytes - 1; i >= 0; i--) {
    if (end <= at) return 0;
    const want = load<u8>(segment + i);
    end--;
    if (want == 0xff) {
      while (end > at && (load<u8>(end) & 0xc0) == 0x80) end--;
    } else if (load<u8>(end) != want) return 0;
  }
  return 1;
}

/** Decimal digits of an i64. */
export function formatI64(value: i64, out: u32, room: u32, roomEnd: u32): u32 {
  let rest: u64 = value < 0 ? 0 - <u64>value : <u64>value;
  let digits: u32 = 1;
  for (let r = rest; r >= 10; r /= 10) digits++;
  const length = digits + u32(value < 0);
  const long = length > 12;
  if (long && roomEnd - room < length) return ROOM_FULL;
  if (!long) {
    store<u64>(out, <u64>length);
    store<u64>(out, 0, 8);
  }
  const start = long ? room : out + 4;
  for (let at = start + length - 1; digits > 0; digits--, at--) {
    store<u8>(at, 0x30 + <u32>(rest % 10));
    rest /= 10;
  }
  if (value < 0) store<u8>(start, 0x2d);
  if (!long) return room;
  writeView(room, length, out);
  return room + length;
}

/** Flink's toLong: blanks around, a sign, digits, a fraction that is checked and cut off. 1 and the value at `out`, or 0. */
export function parseI64(view: u32, out: u32): i32 {
  let at = bytesOf(view);
  let end = at + load<u32>(view);
  while (at < end && load<u8>(at) == 0x20) at++;
  while (end > at && load<u8>(end - 1) == 0x20) end--;
  if (at == end) return 0;
  const sign = load<u8>(at);
  if (sign == 0x2d || sign == 0x2b) {
    if (++at == end) return 0;
  }
  // Negative, so that the least value fits.
  let value: i64 = 0;
  for (; at < end; at++) {
    const digit = <u32>load<u8>(at) - 0x30;
    if (digit > 9) break;
    if (value < i64.MIN_VALUE / 10) return 0;
    value = value * 10 - <i64>digit;
    if (value > 0) return 0;
  }
  if (at < end) {
    if (load<u8>(at) != 0x2e) return 0;
    for (at++; at < end; at++) if (<u32>load<u8>(at) - 0x30 > 9) return 0;
  }
  if (sign != 0x2d) {
    if (value == i64.MIN_VALUE) return 0;
    value = -value;
  }
  store<i64>(out, value);
  return 1;
}
