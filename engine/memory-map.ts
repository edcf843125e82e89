/**
 * Where things lie in a slot's memory; fixed at deployment.
 *
 *   0        64 KB          inboxEnd         scratchEnd                         bytes
 *   ├─ none ─┼──── inbox ────┼──── scratch ───┼──── pages →          ← blocks ────┤
 *
 * Scratch is an arena: operators', routers' and readers' buffers. Above it state pages grow up from below and the blocks
 * of sorts and build sides down from above, until they meet.
 */
import { MillraceError } from '../core/base/errors.ts';
import { alignUp } from '../core/record/memory.ts';

/** Address of every inbox. Below lie address 0, which means "none", and the words of `reuse`. */
export const inboxFrom = 65_536;
/** Address of a u32: how far the scratch area was used by the job before, so that it can be zeroed again. */
export const usedScratchWord = 64;

export interface MemoryMap {
  readonly inboxTo: number;
  readonly scratchTo: number;
  readonly bytes: number;
}

/** Inbox budget of a slot: an eighth, at most 64 MB. */
export const inboxBytes = (slotBytes: number): number => Math.min(Math.floor(slotBytes / 8), 64 * 2 ** 20);

/** `inboxUsed`: bytes that the inbox plan takes from `inboxFrom`. */
export function memoryMap(slotBytes: number, inboxUsed: number): MemoryMap {
  const inboxTo = alignUp(inboxFrom + inboxUsed, 65_536);
  const scratchBytes = Math.min(Math.max(Math.floor(slotBytes / 4), 8 * 2 ** 20), 192 * 2 ** 20);
  const scratchTo = alignUp(inboxTo + scratchBytes, 65_536);
  if (scratchTo >= slotBytes) {
    throw new MillraceError(
      'memory/exhausted',
      `a slot of ${slotBytes} bytes holds no state after its inbox (${inboxUsed}) and scratch (${scratchBytes}); raise 'memory' or lower 'parallelism'`,
    );
  }
  return { inboxTo, scratchTo, bytes: slotBytes };
}
