/**
 * One row of each key, in an entry of a table of groups: behind words of the operator's own stand the columns that are not
 * the key. What is kept, and when, is for the operator.
 */
import { MillraceError } from '../../base/errors.ts';
import { batchRowsMax, textBytesOf } from '../../base/limits.ts';
import { type CellLayout, type Cells, cellLayout, cellLeaves, cellPrograms } from '../../compile/cells.ts';
import type { AccumulatorLeaf, GroupTable } from '../../ports/state.ts';
import { type Batch, batch as batchOf, type Column } from '../../record/batch.ts';
import type { Layout } from '../../record/layout.ts';
import { identityRows, KeyHasher, type ResolveBuffers, resultColumns } from '../keyed-parts.ts';
import type { OperatorContext } from '../operator.ts';

export interface KeptEntriesDecl {
  /** Of rows as they come. */
  readonly layout: Layout;
  readonly keys: readonly number[];
  /** A leaf that rows of a key have in common and that stands behind it; null: none. */
  readonly also?: number | null;
  /** Leaves that are kept beside the key. */
  readonly leaves: readonly number[];
  /** Bytes of the operator's own before the row, and what stands there. */
  readonly headBytes: number;
  readonly head: readonly AccumulatorLeaf[];
}

export class KeptEntries {
  readonly table: GroupTable;
  readonly cells: CellLayout;
  readonly resolve: ResolveBuffers;
  /** Offset from an entry to the operator's own words. */
  readonly headAt: number;
  /** Offset from an entry to the row's cells. */
  readonly cellsAt: number;
  /** Rows that were read: valid until the next `read`. */
  readonly columns: readonly Column[];
  readonly #layout: Layout;
  readonly #keys: readonly number[];
  readonly #programs: Cells;
  readonly #cellColumns: readonly Column[];

  constructor({ layout, keys: own, also = null, leaves, headBytes, head }: KeptEntriesDecl, context: OperatorContext) {
    const { memory, kernels, state, name } = context;
    const keys = also === null ? own : [...own, also];
    this.#layout = layout;
    this.#keys = keys;
    this.cells = cellLayout(layout, leaves);
    const texts = this.cells.cells.filter(({ storage }) => storage === 'view');
    this.table = state.groups({
      name: 'kept',
      keys: keys.map((leaf) => layout[leaf]!),
      accumulatorBytes: headBytes + this.cells.bytes,
      texts: texts.map(({ valueAt }) => headBytes + valueAt),
      leaves: [...head, ...cellLeaves(layout, this.cells, headBytes)],
    });
    this.headAt = this.table.accumulatorOffset;
    this.cellsAt = this.headAt + headBytes;
    const most = textBytesOf(texts.length);
    this.#programs = cellPrograms(this.cells, this.cellsAt, {
      memory,
      kernels,
      keepText: (target, view) => {
        const length = memory.u32[view >>> 2] as number;
        if (length > most) throw tooLong(length, most, texts.length, name);
        this.table.keepText(target, view);
      },
    });
    this.resolve = {
      state,
      hasher: new KeyHasher(context, layout, own),
      hashes: memory.arena.allocate(8 * batchRowsMax, `hashes of ${name}`),
      identity: identityRows(memory),
      entries: memory.arena.allocate(4 * batchRowsMax, `rows of ${name}`),
    };
    this.columns = resultColumns(layout, batchRowsMax, context);
    this.#cellColumns = this.cells.cells.map(({ leaf }) => this.columns[leaf]!);
  }

  /** The rows that `n` entries (u32 at `entries`) have. */
  read(entries: number, n: number): Batch {
    this.#keys.forEach((leaf, key) => {
      const { values, validity } = this.columns[leaf]!;
      this.table.readKey(key, entries, n, values, validity);
    });
    this.#programs.read(entries, n, this.#cellColumns);
    return batchOf(this.#layout, n, this.columns);
  }

  /** Row `rows`[k] is what `entries`[k] has from now on, for k < n. Errors: `record/too-large`. */
  write(batch: Batch, rows: number, n: number, entries: number): void {
    this.#programs.write(batch, rows, n, entries);
  }
}

function tooLong(length: number, most: number, texts: number, operator: string): MillraceError {
  return new MillraceError(
    'record/too-large',
    `a row to be kept has a text of ${length} bytes, at most ${most} are kept of each of its ${texts}; leave the column out before, or take a SUBSTRING of it`,
    { where: { operator } },
  );
}
