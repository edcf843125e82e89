/**
 * Short names of groups: a number that stands in a group's entry and is unique within its key group, so that tables of what
 * belongs to groups need not repeat their keys, and stay beside them wherever both are restored. Knows no table.
 */
import { keyGroupOfHigh } from '../../base/key-groups.ts';
import { batchRowsMax, keyGroups } from '../../base/limits.ts';
import type { OperatorContext } from '../operator.ts';

/** Bytes of a group's entry in which its number stands. */
export const groupNumberBytes = 8;

export class GroupNumbers {
  /** u32 per row of the batch: the number of its group. */
  readonly numbers: number;
  /** u64 per row of the batch: the hash of its group. */
  readonly hashes: number;
  readonly #context: OperatorContext;
  /** Offset of the number in an entry. */
  readonly #at: number;
  /** The last number given, by key group. */
  readonly #last = new Uint32Array(keyGroups);

  constructor(at: number, context: OperatorContext) {
    const { memory, name, state } = context;
    this.#context = context;
    this.#at = at;
    this.numbers = memory.arena.allocate(4 * batchRowsMax, `numbers of groups of ${name}`);
    this.hashes = memory.arena.allocate(8 * batchRowsMax, `hashes of groups of ${name}`);
    for (const { keyGroup, value } of state.keyed<number>('numbers', () => this.#given())) {
      this.#last[keyGroup] = Math.max(this.#last[keyGroup] as number, value);
    }
  }

  /** Of rows (`rows`, or 0 for the first `n`) whose groups, just resolved, are at `groups`. New groups get a number. */
  write(rows: number, n: number, groups: number): void {
    const { u32 } = this.#context.memory;
    const [list, entries, numbers, hashes] = [rows >>> 2, groups >>> 2, this.numbers >>> 2, this.hashes >>> 2];
    for (let k = 0; k < n; k++) {
      const entry = (u32[entries + k] as number) >>> 2;
      const row = rows === 0 ? k : (u32[list + k] as number);
      const high = u32[entry + 1] as number;
      const at = entry + (this.#at >>> 2);
      let number = u32[at] as number;
      if (number === 0) {
        const keyGroup = keyGroupOfHigh(high);
        number = (this.#last[keyGroup] as number) + 1;
        this.#last[keyGroup] = number;
        u32[at] = number;
      }
      u32[numbers + row] = number;
      u32[hashes + 2 * row] = u32[entry] as number;
      u32[hashes + 2 * row + 1] = high;
    }
  }

  *#given(): Generator<{ keyGroup: number; value: number }> {
    for (let keyGroup = 0; keyGroup < keyGroups; keyGroup++) {
      const value = this.#last[keyGroup] as number;
      if (value > 0) yield { keyGroup, value };
    }
  }
}
