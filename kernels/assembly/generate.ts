// Columns of the generator: value n of a column is a function of the column's seed and n alone, so any slot can make any
// range of rows. Chance is SplitMix64 (Steele, Lea, Flood 2014) read at position n.

// @ts-ignore: decorator
@inline
function draw(seed: u64, n: u64): u64 {
  let z = seed + n * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/** Uniform below `range`: by multiplication up to 2^32, by remainder beyond; 0 is the full 2^64. */
// @ts-ignore: decorator
@inline
function below(x: u64, range: u64): u64 {
  if (range <= 0x100000000) return range == 0 ? x : ((x >> 32) * range) >> 32;
  return x % range;
}

export function generateSequence32(out: usize, count: i32, first: i64, step: i64): void {
  let v = first;
  for (let k = 0; k < count; k++, v += step) store<i32>(out + (<usize>k << 2), <i32>v);
}

export function generateSequence64(out: usize, count: i32, first: i64, step: i64): void {
  let v = first;
  for (let k = 0; k < count; k++, v += step) store<i64>(out + (<usize>k << 3), v);
}

export function generateInt32(out: usize, count: i32, seed: u64, n: u64, min: i64, range: u64): void {
  for (let k = 0; k < count; k++) store<i32>(out + (<usize>k << 2), <i32>(min + <i64>below(draw(seed, n + <u64>k), range)));
}

export function generateInt64(out: usize, count: i32, seed: u64, n: u64, min: i64, range: u64): void {
  for (let k = 0; k < count; k++) store<i64>(out + (<usize>k << 3), min + <i64>below(draw(seed, n + <u64>k), range));
}

/** 53 random bits over [min, min + span). */
export function generateF64(out: usize, count: i32, seed: u64, n: u64, min: f64, span: f64): void {
  for (let k = 0; k < count; k++) {
    store<f64>(out + (<usize>k << 3), min + <f64>(draw(seed, n + <u64>k) >> 11) * 1.1102230246251565e-16 * span);
  }
}

/** start + floor(n × step) + a uniform delay below `disorder` (1: none). */
export function generateTime(out: usize, count: i32, seed: u64, n: u64, start: i64, step: f64, disorder: u64): void {
  if (disorder <= 1) {
    for (let k = 0; k < count; k++) store<i64>(out + (<usize>k << 3), start + <i64>floor<f64>(<f64>(n + <u64>k) * step));
    return;
  }
  for (let k = 0; k < count; k++) {
    const at = n + <u64>k;
    store<i64>(out + (<usize>k << 3), start + <i64>floor<f64>(<f64>at * step) + <i64>below(draw(seed, at), disorder));
  }
}

/** Bit firstBit + k is 1 where 53 random bits fall below `threshold`: booleans, and validity. */
export function generateBits(out: usize, firstBit: i32, count: i32, seed: u64, n: u64, threshold: u64): void {
  for (let k = 0; k < count; k++) {
    const bit = firstBit + k;
    const at = out + <usize>(bit >>> 3);
    const mask = <u32>1 << (bit & 7);
    const old = <u32>load<u8>(at);
    store<u8>(at, (draw(seed, n + <u64>k) >> 11) < threshold ? old | mask : old & ~mask);
  }
}

/** Eight decimal digits of x < 10^8 as ASCII, the first in the lowest byte (Mula's and Khuong's SWAR conversion). */
// @ts-ignore: decorator
@inline
function digits8(x: u32): u64 {
  const hi = x / 10000;
  const merged = <u64>hi | (<u64>(x - hi * 10000) << 32);
  const top = ((merged * 10486) >> 20) & 0x0000007f0000007f;
  const pairs = ((merged - 100 * top) << 16) + top;
  const tens = ((pairs * 103) >> 10) & 0x000f000f000f000f;
  return ((pairs - 10 * tens) << 8) + tens + 0x3030303030303030;
}

/**
 * Writes the decimal digits of a random integer below `range` (≤ 2^32), zero-padded to `digits`, into text that already
 * holds its prefix and zeros: row k's text ends at end + k × stride. `views` is not 0 when the text lies outside the
 * views: their 4-byte prefix is copied from the text's start, `length` before its end.
 */
export function generateText(
  end: usize, stride: u32, digits: i32, count: i32, seed: u64, n: u64, range: u64, views: usize, length: u32,
): void {
  for (let k = 0; k < count; k++) {
    const to = end + <usize>k * stride;
    const v = <u32>below(draw(seed, n + <u64>k), range);
    if (digits >= 8) {
      const hi = v / 100000000;
      store<u64>(to - 8, digits8(v - hi * 100000000));
      if (digits >= 10) {
        store<u16>(to - 10, <u16>(0x3030 + hi / 10 + ((hi % 10) << 8)));
      } else if (digits == 9) {
        store<u8>(to - 9, <u8>(0x30 + hi));
      }
    } else {
      let bytes = digits8(v) >> (<u64>(8 - digits) << 3);
      for (let at = to - <usize>digits; at < to; at++, bytes >>= 8) store<u8>(at, <u8>bytes);
    }
    if (views != 0) store<u32>(views + (<usize>k << 4) + 4, load<u32>(to - length));
  }
}
