/**
 * OVER of rows that are taken back: all of them are kept, with the results that were told. A batch's rows come and go first; then
 * those whose frames have changed get their results again, and what is another is told: −U and +U, +I of a new row, −D of one
 * that went.
 */
import type { OrderedCursor } from '../../ports/state.ts';
import { type Batch, type Column, RowKindByte } from '../../record/batch.ts';
import type { Layout } from '../../record/layout.ts';
import { rowShape } from '../../record/row-columns.ts';
import { sameValue } from '../../record/same-value.ts';
import { waitForRoom } from '../join/parts.ts';
import { JoinRows, noRow } from '../join/rows.ts';
import { emitRows, Work } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress } from '../operator.ts';
import { ChangedKeys } from './changed-keys.ts';
import { Chunk } from './chunk.ts';
import { Frames } from './frames.ts';
import { keyTailBytes, type OverNode, OverRows } from './rows.ts';

export class ChangingOver implements Operator {
  readonly #node: OverNode;
  readonly #context: OperatorContext;
  readonly #results: Layout;
  readonly #rows: OverRows;
  readonly #chunk: Chunk;
  readonly #frames: Frames;
  readonly #carry: number;
  /** Rows that have gone, with what was told of them. */
  readonly #gone: JoinRows;
  readonly #changed: ChangedKeys;
  readonly #walk: OrderedCursor;
  readonly #keep: OrderedCursor;
  readonly #selection: number;
  readonly #kinds: number;
  readonly #work = new Work();

  constructor(node: OverNode, results: Layout, context: OperatorContext) {
    const { memory, batchRows, name } = context;
    this.#node = node;
    this.#context = context;
    this.#results = results;
    this.#rows = new OverRows(node, results, context);
    this.#chunk = new Chunk(this.#rows, results, context);
    this.#frames = new Frames(node, this.#rows, context);
    this.#carry = memory.arena.allocate(this.#frames.bytes, name);
    const leaves = this.#chunk.shown(this.#chunk.before).map((column) => this.#chunk.all.indexOf(column));
    const nobody = { leaves: [], shape: rowShape([], [], 0) };
    this.#gone = new JoinRows(context.outputs[0]!, [{ leaves, shape: this.#rows.shape }, nobody], batchRows, context);
    this.#gone.begin(null, 1);
    this.#changed = new ChangedKeys(context);
    this.#walk = this.#rows.table.cursor();
    this.#keep = this.#rows.table.cursor();
    this.#selection = memory.arena.allocate(4 * batchRows, name);
    this.#kinds = memory.arena.allocate(batchRows, name);
  }

