/** A file's footer: schema, row groups, column chunks. Everything that reading relies on is checked here, once. */
import { MillraceError } from '../../core/base/errors.ts';
import { Converted, footerBytesMax, Logical, magic, Physical, Repetition } from './format.ts';
import {
  asStruct,
  binary,
  decodeText,
  flag,
  integer,
  list,
  readThrift,
  struct,
  ThriftError,
  type ThriftStruct,
  type ThriftValue,
  text,
} from './thrift.ts';

/** What the annotation of a leaf says, once for both ways of annotating. */
export type Meaning =
  | { readonly kind: 'none' | 'string' | 'date' | 'uuid' | 'float16' | 'interval' | 'null' | 'bson' }
  | { readonly kind: 'integer'; readonly bits: number; readonly signed: boolean }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'time' | 'timestamp'; readonly unit: 'ms' | 'us' | 'ns'; readonly utc: boolean };

/** A node of the schema tree. */
export interface SchemaNode {
  readonly name: string;
  readonly repetition: number;
  /** Group nodes have children and no leaf. */
  readonly children: readonly SchemaNode[];
  /** LIST or MAP annotated. */
  readonly collection: 'list' | 'map' | null;
  readonly leaf: Leaf | null;
}

/** A primitive column. */
export interface Leaf {
  /** Dotted path; names that hold a dot stay as they are. */
  readonly name: string;
  /** Index among the column chunks of a row group. */
  readonly index: number;
  readonly physical: Physical;
  /** Bytes of a FIXED_LEN_BYTE_ARRAY, else 0. */
  readonly width: number;
  readonly meaning: Meaning;
  readonly maxDefinition: number;
  readonly maxRepetition: number;
}

export interface Statistics {
  readonly min: Uint8Array | null;
  readonly max: Uint8Array | null;
  readonly nullCount: number | null;
  /** From the deprecated fields, whose order is defined for signed numbers only. */
  readonly deprecated: boolean;
}

export interface ColumnChunk {
  readonly codec: number;
  readonly values: number;
  /** First byte of its first page, dictionary included. */
  readonly offset: number;
  readonly compressedBytes: number;
  readonly uncompressedBytes: number;
  readonly encodings: readonly number[];
  readonly statistics: Statistics | null;
  /** Set when it lies in another file or is encrypted. */
  readonly elsewhere: string | null;
}

export interface RowGroup {
  readonly rows: number;
  readonly columns: readonly ColumnChunk[];
}

export interface ParquetMetadata {
  readonly rows: number;
  readonly root: SchemaNode;
  readonly leaves: readonly Leaf[];
  readonly rowGroups: readonly RowGroup[];
  readonly createdBy: string | null;
}

/** Where the footer lies, from the file's last 8 bytes. Errors: `source/corrupt`. */
export function footerRange(tail: Uint8Array, fileBytes: number, path: string): { offset: number; bytes: number } {
  const end = String.fromCharCode(...tail.subarray(4, 8));
  if (end === 'PARE') throw unsupported('it is encrypted', path);
  if (end !== magic) {
    throw corrupt(`this is no Parquet file, or a part of one: its last four bytes are not ${magic}`, path);
  }
  const bytes = new DataView(tail.buffer, tail.byteOffset, 8).getUint32(0, true);
  // 4 bytes of magic at the start, 8 at the end.
  if (bytes > fileBytes - 12 || bytes > footerBytesMax) {
    throw corrupt(`the footer claims ${bytes} bytes in a file of ${fileBytes}`, path);
  }
  return { offset: fileBytes - 8 - bytes, bytes };
}

/** Errors: `source/corrupt` with the path. */
export function parseMetadata(footer: Uint8Array, fileBytes: number, path: string): ParquetMetadata {
  try {
    return fromThrift(readThrift(footer, 0).struct, fileBytes);
  } catch (error) {
    if (error instanceof ThriftError) throw corrupt(`the footer is damaged: ${error.message}`, path);
    throw error;
  }
}

export function corrupt(message: string, path: string, position?: string): MillraceError {
  return new MillraceError('source/corrupt', message, {
    where: position === undefined ? { path } : { path, position },
  });
}

export function unsupported(message: string, path: string): MillraceError {
  return new MillraceError('source/unsupported', message, { where: { path } });
}

