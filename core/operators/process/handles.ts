/**
 * What a process function holds in its hands as `ctx.state.NAME`: handles that read and write the current key's state
 * through addresses. One object for all keys. Values lie in the key's entry; lists, maps and what is too large for an
 * entry in ordered tables. Knows neither batches nor time.
 */
import { unreachable } from '../../base/assert.ts';
import { isMillraceError, MillraceError } from '../../base/errors.ts';
import { orderedKeyBytesMax, orderedValueBytesMax } from '../../base/limits.ts';
import type { StateSpec } from '../../plan/states.ts';
import type { OperatorState, OrderedTable } from '../../ports/state.ts';
import { type ByteSink, type ByteSource, byteSink, byteSource, openBytes } from '../../record/bytes.ts';
import { keyCodec, readKeyNumber, writeKeyNumber } from '../../record/key-bytes.ts';
import type { Layout } from '../../record/layout.ts';
import type { SlotMemory } from '../../record/memory.ts';
import { type ValueCodec, valueCodec } from '../../record/row-bytes.ts';
import type { DataType, Field } from '../../record/types.ts';
import type { UserFunction } from '../operator.ts';
import { type Call, callOver, keyBytes } from './call.ts';
import { type EntryLayout, type Slot, type SlotContext, slotBytes, slotOf } from './slots.ts';
import { keyParts } from './time-queue.ts';
import { isGone, type Life, touch } from './ttl.ts';

export interface HandleParts {
  readonly memory: SlotMemory;
  readonly state: Pick<OperatorState, 'ordered'>;
  readonly call: Call;
  readonly keys: Layout;
  readonly layout: EntryLayout;
  readonly keepText: SlotContext['keepText'];
  readonly userFunction: (id: string) => UserFunction;
  /** Bytes of one value on their way to an ordered table. */
  readonly value: ByteSink;
}

/** When the next of the current key's values will be gone, +∞ for none; an iterator where there are many to look at. */
export type Sweep = number | Iterator<void, number>;

/** A state of the function. */
export interface Handle {
  /** What the function gets. */
  readonly api: object;
  /** The current key's values that are gone leave; answers when the next one will be, +∞ for none. */
  sweep?(): Sweep;
  /** Iterations that a call left unfinished are over. */
  release?(): void;
}

/** `bit`: the state's, among an entry's flags: it holds something. */
export function stateHandle(spec: StateSpec, bit: number, life: Life | null, parts: HandleParts): Handle {
  const name = `state '${spec.name}'`;
  switch (spec.kind) {
    case 'value':
      return valueHandle(cellOf(spec.name, spec.type, spec.nullable, bit, life, parts));
    case 'reducing': {
      const cell = cellOf(spec.name, spec.type, spec.nullable, bit, life, parts);
      return reducingHandle(cell, parts.userFunction(spec.reduce));
    }
    case 'aggregating': {
      const cell = cellOf(spec.name, { kind: 'ROW', fields: spec.accumulator }, false, bit, life, parts);
      const [init, add, finish] = [spec.init, spec.add, spec.finish].map((id) => parts.userFunction(id));
      return aggregatingHandle(cell, init!, add!, finish!);
    }
    case 'list':
      return new ListHandle(spec.name, name, spec, bit, life, parts);
    case 'map':
      return new MapHandle(spec.name, name, spec, bit, life, parts);
    case 'split':
    case 'union':
      throw new RangeError(`keyed state of kind ${spec.kind}`);
    default:
      return unreachable(spec);
  }
}

// ── one value per key ────────────────────────────────────────────────────────────────────────────────────────────

/** A place for one value of the current key. */
interface Cell {
  has(): boolean;
  /** Only where it has one. */
  read(): unknown;
  write(value: unknown): void;
  clear(): void;
  sweep?(): Sweep;
}

function valueHandle(cell: Cell): Handle {
  const { has, read, write, clear } = cell;
  return {
    api: Object.freeze({ get: () => (has() ? read() : null), set: write, clear }),
    ...(cell.sweep ? { sweep: cell.sweep } : {}),
  };
}

function reducingHandle(cell: Cell, reduce: UserFunction): Handle {
  const { has, read, write, clear } = cell;
  const add = (value: unknown): void => write(has() ? reduce(read(), value) : value);
  return {
    api: Object.freeze({ get: () => (has() ? read() : null), add, clear }),
    ...(cell.sweep ? { sweep: cell.sweep } : {}),
  };
}

