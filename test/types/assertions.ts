// biome-ignore-all lint/suspicious/noExplicitAny: rows of sources without a schema are `any`
/** The exact types that a pipeline has. Never run. */
import type { Table } from 'apache-arrow';
import type { Collect, Run } from '../../core/api/run.ts';
import {
  concat,
  dateFormat,
  floorTo,
  hour,
  length,
  regexpExtract,
  splitIndex,
  substring,
  upper,
} from '../../functions.ts';
import {
  arrowTable,
  avg,
  type Change,
  callback,
  channel,
  coalesce,
  collection,
  connect,
  count,
  type DeadLetter,
  type Decimal,
  decimal,
  desc,
  follow,
  from,
  generator,
  hop,
  iterable,
  job,
  jsonl,
  lookupTable,
  type Mode,
  max,
  min,
  type NumberExpr,
  parquet,
  print,
  type RowOf,
  type Stream,
  type StreamOf,
  schema,
  state,
  sum,
  t,
  tumble,
  type Window,
  watch,
  when,
} from '../../index.ts';
import { type Auction, type Bid, nexmark, type Person } from '../../nexmark.ts';

declare const run: Run;
declare const collect: Collect;

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(..._proof: Same<A, B> extends true ? [] : [never]): void {}
type R<S> = S extends StreamOf<infer X, any> ? X : never;
type M<S> = S extends StreamOf<any, infer X> ? X : never;

const flight = schema({
  date: t.timestamp(6),
  delay: t.bigint().nullable(),
  origin: t.string(),
  fare: t.decimal(10, 2),
  tags: t.array(t.string()),
  place: t.row({ city: t.string(), at: t.row({ lat: t.double() }) }).nullable(),
});
type Flight = RowOf<typeof flight>;
same<
  Flight,
  {
    date: Date;
    delay: number | null;
    origin: string;
    fare: Decimal;
    tags: readonly string[];
    place: { city: string; at: { lat: number } } | null;
  }
>();
const flights = from(parquet('f.parquet', { schema: flight }));
const live = from(channel(flight));
same<R<typeof live>, Flight>();
same<M<typeof live>, 'append'>();

// window keys, modes
const daily = flights
  .groupBy('origin', tumble('1 day'))
  .aggregate((f) => ({ n: count(), mean: avg(f.delay), ratio: count().filter(f.delay.gt(15)).div(count()) }));
same<R<typeof daily>, { origin: string; window: Window; n: number; mean: number | null; ratio: number }>();
same<M<typeof daily>, 'bounded'>();
const liveDaily = live.groupBy('origin', tumble('1 day')).aggregate(() => ({ n: count() }));
same<M<typeof liveDaily>, 'append'>();
same<R<typeof liveDaily.side.late>, Flight>();
same<M<typeof liveDaily.side.late>, 'append'>();
const sliding = live.groupBy(hop('10 seconds', '2 seconds')).aggregate(() => ({ n: count() }));
same<R<typeof sliding>, { window: Window; n: number }>();
const second = liveDaily.groupBy('window').aggregate((c) => ({ top: max(c.n) }));
same<M<typeof second>, 'append'>();
same<R<typeof second>, { window: Window; top: number }>();
const running = live.groupBy('origin').aggregate((f) => ({ n: count(), s: sum(f.delay) }));
same<M<typeof running>, 'updating'>();
const corrected = live
  .groupBy('origin', tumble('1 day'))
  .aggregate(() => ({ n: count() }), { allowedLateness: '1 hour' });
same<M<typeof corrected>, 'updating'>();
const windowTop = liveDaily.groupBy('window').topN(3, { orderBy: desc('n'), rankAs: 'place' });
same<M<typeof windowTop>, 'append'>();
same<R<typeof windowTop>, { origin: string; window: Window; n: number; place: number }>();
const overall = flights.aggregate((f) => ({ n: count(), worst: max(f.delay), first: min(f.origin) }));
same<R<typeof overall>, { n: number; worst: number | null; first: string | null }>();
same<M<ReturnType<typeof live.topN>>, 'updating'>();
same<M<ReturnType<typeof live.limit>>, 'bounded'>();
const both = flights.union(live);
same<M<typeof both>, 'append'>();

