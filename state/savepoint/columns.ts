/**
 * Rows of a state table as a savepoint shows them: columns with names and types, and values as they are stored, exactly. A
 * value is a boolean, a number (INT, DATE, DOUBLE), a bigint (BIGINT, DECIMAL in units of
 * its scale, TIMESTAMP in its ticks, HASH), a string, bytes, an
 * object (ROW), an array, a Map, or null.
 */
import type { KeyPart } from '../../core/record/key-bytes.ts';
import type { DataType } from '../../core/record/types.ts';

export interface StateColumn {
  readonly name: string;
  /** HASH: 64 bits of a key's hash, unsigned. BINARY: bytes that have no type of their own. */
  readonly type: KeyPart['type'];
  readonly nullable: boolean;
}

export type StateRow = readonly unknown[];

export const hashColumn: StateColumn = { name: '$hash', type: { kind: 'HASH' }, nullable: false };
export const sliceColumn: StateColumn = { name: '$slice', type: { kind: 'BIGINT' }, nullable: false };
export const restColumn: StateColumn = { name: '$rest', type: { kind: 'BINARY' }, nullable: false };

/** The type under which codecs of core/record give values as they are stored. */
export function storedType(type: DataType): DataType {
  switch (type.kind) {
    case 'BIGINT':
    case 'DECIMAL':
    case 'TIMESTAMP':
      return { kind: 'BIGINT', asBigInt: true };
    case 'DATE':
      return { kind: 'INT' };
    case 'ARRAY':
      return { ...type, of: storedType(type.of) };
    case 'MAP':
      return { ...type, key: storedType(type.key), value: storedType(type.value) };
    case 'ROW':
      return { ...type, fields: type.fields.map((field) => ({ ...field, type: storedType(field.type) })) };
    default:
      return type;
  }
}

/** Names once each: what comes later and is called like something before it is called `…$2`. */
export function named(columns: readonly StateColumn[]): StateColumn[] {
  const seen = new Map<string, number>();
  return columns.map((column) => {
    const times = (seen.get(column.name) ?? 0) + 1;
    seen.set(column.name, times);
    return times === 1 ? column : { ...column, name: `${column.name}$${times}` };
  });
}
