/**
 * How a checkpoint file lies on disk. One participant's state at one checkpoint, or what of it had changed since. All
 * integers are little-endian; positions are byte offsets divided by 8.
 *
 *   0            header    64 bytes: "MILLRACE", {u32 version, u32 checkpoint, u32 epoch, u32 participant}, zeros
 *   64           blocks    of up to 1 MiB, one behind the other; each is records and nothing else
 *   F            footer    JSON, UTF-8: `FileFooter`; lists length and CRC-32 of every block, the header being the first
 *   end − 32     trailer   {u64 F, u32 bytes of the footer, u32 its CRC-32, u32 version, u32 zero}, "MRFOOTER"
 *
 * A record, at a multiple of 8:
 *
 *   {u32 table, u32 page, u32 kind << 24 | count, u32 bytes of the body}  body, zeros up to a multiple of 8
 *
 *   kind 1  page       a whole hash page: `count` entries of the table's stride, then the bytes of their long strings,
 *                      which entries refer to by offsets from a 16 KB page's start (the last byte is the page's last)
 *   kind 2  pageMore   the same, and the next record holds more of the same page
 *   kind 3  changes    the entries of a page that were touched since the page was last written, laid out the same way
 *   kind 4  ordered    a leaf of a B+tree, as a block of core/ports/ordered-layout.ts
 *   kind 5  map        of a table: {u32 pages, u32 zero}, then as many u32 ids, u32 file numbers (of the footer's
 *                      `files`; 0: this file) and u32 positions, column by column
 *   kind 6  values     of an operator (`table` is its index): JSON, see values.ts
 *
 * Maps and values that are longer than a record may be are cut into several. So that every byte of a file is under a
 * checksum: blocks and header under the footer's table, the footer under its SHA-256 in the manifest (and its CRC-32 in
 * the trailer), the trailer being redundant to the bit.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../../core/base/assert.ts';
import type { FileRef } from '../../core/ports/checkpoint.ts';
import type { AccumulatorLeaf } from '../../core/ports/state.ts';
import type { KeyPart } from '../../core/record/key-bytes.ts';
import type { Layout } from '../../core/record/layout.ts';
import type { Fields } from '../../core/record/types.ts';

export const fileVersion = 1;
export const headerBytes = 64;
export const trailerBytes = 32;
export const blockBytesMax = 1024 * 1024;
export const recordHeaderBytes = 16;
/** Body of one record at most: longer maps and values are cut. */
export const recordBytesMax = blockBytesMax - recordHeaderBytes;
/** Positions are u32 multiples of 8. */
export const fileBytesMax = 8 * 2 ** 32;
/** A footer is refused beyond this before anything is allocated for it. */
export const footerBytesMax = 256 * 1024 * 1024;

export const RecordKind = { page: 1, pageMore: 2, changes: 3, ordered: 4, map: 5, values: 6 } as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

export interface FileFooter {
  readonly version: number;
  readonly checkpoint: number;
  readonly epoch: number;
  readonly participant: number;
  /** {bytes, CRC-32} of the header and of each block, in order: what stands before the footer. */
  readonly blocks: readonly (readonly [bytes: number, checksum: number])[];
  /** Files that maps refer to, from number 1 on; 0 is this one. */
  readonly files: readonly (FileRef & { readonly checkpoint: number })[];
  readonly operators: readonly FooterOperator[];
  /** By the number that records carry. */
  readonly tables: readonly FooterTable[];
}

export interface FooterOperator {
  readonly id: string;
  readonly keyGroups: readonly [from: number, to: number];
  /** Positions of its values' records; none: it has no values. */
  readonly values: readonly number[];
}

/** A run of records: from one position to before another. */
export type Run = readonly [file: number, from: number, to: number];

export interface FooterTable {
  /** Index of its operator. */
  readonly operator: number;
  readonly name: string;
  readonly slice: number | null;
  /** What its entries look like: a table restores only from an equal one. */
  readonly format: string;
  /** What tools need to read its entries. */
  readonly layout: TableLayout;
  /** Pages in the map. */
  readonly pages: number;
  /** Positions of the map's records, in this file. */
  readonly map: readonly number[];
  /** Where changes stand, oldest first. Those of a page count when they are younger than the page's whole record. */
  readonly changes: readonly Run[];
}

/** Enough of a declaration to read entries without the job. */
export type TableLayout =
  | {
      readonly kind: 'hash';
      readonly keys: Layout;
      readonly accumulatorBytes: number;
      readonly texts: readonly number[];
      readonly stamped: boolean;
      /** What the accumulators hold, where the declaration says so. */
      readonly leaves: readonly AccumulatorLeaf[];
    }
  | {
      readonly kind: 'ordered';
      readonly key: readonly KeyPart[];
      readonly value: Fields;
      /** null: the rows are the same in every subtask. */
      readonly keyGroupAt: number | null;
      /** Operator state: rows of all subtasks count. */
      readonly perSubtask?: true;
    };

const text = new TextEncoder();
const fileMagic = text.encode('MILLRACE');
const trailerMagic = text.encode('MRFOOTER');
assert(blockBytesMax % 8 === 0 && recordHeaderBytes % 8 === 0, 'records that are not aligned');

export const checksumOf = (bytes: Uint8Array): number => crc32(bytes);

export function encodeHeader(checkpoint: number, epoch: number, participant: number): Uint8Array {
  const bytes = new Uint8Array(headerBytes);
  bytes.set(fileMagic);
  const view = new DataView(bytes.buffer);
  [fileVersion, checkpoint, epoch, participant].forEach((value, i) => {
    view.setUint32(8 + 4 * i, value, true);
  });
  return bytes;
}

/** The version a header names; null: these are not the first bytes of a checkpoint file. */
export function headerVersion(bytes: Uint8Array): number | null {
  if (bytes.length < headerBytes || !startsWith(bytes, fileMagic)) return null;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true);
}

export function encodeTrailer(footerAt: number, footer: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(trailerBytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(footerAt), true);
  view.setUint32(8, footer.length, true);
  view.setUint32(12, checksumOf(footer), true);
  view.setUint32(16, fileVersion, true);
  bytes.set(trailerMagic, 24);
  return bytes;
}

/** Null: not a trailer. */
export function decodeTrailer(bytes: Uint8Array): {
  readonly footerAt: number;
  readonly footerBytes: number;
  readonly checksum: number;
  readonly version: number;
} | null {
  if (bytes.length !== trailerBytes || !startsWith(bytes.subarray(24), trailerMagic)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (view.getUint32(20, true) !== 0) return null;
  return {
    footerAt: Number(view.getBigUint64(0, true)),
    footerBytes: view.getUint32(8, true),
    checksum: view.getUint32(12, true),
    version: view.getUint32(16, true),
  };
}

/** What a record's third word says. */
export const kindOf = (word: number): number => word >>> 24;
export const countOf = (word: number): number => word & 0xffffff;
export const kindAndCount = (kind: RecordKind, count: number): number => ((kind << 24) | count) >>> 0;

export const padded = (bytes: number): number => Math.ceil(bytes / 8) * 8;

function startsWith(bytes: Uint8Array, magic: Uint8Array): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}
