/**
 * A job that runs, as the program that started it holds it: rows of its ends, its numbers, its end. Also this thread's
 * participant, where the plan has tasks for the caller (in-process sources and sinks).
 */

import type { JobResult } from '../core/api/run.ts';
import { MillraceError, reviveError, serialiseError } from '../core/base/errors.ts';
import { type BoundedQueue, boundedQueue } from '../core/base/queue.ts';
import type { UserFunction } from '../core/operators/operator.ts';
import type { Plan } from '../core/plan/nodes.ts';
import type { PhysicalPlan } from '../core/plan/physical.ts';
import type { CheckpointPurpose } from '../core/schedule/checkpoints.ts';
import type { Unread } from '../core/schedule/job.ts';
import { compileKernels } from '../kernels/load.ts';
import { threadCpuMs } from '../workers/cpu.ts';
import { type Connection, coordinator, nextJobId } from './caller.ts';
import { systemClock } from './clock.ts';
import { realDisk } from './disk.ts';
import type {
  CheckpointNumbers,
  Deployment,
  FromCoordinator,
  FromParticipant,
  JobModule,
  JobOptions,
  SnapshotPart,
  ToCoordinator,
  ToParticipant,
} from './messages.ts';
import { type JobNumbers, readNumbers } from './numbers.ts';
import type { Participant } from './participant.ts';
import { type Settled, settleResources } from './resources.ts';

/** All that a job consists of when it is started. */
export interface Submission {
  readonly plan: Plan;
  readonly options: JobOptions;
  readonly module: JobModule | null;
  readonly functions: ReadonlyMap<string, UserFunction>;
  /** Values that are no JSON, by id. */
  readonly resources: ReadonlyMap<string, unknown>;
  /** Queues of the ends without a sink, by output name. */
  readonly ends: ReadonlyMap<string, BoundedQueue<unknown>>;
  readonly restore: Snapshot | null;
}

/** State of a whole job at one barrier, in memory. */
export interface Snapshot {
  readonly parts: readonly SnapshotPart[];
  readonly unread: Unread;
}

type Running = Extract<FromCoordinator, { kind: 'running' }>;

export class RunningJob {
  readonly jobId = nextJobId();
  readonly #submission: Submission;
  readonly #connection: Connection;
  readonly #startedMs = systemClock.monotonicMs();
  readonly #cpuAtStartMs = threadCpuMs();
  readonly #done: Promise<JobResult>;
  #settle!: { resolve: (result: JobResult) => void; reject: (error: unknown) => void };
  #settled: Settled | null = null;
  #submitted = false;
  #cancelled = false;
  #running: Running | null = null;
  #participant: Promise<Participant | null> | null = null;
  #ended = false;
  /** What went wrong here; it is told when everybody has let go of the job. */
  #failure: MillraceError | null = null;
  /** Ends that somebody has begun to read. */
  readonly #read = new Set<string>();
  #awaited = false;
  /** Who waits for an answer, by request. */
  readonly #requests = new Map<number, (answer: Answer) => void>();
  #requestNumber = 0;
  #checkpoints: CheckpointNumbers | null = null;
  /** Something that a person should know: a checkpoint that was passed over, a restart. */
  onNotice: (text: string) => void = () => {};
  #resumable = false;
  readonly #lost = (error: unknown): void => this.#fail(error);
  onWait: () => void = () => {};

  constructor(submission: Submission) {
    this.#submission = submission;
    this.#connection = coordinator();
    this.#done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // A result nobody asks for must not end the process; whoever asks gets the error.
    this.#done.catch(() => {});
    this.#connection.listen(this.jobId, (message) => this.#heard(message), this.#lost);
    void this.#submit();
  }

