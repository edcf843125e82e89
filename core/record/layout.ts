/**
 * How rows lie in memory. A logical row type is flattened: a ROW column becomes its leaves, named by path
 * (`window.start`). Every batch, frame, expression and operator below the planner speaks of leaves, by index.
 */
import { MillraceError } from '../base/errors.ts';
import { decimalDigitsMax } from './decimal.ts';
import { type DataType, type Fields, typeName } from './types.ts';

/**
 * bit: one bit a row, least significant first, as Arrow's Bool. i32, i64, f64: little-endian, naturally aligned.
 * view: 16 bytes a row, Arrow's string view: {u32 length; up to 12 bytes inline} or
 * {u32 length; 4 bytes prefix; u32 zero; u32 address}, where the address is absolute in the slot's memory.
 */
export type StorageKind = 'bit' | 'i32' | 'i64' | 'f64' | 'view';

/** A leaf column. */
export interface LayoutColumn {
  /** Dotted path, unique within the layout: `origin`, `window.start`. Names starting with `$` are the engine's own. */
  readonly name: string;
  readonly type: DataType;
  readonly nullable: boolean;
  readonly storage: StorageKind;
}
export type Layout = readonly LayoutColumn[];

/**
 * The hidden event-time column: BIGINT-stored milliseconds, not null. It follows the rows (DESIGN section 6) wherever a
 * later step needs it, and the planner drops it where none does.
 */
export const rowtimeName = '$rowtime';
export const rowtimeColumn: LayoutColumn = {
  name: rowtimeName,
  type: { kind: 'TIMESTAMP', precision: 3 },
  nullable: false,
  storage: 'i64',
};

/** Bytes of `rows` values of a storage kind. */
export function valueBytes(storage: StorageKind, rows: number): number {
  switch (storage) {
    case 'bit':
      return (rows + 7) >>> 3;
    case 'i32':
      return rows * 4;
    case 'i64':
    case 'f64':
      return rows * 8;
    case 'view':
      return rows * 16;
  }
}

/** Types that columns may have now, for messages. */
export const storedTypes =
  'BOOLEAN, INT, BIGINT, DOUBLE, DECIMAL of up to 18 digits, VARCHAR, DATE or TIMESTAMP(0 to 6)';

/** Why there are no columns of a type, and what to do. */
export function refusalOf(type: DataType): string {
  if (type.kind === 'DECIMAL') {
    return `${typeName(type)} has more than the ${decimalDigitsMax} digits that a DECIMAL may have; cast to DECIMAL(${decimalDigitsMax}, ${Math.min(type.scale, decimalDigitsMax)}), whose overflow is an error, or to DOUBLE`;
  }
  return `columns of type ${typeName(type)} are not supported yet; cast them to ${storedTypes}`;
}

/** Errors: `plan/unsupported` for types whose storage comes with a later version. */
export function storageOf(type: DataType): StorageKind {
  switch (type.kind) {
    case 'BOOLEAN':
      return 'bit';
    case 'INT':
    case 'DATE':
      return 'i32';
    case 'BIGINT':
      return 'i64';
    case 'TIMESTAMP':
      if (type.precision <= 6) return 'i64';
      break;
    case 'DECIMAL':
      if (type.precision <= decimalDigitsMax) return 'i64';
      break;
    case 'DOUBLE':
      return 'f64';
    case 'VARCHAR':
      return 'view';
  }
  throw new MillraceError('plan/unsupported', refusalOf(type));
}

/** The leaves of a row type, in order. A nullable ROW makes its leaves nullable. */
export function layoutOf(fields: Fields): Layout {
  const leaves: LayoutColumn[] = [];
  const visit = (from: Fields, prefix: string, nullable: boolean): void => {
    for (const field of from) {
      const name = prefix + field.name;
      const canBeNull = nullable || field.nullable;
      if (field.type.kind === 'ROW') visit(field.type.fields, `${name}.`, canBeNull);
      else leaves.push({ name, type: field.type, nullable: canBeNull, storage: storageOf(field.type) });
    }
  };
  visit(fields, '', false);
  return leaves;
}
