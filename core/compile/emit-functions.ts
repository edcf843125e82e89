/**
 * The compiled functions, one table: each takes its arguments as values on demand. Strict functions: the result is NULL
 * where an argument is, and code that reads text or could trap runs only where none is.
 */
import { dayMs } from '../expr/calendar.ts';
import type { FunctionName, TimeUnit } from '../expr/functions.ts';
import type { Expr } from '../expr/tree.ts';
import { valueOfLiteral } from '../expr/value.ts';
import { storageOf } from '../record/layout.ts';
import { type DataType, ticksPerMs } from '../record/types.ts';
import { wasmTypes } from './columns.ts';
import { dateFormatProgram } from './date-format-program.ts';
import type { Emitted, Emitter } from './emit.ts';
import { pushDecimal, pushDecimalOrder, pushRound, pushWhole } from './emit-decimal.ts';
import { StopReason } from './frame.ts';
import { keyOf } from './hoist.ts';
import { likeProgram } from './like-program.ts';
import { regexProgram } from './regex-program.ts';
import { type Import, Op, Type } from './wasm.ts';

type Call = Extract<Expr, { kind: 'call' }>;
type FunctionEmitter = (self: Emitter, expr: Call, args: readonly Emitted[]) => Emitted;

const text = (name: string, params: readonly Type[], result: Type | null): Import => ({ name, params, result });
const viewEquals = text('viewEquals', [Type.i32, Type.i32], Type.i32);
const viewCompare = text('viewCompare', [Type.i32, Type.i32], Type.i32);
const viewLength = text('viewLength', [Type.i32], Type.i32);
const likeView = text('likeView', [Type.i32, Type.i32], Type.i32);
const splitView = text('splitView', [Type.i32, Type.i32, Type.i32, Type.i32], Type.i32);
const regexView = text('regexView', [Type.i32, Type.i32, Type.i32, Type.i32], Type.i32);
const formatTime = text('formatTime', [Type.i64, Type.i64, Type.i64, Type.i32, Type.i32, Type.i32, Type.i32], Type.i32);
const trimView = text('trimView', [Type.i32, Type.i32], null);
const substringView = text('substringView', [Type.i32, Type.i32, Type.i32, Type.i32], null);
const concatViews = text('concatViews', [Type.i32, Type.i32, Type.i32, Type.i32, Type.i32], Type.i32);
const datePart = text('datePart', [Type.i64, Type.i32], Type.i64);
const floorDate = text('floorDate', [Type.i64, Type.i32, Type.i64], Type.i64);
const timesOverflows = text('timesOverflows', [Type.i64, Type.i64], Type.i32);
const fmod = text('fmod', [Type.f64, Type.f64], Type.f64);

/** Pushes the floored quotient of the i64 local by a positive constant. */
export function pushFloorDivide(self: Emitter, value: number, by: bigint): void {
  const { code } = self;
  code.get(value).i64(by).op(Op.i64DivS);
  if (by === 1n) return;
  const quotient = self.keep(Type.i64);
  // −1 where a remainder was cut off below zero.
  code.get(quotient).get(value).get(quotient).i64(by).op(Op.i64Mul, Op.i64Sub).i64(63n).op(Op.i64ShrS, Op.i64Add);
}

function strict(self: Emitter, expr: Expr, args: readonly Emitted[], compute: () => void): Emitted {
  const storage = storageOf(expr.type);
  const isNull = self.anyNull(args);
  compute();
  const local = self.keep(wasmTypes[storage]);
  return { storage, push: () => self.code.get(local), isNull };
}

/** As `strict`, computed only where no argument is NULL; elsewhere the value is a zero. */
function guarded(self: Emitter, expr: Expr, args: readonly Emitted[], compute: () => void): Emitted {
  const storage = storageOf(expr.type);
  const isNull = self.anyNull(args);
  const local = self.code.local(wasmTypes[storage]);
  self.whenPresent(isNull, () => {
    compute();
    self.code.set(local);
  });
  return { storage, push: () => self.code.get(local), isNull };
}

