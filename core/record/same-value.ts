/** Whether two columns hold the same in a row: NULL is NULL, numbers by their bits. Knows no batch. */
import type { Column } from './batch.ts';
import type { StorageKind } from './layout.ts';
import type { SlotMemory } from './memory.ts';

/** Neither column has a dictionary. */
export function sameValue(memory: SlotMemory, storage: StorageKind, a: Column, b: Column, row: number): boolean {
  return sameValueAt(memory, storage, a, row, b, row);
}

/** Row `i` of the one and row `j` of the other, which may have dictionaries. */
export function sameValueAt(
  memory: SlotMemory,
  storage: StorageKind,
  a: Column,
  i: number,
  b: Column,
  j: number,
): boolean {
  const { u8, u32 } = memory;
  const bit = (of: number, row: number): number => ((u8[of + (row >>> 3)] as number) >>> (row & 7)) & 1;
  if (a.validity !== 0 || b.validity !== 0) {
    const has = a.validity === 0 ? 1 : bit(a.validity, i);
    if (has !== (b.validity === 0 ? 1 : bit(b.validity, j))) return false;
    if (has === 0) return true;
  }
  switch (storage) {
    case 'bit':
      return bit(a.values, i) === bit(b.values, j);
    case 'i32':
      return u32[(a.values >>> 2) + i] === u32[(b.values >>> 2) + j];
    case 'i64':
    case 'f64': {
      const [from, to] = [(a.values >>> 2) + 2 * i, (b.values >>> 2) + 2 * j];
      return u32[from] === u32[to] && u32[from + 1] === u32[to + 1];
    }
    case 'view':
      return sameText(memory, viewWord(u32, a, i), viewWord(u32, b, j));
  }
}

/** The word at which a row's view begins. */
function viewWord(u32: Uint32Array, { values, dictionary }: Column, row: number): number {
  if (dictionary === null) return (values >>> 2) + 4 * row;
  return (dictionary.views >>> 2) + 4 * (u32[(values >>> 2) + row] as number);
}

/** Views at words `i` and `j`. */
function sameText({ u8, u32 }: SlotMemory, i: number, j: number): boolean {
  const length = u32[i] as number;
  if (length !== u32[j] || u32[i + 1] !== u32[j + 1]) return false;
  if (length <= 12) return u32[i + 2] === u32[j + 2] && u32[i + 3] === u32[j + 3];
  const [from, other] = [u32[i + 3] as number, u32[j + 3] as number];
  if (from === other) return true;
  for (let k = 0; k < length; k++) if (u8[from + k] !== u8[other + k]) return false;
  return true;
}
