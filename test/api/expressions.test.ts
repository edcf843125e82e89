/** Every method and function makes the call of the registry that it should, on the right operands. */
import { expect, test } from 'vitest';
import { describe as written } from '../../core/api/describe.ts';
import { buildPlan } from '../../core/api/job.ts';
import { functionOf } from '../../core/expr/functions.ts';
import type { UnboundExpr } from '../../core/expr/tree.ts';
import * as fn from '../../functions.ts';
import { avg, coalesce, count, decimal, from, jsonl, max, min, schema, sum, t, when } from '../../index.ts';

const row = schema({
  i: t.int(),
  b: t.bigint().nullable(),
  d: t.double(),
  s: t.string(),
  f: t.boolean(),
  at: t.timestamp(3),
  day: t.date(),
  m: t.decimal(10, 2),
  w: t.row({ start: t.timestamp(3), eq: t.int(), at: t.row({ add: t.double(), name: t.string(), length: t.int() }) }),
});
const source = from(jsonl('x', { schema: row }));

type Row = Parameters<Parameters<typeof source.select>[0]>[0];

/** The tree of one expression over `row`. */
function tree(of: (r: Row) => unknown): UnboundExpr {
  const plan = buildPlan(source.select((r) => ({ x: of(r) }) as never) as never).plan;
  const [, project] = plan.nodes;
  if (project?.kind !== 'project') throw new Error('no project');
  return project.columns[0]!.expr;
}

/** Short: `plus(i, 1)`; a typed literal shows its type. */
function short(of: UnboundExpr): string {
  switch (of.kind) {
    case 'column':
      return of.path.join('/');
    case 'literal':
      return of.type ? `${of.value}:${of.type.kind}` : JSON.stringify(of.value);
    case 'call':
      return `${of.fn}(${of.args.map(short).join(', ')})`;
    case 'cast':
      return `${of.safe ? 'try' : 'cast'}(${short(of.arg)} ${of.type.kind})`;
    case 'case':
      return `case(${of.branches.map((b) => `${short(b.when)} → ${short(b.then)}`).join('; ')}; ${short(of.otherwise)})`;
    case 'over':
      return `${short(of.of)} over(${of.partitionBy.map(short).join(', ')}; ${of.orderBy.map(short).join(', ')}; ${of.frame.unit} ${of.frame.preceding})`;
    case 'aggregate':
      return `${of.fn}[${of.arg ? short(of.arg) : '*'}${of.filter ? ` if ${short(of.filter)}` : ''}]`;
  }
}

