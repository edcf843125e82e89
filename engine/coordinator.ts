/**
 * Runs jobs: prepares them, lays out memories, deploys participants, and does what the pure machine of core/schedule
 * decides. It holds no rows and never waits for one. Its thread is its own; threads for slots come from a pool.
 */
import { MillraceError, serialiseError } from '../core/base/errors.ts';
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
import { type SlotPool, type SlotThread, threadHeapMb } from '../workers/pool.ts';
import { collectGarbage } from './garbage.ts';
import { MemoryPool } from './memories.ts';
import { inboxBytes, inboxFrom, type MemoryMap, memoryMap } from './memory-map.ts';
import type {
  Deployment,
  FromCoordinator,
  FromParticipant,
  SlotReport,
  SnapshotPart,
  ToCoordinator,
  ToParticipant,
} from './messages.ts';
import { slotBytes } from './options.ts';
import { plan, prepare } from './prepare.ts';
import { type Stuck, Watchdog } from './watchdog.ts';

type Submit = Extract<ToCoordinator, { kind: 'submit' }>;

/** One attempt of one job, as the coordinator holds it. */
interface Attempt {
  readonly submit: Submit;
  state: JobState | null;
  /** A cancel or stop that came before there was anything to stop. */
  cancelledEarly: boolean;
  /** Threads start while the plan is made; whatever fails then, they are given back. */
  readonly starting: Promise<SlotThread[]>;
  threads: SlotThread[];
  memories: (WebAssembly.Memory | null)[];
  maps: readonly MemoryMap[];
  participants: number;
  reports: SlotReport[];
  /** Participants whose thread is not to be trusted or is gone. */
  readonly dead: Set<number>;
  watch: NodeJS.Timeout | null;
  watchdog: Watchdog | null;
  messages: number;
}

/** How long a participant may take to acknowledge a cancel before its thread is ended. */
const releaseMs = 1000;

