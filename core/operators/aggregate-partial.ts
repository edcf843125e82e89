/**
 * Reduces rows before they are exchanged: groups in a table that stays small, emitted as partial results when it is full
 * and at every flush; of a window, when event time passes their slice: no window that they belong to can fire before.
 * Where that does not reduce, rows pass as partial results of their own, and it is tried again later. Holds nothing
 * across a barrier.
 */

import { batchRowsMax } from '../base/limits.ts';
import type { AggregateUpdater } from '../compile/aggregate.ts';
import { sliceWorkBytes } from '../ports/kernels-state.ts';
import type { GroupTable, SlicedTables } from '../ports/state.ts';
import { type Batch, batch as batchOf, type Column } from '../record/batch.ts';
import { isComplete, type SlicedWindow, windowMath } from '../time/windows.ts';
import { emitRows, resolveRows, resultColumns, Work } from './aggregate-parts.ts';
import { type AggregateNode, type AggregateSetup, aggregateSetup, resolveGroup } from './aggregate-setup.ts';
import { type Operator, type OperatorContext, type Output, Progress, watermarkMax } from './operator.ts';

/**
 * The tables are emitted when they hold this many pages (4 MB). More than the second-level cache holds, and better: to
 * send ten thousand groups of string keys again and again cost twice what the misses do.
 */
const pagesMax = 256;
/** New groups per row above which grouping first costs more than it saves; judged after every so many rows. */
const reducesBelow = 0.3;
const judgedRows = 65_536;
/** Rows that pass before grouping is tried again. */
const passedRows = 1_048_576;

export class PartialAggregate implements Operator {
  readonly #setup: AggregateSetup;
  readonly #tables: Tables;
  readonly #updater: AggregateUpdater;
  readonly #results: Column[];
  readonly #partials: Column[];
  readonly #work = new Work();
  /** Since it was last judged: rows, groups that left, and the groups there were then. */
  #rows = 0;
  #left = 0;
  #before = 0;
  #toPass = 0;

  constructor(node: AggregateNode, context: OperatorContext) {
    this.#setup = aggregateSetup(node, context, { marked: false });
    this.#tables = node.window === null ? new OneTable(this.#setup) : new TablesBySlice(this.#setup);
    this.#updater = this.#setup.updater(this.#tables.accumulatorOffset);
    const layout = context.outputs[0]!;
    const keys = node.keys.length;
    this.#results = resultColumns(layout, context.batchRows, context);
    this.#partials = resultColumns(layout.slice(keys), batchRowsMax, context);
  }

