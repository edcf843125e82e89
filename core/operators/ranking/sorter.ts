/**
 * Rows put in order: kept in a row store, sorted in runs as they come, merged as they leave, so that no call does more
 * than one run's work. Batches that come in order already (a sorted channel's) are laid end to end as natural runs and
 * are never sorted again. Equal rows keep their order of arrival. Knows nothing of operators and outputs.
 *
 *   run       a chain of blocks of entries (kernels/assembly/sort.ts); its last block may be the pool itself
 *   pool      entries that wait to be sorted; full at `poolEntriesMax`, it becomes a run
 */
import { assert } from '../../base/assert.ts';
import type { SortKey } from '../../plan/physical.ts';
import type { BlockPool } from '../../ports/blocks.ts';
import type { Kernels } from '../../ports/kernels.ts';
import type { Batch } from '../../record/batch.ts';
import type { Layout } from '../../record/layout.ts';
import type { SlotMemory } from '../../record/memory.ts';
import { RowStore, storageCode, takeBlock } from '../../record/row-store.ts';

export interface SorterSetup {
  readonly layout: Layout;
  readonly by: readonly SortKey[];
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  readonly blocks: BlockPool;
  readonly name: string;
  /** Rows in a batch at most. */
  readonly batchRows: number;
}

export class Sorter {
  readonly store: RowStore;
  /** Address of the row ids that `next` wrote. */
  readonly ids: number;
  readonly #setup: SorterSetup;
  readonly #prefix: PrefixPlan;
  readonly #keys: number;
  /** Entries of the batch that is being added. */
  readonly #fresh: number;
  readonly #counts: number;
  #pool = 0;
  #poolCapacity = 0;
  #pooled = 0;
  readonly #natural: Run[] = [];
  readonly #sorted: Run[] = [];
  #merge: Merge | null = null;

  constructor(setup: SorterSetup) {
    const { arena } = setup.memory;
    this.#setup = setup;
    this.store = new RowStore(setup);
    this.#prefix = planPrefix(setup.layout, setup.by);
    this.#keys = this.store.describeOrder(setup.by, this.#prefix.decided);
    this.ids = arena.allocate(setup.batchRows * 4, setup.name);
    this.#fresh = arena.allocate(Math.max(setup.batchRows, 1 << this.store.shift) * entryBytes, setup.name);
    this.#counts = arena.allocate(8192, setup.name);
  }

  get rows(): number {
    return this.store.rows;
  }

