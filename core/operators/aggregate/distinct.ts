/**
 * DISTINCT in aggregates: each row is marked where it is the first of its group with its value, and the aggregates count
 * marked rows, so that SUM, AVG and COUNT of distinct values, and their changelogs, are those of rows. All calls on one
 * column share one entry per group and value, with a part for each different FILTER.
 *
 *   key    number of the group · value
 *   entry  u32, a bit per filter: met; where rows may be taken back, u64 rows per filter instead
 *
 * The bits of the group's key group begin the hash, so that the two stay together wherever they are restored; behind them it
 * is made of the group's hash and the value's.
 */
import { batchRowsMax, keyGroupBits } from '../../base/limits.ts';
import type { AggregateCall } from '../../expr/tree.ts';
import type { AccumulatorLeaf, GroupTable, OperatorState } from '../../ports/state.ts';
import { type Batch, batch as batchOf, type Column } from '../../record/batch.ts';
import type { Layout, LayoutColumn } from '../../record/layout.ts';
import { KeyHasher, waitForPages } from '../keyed-parts.ts';
import type { OperatorContext } from '../operator.ts';
import type { GroupNumbers } from './group-numbers.ts';

/** Filters of one set: bits of a word. */
const filtersMax = 32;

/** Calls on one column, by their different filters. */
interface DistinctSet {
  readonly arg: number;
  readonly filters: readonly (number | null)[];
  /** Place of the first filter's mark among all marks. */
  readonly firstMark: number;
}

export interface DistinctCalls {
  /** The calls, those of distinct values as calls on marked rows: filters from `inputLeaves` on are marks. */
  readonly calls: readonly AggregateCall[];
  readonly sets: readonly DistinctSet[];
  readonly marks: number;
}

/** Null: no call is of distinct values. */
export function distinctCalls(calls: readonly AggregateCall[], inputLeaves: number): DistinctCalls | null {
  const asked = calls.filter((call) => call.distinct);
  if (asked.length === 0) return null;
  const sets: DistinctSet[] = [];
  const places = new Map<string, number>();
  const placeName = (call: AggregateCall): string => `${call.arg}/${call.filter}`;
  for (const arg of new Set(asked.map((call) => call.arg as number))) {
    const filters = [...new Set(asked.filter((call) => call.arg === arg).map((call) => call.filter))];
    for (let from = 0; from < filters.length; from += filtersMax) {
      const firstMark = places.size;
      const some = filters.slice(from, from + filtersMax);
      for (const filter of some) places.set(`${arg}/${filter}`, places.size);
      sets.push({ arg, filters: some, firstMark });
    }
  }
  const marked = (call: AggregateCall): AggregateCall => {
    if (!call.distinct) return call;
    const { distinct: _, ...plain } = call;
    return { ...plain, argNullable: false, filter: inputLeaves + (places.get(placeName(call)) as number) };
  };
  return { calls: calls.map(marked), sets, marks: places.size };
}

export class DistinctMarks {
  readonly #context: OperatorContext;
  readonly #sets: readonly MarkedSet[];
  readonly #layout: Layout;
  readonly #marks: readonly Column[];
  readonly #groups: GroupNumbers;

