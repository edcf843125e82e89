/**
 * Random cases of session windows, with a plain reference: a list of sessions per key, joined row by row. Times lie so that
 * sessions are joined, begun between others, late and corrected.
 */
import assert from 'node:assert/strict';
import type { Prng } from '../../core/base/prng.ts';
import { rowtimeColumn } from '../../core/record/layout.ts';
import {
  aggregated,
  callColumns,
  held,
  layout,
  randomCalls,
  randomKeys,
  randomRows,
  shown,
} from './aggregate-cases.ts';
import type { TestValue } from './columns.ts';
import { type OperatorCase, rowsOf, textOf } from './operator-cases.ts';
import type { Arrival, TestRow } from './operator-harness.ts';

export const sessionCases: Readonly<Record<string, (random: Prng) => OperatorCase>> = {
  sessions: (random) => sessionCase(random, false, 0),
  'sessions, at the end': (random) => sessionCase(random, true, 0),
  'sessions, corrected': (random) => sessionCase(random, false, 1 + random.below(400)),
};

interface Session {
  readonly start: number;
  readonly end: number;
  readonly rows: readonly TestRow[];
}

function sessionCase(random: Prng, bounded: boolean, allowedLatenessMs: number): OperatorCase {
  const gapMs = 1 + random.below([3, 30, 300][random.below(3)] as number);
  const keys = randomKeys(random);
  const calls = randomCalls(random, true);
  const arrivals: Arrival[] = [];
  const open = new Map<string, Session[]>();
  const closed: Session[] = [];
  const late: string[] = [];
  const apart = 1 + random.below(60);
  let nowMs = random.below(1000) - 2000;
  let sentMs = Number.NEGATIVE_INFINITY;
  for (const row of randomRows(random)) {
    if (random.below(25) === 0) {
      nowMs += random.below(apart);
      sentMs = nowMs;
      arrivals.push({ kind: 'watermark', timeMs: sentMs });
      for (const [key, sessions] of bounded ? [] : open) {
        const over = (one: Session): boolean => one.end - 1 + allowedLatenessMs <= sentMs;
        closed.push(...sessions.filter(over));
        open.set(
          key,
          sessions.filter((one) => !over(one)),
        );
      }
    }
    const timeMs = nowMs + random.below(3 * apart) - apart;
    const timed = [...row, BigInt(timeMs)];
    arrivals.push({ kind: 'row', row: timed });
    const key = shown(keys.map((k) => row[k] as TestValue));
    const sessions = open.get(key) ?? [];
    const own = { start: timeMs, end: timeMs + gapMs, rows: [timed] };
    const touches = (one: Session): boolean => one.start <= own.end && one.end >= own.start;
    const touched = sessions.filter(touches);
    if (touched.length === 0 && !bounded && own.end - 1 + allowedLatenessMs <= sentMs) {
      late.push(textOf(timed));
      continue;
    }
    const joined = [...touched, own];
    open.set(key, [
      ...sessions.filter((one) => !touches(one)),
      {
        start: Math.min(...joined.map(({ start }) => start)),
        end: Math.max(...joined.map(({ end }) => end)),
        rows: joined.flatMap(({ rows }) => rows),
      },
    ]);
  }
  const input = [...layout, rowtimeColumn];
  const windowColumns = ['window.start', 'window.end'].map((name) => ({ ...rowtimeColumn, name }));
  return {
    name: 'sessions',
    setup: {
      node: {
        kind: 'aggregate',
        phase: 'single',
        keys,
        calls,
        window: { kind: 'session', gapMs },
        time: 5,
        allowedLatenessMs,
      },
      input,
      outputs: [[...keys.map((k) => layout[k]!), ...windowColumns, ...callColumns(calls), rowtimeColumn], input],
      bounded,
    },
    arrivals,
    check(run) {
      const expected = [...closed, ...[...open.values()].flat()].map(({ start, end, rows }) =>
        shown([
          ...keys.map((k) => rows[0]?.[k] as TestValue),
          BigInt(start),
          BigInt(end),
          ...calls.map((of) => aggregated(of, rows)),
          BigInt(end - 1),
        ]),
      );
      assert.deepEqual(held(run.out).toSorted(), expected.toSorted());
      if (allowedLatenessMs === 0) assert(rowsOf(run.out).every(({ rowKind }) => rowKind === 0));
      const aside = rowsOf(run.out).filter(({ port }) => port === 1);
      assert.deepEqual(aside.map(({ row }) => textOf(row)).toSorted(), late.toSorted());
      assert.equal(run.late, late.length);
    },
  };
}
