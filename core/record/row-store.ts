/**
 * Rows that an operator keeps: copies of batches in chunks of columns, strings included, named by row ids that count up
 * from 0 in order of arrival. Rows are added and read at random, and let go all at once. Codes of dictionaries do not
 * stay: a kept column is plain, its strings copied once per entry where that saves room.
 *
 *   chunk   1 << shift rows: per leaf, its values; then, for a nullable one, its validity bits
 *   row id  chunk number << shift | row in chunk
 */
import { assert } from '../base/assert.ts';
import { MillraceError } from '../base/errors.ts';
import type { BlockPool } from '../ports/blocks.ts';
import type { Kernels } from '../ports/kernels.ts';
import { type Batch, batch as batchOf, type Column, type Dictionary } from './batch.ts';
import { type Layout, type LayoutColumn, type StorageKind, valueBytes } from './layout.ts';
import { alignUp, type SlotMemory } from './memory.ts';

/** The order of kept rows: leaf columns, the first one first. */
export interface KeptOrder {
  readonly column: number;
  readonly descending: boolean;
}

export interface RowStoreSetup {
  readonly layout: Layout;
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  readonly blocks: BlockPool;
  /** Who keeps rows, for errors. */
  readonly name: string;
}

/** Codes of storage kinds in kernels/assembly/sort.ts. */
export const storageCode: Readonly<Record<StorageKind, number>> = { bit: 0, i32: 1, i64: 2, f64: 3, view: 4 };

export class RowStore {
  readonly layout: Layout;
  /** Rows of a chunk: 1 << shift. */
  readonly shift: number;
  readonly #setup: RowStoreSetup;
  readonly #places: readonly Place[];
  readonly #chunkBytes: number;
  /** The cell that holds the chunk table's address, and 4 bytes for kernels to answer in. */
  readonly #root: number;
  #tableLength = 0;
  readonly #chunks: number[] = [];
  readonly #heaps: { readonly address: number; readonly bytes: number }[] = [];
  #heapNext = 0;
  #heapEnd = 0;
  /** Entries of a dictionary that were copied, by leaf. */
  readonly #adopted = new Map<number, { readonly id: number; readonly count: number; readonly views: number }>();
  #rows = 0;

