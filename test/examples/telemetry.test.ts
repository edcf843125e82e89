/**
 * The roll-up of examples/telemetry.ts. What a stream counts as late depends on how fast its parts read, so no number of
 * late rows is expected; it is exact all the same: each row is either in its minute or aside, once, and never without cause.
 */
import { collect, from } from 'millrace';
import { beforeAll, expect, test } from 'vitest';
import telemetry, { readings } from '../../examples/telemetry.ts';
import { drained, millrace, rowsIn, sorted, temporary } from './support.ts';

interface Reading {
  readonly device: string;
  readonly at: string;
  readonly celsius: number | null;
}
interface Minute {
  readonly device: string;
  readonly minute: string;
  readonly readings: number;
  readonly mean: number | null;
  readonly peak: number | null;
}

const rows = 500_000;
const minuteMs = 60_000;
const outOfOrdernessMs = 10_000;
let all: readonly Reading[];

beforeAll(async () => {
  const made = await collect(from(readings(rows)), { parallelism: 1 });
  all = made.map(({ device, at, celsius }) => ({ device, at: timeText(at), celsius }));
});

test('of ended input no reading is late, and every minute is whole', async () => {
  const out = temporary();
  const { stdout, stderr } = await millrace('telemetry.ts', out, { rows });
  const minutes = rowsIn<Minute>(`${out}/rollup`);
  expectMinutes(minutes, rollup(all));
  expect(rowsIn(`${out}/late`)).toEqual([]);
  expect(stderr).not.toContain('late');
  const hottest = [...minutes].sort((a, b) => b.mean! - a.mean! || (a.device < b.device ? -1 : 1)).slice(0, 5);
  const printed = stdout.split('\n').filter((line) => line.startsWith('│ device-'));
  expect(printed.map((line) => line.split('│')[1]!.trim())).toEqual(hottest.map(({ device }) => device));
});

for (const parallelism of [1, 2, 3]) {
  test(`as a stream at parallelism ${parallelism} on-time and late readings are all there are`, async () => {
    const out = temporary();
    const { lateRows, ...result } = await drained(telemetry, { out, rows }, parallelism);
    const late = rowsIn<Reading>(`${out}/late`);
    const minutes = rowsIn<Minute>(`${out}/rollup`);
    const onTime = minutes.reduce((sum, { readings }) => sum + readings, 0);
    console.log(`telemetry at parallelism ${parallelism}: ${onTime} rows on time, ${lateRows} late`);
    expect(result.rowsIn).toBe(rows);
    expect(late.length).toBe(lateRows);
    expect(onTime + lateRows).toBe(rows);

    // Late rows are rows that were read, as they came; without them every minute is exactly the rest.
    expectMinutes(minutes, rollup(without(all, late)));
    if (parallelism === 1) {
      expect(lateRows).toBeGreaterThan(0);
      expect(withoutCause(late)).toEqual([]);
    }
  });
}

/** The plain reference: a map of objects. */
function rollup(of: Iterable<Reading>): Minute[] {
  const groups = new Map<string, { count: number; sum: number; known: number; peak: number }>();
  for (const { device, at, celsius } of of) {
    const key = `${device} ${minuteOf(at)}`;
    let group = groups.get(key);
    if (!group) {
      group = { count: 0, sum: 0, known: 0, peak: Number.NEGATIVE_INFINITY };
      groups.set(key, group);
    }
    group.count++;
    if (celsius === null) continue;
    group.known++;
    group.sum += celsius;
    group.peak = Math.max(group.peak, celsius);
  }
  return [...groups].map(([key, { count, sum, known, peak }]) => {
    const [device, minute] = key.split(' ') as [string, string];
    return {
      device,
      minute,
      readings: count,
      mean: known === 0 ? null : sum / known,
      peak: known === 0 ? null : peak,
    };
  });
}

/** Equal but for the last digits of the means, which depend on the order of summing. */
function expectMinutes(actual: readonly Minute[], expected: readonly Minute[]): void {
  const exact = (of: readonly Minute[]): unknown[] => sorted(of.map(({ mean, ...rest }) => ordered(rest)));
  expect(exact(actual)).toEqual(exact(expected));
  const means = new Map(expected.map(({ device, minute, mean }) => [`${device} ${minute}`, mean]));
  const wrong = actual.filter(({ device, minute, mean }) => {
    const other = means.get(`${device} ${minute}`) ?? null;
    return mean === null || other === null ? mean !== other : Math.abs(mean - other) > 1e-9;
  });
  expect(wrong).toEqual([]);
}

const ordered = ({ device, minute, readings, peak }: Omit<Minute, 'mean'>): object => ({
  device,
  minute,
  readings,
  peak,
});

/** A multiset difference. Fails where something to be taken away is not there. */
function without(from: readonly Reading[], taken: readonly Reading[]): Reading[] {
  const missing = new Map<string, number>();
  for (const reading of taken) missing.set(keyOf(reading), (missing.get(keyOf(reading)) ?? 0) + 1);
  const rest = from.filter((reading) => {
    const left = missing.get(keyOf(reading)) ?? 0;
    if (left > 0) missing.set(keyOf(reading), left - 1);
    return left === 0;
  });
  expect([...missing].filter(([, left]) => left > 0)).toEqual([]);
  return rest;
}

/** Readings that are late though, in the order of the table, no time ten seconds past their minute stands before them. */
function withoutCause(late: readonly Reading[]): Reading[] {
  const causes = causesOf(all);
  return late.filter((reading) => causes.get(keyOf(reading)) !== true);
}

function causesOf(of: readonly Reading[]): Map<string, boolean> {
  const found = new Map<string, boolean>();
  let latestMs = Number.NEGATIVE_INFINITY;
  for (const reading of of) {
    const atMs = Date.parse(reading.at);
    const closesMs = Math.floor(atMs / minuteMs) * minuteMs + minuteMs;
    const key = keyOf(reading);
    found.set(key, found.get(key) === true || latestMs - outOfOrdernessMs >= closesMs);
    latestMs = Math.max(latestMs, atMs);
  }
  return found;
}

const keyOf = ({ device, at, celsius }: Reading): string => `${device} ${at} ${celsius}`;
const minuteOf = (at: string): string => timeText(new Date(Math.floor(Date.parse(at) / minuteMs) * minuteMs));
/** As a jsonl file has a TIMESTAMP(3). */
const timeText = (at: Date): string => at.toISOString();
