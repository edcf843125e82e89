/** The plans that the example programs become. */
import { expect, test } from 'vitest';
import { buildPlan, type Ends, type Job } from '../../core/api/job.ts';
import type { Plan, PlanNode } from '../../core/plan/nodes.ts';
import alerts from '../../examples/alerts.ts';
import flights from '../../examples/flights.ts';
import telemetry from '../../examples/telemetry.ts';
import {
  arrowBatches,
  avg,
  blackhole,
  callback,
  channel,
  collection,
  count,
  desc,
  follow,
  from,
  generator,
  hop,
  iterable,
  job,
  jsonl,
  max,
  parquet,
  print,
  schema,
  t,
  tumble,
  watch,
} from '../../index.ts';

/** `n2 filter(n1)`, one line a node. */
function shape(plan: Plan): string[] {
  return plan.nodes.map((node) => {
    const inputs = node.inputs.map((ref) => (ref.port === 0 ? ref.node : `${ref.node}:${ref.port}`));
    return `${node.id} ${node.kind}(${inputs.join(', ')})`;
  });
}

function node<K extends PlanNode['kind']>(plan: Plan, kind: K): Extract<PlanNode, { kind: K }> {
  return plan.nodes.find((one) => one.kind === kind) as Extract<PlanNode, { kind: K }>;
}

const planOf = (what: unknown, params = {}): Plan => buildPlan(what as Job<Ends>, params).plan;
const reading = schema({ device: t.string(), at: t.timestamp(3), celsius: t.double().nullable() });

test('the flights job: one source, one aggregate, two sinks', () => {
  const plan = planOf(flights, { data: 'f.parquet' });
  expect(shape(plan)).toEqual([
    'n0 source()',
    'n1 eventTime(n0)',
    'n2 aggregate(n1)',
    'n3 sink(n2)',
    'n4 filter(n2)',
    'n5 topN(n4)',
    'n6 project(n5)',
    'n7 sink(n6)',
  ]);
  expect(plan.outputs).toEqual([
    { name: 'days', node: 'n3' },
    { name: 'worst', node: 'n7' },
  ]);
  const [source, time, aggregate] = plan.nodes;
  expect(source).toMatchObject({ connector: { kind: 'parquet', label: 'f.parquet', options: { path: 'f.parquet' } } });
  expect(time).toMatchObject({ column: 'date', outOfOrdernessMs: 3_600_000, idleAfterMs: null });
  expect(aggregate).toMatchObject({
    keys: ['origin', null],
    window: { kind: 'tumble', sizeMs: 86_400_000, offsetMs: 0 },
    allowedLatenessMs: 0,
  });
  expect(node(plan, 'aggregate').columns[3]).toEqual({
    name: 'late',
    expr: {
      kind: 'call',
      fn: 'divide',
      args: [
        {
          kind: 'aggregate',
          fn: 'count',
          arg: null,
          filter: {
            kind: 'call',
            fn: 'gt',
            args: [
              { kind: 'column', path: ['delay'] },
              { kind: 'literal', value: 15, type: null },
            ],
          },
          distinct: false,
        },
        { kind: 'aggregate', fn: 'count', arg: null, filter: null, distinct: false },
      ],
    },
  });
  expect(node(plan, 'topN')).toMatchObject({
    partitionBy: [],
    n: 10,
    by: [{ column: 'mean', descending: true }],
    using: 'ROW_NUMBER',
    rankAs: null,
  });
});

test('the flights job finds its data where npm put it', () => {
  const { connector } = node(planOf(flights), 'source');
  expect(connector.options.path).toMatch(/vega-datasets[/\\]data[/\\]flights-3m\.parquet$/);
});

test('the telemetry job: late rows leave by the second port of the aggregate', () => {
  const plan = planOf(telemetry, { rows: 10 });
  expect(shape(plan)).toEqual([
    'n0 source()',
    'n1 eventTime(n0)',
    'n2 aggregate(n1)',
    'n3 project(n2)',
    'n4 sink(n3)',
    'n5 sink(n2:1)',
    'n6 topN(n2)',
    'n7 project(n6)',
    'n8 sink(n7)',
  ]);
  expect(node(plan, 'project').columns[1]).toEqual({
    name: 'minute',
    expr: { kind: 'column', path: ['window', 'start'] },
  });
});

test('the alerts job: both branches read one source, and its function is found by id', () => {
  const built = buildPlan(alerts as unknown as Job<Ends>, { rows: 10 });
  expect(built.plan.nodes.filter((one) => one.kind === 'source')).toHaveLength(1);
  expect(node(built.plan, 'map')).toMatchObject({ style: 'map', functionId: 'f0' });
  expect([...built.functions.keys()]).toEqual(['f0']);
  expect(built.module).toMatch(/examples\/alerts\.ts$/);
});

