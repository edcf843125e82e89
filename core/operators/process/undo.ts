/**
 * What a call of a user's function changed, so that a call that threw leaves nothing behind: the bytes of the key's entry
 * as they were, and the rows of ordered tables that it wrote or took away. Only where somebody asked that the job go on
 * after such a call. Knows neither rows nor outputs.
 */
import type { OrderedTable } from '../../ports/state.ts';
import type { SlotMemory } from '../../record/memory.ts';
import { inlineBytesMax } from '../../record/text.ts';

/** Bytes of ordered rows that are remembered for one call at most; a call that changes more cannot be taken back. */
export const undoBytesMax = 64 * 1024 * 1024;

interface Change {
  readonly table: OrderedTable;
  /** The key, then the value that was there. */
  readonly bytes: Uint8Array;
  readonly keyBytes: number;
  readonly was: boolean;
}

export interface UndoParts {
  readonly memory: SlotMemory;
  /** Bytes of an entry's accumulators, and where among them the texts are. */
  readonly entryBytes: () => number;
  readonly texts: readonly number[];
  readonly keepText: (target: number, view: number) => void;
  readonly name: string;
  /** Default `undoBytesMax`. Tests set less. */
  readonly bytesMax?: number;
}

export class Undo {
  readonly #parts: UndoParts;
  readonly #changes: Change[] = [];
  #bytes = 0;
  #entry = 0;
  /** The entry as it was; made when the first call begins, for only then it is known how long entries are. */
  #saved = 0;
  #savedBytes = 0;
  #view = 0;
  #on = false;
  #spent = false;

  constructor(parts: UndoParts) {
    this.#parts = parts;
  }

