/** Maps, flat-maps and unites; with functions, so that slots import it. */
import { collection, from, generator, job, schema, t } from 'millrace';

export default job(
  'doubling',
  ({ params }) => {
    const numbers = from(generator({ rows: params.rows, columns: (g) => ({ n: g.sequence() }) }));
    const few = from(collection([{ n: -1 }, { n: -2 }], { schema: schema({ n: t.bigint() }) }));
    return numbers
      .union(few)
      .map(schema({ n: t.bigint(), label: t.string() }), (row) => ({ n: row.n * 2, label: `row ${row.n}` }))
      .flatMap(schema({ n: t.bigint(), label: t.string() }), function* (row) {
        yield { n: row.n, label: row.label };
        if (row.n % 4 === 0) yield { n: row.n + 1, label: `${row.label}, again` };
      });
  },
  { params: schema({ rows: t.int() }) },
);
