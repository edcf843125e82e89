/**
 * Rows as separated values, written as bytes; ROWs are flat (`window_start`). What reads as something else is quoted: texts
 * with delimiters, quotes, line ends, and those that are the NULL text. Numbers as in jsonl, but NaN and the infinities bare;
 * DATE: 2001-01-31; TIMESTAMP as SQL writes it: 2001-01-31 10:00:00.123, with six digits from precision 4 on.
 */

import { rowKindNames } from '../../core/record/batch.ts';
import { isValid } from '../../core/record/column-reader.ts';
import { decimalText } from '../../core/record/decimal.ts';
import { type LayoutColumn, layoutOf } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import { type Fields, typeName } from '../../core/record/types.ts';
import type { TextEncoder } from '../text/sink.ts';
import { dateText } from '../text/times.ts';
import { type ByteSink, put, putAscii, putBigint, putInteger, sinkBufferMin, timestampWriter } from '../text/write.ts';
import { columnNames, type Dialect, newlineByte, quoteByte, returnByte } from './dialect.ts';

/** `kinds`: the first column is `row_kind`. Leaves behind those of `fields` (`$rowtime`) stay out. */
export function csvEncoder(fields: Fields, memory: SlotMemory, dialect: Dialect, kinds: boolean): TextEncoder {
  const texts = textForm(dialect);
  const names = [...(kinds ? ['row_kind'] : []), ...columnNames(fields)];
  const delimiter = String.fromCharCode(dialect.delimiter);
  const header = Buffer.from(`${names.map((name) => texts.quotedText(name)).join(delimiter)}\n`);
  const cells = layoutOf(fields).map((column, leaf) => cellOf(column, leaf, memory, dialect, texts));
  const kindBytes = rowKindNames.map((kind) => Buffer.from(kind + (cells.length > 0 ? delimiter : '')));
  return {
    ...(dialect.header ? { begin: (out: ByteSink) => put(out, header) } : {}),
    encode(batch, out) {
      for (const cell of cells) cell.open(batch);
      for (let k = 0; k < batch.size; k++) {
        const row = batch.selection === 0 ? k : memory.u32[(batch.selection >>> 2) + k]!;
        if (kinds) put(out, kindBytes[batch.kinds === 0 ? 0 : memory.u8[batch.kinds + row]!]!);
        for (let i = 0; i < cells.length; i++) {
          if (i > 0) putByte(out, dialect.delimiter);
          cells[i]!.write(row, out);
        }
        putByte(out, newlineByte);
      }
    },
  };
}

interface Cell {
  open(batch: Parameters<TextEncoder['encode']>[0]): void;
  write(row: number, out: ByteSink): void;
}

/** How texts are written. */
interface TextForm {
  /** Appends bytes [from, to), in quotes where they need them. */
  put(out: ByteSink, u8: Uint8Array, from: number, to: number): void;
  quotedText(text: string): string;
}

function cellOf(column: LayoutColumn, leaf: number, memory: SlotMemory, dialect: Dialect, texts: TextForm): Cell {
  const nullBytes = Buffer.from(dialect.nullText);
  let validity = 0;
  let values = 0;
  const at = (): number => values;
  const text = column.type.kind === 'VARCHAR' ? textCell(memory, texts) : null;
  const write = text ? text.write : valueWriter(column, memory, at);
  return {
    open(batch) {
      const source = batch.columns[leaf]!;
      validity = source.validity;
      values = source.values;
      text?.open(source);
    },
    write(row, out) {
      if (isValid(memory, validity, row)) write(row, out);
      else put(out, nullBytes);
    },
  };
}

const sqlTimestamp = { before: '', between: ' ', after: '' };

