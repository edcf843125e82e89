/**
 * Exact decimals: a whole number of units of 10^−scale. What JavaScript sees of a DECIMAL, and its text both ways. It
 * knows nothing of SQL's rules for results (expr/decimals.ts), nor where values lie.
 */

/** Digits that a DECIMAL column may have: they fit 64 bits, in which it is stored. */
export const decimalDigitsMax = 18;

/** An exact decimal, as a row carries it. */
export interface Decimal {
  readonly unscaled: bigint;
  readonly scale: number;
  /** The nearest double. */
  toNumber(): number;
  /** All digits of the scale: `12.50`. */
  toString(): string;
}

/** Text or digits beyond these are no decimal for anyone. */
const textMax = 1200;
const scaleMax = 2000;

const powers: readonly bigint[] = Array.from({ length: 78 }, (_, i) => 10n ** BigInt(i));
/** 10 to the power of `exponent`. */
export const powerOfTen = (exponent: number): bigint => powers[exponent] ?? 10n ** BigInt(exponent);

/** Whether it has at most `precision` digits. */
export function fitsDigits(unscaled: bigint, precision: number): boolean {
  const limit = powerOfTen(precision);
  return unscaled < limit && unscaled > -limit;
}

export function decimalText(unscaled: bigint, scale: number): string {
  if (scale === 0) return unscaled.toString();
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** The decimal of that scale, as JavaScript carries it. */
export function decimalOf(unscaled: bigint, scale: number): Decimal {
  return new ExactDecimal(unscaled, scale);
}

export function isDecimal(value: unknown): value is Decimal {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Decimal).unscaled === 'bigint' &&
    Number.isInteger((value as Decimal).scale) &&
    (value as Decimal).scale >= 0
  );
}

/** A decimal as text has it: digits with a point, and an exponent or not; null: it is none. */
export function parseDecimal(text: string): { readonly unscaled: bigint; readonly scale: number } | null {
  if (text.length > textMax) return null;
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text);
  if (match === null) return null;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  if (whole === '' && fraction === '') return null;
  const digits = BigInt(`${whole}${fraction}`);
  const unscaled = sign === '-' ? -digits : digits;
  const scale = fraction.length - Number(exponent);
  if (scale >= 0) return { unscaled, scale };
  return { unscaled: unscaled * powerOfTen(-scale), scale: 0 };
}

/** The value in units of 10^−`to`, halves away from zero. */
export function rescaled(unscaled: bigint, from: number, to: number): bigint {
  if (to >= from) return unscaled * powerOfTen(to - from);
  return divideHalfUp(unscaled, powerOfTen(from - to));
}

/** The quotient, halves away from zero. */
export function divideHalfUp(dividend: bigint, divisor: bigint): bigint {
  const negative = dividend < 0n !== divisor < 0n;
  const [a, b] = [dividend < 0n ? -dividend : dividend, divisor < 0n ? -divisor : divisor];
  const quotient = (2n * a + b) / (2n * b);
  return negative ? -quotient : quotient;
}

/** A value as units of 10^−`scale`; null: it has other digits than a type of that precision and scale holds. */
export function unscaledOf(
  given: { readonly unscaled: bigint; readonly scale: number },
  precision: number,
  scale: number,
): bigint | null {
  if (given.scale > scaleMax) return null;
  const unscaled = rescaled(given.unscaled, given.scale, scale);
  if (given.scale > scale && rescaled(unscaled, scale, given.scale) !== given.unscaled) return null;
  return fitsDigits(unscaled, precision) ? unscaled : null;
}

/** What a value that was expected to be a decimal should have been. */
export const decimalExpected = (precision: number, scale: number): string =>
  `a Decimal of at most ${precision - scale} digits ahead of the point and ${scale} behind it, such as decimal('${decimalText(1n, scale)}')`;

class ExactDecimal implements Decimal {
  readonly unscaled: bigint;
  readonly scale: number;
  constructor(unscaled: bigint, scale: number) {
    this.unscaled = unscaled;
    this.scale = scale;
    Object.freeze(this);
  }
  toNumber(): number {
    return Number(this.toString());
  }
  toString(): string {
    return decimalText(this.unscaled, this.scale);
  }
  /** A text: JSON's numbers are doubles to most who read them. */
  toJSON(): string {
    return this.toString();
  }
}
