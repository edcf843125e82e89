/**
 * Rows as JSON text, one object a line, written as bytes: no JavaScript object, string or number is made of a row on the
 * way, but for doubles that are no whole numbers. ROWs are nested objects; a nullable ROW whose leaves are all NULL is null.
 *
 * BIGINT: all digits. DOUBLE: as JavaScript prints it; NaN and the infinities, which JSON does not have, as the strings
 * "NaN", "Infinity", "-Infinity", as Flink does. DATE: "2001-01-31". TIMESTAMP: "2001-01-31T10:00:00.123Z", with six
 * digits from precision 4 on.
 */
import { type Batch, RowKindByte, rowKindNames } from '../../core/record/batch.ts';
import { isValid } from '../../core/record/column-reader.ts';
import { type LayoutColumn, layoutOf } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import { type Field, type Fields, ticksPerMs } from '../../core/record/types.ts';
import { dateText } from '../text/times.ts';

/** Bytes on their way out. */
export interface ByteSink {
  readonly buffer: Uint8Array;
  /** Bytes in `buffer` so far; who encodes sets it. */
  at: number;
  /** Takes the bytes that are in `buffer` away: `at` is 0 afterwards. */
  drain(): void;
}

export interface RowEncoder {
  /** Appends the rows that are in, each a line. */
  encode(batch: Batch, out: ByteSink): void;
}

/** Smallest buffer of a sink: all that is written between two looks at the room fits many times. */
export const sinkBufferMin = 4096;

/** `kinds`: each object begins with `row_kind`. Leaves behind those of `fields` (`$rowtime`) stay out. */
export function rowEncoder(fields: Fields, memory: SlotMemory, kinds: boolean): RowEncoder {
  const layout = layoutOf(fields);
  let leaf = 0;
  let first = !kinds;
  const build = (from: Fields): Piece[] =>
    from.map((field): Piece => {
      const comma = first ? '' : ',';
      first = false;
      const name = Buffer.from(`${comma}${JSON.stringify(field.name)}:`);
      if (field.type.kind !== 'ROW') {
        const at = leaf++;
        return leafPiece(name, at, layout[at]!, memory);
      }
      first = true;
      const firstLeaf = leaf;
      const inner = build(field.type.fields);
      return rowPiece(name, inner, field, firstLeaf, leaf, memory);
    });
  const pieces = build(fields);
  const begin = kinds ? rowKindNames.map((kind) => Buffer.from(`{"row_kind":"${kind}"`)) : [Buffer.from('{')];
  const end = Buffer.from('}\n');
  return {
    encode(batch, out) {
      for (const piece of pieces) piece.open(batch);
      for (let k = 0; k < batch.size; k++) {
        const row = batch.selection === 0 ? k : memory.u32[(batch.selection >>> 2) + k]!;
        const kind = !kinds || batch.kinds === 0 ? RowKindByte.insert : memory.u8[batch.kinds + row]!;
        put(out, begin[kinds ? kind : 0]!);
        for (const piece of pieces) piece.write(row, out);
        put(out, end);
      }
    },
  };
}

/** A column's name and value. */
interface Piece {
  open(batch: Batch): void;
  write(row: number, out: ByteSink): void;
}

const nullBytes = Buffer.from('null');

function leafPiece(name: Uint8Array, leaf: number, column: LayoutColumn, memory: SlotMemory): Piece {
  const value = valueWriter(column, memory);
  let validity = 0;
  return {
    open(batch) {
      validity = batch.columns[leaf]!.validity;
      value.open(batch, leaf);
    },
    write(row, out) {
      put(out, name);
      if (isValid(memory, validity, row)) value.write(row, out);
      else put(out, nullBytes);
    },
  };
}

function rowPiece(
  name: Uint8Array,
  inner: readonly Piece[],
  field: Field,
  from: number,
  to: number,
  memory: SlotMemory,
): Piece {
  const open = Buffer.from('{');
  const close = Buffer.from('}');
  let batch: Batch;
  const isNull = (row: number): boolean => {
    for (let leaf = from; leaf < to; leaf++) if (isValid(memory, batch.columns[leaf]!.validity, row)) return false;
    return true;
  };
  return {
    open(next) {
      batch = next;
      for (const piece of inner) piece.open(next);
    },
    write(row, out) {
      put(out, name);
      if (field.nullable && isNull(row)) {
        put(out, nullBytes);
        return;
      }
      put(out, open);
      for (const piece of inner) piece.write(row, out);
      put(out, close);
    },
  };
}

interface ValueWriter {
  open(batch: Batch, leaf: number): void;
  write(row: number, out: ByteSink): void;
}

