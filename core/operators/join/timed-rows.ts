/**
 * Rows of one side of a join in the order of a time, then of their key: until event time has come to it. Knows nothing of what becomes of
 * them then.
 *
 *   key    time · hash · key columns · {arrival}
 *   value  columns
 */
import { batchRowsMax, orderedInlineBytesMax, orderedKeyBytesMax, orderedValueBytesMax } from '../../base/limits.ts';
import type { OrderedCursor, OrderedTable } from '../../ports/state.ts';
import { type Batch, batch as batchOf, type Column } from '../../record/batch.ts';
import { type ByteSink, byteSink } from '../../record/bytes.ts';
import { isValid } from '../../record/column-reader.ts';
import { type KeyPart, keyNumberAt, writeKeyColumns, writeKeyHash, writeKeyNumber } from '../../record/key-bytes.ts';
import type { Layout } from '../../record/layout.ts';
import { type LeafTarget, type RowShape, readRowColumns, rowShape, writeRowColumns } from '../../record/row-columns.ts';
import { columnBuffers } from '../../record/row-store.ts';
import { KeyHasher } from '../keyed-parts.ts';
import { type OperatorContext, watermarkMax } from '../operator.ts';
import { columnsUpTo } from '../process/call.ts';
import { Texts } from './rows.ts';

export interface TimedRowsSpec {
  readonly name: string;
  readonly input: Layout;
  readonly keys: readonly number[];
  /** Leaf of the time by which they stand: never NULL. */
  readonly time: number;
  readonly kept: readonly number[];
}

export class TimedRows {
  readonly shape: RowShape;
  readonly table: OrderedTable;
  /** For rows of the other side. */
  readonly matches: OrderedCursor;
  readonly #spec: TimedRowsSpec;
  readonly #context: OperatorContext;
  readonly #own: OrderedCursor;
  readonly #hasher: KeyHasher;
  readonly #hashes: number;
  readonly #keyLayout: Layout;
  readonly #keyColumns: readonly number[];
  readonly #key: ByteSink;
  readonly #value: ByteSink;
  readonly #bound: ByteSink;
  readonly #arrivals: { get(): number; set(value: number): void };
  #arrival: number;
  #batch: Batch | null = null;
  #keyed: Batch | null = null;
  /** Rows of state on their way out, by leaf of the input. */
  readonly #columns: readonly Column[];
  readonly #targets: readonly LeafTarget[];
  readonly #texts: Texts;

  constructor(spec: TimedRowsSpec, context: OperatorContext) {
    const { memory, state, name } = context;
    const { input, keys, kept } = spec;
    this.#spec = spec;
    this.#context = context;
    this.shape = rowShape(input, kept, 0);
    // Keys in state are never NULL.
    this.#keyLayout = keys.map((leaf) => ({ ...input[leaf]!, nullable: false }));
    this.#keyColumns = columnsUpTo(keys.length);
    this.#hasher = new KeyHasher(context, input, keys);
    const take = (bytes: number): number => memory.arena.allocate(bytes, name);
    this.#hashes = take(8 * batchRowsMax);
    const most = orderedKeyBytesMax;
    this.#key = byteSink(memory, take(most), most, most, `a key of ${name}`);
    this.#bound = byteSink(memory, take(8), 8, 8, `a time of ${name}`);
    const usual = 2 * orderedInlineBytesMax;
    this.#value = byteSink(memory, take(usual), usual, orderedValueBytesMax, `a row of ${name}`);
    const part = (of: string, kind: 'BIGINT' | 'HASH'): KeyPart => ({ name: of, type: { kind }, nullable: false });
    this.table = state.ordered({
      name: spec.name,
      keyGroupAt: 8,
      key: [
        { name: '$until', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false },
        part('$hash', 'HASH'),
        ...this.#keyLayout.map(({ name: of, type }): KeyPart => ({ name: of, type, nullable: false })),
        part('$arrival', 'BIGINT'),
      ],
      value: kept.map((leaf) => ({
        name: input[leaf]!.name,
        type: input[leaf]!.type,
        nullable: input[leaf]!.nullable,
      })),
    });
    this.matches = this.table.cursor();
    this.#own = this.table.cursor();
    this.#arrivals = state.value(`${spec.name}.arrivals`, 0, Math.max);
    this.#arrival = this.#arrivals.get();
    const buffers = columnBuffers(input, memory, context.batchRows, `rows of ${name}`);
    this.#columns = buffers.map(({ values, validity }) => ({ values, validity, dictionary: null }));
    this.#targets = this.shape.leaves.map(({ leaf }) => buffers[leaf]!);
    this.#texts = new Texts(context);
  }

