/**
 * Random cases of the filter before a join with the maximum of its own windows: whatever may win passes, as does what is
 * late; what is less than a row before it does not, unless a restart or a barrier made the filter forget.
 */
import assert from 'node:assert/strict';
import type { Prng } from '../../core/base/prng.ts';
import { type Layout, type LayoutColumn, rowtimeColumn } from '../../core/record/layout.ts';
import { isComplete, windowMath } from '../../core/time/windows.ts';
import { compareValues, type OperatorCase, randomLayout, randomValue, rowsOf, textOf } from './operator-cases.ts';
import type { Arrival, TestRow } from './operator-harness.ts';

export const dynamicFilterCases: Readonly<Record<string, (random: Prng) => OperatorCase>> = {
  'dynamic filter': dynamicFilterCase,
};

const compared: readonly LayoutColumn[] = [
  { name: 'v', type: { kind: 'INT' }, storage: 'i32', nullable: true },
  { name: 'v', type: { kind: 'BIGINT', asBigInt: true }, storage: 'i64', nullable: false },
  { name: 'v', type: { kind: 'BIGINT', asBigInt: true }, storage: 'i64', nullable: true },
  { name: 'v', type: { kind: 'DOUBLE' }, storage: 'f64', nullable: true },
];

function dynamicFilterCase(random: Prng): OperatorCase {
  const groups = randomLayout(random, random.below(3)).map((column, i) => ({ ...column, name: `g${i}` }));
  const value = compared[random.below(compared.length)]!;
  const number = { name: 'number', type: { kind: 'BIGINT', asBigInt: true }, storage: 'i64', nullable: false } as const;
  const layout: Layout = [...groups, value, number, { ...rowtimeColumn }];
  const window =
    random.below(2) === 0
      ? ({ kind: 'tumble', sizeMs: 100, offsetMs: random.below(100) } as const)
      : ({ kind: 'hop', sizeMs: 300, slideMs: 200, offsetMs: random.below(200) } as const);
  const fn = random.below(2) === 0 ? 'max' : 'min';
  const sign = fn === 'max' ? 1 : -1;
  const at = groups.length;
  const { sliceEnd } = windowMath(window);

  interface Known {
    readonly row: TestRow;
    readonly late: boolean;
    /** Of the same slice and group. */
    readonly among: string;
  }
  const known: Known[] = [];
  const arrivals: Arrival[] = [];
  const spread = [2, 10, 1000][random.below(3)]!;
  let watermarkMs = Number.NEGATIVE_INFINITY;
  for (let i = 0, rows = random.below(600); i < rows; i++) {
    if (random.below(40) === 0) {
      watermarkMs = Math.max(watermarkMs, i - random.below(150));
      arrivals.push({ kind: 'watermark', timeMs: watermarkMs });
    }
    const time = i - random.below(200);
    const row: TestRow = [
      ...layout.slice(0, -2).map((column) => randomValue(random, column, spread)),
      BigInt(i),
      BigInt(time),
    ];
    const end = sliceEnd(time);
    const keys = row.slice(0, at).map((key) => (Object.is(key, -0) ? 0 : key));
    known.push({ row, late: isComplete(end, watermarkMs), among: `${end} ${textOf(keys)}` });
    arrivals.push({ kind: 'row', row });
  }
  const best = new Map<string, TestRow>();
  /** It is less than a row before it that is not late. */
  const beaten: boolean[] = [];
  for (const { row, late, among } of known) {
    const other = best.get(among);
    const order = other === undefined || row[at] === null ? 1 : sign * compareValues(row[at]!, other[at]!);
    beaten.push(order < 0 && !late);
    if (!late && row[at] !== null && order > 0) best.set(among, row);
  }
  return {
    name: 'dynamic filter',
    setup: {
      node: {
        kind: 'dynamicFilter',
        keys: groups.map((_, i) => i),
        call: {
          fn,
          arg: at,
          argType: value.type,
          argNullable: value.nullable,
          filter: null,
          type: value.type,
          nullable: true,
        },
        window,
        time: at + 2,
      },
      input: layout,
      outputs: [layout],
      bounded: false,
    },
    arrivals,
    check({ out, coverage }) {
      const left = rowsOf(out).map(({ row }) => textOf(row));
      let next = 0;
      known.forEach(({ row, late, among }, i) => {
        const text = textOf(row);
        const wins = row[at] !== null && best.has(among) && compareValues(row[at]!, best.get(among)![at]!) === 0;
        const passed = left[next] === text;
        if (passed) next++;
        if (late || wins) assert(passed, `row ${i} is missing: ${text}`);
        if (beaten[i] && coverage.restored + coverage.flushed === 0)
          assert(!passed, `row ${i} can win nothing: ${text}`);
      });
      assert.equal(next, left.length, 'rows come out that did not go in, or in another order');
    },
  };
}
