/**
 * Nexmark q19, auction top ten: the ten highest bids of each auction, with their rank.
 *
 *   npx millrace run examples/nexmark/q19.ts --param events=100000
 */
import { desc, from, job, print, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ bids }: Nexmark<number>) =>
  from(bids)
    .groupBy('auction')
    .topN(10, { orderBy: desc('price'), rankAs: 'rank_number' });

export default job('nexmark-q19', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
