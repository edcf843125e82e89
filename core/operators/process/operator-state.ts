/**
 * Operator state: lists that belong to a subtask and not to a key. A restore brings back all subtasks' rows to each; then
 * `split` keeps an even share of them, `union` all. A row's key is the subtask that added it and a number that no other row
 * of that subtask has had, so that rows that several subtasks hold (of a union) are one when they meet again.
 */
import { MillraceError } from '../../base/errors.ts';
import type { StateSpec } from '../../plan/states.ts';
import type { OperatorState, OrderedTable } from '../../ports/state.ts';
import { type ByteSink, byteSink, byteSource, openBytes } from '../../record/bytes.ts';
import { readKeyNumber, writeKeyNumber } from '../../record/key-bytes.ts';
import type { SlotMemory } from '../../record/memory.ts';
import { type Call, callOver } from './call.ts';
import { KeptValue } from './handles.ts';

export interface OperatorStateParts {
  readonly memory: SlotMemory;
  readonly state: Pick<OperatorState, 'ordered'>;
  readonly call: Call;
  readonly value: ByteSink;
  readonly subtask: number;
  readonly parallelism: number;
  /** Of the job that left what is restored; 0: nothing is. */
  readonly parallelismBefore: number;
}

/** Rows that one subtask may add to one list at most. */
export const operatorRowsMax = 100_000;

/** What the function gets. */
export function operatorList(spec: StateSpec, parts: OperatorStateParts): object {
  if (spec.kind !== 'split' && spec.kind !== 'union') throw new RangeError(`operator state of kind ${spec.kind}`);
  const list = new Rows(spec, parts);
  list.redistribute(spec.kind);
  return Object.freeze({
    add: (value: unknown) => list.add(value),
    clear: () => list.clear(),
    [Symbol.iterator]: () => list.values()[Symbol.iterator](),
    get length() {
      return list.length;
    },
  });
}

class Rows {
  readonly #parts: OperatorStateParts;
  readonly #table: OrderedTable;
  readonly #value: KeptValue;
  readonly #key: ByteSink;
  #next = 0;

  constructor(spec: Extract<StateSpec, { kind: 'split' | 'union' }>, parts: OperatorStateParts) {
    const { memory } = parts;
    const what = `operator state '${spec.name}'`;
    this.#parts = parts;
    this.#value = new KeptValue(spec.type, spec.nullable, null, what, parts.value);
    this.#table = parts.state.ordered({
      name: spec.name,
      keyGroupAt: null,
      perSubtask: true,
      key: ['$subtask', 'index'].map((name) => ({ name, type: { kind: 'BIGINT' }, nullable: false })),
      value: this.#value.fields,
    });
    this.#key = byteSink(memory, memory.arena.allocate(16, what), 16, 16, what);
  }

  get length(): number {
    this.#alive();
    return this.#table.size;
  }

  add(value: unknown): void {
    this.#alive();
    if (this.#table.size >= operatorRowsMax)
      throw new MillraceError(
        'function/too-many',
        `an operator state has ${operatorRowsMax} values in one subtask, as many as it may: a restore gives them to every subtask first; keep what is larger by key`,
      );
    this.#value.begin(value, 0);
    const key = this.#keyOf(this.#parts.subtask, this.#next++);
    this.#value.put(this.#table, key, 16);
  }

  clear(): void {
    this.#alive();
    this.#table.deleteRange(0, 0, 0, 0);
  }

  /** What is there now. */
  values(): readonly unknown[] {
    this.#alive();
    const values: unknown[] = [];
    const cursor = this.#walk();
    while (cursor.next()) values.push(this.#value.read(cursor.value()));
    return values;
  }

  /** Of all subtasks' rows, those stay that are this one's. */
  redistribute(kind: 'split' | 'union'): void {
    const { subtask, parallelism, parallelismBefore } = this.#parts;
    if (this.#table.size === 0) return;
    const source = byteSource(this.#parts.memory);
    const all: { readonly of: number; readonly bytes: Uint8Array }[] = [];
    const cursor = this.#walk();
    while (cursor.next()) {
      openBytes(source, source.u8, cursor.key, cursor.key + cursor.keyBytes);
      const of = readKeyNumber(source);
      // Numbers go on behind every one that was given: a row that comes back from another subtask is no new one's.
      this.#next = Math.max(this.#next, readKeyNumber(source) + 1);
      if (kind === 'union') continue;
      const { u8, at, end } = cursor.value();
      all.push({ of, bytes: u8.slice(at, end) });
    }
    if (kind === 'union') return;
    const from = Math.floor((all.length * subtask) / parallelism);
    const to = Math.floor((all.length * (subtask + 1)) / parallelism);
    const mine = parallelism === parallelismBefore ? all.filter(({ of }) => of === subtask) : all.slice(from, to);
    this.#table.clear();
    mine.forEach(({ bytes }, index) => {
      this.#table.putBytes(this.#keyOf(subtask, index), 16, bytes, 0, bytes.length);
    });
    this.#next = mine.length;
  }

  #walk(): ReturnType<OrderedTable['cursor']> {
    this.#cursor ??= this.#table.cursor();
    this.#cursor.range(0, 0, 0, 0);
    return this.#cursor;
  }
  #cursor: ReturnType<OrderedTable['cursor']> | null = null;

  #keyOf(subtask: number, index: number): number {
    this.#key.reset();
    writeKeyNumber(subtask, this.#key);
    writeKeyNumber(index, this.#key);
    return this.#key.from;
  }

  #alive(): void {
    if (!this.#parts.call.active) throw callOver();
  }
}
