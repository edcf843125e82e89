/**
 * The life of a job, from its plan to its end, over as many attempts as its restart strategy allows. It drives the pure
 * machines of core/schedule and carries out what they say: deploys, publishes checkpoints, commits sinks, restarts. Who
 * runs participants is a crew's business: threads (engine/coordinator) or one thread (engine/local). It holds no rows.
 */
import type { Clock } from '../core/base/clock.ts';
import { MillraceError, reviveError, type SerialisedError, serialiseError } from '../core/base/errors.ts';
import type { Prng } from '../core/base/prng.ts';
import type { Plan } from '../core/plan/nodes.ts';
import type { Split, SplitDiscovery } from '../core/ports/connector.ts';
import type { CheckpointPurpose } from '../core/schedule/checkpoints.ts';
import {
  type JobCommand,
  type JobEvent,
  type JobOutcome,
  type JobState,
  jobDueMs,
  startJob,
  stepJob,
  type Unread,
} from '../core/schedule/job.ts';
import { attemptFailed, attemptRuns, type RestartState, startRestarts } from '../core/schedule/restart.ts';
import { counterBytes } from '../workers/counters.ts';
import { planInboxes } from '../workers/exchange/inbox.ts';
import { Durability, type DurabilityWorld } from './durability.ts';
import { inboxBytes, inboxFrom, type MemoryMap, memoryMap } from './memory-map.ts';
import type {
  CheckpointNumbers,
  Deployment,
  FromParticipant,
  JobModule,
  JobOptions,
  Restored,
  SnapshotPart,
  ToParticipant,
} from './messages.ts';
import { type Prepared, prepare } from './prepare.ts';

/** What a job is, apart from where its rows and functions live. */
export interface JobRequest {
  readonly jobId: string;
  readonly plan: Plan;
  readonly options: JobOptions;
  readonly module: JobModule | null;
  /** Values that are no JSON, by id. */
  readonly resources: ReadonlyMap<string, unknown>;
  /** State in memory to begin from. */
  readonly restore: { readonly parts: readonly SnapshotPart[]; readonly unread: Unread } | null;
}

/** What surrounds it; a simulation brings its own. */
export interface JobWorld extends DurabilityWorld {
  readonly clock: Clock;
  readonly random: Prng;
  /** Calls `work` once, at that time of the monotonic clock; the answer calls it off. */
  at(monotonicMs: number, work: () => void): () => void;
}

/** One attempt, laid out. */
export interface Layout {
  readonly attempt: number;
  readonly participants: number;
  readonly hasCaller: boolean;
  readonly prepared: Prepared;
  /** By participant, the caller last. */
  readonly maps: readonly MemoryMap[];
  readonly counters: SharedArrayBuffer;
  readonly inboxBytes: number;
  deployment(participant: number, memories: readonly (WebAssembly.Memory | null)[]): Deployment;
}

/** Who runs participants. */
export interface Crew {
  /** Bytes of a slot's memory, and of the caller's. */
  readonly bytes: { readonly slot: number; readonly caller: number };
  /** Rings of at most so many bytes; absent: as large as there is room. */
  readonly ringBytes?: number;
  /** Gets ready what runs participants; waits until there is room for it. Once an attempt. */
  muster(): Promise<void>;
  /** Gives memories and deploys everybody; what participants say goes to `JobRun.heard`. */
  deploy(layout: Layout): void;
  say(participant: number, message: ToParticipant): void;
  /** Asks a participant to let go; `released` follows in any case. */
  cancel(participant: number): void;
  /** The attempt is over: everything that ran it is given back. Also after a `muster` without `deploy`. */
  disband(outcome: JobOutcome): void;
}

/** Who wants to know. */
export interface JobObserver {
  /** An attempt is deployed. */
  running(layout: Layout): void;
  /** An answer to `ask` or `stop`, by request: the checkpoint's id and, of a savepoint, where it lies. */
  answered(request: number, answer: JobAnswer): void;
  numbers(numbers: CheckpointNumbers): void;
  /** Something that a person should know: a checkpoint that was passed over, a restart. */
  notice(text: string): void;
  ended(outcome: JobOutcome): void;
}

export interface JobAnswer {
  readonly id: number | null;
  readonly path: string | null;
  /** State handed over in memory. */
  readonly snapshot: { readonly parts: readonly SnapshotPart[]; readonly unread: Unread } | null;
  readonly error: SerialisedError | null;
}

