/**
 * Nexmark q13, bids beside a table at the side: ten thousand rows of a csv file, looked up by the bid's auction.
 *
 *   npx millrace run examples/nexmark/q13.ts --param events=100000
 */
import { fileURLToPath } from 'node:url';
import { csv, from, job, lookupTable, print, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

const file = fileURLToPath(new URL('../tables/side-input.csv', import.meta.url));
const side = lookupTable(csv(file, { schema: schema({ key: t.bigint(), value: t.string() }) }), { key: 'key' });

export const query = ({ bids }: Nexmark<number>) =>
  from(bids)
    .lookupJoin(side, (b) => ({ key: b.auction.mod(10_000) }))
    .select((b, s) => ({
      auction: b.auction,
      bidder: b.bidder,
      price: b.price,
      dateTime: b.dateTime,
      value: s.value,
    }));

export default job('nexmark-q13', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
