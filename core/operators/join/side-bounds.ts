/**
 * What is known of the rows of one side of a join beyond its keys (docs/join-state.md): which are late, which will meet none any more,
 * which break what was declared. Marks rows of a batch, and sweeps state as rows come. Knows nothing of the other side.
 */
import { assert } from '../../base/assert.ts';
import { batchRowsMax } from '../../base/limits.ts';
import type { JoinBounds, TimeBound } from '../../plan/physical.ts';
import type { DeadRows } from '../../ports/state.ts';
import type { Batch } from '../../record/batch.ts';
import { LeafList } from '../../record/leaf-list.ts';
import { ticksPerMs } from '../../record/types.ts';
import { type OperatorContext, watermarkMin } from '../operator.ts';
import type { JoinSide } from './side.ts';

export class SideBounds {
  /** At most one row has a key. */
  readonly once: boolean;
  /** Leaf that is FALSE of rows of which it is only known that they are there; null: there are none such. */
  readonly known: number | null;
  readonly #context: OperatorContext;
  readonly #side: JoinSide;
  readonly #dies: readonly Ticks[];
  readonly #late: readonly Ticks[];
  readonly #list: LeafList;
  readonly #dead: DeadRows;
  #timeMs = watermarkMin;

  constructor(bounds: JoinBounds, port: 0 | 1, side: JoinSide, context: OperatorContext) {
    const { memory, name } = context;
    this.once = bounds.once[port];
    this.known = bounds.known[port];
    this.#context = context;
    this.#side = side;
    const ticks = ({ leaf, plusMs }: TimeBound): Ticks => {
      const { type } = side.spec.input[leaf]!;
      return { leaf, plusMs, perMs: BigInt(type.kind === 'TIMESTAMP' ? ticksPerMs(type.precision) : 1) };
    };
    this.#dies = bounds.dies[port].map(ticks);
    const time = bounds.time[port];
    this.#late = bounds.late[port] && time !== null ? [ticks({ leaf: time, plusMs: 0 })] : [];
    const { leaves, nullBytes, headBytes } = side.shape;
    this.#list = new LeafList(leaves, memory, name);
    this.#dead = { leaves: this.#list.address, count: leaves.length, nullBytes, headBytes };
  }

  /** Whether rows are freed as event time goes on. */
  get dies(): boolean {
    return this.#dies.length > 0;
  }

  passed(timeMs: number): void {
    this.#timeMs = timeMs;
    for (const bound of this.#dies) {
      const place = this.#side.shape.leaves.findIndex(({ leaf }) => leaf === bound.leaf);
      this.#list.bound(place, boundOf(bound, timeMs));
    }
  }

  /** Marks rows `from` to `to` of those in a batch that are late. */
  markLate(batch: Batch, from: number, to: number, marks: number): boolean {
    return this.#mark(this.#late, batch, from, to, marks);
  }

  /** Marks rows that will meet none. */
  markDead(batch: Batch, from: number, to: number, marks: number): boolean {
    return this.#mark(this.#dies, batch, from, to, marks);
  }

  #mark(bounds: readonly Ticks[], batch: Batch, from: number, to: number, marks: number): boolean {
    if (this.#timeMs === watermarkMin) return false;
    for (const bound of bounds) {
      const { values, validity } = batch.columns[bound.leaf]!;
      const ticks = boundOf(bound, this.#timeMs);
      this.#context.kernels.markUpTo(values, validity, batch.selection, from, to, ticks, marks);
    }
    return bounds.length > 0;
  }

  /** So many rows were added: rows that are done with go, twice as many are looked at. */
  sweep(added: number): void {
    if (!this.dies || added === 0 || this.#timeMs === watermarkMin || this.#context.state.reading) return;
    this.#side.table.sweep(this.#dead, 2 * added);
  }
}

interface Ticks extends TimeBound {
  readonly perMs: bigint;
}

/** The last tick at which a value is behind. */
function boundOf({ plusMs, perMs }: Ticks, timeMs: number): bigint {
  // In whole milliseconds, value ≤ time + shift.
  const ticks = (BigInt(timeMs) + BigInt(plusMs) + 1n) * perMs - 1n;
  return ticks > ticksMax ? ticksMax : ticks;
}
const ticksMax = 2n ** 63n - 1n;

/** Marks of keys that repeat: a table of so many places, more than twice a batch's rows. */
export const repeatBits = 13;
assert(1 << repeatBits >= 2 * batchRowsMax, 'a table of keys that is too small');
