/**
 * Jobs with a state directory on one thread and a simulated disk: checkpoints, crashes, restarts, another parallelism.
 * What the files hold in the end is compared with what the rows say.
 */
import { describe, expect, test } from 'vitest';
import { buildPlan } from '../../core/api/job.ts';
import { prng } from '../../core/base/prng.ts';
import type { UserFunction } from '../../core/operators/operator.ts';
import { LocalJob, virtualClock } from '../../engine/local.ts';
import { checkOptions, type LayoutOptions } from '../../engine/options.ts';
import { submit } from '../../engine/run.ts';
import { count, from, generator, iterable, jsonl, schema, sum, t, tumble } from '../../index.ts';
import { type SimulatedDisk, simulatedDisk } from '../../testing/simulated-disk.ts';
import { drive } from '../support/run-job.ts';

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
    { memory: '320mb', batchRows: 8, stateDir: '/state', mode: 'stream', ...options } as never,
    null,
  );
  const job = new LocalJob(submission, { seed, ...world });
  return job.start().then(() => job);
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
      expect(recovered).toBeGreaterThan(1);
    });
  }

  test('4 → 2 → 1 slots read splits in their order: no row is late that was not, where event time comes behind a function', async () => {
    const seen = schema({ n: t.bigint(), at: t.timestamp(3) });
    const { plan, functions, resources } = buildPlan(
      from(
        generator({
          rows,
          columns: (g) => ({ n: g.sequence(), at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 100 }) }),
        }),
      )
        .map(seen, ({ n, at }) => ({ n, at }))
        .eventTime('at')
        .keyBy('n')
        .process({
          output: seen,
          onRow(row, ctx) {
            if (row.at <= ctx.watermark) ctx.emit(row);
          },
        })
        .to(jsonl(out)),
    );
    const calls = new Map([...functions].map(([id, { call }]) => [id, call as UserFunction] as const));
    for (let seed = 1; seed <= 3; seed++) {
      const w = world(seed);
      const random = prng(seed);
      for (const parallelism of [4, 2, 1]) {
        const options = checkOptions({
          ...{ memory: '320mb', batchRows: 8, stateDir: '/state', parallelism, mode: 'stream' },
          checkpoint: { every: '10 ms' },
        });
        const job = new LocalJob(
          { plan, options, module: null, functions: calls, resources, ends: new Map(), restore: null },
          { seed, ...w },
        );
        await job.start();
        const rowsMost = 300 + random.below(600);
        let still = 0;
        let before = 0;
        await drive(job, () => {
          if (job.steps % 8 === 0) job.clock.advance(1);
          if (parallelism > 1) return job.numbers().rowsIn >= rowsMost;
          const { rowsIn } = job.numbers();
          still = rowsIn === before ? still + 1 : 0;
          before = rowsIn;
          return still > 1000;
        });
        if (parallelism < 4) expect(job.checkpoints?.restoredFrom).not.toBe(null);
        job.stop();
        await drive(job);
        expect(job.outcome).toEqual({ kind: 'finished', resumable: true });
      }
      const files = w.disk.list(out).filter((name) => !name.startsWith('.'));
      const late = files.map((name) => new TextDecoder().decode(w.disk.read(`${out}/${name}`))).join('');
      expect(late, `seed ${seed}`).toBe('');
    }
  });

  test('4 → 1 → 3 slots, stopped while timers fire at the end: all of them do, though who gave the rows had ended', async () => {
    const many = 400;
    const row = schema({ n: t.bigint() });
    const { plan, functions, resources } = buildPlan(
      from(
        generator({
          rows: many,
          columns: (g) => ({ n: g.sequence(), at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 100 }) }),
        }),
      )
        .eventTime('at')
        .keyBy('n')
        .process({
          output: row,
          onRow: (_row, ctx) => ctx.timers.eventTime('late', '1 hour'),
          onTimer: (_timer, ctx) => ctx.emit({ n: ctx.key.n }),
        })
        .to(jsonl(out)),
    );
    const calls = new Map([...functions].map(([id, { call }]) => [id, call as UserFunction] as const));
    let interrupted = 0;
    for (let seed = 1; seed <= 8; seed++) {
      const w = world(seed);
      const run = async (parallelism: number, stopped: (job: LocalJob) => boolean): Promise<LocalJob> => {
        const options = checkOptions({
          ...{ memory: '320mb', batchRows: 8, stateDir: '/state', parallelism, mode: 'bounded' },
          checkpoint: { every: 'never' },
        });
        const job = new LocalJob(
          { plan, options, module: null, functions: calls, resources, ends: new Map(), restore: null },
          { seed: seed * parallelism, ...w },
        );
        await job.start();
        await drive(job, () => stopped(job));
        if (job.outcome === null) job.stop();
        await drive(job);
        return job;
      };
      const written = (job: LocalJob): number => job.numbers().tasks.reduce((sum, task) => sum + task.rowsWritten, 0);
      await run(4, (job) => written(job) > seed);
      const second = await run(1, () => true);
      if (second.outcome?.kind === 'finished' && second.outcome.resumable) interrupted++;
      const third = await run(3, () => false);
      expect(third.outcome, `seed ${seed}: ${third.notices}`).toEqual({ kind: 'finished' });
      const files = w.disk.list(out).filter((name) => !name.startsWith('.'));
      const lines = files.flatMap((name) =>
        new TextDecoder()
          .decode(w.disk.read(`${out}/${name}`))
          .trim()
          .split('\n'),
      );
      expect(
        lines
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line).n)
          .sort((x, y) => x - y),
        `seed ${seed}`,
      ).toEqual(Array.from({ length: many }, (_, i) => i));
    }
    expect(interrupted).toBeGreaterThan(3);
  });

  test('a manifest that may be there and may not: the attempt ends, and the next one goes by what is there', async () => {
    for (const restart of ['none', { strategy: 'fixedDelay', attempts: 3, delay: '5 ms' }] as const) {
      for (const powerLost of [false, true]) {
        const w = world(5);
        const options = { parallelism: 2, mode: 'bounded', checkpoint: { every: '10 ms' }, restart } as const;
        let synced = 0;
        w.disk.onCall = (call, path) =>
          call === 'syncDirectory' && path === '/state/manifests' && ++synced === 2 ? 'error' : null;
        const job = await start(w, options as never, 5);
        await drive(job, () => {
          if (job.steps % 8 === 0) job.clock.advance(1);
          return powerLost && synced === 2;
        });
        expect(synced).toBeGreaterThan(1);
        if (powerLost) {
          job.crash();
          w.disk.crash();
        }
        w.disk.restart({ lossless: !powerLost });
        if (!powerLost && restart !== 'none') {
          expect(job.notices.join()).toContain('attempt 1 failed: the disk of /state failed: EIO');
          expect(job.checkpoints).toMatchObject({ restarts: 1, restoredFrom: 1 });
        }
        const next = await start(w, options as never, 6);
        await drive(next);
        expect(next.outcome, next.notices.join()).toEqual({ kind: 'finished' });
        expect(totals(visible(w.disk))).toEqual(all);
      }
    }
  });

  test('crashed before its first checkpoint, and again: what its sinks had staged is found and goes', async () => {
    const w = world(4);
    const options = { parallelism: 2, mode: 'bounded', checkpoint: { every: 'never' } } as const;
    for (const seed of [1, 2]) {
      const job = await start(w, options, seed);
      await drive(job, () => job.steps >= 200);
      expect(w.disk.list(out).filter((name) => name.startsWith('.'))).toHaveLength(1);
      job.crash();
      w.disk.crash();
      w.disk.restart();
    }
    const last = await start(w, options, 3);
    await drive(last);
    expect(last.outcome).toEqual({ kind: 'finished' });
    expect(totals(visible(w.disk))).toEqual(all);
    expect(w.disk.list(out).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('an iterable cannot be read again: a restart is refused, and so is another process', async () => {
    const w = world(5);
    const once = () => from(iterable(numbers(), { schema: schema({ n: t.bigint() }) })).to(jsonl(out));
    function* numbers() {
      for (let n = 0; n < 500; n++) yield { n };
    }
    const options = {
      memory: '320mb',
      parallelism: 1,
      batchRows: 8,
      stateDir: '/state',
      checkpoint: { every: '10 ms' },
    };
    let fails = true;
    const job = new LocalJob(submit(once(), options as never, null), {
      seed: 5,
      ...w,
      beforeStep() {
        w.clock.advance(1);
        if (!fails || (job.checkpoints?.completed ?? 0) === 0) return;
        fails = false;
        throw new Error('a bad moment');
      },
    });
    await job.start();
    await drive(job);
    expect(job.outcome).toMatchObject({ kind: 'failed' });
    expect(JSON.stringify(job.outcome)).toContain('cannot be read a second time');
    const next = new LocalJob(submit(once(), options as never, null), { seed: 6, ...w });
    await next.start();
    await drive(next);
    expect(next.outcome).toMatchObject({ kind: 'failed', error: { code: 'source/not-replayable' } });
  });

  test('restarts after a failure, as often as its strategy allows, and holds every row once', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const w = world(seed);
      const random = prng(seed);
      const at = new Set([60 + random.below(60), 150 + random.below(60), 250 + random.below(60)]);
      const submission = submit(
        windows(),
        {
          memory: '320mb',
          batchRows: 8,
          parallelism: 2,
          stateDir: '/state',
          checkpoint: { every: '10 ms' },
          restart: { strategy: 'fixedDelay', attempts: 3, delay: '50 ms' },
        } as never,
        null,
      );
      let failures = 0;
      const job = new LocalJob(submission, {
        seed,
        ...w,
        beforeStep(step) {
          if (step % 8 === 0) w.clock.advance(1);
          if (!at.delete(step)) return;
          failures++;
          throw new Error('a bad moment');
        },
      });
      await job.start();
      await drive(job);
      expect(job.outcome, `seed ${seed}: ${job.notices}`).toEqual({ kind: 'finished' });
      expect(job.checkpoints?.restarts).toBe(failures);
      expect(failures).toBeGreaterThan(0);
      expect(totals(visible(w.disk)), `seed ${seed}`).toEqual(all);
    }
  });

  test('gives up when the strategy says so, with the first cause', async () => {
    const w = world(3);
    const submission = submit(
      windows(),
      {
        memory: '320mb',
        parallelism: 1,
        stateDir: '/state',
        restart: { strategy: 'fixedDelay', attempts: 2, delay: '1 ms' },
      } as never,
      null,
    );
    const job = new LocalJob(submission, {
      seed: 3,
      ...w,
      beforeStep() {
        throw new Error('always');
      },
    });
    await job.start();
    await drive(job);
    expect(job.attempt).toBe(3);
    expect(JSON.stringify(job.outcome)).toContain('it was restarted 2 times already');
    expect(w.disk.list('/state/staging')).toHaveLength(1);
    expect(w.disk.list(`/state/staging/${w.disk.list('/state/staging')[0]}`)).toEqual([]);
  });

  test('a stop takes a last checkpoint, from which another run goes on', async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const w = world(seed);
      const random = prng(seed);
      const stopAt = 50 + random.below(150);
      const job = await start(w, { parallelism: 2, mode: 'bounded', checkpoint: { every: 'never' } }, seed);
      await drive(job, () => job.steps >= stopAt);
      const stopped = job.stop();
      await drive(job);
      expect(job.outcome).toEqual({ kind: 'finished', resumable: true });
      expect(await stopped).toMatchObject({ id: 1, error: null });
      const next = await start(w, { parallelism: 3, mode: 'bounded' }, seed);
      await drive(next);
      expect(next.checkpoints?.restoredFrom).toBe(1);
      expect(totals(visible(w.disk)), `seed ${seed}`).toEqual(all);
    }
  });

  test('nothing is written when nothing has changed', async () => {
    const w = world(7);
    const job = await start(w, { parallelism: 2, checkpoint: { every: '10 ms' } }, 7);
    let still = 0;
    await drive(job, () => {
      if (job.numbers().rowsIn === rows) still++;
      return still > 3000;
    });
    const ids = w.disk.list('/state/manifests');
    const completed = job.checkpoints!.completed;
    for (let i = 0; i < 200; i++) {
      job.turn();
      await job.settle();
      w.clock.advance(1);
    }
    expect(job.checkpoints!.completed).toBeGreaterThan(completed + 5);
    expect(job.checkpoints!.failed).toBe(0);
    expect(w.disk.list('/state/manifests')).toEqual(ids);
    void job.stop({ drain: true });
    await drive(job);
    expect(totals(visible(w.disk))).toEqual(all);
  });
});

