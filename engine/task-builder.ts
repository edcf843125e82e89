/**
 * Builds the tasks of a participant: for each chain its source or gate, operators, writers and routers, over the slot's
 * memory and state. The one place that knows connectors, operators, state and exchange together.
 */
import { sinkConnector, sourceConnector } from '../connectors/registry.ts';
import { assert } from '../core/base/assert.ts';
import { MillraceError } from '../core/base/errors.ts';
import { keyGroupRange } from '../core/base/key-groups.ts';
import { aheadBatchesMax } from '../core/base/limits.ts';
import { naturalOrder } from '../core/base/natural-order.ts';
import { deadLetters } from '../core/operators/dead-letters.ts';
import { type Operator, type UserFunction, watermarkMax, watermarkMin } from '../core/operators/operator.ts';
import { loadOperator } from '../core/operators/registry.ts';
import { changesFor, sinkOperator } from '../core/operators/sink.ts';
import { SourceDriver, type SourcePosition } from '../core/operators/source.ts';
import type { Chain, ChainOperator, PhysicalNode, PhysicalPlan } from '../core/plan/physical.ts';
import type { ArrowBoundary } from '../core/ports/arrow.ts';
import type { ReaderContext } from '../core/ports/connector.ts';
import type { Layout } from '../core/record/layout.ts';
import type { RestoredPart as StatePart } from '../state/snapshot.ts';
import { Alignment } from '../workers/alignment.ts';
import { alignmentWords, Counter, TaskCounters, taskBlock } from '../workers/counters.ts';
import { createGate } from '../workers/exchange/gate.ts';
import { participantOf } from '../workers/exchange/inbox.ts';
import { createRouter } from '../workers/exchange/router.ts';
import { Task } from '../workers/task.ts';
import type { Freezer } from './freezer.ts';
import type { Deployment, TaskSnapshot } from './messages.ts';
import type { ParticipantSetup, Slot } from './slot.ts';

export interface TaskBuilder {
  readonly deployment: Deployment;
  readonly setup: ParticipantSetup;
  readonly slot: Slot;
  readonly freezer: Freezer;
  /** What every subtask of an operator held, in the files of a checkpoint. */
  readonly restored: (operator: string) => readonly StatePart[];
  readonly functions: ReadonlyMap<string, UserFunction>;
  /** Asks the coordinator for a split of that source. */
  readonly wantSplit: (source: string) => void;
  /** Drivers of sources, by key: filled here. */
  readonly sources: Map<string, SourceDriver>;
}

/** One chain's task in one subtask. */
export async function buildTask(builder: TaskBuilder, chain: Chain, subtask: number): Promise<Task> {
  const { deployment, slot, freezer } = builder;
  const { plan, participant } = deployment;
  const counters = new TaskCounters(taskBlock(deployment.counters, plan.chains.length, participant, chain.id));
  const restored = restoredTasks(deployment, chain);
  const watermarkMs = restored.length > 0 ? Math.min(...restored.map((task) => task.watermarkMs)) : null;
  const edges = plan.edges.filter((edge) => edge.from.chain === chain.id);
  const routers = new Map(edges.map((edge) => [edge.id, createRouter(slot.exchange, edge, subtask)] as const));
  const head = chain.operators[0]!;
  const source = head.node.kind === 'source' ? await buildSource(builder, chain, head.node, subtask, restored) : null;
  const operators: (Operator | null)[] = [];
  for (const operator of chain.operators)
    operators.push(await buildOperator(builder, chain, operator, subtask, counters));
  return new Task({
    chain,
    subtask,
    operators,
    source,
    gate: source ? null : createGate(slot.exchange, chain, subtask, watermarkMs ?? undefined),
    routers,
    alignment: head.node.kind === 'source' ? alignmentOf(builder, chain, head.node, subtask) : null,
    counters,
    watermarkMs,
    monotonicMs: () => builder.setup.clock.monotonicMs(),
    nowMs: () => builder.setup.clock.nowMs(),
    knowsBarrier: (id) => freezer.knows(id),
    snapshot: (id, moment) => freezer.freeze(id, chain, subtask, moment),
    endedOperators: endedOperators(chain, restored),
    complete: wasComplete(chain, restored),
    publish() {
      let sent = 0;
      for (const router of routers.values()) sent += router.bytes;
      counters.set(Counter.bytesSent, sent);
      counters.set(Counter.stateBytes, slot.state.usedBytes);
    },
  });
}

