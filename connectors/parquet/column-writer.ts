/**
 * Collects one leaf column of a row group into pages. Values lie as PLAIN has them; strings begin as dictionary indices and
 * go on plain when the dictionary is full or not worth it. What it holds is bounded: a page, the dictionary, and the
 * compressed pages of the row group.
 */
import { crc32 } from 'node:zlib';
import { dictionaryBytesMax, dictionaryEntriesMax } from '../../core/base/limits.ts';
import type { Column } from '../../core/record/batch.ts';
import type { LayoutColumn } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import { appendBytes, appendU32, appendVarint, byteBuffer, contentOf, reserve } from './byte-buffer.ts';
import type { Compressor } from './compress.ts';
import { Encoding, PageType } from './format.ts';
import { stringDictionary } from './string-dictionary.ts';
import { type Field, writeThrift } from './thrift-writer.ts';

/** A page ends behind about so many rows or bytes of values. */
const pageRows = 20_480;
const pageBytes = 1024 * 1024;
/** Longer strings have no place in statistics. */
const boundBytesMax = 64;

/** A finished chunk; offsets are relative to its first byte. */
export interface WrittenChunk {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
  readonly uncompressedBytes: number;
  readonly values: number;
  readonly nulls: number;
  readonly encodings: readonly number[];
  readonly hasDictionary: boolean;
  /** Offset of the first data page. */
  readonly dataOffset: number;
  readonly min: Uint8Array | null;
  readonly max: Uint8Array | null;
}

export interface ColumnWriter {
  /** Takes `n` rows: row `rows[k]` (u32 indices at that address), or k when `rows` is 0. */
  append(column: Column, rows: number, n: number): void;
  /** Bytes held. */
  readonly heldBytes: number;
  finish(): WrittenChunk;
}

