/**
 * Top n of unbounded input: every row that changes the result says so at once, in changes as Flink's AppendOnlyTopN
 * makes them. With ROW_NUMBER and a rank column, each rank from the new row's on is updated (-U old, +U new), and the
 * last one inserted while there are fewer than n; without it, the row that falls out is deleted (-D) and the new one
 * inserted (+I). With RANK and DENSE_RANK, rows whose rank changed are updated, and those that fall out deleted.
 */
import { assert } from '../../base/assert.ts';
import { MillraceError } from '../../base/errors.ts';
import { topNRowsMax } from '../../base/limits.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import { type Batch, RowKindByte } from '../../record/batch.ts';
import { arenaBlocks } from '../../record/blocks.ts';
import { type ColumnReader, columnReader, type LeafValue } from '../../record/column-reader.ts';
import type { Layout } from '../../record/layout.ts';
import { type ColumnBuffer, columnBuffers, keptBatch, RowStore, type RowStoreSetup } from '../../record/row-store.ts';
import type { RowValues } from '../../record/row-values.ts';
import { storedColumn } from '../../record/row-values.ts';
import { type Operator, type OperatorContext, type Output, Progress } from '../operator.ts';
import { RowSaver } from './kept-rows.ts';
import { type Ranking, refuseChanges, withRank } from './ranking.ts';

type TopNNode = Extract<PhysicalNode, { kind: 'topN' }>;

/** In phase `partial` rows that come among the subtask's first n are passed on, and nothing is taken back. */
export function updatingTopN(node: TopNNode, context: OperatorContext): Operator {
  return new UpdatingTopN(node, node.phase === 'partial', context);
}

/** The first rows of one partition, in order. */
interface Partition {
  readonly ids: number[];
  readonly ranks: number[];
}

class UpdatingTopN implements Operator {
  readonly #spec: Ranking;
  readonly #onlyEntering: boolean;
  readonly #context: OperatorContext;
  readonly #layout: Layout;
  readonly #saver: RowSaver;
  readonly #keys: readonly ColumnReader[];
  /** Rows of the result among others that have left it; the other one takes over when those are many. */
  #rows: Kept;
  #spare: Kept;
  readonly #partitions = new Map<unknown, Partition>();
  #live = 0;
  readonly #buffers: readonly ColumnBuffer[];
  readonly #changes: Changes;
  /** The batch whose rows are being worked in: row k has id `#first` + k. */
  #batch: Batch | null = null;
  #first = 0;
  #next = 0;

