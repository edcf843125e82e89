/** Operator state with threads: a life that adds its rows to lists, and one in which each subtask tells what it holds. */
import { from, generator, job, jsonl, schema, state, t } from 'millrace';

export default job(
  'lists',
  ({ params }) => {
    let told = false;
    return from(generator({ rate: 2000, columns: (g) => ({ n: g.sequence() }) }))
      .keyBy('n')
      .process({
        output: schema({ kind: t.string(), n: t.bigint() }),
        operatorState: { split: state.split(t.bigint()), union: state.union(t.bigint()) },
        onRow(row, ctx) {
          if (params.adds) {
            ctx.operator.split.add(row.n);
            ctx.operator.union.add(row.n);
            ctx.emit({ kind: 'row', n: row.n });
            return;
          }
          if (told) return;
          told = true;
          for (const n of ctx.operator.split) ctx.emit({ kind: 'split', n });
          for (const n of ctx.operator.union) ctx.emit({ kind: 'union', n });
        },
      })
      .to(jsonl(params.out));
  },
  { params: schema({ adds: t.boolean(), out: t.string() }) },
);
