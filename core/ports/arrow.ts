/** Arrow at the boundary: `connectors/arrow` implements it over apache-arrow, which core does not import. */
import type { Batch } from '../record/batch.ts';
import type { Layout } from '../record/layout.ts';
import type { SlotMemory } from '../record/memory.ts';
import type { Fields } from '../record/types.ts';

export interface ArrowBoundary {
  /** An apache-arrow RecordBatch with copies of the rows that are in; ROWs are Structs again. `$` columns stay out. */
  toArrow(batch: Batch, fields: Fields, memory: SlotMemory): unknown;
  /** A writer that brings a RecordBatch or Table of type `fields` into slot memory, up to `batchRows` rows a batch. */
  fromArrow(fields: Fields, layout: Layout, memory: SlotMemory, batchRows: number): ArrowImporter;
}

export interface ArrowImporter {
  /** Takes a RecordBatch or Table. Errors: `schema/mismatch` naming the column, its Arrow type and ours. */
  begin(from: unknown): void;
  /** The next rows, or null at the end. The batch is valid until the next call. */
  next(): Batch | null;
}
