/** What a row group's statistics say about a column, in the terms of the declared type. */
import type { PruneCondition } from '../../core/ports/connector.ts';
import { parseDecimal, unscaledOf } from '../../core/record/decimal.ts';
import type { LayoutColumn } from '../../core/record/layout.ts';
import { Physical } from './format.ts';
import type { ColumnChunk, Leaf } from './metadata.ts';
import { Cast, conversionOf } from './types.ts';

/** Least and greatest value: bigint for INT, BIGINT, DECIMAL (units), DATE and TIMESTAMP (ticks), number for DOUBLE, bytes for VARCHAR. */
export interface Bounds {
  readonly min: bigint | number | Uint8Array;
  readonly max: bigint | number | Uint8Array;
}

/** Null when the file does not say, or says it in an order that cannot be trusted. */
export function boundsOf(leaf: Leaf, chunk: ColumnChunk, column: LayoutColumn): Bounds | null {
  const { statistics } = chunk;
  if (statistics === null || statistics.min === null || statistics.max === null) return null;
  const conversion = conversionOf(leaf, column.type);
  if (conversion === null) return null;
  if (conversion.kind === 'views') {
    if (conversion.form !== 'bytes' || statistics.deprecated) return null;
    return { min: statistics.min, max: statistics.max };
  }
  if (conversion.kind !== 'fixed') return null;
  const unsigned = leaf.meaning.kind === 'integer' && !leaf.meaning.signed;
  if (unsigned && statistics.deprecated) return null;
  const min = ticksOf(statistics.min, leaf, unsigned);
  const max = ticksOf(statistics.max, leaf, unsigned);
  if (min === null || max === null) return null;
  // The casts are monotone, so bounds stay bounds.
  const cast = (value: bigint | number): bigint | number => {
    if (column.storage === 'f64') return Number(value);
    if (typeof value === 'number') return value;
    if (conversion.cast === Cast.i64Times || conversion.cast === Cast.i32Times) return value * conversion.parameter;
    if (conversion.cast === Cast.i64Floor) {
      const quotient = value / conversion.parameter;
      return quotient * conversion.parameter > value ? quotient - 1n : quotient;
    }
    return value;
  };
  const bounds = { min: cast(min), max: cast(max) };
  return bounds.min <= bounds.max ? bounds : null;
}

function ticksOf(bytes: Uint8Array, leaf: Leaf, unsigned: boolean): bigint | number | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  switch (leaf.physical) {
    case Physical.int32:
      if (bytes.length !== 4) return null;
      return BigInt(unsigned ? view.getUint32(0, true) : view.getInt32(0, true));
    case Physical.int64:
      if (bytes.length !== 8) return null;
      return unsigned ? view.getBigUint64(0, true) : view.getBigInt64(0, true);
    case Physical.float:
      return bytes.length === 4 ? orNull(view.getFloat32(0, true)) : null;
    case Physical.double:
      return bytes.length === 8 ? orNull(view.getFloat64(0, true)) : null;
    default:
      return null;
  }
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

/** True when no row of the row group can satisfy `condition`. */
export function excludes(leaf: Leaf, chunk: ColumnChunk, column: LayoutColumn, condition: PruneCondition): boolean {
  // A comparison with NULL is never true.
  if (chunk.values > 0 && chunk.statistics?.nullCount === chunk.values) return true;
  const bounds = boundsOf(leaf, chunk, column);
  if (bounds === null) return false;
  const value = literalOf(condition.value, column);
  if (value === null) return false;
  const least = compare(bounds.min, value);
  const greatest = compare(bounds.max, value);
  // Statistics leave NaN out, and NaN may rank above all: no upper bound holds for doubles.
  const open = column.storage === 'f64';
  switch (condition.op) {
    case 'eq':
      return least > 0 || greatest < 0;
    case 'lt':
      return least >= 0;
    case 'lte':
      return least > 0;
    case 'gt':
      return !open && greatest <= 0;
    case 'gte':
      return !open && greatest < 0;
  }
}

function literalOf(value: boolean | number | string, column: LayoutColumn): bigint | number | Uint8Array | null {
  const { type } = column;
  if (type.kind === 'DECIMAL') {
    const exact = parseDecimal(String(value));
    return exact === null ? null : unscaledOf(exact, type.precision, type.scale);
  }
  switch (column.storage) {
    case 'i32':
    case 'i64':
      if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : null;
      return typeof value === 'string' && /^-?\d+$/.test(value) ? BigInt(value) : null;
    case 'f64':
      return typeof value === 'number' && !Number.isNaN(value) ? value : null;
    case 'view':
      return typeof value === 'string' ? new TextEncoder().encode(value) : null;
    case 'bit':
      return null;
  }
}

function compare(a: bigint | number | Uint8Array, b: bigint | number | Uint8Array): number {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}
