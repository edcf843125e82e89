/**
 * The columns that a reader of csv fills, in slot memory. A row is stored whole or not at all. Texts stay where they were
 * read, and views point at them.
 */
import { isUtf8 } from 'node:buffer';
import type { Column } from '../../core/record/batch.ts';
import { type Layout, type LayoutColumn, valueBytes } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import { decodeUtf8, writeView } from '../../core/record/text.ts';
import { typeName } from '../../core/record/types.ts';
import { FieldKind, type RecordFields, undouble } from './records.ts';
import { expectedBy, type StoreValue, valueStore } from './values.ts';

export interface CsvColumns {
  readonly rows: number;
  /** Forgets the rows. */
  reset(): void;
  /** `places[i]`: which field of a record column `i` is. */
  bind(places: readonly number[]): void;
  /** Stores a record as the next row; answers what is wrong with it, or null. */
  append(record: RecordFields): string | null;
  columns(): readonly Column[];
}

export function csvColumns(layout: Layout, memory: SlotMemory, nullText: string, batchRows: number): CsvColumns {
  const { arena, u8 } = memory;
  const values = layout.map(({ name, storage }) => arena.allocate(valueBytes(storage, batchRows), `column '${name}'`));
  const validity = layout.map(({ name, nullable }) =>
    nullable ? arena.allocate(valueBytes('bit', batchRows), `column '${name}'`) : 0,
  );
  const stores = layout.map((column): StoreValue | null =>
    column.type.kind === 'VARCHAR' ? null : valueStore(column, memory),
  );
  const nullBytes = Buffer.from(nullText);
  const hasNulls = new Uint8Array(layout.length);
  const isNow = new Uint8Array(layout.length);
  let places: readonly number[] = [];
  let rows = 0;

  const isNullText = (from: number, to: number): boolean => {
    if (to - from !== nullBytes.length) return false;
    for (let i = 0; i < nullBytes.length; i++) if (u8[from + i] !== nullBytes[i]) return false;
    return true;
  };

  const setValid = (leaf: number, valid: boolean): void => {
    isNow[leaf] = valid ? 0 : 1;
    const bits = validity[leaf]!;
    if (bits === 0) return;
    const at = bits + (rows >>> 3);
    u8[at] = valid ? u8[at]! | (1 << (rows & 7)) : u8[at]! & ~(1 << (rows & 7));
    if (!valid) hasNulls[leaf] = 1;
  };

  /** Everything that can fail, and every value but texts. */
  const check = (record: RecordFields): string | null => {
    for (let leaf = 0; leaf < layout.length; leaf++) {
      const place = places[leaf]!;
      const from = record.from[place]!;
      const to = record.to[place]!;
      const column = layout[leaf]!;
      const store = stores[leaf]!;
      if (record.kind[place] === FieldKind.plain && isNullText(from, to)) {
        if (column.nullable) {
          setValid(leaf, false);
          continue;
        }
        // Where there is no NULL, nothing between two delimiters is an empty text.
        if (store !== null || from !== to) {
          return `column '${column.name}' (${typeName(column.type)}) is NULL (an unquoted '${nullText}'), but declared not null`;
        }
      }
      setValid(leaf, true);
      if (store === null) {
        if (!isAscii(u8, from, to) && !isUtf8(u8.subarray(from, to))) return `column '${column.name}' is no UTF-8`;
      } else if (!store(from, to, values[leaf]!, rows)) return refusal(u8, column, from, to);
    }
    return null;
  };

  return {
    get rows() {
      return rows;
    },
    reset() {
      rows = 0;
      hasNulls.fill(0);
    },
    bind(next) {
      places = next;
    },
    append(record) {
      const problem = check(record);
      if (problem !== null) return problem;
      // Only now is the record as read no longer needed: doubled quotes are taken apart in place.
      for (let leaf = 0; leaf < layout.length; leaf++) {
        if (stores[leaf] !== null) {
          if (isNow[leaf] === 1) clear(memory, layout[leaf]!, values[leaf]!, rows);
          continue;
        }
        const place = places[leaf]!;
        const from = record.from[place]!;
        let to = record.to[place]!;
        if (isNow[leaf] === 1) to = from;
        else if (record.kind[place] === FieldKind.escaped) {
          to = undouble(u8, from, to);
          // Another column may read the same field.
          record.to[place] = to;
          record.kind[place] = FieldKind.quoted;
        }
        writeView(memory, values[leaf]! + rows * 16, from, to - from);
      }
      rows++;
      return null;
    },
    columns() {
      return layout.map((_, leaf) => ({
        validity: hasNulls[leaf] ? validity[leaf]! : 0,
        values: values[leaf]!,
        dictionary: null,
      }));
    },
  };
}

function isAscii(u8: Uint8Array, from: number, to: number): boolean {
  let all = 0;
  for (let i = from; i < to; i++) all |= u8[i]!;
  return all < 0x80;
}

/** What lies under a NULL is no accident of the row before. */
function clear({ u8, i32 }: SlotMemory, { storage }: LayoutColumn, values: number, row: number): void {
  if (storage === 'bit') {
    u8[values + (row >>> 3)]! &= ~(1 << (row & 7));
    return;
  }
  const words = storage === 'i32' ? 1 : 2;
  const at = (values >>> 2) + row * words;
  for (let i = 0; i < words; i++) i32[at + i] = 0;
}

const shownBytes = 40;

function refusal(u8: Uint8Array, column: LayoutColumn, from: number, to: number): string {
  const shown = decodeUtf8(u8, from, Math.min(to, from + shownBytes));
  const found = `'${shown}${to - from > shownBytes ? '…' : ''}'`;
  return `column '${column.name}' (${typeName(column.type)}) expects ${expectedBy(column)}, found ${found}`;
}
