/**
 * Decompression of one page from slot memory into slot memory, in steps. Zstandard, Snappy and LZ4 are kernels of ours;
 * gzip and Brotli are node:zlib's. Output is bounded by what the page header claims; more or less is damage.
 */
import { brotliDecompressSync, unzipSync } from 'node:zlib';
import type { SlotMemory } from '../../core/record/memory.ts';
import { Damage } from './damage.ts';
import { Codec, codecNames } from './format.ts';
import type { ParquetKernels } from './kernels.ts';

/** Output bytes after which a step pauses. */
const stepBytes = 256 * 1024;

export interface Decompressor {
  /** `src` and `dst` have slack around them (see kernels/assembly/parquet/zstd.ts). */
  begin(codec: number, src: number, srcBytes: number, dst: number, dstBytes: number): void;
  /** True when the page is whole. Errors: `Damage`. */
  step(): boolean;
}

/** Codecs that can be read; the others' names go into the error. */
export function isCodecKnown(codec: number): boolean {
  return codec >= 0 && codec <= Codec.lz4Raw && codec !== Codec.lzo;
}

export function decompressor(memory: SlotMemory, kernels: ParquetKernels): Decompressor {
  const context = memory.arena.allocate(kernels.zstdContextBytes(), 'Parquet decompression tables');
  writeTables(memory, context);
  const state = memory.arena.allocate(64, 'Parquet decompression');
  let codec = 0;
  let from = 0;
  let fromBytes = 0;
  let to = 0;
  let toBytes = 0;

  const finish = (position: number): void => {
    if (position >>> 0 !== to + toBytes) {
      throw new Damage(`${codecNames[codec]} gave ${(position >>> 0) - to} bytes, the page header says ${toBytes}`);
    }
  };
  const blockStep = (kernel: (state: number, budget: number) => number): boolean => {
    const answer = kernel(state, stepBytes);
    if (answer < 0) throw new Damage(`${codecNames[codec]}: ${failures[-answer] ?? answer}`);
    if (answer === 1) return false;
    finish(kernels.blocksPosition(state));
    return true;
  };
  const native = (unpack: (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array): boolean => {
    const bytes = inflate(unpack, memory.u8.subarray(from, from + fromBytes), toBytes);
    memory.u8.set(bytes, to);
    finish(to + bytes.length);
    return true;
  };

  return {
    begin(ofCodec, src, srcBytes, dst, dstBytes) {
      codec = ofCodec;
      from = src;
      fromBytes = srcBytes;
      to = dst;
      toBytes = dstBytes;
      if (codec === Codec.zstd) kernels.zstdBegin(context, src, srcBytes, dst, dstBytes);
      else kernels.blocksBegin(state, src, srcBytes, dst, dstBytes);
      if (codec === Codec.snappy) {
        const length = kernels.snappyLength(state);
        if (length !== BigInt(dstBytes)) throw new Damage(`SNAPPY says ${length} bytes, the page header ${dstBytes}`);
      }
    },
    step() {
      switch (codec) {
        case Codec.zstd: {
          const answer = kernels.zstdStep(context, stepBytes);
          if (answer < 0) throw new Damage(`ZSTD: ${failures[-answer] ?? answer}`);
          if (answer === 1) return false;
          finish(kernels.zstdPosition(context));
          return true;
        }
        case Codec.snappy:
          return blockStep(kernels.snappyStep);
        case Codec.lz4Raw:
          return blockStep(kernels.lz4Step);
        case Codec.lz4Hadoop: {
          if (!hadoopFrames(memory, kernels, state, from, fromBytes, to, toBytes)) {
            // Not in Hadoop's frames: some writers put a raw block here.
            kernels.blocksBegin(state, from, fromBytes, to, toBytes);
            codec = Codec.lz4Raw;
            return false;
          }
          return true;
        }
        case Codec.gzip:
          return native(unzipSync);
        case Codec.brotli:
          return native(brotliDecompressSync);
        default:
          throw new Damage(`codec ${codecNames[codec] ?? codec} cannot be read`);
      }
    },
  };
}

function inflate(
  unpack: (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array,
  bytes: Uint8Array,
  most: number,
): Uint8Array {
  try {
    return unpack(bytes, { maxOutputLength: Math.max(1, most) });
  } catch (error) {
    const tooLong = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    throw new Damage(
      tooLong ? `it unpacks to more than the ${most} bytes of the page header` : (error as Error).message,
    );
  }
}

/** Frames of `{u32be unpacked, u32be packed, block}`, as Hadoop's LZ4 codec writes them; false: it is something else. */
function hadoopFrames(
  memory: SlotMemory,
  kernels: ParquetKernels,
  state: number,
  from: number,
  fromBytes: number,
  to: number,
  toBytes: number,
): boolean {
  const view = new DataView(memory.buffer as ArrayBuffer, from, fromBytes);
  let at = 0;
  let out = 0;
  while (at < fromBytes) {
    if (fromBytes - at < 8) return false;
    const unpacked = view.getUint32(at, false);
    const packed = view.getUint32(at + 4, false);
    at += 8;
    if (packed > fromBytes - at || unpacked > toBytes - out) return false;
    kernels.blocksBegin(state, from + at, packed, to + out, unpacked);
    let answer = 1;
    while (answer === 1) answer = kernels.lz4Step(state, stepBytes);
    if (answer < 0 || kernels.blocksPosition(state) >>> 0 !== to + out + unpacked) return false;
    at += packed;
    out += unpacked;
  }
  return out === toBytes;
}

/** By the negative of the kernels' answers. */
const failures: Readonly<Record<number, string>> = {
  1: 'it ends too early',
  2: 'this is no such frame',
  3: 'the header is damaged',
  4: 'it unpacks to more than the page header says',
  5: 'a block is damaged',
  6: 'the literals are damaged',
  7: 'a Huffman table or stream is damaged',
  8: 'an FSE table is damaged',
  9: 'a copy reaches outside of what is unpacked',
  10: 'the checksum of the content differs',
  11: 'it needs a dictionary',
};

// Zstandard's constant tables (RFC 8878, 3.1.1.3.2), at the offsets of kernels/assembly/parquet/zstd-context.ts.
const literalBases = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024,
  2048, 4096, 8192, 16384, 32768, 65536,
];
const literalBits = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
];
const matchBases = [
  ...Array.from({ length: 32 }, (_, i) => i + 3),
  ...[35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539],
];
const matchBits = [
  ...new Array<number>(32).fill(0),
  ...[1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
];
const literalDefaults = [
  4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1,
];
const matchDefaults = [
  1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
];
const offsetDefaults = [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1];

function writeTables(memory: SlotMemory, context: number): void {
  const pairs = (at: number, bases: readonly number[], bits: readonly number[]): void => {
    for (let i = 0; i < bases.length; i++) {
      memory.u32[((context + at) >>> 2) + 2 * i] = bases[i] as number;
      memory.u32[((context + at) >>> 2) + 2 * i + 1] = bits[i] as number;
    }
  };
  pairs(17920, literalBases, literalBits);
  pairs(18208, matchBases, matchBits);
  const shorts = (at: number, values: readonly number[]): void => {
    new Int16Array(memory.buffer, context + at, values.length).set(values);
  };
  shorts(18688, literalDefaults);
  shorts(18816, matchDefaults);
  shorts(18944, offsetDefaults);
}
