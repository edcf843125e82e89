/**
 * The frame codec: how a batch's columns lie in a frame (byte layout: frame-layout.ts), one law for writer and reader.
 * Where each buffer lies follows from the layout, the column flags and the capacity; no offset travels, so none can lie.
 * What arrives is checked before anything trusts it. Knows no ring and no thread.
 */
import { MillraceError } from '../base/errors.ts';
import { batchRowsMax, frameHeaderBytes } from '../base/limits.ts';
import type { Kernels } from '../ports/kernels.ts';
import type { Batch, Column, Dictionary } from './batch.ts';
import {
  columnCoded,
  columnValidity,
  flagRowKinds,
  frameAttempt,
  frameCapacity,
  frameColumns,
  frameFlags,
  frameHeapBytes,
  frameKind,
  frameLength,
  frameRows,
  frameWatermark,
} from './frame-layout.ts';
import type { Layout, StorageKind } from './layout.ts';
import type { SlotMemory } from './memory.ts';

/** Byte offsets, from the start of a rows frame, of its buffers. */
export interface FrameOffsets {
  /** By column. */
  readonly values: Uint32Array;
  /** By column; 0 where the column has no validity. */
  readonly validity: Uint32Array;
  /** 0 without row kinds. */
  kinds: number;
  /** End of the values, which lie side by side. */
  valuesEnd: number;
  heap: number;
}

export function frameOffsets(columns: number): FrameOffsets {
  return { values: new Uint32Array(columns), validity: new Uint32Array(columns), kinds: 0, valuesEnd: 0, heap: 0 };
}

/** Where the values of a rows frame begin: behind the header and a flag byte for each column. */
export function valuesFrom(columns: number): number {
  return align8(frameHeaderBytes + columns);
}

/** Bytes of `rows` values as they travel: codes are four bytes. */
export function travelBytes(storage: StorageKind, coded: boolean, rows: number): number {
  if (storage === 'bit') return (rows + 7) >>> 3;
  if (storage === 'view') return coded ? rows * 4 : rows * 16;
  return storage === 'i32' ? rows * 4 : rows * 8;
}

/** The law: values of every column, then validity of the flagged, then kinds, then the heap, each on 8 bytes. */
export function placeBuffers(
  into: FrameOffsets,
  layout: Layout,
  columnFlags: Uint8Array,
  kinds: boolean,
  capacity: number,
): void {
  let at = valuesFrom(layout.length);
  for (let c = 0; c < layout.length; c++) {
    into.values[c] = at;
    at += align8(travelBytes(layout[c]!.storage, (columnFlags[c]! & columnCoded) !== 0, capacity));
  }
  into.valuesEnd = at;
  const bitmapBytes = align8((capacity + 7) >>> 3);
  for (let c = 0; c < layout.length; c++) {
    const has = (columnFlags[c]! & columnValidity) !== 0;
    into.validity[c] = has ? at : 0;
    if (has) at += bitmapBytes;
  }
  into.kinds = kinds ? at : 0;
  if (kinds) at += align8(capacity);
  into.heap = at;
}

/** A frame's bytes: headers and rings count in lines of 64. */
export function frameBytes(bytes: number): number {
  return (bytes + frameHeaderBytes - 1) & -frameHeaderBytes;
}

/** What of a header every kind has. */
export interface FrameViews {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
}

/** Writes the fields that all kinds share; the sequence number is the channel's to write. */
export function writeFrameHead(
  to: FrameViews,
  at: number,
  length: number,
  kind: number,
  flags: number,
  columns: number,
  attempt: number,
  rows: number,
  watermarkMs: number,
): void {
  const word = at >>> 2;
  to.u32[word] = length;
  to.u32[word + 1] = kind | (flags << 8) | (columns << 16);
  to.u32[word + (frameAttempt >>> 2)] = attempt;
  to.u32[word + (frameRows >>> 2)] = rows;
  to.f64[(at + frameWatermark) >>> 3] = watermarkMs;
}

/** Reads rows frames of one layout out of a slot's own memory. */
export class FrameReader {
  readonly layout: Layout;
  readonly #memory: SlotMemory;
  readonly #kernels: Kernels;
  readonly #rowsMax: number;
  readonly #flags: Uint8Array;
  readonly #offsets: FrameOffsets;

