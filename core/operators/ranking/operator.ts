/**
 * The first n rows by an order, of all rows or of each partition, where results are final: on ended input at its end, on
 * unbounded input of windows when event time has passed them. Rows that cannot be among the first any more are let go
 * in passing, so that about twice the rows of the result are kept. Results that change are updating.ts, and
 * ordered.ts where the rows themselves do.
 */
import { assert } from '../../base/assert.ts';
import { batchRowsMax } from '../../base/limits.ts';
import type { PhysicalNode, SortKey } from '../../plan/physical.ts';
import { type Batch, batch as batchOf } from '../../record/batch.ts';
import { arenaBlocks } from '../../record/blocks.ts';
import { readI64 } from '../../record/column-reader.ts';
import type { Layout } from '../../record/layout.ts';
import { type ColumnBuffer, columnBuffers, keptBatch } from '../../record/row-store.ts';
import type { RowValues } from '../../record/row-values.ts';
import { type Operator, type OperatorContext, type Output, Progress, watermarkMin } from '../operator.ts';
import { canDeduplicate, deduplicate } from './deduplicate.ts';
import { RowSaver } from './kept-rows.ts';
import { canOrder, orderedTopN } from './ordered.ts';
import { canPage, pagedTopN } from './paged.ts';
import { type Ranking, rankCodes, refuseChanges, withRank } from './ranking.ts';
import { Sorter } from './sorter.ts';
import { updatingTopN } from './updating.ts';

type TopNNode = Extract<PhysicalNode, { kind: 'topN' }>;

export function topNOperator(node: TopNNode, context: OperatorContext): Operator {
  if (node.keep) return deduplicate(node, context);
  const closing = node.windowEnd !== undefined && node.windowEnd !== null;
  if (context.bounded || closing) return boundedTopN(node, context);
  if (node.updating) return orderedTopN(node, context);
  const layout = context.inputs[0]!;
  if (node.phase === 'partial') return updatingTopN(node, context);
  if (canDeduplicate(node, layout)) return deduplicate(node, context);
  if (canPage(node, layout)) return pagedTopN(node, context);
  return canOrder(node, layout) ? orderedTopN(node, context) : updatingTopN(node, context);
}

/** Top n whose input ends, or whose partitions do (`windowEnd`). */
export function boundedTopN(spec: Ranking, context: OperatorContext): Operator {
  return new FinalTopN(spec, context);
}

/** What is being emitted: everything that is left, or the partitions whose window ends at or before a time. */
interface Leaving {
  readonly untilMs: number;
  readonly all: boolean;
}

class FinalTopN implements Operator {
  readonly #spec: Ranking;
  readonly #context: OperatorContext;
  readonly #layout: Layout;
  /** The one takes rows, the other takes over those that stay. */
  #rows: Kept;
  #spare: Kept;
  readonly #buffers: readonly ColumnBuffer[];
  /** Of a batch of kept rows, those within rank n: their ranks (u64) and their ids. */
  readonly #ranks: number;
  readonly #chosen: number;
  /** Where the chosen ones stood in their batch. */
  readonly #places: number[] = [];
  /** Entries and row numbers for the rows of an input batch. */
  readonly #entries: number;
  readonly #selection: number;
  /** Rows that stayed when rows were last let go. */
  #stayed = 0;
  /** The last row of the first n of all; a row behind it cannot be among them. −1: not known. */
  #last = -1;
  readonly #timeMs: { get(): number; set(value: number): void } | null;
  #leastEndMs = Number.POSITIVE_INFINITY;
  #leaving: Leaving | null = null;

  constructor(spec: Ranking, context: OperatorContext) {
    const { memory, batchRows, name } = context;
    this.#spec = spec;
    this.#context = context;
    this.#layout = context.inputs[0] ?? [];
    this.#rows = new Kept(spec, context);
    this.#spare = new Kept(spec, context);
    this.#buffers = columnBuffers(this.#layout, memory, batchRows, name);
    this.#ranks = memory.arena.allocate(batchRows * 8, name);
    this.#chosen = memory.arena.allocate(batchRows * 4, name);
    this.#entries = memory.arena.allocate(batchRowsMax * 16, name);
    this.#selection = memory.arena.allocate(batchRowsMax * 4, name);
    this.#timeMs = this.#windowEnd === null ? null : context.state.value('watermark', watermarkMin, Math.min);
    this.#restore(new RowSaver(spec.partitionBy, context));
  }

  get holdsToEnd(): boolean {
    return this.#context.bounded;
  }

