/** What a stream's methods check of their arguments, and how they speak of what they got instead. */
import { durationMs } from '../base/duration.ts';
import { MillraceError, withWhere } from '../base/errors.ts';
import { callerOf, callSiteText } from './call-site.ts';
import { madeOf } from './notes.ts';

export type Callee = (...args: never[]) => unknown;

/**
 * Does the work of a method that the user called, and tells it the place of that call; its errors get the method and the
 * place, too. `callee` must be on the stack.
 */
export function located<T>(callee: Callee, work: (callSite: string | null) => T): T {
  const callSite = callSiteText(callerOf(callee));
  try {
    return work(callSite);
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    throw withWhere(error, { operator: callee.name, ...(callSite === null ? {} : { callSite }) }, error.code);
  }
}

/** What becomes of records that cannot be taken. Errors: `option/invalid`. */
export function policyOf(of: string, onError: unknown = 'fail'): 'fail' | 'skip' | 'side' {
  if (onError === 'fail' || onError === 'skip' || onError === 'side') return onError;
  throw new MillraceError('option/invalid', `onError of ${of} is 'fail', 'skip' or 'side', not ${shown(onError)}`);
}

/** Names that must differ. Errors: `plan/duplicate`. */
export function once(method: string, names: readonly string[]): readonly string[] {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new MillraceError('plan/duplicate', `${method}: the column '${twice}' is there twice`);
  return names;
}

/** A number of rows. Errors: `option/invalid`. */
export function whole(what: string, given: number, least: number): number {
  if (Number.isSafeInteger(given) && given >= least) return given;
  throw new MillraceError('option/invalid', `${what} takes a whole number of rows from ${least}, not ${given}`);
}

/** Milliseconds of a duration. Errors: `option/invalid`. */
export function notNegative(what: string, duration: string): number {
  const ms = durationMs(duration);
  if (ms >= 0) return ms;
  throw new MillraceError('option/invalid', `${what} cannot be negative: '${duration}'`);
}

/** Errors: `option/invalid`. */
export function notAStream(method: string, value: unknown): never {
  throw new MillraceError('option/invalid', `${method} takes streams, not ${shown(value)}`);
}

/** What a person gave, in a few words. */
export function shown(value: unknown): string {
  if (madeOf(value)) return 'one expression';
  if (value instanceof Promise) return 'a promise (the callback must not be async)';
  return value === null || typeof value === 'boolean' || typeof value === 'number'
    ? `the value ${value}`
    : `a value of type ${typeof value}`;
}
