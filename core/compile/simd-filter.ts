/**
 * Filters that compare columns with constants, eight rows at a time: comparisons give a mask of bits, and each half of
 * it picks four row numbers out of a table. The rows left over, fewer than eight, go the scalar way.
 */
import type { FunctionName } from '../expr/functions.ts';
import type { Expr } from '../expr/tree.ts';
import { valueOfLiteral } from '../expr/value.ts';
import { storageOf } from '../record/layout.ts';
import type { DataType } from '../record/types.ts';
import { pushAddress } from './columns.ts';
import type { Source } from './emit.ts';
import type { Frame } from './frame.ts';
import type { RowLoop } from './program.ts';
import { Op, Simd, Type } from './wasm.ts';

type Order = Extract<FunctionName, 'eq' | 'ne' | 'lt' | 'lte' | 'gt' | 'gte'>;

export interface VectorCondition {
  readonly column: number;
  readonly storage: 'i32' | 'i64' | 'f64';
  readonly order: Order;
  readonly value: number | bigint;
}

const mirrored: Readonly<Record<Order, Order>> = { eq: 'eq', ne: 'ne', lt: 'gt', lte: 'gte', gt: 'lt', gte: 'lte' };

/** The condition as comparisons that must all hold, or null if any part is something else. */
export function splitFilter(condition: Expr): { readonly conditions: readonly VectorCondition[] } | null {
  const conjuncts = condition.kind === 'call' && condition.fn === 'and' ? condition.args : [condition];
  const conditions = conjuncts.map(vectorCondition);
  return conditions.every((c) => c !== null) ? { conditions: conditions as VectorCondition[] } : null;
}

function vectorCondition(expr: Expr): VectorCondition | null {
  if (expr.kind !== 'call' || !(expr.fn in mirrored)) return null;
  const [a, b] = expr.args as [Expr, Expr];
  const swapped = a.kind === 'literal';
  const [column, constant] = swapped ? [b, a] : [a, b];
  if (column.kind !== 'column' || constant.kind !== 'literal' || constant.value === null) return null;
  const storage = storageOf(column.type);
  if (storage === 'bit' || storage === 'view') return null;
  // Units must be the same.
  if (scaleOf(column.type) !== scaleOf(constant.type) || storageOf(constant.type) !== storage) return null;
  const order = swapped ? mirrored[expr.fn as Order] : (expr.fn as Order);
  return {
    column: column.index,
    storage,
    order,
    value: valueOfLiteral(constant.value, constant.type) as number | bigint,
  };
}

const scaleOf = (type: DataType): number => (type.kind === 'DECIMAL' ? type.scale : 0);

const compares = {
  i32: {
    eq: Simd.i32x4Eq,
    ne: Simd.i32x4Ne,
    lt: Simd.i32x4LtS,
    lte: Simd.i32x4LeS,
    gt: Simd.i32x4GtS,
    gte: Simd.i32x4GeS,
  },
  i64: {
    eq: Simd.i64x2Eq,
    ne: Simd.i64x2Ne,
    lt: Simd.i64x2LtS,
    lte: Simd.i64x2LeS,
    gt: Simd.i64x2GtS,
    gte: Simd.i64x2GeS,
  },
  f64: { eq: Simd.f64x2Eq, ne: Simd.f64x2Ne, lt: Simd.f64x2Lt, lte: Simd.f64x2Le, gt: Simd.f64x2Gt, gte: Simd.f64x2Ge },
} as const;

/** Byte shuffles: for each mask of four bits, the lanes that are set, packed to the front. */
function packTable(): Uint8Array {
  const table = new Uint8Array(16 * 16);
  for (let mask = 0; mask < 16; mask++) {
    let to = 0;
    for (let lane = 0; lane < 4; lane++) {
      if ((mask & (1 << lane)) === 0) continue;
      for (let byte = 0; byte < 4; byte++) table[mask * 16 + to * 4 + byte] = lane * 4 + byte;
      to++;
    }
  }
  return table;
}

/** Bytes that the last write of a vector may reach behind the selection. */
export const selectionSlackBytes = 16;

/** Emits the loop over whole eights from the turn on (a multiple of 8), before the scalar one. Rows are not selected. */
export function emitVectorFilter(
  loop: RowLoop,
  conditions: readonly VectorCondition[],
  out: number,
  frame: Frame,
): void {
  const { code, turn, end, count, columns } = loop;
  const table = frame.constant('pack', packTable());
  const lanes = frame.constant('lanes', new Uint8Array(Uint32Array.of(0, 1, 2, 3).buffer));
  const mask = code.local(Type.i32);
  const rows = code.local(Type.v128);
  const constants = conditions.map((condition) => {
    const local = code.local(Type.v128);
    if (condition.storage === 'i32') code.i32(condition.value as number).simd(Simd.i32x4Splat);
    else if (condition.storage === 'i64') code.i64(condition.value as bigint).simd(Simd.i64x2Splat);
    else code.f64(condition.value as number).simd(Simd.f64x2Splat);
    code.set(local);
    return local;
  });
  const half = (shift: number): void => {
    const bits = code.local(Type.i32);
    code.get(mask);
    if (shift > 0) code.i32(shift).op(Op.i32ShrU);
    code.i32(15).op(Op.i32And).set(bits);
    code.get(out).get(count).i32(2).op(Op.i32Shl, Op.i32Add);
    // Row numbers turn + shift + {0, 1, 2, 3}, the ones that stay first.
    code.get(rows).get(turn).i32(shift).op(Op.i32Add).simd(Simd.i32x4Splat).simd(Simd.i32x4Add);
    code.get(loop.block).get(bits).i32(4).op(Op.i32Shl, Op.i32Add).loadVector(table).simd(Simd.swizzle);
    code.storeVector();
    code.get(count).get(bits).op(Op.i32Popcnt, Op.i32Add).set(count);
  };
  code.get(loop.block).loadVector(lanes).set(rows);
  code.block(() => {
    code.loop(() => {
      code.get(turn).i32(8).op(Op.i32Add).get(end).op(Op.i32GtU).branchIf(1);
      for (const [i, condition] of conditions.entries()) {
        pushMask(loop, condition, columns.get(condition.column) as Source, constants[i] as number);
        if (i > 0) code.op(Op.i32And);
      }
      code.tee(mask).if(() => {
        half(0);
        half(4);
      });
      code.get(turn).i32(8).op(Op.i32Add).set(turn).branch(0);
    });
  });
}

/** Pushes eight bits: where the comparison holds and the row is not NULL. */
function pushMask(loop: RowLoop, condition: VectorCondition, source: Source, constant: number): void {
  const { code, turn } = loop;
  const wide = condition.storage !== 'i32';
  const perVector = wide ? 2 : 4;
  const address = code.local(Type.i32);
  pushAddress(code, source.locals.values, turn, condition.storage);
  code.set(address);
  for (let i = 0; i < 8 / perVector; i++) {
    code
      .get(address)
      .loadVector(16 * i)
      .get(constant);
    code.simd(compares[condition.storage][condition.order]).simd(wide ? Simd.i64x2Bitmask : Simd.i32x4Bitmask);
    if (i > 0) code.i32(i * perVector).op(Op.i32Shl, Op.i32Or);
  }
  if (source.nullable)
    code.get(source.locals.validity).get(turn).i32(3).op(Op.i32ShrU, Op.i32Add).load('i32u8').op(Op.i32And);
}
