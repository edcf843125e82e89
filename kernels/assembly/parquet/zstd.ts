/**
 * Zstandard (RFC 8878) into a buffer that holds the whole output, block by block, so that a caller can stop between
 * blocks. No dictionaries; content checksums are compared. It reads and writes only what its context names, but may load up
 * to 16 bytes before and after the source and store up to 32 bytes behind the destination: buffers carry that slack.
 *
 * The context (see `Zstd` in connectors/parquet/codec-layout.ts, same offsets) holds positions and the tables that live
 * from block to block. Constant tables are written there by the caller, because a module over a shared memory may have no
 * static data of its own.
 */

// Positions; all u32.
// @ts-ignore: decorator
@inline const SRC: usize = 0;
// @ts-ignore: decorator
@inline const SRC_END: usize = 4;
// @ts-ignore: decorator
@inline const DST: usize = 8;
// @ts-ignore: decorator
@inline const DST_END: usize = 12;
// @ts-ignore: decorator
@inline const FRAME_START: usize = 16;
// @ts-ignore: decorator
@inline const IN_FRAME: usize = 20;
// @ts-ignore: decorator
@inline const CHECKSUM: usize = 24;
// @ts-ignore: decorator
@inline const REP: usize = 28; // three u32
// @ts-ignore: decorator
@inline const HUF_READY: usize = 40;
// @ts-ignore: decorator
@inline const LL_LOG: usize = 44; // -1: no table yet
// @ts-ignore: decorator
@inline const OF_LOG: usize = 48;
// @ts-ignore: decorator
@inline const ML_LOG: usize = 52;
// @ts-ignore: decorator
@inline const NCOUNT_LOG: usize = 56; // results of readCounts
// @ts-ignore: decorator
@inline const NCOUNT_SYMBOLS: usize = 60;
// @ts-ignore: decorator
@inline const CONTENT_SIZE: usize = 64; // u64; all ones: unknown

// Tables.
// @ts-ignore: decorator
@inline const HUF: usize = 1024; // 2048 × u16 { bits, symbol }
// @ts-ignore: decorator
@inline const LL: usize = 5120; // 512 × { u16 next state, u8 its bits, u8 extra bits, u32 base }
// @ts-ignore: decorator
@inline const OF: usize = 9216; // 256 × the same
// @ts-ignore: decorator
@inline const ML: usize = 11264; // 512 × the same
// @ts-ignore: decorator
@inline const COUNTS: usize = 15360; // i16 × 256
// @ts-ignore: decorator
@inline const NEXT: usize = 15872; // u16 × 256
// @ts-ignore: decorator
@inline const WEIGHTS: usize = 16384; // u8 × 256 (+ slack)
// @ts-ignore: decorator
@inline const SPREAD: usize = 16896; // u8 × 512
// @ts-ignore: decorator
@inline const WEIGHT_TABLE: usize = 17408; // 64 × 8
// @ts-ignore: decorator
@inline const LL_CODES: usize = 17920; // 36 × { u32 base, u32 bits }
// @ts-ignore: decorator
@inline const ML_CODES: usize = 18208; // 53 × the same
// @ts-ignore: decorator
@inline const LL_DEFAULT: usize = 18688; // i16 × 36
// @ts-ignore: decorator
@inline const ML_DEFAULT: usize = 18816; // i16 × 53
// @ts-ignore: decorator
@inline const OF_DEFAULT: usize = 18944; // i16 × 29
// @ts-ignore: decorator
@inline const LITERALS: usize = 20480; // 128 KB + slack
// @ts-ignore: decorator
@inline const BLOCK_MAX: u32 = 131072;

/** Bytes of a context. */
export function zstdContextBytes(): i32 {
  return 20480 + 131072 + 128;
}

