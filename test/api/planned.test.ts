/** What the API makes, the planner takes: the examples in both regimes, and every function of expressions. */
import { expect, test } from 'vitest';
import { buildPlan, type Ends, type Job } from '../../core/api/job.ts';
import type { Plan } from '../../core/plan/nodes.ts';
import { type Planned, planPhysical } from '../../core/plan/plan.ts';
import type { SinkInfo, SourceInfo } from '../../core/ports/connector.ts';
import alerts from '../../examples/alerts.ts';
import flights from '../../examples/flights.ts';
import telemetry from '../../examples/telemetry.ts';
import * as fn from '../../functions.ts';
import {
  avg,
  callback,
  channel,
  coalesce,
  count,
  desc,
  from,
  hop,
  jsonl,
  max,
  print,
  schema,
  sum,
  t,
  tumble,
  when,
} from '../../index.ts';

/** Plans with sources that are as declared. */
function planned(what: unknown, mode: 'bounded' | 'stream' | null = null, params = {}): Planned {
  const { plan } = buildPlan(what as Job<Ends>, params);
  return planPhysical(plan, { parallelism: 2, mode, sources: declared(plan), sinks });
}

function declared(plan: Plan): Map<string, SourceInfo> {
  const infos = new Map<string, SourceInfo>();
  for (const node of plan.nodes) {
    if (node.kind !== 'source') continue;
    const { bounded, schema: fields } = node;
    infos.set(node.id, { fields: fields ?? [], bounded, estimatedRows: 1000, place: 'slot', notes: [] });
  }
  return infos;
}

function sinks({ kind, options }: { kind: string; options: Readonly<Record<string, unknown>> }): SinkInfo {
  const all = ['print', 'blackhole'].includes(kind) || options.changes === true || options.changelog === true;
  return { accepts: all ? 'all' : 'insert', parallelismMax: 2, place: 'slot' };
}

for (const mode of ['bounded', 'stream'] as const) {
  test(`the examples are planned: ${mode}`, () => {
    for (const [job, params] of [
      [flights, {}],
      [telemetry, {}],
      [alerts, {}],
    ] as const) {
      const { physical } = planned(job, mode, params);
      expect(physical.bounded).toBe(mode === 'bounded');
      expect(physical.chains.length).toBeGreaterThan(1);
    }
  });
}

const row = schema({
  i: t.int(),
  b: t.bigint().nullable(),
  d: t.double(),
  s: t.string(),
  f: t.boolean(),
  at: t.timestamp(3),
  fine: t.timestamp(6),
  day: t.date(),
});
const live = from(channel(row)).eventTime('at', { outOfOrderness: '1 second' });

test('every method and function has a meaning to the planner', () => {
  const { physical } = planned(
    live
      .filter((r) =>
        r.s
          .like('a%')
          .and(r.i.in([1, 2]).not(), r.b.isNotNull())
          .or(r.d.between(1, 2)),
      )
      .filter((r) => r.at.gt('2001-01-01').and(r.fine.gte(new Date(0)), r.day.ne('2001-01-01')))
      .select((r) => ({
        numbers: r.i.add(1).sub(2).mul(3).mod(4).neg(),
        half: r.b.div(2),
        cast: r.i.cast(t.string()),
        tried: r.s.tryCast(t.int()),
        later: r.at.plus('1 hour').minus('1 day'),
        days: r.day.plus('2 days'),
        size: when(r.i.lt(5), 'small').otherwise(r.s),
        sure: coalesce(r.b, 0),
        upper: fn.upper(fn.lower(fn.trim(r.s))),
        text: fn.concat(r.s, '-', fn.substring(r.s, 1, 2)),
        length: fn.length(r.s),
        shown: fn.dateFormat(r.fine, 'yyyy-MM-dd HH:mm'),
        rounded: fn.round(r.d, 2),
        whole: fn.abs(fn.floor(fn.ceil(r.d))),
        midnight: fn.floorTo(r.at, 'day'),
        month: fn.ceilTo(r.day, 'month'),
        year: fn.year(r.at),
        quarter: fn.quarter(r.at),
        monthOf: fn.month(r.day),
        week: fn.week(r.at),
        dayOfMonth: fn.dayOfMonth(r.at),
        dayOfWeek: fn.dayOfWeek(r.at),
        dayOfYear: fn.dayOfYear(r.at),
        hour: fn.hour(r.at),
        minute: fn.minute(r.at),
        second: fn.second(r.at),
        one: 1,
        now: new Date(0),
      })),
  );
  expect(physical.chains.length).toBeGreaterThan(0);
});

test('every shape of stream has one too', () => {
  const windows = live
    .groupBy('s', hop('1 minute', '10 seconds'))
    .aggregate((r) => ({ n: count(), m: avg(r.d), share: count().filter(r.f).div(count()), total: sum(r.b) }));
  const ends = {
    top: windows
      .groupBy('window')
      .topN(3, { orderBy: [desc('n'), 's'], rankAs: 'place' })
      .to(print()),
    late: windows.side.late.pick('s', 'at'),
    nested: windows.select((w) => ({ end: w.window.end, n: w.n })).groupBy('end').aggregate((w) => ({ most: max(w.n) })), // biome-ignore format: one line
    changes: live.groupBy('s').aggregate(() => ({ n: count() })).to(callback((c) => void c.kind)), // biome-ignore format: one line
    corrected: live.groupBy(tumble('1 minute')).aggregate(() => ({ n: count() }), { allowedLateness: '1 hour' }).to(jsonl('x', { changelog: true })), // biome-ignore format: one line
    union: live.drop('fine').union(live.drop('fine')).distinct().to(print()), // biome-ignore format: one line
    mapped: live.map(schema({ x: t.int() }), (r) => ({ x: r.i })),
    all: live.aggregate((r) => ({ n: count(), least: max(r.i) })).to(print()), // biome-ignore format: one line
  };
  expect(planned(ends).physical.chains.length).toBeGreaterThan(5);
  const ended = from(jsonl('x', { schema: row }));
  expect(planned(ended.orderBy('s', desc('d')).limit(5).with(() => ({ one: 1 }))).physical.bounded).toBe(true); // biome-ignore format: one line
});

test('errors of the planner name the line that asked for it', () => {
  // biome-ignore lint/suspicious/noExplicitAny: what the compiler refuses
  const work = () => planned((live as any).filter((r: any) => r.dealy.gt(5)));
  expect(work).toThrow(expect.objectContaining({ where: expect.objectContaining({ callSite: expect.stringMatching(/^planned\.test\.ts:\d+$/) }) })); // biome-ignore format: one line
});
