/**
 * Arrow data as plain descriptors: what a Table holds, without the library's classes, so that it can be cloned into the
 * slots and read there without apache-arrow. Walks apache-arrow's public `Data`; copies no value.
 *
 * As apache-arrow keeps them: `values` and `offsets` begin with row 0, bitmaps (validity, and values of Bool) with bit
 * `offset`.
 */
import type { DataType as ArrowDataType, Data, Field, RecordBatch, Table } from 'apache-arrow';
import { describeKind } from '../../core/base/describe.ts';
import { MillraceError } from '../../core/base/errors.ts';
import type { DataType, Fields, Field as PlainField } from '../../core/record/types.ts';

export type ArrowType =
  | { readonly kind: 'bool' }
  | { readonly kind: 'int'; readonly bytes: 1 | 2 | 4 | 8; readonly signed: boolean }
  | { readonly kind: 'float'; readonly bytes: 2 | 4 | 8 }
  | { readonly kind: 'utf8' | 'largeUtf8' | 'utf8View' }
  /** DateDay counts days in 4 bytes, DateMillisecond milliseconds in 8. */
  | { readonly kind: 'date'; readonly bytes: 4 | 8 }
  | { readonly kind: 'timestamp'; readonly perSecond: 1 | 1000 | 1_000_000 | 1_000_000_000 }
  | { readonly kind: 'dictionary'; readonly index: ArrowType; readonly of: ArrowType }
  /** Units of 10^−scale, little-endian. */
  | { readonly kind: 'decimal'; readonly bytes: 16 | 32; readonly precision: number; readonly scale: number }
  | { readonly kind: 'struct' }
  | { readonly kind: 'null' }
  /** What the engine does not read, by the library's name. */
  | { readonly kind: 'other'; readonly name: string };

/** One column of one chunk. */
export interface ArrowColumn {
  readonly type: ArrowType;
  readonly length: number;
  /** First bit of `validity` and of a Bool's values. */
  readonly offset: number;
  /** null: no row is null. */
  readonly validity: Uint8Array | null;
  readonly values: Uint8Array | null;
  readonly offsets: Int32Array | BigInt64Array | null;
  /** Utf8View's data buffers. */
  readonly buffers: readonly Uint8Array[];
  readonly children: readonly ArrowColumn[];
  /** Chunks of a dictionary's values; the same array for every chunk that has the same dictionary. */
  readonly dictionary: readonly ArrowColumn[] | null;
}

export interface ArrowChunk {
  readonly rows: number;
  /** Top-level columns, as in `fields`. */
  readonly columns: readonly ArrowColumn[];
}

export interface ArrowData {
  readonly fields: Fields;
  readonly rows: number;
  readonly chunks: readonly ArrowChunk[];
}

/** Errors: `source/unsupported` for what is no Table, RecordBatch or array of them; `schema/mismatch` for unlike batches. */
export function describeArrow(from: unknown): ArrowData {
  const batches = batchesOf(from);
  const dictionaries = new Map<unknown, readonly ArrowColumn[]>();
  const chunks = batches.map(
    (batch): ArrowChunk => ({
      rows: batch.numRows,
      columns: batch.data.children.map((child) => columnOf(child, dictionaries)),
    }),
  );
  const schema = (from as Partial<Table>).schema ?? batches[0]?.schema;
  if (schema === undefined) {
    throw new MillraceError('source/unsupported', 'an empty array of Arrow batches has no columns; pass a Table');
  }
  const fields = schema.fields.map(fieldOf);
  const names = JSON.stringify(fields.map((f) => [f.name, f.type]));
  for (const batch of batches) {
    if (JSON.stringify(batch.schema.fields.map(fieldOf).map((f) => [f.name, f.type])) !== names) {
      throw new MillraceError('schema/mismatch', 'the Arrow batches do not have the same columns');
    }
  }
  return { fields, chunks, rows: chunks.reduce((sum, chunk) => sum + chunk.rows, 0) };
}

function batchesOf(from: unknown): readonly RecordBatch[] {
  if (Array.isArray(from)) return from.flatMap(batchesOf);
  const { batches, data, numRows } = (from ?? {}) as Partial<Table & RecordBatch>;
  if (Array.isArray(batches)) return batches as readonly RecordBatch[];
  if (data !== undefined && !Array.isArray(data) && typeof numRows === 'number') return [from as RecordBatch];
  throw new MillraceError(
    'source/unsupported',
    `expected an apache-arrow Table or RecordBatch, got ${describeKind(from)}`,
  );
}

function columnOf(data: Data, dictionaries: Map<unknown, readonly ArrowColumn[]>): ArrowColumn {
  const type = typeOf(data.type);
  const bitmap = data.nullBitmap;
  return {
    type,
    length: data.length,
    offset: data.offset,
    validity: type.kind !== 'null' && bitmap && bitmap.length > 0 && data.nullCount > 0 ? bytesOf(bitmap) : null,
    values: data.values ? bytesOf(data.values as unknown as ArrayBufferView) : null,
    offsets: (data.valueOffsets as Int32Array | BigInt64Array | undefined) ?? null,
    buffers: (data.variadicBuffers ?? []).map(bytesOf),
    children: data.children.map((child) => columnOf(child as Data, dictionaries)),
    dictionary: type.kind === 'dictionary' ? dictionaryOf(data, dictionaries) : null,
  };
}