// Answers: 0 done, 1 stopped between blocks; below 0 what is wrong.
// @ts-ignore: decorator
@inline const TRUNCATED: i32 = -1;
// @ts-ignore: decorator
@inline const BAD_MAGIC: i32 = -2;
// @ts-ignore: decorator
@inline const BAD_HEADER: i32 = -3;
// @ts-ignore: decorator
@inline const TOO_LONG: i32 = -4;
// @ts-ignore: decorator
@inline const BAD_BLOCK: i32 = -5;
// @ts-ignore: decorator
@inline const BAD_LITERALS: i32 = -6;
// @ts-ignore: decorator
@inline const BAD_HUFFMAN: i32 = -7;
// @ts-ignore: decorator
@inline const BAD_FSE: i32 = -8;
// @ts-ignore: decorator
@inline const BAD_SEQUENCE: i32 = -9;
// @ts-ignore: decorator
@inline const BAD_CHECKSUM: i32 = -10;
// @ts-ignore: decorator
@inline const NEEDS_DICTIONARY: i32 = -11;

/** Begins at `src`; `dst` takes at most `dstBytes`. */
export function zstdBegin(c: usize, src: usize, srcBytes: u32, dst: usize, dstBytes: u32): void {
  store<u32>(c, src, SRC);
  store<u32>(c, src + srcBytes, SRC_END);
  store<u32>(c, dst, DST);
  store<u32>(c, dst + dstBytes, DST_END);
  store<u32>(c, 0, IN_FRAME);
}

/** Where the output ends by now. */
export function zstdPosition(c: usize): u32 {
  return load<u32>(c, DST);
}

/** Decodes blocks until about `budget` bytes are out or the source ends. */
export function zstdStep(c: usize, budget: u32): i32 {
  const from = load<u32>(c, DST);
  while (true) {
    if (load<u32>(c, IN_FRAME) == 0) {
      if (load<u32>(c, SRC) == load<u32>(c, SRC_END)) return 0;
      const answer = frameHeader(c);
      if (answer < 0) return answer;
    } else {
      const answer = block(c);
      if (answer < 0) return answer;
      if (load<u32>(c, DST) - from >= budget) return 1;
    }
  }
}

function frameHeader(c: usize): i32 {
  let src: usize = load<u32>(c, SRC);
  const end: usize = load<u32>(c, SRC_END);
  if (end - src < 5) return TRUNCATED;
  const magic = load<u32>(src);
  src += 4;
  if ((magic & 0xfffffff0) == 0x184d2a50) {
    // A skippable frame.
    if (end - src < 4) return TRUNCATED;
    const size = load<u32>(src);
    src += 4;
    if (<u32>(end - src) < size) return TRUNCATED;
    store<u32>(c, src + size, SRC);
    return 0;
  }
  if (magic != 0xfd2fb528) return BAD_MAGIC;
  const descriptor = <u32>load<u8>(src++);
  if (descriptor & 8) return BAD_HEADER;
  const single = (descriptor >> 5) & 1;
  const sizeFlag = descriptor >> 6;
  const dictionaryFlag = descriptor & 3;
  const dictionaryBytes: u32 = dictionaryFlag == 3 ? 4 : dictionaryFlag;
  const sizeBytes: u32 = sizeFlag == 0 ? single : <u32>1 << sizeFlag;
  const need: u32 = (1 - single) + dictionaryBytes + sizeBytes;
  if (<u32>(end - src) < need) return TRUNCATED;
  if (!single) src += 1; // The window does not matter: all output stays in reach.
  for (let i: u32 = 0; i < dictionaryBytes; i++) if (load<u8>(src + i)) return NEEDS_DICTIONARY;
  src += dictionaryBytes;
  let content: u64 = <u64>-1;
  if (sizeBytes == 1) content = load<u8>(src);
  else if (sizeBytes == 2) content = <u64>load<u16>(src) + 256;
  else if (sizeBytes == 4) content = load<u32>(src);
  else if (sizeBytes == 8) content = load<u64>(src);
  src += sizeBytes;
  if (content != <u64>-1 && content > <u64>(load<u32>(c, DST_END) - load<u32>(c, DST))) return TOO_LONG;
  store<u64>(c, content, CONTENT_SIZE);
  store<u32>(c, (descriptor >> 2) & 1, CHECKSUM);
  store<u32>(c, load<u32>(c, DST), FRAME_START);
  store<u32>(c, 1, REP);
  store<u32>(c, 4, REP + 4);
  store<u32>(c, 8, REP + 8);
  store<u32>(c, 0, HUF_READY);
  store<i32>(c, -1, LL_LOG);
  store<i32>(c, -1, OF_LOG);
  store<i32>(c, -1, ML_LOG);
  store<u32>(c, 1, IN_FRAME);
  store<u32>(c, src, SRC);
  return 0;
}

