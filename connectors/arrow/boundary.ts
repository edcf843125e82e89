/**
 * Batches to apache-arrow's RecordBatches and back, for user functions and receivers: copies both ways, so that neither
 * side sees the other's memory. The only file here that loads apache-arrow.
 */
import * as arrow from 'apache-arrow';
import { MillraceError } from '../../core/base/errors.ts';
import type { ArrowBoundary, ArrowImporter } from '../../core/ports/arrow.ts';
import type { Kernels } from '../../core/ports/kernels.ts';
import { type Batch, batch as batchOf, type Column } from '../../core/record/batch.ts';
import { isValid } from '../../core/record/column-reader.ts';
import { type LayoutColumn, layoutOf } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import type { DataType, Field, Fields } from '../../core/record/types.ts';
import { columnImporter } from './columns.ts';
import { type ArrowData, describeArrow } from './describe.ts';
import { leafAt, pathOf } from './source.ts';

/** `nextDictionaryId`: unique within the slot, as `ReaderContext.nextDictionaryId`. */
export function arrowBoundary(kernels: Kernels, nextDictionaryId: () => number): ArrowBoundary {
  return {
    toArrow: (batch, fields, memory) => toRecordBatch(batch, fields, memory),
    fromArrow: (fields, layout, memory, batchRows) =>
      importer(fields, layout, { memory, kernels, batchRows, nextDictionaryId }),
  };
}

/** The apache-arrow schema of rows of type `fields`. */
export function arrowSchema(fields: Fields): arrow.Schema {
  return new arrow.Schema(fields.map((field) => new arrow.Field(field.name, arrowType(field.type), field.nullable)));
}

export function arrowType(type: DataType): arrow.DataType {
  switch (type.kind) {
    case 'BOOLEAN':
      return new arrow.Bool();
    case 'INT':
      return new arrow.Int32();
    case 'BIGINT':
      return new arrow.Int64();
    case 'DECIMAL':
      return new arrow.Decimal(type.scale, type.precision, 128);
    case 'DOUBLE':
      return new arrow.Float64();
    case 'VARCHAR':
      return new arrow.Utf8();
    case 'DATE':
      return new arrow.DateDay();
    case 'TIMESTAMP':
      return type.precision <= 3 ? new arrow.TimestampMillisecond() : new arrow.TimestampMicrosecond();
    case 'ROW':
      return new arrow.Struct(type.fields.map((f) => new arrow.Field(f.name, arrowType(f.type), f.nullable)));
    default:
      throw new MillraceError('plan/unsupported', `columns of type ${type.kind} have no Arrow form yet`);
  }
}

/** The rows that are in, as a RecordBatch of their own. Leaves behind those of `fields` (`$rowtime`) stay out. */
export function toRecordBatch(batch: Batch, fields: Fields, memory: SlotMemory): arrow.RecordBatch {
  const layout = layoutOf(fields);
  const rows = selectedRows(batch, memory);
  let leaf = 0;
  const dataOf = (field: Field): arrow.Data => {
    if (field.type.kind !== 'ROW') {
      const at = leaf++;
      return leafData(layout[at]!, batch.columns[at]!, rows, batch.size, memory);
    }
    const children = field.type.fields.map(dataOf);
    // A nullable ROW has no flag of its own: it is null where all its leaves are, as everywhere in the engine.
    const nulls = field.nullable ? structNulls(children, batch.size) : null;
    return arrow.makeData({
      type: arrowType(field.type) as arrow.Struct,
      length: batch.size,
      children,
      ...(nulls ?? { nullCount: 0 }),
    });
  };
  const schema = arrowSchema(fields);
  const children = fields.map(dataOf);
  return new arrow.RecordBatch(
    schema,
    arrow.makeData({ type: new arrow.Struct(schema.fields), length: batch.size, nullCount: 0, children }),
  );
}

/** Row numbers, or null when every row is in. */
function selectedRows(batch: Batch, memory: SlotMemory): Uint32Array | null {
  if (batch.selection === 0) return null;
  return memory.u32.subarray(batch.selection >>> 2, (batch.selection >>> 2) + batch.size);
}

function leafData(
  leaf: LayoutColumn,
  column: Column,
  rows: Uint32Array | null,
  n: number,
  memory: SlotMemory,
): arrow.Data {
  const type = arrowType(leaf.type);
  const nullBitmap = column.validity === 0 ? null : bits(column.validity, rows, n, memory);
  const common = { type, length: n, ...(nullBitmap ? { nullBitmap, nullCount: -1 } : { nullCount: 0 }) };
  const { values } = column;
  switch (leaf.storage) {
    case 'bit':
      return arrow.makeData({ ...common, type: type as arrow.Bool, data: bits(values, rows, n, memory) });
    case 'i32':
      return arrow.makeData({ ...common, type: type as arrow.Int32, data: gather(memory.i32, values >>> 2, rows, n) });
    case 'i64':
      if (leaf.type.kind === 'DECIMAL') {
        const data = wide(gather(memory.i64, values >>> 3, rows, n));
        return arrow.makeData({ ...common, type: type as arrow.Decimal, data });
      }
      return arrow.makeData({ ...common, type: type as arrow.Int64, data: gather(memory.i64, values >>> 3, rows, n) });
    case 'f64':
      return arrow.makeData({
        ...common,
        type: type as arrow.Float64,
        data: gather(memory.f64, values >>> 3, rows, n),
      });
    case 'view':
      return arrow.makeData({ ...common, type: type as arrow.Utf8, ...texts(column, rows, n, memory) });
  }
}

