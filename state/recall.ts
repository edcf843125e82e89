/**
 * What a slot remembers of where keys lie: a few blocks of memory, lent to the tables that gain by them, that lead from a
 * key, or from a code of a dictionary, straight to its entry. Nothing here is state: what is forgotten is found again.
 *
 * A block holds addresses of entries in writable pages of one table. So it is forgotten as a whole when a page of the
 * table splits or is divided anew, when the table is frozen (from then on its pages may no longer be written), when
 * entries are removed, and when it is cleared. Knows neither pages nor kernels.
 */
import type { SlotMemory } from '../core/record/memory.ts';

/** Lent until `take` gives it to somebody else: ask before each use. */
export interface RecallBlock {
  readonly address: number;
  readonly bytes: number;
  owner: object | null;
  /** Of the dictionary whose codes it is for; 0: it is for keys. */
  dictionary: number;
  /** The owner's count of moves when it was last empty; other than the owner's: to be forgotten. */
  moves: number;
  /** Addresses by place in a range of integers, or in sets by marks; null: by code, for a dictionary. */
  layout: 'range' | 'sets' | null;
  /** log2 of the sets it is divided into. */
  bits: number;
  /** Rows asked for since it was empty. */
  rows: number;
  usedAt: number;
}

export interface Recall {
  /** Of each block. */
  readonly bytes: number;
  /** The owner's block, or null: all are in use by others. A block that comes new has `moves` −1. */
  take(owner: object, dictionary: number): RecallBlock | null;
  /** The owner is gone. */
  release(owner: object): void;
}

const blocksMax = 4;
/** A block that was not asked for in so many calls may be taken by another table, or for another dictionary. */
const idleCalls = 64;
const idleDictionaryCalls = 8;

export function recall(memory: SlotMemory): Recall {
  // In a small slot less is remembered.
  const bytes = Math.max(16_384, Math.min(1_048_576, 2 ** Math.floor(Math.log2(memory.arena.freeBytes / 64))));
  const blocks: RecallBlock[] = [];
  let calls = 0;
  const free = (owner: object): RecallBlock | null => {
    if (blocks.length < blocksMax && memory.arena.freeBytes > 8 * bytes) {
      const address = memory.arena.allocate(bytes, 'remembered entries');
      const block: RecallBlock = {
        address,
        bytes,
        owner: null,
        dictionary: 0,
        moves: -1,
        layout: null,
        bits: 0,
        rows: 0,
        usedAt: 0,
      };
      blocks.push(block);
      return block;
    }
    let oldest: RecallBlock | null = null;
    for (const block of blocks) {
      if (block.owner === null) return block;
      const idle = block.owner === owner ? idleDictionaryCalls : idleCalls;
      if (calls - block.usedAt > idle && (oldest === null || block.usedAt < oldest.usedAt)) oldest = block;
    }
    return oldest;
  };
  return {
    bytes,
    take(owner, dictionary) {
      calls++;
      let block: RecallBlock | null = null;
      for (const one of blocks) if (one.owner === owner && one.dictionary === dictionary) block = one;
      if (block === null) {
        block = free(owner);
        if (block === null) return null;
        block.owner = owner;
        block.dictionary = dictionary;
        block.moves = -1;
      }
      block.usedAt = calls;
      return block;
    },
    release(owner) {
      for (const block of blocks) if (block.owner === owner) block.owner = null;
    },
  };
}
