/**
 * The reference implementation of expressions: row at a time over plain JavaScript values, written for being right. It
 * shares no code with the compiler, which must agree with it on every input; what is not compiled runs here.
 */

import { unreachable } from '../base/assert.ts';
import { MillraceError } from '../base/errors.ts';
import { decimalText, divideHalfUp, fitsDigits, parseDecimal, powerOfTen, rescaled } from '../record/decimal.ts';
import type { DataType } from '../record/types.ts';
import { ticksPerMs, typeName } from '../record/types.ts';
import {
  civilOfDays,
  dayMs,
  daysOfCivil,
  floorDivide,
  formatDate,
  formatTimestamp,
  parseDate,
  parseTimestamp,
} from './calendar.ts';
import { dateFormat } from './date-format.ts';
import type { DecimalOperation, DecimalType } from './decimals.ts';
import type { FunctionName, TimeUnit } from './functions.ts';
import { likeElements } from './like.ts';
import { javascriptRegex, parseRegex } from './regex.ts';
import type { Expr } from './tree.ts';
import { isUserCall, type UserFunctions, userArguments, userCaller } from './user-call.ts';
import { fitsBigint, fitsInt, type Value, valueOfLiteral } from './value.ts';

/** Evaluates one row, given by leaf values. Errors: `expr/overflow`, `expr/cast`, `expr/division-by-zero`. */
export type Evaluator = (row: readonly Value[]) => Value;

export function interpret(expr: Expr): Evaluator {
  return evaluatorOf(expr, null);
}

/** As `interpret`, where calls of the user's functions find them in `functions`. */
export function evaluatorOf(expr: Expr, functions: UserFunctions | null): Evaluator {
  const interpret = (of: Expr): Evaluator => evaluatorOf(of, functions);
  switch (expr.kind) {
    case 'column':
      return (row) => row[expr.index] as Value;
    case 'literal': {
      const value = valueOfLiteral(expr.value, expr.type);
      return () => value;
    }
    case 'cast': {
      const arg = interpret(expr.arg);
      return (row) => {
        const value = arg(row);
        if (value === null) return null;
        if (!expr.safe) return evaluateCast(value, expr.arg.type, expr.type);
        return castOrNull(value, expr.arg.type, expr.type);
      };
    }
    case 'case': {
      const branches = expr.branches.map((b) => ({ when: interpret(b.when), then: interpret(b.then) }));
      const otherwise = interpret(expr.otherwise);
      return (row) => {
        for (const branch of branches) if (branch.when(row) === true) return branch.then(row);
        return otherwise(row);
      };
    }
    case 'call': {
      if (isUserCall(expr)) return userEvaluator(expr, functions);
      const fn = expr.fn as FunctionName;
      const args = expr.args.map(interpret);
      const lazy = lazyFunctions[fn as keyof typeof lazyFunctions];
      if (lazy !== undefined) return (row) => lazy(args, row);
      const apply = eagerFunctions[fn as EagerName];
      const types = expr.args.map((a) => a.type);
      return (row) => {
        const values: Exclude<Value, null>[] = [];
        for (const arg of args) {
          const value = arg(row);
          if (value === null) return null;
          values.push(value);
        }
        return apply(values, types, expr.type);
      };
    }
    default:
      return unreachable(expr);
  }
}

function userEvaluator(expr: Extract<Expr, { kind: 'call' }>, functions: UserFunctions | null): Evaluator {
  const args = userArguments(expr).map((arg) => evaluatorOf(arg, functions));
  const call = userCaller(expr, functions);
  return (row) => {
    const values: Exclude<Value, null>[] = [];
    for (const arg of args) {
      const value = arg(row);
      if (value === null) return null;
      values.push(value);
    }
    return call(values);
  };
}