  /** A table whose changes are remembered while a call is under way. */
  watched(table: OrderedTable): OrderedTable {
    return watchedTable(table, (key, keyBytes) => this.#note(table, key, keyBytes));
  }

  /** A call begins. `entry`: address of its key's accumulators; 0: it has no key. */
  begin(entry: number): void {
    const { memory } = this.#parts;
    this.end();
    this.#on = true;
    this.#spent = false;
    this.#entry = entry;
    if (entry === 0) return;
    if (this.#saved === 0) {
      this.#savedBytes = this.#parts.entryBytes();
      this.#saved = memory.arena.allocate(this.#savedBytes, `an entry of ${this.#parts.name}`);
      this.#view = memory.arena.allocate(16, this.#parts.name);
    }
    memory.u8.copyWithin(this.#saved, entry, entry + this.#savedBytes);
  }

  /** What the call did stays. */
  end(): void {
    this.#on = false;
    this.#bytes = 0;
    if (this.#changes.length > 0) this.#changes.length = 0;
  }

  /** What the call did is taken back. False: that is not possible, it changed too much. Errors: `memory/exhausted`. */
  takeBack(): boolean {
    this.#on = false;
    const possible = !this.#spent;
    if (possible) {
      for (let i = this.#changes.length - 1; i >= 0; i--) this.#revert(this.#changes[i] as Change);
      if (this.#entry !== 0) this.#revertEntry();
    }
    this.end();
    return possible;
  }

  /** What the call has done so far cannot be taken back any more. */
  giveUp(): void {
    this.end();
    this.#on = true;
    this.#spent = true;
  }

  /** Changes meanwhile are not the call's. */
  aside(work: () => void): void {
    const on = this.#on;
    this.#on = false;
    work();
    this.#on = on;
  }

  #note(table: OrderedTable, key: number, keyBytes: number): void {
    if (!this.#on || this.#spent) return;
    const { u8 } = this.#parts.memory;
    const value = table.get(key, keyBytes);
    const valueBytes = value === null ? 0 : value.end - value.at;
    this.#bytes += keyBytes + valueBytes + changeBytes;
    if (this.#bytes > (this.#parts.bytesMax ?? undoBytesMax)) {
      this.giveUp();
      return;
    }
    const bytes = new Uint8Array(keyBytes + valueBytes);
    bytes.set(u8.subarray(key, key + keyBytes));
    if (value !== null) bytes.set(value.u8.subarray(value.at, value.end), keyBytes);
    this.#changes.push({ table, bytes, keyBytes, was: value !== null });
  }

  #revert({ table, bytes, keyBytes, was }: Change): void {
    const { u8, arena } = this.#parts.memory;
    if (this.#keyAt === 0) this.#keyAt = arena.allocate(keyRoomBytes, this.#parts.name);
    u8.set(bytes.subarray(0, keyBytes), this.#keyAt);
    if (was) table.putBytes(this.#keyAt, keyBytes, bytes, keyBytes, bytes.length);
    else table.delete(this.#keyAt, keyBytes);
  }
  #keyAt = 0;

  #revertEntry(): void {
    const { memory, texts, keepText } = this.#parts;
    const { u8, u32 } = memory;
    const entry = this.#entry;
    const saved = this.#saved;
    for (const offset of texts) {
      const now = (entry + offset) >>> 2;
      const before = (saved + offset) >>> 2;
      let same = true;
      for (let i = 0; i < 4; i++) same &&= u32[now + i] === u32[before + i];
      if (same) continue;
      // The text that was replaced is readable until the table reclaims; the one that took its place goes.
      if ((u32[now] as number) > inlineBytesMax || (u32[before] as number) > inlineBytesMax) {
        u8.copyWithin(this.#view, saved + offset, saved + offset + 16);
        keepText(entry + offset, this.#view);
        u8.copyWithin(saved + offset, entry + offset, entry + offset + 16);
      }
    }
    u8.copyWithin(entry, saved, saved + this.#savedBytes);
  }
}

/** What remembering a change takes besides its bytes. */
const changeBytes = 128;
const keyRoomBytes = 8 * 1024;

/** The same table; `note` hears of every key before it is written or goes. */
function watchedTable(table: OrderedTable, note: (key: number, keyBytes: number) => void): OrderedTable {
  let cursor: ReturnType<OrderedTable['cursor']> | null = null;
  const noteEach = (open: (cursor: ReturnType<OrderedTable['cursor']>) => void): void => {
    cursor ??= table.cursor();
    open(cursor);
    while (cursor.next()) note(cursor.key, cursor.keyBytes);
  };
  return {
    get size() {
      return table.size;
    },
    get pages() {
      return table.pages;
    },
    get stop() {
      return table.stop;
    },
    get copies() {
      return table.copies;
    },
    set copies(copies) {
      table.copies = copies;
    },
    get: (key, keyBytes) => table.get(key, keyBytes),
    has: (key, keyBytes) => table.has(key, keyBytes),
    getMany: (entries, n) => table.getMany(entries, n),
    probeMany: (entries, n, probe) => table.probeMany(entries, n, probe),
    put(key, keyBytes, value, valueBytes) {
      note(key, keyBytes);
      table.put(key, keyBytes, value, valueBytes);
    },
    putBytes(key, keyBytes, value, from, to) {
      note(key, keyBytes);
      table.putBytes(key, keyBytes, value, from, to);
    },
    delete(key, keyBytes) {
      note(key, keyBytes);
      return table.delete(key, keyBytes);
    },
    deleteRange(from, fromBytes, to, toBytes) {
      noteEach((of) => of.range(from, fromBytes, to, toBytes));
      return table.deleteRange(from, fromBytes, to, toBytes);
    },
    deletePrefix(prefix, prefixBytes) {
      noteEach((of) => of.prefix(prefix, prefixBytes));
      return table.deletePrefix(prefix, prefixBytes);
    },
    // What is done for many is done between calls.
    sweep: (rows, entries) => table.sweep(rows, entries),
    putMany: (entries, n) => table.putMany(entries, n),
    deleteMany: (entries, n) => table.deleteMany(entries, n),
    takeUpTo: (bound, boundBytes, max, entries, bytes, room) =>
      table.takeUpTo(bound, boundBytes, max, entries, bytes, room),
    cursor: () => table.cursor(),
    clear: () => table.clear(),
  };
}
