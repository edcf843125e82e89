/**
 * The keyed state of one slot: every operator's tables and values over one page pool. Implements core/ports/state.ts and
 * adds what only the runtime sees: snapshot, restore, accounts. Knows no operator and no thread.
 */
import { assert } from '../core/base/assert.ts';
import { MillraceError } from '../core/base/errors.ts';
import { allKeyGroups, type KeyGroupRange } from '../core/base/key-groups.ts';
import type { Kernels } from '../core/ports/kernels.ts';
import { pageSize, tableBytes } from '../core/ports/page-layout.ts';
import type {
  GroupTable,
  GroupTableDecl,
  HashPart,
  KeyedValue,
  OperatorState,
  OrderedTable,
  SlicedTables,
} from '../core/ports/state.ts';
import type { SlotMemory } from '../core/record/memory.ts';
import { countOf, kindOf, RecordKind, recordHeaderBytes } from './checkpoint/format.ts';
import { PageTracker } from './checkpoint/page-tracker.ts';
import type { CheckpointTarget } from './checkpoint/writer.ts';
import { HashTable, importedMax, type TableHome } from './group-table.ts';
import { BTree } from './ordered-table.ts';
import type { PagePool } from './page-pool.ts';
import { recall } from './recall.ts';
import { type Shape, shapeOf } from './shape.ts';
import {
  type FrozenTable,
  formatOf,
  memorySink,
  type RestoredPart,
  type RestoredTable,
  type SnapshotSink,
  type StateSnapshot,
  stateSnapshot,
  unpackRecord,
} from './snapshot.ts';
import { undoLog } from './undo-log.ts';

export interface SlotState {
  readonly pool: PagePool;
  /**
   * The state of one operator's subtask, which owns `keyGroups`. `restored`: all parts of a snapshot that it starts from,
   * of any parallelism; entries outside its key groups are left out. (A subtask whose input is not hashed may hold any
   * key group, so every part is looked into.) Errors: `snapshot/mismatch` when a table's entries
   * look different now (from `groups` and `slices`).
   */
  operator(id: string, keyGroups?: KeyGroupRange, restored?: readonly RestoredPart[]): StoredState;
  /** Bytes of pages in use. */
  readonly usedBytes: number;
}

/** An operator's state with the runtime's side of it. */
export interface StoredState extends OperatorState {
  /**
   * Freezes everything, synchronously and without copying. One snapshot at a time: release the last one first. What is
   * read goes into `file`, which is of this slot's `CheckpointWriter` (only in a slot that tracks changes), or into memory.
   */
  snapshot(file?: CheckpointTarget): StateSnapshot;
  /** Tables, and values of keys, of what it was restored from that hold something and that the operator has not declared: it is lost. */
  unclaimed(): readonly string[];
  /** Bytes of pages that the operator's tables hold. */
  readonly usedBytes: number;
  /** Frees every page. */
  dispose(): void;
}

interface Home extends TableHome {
  /** In slots that track changes. */
  readonly tracker: PageTracker | null;
  readonly hashSeed: bigint;
  /** A place for the chunk that is being written or restored. */
  readonly chunk: number;
}

/** `tracked`: checkpoints go to files, only what changed each time; entries are stamped for it, which costs them 8 bytes. */
export function slotState(parts: {
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  readonly pool: PagePool;
  /** Of the hashes that its tables are given. */
  readonly hashSeed: bigint;
  readonly tracked?: boolean;
}): SlotState {
  const { memory, kernels, pool, hashSeed, tracked = false } = parts;
  const tracker = tracked ? new PageTracker(pool.total) : null;
  if (tracker !== null) pool.onRelease = (id) => tracker.released(id);
  const scratch = pool.takePlace();
  const chunk = pool.takePlace();
  assert(scratch !== 0 && chunk !== 0, 'a page pool was handed on in use');
  const home: Home = {
    memory,
    kernels,
    pool,
    tracker,
    scratch,
    hashSeed,
    chunk,
    reading: { count: 0 },
    undo: undoLog(pool),
    recall: recall(memory),
    counter: memory.arena.allocate(8, 'a counter'),
    imported: memory.arena.allocate(8 * importedMax, 'imported entries'),
    ...tableBlocks(memory),
  };
  return {
    pool,
    operator: (id, keyGroups = allKeyGroups, restored = []) => operatorState(home, id, keyGroups, restored),
    get usedBytes() {
      return (pool.total - pool.free) * pageSize;
    },
  };
}

/** Blocks of tables come and go with slices: taken from the arena sixteen at a time, used again. */
function tableBlocks(memory: SlotMemory): Pick<TableHome, 'takeTableBlock' | 'giveTableBlock'> {
  const free: number[] = [];
  return {
    takeTableBlock() {
      if (free.length === 0) {
        const from = memory.arena.allocate(16 * tableBytes, 'table blocks');
        for (let i = 15; i >= 0; i--) free.push(from + i * tableBytes);
      }
      return free.pop() as number;
    },
    giveTableBlock(block) {
      free.push(block);
    },
  };
}

