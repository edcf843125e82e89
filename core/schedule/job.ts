/**
 * The life of one attempt of a job, as a pure machine: (state, event, time) → (state, commands). It deploys participants
 * (the slots, and the caller's thread where it has tasks), hands out splits, injects barriers (checkpoints.ts decides
 * when), and ends the attempt in order, by cancel or by failure. It knows no thread and no clock; engine/job-run sends
 * what it commands.
 *
 * Order is the contract: what is commanded to one participant arrives in that order, so an assignment and the least
 * event time among unread splits travel in one command and can never be seen apart.
 */
import { MillraceError, type SerialisedError, serialiseError } from '../base/errors.ts';
import type { Split } from '../ports/connector.ts';
import {
  abandon,
  askFor,
  beginInterval,
  type CheckpointCommand,
  type CheckpointPolicy,
  type CheckpointPurpose,
  type CheckpointState,
  checkpointFailed,
  dueAtMs,
  finalFor,
  finish,
  type Part,
  partTaken,
  published,
  startCheckpoints,
  startDue,
  type Who,
} from './checkpoints.ts';

/** Identifies a source operator: `chain/operator`. */
export type SourceKey = string;

export type JobPhase = 'deploying' | 'running' | 'ending' | 'ended';
export type JobOutcome =
  /** `resumable`: it was stopped behind a last checkpoint, from which it can go on. */
  | { readonly kind: 'finished'; readonly resumable?: boolean }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly error: SerialisedError };

/** A stop that was asked for. `request`: who is told the checkpoint it ends with. */
export interface StopRequest {
  readonly drain: boolean;
  readonly request: number;
  readonly savepoint: string | null;
}

export type Unread = ReadonlyMap<SourceKey, readonly Split[]>;

export interface JobState {
  readonly phase: JobPhase;
  readonly participants: number;
  readonly deployed: ReadonlySet<number>;
  /** Participants whose tasks have all ended. */
  readonly finished: ReadonlySet<number>;
  /** Participants that have stopped and acknowledged, after a cancel or failure. */
  readonly released: ReadonlySet<number>;
  /** Splits not yet taken. */
  readonly unread: Unread;
  readonly outcome: JobOutcome | null;
  readonly checkpoints: CheckpointState;
  /** Splits nobody had taken when the barrier of the running checkpoint was injected. */
  readonly unreadAtBarrier: Unread;
  /** Last parts of participants that have finished and hold nothing any more. */
  readonly lastParts: ReadonlyMap<number, Part>;
  /** A stop that was asked for: to be carried out when everybody is deployed, or under way. */
  readonly stopping: StopRequest | null;
  /** Sources that idle when their splits have ended, until the job is stopped; all others end with their splits. */
  readonly idling: ReadonlySet<SourceKey>;
  /** What participants want first, until all are deployed. */
  readonly wants: readonly { readonly participant: number; readonly source: SourceKey }[];
  /** Readers of each source, and those that have asked for a split. */
  readonly readers: ReadonlyMap<SourceKey, number>;
  readonly asked: ReadonlyMap<SourceKey, ReadonlySet<number>>;
  /** Readers that wait for splits that are yet to be found. */
  readonly waiting: readonly { readonly participant: number; readonly source: SourceKey }[];
  /** Who asked for one more while some readers had none yet. */
  readonly deferred: readonly { readonly participant: number; readonly source: SourceKey }[];
}

