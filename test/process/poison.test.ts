/**
 * Rows and timers that a process function cannot take. The oracle: a function that does its work and then throws, under a
 * policy that lets the job go on, gives what the same function gives that looks first and does nothing.
 */
import { describe, expect, test } from 'vitest';
import { isMillraceError, type MillraceError } from '../../core/base/errors.ts';
import { prng } from '../../core/base/prng.ts';
import { collection, connect, type DeadLetter, from, schema, state, t } from '../../index.ts';
import { runJob } from '../support/run-job.ts';

const at = (ms: number): Date => new Date(ms);
const event = schema({ k: t.string(), v: t.int(), bad: t.boolean(), at: t.timestamp(3) });
type Event = { k: string; v: number; bad: boolean; at: Date };
const said = schema({ said: t.string() });
const text = (rows: readonly unknown[]): string[] => rows.map((row) => (row as { said: string }).said).sort();

const long = (v: number): string => `${v} ${'long text '.repeat(v % 7)}`;
const tagged = schema({ name: t.string(), tags: t.array(t.string()) });

/** Everything that a process function can change, by rows that throw behind it (`late`), or that do nothing first. */
function everything(rows: readonly Event[], late: boolean, onError: 'side', generator: boolean) {
  const declared = {
    output: said,
    side: { other: said },
    onError,
    state: {
      number: state.value(t.int()),
      name: state.value(t.string().nullable()),
      row: state.value(schema({ a: t.string(), b: t.double().nullable() })),
      wide: state.value(tagged),
      list: state.list(t.string()),
      brief: state.list(t.int(), { ttl: '30 ms' }),
      map: state.map(t.string(), t.int()),
      lived: state.value(t.string(), { ttl: '20 ms' }),
      sum: state.reducing(t.int(), (a, b) => a + b),
    },
  } as const;
  const stream = () => from(collection(rows, { schema: event })).eventTime('at', { outOfOrderness: '5 ms' });
  // biome-ignore lint/suspicious/noExplicitAny: one body for handlers of one shape
  const change = (v: number, ctx: any): void => {
    const { number, name, row, wide, list, brief, map, lived, sum } = ctx.state;
    const told = [
      number.get(), name.get(), JSON.stringify(row.get()), JSON.stringify(wide.get()), [...list].join(), [...brief].join(),
      [...map].join(), lived.get(), sum.get(),
    ].join('|'); // biome-ignore format: what there is
    ctx.emit({ said: `${ctx.key.k} ${v}: ${told}` });
    number.set(v);
    if (v % 3 === 0) name.set(v % 2 === 0 ? null : long(v));
    if (v % 5 === 0) name.clear();
    row.set({ a: long(v + 1), b: v % 2 === 0 ? null : v });
    if (v % 4 === 0) row.clear();
    wide.set({ name: long(v), tags: [long(v + 2), 'x'] });
    if (v % 11 === 0) wide.clear();
    list.add(long(v));
    if (v % 13 === 0) list.clear();
    brief.add(v);
    map.set(`m${v % 5}`, v);
    map.delete(`m${(v + 1) % 5}`);
    if (v % 17 === 0) map.clear();
    lived.set(long(v));
    sum.add(v);
    if (v % 19 === 0) sum.clear();
    ctx.timers.eventTime('a', `${v % 10} ms`);
    if (v % 2 === 0) ctx.timers.eventTime(`a longer name of a timer ${v % 3}`, `${5 + (v % 10)} ms`);
    if (v % 3 === 0) ctx.timers.cancel('a');
    if (v % 7 === 0) ctx.timers.cancel('a longer name of a timer 1');
    if (v % 23 === 0) ctx.timers.eventTime('past', new Date(ctx.time.getTime() - 1000));
    ctx.side.other({ said: `${ctx.key.k} ${v}` });
    for (const _one of ctx.state.list) break;
  };
  return stream()
    .keyBy('k')
    .process({
      ...declared,
      // biome-ignore lint/suspicious/noExplicitAny: as above
      onRow(row: Event, ctx: any) {
        if (row.bad && !late) return undefined;
        if (generator && row.v % 2 === 0) {
          const { v, bad } = row;
          return (function* () {
            yield { said: `first of ${v}` };
            change(v, ctx);
            if (bad) throw new Error('bad in the middle');
            yield { said: `last of ${v}` };
          })();
        }
        change(row.v, ctx);
        if (row.bad && row.v % 4 === 1) ctx.emit({ said: 5 as unknown as string });
        if (row.bad) throw new RangeError(`bad ${row.v}`);
        return undefined;
      },
      // biome-ignore lint/suspicious/noExplicitAny: as above
      onTimer(timer, ctx: any) {
        const n = timer.time.getTime();
        const bad = n % 6 === 0;
        if (bad && !late) return;
        ctx.emit({ said: `${ctx.key.k} ${timer.name} ${n}: ${[...ctx.state.list].join()} ${ctx.state.sum.get()}` });
        ctx.state.list.add(`t${n}`);
        ctx.state.sum.add(1);
        if (n % 5 === 0) ctx.timers.eventTime('again', '3 ms');
        if (bad) throw new Error('bad timer');
      },
    });
}