function operatorState(
  home: Home,
  id: string,
  keyGroups: KeyGroupRange,
  restored: readonly RestoredPart[],
): StoredState {
  const tables = new Map<string, HashTable>();
  const sliced = new Map<string, Slices>();
  const ordered = new Map<string, BTree>();
  const values = new Map<string, unknown>();
  const keyed = new Map<string, () => Iterable<KeyedValue<unknown>>>();
  let open: StateSnapshot | null = null;

  /** Brings back what parts hold under `name`; `tableOf` answers where a slice's entries go. */
  const restore = (name: string, shape: Shape, tableOf: (slice: number | null) => HashTable): void => {
    reserve(name, shape, tableOf);
    for (const part of restored) {
      for (const table of part.tables) {
        if (table.name !== name) continue;
        if (table.format !== formatOf(shape)) {
          throw otherFormat(name, id, table.format, formatOf(shape));
        }
        const to = tableOf(table.slice);
        for (const record of table.chunks) {
          unpack(record, name, shape);
          to.importChunk(home.chunk, keyGroups.from, keyGroups.to);
        }
        for (const record of table.changes ?? []) {
          unpack(record, name, shape);
          to.importChanges(home.chunk, keyGroups.from, keyGroups.to);
        }
      }
    }
  };
  /** Pages are filled between half and wholly, to 0.69 (ln 2) on average. */
  const reserve = (name: string, shape: Shape, tableOf: (slice: number | null) => HashTable): void => {
    const pages = new Map<number | null, number>();
    for (const part of restored) {
      const shared = Math.min(part.keyGroups.to, keyGroups.to) - Math.max(part.keyGroups.from, keyGroups.from);
      const share = Math.max(0, shared) / (part.keyGroups.to - part.keyGroups.from);
      for (const table of part.tables) {
        if (table.name === name) pages.set(table.slice, (pages.get(table.slice) ?? 0) + share * (table.pages ?? 0));
      }
    }
    for (const [slice, n] of pages) if (n > 8) tableOf(slice).reserve(0.69 * n * shape.layout.countMax);
  };
  const restoreOrdered = (name: string, to: BTree): void => {
    for (const part of restored) {
      for (const table of part.tables) {
        if (table.name !== name) continue;
        if (table.format !== to.format) throw otherFormat(name, id, table.format, to.format);
        for (const block of table.chunks) {
          home.memory.u8.set(block.subarray(recordHeaderBytes), home.chunk);
          to.importBlock(home.chunk, block.length - recordHeaderBytes, keyGroups);
        }
        // The same rows are in every part that has any.
        if (to.decl.keyGroupAt === null && !to.decl.perSubtask) return;
      }
    }
  };
  const unpack = (record: Uint8Array, name: string, shape: Shape): void => {
    if (unpackRecord(home.memory, record, home.chunk, shape.stride)) return;
    throw new MillraceError(
      'state/corrupt',
      `a record of table '${name}' of operator '${id}' is no page of that table`,
    );
  };
  const shape = (decl: GroupTableDecl): Shape =>
    shapeOf(
      home.memory,
      decl,
      { pageTable: home.pool.table, undo: home.undo.block, hashSeed: home.hashSeed },
      home.tracker !== null,
    );
  const sinkOf = (file: CheckpointTarget | undefined): SnapshotSink => {
    if (file === undefined) return memorySink(home);
    assert(home.tracker !== null, 'a checkpoint of a slot that tracks no changes');
    return file.operator(id, home, home.tracker);
  };
  const unused = (name: string): void =>
    assert(
      !tables.has(name) && !sliced.has(name) && !ordered.has(name),
      `table ${name} of operator ${id} declared twice`,
    );

  return {
    groups(decl): GroupTable {
      unused(decl.name);
      const table = new HashTable(home, shape(decl));
      tables.set(decl.name, table);
      restore(decl.name, table.shape, () => table);
      return table;
    },
    slices(decl): SlicedTables {
      unused(decl.name);
      const slices = new Slices(home, shape(decl));
      sliced.set(decl.name, slices);
      restore(decl.name, slices.shape, (slice) => slices.open(slice as number));
      return slices;
    },
    ordered(decl): OrderedTable {
      unused(decl.name);
      const table = new BTree(home, decl);
      ordered.set(decl.name, table);
      restoreOrdered(decl.name, table);
      return table;
    },
    value<T>(name: string, initial: T, merge: (a: T, b: T) => T = (a) => a) {
      assert(!values.has(name), `value ${name} of operator ${id} declared twice`);
      const saved = restored.filter((part) => name in part.values).map((part) => part.values[name] as T);
      values.set(name, saved.length > 0 ? saved.reduce((a, b) => merge(a, b)) : initial);
      return { get: () => values.get(name) as T, set: (value: T) => void values.set(name, value) };
    },
    keyed<T>(name: string, save: () => Iterable<KeyedValue<T>>): readonly KeyedValue<T>[] {
      assert(!keyed.has(name), `keyed value ${name} of operator ${id} declared twice`);
      keyed.set(name, save);
      const saved = restored.flatMap((part) => (part.keyed[name] ?? []) as readonly KeyedValue<T>[]);
      return saved.filter(({ keyGroup }) => keyGroup >= keyGroups.from && keyGroup < keyGroups.to);
    },
    get reading() {
      return home.reading.count > 0;
    },
    get freePages() {
      return home.pool.free;
    },
    get totalPages() {
      return home.pool.total;
    },
    get usedBytes() {
      let pages = 0;
      for (const table of tables.values()) pages += table.pages;
      for (const slices of sliced.values()) pages += slices.pages;
      for (const table of ordered.values()) pages += table.pages;
      return pages * pageSize;
    },
    snapshot(file) {
      assert(open === null, `operator ${id} is snapshotted while its last snapshot is still open`);
      const sink = sinkOf(file);
      const frozen: FrozenTable[] = [];
      const freeze = (name: string, slice: number | null, table: HashTable | BTree): void => {
        const source = table instanceof BTree ? { tree: table } : { shape: table.shape };
        const of = sink.table(name, slice, source);
        frozen.push({ sink: of, ...table.freeze(of) });
      };
      for (const [name, table] of tables) freeze(name, null, table);
      for (const [name, slices] of sliced) for (const [slice, table] of slices.all()) freeze(name, slice, table);
      // What is the same in every subtask is kept by each: any of them may have ended, and keep nothing.
      for (const [name, table] of ordered) freeze(name, null, table);
      const saved = Object.fromEntries([...keyed].map(([name, save]) => [name, [...save()]]));
      const part = sink.values(keyGroups, Object.fromEntries(values), saved);
      open = stateSnapshot(home.pool, part, frozen, () => {
        open = null;
        if (--home.reading.count === 0) home.undo.clear();
      });
      home.reading.count++;
      return open;
    },
    unclaimed() {
      const found = new Set<string>();
      for (const part of restored) {
        for (const table of part.tables) {
          if (tables.has(table.name) || sliced.has(table.name) || ordered.has(table.name)) continue;
          if (!found.has(table.name) && holdsEntries(table)) found.add(table.name);
        }
        for (const [name, of] of Object.entries(part.keyed)) if (!keyed.has(name) && of.length > 0) found.add(name);
      }
      return [...found].sort();
    },
    dispose() {
      open?.release();
      for (const table of tables.values()) table.dispose();
      for (const slices of sliced.values()) slices.dispose();
      for (const table of ordered.values()) table.dispose();
      tables.clear();
      sliced.clear();
      ordered.clear();
    },
  };
}

