/**
 * Distinct strings of a column chunk that is being written: views in, indices out, without making a JavaScript string.
 * Equal strings of up to 12 bytes are equal views, so most look-ups compare four words.
 */
import { appendBytes, appendU32, type ByteBuffer, byteBuffer } from './byte-buffer.ts';

export interface StringDictionary {
  /** Index of the string whose view lies at `view`, or −1 when the dictionary is full. */
  indexOf(u8: Uint8Array, u32: Uint32Array, view: number): number;
  readonly count: number;
  /** The entries as PLAIN has them. */
  readonly plain: ByteBuffer;
  clear(): void;
}

export function stringDictionary(entriesMax: number, bytesMax: number): StringDictionary {
  let slots = new Int32Array(1024).fill(-1);
  /** Per entry: hash, length, and where its bytes begin in `plain`. */
  let entries = new Uint32Array(3 * 512);
  let count = 0;
  const plain = byteBuffer(4096);

  const grow = (): void => {
    slots = new Int32Array(slots.length * 2).fill(-1);
    const more = new Uint32Array(entries.length * 2);
    more.set(entries);
    entries = more;
    for (let i = 0; i < count; i++) {
      let slot = (entries[3 * i] as number) & (slots.length - 1);
      while (slots[slot] !== -1) slot = (slot + 1) & (slots.length - 1);
      slots[slot] = i;
    }
  };

  return {
    get count() {
      return count;
    },
    plain,
    indexOf(u8, u32, view) {
      const length = u32[view >>> 2] as number;
      const from = length > 12 ? (u32[(view >>> 2) + 3] as number) : view + 4;
      const hash = hashBytes(u8, from, length);
      let slot = hash & (slots.length - 1);
      for (let found = slots[slot] as number; found !== -1; found = slots[slot] as number) {
        if (
          entries[3 * found] === hash &&
          entries[3 * found + 1] === length &&
          sameBytes(u8, from, plain.bytes, entries[3 * found + 2] as number, length)
        ) {
          return found;
        }
        slot = (slot + 1) & (slots.length - 1);
      }
      if (count >= entriesMax || plain.length + length + 4 > bytesMax) return -1;
      appendU32(plain, length);
      entries[3 * count] = hash;
      entries[3 * count + 1] = length;
      entries[3 * count + 2] = plain.length;
      appendBytes(plain, u8.subarray(from, from + length));
      slots[slot] = count++;
      if (count * 2 >= slots.length) grow();
      return count - 1;
    },
    clear() {
      slots.fill(-1);
      count = 0;
      plain.length = 0;
    },
  };
}

function hashBytes(u8: Uint8Array, from: number, length: number): number {
  let hash = 0x811c9dc5 ^ length;
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ (u8[from + i] as number), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

function sameBytes(a: Uint8Array, at: number, b: Uint8Array, bt: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[at + i] !== b[bt + i]) return false;
  return true;
}