  onBatch(batch: Batch, _port: number, out: Output): Progress {
    return batch.size === 0 ? Progress.done : this.#work.start(this.#consume(batch, out));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  *#consume(batch: Batch, out: Output): Generator<void> {
    const { memory, state } = this.#context;
    const rows = this.#rows;
    this.#changed.clear();
    rows.begin(batch);
    for (let k = 0; k < batch.size; k++) {
      const row = batch.selection === 0 ? k : (memory.u32[(batch.selection >>> 2) + k] as number);
      const kind = batch.kinds === 0 ? 0 : (memory.u8[batch.kinds + row] as number);
      if (state.reading) yield* waitForRoom(state, [rows.table]);
      rows.writeKey(batch, k, row);
      const { last, next } = rows.find(batch, row);
      if (kind === RowKindByte.insert || kind === RowKindByte.updateAfter) {
        // The number stands in the key when an equal row was found.
        if (last >= 0) rows.key.at -= 8;
        rows.put(batch, row, next);
      } else if (last >= 0) yield* this.#take(out);
      else {
        this.#context.counters.addSkipped(1);
        continue;
      }
      this.#changed.add(rows.key, rows.partitionBytes);
    }
    yield* this.#leave(out);
    this.#changed.sort();
    for (let at = 0; at < this.#changed.size; ) at = yield* this.#tellFrom(at, out);
  }

  /** The row that was found goes. */
  *#take(out: Output): Generator<void> {
    const { found } = this.#rows;
    if (this.#rows.isTold(found.value())) {
      while (!this.#gone.add(noRow, found.value(), RowKindByte.delete)) yield* this.#leave(out);
    }
    found.delete();
  }

  *#leave(out: Output): Generator<void> {
    if (this.#gone.size > 0 && out.emit(this.#gone.take()) === Progress.more) yield;
    this.#gone.reset();
  }

  /** Results of the rows that change `at`, and those that it runs into, have changed. Answers the next change. */
  *#tellFrom(at: number, out: Output): Generator<void, number> {
    const { frame } = this.#node;
    const changed = this.#changed;
    const { address, bytes, partitionBytes } = changed.at(at);
    // Peers before it have it in their frames as well.
    const from = frame.unit === 'rows' ? bytes : bytes - keyTailBytes;
    this.#walk.back(address, from, 0, partitionBytes);
    const chunk = this.#chunk;
    let next = at;
    let left = 0;
    let more = this.#walk.next();
    let isFirst = true;
    while (more) {
      chunk.reset();
      while (more) {
        if (frame.preceding === null) left = 1;
        else if (frame.unit === 'rows') {
          while (next < changed.size && changed.isOfPartition(next, at) && changed.compare(next, this.#walk) <= 0) {
            left = frame.preceding + (changed.compare(next, this.#walk) === 0 ? 1 : 0);
            next++;
          }
        } else {
          while (next < changed.size && changed.isOfPartition(next, at) && this.#isBefore(next)) next++;
          left = this.#frames.reaches(changed.at(next - 1), this.#walk) ? 1 : 0;
        }
        if (left === 0 || !chunk.add(this.#walk)) break;
        if (frame.unit === 'rows' && frame.preceding !== null) left--;
        more = this.#walk.next();
      }
      if (chunk.size === 0) break;
      if (frame.preceding === null && isFirst) {
        this.#frames.clear(this.#carry);
        this.#frames.addBefore(chunk, this.#carry);
      }
      isFirst = false;
      this.#frames.compute(chunk, this.#carry);
      yield* this.#tell(out);
      if (left === 0) break;
    }
    // A partition's end, or all of it: what else has changed there is told.
    if (frame.preceding === null) while (next < changed.size && changed.isOfPartition(next, at)) next++;
    return Math.max(next, at + 1);
  }

  /** Whether change `i` is in the place where the walk is, or before it. */
  #isBefore(i: number): boolean {
    return this.#changed.comparePlace(i, this.#walk) <= 0;
  }

  /** Says which results of the chunk's rows are others than before, and keeps them. */
  *#tell(out: Output): Generator<void> {
    const { memory, batchRows, state } = this.#context;
    const { u8, u32 } = memory;
    const chunk = this.#chunk;
    const selection = this.#selection >>> 2;
    const kept = chunk.kept();
    let size = 0;
    this.#keep.back(chunk.first.address, chunk.first.bytes, 0, chunk.partitionBytes);
    for (let row = 0; row < chunk.size; row++) {
      this.#keep.next();
      u8[this.#kinds + row] = noKind;
      if (chunk.told[row] === 1 && this.#isSame(row)) continue;
      if (state.reading) yield* waitForRoom(state, [this.#rows.table]);
      this.#rows.keepResults(kept, row, this.#keep);
      u8[this.#kinds + row] = chunk.told[row] === 1 ? RowKindByte.updateBefore : RowKindByte.insert;
      if (chunk.told[row] === 1) u32[selection + size++] = row;
    }
    yield* this.#emit(chunk.before, size, batchRows, out);
    size = 0;
    for (let row = 0; row < chunk.size; row++) {
      const kind = u8[this.#kinds + row] as number;
      if (kind === noKind) continue;
      if (kind === RowKindByte.updateBefore) u8[this.#kinds + row] = RowKindByte.updateAfter;
      u32[selection + size++] = row;
    }
    yield* this.#emit(chunk.results, size, batchRows, out);
  }

  #emit(results: readonly Column[], size: number, batchRows: number, out: Output): Generator<void> {
    const layout = this.#context.outputs[0]!;
    const columns = this.#chunk.shown(results);
    const rows = { layout, rowCount: this.#chunk.size, columns, kinds: this.#kinds };
    return emitRows(rows, this.#selection, size, batchRows, out);
  }

  #isSame(row: number): boolean {
    const { before, results } = this.#chunk;
    return this.#results.every(({ storage }, i) =>
      sameValue(this.#context.memory, storage, before[i]!, this.#nullable(results[i]!), row),
    );
  }

  /** A result that is never NULL, beside one of state, where it can be. */
  #nullable(column: Column): Column {
    if (column.validity !== 0) return column;
    if (this.#ones === 0) {
      this.#ones = this.#context.memory.arena.allocate((this.#context.batchRows >>> 3) + 8, this.#context.name);
      this.#context.memory.u8.fill(0xff, this.#ones, this.#ones + (this.#context.batchRows >>> 3) + 8);
    }
    return { ...column, validity: this.#ones };
  }
  #ones = 0;
}

const noKind = 0xff;
