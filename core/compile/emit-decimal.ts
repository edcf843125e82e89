/**
 * DECIMAL as instructions: i64 units of 10^−scale. Whatever can be told from the types is: where no value can leave its
 * type nothing is checked, where 64 bits suffice no kernel is called. It shares nothing with the interpreter.
 */
import { type DecimalOperation, digitsOf, wantedDigits } from '../expr/decimals.ts';
import type { Expr } from '../expr/tree.ts';
import { valueOfLiteral } from '../expr/value.ts';
import { decimalDigitsMax } from '../record/decimal.ts';
import type { DataType } from '../record/types.ts';
import type { Emitted, Emitter } from './emit.ts';
import { type Import, Op, Type } from './wasm.ts';

const kernel = (name: string, wide: number, result: Type): Import => {
  return { name, params: Array.from({ length: wide }, () => Type.i64), result };
};
const decimalTimes = kernel('decimalTimes', 3, Type.i64);
const decimalPlus = kernel('decimalPlus', 5, Type.i64);
const decimalDivide = kernel('decimalDivide', 4, Type.i64);
const decimalMod = kernel('decimalMod', 4, Type.i64);
const decimalCompare = kernel('decimalCompare', 4, Type.i32);

const power = (exponent: number): bigint => 10n ** BigInt(exponent);
/** As the i64 whose bits are that unsigned number. */
const bits = (value: bigint): bigint => BigInt.asIntN(64, value);
const outside = -(2n ** 63n);

type Decimal = Extract<DataType, { kind: 'DECIMAL' }>;
type Call = Extract<Expr, { kind: 'call' }>;

/** Pushes an exact number as i64. */
function pushExact(self: Emitter, arg: Emitted): void {
  arg.push();
  if (arg.storage === 'i32') self.code.op(Op.i64ExtendI32S);
}

/** Leaves the i64 local; fails the row unless it has at most `precision` digits. */
function pushWithin(self: Emitter, args: readonly Emitted[], value: number, precision: number): void {
  pushBeyond(self, value, power(precision) - 1n);
  self.failIf(args);
  self.code.get(value);
}

/** Pushes whether the local is outside ±most; most < 2^62. */
function pushBeyond(self: Emitter, value: number, most: bigint): void {
  self.code
    .get(value)
    .i64(most)
    .op(Op.i64Add)
    .i64(2n * most)
    .op(Op.i64GtU);
}

/** Leaves a kernel's answer; fails the row where it has none. */
function pushAnswer(self: Emitter, args: readonly Emitted[]): void {
  const { code } = self;
  const answer = self.keep(Type.i64);
  code.get(answer).i64(outside).op(Op.i64Eq);
  self.failIf(args);
  code.get(answer);
}

/** Leaves the result of an operation over two exact numbers, one of them a DECIMAL. */
export function pushDecimal(self: Emitter, expr: Call, args: readonly Emitted[]): void {
  const operation = expr.fn as DecimalOperation;
  const [a, b] = args as [Emitted, Emitted];
  const [left, right] = expr.args.map((e) => e.type) as [DataType, DataType];
  const result = expr.type as Decimal;
  const [digitsA, digitsB] = [digitsOf(left), digitsOf(right)] as [Decimal, Decimal];
  const scale = Math.max(digitsA.scale, digitsB.scale);
  const [upA, upB] = [scale - digitsA.scale, scale - digitsB.scale];
  const { code } = self;
  const wanted = wantedDigits(operation, left, right);
  const fits = wanted.precision <= decimalDigitsMax;
  const down = wanted.scale - result.scale;
  switch (operation) {
    case 'plus':
    case 'minus': {
      const direct = down === 0 && digitsA.precision + upA <= 18 && digitsB.precision + upB <= 18;
      if (direct) {
        pushScaled(self, a, upA);
        pushScaled(self, b, upB);
        code.op(operation === 'plus' ? Op.i64Add : Op.i64Sub);
        if (!fits) pushWithin(self, args, self.keep(Type.i64), result.precision);
        return;
      }
      pushExact(self, a);
      code.i64(power(upA));
      if (operation === 'plus') pushExact(self, b);
      else pushNegated(self, b, args);
      code.i64(power(upB)).i64(power(down)).call(decimalPlus);
      pushAnswer(self, args);
      return;
    }
    case 'times':
      if (fits) {
        pushExact(self, a);
        pushExact(self, b);
        code.op(Op.i64Mul);
      } else pushTimes(self, expr, args, down);
      return;
    case 'divide': {
      const up = result.scale + digitsB.scale - digitsA.scale;
      pushExact(self, a);
      code.i64(power(Math.min(up, decimalDigitsMax))).i64(power(Math.max(0, up - decimalDigitsMax)));
      pushExact(self, b);
      code.call(decimalDivide);
      pushAnswer(self, args);
      return;
    }
    case 'mod':
      pushExact(self, a);
      code.i64(power(upA));
      pushExact(self, b);
      code.i64(power(upB)).call(decimalMod);
      pushAnswer(self, args);
  }
}

