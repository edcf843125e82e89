/**
 * Nexmark q5, hot items: the auctions with the most bids in the last ten seconds, every two.
 *
 *   npx millrace run examples/nexmark/q5.ts --param events=1000000
 */
import { count, desc, from, hop, job, print, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ bids }: Nexmark<number>) =>
  from(bids)
    .groupBy('auction', hop('10 seconds', '2 seconds'))
    .aggregate(() => ({ num: count() }))
    .groupBy('window')
    .topN(1, { orderBy: desc('num'), using: 'RANK' })
    .pick('auction', 'num');

export default job('nexmark-q5', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
