/** Random batches through real routers, rings and gates on one thread, against what went in. */
import { describe, expect, test } from 'vitest';
import { keyGroupOf, slotOfKeyGroup } from '../../core/base/key-groups.ts';
import { type Prng, prng } from '../../core/base/prng.ts';
import { Progress } from '../../core/operators/operator.ts';
import type { Exchange } from '../../core/plan/physical.ts';
import type { Batch } from '../../core/record/batch.ts';
import type { Layout, StorageKind } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import { createGate, type Gate, GateEvent } from '../../workers/exchange/gate.ts';
import { createRouter, type Router } from '../../workers/exchange/router.ts';
import { readRows, type TestValue, testBatch } from '../support/columns.ts';
import { type House, house, layoutFrom, planOf } from './house.ts';

interface Shape {
  readonly storages: readonly StorageKind[];
  readonly exchange: Exchange;
  readonly from: number;
  readonly to: number;
  readonly batchRows: number;
  readonly ringBytes: number;
  readonly inboxBytes?: number;
  readonly longestString: number;
  readonly dictionary: 'never' | 'always' | 'sometimes';
}

const kindsOf = (memory: SlotMemory, from: Batch): number[] =>
  Array.from({ length: from.size }, (_, k) => {
    const row = from.selection ? memory.u32[(from.selection >>> 2) + k]! : k;
    return from.kinds ? memory.u8[from.kinds + row]! : 0;
  });

function randomValue(random: Prng, storage: StorageKind, longest: number): TestValue {
  if (random.below(8) === 0) return null;
  switch (storage) {
    case 'bit':
      return random.below(2) === 1;
    case 'i32':
      return BigInt(random.u32() | 0);
    case 'i64':
      return BigInt(random.u32()) * BigInt(random.u32()) - BigInt(random.u32());
    case 'f64':
      return random.next() * 1e6 - 5e5;
    case 'view':
      return 'x'.repeat(random.below(longest + 1)) + String(random.below(50));
  }
}

function randomBatch(random: Prng, memory: SlotMemory, layout: Layout, shape: Shape): Batch {
  const rows = 1 + random.below(shape.batchRows);
  const columns = layout.map((column) =>
    Array.from({ length: rows }, () => randomValue(random, column.storage, shape.longestString)),
  );
  const selection = random.below(3) === 0 ? columns[0]!.map((_, i) => i).filter(() => random.below(2) === 0) : null;
  const dictionary = shape.dictionary === 'always' || (shape.dictionary === 'sometimes' && random.below(2) === 0);
  return testBatch(memory, layout, columns, {
    dictionary,
    ...(selection ? { selection } : {}),
    ...(random.below(4) === 0 ? { kinds: columns[0]!.map(() => random.below(4)) } : {}),
  });
}

type Row = readonly [readonly TestValue[], number];
const rowsOf = (memory: SlotMemory, from: Batch): Row[] => {
  const kinds = kindsOf(memory, from);
  return readRows(memory, from).map((row, i) => [row, kinds[i]!]);
};
const text = (row: Row): string => `${row[0].map(String).join('|')}#${row[1]}`;

/** Runs producers and consumers in random turns until all gates have ended; what each gate got, by channel order. */
function exchangeAll(seed: number, shape: Shape) {
  const random = prng(seed);
  const layout = layoutFrom(shape.storages);
  const plan = planOf([shape.from, shape.to], [{ from: 0, to: 1, exchange: shape.exchange, layout }]);
  const built: House = house(plan, {
    slots: Math.max(shape.from, shape.to),
    ringBytes: shape.ringBytes,
    inboxBytes: shape.inboxBytes ?? 4 * 1024 * 1024,
    memoryBytes: 48 * 1024 * 1024,
    batchRows: shape.batchRows,
  });
  const sent: Row[][] = [];
  const received: Row[][] = [];
  let blocked = 0;

  const producers = Array.from({ length: shape.from }, (_, subtask) => {
    const context = built.contexts[subtask]!;
    const router: Router = createRouter(context, plan.edges[0]!, subtask);
    const rows: Row[] = [];
    sent.push(rows);
    let batches = 3 + random.below(12);
    let pending = false;
    let over = false;
    const step = (): void => {
      if (over) return;
      let progress: Progress;
      if (pending) progress = router.resume();
      else if (batches-- > 0) {
        const batch = randomBatch(random, context.memory, layout, shape);
        rows.push(...rowsOf(context.memory, batch));
        progress = router.emit(batch);
      } else if (random.below(2) === 0 && batches > -3) progress = router.flush();
      else {
        progress = router.end();
        if (progress === Progress.done) over = true;
        else batches = -1000;
      }
      pending = progress === Progress.more;
      if (pending) blocked++;
      if (!pending && batches < -900) over = true;
    };
    return { step, over: () => over };
  });

  const consumers = Array.from({ length: shape.to }, (_, subtask) => {
    const context = built.contexts[subtask]!;
    const gate: Gate = createGate(context, plan.chains[1]!, subtask);
    const rows: Row[] = [];
    received.push(rows);
    let ended = false;
    const step = (): void => {
      const event = gate.poll();
      if (event === GateEvent.end) ended = true;
      if (event !== GateEvent.batch) return;
      rows.push(...rowsOf(context.memory, gate.batch));
      gate.release();
    };
    return { step, over: () => ended };
  });

  const all = [...producers, ...consumers];
  let turns = 0;
  while (all.some((one) => !one.over())) {
    all[random.below(all.length)]!.step();
    if (++turns > 2_000_000) throw new Error(`seed ${seed}: no end in sight`);
  }
  return { sent, received, blocked, contexts: built.contexts, layout };
}

