/**
 * A snapshot of one operator's state: frozen pages, read a few at a time while the operator goes on, and handed to a sink:
 * memory (below) or a checkpoint file (state/checkpoint/writer.ts). A part says which key groups its subtask owned; entries
 * carry their hash, so that any other parallelism can take the key groups it owns out of any parts.
 *
 * A page leaves as records: a header of 16 bytes, drawn in state/checkpoint/format.ts, and entries packed one behind the
 * other, then the bytes of their strings.
 */
import type { KeyGroupRange } from '../core/base/key-groups.ts';
import type { Kernels } from '../core/ports/kernels.ts';
import * as at from '../core/ports/page-layout.ts';
import type { GroupTableDecl, KeyedValue } from '../core/ports/state.ts';
import { copyInto } from '../core/record/copy.ts';
import type { SlotMemory } from '../core/record/memory.ts';
import { countOf, kindAndCount, RecordKind, recordHeaderBytes } from './checkpoint/format.ts';
import type { PageTracker } from './checkpoint/page-tracker.ts';
import type { BTree } from './ordered-table.ts';
import type { PagePool } from './page-pool.ts';
import type { Shape } from './shape.ts';
import type { TextStore } from './text-store.ts';

/** What one subtask's operator held. Structured-cloneable. */
export interface SnapshotPart extends RestoredPart {
  readonly tables: readonly TablePart[];
}

export interface TablePart extends RestoredTable {
  readonly chunks: Uint8Array[];
}

/** What one subtask's operator held, wherever it lies. */
export interface RestoredPart {
  readonly keyGroups: KeyGroupRange;
  readonly values: Readonly<Record<string, unknown>>;
  /** Values that move with their key groups, by name. */
  readonly keyed: Readonly<Record<string, readonly KeyedValue<unknown>[]>>;
  readonly tables: readonly RestoredTable[];
}

export interface RestoredTable {
  readonly name: string;
  /** null: an unsliced table. */
  readonly slice: number | null;
  /** What the entries look like: a table restores only from an equal one. */
  readonly format: string;
  /** Records of whole pages; each is valid until the next. Errors while they are read: `state/corrupt`. */
  readonly chunks: Iterable<Uint8Array>;
  /** About how many pages they fill; absent: few. */
  readonly pages?: number;
  /** Records of entries that replace those of the same key, in order; after `chunks`. */
  readonly changes?: Iterable<Uint8Array>;
}

/** Frozen state that is being read. Nothing of it changes, whatever the operator does. */
export interface StateSnapshot {
  /** Pages still frozen. */
  readonly pages: number;
  /** Reads up to `pages` frozen pages and releases them; true when all are read and `part` is complete. */
  read(pages: number): boolean;
  /** Without chunks where they went to a file. */
  readonly part: SnapshotPart;
  /** Gives up what is not read. Idempotent; called also after a complete read. */
  release(): void;
}

/** Pages of one table that are to be read, and where they were when it froze. */
export interface FrozenIds {
  readonly ids: Uint32Array;
  readonly addresses: Uint32Array;
}

export interface FrozenPages extends FrozenIds {
  /** Places before it, in the page `firstId` (0: none), have left the table. */
  readonly firstPlace: number;
  readonly firstId: number;
  readonly texts: TextStore | null;
  /** Where a page can be read as it was when it froze, until the next call. */
  asFrozen(address: number): number;
}

export interface FrozenTable extends FrozenPages {
  readonly sink: TableSink;
}

/** What a sink must know of a table: hash pages of a shape, or leaves of a tree. */
export type TableSource =
  | { readonly shape: Shape; readonly tree?: undefined }
  | { readonly tree: BTree; readonly shape?: undefined };

/** Where the pages of one table go. */
export interface TableSink {
  /**
   * The table freezes: marks those of its pages `ids`, from `from` on, that must be read as frozen, and answers them.
   * `partly`: some entries of the first have left without its being written. `stamp`: of its touched entries so far.
   */
  freeze(ids: readonly number[], from: number, partly: boolean, stamp: number): FrozenIds;
  /** A page that was frozen, when it is read, in the same order. `place`: entries before it have left. */
  page(id: number, address: number, place: number): void;
  /** The chunk that is filled belongs to somebody else until the next `page`. */
  flush(): void;
}

/** Where an operator's snapshot goes. */
export interface SnapshotSink {
  table(name: string, slice: number | null, source: TableSource): TableSink;
  values(keyGroups: KeyGroupRange, values: SnapshotPart['values'], keyed: SnapshotPart['keyed']): SnapshotPart;
}

export interface SnapshotHome {
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  readonly pool: PagePool;
  /** In slots that track changes. */
  readonly tracker: PageTracker | null;
  /** A place in which a page is packed. */
  readonly chunk: number;
}

export function stateSnapshot(
  pool: PagePool,
  part: SnapshotPart,
  frozen: readonly FrozenTable[],
  onRelease: () => void,
): StateSnapshot {
  let left = frozen.reduce((sum, table) => sum + table.ids.length, 0);
  let tableIndex = 0;
  let page = 0;
  let released = false;

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
    for (const table of frozen) table.texts?.thaw();
    onRelease();
  };

  return {
    get pages() {
      return left;
    },
    read(pages) {
      skipFinished();
      for (let budget = pages; budget > 0 && tableIndex < frozen.length; skipFinished()) {
        const table = frozen[tableIndex] as FrozenTable;
        const { sink, ids, addresses, firstId, firstPlace } = table;
        for (; budget > 0 && page < ids.length; budget--) {
          const id = ids[page] as number;
          sink.page(id, table.asFrozen(addresses[page] as number), id === firstId ? firstPlace : 0);
          thawNext();
        }
        // Chunks are filled within one call only: the place that gathers them is shared by the slot.
        sink.flush();
      }
      if (left === 0) end();
      return left === 0;
    },
    part,
    release() {
      for (skipFinished(); left > 0; skipFinished()) thawNext();
      end();
    },
  };
}

