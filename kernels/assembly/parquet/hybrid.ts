/**
 * Parquet's RLE / bit-packing hybrid: dictionary indices, definition levels, RLE booleans. A cursor remembers the place
 * inside a run, so that a page is read in batches. Loads may go 24 bytes past the source's end: buffers carry slack.
 *
 *   cursor   0 next byte · 4 end · 8 bits per value · 12 values left in the run · 16 packed? · 20 value of an RLE run
 *            24 start of a packed run · 28 values of it already read
 */
// @ts-ignore: decorator
@inline const NEXT: usize = 0;
// @ts-ignore: decorator
@inline const END: usize = 4;
// @ts-ignore: decorator
@inline const WIDTH: usize = 8;
// @ts-ignore: decorator
@inline const LEFT: usize = 12;
// @ts-ignore: decorator
@inline const PACKED: usize = 16;
// @ts-ignore: decorator
@inline const VALUE: usize = 20;
// @ts-ignore: decorator
@inline const RUN: usize = 24;
// @ts-ignore: decorator
@inline const DONE: usize = 28;

// @ts-ignore: decorator
@inline const TRUNCATED: i32 = -1;
// @ts-ignore: decorator
@inline const BAD_RUN: i32 = -2;
// @ts-ignore: decorator
@inline const OUT_OF_RANGE: i32 = -3;

/** Starts at `src`; `width` at most 32. */
export function hybridBegin(cursor: usize, src: usize, end: usize, width: u32): void {
  store<u32>(cursor, src, NEXT);
  store<u32>(cursor, end, END);
  store<u32>(cursor, width, WIDTH);
  store<u32>(cursor, 0, LEFT);
}

/** Opens the next run. */
function nextRun(cursor: usize): i32 {
  let src: usize = load<u32>(cursor, NEXT);
  const end: usize = load<u32>(cursor, END);
  const width = load<u32>(cursor, WIDTH);
  let header: u64 = 0;
  let shift: u64 = 0;
  while (true) {
    if (src >= end) return TRUNCATED;
    const byte = <u64>load<u8>(src++);
    header |= (byte & 127) << shift;
    if (byte < 128) break;
    shift += 7;
    if (shift > 28) return BAD_RUN;
  }
  if (header > 0xffffffff) return BAD_RUN;
  let count = header >> 1;
  if (count == 0) return BAD_RUN;
  if (header & 1) {
    count <<= 3;
    const bytes = (count * width) >> 3;
    const room = <u64>(end - src);
    store<u32>(cursor, src, RUN);
    store<u32>(cursor, 0, DONE);
    store<u32>(cursor, 1, PACKED);
    if (bytes > room) {
      // Some writers leave out the padding of the last run: what is there counts.
      count = (room << 3) / width;
      src = end;
    } else src += <usize>bytes;
  } else {
    const bytes = (width + 7) >> 3;
    if (<u32>(end - src) < bytes) return TRUNCATED;
    let value: u32 = 0;
    for (let i: u32 = 0; i < bytes; i++) value |= <u32>load<u8>(src + i) << (i << 3);
    if (width < 32 && value >> width) return OUT_OF_RANGE;
    store<u32>(cursor, value, VALUE);
    store<u32>(cursor, 0, PACKED);
    src += bytes;
  }
  if (count > 0x7fffffff) count = 0x7fffffff;
  if (count == 0) return TRUNCATED;
  store<u32>(cursor, <u32>count, LEFT);
  store<u32>(cursor, src, NEXT);
  return 0;
}

/** The next `n` values as u32, each below `limit`. 0, or below 0 what is wrong. */
export function hybridValues(cursor: usize, n: u32, limit: u32, out: usize): i32 {
  let at = out;
  let need = n;
  const width = load<u32>(cursor, WIDTH);
  while (need) {
    let left = load<u32>(cursor, LEFT);
    if (left == 0) {
      const answer = nextRun(cursor);
      if (answer < 0) return answer;
      left = load<u32>(cursor, LEFT);
    }
    const take = min<u32>(left, need);
    if (load<u32>(cursor, PACKED)) {
      const done = load<u32>(cursor, DONE);
      const highest = unpack(load<u32>(cursor, RUN), done, width, take, at);
      if (highest >= limit) return OUT_OF_RANGE;
      store<u32>(cursor, done + take, DONE);
    } else {
      const value = load<u32>(cursor, VALUE);
      if (value >= limit) return OUT_OF_RANGE;
      const lanes = i32x4.splat(value);
      let i: u32 = 0;
      for (; i + 4 <= take; i += 4) v128.store(at + (i << 2), lanes);
      for (; i < take; i++) store<u32>(at + (i << 2), value);
    }
    at += take << 2;
    need -= take;
    store<u32>(cursor, left - take, LEFT);
  }
  return 0;
}

