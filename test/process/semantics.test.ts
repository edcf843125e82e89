/** What process functions promise, one sentence a test: on one thread, in small batches, contexts poisoned. */
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../core/base/errors.ts';
import { collection, connect, from, type Schema, type StateOptions, schema, state, t } from '../../index.ts';
import { runJob } from '../support/run-job.ts';

const at = (ms: number): Date => new Date(ms);
const event = schema({ k: t.string(), v: t.int(), at: t.timestamp(3) });
type Event = { k: string; v: number; at: Date };
const events = (rows: readonly (readonly [k: string, v: number, ms: number])[]): Event[] =>
  rows.map(([k, v, ms]) => ({ k, v, at: at(ms) }));
const stream = (rows: readonly Event[], outOfOrderness: '0 ms' | '1 day' = '0 ms') =>
  from(collection(rows, { schema: event })).eventTime('at', { outOfOrderness });
const plain = <R>(rows: readonly Record<string, unknown>[], of: Schema<R>) =>
  from(collection(rows as R[], { schema: of }));
const said = schema({ said: t.string() });

/** What a job of one end gives, in every batch size. */
async function received(end: Parameters<typeof runJob>[0], parallelism = 1): Promise<unknown[]> {
  let first: unknown[] | null = null;
  for (const batchRows of [1, 7, 4096]) {
    const { rows } = await runJob(end, { parallelism, batchRows }, { poisonRows: batchRows !== 4096, seed: batchRows });
    const got = rows.get('result')!;
    if (parallelism > 1) got.sort((a, b) => (text(a) < text(b) ? -1 : 1));
    first ??= got;
    expect(got, `batches of ${batchRows}`).toEqual(first);
  }
  return first!;
}
const text = (row: unknown): string =>
  Object.values(row as object)
    .map(String)
    .join();
const texts = async (end: Parameters<typeof runJob>[0], parallelism = 1): Promise<string[]> =>
  ((await received(end, parallelism)) as { said: string }[]).map((row) => row.said);

async function failure(end: Parameters<typeof runJob>[0]): Promise<MillraceError> {
  try {
    await runJob(end, { batchRows: 7 }, { poisonRows: true });
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    return error as MillraceError;
  }
  throw new Error('it did not fail');
}

