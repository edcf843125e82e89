/**
 * The input of a chain: all its channels, read frame by frame in fair turns. Aligns barriers, combines watermarks, counts
 * ends. Knows nothing of the operators behind it.
 */

import { watermarkMin } from '../../core/operators/operator.ts';
import type { Chain } from '../../core/plan/physical.ts';
import type { Batch } from '../../core/record/batch.ts';
import type { ExchangeContext } from './context.ts';

/** What `poll` found. */
export const GateEvent = {
  /** Nothing now; the doorbell will ring. */ empty: 0,
  /** `batch` for input port `port`; call `release` when it is consumed, before the next poll. */ batch: 1,
  /** Event time has passed `watermarkMs`, or `idle` changed. */ watermark: 2,
  /** Every channel has reached barrier `barrierId`: nothing of before is in flight, nothing of after was read. */
  barrier: 3,
  /** All channels have ended. */ end: 4,
} as const;
export type GateEvent = (typeof GateEvent)[keyof typeof GateEvent];

export interface Gate {
  /** The next event. Never blocks; after `end` it answers `end` for ever. */
  poll(): GateEvent;
  readonly batch: Batch;
  readonly port: number;
  readonly watermarkMs: number;
  /** Every channel that has not ended is idle. */
  readonly idle: boolean;
  readonly barrierId: number;
  /** The batch of the last `poll` is consumed: its frame is the producer's again. */
  release(): void;
  /** No more input is wanted: producers drop what they have for this gate, and see it in `Router.closed`. */
  close(): void;
  /** Received so far. */
  readonly rows: number;
  readonly bytes: number;
  readonly frames: number;
}

/** The gate of one subtask of `chain`. `watermarkMs`: what a snapshot remembers; the combined watermark starts there. */
export function createGate(
  _context: ExchangeContext,
  _chain: Chain,
  _subtask: number,
  _watermarkMs = watermarkMin,
): Gate {
  throw new Error('under construction');
}
