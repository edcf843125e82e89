/**
 * The text of a field to a stored value, checked: numbers from bytes, what is rare through text. What does not fit its column
 * is refused with the column, what it wants and what was found. Spaces around a value that is no text are passed over.
 */
import { parseDecimal, unscaledOf } from '../../core/record/decimal.ts';
import type { LayoutColumn } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import { decodeUtf8 } from '../../core/record/text.ts';
import { ticksPerMs, typeName } from '../../core/record/types.ts';
import { daysOf, parseDate, parseTimestamp } from '../text/times.ts';

/** Stores the value in bytes [from, to) as row `row` of the column at `values`; false: it is none. */
export type StoreValue = (from: number, to: number, values: number, row: number) => boolean;

/** What a column wants, for messages. */
export function expectedBy({ type }: LayoutColumn): string {
  switch (type.kind) {
    case 'BOOLEAN':
      return 'true or false';
    case 'INT':
      return 'a whole number of 32 bits';
    case 'BIGINT':
      return 'a whole number of 64 bits';
    case 'DECIMAL':
      return `a number of at most ${type.precision - type.scale} digits ahead of the point and ${type.scale} behind it`;
    case 'DOUBLE':
      return 'a number';
    case 'DATE':
      return 'a date such as 2001-01-31';
    case 'TIMESTAMP':
      return 'a timestamp such as 2001-01-31 10:00:00';
    default:
      return typeName(type);
  }
}

/** For every type but VARCHAR. */
export function valueStore(column: LayoutColumn, memory: SlotMemory): StoreValue {
  const { type } = column;
  switch (type.kind) {
    case 'BOOLEAN':
      return trimmed(memory, storeBoolean(memory));
    case 'INT':
      return trimmed(memory, storeInt(memory));
    case 'BIGINT':
      return trimmed(memory, storeBigint(memory));
    case 'DECIMAL':
      return trimmed(memory, storeDecimal(memory, type.precision, type.scale));
    case 'DOUBLE':
      return trimmed(memory, storeDouble(memory));
    case 'DATE':
      return trimmed(memory, storeDate(memory));
    case 'TIMESTAMP':
      return trimmed(memory, storeTimestamp(memory, type.precision));
    default:
      throw new TypeError(`no csv values of type ${typeName(type)}`);
  }
}

const space = 0x20;
const minus = 0x2d;
const plus = 0x2b;
const point = 0x2e;

function trimmed({ u8 }: SlotMemory, store: StoreValue): StoreValue {
  return (from, to, values, row) => {
    let start = from;
    let end = to;
    while (start < end && (u8[start] === space || u8[start] === 0x09)) start++;
    while (start < end && (u8[end - 1] === space || u8[end - 1] === 0x09)) end--;
    return start < end && store(start, end, values, row);
  };
}

/** Sign and digits [from, to) as a number, where they are at most fifteen; NaN: something else. */
function smallInteger(u8: Uint8Array, from: number, to: number): number {
  const first = u8[from]!;
  let i = first === minus || first === plus ? from + 1 : from;
  if (i === to || to - i > 15) return Number.NaN;
  let value = 0;
  for (; i < to; i++) {
    const digit = u8[i]! - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return first === minus ? -value : value;
}

/** Any number of digits. */
function wholeNumber(u8: Uint8Array, from: number, to: number): bigint | null {
  if (to - from > 100) return null;
  const text = decodeUtf8(u8, from, to);
  return /^[+-]?\d+$/.test(text) ? BigInt(text.replace('+', '')) : null;
}

function storeInt({ u8, i32 }: SlotMemory): StoreValue {
  return (from, to, values, row) => {
    let value = smallInteger(u8, from, to);
    if (Number.isNaN(value)) value = Number(wholeNumber(u8, from, to) ?? Number.NaN);
    if ((value | 0) !== value) return false;
    i32[(values >>> 2) + row] = value;
    return true;
  };
}

function storeBigint(memory: SlotMemory): StoreValue {
  const { u8, i64 } = memory;
  return (from, to, values, row) => {
    const value = smallInteger(u8, from, to);
    if (!Number.isNaN(value)) {
      putSafe(memory, (values >>> 2) + row * 2, value);
      return true;
    }
    const whole = wholeNumber(u8, from, to);
    if (whole === null || BigInt.asIntN(64, whole) !== whole) return false;
    i64[(values >>> 3) + row] = whole;
    return true;
  };
}

/** Every digit, or none: nothing is rounded. */
function storeDecimal({ u8, i64 }: SlotMemory, precision: number, scale: number): StoreValue {
  return (from, to, values, row) => {
    const exact = parseDecimal(decodeUtf8(u8, from, to));
    const unscaled = exact === null ? null : unscaledOf(exact, precision, scale);
    if (unscaled === null) return false;
    i64[(values >>> 3) + row] = unscaled;
    return true;
  };
}

/** A safe integer as 64 bits. */
function putSafe({ u32, i32 }: SlotMemory, word: number, value: number): void {
  const high = Math.floor(value / 4_294_967_296);
  u32[word] = value - high * 4_294_967_296;
  i32[word + 1] = high;
}

const powers = Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));

