/**
 * Values as they lie in a page, brought into a batch's columns: casts between fixed widths, views of byte arrays,
 * dictionary look-ups, and spreading dense values over the rows that are not null.
 */

/** How fixed-width values become a column's. Same numbers in connectors/parquet/types.ts. */
// @ts-ignore: decorator
@inline const COPY4: u32 = 0;
// @ts-ignore: decorator
@inline const COPY8: u32 = 1;
// @ts-ignore: decorator
@inline const I32_I64: u32 = 2;
// @ts-ignore: decorator
@inline const U32_I64: u32 = 3;
// @ts-ignore: decorator
@inline const I32_F64: u32 = 4;
// @ts-ignore: decorator
@inline const U32_F64: u32 = 5;
// @ts-ignore: decorator
@inline const I64_F64: u32 = 6;
// @ts-ignore: decorator
@inline const U64_F64: u32 = 7;
// @ts-ignore: decorator
@inline const F32_F64: u32 = 8;
// @ts-ignore: decorator
@inline const F16_F64: u32 = 9;
// @ts-ignore: decorator
@inline const I64_I32: u32 = 10; // checked
// @ts-ignore: decorator
@inline const U32_I32: u32 = 11; // checked
// @ts-ignore: decorator
@inline const U64_I64: u32 = 12; // checked
// @ts-ignore: decorator
@inline const I64_TIMES: u32 = 13; // × parameter, checked
// @ts-ignore: decorator
@inline const I64_FLOOR: u32 = 14; // ÷ parameter, towards −∞
// @ts-ignore: decorator
@inline const INT96_TICKS: u32 = 15; // parameter: ticks a second
// @ts-ignore: decorator
@inline const I32_TIMES: u32 = 16; // DATE → TIMESTAMP: × parameter
// @ts-ignore: decorator
@inline const U64_I32: u32 = 17; // checked

// @ts-ignore: decorator
@inline const DECIMAL: u32 = 18; // parameter: width | precision << 8 | big-endian << 16, checked

