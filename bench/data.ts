/**
 * Seeded columns on shared buffers, as a caller of `arrowTable` would hold them, and plain arrays of the same values for
 * the rivals. Rows of results come back from Arrow batches here.
 */
import {
  type Data,
  Dictionary,
  Float64,
  Int32,
  Int64,
  makeData,
  type RecordBatch,
  Table,
  TimestampMillisecond,
  Utf8,
  Vector,
} from 'apache-arrow';
import { prng } from '../core/base/prng.ts';
import type { ArrowBatch } from '../index.ts';
import type { Cell } from './harness.ts';

/** A column of numbers as everybody gets it: shared for us, the same memory read as a typed array by plain JavaScript. */
export interface NumberColumn {
  readonly kind: 'i64' | 'i32' | 'f64' | 'time';
  readonly values: Int32Array | Float64Array | BigInt64Array;
}
export interface TextColumn {
  readonly kind: 'text';
  /** Rows are codes of these texts. */
  readonly texts: readonly string[];
  readonly codes: Int32Array;
  readonly dictionary: boolean;
}
export type DataColumn = NumberColumn | TextColumn;
export type DataColumns = Readonly<Record<string, DataColumn>>;

const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);

/** Whole numbers of at most 2^32 that `value(i)` gives. */
export function i64Column(rows: number, value: (i: number) => number, kind: 'i64' | 'time' = 'i64'): NumberColumn {
  const values = new BigInt64Array(shared(rows * 8));
  const halves = new Int32Array(values.buffer);
  for (let i = 0; i < rows; i++) {
    const of = value(i);
    halves[i * 2] = of | 0;
    halves[i * 2 + 1] = Math.floor(of / 4294967296);
  }
  return { kind, values };
}

export function i32Column(rows: number, value: (i: number) => number): NumberColumn {
  const values = new Int32Array(shared(rows * 4));
  for (let i = 0; i < rows; i++) values[i] = value(i);
  return { kind: 'i32', values };
}

export function f64Column(rows: number, value: (i: number) => number): NumberColumn {
  const values = new Float64Array(shared(rows * 8));
  for (let i = 0; i < rows; i++) values[i] = value(i);
  return { kind: 'f64', values };
}

/** Texts of `length` bytes, `distinct` of them, in random order. */
export function textColumn(
  rows: number,
  distinct: number,
  length: number,
  seed: number,
  dictionary = false,
): TextColumn {
  const random = prng(seed);
  const texts = Array.from({ length: distinct }, (_, i) => `k${String(i).padStart(length - 1, '0')}`);
  const codes = new Int32Array(shared(rows * 4));
  for (let i = 0; i < rows; i++) codes[i] = random.below(distinct);
  return { kind: 'text', texts, codes, dictionary };
}

/** An Arrow table over the columns' own (shared) memory; texts are written into shared memory once. */
export function tableOf(columns: DataColumns): Table {
  return new Table(Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, vectorOf(column)])));
}

function vectorOf(column: DataColumn): Vector {
  if (column.kind === 'text')
    return column.dictionary ? new Vector([dictionaryData(column)]) : new Vector([textData(column)]);
  const { values } = column;
  const length = values.length;
  const nullCount = 0;
  switch (column.kind) {
    case 'i64':
      return new Vector([makeData({ type: new Int64(), length, nullCount, data: values as BigInt64Array })]);
    case 'time':
      return new Vector([
        makeData({ type: new TimestampMillisecond(), length, nullCount, data: values as BigInt64Array }),
      ]);
    case 'i32':
      return new Vector([makeData({ type: new Int32(), length, nullCount, data: values as Int32Array })]);
    case 'f64':
      return new Vector([makeData({ type: new Float64(), length, nullCount, data: values as Float64Array })]);
  }
}

function textData({ texts, codes }: { texts: readonly string[]; codes: Int32Array }): Data<Utf8> {
  const bytes = texts.map((text) => Buffer.from(text));
  const width = bytes[0]?.length ?? 0;
  const data = new Uint8Array(shared(Math.max(1, codes.length * width)));
  const valueOffsets = new Int32Array(shared((codes.length + 1) * 4));
  for (let i = 0; i < codes.length; i++) {
    data.set(bytes[codes[i] as number] as Buffer, i * width);
    valueOffsets[i + 1] = (i + 1) * width;
  }
  return makeData({ type: new Utf8(), length: codes.length, nullCount: 0, valueOffsets, data });
}

function dictionaryData({ texts, codes }: TextColumn): Data<Dictionary<Utf8, Int32>> {
  const all = Int32Array.from(texts, (_, i) => i);
  const dictionary = new Vector([textData({ texts, codes: all })]);
  return makeData({
    type: new Dictionary(new Utf8(), new Int32(), 0),
    length: codes.length,
    nullCount: 0,
    data: codes,
    dictionary,
  });
}

/** Every row of the batches; whole numbers and doubles as they are, texts as strings, times as milliseconds. */
export function arrowRows(batches: readonly ArrowBatch[], names: readonly string[]): Cell[][] {
  const rows: Cell[][] = [];
  for (const batch of batches) {
    const columns = names.map((name) => cellsOf((batch as RecordBatch).getChild(name)));
    for (let i = 0; i < batch.numRows; i++) rows.push(columns.map((cells) => cells[i] as Cell));
  }
  return rows;
}

function cellsOf(vector: Vector | null): ArrayLike<Cell> {
  if (vector === null) throw new Error('the result lacks a column');
  if (vector.type instanceof Int64 && vector.nullCount === 0) return vector.toArray() as BigInt64Array;
  return Array.from({ length: vector.length }, (_, i) => vector.get(i) as Cell);
}