describe('state', () => {
  test('belongs to a key, and rows of one batch see one another’s writes', async () => {
    const end = stream(
      events([
        ['a', 1, 0],
        ['b', 10, 1],
        ['a', 2, 2],
        ['a', 3, 3],
        ['b', 20, 4],
      ]),
    )
      .keyBy('k')
      .process({
        output: said,
        state: { sum: state.value(t.int()) },
        onRow(row, ctx) {
          const sum = (ctx.state.sum.get() ?? 0) + row.v;
          ctx.state.sum.set(sum);
          ctx.emit({ said: `${ctx.key.k} ${sum}` });
        },
      });
    expect(await texts(end)).toEqual(['a 1', 'b 10', 'a 3', 'a 6', 'b 30']);
    expect(await texts(end, 3)).toEqual(['a 1', 'a 3', 'a 6', 'b 10', 'b 30']);
  });

  test('holds values of every type, null among them, and gives them back as they were', async () => {
    const all = schema({
      b: t.boolean(),
      i: t.int(),
      l: t.bigint(),
      big: t.bigint().asBigInt(),
      d: t.double(),
      s: t.string(),
      day: t.date(),
      ms: t.timestamp(3),
      us: t.timestamp(6),
      none: t.int().nullable(),
      text: t.string().nullable(),
      place: t.row({ city: t.string(), at: t.row({ lat: t.double().nullable() }) }).nullable(),
      tags: t.array(t.string()),
      by: t.map(t.string(), t.int()),
    });
    const values = [
      {
        b: true,
        i: -(2 ** 31),
        l: 2 ** 53 - 1,
        big: -(2n ** 63n),
        d: -0,
        s: 'ü–€–𝄞 \0 and more',
        day: at(-86_400_000),
        ms: at(-1),
        us: at(1),
        none: null,
        text: null,
        place: null,
        tags: [],
        by: new Map(),
      },
      {
        b: false,
        i: 2 ** 31 - 1,
        l: -(2 ** 53 - 1),
        big: 2n ** 63n - 1n,
        d: Number.NaN,
        s: '',
        day: at(0),
        ms: at(8.64e15),
        us: at(-1),
        none: 0,
        text: 'x'.repeat(400),
        place: { city: 'thirteen bytes', at: { lat: null } },
        tags: ['a', ''],
        by: new Map([['x', 1]]),
      },
    ];
    const seen: unknown[] = [];
    const { tags: _tags, by: _by, ...flat } = values[0]!;
    const small = schema({
      b: t.boolean(),
      i: t.int(),
      l: t.bigint(),
      big: t.bigint().asBigInt(),
      d: t.double(),
      s: t.string(),
      day: t.date(),
      ms: t.timestamp(3),
      us: t.timestamp(6),
      none: t.int().nullable(),
      text: t.string().nullable(),
      place: t.row({ city: t.string(), at: t.row({ lat: t.double().nullable() }) }).nullable(),
    });
    const end = stream(events([['a', 0, 0], ['a', 1, 1], ['a', 2, 2], ['a', 3, 3]]))
      .keyBy('k')
      .process({
        output: said,
        state: {
          wide: state.value(all),
          row: state.value(small),
          nullable: state.value(t.double().nullable()),
          list: state.list(all.nullable()),
          map: state.map(small, all),
        },
        onRow(row, ctx) {
          seen.push([ctx.state.wide.get(), ctx.state.row.get(), ctx.state.nullable.get(), [...ctx.state.list], [...ctx.state.map]]);
          if (row.v > 1) {
            for (const one of [ctx.state.wide, ctx.state.row, ctx.state.nullable, ctx.state.list, ctx.state.map]) one.clear();
            return;
          }
          const value = values[row.v]!;
          ctx.state.wide.set(value);
          const { tags: _t, by: _b, ...rest } = value;
          ctx.state.row.set(rest);
          ctx.state.nullable.set(row.v === 0 ? null : 1.5);
          ctx.state.list.add(value);
          ctx.state.list.add(null);
          ctx.state.map.set(rest, value);
        },
      }); // biome-ignore format: values in a row
    await runJob(end, { batchRows: 1 });
    const rest = values.map(({ tags: _t, by: _b, ...of }) => of);
    expect(seen[0]).toEqual([null, null, null, [], []]);
    expect(seen[1]).toEqual([values[0], rest[0], null, [values[0], null], [[{ ...rest[0], d: 0 }, values[0]]]]);
    const second = seen[2] as unknown[][];
    expect(second.slice(0, 4)).toEqual([values[1], rest[1], 1.5, [values[0], null, values[1], null]]);
    expect(second[4]!.length).toBe(2);
    expect(seen[3]).toEqual([null, null, null, [], []]);
    void flat;
  });

  test('folds and aggregates what is added', async () => {
    const end = stream(
      events([
        ['a', 3, 0],
        ['a', 5, 1],
        ['a', 10, 2],
      ]),
    )
      .keyBy('k')
      .process({
        output: said,
        state: {
          most: state.reducing(t.int(), (a, b) => Math.max(a, b)),
          mean: state.aggregating({
            input: t.int(),
            accumulator: { sum: t.double(), n: t.int() },
            init: () => ({ sum: 0, n: 0 }),
            add: (acc, value) => ({ sum: acc.sum + value, n: acc.n + 1 }),
            finish: (acc) => acc.sum / acc.n,
          }),
        },
        onRow(row, ctx) {
          const before = ctx.state.mean.get();
          ctx.state.most.add(row.v);
          ctx.state.mean.add(row.v);
          ctx.emit({ said: `${before} ${ctx.state.most.get()} ${ctx.state.mean.get()}` });
          if (row.v === 5) ctx.state.most.clear();
        },
      });
    expect(await texts(end)).toEqual(['null 3 3', '3 5 4', '4 10 6']);
  });

  test('of lists keeps the order, of maps that of the keys; both may be changed while they are walked', async () => {
    const end = stream(
      events([
        ['a', 0, 0],
        ['b', 0, 1],
        ['a', 1, 2],
      ]),
    )
      .keyBy('k')
      .process({
        output: said,
        state: { list: state.list(t.string()), map: state.map(t.int(), t.string()) },
        onRow(row, ctx) {
          const { list, map } = ctx.state;
          if (row.v === 0) {
            for (let i = 0; i < 5; i++) {
              list.add(`${ctx.key.k}${i}`);
              map.set(10 - i, `${ctx.key.k}${i}`);
            }
          }
          for (const one of list) if (one.endsWith('1')) list.add('more');
          for (const [key] of map) if (key % 2 === 0) map.delete(key);
          for (const _ of map) break;
          const pairs = [...map].map(([key, value]) => `${key}${value}`);
          ctx.emit({
            said: `${list.length} ${[...list].join()} ${pairs.join()} ${map.has(9)} ${map.get(8)} ${[...map.keys()].join()} ${[...map.values()].join()}`,
          });
        },
      });
    expect(await texts(end)).toEqual([
      '6 a0,a1,a2,a3,a4,more 7a3,9a1 true null 7,9 a3,a1',
      '6 b0,b1,b2,b3,b4,more 7b3,9b1 true null 7,9 b3,b1',
      '7 a0,a1,a2,a3,a4,more,more 7a3,9a1 true null 7,9 a3,a1',
    ]);
  });

  test('may have keys of any type, null among them', async () => {
    const of = schema({
      s: t.string().nullable(),
      n: t.double().nullable(),
      b: t.boolean(),
      day: t.date(),
      id: t.bigint().asBigInt(),
    });
    const rows = [
      { s: null, n: null, b: false, day: at(0), id: 0n },
      { s: 'with \0 in it', n: -1.5, b: true, day: at(86_400_000), id: -(2n ** 63n) },
      { s: 'longer than twelve bytes', n: 0, b: true, day: at(0), id: 2n ** 63n - 1n },
    ];
    const end = plain([...rows, ...rows, ...rows], of)
      .keyBy('s', 'n', 'b', 'day', 'id')
      .process({
        output: schema({ s: t.string().nullable(), n: t.double().nullable(), b: t.boolean(), day: t.date(), id: t.bigint().asBigInt(), seen: t.int() }),
        state: { seen: state.value(t.int()), list: state.list(t.int()) },
        onRow(_row, ctx) {
          ctx.state.seen.set((ctx.state.seen.get() ?? 0) + 1);
          ctx.state.list.add(1);
          ctx.timers.processingTime('later', '1 second');
          if (ctx.state.list.length === 3) ctx.emit({ ...ctx.key, seen: ctx.state.seen.get()! });
        },
        onTimer() {},
      }); // biome-ignore format: one line
    const got = (await received(end, 2)) as { s: string | null }[];
    expect(got.map(({ s }) => s)).toEqual(expect.arrayContaining(rows.map(({ s }) => s)));
    expect(got).toHaveLength(3);
  });
});

