/** What travels between rows: watermarks, idleness, barriers, the end, and a consumer that leaves. */
import { describe, expect, test } from 'vitest';
import { Progress, watermarkMax, watermarkMin } from '../../core/operators/operator.ts';
import type { Exchange } from '../../core/plan/physical.ts';
import { createGate, type Gate, GateEvent } from '../../workers/exchange/gate.ts';
import { createRouter, type Router } from '../../workers/exchange/router.ts';
import { testBatch } from '../support/columns.ts';
import { type EdgeSpec, type House, house, layoutFrom, planOf } from './house.ts';

const layout = layoutFrom(['i64', 'view']);
const names = Object.fromEntries(Object.entries(GateEvent).map(([name, code]) => [code, name]));

interface Scene {
  readonly built: House;
  readonly routers: readonly Router[];
  readonly gate: Gate;
  emit(router: number, values: readonly number[], long?: number): Progress;
  /** Every event until there is none; batches are told by their first values. */
  drain(): string[];
}

/** `from` producers into one gate. */
function scene(
  from: number,
  options: { exchange?: Exchange; ringBytes?: number; restoredMs?: number; edges?: EdgeSpec[] } = {},
): Scene {
  const exchange = options.exchange ?? { kind: 'rebalance' };
  const plan = planOf(options.edges ? [1, 1, 1] : [from, 1], options.edges ?? [{ from: 0, to: 1, exchange, layout }]);
  const built = house(plan, { slots: Math.max(1, from), ringBytes: options.ringBytes ?? 32 * 1024 });
  const routers = options.edges
    ? plan.edges.map((edge) => createRouter(built.contexts[0]!, edge, 0))
    : Array.from({ length: from }, (_, i) => createRouter(built.contexts[i]!, plan.edges[0]!, i));
  const { memory } = built.contexts[0]!;
  const gate = createGate(built.contexts[0]!, plan.chains.at(-1)!, 0, options.restoredMs);
  return {
    built,
    routers,
    gate,
    emit(router, values, long = 0) {
      const own = built.contexts[options.edges ? 0 : router]!.memory;
      return routers[router]!.emit(testBatch(own, layout, [values, values.map(() => 'y'.repeat(long))]));
    },
    drain() {
      const seen: string[] = [];
      for (;;) {
        const event = gate.poll();
        if (event === GateEvent.empty) return seen;
        if (event === GateEvent.batch) {
          const { values } = gate.batch.columns[0]!;
          const rows = Array.from({ length: gate.batch.size }, (_, i) => memory.i64[(values >>> 3) + i]);
          seen.push(`${gate.port}: ${rows.join(' ')}`);
          gate.release();
        } else if (event === GateEvent.watermark) seen.push(`watermark ${gate.watermarkMs}${gate.idle ? ' idle' : ''}`);
        else if (event === GateEvent.barrier) seen.push(`barrier ${gate.barrierId}`);
        else {
          seen.push(names[event]!);
          return seen;
        }
      }
    },
  };
}

