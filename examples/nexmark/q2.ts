/**
 * Nexmark q2, selection: bids on every 123rd auction.
 *
 *   npx millrace run examples/nexmark/q2.ts --param events=100000
 */
import { from, job, print, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ bids }: Nexmark<number>) =>
  from(bids)
    .filter((b) => b.auction.mod(123).eq(0))
    .pick('auction', 'price');

export default job('nexmark-q2', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
