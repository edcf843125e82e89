/**
 * Keys that come and go without end: a thousand live at a time, each for twenty rows, then the next thousand. A timer tells
 * what a key had gathered; nothing is ever cleared: time to live alone frees it.
 */
import { from, generator, job, jsonl, schema, state, t } from 'millrace';

export const rate = 4000;
export const keysAtOnce = 1000;
export const rowsPerKey = 20;
/** One row in so many ends the attempt, by chance, where that is asked for. */
const failsOnceIn = 400_000;

const rows = () =>
  from(
    generator({
      rate,
      columns: (g) => ({ n: g.sequence(), at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: rate }) }),
    }),
  )
    .eventTime('at')
    .with((r) => ({ generation: r.n.sub(r.n.mod(keysAtOnce * rowsPerKey)).div(rowsPerKey) }))
    .with((r) => ({ k: r.generation.add(r.n.mod(keysAtOnce)).cast(t.bigint()) }))
    .pick('n', 'k', 'at');

export default job(
  'soak',
  ({ params }) =>
    rows()
      .keyBy('k')
      .process({
        output: schema({ k: t.bigint(), rows: t.bigint(), total: t.bigint(), texts: t.bigint() }),
        state: {
          rows: state.value(t.bigint(), { ttl: '30 seconds' }),
          total: state.reducing(t.bigint(), (a, b) => a + b, { ttl: '30 seconds' }),
          texts: state.list(t.string(), { ttl: '20 seconds' }),
          byRest: state.map(t.bigint(), t.string(), { ttl: '25 seconds' }),
        },
        onRow({ n, at }, { key, state, timers }) {
          if (params.fails && Math.random() < 1 / failsOnceIn) throw new Error('a bad moment');
          state.rows.set((state.rows.get() ?? 0) + 1);
          state.total.add(n);
          state.texts.add(`the row with number ${n} of key ${key.k}`);
          state.byRest.set(n % 7, `rest ${n % 7}`);
          timers.eventTime('tell', new Date(at.getTime() + 8000));
        },
        onTimer(_timer, { key, state, emit }) {
          emit({ k: key.k, rows: state.rows.get() ?? 0, total: state.total.get() ?? 0, texts: state.texts.length });
        },
      })
      .named('gathering')
      .to(jsonl(params.out)),
  { params: schema({ out: t.string(), fails: t.boolean() }) },
);
