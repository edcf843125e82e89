/**
 * The whole engine on one thread: the same plan, machine, participants, rings and tasks as with threads, but every task
 * is stepped from here in an order drawn from a seed, under a virtual clock. For embedding, unit tests and simulation.
 * What waits for the world (an async iterable, a callback's promise) is awaited between rounds.
 */
import type { Clock } from '../core/base/clock.ts';
import { reviveError, serialiseError } from '../core/base/errors.ts';
import { type Prng, prng } from '../core/base/prng.ts';
import type { PhysicalPlan } from '../core/plan/physical.ts';
import {
  type JobCommand,
  type JobEvent,
  type JobOutcome,
  type JobState,
  startJob,
  stepJob,
} from '../core/schedule/job.ts';
import { counterBytes } from '../workers/counters.ts';
import { planInboxes } from '../workers/exchange/inbox.ts';
import { TaskStatus } from '../workers/task.ts';
import { createMemory } from './memories.ts';
import { inboxBytes, inboxFrom, memoryMap } from './memory-map.ts';
import type { FromParticipant, SnapshotPart, ToParticipant } from './messages.ts';
import { type JobNumbers, readNumbers } from './numbers.ts';
import { slotBytes } from './options.ts';
import { Participant } from './participant.ts';
import { prepare } from './prepare.ts';
import { settleResources } from './resources.ts';
import type { Snapshot, Submission } from './running-job.ts';

export interface LocalOptions {
  readonly seed: number;
  /** Rings of this many bytes at most, so that they fill; default: as with threads. */
  readonly ringBytes?: number;
  /** Steps after which a snapshot is taken; then the job goes on. */
  readonly snapshotAtStep?: number;
  /** An unbounded job is stopped, with its windows closed, when nothing has moved for a few rounds. */
  readonly drainWhenIdle?: boolean;
  /** Test mode: rows and contexts that are kept beyond their call throw. */
  readonly poisonRows?: boolean;
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
  return job.run();
}

class LocalJob {
  readonly #submission: Submission;
  readonly #local: LocalOptions;
  readonly #random: Prng;
  readonly #clock = virtualClock();
  readonly #participants: Participant[] = [];
  readonly #outbox: { participant: number; message: FromParticipant }[] = [];
  readonly #finished = new Set<number>();
  #state!: JobState;
  #outcome: JobOutcome | null = null;
  #snapshot: Snapshot | null = null;
  #steps = 0;
  #plan!: PhysicalPlan;

  constructor(submission: Submission, local: LocalOptions) {
    this.#submission = submission;
    this.#local = local;
    this.#random = prng(local.seed);
  }