  constructor(setup: RowStoreSetup) {
    this.#setup = setup;
    this.layout = setup.layout;
    const rowBytes = setup.layout.reduce((sum, column) => sum + valueBytes(column.storage, 8) / 8, 1);
    let shift = chunkShiftMax;
    while (shift > chunkShiftMin && rowBytes * 2 ** shift > chunkBytesMax) shift--;
    this.shift = shift;
    let offset = 0;
    const take = (bytes: number): number => {
      const at = offset;
      offset = alignUp(offset + bytes, 16);
      return at;
    };
    this.#places = setup.layout.map((column) => ({
      column,
      values: take(valueBytes(column.storage, 1 << shift)),
      validity: column.nullable ? take(valueBytes('bit', 1 << shift)) : -1,
    }));
    this.#chunkBytes = offset;
    this.#root = setup.memory.arena.allocate(8, setup.name);
  }

  get rows(): number {
    return this.#rows;
  }

  /** Bytes taken from the block pool. */
  get bytes(): number {
    const heaps = this.#heaps.reduce((sum, heap) => sum + heap.bytes, 0);
    return this.#chunks.length * this.#chunkBytes + heaps + this.#tableLength * 4;
  }

  /** Writes a description of an order for the kernels, which stays right as rows are added. `first`: see sort.ts. */
  describeOrder(by: readonly KeptOrder[], first = 0): number {
    const { memory } = this.#setup;
    const at = memory.arena.allocate(16 + by.length * 12, 'sort keys');
    memory.u32.set([this.#root, this.shift, by.length, first], at >>> 2);
    by.forEach(({ column, descending }, k) => {
      const place = this.#places[column];
      assert(place, `no column ${column} to order by`);
      const storage = storageCode[place.column.storage] | (descending ? 256 : 0);
      const validity = place.validity < 0 ? 0xffffffff : place.validity;
      memory.u32.set([storage, place.values, validity], (at + 16 + k * 12) >>> 2);
    });
    return at;
  }

  /** Ids of all rows, in order of arrival. */
  *everyId(): Iterable<number> {
    for (let id = 0; id < this.#rows; id++) yield id;
  }

  /** Copies the rows that are in; answers the id of the first, the others follow. Errors: `memory/exhausted`. */
  append(from: Batch): number {
    const first = this.#rows;
    let done = 0;
    while (done < from.size) {
      const inChunk = this.#rows & ((1 << this.shift) - 1);
      if (inChunk === 0) this.#addChunk();
      const n = Math.min(from.size - done, (1 << this.shift) - inChunk);
      const chunk = this.#chunks.at(-1) as number;
      const rows = from.selection === 0 ? 0 : from.selection + done * 4;
      this.#places.forEach((place, leaf) => {
        const column = from.columns[leaf];
        assert(column, `no leaf ${leaf} in a batch to keep`);
        this.#copy(place, leaf, column, rows, done, n, chunk, inChunk, from.size);
      });
      this.#rows += n;
      done += n;
    }
    return first;
  }

  /** The piece of one chunk that holds row `id` and those behind it: for kernels that work on stored columns. */
  pieceOf(leaf: number, id: number): { readonly values: number; readonly validity: number; readonly first: number } {
    const place = this.#places[leaf] as Place;
    const chunk = this.#chunks[id >>> this.shift] as number;
    return {
      values: chunk + place.values,
      validity: place.validity < 0 ? 0 : chunk + place.validity,
      first: id & ((1 << this.shift) - 1),
    };
  }

  /** Copies the columns of `n` rows into `out`, whose strings go on pointing into the store. */
  gather(ids: number, n: number, out: readonly ColumnBuffer[]): readonly Column[] {
    const { kernels, memory } = this.#setup;
    const chunks = memory.u32[this.#root >>> 2] as number;
    return this.#places.map(({ column, values, validity }, leaf) => {
      const to = out[leaf] as ColumnBuffer;
      const nulls = validity < 0 ? 0 : kernels.keptRowsBits(chunks, this.shift, validity, ids, n, to.validity);
      if (column.storage === 'bit') kernels.keptRowsBits(chunks, this.shift, values, ids, n, to.values);
      else if (column.storage === 'i32') kernels.keptRows4(chunks, this.shift, values, ids, n, to.values);
      else if (column.storage === 'view') kernels.keptRows16(chunks, this.shift, values, ids, n, to.values);
      else kernels.keptRows8(chunks, this.shift, values, ids, n, to.values);
      return { validity: nulls === 0 ? 0 : to.validity, values: to.values, dictionary: null };
    });
  }

  /** Lets all rows go and gives their room back. */
  clear(): void {
    const { blocks } = this.#setup;
    for (const chunk of this.#chunks) blocks.give(chunk, this.#chunkBytes);
    for (const { address, bytes } of this.#heaps) blocks.give(address, bytes);
    this.#chunks.length = 0;
    this.#heaps.length = 0;
    this.#heapNext = 0;
    this.#heapEnd = 0;
    this.#adopted.clear();
    this.#rows = 0;
  }

  /** Gives back what `clear` keeps for the next rows. */
  close(): void {
    this.clear();
    const { blocks, memory } = this.#setup;
    if (this.#tableLength > 0) blocks.give(memory.u32[this.#root >>> 2] as number, this.#tableLength * 4);
    this.#tableLength = 0;
  }

  #copy(
    { column, values, validity }: Place,
    leaf: number,
    from: Column,
    rows: number,
    first: number,
    n: number,
    chunk: number,
    at: number,
    batchRows: number,
  ): void {
    const { kernels } = this.#setup;
    if (validity >= 0) kernels.gatherBits(from.validity, rows, first, n, chunk + validity, at);
    const to = chunk + values;
    switch (column.storage) {
      case 'bit':
        kernels.gatherBits(from.values, rows, first, n, to, at);
        return;
      case 'i32':
        kernels.gather4(from.values, rows, first, n, to + at * 4);
        return;
      case 'i64':
      case 'f64':
        kernels.gather8(from.values, rows, first, n, to + at * 8);
        return;
      case 'view': {
        const { dictionary } = from;
        const adopted = dictionary ? this.#adoptDictionary(leaf, dictionary, batchRows) : 0;
        const views = adopted || (dictionary?.views ?? 0);
        kernels.gatherTexts(from.values, views, from.validity, rows, first, n, to + at * 16);
        if (adopted === 0) this.#adopt(to + at * 16, n);
      }
    }
  }

  /** Copies a dictionary's strings once, when there are not many more than rows; 0: each row copies its own. */
  #adoptDictionary(leaf: number, { id, count, views }: Dictionary, batchRows: number): number {
    const known = this.#adopted.get(leaf);
    if (known && known.id === id && known.count === count) return known.views;
    if (count > batchRows * 2 || count === 0) return 0;
    const { kernels } = this.#setup;
    const copy = this.#carve(count * 16);
    kernels.gatherTexts(views, 0, 0, 0, 0, count, copy);
    this.#adopt(copy, count);
    this.#adopted.set(leaf, { id, count, views: copy });
    return copy;
  }

  /** Brings the strings of `n` views into the store's heap. */
  #adopt(views: number, n: number): void {
    const { kernels, memory } = this.#setup;
    const next = this.#root + 4;
    let done = 0;
    for (;;) {
      done += kernels.adoptTexts(views + done * 16, n - done, this.#heapNext, this.#heapEnd, next);
      this.#heapNext = memory.u32[next >>> 2] as number;
      if (done === n) return;
      const length = memory.u32[(views + done * 16) >>> 2] as number;
      if (length > heapBytes / 4) {
        const alone = this.#take(length);
        kernels.adoptTexts(views + done * 16, 1, alone, alone + length, next);
        done++;
      } else {
        this.#heapNext = this.#take(heapBytes);
        this.#heapEnd = this.#heapNext + heapBytes;
      }
    }
  }

  /** A part of a heap block, 16-byte aligned. */
  #carve(bytes: number): number {
    if (bytes > heapBytes / 4) return this.#take(bytes);
    if (alignUp(this.#heapNext, 16) + bytes > this.#heapEnd) {
      this.#heapNext = this.#take(heapBytes);
      this.#heapEnd = this.#heapNext + heapBytes;
    }
    const at = alignUp(this.#heapNext, 16);
    this.#heapNext = at + bytes;
    return at;
  }

  #addChunk(): void {
    const { memory, blocks } = this.#setup;
    const cell = this.#root >>> 2;
    if (this.#chunks.length === this.#tableLength) {
      const old = this.#tableLength === 0 ? 0 : (memory.u32[cell] as number);
      const length = Math.max(tableLengthMin, this.#tableLength * 2);
      const table = this.#room(length * 4);
      memory.u32.set(this.#chunks, table >>> 2);
      if (old !== 0) blocks.give(old, this.#tableLength * 4);
      this.#tableLength = length;
      memory.u32[cell] = table;
    }
    const chunk = this.#room(this.#chunkBytes);
    memory.u32[((memory.u32[cell] as number) >>> 2) + this.#chunks.length] = chunk;
    this.#chunks.push(chunk);
  }

  #take(bytes: number): number {
    const address = this.#room(bytes);
    this.#heaps.push({ address, bytes });
    return address;
  }

  #room(bytes: number): number {
    return takeBlock(this.#setup.blocks, bytes, this.#setup.name, this.#rows);
  }
}

/** Room from `blocks` for an operator that keeps rows. Errors: `memory/exhausted`, naming the operator and what to do. */
export function takeBlock(blocks: BlockPool, bytes: number, name: string, rows: number): number {
  const address = blocks.take(bytes);
  if (address !== 0) return address;
  throw new MillraceError(
    'memory/exhausted',
    `${name} keeps ${rows} rows in memory and finds no room for ${bytes} bytes more; raise 'memory', filter earlier, or keep fewer rows (.limit, a smaller topN)`,
    { where: { operator: name } },
  );
}

/** Buffers of one leaf of an output batch. */
export interface ColumnBuffer {
  readonly validity: number;
  readonly values: number;
}

/** Buffers for batches of up to `rows` rows, from the arena. */
export function columnBuffers(layout: Layout, memory: SlotMemory, rows: number, name: string): readonly ColumnBuffer[] {
  return layout.map(({ storage, nullable }) => ({
    values: memory.arena.allocate(valueBytes(storage, rows), name),
    validity: nullable ? memory.arena.allocate(valueBytes('bit', rows), name) : 0,
  }));
}

/** A batch of kept rows. */
export function keptBatch(store: RowStore, ids: number, n: number, buffers: readonly ColumnBuffer[]): Batch {
  return batchOf(store.layout, n, store.gather(ids, n, buffers));
}

interface Place {
  readonly column: LayoutColumn;
  /** Offsets in a chunk; validity −1: not nullable. */
  readonly values: number;
  readonly validity: number;
}

const chunkShiftMax = 12;
const chunkShiftMin = 6;
const chunkBytesMax = 256 * 1024;
const heapBytes = 64 * 1024;
const tableLengthMin = 64;