function drawn(seed: number, n: number): Event[] {
  const random = prng(seed);
  let ms = 1000;
  return Array.from({ length: n }, () => {
    ms += random.below(4);
    return {
      k: `k${random.below(5)}`,
      v: random.below(1000),
      bad: random.below(3) === 0,
      at: at(ms - random.below(5)),
    };
  });
}

async function failure(end: Parameters<typeof runJob>[0]): Promise<MillraceError> {
  const error = await runJob(end).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(isMillraceError(error)).toBe(true);
  return error as MillraceError;
}

describe('a call that throws', () => {
  for (let seed = 1; seed <= 12; seed++) {
    const batchRows = [1, 7, 4096][seed % 3]!;
    const parallelism = 1 + (seed % 2) * 2;
    const generator = seed % 4 >= 2;
    test(`leaves nothing behind: seed ${seed}, batches of ${batchRows}, ${parallelism} subtasks`, async () => {
      const rows = drawn(seed, 400);
      const run = async (late: boolean) => {
        const out = everything(rows, late, 'side', generator);
        const ends = { main: out, other: out.side.other, errors: out.side.errors };
        return runJob(ends, { batchRows, parallelism }, { poisonRows: seed % 2 === 0, seed });
      };
      const clean = await run(false);
      const thrown = await run(true);
      for (const output of ['main', 'other'])
        expect(text(thrown.rows.get(output)!)).toEqual(text(clean.rows.get(output)!));
      const letters = thrown.rows.get('errors') as DeadLetter[];
      const ofRows = letters.filter(({ record }) => record.startsWith('{'));
      expect(ofRows.map(({ record }) => Number(/v: (\d+)/.exec(record)![1])).sort()).toEqual(
        rows.filter(({ bad }) => bad).map(({ v }) => v).sort(),
      ); // biome-ignore format: one thought
      expect(letters.length).toBeGreaterThan(ofRows.length);
      expect(clean.rows.get('errors')).toEqual([]);
      expect(thrown.run.numbers.skippedRows).toBe(letters.length);
    });
  }

  test('is told: operator, reason, and the row, or the timer with its key', async () => {
    const rows = [
      { k: 'a', v: 1, bad: true, at: at(0) },
      { k: 'a', v: 2, bad: false, at: at(1) },
    ];
    const out = from(collection(rows, { schema: event }))
      .eventTime('at')
      .keyBy('k')
      .process({
        onError: 'side',
        output: said,
        onRow(row, ctx) {
          ctx.timers.eventTime('t', '5 ms');
          if (row.bad) ctx.emit({} as { said: string });
        },
        onTimer() {
          throw new TypeError('no timer for me');
        },
      })
      .named('careful');
    const { rows: got } = await runJob({ errors: out.side.errors, main: out });
    expect(got.get('errors')).toEqual([
      {
        operator: 'careful',
        position: null,
        reason: expect.stringMatching(/^function\/bad-result: column 'said' is missing/),
        record: '{ k: "a", v: 1, bad: true, at: 1970-01-01T00:00:00.000Z }',
      },
      {
        operator: 'careful',
        position: null,
        reason: 'function/threw: TypeError: no timer for me',
        record: `timer 't' due 1970-01-01T00:00:00.006Z of key { k: "a" }`,
      },
    ]);
  });

  test('of a broadcast input changes nothing in any subtask, and is told by each', async () => {
    const rules = [{ v: 1 }, { v: 2 }, { v: 3 }];
    const rule = schema({ v: t.int() });
    const connected = (late: boolean) =>
      connect({
        rows: from(collection(drawn(1, 20), { schema: event })).keyBy('k'),
        rules: from(collection(rules, { schema: rule })).broadcast(),
      }).process({
        onError: 'side',
        output: said,
        broadcastState: { by: state.map(t.int(), t.string()), last: state.value(t.int()) },
        onRow: {
          rows() {},
          rules(row, ctx) {
            if (row.v === 2 && !late) return;
            if (row.v === 2) ctx.broadcast.by.clear();
            ctx.broadcast.by.set(row.v, long(row.v));
            ctx.broadcast.last.set(row.v);
            if (row.v === 2) throw new Error('no');
            ctx.emit({ said: `${[...ctx.broadcast.by]} ${ctx.broadcast.last.get()}` });
          },
        },
      });
    const run = (late: boolean) => {
      const out = connected(late);
      return runJob({ main: out, errors: out.side.errors }, { parallelism: 3 });
    };
    const thrown = await run(true);
    expect(text(thrown.rows.get('main')!)).toEqual(text((await run(false)).rows.get('main')!));
    expect(thrown.rows.get('errors')).toHaveLength(3);
  });
});

