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
import { decimalText } from '../../core/record/decimal.ts';
import { type LayoutColumn, layoutOf } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import type { Field, Fields } from '../../core/record/types.ts';
import { dateText } from '../text/times.ts';
import { type ByteSink, put, putAscii, putBigint, putInteger, sinkBufferMin, timestampWriter } from '../text/write.ts';

export interface RowEncoder {
  /** Appends the rows that are in, each a line. */
  encode(batch: Batch, out: ByteSink): void;
}

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

const isoQuoted = { before: '"', between: 'T', after: 'Z"' };
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
  const { u8, i32, i64, f64 } = memory;
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
          putBigint(out, memory, values + row * 8);
        },
      };
    case 'DECIMAL':
      return { open, write: (row, out) => putAscii(out, decimalText(i64[(values >>> 3) + row]!, type.scale)) };
    case 'DOUBLE':
      return { open, write: (row, out) => putDouble(out, f64[(values >>> 3) + row]!) };
    case 'DATE':
      return { open, write: (row, out) => putAscii(out, `"${dateText(i32[(values >>> 2) + row]!)}"`) };
    case 'TIMESTAMP':
      return { open, write: timestampWriter(type.precision, isoQuoted, memory, () => values) };
    default:
      return textWriter(memory);
  }
}

function putDouble(out: ByteSink, value: number): void {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) putInteger(out, value);
  else if (Number.isFinite(value)) putAscii(out, Object.is(value, -0) ? '-0' : String(value));
  else putAscii(out, `"${value}"`);
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