/** Pushes the exact number times 10^up, which cannot leave 18 digits. */
function pushScaled(self: Emitter, arg: Emitted, up: number): void {
  pushExact(self, arg);
  if (up > 0) self.code.i64(power(up)).op(Op.i64Mul);
}

/** −x for a sum. −2^63, a BIGINT, has no negative: it is outside every DECIMAL, and so is the difference. */
function pushNegated(self: Emitter, arg: Emitted, args: readonly Emitted[]): void {
  const { code } = self;
  pushExact(self, arg);
  const value = self.keep(Type.i64);
  code.get(value).i64(outside).op(Op.i64Eq);
  self.failIf(args);
  code.i64(0n).get(value).op(Op.i64Sub);
}

/** A product that may have more than 18 digits. */
function pushTimes(self: Emitter, expr: Call, args: readonly Emitted[], down: number): void {
  const { code } = self;
  const [a, b] = args as [Emitted, Emitted];
  const literal = expr.args.findIndex((arg) => arg.kind === 'literal' && arg.value !== null);
  if (literal >= 0 && down === 0) {
    const { value, type } = expr.args[literal] as Extract<Expr, { kind: 'literal' }>;
    const factor = BigInt(valueOfLiteral(value, type) as bigint | number);
    pushExact(self, literal === 0 ? b : a);
    const other = self.keep(Type.i64);
    if (factor !== 0n) {
      pushBeyond(self, other, (power(decimalDigitsMax) - 1n) / (factor < 0n ? -factor : factor));
      self.failIf(args);
    }
    code.get(other).i64(factor).op(Op.i64Mul);
    return;
  }
  pushExact(self, a);
  const left = self.keep(Type.i64);
  pushExact(self, b);
  const right = self.keep(Type.i64);
  const result = code.local(Type.i64);
  const wide = (): void => {
    code
      .get(left)
      .get(right)
      .i64(bits(power(down)))
      .call(decimalTimes)
      .set(result);
  };
  if (down > 0) wide();
  else {
    // Two factors of 32 bits need no more than 64.
    const isNarrow = (value: number): void => {
      code.get(value).get(value).op(Op.i64Extend32S, Op.i64Eq);
    };
    isNarrow(left);
    isNarrow(right);
    code.op(Op.i32And).if(() => code.get(left).get(right).op(Op.i64Mul).set(result), wide);
  }
  // −2^63 is beyond as well.
  pushWithin(self, args, result, decimalDigitsMax);
}

const orders = {
  eq: [Op.i64Eq, Op.i32Eq],
  ne: [Op.i64Ne, Op.i32Ne],
  lt: [Op.i64LtS, Op.i32LtS],
  lte: [Op.i64LeS, Op.i32LeS],
  gt: [Op.i64GtS, Op.i32GtS],
  gte: [Op.i64GeS, Op.i32GeS],
} as const;

/** Leaves whether two exact numbers, one of them a DECIMAL, stand in that order. */
export function pushDecimalOrder(
  self: Emitter,
  order: keyof typeof orders,
  expr: Call,
  args: readonly Emitted[],
): void {
  const { code } = self;
  const [a, b] = args as [Emitted, Emitted];
  const [left, right] = expr.args.map((e) => digitsOf(e.type)) as [Decimal, Decimal];
  const scale = Math.max(left.scale, right.scale);
  const [upA, upB] = [scale - left.scale, scale - right.scale];
  if (left.precision + upA <= 18 + (upA === 0 ? 1 : 0) && right.precision + upB <= 18 + (upB === 0 ? 1 : 0)) {
    pushScaled(self, a, upA);
    pushScaled(self, b, upB);
    code.op(orders[order][0]);
    return;
  }
  pushExact(self, a);
  code.i64(power(upA));
  pushExact(self, b);
  code.i64(power(upB)).call(decimalCompare).i32(0).op(orders[order][1]);
}