describe('timers', () => {
  test('fire when event time has passed them, in order, once, with what their key keeps', async () => {
    const rows = events([
      ['a', 30, 0],
      ['b', 10, 1],
      ['a', 20, 2],
      ['c', 5, 3],
      ['z', 0, 1000],
    ]);
    const end = stream(rows)
      .keyBy('k')
      .process({
        output: said,
        state: { last: state.value(t.int()) },
        onRow(row, ctx) {
          ctx.state.last.set(row.v);
          ctx.timers.eventTime('t', at(row.at.getTime() + row.v));
        },
        onTimer(timer, ctx) {
          ctx.emit({
            said: `${timer.name} ${ctx.key.k} ${timer.time.getTime()} ${ctx.time.getTime()} ${ctx.state.last.get()}`,
          });
        },
      });
    // Setting it again moves it: a's from 30 to 22.
    expect(await texts(end)).toEqual(['t c 8 8 5', 't b 11 11 10', 't a 22 22 20', 't z 1000 1000 0']);
  });

  test('have names, move and are cancelled by name, also when they are many and long', async () => {
    const long = 'a name that is longer than twelve bytes';
    const end = stream(
      events([
        ['a', 0, 0],
        ['a', 1, 10],
        ['a', 2, 1000],
      ]),
    )
      .keyBy('k')
      .process({
        output: said,
        onRow(row, ctx) {
          if (row.v === 0) for (const name of ['x', 'y', 'z', long]) ctx.timers.eventTime(name, '100 ms');
          if (row.v === 1) {
            ctx.timers.cancel('x');
            ctx.timers.cancel('not there');
            ctx.timers.eventTime('y', '200 ms');
            ctx.timers.eventTime('z', '50 ms');
            ctx.timers.eventTime(long, '20 ms');
            ctx.timers.eventTime(long, '150 ms');
          }
        },
        onTimer(timer, ctx) {
          ctx.emit({ said: `${timer.name} ${timer.time.getTime()}` });
          if (timer.name === 'z') ctx.timers.eventTime('x', '5 ms');
        },
      });
    expect(await texts(end)).toEqual(['z 60', 'x 65', `${long} 160`, 'y 210']);
  });

  test('in the past fire at once, before the next row', async () => {
    // Event time has passed what the last rows set their timers for: rows between let it come by.
    const between = Array.from({ length: 3000 }, (_, i) => ['x', 0, 1000 + i] as const);
    const end = stream(events([...between, ['a', 1, 5001], ['a', 2, 5002]]))
      .keyBy('k')
      .process({
        output: said,
        state: { n: state.value(t.int()) },
        onRow(row, ctx) {
          if (row.v === 0) return;
          ctx.emit({ said: `row ${row.v}` });
          if (row.v === 2) return;
          expect(ctx.watermark.getTime()).toBeGreaterThan(20);
          ctx.timers.eventTime('late', at(20));
          ctx.timers.eventTime('later', at(10));
        },
        onTimer(timer, ctx) {
          const n = (ctx.state.n.get() ?? 0) + 1;
          ctx.state.n.set(n);
          ctx.emit({ said: `${timer.name} ${ctx.key.k} ${n}` });
          if (n < 4) ctx.timers.eventTime('again', at(0));
        },
      });
    for (const batchRows of [1, 7]) {
      const { rows } = await runJob(end, { batchRows });
      expect((rows.get('result') as { said: string }[]).map((row) => row.said)).toEqual([
        'row 1', 'later a 1', 'again a 2', 'again a 3', 'again a 4', 'late a 5', 'row 2',
      ]); // biome-ignore format: one line
    }
  });

  test('set by timers fire in the order of time among those that are due', async () => {
    const rows = events(Array.from({ length: 300 }, (_, i) => [`k${i}`, i, 0] as const));
    const end = stream([...rows, ...events([['z', -1, 10_000]])])
      .keyBy('k')
      .process({
        output: schema({ ms: t.bigint() }),
        onRow(row, ctx) {
          if (row.v >= 0) ctx.timers.eventTime('a', at(100 + row.v * 7));
        },
        onTimer(timer, ctx) {
          ctx.emit({ ms: timer.time.getTime() });
          if (timer.name === 'a') ctx.timers.eventTime('b', '10 ms');
        },
      });
    const got = ((await received(end)) as { ms: number }[]).map(({ ms }) => ms);
    expect(got).toHaveLength(600);
    expect(got).toEqual([...got].sort((a, b) => a - b));
  });

  test('of the clock fire when it has passed them, and not at the end of the input', async () => {
    const end = stream(
      events([
        ['a', 1, 0],
        ['b', 2, 1],
      ]),
    )
      .keyBy('k')
      .process({
        output: said,
        onRow(row, ctx) {
          ctx.timers.processingTime('clock', row.v === 1 ? '0 ms' : '1 day');
        },
        onTimer(timer, ctx) {
          ctx.emit({ said: `${timer.name} ${ctx.key.k}` });
        },
      });
    const { rows } = await runJob(end, { mode: 'stream' }, { drainWhenIdle: true });
    expect(rows.get('result')).toEqual([{ said: 'clock a' }]);
  });
});