  constructor(calls: DistinctCalls, updating: boolean, groups: GroupNumbers, context: OperatorContext) {
    const { memory, name } = context;
    const input = context.inputs[0]!;
    const room = (bytes: number): number => memory.arena.allocate(bytes, `distinct values of ${name}`);
    this.#context = context;
    this.#groups = groups;
    const marks = Array.from({ length: calls.marks }, () => room((batchRowsMax >>> 3) + 8));
    this.#marks = marks.map((values) => ({ values, validity: 0, dictionary: null }));
    this.#layout = [...input, ...marks.map((_, i) => markLeaf(i))];
    const shared = { rows: room(4 * batchRowsMax), wants: room(4 * batchRowsMax), hashes: room(8 * batchRowsMax) };
    const entries = room(4 * batchRowsMax);
    this.#sets = calls.sets.map((set, i) => {
      const own = marks.slice(set.firstMark, set.firstMark + set.filters.length);
      return new MarkedSet(set, `distinct${i}`, own, updating, { ...shared, entries }, groups.numbers, context);
    });
  }

  /** The batch with a column for each mark. Its rows (`rows`, or 0 for the first `n`) have the numbers of their groups. */
  *mark(batch: Batch, rows: number, n: number): Generator<void, Batch> {
    const { memory } = this.#context;
    for (const { values } of this.#marks) memory.u8.fill(0, values, values + (batch.rowCount >>> 3) + 1);
    for (const set of this.#sets) yield* set.mark(batch, rows, n, this.#groups.hashes);
    return { ...batch, layout: this.#layout, columns: [...batch.columns, ...this.#marks] };
  }

  clear(): void {
    for (const set of this.#sets) set.clear();
  }
}

const markLeaf = (i: number): LayoutColumn => ({
  name: `$first${i}`,
  type: { kind: 'BOOLEAN' },
  nullable: false,
  storage: 'bit',
});

interface Buffers {
  /** u32 numbers of the rows that count for any filter, and the filters they count for, a bit each. */
  readonly rows: number;
  readonly wants: number;
  readonly hashes: number;
  readonly entries: number;
}

/** The bits of a key group in the first word of a hash. */
const keyGroupMask = -1 << (32 - keyGroupBits);
/** Sets a value's hash apart from its group's, which it equals where a column is counted in groups of its own. */
const spread = 0x9e3779b1;

class MarkedSet {
  readonly #context: OperatorContext;
  readonly #state: OperatorState;
  readonly #set: DistinctSet;
  readonly #table: GroupTable;
  readonly #hasher: KeyHasher;
  readonly #marks: readonly number[];
  readonly #counted: boolean;
  readonly #buffers: Buffers;
  readonly #numbers: Column;
  readonly #layout: Layout;
  /** Entries that may have no rows any more. */
  readonly #emptied = new Set<number>();

  constructor(
    set: DistinctSet,
    name: string,
    marks: readonly number[],
    counted: boolean,
    buffers: Buffers,
    numbers: number,
    context: OperatorContext,
  ) {
    const value = context.inputs[0]![set.arg]!;
    this.#context = context;
    this.#state = context.state;
    this.#set = set;
    this.#marks = marks;
    this.#counted = counted;
    this.#buffers = buffers;
    this.#numbers = { values: numbers, validity: 0, dictionary: null };
    this.#layout = [{ name: '$group', type: { kind: 'INT' }, nullable: false, storage: 'i32' }, value];
    this.#hasher = new KeyHasher(context, this.#layout, [1]);
    const bytes = counted ? 8 * set.filters.length : 8;
    const leaves: AccumulatorLeaf[] = counted
      ? set.filters.map((_, i) => ({ name: `rows${i}`, type: { kind: 'BIGINT' }, offset: 8 * i, coding: 'i64' }))
      : [{ name: 'met', type: { kind: 'INT' }, offset: 0, coding: 'i32' }];
    this.#table = context.state.groups({ name, keys: this.#layout, accumulatorBytes: bytes, leaves });
  }

  clear(): void {
    this.#table.clear();
  }

  *mark(batch: Batch, rows: number, n: number, groupHashes: number): Generator<void> {
    const { memory } = this.#context;
    const value = batch.columns[this.#set.arg] as Column;
    const { rows: list, hashes, entries } = this.#buffers;
    const count = this.#choose(batch, value, rows, n);
    if (count === 0) return;
    const values = batchOf(this.#layout, batch.rowCount, [this.#numbers, value]);
    this.#hasher.hash(values, list, count, hashes);
    const { u32 } = memory;
    for (let k = 0; k < count; k++) {
      const at = (hashes >>> 2) + 2 * k;
      const group = (groupHashes >>> 2) + 2 * (u32[(list >>> 2) + k] as number);
      const high = u32[group + 1] as number;
      u32[at] = Math.imul(u32[at] as number, spread) ^ (u32[group] as number);
      u32[at + 1] = (high & keyGroupMask) | ((Math.imul(u32[at + 1] as number, spread) ^ high) & ~keyGroupMask);
    }
    for (let done = 0; done < count; ) {
      const resolved = this.#table.resolve(values, keys, hashes + 8 * done, list + 4 * done, count - done, entries);
      if (this.#counted) {
        this.#count(batch, done, resolved);
        yield* this.#removeEmptied();
      } else this.#meet(done, resolved);
      done += resolved;
      if (done < count) yield* waitForPages(this.#table.stop, this.#state);
    }
  }

  /** Lists the rows that have a value and count for a filter. */
  #choose(batch: Batch, value: Column, rows: number, n: number): number {
    const { u8, u32 } = this.#context.memory;
    const { filters } = this.#set;
    const conditions = filters.map((filter) => (filter === null ? null : (batch.columns[filter] as Column)));
    const [from, list, wants] = [rows >>> 2, this.#buffers.rows >>> 2, this.#buffers.wants >>> 2];
    let always = 0;
    conditions.forEach((column, i) => {
      if (column === null) always |= 1 << i;
    });
    const columns = conditions.flatMap((column, i) => (column === null ? [] : [{ ...column, bit: 1 << i }]));
    let count = 0;
    for (let k = 0; k < n; k++) {
      const row = rows === 0 ? k : (u32[from + k] as number);
      const [byte, bit] = [row >>> 3, row & 7];
      if (value.validity !== 0 && (((u8[value.validity + byte] as number) >>> bit) & 1) === 0) continue;
      let want = always;
      for (let i = 0; i < columns.length; i++) {
        const column = columns[i]!;
        if ((((u8[column.values + byte] as number) >>> bit) & 1) === 0) continue;
        if (column.validity !== 0 && (((u8[column.validity + byte] as number) >>> bit) & 1) === 0) continue;
        want |= column.bit;
      }
      if (want === 0) continue;
      u32[list + count] = row;
      u32[wants + count] = want;
      count++;
    }
    return count;
  }

  /** Rows that only come: the first of a value is marked. */
  #meet(from: number, n: number): void {
    const { u32 } = this.#context.memory;
    const { rows, wants, entries } = this.#buffers;
    const offset = this.#table.accumulatorOffset;
    for (let k = 0; k < n; k++) {
      const at = ((u32[(entries >>> 2) + k] as number) + offset) >>> 2;
      const met = u32[at] as number;
      const first = (u32[(wants >>> 2) + from + k] as number) & ~met;
      if (first === 0) continue;
      u32[at] = met | first;
      this.#setMarks(first, u32[(rows >>> 2) + from + k] as number);
    }
  }

  /** Rows that come and go: marked are the first to come and the last to go. */
  #count(batch: Batch, from: number, n: number): void {
    const { u8, u32 } = this.#context.memory;
    const { rows, wants, entries } = this.#buffers;
    const offset = this.#table.accumulatorOffset;
    for (let k = 0; k < n; k++) {
      const entry = u32[(entries >>> 2) + k] as number;
      const row = u32[(rows >>> 2) + from + k] as number;
      const goes = batch.kinds !== 0 && ((u8[batch.kinds + row] as number) & 1) === 1;
      let marked = 0;
      for (let want = u32[(wants >>> 2) + from + k] as number; want !== 0; ) {
        const i = 31 - Math.clz32(want);
        want &= ~(1 << i);
        const at = (entry + offset + 8 * i) >>> 2;
        const before = (u32[at] as number) + (u32[at + 1] as number) * 4294967296;
        // A row that was never here is the aggregate's to tell of: it takes it from its rows as well.
        if (goes && before === 0) continue;
        const after = goes ? before - 1 : before + 1;
        u32[at] = after >>> 0;
        u32[at + 1] = Math.floor(after / 4294967296);
        if ((goes ? after : before) === 0) marked |= 1 << i;
      }
      if (goes) this.#emptied.add(entry);
      if (marked !== 0) this.#setMarks(marked, row);
    }
  }

  /** Values of which no row is left leave nothing behind. */
  *#removeEmptied(): Generator<void> {
    if (this.#emptied.size === 0) return;
    const { u32 } = this.#context.memory;
    const words = 2 * this.#set.filters.length;
    const list = this.#buffers.entries;
    let n = 0;
    for (const entry of this.#emptied) {
      const at = (entry + this.#table.accumulatorOffset) >>> 2;
      let empty = true;
      for (let i = 0; i < words && empty; i++) empty = u32[at + i] === 0;
      if (empty) u32[(list >>> 2) + n++] = entry;
    }
    this.#emptied.clear();
    for (let gone = 0; gone < n; ) {
      gone += this.#table.remove(list + 4 * gone, n - gone);
      if (gone < n) yield* waitForPages(this.#table.stop, this.#state);
    }
  }

  #setMarks(filters: number, row: number): void {
    const { u8 } = this.#context.memory;
    for (let rest = filters; rest !== 0; ) {
      const i = 31 - Math.clz32(rest);
      rest &= ~(1 << i);
      const at = (this.#marks[i] as number) + (row >>> 3);
      u8[at] = (u8[at] as number) | (1 << (row & 7));
    }
  }
}

/** Number and value. */
const keys = [0, 1] as const;
