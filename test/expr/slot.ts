/** A slot's memory with the real kernels, and columns in it from plain values; what this room's tests stand on. */
import { readFileSync } from 'node:fs';
import type { Value } from '../../core/expr/value.ts';
import type { Kernels } from '../../core/ports/kernels.ts';
import { type Batch, batch, type Column } from '../../core/record/batch.ts';
import { type Layout, type LayoutColumn, storageOf, valueBytes } from '../../core/record/layout.ts';
import { type SlotMemory, slotMemory } from '../../core/record/memory.ts';
import { encodeUtf8, readText, utf8Bytes, writeView } from '../../core/record/text.ts';
import type { DataType } from '../../core/record/types.ts';

export interface TestSlot {
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  /** `dictionary`: VARCHAR columns become codes; unused entries come before and behind. */
  column(of: LayoutColumn, values: readonly Value[], options?: { dictionary?: boolean }): Column;
  batch(layout: Layout, rows: readonly (readonly Value[])[], options?: BatchOptions): Batch;
  u32s(values: readonly number[]): number;
  read(of: LayoutColumn, column: Column, row: number): Value;
  /** A buffer for `n` results, filled with rubbish. */
  result(storage: LayoutColumn['storage'], n: number, nullable: boolean): Column;
}
export interface BatchOptions {
  readonly dictionaries?: boolean;
  readonly selection?: readonly number[];
  readonly kinds?: readonly number[];
}

const bytes = readFileSync(new URL('../../dist/kernels/kernels.wasm', import.meta.url));
const kernelsModule = new WebAssembly.Module(bytes);
let dictionaryIds = 0;

/** `reuse`: the memory of a slot that is no longer needed, its used part zeroed. */
export function testSlot(megabytes = 64, reuse?: TestSlot): TestSlot {
  if (reuse) reuse.memory.u8.fill(0, 65_536, 65_536 + reuse.memory.arena.usedBytes);
  const wasmMemory = reuse
    ? reuse.memory.memory
    : new WebAssembly.Memory({ initial: megabytes * 16, maximum: megabytes * 16, shared: true });
  const kernels = new WebAssembly.Instance(kernelsModule, { env: { memory: wasmMemory } })
    .exports as unknown as Kernels;
  const memory = slotMemory(wasmMemory, 65_536, megabytes * 1_048_576);
  const { u8, u32, i32, i64, f64 } = memory;
  const take = (size: number) => memory.arena.allocate(Math.max(size, 8), 'a test');
  const text = (view: number, value: string): void => {
    const at = take(utf8Bytes(value) + 8);
    writeView(memory, view, at, encodeUtf8(value, u8, at, utf8Bytes(value) + 8));
  };
  const store = (storage: LayoutColumn['storage'], values: number, row: number, value: Value): void => {
    if (storage === 'bit') {
      const at = values + (row >>> 3);
      u8[at] = ((u8[at] as number) & ~(1 << (row & 7))) | ((value ? 1 : 0) << (row & 7));
    } else if (storage === 'i32') i32[(values >>> 2) + row] = Number(value);
    else if (storage === 'i64') i64[(values >>> 3) + row] = BigInt(value ?? 0);
    else if (storage === 'f64') f64[(values >>> 3) + row] = Number(value);
    else text(values + row * 16, value as string);
  };
  const slot: TestSlot = {
    memory,
    kernels,
    column(of, values, options = {}) {
      const nullable = values.includes(null);
      const validity = nullable ? take(valueBytes('bit', values.length) + 8) : 0;
      values.forEach((v, row) => {
        if (nullable && v !== null)
          u8[validity + (row >>> 3)] = (u8[validity + (row >>> 3)] as number) | (1 << (row & 7));
      });
      if (options.dictionary && of.storage === 'view') {
        const distinct = [
          '',
          ...new Set(values.filter((v): v is string => typeof v === 'string' && v !== '')),
          'a string that no row refers to',
        ];
        const views = take(distinct.length * 16);
        distinct.forEach((s, i) => {
          text(views + i * 16, s);
        });
        // The code of a null row is rubbish: nobody may follow it.
        const codes = slot.u32s(values.map((v) => (v === null ? 0xfffffff : distinct.indexOf(v as string))));
        return {
          validity,
          values: codes,
          dictionary: { id: ++dictionaryIds, views, count: distinct.length, hashes: 0 },
        };
      }
      const at = take(valueBytes(of.storage, values.length) + 16);
      values.forEach((v, row) => {
        if (v !== null) store(of.storage, at, row, v);
        // Null slots: extreme but harmless values, so that an overflow there would show.
        else if (of.storage === 'i32') i32[(at >>> 2) + row] = 0x7fffffff;
        else if (of.storage === 'i64') i64[(at >>> 3) + row] = 0x7fffffffffffffffn;
      });
      return { validity, values: at, dictionary: null };
    },
    batch(layout, rows, options = {}) {
      const columns = layout.map((of, i) =>
        slot.column(
          of,
          rows.map((r) => r[i] as Value),
          { dictionary: options.dictionaries ?? false },
        ),
      );
      let kinds = 0;
      if (options.kinds) {
        kinds = take(rows.length);
        options.kinds.forEach((k, i) => {
          u8[kinds + i] = k;
        });
      }
      const { selection } = options;
      return batch(
        layout,
        rows.length,
        columns,
        selection ? { kinds, selection: slot.u32s(selection), size: selection.length } : { kinds },
      );
    },
    u32s(values) {
      const at = take(values.length * 4);
      values.forEach((v, i) => {
        u32[(at >>> 2) + i] = v;
      });
      return at;
    },
    read(of, column, row) {
      if (column.validity !== 0 && ((u8[column.validity + (row >>> 3)] as number) & (1 << (row & 7))) === 0)
        return null;
      const { values } = column;
      switch (of.storage) {
        case 'bit':
          return ((u8[values + (row >>> 3)] as number) & (1 << (row & 7))) !== 0;
        case 'i32':
          return i32[(values >>> 2) + row] as number;
        case 'i64':
          return i64[(values >>> 3) + row] as bigint;
        case 'f64':
          return f64[(values >>> 3) + row] as number;
        case 'view':
          return readText(
            memory,
            column.dictionary
              ? column.dictionary.views + (u32[(values >>> 2) + row] as number) * 16
              : values + row * 16,
          );
      }
    },
    result(storage, n, nullable) {
      const at = take(valueBytes(storage, n) + 16);
      u8.fill(0xa5, at, at + valueBytes(storage, n));
      const validity = nullable ? take(valueBytes('bit', n) + 8) : 0;
      if (nullable) u8.fill(0xa5, validity, validity + valueBytes('bit', n));
      return { values: at, validity, dictionary: null };
    },
  };
  return slot;
}

export const leaf = (name: string, type: DataType, nullable = true): LayoutColumn => ({
  name,
  type,
  nullable,
  storage: storageOf(type),
});