describe('what no policy passes over', () => {
  const rows = drawn(1, 10);
  const keyed = from(collection(rows, { schema: event })).keyBy('k');

  test('a function of the wrong kind', async () => {
    const promised = keyed.process({
      onError: 'skip',
      output: said,
      onRow: (() => Promise.resolve()) as unknown as () => void,
    });
    expect(await failure(promised)).toMatchObject({ code: 'function/bad-result' });
    const noTimer = keyed.process({
      onError: 'skip',
      output: said,
      onRow: (_row, ctx) => ctx.timers.eventTime('t', '1 ms'),
    });
    expect(await failure(noTimer)).toMatchObject({ code: 'function/misuse' });
  });

  test('a call that gave or changed more than is taken back', async () => {
    const endless = keyed.process({
      onError: 'skip',
      output: said,
      *onRow() {
        for (let i = 0; i < 40_000; i++) yield { said: String(i) };
        throw new Error('late');
      },
    });
    const error = await failure(endless);
    expect(error).toMatchObject({ code: 'function/threw' });
    expect(error.message).toMatch(/late.*had given 32768 rows/s);
    const wide = keyed.process({
      onError: 'skip',
      output: said,
      state: { map: state.map(t.int(), t.string()) },
      onRow(_row, ctx) {
        for (let i = 0; i < 70; i++) ctx.state.map.set(1, String(i).repeat(1e6));
        throw new Error('much');
      },
    });
    expect((await failure(wide)).message).toMatch(/much.*64 MB of state/s);
  });

  test('a policy that is none, and two side outputs of one name, are refused', () => {
    expect(() => keyed.process({ onError: 'ignore' as 'skip', onRow() {} })).toThrow(/'fail', 'skip' or 'side'/);
    expect(() => keyed.process({ onError: 'side', side: { errors: said }, onRow() {} })).toThrow(/declares another/);
  });
});

test('rows before and after those that threw are counted once, and the job fails unless a policy is given', async () => {
  const rows = drawn(3, 300);
  const counted = from(collection(rows, { schema: event }))
    .keyBy('k')
    .process({
      onError: 'skip',
      output: said,
      onRow(row, ctx) {
        if (row.bad) throw new Error('bad');
        ctx.emit({ said: String(row.v) });
      },
    });
  const { rows: got, run } = await runJob(counted, { parallelism: 2 });
  expect(text(got.get('result')!)).toEqual(
    rows
      .filter(({ bad }) => !bad)
      .map(({ v }) => String(v))
      .sort(),
  );
  expect(run.numbers.skippedRows).toBe(rows.filter(({ bad }) => bad).length);
  const failing = from(collection(rows, { schema: event })).keyBy('k').process({ output: said, onRow() { throw new Error('bad'); } }); // biome-ignore format: one thought
  expect(await failure(failing)).toMatchObject({ code: 'function/threw' });
});
