/**
 * Where things lie in a slot's memory: by its size alone, so that a memory used before has the same map again.
 *
 *   0        64 KB          inboxTo          scratchTo                         bytes
 *   ├─ none ─┼──── inbox ────┼──── scratch ───┼──── pages and blocks ────────────┤
 *
 * Scratch is an arena: operators', routers' and readers' buffers, zeroed before each job as far as the job before used
 * it. State pages and the blocks of sorts and build sides share the rest.
 */
import { alignUp } from '../core/record/memory.ts';

/** Address of every inbox. Below lie address 0, which means "none", and the word that says how much scratch was used. */
export const inboxFrom = 65_536;
/** Address of a u32: where the scratch area ends that the job before used. */
export const usedScratchWord = 64;

export interface MemoryMap {
  readonly inboxTo: number;
  readonly scratchTo: number;
  readonly bytes: number;
}

/** Inbox budget of a slot: an eighth, at most 64 MB. */
export const inboxBytes = (slotBytes: number): number => Math.min(Math.floor(slotBytes / 8), 64 * 2 ** 20);

/** A quarter of a slot, at most 192 MB, is scratch. The least slot (limits.slotBytesMin) has room for all of it. */
export function memoryMap(slotBytes: number): MemoryMap {
  const inboxTo = alignUp(inboxFrom + inboxBytes(slotBytes), 65_536);
  const scratchBytes = Math.min(Math.floor(slotBytes / 4), 192 * 2 ** 20);
  return { inboxTo, scratchTo: alignUp(inboxTo + scratchBytes, 65_536), bytes: slotBytes };
}
