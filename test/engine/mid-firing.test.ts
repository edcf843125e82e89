/**
 * A checkpoint on disk in the middle of firing very many timers of one instant, a crash behind it, and what is restored: the
 * rest fires, each timer's row is in the files once.
 */
import { expect, test } from 'vitest';
import { buildPlan } from '../../core/api/job.ts';
import type { UserFunction } from '../../core/operators/operator.ts';
import { LocalJob, type VirtualClock, virtualClock } from '../../engine/local.ts';
import { checkOptions } from '../../engine/options.ts';
import { from, generator, jsonl, schema, state, t } from '../../index.ts';
import { type SimulatedDisk, simulatedDisk } from '../../testing/simulated-disk.ts';

const timers = 40_000;
const out = '/out/fired';
const startMs = Date.UTC(2026, 0, 1);

/** A clock that moves whenever it is read: a step ends when it has lasted long enough. */
function moving(): VirtualClock {
  const clock = virtualClock(startMs);
  const read = (): number => {
    clock.advance(0.25);
    return clock.monotonicMs();
  };
  return { ...clock, monotonicMs: read };
}

async function start(disk: SimulatedDisk, parallelism: number, fired: { n: number }): Promise<LocalJob> {
  const end = from(
    generator({
      rows: timers + 5000,
      columns: (g) => ({ n: g.sequence(), at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 1000 }) }),
    }),
  )
    .eventTime('at')
    .keyBy('n')
    .process({
      output: schema({ n: t.bigint(), seen: t.int() }),
      state: { seen: state.value(t.int()) },
      onRow(row, ctx) {
        if (row.n >= timers) return;
        ctx.state.seen.set((ctx.state.seen.get() ?? 0) + 1);
        ctx.timers.eventTime('t', new Date(startMs + timers));
      },
      onTimer(_timer, ctx) {
        fired.n++;
        ctx.emit({ n: ctx.key.n, seen: ctx.state.seen.get() ?? 0 });
        ctx.state.seen.clear();
      },
    })
    .to(jsonl(out));
  const { plan, functions, resources } = buildPlan(end);
  const job = new LocalJob(
    {
      plan,
      options: checkOptions({
        memory: '512mb',
        parallelism,
        mode: 'stream',
        stateDir: '/state',
        checkpoint: { every: 'never' },
      }),
      module: null,
      functions: new Map([...functions].map(([id, { call }]) => [id, call as UserFunction] as const)),
      resources,
      ends: new Map(),
      restore: null,
    },
    { seed: parallelism, disk, clock: moving() },
  );
  await job.start();
  return job;
}

async function drive(job: LocalJob, until: () => boolean): Promise<void> {
  for (let idle = 0; !until() && idle < 100; ) {
    expect(job.outcome, JSON.stringify(job.outcome)).toBe(null);
    if (job.turn()) {
      idle = 0;
      if (job.steps % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
      continue;
    }
    idle++;
    await job.settle();
    job.clock.advance(1);
  }
}

for (const [p, q] of [
  [1, 1],
  [1, 3],
] as const) {
  test(`a checkpoint while timers fire, a crash, and the rest: ${p} → ${q}`, async () => {
    const disk = simulatedDisk(p);
    const before = { n: 0 };
    const one = await start(disk, p, before);
    await drive(one, () => before.n > 0);
    let taken = false;
    void one.ask({ kind: 'asked' }).then((answer) => {
      expect(answer).toMatchObject({ error: null });
      taken = true;
    });
    await drive(one, () => taken);
    // It is durable when its files are, which is later than when its barrier passed: what fires again says where that was.
    one.crash();
    disk.crash();
    disk.restart();

    const after = { n: 0 };
    const two = await start(disk, q, after);
    await drive(two, () => false);
    let last = false;
    void two.ask({ kind: 'asked' }).then(() => {
      last = true;
    });
    await drive(two, () => last);
    two.crash();
    expect(after.n).toBeGreaterThan(0);
    expect(after.n, 'some had fired before the checkpoint').toBeLessThan(timers);
    const rows = disk
      .list(out)
      .filter((name) => !name.startsWith('.'))
      .flatMap((name) => new TextDecoder().decode(disk.read(`${out}/${name}`)).split('\n'))
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { n: number; seen: number });
    expect(rows.every(({ seen }) => seen === 1)).toBe(true);
    expect(rows.map(({ n }) => n).sort((a, b) => a - b)).toEqual(Array.from({ length: timers }, (_, n) => n));
  });
}
