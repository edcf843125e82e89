/**
 * Results of a chunk of rows: the aggregates over each one's frame, by the compiled updates that groups have. A frame that
 * begins somewhere is added up anew for each row, from rows of the chunk and those that state has before it; one that begins
 * with the partition goes on from the accumulators of the row before.
 */
import { assert } from '../../base/assert.ts';
import { batchRowsMax, orderedKeyBytesMax } from '../../base/limits.ts';
import { type AggregateUpdater, aggregateUpdater } from '../../compile/aggregate.ts';
import type { OrderedCursor } from '../../ports/state.ts';
import { type Batch, batch as batchOf, type Column } from '../../record/batch.ts';
import { type ByteSink, byteSink } from '../../record/bytes.ts';
import { isValid } from '../../record/column-reader.ts';
import type { LayoutColumn } from '../../record/layout.ts';
import { type LeafTarget, readRowColumns } from '../../record/row-columns.ts';
import { columnBuffers } from '../../record/row-store.ts';
import { ticksPerMs } from '../../record/types.ts';
import { Texts } from '../join/rows.ts';
import type { OperatorContext } from '../operator.ts';
import type { ChangedKey } from './changed-keys.ts';
import type { Chunk } from './chunk.ts';
import { keyTailBytes, type OverNode, type OverRows } from './rows.ts';

export class Frames {
  /** Bytes of accumulators. */
  readonly bytes: number;
  readonly #node: OverNode;
  readonly #context: OperatorContext;
  readonly #updater: AggregateUpdater;
  /** Accumulators of each row of a chunk, and their addresses. */
  readonly #slots: number;
  readonly #entries: number;
  /** Rows and whose frames they are in. */
  readonly #pairRows: number;
  readonly #pairSlots: number;
  #pairs = 0;
  readonly #ahead: number;
  /** Rows outside the chunk. */
  readonly #outside: Outside;
  readonly #cursor: OrderedCursor;
  readonly #bound: ByteSink;
  readonly #order: LayoutColumn;
  readonly #rangeTicks: bigint;

