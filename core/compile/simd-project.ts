/**
 * Arithmetic over INT, BIGINT and DOUBLE columns, two or four rows to an instruction, for every row, selected or not.
 * Whether an integer left its type is gathered in a few accumulators and asked once a call: the loop then answers
 * `unsure`, and the batch goes row by row, which finds the row that fails, if it is one of those that are asked for.
 * Eight rows a turn, so that validity goes by whole bytes.
 */
import type { FunctionName } from '../expr/functions.ts';
import type { Expr } from '../expr/tree.ts';
import { valueOfLiteral } from '../expr/value.ts';
import { type ColumnLocals, pushAddress } from './columns.ts';
import type { Source } from './emit.ts';
import { StopReason } from './frame.ts';
import type { RowLoop } from './program.ts';
import { type Code, Op, Simd, Type } from './wasm.ts';

type VectorStorage = 'i32' | 'i64' | 'f64';

const storages: Readonly<Record<string, VectorStorage>> = { INT: 'i32', BIGINT: 'i64', DOUBLE: 'f64' };
const storageOfVector = (expr: Expr): VectorStorage => storages[expr.type.kind] as VectorStorage;
const rowsPerVector: Readonly<Record<VectorStorage, number>> = { i32: 4, i64: 2, f64: 2 };

const doubles: Partial<Record<FunctionName, number>> = {
  plus: Simd.f64x2Add,
  minus: Simd.f64x2Sub,
  times: Simd.f64x2Mul,
  divide: Simd.f64x2Div,
  neg: Simd.f64x2Neg,
  abs: Simd.f64x2Abs,
  floor: Simd.f64x2Floor,
  ceil: Simd.f64x2Ceil,
};

/** They wrap; `pushChecked` notes where. */
const integers = {
  i32: { plus: Simd.i32x4Add, minus: Simd.i32x4Sub, times: Simd.i32x4Mul, neg: Simd.i32x4Neg, abs: Simd.i32x4Abs },
  i64: { plus: Simd.i64x2Add, minus: Simd.i64x2Sub, times: Simd.i64x2Mul, neg: Simd.i64x2Neg, abs: Simd.i64x2Abs },
} as const;
type IntegerFunction = keyof (typeof integers)['i32'];

/** Whether `expr` is such arithmetic, at least one operation of it. */
export function vectorizes(expr: Expr): boolean {
  return expr.kind === 'call' && isVector(expr);
}

function isVector(expr: Expr): boolean {
  const storage = storages[expr.type.kind];
  if (storage === undefined) return false;
  switch (expr.kind) {
    case 'column':
      return true;
    case 'literal':
      return expr.value !== null;
    case 'call':
      return (
        expr.fn in (storage === 'f64' ? doubles : integers[storage]) && expr.args.every((arg) => isSame(arg, expr))
      );
    case 'cast':
      return storage !== 'i32' && expr.arg.kind === 'column' && expr.arg.type.kind === 'INT';
    case 'case':
      return false;
  }
}

/** An argument that lies as the result does. */
const isSame = (arg: Expr, result: Expr): boolean => arg.type.kind === result.type.kind && isVector(arg);

interface VectorLoop {
  readonly code: Code;
  readonly row: RowLoop;
  /** The first row of the turn. */
  readonly at: number;
  /** Values of literals, and 2³¹ beside them. */
  readonly constants: ReadonlyMap<Expr, number>;
  readonly splat: (value: bigint) => number;
  /** Vectors whose lanes are negative, by storage, where a result left its type. */
  readonly left: { readonly i32: number; readonly i64: number };
  /** Lanes of 64 bits that hold more than 32 where a value (2³¹ added) is not within INT. */
  readonly wide: number;
  /** Arguments and result of each operation that is checked. */
  readonly places: Map<Expr, readonly [number, number, number]>;
}

/**
 * Emits the loop over whole eights, if the call begins at row 0; answers a local that holds where it ends. A call that
 * goes on in the middle finds these outputs written.
 */
