// Columns of the generator: value n of a column is a function of the column's seed and n alone, so any slot can make any
// range of rows. Chance is SplitMix64 (Steele, Lea, Flood 2014) read at position n.

const gamma: u64 = 0x9e3779b97f4a7c15;

/** `draw` with seed + n × gamma at hand: neighbours differ by gamma. */
// @ts-ignore: decorator
@inline
function scramble(state: u64): u64 {
  let z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// @ts-ignore: decorator
@inline
function draw(seed: u64, n: u64): u64 {
  return scramble(seed + n * gamma);
}

/** Ranges up to this one are drawn by multiplication. */
const narrow: u64 = 0x100000000;

/** Uniform below `range`: by multiplication up to 2^32, by remainder beyond; 0 is the full 2^64. */
// @ts-ignore: decorator
@inline
function below(x: u64, range: u64): u64 {
  if (range <= narrow) return range == 0 ? x : ((x >> 32) * range) >> 32;
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
  if (range - 1 < narrow) {
    let state = seed + n * gamma;
    for (const end = out + (<usize>count << 2); out < end; out += 4, state += gamma) {
      store<i32>(out, <i32>(min + <i64>(((scramble(state) >> 32) * range) >> 32)));
    }
    return;
  }
  for (let k = 0; k < count; k++) store<i32>(out + (<usize>k << 2), <i32>(min + <i64>below(draw(seed, n + <u64>k), range)));
}

export function generateInt64(out: usize, count: i32, seed: u64, n: u64, min: i64, range: u64): void {
  if (range - 1 < narrow) {
    let state = seed + n * gamma;
    for (const end = out + (<usize>count << 3); out < end; out += 8, state += gamma) {
      store<i64>(out, min + <i64>(((scramble(state) >> 32) * range) >> 32));
    }
    return;
  }
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
  if (abs(<f64>(n + <u64>count) * step) >= exactBelow || <f64>n >= exactBelow) {
    for (let k = 0; k < count; k++) {
      const at = n + <u64>k;
      const delay = disorder <= 1 ? 0 : <i64>below(draw(seed, at), disorder);
      store<i64>(out + (<usize>k << 3), start + <i64>floor<f64>(<f64>at * step) + delay);
    }
    return;
  }
  // Numbers that f64 holds exactly: the floor's integer is read off the bits of its sum with `wholeOnly`.
  const from = start - reinterpret<i64>(wholeOnly);
  const end = out + (<usize>count << 3);
  let at = <f64>n;
  if (disorder <= 1) {
    for (; out < end; out += 8, at += 1) store<i64>(out, from + reinterpret<i64>(floor<f64>(at * step) + wholeOnly));
    return;
  }
  let state = seed + n * gamma;
  if (disorder <= narrow) {
    for (; out < end; out += 8, at += 1, state += gamma) {
      const delay = <i64>(((scramble(state) >> 32) * disorder) >> 32);
      store<i64>(out, from + reinterpret<i64>(floor<f64>(at * step) + wholeOnly) + delay);
    }
    return;
  }
  for (; out < end; out += 8, at += 1, state += gamma) {
    store<i64>(out, from + reinterpret<i64>(floor<f64>(at * step) + wholeOnly) + <i64>(scramble(state) % disorder));
  }
}

/** 1.5 × 2^52: whatever f64 of less than 2^51 is added to it, the sum's last bit counts ones. */
const wholeOnly: f64 = 6755399441055744;
const exactBelow: f64 = 2251799813685248;

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
