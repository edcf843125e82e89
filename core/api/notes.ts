/**
 * What stands behind an expression value, and the notes of a running callback: every expression made meanwhile is noted,
 * and one that the callback's result does not use is an error, for that is what `a && b` leaves behind.
 */
import { MillraceError } from '../base/errors.ts';
import type { UnboundExpr } from '../expr/tree.ts';
import { describe } from './describe.ts';

/** What stands behind an expression value. */
export interface Made {
  readonly tree: UnboundExpr;
  /** The expressions it was made from: they count as used where it is. */
  readonly parts: readonly Made[];
}

/** How code of this folder reaches the tree behind a value; a registered symbol, so that two copies of the package agree. */
export const behind = Symbol.for('millrace.expression');

/** The expression behind a value, or null. */
export function madeOf(value: unknown): Made | null {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return null;
  return (value as { [behind]?: Made })[behind] ?? null;
}

/** What a callback answered, after a check that it used all the expressions it made. Errors: `plan/unused-expression`. */
export function underNotes<T>(callback: () => T, used: (result: T) => readonly unknown[], where: string): T {
  const outer = notes;
  const mine = new Set<Made>();
  notes = mine;
  try {
    const result = callback();
    const reached = new Set<Made>();
    for (const value of used(result)) reach(madeOf(value), reached);
    const left = [...mine].filter((made) => !reached.has(made));
    if (left.length > 0) throw unused(left, where);
    return result;
  } finally {
    notes = outer;
  }
}

let notes: Set<Made> | null = null;

/** Notes an expression just made, if a callback is running. */
export function note(made: Made): Made {
  notes?.add(made);
  return made;
}

/** Takes back a note: what was read as a column turned out to be a method. */
export function unnote(made: Made): void {
  notes?.delete(made);
}

function reach(made: Made | null, reached: Set<Made>): void {
  if (!made || reached.has(made)) return;
  reached.add(made);
  for (const part of made.parts) reach(part, reached);
}

/** The expressions among `values`. */
export function partsOf(values: readonly unknown[]): readonly Made[] {
  return Object.freeze(values.map(madeOf).filter((made) => made !== null));
}

function unused(left: readonly Made[], where: string): MillraceError {
  const inner = new Set(left.flatMap((made) => [...made.parts]));
  const outermost = left.filter((made) => !inner.has(made));
  const [first] = outermost;
  return new MillraceError(
    'plan/unused-expression',
    `${where}: ${outermost.map((made) => `\`${describe(made.tree)}\``).join(' and ')} ${outermost.length === 1 ? 'was' : 'were'} made and not used: ` +
      `\`.and()\`? JavaScript's &&, ||, ! and ?: do not see into expressions; write .and(), .or(), .not() or when(${first ? describe(first.tree) : '…'}, …).otherwise(…)`,
  );
}
