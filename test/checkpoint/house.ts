/** A slot with state that is checkpointed to files, fed with keys by number, and what it should hold, by a plain Map. */
import type { KeyGroupRange } from '../../core/base/key-groups.ts';
import type { Prng } from '../../core/base/prng.ts';
import type { Manifest, StateDirectory } from '../../core/ports/checkpoint.ts';
import type { Disk } from '../../core/ports/disk.ts';
import type { GroupTable, GroupTableDecl, OrderedTableDecl, SlicedTables } from '../../core/ports/state.ts';
import type { Batch } from '../../core/record/batch.ts';
import { byteSink } from '../../core/record/bytes.ts';
import { type KeyCodec, keyCodec } from '../../core/record/key-bytes.ts';
import { type Layout, layoutOf } from '../../core/record/layout.ts';
import { rowCodec } from '../../core/record/row-bytes.ts';
import { checkpointReader } from '../../state/checkpoint/reader.ts';
import { type CheckpointTarget, checkpointWriter } from '../../state/checkpoint/writer.ts';
import { pagePool } from '../../state/page-pool.ts';
import { slotState } from '../../state/slot-state.ts';
import type { RestoredPart, StateSnapshot } from '../../state/snapshot.ts';
import { readView } from '../support/columns.ts';
import { testSlot } from '../support/slot.ts';

export type KeyKind = 'i64' | 'view';
/** Of a key: how often it was fed, and the last text given to it. */
export type Model = Map<string, { n: bigint; text: string }>;

const rowsMax = 1024;
const seed = 42n;

export interface HouseOptions {
  readonly keys: KeyKind;
  readonly texts: boolean;
  readonly keyGroups?: KeyGroupRange;
  readonly restored?: readonly RestoredPart[];
  readonly mb?: number;
  /** With an ordered table, `o`. */
  readonly ordered?: boolean;
  readonly directory?: { readonly disk: Disk; readonly state: StateDirectory; readonly participant: number };
}

const orderedDecl: OrderedTableDecl = {
  name: 'o',
  keyGroupAt: 0,
  key: [
    { name: '$hash', type: { kind: 'HASH' }, nullable: false },
    { name: 'number', type: { kind: 'BIGINT' }, nullable: false },
    { name: 'name', type: { kind: 'VARCHAR' }, nullable: true },
    { name: 'ratio', type: { kind: 'DOUBLE' }, nullable: false },
  ],
  value: [
    { name: 'seen', type: { kind: 'TIMESTAMP', precision: 6 }, nullable: false },
    { name: 'tags', type: { kind: 'ARRAY', of: { kind: 'VARCHAR' }, nullable: true }, nullable: true },
    {
      name: 'rates',
      type: { kind: 'MAP', key: { kind: 'VARCHAR' }, value: { kind: 'DOUBLE' }, nullable: false },
      nullable: false,
    },
    {
      name: 'place',
      type: {
        kind: 'ROW',
        fields: [
          { name: 'day', type: { kind: 'DATE' }, nullable: true },
          { name: 'open', type: { kind: 'BOOLEAN' }, nullable: false },
          { name: 'size', type: { kind: 'INT' }, nullable: false },
        ],
      },
      nullable: true,
    },
    { name: 'text', type: { kind: 'VARCHAR' }, nullable: false },
  ],
};

/** Row `i` of the ordered table: of every type, NULLs among them, and some longer than a page. */
function orderedRow(i: number): { key: unknown[]; value: Record<string, unknown> } {
  return {
    key: [i * 1_000_003, i % 4 === 0 ? null : `name\0${i}`, i % 7 === 0 ? -0 : i / 3],
    value: {
      seen: new Date(1_700_000_000_000 + i),
      tags: i % 5 === 0 ? null : Array.from({ length: i % 4 }, (_, k) => (k === 1 ? null : `tag ${k}`)),
      rates: new Map(
        i % 3 === 0
          ? []
          : [
              ['a', i / 7],
              ['b', -i],
            ],
      ),
      place:
        i % 6 === 0
          ? null
          : { day: i % 2 === 0 ? null : new Date(86_400_000 * (i % 20_000)), open: i % 3 === 1, size: -i },
      text: 'ü'.repeat(i % 50 === 0 ? 20_000 : i % 13) + i,
    },
  };
}

/** Text of key `i`: short, or long enough to lie in a page's heap. */
export const keyText = (kind: KeyKind, i: number): string =>
  kind === 'i64' ? `${i}` : i % 3 === 0 ? `k${i}` : `a rather long key, number ${i}`;

