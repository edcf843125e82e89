/**
 * Top n of unbounded input that only adds rows, in pages: an entry a group, with room for its n rows. A batch tells of each
 * group what has changed, by rank where ranks come out. Of equals the one that came first stands first. ROW_NUMBER only, by
 * columns of fixed width, and n rows must fit an entry; what does not is updating.ts.
 *
 *   entry  {u32 round in which it was last met, u32 place among those met}{u32 rows, u32 zero}
 *          {u8 place of the row of rank 1, 2, …, up to a word}{cells of place 0, 1, …}
 */
import { batchRowsMax } from '../../base/limits.ts';
import { type CellLayout, type Cells, cellLayout, cellLeaves, cellPrograms } from '../../compile/cells.ts';
import type { AccumulatorLeaf, GroupTable } from '../../ports/state.ts';
import { type Batch, batch as batchOf, type Column, RowKindByte } from '../../record/batch.ts';
import { type Layout, rowtimeName } from '../../record/layout.ts';
import { alignUp } from '../../record/memory.ts';
import { identityRows, KeyHasher, type ResolveBuffers, resolveRows, resultColumns, Work } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress } from '../operator.ts';
import { RowOrder } from './compare-rows.ts';
import { type Ranking, refuseChanges } from './ranking.ts';

const countAt = 8;
const placesAt = 16;
/** Bytes of an entry's rows at most: a page has room for some of them. */
const rowsBytesMax = 2048;

const cellsAt = (n: number): number => alignUp(placesAt + n, 8);
const keptLeaves = (layout: Layout, keys: readonly number[]): number[] =>
  layout.map((_, leaf) => leaf).filter((leaf) => !keys.includes(leaf));

export function canPage({ n, using, partitionBy }: Ranking, layout: Layout): boolean {
  if (using !== 'ROW_NUMBER' || n > 255) return false;
  // Texts of n rows may be more than a snapshot takes of an entry.
  if (layout.some(({ storage }, leaf) => storage === 'view' && !partitionBy.includes(leaf))) return false;
  const { bytes } = cellLayout(layout, keptLeaves(layout, partitionBy));
  return bytes > 0 && n * bytes <= rowsBytesMax;
}

export function pagedTopN(spec: Ranking, context: OperatorContext): Operator {
  return new PagedTopN(spec, context);
}

class PagedTopN implements Operator {
  readonly #context: OperatorContext;
  readonly #n: number;
  readonly #rank: boolean;
  readonly #keys: readonly number[];
  readonly #layout: Layout;
  readonly #cells: CellLayout;
  readonly #order: RowOrder;
  readonly #table: GroupTable;
  readonly #programs: Cells;
  readonly #resolve: ResolveBuffers;
  /** Entries of the groups that change, each with its ranking: places as they are, −1 − row for rows of the batch. */
  readonly #met: number[] = [];
  readonly #rankings: number[][] = [];
  /** Of each, places that have a row of the batch now. */
  readonly #fresh: Set<number>[] = [];
  /** What is written or read: rows, entries moved to their place's cells, entries as they are. */
  readonly #rows: number;
  readonly #targets: number;
  readonly #groups: number;
  readonly #kinds: number;
  readonly #ranks: number;
  readonly #columns: readonly Column[];
  readonly #round: { get(): number; set(value: number): void };
  readonly #work = new Work();
  #size = 0;

