/** Values as text, byte by byte into a bounded buffer: what writers of text formats share. It knows no format. */
import type { SlotMemory } from '../../core/record/memory.ts';
import { ticksPerMs } from '../../core/record/types.ts';
import { dateText } from './times.ts';

/** Bytes on their way out. */
export interface ByteSink {
  readonly buffer: Uint8Array;
  /** Bytes in `buffer` so far; who encodes sets it. */
  at: number;
  /** Takes the bytes that are in `buffer` away: `at` is 0 afterwards. */
  drain(): void;
}

/** Smallest buffer of a sink: all that is written between two looks at the room fits many times. */
export const sinkBufferMin = 4096;

/** `text` is ASCII and short. */
export function putAscii(out: ByteSink, text: string): void {
  if (out.at + text.length > out.buffer.length) out.drain();
  const { buffer } = out;
  let { at } = out;
  for (let i = 0; i < text.length; i++) buffer[at++] = text.charCodeAt(i);
  out.at = at;
}

/** All of `bytes`, however long. */
export function put(out: ByteSink, bytes: Uint8Array): void {
  if (bytes.length > out.buffer.length) {
    putLong(out, bytes);
    return;
  }
  if (out.at + bytes.length > out.buffer.length) out.drain();
  const { buffer } = out;
  let { at } = out;
  // Below some dozens of bytes a loop beats the call of `set`.
  if (bytes.length <= 48) for (let i = 0; i < bytes.length; i++) buffer[at++] = bytes[i]!;
  else {
    buffer.set(bytes, at);
    at += bytes.length;
  }
  out.at = at;
}

function putLong(out: ByteSink, bytes: Uint8Array): void {
  for (let from = 0; from < bytes.length; ) {
    if (out.at === out.buffer.length) out.drain();
    const part = bytes.subarray(from, from + out.buffer.length - out.at);
    out.buffer.set(part, out.at);
    out.at += part.length;
    from += part.length;
  }
}

/** A safe integer in decimal. */
export function putInteger(out: ByteSink, value: number): void {
  if (out.at + 20 > out.buffer.length) out.drain();
  const { buffer } = out;
  let left = value;
  if (left < 0) {
    buffer[out.at++] = 0x2d;
    left = -left;
  }
  if (left < 1e9) {
    out.at = putU32(buffer, out.at, left);
    return;
  }
  const high = Math.floor(left / 1e8);
  out.at = putPadded(buffer, putU32(buffer, out.at, high), left - high * 1e8, 8);
}

function putU32(buffer: Uint8Array, at: number, value: number): number {
  let digits = 1;
  for (let limit = 10; digits < 10 && value >= limit; limit *= 10) digits++;
  return putPadded(buffer, at, value, digits);
}

function putPadded(buffer: Uint8Array, at: number, value: number, digits: number): number {
  let left = value | 0;
  for (let i = at + digits - 1; i >= at; i--) {
    const next = (left / 10) | 0;
    buffer[i] = 0x30 + left - next * 10;
    left = next;
  }
  return at + digits;
}

/** The 64-bit integer at `address`, all digits of it. */
export function putBigint(out: ByteSink, { i32, u32, i64 }: SlotMemory, address: number): void {
  const at = address >>> 2;
  const value = i32[at + 1]! * 4_294_967_296 + u32[at]!;
  if (Number.isSafeInteger(value)) putInteger(out, value);
  else putAscii(out, String(i64[address >>> 3]));
}

/** How a timestamp is written: `before`, the date, `between`, the time with its fraction, `after`. */
export interface TimestampForm {
  readonly before: string;
  readonly between: string;
  readonly after: string;
}

/** Writes days as text once for all rows of a day that follow one another. `values`: where the column lies now. */
export function timestampWriter(
  precision: number,
  { before, between, after }: TimestampForm,
  { i32, u32, i64 }: SlotMemory,
  values: () => number,
): (row: number, out: ByteSink) => void {
  const ticks = ticksPerMs(precision);
  const dayTicks = 86_400_000 * ticks;
  const secondTicks = 1000 * ticks;
  const fractionDigits = ticks === 1 ? 3 : ticks === 1000 ? 6 : 9;
  let day = Number.NaN;
  let text = '';
  return (row, out) => {
    const word = (values() >>> 2) + row * 2;
    const stored = i32[word + 1]! * 4_294_967_296 + u32[word]!;
    let days: number;
    let rest: number;
    if (Number.isSafeInteger(stored)) {
      days = Math.floor(stored / dayTicks);
      rest = stored - days * dayTicks;
    } else {
      const exact = i64[word >>> 1]!;
      const length = BigInt(dayTicks);
      rest = Number(((exact % length) + length) % length);
      days = Number((exact - BigInt(rest)) / length);
    }
    if (days !== day) {
      day = days;
      text = `${before}${dateText(days)}${between}`;
    }
    putAscii(out, text);
    if (out.at + 24 > out.buffer.length) out.drain();
    const { buffer } = out;
    const seconds = Math.floor(rest / secondTicks);
    let at = putPadded(buffer, out.at, (seconds / 3600) | 0, 2);
    buffer[at++] = 0x3a;
    at = putPadded(buffer, at, ((seconds / 60) | 0) % 60, 2);
    buffer[at++] = 0x3a;
    at = putPadded(buffer, at, seconds % 60, 2);
    buffer[at++] = 0x2e;
    at = putPadded(buffer, at, rest - seconds * secondTicks, fractionDigits);
    for (let i = 0; i < after.length; i++) buffer[at++] = after.charCodeAt(i);
    out.at = at;
  };
}