  onBatch(batch: Batch): Progress {
    refuseChanges(batch, this.#context.name);
    const worth = this.#worthKeeping(batch);
    if (worth.size === 0) return Progress.done;
    this.#add(worth);
    if (this.#rows.sorter.rows >= this.#stayed * 2 + this.#slack) this.#letGo();
    return Progress.done;
  }

  onWatermark(timeMs: number, out: Output): Progress {
    if (!this.#timeMs) return Progress.done;
    this.#timeMs.set(Math.max(timeMs, this.#timeMs.get()));
    // No row at or before timeMs follows, and a window's last one is a millisecond before its end.
    if (this.#leastEndMs - 1 > timeMs) return Progress.done;
    return this.#leave({ untilMs: timeMs + 1, all: false }, out);
  }

  onEnd(out: Output): Progress {
    return this.#leave({ untilMs: Number.POSITIVE_INFINITY, all: true }, out);
  }

  /** One batch of kept rows a call: between two of them the runtime may look at the clock. */
  resume(out: Output): Progress {
    const leaving = this.#leaving;
    if (!leaving) return Progress.done;
    const { sorter } = this.#rows;
    const n = sorter.next(this.#context.batchRows);
    if (n === 0) {
      this.#swap();
      this.#leaving = null;
      if (leaving.all) for (const kept of [this.#rows, this.#spare]) kept.sorter.close();
      return Progress.done;
    }
    const closed = leaving.all ? n : this.#closedAmong(n, leaving.untilMs);
    const chosen = this.#choose(n);
    let emitted = 0;
    while (emitted < chosen && (this.#places[emitted] as number) < closed) emitted++;
    if (chosen > emitted) this.#stay(emitted, chosen - emitted);
    if (emitted > 0) {
      const batch = keptBatch(sorter.store, this.#chosen, emitted, this.#buffers);
      out.emit(withRank(batch, this.#context, this.#ranks));
    }
    return Progress.more;
  }

  get #windowEnd(): number | null {
    return this.#spec.windowEnd ?? null;
  }

  /** All rows are one partition of which n are wanted, whatever their ties. */
  get #isPlain(): boolean {
    return this.#spec.partitionBy.length === 0 && this.#spec.using === 'ROW_NUMBER';
  }

  get #slack(): number {
    return this.#isPlain ? plainSlackRows : slackRows;
  }

  #add(batch: Batch): void {
    const end = this.#windowEnd;
    if (end !== null) {
      const least = this.#context.kernels.leastI64(batch.columns[end]?.values ?? 0, batch.selection, batch.size);
      this.#leastEndMs = Math.min(this.#leastEndMs, Number(least));
    }
    this.#rows.sorter.add(batch);
  }

  #leave(leaving: Leaving, out: Output): Progress {
    this.#rows.begin();
    this.#leastEndMs = Number.POSITIVE_INFINITY;
    this.#leaving = leaving;
    return this.resume(out);
  }

  /** Leaves out what comes too late, and what cannot be among the first n. */
  #worthKeeping(batch: Batch): Batch {
    const inTime = this.#timeMs && !this.#context.bounded ? this.#inTime(batch, this.#timeMs.get()) : batch;
    if (this.#last < 0 || inTime.size === 0) return inTime;
    const n = this.#rows.sorter.notBehind(inTime, this.#last, this.#entries, this.#selection);
    return n === inTime.size ? inTime : selected(inTime, this.#selection, n);
  }

  #inTime(batch: Batch, timeMs: number): Batch {
    const { kernels, memory, counters } = this.#context;
    const ends = batch.columns[this.#windowEnd as number]?.values ?? 0;
    if (batch.size === 0 || Number(kernels.leastI64(ends, batch.selection, batch.size)) - 1 > timeMs) return batch;
    let n = 0;
    for (let k = 0; k < batch.size; k++) {
      const row = batch.selection === 0 ? k : (memory.u32[(batch.selection >>> 2) + k] as number);
      if (readI64(memory, ends + row * 8) - 1 <= timeMs) continue;
      memory.u32[(this.#selection >>> 2) + n++] = row;
    }
    counters.addLate(batch.size - n);
    return selected(batch, this.#selection, n);
  }

  /** Of the n ids at hand, in order of window end first: those whose window has ended. */
  #closedAmong(n: number, untilMs: number): number {
    const { memory } = this.#context;
    const end = this.#windowEnd as number;
    const { store, ids } = this.#rows.sorter;
    const columns = store.gather(ids, n, this.#buffers);
    const values = columns[end]?.values ?? 0;
    let closed = 0;
    while (closed < n && readI64(memory, values + closed * 8) <= untilMs) closed++;
    if (closed < n) this.#leastEndMs = Math.min(this.#leastEndMs, readI64(memory, values + closed * 8));
    return closed;
  }

  /** Of the n ids at hand, those within rank n: to `#chosen`, their ranks in front of `#ranks`. */
  #choose(n: number): number {
    const { memory } = this.#context;
    const { u32 } = memory;
    this.#rows.rank(n, this.#ranks);
    const ids = this.#rows.sorter.ids >>> 2;
    const ranks = this.#ranks >>> 2;
    let chosen = 0;
    for (let k = 0; k < n; k++) {
      const rank = readI64(memory, this.#ranks + k * 8);
      if (rank > this.#spec.n) continue;
      u32[(this.#chosen >>> 2) + chosen] = u32[ids + k] as number;
      u32[ranks + chosen * 2] = rank;
      u32[ranks + chosen * 2 + 1] = 0;
      this.#places[chosen] = k;
      chosen++;
    }
    return chosen;
  }

  /** `n` chosen rows from `first` on go over to the spare. */
  #stay(first: number, n: number): void {
    this.#spare.sorter.add(keptBatch(this.#rows.sorter.store, this.#chosen + first * 4, n, this.#buffers));
  }

  #letGo(): void {
    this.#rows.begin();
    for (;;) {
      const n = this.#rows.sorter.next(this.#context.batchRows);
      if (n === 0) break;
      const chosen = this.#choose(n);
      if (chosen > 0) this.#stay(0, chosen);
      if (this.#isPlain && this.#spare.sorter.rows === this.#spec.n) break;
    }
    this.#swap();
    // They were added in order: the last of them is the last of all.
    this.#last = this.#isPlain && this.#stayed === this.#spec.n ? this.#stayed - 1 : -1;
  }

  #swap(): void {
    const emptied = this.#rows;
    this.#rows = this.#spare;
    this.#spare = emptied;
    emptied.sorter.clear();
    this.#stayed = this.#rows.sorter.rows;
    this.#last = -1;
    if (this.#stayed === 0) this.#leastEndMs = Number.POSITIVE_INFINITY;
  }

  /** Kept rows are state. */
  #restore(saver: RowSaver): void {
    const saved = this.#context.state.keyed<RowValues[]>('rows', () => {
      assert(!this.#leaving, 'a snapshot comes between results');
      const { store } = this.#rows.sorter;
      return saver.save(store, store.everyId());
    });
    saver.restore(saved, (batch) => this.#add(batch));
  }
}

/** Rows in order of (window end,) partition and order, to be ranked as they are taken. */
class Kept {
  readonly sorter: Sorter;
  readonly #partition: number;
  readonly #order: number;
  readonly #using: number;
  /** Where the last batch's ranking ended (kernels/assembly/sort.ts, rankKept). */
  readonly #state: number;
  readonly #context: OperatorContext;

  constructor(spec: Ranking, context: OperatorContext) {
    const { memory, kernels, batchRows, name } = context;
    const partition: SortKey[] = spec.partitionBy
      .filter((column) => column !== spec.windowEnd)
      .map((column) => ({ column, descending: false }));
    // The window's end first: what is closed leaves first.
    if (spec.windowEnd != null) partition.unshift({ column: spec.windowEnd, descending: false });
    const blocks = context.blocks ?? arenaBlocks(memory.arena);
    const by = [...partition, ...spec.by];
    this.sorter = new Sorter({ layout: context.inputs[0] ?? [], by, memory, kernels, blocks, name, batchRows });
    this.#partition = this.sorter.store.describeOrder(partition);
    this.#order = this.sorter.store.describeOrder(spec.by);
    this.#using = rankCodes[spec.using];
    this.#state = memory.arena.allocate(24, name);
    this.#context = context;
  }

  begin(): void {
    this.#context.memory.u32[this.#state >>> 2] = noRow;
    this.sorter.begin();
  }

  /** Ranks of the n rows that the sorter gave last: u64 each to `ranks`. */
  rank(n: number, ranks: number): void {
    const { kernels } = this.#context;
    kernels.rankKept(this.sorter.ids, n, this.#partition, this.#order, this.#using, this.#state, ranks);
  }
}

function selected(of: Batch, selection: number, size: number): Batch {
  return batchOf(of.layout, of.rowCount, of.columns, { selection, size, origin: of.origin });
}

const noRow = 0xffffffff;
/** Rows beyond twice those that stayed, before rows are let go again. */
const slackRows = 16_384;
/** Of all rows the first n are soon known, and then most others are not even kept. */
const plainSlackRows = 1024;
