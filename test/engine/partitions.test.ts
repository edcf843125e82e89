/** Nexmark q10 on a simulated disk: bids in a directory a minute, each marked when event time has passed it, through crashes. */
import { expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import { LocalJob, virtualClock } from '../../engine/local.ts';
import type { LayoutOptions } from '../../engine/options.ts';
import { submit } from '../../engine/run.ts';
import { dateFormat } from '../../functions.ts';
import { csv, from } from '../../index.ts';
import { nexmark } from '../../nexmark.ts';
import { type SimulatedDisk, simulatedDisk } from '../../testing/simulated-disk.ts';
import { drive } from '../support/run-job.ts';

const events = 6000;
const out = '/out/bids';
const { bids } = nexmark({ events, rate: 20, seed: 3, start: '2026-03-01T23:58:30Z', disorder: '2 seconds' });
const query = () =>
  from(bids)
    .select((b) => ({
      auction: b.auction,
      price: b.price,
      dateTime: b.dateTime,
      extra: b.extra,
      dt: dateFormat(b.dateTime, 'yyyy-MM-dd'),
      hm: dateFormat(b.dateTime, 'HH:mm'),
    }))
    .to(csv(out, { partitionBy: ['dt', 'hm'], partitionCommit: { time: '$dt $hm:00', delay: '1 minute' } }));

interface World {
  readonly disk: SimulatedDisk;
  readonly clock: ReturnType<typeof virtualClock>;
}
const world = (seed: number): World => ({ disk: simulatedDisk(seed), clock: virtualClock(Date.UTC(2026, 0, 1)) });

async function start(w: World, options: LayoutOptions, seed: number): Promise<LocalJob> {
  const given = { memory: '320mb', batchRows: 32, stateDir: '/state', checkpoint: { every: '10 ms' }, ...options };
  const job = new LocalJob(submit(query(), given as never, null), { seed, ...w });
  await job.start();
  return job;
}

/** Rows, sorted, and marked partitions. Throws where a row stands in another minute's directory. */
function visible(disk: SimulatedDisk): { rows: string[]; directories: string[]; marked: string[] } {
  const rows: string[] = [];
  const directories: string[] = [];
  const marked: string[] = [];
  for (const day of disk.list(out).filter((name) => !name.startsWith('.'))) {
    for (const minute of disk.list(`${out}/${day}`)) {
      const directory = `${day}/${minute}`;
      directories.push(directory);
      for (const name of disk.list(`${out}/${directory}`)) {
        if (name === '_SUCCESS') {
          marked.push(directory);
          continue;
        }
        const text = new TextDecoder().decode(disk.read(`${out}/${directory}/${name}`));
        const lines = text.trimEnd().split('\n');
        expect(lines[0]).toBe('auction,price,dateTime,extra');
        for (const line of lines.slice(1)) {
          const [date, time] = line.split(',')[2]!.split(' ');
          expect(directory).toBe(`dt=${date}/hm=${time!.slice(0, 5).replace(':', '%3A')}`);
          rows.push(line);
        }
      }
    }
  }
  return { rows: rows.sort(), directories, marked };
}

let expected: readonly string[] = [];

test('ended input: all bids in their minutes, all of them marked', async () => {
  const w = world(1);
  const job = await start(w, { parallelism: 2, mode: 'bounded' }, 1);
  await drive(job);
  expect(job.outcome).toEqual({ kind: 'finished' });
  const { rows, directories, marked } = visible(w.disk);
  expected = rows;
  expect(rows).toHaveLength((events / 50) * 46);
  expect(directories.length).toBeGreaterThan(5);
  expect(marked).toEqual(directories);
});

for (const [p, q] of [
  [1, 3],
  [3, 1],
  [2, 2],
] as const) {
  test(`a stream that crashes and goes on at another parallelism: every bid once, marks as event time passes: ${p} → ${q}`, async () => {
    let recovered = 0;
    let early = 0;
    for (let seed = 1; seed <= 4; seed++) {
      const w = world(seed);
      const random = prng(seed);
      const crashAt = 200 + random.below(500);
      const job = await start(w, { parallelism: p, mode: 'stream' }, seed);
      await drive(job, () => {
        if (job.steps % 8 === 0) job.clock.advance(1);
        return job.steps >= crashAt;
      });
      const before = visible(w.disk);
      // What is marked has all that it will ever have.
      for (const directory of before.marked) {
        const [, date, hours, minutes] = /^dt=(.*)\/hm=(..)%3A(..)$/.exec(directory)!;
        const within = (row: string): boolean => row.split(',')[2]!.startsWith(`${date} ${hours}:${minutes}`);
        expect(before.rows.filter(within)).toEqual(expected.filter(within));
      }
      early += before.marked.length;
      job.crash();
      w.disk.crash();
      w.disk.restart();
      const next = await start(w, { parallelism: q, mode: 'bounded' }, seed + 100);
      if (next.checkpoints?.restoredFrom != null) recovered++;
      await drive(next);
      expect(next.outcome, `seed ${seed}: ${next.notices}`).toEqual({ kind: 'finished' });
      const after = visible(w.disk);
      expect(after.rows, `seed ${seed}`).toEqual(expected);
      expect(after.marked, `seed ${seed}`).toEqual(after.directories);
    }
    expect(recovered).toBeGreaterThan(1);
    expect(early).toBeGreaterThan(0);
  });
}
