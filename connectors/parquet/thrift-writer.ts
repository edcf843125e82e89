/** Writes Thrift's compact protocol: the counterpart of thrift.ts. Fields of a struct are given in ascending order. */
import { appendBytes, appendVarint, byteBuffer, contentOf } from './byte-buffer.ts';

export type Field =
  | { readonly id: number; readonly i32: number }
  | { readonly id: number; readonly i64: number }
  | { readonly id: number; readonly i8: number }
  | { readonly id: number; readonly bool: boolean }
  | { readonly id: number; readonly binary: Uint8Array | string }
  | { readonly id: number; readonly struct: readonly Field[] }
  | { readonly id: number; readonly i32s: readonly number[] }
  | { readonly id: number; readonly strings: readonly string[] }
  | { readonly id: number; readonly structs: readonly (readonly Field[])[] };

export function writeThrift(fields: readonly Field[]): Uint8Array {
  const out = byteBuffer(256);
  const raw = (value: number): void => appendBytes(out, Uint8Array.of(value));
  const zigzag = (value: number): void => appendVarint(out, value < 0 ? -value * 2 - 1 : value * 2);
  const binary = (value: Uint8Array | string): void => {
    const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
    appendVarint(out, bytes.length);
    appendBytes(out, bytes);
  };
  const header = (last: number, id: number, type: number): void => {
    if (id - last <= 15) raw(((id - last) << 4) | type);
    else {
      raw(type);
      zigzag(id);
    }
  };
  const listHeader = (size: number, type: number): void => {
    if (size < 15) raw((size << 4) | type);
    else {
      raw(0xf0 | type);
      appendVarint(out, size);
    }
  };
  const struct = (of: readonly Field[]): void => {
    let last = 0;
    for (const field of of) {
      const { id } = field;
      if ('bool' in field) header(last, id, field.bool ? 1 : 2);
      else if ('i8' in field) {
        header(last, id, 3);
        raw(field.i8);
      } else if ('i32' in field) {
        header(last, id, 5);
        zigzag(field.i32);
      } else if ('i64' in field) {
        header(last, id, 6);
        zigzag(field.i64);
      } else if ('binary' in field) {
        header(last, id, 8);
        binary(field.binary);
      } else if ('struct' in field) {
        header(last, id, 12);
        struct(field.struct);
      } else if ('i32s' in field) {
        header(last, id, 9);
        listHeader(field.i32s.length, 5);
        for (const value of field.i32s) zigzag(value);
      } else if ('strings' in field) {
        header(last, id, 9);
        listHeader(field.strings.length, 8);
        for (const value of field.strings) binary(value);
      } else {
        header(last, id, 9);
        listHeader(field.structs.length, 12);
        for (const value of field.structs) struct(value);
      }
      last = id;
    }
    raw(0);
  };
  struct(fields);
  return contentOf(out);
}
