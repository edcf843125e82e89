/**
 * Ranges of Arrow columns copied into slot memory, at the speed of memcpy wherever both sides lie alike: `fits` says how
 * many rows the buffers take, `read` brings them. The way is chosen per column when its type is first seen; what has no
 * way of its own goes value by value through a checked cast (cast.ts). Buffers are never trusted: offsets, views and
 * codes are checked against the bytes there are before anything is read through them.
 */
import { MillraceError } from '../../core/base/errors.ts';
import { dictionaryBytesMax, dictionaryEntriesMax, valueBytesMax } from '../../core/base/limits.ts';
import type { Kernels } from '../../core/ports/kernels.ts';
import type { Column } from '../../core/record/batch.ts';
import { copyInto } from '../../core/record/copy.ts';
import { type LayoutColumn, valueBytes } from '../../core/record/layout.ts';
import { alignUp, type SlotMemory } from '../../core/record/memory.ts';
import { writeView } from '../../core/record/text.ts';
import { castingReader } from './cast.ts';
import type { ArrowColumn, ArrowType } from './describe.ts';
import {
  type Bitmap,
  bytesAt,
  corrupt,
  type ImporterContext,
  need,
  setNull,
  tooLarge,
  type ValueImporter,
} from './values.ts';

/** One leaf of a chunk, with the structs it lies in. */
export interface LeafOfChunk {
  readonly column: ArrowColumn;
  /** Structs above it in which rows are null. */
  readonly above: readonly ArrowColumn[];
}

export interface ColumnImporter {
  /** How many of rows [row, row + n) can be read at once: at least 1. Errors: `record/too-large`, `memory/exhausted`. */
  fits(from: LeafOfChunk, row: number, n: number): number;
  /** Copies rows [row, row + n). The column is valid until the next call. Errors: `source/corrupt`, `source/bad-record`. */
  read(from: LeafOfChunk, row: number, n: number): Column;
}

export function columnImporter(leaf: LayoutColumn, context: ImporterContext): ColumnImporter {
  const { memory, kernels, batchRows } = context;
  const room = memory.arena.allocate(valueBytes('bit', batchRows), `nulls of '${leaf.name}'`);
  const scratch = memory.arena.allocate(alignUp(batchRows * 8 + 64, 64), `Arrow column '${leaf.name}'`);
  const ways = new Map<string, ValueImporter>();
  let lastType: ArrowType | null = null;
  let last: ValueImporter | null = null;

  const wayOf = (type: ArrowType): ValueImporter => {
    if (type === lastType) return last!;
    const name = JSON.stringify(type);
    let way = ways.get(name);
    if (way === undefined) {
      way = valueImporter(type, leaf, scratch, context);
      ways.set(name, way);
    }
    lastType = type;
    last = way;
    return way;
  };
  const bitmap = { address: 0, room };

  return {
    fits: ({ column }, row, n) => wayOf(column.type).fits?.(column, row, n) ?? n,
    read({ column, above }, row, n) {
      bitmap.address = 0;
      for (const part of above.length === 0 ? [column] : [...above, column]) {
        if (part.validity === null) continue;
        const first = bitmap.address === 0;
        const nulls = copyBitmap(part.validity, part.offset + row, n, scratch, first ? room : scratch, memory, kernels);
        if (nulls === 0) continue;
        if (!first) kernels.andBits(room, scratch, n);
        bitmap.address = room;
      }
      const { values, dictionary } = wayOf(column.type).read(column, row, n, bitmap);
      const validity = bitmap.address;
      if (validity !== 0 && !leaf.nullable) {
        const at = firstZero(memory.u8, validity, n);
        throw new MillraceError('source/bad-record', `column '${leaf.name}' is NULL, but declared not null`, {
          where: { position: `row ${row + at} of its batch` },
        });
      }
      return { validity, values, dictionary };
    },
  };
}

/** Bits [bit, bit + n) of Arrow's bitmap to `to`; answers how many are 0. Errors: `source/corrupt`. */
function copyBitmap(
  bitmap: Uint8Array,
  bit: number,
  n: number,
  scratch: number,
  to: number,
  memory: SlotMemory,
  kernels: Kernels,
): number {
  const from = bit >>> 3;
  const end = (bit + n + 7) >>> 3;
  if (end > bitmap.length) throw corrupt(`a bitmap of ${bitmap.length} bytes ends before bit ${bit + n}`);
  // `to` may be the scratch itself: the kernel writes behind what it reads.
  memory.u8.set(bitmap.subarray(from, end), scratch);
  return kernels.copyBits(scratch, bit & 7, to, n);
}

