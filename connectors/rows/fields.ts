/**
 * Column types of in-process rows: declared in the plan, or found by looking at the rows; and the part of them that a
 * reader was asked for. Knows values, not where they come from.
 */
import { describeKind } from '../../core/base/describe.ts';
import { MillraceError } from '../../core/base/errors.ts';
import type { ConnectorSpec } from '../../core/ports/connector.ts';
import { decimalDigitsMax, isDecimal } from '../../core/record/decimal.ts';
import type { Layout } from '../../core/record/layout.ts';
import type { DataType, Field, Fields } from '../../core/record/types.ts';

/** The schema that the plan carries for a place (`options.schema`), or null. */
export function declaredFields(spec: ConnectorSpec): Fields | null {
  const { schema } = spec.options;
  return schema === undefined || schema === null ? null : (schema as unknown as Fields);
}

/**
 * Columns of plain objects: numbers that are all whole are BIGINT, else DOUBLE; a bigint is BIGINT with `asBigInt`;
 * a Decimal is DECIMAL of 18 digits with the greatest scale that is there; Dates are TIMESTAMP(3); objects are ROWs. A column that is null or absent in one row is nullable.
 * Errors: `schema/mismatch` naming row and column for what has no type, or two.
 */
export function inferFields(rows: Iterable<unknown>): Fields {
  const root = rowShape();
  let number = 0;
  for (const row of rows) {
    if (typeof row !== 'object' || row === null) {
      throw mismatch(number, `expected an object, got ${describeKind(row)}`);
    }
    observeRow(root, row, number++, '');
  }
  return fieldsOf(root, number, '');
}

interface Shape {
  kind: 'unknown' | 'BOOLEAN' | 'BIGINT' | 'DOUBLE' | 'VARCHAR' | 'TIMESTAMP' | 'DECIMAL' | 'ROW';
  asBigInt: boolean;
  /** Of a DECIMAL. */
  scale: number;
  /** Rows in which it had a value. */
  seen: number;
  readonly columns: Map<string, Shape>;
}

const rowShape = (): Shape => ({ kind: 'unknown', asBigInt: false, scale: 0, seen: 0, columns: new Map() });

function observeRow(into: Shape, row: object, number: number, prefix: string): void {
  for (const name of Object.keys(row)) {
    let column = into.columns.get(name);
    if (column === undefined) {
      column = rowShape();
      into.columns.set(name, column);
    }
    observe(column, (row as Record<string, unknown>)[name], number, prefix + name);
  }
}

function observe(column: Shape, value: unknown, number: number, path: string): void {
  if (value === null || value === undefined) return;
  const kind = kindOf(value);
  if (kind === null) throw mismatch(number, `column '${path}' holds ${describeKind(value)}, which has no column type`);
  column.seen++;
  if (column.kind === 'unknown' || column.kind === kind) column.kind = kind;
  else if (isNumeric(column.kind) && isNumeric(kind) && !column.asBigInt && typeof value !== 'bigint')
    column.kind = 'DOUBLE';
  else if (!(column.asBigInt && kind === 'BIGINT')) {
    throw mismatch(number, `column '${path}' is ${column.kind} in rows before it and ${kind} here; declare a schema`);
  }
  if (typeof value === 'bigint') column.asBigInt = true;
  if (isDecimal(value)) column.scale = Math.max(column.scale, value.scale);
  if (kind === 'ROW') observeRow(column, value as object, number, `${path}.`);
}

const isNumeric = (kind: Shape['kind']): boolean => kind === 'BIGINT' || kind === 'DOUBLE';

function kindOf(value: unknown): Shape['kind'] | null {
  switch (typeof value) {
    case 'boolean':
      return 'BOOLEAN';
    case 'number':
      return Number.isSafeInteger(value) && !Object.is(value, -0) ? 'BIGINT' : 'DOUBLE';
    case 'bigint':
      return 'BIGINT';
    case 'string':
      return 'VARCHAR';
    case 'object': {
      if (value instanceof Date) return 'TIMESTAMP';
      if (isDecimal(value)) return 'DECIMAL';
      const prototype = Object.getPrototypeOf(value);
      return prototype === Object.prototype || prototype === null ? 'ROW' : null;
    }
    default:
      return null;
  }
}

function fieldsOf(shape: Shape, rows: number, prefix: string): Fields {
  return [...shape.columns].map(([name, column]): Field => {
    const nullable = column.seen < rows;
    return { name, type: typeOf(column, prefix + name), nullable };
  });
}

function typeOf(column: Shape, path: string): DataType {
  switch (column.kind) {
    case 'unknown':
      throw new MillraceError('schema/mismatch', `column '${path}' is null in every row; declare a schema`);
    case 'BIGINT':
      return column.asBigInt ? { kind: 'BIGINT', asBigInt: true } : { kind: 'BIGINT' };
    case 'DECIMAL':
      return { kind: 'DECIMAL', precision: Math.max(decimalDigitsMax, column.scale), scale: column.scale };
    case 'TIMESTAMP':
      return { kind: 'TIMESTAMP', precision: 3 };
    case 'ROW':
      return { kind: 'ROW', fields: fieldsOf(column, column.seen, `${path}.`) };
    default:
      return { kind: column.kind };
  }
}

/**
 * Fields whose leaves are exactly those of `layout`, in its order, shaped as in `all`: what a row writer needs to fill a
 * part of the columns. A ROW of which leaves are wanted apart from one another comes twice, which reading by name allows.
 * Errors: `schema/mismatch` for a leaf that `all` does not have.
 */
export function fieldsOfLayout(all: Fields, layout: Layout, place: string): Fields {
  const paths = new Map<string, readonly Field[]>();
  const visit = (fields: Fields, prefix: string, above: readonly Field[]): void => {
    for (const field of fields) {
      const path = [...above, field];
      if (field.type.kind === 'ROW') visit(field.type.fields, `${prefix}${field.name}.`, path);
      else paths.set(prefix + field.name, path);
    }
  };
  visit(all, '', []);
  return layout.map((leaf) => {
    const path = paths.get(leaf.name);
    if (path === undefined) {
      throw new MillraceError(
        'schema/mismatch',
        `${place} has no column '${leaf.name}'; it has ${[...paths.keys()].join(', ')}`,
      );
    }
    const own = path.at(-1)!;
    // What is asked for counts; within a ROW a leaf's own word does, since a nullable ROW makes all its leaves nullable.
    const last = { ...own, type: leaf.type, nullable: path.length === 1 ? leaf.nullable : own.nullable };
    return path
      .slice(0, -1)
      .reduceRight<Field>((inner, field) => ({ ...field, type: { kind: 'ROW', fields: [inner] } }), last);
  });
}

function mismatch(row: number, what: string): MillraceError {
  return new MillraceError('schema/mismatch', `${what}`, { where: { position: `row ${row}` } });
}
