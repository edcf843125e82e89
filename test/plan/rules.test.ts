import { describe, expect, test } from 'vitest';
import { exprText } from '../../core/expr/print.ts';
import type { PhysicalNode, PhysicalPlan } from '../../core/plan/physical.ts';
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
import { flights } from './flights.ts';

const fields = [
  field('id', types.bigint),
  field('k', types.string, true),
  field('v', types.bigint, true),
  field('x', types.double, true),
  field('at', types.timestamp3),
];

type Of<K extends PhysicalNode['kind']> = Extract<PhysicalNode, { kind: K }>;

function nodes<K extends PhysicalNode['kind']>(plan: PhysicalPlan, kind: K): Of<K>[] {
  return plan.chains.flatMap((chain) =>
    chain.operators.flatMap(({ node }) => (node.kind === kind ? [node as Of<K>] : [])),
  );
}

/** Kinds of operators by chain: `source project | aggregate sink`. */
function shapeOf(plan: PhysicalPlan): string {
  const phase = (node: PhysicalNode): string => ('phase' in node && node.phase !== 'single' ? `:${node.phase}` : '');
  return plan.chains.map((chain) => chain.operators.map(({ node }) => node.kind + phase(node)).join(' ')).join(' | ');
}

function planned(
  make: (b: PlanBuilder, source: Ref) => Ref | readonly Ref[],
  options: { parallelism?: number; bounded?: boolean; mode?: 'stream' | 'bounded' | null } = {},
): PhysicalPlan {
  const builder = new PlanBuilder();
  const source = builder.source(fields, { bounded: options.bounded ?? true });
  const ends = [make(builder, source)].flat() as Ref[];
  return builder.physical(ends, { parallelism: options.parallelism ?? 2, mode: options.mode ?? null }).physical;
}

describe('projections and filters', () => {
  test('next to one another are one', () => {
    const plan = planned((b, source) => {
      const kept = b.filter(source, call('gt', column('v'), literal(1)));
      const made = b.with(kept, { y: call('plus', column('x'), literal(1.5)) });
      const again = b.filter(made, call('isNotNull', column('k')));
      return b.sink(b.select(again, { y: column('y'), v: column('v') }));
    });
    expect(shapeOf(plan)).toBe('source project sink');
    const [project] = nodes(plan, 'project');
    expect(exprText(project!.filter!, nodes(plan, 'source')[0]!.request.layout)).toBe('v > 1 AND k IS NOT NULL');
  });

  test('stay apart where an expensive column would be computed twice', () => {
    const plan = planned((b, source) => {
      const made = b.with(source, { long: call('concat', call('upper', column('k')), column('k')) });
      return b.sink(
        b.select(made, {
          a: call('concat', column('long'), literal('a')),
          b: call('concat', column('long'), literal('b')),
        }),
      );
    });
    expect(shapeOf(plan)).toBe('source project project sink');
  });

  test('a condition that can raise sees only rows that passed the one before, not those where it was NULL', () => {
    const plan = planned((b, source) => {
      const kept = b.filter(source, call('ne', column('v'), literal(0)));
      const cast = { kind: 'cast', arg: column('k'), type: types.int, safe: false } as const;
      return b.sink(b.filter(kept, call('gt', cast, literal(1))));
    });
    const [project] = nodes(plan, 'project');
    expect(exprText(project!.filter!, nodes(plan, 'source')[0]!.request.layout)).toBe(
      'COALESCE(v <> 0, FALSE) AND CAST(k AS INT) > 1',
    );
  });

  test('that pass every column on are dropped', () => {
    const plan = planned((b, source) =>
      b.sink(b.select(source, Object.fromEntries(fields.map((f) => [f.name, column(f.name)])))),
    );
    expect(shapeOf(plan)).toBe('source sink');
  });

  test('that only rename the results of an aggregate give it their names', () => {
    const plan = planned((b, source) => b.sink(b.group(source, ['k'], { n: aggregate('count') })), { parallelism: 1 });
    expect(shapeOf(plan)).toBe('source aggregate sink');
    expect(plan.chains[0]!.operators[1]!.outputs[0]!.map((leaf) => leaf.name)).toEqual(['k', 'n']);
  });
});