  constructor(node: OverNode, rows: OverRows, context: OperatorContext) {
    const { memory, kernels, batchRows, name } = context;
    this.#node = node;
    this.#context = context;
    this.#updater = aggregateUpdater(node.calls, 0, { memory, kernels, name });
    const { bytes } = this.#updater.layout;
    this.bytes = bytes;
    const take = (of: number): number => memory.arena.allocate(of, `results of ${name}`);
    this.#slots = take(bytes * batchRows);
    this.#entries = take(4 * batchRows);
    for (let i = 0; i < batchRows; i++) memory.u32[(this.#entries >>> 2) + i] = this.#slots + i * bytes;
    this.#pairRows = take(4 * batchRowsMax);
    this.#pairSlots = take(4 * batchRowsMax);
    this.#ahead = take(bytes);
    const order = node.by[0]!;
    this.#outside = new Outside(node, rows, context);
    this.#cursor = rows.table.cursor();
    this.#bound = byteSink(
      memory,
      take(orderedKeyBytesMax),
      orderedKeyBytesMax,
      orderedKeyBytesMax,
      `a place of ${name}`,
    );
    this.#order = context.inputs[0]![order]!;
    this.#rangeTicks = node.frame.unit === 'range' ? ticksOf(node.frame.preceding ?? 0, this.#order) : 0n;
  }

  /** Accumulators of nothing. */
  clear(at: number): void {
    this.#context.memory.u8.fill(0, at, at + this.bytes);
  }

  /**
   * Writes the results of the chunk's rows. `carry`: accumulators of all rows before them, to which theirs are added, where
   * frames begin with the partition.
   */
  compute(chunk: Chunk, carry: number): void {
    const { unit, preceding } = this.#node.frame;
    if (preceding === null) {
      if (unit === 'rows') this.#running(chunk, carry);
      else this.#runningPeers(chunk, carry);
    } else {
      const { u8 } = this.#context.memory;
      u8.fill(0, this.#slots, this.#slots + chunk.size * this.bytes);
      if (unit === 'rows') this.#lastRows(chunk, preceding);
      else this.#within(chunk);
    }
    this.#updater.finish(this.#entries, chunk.size, chunk.results);
  }

  /** Adds all rows of the chunk's partition that stand before it to accumulators. */
  addBefore(chunk: Chunk, carry: number): void {
    const { first, partitionBytes } = chunk;
    this.#cursor.range(first.address, partitionBytes, first.address, first.bytes);
    this.#addAll(this.#cursor, carry);
  }

  /** Whether the frame of a cursor's row begins no later than a key's place. */
  reaches({ address, partitionBytes }: ChangedKey, cursor: OrderedCursor): boolean {
    const time = this.#timeAt(cursor.key + partitionBytes);
    return time - this.#rangeTicks <= this.#timeAt(address + partitionBytes);
  }

  /** A key that is behind those of the partition's rows which no frame holds that begins with the chunk's last row or later. */
  writeFloor(chunk: Chunk, to: ByteSink): void {
    this.#writePlace(chunk, this.#timeOf(chunk.columns, chunk.size - 1), to);
  }

  #addAll(cursor: OrderedCursor, to: number): void {
    while (this.#outside.fill(cursor)) this.#updater.updateOne(this.#outside.batch, 0, this.#outside.size, to);
  }

  #running(chunk: Chunk, carry: number): void {
    const { u8, u32 } = this.#context.memory;
    const batch = chunk.batch();
    for (let row = 0; row < chunk.size; row++) {
      u32[this.#pairRows >>> 2] = row;
      this.#updater.updateOne(batch, this.#pairRows, 1, carry);
      u8.copyWithin(this.#slots + row * this.bytes, carry, carry + this.bytes);
    }
  }

  #runningPeers(chunk: Chunk, carry: number): void {
    const { u8, u32 } = this.#context.memory;
    const batch = chunk.batch();
    for (let from = 0; from < chunk.size; ) {
      let to = from + 1;
      while (to < chunk.size && chunk.peer[to] === 1) to++;
      for (let row = from; row < to; row++) u32[(this.#pairRows >>> 2) + row - from] = row;
      this.#updater.updateOne(batch, this.#pairRows, to - from, carry);
      let result = carry;
      if (to === chunk.size) {
        // Peers that are not in the chunk count here, and with the next one again.
        result = this.#ahead;
        u8.copyWithin(result, carry, carry + this.bytes);
        if (this.#peersBehind(chunk)) this.#addAll(this.#cursor, result);
      }
      for (let row = from; row < to; row++) u8.copyWithin(this.#slots + row * this.bytes, result, result + this.bytes);
      from = to;
    }
  }

  /** Brings the cursor behind the chunk's last row, among its peers. False: it is not kept. */
  #peersBehind({ last }: Chunk): boolean {
    this.#cursor.back(last.address, last.bytes, 0, last.bytes - keyTailBytes);
    return this.#cursor.next();
  }

  /** The row itself and so many before it. */
  #lastRows(chunk: Chunk, preceding: number): void {
    const { first, partitionBytes } = chunk;
    const cursor = this.#cursor;
    if (preceding > 0) {
      let before = cursor.back(first.address, first.bytes, preceding, partitionBytes);
      // From where it stands now to the chunk.
      cursor.range(cursor.key, cursor.keyBytes, first.address, first.bytes);
      while (this.#outside.fill(cursor)) {
        const { batch, size } = this.#outside;
        // Row i stands `before − i` rows before the chunk.
        for (let slot = 0; slot < chunk.size && slot < preceding; slot++) {
          for (let i = Math.max(0, before + slot - preceding); i < size; i++) this.#pair(batch, i, slot);
        }
        this.#flush(batch);
        before -= size;
      }
    }
    const batch = chunk.batch();
    for (let slot = 0; slot < chunk.size; slot++) {
      for (let i = Math.max(0, slot - preceding); i <= slot; i++) this.#pair(batch, i, slot);
    }
    this.#flush(batch);
  }

  /** The rows from so long before on, and all peers. */
  #within(chunk: Chunk): void {
    const { first } = chunk;
    const times = Array.from({ length: chunk.size }, (_, row) => this.#timeOf(chunk.columns, row));
    this.#writePlace(chunk, times[0]!, this.#bound);
    this.#cursor.range(this.#bound.from, this.#bound.at - this.#bound.from, first.address, first.bytes);
    const outside = this.#outside;
    while (outside.fill(this.#cursor)) {
      for (let slot = 0; slot < chunk.size; slot++) {
        for (let i = outside.size - 1; i >= 0; i--) {
          if (this.#timeOf(outside.batch.columns, i) < times[slot]! - this.#rangeTicks) break;
          this.#pair(outside.batch, i, slot);
        }
      }
      this.#flush(outside.batch);
    }
    const batch = chunk.batch();
    for (let slot = 0; slot < chunk.size; slot++) {
      let from = slot;
      while (from > 0 && times[from - 1]! >= times[slot]! - this.#rangeTicks) from--;
      for (let i = from; i < chunk.size && times[i]! <= times[slot]!; i++) this.#pair(batch, i, slot);
    }
    this.#flush(batch);
    if (!this.#peersBehind(chunk)) return;
    while (outside.fill(this.#cursor)) {
      for (let slot = chunk.size - 1; slot >= 0 && times[slot] === times[chunk.size - 1]; slot--) {
        for (let i = 0; i < outside.size; i++) this.#pair(outside.batch, i, slot);
      }
      this.#flush(outside.batch);
    }
  }

  #pair(batch: Batch, row: number, slot: number): void {
    const { u32 } = this.#context.memory;
    u32[(this.#pairRows >>> 2) + this.#pairs] = row;
    u32[(this.#pairSlots >>> 2) + this.#pairs] = this.#slots + slot * this.bytes;
    if (++this.#pairs === batchRowsMax) this.#flush(batch);
  }

  #flush(batch: Batch): void {
    if (this.#pairs > 0) this.#updater.update(batch, this.#pairRows, this.#pairs, this.#pairSlots);
    this.#pairs = 0;
  }

  /** Ticks of the first order column; NULL is before all others, and they are its frame alone. */
  #timeOf(columns: readonly Column[], row: number): bigint {
    const { memory } = this.#context;
    const { values, validity } = columns[this.#node.by[0]!] as Column;
    if (!isValid(memory, validity, row)) return nullTime;
    if (this.#order.storage === 'i32') return BigInt(memory.i32[(values >>> 2) + row] as number);
    const word = (values >>> 2) + 2 * row;
    return (BigInt(memory.i32[word + 1] as number) << 32n) | BigInt(memory.u32[word] as number);
  }

  /** The same, where it stands in a key. */
  #timeAt(address: number): bigint {
    const { nullable, storage } = this.#order;
    const { view } = this.#bound;
    if (nullable && view.getUint8(address) === 0) return nullTime;
    const at = nullable ? address + 1 : address;
    if (storage === 'i32') return BigInt(view.getUint32(at) ^ -0x80000000);
    return BigInt.asIntN(64, view.getBigUint64(at) ^ (1n << 63n));
  }

  /** The least key of the chunk's partition whose time is not before `time` less the frame's length. */
  #writePlace({ first, partitionBytes }: Chunk, time: bigint, to: ByteSink): void {
    to.reset();
    to.u8.copyWithin(to.at, first.address, first.address + partitionBytes);
    to.at += partitionBytes;
    const { nullable, storage } = this.#order;
    if (nullable) to.u8[to.at++] = time === nullTime ? 0 : 1;
    if (time === nullTime) return;
    const from = time - this.#rangeTicks;
    if (storage === 'i32') {
      const day = Number(from < -0x80000000n ? -0x80000000n : from);
      to.view.setUint32(to.at, (day ^ 0x80000000) >>> 0);
      to.at += 4;
      return;
    }
    const least = -(2n ** 63n);
    to.view.setBigUint64(to.at, BigInt.asUintN(64, (from < least ? least : from) ^ least));
    to.at += 8;
  }
}

/** Before every time, however long the frame. */
const nullTime = -(2n ** 80n);

/** A length of time in ticks of the column that it is measured by. */
function ticksOf(ms: number, { type }: LayoutColumn): bigint {
  if (type.kind === 'DATE') return BigInt(Math.floor(ms / 86_400_000));
  assert(type.kind === 'TIMESTAMP', 'a range over what is no time');
  return BigInt(Math.floor(ms * ticksPerMs(type.precision)));
}

/** Rows of state that are in frames of a chunk and not in it: a batch at a time, of what aggregates read. */
class Outside {
  batch: Batch;
  size = 0;
  readonly #rows: OverRows;
  readonly #context: OperatorContext;
  readonly #columns: readonly Column[];
  readonly #targets: readonly (LeafTarget | null)[];
  readonly #texts: Texts;

  constructor(node: OverNode, rows: OverRows, context: OperatorContext) {
    const { memory, batchRows, name } = context;
    const input = context.inputs[0]!;
    this.#rows = rows;
    this.#context = context;
    const read = new Set(node.calls.flatMap(({ arg, filter }) => [arg, filter, node.by[0]!]));
    const buffers = columnBuffers(input, memory, batchRows, `frames of ${name}`);
    this.#columns = buffers.map(({ values, validity }): Column => ({ values, validity, dictionary: null }));
    this.#targets = rows.layout.map((_, leaf) => (read.has(leaf) ? buffers[leaf]! : null));
    this.#texts = new Texts(context);
    this.batch = batchOf(input, 0, this.#columns);
  }

  /** The next rows of a cursor; false: there are none. */
  fill(cursor: OrderedCursor): boolean {
    const { memory, batchRows, inputs } = this.#context;
    this.#texts.reset();
    this.size = 0;
    while (this.size < batchRows && cursor.next()) {
      const value = cursor.value();
      const start = value.at;
      while (!readRowColumns(memory, value, this.#rows.shape, this.#targets, this.size, this.#texts)) {
        value.at = start;
        // Texts are arguments of COUNT alone, which reads none of them.
        this.#texts.reset();
        this.#texts.grow(value.end - start);
      }
      this.size++;
    }
    this.batch = batchOf(inputs[0]!, this.size, this.#columns);
    return this.size > 0;
  }
}
