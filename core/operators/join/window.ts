/**
 * The join of two windowed streams by equal windows. Rows of both sides are kept by the end of their window, then by key; when
 * event time has passed the end, nothing can come for it any more: matches and rows without one come out, all of them final,
 * and the window's rows go. State is the windows that are open.
 *
 *   key    window's end · hash · key columns · {arrival}
 *   value  columns
 */
import { batchRowsMax, orderedInlineBytesMax, orderedKeyBytesMax, orderedValueBytesMax } from '../../base/limits.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import type { OrderedCursor, OrderedTable } from '../../ports/state.ts';
import { type Batch, batch as batchOf, type Column, RowKindByte } from '../../record/batch.ts';
import { type ByteSink, type ByteSource, byteSink } from '../../record/bytes.ts';
import { isValid } from '../../record/column-reader.ts';
import { type KeyPart, writeKeyColumns, writeKeyHash, writeKeyNumber } from '../../record/key-bytes.ts';
import type { Layout } from '../../record/layout.ts';
import { type LeafTarget, type RowShape, readRowColumns, rowShape, writeRowColumns } from '../../record/row-columns.ts';
import { columnBuffers } from '../../record/row-store.ts';
import { isComplete } from '../../time/windows.ts';
import { KeyHasher, Work } from '../aggregate-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress, watermarkMax, watermarkMin } from '../operator.ts';
import { columnsUpTo } from '../process/call.ts';
import { alone, type Residual, residualOf, waitForRoom } from './parts.ts';
import { JoinRows, Texts } from './rows.ts';

type JoinNode = Extract<PhysicalNode, { kind: 'join' }>;

export class WindowJoin implements Operator {
  readonly #node: JoinNode;
  readonly #context: OperatorContext;
  readonly #sides: readonly [WindowSide, WindowSide];
  readonly #rows: JoinRows;
  readonly #residual: Residual | null;
  readonly #watermark: { get(): number; set(value: number): void };
  readonly #work = new Work();

  constructor(node: JoinNode, context: OperatorContext) {
    const { output, residual, windowEnd } = node;
    this.#node = node;
    this.#context = context;
    const side = (i: 0 | 1): WindowSide => {
      const kept = new Set([...output[i], ...(residual?.leaves[i] ?? [])]);
      return new WindowSide(
        {
          name: i === 0 ? 'left' : 'right',
          input: context.inputs[i]!,
          keys: node.keys[i],
          end: windowEnd![i],
          kept: [...kept].sort((a, b) => a - b),
        },
        context,
      );
    };
    const sides = [side(0), side(1)] as const;
    this.#sides = sides;
    const leaves = (of: readonly [readonly number[], readonly number[]]) =>
      [
        { leaves: of[0], shape: sides[0].shape },
        { leaves: of[1], shape: sides[1].shape },
      ] as const;
    this.#rows = new JoinRows(context.outputs[0]!, leaves(output), context.batchRows, context);
    this.#residual = residual === null ? null : residualOf(residual, context, leaves(residual.leaves));
    this.#watermark = context.state.value('watermark', watermarkMin, Math.min);
  }

  onBatch(batch: Batch, port: number, out: Output): Progress {
    return batch.size === 0 ? Progress.done : this.#work.start(this.#consume(batch, port, out));
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
    return this.#work.start(this.#fire(out));
  }

  onEnd(out: Output): Progress {
    return this.onWatermark(watermarkMax, out);
  }