const noNumbers: CheckpointNumbers = {
  lastId: null,
  lastDurationMs: 0,
  lastBytes: 0,
  completed: 0,
  failed: 0,
  restoredFrom: null,
  restoredFromFallback: 0,
  restarts: 0,
};

type Phase = 'preparing' | 'attempt' | 'waiting' | 'over';

export class JobRun {
  readonly #request: JobRequest;
  readonly #world: JobWorld;
  readonly #crew: Crew;
  readonly #observer: JobObserver;
  #phase: Phase = 'preparing';
  #prepared: Prepared | null = null;
  #durability: Durability | null = null;
  #restarts: RestartState;
  #attempt = 0;
  #state: JobState | null = null;
  readonly #events: JobEvent[] = [];
  #stepping = false;
  /** The timer that is armed. */
  #callOff: (() => void) | null = null;
  #callOffRestart: (() => void) | null = null;
  #discoveries = new Map<string, SplitDiscovery>();
  /** Of sources that go on finding splits: what they knew when the running barrier was injected. */
  #enumerators: ReadonlyMap<string, unknown> = new Map();
  #numbers = noNumbers;
  /** A stop or cancel that came when no attempt ran. */
  #wish: Extract<JobEvent, { kind: 'stopAsked' | 'cancelAsked' }> | null = null;
  #savepoints = new Map<number, string>();
  #nextCheckpoint = 1;

  constructor(request: JobRequest, world: JobWorld, crew: Crew, observer: JobObserver) {
    this.#request = request;
    this.#world = world;
    this.#crew = crew;
    this.#observer = observer;
    const strategy = request.options.durable?.restart ?? { kind: 'none' };
    this.#restarts = startRestarts(strategy, world.clock.monotonicMs());
  }

  get state(): JobState | null {
    return this.#state;
  }

