/** What a join keeps stays small where the plan says that it does: in a memory that all its rows would not fit into. */
import { expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import type { JoinBounds, PhysicalNode } from '../../core/plan/physical.ts';
import type { Layout } from '../../core/record/layout.ts';
import { type Arrival, runOperator } from '../support/operator-harness.ts';

const bigint = { kind: 'BIGINT' } as const;
const time = { kind: 'TIMESTAMP', precision: 3 } as const;
const layout: Layout = [
  { name: 'key', type: bigint, nullable: false, storage: 'i64' },
  { name: 'at', type: time, nullable: false, storage: 'i64' },
];
const rows = 100_000;

function run(bounds: JoinBounds | null, arrivals: readonly Arrival[]): number {
  const node: PhysicalNode = {
    kind: 'join',
    type: 'inner',
    keys: [[0], [0]],
    output: [[0], [1]],
    residual: null,
    updating: [false, false],
    on: 'left.key = right.key',
    ...(bounds ? { bounds } : {}),
  };
  const setup = {
    node,
    input: layout,
    inputs: [layout, layout],
    outputs: [layout],
    bounded: false,
  };
  const regime = { batchRows: 1000, fullChance: 0, dictionary: false, selection: false, restoreChance: 0 };
  return runOperator(setup, arrivals, { ...regime, bytes: 16 * 1024 * 1024 }, prng(1)).out.length;
}

const row = (key: number, port: number): Arrival => ({
  kind: 'row',
  port,
  row: [BigInt(key), BigInt(key)],
});
/** Rows of keys that count up, of the left side a thousand at a time, then of the right. */
function* alternating(): Generator<Arrival> {
  for (let from = 0; from < rows; from += 1000) {
    for (const port of [0, 1]) for (let i = 0; i < 1000; i++) yield row(from + i, port);
    yield { kind: 'watermark', timeMs: from };
  }
}
const arrivals = [...alternating()];
const none = { dies: [[], []], time: [null, null], late: [false, false], known: [null, null] } as const;

test('without bounds they do not fit', () => {
  expect(() => run(null, arrivals)).toThrow(/memory/);
});

test('event time frees both sides', () => {
  const dies = [[{ leaf: 1, plusMs: 0 }], [{ leaf: 1, plusMs: 0 }]] as const;
  expect(run({ ...none, once: [false, false], dies, time: [1, 1], late: [true, true] }, arrivals)).toBe(rows);
});

test('a row that has met the one of its key is let go, on both sides where keys are alone on both', () => {
  expect(run({ ...none, once: [true, true] }, arrivals)).toBe(rows);
});

test('rows that come behind the one of their key are not kept', () => {
  const one = [row(0, 1), ...arrivals.map(() => row(0, 0))];
  expect(run({ ...none, once: [false, true] }, one)).toBe(arrivals.length);
});

const rowtime = { name: '$rowtime', type: time, nullable: false, storage: 'i64' } as const;
const timed: Layout = [layout[0]!, rowtime];
const node = {
  kind: 'join',
  keys: [[0], [0]],
  output: [[0], [1]],
  residual: null,
  updating: [false, false],
  on: 'left.key = right.key',
} as const;

function runTimed(joined: PhysicalNode, timedArrivals: readonly Arrival[]): number {
  const setup = { node: joined, input: timed, inputs: [timed, timed], outputs: [timed], bounded: false };
  const regime = { batchRows: 1000, fullChance: 0, dictionary: false, selection: false, restoreChance: 0 };
  return runOperator(setup, timedArrivals, { ...regime, bytes: 16 * 1024 * 1024 }, prng(1)).out.length;
}

test('an interval join keeps what event time has not passed', () => {
  const within = { times: [1, 1], fromMs: -5, toMs: 5 } as const;
  const full = { ...node, type: 'full', within } as const;
  const outputs = runTimed(full, arrivals);
  expect(outputs).toBe(rows);
});

test('an as-of join keeps the last version of a key; with a tolerance, none that is too old', () => {
  const asOf = { times: [1, 1], toleranceMs: null } as const;
  const ofOneKey = arrivals.map((arrival) =>
    arrival.kind === 'row' ? { ...arrival, row: [7n, arrival.row[1]!] } : arrival,
  );
  expect(runTimed({ ...node, type: 'left', asOf }, ofOneKey)).toBe(rows);
  expect(runTimed({ ...node, type: 'left', asOf: { ...asOf, toleranceMs: 10 } }, arrivals)).toBe(rows);
});
