/**
 * Rows by time: an ordered table of (time, hash, key, name), written in bulk, taken from its beginning in bulk. Timers and
 * the lazy timers of time to live are such rows. Decodes the keys of what it takes into columns, so that they can be
 * resolved like those of a batch. Knows nothing of what a row means.
 */
import type { OperatorState, OrderedTable } from '../../ports/state.ts';
import { ResolveStop } from '../../ports/state.ts';
import { type Batch, batch as batchOf } from '../../record/batch.ts';
import { type ByteSink, byteSink } from '../../record/bytes.ts';
import { type KeyPart, writeKeyNumber } from '../../record/key-bytes.ts';
import type { Layout } from '../../record/layout.ts';
import type { SlotMemory } from '../../record/memory.ts';
import { type Call, keyBytes, keyRoom } from './call.ts';
import { type KeyColumns, keyColumns } from './key-columns.ts';
import type { Undo } from './undo.ts';

/** Rows taken at once, and rows that wait to be put. */
export const takenMax = 1024;
const waitingMax = 1024;
const waitingBytes = 128 * 1024;
const takenBytes = 128 * 1024;
const entryBytes = 16;

export interface Taken {
  readonly count: number;
  /** Of row i. */
  timeMs(i: number): number;
  /** Where the bytes of its name are: [from, to); empty without one. */
  nameFrom(i: number): number;
  nameTo(i: number): number;
  /** Key columns of all rows; u64 hashes. */
  readonly keys: Batch;
  readonly hashes: number;
}

export class TimeQueue implements Taken {
  readonly #memory: SlotMemory;
  readonly #undo: Undo | null;
  readonly #table: OrderedTable;
  readonly #columns: KeyColumns;
  /** Bytes of one row's key. */
  readonly #row: ByteSink;
  /** Rows that are not in the table yet: entries, and their bytes. */
  readonly #waiting: number;
  readonly #waitingBytes: number;
  #waitingCount = 0;
  #waitingUsed = 0;
  readonly #taken: number;
  readonly #takenBytes: number;
  readonly #bound: ByteSink;
  readonly hashes: number;
  count = 0;
  keys: Batch;
  readonly #names = new Uint32Array(takenMax);
  readonly #times = new Float64Array(takenMax);
  /** No row is earlier; +∞ when it is known that there is none. Rows may have gone: then it is too early. */
  earliestMs = Number.NEGATIVE_INFINITY;

