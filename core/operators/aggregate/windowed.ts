/**
 * Tumbling and hopping event-time windows. Rows are kept by time slice (core/time/windows.ts), so closing a window drops
 * whole pages and no key has a timer. A tumbling window is one slice; a hopping one merges its slices when it fires,
 * part by part of the hashes, in a table that stays small. With allowed lateness, fired windows stay whole and tell their
 * changes; without, tumbling ones are drained as they are emitted, so that what is still to fire is what is still in state.
 */

import { batchRowsMax } from '../../base/limits.ts';
import { rowsField } from '../../compile/accumulators.ts';
import type { AggregateUpdater } from '../../compile/aggregate.ts';
import { sliceWorkBytes } from '../../ports/kernels-state.ts';
import type { GroupTable, SlicedTables } from '../../ports/state.ts';
import { type Batch, batch as batchOf, type Column } from '../../record/batch.ts';
import { isComplete, isOver, type SlicedWindow, type WindowMath, windowMath } from '../../time/windows.ts';
import { emitRows, resolveRows, resultColumns, Work, waitForPages } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress, watermarkMax, watermarkMin } from '../operator.ts';
import { Changes } from './changes.ts';
import { type AggregateNode, type AggregateSetup, aggregateSetup } from './setup.ts';

/** Chunks of a batch's size that are merged before the runtime may look at the clock. */
const mergedChunks = 32;
/** Entries of all slices that are merged at once where the window leaves at once: few enough to stay in the cache. */
const mergedEntries = 6144;

export class WindowedAggregate implements Operator {
  readonly #setup: AggregateSetup;
  readonly #math: WindowMath;
  readonly #latenessMs: number;
  /** Rows are in the windows in which they arrive. */
  readonly #byClock: boolean;
  /**
   * By slice end: what rows add up to. By the clock: by window end. Clocks of two slots do not move together, so a restore
   * that brings their rows together must tell from these alone what has fired.
   */
  readonly #slices: SlicedTables;
  /** By window end: what slices add up to, while it fires and, with allowed lateness, until it is over. Hopping only. */
  readonly #windows: SlicedTables | null;
  readonly #updater: AggregateUpdater;
  readonly #changes: Changes | null;
  readonly #watermark: { get(): number; set(value: number): void };
  /** End of the last window that fired. */
  readonly #fired: { get(): number; set(value: number): void };
  readonly #results: Column[];
  readonly #bins: number;
  readonly #list: number;
  readonly #merged: number;
  /** Of partial results: the column that counts the rows they stand for, where the plan has one. */
  readonly #rowsColumn: number | null;
  readonly #work = new Work();
  /** Merged so far. */
  #chunks = 0;
  /** The window whose bounds stand in the first so many rows of the results. */
  #bounded = { end: Number.NaN, rows: 0 };

  constructor(node: AggregateNode, context: OperatorContext) {
    this.#math = windowMath(node.window as SlicedWindow);
    this.#byClock = node.window!.time === 'processing';
    this.#latenessMs = context.bounded ? 0 : node.allowedLatenessMs;
    const corrects = this.#latenessMs > 0;
    const rows = node.phase === 'final' ? rowsField(node.calls) : null;
    this.#rowsColumn = rows === null ? null : node.keys.length + 1 + rows;
    this.#setup = aggregateSetup(node, context, { marked: corrects });
    const { state, memory } = context;
    this.#slices = state.slices(this.#setup.decl('slices'));
    this.#windows =
      this.#byClock || this.#math.sliceMs === this.#math.sizeMs ? null : state.slices(this.#setup.decl('windows'));
    this.#updater = this.#setup.updater(this.#slices.accumulatorOffset);
    this.#changes = corrects ? new Changes(this.#setup, this.#updater, this.#slices.accumulatorOffset) : null;
    this.#watermark = state.value('watermark', watermarkMin, Math.min);
    this.#fired = state.value('fired', watermarkMin, Math.min);
    this.#results = resultColumns(context.outputs[0]!, context.batchRows, context);
    this.#bins = memory.arena.allocate(sliceWorkBytes, `slices of ${context.name}`);
    this.#list = memory.arena.allocate(4 * batchRowsMax, `slices of ${context.name}`);
    this.#merged = memory.arena.allocate(4 * (batchRowsMax + 1), `merged entries of ${context.name}`);
  }

