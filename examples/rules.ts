/**
 * A rule engine: rules are rows too. They go to every slot and are looked at for each event; they change while events flow,
 * and count from their own time on. An event waits until the event time of both inputs has passed it: then every rule that
 * was made by then is known, and the answer does not depend on which input was read first.
 *
 *   npx millrace run examples/rules.ts --state-dir state/rules
 *   npm run kill -- rules
 *
 * `connect`, broadcast state, map state per key.
 */
import { fileURLToPath } from 'node:url';
import { connect, from, generator, job, jsonl, schema, state, t, when } from 'millrace';

const rule = schema({
  id: t.string(),
  kind: t.string(),
  above: t.double(),
  enabled: t.boolean(),
  at: t.timestamp(3),
});
const version = schema({ id: t.string(), at: t.timestamp(3) });
const order = schema({ at: t.timestamp(3), id: t.bigint() });

/** How the rules changed, in files. */
export const ruleSource = jsonl(fileURLToPath(new URL('./rules/*.jsonl', import.meta.url)), { schema: rule });
export const rules = () => from(ruleSource).eventTime('at', { outOfOrderness: '1 day' });

/** Events of 500 users, 200 to a second of event time, up to three seconds out of order. */
export const eventSource = (rows: number, rate: number | null = null) =>
  generator({
    rows,
    ...(rate === null ? {} : { rate }),
    seed: 47,
    columns: (g) => ({
      id: g.sequence(),
      user: g.text({ prefix: 'user-', distinct: 500, length: 9 }),
      which: g.int(0, 2),
      amount: g.int(1, 100),
      at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 200, disorder: '3 seconds' }),
    }),
  });

/** With their event time. */
export const events = (rows: number, rate: number | null = null) =>
  from(eventSource(rows, rate))
    .eventTime('at', { outOfOrderness: '3 seconds' })
    .with((e) => ({ kind: when(e.which.eq(0), 'buy').when(e.which.eq(1), 'sell').otherwise('move') }))
    .pick('id', 'user', 'kind', 'amount', 'at');

export default job(
  'rules',
  ({ params }) => {
    const out = params.out ?? 'out/rules';
    return connect({
      events: events(params.rows ?? 200_000, params.rate).keyBy('user'),
      rules: rules().broadcast(),
    })
      .process({
        output: schema({ id: t.bigint(), user: t.string(), rule: t.string(), total: t.double() }),
        state: {
          waiting: state.map(order, schema({ kind: t.string(), amount: t.double() })),
          totals: state.map(t.string(), t.double(), { ttl: '10 minutes' }),
        },
        broadcastState: { rules: state.map(version, rule) },
        onRow: {
          events({ id, kind, amount, at }, ctx) {
            ctx.state.waiting.set({ at, id }, { kind, amount });
            for (const first of ctx.state.waiting.keys()) {
              ctx.timers.eventTime('apply', first.at);
              break;
            }
          },
          rules(row, ctx) {
            ctx.broadcast.rules.set({ id: row.id, at: row.at }, { ...row });
          },
        },
        onTimer(timer, ctx) {
          const { waiting, totals } = ctx.state;
          for (const [{ at, id }, { kind, amount }] of waiting) {
            if (at > timer.time) {
              ctx.timers.eventTime('apply', at);
              break;
            }
            const total = (totals.get(kind) ?? 0) + amount;
            totals.set(kind, total);
            // Versions come by rule and time: the last one that is not after the event holds.
            const holds = new Map<
              string,
              { readonly kind: string; readonly above: number; readonly enabled: boolean }
            >();
            for (const [of, one] of ctx.broadcast.rules) if (of.at <= at) holds.set(of.id, one);
            for (const [name, one] of holds) {
              if (one.enabled && one.kind === kind && total > one.above) {
                ctx.emit({ id, user: ctx.key.user, rule: name, total });
                totals.set(kind, 0);
              }
            }
            waiting.delete({ at, id });
          }
        },
      })
      .named('applying')
      .to(jsonl(`${out}/hits`));
  },
  { params: schema({ rows: t.bigint().nullable(), rate: t.bigint().nullable(), out: t.string().nullable() }) },
);
