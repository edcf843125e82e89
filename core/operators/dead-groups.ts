/**
 * Entries of a table of groups that are done: rows of a group have a time in common, the last part of its key, and none
 * comes once event time has passed it. They leave when the table has twice as many entries as were alive when it was last
 * looked through, so that a constant share of the work is theirs. Nobody may hold an entry's address meanwhile.
 */
import { batchRowsMax } from '../base/limits.ts';
import type { TimeBound } from '../plan/physical.ts';
import type { GroupTable } from '../ports/state.ts';
import { ticksPerMs } from '../record/types.ts';
import { waitForPages } from './keyed-parts.ts';
import { type OperatorContext, watermarkMin } from './operator.ts';

/** Tables of fewer entries are not looked through. */
const entriesMin = 1024;

export class DeadGroups {
  readonly #table: GroupTable;
  readonly #context: OperatorContext;
  readonly #key: number;
  readonly #plusMs: number;
  readonly #perMs: bigint;
  readonly #list: number;
  readonly #values: number;
  #timeMs = watermarkMin;
  /** Entries from which on it is worth a look. */
  #due: number;

  /** `key`: which part of the table's keys is the time. */
  constructor(table: GroupTable, key: number, { leaf, plusMs }: TimeBound, context: OperatorContext) {
    const { memory, name, inputs } = context;
    const { type } = inputs[0]![leaf]!;
    this.#table = table;
    this.#context = context;
    this.#key = key;
    this.#plusMs = plusMs;
    this.#perMs = BigInt(type.kind === 'TIMESTAMP' ? ticksPerMs(type.precision) : 1);
    this.#list = memory.arena.allocate(4 * batchRowsMax, `groups of ${name}`);
    this.#values = memory.arena.allocate(8 * batchRowsMax, `groups of ${name}`);
    this.#due = entriesMin;
  }

  passed(timeMs: number): void {
    this.#timeMs = timeMs;
  }

  /** Between two batches. */
  *sweep(): Generator<void> {
    const { state } = this.#context;
    if (this.#table.size < this.#due || this.#timeMs === watermarkMin || state.reading) return;
    const cursor = { at: 0 };
    for (;;) {
      const found = this.#table.scan(cursor, this.#list, batchRowsMax);
      if (found === 0) break;
      const dead = this.#choose(found);
      for (let gone = 0; gone < dead; ) {
        gone += this.#table.remove(this.#list + 4 * gone, dead - gone);
        if (gone < dead) yield* waitForPages(this.#table.stop, state);
      }
    }
    this.#due = Math.max(entriesMin, 2 * this.#table.size);
  }

  /** Moves those that are done to the front of the list. */
  #choose(found: number): number {
    const { u32, i32 } = this.#context.memory;
    this.#table.readKey(this.#key, this.#list, found, this.#values, 0);
    // In whole milliseconds, value ≤ time + shift.
    const ticks = (BigInt(this.#timeMs) + BigInt(this.#plusMs) + 1n) * this.#perMs - 1n;
    const bound = ticks > ticksMax ? ticksMax : ticks;
    const [high, low] = [Number(bound >> 32n), Number(bound & 0xffff_ffffn)];
    const [list, values] = [this.#list >>> 2, this.#values >>> 2];
    let dead = 0;
    for (let k = 0; k < found; k++) {
      const own = i32[values + 2 * k + 1] as number;
      if (own > high || (own === high && (u32[values + 2 * k] as number) > low)) continue;
      u32[list + dead++] = u32[list + k] as number;
    }
    return dead;
  }
}

const ticksMax = 2n ** 63n - 1n;
