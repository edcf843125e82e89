/**
 * Random cases of filters, projections and aggregates, with plain references. Doubles are multiples of 1/4, so that sums
 * do not depend on their order.
 */
import assert from 'node:assert/strict';
import type { Prng } from '../../core/base/prng.ts';
import { bind, bindAggregate } from '../../core/expr/bind.ts';
import type { AggregateCall, AggregateName, UnboundExpr } from '../../core/expr/tree.ts';
import type { WindowSpec } from '../../core/plan/nodes.ts';
import { type Layout, type LayoutColumn, rowtimeColumn } from '../../core/record/layout.ts';
import type { DataType } from '../../core/record/types.ts';
import type { TestValue } from './columns.ts';
import type { OperatorCase } from './operator-cases.ts';
import { compareValues, rowsOf, textOf } from './operator-cases.ts';
import type { Arrival, Departure, TestRow } from './operator-harness.ts';

export const aggregateCases: Readonly<Record<string, (random: Prng) => OperatorCase>> = {
  project: projectCase,
  'aggregate, at the end': (random) => groupedCase(random, true),
  'aggregate, updating': (random) => groupedCase(random, false),
  'aggregate, retracting': retractingCase,
  'aggregate of windows': (random) => windowedCase(random, 0),
  'aggregate of windows, corrected': (random) => windowedCase(random, 1 + random.below(400)),
};

const column = (
  name: string,
  kind: 'BIGINT' | 'DOUBLE' | 'VARCHAR' | 'BOOLEAN' | 'INT',
  nullable = true,
): LayoutColumn => {
  const storage = ({ BIGINT: 'i64', DOUBLE: 'f64', VARCHAR: 'view', BOOLEAN: 'bit', INT: 'i32' } as const)[kind];
  return { name, type: { kind } as DataType, nullable, storage };
};
export const layout: Layout = [
  column('n', 'BIGINT'),
  column('x', 'DOUBLE'),
  column('s', 'VARCHAR'),
  column('f', 'BOOLEAN'),
  column('i', 'INT', false),
];

export function randomRows(random: Prng, most = 1200): TestRow[] {
  const spread = [2, 12, 5000][random.below(3)] as number;
  const maybe = (value: TestValue): TestValue => (random.below(6) === 0 ? null : value);
  return Array.from({ length: [0, 1, 30, most][random.below(4)] as number }, () => [
    maybe(BigInt(random.below(spread)) - 1n),
    maybe((random.below(spread * 4) - 10) / 4),
    maybe(random.below(2) === 0 ? `s${random.below(spread)}` : `a longer string, number ${random.below(spread)}`),
    maybe(random.below(2) === 0),
    BigInt(random.below(spread)),
  ]);
}

// ── project ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const col = (...path: string[]): UnboundExpr => ({ kind: 'column', path });
const lit = (value: number | string): UnboundExpr => ({ kind: 'literal', value, type: null });
const call = (fn: string, ...args: UnboundExpr[]): UnboundExpr => ({ kind: 'call', fn, args });

