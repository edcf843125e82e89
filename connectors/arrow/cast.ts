/**
 * The slow way into a column: value by value, each checked against the declared type. A cast never loses a whole: what
 * does not fit is an error that names the column and the value; only times are floored to their precision.
 */
import { MillraceError } from '../../core/base/errors.ts';
import { valueBytesMax } from '../../core/base/limits.ts';
import type { Column } from '../../core/record/batch.ts';
import { decimalText, unscaledOf } from '../../core/record/decimal.ts';
import { type LayoutColumn, valueBytes } from '../../core/record/layout.ts';
import { writeView } from '../../core/record/text.ts';
import { ticksPerMs, typeName } from '../../core/record/types.ts';
import { parseDate, parseTimestamp } from '../text/times.ts';
import type { ArrowColumn, ArrowType } from './describe.ts';
import {
  type Bitmap,
  bytesAt,
  corrupt,
  type ImporterContext,
  need,
  setNull,
  tooLarge,
  type ValueImporter,
} from './values.ts';

/** A value of Arrow's as the cast sees it: integers exact, texts as their bytes, times as an integer with its unit beside. */
type Value = bigint | number | boolean | Uint8Array | null;

/** Errors: `plan/unsupported` for pairs of types that no cast joins. */
export function castingReader(type: ArrowType, leaf: LayoutColumn, context: ImporterContext): ValueImporter {
  const source = type.kind === 'dictionary' ? type.of : type;
  if (leaf.storage === 'view') return textReader(type, source, leaf, context);
  const cast = castOf(source, leaf);
  const { memory, batchRows } = context;
  const { u8, i32, i64, f64 } = memory;
  const bytes = valueBytes(leaf.storage, batchRows);
  const values = memory.arena.allocate(bytes, `Arrow column '${leaf.name}'`);
  const store = (i: number, value: bigint | number | boolean): void => {
    switch (leaf.storage) {
      case 'bit': {
        const at = values + (i >>> 3);
        u8[at] = value ? u8[at]! | (1 << (i & 7)) : u8[at]! & ~(1 << (i & 7));
        return;
      }
      case 'i32':
        i32[(values >>> 2) + i] = Number(value);
        return;
      case 'i64':
        i64[(values >>> 3) + i] = BigInt(value);
        return;
      default:
        f64[(values >>> 3) + i] = Number(value);
    }
  };
  return {
    read(from, row, n, bitmap) {
      const get = getter(type, from);
      for (let i = 0; i < n; i++) {
        const value = isNull(u8, bitmap, i) ? null : get(row + i);
        if (value !== null) store(i, cast(value));
        else {
          store(i, 0);
          setNull(memory, bitmap, i, n);
        }
      }
      return { values, dictionary: null };
    },
  };
}

function textReader(type: ArrowType, source: ArrowType, leaf: LayoutColumn, context: ImporterContext): ValueImporter {
  const { memory, batchRows } = context;
  if (source.kind !== 'utf8' && source.kind !== 'largeUtf8' && source.kind !== 'utf8View' && source.kind !== 'null') {
    throw unsupported(source, leaf);
  }
  const views = memory.arena.allocate(batchRows * 16, `Arrow column '${leaf.name}'`);
  let heap = 0;
  let heapBytes = 0;
  const take = (bytes: number): void => {
    if (bytes <= heapBytes) return;
    heapBytes = Math.max(bytes, Math.min(heapBytes * 2, textBytes));
    heap = memory.arena.allocate(heapBytes, `texts of '${leaf.name}'`);
  };
  return {
    fits(from, row, n) {
      const get = getter(type, from);
      let bytes = 0;
      for (let i = 0; i < n; i++) {
        const length = isValid(from, row + i) ? ((get(row + i) as Uint8Array | null)?.length ?? 0) : 0;
        if (length > valueBytesMax) throw tooLarge(leaf, length);
        if (i > 0 && bytes + length > textBytes) return i;
        bytes += length;
        take(bytes);
      }
      return n;
    },
    read(from, row, n, bitmap): Omit<Column, 'validity'> {
      const get = getter(type, from);
      let at = heap;
      for (let i = 0; i < n; i++) {
        const value = isNull(memory.u8, bitmap, i) ? null : (get(row + i) as Uint8Array | null);
        const length = value?.length ?? 0;
        if (at + length > heap + heapBytes) throw corrupt(`texts of '${leaf.name}' changed while they were read`);
        if (value === null) setNull(memory, bitmap, i, n);
        else memory.u8.set(value, at);
        writeView(memory, views + i * 16, at, length);
        at += length;
      }
      return { values: views, dictionary: null };
    },
  };
}