/** Gathers chunks in shared memory, as many pages in one as there is room for. */
export function memorySink(home: SnapshotHome): SnapshotSink {
  const { memory, kernels, chunk } = home;
  const freeze: TableSink['freeze'] = (ids, from, _partly, stamp) => freezeAll(home, ids, from, stamp);
  const tables: TablePart[] = [];
  const room = chunkRoom();
  return {
    table(name, slice, { shape, tree }) {
      const chunks: Uint8Array[] = [];
      if (tree !== undefined) {
        tables.push({ name, slice, format: tree.format, chunks });
        return {
          freeze,
          page(_id, address) {
            const bytes = tree.exportPage(address, chunk);
            chunks.push(record(room, RecordKind.ordered, 0, memory.u8.subarray(chunk, chunk + bytes)));
          },
          flush() {},
        };
      }
      tables.push({ name, slice, format: formatOf(shape), chunks });
      let open = false;
      const leave = (): void => {
        const { head, tail, count } = packedChunk(memory, chunk, shape.stride);
        if (count > 0) chunks.push(record(room, RecordKind.page, count, head, tail));
        open = false;
      };
      return {
        freeze,
        page(_id, address, place) {
          const capacity = memory.u32[(address + at.pageCapacityAt) >>> 2] as number;
          for (let from = place; ; ) {
            if (!open) emptyChunk(memory, chunk);
            open = true;
            from = kernels.exportEntries(shape.block, address, from, chunk, 0, 0);
            if (from === capacity) return;
            leave();
          }
        },
        flush() {
          if (open) leave();
        },
      };
    },
    values: (keyGroups, values, keyed) => ({ keyGroups, values: structuredClone(values), keyed, tables }),
  };
}

function freezeAll(
  { memory, pool, tracker }: SnapshotHome,
  of: readonly number[],
  from: number,
  stamp: number,
): FrozenIds {
  const { u32 } = memory;
  const table = pool.table >>> 2;
  const ids = Uint32Array.from(of.slice(from));
  const addresses = new Uint32Array(ids.length);
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number;
    const entry = u32[table + id] as number;
    tracker?.note(id, entry, stamp);
    const address = (entry & ~at.pageFlags) >>> 0;
    addresses[i] = address;
    u32[table + id] = (address | at.pageFrozen) >>> 0;
  }
  return { ids, addresses };
}

/** What a table's entries look like: storage of the keys, sizes, texts, and whether they are stamped. */
export function formatOf({ decl, stampAt }: Pick<Shape, 'decl' | 'stampAt'>): string {
  return formatText(decl, stampAt !== 0);
}

export function formatText({ keys, accumulatorBytes, texts }: GroupTableDecl, stamped: boolean): string {
  const format = [keys.map((leaf) => [leaf.storage, leaf.nullable]), accumulatorBytes, texts ?? []];
  return JSON.stringify(stamped ? [...format, 'stamped'] : format);
}

export function emptyChunk(memory: SlotMemory, chunk: number): void {
  memory.u8.fill(0, chunk, chunk + at.pageTagsAt);
  memory.u32[(chunk + at.pageHeapAt) >>> 2] = at.pageSize;
}

/** What a chunk holds: entries, and the bytes of their strings. Valid until the chunk is used again. */
export function packedChunk(
  memory: SlotMemory,
  chunk: number,
  stride: number,
): { readonly count: number; readonly head: Uint8Array; readonly tail: Uint8Array } {
  const count = memory.u32[(chunk + at.pageCountAt) >>> 2] as number;
  const heap = memory.u32[(chunk + at.pageHeapAt) >>> 2] as number;
  const entriesAt = chunk + at.pageTagsAt;
  return {
    count,
    head: memory.u8.subarray(entriesAt, entriesAt + count * stride),
    tail: memory.u8.subarray(chunk + heap, chunk + at.pageSize),
  };
}

/** The inverse: a record as the kernels read it, at `chunk`. False: it is none of a table with that stride. */
export function unpackRecord(memory: SlotMemory, record: Uint8Array, chunk: number, stride: number): boolean {
  const view = new DataView(record.buffer, record.byteOffset, recordHeaderBytes);
  const count = countOf(view.getUint32(8, true));
  const entriesEnd = recordHeaderBytes + count * stride;
  const heap = at.pageSize - (record.length - entriesEnd);
  if (entriesEnd > record.length || at.pageTagsAt + count * stride > heap) return false;
  emptyChunk(memory, chunk);
  memory.u32[(chunk + at.pageCountAt) >>> 2] = count;
  memory.u32[(chunk + at.pageHeapAt) >>> 2] = heap;
  memory.u8.set(record.subarray(recordHeaderBytes, entriesEnd), chunk + at.pageTagsAt);
  memory.u8.set(record.subarray(entriesEnd), chunk + heap);
  return true;
}

function record(
  room: (bytes: number) => Uint8Array,
  kind: RecordKind,
  count: number,
  head: Uint8Array,
  tail: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const bytes = room(recordHeaderBytes + head.length + tail.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(8, kindAndCount(kind, count), true);
  view.setUint32(12, head.length + tail.length, true);
  const copy = copyInto(bytes);
  copy(head, recordHeaderBytes);
  copy(tail, recordHeaderBytes + head.length);
  return bytes;
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
