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

/**
 * The next `n` values as u32, each below `limit`, and up to 16 bytes of junk behind them. 0, or below 0 what is wrong.
 * Short runs are the rule in sorted columns, so RLE runs that end within `n` never touch the cursor.
 */
export function hybridValues(cursor: usize, n: u32, limit: u32, out: usize): i32 {
  let at = out;
  const stop = out + (<usize>n << 2);
  const width = load<u32>(cursor, WIDTH);
  const bytes: usize = (width + 7) >> 3;
  const mask: u32 = bytes == 0 ? 0 : <u32>-1 >> (32 - (<u32>bytes << 3));
  while (at < stop) {
    let left = load<u32>(cursor, LEFT);
    if (left == 0) {
      let src: usize = load<u32>(cursor, NEXT);
      const end: usize = load<u32>(cursor, END);
      // A header of one byte: an RLE run of up to 63 values.
      while (at < stop && <usize>(end - src) > bytes) {
        const header = <u32>load<u8>(src);
        if (header & 0x81) break;
        const count = header >> 1;
        const room = <u32>((stop - at) >> 2);
        if (count > room || count == 0) break;
        const value = load<u32>(src, 1) & mask;
        if (value >= limit) return OUT_OF_RANGE;
        const lanes = i32x4.splat(value);
        let to = at;
        at += count << 2;
        do {
          v128.store(to, lanes);
          to += 16;
        } while (to < at);
        src += bytes + 1;
      }
      store<u32>(cursor, src, NEXT);
      if (at >= stop) break;
      const answer = nextRun(cursor);
      if (answer < 0) return answer;
      left = load<u32>(cursor, LEFT);
    }
    const take = min<u32>(left, <u32>((stop - at) >> 2));
    if (load<u32>(cursor, PACKED)) {
      const done = load<u32>(cursor, DONE);
      const highest = unpack(load<u32>(cursor, RUN), done, width, take, at);
      if (highest >= limit) return OUT_OF_RANGE;
      store<u32>(cursor, done + take, DONE);
    } else {
      const value = load<u32>(cursor, VALUE);
      if (value >= limit) return OUT_OF_RANGE;
      const lanes = i32x4.splat(value);
      for (let i: u32 = 0; i < take; i += 4) v128.store(at + (i << 2), lanes);
    }
    at += take << 2;
    store<u32>(cursor, left - take, LEFT);
  }
  return 0;
}

/**
 * Values `from` to `from + n` of a packed run as u32; answers the highest. Scalar shifts of 64-bit loads beat gathering
 * four values into a vector by swizzle and multiplication (0.5 against 0.7-1.2 ns a value, V8 11.3); whole bytes widen.
 */
function unpack(run: usize, from: u32, width: u32, n: u32, out: usize): u32 {
  if (width == 0) {
    memory.fill(out, 0, <usize>n << 2);
    return 0;
  }
  let i: u32 = 0;
  const mask: u64 = (<u64>1 << width) - 1;
  // Up to the next group of eight, which begins on a byte.
  const ragged = width > 28 ? n : min<u32>(n, (8 - (from & 7)) & 7);
  for (; i < ragged; i++) store<u32>(out + (i << 2), single(run, from + i, width, mask));
  let src: usize = run + <usize>((<u64>(from + i) * width) >> 3);
  let at = out + (i << 2);
  const stop = i + ((n - i) & ~7);
  if (width == 8) {
    for (; i < stop; i += 8) {
      const v = v128.load8x8_u(src);
      v128.store(at, i32x4.extend_low_i16x8_u(v));
      v128.store(at, i32x4.extend_high_i16x8_u(v), 16);
      src += 8;
      at += 32;
    }
  } else if (width == 16) {
    for (; i < stop; i += 8) {
      const v = v128.load(src);
      v128.store(at, i32x4.extend_low_i16x8_u(v));
      v128.store(at, i32x4.extend_high_i16x8_u(v), 16);
      src += 16;
      at += 32;
    }
  } else if (width <= 14) {
    // Four values fit in a load, whatever bit they begin at.
    const half: usize = (width << 2) >> 3;
    const odd: u64 = (width & 1) << 2;
    const w1: u64 = width;
    const w2: u64 = w1 * 2;
    const w3: u64 = w1 * 3;
    for (; i < stop; i += 8) {
      const a = load<u64>(src);
      const b = load<u64>(src + half) >> odd;
      store<u32>(at, <u32>(a & mask));
      store<u32>(at, <u32>((a >> w1) & mask), 4);
      store<u32>(at, <u32>((a >> w2) & mask), 8);
      store<u32>(at, <u32>((a >> w3) & mask), 12);
      store<u32>(at, <u32>(b & mask), 16);
      store<u32>(at, <u32>((b >> w1) & mask), 20);
      store<u32>(at, <u32>((b >> w2) & mask), 24);
      store<u32>(at, <u32>((b >> w3) & mask), 28);
      src += width;
      at += 32;
    }
  } else {
    // Two values fit in a load.
    const w1: u64 = width;
    const byte1: usize = (width * 2) >> 3;
    const byte2: usize = (width * 4) >> 3;
    const byte3: usize = (width * 6) >> 3;
    const bit1: u64 = (width * 2) & 7;
    const bit2: u64 = (width * 4) & 7;
    const bit3: u64 = (width * 6) & 7;
    for (; i < stop; i += 8) {
      const a = load<u64>(src);
      const b = load<u64>(src + byte1) >> bit1;
      const c = load<u64>(src + byte2) >> bit2;
      const d = load<u64>(src + byte3) >> bit3;
      store<u32>(at, <u32>(a & mask));
      store<u32>(at, <u32>((a >> w1) & mask), 4);
      store<u32>(at, <u32>(b & mask), 8);
      store<u32>(at, <u32>((b >> w1) & mask), 12);
      store<u32>(at, <u32>(c & mask), 16);
      store<u32>(at, <u32>((c >> w1) & mask), 20);
      store<u32>(at, <u32>(d & mask), 24);
      store<u32>(at, <u32>((d >> w1) & mask), 28);
      src += width;
      at += 32;
    }
  }
  for (; i < n; i++) store<u32>(out + (i << 2), single(run, from + i, width, mask));
  return highestOf(out, n);
}

// @ts-ignore: decorator
@inline
function single(run: usize, index: u32, width: u32, mask: u64): u32 {
  const bit = <u64>index * width;
  return <u32>((load<u64>(run + <usize>(bit >> 3)) >> (bit & 7)) & mask);
}

function highestOf(values: usize, n: u32): u32 {
  let i: u32 = 0;
  let lanes = i32x4.splat(0);
  for (; i + 4 <= n; i += 4) lanes = i32x4.max_u(lanes, v128.load(values + (i << 2)));
  let highest = max<u32>(
    max<u32>(i32x4.extract_lane(lanes, 0), i32x4.extract_lane(lanes, 1)),
    max<u32>(i32x4.extract_lane(lanes, 2), i32x4.extract_lane(lanes, 3)),
  );
  for (; i < n; i++) highest = max<u32>(highest, load<u32>(values + (i << 2)));
  return highest;
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
