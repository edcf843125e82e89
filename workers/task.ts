/**
 * A task: one chain's work in one slot, stepped. It moves batches from its source or gate through fused operators to its
 * routers, passes watermarks, barriers and the end between batches, and stops wherever output room ends, to be resumed
 * there. It knows neither threads nor clocks beyond a deadline; nothing in it blocks or awaits.
 */
import { assert, unreachable } from '../core/base/assert.ts';
import { withWhere } from '../core/base/errors.ts';
import { flushMs, stepMs } from '../core/base/limits.ts';
import type { DeadLetters } from '../core/operators/dead-letters.ts';
import { type Operator, type Output, Progress, watermarkMax, watermarkMin } from '../core/operators/operator.ts';
import { positionOf, type SourceDriver, type SourcePosition } from '../core/operators/source.ts';
import type { Chain, Target } from '../core/plan/physical.ts';
import { PollStatus } from '../core/ports/connector.ts';
import type { Batch } from '../core/record/batch.ts';
import type { Alignment } from './alignment.ts';
import type { TaskCounters } from './counters.ts';
import type { Gate } from './exchange/gate.ts';
import { GateEvent } from './exchange/gate.ts';
import type { Router } from './exchange/router.ts';

export const TaskStatus = {
  /** Did work; call again soon. */ moved: 0,
  /** No input waiting; park. */ starved: 1,
  /** An output is full; wake on room. */ blocked: 2,
  /** Will never have work again. */ ended: 3,
} as const;
export type TaskStatus = (typeof TaskStatus)[keyof typeof TaskStatus];

export interface TaskParts {
  readonly chain: Chain;
  readonly subtask: number;
  /** By operator index; null where the operator is the source. */
  readonly operators: readonly (Operator | null)[];
  readonly source: SourceDriver | null;
  readonly gate: Gate | null;
  /** By edge id. */
  readonly routers: ReadonlyMap<number, Router>;
  /** With the other subtasks of the source; null: it reads as fast as it can. */
  readonly alignment: Alignment | null;
  readonly counters: TaskCounters;
  /** Whether the participant has been told of that checkpoint; a barrier may overtake the message, and waits for it. */
  readonly knowsBarrier: (checkpointId: number) => boolean;
  /** Freezes the task's state; called between batches, with nothing in flight. */
  readonly snapshot: (checkpointId: number, at: TaskMoment) => void;
  /** Event time that a snapshot remembers, told again before anything is read; null for a fresh start. */
  readonly watermarkMs: number | null;
  /** Indexes of operators that had ended in all subtasks when the snapshot was taken. */
  readonly endedOperators: ReadonlySet<number>;
  /** Where the first operator had: its event time had come to its end as well. */
  readonly complete: boolean;
  /** Brings the counters up to date; called when the task parks or ends. */
  readonly publish: () => void;
  /** For idleness only; read where event time is assigned in the middle of a chain. */
  readonly monotonicMs: () => number;
  /** The clock of processing time; read once a step, and only where an operator waits for it. */
  readonly nowMs: () => number;
}

/** A task at a barrier. */
export interface TaskMoment {
  readonly position: SourcePosition | null;
  readonly watermarkMs: number;
  /** Indexes of operators that will never say anything again. */
  readonly ended: readonly number[];
}

/** What can be resumed: an operator that answered `more`, or a router whose ring is full. */
interface Resumable {
  resume(): Progress;
  /** `more` means: something outside the chain is behind, and will wake the task. */
  readonly blocked: boolean;
}

