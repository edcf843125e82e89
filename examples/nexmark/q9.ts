/**
 * Nexmark q9, winning bids: of each auction the highest bid while it was open, of equal ones the first.
 *
 *   npx millrace run examples/nexmark/q9.ts --param events=100000
 */
import { desc, from, job, print, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ auctions, bids }: Nexmark<number>) =>
  from(auctions)
    .join(from(bids), (a, b) => a.id.eq(b.auction).and(b.dateTime.between(a.dateTime, a.expires)))
    .select((a, b) => ({
      ...a,
      auction: b.auction,
      bidder: b.bidder,
      price: b.price,
      bid_dateTime: b.dateTime,
      bid_extra: b.extra,
    }))
    .groupBy('id')
    .topN(1, { orderBy: [desc('price'), 'bid_dateTime'] });

export default job('nexmark-q9', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
