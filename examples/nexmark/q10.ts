/**
 * Nexmark q10, all bids as files: a directory a minute, and a mark in each when event time has passed it.
 *
 *   npx millrace run examples/nexmark/q10.ts --param events=100000 --state-dir out/q10-state
 */
import { csv, from, job, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';
import { dateFormat } from 'millrace/functions';

export const query = ({ bids }: Nexmark<number>) =>
  from(bids).select((b) => ({
    auction: b.auction,
    bidder: b.bidder,
    price: b.price,
    dateTime: b.dateTime,
    extra: b.extra,
    dt: dateFormat(b.dateTime, 'yyyy-MM-dd'),
    hm: dateFormat(b.dateTime, 'HH:mm'),
  }));

export const files = (path: string) =>
  csv(path, {
    partitionBy: ['dt', 'hm'],
    partitionCommit: { time: '$dt $hm:00', delay: '1 minute' },
    roll: { every: '1 minute' },
  });

export default job(
  'nexmark-q10',
  ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(files(params.path ?? 'out/q10')),
  { params: schema({ events: t.bigint().nullable(), path: t.string().nullable() }) },
);
