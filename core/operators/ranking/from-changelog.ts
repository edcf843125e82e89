/**
 * The `fromChangelog` node: rows say in their last column, `row_kind`, whether they come or go, and the last of each key
 * stands. State is one entry a key with the row in it (Flink's ChangelogNormalize). Unbounded input: a batch tells of each key
 * what it changed, −U and +U, +I or −D; a row that is what it was changes nothing. Ended input: the rows that stand come at the
 * end. What takes away a key that is not there is counted.
 */
import { MillraceError } from '../../base/errors.ts';
import { batchRowsMax } from '../../base/limits.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import { type Batch, batch as batchOf, type Column, RowKindByte, rowKindNames } from '../../record/batch.ts';
import { isValid } from '../../record/column-reader.ts';
import type { Layout } from '../../record/layout.ts';
import { sameValueAt } from '../../record/same-value.ts';
import { readText } from '../../record/text.ts';
import { emitRows, resolveRows, Work, waitForPages } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress } from '../operator.ts';
import { KeptEntries } from './kept-entries.ts';
import { refuseChanges } from './ranking.ts';

export function fromChangelogOperator(
  { keys, withoutBefore }: Extract<PhysicalNode, { kind: 'fromChangelog' }>,
  context: OperatorContext,
): Operator {
  return new FromChangelog(keys, withoutBefore === true, context);
}

/** An entry's own words before its row: {u32 round in which it was last met, u32 place among those met, u32 has a row, u32 0}. */
const headBytes = 16;
/** What became of a key: no row, or the number of one. */
const gone = -1;

class FromChangelog implements Operator {
  readonly #context: OperatorContext;
  readonly #keys: readonly number[];
  /** −U is not told. */
  readonly #quiet: boolean;
  readonly #layout: Layout;
  /** Leaves that are compared: equal keys are equal. */
  readonly #others: readonly number[];
  readonly #kept: KeptEntries;
  /** Of the keys met by the rows at hand: entries, and what became of them. */
  readonly #met: number;
  readonly #last: Int32Array;
  /** Entries that had a row, and what became of them. */
  readonly #before: number;
  readonly #beforeLast: Int32Array;
  /** Entries that get a row, and which. */
  readonly #changed: number;
  readonly #rows: number;
  /** Entries that leave. */
  readonly #gone: number;
  readonly #selection: number;
  readonly #kinds: number;
  readonly #round: { get(): number; set(value: number): void };
  readonly #work = new Work();

