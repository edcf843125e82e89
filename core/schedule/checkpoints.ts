/**
 * When checkpoints are taken, what becomes of them, and who is told: a pure machine, (state, event, time) → (state,
 * commands). One at a time: by interval with a pause in between, on demand, as a savepoint, for a stop, and a final one
 * when all input has ended. Knows neither files nor participants' names; core/schedule/job.ts carries out what it says.
 *
 *   nothing ──start──▶ collecting parts ──all there──▶ publishing ──published──▶ nothing
 *                        │ declined, timed out            │ failed
 *                        └───────────── given up ◀────────┘
 */
import { MillraceError, type SerialisedError, serialiseError } from '../base/errors.ts';
import { checkpointRequestsMax } from '../base/limits.ts';

export interface CheckpointPolicy {
  /** From one start to the next; null: only on demand. */
  readonly everyMs: number | null;
  /** At least so long between the end of one and the start of the next. */
  readonly minPauseMs: number;
  /** Until all parts are there. */
  readonly timeoutMs: number;
  /** Consecutive failures that are put up with; one more fails the attempt. */
  readonly tolerateFailures: number;
}

/** What a checkpoint is for. `request` names who is to be answered. */
export type CheckpointPurpose =
  | { readonly kind: 'periodic' }
  | { readonly kind: 'asked'; readonly request: number }
  | { readonly kind: 'savepoint'; readonly request: number; readonly directory: string }
  /** State of the whole job in memory, for the program that runs it. Needs no policy. */
  | { readonly kind: 'memory'; readonly request: number }
  /** Sources hold behind its barrier, and the job ends where it is. */
  | { readonly kind: 'stop'; readonly request: number; readonly savepoint: string | null }
  /** Everything has ended: sinks' last transactions are committed by it. */
  | { readonly kind: 'final'; readonly request: number | null; readonly savepoint: string | null };

export type Part = unknown;

export interface RunningCheckpoint {
  readonly id: number;
  readonly purpose: CheckpointPurpose;
  readonly startedMs: number;
  readonly missing: ReadonlySet<number>;
  readonly parts: ReadonlyMap<number, Part>;
  /** All parts are there: it is being made durable, and can no longer be given up. */
  readonly publishing: boolean;
}

export interface CheckpointState {
  /** null: nothing durable; only `memory`. */
  readonly policy: CheckpointPolicy | null;
  readonly nextId: number;
  readonly running: RunningCheckpoint | null;
  readonly queue: readonly CheckpointPurpose[];
  /** The next periodic one; null: none. */
  readonly dueMs: number | null;
  /** The final one; null: not yet. */
  readonly finalDueMs: number | null;
  readonly final: { readonly request: number | null; readonly savepoint: string | null };
  /** Sources drop what they have not read: until all has ended there is no moment from which the job could go on. */
  readonly draining: boolean;
  /** In a row. */
  readonly failures: number;
}

export type CheckpointCommand =
  /** Barriers to everybody who is `missing`. `hold`: sources stop behind it. */
  | { readonly kind: 'inject'; readonly id: number; readonly purpose: CheckpointPurpose; readonly hold: boolean }
  /** Everybody forgets what they have of it; sources that hold go on. */
  | { readonly kind: 'forget'; readonly id: number }
  | {
      readonly kind: 'publish';
      readonly id: number;
      readonly purpose: CheckpointPurpose;
      readonly parts: ReadonlyMap<number, Part>;
    }
  /** It is durable, and sinks have committed. */
  | {
      readonly kind: 'completed';
      readonly id: number;
      /** What is on disk: itself, or the earlier one from which nothing had changed. */
      readonly durableId: number;
      readonly purpose: CheckpointPurpose;
      readonly tookMs: number;
    }
  | {
      readonly kind: 'failedOne';
      readonly id: number;
      readonly purpose: CheckpointPurpose;
      readonly error: SerialisedError;
    }
  /** To who asked: `id` of the checkpoint, or why there is none. */
  | {
      readonly kind: 'answer';
      readonly request: number;
      readonly id: number | null;
      readonly error: SerialisedError | null;
    }
  /** Too many failures in a row. */
  | { readonly kind: 'giveUp'; readonly error: SerialisedError };

type Step = readonly [CheckpointState, readonly CheckpointCommand[]];

/** Between two tries of a final checkpoint. */
const finalRetryMs = 1000;

export function startCheckpoints(policy: CheckpointPolicy | null, firstId: number): CheckpointState {
  return {
    policy,
    nextId: firstId,
    running: null,
    queue: [],
    dueMs: null,
    finalDueMs: null,
    final: { request: null, savepoint: null },
    draining: false,
    failures: 0,
  };
}

