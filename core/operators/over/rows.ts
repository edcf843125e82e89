/**
 * Rows of an OVER in state: those of a partition together, in its order, equal ones apart by a hash of the row and a number.
 * Knows nothing of frames and results, but for the place that it keeps for results where rows may be taken back.
 *
 *   key    hash of the partition · partition columns · order columns · hash of the row · number
 *   value  {bytes of the key up to the order} [told] columns [results]
 */
import { batchRowsMax, orderedInlineBytesMax, orderedKeyBytesMax, orderedValueBytesMax } from '../../base/limits.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import type { OrderedCursor, OrderedTable } from '../../ports/state.ts';
import type { Batch, Column } from '../../record/batch.ts';
import { type ByteSink, type ByteSource, byteSink } from '../../record/bytes.ts';
import { type KeyPart, writeKeyColumns, writeKeyHash, writeKeyNumber } from '../../record/key-bytes.ts';
import type { Layout } from '../../record/layout.ts';
import { type RowShape, rowShape, writeRowColumns } from '../../record/row-columns.ts';
import type { Field } from '../../record/types.ts';
import { KeyHasher } from '../keyed-parts.ts';
import type { OperatorContext } from '../operator.ts';
import { columnsUpTo } from '../process/call.ts';

export type OverNode = Extract<PhysicalNode, { kind: 'over' }>;

/** Bytes of a key behind the order: what tells rows apart that are in the same place. */
export const keyTailBytes = 16;

export class OverRows {
  readonly table: OrderedTable;
  /** Of the input's leaves and, where results are kept, theirs behind them. */
  readonly layout: Layout;
  readonly shape: RowShape;
  /** The key of the row that was written last; of its bytes so many are its partition's. */
  readonly key: ByteSink;
  partitionBytes = 0;
  readonly #node: OverNode;
  readonly #context: OperatorContext;
  readonly #value: ByteSink;
  readonly #partitionHasher: KeyHasher;
  readonly #rowHasher: KeyHasher;
  readonly #partitionHashes: number;
  readonly #rowHashes: number;
  readonly #own: OrderedCursor;
  /** Null bits of a value's first byte on that are the row's, and not its results'. */
  readonly #rowBits: number;
  /** Columns of results that are NULL, where state keeps them, and the batch with those. */
  readonly #nothing: readonly Column[];
  #encoded: Batch | null = null;

  constructor(node: OverNode, results: Layout | null, context: OperatorContext) {
    const { memory, state, name } = context;
    const input = context.inputs[0]!;
    this.#node = node;
    this.#context = context;
    const nulls = results ? memory.arena.allocate(batchRowsMax >>> 3, `results of ${name}`) : 0;
    this.#nothing = (results ?? []).map(() => ({ values: 0, validity: nulls, dictionary: null }));
    this.layout = [...input, ...(results ?? []).map((leaf) => ({ ...leaf, nullable: true }))];
    this.shape = rowShape(this.layout, columnsUpTo(this.layout.length), results ? 16 : 8);
    this.#rowBits = input.filter(({ nullable }) => nullable).length;
    this.#partitionHasher = new KeyHasher(context, input, node.partitionBy);
    this.#rowHasher = new KeyHasher(context, input, columnsUpTo(input.length));
    this.#partitionHashes = memory.arena.allocate(8 * batchRowsMax, `hashes of ${name}`);
    this.#rowHashes = memory.arena.allocate(8 * batchRowsMax, `hashes of ${name}`);
    const most = orderedKeyBytesMax;
    this.key = byteSink(
      memory,
      memory.arena.allocate(most, name),
      most,
      most,
      `partition and order of a row of ${name}`,
    );
    const usual = 2 * orderedInlineBytesMax;
    this.#value = byteSink(memory, memory.arena.allocate(usual, name), usual, orderedValueBytesMax, `a row of ${name}`);
    const part = (leaf: number): KeyPart => {
      const { name: column, type, nullable } = input[leaf]!;
      return { name: column, type, nullable };
    };
    const head = (of: string): Field => ({ name: of, type: { kind: 'BIGINT' }, nullable: false });
    this.table = state.ordered({
      name: 'rows',
      keyGroupAt: 0,
      key: [
        { name: '$hash', type: { kind: 'HASH' }, nullable: false },
        ...node.partitionBy.map(part),
        ...node.by.map(part),
        { name: '$row', type: { kind: 'HASH' }, nullable: false },
        { name: '$number', type: { kind: 'BIGINT' }, nullable: false },
      ],
      value: [
        head('$partition'),
        ...(results ? [head('$told')] : []),
        ...this.layout.map(({ name: column, type, nullable }): Field => ({ name: column, type, nullable })),
      ],
    });
    this.#own = this.table.cursor();
  }

