import { count, from, generator, job, schema, sum, t } from 'millrace';
import { concat } from 'millrace/functions';

const labelled = schema({ item: t.string(), amount: t.bigint() });
type Order = { readonly item: number; readonly amount: number };

/** Compiled columns, a function that every slot imports, an exchange, and an end whose rows are printed. */
export default job(
  'orders',
  ({ params }) =>
    from(generator({ rows: params.rows, columns: (g) => ({ item: g.int(0, 3), amount: g.bigint(1, 9) }) }))
      .map(labelled, (order: Order) => ({ item: `item ${order.item}`, amount: order.amount }))
      .with((o) => ({ item: concat(o.item, '!') }))
      .groupBy('item')
      .aggregate((o) => ({ orders: count(), amount: sum(o.amount) })),
  { params: schema({ rows: t.bigint() }) },
);