describe('filters go down', () => {
  const small = call('lt', column('v'), literal(5));

  test('into both sides of a union', () => {
    const plan = planned((b, source) => {
      const other = b.source(fields, {}, null, 'other');
      return b.sink(b.filter(b.add('union', [source, other], {}), small));
    });
    expect(nodes(plan, 'source').map((source) => source.request.prune)).toEqual([
      [{ column: 'v', op: 'lt', value: '5' }],
      [{ column: 'v', op: 'lt', value: '5' }],
    ]);
    expect(shapeOf(plan)).toBe('source project | source project | sink');
  });

  test('below a sort, not below a limit', () => {
    expect(shapeOf(planned((b, source) => b.sink(b.filter(b.sort(source, 'id'), small))))).toBe(
      'source project sort:partial | sort:final sink',
    );
    expect(shapeOf(planned((b, source) => b.sink(b.filter(b.add('limit', [source], { rows: 3 }), small))))).toBe(
      'source limit:partial | limit:final project sink',
    );
  });

  test('not below a sort that keeps only the first rows', () => {
    const plan = planned((b, source) => b.sink(b.filter(b.add('limit', [b.sort(source, 'id')], { rows: 3 }), small)));
    expect(nodes(plan, 'source')[0]!.request.prune).toEqual([]);
    expect(shapeOf(plan)).toBe('source sort:partial | sort:final project sink');
  });

  test('below grouping where they ask for keys only', () => {
    const plan = planned((b, source) => {
      const grouped = b.group(source, ['k'], { n: aggregate('count') });
      return b.sink(
        b.filter(grouped, call('and', call('eq', column('k'), literal('a')), call('gt', column('n'), literal(1)))),
      );
    });
    expect(nodes(plan, 'source')[0]!.request.prune).toEqual([{ column: 'k', op: 'eq', value: 'a' }]);
    expect(shapeOf(plan)).toBe('source project aggregate:partial | aggregate:final project sink');
  });

  test('below a ranking where they ask for its groups only', () => {
    const plan = planned((b, source) =>
      b.sink(b.filter(b.topN(source, ['k'], 3, ['-v']), call('eq', column('k'), literal('a')))),
    );
    expect(nodes(plan, 'source')[0]!.request.prune).toEqual([{ column: 'k', op: 'eq', value: 'a' }]);
    const other = planned((b, source) => b.sink(b.filter(b.topN(source, ['k'], 3, ['-v']), small)));
    expect(nodes(other, 'source')[0]!.request.prune).toEqual([]);
  });

  test('but not below an unbounded window, where they would change which rows are late', () => {
    const job = (bounded: boolean) =>
      planned(
        (b, source) => {
          const grouped = b.group(b.eventTime(source, 'at'), ['k', null], { n: aggregate('count') }, tumble(1000));
          return b.sink(b.filter(grouped, call('eq', column('k'), literal('a'))));
        },
        { bounded },
      );
    expect(nodes(job(true), 'source')[0]!.request.prune).toHaveLength(1);
    expect(nodes(job(false), 'source')[0]!.request.prune).toHaveLength(0);
  });

  test('and tell a source only what all its readers skip', () => {
    const plan = planned((b, source) => [
      b.sink(b.filter(source, call('and', small, call('eq', column('k'), literal('a'))))),
      b.sink(b.filter(source, call('and', call('gt', column('x'), literal(0.5)), small))),
    ]);
    expect(nodes(plan, 'source')).toHaveLength(1);
    expect(nodes(plan, 'source')[0]!.request.prune).toEqual([{ column: 'v', op: 'lt', value: '5' }]);
    const open = planned((b, source) => [b.sink(b.filter(source, small)), b.sink(source)]);
    expect(nodes(open, 'source')[0]!.request.prune).toEqual([]);
  });

  test('a literal may stand on either side', () => {
    const plan = planned((b, source) => b.sink(b.filter(source, call('gte', literal(7), column('v')))));
    expect(nodes(plan, 'source')[0]!.request.prune).toEqual([{ column: 'v', op: 'lte', value: '7' }]);
  });
});