function aggregatingHandle(cell: Cell, init: UserFunction, add: UserFunction, finish: UserFunction): Handle {
  const { has, read, write, clear } = cell;
  return {
    api: Object.freeze({
      get: () => (has() ? finish(read()) : null),
      add(value: unknown) {
        const accumulator = has() ? read() : init();
        write(add(accumulator, value) ?? accumulator);
      },
      clear,
    }),
    ...(cell.sweep ? { sweep: cell.sweep } : {}),
  };
}

function cellOf(
  name: string,
  type: DataType,
  nullable: boolean,
  bit: number,
  life: Life | null,
  parts: HandleParts,
): Cell {
  const what = `state '${name}'`;
  if (slotBytes(type) === null) return wideCell(name, type, nullable, bit, life, parts);
  const column = { name, absent: [{ at: 0, mask: bit, when: 'zero' }] } as const;
  const slot = slotOf(type, nullable, what, { ...parts, column });
  return life ? livedCell(slot, bit, life, parts) : plainCell(slot, bit, parts);
}

function plainCell(slot: Slot, bit: number, { memory, call }: HandleParts): Cell {
  const { u32 } = memory;
  const { read, write, clear } = slot;
  return {
    has() {
      if (!call.active) throw callOver();
      return ((u32[call.entry >>> 2] as number) & bit) !== 0;
    },
    read: () => read(call.entry),
    write(value) {
      if (!call.active) throw callOver();
      const { entry } = call;
      write(entry, value);
      u32[entry >>> 2] = (u32[entry >>> 2] as number) | bit;
    },
    clear() {
      if (!call.active) throw callOver();
      const { entry } = call;
      if (((u32[entry >>> 2] as number) & bit) === 0) return;
      clear?.(entry);
      u32[entry >>> 2] = (u32[entry >>> 2] as number) & ~bit;
    },
  };
}

function livedCell(slot: Slot, bit: number, life: Life, parts: HandleParts): Cell {
  const { memory, call, layout } = parts;
  const { u32, f64 } = memory;
  const writtenAt = layout.take(8);
  const plain = plainCell(slot, bit, parts);
  const written = (): number => f64[(call.entry + writtenAt) >>> 3] as number;
  return {
    has: () => plain.has() && !isGone(life, written()),
    read: plain.read,
    write(value) {
      plain.write(value);
      f64[(call.entry + writtenAt) >>> 3] = touch(life);
    },
    clear: plain.clear,
    sweep() {
      if (((u32[call.entry >>> 2] as number) & bit) === 0) return Number.POSITIVE_INFINITY;
      if (!isGone(life, written())) return written() + life.ms;
      plain.clear();
      return Number.POSITIVE_INFINITY;
    },
  };
}

/** Values that do not fit an entry: a row of an ordered table for each key. */
function wideCell(
  name: string,
  type: DataType,
  nullable: boolean,
  bit: number,
  life: Life | null,
  parts: HandleParts,
): Cell {
  const { memory, call, keys, state } = parts;
  const { u32 } = memory;
  const value = new KeptValue(type, nullable, life, `state '${name}'`, parts.value);
  const table = state.ordered({ name, keyGroupAt: 0, key: keyParts(keys), value: value.fields });
  const holds = (): boolean => ((u32[call.entry >>> 2] as number) & bit) !== 0;
  const find = (): ByteSource | null => {
    const key = keyBytes(call, memory);
    return table.get(key.from, key.at - key.from);
  };
  const clear = (): void => {
    if (!call.active) throw callOver();
    if (!holds()) return;
    const key = keyBytes(call, memory);
    table.delete(key.from, key.at - key.from);
    u32[call.entry >>> 2] = (u32[call.entry >>> 2] as number) & ~bit;
  };
  return {
    has() {
      if (!call.active) throw callOver();
      if (!holds()) return false;
      return life === null || !isGone(life, value.written(find() as ByteSource));
    },
    read: () => value.read(find() as ByteSource),
    write(given) {
      if (!call.active) throw callOver();
      value.begin(given, life ? touch(life) : 0);
      const key = keyBytes(call, memory);
      value.put(table, key.from, key.at - key.from);
      u32[call.entry >>> 2] = (u32[call.entry >>> 2] as number) | bit;
    },
    clear,
    ...(life
      ? {
          sweep() {
            if (!holds()) return Number.POSITIVE_INFINITY;
            const writtenMs = value.written(find() as ByteSource);
            if (!isGone(life, writtenMs)) return writtenMs + life.ms;
            clear();
            return Number.POSITIVE_INFINITY;
          },
        }
      : {}),
  };
}