  begin(batch: Batch): void {
    const columns = this.#spec.keys.map((leaf) => batch.columns[leaf]!);
    this.#batch = batch;
    this.#keyed = batchOf(this.#keyLayout, batch.rowCount, columns);
    this.#hasher.hash(batch, batch.selection, batch.size, this.#hashes);
  }

  endBatch(): void {
    this.#arrivals.set(this.#arrival);
  }

  timeOf(row: number): number {
    const { i32, u32 } = this.#context.memory;
    const at = (this.#batch!.columns[this.#spec.time]!.values >>> 2) + 2 * row;
    return (i32[at + 1] as number) * 4294967296 + (u32[at] as number);
  }

  /** Whether a row's key can equal another: no part of it is NULL, or NaN. */
  hasKey(row: number): boolean {
    const { memory } = this.#context;
    return this.#keyed!.columns.every(({ validity, values }, i) => {
      if (!isValid(memory, validity, row)) return false;
      return this.#keyLayout[i]!.storage !== 'f64' || !Number.isNaN(memory.f64[(values >>> 3) + row]);
    });
  }

  /** Keeps row `row`, the `k`th of those that are in. */
  put(k: number, row: number): void {
    const { memory } = this.#context;
    const key = this.#key;
    key.reset();
    writeKeyNumber(this.timeOf(row), key);
    writeKeyHash(memory, this.#hashes + 8 * k, key);
    writeKeyColumns(memory, this.#keyed!, this.#keyColumns, row, key);
    writeKeyNumber(this.#arrival++, key);
    const value = this.#value;
    value.reset();
    writeRowColumns(memory, this.#batch!, this.shape, row, value);
    const bytes = key.at - key.from;
    if (value.inMemory) this.table.put(key.from, bytes, value.from, value.at - value.from);
    else this.table.putBytes(key.from, bytes, value.u8, value.from, value.at);
  }

  /** Before the rows of times up to `untilMs`; `watermarkMax`: all. */
  rewind(untilMs: number): void {
    this.#bound.reset();
    if (untilMs < watermarkMax) writeKeyNumber(untilMs + 1, this.#bound);
    this.#own.range(0, 0, this.#bound.from, this.#bound.at - this.#bound.from);
  }

  next(): boolean {
    return this.#own.next();
  }

  /** The current row's time. */
  get timeMs(): number {
    return keyNumberAt(this.#context.memory.u8, this.#own.key);
  }

  /** The current row's hash and key columns, and what tells rows of a key apart behind them. */
  get key(): number {
    return this.#own.key + 8;
  }
  get keyBytes(): number {
    return this.#own.keyBytes - 16;
  }

  deleteCurrent(): void {
    this.#own.delete();
  }

  /** Rows that are placed from now on; those before may be written over. */
  batch(): Batch {
    this.#texts.reset();
    return batchOf(this.#spec.input, this.#context.batchRows, this.#columns);
  }

  /** Makes the current row row `row` of the batch. False: no room; the first always has. */
  place(row: number, first: boolean): boolean {
    const value = this.#own.value();
    const start = value.at;
    while (!readRowColumns(this.#context.memory, value, this.shape, this.#targets, row, this.#texts)) {
      value.at = start;
      if (!first) return false;
      this.#texts.grow(value.end - start);
    }
    return true;
  }

  /** Brings this side's cursor before the rows of the other side's current key. */
  probe(other: TimedRows): void {
    this.matches.prefix(other.#own.key, other.#own.keyBytes - 8);
  }
}
