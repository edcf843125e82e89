/**
 * Keys as bytes whose order under memcmp is the order of the values: keys of ordered tables. A format: it stands in
 * checkpoints. Part after part:
 *
 *   a part that can be NULL   00 = NULL (first in order; nothing follows) or 01, then the value
 *   BOOLEAN                   00 or 01
 *   INT, DATE                 4 bytes, big-endian, sign bit flipped
 *   BIGINT, DECIMAL, TIMESTAMP  8 bytes, big-endian, sign bit flipped
 *   DOUBLE                    8 bytes, big-endian: −0 as 0 and one NaN, then all bits flipped when negative, else the sign
 *                             bit; so NaN is last
 *   VARCHAR                   UTF-8, 00 written as 00 FF, ended by 00 00
 *   ROW                       its fields, as parts
 *   a descending part         its bytes, tag included, inverted: it orders the other way round
 *   HASH                      8 bytes, big-endian, as they are: no type of SQL, but the hash whose first bits are the key
 *                             group
 */
import { MillraceError } from '../base/errors.ts';
import type { Batch } from './batch.ts';
import type { ByteSink, ByteSource } from './bytes.ts';
import { isValid } from './column-reader.ts';
import { storedTypes } from './layout.ts';
import type { SlotMemory } from './memory.ts';
import {
  badValue,
  damaged,
  intCodec,
  need,
  room,
  splitNumber,
  textRoom,
  type Words,
  wordCodec,
} from './scalar-bytes.ts';
import { decodeUtf8, encodeUtf8 } from './text.ts';
import { type DataType, typeName } from './types.ts';

/** One part of a key. */
export interface KeyPart {
  readonly name: string;
  readonly type: DataType | { readonly kind: 'HASH' };
  readonly nullable: boolean;
  /** The part's bytes are inverted: greatest first. */
  readonly descending?: boolean;
}

/** Values are what rows carry (docs/types.md); a HASH is an unsigned bigint of 64 bits. */
export interface KeyCodec {
  /** Errors: `function/bad-result` for a value of another type, `record/too-large`. */
  write(value: unknown, to: ByteSink): void;
  /** Errors: `value/unsafe-integer`; `record/corrupt-frame` for bytes that are no such value. */
  read(from: ByteSource): unknown;
}

/** Writes and reads one part. Errors: `plan/unsupported` for a type that cannot be a key. */
export function keyCodec(part: KeyPart): KeyCodec {
  return part.descending ? invertedCodec(ascendingCodec(part)) : ascendingCodec(part);
}

function invertedCodec(codec: KeyCodec): KeyCodec {
  return {
    write(value, to) {
      const start = to.at - to.from;
      codec.write(value, to);
      for (let at = to.from + start; at < to.at; at++) to.u8[at] = ~(to.u8[at] as number);
    },
    read(from) {
      // Where it ends is known when it was read.
      const bytes = from.u8.slice(from.at, from.end).map((byte) => ~byte);
      const source: ByteSource = { u8: bytes, view: new DataView(bytes.buffer), at: 0, end: bytes.length };
      const value = codec.read(source);
      from.at += source.at;
      return value;
    },
  };
}

