/**
 * Nexmark q18, last bids: of each bidder, the last bid on each auction.
 *
 *   npx millrace run examples/nexmark/q18.ts --param events=100000
 */
import { from, job, print, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ bids }: Nexmark<number>) => from(bids).groupBy('bidder', 'auction').keepLast('dateTime');

export default job('nexmark-q18', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