/** One call over values that are not NULL; used by the compiler's host calls, too. */
export function evaluateCall(
  fn: FunctionName,
  values: readonly Exclude<Value, null>[],
  types: readonly DataType[],
  type: DataType,
): Value {
  return eagerFunctions[fn as EagerName](values, types, type);
}

type Present = Exclude<Value, null>;
type Lazy = (args: readonly Evaluator[], row: readonly Value[]) => Value;
type Eager = (values: readonly Present[], types: readonly DataType[], type: DataType) => Value;

/** Functions that see NULLs, or that do not evaluate every argument. */
const lazyFunctions = {
  isNull: (args, row) => args[0]?.(row) === null,
  isNotNull: (args, row) => args[0]?.(row) !== null,
  and(args, row) {
    let unknown = false;
    for (const arg of args) {
      const value = arg(row);
      if (value === false) return false;
      unknown ||= value === null;
    }
    return unknown ? null : true;
  },
  or(args, row) {
    let unknown = false;
    for (const arg of args) {
      const value = arg(row);
      if (value === true) return true;
      unknown ||= value === null;
    }
    return unknown ? null : false;
  },
  in(args, row) {
    const value = args[0]?.(row) as Value;
    if (value === null) return null;
    let unknown = false;
    for (const arg of args.slice(1)) {
      const other = arg(row);
      if (other === null) unknown = true;
      else if (value === other) return true;
    }
    return unknown ? null : false;
  },
  coalesce(args, row) {
    for (const arg of args) {
      const value = arg(row);
      if (value !== null) return value;
    }
    return null;
  },
} satisfies Partial<Record<FunctionName, Lazy>>;
type EagerName = Exclude<FunctionName, keyof typeof lazyFunctions | 'user'>;

/** UTF-8 order is code point order; JavaScript compares UTF-16 units, which differs above U+FFFF. */
function compare(a: Present, b: Present): number {
  if (typeof a === 'string' && typeof b === 'string') {
    const [x, y] = [[...a], [...b]];
    for (let i = 0; i < x.length && i < y.length; i++) {
      const d = ((x[i] as string).codePointAt(0) as number) - ((y[i] as string).codePointAt(0) as number);
      if (d !== 0) return d;
    }
    return x.length - y.length;
  }
  return a < b ? -1 : a > b ? 1 : a === b ? 0 : Number.NaN;
}

function overflow(what: string, type: DataType): MillraceError {
  return new MillraceError(
    'expr/overflow',
    `${what} is outside ${typeName(type)}; cast an operand to ${type.kind === 'INT' ? 'BIGINT' : 'DOUBLE'}`,
  );
}

/** A value as messages show it. */
const shown = (value: Present, type: DataType | undefined): string =>
  type?.kind === 'DECIMAL' ? decimalText(value as bigint, type.scale) : String(value);

/** The result of exact arithmetic, if its type can hold it. */
function checked(value: bigint, type: DataType, what: () => string): Value {
  if (type.kind === 'DECIMAL') {
    if (!fitsDigits(value, type.precision)) throw overflow(what(), type);
    return value;
  }
  if (type.kind === 'INT') {
    const asNumber = Number(value);
    if (!fitsInt(asNumber)) throw overflow(what(), type);
    return asNumber;
  }
  if (!fitsBigint(value)) throw overflow(what(), type);
  return value;
}

const scaleOf = (type: DataType | undefined): number => (type?.kind === 'DECIMAL' ? type.scale : 0);

