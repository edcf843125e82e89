/**
 * Reduces rows before they are exchanged: groups in a table that stays small, emitted as partial results when it is full
 * and at every flush; of a window, when event time passes their slice: no window that they belong to can fire before.
 * Where that does not reduce, rows pass as partial results of their own, and it is tried again later. Holds nothing
 * across a barrier.
 */

import { batchRowsMax } from '../../base/limits.ts';
import type { AggregateUpdater } from '../../compile/aggregate.ts';
import { type Batch, batch as batchOf, type Column } from '../../record/batch.ts';
import { isComplete } from '../../time/windows.ts';
import { emitRows, resolveRows, resultColumns, Work } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress, watermarkMax } from '../operator.ts';
import { OneTable, type Tables, TablesBySlice } from './partial-tables.ts';
import { type AggregateNode, type AggregateSetup, aggregateSetup, resolveGroup } from './setup.ts';

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