test('an equal source, or an equal pipeline said twice, is one node', () => {
  const half = () => from(parquet('f.parquet', { schema: reading })).filter((r) => r.celsius.gt(0));
  const plan = planOf({ a: half().to(blackhole()), b: half().select((r) => ({ d: r.device })).to(blackhole()) }); // biome-ignore format: one line
  expect(shape(plan)).toEqual(['n0 source()', 'n1 filter(n0)', 'n2 sink(n1)', 'n3 project(n1)', 'n4 sink(n3)']);
});

test('sources over other rows, and channels of the same schema, stay apart', () => {
  const rows = [{ a: 1 }];
  const one = collection(rows);
  const shared = planOf(from(one).union(from(one), from(collection(rows))));
  expect(shape(shared)).toEqual(['n0 source()', 'n1 union(n0, n0, n0)', 'n2 sink(n1)']);
  const apart = buildPlan(from(one).union(from(collection([{ a: 1 }]))) as never);
  expect(shape(apart.plan)).toEqual(['n0 source()', 'n1 source()', 'n2 union(n0, n1)', 'n3 sink(n2)']);
  expect([...apart.resources]).toEqual([
    ['r0', rows],
    ['r1', [{ a: 1 }]],
  ]);
  const channels = planOf(from(channel(reading)).union(from(channel(reading))));
  expect(channels.nodes.filter((one) => one.kind === 'source')).toHaveLength(2);
});

test('functions are one where they are the same function, and have a digest of their text', () => {
  const out = schema({ a: t.int() });
  const double = (row: { a: number }) => ({ a: row.a * 2 });
  const source = from(collection([{ a: 1 }], { schema: out }));
  const built = buildPlan({
    a: source.map(out, double),
    b: source.map(out, double),
    c: source.map(out, (row) => ({ a: row.a * 2 })),
  } as never);
  expect(built.plan.nodes.filter((one) => one.kind === 'map').map((one) => one.functionId)).toEqual(['f0', 'f1']);
  expect(built.functions.get('f0')?.call).toBe(double);
  const [first, second] = [...built.functions.values()];
  expect(first?.digest).toMatch(/^[0-9a-f]{16}$/);
  expect(second?.digest).toBe(first?.digest);
});

test('the same job builds the same plan and the same ids, every time', () => {
  const first = buildPlan(alerts as unknown as Job<Ends>, { rows: 10 });
  const second = buildPlan(alerts as unknown as Job<Ends>, { rows: 10 });
  expect(JSON.stringify(second.plan)).toBe(JSON.stringify(first.plan));
  expect(second.functions.get('f0')?.digest).toBe(first.functions.get('f0')?.digest);
  expect(JSON.parse(JSON.stringify(first.plan))).toEqual(first.plan);
});

test('an end without a sink goes to the handle, under its name and as what it was built as', () => {
  const live = from(channel(reading)).eventTime('at');
  const plan = planOf({
    rows: live,
    counts: live.groupBy('device').aggregate(() => ({ n: count() })),
  });
  const sinks = plan.nodes.filter((one) => one.kind === 'sink').map((one) => one.connector);
  expect(sinks).toEqual([
    { kind: 'handle', label: 'rows', options: { output: 'rows', changes: false } },
    { kind: 'handle', label: 'counts', options: { output: 'counts', changes: true } },
  ]);
  expect(planOf(live).outputs).toEqual([{ name: 'result', node: 'n2' }]);
});

test('windows make an unbounded result final, whatever the window column is called', () => {
  const perMinute = from(channel(reading))
    .eventTime('at')
    .groupBy('device', hop('1 minute', '10 seconds', { offset: '5 seconds' }))
    .aggregate((r) => ({ mean: avg(r.celsius) }));
  const again = perMinute.select((r) => ({ w: r.window, mean: r.mean })).groupBy('w').aggregate((r) => ({ top: max(r.mean) })); // biome-ignore format: one line
  const changesOf = (end: unknown) => node(planOf(end), 'sink').connector.options.changes;
  expect(node(planOf(perMinute), 'aggregate').window).toEqual({
    kind: 'hop',
    sizeMs: 60_000,
    slideMs: 10_000,
    offsetMs: 5000,
  });
  expect(changesOf(perMinute)).toBe(false);
  expect(changesOf(again)).toBe(false);
  expect(changesOf(again.groupBy('top').aggregate(() => ({ n: count() })))).toBe(true);
  expect(changesOf(again.groupBy('w').topN(1, { orderBy: 'top' }))).toBe(false);
  expect(changesOf(again.topN(1, { orderBy: 'top' }))).toBe(true);
  const bounded = from(collection([{ a: 1 }])).groupBy('a').aggregate(() => ({ n: count() })); // biome-ignore format: one line
  expect(changesOf(bounded)).toBe(false);
});

