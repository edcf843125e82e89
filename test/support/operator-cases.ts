/**
 * Random cases of every operator, each with a plain reference: loops and sorts over arrays of rows. A case says what goes
 * in and judges what comes out, whatever the regime in between.
 */
import assert from 'node:assert/strict';
import type { Prng } from '../../core/base/prng.ts';
import type { SortKey } from '../../core/plan/physical.ts';
import { type Layout, type LayoutColumn, rowtimeColumn } from '../../core/record/layout.ts';
import type { DataType, Fields } from '../../core/record/types.ts';
import type { TestValue } from './columns.ts';
import type { Arrival, Departure, OperatorRun, OperatorSetup, TestRow } from './operator-harness.ts';

export interface OperatorCase {
  readonly name: string;
  readonly setup: OperatorSetup;
  readonly arrivals: readonly Arrival[];
  /** Throws where the run is not what the reference says. */
  check(run: OperatorRun): void;
}

/** Cases by name of the operator; each makes one from chance. */
export const operatorCases: Readonly<Record<string, (random: Prng) => OperatorCase>> = {
  map: mapCase,
  flatMap: flatMapCase,
  watermark: watermarkCase,
  limit: limitCase,
  sort: sortCase,
  'sort, sorted channels': sortedChannelsCase,
  'top n': topNCase,
  'top n of windows': windowTopNCase,
  'top n, updating': updatingTopNCase,
  'top n, retracting': retractingTopNCase,
  'one row a key': keptCase,
};

// ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const types: readonly { readonly type: DataType; readonly storage: LayoutColumn['storage'] }[] = [
  { type: { kind: 'BOOLEAN' }, storage: 'bit' },
  { type: { kind: 'INT' }, storage: 'i32' },
  { type: { kind: 'BIGINT', asBigInt: true }, storage: 'i64' },
  { type: { kind: 'DOUBLE' }, storage: 'f64' },
  { type: { kind: 'VARCHAR' }, storage: 'view' },
];

export function randomLayout(random: Prng, columns = 1 + random.below(5)): Layout {
  return Array.from({ length: columns }, (_, k) => {
    const { type, storage } = types[random.below(types.length)] as (typeof types)[number];
    return { name: `c${k}`, type, storage, nullable: random.below(2) === 0 };
  });
}

/** Few distinct values for ties, with the ends of each type among them. */
export function randomValue(random: Prng, { storage, nullable }: LayoutColumn, spread: number): TestValue {
  if (nullable && random.below(5) === 0) return null;
  const small = random.below(spread);
  switch (storage) {
    case 'bit':
      return small % 2 === 0;
    case 'i32':
      return BigInt([small - 5, small - 5, 2147483647, -2147483648][random.below(4)] as number);
    case 'i64':
      return [BigInt(small - 5), BigInt(small), 2n ** 63n - 1n, -(2n ** 63n), -(2n ** 63n) + 1n][
        random.below(5)
      ] as bigint;
    case 'f64':
      return [small - 5, small / 3, -0, 0, Number.NaN, Number.POSITIVE_INFINITY, -1e308, 5e-324][
        random.below(8)
      ] as number;
    case 'view':
      return [
        `${small}`,
        `a prefix that many share ${small}`,
        '',
        'prefix',
        'prefix\u0000',
        'grün 🦆 ünd länger',
        '\uffff',
        '😀',
        `prefix-${'x'.repeat(small)}`,
      ][random.below(9)] as string;
  }
}

export function randomRows(random: Prng, layout: Layout): TestRow[] {
  const rows = [0, 1, 20, 300, 1500][random.below(5)] as number;
  const spread = [2, 10, 10_000][random.below(3)] as number;
  return Array.from({ length: rows }, () => layout.map((column) => randomValue(random, column, spread)));
}

const arrivalsOf = (rows: readonly TestRow[]): Arrival[] => rows.map((row) => ({ kind: 'row', row }));
export const rowsOf = (out: readonly Departure[]) =>
  out.filter((departure) => departure.kind === 'row') as Extract<Departure, { kind: 'row' }>[];