/** Both operands are exact; halves are rounded away from zero. */
function decimalArithmetic(
  operation: DecimalOperation,
  [a, b]: readonly Present[],
  types: readonly DataType[],
  type: DecimalType,
): Value {
  const [x, y] = [BigInt(a as bigint), BigInt(b as bigint)];
  const [scaleX, scaleY] = [scaleOf(types[0]), scaleOf(types[1])];
  const both = Math.max(scaleX, scaleY);
  const [left, right] = [rescaled(x, scaleX, both), rescaled(y, scaleY, both)];
  const text = (symbol: string) => (): string =>
    `${shown(a as Present, types[0])} ${symbol} ${shown(b as Present, types[1])}`;
  switch (operation) {
    case 'plus':
      return checked(rescaled(left + right, both, type.scale), type, text('+'));
    case 'minus':
      return checked(rescaled(left - right, both, type.scale), type, text('-'));
    case 'times':
      return checked(rescaled(x * y, scaleX + scaleY, type.scale), type, text('*'));
    case 'divide':
      if (y === 0n) throw divisionByZero(shown(a as Present, types[0]), '/');
      return checked(divideHalfUp(x * powerOfTen(type.scale + scaleY - scaleX), y), type, text('/'));
    case 'mod':
      if (y === 0n) throw divisionByZero(shown(a as Present, types[0]), '%');
      return checked(left % right, type, text('%'));
  }
}

/** The decimal rounded to a multiple of 10^−digits. */
function roundDecimal(value: bigint, of: DecimalType, digits: number, type: DecimalType): Value {
  if (digits >= of.scale) return value;
  const rounded = divideHalfUp(value, powerOfTen(of.scale - digits)) * powerOfTen(digits < 0 ? -digits : 0);
  return checked(rounded, type, () => `ROUND(${decimalText(value, of.scale)}, ${digits})`);
}

/** The decimal's whole part, towards −∞. */
function floorDecimal(value: bigint, { scale }: DecimalType): bigint {
  return floorDivide(value, powerOfTen(scale));
}

function arithmetic(
  operation: DecimalOperation,
  symbol: string,
  exact: (a: bigint, b: bigint) => bigint,
  real: (a: number, b: number) => number,
): Eager {
  return ([a, b], types, type) => {
    if (type.kind === 'DECIMAL') return decimalArithmetic(operation, [a as Present, b as Present], types, type);
    if (type.kind === 'DOUBLE') return real(a as number, b as number);
    if (type.kind === 'DATE') return checkedDate(exact(BigInt(a as number), (b as bigint) / BigInt(dayMs)), type);
    const scale = types[1]?.kind === 'INTERVAL' && type.kind === 'TIMESTAMP' ? BigInt(ticksPerMs(type.precision)) : 1n;
    return checked(exact(BigInt(a as number), BigInt(b as number) * scale), type, () => `${a} ${symbol} ${b}`);
  };
}

function checkedDate(days: bigint, type: DataType): Value {
  const value = Number(days);
  if (!fitsInt(value)) throw overflow(`day ${days}`, type);
  return value;
}

const divisionByZero = (a: Present, symbol: string): MillraceError =>
  new MillraceError(
    'expr/division-by-zero',
    `${a} ${symbol} 0; guard it with nullIf(divisor, 0), or cast to DOUBLE for IEEE division`,
  );

/** Half away from zero, decided on the decimal digits that the number prints, as Flink's ROUND (BigDecimal.valueOf). */
function roundDouble(value: number, digits: number): number {
  if (!Number.isFinite(value) || value === 0) return value;
  const [mantissa, exponent] = value.toExponential().split('e') as [string, string];
  const point = Number(exponent) + 1;
  const keep = point + digits;
  const all = mantissa.replace('-', '').replace('.', '');
  if (keep >= all.length) return value;
  if (keep < 0) return value < 0 ? -0 : 0;
  const up = (all[keep] as string) >= '5' ? 1n : 0n;
  const kept = BigInt(all.slice(0, keep) || '0') + up;
  return Number(`${value < 0 ? '-' : ''}${kept}e${-digits}`);
}

function daysAndTicks(value: Present, type: DataType): { days: number; inDay: bigint; perMs: bigint } {
  if (type.kind === 'DATE') return { days: value as number, inDay: 0n, perMs: 1n };
  const perMs = BigInt(ticksPerMs((type as { precision: number }).precision));
  const perDay = perMs * BigInt(dayMs);
  const days = floorDivide(value as bigint, perDay);
  return { days: Number(days), inDay: (value as bigint) - days * perDay, perMs };
}