export class Task {
  readonly chain: Chain;
  readonly subtask: number;
  readonly counters: TaskCounters;
  /** What the last step answered: the loop accounts the time until the next by it. */
  lastStatus: TaskStatus = TaskStatus.moved;
  readonly #parts: TaskParts;
  readonly #nodes: ChainNode[];
  /** Deepest first: the head must be `done` before what follows it may go on. */
  readonly #pending: Resumable[] = [];
  #insertAt = -1;
  /** A control event on its way through the chain; resumed when nothing is pending. */
  #control: Iterator<void> | null = null;
  /** What a barrier that passes in the middle of firing has interrupted. */
  #interrupted: { readonly node: ChainNode; readonly control: Iterator<void> } | null = null;
  /** The operator whose `more` the control event waits for. */
  #firing: ChainNode | null = null;
  #holdsGateBatch = false;
  #barrierAsked = 0;
  /** A barrier is here before the word that it would come. */
  #awaitsWord = false;
  /** The last barrier that passed. */
  #passed = 0;
  #holdBehind = 0;
  #holds = false;
  #stop: 'no' | 'stop' | 'drain' = 'no';
  #ended = false;
  /** Event time has come to its end: all windows are to close. */
  #complete = false;
  #sentWatermarkMs = watermarkMin;
  #sentIdle = false;
  /** When gathered rows last crossed. */
  #sentAtMs = 0;
  /** When the source was last asked for its event time. */
  #offeredAtMs = 0;
  /** Operators that may wait for the clock. */
  readonly #timed: ChainNode[] = [];

