/** What is wrong in a plan is said before anything runs: which name, which expression, which types, where. */
import {
  blackhole,
  collect,
  collection,
  count,
  desc,
  describeError,
  from,
  generator,
  type MillraceError,
  parquet,
  run,
  schema,
  t,
  tumble,
} from 'millrace';
import { describe, expect, test } from 'vitest';
import { failureOf, failureOfJob } from './support.ts';

const flight = schema({
  origin: t.string(),
  destination: t.string(),
  delay: t.bigint().nullable(),
  distance: t.int(),
  at: t.timestamp(3),
  ok: t.boolean(),
});
const flights = from(collection([], { schema: flight }));
// biome-ignore lint/suspicious/noExplicitAny: the compiler refuses most of this; JavaScript reaches it
type Loose = any;
const loose: Loose = flights;

/** Building may fail at once, or running when the plan is made. */
const failing = (build: () => unknown): Promise<MillraceError> =>
  failureOf(async () => run((build() as typeof flights).to(blackhole()), { parallelism: 1 }).result());

describe('an unknown column is named with the nearest', () => {
  const cases: Record<string, [build: () => unknown, wrong: string, near: string]> = {
    filter: [() => loose.filter((f: Loose) => f.orign.eq('SFO')), 'orign', 'origin'],
    select: [() => loose.select((f: Loose) => ({ x: f.distanse })), 'distanse', 'distance'],
    with: [() => loose.with((f: Loose) => ({ x: f.Delay.add(1) })), 'Delay', 'delay'],
    groupBy: [() => loose.groupBy('orgin').aggregate(() => ({ n: count() })), 'orgin', 'origin'],
    orderBy: [() => loose.orderBy(desc('dely')), 'dely', 'delay'],
    eventTime: [
      () =>
        loose
          .eventTime('att')
          .groupBy(tumble('1 day'))
          .aggregate(() => ({ n: count() })),
      'att',
      'at',
    ],
    pick: [() => loose.pick('origin', 'destinaton'), 'destinaton', 'destination'],
  };
  for (const [name, [build, wrong, near]] of Object.entries(cases)) {
    test(`in ${name}`, async () => {
      const error = await failing(build);
      expect(error.code).toBe('plan/unknown-column');
      expect(error.message).toMatch(new RegExp(`\\b${wrong}\\b.*did you mean '?${near}\\b`));
      expect(error.where.callSite).toMatch(/^expressions\.test\.ts:\d+$/);
    });
  }

  test('of a file whose columns show only when it is read', async () => {
    const path = new URL('../fixtures/parquet/plain-v1.parquet', import.meta.url).pathname;
    const untyped = from(parquet(path)).filter((row) => row.no_such_column.isNull());
    const error = await failureOfJob(untyped.to(blackhole()));
    expect(error.code).toBe('plan/unknown-column');
    expect(error.message).toMatch(/no_such_column; there are i, l, rising/);
    expect(error.where.callSite).toContain('expressions.test.ts');
  });
});

describe('types that do not fit are both named, with the place', () => {
  const cases: Record<string, [build: () => unknown, parts: string[]]> = {
    'a text compared with a number': [() => loose.filter((f: Loose) => f.origin.gt(f.distance)), ['VARCHAR', 'INT']],
    'a boolean and a text': [() => loose.filter((f: Loose) => f.ok.and(f.origin)), ['BOOLEAN', 'VARCHAR']],
    'a time compared with a whole number': [
      () => loose.filter((f: Loose) => f.at.gt(f.distance)),
      ['TIMESTAMP', 'INT'],
    ],
    'a number multiplied by a text': [
      () => loose.with((f: Loose) => ({ x: f.delay.mul(f.origin) })),
      ['BIGINT', 'VARCHAR'],
    ],
    'a literal of another type': [() => loose.filter((f: Loose) => f.distance.eq('far')), ['INT', 'far']],
    'a filter that is no condition': [() => loose.filter((f: Loose) => f.distance), ['BOOLEAN', 'INT']],
  };
  for (const [name, [build, parts]] of Object.entries(cases)) {
    test(name, async () => {
      const error = await failing(build);
      expect(error.code).toBe('plan/type');
      for (const part of parts) expect(error.message).toContain(part);
      expect(describeError(error)).toMatch(/expressions\.test\.ts:\d+/);
    });
  }
});

