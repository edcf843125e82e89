/**
 * The whole engine on one thread: the same plan, machines, participants, rings, tasks, checkpoints and files as with
 * threads, but every task is stepped from here in an order drawn from a seed, under a virtual clock. For embedding, unit
 * tests and simulation, which brings its own disk and faults. What waits for the world (an async iterable, a callback's
 * promise) is awaited between rounds.
 */
import type { Clock } from '../core/base/clock.ts';
import { reviveError, serialiseError } from '../core/base/errors.ts';
import { type Prng, prng } from '../core/base/prng.ts';
import type { PhysicalPlan } from '../core/plan/physical.ts';
import type { StateDirectory } from '../core/ports/checkpoint.ts';
import type { Disk } from '../core/ports/disk.ts';
import type { JobOutcome } from '../core/schedule/job.ts';
import { openStateDirectory } from '../state/checkpoint/directory.ts';
import { TaskStatus } from '../workers/task.ts';
import { realDisk } from './disk.ts';
import { type Crew, type JobAnswer, JobRun, type Layout } from './job-run.ts';
import { createMemory } from './memories.ts';
import type { MemoryMap } from './memory-map.ts';
import type { CheckpointNumbers, FromParticipant, ToParticipant } from './messages.ts';
import { type JobNumbers, readNumbers } from './numbers.ts';
import { slotBytes } from './options.ts';
import { Participant } from './participant.ts';
import { settleResources } from './resources.ts';
import type { Snapshot, Submission } from './running-job.ts';

/** What a simulation may bring. */
export interface LocalWorld {
  /** Draws the order of steps, delays of restarts and keys of jobs. */
  readonly seed: number;
  /** Rings of this many bytes at most, so that they fill; default: as with threads. */
  readonly ringBytes?: number;
  /** Default: a new one. Restarts of a job under one clock share it. */
  readonly clock?: VirtualClock;
  /** Default: the machine's own. */
  readonly disk?: Disk;
  /** Default: whoever owned the directory before is taken for dead. */
  readonly openState?: (path: string, options: { readonly takeOver: boolean }) => StateDirectory;
  /** Test mode: rows and contexts that are kept beyond their call throw. */
  readonly poisonRows?: boolean;
  /** Where memories of slots come from, by their map; default: fresh ones. One that is used again had the same map before. */
  readonly memory?: (map: MemoryMap) => WebAssembly.Memory;
  /** Called before each step of a task; what it throws is thrown by the task. */
  readonly beforeStep?: (step: number, participant: number) => void;
}

export interface LocalOptions extends LocalWorld {
  /** Steps after which a snapshot is taken; then the job goes on. */
  readonly snapshotAtStep?: number;
  /** An unbounded job is stopped, with its windows closed, when nothing has moved for a few rounds. */
  readonly drainWhenIdle?: boolean;
  /** With `snapshotAtStep`: the job is abandoned once the snapshot is complete. */
  readonly crashAfterSnapshot?: boolean;
}

export interface LocalRun {
  readonly outcome: JobOutcome;
  readonly snapshot: Snapshot | null;
  readonly numbers: JobNumbers;
  readonly steps: number;
  readonly plan: PhysicalPlan;
}

/** A clock that stands still until it is moved. */
export interface VirtualClock extends Clock {
  advance(ms: number): void;
}

export function virtualClock(startMs = 0): VirtualClock {
  let ms = 0;
  return {
    nowMs: () => startMs + ms,
    monotonicMs: () => ms,
    advance: (by) => {
      ms += by;
    },
  };
}

/** Bytes of a slot: small, since all of them live in one thread's process and tests run many. */
const localSlotBytes = 64 * 2 ** 20;