function gather<A extends Int32Array | BigInt64Array | Float64Array>(
  from: A,
  at: number,
  rows: Uint32Array | null,
  n: number,
): A {
  const out = from.slice(at, at + (rows ? 0 : n)) as A;
  if (!rows) return out;
  const picked = new (from.constructor as new (length: number) => A)(n);
  for (let k = 0; k < n; k++) picked[k] = from[at + rows[k]!]!;
  return picked;
}

function bits(at: number, rows: Uint32Array | null, n: number, { u8 }: SlotMemory): Uint8Array {
  if (!rows) return u8.slice(at, at + ((n + 7) >>> 3));
  const out = new Uint8Array((n + 7) >>> 3);
  for (let k = 0; k < n; k++) {
    const row = rows[k]!;
    out[k >>> 3]! |= ((u8[at + (row >>> 3)]! >>> (row & 7)) & 1) << (k & 7);
  }
  return out;
}

function texts(
  column: Column,
  rows: Uint32Array | null,
  n: number,
  memory: SlotMemory,
): { valueOffsets: Int32Array; data: Uint8Array } {
  const { u8, u32 } = memory;
  const { values, validity, dictionary } = column;
  const valueOffsets = new Int32Array(n + 1);
  const views = new Uint32Array(n);
  let bytes = 0;
  for (let k = 0; k < n; k++) {
    const row = rows ? rows[k]! : k;
    if (isValid(memory, validity, row)) {
      const view = dictionary ? dictionary.views + u32[(values >>> 2) + row]! * 16 : values + row * 16;
      views[k] = view;
      bytes += u32[view >>> 2]!;
    }
    valueOffsets[k + 1] = bytes;
  }
  const data = new Uint8Array(bytes);
  for (let k = 0; k < n; k++) {
    const view = views[k]!;
    if (view === 0) continue;
    const length = u32[view >>> 2]!;
    const from = length <= 12 ? view + 4 : u32[(view + 12) >>> 2]!;
    const to = valueOffsets[k]!;
    if (length <= 32) for (let i = 0; i < length; i++) data[to + i] = u8[from + i]!;
    else data.set(u8.subarray(from, from + length), to);
  }
  return { valueOffsets, data };
}

/** Integers of 64 bits as 128, in Arrow's words of 32. */
function wide(values: BigInt64Array): Uint32Array {
  const words = new BigInt64Array(2 * values.length);
  for (let i = 0; i < values.length; i++) {
    words[2 * i] = values[i]!;
    words[2 * i + 1] = values[i]! < 0n ? -1n : 0n;
  }
  return new Uint32Array(words.buffer);
}

function structNulls(children: readonly arrow.Data[], n: number): { nullBitmap: Uint8Array; nullCount: number } | null {
  const nullBitmap = new Uint8Array((n + 7) >>> 3);
  let nullCount = 0;
  for (let k = 0; k < n; k++) {
    if (children.some((child) => child.getValid(k))) nullBitmap[k >>> 3]! |= 1 << (k & 7);
    else nullCount++;
  }
  return nullCount === 0 ? null : { nullBitmap, nullCount };
}

type ImporterParts = Parameters<typeof columnImporter>[1];

function importer(fields: Fields, layout: readonly LayoutColumn[], context: ImporterParts): ArrowImporter {
  const leaves = layout.slice(0, layoutOf(fields).length);
  const columns = leaves.map((leaf) => columnImporter(leaf, context));
  let data: ArrowData = { fields, rows: 0, chunks: [] };
  let paths: readonly (readonly number[])[] = [];
  let chunk = 0;
  let next = 0;
  return {
    begin(from) {
      data = asMismatch(() => describeArrow(from));
      paths = asMismatch(() => leaves.map((leaf) => pathOf(leaf.name, data.fields, 'the Arrow batch')));
      chunk = 0;
      next = 0;
    },
    next() {
      while (chunk < data.chunks.length && next >= data.chunks[chunk]!.rows) {
        chunk++;
        next = 0;
      }
      const part = data.chunks[chunk];
      if (part === undefined) return null;
      const at = next;
      return asMismatch(() => {
        const parts = paths.map((path) => leafAt(part.columns, path));
        let n = Math.min(context.batchRows, part.rows - at);
        for (const [i, column] of columns.entries()) n = column.fits(parts[i]!, at, n);
        const read = columns.map((column, i) => column.read(parts[i]!, at, n));
        next = at + n;
        return batchOf(leaves, n, read);
      });
    },
  };
}

/** What would be a broken source is here a function's result that is not what it declared. */
function asMismatch<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof MillraceError) || !error.code.startsWith('source/')) throw error;
    throw new MillraceError('schema/mismatch', error.message, { where: error.where, cause: error });
  }
}
