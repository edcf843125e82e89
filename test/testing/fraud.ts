/** A job of several files' tests: a large payment soon after a small one of the same card. */
import { follow, from, job, jsonl, schema, state, t } from '../../index.ts';

const payment = schema({ id: t.string(), card: t.string(), amount: t.double(), at: t.timestamp(3) });
const alert = schema({ card: t.string(), reason: t.string(), small: t.double(), large: t.double() });
export const payments = follow(jsonl('payments.jsonl', { schema: payment }));

export default job('fraud', () => {
  const scored = from(payments)
    .eventTime('at')
    .keyBy('card')
    .process({
      output: schema({ id: t.string(), card: t.string() }),
      side: { alerts: alert },
      state: { small: state.value(t.double()) },
      onRow(row, ctx) {
        const small = ctx.state.small.get();
        if (small !== null && row.amount > 500)
          ctx.side.alerts({ card: ctx.key.card, reason: 'large after small', small, large: row.amount });
        if (row.amount < 1) {
          ctx.state.small.set(row.amount);
          ctx.timers.eventTime('forget', '1 minute');
        }
        ctx.emit({ id: row.id, card: row.card });
      },
      onTimer(_timer, ctx) {
        ctx.state.small.clear();
      },
    });
  return { scored: scored.to(jsonl('scored')), alerts: scored.side.alerts.to(jsonl('alerts')) };
});
