/**
 * A hash table of groups over state pages: an extendible directory from the bits behind the key group to pages, which
 * split singly. Finding and inserting is the kernels' work; this file makes room where they stop.
 */
import { assert } from '../core/base/assert.ts';
import { MillraceError } from '../core/base/errors.ts';
import { keyGroupOfHigh } from '../core/base/key-groups.ts';
import { entryBytesMax, pageCopiesMax } from '../core/base/limits.ts';
import type { Kernels } from '../core/ports/kernels.ts';
import * as at from '../core/ports/page-layout.ts';
import { type GroupTable, type HashPart, ResolveStop } from '../core/ports/state.ts';
import type { Batch, Column, Dictionary } from '../core/record/batch.ts';
import type { SlotMemory } from '../core/record/memory.ts';
import type { PagePool } from './page-pool.ts';
import type { Recall, RecallBlock } from './recall.ts';
import { type PageLayout, pageLayout, type Shape } from './shape.ts';
import type { FrozenPages, TableSink } from './snapshot.ts';
import { type TextStore, textStore } from './text-store.ts';
import type { UndoLog } from './undo-log.ts';

/** What the tables of a slot share. */
export interface TableHome {
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  readonly pool: PagePool;
  /** A place for the page that is being split, or read as it was. */
  readonly scratch: number;
  readonly recall: Recall;
  readonly undo: UndoLog;
  /** Snapshots that are being read. */
  readonly reading: { count: number };
  /** One u32. */
  readonly counter: number;
  /** Two u32 per entry of a chunk. */
  readonly imported: number;
  takeTableBlock(): number;
  giveTableBlock(block: number): void;
}

/** Entries of a chunk at most: the smallest takes 16 bytes. */
export const importedMax = at.pageSize / 16;

/** Tables of up to this many pages are probed by tags: they stay in the second-level cache. */
const tagPagesMax = 48;

/** A table grows to its expected size at once up to 2 ** depth pages (16 MB), and up to this share of the free ones. */
const spreadDepthMax = 10;
const spreadShare = 1 / 8;

/** Bits behind the key group's at most that pages are told apart by. */
const depthMax = 40;

/** Fewer rows than this are not worth the look for what is remembered. */
const recalledRowsMin = 64;
/** Bytes that a key is given to be remembered in (it takes eight of them), and log2 of a set's. */
const recalledKeyBytes = 24;
const recalledSetShift = 5;
/** Keys are told apart by their place in a range of at most so many for each that is there: a cache line for every one. */
const rangeKeysPerKey = 16;
/** Of the rows: more misses than this, and nothing is remembered for so many rows. */
const missedMax = 0.25;
const pausedRows = 1_048_576;

interface KeyRange {
  readonly least: bigint;
  readonly keys: number;
}

export class HashTable implements GroupTable {
  readonly shape: Shape;
  readonly accumulatorOffset: number;
  stop: ResolveStop = ResolveStop.done;
  readonly #home: TableHome;
  readonly #block: number;
  /** Page ids; in hash order when `#ordered`. */
  #ids: number[] = [];
  #ordered = true;
  #depth = 0;
  /** Places of the directory, when it is not in the block. */
  #directoryPlaces = 0;
  #copies = 0;
  #textStore: TextStore | null = null;
  /** How often entries moved, and rows met since; below 0 while remembering keys does not pay. */
  #moves = 0;
  #unmoved = 0;
  /** Keys that are to be remembered, counted at so many moves. */
  #keys = 0;
  #remembered = -1;
  /** Where those keys lie, once it was looked; and at how many moves too many did not lie there. */
  #range: KeyRange | null = null;
  #scattered = -1;
  /** The dictionary of the last batch, where there was one. */
  #dictionary = 0;
  /** How far `drain` has come: pages before `#drainedPage` are gone, then places before `#drainedPlace`. */
  #drainedPage = 0;
  #drainedPlace = 0;
  #sizeBefore = 0;

  readonly #part: HashPart;

  constructor(home: TableHome, shape: Shape, part: HashPart = { depth: 0, index: 0 }) {
    this.#home = home;
    this.shape = shape;
    this.#part = part;
    this.accumulatorOffset = shape.accumulatorOffset;
    this.#block = home.takeTableBlock();
    this.#setDirectory(this.#block + at.tableInlineAt, part.depth);
  }

  /** Entries that the table will probably hold: its first page is spread over as many pages as they need, none splits on the way. */
  expectedSize = 0;

