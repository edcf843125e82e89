/**
 * Scalar functions: what SQL writes `NAME(…)`, under that name in camelCase. Operators are methods (columns.ts). The
 * public door is `millrace/functions` (and the root for `when`, `coalesce`).
 */
import { MillraceError } from '../base/errors.ts';
import type { UnboundExpr } from '../expr/tree.ts';
import type {
  Col,
  Condition,
  Expr,
  Level,
  NullIn,
  NumberExpr,
  Operand,
  StringExpr,
  TimeExpr,
  ValueOf,
} from './columns.ts';
import { call, expression, treeOf } from './expression.ts';
import type { Nulls } from './modes.ts';
import type { Numeric } from './schema.ts';

/** A CASE under way: it is no expression before `otherwise`. */
export interface Case<T> {
  when<V extends Operand<T, 'row'>>(condition: Condition, then: V): Case<T | ValueOf<V>>;
  otherwise<V extends Operand<T, 'row'>>(value: V): Col<T | ValueOf<V>>;
}

/** CASE WHEN: `when(f.delay.lt(15), 'on time').otherwise('late')`. */
// biome-ignore lint/suspicious/noExplicitAny: a branch of any type
export function when<V extends string | number | boolean | Date | Expr<any>>(
  condition: Condition,
  then: V,
): Case<ValueOf<V>> {
  return caseOf([{ condition, then }]);
}

/** The first value that is not null. */
export function coalesce<T, L extends Level, O extends Operand<NoInfer<T>, L>>(
  first: Expr<T, L>,
  otherwise: O,
): Col<NonNullable<T> | NullIn<O>, L> {
  return call('coalesce', first, otherwise) as Col<NonNullable<T> | NullIn<O>, L>;
}

export function upper<T extends string | null, L extends Level>(text: Expr<T, L>): StringExpr<T, L> {
  return call('upper', text) as StringExpr<T, L>;
}
export function lower<T extends string | null, L extends Level>(text: Expr<T, L>): StringExpr<T, L> {
  return call('lower', text) as StringExpr<T, L>;
}
/** Without the spaces at both ends. */
export function trim<T extends string | null, L extends Level>(text: Expr<T, L>): StringExpr<T, L> {
  return call('trim', text) as StringExpr<T, L>;
}
/** Null where any part is. */
export function concat<const O extends readonly Operand<string | null, 'row'>[]>(
  ...parts: O
): StringExpr<string | NullIn<O[number]>> {
  return call('concat', ...parts) as StringExpr<string | NullIn<O[number]>>;
}
/** Unicode characters (CHAR_LENGTH), not bytes. */
export function length<T extends string | null, L extends Level>(text: Expr<T, L>): NumberExpr<number | Nulls<T>, L> {
  return call('length', text) as NumberExpr<number | Nulls<T>, L>;
}
/** From character `start`, which counts from 1 (negative: from the end), `count` characters or all that follow. */
export function substring<T extends string | null, L extends Level>(
  text: Expr<T, L>,
  start: number | Expr<number | null, L>,
  count?: number | Expr<number | null, L>,
): StringExpr<T | null, L> {
  return (count === undefined ? call('substring', text, start) : call('substring', text, start, count)) as StringExpr<
    T | null,
    L
  >;
}

/** Part `index`, from 0, of the text between separators; null where there is none. `splitIndex(p.path, '/', 1)`. */
export function splitIndex<T extends string | null, L extends Level>(
  text: Expr<T, L>,
  separator: string,
  index: number | Expr<number | null, L>,
): StringExpr<string | null, L> {
  return call('splitIndex', text, separator, index) as StringExpr<string | null, L>;
}
/**
 * What a group of the pattern's first match holds (0, unless said: the whole match); null where nothing matches, or the group was not
 * in the match. Patterns are Java's without what takes more than linear time: no backreferences, no look-around.
 */
export function regexpExtract<T extends string | null, L extends Level>(
  text: Expr<T, L>,
  pattern: string,
  group = 0,
): StringExpr<string | null, L> {
  return call('regexpExtract', text, pattern, group) as StringExpr<string | null, L>;
}