  constructor(keys: readonly number[], quiet: boolean, context: OperatorContext) {
    const { memory, state, name } = context;
    const list = (): number => memory.arena.allocate(4 * batchRowsMax, `rows of ${name}`);
    const numbers = (): Int32Array => memory.i32.subarray(list() >>> 2).subarray(0, batchRowsMax);
    this.#context = context;
    this.#keys = keys;
    this.#quiet = quiet;
    this.#layout = context.outputs[0]!;
    this.#others = this.#layout.map((_, leaf) => leaf).filter((leaf) => !keys.includes(leaf));
    this.#kept = new KeptEntries(
      {
        layout: this.#layout,
        keys,
        leaves: this.#others,
        headBytes,
        head: [{ name: '$kept', type: { kind: 'BOOLEAN' }, offset: 8, coding: 'bit' }],
      },
      context,
    );
    this.#met = list();
    this.#last = numbers();
    this.#before = list();
    this.#beforeLast = numbers();
    this.#changed = list();
    this.#rows = list();
    this.#gone = list();
    this.#selection = list();
    this.#kinds = memory.arena.allocate(batchRowsMax, `row kinds of ${name}`);
    this.#round = state.value('round', 0, Math.max);
  }

  get holdsToEnd(): boolean {
    return this.#context.bounded;
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

  onEnd(out: Output): Progress {
    return this.#context.bounded ? this.#work.start(this.#finish(out)) : Progress.done;
  }

  *#consume(batch: Batch, out: Output): Generator<void> {
    const { table, resolve } = this.#kept;
    table.reclaim();
    const { selection, size } = batch;
    const rows = batchOf(this.#layout, batch.rowCount, batch.columns.slice(0, -1), { selection, size });
    const kinds = batch.columns.at(-1) as Column;
    yield* resolveRows(table, rows, this.#keys, selection, size, resolve, (list, count) =>
      this.#apply(rows, kinds, list, count, out),
    );
  }

  *#apply(batch: Batch, kinds: Column, list: number, n: number, out: Output): Generator<void> {
    const met = this.#fold(kinds, list, n);
    const { u8, u32 } = this.#context.memory;
    const hasAt = this.#kept.headAt + 8;
    const [entries, before, changed, rows, leaving] = [
      this.#met >>> 2,
      this.#before >>> 2,
      this.#changed >>> 2,
      this.#rows >>> 2,
      this.#gone >>> 2,
    ];
    let had = 0;
    let left = 0;
    for (let i = 0; i < met; i++) {
      const entry = u32[entries + i] as number;
      const last = this.#last[i] as number;
      if (last === gone) u32[leaving + left++] = entry;
      if (u32[(entry + hasAt) >>> 2] === 0) continue;
      u32[before + had] = entry;
      this.#beforeLast[had++] = last;
    }
    let size = had === 0 ? 0 : yield* this.#takeBack(batch, had, out);
    const replaced = size;
    for (let i = 0; i < met; i++) {
      const entry = u32[entries + i] as number;
      const last = this.#last[i] as number;
      if (last === gone || u32[(entry + hasAt) >>> 2] !== 0) continue;
      u32[changed + size] = entry;
      u32[rows + size++] = last;
    }
    if (size > 0) {
      this.#kept.write(batch, this.#rows, size, this.#changed);
      for (let i = replaced; i < size; i++) u32[((u32[changed + i] as number) + hasAt) >>> 2] = 1;
      if (!this.#context.bounded) {
        const selection = u32.subarray(this.#selection >>> 2, (this.#selection >>> 2) + size);
        selection.set(u32.subarray(rows, rows + size));
        for (let i = 0; i < size; i++) {
          u8[this.#kinds + (u32[rows + i] as number)] = i < replaced ? RowKindByte.updateAfter : RowKindByte.insert;
        }
        selection.sort();
        yield* this.#emit(batch, size, replaced > 0 ? this.#kinds : 0, out);
      }
    }
    yield* this.#forget(left);
  }

  /** Lists the keys of the rows and what becomes of each; counts what takes away nothing. Answers how many keys there are. */
  #fold(kinds: Column, list: number, n: number): number {
    const { memory, counters } = this.#context;
    const { u32 } = memory;
    const { headAt, resolve } = this.#kept;
    const round = (this.#round.get() % 0xffff_fffe) + 1;
    this.#round.set(round);
    let met = 0;
    let unknown = 0;
    for (let k = 0; k < n; k++) {
      const entry = u32[(resolve.entries >>> 2) + k] as number;
      const at = (entry + headAt) >>> 2;
      const row = list === 0 ? k : (u32[(list >>> 2) + k] as number);
      let has: boolean;
      if (u32[at] !== round) {
        u32[at] = round;
        u32[at + 1] = met;
        u32[(this.#met >>> 2) + met++] = entry;
        has = u32[at + 2] !== 0;
      } else has = this.#last[u32[at + 1] as number] !== gone;
      const adds = this.#adds(kinds, row);
      if (!adds && !has) unknown++;
      this.#last[u32[at + 1] as number] = adds ? row : gone;
    }
    if (unknown > 0) counters.addSkipped(unknown);
    return met;
  }

  /** Whether a row comes. Errors: `source/bad-record` where its kind is none. */
  #adds({ values, validity, dictionary }: Column, row: number): boolean {
    const { memory, name } = this.#context;
    const { u32 } = memory;
    const valid = isValid(memory, validity, row);
    const view = dictionary ? dictionary.views + 16 * (u32[(values >>> 2) + row] as number) : values + 16 * row;
    if (valid && u32[view >>> 2] === 2) {
      const kind = kindOfText[u32[(view >>> 2) + 1] as number];
      if (kind !== undefined) return kind === RowKindByte.insert || kind === RowKindByte.updateAfter;
    }
    throw new MillraceError(
      'source/bad-record',
      `the row_kind of a row is ${valid ? JSON.stringify(readText(memory, view)) : 'NULL'}; it must be one of ${rowKindNames.join(', ')}: mend it in a with before fromChangelog, or filter such rows out`,
      { where: { operator: name } },
    );
  }

  /** −U and −D of the `had` entries of `before`, where that is a change; lists those that get another row. */
  *#takeBack(batch: Batch, had: number, out: Output): Generator<void, number> {
    const { memory, bounded } = this.#context;
    const { u8, u32 } = memory;
    const [before, changed, rows, selection] = [
      this.#before >>> 2,
      this.#changed >>> 2,
      this.#rows >>> 2,
      this.#selection >>> 2,
    ];
    const old = bounded ? null : this.#kept.read(this.#before, had);
    let size = 0;
    let taken = 0;
    for (let i = 0; i < had; i++) {
      const row = this.#beforeLast[i] as number;
      if (row !== gone) {
        if (old !== null && this.#isSame(old, i, batch, row)) continue;
        u32[changed + size] = u32[before + i] as number;
        u32[rows + size++] = row;
      }
      if (row !== gone && this.#quiet) continue;
      u8[this.#kinds + i] = row === gone ? RowKindByte.delete : RowKindByte.updateBefore;
      u32[selection + taken++] = i;
    }
    if (old !== null && taken > 0) yield* this.#emit(old, taken, this.#kinds, out);
    return size;
  }

  #isSame(old: Batch, i: number, batch: Batch, row: number): boolean {
    for (const leaf of this.#others) {
      const { storage } = this.#layout[leaf]!;
      if (!sameValueAt(this.#context.memory, storage, old.columns[leaf]!, i, batch.columns[leaf]!, row)) return false;
    }
    return true;
  }

  /** The entries that have no row any more leave: nothing may hold their addresses from here on. */
  *#forget(left: number): Generator<void> {
    const { table } = this.#kept;
    for (let done = 0; done < left; ) {
      done += table.remove(this.#gone + 4 * done, left - done);
      if (done < left) yield* waitForPages(table.stop, this.#context.state);
    }
  }

  *#finish(out: Output): Generator<void> {
    const { table, resolve } = this.#kept;
    const { batchRows, memory } = this.#context;
    memory.u32.set(
      memory.u32.subarray(resolve.identity >>> 2, (resolve.identity >>> 2) + batchRows),
      this.#selection >>> 2,
    );
    for (let n = table.drain(resolve.entries, batchRows); n > 0; n = table.drain(resolve.entries, batchRows)) {
      yield* this.#emit(this.#kept.read(resolve.entries, n), n, 0, out);
    }
    table.clear();
  }

  #emit({ rowCount, columns }: Batch, size: number, kinds: number, out: Output): Generator<void> {
    const { batchRows } = this.#context;
    return emitRows({ layout: this.#layout, rowCount, columns, kinds }, this.#selection, size, batchRows, out);
  }
}

/** Row kinds by their two characters as they stand in a view. */
const kindOfText: Readonly<Record<number, number>> = Object.fromEntries(
  rowKindNames.map((name, kind) => [name.charCodeAt(0) | (name.charCodeAt(1) << 8), kind]),
);
