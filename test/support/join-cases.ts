/**
 * Random cases of joins: changelogs of two sides, in any valid order, against a join computed from scratch over what is
 * left of them. What comes out must fold to that, and be a changelog itself: nothing is taken back that is not there.
 */
import assert from 'node:assert/strict';
import type { Prng } from '../../core/base/prng.ts';
import type { Expr } from '../../core/expr/tree.ts';
import type { JoinType } from '../../core/plan/nodes.ts';
import type { PhysicalNode } from '../../core/plan/physical.ts';
import type { Layout, LayoutColumn } from '../../core/record/layout.ts';
import { type OperatorCase, randomLayout, randomValue } from './operator-cases.ts';
import type { Arrival, OperatorRun, TestRow } from './operator-harness.ts';

export const joinTypes: readonly JoinType[] = ['inner', 'left', 'right', 'full', 'semi', 'anti'];

/** Cases by name; each makes one from chance. */
export const joinCases: Readonly<Record<string, (random: Prng) => OperatorCase>> = Object.fromEntries(
  joinTypes.map((type) => [`join, ${type}`, (random: Prng) => joinCase(type, random)]),
);

/** Sides whose columns may be NULL because there is no such row. */
export const missingSides: { readonly [T in JoinType]: readonly number[] } = {
  left: [1],
  right: [0],
  full: [0, 1],
  inner: [],
  semi: [],
  anti: [],
};

type JoinNode = Extract<PhysicalNode, { kind: 'join' }>;

