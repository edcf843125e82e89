/**
 * OVER of rows that only come, in the order of their event time: a row waits until event time has passed it, then gets its
 * results, which are final. Kept are rows that wait, and of each partition what the frames of rows to come may hold: its last
 * rows, those of so long ago, or the accumulators of all.
 */
import { orderedKeyBytesMax } from '../../base/limits.ts';
import { accumulatorLayout } from '../../compile/accumulators.ts';
import type { DeadRows, GroupTable, OrderedCursor, OrderedTable } from '../../ports/state.ts';
import { ResolveStop } from '../../ports/state.ts';
import { type Batch, batch as batchOf, type Column } from '../../record/batch.ts';
import { type ByteSink, type ByteSource, byteSink, byteSource, openBytes } from '../../record/bytes.ts';
import { type KeyPart, readKeyNumber, writeKeyNumber } from '../../record/key-bytes.ts';
import { type Layout, rowtimeName } from '../../record/layout.ts';
import { LeafList } from '../../record/leaf-list.ts';
import { accumulatorLeaves } from '../aggregate/setup.ts';
import { waitForRoom } from '../join/parts.ts';
import { KeyHasher, Work, waitForPages } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress, watermarkMax, watermarkMin } from '../operator.ts';
import { Chunk, KeyCopy } from './chunk.ts';
import { Frames } from './frames.ts';
import { type OverNode, OverRows } from './rows.ts';

export class OverInOrder implements Operator {
  readonly #node: OverNode;
  readonly #context: OperatorContext;
  readonly #rows: OverRows;
  /** Where rows wait: key {event time, partition}, no value. */
  readonly #due: OrderedTable;
  readonly #dueKey: ByteSink;
  readonly #duePlace: OrderedCursor;
  readonly #chunk: Chunk;
  readonly #frames: Frames;
  readonly #totals: Totals | null;
  readonly #walk: OrderedCursor;
  readonly #partition: KeyCopy;
  readonly #kept: OrderedCursor;
  readonly #floor: ByteSink;
  readonly #source: ByteSource;
  readonly #time: number;
  readonly #watermark: { get(): number; set(value: number): void };
  readonly #arrivals: { get(): number; set(value: number): void };
  readonly #stale: { readonly list: LeafList; readonly dead: DeadRows } | null;
  readonly #work = new Work();