function datePart(part: (days: number) => number): Eager {
  return ([time], [type]) => BigInt(part(daysAndTicks(time as Present, type as DataType).days));
}
function dayPart(unitMs: bigint, modulo: bigint): Eager {
  return ([time], [type]) => {
    const { inDay, perMs } = daysAndTicks(time as Present, type as DataType);
    return (inDay / (unitMs * perMs)) % modulo;
  };
}

const floorMod = (a: number, b: number): number => ((a % b) + b) % b;
/** Sunday 1 … Saturday 7, as Flink's DAYOFWEEK; the epoch was a Thursday. */
const dayOfWeek = (days: number): number => floorMod(days + 4, 7) + 1;
/** ISO 8601: the week that holds the year's first Thursday is week 1. */
function isoWeek(days: number): number {
  const thursday = days - floorMod(days + 3, 7) + 3;
  return Math.floor((thursday - daysOfCivil(civilOfDays(thursday).year, 1, 1)) / 7) + 1;
}

/** The first day of the unit that holds the day. Weeks begin on Sunday, as Flink's FLOOR(… TO WEEK) has them. */
function floorDays(days: number, unit: TimeUnit, up: number): number {
  const { year, month } = civilOfDays(days);
  switch (unit) {
    case 'YEAR':
      return daysOfCivil(year + up, 1, 1);
    case 'QUARTER':
      return daysOfCivil(year, month - ((month - 1) % 3) + 3 * up, 1);
    case 'MONTH':
      return daysOfCivil(year, month + up, 1);
    case 'WEEK':
      return days - (dayOfWeek(days) - 1) + 7 * up;
    default:
      return days + up;
  }
}

const unitMs: Partial<Record<TimeUnit, bigint>> = { SECOND: 1000n, MINUTE: 60_000n, HOUR: 3_600_000n };

function roundTime(up: boolean): Eager {
  return ([time, unitText], [type]) => {
    const unit = unitText as TimeUnit;
    const { days, inDay, perMs } = daysAndTicks(time as Present, type as DataType);
    const ms = unitMs[unit];
    if (ms !== undefined) {
      const step = ms * perMs;
      const floored = floorDivide(time as bigint, step) * step;
      return BigInt.asIntN(64, up && floored !== time ? floored + step : floored);
    }
    const floored = floorDays(days, unit, 0);
    const exact = inDay === 0n && floored === days;
    const to = up && !exact ? floorDays(days, unit, 1) : floored;
    return (type as DataType).kind === 'DATE' ? to | 0 : BigInt.asIntN(64, BigInt(to) * BigInt(dayMs) * perMs);
  };
}

/** Does `text` match from `i` on, the pattern from `j` on? A table of (i, j), filled from the end. */
function like(text: readonly string[], elements: ReturnType<typeof likeElements>): boolean {
  let next = new Array<boolean>(text.length + 1).fill(false);
  next[text.length] = true;
  for (let j = elements.length - 1; j >= 0; j--) {
    const element = elements[j];
    const here = new Array<boolean>(text.length + 1).fill(false);
    for (let i = text.length; i >= 0; i--) {
      if (element === 'any') here[i] = (next[i] as boolean) || (i < text.length && (here[i + 1] as boolean));
      else here[i] = i < text.length && (element === 'one' || element?.char === text[i]) && (next[i + 1] as boolean);
    }
    next = here;
  }
  return next[0] as boolean;
}

/** Flink's SUBSTRING: positions count from 1, negative ones from the end, 0 is 1; a negative length is NULL. */
function substring(text: string, position: number, length: number): Value {
  if (length < 0) return null;
  const chars = [...text];
  const start = position > 0 ? position - 1 : position < 0 ? chars.length + position : 0;
  if (start < 0) return '';
  return chars.slice(start, start + length).join('');
}

