/**
 * How types meet: implicit widening (INT → BIGINT → DECIMAL → DOUBLE, DATE → TIMESTAMP, coarser → finer TIMESTAMP) and literals
 * that take the type of what they stand beside. Shared by bind.ts and functions.ts.
 */
import { type ErrorWhere, MillraceError } from '../base/errors.ts';
import { decimalDigitsMax, decimalText, parseDecimal } from '../record/decimal.ts';
import { type DataType, sameType, type TypeKind, ticksPerMs, typeName } from '../record/types.ts';
import { dayMs, parseDate, parseTimestamp } from './calendar.ts';
import { castRule } from './casts.ts';
import { commonDecimal, decimalType, digitsOf } from './decimals.ts';
import { evaluateCast } from './interpret.ts';
import type { Expr, LiteralValue } from './tree.ts';
import { literalOfValue, valueOfLiteral } from './value.ts';

export type LiteralExpr = Extract<Expr, { kind: 'literal' }>;

/** Where an expression is bound: who asks, and how to print a part of it. */
export interface Site {
  readonly where: ErrorWhere;
  text(expr: Expr): string;
  /** The whole expression, as it was written. */
  readonly whole: string;
}

export const boolean: DataType = { kind: 'BOOLEAN' };
export const int: DataType = { kind: 'INT' };
export const bigint: DataType = { kind: 'BIGINT' };
export const double: DataType = { kind: 'DOUBLE' };
export const varchar: DataType = { kind: 'VARCHAR' };

export function literal(value: LiteralValue, type: DataType): LiteralExpr {
  return { kind: 'literal', value, type, nullable: value === null };
}

export const isNumeric = (type: DataType): boolean => rank[type.kind] !== undefined;
export const isInteger = (type: DataType): boolean => type.kind === 'INT' || type.kind === 'BIGINT';
export const isTemporal = (type: DataType): boolean => type.kind === 'DATE' || type.kind === 'TIMESTAMP';

const rank: Partial<Record<TypeKind, number>> = { INT: 1, BIGINT: 2, DECIMAL: 3, DOUBLE: 4 };

/** The narrowest type that both widen to, or null. */
export function commonType(a: DataType, b: DataType): DataType | null {
  if (sameType(a, b)) return a;
  if ((a.kind === 'DECIMAL' || b.kind === 'DECIMAL') && a.kind !== 'DOUBLE' && b.kind !== 'DOUBLE')
    return commonDecimal(a, b);
  const [ra, rb] = [rank[a.kind], rank[b.kind]];
  if (ra !== undefined && rb !== undefined) return ra >= rb ? a : b;
  if (a.kind === 'TIMESTAMP' && b.kind === 'TIMESTAMP') return a.precision >= b.precision ? a : b;
  if (a.kind === 'TIMESTAMP' && b.kind === 'DATE') return a;
  if (a.kind === 'DATE' && b.kind === 'TIMESTAMP') return b;
  return null;
}

/** `plan/type`: says which expression, where, and what was expected. */
export function typeError(site: Site, message: string): MillraceError {
  const [at, whole] = [message, site.whole];
  return new MillraceError('plan/type', at.includes(whole) ? at : `${at}, in ${whole}`, { where: site.where });
}

/** A cast node, or the literal itself when `expr` is one; `expr` when the type is already right. */
export function castTo(expr: Expr, type: DataType): Expr {
  if (sameType(expr.type, type)) return expr;
  if (expr.kind === 'literal') {
    const value = valueOfLiteral(expr.value, expr.type);
    if (value === null) return literal(null, type);
    try {
      return literal(literalOfValue(evaluateCast(value, expr.type, type), type), type);
    } catch {
      // It fails when a row asks for it, as it would for a column.
    }
  }
  return { kind: 'cast', arg: expr, safe: false, type, nullable: expr.nullable };
}

/** Brings all to one type. `what` names the doing for the error: `compared`, `added`. */
export function unify(exprs: readonly Expr[], site: Site, what: string): Expr[] {
  const decided = exprs.filter((e) => !(e.kind === 'literal' && e.value === null));
  const anchor = decided.find((e) => e.kind !== 'literal' && isTemporal(e.type));
  const adapted = anchor ? exprs.map((e) => adaptToTime(e, anchor.type, site)) : exactLiterals(exprs);
  let type: DataType | null = null;
  let first: Expr | null = null;
  for (const expr of adapted) {
    if (expr.kind === 'literal' && expr.value === null) continue;
    const next: DataType | null = type === null ? expr.type : commonType(type, expr.type);
    if (next === null) {
      throw typeError(site, mismatch(first as Expr, expr, what, site));
    }
    type = next;
    first ??= expr;
  }
  const target = type ?? exprs[0]?.type ?? varchar;
  return adapted.map((e) => (e.kind === 'literal' && e.value === null ? literal(null, target) : castTo(e, target)));
}

