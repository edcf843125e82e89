/**
 * Nexmark q12, bids by the clock: how many bids each bidder made in every ten seconds of the time at which they were processed.
 *
 *   npx millrace run examples/nexmark/q12.ts --param events=1000000
 */
import { count, from, job, print, schema, t, tumble } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ bids }: Nexmark<number>) =>
  from(bids)
    .groupBy('bidder', tumble('10 seconds', { time: 'processing' }))
    .aggregate(() => ({ bid_count: count() }))
    .select((w) => ({ bidder: w.bidder, bid_count: w.bid_count, starttime: w.window.start, endtime: w.window.end }));

export default job('nexmark-q12', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
