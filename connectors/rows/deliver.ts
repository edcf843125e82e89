/**
 * Handing rows to the caller's program, one after the other, from the thread that called `run`. A row that is not taken
 * at once stops the batch there: the writer answers false, and the same batch goes on when the receiver has room.
 */

import type { SinkWriter, WriterContext } from '../../core/ports/connector.ts';
import { type Batch, RowKindByte, rowKindNames } from '../../core/record/batch.ts';
import { rowReader } from '../../core/record/row-view.ts';
import type { Fields } from '../../core/record/types.ts';
import { batchBytes } from './bytes.ts';

/** What a receiver gets: a row, or for updating results `{ kind, row }`. */
export interface Receiver {
  /** False: not taken; the receiver calls the writer's `wake` when it is ready for it again. */
  take(item: unknown): boolean;
  /** All rows were taken and none will follow. */
  end(): void;
}

/** `changes`: items are changes. Errors: `value/unsafe-integer` while rows are made, and the receiver's own. */
export function deliver(fields: Fields, context: WriterContext, changes: boolean, receiver: Receiver): SinkWriter {
  const reader = rowReader(fields, context.memory);
  const { u8, u32 } = context.memory;
  let bytes = 0;
  let under: Batch | null = null;
  /** Rows of `under` that were taken, and the item that was not. */
  let taken = 0;
  let item: unknown;
  return {
    write(batch) {
      if (batch !== under) {
        under = batch;
        taken = 0;
        item = undefined;
        reader.open(batch);
      }
      for (; taken < batch.size; taken++) {
        if (item === undefined) {
          const row = batch.selection === 0 ? taken : u32[(batch.selection >>> 2) + taken]!;
          const value = reader.read(row);
          const kind = batch.kinds === 0 ? RowKindByte.insert : u8[batch.kinds + row]!;
          item = changes ? { kind: rowKindNames[kind], row: value } : value;
        }
        if (!receiver.take(item)) return false;
        item = undefined;
      }
      under = null;
      bytes += batchBytes(batch);
      return true;
    },
    flush() {},
    finish: () => receiver.end(),
    close() {},
    get bytes() {
      return bytes;
    },
  };
}