  constructor(
    name: string,
    parts: {
      readonly memory: SlotMemory;
      readonly state: Pick<OperatorState, 'ordered'>;
      readonly keys: Layout;
      /** Rows have a name behind their key. */
      readonly named: boolean;
      /** What a call changes may be taken back. */
      readonly undo?: Undo | null | undefined;
    },
  ) {
    const { memory, state, keys, named } = parts;
    this.#memory = memory;
    this.#undo = parts.undo ?? null;
    this.#table = state.ordered({
      name,
      keyGroupAt: 8,
      key: [timePart, ...keyParts(keys), ...(named ? [namePart] : [])],
      value: [],
    });
    const take = (bytes: number): number => memory.arena.allocate(bytes, name);
    this.#row = byteSink(memory, take(keyRoom), keyRoom, keyRoom, 'a timer');
    this.#bound = byteSink(memory, take(8), 8, 8, 'a time');
    this.#waiting = take(entryBytes * waitingMax);
    this.#waitingBytes = take(waitingBytes);
    this.#taken = take(entryBytes * takenMax);
    this.#takenBytes = take(takenBytes);
    this.hashes = take(8 * takenMax);
    this.#columns = keyColumns(memory, keys, takenMax, takenBytes, name);
    this.keys = batchOf(keys, 0, this.#columns.columns);
  }

  /** Puts a row of the current key at `timeMs`. Errors: `record/too-large`, `memory/exhausted`. */
  put(timeMs: number, call: Call, name: Uint8Array | null): void {
    if (timeMs < this.earliestMs) this.earliestMs = timeMs;
    const { u8 } = this.#memory;
    const { from } = keyBytes(call, this.#memory);
    const keyLength = call.keyEnd - from;
    let to = this.#wait(8 + keyLength + (name === null ? 0 : name.length));
    to = writeTime(u8, to, timeMs);
    for (let i = 0; i < keyLength; i++) u8[to++] = u8[from + i] as number;
    if (name !== null) for (let i = 0; i < name.length; i++) u8[to++] = name[i] as number;
  }

  /** Room for a row of `bytes` among those that wait. */
  #wait(bytes: number): number {
    const { u32 } = this.#memory;
    if (this.#waitingCount === waitingMax || this.#waitingUsed + bytes > waitingBytes) this.#putWaiting();
    const at = this.#waitingBytes + this.#waitingUsed;
    const entry = (this.#waiting + entryBytes * this.#waitingCount) >>> 2;
    u32[entry] = at;
    u32[entry + 1] = bytes;
    u32[entry + 2] = 0;
    u32[entry + 3] = 0;
    this.#waitingCount++;
    this.#waitingUsed += bytes;
    return at;
  }

  /** Takes a row of the current key away, if it is there. */
  delete(timeMs: number, call: Call, name: Uint8Array | null): void {
    this.#putWaiting();
    const row = this.#rowOf(timeMs, call, name);
    this.#table.delete(row.from, row.at - row.from);
  }

  /** Rows that were put go into the table, at a moment at which it may stop: `done`, or why it did. */
  settle(): ResolveStop {
    if (this.#waitingCount === 0) return ResolveStop.done;
    const done = this.#table.putMany(this.#waiting, this.#waitingCount);
    if (done < this.#waitingCount) {
      this.#memory.u8.copyWithin(
        this.#waiting,
        this.#waiting + entryBytes * done,
        this.#waiting + entryBytes * this.#waitingCount,
      );
      this.#waitingCount -= done;
      return this.#table.stop;
    }
    this.#waitingCount = 0;
    this.#waitingUsed = 0;
    return ResolveStop.done;
  }

  /** In the middle of a call: whatever it takes. Errors: `memory/exhausted`. */
  #putWaiting(): void {
    const marked = Math.min(this.#markedCount, this.#waitingCount);
    if (this.#undo && marked > 0) this.#undo.aside(() => this.#putEach(0, marked));
    else this.#putEach(0, marked);
    this.#putEach(marked, this.#waitingCount);
    this.#waitingCount = 0;
    this.#waitingUsed = 0;
    this.mark();
  }

  #putEach(from: number, to: number): void {
    const { u32 } = this.#memory;
    for (let i = from; i < to; i++) {
      const entry = (this.#waiting + entryBytes * i) >>> 2;
      this.#table.put(u32[entry] as number, u32[entry + 1] as number, 0, 0);
    }
  }

  /** A call begins: rows that it puts may be taken back. */
  mark(): void {
    this.#markedCount = this.#waitingCount;
    this.#markedUsed = this.#waitingUsed;
  }
  #markedCount = 0;
  #markedUsed = 0;

  /** Rows that were put since `mark` and wait are not there; those in the table are the table's matter. */
  rewind(): void {
    this.#waitingCount = this.#markedCount;
    this.#waitingUsed = this.#markedUsed;
  }

  get empty(): boolean {
    return this.#waitingCount === 0 && this.#table.size === 0;
  }

  /**
   * Takes up to `most` rows at or before `untilMs`, the earliest first; `settle` must have answered `done`. Answers how
   * many; none with `stop` done: there is none.
   */
  take(untilMs: number, most: number): number {
    this.#bound.reset();
    writeKeyNumber(untilMs + 1, this.#bound);
    this.count = this.#table.takeUpTo(
      this.#bound.from,
      8,
      Math.min(most, takenMax),
      this.#taken,
      this.#takenBytes,
      takenBytes,
    );
    if (this.count > 0) this.#decode();
    return this.count;
  }

  get stop(): ResolveStop {
    return this.#table.stop;
  }

  /** Rows from `i` on go back to where they were taken from. */
  putBack(i: number): void {
    const { u8, u32 } = this.#memory;
    for (let k = i; k < this.count; k++) {
      const from = (this.#taken + entryBytes * k) >>> 2;
      const bytes = u32[from + 1] as number;
      const at = this.#wait(bytes);
      u8.copyWithin(at, u32[from] as number, (u32[from] as number) + bytes);
      this.earliestMs = Math.min(this.earliestMs, this.timeMs(k));
    }
    this.count = i;
  }

  /** Finds out when the first row is due: +∞ for none. `settle` must have answered `done`. */
  lookAhead(): number {
    if (this.#table.size === 0) this.earliestMs = Number.POSITIVE_INFINITY;
    else {
      this.#cursor ??= this.#table.cursor();
      this.#cursor.range(0, 0, 0, 0);
      this.earliestMs = this.#cursor.next() ? this.#timeAt(this.#cursor.key) : Number.POSITIVE_INFINITY;
    }
    return this.earliestMs;
  }
  #cursor: ReturnType<OrderedTable['cursor']> | null = null;

  timeMs(i: number): number {
    return this.#times[i] as number;
  }

  nameFrom(i: number): number {
    return this.#names[i] as number;
  }

  nameTo(i: number): number {
    const entry = (this.#taken + entryBytes * i) >>> 2;
    const { u32 } = this.#memory;
    return (u32[entry] as number) + (u32[entry + 1] as number);
  }

  #timeAt(key: number): number {
    const { u8 } = this.#memory;
    let high = (u8[key] as number) ^ 0x80;
    let low = u8[key + 4] as number;
    for (let i = 1; i < 4; i++) {
      high = (high << 8) | (u8[key + i] as number);
      low = (low << 8) | (u8[key + 4 + i] as number);
    }
    return high * 4294967296 + (low >>> 0);
  }

  #decode(): void {
    const { u8, u32 } = this.#memory;
    this.#columns.reset();
    for (let i = 0; i < this.count; i++) {
      const entry = (this.#taken + entryBytes * i) >>> 2;
      const key = u32[entry] as number;
      this.#times[i] = this.#timeAt(key);
      const hash = this.hashes + 8 * i;
      for (let b = 0; b < 8; b++) u8[hash + b] = u8[key + 15 - b] as number;
      this.#names[i] = this.#columns.read(i, key + 16);
    }
    this.keys = this.#columns.batch(this.count);
  }

  #rowOf(timeMs: number, call: Call, name: Uint8Array | null): ByteSink {
    const { u8 } = this.#memory;
    const key = keyBytes(call, this.#memory);
    const row = this.#row;
    row.reset();
    writeKeyNumber(timeMs, row);
    const bytes = call.keyEnd - key.from;
    row.grow(bytes + (name ? name.length : 0));
    u8.copyWithin(row.at, key.from, call.keyEnd);
    row.at += bytes;
    if (name) {
      u8.set(name, row.at);
      row.at += name.length;
    }
    return row;
  }
}

/** As `writeKeyNumber`; answers where it ends. */
function writeTime(u8: Uint8Array, at: number, timeMs: number): number {
  const high = Math.floor(timeMs / 4294967296);
  const low = timeMs - high * 4294967296;
  u8[at] = (high >>> 24) ^ 0x80;
  u8[at + 1] = high >>> 16;
  u8[at + 2] = high >>> 8;
  u8[at + 3] = high;
  u8[at + 4] = low >>> 24;
  u8[at + 5] = low >>> 16;
  u8[at + 6] = low >>> 8;
  u8[at + 7] = low;
  return at + 8;
}

const timePart: KeyPart = { name: 'time', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false };
const namePart: KeyPart = { name: 'name', type: { kind: 'VARCHAR' }, nullable: false };

/** A hash, then the key's leaves: how keyed rows begin. */
export function keyParts(keys: Layout): readonly KeyPart[] {
  return [
    { name: '$hash', type: { kind: 'HASH' }, nullable: false },
    ...keys.map(({ name, type, nullable }) => ({ name, type, nullable })),
  ];
}
