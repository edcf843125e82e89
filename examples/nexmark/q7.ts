/**
 * Nexmark q7, highest bid: the bids with the highest price of every ten seconds.
 *
 *   npx millrace run examples/nexmark/q7.ts --param events=1000000
 */
import { from, job, max, print, schema, t, tumble } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ bids }: Nexmark<number>) =>
  from(bids)
    .join(
      from(bids)
        .groupBy(tumble('10 seconds'))
        .aggregate((b) => ({ price: max(b.price) })),
      (b, most) => b.price.eq(most.price).and(b.dateTime.gte(most.window.start)).and(b.dateTime.lt(most.window.end)),
    )
    .select((b) => ({ auction: b.auction, bidder: b.bidder, price: b.price, dateTime: b.dateTime, extra: b.extra }));

export default job('nexmark-q7', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
