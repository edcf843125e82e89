/**
 * Random cases of OVER: rows in the order of event time, rows that come and go, and input that ends; every frame, against results that
 * are computed from scratch for each row.
 */
import assert from 'node:assert/strict';
import type { Prng } from '../../core/base/prng.ts';
import { bindAggregate } from '../../core/expr/bind.ts';
import type { AggregateCall, OverFrame } from '../../core/expr/tree.ts';
import { type Layout, type LayoutColumn, layoutOf, rowtimeColumn } from '../../core/record/layout.ts';
import { aggregated, layout as ownLayout, randomCalls, randomRows } from './aggregate-cases.ts';
import type { TestValue } from './columns.ts';
import type { OperatorCase } from './operator-cases.ts';
import { compareRows, rowsOf, textOf } from './operator-cases.ts';
import type { Arrival, TestRow } from './operator-harness.ts';

export const overCases: Readonly<Record<string, (random: Prng) => OperatorCase>> = {
  'over, in order': inOrderCase,
  'over, retracting': retractingCase,
  'over, at the end': atEndCase,
};

interface Parts {
  readonly input: Layout;
  readonly output: Layout;
  readonly rows: readonly TestRow[];
  readonly partitionBy: readonly number[];
  readonly by: readonly number[];
  readonly frame: OverFrame;
  readonly calls: readonly AggregateCall[];
}

const timeAt = ownLayout.length;

function partsOf(random: Prng, timed: boolean): Parts {
  const at: LayoutColumn = { name: 'at', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: !timed, storage: 'i64' };
  const input = [...ownLayout, at, ...(timed ? [rowtimeColumn] : [])];
  const spread = [3, 60, 100_000][random.below(3)] as number;
  const rows = randomRows(random, 700).map((row): TestRow => {
    const time = BigInt(random.below(spread)) - 2n;
    return [...row, !timed && random.below(20) === 0 ? null : time, ...(timed ? [time] : [])];
  });
  const unit = random.below(2) === 0 ? 'rows' : 'range';
  const preceding = [null, 0, 2, 10, 45][random.below(5)] as number | null;
  // By rows, an order that leaves no choice.
  const others = ownLayout.map((_, leaf) => leaf);
  const by =
    unit === 'rows' ? [timeAt, ...others] : preceding === null && random.below(2) === 0 ? [timeAt, 4] : [timeAt];
  const asked = randomCalls(random, true).filter(
    ({ fn, argType }) => !((fn === 'min' || fn === 'max') && argType?.kind === 'VARCHAR'),
  );
  const none = { fn: 'count', arg: null, argType: null, filter: null } as const;
  const calls =
    asked.length > 0
      ? asked
      : [{ ...none, ...bindAggregate('count', null, { nullable: false, filtered: false, keyed: true }) }];
  const results = layoutOf(calls.map(({ type, nullable }, i) => ({ name: `o${i}`, type, nullable })));
  const output = [...input.slice(0, timeAt + 1), ...results, ...input.slice(timeAt + 1)];
  const partitionBy = [[], [0], [4, 3], [2]][random.below(4)] as number[];
  return { input, output, rows, partitionBy, by, frame: { unit, preceding }, calls };
}

/** Every row with its results, from scratch. */
function expectedOf({ partitionBy, by, frame, calls }: Parts, rows: readonly TestRow[]): string[] {
  const partitions = new Map<string, TestRow[]>();
  for (const row of rows) {
    const key = textOf(partitionBy.map((leaf) => row[leaf] as TestValue));
    partitions.set(key, [...(partitions.get(key) ?? []), row]);
  }
  const order = compareRows(by.map((column) => ({ column, descending: false })));
  return [...partitions.values()].flatMap((partition) => {
    const sorted = partition.toSorted(order);
    return sorted.map((row, i) => {
      const inFrame = (other: TestRow, j: number): boolean => {
        if (frame.unit === 'rows') return j <= i && (frame.preceding === null || j >= i - frame.preceding);
        if (order(other, row) > 0) return false;
        if (frame.preceding === null) return true;
        const [time, its] = [row[timeAt] as bigint | null, other[timeAt] as bigint | null];
        return time === null || its === null ? time === its : its >= time - BigInt(frame.preceding);
      };
      const results = calls.map((call) => aggregated(call, sorted.filter(inFrame)));
      return textOf([...row.slice(0, timeAt + 1), ...results, ...row.slice(timeAt + 1)]);
    });
  });
}

