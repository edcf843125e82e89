/**
 * Runs one operator as a task would, in a regime: batches of any size, an output that is full at random, plain or
 * dictionary-coded strings, selections, snapshots in the middle. It watches the contract: nothing is emitted after `more`
 * before `resume`; what was emitted stays unchanged until then; input is not read after it was consumed (its memory is
 * overwritten). What comes out is for the case to judge.
 */
import assert from 'node:assert/strict';
import { allKeyGroups } from '../../core/base/key-groups.ts';
import { batchRowsMax } from '../../core/base/limits.ts';
import type { Prng } from '../../core/base/prng.ts';
import {
  type Operator,
  type OperatorContext,
  type Output,
  Progress,
  type UserFunction,
  watermarkMax,
} from '../../core/operators/operator.ts';
import type { PhysicalNode } from '../../core/plan/physical.ts';
import type { ArrowBoundary } from '../../core/ports/arrow.ts';
import type { Batch, BatchOrigin } from '../../core/record/batch.ts';
import type { Layout } from '../../core/record/layout.ts';
import { blocksOver } from '../../engine/blocks.ts';
import { pagePool } from '../../state/page-pool.ts';
import { type StoredState, slotState } from '../../state/slot-state.ts';
import type { SnapshotPart } from '../../state/snapshot.ts';
import { readRows, type TestValue, testBatch } from './columns.ts';
import { createOperator } from './operators.ts';
import { type TestSlot, testSlot } from './slot.ts';

export type TestRow = readonly TestValue[];

/** What goes into an operator, in order of arrival. */
export type Arrival =
  | { readonly kind: 'row'; readonly row: TestRow; readonly rowKind?: number; readonly port?: number }
  | { readonly kind: 'watermark'; readonly timeMs: number };

/** What came out, in order. Watermarks are what a `watermark` operator said. */
export type Departure =
  | { readonly kind: 'row'; readonly row: TestRow; readonly rowKind: number; readonly port: number }
  | { readonly kind: 'watermark'; readonly timeMs: number };

/** An operator with its input, apart from how it is fed. */
export interface OperatorSetup {
  readonly node: PhysicalNode;
  readonly input: Layout;
  /** Of an operator with several: by port; `input` is the first. */
  readonly inputs?: readonly Layout[];
  readonly outputs: readonly Layout[];
  readonly bounded: boolean;
  readonly functions?: Readonly<Record<string, UserFunction>>;
  readonly arrow?: ArrowBoundary;
}

export interface Regime {
  readonly batchRows: number;
  /** The output is full after a batch, with this chance. */
  readonly fullChance: number;
  readonly dictionary: boolean;
  /** Batches carry rows that are not in. */
  readonly selection: boolean;
  /** Chance, between two batches, of a snapshot from which another operator goes on. */
  readonly restoreChance: number;
  /** Bytes of slot memory. Default 32 MB. */
  readonly bytes?: number;
}

export interface OperatorRun {
  readonly out: readonly Departure[];
  readonly late: number;
  readonly skipped: number;
  /** How often what the regime asks for has happened. */
  readonly coverage: { more: number; restored: number; batches: number; flushed: number };
  /** Input was refused because the operator wanted no more. */
  readonly satisfied: boolean;
}

/** The regimes of a case: batch sizes 1, 7 and 4096, everything else by chance. */
export function regimes(random: Prng): Regime[] {
  return [1, 7, 4096].map((batchRows) => ({
    batchRows,
    fullChance: [0, 0.5, 1][random.below(3)] as number,
    dictionary: random.below(2) === 0,
    selection: random.below(2) === 0,
    // A restore takes a new memory: seldom where batches are many.
    restoreChance: random.below(2) === 0 ? 0 : batchRows === 1 ? 0.004 : batchRows === 7 ? 0.02 : 0.5,
  }));
}

