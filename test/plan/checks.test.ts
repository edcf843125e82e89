import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../core/base/errors.ts';
import type { SourceInfo } from '../../core/ports/connector.ts';
import type { Fields } from '../../core/record/types.ts';
import {
  aggregate,
  call,
  column,
  field,
  literal,
  PlanBuilder,
  type Ref,
  tumble,
  types,
} from '../support/plan-builder.ts';

const fields = [
  field('origin', types.string),
  field('delay', types.bigint, true),
  field('distance', types.int),
  field('at', types.timestamp3),
];

interface Options {
  readonly bounded?: boolean;
  readonly mode?: 'stream' | 'bounded' | null;
  readonly parallelism?: number;
  readonly schema?: Fields;
  readonly info?: Partial<SourceInfo>;
}

/** The error of a plan that must not be: its code, its message, and that it names operator and call site. */
function refused(make: (b: PlanBuilder, source: Ref) => Ref, options: Options = {}): { code: string; message: string } {
  const builder = new PlanBuilder();
  const source = builder.source(
    fields,
    { bounded: options.bounded ?? true, ...options.info },
    options.schema ?? null,
    'flights.parquet',
  );
  const end = make(builder, source);
  try {
    builder.physical([end], { parallelism: options.parallelism ?? 2, mode: options.mode ?? null });
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    const { code, message, where } = error as MillraceError;
    expect(where.operator).toBeTruthy();
    expect(where.callSite).toMatch(/^job\.ts:\d+$/);
    return { code, message };
  }
  throw new Error('the plan was made');
}

const count = { n: aggregate('count') };
const perSecond = (b: PlanBuilder, source: Ref, lateness = 0): Ref =>
  b.group(b.eventTime(source, 'at'), ['origin', null], count, tumble(1000), lateness);

describe('unknown columns name the nearest ones', () => {
  test.each<[string, (b: PlanBuilder, s: Ref) => Ref, string]>([
    ['in an expression', (b, s) => b.filter(s, call('gt', column('dealy'), literal(1))), 'delay'],
    [
      'as a key',
      (b, s) => b.group(s, ['orign'], count),
      "key 'orign' is no column of its input; did you mean 'origin'?",
    ],
    [
      'in an order',
      (b, s) => b.sort(s, '-distence'),
      "order column 'distence' is no column of its input; did you mean 'distance'?",
    ],
    [
      'as event time',
      (b, s) => b.eventTime(s, 'att'),
      "event time 'att' is no column of its input; did you mean 'at'?",
    ],
    ['as a group of a ranking', (b, s) => b.topN(s, ['Origins'], 1, ['delay']), "did you mean 'origin'?"],
    [
      'to be dropped',
      (b, s) => b.add('project', [s], { columns: [], keepOthers: true, dropped: ['zzz'] }),
      "there are 'origin', 'delay', 'distance', 'at'",
    ],
  ])('%s', (_, make, message) => {
    const error = refused((b, s) => b.sink(make(b, s)));
    expect(error.code).toBe('plan/unknown-column');
    expect(error.message).toContain(message);
  });

  test('in a declared schema', () => {
    const error = refused((b, s) => b.sink(s), { schema: [field('delays', types.bigint)] });
    expect(error.code).toBe('plan/unknown-column');
    expect(error.message).toBe(
      "the schema declares 'delays', but flights.parquet has no such column; did you mean 'delay'?",
    );
  });
});

describe('declared schemas', () => {
  test('that no cast can reach name the type in the file and ours', () => {
    const error = refused((b, s) => b.sink(s), { schema: [field('origin', types.bigint)] });
    expect(error).toEqual({
      code: 'schema/mismatch',
      message:
        "column 'origin' of flights.parquet is VARCHAR, the schema declares BIGINT NOT NULL; declare it as it is and cast it in a select",
    });
  });

  test('cast numbers to numbers and times to times, checked when read', () => {
    const builder = new PlanBuilder();
    const source = builder.source(fields, {}, [field('distance', types.double), field('at', types.timestamp6)]);
    const { physical } = builder.physical([builder.sink(source)]);
    expect(physical.chains[0]!.operators[0]!.outputs[0]!.map((leaf) => leaf.storage)).toEqual(['f64', 'i64']);
  });
});

