/** What every way of bringing Arrow values into a column stands on: their contract, nulls, checked buffers and errors. */
import { MillraceError } from '../../core/base/errors.ts';
import { valueBytesMax } from '../../core/base/limits.ts';
import type { Kernels } from '../../core/ports/kernels.ts';
import type { Column } from '../../core/record/batch.ts';
import type { LayoutColumn } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import type { ArrowColumn } from './describe.ts';

export interface ImporterContext {
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  readonly batchRows: number;
  nextDictionaryId(): number;
}

/** What turns the values of one Arrow type into those of the leaf. */
export interface ValueImporter {
  fits?(from: ArrowColumn, row: number, n: number): number;
  /** `validity`: the rows' bitmap from bit 0, or 0; a way that finds nulls of its own clears bits in `ownValidity()`. */
  read(from: ArrowColumn, row: number, n: number, validity: Bitmap): Omit<Column, 'validity'>;
}

/** The validity bitmap of the rows being read: made when first a row turns out null. */
export interface Bitmap {
  /** 0: no row is null. */
  address: number;
  readonly room: number;
}

/** Makes row i null, with a bitmap of ones if there was none. */
export function setNull({ u8 }: SlotMemory, bitmap: Bitmap, i: number, n: number): void {
  if (bitmap.address === 0) {
    u8.fill(0xff, bitmap.room, bitmap.room + ((n + 7) >>> 3));
    bitmap.address = bitmap.room;
  }
  u8[bitmap.room + (i >>> 3)] = u8[bitmap.room + (i >>> 3)]! & ~(1 << (i & 7));
}

/** Bytes [from, from + length) of a buffer. Errors: `source/corrupt`. */
export function bytesAt(buffer: Uint8Array, from: number, length: number): Uint8Array {
  if (from + length > buffer.length)
    throw corrupt(`a buffer of ${buffer.length} bytes ends before byte ${from + length}`);
  return buffer.subarray(from, from + length);
}

/** Errors: `source/corrupt` for a column without the buffer its type needs. */
export function need(buffer: Uint8Array | null): Uint8Array {
  if (buffer === null) throw corrupt('a column has no values');
  return buffer;
}

export function corrupt(what: string): MillraceError {
  return new MillraceError('source/corrupt', `the Arrow data is broken: ${what}`);
}

export function tooLarge(leaf: LayoutColumn, bytes: number): MillraceError {
  return new MillraceError(
    'record/too-large',
    `a value of '${leaf.name}' has ${bytes} bytes; a value may have at most ${valueBytesMax}`,
  );
}