/** Passes over `n` values; 0, or below 0 what is wrong. */
export function hybridSkip(cursor: usize, n: u32): i32 {
  let need = n;
  while (need) {
    let left = load<u32>(cursor, LEFT);
    if (left == 0) {
      const answer = nextRun(cursor);
      if (answer < 0) return answer;
      left = load<u32>(cursor, LEFT);
    }
    const take = min<u32>(left, need);
    if (load<u32>(cursor, PACKED)) store<u32>(cursor, load<u32>(cursor, DONE) + take, DONE);
    need -= take;
    store<u32>(cursor, left - take, LEFT);
  }
  return 0;
}

/** Values `from` to `from + n` of a packed run as u32; answers the highest. */
function unpack(run: usize, from: u32, width: u32, n: u32, out: usize): u32 {
  let highest: u32 = 0;
  let i: u32 = 0;
  if (width == 0) {
    memory.fill(out, 0, <usize>n << 2);
    return 0;
  }
  const mask: u32 = width == 32 ? <u32>-1 : (<u32>1 << width) - 1;
  // Up to the next group of eight, which begins on a byte.
  const ragged = width > 25 ? n : min<u32>(n, (8 - (from & 7)) & 7);
  for (; i < ragged; i++) {
    const bit = <u64>(from + i) * width;
    const value = <u32>(load<u64>(run + <usize>(bit >> 3)) >> (bit & 7)) & mask;
    highest = max<u32>(highest, value);
    store<u32>(out + (i << 2), value);
  }
  if (i + 8 <= n) {
    // Four values a vector: gather each value's four bytes, shift by a multiplication so that all begin at bit 7.
    const w1 = width;
    const w2 = width * 2;
    const w3 = width * 3;
    const odd = (width & 1) << 2;
    const lowBytes = indices(0, w1, w2, w3);
    const lowFactors = factors(0, w1, w2, w3);
    const highBytes = indices(odd, w1 + odd, w2 + odd, w3 + odd);
    const highFactors = factors(odd, w1 + odd, w2 + odd, w3 + odd);
    const half: usize = (width << 2) >> 3;
    const lanes = i32x4.splat(mask);
    let most = i32x4.splat(0);
    let src: usize = run + <usize>((<u64>(from + i) * width) >> 3);
    let at = out + (i << 2);
    for (; i + 8 <= n; i += 8) {
      const a = v128.and(i32x4.shr_u(i32x4.mul(i8x16.swizzle(v128.load(src), lowBytes), lowFactors), 7), lanes);
      const b = v128.and(i32x4.shr_u(i32x4.mul(i8x16.swizzle(v128.load(src + half), highBytes), highFactors), 7), lanes);
      v128.store(at, a);
      v128.store(at, b, 16);
      most = i32x4.max_u(most, i32x4.max_u(a, b));
      src += width;
      at += 32;
    }
    highest = max<u32>(highest, max<u32>(
      max<u32>(i32x4.extract_lane(most, 0), i32x4.extract_lane(most, 1)),
      max<u32>(i32x4.extract_lane(most, 2), i32x4.extract_lane(most, 3)),
    ));
  }
  for (; i < n; i++) {
    const bit = <u64>(from + i) * width;
    const value = <u32>(load<u64>(run + <usize>(bit >> 3)) >> (bit & 7)) & mask;
    highest = max<u32>(highest, value);
    store<u32>(out + (i << 2), value);
  }
  return highest;
}

/** Byte indices of the four bytes that hold the value at each bit offset. */
// @ts-ignore: decorator
@inline
function indices(a: u32, b: u32, c: u32, d: u32): v128 {
  let v = i32x4.splat((a >> 3) * 0x01010101 + 0x03020100);
  v = i32x4.replace_lane(v, 1, (b >> 3) * 0x01010101 + 0x03020100);
  v = i32x4.replace_lane(v, 2, (c >> 3) * 0x01010101 + 0x03020100);
  return i32x4.replace_lane(v, 3, (d >> 3) * 0x01010101 + 0x03020100);
}

// @ts-ignore: decorator
@inline
function factors(a: u32, b: u32, c: u32, d: u32): v128 {
  let v = i32x4.splat(1 << (7 - (a & 7)));
  v = i32x4.replace_lane(v, 1, 1 << (7 - (b & 7)));
  v = i32x4.replace_lane(v, 2, 1 << (7 - (c & 7)));
  return i32x4.replace_lane(v, 3, 1 << (7 - (d & 7)));
}

