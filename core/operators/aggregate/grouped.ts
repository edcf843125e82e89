/**
 * Groups without windows. Bounded input: results once, at the end. Unbounded: every batch tells what it changed in the
 * groups it touched, as a changelog.
 */
import type { AggregateUpdater } from '../../compile/aggregate.ts';
import type { AggregateCall } from '../../expr/tree.ts';
import type { GroupTable } from '../../ports/state.ts';
import { type Batch, batch as batchOf, type Column } from '../../record/batch.ts';
import { DeadGroups } from '../dead-groups.ts';
import { resolveRows, resultColumns, Work } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress } from '../operator.ts';
import { Changes } from './changes.ts';
import { DistinctMarks, distinctCalls } from './distinct.ts';
import { Extremes } from './extremes.ts';
import { GroupNumbers, groupNumberBytes } from './group-numbers.ts';
import { type AggregateNode, type AggregateSetup, aggregateSetup, resolveGroup } from './setup.ts';

/** A count of all rows, so that a group whose rows were all taken away is known to be gone. */
const countRows: AggregateCall = {
  fn: 'count',
  arg: null,
  argType: null,
  filter: null,
  type: { kind: 'BIGINT' },
  nullable: false,
};

export class GroupedAggregate implements Operator {
  readonly #setup: AggregateSetup;
  readonly #table: GroupTable;
  readonly #updater: AggregateUpdater;
  readonly #changes: Changes | null;
  /** Where something is kept for each group beside its entry. */
  readonly #numbers: GroupNumbers | null;
  readonly #distinct: DistinctMarks | null;
  readonly #extremes: Extremes | null;
  readonly #dead: DeadGroups | null;
  /** Bounded: results on their way out. */
  readonly #results: Column[];
  readonly #work = new Work();