  async #submit(): Promise<void> {
    const { plan, options, module, resources, restore } = this.#submission;
    try {
      this.#settled = await settleResources(plan, resources);
      if (this.#cancelled) throw cancelled();
      const { jobId } = this;
      const { plan: settled, shared } = this.#settled;
      this.#submitted = true;
      this.#connection.send({ kind: 'submit', jobId, plan: settled, options, module, resources: shared, restore });
      // Most jobs have a part here; it is loaded while the coordinator plans.
      void import('./participant.ts').catch(() => {});
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Rejects with the job's error; with `job/unread` when rows of an end without a sink have filled its queue, hold the
   * job back, and nobody begins to read them for a while: it would wait for ever.
   */
  result(): Promise<JobResult> {
    if (!this.#awaited) {
      this.#awaited = true;
      for (const [name, queue] of this.#submission.ends) queue.whenFull(() => this.#full(name, queue));
    }
    return this.#done;
  }

  /** Settles as `result` does, but nobody is said to wait for it. */
  get settled(): Promise<unknown> {
    return this.#done.catch(() => {});
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The plan it runs by, once it runs. */
  get plan(): PhysicalPlan | null {
    return this.#running?.plan ?? null;
  }

  get name(): string {
    return this.#submission.plan.name;
  }

  get endNames(): readonly string[] {
    return [...this.#submission.ends.keys()];
  }

  /** The queue of an end without a sink, for who reads it. */
  end(name: string): BoundedQueue<unknown> | null {
    this.#read.add(name);
    return this.#submission.ends.get(name) ?? null;
  }

  numbers(): JobNumbers {
    return readNumbers(this.#running, this.#submission.options.parallelism);
  }

  cancel(): void {
    this.#cancelled = true;
    this.#say({ kind: 'cancel', jobId: this.jobId });
  }

  /** What became of its checkpoints; null: it keeps nothing on disk, or has not begun. */
  get checkpoints(): CheckpointNumbers | null {
    return this.#checkpoints;
  }

  /** It was stopped behind a last checkpoint, from which it can go on. */
  get resumable(): boolean {
    return this.#resumable;
  }

  /** Resolves when the job answers: with its last checkpoint, once that is durable. */
  stop(drain: boolean, savepoint: string | null = null): Promise<Answer> {
    if (!this.#submitted) this.#cancelled = true;
    return this.#ask((request) => this.#say({ kind: 'stop', jobId: this.jobId, drain, request, savepoint }));
  }

  /** All state at one barrier, in memory, while the job goes on; null when the job was too near its end. */
  async snapshot(): Promise<Snapshot | null> {
    return (await this.#askFor({ kind: 'memory', request: 0 })).snapshot;
  }

  /** A checkpoint, or a savepoint, now. Errors: `checkpoint/…`, `state/…`. */
  async checkpoint(savepoint: string | null = null): Promise<{ readonly id: number; readonly path: string | null }> {
    const purpose =
      savepoint === null
        ? ({ kind: 'asked', request: 0 } as const)
        : ({ kind: 'savepoint', request: 0, directory: savepoint } as const);
    const { id, path, error } = await this.#askFor(purpose);
    if (error) throw reviveError(error);
    if (id === null) throw new MillraceError('checkpoint/aborted', 'the job ended before the checkpoint was complete');
    return { id, path };
  }

  #askFor(purpose: Extract<CheckpointPurpose, { kind: 'asked' | 'savepoint' | 'memory' }>): Promise<Answer> {
    return this.#ask((request) => this.#say({ kind: 'ask', jobId: this.jobId, purpose: { ...purpose, request } }));
  }

  #ask(send: (request: number) => void): Promise<Answer> {
    if (this.#ended) return Promise.resolve(noAnswer);
    const request = ++this.#requestNumber;
    return new Promise((resolve) => {
      this.#requests.set(request, resolve);
      send(request);
    });
  }

  #say(message: ToCoordinator): void {
    if (this.#submitted && !this.#ended) this.#connection.send(message);
  }

  #heard(message: FromCoordinator): void {
    switch (message.kind) {
      case 'waiting':
        this.onWait();
        return;
      case 'running':
        this.#running = message;
        return;
      case 'participant':
        void this.#participate(message.message);
        return;
      case 'answer':
        this.#requests.get(message.request)?.(message);
        this.#requests.delete(message.request);
        return;
      case 'checkpoints':
        this.#checkpoints = message.numbers;
        return;
      case 'notice':
        this.onNotice(message.text);
        return;
      case 'ended':
        this.#finish(message);
        return;
    }
  }

  /** A failure here is the coordinator's to know: it asks everybody to let go, this participant too. */
  async #participate(message: ToParticipant): Promise<void> {
    try {
      if (message.kind === 'deploy') {
        this.#participant = this.#join(message.deployment);
        await this.#participant;
        return;
      }
      const participant = await this.#participant;
      if (participant) participant.receive(message);
      else if (message.kind === 'cancel') this.#answer({ kind: 'released' });
    } catch (error) {
      this.#answer({ kind: 'failed', error: serialiseError(error) });
    }
  }

  async #join(deployment: Deployment): Promise<Participant | null> {
    try {
      const [{ Participant }] = await Promise.all([import('./participant.ts'), compileKernels()]);
      const { functions } = this.#submission;
      const { own, shared } = this.#settled!;
      const participant = Participant.create(
        deployment,
        { clock: systemClock, disk: realDisk, functions, resource: (id) => shared.get(id) ?? own.get(id) },
        (answer) => this.#answer(answer),
      );
      await participant?.deploy();
      return participant;
    } catch (error) {
      this.#answer({ kind: 'failed', error: serialiseError(error) });
      return null;
    }
  }

  #answer(message: FromParticipant): void {
    this.#say({ kind: 'participant', jobId: this.jobId, message });
  }

  /** An end's queue is full while the result is awaited. */
  #full(name: string, queue: BoundedQueue<unknown>): void {
    setTimeout(() => {
      if (this.#ended || this.#read.has(name) || queue.size < queue.capacity) return;
      this.#failure ??= new MillraceError(
        'job/unread',
        `${queue.capacity} rows of output '${name}' wait, and nobody reads them, so the job cannot end: iterate the handle (for await) beside result(), use collect(), or give the end a sink with .to(…)`,
      );
      this.cancel();
    }, unreadMs).unref();
  }

  #finish({ outcome, slots, messages }: Extract<FromCoordinator, { kind: 'ended' }>): void {
    if (this.#failure && outcome.kind === 'cancelled') {
      this.#fail(this.#failure);
      return;
    }
    const numbers = this.numbers();
    const now = threadCpuMs();
    if (outcome.kind === 'failed') {
      this.#fail(reviveError(outcome.error));
      return;
    }
    this.#resumable = outcome.kind === 'finished' && outcome.resumable === true;
    this.#end(null);
    if (outcome.kind === 'cancelled') {
      this.#settle.reject(cancelled());
      return;
    }
    this.#settle.resolve({
      rowsIn: numbers.rowsIn,
      rowsOut: numbers.rowsOut,
      lateRows: numbers.lateRows,
      skippedRows: numbers.skippedRows,
      elapsedMs: systemClock.monotonicMs() - this.#startedMs,
      slots: slots.filter((report) => report.slot < this.#submission.options.parallelism),
      messages,
      callerCpuMs: now === null || this.#cpuAtStartMs === null ? 0 : now - this.#cpuAtStartMs,
    });
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    this.#end(error);
    this.#settle.reject(error);
  }

  #end(error: unknown): void {
    this.#ended = true;
    this.#connection.forget(this.jobId, this.#lost);
    this.#participant = null;
    for (const resolve of this.#requests.values()) resolve(noAnswer);
    this.#requests.clear();
    for (const queue of this.#submission.ends.values()) {
      if (error === null) queue.end();
      else queue.fail(error);
    }
  }
}

type Answer = Pick<Extract<FromCoordinator, { kind: 'answer' }>, 'id' | 'path' | 'snapshot' | 'error'>;
const noAnswer: Answer = { id: null, path: null, snapshot: null, error: null };

const cancelled = (): MillraceError => new MillraceError('job/cancelled', 'the job was cancelled');

/** Rows a program may be behind its job by. */
export const handleRowsMax = 4096;
/** How long a full end may wait for its first reader while the result is awaited. */
const unreadMs = 2000;

export const endQueue = (): BoundedQueue<unknown> => boundedQueue(handleRowsMax);