export function emitVectorProject(
  row: RowLoop,
  outputs: readonly { readonly expr: Expr; readonly locals: ColumnLocals }[],
): number {
  const { code, turn, end } = row;
  const stop = code.local(Type.i32);
  const at = code.local(Type.i32);
  const constants = new Map<Expr, number>();
  const splats = new Map<bigint, number>();
  const splat = (value: bigint): number => {
    const local = splats.get(value) ?? code.local(Type.v128);
    if (!splats.has(value)) code.i64(value).simd(Simd.i64x2Splat).set(local);
    splats.set(value, local);
    return local;
  };
  const vector = (): number => code.local(Type.v128);
  const loop: VectorLoop = {
    code,
    row,
    at,
    constants,
    splat,
    left: { i32: vector(), i64: vector() },
    wide: vector(),
    places: new Map(),
  };
  const prepare = (expr: Expr): void => {
    if (expr.kind === 'literal') {
      const local = vector();
      const value = valueOfLiteral(expr.value, expr.type);
      const storage = storageOfVector(expr);
      if (storage === 'f64') code.f64(value as number).simd(Simd.f64x2Splat);
      else if (storage === 'i64') code.i64(value as bigint).simd(Simd.i64x2Splat);
      else code.i32(value as number).simd(Simd.i32x4Splat);
      code.set(local);
      constants.set(expr, local);
    } else if (expr.kind === 'call') {
      for (const arg of expr.args) prepare(arg);
      if (storageOfVector(expr) === 'f64') return;
      loop.places.set(expr, [vector(), vector(), vector()]);
      for (const value of boundsOf(expr)) splat(value);
    }
  };
  for (const { expr } of outputs) prepare(expr);
  const checked = loop.places.size > 0;
  code.get(end).i32(-8).op(Op.i32And).set(stop);
  code
    .get(turn)
    .op(Op.i32Eqz)
    .if(() => {
      code.block(() => {
        code.loop(() => {
          code.get(at).get(stop).op(Op.i32GeU).branchIf(1);
          for (const { expr, locals } of outputs) {
            const storage = storageOfVector(expr);
            for (let part = 0; part < 8 / rowsPerVector[storage]; part++) {
              pushAddress(code, locals.values, at, storage);
              pushVector(loop, expr, part);
              code.storeVector(16 * part);
            }
            writeValidity(row, expr, locals, at);
          }
          code.get(at).i32(8).op(Op.i32Add).set(at).branch(0);
        });
      });
      if (!checked) return;
      code.get(loop.left.i64).simd(Simd.i64x2Bitmask).get(loop.left.i32).simd(Simd.i32x4Bitmask).op(Op.i32Or);
      code.get(loop.wide).get(splat(highHalf)).simd(Simd.and).simd(Simd.anyTrue).op(Op.i32Or);
      code.if(() => row.stop(StopReason.unsure));
    });
  return stop;
}

const highHalf = BigInt.asIntN(64, 0xffff_ffff_0000_0000n);
const intOffset = 2n ** 31n;

/** The constants that a checked operation compares with. */
function boundsOf(expr: Extract<Expr, { kind: 'call' }>): readonly bigint[] {
  if (expr.fn !== 'times') return [highHalf];
  const bound = storageOfVector(expr) === 'i64' ? boundOfFactor(expr) : null;
  return bound === null ? [highHalf, intOffset] : [highHalf, bound, -bound];
}

/** The greatest absolute value that may be multiplied by the constant factor of a product; null when it has none. */
function boundOfFactor(expr: Extract<Expr, { kind: 'call' }>): bigint | null {
  const literal = expr.args.find((arg) => arg.kind === 'literal');
  if (literal?.kind !== 'literal') return null;
  const value = valueOfLiteral(literal.value, literal.type) as bigint;
  return value === 0n ? 2n ** 63n - 1n : (2n ** 63n - 1n) / (value < 0n ? -value : value);
}

/** Pushes the `part`th 16 bytes of the eight rows from `at` on. */
function pushVector(loop: VectorLoop, expr: Expr, part: number): void {
  const { code, at } = loop;
  const storage = storageOfVector(expr);
  const source = (index: number): number => (loop.row.columns.get(index) as Source).locals.values;
  if (expr.kind === 'literal') code.get(loop.constants.get(expr) as number);
  else if (expr.kind === 'column') {
    pushAddress(code, source(expr.index), at, storage);
    code.loadVector(16 * part);
  } else if (expr.kind === 'cast') {
    pushAddress(code, source((expr.arg as { index: number }).index), at, 'i32');
    code.loadHalfVector(8 * part);
    code.simd(storage === 'f64' ? Simd.f64x2ConvertLowI32x4S : Simd.i64x2ExtendLowI32x4S);
  } else if (expr.kind === 'call') {
    if (storage === 'f64') {
      for (const arg of expr.args) pushVector(loop, arg, part);
      code.simd(doubles[expr.fn as FunctionName] as number);
    } else pushChecked(loop, expr, storage, part);
  }
}

