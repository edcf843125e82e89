/**
 * A participant: one slot's (or the caller's) part of one job attempt. Builds memory views, kernels, state, operators,
 * readers, writers, gates and routers from a deployment, runs them by the loop, and answers the coordinator. After a
 * failure nothing in its memory is trusted: it stops, says why, and acknowledges the cancel that follows.
 */
import { sinkConnector, sourceConnector } from '../connectors/registry.ts';
import { assert } from '../core/base/assert.ts';
import type { Clock } from '../core/base/clock.ts';
import { MillraceError, serialiseError } from '../core/base/errors.ts';
import { keyGroupRange } from '../core/base/key-groups.ts';
import type { Operator, OperatorContext, UserFunction } from '../core/operators/operator.ts';
import { createOperator } from '../core/operators/registry.ts';
import { sinkOperator } from '../core/operators/sink.ts';
import { SourceDriver, type SourcePosition } from '../core/operators/source.ts';
import type { Chain, ChainOperator, Edge } from '../core/plan/physical.ts';
import type { ArrowBoundary } from '../core/ports/arrow.ts';
import type { BlockPool } from '../core/ports/blocks.ts';
import type { SinkConnector, SourceConnector } from '../core/ports/connector.ts';
import type { Kernels } from '../core/ports/kernels.ts';
import type { Layout } from '../core/record/layout.ts';
import { type SlotMemory, slotMemory } from '../core/record/memory.ts';
import { loadKernels } from '../kernels/load.ts';
import { pagePool } from '../state/page-pool.ts';
import { type SlotState, type StoredState, slotState } from '../state/slot-state.ts';
import type { SnapshotPart as StatePart, StateSnapshot } from '../state/snapshot.ts';
import { Counter, TaskCounters, taskBlock } from '../workers/counters.ts';
import { threadCpuMs } from '../workers/cpu.ts';
import { type ExchangeContext, exchangeContext, resetInbox } from '../workers/exchange/context.ts';
import type { Doorbell } from '../workers/exchange/doorbell.ts';
import { createGate } from '../workers/exchange/gate.ts';
import { participantOf } from '../workers/exchange/inbox.ts';
import { createRouter } from '../workers/exchange/router.ts';
import { runLoop } from '../workers/loop.ts';
import { Task } from '../workers/task.ts';
import { blocksOver } from './blocks.ts';
import { usedScratchWord } from './memory-map.ts';
import type { Deployment, FromParticipant, TaskSnapshot, ToParticipant } from './messages.ts';
import { sourceKey } from './prepare.ts';
import { loadFunctions } from './user-functions.ts';

export interface ParticipantSetup {
  readonly clock: Clock;
  /** Functions are at hand where the job was built (the caller's thread, the one-thread engine); null: import the module. */
  readonly functions: ReadonlyMap<string, UserFunction> | null;
  /** Values that are no JSON, as this thread sees them. */
  readonly resource: (id: string) => unknown;
}

export class Participant {
  readonly #deployment: Deployment;
  readonly #setup: ParticipantSetup;
  readonly #post: (message: FromParticipant) => void;
  readonly #exchange: ExchangeContext;
  readonly #memory: SlotMemory;
  readonly #kernels: Kernels;
  readonly #state: SlotState;
  readonly #sources = new Map<string, SourceDriver>();
  readonly #cpuAtStartMs = threadCpuMs();
  #tasks: Task[] = [];
  #stopped = false;
  #loop: Promise<void> = Promise.resolve();
  #dictionaryIds = 0;
  readonly #blocks: BlockPool;
  /** By operator id: an operator runs once in a slot. */
  readonly #stored = new Map<string, StoredState>();
  /** Rows handed to each sink, by operator id. */
  readonly #written = new Map<string, number>();
  #open: OpenSnapshot | null = null;

  /** Null when the memory could not be laid out: `failed` was posted; who made it answers the cancel that follows. */
  static create(
    deployment: Deployment,
    setup: ParticipantSetup,
    post: (message: FromParticipant) => void,
  ): Participant | null {
    try {
      return new Participant(deployment, setup, post);
    } catch (error) {
      post({ kind: 'failed', error: serialiseError(error) });
      return null;
    }
  }

