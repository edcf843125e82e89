/**
 * One side of a join in state: its rows in an ordered table, by hash and key, so that the rows of a key stand together and
 * a restore finds its key groups. Rows that are never taken back stand by number of arrival; others by their values, with a
 * count of how often they are there.
 *
 *   key    hash · key columns · {arrival}              rows that stay
 *          hash · key columns · {hash of row, number}  rows that may go; the number tells rows of one hash apart
 *   value  [count] [matches] columns
 */

import { assert } from '../../base/assert.ts';
import { batchRowsMax, orderedInlineBytesMax, orderedKeyBytesMax, orderedValueBytesMax } from '../../base/limits.ts';
import type { OrderedCursor, OrderedTable } from '../../ports/state.ts';
import type { Batch, Column } from '../../record/batch.ts';
import { batch as batchOf } from '../../record/batch.ts';
import type { ByteSink, ByteSource } from '../../record/bytes.ts';
import { byteSink } from '../../record/bytes.ts';
import { isValid } from '../../record/column-reader.ts';
import { type KeyPart, writeKeyColumns, writeKeyHash, writeKeyNumber } from '../../record/key-bytes.ts';
import type { Layout } from '../../record/layout.ts';
import { type RowShape, rowShape, writeRowColumns } from '../../record/row-columns.ts';
import type { DataType, Field } from '../../record/types.ts';
import { KeyHasher } from '../keyed-parts.ts';
import type { OperatorContext } from '../operator.ts';
import { columnsUpTo } from '../process/call.ts';

export interface SideSpec {
  readonly name: string;
  readonly input: Layout;
  readonly keys: readonly number[];
  /** Leaves that are kept. */
  readonly kept: readonly number[];
  /** Rows have a count. */
  readonly counted: boolean;
  /** Rows have a count of what they match. */
  readonly tracked: boolean;
  /**
   * How its rows lie over the subtasks: by their key (absent); wherever they came, so that rows of a key may be in several; or all of them
   * in every subtask.
   */
  readonly lie?: 'anywhere' | 'everywhere';
}

export class JoinSide {
  readonly spec: SideSpec;
  readonly shape: RowShape;
  readonly table: OrderedTable;
  readonly keyParts: readonly KeyPart[];
  /** For rows of the other side. */
  readonly matches: OrderedCursor;
  readonly #own: OrderedCursor;
  readonly #context: OperatorContext;
  readonly #keyHasher: KeyHasher;
  readonly #rowHasher: KeyHasher;
  /** Of the batch's rows, u64 each. */
  readonly keyHashes: number;
  readonly #rowHashes: number;
  readonly #keyLayout: Layout;
  readonly #keyColumns: readonly number[];
  readonly #key: ByteSink;
  readonly #value: ByteSink;
  readonly #arrivals: { get(): number; set(value: number): void };
  #arrival = 0;
  #keyed: Batch | null = null;
  #batch: Batch | null = null;
  #prefixBytes = 0;
  /** Number of the last row of the one hash that was looked through. */
  #last = -1;

  constructor(spec: SideSpec, context: OperatorContext) {
    const { memory, state, name } = context;
    const { input, keys, kept, counted, tracked } = spec;
    this.spec = spec;
    this.#context = context;
    this.shape = rowShape(input, kept, (counted ? 8 : 0) + (tracked ? 8 : 0));
    // Keys in state are never NULL.
    this.#keyLayout = keys.map((leaf) => ({ ...input[leaf]!, nullable: false }));
    this.#keyColumns = columnsUpTo(keys.length);
    this.#keyHasher = new KeyHasher(context, input, keys);
    this.#rowHasher = new KeyHasher(context, input, kept);
    this.keyHashes = memory.arena.allocate(8 * batchRowsMax, `hashes of ${name}`);
    this.#rowHashes = counted ? memory.arena.allocate(8 * batchRowsMax, `hashes of ${name}`) : 0;
    const most = orderedKeyBytesMax;
    this.#key = byteSink(memory, memory.arena.allocate(most, name), most, most, `a key of ${name}`);
    const usual = 2 * orderedInlineBytesMax;
    this.#value = byteSink(memory, memory.arena.allocate(usual, name), usual, orderedValueBytesMax, `a row of ${name}`);
    this.keyParts = [
      hashPart('$hash'),
      ...this.#keyLayout.map(({ name: key, type }): KeyPart => ({ name: key, type, nullable: false })),
      ...(counted ? [hashPart('$row'), part('$number', bigint)] : [part('$arrival', bigint)]),
    ];
    this.table = state.ordered({
      name: spec.name,
      keyGroupAt: spec.lie === 'everywhere' ? null : 0,
      key: this.keyParts,
      value: [
        ...(counted ? [head('$count')] : []),
        ...(tracked ? [head('$matches')] : []),
        ...kept.map(
          (leaf): Field => ({ name: input[leaf]!.name, type: input[leaf]!.type, nullable: input[leaf]!.nullable }),
        ),
      ],
    });
    this.matches = this.table.cursor();
    this.#own = this.table.cursor();
    this.#arrivals = state.value(`${spec.name}.arrivals`, 0, Math.max);
    this.#arrival = spec.lie === 'anywhere' ? this.#ownNumbers(context) : this.#arrivals.get();
  }

