/**
 * What a task counts, in shared memory that any thread may read while the job runs: one block of doubles per
 * (participant, chain), written by its task alone. A reader sees each number whole, not all of one instant.
 */
import { watermarkMin } from '../core/operators/operator.ts';

/** Index of each counter in a block. Rows are counted where they enter and leave the chain. */
export const Counter = {
  /** Rows read from a source. */ rowsRead: 0,
  /** Rows received over edges. */ rowsReceived: 1,
  /** Rows sent over edges. */ rowsSent: 2,
  /** Rows handed to sinks. */ rowsWritten: 3,
  bytesRead: 4,
  bytesSent: 5,
  bytesWritten: 6,
  busyMs: 7,
  blockedMs: 8,
  starvedMs: 9,
  watermarkMs: 10,
  lateRows: 11,
  stateBytes: 12,
  steps: 13,
  /** Records that sources and functions could not take, where `onError` is `skip` or `side`. */ rowsSkipped: 14,
  /** Index + 1 of the operator whose user function is running; 0: none is. */
  userOperator: 15,
  /** Calls of user functions. */
  userCalls: 16,
  /** Windows and sessions that closed. */
  windowsClosed: 17,
} as const;
const countersPerTask = 32;
const bytesPerTask = countersPerTask * 8;

/** Bytes of the counters of `participants` × `chains` tasks. */
export function counterBytes(participants: number, chains: number): number {
  return participants * chains * bytesPerTask;
}

export function taskBlock(buffer: SharedArrayBuffer, chains: number, participant: number, chain: number): Float64Array {
  return new Float64Array(buffer, (participant * chains + chain) * bytesPerTask, countersPerTask);
}

/** Behind the counters of a task: what tasks of one source tell each other (workers/alignment.ts). */
export function alignmentWords(buffer: SharedArrayBuffer, chains: number, participant: number, chain: number) {
  const at = (participant * chains + chain + 1) * bytesPerTask - alignmentBytes;
  return new BigInt64Array(buffer, at, alignmentBytes / 8);
}
const alignmentBytes = 16;

export class TaskCounters {
  readonly #block: Float64Array;
  constructor(block: Float64Array) {
    this.#block = block;
    block[Counter.watermarkMs] = watermarkMin;
  }
  addRead(rows: number): void {
    this.#block[Counter.rowsRead]! += rows;
  }
  addReceived(rows: number): void {
    this.#block[Counter.rowsReceived]! += rows;
  }
  addSent(rows: number): void {
    this.#block[Counter.rowsSent]! += rows;
  }
  addWritten(rows: number): void {
    this.#block[Counter.rowsWritten]! += rows;
  }
  setBytesWritten(bytes: number): void {
    this.#block[Counter.bytesWritten] = bytes;
  }
  addLate(rows: number): void {
    this.#block[Counter.lateRows]! += rows;
  }
  addClosed(windows: number): void {
    this.#block[Counter.windowsClosed]! += windows;
  }
  addSkipped(rows: number): void {
    this.#block[Counter.rowsSkipped]! += rows;
  }
  setWatermark(timeMs: number): void {
    this.#block[Counter.watermarkMs] = timeMs;
  }
  /** A user function of operator `index` is about to run. */
  enterUser(index: number): void {
    this.#block[Counter.userOperator] = index + 1;
  }
  leaveUser(): void {
    this.#block[Counter.userOperator] = 0;
  }
  /** One call of a user function is over. */
  countCall(): void {
    this.#block[Counter.userCalls]! += 1;
  }
  set(counter: (typeof Counter)[keyof typeof Counter], value: number): void {
    this.#block[counter] = value;
  }
  /** A step that took `ms` and what it answered. */
  addStep(ms: number): void {
    this.#block[Counter.busyMs]! += ms;
    this.#block[Counter.steps]! += 1;
  }
  addBlocked(ms: number): void {
    this.#block[Counter.blockedMs]! += ms;
  }
  addStarved(ms: number): void {
    this.#block[Counter.starvedMs]! += ms;
  }
}
