/**
 * One row of each key: the first or the last by an order, or as they come. State is one entry a key, with the row in it.
 * Unbounded input: a batch tells of each key what it changed, and rows that lose are never kept. Ended input: the rows that
 * stay come at the end; the first as they come, at once.
 */
import { batchRowsMax } from '../../base/limits.ts';
import { type Batch, RowKindByte } from '../../record/batch.ts';
import { type Layout, rowtimeName } from '../../record/layout.ts';
import { DeadGroups } from '../dead-groups.ts';
import { emitRows, resolveRows, Work } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress } from '../operator.ts';
import { RowOrder } from './compare-rows.ts';
import { KeptEntries } from './kept-entries.ts';
import { type Ranking, refuseChanges } from './ranking.ts';

/** `keepFirst`, `keepLast`, and a topN(1) of rows of fixed width: texts in state are shorter than others may be. */
export function canDeduplicate({ n, using, by, keep, partitionBy }: Ranking, layout: Layout): boolean {
  if (keep !== undefined) return true;
  const fixed = layout.every(({ storage }, leaf) => storage !== 'view' || partitionBy.includes(leaf));
  return n === 1 && using === 'ROW_NUMBER' && by.length > 0 && fixed;
}

export function deduplicate(spec: Ranking, context: OperatorContext): Operator {
  return new Deduplicate(spec, context);
}

/** An entry's own words before its row: {u32 round in which it was last met, u32 place among those met, u32 has a row, u32 0}. */
const headBytes = 16;

class Deduplicate implements Operator {
  readonly #context: OperatorContext;
  readonly #order: RowOrder;
  readonly #keys: readonly number[];
  /** −U is not told. */
  readonly #quiet: boolean;
  /** Of equals the later one stays. */
  readonly #later: boolean;
  readonly #layout: Layout;
  readonly #kept: KeptEntries;
  readonly #dead: DeadGroups | null;
  /** Of the keys met by the rows at hand: entries, and their best row (−1: the one in state). */
  readonly #met: number;
  readonly #best: Int32Array;
  /** Entries and rows of those that change; rows that come out, and their kinds. */
  readonly #changed: number;
  readonly #rows: number;
  readonly #selection: number;
  readonly #kinds: number;
  readonly #ranks: number;
  readonly #round: { get(): number; set(value: number): void };
  readonly #work = new Work();

  constructor(spec: Ranking, context: OperatorContext) {
    const { memory, state, name } = context;
    const layout = context.inputs[0]!;
    // What rows of a key have in common does not order them.
    const until = spec.frees ?? null;
    const keys = until === null ? spec.partitionBy : [...spec.partitionBy, until.leaf];
    const leaves = layout.map((_, leaf) => leaf).filter((leaf) => !keys.includes(leaf));
    const list = (): number => memory.arena.allocate(4 * batchRowsMax, `rows of ${name}`);
    this.#context = context;
    this.#keys = keys;
    this.#quiet = spec.withoutBefore === true;
    // Rows that are all key are the same.
    this.#later = spec.keep === 'last' && leaves.length > 0;
    this.#layout = layout;
    this.#kept = new KeptEntries(
      {
        layout,
        keys: spec.partitionBy,
        also: until?.leaf ?? null,
        // What comes first and stays is known by its key alone.
        leaves: spec.by.length === 0 && !this.#later ? [] : leaves,
        headBytes,
        head: [{ name: '$kept', type: { kind: 'BOOLEAN' }, offset: 8, coding: 'bit' }],
      },
      context,
    );
    const by = spec.by.filter(({ column }) => column !== until?.leaf);
    this.#order = new RowOrder(by, layout, this.#kept.cells, memory);
    this.#dead = until && new DeadGroups(this.#kept.table, spec.partitionBy.length, until, context);
    this.#met = list();
    this.#best = memory.i32.subarray(list() >>> 2).subarray(0, batchRowsMax);
    this.#changed = list();
    this.#rows = list();
    this.#selection = list();
    this.#kinds = memory.arena.allocate(batchRowsMax, `row kinds of ${name}`);
    this.#ranks = spec.rank ? memory.arena.allocate(8 * batchRowsMax, `ranks of ${name}`) : 0;
    if (spec.rank) memory.i64.fill(1n, this.#ranks >>> 3, (this.#ranks >>> 3) + batchRowsMax);
    this.#round = state.value('round', 0, Math.max);
  }

  get holdsToEnd(): boolean {
    return this.#context.bounded && this.#kept.cells.cells.length > 0;
  }

  get firesFromState(): boolean {
    return true;
  }