  async run(): Promise<LocalRun> {
    const counters = await this.#deploy();
    let rounds = 0;
    let idleRounds = 0;
    while (this.#outcome === null) {
      this.#deliver();
      if (this.#snapshot && this.#local.crashAfterSnapshot) break;
      if (this.#round()) {
        idleRounds = 0;
        // Receivers run now and then, as they would beside threads.
        if (++rounds % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      if (++idleRounds === 5 && this.#local.drainWhenIdle) this.#event({ kind: 'stopAsked', drain: true });
      // Nothing moved: let promises of readers and writers settle, and time pass.
      this.#clock.advance(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const outcome = this.#outcome ?? { kind: 'cancelled' };
    if (this.#outcome === null) for (const participant of this.#participants) participant.receive({ kind: 'cancel' });
    for (const queue of this.#submission.ends.values()) queue.end();
    if (outcome.kind === 'failed') throw reviveError(outcome.error);
    return { outcome, snapshot: this.#snapshot, numbers: counters(), steps: this.#steps, plan: this.#plan };
  }

  async #deploy(): Promise<() => JobNumbers> {
    const { options, functions, restore } = this.#submission;
    const { plan, shared, own } = await settleResources(this.#submission.plan, this.#submission.resources);
    const prepared = await prepare(plan, options, shared);
    const { physical } = prepared.planned;
    this.#plan = physical;
    const { parallelism } = options;
    const bytes = Math.min(slotBytes(options), localSlotBytes);
    const inboxes = planInboxes(physical, parallelism, {
      from: inboxFrom,
      slotBytes: inboxBytes(bytes, parallelism),
      callerBytes: inboxBytes(bytes, parallelism),
      ...(this.#local.ringBytes === undefined ? {} : { ringBytes: this.#local.ringBytes }),
    });
    const maps = inboxes.inboxes.map(() => memoryMap(bytes, parallelism));
    const hasCaller = physical.chains.some((chain) => chain.place === 'caller');
    const memories = maps.map((_, p) => (p < parallelism || hasCaller ? createMemory(bytes) : null));
    const counters = new SharedArrayBuffer(counterBytes(parallelism + 1, physical.chains.length));
    const participants = parallelism + (hasCaller ? 1 : 0);
    const splits = new Map(
      [...prepared.splits].map(([key, all]) => [key, restore ? (restore.unread.get(key) ?? []) : all] as const),
    );
    this.#state = startJob({ participants, splits, idling: prepared.idling, readers: prepared.readers });
    for (let p = 0; p < participants; p++) {
      const participant = new Participant(
        {
          jobId: 'local',
          attempt: 1,
          participant: p,
          parallelism,
          plan: physical,
          inboxes,
          maps,
          memories,
          counters,
          batchRows: options.batchRows,
          hashSeed: options.hashSeed,
          module: null,
          resources: shared,
          restore: restore?.parts ?? null,
        },
        {
          clock: this.#clock,
          ...(this.#local.poisonRows ? { poisonRows: true } : {}),
          functions,
          resource: (id) => shared.get(id) ?? own.get(id),
        },
        (message) => this.#outbox.push({ participant: p, message }),
      );
      this.#participants.push(participant);
    }
    for (const participant of this.#participants) await participant.deploy();
    return () =>
      readNumbers({ plan: physical, counters, estimatedRows: prepared.estimatedRows, inboxBytes: 0 }, parallelism);
  }

  /** One step of every task, in a drawn order. False: nothing moved. */
  #round(): boolean {
    const tasks = this.#participants.flatMap((participant, p) => participant.tasks.map((task) => ({ task, p })));
    shuffle(tasks, this.#random);
    let moved = false;
    for (const { task, p } of tasks) {
      if (task.ended || this.#finished.has(p)) continue;
      let left = 1 + this.#random.below(4);
      try {
        const status = task.step(() => --left <= 0);
        if (status === TaskStatus.moved || status === TaskStatus.ended) moved = true;
      } catch (error) {
        this.#outbox.push({ participant: p, message: { kind: 'failed', error: serialiseError(error) } });
        moved = true;
      }
      this.#steps++;
      if (this.#steps === this.#local.snapshotAtStep)
        this.#event({ kind: 'checkpointAsked', purpose: { kind: 'memory', request: 1 } });
    }
    for (const participant of this.#participants) if (participant.readFrozen()) moved = true;
    for (const [p, participant] of this.#participants.entries()) {
      if (this.#finished.has(p) || this.#state.phase !== 'running' || !participant.tasks.every((task) => task.ended))
        continue;
      this.#finished.add(p);
      participant.finish();
      moved = true;
    }
    return moved || this.#outbox.length > 0;
  }

  #deliver(): void {
    for (const { participant, message } of this.#outbox.splice(0)) {
      this.#event({ ...message, participant });
    }
  }

  #event(event: JobEvent): void {
    const [next, commands] = stepJob(this.#state, event);
    this.#state = next;
    for (const command of commands) this.#do(command);
  }

  #do(command: JobCommand): void {
    switch (command.kind) {
      case 'start':
        return;
      case 'publish':
        this.#snapshot = { parts: [...command.parts.values()] as SnapshotPart[], unread: command.unread };
        this.#event({ kind: 'published', id: command.id });
        return;
      case 'answer':
      case 'failedOne':
      case 'completedOne':
        return;
      case 'ended':
        this.#outcome = command.outcome;
        return;
      default: {
        const { participant, ...message } = command;
        this.#participants[participant]!.receive(message as Exclude<ToParticipant, { kind: 'deploy' }>);
      }
    }
  }
}

function shuffle<T>(items: T[], random: Prng): void {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
}