/** Leaves the local ÷ 10^places, halves away from zero. */
function pushRounded(self: Emitter, value: number, places: number): void {
  const { code } = self;
  const half = power(places) / 2n;
  code.get(value);
  code.i64(-half).i64(half).get(value).i64(0n).op(Op.i64LtS, Op.select, Op.i64Add);
  code.i64(power(places)).op(Op.i64DivS);
}

/** ROUND to digits; the number is on demand, the digits a literal. */
export function pushRound(self: Emitter, expr: Call, args: readonly Emitted[]): void {
  const { code } = self;
  const [a] = args as [Emitted];
  const { scale } = (expr.args[0] as Expr).type as Decimal;
  const digits = Number((expr.args[1] as { value?: unknown } | undefined)?.value ?? 0);
  a.push();
  if (digits >= scale) return;
  const value = self.keep(Type.i64);
  const places = scale - digits;
  if (places > decimalDigitsMax) {
    // Less than half a unit.
    code.i64(0n);
    return;
  }
  pushRounded(self, value, places);
  if (digits >= 0) return;
  code.i64(power(-digits)).op(Op.i64Mul);
  pushWithin(self, args, self.keep(Type.i64), (expr.type as Decimal).precision);
}

/** FLOOR and CEIL. */
export function pushWhole(self: Emitter, expr: Call, args: readonly Emitted[], up: boolean): void {
  const { code } = self;
  const { scale } = (expr.args[0] as Expr).type as Decimal;
  (args[0] as Emitted).push();
  if (scale === 0) return;
  const value = self.keep(Type.i64);
  code.get(value).i64(power(scale)).op(Op.i64DivS);
  const cut = self.keep(Type.i64);
  code.get(value).get(cut).i64(power(scale)).op(Op.i64Mul, Op.i64Sub);
  const rest = self.keep(Type.i64);
  code
    .get(cut)
    .get(rest)
    .i64(0n)
    .op(up ? Op.i64GtS : Op.i64LtS, Op.i64ExtendI32U);
  code.op(up ? Op.i64Add : Op.i64Sub);
}

/** What a CAST leaves: a value in a local, and whether it is none (null: it always is one). */
export interface Casted {
  readonly value: number;
  readonly bad: (() => void) | null;
}

/** CAST of BOOLEAN, INT, BIGINT or DECIMAL to DECIMAL; the argument is on the stack as it is stored. */
export function castToDecimal(self: Emitter, from: DataType, to: Decimal, total: boolean): Casted {
  const { code } = self;
  if (from.kind === 'BOOLEAN') code.op(Op.i64ExtendI32U);
  else if (from.kind === 'INT') code.op(Op.i64ExtendI32S);
  const value = self.keep(Type.i64);
  const had = from.kind === 'DECIMAL' ? from.scale : 0;
  const up = to.scale - had;
  if (up < 0) {
    pushRounded(self, value, -up);
    const rounded = self.keep(Type.i64);
    return { value: rounded, bad: total ? null : () => pushBeyond(self, rounded, power(to.precision) - 1n) };
  }
  const scaled = up === 0 ? value : code.local(Type.i64);
  if (up > 0) code.get(value).i64(power(up)).op(Op.i64Mul).set(scaled);
  const most = power(Math.max(0, to.precision - up)) - 1n;
  return { value: scaled, bad: total ? null : () => pushBeyond(self, value, most) };
}

/** Pushes the whole part of the DECIMAL on the stack, cut off. */
export function pushWholePart(self: Emitter, from: Decimal): void {
  if (from.scale > 0) self.code.i64(power(from.scale)).op(Op.i64DivS);
}

/** Digits whose units and powers of ten are exact as doubles: their quotient is the nearest double. */
export const doubleDigitsMax = 15;

/** Pushes the DECIMAL on the stack, of at most `doubleDigitsMax` digits, as DOUBLE. */
export function pushDouble(self: Emitter, from: Decimal): void {
  self.code.op(Op.f64ConvertI64S);
  if (from.scale > 0) self.code.f64(10 ** from.scale).op(Op.f64Div);
}
