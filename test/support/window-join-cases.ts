/**
 * Random cases of joins by equal windows, against loops over all rows: what comes out is final, and comes when its window is
 * over, not before.
 */
import assert from 'node:assert/strict';
import type { Prng } from '../../core/base/prng.ts';
import type { JoinType } from '../../core/plan/nodes.ts';
import type { PhysicalNode } from '../../core/plan/physical.ts';
import { type Layout, type LayoutColumn, rowtimeColumn } from '../../core/record/layout.ts';
import { joined, joinTypes, lessThan, missingSides, textOf } from './join-cases.ts';
import { type OperatorCase, randomLayout, randomValue } from './operator-cases.ts';
import type { Arrival, OperatorRun, TestRow } from './operator-harness.ts';

/** Cases by name; each makes one from chance. */
export const windowJoinCases: Readonly<Record<string, (random: Prng) => OperatorCase>> = Object.fromEntries(
  joinTypes.map((type) => [`window join, ${type}`, (random: Prng) => windowJoinCase(type, random)]),
);

function windowJoinCase(type: JoinType, random: Prng): OperatorCase {
  const bounded = random.below(3) === 0;
  const keyTypes = randomLayout(random, random.below(3));
  const spread = 2 + random.below(4);
  const end: LayoutColumn = { ...rowtimeColumn, name: 'window.end' };
  const number = { name: 'number', type: { kind: 'BIGINT' }, storage: 'i64', nullable: false } as const;
  const side = (name: string): Layout => [
    end,
    ...keyTypes.map((key, i): LayoutColumn => ({ ...key, name: `${name}Key${i}`, nullable: random.below(2) === 0 })),
    number,
    ...randomLayout(random, random.below(4)).map((column, i) => ({ ...column, name: `${name}${i}` })),
  ];
  const inputs = [side('left'), side('right')] as const;
  const keys = [0, ...keyTypes.map((_, i) => i + 1)];
  const shown = (layout: Layout): number[] => layout.flatMap((_, i) => (i === 0 || random.below(4) > 0 ? [i] : []));
  const output = [shown(inputs[0]), type === 'semi' || type === 'anti' ? [] : shown(inputs[1])] as const;
  const at = keys.length;
  const node: Extract<PhysicalNode, { kind: 'join' }> = {
    kind: 'join',
    type,
    keys: [keys, keys],
    output,
    residual:
      random.below(2) === 0
        ? { condition: lessThan(inputs[0][at]!, inputs[1][at]!), leaves: [[at], [at]], text: 'l < r' }
        : null,
    updating: [false, false],
    windowEnd: [0, 0],
    on: 'window',
  };
  const missing = missingSides[type];
  const outputs = output.flatMap((leaves, i) =>
    leaves.map((leaf) => {
      const column = inputs[i as 0 | 1][leaf]!;
      return { ...column, nullable: column.nullable || missing.includes(i) };
    }),
  );
  const live: [TestRow[], TestRow[]] = [[], []];
  const arrivals: Arrival[] = [];
  const long = random.below(6) === 0;
  let window = -3;
  const rows = 20 + random.below(300);
  for (let i = 0; i < rows; i++) {
    if (random.below(12) === 0) {
      window++;
      // One millisecond short of it, or just there.
      arrivals.push({ kind: 'watermark', timeMs: 100 * window - random.below(2) - 1 });
    }
    const port = random.below(2) as 0 | 1;
    const row = inputs[port].map((column, leaf) => {
      if (leaf === 0) return BigInt(100 * (window + 1 + random.below(3)));
      const value = randomValue(random, column, spread);
      return long && typeof value === 'string' && leaf > at && random.below(10) === 0
        ? `${value}${'long '.repeat(300 + random.below(3) * 7000)}`
        : value;
    });
    live[port].push(row);
    arrivals.push({ kind: 'row', row, port });
  }
  const expected = joined(node, live).map(textOf);
  return {
    name: `window join, ${type}`,
    setup: { node, input: inputs[0], inputs, outputs: [outputs], bounded },
    arrivals,
    check(run: OperatorRun): void {
      const rowsOut = run.out.flatMap((change) => (change.kind === 'row' ? [change] : []));
      assert(rowsOut.every(({ rowKind }) => rowKind === 0));
      assert.deepEqual(rowsOut.map(({ row }) => textOf(row)).sort(), [...expected].sort());
      assert.equal(run.late, 0);
    },
  };
}
