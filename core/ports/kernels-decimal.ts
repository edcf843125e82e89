/**
 * Exact decimals with 128 bits on the way: kernels/assembly/decimal.ts. Values are units of 10^−scale, powers of ten come as
 * i64 whose bits are read unsigned. −2^63 answers for what has more than 18 digits, and for a division by zero.
 */
export interface DecimalKernels {
  /** a × b ÷ down, halves away from zero. */
  decimalTimes(a: bigint, b: bigint, down: bigint): bigint;
  /** (a × upA + b × upB) ÷ down. */
  decimalPlus(a: bigint, upA: bigint, b: bigint, upB: bigint, down: bigint): bigint;
  /** a × up × more ÷ b. */
  decimalDivide(a: bigint, up: bigint, more: bigint, b: bigint): bigint;
  /** The remainder of a × upA by b × upB, with the sign of a; one power is 1. */
  decimalMod(a: bigint, upA: bigint, b: bigint, upB: bigint): bigint;
  /** −1, 0 or 1: the order of a × upA and b × upB. */
  decimalCompare(a: bigint, upA: bigint, b: bigint, upB: bigint): number;
}
