/**
 * Nexmark q17, auction statistics: bids of an auction on a day, by three ranks of price, and their least, greatest, mean and sum.
 * (Prices are in whole cents, and so is their mean, cut off as the benchmark has it.)
 *
 *   npx millrace run examples/nexmark/q17.ts --param events=100000
 */
import { avg, count, from, job, max, min, print, schema, sum, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';
import { dateFormat } from 'millrace/functions';

export const query = ({ bids }: Nexmark<number>) =>
  from(bids)
    .with((b) => ({ day: dateFormat(b.dateTime, 'yyyy-MM-dd') }))
    .groupBy('auction', 'day')
    .aggregate((b) => ({
      total_bids: count(),
      rank1_bids: count().filter(b.price.lt(10_000)),
      rank2_bids: count().filter(b.price.gte(10_000).and(b.price.lt(1_000_000))),
      rank3_bids: count().filter(b.price.gte(1_000_000)),
      min_price: min(b.price),
      max_price: max(b.price),
      avg_price: avg(b.price).cast(t.bigint()),
      sum_price: sum(b.price),
    }));

export default job('nexmark-q17', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