/** A value in an ordered table: with the time at which it was written, where it lives for a time. */
export class KeptValue {
  readonly fields: readonly Field[];
  readonly #codec: ValueCodec;
  readonly #nullable: boolean;
  readonly #lived: boolean;
  readonly #sink: ByteSink;

  constructor(type: DataType, nullable: boolean, life: Life | null, name: string, sink: ByteSink) {
    const written: Field = { name: '$written', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false };
    this.fields = [...(life ? [written] : []), { name: 'value', type, nullable }];
    this.#codec = valueCodec(type, false, name);
    this.#nullable = nullable;
    this.#lived = life !== null;
    this.#sink = sink;
  }

  /** Makes the bytes of a value, as `rowCodec(fields)` does. Errors: `function/bad-result`, `record/too-large`. */
  begin(value: unknown, writtenMs: number): void {
    const to = this.#sink;
    to.reset();
    to.grow(9);
    if (this.#nullable) to.u8[to.at++] = value === null ? 1 : 0;
    if (this.#lived) {
      const high = Math.floor(writtenMs / 4294967296);
      to.view.setUint32(to.at, writtenMs - high * 4294967296, true);
      to.view.setInt32(to.at + 4, high, true);
      to.at += 8;
    }
    if (!this.#nullable || value !== null) this.#codec.write(value, to);
  }

  put(table: OrderedTable, key: number, keyLength: number): void {
    const { inMemory, u8, from, at } = this.#sink;
    if (inMemory) table.put(key, keyLength, from, at - from);
    else table.putBytes(key, keyLength, u8, from, at);
  }

  read(from: ByteSource): unknown {
    if (this.#nullable && from.u8[from.at++] !== 0) return null;
    if (this.#lived) from.at += 8;
    return this.#codec.read(from);
  }

  written(from: ByteSource): number {
    const at = from.at + (this.#nullable ? 1 : 0);
    return from.view.getInt32(at + 4, true) * 4294967296 + from.view.getUint32(at, true);
  }
}

// ── many values per key ──────────────────────────────────────────────────────────────────────────────────────────

type Cursor = ReturnType<OrderedTable['cursor']>;

/** Cursors of a table, lent to iterations. */
class Cursors {
  readonly #table: OrderedTable;
  readonly #call: Call;
  readonly #all: Cursor[] = [];
  readonly #free: Cursor[] = [];

  constructor(table: OrderedTable, call: Call) {
    this.#table = table;
    this.#call = call;
  }

  take(): Cursor {
    this.#call.open++;
    const free = this.#free.pop();
    if (free) return free;
    if (this.#all.length >= cursorsMax) {
      throw new MillraceError(
        'function/too-many',
        `a call has ${cursorsMax} iterations of one state open at once; finish some before it begins others`,
      );
    }
    const made = this.#table.cursor();
    this.#all.push(made);
    return made;
  }

  give(cursor: Cursor): void {
    this.#call.open--;
    this.#free.push(cursor);
  }

  releaseAll(): void {
    if (this.#free.length === this.#all.length) return;
    this.#call.open -= this.#all.length - this.#free.length;
    this.#free.length = 0;
    this.#free.push(...this.#all);
  }
}
const cursorsMax = 64;

/** Elements whose time is looked at, between two looks at the clock. */
const sweptAtOnce = 1024;
/** Collections are looked through again not before this share of their life has passed. */
const sweepShare = 16;

/** What lists and maps share: rows of an ordered table that begin with the key. */
class Elements {
  readonly table: OrderedTable;
  readonly cursors: Cursors;
  readonly value: KeptValue;
  readonly bit: number;
  readonly life: Life | null;
  readonly #parts: HandleParts;
  readonly #countAt: number;

  constructor(
    name: string,
    what: string,
    of: { readonly type: DataType; readonly nullable: boolean },
    part: { readonly name: string; readonly type: DataType },
    bit: number,
    life: Life | null,
    parts: HandleParts,
  ) {
    this.#parts = parts;
    this.bit = bit;
    this.life = life;
    this.value = new KeptValue(of.type, of.nullable, life, what, parts.value);
    this.table = parts.state.ordered({
      name,
      keyGroupAt: 0,
      key: [...keyParts(parts.keys), { ...part, nullable: false }],
      value: this.value.fields,
    });
    this.cursors = new Cursors(this.table, parts.call);
    this.#countAt = parts.layout.take(8);
  }

  holds(): boolean {
    const { call, memory } = this.#parts;
    if (!call.active) throw callOver();
    return ((memory.u32[call.entry >>> 2] as number) & this.bit) !== 0;
  }

  get count(): number {
    const { call, memory } = this.#parts;
    return memory.u32[(call.entry + this.#countAt) >>> 2] as number;
  }

  /** `by` elements more, or fewer. */
  changeCount(by: number): void {
    const { call, memory } = this.#parts;
    const { u32 } = memory;
    const count = this.count + by;
    u32[(call.entry + this.#countAt) >>> 2] = count;
    const flagsAt = call.entry >>> 2;
    u32[flagsAt] = count > 0 ? (u32[flagsAt] as number) | this.bit : (u32[flagsAt] as number) & ~this.bit;
  }

  /** The current key; what stands behind it in a row is to be written to the answer. */
  key(): ByteSink {
    return keyBytes(this.#parts.call, this.#parts.memory);
  }

  put(key: ByteSink, value: unknown): void {
    // Setting a timer moves the end of the key, not its bytes.
    const { from, at } = key;
    this.value.begin(value, this.life ? touch(this.life) : 0);
    this.value.put(this.table, from, at - from);
  }

  clear(): void {
    if (!this.holds()) return;
    const key = this.key();
    this.table.deletePrefix(key.from, key.at - key.from);
    this.changeCount(-this.count);
  }

  gone(value: ByteSource): boolean {
    return this.life !== null && isGone(this.life, this.value.written(value));
  }

  /** A cursor before the current key's first element, in the order of their keys. */
  open(): Cursor {
    const key = this.key();
    const cursor = this.cursors.take();
    cursor.prefix(key.from, key.at - key.from);
    return cursor;
  }

  *sweep(): Generator<void, number> {
    const { life } = this;
    if (life === null || !this.holds()) return Number.POSITIVE_INFINITY;
    let nextMs = Number.POSITIVE_INFINITY;
    let seen = 0;
    const cursor = this.open();
    while (cursor.next()) {
      const writtenMs = this.value.written(cursor.value());
      if (isGone(life, writtenMs)) {
        cursor.delete();
        this.changeCount(-1);
      } else nextMs = Math.min(nextMs, writtenMs + life.ms);
      if (++seen % sweptAtOnce === 0) yield;
    }
    this.cursors.give(cursor);
    return Math.max(nextMs, life.clock.nowMs() + Math.ceil(life.ms / sweepShare));
  }
}

class ListHandle implements Handle {
  readonly api: object;
  readonly #elements: Elements;
  readonly #parts: HandleParts;
  readonly #nextAt: number;

  constructor(
    name: string,
    what: string,
    of: { readonly type: DataType; readonly nullable: boolean },
    bit: number,
    life: Life | null,
    parts: HandleParts,
  ) {
    this.#parts = parts;
    this.#elements = new Elements(name, what, of, { name: 'index', type: { kind: 'BIGINT' } }, bit, life, parts);
    this.#nextAt = parts.layout.take(8);
    const length = (): number => this.#length();
    this.api = Object.freeze({
      add: (value: unknown) => this.#add(value),
      clear: () => this.#elements.clear(),
      [Symbol.iterator]: () => this.#iterate(),
      get length() {
        return length();
      },
    });
  }

  sweep(): Sweep {
    return this.#elements.sweep();
  }

  release(): void {
    this.#elements.cursors.releaseAll();
  }

  #add(value: unknown): void {
    const elements = this.#elements;
    const { f64 } = this.#parts.memory;
    const nextAt = (this.#parts.call.entry + this.#nextAt) >>> 3;
    if (!elements.holds()) f64[nextAt] = 0;
    const index = f64[nextAt] as number;
    const key = elements.key();
    writeKeyNumber(index, key);
    elements.put(key, value);
    f64[nextAt] = index + 1;
    elements.changeCount(1);
  }

  #length(): number {
    const elements = this.#elements;
    if (!elements.holds()) return 0;
    if (elements.life === null) return elements.count;
    let length = 0;
    const cursor = elements.open();
    while (cursor.next()) if (!elements.gone(cursor.value())) length++;
    elements.cursors.give(cursor);
    return length;
  }

  /** What is there now; what is added meanwhile stands behind it. */
  #iterate(): IterableIterator<unknown> {
    const elements = this.#elements;
    if (!elements.holds()) return iteration(elements, null, () => undefined);
    const { memory, call } = this.#parts;
    const until = memory.f64[(call.entry + this.#nextAt) >>> 3] as number;
    const { at, from } = elements.key();
    const source = byteSource(memory);
    const cursor = elements.open();
    return iteration(elements, cursor, () => {
      openBytes(source, source.u8, cursor.key + at - from, cursor.key + cursor.keyBytes);
      if (readKeyNumber(source) >= until) return over;
      return elements.value.read(cursor.value());
    });
  }
}

class MapHandle implements Handle {
  readonly api: object;
  readonly #elements: Elements;
  readonly #codec: ReturnType<typeof keyCodec>;
  readonly #parts: HandleParts;

  constructor(
    name: string,
    what: string,
    of: { readonly key: DataType; readonly type: DataType; readonly nullable: boolean },
    bit: number,
    life: Life | null,
    parts: HandleParts,
  ) {
    this.#parts = parts;
    this.#elements = new Elements(name, what, of, { name: 'key', type: of.key }, bit, life, parts);
    this.#codec = keyCodec({ name: `the key of ${what}`, type: of.key, nullable: false });
    const elements = this.#elements;
    this.api = Object.freeze({
      get: (key: unknown) => {
        const value = this.#find(key);
        return value === null ? null : elements.value.read(value);
      },
      has: (key: unknown) => this.#find(key) !== null,
      set: (key: unknown, value: unknown) => this.#set(key, value),
      delete: (key: unknown) => this.#delete(key),
      clear: () => elements.clear(),
      keys: () => this.#iterate((cursor, from) => this.#keyAt(cursor, from)),
      values: () => this.#iterate((cursor) => elements.value.read(cursor.value())),
      [Symbol.iterator]: () =>
        this.#iterate((cursor, from) => [this.#keyAt(cursor, from), elements.value.read(cursor.value())]),
    });
  }

  sweep(): Sweep {
    return this.#elements.sweep();
  }

  release(): void {
    this.#elements.cursors.releaseAll();
  }

  readonly #source: { source: ByteSource | null } = { source: null };

  #keyAt(cursor: Cursor, from: number): unknown {
    this.#source.source ??= byteSource(this.#parts.memory);
    const { source } = this.#source;
    openBytes(source, source.u8, cursor.key + from, cursor.key + cursor.keyBytes);
    return this.#codec.read(source);
  }

  #key(key: unknown): ByteSink {
    const sink = this.#elements.key();
    try {
      this.#codec.write(key, sink);
    } catch (error) {
      if (isMillraceError(error) && error.code === 'record/too-large') throw tooLong();
      throw error;
    }
    if (sink.at - sink.from > orderedKeyBytesMax) throw tooLong();
    return sink;
  }

  #find(key: unknown): ByteSource | null {
    const elements = this.#elements;
    if (!elements.holds()) return null;
    const sink = this.#key(key);
    const value = elements.table.get(sink.from, sink.at - sink.from);
    return value === null || elements.gone(value) ? null : value;
  }

  #set(key: unknown, value: unknown): void {
    const elements = this.#elements;
    elements.holds();
    const sink = this.#key(key);
    const { size } = elements.table;
    elements.put(sink, value);
    if (elements.table.size !== size) elements.changeCount(1);
  }

  #delete(key: unknown): void {
    const elements = this.#elements;
    if (!elements.holds()) return;
    const sink = this.#key(key);
    if (elements.table.delete(sink.from, sink.at - sink.from)) elements.changeCount(-1);
  }

  #iterate(read: (cursor: Cursor, from: number) => unknown): IterableIterator<unknown> {
    const elements = this.#elements;
    if (!elements.holds()) return iteration(elements, null, () => undefined);
    const { at, from } = elements.key();
    const cursor = elements.open();
    return iteration(elements, cursor, () => read(cursor, at - from));
  }
}

function tooLong(): MillraceError {
  return new MillraceError(
    'record/too-large',
    `the key of a map and the key of its row take more than ${orderedKeyBytesMax} bytes together; use a shorter one, or its hash`,
  );
}

/** What an iteration answers instead of a value: it is at its end. */
const over = Symbol('over');

/** An iteration over elements that are not gone. */
function iteration(elements: Elements, cursor: Cursor | null, read: () => unknown): IterableIterator<unknown> {
  let open = cursor;
  const end = (): IteratorResult<unknown> => {
    if (open) elements.cursors.give(open);
    open = null;
    return { done: true, value: undefined };
  };
  return {
    next() {
      if (open) elements.holds();
      while (open?.next()) {
        if (elements.gone(open.value())) continue;
        const value = read();
        return value === over ? end() : { done: false, value };
      }
      return end();
    },
    return: end,
    [Symbol.iterator]() {
      return this;
    },
  };
}

/** Room for values in the slot's memory; longer ones take a detour over the heap. */
export function valueSink(memory: SlotMemory, name: string): ByteSink {
  const room = 16 * 1024;
  return byteSink(memory, memory.arena.allocate(room, name), room, orderedValueBytesMax, 'a value of state');
}