  /** Resolves when a first attempt is deployed, or none will be. Errors are told by `ended`. */
  async start(): Promise<void> {
    const { options, plan, resources, restore } = this.#request;
    const mustered = this.#crew.muster();
    mustered.catch(() => {});
    try {
      const { durable } = options;
      if (durable) {
        this.#durability = await Durability.open(durable, this.#request, this.#world, (text) =>
          this.#observer.notice(text),
        );
        this.#nextCheckpoint = this.#durability.nextCheckpoint;
      }
      const seeded = { ...options, hashSeed: this.#durability?.restored?.hashSeed ?? options.hashSeed };
      this.#prepared = await prepare(plan, seeded, resources, this.#durability?.restored ?? null, () =>
        this.#world.clock.nowMs(),
      );
      for (const warning of this.#prepared.planned.warnings) this.#observer.notice(warning);
      await this.#durability?.use(this.#prepared);
      this.#tell({
        restoredFrom: this.#durability?.restored?.checkpointId ?? null,
        restoredFromFallback: this.#durability?.passedOver ?? 0,
      });
      await mustered;
      if (this.#phase === 'over') return;
      if (this.#durability?.restored?.finished) {
        this.#observer.notice(
          `the job had ended in order with checkpoint ${this.#durability.restored.checkpointId}: there is nothing left to do`,
        );
        this.#crew.disband({ kind: 'finished' });
        this.#over({ kind: 'finished' });
        return;
      }
      this.#begin(restore ? fromMemory(restore) : (this.#durability?.begin() ?? null));
    } catch (error) {
      await mustered.catch(() => {});
      const outcome: JobOutcome = { kind: 'failed', error: serialiseError(error) };
      this.#crew.disband(outcome);
      this.#over(outcome);
    }
  }

  #begin(restored: Restored | null): void {
    if (this.#wish && this.#endsWithout(this.#wish)) return;
    const prepared = this.#prepared!;
    const layout = this.#layOut(prepared, restored);
    const { durable } = this.#request.options;
    this.#attempt = layout.attempt;
    this.#phase = 'attempt';
    this.#state = startJob({
      participants: layout.participants,
      splits: new Map(
        [...prepared.splits].map(([key, all]) => [key, restored ? (restored.unread.get(key) ?? all) : all]),
      ),
      idling: prepared.idling,
      readers: prepared.readers,
      policy: durable?.policy ?? null,
      firstCheckpoint: this.#nextCheckpoint,
    });
    this.#observer.running(layout);
    this.#crew.deploy(layout);
    if (this.#wish) this.event(this.#wish);
    this.#wish = null;
    void this.#discover(restored);
  }

  #layOut(prepared: Prepared, restored: Restored | null): Layout {
    const { jobId, options, module, resources } = this.#request;
    const { physical } = prepared.planned;
    const { parallelism } = options;
    const { bytes, ringBytes } = this.#crew;
    const hasCaller = physical.chains.some((chain) => chain.place === 'caller');
    const inboxes = planInboxes(physical, parallelism, {
      from: inboxFrom,
      slotBytes: inboxBytes(bytes.slot, parallelism),
      callerBytes: inboxBytes(bytes.caller, parallelism),
      ...(ringBytes === undefined ? {} : { ringBytes }),
    });
    const maps = inboxes.inboxes.map((_, p) => memoryMap(p < parallelism ? bytes.slot : bytes.caller, parallelism));
    const counters = new SharedArrayBuffer(counterBytes(parallelism + 1, physical.chains.length));
    const attempt = this.#attempt + 1;
    const transaction = this.#durability?.transaction ?? null;
    return {
      attempt,
      participants: parallelism + (hasCaller ? 1 : 0),
      hasCaller,
      prepared,
      maps,
      counters,
      inboxBytes: inboxes.inboxes.reduce((sum, inbox) => sum + inbox.bytes, 0),
      deployment: (participant, memories) => ({
        jobId,
        attempt,
        participant,
        parallelism,
        plan: physical,
        inboxes,
        maps,
        memories,
        counters,
        batchRows: options.batchRows,
        hashSeed: prepared.hashSeed,
        module,
        resources,
        restored,
        endless: prepared.endless,
        transaction,
      }),
    };
  }

  // ── what happens ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** What a participant of attempt `attempt` says. */
  heard(attempt: number, participant: number, message: FromParticipant): void {
    if (attempt === this.#attempt) this.event({ ...message, participant });
  }

  event(event: JobEvent): void {
    this.#events.push(event);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#events.shift(); next; next = this.#events.shift()) this.#step(next);
    } finally {
      this.#stepping = false;
    }
    this.#arm();
  }

  #step(event: JobEvent): void {
    if (!this.#state) return;
    const before = this.#state.checkpoints.running?.id;
    const [next, commands] = stepJob(this.#state, event, this.#world.clock.monotonicMs());
    this.#state = next;
    if (next.checkpoints.running && next.checkpoints.running.id !== before) {
      this.#enumerators = new Map([...this.#discoveries].map(([key, discovery]) => [key, discovery.state()]));
    }
    for (const command of commands) this.#do(command);
  }

  #do(command: JobCommand): void {
    switch (command.kind) {
      case 'cancel':
        this.#crew.cancel(command.participant);
        return;
      case 'publish':
        this.#publish(command);
        return;
      case 'completedOne':
        this.#tell({
          lastId: command.id,
          lastDurationMs: command.tookMs,
          completed: this.#numbers.completed + 1,
        });
        return;
      case 'failedOne':
        this.#durability?.discard(command.id);
        this.#tell({ failed: this.#numbers.failed + 1 });
        this.#observer.notice(`checkpoint ${command.id} failed: ${command.error.message}`);
        return;
      case 'answer':
        this.#answer(command.request, command.id, command.error);
        return;
      case 'ended':
        this.#attemptEnded(command.outcome);
        return;
      default: {
        const { participant, ...message } = command;
        this.#crew.say(participant, message);
      }
    }
  }

  #publish({ id, purpose, parts, unread }: Extract<JobCommand, { kind: 'publish' }>): void {
    if (purpose.kind === 'memory') {
      const snapshot = { parts: [...parts.values()] as SnapshotPart[], unread };
      this.#observer.answered(purpose.request, { id, path: null, snapshot, error: null });
      this.event({ kind: 'published', id });
      return;
    }
    this.#nextCheckpoint = id + 1;
    void this.#durability!.publish({
      id,
      purpose,
      parts: parts as ReadonlyMap<number, SnapshotPart>,
      unread,
      enumerators: this.#enumerators,
      prepared: this.#prepared!,
    }).then(
      ({ bytes, savepoint, durableId }) => {
        if (savepoint !== null && 'request' in purpose && purpose.request !== null)
          this.#savepoints.set(purpose.request, savepoint);
        this.#tell({ lastBytes: bytes });
        this.event({ kind: 'published', id, ...(durableId === id ? {} : { durableId }) });
      },
      (error: unknown) => {
        const failure = serialiseError(error);
        // Committed or not, only the next attempt can tell: what stands in the manifest is committed when it begins.
        if (this.#durability?.isLost) this.event({ kind: 'failed', participant: -1, error: failure });
        else this.event({ kind: 'publishFailed', id, error: failure });
      },
    );
  }

  #answer(request: number, id: number | null, error: SerialisedError | null): void {
    // State in memory was answered when it was whole.
    const path = this.#savepoints.get(request) ?? null;
    this.#savepoints.delete(request);
    this.#observer.answered(request, { id, path, snapshot: null, error });
  }

  #arm(): void {
    this.#callOff?.();
    const dueMs = this.#state ? jobDueMs(this.#state) : null;
    this.#callOff = dueMs === null ? null : this.#world.at(dueMs, () => this.event({ kind: 'timePassed' }));
  }

  #tell(change: Partial<CheckpointNumbers>): void {
    this.#numbers = { ...this.#numbers, ...change };
    if (this.#durability) this.#observer.numbers(this.#numbers);
  }

  // ── what is asked for ──────────────────────────────────────────────────────────────────────────────────────────────

  ask(purpose: CheckpointPurpose & { readonly request: number }): void {
    if (this.#phase === 'attempt') this.event({ kind: 'checkpointAsked', purpose });
    else this.#answer(purpose.request, null, serialiseError(notNow()));
  }

  stop(drain: boolean, request: number, savepoint: string | null): void {
    this.#wanted({ kind: 'stopAsked', drain, request, savepoint });
  }

  cancel(): void {
    this.#wanted({ kind: 'cancelAsked' });
  }

  #wanted(wish: Extract<JobEvent, { kind: 'stopAsked' | 'cancelAsked' }>): void {
    if (this.#phase === 'attempt') this.event(wish);
    else if (this.#phase === 'preparing') this.#wish = wish;
    else if (this.#phase === 'waiting') {
      if (!this.#endsWithout(wish)) this.#wish = wish;
    } else if (wish.kind === 'stopAsked' && wish.request) this.#answer(wish.request, null, serialiseError(notNow()));
  }

  /** Ends the job between two attempts, when that is what was asked for: its last checkpoint is where it is. */
  #endsWithout(wish: Extract<JobEvent, { kind: 'stopAsked' | 'cancelAsked' }>): boolean {
    const stops = wish.kind === 'stopAsked';
    if (stops && this.#durability && (wish.drain || wish.savepoint != null)) return false;
    this.#callOffRestart?.();
    const outcome: JobOutcome =
      stops && this.#durability ? { kind: 'finished', resumable: true } : { kind: 'cancelled' };
    if (this.#phase === 'preparing') this.#crew.disband(outcome);
    this.#over(outcome);
    if (stops && wish.request) this.#answer(wish.request, this.#durability?.restored?.checkpointId ?? null, null);
    return true;
  }

  // ── ends, and new beginnings ───────────────────────────────────────────────────────────────────────────────────────

  #attemptEnded(outcome: JobOutcome): void {
    const stopping = this.#state?.stopping != null;
    const running = this.#state?.checkpoints.nextId ?? this.#nextCheckpoint;
    this.#state = null;
    this.#callOff?.();
    this.#callOff = null;
    for (const discovery of this.#discoveries.values()) discovery.close();
    this.#discoveries = new Map();
    this.#crew.disband(outcome);
    for (let id = this.#nextCheckpoint; id < running; id++) this.#durability?.discard(id);
    this.#nextCheckpoint = running;
    if (outcome.kind === 'failed' && this.#durability && !stopping) this.#tryAgain(outcome.error);
    else this.#over(outcome);
  }

  #tryAgain(error: SerialisedError): void {
    const because = this.#whyNot(error);
    if (because === null) {
      this.#over({ kind: 'failed', error });
      return;
    }
    const nowMs = this.#world.clock.monotonicMs();
    const [restarts, decision] = attemptFailed(this.#restarts, nowMs, this.#world.random);
    this.#restarts = restarts;
    if (because !== '' || decision.kind === 'giveUp') {
      const reason = because !== '' ? because : decision.kind === 'giveUp' ? decision.because : '';
      this.#over({ kind: 'failed', error: notRestarted(error, reason) });
      return;
    }
    this.#phase = 'waiting';
    this.#tell({ restarts: this.#numbers.restarts + 1 });
    this.#observer.notice(
      `attempt ${this.#attempt} failed: ${error.message}; the job is restarted in ${decision.inMs} ms`,
    );
    this.#callOffRestart = this.#world.at(nowMs + decision.inMs, () => void this.#restart());
  }

  /** Why a failure is no reason to try again; '' when it is one, null when there is nothing to be said about it. */
  #whyNot(error: SerialisedError): string | null {
    if (error.code !== null && hopeless(error.code)) return null;
    const once = this.#prepared?.unreplayable ?? [];
    if (once.length === 0) return '';
    return `${once.map((name) => `'${name}'`).join(', ')} cannot be read a second time`;
  }

  async #restart(): Promise<void> {
    this.#callOffRestart = null;
    try {
      const mustered = this.#crew.muster();
      mustered.catch(() => {});
      const restored = await this.#durability!.again();
      await mustered;
      if (this.#phase !== 'waiting') {
        this.#crew.disband({ kind: 'cancelled' });
        return;
      }
      this.#phase = 'preparing';
      this.#restarts = attemptRuns(this.#restarts, this.#world.clock.monotonicMs());
      this.#tell({ restoredFrom: this.#durability!.restored?.checkpointId ?? null });
      this.#begin(restored);
    } catch (error) {
      const outcome: JobOutcome = { kind: 'failed', error: serialiseError(error) };
      this.#crew.disband(outcome);
      this.#over(outcome);
    }
  }

  #over(outcome: JobOutcome): void {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    let told = outcome;
    try {
      this.#durability?.close(outcome);
    } catch (error) {
      if (outcome.kind === 'finished') told = { kind: 'failed', error: serialiseError(error) };
    }
    this.#observer.ended(told);
  }

  // ── sources that go on finding splits ──────────────────────────────────────────────────────────────────────────────

  async #discover(restored: Restored | null): Promise<void> {
    const { attempt } = { attempt: this.#attempt };
    const here = (): boolean => attempt === this.#attempt && this.#state !== null;
    for (const source of this.#prepared!.discovering) {
      try {
        const discovery = source.start({
          parallelism: source.parallelism,
          state: (restored?.enumerators.get(source.key) as never) ?? null,
          emit: (splits: readonly Split[]) => {
            if (here()) this.event({ kind: 'splitsFound', source: source.key, splits });
          },
          fail: (error: unknown) => {
            if (here()) this.event({ kind: 'failed', participant: -1, error: serialiseError(error) });
          },
          schedule: (afterMs: number, work: () => void) =>
            this.#world.at(this.#world.clock.monotonicMs() + afterMs, () => {
              if (here()) work();
            }),
          nowMs: () => this.#world.clock.nowMs(),
          resource: (id: string) => this.#request.resources.get(id),
        });
        if (discovery && here()) this.#discoveries.set(source.key, discovery);
        else discovery?.close();
      } catch (error) {
        if (here()) this.event({ kind: 'failed', participant: -1, error: serialiseError(error) });
      }
    }
  }
}

const fromMemory = ({ parts, unread }: { parts: readonly SnapshotPart[]; unread: Unread }): Restored => ({
  parts,
  unread,
  enumerators: new Map(),
  files: null,
});

/** What fails again however often it is tried: the job itself is at fault, or somebody else owns its state. */
function hopeless(code: string): boolean {
  // A disk that failed, or had no room, may do better.
  if (code === 'state/failed' || code === 'state/disk-full') return false;
  const [area] = code.split('/');
  if (['option', 'plan', 'job', 'schema', 'snapshot', 'state'].includes(area!)) return true;
  return ['sink/lost', 'sink/closed', 'sink/forbidden', 'source/not-found', 'source/unsupported'].includes(code);
}

/** The same error, saying that this was the last attempt. */
function notRestarted(error: SerialisedError, because: string): SerialisedError {
  const known = reviveError(error);
  return { ...serialiseError(known), message: `${error.message} (the job is not restarted: ${because})` };
}

const notNow = (): MillraceError =>
  new MillraceError(
    'checkpoint/aborted',
    'the job is not running at the moment: it starts, is being restarted, or has ended',
    {
      retryable: true,
    },
  );