function projectCase(random: Prng): OperatorCase {
  const rows = randomRows(random, 5000);
  const threshold = random.below(10);
  const filters: [UnboundExpr | null, (row: TestRow) => boolean][] = [
    [null, () => true],
    [call('gt', col('n'), lit(threshold)), ([n]) => n !== null && (n as bigint) > BigInt(threshold)],
    [call('or', col('f'), call('isNull', col('s'))), ([, , s, f]) => f === true || s === null],
    [call('like', col('s'), lit('%1%')), ([, , s]) => s !== null && (s as string).includes('1')],
  ];
  const [filter, keeps] = filters[random.below(filters.length)] as (typeof filters)[number];
  const all: [UnboundExpr, (row: TestRow) => TestValue][] = [
    [col('s'), ([, , s]) => s as TestValue],
    [call('plus', col('n'), lit(1)), ([n]) => (n === null ? null : (n as bigint) + 1n)],
    [call('times', col('x'), lit(2)), ([, x]) => (x === null ? null : (x as number) * 2)],
    [call('upper', col('s')), ([, , s]) => (s === null ? null : (s as string).toUpperCase())],
    [call('coalesce', col('n'), lit(-7)), ([n]) => n ?? -7n],
    [call('not', col('f')), ([, , , f]) => (f === null ? null : !f)],
    [col('i'), ([, , , , i]) => i as TestValue],
  ];
  const chosen = Array.from(
    { length: 1 + random.below(6) },
    () => all[random.below(all.length)] as (typeof all)[number],
  );
  const columns = chosen.map(([expr]) => bind(expr, layout));
  const storages = { BIGINT: 'i64', DOUBLE: 'f64', VARCHAR: 'view', BOOLEAN: 'bit', INT: 'i32' } as const;
  const output = columns.map(({ type, nullable }, k): LayoutColumn => {
    return { name: `o${k}`, type, nullable, storage: storages[type.kind as keyof typeof storages] };
  });
  const kinds = rows.map(() => random.below(4));
  return {
    name: 'project',
    setup: {
      node: { kind: 'project', filter: filter && bind(filter, layout), columns },
      input: layout,
      outputs: [output],
      bounded: false,
    },
    arrivals: rows.map((row, k): Arrival => ({ kind: 'row', row, rowKind: kinds[k] as number })),
    check({ out }) {
      const expected = rows.flatMap((row, k) =>
        keeps(row) ? `${kinds[k]} ${textOf(chosen.map(([, of]) => of(row)))}` : [],
      );
      assert.deepEqual(
        rowsOf(out).map(({ row, rowKind }) => `${rowKind} ${textOf(row)}`),
        expected,
      );
    },
  };
}

// ── aggregates ──────────────────────────────────────────────────────────────────────────────────────────────────────

export function randomCalls(random: Prng, keyed: boolean, distinct = false): AggregateCall[] {
  const makes: [AggregateName, number | null][] = [
    ['count', null],
    ['count', 2],
    ['sum', 0],
    ['sum', 1],
    ['sum', 4],
    ['avg', 0],
    ['avg', 1],
    ['min', 0],
    ['max', 1],
    ['min', 4],
    ['min', 2],
    ['max', 2],
  ];
  return Array.from({ length: random.below(distinct ? 8 : 5) }, () => {
    const [fn, arg] = makes[random.below(makes.length)] as (typeof makes)[number];
    const filter = random.below(4) === 0 ? 3 : null;
    const argColumn = arg === null ? null : (layout[arg] as LayoutColumn);
    const argType = argColumn?.type ?? null;
    const nullable = argColumn?.nullable ?? false;
    const different = distinct && arg !== null && fn !== 'min' && fn !== 'max' && random.below(2) === 0;
    const of = { fn, arg, argType, filter, ...(different ? { distinct: true as const } : {}) };
    return { ...of, ...bindAggregate(fn, argType, { nullable, filtered: filter !== null, keyed }) };
  });
}

export function aggregated({ fn, arg, filter, distinct }: AggregateCall, rows: readonly TestRow[]): TestValue {
  const counted = rows.filter((row) => filter === null || row[filter] === true);
  if (arg === null) return BigInt(counted.length);
  const given = counted.map((row) => row[arg] as TestValue).filter((value) => value !== null);
  const values = distinct ? [...new Set(given)] : given;
  if (fn === 'count') return BigInt(values.length);
  if (values.length === 0) return null;
  if (fn === 'min' || fn === 'max') {
    const sorted = values.toSorted(compareValues);
    return (fn === 'min' ? sorted[0] : sorted.at(-1)) as TestValue;
  }
  const isDouble = typeof values[0] === 'number';
  const sum = isDouble
    ? (values as number[]).reduce((a, b) => a + b, 0)
    : (values as bigint[]).reduce((a, b) => a + b, 0n);
  return fn === 'sum' ? sum : Number(sum) / values.length;
}

const storageOfType = (type: DataType): LayoutColumn['storage'] =>
  (({ BIGINT: 'i64', DOUBLE: 'f64', VARCHAR: 'view', INT: 'i32', BOOLEAN: 'bit' }) as const)[type.kind as 'BIGINT'];
export const callColumns = (calls: readonly AggregateCall[]): Layout =>
  calls.map(({ type, nullable }, k) => ({ name: `a${k}`, type, nullable, storage: storageOfType(type) }));

/** −0 is 0: they are one key, and either may be shown. */
export const shown = (row: TestRow): string => textOf(row.map((value) => (value === 0 ? 0 : value)));