const orders = {
  eq: { i32: Op.i32Eq, i64: Op.i64Eq, f64: Op.f64Eq },
  ne: { i32: Op.i32Ne, i64: Op.i64Ne, f64: Op.f64Ne },
  lt: { i32: Op.i32LtS, i64: Op.i64LtS, f64: Op.f64Lt },
  lte: { i32: Op.i32LeS, i64: Op.i64LeS, f64: Op.f64Le },
  gt: { i32: Op.i32GtS, i64: Op.i64GtS, f64: Op.f64Gt },
  gte: { i32: Op.i32GeS, i64: Op.i64GeS, f64: Op.f64Ge },
} as const;

function comparison(order: keyof typeof orders): FunctionEmitter {
  return (self, expr, args) => {
    const { code } = self;
    const [a, b] = args as [Emitted, Emitted];
    if (expr.args.some((arg) => arg.type.kind === 'DECIMAL')) {
      return strict(self, { ...expr, type: { kind: 'BOOLEAN' } }, args, () =>
        pushDecimalOrder(self, order, expr, args),
      );
    }
    if (a.storage !== 'view') {
      return strict(self, { ...expr, type: { kind: 'BOOLEAN' } }, args, () => {
        a.push();
        b.push();
        code.op(orders[order][a.storage === 'bit' ? 'i32' : (a.storage as 'i32')]);
      });
    }
    const inline = order === 'eq' || order === 'ne' ? shortLiteral(expr) : null;
    if (inline !== null) {
      // Equal short texts are equal 16 bytes.
      return strict(self, expr, args, () => {
        const view = inline.first ? b : a;
        view.push();
        code.load('i64').i64(inline.low).op(Op.i64Eq);
        view.push();
        code.load('i64', 8).i64(inline.high).op(Op.i64Eq, Op.i32And);
        if (order === 'ne') code.op(Op.i32Eqz);
      });
    }
    return guarded(self, { ...expr, type: { kind: 'BOOLEAN' } }, args, () => {
      a.push();
      b.push();
      if (order === 'eq' || order === 'ne') {
        code.call(viewEquals);
        if (order === 'ne') code.op(Op.i32Eqz);
      } else code.call(viewCompare).i32(0).op(orders[order].i32);
    });
  };
}

/** The 16 bytes of a literal's view, when one side is a literal of at most 12 bytes. */
function shortLiteral(expr: Call): { low: bigint; high: bigint; first: boolean } | null {
  const at = expr.args.findIndex((a) => a.kind === 'literal' && a.value !== null);
  if (at < 0) return null;
  const bytes = new TextEncoder().encode(String((expr.args[at] as { value: unknown }).value));
  if (bytes.length > 12) return null;
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, bytes.length, true);
  for (const [i, byte] of bytes.entries()) view.setUint8(4 + i, byte);
  return { low: view.getBigInt64(0, true), high: view.getBigInt64(8, true), first: at === 0 };
}

function sum(sign: 1 | -1): FunctionEmitter {
  return (self, expr, args) => {
    const { code } = self;
    const [a, b] = args as [Emitted, Emitted];
    const by = expr.args[1] as Expr;
    if (by.type.kind === 'INTERVAL') return shift(self, expr, a, by, sign);
    return strict(self, expr, args, () => {
      if (expr.type.kind === 'DECIMAL') {
        pushDecimal(self, expr, args);
        return;
      }
      if (a.storage === 'f64') {
        a.push();
        b.push();
        code.op(sign > 0 ? Op.f64Add : Op.f64Sub);
      } else if (a.storage === 'i32') {
        for (const arg of [a, b]) {
          arg.push();
          code.op(Op.i64ExtendI32S);
        }
        code.op(sign > 0 ? Op.i64Add : Op.i64Sub);
        narrow(self, args);
      } else {
        a.push();
        const left = self.keep(Type.i64);
        b.push();
        const right = self.keep(Type.i64);
        addExact(self, args, left, right, sign);
      }
    });
  };
}

