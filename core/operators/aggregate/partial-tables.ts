/** The tables in which rows are reduced before they are exchanged: one, or one per slice of time. */
import { batchRowsMax } from '../../base/limits.ts';
import { sliceWorkBytes } from '../../ports/kernels-state.ts';
import type { GroupTable, SlicedTables } from '../../ports/state.ts';
import type { Batch } from '../../record/batch.ts';
import { type SlicedWindow, windowMath } from '../../time/windows.ts';
import type { AggregateSetup } from './setup.ts';

/** Rows of a batch that go to one table, that of a slice by its end. */
export interface Part {
  readonly table: GroupTable;
  readonly end: number | null;
  readonly rows: number;
  readonly count: number;
}

export interface Tables {
  readonly accumulatorOffset: number;
  readonly size: number;
  readonly pages: number;
  split(batch: Batch): Iterable<Part>;
  all(): Iterable<{ readonly table: GroupTable; readonly end: number | null }>;
  drop(table: GroupTable, end: number | null): void;
  /** Writes each row's slice end. */
  ends(batch: Batch, out: number): void;
}

export class OneTable implements Tables {
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
    return batch.size === 0 ? [] : [{ table: this.#table, end: null, rows: batch.selection, count: batch.size }];
  }
  all(): Iterable<{ readonly table: GroupTable; readonly end: number | null }> {
    return this.#table.pages > 0 ? [{ table: this.#table, end: null }] : [];
  }
  drop(table: GroupTable): void {
    table.clear();
  }
  ends(): void {}
}

export class TablesBySlice implements Tables {
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
      const end = (slice + 1) * this.#sliceMs + this.#offsetMs;
      yield { table: this.#slices.open(end), end, rows: bins === 1 ? batch.selection : this.#list + 4 * from, count };
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
