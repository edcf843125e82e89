/** The end of a chain: rows go to a connector's writer. It knows neither file nor receiver. */
import type { SinkWriter } from '../ports/connector.ts';
import type { Batch } from '../record/batch.ts';
import { type Operator, Progress } from './operator.ts';

/** What a sink counts. */
export interface SinkCounters {
  addWritten(rows: number): void;
  setBytesWritten(bytes: number): void;
}

export function sinkOperator(writer: SinkWriter, counters: SinkCounters): Operator {
  let waiting: Batch | null = null;
  const write = (batch: Batch): Progress => {
    waiting = writer.write(batch) ? null : batch;
    if (!waiting) counters.addWritten(batch.size);
    return waiting ? Progress.more : Progress.done;
  };
  return {
    onBatch: (batch) => write(batch),
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
