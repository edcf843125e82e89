/**
 * A snapshot of one operator's state: frozen pages, read a few at a time while the operator goes on, and what reading
 * makes of them. A part says which key groups its subtask owned; entries carry their hash, so that any other parallelism
 * can take the key groups it owns out of any parts. In memory for now; the chunks are what files will hold.
 */
import type { KeyGroupRange } from '../core/base/key-groups.ts';
import type { Kernels } from '../core/ports/kernels.ts';
import * as at from '../core/ports/page-layout.ts';
import type { KeyedValue } from '../core/ports/state.ts';
import type { SlotMemory } from '../core/record/memory.ts';
import type { BTree } from './ordered-table.ts';
import type { PagePool } from './page-pool.ts';
import type { Shape } from './shape.ts';
import type { TextStore } from './text-store.ts';

/** What one subtask's operator held. Structured-cloneable. */
export interface SnapshotPart {
  readonly keyGroups: KeyGroupRange;
  readonly values: Readonly<Record<string, unknown>>;
  /** Values that move with their key groups, by name. */
  readonly keyed: Readonly<Record<string, readonly KeyedValue<unknown>[]>>;
  readonly tables: readonly TablePart[];
}

export interface TablePart {
  readonly name: string;
  /** null: an unsliced table. */
  readonly slice: number | null;
  /** What the entries look like: a table restores only from an equal one. */
  readonly format: string;
  readonly chunks: Uint8Array[];
}

/** Frozen state that is being read. Nothing of it changes, whatever the operator does. */
export interface StateSnapshot {
  /** Pages still frozen. */
  readonly pages: number;
  /** Reads up to `pages` frozen pages and releases them; true when all are read and `part` is complete. */
  read(pages: number): boolean;
  readonly part: SnapshotPart;
  /** Gives up what is not read. Idempotent; called also after a complete read. */
  release(): void;
}

/** The frozen pages of one table: hash pages of a shape, or leaves of an ordered table. */
export type FrozenTable = FrozenHash | FrozenOrdered;

interface FrozenPages {
  readonly name: string;
  readonly slice: number | null;
  readonly ids: readonly number[];
  readonly addresses: Uint32Array;
}

export interface FrozenOrdered extends FrozenPages {
  readonly ordered: BTree;
}

export interface FrozenHash extends FrozenPages {
  readonly ordered?: undefined;
  readonly shape: Shape;
  /** Places before it, in the first page, have left the table. */
  readonly firstPlace: number;
  readonly texts: TextStore | null;
}

export function stateSnapshot(
  home: { readonly memory: SlotMemory; readonly kernels: Kernels; readonly pool: PagePool; readonly chunk: number },
  keyGroups: KeyGroupRange,
  { values, keyed }: Pick<SnapshotPart, 'values' | 'keyed'>,
  frozen: readonly FrozenTable[],
  onRelease: () => void,
): StateSnapshot {
  const { memory, kernels, pool, chunk } = home;
  const tables = frozen.map((table) => ({
    name: table.name,
    slice: table.slice,
    format: table.ordered ? table.ordered.format : formatOf(table.shape),
    chunks: [] as Uint8Array[],
  }));
  let left = frozen.reduce((sum, table) => sum + table.ids.length, 0);
  let tableIndex = 0;
  let page = 0;
  let released = false;
  const room = chunkRoom();

  const thawNext = (): void => {
    const table = frozen[tableIndex] as FrozenTable;
    pool.thaw(table.ids[page] as number, table.addresses[page] as number);
    page++;
    left--;
  };
  const skipFinished = (): void => {
    while (tableIndex < frozen.length && page === (frozen[tableIndex] as FrozenTable).ids.length) {
      tableIndex++;
      page = 0;
    }
  };
  const end = (): void => {
    if (released) return;
    released = true;
    for (const table of frozen) if (!table.ordered) table.texts?.thaw();
    onRelease();
  };

  return {
    get pages() {
      return left;
    },
    read(pages) {
      skipFinished();
      // Chunks are filled within one call only: the block that gathers them is shared by the slot.
      for (let budget = pages; budget > 0 && tableIndex < frozen.length; skipFinished()) {
        const table = frozen[tableIndex] as FrozenTable;
        const { chunks } = tables[tableIndex] as (typeof tables)[number];
        if (table.ordered) {
          for (; budget > 0 && page < table.ids.length; budget--) {
            const bytes = table.ordered.exportPage(table.addresses[page] as number, chunk);
            const packed = room(bytes);
            packed.set(memory.u8.subarray(chunk, chunk + bytes));
            chunks.push(packed);
            thawNext();
          }
          continue;
        }
        emptyChunk(memory, chunk);
        for (; budget > 0 && page < table.ids.length; budget--) {
          const address = table.addresses[page] as number;
          const capacity = memory.u32[(address + at.pageCapacityAt) >>> 2] as number;
          let place = page === 0 ? table.firstPlace : 0;
          for (;;) {
            place = kernels.exportEntries(table.shape.block, address, place, chunk);
            if (place === capacity) break;
            chunks.push(packChunk(memory, chunk, table.shape.stride, room));
            emptyChunk(memory, chunk);
          }
          thawNext();
        }
        if (memory.u32[(chunk + at.pageCountAt) >>> 2] !== 0)
          chunks.push(packChunk(memory, chunk, table.shape.stride, room));
      }
      if (left === 0) end();
      return left === 0;
    },
    part: { keyGroups, values, keyed, tables },
    release() {
      for (skipFinished(); left > 0; skipFinished()) thawNext();
      end();
    },
  };
}

