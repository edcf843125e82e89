/** Compression of the pages that the writer makes. Snappy is a kernel of ours, 64 KB at a time; the rest is node:zlib's. */
import * as zlib from 'node:zlib';
import { MillraceError } from '../../core/base/errors.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import { slackBytes } from './buffers.ts';
import { appendBytes, appendVarint, byteBuffer, contentOf } from './byte-buffer.ts';
import { Codec } from './format.ts';
import { parquetKernels } from './kernels.ts';

export interface Compressor {
  readonly codec: Codec;
  compress(bytes: Uint8Array): Uint8Array;
}

const fragmentBytes = 64 * 1024;

/** Errors: `option/invalid` for a codec that there is no encoder for. */
export function compressor(name: unknown, memory: SlotMemory): Compressor {
  switch (name) {
    case undefined:
    case 'snappy':
      return snappy(memory);
    case 'uncompressed':
      return { codec: Codec.uncompressed, compress: (bytes) => bytes };
    case 'gzip':
      return { codec: Codec.gzip, compress: (bytes) => zlib.gzipSync(bytes) };
    case 'brotli': {
      const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 };
      return { codec: Codec.brotli, compress: (bytes) => zlib.brotliCompressSync(bytes, { params }) };
    }
    case 'zstd': {
      // Node has it from 22.15.
      const zstd = (zlib as { zstdCompressSync?: (bytes: Uint8Array) => Uint8Array }).zstdCompressSync;
      if (zstd) return { codec: Codec.zstd, compress: zstd };
      throw new MillraceError(
        'option/invalid',
        "compression 'zstd' needs Node 22.15 to write; use 'snappy', 'gzip', 'brotli' or 'uncompressed'",
      );
    }
    default:
      throw new MillraceError(
        'option/invalid',
        `compression is 'snappy', 'gzip', 'brotli', 'zstd' or 'uncompressed', not ${JSON.stringify(name)}`,
      );
  }
}

function snappy(memory: SlotMemory): Compressor {
  const kernels = parquetKernels(memory);
  const purpose = 'compressing Parquet pages';
  const table = memory.arena.allocate(kernels.snappyTableBytes(), purpose);
  const from = memory.arena.allocate(fragmentBytes + slackBytes, purpose);
  const to = memory.arena.allocate(32 + fragmentBytes + fragmentBytes / 6 + slackBytes, purpose);
  return {
    codec: Codec.snappy,
    compress(bytes) {
      const out = byteBuffer(64 + bytes.length / 2);
      appendVarint(out, bytes.length);
      for (let at = 0; at < bytes.length; at += fragmentBytes) {
        const fragment = bytes.subarray(at, at + fragmentBytes);
        memory.u8.set(fragment, from);
        const size = kernels.snappyCompress(from, fragment.length, table, to);
        appendBytes(out, memory.u8.subarray(to, to + size));
      }
      return contentOf(out);
    },
  };
}