function groupsOf(rows: readonly TestRow[], keys: readonly number[]): Map<string, TestRow[]> {
  const groups = new Map<string, TestRow[]>();
  for (const row of rows) {
    const key = shown(keys.map((k) => row[k] as TestValue));
    const group = groups.get(key);
    if (group) group.push(row);
    else groups.set(key, [row]);
  }
  return groups;
}

export const randomKeys = (random: Prng): number[] =>
  [...new Set(Array.from({ length: random.below(4) }, () => random.below(5)))].toSorted();

function groupedCase(random: Prng, bounded: boolean): OperatorCase {
  const keys = randomKeys(random);
  const calls = randomCalls(random, keys.length > 0, true);
  if (keys.length === 0 && calls.length === 0) return groupedCase(random, bounded);
  const rows = randomRows(random);
  return {
    name: 'aggregate',
    setup: {
      node: { kind: 'aggregate', phase: 'single', keys, calls, window: null, time: null, allowedLatenessMs: 0 },
      input: layout,
      outputs: [[...keys.map((k) => layout[k] as LayoutColumn), ...callColumns(calls)]],
      bounded,
    },
    arrivals: rows.map((row): Arrival => ({ kind: 'row', row })),
    check({ out }) {
      const groups = [...groupsOf(rows, keys).values()];
      if (keys.length === 0 && rows.length === 0) groups.push([]);
      const expected = groups.map((group) => {
        return shown([...keys.map((k) => group[0]?.[k] as TestValue), ...calls.map((of) => aggregated(of, group))]);
      });
      assert.deepEqual(held(out).toSorted(), expected.toSorted());
      if (bounded) assert(rowsOf(out).every(({ rowKind }) => rowKind === 0));
    },
  };
}

/**
 * Rows come and go in any valid order. Told is each change of each group, by itself: never what it was again. A row taken
 * back that was never there is counted, where its group has none.
 */
function retractingCase(random: Prng): OperatorCase {
  const keys = randomKeys(random);
  const calls = randomCalls(random, keys.length > 0, true);
  if (keys.length === 0 && calls.length === 0) return retractingCase(random);
  const live: TestRow[] = [];
  const arrivals: Arrival[] = [];
  let unknown = 0;
  const takes = 2 + random.below(3);
  for (const row of randomRows(random, 600)) {
    live.push(row);
    arrivals.push({ kind: 'row', row, rowKind: random.below(2) * 2 });
    while (live.length > 0 && random.below(takes) === 0) {
      const at = random.below(live.length);
      const gone = live[at] as TestRow;
      live[at] = live.at(-1) as TestRow;
      live.pop();
      arrivals.push({ kind: 'row', row: gone, rowKind: 1 + random.below(2) * 2 });
    }
    if (!keys.includes(0) || random.below(20) > 0) continue;
    arrivals.push({ kind: 'row', row: [1_000_000n + BigInt(unknown++), ...row.slice(1)], rowKind: 3 });
  }
  const node = { kind: 'aggregate', phase: 'single', keys, calls, window: null, time: null } as const;
  return {
    name: 'aggregate, retracting',
    setup: {
      node: { ...node, allowedLatenessMs: 0, updating: true },
      input: layout,
      outputs: [[...keys.map((k) => layout[k] as LayoutColumn), ...callColumns(calls)]],
      bounded: false,
    },
    arrivals,
    check({ out, skipped }) {
      const groups = [...groupsOf(live, keys).values()];
      if (keys.length === 0 && arrivals.length === 0) groups.push([]);
      const expected = groups.map((group) => {
        return shown([...keys.map((k) => group[0]?.[k] as TestValue), ...calls.map((of) => aggregated(of, group))]);
      });
      assert.deepEqual(told(out, keys.length).toSorted(), expected.toSorted());
      assert.equal(skipped, unknown, 'rows taken back that were never there');
    },
  };
}