function valueImporter(type: ArrowType, leaf: LayoutColumn, scratch: number, context: ImporterContext): ValueImporter {
  const { memory, kernels, batchRows } = context;
  const allocate = (bytes: number): number => memory.arena.allocate(bytes, `Arrow column '${leaf.name}'`);
  const same = sameBytes(type, leaf);
  if (same !== 0) return copied(same, allocate(batchRows * same), memory);
  const widen = widening(type, leaf);
  if (widen)
    return widened(widen.bytes, widen.kernel, allocate(valueBytes(leaf.storage, batchRows)), scratch, memory, kernels);
  if (type.kind === 'bool' && leaf.storage === 'bit') {
    const values = allocate(valueBytes('bit', batchRows));
    return {
      read(from, row, n) {
        copyBitmap(need(from.values), from.offset + row, n, scratch, values, memory, kernels);
        return { values, dictionary: null };
      },
    };
  }
  if (leaf.storage === 'view') {
    if (type.kind === 'utf8') return textImporter(leaf, scratch, context);
    if (type.kind === 'dictionary' && type.of.kind === 'utf8' && type.index.kind === 'int') {
      return dictionaryImporter(type.index.bytes, leaf, scratch, context);
    }
  }
  return castingReader(type, leaf, context);
}

/** Bytes a value when both sides hold the very same values; 0 when they do not. */
function sameBytes(type: ArrowType, leaf: LayoutColumn): number {
  const to = leaf.type;
  if (type.kind === 'int' && type.signed) {
    if (type.bytes === 8 && to.kind === 'BIGINT') return 8;
    if (type.bytes === 4 && to.kind === 'INT') return 4;
  }
  if (type.kind === 'float' && type.bytes === 8 && to.kind === 'DOUBLE') return 8;
  if (type.kind === 'date' && type.bytes === 4 && to.kind === 'DATE') return 4;
  if (type.kind === 'timestamp' && to.kind === 'TIMESTAMP') {
    if (type.perSecond === 1000 && to.precision <= 3) return 8;
    if (type.perSecond === 1_000_000 && to.precision > 3 && to.precision <= 6) return 8;
  }
  return 0;
}

type WidenKernel = 'widenI8' | 'widenU8' | 'widenI16' | 'widenU16' | 'widenI32' | 'widenU32' | 'widenF32';

function widening(
  type: ArrowType,
  leaf: LayoutColumn,
): { readonly kernel: WidenKernel; readonly bytes: number } | null {
  const to = leaf.type.kind;
  if (type.kind === 'float' && type.bytes === 4 && to === 'DOUBLE') return { kernel: 'widenF32', bytes: 4 };
  if (type.kind !== 'int') return null;
  if (type.bytes === 1 && to === 'INT') return { kernel: type.signed ? 'widenI8' : 'widenU8', bytes: 1 };
  if (type.bytes === 2 && to === 'INT') return { kernel: type.signed ? 'widenI16' : 'widenU16', bytes: 2 };
  if (type.bytes === 4 && to === 'BIGINT') return { kernel: type.signed ? 'widenI32' : 'widenU32', bytes: 4 };
  return null;
}

function copied(width: number, values: number, { u8 }: SlotMemory): ValueImporter {
  const copy = copyInto(u8);
  return {
    read(from, row, n) {
      copy(bytesAt(need(from.values), row * width, n * width), values);
      return { values, dictionary: null };
    },
  };
}

function widened(
  width: number,
  kernel: WidenKernel,
  values: number,
  scratch: number,
  { u8 }: SlotMemory,
  kernels: Kernels,
): ValueImporter {
  const copy = copyInto(u8);
  return {
    read(from, row, n) {
      copy(bytesAt(need(from.values), row * width, n * width), scratch);
      kernels[kernel](scratch, values, n);
      return { values, dictionary: null };
    },
  };
}

const noBytes = new Uint8Array(0);
/** Bytes of text a batch may hold before it is cut, and the room that is taken first. */
const textBytes = 512 * 1024;

