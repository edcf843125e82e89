/**
 * Tests a job without threads and without waiting: its sources are logs that a test pushes into, its ends are lists that
 * a test reads, its clock stands still until it is advanced, its disk is simulated. All else is what runs in production:
 * plan, operators, exchange, checkpoints, their files, restore.
 */
import { handleResource } from '../connectors/rows/callback.ts';
import type { LogEntry, RowLog } from '../connectors/rows/log.ts';
import { buildPlan, type End, type Ends, type Job } from '../core/api/job.ts';
import type { Mode, Name, Received as ReceivedRow, StreamOf } from '../core/api/modes.ts';
import { type Source, sourceOf } from '../core/api/place.ts';
import type { Output } from '../core/api/stream.ts';
import { type Duration, durationMs } from '../core/base/duration.ts';
import { MillraceError, reviveError } from '../core/base/errors.ts';
import { type BoundedQueue, boundedQueue } from '../core/base/queue.ts';
import type { UserFunction } from '../core/operators/operator.ts';
import type { Plan, PlanNode } from '../core/plan/nodes.ts';
import type { Json } from '../core/ports/connector.ts';
import { fieldsOfPlace } from '../engine/describe-place.ts';
import { LocalJob, type VirtualClock, virtualClock } from '../engine/local.ts';
import { checkOptions } from '../engine/options.ts';
import { Received } from './received.ts';
import { type SimulatedDisk, simulatedDisk } from './simulated-disk.ts';

export interface TestDriverOptions {
  /** Decides everything that chance decides: the order of steps, what a crash takes. 1 unless said; the same seed and calls give the same run. */
  readonly seed?: number;
  /** Slots; 1 unless said. */
  readonly parallelism?: number;
  /** The clock's first time; 1970-01-01 unless said. */
  readonly startAt?: Date | string;
  /** Rows in a batch at most; 4,096 unless said. */
  readonly batchRows?: number;
  /** Values for the job's `params`. */
  readonly params?: Readonly<Record<string, unknown>>;
  /** As in `run`: `stream` runs bounded sources as if they did not end by themselves. */
  readonly mode?: 'bounded' | 'stream';
}

type OutputName<O> = O extends End ? 'result' : Name<O>;
type EndAt<O, N> = O extends End ? O : N extends keyof O ? O[N] : never;
type RowsAt<E> =
  E extends Output<infer R, infer M>
    ? ReceivedRow<R, M>
    : E extends StreamOf<infer R, infer M>
      ? ReceivedRow<R, M>
      : never;

/**
 * What is done happens in the order in which it was asked for, and each call resolves when the job has done all that it could
 * about it. A call need not be awaited: the error of one that nobody awaits is thrown by the next that somebody does.
 */
export interface TestDriver<O> extends AsyncDisposable {
  /** Appends rows to a source of the job, named by the value that the job reads with `from`. */
  push<R>(into: Source<R, Mode>, rows: NoInfer<R> | readonly NoInfer<R>[]): Promise<void>;
  push<R>(into: Source<R, Mode>, ...rows: NoInfer<R>[]): Promise<void>;
  /** No row at or before `time` will follow in that source, whatever its rows say. It has to have event time right behind `from`. */
  watermark(of: Source<unknown, Mode>, time: Date | string): Promise<void>;
  /** The clock moves; what becomes due meanwhile happens in its order. */
  advance(processingTime: Duration): Promise<void>;
  /** A source ends, or all do. When all have, the job ends. */
  end(source?: Source<unknown, Mode>): Promise<void>;
  /**
   * Rows that arrived there since the last read; `{ kind, row }` where the result is updating. Each once, whatever crashed. The end
   * of a job that has only one is called `result`.
   */
  read<N extends OutputName<O>>(output: N): Promise<RowsAt<EndAt<O, N>>[]>;
  /** Everything that arrived so far, and the state behind it, outlives a crash from now on. */
  checkpoint(): Promise<void>;
  /** The machine loses power. */
  crash(): Promise<void>;
  /** Starts the job again after a crash, from its last checkpoint. */
  restore(options?: { readonly parallelism?: number }): Promise<void>;
  /** Resolves when all that was asked for has happened. Errors: of calls that nobody awaited. */
  settled(): Promise<void>;
}

