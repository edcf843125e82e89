/** The three programs that process functions were made for, on collections instead of files. */
import { expect, test } from 'vitest';
import { collection, connect, from, job, type Source, schema, state, t } from '../../index.ts';
import { runJob } from '../support/run-job.ts';

const at = (text: string): Date => new Date(`2026-01-01T${text}Z`);

const payment = schema({ id: t.string(), card: t.string(), amount: t.double(), at: t.timestamp(3) });
type Payment = { id: string; card: string; amount: number; at: Date };
/** Fraud detection: keyed state, a timer, a side output. */
const fraud = (payments: Source<Payment, 'bounded'>) => {
  const scored = from(payments)
    .eventTime('at')
    .keyBy('card')
    .process({
      output: schema({ id: t.string(), score: t.double() }),
      side: { alerts: schema({ card: t.string(), reason: t.string(), payments: t.int(), total: t.double() }) },
      state: { small: state.value(t.boolean()), recent: state.list(t.double(), { ttl: '1 day' }) },
      onRow(row, ctx) {
        ctx.state.recent.add(row.amount);
        if (ctx.state.small.get() && row.amount > 500) {
          const amounts = [...ctx.state.recent];
          const total = amounts.reduce((sum, amount) => sum + amount, 0);
          ctx.side.alerts({ card: ctx.key.card, reason: 'large after small', payments: amounts.length, total });
        }
        if (row.amount < 1) {
          ctx.state.small.set(true);
          ctx.timers.eventTime('forget', '1 minute');
        } else {
          ctx.state.small.clear();
          ctx.timers.cancel('forget');
        }
        ctx.emit({ id: row.id, score: row.amount / 500 });
      },
      onTimer(_timer, ctx) {
        ctx.state.small.clear();
      },
    });
  return { scored, alerts: scored.side.alerts };
};

test('fraud detection alerts for a large payment within a minute of a small one, on the same card', async () => {
  const pay = (id: string, card: string, amount: number, time: string): Payment => ({ id, card, amount, at: at(time) });
  // Many other cards between, so that event time comes by before the payment that is too late.
  const others = Array.from({ length: 2000 }, (_, i) => ({
    ...pay(`o${i}`, `other ${i % 50}`, 20, '00:05:00'),
    at: new Date(at('00:05:00').getTime() + i),
  }));
  const payments = [
    pay('p1', 'c1', 0.5, '00:00:00'),
    pay('p2', 'c2', 0.5, '00:00:01'),
    pay('p3', 'c1', 900, '00:00:30'),
    ...others,
    pay('p4', 'c2', 900, '00:10:00'),
  ];
  for (const parallelism of [1, 3]) {
    const { rows } = await runJob(fraud(collection(payments, { schema: payment })), { parallelism, batchRows: 64 });
    expect(rows.get('alerts')).toEqual([{ card: 'c1', reason: 'large after small', payments: 2, total: 900.5 }]);
    expect(rows.get('scored')).toHaveLength(payments.length);
  }
});

const event = schema({ user: t.string(), kind: t.string(), amount: t.double(), at: t.timestamp(3) });
const rule = schema({ id: t.string(), kind: t.string(), limit: t.double(), enabled: t.boolean() });

test('a rule engine counts per user and kind, by rules that every subtask has', async () => {
  const events = Array.from({ length: 60 }, (_, i) => ({
    user: `u${i % 6}`,
    kind: i % 2 === 0 ? 'buy' : 'view',
    amount: 1,
    at: at(`00:00:${String(i).padStart(2, '0')}`),
  }));
  const rules = [
    { id: 'r1', kind: 'buy', limit: 9, enabled: true },
    { id: 'r2', kind: 'view', limit: 0, enabled: true },
    { id: 'r2', kind: 'view', limit: 0, enabled: false },
  ];
  const hits = connect({
    events: from(collection(events, { schema: event }))
      .eventTime('at')
      .keyBy('user'),
    rules: from(collection(rules, { schema: rule })).broadcast(),
  }).process({
    output: schema({ user: t.string(), rule: t.string(), total: t.double() }),
    state: { totals: state.map(t.string(), t.double(), { ttl: '30 days' }) },
    broadcastState: { rules: state.map(t.string(), rule) },
    onRow: {
      events(row, ctx) {
        ctx.state.totals.set(row.kind, (ctx.state.totals.get(row.kind) ?? 0) + row.amount);
        // Rules come when they come: what they say is asked when all events are there.
        ctx.timers.eventTime('judge', at('01:00:00'));
      },
      rules(row, ctx) {
        if (row.enabled) ctx.broadcast.rules.set(row.id, row);
        else ctx.broadcast.rules.delete(row.id);
      },
    },
    onTimer(_timer, ctx) {
      for (const r of ctx.broadcast.rules.values()) {
        const total = ctx.state.totals.get(r.kind) ?? 0;
        if (total > r.limit) ctx.emit({ user: ctx.key.user, rule: r.id, total });
      }
    },
  });
  for (const parallelism of [1, 3]) {
    const { rows } = await runJob(hits, { parallelism }, { seed: parallelism });
    expect(
      [...rows.get('result')!].sort((a, b) => ((a as { user: string }).user < (b as { user: string }).user ? -1 : 1)),
    ).toEqual(['u0', 'u2', 'u4'].map((user) => ({ user, rule: 'r1', total: 10 })));
  }
});

const step = schema({ order: t.string(), step: t.string(), at: t.timestamp(3) });

test('process monitoring tells which orders took too long, and where they stand', async () => {
  const steps = [
    { order: 'a', step: 'placed', at: at('00:00:00') },
    { order: 'b', step: 'placed', at: at('00:00:10') },
    { order: 'a', step: 'paid', at: at('00:05:00') },
    { order: 'c', step: 'placed', at: at('00:06:00') },
    { order: 'a', step: 'shipped', at: at('00:12:00') },
    { order: 'c', step: 'paid', at: at('00:20:00') },
  ];
  const monitored = job('orders', () => {
    const done = from(collection(steps, { schema: step }))
      .eventTime('at')
      .keyBy('order')
      .process({
        output: schema({ order: t.string(), minutes: t.double() }),
        side: { stuck: schema({ order: t.string(), at: t.string(), due: t.timestamp(3) }) },
        state: { last: state.value(step), began: state.value(t.timestamp(3)) },
        onRow(row, ctx) {
          const began = ctx.state.began.get() ?? row.at;
          ctx.state.began.set(began);
          ctx.state.last.set(row);
          if (row.step !== 'shipped') {
            ctx.timers.eventTime('next step', '15 minutes');
            return;
          }
          ctx.timers.cancel('next step');
          ctx.emit({ order: row.order, minutes: (row.at.getTime() - began.getTime()) / 60_000 });
          ctx.state.began.clear();
          ctx.state.last.clear();
        },
        onTimer(timer, ctx) {
          ctx.side.stuck({ order: ctx.key.order, at: ctx.state.last.get()!.step, due: timer.time });
        },
      });
    return { done, stuck: done.side.stuck };
  });
  const { done, stuck } = {
    done: [{ order: 'a', minutes: 12 }],
    stuck: new Map([
      ['b', at('00:15:10')],
      ['c', at('00:35:00')],
    ]),
  };
  for (const parallelism of [1, 2]) {
    const { rows } = await runJob(monitored as never, { parallelism, batchRows: 1 });
    expect(rows.get('done')).toEqual(done);
    const told = rows.get('stuck') as { order: string; due: Date }[];
    expect(new Map(told.map((row) => [row.order, row.due]))).toEqual(stuck);
  }
});
