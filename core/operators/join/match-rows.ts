/**
 * Matches of a join on their way out, a batch at a time: columns of the batch that is being joined are gathered, those of
 * rows in state are read where they lie. Knows nothing of what matches.
 */
import type { Kernels } from '../../ports/kernels.ts';
import { type Batch, batch as batchOf, type Column } from '../../record/batch.ts';
import type { Layout, LayoutColumn } from '../../record/layout.ts';
import { LeafList } from '../../record/leaf-list.ts';
import { type ColumnBuffer, columnBuffers } from '../../record/row-store.ts';
import type { OperatorContext } from '../operator.ts';
import type { SideLeaves } from './rows.ts';

export class MatchRows {
  readonly #context: OperatorContext;
  readonly #layout: Layout;
  readonly #sides: readonly [SideLeaves, SideLeaves];
  readonly #buffers: readonly ColumnBuffer[];
  /** By side: the columns that its rows in state are read into. */
  readonly #kept: readonly LeafList[];

  constructor(layout: Layout, sides: readonly [SideLeaves, SideLeaves], context: OperatorContext) {
    const { memory, name, batchRows } = context;
    this.#context = context;
    this.#layout = layout;
    this.#sides = sides;
    this.#buffers = columnBuffers(layout, memory, batchRows, `results of ${name}`);
    this.#kept = sides.map(({ leaves, shape }, side) => {
      const list = new LeafList(shape.leaves, memory, name);
      const first = side === 0 ? 0 : sides[0].leaves.length;
      list.write(
        shape.leaves.map(({ leaf }) => {
          const place = leaves.indexOf(leaf);
          return place < 0 ? null : this.#buffers[first + place]!;
        }),
      );
      return list;
    });
  }

  /** Rows `own` (u32 each) of `batch`, which came on `port`, beside rows of the other side at the addresses `kept`. */
  take(batch: Batch, port: number, own: number, kept: number, n: number): Batch {
    const { kernels } = this.#context;
    const other = this.#sides[1 - port] as SideLeaves;
    const list = this.#kept[1 - port] as LeafList;
    if (other.leaves.length > 0) {
      kernels.rowsDecode(list.address, list.count, other.shape.nullBytes, other.shape.headBytes, kept, n);
    }
    const { leaves } = this.#sides[port] as SideLeaves;
    const first = port === 0 ? 0 : this.#sides[0].leaves.length;
    const columns = this.#layout.map((column, place): Column => {
      const buffer = this.#buffers[place] as ColumnBuffer;
      const leaf = place < first ? undefined : leaves[place - first];
      if (leaf !== undefined) gatherColumn(kernels, batch.columns[leaf] as Column, own, n, column, buffer);
      return { ...buffer, dictionary: null };
    });
    return batchOf(this.#layout, n, columns);
  }
}

/** Copies rows `rows` (u32 each) of a column to places 0 to n of a buffer. */
export function gatherColumn(
  kernels: Kernels,
  from: Column,
  rows: number,
  n: number,
  { storage, nullable }: LayoutColumn,
  { values, validity }: ColumnBuffer,
): void {
  if (nullable) kernels.gatherBits(from.validity, rows, 0, n, validity, 0);
  switch (storage) {
    case 'bit':
      kernels.gatherBits(from.values, rows, 0, n, values, 0);
      break;
    case 'i32':
      kernels.gather4(from.values, rows, 0, n, values);
      break;
    case 'view':
      kernels.gatherTexts(from.values, from.dictionary?.views ?? 0, from.validity, rows, 0, n, values);
      break;
    default:
      kernels.gather8(from.values, rows, 0, n, values);
  }
}
