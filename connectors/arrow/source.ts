/**
 * The `arrow` source: an apache-arrow Table of the caller's, read in the slots side by side. Options: `resource` (id of
 * what `prepareArrowTable` made of it: descriptors over shared memory). Splits are ranges of rows; a position is a row.
 * Replayable as long as the table's buffers are not changed. Does not load apache-arrow.
 */

import { MillraceError } from '../../core/base/errors.ts';
import { batchRowsMax } from '../../core/base/limits.ts';
import {
  type ConnectorSpec,
  PollStatus,
  type ReaderContext,
  type ReadRequest,
  type SourceConnector,
  type SourceReader,
  type Split,
} from '../../core/ports/connector.ts';
import { type Batch, batch, type Column } from '../../core/record/batch.ts';
import type { Layout } from '../../core/record/layout.ts';
import type { Fields } from '../../core/record/types.ts';
import { type ColumnImporter, columnImporter, type LeafOfChunk } from './columns.ts';
import type { ArrowColumn, ArrowData } from './describe.ts';

export const arrowSource: SourceConnector = {
  kind: 'arrow',

  async describe(spec, resource) {
    const data = dataOf(spec, resource);
    return {
      fields: data.fields,
      bounded: true,
      estimatedRows: data.rows,
      place: 'slot',
      notes: [`${data.rows} rows in ${data.chunks.length} batches, copied from shared memory`],
    };
  },

  async enumerate(spec, request, parallelism, resource) {
    const data = dataOf(spec, resource);
    const splits: Split[] = [];
    for (let from = 0, to = 0; from < data.rows; from = to) {
      to = Math.min(data.rows, from + splitRows(data.rows - from, parallelism, request.timeColumn !== null));
      const minimum = request.timeColumn === null ? null : leastTime(data, request, from, to);
      splits.push({ id: `${from}`, options: { from, to }, position: null, estimatedRows: to - from, minimum });
    }
    return splits;
  },

  reader: (spec, request, context) => new ArrowReader(spec, dataOf(spec, context.resource), request, context),
};

/**
 * Rows of the next split. Each is a share of what is left, so that few messages do for many rows and slots still end
 * together (guided self-scheduling: Polychronopoulos and Kuck, 1987). Where rows have event time splits stay small: what
 * slots read side by side should be near in time, or windows are open for long.
 */
function splitRows(left: number, parallelism: number, timed: boolean): number {
  const share = Math.ceil(left / (2 * parallelism) / batchRowsMax) * batchRowsMax;
  return timed ? Math.min(timedRowsMax, share) : Math.max(splitRowsMin, share);
}

const splitRowsMin = 4 * batchRowsMax;
const timedRowsMax = 64 * batchRowsMax;

function dataOf(spec: ConnectorSpec, resource: (id: string) => unknown): ArrowData {
  const data = resource(String(spec.options.resource)) as ArrowData | undefined;
  if (data?.chunks === undefined)
    throw new MillraceError('source/failed', `${spec.label}: its table is not in this thread`);
  return data;
}

class ArrowReader implements SourceReader {
  readonly #label: string;
  readonly #layout: Layout;
  readonly #data: ArrowData;
  readonly #batchRows: number;
  readonly #importers: readonly ColumnImporter[];
  readonly #paths: readonly (readonly number[])[];
  /** Leaves of the chunk being read. */
  #leaves: readonly LeafOfChunk[] = [];
  #chunk = 0;
  /** Row of the table with which the chunk begins. */
  #chunkFrom = 0;
  #next = 0;
  #end = 0;
  #batch: Batch | null = null;

  constructor(spec: ConnectorSpec, data: ArrowData, request: ReadRequest, context: ReaderContext) {
    this.#label = spec.label;
    this.#layout = request.layout;
    this.#data = data;
    this.#batchRows = context.batchRows;
    this.#paths = request.layout.map((leaf) => pathOf(leaf.name, data.fields, spec.label));
    this.#importers = request.layout.map((leaf) => columnImporter(leaf, context));
  }

  get batch(): Batch {
    return this.#batch!;
  }

  open(split: Split): void {
    this.#next = split.position === null ? Number(split.options.from) : Number(split.position);
    this.#end = Number(split.options.to);
    this.#chunk = 0;
    this.#chunkFrom = 0;
    this.#leaves = [];
  }