export function house(options: HouseOptions) {
  const { keys: kind, texts } = options;
  const mb = options.mb ?? 24;
  const slot = testSlot({ bytes: (mb + 8) << 20, poolBytes: mb << 20 });
  const { memory, kernels } = slot;
  const pool = pagePool(memory, slot.poolFrom, slot.poolTo);
  const state = slotState({ memory, kernels, pool, hashSeed: seed, tracked: true });
  const keys: Layout = layoutOf([
    { name: 'key', type: { kind: kind === 'i64' ? 'BIGINT' : 'VARCHAR' }, nullable: false },
  ]);
  const hashes = memory.arena.allocate(8 * rowsMax, 'hashes');
  const entries = memory.arena.allocate(4 * rowsMax, 'entries');
  const column = memory.arena.allocate(16 * rowsMax, 'keys');
  const bytes = memory.arena.allocate(64 * rowsMax, 'bytes of keys');
  const scratch = memory.arena.allocate(16 + 256, 'a view');
  const baseFree = pool.free;
  const decl = (name: string): GroupTableDecl => ({
    name,
    keys,
    accumulatorBytes: texts ? 24 : 8,
    texts: texts ? [8] : [],
    leaves: [
      { name: 'n', type: { kind: 'BIGINT' }, offset: 0, coding: 'i64' },
      ...(texts ? [{ name: 'text', type: { kind: 'VARCHAR' }, offset: 8, coding: 'view' } as const] : []),
    ],
  });
  const operator = state.operator('o', options.keyGroups, options.restored);
  const table = operator.groups(decl('t'));
  const slices: SlicedTables = operator.slices(decl('s'));
  const ordered = options.ordered ? operator.ordered(orderedDecl) : null;
  const watermark = operator.value('watermark', Number.NEGATIVE_INFINITY, Math.max);
  const model = new Map<string, Model>();
  const { directory } = options;
  const writer = directory
    ? checkpointWriter({
        disk: directory.disk,
        staging: directory.state.staging,
        epoch: directory.state.epoch,
        participant: directory.participant,
      })
    : null;
  const encoder = new TextEncoder();
  const keyCodecs = orderedDecl.key.map(keyCodec);
  const valueRow = rowCodec(orderedDecl.value);
  const keySink = byteSink(memory, memory.arena.allocate(2048, 'a key'), 2048, 2048, 'a key');
  const valueSink = byteSink(memory, memory.arena.allocate(2048, 'a value'), 2048, 2 ** 20, 'a value');

  const writeText = (at: number, text: string, room: number): void => {
    const encoded = encoder.encode(text);
    memory.u8.fill(0, at, at + 16);
    memory.u32[at >>> 2] = encoded.length;
    if (encoded.length <= 12) memory.u8.set(encoded, at + 4);
    else {
      memory.u8.set(encoded, room);
      memory.u8.set(encoded.subarray(0, 4), at + 4);
      memory.u32[(at + 12) >>> 2] = room;
    }
  };
  const batchOf = (numbers: readonly number[]): Batch => {
    numbers.forEach((i, k) => {
      if (kind === 'i64') memory.i64[(column >>> 3) + k] = BigInt(i);
      else writeText(column + 16 * k, keyText(kind, i), bytes + 64 * k);
    });
    const batch: Batch = {
      layout: keys,
      rowCount: numbers.length,
      columns: [{ values: column, validity: 0, dictionary: null }],
      kinds: 0,
      selection: 0,
      size: numbers.length,
      origin: null,
    };
    if (kind === 'i64') kernels.hashI64(column, 0, 0, numbers.length, seed, 1, hashes);
    else kernels.hashView(column, 0, 0, numbers.length, seed, 1, hashes);
    return batch;
  };
  const ours = (numbers: readonly number[]): number[] => {
    const range = options.keyGroups;
    if (!range) return [...numbers];
    const mine: number[] = [];
    for (let from = 0; from < numbers.length; from += rowsMax) {
      const some = numbers.slice(from, from + rowsMax);
      batchOf(some);
      for (let k = 0; k < some.length; k++) {
        const group = (memory.u32[(hashes >>> 2) + 2 * k + 1] as number) >>> 22;
        if (group >= range.from && group < range.to) mine.push(some[k] as number);
      }
    }
    return mine;
  };

  return {
    pool,
    state,
    operator,
    table,
    slices,
    watermark,
    model,
    baseFree,
    /** Adds one for each key; those of other key groups are left out. Slices by number, the table by null. */
    feed(slice: number | null, all: readonly number[], text: (i: number) => string = () => ''): void {
      const name = slice === null ? 't' : `s${slice}`;
      const to: GroupTable = slice === null ? table : slices.open(slice);
      let held = model.get(name);
      if (held === undefined) {
        held = new Map();
        model.set(name, held);
      }
      let left = ours(all);
      while (left.length > 0) {
        const now = left.slice(0, rowsMax);
        const batch = batchOf(now);
        const n = to.resolve(batch, [0], hashes, 0, now.length, entries);
        if (n === 0 && operator.freePages === 0) throw new Error('the test’s pool is too small');
        for (let k = 0; k < n; k++) {
          const at = (memory.u32[(entries >>> 2) + k] as number) + to.accumulatorOffset;
          memory.u64[at >>> 3] = (memory.u64[at >>> 3] as bigint) + 1n;
          const key = keyText(kind, now[k] as number);
          const had = held.get(key) ?? { n: 0n, text: '' };
          let last = had.text;
          if (texts) {
            last = text(now[k] as number);
            writeText(scratch, last, scratch + 16);
            if ((memory.u32[scratch >>> 2] as number) > 12) to.keepText(at + 8, scratch);
            else memory.u8.copyWithin(at + 8, scratch, scratch + 16);
          }
          held.set(key, { n: had.n + 1n, text: last });
        }
        to.reclaim();
        left = left.slice(n);
      }
    },
    /** Adds one for each of the keys of a batch, without a model: for measurements. */
    add(numbers: readonly number[]): void {
      const batch = batchOf(numbers);
      for (let done = 0; done < numbers.length; ) {
        const n = table.resolve(batch, [0], hashes + 8 * done, 0, numbers.length - done, entries);
        for (let k = 0; k < n; k++) {
          const at = ((memory.u32[(entries >>> 2) + k] as number) + table.accumulatorOffset) >>> 3;
          memory.u64[at] = (memory.u64[at] as bigint) + 1n;
        }
        done += n;
        if (done < numbers.length) {
          const rest = numbers.slice(done);
          batchOf(rest);
          this.add(rest);
          return;
        }
      }
    },
    /** Some of the keys that the table holds, in the order of its pages. */
    keysFrom(cursor: { at: number }): number[] {
      const n = table.scan(cursor, entries, rowsMax);
      table.readKey(0, entries, n, column, 0);
      return Array.from({ length: n }, (_, k) => Number(memory.i64[(column >>> 3) + k]));
    },
    /** Puts rows of the ordered table. */
    put(numbers: readonly number[]): void {
      for (const i of ours(numbers)) {
        batchOf([i]);
        const { key, value } = orderedRow(i);
        keySink.reset();
        [memory.u64[hashes >>> 3] as bigint, ...key].forEach((part, k) => {
          (keyCodecs[k] as KeyCodec).write(part, keySink);
        });
        valueSink.reset();
        valueRow.write(value, valueSink);
        const { u8, from, at } = valueSink;
        ordered!.putBytes(keySink.from, keySink.at - keySink.from, u8, from, at);
      }
    },
    /** Every row of the ordered table, as it lies there. */
    rows(): string[] {
      const found: string[] = [];
      const cursor = ordered!.cursor();
      cursor.prefix(0, 0);
      while (cursor.next()) {
        const { u8, at, end } = cursor.value();
        const key = memory.u8.slice(cursor.key, cursor.key + cursor.keyBytes);
        found.push(`${Buffer.from(key).toString('hex')} ${Buffer.from(u8.slice(at, end)).toString('hex')}`);
      }
      return found;
    },
    drop(slice: number): void {
      slices.drop(slice);
      model.delete(`s${slice}`);
    },
    /** What the tables hold. */
    contents(): Map<string, Model> {
      const found = new Map<string, Model>();
      const read = (name: string, of: GroupTable): void => {
        const held: Model = new Map();
        const cursor = { at: 0 };
        for (;;) {
          const n = of.scan(cursor, entries, rowsMax);
          if (n === 0) break;
          of.readKey(0, entries, n, column, 0);
          for (let k = 0; k < n; k++) {
            const at = (memory.u32[(entries >>> 2) + k] as number) + of.accumulatorOffset;
            const key = kind === 'i64' ? `${memory.i64[(column >>> 3) + k]}` : readView(memory, column + 16 * k);
            if (held.has(key)) throw new Error(`key ${key} twice in ${name}`);
            held.set(key, { n: memory.u64[at >>> 3] as bigint, text: texts ? readView(memory, at + 8) : '' });
          }
        }
        if (held.size > 0) found.set(name, held);
      };
      read('t', table);
      for (const slice of slices.slices()) read(`s${slice}`, slices.open(slice));
      return found;
    },
    begin(id: number, committed: number, full = false): { file: CheckpointTarget; snapshot: StateSnapshot } {
      const file = writer!.begin(id, committed, full) as CheckpointTarget;
      return { file, snapshot: operator.snapshot(file) };
    },
  };
}
export type House = ReturnType<typeof house>;

/** A deep copy without empty tables, to compare later. */
export function copyOf(model: ReadonlyMap<string, Model>): Map<string, Model> {
  const copy = new Map<string, Model>();
  for (const [name, held] of model)
    if (held.size > 0) copy.set(name, new Map([...held].map(([k, v]) => [k, { ...v }])));
  return copy;
}

/** All participants' states together. */
export function merged(models: readonly ReadonlyMap<string, Model>[]): Map<string, Model> {
  const all = new Map<string, Model>();
  for (const model of models) {
    for (const [name, held] of model) {
      const into = all.get(name) ?? new Map();
      for (const [key, value] of held) {
        if (into.has(key)) throw new Error(`key ${key} of ${name} in two subtasks`);
        into.set(key, value);
      }
      all.set(name, into);
    }
  }
  return all;
}

export function partsOf(disk: Disk, state: StateDirectory, manifest: Manifest): readonly RestoredPart[] {
  const names = manifest.parts.flatMap(({ file }) => (file === null ? [] : [file]));
  return checkpointReader(disk, state.files, manifest.files, names).operator('o');
}

export const someKeys = (random: Prng, n: number, below: number, from = 0): number[] =>
  Array.from({ length: n }, () => from + random.below(below));
