/**
 * MIN and MAX where rows may be taken back: the values of each group, in order, with how often each is there; the first is
 * the result, and stands in the group's accumulators as it does where rows only come.
 *
 *   key    hash of the group · its number · value, of a MAX inverted
 *   value  u64 rows
 */
import { assert } from '../../base/assert.ts';
import { orderedKeyBytesMax, orderedPagesPerCall, pageCopiesMax, textBytesMax } from '../../base/limits.ts';
import type { AccumulatorField } from '../../compile/accumulators.ts';
import type { GroupTable, OrderedCursor, OrderedTable } from '../../ports/state.ts';
import { type Batch, type Column, RowKindByte } from '../../record/batch.ts';
import { type ByteSink, byteSink } from '../../record/bytes.ts';
import { isValid } from '../../record/column-reader.ts';
import { writeKeyColumns, writeKeyHash } from '../../record/key-bytes.ts';
import { writeView } from '../../record/text.ts';
import type { OperatorContext } from '../operator.ts';
import type { GroupNumbers } from './group-numbers.ts';

export class Extremes {
  readonly #context: OperatorContext;
  readonly #values: readonly OrderedValues[];
  /** Of the groups whose values have changed: a row of each. */
  readonly #changed = new Map<number, number>();

  /** `accumulatorsAt`: offset of the accumulators in an entry of `table`. */
  constructor(
    fields: readonly AccumulatorField[],
    table: GroupTable,
    accumulatorsAt: number,
    numbers: GroupNumbers,
    context: OperatorContext,
  ) {
    this.#context = context;
    const key = byteSink(
      context.memory,
      context.memory.arena.allocate(orderedKeyBytesMax, `values of ${context.name}`),
      orderedKeyBytesMax,
      orderedKeyBytesMax,
      `a value of ${context.name}, of which it keeps the least or the greatest,`,
    );
    this.#values = fields.map(
      (field, i) => new OrderedValues(field, `values${i}`, table, accumulatorsAt, key, numbers, context),
    );
  }

  /** Keeps and lets go of the rows' values. Rows have their groups at `groups`, and numbers. */
  *change(batch: Batch, rows: number, n: number, groups: number): Generator<void> {
    const { memory, state } = this.#context;
    for (let k = 0; k < n; k++) {
      const row = rows === 0 ? k : (memory.u32[(rows >>> 2) + k] as number);
      const kind = batch.kinds === 0 ? 0 : (memory.u8[batch.kinds + row] as number);
      const adds = kind === RowKindByte.insert || kind === RowKindByte.updateAfter;
      if (state.reading) yield* this.#waitForRoom();
      let changed = false;
      for (const values of this.#values) changed = values.change(batch, row, adds) || changed;
      if (changed) this.#changed.set(memory.u32[(groups >>> 2) + k] as number, row);
    }
  }

  /** Writes the results of the groups that were changed into their accumulators. */
  show(): void {
    for (const [entry, row] of this.#changed) for (const values of this.#values) values.show(entry, row);
    this.#changed.clear();
  }

  *#waitForRoom(): Generator<void> {
    const { state } = this.#context;
    let copies = 0;
    for (const { table } of this.#values) copies += table.copies;
    if (copies >= pageCopiesMax) {
      for (const { table } of this.#values) table.copies = 0;
      yield;
    }
    while (state.reading && state.freePages < this.#values.length * orderedPagesPerCall) yield;
  }
}

/** The values of one MIN or MAX, of all groups. */
class OrderedValues {
  readonly table: OrderedTable;
  readonly #context: OperatorContext;
  readonly #field: AccumulatorField;
  readonly #groups: GroupTable;
  readonly #accumulatorsAt: number;
  readonly #numbers: GroupNumbers;
  readonly #cursor: OrderedCursor;
  readonly #key: ByteSink;
  readonly #count: number;
  /** A view, and a text behind it. */
  readonly #text: number;

  constructor(
    field: AccumulatorField,
    name: string,
    groups: GroupTable,
    accumulatorsAt: number,
    key: ByteSink,
    numbers: GroupNumbers,
    context: OperatorContext,
  ) {
    const { memory, state } = context;
    const { name: column, type, nullable } = context.inputs[0]![field.arg as number]!;
    this.#context = context;
    this.#field = field;
    this.#groups = groups;
    this.#accumulatorsAt = accumulatorsAt;
    this.#key = key;
    this.#numbers = numbers;
    this.#count = memory.arena.allocate(8, `values of ${context.name}`);
    this.#text = memory.arena.allocate(16 + textBytesMax, `values of ${context.name}`);
    this.table = state.ordered({
      name,
      keyGroupAt: 0,
      key: [
        { name: '$hash', type: { kind: 'HASH' }, nullable: false },
        { name: '$group', type: { kind: 'INT' }, nullable: false },
        { name: column, type, nullable, ...(field.kind === 'max' ? { descending: true } : {}) },
      ],
      value: [{ name: '$count', type: { kind: 'BIGINT' }, nullable: false }],
    });
    this.#cursor = this.table.cursor();
  }

  /** Answers whether the row counts. */
  change(batch: Batch, row: number, adds: boolean): boolean {
    const { memory } = this.#context;
    const { arg, filter, kind } = this.#field;
    if (!isValid(memory, (batch.columns[arg as number] as Column).validity, row)) return false;
    if (filter !== null) {
      const { values, validity } = batch.columns[filter] as Column;
      if (((memory.u8[values + (row >>> 3)] as number) >>> (row & 7)) % 2 === 0) return false;
      if (!isValid(memory, validity, row)) return false;
    }
    const key = this.#key;
    this.#writeGroup(row);
    const from = key.at;
    writeKeyColumns(memory, batch, [arg as number], row, key);
    if (kind === 'max') for (let at = from; at < key.at; at++) key.u8[at] = ~(key.u8[at] as number);
    const found = this.table.get(key.from, key.at - key.from);
    const before =
      found === null ? 0 : found.view.getUint32(found.at, true) + found.view.getUint32(found.at + 4, true) * 4294967296;
    // One that was never here: the group's rows tell of it.
    if (!adds && before === 0) return false;
    const after = adds ? before + 1 : before - 1;
    if (after === 0) this.table.delete(key.from, key.at - key.from);
    else {
      memory.u32[this.#count >>> 2] = after >>> 0;
      memory.u32[(this.#count >>> 2) + 1] = Math.floor(after / 4294967296);
      this.table.put(key.from, key.at - key.from, this.#count, 8);
    }
    return true;
  }

  /** The first value of a group, which row `row` is of, goes into its entry. */
  show(entry: number, row: number): void {
    const { memory } = this.#context;
    const { u32 } = memory;
    const { offset, storage } = this.#field;
    this.#writeGroup(row);
    const prefix = this.#key.at - this.#key.from;
    this.#cursor.prefix(this.#key.from, prefix);
    const some = this.#cursor.next();
    const at = entry + this.#accumulatorsAt + offset;
    if (storage === 'view') {
      const length = some ? this.#readText(prefix) : 0;
      writeView(memory, this.#text, this.#text + 16, length);
      this.#groups.keepText(at + 8, this.#text);
      u32[at >>> 2] = some ? 1 : 0;
      return;
    }
    const [high, low] = some ? this.#readCode(prefix) : nothing;
    u32[at >>> 2] = low;
    u32[(at >>> 2) + 1] = high;
  }

  #writeGroup(row: number): void {
    const { memory } = this.#context;
    const key = this.#key;
    key.reset();
    writeKeyHash(memory, this.#numbers.hashes + 8 * row, key);
    key.view.setUint32(key.at, ((memory.u32[(this.#numbers.numbers >>> 2) + row] as number) ^ 0x80000000) >>> 0);
    key.at += 4;
  }

  /** Where the current value begins, behind its tag. */
  #valueAt(prefix: number): number {
    const { nullable } = this.#context.inputs[0]![this.#field.arg as number]!;
    return this.#cursor.key + prefix + (nullable ? 1 : 0);
  }

  /** The current value in the code of accumulators: its two words. */
  #readCode(prefix: number): readonly [number, number] {
    const { u8 } = this.#context.memory;
    const { kind, storage } = this.#field;
    const at = this.#valueAt(prefix);
    const invert = kind === 'max' ? 0xff : 0;
    const byte = (i: number): number => (u8[at + i] as number) ^ invert;
    const word = (i: number): number =>
      ((byte(i) << 24) | (byte(i + 1) << 16) | (byte(i + 2) << 8) | byte(i + 3)) >>> 0;
    let [high, low] = [0, 0];
    if (storage === 'bit') [high, low] = [0x80000000, byte(0)];
    else if (storage === 'i32') {
      // From 32 bits with the sign bit flipped to 64.
      low = (word(0) ^ 0x80000000) >>> 0;
      high = low >= 0x80000000 ? 0x7fffffff : 0x80000000;
    } else [high, low] = [word(0), word(4)];
    return kind === 'min' ? [~high >>> 0, ~low >>> 0] : [high, low];
  }

  /** The current text, behind the view: answers its length. */
  #readText(prefix: number): number {
    const { u8 } = this.#context.memory;
    const invert = this.#field.kind === 'max' ? 0xff : 0;
    const to = this.#text + 16;
    let length = 0;
    for (let at = this.#valueAt(prefix); ; at++) {
      const byte = (u8[at] as number) ^ invert;
      // 00 is written 00 FF, and 00 00 ends the text.
      if (byte === 0 && ((u8[++at] as number) ^ invert) === 0) return length;
      assert(length < textBytesMax, 'a text in state that is longer than its key may be');
      u8[to + length++] = byte;
    }
  }
}

const nothing = [0, 0] as const;
