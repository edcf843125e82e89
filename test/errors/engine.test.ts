/** What only our own mistakes, or memory that was overwritten, can cause: it is said, and named, all the same. */
import { expect, test } from 'vitest';
import { MillraceError } from '../../core/base/errors.ts';
import { keyGroupRange } from '../../core/base/key-groups.ts';
import type { Operator } from '../../core/operators/operator.ts';
import type { Chain } from '../../core/plan/physical.ts';
import { frameLength } from '../../core/record/frame-layout.ts';
import { pagePool } from '../../state/page-pool.ts';
import { slotState } from '../../state/slot-state.ts';
import type { SnapshotPart } from '../../state/snapshot.ts';
import { counterBytes, TaskCounters, taskBlock } from '../../workers/counters.ts';
import { createGate, type Gate, GateEvent } from '../../workers/exchange/gate.ts';
import { channelPlace } from '../../workers/exchange/inbox.ts';
import { createRouter } from '../../workers/exchange/router.ts';
import { Task } from '../../workers/task.ts';
import { house, layoutFrom, planOf } from '../exchange/house.ts';
import { testBatch } from '../support/columns.ts';
import { testSlot } from '../support/slot.ts';

function failureOf(work: () => unknown): MillraceError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    return error as MillraceError;
  }
  throw new Error('it did not fail');
}

test('a frame whose length is overwritten on its way is refused', () => {
  const layout = layoutFrom(['i64']);
  const plan = planOf([1, 1], [{ from: 0, to: 1, exchange: { kind: 'rebalance' }, layout }]);
  const { contexts } = house(plan, { slots: 1 });
  const context = contexts[0]!;
  const router = createRouter(context, plan.edges[0]!, 0);
  const gate = createGate(context, plan.chains[1]!, 0);
  router.emit(testBatch(context.memory, layout, [[1n, 2n, 3n]]));
  router.flush();
  const place = channelPlace(plan, context.inboxes, 0, 0, 0)!;
  const at = (place.ring + frameLength) >>> 2;
  expect(context.memory.u32[at]).toBeGreaterThan(0);
  context.memory.u32[at] = 13;
  const error = failureOf(() => {
    for (let i = 0; i < 10; i++) if (gate.poll() === GateEvent.batch) throw new Error('it was taken');
  });
  expect(error.code).toBe('record/corrupt-frame');
  expect(error.message).toContain('13 bytes');
});

test('state of another shape is not restored', () => {
  const saved = (storage: 'i64' | 'view', restored: readonly SnapshotPart[]): SnapshotPart => {
    const slot = testSlot({ bytes: 32 << 20, poolBytes: 8 << 20 });
    const pool = pagePool(slot.memory, slot.poolFrom, slot.poolTo);
    const state = slotState({ memory: slot.memory, kernels: slot.kernels, pool, hashSeed: 42n });
    const operator = state.operator('totals', keyGroupRange(0, 1), restored);
    operator.groups({ name: 'groups', keys: layoutFrom([storage]), accumulatorBytes: 16 });
    const snapshot = operator.snapshot();
    while (!snapshot.read(10));
    return snapshot.part;
  };
  const part = saved('i64', []);
  expect(part.tables.map((table) => table.name)).toEqual(['groups']);
  expect(saved('i64', [part]).tables).toHaveLength(1);
  const error = failureOf(() => saved('view', [part]));
  expect(error.code).toBe('snapshot/mismatch');
  for (const text of ["'groups'", "'totals'", part.tables[0]!.format]) expect(error.message).toContain(text);
});

test('an operator that fails by a mistake of ours is named, with the place and the cause', () => {
  const slot = testSlot();
  const layout = layoutFrom(['i64']);
  const input = {
    ...testBatch(slot.memory, layout, [[1n]]),
    origin: { source: 'numbers.parquet, row group 2', firstRow: 40 },
  };
  const chain = {
    id: 0,
    parallelism: 1,
    place: 'slots',
    inputs: [[0]],
    operators: [
      {
        node: { kind: 'aggregate' },
        id: 'a',
        name: 'by origin',
        callSite: 'flights.ts:9',
        outputs: [layout],
        targets: [[]],
      },
    ],
  } as unknown as Chain;
  const broken: Operator = {
    onBatch: () => {
      throw new RangeError('index out of bounds');
    },
  };
  const gate = { batch: input, port: 0, poll: () => GateEvent.batch, release() {}, close() {} } as unknown as Gate;
  const task = new Task({
    chain,
    operators: [broken],
    source: null,
    gate,
    routers: new Map(),
    counters: new TaskCounters(taskBlock(new SharedArrayBuffer(counterBytes(1, 1)), 1, 0, 0)),
    snapshot: () => {},
    subtask: 0,
    knowsBarrier: () => true,
    endedOperators: new Set(),
    complete: false,
    watermarkMs: null,
    publish() {},
    monotonicMs: () => 0,
    nowMs: () => 0,
  } as unknown as ConstructorParameters<typeof Task>[0]);
  const error = failureOf(() => task.step(() => true));
  expect(error.code).toBe('slot/trapped');
  expect(error.message).toBe('index out of bounds');
  expect(error.where).toEqual({
    operator: 'by origin',
    callSite: 'flights.ts:9',
    position: 'numbers.parquet, row group 2, row 40',
  });
  expect(error.cause).toBeInstanceOf(RangeError);
});