function fromThrift(file: ThriftStruct, fileBytes: number): ParquetMetadata {
  const elements = list(file, 2);
  if (elements === undefined || elements.length === 0) throw new ThriftError('it has no schema', false);
  const leaves: Leaf[] = [];
  const cursor = { at: 0 };
  const root = schemaNode(elements, cursor, '', 0, 0, leaves, 0);
  if (cursor.at !== elements.length) throw new ThriftError('the schema is no tree', false);
  const rows = count(integer(file, 3), 'rows');
  const rowGroups = (list(file, 4) ?? []).map((group) => rowGroup(asStruct(group), leaves, fileBytes));
  return { rows, root, leaves, rowGroups, createdBy: text(file, 6) ?? null };
}

function schemaNode(
  elements: readonly ThriftValue[],
  cursor: { at: number },
  prefix: string,
  definition: number,
  repetition: number,
  leaves: Leaf[],
  depth: number,
): SchemaNode {
  const at = cursor.at++;
  if (at >= elements.length || depth > 64) throw new ThriftError('the schema is no tree', false);
  const element = asStruct(elements[at] as ThriftValue);
  const name = text(element, 4) ?? '';
  const children = integer(element, 5) ?? 0;
  const repeats = depth === 0 ? Repetition.required : (integer(element, 3) ?? Repetition.required);
  if (repeats < 0 || repeats > 2) throw new ThriftError(`column ${name} has repetition ${repeats}`, false);
  if (children < 0 || children > elements.length) throw new ThriftError('the schema is no tree', false);
  const maxDefinition = definition + (repeats === Repetition.required ? 0 : 1);
  const maxRepetition = repetition + (repeats === Repetition.repeated ? 1 : 0);
  const path = depth === 0 ? '' : prefix + name;
  const physical = integer(element, 1);
  const converted = integer(element, 6);
  const logical = struct(element, 10);
  // A root without children is an empty schema; any other element without children is a leaf.
  if (children > 0 || depth === 0 || physical === undefined) {
    const nodes: SchemaNode[] = [];
    for (let i = 0; i < children; i++) {
      nodes.push(
        schemaNode(elements, cursor, depth === 0 ? '' : `${path}.`, maxDefinition, maxRepetition, leaves, depth + 1),
      );
    }
    const collection =
      logical?.fields[Logical.list] !== undefined || converted === Converted.list
        ? 'list'
        : logical?.fields[Logical.map] !== undefined ||
            converted === Converted.map ||
            converted === Converted.mapKeyValue
          ? 'map'
          : null;
    return { name, repetition: repeats, children: nodes, collection, leaf: null };
  }
  if (physical < 0 || physical > 7) throw new ThriftError(`column ${path} has the unknown type ${physical}`, false);
  const width = physical === Physical.fixed ? (integer(element, 2) ?? 0) : 0;
  if (width < 0 || width > 1 << 24 || (physical === Physical.fixed && width === 0)) {
    throw new ThriftError(`column ${path} has values of ${width} bytes`, false);
  }
  const leaf: Leaf = {
    name: path,
    index: leaves.length,
    physical: physical as Physical,
    width,
    meaning: meaningOf(element, logical, converted),
    maxDefinition,
    maxRepetition,
  };
  leaves.push(leaf);
  return { name, repetition: repeats, children: [], collection: null, leaf };
}

function meaningOf(element: ThriftStruct, logical: ThriftStruct | undefined, converted: number | undefined): Meaning {
  if (logical !== undefined) {
    const of = (id: number): ThriftStruct | undefined => struct(logical, id);
    if (of(Logical.string) || of(Logical.enum) || of(Logical.json)) return { kind: 'string' };
    if (of(Logical.date)) return { kind: 'date' };
    if (of(Logical.uuid)) return { kind: 'uuid' };
    if (of(Logical.float16)) return { kind: 'float16' };
    if (of(Logical.unknown)) return { kind: 'null' };
    if (of(Logical.bson)) return { kind: 'bson' };
    const integers = of(Logical.integer);
    if (integers) return { kind: 'integer', bits: integer(integers, 1) ?? 0, signed: flag(integers, 2) ?? true };
    const decimal = of(Logical.decimal);
    if (decimal) return { kind: 'decimal', scale: integer(decimal, 1) ?? 0, precision: integer(decimal, 2) ?? 0 };
    for (const kind of ['time', 'timestamp'] as const) {
      const time = of(Logical[kind]);
      if (!time) continue;
      const unit = struct(time, 2);
      const name = unit?.fields[1] ? 'ms' : unit?.fields[2] ? 'us' : unit?.fields[3] ? 'ns' : null;
      if (name === null) throw new ThriftError('a timestamp without a unit', false);
      return { kind, unit: name, utc: flag(time, 1) ?? false };
    }
  }
  switch (converted) {
    case Converted.utf8:
    case Converted.enum:
    case Converted.json:
      return { kind: 'string' };
    case Converted.bson:
      return { kind: 'bson' };
    case Converted.decimal:
      return { kind: 'decimal', scale: integer(element, 7) ?? 0, precision: integer(element, 8) ?? 0 };
    case Converted.date:
      return { kind: 'date' };
    case Converted.timeMillis:
      return { kind: 'time', unit: 'ms', utc: true };
    case Converted.timeMicros:
      return { kind: 'time', unit: 'us', utc: true };
    case Converted.timestampMillis:
      return { kind: 'timestamp', unit: 'ms', utc: true };
    case Converted.timestampMicros:
      return { kind: 'timestamp', unit: 'us', utc: true };
    case Converted.interval:
      return { kind: 'interval' };
    case Converted.uint8:
    case Converted.uint16:
    case Converted.uint32:
    case Converted.uint64:
      return { kind: 'integer', bits: 8 << (converted - Converted.uint8), signed: false };
    case Converted.int8:
    case Converted.int16:
    case Converted.int32:
    case Converted.int64:
      return { kind: 'integer', bits: 8 << (converted - Converted.int8), signed: true };
    default:
      return { kind: 'none' };
  }
}

