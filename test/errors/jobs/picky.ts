/** A function that cannot take every row. */
import { from, generator, job, jsonl, schema, t } from 'millrace';

export default job(
  'picky',
  ({ params }) => {
    const numbers = from(generator({ rows: params.rows, columns: (g) => ({ n: g.sequence() }) }));
    const mapped = numbers
      .map(
        schema({ n: t.bigint() }),
        ({ n }) => {
          if (n % 4 === 1) throw new RangeError(`not ${n}`);
          return { n };
        },
        { onError: 'side' },
      )
      .named('picky');
    return {
      good: mapped.to(jsonl(`${params.out}/good`)),
      bad: mapped.side.errors.to(jsonl(`${params.out}/bad`)),
    };
  },
  { params: schema({ rows: t.int(), out: t.string() }) },
);