/** The job runs: the interval begins. */
export function beginInterval(state: CheckpointState, nowMs: number): CheckpointState {
  const every = state.policy?.everyMs ?? null;
  return { ...state, dueMs: every === null ? null : nowMs + every };
}

/** When something is due by itself; null: nothing. */
export function dueAtMs({ running, policy, dueMs, finalDueMs }: CheckpointState): number | null {
  if (running) return running.publishing || !policy ? null : running.startedMs + policy.timeoutMs;
  if (dueMs === null || finalDueMs === null) return finalDueMs ?? dueMs;
  return Math.min(dueMs, finalDueMs);
}

/** Asked for by somebody. `who`: participants that will give a part. */
export function askFor(state: CheckpointState, purpose: CheckpointPurpose, who: Who, nowMs: number): Step {
  const request = 'request' in purpose ? purpose.request : null;
  if (!state.policy && purpose.kind !== 'memory') {
    return [state, answered(request, null, noStateDirectory())];
  }
  if (state.queue.length >= checkpointRequestsMax) {
    return [state, answered(request, null, tooMany())];
  }
  return startDue({ ...state, queue: [...state.queue, purpose] }, who, nowMs);
}

/** Who takes part: those in `parts` have nothing more to say, `missing` will answer a barrier. */
export interface Who {
  readonly missing: ReadonlySet<number>;
  readonly parts: ReadonlyMap<number, Part>;
}

/** Starts what is due, if none is running; gives up what takes too long. */
export function startDue(state: CheckpointState, who: Who, nowMs: number): Step {
  const { running, policy } = state;
  if (running) {
    if (running.publishing || !policy || nowMs < running.startedMs + policy.timeoutMs) return [state, []];
    return failed(state, timedOut(running, policy.timeoutMs), who, nowMs);
  }
  if (state.draining && state.finalDueMs === null) return [state, []];
  const [first, ...rest] = state.queue;
  if (first) return start({ ...state, queue: rest }, first, who, nowMs);
  if (state.finalDueMs !== null) {
    if (nowMs < state.finalDueMs) return [state, []];
    return start(state, { kind: 'final', ...state.final }, who, nowMs);
  }
  if (state.dueMs !== null && nowMs >= state.dueMs) return start(state, { kind: 'periodic' }, who, nowMs);
  return [state, []];
}

function start(state: CheckpointState, purpose: CheckpointPurpose, who: Who, nowMs: number): Step {
  const id = state.nextId;
  const running = { id, purpose, startedMs: nowMs, missing: who.missing, parts: who.parts, publishing: false };
  const inject = { kind: 'inject', id, purpose, hold: purpose.kind === 'stop' } as const;
  const [next, commands] = publishWhenWhole({ ...state, nextId: id + 1, running });
  return [next, [inject, ...commands]];
}

/** A participant gave its part, or has ended and left a last one. */
export function partTaken(state: CheckpointState, participant: number, id: number | null, part: Part): Step {
  const { running } = state;
  if (!running || running.publishing || (id !== null && running.id !== id) || !running.missing.has(participant))
    return [state, []];
  const missing = new Set(running.missing);
  missing.delete(participant);
  const parts = new Map(running.parts).set(participant, part);
  return publishWhenWhole({ ...state, running: { ...running, missing, parts } });
}

function publishWhenWhole(state: CheckpointState): Step {
  const running = state.running!;
  if (running.missing.size > 0) return [state, []];
  const { id, purpose, parts } = running;
  return [{ ...state, running: { ...running, publishing: true } }, [{ kind: 'publish', id, purpose, parts }]];
}

/** It is durable. */
export function published(state: CheckpointState, id: number, durableId: number, who: Who, nowMs: number): Step {
  const { running } = state;
  if (!running?.publishing || running.id !== id) return [state, []];
  const { purpose } = running;
  const completed = { kind: 'completed', id, durableId, purpose, tookMs: nowMs - running.startedMs } as const;
  const request = 'request' in purpose ? purpose.request : null;
  const told: CheckpointCommand[] = [completed, ...answered(request, durableId, null)];
  const rested = rest({ ...state, failures: 0 }, nowMs);
  if (purpose.kind === 'final') {
    return [{ ...rested, finalDueMs: null, final: { request: null, savepoint: null } }, told];
  }
  const [next, commands] = startDue(rested, who, nowMs);
  return [next, [...told, ...commands]];
}