test('projections say every column that comes out', () => {
  const s = from(jsonl('r', { schema: reading }));
  const last = (end: unknown) => planOf(end).nodes.find((one) => one.kind === 'project');
  expect(last(s.pick('at', 'device'))).toMatchObject({
    columns: [{ name: 'at' }, { name: 'device' }],
    keepOthers: false,
  });
  expect(last(s.drop('at'))).toMatchObject({ columns: [], keepOthers: true, dropped: ['at'] });
  expect(last(s.with(() => ({ one: 1 })))).toMatchObject({ columns: [{ name: 'one' }], keepOthers: true, dropped: [] });
  const spread = last(s.with(() => ({ one: 1 })).drop('celsius').select((r) => ({ ...r, at: r.at.plus('1 hour') }))); // biome-ignore format: one line
  expect(spread).toBeDefined();
  const columns = planOf(s.with(() => ({ one: 1 })).drop('celsius').select((r) => ({ ...r, device: 'x' }))).nodes; // biome-ignore format: one line
  expect(columns[3]).toMatchObject({ columns: [{ name: 'device' }, { name: 'at' }, { name: 'one' }] });
});

test('steps carry their names and the lines where they were called', () => {
  const s = from(jsonl('r', { schema: reading })).named('readings');
  const plan = planOf(s.filter((r) => r.celsius.gt(5)).to(print({ limit: 3 })));
  expect(plan.nodes.map((one) => one.name)).toEqual(['readings', null, null]);
  expect(plan.nodes.map((one) => one.callSite)).toEqual(Array(3).fill(expect.stringMatching(/^plan\.test\.ts:\d+$/)));
});

test('a name given to one of two equal steps is the name of both', () => {
  const s = from(jsonl('r', { schema: reading }));
  const named = s.named('readings');
  expect(shape(planOf({ a: s.limit(1), b: named.limit(2) }))[0]).toBe('n0 source()');
  expect(planOf({ a: s.limit(1), b: named.limit(2) }).nodes.filter((one) => one.kind === 'source')).toMatchObject([
    { name: 'readings' },
  ]);
});

test('a generator is plain JSON, split and seeded elsewhere', () => {
  const source = generator({
    rows: 100,
    rate: 50,
    seed: 3,
    columns: (g) => ({
      n: g.sequence({ from: 1n }),
      key: g.bigint(0, 2n ** 60n).nullable(0.25),
      at: g.time({ start: '2026-01-01', perSecond: 100_000, disorder: '1 second' }),
      due: g.due(),
      name: g.text({ prefix: 'k', distinct: 10, length: 16 }),
      one: g.constant(t.date(), new Date('2026-01-02')),
    }),
  });
  const { connector, schema: fields } = node(planOf(from(source)), 'source');
  expect(connector.options).toEqual({
    rows: 100,
    rowsPerSecond: 50,
    seed: 3,
    columns: [
      { name: 'n', kind: 'sequence', type: 'BIGINT', from: 1, step: 1 },
      { name: 'key', kind: 'int', type: 'BIGINT', min: 0, max: '1152921504606846976', nulls: 0.25 },
      { name: 'at', kind: 'time', precision: 3, start: 1767225600000, stepMs: 0.01, disorderMs: 1000 },
      { name: 'due', kind: 'due', precision: 3 },
      { name: 'name', kind: 'text', prefix: 'k', distinct: 10, length: 16 },
      { name: 'one', kind: 'constant', type: { kind: 'DATE' }, value: 20455 },
    ],
  });
  expect(fields?.map((field) => field.nullable)).toEqual([false, true, false, false, false, false]);
});

test('a job of one end, with parameters read as a command line gives them', () => {
  const filtered = job('hot', ({ params }) => from(jsonl(params.in)).limit(params.n ?? 5), {
    params: schema({ in: t.string(), n: t.int().nullable() }),
  });
  expect(node(planOf(filtered, { in: 'a', n: '7' }), 'limit').rows).toBe(7);
  expect(node(planOf(filtered, { in: 'a' }), 'limit').rows).toBe(5);
  expect(planOf(filtered, { in: 'a' }).name).toBe('hot');
  expect(planOf(from(jsonl('a')).topN(1, { orderBy: desc('x') })).nodes).toHaveLength(3);
  expect(node(planOf(from(jsonl('a')).groupBy(tumble('1 day')).aggregate(() => ({ n: count() }))), 'aggregate').keys).toEqual([null]); // biome-ignore format: one line
});

