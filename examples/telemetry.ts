/**
 * A telemetry roll-up: readings of many devices, out of order, become one row per device and minute. As a stream, a
 * minute is closed ten seconds after its end; a reading that comes later goes aside as it came. Ended input has no late rows.
 */
import { avg, count, from, generator, job, jsonl, max, schema, t, tumble } from 'millrace';

/** 200 devices, 2,000 readings to a second of event time, up to 15 seconds out of order, one in fifty without a value. */
const readings = (rows: number) =>
  generator({
    rows,
    seed: 11,
    columns: (g) => ({
      device: g.text({ prefix: 'device-', distinct: 200, length: 12 }),
      at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 2000, disorder: '15 seconds' }),
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
    return {
      rollup: perMinute
        .select((r) => ({ device: r.device, minute: r.window.start, readings: r.readings, mean: r.mean, peak: r.peak }))
        .to(jsonl(`${params.out ?? 'out/telemetry'}/rollup`)),
      late: perMinute.side.late.to(jsonl(`${params.out ?? 'out/telemetry'}/late`)),
    };
  },
  { params: schema({ rows: t.bigint().nullable(), out: t.string().nullable() }) },
);