describe('windows', () => {
  test('need event time', () => {
    const error = refused((b, s) => b.sink(b.group(s, ['origin', null], count, tumble(1000))));
    expect(error.code).toBe('plan/window');
    expect(error.message).toContain('say .eventTime(column) before the window');
  });

  test('have lost it behind a grouping without one', () => {
    const error = refused((b, s) =>
      b.sink(b.group(b.group(b.eventTime(s, 'at'), ['at'], count), [null], count, tumble(1000))),
    );
    expect(error.code).toBe('plan/window');
  });

  test('stand once in a key', () => {
    const error = refused((b, s) => b.sink(b.group(b.eventTime(s, 'at'), [null, null], count, tumble(1000))));
    expect(error.code).toBe('plan/window');
    expect(error.message).toContain('2 windows in one key');
  });

  test('cannot join the window that rows already have', () => {
    const error = refused((b, s) => b.sink(b.group(perSecond(b, s), ['window', null], count, tumble(1000))));
    expect(error.code).toBe('plan/duplicate');
  });

  test('named as a key must be there', () => {
    const error = refused((b, s) => b.sink(b.group(s, ['window'], count)));
    expect(error.code).toBe('plan/window');
    expect(error.message).toContain("there is no column 'window' to group by");
  });

  test('have positive lengths and no gaps', () => {
    expect(refused((b, s) => b.sink(b.group(b.eventTime(s, 'at'), [null], count, tumble(0)))).code).toBe('plan/window');
    const session = { kind: 'session', gapMs: 0 } as const;
    expect(refused((b, s) => b.sink(b.group(b.eventTime(s, 'at'), [null], count, session))).code).toBe('plan/window');
    const untimed = refused((b, s) => b.sink(b.group(s, [null], count, { ...session, gapMs: 5 })));
    expect(untimed.message).toContain('say .eventTime(column) before the window');
    const gaps = { kind: 'hop', sizeMs: 1000, slideMs: 2000, offsetMs: 0 } as const;
    expect(refused((b, s) => b.sink(b.group(b.eventTime(s, 'at'), [null], count, gaps))).message).toContain(
      'rows between would be lost',
    );
  });

  test('late rows come from windows only', () => {
    const error = refused((b, s) => b.sink({ node: b.group(s, ['origin'], count).node, port: 1 }));
    expect(error.code).toBe('plan/window');
    expect(error.message).toContain('has no late rows');
  });

  test('allowed lateness is for windows only', () => {
    expect(refused((b, s) => b.sink(b.group(s, ['origin'], count, null, 1000))).code).toBe('plan/window');
  });

  test('event time is a TIMESTAMP', () => {
    const error = refused((b, s) => b.sink(b.eventTime(s, 'origin')));
    expect(error).toMatchObject({
      code: 'plan/type',
      message: expect.stringContaining("event time 'origin' is VARCHAR"),
    });
  });
});

describe('corrections', () => {
  const grouped = (b: PlanBuilder, s: Ref): Ref => b.group(s, ['origin'], count);

  test.each<[string, (b: PlanBuilder, s: Ref) => Ref, string]>([
    [
      'of a grouping into a sink that only appends',
      (b, s) => b.sink(grouped(b, s), 'append'),
      'append out takes only new rows, and groupBy(origin) corrects its results',
    ],
    [
      'of a window with allowed lateness likewise',
      (b, s) => b.sink(perSecond(b, s, 500), 'append'),
      'corrects its results',
    ],
    [
      'of a ranking likewise',
      (b, s) => b.sink(b.topN(s, [], 1, ['delay']), 'append'),
      'topN(1, delay) corrects its results',
    ],
    [
      'into a ranking with ties',
      (b, s) =>
        b.sink(
          b.add('topN', [grouped(b, s)], {
            partitionBy: [],
            by: [{ column: 'n', descending: true }],
            n: 1,
            using: 'RANK',
            rankAs: null,
          }),
        ),
      'RANK cannot take back rows yet, and groupBy(origin) corrects its results',
    ],
    [
      'into event time',
      (b, s) => b.sink(b.eventTime(b.group(s, ['at'], count), 'at')),
      'event time cannot be given to rows that groupBy(at) corrects later',
    ],
    [
      'into a window',
      (b, s) => b.sink(b.group(perSecond(b, s, 500), [null, 'origin'], count, tumble(5000))),
      'a window cannot take back rows',
    ],
  ])('%s are refused, with the reason', (_, make, message) => {
    const error = refused(make, { bounded: false });
    expect(error.code).toBe('plan/changelog');
    expect(error.message).toContain(message);
    expect(error.message).toContain('flights.parquet never ends');
    // On ended input every result is final.
    const builder = new PlanBuilder();
    expect(() => builder.physical([make(builder, builder.source(fields))])).not.toThrow();
    // The same job forced to be a stream is refused for that reason.
    expect(refused(make, { mode: 'stream' }).message).toContain('the job runs as a stream');
  });

  test.each<[string, (b: PlanBuilder, s: Ref) => Ref]>([
    ['a sink that takes changes', (b, s) => b.sink(grouped(b, s))],
    ['counts and sums', (b, s) => b.sink(b.group(grouped(b, s), [], { all: aggregate('sum', column('n')) }))],
    ['distinct', (b, s) => b.sink(b.add('distinct', [grouped(b, s)], {}))],
    ['filters and projections', (b, s) => b.sink(b.filter(grouped(b, s), call('gt', column('n'), literal(1))))],
  ])('go into %s', (_, make) => {
    const builder = new PlanBuilder();
    const { physical } = builder.physical([make(builder, builder.source(fields, { bounded: false }))]);
    expect(physical.edges.length).toBeGreaterThan(0);
  });

  test('distinct rows of rows that only come are never corrected', () => {
    const builder = new PlanBuilder();
    const source = builder.source(fields, { bounded: false });
    expect(() => builder.physical([builder.sink(builder.add('distinct', [source], {}), 'append')])).not.toThrow();
  });
});