/** Pages of a table may be there though nothing is in them. */
function holdsEntries({ chunks, changes = [] }: RestoredTable): boolean {
  for (const records of [chunks, changes]) {
    for (const record of records) {
      const word = new DataView(record.buffer, record.byteOffset, recordHeaderBytes).getUint32(8, true);
      // A block of an ordered table is its entries; of a hash page the header says how many.
      if (kindOf(word) === RecordKind.ordered ? record.length > recordHeaderBytes : countOf(word) > 0) return true;
    }
  }
  return false;
}

function otherFormat(name: string, id: string, was: string, is: string): MillraceError {
  return new MillraceError(
    'snapshot/mismatch',
    `table '${name}' of operator '${id}' was saved as ${was} and is ${is} now; start without this snapshot, or with the job that wrote it`,
  );
}

class Slices implements SlicedTables {
  readonly shape: Shape;
  readonly #home: TableHome;
  readonly #tables = new Map<number, HashTable>();
  /** Ascending; null: to be sorted again. */
  #sorted: number[] | null = null;
  /** Entries that the next slice will have: about as many as the one before, which a barrier may have cut short. */
  #lastSize = 0;

  constructor(home: TableHome, shape: Shape) {
    this.#home = home;
    this.shape = shape;
  }

  get accumulatorOffset(): number {
    return this.shape.accumulatorOffset;
  }

  open(slice: number, part?: HashPart): HashTable {
    let table = this.#tables.get(slice);
    if (table === undefined) {
      table = new HashTable(this.#home, this.shape, part);
      table.expectedSize = this.#lastSize;
      this.#tables.set(slice, table);
      this.#sorted = null;
    }
    return table;
  }

  get(slice: number): HashTable | null {
    return this.#tables.get(slice) ?? null;
  }

  drop(slice: number): void {
    const table = this.#tables.get(slice);
    if (table === undefined) return;
    this.#lastSize = Math.max(table.sizeMax, this.#lastSize >>> 1);
    table.dispose();
    this.#tables.delete(slice);
    this.#sorted = null;
  }

  slices(): readonly number[] {
    this.#sorted ??= [...this.#tables.keys()].sort((a, b) => a - b);
    return this.#sorted;
  }

  all(): Iterable<[number, HashTable]> {
    return this.#tables.entries();
  }

  get pages(): number {
    let pages = 0;
    for (const table of this.#tables.values()) pages += table.pages;
    return pages;
  }

  dispose(): void {
    for (const slice of [...this.#tables.keys()]) this.drop(slice);
  }
}
