/**
 * Values as bytes: what state keeps of a JavaScript value of a declared type. A format: it stands in checkpoints. Little-
 * endian, not aligned, one value behind the other:
 *
 *   a value that can be NULL  00 = NULL (nothing follows) or 01, then the value
 *   BOOLEAN                   00 or 01
 *   INT, DATE                 4 bytes
 *   BIGINT, TIMESTAMP         8 bytes
 *   DOUBLE                    8 bytes
 *   VARCHAR                   u32 length, UTF-8
 *   ROW                       null bits of those fields that can be NULL, in order, least significant first, 1 = NULL,
 *                             in whole bytes; then the fields that are not NULL, without tags of their own
 *   ARRAY                     u32 count, the elements (with tags when they can be NULL)
 *   MAP                       u32 count, for each entry its key, then its value (with a tag when it can be NULL)
 */
import { MillraceError } from '../base/errors.ts';
import type { ByteSink, ByteSource } from './bytes.ts';
import { storedTypes } from './layout.ts';
import { badValue, damaged, intCodec, need, room, textRoom, type Words, wordCodec } from './scalar-bytes.ts';
import { decodeUtf8, encodeUtf8 } from './text.ts';
import { type DataType, type Fields, typeName } from './types.ts';

/** Values are what rows carry (docs/types.md). */
export interface ValueCodec {
  /** Errors: `function/bad-result` for a value of another type, `record/too-large`. */
  write(value: unknown, to: ByteSink): void;
  /** Errors: `value/unsafe-integer`; `record/corrupt-frame` for bytes that are no such value. */
  read(from: ByteSource): unknown;
}

/** `name`: what errors call the value. Errors: `plan/unsupported` for types that cannot be kept yet. */
export function valueCodec(type: DataType, nullable: boolean, name: string): ValueCodec {
  const codec = notNullCodec(type, name);
  if (!nullable) {
    return {
      write(value, to) {
        if (value === null) throw badValue(name, type, value, 'a value: it is not declared .nullable()');
        codec.write(value, to);
      },
      read: codec.read,
    };
  }
  return {
    write(value, to) {
      room(to, 1);
      to.u8[to.at++] = value === null ? 0 : 1;
      if (value !== null) codec.write(value, to);
    },
    read(from) {
      need(from, 1);
      return from.u8[from.at++] === 0 ? null : codec.read(from);
    },
  };
}

/** A row of `fields` that is not NULL: objects. `name`: what errors call it. */
export function rowCodec(fields: Fields, name = 'a row'): ValueCodec {
  return notNullCodec({ kind: 'ROW', fields }, name);
}

function notNullCodec(type: DataType, name: string): ValueCodec {
  const words = wordCodec(type, name);
  if (words) {
    return {
      write(value, to) {
        words.split(value, halves);
        room(to, 8);
        to.view.setInt32(to.at, halves.low, true);
        to.view.setInt32(to.at + 4, halves.high, true);
        to.at += 8;
      },
      read(from) {
        need(from, 8);
        const { at, view } = from;
        from.at = at + 8;
        return words.join(view.getInt32(at + 4, true), view.getUint32(at, true));
      },
    };
  }
  const int = intCodec(type, name);
  if (int) {
    return {
      write(value, to) {
        const stored = int.of(value);
        room(to, 4);
        to.view.setInt32(to.at, stored, true);
        to.at += 4;
      },
      read(from) {
        need(from, 4);
        from.at += 4;
        return int.value(from.view.getInt32(from.at - 4, true));
      },
    };
  }
  switch (type.kind) {
    case 'BOOLEAN':
      return {
        write(value, to) {
          if (typeof value !== 'boolean') throw badValue(name, type, value, 'true or false');
          room(to, 1);
          to.u8[to.at++] = value ? 1 : 0;
        },
        read(from) {
          need(from, 1);
          return from.u8[from.at++] !== 0;
        },
      };
    case 'DOUBLE':
      return {
        write(value, to) {
          if (typeof value !== 'number') throw badValue(name, type, value, 'a number');
          room(to, 8);
          to.view.setFloat64(to.at, value, true);
          to.at += 8;
        },
        read(from) {
          need(from, 8);
          from.at += 8;
          return from.view.getFloat64(from.at - 8, true);
        },
      };
    case 'VARCHAR':
      return textCodec(type, name);
    case 'ROW':
      return fieldsCodec(type, name);
    case 'ARRAY':
      return arrayCodec(type, name);
    case 'MAP':
      return mapCodec(type, name);
    default:
      throw new MillraceError(
        'plan/unsupported',
        `'${name}' of type ${typeName(type)} cannot be kept in state yet; use ${storedTypes}, or a ROW, ARRAY or MAP of them`,
      );
  }
}