/** Values as text that tells −0, NaN and bigint apart. */
export const textOf = (row: TestRow): string => row.map(valueText).join('|');
const valueText = (v: TestValue): string =>
  typeof v === 'bigint' ? `${v}n` : typeof v === 'string' ? JSON.stringify(v) : Object.is(v, -0) ? '-0' : `${v}`;
const texts = (out: readonly Departure[]): string[] => rowsOf(out).map(({ row }) => textOf(row));

// ── order ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export function compareValues(a: TestValue, b: TestValue): number {
  if (a === null || b === null) return Number(b === null) - Number(a === null) === 0 ? 0 : a === null ? -1 : 1;
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b as string));
  if (typeof a === 'number') {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  }
  return a < (b as typeof a) ? -1 : a > (b as typeof a) ? 1 : 0;
}

export function compareRows(by: readonly SortKey[]): (a: TestRow, b: TestRow) => number {
  return (a, b) => {
    for (const { column, descending } of by) {
      const order = compareValues(a[column] as TestValue, b[column] as TestValue);
      if (order !== 0) return descending ? -order : order;
    }
    return 0;
  };
}

function randomKeys(random: Prng, layout: Layout): SortKey[] {
  return Array.from({ length: 1 + random.below(3) }, () => ({
    column: random.below(layout.length),
    descending: random.below(2) === 0,
  }));
}

// ── functions ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Rows with event time and kinds; the function turns a row into none, some or many. */
function functionInput(random: Prng) {
  const fields: Fields = [
    { name: 'n', type: { kind: 'BIGINT' }, nullable: false },
    { name: 's', type: { kind: 'VARCHAR' }, nullable: true },
  ];
  const columns: Layout = [
    { name: 'n', type: { kind: 'BIGINT' }, nullable: false, storage: 'i64' },
    { name: 's', type: { kind: 'VARCHAR' }, nullable: true, storage: 'view' },
  ];
  const timed = random.below(2) === 0;
  const layout: Layout = timed ? [...columns, rowtimeColumn] : columns;
  const rows = Array.from({ length: [0, 1, 50, 700][random.below(4)] as number }, (_, k) => {
    const s = random.below(4) === 0 ? null : 'text '.repeat(random.below(60));
    return { values: [BigInt(k), s, ...(timed ? [BigInt(random.below(1e6))] : [])] as TestRow, kind: random.below(4) };
  });
  const arrivals: Arrival[] = rows.map(({ values, kind }) => ({ kind: 'row', row: values, rowKind: kind }));
  return { fields, layout, timed, rows, arrivals };
}

function mapCase(random: Prng): OperatorCase {
  const { fields, layout, timed, rows, arrivals } = functionInput(random);
  const fn = (row: { n: number; s: string | null }) =>
    row.n % 3 === 0 ? row : { ...row, n: row.n * 2, s: row.s === null ? null : `${row.s}!` };
  return {
    name: 'map',
    setup: {
      node: { kind: 'map', style: 'map', functionId: 'f', input: fields, output: fields, rowtime: timed ? 2 : null },
      input: layout,
      outputs: [layout],
      bounded: false,
      functions: { f: fn },
    },
    arrivals,
    check({ out }) {
      const expected = rows.map(({ values, kind }) => {
        const [n, s, ...time] = values as [bigint, string | null, ...bigint[]];
        const made = n % 3n === 0n ? [n, s] : [n * 2n, s === null ? null : `${s}!`];
        return `${kind} ${textOf([...made, ...time])}`;
      });
      assert.deepEqual(
        rowsOf(out).map(({ row, rowKind }) => `${rowKind} ${textOf(row)}`),
        expected,
      );
    },
  };
}