  onBatch(batch: Batch, _port: number, out: Output): Progress {
    return batch.size === 0 ? Progress.done : this.#work.start(this.#consume(batch, out));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  /** Entries leave their table as they are emitted; what merges slices, or keeps fired windows, would tell them twice. */
  get firesFromState(): boolean {
    return this.#windows === null && this.#changes === null;
  }

  /** No row of bounded input is late: its windows close when it ends. The clock goes on also there. */
  get holdsToEnd(): boolean {
    return this.#setup.context.bounded && !this.#byClock;
  }

  /** Windows by the clock that are open when all input has ended close then. */
  onWatermark(timeMs: number, out: Output): Progress {
    if (timeMs <= this.#watermark.get() || (this.#byClock && timeMs !== watermarkMax)) return Progress.done;
    this.#watermark.set(timeMs);
    return this.#work.start(this.#fire(out));
  }

  onProcessingTime(nowMs: number, out: Output): Progress {
    if (!this.#byClock) return Progress.done;
    this.#watermark.set(Math.max(this.#watermark.get(), nowMs - 1));
    return this.#work.start(this.#fire(out));
  }

  /** The end of the first window that has rows. */
  get nextProcessingTimeMs(): number | null {
    if (!this.#byClock) return null;
    if (this.#next === undefined) this.#next = this.#firstWindow();
    return this.#next;
  }
  #next: number | null | undefined = undefined;

  onEnd(out: Output): Progress {
    return this.onWatermark(watermarkMax, out);
  }

  // ── rows in ────────────────────────────────────────────────────────────────────────────────────────────────

  *#consume(batch: Batch, out: Output): Generator<void> {
    const { context, node } = this.#setup;
    const { kernels, memory } = context;
    const { sliceMs, offsetMs } = this.#math;
    if (this.#setup.texts) this.#reclaim();
    if (this.#byClock) {
      // A clock that was set back does not open windows that have closed.
      const nowMs = Math.max(context.nowMs!(), this.#watermark.get() + 1);
      this.#next = undefined;
      const end = this.#math.sliceEnd(nowMs);
      const last = this.#math.lastWindowEnd(end) ?? Number.NEGATIVE_INFINITY;
      for (let window = this.#math.firstWindowEnd(end) ?? 0; window <= last; window += this.#math.slideMs)
        yield* this.#addRows(this.#slices.open(window), batch, batch.selection, batch.size, null, out);
      return;
    }
    // `final` gets slice ends: a slice holds the moments before its end.
    const offset = (offsetMs % sliceMs) + (node.phase === 'final' ? 1 : 0);
    const times = batch.columns[node.time!]!.values;
    const bins = kernels.partitionSlices(
      times,
      batch.selection,
      batch.size,
      BigInt(offset),
      BigInt(sliceMs),
      this.#bins,
      this.#list,
    );
    const rows = bins === 1 ? batch.selection : this.#list;
    for (let b = 0; b < bins; b++) {
      const slice = Number(memory.i64[(this.#bins >>> 3) + 2 * b]);
      const from = memory.u32[(this.#bins >>> 2) + 4 * b + 2] as number;
      const count = memory.u32[(this.#bins >>> 2) + 4 * b + 3] as number;
      const end = (slice + 1) * sliceMs + (offsetMs % sliceMs);
      const last = this.#math.lastWindowEnd(end);
      // A slide longer than the size leaves moments that no window holds.
      if (last === null) continue;
      const list = rows === 0 ? 0 : rows + 4 * from;
      if (!context.bounded && isOver(last, this.#latenessMs, this.#watermark.get())) {
        context.counters.addLate(this.#rowsIn(batch, list, count));
        yield* emitRows(batch, list || this.#setup.identity, count, context.batchRows, out, 1);
      } else yield* this.#addToSlice(batch, list, count, end, out);
    }
  }

  /** Rows that `count` rows of the input stand for: themselves, or, as partial results, what they counted. */
  #rowsIn(batch: Batch, list: number, count: number): number {
    if (this.#rowsColumn === null) return count;
    const { u32, i64 } = this.#setup.context.memory;
    const values = batch.columns[this.#rowsColumn]!.values >>> 3;
    let rows = 0;
    for (let i = 0; i < count; i++) rows += Number(i64[values + (list === 0 ? i : u32[(list >>> 2) + i]!)]);
    return rows;
  }

  *#addToSlice(batch: Batch, rows: number, count: number, end: number, out: Output): Generator<void> {
    if (this.#windows === null) {
      const fired = this.#changes !== null && isComplete(end, this.#watermark.get());
      yield* this.#addRows(this.#slices.open(end), batch, rows, count, fired ? end : null, out);
      return;
    }
    const watermark = this.#watermark.get();
    const last = this.#math.lastWindowEnd(end)!;
    if (this.#changes) {
      for (
        let window = this.#math.firstWindowEnd(end)!;
        window <= last && isComplete(window, watermark);
        window += this.#math.slideMs
      ) {
        if (isOver(window, this.#latenessMs, watermark)) continue;
        yield* this.#addRows(this.#windows.open(window), batch, rows, count, window, out);
      }
    }
    if (!isComplete(last, watermark)) yield* this.#addRows(this.#slices.open(end), batch, rows, count, null, out);
  }

  /** `window`: the end of the fired window that the table is, whose changes are told. */
  *#addRows(
    table: GroupTable,
    batch: Batch,
    rows: number,
    n: number,
    window: number | null,
    out: Output,
  ): Generator<void> {
    const setup = this.#setup;
    const { entries } = setup;
    yield* resolveRows(table, batch, setup.node.keys, rows, n, setup, (from, count) => {
      setup.target = table;
      const update = (): void => setup.add(this.#updater, batch, from, count, entries);
      if (window !== null) {
        const fill = (fixed: readonly Column[], changed: number): void =>
          this.#fillWindow(fixed[0]!, fixed[1]!, fixed[2], window, changed);
        return this.#changes!.run(table, entries, count, update, true, fill, out);
      }
      this.#changes?.mark(entries, count);
      update();
    });
  }

  // ── windows out ────────────────────────────────────────────────────────────────────────────────────────────

  *#fire(out: Output): Generator<void> {
    this.#next = undefined;
    for (let end = this.#nextWindow(); end !== null; end = this.#nextWindow()) {
      if (this.#setup.texts) this.#reclaim();
      if (this.#windows === null) yield* this.#emitWindow(this.#slices, end, out);
      else if (this.#changes === null) yield* this.#emitMerged(this.#windows, end, out);
      else {
        yield* this.#mergeInto(this.#windows.open(end), this.#slicesOf(end));
        yield* this.#emitWindow(this.#windows, end, out);
      }
      this.#fired.set(end);
      this.#setup.context.counters.addClosed(1);
      // Slices go as soon as no window needs them, so that a long firing gives its memory back on the way.
      for (const slice of this.#overdue(this.#slices)) {
        if (this.#windows !== null && this.#math.lastWindowEnd(slice)! <= end) this.#slices.drop(slice);
      }
    }
    const watermark = this.#watermark.get();
    // Complete windows without rows have fired too: what still comes for them is told as a change.
    this.#fired.set(Math.max(this.#fired.get(), Math.min(watermark, watermarkMax - 1) + 1));
    for (const slice of this.#overdue(this.#slices)) {
      const last = this.#math.lastWindowEnd(slice)!;
      if (this.#windows === null ? isOver(last, this.#latenessMs, watermark) : isComplete(last, watermark))
        this.#slices.drop(slice);
    }
    if (this.#windows !== null) {
      for (const window of this.#overdue(this.#windows)) {
        if (isOver(window, this.#latenessMs, watermark)) this.#windows.drop(window);
      }
    }
  }

  /** Tables whose own end has passed; a copy, so that they can be dropped on the way. */
  #overdue(tables: SlicedTables): number[] {
    const watermark = this.#watermark.get();
    return tables.slices().filter((end) => isComplete(end, watermark));
  }

  /** The end of the first window that is complete, has rows and has not fired; null: none. */
  #nextWindow(): number | null {
    const next = this.#firstWindow();
    return next !== null && isComplete(next, this.#watermark.get()) ? next : null;
  }

  /** The end of the first window that has rows and has not fired. */
  #firstWindow(): number | null {
    if (this.#byClock) return this.#slices.slices()[0] ?? null;
    const { sizeMs, slideMs } = this.#math;
    const fired = this.#fired.get();
    let next: number | null = null;
    for (const slice of this.#slices.slices()) {
      let end = this.#math.firstWindowEnd(slice)!;
      if (end <= fired) end += Math.ceil((fired - end + 1) / slideMs) * slideMs;
      if (end > this.#math.lastWindowEnd(slice)!) continue;
      if (next === null || end < next) next = end;
      // Slices ascend: those behind this window's end cannot have an earlier one.
      if (next !== null && slice - sizeMs >= next) break;
    }
    return next;
  }

  /** The slices that a window consists of, each with where its walk stands. */
  #slicesOf(end: number): Walk[] {
    return this.#slices
      .slices()
      .filter((slice) => slice > end - this.#math.sizeMs && slice <= end)
      .map((slice) => ({ table: this.#slices.get(slice)!, cursor: { at: 0 } }));
  }

  /**
   * A window that nobody corrects, part by part: the same part of all hashes of each slice is merged and emitted before
   * the next, so that the table they are merged in stays small however many keys there are.
   */
  *#emitMerged(windows: SlicedTables, end: number, out: Output): Generator<void> {
    const slices = this.#slicesOf(end);
    const entries = slices.reduce((sum, { table }) => sum + table.size, 0);
    const wanted = Math.ceil(Math.log2(Math.max(1, entries / mergedEntries)));
    const depth = slices.reduce((least, { table }) => Math.min(least, table.evenDepth), wanted);
    for (let index = 0; index < 2 ** depth; index++) {
      yield* this.#mergeInto(windows.open(end, { depth, index }), slices, (index + 1) / 2 ** depth);
      yield* this.#emitWindow(windows, end, out);
    }
  }

  *#mergeInto(window: GroupTable, slices: readonly Walk[], until = 1): Generator<void> {
    const setup = this.#setup;
    const { entries, state } = setup;
    setup.target = window;
    for (const { table, cursor } of slices) {
      const next = (): number => table.scan(cursor, entries, batchRowsMax, until);
      for (let n = next(); n > 0; n = next()) {
        for (let done = 0; done < n; ) {
          const count = window.absorb(entries + 4 * done, n - done, this.#merged);
          this.#updater.mergeEntries(entries + 4 * done, this.#merged, count);
          this.#changes?.mark(this.#merged, count);
          done += count;
          if (done < n) yield* waitForPages(window.stop, state);
        }
        if (++this.#chunks % mergedChunks === 0) yield;
      }
    }
  }

  *#emitWindow(tables: SlicedTables, end: number, out: Output): Generator<void> {
    const table = tables.get(end);
    if (table === null) return;
    const { context, node, entries } = this.#setup;
    const layout = context.outputs[0]!;
    const keys = node.keys.length;
    const keeps = this.#changes !== null && !isOver(end, this.#latenessMs, this.#watermark.get());
    const cursor = { at: 0 };
    const next = (): number =>
      keeps ? table.scan(cursor, entries, context.batchRows) : table.drain(entries, context.batchRows);
    for (let n = next(); n > 0; n = next()) {
      for (let i = 0; i < keys; i++) {
        const column = this.#results[i] as Column;
        table.readKey(i, entries, n, column.values, column.validity);
      }
      this.#updater.finish(entries, n, this.#results.slice(keys + 2, keys + 2 + node.calls.length));
      if (this.#bounded.end !== end || this.#bounded.rows < n) {
        const rowtime = this.#results[keys + 2 + node.calls.length];
        this.#fillWindow(this.#results[keys]!, this.#results[keys + 1]!, rowtime, end, n);
        this.#bounded = { end, rows: n };
      }
      if (out.emit(batchOf(layout, n, this.#results)) === Progress.more) yield;
    }
    if (!keeps) tables.drop(end);
  }

  /** Window start, window end and event time (end − 1 ms) of n rows. */
  #fillWindow(start: Column, endColumn: Column, rowtime: Column | undefined, end: number, n: number): void {
    const { i64, u8 } = this.#setup.context.memory;
    const fill = (column: Column, value: number): void => {
      i64.fill(BigInt(value), column.values >>> 3, (column.values >>> 3) + n);
      if (column.validity !== 0) u8.fill(0xff, column.validity, column.validity + ((n + 7) >>> 3));
    };
    fill(start, end - this.#math.sizeMs);
    fill(endColumn, end);
    if (rowtime) fill(rowtime, end - 1);
  }

  #reclaim(): void {
    for (const tables of [this.#slices, this.#windows]) {
      if (tables) for (const end of tables.slices()) tables.get(end)!.reclaim();
    }
  }
}

/** A slice on its way into a window, and how far it has come. */
interface Walk {
  readonly table: GroupTable;
  readonly cursor: { at: number };
}