  constructor(memory: SlotMemory, kernels: Kernels, layout: Layout, rowsMax = batchRowsMax) {
    this.layout = layout;
    this.#memory = memory;
    this.#kernels = kernels;
    this.#rowsMax = rowsMax;
    this.#flags = new Uint8Array(layout.length);
    this.#offsets = frameOffsets(layout.length);
  }

  /**
   * The batch in the rows frame of `bytes` bytes at `at`. Its columns point into the frame: they are good until the frame
   * is released. String views are turned from offsets to addresses in place, so read a frame once. `dictionaryOf` gives
   * the channel's dictionary of a column. Errors: `record/corrupt-frame`.
   */
  rows(at: number, bytes: number, dictionaryOf: (column: number) => Dictionary | null): Batch {
    const { u8, u32 } = this.#memory;
    const { layout } = this;
    const rows = u32[(at + frameRows) >>> 2]!;
    const capacity = u32[(at + frameCapacity) >>> 2]!;
    const heapBytes = u32[(at + frameHeapBytes) >>> 2]!;
    const columns = u8[at + frameColumns]! | (u8[at + frameColumns + 1]! << 8);
    if (columns !== layout.length) throw corrupt(`${columns} columns where ${layout.length} were agreed`);
    if (rows === 0 || rows > capacity || capacity > this.#rowsMax) {
      throw corrupt(`${rows} rows in room for ${capacity}, at most ${this.#rowsMax} may come`);
    }
    if (bytes < valuesFrom(columns)) throw corrupt(`${bytes} bytes do not hold ${columns} columns`);
    const flags = this.#flags;
    for (let c = 0; c < columns; c++) {
      const flag = u8[at + frameHeaderBytes + c]!;
      if (flag > 3 || ((flag & columnCoded) !== 0 && layout[c]!.storage !== 'view')) {
        throw corrupt(`column ${c} is flagged ${flag}`);
      }
      flags[c] = flag;
    }
    const offsets = this.#offsets;
    placeBuffers(offsets, layout, flags, (u8[at + frameFlags]! & flagRowKinds) !== 0, capacity);
    if (frameBytes(offsets.heap + heapBytes) !== bytes) {
      throw corrupt(
        `${bytes} bytes where ${capacity} rows and ${heapBytes} bytes of strings need ${offsets.heap + heapBytes}`,
      );
    }
    const found: Column[] = new Array(columns);
    for (let c = 0; c < columns; c++) {
      const values = at + offsets.values[c]!;
      const validity = offsets.validity[c] === 0 ? 0 : at + offsets.validity[c]!;
      let dictionary: Dictionary | null = null;
      if (layout[c]!.storage === 'view') {
        if ((flags[c]! & columnCoded) !== 0) {
          dictionary = dictionaryOf(c);
          if (dictionary === null) throw corrupt(`column ${c} holds codes, but no dictionary came`);
          const stop = this.#kernels.checkCodes(values, rows, dictionary.count);
          if (stop !== rows)
            throw corrupt(`column ${c}, row ${stop}: a code beyond its dictionary of ${dictionary.count}`);
        } else {
          const stop = this.#kernels.rebaseViews(values, rows, at + offsets.heap, heapBytes);
          if (stop !== rows) throw corrupt(`column ${c}, row ${stop}: a string outside its frame`);
        }
      }
      found[c] = { validity, values, dictionary };
    }
    const kinds = offsets.kinds === 0 ? 0 : at + offsets.kinds;
    if (kinds !== 0) {
      const stop = this.#kernels.checkKinds(kinds, rows);
      if (stop !== rows) throw corrupt(`row ${stop}: a row kind that is none`);
    }
    return { layout, rowCount: rows, columns: found, kinds, selection: 0, size: rows, origin: null };
  }
}

/** The length, kind and flags of the frame at `at`. */
export function frameHead(from: FrameViews, at: number): { length: number; kind: number; flags: number } {
  return {
    length: from.u32[(at + frameLength) >>> 2]!,
    kind: from.u8[at + frameKind]!,
    flags: from.u8[at + frameFlags]!,
  };
}

export function corrupt(what: string): MillraceError {
  return new MillraceError('record/corrupt-frame', `a frame arrived broken: ${what}`);
}

function align8(bytes: number): number {
  return (bytes + 7) & ~7;
}
