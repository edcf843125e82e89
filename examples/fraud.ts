/**
 * Fraud detection: a large payment within a minute after a small one of the same card is an alert. Payments come out of
 * order and from several slots; each waits in the state of its card until event time has passed it, so that cards are
 * judged in the order of time and the answer is the same at any parallelism, and after any crash.
 *
 *   npx millrace run examples/fraud.ts --state-dir state/fraud
 *   npm run kill -- fraud          kills it again and again; the files hold every payment once
 *
 * Keyed state (a map in the order of time, a value, a list that forgets), named timers, a side output.
 */
import { from, generator, job, jsonl, schema, state, t, when } from 'millrace';

const order = schema({ at: t.timestamp(3), id: t.bigint() });
const alert = schema({ card: t.string(), id: t.bigint(), reason: t.string(), payments: t.int(), spent: t.double() });

/** 2,000 cards, 100 payments to a second of event time, up to five seconds out of order; one in ten is below 1. */
export const paymentSource = (rows: number, rate: number | null = null) =>
  generator({
    rows,
    ...(rate === null ? {} : { rate }),
    seed: 23,
    columns: (g) => ({
      id: g.sequence(),
      card: g.text({ prefix: 'card-', distinct: 2000, length: 12 }),
      at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 100, disorder: '5 seconds' }),
      kind: g.int(0, 9),
      cents: g.int(0, 99),
      euros: g.int(1, 999),
    }),
  });

/** With their event time. */
export const payments = (rows: number, rate: number | null = null) =>
  from(paymentSource(rows, rate))
    .eventTime('at', { outOfOrderness: '5 seconds' })
    .with((p) => ({ amount: when(p.kind.eq(0), p.cents.div(100)).otherwise(p.euros.add(p.cents.div(100))) }))
    .pick('id', 'card', 'amount', 'at');

export default job(
  'fraud',
  ({ params }) => {
    const out = params.out ?? 'out/fraud';
    const scored = payments(params.rows ?? 1_000_000, params.rate)
      .keyBy('card')
      .process({
        output: schema({ id: t.bigint(), card: t.string(), score: t.double() }),
        side: { alerts: alert },
        state: {
          waiting: state.map(order, t.double()),
          smallAt: state.value(t.timestamp(3)),
          recent: state.list(t.double(), { ttl: '10 minutes' }),
        },
        onRow(row, ctx) {
          ctx.state.waiting.set({ at: row.at, id: row.id }, row.amount);
          for (const first of ctx.state.waiting.keys()) {
            ctx.timers.eventTime('judge', first.at); // setting it again moves it
            break;
          }
        },
        onTimer(timer, ctx) {
          const { waiting, smallAt, recent } = ctx.state;
          if (timer.name === 'forget') return smallAt.clear();
          for (const [{ at, id }, amount] of waiting) {
            if (at > timer.time) {
              ctx.timers.eventTime('judge', at);
              break;
            }
            recent.add(amount);
            const small = smallAt.get();
            if (amount > 500 && small !== null && at.getTime() < small.getTime() + 60_000) {
              const [payments, spent] = [recent.length, [...recent].reduce((sum, one) => sum + one, 0)];
              ctx.side.alerts({ card: ctx.key.card, id, reason: 'large after small', payments, spent });
            }
            if (amount < 1) {
              smallAt.set(at);
              ctx.timers.eventTime('forget', '1 minute');
            } else {
              smallAt.clear();
              ctx.timers.cancel('forget');
            }
            ctx.emit({ id, card: ctx.key.card, score: Math.min(1, amount / 500) });
            waiting.delete({ at, id });
          }
        },
      })
      .named('scoring');
    return {
      scored: scored.to(jsonl(`${out}/scored`)),
      alerts: scored.side.alerts.to(jsonl(`${out}/alerts`)),
    };
  },
  { params: schema({ rows: t.bigint().nullable(), rate: t.bigint().nullable(), out: t.string().nullable() }) },
);