describe('time to live', () => {
  const end = (rows: readonly Event[]) =>
    stream(rows, '1 day')
      .keyBy('k')
      .process({
        output: said,
        state: {
          value: state.value(t.int(), { ttl: '10 ms' }),
          list: state.list(t.int(), { ttl: '10 ms' }),
          map: state.map(t.int(), t.int(), { ttl: '10 ms' }),
          wide: state.value(t.array(t.int()), { ttl: '10 ms' }),
        },
        onRow(row, ctx) {
          const { value, list, map, wide } = ctx.state;
          ctx.emit({
            said: `${row.at.getTime()}: ${value.get()} [${[...list]}] ${list.length} [${[...map.keys()]}] ${map.get(1)} ${wide.get()}`,
          });
          if (row.v < 0) return;
          value.set(row.v);
          list.add(row.v);
          map.set(row.v, row.v);
          wide.set([row.v]);
        },
      });

  test('hides a value exactly when its time has come, each element for itself', async () => {
    const rows = events([
      ['a', 1, 0],
      ['a', 2, 5],
      ['a', -1, 9],
      ['a', -1, 10],
      ['a', -1, 14],
      ['a', -1, 15],
      ['a', 3, 20],
    ]);
    expect(await texts(end(rows))).toEqual([
      '0: null [] 0 [] null null',
      '5: 1 [1] 1 [1] 1 1',
      '9: 2 [1,2] 2 [1,2] 1 2',
      '10: 2 [2] 1 [2] null 2',
      '14: 2 [2] 1 [2] null 2',
      '15: null [] 0 [] null null',
      '20: null [] 0 [] null null',
    ]);
  });

  test('frees bytes without a read', async () => {
    const rows = events(Array.from({ length: 20_000 }, (_, i) => [`key number ${i}`, 1, i] as const));
    const kept = (options: StateOptions) =>
      from(collection(rows, { schema: event }))
        .eventTime('at')
        .keyBy('k')
        .process({
          output: said,
          state: {
            value: state.value(t.string(), options),
            list: state.list(t.int(), options),
            map: state.map(t.int(), t.string(), options),
          },
          onRow(row, ctx) {
            ctx.state.value.set('a text that is longer than twelve bytes');
            ctx.state.list.add(row.v);
            ctx.state.map.set(row.v, 'x');
          },
        });
    const bytes = async (options: StateOptions) => {
      const { run } = await runJob(kept(options), { batchRows: 64 });
      return Math.max(...run.numbers.tasks.map((task) => task.stateBytes));
    };
    const [freed, all] = [await bytes({ ttl: '10 ms' }), await bytes({})];
    expect(all).toBeGreaterThan(3_000_000);
    expect(freed).toBeLessThan(all / 3);
  });
});

