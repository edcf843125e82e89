// Columns copied and summed at the edges of the engine: what Arrow buffers and sinks need.

/** Wrapping sum of the n u64 at `from`. */
export function sumU64(from: usize, n: i32): u64 {
  let sum: u64 = 0;
  for (let k = 0; k < n; k++) sum += load<u64>(from + (<usize>k << 3));
  return sum;
}

/** The same with a sign: rows whose kind (0 +I, 1 -U, 2 +U, 3 -D) takes away count negative. */
export function sumU64Signed(from: usize, kinds: usize, rows: usize, n: i32): u64 {
  let sum: u64 = 0;
  for (let k = 0; k < n; k++) {
    const row = rows == 0 ? <u32>k : load<u32>(rows + (<usize>k << 2));
    const v = load<u64>(from + (<usize>k << 3));
    sum += load<u8>(kinds + row) & 1 ? 0 - v : v;
  }
  return sum;
}

/**
 * Copies n bits from bit `firstBit` of `from` to bit 0 of `to`. The source has at least the bytes that hold its bits;
 * bits beyond n in the last byte written are 0. Answers how many of the n are 0.
 */
export function copyBits(from: usize, firstBit: u32, to: usize, n: i32): i32 {
  from += <usize>(firstBit >>> 3);
  const shift = <u64>(firstBit & 7);
  const bytes = (n + 7) >>> 3;
  const last = (<u32>n + <u32>shift + 7) >>> 3; // bytes of the source that hold the bits
  let ones = 0;
  let at = 0;
  // Eight bytes at once while nine may be read.
  for (; at + 8 < bytes; at += 8) {
    let bits = load<u64>(from + at) >> shift;
    if (shift != 0) bits |= <u64>load<u8>(from + at + 8) << (64 - shift);
    store<u64>(to + at, bits);
    ones += <i32>popcnt(bits);
  }
  for (; at < bytes; at++) {
    let bits = <u32>load<u8>(from + at);
    if (<u32>at + 1 < last) bits |= <u32>load<u8>(from + at + 1) << 8;
    bits = (bits >>> <u32>shift) & 0xff;
    if (at == bytes - 1 && (n & 7) != 0) bits &= ((<u32>1 << (n & 7)) - 1);
    store<u8>(to + at, <u8>bits);
    ones += <i32>popcnt(bits);
  }
  return n - ones;
}

/**
 * n views of texts at bytes + offsets[k] … bytes + offsets[k + 1]: Arrow's Utf8 with i32 offsets at `offsets`, less
 * `base`. The offsets ascend and stay below the bytes there are (the caller saw to it).
 */
export function viewsOfOffsets(offsets: usize, base: i32, bytes: usize, n: i32, views: usize): void {
  let from = load<i32>(offsets);
  for (let k = 0; k < n; k++) {
    const to = load<i32>(offsets + (<usize>(k + 1) << 2));
    const length = <u32>(to - from);
    const at = bytes + <usize>(from - base);
    const view = views + (<usize>k << 4);
    store<u32>(view, length);
    if (length > 12) {
      store<u32>(view + 4, load<u32>(at));
      store<u32>(view + 8, 0);
      store<u32>(view + 12, <u32>at);
    } else {
      store<u32>(view + 4, 0);
      store<u64>(view + 8, 0);
      for (let i: usize = 0; i < length; i++) store<u8>(view + 4 + i, load<u8>(at + i));
    }
    from = to;
  }
}

/** Whether n + 1 i32 offsets ascend from `low` or above and end at `high` or below: 1, or 0. */
export function offsetsAscend(offsets: usize, n: i32, low: i32, high: i32): i32 {
  let from = load<i32>(offsets);
  if (from < low) return 0;
  for (let k = 1; k <= n; k++) {
    const to = load<i32>(offsets + (<usize>k << 2));
    if (to < from) return 0;
    from = to;
  }
  return from <= high ? 1 : 0;
}

