/**
 * Entries of hash tables as rows, and back: records of checkpoint files (whole pages and changes) on one side, columns on
 * the other. What of the accumulators no leaf describes is kept in the column `$rest`, so that nothing is lost.
 */
import { pageSize } from '../../core/ports/page-layout.ts';
import type { AccumulatorLeaf } from '../../core/ports/state.ts';
import type { StorageKind } from '../../core/record/layout.ts';
import { countOf, recordHeaderBytes, type TableLayout } from '../checkpoint/format.ts';
import { entryLayout } from '../shape.ts';
import { hashColumn, named, restColumn, type StateColumn, type StateRow } from './columns.ts';

type HashLayout = Extract<TableLayout, { kind: 'hash' }>;

export interface EntryCodec {
  /** Hash, key leaves, accumulator leaves, and `$rest` where there is one. */
  readonly columns: readonly StateColumn[];
  /** Each entry of a record. */
  rows(record: Uint8Array): Generator<StateRow>;
  /** Columns that make a key: entries of equal ones are the same entry. */
  keyOf(row: StateRow): string;
}

const codingBytes: Readonly<Record<AccumulatorLeaf['coding'], number>> = {
  bit: 4,
  i32: 4,
  i64: 8,
  f64: 8,
  view: 16,
  min: 8,
  max: 8,
  minView: 24,
  maxView: 24,
};

const utf8 = new TextDecoder();
const encoder = new TextEncoder();

/** Where an entry's parts lie and what they are: shared by reading and writing. */
function planOf(layout: HashLayout) {
  const { keys, accumulatorBytes, texts, stamped } = layout;
  const entry = entryLayout({ keys, accumulatorBytes }, stamped);
  const viewOf = (leaf: AccumulatorLeaf): number => (leaf.coding === 'view' ? leaf.offset : leaf.offset + 8);
  const described = new Set(layout.leaves.filter((leaf) => leaf.coding.toLowerCase().endsWith('view')).map(viewOf));
  // A text that nothing describes is a column all the same: its address means nothing elsewhere.
  const more = texts
    .filter((offset) => !described.has(offset))
    .map((offset): AccumulatorLeaf => ({ name: `$text${offset}`, type: { kind: 'VARCHAR' }, offset, coding: 'view' }));
  const leaves = [...layout.leaves, ...more];
  const covered = new Uint8Array(accumulatorBytes);
  for (const { offset, coding } of leaves) covered.fill(1, offset, offset + codingBytes[coding]);
  const rest = Array.from({ length: accumulatorBytes }, (_, i) => i).filter((i) => covered[i] === 0);
  const columns: StateColumn[] = [
    hashColumn,
    ...keys.map(({ name, type, nullable }) => ({ name, type, nullable })),
    ...leaves.map(({ name, type, coding, absent = [] }) => ({
      name,
      type,
      nullable: absent.length > 0 || coding.startsWith('m'),
    })),
    ...(rest.length > 0 ? [restColumn] : []),
  ];
  return { keys, leaves, entry, rest, columns: named(columns) };
}

export function entryCodec(layout: HashLayout): EntryCodec {
  const { keys, leaves, entry, rest, columns } = planOf(layout);
  const { offsets, nulls, accumulatorOffset, stride } = entry;
  return {
    columns,
    *rows(record) {
      const view = new DataView(record.buffer, record.byteOffset, record.length);
      const count = countOf(view.getUint32(8, true));
      /** Offsets of long texts count from a page's start, whose end is the record's. */
      const page = record.length - pageSize;
      const text = (at: number): string => {
        const length = view.getUint32(at, true);
        const from = length <= 12 ? at + 4 : page + view.getUint32(at + 12, true);
        return utf8.decode(record.slice(from, from + length));
      };
      for (let i = 0; i < count; i++) {
        const at = recordHeaderBytes + i * stride;
        const row: unknown[] = [view.getBigUint64(at, true)];
        keys.forEach(({ storage }, k) => {
          const isNull = nulls !== 0 && (((record[at + nulls + (k >>> 3)] as number) >>> (k & 7)) & 1) !== 0;
          row.push(isNull ? null : keyValue(view, storage, at + (offsets[k] as number), text));
        });
        const from = at + accumulatorOffset;
        for (const leaf of leaves) row.push(leafValue(view, leaf, from, text));
        if (rest.length > 0) row.push(Uint8Array.from(rest, (offset) => record[from + offset] as number));
        yield row;
      }
    },
    keyOf: (row) =>
      row
        .slice(0, 1 + keys.length)
        .map((value) => `${typeof value}:${Object.is(value, -0) ? 0 : String(value)}`)
        .join('\0'),
  };
}

function keyValue(view: DataView, storage: StorageKind, at: number, text: (at: number) => string): unknown {
  switch (storage) {
    case 'bit':
      return view.getUint8(at) !== 0;
    case 'i32':
      return view.getInt32(at, true);
    case 'i64':
      return view.getBigInt64(at, true);
    case 'f64':
      return view.getFloat64(at, true);
    case 'view':
      return text(at);
  }
}