function valueWriter(column: LayoutColumn, memory: SlotMemory): ValueWriter {
  const { u8, i32, u32, i64, f64 } = memory;
  let values = 0;
  const open = (batch: Batch, leaf: number): void => {
    values = batch.columns[leaf]!.values;
  };
  const { type } = column;
  switch (type.kind) {
    case 'BOOLEAN': {
      const words = [Buffer.from('false'), Buffer.from('true')];
      return { open, write: (row, out) => put(out, words[(u8[values + (row >>> 3)]! >>> (row & 7)) & 1]!) };
    }
    case 'INT':
      return { open, write: (row, out) => putInteger(out, i32[(values >>> 2) + row]!) };
    case 'BIGINT':
      return {
        open,
        write(row, out) {
          const at = (values >>> 2) + row * 2;
          const value = i32[at + 1]! * 4_294_967_296 + u32[at]!;
          if (Number.isSafeInteger(value)) putInteger(out, value);
          else putAscii(out, String(i64[(values >>> 3) + row]));
        },
      };
    case 'DOUBLE':
      return { open, write: (row, out) => putDouble(out, f64[(values >>> 3) + row]!) };
    case 'DATE':
      return { open, write: (row, out) => putAscii(out, `"${dateText(i32[(values >>> 2) + row]!)}"`) };
    case 'TIMESTAMP':
      return { open, write: timestampWriter(type.precision, memory, () => values) };
    default:
      return textWriter(memory);
  }
}

/** `text` is ASCII and short. */
function putAscii(out: ByteSink, text: string): void {
  if (out.at + text.length > out.buffer.length) out.drain();
  const { buffer } = out;
  let { at } = out;
  for (let i = 0; i < text.length; i++) buffer[at++] = text.charCodeAt(i);
  out.at = at;
}

function put(out: ByteSink, bytes: Uint8Array): void {
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
function putInteger(out: ByteSink, value: number): void {
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

function putDouble(out: ByteSink, value: number): void {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) putInteger(out, value);
  else if (Number.isFinite(value)) putAscii(out, Object.is(value, -0) ? '-0' : String(value));
  else putAscii(out, `"${value}"`);
}

/** Writes days as text once for all rows of a day that follow one another. */
function timestampWriter(
  precision: number,
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
      text = `"${dateText(days)}T`;
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
    buffer[at++] = 0x5a;
    buffer[at++] = 0x22;
    out.at = at;
  };
}

/** Quoted strings; of a dictionary each entry is quoted once. */
function textWriter(memory: SlotMemory): ValueWriter {
  const { u8, u32 } = memory;
  let values = 0;
  let views = 0;
  let dictionaryId = -1;
  let quoted: Uint8Array[] = [];
  return {
    open(batch, leaf) {
      const column = batch.columns[leaf]!;
      values = column.values;
      views = column.dictionary ? column.dictionary.views : 0;
      if (column.dictionary && column.dictionary.id !== dictionaryId) {
        dictionaryId = column.dictionary.id;
        quoted = [];
      }
    },
    write(row, out) {
      if (views === 0) {
        putText(out, u8, u32, values + row * 16);
        return;
      }
      const code = u32[(values >>> 2) + row]!;
      let text = quoted[code];
      if (text === undefined) {
        text = quote(u8, u32, views + code * 16);
        quoted[code] = text;
      }
      put(out, text);
    },
  };
}

function quote(u8: Uint8Array, u32: Uint32Array, view: number): Uint8Array {
  const parts: Uint8Array[] = [];
  const out: ByteSink = {
    buffer: new Uint8Array(sinkBufferMin),
    at: 0,
    drain() {
      parts.push(this.buffer.slice(0, this.at));
      this.at = 0;
    },
  };
  putText(out, u8, u32, view);
  out.drain();
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

/** The text of a view between quotes, as JSON.stringify would: the bytes are UTF-8 already, only controls, `"` and `\` are escaped. */
function putText(out: ByteSink, u8: Uint8Array, u32: Uint32Array, view: number): void {
  const length = u32[view >>> 2]!;
  let from = length <= 12 ? view + 4 : u32[(view + 12) >>> 2]!;
  const end = from + length;
  if (out.at === out.buffer.length) out.drain();
  out.buffer[out.at++] = 0x22;
  while (from < end) {
    // An escape takes at most six bytes for one.
    let room = Math.floor((out.buffer.length - out.at) / 6);
    if (room === 0) {
      out.drain();
      room = Math.floor(out.buffer.length / 6);
    }
    const stop = Math.min(end, from + room);
    const { buffer } = out;
    let { at } = out;
    for (; from < stop; from++) {
      const byte = u8[from]!;
      if (byte >= 0x20 && byte !== 0x22 && byte !== 0x5c) buffer[at++] = byte;
      else {
        const escaped = escapes[byte]!;
        for (let i = 0; i < escaped.length; i++) buffer[at++] = escaped[i]!;
      }
    }
    out.at = at;
  }
  if (out.at === out.buffer.length) out.drain();
  out.buffer[out.at++] = 0x22;
}

const escapes: readonly (Uint8Array | undefined)[] = Array.from({ length: 0x5d }, (_, byte) =>
  byte < 0x20 || byte === 0x22 || byte === 0x5c
    ? Buffer.from(JSON.stringify(String.fromCharCode(byte)).slice(1, -1))
    : undefined,
);
