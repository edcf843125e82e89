/**
 * The output of a chain along one edge: gathers rows per target in the producer's memory and sends them across as frames,
 * each in one copy. A full ring is an answer (`more`), after which only `resume` may be called until it answers `done`.
 * Knows nothing of the operators before it; whether an edge is one of several is the task's business.
 */
import type { Progress } from '../../core/operators/operator.ts';
import type { Edge } from '../../core/plan/physical.ts';
import type { Batch } from '../../core/record/batch.ts';
import type { ExchangeContext } from './context.ts';

export interface Router {
  /** Takes the rows that are in. After `more` the batch's buffers must not change until `resume` answers `done`. */
  emit(batch: Batch): Progress;
  /** Goes on with what answered `more`. */
  resume(): Progress;
  /** Sends what is gathered, and a watermark that has not travelled yet. Before a barrier, the end, parking, and every 5 ms. */
  flush(): Progress;
  /** No row at or before `timeMs` will follow. Travels with the next frame, or alone at the next flush. */
  watermark(timeMs: number, idle?: boolean): Progress;
  /** After a flush. `more` only when the consumer has not passed the barrier before this one. */
  barrier(checkpointId: number): Progress;
  /** No row will follow. Flushes first. */
  end(): Progress;
  /** Something waits for the next flush. */
  readonly hasBuffered: boolean;
  /** Nobody reads any more: what is emitted is dropped. */
  readonly closed: boolean;
  /** Sent so far. */
  readonly rows: number;
  readonly bytes: number;
  readonly frames: number;
  close(): void;
}

/** The router of `edge` in subtask `subtask` of the chain it comes from. Takes its buffers from the arena. */
export function createRouter(_context: ExchangeContext, _edge: Edge, _subtask: number): Router {
  throw new Error('under construction');
}
