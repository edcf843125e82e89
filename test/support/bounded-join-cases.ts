/**
 * Random cases of joins whose state is bounded (docs/join-state.md): rows in any order, late ones among them, keys declared
 * never to repeat and some that do. The reference keeps everything: what is freed must not be missed.
 */
import assert from 'node:assert/strict';
import type { Prng } from '../../core/base/prng.ts';
import type { PhysicalNode, TimeBound } from '../../core/plan/physical.ts';
import type { Layout, LayoutColumn } from '../../core/record/layout.ts';
import { ticksPerMs } from '../../core/record/types.ts';
import type { TestValue } from './columns.ts';
import type { OperatorCase } from './operator-cases.ts';
import type { Arrival, OperatorRun, TestRow } from './operator-harness.ts';

type JoinNode = Extract<PhysicalNode, { kind: 'join' }>;

export const boundedJoinCases: Readonly<Record<string, (random: Prng) => OperatorCase>> = {
  'join, bounded': boundedJoinCase,
};

/** Leaves of the left side: an interval from `start` to `end`; of the right side, a moment `at`. */
const [key, number, start, end, text, passes] = [0, 1, 2, 3, 4, 5] as const;
const at = start;

function boundedJoinCase(random: Prng): OperatorCase {
  const precision = [0, 3, 6][random.below(3)] as number;
  const perMs = BigInt(ticksPerMs(precision));
  const column = (name: string, type: LayoutColumn['type'], storage: LayoutColumn['storage'], nullable = false) => ({
    name,
    type,
    storage,
    nullable,
  });
  const time = { kind: 'TIMESTAMP', precision } as const;
  const layout = (side: string): Layout => [
    column(`${side}Key`, { kind: 'VARCHAR' }, 'view', true),
    column(`${side}Number`, { kind: 'BIGINT' }, 'i64'),
    column(`${side}Start`, time, 'i64'),
    column(`${side}End`, time, 'i64', true),
    column(`${side}Text`, { kind: 'VARCHAR' }, 'view', true),
    column(`${side}Passes`, { kind: 'BOOLEAN' }, 'bit'),
  ];
  const inputs = [layout('left'), layout('right')] as const;
  const once = [random.below(2) === 0, random.below(2) === 0] as const;
  const known = once.map((is) => (is && random.below(2) === 0 ? passes : null));
  const timed = random.below(4) > 0 || !once.includes(true);
  // left.start <= right.at and right.at <= left.end, where event time is that of start and of at, or less is known of them.
  const shifts = [0, 1].map(() => [0, 0, -5, -1][random.below(4)] as number);
  const bound = (leaf: number, side: 0 | 1): TimeBound => ({ leaf, plusMs: shifts[side]! });
  const none = [[], []] as const;
  const node: JoinNode = {
    kind: 'join',
    type: 'inner',
    keys: [[key], [key]],
    output: [
      [number, start, end, text],
      [number, at, text],
    ],
    residual: null,
    updating: [false, false],
    on: 'keys',
    bounds: {
      dies: timed ? [[bound(end, 1)], [bound(at, 0)]] : none,
      time: timed ? [start, at] : [null, null],
      late: [timed, timed],
      once,
      known: [known[0]!, known[1]!],
    },
  };

  const behind = (value: TestValue, plusMs: number, timeMs: number): boolean => {
    const ms = value === null ? null : floor(value as bigint, perMs);
    return ms === null || ms <= BigInt(timeMs + plusMs);
  };
  const live: [TestRow[], TestRow[]] = [[], []];
  const arrivals: Arrival[] = [];
  let [timeMs, late, repeats, port, count] = [Number.MIN_SAFE_INTEGER, 0, 0, 0, 0];
  const rows = [30, 300, 900][random.below(3)] as number;
  const spread = 3 + random.below(20);
  for (let i = 0; i < rows; i++) {
    if (random.below(4) === 0) port = 1 - port;
    if (timed && random.below(6) === 0) {
      const next = i - 20 + random.below(15);
      if (next > timeMs) arrivals.push({ kind: 'watermark', timeMs: next });
      timeMs = Math.max(timeMs, next);
    }
    const p = port as 0 | 1;
    const fresh = once[p] && random.below(8) > 0;
    const name =
      random.below(15) === 0
        ? null
        : `key of ${fresh ? count++ : random.below(once[0] || once[1] ? count + 1 : spread)}`;
    const begin = BigInt(i - 15 + random.below(20)) * perMs + (perMs > 1n ? BigInt(random.below(3)) : 0n);
    const row: TestRow = [
      name,
      BigInt(i),
      begin,
      random.below(10) === 0 ? null : begin + BigInt(random.below(30)) * perMs,
      [null, 'short', 'longer than a view holds', 'long '.repeat(random.below(12) === 0 ? 900 : 5)][random.below(4)]!,
      known[p] === null || random.below(3) > 0,
    ];
    const earlier = once[p] && name !== null ? live[p].find((other) => other[key] === name) : undefined;
    const isLate = timed && timeMs !== Number.MIN_SAFE_INTEGER && behind(begin, 0, timeMs);
    if (earlier && !isLate) {
      // Once it may have been freed, nobody can tell that a key repeats; where both are alone, that is when they met.
      const dies = p === 0 ? earlier[end]! : earlier[at]!;
      if (once[1 - p] || (timed && behind(dies, shifts[1 - p]!, timeMs))) continue;
      repeats++;
    } else if (isLate && name !== null) late++;
    arrivals.push({ kind: 'row', row, port });
    if (!earlier && !isLate) live[p].push(row);
  }
  const pair = (l: TestRow, r: TestRow): string => `${l[number]} ${r[number]}`;
  const equal = (l: TestRow, r: TestRow): boolean => l[key] !== null && l[key] === r[key];
  const shows = (row: TestRow): boolean => row[passes] === true;
  const meets = (l: TestRow, r: TestRow): boolean =>
    l[start]! <= r[at]! && l[end] !== null && (r[at] as bigint) <= (l[end] as bigint);
  const pairs = live[0].flatMap((l) =>
    live[1].flatMap((r) => (equal(l, r) && shows(l) && shows(r) ? [[l, r] as const] : [])),
  );
  const must = pairs.filter(([l, r]) => !timed || meets(l, r)).map(([l, r]) => pair(l, r));
  const may = new Set(pairs.map(([l, r]) => pair(l, r)));
  const byNumber = new Map(live.flat().map((row) => [row[number], row]));
  return {
    name: 'join, bounded',
    setup: {
      node,
      input: inputs[0],
      inputs,
      outputs: [node.output.flatMap((leaves, i) => leaves.map((leaf) => inputs[i as 0 | 1][leaf]!))],
      bounded: false,
    },
    arrivals,
    check(run: OperatorRun): void {
      const found: string[] = [];
      for (const change of run.out) {
        if (change.kind !== 'row') continue;
        const { row } = change;
        const [l, r] = [byNumber.get(row[0]!)!, byNumber.get(row[4]!)!];
        assert(l && r, `rows that are in no result: ${row}`);
        assert.deepEqual(row, [l[number], l[start], l[end], l[text], r[number], r[at], r[text]]);
        assert(may.has(pair(l, r)), `rows that do not meet: ${row}`);
        if (!timed || meets(l, r)) found.push(pair(l, r));
      }
      assert.deepEqual(found.sort(), must.sort());
      assert.equal(run.late, late, 'late rows');
      assert.equal(run.skipped, repeats, 'keys that repeat');
    },
  };
}

function floor(value: bigint, by: bigint): bigint {
  const whole = value / by;
  return value < 0n && whole * by !== value ? whole - 1n : whole;
}