function block(c: usize): i32 {
  let src: usize = load<u32>(c, SRC);
  const end: usize = load<u32>(c, SRC_END);
  if (end - src < 3) return TRUNCATED;
  const header = <u32>load<u16>(src) | (<u32>load<u8>(src, 2) << 16);
  src += 3;
  const last = header & 1;
  const kind = (header >> 1) & 3;
  const size = header >> 3;
  const dst: usize = load<u32>(c, DST);
  const dstEnd: usize = load<u32>(c, DST_END);
  if (kind == 0) {
    if (<u32>(end - src) < size) return TRUNCATED;
    if (<u32>(dstEnd - dst) < size) return TOO_LONG;
    memory.copy(dst, src, size);
    src += size;
    store<u32>(c, dst + size, DST);
  } else if (kind == 1) {
    if (src >= end) return TRUNCATED;
    if (<u32>(dstEnd - dst) < size) return TOO_LONG;
    memory.fill(dst, load<u8>(src), size);
    src += 1;
    store<u32>(c, dst + size, DST);
  } else if (kind == 2) {
    if (<u32>(end - src) < size) return TRUNCATED;
    if (size > BLOCK_MAX) return BAD_BLOCK;
    const answer = compressedBlock(c, src, src + size);
    if (answer < 0) return answer;
    src += size;
  } else return BAD_BLOCK;
  if (last) {
    const start: usize = load<u32>(c, FRAME_START);
    const length = <u32>(<usize>load<u32>(c, DST) - start);
    const content = load<u64>(c, CONTENT_SIZE);
    if (content != <u64>-1 && content != <u64>length) return BAD_BLOCK;
    if (load<u32>(c, CHECKSUM)) {
      if (end - src < 4) return TRUNCATED;
      if (load<u32>(src) != <u32>xxh64(start, length)) return BAD_CHECKSUM;
      src += 4;
    }
    store<u32>(c, 0, IN_FRAME);
  }
  store<u32>(c, src, SRC);
  return 0;
}

