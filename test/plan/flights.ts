/** The flights job of api.md, as the API would say it. */
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

export const flight = [
  field('date', types.timestamp6),
  field('delay', types.bigint, true),
  field('distance', types.bigint),
  field('origin', types.string),
  field('destination', types.string),
];

export function flights(bounded = true): { builder: PlanBuilder; ends: Ref[] } {
  const builder = new PlanBuilder();
  const source = builder.source(flight, { bounded, estimatedRows: 3_000_000 }, flight, 'flights-3m.parquet');
  const timed = builder.eventTime(source, 'date', 3_600_000);
  const kept = builder.filter(timed, call('gt', column('delay'), literal(-60)));
  const days = builder.group(
    kept,
    ['origin', null],
    {
      flights: aggregate('count'),
      late: call('divide', aggregate('count', null, call('gt', column('delay'), literal(15))), aggregate('count')),
      mean: aggregate('avg', column('delay')),
      worst: aggregate('max', column('delay')),
    },
    tumble(86_400_000),
  );
  const worst = builder.topN(builder.filter(days, call('gte', column('flights'), literal(20))), [], 10, ['-mean']);
  return { builder, ends: [builder.sink(days, 'append'), builder.sink(worst, 'caller')] };
}