/** What a table's entries look like: names, types and sizes. */
export function formatOf(shape: Shape): string {
  const { keys, accumulatorBytes, texts } = shape.decl;
  return JSON.stringify([keys.map((leaf) => [leaf.storage, leaf.nullable]), accumulatorBytes, texts ?? []]);
}

function emptyChunk(memory: SlotMemory, chunk: number): void {
  memory.u8.fill(0, chunk, chunk + at.pageTagsAt);
  memory.u32[(chunk + at.pageHeapAt) >>> 2] = at.pageSize;
}

/**
 * Room for chunks in shared memory, many to a buffer: a part crosses threads by reference. Cloned, half a gigabyte would
 * stop the slot, the coordinator and the caller in turn.
 */
function chunkRoom(): (bytes: number) => Uint8Array {
  let buffer = new SharedArrayBuffer(0);
  let used = 0;
  return (bytes) => {
    if (used + bytes > buffer.byteLength) {
      // The first is small: most operators hold little.
      buffer = new SharedArrayBuffer(
        Math.max(bytes, Math.min(roomBytesMax, Math.max(roomBytesMin, buffer.byteLength * 2))),
      );
      used = 0;
    }
    const chunk = new Uint8Array(buffer, used, bytes);
    used += Math.ceil(bytes / 8) * 8;
    return chunk;
  };
}
const roomBytesMin = 32 * 1024;
const roomBytesMax = 1024 * 1024;

/** Header, entries and strings, without the gap between them. */
function packChunk(memory: SlotMemory, chunk: number, stride: number, room: (bytes: number) => Uint8Array): Uint8Array {
  const entriesEnd = at.pageTagsAt + (memory.u32[(chunk + at.pageCountAt) >>> 2] as number) * stride;
  const heap = memory.u32[(chunk + at.pageHeapAt) >>> 2] as number;
  const packed = room(entriesEnd + at.pageSize - heap);
  packed.set(memory.u8.subarray(chunk, chunk + entriesEnd));
  packed.set(memory.u8.subarray(chunk + heap, chunk + at.pageSize), entriesEnd);
  return packed;
}

/** The inverse: a chunk as the kernels read it, at `chunk`. */
export function unpackChunk(memory: SlotMemory, packed: Uint8Array, chunk: number, stride: number): void {
  memory.u8.set(packed.subarray(0, at.pageTagsAt), chunk);
  const entriesEnd = at.pageTagsAt + (memory.u32[(chunk + at.pageCountAt) >>> 2] as number) * stride;
  const heap = memory.u32[(chunk + at.pageHeapAt) >>> 2] as number;
  memory.u8.set(packed.subarray(at.pageTagsAt, entriesEnd), chunk + at.pageTagsAt);
  memory.u8.set(packed.subarray(entriesEnd), chunk + heap);
}
