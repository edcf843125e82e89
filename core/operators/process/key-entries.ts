/**
 * The keys that a process function has state for: one entry each in a table of groups, found for a batch of keys at a time.
 * Entries that hold nothing any more leave, once they are many. Knows no state, timer or function.
 */
import { batchRowsMax } from '../../base/limits.ts';
import type { GroupTable, OperatorState } from '../../ports/state.ts';
import type { Batch } from '../../record/batch.ts';
import { identityRows, waitForPages } from '../keyed-parts.ts';
import type { OperatorContext } from '../operator.ts';

/** Entries that hold nothing are taken out when they are more than this, and than a share of the others. */
const emptyMax = 4096;
const emptyShare = 4;
/** Batches between two looks at how many entries there are. */
const lookEvery = 16;

export class KeyEntries {
  readonly table: GroupTable;
  /** Bytes from an entry to what a process function keeps in it: first a word of flags, 0 where it holds nothing. */
  readonly offset: number;
  /** Address of the entries that were found last, u32 each. */
  readonly list: number;
  /** Entries with something in them. Whoever changes a flag counts it. */
  live: number;
  readonly #u32: Uint32Array;
  readonly #state: OperatorState;
  readonly #columns: readonly number[];
  readonly #identity: number;
  #untilLook = lookEvery;

  constructor(table: GroupTable, columns: readonly number[], { memory, state, name }: OperatorContext) {
    this.table = table;
    this.offset = table.accumulatorOffset;
    this.list = memory.arena.allocate(4 * (batchRowsMax + 1), `entries of ${name}`);
    this.#u32 = memory.u32;
    this.#state = state;
    this.#columns = columns;
    this.#identity = identityRows(memory);
    this.live = this.#countLive();
  }

  /**
   * Finds or makes the entries of rows `done` to `size` of a batch of keys, which lie at `selection` (0: the rows themselves)
   * and are hashed at `hashes`, a u64 for each of all `size`. Answers how many it got, or waits to be called again (`stopped`).
   */
  resolve(keys: Batch, hashes: number, selection: number, done: number, size: number): number {
    const rows = selection !== 0 ? selection + 4 * done : done > 0 ? this.#identity + 4 * done : 0;
    return this.table.resolve(keys, this.#columns, hashes + 8 * done, rows, size - done, this.list);
  }

  /** After a resolve that got fewer than there were. */
  *stopped(): Generator<void> {
    yield* waitForPages(this.table.stop, this.#state);
  }

  /** Address of the flags of the `k`th entry that was found. */
  flagsOf(k: number): number {
    return ((this.#u32[(this.list >>> 2) + k] as number) + this.offset) >>> 0;
  }

  /** Once in a while: entries that hold nothing leave, if they are many. */
  *look(): Generator<void> {
    if (--this.#untilLook <= 0) yield* this.removeEmpty();
  }

  /** Entries that hold nothing leave, if they are many. */
  *removeEmpty(): Generator<void> {
    this.#untilLook = lookEvery;
    const { table } = this;
    if (table.size - this.live <= Math.max(emptyMax, this.live / emptyShare)) return;
    const u32 = this.#u32;
    const entries = this.list >>> 2;
    const cursor = { at: 0 };
    for (;;) {
      const found = table.scan(cursor, this.list, batchRowsMax);
      if (found === 0) return;
      let empty = 0;
      for (let k = 0; k < found; k++) {
        const entry = u32[entries + k] as number;
        if (u32[(entry + this.offset) >>> 2] === 0) u32[entries + empty++] = entry;
      }
      for (let gone = 0; gone < empty; ) {
        const removed = table.remove(this.list + 4 * gone, empty - gone);
        gone += removed;
        if (gone < empty) yield* this.stopped();
      }
      yield;
    }
  }

  #countLive(): number {
    if (this.table.size === 0) return 0;
    const cursor = { at: 0 };
    let live = 0;
    for (;;) {
      const found = this.table.scan(cursor, this.list, batchRowsMax);
      if (found === 0) return live;
      for (let k = 0; k < found; k++) if (this.#u32[this.flagsOf(k) >>> 2] !== 0) live++;
    }
  }
}
