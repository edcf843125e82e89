/**
 * A telemetry roll-up with late data: readings of many devices, out of order, become one row per device and minute. As a
 * stream, a minute closes once readings ten seconds past its end have come; a reading for it that comes later goes aside
 * as it came, into a file of its own. Ended input has no late rows: its answer is what a stream would know at last.
 *
 *   npx millrace run examples/telemetry.ts            every reading is in its minute
 *   npx millrace run examples/telemetry.ts --stream   the same rows as a stream; the summary after Ctrl-C counts late ones
 *
 * On-time and late rows of the stream together are exactly the rows of the ended run: test/examples holds that.
 */
import { avg, count, desc, from, generator, job, jsonl, max, print, schema, t, tumble } from 'millrace';
import { round } from 'millrace/functions';

/** 200 devices, 2,000 readings to a second of event time, up to a minute out of order, one in fifty without a value. */
export const readings = (rows: number) =>
  generator({
    rows,
    seed: 11,
    columns: (g) => ({
      device: g.text({ prefix: 'device-', distinct: 200, length: 12 }),
      at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 2000, disorder: '60 seconds' }),
      celsius: g.double(-20, 90).nullable(0.02),
    }),
  });

export default job(
  'telemetry',
  ({ params }) => {
    const perMinute = from(readings(params.rows ?? 1_000_000))
      .eventTime('at', { outOfOrderness: '10 seconds', idleAfter: '1 minute' })
      .groupBy('device', tumble('1 minute'))
      .aggregate((r) => ({ readings: count(), mean: avg(r.celsius), peak: max(r.celsius) }));
    const out = params.out ?? 'out/telemetry';
    return {
      rollup: perMinute
        .select((r) => ({ device: r.device, minute: r.window.start, readings: r.readings, mean: r.mean, peak: r.peak }))
        .to(jsonl(`${out}/rollup`)),
      late: perMinute.side.late.to(jsonl(`${out}/late`)),
      hottest: perMinute
        .topN(5, { orderBy: [desc('mean'), 'device'] })
        .select((r) => ({ device: r.device, minute: r.window.start, mean: round(r.mean, 2), readings: r.readings }))
        .to(print()),
    };
  },
  { params: schema({ rows: t.bigint().nullable(), out: t.string().nullable() }) },
);