/** `pattern` as Java's DateTimeFormatter has it: `'yyyy-MM-dd HH:mm:ss'`. */
export function dateFormat<T extends Date | null, L extends Level>(
  time: Expr<T, L>,
  pattern: string,
): StringExpr<string | Nulls<T>, L> {
  return call('dateFormat', time, pattern) as StringExpr<string | Nulls<T>, L>;
}

/** Half away from zero, to `digits` behind the point. */
export function round<T extends Numeric | null, L extends Level>(of: Expr<T, L>, digits?: number): NumberExpr<T, L> {
  return (digits === undefined ? call('round', of) : call('round', of, digits)) as NumberExpr<T, L>;
}
export function abs<T extends Numeric | null, L extends Level>(of: Expr<T, L>): NumberExpr<T, L> {
  return call('abs', of) as NumberExpr<T, L>;
}
/** The next whole number below; of times see `floorTo`. */
export function floor<T extends Numeric | null, L extends Level>(of: Expr<T, L>): NumberExpr<T, L> {
  return call('floor', of) as NumberExpr<T, L>;
}
/** The next whole number above; of times see `ceilTo`. */
export function ceil<T extends Numeric | null, L extends Level>(of: Expr<T, L>): NumberExpr<T, L> {
  return call('ceil', of) as NumberExpr<T, L>;
}

/** A unit that times are rounded to. Weeks begin on Sunday as Flink's FLOOR(… TO WEEK) has it. */
export type TimeUnit = 'second' | 'minute' | 'hour' | 'day' | 'week' | 'month' | 'quarter' | 'year';

/** FLOOR(time TO unit): the beginning of the unit that the time falls into. */
export function floorTo<T extends Date | null, L extends Level>(time: Expr<T, L>, unit: TimeUnit): TimeExpr<T, L> {
  return call('floorTo', time, unit) as TimeExpr<T, L>;
}
/** CEIL(time TO unit): the time itself where it begins a unit, else the beginning of the next. */
export function ceilTo<T extends Date | null, L extends Level>(time: Expr<T, L>, unit: TimeUnit): TimeExpr<T, L> {
  return call('ceilTo', time, unit) as TimeExpr<T, L>;
}

/** EXTRACT(YEAR FROM time), and so on: times are read as UTC. */
export const year = timePart('year');
/** 1 to 4. */
export const quarter = timePart('quarter');
/** 1 to 12. */
export const month = timePart('month');
/** The ISO week, 1 to 53. */
export const week = timePart('week');
/** 1 to 31. */
export const dayOfMonth = timePart('dayOfMonth');
/** Sunday is 1, Saturday 7. */
export const dayOfWeek = timePart('dayOfWeek');
/** 1 to 366. */
export const dayOfYear = timePart('dayOfYear');
export const hour = timePart('hour');
export const minute = timePart('minute');
export const second = timePart('second');

type TimePart = <T extends Date | null, L extends Level>(time: Expr<T, L>) => NumberExpr<number | Nulls<T>, L>;

function timePart(fn: string): TimePart {
  return <T, L extends Level>(time: Expr<T, L>) => call(fn, time) as NumberExpr<number | Nulls<T>, L>;
}

interface Branch {
  readonly condition: unknown;
  readonly then: unknown;
}

function caseOf<T>(branches: readonly Branch[]): Case<T> {
  return Object.freeze({
    when: (condition: unknown, then: unknown) => caseOf([...branches, { condition, then }]),
    otherwise: (value: unknown) => {
      const tree: UnboundExpr = {
        kind: 'case',
        branches: branches.map(branchTree),
        otherwise: treeOf(value, 'when(…)'),
      };
      return expression(tree, ...branches.flatMap((b) => [b.condition, b.then]), value);
    },
  }) as unknown as Case<T>;
}

function branchTree({ condition, then }: Branch): { readonly when: UnboundExpr; readonly then: UnboundExpr } {
  return { when: conditionOf(condition), then: treeOf(then, 'when(…)') };
}

function conditionOf(value: unknown): UnboundExpr {
  const tree = treeOf(value, 'the condition of when(…)');
  if (tree.kind !== 'literal') return tree;
  throw new MillraceError('plan/type', `the condition of when(…) is the value ${tree.value}, not an expression`);
}