describe('regimes', () => {
  test('order needs an end', () => {
    for (const options of [{ bounded: false }, { mode: 'stream' }] as const) {
      const error = refused((b, s) => b.sink(b.sort(s, 'delay')), options);
      expect(error.code).toBe('plan/unbounded');
      expect(error.message).toContain('rows can only be put in order when the input ends');
    }
  });

  test('a limit makes an end', () => {
    const builder = new PlanBuilder();
    const source = builder.source(fields, { bounded: false });
    expect(() => builder.physical([builder.sink(builder.add('limit', [source], { rows: 3 }), 'append')])).not.toThrow();
  });

  test('a source without end cannot be read as if it had one', () => {
    expect(refused((b, s) => b.sink(s), { bounded: false, mode: 'bounded' }).code).toBe('plan/unbounded');
  });

  test('parallelism is at least 1', () => {
    const builder = new PlanBuilder();
    const end = builder.sink(builder.source(fields));
    for (const parallelism of [0, -1, 1.5, Number.NaN]) {
      expect(() => builder.physical([end], { parallelism })).toThrow(/parallelism is/);
    }
  });
});

describe('columns', () => {
  test.each<[string, (b: PlanBuilder, s: Ref) => Ref]>([
    ['a key and a result', (b, s) => b.group(s, ['origin'], { origin: aggregate('count') })],
    ['a column and the rank', (b, s) => b.topN(s, [], 1, ['delay'], 'origin')],
    [
      'a window and a result',
      (b, s) => b.group(b.eventTime(s, 'at'), [null], { window: aggregate('count') }, tumble(1000)),
    ],
  ])('%s cannot have one name', (_, make) => {
    expect(refused((b, s) => b.sink(make(b, s))).code).toBe('plan/duplicate');
  });

  test('sides of a union agree by name and type', () => {
    const union = (other: Fields) => refused((b, s) => b.sink(b.add('union', [s, b.source(other)], {})));
    expect(union(fields.slice(1))).toMatchObject({
      code: 'schema/mismatch',
      message: expect.stringContaining("input 2 has no column 'origin' as input 1 has"),
    });
    expect(union([field('origin', types.int), ...fields.slice(1)]).message).toContain(
      "column 'origin' is VARCHAR in input 1 and INT in input 2; cast one of them first",
    );
    expect(union([...fields, field('more', types.int)]).message).toContain(
      "input 2 has a column 'more' that input 1 has not",
    );
  });

  test('sides of a union may come in another order and with nulls', () => {
    const builder = new PlanBuilder();
    const other = [...fields].reverse().map((f) => ({ ...f, nullable: true }));
    const union = builder.add('union', [builder.source(fields), builder.source(other)], {});
    const { physical } = builder.physical([builder.sink(union)]);
    const layouts = physical.edges.map((edge) => edge.layout.map((leaf) => [leaf.name, leaf.nullable]));
    expect(layouts[0]).toEqual(fields.map((f) => [f.name, true]));
    expect(layouts[1]).toEqual(layouts[0]);
  });

  test('fit the schema of the sink', () => {
    const into = (schema: Fields) => refused((b, s) => b.sink(s, 'test', schema));
    expect(into([...fields, field('more', types.int)]).message).toContain(
      "the sink wants a column 'more' that the rows do not have",
    );
    expect(into(fields.slice(1)).message).toContain(
      "the sink's schema has no column 'origin'; drop it with .drop('origin')",
    );
    expect(into([field('origin', types.int), ...fields.slice(1)]).message).toContain(
      "column 'origin' is VARCHAR, the sink takes INT",
    );
    expect(into(fields.map((f) => ({ ...f, nullable: false }))).message).toContain("column 'delay' may be NULL");
  });

  test('are widened to the schema of the sink', () => {
    const builder = new PlanBuilder();
    const wider = fields.map((f) => (f.name === 'distance' ? { ...f, type: types.bigint } : f));
    const { physical } = builder.physical([builder.sink(builder.source(fields), 'test', wider)]);
    const [, project] = physical.chains[0]!.operators;
    expect(project!.node).toMatchObject({
      kind: 'project',
      columns: [{}, {}, { kind: 'cast', type: types.bigint }, {}],
    });
  });

  test('conditions are BOOLEAN', () => {
    expect(refused((b, s) => b.sink(b.filter(s, column('delay')))).code).toBe('plan/type');
  });

  test('two operators cannot have one name, their state would', () => {
    const error = refused((b, s) => b.sink(b.add('distinct', [b.add('distinct', [s], {}, 'once')], {}, 'once')));
    expect(error).toMatchObject({
      code: 'plan/duplicate',
      message: expect.stringContaining("two operators are named 'once'"),
    });
  });

  test('distinct aggregates of windows come later, and say what to do', () => {
    const distinct = { kind: 'aggregate', fn: 'count', arg: column('delay'), filter: null, distinct: true } as const;
    const error = refused((b, s) => b.sink(b.group(b.eventTime(s, 'at'), [null], { n: distinct }, tumble(1000))));
    expect(error).toMatchObject({ code: 'plan/unsupported', message: expect.stringContaining('group by the value') });
  });
});