export type JobEvent =
  /** `wants`: sources it reads and has no split of yet. */
  | { readonly kind: 'deployed'; readonly participant: number; readonly wants?: readonly SourceKey[] }
  | { readonly kind: 'splitWanted'; readonly participant: number; readonly source: SourceKey }
  /** A source that goes on finding splits has found some. */
  | { readonly kind: 'splitsFound'; readonly source: SourceKey; readonly splits: readonly Split[] }
  /** All its tasks have ended. `part`: its last word, when it has closed them; null: it still answers barriers. */
  | { readonly kind: 'finished'; readonly participant: number; readonly part?: Part }
  | { readonly kind: 'failed'; readonly participant: number; readonly error: SerialisedError }
  | { readonly kind: 'released'; readonly participant: number }
  | { readonly kind: 'cancelAsked' }
  /** Sources end now; with `drain`, windows fire as if the input had ended (the highest watermark is sent). */
  | {
      readonly kind: 'stopAsked';
      readonly drain: boolean;
      readonly request?: number;
      readonly savepoint?: string | null;
    }
  | { readonly kind: 'checkpointAsked'; readonly purpose: CheckpointPurpose }
  | { readonly kind: 'partTaken'; readonly participant: number; readonly id: number; readonly part: Part }
  /** Its part cannot be made. */
  | { readonly kind: 'partFailed'; readonly participant: number; readonly id: number; readonly error: SerialisedError }
  /** What `publish` commanded is done: durable, and sinks have committed. */
  | {
      readonly kind: 'published';
      readonly id: number;
      /** Nothing had changed: this earlier one, which is durable, stands for it. */
      readonly durableId?: number;
    }
  /** Nothing of it is visible. */
  | { readonly kind: 'publishFailed'; readonly id: number; readonly error: SerialisedError }
  /** It is `dueMs`. */
  | { readonly kind: 'timePassed' };

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
  /** `hold`: sources read no further until they are told to. */
  | {
      readonly kind: 'barrier';
      readonly participant: number;
      readonly id: number;
      readonly purpose: CheckpointPurpose;
      readonly hold: boolean;
    }
  /** Checkpoint `id` is given up: what was frozen or written for it is let go, sources that hold go on. */
  | { readonly kind: 'forget'; readonly participant: number; readonly id: number }
  /** Checkpoint `id` is durable. */
  | { readonly kind: 'completed'; readonly participant: number; readonly id: number }
  | { readonly kind: 'stop'; readonly participant: number; readonly drain: boolean }
  | { readonly kind: 'cancel'; readonly participant: number }
  | {
      readonly kind: 'publish';
      readonly id: number;
      readonly purpose: CheckpointPurpose;
      readonly parts: ReadonlyMap<number, Part>;
      readonly unread: Unread;
    }
  | Extract<CheckpointCommand, { kind: 'failedOne' | 'answer' }>
  /** For the books: how long it took. */
  | {
      readonly kind: 'completedOne';
      readonly id: number;
      readonly purpose: CheckpointPurpose;
      readonly tookMs: number;
    }
  | { readonly kind: 'ended'; readonly outcome: JobOutcome };

export interface JobSetup {
  readonly participants: number;
  readonly splits: Unread;
  /** Ended input that is run as a stream: sources that do not end by themselves. */
  readonly idling: ReadonlySet<SourceKey>;
  /** How many participants read each source; default: one. */
  readonly readers?: ReadonlyMap<SourceKey, number>;
  /** Checkpoints that outlive the process. Absent: none, and participants close what has finished by themselves. */
  readonly policy?: CheckpointPolicy | null;
  /** Id of the first checkpoint: ids go on over attempts. */
  readonly firstCheckpoint?: number;
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
    checkpoints: startCheckpoints(setup.policy ?? null, setup.firstCheckpoint ?? 1),
    unreadAtBarrier: new Map(),
    lastParts: new Map(),
    stopping: null,
    idling: setup.idling,
    wants: [],
    readers: setup.readers ?? new Map(),
    asked: new Map(),
    waiting: [],
    deferred: [],
  };
}

type Step = readonly [JobState, readonly JobCommand[]];

/** `nowMs`: of a monotonic clock. */
export function stepJob(state: JobState, event: JobEvent, nowMs = 0): Step {
  switch (event.kind) {
    case 'deployed':
      return deployed(state, event.participant, event.wants ?? [], nowMs);
    case 'splitWanted':
      return splitWanted(state, event.participant, event.source);
    case 'splitsFound':
      return splitsFound(state, event.source, event.splits);
    case 'finished':
      return finished(state, event.participant, event.part ?? null, nowMs);
    case 'failed':
      return end(state, { kind: 'failed', error: event.error });
    case 'released':
      return released(state, event.participant);
    case 'cancelAsked':
      return end(state, { kind: 'cancelled' });
    case 'stopAsked': {
      const { drain, request = 0, savepoint = null } = event;
      return stopAsked(state, { drain, request, savepoint }, nowMs);
    }
    case 'checkpointAsked':
      return checkpointAsked(state, event.purpose, nowMs);
    case 'partTaken':
      return carryOut(state, partTaken(state.checkpoints, event.participant, event.id, event.part));
    case 'partFailed':
    case 'publishFailed':
      return carryOut(state, checkpointFailed(state.checkpoints, event.id, event.error, whoOf(state), nowMs));
    case 'published': {
      const { id, durableId = id } = event;
      return carryOut(state, published(state.checkpoints, id, durableId, whoOf(state), nowMs));
    }
    case 'timePassed':
      return state.phase === 'running'
        ? carryOut(state, startDue(state.checkpoints, whoOf(state), nowMs))
        : [state, []];
  }
}