/**
 * A driver for the job, which starts with the first call. Errors: `option/invalid`, and from each call what the job would fail
 * with; the job is not restarted by itself.
 */
export function testDriver<const O extends Ends>(what: Job<O> | O, options: TestDriverOptions = {}): TestDriver<O> {
  return new Driver(what as Job<Ends> | Ends, options) as unknown as TestDriver<O>;
}

class Driver {
  readonly #options: TestDriverOptions;
  readonly #built: ReturnType<typeof buildPlan>;
  readonly #disk: SimulatedDisk;
  readonly #clock: VirtualClock;
  /** By plan node. */
  readonly #logs = new Map<string, Log>();
  readonly #received = new Map<string, Received>();
  #queues = new Map<string, BoundedQueue<unknown>>();
  #plan: Plan | null = null;
  #job: LocalJob | null = null;
  #attempts = 0;
  #parallelism: number;
  #crashed = false;
  #last: Promise<unknown> = Promise.resolve();
  /** Of a call whose promise nobody has looked at. */
  #unseen: { readonly error: unknown } | null = null;

  constructor(what: Job<Ends> | Ends, options: TestDriverOptions) {
    const { seed = 1, parallelism = 1, startAt = new Date(0) } = options;
    if (!Number.isSafeInteger(seed)) throw invalid(`seed must be a whole number, not ${seed}`);
    this.#options = options;
    this.#parallelism = parallelism;
    checkOptions(this.#layout());
    this.#built = buildPlan(what, options.params ?? {});
    this.#disk = simulatedDisk(seed);
    this.#clock = virtualClock(timeOf(startAt, 'startAt'));
    this.#disk.now = () => this.#clock.nowMs();
    for (const node of this.#built.plan.nodes) if (node.kind === 'source') this.#logs.set(node.id, new Log());
    const byNode = new Map<string, Received>();
    for (const { name, node } of this.#built.plan.outputs) {
      const received = byNode.get(node) ?? new Received();
      byNode.set(node, received);
      this.#received.set(name, received);
    }
  }

  push(into: unknown, ...given: unknown[]): Promise<void> {
    const log = this.#logOf(into);
    const rows = given.length === 1 && Array.isArray(given[0]) ? given[0] : given;
    return this.#then(async () => {
      if (log.ended) throw invalid('the source has ended: no more rows can be pushed into it');
      log.entries.push(...rows.map((row) => ({ row })));
      await this.#settle();
    });
  }

