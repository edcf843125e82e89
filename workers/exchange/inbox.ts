/**
 * Where everything of the exchange lies: from the plan, the number of slots and the inbox budgets follows, by arithmetic
 * alone, the place of every doorbell and channel in every participant's memory, so that all threads agree without
 * talking. Participants are the slots 0 … P − 1 and the caller, P. Knows no memory, no thread and no row.
 *
 *   inbox:    doorbell │ channel headers │ rings │ dictionaries
 *   doorbell: counter (a line) │ waiting (a line) │ news: one bit a channel
 *   channel:  tail │ head │ producer waiting │ barrier cell │ closed      (a line each)
 */
import { assert } from '../../core/base/assert.ts';
import { MillraceError } from '../../core/base/errors.ts';
import { ringBytesMax, ringBytesMin } from '../../core/base/limits.ts';
import type { Chain, Edge, Exchange, PhysicalPlan } from '../../core/plan/physical.ts';
import { alignUp } from '../../core/record/memory.ts';

export const lineBytes = 64;
/** Byte offsets of the lines of a channel header. */
export const ChannelLine = { tail: 0, head: 64, producerWaiting: 128, barrier: 192, closed: 256 } as const;
export const channelHeaderBytes = 320;
/** A dictionary area smaller than this is not worth having. */
const dictionaryBytesMin = 4096;

/** Addresses of a participant's doorbell, in its own memory. */
export interface DoorbellPlace {
  /** Int32 that every ring bumps. */
  readonly counter: number;
  /** Int32: 1 while the participant is parked or about to be. */
  readonly waiting: number;
  /** `words` Int32: bit c is set when channel c has news. */
  readonly news: number;
  readonly words: number;
}

/** The channels of one edge into one participant: one per producer subtask, side by side. */
export interface ChannelGroup {
  readonly edge: number;
  readonly consumer: number;
  readonly consumerSubtask: number;
  /** Producer subtasks, ascending: 0 … n − 1, or, on a forward edge, the one with the consumer's number. */
  readonly producers: readonly number[];
  readonly firstBit: number;
  readonly headers: number;
  readonly rings: number;
  readonly ringBytes: number;
  /** Address of the first channel's dictionary area, 0 when there is none. */
  readonly dictionaries: number;
  /** Bytes of one channel's dictionary area. */
  readonly dictionaryBytes: number;
}

/** One channel: a ring in the consumer's memory, from one producer subtask, for one edge. */
export interface ChannelPlace {
  readonly edge: number;
  /** Its bit in the consumer's doorbell. */
  readonly bit: number;
  /** Participants. */
  readonly producer: number;
  readonly consumer: number;
  readonly header: number;
  readonly ring: number;
  readonly ringBytes: number;
  readonly dictionaries: number;
  readonly dictionaryBytes: number;
}

export interface Inbox {
  readonly participant: number;
  readonly from: number;
  /** Bytes in use, at most the budget: [from, from + bytes) is the inbox. */
  readonly bytes: number;
  readonly doorbell: DoorbellPlace;
  readonly groups: readonly ChannelGroup[];
}

export interface InboxPlan {
  /** Number of slots; also the caller's participant number. */
  readonly slots: number;
  /** By participant. */
  readonly inboxes: readonly Inbox[];
}

export interface InboxBudget {
  /** Address of the inbox in every participant's memory, 64-byte aligned, not 0. Default: 64 KB. */
  readonly from?: number;
  /** Inbox bytes of a slot at most. */
  readonly slotBytes: number;
  /** Inbox bytes of the caller at most. */
  readonly callerBytes: number;
  /** Rings no larger than this (a power of two); tests ask for small ones. Default: limits.ringBytesMax. */
  readonly ringBytes?: number;
}

/** Places of everything. Errors: `memory/exhausted` when a budget does not hold the smallest rings. */
export function planInboxes(plan: PhysicalPlan, slots: number, budget: InboxBudget): InboxPlan {
  assert(fromOf(budget) > 0 && fromOf(budget) % lineBytes === 0, 'the inbox begins on a line');
  const inboxes: Inbox[] = [];
  for (let participant = 0; participant <= slots; participant++)
    inboxes.push(inboxOf(plan, slots, participant, budget));
  return { slots, inboxes };
}

/** The participant that runs `subtask` of `chain`. */
export function participantOf(chain: Chain, subtask: number, slots: number): number {
  return chain.place === 'caller' ? slots : subtask;
}

/** How an edge really moves rows: forward between different parallelisms is a rebalance. */
export function exchangeOf(plan: PhysicalPlan, edge: Edge): Exchange {
  if (edge.exchange.kind !== 'forward') return edge.exchange;
  return chainOf(plan, edge.from.chain).parallelism === chainOf(plan, edge.to.chain).parallelism
    ? edge.exchange
    : { kind: 'rebalance' };
}

