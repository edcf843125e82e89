/**
 * Batches for tests, out of JavaScript values: plain or dictionary-coded, with or without a selection. Every buffer comes
 * from the slot's arena. Integers are bigint or number, DOUBLE a number, VARCHAR a string, BOOLEAN a boolean, null is null.
 */
import { type Batch, batch, type Column } from '../../core/record/batch.ts';
import { type Layout, valueBytes } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';

export type TestValue = null | boolean | number | bigint | string;

let dictionaryIds = 1_000_000;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes a view of `text`; long bytes are taken from the arena. */
export function writeView(memory: SlotMemory, at: number, text: string): void {
  const bytes = encoder.encode(text);
  memory.u8.fill(0, at, at + 16);
  memory.u32[at >>> 2] = bytes.length;
  if (bytes.length <= 12) {
    memory.u8.set(bytes, at + 4);
  } else {
    const place = memory.arena.allocate(bytes.length, 'a test string');
    memory.u8.set(bytes, place);
    memory.u8.set(bytes.subarray(0, 4), at + 4);
    memory.u32[(at + 12) >>> 2] = place;
  }
}

/** Reads the string of a view. */
export function readView(memory: SlotMemory, at: number): string {
  const length = memory.u32[at >>> 2] as number;
  const from = length <= 12 ? at + 4 : (memory.u32[(at + 12) >>> 2] as number);
  return decoder.decode(memory.u8.slice(from, from + length));
}

/** A column of `values`. `dictionary`: VARCHAR as codes. `alwaysValidity`: a bitmap even when nothing is null. */
export function testColumn(
  memory: SlotMemory,
  storage: Layout[number]['storage'],
  values: readonly TestValue[],
  options: { readonly dictionary?: boolean; readonly alwaysValidity?: boolean } = {},
): Column {
  const n = values.length;
  let validity = 0;
  if (options.alwaysValidity || values.some((v) => v === null)) {
    validity = memory.arena.allocate((n + 63) >>> 3, 'test validity');
    values.forEach((v, i) => {
      const at = validity + (i >>> 3);
      if (v === null) memory.u8[at] = (memory.u8[at] as number) & ~(1 << (i & 7));
      else memory.u8[at] = (memory.u8[at] as number) | (1 << (i & 7));
    });
  }
  if (storage === 'view' && options.dictionary) {
    const distinct = [...new Set(values.filter((v) => v !== null))];
    const views = memory.arena.allocate(16 * Math.max(1, distinct.length), 'a test dictionary');
    for (const [i, text] of distinct.entries()) writeView(memory, views + 16 * i, text as string);
    const codes = memory.arena.allocate(4 * n + 64, 'test codes');
    const codeOf = new Map(distinct.map((text, i) => [text, i]));
    for (const [i, v] of values.entries()) memory.u32[(codes >>> 2) + i] = v === null ? 0 : (codeOf.get(v) as number);
    return { validity, values: codes, dictionary: { id: dictionaryIds++, views, count: distinct.length, hashes: 0 } };
  }
  const at = memory.arena.allocate(valueBytes(storage, n) + 64, 'test values');
  for (const [i, v] of values.entries()) {
    if (storage === 'bit') {
      if (v) memory.u8[at + (i >>> 3)] = (memory.u8[at + (i >>> 3)] as number) | (1 << (i & 7));
    } else if (storage === 'i32') memory.i32[(at >>> 2) + i] = Number(v ?? 0);
    else if (storage === 'i64') memory.i64[(at >>> 3) + i] = BigInt((v as bigint | number) ?? 0);
    else if (storage === 'f64') memory.f64[(at >>> 3) + i] = (v as number) ?? 0;
    else writeView(memory, at + 16 * i, (v as string) ?? '');
  }
  return { validity, values: at, dictionary: null };
}

/** A batch whose columns hold `columns[c][row]`; `selection` lists the rows that are in. */
export function testBatch(
  memory: SlotMemory,
  layout: Layout,
  columns: readonly (readonly TestValue[])[],
  options: {
    readonly dictionary?: boolean;
    readonly selection?: readonly number[];
    readonly kinds?: readonly number[];
  } = {},
): Batch {
  const rows = columns[0]?.length ?? 0;
  const built = layout.map((column, c) => testColumn(memory, column.storage, columns[c] ?? [], options));
  let selection = 0;
  if (options.selection) {
    selection = memory.arena.allocate(4 * options.selection.length + 4, 'a test selection');
    memory.u32.set(options.selection, selection >>> 2);
  }
  let kinds = 0;
  if (options.kinds) {
    kinds = memory.arena.allocate(rows, 'test kinds');
    memory.u8.set(options.kinds, kinds);
  }
  return batch(layout, rows, built, { selection, size: options.selection?.length ?? rows, kinds });
}

/** The value of one row of a column; integers as bigint. */
export function readValue(memory: SlotMemory, layout: Layout, from: Batch, column: number, row: number): TestValue {
  const { validity, values, dictionary } = from.columns[column] as Column;
  if (validity !== 0 && (((memory.u8[validity + (row >>> 3)] as number) >> (row & 7)) & 1) === 0) return null;
  switch ((layout[column] as Layout[number]).storage) {
    case 'bit':
      return (((memory.u8[values + (row >>> 3)] as number) >> (row & 7)) & 1) === 1;
    case 'i32':
      return BigInt(memory.i32[(values >>> 2) + row] as number);
    case 'i64':
      return memory.i64[(values >>> 3) + row] as bigint;
    case 'f64':
      return memory.f64[(values >>> 3) + row] as number;
    case 'view':
      return readView(
        memory,
        dictionary ? dictionary.views + 16 * (memory.u32[(values >>> 2) + row] as number) : values + 16 * row,
      );
  }
}

/** All selected rows of a batch, in order. */
export function readRows(memory: SlotMemory, from: Batch): TestValue[][] {
  const rows: TestValue[][] = [];
  for (let k = 0; k < from.size; k++) {
    const row = from.selection ? (memory.u32[(from.selection >>> 2) + k] as number) : k;
    rows.push(from.layout.map((_, c) => readValue(memory, from.layout, from, c, row)));
  }
  return rows;
}
