/**
 * What sessions keep. The youngest session of a key is in a table by key, where nearly all rows find theirs at once; older
 * ones, that still wait for event time, are in a table by key and a number. Beside them two lists in order: when each session
 * is to be looked at, and the older ones of each key by their end. Knows what a session consists of, not what rows do to it.
 *
 *   a session's head   start, end, due: milliseconds, DOUBLE each · u32 marks · u32 0
 *   due                time · hash · key · number                  one for each session, at or before the time it is wanted
 *   older              hash · key · end · start · number           one for each older session
 */
import { keyGroupBits, orderedKeyBytesMax } from '../../base/limits.ts';
import { type AccumulatorLeaf, type GroupTable, type OrderedTable, ResolveStop } from '../../ports/state.ts';
import { type Batch, batch as batchOf, type Column } from '../../record/batch.ts';
import { type ByteSink, byteSink } from '../../record/bytes.ts';
import { type KeyPart, writeKeyColumns, writeKeyHash, writeKeyNumber } from '../../record/key-bytes.ts';
import type { Layout, LayoutColumn } from '../../record/layout.ts';
import type { SlotMemory } from '../../record/memory.ts';
import type { AggregateSetup } from '../aggregate/setup.ts';
import { waitForPages } from '../keyed-parts.ts';
import { watermarkMin } from '../operator.ts';
import { columnsUpTo } from '../process/call.ts';
import { type KeyColumns, keyColumns } from '../process/key-columns.ts';
import { keyParts } from '../process/time-queue.ts';

/** Bytes of a session's head, and where its parts are, in units of their own size. */
export const headBytes = 32;
export const startAt = 0;
export const endAt = 1;
export const dueAt = 2;
const marksAt = 6;
export const Mark = {
  /** There is a session. */ live: 1,
  /** Its result has been emitted. */ told: 2,
  /** The key may have older sessions. */ older: 4,
} as const;

const time = (name: string, offset: number): AccumulatorLeaf => ({
  name,
  type: { kind: 'DOUBLE' },
  offset,
  coding: 'f64',
});
export const sessionHead = {
  bytes: headBytes,
  leaves: [time('$start', 0), time('$end', 8), time('$due', 16)],
} as const satisfies { bytes: number; leaves: readonly AccumulatorLeaf[] };

/** The number of the youngest session of each key; older ones have the start they had when a younger one came. */
export const youngest = watermarkMin;

const numberColumn: LayoutColumn = { name: '$session', type: { kind: 'BIGINT' }, nullable: false, storage: 'i64' };
const timePart = (name: string): KeyPart => ({ name, type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false });
const numberPart: KeyPart = { name: '$session', type: { kind: 'BIGINT' }, nullable: false };

/** Sessions that are looked at at once, and those that wait to be noted. */
export const takenMax = 1024;
const waitingMax = 1024;
const noteBytes = 128 * 1024;
const entryBytes = 16;

export class SessionTables {
  readonly current: GroupTable;
  readonly older: GroupTable;
  /** Byte offset from an entry's address to its head. */
  readonly headAt: number;
  /** From where an entry of `older` lies to what it is spoken of as. */
  readonly shift: number;
  /** Columns of a batch of keys and numbers. */
  readonly keyed: readonly number[];
  readonly #setup: AggregateSetup;
  readonly #memory: SlotMemory;
  readonly #keyLayout: Layout;
  readonly #keyColumns: readonly number[];
  /** null: sessions are looked at at the end of the input only. */
  readonly #due: OrderedTable | null;
  readonly #byEnd: OrderedTable;
  readonly #cursor: ReturnType<OrderedTable['cursor']>;
  readonly #key: ByteSink;
  readonly #bound: ByteSink;
  #prefixBytes = 0;
  /** u64: hash of the open key, and of the open key with a number. */
  readonly #hash: number;
  readonly #mixed: number;
  /** One u32 each: a row, its entry. */
  readonly #row: number;
  readonly #entry: number;
  /** i64 per row of a batch. */
  readonly #numbers: number;
  #batch: Batch | null = null;
  /** Notes that are not in the table yet: entries, and their bytes. */
  readonly #waiting: number = 0;
  readonly #waitingBytes: number = 0;
  #waitingCount = 0;
  #waitingUsed = 0;
  readonly #taken: number = 0;
  readonly #takenBytes: number = 0;
  readonly #takenColumns: KeyColumns | null = null;

