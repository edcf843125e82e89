/**
 * The shape of a table's entries: where key leaves, null bits and accumulators lie, and how many entries a page is laid
 * out for. Writes the shape block that the kernels read. One per declaration, shared by all its tables.
 */
import { MillraceError } from '../core/base/errors.ts';
import { entryBytesMax } from '../core/base/limits.ts';
import * as at from '../core/ports/page-layout.ts';
import type { GroupTableDecl } from '../core/ports/state.ts';
import type { Batch } from '../core/record/batch.ts';
import type { StorageKind } from '../core/record/layout.ts';
import { alignUp, type SlotMemory } from '../core/record/memory.ts';

const storageCode: Readonly<Record<StorageKind, number>> = {
  bit: at.storageBit,
  i32: at.storageI32,
  i64: at.storageI64,
  f64: at.storageF64,
  view: at.storageView,
};
const storageBytes: Readonly<Record<StorageKind, number>> = { bit: 1, i32: 4, i64: 8, f64: 8, view: 16 };

export interface Shape {
  readonly decl: GroupTableDecl;
  /** Address of the block. */
  readonly block: number;
  readonly stride: number;
  readonly accumulatorOffset: number;
  /** Where entries have their stamp; 0: they have none. */
  readonly stampAt: number;
  /** What entries that are touched now are stamped with. */
  stamp: number;
  /** Of a new table's first page. */
  readonly layout: PageLayout;
  /** Whether keys own heap bytes. */
  readonly strings: boolean;
  /** Which resolve kernels suit: by the one leaf's storage, or any. */
  readonly single: 'i64' | 'i32' | 'view' | null;
  /** Tells the kernels where the key columns of `batch` are. Answers whether none of them has nulls. */
  bind(batch: Batch, keyColumns: readonly number[]): boolean;
}

/** Where the parts of an entry lie. `stamped`: in slots that track changes. */
export interface EntryLayout {
  /** Of each key leaf. */
  readonly offsets: readonly number[];
  /** Of the null bits; 0: no leaf can be null. */
  readonly nulls: number;
  readonly stampAt: number;
  readonly accumulatorOffset: number;
  readonly stride: number;
}

export function entryLayout(
  { keys, accumulatorBytes }: Pick<GroupTableDecl, 'keys' | 'accumulatorBytes'>,
  stamped: boolean,
): EntryLayout {
  const offsets: number[] = new Array(keys.length);
  let next = 8;
  for (const bytes of [16, 8, 4, 1]) {
    keys.forEach((leaf, i) => {
      if (storageBytes[leaf.storage] !== bytes) return;
      offsets[i] = next;
      next += bytes;
    });
  }
  let nulls = 0;
  if (keys.some((leaf) => leaf.nullable)) {
    nulls = next;
    next += (keys.length + 7) >>> 3;
  }
  const accumulatorOffset = alignUp(next, 8);
  const end = accumulatorOffset + alignUp(accumulatorBytes, 8);
  // Behind all else: keys are compared up to the accumulators.
  return { offsets, nulls, stampAt: stamped ? end : 0, accumulatorOffset, stride: stamped ? end + 8 : end };
}