function flatMapCase(random: Prng): OperatorCase {
  const { fields, layout, timed, rows, arrivals } = functionInput(random);
  const many = random.below(2) === 0 ? 5 : 200;
  let opened = 0;
  let closed = 0;
  const fn = (row: { n: number; s: string | null }): Iterable<unknown> => {
    if (row.n % 4 === 0) return [];
    if (row.n % 4 === 1) return [{ n: row.n, s: row.s }];
    opened++;
    return (function* () {
      try {
        for (let i = 0; i < row.n % many; i++) yield i % 2 === 0 ? { n: row.n + i, s: row.s } : { n: i, s: null };
      } finally {
        closed++;
      }
    })();
  };
  return {
    name: 'flatMap',
    setup: {
      node: {
        kind: 'map',
        style: 'flatMap',
        functionId: 'f',
        input: fields,
        output: fields,
        rowtime: timed ? 2 : null,
      },
      input: layout,
      outputs: [layout],
      bounded: false,
      functions: { f: fn },
    },
    arrivals,
    check({ out }) {
      const expected = rows.flatMap(({ values, kind }) => {
        const [n, s, ...time] = values as [bigint, string | null, ...bigint[]];
        const made: TestRow[] = [];
        if (n % 4n === 1n) made.push([n, s]);
        for (let i = 0n; n % 4n > 1n && i < n % BigInt(many); i++) made.push(i % 2n === 0n ? [n + i, s] : [i, null]);
        return made.map((row) => `${kind} ${textOf([...row, ...time])}`);
      });
      assert.deepEqual(
        rowsOf(out).map(({ row, rowKind }) => `${rowKind} ${textOf(row)}`),
        expected,
      );
      assert.equal(closed, opened, 'every generator was run to its end');
      opened = 0;
      closed = 0;
    },
  };
}

// ── time and limits ─────────────────────────────────────────────────────────────────────────────────────────────────

function watermarkCase(random: Prng): OperatorCase {
  const precision = random.below(2) === 0 ? 3 : 6;
  const column: LayoutColumn = { ...rowtimeColumn, name: 'at', type: { kind: 'TIMESTAMP', precision } };
  const layout: Layout = [...randomLayout(random), column];
  const outOfOrdernessMs = random.below(500);
  const ticks = precision === 3 ? 1n : 1000n;
  const rows = randomRows(random, layout.slice(0, -1)).map((row, k): TestRow => {
    return [
      ...row,
      BigInt(k * 10 - random.below(600) - 3000) * ticks + BigInt(random.below(precision === 3 ? 1 : 1000)),
    ];
  });
  return {
    name: 'watermark',
    setup: {
      node: { kind: 'watermark', watermark: { column: layout.length - 1, outOfOrdernessMs, idleAfterMs: null } },
      input: layout,
      outputs: [layout],
      bounded: random.below(4) === 0,
    },
    arrivals: arrivalsOf(rows),
    check({ out }) {
      assert.deepEqual(texts(out), rows.map(textOf));
      let latestMs = Number.NEGATIVE_INFINITY;
      let sentMs = Number.NEGATIVE_INFINITY;
      for (const departure of out) {
        if (departure.kind === 'row') {
          const at = departure.row.at(-1) as bigint;
          latestMs = Math.max(latestMs, Math.floor(Number(at) / Number(ticks)));
          continue;
        }
        assert(!this.setup.bounded, 'no row of ended input is late');
        assert(departure.timeMs > sentMs, 'event time goes on');
        assert.equal(departure.timeMs, latestMs - outOfOrdernessMs - 1);
        sentMs = departure.timeMs;
      }
      if (!this.setup.bounded && rows.length > 0) assert.equal(sentMs, latestMs - outOfOrdernessMs - 1);
    },
  };
}

function limitCase(random: Prng): OperatorCase {
  const layout = randomLayout(random);
  const rows = randomRows(random, layout);
  const limit = [0, 1, 7, 100, 5000][random.below(5)] as number;
  return {
    name: 'limit',
    setup: { node: { kind: 'limit', rows: limit }, input: layout, outputs: [layout], bounded: true },
    arrivals: arrivalsOf(rows),
    check({ out, satisfied }) {
      assert.deepEqual(texts(out), rows.slice(0, limit).map(textOf));
      assert.equal(satisfied, rows.length >= limit);
    },
  };
}

// ── order and ranks ─────────────────────────────────────────────────────────────────────────────────────────────────

function sortCase(random: Prng): OperatorCase {
  const layout = randomLayout(random);
  return sortOf(random, 'sort', layout, randomRows(random, layout), randomKeys(random, layout));
}

