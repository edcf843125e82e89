/**
 * The as-of join: the right rows of a key are versions, each in force from its event time to that of the next. A left row waits until event
 * time has come to its own, since until then its version may still come, and meets the last one that is not later. When a version comes
 * into force, those before it go; where there is a tolerance, it goes itself when it is too old for any row to come.
 *
 *   versions  key    hash · key columns · −event time
 *             value  columns
 */
import { batchRowsMax, orderedInlineBytesMax, orderedKeyBytesMax, orderedValueBytesMax } from '../../base/limits.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import type { OrderedCursor, OrderedTable } from '../../ports/state.ts';
import { type Batch, batch as batchOf, RowKindByte } from '../../record/batch.ts';
import { type ByteSink, type ByteSource, byteSink } from '../../record/bytes.ts';
import { isValid } from '../../record/column-reader.ts';
import { type KeyPart, keyNumberAt, writeKeyColumns, writeKeyHash, writeKeyNumber } from '../../record/key-bytes.ts';
import type { Layout } from '../../record/layout.ts';
import { type RowShape, rowShape, writeRowColumns } from '../../record/row-columns.ts';
import { KeyHasher, Work } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress, watermarkMax, watermarkMin } from '../operator.ts';
import { columnsUpTo } from '../process/call.ts';
import { DueRows } from './due-rows.ts';
import { type Residual, residualOf, waitForRoom } from './parts.ts';
import { JoinRows } from './rows.ts';
import { TimedRows } from './timed-rows.ts';

type JoinNode = Extract<PhysicalNode, { kind: 'join' }>;

export class AsOfJoin implements Operator {
  readonly #context: OperatorContext;
  readonly #times: readonly [number, number];
  readonly #toleranceMs: number | null;
  /** Rows without a version come out alone. */
  readonly #preserves: boolean;
  readonly #waiting: TimedRows;
  readonly #versions: Versions;
  readonly #due: DueRows;
  readonly #tables: readonly OrderedTable[];
  readonly #rows: JoinRows;
  readonly #residual: Residual | null;
  readonly #watermark: { get(): number; set(value: number): void };
  readonly #work = new Work();

