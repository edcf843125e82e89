/**
 * Aggregates over groups' accumulators, compiled: one loop over the rows updates all calls. Variants are per shape of the
 * batch (nulls, dictionaries, row list, row kinds) and compiled when first met. It knows neither keys nor pages: groups
 * come as addresses.
 */
import { assert } from '../base/assert.ts';
import { MillraceError } from '../base/errors.ts';
import { batchRowsMax } from '../base/limits.ts';
import type { AggregateCall } from '../expr/tree.ts';
import type { Kernels } from '../ports/kernels.ts';
import type { Batch, Column } from '../record/batch.ts';
import type { SlotMemory } from '../record/memory.ts';
import { type AccumulatorLayout, accumulatorLayout } from './accumulators.ts';
import {
  compileExport,
  compileFinish,
  compileMerge,
  compileMergeEntries,
  compileRowsToPartials,
  compileUpdate,
  compileUpdateOne,
  UpdateFlag,
  usedColumns,
} from './aggregate-code.ts';
import { instantiate, programOf } from './cache.ts';
import {
  columnParameterBytes,
  shapeNumber,
  shapeNumberColumns,
  shapeOfColumns,
  writeColumnParameters,
} from './columns.ts';

export { accumulatorLayout, partialLayout } from './accumulators.ts';

/** Buffers of a result column: `rows` values, and a validity bitmap (0: nobody asks; the column is never null). */
export interface ResultColumn {
  readonly values: number;
  readonly validity: number;
}

export interface AggregateContext {
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  /**
   * Keeps a text of more than 12 bytes for a group: copies the bytes of the view at `view` into memory that lives with
   * the state, and writes a view of the copy at `target` (the 16 bytes inside the accumulator). Without it, MIN and MAX
   * of longer text raise `plan/unsupported`.
   */
  keepText?(target: number, view: number): void;
  /** MIN and MAX are kept by somebody else, who writes them into the accumulators: `update` leaves them as they are. */
  readonly extremesApart?: boolean;
  /** For errors. */
  readonly name?: string;
}

/** `rows`: address of `n` u32 row numbers, or 0 for rows 0 to n − 1. `entries`: address of `n` u32 entry addresses. */
export interface AggregateUpdater {
  readonly layout: AccumulatorLayout;
  /**
   * Adds each row to its entry. Rows of kind −U and −D are taken away. Errors: `expr/overflow` for a sum outside BIGINT,
   * `plan/changelog` when MIN or MAX should take a row away.
   */
  update(batch: Batch, rows: number, n: number, entries: number): void;
  /** As `update` with every row to the entry at that address: what is not grouped. Twice as fast as by a list. */
  updateOne(batch: Batch, rows: number, n: number, entry: number): void;
  /** Adds partial results: columns `firstColumn` on of `batch` are laid out as `partialLayout`. */
  mergePartials(batch: Batch, firstColumn: number, rows: number, n: number, entries: number): void;
  /** Adds entry k of `from` to entry k of `into`; both are addresses of entry lists. */
  mergeEntries(from: number, into: number, n: number): void;
  /** Writes one result per entry and call. */
  finish(entries: number, n: number, columns: readonly ResultColumn[]): void;
  /** Writes one partial result per entry: columns as `partialLayout`. */
  exportPartial(entries: number, n: number, columns: readonly ResultColumn[]): void;
  /** Each row as a partial result of its own, without any group. */
  partialFromRows(batch: Batch, rows: number, n: number, columns: readonly ResultColumn[]): void;
}

const repeatedMax = 256;
/** From so many rows on it is worth a look whether all go to one entry. */
const oneEntryRowsMin = 64;

/** Whether `n` words from `from` on are the same: at once where they are not, and cheaper than what it saves where they are. */
function allEqual(words: Uint32Array, from: number, n: number): boolean {
  const first = words[from];
  if (words[from + n - 1] !== first || words[from + (n >>> 1)] !== first) return false;
  for (let i = from + 1; i < from + n; i++) if (words[i] !== first) return false;
  return true;
}

type Run = (parameters: number) => number;