/** `maxDefinition`: 0 for a column that is never null; a null's level is one less than it. */
export function columnWriter(
  of: LayoutColumn,
  maxDefinition: number,
  memory: SlotMemory,
  compressor: Compressor,
): ColumnWriter {
  const { u8, u32, f64 } = memory;
  const { storage } = of;
  const values = byteBuffer(storage === 'view' ? 65_536 : pageRows * 8);
  const codes = new Uint32Array(pageRows + 8);
  const dictionary = stringDictionary(dictionaryEntriesMax, dictionaryBytesMax);
  /** Runs of levels of the open page: 1 is a value, 0 is NULL; a bit each. */
  const valid = new Uint8Array((pageRows + 7) >>> 3);
  const bounds = boundsOf(of, memory);
  /** The indices of a batch's dictionary's entries here, by its id. */
  let known = { id: -1, indices: new Int32Array(0) };
  let isCoded = storage === 'view';
  let pageIsCoded = isCoded;
  let rowsInPage = 0;
  let valuesInPage = 0;
  let parts: Uint8Array[] = [];
  let held = 0;
  let uncompressed = 0;
  let rowsInChunk = 0;
  let nullsInChunk = 0;
  let encodings = new Set<number>();

  const addPage = (body: Uint8Array, header: (packed: Uint8Array) => Field[]): void => {
    const packed = compressor.compress(body).slice();
    const head = writeThrift(header(packed)).slice();
    parts.push(head, packed);
    held += head.length + packed.length;
    uncompressed += head.length + body.length;
  };

  const cutPage = (): void => {
    if (rowsInPage === 0) return;
    const body = byteBuffer(values.length + valuesInPage * 2 + 64);
    if (maxDefinition > 0) writeLevels(body, valid, rowsInPage, valuesInPage, maxDefinition);
    if (pageIsCoded) writeIndices(body, codes, valuesInPage, dictionary.count);
    else appendBytes(body, contentOf(values));
    const encoding = pageIsCoded ? Encoding.rleDictionary : Encoding.plain;
    const content = contentOf(body);
    const rows = rowsInPage;
    addPage(content, (packed) => [
      { id: 1, i32: PageType.data },
      { id: 2, i32: content.length },
      { id: 3, i32: packed.length },
      { id: 4, i32: crc32(packed) | 0 },
      {
        id: 5,
        struct: [
          { id: 1, i32: rows },
          { id: 2, i32: encoding },
          { id: 3, i32: Encoding.rle },
          { id: 4, i32: Encoding.rle },
        ],
      },
    ]);
    encodings.add(encoding);
    // A dictionary with an entry for every second value is not worth its indirection.
    if (pageIsCoded && dictionary.count * 2 > rowsInChunk - nullsInChunk) isCoded = false;
    rowsInPage = 0;
    valuesInPage = 0;
    values.length = 0;
    pageIsCoded = isCoded;
  };

  const putString = (view: number): void => {
    const length = u32[view >>> 2] as number;
    const from = length > 12 ? (u32[(view >>> 2) + 3] as number) : view + 4;
    appendU32(values, length);
    reserve(values, length);
    values.bytes.set(u8.subarray(from, from + length), values.length);
    values.length += length;
  };

  const putView = (column: Column, row: number): void => {
    const code = column.dictionary === null ? -1 : (u32[(column.values >>> 2) + row] as number);
    const view = column.dictionary === null ? column.values + 16 * row : column.dictionary.views + 16 * code;
    bounds.view(view);
    if (pageIsCoded) {
      let index = code === -1 ? -1 : (known.indices[code] as number);
      if (index === -1) index = dictionary.indexOf(u8, u32, view);
      if (index !== -1) {
        if (code !== -1) known.indices[code] = index;
        codes[valuesInPage] = index;
        return;
      }
      // The dictionary is full: this page ends here (without the row that is under way), the next is plain.
      isCoded = false;
      cutPage();
      pageIsCoded = false;
    }
    putString(view);
  };

  return {
    append(column, rows, n) {
      const { validity, values: from } = column;
      if (column.dictionary !== null && column.dictionary.id !== known.id) {
        known = { id: column.dictionary.id, indices: new Int32Array(column.dictionary.count).fill(-1) };
      }
      for (let k = 0; k < n; k++) {
        const row = rows === 0 ? k : (u32[(rows >>> 2) + k] as number);
        const isNull = validity !== 0 && ((u8[validity + (row >>> 3)] as number) & (1 << (row & 7))) === 0;
        if (!isNull) {
          switch (storage) {
            case 'view':
              putView(column, row);
              break;
            case 'i32': {
              const value = u32[(from >>> 2) + row] as number;
              bounds.i32(value | 0);
              appendU32(values, value);
              break;
            }
            case 'i64': {
              const low = u32[(from >>> 2) + 2 * row] as number;
              const high = u32[(from >>> 2) + 2 * row + 1] as number;
              bounds.i64(high | 0, low);
              appendU32(values, low);
              appendU32(values, high);
              break;
            }
            case 'f64': {
              const value = f64[(from >>> 3) + row] as number;
              bounds.f64(value);
              // One NaN, whatever payload it came with.
              const isNoNumber = Number.isNaN(value);
              appendU32(values, isNoNumber ? 0 : (u32[(from >>> 2) + 2 * row] as number));
              appendU32(values, isNoNumber ? 0x7ff80000 : (u32[(from >>> 2) + 2 * row + 1] as number));
              break;
            }
            case 'bit': {
              const bit = ((u8[from + (row >>> 3)] as number) >>> (row & 7)) & 1;
              bounds.bit(bit);
              const at = valuesInPage >>> 3;
              if ((valuesInPage & 7) === 0) {
                reserve(values, 1);
                values.bytes[at] = 0;
                values.length = at + 1;
              }
              values.bytes[at] = (values.bytes[at] as number) | (bit << (valuesInPage & 7));
              break;
            }
          }
          valuesInPage += 1;
        } else nullsInChunk += 1;
        const at = rowsInPage >>> 3;
        if ((rowsInPage & 7) === 0) valid[at] = 0;
        if (!isNull) valid[at] = (valid[at] as number) | (1 << (rowsInPage & 7));
        rowsInPage += 1;
        rowsInChunk += 1;
        if (rowsInPage === pageRows || values.length >= pageBytes) cutPage();
      }
    },

    get heldBytes() {
      return held + values.length + dictionary.plain.length;
    },

    finish() {
      cutPage();
      let dataOffset = 0;
      const hasDictionary = encodings.has(Encoding.rleDictionary);
      if (hasDictionary) {
        const pages = parts;
        parts = [];
        const content = contentOf(dictionary.plain);
        const count = dictionary.count;
        addPage(content, (packed) => [
          { id: 1, i32: PageType.dictionary },
          { id: 2, i32: content.length },
          { id: 3, i32: packed.length },
          { id: 4, i32: crc32(packed) | 0 },
          {
            id: 7,
            struct: [
              { id: 1, i32: count },
              { id: 2, i32: Encoding.plain },
            ],
          },
        ]);
        encodings.add(Encoding.plain);
        for (const part of parts) dataOffset += part.length;
        parts = [...parts, ...pages];
      }
      if (maxDefinition > 0) encodings.add(Encoding.rle);
      const chunk: WrittenChunk = {
        parts,
        bytes: held,
        uncompressedBytes: uncompressed,
        values: rowsInChunk,
        nulls: nullsInChunk,
        encodings: [...encodings].sort((a, b) => a - b),
        hasDictionary,
        dataOffset,
        ...bounds.take(),
      };
      parts = [];
      held = 0;
      uncompressed = 0;
      rowsInChunk = 0;
      nullsInChunk = 0;
      encodings = new Set();
      dictionary.clear();
      known = { id: -1, indices: new Int32Array(0) };
      isCoded = storage === 'view';
      pageIsCoded = isCoded;
      return chunk;
    },
  };
}

type Body = ReturnType<typeof byteBuffer>;