  get size(): number {
    let size = 0;
    for (let i = this.#drainedPage; i < this.#ids.length; i++)
      size += this.#u32(this.#pageOf(this.#ids[i] as number) + at.pageCountAt);
    return size;
  }

  /** Entries that it had before it was drained. */
  get sizeMax(): number {
    return Math.max(this.size, this.#sizeBefore);
  }

  get pages(): number {
    return this.#ids.length - this.#drainedPage;
  }

  resolve(
    batch: Batch,
    keyColumns: readonly number[],
    hashes: number,
    rows: number,
    n: number,
    entries: number,
  ): number {
    const { kernels } = this.#home;
    const { block } = this.shape;
    const plain = this.shape.bind(batch, keyColumns);
    if (!this.#begin()) return 0;
    let k = 0;
    for (;;) {
      k = this.#kernel(plain)(block, this.#block, hashes, rows, k, n, entries);
      if (k === n) return this.#touched(entries, n);
      const moved = this.#makeRoom();
      if (moved < 0) return this.#touched(entries, k);
      if (moved > 0) kernels.resolveAgain(block, this.#block, hashes, rows, k, entries, moved);
    }
  }

  recall(batch: Batch, keyColumns: readonly number[], rows: number, n: number, entries: number): number {
    const { single } = this.shape;
    if (single === null || n < recalledRowsMin || this.#ids.length === 0) return 0;
    const { validity, dictionary } = batch.columns[keyColumns[0] as number] as Column;
    if (validity !== 0) return 0;
    const block = dictionary ? this.#placesOfCodes(dictionary, n) : this.#placesOfKeys(n);
    if (block === null) return 0;
    const { kernels } = this.#home;
    const { block: shape } = this.shape;
    this.shape.bind(batch, keyColumns);
    block.rows += n;
    const { address } = block;
    if (dictionary) return this.#touched(entries, kernels.recallCodes(shape, this.#block, rows, n, entries, address));
    const done = this.#recalled(block, rows, n, entries);
    // More misses than a full memory has: keys come too seldom to be remembered, or are no longer near one another.
    const misses = this.#u32(shape + at.shapeMissesAt);
    if (misses > n * missedMax && block.rows > 8 * this.#keys) {
      if (block.layout === 'range') {
        this.#scattered = this.#moves;
        block.moves = -1;
      } else this.#unmoved = -pausedRows;
    }
    return this.#touched(entries, done);
  }

  #recalled({ address, bits, layout }: RecallBlock, rows: number, n: number, entries: number): number {
    const { kernels } = this.#home;
    const { block, single } = this.shape;
    if (layout === 'range')
      return single === 'i64'
        ? kernels.recallRangeI64(block, this.#block, rows, n, entries, address)
        : kernels.recallRangeI32(block, this.#block, rows, n, entries, address);
    return single === 'i64'
      ? kernels.recallI64(block, this.#block, rows, n, entries, address, bits)
      : single === 'i32'
        ? kernels.recallI32(block, this.#block, rows, n, entries, address, bits)
        : kernels.recallView(block, this.#block, rows, n, entries, address, bits);
  }

  /** Where the codes of a dictionary are remembered: once it is met again, or at once where that costs little. */
  #placesOfCodes({ id, count }: Dictionary, n: number): RecallBlock | null {
    const { recall } = this.#home;
    const again = this.#dictionary === id;
    this.#dictionary = id;
    if (4 * count > recall.bytes || !(again || count <= n)) return null;
    const block = recall.take(this, id);
    if (block !== null && block.moves !== this.#moves) this.#forget(block, 4 * count, 0);
    return block;
  }

  /** Where keys are remembered: in a table that has not moved while it met as many rows as it has keys. */
  #placesOfKeys(n: number): RecallBlock | null {
    const { recall } = this.#home;
    this.#unmoved += n;
    if (this.#remembered !== this.#moves) {
      const room = this.#ids.length * this.shape.layout.countMax;
      if (this.#unmoved < room / 2 || 2 * room > recall.bytes) return null;
      // As long as nothing splits there may come twice as many.
      this.#keys = Math.max(this.size, room / 2);
      this.#remembered = this.#moves;
      this.#range = null;
    }
    if (this.#unmoved < this.#keys) return null;
    const layout = this.#layoutOfMemory();
    const block = layout === null ? null : recall.take(this, 0);
    if (block === null || block.moves === this.#moves) return block;
    block.layout = layout;
    if (layout === 'range') {
      const { least, keys } = this.#range as KeyRange;
      this.#forget(block, 16 + 4 * keys, 0);
      this.#home.memory.i64[block.address >>> 3] = least;
      this.#home.memory.i64[(block.address >>> 3) + 1] = BigInt(keys);
    } else {
      const shift = Math.ceil(Math.log2(this.#keys * recalledKeyBytes));
      this.#forget(block, 2 ** shift, shift - recalledSetShift);
    }
    return block;
  }

  /** How keys are best remembered; null: there are too many. */
  #layoutOfMemory(): RecallBlock['layout'] | null {
    const { bytes } = this.#home.recall;
    if (this.shape.single !== 'view' && this.#scattered !== this.#moves) {
      this.#range ??= this.#keyRange();
      if (16 + 4 * this.#range.keys <= bytes && this.#range.keys <= this.#keys * rangeKeysPerKey) return 'range';
    }
    return this.#keys * recalledKeyBytes <= bytes ? 'sets' : null;
  }

  /** Of the keys that are there, and an eighth more on both sides for those to come. */
  #keyRange(): KeyRange {
    const { kernels, scratch, memory } = this.#home;
    memory.i64[scratch >>> 3] = 2n ** 63n - 1n;
    memory.i64[(scratch >>> 3) + 1] = -(2n ** 63n);
    for (const id of this.#ids) kernels.keyRange(this.shape.block, this.#pageOf(id), scratch);
    const least = memory.i64[scratch >>> 3] as bigint;
    const keys = Number((memory.i64[(scratch >>> 3) + 1] as bigint) - least) + 1;
    const margin = Math.floor(keys / 8);
    return keys > 2 ** 32 ? { least, keys } : { least: least - BigInt(margin), keys: keys + 2 * margin };
  }

  #forget(block: RecallBlock, bytes: number, bits: number): void {
    this.#home.kernels.forget(block.address, bytes);
    block.moves = this.#moves;
    block.bits = bits;
    block.rows = 0;
  }

  /** Entries have other addresses now, or may no longer be written. */
  #moved(): void {
    this.#moves++;
    this.#unmoved = Math.min(this.#unmoved, 0);
  }

  absorb(sources: number, n: number, entries: number): number {
    const { kernels } = this.#home;
    const { block } = this.shape;
    if (!this.#begin()) return 0;
    let k = 0;
    for (;;) {
      k = kernels.absorbEntries(block, this.#block, sources, k, n, entries);
      if (k === n) return this.#touched(entries, n);
      const moved = this.#makeRoom();
      if (moved < 0) return this.#touched(entries, k);
      if (moved > 0) kernels.absorbAgain(block, this.#block, sources, k, entries, moved);
    }
  }

  /** Every way to an address that may be written through ends here: what is touched is what the next checkpoint writes. */
  #touched(entries: number, n: number): number {
    const { stampAt, stamp } = this.shape;
    const kept = this.#home.reading.count > 0 ? this.#keep(entries, n) : n;
    if (stampAt !== 0) this.#home.kernels.stampEntries(entries, 0, kept, stampAt, stamp);
    return kept;
  }

  /** What a snapshot still reads goes to the undo log before it is written. Answers how many entries may be. */
  #keep(entries: number, n: number): number {
    const { kernels, undo } = this.#home;
    const { block, stampAt, stamp } = this.shape;
    for (let k = 0; ; ) {
      k = kernels.keepEntries(block, entries, k, n, stampAt, stamp);
      if (k === n) return n;
      if (this.#u32(block + at.shapeReasonAt) === at.stopUndone) {
        const id = this.#u32(block + at.shapeStopAt);
        const from = this.#pageOf(id);
        if (!this.#copy(id)) return k;
        kernels.movePage(entries, n, from, this.#pageOf(id));
      } else if (!undo.grow()) {
        this.stop = ResolveStop.needPage;
        return k;
      }
    }
  }

  /** Before an empty table is restored: pages for so many entries, so that none splits on the way. */
  reserve(size: number): void {
    if (this.#ids.length > 0 || size < this.shape.layout.countMax || !this.#begin()) return;
    const most = Math.floor(Math.log2(this.#home.pool.free / 2));
    const share = (depth: number): number => size / 2 ** depth;
    let depth = 0;
    while (depth < most && share(depth) + 3 * Math.sqrt(share(depth)) > this.shape.layout.countMax) depth++;
    if (depth > 0) this.#spread(this.#ids[0] as number, this.#part.depth + depth);
  }

  /** Inserts a chunk (a page-sized block that `exportEntries` made); throws when memory is used up. */
  importChunk(chunk: number, groupFrom: number, groupTo: number): void {
    const count = this.#u32(chunk + at.pageCountAt);
    if (!this.#begin()) throw outOfPages(this.shape.decl.name);
    const { imported, kernels } = this.#home;
    for (let i = 0; ; ) {
      const from = i;
      i = kernels.importEntries(this.shape.block, this.#block, chunk, i, groupFrom, groupTo, imported);
      this.#importTexts(chunk, from, i);
      if (i === count) return;
      if (this.#makeRoom() < 0) throw outOfPages(this.shape.decl.name);
    }
  }

  /** As `importChunk`, for entries that may be there already: they take the accumulators of the chunk's. */
  importChanges(chunk: number, groupFrom: number, groupTo: number): void {
    const { imported, kernels, memory } = this.#home;
    const { block, stride, decl } = this.shape;
    const count = this.#u32(chunk + at.pageCountAt);
    // Sources in the first half of the list's room, what they came to in the second.
    const found = imported + 4 * importedMax;
    let n = 0;
    for (let i = 0; i < count; i++) {
      const entry = chunk + at.pageTagsAt + i * stride;
      const group = keyGroupOfHigh(this.#u32(entry + 4));
      if (group >= groupFrom && group < groupTo) memory.u32[(imported >>> 2) + n++] = entry;
    }
    for (let done = 0; done < n; ) {
      const from = imported + 4 * done;
      const more = this.absorb(from, n - done, found);
      if (more === 0) throw outOfPages(decl.name);
      this.#eachText(found, more, (view) => this.#textStore?.drop(view));
      kernels.overwriteEntries(block, from, found, more);
      this.#eachText(found, more, (view) => this.#takeText(chunk, view));
      done += more;
    }
    this.#textStore?.reclaim();
  }

  #eachText(entries: number, n: number, work: (view: number) => void): void {
    for (const offset of this.shape.decl.texts ?? []) {
      for (let k = 0; k < n; k++) work(this.#u32(entries + 4 * k) + this.accumulatorOffset + offset);
    }
  }

  /** Texts of imported entries move from the chunk to the table's own store. */
  #importTexts(chunk: number, from: number, to: number): void {
    for (const offset of this.shape.decl.texts ?? []) {
      for (let i = from; i < to; i++) {
        const entry = this.#u32(this.#home.imported + 4 * i);
        if (entry === 0) continue;
        this.#takeText(chunk, entry + this.accumulatorOffset + offset);
      }
    }
  }

  #takeText(chunk: number, view: number): void {
    const length = this.#u32(view);
    if (length <= 12) return;
    const text = chunk + this.#u32(view + 12);
    this.#home.memory.u32[(view + 12) >>> 2] = 0;
    this.#texts().keep(view, text, length);
  }

  keepText(target: number, view: number): void {
    const length = this.#u32(view);
    if (length > 12) this.#texts().keep(target, this.#u32(view + 12), length);
    else {
      this.#textStore?.drop(target);
      const { u32 } = this.#home.memory;
      u32.copyWithin(target >>> 2, view >>> 2, (view >>> 2) + 4);
    }
  }

  reclaim(): void {
    this.#textStore?.reclaim();
  }

  #texts(): TextStore {
    const { memory, pool } = this.#home;
    const { decl } = this.shape;
    this.#textStore ??= textStore(memory, pool, decl.name, decl.texts?.length ?? 1);
    return this.#textStore;
  }

  get evenDepth(): number {
    let depth = this.pages > 0 ? this.#depth : depthMax;
    for (let i = this.#drainedPage; i < this.#ids.length; i++)
      depth = Math.min(depth, this.#u32(this.#pageOf(this.#ids[i] as number) + at.pageDepthAt));
    return depth;
  }

  scan(cursor: { at: number }, entries: number, max: number, until = 1): number {
    // The cursor holds page index × page size + place.
    const { kernels, counter } = this.#home;
    if (cursor.at === 0 && !this.#ordered) this.#order();
    let page = Math.floor(cursor.at / at.pageSize);
    let place = cursor.at % at.pageSize;
    if (page < this.#drainedPage || (page === this.#drainedPage && place < this.#drainedPlace)) {
      page = this.#drainedPage;
      place = this.#drainedPlace;
    }
    let n = 0;
    while (page < this.#ids.length && n < max) {
      const address = this.#pageOf(this.#ids[page] as number);
      if (until < 1 && this.#u32(address + at.pagePrefixAt) >= until * 2 ** this.#u32(address + at.pageDepthAt)) break;
      place = kernels.scanPage(this.shape.block, address, place, entries + 4 * n, max - n, counter);
      n += this.#u32(counter);
      if (place < this.#u32(address + at.pageCapacityAt)) break;
      page++;
      place = 0;
    }
    cursor.at = page * at.pageSize + place;
    return n;
  }

  drain(entries: number, max: number): number {
    const { pool } = this.#home;
    if (this.#drainedPage === 0 && this.#drainedPlace === 0) this.#sizeBefore = this.size;
    const cursor = { at: this.#drainedPage * at.pageSize + this.#drainedPlace };
    const n = this.scan(cursor, entries, max);
    // What was handed out by the last call is no longer read: whole pages before it go.
    for (; this.#freedPage < this.#drainedPage; this.#freedPage++) pool.release(this.#ids[this.#freedPage] as number);
    this.#drainedPage = Math.floor(cursor.at / at.pageSize);
    this.#drainedPlace = cursor.at % at.pageSize;
    return n;
  }
  #freedPage = 0;

  readKey(key: number, entries: number, n: number, values: number, validity: number): void {
    this.#home.kernels.readLeaf(this.shape.block, key, entries, n, values, validity);
  }

  remove(entries: number, n: number): number {
    const { kernels, memory } = this.#home;
    if (n === 0 || !this.#begin()) return 0;
    assert(this.#part.depth === 0, `entries leave table ${this.shape.decl.name}, which is a part of others' hashes`);
    this.#moved();
    const list = memory.u32.subarray(entries >>> 2, (entries >>> 2) + n).sort();
    const small: number[] = [];
    let k = 0;
    while (k < n) {
      const from = (list[k] as number) & ~at.pageFlags;
      const id = this.#u32((from >>> 0) + at.pageIdAt);
      if ((this.#home.pool.entry(id) & at.pageFlags) !== at.pageDirty && !this.#makeWritable(id)) break;
      // A copy has every entry where it was.
      const page = this.#pageOf(id);
      const moved = page - (from >>> 0);
      let end = k;
      for (; end < n && ((list[end] as number) & ~at.pageFlags) === from; end++) {
        list[end] = (list[end] as number) + moved;
        this.#dropTexts(list[end] as number);
      }
      kernels.removeEntries(this.shape.block, page, entries + 4 * k, end - k);
      this.#rewritten(page);
      if (this.#u32(page + at.pageCountAt) <= this.#u32(page + at.pageCountMaxAt) / 4) small.push(id);
      k = end;
    }
    if (small.length > 0) this.#mergeSmall(small, new Set(list.subarray(k).map((entry) => entry & ~at.pageFlags)));
    return k;
  }

  #dropTexts(entry: number): void {
    for (const offset of this.shape.decl.texts ?? []) this.#texts().drop(entry + this.accumulatorOffset + offset);
  }

  /** Pages of which little is left become one with the other half they were split from, but for those at `untouched`. */
  #mergeSmall(small: readonly number[], untouched: ReadonlySet<number>): void {
    const { pool, memory } = this.#home;
    const { u32 } = memory;
    let merged = false;
    for (const id of small) {
      // Taken in by another one meanwhile.
      if (pool.entry(id) === 0) continue;
      for (;;) {
        const page = this.#pageOf(id);
        const depth = this.#u32(page + at.pageDepthAt);
        const prefix = this.#u32(page + at.pagePrefixAt);
        if (depth === 0) break;
        const directory = this.#directory() >>> 2;
        const width = 2 ** (this.#depth - depth);
        const other = u32[directory + (prefix ^ 1) * width] as number;
        const otherPage = this.#pageOf(other);
        if (this.#u32(otherPage + at.pageDepthAt) !== depth || untouched.has(otherPage | 0)) break;
        if (!this.#takeIn(id, page, otherPage)) break;
        pool.release(other);
        u32.fill(id, directory + (prefix >>> 1) * 2 * width, directory + ((prefix >>> 1) + 1) * 2 * width);
        merged = true;
      }
    }
    if (merged) this.#shrinkDirectory();
    if (this.#ids.length > 1 || this.size > 0) return;
    pool.release(this.#ids[0] as number);
    this.#ids = [];
    this.#freeDirectory();
    this.#setDirectory(this.#block + at.tableInlineAt, 0);
  }

  /** The entries of `other`, the other half, go to `page`, which may be written. False: they would fill more than half of it. */
  #takeIn(id: number, page: number, other: number): boolean {
    const { kernels } = this.#home;
    const count = this.#u32(page + at.pageCountAt) + this.#u32(other + at.pageCountAt);
    const live = this.#heapBytes(page) + this.#heapBytes(other);
    const layout = this.#layoutFor(count, live);
    const { capacity, countMax, entriesAt } = layout;
    if (count > countMax / 2 || entriesAt + capacity * this.shape.stride + live > at.pageSize) return false;
    const depth = this.#u32(page + at.pageDepthAt);
    const prefix = this.#u32(page + at.pagePrefixAt);
    this.#copyToScratch(page);
    this.#initialise(page, id, depth - 1, prefix >>> 1, layout);
    kernels.distribute(this.shape.block, this.#home.scratch, page, 0, 0);
    kernels.distribute(this.shape.block, other, page, 0, 0);
    return true;
  }

  /** Bytes of strings that entries of a page own. */
  #heapBytes(page: number): number {
    return at.pageSize - this.#u32(page + at.pageHeapAt) - this.#u32(page + at.pageDeadAt);
  }

  /** Finds the pages that are left, and halves the directory as long as no page needs all of its bits. */
  #shrinkDirectory(): void {
    const { pool, memory } = this.#home;
    this.#ids = this.#reached();
    this.#ordered = true;
    let deepest = 0;
    for (const id of this.#ids) deepest = Math.max(deepest, this.#u32(this.#pageOf(id) + at.pageDepthAt));
    if (deepest === this.#depth) return;
    const from = this.#directory() >>> 2;
    const step = 2 ** (this.#depth - deepest);
    const places = deepest <= at.tableInlineDepth ? 0 : Math.ceil((4 * 2 ** deepest) / at.pageSize);
    const to = places === 0 ? (this.#block + at.tableInlineAt) >>> 2 : from;
    for (let i = 0; i < 2 ** deepest; i++) memory.u32[to + i] = memory.u32[from + i * step] as number;
    for (let i = places; i < this.#directoryPlaces; i++) pool.givePlace(from * 4 + i * at.pageSize);
    this.#directoryPlaces = places;
    this.#setDirectory(to * 4, deepest);
  }

  clear(): void {
    const { pool, recall } = this.#home;
    this.#moved();
    recall.release(this);
    this.expectedSize = this.sizeMax;
    this.#sizeBefore = 0;
    for (let i = this.#freedPage; i < this.#ids.length; i++) pool.release(this.#ids[i] as number);
    this.#ids = [];
    this.#textStore?.dispose();
    this.#textStore = null;
    this.#ordered = true;
    this.#freedPage = this.#drainedPage = this.#drainedPlace = 0;
    this.#freeDirectory();
    this.#setDirectory(this.#block + at.tableInlineAt, this.#part.depth);
  }

  /** Ends the table: nothing of it stays behind. */
  dispose(): void {
    this.clear();
    this.#home.giveTableBlock(this.#block);
  }

  /** Freezes what the sink wants of what is not drained. */
  freeze(sink: TableSink): FrozenPages {
    this.#moved();
    const partly = this.#drainedPlace > 0;
    const frozen = sink.freeze(this.#ids, this.#drainedPage, partly, this.shape.stamp);
    this.#textStore?.freeze();
    return {
      ...frozen,
      firstPlace: this.#drainedPlace,
      firstId: partly ? (this.#ids[this.#drainedPage] ?? 0) : 0,
      texts: this.#textStore,
      asFrozen: (page) => {
        if (this.#u32(page + at.pageUndoAt) === 0) return page;
        this.#home.kernels.pageAsFrozen(this.shape.block, page, this.#home.scratch);
        return this.#home.scratch;
      },
    };
  }

  /** Before rows are found or inserted: the first page. False when there is no memory for them. */
  #begin(): boolean {
    assert(this.#drainedPage === 0 && this.#drainedPlace === 0, `table ${this.shape.decl.name} is being drained`);
    this.stop = ResolveStop.done;
    this.#copies = 0;
    if (this.#ids.length > 0) return true;
    const id = this.#newPage(this.#part.depth, this.#part.index, this.shape.layout);
    if (id === 0) return false;
    this.#home.memory.u32[this.#directory() >>> 2] = id;
    return true;
  }

  #kernel(plain: boolean): Kernels['resolveTagsAny'] {
    const { kernels } = this.#home;
    const single = plain ? this.shape.single : null;
    if (this.#ids.length <= tagPagesMax) {
      if (single === 'i64') return kernels.resolveTagsI64;
      if (single === 'i32') return kernels.resolveTagsI32;
      if (single === 'view') return kernels.resolveTagsView;
      return kernels.resolveTagsAny;
    }
    if (single === 'i64') return kernels.resolveEntriesI64;
    if (single === 'i32') return kernels.resolveEntriesI32;
    if (single === 'view') return kernels.resolveEntriesView;
    return kernels.resolveEntriesAny;
  }

  /**
   * Removes the cause of a stop. Answers −1 when it cannot (see `stop`), the address of a page whose entries moved, or 0.
   */
  #makeRoom(): number {
    const id = this.#u32(this.shape.block + at.shapeStopAt);
    const reason = this.#u32(this.shape.block + at.shapeReasonAt);
    if (reason === at.stopFrozen) return this.#home.undo.grow() ? 0 : this.#noPage();
    this.#moved();
    // A page that a snapshot reads is not laid out anew: its copy is, when the kernel comes to it again.
    const page = this.#pageOf(id);
    if ((this.#home.pool.entry(id) & at.pageLogged) !== 0) return this.#copy(id) ? page : -1;
    switch (reason) {
      case at.stopFull:
        return this.#split(id) ? this.#pageOf(id) : this.#noPage();
      case at.stopHeap:
        return this.#makeHeapRoom(id) ? this.#pageOf(id) : this.#noPage();
      default:
        assert(false, 'a resolve kernel stopped without a reason');
    }
  }

  #noPage(): number {
    this.stop = ResolveStop.needPage;
    return -1;
  }

  /** Whatever is done to it: a page that a snapshot reads is copied, one that is clean only becomes dirty. */
  #makeWritable(id: number): boolean {
    const { pool } = this.#home;
    const entry = pool.entry(id);
    if ((entry & (at.pageFrozen | at.pageLogged)) !== 0) return this.#copy(id);
    pool.setEntry(id, (entry | at.pageDirty) >>> 0);
    return true;
  }

  /** The page moves to a place of its own. */
  #copy(id: number): boolean {
    const { pool, kernels, memory } = this.#home;
    if (this.#copies === pageCopiesMax) {
      this.stop = ResolveStop.copied;
      return false;
    }
    const to = pool.takePlace();
    if (to === 0) {
      this.stop = ResolveStop.needPage;
      return false;
    }
    kernels.copyPage(to, this.#pageOf(id));
    memory.u32[(to + at.pageUndoAt) >>> 2] = 0;
    pool.setEntry(id, (to | at.pageDirty) >>> 0);
    this.#copies++;
    this.#moved();
    return true;
  }

  #makeHeapRoom(id: number): boolean {
    const need = this.#u32(this.shape.block + at.shapeNeedAt);
    if (need + this.shape.stride > entryBytesMax) {
      throw new MillraceError(
        'record/too-large',
        `a group's key and values take ${need + this.shape.stride} bytes in table '${this.shape.decl.name}', at most ${entryBytesMax} are kept; group by a shorter column, or by its hash or SUBSTRING`,
      );
    }
    const page = this.#pageOf(id);
    const count = this.#u32(page + at.pageCountAt);
    const live = this.#heapBytes(page);
    const layout = this.#layoutFor(count + 1, live + need);
    const end = layout.entriesAt + layout.capacity * this.shape.stride;
    const fits = layout.countMax > count && end + live + need <= at.pageSize;
    const gains = layout.capacity < this.#u32(page + at.pageCapacityAt) || this.#u32(page + at.pageDeadAt) > 0;
    if (!(fits && gains)) return this.#split(id);
    this.#copyToScratch(page);
    this.#initialise(page, id, this.#u32(page + at.pageDepthAt), this.#u32(page + at.pagePrefixAt), layout);
    this.#home.kernels.distribute(this.shape.block, this.#home.scratch, page, 0, 0);
    return true;
  }

  /** How a page with `count` entries owning `heap` bytes is best divided. */
  #layoutFor(count: number, heap: number): PageLayout {
    return count === 0 || !this.shape.strings ? this.shape.layout : pageLayout(this.shape.stride, heap / count);
  }

  #layoutOf(page: number): PageLayout {
    return {
      capacity: this.#u32(page + at.pageCapacityAt),
      entriesAt: this.#u32(page + at.pageEntriesAt),
      countMax: this.#u32(page + at.pageCountMaxAt),
    };
  }

  /** Moves half of a page's hash range to a new page. False: no memory, nothing changed. */
  #split(id: number): boolean {
    const { pool, kernels } = this.#home;
    const expected = this.#ids.length === 1 ? this.#expectedDepth() : 0;
    if (expected > this.#part.depth + 1 && expected >= this.#depth) return this.#spread(id, expected);
    const page = this.#pageOf(id);
    const depth = this.#u32(page + at.pageDepthAt);
    const prefix = this.#u32(page + at.pagePrefixAt);
    if (depth === this.#depth && !this.#growDirectory()) return false;
    const other = pool.allocate();
    if (other === 0) return false;
    const layout = this.#layoutOfParts(page);
    this.#copyToScratch(page);
    this.#initialise(page, id, depth + 1, prefix * 2, layout);
    const otherPage = this.#pageOf(other);
    this.#initialise(otherPage, other, depth + 1, prefix * 2 + 1, layout);
    kernels.distribute(this.shape.block, this.#home.scratch, page, otherPage, depth);
    this.#ids.push(other);
    this.#ordered = false;
    const width = 2 ** (this.#depth - depth - 1);
    const from = (this.#directory() >>> 2) + (prefix * 2 + 1) * width - this.#firstOfPart();
    this.#home.memory.u32.fill(other, from, from + width);
    return true;
  }

  /** Of pages that share what `page` holds. Hashes may all go one way: each must have room for all of it. */
  #layoutOfParts(page: number): PageLayout {
    const live = this.#heapBytes(page);
    const count = this.#u32(page + at.pageCountAt);
    const layout = this.#layoutFor(count, live);
    const fits =
      count <= layout.countMax && layout.entriesAt + layout.capacity * this.shape.stride + live <= at.pageSize;
    return fits ? layout : this.#layoutOf(page);
  }

  /** Depth at which pages of an even share of the expected entries, give or take three deviations, do not split. */
  #expectedDepth(): number {
    const { countMax } = this.shape.layout;
    const most = Math.min(spreadDepthMax, Math.floor(Math.log2(Math.max(1, this.#home.pool.free * spreadShare))));
    for (let depth = 0; depth < most; depth++) {
      const share = this.expectedSize / 2 ** depth;
      if (share + 3 * Math.sqrt(share) <= countMax) return this.#part.depth + depth;
    }
    return this.#part.depth + most;
  }

  /** Divides the only page into as many as there are at `depth`, for which there is memory. False: none for the directory, nothing changed. */
  #spread(id: number, depth: number): boolean {
    while (this.#depth < depth) if (!this.#growDirectory()) return false;
    const page = this.#pageOf(id);
    const layout = this.#layoutOfParts(page);
    this.#copyToScratch(page);
    const first = this.#firstOfPart();
    this.#initialise(page, id, depth, first, layout);
    const directory = this.#directory() >>> 2;
    for (let i = 1; i < this.#directorySize(); i++) {
      const other = this.#newPage(depth, first + i, layout);
      assert(other !== 0, 'pages that were free are gone');
      this.#home.memory.u32[directory + i] = other;
    }
    this.#home.kernels.spread(this.shape.block, this.#block, this.#home.scratch);
    return true;
  }

  /** Brings the pages into hash order, so that what merges this table into another meets each page of that one once. */
  #order(): void {
    const ids = this.#reached();
    assert(ids.length === this.#ids.length, 'a page that the directory does not reach');
    this.#ids = ids;
    this.#ordered = true;
  }

  /** Pages in hash order, as the directory leads to them. */
  #reached(): number[] {
    const { u32 } = this.#home.memory;
    const directory = this.#directory() >>> 2;
    const size = this.#directorySize();
    const ids: number[] = [];
    for (let i = 0; i < size; ) {
      const id = u32[directory + i] as number;
      ids.push(id);
      i += 2 ** (this.#depth - this.#u32(this.#pageOf(id) + at.pageDepthAt));
    }
    return ids;
  }

  #growDirectory(): boolean {
    const { pool, memory } = this.#home;
    const depth = this.#depth + 1;
    assert(depth <= depthMax, 'a page that no hash bit divides');
    const bytes = 4 * 2 * this.#directorySize();
    const places = bytes <= 4 * 2 ** at.tableInlineDepth ? 0 : Math.ceil(bytes / at.pageSize);
    const from = this.#directory() >>> 2;
    let to = from;
    // A directory that has outgrown its place moves; within a place it is widened from its end.
    if (places !== this.#directoryPlaces) {
      if (places > 65_536) return false;
      const run = pool.takeRun(places);
      if (run === 0) return false;
      to = run >>> 2;
    }
    for (let i = this.#directorySize() - 1; i >= 0; i--) {
      const id = memory.u32[from + i] as number;
      memory.u32[to + 2 * i] = id;
      memory.u32[to + 2 * i + 1] = id;
    }
    if (to !== from) this.#freeDirectory();
    this.#directoryPlaces = places;
    this.#setDirectory(to * 4, depth);
    return true;
  }

  #freeDirectory(): void {
    const from = this.#directory();
    for (let i = 0; i < this.#directoryPlaces; i++) this.#home.pool.givePlace(from + i * at.pageSize);
    this.#directoryPlaces = 0;
  }

  #setDirectory(address: number, depth: number): void {
    this.#depth = depth;
    // Kernels index it by a hash's first `depth` bits: they find the part's first entry at `address`.
    const from = address - 4 * this.#firstOfPart();
    this.#home.memory.u32[(this.#block + at.tableDirectoryAt) >>> 2] = from;
    this.#home.memory.u32[(this.#block + at.tableShiftAt) >>> 2] = 63 - depth;
  }

  #directory(): number {
    return (this.#u32(this.#block + at.tableDirectoryAt) + 4 * this.#firstOfPart()) >>> 0;
  }

  #directorySize(): number {
    return 2 ** (this.#depth - this.#part.depth);
  }

  /** What the first `depth` bits of the hashes of the table's part are at least. */
  #firstOfPart(): number {
    return this.#part.index * this.#directorySize();
  }

  #newPage(depth: number, prefix: number, layout: PageLayout): number {
    const id = this.#home.pool.allocate();
    if (id === 0) {
      this.stop = ResolveStop.needPage;
      return 0;
    }
    this.#initialise(this.#pageOf(id), id, depth, prefix, layout);
    this.#ids.push(id);
    return id;
  }

  #copyToScratch(page: number): void {
    this.#home.kernels.copyPage(this.#home.scratch, page);
  }

  #initialise(page: number, id: number, depth: number, prefix: number, layout: PageLayout): void {
    const { capacity, entriesAt, countMax } = layout;
    this.#home.kernels.clearPage(page, id, depth, prefix, capacity, entriesAt, countMax);
    this.#rewritten(page);
  }

  /** It may have lost entries: the next checkpoint writes all of it. */
  #rewritten(page: number): void {
    this.#home.memory.u32[(page + at.pageRewrittenAt) >>> 2] = this.shape.stamp;
  }

  #pageOf(id: number): number {
    return (this.#home.pool.entry(id) & ~at.pageFlags) >>> 0;
  }

  #u32(address: number): number {
    return this.#home.memory.u32[address >>> 2] as number;
  }
}

export function outOfPages(table: string): MillraceError {
  return new MillraceError(
    'memory/exhausted',
    `no page is left for table '${table}'; raise 'memory', or lower what the state must hold (fewer keys, shorter windows)`,
  );
}
