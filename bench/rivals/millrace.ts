/** Us, as everybody would call us: a pipeline through the public `run()`, its rows into the sink `arrowBatches`. */
import type { RecordBatch } from 'apache-arrow';
import { type ArrowBatch, arrowBatches, run, type Stream } from '../../index.ts';
import { arrowRows } from '../data.ts';
import type { Engine } from '../harness.ts';

/** `columns`: the result's, in the order that the rivals give them. */
export function millrace<R>(slots: number, columns: readonly string[], pipeline: () => Stream<R, 'bounded'>): Engine {
  return {
    name: 'millrace',
    slots,
    async run() {
      const batches: ArrowBatch[] = [];
      const end = pipeline().to(arrowBatches((batch) => batches.push(batch)));
      await run(end, { parallelism: slots }).result();
      return batches;
    },
    rows: (batches) => arrowRows(batches as RecordBatch[], columns),
  };
}
