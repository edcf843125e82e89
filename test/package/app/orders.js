import { count, from, generator, job, schema, sum, t } from 'millrace';
import { concat } from 'millrace/functions';

const labelled = schema({ item: t.string(), amount: t.bigint() });

export default job(
  'orders',
  ({ params }) =>
    from(generator({ rows: params.rows, columns: (g) => ({ item: g.int(0, 3), amount: g.bigint(1, 9) }) }))
      .map(labelled, (order) => ({ item: `item ${order.item}`, amount: order.amount }))
      .with((o) => ({ item: concat(o.item, '!') }))
      .groupBy('item')
      .aggregate((o) => ({ orders: count(), amount: sum(o.amount) })),
  { params: schema({ rows: t.bigint() }) },
);