/** Leaves left ± right; fails the row when that is outside BIGINT (Hacker's Delight, 2–13). */
function addExact(self: Emitter, args: readonly Emitted[], left: number, right: number, sign: 1 | -1): void {
  const { code } = self;
  code
    .get(left)
    .get(right)
    .op(sign > 0 ? Op.i64Add : Op.i64Sub);
  const result = self.keep(Type.i64);
  code.get(left).get(result).op(Op.i64Xor);
  if (sign > 0) code.get(right).get(result);
  else code.get(left).get(right);
  code.op(Op.i64Xor, Op.i64And).i64(0n).op(Op.i64LtS);
  self.failIf(args);
  code.get(result);
}

/** From an exact i64 on the stack to an INT; fails the row when it is none. */
function narrow(self: Emitter, args: readonly Emitted[]): void {
  const { code } = self;
  const exact = self.keep(Type.i64);
  code.get(exact).get(exact).op(Op.i64Extend32S, Op.i64Ne);
  self.failIf(args);
  code.get(exact).op(Op.i32WrapI64);
}

/** A time and a length of time, which is a literal. */
function shift(self: Emitter, expr: Call, time: Emitted, by: Expr, sign: 1 | -1): Emitted {
  const { code } = self;
  const ms = valueOfLiteral((by as { value: string }).value, by.type) as bigint;
  const isDate = expr.type.kind === 'DATE';
  const amount = isDate ? ms / BigInt(dayMs) : ms * BigInt(ticksPerMs((expr.type as { precision: number }).precision));
  return strict(self, expr, [time], () => {
    if (BigInt.asIntN(64, amount) !== amount) {
      code.i32(1);
      self.failIf([time]);
      time.push();
      return;
    }
    time.push();
    if (isDate) {
      code
        .op(Op.i64ExtendI32S)
        .i64(amount)
        .op(sign > 0 ? Op.i64Add : Op.i64Sub);
      narrow(self, [time]);
      return;
    }
    const left = self.keep(Type.i64);
    code.i64(amount);
    addExact(self, [time], left, self.keep(Type.i64), sign);
  });
}

const times: FunctionEmitter = (self, expr, args) => {
  const { code } = self;
  const [a, b] = args as [Emitted, Emitted];
  if (expr.type.kind === 'DECIMAL') return strict(self, expr, args, () => pushDecimal(self, expr, args));
  return strict(self, expr, args, () => {
    a.push();
    if (a.storage === 'f64') {
      b.push();
      code.op(Op.f64Mul);
    } else if (a.storage === 'i32') {
      code.op(Op.i64ExtendI32S);
      b.push();
      code.op(Op.i64ExtendI32S, Op.i64Mul);
      narrow(self, args);
    } else {
      const left = self.keep(Type.i64);
      b.push();
      const right = self.keep(Type.i64);
      // Two 32-bit factors cannot overflow; others are divided back.
      code
        .get(left)
        .get(left)
        .op(Op.i64Extend32S, Op.i64Ne)
        .get(right)
        .get(right)
        .op(Op.i64Extend32S, Op.i64Ne, Op.i32Or)
        .if(() => {
          code.get(left).get(right).call(timesOverflows);
          self.failIf(args);
        });
      code.get(left).get(right).op(Op.i64Mul);
    }
  });
};

/** Fails the row when the integer in `value` is 0. */
function failIfZero(self: Emitter, args: readonly Emitted[], value: number, wide: boolean): void {
  self.code.get(value).op(wide ? Op.i64Eqz : Op.i32Eqz);
  self.failIf(args);
}

const divide: FunctionEmitter = (self, expr, args) => {
  const { code } = self;
  const [a, b] = args as [Emitted, Emitted];
  if (expr.type.kind === 'DECIMAL') return strict(self, expr, args, () => pushDecimal(self, expr, args));
  return strict(self, expr, args, () => {
    if (a.storage === 'f64') {
      a.push();
      b.push();
      code.op(Op.f64Div);
      return;
    }
    const wide = a.storage === 'i64';
    const convert = wide ? Op.f64ConvertI64S : Op.f64ConvertI32S;
    b.push();
    const divisor = self.keep(wide ? Type.i64 : Type.i32);
    failIfZero(self, args, divisor, wide);
    a.push();
    code.op(convert).get(divisor).op(convert, Op.f64Div);
  });
};

