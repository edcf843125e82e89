/** Which types cast to which, and whether a value may refuse. It knows no values; interpret.ts and the compiler do. */
import { decimalDigitsMax } from '../record/decimal.ts';
import type { DataType, TypeKind } from '../record/types.ts';
import { ticksPerMs } from '../record/types.ts';
import { type DecimalType, digitsOf } from './decimals.ts';

export const CastRule = {
  /** Every value has an image. */ total: 'total',
  /** Some values have none: CAST raises `expr/cast`, TRY_CAST answers NULL. */ partial: 'partial',
} as const;
export type CastRule = (typeof CastRule)[keyof typeof CastRule];

const t = CastRule.total;
const p = CastRule.partial;
/**
 * Flink's table of supported casts, for our types (docs "Data Types", CAST): numbers do not become times and back. Where
 * Flink wraps or saturates (BIGINT to INT, DOUBLE to BIGINT) we raise: docs/decisions/expressions.md.
 */
const rules: Partial<Record<TypeKind, Partial<Record<TypeKind, CastRule>>>> = {
  BOOLEAN: { BOOLEAN: t, INT: t, BIGINT: t, DOUBLE: t, DECIMAL: t, VARCHAR: t },
  INT: { BOOLEAN: t, INT: t, BIGINT: t, DOUBLE: t, DECIMAL: t, VARCHAR: t },
  BIGINT: { BOOLEAN: t, INT: p, BIGINT: t, DOUBLE: t, DECIMAL: t, VARCHAR: t },
  DOUBLE: { BOOLEAN: t, INT: p, BIGINT: p, DOUBLE: t, DECIMAL: p, VARCHAR: t },
  DECIMAL: { BOOLEAN: t, INT: t, BIGINT: t, DOUBLE: t, DECIMAL: t, VARCHAR: t },
  VARCHAR: { BOOLEAN: p, INT: p, BIGINT: p, DOUBLE: p, DECIMAL: p, VARCHAR: t, DATE: p, TIMESTAMP: p },
  DATE: { DATE: t, TIMESTAMP: t, VARCHAR: t },
  TIMESTAMP: { DATE: p, TIMESTAMP: t, VARCHAR: t },
};

/** Null: there is no such cast. */
export function castRule(from: DataType, to: DataType): CastRule | null {
  const rule = rules[from.kind]?.[to.kind] ?? null;
  if (rule === t && to.kind === 'TIMESTAMP') {
    const finer =
      from.kind === 'DATE'
        ? ticksPerMs(to.precision) > 1
        : from.kind === 'TIMESTAMP' && ticksPerMs(from.precision) < ticksPerMs(to.precision);
    return finer ? p : t;
  }
  if (isWide(from) || isWide(to)) return null;
  if (rule === t && to.kind === 'DECIMAL') return wholeDigits(from, to.scale) <= to.precision - to.scale ? t : p;
  // Ten digits are an INT's, but not all of them.
  if (from.kind === 'DECIMAL' && to.kind === 'INT') return from.precision - from.scale < 10 ? t : p;
  return rule;
}

/** Of more digits than are stored. */
const isWide = (type: DataType): boolean => type.kind === 'DECIMAL' && type.precision > decimalDigitsMax;

/** Digits ahead of the point that a number may have once it is rounded to that scale. */
function wholeDigits(type: DataType, scale: number): number {
  if (type.kind === 'BOOLEAN') return 1;
  const digits = digitsOf(type) as DecimalType;
  return digits.precision - digits.scale + (digits.scale > scale ? 1 : 0);
}
