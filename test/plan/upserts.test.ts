/** Sinks that know rows by a key: who tells what was before an update, and where rows are kept so that updates may overtake each other. */
import { describe, expect, test } from 'vitest';
import type { Planned } from '../../core/plan/plan.ts';
import {
  aggregate,
  call,
  column,
  field,
  literal,
  PlanBuilder,
  type Ref,
  sinkInfo,
  types,
} from '../support/plan-builder.ts';

const fields = [field('id', types.bigint), field('k', types.string), field('v', types.bigint)];

function planned(build: (builder: PlanBuilder, source: () => Ref) => Ref, key: readonly string[] | null): Planned {
  const builder = new PlanBuilder();
  const result = build(builder, () => builder.source(fields, { bounded: false }));
  const connector = { kind: key ? 'test' : 'quiet', label: 'out', options: {}, ...(key ? { upsertKey: key } : {}) };
  const sink = builder.add('sink', [result], { connector, schema: null });
  return builder.physical([sink], {
    sinks: ({ kind }) => ({ ...sinkInfo(kind), ...(kind === 'quiet' ? { updateBefore: false as const } : {}) }),
  });
}
const operators = (of: Planned) => of.physical.chains.flatMap((chain) => chain.operators.map(({ node }) => node));
const find = <K extends string>(of: Planned, kind: K) => operators(of).find((node) => node.kind === kind);

const counts = (builder: PlanBuilder, source: () => Ref): Ref =>
  builder.group(source(), ['k'], { n: aggregate('count') });

describe('rows known by just the key of the sink', () => {
  test('what was before an update is not made', () => {
    const plan = planned(counts, ['k']);
    expect(find(plan, 'aggregate')).toMatchObject({ withoutBefore: true });
    expect(find(plan, 'topN')).toBeUndefined();
    expect(plan.explain.text).toContain('changes +I +U −D');
  });
  test('also where columns have other names, and are computed', () => {
    const renamed = planned(
      (b, source) => b.select(counts(b, source), { key: column('k'), twice: call('times', column('n'), literal(2)) }),
      ['key'],
    );
    expect(find(renamed, 'aggregate')).toMatchObject({ withoutBefore: true });
    expect(find(renamed, 'topN')).toBeUndefined();
  });
  test('a filter needs it, and what it leaves of an update is a deletion', () => {
    const plan = planned((b, source) => b.filter(counts(b, source), call('lt', column('n'), literal(5))), ['k']);
    expect(find(plan, 'aggregate')).not.toHaveProperty('withoutBefore');
    expect(find(plan, 'sink')).toMatchObject({ upsert: { halves: true } });
    expect(find(plan, 'topN')).toBeUndefined();
  });
});

describe('rows known by another key, or by none', () => {
  test.each<[string, (b: PlanBuilder, source: () => Ref) => Ref, readonly string[]]>([
    ['by more columns', (b, source) => b.group(source(), ['id', 'k'], { n: aggregate('count') }), ['id']],
    ['by fewer columns', counts, ['k', 'n']],
    ['a union', (b, source) => b.add('union', [counts(b, source), counts(b, source)], {}), ['k']],
    [
      'a join',
      (b, source) =>
        b.select(
          b.add('join', [counts(b, source), source()], {
            type: 'inner',
            condition: call('eq', column('left', 'n'), column('right', 'v')),
          }),
          { k: column('left', 'k'), id: column('right', 'id') },
        ),
      ['k', 'id'],
    ],
  ])('are kept before the sink: %s', (_name, build, key) => {
    const plan = planned(build, key);
    const kept = find(plan, 'topN');
    expect(kept).toMatchObject({ n: 1, by: [], updating: true });
    expect(plan.explain.text).toContain('upserts by');
    expect(operators(plan).some((node) => 'withoutBefore' in node)).toBe(false);
  });
});

test('a sink that looks at no −U is told none where rows have a key', () => {
  expect(find(planned(counts, null), 'aggregate')).toMatchObject({ withoutBefore: true });
});

test('one reader that needs what was before is enough', () => {
  const builder = new PlanBuilder();
  const source = builder.source(fields, { bounded: false });
  const counted = builder.group(source, ['k'], { n: aggregate('count') });
  const connector = { kind: 'test', label: 'out', options: {}, upsertKey: ['k'] };
  const upserts = builder.add('sink', [counted], { connector, schema: null });
  const plan = builder.physical([upserts, builder.sink(builder.add('toChangelog', [counted], {}))]);
  expect(find(plan, 'aggregate')).not.toHaveProperty('withoutBefore');
});

test('rows that are only added go as they come; a key that is no column is named', () => {
  const rows = planned((_b, source) => source(), ['id']);
  expect(operators(rows).map(({ kind }) => kind)).toEqual(['source', 'sink']);
  expect(() => planned(counts, ['kk'])).toThrow(/key 'kk' is no column/);
});
