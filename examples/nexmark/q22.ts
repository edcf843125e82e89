/**
 * Nexmark q22, url directories: the three directories of every bid's url.
 *
 *   npx millrace run examples/nexmark/q22.ts --param events=100000
 */
import { from, job, print, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';
import { splitIndex } from 'millrace/functions';

export const query = ({ bids }: Nexmark<number>) =>
  from(bids).select((b) => ({
    auction: b.auction,
    bidder: b.bidder,
    price: b.price,
    channel: b.channel,
    dir1: splitIndex(b.url, '/', 3),
    dir2: splitIndex(b.url, '/', 4),
    dir3: splitIndex(b.url, '/', 5),
  }));

export default job('nexmark-q22', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