  begin(batch: Batch): void {
    this.#encoded = this.#nothing.length === 0 ? null : { ...batch, columns: [...batch.columns, ...this.#nothing] };
    this.#partitionHasher.hash(batch, batch.selection, batch.size, this.#partitionHashes);
    this.#rowHasher.hash(batch, batch.selection, batch.size, this.#rowHashes);
  }

  /** The key of row `row`, the `k`th of those that are in, without its number. */
  writeKey(batch: Batch, k: number, row: number): void {
    const { memory } = this.#context;
    const { key } = this;
    key.reset();
    writeKeyHash(memory, this.#partitionHashes + 8 * k, key);
    writeKeyColumns(memory, batch, this.#node.partitionBy, row, key);
    this.partitionBytes = key.at - key.from;
    writeKeyColumns(memory, batch, this.#node.by, row, key);
    writeKeyHash(memory, this.#rowHashes + 8 * k, key);
  }

  /** Puts row `row` under the key, with its number. */
  put(batch: Batch, row: number, number: number): void {
    writeKeyNumber(number, this.key);
    this.#encode(batch, row);
    this.#setHead(0, this.partitionBytes);
    this.#put(this.key.from, this.key.at - this.key.from);
  }

  /** The number of the last row that is equal to `row`, −1: there is none; `found` stands at it. `next` is a number that is free. */
  find(batch: Batch, row: number): { readonly last: number; readonly next: number } {
    this.#encode(batch, row);
    const { key } = this;
    this.#own.prefix(key.from, key.at - key.from);
    let last = -1;
    let next = 0;
    while (this.#own.next()) {
      next = numberOf(this.#context.memory.u8, this.#own) + 1;
      if (this.#isEncoded(this.#own.value())) last = next - 1;
    }
    if (last >= 0) {
      writeKeyNumber(last, key);
      this.#own.prefix(key.from, key.at - key.from);
      this.#own.next();
    }
    return { last, next };
  }

  get found(): OrderedCursor {
    return this.#own;
  }

  /** Results of row `at` of `rows`, a batch of the whole layout, are told: they are kept under the key of `cursor`. */
  keepResults(rows: Batch, at: number, cursor: OrderedCursor): void {
    const partition = this.partitionOf(cursor.value());
    this.#value.reset();
    writeRowColumns(this.#context.memory, rows, this.shape, at, this.#value);
    this.#setHead(0, partition);
    this.#setHead(1, 1);
    this.#put(cursor.key, cursor.keyBytes);
  }

  /** Bytes of a row's key that are its partition's. */
  partitionOf(value: ByteSource): number {
    return value.view.getUint32(value.at + this.shape.nullBytes, true);
  }

  isTold(value: ByteSource): boolean {
    return value.view.getUint32(value.at + this.shape.nullBytes + 8, true) !== 0;
  }

  /** Where results are kept a row begins without them. */
  #encode(batch: Batch, row: number): void {
    this.#value.reset();
    writeRowColumns(this.#context.memory, this.#encoded ?? batch, this.shape, row, this.#value);
  }

  #setHead(index: number, number: number): void {
    const { from, view } = this.#value;
    view.setUint32(from + this.shape.nullBytes + 8 * index, number, true);
  }

  #put(key: number, keyBytes: number): void {
    const { from, at, inMemory, u8 } = this.#value;
    if (inMemory) this.table.put(key, keyBytes, from, at - from);
    else this.table.putBytes(key, keyBytes, u8, from, at);
  }

  /** Whether a value is of the encoded row, whatever its results. */
  #isEncoded(value: ByteSource): boolean {
    const { u8, from, at } = this.#value;
    const { nullBytes, headBytes } = this.shape;
    if (value.end - value.at < at - from) return false;
    for (let bit = 0; bit < this.#rowBits; bit += 8) {
      const mask = this.#rowBits - bit >= 8 ? 0xff : (1 << (this.#rowBits - bit)) - 1;
      if ((((u8[from + (bit >>> 3)] as number) ^ (value.u8[value.at + (bit >>> 3)] as number)) & mask) !== 0)
        return false;
    }
    for (let i = nullBytes + headBytes; i < at - from; i++) if (u8[from + i] !== value.u8[value.at + i]) return false;
    return true;
  }
}

/** The last eight bytes of a key: counted from 0, so the low half is enough. */
function numberOf(u8: Uint8Array, { key, keyBytes }: OrderedCursor): number {
  const end = key + keyBytes;
  const [a, b, c, d] = [u8[end - 4] as number, u8[end - 3] as number, u8[end - 2] as number, u8[end - 1] as number];
  return a * 0x1000000 + (b << 16) + (c << 8) + d;
}
