// Literals of Zstandard: Huffman tables, and streams decoded by them, one or four at a time (RFC 8878, 4.2).
import { BAD_FSE, BAD_HUFFMAN, HUF, NCOUNT_LOG, TRUNCATED, WEIGHTS, WEIGHT_TABLE } from './zstd-context';
import { bitsAt, buildTable, readCounts } from './zstd-fse';

/** Reads the weights and fills HUF, always at 11 bits; answers the bytes read. */
export function readHuffmanTable(c: usize, from: usize, end: usize): i32 {
  let src = from;
  if (src >= end) return TRUNCATED;
  const weights = c + WEIGHTS;
  const header = <u32>load<u8>(src++);
  let count: u32 = 0;
  if (header >= 128) {
    count = header - 127;
    const bytes = (count + 1) >> 1;
    if (<u32>(end - src) < bytes) return TRUNCATED;
    for (let i: u32 = 0; i < count; i += 2) {
      const pair = load<u8>(src + (i >> 1));
      store<u8>(weights + i, pair >> 4);
      store<u8>(weights + i + 1, pair & 15);
    }
    src += bytes;
  } else {
    if (<u32>(end - src) < header || header == 0) return TRUNCATED;
    const stop = src + header;
    const used = readCounts(c, src, stop, 15, 6);
    if (used < 0) return used;
    if (!buildTable(c, c + WEIGHT_TABLE, 1)) return BAD_FSE;
    src += used;
    if (src >= stop) return TRUNCATED;
    const lastByte = <u32>load<u8>(stop - 1);
    if (lastByte == 0) return BAD_HUFFMAN;
    const log = load<i32>(c, NCOUNT_LOG);
    const table = c + WEIGHT_TABLE;
    let left = <i32>((stop - src - 1) << 3) + 31 - <i32>clz<u32>(lastByte);
    left -= log;
    let one = bitsAt(src, left, log);
    left -= log;
    let two = bitsAt(src, left, log);
    if (left < 0) return BAD_HUFFMAN;
    // Two states take turns until the bits run out; the state that could still be read gives the last weight.
    while (true) {
      if (count > 253) return BAD_HUFFMAN;
      const e1 = load<u64>(table + (<usize>one << 3));
      store<u8>(weights + count++, <u8>(e1 >> 32));
      const bits1 = <i32>(e1 >> 16) & 0xff;
      if (left < bits1) {
        store<u8>(weights + count++, <u8>(load<u64>(table + (<usize>two << 3)) >> 32));
        break;
      }
      left -= bits1;
      one = (<u32>e1 & 0xffff) + bitsAt(src, left, bits1);
      if (count > 253) return BAD_HUFFMAN;
      const e2 = load<u64>(table + (<usize>two << 3));
      store<u8>(weights + count++, <u8>(e2 >> 32));
      const bits2 = <i32>(e2 >> 16) & 0xff;
      if (left < bits2) {
        store<u8>(weights + count++, <u8>(load<u64>(table + (<usize>one << 3)) >> 32));
        break;
      }
      left -= bits2;
      two = (<u32>e2 & 0xffff) + bitsAt(src, left, bits2);
    }
    src = stop;
  }
  // The last weight is what is missing to a power of two.
  let sum: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const w = <u32>load<u8>(weights + i);
    if (w > 11) return BAD_HUFFMAN;
    if (w) sum += <u32>1 << (w - 1);
  }
  if (sum == 0) return BAD_HUFFMAN;
  const maxBits: u32 = 32 - clz<u32>(sum);
  if (maxBits > 11) return BAD_HUFFMAN;
  const missing = (<u32>1 << maxBits) - sum;
  if (missing & (missing - 1)) return BAD_HUFFMAN;
  store<u8>(weights + count++, <u8>(32 - clz<u32>(missing)));
  // Codes of one length lie together, the longest first; a code of weight w takes 2^(w-1) of 2^maxBits.
  const scale = 11 - maxBits;
  let at = c + HUF;
  for (let w: u32 = 1; w <= maxBits; w++) {
    const entries: u32 = <u32>1 << (w - 1 + scale);
    const bits: u32 = maxBits + 1 - w;
    for (let s: u32 = 0; s < count; s++) {
      if (<u32>load<u8>(weights + s) != w) continue;
      const entry = bits | (s << 8);
      for (let i: u32 = 0; i < entries; i++) store<u16>(at + (i << 1), <u16>entry);
      at += entries << 1;
    }
  }
  if (at != c + HUF + 4096) return BAD_HUFFMAN;
  return <i32>(src - from);
}