describe('watermarks', () => {
  test('travel behind the rows that were emitted before them, with the same frame', () => {
    const { routers, emit, drain } = scene(1);
    emit(0, [1, 2]);
    routers[0]!.watermark(10);
    emit(0, [3]);
    routers[0]!.flush();
    expect(drain()).toEqual(['0: 1 2 3', 'watermark 10']);
    expect(routers[0]!.frames).toBe(1);
  });

  test('travel alone when no row does, once', () => {
    const { routers, drain } = scene(1);
    routers[0]!.watermark(10);
    expect(routers[0]!.hasBuffered).toBe(true);
    routers[0]!.flush();
    routers[0]!.flush();
    expect(routers[0]!.hasBuffered).toBe(false);
    expect(drain()).toEqual(['watermark 10']);
    expect(routers[0]!.frames).toBe(1);
  });

  test('of several channels: the least counts', () => {
    const { routers, drain } = scene(3);
    for (const [i, ms] of [30, 10, 20].entries()) routers[i]!.watermark(ms);
    routers[0]!.flush();
    routers[2]!.flush();
    expect(drain()).toEqual([]);
    routers[1]!.flush();
    expect(drain()).toEqual(['watermark 10']);
    routers[1]!.watermark(25);
    routers[1]!.flush();
    expect(drain()).toEqual(['watermark 20']);
  });

  test('an idle channel does not hold the others back, and is told apart when all are idle', () => {
    const { routers, drain } = scene(2);
    routers[0]!.watermark(50);
    routers[0]!.flush();
    routers[1]!.watermark(watermarkMin, true);
    routers[1]!.flush();
    expect(drain()).toEqual(['watermark 50']);
    routers[0]!.watermark(60, true);
    routers[0]!.flush();
    expect(drain()).toEqual(['watermark 60 idle']);
    routers[0]!.watermark(70);
    routers[0]!.flush();
    expect(drain()).toEqual(['watermark 70']);
  });

  test('the end of event time waits for idle channels: they may have windows that are yet to fire', () => {
    const { routers, drain } = scene(2);
    routers[0]!.watermark(50);
    routers[0]!.flush();
    routers[1]!.watermark(40, true);
    routers[1]!.flush();
    expect(drain()).toEqual(['watermark 50']);
    routers[0]!.watermark(watermarkMax);
    routers[0]!.flush();
    expect(drain()).toEqual([]);
    routers[1]!.watermark(watermarkMax);
    routers[1]!.flush();
    expect(drain()).toEqual([`watermark ${watermarkMax}`]);
  });

  test('a channel that comes back late does not count until it has caught up', () => {
    const { routers, drain } = scene(2);
    routers[0]!.watermark(50);
    routers[0]!.flush();
    routers[1]!.watermark(5, true);
    routers[1]!.flush();
    expect(drain()).toEqual(['watermark 50']);
    routers[1]!.watermark(20);
    routers[1]!.flush();
    routers[0]!.watermark(60);
    routers[0]!.flush();
    expect(drain()).toEqual(['watermark 60']);
    routers[1]!.watermark(65);
    routers[1]!.flush();
    expect(drain()).toEqual([]);
    routers[0]!.watermark(90);
    routers[0]!.flush();
    expect(drain()).toEqual(['watermark 65']);
  });

  test('an ended channel does not hold the others back', () => {
    const { routers, drain } = scene(2);
    routers[0]!.watermark(50);
    routers[0]!.flush();
    routers[1]!.end();
    expect(drain()).toEqual(['watermark 50']);
  });

  test('a restored gate does not go back', () => {
    const { routers, drain, gate } = scene(2, { restoredMs: 100 });
    expect(gate.watermarkMs).toBe(100);
    routers[0]!.watermark(110);
    routers[0]!.flush();
    expect(drain()).toEqual([]);
    routers[1]!.watermark(50);
    routers[1]!.flush();
    expect(drain()).toEqual([]);
    routers[1]!.watermark(105);
    routers[1]!.flush();
    expect(drain()).toEqual(['watermark 105']);
  });
});

