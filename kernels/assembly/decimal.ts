/**
 * Exact decimal arithmetic where 64 bits are not enough on the way: operands and results are units of 10^−scale as i64,
 * what is between has 128 bits. Powers of ten come as arguments, up to 10^19, unsigned. `outside` (which no DECIMAL
 * holds) answers for what has more than 18 digits. Halves are rounded away from zero.
 */

const outside: i64 = i64.MIN_VALUE;
/** 10^18. */
const limit: u64 = 1000000000000000000;

// @ts-ignore: decorator
@inline
function magnitude(value: i64): u64 {
  return value < 0 ? 0 - <u64>value : <u64>value;
}

/** The high 64 bits of a × b. */
function mulHigh(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const first = a1 * b0 + ((a0 * b0) >> 32);
  const second = a0 * b1 + (first & 0xffffffff);
  return a1 * b1 + (first >> 32) + (second >> 32);
}

/** (high, low) ÷ divisor, cut off; high < divisor. Knuth's algorithm D with two digits (Hacker's Delight, 9–3). */
function divideWide(high: u64, low: u64, divisor: u64): u64 {
  if (high == 0) return low / divisor;
  const base: u64 = 1 << 32;
  const shift = clz(divisor);
  const d = divisor << shift;
  const d1 = d >> 32;
  const d0 = d & 0xffffffff;
  const upper = shift == 0 ? high : (high << shift) | (low >> (64 - shift));
  const lower = low << shift;
  const n1 = lower >> 32;
  const n0 = lower & 0xffffffff;
  let q1 = upper / d1;
  let rest = upper - q1 * d1;
  while (q1 >= base || q1 * d0 > base * rest + n1) {
    q1--;
    rest += d1;
    if (rest >= base) break;
  }
  const middle = upper * base + n1 - q1 * d;
  let q0 = middle / d1;
  rest = middle - q0 * d1;
  while (q0 >= base || q0 * d0 > base * rest + n0) {
    q0--;
    rest += d1;
    if (rest >= base) break;
  }
  return q1 * base + q0;
}

/** ±(high, low) ÷ divisor, rounded; `outside` when that has more than 18 digits. */
function rounded(high: u64, low: u64, divisor: u64, negative: bool): i64 {
  if (high >= divisor) return outside;
  let quotient = divideWide(high, low, divisor);
  const rest = low - quotient * divisor;
  if (quotient >= limit) return outside;
  if (rest >= divisor - rest) quotient++;
  if (quotient >= limit) return outside;
  return negative ? -(<i64>quotient) : <i64>quotient;
}

/** a × b ÷ down. */
export function decimalTimes(a: i64, b: i64, down: u64): i64 {
  const x = magnitude(a);
  const y = magnitude(b);
  return rounded(mulHigh(x, y), x * y, down, (a < 0) != (b < 0));
}

/** (a × upA + b × upB) ÷ down. */
export function decimalPlus(a: i64, upA: u64, b: i64, upB: u64, down: u64): i64 {
  const x = magnitude(a);
  const y = magnitude(b);
  const lowX = x * upA;
  const highX = mulHigh(x, upA);
  const lowY = y * upB;
  const highY = mulHigh(y, upB);
  if ((a < 0) == (b < 0)) {
    const low = lowX + lowY;
    return rounded(highX + highY + u64(low < lowX), low, down, a < 0);
  }
  // Of different sign: the larger magnitude decides.
  if (highX > highY || (highX == highY && lowX >= lowY)) {
    return rounded(highX - highY - u64(lowX < lowY), lowX - lowY, down, a < 0);
  }
  return rounded(highY - highX - u64(lowY < lowX), lowY - lowX, down, b < 0);
}

/** a × up × more ÷ b. `outside` for b = 0, too. */
export function decimalDivide(a: i64, up: u64, more: u64, b: i64): i64 {
  const x = magnitude(a);
  const y = magnitude(b);
  if (y == 0) return outside;
  let low = x * up;
  let high = mulHigh(x, up);
  if (more != 1) {
    // Beyond 128 bits the quotient is beyond 18 digits: b has 64.
    if (mulHigh(high, more) != 0) return outside;
    const carry = mulHigh(low, more);
    high = high * more + carry;
    if (high < carry) return outside;
    low *= more;
  }
  return rounded(high, low, y, (a < 0) != (b < 0));
}

/** The remainder of a × upA by b × upB, with the sign of a; one of the two is 1. `outside` for b = 0. */
export function decimalMod(a: i64, upA: u64, b: i64, upB: u64): i64 {
  const x = magnitude(a);
  const y = magnitude(b);
  if (y == 0) return outside;
  const divisor = y * upB;
  let rest = x;
  if (mulHigh(y, upB) == 0) {
    const low = x * upA;
    const high = mulHigh(x, upA) % divisor;
    rest = low - divideWide(high, low, divisor) * divisor;
  }
  return a < 0 ? -(<i64>rest) : <i64>rest;
}

/** −1, 0 or 1: the order of a × upA and b × upB. */
export function decimalCompare(a: i64, upA: u64, b: i64, upB: u64): i32 {
  if ((a < 0) != (b < 0)) return a < 0 ? -1 : 1;
  const x = magnitude(a);
  const y = magnitude(b);
  const highX = mulHigh(x, upA);
  const highY = mulHigh(y, upB);
  const lowX = x * upA;
  const lowY = y * upB;
  const order = highX != highY ? (highX < highY ? -1 : 1) : i32(lowX > lowY) - i32(lowX < lowY);
  return a < 0 ? -order : order;
}
