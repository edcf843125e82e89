/**
 * Random cases of joins that go by event time, interval joins and as-of joins, against loops over all rows that were not late: what
 * comes out is final.
 */
import assert from 'node:assert/strict';
import type { Prng } from '../../core/base/prng.ts';
import type { Expr } from '../../core/expr/tree.ts';
import type { JoinType } from '../../core/plan/nodes.ts';
import type { PhysicalNode } from '../../core/plan/physical.ts';
import { type Layout, type LayoutColumn, rowtimeColumn } from '../../core/record/layout.ts';
import type { DataType } from '../../core/record/types.ts';
import { joinTypes, missingSides, textOf } from './join-cases.ts';
import { type OperatorCase, randomLayout, randomValue } from './operator-cases.ts';
import type { Arrival, OperatorRun, TestRow } from './operator-harness.ts';

type JoinNode = Extract<PhysicalNode, { kind: 'join' }>;

/** Cases by name; each makes one from chance. */
export const timedJoinCases: Readonly<Record<string, (random: Prng) => OperatorCase>> = Object.fromEntries([
  ...joinTypes
    .filter((type) => type !== 'inner')
    .map((type) => [`interval join, ${type}`, (random: Prng) => timedJoinCase('within', type, random)] as const),
  ...(['inner', 'left'] as const).map(
    (type) => [`as-of join, ${type}`, (random: Prng) => timedJoinCase('asOf', type, random)] as const,
  ),
]);