describe('columns', () => {
  test('that nobody reads are not read from the source', () => {
    const { builder, ends } = flights();
    const [source] = nodes(builder.physical(ends).physical, 'source');
    expect(source!.request.layout.map((leaf) => leaf.name)).toEqual(['date', 'delay', 'origin']);
  });

  test('one comes along where rows are only counted, the narrowest', () => {
    const plan = planned((b, source) => b.sink(b.group(source, [], { n: aggregate('count') })));
    expect(nodes(plan, 'source')[0]!.request.layout.map((leaf) => leaf.name)).toEqual(['id']);
  });

  test('of a type without storage may stand in a source that nobody reads them from', () => {
    const odd = [...fields, field('price', { kind: 'DECIMAL', precision: 20, scale: 2 })];
    const builder = new PlanBuilder();
    const source = builder.source(odd);
    expect(() => builder.physical([builder.sink(builder.select(source, { id: column('id') }))])).not.toThrow();
    expect(() => builder.physical([builder.sink(source)])).toThrow(
      /column 'price' is DECIMAL\(20, 2\), which cannot be read yet/,
    );
  });

  test('results of aggregates that nobody reads are not computed', () => {
    const plan = planned((b, source) => {
      const grouped = b.group(source, ['k'], { n: aggregate('count'), least: aggregate('min', column('v')) });
      return b.sink(b.select(grouped, { n: column('n') }));
    });
    expect(nodes(plan, 'aggregate').map((node) => node.calls.map((c) => c.fn))).toEqual([['count'], ['count']]);
  });

  test('a rank that nobody reads is not given', () => {
    const plan = planned((b, source) => b.sink(b.select(b.topN(source, [], 3, ['v'], 'rank'), { id: column('id') })), {
      parallelism: 1,
    });
    expect(nodes(plan, 'topN')[0]!.rank).toBe(false);
  });
});

describe('event time', () => {
  test('goes into the source through projections and filters', () => {
    const { builder, ends } = flights();
    const plan = builder.physical(ends).physical;
    const [source] = nodes(plan, 'source');
    expect(source!.watermark).toEqual({ column: 0, outOfOrdernessMs: 3_600_000, idleAfterMs: null });
    expect(source!.request.timeColumn).toBe('date');
    expect(nodes(plan, 'watermark')).toEqual([]);
  });

  const windowed = (b: PlanBuilder, from: Ref): Ref =>
    b.sink(b.group(from, [null], { n: aggregate('count') }, tumble(1000)));

  test('stays an operator behind a map', () => {
    const plan = planned((b, source) => {
      const mapped = b.add('map', [source], { style: 'map', functionId: 'f0', schema: fields });
      return windowed(b, b.eventTime(mapped, 'at'));
    });
    expect(nodes(plan, 'watermark')).toHaveLength(1);
    expect(nodes(plan, 'source')[0]!.watermark).toBeNull();
  });

  test('stays an operator where rows without a time are filtered out first', () => {
    const nullable = fields.map((f) => (f.name === 'at' ? { ...f, nullable: true } : f));
    const job = (filtered: boolean): PhysicalPlan => {
      const builder = new PlanBuilder();
      const source = builder.source(nullable);
      const kept = filtered ? builder.filter(source, call('isNotNull', column('at'))) : source;
      return builder.physical([windowed(builder, builder.eventTime(kept, 'at'))]).physical;
    };
    expect(nodes(job(true), 'watermark')).toHaveLength(1);
    expect(nodes(job(false), 'watermark')).toHaveLength(0);
  });

  test('that no step needs is not assigned and its column not read', () => {
    const plan = planned((b, source) => b.sink(b.select(b.eventTime(source, 'at'), { id: column('id') })));
    expect(nodes(plan, 'source')[0]!.request.layout.map((leaf) => leaf.name)).toEqual(['id']);
    expect(nodes(plan, 'source')[0]!.watermark).toBeNull();
  });

  test('of whole milliseconds is the column itself, a finer one is floored', () => {
    const plan = planned((b, source) => windowed(b, b.eventTime(source, 'at')), { parallelism: 1 });
    const [project] = nodes(plan, 'project');
    expect(project!.columns.at(-1)).toMatchObject({ kind: 'column' });
    const { builder, ends } = flights();
    expect(nodes(builder.physical(ends).physical, 'project')[0]!.columns.at(-1)).toMatchObject({
      kind: 'cast',
      type: { kind: 'TIMESTAMP', precision: 3 },
    });
  });

  test('two branches with different strategies keep one in the source and one operator', () => {
    const plan = planned((b, source) => [
      windowed(b, b.eventTime(source, 'at', 10)),
      windowed(b, b.eventTime(source, 'at', 20)),
    ]);
    expect(nodes(plan, 'source')).toHaveLength(1);
    expect(nodes(plan, 'source')[0]!.watermark?.outOfOrdernessMs).toBe(10);
    expect(nodes(plan, 'watermark').map((node) => node.watermark.outOfOrdernessMs)).toEqual([20]);
  });
});