  constructor(deployment: Deployment, setup: ParticipantSetup, post: (message: FromParticipant) => void) {
    const { participant, maps, memories, inboxes } = deployment;
    this.#deployment = deployment;
    this.#setup = setup;
    this.#post = post;
    const map = maps[participant]!;
    const memory = memories[participant]!;
    this.#memory = slotMemory(memory, map.inboxTo, map.scratchTo);
    const used = this.#memory.u32[usedScratchWord >>> 2]!;
    if (used > map.inboxTo) this.#memory.u8.fill(0, map.inboxTo, Math.min(used, map.scratchTo));
    resetInbox(memory.buffer, inboxes.inboxes[participant]!);
    this.#kernels = loadKernels(this.#memory);
    const pool = pagePool(this.#memory, map.scratchTo, map.bytes);
    this.#state = slotState({ memory: this.#memory, kernels: this.#kernels, pool });
    this.#blocks = blocksOver(pool);
    this.#exchange = exchangeContext({
      plan: deployment.plan,
      inboxes,
      participant,
      buffers: memories.map((m) => m?.buffer ?? new SharedArrayBuffer(0)),
      memory: this.#memory,
      kernels: this.#kernels,
      attempt: deployment.attempt,
      hashSeed: BigInt(deployment.hashSeed),
      batchRows: deployment.batchRows,
      nextDictionaryId: () => ++this.#dictionaryIds,
    });
  }

  /** Everything that can wake this participant rings here. */
  get doorbell(): Doorbell {
    return this.#exchange.doorbell;
  }

  /** Builds the tasks; answers `deployed`, or `failed`. */
  async deploy(): Promise<void> {
    try {
      const { plan, inboxes, participant } = this.#deployment;
      const functions = this.#setup.functions ?? (await loadFunctions(this.#deployment.module));
      for (const chain of plan.chains) {
        for (let subtask = 0; subtask < chain.parallelism; subtask++) {
          if (participantOf(chain, subtask, inboxes.slots) !== participant) continue;
          this.#tasks.push(await this.#buildTask(chain, subtask, functions));
        }
      }
      this.#memory.u32[usedScratchWord >>> 2] =
        this.#deployment.maps[participant]!.inboxTo + this.#memory.arena.usedBytes;
      this.#post({ kind: 'deployed' });
    } catch (error) {
      this.#fail(error);
    }
  }

  get tasks(): readonly Task[] {
    return this.#tasks;
  }

  receive(message: Exclude<ToParticipant, { kind: 'deploy' }>): void {
    switch (message.kind) {
      case 'start':
        this.#loop = this.#run();
        return;
      case 'assign':
        this.#sources.get(message.source)?.assign(message.split, message.ends, message.unreadMinimum);
        break;
      case 'unread':
        this.#sources.get(message.source)?.unreadChanged(message.unreadMinimum);
        break;
      case 'barrier':
        for (const task of this.#tasks) task.injectBarrier(message.id);
        break;
      case 'stop':
        for (const task of this.#tasks) task.stop(message.drain);
        break;
      case 'cancel':
        void this.#cancel();
        break;
    }
    this.#exchange.doorbell.wake();
  }

  async #run(): Promise<void> {
    try {
      await runLoop({
        tasks: this.#tasks,
        doorbell: this.#exchange.doorbell,
        clock: this.#setup.clock,
        stopped: () => this.#stopped,
        background: () => this.readFrozen(),
      });
      if (!this.#stopped) this.finish();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** All tasks have ended: files are closed, the coordinator is told. */
  finish(): void {
    this.#close();
    const now = threadCpuMs();
    const cpuMs = now === null || this.#cpuAtStartMs === null ? 0 : now - this.#cpuAtStartMs;
    this.#post({ kind: 'finished', cpuMs });
  }

  #fail(error: unknown): void {
    this.#stopped = true;
    const { participant, parallelism } = this.#deployment;
    const where = participant < parallelism ? { slot: participant } : {};
    const known =
      error instanceof MillraceError
        ? new MillraceError(error.code, error.message, {
            where: { ...where, ...error.where },
            cause: error.cause,
            retryable: error.retryable,
          })
        : error;
    this.#post({ kind: 'failed', error: serialiseError(known) });
  }

  async #cancel(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
    this.#close();
    this.#post({ kind: 'released' });
  }

  #close(): void {
    for (const task of this.#tasks) {
      try {
        task.close();
      } catch (error) {
        this.#fail(error);
      }
    }
    this.#tasks = [];
  }

  // ── building ───────────────────────────────────────────────────────────────────────────────────────────────

  async #buildTask(chain: Chain, subtask: number, functions: ReadonlyMap<string, UserFunction>): Promise<Task> {
    const { plan, counters: shared, participant, restore } = this.#deployment;
    const counters = new TaskCounters(taskBlock(shared, plan.chains.length, participant, chain.id));
    const ids = chain.operators.map((operator) => operator.id);
    const restored =
      restore?.flatMap((part) => part.tasks.filter((task) => task.operators.some((id) => ids.includes(id)))) ?? [];
    const watermarkMs = restored.length > 0 ? Math.min(...restored.map((task) => task.watermarkMs)) : undefined;
    const edges = plan.edges.filter((edge) => edge.from.chain === chain.id);
    const routers = new Map(edges.map((edge) => [edge.id, createRouter(this.#exchange, edge, subtask)] as const));
    const head = chain.operators[0]!;
    const source = head.node.kind === 'source' ? await this.#buildSource(chain, head, subtask, restored) : null;
    const operators: (Operator | null)[] = [];
    for (const [index, operator] of chain.operators.entries()) {
      operators.push(
        operator.node.kind === 'source'
          ? null
          : await this.#buildOperator(chain, index, operator, subtask, counters, functions, restored),
      );
    }
    return new Task({
      chain,
      operators,
      source,
      gate: source ? null : createGate(this.#exchange, chain, subtask, watermarkMs),
      routers,
      counters,
      watermarkMs: watermarkMs ?? null,
      snapshot: (id, position, timeMs) => this.#freeze(id, chain, subtask, position, timeMs),
      publish: () => {
        counters.set(Counter.stateBytes, this.#state.usedBytes);
        counters.set(
          Counter.bytesSent,
          [...routers.values()].reduce((bytes, router) => bytes + router.bytes, 0),
        );
      },
    });
  }

  async #buildSource(
    chain: Chain,
    operator: ChainOperator,
    subtask: number,
    restored: readonly TaskSnapshot[],
  ): Promise<SourceDriver> {
    const { node } = operator;
    if (node.kind !== 'source') throw new Error('not a source');
    const connector: SourceConnector = await sourceConnector(node.connector.kind);
    const { clock } = this.#setup;
    const key = sourceKey(chain.id);
    const wake = (): void => this.#exchange.doorbell.wake();
    const reader = connector.reader(node.connector, node.request, {
      memory: this.#memory,
      kernels: this.#kernels,
      batchRows: this.#deployment.batchRows,
      subtask,
      wake,
      monotonicMs: () => clock.monotonicMs(),
      wakeAt: (atMs) => void setTimeout(wake, Math.max(0, atMs - clock.monotonicMs())),
      resource: (id) => this.#setup.resource(id),
      nextDictionaryId: () => ++this.#dictionaryIds,
    });
    const driver = new SourceDriver(
      {
        reader,
        watermark: node.watermark,
        timeColumn: node.watermark ? node.request.layout[node.watermark.column]! : null,
        kernels: this.#kernels,
        name: operator.name,
        monotonicMs: () => clock.monotonicMs(),
        wantSplit: () => this.#post({ kind: 'splitWanted', source: key }),
      },
      positionFor(operator.id, subtask, chain.parallelism, restored),
    );
    this.#sources.set(key, driver);
    return driver;
  }

  async #buildOperator(
    chain: Chain,
    index: number,
    operator: ChainOperator,
    subtask: number,
    counters: TaskCounters,
    functions: ReadonlyMap<string, UserFunction>,
    restored: readonly TaskSnapshot[],
  ): Promise<Operator> {
    const { node } = operator;
    const inputs = this.#inputLayouts(chain, index);
    if (node.kind === 'sink') {
      const connector: SinkConnector = await sinkConnector(node.connector.kind);
      const writer = connector.writer(node.connector, node.fields, {
        updating: node.updating,
        memory: this.#memory,
        kernels: this.#kernels,
        layout: inputs[0]!,
        batchRows: this.#deployment.batchRows,
        subtask,
        parallelism: chain.parallelism,
        attemptId: `${this.#deployment.jobId}-${this.#deployment.attempt}`,
        resource: (id) => this.#setup.resource(id),
        wake: () => this.#exchange.doorbell.wake(),
      });
      this.#written.set(operator.id, 0);
      return sinkOperator(writer, {
        addWritten: (rows) => {
          counters.addWritten(rows);
          this.#written.set(operator.id, this.#written.get(operator.id)! + rows);
        },
        setBytesWritten: (bytes) => counters.setBytesWritten(bytes),
      });
    }
    const parts = restored.flatMap((task) => (task.state.get(operator.id) as StatePart | undefined) ?? []);
    const stored = this.#state.operator(operator.id, keyGroupRange(subtask, chain.parallelism), parts);
    this.#stored.set(operator.id, stored);
    const context: OperatorContext = {
      memory: this.#memory,
      kernels: this.#kernels,
      blocks: this.#blocks,
      state: stored,
      counters,
      arrow:
        node.kind === 'map' && node.style === 'mapBatch'
          ? await loadArrow(this.#kernels, () => ++this.#dictionaryIds)
          : noArrow,
      batchRows: this.#deployment.batchRows,
      bounded: this.#deployment.plan.bounded,
      hashSeed: BigInt(this.#deployment.hashSeed),
      subtask,
      parallelism: chain.parallelism,
      name: operator.name,
      inputs,
      outputs: operator.outputs,
      userFunction(id) {
        const found = functions.get(id);
        if (found) return found;
        throw new MillraceError(
          'job/needs-module',
          `no function '${id}' here; run the job from a module with a default export`,
          {
            where: { operator: operator.name },
          },
        );
      },
    };
    return createOperator(node, context);
  }

  /** Layout of each input port of operator `index`: what its feeders emit. */
  #inputLayouts(chain: Chain, index: number): Layout[] {
    const layouts: Layout[] = [];
    for (const operator of chain.operators) {
      for (const [port, targets] of operator.targets.entries()) {
        for (const target of targets) {
          if (target.kind === 'operator' && target.index === index) layouts[target.port] = operator.outputs[port]!;
        }
      }
    }
    if (index === 0) {
      const { edges } = this.#deployment.plan;
      for (const [port, ids] of chain.inputs.entries()) {
        const edge = edges.find((candidate: Edge) => candidate.id === ids[0]);
        if (edge) layouts[port] = edge.layout;
      }
    }
    return layouts;
  }

  // ── snapshots ──────────────────────────────────────────────────────────────────────────────────────────────

  /** A task reached barrier `id`: its state freezes at once and is read later, a few pages at a time. */
  #freeze(id: number, chain: Chain, subtask: number, position: SourcePosition | null, watermarkMs: number): void {
    if (!this.#open || this.#open.id !== id) this.#open = { id, tasks: [] };
    const states = new Map<string, StateSnapshot>();
    for (const operator of chain.operators) {
      const stored = this.#stored.get(operator.id);
      if (stored) states.set(operator.id, stored.snapshot());
    }
    const source = position ? { operator: chain.operators[0]!.id, ...position } : null;
    const sinks = chain.operators.filter((operator) => this.#written.has(operator.id));
    const written = new Map(sinks.map(({ id: sink }) => [sink, this.#written.get(sink)!] as const));
    this.#open.tasks.push({
      operators: chain.operators.map((operator) => operator.id),
      subtask,
      watermarkMs,
      source,
      written,
      states,
    });
  }

  /** Reads some of what is frozen; true while there is more. */
  readFrozen(): boolean {
    const open = this.#open;
    if (!open) return false;
    for (const task of open.tasks) {
      for (const state of task.states.values()) if (!state.read(pagesPerTurn)) return true;
    }
    if (open.tasks.length < this.#tasks.length) return false;
    this.#open = null;
    const tasks = open.tasks.map(
      ({ states, ...task }): TaskSnapshot => ({
        ...task,
        state: new Map([...states].map(([operator, state]) => [operator, state.part] as const)),
      }),
    );
    this.#post({ kind: 'snapshotTaken', id: open.id, part: { tasks } });
    return false;
  }
}

/** A snapshot that not all tasks have reached, or that is still being read. */
interface OpenSnapshot {
  readonly id: number;
  readonly tasks: (Omit<TaskSnapshot, 'state'> & { readonly states: ReadonlyMap<string, StateSnapshot> })[];
}

/** Pages read between two turns: about a millisecond. */
const pagesPerTurn = 64;

/** apache-arrow takes 100 ms to import: only where a function asks for its batches. */
async function loadArrow(kernels: Kernels, nextDictionaryId: () => number): Promise<ArrowBoundary> {
  const { arrowBoundary } = await import('../connectors/arrow/boundary.ts');
  return arrowBoundary(kernels, nextDictionaryId);
}
const noArrow: ArrowBoundary = {
  toArrow: () => assert(false, 'Arrow was not loaded for this operator'),
  fromArrow: () => assert(false, 'Arrow was not loaded for this operator') as never,
};

/** Open splits of a snapshot are dealt round the subtasks of the new attempt. */
function positionFor(
  operator: string,
  subtask: number,
  parallelism: number,
  restored: readonly TaskSnapshot[],
): SourcePosition | null {
  const sources = restored.flatMap(({ source }) => (source?.operator === operator ? [source] : []));
  if (sources.length === 0) return null;
  const splits = sources.flatMap((source) => source.splits).filter((_, i) => i % parallelism === subtask);
  return { splits, watermarkMs: Math.min(...sources.map((source) => source.watermarkMs)) };
}
