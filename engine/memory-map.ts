/**
 * Where things lie in a slot's memory: by its size and the number of slots alone, whatever the plan.
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

/** Inbox budget of a slot: an eighth of it, at most 32 MB, and all of a job's inboxes together about 256 MB. */
export function inboxBytes(slotBytes: number, slots: number): number {
  const share = Math.max(Math.floor((256 * 2 ** 20) / slots), 4 * 2 ** 20);
  return Math.floor(Math.min(slotBytes / 8, share, 32 * 2 ** 20) / 65_536) * 65_536;
}

/** A quarter of a slot, at most 192 MB, is scratch. The least slot (limits.slotBytesMin) has room for all of it. */
export function memoryMap(slotBytes: number, slots: number): MemoryMap {
  const inboxTo = alignUp(inboxFrom + inboxBytes(slotBytes, slots), 65_536);
  const scratchBytes = Math.min(Math.floor(slotBytes / 4), 192 * 2 ** 20);
  return { inboxTo, scratchTo: alignUp(inboxTo + scratchBytes, 65_536), bytes: slotBytes };
}