  /** `timed`: sessions end by event time, and not only with the input. `numbers`: i64 room for the rows of a batch. */
  constructor(setup: AggregateSetup, input: Layout, timed: boolean, numbers: number) {
    const { node, context } = setup;
    const { state, memory, name } = context;
    this.#setup = setup;
    this.#memory = memory;
    this.#keyLayout = node.keys.map((key) => input[key]!);
    this.#keyColumns = columnsUpTo(node.keys.length);
    this.keyed = columnsUpTo(node.keys.length + 1);
    this.current = state.groups(setup.decl('sessions'));
    const decl = setup.decl('older');
    this.older = state.groups({ ...decl, keys: [...decl.keys, numberColumn] });
    this.headAt = this.current.accumulatorOffset;
    this.shift = this.older.accumulatorOffset - this.headAt;
    const parts = keyParts(this.#keyLayout);
    this.#byEnd = state.ordered({
      name: 'byEnd',
      keyGroupAt: 0,
      key: [...parts, timePart('$end'), timePart('$start'), numberPart],
      value: [],
    });
    this.#cursor = this.#byEnd.cursor();
    this.#due = timed
      ? state.ordered({ name: 'due', keyGroupAt: 8, key: [timePart('$due'), ...parts, numberPart], value: [] })
      : null;
    const take = (bytes: number): number => memory.arena.allocate(bytes, `sessions of ${name}`);
    const most = orderedKeyBytesMax;
    this.#key = byteSink(memory, take(most), most, most, `a key of ${name}`);
    this.#bound = byteSink(memory, take(most), most, most, `a key of ${name}`);
    this.#hash = take(8);
    this.#mixed = take(8 * takenMax);
    this.#row = take(8);
    this.#entry = take(8);
    this.#numbers = numbers;
    if (!timed) return;
    this.#waiting = take(entryBytes * waitingMax);
    this.#waitingBytes = take(noteBytes);
    this.#taken = take(entryBytes * takenMax);
    this.#takenBytes = take(noteBytes);
    this.#takenColumns = keyColumns(memory, [...this.#keyLayout, numberColumn], takenMax, noteBytes, name);
    this.takenHashes = take(8 * takenMax);
  }

  // ── heads ──────────────────────────────────────────────────────────────────────────────────────────────────
  // An entry of either table is spoken of as one of the youngest's: `shift` away from where it lies.

  start(entry: number): number {
    return this.#memory.f64[((entry + this.headAt) >>> 3) + startAt] as number;
  }

  end(entry: number): number {
    return this.#memory.f64[((entry + this.headAt) >>> 3) + endAt] as number;
  }

  due(entry: number): number {
    return this.#memory.f64[((entry + this.headAt) >>> 3) + dueAt] as number;
  }

  setBounds(entry: number, start: number, end: number): void {
    const head = (entry + this.headAt) >>> 3;
    this.#memory.f64[head + startAt] = start;
    this.#memory.f64[head + endAt] = end;
  }

  setDue(entry: number, due: number): void {
    this.#memory.f64[((entry + this.headAt) >>> 3) + dueAt] = due;
  }

  marks(entry: number): number {
    return this.#memory.u32[((entry + this.headAt) >>> 2) + marksAt] as number;
  }

  setMarks(entry: number, marks: number): void {
    this.#memory.u32[((entry + this.headAt) >>> 2) + marksAt] = marks;
  }

  // ── one key ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Rows of `batch`, whose columns `keys` are the key, are opened from now on. */
  begin(batch: Batch, keys: readonly number[]): void {
    const numbers: Column = { values: this.#numbers, validity: 0, dictionary: null };
    const columns = [...keys.map((key) => batch.columns[key] as Column), numbers];
    this.#batch = batchOf([...this.#keyLayout, numberColumn], batch.rowCount, columns);
    this.#input = batch;
  }
  #input: Batch | null = null;

  /** Takes up the key of row `row`. */
  open(row: number): void {
    this.#opened = row;
    this.#memory.u32[this.#row >>> 2] = row;
    this.#setup.hasher.hash(this.#input as Batch, this.#row, 1, this.#hash);
    this.#encode(this.#batch as Batch, row, this.#hash);
  }
  #opened = 0;

  #encode(batch: Batch, row: number, hash: number): void {
    const key = this.#key;
    key.reset();
    writeKeyHash(this.#memory, hash, key);
    writeKeyColumns(this.#memory, batch, this.#keyColumns, row, key);
    this.#prefixBytes = key.at - key.from;
  }

  /** The entry of the open key's older session `number`, made when it is not there. Yields where there is no page. */
  *find(number: number): Generator<void, number> {
    const { u32 } = this.#memory;
    writeNumber(u32, (this.#numbers >>> 2) + 2 * this.#opened, number);
    u32[this.#row >>> 2] = this.#opened;
    this.#mix(this.#hash, number, this.#mixed);
    const { older } = this;
    while (older.resolve(this.#batch as Batch, this.keyed, this.#mixed, this.#row, 1, this.#entry) === 0)
      yield* waitForPages(older.stop, this.#setup.state);
    return (u32[this.#entry >>> 2] as number) + this.shift;
  }

  /** The hash of a key's older session: other bits behind those of the key group, so that a page can be told from another. */
  #mix(hash: number, number: number, to: number): void {
    const { u32 } = this.#memory;
    const high = Math.floor(number / 4294967296);
    let bits = Math.imul((number >>> 0) ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1);
    bits = Math.imul(bits ^ (bits >>> 15), 0x2c1b3c6d);
    bits ^= bits >>> 13;
    u32[to >>> 2] = ((u32[hash >>> 2] as number) ^ Math.imul(bits, 0x297a2d39)) >>> 0;
    u32[(to >>> 2) + 1] = ((u32[(hash >>> 2) + 1] as number) ^ (bits >>> keyGroupBits)) >>> 0;
  }

  /** Of the open key: the first older session that ends at or behind `timeMs`, or the next behind it. False: none. */
  firstOlder(timeMs: number): boolean {
    const bound = this.#prefixed(this.#bound);
    writeKeyNumber(timeMs, bound);
    this.#cursor.range(bound.from, bound.at - bound.from, 0, 0);
    return this.nextOlder();
  }

  nextOlder(): boolean {
    if (!this.#cursor.next()) return false;
    const { u8 } = this.#memory;
    const { key, keyBytes } = this.#cursor;
    if (keyBytes !== this.#prefixBytes + 24) return false;
    for (let i = 0; i < this.#prefixBytes; i++) if (u8[key + i] !== u8[this.#key.from + i]) return false;
    const at = key + this.#prefixBytes;
    this.olderEnd = readNumber(u8, at);
    this.olderStart = readNumber(u8, at + 8);
    this.olderNumber = readNumber(u8, at + 16);
    return true;
  }
  olderEnd = 0;
  olderStart = 0;
  olderNumber = 0;

  /** Notes the open key's older session in the order of their ends, or takes that note back. */
  note(start: number, end: number, number: number): void {
    const at = this.#endKey(start, end, number);
    this.#byEnd.put(at.from, at.at - at.from, 0, 0);
  }

  forget(start: number, end: number, number: number): void {
    const at = this.#endKey(start, end, number);
    this.#byEnd.delete(at.from, at.at - at.from);
  }

  #endKey(start: number, end: number, number: number): ByteSink {
    const at = this.#prefixed(this.#bound);
    writeKeyNumber(end, at);
    writeKeyNumber(start, at);
    writeKeyNumber(number, at);
    return at;
  }

  #prefixed(to: ByteSink): ByteSink {
    to.reset();
    to.grow(this.#prefixBytes);
    to.u8.copyWithin(to.at, this.#key.from, this.#key.from + this.#prefixBytes);
    to.at += this.#prefixBytes;
    return to;
  }

  // ── by time ────────────────────────────────────────────────────────────────────────────────────────────────

  get timed(): boolean {
    return this.#due !== null;
  }

  /** The open key's session is to be looked at when event time passes `timeMs`; `settle` before long. */
  *remind(timeMs: number, number: number): Generator<void> {
    if (timeMs < this.#earliestMs) this.#earliestMs = timeMs;
    const bytes = 16 + this.#prefixBytes;
    if (this.#waitingCount === waitingMax || this.#waitingUsed + bytes > noteBytes) yield* this.settle();
    const { u8, u32 } = this.#memory;
    const at = this.#waitingBytes + this.#waitingUsed;
    writeBytes(u8, at, timeMs);
    u8.copyWithin(at + 8, this.#key.from, this.#key.from + this.#prefixBytes);
    writeBytes(u8, at + 8 + this.#prefixBytes, number);
    const entry = (this.#waiting + entryBytes * this.#waitingCount++) >>> 2;
    u32[entry] = at;
    u32[entry + 1] = bytes;
    u32[entry + 2] = 0;
    u32[entry + 3] = 0;
    this.#waitingUsed += bytes;
  }

  /** No session is due before: +∞ where there is none. */
  get earliestDueMs(): number {
    if (this.#due === null || (this.#due.size === 0 && this.#waitingCount === 0)) return Number.POSITIVE_INFINITY;
    // Unknown after a restore, and when the earliest were taken.
    if (this.#earliestMs === Number.NEGATIVE_INFINITY) {
      this.#first ??= this.#due.cursor();
      this.#first.range(0, 0, 0, 0);
      this.#earliestMs = this.#first.next() ? readNumber(this.#memory.u8, this.#first.key) : Number.POSITIVE_INFINITY;
    }
    return this.#earliestMs;
  }
  #earliestMs = Number.NEGATIVE_INFINITY;
  #first: ReturnType<OrderedTable['cursor']> | null = null;

  /** Takes such a note back. */
  *unremind(timeMs: number, number: number): Generator<void> {
    yield* this.settle();
    const at = this.#bound;
    at.reset();
    writeKeyNumber(timeMs, at);
    at.grow(this.#prefixBytes);
    at.u8.copyWithin(at.at, this.#key.from, this.#key.from + this.#prefixBytes);
    at.at += this.#prefixBytes;
    writeKeyNumber(number, at);
    this.#due?.delete(at.from, at.at - at.from);
  }

  /** What waits is noted: before anybody looks, and before the state may be saved. */
  *settle(): Generator<void> {
    const due = this.#due;
    while (due !== null && this.#waitingCount > 0) {
      const done = due.putMany(this.#waiting, this.#waitingCount);
      this.#memory.u8.copyWithin(
        this.#waiting,
        this.#waiting + entryBytes * done,
        this.#waiting + entryBytes * this.#waitingCount,
      );
      this.#waitingCount -= done;
      if (this.#waitingCount > 0) yield* waitForPages(due.stop, this.#setup.state);
    }
    this.#waitingUsed = 0;
  }

  /** Takes up to `takenMax` notes of moments at or before `untilMs`, the earliest first; 0: none is left. */
  *take(untilMs: number): Generator<void, number> {
    yield* this.settle();
    const due = this.#due as OrderedTable;
    this.#earliestMs = Number.NEGATIVE_INFINITY;
    this.#bound.reset();
    writeKeyNumber(untilMs + 1, this.#bound);
    for (;;) {
      const n = due.takeUpTo(this.#bound.from, 8, takenMax, this.#taken, this.#takenBytes, noteBytes);
      if (n > 0) this.#decode(n);
      if (n > 0 || due.stop === ResolveStop.done) return n;
      yield* waitForPages(due.stop, this.#setup.state);
    }
  }

  #decode(n: number): void {
    const { u8, u32 } = this.#memory;
    const columns = this.#takenColumns as KeyColumns;
    columns.reset();
    for (let i = 0; i < n; i++) {
      const key = u32[(this.#taken + entryBytes * i) >>> 2] as number;
      const hash = this.takenHashes + 8 * i;
      for (let b = 0; b < 8; b++) u8[hash + b] = u8[key + 15 - b] as number;
      columns.read(i, key + 16);
    }
    this.taken = columns.batch(n);
  }
  /** Keys and numbers of what was taken; u64 hashes of the keys. */
  taken: Batch | null = null;
  readonly takenHashes: number = 0;

  /** The number of the `i`th that was taken. */
  takenNumber(i: number): number {
    const { values } = (this.taken as Batch).columns.at(-1) as Column;
    const { i32, u32 } = this.#memory;
    return (i32[(values >>> 2) + 2 * i + 1] as number) * 4294967296 + (u32[(values >>> 2) + 2 * i] as number);
  }

  /** Takes up the key of the `i`th that was taken: for what is noted, not for `find`. */
  openTaken(i: number): void {
    this.#encode(this.taken as Batch, i, this.takenHashes + 8 * i);
  }

  /**
   * Finds sessions that were taken: those of rows `rows` (n u32), all youngest or all older; writes their entries, as the
   * tables have them, to `entries`. Answers how many of them.
   */
  findTaken(rows: number, n: number, old: boolean, entries: number): number {
    const { u32, u8 } = this.#memory;
    for (let k = 0; k < n; k++) {
      const i = u32[(rows >>> 2) + k] as number;
      const hash = this.takenHashes + 8 * i;
      if (old) this.#mix(hash, this.takenNumber(i), this.#mixed + 8 * k);
      else u8.copyWithin(this.#mixed + 8 * k, hash, hash + 8);
    }
    const table = old ? this.older : this.current;
    return table.resolve(this.taken as Batch, old ? this.keyed : this.#keyColumns, this.#mixed, rows, n, entries);
  }

  /** No session is left. */
  clear(): void {
    this.current.clear();
    this.older.clear();
    this.#byEnd.clear();
    this.#due?.clear();
    this.#waitingCount = 0;
    this.#waitingUsed = 0;
  }

  /** Texts that were replaced are no longer read by anyone. */
  reclaim(): void {
    this.current.reclaim();
    this.older.reclaim();
  }
}

/** A whole number as an i64 at `word`. */
export function writeNumber(u32: Uint32Array, word: number, value: number): void {
  const high = Math.floor(value / 4294967296);
  u32[word] = value - high * 4294967296;
  u32[word + 1] = high >>> 0;
}

/** As `writeKeyNumber` and `readKeyNumber`. */
function writeBytes(u8: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 4294967296);
  const low = value - high * 4294967296;
  u8[at] = (high >>> 24) ^ 0x80;
  u8[at + 1] = high >>> 16;
  u8[at + 2] = high >>> 8;
  u8[at + 3] = high;
  u8[at + 4] = low >>> 24;
  u8[at + 5] = low >>> 16;
  u8[at + 6] = low >>> 8;
  u8[at + 7] = low;
}

function readNumber(u8: Uint8Array, at: number): number {
  const word = (from: number): number =>
    ((u8[from] as number) << 24) |
    ((u8[from + 1] as number) << 16) |
    ((u8[from + 2] as number) << 8) |
    (u8[from + 3] as number);
  return (word(at) ^ 0x80000000) * 4294967296 + (word(at + 4) >>> 0);
}