const setupOf = ({ input, output, partitionBy, by, frame, calls }: Parts, bounded: boolean, updating: boolean) => ({
  node: { kind: 'over', partitionBy, by, frame, calls, ...(updating ? { updating: true as const } : {}) } as const,
  input,
  outputs: [output],
  bounded,
});

function inOrderCase(random: Prng): OperatorCase {
  const parts = partsOf(random, true);
  const arrivals: Arrival[] = [];
  const inTime: TestRow[] = [];
  let sentMs = Number.NEGATIVE_INFINITY;
  let late = 0;
  const most = parts.rows.reduce((greatest, row) => Math.max(greatest, Number(row[timeAt])), 0);
  const shuffled =
    random.below(2) === 0 ? parts.rows : parts.rows.toSorted(compareRows([{ column: timeAt, descending: false }]));
  for (const row of shuffled) {
    arrivals.push({ kind: 'row', row });
    if (Number(row[timeAt]) <= sentMs) late++;
    else inTime.push(row);
    if (random.below(20) > 0) continue;
    sentMs = Math.max(
      sentMs,
      random.below(2) === 0 ? Number(row[timeAt]) : Math.floor((most * inTime.length) / parts.rows.length) - 3,
    );
    arrivals.push({ kind: 'watermark', timeMs: sentMs });
  }
  return {
    name: 'over, in order',
    setup: setupOf(parts, false, false),
    arrivals,
    check(run) {
      const got = rowsOf(run.out);
      assert(got.every(({ rowKind }) => rowKind === 0));
      assert.deepEqual(got.map(({ row }) => textOf(row)).toSorted(), expectedOf(parts, inTime).toSorted());
      assert.equal(run.late, late);
    },
  };
}

function retractingCase(random: Prng): OperatorCase {
  const parts = partsOf(random, random.below(2) === 0);
  const live: TestRow[] = [];
  const arrivals: Arrival[] = [];
  let unknown = 0;
  for (const row of parts.rows.slice(0, 300)) {
    live.push(row);
    arrivals.push({ kind: 'row', row, rowKind: random.below(2) * 2 });
    while (live.length > 0 && random.below(3) === 0) {
      const [gone] = live.splice(random.below(live.length), 1);
      arrivals.push({ kind: 'row', row: gone!, rowKind: 1 + random.below(2) * 2 });
      if (random.below(10) > 0 || live.some((other) => textOf(other) === textOf(gone!))) continue;
      arrivals.push({ kind: 'row', row: gone!, rowKind: 3 });
      unknown++;
    }
  }
  return {
    name: 'over, retracting',
    setup: setupOf(parts, false, true),
    arrivals,
    check({ out, skipped }) {
      const held = new Map<string, number>();
      for (const { row, rowKind } of rowsOf(out)) {
        const text = textOf(row);
        const count = (held.get(text) ?? 0) + (rowKind % 2 === 0 ? 1 : -1);
        assert(count >= 0, `${text} is taken away before it came`);
        held.set(text, count);
      }
      const got = [...held].flatMap(([text, count]) => Array.from({ length: count }, () => text));
      assert.deepEqual(got.toSorted(), expectedOf(parts, live).toSorted());
      assert.equal(skipped, unknown, 'rows taken back that were never there');
    },
  };
}

function atEndCase(random: Prng): OperatorCase {
  const parts = partsOf(random, random.below(2) === 0);
  return {
    name: 'over, at the end',
    setup: setupOf(parts, true, false),
    arrivals: parts.rows.map((row): Arrival => ({ kind: 'row', row })),
    check({ out }) {
      const got = rowsOf(out);
      assert(got.every(({ rowKind }) => rowKind === 0));
      assert.deepEqual(got.map(({ row }) => textOf(row)).toSorted(), expectedOf(parts, parts.rows).toSorted());
    },
  };
}