export class Coordinator {
  readonly #pool: SlotPool;
  readonly #memories = new MemoryPool(() => {
    this.#pool.tell({ kind: 'trim' });
    collectGarbage();
  });
  readonly #send: (message: FromCoordinator) => void;
  readonly #jobs = new Map<string, Attempt>();

  constructor(pool: SlotPool, send: (message: FromCoordinator) => void) {
    this.#pool = pool;
    this.#send = send;
  }

  receive(message: ToCoordinator): void {
    switch (message.kind) {
      case 'warm':
        this.#pool.warm(message.slots);
        return;
      case 'submit':
        void this.#submit(message);
        return;
      case 'explain':
        void this.#explain(message);
        return;
      case 'participant': {
        const job = this.#jobs.get(message.jobId);
        if (job) this.#heard(job, job.submit.options.parallelism, message.message);
        return;
      }
      case 'cancel':
      case 'stop':
      case 'snapshot': {
        const job = this.#jobs.get(message.jobId);
        if (!job) return;
        if (!job.state) job.cancelledEarly = true;
        else if (message.kind === 'stop') this.#event(job, { kind: 'stopAsked', drain: message.drain });
        else if (message.kind === 'cancel') this.#event(job, { kind: 'cancelAsked' });
        else this.#event(job, { kind: 'checkpointAsked', purpose: { kind: 'memory', request: 1 } });
        return;
      }
    }
  }

  async #explain(message: Extract<ToCoordinator, { kind: 'explain' }>): Promise<void> {
    const { requestId } = message;
    try {
      const planned = await plan(message.plan, message.options, message.resources);
      this.#send({ kind: 'explained', requestId, text: planned.explain.text, error: null });
    } catch (error) {
      this.#send({ kind: 'explained', requestId, text: null, error: serialiseError(error) });
    }
  }

  async #submit(submit: Submit): Promise<void> {
    const { jobId, options } = submit;
    const job: Attempt = {
      submit,
      state: null,
      cancelledEarly: false,
      starting: this.#pool.acquire(options.parallelism, () => this.#send({ kind: 'waiting', jobId })),
      threads: [],
      memories: [],
      maps: [],
      participants: 0,
      reports: [],
      dead: new Set(),
      watch: null,
      watchdog: null,
      messages: 0,
    };
    this.#jobs.set(jobId, job);
    job.starting.catch(() => {});
    try {
      await this.#deploy(job);
    } catch (error) {
      job.threads = await job.starting.catch(() => []);
      this.#ended(job, { kind: 'failed', error: serialiseError(error) });
    }
  }

  async #deploy(job: Attempt): Promise<void> {
    const { submit } = job;
    const { options, jobId } = submit;
    const prepared = await prepare(submit.plan, options, submit.resources);
    const { physical } = prepared.planned;
    const { parallelism } = options;
    const hasCaller = physical.chains.some((chain) => chain.place === 'caller');
    const bytes = slotBytes(options);
    const inboxes = planInboxes(physical, parallelism, {
      from: inboxFrom,
      slotBytes: inboxBytes(bytes, parallelism),
      callerBytes: inboxBytes(callerBytes, parallelism),
    });
    const maps = inboxes.inboxes.map((_, p) => memoryMap(p < parallelism ? bytes : callerBytes, parallelism));
    job.maps = maps;
    job.memories = maps.map((map, p) => (p < parallelism || hasCaller ? this.#memories.take(map) : null));
    job.participants = parallelism + (hasCaller ? 1 : 0);
    const counters = new SharedArrayBuffer(counterBytes(parallelism + 1, physical.chains.length));
    job.threads = await job.starting;
    if (job.cancelledEarly) {
      this.#ended(job, { kind: 'cancelled' });
      return;
    }
    const splits = submit.restore
      ? new Map([...prepared.splits].map(([key, all]) => [key, submit.restore!.unread.get(key) ?? all] as const))
      : prepared.splits;
    job.state = startJob({
      participants: job.participants,
      splits,
      idling: prepared.idling,
      readers: prepared.readers,
    });
    const inboxUsed = inboxes.inboxes.reduce((sum, inbox) => sum + inbox.bytes, 0);
    this.#send({
      kind: 'running',
      jobId,
      plan: physical,
      counters,
      estimatedRows: prepared.estimatedRows,
      inboxBytes: inboxUsed,
    });
    for (const [slot, thread] of job.threads.entries()) {
      thread.onMessage = (message) => this.#heard(job, slot, message as FromParticipant);
      thread.onDeath = (error) => this.#died(job, slot, error);
    }
    if (submit.module) this.#watch(job, physical, counters);
    for (let participant = 0; participant < job.participants; participant++) {
      this.#say(job, participant, {
        kind: 'deploy',
        deployment: this.#deployment(job, participant, physical, inboxes, maps, counters),
      });
    }
  }

  #deployment(
    job: Attempt,
    participant: number,
    physical: PhysicalPlan,
    inboxes: Deployment['inboxes'],
    maps: Deployment['maps'],
    counters: SharedArrayBuffer,
  ): Deployment {
    const { submit } = job;
    return {
      jobId: submit.jobId,
      attempt: 1,
      participant,
      parallelism: submit.options.parallelism,
      plan: physical,
      inboxes,
      maps,
      memories: job.memories,
      counters,
      batchRows: submit.options.batchRows,
      hashSeed: submit.options.hashSeed,
      module: submit.module,
      resources: submit.resources,
      restore: submit.restore?.parts ?? null,
    };
  }

  #say(job: Attempt, participant: number, message: ToParticipant): void {
    job.messages++;
    const thread = job.threads[participant];
    if (thread) thread.post(message);
    else this.#send({ kind: 'participant', jobId: job.submit.jobId, message });
  }

  #heard(job: Attempt, participant: number, message: FromParticipant): void {
    job.messages++;
    if (message.kind === 'finished') job.reports.push({ slot: participant, cpuMs: message.cpuMs });
    this.#event(job, { ...message, participant });
  }

  #died(job: Attempt, slot: number, cause: unknown): void {
    job.dead.add(slot);
    const inside = job.watchdog?.inside(slot) ?? null;
    const error = new MillraceError('slot/died', `the thread of slot ${slot} died${reasonOf(cause, inside)}`, {
      where: {
        slot,
        ...(inside ? { operator: inside.operator } : {}),
        ...(inside?.callSite ? { callSite: inside.callSite } : {}),
      },
      cause,
    });
    this.#event(job, { kind: 'failed', participant: slot, error: serialiseError(error) });
    this.#event(job, { kind: 'released', participant: slot });
  }

  /** Ends a job one of whose user functions does not come back. Only jobs with user functions are watched. */
  #watch(job: Attempt, physical: PhysicalPlan, counters: SharedArrayBuffer): void {
    const { callTimeoutMs, parallelism } = job.submit.options;
    const watchdog = new Watchdog(physical, counters, parallelism, callTimeoutMs);
    job.watchdog = watchdog;
    job.watch = setInterval(() => {
      const stuck = watchdog.look(performance.now());
      if (!stuck) return;
      const error = new MillraceError(
        'function/endless',
        `a function of operator '${stuck.operator}' has not come back for ${callTimeoutMs} ms; its thread was ended. Make it finish, or raise 'callTimeout'`,
        {
          where: {
            operator: stuck.operator,
            slot: stuck.slot,
            ...(stuck.callSite ? { callSite: stuck.callSite } : {}),
          },
        },
      );
      this.#event(job, { kind: 'failed', participant: stuck.slot, error: serialiseError(error) });
    }, callTimeoutMs / 4).unref();
  }

  #event(job: Attempt, event: JobEvent): void {
    if (!job.state) return;
    const [next, commands] = stepJob(job.state, event);
    job.state = next;
    for (const command of commands) this.#do(job, command);
  }

  #do(job: Attempt, command: JobCommand): void {
    const { jobId } = job.submit;
    switch (command.kind) {
      case 'cancel':
        this.#cancel(job, command.participant);
        return;
      case 'publish': {
        const parts = [...command.parts.values()] as SnapshotPart[];
        this.#send({ kind: 'snapshot', jobId, snapshot: { id: command.id, parts, unread: command.unread } });
        this.#event(job, { kind: 'published', id: command.id });
        return;
      }
      case 'answer':
        if (command.error) this.#send({ kind: 'snapshot', jobId, snapshot: null });
        return;
      case 'failedOne':
      case 'completedOne':
        return;
      case 'ended':
        this.#ended(job, command.outcome);
        return;
      default: {
        const { participant, ...message } = command;
        this.#say(job, participant, message);
      }
    }
  }

  /** Asks, and after a grace period ends the thread: an endless user function answers nobody. */
  #cancel(job: Attempt, participant: number): void {
    if (job.dead.has(participant)) {
      this.#event(job, { kind: 'released', participant });
      return;
    }
    this.#say(job, participant, { kind: 'cancel' });
    const thread = job.threads[participant];
    if (!thread) return;
    setTimeout(() => {
      if (!this.#jobs.has(job.submit.jobId) || job.state?.released.has(participant)) return;
      job.dead.add(participant);
      thread.onDeath = () => {};
      void this.#pool.release(thread, true);
      this.#event(job, { kind: 'released', participant });
    }, releaseMs).unref();
  }

  #ended(job: Attempt, outcome: JobOutcome): void {
    const { jobId, module } = job.submit;
    this.#jobs.delete(jobId);
    if (job.watch) clearInterval(job.watch);
    for (const [slot, thread] of job.threads.entries()) {
      if (!job.dead.has(slot)) void this.#pool.release(thread, module !== null || outcome.kind === 'failed');
    }
    for (const [p, memory] of job.memories.entries()) {
      if (memory) this.#memories.give(memory, job.maps[p]!, job.dead.size === 0);
    }
    this.#send({ kind: 'ended', jobId, outcome, slots: job.reports, messages: job.messages });
  }
}

/** Why a thread died, and in which function of the user's, if in one. */
function reasonOf(cause: unknown, inside: Stuck | null): string {
  const place = inside ? ` in a function of operator '${inside.operator}'` : '';
  if ((cause as NodeJS.ErrnoException | null)?.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return `${place}: its JavaScript heap has no more than ${threadHeapMb()} MB; keep less in variables of the job module, or start Node with a larger --max-old-space-size`;
  }
  return `${place}: ${cause instanceof Error ? cause.message : String(cause)}`;
}

/** The caller's share: in-process sources and sinks only, so rings and a little scratch. */
const callerBytes = 64 * 2 ** 20;