const comparison =
  (holds: (order: number) => boolean): Eager =>
  ([a, b], types) => {
    if (!types.some((type) => type.kind === 'DECIMAL')) return holds(compare(a as Present, b as Present));
    const scale = Math.max(scaleOf(types[0]), scaleOf(types[1]));
    const [x, y] = [a, b].map((value, i) => rescaled(BigInt(value as bigint), scaleOf(types[i]), scale));
    return holds(compare(x as bigint, y as bigint));
  };

const eagerFunctions: { readonly [F in EagerName]: Eager } = {
  // NaN: no order holds, so only `<>` is true (IEEE 754, as Flink's).
  eq: comparison((o) => o === 0),
  ne: comparison((o) => o !== 0),
  lt: comparison((o) => o < 0),
  lte: comparison((o) => o <= 0),
  gt: comparison((o) => o > 0),
  gte: comparison((o) => o >= 0),
  not: ([a]) => !a,
  plus: arithmetic(
    'plus',
    '+',
    (a, b) => a + b,
    (a, b) => a + b,
  ),
  minus: arithmetic(
    'minus',
    '-',
    (a, b) => a - b,
    (a, b) => a - b,
  ),
  times: arithmetic(
    'times',
    '*',
    (a, b) => a * b,
    (a, b) => a * b,
  ),
  divide([a, b], types, result) {
    if (result.kind === 'DECIMAL') return decimalArithmetic('divide', [a as Present, b as Present], types, result);
    const [type] = types;
    if (type?.kind !== 'DOUBLE' && Number(b) === 0) throw divisionByZero(a as Present, '/');
    return Number(a) / Number(b);
  },
  mod([a, b], types, type) {
    if (type.kind === 'DECIMAL') return decimalArithmetic('mod', [a as Present, b as Present], types, type);
    if (type.kind === 'DOUBLE') return (a as number) % (b as number);
    if (Number(b) === 0) throw divisionByZero(a as Present, '%');
    // `| 0`: an INT has no −0.
    return type.kind === 'INT' ? ((a as number) % (b as number)) | 0 : (a as bigint) % (b as bigint);
  },
  neg: ([a], _types, type) =>
    type.kind === 'DOUBLE' ? -(a as number) : checked(-BigInt(a as number), type, () => `-(${a})`),
  abs([a], _types, type) {
    if (type.kind === 'DOUBLE') return Math.abs(a as number);
    const exact = BigInt(a as number);
    return checked(exact < 0n ? -exact : exact, type, () => `ABS(${a})`);
  },
  round([a, digits], types, type) {
    const places = digits === undefined ? 0 : Number(digits);
    if (type.kind === 'DECIMAL') return roundDecimal(a as bigint, types[0] as DecimalType, places, type);
    if (type.kind === 'DOUBLE') return roundDouble(a as number, places);
    if (places >= 0) return a as Value;
    if (places < -18) return type.kind === 'INT' ? 0 : 0n;
    const unit = 10n ** BigInt(-places);
    const exact = BigInt(a as number);
    const magnitude = exact < 0n ? -exact : exact;
    const rounded = ((magnitude + unit / 2n) / unit) * unit;
    return checked(exact < 0n ? -rounded : rounded, type, () => `ROUND(${a}, ${places})`);
  },
  floor: ([a], types, type) =>
    type.kind === 'DECIMAL'
      ? floorDecimal(a as bigint, types[0] as DecimalType)
      : type.kind === 'DOUBLE'
        ? Math.floor(a as number)
        : (a as Value),
  ceil: ([a], types, type) =>
    type.kind === 'DECIMAL'
      ? -floorDecimal(-(a as bigint), types[0] as DecimalType)
      : type.kind === 'DOUBLE'
        ? Math.ceil(a as number)
        : (a as Value),
  like: ([text, pattern, escapeChar]) =>
    like([...(text as string)], likeElements(pattern as string, (escapeChar as string | undefined) ?? null)),
  length: ([text]) => [...(text as string)].length,
  lower: ([text]) => (text as string).toLowerCase(),
  upper: ([text]) => (text as string).toUpperCase(),
  trim: ([text]) => (text as string).replace(/^ +/, '').replace(/ +$/, ''),
  substring: ([text, position, length]) =>
    substring(text as string, position as number, (length as number | undefined) ?? Number.MAX_SAFE_INTEGER),
  concat: (parts) => parts.join(''),
  // Flink's: a text without characters has no parts.
  splitIndex([text, separator, index]) {
    if (text === '' || (index as number) < 0) return null;
    return (text as string).split(separator as string)[index as number] ?? null;
  },
  regexpExtract([text, pattern, group]) {
    const match = javascriptRegex(parseRegex(pattern as string, group as number)).exec(text as string);
    return match?.[group as number] ?? null;
  },
  year: datePart((days) => civilOfDays(days).year),
  quarter: datePart((days) => Math.floor((civilOfDays(days).month - 1) / 3) + 1),
  month: datePart((days) => civilOfDays(days).month),
  week: datePart(isoWeek),
  dayOfMonth: datePart((days) => civilOfDays(days).day),
  dayOfWeek: datePart(dayOfWeek),
  dayOfYear: datePart((days) => days - daysOfCivil(civilOfDays(days).year, 1, 1) + 1),
  hour: dayPart(3_600_000n, 24n),
  minute: dayPart(60_000n, 60n),
  second: dayPart(1000n, 60n),
  floorTo: roundTime(false),
  ceilTo: roundTime(true),
  dateFormat([time, pattern], [type]) {
    const { days, inDay, perMs } = daysAndTicks(time as Present, type as DataType);
    return dateFormat(days, inDay * (1_000_000n / perMs), pattern as string);
  },
};

