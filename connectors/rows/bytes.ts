/** The size of a batch for the accounts: fixed-width bytes of its rows, a string counted as its 16-byte view. */
import type { Batch } from '../../core/record/batch.ts';
import { valueBytes } from '../../core/record/layout.ts';

export function batchBytes(batch: Batch): number {
  let bytes = batch.kinds === 0 ? 0 : batch.size;
  for (const column of batch.layout) bytes += valueBytes(column.storage, batch.size);
  return bytes;
}