function joinCase(type: JoinType, random: Prng): OperatorCase {
  const bounded = random.below(3) === 0;
  const updating = [!bounded && random.below(2) === 0, !bounded && random.below(2) === 0] as const;
  const keyTypes = randomLayout(random, random.below(8) === 0 ? 0 : 1 + random.below(2));
  const spread = 2 + random.below(6);
  const number = { name: 'number', type: { kind: 'BIGINT' }, storage: 'i64' } as const;
  const side = (name: string): Layout => [
    ...keyTypes.map((key, i): LayoutColumn => ({ ...key, name: `${name}Key${i}`, nullable: random.below(2) === 0 })),
    { ...number, name: `${name}Number`, nullable: random.below(2) === 0 },
    ...randomLayout(random, random.below(4)).map((column, i) => ({ ...column, name: `${name}${i}` })),
  ];
  const inputs = [side('left'), side('right')] as const;
  const keys = keyTypes.map((_, i) => i);
  const onlyLeft = type === 'semi' || type === 'anti';
  // Some columns nobody reads, in any order.
  const shown = (layout: Layout): number[] => layout.flatMap((_, i) => (random.below(4) > 0 ? [i] : []));
  const output = [shown(inputs[0]), onlyLeft ? [] : shown(inputs[1])] as const;
  const hasResidual = type !== 'inner' && random.below(2) === 0;
  const hasLong = random.below(6) === 0;
  const at = keys.length;
  const node: JoinNode = {
    kind: 'join',
    type,
    keys: [keys, keys],
    output,
    residual: hasResidual
      ? { condition: lessThan(inputs[0][at]!, inputs[1][at]!), leaves: [[at], [at]], text: 'l < r' }
      : null,
    updating,
    on: 'keys',
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
  let unknown = 0;
  let port = 0;
  const rows = random.below(3) === 0 ? 20 : 20 + random.below(250);
  for (let i = 0; i < rows; i++) {
    if (random.below(3) === 0) port = 1 - port;
    const p = port as 0 | 1;
    const take = updating[p] && random.below(3) === 0;
    if (take && live[p].length > 0 && random.below(20) > 0) {
      const [row] = live[p].splice(random.below(live[p].length), 1);
      arrivals.push({ kind: 'row', row: row!, rowKind: random.below(2) === 0 ? 1 : 3, port });
      continue;
    }
    const row = inputs[p].map((column, leaf) => {
      const value = randomValue(random, column, spread);
      // Rows that lie in state in pieces.
      const long = hasLong && typeof value === 'string' && leaf > at && random.below(10) === 0;
      return long ? `${value}${'long '.repeat(300 + random.below(3) * 7000)}` : value;
    });
    if (take) {
      const others = [...output[p], ...(hasResidual ? [at] : [])];
      // Columns that nobody reads tell no rows apart, nor does the sign of a key's zero.
      const read = (of: TestRow): string =>
        textOf([...keys.map((key) => unsigned(of[key]!)), ...others.map((leaf) => of[leaf]!)]);
      if (live[p].some((other) => read(other) === read(row))) continue;
      // A row whose key matches nothing is not kept: whether it was there is not known.
      if (canMatch(row, keys)) unknown++;
      else continue;
      arrivals.push({ kind: 'row', row, rowKind: 3, port });
      continue;
    }
    live[p].push(row);
    arrivals.push({ kind: 'row', row, rowKind: updating[p] && random.below(3) === 0 ? 2 : 0, port });
  }
  const expected = joined(node, live).map((row) => textOf(row));
  return {
    name: `join, ${type}`,
    setup: { node, input: inputs[0], inputs, outputs: [outputs], bounded },
    arrivals,
    check(run: OperatorRun): void {
      const folded = new Map<string, number>();
      for (const change of run.out) {
        if (change.kind !== 'row') continue;
        const text = textOf(change.row);
        const adds = change.rowKind === 0 || change.rowKind === 2;
        assert(!bounded || change.rowKind === 0, 'a result of ended input that is no insert');
        const count = (folded.get(text) ?? 0) + (adds ? 1 : -1);
        assert(count >= 0, `taken back and not there: ${text}`);
        folded.set(text, count);
      }
      const result = [...folded].flatMap(([text, count]) => Array.from({ length: count }, () => text));
      assert.deepEqual(result.sort(), [...expected].sort());
      assert.equal(run.skipped, unknown, 'rows taken back that were never there');
    },
  };
}

const unsigned = (value: TestRow[number]): TestRow[number] => (value === 0 ? 0 : value);

export function lessThan(left: LayoutColumn, right: LayoutColumn): Expr {
  return {
    kind: 'call',
    fn: 'lt',
    args: [left, right].map(({ type, nullable }, index): Expr => ({ kind: 'column', index, type, nullable })),
    type: { kind: 'BOOLEAN' },
    nullable: left.nullable || right.nullable,
  };
}

const canMatch = (row: TestRow, keys: readonly number[]): boolean =>
  keys.every((key) => row[key] !== null && !Number.isNaN(row[key]));

export function joined(node: JoinNode, [left, right]: readonly (readonly TestRow[])[]): TestRow[] {
  const { type, keys, output, residual } = node;
  const matches = (l: TestRow, r: TestRow): boolean => {
    if (!canMatch(l, keys[0])) return false;
    // −0 is 0, and text is text.
    if (keys[0].some((key) => l[key] !== r[key])) return false;
    if (residual === null) return true;
    const [a, b] = residual.leaves.map(([leaf], side) => [l, r][side]![leaf!]!) as [TestRow[number], TestRow[number]];
    return a !== null && b !== null && a < b;
  };
  const result: TestRow[] = [];
  const pick = (row: TestRow | null, side: 0 | 1): TestRow => output[side].map((leaf) => row?.[leaf] ?? null);
  const unmet = new Set(right);
  for (const l of left!) {
    const met = right!.filter((r) => matches(l, r));
    for (const r of met) unmet.delete(r);
    if (type === 'semi' || type === 'anti') {
      if (met.length > 0 === (type === 'semi')) result.push(pick(l, 0));
      continue;
    }
    for (const r of met) result.push([...pick(l, 0), ...pick(r, 1)]);
    if (met.length === 0 && (type === 'left' || type === 'full')) result.push([...pick(l, 0), ...pick(null, 1)]);
  }
  if (type === 'right' || type === 'full') for (const r of unmet) result.push([...pick(null, 0), ...pick(r, 1)]);
  return result;
}

export const textOf = (row: TestRow): string =>
  row.map((v) => (typeof v === 'string' ? JSON.stringify(v) : Object.is(v, -0) ? '-0' : String(v))).join('|');
