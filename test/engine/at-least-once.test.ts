/** Ends in this program after a restart: what a callback and a handle get, at least once and in order. */
import { expect, test } from 'vitest';
import { LocalJob, virtualClock } from '../../engine/local.ts';
import { submit } from '../../engine/run.ts';
import { callback, from, generator } from '../../index.ts';
import { simulatedDisk } from '../../testing/simulated-disk.ts';

const rows = 2000;

test('a callback and a handle get every row, those since the last checkpoint once more after a restart', async () => {
  const told: number[] = [];
  const handled: number[] = [];
  const stream = from(generator({ rows, rate: 1000, columns: (g) => ({ n: g.sequence() }) }));
  const ends = { told: stream.to(callback((row: { n: number }) => void told.push(row.n))), handled: stream };
  const options = {
    memory: '320mb',
    parallelism: 1,
    batchRows: 16,
    stateDir: '/state',
    checkpoint: { every: '10 ms' },
    restart: { strategy: 'fixedDelay', attempts: 1, delay: '1 ms' },
  };
  const submission = submit(ends, options as never, null);
  const reading = (async () => {
    for await (const row of submission.ends.get('handled')!) handled.push((row as { n: number }).n);
  })();
  const clock = virtualClock(0);
  let failed = false;
  const job = new LocalJob(submission, {
    seed: 1,
    disk: simulatedDisk(1),
    clock,
    beforeStep() {
      clock.advance(1);
      if (failed || (job.checkpoints?.completed ?? 0) < 2 || told.length < 300) return;
      failed = true;
      throw new Error('a bad moment');
    },
  });
  await job.start();
  for (let i = 0; i < 100_000 && job.outcome === null; i++) {
    if (job.turn() && i % 16 !== 0) continue;
    await new Promise((resolve) => setImmediate(resolve));
    await job.settle();
    clock.advance(1);
  }
  for (const queue of submission.ends.values()) queue.end();
  await reading;
  expect(job.outcome).toMatchObject({ kind: 'finished' });
  expect(failed).toBe(true);
  expect(job.checkpoints).toMatchObject({ restarts: 1 });
  for (const got of [told, handled]) {
    expect([...new Set(got)].sort((a, b) => a - b)).toEqual(Array.from({ length: rows }, (_, n) => n));
    // Each attempt goes up: there is one place at which it begins again, behind the checkpoint it went on from.
    const back = got.flatMap((n, i) => (i > 0 && n <= got[i - 1]! ? [n] : []));
    expect(back.length).toBeLessThanOrEqual(1);
    if (back.length > 0) expect(back[0]).toBeGreaterThan(0);
  }
  expect(told.length).toBeGreaterThan(rows);
});
