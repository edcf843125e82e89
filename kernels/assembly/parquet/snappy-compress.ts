/**
 * Snappy's compressor for one fragment of at most 64 KB, after the reference (google/snappy, CompressFragment): a greedy
 * match by a hash of four bytes, skipping faster the longer nothing matches. A stream is its length as a varint, then
 * fragments one after another.
 */
// @ts-ignore: decorator
@inline const BITS: u32 = 14;

/** Bytes of the hash table. */
export function snappyTableBytes(): i32 {
  return 2 << BITS;
}

/** Compresses `n` bytes; `dst` has room for 32 + n + n / 6. Answers the bytes written. Loads up to 8 bytes past the source. */
export function snappyCompress(src: usize, n: u32, table: usize, dst: usize): u32 {
  let to = dst;
  let emitted: u32 = 0;
  if (n >= 15) {
    memory.fill(table, 0, 2 << BITS);
    const limit = n - 15;
    let at: u32 = 1;
    while (true) {
      let skip: u32 = 32;
      let next = at;
      let candidate: u32 = 0;
      do {
        at = next;
        const slot = table + (hash(load<u32>(src + at)) << 1);
        next = at + (skip >> 5);
        skip += 1;
        if (next > limit) break;
        candidate = load<u16>(slot);
        store<u16>(slot, <u16>at);
      } while (load<u32>(src + at) != load<u32>(src + candidate));
      if (next > limit) break;
      to = literal(src + emitted, at - emitted, to);
      do {
        const length = 4 + matchLength(src + candidate + 4, src + at + 4, src + n);
        to = copy(at - candidate, length, to);
        at += length;
        emitted = at;
        if (at >= limit) break;
        store<u16>(table + (hash(load<u32>(src + at - 1)) << 1), <u16>(at - 1));
        const slot = table + (hash(load<u32>(src + at)) << 1);
        candidate = load<u16>(slot);
        store<u16>(slot, <u16>at);
      } while (load<u32>(src + at) == load<u32>(src + candidate));
      if (at >= limit) break;
      at += 1;
    }
  }
  if (emitted < n) to = literal(src + emitted, n - emitted, to);
  return <u32>(to - dst);
}

// @ts-ignore: decorator
@inline
function hash(bytes: u32): usize {
  return (bytes * 0x1e35a7bd) >> (32 - BITS);
}

function matchLength(a: usize, b: usize, end: usize): u32 {
  const from = b;
  while (end - b >= 8) {
    const difference = load<u64>(a) ^ load<u64>(b);
    if (difference) return <u32>(b - from) + <u32>(ctz<u64>(difference) >> 3);
    a += 8;
    b += 8;
  }
  while (b < end && load<u8>(a) == load<u8>(b)) {
    a += 1;
    b += 1;
  }
  return <u32>(b - from);
}

function literal(from: usize, length: u32, to: usize): usize {
  const n = length - 1;
  if (n < 60) store<u8>(to++, <u8>(n << 2));
  else if (n < 256) {
    store<u8>(to, 60 << 2);
    store<u8>(to, <u8>n, 1);
    to += 2;
  } else {
    store<u8>(to, 61 << 2);
    store<u16>(to, <u16>n, 1);
    to += 3;
  }
  memory.copy(to, from, length);
  return to + length;
}

function copy(offset: u32, length: u32, to: usize): usize {
  while (length >= 68) {
    to = copy2(offset, 64, to);
    length -= 64;
  }
  if (length > 64) {
    to = copy2(offset, 60, to);
    length -= 60;
  }
  if (length < 12 && offset < 2048) {
    store<u8>(to, <u8>(1 | ((length - 4) << 2) | ((offset >> 8) << 5)));
    store<u8>(to, <u8>offset, 1);
    return to + 2;
  }
  return copy2(offset, length, to);
}

// @ts-ignore: decorator
@inline
function copy2(offset: u32, length: u32, to: usize): usize {
  store<u8>(to, <u8>(2 | ((length - 1) << 2)));
  store<u16>(to, <u16>offset, 1);
  return to + 3;
}
