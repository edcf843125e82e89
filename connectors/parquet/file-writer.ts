/** A Parquet file being written: row groups as they fill, then the footer. It knows bytes and rows, not where files end up. */
import type { Batch, Column } from '../../core/record/batch.ts';
import type { LayoutColumn } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import type { DataType, Fields } from '../../core/record/types.ts';
import { type ColumnWriter, columnWriter, type WrittenChunk } from './column-writer.ts';
import type { Compressor } from './compress.ts';
import { Converted, Logical, magic, Physical, Repetition } from './format.ts';
import { type Field, writeThrift } from './thrift-writer.ts';

/** A row group ends behind about so many rows or bytes. */
export const rowGroupRows = 122_880;
export const rowGroupBytes = 64 * 1024 * 1024;

export interface ParquetFileWriter {
  /** Takes the rows that are in; `columns` are those of `leaves`, in order. */
  append(batch: Batch, columns: readonly Column[]): void;
  /** Writes the footer. Nothing may follow. */
  finish(): void;
  /** Bytes of rows that wait for their row group's end. */
  readonly heldBytes: number;
}

/** A leaf that is written, with where it stands in the schema. */
export interface WrittenLeaf {
  readonly column: LayoutColumn;
  readonly path: readonly string[];
  readonly maxDefinition: number;
}

/** The leaves of `fields`, in order. A null leaf of a nullable ROW is written as a ROW that is there and holds NULL. */
export function writtenLeaves(fields: Fields, layout: readonly LayoutColumn[]): WrittenLeaf[] {
  const leaves: WrittenLeaf[] = [];
  const visit = (from: Fields, path: readonly string[], definition: number): void => {
    for (const field of from) {
      const at = [...path, field.name];
      const maxDefinition = definition + (field.nullable ? 1 : 0);
      if (field.type.kind === 'ROW') visit(field.type.fields, at, maxDefinition);
      else {
        const column = layout.find((leaf) => leaf.name === at.join('.'));
        if (column === undefined) throw new Error(`Parquet: no column ${at.join('.')} in the layout`);
        leaves.push({ column, path: at, maxDefinition });
      }
    }
  };
  visit(fields, [], 0);
  return leaves;
}

/** Writers of the columns of `leaves`, for one file after the other: their buffers and dictionaries are made once. */
export function columnWriters(
  leaves: readonly WrittenLeaf[],
  memory: SlotMemory,
  compressor: Compressor,
): readonly ColumnWriter[] {
  return leaves.map((leaf) => columnWriter(leaf.column, leaf.maxDefinition, memory, compressor));
}

/** `columns`: of `leaves`; theirs until `finish`. */
export function parquetFileWriter(
  fields: Fields,
  leaves: readonly WrittenLeaf[],
  columns: readonly ColumnWriter[],
  codec: number,
  write: (bytes: Uint8Array) => void,
): ParquetFileWriter {
  const rowGroups: Field[][] = [];
  let position = 0;
  let rowsInGroup = 0;
  let rows = 0;
  const put = (bytes: Uint8Array): void => {
    write(bytes);
    position += bytes.length;
  };
  const held = (): number => columns.reduce((sum, column) => sum + column.heldBytes, 0);
  put(new TextEncoder().encode(magic));

  const cutRowGroup = (): void => {
    if (rowsInGroup === 0) return;
    const start = position;
    let uncompressed = 0;
    const chunks = columns.map((column, i) => {
      const chunk = column.finish();
      const offset = position;
      for (const part of chunk.parts) put(part);
      uncompressed += chunk.uncompressedBytes;
      return chunkMetadata(leaves[i] as WrittenLeaf, chunk, offset, codec);
    });
    rowGroups.push([
      { id: 1, structs: chunks },
      { id: 2, i64: uncompressed },
      { id: 3, i64: rowsInGroup },
      { id: 5, i64: start },
      { id: 6, i64: position - start },
    ]);
    rows += rowsInGroup;
    rowsInGroup = 0;
  };

  return {
    append(batch, from) {
      for (const [i, column] of columns.entries()) column.append(from[i] as Column, batch.selection, batch.size);
      rowsInGroup += batch.size;
      if (rowsInGroup >= rowGroupRows || held() >= rowGroupBytes) cutRowGroup();
    },
    get heldBytes() {
      return held();
    },
    finish() {
      cutRowGroup();
      const footer = writeThrift([
        { id: 1, i32: 2 },
        {
          id: 2,
          structs: [
            [
              { id: 4, binary: 'schema' },
              { id: 5, i32: fields.length },
            ],
            ...fields.flatMap(elements),
          ],
        },
        { id: 3, i64: rows },
        { id: 4, structs: rowGroups },
        { id: 6, binary: 'millrace' },
        // TypeDefinedOrder for every column: without it, readers do not trust min_value and max_value.
        { id: 7, structs: leaves.map(() => [{ id: 1, struct: [] }]) },
      ]);
      put(footer);
      const end = new Uint8Array(8);
      new DataView(end.buffer).setUint32(0, footer.length, true);
      end.set(new TextEncoder().encode(magic), 4);
      put(end);
    },
  };
}