/** Casts `n` values; answers `n`, or the first that does not fit. */
export function castValues(kind: u32, src: usize, n: u32, parameter: i64, out: usize): u32 {
  switch (kind) {
    case COPY4: {
      memory.copy(out, src, <usize>n << 2);
      return n;
    }
    case COPY8: {
      memory.copy(out, src, <usize>n << 3);
      return n;
    }
    case I32_I64: {
      let i: u32 = 0;
      for (; i + 4 <= n; i += 4) {
        const v = v128.load(src + (i << 2));
        v128.store(out + (i << 3), i64x2.extend_low_i32x4_s(v));
        v128.store(out + (i << 3), i64x2.extend_high_i32x4_s(v), 16);
      }
      for (; i < n; i++) store<i64>(out + (i << 3), <i64>load<i32>(src + (i << 2)));
      return n;
    }
    case U32_I64: {
      for (let i: u32 = 0; i < n; i++) store<i64>(out + (i << 3), <i64>load<u32>(src + (i << 2)));
      return n;
    }
    case I32_F64: {
      for (let i: u32 = 0; i < n; i++) store<f64>(out + (i << 3), <f64>load<i32>(src + (i << 2)));
      return n;
    }
    case U32_F64: {
      for (let i: u32 = 0; i < n; i++) store<f64>(out + (i << 3), <f64>load<u32>(src + (i << 2)));
      return n;
    }
    case I64_F64: {
      for (let i: u32 = 0; i < n; i++) store<f64>(out + (i << 3), <f64>load<i64>(src + (i << 3)));
      return n;
    }
    case U64_F64: {
      for (let i: u32 = 0; i < n; i++) store<f64>(out + (i << 3), <f64>load<u64>(src + (i << 3)));
      return n;
    }
    case F32_F64: {
      for (let i: u32 = 0; i < n; i++) store<f64>(out + (i << 3), <f64>load<f32>(src + (i << 2)));
      return n;
    }
    case F16_F64: {
      for (let i: u32 = 0; i < n; i++) store<f64>(out + (i << 3), half(load<u16>(src + (i << 1))));
      return n;
    }
    case I64_I32: {
      for (let i: u32 = 0; i < n; i++) {
        const value = load<i64>(src + (i << 3));
        if (value != <i64>(<i32>value)) return i;
        store<i32>(out + (i << 2), <i32>value);
      }
      return n;
    }
    case U32_I32: {
      for (let i: u32 = 0; i < n; i++) {
        const value = load<i32>(src + (i << 2));
        if (value < 0) return i;
        store<i32>(out + (i << 2), value);
      }
      return n;
    }
    case U64_I64: {
      for (let i: u32 = 0; i < n; i++) {
        const value = load<i64>(src + (i << 3));
        if (value < 0) return i;
        store<i64>(out + (i << 3), value);
      }
      return n;
    }
    case U64_I32: {
      for (let i: u32 = 0; i < n; i++) {
        const value = load<u64>(src + (i << 3));
        if (value > 0x7fffffff) return i;
        store<i32>(out + (i << 2), <i32>value);
      }
      return n;
    }
    case I64_TIMES: {
      const most = i64.MAX_VALUE / parameter;
      for (let i: u32 = 0; i < n; i++) {
        const value = load<i64>(src + (i << 3));
        if (value > most || value < -most) return i;
        store<i64>(out + (i << 3), value * parameter);
      }
      return n;
    }
    case I64_FLOOR: {
      for (let i: u32 = 0; i < n; i++) {
        const value = load<i64>(src + (i << 3));
        const quotient = value / parameter;
        store<i64>(out + (i << 3), quotient - <i64>(quotient * parameter > value));
      }
      return n;
    }
    case INT96_TICKS: {
      const nanosPerTick = 1000000000 / parameter;
      for (let i: u32 = 0; i < n; i++) {
        const nanos = load<i64>(src + i * 12);
        const days = <i64>load<i32>(src + i * 12, 8) - 2440588;
        // A day has 86,400 s; days beyond this would not fit in any precision's i64.
        const most = i64.MAX_VALUE / (86401 * parameter);
        if (days > most || days < -most || nanos < 0 || nanos > 86400000000000) return i;
        store<i64>(out + (i << 3), days * 86400 * parameter + nanos / nanosPerTick);
      }
      return n;
    }
    case I32_TIMES: {
      for (let i: u32 = 0; i < n; i++) store<i64>(out + (i << 3), <i64>load<i32>(src + (i << 2)) * parameter);
      return n;
    }
    case DECIMAL: {
      const width = <u32>(parameter & 0xff);
      const bigEndian = parameter >> 16 != 0;
      let limit: i64 = 1;
      for (let digits = (parameter >> 8) & 0xff; digits > 0; digits--) limit *= 10;
      for (let i: u32 = 0; i < n; i++) {
        const at = src + i * width;
        let value: i64;
        if (bigEndian) {
          value = <i64>load<i8>(at);
          for (let j: u32 = 1; j < width; j++) {
            // What stands ahead of the last eight bytes may only be the sign.
            if (value != (value << 8) >> 8) return i;
            value = (value << 8) | <i64>load<u8>(at + j);
          }
        } else value = width == 4 ? <i64>load<i32>(at) : load<i64>(at);
        if (value >= limit || value <= -limit) return i;
        store<i64>(out + (i << 3), value);
      }
      return n;
    }
    default:
      return 0;
  }
}

/** IEEE 754 binary16. */
function half(bits: u32): f64 {
  const sign: f64 = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent == 31) return fraction ? NaN : sign * Infinity;
  const scaled: f64 = exponent == 0 ? <f64>fraction : <f64>(fraction | 1024);
  // 2^(max(exponent, 1) − 25)
  return sign * scaled * reinterpret<f64>(<u64>(max<u32>(exponent, 1) - 25 + 1023) << 52);
}

/** out[k] = table[indices[k]], 4, 8 or 16 bytes each. Indices are checked already. */
export function gather32(indices: usize, n: u32, table: usize, out: usize): void {
  for (let i: u32 = 0; i < n; i++) {
    store<u32>(out + (i << 2), load<u32>(table + (<usize>load<u32>(indices + (i << 2)) << 2)));
  }
}