const cases: readonly (readonly [(r: Row) => unknown, string])[] = [
  [(r) => r.i.eq(5), 'eq(i, 5)'],
  [(r) => r.i.ne(r.b), 'ne(i, b)'],
  [(r) => r.i.lt(1.5), 'lt(i, 1.5)'],
  [(r) => r.b.lte(10n), 'lte(b, 10:BIGINT)'],
  [(r) => r.d.gt(-0), 'gt(d, -0:DOUBLE)'],
  [(r) => r.d.gte(Number.NaN), 'gte(d, NaN:DOUBLE)'],
  [(r) => r.s.between('a', 'b'), 'and(gte(s, "a"), lte(s, "b"))'],
  [(r) => r.s.in(['a', 'b']), 'in(s, "a", "b")'],
  [(r) => r.b.isNull(), 'isNull(b)'],
  [(r) => r.b.isNotNull(), 'isNotNull(b)'],
  [(r) => r.f.and(r.i.eq(1), r.f.not()), 'and(f, eq(i, 1), not(f))'],
  [(r) => r.f.or(true), 'or(f, true:BOOLEAN)'],
  [(r) => r.i.add(1).sub(2).mul(3).div(4).mod(5).neg(), 'neg(mod(divide(times(minus(plus(i, 1), 2), 3), 4), 5))'],
  [(r) => r.s.like('a%'), 'like(s, "a%")'],
  [(r) => r.i.cast(t.string()), 'cast(i VARCHAR)'],
  [(r) => r.s.tryCast(t.int()), 'try(s INT)'],
  [(r) => r.at.plus('1 hour'), 'plus(at, 3600000:INTERVAL)'],
  [(r) => r.day.minus('2 days'), 'minus(day, 172800000:INTERVAL)'],
  [(r) => r.at.gt(new Date(5)), 'gt(at, 5:TIMESTAMP)'],
  [(r) => r.at.gt('2001-01-01'), 'gt(at, "2001-01-01")'],
  [(r) => r.m.mul(decimal('0.908')), 'times(m, 0.908:DECIMAL)'],
  [(r) => r.w.start, 'w/start'],
  [(r) => r.w.get('eq'), 'w/eq'],
  [(r) => r.w.get('eq').eq(3), 'eq(w/eq, 3)'],
  [(r) => r.w.at.add, 'w/at/add'],
  [(r) => r.w.at.add.add(1), 'plus(w/at/add, 1)'],
  [(r) => r.w.at.name, 'w/at/name'],
  [(r) => r.w.at.length.gt(1), 'gt(w/at/length, 1)'],
  [(r) => when(r.i.lt(0), 'a').when(r.f, r.s).otherwise('c'), 'case(lt(i, 0) → "a"; f → s; "c")'],
  [(r) => coalesce(r.b, 0), 'coalesce(b, 0)'],
  [(r) => fn.upper(r.s), 'upper(s)'],
  [(r) => fn.lower(fn.trim(r.s)), 'lower(trim(s))'],
  [(r) => fn.concat(r.s, '-', r.s), 'concat(s, "-", s)'],
  [(r) => fn.length(r.s), 'length(s)'],
  [(r) => fn.substring(r.s, 2), 'substring(s, 2)'],
  [(r) => fn.substring(r.s, r.i, 3), 'substring(s, i, 3)'],
  [(r) => fn.dateFormat(r.at, 'yyyy'), 'dateFormat(at, "yyyy")'],
  [(r) => fn.round(r.d), 'round(d)'],
  [(r) => fn.round(r.d, 2), 'round(d, 2)'],
  [(r) => fn.abs(fn.floor(fn.ceil(r.d))), 'abs(floor(ceil(d)))'],
  [(r) => fn.floorTo(r.at, 'day'), 'floorTo(at, "day")'],
  [(r) => fn.ceilTo(r.at, 'month'), 'ceilTo(at, "month")'],
  [(r) => fn.year(r.at), 'year(at)'],
  [(r) => fn.quarter(r.at), 'quarter(at)'],
  [(r) => fn.month(r.at), 'month(at)'],
  [(r) => fn.week(r.at), 'week(at)'],
  [(r) => fn.dayOfMonth(r.at), 'dayOfMonth(at)'],
  [(r) => fn.dayOfWeek(r.at), 'dayOfWeek(at)'],
  [(r) => fn.dayOfYear(r.at), 'dayOfYear(at)'],
  [(r) => fn.hour(r.at), 'hour(at)'],
  [(r) => fn.minute(r.at), 'minute(at)'],
  [(r) => fn.second(r.at), 'second(at)'],
  [(r) => sum(r.i).add(avg(r.d)), 'plus(sum[i], avg[d])'],
  [(r) => count(r.b).filter(r.f), 'count[b if f]'],
  [(r) => count().filter(r.f).filter(r.i.gt(1)), 'count[* if and(f, gt(i, 1))]'],
  [(r) => min(r.s).eq(max(r.s)), 'eq(min[s], max[s])'],
  [() => 5, '5'],
  [() => new Date(7), '7:TIMESTAMP'],
];
for (const [of, expected] of cases) {
  test(expected, () => expect(short(tree(of))).toBe(expected));
}

test('every function that is called is in the registry', () => {
  const called = new Set<string>();
  const visit = (of: UnboundExpr): void => {
    if (of.kind !== 'call') return;
    called.add(of.fn);
    of.args.forEach(visit);
  };
  for (const [of] of cases) visit(tree(of));
  expect(called.size).toBeGreaterThan(35);
  expect([...called].filter((name) => functionOf(name) !== name)).toEqual([]);
});

test('messages show expressions as they were written', () => {
  expect(written(tree((r) => r.i.add(1).gt(r.b).and(r.s.like('x%'))))).toBe("i.add(1).gt(b).and(s.like('x%'))");
  expect(written(tree((r) => fn.upper(r.s)))).toBe('upper(s)');
  expect(written(tree((r) => when(r.f, 1).when(r.f, 2).otherwise(3)))).toBe('when(f, 1).when(f, 2).otherwise(3)');
  expect(written(tree((r) => count(r.b).filter(r.f)))).toBe('count(b).filter(f)');
  expect(written(tree((r) => r.i.tryCast(t.double())))).toBe('i.tryCast(DOUBLE)');
});