// over
const framed = live.with((f) => ({
  last10: avg(f.delay).over({ partitionBy: f.origin, orderBy: f.date, rows: [-9, 0] }),
  n: count()
    .over({ orderBy: [f.date], range: '1 hour' })
    .add(1),
}));
same<M<typeof framed>, 'append'>();
same<R<typeof framed>['last10'], number | null>();
same<R<typeof framed>['n'], number>();

// nested rows, nulls, case, coalesce, decimals, functions
const shaped = flights.select((f) => ({
  city: f.place.city,
  lat: f.place.at.lat,
  up: upper(f.origin),
  d: coalesce(f.delay, 0),
  late: f.delay.gt(15),
  day: dateFormat(f.date, 'yyyy-MM-dd'),
  size: when(f.delay.lt(0), 'early').when(f.delay.lt(15), 'on time').otherwise('late'),
  net: f.fare.mul(decimal('0.908')),
  first: f.tags.at(0),
  one: 1,
  big: f.delay.cast(t.bigint()),
  hour: hour(f.date),
  midnight: floorTo(f.date, 'day'),
  letters: length(f.place.city),
  start: substring(f.origin, 1, 2),
  both: concat(f.origin, '-', f.origin),
  maybe: concat(f.origin, ' ', f.place.city),
}));
same<
  R<typeof shaped>,
  {
    city: string | null;
    lat: number | null;
    up: string;
    d: number;
    late: boolean | null;
    day: string;
    size: string;
    net: Decimal;
    first: string | null;
    one: number;
    big: number | null;
    hour: number;
    midnight: Date;
    letters: number | null;
    start: string | null;
    both: string;
    maybe: string | null;
  }
>();

// literals adapt
flights.filter((f) => f.date.gte('2001-01-01').and(f.fare.lt(5), f.origin.in(['SFO', 'LAX'])));

// no schema: everything goes, names are known from the first select on
const loose = from(jsonl('x.jsonl'))
  .filter((r) => r.anything.gt(5).and(r['odd name'].eq('x')))
  .groupBy('a', 'b')
  .aggregate((r) => ({ n: count(), s: sum(r.c) }));
same<R<typeof loose>, { a: any; b: any; n: number; s: any }>();
const rows = await collect(loose);
rows[0]?.n.toFixed();
await run(from(jsonl('x')).with((r) => ({ y: r.x.add(1) })).to(print())).result(); // biome-ignore format: one line
interface Claimed {
  id: number;
  name: string | null;
}
const claimed = from(jsonl<Claimed>('x.jsonl')).filter((r) => r.name.like('a%'));
same<R<typeof claimed>, Claimed>();
const untypedWindows = from(iterable<any>([], { schema: schema({ k: t.string() }) as any }))
  .eventTime('at')
  .groupBy('k', tumble('1 day'))
  .aggregate(() => ({ n: count() }));
same<M<typeof untypedWindows>, 'append'>();
untypedWindows.to(jsonl('x'));

// helpers: over expressions, and over streams of any mode
const late = (delay: NumberExpr<number | null>) => delay.gt(15);
const onlyLate = <Md extends Mode>(s: Stream<Flight, Md>) => s.filter((f) => late(f.delay));
same<M<ReturnType<typeof onlyLate<'append'>>>, 'append'>();
onlyLate(flights).groupBy('origin').aggregate(() => ({ n: count() })).to(jsonl('x')); // biome-ignore format: one line
const generic = <X extends { delay: number | null }, Md extends Mode>(s: Stream<X, Md>) =>
  s.filter((f) => {
    // @ts-expect-error undecided in a generic row
    return f.delay.gt(15);
  });
