/**
 * The one error class of the engine. A message says whose fault it is, where it happened, what was expected and what
 * to do; the code is stable and has a line in docs/errors.md. `assert` is for our own mistakes, this is for the world.
 */

/** Stable error codes: `area/what`. Each has a line in docs/errors.md and a test. */
export type ErrorCode =
  | 'option/invalid'
  | 'plan/unknown-column'
  | 'plan/type'
  | 'plan/unused-expression'
  | 'plan/changelog'
  | 'plan/window'
  | 'plan/unbounded'
  | 'plan/duplicate'
  | 'plan/unsupported'
  | 'plan/invalid'
  | 'schema/mismatch'
  | 'job/not-found'
  | 'job/no-default-export'
  | 'job/import-failed'
  | 'job/differs'
  | 'job/needs-module'
  | 'job/build-failed'
  | 'job/unread'
  | 'job/cancelled'
  | 'job/not-running'
  | 'source/not-found'
  | 'source/forbidden'
  | 'source/corrupt'
  | 'source/unsupported'
  | 'source/bad-record'
  | 'source/lost'
  | 'source/failed'
  | 'source/not-replayable'
  | 'sink/forbidden'
  | 'sink/disk-full'
  | 'sink/failed'
  | 'sink/closed'
  | 'sink/lost'
  | 'time/bad-event-time'
  | 'expr/overflow'
  | 'expr/cast'
  | 'expr/division-by-zero'
  | 'value/unsafe-integer'
  | 'function/threw'
  | 'function/endless'
  | 'function/bad-result'
  | 'function/misuse'
  | 'function/too-many'
  | 'memory/exhausted'
  | 'memory/unavailable'
  | 'record/too-large'
  | 'record/corrupt-frame'
  | 'snapshot/mismatch'
  | 'state/locked'
  | 'state/fenced'
  | 'state/corrupt'
  | 'state/forbidden'
  | 'state/not-found'
  | 'state/disk-full'
  | 'state/failed'
  | 'checkpoint/no-state-dir'
  | 'checkpoint/timeout'
  | 'checkpoint/failed'
  | 'checkpoint/aborted'
  | 'slot/died'
  | 'slot/trapped';

/** Where an error happened; every part that is known. */
export interface ErrorWhere {
  /** Name of the operator, as `explain` shows it. */
  readonly operator?: string;
  /** Call site in the job file: `delays.ts:10`. */
  readonly callSite?: string;
  /** File path, when a file is at fault. */
  readonly path?: string;
  /** Position in the source: `row group 3`, `line 12, byte 4711`, `row 17`. */
  readonly position?: string;
  /** Slot number. */
  readonly slot?: number;
}

export interface ErrorOptions {
  readonly where?: ErrorWhere;
  readonly cause?: unknown;
  /** True when the same input may succeed later (disk full, connection lost). */
  readonly retryable?: boolean;
}

export class MillraceError extends Error {
  readonly code: ErrorCode;
  readonly where: ErrorWhere;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'MillraceError';
    this.code = code;
    this.where = options.where ?? {};
    this.retryable = options.retryable ?? false;
  }
}

/** Also when it was made by another copy of this module: a thread's bundle, the job file's own import. */
export function isMillraceError(error: unknown): error is MillraceError {
  if (error instanceof MillraceError) return true;
  return (
    error instanceof Error && error.name === 'MillraceError' && typeof (error as { code?: unknown }).code === 'string'
  );
}

/** What crosses a thread boundary instead of an error: structured clone loses classes and fields. */
export interface SerialisedError {
  readonly name: string;
  readonly code: ErrorCode | null;
  readonly message: string;
  readonly where: ErrorWhere;
  readonly retryable: boolean;
  readonly stack: string | null;
  readonly cause: SerialisedError | null;
}

export function serialiseError(error: unknown, depth = 0): SerialisedError {
  if (!(error instanceof Error)) {
    return { name: 'Error', code: null, message: String(error), where: {}, retryable: false, stack: null, cause: null };
  }
  const known = isMillraceError(error) ? error : null;
  return {
    name: error.name,
    code: known?.code ?? null,
    message: error.message,
    where: known?.where ?? {},
    retryable: known?.retryable ?? false,
    stack: error.stack ?? null,
    cause: error.cause === undefined || depth >= 4 ? null : serialiseError(error.cause, depth + 1),
  };
}

export function reviveError(from: SerialisedError): Error {
  const cause = from.cause ? reviveError(from.cause) : undefined;
  const error =
    from.code === null
      ? new Error(from.message, cause === undefined ? undefined : { cause })
      : new MillraceError(from.code, from.message, { where: from.where, cause, retryable: from.retryable });
  if (from.code === null) error.name = from.name;
  if (from.stack !== null) error.stack = from.stack;
  return error;
}

/** Adds what the caller knows of the place to an error that lacks it. */
export function withWhere(error: unknown, where: ErrorWhere, fallback: ErrorCode): MillraceError {
  if (isMillraceError(error)) {
    return new MillraceError(error.code, error.message, {
      where: { ...where, ...error.where },
      cause: error.cause,
      retryable: error.retryable,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new MillraceError(fallback, message, { where, cause: error });
}

/** One line for people: message, then the place in brackets. */
export function describeError(error: unknown): string {
  if (!isMillraceError(error)) return error instanceof Error ? error.message : String(error);
  const { operator, callSite, path, position, slot } = error.where;
  const place = [
    operator && `operator ${operator}`,
    callSite && `at ${callSite}`,
    // Most messages about files name them.
    path && !error.message.includes(path) && path,
    position,
    slot !== undefined && `slot ${slot}`,
  ].filter(Boolean);
  return `[${error.code}] ${error.message}${place.length > 0 ? ` (${place.join(', ')})` : ''}`;
}
