/**
 * The pages of a slot: who has which, and the page table through which every page is reached. Knows addresses and flags,
 * nothing of what pages hold.
 *
 * Two numberings: a *place* is a 16 KB block of memory (its address); an *id* is an index into the page table, whose
 * entry is `address | flags` (core/ports/page-layout.ts). Copy-on-write gives an id a new place. A frozen place belongs
 * to the snapshot that froze it, and is free again only when both the id has left it and the snapshot has released it.
 * One that is logged belongs to both: it is written in place, and what it was stands in the undo log (undo-log.ts).
 */
import { assert } from '../core/base/assert.ts';
import { MillraceError } from '../core/base/errors.ts';
import { pageDirty, pageFlags, pageFrozen, pageLogged, pageSize, pageUndoAt } from '../core/ports/page-layout.ts';
import { alignUp, type SlotMemory } from '../core/record/memory.ts';

export interface PagePool {
  readonly memory: SlotMemory;
  /** Address of the page table: one u32 per id. */
  readonly table: number;
  /** Places in all, and those that nobody has. */
  readonly total: number;
  readonly free: number;
  /** A page with an id of its own, dirty, contents undefined; 0 when there is none (ids start at 1). */
  allocate(): number;
  /** Gives up an id, and its place unless a snapshot still reads it. */
  release(id: number): void;
  /** Address and flags of an id. */
  entry(id: number): number;
  setEntry(id: number, entry: number): void;
  /** A place without an id, contents undefined: for copies, scratch, directories. 0 when there is none. */
  takePlace(): number;
  givePlace(address: number): void;
  /** `count` places in a row, or 0. They are given back singly. */
  takeRun(count: number): number;
  /** A snapshot has read the page that `id` was when it froze at `address`. */
  thaw(id: number, address: number): void;
  /** Hears of every id that is given up. */
  onRelease: ((id: number) => void) | null;
}

/** A pool over [from, to) of the slot's memory. Errors: `memory/exhausted` when it holds no eight pages. */
export function pagePool(memory: SlotMemory, from: number, to: number): PagePool {
  const most = Math.floor((to - from) / pageSize);
  const table = alignUp(from, 64);
  const first = alignUp(table + 4 * (most + 1), pageSize);
  const total = Math.floor((to - first) / pageSize);
  if (total < 8) {
    throw new MillraceError(
      'memory/exhausted',
      `a slot with ${to - from} bytes for state; raise 'memory' or lower 'parallelism'`,
    );
  }
  const { u32 } = memory;
  const tableIndex = table >>> 2;
  /** Freed places, last in first out, so that memory that was touched is used again before fresh memory. */
  const freed = stack();
  /** Places never used start here. */
  let fresh = first;
  const end = first + total * pageSize;
  const ids = stack();
  let idNext = 1;

  const takePlace = (): number => {
    if (freed.count > 0) return freed.pop();
    if (fresh === end) return 0;
    fresh += pageSize;
    return fresh - pageSize;
  };
  const givePlace = (address: number): void => {
    assert(
      address >= first && address < end && address % pageSize === 0,
      `place ${address} given to a pool it is not of`,
    );
    assert(freed.count < total, 'a place given back twice');
    freed.push(address);
  };
  const entry = (id: number): number => u32[tableIndex + id] as number;

  const pool: PagePool = {
    memory,
    table,
    total,
    onRelease: null,
    get free() {
      return freed.count + (end - fresh) / pageSize;
    },
    allocate() {
      const place = takePlace();
      if (place === 0) return 0;
      const id = ids.count > 0 ? ids.pop() : idNext++;
      u32[tableIndex + id] = place | pageDirty;
      return id;
    },
    release(id) {
      const was = entry(id);
      if ((was & (pageFrozen | pageLogged)) === 0) givePlace((was & ~pageFlags) >>> 0);
      u32[tableIndex + id] = 0;
      ids.push(id);
      pool.onRelease?.(id);
    },
    entry,
    setEntry(id, value) {
      u32[tableIndex + id] = value;
    },
    takePlace,
    givePlace,
    takeRun(count) {
      if (count === 1) return takePlace();
      if (end - fresh >= count * pageSize) {
        fresh += count * pageSize;
        return fresh - count * pageSize;
      }
      return takeFreedRun(freed, count);
    },
    thaw(id, address) {
      const now = entry(id);
      if ((now & ~pageFlags) >>> 0 !== address) {
        givePlace(address);
        return;
      }
      u32[tableIndex + id] = (now & ~(pageFrozen | pageLogged)) >>> 0;
      if ((now & pageLogged) !== 0) u32[(address + pageUndoAt) >>> 2] = 0;
    },
  };
  return pool;
}

/** Finds neighbours among the freed places. Rare: only when no fresh memory is left. */
function takeFreedRun(freed: Stack, count: number): number {
  const places = freed.words.subarray(0, freed.count).sort();
  for (let i = 0; i + count <= places.length; i++) {
    const from = places[i] as number;
    if ((places[i + count - 1] as number) !== from + (count - 1) * pageSize) continue;
    places.copyWithin(i, i + count);
    freed.count -= count;
    return from;
  }
  return 0;
}

/** Last in, first out. It grows with what it holds: room for all pages of a slot would cost each job megabytes of zeros. */
interface Stack {
  words: Uint32Array;
  count: number;
  push(word: number): void;
  pop(): number;
}

function stack(): Stack {
  return {
    words: new Uint32Array(64),
    count: 0,
    push(word) {
      if (this.count === this.words.length) {
        const more = new Uint32Array(2 * this.count);
        more.set(this.words);
        this.words = more;
      }
      this.words[this.count++] = word;
    },
    pop() {
      return this.words[--this.count] as number;
    },
  };
}
