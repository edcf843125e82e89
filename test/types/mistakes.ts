/** What must not compile: every line below a `@ts-expect-error` is a mistake that the compiler has to catch. Never run. */
import type { Collect, Run } from '../../core/api/run.ts';
import { upper } from '../../functions.ts';
import {
  arrowBatches,
  avg,
  callback,
  channel,
  coalesce,
  collection,
  connect,
  count,
  desc,
  follow,
  from,
  generator,
  hop,
  iterable,
  job,
  jsonl,
  type Mode,
  max,
  min,
  parquet,
  type Stream,
  schema,
  session,
  state,
  sum,
  t,
  tumble,
  watch,
  when,
} from '../../index.ts';

declare const run: Run;
declare const collect: Collect;

const flight = schema({
  date: t.timestamp(6),
  delay: t.bigint().nullable(),
  distance: t.bigint(),
  origin: t.string(),
  destination: t.string(),
  fare: t.decimal(10, 2),
});
const flights = from(parquet('f.parquet', { schema: flight }));
const live = from(channel(flight));

// 1 wrong column in an expression
// @ts-expect-error
flights.filter((f) => f.dealy.gt(0));
// 2 wrong column as a key
// @ts-expect-error
flights.groupBy('orign');
// 3 string compared with number
// @ts-expect-error
flights.filter((f) => f.origin.eq(5));
// @ts-expect-error
flights.filter((f) => f.delay.gt('late'));
// 4 JavaScript operators on an expression
// @ts-expect-error
flights.filter((f) => f.delay > 5);
// @ts-expect-error
flights.filter((f) => !f.origin.eq('SFO'));
// 5 nested aggregate
// @ts-expect-error
flights.groupBy('origin').aggregate((f) => ({ x: avg(sum(f.delay)) }));
// 6 a column that is neither key nor aggregated
// @ts-expect-error
flights.groupBy('origin').aggregate((f) => ({ n: count(), to: f.destination }));
// 7 levels mixed
// @ts-expect-error
flights.groupBy('origin').aggregate((f) => ({ x: sum(f.delay).add(f.distance) }));
// 8 aggregate outside a group
// @ts-expect-error
flights.select((f) => ({ x: max(f.delay) }));
// @ts-expect-error
flights.filter((f) => max(f.delay).gt(3));
// 9 event time on a column that is no time
// @ts-expect-error
flights.eventTime('origin');
// 10 durations
// @ts-expect-error
tumble('1 dya');
// @ts-expect-error
hop('10 seconds', 2000);
// @ts-expect-error a gap is a duration
session(1000);
// @ts-expect-error
flights.select((f) => ({ x: f.date.plus('1 moth') }));
// @ts-expect-error
flights.eventTime('date', { outOfOrderness: 1000 });
// @ts-expect-error
flights.groupBy('origin', tumble('1 day')).aggregate(() => ({ n: count() }), { allowedLateness: '5 minuets' });
// 11 sum of strings, min of a condition
// @ts-expect-error
flights.groupBy('origin').aggregate((f) => ({ x: sum(f.destination) }));
// @ts-expect-error
flights.groupBy('origin').aggregate((f) => ({ x: min(f.delay.gt(5)) }));
// 12 order by an unknown column
// @ts-expect-error
flights.topN(10, { orderBy: desc('flights') });
// @ts-expect-error
flights.orderBy('dealy');
// @ts-expect-error
flights.groupBy('origin').topN(10, { orderBy: ['delay', desc('flights')] });
// 13 names
// @ts-expect-error
flights.pick('orign');
// @ts-expect-error
flights.drop('orign');
// 14 sink schema: column missing, other type, null into not-null
// @ts-expect-error
flights.pick('origin').to(parquet('out', { schema: schema({ origin: t.string(), n: t.int() }) }));
const typed = parquet('out', { schema: schema({ origin: t.string(), n: t.int() }) });
// @ts-expect-error
flights.select((f) => ({ origin: f.origin, n: f.origin })).to(typed);
// @ts-expect-error
flights.pick('delay').to(parquet('o', { schema: schema({ delay: t.bigint() }) }));
// 15 updating into append-only
const running = live.groupBy('origin').aggregate(() => ({ n: count() }));
// @ts-expect-error
running.to(jsonl('out'));
const late = live.groupBy('origin', tumble('1 day')).aggregate(() => ({ n: count() }), { allowedLateness: '1 minute' });
// @ts-expect-error
late.to(jsonl('out'));
// @ts-expect-error
late.to(arrowBatches(() => {}));
// @ts-expect-error
live.topN(3, { orderBy: 'delay' }).to(parquet('out'));
// 16 collecting what does not end
// @ts-expect-error
await collect(live);
// 17 changes read as rows
// @ts-expect-error
for await (const row of run(live.groupBy('origin').aggregate(() => ({ n: count() })))) console.log(row.origin);
// @ts-expect-error
late.to(callback((row) => console.log(row.origin)));
// 18 map returning another shape
// @ts-expect-error
flights.map(schema({ a: t.string() }), (row) => ({ a: row.distance }));
// a generator that yields another shape
// @ts-expect-error
flights.flatMap(schema({ n: t.int() }), function* (row) { yield { n: row.origin }; }); // biome-ignore format: one line for one mistake
// 19 unions of different rows
// @ts-expect-error
flights.union(flights.pick('origin'));
// 20 decimal and number
// @ts-expect-error
flights.with((f) => ({ x: f.fare.add(f.distance) }));
// 21 a filter that is no condition
// @ts-expect-error
flights.filter((f) => f.delay);
// @ts-expect-error
flights.groupBy('origin').aggregate((f) => ({ n: count().filter(f.delay) }));
// 22 arguments of a scalar function
// @ts-expect-error
flights.with((f) => ({ h: upper(f.delay) }));
// 23 compared with null
// @ts-expect-error
flights.filter((f) => f.delay.eq(null));
// 24 case branches of different types
when(true as never, 1);
// @ts-expect-error
flights.with((f) => ({ size: when(f.distance.lt(100), 'short').otherwise(5) }));
// @ts-expect-error
coalesce(1 as never, 2);
// @ts-expect-error
flights.with((f) => ({ d: coalesce(f.delay, 'none') }));
// 25 a CASE without its end
// @ts-expect-error
flights.with((f) => ({ size: when(f.distance.lt(100), 'short') }));
// 26 places: what is written cannot be read, what is read not written
// @ts-expect-error
from(jsonl('out', { changelog: true }));
// places that cannot be watched or followed, and what never ends used as what can be written
// @ts-expect-error
watch(collection([{ a: 1 }]));
// @ts-expect-error
follow(jsonl('app.log'), { from: 'middle' });
// @ts-expect-error
flights.to(watch(jsonl('out')));
// records that fail go nowhere by themselves, and there is no other policy
const failing = schema({ n: t.int() });
// @ts-expect-error
from(jsonl('in', { onError: 'skip' })).side;
// @ts-expect-error: what is skipped is in no side output
flights.keyBy('origin').process({ onError: 'skip', onRow() {} }).side.errors;
// @ts-expect-error
flights.map(failing, () => ({ n: 1 })).side;
// @ts-expect-error
flights.map(failing, () => ({ n: 1 }), { onError: 'retry' });
// @ts-expect-error
flights.mapBatch(failing, (batch) => batch, { onError: 'side' });
// a size and a time that are none
// @ts-expect-error
flights.to(jsonl('out', { roll: { size: '128 megabytes' } }));
// @ts-expect-error
flights.to(parquet('out', { roll: { every: 60_000 } }));
// @ts-expect-error
flights.to(collection([]));
// @ts-expect-error
flights.to(flights);
// 27 rows of another shape into in-process sources
const clicks = channel(schema({ page: t.string() }));
// @ts-expect-error
clicks.tryPush({ pag: 'x' });
// @ts-expect-error
iterable([{ page: 1 }], { schema: schema({ page: t.string() }) });
// @ts-expect-error
collection([{ page: 1 }], { schema: schema({ page: t.string() }) });
// 28 generated columns
// @ts-expect-error
from(generator({ columns: (g) => ({ key: g.int(0, 9) }) })).groupBy('k');
// @ts-expect-error
generator({ columns: () => ({ key: 5 }) });
// @ts-expect-error
generator({ columns: (g) => ({ key: g.constant(t.int(), 'x') }) });
// 29 outputs and parameters that are not there
const pages = job('pages', () => ({ all: from(clicks) }));
// @ts-expect-error
run(pages).output('al');
// @ts-expect-error
for await (const row of run(pages).output('all')) console.log(row.pag);
// @ts-expect-error
job('p', ({ params }) => from(jsonl(params.inn)), { params: schema({ in: t.string() }) });
// @ts-expect-error
job('p', () => ({ all: 5 }));
// 30 a side output of what has no windows
// @ts-expect-error
live.groupBy('origin').aggregate(() => ({ n: count() })).side.late; // biome-ignore format: one line for one mistake
// 31 state, emit and side outputs of other types
flights.keyBy('origin').process({
  output: schema({ n: t.int() }),
  side: { odd: schema({ s: t.string() }) },
  state: { last: state.value(t.double()), seen: state.map(t.string(), t.int()), sum: state.reducing(t.double(), (a, b) => a + b) },
  onRow(row, ctx) {
    // @ts-expect-error
    ctx.state.last.set(row.origin);
    // @ts-expect-error
    ctx.state.lats.get();
    // @ts-expect-error
    ctx.state.seen.set(1, 1);
    // @ts-expect-error
    ctx.state.sum.add('x');
    // @ts-expect-error
    ctx.emit({ n: 'one' });
    // @ts-expect-error
    ctx.emit({ m: 1 });
    // @ts-expect-error
    ctx.side.odd({ s: 1 });
    // @ts-expect-error
    ctx.side.even({ s: 'x' });
    // @ts-expect-error
    ctx.key.destination;
    // @ts-expect-error
    ctx.timers.eventTime('x', 5);
    // @ts-expect-error
    const n: number = ctx.state.last.get();
    void n;
  },
}); // biome-ignore format: one line for one mistake
// 32 keys that are no columns
// @ts-expect-error
flights.keyBy('orign');
// 33 broadcast state is read-only beside a key, keyed state is not there without one
connect({ a: flights.keyBy('origin'), b: live.broadcast() }).process({
  output: schema({ n: t.int() }),
  broadcastState: { rules: state.map(t.string(), t.int()) },
  onRow: {
    a(_row, ctx) {
      // @ts-expect-error
      ctx.broadcast.rules.set('x', 1);
    },
    b(_row, ctx) {
      // @ts-expect-error
      ctx.state;
      // @ts-expect-error
      ctx.timers;
    },
  },
});
// 34 a generator that yields another shape
flights.keyBy('origin').process({
  output: schema({ n: t.int() }),
  // @ts-expect-error
  *onRow(row) {
    yield { n: row.origin };
  },
});
// 35 a stream without a key
// @ts-expect-error
connect({ a: flights });
// 36 what a function reduces to
// @ts-expect-error
state.reducing(t.double(), (a, b) => `${a}${b}`);
// @ts-expect-error
state.value(t.double(), { ttl: '1 dya' });