/** When `timePassed` is due; null: never. */
export function jobDueMs(state: JobState): number | null {
  return state.phase === 'running' ? dueAtMs(state.checkpoints) : null;
}

const everyone = (state: JobState): number[] => Array.from({ length: state.participants }, (_, i) => i);
const withMember = (set: ReadonlySet<number>, member: number): ReadonlySet<number> => new Set([...set, member]);

/**
 * Nobody runs before everybody can be sent to. First splits come with the start: each message that wakes a thread costs
 * as much as reading ten thousand rows.
 */
function deployed(state: JobState, participant: number, wants: readonly SourceKey[], nowMs: number): Step {
  const next: JobState = {
    ...state,
    deployed: withMember(state.deployed, participant),
    wants: [...state.wants, ...wants.map((source) => ({ participant, source }))],
  };
  if (next.phase !== 'deploying' || next.deployed.size < next.participants) return [next, []];
  const checkpoints = beginInterval(next.checkpoints, nowMs);
  const running: JobState = { ...next, phase: 'running', wants: [], checkpoints };
  const starts = everyone(next).map((p) => ({ kind: 'start', participant: p }) as const);
  if (next.stopping) {
    const [stopped, stops] = stopAsked(running, next.stopping, nowMs);
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
  if (split === undefined) {
    const waiting = command.ends ? state.waiting : [...state.waiting, { participant, source }];
    return [{ ...state, waiting }, [command]];
  }
  // Who has not asked yet hears with its own first split; what did not change need not be said again.
  const changed = unreadMinimum !== minimumOf([split, ...rest]);
  const others = (changed ? [...(state.asked.get(source) ?? [])] : [])
    .filter((p) => p !== participant)
    .map((p) => ({ kind: 'unread', participant: p, source, unreadMinimum }) as const);
  return [{ ...state, unread: new Map(state.unread).set(source, rest) }, [command, ...others]];
}

/** First to readers that wait; the rest is unread, and holds event time back for everybody. */
function splitsFound(state: JobState, source: SourceKey, splits: readonly Split[]): Step {
  if (state.phase === 'ending' || state.phase === 'ended' || !state.idling.has(source)) return [state, []];
  const before = state.unread.get(source) ?? [];
  const found = { ...state, unread: new Map(state.unread).set(source, [...before, ...splits]) };
  const mine = state.waiting.filter((reader) => reader.source === source);
  const others = state.waiting.filter((reader) => reader.source !== source);
  const [given, commands] = wantAll({ ...found, waiting: others }, mine);
  const unreadMinimum = minimumOf(given.unread.get(source) ?? []);
  const told = [...(state.asked.get(source) ?? [])]
    .filter((p) => !commands.some((command) => command.kind === 'assign' && command.participant === p))
    .map((p) => ({ kind: 'unread', participant: p, source, unreadMinimum }) as const);
  return [given, [...commands, ...told]];
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

function finished(state: JobState, participant: number, part: Part | null, nowMs: number): Step {
  const lastParts = part === null ? state.lastParts : new Map(state.lastParts).set(participant, part);
  const next = { ...state, finished: withMember(state.finished, participant), lastParts };
  if (state.phase !== 'running') return [next, []];
  const [given, commands] = part === null ? ([next, []] as Step) : leftLastPart(next, participant, part);
  if (given.finished.size < given.participants) return [given, commands];
  if (given.checkpoints.policy) {
    const [finishing, more] = carryOut(given, finish(given.checkpoints, whoOf(given), nowMs));
    return [finishing, [...commands, ...more]];
  }
  const outcome = { kind: 'finished' } as const;
  // Who stopped it wanted it ended, and nothing kept.
  const { request } = given.checkpoints.final;
  const stopped: JobCommand[] = request === null ? [] : [{ kind: 'answer', request, id: null, error: null }];
  const final = { request: null, savepoint: null };
  const [checkpoints, told] = abandon({ ...given.checkpoints, final }, overError());
  return [
    { ...given, phase: 'ended', outcome, checkpoints },
    [...commands, ...stopped, ...told.flatMap((command) => plain(given, command)), { kind: 'ended', outcome }],
  ];
}

/** What it would have answered to the barrier that is on its way to it. */
function leftLastPart(state: JobState, participant: number, part: Part): Step {
  return carryOut(state, partTaken(state.checkpoints, participant, null, part));
}

/** All tasks of the attempt stop and acknowledge; only then has the job ended. */
function end(state: JobState, outcome: JobOutcome): Step {
  if (state.phase === 'ending' || state.phase === 'ended') return [state, []];
  const [checkpoints, told] = abandon(state.checkpoints, outcome.kind === 'failed' ? outcome.error : overError());
  return [
    { ...state, phase: 'ending', outcome, checkpoints },
    [
      ...told.flatMap((command) => (command.kind === 'forget' ? [] : plain(state, command))),
      ...everyone(state).map((p) => ({ kind: 'cancel', participant: p }) as const),
    ],
  ];
}

function released(state: JobState, participant: number): Step {
  const next = { ...state, released: withMember(state.released, participant) };
  if (next.phase !== 'ending' || next.released.size < next.participants || next.outcome === null) return [next, []];
  return [{ ...next, phase: 'ended' }, [{ kind: 'ended', outcome: next.outcome }]];
}

/**
 * Without checkpoints, or to drain: sources end, and what has ended is committed as the end of bounded input is. Else a
 * last checkpoint is taken, behind whose barrier sources hold, and the job ends where it is.
 */
function stopAsked(state: JobState, stop: StopRequest, nowMs: number): Step {
  if (state.phase === 'deploying') return [{ ...state, stopping: stop }, []];
  if (state.phase !== 'running') return [state, answerLate(stop.request)];
  const stopping = { ...state, stopping: stop };
  const { request, savepoint } = stop;
  if (state.checkpoints.policy && !stop.drain) {
    return carryOut(stopping, askFor(state.checkpoints, { kind: 'stop', request, savepoint }, whoOf(state), nowMs));
  }
  const checkpoints = finalFor(state.checkpoints, request === 0 ? null : request, savepoint);
  return [
    { ...stopping, idling: new Set(), unread: new Map(), deferred: [], checkpoints },
    everyone(state).map((p) => ({ kind: 'stop', participant: p, drain: stop.drain }) as const),
  ];
}

// ── checkpoints ──────────────────────────────────────────────────────────────────────────────────────────────────────

function checkpointAsked(state: JobState, purpose: CheckpointPurpose, nowMs: number): Step {
  if (state.phase !== 'running') return [state, 'request' in purpose ? answerLate(purpose.request ?? 0) : []];
  return carryOut(state, askFor(state.checkpoints, purpose, whoOf(state), nowMs));
}

/** Who has closed its tasks has said its last word; everybody else answers barriers, ended tasks or not. */
function whoOf(state: JobState): Who {
  const missing = new Set(everyone(state).filter((p) => !state.lastParts.has(p)));
  return { missing, parts: state.lastParts };
}

function carryOut(
  before: JobState,
  [checkpoints, commands]: readonly [CheckpointState, readonly CheckpointCommand[]],
): Step {
  let state: JobState = { ...before, checkpoints };
  const done: JobCommand[] = [];
  for (const command of commands) {
    if (command.kind === 'inject') state = { ...state, unreadAtBarrier: state.unread };
    done.push(...plain(state, command));
    const over = outcomeOf(command);
    if (over) {
      const [ending, more] = end(state, over);
      state = ending;
      done.push(...more);
    }
  }
  return [state, done];
}

/** What ends the attempt. */
function outcomeOf(command: CheckpointCommand): JobOutcome | null {
  if (command.kind === 'giveUp') return { kind: 'failed', error: command.error };
  if (command.kind !== 'completed') return null;
  if (command.purpose.kind === 'final') return { kind: 'finished' };
  return command.purpose.kind === 'stop' ? { kind: 'finished', resumable: true } : null;
}

/** The same, said to participants one by one. */
function plain(state: JobState, command: CheckpointCommand): JobCommand[] {
  const listening = everyone(state).filter((p) => !state.lastParts.has(p));
  switch (command.kind) {
    case 'inject': {
      const { id, purpose, hold } = command;
      return listening.map((participant) => ({ kind: 'barrier', participant, id, purpose, hold }));
    }
    case 'forget':
      return listening.map((participant) => ({ kind: 'forget', participant, id: command.id }));
    case 'completed': {
      const { durableId, purpose, tookMs } = command;
      return [
        { kind: 'completedOne', id: durableId, purpose, tookMs },
        ...listening.map((participant) => ({ kind: 'completed', participant, id: durableId }) as const),
      ];
    }
    case 'publish':
      return [{ ...command, unread: state.unreadAtBarrier }];
    case 'giveUp':
      return [];
    default:
      return [command];
  }
}

const answerLate = (request: number): JobCommand[] =>
  request === 0 ? [] : [{ kind: 'answer', request, id: null, error: overError() }];

const overError = (): SerialisedError =>
  serialiseError(
    new MillraceError('checkpoint/aborted', 'the job ended, or failed, before the checkpoint was complete'),
  );
