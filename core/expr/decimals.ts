/**
 * What types decimal arithmetic has: SQL Server's rules, which Flink's and Spark's are, with 18 digits where those have
 * 38. A result that would have more gives up fraction digits, down to six, before digits ahead of the point.
 * It knows types, not values.
 */
import { decimalDigitsMax } from '../record/decimal.ts';
import type { DataType } from '../record/types.ts';

export type DecimalType = Extract<DataType, { kind: 'DECIMAL' }>;
export const decimalType = (precision: number, scale: number): DecimalType => ({ kind: 'DECIMAL', precision, scale });

/** Digits of a number that is exact; null: it is a DOUBLE, or none. */
export function digitsOf(type: DataType): { readonly precision: number; readonly scale: number } | null {
  switch (type.kind) {
    case 'INT':
      return { precision: 10, scale: 0 };
    case 'BIGINT':
      return { precision: 19, scale: 0 };
    case 'DECIMAL':
      return type;
    default:
      return null;
  }
}

/** The least scale that a result gives up digits to. */
const scaleKept = 6;

/** A type of that many digits, or of all that there are. */
export function adjusted(precision: number, scale: number): DecimalType {
  if (precision <= decimalDigitsMax) return decimalType(precision, scale);
  const whole = precision - scale;
  return decimalType(decimalDigitsMax, Math.max(decimalDigitsMax - whole, Math.min(scale, scaleKept)));
}

export type DecimalOperation = 'plus' | 'minus' | 'times' | 'divide' | 'mod';

/** Digits of a result before any are given up. */
export function wantedDigits(operation: DecimalOperation, left: DataType, right: DataType): DecimalType {
  const [a, b] = [digitsOf(left), digitsOf(right)] as [DecimalType, DecimalType];
  const [wholeA, wholeB] = [a.precision - a.scale, b.precision - b.scale];
  const scale = Math.max(a.scale, b.scale);
  switch (operation) {
    case 'plus':
    case 'minus':
      return decimalType(Math.max(wholeA, wholeB) + 1 + scale, scale);
    case 'times':
      return decimalType(a.precision + b.precision + 1, a.scale + b.scale);
    case 'divide': {
      const fraction = Math.max(scaleKept, a.scale + b.precision + 1);
      return decimalType(wholeA + b.scale + fraction, fraction);
    }
    case 'mod':
      return decimalType(Math.max(1, Math.min(wholeA, wholeB) + scale), scale);
  }
}

/** The type of a result. */
export function decimalResult(operation: DecimalOperation, left: DataType, right: DataType): DecimalType {
  const { precision, scale } = wantedDigits(operation, left, right);
  return adjusted(precision, scale);
}

/** Whether some values of these types have a result that its type does not hold, or none. */
export function decimalFails(operation: DecimalOperation, left: DataType, right: DataType): boolean {
  if (operation === 'divide' || operation === 'mod') return true;
  return wantedDigits(operation, left, right).precision > decimalDigitsMax;
}

/** ROUND to `digits` behind the point. */
export function roundedType({ precision, scale }: DecimalType, digits: number): DecimalType {
  if (digits >= scale) return decimalType(precision, scale);
  return decimalType(Math.min(decimalDigitsMax, 1 + precision - scale + Math.max(digits, 0)), Math.max(digits, 0));
}

/** FLOOR and CEIL. */
export function wholeType({ precision, scale }: DecimalType): DecimalType {
  return decimalType(scale === 0 ? precision : Math.max(1, precision - scale + 1), 0);
}

/** The type that holds both; null: it would have more digits than there are. */
export function commonDecimal(left: DataType, right: DataType): DecimalType | null {
  const [a, b] = [digitsOf(left), digitsOf(right)];
  if (a === null || b === null) return null;
  const scale = Math.max(a.scale, b.scale);
  const precision = Math.max(a.precision - a.scale, b.precision - b.scale) + scale;
  return precision <= decimalDigitsMax ? decimalType(precision, scale) : null;
}

/** SUM keeps the scale, with all digits that there are. */
export const sumType = ({ scale }: DecimalType): DecimalType => decimalType(decimalDigitsMax, scale);

/** AVG has six fraction digits at least, as far as the digits ahead of the point leave room. */
export function averageType({ precision, scale }: DecimalType): DecimalType {
  const room = decimalDigitsMax - (precision - scale);
  return decimalType(decimalDigitsMax, Math.max(scale, Math.min(Math.max(scaleKept, scale), room)));
}