function dictionaryOf(data: Data, known: Map<unknown, readonly ArrowColumn[]>): readonly ArrowColumn[] {
  const vector = data.dictionary;
  let chunks = known.get(vector);
  if (chunks === undefined) {
    chunks = (vector?.data ?? []).map((chunk) => columnOf(chunk as Data, known));
    known.set(vector, chunks);
  }
  return chunks;
}

const bytesOf = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** apache-arrow's Type numbers: importing the library for them would cost what this file avoids. */
const typeNumber = {
  Null: 1,
  Int: 2,
  Float: 3,
  Binary: 4,
  Utf8: 5,
  Bool: 6,
  Decimal: 7,
  Date: 8,
  Time: 9,
  Timestamp: 10,
  List: 12,
  Struct: 13,
  FixedSizeBinary: 15,
  LargeBinary: 19,
  LargeUtf8: 20,
  Utf8View: 24,
  Dictionary: -1,
} as const;

function typeOf(type: ArrowDataType): ArrowType {
  // Data carries concrete types (-2 …) or general ones; `typeId` is the general one.
  const t = type as unknown as {
    readonly typeId: number;
    readonly bitWidth: number;
    readonly isSigned: boolean;
    readonly precision: number;
    readonly scale: number;
    readonly unit: number;
    readonly indices: ArrowDataType;
    readonly dictionary: ArrowDataType;
  };
  switch (t.typeId) {
    case typeNumber.Null:
      return { kind: 'null' };
    case typeNumber.Bool:
      return { kind: 'bool' };
    case typeNumber.Int:
      return { kind: 'int', bytes: (t.bitWidth / 8) as 1 | 2 | 4 | 8, signed: t.isSigned };
    case typeNumber.Float:
      return { kind: 'float', bytes: (2 << t.precision) as 2 | 4 | 8 };
    case typeNumber.Utf8:
      return { kind: 'utf8' };
    case typeNumber.LargeUtf8:
      return { kind: 'largeUtf8' };
    case typeNumber.Utf8View:
      return { kind: 'utf8View' };
    case typeNumber.Date:
      return { kind: 'date', bytes: t.unit === 0 ? 4 : 8 };
    case typeNumber.Timestamp:
      return { kind: 'timestamp', perSecond: (1000 ** t.unit) as 1 | 1000 | 1_000_000 | 1_000_000_000 };
    case typeNumber.Dictionary:
      return { kind: 'dictionary', index: typeOf(t.indices), of: typeOf(t.dictionary) };
    case typeNumber.Decimal:
      return { kind: 'decimal', bytes: t.bitWidth === 256 ? 32 : 16, precision: t.precision, scale: t.scale };
    case typeNumber.Struct:
      return { kind: 'struct' };
    default:
      return { kind: 'other', name: String(type) };
  }
}

function fieldOf(field: Field): PlainField {
  return { name: field.name, type: plainType(field.type), nullable: field.nullable };
}

/** The SQL type of an Arrow column. Nanoseconds become TIMESTAMP(6): the last three digits are floored away. */
function plainType(type: ArrowDataType): DataType {
  const arrow = typeOf(type);
  switch (arrow.kind) {
    case 'bool':
      return { kind: 'BOOLEAN' };
    case 'int':
      return { kind: arrow.bytes < 4 || (arrow.bytes === 4 && arrow.signed) ? 'INT' : 'BIGINT' };
    case 'float':
      return { kind: 'DOUBLE' };
    case 'utf8':
    case 'largeUtf8':
    case 'utf8View':
    case 'null':
      return { kind: 'VARCHAR' };
    case 'date':
      return { kind: 'DATE' };
    case 'timestamp':
      return { kind: 'TIMESTAMP', precision: arrow.perSecond <= 1000 ? 3 : 6 };
    case 'dictionary':
      return plainType((type as unknown as { dictionary: ArrowDataType }).dictionary);
    case 'decimal':
      return { kind: 'DECIMAL', precision: arrow.precision, scale: arrow.scale };
    case 'struct':
      return { kind: 'ROW', fields: (type.children ?? []).map((f) => fieldOf(f as Field)) };
    case 'other':
      return otherType(type);
  }
}

/** Types without storage in the engine: named, so that the plan can say which column it cannot read. */
function otherType(type: ArrowDataType): DataType {
  const t = type as unknown as { typeId: number; children?: readonly Field[] };
  switch (t.typeId) {
    case typeNumber.Time:
      return { kind: 'TIME', precision: 3 };
    case typeNumber.List:
      return {
        kind: 'ARRAY',
        of: t.children?.[0] ? plainType(t.children[0].type) : { kind: 'VARCHAR' },
        nullable: true,
      };
    default:
      return { kind: 'BINARY' };
  }
}
