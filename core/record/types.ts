/**
 * SQL types, by SQL's names. A type says what a value means; how it lies in memory is `StorageKind` (layout.ts).
 * Types, fields and schemas are plain JSON: they travel in plans and in checkpoints.
 */
export type DataType =
  | { readonly kind: 'BOOLEAN' }
  | { readonly kind: 'TINYINT' }
  | { readonly kind: 'SMALLINT' }
  | { readonly kind: 'INT' }
  /** `asBigInt`: rows carry `bigint`; without it a `number` that is checked to be exact. */
  | { readonly kind: 'BIGINT'; readonly asBigInt?: true }
  | { readonly kind: 'FLOAT' }
  | { readonly kind: 'DOUBLE' }
  /** Stored as units of 10^−scale. */
  | { readonly kind: 'DECIMAL'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'VARCHAR' }
  | { readonly kind: 'BINARY' }
  /** Days since 1970-01-01. */
  | { readonly kind: 'DATE' }
  | { readonly kind: 'TIME'; readonly precision: number }
  /** Precision 0–3: whole milliseconds since the epoch, 4–6: microseconds, 7–9: nanoseconds; without a zone, read as UTC. */
  | { readonly kind: 'TIMESTAMP'; readonly precision: number }
  | { readonly kind: 'TIMESTAMP_LTZ'; readonly precision: number }
  | { readonly kind: 'INTERVAL'; readonly of: 'YEAR_MONTH' | 'DAY_TIME' }
  | { readonly kind: 'ARRAY'; readonly of: DataType; readonly nullable: boolean }
  | { readonly kind: 'MAP'; readonly key: DataType; readonly value: DataType; readonly nullable: boolean }
  | { readonly kind: 'ROW'; readonly fields: readonly Field[] };

export type TypeKind = DataType['kind'];

/** A named column. */
export interface Field {
  readonly name: string;
  readonly type: DataType;
  readonly nullable: boolean;
}

/** Columns in order: the logical row type of a stream. */
export type Fields = readonly Field[];

/** The value of a window key: ROW<start, end>, both TIMESTAMP(3). */
export const windowType: DataType = {
  kind: 'ROW',
  fields: [
    { name: 'start', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false },
    { name: 'end', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false },
  ],
};

/** The type as SQL writes it: `DECIMAL(10, 2)`, `TIMESTAMP(3)`, `ROW<start TIMESTAMP(3), end TIMESTAMP(3)>`. */
export function typeName(type: DataType): string {
  switch (type.kind) {
    case 'DECIMAL':
      return `DECIMAL(${type.precision}, ${type.scale})`;
    case 'TIME':
    case 'TIMESTAMP':
    case 'TIMESTAMP_LTZ':
      return `${type.kind}(${type.precision})`;
    case 'INTERVAL':
      return `INTERVAL ${type.of === 'YEAR_MONTH' ? 'YEAR TO MONTH' : 'DAY TO SECOND'}`;
    case 'ARRAY':
      return `ARRAY<${typeName(type.of)}>`;
    case 'MAP':
      return `MAP<${typeName(type.key)}, ${typeName(type.value)}>`;
    case 'ROW':
      return `ROW<${type.fields.map((f) => `${f.name} ${typeName(f.type)}`).join(', ')}>`;
    default:
      return type.kind;
  }
}

/** Equal in everything that matters to the engine (`asBigInt` does not). */
export function sameType(a: DataType, b: DataType): boolean {
  return typeName(a) === typeName(b);
}

/** Ticks of a TIMESTAMP's stored integer per millisecond: 1, 1,000 or 1,000,000. */
export function ticksPerMs(precision: number): number {
  return precision <= 3 ? 1 : precision <= 6 ? 1000 : 1_000_000;
}
