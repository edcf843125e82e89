/**
 * What an operator is. One required method; optional hooks are absent, not empty. No thread, clock, file or promise in
 * sight; no operator knows of checkpoints, alignment or metrics: it declares state, and the runtime does the rest.
 */

import type { ArrowBoundary } from '../ports/arrow.ts';
import type { BlockPool } from '../ports/blocks.ts';
import type { Kernels } from '../ports/kernels.ts';
import type { OperatorState } from '../ports/state.ts';
import type { Batch } from '../record/batch.ts';
import type { Layout } from '../record/layout.ts';
import type { SlotMemory } from '../record/memory.ts';

export const Progress = {
  /** Everything given was consumed. */ done: 0,
  /** Stopped in the middle of the output; resume me before giving me anything else. */ more: 1,
} as const;
export type Progress = (typeof Progress)[keyof typeof Progress];

/** Where an operator's rows go. Room is bounded. */
export interface Output {
  /**
   * Passes a batch downstream. `done`: it was consumed, its buffers are the emitter's again. `more`: downstream is full;
   * the batch stays with it, and its buffers must not change until `resume` is called; emit nothing until then.
   * `port` 0 is the main output, others are side outputs in the order the operator's type declares them.
   */
  emit(batch: Batch, port?: number): Progress;
  /** Only for the `watermark` operator: event time has passed `timeMs`. Upstream watermarks end at that operator. */
  watermark?(timeMs: number): Progress;
}

/** The work of one plan node inside one task. One thread, never re-entered. */
export interface Operator {
  /** Consume rows of `batch` from input `port` until they end or `out` is full; `more` asks to be resumed. */
  onBatch(batch: Batch, port: number, out: Output): Progress;
  /** Go on where the last `more` stopped. Called before anything else reaches the operator. */
  resume?(out: Output): Progress;
  /** No row at or before `timeMs` will follow on any input. */
  onWatermark?(timeMs: number, out: Output): Progress;
  /** Emit what is held outside declared state. Called before a watermark, a barrier, the end, and before parking. */
  flush?(out: Output): Progress;
  /**
   * Emit what is held of moments up to `timeMs`, which event time has passed or is about to; what is of later moments may
   * stay, for nobody can need it yet. Where it is there, it is called instead of `flush` before a watermark and parking.
   */
  flushUntil?(timeMs: number, out: Output): Progress;
  /** The clock has passed `nextProcessingTimeMs`: do what is due at `nowMs`, milliseconds since the epoch. */
  onProcessingTime?(nowMs: number, out: Output): Progress;
  /** When `onProcessingTime` is wanted next; null: not at all. Read between steps. */
  readonly nextProcessingTimeMs?: number | null;
  /** Of several inputs, `port` has ended. Told before `onEnd`, and after a restart again. */
  onInputEnd?(port: number, out: Output): Progress;
  /** All inputs ended: emit whatever is still held. */
  onEnd?(out: Output): Progress;
  /**
   * Between two `more` of `onWatermark` and `onEnd`, when what it emitted has been consumed, all that it still has to emit is
   * in declared state and would be emitted again if that moment of event time came again: a barrier may pass there. Absent:
   * a barrier waits until it has answered `done`.
   */
  readonly firesFromState?: boolean;
  /**
   * Its rows come when its input ends, wherever event time stands by then. Event time below `watermarkMax` neither reaches it
   * nor passes it: whoever reads those rows must not have been told before that none would come.
   */
  readonly holdsToEnd?: boolean;
  /** It wants no more rows (a LIMIT that has them): the runtime ends its input early. */
  readonly satisfied?: boolean;
  /** The last `more` means that something outside is behind and will wake the task; resuming at once would be in vain. */
  readonly blocked?: boolean;
  /** Release what lies outside the slot's memory (file handles). Called once, also after a failure. */
  close?(): void;
}

/** Event time before the first and after the last watermark, milliseconds. */
export const watermarkMin = Number.MIN_SAFE_INTEGER;
export const watermarkMax = Number.MAX_SAFE_INTEGER;

/** Counters that an operator itself knows of; the runtime counts rows, bytes and time. */
export interface OperatorCounters {
  addLate(rows: number): void;
  /** Windows, or sessions, whose result is told for the first time. */
  addClosed(windows: number): void;
  /** Records that it could not take and that did not fail the job. */
  addSkipped(rows: number): void;
  /** One call of a user function is over: a watchdog ends a call that lasts too long. */
  countCall(): void;
}

/** What an operator is made with. */
export interface OperatorContext {
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  readonly state: OperatorState;
  readonly counters: OperatorCounters;
  /** Rows in an output batch at most, ≤ limits.batchRowsMax. Tests set 1 and 7. */
  readonly batchRows: number;
  /** Ended input: no row is late, only final rows are emitted. */
  readonly bounded: boolean;
  /** Seed of the job's hash. */
  readonly hashSeed: bigint;
  readonly subtask: number;
  readonly parallelism: number;
  /** Name for errors, as `explain` shows it. */
  readonly name: string;
  /** Layout of each input port. */
  readonly inputs: readonly Layout[];
  /** Layout of each output port: the main one, then side outputs. */
  readonly outputs: readonly Layout[];
  /** Arrow at the boundary, for `mapBatch`. */
  readonly arrow: ArrowBoundary;
  /** Room for rows that an operator keeps outside declared state (sort, top-n). Absent: the arena gives it. */
  readonly blocks?: BlockPool;
  /** The clock, milliseconds since the epoch: for processing time. Absent: there is none. */
  readonly nowMs?: () => number;
  /** Test mode: a row view that is kept beyond its call throws when it is read. */
  readonly poisonRows?: boolean;
  /** The user function of that id. Errors: `job/needs-module`. */
  userFunction(id: string): UserFunction;
}

/** A function of the user's, as the job module registered it. */
// biome-ignore lint/suspicious/noExplicitAny: the one place where a user's function loses its types
export type UserFunction = (...args: any[]) => any;