type NodeOf<K extends PhysicalNode['kind']> = Extract<PhysicalNode, { kind: K }>;

async function buildSource(
  builder: TaskBuilder,
  chain: Chain,
  node: NodeOf<'source'>,
  subtask: number,
  restored: readonly TaskSnapshot[],
): Promise<SourceDriver> {
  const { deployment, setup, slot } = builder;
  const { clock } = setup;
  const { id, name } = chain.operators[0]!;
  const connector = await sourceConnector(node.connector.kind);
  const sided = chain.operators[0]!.outputs.length > 1;
  const rejected = sided ? { rejected: deadLetters(name, slot.memory, slot.blocks) } : {};
  const wake = (): void => slot.exchange.doorbell.wake();
  const context: ReaderContext = {
    memory: slot.memory,
    kernels: slot.kernels,
    batchRows: deployment.batchRows,
    subtask,
    wake,
    monotonicMs: () => clock.monotonicMs(),
    nowMs: () => clock.nowMs(),
    wakeAt: (atMs) => void setTimeout(wake, Math.max(0, atMs - clock.monotonicMs())),
    resource: (resource) => setup.resource(resource),
    nextDictionaryId: slot.nextDictionaryId,
    ...rejected,
  };
  const key = id;
  const driver = new SourceDriver(
    {
      reader: connector.reader(node.connector, node.request, context),
      ...(deployment.endless.includes(id)
        ? { another: () => connector.reader(node.connector, node.request, context) }
        : {}),
      watermark: node.watermark,
      timeColumn: node.watermark ? node.request.layout[node.watermark.column]! : null,
      kernels: slot.kernels,
      name,
      monotonicMs: () => clock.monotonicMs(),
      wantSplit: () => builder.wantSplit(key),
      ...rejected,
    },
    positionFor(id, subtask, chain.parallelism, restored),
  );
  builder.sources.set(key, driver);
  return driver;
}

/**
 * With the other subtasks of a source that may have no end, and with sources of the same history: what they read apart in
 * event time is state.
 */
function alignmentOf(
  { deployment, slot }: TaskBuilder,
  chain: Chain,
  node: NodeOf<'source'>,
  subtask: number,
): Alignment | null {
  const { plan, counters, inboxes, batchRows } = deployment;
  if (plan.bounded || !node.watermark) return null;
  const { alignedWith } = node.connector;
  const chains = plan.chains.filter((other) => {
    const head = other.operators[0]!.node;
    if (other === chain) return true;
    return alignedWith !== undefined && head.kind === 'source' && head.connector.alignedWith === alignedWith;
  });
  const subtasks = chains.flatMap((of) => Array.from({ length: of.parallelism }, (_, index) => ({ of, index })));
  const peers = subtasks.map(({ of, index }) => {
    const at = participantOf(of, index, inboxes.slots);
    return {
      words: alignmentWords(counters, plan.chains.length, at, of.id),
      ring: () => slot.exchange.ringers[at]?.room(),
    };
  });
  if (peers.length === 1) return null;
  const [own] = peers.splice(
    subtasks.findIndex(({ of, index }) => of === chain && index === subtask),
    1,
  );
  return new Alignment({ words: own!.words, peers, rowsAheadMax: aheadBatchesMax * batchRows });
}

