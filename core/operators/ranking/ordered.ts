/**
 * Top n in an ordered table, by ROW_NUMBER: rows lie in order, with texts of any length. Of input that takes rows back every
 * row is kept, so that the next one moves up when one of the first n goes; equal rows are one entry with a count. Of input that only
 * inserts the first n of each partition are, of equals those that came first. Changes are those of updating.ts: with a rank
 * each rank from the row's own on is updated; without it one row comes and one goes.
 *
 *   key    hash of the partition · partition columns · order columns, descending ones inverted · [hash of row] · number
 *   value  [count] columns
 */
import {
  batchRowsMax,
  orderedInlineBytesMax,
  orderedKeyBytesMax,
  orderedPagesPerCall,
  orderedValueBytesMax,
  pageCopiesMax,
} from '../../base/limits.ts';
import type { TimeBound } from '../../plan/physical.ts';
import type { DeadRows, OrderedCursor, OrderedTable } from '../../ports/state.ts';
import { type Batch, RowKindByte } from '../../record/batch.ts';
import { type ByteSink, type ByteSource, byteSink } from '../../record/bytes.ts';
import { type KeyPart, writeKeyColumns, writeKeyHash, writeKeyNumber } from '../../record/key-bytes.ts';
import type { Layout } from '../../record/layout.ts';
import { LeafList } from '../../record/leaf-list.ts';
import { type RowShape, rowShape, writeRowColumns } from '../../record/row-columns.ts';
import { type Field, ticksPerMs } from '../../record/types.ts';
import { JoinRows, noRow } from '../join/rows.ts';
import { KeyHasher, Work } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress } from '../operator.ts';
import { columnsUpTo } from '../process/call.ts';
import { type Ranking, refuseChanges, withRank } from './ranking.ts';

export function orderedTopN(spec: Ranking, context: OperatorContext): Operator {
  return new OrderedTopN(spec, context);
}

/** A change is told by going through the first n of its group. */
const orderedRowsMax = 1000;

/** Rows that only come lie here where order and rank can be told by bytes: keys are short, so no texts among the order. */
export function canOrder({ n, by, using }: Ranking, layout: Layout): boolean {
  return n <= orderedRowsMax && using === 'ROW_NUMBER' && by.every(({ column }) => layout[column]!.storage !== 'view');
}

class OrderedTopN implements Operator {
  readonly #spec: Ranking;
  readonly #context: OperatorContext;
  readonly #shape: RowShape;
  readonly #table: OrderedTable;
  readonly #own: OrderedCursor;
  readonly #walk: OrderedCursor;
  readonly #partitionHasher: KeyHasher;
  readonly #rowHasher: KeyHasher;
  readonly #partitionHashes: number;
  readonly #rowHashes: number;
  readonly #key: ByteSink;
  readonly #value: ByteSink;
  readonly #order: readonly { readonly columns: readonly number[]; readonly descending: boolean }[];
  readonly #rows: JoinRows;
  readonly #ranks: number;
  readonly #work = new Work();
  /** Rows are taken back, and told apart by what they are; null: they only come, and are by when. */
  readonly #arrivals: { get(): number; set(value: number): void } | null;
  #arrival = 0;
  /** Rows whose time is behind event time, where none of their partition comes any more. */
  readonly #dead: { readonly list: LeafList; readonly rows: DeadRows; readonly frees: TimeBound } | null;
  #partitionBytes = 0;

