/**
 * An ordered table: a B+tree over pages of the pool. Searching, inserting and deleting are the kernels' work; this file
 * makes room where they stop (copies, splits) and gives back what they leave (empty and small nodes). Leaves are what a
 * snapshot freezes; inner nodes are made again from them. Knows nothing of what keys mean but where their key group stands.
 */
import { assert } from '../core/base/assert.ts';
import { MillraceError } from '../core/base/errors.ts';
import type { KeyGroupRange } from '../core/base/key-groups.ts';
import { orderedInlineBytesMax, orderedKeyBytesMax, orderedValueBytesMax, pageCopiesMax } from '../core/base/limits.ts';
import * as node from '../core/ports/ordered-layout.ts';
import { pageCountAt, pageDirty, pageFlags, pageFrozen, pageSize } from '../core/ports/page-layout.ts';
import {
  type DeadRows,
  type OrderedCursor,
  type OrderedTable,
  type OrderedTableDecl,
  ResolveStop,
} from '../core/ports/state.ts';
import { type ByteSource, byteSource, openBytes } from '../core/record/bytes.ts';
import { afterPrefix } from '../core/record/key-bytes.ts';
import { outOfPages, type TableHome } from './group-table.ts';
import type { FrozenPages, TableSink } from './snapshot.ts';

/** Nodes that together take no more than this are one. */
const mergedBytesMax = (pageSize * 3) / 4;
const smallBytes = pageSize / 4;
/** Of a long value, in each chunk; the first has its length before them. */
const chunkBytes = orderedInlineBytesMax - 4;

export class BTree implements OrderedTable {
  readonly decl: OrderedTableDecl;
  /** What its entries look like: a table restores only from an equal one. */
  readonly format: string;
  stop: ResolveStop = ResolveStop.done;
  /** As `Shape.stamp`, of its pages. */
  stamp = 1;
  copies = 0;
  readonly #home: TableHome;
  readonly #tree: number;
  /** Two keys, side by side, for separators and ranges. */
  readonly #keys: number;
  /** A chunk of a value that does not lie in the slot's memory. */
  readonly #chunk: number;
  readonly #view: DataView;
  readonly #found: ByteSource;
  /** A long value that was put together. */
  #long = new Uint8Array(0);
  #pages = 0;
  /** Two keys and marks of a leaf's places, once `sweep` was called: the key that it goes on with, of so many bytes. */
  #sweep: number | null = null;
  #sweepBytes = 0;
  #sweepChunk = 0;
  /** Changes with every write: cursors then look for their place again. */
  #version = 1;

  constructor(home: TableHome, decl: OrderedTableDecl) {
    const { memory, pool } = home;
    this.#home = home;
    this.decl = decl;
    this.format = JSON.stringify([
      decl.keyGroupAt,
      decl.key.map(({ type, nullable, descending }) =>
        descending ? [type, nullable, 'descending'] : [type, nullable],
      ),
      decl.value.map(({ type, nullable }) => [type, nullable]),
    ]);
    this.#tree = memory.arena.allocate(node.treeBytes, `table ${decl.name}`);
    this.#keys = memory.arena.allocate(2 * keyRoom, `keys of table ${decl.name}`);
    this.#chunk = memory.arena.allocate(orderedInlineBytesMax + 64, `a value of table ${decl.name}`);
    this.#view = new DataView(memory.buffer);
    this.#found = byteSource(memory);
    this.#set(node.treePageTableAt, pool.table);
    this.#set(node.treeScratchAt, home.scratch);
    for (const at of [node.treeRootAt, node.treeHeightAt, node.treeSizeAt, node.treeLastAt, node.treeKeyMaxAt])
      this.#set(at, 0);
  }

  get size(): number {
    return this.#get(node.treeSizeAt);
  }

  get pages(): number {
    return this.#pages;
  }

  get version(): number {
    return this.#version;
  }

  has(key: number, keyBytes: number): boolean {
    this.#home.kernels.orderedFind(this.#tree, key, keyBytes, 0);
    return this.#get(node.treeFoundAt) !== 0;
  }

