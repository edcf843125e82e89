/**
 * Rows that are to equal the maximum of their window, as the winners of each window are asked for: once a greater one has
 * come, a row can equal it no more, and the join behind need not keep it. The greatest so far of each slice and group is
 * known here, of this subtask's rows alone; that lets more rows pass than can match, never fewer. What is known may be
 * forgotten at any time: at barriers, so that it is in no checkpoint, and when it outgrows its room. Only event time lasts.
 */
import { batchRowsMax } from '../../base/limits.ts';
import type { AggregateUpdater } from '../../compile/aggregate.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import { type Batch, batch as batchOf, type Column } from '../../record/batch.ts';
import type { StorageKind } from '../../record/layout.ts';
import { isComplete } from '../../time/windows.ts';
import { resolveRows, resultColumns, Work } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress, watermarkMin } from '../operator.ts';
import { type Part, TablesBySlice } from './partial-tables.ts';
import { type AggregateSetup, aggregateSetup, resolveGroup } from './setup.ts';

type DynamicFilterNode = Extract<PhysicalNode, { kind: 'dynamicFilter' }>;

/** 4 MB of groups; more are forgotten. */
const pagesMax = 256;
/** More rows than this share pass: it costs more than it saves. Judged after every so many rows. */
const passesBelow = 0.7;
const judgedRows = 65_536;
/** Rows that pass before it is tried again. */
const passedRows = 1_048_576;

export function dynamicFilterOperator(node: DynamicFilterNode, context: OperatorContext): Operator {
  return new DynamicFilter(node, context);
}

class DynamicFilter implements Operator {
  readonly #setup: AggregateSetup;
  readonly #tables: TablesBySlice;
  readonly #updater: AggregateUpdater;
  /** What each row at hand is compared with, densely. */
  readonly #extreme: Column;
  readonly #arg: number;
  readonly #storage: StorageKind;
  readonly #selection: number;
  readonly #work = new Work();
  /** Lasts: what was late before a crash is late after it. */
  readonly #watermark: { get(): number; set(value: number): void };
  #seen = 0;
  #passed = 0;
  #toPass = 0;

  constructor(node: DynamicFilterNode, context: OperatorContext) {
    const { keys, call, window, time } = node;
    const aggregate = {
      kind: 'aggregate',
      phase: 'partial',
      keys,
      calls: [call],
      window,
      time,
      allowedLatenessMs: 0,
    } as const;
    this.#setup = aggregateSetup(aggregate, context, { marked: false });
    this.#tables = new TablesBySlice(this.#setup);
    this.#updater = this.#setup.updater(this.#tables.accumulatorOffset);
    this.#arg = call.arg!;
    const column = context.inputs[0]![this.#arg]!;
    this.#storage = column.storage;
    this.#extreme = resultColumns([{ ...column, nullable: true }], batchRowsMax, context)[0]!;
    this.#watermark = context.state.value('watermark', watermarkMin, Math.min);
    this.#selection = context.memory.arena.allocate(4 * batchRowsMax, `rows that pass ${context.name}`);
  }

  onBatch(batch: Batch, _port: number, out: Output): Progress {
    if (batch.size === 0) return Progress.done;
    if (this.#toPass > 0) {
      this.#toPass -= batch.size;
      return out.emit(batch);
    }
    return this.#work.start(this.#filter(batch, out));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  onWatermark(timeMs: number): Progress {
    this.#watermark.set(timeMs);
    for (const { table, end } of this.#tables.all()) if (isComplete(end!, timeMs)) this.#tables.drop(table, end);
    return Progress.done;
  }

  flush(): Progress {
    for (const { table, end } of this.#tables.all()) this.#tables.drop(table, end);
    return Progress.done;
  }

  /** Nothing waits here. */
  flushUntil(): Progress {
    return Progress.done;
  }

  *#filter(batch: Batch, out: Output): Generator<void> {
    const { memory } = this.#setup.context;
    let kept = 0;
    let parts = 0;
    for (const part of this.#tables.split(batch)) {
      const late = isComplete(part.end!, this.#watermark.get());
      kept += late ? this.#late(part, kept) : yield* this.#greatest(batch, part, kept);
      parts++;
    }
    const first = this.#selection >>> 2;
    if (parts > 1) memory.u32.subarray(first, first + kept).sort();
    this.#judge(batch.size, kept);
    const { layout, rowCount, columns, kinds } = batch;
    const rows = batchOf(layout, rowCount, columns, { kinds, selection: this.#selection, size: kept });
    if (kept > 0 && out.emit(rows) === Progress.more) yield;
  }

  /** Rows of a slice that others may have seen the end of pass: what the aggregate does with them is not known here. */
  #late({ table, end, rows, count }: Part, kept: number): number {
    const { context, identity } = this.#setup;
    this.#tables.drop(table, end);
    const list = (rows === 0 ? identity : rows) >>> 2;
    context.memory.u32.copyWithin((this.#selection >>> 2) + kept, list, list + count);
    return count;
  }

  /** Rows of a slice that are the greatest so far of their group, behind the `kept` that are there. */
  *#greatest(batch: Batch, { table, rows, count }: Part, kept: number): Generator<void, number> {
    const setup = this.#setup;
    const { node, entries, context } = setup;
    const { u32 } = context.memory;
    if (node.keys.length === 0) {
      const group = yield* resolveGroup(setup, table, batch);
      this.#updater.updateOne(batch, rows, count, group);
      u32.fill(group, entries >>> 2, (entries >>> 2) + count);
      return this.#equal(batch, rows, count, kept);
    }
    let found = kept;
    yield* resolveRows(table, batch, node.keys, rows, count, setup, (list, n) => {
      this.#updater.update(batch, list, n, entries);
      found += this.#equal(batch, list, n, found);
    });
    return found - kept;
  }

  #equal(batch: Batch, rows: number, n: number, kept: number): number {
    const { entries, context } = this.#setup;
    const { kernels } = context;
    this.#updater.finish(entries, n, [this.#extreme]);
    const { values } = batch.columns[this.#arg] as Column;
    const out = this.#selection + 4 * kept;
    switch (this.#storage) {
      case 'i64':
        return kernels.rowsEqualI64(values, rows, n, this.#extreme.values, out);
      case 'f64':
        return kernels.rowsEqualF64(values, rows, n, this.#extreme.values, out);
      default:
        return kernels.rowsEqualI32(values, rows, n, this.#extreme.values, out);
    }
  }

  #judge(rows: number, passed: number): void {
    this.#seen += rows;
    this.#passed += passed;
    if (this.#tables.pages > pagesMax || this.#tables.pages > this.#setup.state.totalPages / 4) this.flush();
    if (this.#seen < judgedRows) return;
    if (this.#passed > passesBelow * this.#seen) {
      this.#toPass = passedRows;
      this.flush();
    }
    this.#seen = 0;
    this.#passed = 0;
  }
}