function castError(value: Present, from: DataType, to: DataType): MillraceError {
  const what =
    typeof value === 'string' ? `'${value.length > 40 ? `${value.slice(0, 40)}…` : value}'` : shown(value, from);
  return new MillraceError(
    'expr/cast',
    `${what} (${typeName(from)}) is no ${typeName(to)}; TRY_CAST answers NULL instead`,
  );
}

/** CAST of a value that is not NULL. Errors: `expr/cast`. */
export function evaluateCast(value: Present, from: DataType, to: DataType): Value {
  const result = castOrNull(value, from, to);
  if (result === null) throw castError(value, from, to);
  return result;
}

/** TRY_CAST of a value that is not NULL. */
export function castOrNull(value: Present, from: DataType, to: DataType): Value {
  switch (to.kind) {
    case 'BOOLEAN':
      return typeof value === 'string' ? parseBoolean(value) : typeof value === 'boolean' ? value : Number(value) !== 0;
    case 'INT': {
      const whole = wholeOf(value, from);
      return whole !== null && fitsInt(Number(whole)) ? Number(whole) : null;
    }
    case 'BIGINT': {
      const whole = wholeOf(value, from);
      return whole !== null && fitsBigint(whole) ? whole : null;
    }
    case 'DOUBLE':
      if (from.kind === 'DECIMAL') return Number(shown(value, from));
      return typeof value === 'string' ? parseDouble(value) : Number(value);
    case 'DECIMAL': {
      const exact = exactOf(value, from);
      if (exact === null) return null;
      const unscaled = rescaled(exact.unscaled, exact.scale, to.scale);
      return fitsDigits(unscaled, to.precision) ? unscaled : null;
    }
    case 'VARCHAR':
      return textOf(value, from);
    case 'DATE': {
      if (typeof value === 'string') return parseDate(value);
      const { days } = daysAndTicks(value, from);
      return fitsInt(days) ? days : null;
    }
    case 'TIMESTAMP': {
      const perMs = ticksPerMs(to.precision);
      const ticks = typeof value === 'string' ? parseTimestamp(value, perMs) : rescale(value, from, perMs);
      return ticks !== null && fitsBigint(ticks) ? ticks : null;
    }
    default:
      return null;
  }
}