export function huffman1(table: usize, src: usize, end: usize, dst: usize, count: u32): i32 {
  if (src >= end) return TRUNCATED;
  const lastByte = <u32>load<u8>(end - 1);
  if (lastByte == 0) return BAD_HUFFMAN;
  return huffmanTail(table, src, <i32>((end - src - 1) << 3) + 31 - <i32>clz<u32>(lastByte), dst, dst + count);
}

/** Symbol by symbol until `dstEnd`; the stream must end there too. `left`: bits not yet read. */
function huffmanTail(table: usize, src: usize, left: i32, dst: usize, dstEnd: usize): i32 {
  while (dst < dstEnd) {
    const index = left >= 11
      ? <u32>(load<u64>(src + ((left - 11) >> 3)) >> ((left - 11) & 7))
      : <u32>(load<u64>(src) << (11 - left));
    const entry = <u32>load<u16>(table + ((index & 2047) << 1));
    store<u8>(dst++, <u8>(entry >> 8));
    left -= entry & 0xff;
    if (left < 0) return BAD_HUFFMAN;
  }
  return left == 0 ? 0 : BAD_HUFFMAN;
}

/**
 * Four streams side by side, five symbols of each between two loads, as libzstd's fast loop does: a container holds
 * the unread bits at its top, and the lowest set bit tells how many are gone.
 */
