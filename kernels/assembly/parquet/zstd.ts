/**
 * Zstandard (RFC 8878) into a buffer that holds the whole output, block by block, so that a caller can stop between
 * blocks. No dictionaries; content checksums are compared. It reads and writes only what its context names, but may load up
 * to 16 bytes before and after the source and store up to 32 bytes behind the destination: buffers carry that slack.
 */
import { xxh64 } from './xxhash64';
import {
  BAD_BLOCK, BAD_CHECKSUM, BAD_HEADER, BAD_LITERALS, BAD_MAGIC, BAD_SEQUENCE, BLOCK_MAX, CHECKSUM, CONTENT_SIZE, DST,
  DST_END, FRAME_START, HUF, HUF_READY, IN_FRAME, LITERALS, LL, LL_CODES, LL_DEFAULT, LL_LOG, ML, ML_CODES,
  ML_DEFAULT, ML_LOG, NEEDS_DICTIONARY, OF, OF_DEFAULT, OF_LOG, REP, SRC, SRC_END, TOO_LONG, TRUNCATED,
} from './zstd-context';
import { bitsAt, sequenceTable } from './zstd-fse';
import { huffman1, huffman4, readHuffmanTable } from './zstd-huffman';

/** Bytes of a context. */
export function zstdContextBytes(): i32 {
  return 20480 + 131072 + 128;
}

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