function textImporter(
  leaf: LayoutColumn,
  scratch: number,
  { memory, kernels, batchRows }: ImporterContext,
): ValueImporter {
  const { u8, arena } = memory;
  const copy = copyInto(u8);
  const views = arena.allocate(batchRows * 16, `Arrow column '${leaf.name}'`);
  let heap = 0;
  let heapBytes = 0;
  return {
    fits(from, row, n) {
      const offsets = textOffsets(from, row, n);
      const start = offsets[row]!;
      let rows = n;
      // Offsets ascend, or `read` refuses them: halving finds how many rows the room takes.
      if (offsets[row + n]! - start > textBytes) {
        let low = 1;
        let high = n;
        while (low < high) {
          const middle = (low + high + 1) >>> 1;
          if (offsets[row + middle]! - start <= textBytes) low = middle;
          else high = middle - 1;
        }
        rows = low;
      }
      const bytes = offsets[row + rows]! - start;
      if (bytes > valueBytesMax) throw tooLarge(leaf, bytes);
      if (bytes > heapBytes) {
        heapBytes = Math.max(Math.min(textBytes, bytes * 2), bytes);
        heap = arena.allocate(heapBytes, `texts of '${leaf.name}'`);
      }
      return rows;
    },
    read(from, row, n) {
      const offsets = textOffsets(from, row, n);
      const bytes = from.values ?? noBytes;
      copy(new Uint8Array(offsets.buffer, offsets.byteOffset + row * 4, (n + 1) * 4), scratch);
      const start = offsets[row]!;
      const end = offsets[row + n]!;
      if (
        start < 0 ||
        end < start ||
        end > bytes.length ||
        end - start > heapBytes ||
        !kernels.offsetsAscend(scratch, n, start, end)
      ) {
        throw corrupt(`offsets of '${leaf.name}' do not ascend within its ${bytes.length} bytes`);
      }
      copy(bytes.subarray(start, end), heap);
      kernels.viewsOfOffsets(scratch, start, heap, n, views);
      return { values: views, dictionary: null };
    },
  };
}

function textOffsets(from: ArrowColumn, row: number, n: number): Int32Array {
  const { offsets } = from;
  if (!(offsets instanceof Int32Array) || offsets.length < row + n + 1)
    throw corrupt('a text column has too few offsets');
  return offsets;
}

/** Codes stay codes: the distinct texts come once per dictionary, with their hashes. */
function dictionaryImporter(
  width: 1 | 2 | 4 | 8,
  leaf: LayoutColumn,
  scratch: number,
  context: ImporterContext,
): ValueImporter {
  const { memory, kernels, batchRows } = context;
  const { u8, u32, arena } = memory;
  const copy = copyInto(u8);
  const codes = arena.allocate(batchRows * 4, `codes of '${leaf.name}'`);
  let plainViews = 0;
  let known: readonly ArrowColumn[] | null = null;
  let entries: Entries | null = null;

  const load = (chunks: readonly ArrowColumn[]): Entries => {
    if (chunks !== known || entries === null) {
      entries = loadEntries(chunks, leaf, entries, context);
      known = chunks;
    }
    return entries;
  };

  return {
    read(from, row, n, bitmap) {
      const dictionary = load(from.dictionary ?? []);
      const raw = bytesAt(need(from.values), row * width, n * width);
      if (width === 4) copy(raw, codes);
      else if (width === 8) for (let i = 0; i < n; i++) u32[(codes >>> 2) + i] = codeOf8(raw, i);
      else {
        copy(raw, scratch);
        kernels[width === 1 ? 'widenU8' : 'widenU16'](scratch, codes, n);
      }
      if (!kernels.codesBelow(codes, n, dictionary.count)) clearCodes(memory, codes, n, dictionary.count, bitmap, leaf);
      if (dictionary.nulls) {
        for (let i = 0; i < n; i++) if (dictionary.nulls[u32[(codes >>> 2) + i]!]) setNull(memory, bitmap, i, n);
      }
      if (dictionary.column) return { values: codes, dictionary: dictionary.column };
      if (plainViews === 0) plainViews = arena.allocate(batchRows * 16, `Arrow column '${leaf.name}'`);
      kernels.viewsOfCodes(codes, dictionary.views, n, plainViews);
      return { values: plainViews, dictionary: null };
    },
  };
}

