/** Between Parquet's types and ours: which field a column becomes, and how its values become a declared type. */
import { type DataType, type Field, ticksPerMs, typeName } from '../../core/record/types.ts';
import { Physical, physicalNames, Repetition } from './format.ts';
import type { Leaf, SchemaNode } from './metadata.ts';

/** Casts of `castValues`; same numbers as in kernels/assembly/parquet/plain.ts. */
export const Cast = {
  copy4: 0,
  copy8: 1,
  i32ToI64: 2,
  u32ToI64: 3,
  i32ToF64: 4,
  u32ToF64: 5,
  i64ToF64: 6,
  u64ToF64: 7,
  f32ToF64: 8,
  f16ToF64: 9,
  i64ToI32: 10,
  u32ToI32: 11,
  u64ToI64: 12,
  i64Times: 13,
  i64Floor: 14,
  int96ToTicks: 15,
  i32Times: 16,
  u64ToI32: 17,
  decimal: 18,
} as const;
export type Cast = (typeof Cast)[keyof typeof Cast];

/** How the values of a column become what was asked for. */
export type Conversion =
  /** BOOLEAN: one bit a value. */
  | { readonly kind: 'bits' }
  /** `width` bytes a value in the page; `parameter` as the cast wants it. */
  | { readonly kind: 'fixed'; readonly width: number; readonly cast: Cast; readonly parameter: bigint }
  /** Strings. `fixed`: `width` bytes each, no lengths; `uuid`: 16 bytes that become text. */
  | { readonly kind: 'views'; readonly form: 'bytes' | 'fixed' | 'uuid'; readonly width: number }
  /** A column of the logical type UNKNOWN: nothing but NULL. */
  | { readonly kind: 'nulls' };

/** The type as the file says it, for messages. */
export function fileTypeName(leaf: Leaf): string {
  const physical = physicalNames[leaf.physical] + (leaf.physical === Physical.fixed ? `(${leaf.width})` : '');
  const { meaning } = leaf;
  switch (meaning.kind) {
    case 'none':
      return physical;
    case 'integer':
      return `${meaning.signed ? 'INT' : 'UINT'}_${meaning.bits}`;
    case 'decimal':
      return `DECIMAL(${meaning.precision}, ${meaning.scale})`;
    case 'time':
    case 'timestamp':
      return `${meaning.kind.toUpperCase()}(${meaning.unit})`;
    default:
      return `${meaning.kind.toUpperCase()} as ${physical}`;
  }
}

/** A column of the file as a field of ours. Types that have no storage yet are named all the same: columns may stay unread. */
export function fieldOf(node: SchemaNode): Field {
  const nullable = node.repetition === Repetition.optional;
  if (node.repetition === Repetition.repeated) {
    return { name: node.name, type: { kind: 'ARRAY', of: groupOrLeafType(node), nullable: false }, nullable: false };
  }
  return { name: node.name, type: groupOrLeafType(node), nullable: nullable || node.leaf?.meaning.kind === 'null' };
}

function groupOrLeafType(node: SchemaNode): DataType {
  if (node.leaf !== null) return leafType(node.leaf);
  // LIST: <repeated group> { element }, MAP: <repeated group> { key; value }. Odd shapes are told as ROWs.
  const middle = node.children[0];
  if (node.collection === 'list' && node.children.length === 1 && middle?.repetition === Repetition.repeated) {
    const element = middle.children.length === 1 ? (middle.children[0] as SchemaNode) : middle;
    return {
      kind: 'ARRAY',
      of: groupOrLeafType(element),
      nullable: element !== middle && element.repetition === Repetition.optional,
    };
  }
  if (node.collection === 'map' && node.children.length === 1 && middle?.children.length === 2) {
    const [key, value] = middle.children as [SchemaNode, SchemaNode];
    return {
      kind: 'MAP',
      key: groupOrLeafType(key),
      value: groupOrLeafType(value),
      nullable: value.repetition === Repetition.optional,
    };
  }
  return { kind: 'ROW', fields: node.children.map(fieldOf) };
}

/** The type that keeps every value, in what storage there is: small integers are INT, FLOAT is DOUBLE. */
export function leafType(leaf: Leaf): DataType {
  const { meaning } = leaf;
  switch (meaning.kind) {
    case 'string':
    case 'uuid':
    case 'null':
      return { kind: 'VARCHAR' };
    case 'date':
      return { kind: 'DATE' };
    case 'float16':
      return { kind: 'DOUBLE' };
    case 'decimal':
      return { kind: 'DECIMAL', precision: meaning.precision, scale: meaning.scale };
    case 'time':
      return { kind: 'TIME', precision: unitPrecision(meaning.unit) };
    case 'timestamp':
      return { kind: 'TIMESTAMP', precision: Math.min(6, unitPrecision(meaning.unit)) };
    case 'interval':
    case 'bson':
      return { kind: 'BINARY' };
    case 'integer':
      return meaning.bits < 32 || (meaning.bits === 32 && meaning.signed) ? { kind: 'INT' } : { kind: 'BIGINT' };
    case 'none':
      break;
  }
  switch (leaf.physical) {
    case Physical.boolean:
      return { kind: 'BOOLEAN' };
    case Physical.int32:
      return { kind: 'INT' };
    case Physical.int64:
      return { kind: 'BIGINT' };
    case Physical.int96:
      return { kind: 'TIMESTAMP', precision: 6 };
    case Physical.float:
    case Physical.double:
      return { kind: 'DOUBLE' };
    default:
      return { kind: 'BINARY' };
  }
}