/** A part, or what follows the parts, cannot be made. */
export function checkpointFailed(
  state: CheckpointState,
  id: number,
  error: SerialisedError,
  who: Who,
  nowMs: number,
): Step {
  if (state.running?.id !== id) return [state, []];
  return failed(state, error, who, nowMs);
}

function failed(state: CheckpointState, error: SerialisedError, who: Who, nowMs: number): Step {
  const { id, purpose } = state.running!;
  // Only what the job itself needs counts: who asked for one hears why there is none.
  const counts = purpose.kind === 'periodic' || (purpose.kind === 'final' && purpose.request === null);
  const failures = counts ? state.failures + 1 : state.failures;
  const told: CheckpointCommand[] = [
    { kind: 'forget', id },
    { kind: 'failedOne', id, purpose, error },
  ];
  const tolerated = state.policy?.tolerateFailures ?? 0;
  if (counts && failures > tolerated) {
    return [
      { ...state, running: null, failures },
      [...told, { kind: 'giveUp', error: tooManyFailures(failures, error) }],
    ];
  }
  let next = rest({ ...state, failures }, nowMs);
  if (purpose.kind === 'final') {
    told.push(...answered(purpose.request, null, error));
    next = { ...next, finalDueMs: nowMs + finalRetryMs, final: { request: null, savepoint: null } };
  } else if ('request' in purpose) told.push(...answered(purpose.request, null, error));
  const [after, commands] = startDue(next, who, nowMs);
  return [after, [...told, ...commands]];
}

/** None is running any more: when the next one is due. */
function rest(state: CheckpointState, nowMs: number): CheckpointState {
  const { policy, running } = state;
  const every = policy?.everyMs ?? null;
  if (every === null || !policy || state.draining || state.finalDueMs !== null) return { ...state, running: null };
  return { ...state, running: null, dueMs: Math.max(running!.startedMs + every, nowMs + policy.minPauseMs) };
}

/** All input has ended: a last one, after those that were asked for. */
export function finish(state: CheckpointState, who: Who, nowMs: number): Step {
  return startDue({ ...state, dueMs: null, finalDueMs: state.finalDueMs ?? nowMs }, who, nowMs);
}

/** Sources end now, before their input has: the next checkpoint is the final one, and what it is to be. */
export function finalFor(state: CheckpointState, request: number | null, savepoint: string | null): CheckpointState {
  return { ...state, final: { request, savepoint }, dueMs: null, draining: true };
}

/** The attempt ends: nothing more is taken, whoever waits is told why. */
export function abandon(state: CheckpointState, error: SerialisedError): Step {
  const { running } = state;
  const waiting = [...(running ? [running.purpose] : []), ...state.queue];
  const commands: CheckpointCommand[] = running ? [{ kind: 'forget', id: running.id }] : [];
  for (const purpose of waiting) if ('request' in purpose) commands.push(...answered(purpose.request, null, error));
  if (running?.purpose.kind !== 'final') commands.push(...answered(state.final.request, null, error));
  const final = { request: null, savepoint: null };
  return [{ ...state, running: null, queue: [], dueMs: null, finalDueMs: null, final }, commands];
}

function answered(request: number | null, id: number | null, error: SerialisedError | null): CheckpointCommand[] {
  return request === null ? [] : [{ kind: 'answer', request, id, error }];
}

const noStateDirectory = (): SerialisedError =>
  serialiseError(
    new MillraceError(
      'checkpoint/no-state-dir',
      "the job keeps nothing on disk; run it with a state directory (option 'stateDir', or --state-dir)",
    ),
  );

const tooMany = (): SerialisedError =>
  serialiseError(
    new MillraceError(
      'checkpoint/failed',
      `${checkpointRequestsMax} checkpoints are asked for already; wait for some of them`,
      { retryable: true },
    ),
  );

function timedOut({ id, missing }: RunningCheckpoint, timeoutMs: number): SerialisedError {
  const waiting = [...missing].join(', ');
  return serialiseError(
    new MillraceError(
      'checkpoint/timeout',
      `checkpoint ${id} was not complete after ${timeoutMs} ms and was given up; participant${missing.size === 1 ? '' : 's'} ${waiting} had not reached its barrier or written the state: raise 'checkpoint.timeout', or find what holds the rows up (metrics: blocked)`,
      { retryable: true },
    ),
  );
}

function tooManyFailures(failures: number, last: SerialisedError): SerialisedError {
  const error = new MillraceError(
    'checkpoint/failed',
    `${failures} checkpoint${failures === 1 ? '' : 's'} in a row failed, more than 'checkpoint.tolerateFailures' allows; the last one: ${last.message}`,
    { where: last.where, retryable: true },
  );
  return { ...serialiseError(error), cause: last };
}