  constructor(parts: TaskParts) {
    this.chain = parts.chain;
    this.subtask = parts.subtask;
    this.counters = parts.counters;
    this.#parts = parts;
    this.#nodes = parts.chain.operators.map((operator, index) => {
      const work = parts.operators[index] ?? null;
      const node: ChainNode = {
        index,
        name: operator.name,
        callSite: operator.callSite,
        isUser: operator.node.kind === 'map' || operator.node.kind === 'process',
        work,
        output: null as unknown as NodeOutput,
        routers: [],
        children: [],
        get blocked() {
          return work?.blocked === true;
        },
        watermarkMs: watermarkMin,
        ownWatermarkMs: null,
        idleAfterMs: operator.node.kind === 'watermark' ? operator.node.watermark.idleAfterMs : null,
        lastRowsMs: parts.monotonicMs(),
        isIdle: false,
        passedMs: watermarkMin,
        ended: parts.endedOperators.has(index),
        resume: () => this.#guard(node, null, () => (work?.resume ? work.resume(node.output) : Progress.done)),
      };
      return node;
    });
    this.#timed.push(...this.#nodes.filter((node) => node.work?.onProcessingTime !== undefined));
    for (const node of this.#nodes) {
      const targets = parts.chain.operators[node.index]!.targets;
      node.output = new NodeOutput(
        targets.map((ports) => ports.map((target) => this.#delivery(target, node))),
        node,
      );
    }
    if (parts.watermarkMs !== null) this.#goOnFrom(parts.watermarkMs);
  }

  /**
   * What a barrier interrupted fires first: event time as it was is told again. Where the first operator had ended, the chain
   * comes to its end at once, and whoever reads it hears so: a snapshot before that would have the operator as ended, and
   * event time as it was further down, in a task that was two, and no one could tell that it had come to its end.
   */
  #goOnFrom(watermarkMs: number): void {
    const { source, gate, alignment, complete } = this.#parts;
    this.#sentWatermarkMs = watermarkMs;
    this.#complete = watermarkMs === watermarkMax || complete;
    const again = this.#tellAgain(watermarkMs);
    if (!this.#nodes[0]!.ended) {
      this.#control = again;
      return;
    }
    source?.stop();
    gate?.close();
    alignment?.release();
    const finish = this.#finish(this.#complete);
    this.#control = this.#nodes.every((node) => node.ended) ? finish : chain(again, finish);
  }

  *#tellAgain(watermarkMs: number): Generator<void> {
    if (watermarkMs !== watermarkMin && watermarkMs !== watermarkMax)
      yield* this.#watermark(this.#nodes[0]!, watermarkMs, false);
    // Who assigns event time says itself how far it had come.
    for (const node of this.#nodes)
      if (this.#assignsTime(node)) yield* this.#call(node, (work) => work.flush?.(node.output));
  }

  /** Runs until something stops it or `overdue` says that the step was long enough. */
  step(overdue: () => boolean): TaskStatus {
    const status = this.#step(overdue);
    if (!this.#ended) this.#sendGathered();
    this.#parts.publish();
    return status;
  }

  /**
   * What was gathered crosses now and then, and event time with it, though frames are not full: a task that always has work
   * never parks, and one whose large output is blocked may have little to say elsewhere.
   */
  #sendGathered(): void {
    const nowMs = this.#parts.monotonicMs();
    if (nowMs - this.#sentAtMs < flushMs) return;
    this.#sentAtMs = nowMs;
    for (const node of this.#nodes) {
      for (const port of node.routers) {
        if (!port.router.hasBuffered || this.#pending.includes(port)) continue;
        // Before those that wait already: they may go on to emit into it.
        if (port.router.flush() === Progress.more) this.#pending.unshift(port);
      }
    }
  }

  #step(overdue: () => boolean): TaskStatus {
    if (this.#ended) return TaskStatus.ended;
    let clockDue = this.#timed.length > 0 && !this.#holds && this.#clockDueInMs() <= 0;
    do {
      const settled = this.#settle(overdue);
      if (settled !== TaskStatus.ended) return settled;
      if (this.#ended) return TaskStatus.ended;
      if (clockDue) {
        clockDue = false;
        this.#control = this.#processingTime(this.#parts.nowMs());
        continue;
      }
      const status = this.#advance();
      if (status !== TaskStatus.moved) return status;
    } while (!overdue());
    // Event time moves once a step, not once a batch: what waits for it (windows, pre-aggregation) works in bulk.
    if (this.#parts.source && !this.#control) this.#offerWatermark(this.#parts.source);
    return TaskStatus.moved;
  }

  /**
   * A barrier is to be injected here, when this task has a source or all its inputs have ended; else it comes by them.
   * `hold`: a source reads no further behind it, until `proceed`.
   */
  injectBarrier(checkpointId: number, hold = false): void {
    this.#barrierAsked = checkpointId;
    this.#holdBehind = hold ? checkpointId : 0;
    this.#parts.source?.barrierAsked();
  }

  /**
   * The checkpoint is given up: a source that holds behind its barrier goes on. The barrier itself still passes everywhere:
   * whoever waits for it on one of several inputs must get it on all.
   */
  forgetBarrier(checkpointId: number): void {
    if (this.#holdBehind !== checkpointId) return;
    this.#holdBehind = 0;
    this.#holds = false;
  }

  /** The source is to end; with `drain` as if its input had. */
  stop(drain: boolean): void {
    if (this.#parts.source) this.#stop = drain ? 'drain' : 'stop';
  }

  get ended(): boolean {
    return this.#ended;
  }

  get watermarkMs(): number {
    return this.#sentWatermarkMs;
  }

  /** The next time, on the monotonic clock, at which a step may find work by itself; null: none. */
  get wakeAtMs(): number | null {
    if (this.#holds) return null;
    const idleMs = this.#sentIdle ? null : (this.#parts.source?.idleAtMs() ?? null);
    const clockMs = this.#timed.length > 0 ? this.#clockDueInMs() : Number.POSITIVE_INFINITY;
    const own =
      clockMs === Number.POSITIVE_INFINITY
        ? idleMs
        : Math.min(idleMs ?? Number.POSITIVE_INFINITY, this.#parts.monotonicMs() + Math.max(0, clockMs));
    return this.#nodes.reduce((at, { idleAfterMs, lastRowsMs, isIdle }) => {
      if (idleAfterMs === null || isIdle) return at;
      return at === null ? lastRowsMs + idleAfterMs : Math.min(at, lastRowsMs + idleAfterMs);
    }, own);
  }

  close(): void {
    for (const node of this.#nodes) node.work?.close?.();
    this.#parts.source?.close();
    for (const router of this.#parts.routers.values()) router.close();
  }

  // ── one piece of work ──────────────────────────────────────────────────────────────────────────────────────

  /**
   * Resumes what is pending, deepest first, then the control event on its way. `ended`: nothing is left of either;
   * `blocked`: an output is full; `moved`: the step was long enough.
   */
  #settle(overdue: () => boolean): TaskStatus {
    for (;;) {
      while (this.#pending.length > 0) {
        const head = this.#pending[0]!;
        if (this.#interrupt(head)) break;
        this.#insertAt = 0;
        const progress = head.resume();
        const inserted: number = this.#insertAt;
        this.#insertAt = -1;
        if (progress === Progress.done) {
          assert(inserted === 0, 'a resumed operator answered done while what it emitted is pending');
          this.#pending.shift();
        } else if (inserted === 0) {
          if (head.blocked) return TaskStatus.blocked;
          if (overdue()) return TaskStatus.moved;
        }
      }
      this.#releaseInput();
      if (!this.#control) return TaskStatus.ended;
      if (this.#control.next().done) this.#endControl();
      if (!this.#awaitsWord) continue;
      this.#awaitsWord = false;
      return TaskStatus.blocked;
    }
  }

  /** A barrier passes where an operator is about to go on firing, and all that it still has to say is in state. */
  #interrupt(head: Resumable): boolean {
    const node = this.#firing;
    if (!node || head !== node || this.#pending.length !== 1 || this.#interrupted) return false;
    if (node.work?.firesFromState !== true) return false;
    // What stands before it was flushed when the event came by; who keeps something nevertheless would send it rows.
    if (this.#nodes.some((other) => other.index < node.index && !other.ended && other.work?.flushUntil)) return false;
    const id = this.#barrierDue();
    if (id === 0) return false;
    this.#pending.length = 0;
    this.#firing = null;
    this.#interrupted = { node, control: this.#control! };
    this.#control = this.#barrier(id, node);
    return true;
  }

  #endControl(): void {
    this.#control = null;
    if (!this.#interrupted) return;
    const { node, control } = this.#interrupted;
    this.#interrupted = null;
    this.#control = control;
    this.#firing = node;
    this.#pending.push(node);
  }

  /** The barrier that may pass now, between batches; 0: none. */
  #barrierDue(): number {
    const { source, gate } = this.#parts;
    if (source || gate!.ended) return this.#takeAsked();
    if (!gate!.atBarrier() || gate!.poll() !== GateEvent.barrier) return 0;
    return gate!.barrierId;
  }

  /** The barrier that was asked for, once; not one that came by the inputs as well. */
  #takeAsked(): number {
    const id = this.#barrierAsked;
    this.#barrierAsked = 0;
    return id > this.#passed ? id : 0;
  }

  #releaseInput(): void {
    if (!this.#holdsGateBatch) return;
    this.#holdsGateBatch = false;
    this.#parts.gate?.release();
  }

  #advance(): TaskStatus {
    const { source } = this.#parts;
    return source ? this.#read(source) : this.#receive(this.#parts.gate!);
  }

  #read(source: SourceDriver): TaskStatus {
    const barrier = this.#takeAsked();
    if (barrier !== 0) {
      this.#control = this.#barrier(barrier);
      return TaskStatus.moved;
    }
    if (this.#holds) return this.#park();
    const { alignment } = this.#parts;
    if (this.#stop !== 'no') {
      alignment?.release();
      source.stop();
      this.#control = this.#finish(this.#stop === 'drain');
      return TaskStatus.moved;
    }
    if (alignment && !alignment.mayRead()) {
      source.pause();
      return this.#offerWatermark(source) ? TaskStatus.moved : this.#park();
    }
    // Where every batch fills an output, no step is ever long enough: event time goes on nevertheless.
    if (this.#parts.monotonicMs() - this.#offeredAtMs >= stepMs && this.#offerWatermark(source))
      return TaskStatus.moved;
    const node = this.#nodes[0]!;
    const status = this.#guardPoll(source, node);
    this.counters.addSkipped(source.takeSkipped());
    const rejected = source.rejected;
    if (status === PollStatus.moved) {
      const batch = source.batch;
      // A reader that is still loading answers with no rows, in whatever shape.
      if (batch.rowCount > 0) {
        alignment?.read(batch.rowCount, source.splitTimeMs);
        this.counters.addRead(batch.size);
        node.output.emit(batch, 0);
      }
      if (rejected) this.#control = this.#rejected(rejected, node);
      this.#afterBatch();
      return TaskStatus.moved;
    }
    // It waits for data, or has no more: others need not wait for it.
    alignment?.release();
    if (status === PollStatus.ended) {
      this.#control = rejected ? chain(this.#rejected(rejected, node), this.#finish(true)) : this.#finish(true);
      return TaskStatus.moved;
    }
    if (rejected) {
      this.#control = this.#rejected(rejected, node);
      return TaskStatus.moved;
    }
    return this.#offerWatermark(source) ? TaskStatus.moved : this.#park();
  }

  /** What the source could not read goes out behind the rows that came with it. */
  *#rejected(letters: DeadLetters, node: ChainNode): Generator<void> {
    while (letters.count > 0) {
      node.output.emit(letters.batch(), 1);
      yield;
      letters.reset();
    }
  }

  /** Sends the source's watermark after the rows it covers; true when there is one to send. */
  #offerWatermark(source: SourceDriver): boolean {
    if (this.#holds) return false;
    this.#offeredAtMs = this.#parts.monotonicMs();
    const timeMs = source.watermarkMs();
    const idle = source.idle();
    if (timeMs <= this.#sentWatermarkMs && idle === this.#sentIdle) return false;
    this.#control = this.#watermark(this.#nodes[0]!, Math.max(timeMs, this.#sentWatermarkMs), idle);
    return true;
  }

  #receive(gate: Gate): TaskStatus {
    const event = gate.poll();
    switch (event) {
      case GateEvent.batch: {
        this.#holdsGateBatch = true;
        this.counters.addReceived(gate.batch.size);
        this.#deliver(this.#nodes[0]!, gate.batch, gate.port);
        return TaskStatus.moved;
      }
      case GateEvent.watermark:
        // The highest comes right before the end and is passed on with it, operator by operator.
        if (gate.watermarkMs === watermarkMax) this.#complete = true;
        else this.#control = this.#watermark(this.#nodes[0]!, gate.watermarkMs, gate.idle);
        return TaskStatus.moved;
      case GateEvent.barrier:
        this.#control = this.#barrier(gate.barrierId);
        return TaskStatus.moved;
      case GateEvent.portEnd:
        this.#control = this.#portEnded(gate.port);
        return TaskStatus.moved;
      case GateEvent.end: {
        // Its inputs ended before the barrier could come by them.
        const barrier = this.#takeAsked();
        this.#control = barrier === 0 ? this.#finish(this.#complete) : this.#barrier(barrier);
        return TaskStatus.moved;
      }
      case GateEvent.empty:
        return this.#park();
      default:
        return unreachable(event);
    }
  }

  /** Before parking everything gathered leaves. */
  #park(): TaskStatus {
    for (const node of this.#nodes) {
      const { work } = node;
      if (work?.flush) this.#push(node, null, () => flushUntil(work, node.watermarkMs, node.output) ?? Progress.done);
      if (this.#pending.length > 0) return TaskStatus.moved;
    }
    for (const node of this.#nodes) for (const port of node.routers) this.#pushRouter(port, port.router.flush());
    if (this.#pending.length > 0) return TaskStatus.blocked;
    for (const node of this.#nodes) {
      if (node.idleAfterMs === null || node.isIdle) continue;
      if (this.#parts.monotonicMs() - node.lastRowsMs < node.idleAfterMs) continue;
      node.isIdle = true;
      this.#control = this.#watermarkBelow(node, node.passedMs, true);
      return TaskStatus.moved;
    }
    return TaskStatus.starved;
  }

  // ── control events: between batches, interruptible wherever room ends ──────────────────────────────────────

  *#watermark(from: ChainNode, timeMs: number, idle: boolean): Generator<void> {
    if (from.index === 0) {
      this.#sentWatermarkMs = timeMs;
      this.#sentIdle = idle;
      this.counters.setWatermark(timeMs);
    }
    for (const node of this.#subtree(from)) {
      // Upstream event time ends at an operator that makes its own, or whose rows come at the end, but for the last.
      if (this.#stopsTime(node) && timeMs !== watermarkMax) continue;
      // Others' event time goes on without an idle input: it may hold nothing back.
      if (idle) yield* this.#call(node, (work) => work.flush?.(node.output));
      if (node.watermarkMs < timeMs) {
        yield* this.#call(node, (work) => flushUntil(work, timeMs, node.output));
        yield* this.#fire(node, (work) => work.onWatermark?.(timeMs, node.output));
        node.watermarkMs = timeMs;
      }
      for (const port of node.routers) yield* this.#send(port, () => port.router.watermark(timeMs, idle));
    }
  }

  /** Event time that the operator held back until then goes on. */
  *#portEnded(port: number): Generator<void> {
    const head = this.#nodes[0]!;
    if (head.work?.onInputEnd === undefined || head.ended) return;
    yield* this.#fire(head, (work) => work.onInputEnd?.(port, head.output));
    if (head.watermarkMs < this.#sentWatermarkMs && !this.#complete)
      yield* this.#watermark(head, this.#sentWatermarkMs, this.#sentIdle);
  }

  /** Until an operator wants to be told of the clock; not positive: now. */
  #clockDueInMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { work } of this.#timed)
      nextMs = Math.min(nextMs, work?.nextProcessingTimeMs ?? Number.POSITIVE_INFINITY);
    return nextMs === Number.POSITIVE_INFINITY ? nextMs : nextMs - this.#parts.nowMs();
  }

  *#processingTime(nowMs: number): Generator<void> {
    for (const node of this.#timed) {
      if ((node.work?.nextProcessingTimeMs ?? Number.POSITIVE_INFINITY) > nowMs) continue;
      yield* this.#fire(node, (work) => work.onProcessingTime?.(nowMs, node.output));
    }
  }

  /** `except`: it is in the middle of firing, so it holds nothing else, and may not be called. */
  *#barrier(checkpointId: number, except: ChainNode | null = null): Generator<void> {
    const from = except ? except.index + 1 : 0;
    const live = this.#nodes.filter((node) => !node.ended);
    for (const node of live) if (node.index >= from) yield* this.#call(node, (work) => work.flush?.(node.output));
    for (const node of live) for (const port of node.routers) yield* this.#send(port, () => port.router.flush());
    while (!this.#parts.knowsBarrier(checkpointId)) {
      this.#awaitsWord = true;
      yield;
    }
    this.#passed = checkpointId;
    this.#parts.snapshot(checkpointId, this.moment());
    if (this.#holdBehind === checkpointId) this.#holds = this.#parts.source !== null;
    for (const node of live)
      for (const port of node.routers) yield* this.#send(port, () => port.router.barrier(checkpointId));
  }

  /** Where it stands, for a snapshot: at a barrier, or when it has ended. */
  moment(): TaskMoment {
    const { source } = this.#parts;
    const [head] = this.#nodes;
    return {
      position: this.#ended ? null : (source?.position() ?? null),
      // What the head holds back nobody behind it has been told, and may not be after a restart.
      watermarkMs: this.#holdsBack(head!) ? head!.watermarkMs : this.#sentWatermarkMs,
      ended: this.#nodes.filter((node) => node.ended).map((node) => node.index),
    };
  }

  #holdsBack(head: ChainNode): boolean {
    return head.work?.holdsToEnd === true && this.#sentWatermarkMs !== watermarkMax;
  }

  /** Operator by operator: what one holds until its end (a sort) reaches the next before that one's event time ends. */
  *#finish(complete: boolean): Generator<void> {
    if (complete) this.#sentWatermarkMs = watermarkMax;
    for (const node of this.#nodes) {
      if (!node.ended) {
        yield* this.#call(node, (work) => work.flush?.(node.output));
        if (complete) yield* this.#fire(node, (work) => work.onWatermark?.(watermarkMax, node.output));
        yield* this.#fire(node, (work) => work.onEnd?.(node.output));
        node.ended = true;
      }
      for (const port of node.routers) {
        if (complete) yield* this.#send(port, () => port.router.watermark(watermarkMax, false));
        yield* this.#send(port, () => port.router.end());
      }
    }
    this.counters.setWatermark(this.#sentWatermarkMs);
    this.#ended = true;
  }

  /** As `#call`, where a barrier may come in between. */
  *#fire(node: ChainNode, hook: (work: Operator) => Progress | undefined): Generator<void> {
    if (!node.work) return;
    this.#push(node, null, () => hook(node.work!) ?? Progress.done);
    if (this.#pending.length > 0) {
      this.#firing = node;
      yield;
      this.#firing = null;
    }
    yield* this.#passOwnTime(node);
  }

  *#call(node: ChainNode, hook: (work: Operator) => Progress | undefined): Generator<void> {
    const { work } = node;
    if (!work) return;
    this.#push(node, null, () => hook(work) ?? Progress.done);
    if (this.#pending.length > 0) yield;
    yield* this.#passOwnTime(node);
  }

  *#passOwnTime(node: ChainNode): Generator<void> {
    if (node.ownWatermarkMs === null) return;
    const timeMs = node.ownWatermarkMs;
    node.ownWatermarkMs = null;
    yield* this.#watermarkBelow(node, timeMs);
  }

  *#send(port: RouterPort, action: () => Progress): Generator<void> {
    this.#pushRouter(port, action());
    if (this.#pending.length > 0) yield;
  }

  *#watermarkBelow(assigner: ChainNode, timeMs: number, idle = false): Generator<void> {
    assigner.passedMs = timeMs;
    for (const port of assigner.routers) yield* this.#send(port, () => port.router.watermark(timeMs, idle));
    for (const child of assigner.children) yield* this.#watermark(child, timeMs, idle);
  }

  // ── delivery ───────────────────────────────────────────────────────────────────────────────────────────────

  #deliver(node: ChainNode, batch: Batch, port: number): void {
    this.#push(node, batch, () => node.work!.onBatch(batch, port, node.output));
    this.#afterBatch();
  }

  /** Event time that an operator assigned while it worked travels behind its rows; who wants no more ends the chain. */
  #afterBatch(): void {
    if (this.#wantsNoMore(this.#nodes[0]!)) this.#control ??= this.#endEarly();
    for (const node of this.#nodes) {
      if (node.ownWatermarkMs === null) continue;
      const timeMs = node.ownWatermarkMs;
      node.ownWatermarkMs = null;
      const before = this.#control;
      this.#control = before ? chain(this.#watermarkBelow(node, timeMs), before) : this.#watermarkBelow(node, timeMs);
    }
  }

  /** Satisfied itself, or everything it feeds is: a LIMIT that has its rows, a receiver that has left. */
  #wantsNoMore(node: ChainNode): boolean {
    if (node.work?.satisfied === true) return true;
    const fed = node.routers.length + node.children.length;
    return (
      fed > 0 &&
      node.routers.every((port) => port.router.closed) &&
      node.children.every((child) => this.#wantsNoMore(child))
    );
  }

  /** Begins when what is in flight here has been consumed: the input is given up, then the chain ends as usual. */
  *#endEarly(): Generator<void> {
    this.#parts.gate?.close();
    this.#parts.alignment?.release();
    this.#parts.source?.stop();
    yield* this.#finish(true);
  }

  #push(node: ChainNode, batch: Batch | null, action: () => Progress): Progress {
    if (node.idleAfterMs !== null && batch) {
      node.lastRowsMs = this.#parts.monotonicMs();
      if (node.isIdle) node.ownWatermarkMs ??= node.passedMs;
      node.isIdle = false;
    }
    const progress = this.#guard(node, batch, action);
    if (progress === Progress.more) this.#hold(node);
    return progress;
  }

  #pushRouter(port: RouterPort, progress: Progress): Progress {
    if (progress === Progress.more) this.#hold(port);
    return progress;
  }

  #hold(what: Resumable): void {
    if (this.#insertAt < 0) this.#pending.push(what);
    else this.#pending.splice(this.#insertAt++, 0, what);
  }

  #delivery(target: Target, from: ChainNode): (batch: Batch) => Progress {
    if (target.kind === 'edge') {
      const router = this.#parts.routers.get(target.edge);
      assert(router, `no router for edge ${target.edge}`);
      const port = new RouterPort(router);
      from.routers.push(port);
      return (batch) => {
        this.counters.addSent(batch.size);
        return this.#pushRouter(port, router.emit(batch));
      };
    }
    const node = this.#nodes[target.index]!;
    from.children.push(node);
    return (batch) => this.#push(node, batch, () => node.work!.onBatch(batch, target.port, node.output));
  }

  // ── helpers ────────────────────────────────────────────────────────────────────────────────────────────────

  /** `from` and everything below it, but nothing below an operator that event time does not pass. */
  #subtree(from: ChainNode): ChainNode[] {
    const found: ChainNode[] = [];
    const visit = (node: ChainNode): void => {
      if (found.includes(node)) return;
      found.push(node);
      if (!this.#stopsTime(node)) for (const child of node.children) visit(child);
    };
    visit(from);
    return found.sort((a, b) => a.index - b.index);
  }

  /** Event time that comes to it goes no further, but for the highest. */
  #stopsTime(node: ChainNode): boolean {
    return this.#assignsTime(node) || node.work?.holdsToEnd === true;
  }

  #assignsTime(node: ChainNode): boolean {
    return this.chain.operators[node.index]!.node.kind === 'watermark';
  }

  #guardPoll(source: SourceDriver, node: ChainNode): PollStatus {
    try {
      return source.poll();
    } catch (error) {
      throw withWhere(
        error,
        { operator: node.name, ...(node.callSite ? { callSite: node.callSite } : {}) },
        'source/failed',
      );
    }
  }

  /** An error names the operator it came from and, where a batch was being worked on, that batch's place. */
  #guard(node: ChainNode, batch: Batch | null, action: () => Progress): Progress {
    if (node.isUser) this.counters.enterUser(node.index);
    try {
      return action();
    } catch (error) {
      const place = batch ? positionOf(batch, 0) : {};
      const site = node.callSite ? { callSite: node.callSite } : {};
      throw withWhere(error, { operator: node.name, ...site, ...place }, 'slot/trapped');
    } finally {
      if (node.isUser) this.counters.leaveUser();
    }
  }
}