  watermark(of: unknown, time: Date | string): Promise<void> {
    const log = this.#logOf(of);
    const watermarkMs = timeOf(time, 'the watermark');
    return this.#then(async () => {
      const job = await this.#running();
      const { node } = job
        .plan!.chains.flatMap((chain) => chain.operators)
        .find(({ node }) => node.kind === 'source' && node.connector.options.resource === log.resource)!;
      if (node.kind === 'source' && node.watermark === null) {
        throw invalid(`'${node.connector.label}' has no event time: there is no .eventTime() right behind its from()`);
      }
      log.entries.push({ watermarkMs });
      await this.#settle();
    });
  }

  advance(by: Duration): Promise<void> {
    const ms = durationMs(by);
    if (ms < 0) throw invalid(`the clock moves forward, not by '${by}'`);
    return this.#then(async () => {
      await this.#settle();
      const endMs = this.#clock.monotonicMs() + ms;
      while (this.#clock.monotonicMs() < endMs) {
        const nowMs = this.#clock.monotonicMs();
        const dueMs = Math.max(nowMs + 1, Math.min(endMs, this.#nextDueMs()));
        this.#clock.advance(Math.min(dueMs, endMs) - nowMs);
        await this.#settle();
      }
    });
  }

  end(source?: unknown): Promise<void> {
    const logs = source === undefined ? [...this.#logs.values()] : [this.#logOf(source)];
    return this.#then(async () => {
      for (const log of logs) log.ended = true;
      await this.#settle();
    });
  }

  read(output: string): Promise<unknown[]> {
    const received = this.#received.get(output);
    if (!received) throw invalid(`there is no output '${output}'; there are ${[...this.#received.keys()].join(', ')}`);
    return this.#then(async () => {
      if (!this.#crashed) await this.#settle();
      return received.read();
    });
  }

  checkpoint(): Promise<void> {
    return this.#then(async () => {
      await this.#settle();
      const job = await this.#running();
      if (job.outcome) throw invalid('the job has ended: there is nothing left to checkpoint');
      const asked = job.ask({ kind: 'asked' });
      let answer: Awaited<typeof asked> | null = null;
      void asked.then((one) => {
        answer = one;
      });
      for (let turns = 0; answer === null; turns++) {
        if (turns > turnsMax) throw new MillraceError('checkpoint/aborted', 'the checkpoint does not come to its end');
        job.turn();
        await job.settle();
        this.#receive();
        this.#check(job);
      }
      const { error } = answer as Awaited<typeof asked>;
      if (error) throw reviveError(error);
      for (const received of new Set(this.#received.values())) received.checkpointed();
    });
  }

  crash(): Promise<void> {
    return this.#then(async () => {
      if (this.#crashed) throw invalid('the job has crashed already: restore() starts it again');
      await this.#settle();
      this.#stop();
      this.#disk.crash();
      this.#disk.restart();
      for (const received of new Set(this.#received.values())) received.crashed();
      this.#crashed = true;
    });
  }

  restore({ parallelism }: { readonly parallelism?: number } = {}): Promise<void> {
    return this.#then(async () => {
      if (!this.#crashed) throw invalid('the job runs: restore() starts it again after crash()');
      this.#parallelism = parallelism ?? this.#parallelism;
      this.#crashed = false;
      await this.#settle();
    });
  }

  async settled(): Promise<void> {
    await this.#then(async () => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.settled();
    } finally {
      this.#stop();
    }
  }

  // ── inside ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** One thing after the other. Who looks at the promise gets the error; else the next one that does. */
  #then<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#last.then(async () => {
      const unseen = this.#unseen;
      this.#unseen = null;
      if (unseen) throw unseen.error;
      return work();
    });
    const call = new Call(run);
    this.#last = run.catch((error: unknown) => {
      if (!call.seen) this.#unseen = { error };
    });
    return call;
  }

  #logOf(source: unknown): Log {
    const { connector, resource } = sourceOf(source);
    const { plan, resources } = this.#built;
    const text = JSON.stringify(connector);
    for (const node of plan.nodes) {
      if (node.kind !== 'source') continue;
      const { resource: id, ...options } = node.connector.options;
      const same = resource
        ? typeof id === 'string' && resources.get(id) === resource.value
        : JSON.stringify({ ...node.connector, options }) === text;
      if (same) return this.#logs.get(node.id)!;
    }
    throw invalid(`the job does not read ${connector.label}: give the value that its from() was given`);
  }

  #layout() {
    const { batchRows, mode } = this.#options;
    return {
      parallelism: this.#parallelism,
      memory: `${Math.max(1, this.#parallelism) * 64}mb`,
      stateDir: '/state',
      checkpoint: { every: 'never' },
      restart: 'none',
      ...(batchRows === undefined ? {} : { batchRows }),
      ...(mode === undefined ? {} : { mode }),
    } as const;
  }

  /** The job, started if it does not run. */
  async #running(): Promise<LocalJob> {
    if (this.#crashed) throw invalid('the job has crashed: restore() starts it again');
    if (this.#job) return this.#job;
    this.#plan ??= await this.#planForTest();
    const queues = this.#plan.outputs.map(({ name }) => [name, boundedQueue<unknown>(queueRows)] as const);
    this.#queues = new Map(queues);
    const { functions } = this.#built;
    const job = new LocalJob(
      {
        plan: this.#plan,
        options: checkOptions(this.#layout()),
        module: null,
        functions: new Map([...functions].map(([id, { call }]) => [id, call as UserFunction] as const)),
        resources: new Map<string, unknown>([
          ...[...this.#logs.values()].map((log) => [log.resource, log] as const),
          ...queues.map(([name, queue]) => [handleResource(name), queue] as const),
        ]),
        ends: this.#queues,
        restore: null,
      },
      { seed: (this.#options.seed ?? 1) + this.#attempts++, clock: this.#clock, disk: this.#disk, poisonRows: true },
    );
    this.#job = job;
    await job.start();
    return job;
  }

  /** Turns until nothing moves any more. */
  async #settle(): Promise<void> {
    const job = await this.#running();
    for (let still = 0; still < 4 && job.outcome === null; ) {
      const moved = job.turn();
      const received = this.#receive();
      if (moved || received) {
        still = 0;
        continue;
      }
      await job.settle();
      const unread = [...this.#logs.values()].some((log) => log.read < log.entries.length);
      if (!unread || still < 2 || ++this.#idle > turnsMax) still++;
    }
    this.#idle = 0;
    this.#receive();
    this.#check(job);
  }
  #idle = 0;

  #receive(): boolean {
    let any = false;
    for (const [name, queue] of this.#queues) {
      const received = this.#received.get(name)!;
      for (let row = queue.shift(); row !== undefined; row = queue.shift()) {
        received.add(row);
        any = true;
      }
    }
    return any;
  }

  #check(job: LocalJob): void {
    const { outcome } = job;
    if (outcome?.kind === 'failed') throw reviveError(outcome.error);
    // Its last rows are committed with its end.
    if (outcome?.kind === 'finished') for (const received of new Set(this.#received.values())) received.checkpointed();
  }

  #stop(): void {
    this.#job?.crash();
    this.#job = null;
    for (const log of this.#logs.values()) log.read = 0;
  }

  #nextDueMs(): number {
    const tasks = this.#job!.participants.flatMap((participant) => participant?.tasks ?? []);
    const due = tasks.flatMap((task) => (task.ended ? [] : (task.wakeAtMs ?? [])));
    return Math.min(this.#job!.nextTimerMs ?? Number.POSITIVE_INFINITY, ...due);
  }

  /** The job's plan with logs for sources and lists for ends. */
  async #planForTest(): Promise<Plan> {
    const { plan, resources } = this.#built;
    const names = new Map(plan.outputs.map(({ name, node }) => [node, name]));
    const nodes = await Promise.all(
      plan.nodes.map(async (node): Promise<PlanNode> => {
        if (node.kind === 'source') {
          const log = this.#logs.get(node.id)!;
          log.resource = `log:${node.id}`;
          const schema = node.schema ?? (await fieldsOfPlace(node.connector, resources));
          const options = { resource: log.resource, schema: schema as unknown as Json, bounded: node.bounded };
          return { ...node, connector: { kind: 'log', label: node.connector.label, options } };
        }
        if (node.kind !== 'sink') return node;
        const output = names.get(node.id)!;
        // What the sink would be told, a list is told: changes where it asked for them, updates by its key.
        const { label, options, upsertKey } = node.connector;
        const changes = options.changes === true;
        const connector = { kind: 'handle', label, options: { output, changes }, ...(upsertKey ? { upsertKey } : {}) };
        return { ...node, connector };
      }),
    );
    return { ...plan, nodes };
  }
}

/** A promise that knows whether somebody looks at it. (`await` looks at a native one without calling its methods.) */
class Call<T> implements Promise<T> {
  readonly #run: Promise<T>;
  readonly [Symbol.toStringTag] = 'Promise';
  seen = false;
  constructor(run: Promise<T>) {
    this.#run = run;
  }
  then: Promise<T>['then'] = (done, failed) => {
    this.seen = true;
    return this.#run.then(done, failed);
  };
  catch: Promise<T>['catch'] = (failed) => this.then(undefined, failed);
  finally: Promise<T>['finally'] = (last) => {
    this.seen = true;
    return this.#run.finally(last);
  };
}

class Log implements RowLog {
  readonly entries: LogEntry[] = [];
  ended = false;
  resource = '';
  read = 0;
  readTo(entries: number): void {
    this.read = entries;
  }
}

const queueRows = 1 << 16;
const turnsMax = 10_000;

function timeOf(time: Date | string, what: string): number {
  const ms = new Date(time).getTime();
  if (Number.isNaN(ms)) throw invalid(`${what} must be a Date or an ISO time, not '${String(time)}'`);
  return ms;
}

const invalid = (message: string): MillraceError => new MillraceError('option/invalid', `testDriver: ${message}`);