export function gather64(indices: usize, n: u32, table: usize, out: usize): void {
  let i: u32 = 0;
  for (; i + 4 <= n; i += 4) {
    const p = indices + (i << 2);
    const q = out + (i << 3);
    const a = load<u64>(table + (<usize>load<u32>(p) << 3));
    const b = load<u64>(table + (<usize>load<u32>(p, 4) << 3));
    const c = load<u64>(table + (<usize>load<u32>(p, 8) << 3));
    const d = load<u64>(table + (<usize>load<u32>(p, 12) << 3));
    store<u64>(q, a);
    store<u64>(q, b, 8);
    store<u64>(q, c, 16);
    store<u64>(q, d, 24);
  }
  for (; i < n; i++) store<u64>(out + (i << 3), load<u64>(table + (<usize>load<u32>(indices + (i << 2)) << 3)));
}

export function gather128(indices: usize, n: u32, table: usize, out: usize): void {
  for (let i: u32 = 0; i < n; i++) {
    v128.store(out + (<usize>i << 4), v128.load(table + (<usize>load<u32>(indices + (i << 2)) << 4)));
  }
}

// @ts-ignore: decorator
@inline
function isSet(bitmap: usize, i: u32): u32 {
  return (<u32>load<u8>(bitmap + (i >> 3)) >> (i & 7)) & 1;
}

/** Spreads `count` dense values in place over the rows of `n` whose bit is set; the others become 0. From the back. */
export function spread32(values: usize, bitmap: usize, n: u32, count: u32): void {
  let from = count;
  for (let i = n; i > from; ) {
    i -= 1;
    if (isSet(bitmap, i)) store<u32>(values + (i << 2), load<u32>(values + (--from << 2)));
    else store<u32>(values + (i << 2), 0);
  }
}

export function spread64(values: usize, bitmap: usize, n: u32, count: u32): void {
  let from = count;
  for (let i = n; i > from; ) {
    i -= 1;
    if (isSet(bitmap, i)) store<u64>(values + (i << 3), load<u64>(values + (--from << 3)));
    else store<u64>(values + (i << 3), 0);
  }
}

export function spread128(values: usize, bitmap: usize, n: u32, count: u32): void {
  let from = count;
  for (let i = n; i > from; ) {
    i -= 1;
    if (isSet(bitmap, i)) {
      from -= 1;
      v128.store(values + (<usize>i << 4), v128.load(values + (<usize>from << 4)));
    } else v128.store(values + (<usize>i << 4), i64x2.splat(0));
  }
}

export function spreadBits(values: usize, bitmap: usize, n: u32, count: u32): void {
  let from = count;
  for (let i = n; i > from; ) {
    i -= 1;
    let bit: u32 = 0;
    if (isSet(bitmap, i)) {
      from -= 1;
      bit = isSet(values, from);
    }
    const at = values + (i >> 3);
    store<u8>(at, (<u32>load<u8>(at) & ~(1 << (i & 7))) | (bit << (i & 7)));
  }
}

// Answers of the string kernels below 0.
// @ts-ignore: decorator
@inline const TRUNCATED: i32 = -1;
// @ts-ignore: decorator
@inline const BAD_LENGTH: i32 = -2;
// @ts-ignore: decorator
@inline const BAD_UTF8: i32 = -3;

/** One view. Loads up to 16 bytes past the value: buffers carry slack. */
// @ts-ignore: decorator
@inline
export function storeView(out: usize, bytes: usize, length: u32): void {
  if (length > 12) {
    store<u64>(out, <u64>length | (<u64>load<u32>(bytes) << 32));
    store<u64>(out, <u64>bytes << 32, 8);
  } else {
    // Bytes beyond the length are zero, so that equal views are equal bytes.
    const low = load<u64>(bytes);
    const high = <u64>load<u32>(bytes, 8);
    const lowMask: u64 = length >= 8 ? <u64>-1 : ((<u64>1) << (<u64>length << 3)) - 1;
    const highMask: u64 = length > 8 ? ((<u64>1) << (<u64>(length - 8) << 3)) - 1 : 0;
    const a = low & lowMask;
    const b = high & highMask;
    store<u64>(out, <u64>length | (a << 32));
    store<u64>(out, (a >> 32) | (b << 32), 8);
  }
}

/**
 * `n` byte arrays (u32 length, bytes) between `src` and `end` as views at `out`; `utf8` 1: each must be UTF-8.
 * Answers the bytes read, or below 0 what is wrong.
 */