  /** Keeps the rows that are in. Errors: `memory/exhausted`. */
  add(batch: Batch): void {
    assert(!this.#merge, 'rows come before they are merged');
    let id = this.store.append(batch);
    const end = id + batch.size;
    while (id < end) {
      const n = Math.min(end - id, ((id >>> this.store.shift) + 1) * (1 << this.store.shift) - id);
      this.#addEntries(id, n);
      id += n;
    }
  }

  /** No row follows: they may be taken in order. */
  begin(): void {
    this.#sortPool();
    const runs = [...this.#natural, ...this.#sorted];
    if (this.#pooled > 0) runs.push({ blocks: [{ address: this.#pool, n: this.#pooled, own: false }] });
    this.#merge = this.#startMerge(runs.filter((run) => run.blocks.length > 0));
  }

  /** Row ids of the next `max` rows in order at `ids`; answers how many, 0 at the end. `max` ≤ batchRows. */
  next(max: number): number {
    const { kernels, memory } = this.#setup;
    const merge = this.#merge;
    assert(merge, 'a merge that was begun');
    if (merge.runs.length === 0) return 0;
    let n = 0;
    while (n < max) {
      n += kernels.mergeNext(merge.state, this.#keys, this.ids + n * 4, max - n);
      const stopped = memory.u32[(merge.state + 4) >>> 2] as number;
      if (stopped === noRun) break;
      this.#refill(merge, stopped);
    }
    return n;
  }

  /** Lets all rows go; new ones may be added. */
  clear(): void {
    const { blocks } = this.#setup;
    for (const run of [...this.#natural, ...this.#sorted]) {
      for (const { address, own } of run.blocks) if (own) blocks.give(address, runBlockBytes);
    }
    this.#natural.length = 0;
    this.#sorted.length = 0;
    this.#endMerge();
    this.#pooled = 0;
    if (this.#poolCapacity > 0) blocks.give(this.#pool, this.#poolCapacity * entryBytes * 2);
    this.#poolCapacity = 0;
    this.store.clear();
  }

  /** Gives everything back. */
  close(): void {
    this.clear();
    this.store.close();
  }

  /** Rows of `batch`, among those that are in, that do not stand behind row `id` by prefix: to `out`; answers how many. */
  notBehind(batch: Batch, id: number, entries: number, out: number): number {
    const { kernels, memory } = this.#setup;
    kernels.sortEntries(entries, 1, 0);
    this.#prefixOfKept(entries, id, 1);
    const limit = BigInt.asUintN(64, memory.u64[entries >>> 3] as bigint);
    kernels.sortEntries(entries, batch.size, 0);
    if (batch.selection !== 0) {
      // The entries name rows of the batch.
      for (let k = 0; k < batch.size; k++) {
        memory.u32[(entries + k * entryBytes + 8) >>> 2] = memory.u32[(batch.selection >>> 2) + k] as number;
      }
    }
    for (const { leaf, storage, nullable, descending, used } of this.#prefix.parts) {
      const column = batch.columns[leaf];
      assert(column, 'a column to order by');
      const views = column.dictionary?.views ?? 0;
      kernels.sortPrefix(
        storage,
        column.values,
        column.validity,
        views,
        batch.selection,
        0,
        batch.size,
        nullable,
        descending,
        used,
        entries,
      );
    }
    // Where the prefix decides, an equal row that comes later stands behind.
    return kernels.prefixesBelow(entries, batch.size, limit, this.#prefix.exact ? 0 : 1, out);
  }

  /** Entries of `n` rows from `id` on, all in one chunk: behind a natural run, or into the pool. */
  #addEntries(id: number, n: number): void {
    const { kernels, memory } = this.#setup;
    kernels.sortEntries(this.#fresh, n, id);
    this.#prefixOfKept(this.#fresh, id, n);
    if (kernels.entriesInOrder(this.#keys, this.#fresh, n) === 1) {
      const run = this.#runBefore(this.#fresh);
      if (run) {
        this.#appendTo(run, this.#fresh, n);
        return;
      }
    }
    this.#makePoolRoom(n);
    memory.u8.copyWithin(this.#pool + this.#pooled * entryBytes, this.#fresh, this.#fresh + n * entryBytes);
    this.#pooled += n;
    if (this.#pooled + this.#setup.batchRows <= poolEntriesMax) return;
    this.#sortPool();
    const run: Run = { blocks: [] };
    this.#sorted.push(run);
    this.#appendTo(run, this.#pool, this.#pooled);
    this.#pooled = 0;
  }

  #prefixOfKept(entries: number, id: number, n: number): void {
    const { kernels } = this.#setup;
    for (const { leaf, storage, nullable, descending, used } of this.#prefix.parts) {
      const { values, validity, first } = this.store.pieceOf(leaf, id);
      kernels.sortPrefix(storage, values, validity, 0, 0, first, n, nullable, descending, used, entries);
    }
  }

  /** The natural run that ends latest before `entry`, a new one while there are few, or null. */
  #runBefore(entry: number): Run | null {
    const { kernels } = this.#setup;
    let best: Run | null = null;
    for (const run of this.#natural) {
      if (kernels.compareEntries(this.#keys, tailOf(run), entry) > 0) continue;
      if (!best || kernels.compareEntries(this.#keys, tailOf(best), tailOf(run)) < 0) best = run;
    }
    if (best || this.#natural.length === naturalRunsMax) return best;
    const run: Run = { blocks: [] };
    this.#natural.push(run);
    return run;
  }

  #appendTo(run: Run, entries: number, n: number): void {
    const { memory } = this.#setup;
    let done = 0;
    while (done < n) {
      let block = run.blocks.at(-1);
      if (!block || block.n === runBlockEntries) {
        block = { address: this.#room(runBlockBytes), n: 0, own: true };
        run.blocks.push(block);
      }
      const some = Math.min(n - done, runBlockEntries - block.n);
      const from = entries + done * entryBytes;
      memory.u8.copyWithin(block.address + block.n * entryBytes, from, from + some * entryBytes);
      block.n += some;
      done += some;
    }
  }

  /** The pool and, behind it, as much scratch. */
  #makePoolRoom(n: number): void {
    const wanted = this.#pooled + n;
    if (wanted <= this.#poolCapacity) return;
    const { blocks, memory } = this.#setup;
    let capacity = Math.max(poolEntriesMin, this.#poolCapacity);
    while (capacity < wanted) capacity *= 2;
    const pool = this.#room(capacity * entryBytes * 2);
    memory.u8.copyWithin(pool, this.#pool, this.#pool + this.#pooled * entryBytes);
    if (this.#poolCapacity > 0) blocks.give(this.#pool, this.#poolCapacity * entryBytes * 2);
    this.#pool = pool;
    this.#poolCapacity = capacity;
  }

  #sortPool(): void {
    if (this.#pooled < 2) return;
    const scratch = this.#pool + this.#poolCapacity * entryBytes;
    this.#setup.kernels.sortEntriesInPlace(this.#keys, this.#pool, scratch, this.#counts, this.#pooled);
  }

  #startMerge(runs: readonly Run[]): Merge {
    const { kernels, memory } = this.#setup;
    if (runs.length === 0) return { runs, blocks: [], state: 0, bytes: 0 };
    const bytes = 16 + runs.length * 36;
    const state = this.#room(bytes);
    memory.u32[state >>> 2] = runs.length;
    runs.forEach((run, r) => {
      setRun(memory, state, r, run.blocks[0] as Block);
    });
    kernels.mergeStart(state, this.#keys);
    return { runs, blocks: runs.map(() => 0), state, bytes };
  }

  /** The run has come to the end of a block: its next one, or nothing. */
  #refill(merge: Merge, run: number): void {
    const at = (merge.blocks[run] as number) + 1;
    merge.blocks[run] = at;
    setRun(this.#setup.memory, merge.state, run, merge.runs[run]?.blocks[at] ?? { address: 0, n: 0, own: false });
  }

  #endMerge(): void {
    if (this.#merge && this.#merge.bytes > 0) this.#setup.blocks.give(this.#merge.state, this.#merge.bytes);
    this.#merge = null;
  }

  #room(bytes: number): number {
    return takeBlock(this.#setup.blocks, bytes, this.#setup.name, this.store.rows);
  }
}

interface Block {
  readonly address: number;
  n: number;
  /** False: the pool. */
  readonly own: boolean;
}
interface Run {
  readonly blocks: Block[];
}
interface Merge {
  readonly runs: readonly Run[];
  /** By run, the block it is in. */
  readonly blocks: number[];
  readonly state: number;
  readonly bytes: number;
}

function tailOf(run: Run): number {
  const block = run.blocks.at(-1) as Block;
  return block.address + (block.n - 1) * entryBytes;
}

function setRun(memory: SlotMemory, state: number, run: number, block: Block): void {
  const at = (state + 16 + run * 32 + 12) >>> 2;
  memory.u32[at] = block.address;
  memory.u32[at + 1] = block.address + block.n * entryBytes;
}

/** How sort keys go into 64-bit prefixes. */
interface PrefixPlan {
  readonly parts: readonly {
    readonly leaf: number;
    readonly storage: number;
    readonly nullable: number;
    readonly descending: number;
    /** Bits before this key's. */
    readonly used: number;
  }[];
  /** Keys that equal prefixes leave no doubt about. */
  readonly decided: number;
  /** All of them. */
  readonly exact: boolean;
}

function planPrefix(layout: Layout, by: readonly SortKey[]): PrefixPlan {
  const parts: PrefixPlan['parts'][number][] = [];
  let used = 0;
  let decided = 0;
  for (const { column, descending } of by) {
    const leaf = layout[column];
    assert(leaf, `no column ${column} to order by`);
    if (used >= 64) break;
    const { nullable, storage } = leaf;
    const small = storage === 'bit' || storage === 'i32';
    const bits = small ? (storage === 'bit' ? 1 : 32) + (nullable ? 1 : 0) : 64;
    parts.push({
      leaf: column,
      storage: storageCode[storage],
      nullable: nullable ? 1 : 0,
      descending: descending ? 1 : 0,
      used,
    });
    const whole = used + bits <= 64 && storage !== 'view' && !(storage === 'i64' && nullable);
    used += bits;
    if (!whole) break;
    decided++;
  }
  return { parts, decided, exact: decided === by.length };
}

/** Answer of `mergeNext` when no run has to be refilled. */
const noRun = 0xffffffff;
const entryBytes = 16;
const runBlockEntries = 4096;
const runBlockBytes = runBlockEntries * entryBytes;
const poolEntriesMin = 1024;
/** At most as many rows are sorted in one call. */
const poolEntriesMax = 65_536;
const naturalRunsMax = 16;
