/**
 * Runs jobs with threads: each job's life is a `JobRun`, whose crew are threads from a pool, with memories of their own.
 * It holds no rows and never waits for one. Its thread is its own.
 */
import { MillraceError, serialiseError } from '../core/base/errors.ts';
import { prng } from '../core/base/prng.ts';
import type { PhysicalPlan } from '../core/plan/physical.ts';
import type { JobOutcome } from '../core/schedule/job.ts';
import { type SlotPool, type SlotThread, threadHeapMb } from '../workers/pool.ts';
import { systemClock } from './clock.ts';
import { ControlSocket } from './control.ts';
import { realDisk } from './disk.ts';
import { collectGarbage } from './garbage.ts';
import { type Crew, JobRun, type JobWorld, type Layout } from './job-run.ts';
import { MemoryPool } from './memories.ts';
import type { FromCoordinator, FromParticipant, SlotReport, ToCoordinator, ToParticipant } from './messages.ts';
import { slotBytes } from './options.ts';
import { plan } from './prepare.ts';
import { openState } from './state-directory.ts';
import { type Stuck, Watchdog } from './watchdog.ts';

type Submit = Extract<ToCoordinator, { kind: 'submit' }>;

/** How long a participant may take to acknowledge a cancel before its thread is ended. */
const releaseMs = 1000;

