/**
 * Rows of an OVER that get their results together: read from state in order, at most a batch of one partition, with room
 * for results beside them. Knows neither frames nor who is told.
 */
import { assert } from '../../base/assert.ts';
import { orderedKeyBytesMax } from '../../base/limits.ts';
import type { OrderedCursor } from '../../ports/state.ts';
import { type Batch, batch as batchOf, type Column } from '../../record/batch.ts';
import { type Layout, rowtimeName } from '../../record/layout.ts';
import { type LeafTarget, readRowColumns } from '../../record/row-columns.ts';
import { columnBuffers } from '../../record/row-store.ts';
import { Texts } from '../join/rows.ts';
import { resultColumns } from '../keyed-parts.ts';
import type { OperatorContext } from '../operator.ts';
import { keyTailBytes, type OverRows } from './rows.ts';

export class Chunk {
  size = 0;
  /** Keys of the first and the last row. */
  readonly first: KeyCopy;
  readonly last: KeyCopy;
  /** Bytes of their keys that are their partition's. */
  partitionBytes = 0;
  /** By row: it is in the same place of the order as the one before it. */
  readonly peer: Uint8Array;
  /** By row: its results were told. */
  readonly told: Uint8Array;
  readonly columns: readonly Column[];
  /** By leaf of the rows' layout: those, and what was told behind them. */
  readonly all: readonly Column[];
  /** Results as they were told, where state keeps them, and as they are. */
  readonly before: readonly Column[];
  readonly results: readonly Column[];
  readonly #rows: OverRows;
  readonly #context: OperatorContext;
  readonly #keepsResults: boolean;
  readonly #targets: readonly LeafTarget[];
  readonly #texts: Texts;
  /** Place of the event time among the input's leaves; its length: there is none. */
  readonly #timeAt: number;

  constructor(rows: OverRows, results: Layout, context: OperatorContext) {
    const { memory, batchRows, name } = context;
    const input = context.inputs[0]!;
    this.#rows = rows;
    this.#context = context;
    this.#keepsResults = rows.layout.length > input.length;
    this.first = new KeyCopy(context);
    this.last = new KeyCopy(context);
    this.peer = new Uint8Array(batchRows);
    this.told = new Uint8Array(batchRows);
    const buffers = columnBuffers(rows.layout, memory, batchRows, `rows of ${name}`);
    const columns = buffers.map(({ values, validity }): Column => ({ values, validity, dictionary: null }));
    this.#targets = buffers;
    this.all = columns;
    this.columns = columns.slice(0, input.length);
    this.before = columns.slice(input.length);
    this.results = resultColumns(results, batchRows, context);
    this.#texts = new Texts(context);
    this.#timeAt = input.at(-1)?.name === rowtimeName ? input.length - 1 : input.length;
  }

  reset(): void {
    this.size = 0;
    this.#texts.reset();
  }

  /** Whether the row where a cursor stands is of the partition that the rows here are of. */
  isOfPartition(cursor: OrderedCursor): boolean {
    return this.first.begins(cursor, this.partitionBytes);
  }

  /** Adds the row where a cursor stands. False: there is no room; the first always has. */
  add(cursor: OrderedCursor): boolean {
    if (!this.read(cursor)) return false;
    this.keep(cursor);
    return true;
  }

  /** Reads that row into the place behind the last, where it counts once it is kept. False: as `add`. */
  read(cursor: OrderedCursor): boolean {
    if (this.size === this.#context.batchRows) return false;
    const { memory } = this.#context;
    const value = cursor.value();
    const start = value.at;
    const mark = this.#texts.next;
    while (!readRowColumns(memory, value, this.#rows.shape, this.#targets, this.size, this.#texts)) {
      value.at = start;
      this.#texts.next = mark;
      if (this.size > 0) return false;
      this.#texts.grow(value.end - start);
    }
    value.at = start;
    return true;
  }

  keep(cursor: OrderedCursor): void {
    const value = cursor.value();
    if (this.size === 0) {
      this.partitionBytes = this.#rows.partitionOf(value);
      this.first.set(cursor);
    }
    const sorted = cursor.keyBytes - keyTailBytes;
    const same = this.size > 0 && this.last.bytes === cursor.keyBytes && this.last.begins(cursor, sorted);
    this.peer[this.size] = same ? 1 : 0;
    this.told[this.size] = this.#keepsResults && this.#rows.isTold(value) ? 1 : 0;
    this.last.set(cursor);
    this.size++;
  }

  /** The rows, of the input's layout. */
  batch(): Batch {
    return batchOf(this.#context.inputs[0]!, this.size, this.columns);
  }

  /** The rows with their results, as state keeps them. */
  kept(): Batch {
    return batchOf(this.#rows.layout, this.size, [...this.columns, ...this.results]);
  }

  /** Columns of the output: the event time stands last. */
  shown(results: readonly Column[]): readonly Column[] {
    const at = this.#timeAt;
    return [...this.columns.slice(0, at), ...results, ...this.columns.slice(at)];
  }
}

/** A copy of a key. */
export class KeyCopy {
  readonly address: number;
  bytes = 0;
  readonly #context: OperatorContext;

  constructor(context: OperatorContext) {
    this.#context = context;
    // One byte more: the least key behind it.
    this.address = context.memory.arena.allocate(orderedKeyBytesMax + 8, `a key of ${context.name}`);
  }

  set({ key, keyBytes }: Pick<OrderedCursor, 'key' | 'keyBytes'>): void {
    this.#context.memory.u8.copyWithin(this.address, key, key + keyBytes);
    this.bytes = keyBytes;
  }

  /** Whether another key has the first `bytes` of this one. */
  begins({ key, keyBytes }: Pick<OrderedCursor, 'key' | 'keyBytes'>, bytes: number): boolean {
    if (keyBytes < bytes || this.bytes < bytes) return false;
    const { u8 } = this.#context.memory;
    for (let i = bytes - 1; i >= 0; i--) if (u8[this.address + i] !== u8[key + i]) return false;
    return true;
  }

  /** Makes it the least key behind what it was. */
  behind(): void {
    assert(this.bytes > 0 && this.bytes < orderedKeyBytesMax, 'a key without a next one');
    this.#context.memory.u8[this.address + this.bytes++] = 0;
  }
}
