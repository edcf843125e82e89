// biome-ignore-all lint/suspicious/noExplicitAny: conditional types ask whether a row type is `any` (a source without a schema)
// biome-ignore-all lint/complexity/noBannedTypes: `& {}` makes an intersection show as one object
/**
 * What may still happen to rows once sent, and the small type helpers that the language is made of. Types only but for
 * the two rules of modes, which the builder follows as the compiler does. Knows nothing of expressions or plans.
 */
import type { RowKind } from '../record/batch.ts';
import type { mode, value } from './marks.ts';

export type { RowKind } from '../record/batch.ts';

/**
 * What may happen to rows once sent. `bounded`: the input ends, every row is final. `append`: it does not end, rows are
 * never corrected. `updating`: rows may be corrected or withdrawn later (a changelog).
 */
export type Mode = 'bounded' | 'append' | 'updating';

/** A row and what happens to it. */
export interface Change<R> {
  readonly kind: RowKind;
  readonly row: R;
}

/** What a program receives: rows, or changes where rows may be corrected. */
export type Received<R, M> = M extends 'updating' ? Change<R> : R;

/** What a stream is to others: rows of a type, and what may happen to them. */
export interface StreamOf<out R, out M extends Mode> {
  readonly [value]: R;
  readonly [mode]: M;
}

export type Updating<M extends Mode> = M extends 'append' ? 'updating' : M;
/** What says of each change that it is one: rows that are only added. */
export type Appending<M> = M extends 'bounded' ? 'bounded' : 'append';
export type Both<A, B> = 'updating' extends A | B ? 'updating' : 'append' extends A | B ? 'append' : 'bounded';

/** Results that later rows correct: of ended input they are final all the same. */
export function updatingOf(mode: Mode): Mode {
  return mode === 'append' ? 'updating' : mode;
}

/** Several inputs are as loose as the loosest. */
export function loosest(modes: readonly Mode[]): Mode {
  return modes.includes('updating') ? 'updating' : modes.includes('append') ? 'append' : 'bounded';
}

export type Any<T> = 0 extends 1 & T ? true : false;
export type Flat<T> = { [K in keyof T]: T[K] } & {};
export type Name<R> = keyof R & string;
export type OneOrMore<T> = T | readonly T[];
export type Nulls<T> = [Extract<T, null | undefined>] extends [never] ? never : null;
export type NamesOf<R, T> =
  Any<R> extends true ? string : { [K in Name<R>]: NonNullable<R[K]> extends T ? K : never }[Name<R>];