export function runOperator(
  setup: OperatorSetup,
  arrivals: readonly Arrival[],
  regime: Regime,
  random: Prng,
): OperatorRun {
  const run = new Run(setup, regime, random);
  let pending: { row: TestRow; rowKind: number }[] = [];
  let port = 0;
  const feed = (): void => {
    if (pending.length > 0) run.batch(pending, port);
    pending = [];
  };
  for (const arrival of arrivals) {
    if (run.satisfied) break;
    if (arrival.kind === 'row') {
      if ((arrival.port ?? 0) !== port) feed();
      port = arrival.port ?? 0;
      pending.push({ row: arrival.row, rowKind: arrival.rowKind ?? 0 });
      if (pending.length >= regime.batchRows) feed();
    } else {
      feed();
      run.watermark(arrival.timeMs);
    }
  }
  feed();
  run.end();
  return { out: run.out, late: run.late, skipped: run.skipped, coverage: run.coverage, satisfied: run.satisfied };
}

class Run implements Output {
  readonly out: Departure[] = [];
  readonly coverage = { more: 0, restored: 0, batches: 0, flushed: 0 };
  late = 0;
  skipped = 0;
  readonly #setup: OperatorSetup;
  readonly #regime: Regime;
  readonly #random: Prng;
  #slot: TestSlot;
  #state: StoredState;
  #operator: Operator;
  /** A batch that the output has no room for, and what it held when it was emitted. */
  #held: { readonly batch: Batch; readonly rows: string } | null = null;
  #fed = 0;

