/**
 * Nexmark q23, bids of persons who also list auctions, with the person and each of the auctions.
 *
 *   npx millrace run examples/nexmark/q23.ts --param events=100000
 */
import { from, job, print, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ persons, auctions, bids }: Nexmark<number>) =>
  from(bids)
    .join(from(persons), (b, p) => b.bidder.eq(p.id))
    .select((b, p) => ({
      bidder: b.bidder,
      price: b.price,
      channel: b.channel,
      url: b.url,
      bid_extra: b.extra,
      person_id: p.id,
      name: p.name,
      emailAddress: p.emailAddress,
      creditCard: p.creditCard,
      city: p.city,
      state: p.state,
      person_extra: p.extra,
    }))
    .join(from(auctions), (r, a) => r.bidder.eq(a.seller))
    .select((r, a) => ({
      ...r,
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

export default job('nexmark-q23', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