/** Runs a submission to its end (or to the crash asked for). Errors of the job are thrown. */
export async function runLocal(submission: Submission, local: LocalOptions): Promise<LocalRun> {
  const job = new LocalJob(submission, local);
  await job.start();
  let rounds = 0;
  let idleRounds = 0;
  let snapshot: Snapshot | null = null;
  while (job.outcome === null) {
    if (local.snapshotAtStep !== undefined && job.steps >= local.snapshotAtStep && !job.asked) {
      job.asked = true;
      void job.ask({ kind: 'memory' }).then((answer) => {
        snapshot = answer.snapshot;
      });
    }
    if (snapshot && local.crashAfterSnapshot) break;
    if (job.turn()) {
      idleRounds = 0;
      // Receivers run now and then, as they would beside threads.
      if (++rounds % 64 === 0 || job.asked) await turnOfTheWorld();
      continue;
    }
    if (++idleRounds === 5 && local.drainWhenIdle) job.stop({ drain: true });
    // Nothing moved: let promises of readers and writers settle, and time pass.
    await job.settle();
    job.clock.advance(1);
  }
  const outcome = job.outcome ?? { kind: 'cancelled' };
  if (job.outcome === null) job.crash();
  for (const queue of submission.ends.values()) queue.end();
  if (outcome.kind === 'failed') throw reviveError(outcome.error);
  return { outcome, snapshot, numbers: job.numbers(), steps: job.steps, plan: job.plan! };
}

const turnOfTheWorld = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What can be asked of it. */
export type LocalRequest =
  | { readonly kind: 'memory' | 'asked' }
  | { readonly kind: 'savepoint'; readonly directory: string };

export class LocalJob {
  readonly clock: VirtualClock;
  readonly notices: string[] = [];
  /** Whether `runLocal` has asked for its snapshot. */
  asked = false;
  checkpoints: CheckpointNumbers | null = null;
  readonly #submission: Submission;
  readonly #world: LocalWorld;
  readonly #random: Prng;
  readonly #outbox: { attempt: number; participant: number; message: FromParticipant }[] = [];
  /** What is under way outside the steps: deployments. */
  readonly #pending = new Set<Promise<unknown>>();
  readonly #timers: { atMs: number; work: () => void }[] = [];
  readonly #requests = new Map<number, (answer: JobAnswer) => void>();
  readonly #dead = new Set<number>();
  #requestNumber = 0;
  #participants: (Participant | null)[] = [];
  #resources: { shared: ReadonlyMap<string, unknown>; own: ReadonlyMap<string, unknown> } | null = null;
  #run: JobRun | null = null;
  #last: Layout | null = null;
  #outcome: JobOutcome | null = null;
  #steps = 0;
  #crashed = false;

  constructor(submission: Submission, world: LocalWorld) {
    this.#submission = submission;
    this.#world = world;
    this.#random = prng(world.seed);
    this.clock = world.clock ?? virtualClock();
  }

