/**
 * Rows as plain arrays of stored values, for what leaves a slot's memory without becoming the user's: kept rows in a
 * snapshot. A leaf is what its storage holds: boolean, number (i32, f64), bigint (i64), string, null; nothing is lost
 * but bytes of a VARCHAR that are no UTF-8.
 */
import type { Batch } from './batch.ts';
import { columnReader, type LeafValue } from './column-reader.ts';
import type { Layout, LayoutColumn, StorageKind } from './layout.ts';
import type { SlotMemory } from './memory.ts';
import { rowWriter } from './row-writer.ts';
import type { DataType, Fields } from './types.ts';

export type RowValues = readonly LeafValue[];

/** The rows of a batch that are in. */
export function rowValues(batch: Batch, memory: SlotMemory): RowValues[] {
  const readers = batch.layout.map((column, leaf) => {
    const reader = columnReader(storedColumn(column), memory);
    const from = batch.columns[leaf];
    if (from) reader.open(from);
    return reader;
  });
  return Array.from({ length: batch.size }, (_, k) => {
    const row = batch.selection === 0 ? k : (memory.u32[(batch.selection >>> 2) + k] as number);
    return readers.map((reader) => reader.value(row));
  });
}

/** The inverse: calls `take` with batches of up to `batchRows` of the rows, each valid during the call. */
export function eachBatchOf(
  rows: Iterable<RowValues>,
  layout: Layout,
  memory: SlotMemory,
  batchRows: number,
  take: (batch: Batch) => void,
): void {
  // By position: leaves may be called anything.
  const fields: Fields = layout.map(({ storage, nullable }, leaf) => {
    return { name: `${leaf}`, type: storedTypes[storage], nullable };
  });
  const stored = layout.map((column, leaf) => ({ ...storedColumn(column), name: `${leaf}` }));
  const writer = rowWriter(fields, stored, memory, batchRows);
  const leave = (): void => {
    take({ ...writer.batch(), layout });
    writer.reset();
  };
  for (const row of rows) {
    if (writer.append(row)) continue;
    leave();
    writer.append(row);
  }
  if (writer.rows > 0) leave();
}

/** The column as one of the plain type that its storage is. */
export function storedColumn(column: LayoutColumn): LayoutColumn {
  return { ...column, type: storedTypes[column.storage] };
}

const storedTypes: Readonly<Record<StorageKind, DataType>> = {
  bit: { kind: 'BOOLEAN' },
  i32: { kind: 'INT' },
  i64: { kind: 'BIGINT', asBigInt: true },
  f64: { kind: 'DOUBLE' },
  view: { kind: 'VARCHAR' },
};
