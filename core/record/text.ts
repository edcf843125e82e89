/**
 * UTF-8 in slot memory, to and from JavaScript strings. Views are Arrow's (layout.ts): up to 12 bytes inline, longer
 * ones elsewhere. Bytes that are no UTF-8 read as U+FFFD; lone surrogates are written as U+FFFD.
 */
import type { SlotMemory } from './memory.ts';

/** Bytes that a view holds itself. */
export const inlineBytesMax = 12;

/** Decodes bytes [from, to) of slot memory. */
export const decodeUtf8: (bytes: Uint8Array, from: number, to: number) => string = chooseDecoder();

/** Encodes into `bytes` at `at`, which has room for 3 bytes per UTF-16 unit or for `utf8Bytes(text)`; answers the bytes. */
export function encodeUtf8(text: string, bytes: Uint8Array, at: number, room: number): number {
  const length = text.length;
  let i = 0;
  if (length <= asciiLoopMax) {
    for (; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 127) break;
      bytes[at + i] = unit;
    }
    if (i === length) return length;
  }
  const rest = i === 0 ? text : text.slice(i);
  return i + encoder.encodeInto(rest, bytes.subarray(at + i, at + room)).written;
}

/** Bytes of `text` in UTF-8. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < text.length && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      bytes += 2;
      i++;
    } else bytes += 2;
  }
  return bytes;
}

/** The string of the view at `view`. */
export function readText(memory: SlotMemory, view: number): string {
  const length = memory.u32[view >>> 2] as number;
  const from = length <= inlineBytesMax ? view + 4 : (memory.u32[(view + 12) >>> 2] as number);
  return decodeUtf8(memory.u8, from, from + length);
}

/**
 * Writes the view of `length` bytes that stand at `bytes`: short ones are copied into the view (its rest is zero, so
 * that equal strings are equal views), long ones are pointed to.
 */
export function writeView(memory: SlotMemory, view: number, bytes: number, length: number): void {
  const { u8, u32 } = memory;
  const word = view >>> 2;
  u32[word] = length;
  if (length > inlineBytesMax) {
    for (let i = 0; i < 4; i++) u8[view + 4 + i] = u8[bytes + i] as number;
    u32[word + 2] = 0;
    u32[word + 3] = bytes;
    return;
  }
  u32[word + 1] = 0;
  u32[word + 2] = 0;
  u32[word + 3] = 0;
  for (let i = 0; i < length; i++) u8[view + 4 + i] = u8[bytes + i] as number;
}

/** Writes the view of a text of at most 12 ASCII characters; false, and nothing that counts, when it is none. */
export function writeShortView(memory: SlotMemory, view: number, text: string): boolean {
  const length = text.length;
  if (length > inlineBytesMax) return false;
  const { u8, u32 } = memory;
  const word = view >>> 2;
  u32[word] = length;
  u32[word + 1] = 0;
  u32[word + 2] = 0;
  u32[word + 3] = 0;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) return false;
    u8[view + 4 + i] = unit;
  }
  return true;
}

const asciiLoopMax = 64;
const encoder = new TextEncoder();

/**
 * Node's Buffer decodes three times faster than TextDecoder and takes shared memory; where there is no Buffer,
 * TextDecoder does it (a browser's wants a copy of shared bytes).
 */
function chooseDecoder(): (bytes: Uint8Array, from: number, to: number) => string {
  const slice = (
    globalThis as { Buffer?: { prototype: { utf8Slice?(this: Uint8Array, from: number, to: number): string } } }
  ).Buffer?.prototype.utf8Slice;
  if (slice) return (bytes, from, to) => (from === to ? '' : slice.call(bytes, from, to));
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return (bytes, from, to) => decoder.decode(bytes.slice(from, to));
}
