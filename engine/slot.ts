/**
 * What a participant's tasks stand on: views over its memory, kernels, state, blocks and the exchange, made from a
 * deployment. Memory that a job used before is cleaned here as far as it must be.
 */
import type { Clock } from '../core/base/clock.ts';
import type { UserFunction } from '../core/operators/operator.ts';
import type { BlockPool } from '../core/ports/blocks.ts';
import type { Disk } from '../core/ports/disk.ts';
import type { Kernels } from '../core/ports/kernels.ts';
import { type SlotMemory, slotMemory } from '../core/record/memory.ts';
import { loadKernels } from '../kernels/load.ts';
import { pagePool } from '../state/page-pool.ts';
import { type SlotState, slotState } from '../state/slot-state.ts';
import { type ExchangeContext, exchangeContext, resetInbox } from '../workers/exchange/context.ts';
import { blocksOver } from './blocks.ts';
import { usedScratchWord } from './memory-map.ts';
import type { Deployment } from './messages.ts';

/** What a participant is given by the thread it lives in. */
export interface ParticipantSetup {
  /** Test mode: rows and contexts that are kept beyond their call throw. */
  readonly poisonRows?: boolean;
  readonly clock: Clock;
  /** Frozen pages read between two rounds at most; default: as many as there is time for. */
  readonly pagesPerRound?: number;
  /** For checkpoints and transactions. */
  readonly disk: Disk;
  /** Functions are at hand where the job was built (the caller's thread, the one-thread engine); null: import the module. */
  readonly functions: ReadonlyMap<string, UserFunction> | null;
  /** Values that are no JSON, as this thread sees them. */
  readonly resource: (id: string) => unknown;
}

export interface Slot {
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  readonly state: SlotState;
  readonly blocks: BlockPool;
  readonly exchange: ExchangeContext;
  readonly nextDictionaryId: () => number;
  /** Remembers how much scratch was used, so that the next job finds it zero. Called when everything is built. */
  noteScratch(): void;
}

/** Errors: `memory/exhausted` when state has no room. */
export function openSlot(deployment: Deployment): Slot {
  const { participant, maps, memories, inboxes } = deployment;
  const map = maps[participant]!;
  const shared = memories[participant]!;
  const memory = slotMemory(shared, map.inboxTo, map.scratchTo);
  const word = usedScratchWord >>> 2;
  const usedTo = Math.min(memory.u32[word]!, map.scratchTo);
  // Node's fill is a memset; that of typed arrays over shared memory goes word by word.
  if (usedTo > map.inboxTo) Buffer.from(shared.buffer).fill(0, map.inboxTo, usedTo);
  resetInbox(shared.buffer, inboxes.inboxes[participant]!);
  const kernels = loadKernels(memory);
  const pool = pagePool(memory, map.scratchTo, map.bytes);
  let dictionaries = 0;
  const nextDictionaryId = (): number => ++dictionaries;
  return {
    memory,
    kernels,
    state: slotState({
      memory,
      kernels,
      pool,
      hashSeed: BigInt(deployment.hashSeed),
      tracked: deployment.transaction !== null,
    }),
    blocks: blocksOver(pool),
    nextDictionaryId,
    exchange: exchangeContext({
      plan: deployment.plan,
      inboxes,
      participant,
      buffers: memories.map((of) => of?.buffer ?? new SharedArrayBuffer(0)),
      memory,
      kernels,
      attempt: deployment.attempt,
      hashSeed: BigInt(deployment.hashSeed),
      batchRows: deployment.batchRows,
      nextDictionaryId,
    }),
    noteScratch() {
      memory.u32[word] = map.inboxTo + memory.arena.usedBytes;
    },
  };
}