function textCodec(type: DataType, name: string): ValueCodec {
  return {
    write(value, to) {
      if (typeof value !== 'string') throw badValue(name, type, value, 'a string');
      const most = textRoom(value, 4, to);
      const bytes = encodeUtf8(value, to.u8, to.at + 4, most);
      to.view.setUint32(to.at, bytes, true);
      to.at += 4 + bytes;
    },
    read(from) {
      need(from, 4);
      const bytes = from.view.getUint32(from.at, true);
      from.at += 4;
      need(from, bytes);
      from.at += bytes;
      return decodeUtf8(from.u8, from.at - bytes, from.at);
    },
  };
}

function fieldsCodec(type: DataType & { readonly kind: 'ROW' }, name: string): ValueCodec {
  const names = type.fields.map((field) => field.name);
  const codecs = type.fields.map((field) => valueCodec(field.type, false, `${name}.${field.name}`));
  /** The null bit of each field, −1: it cannot be NULL. */
  let bits = 0;
  const bitOf = type.fields.map((field) => (field.nullable ? bits++ : -1));
  const nullBytes = (bits + 7) >>> 3;
  const inherited = names.map((field) => field in Object.prototype);
  return {
    write(value, to) {
      if (typeof value !== 'object' || value === null) throw badValue(name, type, value, 'an object');
      room(to, nullBytes);
      const nulls = to.at - to.from;
      for (let i = 0; i < nullBytes; i++) to.u8[to.at++] = 0;
      for (let i = 0; i < codecs.length; i++) {
        const field = names[i] as string;
        const given =
          inherited[i] && !Object.hasOwn(value, field) ? undefined : (value as Record<string, unknown>)[field];
        const bit = bitOf[i] as number;
        if (given === null && bit >= 0) {
          const at = to.from + nulls + (bit >>> 3);
          to.u8[at] = (to.u8[at] as number) | (1 << (bit & 7));
        } else (codecs[i] as ValueCodec).write(given, to);
      }
    },
    read(from) {
      need(from, nullBytes);
      const nulls = from.at;
      const { u8 } = from;
      from.at += nullBytes;
      const row: Record<string, unknown> = {};
      for (let i = 0; i < codecs.length; i++) {
        const bit = bitOf[i] as number;
        const isNull = bit >= 0 && ((u8[nulls + (bit >>> 3)] as number) & (1 << (bit & 7))) !== 0;
        const value = isNull ? null : (codecs[i] as ValueCodec).read(from);
        if (names[i] === '__proto__') {
          Object.defineProperty(row, '__proto__', { value, writable: true, enumerable: true, configurable: true });
        } else row[names[i] as string] = value;
      }
      return row;
    },
  };
}

function arrayCodec(type: DataType & { readonly kind: 'ARRAY' }, name: string): ValueCodec {
  const element = valueCodec(type.of, type.nullable, `${name}[]`);
  return {
    write(value, to) {
      if (!Array.isArray(value)) throw badValue(name, type, value, 'an array');
      room(to, 4);
      to.view.setUint32(to.at, value.length, true);
      to.at += 4;
      for (const each of value) element.write(each, to);
    },
    read(from) {
      const count = readCount(from);
      const values: unknown[] = [];
      for (let i = 0; i < count; i++) values.push(element.read(from));
      return values;
    },
  };
}

function mapCodec(type: DataType & { readonly kind: 'MAP' }, name: string): ValueCodec {
  const key = valueCodec(type.key, false, `${name}'s key`);
  const value = valueCodec(type.value, type.nullable, `${name}'s value`);
  return {
    write(given, to) {
      if (!(given instanceof Map)) throw badValue(name, type, given, 'a Map');
      room(to, 4);
      to.view.setUint32(to.at, given.size, true);
      to.at += 4;
      for (const [k, v] of given) {
        key.write(k, to);
        value.write(v, to);
      }
    },
    read(from) {
      const count = readCount(from);
      const map = new Map<unknown, unknown>();
      for (let i = 0; i < count; i++) map.set(key.read(from), value.read(from));
      return map;
    },
  };
}

/** A count that the bytes left can hold: an element takes a byte at least, but for rows without bytes. */
function readCount(from: ByteSource): number {
  need(from, 4);
  const count = from.view.getUint32(from.at, true);
  from.at += 4;
  if (count > from.end - from.at) throw damaged(from, count);
  return count;
}

const halves: Words = { high: 0, low: 0 };
