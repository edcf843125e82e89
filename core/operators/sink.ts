/** The end of a chain: rows go to a connector's writer. It knows neither file nor receiver. */
import { batchRowsMax } from '../base/limits.ts';
import type { PhysicalNode } from '../plan/physical.ts';
import type { SinkWriter } from '../ports/connector.ts';
import { type Batch, batch as batchOf, RowKindByte } from '../record/batch.ts';
import type { SlotMemory } from '../record/memory.ts';
import { type Operator, Progress } from './operator.ts';

/** What a sink counts. */
export interface SinkCounters {
  addWritten(rows: number): void;
  setBytesWritten(bytes: number): void;
}

/** `told`: what of a batch reaches the writer. */
export function sinkOperator(
  writer: SinkWriter,
  counters: SinkCounters,
  told: (batch: Batch) => Batch = (batch) => batch,
): Operator {
  /** As the writer is told it. */
  let waiting: Batch | null = null;
  const write = (batch: Batch): Progress => {
    waiting = batch.size === 0 || writer.write(batch) ? null : batch;
    if (!waiting) counters.addWritten(batch.size);
    return waiting ? Progress.more : Progress.done;
  };
  return {
    onBatch: (batch) => write(told(batch)),
    resume: () => (waiting ? write(waiting) : Progress.done),
    onWatermark(timeMs) {
      writer.watermark?.(timeMs);
      return Progress.done;
    },
    flush() {
      writer.flush();
      counters.setBytesWritten(writer.bytes);
      return Progress.done;
    },
    onEnd() {
      writer.finish();
      counters.setBytesWritten(writer.bytes);
      return Progress.done;
    },
    get blocked() {
      return waiting !== null;
    },
    close: () => writer.close(),
  };
}

/**
 * What a sink is told of a batch of changes. One that knows rows by a key: no −U, or, where its +U may be missing, a deletion
 * instead. The answer is valid until the next batch.
 */
export function changesFor(
  { upsert, updating }: Extract<PhysicalNode, { kind: 'sink' }>,
  memory: SlotMemory,
  name: string,
): (batch: Batch) => Batch {
  if (!upsert || !updating) return (batch) => batch;
  const buffer = memory.arena.allocate(upsert.halves ? batchRowsMax : 4 * batchRowsMax, `changes of ${name}`);
  return upsert.halves ? asDeletions(memory, buffer) : withoutBefore(memory, buffer);
}

function withoutBefore({ u8, u32 }: SlotMemory, buffer: number): (batch: Batch) => Batch {
  return (batch) => {
    const { kinds, selection, size, rowCount, layout, columns, origin } = batch;
    if (kinds === 0) return batch;
    let left = 0;
    for (let k = 0; k < size; k++) {
      const row = selection === 0 ? k : (u32[(selection >>> 2) + k] as number);
      if (u8[kinds + row] !== RowKindByte.updateBefore) u32[(buffer >>> 2) + left++] = row;
    }
    return left === size ? batch : batchOf(layout, rowCount, columns, { kinds, selection: buffer, size: left, origin });
  };
}

function asDeletions({ u8 }: SlotMemory, buffer: number): (batch: Batch) => Batch {
  return (batch) => {
    const { kinds, rowCount } = batch;
    if (kinds === 0) return batch;
    for (let row = 0; row < rowCount; row++) {
      const kind = u8[kinds + row] as number;
      u8[buffer + row] = kind === RowKindByte.updateBefore ? RowKindByte.delete : kind;
    }
    return { ...batch, kinds: buffer };
  };
}
