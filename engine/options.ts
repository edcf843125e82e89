/** Checks what a person asked of a run, and fills in what they left open. */
import { availableParallelism, totalmem } from 'node:os';
import { resolve } from 'node:path';
import type { CheckpointOptions, RestartOptions } from '../core/api/run.ts';
import { bytesOf, durationMs } from '../core/base/duration.ts';
import { MillraceError } from '../core/base/errors.ts';
import { batchRowsMax, slotBytesMax, slotBytesMin, slotsMax, userCallMsMax } from '../core/base/limits.ts';
import type { RestartStrategy } from '../core/schedule/restart.ts';
import type { DurableOptions, JobOptions } from './messages.ts';

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
  readonly stateDir?: string;
  readonly checkpoint?: CheckpointOptions;
  readonly restart?: RestartOptions;
  readonly from?: string;
  readonly allowNonRestoredState?: boolean;
  readonly takeOver?: boolean;
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
    durable: checkDurable(options),
  };
}

function checkDurable(options: LayoutOptions): DurableOptions | null {
  const { stateDir } = options;
  if (stateDir === undefined) {
    for (const name of ['checkpoint', 'restart', 'from', 'allowNonRestoredState', 'takeOver'] as const) {
      const given = options[name];
      if (given === undefined || given === false || given === 'none') continue;
      throw invalid(`'${name}' needs a state directory: give 'stateDir' (--state-dir) as well`);
    }
    return null;
  }
  if (typeof stateDir !== 'string' || stateDir === '')
    throw invalid(`stateDir must be the path of a directory, not '${stateDir}'`);
  const { from } = options;
  if (from !== undefined && (typeof from !== 'string' || from === ''))
    throw invalid(`from must be the path of a savepoint, not '${from}'`);
  const { every, minPause, timeout, tolerateFailures = 3, retain = 2 } = options.checkpoint ?? {};
  const timeoutMs = ms('checkpoint.timeout', timeout ?? '10 minutes', 1);
  return {
    stateDir: resolve(stateDir),
    policy: {
      everyMs: every === 'never' ? null : ms('checkpoint.every', every ?? '10 seconds', 10),
      minPauseMs: ms('checkpoint.minPause', minPause ?? '0 ms', 0),
      timeoutMs,
      tolerateFailures: whole('checkpoint.tolerateFailures', tolerateFailures, 0, 1_000_000),
    },
    retain: whole('checkpoint.retain', retain, 2, 1000),
    restart: checkRestart(options.restart),
    from: from === undefined ? null : resolve(from),
    allowNonRestoredState: options.allowNonRestoredState ?? false,
    takeOver: options.takeOver ?? false,
  };
}

function checkRestart(given: RestartOptions | undefined): RestartStrategy {
  if (given === 'none') return { kind: 'none' };
  const options = given ?? { strategy: 'exponentialDelay' };
  switch (options.strategy) {
    case 'none':
      return { kind: 'none' };
    case 'fixedDelay':
      return {
        kind: 'fixedDelay',
        attempts: whole('restart.attempts', options.attempts ?? 3, 1, 1_000_000),
        delayMs: ms('restart.delay', options.delay ?? '1 second', 0),
      };
    case 'failureRate':
      return {
        kind: 'failureRate',
        failures: whole('restart.failures', options.failures ?? 3, 1, 1_000_000),
        intervalMs: ms('restart.interval', options.interval ?? '10 minutes', 1),
        delayMs: ms('restart.delay', options.delay ?? '1 second', 0),
      };
    case 'exponentialDelay': {
      const { factor = 2, jitter = 0.1, attempts = 10 } = options;
      const initialMs = ms('restart.initial', options.initial ?? '1 second', 0);
      const maxMs = ms('restart.max', options.max ?? '1 minute', 0);
      if (!(factor >= 1 && factor <= 100))
        throw invalid(`restart.factor must be a number from 1 to 100, not ${factor}`);
      if (!(jitter >= 0 && jitter <= 1)) throw invalid(`restart.jitter must be a number from 0 to 1, not ${jitter}`);
      if (maxMs < initialMs)
        throw invalid(`restart.max ('${options.max ?? '1 minute'}') must not be less than restart.initial`);
      return {
        kind: 'exponentialDelay',
        initialMs,
        maxMs,
        factor,
        jitter,
        resetAfterMs: ms('restart.resetAfter', options.resetAfter ?? '10 minutes', 1),
        attempts: whole('restart.attempts', attempts, 1, 1_000_000),
      };
    }
    default:
      throw invalid(
        `restart must be 'none' or have a strategy 'none', 'fixedDelay', 'failureRate' or 'exponentialDelay', not '${String((options as { strategy?: unknown }).strategy)}'`,
      );
  }
}

function ms(name: string, text: string, least: number): number {
  const value = durationMs(text);
  if (value < least) throw invalid(`${name} must be at least '${least} ms', not '${text}'`);
  return value;
}

function whole(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw invalid(`${name} must be a whole number from ${least} to ${most}, not ${value}`);
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