/** What a final sort gets: batches of several sorted channels, mixed. */
function sortedChannelsCase(random: Prng): OperatorCase {
  const layout = randomLayout(random);
  const by = randomKeys(random, layout);
  const channels = Array.from({ length: 1 + random.below(4) }, () =>
    randomRows(random, layout).toSorted(compareRows(by)),
  );
  const rows: TestRow[] = [];
  while (channels.some((channel) => channel.length > 0)) {
    rows.push(...(channels[random.below(channels.length)] as TestRow[]).splice(0, 1 + random.below(200)));
  }
  return sortOf(random, 'sort, sorted channels', layout, rows, by);
}

function sortOf(random: Prng, name: string, layout: Layout, rows: TestRow[], by: SortKey[]): OperatorCase {
  const limit = random.below(2) === 0 ? null : ([1, 10, 400][random.below(3)] as number);
  return {
    name,
    setup: { node: { kind: 'sort', phase: 'single', by, limit }, input: layout, outputs: [layout], bounded: true },
    arrivals: arrivalsOf(rows),
    check({ out }) {
      const expected = rows.toSorted(compareRows(by)).slice(0, limit ?? rows.length);
      assert.deepEqual(texts(out), expected.map(textOf));
    },
  };
}

const functions = ['ROW_NUMBER', 'RANK', 'DENSE_RANK'] as const;

/** Ranked rows of each partition within n, in order. */
export function ranked(
  rows: readonly TestRow[],
  partitionBy: readonly number[],
  by: readonly SortKey[],
  n: number,
  using: (typeof functions)[number],
): { row: TestRow; rank: number }[] {
  const compare = compareRows(by);
  const partitions = new Map<string, TestRow[]>();
  for (const row of rows) {
    // −0 and 0 are one key.
    const key = textOf(partitionBy.map((column) => (row[column] === 0 ? 0 : (row[column] as TestValue))));
    partitions.set(key, [...(partitions.get(key) ?? []), row]);
  }
  return [...partitions.values()].flatMap((partition) => {
    let rank = 0;
    const sorted = partition.toSorted(compare);
    return sorted
      .map((row, k) => {
        const tied = k > 0 && compare(sorted[k - 1] as TestRow, row) === 0;
        if (using === 'ROW_NUMBER' || !tied) rank = using === 'DENSE_RANK' ? rank + 1 : k + 1;
        return { row, rank };
      })
      .filter((entry) => entry.rank <= n);
  });
}

interface TopNParts {
  readonly layout: Layout;
  readonly output: Layout;
  readonly rows: TestRow[];
  readonly partitionBy: number[];
  readonly by: SortKey[];
  readonly n: number;
  readonly using: (typeof functions)[number];
  readonly rank: boolean;
  readonly timed: boolean;
}

function topNParts(random: Prng): TopNParts {
  const timed = random.below(3) === 0;
  const layout = timed ? [...randomLayout(random), rowtimeColumn] : randomLayout(random);
  const columns = timed ? layout.length - 1 : layout.length;
  const rank = random.below(2) === 0;
  const rankColumn: LayoutColumn = { name: 'rank', type: { kind: 'BIGINT' }, nullable: false, storage: 'i64' };
  const output = rank ? [...layout.slice(0, columns), rankColumn, ...layout.slice(columns)] : layout;
  return {
    layout,
    output,
    rows: randomRows(random, layout),
    partitionBy: Array.from({ length: random.below(3) }, () => random.below(columns)),
    by: randomKeys(random, layout.slice(0, columns)),
    n: [1, 3, 50][random.below(3)] as number,
    using: functions[random.below(3)] as (typeof functions)[number],
    rank,
    timed,
  };
}

function withRank({ rank, timed }: TopNParts, entry: { row: TestRow; rank: number }): TestRow {
  if (!rank) return entry.row;
  const { row } = entry;
  const at = timed ? row.length - 1 : row.length;
  return [...row.slice(0, at), BigInt(entry.rank), ...row.slice(at)];
}

function topNCase(random: Prng): OperatorCase {
  const parts = topNParts(random);
  const { layout, output, rows, partitionBy, by, n, using, rank } = parts;
  return {
    name: 'top n',
    setup: {
      node: { kind: 'topN', phase: 'single', partitionBy, by, n, using, rank },
      input: layout,
      outputs: [output],
      bounded: true,
    },
    arrivals: arrivalsOf(rows),
    check({ out }) {
      const expected = ranked(rows, partitionBy, by, n, using).map((entry) => textOf(withRank(parts, entry)));
      const got = texts(out);
      if (partitionBy.length === 0) assert.deepEqual(got, expected);
      else assert.deepEqual(got.toSorted(), expected.toSorted());
    },
  };
}

