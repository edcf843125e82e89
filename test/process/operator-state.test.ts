/**
 * Operator state: lists of a subtask, through checkpoints of a simulated disk, crashes and savepoints, at other
 * parallelisms. What was added before the checkpoint is compared with what subtasks hold after the restore.
 */
import { describe, expect, test } from 'vitest';
import { buildPlan } from '../../core/api/job.ts';
import type { UserFunction } from '../../core/operators/operator.ts';
import { LocalJob, virtualClock } from '../../engine/local.ts';
import { checkOptions, type LayoutOptions } from '../../engine/options.ts';
import { blackhole, collection, connect, from, generator, schema, state, t } from '../../index.ts';
import { type SimulatedDisk, simulatedDisk } from '../../testing/simulated-disk.ts';
import { runJob } from '../support/run-job.ts';

interface Held {
  readonly split: readonly string[];
  readonly union: readonly string[];
}

const long = (n: number): string => `row ${n} ${'with a long text '.repeat(n % 200 === 0 ? 500 : n % 3)}`;

/** What the function of one life is told, and tells. */
interface Life {
  /** Adds each of its rows. */
  readonly adds: boolean;
  readonly added: string[];
  /** What each subtask held when it saw its first row, by its handle. */
  readonly held: Map<object, Held>;
}
const life = (adds: boolean): Life => ({ adds, added: [], held: new Map() });

function counted({ adds, added, held }: Life) {
  return from(generator({ rows: 4000, rate: 1000, columns: (g) => ({ n: g.sequence() }) }))
    .keyBy('n')
    .process({
      output: schema({ n: t.bigint() }),
      operatorState: { split: state.split(t.string()), union: state.union(t.string()) },
      state: { seen: state.value(t.boolean()) },
      onRow(row, ctx) {
        const { split, union } = ctx.operator;
        if (!held.has(split)) {
          held.set(split, { split: [...split], union: [...union] });
          expect([split.length, union.length]).toEqual([[...split].length, [...union].length]);
        }
        ctx.state.seen.set(true);
        // Some subtasks add little, some much.
        if (!adds || row.n % 5 === 0) return;
        split.add(long(row.n));
        union.add(long(row.n));
        added.push(long(row.n));
      },
    })
    .named('lists')
    .to(blackhole());
}

async function start(disk: SimulatedDisk, of: Life, options: LayoutOptions, seed: number): Promise<LocalJob> {
  const { plan, functions, resources } = buildPlan(counted(of));
  const job = new LocalJob(
    {
      plan,
      options: checkOptions({
        ...{ memory: '640mb', batchRows: 16, mode: 'stream', stateDir: '/state', checkpoint: { every: 'never' } },
        ...options,
      }),
      module: null,
      functions: new Map([...functions].map(([id, { call }]) => [id, call as UserFunction] as const)),
      resources,
      ends: new Map(),
      restore: null,
    },
    { seed, disk, clock: virtualClock(0) },
  );
  await job.start();
  return job;
}

/** Until nothing moves any more while the clock stands still. */
async function still(job: LocalJob): Promise<void> {
  for (let rounds = 0; rounds < 5; ) {
    expect(job.outcome, JSON.stringify(job.outcome)).toBe(null);
    if (job.turn()) continue;
    await job.settle();
    rounds++;
  }
}

async function pass(job: LocalJob, ms: number): Promise<void> {
  for (let i = 0; i < ms; i += 10) {
    job.clock.advance(10);
    await still(job);
  }
}

/** Checkpoints, or makes a savepoint; then goes on for a while and crashes. */
async function crashBehind(job: LocalJob, kind: 'asked' | 'savepoint'): Promise<string | null> {
  const request = kind === 'asked' ? ({ kind } as const) : ({ kind, directory: '/savepoints' } as const);
  const asked = job.ask(request);
  await still(job);
  const answer = await asked;
  expect(answer).toMatchObject({ error: null });
  await pass(job, 600);
  job.crash();
  return answer.path;
}

const sorted = (values: Iterable<string>): string[] => [...values].sort();
const all = ({ held }: Life): string[] => sorted([...held.values()].flatMap(({ split }) => split));