  constructor(node: JoinNode, context: OperatorContext) {
    const { type, keys, output, residual, asOf } = node;
    const { times, toleranceMs } = asOf!;
    this.#context = context;
    this.#times = times;
    this.#toleranceMs = toleranceMs;
    this.#preserves = type === 'left';
    const kept = (i: 0 | 1): number[] =>
      [...new Set([...output[i], ...(residual?.leaves[i] ?? [])])].sort((a, b) => a - b);
    const [left, right] = context.inputs as readonly [Layout, Layout];
    this.#waiting = new TimedRows(
      { name: 'waiting', input: left, keys: keys[0], time: times[0], kept: kept(0) },
      context,
    );
    this.#versions = new Versions(right, keys[1], kept(1), context);
    this.#due = new DueRows('due', this.#versions.keyParts, context);
    this.#tables = [this.#waiting.table, this.#versions.table, this.#due.table];
    const leaves = (of: readonly [readonly number[], readonly number[]]) =>
      [
        { leaves: of[0], shape: this.#waiting.shape },
        { leaves: of[1], shape: this.#versions.shape },
      ] as const;
    this.#rows = new JoinRows(context.outputs[0]!, leaves(output), context.batchRows, context);
    this.#residual = residual === null ? null : residualOf(residual, context, leaves(residual.leaves));
    this.#watermark = context.state.value('watermark', watermarkMin, Math.min);
  }

  onBatch(batch: Batch, port: number, out: Output): Progress {
    if (batch.size === 0) return Progress.done;
    return this.#work.start(port === 0 ? this.#wait(batch, out) : this.#learn(batch));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  get holdsToEnd(): boolean {
    return this.#context.bounded;
  }

  onWatermark(timeMs: number, out: Output): Progress {
    if (timeMs <= this.#watermark.get()) return Progress.done;
    this.#watermark.set(timeMs);
    return this.#work.start(this.#fire(timeMs, out));
  }

  onEnd(out: Output): Progress {
    return this.#context.bounded ? this.onWatermark(watermarkMax, out) : Progress.done;
  }

  *#wait(batch: Batch, out: Output): Generator<void> {
    const { counters, state } = this.#context;
    this.#waiting.begin(batch);
    this.#rows.begin(batch, 0);
    for (let k = 0; k < batch.size; k++) {
      const row = this.#rowOf(batch, k);
      if (state.reading) yield* waitForRoom(state, this.#tables);
      if (this.#isLate(batch, row, 0)) counters.addLate(1);
      else if (this.#waiting.hasKey(row)) this.#waiting.put(k, row);
      else if (this.#preserves) yield* this.#emit(row, null, out);
    }
    yield* this.#leave(out);
    this.#waiting.endBatch();
  }

  *#learn(batch: Batch): Generator<void> {
    const { counters, state } = this.#context;
    this.#versions.begin(batch);
    for (let k = 0; k < batch.size; k++) {
      const row = this.#rowOf(batch, k);
      if (state.reading) yield* waitForRoom(state, this.#tables);
      if (this.#isLate(batch, row, 1)) counters.addLate(1);
      else if (this.#versions.hasKey(row)) {
        const timeMs = this.#timeOf(batch, row, 1);
        const { key, keyBytes } = this.#versions.put(k, row, timeMs);
        this.#due.put(timeMs, key, keyBytes);
        if (this.#toleranceMs !== null) this.#due.put(timeMs + this.#toleranceMs, key, keyBytes);
      }
    }
  }

  *#fire(timeMs: number, out: Output): Generator<void> {
    yield* this.#answer(timeMs, out);
    const { state } = this.#context;
    if (timeMs === watermarkMax) {
      for (const table of this.#tables) table.clear();
      return;
    }
    this.#waiting.rewind(timeMs);
    while (this.#waiting.next()) {
      if (state.reading) yield* waitForRoom(state, this.#tables);
      this.#waiting.deleteCurrent();
    }
    this.#due.rewind(timeMs);
    while (this.#due.next()) {
      if (state.reading) yield* waitForRoom(state, this.#tables);
      const expires =
        this.#toleranceMs !== null && this.#due.timeMs >= this.#versions.timeOf(this.#due) + this.#toleranceMs;
      this.#versions.forget(this.#due, expires);
      this.#due.deleteCurrent();
    }
  }

  /** Rows that event time has come to, in its order, each beside its version. */
  *#answer(timeMs: number, out: Output): Generator<void> {
    const waiting = this.#waiting;
    waiting.rewind(timeMs);
    let batch = waiting.batch();
    this.#begin(batch);
    let row = 0;
    for (;;) {
      const more = waiting.next();
      const placed = more && row < this.#context.batchRows && waiting.place(row, row === 0);
      if (!placed) {
        yield* this.#leave(out);
        if (!more) return;
        batch = waiting.batch();
        this.#begin(batch);
        waiting.place(0, true);
        row = 0;
      }
      const version = this.#versions.at(waiting, waiting.timeMs, this.#toleranceMs);
      if (version !== null && (this.#residual === null || this.#residual.holds(row, version)))
        yield* this.#emit(row, this.#versions.current, out);
      else if (this.#preserves) yield* this.#emit(row, null, out);
      row++;
    }
  }

  #begin(batch: Batch): void {
    this.#rows.begin(batch, 0);
    this.#residual?.begin(batch, 0);
  }

  #rowOf(batch: Batch, k: number): number {
    return batch.selection === 0 ? k : (this.#context.memory.u32[(batch.selection >>> 2) + k] as number);
  }

  #timeOf(batch: Batch, row: number, port: 0 | 1): number {
    const { i32, u32 } = this.#context.memory;
    const at = (batch.columns[this.#times[port]]!.values >>> 2) + 2 * row;
    return (i32[at + 1] as number) * 4294967296 + (u32[at] as number);
  }

  #isLate(batch: Batch, row: number, port: 0 | 1): boolean {
    return !this.#context.bounded && this.#timeOf(batch, row, port) <= this.#watermark.get();
  }

  *#emit(row: number, kept: ByteSource | null, out: Output): Generator<void> {
    while (!this.#rows.add(row, kept, RowKindByte.insert)) yield* this.#leave(out);
  }

  *#leave(out: Output): Generator<void> {
    if (this.#rows.size > 0 && out.emit(this.#rows.take()) === Progress.more) yield;
    this.#rows.reset();
  }
}

/** A key in state, of which hash and key columns come first. */
interface KeyPlace {
  readonly key: number;
  readonly keyBytes: number;
}

class Versions {
  readonly table: OrderedTable;
  readonly keyParts: readonly KeyPart[];
  readonly shape: RowShape;
  readonly #context: OperatorContext;
  readonly #cursor: OrderedCursor;
  readonly #hasher: KeyHasher;
  readonly #hashes: number;
  readonly #keys: readonly number[];
  readonly #keyLayout: Layout;
  readonly #keyColumns: readonly number[];
  readonly #key: ByteSink;
  readonly #end: ByteSink;
  readonly #value: ByteSink;
  #batch: Batch | null = null;
  #keyed: Batch | null = null;

  constructor(input: Layout, keys: readonly number[], kept: readonly number[], context: OperatorContext) {
    const { memory, state, name } = context;
    this.#context = context;
    this.shape = rowShape(input, kept, 0);
    this.#keys = keys;
    // Keys in state are never NULL.
    this.#keyLayout = keys.map((leaf) => ({ ...input[leaf]!, nullable: false }));
    this.#keyColumns = columnsUpTo(keys.length);
    this.#hasher = new KeyHasher(context, input, keys);
    const take = (bytes: number): number => memory.arena.allocate(bytes, name);
    this.#hashes = take(8 * batchRowsMax);
    const most = orderedKeyBytesMax;
    this.#key = byteSink(memory, take(most), most, most, `a key of ${name}`);
    this.#end = byteSink(memory, take(most), most, most, `a key of ${name}`);
    const usual = 2 * orderedInlineBytesMax;
    this.#value = byteSink(memory, take(usual), usual, orderedValueBytesMax, `a row of ${name}`);
    const part = (of: string, kind: 'BIGINT' | 'HASH'): KeyPart => ({ name: of, type: { kind }, nullable: false });
    this.keyParts = [
      part('$hash', 'HASH'),
      ...this.#keyLayout.map(({ name: of, type }): KeyPart => ({ name: of, type, nullable: false })),
      part('$before', 'BIGINT'),
    ];
    const value = kept.map((leaf) => ({
      name: input[leaf]!.name,
      type: input[leaf]!.type,
      nullable: input[leaf]!.nullable,
    }));
    this.table = state.ordered({ name: 'versions', keyGroupAt: 0, key: this.keyParts, value });
    this.#cursor = this.table.cursor();
  }

  begin(batch: Batch): void {
    const columns = this.#keys.map((leaf) => batch.columns[leaf]!);
    this.#batch = batch;
    this.#keyed = batchOf(this.#keyLayout, batch.rowCount, columns);
    this.#hasher.hash(batch, batch.selection, batch.size, this.#hashes);
  }

  /** Whether a row's key can equal another: no part of it is NULL, or NaN. */
  hasKey(row: number): boolean {
    const { memory } = this.#context;
    return this.#keyed!.columns.every(({ validity, values }, i) => {
      if (!isValid(memory, validity, row)) return false;
      return this.#keyLayout[i]!.storage !== 'f64' || !Number.isNaN(memory.f64[(values >>> 3) + row]);
    });
  }

  /** Row `row`, the `k`th of those that are in, is its key's version from `timeMs` on; of two of one time the later counts. */
  put(k: number, row: number, timeMs: number): KeyPlace {
    const { memory } = this.#context;
    const key = this.#key;
    key.reset();
    writeKeyHash(memory, this.#hashes + 8 * k, key);
    writeKeyColumns(memory, this.#keyed!, this.#keyColumns, row, key);
    writeKeyNumber(-timeMs, key);
    const value = this.#value;
    value.reset();
    writeRowColumns(memory, this.#batch!, this.shape, row, value);
    const keyBytes = key.at - key.from;
    if (value.inMemory) this.table.put(key.from, keyBytes, value.from, value.at - value.from);
    else this.table.putBytes(key.from, keyBytes, value.u8, value.from, value.at);
    return { key: key.from, keyBytes };
  }

  /** The version in force at `timeMs` of the key that `of` stands at, no older than the tolerance; null: none. */
  at(of: KeyPlace, timeMs: number, toleranceMs: number | null): ByteSource | null {
    this.#begins(of.key, of.keyBytes, timeMs);
    this.#ends(of.key, of.keyBytes);
    this.#cursor.range(this.#key.from, this.#key.at - this.#key.from, this.#end.from, this.#end.at - this.#end.from);
    if (!this.#cursor.next()) return null;
    if (toleranceMs !== null && this.#timeAt(this.#cursor.key + this.#cursor.keyBytes - 8) < timeMs - toleranceMs)
      return null;
    return this.#cursor.value();
  }

  /** What `at` found. */
  get current(): ByteSource {
    return this.#cursor.value();
  }

  /** When the version at that place came into force. */
  timeOf({ key, keyBytes }: KeyPlace): number {
    return this.#timeAt(key + keyBytes - 8);
  }

  /** Versions of its key that are older than the one at that place go, and that one itself where it `expires`. */
  forget(of: KeyPlace, expires: boolean): void {
    const prefixBytes = of.keyBytes - 8;
    // The next key behind it is of the millisecond before.
    this.#begins(of.key, prefixBytes, this.timeOf(of) - (expires ? 0 : 1));
    this.#ends(of.key, prefixBytes);
    this.table.deleteRange(
      this.#key.from,
      this.#key.at - this.#key.from,
      this.#end.from,
      this.#end.at - this.#end.from,
    );
  }

  #timeAt(at: number): number {
    return -keyNumberAt(this.#context.memory.u8, at);
  }

  /** The first key that a version of that time could have. */
  #begins(key: number, prefixBytes: number, timeMs: number): void {
    this.#copy(this.#key, key, prefixBytes);
    writeKeyNumber(-timeMs, this.#key);
  }

  /** Behind all versions of the key. */
  #ends(key: number, prefixBytes: number): void {
    this.#copy(this.#end, key, prefixBytes);
    this.#end.grow(8);
    this.#end.u8.fill(0xff, this.#end.at, this.#end.at + 8);
    this.#end.at += 8;
  }

  #copy(to: ByteSink, from: number, bytes: number): void {
    to.reset();
    to.grow(bytes);
    to.u8.set(this.#context.memory.u8.subarray(from, from + bytes), to.at);
    to.at += bytes;
  }
}