function storeDouble({ u8, f64 }: SlotMemory): StoreValue {
  return (from, to, values, row) => {
    let value = plainDecimal(u8, from, to);
    if (Number.isNaN(value)) {
      const parsed = doubleOf(decodeUtf8(u8, from, to));
      if (parsed === null) return false;
      value = parsed;
    }
    f64[(values >>> 3) + row] = value;
    return true;
  };
}

/**
 * Digits with at most one point, fifteen digits at most: both the digits and the power of ten are exact doubles, so their
 * quotient is the nearest one (Clinger 1990). NaN: something else.
 */
function plainDecimal(u8: Uint8Array, from: number, to: number): number {
  const first = u8[from]!;
  let i = first === minus || first === plus ? from + 1 : from;
  let digits = 0;
  let value = 0;
  let scale = -1;
  for (; i < to; i++) {
    const byte = u8[i]!;
    if (byte === point && scale < 0) {
      scale = 0;
      continue;
    }
    const digit = byte - 0x30;
    if (digit < 0 || digit > 9 || ++digits > 15) return Number.NaN;
    value = value * 10 + digit;
    if (scale >= 0) scale++;
  }
  if (digits === 0) return Number.NaN;
  const size = scale > 0 ? value / powers[scale]! : value;
  return first === minus ? -size : size;
}

function doubleOf(text: string): number | null {
  if (/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) return Number(text);
  const special = /^([+-]?)(nan|inf|infinity)$/i.exec(text);
  if (!special) return null;
  if (special[2]!.toLowerCase() === 'nan') return Number.NaN;
  return special[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

function storeBoolean({ u8 }: SlotMemory): StoreValue {
  return (from, to, values, row) => {
    if (to - from > 5) return false;
    const text = decodeUtf8(u8, from, to).toLowerCase();
    const isTrue = text === 'true' || text === 't' || text === '1';
    if (!isTrue && text !== 'false' && text !== 'f' && text !== '0') return false;
    const at = values + (row >>> 3);
    u8[at] = isTrue ? u8[at]! | (1 << (row & 7)) : u8[at]! & ~(1 << (row & 7));
    return true;
  };
}

/** Two digits, or NaN. */
function pair(u8: Uint8Array, at: number): number {
  const tens = u8[at]! - 0x30;
  const ones = u8[at + 1]! - 0x30;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}

/** Days of the ten bytes `YYYY-MM-DD`; null: they are something else. */
function plainDate(u8: Uint8Array, at: number): number | null {
  const year = pair(u8, at) * 100 + pair(u8, at + 2);
  if (Number.isNaN(year) || u8[at + 4] !== minus || u8[at + 7] !== minus) return null;
  const month = pair(u8, at + 5);
  const day = pair(u8, at + 8);
  return Number.isNaN(month) || Number.isNaN(day) ? null : daysOf(year, month, day);
}

function storeDate({ u8, i32 }: SlotMemory): StoreValue {
  return (from, to, values, row) => {
    const days = (to - from === 10 ? plainDate(u8, from) : null) ?? parseDate(decodeUtf8(u8, from, to));
    if (days === null || (days | 0) !== days) return false;
    i32[(values >>> 2) + row] = days;
    return true;
  };
}

function storeTimestamp(memory: SlotMemory, precision: number): StoreValue {
  const { u8, i64 } = memory;
  const ticks = ticksPerMs(precision);
  return (from, to, values, row) => {
    const plain = plainTimestamp(u8, from, to, ticks);
    if (!Number.isNaN(plain)) {
      putSafe(memory, (values >>> 2) + row * 2, plain);
      return true;
    }
    const parsed = parseTimestamp(decodeUtf8(u8, from, to), precision);
    if (parsed === null || BigInt.asIntN(64, parsed) !== parsed) return false;
    i64[(values >>> 3) + row] = parsed;
    return true;
  };
}

/** Ticks of `YYYY-MM-DD hh:mm:ss`, with `T` or a space, up to six digits of fraction and perhaps a `Z`; NaN: something else. */
function plainTimestamp(u8: Uint8Array, from: number, to: number, ticks: number): number {
  const end = u8[to - 1] === 0x5a ? to - 1 : to;
  const length = end - from;
  if (length < 19 || length === 20 || length > 26) return Number.NaN;
  const between = u8[from + 10];
  if ((between !== space && between !== 0x54) || u8[from + 13] !== 0x3a || u8[from + 16] !== 0x3a) return Number.NaN;
  const days = plainDate(u8, from);
  // Beyond, microseconds are no safe integers.
  if (days === null || Math.abs(days) > 100_000) return Number.NaN;
  const hours = pair(u8, from + 11);
  const minutes = pair(u8, from + 14);
  const seconds = pair(u8, from + 17);
  if (!(hours < 24 && minutes < 60 && seconds < 60)) return Number.NaN;
  let fraction = 0;
  if (length > 19) {
    if (u8[from + 19] !== point) return Number.NaN;
    let i = from + 20;
    for (let unit = 1000 * ticks; i < end; i++) {
      const digit = u8[i]! - 0x30;
      if (digit < 0 || digit > 9) return Number.NaN;
      unit /= 10;
      // Digits beyond the precision are cut off.
      if (unit >= 1) fraction += digit * unit;
    }
  }
  return (days * 86_400 + hours * 3600 + minutes * 60 + seconds) * 1000 * ticks + fraction;
}