/** Pushes the result of an operation over integers, which wraps, and notes where it left its type. */
function pushChecked(
  loop: VectorLoop,
  expr: Extract<Expr, { kind: 'call' }>,
  storage: 'i32' | 'i64',
  part: number,
): void {
  const { code, left, wide, splat } = loop;
  const fn = expr.fn as IntegerFunction;
  const [a, b, result] = loop.places.get(expr) as readonly [number, number, number];
  for (const [i, arg] of expr.args.entries()) {
    pushVector(loop, arg, part);
    code.set(i === 0 ? a : b);
  }
  const note = (into: number): void => {
    code.get(into).simd(Simd.or).set(into);
  };
  /** Lanes of 64 bits on the stack must be within INT. */
  const noteWide = (): void => {
    code.get(splat(intOffset)).simd(Simd.i64x2Add);
    note(wide);
  };
  const operation = integers[storage][fn];
  if (fn === 'times') {
    const bound = storage === 'i64' ? boundOfFactor(expr) : null;
    if (storage === 'i32') {
      for (const half of [Simd.i64x2ExtmulLowI32x4S, Simd.i64x2ExtmulHighI32x4S]) {
        code.get(a).get(b).simd(half);
        noteWide();
      }
      code.get(a).get(b).simd(operation);
    } else if (bound !== null) {
      const factor = expr.args[0]?.kind === 'literal' ? b : a;
      code.get(factor).get(splat(bound)).simd(Simd.i64x2GtS);
      code.get(factor).get(splat(-bound)).simd(Simd.i64x2LtS).simd(Simd.or);
      note(left.i64);
      code.get(a).get(b).simd(operation);
    } else {
      // Two factors within 32 bits cannot leave 64.
      for (const factor of [a, b]) {
        code.get(factor);
        noteWide();
      }
      for (const factor of [a, b]) code.get(factor).get(factor).shuffle(lowHalves);
      code.simd(Simd.i64x2ExtmulLowI32x4S);
    }
    return;
  }
  code.get(a);
  if (expr.args.length === 2) code.get(b);
  code.simd(operation).set(result);
  // A sum left its type where both operands differ in sign from it (Hacker's Delight, 2–13); −x where x and −x are negative.
  const xor = (x: number, y: number): void => {
    code.get(x).get(y).simd(Simd.xor);
  };
  if (fn === 'abs') code.get(result);
  else if (fn === 'neg') code.get(a).get(result).simd(Simd.and);
  else {
    xor(a, result);
    if (fn === 'plus') xor(b, result);
    else xor(a, b);
    code.simd(Simd.and);
  }
  note(left[storage]);
  code.get(result);
}

/** Bytes of the low 32 bits of both lanes of 64, twice. */
const lowHalves = [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11] as const;

/** NULL where any column is: eight rows' bits at once. */
function writeValidity(loop: RowLoop, expr: Expr, locals: ColumnLocals, at: number): void {
  const { code } = loop;
  const bitmaps = [...new Set(columnsOf(expr))].flatMap((index) => {
    const source = loop.columns.get(index) as Source;
    return source.nullable ? [source.locals.validity] : [];
  });
  if (bitmaps.length === 0) return;
  const pushByte = (bitmap: number): void => {
    code.get(bitmap).get(at).i32(3).op(Op.i32ShrU, Op.i32Add);
  };
  pushByte(locals.validity);
  for (const [i, bitmap] of bitmaps.entries()) {
    pushByte(bitmap);
    code.load('i32u8');
    if (i > 0) code.op(Op.i32And);
  }
  code.store('i32u8');
}

function columnsOf(expr: Expr): readonly number[] {
  if (expr.kind === 'column') return [expr.index];
  if (expr.kind === 'cast') return columnsOf(expr.arg);
  return expr.kind === 'call' ? expr.args.flatMap(columnsOf) : [];
}