describe('aggregates', () => {
  test('equal calls are one, also inside expressions', () => {
    const plan = planned(
      (b, source) =>
        b.sink(
          b.group(source, ['k'], {
            n: aggregate('count'),
            mean: call('divide', aggregate('sum', column('v')), aggregate('count')),
            sum: aggregate('sum', column('v')),
            present: aggregate('count', column('id')),
          }),
        ),
      { parallelism: 1 },
    );
    expect(nodes(plan, 'aggregate')[0]!.calls.map((c) => c.fn)).toEqual(['count', 'sum']);
  });

  test('computed arguments and filters become columns first', () => {
    const plan = planned(
      (b, source) =>
        b.sink(
          b.group(source, ['k'], {
            big: aggregate('max', call('times', column('x'), literal(2.5)), call('gt', column('v'), literal(0))),
          }),
        ),
      { parallelism: 1 },
    );
    expect(shapeOf(plan)).toBe('source project aggregate sink');
    const [node] = nodes(plan, 'aggregate');
    const layout = plan.chains[0]!.operators[1]!.outputs[0]!;
    expect(layout[node!.calls[0]!.arg!]!.type.kind).toBe('DOUBLE');
    expect(layout[node!.calls[0]!.filter!]!.type.kind).toBe('BOOLEAN');
  });

  test('are split in two where rows must move, in one slot and unbounded without a window they are not', () => {
    const job = (b: PlanBuilder, source: Ref): Ref => b.sink(b.group(source, ['k'], { n: aggregate('count') }));
    expect(shapeOf(planned(job))).toBe('source aggregate:partial | aggregate:final sink');
    expect(shapeOf(planned(job, { parallelism: 1 }))).toBe('source aggregate sink');
    expect(shapeOf(planned(job, { bounded: false }))).toBe('source | aggregate sink');
  });

  test('are not split where somebody reads the late rows, which leave as they came', () => {
    const plan = planned(
      (b, source) => {
        const timed = b.eventTime(source, 'at');
        const grouped = b.group(
          timed,
          ['k', null],
          { n: aggregate('sum', call('times', column('x'), literal(2))) },
          tumble(1000),
        );
        return [b.sink(grouped), b.sink({ node: grouped.node, port: 1 })];
      },
      { bounded: false },
    );
    expect(shapeOf(plan)).toBe('source project | aggregate project sink project sink');
    expect(nodes(plan, 'sink')[1]!.fields).toEqual(fields);
    expect(plan.chains[1]!.operators[0]!.targets[1]).toEqual([{ kind: 'operator', index: 3, port: 0 }]);
  });

  test('on the same keys again need no exchange', () => {
    const plan = planned((b, source) => {
      const timed = b.eventTime(source, 'at');
      const perSecond = b.group(timed, ['k', null], { n: aggregate('count') }, tumble(1000));
      return b.sink(b.group(perSecond, ['k'], { most: aggregate('max', column('n')) }));
    });
    expect(plan.edges.map((edge) => edge.exchange.kind)).toEqual(['hash']);
    expect(shapeOf(plan)).toBe('source project aggregate:partial | aggregate:final project aggregate sink');
  });

  test('by a window whose slide does not divide its size tumble between its ends', () => {
    const plan = planned((b, source) => {
      const hop = { kind: 'hop', sizeMs: 6000, slideMs: 4000, offsetMs: 500 } as const;
      const perKey = b.group(b.eventTime(source, 'at'), ['k', null], { n: aggregate('count') }, hop);
      return b.sink(b.group(perKey, ['window'], { keys: aggregate('count') }));
    });
    // Windows end at 6500, 10500, …: 2500 and every 4000 from there.
    expect(nodes(plan, 'aggregate').at(-1)!.window).toEqual({ kind: 'tumble', sizeMs: 4000, offsetMs: 2500 });
  });

  test('by the window of sessions keep its start as a key, each end a window of its own', () => {
    const plan = planned((b, source) => {
      const sessions = b.group(
        b.eventTime(source, 'at'),
        ['k', null],
        { n: aggregate('count') },
        { kind: 'session', gapMs: 10 },
      );
      return b.sink(b.group(sessions, ['window'], { keys: aggregate('count') }));
    });
    const [first, second] = nodes(plan, 'aggregate').filter(({ phase }) => phase !== 'partial');
    expect(first!.phase).toBe('single');
    expect(second!.window).toEqual({ kind: 'tumble', sizeMs: 1, offsetMs: 0 });
    expect(second!.keys).toHaveLength(1);
  });

  test('joined by equal windows are of that window: final, with its time, and nothing is kept for longer', () => {
    const per = (b: PlanBuilder, source: Ref) =>
      b.group(
        b.eventTime(source, 'at'),
        ['k', null],
        { n: aggregate('count') },
        { kind: 'tumble', sizeMs: 10, offsetMs: 0 },
      );
    const end = (side: string) => column(side, 'window', 'end');
    const joined = (type: 'left' | 'inner', condition: ReturnType<typeof call>) =>
      planned((b, source) => b.sink(b.add('join', [per(b, source), per(b, source)], { type, condition })), {
        bounded: false,
      });
    const windowed = nodes(joined('left', call('eq', end('left'), end('right'))), 'join')[0]!;
    expect(windowed.windowEnd).toBeDefined();
    expect(windowed.keys.map((leaves, side) => leaves.includes(windowed.windowEnd![side]!))).toEqual([true, true]);
    expect(joined('left', call('eq', end('left'), end('right'))).edges.every((edge) => !edge.updating)).toBe(true);
    expect(
      nodes(joined('inner', call('eq', column('left', 'k'), column('right', 'k'))), 'join')[0]!.windowEnd,
    ).toBeUndefined();
  });

  test('by the window of a result fire with it', () => {
    const plan = planned(
      (b, source) => {
        const perKey = b.group(
          b.eventTime(source, 'at'),
          ['k', null],
          { n: aggregate('count') },
          { kind: 'hop', sizeMs: 6000, slideMs: 2000, offsetMs: 0 },
        );
        return b.sink(
          b.group(perKey, ['window'], { keys: aggregate('count'), most: aggregate('max', column('n')) }),
          'append',
        );
      },
      { bounded: false },
    );
    expect(nodes(plan, 'aggregate').at(-1)!.window).toEqual({ kind: 'tumble', sizeMs: 2000, offsetMs: 0 });
    expect(plan.edges.every((edge) => !edge.updating)).toBe(true);
  });
});