/** The channel of an edge between two subtasks, or null when none joins them. */
export function channelPlace(
  plan: PhysicalPlan,
  inboxes: InboxPlan,
  edge: number,
  producerSubtask: number,
  consumerSubtask: number,
): ChannelPlace | null {
  const found = plan.edges.find((e) => e.id === edge);
  assert(found, `no edge ${edge}`);
  const consumer = participantOf(chainOf(plan, found.to.chain), consumerSubtask, inboxes.slots);
  const group = inboxes.inboxes[consumer]?.groups.find((g) => g.edge === edge);
  const index = group?.producers.indexOf(producerSubtask) ?? -1;
  if (!group || index < 0) return null;
  return {
    edge,
    bit: group.firstBit + index,
    producer: participantOf(chainOf(plan, found.from.chain), producerSubtask, inboxes.slots),
    consumer,
    header: group.headers + index * channelHeaderBytes,
    ring: group.rings + index * group.ringBytes,
    ringBytes: group.ringBytes,
    dictionaries: group.dictionaryBytes === 0 ? 0 : group.dictionaries + index * group.dictionaryBytes,
    dictionaryBytes: group.dictionaryBytes,
  };
}

export function chainOf(plan: PhysicalPlan, id: number): Chain {
  const chain = plan.chains.find((c) => c.id === id);
  assert(chain, `no chain ${id}`);
  return chain;
}

interface Fan {
  readonly edge: Edge;
  readonly consumerSubtask: number;
  readonly producers: readonly number[];
}

/** The edges that end in `participant`, with their producers. */
function fansInto(plan: PhysicalPlan, slots: number, participant: number): Fan[] {
  const fans: Fan[] = [];
  for (const edge of plan.edges) {
    const to = chainOf(plan, edge.to.chain);
    const from = chainOf(plan, edge.from.chain);
    assert(from.parallelism <= slots && to.parallelism <= slots, 'a chain wider than the slots');
    const consumerSubtask = to.place === 'caller' ? 0 : participant;
    if ((to.place === 'caller') !== (participant === slots) || consumerSubtask >= to.parallelism) continue;
    const all = Array.from({ length: from.parallelism }, (_, i) => i);
    const producers = exchangeOf(plan, edge).kind === 'forward' ? [consumerSubtask] : all;
    fans.push({ edge, consumerSubtask, producers });
  }
  return fans;
}

function inboxOf(plan: PhysicalPlan, slots: number, participant: number, budget: InboxBudget): Inbox {
  const bytes = participant === slots ? budget.callerBytes : budget.slotBytes;
  const fans = fansInto(plan, slots, participant);
  const channels = fans.reduce((n, fan) => n + fan.producers.length, 0);
  const words = Math.max(1, Math.ceil(channels / 32));
  const from = fromOf(budget);
  const doorbell = { counter: from, waiting: from + lineBytes, news: from + 2 * lineBytes, words };
  const doorbellBytes = 2 * lineBytes + alignUp(words * 4, lineBytes);
  const share = channels === 0 ? 0 : Math.floor((bytes - doorbellBytes) / channels) - channelHeaderBytes;
  const largest = budget.ringBytes ?? ringBytesMax;
  const smallest = Math.min(ringBytesMin, largest);
  if (doorbellBytes > bytes || (channels > 0 && share < smallest)) {
    const needs = doorbellBytes + channels * (channelHeaderBytes + smallest);
    throw new MillraceError(
      'memory/exhausted',
      `${participant === slots ? 'the calling thread' : `slot ${participant}`} has ${channels} incoming channels, which need ${needs} bytes of inbox, but its share of 'memory' gives it ${bytes}; raise 'memory' or lower 'parallelism'`,
      { where: participant === slots ? {} : { slot: participant } },
    );
  }
  const strings = fans.some((fan) => viewColumns(fan.edge) > 0);
  // Where strings cross, a third of the share is kept for dictionaries, if a ring of the smallest size leaves it.
  const ringBytes = Math.max(smallest, powerOfTwoAtMost(Math.min(largest, strings ? (share * 2) / 3 : share)));
  const spare = Math.floor(Math.min(share - ringBytes, ringBytes) / lineBytes) * lineBytes;

  let bit = 0;
  let header = from + doorbellBytes;
  let ring = header + channels * channelHeaderBytes;
  let dictionary = ring + channels * ringBytes;
  const groups = fans.map(({ edge, consumerSubtask, producers }): ChannelGroup => {
    const views = viewColumns(edge);
    const dictionaryBytes = views > 0 && spare / views >= dictionaryBytesMin ? spare : 0;
    const group: ChannelGroup = {
      edge: edge.id,
      consumer: participant,
      consumerSubtask,
      producers,
      firstBit: bit,
      headers: header,
      rings: ring,
      ringBytes,
      dictionaries: dictionaryBytes === 0 ? 0 : dictionary,
      dictionaryBytes,
    };
    bit += producers.length;
    header += producers.length * channelHeaderBytes;
    ring += producers.length * ringBytes;
    dictionary += producers.length * dictionaryBytes;
    return group;
  });
  return { participant, from, bytes: dictionary - from, doorbell, groups };
}

function fromOf(budget: InboxBudget): number {
  return budget.from ?? 65_536;
}

function viewColumns(edge: Edge): number {
  return edge.layout.reduce((n, column) => n + (column.storage === 'view' ? 1 : 0), 0);
}

function powerOfTwoAtMost(bytes: number): number {
  return bytes < 1 ? 0 : 2 ** Math.floor(Math.log2(bytes));
}
