/** One row of a batch as plain values, for what runs in the reference implementation: errors and whatever is not compiled. */
import type { Value } from '../expr/value.ts';
import type { Batch, Column } from '../record/batch.ts';
import type { LayoutColumn } from '../record/layout.ts';
import type { SlotMemory } from '../record/memory.ts';
import { readText } from '../record/text.ts';

export function rowValues(memory: SlotMemory, batch: Batch, row: number): Value[] {
  return batch.layout.map((of, i) => leafValue(memory, of, batch.columns[i] as Column, row));
}

export function leafValue(memory: SlotMemory, of: LayoutColumn, column: Column, row: number): Value {
  const { values, validity, dictionary } = column;
  const bit = (bitmap: number): boolean => ((memory.u8[bitmap + (row >>> 3)] as number) & (1 << (row & 7))) !== 0;
  if (validity !== 0 && !bit(validity)) return null;
  switch (of.storage) {
    case 'bit':
      return bit(values);
    case 'i32':
      return memory.i32[(values >>> 2) + row] as number;
    case 'i64':
      return memory.i64[(values >>> 3) + row] as bigint;
    case 'f64':
      return memory.f64[(values >>> 3) + row] as number;
    case 'view':
      return readText(
        memory,
        dictionary ? dictionary.views + (memory.u32[(values >>> 2) + row] as number) * 16 : values + row * 16,
      );
  }
}
