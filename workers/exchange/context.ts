/** What a thread knows of the exchange of one job attempt. Knows no task. */
import type { PhysicalPlan } from '../../core/plan/physical.ts';
import type { Kernels } from '../../core/ports/kernels.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import { type Atoms, atoms } from './atoms.ts';
import { Doorbell, Ringer } from './doorbell.ts';
import type { Inbox, InboxPlan } from './inbox.ts';
import { channelHeaderBytes } from './inbox.ts';

/** Views over the memory of a participant; a SlotMemory is one. */
export interface Peer {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
}

export interface ExchangeContext {
  readonly plan: PhysicalPlan;
  readonly inboxes: InboxPlan;
  /** This thread's participant: a slot's number, or `inboxes.slots` for the caller. */
  readonly participant: number;
  /** Every participant's memory, by number; null where the job has none (no chain on the caller's thread). */
  readonly peers: readonly (Peer | null)[];
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  /** This participant's doorbell: the loop parks on it, gates take their news from it. */
  readonly doorbell: Doorbell;
  /** Doorbells of all participants, by number. */
  readonly ringers: readonly (Ringer | null)[];
  /** Frames of another attempt are dropped. A positive integer. */
  readonly attempt: number;
  readonly hashSeed: bigint;
  /** Rows in a frame at most. */
  readonly batchRows: number;
  /** Ids for dictionaries that arrive, unique within this participant's memory. */
  nextDictionaryId(): number;
  /** Overwrite released frames, so that a use after release is seen. For tests. */
  readonly poison: boolean;
  readonly atoms: Atoms;
}

export interface ExchangeOptions {
  readonly plan: PhysicalPlan;
  readonly inboxes: InboxPlan;
  readonly participant: number;
  /** Buffers of every participant's memory, by number; null where the job has none. */
  readonly buffers: readonly (ArrayBufferLike | null)[];
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  readonly attempt: number;
  readonly hashSeed: bigint;
  readonly batchRows: number;
  readonly nextDictionaryId: () => number;
  readonly poison?: boolean;
}

export function exchangeContext(options: ExchangeOptions): ExchangeContext {
  const { inboxes, participant, memory } = options;
  const peers = options.buffers.map((buffer, i) =>
    i === participant ? memory : buffer === null ? null : peer(buffer),
  );
  return {
    plan: options.plan,
    inboxes,
    participant,
    peers,
    memory,
    kernels: options.kernels,
    doorbell: new Doorbell(memory.i32, inboxes.inboxes[participant]!.doorbell, atoms),
    ringers: peers.map((to, i) => (to === null ? null : new Ringer(to.i32, inboxes.inboxes[i]!.doorbell, atoms))),
    attempt: options.attempt,
    hashSeed: options.hashSeed,
    batchRows: options.batchRows,
    nextDictionaryId: options.nextDictionaryId,
    poison: options.poison ?? false,
    atoms,
  };
}

/** Empties an inbox for a new attempt: doorbell and channel headers to zero. Before any router of the attempt begins. */
export function resetInbox(buffer: ArrayBufferLike, inbox: Inbox): void {
  const u8 = new Uint8Array(buffer);
  const { doorbell, groups } = inbox;
  u8.fill(0, inbox.from, doorbell.news + doorbell.words * 4);
  for (const group of groups) u8.fill(0, group.headers, group.headers + group.producers.length * channelHeaderBytes);
}

function peer(buffer: ArrayBufferLike): Peer {
  return {
    u8: new Uint8Array(buffer),
    i32: new Int32Array(buffer),
    u32: new Uint32Array(buffer),
    f64: new Float64Array(buffer),
  };
}