/** What changes by key come to: each is of what is there, in order, and changes it. */
export function told(out: readonly Departure[], keys: number): string[] {
  const held = new Map<string, string>();
  const between = new Map<string, string>();
  for (const { row, rowKind } of rowsOf(out)) {
    const key = shown(row.slice(0, keys));
    const text = shown(row);
    if (rowKind % 2 === 1) {
      assert.equal(text, held.get(key), 'what is taken away is what was there');
      held.delete(key);
      if (rowKind === 1) between.set(key, text);
      continue;
    }
    assert(!held.has(key), `${text} comes where ${held.get(key)} is`);
    assert.equal(rowKind === 2, between.has(key), '+U behind −U, and +I where nothing was');
    assert.notEqual(between.get(key), text, 'what is as it was is no change');
    between.delete(key);
    held.set(key, text);
  }
  assert.equal(between.size, 0, '−U without +U');
  return [...held.values()];
}

/** What a changelog comes to. */
export function held(out: readonly Departure[]): string[] {
  const counts = new Map<string, number>();
  for (const { row, rowKind, port } of rowsOf(out)) {
    if (port !== 0) continue;
    const text = shown(row);
    const count = (counts.get(text) ?? 0) + (rowKind % 2 === 0 ? 1 : -1);
    counts.set(text, count);
  }
  return [...counts].flatMap(([text, count]) => {
    assert(count >= 0, `${text} was taken away more often than it came`);
    return Array<string>(count).fill(text);
  });
}

function windowedCase(random: Prng, allowedLatenessMs: number): OperatorCase {
  const slideMs = 10 * (1 + random.below(10));
  const sizeMs = slideMs * (1 + random.below(4));
  const offsetMs = random.below(2) === 0 ? 0 : 5;
  const window: WindowSpec =
    random.below(2) === 0 ? { kind: 'tumble', sizeMs, offsetMs } : { kind: 'hop', sizeMs, slideMs, offsetMs };
  const slide = window.kind === 'hop' ? slideMs : sizeMs;
  const endsOf = (timeMs: number): number[] => {
    const ends: number[] = [];
    const last = Math.floor((timeMs - offsetMs) / slide) * slide + offsetMs;
    for (let start = last; start > timeMs - sizeMs; start -= slide) ends.push(start + sizeMs);
    return ends;
  };
  const keys = randomKeys(random);
  const calls = randomCalls(random, true);
  const arrivals: Arrival[] = [];
  const windows = new Map<number, TestRow[]>();
  const late: string[] = [];
  let nowMs = random.below(1000) - 2000;
  let sentMs = Number.NEGATIVE_INFINITY;
  for (const row of randomRows(random)) {
    if (random.below(25) === 0) {
      nowMs += random.below(60);
      sentMs = nowMs;
      arrivals.push({ kind: 'watermark', timeMs: sentMs });
    }
    const timeMs = nowMs + random.below(120) - 40;
    const timed = [...row, BigInt(timeMs)];
    arrivals.push({ kind: 'row', row: timed });
    const open = endsOf(timeMs).filter((end) => end - 1 + allowedLatenessMs > sentMs);
    if (open.length === 0) late.push(textOf(timed));
    for (const end of open) windows.set(end, [...(windows.get(end) ?? []), timed]);
  }
  const input = [...layout, rowtimeColumn];
  const windowColumns = ['window.start', 'window.end'].map((name) => ({ ...rowtimeColumn, name }));
  const keyColumns = keys.map((k) => layout[k] as LayoutColumn);
  return {
    name: 'aggregate of windows',
    setup: {
      node: { kind: 'aggregate', phase: 'single', keys, calls, window, time: 5, allowedLatenessMs },
      input,
      outputs: [[...keyColumns, ...windowColumns, ...callColumns(calls), rowtimeColumn], input],
      bounded: false,
    },
    arrivals,
    check(run) {
      const expected = [...windows].flatMap(([end, rows]) =>
        [...groupsOf(rows, keys).values()].map((group) =>
          shown([
            ...keys.map((k) => group[0]?.[k] as TestValue),
            BigInt(end - sizeMs),
            BigInt(end),
            ...calls.map((of) => aggregated(of, group)),
            BigInt(end - 1),
          ]),
        ),
      );
      assert.deepEqual(held(run.out).toSorted(), expected.toSorted());
      if (allowedLatenessMs === 0) assert(rowsOf(run.out).every(({ rowKind }) => rowKind === 0));
      const aside = rowsOf(run.out).filter(({ port }) => port === 1);
      assert.deepEqual(aside.map(({ row }) => textOf(row)).toSorted(), late.toSorted());
      assert.equal(run.late, late.length);
    },
  };
}
