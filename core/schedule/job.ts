/**
 * The life of one attempt of a job, as a pure machine: (state, event) → (state, commands). It deploys participants (the
 * slots, and the caller's thread where it has tasks), hands out splits, injects barriers, and ends the attempt in order,
 * by cancel or by failure. It knows no thread and no clock; engine/coordinator sends what it commands.
 *
 * Order is the contract: what is commanded to one participant arrives in that order, so an assignment and the least
 * event time among unread splits travel in one command and can never be seen apart.
 */
import type { SerialisedError } from '../base/errors.ts';
import type { Split } from '../ports/connector.ts';

/** Identifies a source operator: `chain/operator`. */
export type SourceKey = string;

export type JobPhase = 'deploying' | 'running' | 'ending' | 'ended';
export type JobOutcome =
  | { readonly kind: 'finished' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly error: SerialisedError };

/** What one participant says of its part of a snapshot; opaque here. */
export type SnapshotPart = unknown;

interface PendingSnapshot {
  readonly id: number;
  readonly missing: ReadonlySet<number>;
  readonly parts: ReadonlyMap<number, SnapshotPart>;
  /** Splits nobody had taken when the barrier was injected, by source. */
  readonly unread: ReadonlyMap<SourceKey, readonly Split[]>;
}

export interface JobState {
  readonly phase: JobPhase;
  readonly participants: number;
  readonly deployed: ReadonlySet<number>;
  /** Participants whose tasks have all ended. */
  readonly finished: ReadonlySet<number>;
  /** Participants that have stopped and acknowledged, after a cancel or failure. */
  readonly released: ReadonlySet<number>;
  /** Splits not yet taken. */
  readonly unread: ReadonlyMap<SourceKey, readonly Split[]>;
  readonly outcome: JobOutcome | null;
  readonly nextSnapshotId: number;
  readonly snapshot: PendingSnapshot | null;
  /** A stop that was asked for before everybody was deployed. */
  readonly stopping: { readonly drain: boolean } | null;
  /** Sources that idle when their splits have ended, until the job is stopped; all others end with their splits. */
  readonly idling: ReadonlySet<SourceKey>;
  /** What participants want first, until all are deployed. */
  readonly wants: readonly { readonly participant: number; readonly source: SourceKey }[];
  /** Readers of each source, and those that have asked for a split. */
  readonly readers: ReadonlyMap<SourceKey, number>;
  readonly asked: ReadonlyMap<SourceKey, ReadonlySet<number>>;
  /** Who asked for one more while some readers had none yet. */
  readonly deferred: readonly { readonly participant: number; readonly source: SourceKey }[];
}

export type JobEvent =
  /** `wants`: sources it reads and has no split of yet. */
  | { readonly kind: 'deployed'; readonly participant: number; readonly wants?: readonly SourceKey[] }
  | { readonly kind: 'splitWanted'; readonly participant: number; readonly source: SourceKey }
  | { readonly kind: 'finished'; readonly participant: number }
  | { readonly kind: 'failed'; readonly participant: number; readonly error: SerialisedError }
  | { readonly kind: 'released'; readonly participant: number }
  | { readonly kind: 'cancelAsked' }
  /** Sources end now; with `drain`, windows fire as if the input had ended (the highest watermark is sent). */
  | { readonly kind: 'stopAsked'; readonly drain: boolean }
  | { readonly kind: 'snapshotAsked' }
  /** A task there ended before the barrier came. */
  | { readonly kind: 'snapshotDeclined'; readonly participant: number; readonly id: number }
  | { readonly kind: 'snapshotTaken'; readonly participant: number; readonly id: number; readonly part: SnapshotPart };

export type JobCommand =
  | { readonly kind: 'start'; readonly participant: number }
  | {
      readonly kind: 'assign';
      readonly participant: number;
      readonly source: SourceKey;
      /** null: none left. */
      readonly split: Split | null;
      /** No split will come any more: end the source. False with a null split: idle. */
      readonly ends: boolean;
      /** The least event time (ticks, decimal string) among splits nobody has taken; null: none are left; 'unknown': cannot tell. */
      readonly unreadMinimum: string | 'unknown' | null;
    }
  | {
      readonly kind: 'unread';
      readonly participant: number;
      readonly source: SourceKey;
      readonly unreadMinimum: string | 'unknown' | null;
    }
  | { readonly kind: 'barrier'; readonly participant: number; readonly id: number }
  | { readonly kind: 'stop'; readonly participant: number; readonly drain: boolean }
  | { readonly kind: 'cancel'; readonly participant: number }
  | {
      readonly kind: 'snapshotComplete';
      readonly id: number;
      readonly parts: ReadonlyMap<number, SnapshotPart>;
      readonly unread: ReadonlyMap<SourceKey, readonly Split[]>;
    }
  | { readonly kind: 'snapshotAborted'; readonly id: number }
  | { readonly kind: 'ended'; readonly outcome: JobOutcome };