  onBatch(batch: Batch, _port: number, out: Output): Progress {
    return this.#work.start(this.#toPass > 0 ? this.#pass(batch, out) : this.#group(batch, out));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  /** Groups and windows of bounded input have their results at its end. */
  get holdsToEnd(): boolean {
    return this.#setup.context.bounded;
  }

  flush(out: Output): Progress {
    return this.#work.start(this.#emit(out, watermarkMax));
  }

  flushUntil(timeMs: number, out: Output): Progress {
    // Before parking: nobody needs them yet.
    if (this.holdsToEnd && timeMs !== watermarkMax) return Progress.done;
    return this.#work.start(this.#emit(out, timeMs));
  }

  onEnd(out: Output): Progress {
    return this.flush(out);
  }

  *#group(batch: Batch, out: Output): Generator<void> {
    const setup = this.#setup;
    this.#rows += batch.size;
    for (const part of this.#tables.split(batch)) {
      setup.target = part.table;
      if (setup.texts) part.table.reclaim();
      if (setup.node.keys.length === 0) {
        const group = yield* resolveGroup(setup, part.table, batch);
        this.#updater.updateOne(batch, part.rows, part.count, group);
        continue;
      }
      yield* resolveRows(part.table, batch, setup.node.keys, part.rows, part.count, setup, (rows, count) =>
        this.#updater.update(batch, rows, count, setup.entries),
      );
    }
    if (this.#rows >= judgedRows) {
      const created = this.#tables.size + this.#left - this.#before;
      if (created > reducesBelow * this.#rows) {
        this.#toPass = passedRows;
        yield* this.#emit(out, watermarkMax);
      }
      this.#rows = 0;
      this.#left = 0;
      this.#before = this.#tables.size;
    }
    if (this.#tables.pages > pagesMax || this.#tables.pages > setup.state.totalPages / 4)
      yield* this.#emit(out, watermarkMax);
  }

  /** Each row a partial result of its own: key columns by reference, partial columns computed at the row's own number. */
  *#pass(batch: Batch, out: Output): Generator<void> {
    const { node, context, identity } = this.#setup;
    this.#toPass -= batch.size;
    const calls = this.#partials.slice(node.window === null ? 0 : 1);
    this.#updater.partialFromRows(batch, 0, batch.rowCount, calls);
    if (node.window !== null) this.#tables.ends(batch, (this.#partials[0] as Column).values);
    const columns = [...node.keys.map((key) => batch.columns[key] as Column), ...this.#partials];
    const rows = { layout: context.outputs[0]!, rowCount: batch.rowCount, columns, kinds: 0 };
    yield* emitRows(rows, batch.selection || identity, batch.size, context.batchRows, out);
  }

  /** Emits all groups but those of slices that event time has not passed at `timeMs`. */
  *#emit(out: Output, timeMs: number): Generator<void> {
    const { context, node, entries } = this.#setup;
    const layout = context.outputs[0]!;
    const keys = node.keys.length;
    const partialsFrom = keys + (node.window === null ? 0 : 1);
    for (const { table, end } of this.#tables.all()) {
      if (end !== null && !isComplete(end, timeMs)) continue;
      this.#left += table.size;
      for (let n = table.drain(entries, context.batchRows); n > 0; n = table.drain(entries, context.batchRows)) {
        for (let i = 0; i < keys; i++) {
          const column = this.#results[i] as Column;
          table.readKey(i, entries, n, column.values, column.validity);
        }
        if (end !== null) {
          const from = (this.#results[keys] as Column).values >>> 3;
          context.memory.i64.fill(BigInt(end), from, from + n);
        }
        this.#updater.exportPartial(entries, n, this.#results.slice(partialsFrom));
        if (out.emit(batchOf(layout, n, this.#results)) === Progress.more) yield;
      }
      this.#tables.drop(table, end);
    }
  }
}

/** Rows of a batch that go to one table. */
interface Part {
  readonly table: GroupTable;
  readonly rows: number;
  readonly count: number;
}

interface Tables {
  readonly accumulatorOffset: number;
  readonly size: number;
  readonly pages: number;
  split(batch: Batch): Iterable<Part>;
  all(): Iterable<{ readonly table: GroupTable; readonly end: number | null }>;
  drop(table: GroupTable, end: number | null): void;
  /** Writes each row's slice end. */
  ends(batch: Batch, out: number): void;
}

class OneTable implements Tables {
  readonly #table: GroupTable;
  constructor(setup: AggregateSetup) {
    this.#table = setup.state.groups(setup.decl('partial'));
  }
  get accumulatorOffset(): number {
    return this.#table.accumulatorOffset;
  }
  get size(): number {
    return this.#table.size;
  }
  get pages(): number {
    return this.#table.pages;
  }
  split(batch: Batch): Iterable<Part> {
    return batch.size === 0 ? [] : [{ table: this.#table, rows: batch.selection, count: batch.size }];
  }
  all(): Iterable<{ readonly table: GroupTable; readonly end: number | null }> {
    return this.#table.pages > 0 ? [{ table: this.#table, end: null }] : [];
  }
  drop(table: GroupTable): void {
    table.clear();
  }
  ends(): void {}
}

class TablesBySlice implements Tables {
  readonly #setup: AggregateSetup;
  readonly #slices: SlicedTables;
  readonly #sliceMs: number;
  readonly #offsetMs: number;
  readonly #work: number;
  readonly #list: number;

  constructor(setup: AggregateSetup) {
    const { context, node } = setup;
    const math = windowMath(node.window as SlicedWindow);
    this.#setup = setup;
    this.#sliceMs = math.sliceMs;
    this.#offsetMs = math.offsetMs % math.sliceMs;
    this.#slices = setup.state.slices(setup.decl('partial'));
    this.#work = context.memory.arena.allocate(sliceWorkBytes, `slices of ${context.name}`);
    this.#list = context.memory.arena.allocate(4 * batchRowsMax, `slices of ${context.name}`);
  }
  get accumulatorOffset(): number {
    return this.#slices.accumulatorOffset;
  }
  get size(): number {
    let size = 0;
    for (const end of this.#slices.slices()) size += this.#slices.get(end)!.size;
    return size;
  }
  get pages(): number {
    let pages = 0;
    for (const end of this.#slices.slices()) pages += this.#slices.get(end)!.pages;
    return pages;
  }
  *split(batch: Batch): Iterable<Part> {
    const { kernels, memory } = this.#setup.context;
    const times = batch.columns[this.#setup.node.time!]!.values;
    const bins = kernels.partitionSlices(
      times,
      batch.selection,
      batch.size,
      BigInt(this.#offsetMs),
      BigInt(this.#sliceMs),
      this.#work,
      this.#list,
    );
    for (let b = 0; b < bins; b++) {
      const slice = Number(memory.i64[(this.#work >>> 3) + 2 * b]);
      const from = memory.u32[(this.#work >>> 2) + 4 * b + 2] as number;
      const count = memory.u32[(this.#work >>> 2) + 4 * b + 3] as number;
      const table = this.#slices.open((slice + 1) * this.#sliceMs + this.#offsetMs);
      yield { table, rows: bins === 1 ? batch.selection : this.#list + 4 * from, count };
    }
  }
  *all(): Iterable<{ readonly table: GroupTable; readonly end: number | null }> {
    for (const end of [...this.#slices.slices()]) yield { table: this.#slices.get(end)!, end };
  }
  drop(_table: GroupTable, end: number | null): void {
    this.#slices.drop(end!);
  }
  ends(batch: Batch, out: number): void {
    const times = batch.columns[this.#setup.node.time!]!.values;
    this.#setup.context.kernels.sliceEnds(
      times,
      batch.selection,
      batch.size,
      BigInt(this.#offsetMs),
      BigInt(this.#sliceMs),
      out,
    );
  }
}