void generic;

// parameters decide the source
const chosen = job(
  'p',
  ({ params }) => {
    const source = params.live ? channel(flight) : parquet('f.parquet', { schema: flight });
    const s = from(source).groupBy('origin', tumble('1 day')).aggregate(() => ({ n: count() })); // biome-ignore format: one line
    return s.to(jsonl(params.out));
  },
  { params: schema({ live: t.boolean(), out: t.string() }) },
);
void chosen;

// received rows
for await (const row of run(liveDaily)) row.n.toFixed();
for await (const change of run(running)) if (change.kind === '+I') change.row.n.toFixed();
const many = run(job('m', () => ({ a: liveDaily, b: running, c: flights.to(jsonl('x')) })));
for await (const row of many.output('a')) row.window.start.getTime();
for await (const ch of many.output('b')) ch.row.s?.toString();
liveDaily.to(callback((row) => same<typeof row, { origin: string; window: Window; n: number }>()));
running.to(callback((change) => same<typeof change, Change<{ origin: string; n: number; s: number | null }>>()));
liveDaily.to(callback((change) => change.row.n.toFixed(), { changes: true }));
liveDaily.to(callback(async (row) => row.n.toFixed()));
running.to(jsonl('changes', { changelog: true })).sink satisfies true;
from(watch(parquet('in', { schema: flight }), { every: '5 seconds', settle: '0 ms' })) satisfies Stream<
  RowOf<typeof flight>,
  'append'
>;
from(follow(jsonl('app.log', { schema: flight }), { from: 'end', onLost: 'restart' })) satisfies Stream<
  RowOf<typeof flight>,
  'append'
>;
const sided = from(jsonl('in', { schema: flight, onError: 'side' })).named('in');
sided.side.errors satisfies Stream<DeadLetter, 'bounded'>;
sided.pick('origin').map(schema({ n: t.int() }), () => ({ n: 1 }), { onError: 'side' }).side.errors satisfies Stream<
  DeadLetter,
  'bounded'
>;
const erring = from(jsonl('in', { schema: flight }))
  .keyBy('origin')
  .process({ onError: 'side', side: { big: schema({ n: t.int() }) }, onRow() {} });
erring.side.errors satisfies Stream<DeadLetter, 'bounded'>;
erring.side.big satisfies Stream<{ n: number }, 'bounded'>;
from(watch(jsonl('in', { schema: flight, onError: 'side' }))).side.errors satisfies Stream<DeadLetter, 'append'>;
from(jsonl('in', { schema: flight, onError: 'skip' })) satisfies Stream<RowOf<typeof flight>, 'bounded'>;
flights.to(parquet('parts', { roll: { size: '128mb', every: '1 minute' } })).sink satisfies true;
running.to(print());

// in-process places
same<R<Stream<RowOf<typeof flight>>>, Flight>();
const literal = from(collection([{ a: 1, b: 'x' }]));
same<R<typeof literal>, { a: number; b: string }>();
same<M<typeof literal>, 'bounded'>();
const pulled = from(iterable([{ a: 1 }], { schema: schema({ a: t.int() }), bounded: true }));
same<M<typeof pulled>, 'bounded'>();
const pulledLive = from(iterable([{ a: 1 }], { schema: schema({ a: t.int() }) }));
same<M<typeof pulledLive>, 'append'>();
const table = from(arrowTable(0 as unknown as Table, { schema: flight }));
same<R<typeof table>, Flight>();
const made = from(
  generator({
    rows: 10,
    columns: (g) => ({
      n: g.sequence(),
      key: g.int(0, 9).nullable(0.1),
      at: g.time({ start: '2026-01-01', perSecond: 10 }),
      name: g.text({ distinct: 10, length: 4 }),
      flag: g.boolean(),
    }),
  }),
);
same<R<typeof made>, { n: number; key: number | null; at: Date; name: string; flag: boolean }>();
same<M<typeof made>, 'bounded'>();
const endless = from(generator({ rate: 10, columns: (g) => ({ n: g.sequence(), due: g.due() }) }));
same<M<typeof endless>, 'append'>();
same<R<typeof endless>, { n: number; due: Date }>();

