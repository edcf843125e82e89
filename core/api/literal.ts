/** JavaScript values as literals of a plan. Knows SQL types and JSON, nothing of streams. */
import { MillraceError } from '../base/errors.ts';
import type { LiteralValue, UnboundExpr } from '../expr/tree.ts';
import { decimalText, isDecimal } from '../record/decimal.ts';
import type { DataType } from '../record/types.ts';

type LiteralExpr = Extract<UnboundExpr, { kind: 'literal' }>;

/**
 * A literal. A number or string has no type of its own yet: it takes that of what it stands beside (`binder`'s work), so
 * that `date.gte('2001-01-01')` compares dates. Errors: `plan/type`, naming `where`.
 */
export function literalOf(value: unknown, where: string): LiteralExpr {
  switch (typeof value) {
    case 'boolean':
      return literal(value, { kind: 'BOOLEAN' });
    case 'string':
      return literal(value, null);
    case 'number':
      if (Number.isFinite(value))
        return Object.is(value, -0) ? literal('-0', { kind: 'DOUBLE' }) : literal(value, null);
      return literal(String(value), { kind: 'DOUBLE' });
    case 'bigint':
      if (BigInt.asIntN(64, value) === value) return literal(String(value), { kind: 'BIGINT' });
      throw new MillraceError('plan/type', `${where}: ${value} is beyond BIGINT, which has 64 bits`);
  }
  if (value instanceof Date) {
    const ms = value.getTime();
    if (Number.isNaN(ms)) throw new MillraceError('plan/type', `${where}: an invalid Date`);
    return literal(String(ms), { kind: 'TIMESTAMP', precision: 3 });
  }
  if (isDecimal(value)) {
    const digits = value.unscaled.toString().replace('-', '').length;
    return literal(decimalText(value.unscaled, value.scale), {
      kind: 'DECIMAL',
      precision: Math.max(digits, value.scale),
      scale: value.scale,
    });
  }
  throw new MillraceError('plan/type', `${where}: ${complaint(value)}`);
}

function literal(value: LiteralValue, type: DataType | null): LiteralExpr {
  return Object.freeze({ kind: 'literal', value, type });
}

function complaint(value: unknown): string {
  if (value === null || value === undefined) return `${value} compares with nothing; ask .isNull() or .isNotNull()`;
  if (typeof value === 'object' && 'otherwise' in value) return 'a when(…) without its .otherwise(…)';
  return `a ${typeof value} is neither an expression nor a literal`;
}