describe('order', () => {
  test('a limit over a sort is a sort that keeps so many rows, past projections', () => {
    const plan = planned((b, source) => {
      const sorted = b.select(b.sort(source, '-v', 'id'), { id: column('id') });
      return b.sink(b.add('limit', [b.add('limit', [sorted], { rows: 9 })], { rows: 7 }));
    });
    expect(nodes(plan, 'limit')).toEqual([]);
    expect(nodes(plan, 'sort').map((node) => [node.phase, node.limit])).toEqual([
      ['partial', 7],
      ['final', 7],
    ]);
  });

  test('of two limits the smaller one holds', () => {
    for (const [first, second] of [
      [7, 9],
      [9, 7],
    ] as const) {
      const plan = planned((b, source) =>
        b.sink(b.add('limit', [b.add('limit', [source], { rows: first })], { rows: second })),
      );
      expect(nodes(plan, 'limit').map((node) => node.rows)).toEqual([7, 7]);
    }
  });

  test('a rank stands between the columns and the event time', () => {
    const plan = planned((b, source) => {
      const ranked = b.topN(b.eventTime(source, 'at'), ['k'], 3, ['-v'], 'rank');
      return b.sink(b.group(ranked, ['rank', null], { n: aggregate('count') }, tumble(1000)));
    });
    const top = plan.chains.flatMap((chain) => chain.operators).filter((o) => o.node.kind === 'topN');
    expect(top.map((o) => o.outputs[0]!.map((leaf) => leaf.name))).toEqual([
      ['k', 'v', '$rowtime'],
      ['k', 'v', 'rank', '$rowtime'],
    ]);
  });

  test('rankings of all rows are made in two steps on ended input only', () => {
    const job = (b: PlanBuilder, source: Ref): Ref => b.sink(b.topN(source, [], 3, ['-v'], 'rank'));
    expect(shapeOf(planned(job))).toBe('source topN:partial | topN:final sink');
    expect(shapeOf(planned(job, { bounded: false }))).toBe('source | topN sink');
    expect(nodes(planned(job), 'topN').map((node) => node.rank)).toEqual([false, true]);
  });

  test('a ranking by the window of a result is final with it', () => {
    const plan = planned(
      (b, source) => {
        const perKey = b.group(b.eventTime(source, 'at'), ['k', null], { n: aggregate('count') }, tumble(1000));
        return b.sink(b.topN(perKey, ['window'], 1, ['-n']), 'append');
      },
      { bounded: false },
    );
    const [top] = nodes(plan, 'topN');
    expect(top!.partitionBy).toContain(top!.windowEnd);
  });
});