/** Null where the operator is the source: its driver does the work. */
async function buildOperator(
  builder: TaskBuilder,
  chain: Chain,
  operator: ChainOperator,
  subtask: number,
  counters: TaskCounters,
): Promise<Operator | null> {
  const { deployment, setup, slot, freezer, functions } = builder;
  const { node, id, name } = operator;
  const { batchRows, plan } = deployment;
  const { memory, kernels } = slot;
  const { parallelism } = chain;
  if (node.kind === 'source') return null;
  const inputs = inputLayouts(plan, chain, chain.operators.indexOf(operator));
  if (node.kind === 'sink') {
    const connector = await sinkConnector(node.connector.kind);
    const writer = connector.writer(node.connector, node.fields, {
      updating: node.updating,
      bounded: plan.bounded,
      memory,
      kernels,
      layout: inputs[0]!,
      batchRows,
      subtask,
      parallelism,
      attemptId: `${deployment.jobId}-${deployment.attempt}`,
      resource: (resource) => setup.resource(resource),
      wake: () => slot.exchange.doorbell.wake(),
      ...(deployment.transaction
        ? {
            transaction: {
              epoch: deployment.transaction.epoch,
              jobKey: deployment.transaction.jobKey,
              disk: setup.disk,
              nowMs: () => setup.clock.nowMs(),
            },
          }
        : {}),
    });
    freezer.written.set(id, 0);
    freezer.writers.set(id, writer);
    const counted = {
      addWritten(rows: number) {
        counters.addWritten(rows);
        freezer.written.set(id, freezer.written.get(id)! + rows);
      },
      setBytesWritten: (bytes: number) => counters.setBytesWritten(bytes),
    };
    return sinkOperator(writer, counted, changesFor(node, memory, name));
  }
  const state = slot.state.operator(id, keyGroupRange(subtask, parallelism), restoredState(builder, id));
  freezer.stored.set(id, state);
  const create = await loadOperator(node.kind);
  const made = create(node, {
    memory,
    kernels,
    blocks: slot.blocks,
    state,
    counters,
    arrow: node.kind === 'map' && node.style === 'mapBatch' ? await loadArrow(slot) : noArrow,
    batchRows,
    bounded: plan.bounded,
    hashSeed: BigInt(deployment.hashSeed),
    nowMs: () => setup.clock.nowMs(),
    ...(setup.poisonRows ? { poisonRows: true } : {}),
    subtask,
    parallelism,
    name,
    inputs,
    outputs: operator.outputs,
    userFunction(functionId) {
      const found = functions.get(functionId);
      if (found) return found;
      throw new MillraceError(
        'job/needs-module',
        `no function '${functionId}' here; run the job from a module with a default export`,
        { where: { operator: name } },
      );
    },
  });
  if (deployment.restored?.files?.mayDrop !== true) refuseUnclaimed(name, state.unclaimed());
  return made;
}

/** Layout of each input port of operator `index`: what its feeders emit. */
function inputLayouts(plan: PhysicalPlan, chain: Chain, index: number): Layout[] {
  const layouts: Layout[] = [];
  for (const operator of chain.operators) {
    for (const [port, targets] of operator.targets.entries()) {
      for (const target of targets) {
        if (target.kind === 'operator' && target.index === index) layouts[target.port] = operator.outputs[port]!;
      }
    }
  }
  if (index === 0) {
    for (const [port, ids] of chain.inputs.entries()) {
      const edge = plan.edges.find((candidate) => candidate.id === ids[0]);
      if (edge) layouts[port] = edge.layout;
    }
  }
  return layouts;
}

// ── starting from a snapshot ─────────────────────────────────────────────────────────────────────────────────────

/** Tasks of the snapshot that had any operator of this chain: another parallelism may cut the plan into other chains. */
function restoredTasks({ restored }: Deployment, chain: Chain): readonly TaskSnapshot[] {
  const ids = chain.operators.map((operator) => operator.id);
  return (restored?.parts ?? []).flatMap((part) =>
    part.tasks.filter((task) => task.operators.some((id) => ids.includes(id))),
  );
}