interface Entries {
  readonly views: number;
  readonly count: number;
  /** null: too large to be passed on as a dictionary. */
  readonly column: Column['dictionary'];
  /** Which entries are null; null: none. */
  readonly nulls: readonly boolean[] | null;
  readonly place: { readonly at: number; readonly bytes: number };
}

/** Entries of all chunks in slot memory, in the room of `before` if that suffices. At least one: rows that are null need a code. */
function loadEntries(
  chunks: readonly ArrowColumn[],
  leaf: LayoutColumn,
  before: Entries | null,
  { memory, kernels, nextDictionaryId }: ImporterContext,
): Entries {
  let count = 0;
  let textSize = 0;
  for (const chunk of chunks) {
    const offsets = textOffsets(chunk, 0, chunk.length);
    const bytes = chunk.values ?? noBytes;
    const start = offsets[0]!;
    for (let i = 0; i < chunk.length; i++) {
      if (offsets[i + 1]! < offsets[i]!)
        throw corrupt(`the dictionary of '${leaf.name}' has offsets that do not ascend`);
    }
    const end = offsets[chunk.length]!;
    if (start < 0 || end > bytes.length) throw corrupt(`the dictionary of '${leaf.name}' reaches beyond its bytes`);
    count += chunk.length;
    textSize += end - start;
  }
  const room = Math.max(1, count) * 24 + textSize;
  const place =
    before && before.place.bytes >= room
      ? before.place
      : { at: memory.arena.allocate(room, `dictionary of '${leaf.name}'`), bytes: room };
  const views = place.at;
  const hashes = views + Math.max(1, count) * 16;
  let text = hashes + Math.max(1, count) * 8;
  let entry = 0;
  const nulls: boolean[] = [];
  let anyNull = false;
  writeView(memory, views, text, 0);
  for (const chunk of chunks) {
    const offsets = textOffsets(chunk, 0, chunk.length);
    for (let i = 0; i < chunk.length; i++, entry++) {
      const length = offsets[i + 1]! - offsets[i]!;
      memory.u8.set((chunk.values ?? noBytes).subarray(offsets[i]!, offsets[i + 1]!), text);
      writeView(memory, views + entry * 16, text, length);
      text += length;
      const valid =
        chunk.validity === null || ((chunk.validity[(chunk.offset + i) >>> 3]! >>> ((chunk.offset + i) & 7)) & 1) === 1;
      nulls.push(!valid);
      anyNull ||= !valid;
    }
  }
  const passesOn = count <= dictionaryEntriesMax && textSize <= dictionaryBytesMax;
  if (passesOn) kernels.hashDictionary(views, Math.max(1, count), hashes);
  return {
    views,
    count: Math.max(1, count),
    column: passesOn ? { id: nextDictionaryId(), views, count: Math.max(1, count), hashes } : null,
    nulls: anyNull ? nulls : null,
    place,
  };
}

/** Codes beyond the dictionary mean nothing where the row is null, and a broken file where it is not. */
function clearCodes(
  { u8, u32 }: SlotMemory,
  codes: number,
  n: number,
  count: number,
  bitmap: Bitmap,
  leaf: LayoutColumn,
): void {
  for (let i = 0; i < n; i++) {
    const code = u32[(codes >>> 2) + i]!;
    if (code < count) continue;
    const isNull = bitmap.address !== 0 && ((u8[bitmap.address + (i >>> 3)]! >>> (i & 7)) & 1) === 0;
    if (!isNull) throw corrupt(`column '${leaf.name}' has code ${code} in a dictionary of ${count}`);
    u32[(codes >>> 2) + i] = 0;
  }
}

function codeOf8(raw: Uint8Array, i: number): number {
  const view = new DataView(raw.buffer, raw.byteOffset + i * 8, 8);
  return view.getUint32(4, true) === 0 ? view.getUint32(0, true) : 0xffff_ffff;
}

function firstZero(u8: Uint8Array, bitmap: number, n: number): number {
  for (let i = 0; i < n; i++) if (((u8[bitmap + (i >>> 3)]! >>> (i & 7)) & 1) === 0) return i;
  return 0;
}