  constructor(node: AggregateNode, context: OperatorContext) {
    const changing = !context.bounded;
    // Partial results have a fixed layout; only rows can be counted on the side.
    const distinct = distinctCalls(node.calls, context.inputs[0]?.length ?? 0);
    const own = distinct?.calls ?? node.calls;
    const calls = changing && node.phase === 'single' ? [...own, countRows] : own;
    const retracts = node.updating === true && calls.some(({ fn }) => fn === 'min' || fn === 'max');
    const tailBytes = distinct !== null || retracts ? groupNumberBytes : 0;
    this.#setup = aggregateSetup(node, context, { calls, marked: changing, tailBytes, extremesApart: retracts });
    this.#table = context.state.groups(this.#setup.decl('groups'));
    this.#updater = this.#setup.updater(this.#table.accumulatorOffset);
    this.#setup.target = this.#table;
    const { accumulatorOffset } = this.#table;
    const numbers = tailBytes > 0 ? new GroupNumbers(accumulatorOffset + this.#setup.tailAt, context) : null;
    this.#numbers = numbers;
    this.#distinct =
      distinct === null || numbers === null
        ? null
        : new DistinctMarks(distinct, node.updating === true, numbers, context);
    const extremes = this.#updater.layout.fields.filter(({ kind }) => kind === 'min' || kind === 'max');
    this.#extremes =
      retracts && numbers !== null
        ? new Extremes(extremes, this.#table, accumulatorOffset + this.#setup.accumulatorsAt, numbers, context)
        : null;
    this.#changes = changing ? new Changes(this.#setup, this.#updater, this.#table.accumulatorOffset) : null;
    this.#dead = node.frees ? new DeadGroups(this.#table, node.keys.length, node.frees, context) : null;
    this.#results = changing ? [] : resultColumns(context.outputs[0]!, context.batchRows, context);
  }

  get holdsToEnd(): boolean {
    return this.#changes === null;
  }

  onBatch(batch: Batch, _port: number, out: Output): Progress {
    return batch.size === 0 ? Progress.done : this.#work.start(this.#consume(batch, out));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  onWatermark(timeMs: number): Progress {
    this.#dead?.passed(timeMs);
    return Progress.done;
  }

  /** Groups leave the table as they are emitted. One group of all rows is a row even when there were none. */
  get firesFromState(): boolean {
    return this.#setup.node.keys.length > 0;
  }

  onEnd(out: Output): Progress {
    return this.#work.start(this.#finish(out));
  }

  *#consume(batch: Batch, out: Output): Generator<void> {
    const setup = this.#setup;
    const { entries, node } = setup;
    this.#table.reclaim();
    if (node.keys.length === 0) {
      yield* this.#allRows(batch, out);
      return;
    }
    yield* resolveRows(this.#table, batch, setup.tableKeys, batch.selection, batch.size, setup, (rows, count) =>
      this.#add(batch, rows, count, entries, out),
    );
    if (this.#dead) yield* this.#dead.sweep();
  }

  /** Without keys there is one group: it is found once per batch. */
  *#allRows(batch: Batch, out: Output): Generator<void> {
    const { context, entries, node } = this.#setup;
    const group = yield* resolveGroup(this.#setup, this.#table, batch);
    if (!this.#changes && !this.#numbers && node.phase !== 'final') {
      this.#updater.updateOne(batch, batch.selection, batch.size, group);
      return;
    }
    const at = entries >>> 2;
    context.memory.u32.fill(group, at, at + batch.size);
    const more = this.#add(batch, batch.selection, batch.size, entries, out);
    if (more) yield* more;
  }

  #add(batch: Batch, rows: number, count: number, entries: number, out: Output): Iterable<void> | undefined {
    return this.#numbers === null
      ? this.#update(batch, rows, count, entries, out)
      : this.#addNumbered(this.#numbers, batch, rows, count, entries, out);
  }

  *#addNumbered(
    numbers: GroupNumbers,
    batch: Batch,
    rows: number,
    count: number,
    entries: number,
    out: Output,
  ): Generator<void> {
    numbers.write(rows, count, entries);
    const marked = this.#distinct === null ? batch : yield* this.#distinct.mark(batch, rows, count);
    if (this.#extremes !== null) yield* this.#extremes.change(batch, rows, count, entries);
    const more = this.#update(marked, rows, count, entries, out);
    if (more) yield* more;
  }

  #update(batch: Batch, rows: number, count: number, entries: number, out: Output): Iterable<void> | undefined {
    const update = (): void => {
      this.#setup.add(this.#updater, batch, rows, count, entries);
      this.#extremes?.show();
    };
    if (this.#changes) return this.#changes.run(this.#table, entries, count, update, false, null, out);
    update();
    return undefined;
  }

  *#finish(out: Output): Generator<void> {
    const { context, node, entries } = this.#setup;
    const layout = context.outputs[0]!;
    if (node.keys.length === 0 && this.#table.size === 0) {
      // SQL: an aggregate of no rows is one row. Adding nothing to the group makes its result known.
      const none = batchOf(
        context.inputs[0]!,
        0,
        context.inputs[0]!.map(() => ({ validity: 0, values: 0, dictionary: null })),
      );
      yield* resolveGroup(this.#setup, this.#table, none);
      if (this.#changes) yield* this.#emptyResult(out);
    }
    if (this.#changes) return;
    const keys = node.keys.length;
    for (
      let n = this.#table.drain(entries, context.batchRows);
      n > 0;
      n = this.#table.drain(entries, context.batchRows)
    ) {
      for (let i = 0; i < keys; i++) {
        const column = this.#results[i] as Column;
        this.#table.readKey(i, entries, n, column.values, column.validity);
      }
      this.#updater.finish(entries, n, this.#results.slice(keys));
      if (out.emit(batchOf(layout, n, this.#results)) === Progress.more) yield;
    }
    this.#table.clear();
    this.#distinct?.clear();
  }

  *#emptyResult(out: Output): Generator<void> {
    const { context, calls, entries } = this.#setup;
    const columns = resultColumns(
      [...context.outputs[0]!, ...calls.slice(this.#setup.node.calls.length).map(() => hiddenLeaf)],
      1,
      context,
    );
    this.#updater.finish(entries, 1, columns);
    const shown = columns.slice(0, context.outputs[0]!.length);
    if (out.emit(batchOf(context.outputs[0]!, 1, shown)) === Progress.more) yield;
  }
}

const hiddenLeaf = { name: '$rows', type: { kind: 'BIGINT' }, nullable: false, storage: 'i64' } as const;