/**
 * The next `n` levels as a bitmap: 1 where the level is `max`. Answers how many are, or below 0 what is wrong. Bits from
 * `n` to the end of their 8 bytes are cleared, so the bitmap has room for a multiple of 8 bytes, and 8 more.
 */
export function hybridBits(cursor: usize, n: u32, max: u32, bitmap: usize): i32 {
  let k: u32 = 0;
  let ones: u32 = 0;
  const width = load<u32>(cursor, WIDTH);
  store<u64>(bitmap, 0);
  while (k < n) {
    let left = load<u32>(cursor, LEFT);
    if (left == 0) {
      const answer = nextRun(cursor);
      if (answer < 0) return answer;
      left = load<u32>(cursor, LEFT);
    }
    const take = min<u32>(left, n - k);
    if (load<u32>(cursor, PACKED)) {
      const run: usize = load<u32>(cursor, RUN);
      const done = load<u32>(cursor, DONE);
      let i: u32 = 0;
      while (i < take) {
        const count = min<u32>(take - i, 32);
        let bits: u64 = 0;
        if (width == 1) {
          const bit = done + i;
          bits = (load<u64>(run + (bit >> 3)) >> (bit & 7)) & (((<u64>1) << count) - 1);
          if (max == 0) bits ^= ((<u64>1) << count) - 1;
        } else {
          const mask: u32 = width == 32 ? <u32>-1 : (<u32>1 << width) - 1;
          for (let j: u32 = 0; j < count; j++) {
            const bit = <u64>(done + i + j) * width;
            const value = <u32>(load<u64>(run + <usize>(bit >> 3)) >> (bit & 7)) & mask;
            if (value > max) return OUT_OF_RANGE;
            bits |= <u64>(value == max) << j;
          }
        }
        putBits(bitmap, k + i, bits, count);
        ones += <u32>popcnt<u64>(bits);
        i += count;
      }
      store<u32>(cursor, done + take, DONE);
    } else {
      const value = load<u32>(cursor, VALUE);
      if (value > max) return OUT_OF_RANGE;
      const bit: u64 = value == max ? 1 : 0;
      if (bit) ones += take;
      fillBits(bitmap, k, take, bit);
    }
    k += take;
    store<u32>(cursor, left - take, LEFT);
  }
  return <i32>ones;
}

/** Writes `count` (at most 32) bits at bit `k`; what follows them in their 8 bytes becomes 0. */
// @ts-ignore: decorator
@inline
export function putBits(bitmap: usize, k: u32, bits: u64, count: u32): void {
  const at = bitmap + (k >> 3);
  const shift = <u64>(k & 7);
  store<u64>(at, (load<u64>(at) & (((<u64>1) << shift) - 1)) | (bits << shift));
}

/** Writes `count` equal bits at bit `k`. */
export function fillBits(bitmap: usize, k: u32, count: u32, bit: u64): void {
  let i: u32 = 0;
  const word: u64 = bit ? 0xffffffff : 0;
  const ragged = min<u32>(count, (8 - (k & 7)) & 7);
  if (ragged) {
    putBits(bitmap, k, word & (((<u64>1) << ragged) - 1), ragged);
    i = ragged;
  }
  const bytes = (count - i) >> 3;
  memory.fill(bitmap + ((k + i) >> 3), bit ? 255 : 0, bytes);
  i += bytes << 3;
  const rest = count - i;
  // Also clears what follows.
  store<u64>(bitmap + ((k + i) >> 3), (((<u64>1) << ((k + i) & 7)) - 1) & load<u64>(bitmap + ((k + i) >> 3)));
  if (rest) putBits(bitmap, k + i, word & (((<u64>1) << rest) - 1), rest);
}

/** Copies `n` bits from bit `from` of `src` to the start of `bitmap` (PLAIN booleans). */
export function copyBits(src: usize, from: u32, n: u32, bitmap: usize): void {
  store<u64>(bitmap, 0);
  for (let i: u32 = 0; i < n; i += 32) {
    const bit = from + i;
    const count = min<u32>(32, n - i);
    putBits(bitmap, i, (load<u64>(src + (bit >> 3)) >> (bit & 7)) & (((<u64>1) << count) - 1), count);
  }
}

/** Deprecated BIT_PACKED levels, most significant bit first, rewritten as one packed run without a header. */
export function unpackBigEndian(src: usize, n: u32, width: u32, out: usize): void {
  for (let i: u32 = 0; i < n; i++) {
    let value: u32 = 0;
    for (let j: u32 = 0; j < width; j++) {
      const bit = <u64>i * width + j;
      value = (value << 1) | ((<u32>load<u8>(src + <usize>(bit >> 3)) >> <u32>(7 - (bit & 7))) & 1);
    }
    store<u8>(out + i, <u8>value);
  }
}
