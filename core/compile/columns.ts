/**
 * How compiled code reads and writes one column: addresses from a parameter block into locals at the start of the call,
 * values, bits and dictionary codes per row. Shared by projections and aggregates.
 */
import type { Batch, Column } from '../record/batch.ts';
import type { StorageKind } from '../record/layout.ts';
import type { SlotMemory } from '../record/memory.ts';
import { type Code, Op, Type } from './wasm.ts';

/** What of a column decides the code: may it be null here, is it dictionary-coded. */
export interface ColumnShape {
  readonly nullable: boolean;
  readonly coded: boolean;
}
export const shapeOfColumn = (column: Column): ColumnShape => ({
  nullable: column.validity !== 0,
  coded: column.dictionary !== null,
});
export const shapeKey = (shape: ColumnShape): string =>
  shape.nullable ? (shape.coded ? 'D' : 'V') : shape.coded ? 'd' : 'v';

/** A column in a parameter block: u32 values, u32 validity, u32 dictionary views. */
export const columnParameterBytes = 12;

export function writeColumnParameters(memory: SlotMemory, at: number, column: Column): void {
  const word = at >>> 2;
  memory.u32[word] = column.values;
  memory.u32[word + 1] = column.validity;
  memory.u32[word + 2] = column.dictionary?.views ?? 0;
}

/** Locals that hold a column's addresses during a call. */
export interface ColumnLocals {
  readonly values: number;
  readonly validity: number;
  readonly views: number;
}

/** Loads a column's addresses; `parameters` is the local with the block's address. */
export function openColumn(code: Code, parameters: number, offset: number, shape: ColumnShape): ColumnLocals {
  const address = (at: number): number => {
    const local = code.local(Type.i32);
    code
      .get(parameters)
      .load('i32', offset + at)
      .set(local);
    return local;
  };
  return { values: address(0), validity: shape.nullable ? address(4) : -1, views: shape.coded ? address(8) : -1 };
}

/** Leaves bit `row` of the bitmap on the stack, 0 or 1. */
export function pushBit(code: Code, bitmap: number, row: number): void {
  code.get(bitmap).get(row).i32(3).op(Op.i32ShrU, Op.i32Add).load('i32u8');
  code.get(row).i32(7).op(Op.i32And, Op.i32ShrU).i32(1).op(Op.i32And);
}

const shifts: Readonly<Record<Exclude<StorageKind, 'bit'>, number>> = { i32: 2, i64: 3, f64: 3, view: 4 };

/** Leaves the address of row `row`'s value on the stack. */
export function pushAddress(code: Code, values: number, row: number, storage: Exclude<StorageKind, 'bit'>): void {
  code.get(values).get(row).i32(shifts[storage]).op(Op.i32Shl, Op.i32Add);
}

/**
 * Leaves row `row`'s value on the stack: i32 for bit, i32 and view (the view's address), i64, f64. Codes must not be read
 * where the row is null: they may be anything.
 */
export function pushValue(code: Code, column: ColumnLocals, row: number, storage: StorageKind, coded: boolean): void {
  if (storage === 'bit') {
    pushBit(code, column.values, row);
    return;
  }
  if (storage === 'view' && coded) {
    code.get(column.views);
    pushAddress(code, column.values, row, 'i32');
    code.load('i32').i32(4).op(Op.i32Shl, Op.i32Add);
    return;
  }
  pushAddress(code, column.values, row, storage);
  if (storage !== 'view') code.load(storage);
}

/** Ors the bit in `bit` (a local, 0 or 1) into the bitmap at row `row`. */
export function orBit(code: Code, bitmap: number, row: number, bit: number, scratch: number): void {
  code.get(bitmap).get(row).i32(3).op(Op.i32ShrU, Op.i32Add).tee(scratch);
  code.get(scratch).load('i32u8').get(bit).get(row).i32(7).op(Op.i32And, Op.i32Shl, Op.i32Or).store('i32u8');
}

export const wasmTypes: Readonly<Record<StorageKind, Type>> = {
  bit: Type.i32,
  i32: Type.i32,
  i64: Type.i64,
  f64: Type.f64,
  view: Type.i32,
};

/** Shape of those columns of a batch as a number, for up to `shapeNumberColumns` of them: two bits each. */
export function shapeNumber(of: Batch, columns: readonly number[]): number {
  const { columns: all } = of;
  let key = 1;
  for (let i = 0; i < columns.length; i++) {
    const column = all[columns[i] as number] as Column;
    key = key * 4 + (column.validity === 0 ? 0 : 2) + (column.dictionary === null ? 0 : 1);
  }
  return key;
}
export const shapeNumberColumns = 24;

/** Shape of those columns of a batch, as text. */
export function shapeOfColumns(of: Batch, columns: readonly number[]): string {
  let key = '';
  for (const index of columns) key += shapeKey(shapeOfColumn(of.columns[index] as Column));
  return key;
}
