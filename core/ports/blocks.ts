/**
 * Room in a slot's memory that is taken and given back: for rows that an operator keeps (sort, top-n) and for values
 * that outgrow a fixed buffer. The slot's owner gives one over its page pool; `arenaBlocks` makes one over an arena.
 */
export interface BlockPool {
  /** Address of `bytes` bytes, 64-byte aligned, contents undefined; 0 when there is no room. */
  take(bytes: number): number;
  /** Gives back what `take(bytes)` answered. */
  give(address: number, bytes: number): void;
}