// windows under another name; rows spread; what TypeScript cannot see
const renamed = liveDaily.select((r) => ({ w: r.window, n: r.n })).groupBy('w').aggregate((r) => ({ top: max(r.n) })); // biome-ignore format: one line
same<M<typeof renamed>, 'append'>();
same<R<typeof renamed>, { w: Window; top: number }>();
const spread = flights.select((f) => ({ ...f, late: f.delay.gt(15) }));
same<R<typeof spread>['late'], boolean | null>();
flights.filter((f) => f.delay.gt(1) && f.origin.eq('SFO'));
flights.filter((f) => (f.delay.gt(1) ? f.origin.eq('SFO') : f.origin.eq('LAX')));

// numbers of all kinds compare; integers divide and average to DOUBLE
const mixed = flights
  .filter((f) => f.delay.gt(f.fare).and(f.fare.between(1, f.delay)))
  .groupBy('origin')
  .aggregate((f) => ({ m: avg(f.delay), s: sum(f.delay), q: sum(f.delay).div(2), f: avg(f.fare) }));
same<R<typeof mixed>, { origin: string; m: number | null; s: number | null; q: number | null; f: Decimal }>();
const flat = live.flatMap(schema({ tag: t.string() }), function* (row) {
  for (const tag of row.tags) yield { tag };
});
same<R<typeof flat>, { tag: string }>();
const batched = live.mapBatch(schema({ n: t.int() }), (batch: import('apache-arrow').RecordBatch) => batch.slice(0, 1));
same<R<typeof batched>, { n: number }>();

// process functions
const co = connect({ a: live.keyBy('origin'), b: live.keyBy('origin') }).process({
  output: schema({ n: t.int() }),
  side: { odd: schema({ s: t.string() }) },
  state: { left: state.value(flight) },
  onRow: {
    a(row, ctx) {
      same<typeof ctx.key, { origin: string }>();
      ctx.state.left.set(row);
    },
    b(row, ctx) {
      if (ctx.state.left.get()?.origin === row.origin) ctx.side.odd({ s: ctx.key.origin });
      ctx.emit({ n: 1 });
    },
  },
  onTimer(_timer, ctx) {
    ctx.state.left.clear();
  },
});
same<R<typeof co>, { n: number }>();
same<M<typeof co>, 'append'>();
same<R<typeof co.side.odd>, { s: string }>();
const onlySide = live.keyBy('origin').process({
  side: { s: schema({ o: t.string() }) },
  onRow(row, ctx) {
    ctx.side.s({ o: row.origin });
  },
});
onlySide.side.s.to(jsonl('x'));
const gen = live.keyBy('origin').process({
  output: schema({ n: t.int() }),
  *onRow(row, ctx) {
    ctx.key.origin satisfies string;
    for (let i = 0; i < row.tags.length; i++) yield { n: i };
  },
});
same<R<typeof gen>, { n: number }>();
const ended = flights.keyBy('origin', 'delay').process({
  output: schema({ n: t.int() }),
  state: {
    last: state.value(t.double()),
    recent: state.list(t.string()),
    counts: state.map(t.string(), t.int()),
    total: state.reducing(t.double(), (a, b) => a + b),
    mean: state.aggregating({
      input: t.double(),
      accumulator: { sum: t.double(), n: t.int() },
      init: () => ({ sum: 0, n: 0 }),
      add(acc, value) {
        acc.sum += value;
        acc.n += 1;
      },
      finish: (acc) => acc.sum / acc.n,
    }),
  },
  onRow(_row, ctx) {
    same<typeof ctx.key, { origin: string; delay: number | null }>();
    same<ReturnType<typeof ctx.state.last.get>, number | null>();
    same<ReturnType<typeof ctx.state.counts.get>, number | null>();
    same<ReturnType<typeof ctx.state.mean.get>, number | null>();
    for (const text of ctx.state.recent) text satisfies string;
    for (const [key, n] of ctx.state.counts) ctx.emit({ n: n + key.length });
    ctx.state.mean.add(1);
    ctx.state.total.add(ctx.state.last.get() ?? 0);
    ctx.kind satisfies '+I' | '-U' | '+U' | '-D';
    ctx.time satisfies Date;
  },
});
same<M<typeof ended>, 'bounded'>();