function ascendingCodec(part: KeyPart): KeyCodec {
  const codec = notNullCodec(part.type, part.name);
  if (!part.nullable) {
    return {
      write(value, to) {
        if (value === null && part.type.kind !== 'HASH') {
          throw badValue(part.name, part.type, value, 'a value: it is not declared .nullable()');
        }
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

/** Writes a whole number as BIGINT or TIMESTAMP(3) parts hold it: times, indices. */
export function writeKeyNumber(value: number, to: ByteSink): void {
  splitNumber(value, halves);
  room(to, 8);
  to.view.setInt32(to.at, halves.high ^ signBit);
  to.view.setInt32(to.at + 4, halves.low);
  to.at += 8;
}

/** The inverse: the nearest double, exact up to 2^53. */
export function readKeyNumber(from: ByteSource): number {
  need(from, 8);
  from.at += 8;
  return (from.view.getInt32(from.at - 8) ^ signBit) * 4294967296 + from.view.getUint32(from.at - 4);
}

/** As `readKeyNumber`, of the bytes at `at`. */
export function keyNumberAt(u8: Uint8Array, at: number): number {
  const word = (from: number): number =>
    ((u8[from] as number) << 24) |
    ((u8[from + 1] as number) << 16) |
    ((u8[from + 2] as number) << 8) |
    (u8[from + 3] as number);
  return (word(at) ^ signBit) * 4294967296 + (word(at + 4) >>> 0);
}

/** Writes the u64 at `address` as a HASH part. */
export function writeKeyHash(memory: SlotMemory, address: number, to: ByteSink): void {
  room(to, 8);
  to.view.setUint32(to.at, memory.u32[(address + 4) >>> 2] as number);
  to.view.setUint32(to.at + 4, memory.u32[address >>> 2] as number);
  to.at += 8;
}

/**
 * Writes the leaves `columns` of row `row` of `batch` as parts, in their order, without making JavaScript values of them:
 * what `keyCodec` writes for the same values. Whether a part has a tag is decided by the leaf's declaration.
 */
export function writeKeyColumns(
  memory: SlotMemory,
  batch: Batch,
  columns: readonly number[],
  row: number,
  to: ByteSink,
): void {
  const { u8, u32 } = memory;
  for (let i = 0; i < columns.length; i++) {
    const leaf = columns[i] as number;
    const column = batch.columns[leaf] as Batch['columns'][number];
    const { nullable, storage } = batch.layout[leaf] as Batch['layout'][number];
    room(to, 9);
    if (nullable) {
      const valid = isValid(memory, column.validity, row);
      to.u8[to.at++] = valid ? 1 : 0;
      if (!valid) continue;
    }
    const { values } = column;
    switch (storage) {
      case 'bit':
        to.u8[to.at++] = ((u8[values + (row >>> 3)] as number) >>> (row & 7)) & 1;
        break;
      case 'i32':
        to.view.setInt32(to.at, (u32[(values >>> 2) + row] as number) ^ signBit);
        to.at += 4;
        break;
      case 'i64': {
        const at = (values >>> 2) + 2 * row;
        to.view.setInt32(to.at, (u32[at + 1] as number) ^ signBit);
        to.view.setUint32(to.at + 4, u32[at] as number);
        to.at += 8;
        break;
      }
      case 'f64':
        writeDouble(memory.f64[(values >>> 3) + row] as number, to);
        break;
      case 'view': {
        const view = column.dictionary
          ? column.dictionary.views + 16 * (u32[(values >>> 2) + row] as number)
          : values + 16 * row;
        const length = u32[view >>> 2] as number;
        writeTextBytes(u8, length <= 12 ? view + 4 : (u32[(view + 12) >>> 2] as number), length, to);
      }
    }
  }
}

/**
 * The first key behind all that begin with `length` bytes at `prefix` of `u8`: changes them in place and answers how many
 * of them it takes; 0: there is none.
 */
export function afterPrefix(u8: Uint8Array, prefix: number, length: number): number {
  for (let i = prefix + length - 1; i >= prefix; i--) {
    if (u8[i] === 0xff) continue;
    u8[i] = (u8[i] as number) + 1;
    return i + 1 - prefix;
  }
  return 0;
}

function notNullCodec(type: KeyPart['type'], name: string): KeyCodec {
  if (type.kind === 'HASH') {
    return {
      write(value, to) {
        room(to, 8);
        to.view.setBigUint64(to.at, value as bigint);
        to.at += 8;
      },
      read(from) {
        need(from, 8);
        from.at += 8;
        return from.view.getBigUint64(from.at - 8);
      },
    };
  }
  const words = wordCodec(type, name);
  if (words) {
    return {
      write(value, to) {
        words.split(value, halves);
        room(to, 8);
        to.view.setInt32(to.at, halves.high ^ signBit);
        to.view.setInt32(to.at + 4, halves.low);
        to.at += 8;
      },
      read(from) {
        need(from, 8);
        const { at, view } = from;
        from.at = at + 8;
        return words.join(view.getInt32(at) ^ signBit, view.getUint32(at + 4));
      },
    };
  }
  const int = intCodec(type, name);
  if (int) {
    return {
      write(value, to) {
        const stored = int.of(value);
        room(to, 4);
        to.view.setInt32(to.at, stored ^ signBit);
        to.at += 4;
      },
      read(from) {
        need(from, 4);
        from.at += 4;
        return int.value(from.view.getInt32(from.at - 4) ^ signBit);
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
          writeDouble(value, to);
        },
        read: readDouble,
      };
    case 'VARCHAR':
      return {
        write(value, to) {
          if (typeof value !== 'string') throw badValue(name, type, value, 'a string');
          writeText(value, to);
        },
        read: readText,
      };
    case 'ROW': {
      const parts = type.fields.map((field) => keyCodec({ ...field, name: `${name}.${field.name}` }));
      const names = type.fields.map((field) => field.name);
      return {
        write(value, to) {
          if (typeof value !== 'object' || value === null) throw badValue(name, type, value, 'an object');
          parts.forEach((part, i) => {
            const field = names[i] as string;
            part.write(Object.hasOwn(value, field) ? (value as Record<string, unknown>)[field] : undefined, to);
          });
        },
        read(from) {
          return Object.fromEntries(parts.map((part, i) => [names[i], part.read(from)]));
        },
      };
    }
    default:
      throw new MillraceError(
        'plan/unsupported',
        `'${name}' of type ${typeName(type)} cannot be a key of state; use ${storedTypes}, or a ROW of them`,
      );
  }
}

/** `to` has room. */
function writeDouble(value: number, to: ByteSink): void {
  const { at, view } = to;
  // One zero, one NaN, as hashes see them.
  if (Number.isNaN(value)) {
    view.setUint32(at, 0x7ff80000);
    view.setUint32(at + 4, 0);
  } else view.setFloat64(at, value + 0);
  const high = view.getInt32(at);
  view.setInt32(at, high < 0 ? ~high : high ^ signBit);
  if (high < 0) view.setInt32(at + 4, ~view.getInt32(at + 4));
  to.at = at + 8;
}

function readDouble(from: ByteSource): number {
  need(from, 8);
  const { at, view } = from;
  const high = view.getInt32(at);
  const low = view.getInt32(at + 4);
  from.at = at + 8;
  scratch.setInt32(0, high < 0 ? high ^ signBit : ~high);
  scratch.setInt32(4, high < 0 ? low : ~low);
  return scratch.getFloat64(0);
}

function writeText(text: string, to: ByteSink): void {
  const most = textRoom(text, 2, to);
  const bytes = encodeUtf8(text, to.u8, to.at, most);
  if (text.includes('\0')) {
    const plain = to.u8.slice(to.at, to.at + bytes);
    writeTextBytes(plain, 0, bytes, to);
    return;
  }
  to.at += bytes;
  to.u8[to.at++] = 0;
  to.u8[to.at++] = 0;
}

function writeTextBytes(bytes: Uint8Array, from: number, length: number, to: ByteSink): void {
  if (to.at + 2 * length + 2 > to.end) {
    let zeros = 0;
    for (let i = from; i < from + length; i++) if (bytes[i] === 0) zeros++;
    room(to, length + zeros + 2);
  }
  const { u8 } = to;
  let { at } = to;
  for (let i = from; i < from + length; i++) {
    const byte = bytes[i] as number;
    u8[at++] = byte;
    if (byte === 0) u8[at++] = 0xff;
  }
  u8[at++] = 0;
  u8[at++] = 0;
  to.at = at;
}

function readText(from: ByteSource): string {
  const { u8, end } = from;
  const start = from.at;
  let zeros = 0;
  for (let i = start; i + 1 < end; i++) {
    if (u8[i] !== 0) continue;
    if (u8[i + 1] === 0) {
      from.at = i + 2;
      return zeros === 0 ? decodeUtf8(u8, start, i) : unescaped(u8, start, i, zeros);
    }
    zeros++;
    i++;
  }
  throw damaged(from, end - start + 1);
}

function unescaped(u8: Uint8Array, start: number, end: number, zeros: number): string {
  const plain = new Uint8Array(end - start - zeros);
  let at = 0;
  for (let i = start; i < end; i++) {
    plain[at++] = u8[i] as number;
    if (u8[i] === 0) i++;
  }
  return decodeUtf8(plain, 0, at);
}

const signBit = -2147483648;
const halves: Words = { high: 0, low: 0 };
const scratch = new DataView(new ArrayBuffer(8));