export interface JobSetup {
  readonly participants: number;
  readonly splits: ReadonlyMap<SourceKey, readonly Split[]>;
  /** Ended input that is run as a stream: sources that do not end by themselves. */
  readonly idling: ReadonlySet<SourceKey>;
  /** How many participants read each source; default: one. */
  readonly readers?: ReadonlyMap<SourceKey, number>;
}

export function startJob(setup: JobSetup): JobState {
  return {
    phase: 'deploying',
    participants: setup.participants,
    deployed: new Set(),
    finished: new Set(),
    released: new Set(),
    unread: setup.splits,
    outcome: null,
    nextSnapshotId: 1,
    snapshot: null,
    stopping: null,
    idling: setup.idling,
    wants: [],
    readers: setup.readers ?? new Map(),
    asked: new Map(),
    deferred: [],
  };
}

type Step = readonly [JobState, readonly JobCommand[]];

export function stepJob(state: JobState, event: JobEvent): Step {
  switch (event.kind) {
    case 'deployed':
      return deployed(state, event.participant, event.wants ?? []);
    case 'splitWanted':
      return splitWanted(state, event.participant, event.source);
    case 'finished':
      return finished(state, event.participant);
    case 'failed':
      return end(state, { kind: 'failed', error: event.error });
    case 'released':
      return released(state, event.participant);
    case 'cancelAsked':
      return end(state, { kind: 'cancelled' });
    case 'stopAsked':
      return stopAsked(state, event.drain);
    case 'snapshotAsked':
      return snapshotAsked(state);
    case 'snapshotDeclined':
      if (state.snapshot?.id !== event.id) return [state, []];
      return [{ ...state, snapshot: null }, [{ kind: 'snapshotAborted', id: event.id }]];
    case 'snapshotTaken':
      return snapshotTaken(state, event.participant, event.id, event.part);
  }
}

const everyone = (state: JobState): number[] => Array.from({ length: state.participants }, (_, i) => i);
const withMember = (set: ReadonlySet<number>, member: number): ReadonlySet<number> => new Set([...set, member]);

/**
 * Nobody runs before everybody can be sent to. First splits come with the start: each message that wakes a thread costs
 * as much as reading ten thousand rows.
 */
function deployed(state: JobState, participant: number, wants: readonly SourceKey[]): Step {
  const next: JobState = {
    ...state,
    deployed: withMember(state.deployed, participant),
    wants: [...state.wants, ...wants.map((source) => ({ participant, source }))],
  };
  if (next.phase !== 'deploying' || next.deployed.size < next.participants) return [next, []];
  const running: JobState = { ...next, phase: 'running', wants: [] };
  const starts = everyone(next).map((p) => ({ kind: 'start', participant: p }) as const);
  if (next.stopping) {
    const [stopped, stops] = stopAsked(running, next.stopping.drain);
    return [stopped, [...starts, ...stops]];
  }
  const [assigned, splits] = wantAll(running, next.wants);
  return [assigned, [...splits, ...starts]];
}

function wantAll(state: JobState, wants: JobState['wants']): Step {
  return wants.reduce<Step>(
    ([now, done], { participant, source }) => {
      const [next, more] = splitWanted(now, participant, source);
      return [next, [...done, ...more]];
    },
    [state, []],
  );
}

/** Readers ask one split ahead; nobody gets a second one while there would be none left for a reader's first. */
function splitWanted(state: JobState, participant: number, source: SourceKey): Step {
  if (state.phase !== 'running') return [state, []];
  const before = state.asked.get(source) ?? new Set();
  const isFirst = !before.has(participant);
  const asked = withMember(before, participant);
  const withAsked = { ...state, asked: new Map(state.asked).set(source, asked) };
  const left = state.unread.get(source)?.length ?? 0;
  const without = (state.readers.get(source) ?? 1) - asked.size;
  if (!isFirst && left > 0 && left <= without) {
    return [{ ...withAsked, deferred: [...state.deferred, { participant, source }] }, []];
  }
  const [assigned, commands] = assign(withAsked, participant, source);
  if (!isFirst || assigned.deferred.length === 0) return [assigned, commands];
  // Who waited for this reader may go on.
  const [others, more] = wantAll({ ...assigned, deferred: [] }, assigned.deferred);
  return [others, [...commands, ...more]];
}