const everything: readonly StorageKind[] = ['i64', 'view', 'bit', 'f64', 'i32', 'view'];
const base: Shape = {
  storages: everything,
  exchange: { kind: 'hash', keys: [0] },
  from: 2,
  to: 2,
  batchRows: 500,
  ringBytes: 32 * 1024,
  longestString: 40,
  dictionary: 'sometimes',
};
const sorted = (rows: readonly Row[]): string[] => rows.map(text).sort();

describe('every row arrives once', () => {
  const cases: readonly [string, Partial<Shape>][] = [
    ['hashed over two', {}],
    ['hashed over three, by two strings', { to: 3, exchange: { kind: 'hash', keys: [1, 5] } }],
    ['hashed over one', { from: 3, to: 1 }],
    ['rebalanced', { exchange: { kind: 'rebalance' }, from: 2, to: 3 }],
    ['gathered', { exchange: { kind: 'rebalance' }, from: 3, to: 1 }],
    ['forward', { exchange: { kind: 'forward' } }],
    ['forward between different widths', { exchange: { kind: 'forward' }, from: 1, to: 3 }],
    ['in batches of one row', { batchRows: 1 }],
    ['in batches of seven rows', { batchRows: 7 }],
    ['in full batches', { batchRows: 4096, longestString: 4 }],
    ['as codes', { dictionary: 'always' }],
    ['as plain strings', { dictionary: 'never' }],
    ['with strings larger than a frame', { longestString: 20_000, batchRows: 20 }],
    ['with strings larger than the ring', { longestString: 120_000, batchRows: 4, dictionary: 'never' }],
    [
      'with more columns than a frame holds of one row',
      { storages: Array(700).fill('view'), batchRows: 3, longestString: 3 },
    ],
    ['without room for dictionaries', { inboxBytes: 75_000, dictionary: 'always' }],
  ];
  for (const [name, change] of cases) {
    test.each([1, 2, 3])(`${name} (seed %i)`, (seed) => {
      const shape = { ...base, ...change };
      const { sent, received } = exchangeAll(seed, shape);
      expect(sent.flat().length).toBeGreaterThan(0);
      expect(sorted(received.flat())).toEqual(sorted(sent.flat()));
    });
  }

  test.each([1, 2, 3])('broadcast: every subtask gets every row (seed %i)', (seed) => {
    const { sent, received } = exchangeAll(seed, { ...base, exchange: { kind: 'broadcast' }, to: 3 });
    for (const rows of received) expect(sorted(rows)).toEqual(sorted(sent.flat()));
  });
});

test('rows of one channel keep their order', () => {
  const { sent, received } = exchangeAll(7, { ...base, exchange: { kind: 'forward' } });
  for (const [i, rows] of received.entries()) expect(rows.map(text)).toEqual(sent[i]!.map(text));
});

test('a full ring is an answer', () => {
  expect(exchangeAll(5, { ...base, longestString: 3000 }).blocked).toBeGreaterThan(10);
});

test.each([2, 3, 5])('a key is sent to the subtask that owns its key group, of %i', (to) => {
  const { received, contexts, layout } = exchangeAll(11, { ...base, to, batchRows: 300 });
  const { memory, kernels, hashSeed } = contexts[0]!;
  const out = memory.arena.allocate(8, 'a hash');
  for (const [subtask, rows] of received.entries()) {
    for (const [row] of rows.slice(0, 200)) {
      const { columns } = testBatch(memory, layout.slice(0, 1), [[row[0]!]]);
      kernels.hashI64(columns[0]!.values, columns[0]!.validity, 0, 1, hashSeed, 1, out);
      expect(slotOfKeyGroup(keyGroupOf(memory.u64[out >>> 3]!), to)).toBe(subtask);
    }
  }
});