  onBatch(batch: Batch, _port: number, out: Output): Progress {
    refuseChanges(batch, this.#context.name);
    return batch.size === 0 ? Progress.done : this.#work.start(this.#consume(batch, out));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  onWatermark(timeMs: number): Progress {
    this.#dead?.passed(timeMs);
    return Progress.done;
  }

  onEnd(out: Output): Progress {
    return this.holdsToEnd ? this.#work.start(this.#finish(out)) : Progress.done;
  }

  *#consume(batch: Batch, out: Output): Generator<void> {
    const { table, resolve } = this.#kept;
    table.reclaim();
    const { selection, size } = batch;
    yield* resolveRows(table, batch, this.#keys, selection, size, resolve, (rows, count) =>
      this.#add(batch, rows, count, out),
    );
    if (this.#dead) yield* this.#dead.sweep();
  }

  *#add(batch: Batch, rows: number, n: number, out: Output): Generator<void> {
    const met = this.#choose(batch, rows, n);
    const { u8, u32 } = this.#context.memory;
    const hasAt = this.#kept.headAt + 8;
    const quiet = this.holdsToEnd;
    const [list, changed, winners] = [this.#met >>> 2, this.#changed >>> 2, this.#rows >>> 2];
    // Those that replace a row stand first.
    let replaced = 0;
    let size = 0;
    for (const had of [1, 0]) {
      for (let i = 0; i < met; i++) {
        const row = this.#best[i] as number;
        const entry = u32[list + i] as number;
        if (row < 0 || u32[(entry + hasAt) >>> 2] !== had) continue;
        u32[changed + size] = entry;
        u32[winners + size] = row;
        size++;
      }
      if (had === 1) replaced = size;
    }
    if (size === 0) return;
    if (replaced > 0 && !quiet && !this.#quiet) {
      const before = this.#kept.read(this.#changed, replaced);
      u8.fill(RowKindByte.updateBefore, this.#kinds, this.#kinds + replaced);
      yield* this.#emit(before, this.#kept.resolve.identity, replaced, this.#kinds, out);
    }
    this.#kept.write(batch, this.#rows, size, this.#changed);
    for (let i = replaced; i < size; i++) u32[((u32[changed + i] as number) + hasAt) >>> 2] = 1;
    if (quiet) return;
    const chosen = u32.subarray(this.#selection >>> 2, (this.#selection >>> 2) + size);
    chosen.set(u32.subarray(winners, winners + size));
    for (let i = 0; i < size; i++) {
      u8[this.#kinds + (u32[winners + i] as number)] = i < replaced ? RowKindByte.updateAfter : RowKindByte.insert;
    }
    chosen.sort();
    yield* this.#emit(batch, this.#selection, size, replaced > 0 ? this.#kinds : 0, out);
  }

  /** Lists the keys of the rows, and the best row of each. Answers how many there are. */
  #choose(batch: Batch, rows: number, n: number): number {
    const { u32 } = this.#context.memory;
    const { entries } = this.#kept.resolve;
    const head = this.#kept.headAt;
    const round = (this.#round.get() % 0xffff_fffe) + 1;
    this.#round.set(round);
    const best = this.#best;
    let met = 0;
    for (let k = 0; k < n; k++) {
      const entry = u32[(entries >>> 2) + k] as number;
      const at = (entry + head) >>> 2;
      const row = rows === 0 ? k : (u32[(rows >>> 2) + k] as number);
      if (u32[at] !== round) {
        u32[at] = round;
        u32[at + 1] = met;
        u32[(this.#met >>> 2) + met] = entry;
        best[met++] = u32[at + 2] === 0 || this.#beatsKept(batch, row, entry) ? row : -1;
        continue;
      }
      const place = u32[at + 1] as number;
      const so = best[place] as number;
      if (so < 0 ? this.#beatsKept(batch, row, entry) : this.#beats(batch, row, so)) best[place] = row;
    }
    return met;
  }

  #beats(batch: Batch, row: number, other: number): boolean {
    const order = this.#order.ofRows(batch, row, other);
    return order === 0 ? this.#later : order < 0;
  }

  /** Whether a row goes before the one that its key's entry has. */
  #beatsKept(batch: Batch, row: number, entry: number): boolean {
    const order = this.#order.ofKept(batch, row, entry + this.#kept.cellsAt);
    return order === 0 ? this.#later : order < 0;
  }

  *#finish(out: Output): Generator<void> {
    const { table, resolve } = this.#kept;
    const rows = this.#context.batchRows;
    for (let n = table.drain(resolve.entries, rows); n > 0; n = table.drain(resolve.entries, rows)) {
      yield* this.#emit(this.#kept.read(resolve.entries, n), resolve.identity, n, 0, out);
    }
    table.clear();
  }

  /** With the rank, which is 1, where it is asked for. */
  #emit(rows: Batch, selection: number, size: number, kinds: number, out: Output): Generator<void> {
    const layout = this.#context.outputs[0]!;
    let { columns } = rows;
    if (this.#ranks !== 0) {
      const at = this.#layout.at(-1)?.name === rowtimeName ? columns.length - 1 : columns.length;
      const rank = { validity: 0, values: this.#ranks, dictionary: null };
      columns = [...columns.slice(0, at), rank, ...columns.slice(at)];
    }
    return emitRows({ layout, rowCount: rows.rowCount, columns, kinds }, selection, size, this.#context.batchRows, out);
  }
}