describe('what a call emits', () => {
  const emitting = (rows: number) =>
    stream(
      events([
        ['a', 1, 0],
        ['b', 2, 1],
      ]),
    )
      .keyBy('k')
      .process({
        output: schema({ k: t.string(), i: t.int() }),
        side: { odd: schema({ i: t.int() }) },
        onRow(_row, ctx) {
          const one = { k: ctx.key.k, i: 0 };
          for (let i = 0; i < rows; i++) {
            one.i = i;
            ctx.emit(one);
            if (i % 2 === 1) ctx.side.odd({ i });
          }
        },
      });

  test('comes in order, however full the output is', async () => {
    for (const batchRows of [1, 7, 4096]) {
      const { main, odd } = { main: emitting(1000), odd: emitting(1000).side.odd };
      const { rows } = await runJob({ main, odd: odd as never }, { batchRows }, { ringBytes: 32 * 1024 });
      const one = Array.from({ length: 1000 }, (_, i) => i);
      expect(rows.get('main')).toEqual(['a', 'b'].flatMap((k) => one.map((i) => ({ k, i }))));
      expect((rows.get('odd') as { i: number }[]).length).toBe(1000);
    }
  });

  test('is limited, and a generator is not', async () => {
    expect(await failure(emitting(70_000))).toMatchObject({
      code: 'function/too-many',
      message: expect.stringContaining('generator'),
    });
    const end = stream(events([['a', 1, 0]]))
      .keyBy('k')
      .process({
        output: schema({ i: t.int() }),
        state: { n: state.value(t.int()) },
        *onRow(_row, ctx) {
          for (let i = 0; i < 100_000; i++) {
            ctx.state.n.set(i);
            yield { i: ctx.state.n.get()! };
          }
        },
      });
    const { rows } = await runJob(end, { batchRows: 64 });
    expect((rows.get('result') as { i: number }[]).map(({ i }) => i)).toEqual(
      Array.from({ length: 100_000 }, (_, i) => i),
    );
  });
});