interface ChainNode extends Resumable {
  readonly index: number;
  readonly name: string;
  readonly callSite: string | null;
  /** It calls functions of the user's. */
  readonly isUser: boolean;
  readonly work: Operator | null;
  output: NodeOutput;
  readonly routers: RouterPort[];
  readonly children: ChainNode[];
  watermarkMs: number;
  /** Event time the operator assigned itself and that has not yet been passed on. */
  ownWatermarkMs: number | null;
  /** Of an operator that assigns event time: without rows for so long, it does not hold others' event time. */
  readonly idleAfterMs: number | null;
  lastRowsMs: number;
  isIdle: boolean;
  /** The event time it passed on last. */
  passedMs: number;
  /** It has said its last. */
  ended: boolean;
}

/** A router among what can be resumed. */
class RouterPort implements Resumable {
  readonly router: Router;
  readonly blocked = true;
  constructor(router: Router) {
    this.router = router;
  }
  resume(): Progress {
    return this.router.resume();
  }
}

/** Fans an operator's batches out to everything that reads them. */
class NodeOutput implements Output {
  readonly #targets: readonly (readonly ((batch: Batch) => Progress)[])[];
  readonly #node: ChainNode;
  constructor(targets: readonly (readonly ((batch: Batch) => Progress)[])[], node: ChainNode) {
    this.#targets = targets;
    this.#node = node;
  }
  emit(batch: Batch, port = 0): Progress {
    if (batch.size === 0) return Progress.done;
    let progress: Progress = Progress.done;
    const targets = this.#targets[port];
    if (targets) {
      for (const deliver of targets) if (deliver(batch) === Progress.more) progress = Progress.more;
    }
    return progress;
  }
  watermark(timeMs: number): Progress {
    if (this.#node.ownWatermarkMs === null || timeMs > this.#node.ownWatermarkMs) this.#node.ownWatermarkMs = timeMs;
    return Progress.done;
  }
}

/** Before event time passes `timeMs`, and before parking: all that may be needed then. */
function flushUntil(work: Operator, timeMs: number, out: Output): Progress | undefined {
  return work.flushUntil ? work.flushUntil(timeMs, out) : work.flush?.(out);
}

function* chain(first: Iterator<void>, then: Iterator<void>): Generator<void> {
  while (!first.next().done) yield;
  while (!then.next().done) yield;
}
