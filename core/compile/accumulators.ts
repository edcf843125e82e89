/**
 * What an aggregation keeps per group. Calls share fields: AVG(x), SUM(x) and COUNT(x) are one sum and one count. Fields
 * are 8 bytes (24 for text), begin as zeros, and zeros mean "nothing yet" for every one of them:
 *
 *   count       i64 rows counted
 *   sum         i64 (of DECIMAL in units of its scale) or f64
 *   min, max    u64 in an order-preserving code whose 0 is below every value: max keeps the larger code, min the larger
 *               complement. Integers: sign bit flipped. Doubles: IEEE total order, NaN as one value above all others.
 *   of text     {u32 has, u32 zero, 16-byte view}
 */
import { sumType } from '../expr/decimals.ts';
import type { AggregateCall } from '../expr/tree.ts';
import { type Layout, type LayoutColumn, type StorageKind, storageOf } from '../record/layout.ts';
import type { DataType } from '../record/types.ts';

export interface AccumulatorField {
  readonly kind: 'count' | 'sum' | 'min' | 'max';
  /** Leaf indices in the aggregate's input; null: every row, or no filter. */
  readonly arg: number | null;
  readonly filter: number | null;
  /** Of the argument; null for counts. */
  readonly storage: StorageKind | null;
  readonly type: DataType;
  /** Bytes from the accumulators' start. */
  readonly offset: number;
}

/** Where a call finds its parts: indices of fields. */
export interface CallFields {
  readonly count: number;
  /** The sum, minimum or maximum; the count itself for COUNT. */
  readonly value: number;
}

export interface AccumulatorLayout {
  /** A multiple of 8. */
  readonly bytes: number;
  readonly fields: readonly AccumulatorField[];
  /** One per call. */
  readonly calls: readonly CallFields[];
}

export function accumulatorLayout(calls: readonly AggregateCall[]): AccumulatorLayout {
  const fields: AccumulatorField[] = [];
  let bytes = 0;
  const fieldOf = (
    kind: AccumulatorField['kind'],
    arg: number | null,
    filter: number | null,
    type: DataType,
  ): number => {
    const known = fields.findIndex((f) => f.kind === kind && f.arg === arg && f.filter === filter);
    if (known >= 0) return known;
    const storage = kind === 'count' ? null : storageOf(type);
    fields.push({ kind, arg, filter, storage, type, offset: bytes });
    bytes += storage === 'view' ? 24 : 8;
    return fields.length - 1;
  };
  const resolved = calls.map((call): CallFields => {
    // An argument that is never NULL is counted as rows are.
    const counted = call.argNullable === false ? null : call.arg;
    const count = fieldOf('count', counted, call.filter, { kind: 'BIGINT' });
    if (call.fn === 'count') return { count, value: count };
    const kind = call.fn === 'avg' ? 'sum' : call.fn;
    return { count, value: fieldOf(kind, call.arg, call.filter, call.argType as DataType) };
  });
  return { bytes, fields, calls: resolved };
}

/** What a sum holds. */
export function sumTypeOf({ storage, type }: Pick<AccumulatorField, 'storage' | 'type'>): DataType {
  if (type.kind === 'DECIMAL') return sumType(type);
  return storage === 'f64' ? { kind: 'DOUBLE' } : { kind: 'BIGINT' };
}

/** Columns of partial results: one per field. What `partial` emits and `final` merges. */
export function partialLayout(calls: readonly AggregateCall[]): Layout {
  return accumulatorLayout(calls).fields.map((field, i): LayoutColumn => {
    const name = `$${field.kind}${i}`;
    if (field.kind === 'count') return { name, type: { kind: 'BIGINT' }, nullable: false, storage: 'i64' };
    if (field.kind === 'sum') {
      const type = sumTypeOf(field);
      return { name, type, nullable: false, storage: storageOf(type) };
    }
    return { name, type: field.type, nullable: true, storage: field.storage as StorageKind };
  });
}

/** Which accumulator of these calls counts every row; null: none. */
export function rowsField(calls: readonly AggregateCall[]): number | null {
  const found = accumulatorLayout(calls).fields.findIndex(
    (field) => field.kind === 'count' && field.arg === null && field.filter === null,
  );
  return found < 0 ? null : found;
}
