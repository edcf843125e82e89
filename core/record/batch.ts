/**
 * A batch: columns of up to a few thousand rows, all in one slot's memory. Immutable once emitted.
 *
 * Lifetime: whoever emits a batch keeps its bytes unchanged until the `emit` has been answered `done`, or, after `more`,
 * until the emitter is resumed. Whoever wants to keep a value longer copies it into state. A batch may share the buffers
 * of the batch it was made from (projection passes columns on), so the rule is transitive and needs no counting.
 */
import { assert } from '../base/assert.ts';
import type { Layout } from './layout.ts';

/** Row kinds, as Flink's changelog; one byte a row in memory. +I and +U add, −U and −D take away. */
export const RowKindByte = { insert: 0, updateBefore: 1, updateAfter: 2, delete: 3 } as const;
export type RowKind = '+I' | '-U' | '+U' | '-D';
export const rowKindNames: readonly RowKind[] = ['+I', '-U', '+U', '-D'];

/** Distinct strings that a VARCHAR column's codes point into. Belongs to the batches that carry its id. */
export interface Dictionary {
  /** Unique within the slot for as long as any batch carries it; a dictionary that changed has a new id. */
  readonly id: number;
  /** Address of `count` 16-byte views. */
  readonly views: number;
  readonly count: number;
  /** Address of `count` u64 hashes (as the hash kernels make them), 0 if nobody computed them. */
  readonly hashes: number;
}

/** One leaf column's buffers. */
export interface Column {
  /** Address of the validity bitmap (1 = valid), or 0 when no row is null. */
  readonly validity: number;
  /** Address of the values; u32 codes when there is a dictionary. 8-byte aligned. */
  readonly values: number;
  /** Only on VARCHAR columns. */
  readonly dictionary: Dictionary | null;
}

/** Where a batch's rows came from, so that an error can name a record. */
export interface BatchOrigin {
  /** `flights.parquet, row group 3`. */
  readonly source: string;
  /** Position of row 0 within it. */
  readonly firstRow: number;
}

export interface Batch {
  readonly layout: Layout;
  /** Rows in the columns, selected or not. */
  readonly rowCount: number;
  readonly columns: readonly Column[];
  /** Address of one row-kind byte per row, or 0 when all are +I. */
  readonly kinds: number;
  /** Address of `size` ascending u32 row indices, or 0 when every row is in. */
  readonly selection: number;
  /** Rows that are in: `rowCount` without a selection. */
  readonly size: number;
  readonly origin: BatchOrigin | null;
}

export function batch(
  layout: Layout,
  rowCount: number,
  columns: readonly Column[],
  more: { kinds?: number; selection?: number; size?: number; origin?: BatchOrigin | null } = {},
): Batch {
  assert(columns.length === layout.length, `a batch of ${columns.length} columns for a layout of ${layout.length}`);
  return {
    layout,
    rowCount,
    columns,
    kinds: more.kinds ?? 0,
    selection: more.selection ?? 0,
    size: more.selection ? (more.size ?? 0) : rowCount,
    origin: more.origin ?? null,
  };
}

/** What decides which compiled variant fits: per column, is it nullable here, is it dictionary-coded. */
export function shapeOf(of: Batch): string {
  let shape = of.kinds === 0 ? '' : 'k';
  for (const column of of.columns) {
    shape += column.validity === 0 ? (column.dictionary ? 'd' : 'v') : column.dictionary ? 'D' : 'V';
  }
  return shape;
}