function compressedBlock(c: usize, from: usize, end: usize): i32 {
  let src = from;
  if (end - src < 2) return TRUNCATED;
  // Literals.
  const first = <u32>load<u8>(src);
  const kind = first & 3;
  const format = (first >> 2) & 3;
  let literals: usize = c + LITERALS;
  let literalBytes: u32;
  const dst: usize = load<u32>(c, DST);
  const dstEnd: usize = load<u32>(c, DST_END);
  if (kind < 2) {
    if (format == 1) {
      literalBytes = (<u32>load<u16>(src)) >> 4;
      src += 2;
    } else if (format == 3) {
      if (end - src < 3) return TRUNCATED;
      literalBytes = (<u32>load<u16>(src) | (<u32>load<u8>(src, 2) << 16)) >> 4;
      src += 3;
    } else {
      literalBytes = first >> 3;
      src += 1;
    }
    if (literalBytes > BLOCK_MAX) return BAD_LITERALS;
    if (kind == 0) {
      if (<u32>(end - src) < literalBytes) return TRUNCATED;
      literals = src;
      src += literalBytes;
    } else {
      if (src >= end) return TRUNCATED;
      memory.fill(literals, load<u8>(src), literalBytes);
      src += 1;
    }
  } else {
    let packed: u32;
    if (end - src < 5) return TRUNCATED;
    const word = load<u64>(src);
    if (format < 2) {
      literalBytes = <u32>(word >> 4) & 0x3ff;
      packed = <u32>(word >> 14) & 0x3ff;
      src += 3;
    } else if (format == 2) {
      literalBytes = <u32>(word >> 4) & 0x3fff;
      packed = <u32>(word >> 18) & 0x3fff;
      src += 4;
    } else {
      literalBytes = <u32>(word >> 4) & 0x3ffff;
      packed = <u32>(word >> 22) & 0x3ffff;
      src += 5;
    }
    if (literalBytes > BLOCK_MAX) return BAD_LITERALS;
    if (<u32>(end - src) < packed) return TRUNCATED;
    const packedEnd = src + packed;
    if (kind == 2) {
      const used = readHuffmanTable(c, src, packedEnd);
      if (used < 0) return used;
      src += used;
      store<u32>(c, 1, HUF_READY);
    } else if (!load<u32>(c, HUF_READY)) return BAD_LITERALS;
    // Without sequences (one zero byte follows) the literals are the output.
    if (packedEnd + 1 == end && load<u8>(packedEnd) == 0 && <u32>(dstEnd - dst) >= literalBytes) literals = dst;
    const answer = format == 0
      ? huffman1(c + HUF, src, packedEnd, literals, literalBytes)
      : huffman4(c + HUF, src, packedEnd, literals, literalBytes);
    if (answer < 0) return answer;
    src = packedEnd;
  }

  // Sequences.
  if (src >= end) return TRUNCATED;
  let sequences = <u32>load<u8>(src++);
  if (sequences == 0) {
    if (src != end) return BAD_SEQUENCE;
    if (<u32>(dstEnd - dst) < literalBytes) return TOO_LONG;
    if (literals != dst) memory.copy(dst, literals, literalBytes);
    store<u32>(c, dst + literalBytes, DST);
    return 0;
  }
  if (sequences >= 128) {
    if (sequences == 255) {
      if (end - src < 2) return TRUNCATED;
      sequences = <u32>load<u16>(src) + 0x7f00;
      src += 2;
    } else {
      if (src >= end) return TRUNCATED;
      sequences = ((sequences - 128) << 8) + <u32>load<u8>(src++);
    }
  }
  if (src >= end) return TRUNCATED;
  const modes = <u32>load<u8>(src++);
  if (modes & 3) return BAD_SEQUENCE;
  let used = sequenceTable(c, (modes >> 6) & 3, src, end, LL, LL_LOG, LL_DEFAULT, 35, 6, 9, LL_CODES);
  if (used < 0) return used;
  src += used;
  used = sequenceTable(c, (modes >> 4) & 3, src, end, OF, OF_LOG, OF_DEFAULT, 28, 5, 8, 0);
  if (used < 0) return used;
  src += used;
  used = sequenceTable(c, (modes >> 2) & 3, src, end, ML, ML_LOG, ML_DEFAULT, 52, 6, 9, ML_CODES);
  if (used < 0) return used;
  src += used;
  if (src >= end) return TRUNCATED;
  return runSequences(c, sequences, src, end, literals, literalBytes);
}