  get(key: number, keyBytes: number): ByteSource | null {
    if (!this.has(key, keyBytes)) return null;
    return this.value(key, keyBytes, this.#get(node.treeValueAt), this.#get(node.treeValueBytesAt), this.#found);
  }

  getMany(entries: number, n: number): void {
    const done = this.#home.kernels.orderedGet(this.#tree, entries, n);
    assert(done === n, `many gets from table ${this.decl.name}, which has long values`);
  }

  probeMany(entries: number, n: number, probe: number): boolean {
    return this.#home.kernels.orderedProbe(this.#tree, entries, n, probe) !== 0;
  }

  /** What a slot's value (its address, its length with bit 15) is, as a whole. */
  value(key: number, keyBytes: number, address: number, valueBytes: number, to: ByteSource): ByteSource {
    if ((valueBytes & node.slotLong) === 0) {
      openBytes(to, this.#home.memory.u8, address, address + valueBytes);
      return to;
    }
    const { kernels, memory } = this.#home;
    const total = this.#view.getUint32(address, true);
    if (this.#long.length < total) this.#long = new Uint8Array(Math.max(total, 2 * this.#long.length));
    let at = valueBytes - node.slotLong - 4;
    this.#long.set(memory.u8.subarray(address + 4, address + 4 + at));
    for (let chunk = 1; at < total; chunk++) {
      kernels.orderedFind(this.#tree, key, keyBytes, chunk);
      assert(this.#get(node.treeFoundAt) !== 0, `a value of table ${this.decl.name} without chunk ${chunk}`);
      const from = this.#get(node.treeValueAt);
      const bytes = this.#get(node.treeValueBytesAt);
      this.#long.set(memory.u8.subarray(from, from + bytes), at);
      at += bytes;
    }
    openBytes(to, this.#long, 0, total);
    return to;
  }

  put(key: number, keyBytes: number, value: number, valueBytes: number): void {
    if (valueBytes > orderedInlineBytesMax) {
      this.putBytes(key, keyBytes, this.#home.memory.u8, value, value + valueBytes);
      return;
    }
    this.#check(keyBytes, valueBytes);
    this.#version++;
    this.#putOne(key, keyBytes, 0, value, valueBytes);
  }

  putBytes(key: number, keyBytes: number, value: Uint8Array, from: number, to: number): void {
    const { u8 } = this.#home.memory;
    const total = to - from;
    this.#check(keyBytes, total);
    this.#version++;
    const place = this.#chunk;
    if (total <= orderedInlineBytesMax) {
      for (let i = 0; i < total; i++) u8[place + i] = value[from + i] as number;
      this.#putOne(key, keyBytes, 0, place, total);
      return;
    }
    const chunks = Math.ceil(total / chunkBytes);
    // All pages that it takes are there before anything is changed.
    if (this.#home.pool.free < Math.ceil((chunks * (orderedInlineBytesMax + keyBytes + 16)) / (pageSize / 2)) + 32) {
      throw outOfPages(this.decl.name);
    }
    const had = this.has(key, keyBytes) ? this.#chunksAt() : 0;
    this.#view.setUint32(place, total, true);
    for (let chunk = 0; chunk < chunks; chunk++) {
      const at = from + chunk * chunkBytes;
      const bytes = Math.min(chunkBytes, to - at);
      u8.set(value.subarray(at, at + bytes), place + 4);
      if (chunk === 0) this.#putOne(key, keyBytes, 0, place, (bytes + 4) | node.slotLong);
      else this.#putOne(key, keyBytes, chunk, place + 4, bytes);
    }
    for (let chunk = had - 1; chunk >= chunks; chunk--) this.#deleteChunk(key, keyBytes, chunk);
  }

  /** Chunks of the value that was found last. */
  #chunksAt(): number {
    if ((this.#get(node.treeValueBytesAt) & node.slotLong) === 0) return 1;
    return Math.ceil(this.#view.getUint32(this.#get(node.treeValueAt), true) / chunkBytes);
  }

  #check(keyBytes: number, valueBytes: number): void {
    assert(keyBytes > 0, `an empty key in table ${this.decl.name}`);
    if (keyBytes > orderedKeyBytesMax) {
      throw new MillraceError(
        'record/too-large',
        `a key of table '${this.decl.name}' takes ${keyBytes} bytes, at most ${orderedKeyBytesMax} are kept; use a shorter key, or its hash`,
      );
    }
    if (valueBytes > orderedValueBytesMax) {
      throw new MillraceError(
        'record/too-large',
        `a value of table '${this.decl.name}' takes ${valueBytes} bytes, at most ${orderedValueBytesMax} are kept`,
      );
    }
  }

  #putOne(key: number, keyBytes: number, chunk: number, value: number, valueBytes: number): void {
    const { kernels } = this.#home;
    while (kernels.orderedPutOne(this.#tree, key, keyBytes, chunk, value, valueBytes) === 0) {
      if (!this.#makeRoom(key, keyBytes, chunk)) throw outOfPages(this.decl.name);
    }
  }

  putMany(entries: number, n: number): number {
    const { kernels, memory } = this.#home;
    this.#begin();
    this.#version++;
    this.#set(node.treeLocatedToAt, 0);
    for (let k = 0; ; ) {
      k = kernels.orderedPut(this.#tree, entries, k, n);
      if (k === n) return n;
      const entry = (entries + k * node.entryBytes) >>> 2;
      const key = memory.u32[entry] as number;
      const keyBytes = memory.u32[entry + 1] as number;
      if (this.#get(node.treeReasonAt) === node.orderedTooLarge) {
        this.#check(keyBytes, memory.u32[entry + 3] as number);
        assert(false, `a value of ${memory.u32[entry + 3]} bytes among many of table ${this.decl.name}`);
      }
      if (!this.#mayCopy() || !this.#makeRoom(key, keyBytes, 0)) return k;
    }
  }

  delete(key: number, keyBytes: number): boolean {
    if (!this.has(key, keyBytes)) return false;
    const chunks = this.#chunksAt();
    if (chunks > 1 && this.#home.pool.free < Math.ceil(chunks / 4) + 2) throw outOfPages(this.decl.name);
    this.#version++;
    for (let chunk = chunks - 1; chunk >= 0; chunk--) this.#deleteChunk(key, keyBytes, chunk);
    return true;
  }

  #deleteChunk(key: number, keyBytes: number, chunk: number): void {
    const { kernels } = this.#home;
    let leaf = kernels.orderedFind(this.#tree, key, keyBytes, chunk) >>> 0;
    assert(leaf !== 0 && this.#get(node.treeFoundAt) !== 0, `chunk ${chunk} of table ${this.decl.name} is not there`);
    const place = this.#get(node.treeIndexAt);
    if (this.#u32(leaf + pageCountAt) > 1) {
      leaf = this.#writable(this.#leafId());
      if (leaf === 0) throw outOfPages(this.decl.name);
    }
    this.#remove(leaf, place, place + 1);
  }

  deleteMany(entries: number, n: number): number {
    const { kernels, memory } = this.#home;
    this.#begin();
    this.#version++;
    for (let k = 0; ; ) {
      k = kernels.orderedDelete(this.#tree, entries, k, n);
      const reason = this.#get(node.treeReasonAt);
      if (reason === node.orderedDone) return n;
      const small = reason === node.orderedSmall;
      const entry = (entries + (small ? k - 1 : k) * node.entryBytes) >>> 2;
      const key = memory.u32[entry] as number;
      const keyBytes = memory.u32[entry + 1] as number;
      if (small) {
        kernels.orderedFind(this.#tree, key, keyBytes, 0);
        this.#tidy(this.#height - 1);
      } else if (reason === node.orderedLong) {
        this.delete(key, keyBytes);
        k++;
      } else if (!this.#mayCopy() || !this.#makeRoom(key, keyBytes, 0)) return k;
      if (k === n) return n;
    }
  }

  takeUpTo(bound: number, boundBytes: number, max: number, entries: number, bytes: number, room: number): number {
    const { kernels } = this.#home;
    this.#begin();
    let n = 0;
    let used = 0;
    while (n < max && this.#height > 0) {
      const leaf = kernels.orderedFind(this.#tree, this.#keys, 0, 0) >>> 0;
      const to = entries + n * node.entryBytes;
      const taken = kernels.orderedTake(this.#tree, leaf, bound, boundBytes, max - n, to, bytes + used, room - used);
      const reason = this.#get(node.treeReasonAt);
      const count = this.#u32(leaf + pageCountAt);
      if (taken > 0) {
        let from = leaf;
        if (taken < count) {
          if (!this.#mayCopy()) break;
          from = this.#writable(this.#leafId());
          if (from === 0) {
            this.stop = ResolveStop.needPage;
            break;
          }
        }
        this.#version++;
        n += taken;
        used += this.#get(node.treeTakenAt);
        this.#remove(from, 0, taken);
      }
      if (reason === node.orderedDone) {
        if (taken < count) break;
        continue;
      }
      const moved = this.#takeWhole(n === 0, entries + n * node.entryBytes, bytes + used, room - used);
      if (moved < 0) break;
      n++;
      used += moved;
    }
    return n;
  }

  /** The first entry, which is long or finds no room: bytes that it took, −1 when it must wait for the next call. */
  #takeWhole(alone: boolean, entry: number, bytes: number, room: number): number {
    const { kernels, memory } = this.#home;
    const leaf = kernels.orderedFind(this.#tree, this.#keys, 0, 0) >>> 0;
    const keyBytes = kernels.orderedKeyAt(leaf, 0, this.#keys);
    const value = this.get(this.#keys, keyBytes) as ByteSource;
    const valueBytes = value.end - value.at;
    if (keyBytes + valueBytes > room) {
      if (!alone) return -1;
      throw new MillraceError(
        'record/too-large',
        `an entry of table '${this.decl.name}' takes ${keyBytes + valueBytes} bytes, more than the ${room} that it is read into`,
      );
    }
    memory.u8.copyWithin(bytes, this.#keys, this.#keys + keyBytes);
    memory.u8.set(value.u8.subarray(value.at, value.end), bytes + keyBytes);
    memory.u32[entry >>> 2] = bytes;
    memory.u32[(entry >>> 2) + 1] = keyBytes;
    memory.u32[(entry >>> 2) + 2] = bytes + keyBytes;
    memory.u32[(entry >>> 2) + 3] = valueBytes;
    this.delete(bytes, keyBytes);
    return keyBytes + valueBytes;
  }

  deleteRange(from: number, fromBytes: number, to: number, toBytes: number): number {
    const { kernels } = this.#home;
    const before = this.size;
    // At most the first and the last of its leaves are copied; without places for them nothing goes.
    if (this.#home.pool.free < 2 && (this.#isFrozenAt(from, fromBytes) || this.#isFrozenAt(to, toBytes))) {
      throw outOfPages(this.decl.name);
    }
    while (this.#height > 0) {
      let leaf = kernels.orderedFind(this.#tree, from, fromBytes, 0) >>> 0;
      let place = this.#get(node.treeIndexAt);
      let count = this.#u32(leaf + pageCountAt);
      if (place === count) {
        // Behind all of this leaf: the next one, reached by its first key.
        if (!this.#nextLeaf()) break;
        leaf = this.#pageOf(this.#leafId());
        place = 0;
        count = this.#u32(leaf + pageCountAt);
      }
      const end = toBytes === 0 ? count : kernels.orderedPlace(leaf, to, toBytes);
      if (end <= place) break;
      if (end - place < count) {
        leaf = this.#writable(this.#leafId());
        if (leaf === 0) throw outOfPages(this.decl.name);
      }
      this.#version++;
      this.#remove(leaf, place, end);
      if (end < count) break;
    }
    return before - this.size;
  }

  deletePrefix(prefix: number, prefixBytes: number): number {
    const { u8 } = this.#home.memory;
    // Behind the key that searches of takes use.
    const end = this.#keys + keyRoom;
    u8.copyWithin(end, prefix, prefix + prefixBytes);
    const endBytes = afterPrefix(u8, end, prefixBytes);
    return this.deleteRange(prefix, prefixBytes, end, endBytes);
  }

  sweep(rows: DeadRows, entries: number): number {
    const { kernels, memory, pool } = this.#home;
    this.#sweep ??= memory.arena.allocate(2 * keyRoom + pageSize / node.slotBytes, `table ${this.decl.name}`);
    const [marks, whole] = [this.#sweep + 2 * keyRoom, this.size];
    const before = this.size;
    for (let seen = 0; seen < Math.min(entries, whole) && this.#height > 0; ) {
      let leaf = kernels.orderedFind(this.#tree, this.#sweep, this.#sweepBytes, this.#sweepChunk) >>> 0;
      const id = this.#leafId();
      const count = this.#u32(leaf + pageCountAt);
      const dead = kernels.orderedDead(leaf, rows.leaves, rows.count, rows.nullBytes, rows.headBytes, marks);
      // Where to go on.
      const next = this.#sweep + keyRoom;
      const more = this.#nextLeaf();
      const nextBytes = more ? kernels.orderedKeyAt(this.#pageOf(this.#leafId()), 0, next) : 0;
      const nextChunk = more ? this.#chunkAt(this.#pageOf(this.#leafId()), 0) : 0;
      seen += Math.max(1, count);
      if (dead > 0 && (pool.entry(id) & pageFrozen) === 0) {
        this.#version++;
        leaf = kernels.orderedFind(this.#tree, this.#sweep, this.#sweepBytes, this.#sweepChunk) >>> 0;
        const long = this.#markedLong(leaf, count, marks);
        this.#removeMarked(leaf, marks);
        for (const key of long) {
          memory.u8.set(key, this.#sweep);
          this.delete(this.#sweep, key.length);
        }
      }
      memory.u8.copyWithin(this.#sweep, next, next + nextBytes);
      this.#sweepBytes = nextBytes;
      this.#sweepChunk = nextChunk;
    }
    return before - this.size;
  }

  /** Keys of rows that lie in chunks, and are dead. */
  #markedLong(leaf: number, count: number, marks: number): Uint8Array[] {
    const { kernels, memory } = this.#home;
    const keys: Uint8Array[] = [];
    for (let place = 0; place < count; place++) {
      if (memory.u8[marks + place] !== 2) continue;
      const bytes = kernels.orderedKeyAt(leaf, place, this.#keys);
      keys.push(memory.u8.slice(this.#keys, this.#keys + bytes));
    }
    return keys;
  }

  /** Takes marked entries out of the leaf that the last search led to, which is not frozen. */
  #removeMarked(leaf: number, marks: number): void {
    const page = this.#writable(this.#leafId());
    assert(page === leaf, `a leaf of table ${this.decl.name} that is written where it is`);
    const before = this.#live(page);
    this.#set(node.treeSizeAt, this.size - this.#home.kernels.orderedDrop(page, marks));
    const after = this.#live(page);
    if (this.#u32(page + pageCountAt) === 0) this.#drop(this.#height - 1);
    else if (after < smallBytes && after >> 10 !== before >> 10) this.#tidy(this.#height - 1);
  }

  cursor(): OrderedCursor {
    return new Cursor(this, this.#tree, this.#home);
  }

  clear(): void {
    if (this.#height > 0) this.#eachNode((id) => this.#release(id));
    this.#version++;
    this.#empty();
    this.#set(node.treeSizeAt, 0);
    assert(this.#pages === 0, `pages of table ${this.decl.name} that its tree does not reach`);
  }

  dispose(): void {
    this.clear();
  }

  // ── snapshots ─────────────────────────────────────────────────────────────────────────────────────────────────────
  //
  // For whoever reads snapshots: `freeze` marks the leaves, in key order, that the sink wants.
  // Each is then read with `exportPage` at the address it had (whatever the table does meanwhile) and thawed by the pool;
  // a block holds whole entries, so any blocks, in any order, of any parallelism, may be given to `importBlock` of a table
  // with the same format, which takes its own key groups. In key order and into an empty table it is fastest.

  freeze(sink: TableSink): FrozenPages {
    const leaves: number[] = [];
    if (this.#height > 0) {
      this.#eachNode((id, level) => {
        if (level === 0) leaves.push(id);
      });
    }
    return {
      ...sink.freeze(leaves, 0, false, this.stamp),
      firstPlace: 0,
      firstId: 0,
      texts: null,
      asFrozen: (page) => page,
    };
  }

  /** A frozen leaf as a block (core/ports/ordered-layout.ts) at `to`, a place; answers its bytes, less than a page's. */
  exportPage(address: number, to: number): number {
    return this.#home.kernels.orderedExport(address, to);
  }

  /** Puts what [`from`, `from` + `bytes`) holds of `keyGroups`. Errors: `memory/exhausted`, `snapshot/mismatch`. */
  importBlock(from: number, bytes: number, keyGroups: KeyGroupRange): void {
    const { kernels } = this.#home;
    const groupAt = this.decl.keyGroupAt ?? -1;
    this.#version++;
    for (let at = 0; ; ) {
      at = kernels.orderedImport(this.#tree, from, at, bytes, groupAt, keyGroups.from, keyGroups.to);
      const reason = this.#get(node.treeReasonAt);
      if (reason === node.orderedDone) return;
      if (reason === node.orderedDamaged) {
        throw new MillraceError(
          'snapshot/mismatch',
          `byte ${at} of a block of table '${this.decl.name}' begins no entry: the snapshot is damaged`,
        );
      }
      const key = from + at + node.blockEntryBytes;
      const keyBytes = this.#view.getUint16(from + at, true);
      const chunk = this.#view.getUint16(from + at + 4, true);
      if (reason === node.orderedLong) this.delete(key, keyBytes);
      else if (!this.#makeRoom(key, keyBytes, chunk)) throw outOfPages(this.decl.name);
    }
  }

  /** Whether the leaf of a key must be copied before it is written. */
  #isFrozenAt(key: number, keyBytes: number): boolean {
    if (this.#height === 0) return false;
    this.#home.kernels.orderedFind(this.#tree, key, keyBytes, 0);
    return (this.#home.pool.entry(this.#leafId()) & pageFrozen) !== 0;
  }

  // ── nodes ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  get #height(): number {
    return this.#get(node.treeHeightAt);
  }

  #begin(): void {
    this.stop = ResolveStop.done;
    this.copies = 0;
  }

  /** Whether a call for many may copy one more page. */
  #mayCopy(): boolean {
    if (this.copies < pageCopiesMax) return true;
    this.stop = ResolveStop.copied;
    return false;
  }

  /** Removes the cause of a stop at (key, chunk). False, and nothing that counts changed: no page is left. */
  #makeRoom(key: number, keyBytes: number, chunk: number): boolean {
    const reason = this.#get(node.treeReasonAt);
    if (reason === node.orderedLong) {
      // A short value replaces a long one.
      this.delete(key, keyBytes);
      return true;
    }
    const done =
      reason === node.orderedFrozen
        ? this.#writable(this.#get(node.treeStopAt)) !== 0
        : this.#splitLeafOf(key, keyBytes, chunk);
    if (!done) this.stop = ResolveStop.needPage;
    return done;
  }

  /** The node's address, once it may be written: copy on first write. 0: no place for the copy. */
  #writable(id: number): number {
    const { pool, kernels } = this.#home;
    const entry = pool.entry(id);
    const from = (entry & ~pageFlags) >>> 0;
    if ((entry & pageFrozen) === 0) {
      pool.setEntry(id, (from | pageDirty) >>> 0);
      return from;
    }
    const to = pool.takePlace();
    if (to === 0) return 0;
    kernels.copyPage(to, from);
    pool.setEntry(id, (to | pageDirty) >>> 0);
    this.copies++;
    return to;
  }

  /** Makes room for a key that its leaf has none for: a node on its way is divided at a time, the highest first. */
  #splitLeafOf(key: number, keyBytes: number, chunk: number): boolean {
    const { kernels } = this.#home;
    if (this.#height === 0) return this.#plant();
    kernels.orderedFind(this.#tree, key, keyBytes, chunk);
    const widest = node.slotBytes + Math.max(keyBytes, this.#get(node.treeKeyMaxAt)) + 4;
    for (let depth = 0; depth < this.#height - 1; depth++) {
      if (pageSize - node.nodeSlotsAt - this.#live(this.#pathPage(depth)) >= widest) continue;
      if (!this.#split(depth, key, keyBytes, chunk)) return false;
      kernels.orderedFind(this.#tree, key, keyBytes, chunk);
      depth = -1;
    }
    return this.#split(this.#height - 1, key, keyBytes, chunk);
  }

  /** The first leaf. */
  #plant(): boolean {
    const id = this.#allocate(0);
    if (id === 0) return false;
    this.#set(node.treeRootAt, id);
    this.#set(node.treeHeightAt, 1);
    this.#set(node.treeLastAt, id);
    return true;
  }

  /** Divides the node at `depth` of the way, whose parent has room. (key, chunk) is what a leaf is divided for. */
  #split(depth: number, key: number, keyBytes: number, chunk: number): boolean {
    const { kernels, pool, memory } = this.#home;
    const { u8 } = memory;
    if (pool.free < (depth === 0 ? 3 : 2)) return false;
    const leaf = depth === this.#height - 1;
    const id = this.#pathId(depth);
    let page = this.#pathPage(depth);
    const count = this.#u32(page + pageCountAt);
    // Behind the last of all: keys come in order, and full leaves stay behind.
    const behind = leaf && this.#get(node.treeIndexAt) === count && this.#get(node.treeLastAt) === id;
    const at = behind ? count : kernels.orderedHalf(page);
    if (!behind && leaf) {
      page = this.#writable(id);
      if (page === 0) return false;
    }
    // What divides them: of leaves as much of the right one's first key as it takes.
    const right = this.#keys;
    let rightBytes = keyBytes;
    let rightChunk = chunk;
    if (behind) u8.copyWithin(right, key, key + keyBytes);
    else {
      rightBytes = kernels.orderedKeyAt(page, at, right);
      rightChunk = this.#chunkAt(page, at);
    }
    if (leaf) {
      const left = right + keyRoom;
      const leftBytes = kernels.orderedKeyAt(page, at - 1, left);
      const least = Math.min(leftBytes, rightBytes);
      let same = 0;
      while (same < least && u8[left + same] === u8[right + same]) same++;
      if (same < rightBytes) {
        rightBytes = same + 1;
        rightChunk = 0;
      }
    }
    const level = this.#height - 1 - depth;
    const other = this.#allocate(level);
    kernels.orderedSplit(this.#tree, page, this.#pageOf(other), at);
    let place: number;
    let parent: number;
    if (depth === 0) {
      const root = this.#allocate(level + 1);
      parent = this.#pageOf(root);
      this.#insertChild(parent, 0, right, 0, 0, id);
      this.#set(node.treeRootAt, root);
      this.#set(node.treeHeightAt, this.#height + 1);
      assert(this.#height <= node.treeLevelsMax, `table ${this.decl.name} is too high`);
      place = 1;
    } else {
      parent = this.#pathPage(depth - 1);
      place = this.#pathPlace(depth - 1) + 1;
    }
    this.#insertChild(parent, place, right, rightBytes, rightChunk, other);
    this.#set(node.treeLastAt, 0);
    return true;
  }

  #insertChild(parent: number, place: number, key: number, keyBytes: number, chunk: number, child: number): void {
    // Behind the chunk, which may be what is being put.
    const value = this.#chunk + orderedInlineBytesMax;
    this.#home.memory.u32[value >>> 2] = child;
    this.#home.kernels.orderedInsertAt(this.#tree, parent, place, key, keyBytes, chunk, value, 4);
  }

  /** Takes slots out of the leaf that the last search led to, and gives back what it leaves. */
  #remove(leaf: number, from: number, to: number): void {
    const { kernels } = this.#home;
    const count = this.#u32(leaf + pageCountAt);
    if (to - from === count) {
      // The leaf goes as it is: it is not even written.
      let keys = 0;
      for (let place = 0; place < count; place++) if (this.#chunkAt(leaf, place) === 0) keys++;
      this.#set(node.treeSizeAt, this.size - keys);
      this.#drop(this.#height - 1);
      return;
    }
    const before = this.#live(leaf);
    this.#set(node.treeSizeAt, this.size - kernels.orderedRemoveAt(leaf, from, to));
    const after = this.#live(leaf);
    if (after < smallBytes && after >> 10 !== before >> 10) this.#tidy(this.#height - 1);
  }

  /** A node of the way has become small: it leaves, or becomes one with its neighbour. */
  #tidy(depth: number): void {
    const page = this.#pathPage(depth);
    const count = this.#u32(page + pageCountAt);
    if (count === 0) {
      this.#drop(depth);
      return;
    }
    if (depth === 0) {
      // A root with one child is none.
      while (this.#height > 1) {
        const root = this.#get(node.treeRootAt);
        const address = this.#pageOf(root);
        if (this.#u32(address + pageCountAt) > 1) break;
        this.#set(node.treeRootAt, this.#childAt(address, 0));
        this.#set(node.treeHeightAt, this.#height - 1);
        this.#release(root);
        this.#set(node.treeLastAt, 0);
      }
      return;
    }
    const live = this.#live(page);
    if (live >= smallBytes) return;
    const parent = this.#pathPage(depth - 1);
    const place = this.#pathPlace(depth - 1);
    const extra = depth === this.#height - 1 ? 0 : this.#get(node.treeKeyMaxAt) + node.slotBytes;
    for (const left of [place, place - 1]) {
      if (left < 0 || left + 1 >= this.#u32(parent + pageCountAt)) continue;
      const other = this.#pageOf(this.#childAt(parent, left === place ? place + 1 : left));
      if (live + this.#live(other) + extra > mergedBytesMax) continue;
      if (this.#merge(parent, left, depth)) return;
    }
  }

  /** Child `left` of `parent` takes in the next one. False: no page for its copy. */
  #merge(parent: number, left: number, depth: number): boolean {
    const { kernels } = this.#home;
    const to = this.#writable(this.#childAt(parent, left));
    if (to === 0) return false;
    const id = this.#childAt(parent, left + 1);
    const keyBytes = kernels.orderedKeyAt(parent, left + 1, this.#keys);
    kernels.orderedMerge(this.#tree, to, this.#pageOf(id), this.#keys, keyBytes, this.#chunkAt(parent, left + 1));
    kernels.orderedRemoveAt(parent, left + 1, left + 2);
    this.#release(id);
    this.#set(node.treeLastAt, 0);
    this.#tidy(depth - 1);
    return true;
  }

  /** The node at `depth` of the way leaves the tree. */
  #drop(depth: number): void {
    this.#release(this.#pathId(depth));
    this.#set(node.treeLastAt, 0);
    if (depth === 0) {
      this.#empty();
      return;
    }
    const parent = this.#pathPage(depth - 1);
    const place = this.#pathPlace(depth - 1);
    this.#home.kernels.orderedRemoveAt(parent, place, place + 1);
    this.#tidy(depth - 1);
  }

  #empty(): void {
    this.#set(node.treeRootAt, 0);
    this.#set(node.treeHeightAt, 0);
    this.#set(node.treeLastAt, 0);
  }

  /** The way goes on to the next leaf; false: it is the last. */
  #nextLeaf(): boolean {
    const height = this.#height;
    for (let depth = height - 2; depth >= 0; depth--) {
      const place = this.#pathPlace(depth) + 1;
      if (place === this.#u32(this.#pathPage(depth) + pageCountAt)) continue;
      this.#set(node.treePathAt + 8 * depth + 4, place);
      for (let down = depth + 1; down < height; down++) {
        const id = this.#childAt(this.#pathPage(down - 1), this.#pathPlace(down - 1));
        this.#set(node.treePathAt + 8 * down, id);
        this.#set(node.treePathAt + 8 * down + 4, 0);
      }
      return true;
    }
    return false;
  }

  /** All nodes, children before their parent, leaves in key order. */
  #eachNode(visit: (id: number, level: number) => void): void {
    const walk = (id: number, level: number): void => {
      if (level > 0) {
        const page = this.#pageOf(id);
        const count = this.#u32(page + pageCountAt);
        for (let place = 0; place < count; place++) walk(this.#childAt(page, place), level - 1);
      }
      visit(id, level);
    };
    walk(this.#get(node.treeRootAt), this.#height - 1);
  }

  #allocate(level: number): number {
    const { pool, kernels } = this.#home;
    const id = pool.allocate();
    if (id === 0) return 0;
    kernels.orderedClear(this.#pageOf(id), id, level);
    this.#pages++;
    return id;
  }

  #release(id: number): void {
    this.#home.pool.release(id);
    this.#pages--;
  }

  #live(page: number): number {
    const count = this.#u32(page + pageCountAt);
    return count * node.slotBytes + pageSize - this.#u32(page + node.nodeHeapAt) - this.#u32(page + node.nodeDeadAt);
  }

  #childAt(page: number, place: number): number {
    const slot = page + node.nodeSlotsAt + place * node.slotBytes;
    const rest = Math.max(0, this.#view.getUint16(slot + node.slotKeyAt, true) - 8);
    return this.#view.getUint32(page + this.#view.getUint16(slot + node.slotOffsetAt, true) + rest, true);
  }

  #chunkAt(page: number, place: number): number {
    return this.#view.getUint16(page + node.nodeSlotsAt + place * node.slotBytes + node.slotChunkAt, true);
  }

  #leafId(): number {
    return this.#pathId(this.#height - 1);
  }

  #pathId(depth: number): number {
    return this.#get(node.treePathAt + 8 * depth);
  }

  #pathPage(depth: number): number {
    return this.#pageOf(this.#pathId(depth));
  }

  #pathPlace(depth: number): number {
    return this.#get(node.treePathAt + 8 * depth + 4);
  }

  #pageOf(id: number): number {
    return (this.#home.pool.entry(id) & ~pageFlags) >>> 0;
  }

  #u32(address: number): number {
    return this.#home.memory.u32[address >>> 2] as number;
  }

  #get(at: number): number {
    return this.#home.memory.u32[(this.#tree + at) >>> 2] as number;
  }

  #set(at: number, value: number): void {
    this.#home.memory.u32[(this.#tree + at) >>> 2] = value;
  }
}

/** A key's room in a buffer. */
const keyRoom = orderedKeyBytesMax;

class Cursor implements OrderedCursor {
  readonly key: number;
  readonly #table: BTree;
  readonly #tree: number;
  readonly #home: TableHome;
  readonly #block: number;
  readonly #value: ByteSource;
  /** The table's version when the place was right; 0: it must be looked for. */
  #version = 0;
  /** The key in the block was handed out: the next one is behind it. */
  #passed = false;

  constructor(table: BTree, tree: number, home: TableHome) {
    this.#table = table;
    this.#tree = tree;
    this.#home = home;
    this.#block = home.memory.arena.allocate(node.cursorBytes, `a cursor of table ${table.decl.name}`);
    this.#value = byteSource(home.memory);
    this.key = this.#block + node.cursorKeyAt;
  }

  get keyBytes(): number {
    return this.#get(node.cursorKeyBytesAt);
  }

  range(from: number, fromBytes: number, to: number, toBytes: number): void {
    const { u8 } = this.#home.memory;
    assert(fromBytes <= orderedKeyBytesMax && toBytes <= orderedKeyBytesMax, 'a cursor bound that no key can have');
    u8.copyWithin(this.#block + node.cursorEndAt, to, to + toBytes);
    u8.copyWithin(this.key, from, from + fromBytes);
    this.#start(fromBytes, toBytes);
  }

  prefix(prefix: number, prefixBytes: number): void {
    const { u8 } = this.#home.memory;
    assert(prefixBytes <= orderedKeyBytesMax, 'a cursor prefix that no key can have');
    const end = this.#block + node.cursorEndAt;
    u8.copyWithin(end, prefix, prefix + prefixBytes);
    u8.copyWithin(this.key, prefix, prefix + prefixBytes);
    this.#start(prefixBytes, afterPrefix(u8, end, prefixBytes));
  }

  back(key: number, keyBytes: number, steps: number, prefixBytes: number): number {
    const { u8 } = this.#home.memory;
    assert(keyBytes <= orderedKeyBytesMax && prefixBytes <= keyBytes, 'a cursor key that no key can be');
    const end = this.#block + node.cursorEndAt;
    u8.copyWithin(this.key, key, key + keyBytes);
    u8.copyWithin(end, key, key + prefixBytes);
    this.#set(node.cursorKeyBytesAt, keyBytes);
    const back = this.#home.kernels.orderedBack(this.#tree, this.#block, steps, end, prefixBytes);
    this.#start(this.keyBytes, afterPrefix(u8, end, prefixBytes));
    return back;
  }

  #start(keyBytes: number, endBytes: number): void {
    this.#set(node.cursorKeyBytesAt, keyBytes);
    this.#set(node.cursorEndBytesAt, endBytes);
    this.#version = 0;
    this.#passed = false;
  }

  next(): boolean {
    const { kernels } = this.#home;
    const { version } = this.#table;
    const found =
      this.#version === version
        ? kernels.orderedStep(this.#tree, this.#block)
        : kernels.orderedSeek(this.#tree, this.#block, this.#passed ? 1 : 0);
    if (found === 0) {
      this.#version = 0;
      return false;
    }
    this.#version = version;
    this.#passed = true;
    return true;
  }

  value(): ByteSource {
    if (this.#version !== this.#table.version) {
      const found = this.#table.get(this.key, this.keyBytes);
      assert(found !== null, 'the value of an entry that was deleted');
      openBytes(this.#value, found.u8, found.at, found.end);
      return this.#value;
    }
    return this.#table.value(
      this.key,
      this.keyBytes,
      this.#get(node.cursorValueAt),
      this.#get(node.cursorValueBytesAt),
      this.#value,
    );
  }

  delete(): void {
    assert(this.#passed, 'a cursor that is on no entry');
    this.#table.delete(this.key, this.keyBytes);
  }

  #get(at: number): number {
    return this.#home.memory.u32[(this.#block + at) >>> 2] as number;
  }

  #set(at: number, value: number): void {
    this.#home.memory.u32[(this.#block + at) >>> 2] = value;
  }
}