  constructor(node: OverNode, results: Layout, context: OperatorContext) {
    const { memory, state, name } = context;
    const input = context.inputs[0]!;
    this.#node = node;
    this.#context = context;
    this.#time = input.findIndex((leaf) => leaf.name === rowtimeName);
    this.#rows = new OverRows(node, null, context);
    const keyRoom = orderedKeyBytesMax;
    this.#dueKey = byteSink(memory, memory.arena.allocate(keyRoom, name), keyRoom, keyRoom, `a partition of ${name}`);
    this.#due = state.ordered({
      name: 'due',
      keyGroupAt: 8,
      key: [
        { name: '$time', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false },
        { name: '$hash', type: { kind: 'HASH' }, nullable: false },
        ...node.partitionBy.map(
          (leaf): KeyPart => ({
            name: input[leaf]!.name,
            type: input[leaf]!.type,
            nullable: input[leaf]!.nullable,
          }),
        ),
      ],
      value: [],
    });
    this.#duePlace = this.#due.cursor();
    this.#chunk = new Chunk(this.#rows, results, context);
    this.#frames = new Frames(node, this.#rows, context);
    this.#totals = node.frame.preceding === null ? new Totals(node, context) : null;
    this.#walk = this.#rows.table.cursor();
    this.#partition = new KeyCopy(context);
    this.#floor = byteSink(memory, memory.arena.allocate(keyRoom, name), keyRoom, keyRoom, `a place of ${name}`);
    this.#kept = this.#rows.table.cursor();
    this.#source = byteSource(memory);
    this.#watermark = state.value('watermark', watermarkMin, Math.min);
    this.#arrivals = state.value('arrivals', 0, Math.max);
    this.#stale = node.frame.unit === 'range' && node.frame.preceding !== null ? this.#staleRows() : null;
  }

  onBatch(batch: Batch, _port: number): Progress {
    return batch.size === 0 ? Progress.done : this.#work.start(this.#consume(batch));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  onWatermark(timeMs: number, out: Output): Progress {
    return timeMs <= this.#watermark.get() ? Progress.done : this.#work.start(this.#fire(timeMs, out));
  }

  onEnd(out: Output): Progress {
    return this.onWatermark(watermarkMax, out);
  }

  *#consume(batch: Batch): Generator<void> {
    const { memory, state, counters } = this.#context;
    const rows = this.#rows;
    const passed = this.#watermark.get();
    let arrival = this.#arrivals.get();
    let put = 0;
    rows.begin(batch);
    for (let k = 0; k < batch.size; k++) {
      const row = batch.selection === 0 ? k : (memory.u32[(batch.selection >>> 2) + k] as number);
      const time = this.#timeOf(batch, row);
      if (time <= passed) {
        counters.addLate(1);
        continue;
      }
      if (state.reading) yield* waitForRoom(state, [rows.table, this.#due]);
      rows.writeKey(batch, k, row);
      this.#writeDue(time, rows.key.from, rows.partitionBytes);
      this.#due.put(this.#dueKey.from, this.#dueKey.at - this.#dueKey.from, 0, 0);
      rows.put(batch, row, arrival++);
      put++;
    }
    this.#arrivals.set(arrival);
    if (this.#stale && put > 0 && !state.reading) rows.table.sweep(this.#stale.dead, 2 * put);
  }

  *#fire(timeMs: number, out: Output): Generator<void> {
    const { state } = this.#context;
    const passed = this.#watermark.get();
    for (;;) {
      this.#duePlace.range(0, 0, 0, 0);
      if (!this.#duePlace.next()) break;
      const { key, keyBytes } = this.#duePlace;
      if (this.#dueTime(key) > timeMs) break;
      if (state.reading) yield* waitForRoom(state, [this.#rows.table, this.#due]);
      this.#partition.set({ key: key + 8, keyBytes: keyBytes - 8 });
      this.#duePlace.delete();
      yield* this.#firePartition(passed, timeMs, out);
    }
    this.#watermark.set(timeMs);
    if (this.#stale) this.#markStale(timeMs);
  }

  /** Rows of the partition with an event time in (`passed`, `until`] get their results. */
  *#firePartition(passed: number, until: number, out: Output): Generator<void> {
    const { address, bytes } = this.#partition;
    const chunk = this.#chunk;
    this.#walk.prefix(address, bytes);
    let more = this.#walk.next();
    while (more) {
      chunk.reset();
      let over = false;
      let lastDue = Number.NaN;
      for (; more && chunk.read(this.#walk); more = this.#walk.next()) {
        const time = this.#timeOf(chunk, chunk.size);
        over = time > until;
        if (over) break;
        if (time <= passed) continue;
        chunk.keep(this.#walk);
        if (time === lastDue) continue;
        lastDue = time;
        this.#writeDue(time, address, bytes);
        this.#due.delete(this.#dueKey.from, this.#dueKey.at - this.#dueKey.from);
      }
      if (chunk.size === 0) return;
      const carry = this.#totals ? yield* this.#totals.of(chunk.batch()) : 0;
      this.#frames.compute(chunk, carry);
      const batch = batchOf(this.#context.outputs[0]!, chunk.size, chunk.shown(chunk.results));
      if (out.emit(batch) === Progress.more) yield;
      yield* this.#forget();
      if (over) return;
    }
  }

  /** Rows up to the chunk's last one that no frame to come holds go. */
  *#forget(): Generator<void> {
    const { table } = this.#rows;
    const { last, partitionBytes } = this.#chunk;
    const { unit, preceding } = this.#node.frame;
    let [to, toBytes] = [last.address, last.bytes];
    if (preceding === null || (unit === 'rows' && preceding === 0)) {
      last.behind();
      toBytes = last.bytes;
    } else if (unit === 'rows') {
      const place = this.#kept;
      place.back(last.address, last.bytes, preceding - 1, partitionBytes);
      [to, toBytes] = [place.key, place.keyBytes];
    } else {
      this.#frames.writeFloor(this.#chunk, this.#floor);
      [to, toBytes] = [this.#floor.from, this.#floor.at - this.#floor.from];
    }
    for (;;) {
      table.deleteRange(last.address, partitionBytes, to, toBytes);
      if (table.stop === ResolveStop.done) return;
      yield* waitForPages(table.stop, this.#context.state);
    }
  }

  #timeOf({ columns }: { readonly columns: readonly Column[] }, row: number): number {
    const { i32, u32 } = this.#context.memory;
    const at = (columns[this.#time]!.values >>> 2) + 2 * row;
    return (i32[at + 1] as number) * 4294967296 + (u32[at] as number);
  }

  #writeDue(time: number, partition: number, bytes: number): void {
    const key = this.#dueKey;
    key.reset();
    writeKeyNumber(time, key);
    key.grow(bytes);
    key.u8.copyWithin(key.at, partition, partition + bytes);
    key.at += bytes;
  }

  #dueTime(key: number): number {
    openBytes(this.#source, this.#context.memory.u8, key, key + 8);
    return readKeyNumber(this.#source);
  }

  /** Rows that event time has left so far behind that no frame to come holds them: of partitions that are silent, too. */
  #staleRows(): { list: LeafList; dead: DeadRows } {
    const { memory, name } = this.#context;
    const { leaves, nullBytes, headBytes } = this.#rows.shape;
    const list = new LeafList(leaves, memory, name);
    return { list, dead: { leaves: list.address, count: leaves.length, nullBytes, headBytes } };
  }

  #markStale(timeMs: number): void {
    if (timeMs === watermarkMax) return;
    const until = BigInt(timeMs) - BigInt(this.#node.frame.preceding as number);
    this.#stale?.list.bound(this.#time, until);
  }
}

/** Accumulators of all rows of a partition that were, by partition. */
class Totals {
  readonly #node: OverNode;
  readonly #context: OperatorContext;
  readonly #table: GroupTable;
  readonly #hasher: KeyHasher;
  readonly #hash: number;
  readonly #entry: number;

  constructor(node: OverNode, context: OperatorContext) {
    const { memory, state, name, inputs } = context;
    this.#node = node;
    this.#context = context;
    const layout = accumulatorLayout(node.calls);
    this.#table = state.groups({
      name: 'totals',
      keys: node.partitionBy.map((leaf) => inputs[0]![leaf]!),
      accumulatorBytes: layout.bytes,
      leaves: accumulatorLeaves(layout, 0, node.calls),
    });
    this.#hasher = new KeyHasher(context, inputs[0]!, node.partitionBy);
    this.#hash = memory.arena.allocate(8, name);
    this.#entry = memory.arena.allocate(8, name);
  }

  /** Of the partition of a batch's first row. */
  *of(batch: Batch): Generator<void, number> {
    const { memory, state } = this.#context;
    this.#hasher.hash(batch, 0, 1, this.#hash);
    while (this.#table.resolve(batch, this.#node.partitionBy, this.#hash, 0, 1, this.#entry) === 0)
      yield* waitForPages(this.#table.stop, state);
    return (memory.u32[this.#entry >>> 2] as number) + this.#table.accumulatorOffset;
  }
}
