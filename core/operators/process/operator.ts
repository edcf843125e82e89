/**
 * Process functions: a function of the user's for every row and every timer, over state of the row's key. A batch is
 * hashed and resolved once; then each row calls the function with a reused view and context, which read and write state
 * through the entry's address. Rows of one key in one batch see one another's writes.
 */
import { isPromise } from '../../base/describe.ts';
import { isMillraceError, MillraceError } from '../../base/errors.ts';
import { batchRowsMax, orderedPagesPerCall, pageCopiesMax } from '../../base/limits.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import { type AccumulatorLeaf, type OperatorState, type OrderedTable, ResolveStop } from '../../ports/state.ts';
import type { Batch } from '../../record/batch.ts';
import { batch as batchOf } from '../../record/batch.ts';
import type { ByteSink } from '../../record/bytes.ts';
import { readI64, writeI64 } from '../../record/column-reader.ts';
import type { Layout } from '../../record/layout.ts';
import { type RowView, rowView } from '../../record/row-view.ts';
import { type DeadLetters, deadLetters, isPoison, reasonOf } from '../dead-letters.ts';
import { KeyHasher, Work, waitForPages } from '../keyed-parts.ts';
import {
  type Operator,
  type OperatorContext,
  type Output,
  Progress,
  type UserFunction,
  watermarkMin,
} from '../operator.ts';
import { type BroadcastHandle, broadcastHandle } from './broadcast.ts';
import { type Call, columnsUpTo, newCall } from './call.ts';
import { broadcastContext, dateOf, guardedContext, keyedContext } from './context.ts';
import { Emitted } from './emitted.ts';
import { Failures, firedTimer, isMisuse, iteratorOf, promised } from './failures.ts';
import { type Handle, stateHandle, valueSink } from './handles.ts';
import { KeyEntries } from './key-entries.ts';
import { operatorList } from './operator-state.ts';
import type { EntryLayout } from './slots.ts';
import { TimeQueue, takenMax } from './time-queue.ts';
import { Timers } from './timers.ts';
import { type Life, TtlClock } from './ttl.ts';
import { Undo, undoBytesMax } from './undo.ts';

type ProcessNode = Extract<PhysicalNode, { kind: 'process' }>;

export function processOperator(node: ProcessNode, context: OperatorContext): Operator {
  return new ProcessFunction(node, context);
}

/** Flags of an entry, behind those of states: bit i is state i. */
const timerSet = 1 << 24;
const timerProcessing = 1 << 25;
const timersInTable = 1 << 26;
const ttlEvent = 1 << 27;
const ttlProcessing = 1 << 28;

/** What it has for one input port. */
interface Port {
  readonly name: string;
  readonly call: UserFunction;
  readonly view: RowView;
  readonly context: object;
  /** Leaf of the event time; null: none. */
  readonly rowtime: number | null;
  readonly keyed: {
    readonly leaves: readonly number[];
    /** Over the key columns alone. */
    readonly view: RowView;
  } | null;
}

class ProcessFunction implements Operator {
  readonly #node: ProcessNode;
  readonly #context: OperatorContext;
  readonly #call: Call;
  readonly #keys: Layout;
  readonly #hasher: KeyHasher;
  readonly #hashes: number;
  readonly #entries: KeyEntries;
  readonly #ports: readonly Port[];
  readonly #timers: Timers | null;
  readonly #onTimer: UserFunction | null;
  readonly #firedTimer = firedTimer();
  readonly #failures: Failures;
  readonly #timerContext: object;
  readonly #timerView: RowView;
  readonly #clocks: readonly TtlClock[];
  /** Those whose values live for a time, by the time that counts. */
  readonly #lived: ReadonlyMap<TtlClock, readonly Handle[]>;
  readonly #releases: readonly Handle[];
  /** Ordered tables: what they copy while a snapshot is read is bounded. */
  readonly #tables: OrderedTable[] = [];
  readonly #outputs: readonly Emitted[];
  readonly #main: Emitted | null;
  /** Rows and timers that the function could not take, where somebody wants them, and their port. */
  readonly #letters: DeadLetters | null;
  readonly #lettersPort: number;
  /** What a call that threw did is taken back; null: it fails the job. */
  readonly #undo: Undo | null;
  readonly #broadcast: readonly BroadcastHandle[];
  /** 8 bytes: event time of what a timer emits. */
  readonly #timerTime: number;
  readonly #fired: { get(): number; set(value: number): void };
  readonly #work = new Work();
  /** What a handler that is a generator has still to give. */
  #iterator: Iterator<unknown> | null = null;
  /** Of the call that is under way; contexts of earlier ones are over. */
  #generation = 0;
  /** Event time as the function is told it. */
  #watermarkMs: number;
  firesFromState = false;

