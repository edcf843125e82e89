/**
 * Arithmetic over DOUBLE columns, two rows to an instruction: what cannot fail and needs no decision may be computed for
 * every row, selected or not. Eight rows a turn, so that validity goes by whole bytes.
 */
import type { FunctionName } from '../expr/functions.ts';
import type { Expr } from '../expr/tree.ts';
import { valueOfLiteral } from '../expr/value.ts';
import type { ColumnLocals } from './columns.ts';
import type { Source } from './emit.ts';
import type { RowLoop } from './program.ts';
import { Op, Simd, Type } from './wasm.ts';

const operations: Partial<Record<FunctionName, number>> = {
  plus: Simd.f64x2Add,
  minus: Simd.f64x2Sub,
  times: Simd.f64x2Mul,
  divide: Simd.f64x2Div,
  neg: Simd.f64x2Neg,
  abs: Simd.f64x2Abs,
  floor: Simd.f64x2Floor,
  ceil: Simd.f64x2Ceil,
};

/** Whether `expr` is such arithmetic, at least one operation of it. */
export function vectorizes(expr: Expr): boolean {
  return expr.kind === 'call' && isVector(expr);
}

function isVector(expr: Expr): boolean {
  if (expr.type.kind !== 'DOUBLE') return false;
  switch (expr.kind) {
    case 'column':
      return true;
    case 'literal':
      return expr.value !== null;
    case 'call':
      return operations[expr.fn as FunctionName] !== undefined && expr.args.every(isVector);
    case 'cast':
      return expr.arg.kind === 'column' && expr.arg.type.kind === 'INT';
    case 'case':
      return false;
  }
}

/**
 * Emits the loop over whole eights, if the call begins at row 0; answers a local that holds where it ends. A call that
 * goes on in the middle finds these outputs written.
 */
export function emitVectorProject(
  loop: RowLoop,
  outputs: readonly { readonly expr: Expr; readonly locals: ColumnLocals }[],
): number {
  const { code, turn, end } = loop;
  const stop = code.local(Type.i32);
  const at = code.local(Type.i32);
  const constants = new Map<Expr, number>();
  const prepare = (expr: Expr): void => {
    if (expr.kind === 'literal') {
      const local = code.local(Type.v128);
      code
        .f64(valueOfLiteral(expr.value, expr.type) as number)
        .simd(Simd.f64x2Splat)
        .set(local);
      constants.set(expr, local);
    } else if (expr.kind === 'call') for (const arg of expr.args) prepare(arg);
  };
  for (const { expr } of outputs) prepare(expr);
  code.get(end).i32(-8).op(Op.i32And).set(stop);
  code
    .get(turn)
    .op(Op.i32Eqz)
    .if(() => {
      code.block(() => {
        code.loop(() => {
          code.get(at).get(stop).op(Op.i32GeU).branchIf(1);
          for (const { expr, locals } of outputs) {
            for (let pair = 0; pair < 4; pair++) {
              code.get(locals.values).get(at).i32(3).op(Op.i32Shl, Op.i32Add);
              pushPair(loop, expr, at, pair, constants);
              code.storeVector(16 * pair);
            }
            writeValidity(loop, expr, locals, at);
          }
          code.get(at).i32(8).op(Op.i32Add).set(at).branch(0);
        });
      });
    });
  return stop;
}

/** Pushes rows `at` + 2 × pair and the next. */
function pushPair(loop: RowLoop, expr: Expr, at: number, pair: number, constants: ReadonlyMap<Expr, number>): void {
  const { code } = loop;
  if (expr.kind === 'literal') code.get(constants.get(expr) as number);
  else if (expr.kind === 'column') {
    const { values } = (loop.columns.get(expr.index) as Source).locals;
    code
      .get(values)
      .get(at)
      .i32(3)
      .op(Op.i32Shl, Op.i32Add)
      .loadVector(16 * pair);
  } else if (expr.kind === 'cast') {
    const { values } = (loop.columns.get((expr.arg as { index: number }).index) as Source).locals;
    code
      .get(values)
      .get(at)
      .i32(2)
      .op(Op.i32Shl, Op.i32Add)
      .loadHalfVector(8 * pair);
    code.simd(Simd.f64x2ConvertLowI32x4S);
  } else if (expr.kind === 'call') {
    for (const arg of expr.args) pushPair(loop, arg, at, pair, constants);
    code.simd(operations[expr.fn as FunctionName] as number);
  }
}

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