function chunkMetadata(leaf: WrittenLeaf, chunk: WrittenChunk, offset: number, codec: number): Field[] {
  const statistics: Field[] = [{ id: 3, i64: chunk.nulls }];
  if (chunk.max !== null && chunk.min !== null) {
    statistics.push({ id: 5, binary: chunk.max }, { id: 6, binary: chunk.min });
  }
  const metadata: Field[] = [
    { id: 1, i32: physicalOf(leaf.column) },
    { id: 2, i32s: chunk.encodings },
    { id: 3, strings: leaf.path },
    { id: 4, i32: codec },
    { id: 5, i64: chunk.values },
    { id: 6, i64: chunk.uncompressedBytes },
    { id: 7, i64: chunk.bytes },
    { id: 9, i64: offset + chunk.dataOffset },
  ];
  if (chunk.hasDictionary) metadata.push({ id: 11, i64: offset });
  metadata.push({ id: 12, struct: statistics });
  return [
    { id: 2, i64: offset },
    { id: 3, struct: metadata },
  ];
}

function physicalOf(column: LayoutColumn): number {
  switch (column.storage) {
    case 'bit':
      return Physical.boolean;
    case 'i32':
      return Physical.int32;
    case 'i64':
      return Physical.int64;
    case 'f64':
      return Physical.double;
    case 'view':
      return Physical.byteArray;
  }
}

/** Schema elements of a field, depth first. */
function elements(field: Fields[number]): Field[][] {
  const repetition: Field = { id: 3, i32: field.nullable ? Repetition.optional : Repetition.required };
  const { type } = field;
  if (type.kind === 'ROW') {
    const group: Field[] = [repetition, { id: 4, binary: field.name }, { id: 5, i32: type.fields.length }];
    return [group, ...type.fields.flatMap(elements)];
  }
  return [[{ id: 1, i32: physicalOfType(type) }, repetition, { id: 4, binary: field.name }, ...annotation(type)]];
}

function physicalOfType(type: DataType): number {
  switch (type.kind) {
    case 'BOOLEAN':
      return Physical.boolean;
    case 'INT':
    case 'DATE':
      return Physical.int32;
    case 'BIGINT':
    case 'DECIMAL':
    case 'TIMESTAMP':
      return Physical.int64;
    case 'DOUBLE':
      return Physical.double;
    default:
      return Physical.byteArray;
  }
}

function annotation(type: DataType): Field[] {
  switch (type.kind) {
    case 'VARCHAR':
      return [
        { id: 6, i32: Converted.utf8 },
        { id: 10, struct: [{ id: Logical.string, struct: [] }] },
      ];
    case 'DATE':
      return [
        { id: 6, i32: Converted.date },
        { id: 10, struct: [{ id: Logical.date, struct: [] }] },
      ];
    case 'DECIMAL':
      return [
        { id: 6, i32: Converted.decimal },
        { id: 7, i32: type.scale },
        { id: 8, i32: type.precision },
        {
          id: 10,
          struct: [
            {
              id: Logical.decimal,
              struct: [
                { id: 1, i32: type.scale },
                { id: 2, i32: type.precision },
              ],
            },
          ],
        },
      ];
    case 'TIMESTAMP': {
      // No converted type: it would claim UTC, and these have no zone.
      const unit = type.precision <= 3 ? 1 : type.precision <= 6 ? 2 : 3;
      const timestamp: Field[] = [
        { id: 1, bool: false },
        { id: 2, struct: [{ id: unit, struct: [] }] },
      ];
      return [{ id: 10, struct: [{ id: Logical.timestamp, struct: timestamp }] }];
    }
    default:
      return [];
  }
}