export function plainViews(src: usize, end: usize, n: u32, utf8: u32, out: usize): i32 {
  let at = src;
  for (let i: u32 = 0; i < n; i++) {
    if (end - at < 4) return TRUNCATED;
    const length = load<u32>(at);
    at += 4;
    if (length > <u32>(end - at)) return BAD_LENGTH;
    if (utf8 && !isUtf8(at, length)) return BAD_UTF8;
    storeView(out + (<usize>i << 4), at, length);
    at += length;
  }
  return <i32>(at - src);
}

/** `n` values of `width` bytes as views. */
export function fixedViews(src: usize, n: u32, width: u32, utf8: u32, out: usize): i32 {
  for (let i: u32 = 0; i < n; i++) {
    const at = src + i * width;
    if (utf8 && !isUtf8(at, width)) return BAD_UTF8;
    storeView(out + (<usize>i << 4), at, width);
  }
  return 0;
}

/** `n` UUIDs of 16 bytes as text of 36 bytes at `text`, with views at `out`. */
export function uuidViews(src: usize, n: u32, text: usize, out: usize): void {
  let to = text;
  for (let i: u32 = 0; i < n; i++) {
    const start = to;
    for (let j: u32 = 0; j < 16; j++) {
      const byte = <u32>load<u8>(src + (i << 4) + j);
      if (j == 4 || j == 6 || j == 8 || j == 10) store<u8>(to++, 45);
      store<u8>(to++, hexDigit(byte >> 4));
      store<u8>(to++, hexDigit(byte & 15));
    }
    storeView(out + (<usize>i << 4), start, 36);
  }
}

// @ts-ignore: decorator
@inline
function hexDigit(v: u32): u8 {
  return <u8>(v < 10 ? 48 + v : 87 + v);
}

/** Bytes at `views[k]` into values of `width` bytes each (DELTA_BYTE_ARRAY of a FIXED_LEN_BYTE_ARRAY). */
export function viewsToFixed(views: usize, n: u32, width: u32, out: usize): i32 {
  for (let i: u32 = 0; i < n; i++) {
    const view = views + (<usize>i << 4);
    if (load<u32>(view) != width) return BAD_LENGTH;
    memory.copy(out + i * width, width > 12 ? <usize>load<u32>(view, 12) : view + 4, width);
  }
  return 0;
}

/** BYTE_STREAM_SPLIT: byte j of value i lies at j × n + i. */
export function unsplit(src: usize, n: u32, width: u32, out: usize): void {
  for (let j: u32 = 0; j < width; j++) {
    const from = src + j * n;
    let to = out + j;
    for (let i: u32 = 0; i < n; i++) {
      store<u8>(to, load<u8>(from + i));
      to += width;
    }
  }
}

/** Well-formed UTF-8 (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF. */
export function isUtf8(src: usize, length: u32): bool {
  let at = src;
  const end = src + length;
  while (at < end) {
    // Sixteen bytes at a time while they are ASCII.
    while (end - at >= 16 && !v128.any_true(v128.and(v128.load(at), i8x16.splat(-128)))) at += 16;
    while (at < end) {
      const a = <u32>load<u8>(at);
      if (a < 0x80) {
        at += 1;
        if (((at - src) & 15) == 0) break;
        continue;
      }
      const left = <u32>(end - at);
      if (a < 0xc2) return false;
      if (a < 0xe0) {
        if (left < 2 || !tail(at + 1)) return false;
        at += 2;
      } else if (a < 0xf0) {
        if (left < 3 || !tail(at + 1) || !tail(at + 2)) return false;
        const b = <u32>load<u8>(at, 1);
        if ((a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f)) return false;
        at += 3;
      } else if (a < 0xf5) {
        if (left < 4 || !tail(at + 1) || !tail(at + 2) || !tail(at + 3)) return false;
        const b = <u32>load<u8>(at, 1);
        if ((a == 0xf0 && b < 0x90) || (a == 0xf4 && b > 0x8f)) return false;
        at += 4;
      } else return false;
    }
  }
  return true;
}

// @ts-ignore: decorator
@inline
function tail(at: usize): bool {
  return (<u32>load<u8>(at) & 0xc0) == 0x80;
}