function timedJoinCase(kind: 'within' | 'asOf', type: JoinType, random: Prng): OperatorCase {
  const bounded = random.below(4) === 0;
  const keyTypes = randomLayout(random, 1 + random.below(2));
  const spread = 2 + random.below(4);
  const number = { name: 'number', type: { kind: 'BIGINT' }, storage: 'i64', nullable: false } as const;
  const side = (name: string): Layout => [
    rowtimeColumn,
    ...keyTypes.map((key, i): LayoutColumn => ({ ...key, name: `${name}Key${i}`, nullable: random.below(2) === 0 })),
    number,
    ...randomLayout(random, random.below(4)).map((column, i) => ({ ...column, name: `${name}${i}` })),
  ];
  const inputs = [side('left'), side('right')] as const;
  const keys = keyTypes.map((_, i) => i + 1);
  const at = keys.length + 1;
  const shown = (layout: Layout): number[] => layout.flatMap((_, i) => (i === at || random.below(4) > 0 ? [i] : []));
  const output = [shown(inputs[0]), type === 'semi' || type === 'anti' ? [] : shown(inputs[1])] as const;
  const fromMs = random.below(60) - 40;
  const toMs = fromMs + random.below(50);
  const toleranceMs = random.below(2) === 0 ? null : random.below(60);
  const less = random.below(2) === 0;
  const conditions = [...(kind === 'within' ? between(fromMs, toMs) : []), ...(less ? [lessOf(2, 3)] : [])];
  const node: JoinNode = {
    kind: 'join',
    type,
    keys: [keys, keys],
    output,
    residual:
      conditions.length === 0
        ? null
        : {
            condition: all(conditions),
            leaves: [
              [0, at],
              [at, 0],
            ],
            text: '…',
          },
    updating: [false, false],
    ...(kind === 'within' ? { within: { times: [0, 0], fromMs, toMs } } : { asOf: { times: [0, 0], toleranceMs } }),
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
  const long = random.below(6) === 0;
  const versions = new Set<string>();
  let watermarkMs = Number.NEGATIVE_INFINITY;
  let nowMs = -50;
  let late = 0;
  const rows = 20 + random.below(300);
  for (let i = 0; i < rows; i++) {
    if (random.below(12) === 0) {
      nowMs += random.below(40);
      watermarkMs = Math.max(watermarkMs, nowMs);
      arrivals.push({ kind: 'watermark', timeMs: watermarkMs });
    }
    const port = random.below(2) as 0 | 1;
    const row = inputs[port].map((column, leaf) => {
      if (leaf === 0) return BigInt(nowMs + random.below(80) - 10);
      const value = randomValue(random, column, spread);
      return long && typeof value === 'string' && leaf > at && random.below(10) === 0
        ? `${value}${'long '.repeat(300 + random.below(3) * 7000)}`
        : value;
    });
    if (kind === 'asOf' && port === 1) {
      // Of two versions of one moment the one that came later counts; which that is nobody says who reads several channels.
      const version = textOf([row[0]!, ...keys.map((key) => (Object.is(row[key], -0) ? 0 : row[key]!))]);
      if (versions.has(version)) continue;
      versions.add(version);
    }
    arrivals.push({ kind: 'row', row, port });
    if (!bounded && Number(row[0]) <= watermarkMs) late++;
    else live[port].push(row);
  }
  const lessIn = (l: TestRow, r: TestRow): boolean => !less || (l[at] as bigint) < (r[at] as bigint);
  const within = (l: TestRow, r: TestRow): boolean => {
    const ms = Number(r[0]) - Number(l[0]);
    return fromMs <= ms && ms <= toMs && lessIn(l, r);
  };
  const equal = (l: TestRow, r: TestRow): boolean =>
    keys.every((key) => l[key] !== null && !Number.isNaN(l[key]) && l[key] === r[key]);
  const metBy = (l: TestRow): TestRow[] => {
    const same = live[1].filter((r) => equal(l, r));
    if (kind === 'within') return same.filter((r) => within(l, r));
    const earlier = same.filter((r) => Number(r[0]) <= Number(l[0]));
    const version = earlier.reduce<TestRow | null>(
      (last, r) => (last && Number(last[0]) > Number(r[0]) ? last : r),
      null,
    );
    if (version === null || !lessIn(l, version)) return [];
    return toleranceMs !== null && Number(l[0]) - Number(version[0]) > toleranceMs ? [] : [version];
  };
  const expected = results(node, live, metBy).map(textOf);
  return {
    name: `${kind} join, ${type}`,
    setup: { node, input: inputs[0], inputs, outputs: [outputs], bounded },
    arrivals,
    check(run: OperatorRun): void {
      const rowsOut = run.out.flatMap((change) => (change.kind === 'row' ? [change] : []));
      assert(rowsOut.every(({ rowKind }) => rowKind === 0));
      assert.deepEqual(rowsOut.map(({ row }) => textOf(row)).sort(), [...expected].sort());
      assert.equal(run.late, late);
    },
  };
}

function results(
  { type, output }: JoinNode,
  [left, right]: readonly [readonly TestRow[], readonly TestRow[]],
  metBy: (left: TestRow) => readonly TestRow[],
): TestRow[] {
  const pick = (row: TestRow | null, side: 0 | 1): TestRow => output[side].map((leaf) => row?.[leaf] ?? null);
  const unmet = new Set(right);
  const result: TestRow[] = [];
  for (const l of left) {
    const met = metBy(l);
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

const boolean: DataType = { kind: 'BOOLEAN' };
const time = (index: number): Expr => ({ kind: 'column', index, type: rowtimeColumn.type, nullable: false });
const numberAt = (index: number): Expr => ({ kind: 'column', index, type: { kind: 'BIGINT' }, nullable: false });
const call = (fn: string, args: readonly Expr[], type: DataType): Expr => ({
  kind: 'call',
  fn,
  args,
  type,
  nullable: false,
});
const all = ([first, ...rest]: readonly Expr[]): Expr => rest.reduce((a, b) => call('and', [a, b], boolean), first!);
const lessOf = (left: number, right: number): Expr => call('lt', [numberAt(left - 1), numberAt(right - 1)], boolean);

/** Of the residual's leaves: left time, left number, right number, right time. */
function between(fromMs: number, toMs: number): Expr[] {
  const shifted = (ms: number): Expr =>
    call(
      ms < 0 ? 'minus' : 'plus',
      [
        time(0),
        { kind: 'literal', value: String(Math.abs(ms)), type: { kind: 'INTERVAL', of: 'DAY_TIME' }, nullable: false },
      ],
      rowtimeColumn.type,
    );
  return [call('gte', [time(3), shifted(fromMs)], boolean), call('lte', [time(3), shifted(toMs)], boolean)];
}