/** Whether n u32 are all below `limit`: 1, or 0. */
export function codesBelow(codes: usize, n: i32, limit: u32): i32 {
  let most: u32 = 0;
  for (let k = 0; k < n; k++) {
    const v = load<u32>(codes + (<usize>k << 2));
    if (v > most) most = v;
  }
  return n == 0 || most < limit ? 1 : 0;
}

export function widenI8(from: usize, to: usize, n: i32): void {
  for (let k = 0; k < n; k++) store<i32>(to + (<usize>k << 2), <i32>load<i8>(from + k));
}
export function widenU8(from: usize, to: usize, n: i32): void {
  for (let k = 0; k < n; k++) store<i32>(to + (<usize>k << 2), <i32>load<u8>(from + k));
}
export function widenI16(from: usize, to: usize, n: i32): void {
  for (let k = 0; k < n; k++) store<i32>(to + (<usize>k << 2), <i32>load<i16>(from + (<usize>k << 1)));
}
export function widenU16(from: usize, to: usize, n: i32): void {
  for (let k = 0; k < n; k++) store<i32>(to + (<usize>k << 2), <i32>load<u16>(from + (<usize>k << 1)));
}
export function widenI32(from: usize, to: usize, n: i32): void {
  for (let k = 0; k < n; k++) store<i64>(to + (<usize>k << 3), <i64>load<i32>(from + (<usize>k << 2)));
}
export function widenU32(from: usize, to: usize, n: i32): void {
  for (let k = 0; k < n; k++) store<i64>(to + (<usize>k << 3), <i64>load<u32>(from + (<usize>k << 2)));
}
export function widenF32(from: usize, to: usize, n: i32): void {
  for (let k = 0; k < n; k++) store<f64>(to + (<usize>k << 3), <f64>load<f32>(from + (<usize>k << 2)));
}

/** Copies the view of each code: a dictionary-coded column made plain. The codes are below the dictionary's count. */
export function viewsOfCodes(codes: usize, dictionary: usize, n: i32, views: usize): void {
  for (let k = 0; k < n; k++) {
    const from = dictionary + (<usize>load<u32>(codes + (<usize>k << 2)) << 4);
    const to = views + (<usize>k << 4);
    store<u64>(to, load<u64>(from));
    store<u64>(to + 8, load<u64>(from + 8));
  }
}

/** ANDs n bits of `b` into `a`, both from bit 0. */
export function andBits(a: usize, b: usize, n: i32): void {
  const bytes = (n + 7) >>> 3;
  for (let i = 0; i < bytes; i++) store<u8>(a + i, load<u8>(a + i) & load<u8>(b + i));
}

// ── rows of which a column equals one value each: others[k] for the k-th row; their numbers go to `out` ──

export function rowsEqualI64(values: usize, rows: usize, n: i32, others: usize, out: usize): i32 {
  let count: usize = 0;
  for (let k = 0; k < n; k++) {
    const row = rows == 0 ? <u32>k : load<u32>(rows + (<usize>k << 2));
    store<u32>(out + (count << 2), row);
    count += <usize>(load<i64>(values + (<usize>row << 3)) == load<i64>(others + (<usize>k << 3)));
  }
  return <i32>count;
}
export function rowsEqualI32(values: usize, rows: usize, n: i32, others: usize, out: usize): i32 {
  let count: usize = 0;
  for (let k = 0; k < n; k++) {
    const row = rows == 0 ? <u32>k : load<u32>(rows + (<usize>k << 2));
    store<u32>(out + (count << 2), row);
    count += <usize>(load<i32>(values + (<usize>row << 2)) == load<i32>(others + (<usize>k << 2)));
  }
  return <i32>count;
}
/** NaN equals NaN, and -0 equals 0. */
export function rowsEqualF64(values: usize, rows: usize, n: i32, others: usize, out: usize): i32 {
  let count: usize = 0;
  for (let k = 0; k < n; k++) {
    const row = rows == 0 ? <u32>k : load<u32>(rows + (<usize>k << 2));
    store<u32>(out + (count << 2), row);
    const a = load<f64>(values + (<usize>row << 3));
    const b = load<f64>(others + (<usize>k << 3));
    count += <usize>(a == b || (a != a && b != b));
  }
  return <i32>count;
}
