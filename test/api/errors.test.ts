/** What is wrong in every regime is said while building, in words that help. */
import { expect, test } from 'vitest';
import { buildPlan } from '../../core/api/job.ts';
import { upper } from '../../functions.ts';
import {
  channel,
  collection,
  count,
  decimal,
  desc,
  describeError,
  from,
  generator,
  hop,
  iterable,
  job,
  jsonl,
  MillraceError,
  parquet,
  schema,
  t,
  tumble,
  when,
} from '../../index.ts';
import { nexmark } from '../../nexmark.ts';

const flight = schema({ date: t.timestamp(6), delay: t.bigint().nullable(), origin: t.string(), ok: t.boolean() });
const flights = from(parquet('f.parquet', { schema: flight })).eventTime('date');
// biome-ignore lint/suspicious/noExplicitAny: what the compiler refuses is said to JavaScript too
const untyped = flights as any;

function failure(work: () => unknown): MillraceError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    return error as MillraceError;
  }
  throw new Error('nothing was thrown');
}

const unused: Record<string, () => unknown> = {
  'a && b': () => flights.filter((f) => f.delay.gt(1) && f.origin.eq('SFO')),
  'a column && b': () => flights.filter((f) => f.ok && f.origin.eq('SFO')),
  'c ? x : y': () => flights.filter((f) => (f.delay.gt(1) ? f.origin.eq('SFO') : f.origin.eq('LAX'))),
  'c ? x : y over a column': () => flights.select((f) => ({ x: f.ok ? f.delay : f.origin })),
  '&& in select': () => flights.select((f) => ({ x: f.delay.gt(1) && f.origin.eq('SFO') })),
  '&& in with': () => flights.with((f) => ({ x: f.delay.gt(1) && f.ok })),
  '&& in aggregate': () => flights.groupBy('origin').aggregate((f) => ({ n: count().filter(f.ok && f.delay.gt(5)) })),
  '&& deep inside': () => flights.filter((f) => f.ok.and(f.delay.gt(1) && f.delay.lt(5)).not()),
  'an expression statement': () =>
    flights.filter((f) => {
      f.delay.gt(3);
      return f.ok;
    }),
  'a condition in if': () =>
    flights.filter((f) => {
      if (f.delay.isNull()) return f.ok;
      return f.ok.not();
    }),
};
for (const [name, work] of Object.entries(unused)) {
  test(`an expression made and not used is an error: ${name}`, () => {
    const error = failure(work);
    expect(error.code).toBe('plan/unused-expression');
    expect(error.message).toMatch(/made and not used: `\.and\(\)`\?/);
    expect(error.where.callSite).toMatch(/^errors\.test\.ts:\d+$/);
  });
}

test('the message names the expression that was lost, outermost only', () => {
  const error = failure(() => flights.filter((f) => f.delay.add(1).gt(15) && f.origin.eq('SFO')));
  expect(error.message).toContain('filter: `delay.add(1).gt(15)` was made and not used');
  expect(describeError(error)).toMatch(/^\[plan\/unused-expression\] .*\(operator filter, at errors\.test\.ts:\d+\)$/);
});

test('expressions that are used are not complained about', () => {
  const late = flights.filter((f) => f.delay.gt(1).and(f.ok));
  const shared = count();
  const one = flights.groupBy('origin').aggregate(() => ({ n: shared, half: shared.div(2) }));
  const same = flights.select((f) => {
    const delay = f.delay.add(1);
    return { a: delay, b: delay.mul(2), c: when(delay.gt(5), delay).otherwise(0) };
  });
  const spread = flights.select((f) => ({ ...f, delay: 0 }));
  const rest = flights.select(({ date, ...others }) => ({ ...others, date: date.minus('1 day') }));
  const filtered = flights.aggregate((f) => ({ n: count().filter(f.ok).filter(f.delay.gt(3)) }));
  const inner = flights.filter((f) => {
    from(collection([{ a: 1 }])).filter((r) => r.a.gt(1));
    return f.ok;
  });
  for (const stream of [late, one, same, spread, rest, filtered, inner]) {
    expect(buildPlan(stream as never).plan.nodes.length).toBeGreaterThan(2);
  }
});