const mod: FunctionEmitter = (self, expr, args) => {
  const { code } = self;
  const [a, b] = args as [Emitted, Emitted];
  if (expr.type.kind === 'DECIMAL') return strict(self, expr, args, () => pushDecimal(self, expr, args));
  return strict(self, expr, args, () => {
    if (a.storage === 'f64') {
      a.push();
      b.push();
      code.call(fmod);
      return;
    }
    const wide = a.storage === 'i64';
    b.push();
    const divisor = self.keep(wide ? Type.i64 : Type.i32);
    failIfZero(self, args, divisor, wide);
    a.push();
    // A null row may hold 0: 1 divides without a trap.
    if (wide) code.i64(1n).get(divisor).get(divisor).op(Op.i64Eqz, Op.select, Op.i64RemS);
    else code.i32(1).get(divisor).get(divisor).op(Op.i32Eqz, Op.select, Op.i32RemS);
  });
};

const neg: FunctionEmitter = (self, expr, args) => {
  const { code } = self;
  const [a] = args as [Emitted];
  return strict(self, expr, args, () => {
    if (a.storage === 'f64') {
      a.push();
      code.op(Op.f64Neg);
    } else if (a.storage === 'i32') {
      code.i64(0n);
      a.push();
      code.op(Op.i64ExtendI32S, Op.i64Sub);
      narrow(self, args);
    } else {
      a.push();
      const value = self.keep(Type.i64);
      code
        .get(value)
        .i64(-(2n ** 63n))
        .op(Op.i64Eq);
      self.failIf(args);
      code.i64(0n).get(value).op(Op.i64Sub);
    }
  });
};

const abs: FunctionEmitter = (self, expr, args) => {
  const { code } = self;
  const [a] = args as [Emitted];
  return strict(self, expr, args, () => {
    a.push();
    if (a.storage === 'f64') {
      code.op(Op.f64Abs);
      return;
    }
    if (a.storage === 'i32') code.op(Op.i64ExtendI32S);
    const value = self.keep(Type.i64);
    if (a.storage === 'i64') {
      code
        .get(value)
        .i64(-(2n ** 63n))
        .op(Op.i64Eq);
      self.failIf(args);
    }
    code.i64(0n).get(value).op(Op.i64Sub).get(value).get(value).i64(0n).op(Op.i64LtS, Op.select);
    if (a.storage === 'i32') narrow(self, args);
  });
};

/** Half away from zero; the difference to the truncated number is exact. */
const round: FunctionEmitter = (self, expr, args) => {
  const { code } = self;
  const [a] = args as [Emitted];
  if (expr.type.kind === 'DECIMAL') return strict(self, expr, [a], () => pushRound(self, expr, [a]));
  if (a.storage !== 'f64') return a;
  return strict(self, expr, args, () => {
    a.push();
    const value = self.keep(Type.f64);
    code.get(value).op(Op.f64Trunc);
    const whole = self.keep(Type.f64);
    const up = (): void => {
      code.get(whole).f64(1).get(value).op(Op.f64CopySign, Op.f64Add);
    };
    up();
    code.get(whole).get(value).get(whole).op(Op.f64Sub, Op.f64Abs).f64(0.5).op(Op.f64Ge, Op.select);
  });
};

function whole(op: Op): FunctionEmitter {
  return (self, expr, args) => {
    const [a] = args as [Emitted];
    if (expr.type.kind === 'DECIMAL')
      return strict(self, expr, args, () => pushWhole(self, expr, args, op === Op.f64Ceil));
    if (a.storage !== 'f64') return a;
    return strict(self, expr, args, () => {
      a.push();
      self.code.op(op);
    });
  };
}

const notAscii = 0xffffffff;