/** Definition levels with their length before them: one run when all are alike, else a bit or an RLE run each. */
function writeLevels(body: Body, valid: Uint8Array, rows: number, values: number, maxDefinition: number): void {
  const levels = byteBuffer(rows / 8 + 32);
  if (values === rows || values === 0) {
    appendVarint(levels, rows * 2);
    appendBytes(levels, Uint8Array.of(values === 0 ? maxDefinition - 1 : maxDefinition));
  } else if (maxDefinition === 1) {
    const bytes = (rows + 7) >>> 3;
    appendVarint(levels, bytes * 2 + 1);
    appendBytes(levels, valid.subarray(0, bytes));
  } else {
    for (let i = 0; i < rows; ) {
      const bit = bitAt(valid, i);
      let end = i + 1;
      while (end < rows && bitAt(valid, end) === bit) end += 1;
      appendVarint(levels, (end - i) * 2);
      appendBytes(levels, Uint8Array.of(maxDefinition - 1 + bit));
      i = end;
    }
  }
  appendU32(body, levels.length);
  appendBytes(body, contentOf(levels));
}

function bitAt(bits: Uint8Array, i: number): number {
  return ((bits[i >>> 3] as number) >>> (i & 7)) & 1;
}

/** Dictionary indices as one packed run, its bit width before it. */
function writeIndices(body: Body, codes: Uint32Array, count: number, entries: number): void {
  const width = Math.max(1, 32 - Math.clz32(Math.max(0, entries - 1)));
  const groups = Math.ceil(count / 8);
  reserve(body, 16 + groups * width);
  body.bytes[body.length++] = width;
  appendVarint(body, groups * 2 + 1);
  codes.fill(0, count, groups * 8);
  let bits = 0;
  let pending = 0;
  for (let i = 0; i < groups * 8; i++) {
    bits |= (codes[i] as number) << pending;
    pending += width;
    while (pending >= 8) {
      body.bytes[body.length++] = bits;
      bits >>>= 8;
      pending -= 8;
    }
  }
}

/** Least and greatest value so far, as statistics hold them. */
function boundsOf(of: LayoutColumn, memory: SlotMemory) {
  const { u8, u32 } = memory;
  let any = false;
  let min = 0;
  let max = 0;
  let minLow = 0;
  let maxLow = 0;
  let minBytes: Uint8Array = new Uint8Array(0);
  let maxBytes: Uint8Array = new Uint8Array(0);
  let isUseful = true;
  const number = (value: number): void => {
    if (!any) {
      any = true;
      min = value;
      max = value;
    } else if (value < min) min = value;
    else if (value > max) max = value;
  };
  return {
    i32: number,
    bit: number,
    f64(value: number): void {
      if (!Number.isNaN(value)) number(value);
    },
    i64(high: number, low: number): void {
      if (!any || high < min || (high === min && low < minLow)) {
        min = high;
        minLow = low;
      }
      if (!any || high > max || (high === max && low > maxLow)) {
        max = high;
        maxLow = low;
      }
      any = true;
    },
    view(view: number): void {
      if (!isUseful) return;
      const length = u32[view >>> 2] as number;
      if (length > boundBytesMax) {
        isUseful = false;
        return;
      }
      const from = length > 12 ? (u32[(view >>> 2) + 3] as number) : view + 4;
      if (!any || isBefore(u8, from, length, minBytes)) minBytes = u8.slice(from, from + length);
      if (!any || isAfter(u8, from, length, maxBytes)) maxBytes = u8.slice(from, from + length);
      any = true;
    },
    take(): { min: Uint8Array | null; max: Uint8Array | null } {
      const found = any && isUseful;
      const answer = found ? { min: encoded(false), max: encoded(true) } : { min: null, max: null };
      any = false;
      isUseful = true;
      return answer;
    },
  };

  function encoded(greatest: boolean): Uint8Array {
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    const value = greatest ? max : min;
    switch (of.storage) {
      case 'bit':
        return Uint8Array.of(value);
      case 'i32':
        view.setInt32(0, value, true);
        return bytes.subarray(0, 4);
      case 'i64':
        view.setUint32(0, greatest ? maxLow : minLow, true);
        view.setInt32(4, value, true);
        return bytes;
      case 'f64':
        // Readers that tell zeros apart: the least is −0, the greatest +0.
        view.setFloat64(0, value === 0 ? (greatest ? 0 : -0) : value, true);
        return bytes;
      case 'view':
        return greatest ? maxBytes : minBytes;
    }
  }
}

function isBefore(u8: Uint8Array, from: number, length: number, than: Uint8Array): boolean {
  const n = Math.min(length, than.length);
  for (let i = 0; i < n; i++) {
    const difference = (u8[from + i] as number) - (than[i] as number);
    if (difference !== 0) return difference < 0;
  }
  return length < than.length;
}

function isAfter(u8: Uint8Array, from: number, length: number, than: Uint8Array): boolean {
  const n = Math.min(length, than.length);
  for (let i = 0; i < n; i++) {
    const difference = (u8[from + i] as number) - (than[i] as number);
    if (difference !== 0) return difference > 0;
  }
  return length > than.length;
}