test('a callback that throws leaves no notes behind', () => {
  expect(() => flights.filter(() => { throw new TypeError('mine'); })).toThrow(TypeError); // biome-ignore format: one line
  expect(buildPlan(flights.filter((f) => f.ok) as never).plan.nodes).toHaveLength(4);
});

const wrong: readonly (readonly [string, () => unknown, string, RegExp])[] = [
  ['a > b', () => untyped.filter((f: { delay: number }) => f.delay > 5), 'plan/type', /`delay` is an expression .* write \.gt\(\)/],
  ['!a', () => untyped.filter((f: { ok: unknown }) => !f.ok), 'plan/unused-expression', /`ok` was made and not used/],
  ['template text', () => untyped.select((f: { origin: unknown }) => ({ x: `${f.origin}` })), 'plan/type', /concat\(\)/],
  ['no expression', () => untyped.filter(() => 5), 'plan/type', /condition is the value 5, not an expression/],
  ['nothing', () => untyped.filter(() => undefined), 'plan/type', /a value of type undefined/],
  ['async', () => untyped.filter(async () => 5), 'plan/type', /must not be async/],
  ['no name', () => untyped.select((f: { ok: unknown }) => f.ok), 'plan/type', /named columns, as in \(\{ total: … \}\), not one expression/],
  ['no column', () => untyped.select(() => ({})), 'plan/type', /one column at least/],
  ['null', () => flights.filter((f) => f.delay.eq(null as never)), 'plan/type', /`delay\.eq`: null .* \.isNull\(\)/],
  ['a NaN date', () => flights.filter((f) => f.date.gt(new Date('x'))), 'plan/type', /invalid Date/],
  ['a great bigint', () => flights.filter((f) => f.delay.gt(2n ** 63n)), 'plan/type', /beyond BIGINT/],
  ['when alone', () => untyped.with((f: { ok: never }) => ({ x: when(f.ok, 1) })), 'plan/type', /without its \.otherwise/],
  ['no condition', () => untyped.with(() => ({ x: when(true as never, 1).otherwise(2) })), 'plan/type', /is the value true/],
  ['too many arguments', () => untyped.filter((f: { delay: { gt(...a: number[]): unknown } }) => f.delay.gt(1, 2)), 'plan/type', /`delay\.gt` takes one argument, not 2/],
  ['an empty in', () => flights.filter((f) => f.origin.in([])), 'plan/type', /`origin\.in` takes an array of one value or more/],
  ['no such method', () => untyped.filter((f: { delay: { foo(): unknown } }) => f.delay.foo()), 'plan/type', /`delay` has no method `foo`/],
  ['no such function argument', () => untyped.with(() => ({ x: upper({} as never) })), 'plan/type', /argument 1 of upper/],
  ['an ARRAY', () => from(jsonl('x', { schema: schema({ a: t.array(t.int()) }) })).select((r) => ({ x: r.a.at(0) })), 'plan/unsupported', /ARRAY are not supported yet/],
  ['a duration', () => flights.select((f) => ({ x: f.date.plus('1 moth' as never) })), 'option/invalid', /'1 moth' is not a duration/],
  ['a negative duration', () => flights.eventTime('date', { outOfOrderness: '-1 hour' }), 'option/invalid', /outOfOrderness cannot be negative/],
  ['two windows', () => flights.groupBy(tumble('1 day'), tumble('1 hour')), 'plan/window', /one window at most/],
  ['a window of nothing', () => tumble('0 ms'), 'plan/window', /more than nothing/],
  ['gaps', () => hop('1 minute', '2 minutes'), 'plan/window', /would be in none/],
  ['uneven slices', () => hop('10 seconds', '3 seconds'), 'plan/window', /multiple of the slide/],
  ['late without a window', () => flights.groupBy('origin').aggregate(() => ({ n: count() }), { allowedLateness: '1 hour' }), 'plan/window', /allowedLateness/],
  ['a key twice', () => flights.groupBy('origin', 'origin'), 'plan/duplicate', /'origin' is there twice/],
  ['a key and a column', () => flights.groupBy('origin').aggregate(() => ({ origin: count() })), 'plan/duplicate', /'origin' is there twice/],
  ['window twice', () => flights.groupBy(tumble('1 day')).aggregate(() => ({ window: count() })), 'plan/duplicate', /'window' is there twice/],
  ['no key', () => flights.groupBy(), 'option/invalid', /one key at least/],
  ['a key that is none', () => untyped.groupBy(5), 'option/invalid', /a column name or a window, not the value 5/],
  ['topN of a window', () => flights.groupBy(tumble('1 day')).topN(3, { orderBy: 'delay' }), 'plan/unsupported', /aggregate first/],
  ['a join with options', () => untyped.join(flights, (l: typeof untyped, r: typeof untyped) => l.origin.eq(r.origin), { ttl: '1 day' }), 'plan/unsupported', /join has no option 'ttl'; it takes 'within'/],
  ['a join with a value', () => untyped.join(5, () => true), 'option/invalid', /join takes streams/],
  ['a join without a condition', () => untyped.leftJoin(flights, () => true), 'plan/type', /leftJoin's condition is the value true/],
  ['a rank over a column', () => flights.topN(3, { orderBy: 'delay', rankAs: 'ok' as never }), 'plan/duplicate', /'ok' is a column already/],
  ['half a row', () => flights.limit(1.5), 'option/invalid', /whole number of rows from 0, not 1\.5/],
  ['the first none', () => flights.topN(0, { orderBy: desc('delay') }), 'option/invalid', /from 1, not 0/],
  ['no order', () => untyped.topN(3, {}), 'option/invalid', /ordered by column names/],
  ['the engine\'s names', () => flights.select((f) => ({ $rowtime: f.date })), 'option/invalid', /names that start with \$/],
  ['an empty schema', () => schema({}), 'option/invalid', /one column/],
  ['no type', () => schema({ a: 'string' as never }), 'option/invalid', /types are t\.int\(\)/],
  ['precision', () => t.timestamp(10), 'option/invalid', /from 0 to 9, not 10/],
  ['decimals', () => decimal('1e5'), 'option/invalid', /'1e5' is not a decimal/],
  ['a stream as a source', () => from(flights as never), 'option/invalid', /from\(\) takes a source/],
  ['rows as a source', () => from([{ a: 1 }] as never), 'option/invalid', /wrap rows in collection\(rows\)/],
  ['a source as a sink', () => flights.to(collection([]) as never), 'option/invalid', /can be read, not written/],
  ['a changelog as a source', () => from(jsonl('x', { changelog: true }) as never), 'option/invalid', /can be written, not read/],
  ['no path', () => parquet('' as never), 'option/invalid', /takes the path of a file/],
  ['no rows', () => collection({ a: 1 } as never), 'option/invalid', /takes an array of rows/],
  ['no iterable', () => iterable(5 as never, { schema: flight }), 'option/invalid', /takes an iterable/],
  ['no room', () => channel(flight, { capacity: 0 }), 'option/invalid', /from 1, not 0/],
  ['union of rows', () => untyped.union([1]), 'option/invalid', /union takes streams/],
  ['no function', () => untyped.map(flight), 'option/invalid', /a schema and a function/],
  ['no output schema', () => untyped.map({}, () => 1), 'option/invalid', /is not a column type/],
  ['spread of unknown columns', () => from(jsonl('x')).select((r) => ({ ...r })), 'plan/unknown-column', /cannot be spread/],
  ['generator: rate', () => generator({ columns: (g) => ({ at: g.due() }) }), 'option/invalid', /so it needs one/],
  ['generator: unknown', () => generator({ columns: (g) => ({ k: g.int(4, 5) }), ...{ rowz: 5 } }), 'option/invalid', /there is no option 'rowz'; there are rows, rate, seed, columns/],
  ['generator: range', () => generator({ columns: (g) => ({ k: g.int(5, 4) }) }), 'option/invalid', /5 to 4 is no range/],
  ['generator: unsafe', () => generator({ columns: (g) => ({ k: g.bigint(0, 2 ** 60) }) }), 'option/invalid', /write it as a bigint, 1152921504606846976n/],
  ['generator: start', () => generator({ columns: (g) => ({ k: g.time({ start: 'x', perSecond: 1 }) }) }), 'option/invalid', /start is a time/],
  ['generator: no column', () => generator({ columns: () => ({ k: 5 as never }) }), 'option/invalid', /column 'k' is made by g\./],
  ['nexmark: events', () => nexmark({ events: 1.5 }), 'option/invalid', /events is a whole number from 0, not 1.5/],
  ['nexmark: rate', () => nexmark({ rate: 0 }), 'option/invalid', /rate is a number from/],
  ['nexmark: hot keys', () => nexmark({ hot: { sellers: 0 } }), 'option/invalid', /hot.sellers is a whole number from 1/],
  ['nexmark: start', () => nexmark({ start: 'x' }), 'option/invalid', /start is a time/],
  ['two steps of a name', () => buildPlan(flights.named('a').filter((f) => f.ok).named('a') as never), 'plan/duplicate', /two steps are named 'a' \(errors\.test\.ts:\d+ and errors\.test\.ts:\d+\)/],
  ['two writers', () => buildPlan({ a: flights.to(jsonl('x')), b: flights.limit(1).to(jsonl('x')) } as never), 'plan/duplicate', /two outputs write to 'x'/],
  ['no job name', () => job('', () => flights), 'option/invalid', /a job has a name/],
  ['no end', () => buildPlan(job('j', () => ({})) as never), 'option/invalid', /job 'j' has no end/],
  ['a source as an end', () => buildPlan(job('j', () => ({ a: jsonl('x') as never })) as never), 'option/invalid', /the end 'a' is neither a stream nor an output/],
  ['an async build', () => buildPlan(job('j', (async () => flights) as never) as never), 'option/invalid', /build returned a promise/],
  ['params of a stream', () => buildPlan(flights as never, { a: 1 }), 'option/invalid', /params are for a job/],
]; // biome-ignore format: a table
for (const [name, work, code, message] of wrong) {
  test(`${code}: ${name}`, () => {
    const error = failure(work);
    expect(error.message).toMatch(message);
    expect(error.code).toBe(code);
  });
}

test('errors of every method name the line of the call', () => {
  for (const work of [
    () => from([] as never),
    () => flights.groupBy('origin', 'origin'),
    () => flights.to(5 as never),
    () => untyped.map(flight, 5),
    () => flights.groupBy('origin').aggregate(() => ({ origin: count() })),
    () => flights.limit(-1),
  ]) {
    expect(failure(work).where.callSite).toMatch(/^errors\.test\.ts:\d+$/);
  }
});

test('parameters are checked against their schema', () => {
  const with_ = (given: Record<string, unknown>) => () =>
    buildPlan(
      job('j', ({ params }) => from(jsonl(params.input)).limit(params.rows ?? 1), {
        params: schema({ input: t.string(), rows: t.int().nullable(), day: t.date().nullable() }),
      }) as never,
      given,
    );
  expect(failure(with_({})).message).toBe("job 'j' needs the parameter 'input' (VARCHAR)");
  expect(failure(with_({ input: 'a', row: 5 })).message).toBe("job 'j' has no parameter 'row'; did you mean 'rows'?");
  expect(failure(with_({ input: 'a', rows: 'x' })).message).toBe("parameter 'rows' of job 'j': \"x\" is no INT");
  expect(failure(with_({ input: 'a', rows: 1.5 })).code).toBe('option/invalid');
  expect(failure(with_({ input: 'a', day: 'Monday' })).message).toContain('is no DATE');
});
