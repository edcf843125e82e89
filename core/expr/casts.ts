/** Which types cast to which, and whether a value may refuse. It knows no values; interpret.ts and the compiler do. */
import type { DataType, TypeKind } from '../record/types.ts';
import { ticksPerMs } from '../record/types.ts';

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
  BOOLEAN: { BOOLEAN: t, INT: t, BIGINT: t, DOUBLE: t, VARCHAR: t },
  INT: { BOOLEAN: t, INT: t, BIGINT: t, DOUBLE: t, VARCHAR: t },
  BIGINT: { BOOLEAN: t, INT: p, BIGINT: t, DOUBLE: t, VARCHAR: t },
  DOUBLE: { BOOLEAN: t, INT: p, BIGINT: p, DOUBLE: t, VARCHAR: t },
  VARCHAR: { BOOLEAN: p, INT: p, BIGINT: p, DOUBLE: p, VARCHAR: t, DATE: p, TIMESTAMP: p },
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
  return rule;
}