export function huffman4(table: usize, src: usize, end: usize, dst: usize, count: u32): i32 {
  if (end - src < 10 || count < 6) return BAD_HUFFMAN;
  const size1: usize = load<u16>(src);
  const size2: usize = load<u16>(src, 2);
  const size3: usize = load<u16>(src, 4);
  const start1 = src + 6;
  const start2 = start1 + size1;
  const start3 = start2 + size2;
  const start4 = start3 + size3;
  if (start4 >= end || !size1 || !size2 || !size3) return BAD_HUFFMAN;
  const segment: usize = (count + 3) >> 2;
  let o1 = dst;
  let o2 = dst + segment;
  let o3 = o2 + segment;
  let o4 = o3 + segment;
  const dstEnd = dst + count;
  if (o4 >= dstEnd) return BAD_HUFFMAN;
  const end1 = o2;
  const end2 = o3;
  const end3 = o4;
  const last1 = <u32>load<u8>(start2 - 1);
  const last2 = <u32>load<u8>(start3 - 1);
  const last3 = <u32>load<u8>(start4 - 1);
  const last4 = <u32>load<u8>(end - 1);
  if (!last1 || !last2 || !last3 || !last4) return BAD_HUFFMAN;
  let left1 = <i32>((size1 - 1) << 3) + 31 - <i32>clz<u32>(last1);
  let left2 = <i32>((size2 - 1) << 3) + 31 - <i32>clz<u32>(last2);
  let left3 = <i32>((size3 - 1) << 3) + 31 - <i32>clz<u32>(last3);
  let left4 = <i32>((end - start4 - 1) << 3) + 31 - <i32>clz<u32>(last4);

  if (size1 >= 8 && size2 >= 8 && size3 >= 8 && end - start4 >= 8) {
    let p1 = start2 - 8;
    let p2 = start3 - 8;
    let p3 = start4 - 8;
    let p4 = end - 8;
    let b1 = (load<u64>(p1) | 1) << (clz<u32>(last1) - 23);
    let b2 = (load<u64>(p2) | 1) << (clz<u32>(last2) - 23);
    let b3 = (load<u64>(p3) | 1) << (clz<u32>(last3) - 23);
    let b4 = (load<u64>(p4) | 1) << (clz<u32>(last4) - 23);
    while (true) {
      // A turn reads at most 7 bytes and writes 5 of each stream.
      let turns = min<usize>((dstEnd - o4) / 5, (p1 - start1) / 7);
      turns = min<usize>(turns, (p2 - start2) / 7);
      turns = min<usize>(turns, (p3 - start3) / 7);
      turns = min<usize>(turns, (p4 - start4) / 7);
      if (turns == 0) break;
      do {
        let e1: u64 = load<u16>(table + (<usize>(b1 >> 53) << 1));
        let e2: u64 = load<u16>(table + (<usize>(b2 >> 53) << 1));
        let e3: u64 = load<u16>(table + (<usize>(b3 >> 53) << 1));
        let e4: u64 = load<u16>(table + (<usize>(b4 >> 53) << 1));
        b1 <<= e1;
        b2 <<= e2;
        b3 <<= e3;
        b4 <<= e4;
        store<u8>(o1, <u8>(e1 >> 8));
        store<u8>(o2, <u8>(e2 >> 8));
        store<u8>(o3, <u8>(e3 >> 8));
        store<u8>(o4, <u8>(e4 >> 8));
        e1 = load<u16>(table + (<usize>(b1 >> 53) << 1));
        e2 = load<u16>(table + (<usize>(b2 >> 53) << 1));
        e3 = load<u16>(table + (<usize>(b3 >> 53) << 1));
        e4 = load<u16>(table + (<usize>(b4 >> 53) << 1));
        b1 <<= e1;
        b2 <<= e2;
        b3 <<= e3;
        b4 <<= e4;
        store<u8>(o1, <u8>(e1 >> 8), 1);
        store<u8>(o2, <u8>(e2 >> 8), 1);
        store<u8>(o3, <u8>(e3 >> 8), 1);
        store<u8>(o4, <u8>(e4 >> 8), 1);
        e1 = load<u16>(table + (<usize>(b1 >> 53) << 1));
        e2 = load<u16>(table + (<usize>(b2 >> 53) << 1));
        e3 = load<u16>(table + (<usize>(b3 >> 53) << 1));
        e4 = load<u16>(table + (<usize>(b4 >> 53) << 1));
        b1 <<= e1;
        b2 <<= e2;
        b3 <<= e3;
        b4 <<= e4;
        store<u8>(o1, <u8>(e1 >> 8), 2);
        store<u8>(o2, <u8>(e2 >> 8), 2);
        store<u8>(o3, <u8>(e3 >> 8), 2);
        store<u8>(o4, <u8>(e4 >> 8), 2);
        e1 = load<u16>(table + (<usize>(b1 >> 53) << 1));
        e2 = load<u16>(table + (<usize>(b2 >> 53) << 1));
        e3 = load<u16>(table + (<usize>(b3 >> 53) << 1));
        e4 = load<u16>(table + (<usize>(b4 >> 53) << 1));
        b1 <<= e1;
        b2 <<= e2;
        b3 <<= e3;
        b4 <<= e4;
        store<u8>(o1, <u8>(e1 >> 8), 3);
        store<u8>(o2, <u8>(e2 >> 8), 3);
        store<u8>(o3, <u8>(e3 >> 8), 3);
        store<u8>(o4, <u8>(e4 >> 8), 3);
        e1 = load<u16>(table + (<usize>(b1 >> 53) << 1));
        e2 = load<u16>(table + (<usize>(b2 >> 53) << 1));
        e3 = load<u16>(table + (<usize>(b3 >> 53) << 1));
        e4 = load<u16>(table + (<usize>(b4 >> 53) << 1));
        b1 <<= e1;
        b2 <<= e2;
        b3 <<= e3;
        b4 <<= e4;
        store<u8>(o1, <u8>(e1 >> 8), 4);
        store<u8>(o2, <u8>(e2 >> 8), 4);
        store<u8>(o3, <u8>(e3 >> 8), 4);
        store<u8>(o4, <u8>(e4 >> 8), 4);
        o1 += 5;
        o2 += 5;
        o3 += 5;
        o4 += 5;
        const z1 = ctz<u64>(b1);
        const z2 = ctz<u64>(b2);
        const z3 = ctz<u64>(b3);
        const z4 = ctz<u64>(b4);
        p1 -= <usize>(z1 >> 3);
        p2 -= <usize>(z2 >> 3);
        p3 -= <usize>(z3 >> 3);
        p4 -= <usize>(z4 >> 3);
        b1 = (load<u64>(p1) | 1) << (z1 & 7);
        b2 = (load<u64>(p2) | 1) << (z2 & 7);
        b3 = (load<u64>(p3) | 1) << (z3 & 7);
        b4 = (load<u64>(p4) | 1) << (z4 & 7);
      } while (--turns);
    }
    left1 = <i32>((p1 - start1) << 3) + 64 - <i32>ctz<u64>(b1);
    left2 = <i32>((p2 - start2) << 3) + 64 - <i32>ctz<u64>(b2);
    left3 = <i32>((p3 - start3) << 3) + 64 - <i32>ctz<u64>(b3);
    left4 = <i32>((p4 - start4) << 3) + 64 - <i32>ctz<u64>(b4);
  }
  let answer = huffmanTail(table, start1, left1, o1, end1);
  if (answer < 0) return answer;
  answer = huffmanTail(table, start2, left2, o2, end2);
  if (answer < 0) return answer;
  answer = huffmanTail(table, start3, left3, o3, end3);
  if (answer < 0) return answer;
  return huffmanTail(table, start4, left4, o4, dstEnd);
}