export class Coordinator {
  readonly #pool: SlotPool;
  readonly #memories = new MemoryPool(() => {
    this.#pool.tell({ kind: 'trim' });
    collectGarbage();
  });
  readonly #send: (message: FromCoordinator) => void;
  readonly #jobs = new Map<string, Job>();

  constructor(pool: SlotPool, send: (message: FromCoordinator) => void) {
    this.#pool = pool;
    this.#send = send;
  }

  receive(message: ToCoordinator): void {
    switch (message.kind) {
      case 'warm':
        this.#pool.warm(message.slots);
        return;
      case 'submit': {
        const ended = (): void => void this.#jobs.delete(message.jobId);
        const job = new Job(message, { pool: this.#pool, memories: this.#memories, send: this.#send, ended });
        this.#jobs.set(message.jobId, job);
        void job.run.start();
        return;
      }
      case 'explain':
        void this.#explain(message);
        return;
      case 'participant':
        this.#jobs.get(message.jobId)?.heardCaller(message.message);
        return;
      case 'cancel':
        this.#jobs.get(message.jobId)?.run.cancel();
        return;
      case 'stop':
        this.#jobs.get(message.jobId)?.run.stop(message.drain, message.request, message.savepoint);
        return;
      case 'ask':
        this.#jobs.get(message.jobId)?.run.ask(message.purpose);
        return;
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
}

/** What surrounds jobs on this machine. */
export const machine: JobWorld = {
  clock: systemClock,
  random: prng(
    Math.floor((Date.now() % 2 ** 32) + performance.now() * 1e6 + process.pid * 2 ** 20) % Number.MAX_SAFE_INTEGER,
  ),
  disk: realDisk,
  openState: (path, options) => openState(path, options),
  at(monotonicMs, work) {
    // A system timer counts 24 days at most: what is due later is looked at again then.
    const inMs = Math.max(0, monotonicMs - systemClock.monotonicMs());
    const timer = setTimeout(work, Math.min(Math.ceil(inMs), 2 ** 31 - 1));
    return () => clearTimeout(timer);
  },
};

interface Surroundings {
  readonly pool: SlotPool;
  readonly memories: MemoryPool;
  readonly send: (message: FromCoordinator) => void;
  readonly ended: () => void;
}

/** One job with its threads. */
class Job implements Crew {
  readonly run: JobRun;
  readonly bytes: Crew['bytes'];
  readonly #submit: Submit;
  readonly #around: Surroundings;
  #threads: SlotThread[] = [];
  #memories: (WebAssembly.Memory | null)[] = [];
  #layout: Layout | null = null;
  /** Participants whose thread is not to be trusted or is gone. */
  readonly #dead = new Set<number>();
  readonly #released = new Set<number>();
  readonly #reports = new Map<number, number>();
  #watch: NodeJS.Timeout | null = null;
  #watchdog: Watchdog | null = null;
  #messages = 0;
  #control: ControlSocket | null = null;

  constructor(submit: Submit, around: Surroundings) {
    const { jobId, plan: logical, options, module, resources, restore } = submit;
    const { send } = around;
    this.#submit = submit;
    this.#around = around;
    this.bytes = { slot: slotBytes(options), caller: callerBytes };
    const request = { jobId, plan: logical, options, module, resources, restore };
    this.run = new JobRun(request, machine, this, {
      running: (layout) => this.#running(layout),
      answered: (number, answer) => {
        if (!this.#control?.answered(number, answer)) send({ kind: 'answer', jobId, request: number, ...answer });
      },
      numbers: (numbers) => send({ kind: 'checkpoints', jobId, numbers }),
      notice: (text) => send({ kind: 'notice', jobId, text }),
      ended: (outcome) => this.#ended(outcome),
    });
  }

  heardCaller(message: FromParticipant): void {
    this.#heard(this.#submit.options.parallelism, message);
  }

  // ── as the crew of an attempt ──────────────────────────────────────────────────────────────────────────────────────

  async muster(): Promise<void> {
    const { jobId, options } = this.#submit;
    const { pool, send } = this.#around;
    this.#threads = await pool.acquire(options.parallelism, () => send({ kind: 'waiting', jobId }));
  }

  deploy(layout: Layout): void {
    const { parallelism } = this.#submit.options;
    const { attempt, maps, participants, hasCaller } = layout;
    this.#layout = layout;
    this.#dead.clear();
    this.#released.clear();
    this.#memories = maps.map((map, p) => (p < parallelism || hasCaller ? this.#around.memories.take(map) : null));
    for (const [slot, thread] of this.#threads.entries()) {
      thread.onMessage = (message) => {
        if (this.#layout?.attempt === attempt) this.#heard(slot, message as FromParticipant);
      };
      thread.onDeath = (error) => {
        if (this.#layout?.attempt === attempt) this.#died(slot, error);
      };
    }
    if (this.#submit.module) this.#watchFunctions(layout.prepared.planned.physical, layout.counters);
    for (let participant = 0; participant < participants; participant++)
      this.say(participant, { kind: 'deploy', deployment: layout.deployment(participant, this.#memories) });
  }

  say(participant: number, message: ToParticipant): void {
    this.#messages++;
    const thread = this.#threads[participant];
    if (thread) thread.post(message);
    else this.#around.send({ kind: 'participant', jobId: this.#submit.jobId, message });
  }

  /** Asks, and after a grace period ends the thread: an endless user function answers nobody. */
  cancel(participant: number): void {
    if (this.#dead.has(participant)) {
      this.run.event({ kind: 'released', participant });
      return;
    }
    this.say(participant, { kind: 'cancel' });
    const thread = this.#threads[participant];
    const layout = this.#layout;
    if (!thread) return;
    setTimeout(() => {
      if (this.#layout !== layout || this.#released.has(participant)) return;
      this.#dead.add(participant);
      thread.onDeath = () => {};
      void this.#around.pool.release(thread, true);
      this.run.event({ kind: 'released', participant });
    }, releaseMs).unref();
  }

  disband(outcome: JobOutcome): void {
    if (this.#watch) clearInterval(this.#watch);
    this.#watch = null;
    this.#watchdog = null;
    const { pool, memories } = this.#around;
    const retire = this.#submit.module !== null || outcome.kind === 'failed';
    for (const [slot, thread] of this.#threads.entries()) {
      if (!this.#dead.has(slot)) void pool.release(thread, retire);
    }
    for (const [p, memory] of this.#memories.entries()) {
      if (memory) memories.give(memory, this.#layout!.maps[p]!, this.#dead.size === 0);
    }
    this.#threads = [];
    this.#memories = [];
    this.#layout = null;
  }

  // ── what happens ───────────────────────────────────────────────────────────────────────────────────────────────────

  #running({ prepared, counters, inboxBytes }: Layout): void {
    const { jobId, options } = this.#submit;
    const { planned, estimatedRows } = prepared;
    this.#around.send({ kind: 'running', jobId, plan: planned.physical, counters, estimatedRows, inboxBytes });
    if (options.durable) {
      this.#control ??= ControlSocket.open(options.durable.stateDir, this.run, (text) =>
        this.#around.send({ kind: 'notice', jobId, text }),
      );
    }
  }

  #heard(participant: number, message: FromParticipant): void {
    this.#messages++;
    if (message.kind === 'finished' || message.kind === 'released')
      this.#reports.set(participant, (this.#reports.get(participant) ?? 0) + (message.cpuMs ?? 0));
    if (message.kind === 'released') this.#released.add(participant);
    this.run.event({ ...message, participant });
  }

  #died(slot: number, cause: unknown): void {
    this.#dead.add(slot);
    const inside = this.#watchdog?.inside(slot) ?? null;
    const error = new MillraceError('slot/died', `the thread of slot ${slot} died${reasonOf(cause, inside)}`, {
      where: {
        slot,
        ...(inside ? { operator: inside.operator } : {}),
        ...(inside?.callSite ? { callSite: inside.callSite } : {}),
      },
      cause,
    });
    this.run.event({ kind: 'failed', participant: slot, error: serialiseError(error) });
    this.run.event({ kind: 'released', participant: slot });
  }

  /** Ends an attempt one of whose user functions does not come back. Only jobs with user functions are watched. */
  #watchFunctions(physical: PhysicalPlan, counters: SharedArrayBuffer): void {
    const { callTimeoutMs, parallelism } = this.#submit.options;
    const watchdog = new Watchdog(physical, counters, parallelism, callTimeoutMs);
    this.#watchdog = watchdog;
    this.#watch = setInterval(() => {
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
      this.run.event({ kind: 'failed', participant: stuck.slot, error: serialiseError(error) });
    }, callTimeoutMs / 4).unref();
  }

  #ended(outcome: JobOutcome): void {
    const slots: SlotReport[] = [...this.#reports].map(([slot, cpuMs]) => ({ slot, cpuMs }));
    this.#control?.close();
    this.#around.ended();
    const { jobId } = this.#submit;
    this.#around.send({ kind: 'ended', jobId, outcome, slots, messages: this.#messages });
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