// joins: NULL where a side can be missing, as loose as the looser side, corrected where a match may still come
declare const people: Stream<{ id: number; name: string }, 'append'>;
const paired = people.join(ended, (l, r) => l.name.isNotNull().and(r.n.gt(0))).select((l, r) => ({ ...l, n: r.n }));
same<R<typeof paired>, { id: number; name: string; n: number }>();
same<M<typeof paired>, 'append'>();
const outer = people.fullJoin(people, (l, r) => l.id.eq(r.id)).select((l, r) => ({ left: l.id, right: r.name }));
same<R<typeof outer>, { left: number | null; right: string | null }>();
same<M<typeof outer>, 'updating'>();
const without = people.antiJoin(people, (l, r) => l.id.eq(r.id));
same<R<typeof without>, { id: number; name: string }>();
same<M<typeof without>, 'updating'>();
const near = people
  .leftJoin(people, (l, r) => l.id.eq(r.id), { within: ['-1 hour', '1 hour'] })
  .select((l, r) => ({ l: l.id, r: r.id }));
same<R<typeof near>, { l: number; r: number | null }>();
same<M<typeof near>, 'append'>();
const version = people
  .leftAsOfJoin(people, (l, r) => l.id.eq(r.id), { tolerance: '1 day' })
  .select((_l, r) => ({ name: r.name }));
same<R<typeof version>, { name: string | null }>();
same<M<typeof version>, 'append'>();
const lookedUp = lookupTable(jsonl('people.jsonl', { schema: schema({ id: t.bigint(), name: t.string() }) }), {
  key: 'id',
});
const found = people.lookupJoin(lookedUp, (p) => ({ id: p.id })).select((l, r) => ({ id: l.id, name: r.name }));
same<R<typeof found>, { id: number; name: string | null }>();
same<M<typeof found>, 'append'>();
const final = ended.leftJoin(ended, (l, r) => l.n.eq(r.n)).select((_l, r) => ({ n: r.n }));
same<M<typeof final>, 'bounded'>();

// Nexmark: bounded where events are counted
const auctionHouse = nexmark({ events: 100 });
const madeBids = from(auctionHouse.bids);
same<R<typeof madeBids>, Bid>();
same<M<typeof madeBids>, 'bounded'>();
const endlessPersons = from(nexmark({ rate: 5 }).persons);
same<R<typeof endlessPersons>, Person>();
same<M<typeof endlessPersons>, 'append'>();
same<Auction['expires'], Date>();
const parts = madeBids.select((b) => ({ dir: splitIndex(b.url, '/', 3), id: regexpExtract(b.url, 'id=(.*)', 1) }));
same<R<typeof parts>, { dir: string | null; id: string | null }>();

// changelogs: changes as rows are only added, rows as changes update where the input does not end
const asRows = without.toChangelog();
same<R<typeof asRows>, { id: number; name: string; row_kind: '+I' | '-U' | '+U' | '-D' }>();
same<M<typeof asRows>, 'append'>();
const asChanges = asRows.fromChangelog({ key: 'id' });
same<R<typeof asChanges>, { id: number; name: string }>();
same<M<typeof asChanges>, 'updating'>();
const finalChanges = ended.toChangelog().fromChangelog({ key: ['n'] });
same<M<typeof finalChanges>, 'bounded'>();