/** Partitions end with their window; rows of one that has ended are late. */
function windowTopNCase(random: Prng): OperatorCase {
  const parts = topNParts(random);
  const endColumn: LayoutColumn = { ...rowtimeColumn, name: 'window.end' };
  const layout = [endColumn, ...parts.layout];
  const output = [endColumn, ...parts.output];
  const shift = (column: number): number => column + 1;
  const partitionBy = [...parts.partitionBy.map(shift), 0];
  const by = parts.by.map(({ column, descending }) => ({ column: shift(column), descending }));
  const { n, using, rank } = parts;
  const arrivals: Arrival[] = [];
  const inTime: TestRow[] = [];
  let timeMs = -1000;
  let sentMs = Number.NEGATIVE_INFINITY;
  let late = 0;
  for (const row of parts.rows) {
    if (random.below(30) === 0) {
      timeMs += random.below(300);
      sentMs = timeMs;
      arrivals.push({ kind: 'watermark', timeMs });
    }
    const timed: TestRow = [BigInt(Math.floor((timeMs + random.below(500) - 50) / 100) * 100 + 100), ...row];
    arrivals.push({ kind: 'row', row: timed });
    if (Number(timed[0]) - 1 <= sentMs) late++;
    else inTime.push(timed);
  }
  return {
    name: 'top n of windows',
    setup: {
      node: { kind: 'topN', phase: 'single', partitionBy, by, n, using, rank, windowEnd: 0 },
      input: layout,
      outputs: [output],
      bounded: false,
    },
    arrivals,
    check(run) {
      const expected = ranked(inTime, partitionBy, by, n, using).map((entry) => textOf(withRank(parts, entry)));
      assert.deepEqual(texts(run.out).toSorted(), expected.toSorted());
      const ends = rowsOf(run.out).map(({ row }) => Number(row[0]));
      assert.deepEqual(
        ends,
        ends.toSorted((a, b) => a - b),
      );
      assert.equal(run.late, late);
    },
  };
}

/** Rows come and go in any valid order; those that are there in the end are ranked from scratch. */
function retractingTopNCase(random: Prng): OperatorCase {
  const parts = topNParts(random);
  const { layout, output, partitionBy, n, rank } = parts;
  // An order by all columns leaves no choice.
  const by = [...parts.by, ...layout.map((_, column) => ({ column, descending: random.below(2) === 0 }))];
  const live: TestRow[] = [];
  const arrivals: Arrival[] = [];
  let unknown = 0;
  // What orders rows is a key of at most 2,048 bytes.
  const short = parts.rows
    // −0 and 0 tie, and are two rows.
    .filter((row) => textOf(row).length < 300 && !row.some((value) => Object.is(value, -0)))
    .slice(0, 300);
  for (const row of short) {
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
    name: 'top n, retracting',
    setup: {
      node: { kind: 'topN', phase: 'single', partitionBy, by, n, using: 'ROW_NUMBER', rank, updating: true },
      input: layout,
      outputs: [output],
      bounded: false,
    },
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
      const expected = ranked(live, partitionBy, by, n, 'ROW_NUMBER').map((entry) => textOf(withRank(parts, entry)));
      assert.deepEqual(got.toSorted(), expected.toSorted());
      assert.equal(skipped, unknown, 'rows taken back that were never there');
      if (rank) checkUpserts(rowsOf(out), partitionBy, parts);
    },
  };
}