function mismatch(a: Expr, b: Expr, what: string, site: Site): string {
  const hint =
    (isTemporal(a.type) && b.type.kind === 'VARCHAR') || (isTemporal(b.type) && a.type.kind === 'VARCHAR')
      ? "; write the literal as an ISO string, '2001-01-31' or '2001-01-31 12:00:00', or cast the text"
      : digitsOf(a.type) && digitsOf(b.type)
        ? ` as one type, which would have more than the ${decimalDigitsMax} digits of a DECIMAL; cast one of them`
        : '; cast one of them';
  return `${site.text(a)} is ${typeName(a.type)} and ${site.text(b)} is ${typeName(b.type)}: they cannot be ${what}${hint}`;
}

/** Beside exact decimals a number is one, too, with the digits that it is written with. */
export function exactLiterals(exprs: readonly Expr[]): Expr[] {
  const inexact = exprs.some((e) => e.kind !== 'literal' && e.type.kind === 'DOUBLE');
  if (inexact || !exprs.some((e) => e.type.kind === 'DECIMAL')) return [...exprs];
  return exprs.map((e) => {
    if (e.kind !== 'literal' || e.value === null || !isNumeric(e.type)) return e;
    const exact = parseDecimal(String(e.value));
    if (exact === null) return e;
    const digits = exact.unscaled.toString().replace('-', '').length;
    const precision = Math.max(digits, exact.scale);
    if (precision > decimalDigitsMax || e.type.kind === 'DECIMAL') return e;
    return literal(decimalText(exact.unscaled, exact.scale), decimalType(precision, exact.scale));
  });
}

/**
 * What two or more exact numbers, one of them a DECIMAL, are compared as: all with one scale where 18 digits allow it,
 * else as they are. Null: they are something else.
 */
export function exactPeers(exprs: readonly Expr[]): readonly Expr[] | null {
  const exact = exactLiterals(exprs);
  if (!exact.some((e) => e.type.kind === 'DECIMAL')) return null;
  const digits = exact.map((e) => digitsOf(e.type));
  if (!digits.every((d) => d !== null)) return null;
  const scale = Math.max(...digits.map((d) => d.scale));
  const wanted = digits.map((d) => d.precision - d.scale + scale);
  if (wanted.some((precision) => precision > decimalDigitsMax)) return exact;
  return exact.map((e, i) => castTo(e, decimalType(wanted[i] as number, scale)));
}

/** ISO text beside a DATE or TIMESTAMP is one; a midnight beside a DATE is a DATE. */
function adaptToTime(expr: Expr, type: DataType, site: Site): Expr {
  if (expr.kind !== 'literal' || expr.value === null) return expr;
  if (expr.type.kind === 'VARCHAR') {
    const text = String(expr.value);
    const asDate = type.kind === 'DATE' && !/[T ]\d/.test(text.trim());
    const value = asDate ? parseDate(text) : parseTimestamp(text, 1000);
    if (value === null) {
      throw typeError(
        site,
        `${site.text(expr)} is no ${typeName(type)}: write it as '2001-01-31' or '2001-01-31 12:00:00'`,
      );
    }
    if (asDate) return literal(Number(value), type);
    const micros = BigInt(value);
    if (type.kind === 'TIMESTAMP' && ticksPerMs(type.precision) === 1 && micros % 1000n === 0n) {
      return literal((micros / 1000n).toString(), type);
    }
    return adaptToTime(literal(micros.toString(), { kind: 'TIMESTAMP', precision: 6 }), type, site);
  }
  if (expr.type.kind === 'TIMESTAMP') {
    const ticks = BigInt(expr.value);
    const perMs = BigInt(ticksPerMs(expr.type.precision));
    if (type.kind === 'DATE' && ticks % (perMs * BigInt(dayMs)) === 0n) {
      return literal(Number(ticks / (perMs * BigInt(dayMs))), type);
    }
    // Coarser if nothing is lost, so that the column need not be cast.
    if (type.kind === 'TIMESTAMP' && type.precision < expr.type.precision) {
      const factor = BigInt(ticksPerMs(expr.type.precision) / ticksPerMs(type.precision));
      if (ticks % factor === 0n) return literal((ticks / factor).toString(), type);
    }
  }
  return expr;
}

/** An argument that must be of that type, widened if it can be. */
export function expectType(expr: Expr, type: DataType, site: Site, role: string): Expr {
  if (expr.kind === 'literal' && expr.value === null) return literal(null, type);
  const common = commonType(expr.type, type);
  if (common === null || !sameType(common, type) || castRule(expr.type, type) === null) {
    throw typeError(site, `${role} must be ${typeName(type)}, but ${site.text(expr)} is ${typeName(expr.type)}`);
  }
  return castTo(expr, type);
}
