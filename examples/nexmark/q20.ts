/**
 * Nexmark q20, bids with their auctions, of category 10.
 *
 *   npx millrace run examples/nexmark/q20.ts --param events=100000
 */
import { from, job, print, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ auctions, bids }: Nexmark<number>) =>
  from(bids)
    .join(
      from(auctions).filter((a) => a.category.eq(10)),
      (b, a) => b.auction.eq(a.id),
    )
    .select((b, a) => ({
      auction: b.auction,
      bidder: b.bidder,
      price: b.price,
      channel: b.channel,
      url: b.url,
      bid_dateTime: b.dateTime,
      bid_extra: b.extra,
      itemName: a.itemName,
      description: a.description,
      initialBid: a.initialBid,
      reserve: a.reserve,
      auction_dateTime: a.dateTime,
      expires: a.expires,
      seller: a.seller,
      category: a.category,
      auction_extra: a.extra,
    }));

export default job('nexmark-q20', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