  *#consume(batch: Batch, port: number, out: Output): Generator<void> {
    const { bounded, counters, memory, state } = this.#context;
    const own = this.#sides[port]!;
    const tables = this.#sides.map(({ table }) => table);
    own.begin(batch);
    this.#rows.begin(batch, port);
    for (let k = 0; k < batch.size; k++) {
      const row = batch.selection === 0 ? k : (memory.u32[(batch.selection >>> 2) + k] as number);
      if (!bounded && isComplete(own.endOf(row), this.#watermark.get())) counters.addLate(1);
      else if (own.hasKey(row)) {
        if (state.reading) yield* waitForRoom(state, tables);
        own.put(k, row);
      } else if (alone[this.#node.type][port] === 'unmatched') yield* this.#add(row, null, out);
    }
    own.endBatch();
    yield* this.#leave(out);
  }

  *#fire(out: Output): Generator<void> {
    const { type } = this.#node;
    const [left, right] = this.#sides;
    const until = this.#watermark.get();
    // Rows of the right side come out alone where none of the left side matches; the others by those of the left.
    yield* this.#walk(0, until, type === 'semi' || type === 'anti' ? 'once' : 'pairs', out);
    if (alone[type][1] === 'unmatched') yield* this.#walk(1, until, 'alone', out);
    for (const side of [left, right]) yield* this.#forget(side, until);
  }

  /** Goes through the rows of a side whose windows are over, each beside its matches of the other side. */
  *#walk(port: 0 | 1, until: number, how: 'pairs' | 'once' | 'alone', out: Output): Generator<void> {
    const side = this.#sides[port];
    const other = this.#sides[1 - port]!;
    const shows = alone[this.#node.type][port];
    side.rewind(until);
    let batch = side.batch();
    this.#begin(batch, port);
    let row = 0;
    for (;;) {
      const more = side.next();
      const placed = more && row < this.#context.batchRows && side.place(row, row === 0);
      if (!placed) {
        yield* this.#leave(out);
        if (!more) return;
        batch = side.batch();
        this.#begin(batch, port);
        side.place(0, true);
        row = 0;
      }
      let matches = 0;
      other.probe(side);
      while (other.matches.next()) {
        const kept = other.matches.value();
        if (this.#residual !== null && !this.#residual.holds(row, kept)) continue;
        matches++;
        if (how !== 'pairs') break;
        yield* this.#add(row, other.matches.value(), out);
      }
      if ((shows === 'unmatched' && matches === 0) || (shows === 'matched' && matches > 0))
        yield* this.#add(row, null, out);
      row++;
    }
  }

  #begin(batch: Batch, port: number): void {
    this.#rows.begin(batch, port);
    this.#residual?.begin(batch, port);
  }

  *#add(row: number, kept: ByteSource | null, out: Output): Generator<void> {
    while (!this.#rows.add(row, kept, RowKindByte.insert)) yield* this.#leave(out);
  }

  *#leave(out: Output): Generator<void> {
    if (this.#rows.size > 0 && out.emit(this.#rows.take()) === Progress.more) yield;
    this.#rows.reset();
  }

  *#forget(side: WindowSide, until: number): Generator<void> {
    const { state } = this.#context;
    if (until === watermarkMax) return side.table.clear();
    side.rewind(until);
    while (side.next()) {
      if (state.reading) yield* waitForRoom(state, [side.table]);
      side.deleteCurrent();
    }
  }
}

interface WindowSideSpec {
  readonly name: 'left' | 'right';
  readonly input: Layout;
  readonly keys: readonly number[];
  /** Leaf of the window's end. */
  readonly end: number;
  readonly kept: readonly number[];
}

class WindowSide {
  readonly shape: RowShape;
  readonly table: OrderedTable;
  /** For rows of the other side. */
  readonly matches: OrderedCursor;
  readonly #spec: WindowSideSpec;
  readonly #context: OperatorContext;
  readonly #own: OrderedCursor;
  readonly #hasher: KeyHasher;
  readonly #hashes: number;
  readonly #keyLayout: Layout;
  readonly #keyColumns: readonly number[];
  readonly #key: ByteSink;
  readonly #value: ByteSink;
  readonly #bound: ByteSink;
  readonly #arrivals: { get(): number; set(value: number): void };
  #arrival: number;
  #batch: Batch | null = null;
  #keyed: Batch | null = null;
  /** Rows of state on their way out, by leaf of the input. */
  readonly #columns: readonly Column[];
  readonly #targets: readonly LeafTarget[];
  readonly #texts: Texts;

