/** Checks what a person asked of a run, and fills in what they left open. */
import { availableParallelism, totalmem } from 'node:os';
import { bytesOf, durationMs } from '../core/base/duration.ts';
import { MillraceError } from '../core/base/errors.ts';
import { batchRowsMax, slotBytesMax, slotBytesMin, slotsMax, userCallMsMax } from '../core/base/limits.ts';
import type { JobOptions } from './messages.ts';

/** The part of RunOptions that decides how a job is laid out. */
export interface LayoutOptions {
  readonly parallelism?: number;
  readonly memory?: string;
  readonly mode?: 'bounded' | 'stream';
  /** Rows in a batch; tests set it low. */
  readonly batchRows?: number;
  /** One call of a user function may take this long. */
  readonly callTimeout?: string;
  /** Seed of the job's hash, a decimal string; kept in snapshots. */
  readonly hashSeed?: string;
}

const defaultHashSeed = '7640891576956012809';

/** Errors: `option/invalid`, saying the option, its limits and what was given. */
export function checkOptions(options: LayoutOptions): JobOptions {
  const parallelism = options.parallelism ?? Math.min(availableParallelism(), slotsMax);
  if (!Number.isInteger(parallelism) || parallelism < 1 || parallelism > slotsMax) {
    throw invalid(`parallelism must be a whole number from 1 to ${slotsMax}, not ${parallelism}`);
  }
  const memoryBytes = options.memory === undefined ? defaultMemory(parallelism) : bytesOf(options.memory);
  const least = parallelism * slotBytesMin;
  if (memoryBytes < least) {
    throw invalid(
      `memory '${options.memory}' is too little for ${parallelism} slots: each needs at least ${slotBytesMin / 2 ** 20} MB, so give '${least / 2 ** 20}mb' or more, or lower parallelism`,
    );
  }
  if (memoryBytes > totalmem() * 4) {
    throw invalid(
      `memory '${options.memory}' is more than four times what this machine has (${Math.floor(totalmem() / 2 ** 20)} MB)`,
    );
  }
  const { mode } = options;
  if (mode !== undefined && mode !== 'bounded' && mode !== 'stream') {
    throw invalid(`mode must be 'bounded' or 'stream', not '${mode}'`);
  }
  const batchRows = options.batchRows ?? batchRowsMax;
  if (!Number.isInteger(batchRows) || batchRows < 1 || batchRows > batchRowsMax) {
    throw invalid(`batchRows must be a whole number from 1 to ${batchRowsMax}, not ${batchRows}`);
  }
  const callTimeoutMs = options.callTimeout === undefined ? userCallMsMax : durationMs(options.callTimeout);
  if (callTimeoutMs < 100) throw invalid(`callTimeout must be at least '100 ms', not '${options.callTimeout}'`);
  return {
    callTimeoutMs,
    parallelism,
    memoryBytes,
    mode: mode ?? null,
    batchRows,
    hashSeed: options.hashSeed ?? defaultHashSeed,
  };
}

/** Bytes of one slot's memory: its share, a multiple of 64 KB, at most 4 GiB. */
export function slotBytes(options: JobOptions): number {
  const share = Math.min(options.memoryBytes / options.parallelism, slotBytesMax);
  return Math.floor(share / 65_536) * 65_536;
}

/** Address space, not resident memory: pages that are never touched cost nothing. Half the machine, at least 64 MB a slot. */
function defaultMemory(parallelism: number): number {
  return Math.max(Math.floor(totalmem() / 2), parallelism * 64 * 2 ** 20);
}

const invalid = (message: string): MillraceError => new MillraceError('option/invalid', message);
