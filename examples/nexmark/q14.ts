/**
 * Nexmark q14, calculation: dear bids in euros, by the time of day, with how often the letter c stands in their extra text,
 * which a JavaScript function counts.
 *
 *   npx millrace run examples/nexmark/q14.ts --param events=100000
 */
import { decimal, from, job, print, scalarFunction, schema, t, when } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';
import { hour } from 'millrace/functions';

const countChar = scalarFunction({
  name: 'count_char',
  args: [t.string(), t.string()],
  returns: t.bigint(),
  call(text, char) {
    let count = 0;
    for (let at = text.indexOf(char); at >= 0; at = text.indexOf(char, at + 1)) count++;
    return count;
  },
});

export const query = ({ bids }: Nexmark<number>) =>
  from(bids)
    .with((b) => ({ price: b.price.cast(t.decimal(14, 0)).mul(decimal('0.908')) }))
    .filter((b) => b.price.gt(1_000_000).and(b.price.lt(50_000_000)))
    .select((b) => ({
      auction: b.auction,
      bidder: b.bidder,
      price: b.price,
      bidTimeType: when(hour(b.dateTime).between(8, 18), 'dayTime')
        .when(hour(b.dateTime).lte(6).or(hour(b.dateTime).gte(20)), 'nightTime')
        .otherwise('otherTime'),
      dateTime: b.dateTime,
      extra: b.extra,
      c_counts: countChar(b.extra, 'c'),
    }));

export default job('nexmark-q14', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