describe('operator state', () => {
  for (const kind of ['asked', 'savepoint'] as const) {
    for (const p of [1, 2, 3, 5]) {
      for (const q of [1, 2, 3, 5]) {
        test(`${kind === 'asked' ? 'a checkpoint' : 'a savepoint'}, ${p} → ${q}: split is shared out, of union everybody gets everything`, async () => {
          const disk = simulatedDisk(p * 10 + q);
          const first = life(true);
          const one = await start(disk, first, { parallelism: p }, 1);
          await pass(one, 300);
          const added = sorted(first.added);
          const path = await crashBehind(one, kind);
          expect(added.length).toBeGreaterThan(100);
          expect(first.added.length).toBeGreaterThan(added.length);
          const from = path === null ? {} : { stateDir: '/other', from: path };

          const second = life(false);
          const two = await start(disk, second, { parallelism: q, ...from }, 2);
          await pass(two, 600);
          expect(second.held.size).toBe(q);
          expect(all(second)).toEqual(added);
          const sizes = [...second.held.values()].map(({ split }) => split.length);
          if (p !== q) expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
          for (const { union } of second.held.values()) expect(sorted(union)).toEqual(added);

          // Restored once more, with what was added between: nothing has become more.
          const again = path === null ? {} : { stateDir: '/other' };
          await crashBehind(two, 'asked');
          const third = life(true);
          const three = await start(disk, third, { parallelism: p, ...again }, 3);
          await pass(three, 600);
          expect(all(third)).toEqual(added);
          for (const { union } of third.held.values()) expect(sorted(union)).toEqual(added);
          const more = sorted([...added, ...third.added]);
          await crashBehind(three, 'asked');
          const last = life(false);
          const four = await start(disk, last, { parallelism: q, ...again }, 4);
          await pass(four, 600);
          expect(all(last)).toEqual(more);
          for (const { union } of last.held.values()) expect(sorted(union)).toEqual(more);
          four.crash();
        });
      }
    }
  }

  test('at the same parallelism every subtask keeps its own, in order', async () => {
    const disk = simulatedDisk(1);
    const first = life(true);
    const one = await start(disk, first, { parallelism: 3 }, 1);
    await pass(one, 300);
    const asked = one.ask({ kind: 'asked' });
    await still(one);
    await asked;
    one.crash();
    const second = life(false);
    const two = await start(disk, second, { parallelism: 3 }, 2);
    await pass(two, 600);
    two.crash();
    const order = new Map(first.added.map((value, i) => [value, i]));
    for (const { split } of second.held.values()) {
      const places = split.map((value) => order.get(value)!);
      expect(places).toEqual([...places].sort((a, b) => a - b));
    }
  });

  test('belongs to a subtask and to rows of every input, and is cleared by it', async () => {
    const { rows } = await runJob(
      connect({
        rows: from(collection([{ n: 1 }, { n: 2 }], { schema: schema({ n: t.int() }) })).keyBy('n'),
        rules: from(collection([{ n: 3 }], { schema: schema({ n: t.int() }) })).broadcast(),
      }).process({
        output: schema({ held: t.string() }),
        operatorState: { seen: state.split(t.int().nullable()) },
        onRow: {
          rows(row, ctx) {
            ctx.operator.seen.add(row.n);
            if (row.n === 2) ctx.operator.seen.add(null);
          },
          rules(_row, ctx) {
            ctx.operator.seen.clear();
            ctx.operator.seen.add(3);
            ctx.emit({ held: [...ctx.operator.seen].join() });
          },
        },
      }),
    );
    expect(rows.get('result')).toEqual([{ held: '3' }]);
  });

  test('is told from keyed and broadcast state, by type and when the job is built', () => {
    const keyed = from(collection([{ n: 1 }], { schema: schema({ n: t.int() }) })).keyBy('n');
    const split = state.split(t.int());
    expect(() => keyed.process({ state: { split }, onRow() {} })).toThrow(/declare it in operatorState/);
    for (const taken of ['keys', 'fired', 'parallelism']) {
      const refused = new RegExp(`may not be named '${taken}'`);
      expect(() => keyed.process({ state: { [taken]: state.list(t.int()) }, onRow() {} })).toThrow(refused);
      expect(() => keyed.process({ state: { [taken]: state.map(t.int(), t.int()) }, onRow() {} })).toThrow(refused);
      expect(() => keyed.process({ operatorState: { [taken]: split }, onRow() {} })).toThrow(refused);
      expect(() => keyed.process({ state: { [taken]: state.value(t.int()) }, onRow() {} })).not.toThrow();
    }
    // @ts-expect-error: a value belongs to a key
    expect(() => keyed.process({ operatorState: { v: state.value(t.int()) }, onRow() {} })).toThrow(/state.split/);
    expect(() =>
      keyed.process({ state: { a: state.value(t.int()) }, operatorState: { a: split }, onRow() {} }),
    ).toThrow(/give one another name/);
  });

  test('has a limit, which is told', async () => {
    const end = from(collection([{ n: 1 }], { schema: schema({ n: t.int() }) }))
      .keyBy('n')
      .process({
        output: schema({ n: t.int() }),
        operatorState: { many: state.split(t.int()) },
        onRow(_row, ctx) {
          for (let i = 0; i < 100_001; i++) ctx.operator.many.add(i);
        },
      });
    await expect(runJob(end)).rejects.toMatchObject({ code: 'function/too-many' });
  });
});
