/**
 * Nexmark q16, channel statistics: bids through a channel on a day, their bidders and their auctions, each in all and by three ranks of
 * price, and the last minute in which there was one.
 *
 *   npx millrace run examples/nexmark/q16.ts --param events=100000
 */
import { count, from, job, max, print, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';
import { dateFormat } from 'millrace/functions';

export const query = ({ bids }: Nexmark<number>) =>
  from(bids)
    .with((b) => ({ day: dateFormat(b.dateTime, 'yyyy-MM-dd') }))
    .groupBy('channel', 'day')
    .aggregate((b) => {
      const rank1 = b.price.lt(10_000);
      const rank2 = b.price.gte(10_000).and(b.price.lt(1_000_000));
      const rank3 = b.price.gte(1_000_000);
      return {
        minute: max(dateFormat(b.dateTime, 'HH:mm')),
        total_bids: count(),
        rank1_bids: count().filter(rank1),
        rank2_bids: count().filter(rank2),
        rank3_bids: count().filter(rank3),
        total_bidders: count(b.bidder).distinct(),
        rank1_bidders: count(b.bidder).distinct().filter(rank1),
        rank2_bidders: count(b.bidder).distinct().filter(rank2),
        rank3_bidders: count(b.bidder).distinct().filter(rank3),
        total_auctions: count(b.auction).distinct(),
        rank1_auctions: count(b.auction).distinct().filter(rank1),
        rank2_auctions: count(b.auction).distinct().filter(rank2),
        rank3_auctions: count(b.auction).distinct().filter(rank3),
      };
    });

export default job('nexmark-q16', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
