/**
 * Threshold alerts beside the main result: one source, read once, feeds a summary per machine and minute, and a branch of
 * alerts, for which a JavaScript function writes the text. Filters and columns are compiled; only rows that are alerts
 * ever reach JavaScript.
 *
 *   npx millrace run examples/alerts.ts
 *   npx millrace run examples/alerts.ts --stream      alerts come as they happen; Ctrl-C ends it
 */
import { count, from, generator, job, jsonl, max, print, schema, sum, t, tumble, when } from 'millrace';

const alert = schema({ machine: t.int(), level: t.string(), text: t.string(), at: t.timestamp(3) });

/** 50 machines, 1,000 samples to a second of event time. */
export const samples = (rows: number) =>
  generator({
    rows,
    seed: 5,
    columns: (g) => ({
      machine: g.int(1, 50),
      at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 1000 }),
      load: g.double(0, 1),
      watts: g.int(40, 900),
    }),
  });

export default job(
  'alerts',
  ({ params }) => {
    const out = params.out ?? 'out/alerts';
    const sampled = from(samples(params.rows ?? 1_000_000)).eventTime('at');
    const alerts = sampled
      .filter((s) => s.load.gt(0.999).and(s.watts.gt(500)))
      .with((s) => ({ level: when(s.watts.gt(800), 'critical').otherwise('warning') }))
      .map(alert, (s) => ({
        machine: s.machine,
        level: s.level,
        text: `machine ${s.machine}: ${(s.load * 100).toFixed(2)} % at ${s.watts} W`,
        at: s.at,
      }));
    return {
      alerts: alerts.to(jsonl(`${out}/alerts`)),
      levels: alerts
        .groupBy('level')
        .aggregate(() => ({ alerts: count() }))
        .to(print()),
      machines: sampled
        .groupBy('machine', tumble('1 minute'))
        .aggregate((s) => ({ samples: count(), peak: max(s.load), watts: sum(s.watts) }))
        .to(jsonl(`${out}/machines`)),
    };
  },
  { params: schema({ rows: t.bigint().nullable(), out: t.string().nullable() }) },
);