test('receivers are told whether changes come', () => {
  const live = from(channel(reading));
  const counts = live.groupBy('device').aggregate(() => ({ n: count() }));
  const sinkOf = (end: unknown) => node(planOf(end), 'sink').connector;
  expect(sinkOf(live.to(callback(() => {}))).options).toEqual({ changes: false, resource: 'r1' });
  expect(sinkOf(counts.to(callback(() => {}))).options).toEqual({ changes: true, resource: 'r1' });
  expect(sinkOf(live.to(callback(() => {}, { changes: true }))).options).toEqual({ changes: true, resource: 'r1' });
  expect(sinkOf(live.to(arrowBatches(() => {})))).toMatchObject({ kind: 'arrow', options: { changes: false } });
  expect(sinkOf(counts.to(blackhole({ checksum: new SharedArrayBuffer(24) }))).options).toEqual({ resource: 'r1' });
  expect(sinkOf(counts.to(blackhole())).options).toEqual({});
  expect(sinkOf(counts.to(jsonl('out/x', { changelog: true })))).toEqual({
    kind: 'jsonl',
    label: 'x',
    options: { path: 'out/x', changelog: true },
  });
});

test('rows of the program carry their schema in the spec', () => {
  const fields = [{ name: 'a', type: { kind: 'INT' }, nullable: false }];
  const a = schema({ a: t.int() });
  const specOf = (source: unknown) => node(planOf(from(source as never)), 'source').connector.options;
  expect(specOf(collection([{ a: 1 }], { schema: a }))).toEqual({ schema: fields, resource: 'r0' });
  expect(specOf(collection([{ a: 1 }]))).toEqual({ resource: 'r0' });
  expect(specOf(channel(a))).toEqual({ capacity: 1024, schema: fields, resource: 'r0' });
  expect(specOf(iterable([{ a: 1 }], { schema: a }))).toEqual({ bounded: false, schema: fields, resource: 'r0' });
});

test('a printed table is told the order of its rows', () => {
  const s = from(jsonl('r', { schema: reading }));
  const sortOf = (stream: { to(sink: unknown): unknown }) =>
    node(planOf(stream.to(print())), 'sink').connector.options.sort;
  const top = s.groupBy('device').topN(3, { orderBy: desc('celsius') });
  expect(sortOf(top.filter((r) => r.celsius.gt(5)).pick('device', 'celsius') as never)).toEqual([
    { column: 'device', descending: false },
    { column: 'celsius', descending: true },
  ]);
  expect(sortOf(s.orderBy('at') as never)).toEqual([{ column: 'at', descending: false }]);
  expect(sortOf(s.orderBy('at').distinct() as never)).toBeUndefined();
});

test('watched and followed files do not end; what they are looked at by is in the plan', () => {
  const source = (of: unknown) => node(planOf(from(of as ReturnType<typeof watch>)), 'source');
  expect(source(watch(jsonl('in/*.jsonl', { schema: reading })))).toMatchObject({
    bounded: false,
    connector: { kind: 'jsonl', options: { path: 'in/*.jsonl', watch: { everyMs: 60_000, settleMs: 1000 } } },
  });
  expect(source(watch(parquet('in', { schema: reading }))).connector.options.schema).toBeDefined();
  expect(source(follow(jsonl('app.log'), { every: '1 second' })).connector.options.follow).toEqual({
    everyMs: 1000,
    from: 'start',
    onLost: 'fail',
  });
  for (const wrong of [
    () => watch(jsonl('in'), { every: '0 ms' }),
    () => watch(jsonl('in'), { settle: '-1 ms' as '1 ms' }),
    () => follow(parquet('in')),
    () => follow(jsonl('in'), { from: 'middle' as 'end' }),
    () => follow(jsonl('in'), { onLost: 'panic' as 'fail' }),
  ]) {
    expect(wrong).toThrow(expect.objectContaining({ code: 'option/invalid' }));
  }
});

test('files that roll: sizes and times become numbers, and nonsense is refused', () => {
  const roll = (options: object): unknown =>
    node(planOf(from(collection([{ a: 1 }])).to(jsonl('out', { roll: options } as object))), 'sink').connector.options
      .roll;
  expect(roll({ size: '2mb', every: '1 minute' })).toEqual({ bytes: 2 * 1024 * 1024, everyMs: 60_000 });
  expect(roll({ size: '1kb' })).toEqual({ bytes: 1024, everyMs: null });
  for (const wrong of [{}, { size: 'much' }, { every: '0 ms' }, { every: 'often' }]) {
    expect(() => roll(wrong)).toThrow(expect.objectContaining({ code: 'option/invalid' }));
  }
});