function leafValue(view: DataView, leaf: AccumulatorLeaf, from: number, text: (at: number) => string): unknown {
  for (const { at, mask, when } of leaf.absent ?? []) {
    const bits = (view.getUint32(from + at, true) & mask) !== 0;
    if (bits === (when === 'set')) return null;
  }
  const at = from + leaf.offset;
  switch (leaf.coding) {
    case 'bit':
      return view.getUint32(at, true) !== 0;
    case 'i32':
      return view.getInt32(at, true);
    case 'i64':
      return view.getBigInt64(at, true);
    case 'f64':
      return view.getFloat64(at, true);
    case 'view':
      return text(at);
    case 'minView':
    case 'maxView':
      return view.getUint32(at, true) === 0 ? null : text(at + 8);
    default: {
      const code = view.getBigUint64(at, true);
      return code === 0n ? null : decodeExtreme(leaf, code);
    }
  }
}

const allBits = 2n ** 64n - 1n;
const signBit = 2n ** 63n;

/** The value of an order-preserving code (core/compile/accumulators.ts). */
function decodeExtreme({ coding, type }: AccumulatorLeaf, code: bigint): unknown {
  const ordered = coding === 'min' ? code ^ allBits : code;
  if (type.kind === 'DOUBLE') {
    scratch.setBigUint64(0, (ordered & signBit) === 0n ? ordered ^ allBits : ordered ^ signBit);
    return scratch.getFloat64(0);
  }
  const value = BigInt.asIntN(64, ordered ^ signBit);
  if (type.kind === 'BOOLEAN') return value !== 0n;
  return type.kind === 'INT' || type.kind === 'DATE' ? Number(value) : value;
}

/** The inverse. */
function encodeExtreme({ coding, type }: AccumulatorLeaf, value: unknown): bigint {
  let ordered: bigint;
  if (type.kind === 'DOUBLE') {
    scratch.setFloat64(0, value as number);
    const bits = scratch.getBigUint64(0);
    ordered = (bits & signBit) === 0n ? bits ^ signBit : bits ^ allBits;
  } else {
    ordered = BigInt.asUintN(64, BigInt(value as bigint | number | boolean)) ^ signBit;
  }
  return coding === 'min' ? ordered ^ allBits : ordered;
}

const scratch = new DataView(new ArrayBuffer(8));

/** Packs rows into records of whole entries; `leave` gets each when it is full. */
export function entryWriter(layout: HashLayout, leave: (head: Uint8Array, tail: Uint8Array, count: number) => void) {
  const { keys, leaves, entry, rest } = planOf(layout);
  const { offsets, nulls, accumulatorOffset, stride } = entry;
  const page = new Uint8Array(pageSize);
  const view = new DataView(page.buffer);
  // As a chunk of the kernels: entries from byte 64 on, texts from the end down.
  const first = 64;
  let count = 0;
  let heap = pageSize;

  const flush = (): void => {
    if (count > 0) leave(page.subarray(first, first + count * stride), page.subarray(heap), count);
    count = 0;
    heap = pageSize;
    page.fill(0);
  };
  const putText = (at: number, bytes: Uint8Array): void => {
    view.setUint32(at, bytes.length, true);
    if (bytes.length <= 12) {
      page.set(bytes, at + 4);
      return;
    }
    heap -= bytes.length;
    page.set(bytes, heap);
    page.set(bytes.subarray(0, 4), at + 4);
    view.setUint32(at + 12, heap, true);
  };

  return {
    add(row: StateRow): void {
      const texts = row.map((value) => (typeof value === 'string' ? encoder.encode(value) : null));
      const long = texts.reduce((sum, bytes) => sum + (bytes !== null && bytes.length > 12 ? bytes.length : 0), 0);
      if (first + (count + 1) * stride + long > heap) flush();
      const at = first + count * stride;
      count++;
      view.setBigUint64(at, row[0] as bigint, true);
      keys.forEach(({ storage }, k) => {
        const value = row[1 + k];
        if (value === null) {
          page[at + nulls + (k >>> 3)] = (page[at + nulls + (k >>> 3)] as number) | (1 << (k & 7));
          return;
        }
        const to = at + (offsets[k] as number);
        if (storage === 'bit') page[to] = value ? 1 : 0;
        else if (storage === 'i32') view.setInt32(to, value as number, true);
        else if (storage === 'i64') view.setBigInt64(to, value as bigint, true);
        else if (storage === 'f64') view.setFloat64(to, value as number, true);
        else putText(to, texts[1 + k] as Uint8Array);
      });
      const from = at + accumulatorOffset;
      // First what has no type of its own: it says which of the others are there.
      const restBytes = rest.length > 0 ? (row[1 + keys.length + leaves.length] as Uint8Array) : null;
      rest.forEach((offset, i) => {
        page[from + offset] = (restBytes as Uint8Array)[i] as number;
      });
      leaves.forEach((leaf, i) => {
        const column = 1 + keys.length + i;
        const value = row[column];
        if (value === null) return;
        const to = from + leaf.offset;
        switch (leaf.coding) {
          case 'bit':
            view.setUint32(to, value ? 1 : 0, true);
            return;
          case 'i32':
            view.setInt32(to, value as number, true);
            return;
          case 'i64':
            view.setBigInt64(to, value as bigint, true);
            return;
          case 'f64':
            view.setFloat64(to, value as number, true);
            return;
          case 'view':
            putText(to, texts[column] as Uint8Array);
            return;
          case 'minView':
          case 'maxView':
            view.setUint32(to, 1, true);
            putText(to + 8, texts[column] as Uint8Array);
            return;
          default:
            view.setBigUint64(to, encodeExtreme(leaf, value), true);
        }
      });
    },
    flush,
  };
}
