/**
 * Nexmark q0, pass-through: every bid, without its channel and url.
 *
 *   npx millrace run examples/nexmark/q0.ts --param events=100000
 */
import { from, job, print, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ bids }: Nexmark<number>) => from(bids).pick('auction', 'bidder', 'price', 'dateTime', 'extra');

export default job('nexmark-q0', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