/** The first or the last row of each key, as they come or by a column: each change is of what is there. */
function keptCase(random: Prng): OperatorCase {
  const parts = topNParts(random);
  const { layout, output, partitionBy, rank } = parts;
  const rows = parts.rows.filter(isShort);
  const keep = random.below(2) === 0 ? 'first' : 'last';
  const bounded = random.below(3) === 0;
  const columns = layout.flatMap(({ storage }, column) => (storage === 'view' ? [] : [column]));
  const column = columns[random.below(columns.length + 1)];
  const by = column === undefined ? [] : [{ column, descending: keep === 'last' }];
  // A first row by a column is asked for on ended input alone; as a ranking it may change.
  const node = { kind: 'topN', phase: 'single', partitionBy, by, n: 1, using: 'ROW_NUMBER', rank } as const;
  return {
    name: 'one row a key',
    setup: { node: { ...node, keep }, input: layout, outputs: [output], bounded },
    arrivals: arrivalsOf(rows),
    check({ out }) {
      const kept = new Map<string, TestRow>();
      for (const row of rows) {
        const key = zeroText(partitionBy.map((leaf) => row[leaf] as TestValue));
        const so = kept.get(key);
        const order = so === undefined ? -1 : compareRows(by)(row, so);
        if (order < 0 || (order === 0 && keep === 'last')) kept.set(key, row);
      }
      const expected = [...kept.values()].map((row) => zeroText(withRank(parts, { row, rank: 1 })));
      const held = new Map<string, string>();
      for (const { row, rowKind } of rowsOf(out)) {
        const key = zeroText(partitionBy.map((leaf) => row[leaf] as TestValue));
        if (rowKind === 1) {
          assert.equal(zeroText(row), held.get(key), 'what is taken away is what was there');
          held.set(key, '');
          continue;
        }
        assert.equal(held.get(key), rowKind === 2 ? '' : undefined, '+U behind −U, and +I where nothing was');
        held.set(key, zeroText(row));
      }
      assert.deepEqual([...held.values()].toSorted(), expected.toSorted());
      if (bounded || (keep === 'first' && by.length === 0)) assert(rowsOf(out).every(({ rowKind }) => rowKind === 0));
    },
  };
}

/** Keys and texts that an entry of a state page can take. */
export const isShort = (row: TestRow): boolean => row.every((value) => typeof value !== 'string' || value.length < 500);

/** −0 and 0 are one key, and either may be shown. */
export const zeroText = (row: TestRow): string => textOf(row.map((value) => (value === 0 ? 0 : value)));

function updatingTopNCase(random: Prng): OperatorCase {
  const parts = topNParts(random);
  const { layout, output, partitionBy, by, n, using, rank } = parts;
  const rows = parts.rows.filter(isShort);
  return {
    name: 'top n, updating',
    setup: {
      node: { kind: 'topN', phase: 'single', partitionBy, by, n, using, rank },
      input: layout,
      outputs: [output],
      bounded: false,
    },
    arrivals: arrivalsOf(rows),
    check({ out }) {
      const held = new Map<string, number>();
      for (const { row, rowKind } of rowsOf(out)) {
        const text = zeroText(row);
        const count = (held.get(text) ?? 0) + (rowKind % 2 === 0 ? 1 : -1);
        assert(count >= 0, `${text} is taken away before it came`);
        held.set(text, count);
      }
      const got = [...held].flatMap(([text, count]) => Array.from({ length: count }, () => text));
      const expected = ranked(rows, partitionBy, by, n, using).map((entry) => zeroText(withRank(parts, entry)));
      assert.deepEqual(got.toSorted(), expected.toSorted());
      if (rank && using === 'ROW_NUMBER') checkUpserts(rowsOf(out), partitionBy, parts);
    },
  };
}

/** (partition, rank) is a key of the result: each change finds what an upsert by that key left. */
function checkUpserts(
  out: readonly { row: TestRow; rowKind: number }[],
  partitionBy: number[],
  parts: TopNParts,
): void {
  const rankAt = parts.timed ? parts.layout.length - 1 : parts.layout.length;
  const table = new Map<string, string>();
  for (const { row, rowKind } of out) {
    const key = textOf([
      ...partitionBy.map((column) => (row[column] === 0 ? 0 : (row[column] as TestValue))),
      row[rankAt] as TestValue,
    ]);
    if (rowKind === 0) assert(!table.has(key), 'an insert where a row is');
    if (rowKind === 1 || rowKind === 3) assert.equal(table.get(key), textOf(row), 'another row is taken away');
    if (rowKind === 3) table.delete(key);
    else if (rowKind !== 1) table.set(key, textOf(row));
  }
}
