/** Dictionaries over a channel: sent once, additions only, bounded, plain when they no longer pay. */
import { describe, expect, test } from 'vitest';
import type { Batch } from '../../core/record/batch.ts';
import { createGate, GateEvent } from '../../workers/exchange/gate.ts';
import { createRouter } from '../../workers/exchange/router.ts';
import { readRows, type TestValue, testBatch } from '../support/columns.ts';
import { type HouseOptions, house, layoutFrom, planOf } from './house.ts';

const layout = layoutFrom(['i64', 'view']);

function scene(options: Partial<HouseOptions> = {}) {
  const plan = planOf([1, 1], [{ from: 0, to: 1, exchange: { kind: 'forward' }, layout }]);
  const { contexts } = house(plan, { slots: 1, ...options });
  const context = contexts[0]!;
  const router = createRouter(context, plan.edges[0]!, 0);
  const gate = createGate(context, plan.chains[1]!, 0);
  return {
    context,
    router,
    send(names: readonly (string | null)[], dictionary = true): number {
      const before = router.bytes;
      router.emit(testBatch(context.memory, layout, [names.map((_, i) => i), names], { dictionary }));
      router.flush();
      return router.bytes - before;
    },
    read(): { rows: TestValue[][]; dictionary: Batch['columns'][number]['dictionary'] } {
      const rows: TestValue[][] = [];
      let dictionary = null;
      while (gate.poll() === GateEvent.batch) {
        rows.push(...readRows(context.memory, gate.batch));
        dictionary = gate.batch.columns[1]!.dictionary;
        gate.release();
      }
      return { rows, dictionary };
    },
  };
}
const names = (count: number, prefix: string): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix} ${i % 50}`);

describe('a channel dictionary', () => {
  test('crosses once; later batches bring codes and additions only', () => {
    const { send, read } = scene();
    const first = send(names(500, 'a long name of an airport'));
    const again = send(names(500, 'a long name of an airport'));
    const more = send([...names(499, 'a long name of an airport'), 'one more, also long']);
    expect(again).toBeLessThan(first - 50 * 16);
    expect(more - again).toBeLessThanOrEqual(192);
    const { rows, dictionary } = read();
    expect(rows.map((row) => row[1])).toEqual([
      ...names(500, 'a long name of an airport'),
      ...names(500, 'a long name of an airport'),
      ...names(499, 'a long name of an airport'),
      'one more, also long',
    ]);
    expect(dictionary?.count).toBe(51);
  });

  test('is one, whatever dictionaries the batches bring', () => {
    const { send, read } = scene();
    for (const prefix of ['x', 'y', 'x', 'z', 'y']) send(names(60, prefix));
    const { rows, dictionary } = read();
    expect(rows.length).toBe(300);
    expect(dictionary?.count).toBe(150);
  });

  test('has a new id when it has grown, the same when not', () => {
    const { send, read } = scene();
    send(['a', 'b']);
    const first = read().dictionary!;
    send(['b', 'a']);
    expect(read().dictionary!.id).toBe(first.id);
    send(['c']);
    const grown = read().dictionary!;
    expect(grown.id).not.toBe(first.id);
    expect(grown.views).toBe(first.views);
  });

  test('carries the hashes that plain strings have', () => {
    const { context, send, read } = scene();
    send(['short', 'a string of more than twelve bytes']);
    const { views, count, hashes } = read().dictionary!;
    const own = context.memory.arena.allocate(count * 8, 'hashes');
    context.kernels.hashDictionary(views, count, own);
    for (let i = 0; i < count; i++) {
      expect(context.memory.u64[(hashes >>> 3) + i]).toBe(context.memory.u64[(own >>> 3) + i]);
    }
  });

  test('gives way to plain strings beyond its area, and rows are right throughout', () => {
    const { send, read } = scene({ ringBytes: 32 * 1024, inboxBytes: 64 * 1024 });
    const all: string[] = [];
    const seen: TestValue[] = [];
    const coded: boolean[] = [];
    for (let i = 0; i < 30; i++) {
      const some = Array.from({ length: 100 }, (_, k) => `value number ${i * 100 + k}`);
      all.push(...some);
      send(some);
      const { rows, dictionary } = read();
      seen.push(...rows.map((row) => row[1]!));
      coded.push(dictionary !== null);
    }
    expect(seen).toEqual(all);
    expect(coded[0]).toBe(true);
    expect(coded.at(-1)).toBe(false);
  });

  test('is given up when coded and plain batches alternate', () => {
    const { send, read } = scene();
    let dictionary = null;
    for (let i = 0; i < 40; i++) {
      send(['a', 'b', null], i % 2 === 0);
      dictionary = read().dictionary;
    }
    send(['a', 'b', null]);
    expect(dictionary).toBe(null);
    const last = read();
    expect(last.dictionary).toBe(null);
    expect(last.rows.map((row) => row[1])).toEqual(['a', 'b', null]);
  });

  test('of nothing but nulls is empty', () => {
    const { send, read } = scene();
    send([null, null]);
    expect(read().rows.map((row) => row[1])).toEqual([null, null]);
  });
});
