/** Leaf values as text for people: exact integers, times in ISO form with their precision, NULL for what is not there. */
import type { Batch } from '../../core/record/batch.ts';
import { isValid } from '../../core/record/column-reader.ts';
import { decimalText } from '../../core/record/decimal.ts';
import type { Layout, LayoutColumn } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import { readText } from '../../core/record/text.ts';
import { dateText, timestampText } from '../text/times.ts';

/** Texts of one row's leaves, in order. */
export function rowCells(layout: Layout, memory: SlotMemory): (batch: Batch, row: number) => string[] {
  const leaves = layout.map((column) => leafText(column, memory));
  return (batch, row) => leaves.map((text, i) => text(batch, i, row));
}

/** Numbers line up on the right. */
export const alignsRight = (column: LayoutColumn): boolean =>
  ['INT', 'BIGINT', 'DOUBLE', 'DECIMAL'].includes(column.type.kind);

function leafText(column: LayoutColumn, memory: SlotMemory): (batch: Batch, leaf: number, row: number) => string {
  const value = valueText(column, memory);
  return (batch, leaf, row) => {
    const { validity, values, dictionary } = batch.columns[leaf]!;
    if (!isValid(memory, validity, row)) return 'NULL';
    if (dictionary) return printable(readText(memory, dictionary.views + memory.u32[(values >>> 2) + row]! * 16));
    return value(values, row);
  };
}

function valueText(column: LayoutColumn, memory: SlotMemory): (values: number, row: number) => string {
  const { u8, i32, i64, f64 } = memory;
  const { type } = column;
  switch (type.kind) {
    case 'BOOLEAN':
      return (values, row) => String(((u8[values + (row >>> 3)]! >>> (row & 7)) & 1) === 1);
    case 'DATE':
      return (values, row) => dateText(i32[(values >>> 2) + row]!);
    case 'TIMESTAMP':
      return (values, row) => timestampText(i64[(values >>> 3) + row]!, type.precision, ' ', '');
    case 'BIGINT':
      return (values, row) => String(i64[(values >>> 3) + row]);
    case 'DECIMAL':
      return (values, row) => decimalText(i64[(values >>> 3) + row]!, type.scale);
    case 'DOUBLE':
      return (values, row) => numberText(f64[(values >>> 3) + row]!);
    case 'VARCHAR':
      return (values, row) => printable(readText(memory, values + row * 16));
    default:
      return (values, row) => String(i32[(values >>> 2) + row]);
  }
}

const numberText = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));

/** Control characters would move the cursor, or worse: they are shown as their code pictures. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach the terminal
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => {
    const code = c.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? '␡' : '�';
  });
}