  constructor(spec: Ranking, context: OperatorContext) {
    const { memory, batchRows, state, name } = context;
    const layout = context.inputs[0]!;
    this.#spec = spec;
    this.#context = context;
    this.#shape = rowShape(layout, columnsUpTo(layout.length), 8);
    this.#partitionHasher = new KeyHasher(context, layout, spec.partitionBy);
    this.#rowHasher = new KeyHasher(context, layout, columnsUpTo(layout.length));
    this.#partitionHashes = memory.arena.allocate(8 * batchRowsMax, `hashes of ${name}`);
    this.#rowHashes = memory.arena.allocate(8 * batchRowsMax, `hashes of ${name}`);
    this.#order = spec.by.map(({ column, descending }) => ({ columns: [column], descending }));
    const most = orderedKeyBytesMax;
    this.#key = byteSink(memory, memory.arena.allocate(most, name), most, most, `the order of a row of ${name}`);
    const usual = 2 * orderedInlineBytesMax;
    this.#value = byteSink(memory, memory.arena.allocate(usual, name), usual, orderedValueBytesMax, `a row of ${name}`);
    const part = (leaf: number, descending: boolean): KeyPart => {
      const { name: column, type, nullable } = layout[leaf]!;
      return { name: column, type, nullable, ...(descending ? { descending } : {}) };
    };
    this.#arrivals = spec.updating ? null : state.value('arrivals', 0, Math.max);
    this.#arrival = this.#arrivals?.get() ?? 0;
    this.#dead = spec.frees ? this.#deadRows(spec.frees) : null;
    this.#table = state.ordered({
      name: 'ranked',
      keyGroupAt: 0,
      key: [
        { name: '$hash', type: { kind: 'HASH' }, nullable: false },
        ...spec.partitionBy.map((leaf) => part(leaf, false)),
        ...spec.by.map(({ column, descending }) => part(column, descending)),
        ...(spec.updating ? [{ name: '$row', type: { kind: 'HASH' }, nullable: false } as const] : []),
        { name: '$number', type: { kind: 'BIGINT' }, nullable: false },
      ],
      value: [
        { name: '$count', type: { kind: 'BIGINT' }, nullable: false },
        ...layout.map(({ name: column, type, nullable }): Field => ({ name: column, type, nullable })),
      ],
    });
    this.#own = this.#table.cursor();
    this.#walk = this.#table.cursor();
    const sides = [
      { leaves: columnsUpTo(layout.length), shape: this.#shape },
      { leaves: [], shape: rowShape([], [], 0) },
    ] as const;
    this.#rows = new JoinRows(layout, sides, batchRows, context);
    this.#rows.begin(null, 1);
    this.#ranks = memory.arena.allocate(8 * batchRows, `ranks of ${name}`);
  }

  onBatch(batch: Batch, _port: number, out: Output): Progress {
    return batch.size === 0 ? Progress.done : this.#work.start(this.#consume(batch, out));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  onWatermark(timeMs: number): Progress {
    if (this.#dead === null) return Progress.done;
    const { list, frees } = this.#dead;
    const { type } = this.#context.inputs[0]![frees.leaf]!;
    const perMs = BigInt(type.kind === 'TIMESTAMP' ? ticksPerMs(type.precision) : 1);
    // In whole milliseconds, value ≤ time + shift.
    const ticks = (BigInt(timeMs) + BigInt(frees.plusMs) + 1n) * perMs - 1n;
    list.bound(frees.leaf, ticks > ticksMax ? ticksMax : ticks);
    return Progress.done;
  }

  #deadRows(frees: TimeBound): { list: LeafList; rows: DeadRows; frees: TimeBound } {
    const { leaves, nullBytes, headBytes } = this.#shape;
    const list = new LeafList(leaves, this.#context.memory, this.#context.name);
    return { list, rows: { leaves: list.address, count: leaves.length, nullBytes, headBytes }, frees };
  }

  *#consume(batch: Batch, out: Output): Generator<void> {
    const { memory, state } = this.#context;
    const { selection, size } = batch;
    this.#partitionHasher.hash(batch, selection, size, this.#partitionHashes);
    if (this.#arrivals === null) this.#rowHasher.hash(batch, selection, size, this.#rowHashes);
    else refuseChanges(batch, this.#context.name);
    for (let k = 0; k < size; k++) {
      const row = selection === 0 ? k : (memory.u32[(selection >>> 2) + k] as number);
      const kind = batch.kinds === 0 ? 0 : (memory.u8[batch.kinds + row] as number);
      if (state.reading) yield* this.#waitForRoom();
      if (this.#arrivals !== null) yield* this.#enter(batch, k, row, out);
      else yield* this.#change(batch, k, row, kind === RowKindByte.insert || kind === RowKindByte.updateAfter, out);
    }
    yield* this.#leave(out);
    this.#arrivals?.set(this.#arrival);
    if (this.#dead && !state.reading) this.#table.sweep(this.#dead.rows, 2 * size);
  }

  /** A row that is among the first n comes, and the one that it pushes out goes. */
  *#enter(batch: Batch, k: number, row: number, out: Output): Generator<void> {
    const { n } = this.#spec;
    const key = this.#key;
    this.#writeKey(batch, k, row);
    writeKeyNumber(this.#arrival, key);
    const before = this.#walk.back(key.from, key.at - key.from, n, this.#partitionBytes);
    if (before === n) return;
    this.#arrival++;
    this.#value.reset();
    writeRowColumns(this.#context.memory, batch, this.#shape, row, this.#value);
    this.#put(key, 1);
    yield* this.#tellAt(before, true, out);
    this.#walk.prefix(key.from, this.#partitionBytes);
    for (let at = 0; at <= n; at++) if (!this.#walk.next()) return;
    this.#walk.delete();
  }

  /** A row comes or goes: state, and what that changes among the first n. */
  *#change(batch: Batch, k: number, row: number, adds: boolean, out: Output): Generator<void> {
    this.#writeKey(batch, k, row);
    const { count, last } = this.#find(batch, row);
    if (!adds && count === 0) {
      this.#context.counters.addSkipped(1);
      return;
    }
    if (adds) {
      if (count === 0) writeKeyNumber(last + 1, this.#key);
      this.#put(count === 0 ? this.#key : null, count + 1);
      yield* this.#tell(true, out);
      return;
    }
    yield* this.#tell(false, out);
    if (count === 1) this.#own.delete();
    else this.#put(null, count - 1);
  }

  /** The row's key: its partition, its place in the order, and a hash of it, into the key sink. */
  #writeKey(batch: Batch, k: number, row: number): void {
    const { memory } = this.#context;
    const key = this.#key;
    key.reset();
    writeKeyHash(memory, this.#partitionHashes + 8 * k, key);
    writeKeyColumns(memory, batch, this.#spec.partitionBy, row, key);
    this.#partitionBytes = key.at - key.from;
    for (const { columns, descending } of this.#order) {
      const from = key.at;
      writeKeyColumns(memory, batch, columns, row, key);
      if (descending) for (let at = from; at < key.at; at++) key.u8[at] = ~(key.u8[at] as number);
    }
    if (this.#arrivals === null) writeKeyHash(memory, this.#rowHashes + 8 * k, key);
  }

  /** How often an equal row is there; its entry is where `#own` stands. */
  #find(batch: Batch, row: number): { readonly count: number; readonly last: number } {
    const { memory } = this.#context;
    this.#value.reset();
    writeRowColumns(memory, batch, this.#shape, row, this.#value);
    const key = this.#key;
    this.#own.prefix(key.from, key.at - key.from);
    let last = -1;
    while (this.#own.next()) {
      const value = this.#own.value();
      if (this.#isEncoded(value)) return { count: this.#count(value), last };
      const end = this.#own.key + this.#own.keyBytes;
      last = (memory.u8[end - 2] as number) * 256 + (memory.u8[end - 1] as number);
    }
    return { count: 0, last };
  }

  /**
   * The changes of a row that has just come, or is about to go: it stands in the table, at the own key. Withdrawals first,
   * so that a reader by rank is never left without a row that another has replaced.
   */
  *#tell(adds: boolean, out: Output): Generator<void> {
    const first = this.#position(this.#spec.n);
    if (first !== null) yield* this.#tellAt(first, adds, out);
  }

  *#tellAt(first: number, adds: boolean, out: Output): Generator<void> {
    const { n, rank } = this.#spec;
    const { insert, updateBefore, updateAfter, delete: gone } = RowKindByte;
    const size = this.#sizeUpTo(n + 1);
    // The row is at `first`; of its equals, which are all the same, it is the first.
    const shifted = size - 1;
    if (!rank) {
      const beyond = size > n;
      if (adds && beyond) yield* this.#give(n, n, gone, 0, out);
      yield* this.#give(first, first, adds ? insert : gone, 0, out);
      if (!adds && beyond) yield* this.#give(n, n, insert, 0, out);
      return;
    }
    const end = Math.min(n, size);
    if (adds) {
      yield* this.#give(first + 1, Math.min(n, shifted), updateBefore, 0, out);
      yield* this.#give(first, end - 2, updateAfter, 1, out);
      yield* this.#give(end - 1, end - 1, size <= n ? insert : updateAfter, 1, out);
      return;
    }
    yield* this.#give(first, end - 2, updateBefore, 1, out);
    yield* this.#give(end - 1, end - 1, size <= n ? gone : updateBefore, 1, out);
    yield* this.#give(first + 1, Math.min(n, shifted), updateAfter, 0, out);
  }

  /** Rows before the own one, if fewer than `n`; else null. */
  #position(n: number): number | null {
    this.#walk.prefix(this.#key.from, this.#partitionBytes);
    const { u8 } = this.#context.memory;
    const key = this.#key;
    const bytes = key.at - key.from;
    for (let before = 0; before < n && this.#walk.next(); ) {
      if (this.#walk.keyBytes >= bytes && sameBytes(u8, this.#walk.key, key.from, bytes)) {
        const value = this.#walk.value();
        if (this.#isEncoded(value)) return before;
      }
      before += this.#count(this.#walk.value());
    }
    return null;
  }

  #sizeUpTo(most: number): number {
    this.#walk.prefix(this.#key.from, this.#partitionBytes);
    let size = 0;
    while (size < most && this.#walk.next()) size += this.#count(this.#walk.value());
    return Math.min(size, most);
  }

  /** Emits the rows at positions [`from`, `to`], with their position + `rankOffset` as rank. */
  *#give(from: number, to: number, kind: number, rankOffset: number, out: Output): Generator<void> {
    if (to < from) return;
    const { memory } = this.#context;
    this.#walk.prefix(this.#key.from, this.#partitionBytes);
    for (let at = 0; at <= to && this.#walk.next(); ) {
      const count = this.#count(this.#walk.value());
      for (let i = 0; i < count && at <= to; i++, at++) {
        if (at < from) continue;
        while (!this.#rows.add(noRow, this.#walk.value(), kind)) yield* this.#leave(out);
        const word = (this.#ranks >>> 2) + 2 * (this.#rows.size - 1);
        memory.u32[word] = at + rankOffset;
        memory.u32[word + 1] = 0;
      }
    }
  }

  *#leave(out: Output): Generator<void> {
    if (this.#rows.size > 0 && out.emit(withRank(this.#rows.take(), this.#context, this.#ranks)) === Progress.more)
      yield;
    this.#rows.reset();
  }

  /** Writes the encoded row with a count, under `key` or, null, where `#own` stands. */
  #put(key: ByteSink | null, count: number): void {
    const { from, at, inMemory, u8, view } = this.#value;
    const place = from + this.#shape.nullBytes;
    view.setUint32(place, count >>> 0, true);
    view.setUint32(place + 4, Math.floor(count / 4294967296), true);
    const [address, bytes] = key ? [key.from, key.at - key.from] : [this.#own.key, this.#own.keyBytes];
    if (inMemory) this.#table.put(address, bytes, from, at - from);
    else this.#table.putBytes(address, bytes, u8, from, at);
  }

  #count(value: ByteSource): number {
    const at = value.at + this.#shape.nullBytes;
    return value.view.getUint32(at, true) + value.view.getUint32(at + 4, true) * 4294967296;
  }

  #isEncoded(value: ByteSource): boolean {
    const { u8, from, at } = this.#value;
    if (value.end - value.at !== at - from) return false;
    const head = this.#shape.nullBytes;
    for (let i = 0; i < at - from; i++) {
      if ((i < head || i >= head + 8) && u8[from + i] !== value.u8[value.at + i]) return false;
    }
    return true;
  }

  /** As a join's. */
  *#waitForRoom(): Generator<void> {
    const { state } = this.#context;
    if (this.#table.copies >= pageCopiesMax) {
      this.#table.copies = 0;
      yield;
    }
    while (state.reading && state.freePages < 2 * orderedPagesPerCall) yield;
  }
}

const ticksMax = 2n ** 63n - 1n;

function sameBytes(u8: Uint8Array, a: number, b: number, n: number): boolean {
  for (let i = 0; i < n; i++) if (u8[a + i] !== u8[b + i]) return false;
  return true;
}