/** ASCII in the kernel; a text with other characters by the reference implementation. */
function changeCase(name: string): FunctionEmitter {
  const kernel = text(name, [Type.i32, Type.i32, Type.i32, Type.i32], Type.i32);
  return (self, expr, args) => {
    const { code, context } = self;
    const [a] = args as [Emitted];
    const place = context.frame.place(`view ${keyOf(expr)}`, 16);
    const view = code.local(Type.i32);
    const isNull = self.anyNull(args);
    self.pushPlace(place);
    code.set(view);
    self.whenPresent(isNull, () => {
      a.push();
      self.pushPlace(place);
      code.get(context.room).get(context.roomEnd).call(kernel);
      const next = self.keep(Type.i32);
      code
        .get(next)
        .i32(notAscii)
        .op(Op.i32Eq)
        .if(
          () =>
            self.scoped(() => {
              const other = self.host(expr, [{ ...a, isNull: null }]);
              other.push();
              code.set(view);
            }),
          () => {
            code.get(next);
            self.takeRoom();
          },
        );
    });
    return { storage: 'view', push: () => code.get(view), isNull };
  };
}

/** A view made in the frame by `make`, which leaves nothing. */
function madeView(self: Emitter, expr: Call, args: readonly Emitted[], make: (place: number) => void): Emitted {
  const place = self.context.frame.place(`view ${keyOf(expr)}`, 16);
  const isNull = self.anyNull(args);
  self.whenPresent(isNull, () => make(place));
  return { storage: 'view', push: () => self.pushPlace(place), isNull };
}

const substring: FunctionEmitter = (self, expr, args) => {
  const { code } = self;
  const [of, position, length] = args as [Emitted, Emitted, Emitted | undefined];
  const place = self.context.frame.place(`view ${keyOf(expr)}`, 16);
  const isNull = code.local(Type.i32);
  const argsNull = self.anyNull(args);
  code.i32(1).set(isNull);
  self.whenPresent(argsNull, () => {
    if (length) length.push();
    else code.i32(0x7fffffff);
    const count = self.keep(Type.i32);
    code.get(count).i32(0).op(Op.i32LtS).set(isNull);
    code
      .get(isNull)
      .op(Op.i32Eqz)
      .if(() => {
        of.push();
        position.push();
        code.get(count);
        self.pushPlace(place);
        code.call(substringView);
      });
  });
  return { storage: 'view', push: () => self.pushPlace(place), isNull: expr.nullable ? () => code.get(isNull) : null };
};

/** A view in the frame that `make` writes; it leaves 1, or 0 for NULL. */
function maybeView(self: Emitter, expr: Call, args: readonly Emitted[], make: (place: number) => void): Emitted {
  const { code } = self;
  const place = self.context.frame.place(`view ${keyOf(expr)}`, 16);
  const found = code.local(Type.i32);
  code.i32(0).set(found);
  self.whenPresent(self.anyNull(args), () => {
    make(place);
    code.set(found);
  });
  return { storage: 'view', push: () => self.pushPlace(place), isNull: () => code.get(found).op(Op.i32Eqz) };
}

const splitIndex: FunctionEmitter = (self, expr, args) =>
  maybeView(self, expr, args, (place) => {
    for (const arg of args) arg.push();
    self.pushPlace(place);
    self.code.call(splitView);
  });

const regexpExtract: FunctionEmitter = (self, expr, args) => {
  const { frame } = self.context;
  const [, pattern, group] = expr.args.map((arg) => (arg as { value: unknown }).value) as [unknown, string, number];
  const { content, scratchBytes } = regexProgram(pattern, group);
  const key = JSON.stringify([pattern, group]);
  const program = frame.constant(`regex ${key}`, content);
  const scratch = frame.place(`regex scratch ${key}`, scratchBytes);
  return maybeView(self, expr, [args[0] as Emitted], (place) => {
    (args[0] as Emitted).push();
    self.pushPlace(program);
    self.pushPlace(scratch);
    self.pushPlace(place);
    self.code.call(regexView);
  });
};

