/**
 * One value as plain JavaScript, as the interpreter and constant folding see it, and its form as a literal (JSON).
 * BOOLEAN is a boolean; INT and DATE (days) a number; BIGINT, DECIMAL (units of its scale), TIMESTAMP (ticks of its
 * precision) and INTERVAL (milliseconds) a bigint; DOUBLE a number; VARCHAR a string; NULL is null. It knows nothing of memory.
 */
import { decimalText, parseDecimal, rescaled } from '../record/decimal.ts';
import type { DataType } from '../record/types.ts';
import type { LiteralValue } from './tree.ts';

export type Value = boolean | number | bigint | string | null;

const namedDoubles: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
  '-0': -0,
};

/** The value that a typed literal stands for. */
export function valueOfLiteral(value: LiteralValue, type: DataType): Value {
  if (value === null) return null;
  switch (type.kind) {
    case 'BIGINT':
    case 'TIMESTAMP':
    case 'INTERVAL':
      return BigInt(value);
    case 'DECIMAL': {
      const exact = parseDecimal(String(value));
      return exact === null ? null : rescaled(exact.unscaled, exact.scale, type.scale);
    }
    case 'DOUBLE':
      return typeof value === 'string' ? (namedDoubles[value] ?? Number(value)) : Number(value);
    case 'INT':
    case 'DATE':
      return Number(value);
    default:
      return value;
  }
}

/** The JSON form of a value of that type: what `valueOfLiteral` undoes. */
export function literalOfValue(value: Value, type: DataType): LiteralValue {
  if (value === null) return null;
  if (typeof value === 'bigint') return type.kind === 'DECIMAL' ? decimalText(value, type.scale) : value.toString();
  if (type.kind === 'DOUBLE' && (!Number.isFinite(value) || Object.is(value, -0))) {
    return Object.is(value, -0) ? '-0' : String(value);
  }
  return value;
}

export const intMin = -2147483648;
export const intMax = 2147483647;
export const bigintMin = -(2n ** 63n);
export const bigintMax = 2n ** 63n - 1n;

export const fitsInt = (value: number): boolean => value >= intMin && value <= intMax;
export const fitsBigint = (value: bigint): boolean => value >= bigintMin && value <= bigintMax;