  constructor(node: ProcessNode, context: OperatorContext) {
    const { memory, outputs, batchRows, name } = context;
    const texts: number[] = [];
    let bytes = 8;
    const undo =
      node.onError === undefined
        ? null
        : new Undo({
            memory,
            entryBytes: () => bytes,
            texts,
            keepText: (target, view) => this.#entries.table.keepText(target, view),
            name,
          });
    this.#undo = undo;
    const state: Pick<OperatorState, 'ordered'> = {
      ordered: (decl) => {
        const table = context.state.ordered(decl);
        this.#tables.push(table);
        return undo ? undo.watched(table) : table;
      },
    };
    this.#node = node;
    this.#context = context;
    this.#keys = keyLayout(node, context.inputs);
    const keyColumns = columnsUpTo(this.#keys.length);
    this.#hasher = new KeyHasher(context, this.#keys, keyColumns);
    this.#hashes = memory.arena.allocate(8 * batchRowsMax, `hashes of ${name}`);
    this.#timerTime = memory.arena.allocate(8, name);
    const call = newCall(memory, this.#keys, name);
    this.#call = call;

    const leaves: AccumulatorLeaf[] = [];
    const take = (more: number): number => {
      bytes += more;
      return bytes - more;
    };
    const layout: EntryLayout = {
      take,
      text() {
        texts.push(bytes);
        return take(16);
      },
      leaf: (leaf) => void leaves.push(leaf),
    };
    const value = valueSink(memory, name);
    const clocks = new Map<string, TtlClock>();
    const clockOf = (time: 'event' | 'processing'): TtlClock => {
      const known = clocks.get(time);
      if (known) return known;
      const queue = new TimeQueue(`ttl.${time}`, { memory, state, keys: this.#keys, named: false, undo });
      const made = new TtlClock(time, {
        memory,
        call,
        queue,
        layout,
        bit: time === 'event' ? ttlEvent : ttlProcessing,
      });
      clocks.set(time, made);
      return made;
    };
    const lived = new Map<TtlClock, Handle[]>();
    const handles = node.state.map((spec, i) => {
      const life: Life | null = spec.ttl && { ms: spec.ttl.ms, clock: clockOf(spec.ttl.time ?? 'processing') };
      const handle = stateHandle(spec, 1 << i, life, {
        memory,
        state,
        call,
        keys: this.#keys,
        layout,
        keepText: (target, view) => this.#entries.table.keepText(target, view),
        userFunction: (id) => context.userFunction(id),
        value,
      });
      if (life) lived.set(life.clock, [...(lived.get(life.clock) ?? []), handle]);
      return handle;
    });
    this.#lived = lived;
    this.#clocks = [...clocks.values()];
    this.#releases = handles.filter((handle) => handle.release);
    this.#timers =
      node.onTimer === null
        ? null
        : new Timers({
            memory,
            state,
            call,
            keys: this.#keys,
            layout,
            bits: { set: timerSet, processing: timerProcessing, others: timersInTable },
            name,
            timed: node.timed,
            undo,
          });
    const broadcast = node.broadcastState.map(
      (spec) => [spec.name, broadcastHandle(spec, { memory, state, call, value })] as const,
    );
    const operatorLists = this.#operatorLists(state, value);
    this.#broadcast = broadcast.map(([, handle]) => handle);
    const table = context.state.groups({ name: 'keys', keys: this.#keys, accumulatorBytes: bytes, texts, leaves });
    this.#entries = new KeyEntries(table, keyColumns, context);
    this.#fired = context.state.value('fired', watermarkMin, Math.min);
    this.#watermarkMs = this.#fired.get();
    call.eventMs = this.#watermarkMs;

    const emitted = (fields: ProcessNode['output'], port: number, what: string): Emitted =>
      new Emitted(port, what, fields ?? [], outputs[port] ?? [], {
        memory,
        batchRows,
        blocks: context.blocks,
        call,
        undoable: undo !== null,
      });
    this.#main = node.output === null ? null : emitted(node.output, 0, 'a row of its output');
    const side = node.side.map(
      ({ name: of, schema }, i) => [of, emitted(schema, i + 1, `a row of side output '${of}'`)] as const,
    );
    this.#outputs = [...(this.#main ? [this.#main] : []), ...side.map(([, output]) => output)];

    this.#letters = node.onError === 'side' ? deadLetters(name, memory, context.blocks) : null;
    this.#lettersPort = 1 + node.side.length;

    const operator = Object.freeze(operatorLists);
    const shared = { call, main: this.#main, side, operator, timed: node.timed, watermarkMs: () => this.#watermarkMs };
    const states = Object.fromEntries(node.state.map((spec, i) => [spec.name, handles[i]!.api]));
    const reading = only(broadcast, 'readable');
    const keyContext = (view: RowView): object =>
      keyedContext({ ...shared, states, broadcast: reading, timers: this.#timers, key: () => view.at(call.row) });
    const options = { poison: context.poisonRows ?? false };
    this.#ports = node.ports.map((port): Port => {
      const keyView = port.key && rowView(port.key.fields, memory, options);
      return {
        name: port.name,
        call: context.userFunction(port.handler),
        view: rowView(port.fields, memory, options),
        context: keyView
          ? keyContext(keyView)
          : broadcastContext({ ...shared, broadcast: only(broadcast, 'writable') }),
        rowtime: port.rowtime,
        keyed: port.key && { leaves: port.key.leaves, view: keyView! },
      };
    });
    this.#timerView = rowView(node.ports.find((port) => port.key)!.key!.fields, memory, options);
    this.#timerContext = keyContext(this.#timerView);
    this.#onTimer = node.onTimer === null ? null : context.userFunction(node.onTimer);
    this.#failures = new Failures(name, call, this.#firedTimer, this.#timerView);
  }

  #operatorLists(state: Pick<OperatorState, 'ordered'>, value: ByteSink): Record<string, object> {
    const { memory, subtask, parallelism } = this.#context;
    const specs = this.#node.operatorState ?? [];
    if (specs.length === 0) return {};
    const before = this.#context.state.value('parallelism', 0);
    const parts = { memory, state, call: this.#call, value, subtask, parallelism, parallelismBefore: before.get() };
    const lists = specs.map((spec) => [spec.name, operatorList(spec, parts)] as const);
    before.set(parallelism);
    return Object.fromEntries(lists);
  }

  // ── hooks ──────────────────────────────────────────────────────────────────────────────────────────────────────

  onBatch(batch: Batch, port: number, out: Output): Progress {
    if (batch.size === 0) return Progress.done;
    this.#readClock();
    return this.#work.start(this.#consume(batch, this.#ports[port]!, out));
  }

  resume(): Progress {
    this.#readClock();
    return this.#work.resume();
  }

  flush(out: Output): Progress {
    const holds = this.#outputs.some((output) => output.rows > 0) || (this.#letters?.count ?? 0) > 0;
    return holds ? this.#work.start(this.#emitAll(out)) : Progress.done;
  }

  onWatermark(timeMs: number, out: Output): Progress {
    this.#readClock();
    return this.#work.start(this.#advance(timeMs, out));
  }

  onProcessingTime(_nowMs: number, out: Output): Progress {
    this.#readClock();
    return this.#work.start(this.#tick(out));
  }

  get nextProcessingTimeMs(): number | null {
    let nextMs = this.#timers ? this.#timers.processing.earliestMs : Number.POSITIVE_INFINITY;
    for (const clock of this.#clocks) {
      if (clock.time === 'processing') nextMs = Math.min(nextMs, clock.queue.earliestMs);
    }
    return nextMs === Number.POSITIVE_INFINITY ? null : nextMs;
  }

  close(): void {
    this.#closeIterator();
  }

  // ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────────

  *#consume(batch: Batch, port: Port, out: Output): Generator<void> {
    this.#failures.batch = batch;
    this.#failures.view = port.view;
    this.#failures.handler = port.keyed && this.#ports.length === 1 ? 'onRow' : `onRow.${port.name}`;
    port.view.open(batch);
    if (port.keyed === null) yield* this.#broadcastRows(batch, port, out);
    else {
      this.#entries.table.reclaim();
      const columns = port.keyed.leaves.map((leaf) => batch.columns[leaf]!);
      const { selection, size, kinds, origin } = batch;
      const keys = batchOf(this.#keys, batch.rowCount, columns, { kinds, selection, size, origin });
      port.keyed.view.open(keys);
      this.#hasher.hash(keys, selection, size, this.#hashes);
      for (let done = 0; done < size; ) {
        const count = this.#entries.resolve(keys, this.#hashes, selection, done, size);
        this.#call.keys = keys;
        yield* this.#keyedRows(batch, port, done, count, out);
        done += count;
        if (done < size) yield* this.#entries.stopped();
      }
      yield* this.#settleQueues();
      yield* this.#entries.look();
    }
    this.#failures.batch = null;
  }

  /** Rows [`first`, `first` + `count`) of the batch, whose entries are at hand. */
  *#keyedRows(batch: Batch, port: Port, first: number, count: number, out: Output): Generator<void> {
    const call = this.#call;
    const state = this.#context.state;
    let next = 0;
    call.active = true;
    try {
      while (next < count) {
        if (state.reading) yield* this.#waitForRoom();
        next = this.#runRows(batch, port, first, next, count);
        if (this.#stopped === Stopped.no) continue;
        yield* this.#finishCall(out);
        this.#afterCall();
        port.view.end();
        // A timer that was set for a time that has passed fires before the next row.
        if (this.#timers?.pastDue) yield* this.#firePastDue(out, port);
      }
    } finally {
      call.active = false;
      call.entry = 0;
    }
  }

  #stopped: Stopped = Stopped.no;
  /** Flags of the entry before the call. */
  #flagsBefore = 0;

  /**
   * The hot loop: calls the function for rows from `from` on, until a call leaves something to do (then it stopped in it) or
   * a page bound is to be looked at. Answers the next row.
   */
  #runRows(batch: Batch, port: Port, first: number, from: number, count: number): number {
    const { memory, counters, poisonRows } = this.#context;
    const { u32, u8 } = memory;
    const call = this.#call;
    const { selection, kinds } = batch;
    const { view, call: handler, context, rowtime } = port;
    const times = rowtime === null ? 0 : batch.columns[rowtime]!.values;
    const keyEntries = this.#entries;
    const entries = keyEntries.list >>> 2;
    const { offset } = keyEntries;
    const until = Math.min(count, from + rowsBetweenLooks);
    const timers = this.#timers;
    const undo = this.#undo;
    this.#stopped = Stopped.no;
    for (let k = from; k < until; k++) {
      const row = selection === 0 ? first + k : (u32[(selection >>> 2) + first + k] as number);
      call.row = row;
      call.entry = ((u32[entries + k] as number) + offset) >>> 0;
      call.hash = this.#hashes + 8 * (first + k);
      call.keyEnd = 0;
      call.kind = kinds === 0 ? 0 : (u8[kinds + row] as number);
      if (times !== 0) {
        const timeMs = readI64(memory, times + 8 * row);
        call.timeMs = timeMs;
        call.eventMs = timeMs > this.#watermarkMs ? timeMs : this.#watermarkMs;
        call.rowtime = times + 8 * row;
      } else {
        call.timeMs = null;
        call.rowtime = 0;
      }
      const flagsAt = call.entry >>> 2;
      const before = u32[flagsAt] as number;
      let result: unknown;
      const rowObject = view.at(row);
      if (undo) this.#begin(call.entry);
      try {
        result = handler(rowObject, poisonRows ? this.#guarded(context) : context);
      } catch (error) {
        counters.countCall();
        this.#leaveOut(error);
        this.#flagsBefore = before;
        this.#stopped = Stopped.inCall;
        return k + 1;
      }
      counters.countCall();
      if (result === undefined && this.#settled() && !timers?.pastDue && call.open === 0) {
        if (poisonRows) view.end();
        const after = u32[flagsAt] as number;
        if ((before === 0) !== (after === 0)) keyEntries.live += before === 0 ? 1 : -1;
        continue;
      }
      this.#flagsBefore = before;
      this.#result = result;
      this.#stopped = Stopped.inCall;
      return k + 1;
    }
    return until;
  }
  #result: unknown = undefined;

  #settled(): boolean {
    for (const output of this.#outputs) if (!output.settled) return false;
    return true;
  }

  *#broadcastRows(batch: Batch, port: Port, out: Output): Generator<void> {
    const { memory, counters, poisonRows } = this.#context;
    const call = this.#call;
    const times = port.rowtime === null ? 0 : batch.columns[port.rowtime]!.values;
    call.active = true;
    try {
      for (let k = 0; k < batch.size; k++) {
        if (this.#context.state.reading) yield* this.#waitForRoom();
        const row = batch.selection === 0 ? k : (memory.u32[(batch.selection >>> 2) + k] as number);
        call.row = row;
        call.rowtime = times === 0 ? 0 : times + 8 * row;
        const view = port.view.at(row);
        if (this.#undo) this.#begin(0);
        try {
          this.#result = port.call(view, poisonRows ? this.#guarded(port.context) : port.context);
        } catch (error) {
          this.#leaveOut(error);
        }
        counters.countCall();
        yield* this.#finishCall(out);
        port.view.end();
        this.#generation++;
      }
    } finally {
      call.active = false;
    }
  }

  /** What a call left behind: rows of a generator, rows that found no room. */
  *#finishCall(out: Output): Generator<void> {
    const result = this.#result;
    this.#result = undefined;
    if (result !== undefined) yield* this.#iterate(result, out);
    this.#undo?.end();
    if (!this.#settled()) yield* this.#drain(out);
    if (this.#letters?.full) yield* this.#emitLetters(out);
  }

  /** A handler that is a generator: takes its rows, and hands them on while there are more. */
  *#iterate(result: unknown, out: Output): Generator<void> {
    if (!this.#undo && !this.#settled()) yield* this.#drain(out);
    try {
      this.#iterator = iteratorOf(result);
    } catch (error) {
      this.#leaveOut(error);
      return;
    }
    for (let given = 1; ; given++) {
      let step: IteratorResult<unknown>;
      try {
        step = this.#iterator.next();
        if (!step.done) this.#yielded(step.value);
      } catch (error) {
        this.#closeIterator();
        this.#leaveOut(error);
        return;
      }
      this.#context.counters.countCall();
      if (step.done) break;
      // As long as the call may be taken back, its rows stay here.
      if (given === undoneRowsMax) this.#undo?.giveUp();
      if (!this.#settled() && (!this.#undo || given >= undoneRowsMax)) yield* this.#drain(out);
      // Between many rows of one call the runtime may look at the clock.
      if (given % yieldedBetweenLooks === 0) yield;
    }
    this.#iterator = null;
  }

  /** A call begins that may be taken back. */
  #begin(entry: number): void {
    this.#undo!.begin(entry);
    for (const output of this.#outputs) output.mark();
    this.#timers?.mark();
    for (const { queue } of this.#clocks) queue.mark();
  }

  /**
   * The call that is under way threw. Where that is asked for, and it is the row's fault, all that the call did is taken
   * back, and the row counted and put aside; else the job fails.
   */
  #leaveOut(error: unknown): void {
    const why = this.#failures.named(error);
    if (!this.#undo || !isPoison(error) || isMisuse(error)) throw why;
    if (!this.#undo.takeBack()) {
      throw new MillraceError(
        why.code,
        `${why.message}; onError: '${this.#node.onError}' could not leave it out, for its call had given ${undoneRowsMax} rows or changed ${undoBytesMax / 1024 ** 2} MB of state before, which is not taken back`,
        { where: why.where, cause: why.cause },
      );
    }
    for (const output of this.#outputs) output.takeBack();
    this.#timers?.rewind();
    for (const { queue } of this.#clocks) queue.rewind();
    for (const handle of this.#broadcast) handle.forget();
    this.#result = undefined;
    this.#context.counters.addSkipped(1);
    if (!this.#letters) return;
    const reason = isMillraceError(error) ? reasonOf(error) : `function/threw: ${reasonOf(error)}`;
    this.#letters.add(why.where.position ?? null, reason, this.#failures.record());
  }

  *#emitLetters(out: Output): Generator<void> {
    const letters = this.#letters!;
    while (letters.count > 0) {
      if (out.emit(letters.batch(), this.#lettersPort) === Progress.more) yield;
      letters.reset();
    }
  }

  #yielded(row: unknown): void {
    if (this.#main === null) {
      throw new MillraceError(
        'function/misuse',
        'a handler yielded a row, but process declares no output; give it a schema',
      );
    }
    if (isPromise(row)) throw promised(row);
    this.#main.add(row);
  }

  #afterCall(): void {
    const { u32 } = this.#context.memory;
    const after = u32[this.#call.entry >>> 2] as number;
    if ((this.#flagsBefore === 0) !== (after === 0)) this.#entries.live += this.#flagsBefore === 0 ? 1 : -1;
    if (this.#call.open > 0) for (const handle of this.#releases) handle.release!();
    this.#generation++;
  }

  /** Hands batches on until every row that was emitted has found room. */
  *#drain(out: Output): Generator<void> {
    for (const output of this.#outputs) {
      while (!output.settled) {
        if (output.rows > 0) {
          if (output.emit(out) === Progress.more) yield;
          output.released();
        }
        try {
          output.fill();
        } catch (error) {
          throw this.#failures.named(error);
        }
      }
    }
  }

  *#emitAll(out: Output): Generator<void> {
    for (const output of this.#outputs) {
      if (output.rows === 0) continue;
      if (output.emit(out) === Progress.more) yield;
      output.released();
    }
    if (this.#letters) yield* this.#emitLetters(out);
  }

  // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

  *#advance(timeMs: number, out: Output): Generator<void> {
    const before = Math.max(this.#fired.get(), watermarkMin);
    this.#watermarkMs = Math.max(this.#watermarkMs, timeMs);
    if (this.#timers) {
      this.#timers.watermarkMs = this.#watermarkMs;
      yield* this.#fire(this.#timers.event, this.#watermarkMs, before, out);
    }
    this.#fired.set(this.#watermarkMs);
    this.#call.eventMs = this.#watermarkMs;
    for (const clock of this.#clocks) if (clock.time === 'event') yield* this.#expire(clock, this.#watermarkMs, out);
    yield* this.#emitAll(out);
  }

  *#tick(out: Output): Generator<void> {
    const { nowMs } = this.#call;
    this.#call.eventMs = this.#watermarkMs;
    if (this.#timers) {
      yield* this.#fire(this.#timers.processing, nowMs, this.#watermarkMs, out);
      yield* this.#settle(this.#timers.processing);
      this.#timers.processing.lookAhead();
      // The clock's timers may have set others for event time that has passed.
      yield* this.#fire(this.#timers.event, this.#watermarkMs, this.#watermarkMs, out);
    }
    for (const clock of this.#clocks) {
      if (clock.time !== 'processing') continue;
      yield* this.#expire(clock, nowMs, out);
      clock.queue.lookAhead();
    }
    yield* this.#emitAll(out);
  }

  /** Fires the timers of `queue` at or before `untilMs`, the earliest first. `floorMs`: event time that has passed for sure. */
  *#fire(queue: TimeQueue, untilMs: number, floorMs: number, out: Output): Generator<void> {
    const timers = this.#timers!;
    timers.pastDue = false;
    let most = takenMax;
    for (;;) {
      yield* this.#settleQueues();
      if (queue.earliestMs > untilMs) break;
      this.#entries.table.reclaim();
      const count = queue.take(untilMs, most);
      if (count === 0) {
        if (queue.stop === ResolveStop.done) break;
        yield* waitForPages(queue.stop, this.#context.state);
        continue;
      }
      timers.lastTakenMs = queue.timeMs(count - 1);
      timers.outOfOrder = false;
      for (let done = 0; done < queue.count; ) {
        const resolved = this.#entries.resolve(queue.keys, queue.hashes, 0, done, queue.count);
        yield* this.#fireTaken(queue, done, resolved, floorMs, out);
        done += resolved;
        if (done < queue.count) yield* this.#entries.stopped();
      }
      timers.lastTakenMs = Number.NEGATIVE_INFINITY;
      timers.pastDue = false;
      // Where timers set others that come before those already taken, it pays to take few.
      most = queue.count < count ? Math.max(1, Math.floor(most / 4)) : Math.min(takenMax, most * 2);
      yield* this.#settleQueues();
      yield* this.#pause(out);
    }
    if (queue.earliestMs <= untilMs) queue.lookAhead();
  }

  /** All that is still to fire is in state: a barrier may pass here, and the runtime looks at the clock. */
  *#pause(out: Output): Generator<void> {
    yield* this.#emitAll(out);
    this.firesFromState = true;
    yield;
    this.firesFromState = false;
  }

  /** Taken rows [`first`, `first` + `count`), whose entries are at hand. Those behind one that must come first go back. */
  *#fireTaken(queue: TimeQueue, first: number, count: number, floorMs: number, out: Output): Generator<void> {
    const timers = this.#timers!;
    const call = this.#call;
    const { u32 } = this.#context.memory;
    this.#timerView.open(queue.keys);
    call.keys = queue.keys;
    call.active = true;
    try {
      for (let k = 0; k < count && first + k < queue.count; k++) {
        if (this.#context.state.reading) yield* this.#waitForRoom();
        this.#atTaken(queue, first + k, k);
        this.#flagsBefore = u32[call.entry >>> 2] as number;
        if (timers.fires(queue, first + k)) {
          this.#setTimerTime(queue === timers.event, queue.timeMs(first + k), floorMs);
          this.#callTimer(timers.firedName, queue.timeMs(first + k));
          if (this.#undo || this.#result !== undefined || !this.#settled()) yield* this.#finishCall(out);
        }
        this.#afterCall();
        if (timers.outOfOrder) {
          queue.putBack(first + k + 1);
          timers.outOfOrder = false;
        }
      }
    } finally {
      call.active = false;
      call.entry = 0;
    }
  }

  /** Timers of the current row's key that its call set for a time that has passed. */
  *#firePastDue(out: Output, port: Port): Generator<void> {
    const timers = this.#timers!;
    const call = this.#call;
    const { entry, keys, hash, row, keyEnd, kind } = call;
    const { u32 } = this.#context.memory;
    const { handler } = this.#failures;
    while (timers.pastDue) {
      timers.pastDue = false;
      for (;;) {
        yield* this.#settle(timers.event);
        const count = timers.event.take(timers.watermarkMs, 1);
        if (count === 0) {
          if (timers.event.stop === ResolveStop.done) break;
          yield* waitForPages(timers.event.stop, this.#context.state);
          continue;
        }
        // Every other timer that was due has fired when event time passed it: this one is of the current key.
        this.#flagsBefore = u32[entry >>> 2] as number;
        if (timers.fires(timers.event, 0)) {
          const timeMs = timers.event.timeMs(0);
          this.#timerView.open(keys);
          this.#setTimerTime(true, timeMs, this.#watermarkMs);
          this.#callTimer(timers.firedName, timeMs);
          yield* this.#finishCall(out);
        }
        this.#afterCall();
        yield;
      }
    }
    this.#failures.handler = handler;
    Object.assign(call, { entry, keys, hash, row, keyEnd, kind });
    port.view.end();
  }

  #atTaken(queue: TimeQueue, row: number, k: number): void {
    const call = this.#call;
    call.row = row;
    call.entry = this.#entries.flagsOf(k);
    call.hash = queue.hashes + 8 * row;
    call.keyEnd = 0;
  }

  /** Event time while a timer fires: its own, or, where the clock set it off, what has passed. */
  #setTimerTime(byEventTime: boolean, timeMs: number, floorMs: number): void {
    const call = this.#call;
    call.kind = 0;
    call.timeMs = timeMs;
    call.eventMs = byEventTime ? Math.max(timeMs, floorMs) : floorMs;
    const passed = this.#watermarkMs > watermarkMin ? this.#watermarkMs + 1 : timeMs;
    writeI64(this.#context.memory, this.#timerTime, byEventTime ? timeMs : passed);
    call.rowtime = this.#node.timed ? this.#timerTime : 0;
  }

  #callTimer(name: string, timeMs: number): void {
    const { counters, poisonRows } = this.#context;
    this.#failures.handler = 'onTimer';
    const fired = this.#firedTimer;
    fired.name = name;
    fired.timeMs = timeMs;
    if (this.#undo) this.#begin(this.#call.entry);
    try {
      this.#result = this.#onTimer!(
        poisonRows ? { name, time: dateOf(timeMs) } : fired.api,
        poisonRows ? this.#guarded(this.#timerContext) : this.#timerContext,
      );
    } catch (error) {
      this.#leaveOut(error);
    }
    counters.countCall();
  }

  /** Frees what has lived its time: keys whose lazy timer is due at `untilMs`. */
  *#expire(clock: TtlClock, untilMs: number, out: Output): Generator<void> {
    const { queue } = clock;
    const call = this.#call;
    const { u32 } = this.#context.memory;
    const handles = this.#lived.get(clock)!;
    for (;;) {
      yield* this.#settle(queue);
      if (queue.earliestMs > untilMs) return;
      const count = queue.take(untilMs, takenMax);
      if (count === 0) {
        if (queue.stop !== ResolveStop.done) {
          yield* waitForPages(queue.stop, this.#context.state);
          continue;
        }
        queue.lookAhead();
        return;
      }
      this.#entries.table.reclaim();
      for (let done = 0; done < count; ) {
        const resolved = this.#entries.resolve(queue.keys, queue.hashes, 0, done, queue.count);
        call.keys = queue.keys;
        call.active = true;
        try {
          for (let k = 0; k < resolved; k++) {
            this.#atTaken(queue, done + k, k);
            this.#flagsBefore = u32[call.entry >>> 2] as number;
            if (clock.take(queue.timeMs(done + k))) {
              let nextMs = Number.POSITIVE_INFINITY;
              for (const handle of handles) {
                const swept = handle.sweep!();
                nextMs = Math.min(nextMs, typeof swept === 'number' ? swept : yield* finished(swept));
              }
              if (nextMs !== Number.POSITIVE_INFINITY) clock.arm(nextMs);
            }
            this.#afterCall();
          }
        } finally {
          call.active = false;
          call.entry = 0;
        }
        done += resolved;
        if (done < count) yield* this.#entries.stopped();
      }
      yield* this.#entries.removeEmpty();
      // A barrier may pass at the pause: timers that were set again have to be in state by then.
      yield* this.#settle(queue);
      yield* this.#pause(out);
    }
  }

  #readClock(): void {
    this.#call.nowMs = this.#context.nowMs?.() ?? 0;
  }

  // ── room ───────────────────────────────────────────────────────────────────────────────────────────────────────

  *#settleQueues(): Generator<void> {
    if (this.#timers) {
      yield* this.#settle(this.#timers.event);
      yield* this.#settle(this.#timers.processing);
    }
    for (const { queue } of this.#clocks) yield* this.#settle(queue);
  }

  *#settle(queue: TimeQueue): Generator<void> {
    for (let stop = queue.settle(); stop !== ResolveStop.done; stop = queue.settle())
      yield* waitForPages(stop, this.#context.state);
  }

  /**
   * While a snapshot is read, writes copy pages: a call must not run out of them in its middle, and a step must not copy
   * very many.
   */
  *#waitForRoom(): Generator<void> {
    const { state } = this.#context;
    let copies = 0;
    for (const table of this.#tables) copies += table.copies;
    if (copies >= pageCopiesMax) {
      for (const table of this.#tables) table.copies = 0;
      yield;
    }
    while (state.reading && state.freePages < pagesAhead) yield;
  }

  // ── errors ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #guarded(context: object): object {
    const mine = ++this.#generation;
    return guardedContext(context, () => mine !== this.#generation);
  }

  #closeIterator(): void {
    const iterator = this.#iterator;
    this.#iterator = null;
    try {
      iterator?.return?.();
    } catch {
      // The function has failed already, or nobody waits for it any more.
    }
  }
}

const Stopped = { no: 0, inCall: 1 } as const;
type Stopped = (typeof Stopped)[keyof typeof Stopped];

/** Rows between two looks at how many pages are left. */
const rowsBetweenLooks = 64;
const yieldedBetweenLooks = 1024;
/** Rows of one call that a generator gives before they go on, where the call may be taken back. */
const undoneRowsMax = 32 * 1024;
/** Pages that must be free before a row is begun while a snapshot is read. */
const pagesAhead = 4 * orderedPagesPerCall + pageCopiesMax;

/** Keys of all keyed inputs: of one type, nullable where any is. */
function keyLayout(node: ProcessNode, inputs: readonly Layout[]): Layout {
  const keyed = node.ports.flatMap((port, i) => (port.key ? [port.key.leaves.map((leaf) => inputs[i]![leaf]!)] : []));
  return keyed[0]!.map((leaf, k) => ({ ...leaf, nullable: keyed.some((leaves) => leaves[k]!.nullable) }));
}

function only(
  handles: readonly (readonly [string, BroadcastHandle])[],
  which: keyof BroadcastHandle,
): Record<string, object> {
  return Object.fromEntries(handles.map(([name, handle]) => [name, handle[which]]));
}

function* finished<T>(work: Iterator<void, T>): Generator<void, T> {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    yield;
  }
}