const concat: FunctionEmitter = (self, expr, args) =>
  madeView(self, expr, args, (place) => {
    const { code, context } = self;
    const list = context.frame.place(`list ${keyOf(expr)}`, 4 * args.length);
    for (const [i, arg] of args.entries()) {
      code.get(context.block);
      arg.push();
      code.store('i32', list + 4 * i);
    }
    self.pushPlace(list);
    code.i32(args.length);
    self.pushPlace(place);
    code.get(context.room).get(context.roomEnd).call(concatViews);
    self.takeRoom();
  });

const like: FunctionEmitter = (self, expr, args) => {
  const { code } = self;
  const [subject] = args as [Emitted];
  const literalOf = (at: number): string | null => (expr.args[at] as { value: string } | undefined)?.value ?? null;
  const pattern = literalOf(1) as string;
  const program = self.context.frame.constant(
    `like ${JSON.stringify([pattern, literalOf(2)])}`,
    likeProgram(pattern, literalOf(2)),
  );
  return guarded(self, expr, [subject], () => {
    subject.push();
    self.pushPlace(program);
    code.call(likeView);
  });
};

/** What is no number is text (host.ts has the others). */
const dateFormat: FunctionEmitter = (self, expr, args) => {
  const { code, context } = self;
  const [time] = args as [Emitted];
  const { type } = expr.args[0] as Expr;
  const pattern = (expr.args[1] as { value: string }).value;
  const program = context.frame.constant(`date format ${pattern}`, dateFormatProgram(pattern) as Uint8Array);
  const perSecond = type.kind === 'DATE' ? 1n : BigInt(1000 * ticksPerMs((type as { precision: number }).precision));
  return madeView(self, expr, [time], (place) => {
    time.push();
    if (type.kind === 'DATE') code.op(Op.i64ExtendI32S);
    code.i64(type.kind === 'DATE' ? 1n : 86_400n * perSecond).i64(perSecond);
    self.pushPlace(program);
    self.pushPlace(place);
    code.get(context.room).get(context.roomEnd).call(formatTime);
    self.takeRoom();
  });
};

/** Pushes whole days since the epoch as i64. */
function pushDays(self: Emitter, time: Emitted, type: DataType): void {
  time.push();
  if (type.kind === 'DATE') {
    self.code.op(Op.i64ExtendI32S);
    return;
  }
  const ticks = self.keep(Type.i64);
  pushFloorDivide(self, ticks, BigInt(dayMs * ticksPerMs((type as { precision: number }).precision)));
}

/** Numbers as the calendar kernels know them. */
const dateParts = { YEAR: 0, QUARTER: 1, MONTH: 2, WEEK: 3, DAY: 4, DOW: 5, DOY: 6 } as const;

function datePartOf(part: keyof typeof dateParts): FunctionEmitter {
  return (self, expr, args) =>
    strict(self, expr, args, () => {
      pushDays(self, args[0] as Emitted, (expr.args[0] as Expr).type);
      self.code.i32(dateParts[part]).call(datePart);
    });
}

/** Hours, minutes, seconds: of the time since the day began, which is never negative. */
function timePartOf(ms: number, modulo: number): FunctionEmitter {
  return (self, expr, args) => {
    const { code } = self;
    const perMs = ticksPerMs(((expr.args[0] as Expr).type as { precision: number }).precision);
    return strict(self, expr, args, () => {
      (args[0] as Emitted).push();
      const ticks = self.keep(Type.i64);
      pushFloorDivide(self, ticks, BigInt(dayMs * perMs));
      const days = self.keep(Type.i64);
      code
        .get(ticks)
        .get(days)
        .i64(BigInt(dayMs * perMs))
        .op(Op.i64Mul, Op.i64Sub);
      code
        .i64(BigInt(ms * perMs))
        .op(Op.i64DivS)
        .i64(BigInt(modulo))
        .op(Op.i64RemS);
    });
  };
}

const unitMs: Partial<Record<TimeUnit, number>> = { SECOND: 1000, MINUTE: 60_000, HOUR: 3_600_000 };

