/**
 * Nexmark q1, currency conversion: every bid with its price in euros, exactly.
 *
 *   npx millrace run examples/nexmark/q1.ts --param events=100000
 */
import { decimal, from, job, print, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ bids }: Nexmark<number>) =>
  from(bids).select((b) => ({
    auction: b.auction,
    bidder: b.bidder,
    price: b.price.cast(t.decimal(14, 0)).mul(decimal('0.908')),
    dateTime: b.dateTime,
    extra: b.extra,
  }));

export default job('nexmark-q1', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