const textBytes = 512 * 1024;

function isNull(u8: Uint8Array, bitmap: Bitmap, i: number): boolean {
  return bitmap.address !== 0 && ((u8[bitmap.address + (i >>> 3)]! >>> (i & 7)) & 1) === 0;
}

const isValid = ({ validity, offset }: ArrowColumn, row: number): boolean =>
  validity === null || ((validity[(offset + row) >>> 3]! >>> ((offset + row) & 7)) & 1) === 1;

/** Reads value `row`, which is not null by the column's own bitmap. Errors: `source/corrupt`. */
function getter(type: ArrowType, column: ArrowColumn): (row: number) => Value {
  switch (type.kind) {
    case 'null':
      return () => null;
    case 'bool': {
      const bits = need(column.values);
      return (row) => ((bytesAt(bits, (column.offset + row) >>> 3, 1)[0]! >>> ((column.offset + row) & 7)) & 1) === 1;
    }
    case 'int':
      return integers(need(column.values), type.bytes, type.signed);
    case 'decimal':
      return decimals(need(column.values), type.bytes);
    case 'date':
      return integers(need(column.values), type.bytes, true);
    case 'timestamp':
      return integers(need(column.values), 8, true);
    case 'float': {
      const view = viewOf(need(column.values));
      if (type.bytes === 8) return (row) => view.getFloat64(inside(view, row, 8), true);
      if (type.bytes === 4) return (row) => view.getFloat32(inside(view, row, 4), true);
      return (row) => half(view.getUint16(inside(view, row, 2), true));
    }
    case 'utf8':
    case 'largeUtf8': {
      const { offsets } = column;
      const bytes = column.values ?? new Uint8Array(0);
      if (offsets === null) throw corrupt('a text column has no offsets');
      return (row) => {
        if (row + 1 >= offsets.length) throw corrupt('a text column has too few offsets');
        const from = Number(offsets[row]);
        const to = Number(offsets[row + 1]);
        if (!(from >= 0 && to >= from && to <= bytes.length)) throw corrupt('offsets of a text column do not ascend');
        return bytes.subarray(from, to);
      };
    }
    case 'utf8View':
      return textViews(column);
    case 'dictionary':
      return coded(type, column);
    default:
      throw corrupt(`no values in a column of ${type.kind}`);
  }
}

function textViews(column: ArrowColumn): (row: number) => Uint8Array {
  const bytes = need(column.values);
  const view = viewOf(bytes);
  return (row) => {
    const at = inside(view, row, 16);
    const length = view.getUint32(at, true);
    if (length <= 12) return bytes.subarray(at + 4, at + 4 + length);
    const buffer = column.buffers[view.getUint32(at + 8, true)];
    if (buffer === undefined) throw corrupt('a string view points to no buffer');
    return bytesAt(buffer, view.getUint32(at + 12, true), length);
  };
}

function coded(type: ArrowType & { kind: 'dictionary' }, column: ArrowColumn): (row: number) => Value {
  if (type.index.kind !== 'int') throw corrupt('a dictionary without integer codes');
  const codes = integers(need(column.values), type.index.bytes, type.index.signed);
  const chunks = (column.dictionary ?? []).map((chunk) => ({ chunk, get: getter(type.of, chunk) }));
  return (row) => {
    let code = Number(codes(row));
    for (const { chunk, get } of chunks) {
      if (code >= 0 && code < chunk.length) return isValid(chunk, code) ? get(code) : null;
      code -= chunk.length;
    }
    throw corrupt('a code beyond its dictionary');
  };
}

function integers(bytes: Uint8Array, width: number, signed: boolean): (row: number) => bigint {
  const view = viewOf(bytes);
  switch (width) {
    case 1:
      return (row) => BigInt(signed ? view.getInt8(inside(view, row, 1)) : view.getUint8(inside(view, row, 1)));
    case 2:
      return (row) =>
        BigInt(signed ? view.getInt16(inside(view, row, 2), true) : view.getUint16(inside(view, row, 2), true));
    case 4:
      return (row) =>
        BigInt(signed ? view.getInt32(inside(view, row, 4), true) : view.getUint32(inside(view, row, 4), true));
    default:
      return (row) =>
        signed ? view.getBigInt64(inside(view, row, 8), true) : view.getBigUint64(inside(view, row, 8), true);
  }
}