function runSequences(c: usize, sequences: u32, src: usize, end: usize, from: usize, literalBytes: u32): i32 {
  const lastByte = <u32>load<u8>(end - 1);
  if (lastByte == 0) return BAD_SEQUENCE;
  // Bits that are left to read, counted from the start of the stream.
  let left = <i32>((end - src - 1) << 3) + 31 - <i32>clz<u32>(lastByte);
  const ll = c + LL;
  const offs = c + OF;
  const ml = c + ML;
  const llLog = load<i32>(c, LL_LOG);
  const ofLog = load<i32>(c, OF_LOG);
  const mlLog = load<i32>(c, ML_LOG);
  left -= llLog;
  let llState = bitsAt(src, left, llLog);
  left -= ofLog;
  let ofState = bitsAt(src, left, ofLog);
  left -= mlLog;
  let mlState = bitsAt(src, left, mlLog);
  if (left < 0) return BAD_SEQUENCE;
  let rep1 = load<u32>(c, REP);
  let rep2 = load<u32>(c, REP + 4);
  let rep3 = load<u32>(c, REP + 8);
  let literals = from;
  let literalsLeft = literalBytes;
  const frame: usize = load<u32>(c, FRAME_START);
  let dst: usize = load<u32>(c, DST);
  const dstEnd: usize = load<u32>(c, DST_END);

  while (true) {
    const llEntry = load<u64>(ll + (<usize>llState << 3));
    const ofEntry = load<u64>(offs + (<usize>ofState << 3));
    const mlEntry = load<u64>(ml + (<usize>mlState << 3));
    const llBits = <u32>(llEntry >> 24) & 0xff;
    const ofBits = <u32>(ofEntry >> 24) & 0xff;
    const mlBits = <u32>(mlEntry >> 24) & 0xff;
    let length: u32;
    let match: u32;
    let offset: u32;
    const bits = llBits + ofBits + mlBits;
    if (bits <= 57) {
      left -= bits;
      const word = load<u64>(src + (left >> 3)) >> (left & 7);
      length = <u32>(llEntry >> 32) + (<u32>word & ((1 << llBits) - 1));
      match = <u32>(mlEntry >> 32) + (<u32>(word >> llBits) & ((1 << mlBits) - 1));
      offset = <u32>(ofEntry >> 32) + (<u32>(word >> (llBits + mlBits)) & ((1 << ofBits) - 1));
    } else {
      left -= ofBits;
      offset = <u32>(ofEntry >> 32) + bitsAt(src, left, ofBits);
      left -= mlBits;
      match = <u32>(mlEntry >> 32) + bitsAt(src, left, mlBits);
      left -= llBits;
      length = <u32>(llEntry >> 32) + bitsAt(src, left, llBits);
    }
    if (offset > 3) {
      offset -= 3;
      rep3 = rep2;
      rep2 = rep1;
      rep1 = offset;
    } else {
      const which = offset - 1 + (length == 0 ? 1 : 0);
      if (which == 0) offset = rep1;
      else {
        if (which == 1) offset = rep2;
        else if (which == 2) offset = rep3;
        else offset = rep1 - 1;
        if (which != 1) rep3 = rep2;
        rep2 = rep1;
        rep1 = offset;
      }
    }
    sequences -= 1;
    if (sequences) {
      const llNext = <i32>(llEntry >> 16) & 0xff;
      const mlNext = <i32>(mlEntry >> 16) & 0xff;
      const ofNext = <i32>(ofEntry >> 16) & 0xff;
      left -= llNext + mlNext + ofNext;
      const word = <u32>(load<u64>(src + (left >> 3)) >> (left & 7));
      ofState = (<u32>ofEntry & 0xffff) + (word & ((1 << ofNext) - 1));
      mlState = (<u32>mlEntry & 0xffff) + ((word >> ofNext) & ((1 << mlNext) - 1));
      llState = (<u32>llEntry & 0xffff) + ((word >> (ofNext + mlNext)) & ((1 << llNext) - 1));
    }
    if (left < 0) return BAD_SEQUENCE;

    if (length > literalsLeft) return BAD_SEQUENCE;
    // length and match are below 2^17, so the sum cannot wrap.
    if (length + match > <u32>(dstEnd - dst)) return TOO_LONG;
    literalsLeft -= length;
    // Literals, 16 bytes at a time: source and destination have slack.
    v128.store(dst, v128.load(literals));
    if (length > 16) {
      let i: usize = 16;
      do {
        v128.store(dst + i, v128.load(literals + i));
        i += 16;
      } while (i < <usize>length);
    }
    dst += length;
    literals += length;
    // `offset` is 0 only when a repeated offset of 1 was lowered.
    if (offset == 0 || <usize>offset > dst - frame) return BAD_SEQUENCE;
    let copied: usize = 0;
    let distance: usize = offset;
    if (distance < 16) {
      // Widen the period to at least 16 bytes, byte by byte.
      while (distance < 16) distance += offset;
      const wide: usize = min<usize>(distance, match);
      for (let i: usize = 0; i < wide; i++) store<u8>(dst + i, load<u8>(dst + i - offset));
      copied = wide;
    }
    while (copied < <usize>match) {
      v128.store(dst + copied, v128.load(dst + copied - distance));
      copied += 16;
    }
    dst += match;
    if (sequences == 0) break;
  }
  if (left != 0) return BAD_SEQUENCE;
  if (literalsLeft > <u32>(dstEnd - dst)) return TOO_LONG;
  memory.copy(dst, literals, literalsLeft);
  store<u32>(c, dst + literalsLeft, DST);
  store<u32>(c, rep1, REP);
  store<u32>(c, rep2, REP + 4);
  store<u32>(c, rep3, REP + 8);
  return 0;
}

