/**
 * Process monitoring with timeouts: every process starts, sends a beat every ten seconds, and ends. One that is silent for
 * 25 seconds is reported, and so is one that has not ended 90 seconds after its start. Messages get lost here and there.
 *
 *   npx millrace run examples/monitoring.ts --state-dir state/monitoring
 *   npm run kill -- monitoring
 *
 * Timers ask when event time has passed, of rows that may have come in any order: what they answer depends on the rows
 * alone. State: the times of the last messages, which go as soon as no timer asks for them any more.
 */
import { from, generator, job, jsonl, schema, state, t, when } from 'millrace';
import { floor } from 'millrace/functions';

const silentMs = 25_000;
const overdueMs = 90_000;

/** 100 processes at a time, of eight messages each, one every ten seconds; one message in eight is lost. */
export const messageSource = (rows: number, rate: number | null = null) =>
  generator({
    rows,
    ...(rate === null ? {} : { rate }),
    seed: 31,
    columns: (g) => ({
      n: g.sequence(),
      at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 10, disorder: '2 seconds' }),
      luck: g.int(0, 7),
    }),
  });

/** With their event time. */
export const messages = (rows: number, rate: number | null = null) =>
  from(messageSource(rows, rate))
    .eventTime('at', { outOfOrderness: '2 seconds' })
    .filter((m) => m.luck.gt(0))
    .with((m) => ({
      process: floor(m.n.div(800)).mul(100).add(m.n.mod(100)).cast(t.bigint()),
      step: floor(m.n.div(100)).cast(t.bigint()).mod(8),
    }))
    .with((m) => ({ what: when(m.step.eq(0), 'start').when(m.step.eq(7), 'end').otherwise('beat') }))
    .pick('process', 'what', 'at');

const report = schema({ process: t.bigint(), what: t.string(), at: t.timestamp(3) });

export default job(
  'monitoring',
  ({ params }) => {
    const out = params.out ?? 'out/monitoring';
    const watched = messages(params.rows ?? 400_000, params.rate)
      .keyBy('process')
      .process({
        output: report,
        side: { lives: schema({ process: t.bigint(), seconds: t.double() }) },
        state: {
          heard: state.map(t.timestamp(3), t.string()),
          startedAt: state.value(t.timestamp(3)),
          endedAt: state.value(t.timestamp(3)),
        },
        onRow({ what, at }, ctx) {
          const { heard, startedAt, endedAt } = ctx.state;
          heard.set(at, what);
          // A timer for each message: is there another one by then?
          ctx.timers.eventTime(`silent ${at.getTime()}`, new Date(at.getTime() + silentMs));
          if (what === 'start') {
            startedAt.set(at);
            ctx.timers.eventTime('overdue', new Date(at.getTime() + overdueMs));
          }
          if (what === 'end') endedAt.set(at);
          const [start, end] = [startedAt.get(), endedAt.get()];
          if (start && end && what !== 'beat') {
            ctx.side.lives({ process: ctx.key.process, seconds: (end.getTime() - start.getTime()) / 1000 });
          }
        },
        onTimer({ name, time }, ctx) {
          const { heard, startedAt, endedAt } = ctx.state;
          const process = ctx.key.process;
          if (name === 'overdue') {
            const end = endedAt.get();
            if (end === null || end > time) ctx.emit({ process, what: 'not ended in 90 seconds', at: time });
            startedAt.clear();
            endedAt.clear();
            return;
          }
          const asked = time.getTime() - silentMs;
          let last = '';
          for (const [at, what] of heard) {
            if (at > time) break;
            if (at.getTime() > asked) return forget(heard, asked);
            last = what;
          }
          if (last !== 'end') ctx.emit({ process, what: 'silent for 25 seconds', at: time });
          forget(heard, asked);
        },
      })
      .named('watching');
    return {
      reports: watched.to(jsonl(`${out}/reports`)),
      lives: watched.side.lives.to(jsonl(`${out}/lives`)),
    };
  },
  { params: schema({ rows: t.bigint().nullable(), rate: t.bigint().nullable(), out: t.string().nullable() }) },
);

/** No timer asks for messages up to this time any more. */
function forget(heard: { keys(): Iterable<Date>; delete(at: Date): void }, untilMs: number): void {
  for (const at of heard.keys()) {
    if (at.getTime() > untilMs) break;
    heard.delete(at);
  }
}