describe('JavaScript operators on expressions are caught', () => {
  const cases: Record<string, [build: () => unknown, remedy: string]> = {
    '&&': [() => flights.filter((f) => f.delay.gt(15) && f.origin.eq('SFO')), '.and('],
    '||': [() => flights.filter((f) => f.delay.gt(15) || f.origin.eq('SFO')), '.or('],
    '?:': [() => flights.filter((f) => (f.delay.gt(15) ? f.origin.eq('SFO') : f.ok)), 'when('],
    '&& inside': [() => flights.select((f) => ({ late: f.ok && f.delay.gt(15) })), '.and('],
  };
  for (const [operator, [build, remedy]] of Object.entries(cases)) {
    test(operator, async () => {
      const error = await failing(build);
      expect(error.code).toBe('plan/unused-expression');
      expect(error.message).toContain(remedy);
      expect(error.where.callSite).toContain('expressions.test.ts');
    });
  }
});

describe('other plans that cannot be', () => {
  const cases: Record<string, [build: () => unknown, code: string, part: string]> = {
    'a window without event time': [
      () => loose.groupBy(tumble('1 day')).aggregate(() => ({ n: count() })),
      'plan/window',
      'eventTime',
    ],
    'a column made twice': [
      () => loose.groupBy('origin').aggregate(() => ({ origin: count() })),
      'plan/duplicate',
      "'origin'",
    ],
    'an order over rows without end': [
      () => (from(generator({ rate: 10, columns: (g) => ({ n: g.sequence() }) })) as Loose).orderBy('n'),
      'plan/unbounded',
      'never ends; use topN',
    ],
    'a literal beyond its type': [() => loose.filter((f: Loose) => f.delay.eq(2n ** 64n)), 'plan/type', 'BIGINT'],
  };
  for (const [name, [build, code, part]] of Object.entries(cases)) {
    test(name, async () => {
      const error = await failing(build);
      expect(error.code).toBe(code);
      expect(error.message).toContain(part);
    });
  }

  test('a place that can only be written', async () => {
    const error = await failureOf(async () => run(from(blackhole() as never) as never).result());
    expect(error.code).toBe('option/invalid');
  });
});

describe('values that an expression cannot make', () => {
  const one = (row: object, fields: Parameters<typeof schema>[0]) =>
    from(collection([row], { schema: schema(fields) })) as Loose;
  const cases: Record<string, [build: () => unknown, code: string, parts: string[]]> = {
    'a sum beyond its type': [
      () => one({ a: 2_147_483_647 }, { a: t.int() }).with((r: Loose) => ({ b: r.a.add(1) })),
      'expr/overflow',
      ['INT'],
    ],
    'a whole number divided by zero': [
      () => one({ a: 1, z: 0 }, { a: t.bigint(), z: t.bigint() }).with((r: Loose) => ({ b: r.a.mod(r.z) })),
      'expr/division-by-zero',
      [],
    ],
    'a text that is no number': [
      () => one({ a: 'seven' }, { a: t.string() }).with((r: Loose) => ({ b: r.a.cast(t.int()) })),
      'expr/cast',
      ['seven', 'INT'],
    ],
    'a BIGINT that a number does not hold': [
      () =>
        one({ a: 2n ** 60n + 1n }, { a: t.bigint().asBigInt() }).with((r: Loose) => ({
          b: r.a.add(0).cast(t.bigint()),
        })),
      'value/unsafe-integer',
      ['asBigInt'],
    ],
  };
  for (const [name, [build, code, parts]] of Object.entries(cases)) {
    test(name, async () => {
      const error = await failureOf(async () => collect(build() as typeof flights, { parallelism: 1 }));
      expect(error.code).toBe(code);
      for (const part of parts) expect(error.message).toContain(part);
      expect(error.where.operator ?? error.where.position).toBeDefined();
    });
  }
});