// 37 a join's condition: no column of that side, no condition, sides compared as different types
// @ts-expect-error
flights.join(live, (l, r) => l.origin.eq(r.orign));
// @ts-expect-error
flights.join(live, (l, _r) => l.origin);
// @ts-expect-error
flights.join(live, (l, r) => l.origin.eq(r.delay));
// 38 a join of two sides has no columns before a select
// @ts-expect-error
flights.join(live, (l, r) => l.origin.eq(r.origin)).filter((f) => f.origin.isNull());
// 39 what an outer join may leave NULL
declare const takesOrigin: import('../../index.ts').Sink<{ origin: string }, Mode>;
flights
  .leftJoin(flights, (l, r) => l.origin.eq(r.destination))
  .select((_l, r) => ({ origin: r.origin }))
  // @ts-expect-error
  .to(takesOrigin);
// 40 an updating join into what takes inserts only
declare const takesInserts: import('../../index.ts').Sink<{ origin: string }, 'bounded' | 'append'>;
const corrected = live.antiJoin(flights, (l, r) => l.origin.eq(r.origin)).pick('origin');
// @ts-expect-error
corrected.to(takesInserts);
// 41 rows that do not say what they are as changes; a key that says what they are
// @ts-expect-error
live.fromChangelog({ key: 'origin' });
// @ts-expect-error
live.toChangelog().fromChangelog({ key: 'row_kind' });
// 42 options that are not built
// @ts-expect-error
live.join(flights, (l, r) => l.origin.eq(r.origin), { ttl: '1 day' });

void (0 as unknown as Stream<1>);
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(..._proof: Same<A, B> extends true ? [] : [never]): void {}
// @ts-expect-error
same<{ a: number }, { a: number | null }>();