  poll(): PollStatus {
    if (this.#next >= this.#end) return PollStatus.ended;
    this.#toChunk();
    const { rows } = this.#data.chunks[this.#chunk]!;
    const row = this.#next - this.#chunkFrom;
    let n = Math.min(this.#batchRows, this.#end - this.#next, rows - row);
    for (let i = 0; i < this.#importers.length; i++) n = this.#importers[i]!.fits(this.#leaves[i]!, row, n);
    const columns: Column[] = [];
    for (let i = 0; i < this.#importers.length; i++) columns.push(this.#importers[i]!.read(this.#leaves[i]!, row, n));
    this.#batch = batch(this.#layout, n, columns, { origin: { source: this.#label, firstRow: this.#next } });
    this.#next += n;
    return PollStatus.moved;
  }

  position(): number {
    return this.#next;
  }

  close(): void {}

  #toChunk(): void {
    const { chunks } = this.#data;
    let moved = this.#leaves.length === 0;
    while (this.#next >= this.#chunkFrom + chunks[this.#chunk]!.rows) {
      this.#chunkFrom += chunks[this.#chunk]!.rows;
      this.#chunk++;
      moved = true;
    }
    if (moved) this.#leaves = this.#paths.map((path) => leafAt(chunks[this.#chunk]!.columns, path));
  }
}

/** Indices of columns and children that lead to a leaf. Errors: `schema/mismatch`. */
export function pathOf(name: string, fields: Fields, place: string): readonly number[] {
  const search = (among: Fields, prefix: string): readonly number[] | null => {
    for (const [i, field] of among.entries()) {
      if (prefix + field.name === name && field.type.kind !== 'ROW') return [i];
      const below = field.type.kind === 'ROW' ? search(field.type.fields, `${prefix}${field.name}.`) : null;
      if (below) return [i, ...below];
    }
    return null;
  };
  const path = search(fields, '');
  if (path) return path;
  throw new MillraceError(
    'schema/mismatch',
    `${place} has no column '${name}'; it has ${fields.map((f) => f.name).join(', ')}`,
  );
}

export function leafAt(columns: readonly ArrowColumn[], path: readonly number[]): LeafOfChunk {
  const above: ArrowColumn[] = [];
  let column = columns[path[0]!]!;
  for (const i of path.slice(1)) {
    if (column.validity !== null) above.push(column);
    column = column.children[i]!;
  }
  return { column, above };
}

/** The least stored time of rows [from, to), where the column's values lie as the leaf's do; null where they do not. */
function leastTime(data: ArrowData, request: ReadRequest, from: number, to: number): string | null {
  const leaf = request.layout.find((column) => column.name === request.timeColumn);
  if (leaf?.type.kind !== 'TIMESTAMP') return null;
  const path = pathOf(leaf.name, data.fields, 'the table');
  const perSecond = leaf.type.precision <= 3 ? 1000 : 1_000_000;
  let least: bigint | null = null;
  let start = 0;
  for (const chunk of data.chunks) {
    const first = Math.max(from, start) - start;
    const last = Math.min(to, start + chunk.rows) - start;
    start += chunk.rows;
    if (first >= last) continue;
    const { type, values } = leafAt(chunk.columns, path).column;
    if (type.kind !== 'timestamp' || type.perSecond !== perSecond || values === null || values.byteOffset % 8 !== 0)
      return null;
    if (values.length < last * 8) return null;
    const value = leastI64(new Int32Array(values.buffer, values.byteOffset, last * 2), first, last);
    if (least === null || value < least) least = value;
  }
  return least === null ? null : least.toString();
}

/** By halves: reading a BigInt64Array would make a bigint of every row. */
function leastI64(words: Int32Array, first: number, last: number): bigint {
  let high = words[first * 2 + 1]!;
  let low = words[first * 2]! >>> 0;
  for (let i = first + 1; i < last; i++) {
    const h = words[i * 2 + 1]!;
    if (h > high) continue;
    const l = words[i * 2]! >>> 0;
    if (h < high || l < low) {
      high = h;
      low = l;
    }
  }
  return BigInt(high) * 4_294_967_296n + BigInt(low);
}