/** Two's complement of 128 or 256 bits. */
function decimals(bytes: Uint8Array, width: number): (row: number) => bigint {
  const view = viewOf(bytes);
  return (row) => {
    const at = inside(view, row, width);
    let value = view.getBigInt64(at + width - 8, true);
    for (let word = width - 16; word >= 0; word -= 8) value = (value << 64n) | view.getBigUint64(at + word, true);
    return value;
  };
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function inside(view: DataView, row: number, width: number): number {
  if ((row + 1) * width > view.byteLength) throw corrupt(`a buffer of ${view.byteLength} bytes ends before row ${row}`);
  return row * width;
}

/** IEEE 754 binary16. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

/** What becomes of a value that is not null. */
function castOf(source: ArrowType, leaf: LayoutColumn): (value: NonNullable<Value>) => bigint | number | boolean {
  const to = leaf.type;
  const no = (value: unknown): never => {
    throw new MillraceError('source/bad-record', `column '${leaf.name}': ${String(value)} is no ${typeName(to)}`);
  };
  const whole = (bits: 32 | 64) => (value: bigint) => (BigInt.asIntN(bits, value) === value ? value : no(value));
  switch (to.kind) {
    case 'BOOLEAN':
      if (source.kind === 'bool') return (value) => value as boolean;
      break;
    case 'INT':
    case 'BIGINT': {
      const fitting = whole(to.kind === 'INT' ? 32 : 64);
      if (source.kind === 'int') return (value) => fitting(value as bigint);
      if (source.kind === 'float')
        return (value) => (Number.isInteger(value) ? fitting(BigInt(value as number)) : no(value));
      break;
    }
    case 'DECIMAL': {
      const scale = source.kind === 'decimal' ? source.scale : source.kind === 'int' ? 0 : null;
      if (scale === null) break;
      return (value) => {
        const exact = { unscaled: value as bigint, scale };
        return unscaledOf(exact, to.precision, to.scale) ?? no(decimalText(exact.unscaled, scale));
      };
    }
    case 'DOUBLE':
      if (source.kind === 'int' || source.kind === 'float') return (value) => Number(value);
      break;
    case 'DATE':
    case 'TIMESTAMP': {
      const perSecond = to.kind === 'DATE' ? null : BigInt(ticksPerMs(to.precision)) * 1000n;
      const fitting = whole(to.kind === 'DATE' ? 32 : 64);
      const unit =
        source.kind === 'timestamp'
          ? BigInt(source.perSecond)
          : source.kind === 'date' && source.bytes === 8
            ? 1000n
            : null;
      if (unit !== null) {
        return perSecond === null
          ? (value) => fitting(floorDivide(value as bigint, unit * 86_400n))
          : (value) => fitting(floorDivide((value as bigint) * perSecond, unit));
      }
      if (source.kind === 'date') {
        return (value) => fitting(perSecond === null ? (value as bigint) : (value as bigint) * 86_400n * perSecond);
      }
      if (source.kind === 'utf8' || source.kind === 'largeUtf8' || source.kind === 'utf8View') {
        return (value) => {
          const text = Buffer.from(value as Uint8Array).toString('utf8');
          const parsed = to.kind === 'DATE' ? parseDate(text) : parseTimestamp(text, to.precision);
          return parsed === null ? no(`'${text}'`) : fitting(BigInt(parsed));
        };
      }
    }
  }
  throw unsupported(source, leaf);
}

function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a < 0n && quotient * b !== a ? quotient - 1n : quotient;
}

function unsupported(source: ArrowType, leaf: LayoutColumn): MillraceError {
  const name = source.kind === 'other' ? source.name : source.kind === 'decimal' ? 'Decimal' : source.kind;
  return new MillraceError(
    'source/unsupported',
    `column '${leaf.name}': Arrow's ${name} cannot be read as ${typeName(leaf.type)}; cast it where the table is made, or leave the column out`,
  );
}