  /** Plans, opens the state directory and deploys. Errors of the job are told by `outcome`. */
  async start(): Promise<void> {
    const { plan: logical, options, restore } = this.#submission;
    const { plan, shared, own } = await settleResources(logical, this.#submission.resources);
    this.#resources = { shared, own };
    const disk = this.#world.disk ?? realDisk;
    const openState =
      this.#world.openState ??
      ((path: string, { takeOver }: { readonly takeOver: boolean }) =>
        openStateDirectory(path, { disk, owner: localOwner, life: () => 'dead', takeOver, nowMs: this.clock.nowMs() }));
    const request = { jobId: 'local', plan, options, module: null, resources: shared, restore };
    const world = {
      clock: this.clock,
      // Time stands still here: a seed is to meet what is written while a snapshot is read.
      pagesPerRound: 1,
      random: this.#random.fork(),
      disk,
      openState,
      at: (atMs: number, work: () => void) => this.#at(atMs, work),
    };
    this.#run = new JobRun(request, world, this.#crew(), {
      running: (layout) => {
        this.#last = layout;
      },
      answered: (number, answer) => {
        this.#requests.get(number)?.(answer);
        this.#requests.delete(number);
      },
      numbers: (numbers) => {
        this.checkpoints = numbers;
      },
      notice: (text) => void this.notices.push(text),
      ended: (outcome) => {
        this.#outcome = outcome;
      },
    });
    await this.#run.start();
    await this.settle();
  }

  /** How it ended; null: it has not. */
  get outcome(): JobOutcome | null {
    return this.#outcome;
  }

  get steps(): number {
    return this.#steps;
  }

  /** The attempt that runs, or ran last; 0: none has. */
  get attempt(): number {
    return this.#last?.attempt ?? 0;
  }

  get plan(): PhysicalPlan | null {
    return this.#last?.prepared.planned.physical ?? null;
  }

  get run(): JobRun {
    return this.#run!;
  }

  /** Tasks that can be looked at, by participant. */
  get participants(): readonly (Participant | null)[] {
    return this.#participants;
  }

  numbers(): JobNumbers {
    const { parallelism } = this.#submission.options;
    if (!this.#last) return readNumbers(null, parallelism);
    const { prepared, counters } = this.#last;
    const source = { plan: prepared.planned.physical, counters, estimatedRows: prepared.estimatedRows, inboxBytes: 0 };
    return readNumbers(source, parallelism);
  }

  /** Resolves when it is answered, which takes turns. */
  ask(request: LocalRequest): Promise<JobAnswer> {
    return this.#answerTo((number) => this.#run!.ask({ ...request, request: number } as never));
  }

  stop(options: { readonly drain?: boolean; readonly savepoint?: string } = {}): Promise<JobAnswer> {
    return this.#answerTo((number) => this.#run!.stop(options.drain ?? false, number, options.savepoint ?? null));
  }

  cancel(): void {
    this.#run!.cancel();
  }

  /** A participant dies as a thread does: it says nothing any more, and the coordinator notices. */
  kill(participant: number, error: unknown): void {
    this.#dead.add(participant);
    this.#run!.event({ kind: 'failed', participant, error: serialiseError(error) });
    this.#run!.event({ kind: 'released', participant });
  }

  /** The process dies: nothing is closed, nothing is told. */
  crash(): void {
    this.#crashed = true;
    this.#outcome ??= { kind: 'cancelled' };
    this.#participants = [];
  }

  /** Lets deployments and promises of readers, writers and disks settle. */
  async settle(): Promise<void> {
    do {
      while (this.#pending.size > 0) await Promise.all(this.#pending);
      await turnOfTheWorld();
    } while (this.#pending.size > 0);
  }

  /** One step of every task, in a drawn order, and what follows from it. False: nothing moved. */
  turn(): boolean {
    let moved = this.#deliver();
    moved = this.#fireTimers() || moved;
    moved = this.#step() || moved;
    return moved || this.#outbox.length > 0;
  }

  // ── as the crew of an attempt ──────────────────────────────────────────────────────────────────────────────────────

  #crew(): Crew {
    const slot = Math.min(slotBytes(this.#submission.options), localSlotBytes);
    const { ringBytes } = this.#world;
    return {
      bytes: { slot, caller: slot },
      ...(ringBytes === undefined ? {} : { ringBytes }),
      async muster() {},
      deploy: (layout) => this.#deploy(layout),
      say: (participant, message) => this.#say(participant, message),
      cancel: (participant) => {
        if (!this.#dead.has(participant) && this.#participants[participant]) this.#say(participant, { kind: 'cancel' });
        else this.#run!.event({ kind: 'released', participant });
      },
      disband: () => {
        this.#participants = [];
      },
    };
  }

  #deploy(layout: Layout): void {
    const { shared, own } = this.#resources!;
    const { functions } = this.#submission;
    this.#dead.clear();
    const memoryOf = this.#world.memory ?? (({ bytes }: MemoryMap) => createMemory(bytes));
    const memories = layout.maps.map((map, p) => (p < layout.participants ? memoryOf(map) : null));
    const setup = {
      clock: this.clock,
      // Time stands still here: a seed is to meet what is written while a snapshot is read.
      pagesPerRound: 1,
      disk: this.#world.disk ?? realDisk,
      ...(this.#world.poisonRows ? { poisonRows: true } : {}),
      functions,
      resource: (id: string) => shared.get(id) ?? own.get(id),
    };
    this.#participants = Array.from({ length: layout.participants }, (_, p) =>
      Participant.create(layout.deployment(p, memories), setup, (message) =>
        this.#outbox.push({ attempt: layout.attempt, participant: p, message }),
      ),
    );
    for (const participant of this.#participants) if (participant) this.#await(participant.deploy());
  }

  #say(participant: number, message: ToParticipant): void {
    if (this.#dead.has(participant) || message.kind === 'start' || message.kind === 'deploy') return;
    this.#participants[participant]?.receive(message);
  }

  // ── inside ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #answerTo(ask: (request: number) => void): Promise<JobAnswer> {
    const number = ++this.#requestNumber;
    return new Promise((resolve) => {
      this.#requests.set(number, resolve);
      ask(number);
    });
  }

  #await(work: Promise<unknown>): void {
    this.#pending.add(work);
    void work.finally(() => this.#pending.delete(work));
  }

  #at(atMs: number, work: () => void): () => void {
    const timer = { atMs, work };
    this.#timers.push(timer);
    return () => {
      const at = this.#timers.indexOf(timer);
      if (at >= 0) this.#timers.splice(at, 1);
    };
  }

  #fireTimers(): boolean {
    const nowMs = this.clock.monotonicMs();
    const due = this.#timers.filter((timer) => timer.atMs <= nowMs).sort((a, b) => a.atMs - b.atMs);
    for (const timer of due) {
      const at = this.#timers.indexOf(timer);
      // Called off by one before it.
      if (at < 0) continue;
      this.#timers.splice(at, 1);
      timer.work();
    }
    return due.length > 0;
  }

  /** When the next timer is due, on the monotonic clock; null: none is armed. */
  get nextTimerMs(): number | null {
    return this.#timers.length === 0 ? null : Math.min(...this.#timers.map((timer) => timer.atMs));
  }

  #deliver(): boolean {
    const messages = this.#outbox.splice(0);
    for (const { attempt, participant, message } of messages) {
      if (!this.#crashed && !this.#dead.has(participant)) this.#run!.heard(attempt, participant, message);
    }
    return messages.length > 0;
  }

  #step(): boolean {
    if (this.#run!.state?.phase !== 'running') return false;
    const tasks = this.#participants.flatMap((participant, p) =>
      this.#dead.has(p) ? [] : (participant?.tasks ?? []).map((task) => ({ task, p })),
    );
    shuffle(tasks, this.#random);
    let moved = false;
    for (const { task, p } of tasks) {
      if (task.ended || this.#crashed || this.#dead.has(p) || this.#run!.state?.phase !== 'running') continue;
      let left = 1 + this.#random.below(4);
      const { attempt } = this;
      try {
        this.#world.beforeStep?.(this.#steps, p);
        const status = task.step(() => --left <= 0);
        if (status === TaskStatus.moved || status === TaskStatus.ended) moved = true;
      } catch (error) {
        this.#outbox.push({ attempt, participant: p, message: { kind: 'failed', error: serialiseError(error) } });
        moved = true;
      }
      this.#steps++;
    }
    for (const [p, participant] of this.#participants.entries()) {
      if (!participant || this.#dead.has(p)) continue;
      // What a barrier found is handed over before the end is told.
      if (participant.readFrozen()) moved = true;
      else if (this.#run!.state?.phase === 'running' && participant.tasks.every((task) => task.ended))
        participant.finish();
    }
    return moved;
  }
}

const localOwner = { pid: 1, startTime: '0', bootId: 'local', pidNamespace: '0', host: 'local' };

function shuffle<T>(items: T[], random: Prng): void {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
}