  constructor(spec: Ranking, onlyEntering: boolean, context: OperatorContext) {
    const { memory, batchRows, name, state } = context;
    this.#spec = spec;
    this.#onlyEntering = onlyEntering;
    this.#context = context;
    this.#layout = context.inputs[0] ?? [];
    this.#rows = new Kept(this.#layout, spec, context);
    this.#spare = new Kept(this.#layout, spec, context);
    this.#buffers = columnBuffers(this.#layout, memory, batchRows, name);
    this.#changes = new Changes(context);
    this.#keys = spec.partitionBy.map((leaf) => {
      const column = this.#layout[leaf];
      assert(column, `no column ${leaf} to partition by`);
      return columnReader(storedColumn(column), memory);
    });
    this.#saver = new RowSaver(spec.partitionBy, context);
    const saved = state.keyed<RowValues[]>('rows', () => {
      assert(!this.#batch && this.#changes.waiting === 0, 'a snapshot comes between batches');
      return this.#saver.save(this.#rows.store, this.#kept());
    });
    this.#saver.restore(saved, (batch) => this.#restore(batch));
  }

  onBatch(batch: Batch, _port: number, out: Output): Progress {
    refuseChanges(batch, this.#context.name);
    if (batch.size === 0) return Progress.done;
    this.#letGo();
    this.#begin(batch);
    return this.resume(out);
  }

  resume(out: Output): Progress {
    for (;;) {
      while (this.#batch && this.#changes.waiting < this.#context.batchRows) this.#work(this.#batch);
      if (this.#changes.waiting === 0) return Progress.done;
      if (out.emit(this.#changes.take(this.#rows.store, this.#buffers)) === Progress.more) return Progress.more;
    }
  }

  #begin(batch: Batch): void {
    this.#batch = batch;
    this.#first = this.#rows.store.append(batch);
    this.#next = 0;
    this.#keys.forEach((key, k) => {
      const column = batch.columns[this.#spec.partitionBy[k] as number];
      if (column) key.open(column);
    });
  }

  /** Works the next row in. */
  #work(batch: Batch): void {
    const k = this.#next++;
    const row = batch.selection === 0 ? k : (this.#context.memory.u32[(batch.selection >>> 2) + k] as number);
    this.#insert(this.#partitionOf(row), this.#first + k);
    if (this.#next === batch.size) this.#batch = null;
  }

  #restore(batch: Batch): void {
    this.#begin(batch);
    while (this.#batch) this.#work(this.#batch);
    this.#changes.forget();
  }

  #partitionOf(row: number): Partition {
    const key = this.#keys.length === 1 ? (this.#keys[0] as ColumnReader).value(row) : this.#joined(row);
    const known = this.#partitions.get(key);
    if (known) return known;
    const partition: Partition = { ids: [], ranks: [] };
    this.#partitions.set(key, partition);
    return partition;
  }

  #joined(row: number): string {
    return JSON.stringify(this.#keys.map((key) => comparable(key.value(row))));
  }

  /** Puts a row where it belongs, and notes what that changes. */
  #insert(partition: Partition, id: number): void {
    const { ids, ranks } = partition;
    const { using, n } = this.#spec;
    const at = this.#placeOf(ids, id);
    const ties = using !== 'ROW_NUMBER' && at > 0 && this.#rows.compare(ids[at - 1] as number, id) === 0;
    const before = at > 0 ? (ranks[at - 1] as number) : 0;
    const rank = ties ? before : using === 'DENSE_RANK' ? before + 1 : at + 1;
    if (rank > n) return;
    const step = using === 'DENSE_RANK' && ties ? 0 : 1;
    let fallen = ids.length;
    while (fallen > at && (ranks[fallen - 1] as number) + step > n) fallen--;
    this.#note(partition, at, id, rank, step, fallen);
    this.#live += 1 - (ids.length - fallen);
    if (this.#live > topNRowsMax) throw this.#tooMany();
    ids.length = fallen;
    ranks.length = fallen;
    ids.splice(at, 0, id);
    ranks.splice(at, 0, rank);
    for (let i = at + 1; step > 0 && i < ranks.length; i++) ranks[i] = (ranks[i] as number) + step;
  }

  /** Behind all that are not behind it: equal rows stay in order of arrival. */
  #placeOf(ids: readonly number[], id: number): number {
    let low = 0;
    let high = ids.length;
    // Most rows are behind the last one.
    if (high > 0 && this.#rows.compare(ids[high - 1] as number, id) <= 0) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#rows.compare(ids[middle] as number, id) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The changes of a row `id` coming to `at`, which moves those behind it by `step` and lets those from `fallen` on fall out. */
  #note({ ids, ranks }: Partition, at: number, id: number, rank: number, step: number, fallen: number): void {
    const { insert, updateBefore, updateAfter } = RowKindByte;
    const changes = this.#changes;
    if (this.#onlyEntering) {
      changes.add(id, insert, rank);
      return;
    }
    if (this.#spec.rank && this.#spec.using === 'ROW_NUMBER') {
      let entering = id;
      for (let i = at; i < ids.length; i++) {
        changes.add(ids[i] as number, updateBefore, i + 1);
        changes.add(entering, updateAfter, i + 1);
        entering = ids[i] as number;
      }
      if (fallen === ids.length) changes.add(entering, insert, ids.length + 1);
      return;
    }
    const moves = this.#spec.rank && step > 0;
    for (let i = moves ? at : fallen; i < ids.length; i++) {
      changes.add(ids[i] as number, i < fallen ? updateBefore : RowKindByte.delete, ranks[i] as number);
    }
    changes.add(id, insert, rank);
    for (let i = at; moves && i < fallen; i++) changes.add(ids[i] as number, updateAfter, (ranks[i] as number) + step);
  }

  *#kept(): Iterable<number> {
    for (const { ids } of this.#partitions.values()) yield* ids;
  }

  /** Copies the rows of the result when most kept rows have left it. */
  #letGo(): void {
    const { store } = this.#rows;
    if (store.rows < this.#live * 2 + slackRows) return;
    const { memory, batchRows } = this.#context;
    const ids = this.#changes.ids;
    let n = 0;
    const leave = (): void => {
      if (n > 0) this.#spare.store.append(keptBatch(store, ids, n, this.#buffers));
      n = 0;
    };
    let next = 0;
    for (const partition of this.#partitions.values()) {
      for (let i = 0; i < partition.ids.length; i++) {
        memory.u32[(ids >>> 2) + n++] = partition.ids[i] as number;
        partition.ids[i] = next++;
        if (n === batchRows) leave();
      }
    }
    leave();
    const emptied = this.#rows;
    this.#rows = this.#spare;
    this.#spare = emptied;
    emptied.store.clear();
  }

  #tooMany(): MillraceError {
    return new MillraceError(
      'memory/exhausted',
      `${this.#context.name} keeps more than ${topNRowsMax} rows: ${this.#partitions.size} partitions of up to ${this.#spec.n}; partition by a window, or by fewer keys, or take fewer rows of each`,
      { where: { operator: this.#context.name } },
    );
  }
}

/** A row store with the order of its rows. */
class Kept {
  readonly store: RowStore;
  readonly #order: number;
  readonly #compare: (keys: number, a: number, b: number) => number;

  constructor(layout: Layout, spec: Ranking, context: OperatorContext) {
    const { memory, kernels, name } = context;
    const setup: RowStoreSetup = { layout, memory, kernels, name, blocks: context.blocks ?? arenaBlocks(memory.arena) };
    this.store = new RowStore(setup);
    this.#order = this.store.describeOrder(spec.by);
    this.#compare = kernels.compareKept;
  }

  compare(a: number, b: number): number {
    return this.#compare(this.#order, a, b);
  }
}

interface Change {
  readonly id: number;
  readonly kind: number;
  readonly rank: number;
}

/** Changes that wait to be emitted. */
class Changes {
  /** Room for a batch of row ids. */
  readonly ids: number;
  readonly #kinds: number;
  readonly #ranks: number;
  readonly #context: OperatorContext;
  #waiting: Change[] = [];
  #taken = 0;

  constructor(context: OperatorContext) {
    const { memory, batchRows, name } = context;
    this.#context = context;
    this.ids = memory.arena.allocate(batchRows * 4, name);
    this.#kinds = memory.arena.allocate(batchRows, name);
    this.#ranks = memory.arena.allocate(batchRows * 8, name);
  }

  get waiting(): number {
    return this.#waiting.length - this.#taken;
  }

  add(id: number, kind: number, rank: number): void {
    this.#waiting.push({ id, kind, rank });
  }

  forget(): void {
    this.#waiting = [];
    this.#taken = 0;
  }

  /** A batch of the first ones; valid until the next is taken. */
  take(store: RowStore, buffers: readonly ColumnBuffer[]): Batch {
    const { memory, batchRows } = this.#context;
    const n = Math.min(batchRows, this.waiting);
    let kinds = 0;
    for (let k = 0; k < n; k++) {
      const change = this.#waiting[this.#taken + k] as Change;
      memory.u32[(this.ids >>> 2) + k] = change.id;
      memory.u8[this.#kinds + k] = change.kind;
      memory.u32[(this.#ranks >>> 2) + k * 2] = change.rank;
      memory.u32[(this.#ranks >>> 2) + k * 2 + 1] = 0;
      kinds |= change.kind;
    }
    this.#taken += n;
    if (this.waiting === 0) this.forget();
    const rows = { ...keptBatch(store, this.ids, n, buffers), kinds: kinds === 0 ? 0 : this.#kinds };
    return withRank(rows, this.#context, this.#ranks);
  }
}

/** JSON has no bigint, NaN or infinity: these are texts in an array of their own, so that no string is taken for one. */
function comparable(value: LeafValue): unknown {
  return typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value)) ? [`${value}`] : value;
}

/** Rows beyond twice those of the result, before the others are let go. */
const slackRows = 16_384;
