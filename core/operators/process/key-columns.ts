/**
 * Keys from the bytes of ordered tables (core/record/key-bytes.ts) into columns, without JavaScript values between, so
 * that the rows of a timer queue are resolved like those of a batch. Strings are views of the bytes where these lie, but
 * for those with a NUL, which is written as two bytes there.
 */
import { type Batch, batch as batchOf, type Column } from '../../record/batch.ts';
import { type Layout, valueBytes } from '../../record/layout.ts';
import type { SlotMemory } from '../../record/memory.ts';
import { writeView } from '../../record/text.ts';

export interface KeyColumns {
  readonly columns: readonly Column[];
  reset(): void;
  /** Reads the key at `at` into row `row`; answers where it ends. The key's bytes must stay as they are until `reset`. */
  read(row: number, at: number): number;
  batch(rows: number): Batch;
}

/** `bytes`: of all keys between two `reset`s at most. */
export function keyColumns(memory: SlotMemory, layout: Layout, rows: number, bytes: number, name: string): KeyColumns {
  const buffers = layout.map((leaf) => ({
    values: memory.arena.allocate(valueBytes(leaf.storage, rows) + 8, name),
    validity: leaf.nullable ? memory.arena.allocate(valueBytes('bit', rows) + 8, name) : 0,
    nulls: false,
  }));
  const columns = buffers.map(({ values, validity }) => ({ values, validity, dictionary: null }));
  const { u8, u32 } = memory;

  const setBit = (at: number, row: number, on: boolean): void => {
    const byte = at + (row >>> 3);
    u8[byte] = on ? (u8[byte] as number) | (1 << (row & 7)) : (u8[byte] as number) & ~(1 << (row & 7));
  };
  const word = (at: number): number =>
    (((u8[at] as number) << 24) |
      ((u8[at + 1] as number) << 16) |
      ((u8[at + 2] as number) << 8) |
      (u8[at + 3] as number)) >>>
    0;

  /** Texts without the second bytes of their NULs. */
  let plain = 0;
  let plainUsed = 0;
  const readText = (view: number, from: number): number => {
    let at = from;
    while (u8[at] !== 0 || u8[at + 1] !== 0) {
      if (u8[at] === 0) return readEscaped(view, from);
      at++;
    }
    writeView(memory, view, from, at - from);
    return at + 2;
  };
  const readEscaped = (view: number, from: number): number => {
    if (plain === 0) plain = memory.arena.allocate(bytes, name);
    const start = plain + plainUsed;
    let at = from;
    let to = start;
    while (u8[at] !== 0 || u8[at + 1] !== 0) {
      const byte = u8[at] as number;
      u8[to++] = byte;
      at += byte === 0 ? 2 : 1;
    }
    plainUsed = to - plain;
    writeView(memory, view, start, to - start);
    return at + 2;
  };

  return {
    columns,
    reset() {
      plainUsed = 0;
      for (const buffer of buffers) buffer.nulls = false;
    },
    read(row, from) {
      let at = from;
      for (let i = 0; i < layout.length; i++) {
        const { nullable, storage } = layout[i] as Layout[number];
        const buffer = buffers[i] as (typeof buffers)[number];
        const { values } = buffer;
        if (nullable) {
          const valid = u8[at++] !== 0;
          setBit(buffer.validity, row, valid);
          if (!valid) {
            buffer.nulls = true;
            const bytes = valueBytes(storage, 1);
            if (storage === 'bit') setBit(values, row, false);
            else u8.fill(0, values + row * bytes, values + (row + 1) * bytes);
            continue;
          }
        }
        switch (storage) {
          case 'bit':
            setBit(values, row, u8[at++] !== 0);
            break;
          case 'i32':
            u32[(values >>> 2) + row] = (word(at) ^ 0x80000000) >>> 0;
            at += 4;
            break;
          case 'i64':
            u32[(values >>> 2) + 2 * row + 1] = (word(at) ^ 0x80000000) >>> 0;
            u32[(values >>> 2) + 2 * row] = word(at + 4);
            at += 8;
            break;
          case 'f64': {
            const high = word(at);
            const negative = high < 0x80000000;
            u32[(values >>> 2) + 2 * row + 1] = negative ? ~high >>> 0 : (high ^ 0x80000000) >>> 0;
            u32[(values >>> 2) + 2 * row] = negative ? ~word(at + 4) >>> 0 : word(at + 4);
            at += 8;
            break;
          }
          case 'view':
            at = readText(values + 16 * row, at);
        }
      }
      return at;
    },
    batch: (rowCount) =>
      batchOf(
        layout,
        rowCount,
        buffers.map(({ values, validity, nulls }) => ({ values, validity: nulls ? validity : 0, dictionary: null })),
      ),
  };
}