/** `accumulatorOffset`: bytes from an entry's address to its accumulators. */
export function aggregateUpdater(
  calls: readonly AggregateCall[],
  accumulatorOffset: number,
  context: AggregateContext,
): AggregateUpdater {
  const { memory, kernels } = context;
  const layout = accumulatorLayout(calls);
  const updated = context.extremesApart
    ? { ...layout, fields: layout.fields.filter(({ kind }) => kind !== 'min' && kind !== 'max') }
    : layout;
  const used = usedColumns(updated);
  const parameters = memory.arena.allocate(
    64 + columnParameterBytes * (used.length + Math.max(layout.fields.length, calls.length)),
    'aggregate parameters',
  );
  const variants = new Map<string, Run>();
  /** All that a variant depends on beside its key. */
  const source = JSON.stringify([calls, accumulatorOffset, context.extremesApart ?? false]);
  const host = { keepText: (target: number, view: number): void => keep(target >>> 0, view >>> 0) };
  const keep =
    context.keepText ??
    ((): void => {
      throw new MillraceError(
        'plan/unsupported',
        'MIN and MAX of text longer than 12 bytes need a state that keeps text',
        {
          where: context.name === undefined ? {} : { operator: context.name },
        },
      );
    });

  const variant = (key: string, compile: () => { bytes: Uint8Array; imports: readonly string[] }): Run => {
    let run = variants.get(key);
    if (run === undefined) {
      const { bytes, imports } = programOf(`aggregate ${source} ${key}`, compile);
      run = instantiate(bytes, imports, memory.memory, kernels, host).run as Run;
      variants.set(key, run);
    }
    return run;
  };
  const begin = (rows: number, n: number, entries: number, kinds: number): void => {
    const word = parameters >>> 2;
    memory.u32[word] = rows;
    memory.u32[word + 1] = n;
    memory.u32[word + 2] = entries;
    memory.u32[word + 3] = kinds;
  };
  const columnAt = (i: number): number => parameters + 64 + i * columnParameterBytes;
  const check = (flags: number): void => {
    if (flags === 0) return;
    const where = context.name === undefined ? {} : { operator: context.name };
    if ((flags & UpdateFlag.retracted) !== 0) {
      throw new MillraceError('plan/changelog', 'MIN and MAX cannot take a row away: their input must not be updated', {
        where,
      });
    }
    throw new MillraceError(
      'expr/overflow',
      'a SUM or AVG is outside BIGINT, or the 18 digits of a DECIMAL; cast its argument to DOUBLE',
      { where },
    );
  };
  /** Bits are set by or-ing: results begin as zeros. */
  const clear = (columns: readonly ResultColumn[], storages: readonly (string | null)[], n: number): void => {
    assert(n <= batchRowsMax, `${n} results at once`);
    for (const [i, column] of columns.entries()) {
      const word = columnAt(i) >>> 2;
      memory.u32[word] = column.values;
      memory.u32[word + 1] = column.validity;
      if (column.validity !== 0) memory.u8.fill(0, column.validity, column.validity + ((n + 7) >>> 3));
      if (storages[i] === 'bit') memory.u8.fill(0, column.values, column.values + ((n + 7) >>> 3));
    }
  };
  const asked = (columns: readonly ResultColumn[]): string =>
    columns.map((c) => (c.validity === 0 ? 'v' : 'V')).join('');
  const rowsKey = (rows: number): string => (rows === 0 ? '' : 'r');

  const canUpdateOne = !updated.fields.some((f) => f.storage === 'view');
  /** 0 for what has too many columns to tell by a number. */
  const shapeHead = (of: Batch, rows: number, columns: readonly number[]): number =>
    columns.length > shapeNumberColumns
      ? 0
      : shapeNumber(of, columns) * 4 + (rows === 0 ? 0 : 2) + (of.kinds === 0 ? 0 : 1);
  const updateVariant = (of: Batch, rows: number, one: boolean): Run => {
    const shape = shapeOfColumns(of, used);
    if (one) {
      return variant(`one ${rowsKey(rows)} ${shape}`, () =>
        compileUpdateOne(updated, used, shape, accumulatorOffset, rows !== 0),
      );
    }
    return variant(`update ${rowsKey(rows)}${of.kinds === 0 ? '' : 'k'} ${shape}`, () =>
      compileUpdate(updated, used, shape, accumulatorOffset, rows !== 0, of.kinds !== 0),
    );
  };
  const mergeVariant = (of: Batch, rows: number, indices: readonly number[]): Run => {
    const shape = shapeOfColumns(of, indices);
    return variant(`merge ${rowsKey(rows)} ${shape}`, () => compileMerge(layout, shape, accumulatorOffset, rows !== 0));
  };
  let partialColumns: readonly number[] = [];
  const indicesFrom = (first: number): readonly number[] => {
    if (partialColumns[0] !== first) partialColumns = layout.fields.map((_, i) => first + i);
    return partialColumns;
  };
  /** The variants that fitted last. */
  let lastUpdate: { head: number; run: Run } = { head: -1, run: () => 0 };
  let lastMerge: { head: number; run: Run } = { head: -1, run: () => 0 };

  const apply = (batch: Batch, rows: number, n: number, entries: number, one: boolean): void => {
    const head = shapeHead(batch, rows, used) * (one ? -1 : 1);
    if (head === 0 || head !== lastUpdate.head) lastUpdate = { head, run: updateVariant(batch, rows, one) };
    begin(rows, n, entries, batch.kinds);
    for (let i = 0; i < used.length; i++)
      writeColumnParameters(memory, columnAt(i), batch.columns[used[i] as number] as Column);
    check(lastUpdate.run(parameters));
  };
  let repeated = 0;
  let identity = 0;

  return {
    layout,
    update(batch, rows, n, entries) {
      const first = entries >>> 2;
      if (canUpdateOne && batch.kinds === 0 && n >= oneEntryRowsMin && allEqual(memory.u32, first, n)) {
        apply(batch, rows, n, memory.u32[first] as number, true);
      } else apply(batch, rows, n, entries, false);
    },
    updateOne(batch, rows, n, entry) {
      if (canUpdateOne && batch.kinds === 0) {
        apply(batch, rows, n, entry, true);
        return;
      }
      // Text and retractions go the way of many entries, a few at a time.
      repeated = repeated || memory.arena.allocate(4 * repeatedMax, 'a repeated entry');
      memory.u32.fill(entry, repeated >>> 2, (repeated >>> 2) + repeatedMax);
      identity = identity || (rows === 0 ? memory.arena.allocate(4 * batchRowsMax, 'row numbers') : 0);
      if (rows === 0) for (let i = 0; i < n; i++) memory.u32[(identity >>> 2) + i] = i;
      const list = rows === 0 ? identity : rows;
      for (let from = 0; from < n; from += repeatedMax) {
        apply(batch, list + 4 * from, Math.min(repeatedMax, n - from), repeated, false);
      }
    },
    mergePartials(batch, firstColumn, rows, n, entries) {
      const indices = indicesFrom(firstColumn);
      const head = shapeHead(batch, rows, indices);
      if (head === 0 || head !== lastMerge.head) lastMerge = { head, run: mergeVariant(batch, rows, indices) };
      begin(rows, n, entries, 0);
      for (let i = 0; i < indices.length; i++)
        writeColumnParameters(memory, columnAt(i), batch.columns[indices[i] as number] as Column);
      check(lastMerge.run(parameters));
    },
    mergeEntries(from, into, n) {
      const run = variant('entries', () => compileMergeEntries(layout, accumulatorOffset));
      begin(from, n, into, 0);
      check(run(parameters));
    },
    finish(entries, n, columns) {
      const run = variant(`finish ${asked(columns)}`, () =>
        compileFinish(layout, calls, asked(columns), accumulatorOffset),
      );
      begin(0, n, entries, 0);
      clear(
        columns,
        calls.map((_, i) => layout.fields[layout.calls[i]?.value as number]?.storage ?? null),
        n,
      );
      run(parameters);
    },
    exportPartial(entries, n, columns) {
      const run = variant(`export ${asked(columns)}`, () => compileExport(layout, asked(columns), accumulatorOffset));
      begin(0, n, entries, 0);
      clear(
        columns,
        layout.fields.map((f) => (f.kind === 'sum' ? null : f.storage)),
        n,
      );
      run(parameters);
    },
    partialFromRows(batch, rows, n, columns) {
      const shape = shapeOfColumns(batch, used);
      const run = variant(`rows ${rowsKey(rows)}${batch.kinds === 0 ? '' : 'k'} ${shape} ${asked(columns)}`, () =>
        compileRowsToPartials(layout, used, shape, asked(columns), rows !== 0, batch.kinds !== 0),
      );
      begin(rows, n, 0, batch.kinds);
      clear(
        columns,
        layout.fields.map((f) => (f.kind === 'sum' ? null : f.storage)),
        n,
      );
      const inputs = parameters + 64 + columns.length * columnParameterBytes;
      for (const [i, index] of used.entries())
        writeColumnParameters(memory, inputs + i * columnParameterBytes, batch.columns[index] as Column);
      check(run(parameters));
    },
  };
}
