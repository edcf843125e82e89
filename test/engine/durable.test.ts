/**
 * Jobs with a state directory on one thread and a simulated disk: checkpoints, crashes, restarts, another parallelism.
 * What the files hold in the end is compared with what the rows say.
 */
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../core/base/errors.ts';
import { prng } from '../../core/base/prng.ts';
import { LocalJob, virtualClock } from '../../engine/local.ts';
import type { LayoutOptions } from '../../engine/options.ts';
import { submit } from '../../engine/run.ts';
import { count, from, generator, jsonl, sum, tumble } from '../../index.ts';
import { type SimulatedDisk, simulatedDisk } from '../../testing/simulated-disk.ts';

const rows = 3000;
const keys = 40;
const out = '/out/windows';

/** Windows of five seconds over rows ten milliseconds apart. */
const windows = () =>
  from(
    generator({
      rows,
      columns: (g) => ({
        n: g.sequence(),
        k: g.bigint(0, keys - 1),
        at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 100 }),
      }),
    }),
  )
    .eventTime('at')
    .groupBy('k', tumble('1 second'))
    .aggregate((r) => ({ n: count(), total: sum(r.n) }))
    .to(jsonl(out));

interface World {
  readonly disk: SimulatedDisk;
  readonly clock: ReturnType<typeof virtualClock>;
}

function start(world: World, options: LayoutOptions, seed: number): Promise<LocalJob> {
  const submission = submit(
    windows(),
    { memory: '320mb', batchRows: 32, stateDir: '/state', mode: 'stream', ...options } as never,
    null,
  );
  const job = new LocalJob(submission, { seed, ...world });
  return job.start().then(() => job);
}

/** Runs until `until` says so, or it has ended. Idle time passes. */
async function drive(job: LocalJob, until: () => boolean = () => false): Promise<void> {
  for (let idle = 0; job.outcome === null && !until(); ) {
    if (job.turn()) {
      idle = 0;
      if (job.steps % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
    } else {
      if (++idle > 2000) throw new Error(`nothing moves: ${JSON.stringify(job.notices)}`);
      await job.settle();
      job.clock.advance(1);
    }
  }
}

/** Rows of all visible files, by key and window. Errors: one that stands there twice. */
function visible(disk: SimulatedDisk): Map<string, { n: number; total: number }> {
  const found = new Map<string, { n: number; total: number }>();
  for (const name of disk.list(out)) {
    if (name.startsWith('.')) continue;
    const text = new TextDecoder().decode(disk.read(`${out}/${name}`));
    for (const line of text.split('\n').filter((one) => one !== '')) {
      const row = JSON.parse(line);
      const key = `${row.k} ${JSON.stringify(row.window ?? row.window_start)}`;
      if (found.has(key)) throw new Error(`twice: ${line}`);
      found.set(key, { n: row.n, total: row.total });
    }
  }
  return found;
}

function totals(found: ReturnType<typeof visible>): { n: number; total: number } {
  let n = 0;
  let total = 0;
  for (const row of found.values()) {
    n += row.n;
    total += row.total;
  }
  return { n, total };
}
const all = { n: rows, total: (rows * (rows - 1)) / 2 };

const world = (seed: number): World => ({ disk: simulatedDisk(seed), clock: virtualClock(Date.UTC(2026, 0, 1)) });

/** Runs to the end of the rows and drains. */
async function finish(job: LocalJob): Promise<void> {
  await drive(job, () => job.numbers().rowsIn >= rows);
  await drive(job, () => job.run.state === null || job.numbers().rowsIn >= rows);
}

describe('a job with a state directory', () => {
  test('bounded: its rows appear with the final checkpoint, and running it again does nothing', async () => {
    const w = world(1);
    const job = await start(w, { parallelism: 2, mode: 'bounded', checkpoint: { every: 'never' } }, 1);
    await drive(job);
    expect(job.outcome).toEqual({ kind: 'finished' });
    expect(totals(visible(w.disk))).toEqual(all);
    expect(job.checkpoints).toMatchObject({ completed: 1, failed: 0 });
    const again = await start(w, { parallelism: 3, mode: 'bounded' }, 2);
    await drive(again);
    expect(again.outcome).toEqual({ kind: 'finished' });
    expect(again.notices.join()).toContain('nothing left to do');
    expect(totals(visible(w.disk))).toEqual(all);
    expect(w.disk.list(out).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  for (const [p, q] of [
    [1, 3],
    [3, 1],
    [2, 2],
    [2, 5],
  ] as const) {
    test(`crashed at any moment and run again at another parallelism holds every row once: ${p} → ${q}`, async () => {
      let recovered = 0;
      for (let seed = 1; seed <= 6; seed++) {
        const w = world(seed);
        const random = prng(seed);
        const crashAt = 50 + random.below(600);
        const options = { mode: 'bounded', checkpoint: { every: '10 ms' } } as const;
        const job = await start(w, { ...options, parallelism: p }, seed);
        await drive(job, () => {
          if (job.steps % 8 === 0) job.clock.advance(1);
          return job.steps >= crashAt;
        });
        job.crash();
        w.disk.crash();
        w.disk.restart();
        const next = await start(w, { ...options, parallelism: q }, seed + 100);
        if (next.checkpoints?.restoredFrom != null) recovered++;
        await drive(next);
        expect(next.outcome, `seed ${seed}: ${next.notices}`).toEqual({ kind: 'finished' });
        expect(totals(visible(w.disk)), `seed ${seed}`).toEqual(all);
      }
      expect(recovered).toBeGreaterThan(2);
    });
  }
});

void MillraceError;
void finish;