describe('mistakes', () => {
  const keyed = () =>
    stream(
      events([
        ['a', 1, 0],
        ['a', 2, 1],
      ]),
    ).keyBy('k');

  test('name the operator, the row with its values shortened, and the cause', async () => {
    const error = await failure(
      keyed().process({
        output: said,
        onRow(row) {
          if (row.v === 2) throw new TypeError('no such thing');
        },
      }),
    );
    expect(error.code).toBe('function/threw');
    expect(error.message).toMatch(/onRow threw TypeError: no such thing; it was called for row \{ k: "a", v: 2/);
    expect(error.where).toMatchObject({
      operator: 'keyBy(k).process',
      callSite: expect.stringContaining('semantics.test.ts'),
    });
  });

  test('in a timer name the timer and the key', async () => {
    const error = await failure(
      keyed().process({
        output: said,
        onRow(_row, ctx) {
          ctx.timers.eventTime('boom', '1 ms');
        },
        onTimer() {
          throw new Error('late');
        },
      }),
    );
    expect(error.message).toMatch(/onTimer\('boom'\) threw Error: late; it was called for key \{ k: "a" \}/);
  });

  test('about values name the state', async () => {
    const error = await failure(
      keyed().process({
        output: said,
        state: { last: state.value(t.double()) },
        onRow(row, ctx) {
          ctx.state.last.set(row.k as never);
        },
      }),
    );
    expect(error.code).toBe('function/bad-result');
    expect(error.message).toMatch(/state 'last'.*expects a number, got "a", a string/);
  });

  for (const [what, use] of [
    ['state', (ctx: { state: { n: { get(): number | null } } }) => ctx.state.n.get()],
    ['the key', (ctx: { key: { k: string } }) => ctx.key.k],
    ['emit', (ctx: { emit(row: { said: string }): void }) => ctx.emit({ said: 'x' })],
  ] as const) {
    test(`of using ${what} after the call has ended are told`, async () => {
      let kept: unknown = null;
      const error = await failure(
        keyed().process({
          output: said,
          state: { n: state.value(t.int()) },
          onRow(_row, ctx) {
            if (kept) (use as (of: unknown) => void)(kept);
            kept = ctx;
          },
        }),
      );
      expect(error.code).toBe('function/misuse');
    });
  }

  test('of asking for time that is not there are told', async () => {
    const untimed = () => plain([{ k: 'a' }], schema({ k: t.string() })).keyBy('k');
    for (const use of [
      (ctx: { time: Date }) => ctx.time,
      (ctx: { watermark: Date }) => ctx.watermark,
      (ctx: { timers: { eventTime(name: string, when: Date): void } }) => ctx.timers.eventTime('x', at(0)),
    ]) {
      const error = await failure(
        untimed().process({
          output: said,
          onRow: (_row, ctx) => void (use as (of: unknown) => void)(ctx),
          onTimer() {},
        }),
      );
      expect(error.code).toBe('function/misuse');
      expect(error.message).toContain('eventTime');
    }
  });

  test('of returning a promise, or a number, are told', async () => {
    for (const onRow of [async () => {}, () => 5]) {
      const error = await failure(keyed().process({ output: said, onRow: onRow as never }));
      expect(error.code).toBe('function/bad-result');
    }
  });

  test('of a timer without onTimer, and of emit without an output, are told', async () => {
    const timer = await failure(keyed().process({ output: said, onRow: (_row, ctx) => ctx.timers.cancel('x') }));
    expect(timer.message).toContain('onTimer');
    const emit = keyed().process({ side: { s: said }, onRow: (_row, ctx) => ctx.emit({} as never) });
    expect((await failure({ s: emit.side.s })).message).toContain('declares no output');
  });
});

describe('several inputs', () => {
  test('meet at equal keys', async () => {
    const left = stream(
      events([
        ['a', 1, 0],
        ['b', 2, 10],
      ]),
    ).keyBy('k');
    const right = plain(
      [
        { name: 'a', w: 7 },
        { name: 'b', w: 8 },
      ],
      schema({ name: t.string().nullable(), w: t.int() }),
    ).keyBy('name');
    const seen = (rows: unknown[]) => rows.map((row) => (row as { said: string }).said).sort();
    const untimed = from(
      collection(
        events([
          ['a', 1, 0],
          ['b', 2, 10],
        ]),
        { schema: event },
      ),
    ).keyBy('k');
    const end = connect({ left: untimed, right }).process({
      output: said,
      state: { v: state.value(t.int()), w: state.value(t.int()) },
      onRow: {
        left(row, ctx) {
          ctx.state.v.set(row.v);
          if (ctx.state.w.get() !== null) ctx.emit({ said: `${ctx.key.k} ${row.v} ${ctx.state.w.get()}` });
        },
        right(row, ctx) {
          ctx.state.w.set(row.w);
          if (ctx.state.v.get() !== null) ctx.emit({ said: `${ctx.key.name} ${ctx.state.v.get()} ${row.w}` });
        },
      },
    });
    for (const parallelism of [1, 3]) {
      const { rows } = await runJob(end, { parallelism });
      expect(seen(rows.get('result')!)).toEqual(['a 1 7', 'b 2 8']);
    }
    void left;
  });

  test('that are broadcast reach every subtask, and hold back nobody’s event time', async () => {
    const rules = plain([{ id: 'r', limit: 5 }], schema({ id: t.string(), limit: t.int() })).broadcast();
    const keyed = stream(events(Array.from({ length: 40 }, (_, i) => [`k${i % 8}`, i, i * 10] as const))).keyBy('k');
    const end = connect({ keyed, rules }).process({
      output: said,
      state: { held: state.list(t.int()) },
      broadcastState: {
        rules: state.map(t.string(), schema({ id: t.string(), limit: t.int() })),
        latest: state.value(t.string()),
      },
      onRow: {
        keyed(row, ctx) {
          ctx.state.held.add(row.v);
          ctx.timers.eventTime('end', at(100_000));
        },
        rules(row, ctx) {
          ctx.broadcast.rules.set(row.id, row);
          ctx.broadcast.latest.set(row.id);
        },
      },
      onTimer(_timer, ctx) {
        const rule = ctx.broadcast.rules.get('r')!;
        const many = [...ctx.state.held].filter((v) => v > rule.limit).length;
        ctx.emit({
          said: `${ctx.key.k} ${many} ${ctx.broadcast.latest.get()} ${[...ctx.broadcast.rules.values()].length}`,
        });
      },
    });
    const expected = Array.from({ length: 8 }, (_, k) => `k${k} ${k > 5 ? 5 : 4} r 1`);
    for (const parallelism of [1, 3]) {
      const { rows } = await runJob(end, { parallelism }, { poisonRows: true });
      expect((rows.get('result') as { said: string }[]).map((row) => row.said).sort()).toEqual(expected);
    }
  });

  test('of other key types are refused by the planner', async () => {
    const a = stream([]).keyBy('k');
    const b = stream([]).keyBy('v');
    const end = connect({ a, b }).process({ output: said, onRow: { a() {}, b() {} } });
    expect((await failure(end)).message).toMatch(/key column 'v' of 'b' is INT, but 'k' of 'a' is VARCHAR/);
  });
});