describe('a job that does not fit its state', () => {
  const grouped = (column: 'n' | 'k', named: string | null, changed = false) => {
    const read = from(
      generator({
        rows,
        columns: (g) => ({
          n: g.sequence(),
          k: g.bigint(0, 3),
          at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 100 }),
        }),
      }),
    ).eventTime('at');
    // What is changed gives the same rows.
    const rowsRead = changed ? read.filter((r) => r.n.gt(-1)).with((r) => ({ n: r.n.add(0) })) : read;
    const stream = rowsRead.groupBy('k', tumble('1 second')).aggregate((r) => ({ total: sum(r[column]), n: count() }));
    return (named === null ? stream : stream.named(named)).to(jsonl(out));
  };
  const begin = async (w: World, what: ReturnType<typeof grouped>, more: object = {}): Promise<LocalJob> => {
    const options = {
      memory: '320mb',
      parallelism: 1,
      batchRows: 16,
      stateDir: '/state',
      checkpoint: { every: '10 ms' },
      ...more,
    };
    const job = new LocalJob(submit(what, options as never, null), { seed: 1, ...w });
    await job.start();
    return job;
  };
  const halfway = async (w: World): Promise<void> => {
    const job = await begin(w, grouped('n', 'totals'));
    await drive(job, () => {
      w.clock.advance(1);
      return (job.checkpoints?.completed ?? 0) >= 2;
    });
    job.crash();
  };

  test('is refused with the differences, and nothing on disk changes', async () => {
    const w = world(1);
    await halfway(w);
    const before = w.disk.list('/state/manifests');
    const renamed = await begin(w, grouped('n', 'others'));
    expect(renamed.outcome).toMatchObject({ kind: 'failed', error: { code: 'snapshot/mismatch' } });
    const message = JSON.stringify(renamed.outcome);
    for (const part of ['- totals', 'not in the job any more', '+ others', '--allow-non-restored-state', '.named('])
      expect(message).toContain(part);
    expect(w.disk.list('/state/manifests')).toEqual(before);
  });

  test('keeps the state of an operator that has a name, whatever changed around it', async () => {
    const w = world(3);
    await halfway(w);
    const job = await begin(w, grouped('n', 'totals', true));
    expect(job.notices.filter((text) => text.includes('totals'))).toEqual([]);
    expect(job.checkpoints?.restoredFrom).not.toBeNull();
    await drive(job, () => {
      w.clock.advance(1);
      return false;
    });
    expect(totals(visible(w.disk))).toEqual(all);
  });

  test('its state is dropped when that is allowed, and it is said so', async () => {
    const w = world(2);
    await halfway(w);
    const job = await begin(w, grouped('n', 'others'), { allowNonRestoredState: true });
    expect(job.notices.join()).toContain("the state of operator 'totals' is dropped");
    expect(job.outcome).toBeNull();
    job.crash();
  });
});