/** Operators of a chain that had ended in every subtask that ran them. */
function endedOperators(chain: Chain, restored: readonly TaskSnapshot[]): ReadonlySet<number> {
  const ended = new Set<number>();
  for (const [index, { id }] of chain.operators.entries()) {
    const ran = restored.filter((task) => task.operators.includes(id));
    if (ran.length > 0 && ran.every((task) => task.ended.includes(id))) ended.add(index);
  }
  return ended;
}

/** Whether event time had come to its end where the chain begins, if what begins it had ended: with a source always. */
function wasComplete({ operators: [head] }: Chain, restored: readonly TaskSnapshot[]): boolean {
  const ran = restored.filter((task) => task.operators.includes(head!.id));
  if (ran.length === 0 || !ran.every((task) => task.ended.includes(head!.id))) return false;
  return head!.node.kind === 'source' || ran.every((task) => task.watermarkMs === watermarkMax);
}

/**
 * What operator `id` held, in all parts. At parallelism 1 there are no first phases: what one held goes to the operator
 * that does the whole work.
 */
function restoredState({ deployment: { restored, plan }, restored: fromFiles }: TaskBuilder, id: string): StatePart[] {
  const partial = `${id}.partial`;
  const twoPhases = plan.chains.some((chain) => chain.operators.some((operator) => operator.id === partial));
  return (twoPhases ? [id] : [id, partial]).flatMap((from) => [
    ...fromFiles(from),
    ...(restored?.parts ?? []).flatMap((part) =>
      part.tasks.flatMap((task) => (task.state.get(from) as StatePart | undefined) ?? []),
    ),
  ]);
}

/**
 * Open splits of a snapshot are dealt round the subtasks of the new attempt, in the order in which a source lists them. Who
 * gets several of ended input reads them one after the other: not the rows of the last hour before those of the first,
 * whatever subtasks had them before. Event time that is given behind a function, which knows no splits, goes by that.
 */
function positionFor(
  operator: string,
  subtask: number,
  parallelism: number,
  restored: readonly TaskSnapshot[],
): SourcePosition | null {
  if (restored.length === 0) return null;
  // Subtasks that had ended had nothing left to read.
  const sources = restored.flatMap(({ source }) => (source?.operator === operator ? [source] : []));
  if (sources.length === 0) return { splits: [], watermarkMs: watermarkMin };
  const splits = sources
    .flatMap((source) => source.splits)
    .sort((a, b) => naturalOrder(a.id, b.id))
    .filter((_, i) => i % parallelism === subtask);
  return { splits, watermarkMs: Math.min(...sources.map((source) => source.watermarkMs)) };
}

/** Errors: `snapshot/mismatch` where the operator has no table for what it held: it was another kind of operator, or version. */
function refuseUnclaimed(operator: string, tables: readonly string[]): void {
  if (tables.length === 0) return;
  const named = tables.map((table) => `'${table}'`).join(', ');
  throw new MillraceError(
    'snapshot/mismatch',
    `the state holds rows of ${operator} in ${named}, which it does not keep now: go on with the version and the job that wrote it, give the operator another name, or drop that state with --allow-non-restored-state (allowNonRestoredState)`,
    { where: { operator } },
  );
}

/** apache-arrow takes 100 ms to import: only where a function asks for its batches. */
async function loadArrow(slot: Slot): Promise<ArrowBoundary> {
  const { arrowBoundary } = await import('../connectors/arrow/boundary.ts');
  return arrowBoundary(slot.kernels, slot.nextDictionaryId);
}
const noArrow: ArrowBoundary = {
  toArrow: () => assert(false, 'Arrow was not loaded for this operator'),
  fromArrow: () => assert(false, 'Arrow was not loaded for this operator') as never,
};
