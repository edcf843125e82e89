/** CAST and TRY_CAST as instructions. What has no image fails the row, or is NULL. Not here: see host.ts. */

import { dayMs } from '../expr/calendar.ts';
import { CastRule, castRule } from '../expr/casts.ts';
import type { Expr } from '../expr/tree.ts';
import { bigintMax, intMax, intMin } from '../expr/value.ts';
import { storageOf } from '../record/layout.ts';
import { ticksPerMs } from '../record/types.ts';
import type { Emitted, Emitter } from './emit.ts';
import { castToDecimal, pushDouble, pushWholePart } from './emit-decimal.ts';
import { pushFloorDivide } from './emit-functions.ts';
import { type Import, Op, Trunc, Type } from './wasm.ts';

const formatI64: Import = { name: 'formatI64', params: [Type.i64, Type.i32, Type.i32, Type.i32], result: Type.i32 };
const parseI64: Import = { name: 'parseI64', params: [Type.i32, Type.i32], result: Type.i32 };

export function castEmitter(self: Emitter, expr: Extract<Expr, { kind: 'cast' }>, arg: Emitted): Emitted {
  const { code } = self;
  const [from, to] = [expr.arg.type, expr.type];
  const storage = storageOf(to);
  const { isNull } = arg;
  const kept = (type: Type): Emitted => {
    const local = self.keep(type);
    return { storage, push: () => code.get(local), isNull };
  };
  /** The value in `local`; `bad` pushes whether it is none. */
  const partial = (local: number, bad: () => void): Emitted => {
    const push = (): void => {
      code.get(local);
    };
    if (!expr.safe) {
      bad();
      self.failIf([arg]);
      return { storage, push, isNull };
    }
    bad();
    if (isNull) {
      isNull();
      code.op(Op.i32Or);
    }
    const nothing = self.keep(Type.i32);
    return { storage, push, isNull: () => code.get(nothing) };
  };
  const notIn = (value: number, low: bigint, high: bigint) => (): void => {
    code.get(value).i64(low).op(Op.i64LtS).get(value).i64(high).op(Op.i64GtS, Op.i32Or);
  };

  if (from.kind === 'VARCHAR') {
    // To INT or BIGINT; the kernel reads text, so not of null rows.
    const place = self.context.frame.place(`parse ${JSON.stringify(expr)}`, 16);
    const good = code.local(Type.i32);
    const value = code.local(Type.i64);
    code.i32(0).set(good);
    self.whenPresent(isNull, () => {
      arg.push();
      self.pushPlace(place);
      code.call(parseI64).set(good);
      self.pushPlace(place);
      code.load('i64').set(value);
    });
    if (to.kind === 'BIGINT') return partial(value, () => code.get(good).op(Op.i32Eqz));
    const narrow = code.local(Type.i32);
    code.get(value).op(Op.i32WrapI64).set(narrow);
    return partial(narrow, () => {
      code.get(good).op(Op.i32Eqz);
      notIn(value, BigInt(intMin), BigInt(intMax))();
      code.op(Op.i32Or);
    });
  }

  arg.push();
  switch (to.kind) {
    case 'BOOLEAN':
      if (arg.storage === 'i32') code.i32(0).op(Op.i32Ne);
      else if (arg.storage === 'i64') code.i64(0n).op(Op.i64Ne);
      else if (arg.storage === 'f64') code.f64(0).op(Op.f64Ne);
      return kept(Type.i32);
    case 'INT': {
      if (arg.storage === 'bit' || arg.storage === 'i32') return kept(Type.i32);
      const narrow = code.local(Type.i32);
      if (arg.storage === 'i64') {
        if (from.kind === 'DECIMAL') pushWholePart(self, from);
        const wide = self.keep(Type.i64);
        code.get(wide).op(Op.i32WrapI64).set(narrow);
        return partial(narrow, notIn(wide, BigInt(intMin), BigInt(intMax)));
      }
      const real = self.keep(Type.f64);
      code.get(real).trunc(Trunc.i32TruncSatF64S).set(narrow);
      // Truncation first: −2147483648.9 is an INT. NaN is in no range.
      return partial(narrow, () => {
        code
          .get(real)
          .f64(intMin - 1)
          .op(Op.f64Gt)
          .get(real)
          .f64(intMax + 1)
          .op(Op.f64Lt, Op.i32And, Op.i32Eqz);
      });
    }
    case 'BIGINT': {
      if (arg.storage === 'bit') code.op(Op.i64ExtendI32U);
      else if (arg.storage === 'i32') code.op(Op.i64ExtendI32S);
      if (from.kind === 'DECIMAL') pushWholePart(self, from);
      if (arg.storage !== 'f64') return kept(Type.i64);
      const real = self.keep(Type.f64);
      const value = code.local(Type.i64);
      code.get(real).trunc(Trunc.i64TruncSatF64S).set(value);
      const limit = Number(bigintMax + 1n);
      return partial(value, () => {
        code.get(real).f64(-limit).op(Op.f64Ge).get(real).f64(limit).op(Op.f64Lt, Op.i32And, Op.i32Eqz);
      });
    }
    case 'DOUBLE':
      if (from.kind === 'DECIMAL') pushDouble(self, from);
      else if (arg.storage === 'i64') code.op(Op.f64ConvertI64S);
      else if (arg.storage !== 'f64') code.op(Op.f64ConvertI32S);
      return kept(Type.f64);
    case 'DECIMAL': {
      const { value, bad } = castToDecimal(self, from, to, castRule(from, to) === CastRule.total);
      return bad === null ? { storage, push: () => code.get(value), isNull } : partial(value, bad);
    }
    case 'VARCHAR':
      return toText(self, expr, arg);
    case 'DATE': {
      if (from.kind === 'DATE') return kept(Type.i32);
      const ticks = self.keep(Type.i64);
      pushFloorDivide(self, ticks, BigInt(dayMs * ticksPerMs((from as { precision: number }).precision)));
      const days = self.keep(Type.i64);
      const narrow = code.local(Type.i32);
      code.get(days).op(Op.i32WrapI64).set(narrow);
      return partial(narrow, notIn(days, BigInt(intMin), BigInt(intMax)));
    }
    default: {
      const perMs = ticksPerMs((to as { precision: number }).precision);
      const had = from.kind === 'DATE' ? 1 / dayMs : ticksPerMs((from as { precision: number }).precision);
      if (from.kind === 'DATE') code.op(Op.i64ExtendI32S);
      const ticks = self.keep(Type.i64);
      if (had > perMs) {
        pushFloorDivide(self, ticks, BigInt(had / perMs));
        return kept(Type.i64);
      }
      const factor = BigInt(Math.round(perMs / had));
      const scaled = code.local(Type.i64);
      code.get(ticks).i64(factor).op(Op.i64Mul).set(scaled);
      if (factor === 1n) return { storage, push: () => code.get(scaled), isNull };
      return partial(scaled, notIn(ticks, -(2n ** 63n) / factor, bigintMax / factor));
    }
  }
}

/** INT, BIGINT and BOOLEAN; the argument is on the stack. */
function toText(self: Emitter, expr: Extract<Expr, { kind: 'cast' }>, arg: Emitted): Emitted {
  const { code, context } = self;
  const { isNull } = arg;
  if (arg.storage === 'view') {
    const view = self.keep(Type.i32);
    return { storage: 'view', push: () => code.get(view), isNull };
  }
  if (arg.storage === 'bit') {
    const value = self.keep(Type.i32);
    const [yes, no] = [context.frame.text('TRUE'), context.frame.text('FALSE')];
    const push = (): void => {
      self.pushPlace(yes);
      self.pushPlace(no);
      code.get(value).op(Op.select);
    };
    return { storage: 'view', push, isNull };
  }
  if (arg.storage === 'i32') code.op(Op.i64ExtendI32S);
  const value = self.keep(Type.i64);
  const place = context.frame.place(`view ${JSON.stringify(expr)}`, 16);
  self.whenPresent(isNull, () => {
    code.get(value);
    self.pushPlace(place);
    code.get(context.room).get(context.roomEnd).call(formatI64);
    self.takeRoom();
  });
  return { storage: 'view', push: () => self.pushPlace(place), isNull };
}