/** Errors: `plan/unsupported` when one entry is larger than a quarter of a page. */
export function shapeOf(
  memory: SlotMemory,
  decl: GroupTableDecl,
  slot: { readonly pageTable: number; readonly undo: number; readonly hashSeed: bigint },
  stamped = false,
): Shape {
  const { keys } = decl;
  const { offsets, nulls, stampAt, accumulatorOffset, stride } = entryLayout(decl, stamped);
  if (stride > entryBytesMax) {
    throw new MillraceError(
      'plan/unsupported',
      `keys and aggregates of a group take ${stride} bytes in state, at most ${entryBytesMax} are supported; group by fewer columns or compute fewer aggregates at once`,
    );
  }
  const texts = decl.texts ?? [];
  const views = keys.filter((leaf) => leaf.storage === 'view').length;
  // Tables without strings use the whole page for entries; the others leave each view a little and adapt page by page.
  const layout = pageLayout(stride, views === 0 ? 0 : 8 * views);

  const block = memory.arena.allocate(
    at.shapeLeavesAt + at.leafBytes * keys.length + 4 * texts.length,
    `table ${decl.name}`,
  );
  const { u32 } = memory;
  const set = (offset: number, value: number): void => {
    u32[(block + offset) >>> 2] = value;
  };
  memory.u64[(block + at.shapeSeedAt) >>> 3] = slot.hashSeed;
  set(at.shapePageTableAt, slot.pageTable);
  set(at.shapeUndoAt, slot.undo);
  set(at.shapeCapacityAt, layout.capacity);
  set(at.shapeStrideAt, stride);
  set(at.shapeEntriesAt, layout.entriesAt);
  set(at.shapeCountMaxAt, layout.countMax);
  set(at.shapeKeysAt, keys.length);
  set(at.shapeNullsAt, nulls);
  set(at.shapeAccumulatorsAt, accumulatorOffset);
  set(at.shapeTextsAt, texts.length);
  set(at.shapeEntryMaxAt, entryBytesMax);
  set(at.shapeInverseAt, Math.ceil(2 ** 32 / stride));
  set(at.shapeLineMaskAt, ~(perLine(stride) - 1) >>> 0);
  keys.forEach((leaf, i) => {
    set(at.shapeLeavesAt + at.leafBytes * i + at.leafStorageAt, storageCode[leaf.storage]);
    set(at.shapeLeavesAt + at.leafBytes * i + at.leafOffsetAt, offsets[i] as number);
  });
  texts.forEach((offset, i) => {
    set(at.shapeLeavesAt + at.leafBytes * keys.length + 4 * i, accumulatorOffset + offset);
  });

  const only = keys.length === 1 ? keys[0]?.storage : undefined;
  const leaves = (block + at.shapeLeavesAt) >>> 2;
  return {
    decl,
    block,
    stride,
    accumulatorOffset,
    stampAt,
    stamp: 1,
    layout,
    strings: views > 0,
    single: only === 'i64' || only === 'i32' || only === 'view' ? only : null,
    bind(batch, keyColumns) {
      let plain = true;
      for (let i = 0; i < keyColumns.length; i++) {
        const column = batch.columns[keyColumns[i] as number] as Batch['columns'][number];
        const leaf = leaves + (at.leafBytes >>> 2) * i;
        u32[leaf + (at.leafValuesAt >>> 2)] = column.values;
        u32[leaf + (at.leafValidityAt >>> 2)] = column.validity;
        u32[leaf + (at.leafViewsAt >>> 2)] = column.dictionary ? column.dictionary.views : 0;
        if (column.validity !== 0) plain = false;
      }
      return plain;
    },
  };
}

export interface PageLayout {
  readonly capacity: number;
  readonly entriesAt: number;
  readonly countMax: number;
}

/** How a page is divided when its entries take `stride` bytes and own `heapBytes` on average. */
export function pageLayout(stride: number, heapBytes: number): PageLayout {
  const room = at.pageSize - at.pageTagsAt - 16 - 64;
  const most = Math.max(4, Math.floor(room / (stride + 1 + heapBytes * loadFactor)));
  const capacity = most - (most % perLine(stride));
  // Entries of a power-of-two size do not straddle cache lines.
  const alignment = (stride & (stride - 1)) === 0 ? Math.min(stride, 64) : 8;
  const entriesAt = alignUp(at.pageTagsAt + capacity + 16, alignment);
  return { capacity, entriesAt, countMax: Math.min(capacity - 1, Math.floor(capacity * loadFactor)) };
}

/** Entries that share a cache line wholly: those of a power-of-two size, and one of any other. */
function perLine(stride: number): number {
  return (stride & (stride - 1)) === 0 && stride < 64 ? 64 / stride : 1;
}

/** Beyond this share of its places a page splits: probes get long, and pages that split are half full. */
const loadFactor = 0.75;