  constructor(setup: OperatorSetup, regime: Regime, random: Prng) {
    this.#setup = setup;
    this.#regime = regime;
    this.#random = random;
    [this.#slot, this.#state, this.#operator] = this.#make([]);
  }

  get satisfied(): boolean {
    return this.#operator.satisfied === true;
  }

  batch(rows: readonly { row: TestRow; rowKind: number }[], port: number): void {
    if (this.#random.next() < this.#regime.restoreChance) this.#restore();
    const { arena } = this.#slot.memory;
    const from = arena.usedBytes;
    const batch = this.#batchOf(rows, this.#setup.inputs?.[port] ?? this.#setup.input);
    const bytes = arena.usedBytes - from;
    this.#drive((operator) => operator.onBatch(batch, port, this));
    // Consumed: nobody reads it again.
    this.#slot.memory.u8.fill(0xa5, 1024 + from, 1024 + from + bytes);
    this.coverage.batches++;
    if (this.#random.below(4) > 0) return;
    this.coverage.flushed++;
    this.#drive((operator) => operator.flush?.(this));
  }

  watermark(timeMs: number): Progress {
    if (this.#driving) {
      // One that is told again, by an operator that was restored, moves nobody.
      const told = this.out.findLast((change) => change.kind === 'watermark');
      if (told?.kind !== 'watermark' || timeMs > told.timeMs) this.out.push({ kind: 'watermark', timeMs });
      return Progress.done;
    }
    // As a task does: event time neither reaches nor passes who has nothing to say before the end.
    if (this.#operator.holdsToEnd && timeMs !== watermarkMax) return Progress.done;
    this.#drive((operator) => (operator.flushUntil ? operator.flushUntil(timeMs, this) : operator.flush?.(this)));
    this.#drive((operator) => operator.onWatermark?.(timeMs, this));
    return Progress.done;
  }

  end(): void {
    this.watermark(watermarkMax);
    this.#drive((operator) => operator.flush?.(this));
    this.#drive((operator) => operator.onEnd?.(this));
    this.#operator.close?.();
  }

  emit(batch: Batch, port = 0): Progress {
    assert(this.#held === null, 'emitted again before it was resumed');
    assert(batch.layout.length === this.#setup.outputs[port]?.length, 'a batch of another layout');
    assert(batch.rowCount <= Math.max(this.#regime.batchRows, this.#fed), `a batch of ${batch.rowCount} rows`);
    if (batch.size === 0) return Progress.done;
    const { memory } = this.#slot;
    const rows = readRows(memory, batch);
    for (const [k, row] of rows.entries()) {
      const at = batch.selection === 0 ? k : (memory.u32[(batch.selection >>> 2) + k] as number);
      const rowKind = batch.kinds === 0 ? 0 : (memory.u8[batch.kinds + at] as number);
      this.out.push({ kind: 'row', row, rowKind, port });
    }
    if (this.#random.next() >= this.#regime.fullChance) return Progress.done;
    this.coverage.more++;
    this.#held = { batch, rows: String(rows) };
    return Progress.more;
  }

  #driving = false;

  #drive(call: (operator: Operator) => Progress | undefined): void {
    this.#driving = true;
    try {
      let progress = call(this.#operator) ?? Progress.done;
      for (let calls = 0; progress === Progress.more; calls++) {
        assert(calls < 1e7, 'it is resumed for ever');
        if (this.#held) {
          const now = String(readRows(this.#slot.memory, this.#held.batch));
          assert.equal(now, this.#held.rows, 'what was emitted changed before it was consumed');
          this.#held = null;
        }
        assert(this.#operator.resume, 'it answered more and cannot be resumed');
        progress = this.#operator.resume(this);
      }
      assert(this.#held === null, 'it answered done while its output was full');
    } finally {
      this.#driving = false;
    }
  }

  /** Takes a snapshot, and goes on with another operator in another memory. */
  #restore(): void {
    this.#drive((operator) => operator.flush?.(this));
    const snapshot = this.#state.snapshot();
    while (!snapshot.read(1));
    const part = structuredClone(snapshot.part);
    this.#operator.close?.();
    [this.#slot, this.#state, this.#operator] = this.#make([part]);
    this.coverage.restored++;
  }

  #make(parts: readonly SnapshotPart[]): [TestSlot, StoredState, Operator] {
    const bytes = this.#regime.bytes ?? 32 * 1024 * 1024;
    const slot = testSlot({ bytes, poolBytes: bytes / 2 });
    const { memory, kernels } = slot;
    const pool = pagePool(memory, slot.poolFrom, slot.poolTo);
    const state = slotState({ memory, kernels, pool, hashSeed: 42n }).operator('operator', allKeyGroups, parts);
    const { node } = this.#setup;
    const context = operatorContext(this.#setup, {
      memory,
      kernels,
      state,
      blocks: blocksOver(pool),
      counters: {
        addLate: (rows) => {
          this.late += rows;
        },
        addClosed: () => {},
        addSkipped: (rows) => {
          this.skipped += rows;
        },
        countCall: () => {},
      },
      batchRows: this.#regime.batchRows,
      poisonRows: this.#random.below(2) === 0,
    });
    return [slot, state, createOperator(node, context)];
  }

  /** The rows as a batch: with rows between them that are not in, when the regime says so. */
  #batchOf(rows: readonly { row: TestRow; rowKind: number }[], input: Layout): Batch {
    const { selection, dictionary } = this.#regime;
    const all: { row: TestRow; rowKind: number }[] = [];
    const selected: number[] = [];
    let room = selection ? batchRowsMax - rows.length : 0;
    for (const row of rows) {
      for (; room > 0 && this.#random.below(3) === 0; room--)
        all.push(rows[this.#random.below(rows.length)] as typeof row);
      selected.push(all.length);
      all.push(row);
    }
    const columns = input.map((_, leaf) => all.map(({ row }) => row[leaf] as TestValue));
    const kinds = all.map(({ rowKind }) => rowKind);
    const origin: BatchOrigin = { source: 'test', firstRow: this.#fed };
    this.#fed += all.length;
    const batch = testBatch(this.#slot.memory, input, columns, {
      dictionary,
      ...(selection ? { selection: selected } : {}),
      ...(kinds.some((kind) => kind !== 0) ? { kinds } : {}),
    });
    return { ...batch, origin };
  }
}

/** A context of the one subtask there is, but for what `own` says. */
export function operatorContext(
  { input, inputs, outputs, bounded, functions, arrow }: OperatorSetup,
  own: Pick<OperatorContext, 'memory' | 'kernels' | 'state' | 'batchRows'> & Partial<OperatorContext>,
): OperatorContext {
  return {
    counters: { addLate: () => {}, addClosed: () => {}, addSkipped: () => {}, countCall: () => {} },
    bounded,
    hashSeed: 42n,
    subtask: 0,
    parallelism: 1,
    name: 'operator',
    inputs: inputs ?? [input],
    outputs,
    arrow: arrow ?? noArrow,
    userFunction: (id) => functions?.[id] as UserFunction,
    ...own,
  };
}

const noArrow: ArrowBoundary = {
  toArrow: () => assert.fail('no Arrow here'),
  fromArrow: () => assert.fail('no Arrow here'),
};