function rowGroup(group: ThriftStruct, leaves: readonly Leaf[], fileBytes: number): RowGroup {
  const rows = count(integer(group, 3), 'rows of a row group');
  const columns = list(group, 1) ?? [];
  if (columns.length !== leaves.length) {
    throw new ThriftError(`a row group has ${columns.length} columns, the schema ${leaves.length}`, false);
  }
  return { rows, columns: columns.map((column, i) => chunk(asStruct(column), leaves[i] as Leaf, fileBytes)) };
}

function chunk(column: ThriftStruct, leaf: Leaf, fileBytes: number): ColumnChunk {
  const file = text(column, 1);
  const data = struct(column, 3);
  const encrypted = column.fields[8] !== undefined || data === undefined;
  if (encrypted || file !== undefined) {
    const elsewhere = encrypted ? 'it is encrypted' : `it lies in another file, ${file}`;
    const none = { codec: 0, values: 0, offset: 0, compressedBytes: 0, uncompressedBytes: 0 };
    return { ...none, encodings: [], statistics: null, elsewhere };
  }
  if (integer(data, 1) !== leaf.physical) {
    throw new ThriftError(`column ${leaf.name} has another type in a row group than in the schema`, false);
  }
  const path = (list(data, 3) ?? []).map((part) => decodeText(part as Uint8Array)).join('.');
  if (path !== leaf.name) throw new ThriftError(`column ${leaf.name} is called ${path} in a row group`, false);
  const compressedBytes = count(integer(data, 7), 'compressed bytes');
  const first = count(integer(data, 9), 'an offset');
  // A dictionary of 0 bytes at offset 0 is how some writers say that there is none.
  const dictionary = integer(data, 11) ?? 0;
  const offset = dictionary > 0 && dictionary < first ? dictionary : first;
  const values = count(integer(data, 5), 'values');
  if (values > 0 && (offset < 4 || offset + compressedBytes > fileBytes)) {
    throw new ThriftError(
      `column ${leaf.name} lies at ${offset} to ${offset + compressedBytes} in a file of ${fileBytes} bytes`,
      false,
    );
  }
  const statistics = struct(data, 12);
  return {
    codec: integer(data, 4) ?? 0,
    values,
    offset,
    compressedBytes,
    uncompressedBytes: count(integer(data, 6), 'uncompressed bytes'),
    encodings: (list(data, 2) ?? []).map(Number),
    statistics: statistics === undefined ? null : statisticsOf(statistics),
    elsewhere: null,
  };
}

function statisticsOf(from: ThriftStruct): Statistics {
  const min = binary(from, 6);
  const max = binary(from, 5);
  const nullCount = integer(from, 3) ?? null;
  if (min !== undefined || max !== undefined) {
    return { min: min?.slice() ?? null, max: max?.slice() ?? null, nullCount, deprecated: false };
  }
  return { min: binary(from, 2)?.slice() ?? null, max: binary(from, 1)?.slice() ?? null, nullCount, deprecated: true };
}

function count(value: number | undefined, what: string): number {
  if (value === undefined || value < 0) throw new ThriftError(`${value ?? 'no number of'} ${what}`, false);
  return value;
}
