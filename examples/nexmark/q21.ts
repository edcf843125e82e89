/**
 * Nexmark q21, channel ids: of the four known channels by their names, of others out of the url; bids that have none are left out.
 *
 *   npx millrace run examples/nexmark/q21.ts --param events=100000
 */
import { from, job, print, type StringExpr, schema, t, when } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';
import { lower, regexpExtract } from 'millrace/functions';

const idIn = (url: StringExpr<string>) => regexpExtract(url, '(&|^)channel_id=([^&]*)', 2);

export const query = ({ bids }: Nexmark<number>) =>
  from(bids)
    .filter((b) =>
      idIn(b.url)
        .isNotNull()
        .or(lower(b.channel).in(['apple', 'google', 'facebook', 'baidu'])),
    )
    .select((b) => ({
      auction: b.auction,
      bidder: b.bidder,
      price: b.price,
      channel: b.channel,
      channel_id: when(lower(b.channel).eq('apple'), '0')
        .when(lower(b.channel).eq('google'), '1')
        .when(lower(b.channel).eq('facebook'), '2')
        .when(lower(b.channel).eq('baidu'), '3')
        .otherwise(idIn(b.url)),
    }));

export default job('nexmark-q21', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
