/**
 * Nexmark q6, what sellers get: beside each auction the average price, in whole cents, of its seller's last ones up to it, ten before
 * and its own, in the order in which their highest bids came.
 *
 *   npx millrace run examples/nexmark/q6.ts --param events=100000
 */
import { avg, desc, from, job, print, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ auctions, bids }: Nexmark<number>) =>
  from(auctions)
    .join(from(bids), (a, b) => a.id.eq(b.auction).and(b.dateTime.between(a.dateTime, a.expires)))
    .select((a, b) => ({ auction: a.id, seller: a.seller, price: b.price, dateTime: b.dateTime }))
    .groupBy('auction')
    .topN(1, { orderBy: [desc('price'), 'dateTime'] })
    .select((w) => ({
      seller: w.seller,
      avg_price: avg(w.price)
        .over({ partitionBy: w.seller, orderBy: [w.dateTime, w.auction], rows: [-10, 0] })
        .cast(t.bigint()),
    }));

export default job('nexmark-q6', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
