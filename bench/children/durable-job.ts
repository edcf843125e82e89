/** A sum per key in value state, emitted for every row: first every key once, then keys at random. */
import { from, generator, job, schema, state, t, when } from '../../index.ts';

export default job(
  'durable',
  ({ params }) =>
    from(
      generator({
        ...(params.rate === null ? {} : { rate: params.rate }),
        seed: 9,
        columns: (g) => ({ n: g.sequence(), any: g.bigint(0, params.keys - 1) }),
      }),
    )
      .with((r) => ({ k: when(r.n.lt(params.keys), r.n).otherwise(r.any) }))
      .keyBy('k')
      .process({
        output: schema({ n: t.bigint(), times: t.bigint() }),
        state: { times: state.value(t.bigint()), last: state.value(t.bigint()) },
        onRow(row, ctx) {
          const times = (ctx.state.times.get() ?? 0) + 1;
          ctx.state.times.set(times);
          ctx.state.last.set(row.n);
          ctx.emit({ n: row.n, times });
        },
      })
      .filter((r) => r.n.mod(256).eq(0)),
  { params: schema({ keys: t.bigint(), rate: t.bigint().nullable() }) },
);