function rescale(value: Present, from: DataType, perMs: number): bigint {
  if (from.kind === 'DATE') return BigInt(value as number) * BigInt(dayMs) * BigInt(perMs);
  const had = ticksPerMs((from as { precision: number }).precision);
  return had <= perMs ? (value as bigint) * BigInt(perMs / had) : floorDivide(value as bigint, BigInt(had / perMs));
}

/** The value's decimal digits; of a DOUBLE the shortest that tell it, as Java's BigDecimal.valueOf. */
function exactOf(value: Present, from: DataType): ReturnType<typeof parseDecimal> {
  if (typeof value === 'boolean') return { unscaled: value ? 1n : 0n, scale: 0 };
  if (typeof value === 'bigint') return { unscaled: value, scale: scaleOf(from) };
  return parseDecimal(typeof value === 'string' ? value.replace(/^ +| +$/g, '') : String(value));
}

/** Flink's BinaryStringDataUtil.toBooleanSQL. */
function parseBoolean(text: string): boolean | null {
  const word = text.replace(/^ +| +$/g, '').toLowerCase();
  if (['t', 'true', 'y', 'yes', '1'].includes(word)) return true;
  return ['f', 'false', 'n', 'no', '0'].includes(word) ? false : null;
}

/** Flink's toInt/toLong: blanks trimmed, a sign, digits, and a fraction that is checked and cut off. Doubles truncate. */
function wholeOf(value: Present, from: DataType): bigint | null {
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'string') {
    const match = /^ *([+-]?)(\d*)(?:\.(\d*))? *$/.exec(value);
    if (match === null || /^ *[+-]? *$/.test(value)) return null;
    return BigInt(`${match[1] === '-' ? '-' : ''}${match[2] || '0'}`);
  }
  if (typeof value === 'bigint') return value / powerOfTen(scaleOf(from));
  if (from.kind === 'DOUBLE' && !Number.isFinite(value)) return null;
  return BigInt(Math.trunc(value));
}

/** Java's Double.parseDouble without its hexadecimal and suffixed forms. */
function parseDouble(text: string): number | null {
  const word = text.replace(/^ +| +$/g, '');
  if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(word)) return Number(word);
  const special = /^([+-]?)(NaN|Infinity)$/.exec(word);
  if (special === null) return null;
  return (special[1] === '-' ? -1 : 1) * Number(special[2]);
}

function textOf(value: Present, from: DataType): string {
  switch (from.kind) {
    case 'BOOLEAN':
      return value ? 'TRUE' : 'FALSE';
    case 'DOUBLE':
      return doubleText(value as number);
    case 'DECIMAL':
      return shown(value, from);
    case 'DATE':
      return formatDate(value as number);
    case 'TIMESTAMP':
      return formatTimestamp(value as bigint, ticksPerMs(from.precision), from.precision);
    default:
      return String(value);
  }
}

/** Java's Double.toString, which Flink's CAST prints: `1.0`, `1.0E10`, `1.0E-5`; the digits are the shortest, as in JDK 19. */
function doubleText(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const magnitude = Math.abs(value);
  if (magnitude === 0) return `${sign}0.0`;
  const [mantissa, exponent] = magnitude.toExponential().split('e') as [string, string];
  const digits = mantissa.replace('.', '');
  const power = Number(exponent);
  if (power < -3 || power > 6) return `${sign}${digits[0]}.${digits.slice(1) || '0'}E${power}`;
  if (power < 0) return `${sign}0.${'0'.repeat(-power - 1)}${digits}`;
  const whole = digits.slice(0, power + 1).padEnd(power + 1, '0');
  return `${sign}${whole}.${digits.slice(power + 1) || '0'}`;
}
