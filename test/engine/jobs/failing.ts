/** Fails where it is told to. */
import { blackhole, from, generator, job, schema, t } from 'millrace';

export default job(
  'failing',
  ({ params }) => {
    const how = params.how;
    const out = schema({ n: t.bigint() });
    const numbers = from(generator({ rows: 100_000, columns: (g) => ({ n: g.sequence() }) }));
    if (how === 'throw') {
      return numbers
        .map(out, (row) => {
          if (row.n === 4321) throw new Error('no such number');
          return { n: row.n };
        })
        .named('picky')
        .to(blackhole());
    }
    if (how === 'endless') {
      return numbers
        .map(out, (row) => {
          while (row.n === 4321);
          return { n: row.n };
        })
        .named('stuck')
        .to(blackhole());
    }
    if (how === 'exit') {
      return numbers
        .map(out, (row) => {
          if (row.n === 4321) process.exit(3);
          return { n: row.n };
        })
        .to(blackhole());
    }
    return numbers
      .map(out, (row) => ({ n: `${row.n}` as unknown as number }))
      .named('wrong')
      .to(blackhole());
  },
  { params: schema({ how: t.string() }) },
);
