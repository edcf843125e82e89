/** Whether two columns hold the same in a row: NULL is NULL, numbers by their bits. Knows no batch. */
import type { Column } from './batch.ts';
import type { StorageKind } from './layout.ts';
import type { SlotMemory } from './memory.ts';

/** Neither column has a dictionary. */
export function sameValue(memory: SlotMemory, storage: StorageKind, a: Column, b: Column, row: number): boolean {
  const { u8, u32 } = memory;
  const bit = (of: number): number => ((u8[of + (row >>> 3)] as number) >>> (row & 7)) & 1;
  if (a.validity !== 0) {
    const has = bit(a.validity);
    if (has !== bit(b.validity)) return false;
    if (has === 0) return true;
  }
  switch (storage) {
    case 'bit':
      return bit(a.values) === bit(b.values);
    case 'i32':
      return u32[(a.values >>> 2) + row] === u32[(b.values >>> 2) + row];
    case 'i64':
    case 'f64': {
      const [i, j] = [(a.values >>> 2) + 2 * row, (b.values >>> 2) + 2 * row];
      return u32[i] === u32[j] && u32[i + 1] === u32[j + 1];
    }
    case 'view':
      return sameText(memory, (a.values >>> 2) + 4 * row, (b.values >>> 2) + 4 * row);
  }
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
