import { expect, test } from 'vitest';
import { flushMs } from '../../core/base/limits.ts';
import { type Operator, Progress } from '../../core/operators/operator.ts';
import type { Chain } from '../../core/plan/physical.ts';
import { layoutOf } from '../../core/record/layout.ts';
import { counterBytes, TaskCounters, taskBlock } from '../../workers/counters.ts';
import { type Gate, GateEvent } from '../../workers/exchange/gate.ts';
import type { Router } from '../../workers/exchange/router.ts';
import { Task, TaskStatus } from '../../workers/task.ts';
import { testBatch } from '../support/columns.ts';
import { testSlot } from '../support/slot.ts';

/** A task that always has work, and a router per edge that only gathers. `full`: its ring is. */
function busyTask() {
  const slot = testSlot();
  const layout = layoutOf([{ name: 'n', type: { kind: 'BIGINT' }, nullable: false }]);
  const batch = testBatch(slot.memory, layout, [[1n]]);
  const edges = [0, 1].map(() => ({
    gathered: 0,
    crossed: 0,
    full: false,
    waits: 'nothing' as 'nothing' | 'emit' | 'flush',
  }));
  const routers = edges.map((edge) => {
    const cross = (): void => {
      edge.crossed += edge.gathered;
      edge.gathered = 0;
    };
    return {
      get hasBuffered() {
        return edge.gathered > 0;
      },
      get closed() {
        return false;
      },
      emit() {
        expect(edge.waits).toBe('nothing');
        edge.gathered++;
        // The second edge's frames are small.
        if (edge !== edges[1] || edge.gathered < 3) return Progress.done;
        edge.waits = edge.full ? 'emit' : 'nothing';
        if (!edge.full) cross();
        return edge.full ? Progress.more : Progress.done;
      },
      flush() {
        expect(edge.waits).toBe('nothing');
        edge.waits = edge.full ? 'flush' : 'nothing';
        if (!edge.full) cross();
        return edge.full ? Progress.more : Progress.done;
      },
      resume() {
        if (edge.full) return Progress.more;
        edge.waits = 'nothing';
        cross();
        return Progress.done;
      },
    } as unknown as Router;
  });
  const operator = { id: 'a', name: 'a', callSite: '', node: { kind: 'filter' }, outputs: [layout] };
  const targets = [
    [
      { kind: 'edge', edge: 0 },
      { kind: 'edge', edge: 1 },
    ],
  ];
  const chain = { id: 0, parallelism: 1, place: 'slots', inputs: [[0]], operators: [{ ...operator, targets }] };
  const pass: Operator = { onBatch: (of, _port, out) => out.emit(of) };
  const clock = { ms: 100 };
  const task = new Task({
    chain: chain as unknown as Chain,
    operators: [pass],
    source: null,
    gate: { batch, port: 0, poll: () => GateEvent.batch, release() {}, close() {} } as unknown as Gate,
    routers: new Map(routers.map((router, edge) => [edge, router])),
    alignment: null,
    counters: new TaskCounters(taskBlock(new SharedArrayBuffer(counterBytes(1, 1)), 1, 0, 0)),
    snapshot: () => {},
    subtask: 0,
    knowsBarrier: () => true,
    endedOperators: new Set(),
    complete: false,
    watermarkMs: null,
    publish() {},
    monotonicMs: () => clock.ms,
    nowMs: () => 0,
  });
  return { task, clock, edges };
}

test('what a task gathers crosses every few milliseconds, though it never parks', () => {
  const { task, clock, edges } = busyTask();
  task.step(() => true);
  expect(edges[0]!.crossed).toBe(1);
  for (let i = 0; i < 4; i++) task.step(() => true);
  expect(edges[0]).toMatchObject({ gathered: 4, crossed: 1 });
  clock.ms += flushMs;
  expect(task.step(() => true)).toBe(TaskStatus.moved);
  expect(edges[0]).toMatchObject({ gathered: 0, crossed: 6 });
});

test('an output that is blocked does not keep what was gathered for others', () => {
  const { task, clock, edges } = busyTask();
  task.step(() => true);
  edges[1]!.full = true;
  let status: TaskStatus = TaskStatus.moved;
  while (status === TaskStatus.moved) status = task.step(() => true);
  expect(status).toBe(TaskStatus.blocked);
  expect(edges[0]!.gathered).toBeGreaterThan(0);
  clock.ms += flushMs;
  expect(task.step(() => true)).toBe(TaskStatus.blocked);
  expect(edges[0]!.gathered).toBe(0);
  // A flush that is blocked in turn goes before what waits already.
  edges[1]!.full = false;
  edges[0]!.full = true;
  task.step(() => true);
  clock.ms += flushMs;
  task.step(() => true);
  expect(edges[0]!.waits).toBe('flush');
  expect(task.step(() => true)).toBe(TaskStatus.blocked);
  edges[0]!.full = false;
  expect(task.step(() => true)).toBe(TaskStatus.moved);
  expect(edges[0]!.waits).toBe('nothing');
});
