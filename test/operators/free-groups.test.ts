/** Groups whose time is behind event time let go of what they keep: in a memory that all of them would not fit into. */
import { describe, expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import type { PhysicalNode } from '../../core/plan/physical.ts';
import { type Layout, layoutOf } from '../../core/record/layout.ts';
import { type Arrival, type Departure, runOperator } from '../support/operator-harness.ts';

const layout: Layout = layoutOf([
  { name: 'key', type: { kind: 'BIGINT' }, nullable: false },
  { name: 'until', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false },
  { name: 'price', type: { kind: 'BIGINT' }, nullable: false },
  { name: 'text', type: { kind: 'VARCHAR' }, nullable: true },
]);
const frees = { leaf: 1, plusMs: 0 } as const;
const fixed = layout.slice(0, 3);
const text = 'a text that a view does not hold';
const count = {
  fn: 'count',
  arg: null,
  argType: null,
  filter: null,
  type: { kind: 'BIGINT' },
  nullable: false,
} as const;
const best = {
  kind: 'topN',
  phase: 'single',
  partitionBy: [0],
  by: [{ column: 2, descending: true }],
  n: 1,
  using: 'ROW_NUMBER',
  rank: false,
} as const;
const aggregate: PhysicalNode = {
  kind: 'aggregate',
  phase: 'single',
  keys: [0],
  calls: [count],
  window: null,
  time: null,
  allowedLatenessMs: 0,
};
const counted = layoutOf([
  { name: 'key', type: { kind: 'BIGINT' }, nullable: false },
  { name: 'n', type: { kind: 'BIGINT' }, nullable: false },
]);
const groups = 150_000;

/** Two rows of each key, a while apart; its time is behind when event time has come to the second. */
function* arrivals(columns: number): Generator<Arrival> {
  for (let key = 0; key < groups; key++) {
    for (const [of, price] of [
      [key, 1n],
      [key - 500, 2n],
    ] as const) {
      if (of < 0) continue;
      const row = [BigInt(of), BigInt(of + 501), price, text].slice(0, columns);
      yield { kind: 'row', row };
    }
    if (key % 100 === 99) yield { kind: 'watermark', timeMs: key };
  }
}

function run(node: PhysicalNode, input: Layout, output: Layout): readonly Departure[] {
  const setup = { node, input, outputs: [output], bounded: false };
  const regime = { batchRows: 500, fullChance: 0, dictionary: false, selection: false, restoreChance: 0.005 };
  return runOperator(
    setup,
    [...arrivals(input.length)],
    { ...regime, bytes: (input.length > 3 ? 20 : 12) * 1024 * 1024 },
    prng(1),
  ).out;
}

/** What every key comes to, as the changes say. */
function lastOf(out: readonly Departure[], value: number): Map<bigint, bigint> {
  const last = new Map<bigint, bigint>();
  for (const departure of out) {
    if (departure.kind !== 'row') continue;
    const { row, rowKind } = departure;
    if (rowKind % 2 === 0) last.set(row[0] as bigint, row[value] as bigint);
    else if (last.get(row[0] as bigint) === row[value]) last.delete(row[0] as bigint);
  }
  return last;
}

describe.each([
  ['an aggregate', aggregate, fixed, counted, 1],
  ['the best row of each key', best, fixed, fixed, 2],
  ['the best row of each key, with texts', best, layout, layout, 2],
] as const)('%s', (_, node, input, output, value) => {
  test('without a time all groups do not fit', () => {
    expect(() => run(node, input, output)).toThrow(/no longer fits its memory|no page is left/);
  });

  test('groups are let go when event time has passed their time, and none before', () => {
    const last = lastOf(run({ ...node, frees } as PhysicalNode, input, output), value);
    expect(last.size).toBe(groups);
    const twice = [...last].filter(([, of]) => of === 2n).length;
    expect(twice).toBe(groups - 500);
  });
});