describe('places', () => {
  test('what the caller reads or writes is a chain of its own with one subtask', () => {
    const builder = new PlanBuilder();
    const source = builder.source(fields, { place: 'caller' });
    const plan = builder.physical(
      [builder.sink(builder.filter(source, call('gt', column('v'), literal(1))), 'caller')],
      { parallelism: 3 },
    ).physical;
    expect(plan.chains.map((chain) => [chain.place, chain.parallelism])).toEqual([
      ['caller', 1],
      ['slots', 3],
      ['caller', 1],
    ]);
    expect(plan.edges.map((edge) => edge.exchange.kind)).toEqual(['rebalance', 'rebalance']);
  });

  test('a sink with one writer gathers', () => {
    const plan = planned((b, source) => b.sink(source, 'file'), { parallelism: 3 });
    expect(plan.chains.map((chain) => chain.parallelism)).toEqual([3, 1]);
  });

  test('in one slot everything of one branch is one chain', () => {
    const plan = planned(
      (b, source) => b.sink(b.sort(b.group(source, ['k'], { n: aggregate('count') }), '-n'), 'file'),
      { parallelism: 1 },
    );
    expect(shapeOf(plan)).toBe('source aggregate sort sink');
  });

  test('equal steps are one, so that a source with two branches is read once', () => {
    const builder = new PlanBuilder();
    const ends = [1, 2].map(() => {
      const source = builder.source(fields);
      return builder.sink(builder.filter(source, call('gt', column('v'), literal(1))));
    });
    const plan = builder.physical(ends).physical;
    expect(shapeOf(plan)).toBe('source project sink sink');
  });

  test('changes of a row meet one writer', () => {
    const job = (b: PlanBuilder, source: Ref): Ref => b.sink(b.group(source, ['k'], { n: aggregate('count') }), 'file');
    const plan = planned(job, { bounded: false, parallelism: 4 });
    expect(plan.edges.at(-1)).toMatchObject({ updating: true, exchange: { kind: 'rebalance' } });
    expect(plan.chains.at(-1)!.parallelism).toBe(1);
    expect(nodes(plan, 'sink')[0]!.updating).toBe(true);
  });
});

describe('ids of operators', () => {
  const ids = (make: (b: PlanBuilder, source: Ref) => Ref, parallelism = 2): string[] =>
    planned(make, { parallelism }).chains.flatMap((chain) =>
      chain.operators.filter((o) => o.node.kind === 'aggregate').map((o) => o.id),
    );

  test('do not change with parallelism, an added filter or another constant', () => {
    const job = (limit: number | null) => (b: PlanBuilder, source: Ref) => {
      const kept = limit === null ? source : b.filter(source, call('gt', column('v'), literal(limit)));
      return b.sink(b.group(kept, ['k'], { n: aggregate('count') }));
    };
    const [, final] = ids(job(null));
    expect(ids(job(null), 1)).toEqual([final]);
    expect(ids(job(3))[1]).toBe(final);
    expect(ids(job(4))[1]).toBe(final);
  });

  test('are what .named says', () => {
    const named = ids((b, source) => {
      const grouped = b.add(
        'aggregate',
        [source],
        { keys: ['k'], window: null, columns: [], allowedLatenessMs: 0 },
        'counts',
      );
      return b.sink(grouped);
    });
    expect(named).toEqual(['counts.partial', 'counts']);
  });
});