function unitPrecision(unit: 'ms' | 'us' | 'ns'): number {
  return unit === 'ms' ? 3 : unit === 'us' ? 6 : 9;
}

/** How `leaf` becomes `target`, or null when it cannot. */
export function conversionOf(leaf: Leaf, target: DataType): Conversion | null {
  const { physical, meaning } = leaf;
  if (leaf.maxRepetition > 0) return null;
  if (meaning.kind === 'null') return { kind: 'nulls' };
  if (physical === Physical.boolean) return target.kind === 'BOOLEAN' ? { kind: 'bits' } : null;
  if (target.kind === 'VARCHAR') return stringConversion(leaf);
  if (meaning.kind === 'decimal') return decimalConversion(leaf, meaning.scale, target);
  if (meaning.kind === 'time' || meaning.kind === 'interval') return null;
  if (meaning.kind === 'float16') {
    const ok = physical === Physical.fixed && leaf.width === 2 && target.kind === 'DOUBLE';
    return ok ? fixed(2, Cast.f16ToF64) : null;
  }
  if (meaning.kind === 'date') {
    if (physical !== Physical.int32) return null;
    if (target.kind === 'DATE') return fixed(4, Cast.copy4);
    if (target.kind === 'TIMESTAMP') {
      return fixed(4, Cast.i32Times, 86_400_000n * BigInt(ticksPerMs(target.precision)));
    }
    return null;
  }
  if (meaning.kind === 'timestamp' || physical === Physical.int96) {
    if (target.kind !== 'TIMESTAMP') return null;
    const to = BigInt(ticksPerMs(target.precision));
    if (physical === Physical.int96) return fixed(12, Cast.int96ToTicks, to * 1000n);
    if (physical !== Physical.int64 || meaning.kind !== 'timestamp') return null;
    const from = meaning.unit === 'ms' ? 1n : meaning.unit === 'us' ? 1000n : 1_000_000n;
    if (from === to) return fixed(8, Cast.copy8);
    return to > from ? fixed(8, Cast.i64Times, to / from) : fixed(8, Cast.i64Floor, from / to);
  }
  const signed = meaning.kind !== 'integer' || meaning.signed;
  // Small unsigned integers are never negative in 32 bits.
  const small = meaning.kind === 'integer' && meaning.bits < 32;
  switch (physical) {
    case Physical.int32:
      if (target.kind === 'INT') return fixed(4, signed || small ? Cast.copy4 : Cast.u32ToI32);
      if (target.kind === 'BIGINT') return fixed(4, signed ? Cast.i32ToI64 : Cast.u32ToI64);
      if (target.kind === 'DOUBLE') return fixed(4, signed ? Cast.i32ToF64 : Cast.u32ToF64);
      return null;
    case Physical.int64:
      if (target.kind === 'BIGINT') return fixed(8, signed ? Cast.copy8 : Cast.u64ToI64);
      if (target.kind === 'INT') return fixed(8, signed ? Cast.i64ToI32 : Cast.u64ToI32);
      if (target.kind === 'DOUBLE') return fixed(8, signed ? Cast.i64ToF64 : Cast.u64ToF64);
      return null;
    case Physical.float:
      return target.kind === 'DOUBLE' ? fixed(4, Cast.f32ToF64) : null;
    case Physical.double:
      return target.kind === 'DOUBLE' ? fixed(8, Cast.copy8) : null;
    default:
      return null;
  }
}

/** Units of the same scale, however they lie; more digits than the target has are refused value by value. */
function decimalConversion({ physical, width }: Leaf, scale: number, target: DataType): Conversion | null {
  if (target.kind !== 'DECIMAL' || target.scale !== scale) return null;
  const bytes = physical === Physical.int32 ? 4 : physical === Physical.int64 ? 8 : width;
  if (physical !== Physical.int32 && physical !== Physical.int64 && physical !== Physical.fixed) return null;
  if (bytes < 1 || bytes > decimalBytesMax) return null;
  const bigEndian = physical === Physical.fixed ? 1 : 0;
  return fixed(bytes, Cast.decimal, BigInt(bytes | (target.precision << 8) | (bigEndian << 16)));
}

/** Bytes of a FIXED_LEN_BYTE_ARRAY that a decimal may lie in: 38 digits need 16. */
const decimalBytesMax = 16;

function stringConversion(leaf: Leaf): Conversion | null {
  const { physical, meaning } = leaf;
  if (meaning.kind === 'uuid') {
    return physical === Physical.fixed && leaf.width === 16 ? { kind: 'views', form: 'uuid', width: 16 } : null;
  }
  // Without an annotation they are bytes, which a declared VARCHAR claims to be UTF-8; that is checked.
  if (meaning.kind !== 'string' && meaning.kind !== 'none') return null;
  if (physical === Physical.byteArray) return { kind: 'views', form: 'bytes', width: 0 };
  if (physical === Physical.fixed) return { kind: 'views', form: 'fixed', width: leaf.width };
  return null;
}

function fixed(width: number, cast: Cast, parameter = 1n): Conversion {
  return { kind: 'fixed', width, cast, parameter };
}

/** Why `conversionOf` has no answer, for `schema/mismatch` and `source/unsupported`. */
export function mismatchMessage(leaf: Leaf, target: DataType): string {
  return `column ${leaf.name} is ${fileTypeName(leaf)} in the file and cannot be read as ${typeName(target)}`;
}
