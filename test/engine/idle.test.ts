/**
 * Checkpoints of jobs in which nothing moves cost no file and no byte: on one thread and a simulated disk, whose every call
 * is counted. One that follows a change writes again.
 */
import { describe, expect, test } from 'vitest';
import { buildPlan } from '../../core/api/job.ts';
import type { UserFunction } from '../../core/operators/operator.ts';
import type { Disk } from '../../core/ports/disk.ts';
import { LocalJob, type VirtualClock, virtualClock } from '../../engine/local.ts';
import { checkOptions } from '../../engine/options.ts';
import {
  connect,
  count,
  type End,
  type Ends,
  from,
  generator,
  hop,
  jsonl,
  parquet,
  schema,
  state,
  sum,
  t,
  tumble,
} from '../../index.ts';
import { simulatedDisk } from '../../testing/simulated-disk.ts';

const numbers = (rows: number) =>
  from(
    generator({
      rows,
      columns: (g) => ({
        n: g.sequence(),
        k: g.bigint(0, 40),
        at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 100 }),
      }),
    }),
  );
const timed = (rows: number) => numbers(rows).eventTime('at', { outOfOrderness: '1 second' });
const said = schema({ k: t.bigint(), n: t.bigint() });
const remembered = (rows: number) =>
  timed(rows)
    .keyBy('k')
    .process({
      output: said,
      state: {
        last: state.value(t.bigint()),
        all: state.list(t.bigint(), { ttl: '1 day' }),
        by: state.map(t.string(), t.bigint()),
      },
      onRow(row, ctx) {
        ctx.state.last.set(row.n);
        ctx.state.all.add(row.n);
        ctx.state.by.set(String(row.n % 7), row.n);
        ctx.timers.eventTime('t', '1 hour');
        ctx.timers.processingTime('p', '365 days');
        ctx.emit({ k: row.k, n: row.n });
      },
      onTimer() {},
    });

const shapes: Readonly<Record<string, () => End>> = {
  'tumbling windows': () =>
    timed(2000)
      .groupBy('k', tumble('5 seconds'))
      .aggregate((r) => ({ rows: count(), total: sum(r.n) }))
      .to(jsonl('/out/a')),
  'hopping windows with lateness': () =>
    timed(2000)
      .groupBy('k', hop('10 seconds', '2 seconds'))
      .aggregate(() => ({ rows: count() }), { allowedLateness: '5 seconds' })
      .to(jsonl('/out/a', { changelog: true })),
  'groups that update': () =>
    numbers(2000)
      .groupBy('k')
      .aggregate((r) => ({ total: sum(r.n) }))
      .to(jsonl('/out/a', { changelog: true })),
  'a process function with timers and ttl': () => remembered(2000).to(jsonl('/out/a')),
  'rows only, in Parquet': () => numbers(2000).to(parquet('/out/a')),
  'a Top-N of windows': () =>
    timed(2000)
      .groupBy('k', tumble('5 seconds'))
      .aggregate((r) => ({ total: sum(r.n) }))
      .groupBy('window')
      .topN(3, { orderBy: 'total' })
      .to(jsonl('/out/a')),
  'broadcast state': () =>
    connect({
      rows: timed(1000).keyBy('k'),
      rules: numbers(10).broadcast(),
    })
      .process({
        output: said,
        broadcastState: { rules: state.map(t.bigint(), t.bigint()) },
        onRow: {
          rows: (row, ctx) => ctx.emit({ k: row.k, n: row.n }),
          rules: (row, ctx) => ctx.broadcast.rules.set(row.n, row.k),
        },
      })
      .to(jsonl('/out/a')),
  'two sources, united': () => numbers(500).union(timed(700)).to(jsonl('/out/a')),
};

interface Counted {
  readonly disk: Disk;
  readonly calls: string[];
}

/** Every call that could change something. */
function counting(disk: Disk): Counted {
  const calls: string[] = [];
  const wrapped = new Proxy(disk, {
    get(of, name) {
      const value = (of as unknown as Record<PropertyKey, unknown>)[name];
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (typeof name === 'string' && !/^(read|list|exists|size|stat|open$)/.test(name))
          calls.push(`${name} ${args[0]}`);
        return (value as (...of: unknown[]) => unknown).apply(of, args);
      };
    },
  });
  return { disk: wrapped, calls };
}

async function started(
  end: Ends,
  parallelism: number,
  clock: VirtualClock,
): Promise<{ job: LocalJob; calls: string[] }> {
  const { disk, calls } = counting(simulatedDisk(1));
  const { plan, functions, resources } = buildPlan(end);
  const job = new LocalJob(
    {
      plan,
      options: checkOptions({
        ...{ memory: '320mb', batchRows: 64, parallelism, stateDir: '/state', mode: 'stream' },
        checkpoint: { every: '100 ms' },
      }),
      module: null,
      functions: new Map([...functions].map(([id, { call }]) => [id, call as UserFunction] as const)),
      resources,
      ends: new Map(),
      restore: null,
    },
    { seed: 1, disk, clock },
  );
  await job.start();
  return { job, calls };
}

/** Lets `ms` of the clock pass. */
async function pass(job: LocalJob, ms: number): Promise<void> {
  for (let left = ms; left > 0; ) {
    if (job.outcome !== null) throw new Error(JSON.stringify(job.outcome));
    if (job.turn()) continue;
    await job.settle();
    job.clock.advance(1);
    left--;
  }
}

describe('checkpoints of a job in which nothing moves write nothing', () => {
  for (const [name, end] of Object.entries(shapes)) {
    for (const parallelism of [1, 3]) {
      test(`${name}, ${parallelism} subtasks`, async () => {
        const { job, calls } = await started(end(), parallelism, virtualClock(Date.UTC(2026, 0, 1)));
        await pass(job, 1000);
        const before = job.checkpoints!;
        expect(before.completed).toBeGreaterThan(2);
        calls.length = 0;
        await pass(job, 2000);
        expect(job.checkpoints!.completed).toBeGreaterThan(before.completed + 10);
        expect(job.checkpoints!.lastId).toBe(before.lastId);
        expect(job.checkpoints!.lastBytes).toBe(0);
        expect(calls).toEqual([]);
      });
    }
  }

  test('a generator that waits for its next row, until that comes', async () => {
    const slow = from(generator({ rows: 1000, rate: 0.2, columns: (g) => ({ n: g.sequence() }) }));
    const { job, calls } = await started(slow.to(jsonl('/out/a')), 2, virtualClock(0));
    await pass(job, 1000);
    const { lastId } = job.checkpoints!;
    calls.length = 0;
    await pass(job, 2500);
    expect(job.checkpoints!.lastId).toBe(lastId);
    expect(calls).toEqual([]);
    await pass(job, 10_000);
    expect(job.checkpoints!.lastId).toBeGreaterThan(lastId!);
    expect(calls.some((call) => call.startsWith('create'))).toBe(true);
    const { lastId: next } = job.checkpoints!;
    calls.length = 0;
    await pass(job, 1000);
    expect([job.checkpoints!.lastId, calls]).toEqual([next, []]);
  });
});