  constructor(spec: Ranking, context: OperatorContext) {
    const { memory, kernels, state, name } = context;
    const layout = context.inputs[0]!;
    const list = (): number => memory.arena.allocate(4 * batchRowsMax, `rows of ${name}`);
    this.#context = context;
    this.#n = spec.n;
    this.#rank = spec.rank;
    this.#keys = spec.partitionBy;
    this.#layout = layout;
    this.#cells = cellLayout(layout, keptLeaves(layout, spec.partitionBy));
    this.#order = new RowOrder(spec.by, layout, this.#cells, memory);
    const { bytes, cells } = this.#cells;
    const places = Array.from({ length: spec.n }, (_, place) => cellsAt(spec.n) + place * bytes);
    const leavesOfPlace = (at: number, place: number): AccumulatorLeaf[] =>
      cellLeaves(layout, this.#cells, at).map((leaf) => ({ ...leaf, name: `row${place}.${leaf.name}` }));
    this.#table = state.groups({
      name: 'ranked',
      keys: spec.partitionBy.map((leaf) => layout[leaf]!),
      accumulatorBytes: cellsAt(spec.n) + spec.n * bytes,
      texts: places.flatMap((at) => cells.flatMap((cell) => (cell.storage === 'view' ? [at + cell.valueAt] : []))),
      leaves: [
        { name: '$rows', type: { kind: 'INT' }, offset: countAt, coding: 'i32' },
        ...places.flatMap((at, place) => leavesOfPlace(at, place)),
      ],
    });
    this.#programs = cellPrograms(this.#cells, this.#table.accumulatorOffset + cellsAt(spec.n), {
      memory,
      kernels,
      keepText: (target, view) => this.#table.keepText(target, view),
    });
    this.#resolve = {
      state,
      hasher: new KeyHasher(context, layout, spec.partitionBy),
      hashes: memory.arena.allocate(8 * batchRowsMax, `hashes of ${name}`),
      identity: identityRows(memory),
      entries: list(),
    };
    this.#rows = list();
    this.#targets = list();
    this.#groups = list();
    this.#kinds = memory.arena.allocate(batchRowsMax, `row kinds of ${name}`);
    this.#ranks = memory.arena.allocate(8 * batchRowsMax, `ranks of ${name}`);
    this.#columns = resultColumns(layout, batchRowsMax, context);
    this.#round = state.value('round', 0, Math.max);
  }

  onBatch(batch: Batch, _port: number, out: Output): Progress {
    refuseChanges(batch, this.#context.name);
    return batch.size === 0 ? Progress.done : this.#work.start(this.#consume(batch, out));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  *#consume(batch: Batch, out: Output): Generator<void> {
    this.#table.reclaim();
    const { selection, size } = batch;
    yield* resolveRows(this.#table, batch, this.#keys, selection, size, this.#resolve, (rows, count) =>
      this.#add(batch, rows, count, out),
    );
  }

  /** The rows take their places among their groups' first n, and what that changes is told: withdrawals first. */
  *#add(batch: Batch, rows: number, n: number, out: Output): Generator<void> {
    this.#choose(batch, rows, n);
    for (let i = 0; i < this.#met.length; i++) yield* this.#withdraw(i, out);
    yield* this.#leave(out);
    for (let i = 0; i < this.#met.length; i++) this.#place(i);
    this.#write(batch);
    for (let i = 0; i < this.#met.length; i++) yield* this.#tell(i, out);
    yield* this.#leave(out);
    for (let i = 0; i < this.#met.length; i++) this.#keep(i);
    this.#met.length = 0;
    this.#rankings.length = 0;
    this.#fresh.length = 0;
  }

  #choose(batch: Batch, rows: number, n: number): void {
    const { u32 } = this.#context.memory;
    const { entries } = this.#resolve;
    const head = this.#table.accumulatorOffset;
    const round = (this.#round.get() % 0xffff_fffe) + 1;
    this.#round.set(round);
    for (let k = 0; k < n; k++) {
      const entry = u32[(entries >>> 2) + k] as number;
      const row = rows === 0 ? k : (u32[(rows >>> 2) + k] as number);
      const at = (entry + head) >>> 2;
      const known = u32[at] === round ? (this.#rankings[u32[at + 1] as number] as number[]) : null;
      const count = known?.length ?? (u32[at + 2] as number);
      const last = count - 1;
      if (count === this.#n && !this.#goesBefore(batch, row, entry, known, last)) continue;
      let ranking = known;
      if (ranking === null) {
        ranking = this.#placesOf(entry, count);
        u32[at] = round;
        u32[at + 1] = this.#met.length;
        this.#met.push(entry);
        this.#rankings.push(ranking);
      }
      let [from, to] = [0, count];
      while (from < to) {
        const middle = (from + to) >>> 1;
        if (this.#goesBefore(batch, row, entry, ranking, middle)) to = middle;
        else from = middle + 1;
      }
      ranking.splice(from, 0, -1 - row);
      if (ranking.length > this.#n) ranking.pop();
    }
  }

  /** Whether a row goes before the one at `rank`, from 0, of its group. */
  #goesBefore(batch: Batch, row: number, entry: number, ranking: readonly number[] | null, rank: number): boolean {
    const place = ranking === null ? this.#placeAt(entry, rank) : (ranking[rank] as number);
    if (place < 0) return this.#order.ofRows(batch, row, -1 - place) < 0;
    const cells = entry + this.#table.accumulatorOffset + cellsAt(this.#n) + place * this.#cells.bytes;
    return this.#order.ofKept(batch, row, cells) < 0;
  }

  #placeAt(entry: number, rank: number): number {
    return this.#context.memory.u8[entry + this.#table.accumulatorOffset + placesAt + rank] as number;
  }

  #placesOf(entry: number, count: number): number[] {
    const places: number[] = [];
    for (let rank = 0; rank < count; rank++) places.push(this.#placeAt(entry, rank));
    return places;
  }

  #countOf(entry: number): number {
    return this.#context.memory.u32[(entry + this.#table.accumulatorOffset + countAt) >>> 2] as number;
  }

  /** Rows of group `i` that are at their rank no longer, or no longer there. */
  *#withdraw(i: number, out: Output): Generator<void> {
    const entry = this.#met[i] as number;
    const ranking = this.#rankings[i] as number[];
    const count = this.#countOf(entry);
    for (let rank = 0; rank < count; rank++) {
      const place = this.#placeAt(entry, rank);
      if (this.#rank ? ranking[rank] === place : ranking.includes(place)) continue;
      yield* this.#give(entry, place, rank, this.#rank ? RowKindByte.updateBefore : RowKindByte.delete, out);
    }
  }

  /** New rows of group `i` get the places of those that went, and free ones. */
  #place(i: number): void {
    const { u32 } = this.#context.memory;
    const entry = this.#met[i] as number;
    const ranking = this.#rankings[i] as number[];
    const fresh = new Set<number>();
    let free = 0;
    for (let rank = 0; rank < ranking.length; rank++) {
      const place = ranking[rank] as number;
      if (place >= 0) continue;
      while (ranking.includes(free)) free++;
      u32[(this.#rows >>> 2) + this.#size] = -1 - place;
      u32[(this.#targets >>> 2) + this.#size] = entry + free * this.#cells.bytes;
      this.#size++;
      ranking[rank] = free;
      fresh.add(free);
    }
    this.#fresh.push(fresh);
  }

  #write(batch: Batch): void {
    if (this.#size > 0) this.#programs.write(batch, this.#rows, this.#size, this.#targets);
    this.#size = 0;
  }

  /** What stands at a rank of group `i` now and did not before; without ranks, rows that are new. */
  *#tell(i: number, out: Output): Generator<void> {
    const entry = this.#met[i] as number;
    const ranking = this.#rankings[i] as number[];
    const fresh = this.#fresh[i] as Set<number>;
    const count = this.#countOf(entry);
    for (let rank = 0; rank < ranking.length; rank++) {
      const place = ranking[rank] as number;
      const isNew = fresh.has(place);
      if (!isNew && (!this.#rank || (rank < count && this.#placeAt(entry, rank) === place))) continue;
      const kind = this.#rank && rank < count ? RowKindByte.updateAfter : RowKindByte.insert;
      yield* this.#give(entry, place, rank, kind, out);
    }
  }

  #keep(i: number): void {
    const { u8, u32 } = this.#context.memory;
    const entry = this.#met[i] as number;
    const ranking = this.#rankings[i] as number[];
    const at = entry + this.#table.accumulatorOffset;
    for (let rank = 0; rank < ranking.length; rank++) u8[at + placesAt + rank] = ranking[rank] as number;
    u32[(at + countAt) >>> 2] = ranking.length;
  }

  *#give(entry: number, place: number, rank: number, kind: number, out: Output): Generator<void> {
    const { u8, u32 } = this.#context.memory;
    if (this.#size === Math.min(batchRowsMax, this.#context.batchRows)) yield* this.#leave(out);
    const k = this.#size++;
    u32[(this.#groups >>> 2) + k] = entry;
    u32[(this.#targets >>> 2) + k] = entry + place * this.#cells.bytes;
    u32[(this.#ranks >>> 2) + 2 * k] = rank + 1;
    u8[this.#kinds + k] = kind;
  }

  *#leave(out: Output): Generator<void> {
    const n = this.#size;
    if (n === 0) return;
    this.#keys.forEach((leaf, key) => {
      const { values, validity } = this.#columns[leaf]!;
      this.#table.readKey(key, this.#groups, n, values, validity);
    });
    this.#programs.read(
      this.#targets,
      n,
      this.#cells.cells.map(({ leaf }) => this.#columns[leaf]!),
    );
    this.#size = 0;
    let columns = this.#columns;
    if (this.#rank) {
      const at = this.#layout.at(-1)?.name === rowtimeName ? columns.length - 1 : columns.length;
      columns = [...columns.slice(0, at), { validity: 0, values: this.#ranks, dictionary: null }, ...columns.slice(at)];
    }
    const rows = batchOf(this.#context.outputs[0]!, n, columns, { kinds: this.#kinds });
    if (out.emit(rows) === Progress.more) yield;
  }
}
