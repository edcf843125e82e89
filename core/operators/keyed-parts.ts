/**
 * What operators over keyed state share: hashes of key columns, buffers of result columns, output in slices of bounded size,
 * and work that stops wherever output room ends. Knows no window and no phase.
 */
import { MillraceError } from '../base/errors.ts';
import { batchRowsMax } from '../base/limits.ts';
import { type GroupTable, type OperatorState, ResolveStop } from '../ports/state.ts';
import { type Batch, batch as batchOf, type Column, type Dictionary } from '../record/batch.ts';
import { type Layout, valueBytes } from '../record/layout.ts';
import type { SlotMemory } from '../record/memory.ts';
import { type OperatorContext, type Output, Progress } from './operator.ts';

/** Work as a generator: it yields where it must stop; the operator answers `more` and goes on when it is resumed. */
export class Work {
  #running: Iterator<void> | null = null;

  start(work: Iterator<void>): Progress {
    this.#running = work;
    return this.resume();
  }

  resume(): Progress {
    if (this.#running === null) return Progress.done;
    if (!this.#running.next().done) return Progress.more;
    this.#running = null;
    return Progress.done;
  }
}

/** u32 0, 1, 2, … batchRowsMax − 1: the row list of a batch without a selection. */
export function identityRows(memory: SlotMemory): number {
  const at = memory.arena.allocate(4 * batchRowsMax, 'row numbers');
  for (let i = 0; i < batchRowsMax; i++) memory.u32[(at >>> 2) + i] = i;
  return at;
}

/** Emits `size` rows (numbers at `selection`) of a batch in pieces of at most `batchRows`. */
export function* emitRows(
  rows: {
    readonly layout: Layout;
    readonly rowCount: number;
    readonly columns: readonly Column[];
    readonly kinds: number;
  },
  selection: number,
  size: number,
  batchRows: number,
  out: Output,
  port = 0,
): Generator<void> {
  for (let from = 0; from < size; from += batchRows) {
    const piece = batchOf(rows.layout, rows.rowCount, rows.columns, {
      kinds: rows.kinds,
      selection: selection + 4 * from,
      size: Math.min(batchRows, size - from),
    });
    if (out.emit(piece, port) === Progress.more) yield;
  }
}

/** Buffers for up to `rows` rows of a layout. */
export function resultColumns(layout: Layout, rows: number, context: OperatorContext): Column[] {
  const { arena } = context.memory;
  return layout.map((column) => ({
    values: arena.allocate(valueBytes(column.storage, rows) + 8, `results of ${context.name}`),
    validity: column.nullable ? arena.allocate((rows >>> 3) + 8, `results of ${context.name}`) : 0,
    dictionary: null,
  }));
}

/** Hashes key columns as the exchange does. */
export class KeyHasher {
  readonly #context: OperatorContext;
  readonly #layout: Layout;
  readonly #keys: readonly number[];
  /** By key: hashes of the dictionaries seen last, where their maker computed none. */
  readonly #known: { id: number; at: number; room: number }[][];
  #turn = 0;

  constructor(context: OperatorContext, layout: Layout, keys: readonly number[]) {
    this.#context = context;
    this.#layout = layout;
    this.#keys = keys;
    this.#known = keys.map(() => []);
  }

  /** Writes one u64 per row `rows[k]` (or k when `rows` is 0) to `out`, k < n. Without keys all hashes are 0. */
  hash(batch: Batch, rows: number, n: number, out: number): void {
    const { kernels, hashSeed, memory } = this.#context;
    if (this.#keys.length === 0) memory.u32.fill(0, out >>> 2, (out >>> 2) + 2 * n);
    for (let k = 0; k < this.#keys.length; k++) {
      const index = this.#keys[k] as number;
      const { values, validity, dictionary } = batch.columns[index] as Column;
      const first = k === 0 ? 1 : 0;
      switch ((this.#layout[index] as Layout[number]).storage) {
        case 'bit':
          kernels.hashBit(values, validity, rows, n, hashSeed, first, out);
          break;
        case 'i32':
          kernels.hashI32(values, validity, rows, n, hashSeed, first, out);
          break;
        case 'i64':
          kernels.hashI64(values, validity, rows, n, hashSeed, first, out);
          break;
        case 'f64':
          kernels.hashF64(values, validity, rows, n, hashSeed, first, out);
          break;
        case 'view':
          if (dictionary === null) kernels.hashView(values, validity, rows, n, hashSeed, first, out);
          else kernels.hashCode(values, this.#hashesOf(k, dictionary), validity, rows, n, hashSeed, first, out);
          break;
      }
    }
  }

  #hashesOf(key: number, dictionary: Dictionary): number {
    if (dictionary.hashes !== 0) return dictionary.hashes;
    const known = this.#known[key] as { id: number; at: number; room: number }[];
    const found = known.find((one) => one.id === dictionary.id);
    if (found) return found.at;
    // Several channels may bring several dictionaries in turn.
    let place = known[this.#turn++ % dictionariesKept];
    if (place === undefined) {
      place = { id: -1, at: 0, room: 0 };
      known.push(place);
    }
    if (place.room < dictionary.count) {
      place.room = 2 ** Math.ceil(Math.log2(Math.max(256, dictionary.count)));
      place.at = this.#context.memory.arena.allocate(8 * place.room, `hashes of a dictionary of ${this.#context.name}`);
    }
    this.#context.kernels.hashDictionary(dictionary.views, dictionary.count, place.at);
    place.id = dictionary.id;
    return place.at;
  }
}

const dictionariesKept = 4;

/** Where `resolveRows` finds its buffers, and who hashes the keys. */
export interface ResolveBuffers {
  readonly state: OperatorState;
  readonly hasher: KeyHasher;
  /** u64 per row of a batch. */
  readonly hashes: number;
  /** u32 0, 1, 2, … */
  readonly identity: number;
  readonly entries: number;
}

/**
 * Resolves `n` rows, hashed where the table does not remember them, and calls `apply` for each run of rows that got their
 * entries: positions [from, from + count) of `rows`, entries at `entries`. Yields when the bound of copies is reached, or while a snapshot holds the pages it needs.
 * Errors: `memory/exhausted`.
 */
export function* resolveRows(
  table: GroupTable,
  batch: Batch,
  keys: readonly number[],
  rows: number,
  n: number,
  buffers: ResolveBuffers,
  apply: (rows: number, count: number) => Iterable<void> | void,
): Generator<void> {
  const { hasher, hashes, identity, entries, state } = buffers;
  const recalled = table.recall(batch, keys, rows, n, entries);
  if (recalled > 0) {
    const more = apply(rows, recalled);
    if (more) yield* more;
    if (recalled === n) return;
  }
  const listFrom = (at: number): number => (rows !== 0 ? rows + 4 * at : at > 0 ? identity + 4 * at : 0);
  hasher.hash(batch, listFrom(recalled), n - recalled, hashes);
  for (let done = recalled; done < n; ) {
    const from = listFrom(done);
    const count = table.resolve(batch, keys, hashes + 8 * (done - recalled), from, n - done, entries);
    if (count > 0) {
      const more = apply(from, count);
      if (more) yield* more;
    }
    done += count;
    if (done < n) yield* waitForPages(table.stop, state);
  }
}

/** After a resolve or absorb that stopped short: yields when it can go on later. Errors: `memory/exhausted`. */
export function* waitForPages(stop: ResolveStop, state: OperatorState): Generator<void> {
  if (stop === ResolveStop.needPage && !state.reading) {
    throw new MillraceError(
      'memory/exhausted',
      `the state of this job no longer fits its memory (${state.totalPages} pages of 16 KB in this slot); raise 'memory', or hold less: fewer keys, shorter windows, less allowed lateness`,
    );
  }
  yield;
}
