/**
 * Leaves of a batch's rows as bytes and back, without making JavaScript values of them: a ROW of those leaves in the
 * encoding of row-bytes.ts. What operators keep whole rows in state by.
 */
import type { Batch, Column } from './batch.ts';
import type { ByteSink, ByteSource } from './bytes.ts';
import { isValid } from './column-reader.ts';
import type { Layout, StorageKind } from './layout.ts';
import type { SlotMemory } from './memory.ts';
import { need, room } from './scalar-bytes.ts';
import { writeView } from './text.ts';

/** How the leaves lie in a row's bytes. */
export interface RowShape {
  readonly leaves: readonly {
    /** In the batch. */
    readonly leaf: number;
    readonly storage: StorageKind;
    /** Its null bit; −1: it cannot be NULL. */
    readonly bit: number;
  }[];
  readonly nullBytes: number;
  /** Bytes between the null bits and the leaves: BIGINTs before them, none NULL, that whoever keeps the row writes. */
  readonly headBytes: number;
}

export function rowShape(layout: Layout, leaves: readonly number[], headBytes: number): RowShape {
  let bits = 0;
  const shaped = leaves.map((leaf) => {
    const { storage, nullable } = layout[leaf]!;
    return { leaf, storage, bit: nullable ? bits++ : -1 };
  });
  return { leaves: shaped, nullBytes: (bits + 7) >>> 3, headBytes };
}

/** Writes row `row`; its head is zeros. Errors: `record/too-large`. */
export function writeRowColumns(memory: SlotMemory, batch: Batch, shape: RowShape, row: number, to: ByteSink): void {
  const { u8, u32 } = memory;
  const { leaves, nullBytes, headBytes } = shape;
  room(to, nullBytes + headBytes);
  // From the start of what is written: a sink that grows moves.
  const start = to.at - to.from;
  to.u8.fill(0, to.at, to.at + nullBytes + headBytes);
  to.at += nullBytes + headBytes;
  for (let i = 0; i < leaves.length; i++) {
    const { leaf, storage, bit } = leaves[i] as RowShape['leaves'][number];
    const { values, validity, dictionary } = batch.columns[leaf] as Column;
    if (bit >= 0 && !isValid(memory, validity, row)) {
      const at = to.from + start + (bit >>> 3);
      to.u8[at] = (to.u8[at] as number) | (1 << (bit & 7));
      continue;
    }
    switch (storage) {
      case 'bit':
        room(to, 1);
        to.u8[to.at++] = ((u8[values + (row >>> 3)] as number) >>> (row & 7)) & 1;
        break;
      case 'i32':
        room(to, 4);
        to.view.setUint32(to.at, u32[(values >>> 2) + row] as number, true);
        to.at += 4;
        break;
      case 'i64':
      case 'f64': {
        room(to, 8);
        const at = (values >>> 2) + 2 * row;
        to.view.setUint32(to.at, u32[at] as number, true);
        to.view.setUint32(to.at + 4, u32[at + 1] as number, true);
        to.at += 8;
        break;
      }
      case 'view': {
        const view = dictionary ? dictionary.views + 16 * (u32[(values >>> 2) + row] as number) : values + 16 * row;
        const length = u32[view >>> 2] as number;
        room(to, 4 + length);
        to.view.setUint32(to.at, length, true);
        to.at += 4;
        const from = length <= 12 ? view + 4 : (u32[(view + 12) >>> 2] as number);
        if (to.inMemory) u8.copyWithin(to.at, from, from + length);
        else to.u8.set(u8.subarray(from, from + length), to.at);
        to.at += length;
      }
    }
  }
}

/** Where a leaf goes; null: it is passed over. */
export interface LeafTarget {
  readonly values: number;
  /** 0: the column has no nulls. */
  readonly validity: number;
}

/** Room for the bytes of strings longer than a view holds. */
export interface TextRoom {
  /** Address of `bytes` bytes; 0: there is no room. */
  take(bytes: number): number;
}

/**
 * Reads a row into place `at` of columns. False: `texts` had no room, and the place holds nothing of use. Moves `from`.
 * Errors: `record/corrupt-frame`.
 */
export function readRowColumns(
  memory: SlotMemory,
  from: ByteSource,
  shape: RowShape,
  targets: readonly (LeafTarget | null)[],
  at: number,
  texts: TextRoom,
): boolean {
  const { u32 } = memory;
  const { leaves, nullBytes, headBytes } = shape;
  need(from, nullBytes + headBytes);
  const { u8, view } = from;
  const nulls = from.at;
  let next = from.at + nullBytes + headBytes;
  for (let i = 0; i < leaves.length; i++) {
    const { storage, bit } = leaves[i] as RowShape['leaves'][number];
    const target = targets[i] as LeafTarget | null;
    const isNull = bit >= 0 && ((u8[nulls + (bit >>> 3)] as number) & (1 << (bit & 7))) !== 0;
    if (target !== null && target.validity !== 0) setBit(memory, target.validity, at, !isNull);
    if (isNull) {
      if (target !== null && storage === 'view')
        u32.fill(0, (target.values >>> 2) + 4 * at, (target.values >>> 2) + 4 * at + 4);
      continue;
    }
    from.at = next;
    switch (storage) {
      case 'bit':
        need(from, 1);
        if (target !== null) setBit(memory, target.values, at, u8[next] !== 0);
        next += 1;
        break;
      case 'i32':
        need(from, 4);
        if (target !== null) u32[(target.values >>> 2) + at] = view.getUint32(next, true);
        next += 4;
        break;
      case 'i64':
      case 'f64':
        need(from, 8);
        if (target !== null) {
          const word = (target.values >>> 2) + 2 * at;
          u32[word] = view.getUint32(next, true);
          u32[word + 1] = view.getUint32(next + 4, true);
        }
        next += 8;
        break;
      case 'view': {
        need(from, 4);
        const length = view.getUint32(next, true);
        from.at = next + 4;
        need(from, length);
        if (target !== null && !copyText(memory, from, length, target.values + 16 * at, texts)) return false;
        next += 4 + length;
      }
    }
  }
  from.at = next;
  return true;
}

function copyText(memory: SlotMemory, from: ByteSource, length: number, view: number, texts: TextRoom): boolean {
  const { u8, u32 } = memory;
  if (length <= 12) {
    const word = view >>> 2;
    u32[word] = length;
    u32[word + 1] = 0;
    u32[word + 2] = 0;
    u32[word + 3] = 0;
    for (let i = 0; i < length; i++) u8[view + 4 + i] = from.u8[from.at + i] as number;
    return true;
  }
  const place = texts.take(length);
  if (place === 0) return false;
  if (from.u8 === u8) u8.copyWithin(place, from.at, from.at + length);
  else u8.set(from.u8.subarray(from.at, from.at + length), place);
  writeView(memory, view, place, length);
  return true;
}

export function setBit(memory: SlotMemory, bits: number, at: number, on: boolean): void {
  const byte = bits + (at >>> 3);
  const mask = 1 << (at & 7);
  memory.u8[byte] = on ? (memory.u8[byte] as number) | mask : (memory.u8[byte] as number) & ~mask;
}