/** Appends the value of a row; `values`: where the column lies. */
function valueWriter(
  { type }: LayoutColumn,
  memory: SlotMemory,
  values: () => number,
): (row: number, out: ByteSink) => void {
  const { u8, i32, i64, f64 } = memory;
  switch (type.kind) {
    case 'BOOLEAN':
      return (row, out) => putAscii(out, ((u8[values() + (row >>> 3)]! >>> (row & 7)) & 1) === 1 ? 'true' : 'false');
    case 'INT':
      return (row, out) => putInteger(out, i32[(values() >>> 2) + row]!);
    case 'BIGINT':
      return (row, out) => putBigint(out, memory, values() + row * 8);
    case 'DECIMAL':
      return (row, out) => putAscii(out, decimalText(i64[(values() >>> 3) + row]!, type.scale));
    case 'DOUBLE':
      return (row, out) => {
        const value = f64[(values() >>> 3) + row]!;
        if (Number.isSafeInteger(value) && !Object.is(value, -0)) putInteger(out, value);
        else putAscii(out, Object.is(value, -0) ? '-0' : String(value));
      };
    case 'DATE':
      return (row, out) => putAscii(out, dateText(i32[(values() >>> 2) + row]!));
    case 'TIMESTAMP':
      return timestampWriter(type.precision, sqlTimestamp, memory, values);
    default:
      throw new TypeError(`no csv values of type ${typeName(type)}`);
  }
}

function putByte(out: ByteSink, byte: number): void {
  if (out.at === out.buffer.length) out.drain();
  out.buffer[out.at++] = byte;
}

function textForm({ delimiter, nullText }: Dialect): TextForm {
  const nullBytes = Buffer.from(nullText);
  const isNullText = (u8: Uint8Array, from: number, to: number): boolean => {
    if (to - from !== nullBytes.length) return false;
    for (let i = 0; i < nullBytes.length; i++) if (u8[from + i] !== nullBytes[i]) return false;
    return true;
  };
  const needsQuotes = (u8: Uint8Array, from: number, to: number): boolean => {
    for (let i = from; i < to; i++) {
      const byte = u8[i]!;
      if (byte === delimiter || byte === quoteByte || byte === newlineByte || byte === returnByte) return true;
    }
    return isNullText(u8, from, to);
  };
  const form: TextForm = {
    put(out, u8, from, to) {
      const quoted = needsQuotes(u8, from, to);
      if (quoted) putByte(out, quoteByte);
      for (let next = from; next < to; ) {
        // A quote takes two bytes.
        if (out.buffer.length - out.at < 2) out.drain();
        const stop = Math.min(to, next + ((out.buffer.length - out.at) >>> 1));
        const { buffer } = out;
        let { at } = out;
        for (; next < stop; next++) {
          const byte = u8[next]!;
          buffer[at++] = byte;
          if (byte === quoteByte) buffer[at++] = quoteByte;
        }
        out.at = at;
      }
      if (quoted) putByte(out, quoteByte);
    },
    quotedText(text) {
      const bytes = Buffer.from(text);
      return needsQuotes(bytes, 0, bytes.length) ? `"${text.replaceAll('"', '""')}"` : text;
    },
  };
  return form;
}

/** Texts by view; of a dictionary each entry is written once, and copied after that. */
function textCell({ u8, u32 }: SlotMemory, texts: TextForm) {
  let values = 0;
  let views = 0;
  let dictionaryId = -1;
  let written: Uint8Array[] = [];
  const putView = (out: ByteSink, view: number): void => {
    const length = u32[view >>> 2]!;
    const from = length <= 12 ? view + 4 : u32[(view + 12) >>> 2]!;
    texts.put(out, u8, from, from + length);
  };
  return {
    open(column: {
      readonly values: number;
      readonly dictionary: { readonly id: number; readonly views: number } | null;
    }) {
      values = column.values;
      views = column.dictionary ? column.dictionary.views : 0;
      if (column.dictionary && column.dictionary.id !== dictionaryId) {
        dictionaryId = column.dictionary.id;
        written = [];
      }
    },
    write(row: number, out: ByteSink) {
      if (views === 0) {
        putView(out, values + row * 16);
        return;
      }
      const code = u32[(values >>> 2) + row]!;
      written[code] ??= bytesOf((to) => putView(to, views + code * 16));
      put(out, written[code]!);
    },
  };
}

function bytesOf(write: (out: ByteSink) => void): Uint8Array {
  const parts: Uint8Array[] = [];
  const out: ByteSink = {
    buffer: new Uint8Array(sinkBufferMin),
    at: 0,
    drain() {
      parts.push(this.buffer.slice(0, this.at));
      this.at = 0;
    },
  };
  write(out);
  out.drain();
  return Buffer.concat(parts);
}
