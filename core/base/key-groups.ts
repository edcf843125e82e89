/**
 * Where a key lives. A key group is the first bits of its hash and the unit of rescale; slots own ranges of key groups.
 * The exchange, state and restore must agree on this to the bit, so all of them use these functions.
 */
import { keyGroupBits, keyGroups } from './limits.ts';

/** A half-open range of key groups. */
export interface KeyGroupRange {
  readonly from: number;
  readonly to: number;
}

export const allKeyGroups: KeyGroupRange = { from: 0, to: keyGroups };

/** The key group of a hash, given its upper 32 bits. */
export function keyGroupOfHigh(hashHigh: number): number {
  return hashHigh >>> (32 - keyGroupBits);
}

/** The key group of a 64-bit hash. */
export function keyGroupOf(hash: bigint): number {
  return Number(BigInt.asUintN(64, hash) >> BigInt(64 - keyGroupBits));
}

/** The subtask, of `parallelism`, that owns a key group: ranges as even as can be, in order. */
export function slotOfKeyGroup(keyGroup: number, parallelism: number): number {
  return Math.floor((keyGroup * parallelism) / keyGroups);
}

/** The key groups that a subtask owns: the inverse of `slotOfKeyGroup`. */
export function keyGroupRange(subtask: number, parallelism: number): KeyGroupRange {
  return {
    from: Math.ceil((subtask * keyGroups) / parallelism),
    to: Math.ceil(((subtask + 1) * keyGroups) / parallelism),
  };
}
