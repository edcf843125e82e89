/**
 * Broadcast state: the same rows in every subtask, written by handlers of broadcast inputs, read by those of keyed ones.
 * It is read far more often than written, so what is read is decoded once and kept, frozen, until the next write.
 */

import { MillraceError } from '../../base/errors.ts';
import type { StateSpec } from '../../plan/states.ts';
import type { OperatorState, OrderedTable } from '../../ports/state.ts';
import { type ByteSink, byteSink, byteSource, openBytes } from '../../record/bytes.ts';
import { type KeyPart, keyCodec } from '../../record/key-bytes.ts';
import type { SlotMemory } from '../../record/memory.ts';
import { type Call, callOver, keyRoom } from './call.ts';
import { KeptValue } from './handles.ts';

export interface BroadcastParts {
  readonly memory: SlotMemory;
  readonly state: Pick<OperatorState, 'ordered'>;
  readonly call: Call;
  readonly value: ByteSink;
}

export interface BroadcastHandle {
  readonly readable: object;
  readonly writable: object;
  /** Rows were changed behind its back. */
  forget(): void;
}

export function broadcastHandle(spec: StateSpec, parts: BroadcastParts): BroadcastHandle {
  if (spec.kind === 'map') return mapOf(spec, parts);
  if (spec.kind === 'value') return cellOf(spec, parts);
  throw new RangeError(`broadcast state of kind ${spec.kind}`);
}

function cellOf(spec: Extract<StateSpec, { kind: 'value' }>, parts: BroadcastParts): BroadcastHandle {
  const of = new Rows(spec, { name: '$', type: { kind: 'BOOLEAN' }, nullable: false }, parts);
  const get = (): unknown => of.get(false) ?? null;
  const readable = Object.freeze({ get });
  const writable = Object.freeze({
    get,
    set: (value: unknown) => of.set(false, value),
    clear: () => of.clear(),
  });
  return { readable, writable, forget: () => of.forget() };
}

function mapOf(spec: Extract<StateSpec, { kind: 'map' }>, parts: BroadcastParts): BroadcastHandle {
  const of = new Rows(spec, { name: 'key', type: spec.key, nullable: false }, parts);
  const read = {
    get: (key: unknown) => of.get(key) ?? null,
    has: (key: unknown) => of.get(key) !== undefined,
    keys: () => of.entries().map(([key]) => key),
    values: () => of.values(),
    [Symbol.iterator]: () => of.entries()[Symbol.iterator](),
  };
  const write = {
    set: (key: unknown, value: unknown) => of.set(key, value),
    delete: (key: unknown) => of.delete(key),
    clear: () => of.clear(),
  };
  return {
    readable: Object.freeze(read),
    writable: Object.freeze({ ...read, ...write }),
    forget: () => of.forget(),
  };
}

class Rows {
  readonly #parts: BroadcastParts;
  readonly #table: OrderedTable;
  readonly #key: ByteSink;
  readonly #keys: ReturnType<typeof keyCodec>;
  readonly #value: KeptValue;
  /** All rows, decoded; null: not since the last write. */
  #entries: readonly (readonly [unknown, unknown])[] | null = null;
  #values: readonly unknown[] = [];
  /** By the text of the key. */
  #byKey = new Map<unknown, unknown>();

  constructor(spec: Extract<StateSpec, { kind: 'value' | 'map' }>, part: KeyPart, parts: BroadcastParts) {
    this.#parts = parts;
    const what = `broadcast state '${spec.name}'`;
    this.#value = new KeptValue(spec.type, spec.nullable, null, what, parts.value);
    this.#table = parts.state.ordered({ name: spec.name, keyGroupAt: null, key: [part], value: this.#value.fields });
    this.#key = byteSink(
      parts.memory,
      parts.memory.arena.allocate(keyRoom, what),
      keyRoom,
      keyRoom,
      `a key of ${what}`,
    );
    this.#keys = keyCodec({ ...part, name: `the key of ${what}` });
  }

  /** Undefined where there is none. */
  get(key: unknown): unknown {
    if (key === null || typeof key !== 'object') {
      this.entries();
      return this.#byKey.get(key);
    }
    if (!this.#parts.call.active) throw callOver();
    const sink = this.#keyOf(key);
    const found = this.#table.get(sink.from, sink.at - sink.from);
    return found === null ? undefined : this.#value.read(found);
  }

  entries(): readonly (readonly [unknown, unknown])[] {
    if (!this.#parts.call.active) throw callOver();
    if (this.#entries !== null) return this.#entries;
    const entries: (readonly [unknown, unknown])[] = [];
    const source = byteSource(this.#parts.memory);
    const cursor = this.#cursor ?? this.#table.cursor();
    this.#cursor = cursor;
    cursor.range(0, 0, 0, 0);
    this.#byKey = new Map();
    while (cursor.next()) {
      openBytes(source, source.u8, cursor.key, cursor.key + cursor.keyBytes);
      const key = frozen(this.#keys.read(source));
      const value = frozen(this.#value.read(cursor.value()));
      entries.push(Object.freeze([key, value]));
      this.#byKey.set(key, value);
    }
    this.#values = Object.freeze(entries.map(([, value]) => value));
    this.#entries = Object.freeze(entries);
    return entries;
  }
  #cursor: ReturnType<OrderedTable['cursor']> | null = null;

  values(): readonly unknown[] {
    this.entries();
    return this.#values;
  }

  set(key: unknown, value: unknown): void {
    if (!this.#parts.call.active) throw callOver();
    const sink = this.#keyOf(key);
    this.#value.begin(value, 0);
    if (this.#table.size >= broadcastRowsMax && !this.#table.has(sink.from, sink.at - sink.from)) {
      throw new MillraceError(
        'function/too-many',
        `broadcast state has ${broadcastRowsMax} rows, as many as it may: it lies in every subtask; keep what is larger by key`,
      );
    }
    this.#value.put(this.#table, sink.from, sink.at - sink.from);
    this.#entries = null;
  }

  delete(key: unknown): void {
    if (!this.#parts.call.active) throw callOver();
    const sink = this.#keyOf(key);
    if (this.#table.delete(sink.from, sink.at - sink.from)) this.#entries = null;
  }

  clear(): void {
    if (!this.#parts.call.active) throw callOver();
    this.#table.deleteRange(0, 0, 0, 0);
    this.#entries = null;
  }

  forget(): void {
    this.#entries = null;
  }

  #keyOf(key: unknown): ByteSink {
    this.#key.reset();
    this.#keys.write(key, this.#key);
    return this.#key;
  }
}

/** Rows of one broadcast state at most. */
export const broadcastRowsMax = 100_000;

/** Whoever reads it gets the same object: nobody may change it. */
function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}
