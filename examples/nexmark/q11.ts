/**
 * Nexmark q11, user sessions: how many bids each bidder made in each of his sessions, which end after ten seconds without one.
 *
 *   npx millrace run examples/nexmark/q11.ts --param events=1000000
 */
import { count, from, job, print, schema, session, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ bids }: Nexmark<number>) =>
  from(bids)
    .groupBy('bidder', session('10 seconds'))
    .aggregate(() => ({ bid_count: count() }))
    .select((s) => ({ bidder: s.bidder, bid_count: s.bid_count, starttime: s.window.start, endtime: s.window.end }));

export default job('nexmark-q11', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
