/**
 * Three million flights of 2001: per origin airport and day, how many, how late on average and at worst, and how many
 * were late; and the ten worst airport-days. The demo runs this file as it is, over the ended file and as a stream.
 */
import { fileURLToPath } from 'node:url';
import { avg, count, desc, from, job, jsonl, max, parquet, print, schema, t, tumble } from 'millrace';

const flight = schema({
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
        .to(print()),
    };
  },
  { params: schema({ data: t.string().nullable(), out: t.string().nullable() }) },
);

/** The data set that the npm package vega-datasets brings along. */
function flights3m(): string {
  return fileURLToPath(new URL('../data/flights-3m.parquet', import.meta.resolve('vega-datasets')));
}
