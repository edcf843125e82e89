// Finite state entropy of Zstandard (RFC 8878, 4.1): distributions read, and made into decoding tables.
import { BAD_FSE, COUNTS, NCOUNT_LOG, NCOUNT_SYMBOLS, NEXT, SPREAD, TRUNCATED } from './zstd-context';

/** `count` bits (at most 57) that begin `at` bits behind `src`. A negative `at` reads junk; the caller checks. */
// @ts-ignore: decorator
@inline
export function bitsAt(src: usize, at: i32, count: i32): u32 {
  return <u32>(load<u64>(src + (at >> 3)) >> (at & 7)) & ((1 << count) - 1);
}

/** Brings one of the three sequence tables up to date; answers the bytes read. */
export function sequenceTable(
  c: usize, mode: u32, src: usize, end: usize, table: usize, logAt: usize, defaults: usize, defaultMax: i32, defaultLog: i32,
  logMax: i32, codes: usize,
): i32 {
  if (mode == 3) return load<i32>(c + logAt) < 0 ? BAD_FSE : 0;
  const symbolMax = codes == 0 ? 31 : defaultMax;
  if (mode == 1) {
    if (src >= end) return TRUNCATED;
    const symbol = <u32>load<u8>(src);
    if (symbol > <u32>symbolMax) return BAD_FSE;
    store<u64>(c + table, entryOf(c, codes, symbol, 0, 0));
    store<i32>(c + logAt, 0);
    return 1;
  }
  let used = 0;
  if (mode == 0) {
    memory.copy(c + COUNTS, c + defaults, (<usize>defaultMax + 1) << 1);
    store<u32>(c, defaultLog, NCOUNT_LOG);
    store<u32>(c, defaultMax + 1, NCOUNT_SYMBOLS);
  } else {
    used = readCounts(c, src, end, symbolMax, logMax);
    if (used < 0) return used;
  }
  if (!buildTable(c, c + table, codes)) return BAD_FSE;
  store<i32>(c + logAt, load<i32>(c, NCOUNT_LOG));
  return used;
}

// @ts-ignore: decorator
@inline
function entryOf(c: usize, codes: usize, symbol: u32, next: u32, nextBits: u32): u64 {
  let base: u32;
  let extra: u32;
  if (codes == 1) {
    base = symbol;
    extra = 0;
  } else if (codes == 0) {
    base = <u32>1 << symbol;
    extra = symbol;
  } else {
    const code = c + codes + (<usize>symbol << 3);
    base = load<u32>(code);
    extra = load<u32>(code, 4);
  }
  return <u64>next | (<u64>nextBits << 16) | (<u64>extra << 24) | (<u64>base << 32);
}

/** Reads a distribution (RFC 8878, 4.1.1) into COUNTS; answers the bytes read. */
export function readCounts(c: usize, src: usize, end: usize, symbolMax: i32, logMax: i32): i32 {
  const limit = <i32>min<usize>(end - src, 4096) << 3;
  if (limit < 8) return TRUNCATED;
  const log = (<i32>load<u8>(src) & 15) + 5;
  if (log > logMax) return BAD_FSE;
  let at = 4;
  let remaining = 1 << log;
  let symbol = 0;
  const counts = c + COUNTS;
  while (remaining > 0 && symbol <= symbolMax) {
    const bits = 32 - <i32>clz<u32>(remaining + 1);
    let value = <i32>bitsAt(src, at, bits);
    const low = (1 << (bits - 1)) - 1;
    const threshold = (1 << bits) - 1 - (remaining + 1);
    if ((value & low) < threshold) {
      at += bits - 1;
      value &= low;
    } else {
      at += bits;
      if (value > low) value -= threshold;
    }
    const probability = value - 1;
    remaining -= probability < 0 ? 1 : probability;
    store<i16>(counts + (<usize>symbol << 1), <i16>probability);
    symbol += 1;
    if (at > limit) return TRUNCATED;
    if (probability == 0) {
      while (true) {
        const repeat = <i32>bitsAt(src, at, 2);
        at += 2;
        if (at > limit) return TRUNCATED;
        if (symbol + repeat > symbolMax + 1) return BAD_FSE;
        for (let i = 0; i < repeat; i++) {
          store<i16>(counts + (<usize>symbol << 1), 0);
          symbol += 1;
        }
        if (repeat != 3) break;
      }
    }
  }
  if (remaining != 0) return BAD_FSE;
  store<u32>(c, log, NCOUNT_LOG);
  store<u32>(c, symbol, NCOUNT_SYMBOLS);
  return (at + 7) >> 3;
}

/** Makes the decoding table of COUNTS. */
export function buildTable(c: usize, table: usize, codes: usize): bool {
  const log = load<i32>(c, NCOUNT_LOG);
  const symbols = load<i32>(c, NCOUNT_SYMBOLS);
  const size: u32 = 1 << log;
  const counts = c + COUNTS;
  const next = c + NEXT;
  const spread = c + SPREAD;
  let high = size;
  for (let s = 0; s < symbols; s++) {
    const count = <i32>load<i16>(counts + (<usize>s << 1));
    if (count == -1) {
      if (high == 0) return false;
      high -= 1;
      store<u8>(spread + high, <u8>s);
      store<u16>(next + (<usize>s << 1), 1);
    } else store<u16>(next + (<usize>s << 1), <u16>count);
  }
  const step = (size >> 1) + (size >> 3) + 3;
  const mask = size - 1;
  let position: u32 = 0;
  for (let s = 0; s < symbols; s++) {
    const count = <i32>load<i16>(counts + (<usize>s << 1));
    for (let i = 0; i < count; i++) {
      store<u8>(spread + position, <u8>s);
      do position = (position + step) & mask;
      while (position >= high);
    }
  }
  if (position != 0) return false;
  for (let i: u32 = 0; i < size; i++) {
    const symbol = <u32>load<u8>(spread + i);
    const slot = next + (<usize>symbol << 1);
    const x = <u32>load<u16>(slot);
    store<u16>(slot, <u16>(x + 1));
    const bits: u32 = <u32>log - (31 - clz<u32>(x));
    store<u64>(table + (<usize>i << 3), entryOf(c, codes, symbol, (x << bits) - size, bits));
  }
  return true;
}