  /** Numbers that no other subtask gives, nor one of before whose rows are still there. */
  #ownNumbers({ name, subtask }: OperatorContext): number {
    const before = this.table.size === 0 ? -1 : Math.floor(this.#arrivals.get() / numbersOfAll);
    assert(subtask < numbersOfAll / numbersOfOne, `${name} runs in more subtasks than its rows can be told apart in`);
    return (before + 1) * numbersOfAll + subtask * numbersOfOne;
  }

  /** Rows of `batch` are worked on, one after the other. */
  begin(batch: Batch): void {
    const columns = this.spec.keys.map((leaf) => batch.columns[leaf]!);
    const { selection, size } = batch;
    this.#batch = batch;
    this.#keyed = batchOf(this.#keyLayout, batch.rowCount, columns, { selection, size });
    this.#keyHasher.hash(batch, selection, size, this.keyHashes);
    if (this.spec.counted) this.#rowHasher.hash(batch, selection, size, this.#rowHashes);
  }

  end(): void {
    this.#batch = null;
    this.#keyed = null;
    if (!this.spec.counted) this.#arrivals.set(this.#arrival);
  }

  /** Whether a row's key can equal another: no part of it is NULL, or NaN. */
  hasKey(row: number): boolean {
    const { memory } = this.#context;
    const batch = this.#keyed as Batch;
    for (let i = 0; i < batch.columns.length; i++) {
      const { validity, values } = batch.columns[i] as Column;
      if (!isValid(memory, validity, row)) return false;
      if (this.#keyLayout[i]!.storage === 'f64' && Number.isNaN(memory.f64[(values >>> 3) + row])) return false;
    }
    return true;
  }

  /** Takes up row `row`, the `k`th of those that are in: its key is what `find`, `put` and `probe` are about. */
  open(k: number, row: number): void {
    const key = this.#key;
    key.reset();
    writeKeyHash(this.#context.memory, this.keyHashes + 8 * k, key);
    writeKeyColumns(this.#context.memory, this.#keyed as Batch, this.#keyColumns, row, key);
    this.#prefixBytes = key.at - key.from;
  }

  /** The current row's key in state, after `put`. */
  get key(): number {
    return this.#key.from;
  }
  get keyBytes(): number {
    return this.#key.at - this.#key.from;
  }

  /** Numbers for so many rows that come next; answers the first. */
  takeNumbers(rows: number): number {
    const first = this.#arrival;
    this.#arrival += rows;
    return first;
  }

  /** Row `row`, the `k`th of those that are in, is put as number `arrival`: one that is too long for many at a time. */
  putLong(k: number, row: number, arrival: number): void {
    this.open(k, row);
    this.encode(row);
    writeKeyNumber(arrival, this.#key);
    this.#put(this.#key.from, this.#key.at - this.#key.from);
  }

  /** Fails for the row, whose key is too long. */
  refuseKey(k: number, row: number): never {
    this.open(k, row);
    writeKeyNumber(0, this.#key);
    assert(false, `the key of row ${row} of ${this.#context.name} found no room`);
  }

  /** Brings the other side's cursor before the rows of the current key. */
  probe(other: JoinSide): void {
    other.matches.prefix(this.#key.from, this.#prefixBytes);
  }

  /** Writes the current row's bytes, for `find` and `put`. */
  encode(row: number): void {
    this.#value.reset();
    writeRowColumns(this.#context.memory, this.#batch as Batch, this.shape, row, this.#value);
  }

  /** Of counted sides: how often the current row, encoded, is there; `change` is about what was found. */
  find(k: number): number {
    const key = this.#key;
    key.at = key.from + this.#prefixBytes;
    writeKeyHash(this.#context.memory, this.#rowHashes + 8 * k, key);
    this.#own.prefix(key.from, key.at - key.from);
    this.#last = -1;
    while (this.#own.next()) {
      const value = this.#own.value();
      // The last eight bytes of the key, the number, count from 0: the low half is enough.
      const end = this.#own.key + this.#own.keyBytes;
      const { u8 } = this.#context.memory;
      this.#last =
        (u8[end - 4] as number) * 0x1000000 +
        ((u8[end - 3] as number) << 16) +
        ((u8[end - 2] as number) << 8) +
        (u8[end - 1] as number);
      if (this.#isEncoded(value)) return this.count(value);
    }
    return 0;
  }

  /** The row that `find` found is there `count` times, 0: no longer, and matches so many. */
  change(count: number, matches: number): void {
    if (count === 0) {
      this.#own.delete();
      return;
    }
    this.#writeHead(count, matches);
    this.#put(this.#own.key, this.#own.keyBytes);
  }

  /** Adds the current row, encoded, which `find` did not find, if it is asked of this side. */
  put(matches: number): void {
    const key = this.#key;
    if (this.spec.counted) writeKeyNumber(this.#last + 1, key);
    else {
      key.at = key.from + this.#prefixBytes;
      writeKeyNumber(this.#arrival++, key);
    }
    this.#writeHead(1, matches);
    this.#put(key.from, key.at - key.from);
  }

  count(value: ByteSource): number {
    return this.spec.counted ? readCount(value, this.shape.nullBytes) : 1;
  }

  matched(value: ByteSource): number {
    return readCount(value, this.shape.nullBytes + this.shape.headBytes - 8);
  }

  /** The row that the other side's cursor stands at matches so many. */
  setMatched(value: ByteSource, matches: number): void {
    const to = this.#value;
    to.reset();
    const bytes = value.end - value.at;
    to.grow(bytes);
    to.u8.set(value.u8.subarray(value.at, value.end), to.at);
    to.at += bytes;
    writeCount(to, this.shape.nullBytes + this.shape.headBytes - 8, matches);
    this.#put(this.matches.key, this.matches.keyBytes);
  }

  #put(key: number, keyBytes: number): void {
    const { from, at, inMemory, u8 } = this.#value;
    if (inMemory) this.table.put(key, keyBytes, from, at - from);
    else this.table.putBytes(key, keyBytes, u8, from, at);
  }

  #writeHead(count: number, matches: number): void {
    const { counted, tracked } = this.spec;
    if (counted) writeCount(this.#value, this.shape.nullBytes, count);
    if (tracked) writeCount(this.#value, this.shape.nullBytes + this.shape.headBytes - 8, matches);
  }

  /** Whether a value is the encoded row, its head apart. */
  #isEncoded(value: ByteSource): boolean {
    const { u8, from, at } = this.#value;
    const bytes = at - from;
    if (value.end - value.at !== bytes) return false;
    const { nullBytes, headBytes } = this.shape;
    for (let i = 0; i < nullBytes; i++) if (u8[from + i] !== value.u8[value.at + i]) return false;
    for (let i = nullBytes + headBytes; i < bytes; i++) if (u8[from + i] !== value.u8[value.at + i]) return false;
    return true;
  }
}

/** Of one subtask of one attempt, and of all. */
const numbersOfOne = 2 ** 30;
const numbersOfAll = 2 ** 40;

const bigint: DataType = { kind: 'BIGINT' };
const part = (name: string, type: DataType): KeyPart => ({ name, type, nullable: false });
const hashPart = (name: string): KeyPart => ({ name, type: { kind: 'HASH' }, nullable: false });
const head = (name: string): Field => ({ name, type: bigint, nullable: false });

function readCount(value: ByteSource, at: number): number {
  const { view } = value;
  const from = value.at + at;
  return view.getUint32(from, true) + view.getUint32(from + 4, true) * 4294967296;
}

function writeCount(to: ByteSink, at: number, count: number): void {
  const high = Math.floor(count / 4294967296);
  to.view.setUint32(to.from + at, count - high * 4294967296, true);
  to.view.setUint32(to.from + at + 4, high, true);
}