function assign(state: JobState, participant: number, source: SourceKey): Step {
  const [split, ...rest] = state.unread.get(source) ?? [];
  const unreadMinimum = minimumOf(rest);
  const command = {
    kind: 'assign',
    participant,
    source,
    split: split ?? null,
    ends: split === undefined && !state.idling.has(source),
    unreadMinimum,
  } as const;
  if (split === undefined) return [state, [command]];
  // Who has not asked yet hears with its own first split; what did not change need not be said again.
  const changed = unreadMinimum !== minimumOf([split, ...rest]);
  const others = (changed ? [...(state.asked.get(source) ?? [])] : [])
    .filter((p) => p !== participant)
    .map((p) => ({ kind: 'unread', participant: p, source, unreadMinimum }) as const);
  return [{ ...state, unread: new Map(state.unread).set(source, rest) }, [command, ...others]];
}

function minimumOf(splits: readonly Split[]): string | 'unknown' | null {
  let least: bigint | null = null;
  for (const split of splits) {
    if (split.minimum === null) return 'unknown';
    const minimum = BigInt(split.minimum);
    if (least === null || minimum < least) least = minimum;
  }
  return least === null ? null : least.toString();
}

function finished(state: JobState, participant: number): Step {
  const next = { ...state, finished: withMember(state.finished, participant) };
  if (state.phase === 'ended' || state.phase === 'ending') return [next, []];
  if (next.finished.size < next.participants) return dropSnapshotIfStuck(next);
  const outcome = { kind: 'finished' } as const;
  const aborted: JobCommand[] = next.snapshot ? [{ kind: 'snapshotAborted', id: next.snapshot.id }] : [];
  return [{ ...next, phase: 'ended', outcome, snapshot: null }, [...aborted, { kind: 'ended', outcome }]];
}

/** A participant that ended before its barrier came will never answer. */
function dropSnapshotIfStuck(state: JobState): Step {
  if (!state.snapshot) return [state, []];
  const stuck = [...state.snapshot.missing].some((p) => state.finished.has(p));
  if (!stuck) return [state, []];
  return [{ ...state, snapshot: null }, [{ kind: 'snapshotAborted', id: state.snapshot.id }]];
}

/** All tasks of the attempt stop and acknowledge; only then has the job ended. */
function end(state: JobState, outcome: JobOutcome): Step {
  if (state.phase === 'ending' || state.phase === 'ended') return [state, []];
  const aborted: JobCommand[] = state.snapshot ? [{ kind: 'snapshotAborted', id: state.snapshot.id }] : [];
  return [
    { ...state, phase: 'ending', outcome, snapshot: null },
    [...aborted, ...everyone(state).map((p) => ({ kind: 'cancel', participant: p }) as const)],
  ];
}

function released(state: JobState, participant: number): Step {
  const next = { ...state, released: withMember(state.released, participant) };
  if (next.phase !== 'ending' || next.released.size < next.participants || next.outcome === null) return [next, []];
  return [{ ...next, phase: 'ended' }, [{ kind: 'ended', outcome: next.outcome }]];
}

function stopAsked(state: JobState, drain: boolean): Step {
  if (state.phase === 'deploying') return [{ ...state, stopping: { drain } }, []];
  if (state.phase !== 'running') return [state, []];
  return [
    { ...state, idling: new Set(), unread: new Map(), deferred: [] },
    everyone(state).map((p) => ({ kind: 'stop', participant: p, drain }) as const),
  ];
}

function snapshotAsked(state: JobState): Step {
  if (state.phase !== 'running' || state.snapshot) return [state, [{ kind: 'snapshotAborted', id: 0 }]];
  const id = state.nextSnapshotId;
  if (state.finished.size > 0) return [{ ...state, nextSnapshotId: id + 1 }, [{ kind: 'snapshotAborted', id }]];
  const snapshot = { id, missing: new Set(everyone(state)), parts: new Map(), unread: state.unread };
  return [
    { ...state, nextSnapshotId: id + 1, snapshot },
    everyone(state).map((p) => ({ kind: 'barrier', participant: p, id }) as const),
  ];
}

function snapshotTaken(state: JobState, participant: number, id: number, part: SnapshotPart): Step {
  const pending = state.snapshot;
  if (!pending || pending.id !== id) return [state, []];
  const missing = new Set(pending.missing);
  missing.delete(participant);
  const parts = new Map(pending.parts).set(participant, part);
  if (missing.size > 0) return [{ ...state, snapshot: { ...pending, missing, parts } }, []];
  return [{ ...state, snapshot: null }, [{ kind: 'snapshotComplete', id, parts, unread: pending.unread }]];
}
