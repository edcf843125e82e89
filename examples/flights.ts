/**
 * Three million flights of 2001: per origin airport and day in event time, how many, how late on average and at worst,
 * and what share was late; and of the days with at least 20 flights the ten worst. One file, two regimes:
 *
 *   npx millrace run examples/flights.ts            the file as a table that ends
 *   npx millrace run examples/flights.ts --stream   as a stream that does not: days close as event time passes, the
 *                                                   ten worst are kept up to date; Ctrl-C ends it
 *
 * `npm run demo` and `npm run demo -- --stream` run this very file and compare the answers.
 */
import { fileURLToPath } from 'node:url';
import { avg, count, desc, from, job, jsonl, max, parquet, print, schema, t, tumble } from 'millrace';
import { round } from 'millrace/functions';

export const flight = schema({
  date: t.timestamp(6),
  delay: t.bigint().nullable(),
  distance: t.bigint(),
  origin: t.string(),
  destination: t.string(),
});

export default job(
  'flights',
  ({ params }) => {
    const days = from(parquet(params.data ?? flights3m(), { schema: flight }))
      .eventTime('date', { outOfOrderness: '1 hour' })
      .groupBy('origin', tumble('1 day'))
      .aggregate((f) => ({
        flights: count(),
        mean: avg(f.delay),
        worst: max(f.delay),
        late: count().filter(f.delay.gt(15)).div(count()),
      }));
    return {
      days: days.to(jsonl(params.out ?? 'out/flights')),
      worst: days
        .filter((d) => d.flights.gte(20))
        .topN(10, { orderBy: desc('mean') })
        .select((d) => ({
          origin: d.origin,
          day: d.window.start.cast(t.date()),
          flights: d.flights,
          mean: round(d.mean, 1),
          worst: d.worst,
          late: round(d.late, 3),
        }))
        .to(print()),
    };
  },
  { params: schema({ data: t.string().nullable(), out: t.string().nullable() }) },
);

/** The data set that the npm package vega-datasets brings along. */
function flights3m(): string {
  return fileURLToPath(new URL('../data/flights-3m.parquet', import.meta.resolve('vega-datasets')));
}