  constructor(spec: WindowSideSpec, context: OperatorContext) {
    const { memory, state, name } = context;
    const { input, keys, kept } = spec;
    this.#spec = spec;
    this.#context = context;
    this.shape = rowShape(input, kept, 0);
    // Keys in state are never NULL.
    this.#keyLayout = keys.map((leaf) => ({ ...input[leaf]!, nullable: false }));
    this.#keyColumns = columnsUpTo(keys.length);
    this.#hasher = new KeyHasher(context, input, keys);
    const take = (bytes: number): number => memory.arena.allocate(bytes, name);
    this.#hashes = take(8 * batchRowsMax);
    const most = orderedKeyBytesMax;
    this.#key = byteSink(memory, take(most), most, most, `a key of ${name}`);
    this.#bound = byteSink(memory, take(8), 8, 8, `a time of ${name}`);
    const usual = 2 * orderedInlineBytesMax;
    this.#value = byteSink(memory, take(usual), usual, orderedValueBytesMax, `a row of ${name}`);
    const part = (of: string, kind: 'BIGINT' | 'HASH'): KeyPart => ({ name: of, type: { kind }, nullable: false });
    this.table = state.ordered({
      name: spec.name,
      keyGroupAt: 8,
      key: [
        { name: '$until', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false },
        part('$hash', 'HASH'),
        ...this.#keyLayout.map(({ name: of, type }): KeyPart => ({ name: of, type, nullable: false })),
        part('$arrival', 'BIGINT'),
      ],
      value: kept.map((leaf) => ({
        name: input[leaf]!.name,
        type: input[leaf]!.type,
        nullable: input[leaf]!.nullable,
      })),
    });
    this.matches = this.table.cursor();
    this.#own = this.table.cursor();
    this.#arrivals = state.value(`${spec.name}.arrivals`, 0, Math.max);
    this.#arrival = this.#arrivals.get();
    const buffers = columnBuffers(input, memory, context.batchRows, `rows of ${name}`);
    this.#columns = buffers.map(({ values, validity }) => ({ values, validity, dictionary: null }));
    this.#targets = this.shape.leaves.map(({ leaf }) => buffers[leaf]!);
    this.#texts = new Texts(context);
  }

  begin(batch: Batch): void {
    const columns = this.#spec.keys.map((leaf) => batch.columns[leaf]!);
    this.#batch = batch;
    this.#keyed = batchOf(this.#keyLayout, batch.rowCount, columns);
    this.#hasher.hash(batch, batch.selection, batch.size, this.#hashes);
  }

  endBatch(): void {
    this.#arrivals.set(this.#arrival);
  }

  endOf(row: number): number {
    const { i32, u32 } = this.#context.memory;
    const at = (this.#batch!.columns[this.#spec.end]!.values >>> 2) + 2 * row;
    return (i32[at + 1] as number) * 4294967296 + (u32[at] as number);
  }

  /** Whether a row's key can equal another: no part of it is NULL, or NaN. */
  hasKey(row: number): boolean {
    const { memory } = this.#context;
    return this.#keyed!.columns.every(({ validity, values }, i) => {
      if (!isValid(memory, validity, row)) return false;
      return this.#keyLayout[i]!.storage !== 'f64' || !Number.isNaN(memory.f64[(values >>> 3) + row]);
    });
  }

  /** Keeps row `row`, the `k`th of those that are in. */
  put(k: number, row: number): void {
    const { memory } = this.#context;
    const key = this.#key;
    key.reset();
    writeKeyNumber(this.endOf(row), key);
    writeKeyHash(memory, this.#hashes + 8 * k, key);
    writeKeyColumns(memory, this.#keyed!, this.#keyColumns, row, key);
    writeKeyNumber(this.#arrival++, key);
    const value = this.#value;
    value.reset();
    writeRowColumns(memory, this.#batch!, this.shape, row, value);
    const bytes = key.at - key.from;
    if (value.inMemory) this.table.put(key.from, bytes, value.from, value.at - value.from);
    else this.table.putBytes(key.from, bytes, value.u8, value.from, value.at);
  }

  /** Before the rows whose windows are over at `until`. */
  rewind(until: number): void {
    this.#bound.reset();
    // A window is over when its last moment has passed.
    if (until < watermarkMax) writeKeyNumber(until + 2, this.#bound);
    this.#own.range(0, 0, this.#bound.from, this.#bound.at - this.#bound.from);
  }

  next(): boolean {
    return this.#own.next();
  }

  deleteCurrent(): void {
    this.#own.delete();
  }

  /** Rows that are placed from now on; those before may be written over. */
  batch(): Batch {
    this.#texts.reset();
    return batchOf(this.#spec.input, this.#context.batchRows, this.#columns);
  }

  /** Makes the current row row `row` of the batch. False: no room; the first always has. */
  place(row: number, first: boolean): boolean {
    const value = this.#own.value();
    const start = value.at;
    while (!readRowColumns(this.#context.memory, value, this.shape, this.#targets, row, this.#texts)) {
      value.at = start;
      if (!first) return false;
      this.#texts.grow(value.end - start);
    }
    return true;
  }

  /** Brings this side's cursor before the rows of the other side's current key. */
  probe(other: WindowSide): void {
    this.matches.prefix(other.#own.key, other.#own.keyBytes - 8);
  }
}
