/**
 * Snappy (raw) and LZ4 (raw block): both are literals and copies. They stop after `budget` bytes of output and go on
 * where they were: the state is `{ u32 src, u32 end, u32 dst, u32 dstStart, u32 dstEnd }`. Copies may store 32 bytes
 * past the destination and load 16 past the source: buffers carry slack.
 */
// @ts-ignore: decorator
@inline const TRUNCATED: i32 = -1;
// @ts-ignore: decorator
@inline const TOO_LONG: i32 = -4;
// @ts-ignore: decorator
@inline const BAD_COPY: i32 = -9;
// @ts-ignore: decorator
@inline const BAD_HEADER: i32 = -3;

export function blocksBegin(c: usize, src: usize, srcBytes: u32, dst: usize, dstBytes: u32): void {
  store<u32>(c, src);
  store<u32>(c, src + srcBytes, 4);
  store<u32>(c, dst, 8);
  store<u32>(c, dst, 12);
  store<u32>(c, dst + dstBytes, 16);
}

export function blocksPosition(c: usize): u32 {
  return load<u32>(c, 8);
}

/** Reads Snappy's length; answers it, or −1. */
export function snappyLength(c: usize): i64 {
  let src: usize = load<u32>(c);
  const end: usize = load<u32>(c, 4);
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 35; shift += 7) {
    if (src >= end) return -1;
    const byte = <u64>load<u8>(src++);
    value |= (byte & 127) << shift;
    if (byte < 128) {
      store<u32>(c, src);
      return value > 0xffffffff ? -1 : <i64>value;
    }
  }
  return -1;
}

/** 0 done, 1 stopped, below 0 what is wrong. */
export function snappyStep(c: usize, budget: u32): i32 {
  let src: usize = load<u32>(c);
  const end: usize = load<u32>(c, 4);
  let dst: usize = load<u32>(c, 8);
  const start: usize = load<u32>(c, 12);
  const dstEnd: usize = load<u32>(c, 16);
  const from = dst;
  while (src < end) {
    if (<u32>(dst - from) >= budget) {
      store<u32>(c, src);
      store<u32>(c, dst, 8);
      return 1;
    }
    const tag = <u32>load<u8>(src++);
    const kind = tag & 3;
    if (kind == 0) {
      let length = tag >> 2;
      if (length >= 60) {
        const bytes = length - 59;
        if (<u32>(end - src) < bytes) return TRUNCATED;
        length = load<u32>(src) & (<u32>-1 >> (32 - (bytes << 3)));
        src += bytes;
        if (length == <u32>-1) return TOO_LONG;
      }
      length += 1;
      if (length > <u32>(end - src)) return TRUNCATED;
      if (length > <u32>(dstEnd - dst)) return TOO_LONG;
      if (length <= 16) v128.store(dst, v128.load(src));
      else memory.copy(dst, src, length);
      dst += length;
      src += length;
    } else {
      let length: u32;
      let offset: u32;
      if (kind == 1) {
        if (src >= end) return TRUNCATED;
        length = ((tag >> 2) & 7) + 4;
        offset = ((tag >> 5) << 8) | <u32>load<u8>(src);
        src += 1;
      } else if (kind == 2) {
        if (end - src < 2) return TRUNCATED;
        length = (tag >> 2) + 1;
        offset = load<u16>(src);
        src += 2;
      } else {
        if (end - src < 4) return TRUNCATED;
        length = (tag >> 2) + 1;
        offset = load<u32>(src);
        src += 4;
      }
      if (offset == 0 || offset > <u32>(dst - start)) return BAD_COPY;
      if (length > <u32>(dstEnd - dst)) return TOO_LONG;
      copyMatch(dst, offset, length);
      dst += length;
    }
  }
  store<u32>(c, src);
  store<u32>(c, dst, 8);
  return 0;
}

/** 0 done, 1 stopped, below 0 what is wrong. */
export function lz4Step(c: usize, budget: u32): i32 {
  let src: usize = load<u32>(c);
  const end: usize = load<u32>(c, 4);
  let dst: usize = load<u32>(c, 8);
  const start: usize = load<u32>(c, 12);
  const dstEnd: usize = load<u32>(c, 16);
  const from = dst;
  while (src < end) {
    if (<u32>(dst - from) >= budget) {
      store<u32>(c, src);
      store<u32>(c, dst, 8);
      return 1;
    }
    const token = <u32>load<u8>(src++);
    let length: u64 = token >> 4;
    if (length == 15) {
      while (true) {
        if (src >= end) return TRUNCATED;
        const byte = <u64>load<u8>(src++);
        length += byte;
        if (byte != 255) break;
      }
    }
    if (length > <u64>(end - src)) return TRUNCATED;
    if (length > <u64>(dstEnd - dst)) return TOO_LONG;
    if (length <= 16) v128.store(dst, v128.load(src));
    else memory.copy(dst, src, <usize>length);
    dst += <usize>length;
    src += <usize>length;
    if (src >= end) break; // The last sequence has literals only.
    if (end - src < 2) return TRUNCATED;
    const offset = <u32>load<u16>(src);
    src += 2;
    let match: u64 = token & 15;
    if (match == 15) {
      while (true) {
        if (src >= end) return TRUNCATED;
        const byte = <u64>load<u8>(src++);
        match += byte;
        if (byte != 255) break;
      }
    }
    match += 4;
    if (offset == 0 || offset > <u32>(dst - start)) return BAD_COPY;
    if (match > <u64>(dstEnd - dst)) return TOO_LONG;
    copyMatch(dst, offset, <u32>match);
    dst += <usize>match;
  }
  store<u32>(c, src);
  store<u32>(c, dst, 8);
  return 0;
}

/** Copies `length` bytes from `offset` before `dst`; the two may overlap. */
// @ts-ignore: decorator
@inline
export function copyMatch(dst: usize, offset: u32, length: u32): void {
  let copied: u32 = 0;
  let distance: usize = offset;
  if (distance < 16) {
    while (distance < 16) distance += offset;
    copied = min<u32>(<u32>distance, length);
    for (let i: u32 = 0; i < copied; i++) store<u8>(dst + i, load<u8>(dst + i - offset));
  }
  while (copied < length) {
    v128.store(dst + copied, v128.load(dst + copied - distance));
    copied += 16;
  }
}
