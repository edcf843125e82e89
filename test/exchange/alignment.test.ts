/** Subtasks of one source keep near each other in event time, and nobody waits for ever. Seeded; one case per seed. */
import { count, from, generator, sum, tumble } from 'millrace';
import { describe, expect, test } from 'vitest';
import { type Prng, prng } from '../../core/base/prng.ts';
import { Alignment } from '../../workers/alignment.ts';
import { runJob } from '../support/run-job.ts';

interface Subtask {
  readonly alignment: Alignment;
  /** Event time per row; one of a hundred times another's makes it slow. */
  readonly msPerRow: number;
  /** How often it is stepped. */
  readonly weight: number;
  /** Rows and the event time behind them, in order. */
  readonly history: { rows: number; timeMs: number }[];
  timeMs: number;
  state: 'reads' | 'starved' | 'parked' | 'ended';
  pauses: number;
}

function subtasks(random: Prng, rowsAheadMax: number): Subtask[] {
  const n = 2 + random.below(4);
  const words = Array.from({ length: n }, () => new BigInt64Array(new SharedArrayBuffer(16)));
  const all: Subtask[] = [];
  for (let i = 0; i < n; i++) {
    const peers = words.flatMap((of, p) =>
      p === i
        ? []
        : [
            {
              words: of,
              ring() {
                if (all[p]!.state === 'parked') all[p]!.state = 'reads';
              },
            },
          ],
    );
    all.push({
      alignment: new Alignment({ words: words[i]!, peers, rowsAheadMax }),
      msPerRow: 1 + random.below(100),
      weight: 1 + random.below(20),
      history: [],
      timeMs: random.below(2) === 0 ? -1000 : 0,
      state: 'reads',
      pauses: 0,
    });
  }
  return all;
}

/** Rows that `of` has read beyond `timeMs`. */
function rowsBeyond(of: Subtask, timeMs: number): number {
  return of.history.reduce((sum, batch) => (batch.timeMs > timeMs ? sum + batch.rows : sum), 0);
}

function drawn(from: readonly Subtask[], random: Prng): Subtask {
  let draw = random.below(from.reduce((all, { weight }) => all + weight, 0));
  for (const one of from) {
    draw -= one.weight;
    if (draw < 0) return one;
  }
  throw new Error('nothing to draw from');
}

/** Asks, and reads a batch. */
function step(of: Subtask, random: Prng, batchRows: number): void {
  if (!of.alignment.mayRead()) {
    of.state = 'parked';
    of.pauses++;
    return;
  }
  const rows = 1 + random.below(batchRows);
  of.timeMs += rows * of.msPerRow;
  of.history.push({ rows, timeMs: of.timeMs });
  of.alignment.read(rows, of.timeMs);
}

test('a thousand sources: the rows ahead are bounded, somebody can always go on', () => {
  const [batchRows, rowsAheadMax] = [16, 160];
  let pauses = 0;
  for (let seed = 1; seed <= 1000; seed++) {
    const random = prng(seed);
    const all = subtasks(random, rowsAheadMax);
    const mayStarve = random.below(2) === 0;
    // Who has read nothing holds nobody.
    for (const one of all) step(one, random, batchRows);
    for (let turn = 0; turn < 600; turn++) {
      const runnable = all.filter(({ state }) => state === 'reads');
      const live = all.filter(({ state }) => state !== 'ended');
      if (live.length === 0) break;
      if (runnable.length === 0) {
        // Only who waits for data may be what all others wait for.
        const starved = all.filter(({ state }) => state === 'starved');
        if (starved.length === 0) throw new Error(`seed ${seed}: all wait, turn ${turn}`);
        starved[0]!.state = 'reads';
        continue;
      }
      const of = drawn(runnable, random);
      const what = random.below(100);
      if (mayStarve && what < 5) {
        of.alignment.release();
        of.state = 'starved';
      } else if (mayStarve && what < 6) {
        of.alignment.release();
        of.state = 'ended';
      } else step(of, random, batchRows);
      if (random.below(20) === 0) for (const one of all) if (one.state === 'starved') one.state = 'reads';
      if (mayStarve) continue;
      const slowestMs = Math.min(...all.map(({ timeMs }) => timeMs));
      // A batch more, and what the marks are coarse by.
      const most = Math.max(...all.map((one) => rowsBeyond(one, slowestMs)));
      if (most > rowsAheadMax + 2 * batchRows) throw new Error(`seed ${seed}: ${most} rows ahead, turn ${turn}`);
    }
    pauses += all.reduce((sum, one) => sum + one.pauses, 0);
  }
  expect(pauses).toBeGreaterThan(10_000);
});

test('one slowed: the other stays within its bound however long it runs', () => {
  const random = prng(7);
  const ahead: number[] = [];
  const words = [0, 1].map(() => new BigInt64Array(new SharedArrayBuffer(16)));
  let parked = false;
  const ring = (): void => {
    parked = false;
  };
  const fast = new Alignment({ words: words[0]!, peers: [{ words: words[1]!, ring() {} }], rowsAheadMax: 6400 });
  const slow = new Alignment({ words: words[1]!, peers: [{ words: words[0]!, ring }], rowsAheadMax: 6400 });
  const rows = { fast: 0, slow: 100 };
  slow.read(100, 100);
  for (let turn = 0; turn < 100_000; turn++) {
    if (random.below(20) === 0) {
      expect(slow.mayRead()).toBe(true);
      rows.slow += 100;
      slow.read(100, rows.slow);
    } else if (!parked) {
      parked = !fast.mayRead();
      if (parked) continue;
      rows.fast += 100;
      fast.read(100, rows.fast);
    }
    ahead.push(rows.fast - rows.slow);
  }
  // Marks are as coarse as a sixty-fourth of the bound.
  expect(Math.max(...ahead)).toBeLessThanOrEqual(6400 + 200);
  expect(rows.slow).toBeGreaterThan(400_000);
  slow.release();
  expect(parked).toBe(false);
  expect(fast.mayRead()).toBe(true);
});

test('a split from farther back is waited for', () => {
  const words = [0, 1].map(() => new BigInt64Array(new SharedArrayBuffer(16)));
  const one = new Alignment({ words: words[0]!, peers: [{ words: words[1]!, ring() {} }], rowsAheadMax: 10 });
  const other = new Alignment({ words: words[1]!, peers: [{ words: words[0]!, ring() {} }], rowsAheadMax: 10 });
  one.read(5, 1000);
  other.read(5, 2000);
  other.read(5, 500);
  one.read(5, 1100);
  expect(one.mayRead()).toBe(false);
  expect(other.mayRead()).toBe(true);
  other.read(5, 1100);
  expect(one.mayRead()).toBe(true);
});

describe('jobs', () => {
  for (const parallelism of [2, 3]) {
    test(`unbounded windows at ${parallelism}: drawn orders of steps, a snapshot in between, ended by a limit`, async () => {
      for (let seed = 1; seed <= 40; seed++) {
        const events = generator({
          seed,
          columns: (g) => ({
            k: g.bigint(0, 9),
            v: g.int(0, 99),
            at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 1000 }),
          }),
        });
        const windows = from(events)
          .eventTime('at')
          .groupBy('k', tumble('1 second'))
          .aggregate((r) => ({ total: sum(r.v), n: count() }));
        const { rows, run } = await runJob(
          windows.limit(60),
          { parallelism, batchRows: 4 },
          { seed, snapshotAtStep: 100 + seed },
        );
        expect(run.outcome.kind).toBe('finished');
        expect(rows.get('result')).toHaveLength(60);
      }
    });
  }
});
