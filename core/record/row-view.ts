/**
 * Rows as JavaScript sees them: logical columns by name, ROWs as nested objects. A view is one reused object that ends
 * with the call it was made for; a reader makes plain objects that are the receiver's to keep. Neither knows who asks.
 */
import { MillraceError } from '../base/errors.ts';
import type { Batch } from './batch.ts';
import { type ColumnReader, columnReader, type LeafValue } from './column-reader.ts';
import { layoutOf } from './layout.ts';
import type { SlotMemory } from './memory.ts';
import type { Fields } from './types.ts';

export type RowValue = LeafValue | RowObject;
export interface RowObject {
  readonly [name: string]: RowValue;
}

/** One object for all rows: own enumerable getters, so that spread and JSON.stringify work; strings are decoded when read. */
export interface RowView {
  /** Looks into `batch` from now on, whose first leaves are those of the view's fields. */
  open(batch: Batch): void;
  /** The view of that row. It is valid until the next `at` or `end`, whatever was kept of it. */
  at(row: number): RowObject;
  /** The current row's call is over. */
  end(): void;
}

export interface RowViewOptions {
  /** Every row gets an object of its own that throws once its call is over: finds kept rows, at a price. Test mode. */
  readonly poison?: boolean;
}

/** Errors of the getters: `value/unsafe-integer`; `function/threw` for a kept row in test mode. */
export function rowView(fields: Fields, memory: SlotMemory, options: RowViewOptions = {}): RowView {
  const columns = columnsOf(fields, memory);
  const place = { row: 0 };
  const shared = options.poison ? null : viewObject(columns, () => place.row);
  let generation = 0;
  return {
    open: (batch) => openAll(columns, batch),
    at(row) {
      place.row = row;
      if (shared) return shared;
      const mine = ++generation;
      return viewObject(columns, () => {
        if (mine !== generation) throw keptRow();
        return row;
      });
    },
    end() {
      generation++;
    },
  };
}

/** Makes a plain object of each row. */
export interface RowReader {
  open(batch: Batch): void;
  /** Errors: `value/unsafe-integer`. */
  read(row: number): RowObject;
}

export function rowReader(fields: Fields, memory: SlotMemory): RowReader {
  const columns = columnsOf(fields, memory);
  return { open: (batch) => openAll(columns, batch), read: (row) => plainObject(columns, row) };
}

/** One row of a batch as a plain object. For errors and tests; who reads many keeps a `rowReader`. */
export function readRow(batch: Batch, row: number, fields: Fields, memory: SlotMemory): RowObject {
  const reader = rowReader(fields, memory);
  reader.open(batch);
  return reader.read(row);
}

/** A logical column: one leaf, or a ROW of columns. */
interface LogicalColumn {
  readonly name: string;
  readonly value: (row: number) => RowValue;
  readonly isNull: (row: number) => boolean;
  readonly open: (batch: Batch) => void;
}

function columnsOf(fields: Fields, memory: SlotMemory): readonly LogicalColumn[] {
  const layout = layoutOf(fields);
  let leaf = 0;
  const visit = (from: Fields): LogicalColumn[] =>
    from.map((field) => {
      if (field.type.kind !== 'ROW') {
        const at = leaf++;
        const column = layout[at];
        if (!column) throw new RangeError('a field without a leaf');
        return leafColumn(field.name, at, columnReader(column, memory));
      }
      return nestedColumn(field.name, field.nullable, visit(field.type.fields));
    });
  return visit(fields);
}

function leafColumn(name: string, leaf: number, reader: ColumnReader): LogicalColumn {
  return {
    name,
    value: reader.value,
    isNull: reader.isNull,
    open(batch) {
      const column = batch.columns[leaf];
      if (!column) throw new RangeError(`a batch without leaf ${leaf}`);
      reader.open(column);
    },
  };
}

/** A ROW comes as an object of its own. A nullable one whose leaves are all NULL is NULL: its leaves carry no flag of their own. */
function nestedColumn(name: string, nullable: boolean, columns: readonly LogicalColumn[]): LogicalColumn {
  const isNull = (row: number): boolean => nullable && columns.every((column) => column.isNull(row));
  return {
    name,
    isNull,
    value: (row) => (isNull(row) ? null : plainObject(columns, row)),
    open: (batch) => openAll(columns, batch),
  };
}

function openAll(columns: readonly LogicalColumn[], batch: Batch): void {
  for (const column of columns) column.open(batch);
}

function plainObject(columns: readonly LogicalColumn[], row: number): RowObject {
  const object: Record<string, RowValue> = {};
  for (const column of columns) {
    if (column.name === '__proto__') define(object, column.name, { value: column.value(row), writable: true });
    else object[column.name] = column.value(row);
  }
  return object;
}

function viewObject(columns: readonly LogicalColumn[], row: () => number): RowObject {
  const view: Record<string, RowValue> = {};
  for (const { name, value } of columns) define(view, name, { get: () => value(row()) });
  return Object.freeze(view);
}

/** Defining, not assigning: a column may be called `__proto__`. */
function define(object: object, name: string, property: PropertyDescriptor): void {
  Object.defineProperty(object, name, { ...property, enumerable: true, configurable: !property.get });
}

function keptRow(): MillraceError {
  return new MillraceError(
    'function/threw',
    'a row was read after its call had ended: rows are views that are reused; keep a copy ({ ...row }) or the values',
  );
}
