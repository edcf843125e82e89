/**
 * Nexmark q4, average price of a category: of the highest bid of each auction while it was open, in whole cents.
 *
 *   npx millrace run examples/nexmark/q4.ts --param events=100000
 */
import { avg, from, job, max, print, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ auctions, bids }: Nexmark<number>) =>
  from(auctions)
    .join(from(bids), (a, b) => a.id.eq(b.auction).and(b.dateTime.between(a.dateTime, a.expires)))
    .select((a, b) => ({ auction: a.id, category: a.category, price: b.price }))
    .groupBy('auction', 'category')
    .aggregate((r) => ({ final: max(r.price) }))
    .groupBy('category')
    .aggregate((r) => ({ final: avg(r.final).cast(t.bigint()) }))
    .select((r) => ({ id: r.category, final: r.final }));

export default job('nexmark-q4', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