/** `count` bits (at most 57) that begin `at` bits behind `src`. A negative `at` reads junk; the caller checks. */
// @ts-ignore: decorator
@inline
function bitsAt(src: usize, at: i32, count: i32): u32 {
  return <u32>(load<u64>(src + (at >> 3)) >> (at & 7)) & ((1 << count) - 1);
}

/** Brings one of the three sequence tables up to date; answers the bytes read. */
function sequenceTable(
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
function readCounts(c: usize, src: usize, end: usize, symbolMax: i32, logMax: i32): i32 {
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
function buildTable(c: usize, table: usize, codes: usize): bool {
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

/** Reads the weights and fills HUF, always at 11 bits; answers the bytes read. */
function readHuffmanTable(c: usize, from: usize, end: usize): i32 {
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

function huffman1(table: usize, src: usize, end: usize, dst: usize, count: u32): i32 {
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
function huffman4(table: usize, src: usize, end: usize, dst: usize, count: u32): i32 {
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

// xxHash64 with seed 0 (https://github.com/Cyan4973/xxHash, specification 0.1.1), for content checksums.
// @ts-ignore: decorator
@inline const P1: u64 = 0x9e3779b185ebca87;
// @ts-ignore: decorator
@inline const P2: u64 = 0xc2b2ae3d27d4eb4f;
// @ts-ignore: decorator
@inline const P3: u64 = 0x165667b19e3779f9;
// @ts-ignore: decorator
@inline const P4: u64 = 0x85ebca77c2b2ae63;
// @ts-ignore: decorator
@inline const P5: u64 = 0x27d4eb2f165667c5;

// @ts-ignore: decorator
@inline
function round(acc: u64, lane: u64): u64 {
  return rotl<u64>(acc + lane * P2, 31) * P1;
}

export function xxh64(from: usize, length: u32): u64 {
  let at = from;
  const end = from + length;
  let h: u64;
  if (length >= 32) {
    let a: u64 = P1 + P2;
    let b: u64 = P2;
    let d: u64 = 0;
    let e: u64 = 0 - P1;
    do {
      a = round(a, load<u64>(at));
      b = round(b, load<u64>(at, 8));
      d = round(d, load<u64>(at, 16));
      e = round(e, load<u64>(at, 24));
      at += 32;
    } while (end - at >= 32);
    h = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(d, 12) + rotl<u64>(e, 18);
    h = (h ^ round(0, a)) * P1 + P4;
    h = (h ^ round(0, b)) * P1 + P4;
    h = (h ^ round(0, d)) * P1 + P4;
    h = (h ^ round(0, e)) * P1 + P4;
  } else h = P5;
  h += length;
  while (end - at >= 8) {
    h = rotl<u64>(h ^ round(0, load<u64>(at)), 27) * P1 + P4;
    at += 8;
  }
  if (end - at >= 4) {
    h = rotl<u64>(h ^ (<u64>load<u32>(at) * P1), 23) * P2 + P3;
    at += 4;
  }
  while (at < end) h = rotl<u64>(h ^ (<u64>load<u8>(at++) * P5), 11) * P1;
  h = (h ^ (h >> 33)) * P2;
  h = (h ^ (h >> 29)) * P3;
  return h ^ (h >> 32);
}