describe('barriers', () => {
  test('hold what comes behind them until every channel has sent its own', () => {
    const { routers, emit, drain } = scene(2);
    emit(0, [1]);
    routers[0]!.flush();
    expect(routers[0]!.barrier(7)).toBe(Progress.done);
    emit(0, [2]);
    routers[0]!.flush();
    emit(1, [11]);
    routers[1]!.flush();
    expect(drain().sort()).toEqual(['0: 1', '0: 11']);
    emit(1, [12]);
    routers[1]!.flush();
    routers[1]!.barrier(7);
    emit(1, [13]);
    routers[1]!.flush();
    const after = drain();
    expect(after.slice(0, 2)).toEqual(['0: 12', 'barrier 7']);
    expect(after.slice(2).sort()).toEqual(['0: 13', '0: 2']);
  });

  test('need no room: one passes behind a full ring', () => {
    const { routers, emit, drain } = scene(1);
    let rows = 0;
    while (emit(0, [rows++], 7000) === Progress.done && routers[0]!.flush() === Progress.done);
    const before = drain();
    expect(routers[0]!.resume()).toBe(Progress.done);
    routers[0]!.flush();
    expect(routers[0]!.barrier(1)).toBe(Progress.done);
    expect([...before, ...drain()]).toEqual([...Array.from({ length: rows }, (_, i) => `0: ${i}`), 'barrier 1']);
  });

  test('a second one waits until the first has been passed', () => {
    const { routers, drain } = scene(1);
    expect(routers[0]!.barrier(1)).toBe(Progress.done);
    expect(routers[0]!.barrier(2)).toBe(Progress.more);
    expect(routers[0]!.resume()).toBe(Progress.more);
    expect(drain()).toEqual(['barrier 1']);
    expect(routers[0]!.resume()).toBe(Progress.done);
    expect(drain()).toEqual(['barrier 2']);
  });

  test('an ended channel does not hold one up, and an end completes it', () => {
    const { routers, drain } = scene(3);
    routers[0]!.end();
    routers[1]!.barrier(4);
    expect(drain()).toEqual([]);
    routers[2]!.end();
    expect(drain()).toEqual(['barrier 4']);
    routers[1]!.end();
    expect(drain()).toEqual(['end']);
  });

  test('a newer one overtakes one that was given up', () => {
    const { routers, drain } = scene(2);
    routers[0]!.barrier(1);
    routers[1]!.barrier(2);
    expect(drain()).toEqual([]);
    routers[0]!.barrier(2);
    expect(drain()).toEqual(['barrier 2']);
  });

  test('align over ports of different edges', () => {
    const edges: EdgeSpec[] = [
      { from: 0, to: 2, port: 0, exchange: { kind: 'forward' }, layout },
      { from: 1, to: 2, port: 1, exchange: { kind: 'forward' }, layout },
    ];
    const { routers, emit, drain } = scene(1, { edges });
    emit(0, [1]);
    emit(1, [2]);
    for (const router of routers) router.flush();
    routers[0]!.barrier(3);
    expect(drain().sort()).toEqual(['0: 1', '1: 2']);
    routers[1]!.barrier(3);
    expect(drain()).toEqual(['barrier 3']);
  });
});

describe('the end', () => {
  test('comes when every channel has ended, and stays', () => {
    const { routers, emit, drain, gate } = scene(2);
    emit(0, [1]);
    routers[0]!.end();
    expect(drain()).toEqual(['0: 1']);
    routers[1]!.end();
    expect(drain()).toEqual(['end']);
    expect(gate.poll()).toBe(GateEvent.end);
  });

  test('a closed gate lets its producers go on, also one that was blocked', () => {
    const { routers, emit, gate } = scene(1);
    let rows = 0;
    while (emit(0, [rows++], 7000) === Progress.done);
    expect(routers[0]!.closed).toBe(false);
    gate.close();
    expect(routers[0]!.closed).toBe(true);
    expect(routers[0]!.resume()).toBe(Progress.done);
    for (let i = 0; i < 20; i++) expect(emit(0, [i], 7000)).toBe(Progress.done);
    routers[0]!.watermark(5);
    expect(routers[0]!.flush()).toBe(Progress.done);
    expect(routers[0]!.hasBuffered).toBe(false);
    expect(routers[0]!.barrier(1)).toBe(Progress.done);
    expect(routers[0]!.barrier(2)).toBe(Progress.done);
    expect(routers[0]!.end()).toBe(Progress.done);
    expect(gate.poll()).toBe(GateEvent.end);
  });
});

test('a frame of another attempt is dropped', () => {
  const { built, gate, drain } = scene(1);
  const edge = built.plan.edges[0]!;
  const old = createRouter({ ...built.contexts[0]!, attempt: 9 }, edge, 0);
  old.emit(testBatch(built.contexts[0]!.memory, layout, [[1], ['a']]));
  old.flush();
  old.barrier(3);
  expect(drain()).toEqual([]);
  expect(gate.rows).toBe(0);
});

test('one busy channel does not starve the others', () => {
  const { routers, emit, drain } = scene(3);
  for (let i = 0; i < 5; i++) {
    emit(0, [i]);
    routers[0]!.flush();
  }
  for (const i of [1, 2]) {
    emit(i, [i * 100]);
    routers[i]!.flush();
  }
  expect(drain().slice(0, 3).sort()).toEqual(['0: 0', '0: 100', '0: 200']);
});

test('a router and its gate count the same rows, bytes and frames', () => {
  const { routers, emit, drain, gate } = scene(1);
  for (let i = 0; i < 10; i++) emit(0, [1, 2, 3], 100);
  routers[0]!.end();
  drain();
  expect(gate.rows).toBe(30);
  expect([gate.rows, gate.bytes, gate.frames]).toEqual([routers[0]!.rows, routers[0]!.bytes, routers[0]!.frames]);
});