function roundTime(up: boolean): FunctionEmitter {
  return (self, expr, args) => {
    const { code } = self;
    const [time] = args as [Emitted];
    const type = (expr.args[0] as Expr).type;
    const unit = (expr.args[1] as { value: TimeUnit }).value;
    const ms = unitMs[unit];
    if (ms !== undefined) {
      const step = BigInt(ms * ticksPerMs((type as { precision: number }).precision));
      return strict(self, expr, [time], () => {
        time.push();
        const ticks = self.keep(Type.i64);
        pushFloorDivide(self, ticks, step);
        code.i64(step).op(Op.i64Mul);
        if (!up) return;
        const floored = self.keep(Type.i64);
        code.get(floored).get(floored).i64(step).op(Op.i64Add).get(floored).get(ticks).op(Op.i64Eq, Op.select);
      });
    }
    return strict(self, expr, [time], () => {
      const perDay = type.kind === 'DATE' ? 1n : BigInt(dayMs * ticksPerMs((type as { precision: number }).precision));
      pushDays(self, time, type);
      const days = self.keep(Type.i64);
      code
        .get(days)
        .i32(dateParts[unit as 'DAY'])
        .i64(0n)
        .call(floorDate);
      const floored = self.keep(Type.i64);
      if (up) {
        code
          .get(floored)
          .get(days)
          .i32(dateParts[unit as 'DAY'])
          .i64(1n)
          .call(floorDate);
        // Already there: the unit's first day, and no time of day.
        code.get(floored).i64(perDay).op(Op.i64Mul);
        time.push();
        if (type.kind === 'DATE') code.op(Op.i64ExtendI32S);
        code.op(Op.i64Eq, Op.select);
      } else code.get(floored);
      code.i64(perDay).op(Op.i64Mul);
      if (type.kind === 'DATE') code.op(Op.i32WrapI64);
    });
  };
}

/** Emitted elsewhere (emit.ts) or run by the reference implementation (host.ts): never asked for here. */
const elsewhere: FunctionEmitter = (self, expr) => {
  self.context.stop(StopReason.badRow);
  throw new Error(`${expr.fn} has no emitter of its own`);
};

export const functionEmitters: { readonly [F in FunctionName]: FunctionEmitter } = {
  eq: comparison('eq'),
  ne: comparison('ne'),
  lt: comparison('lt'),
  lte: comparison('lte'),
  gt: comparison('gt'),
  gte: comparison('gte'),
  isNull: elsewhere,
  isNotNull: elsewhere,
  in: elsewhere,
  and: elsewhere,
  or: elsewhere,
  coalesce: elsewhere,
  user: elsewhere,
  not: (self, expr, args) =>
    strict(self, expr, args, () => {
      (args[0] as Emitted).push();
      self.code.op(Op.i32Eqz);
    }),
  plus: sum(1),
  minus: sum(-1),
  times,
  divide,
  mod,
  neg,
  abs,
  round,
  floor: whole(Op.f64Floor),
  ceil: whole(Op.f64Ceil),
  like,
  length: (self, expr, args) =>
    guarded(self, expr, args, () => {
      (args[0] as Emitted).push();
      self.code.call(viewLength);
    }),
  lower: changeCase('lowerView'),
  upper: changeCase('upperView'),
  trim: (self, expr, args) =>
    madeView(self, expr, args, (place) => {
      (args[0] as Emitted).push();
      self.pushPlace(place);
      self.code.call(trimView);
    }),
  substring,
  splitIndex,
  regexpExtract,
  concat,
  year: datePartOf('YEAR'),
  quarter: datePartOf('QUARTER'),
  month: datePartOf('MONTH'),
  week: datePartOf('WEEK'),
  dayOfMonth: datePartOf('DAY'),
  dayOfWeek: datePartOf('DOW'),
  dayOfYear: datePartOf('DOY'),
  hour: timePartOf(3_600_000, 24),
  minute: timePartOf(60_000, 60),
  second: timePartOf(1000, 60),
  floorTo: roundTime(false),
  ceilTo: roundTime(true),
  dateFormat,
};
