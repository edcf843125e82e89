/** An unbounded job whose source is silent: it gets three rows, says so, and waits until its parent ends it. */
import { callback, channel, count, from, run, schema, t } from '../../index.ts';

const slots = Number(process.argv[2]);
const rows = channel(schema({ k: t.string() }));
let seen = 0;
run(
  from(rows)
    .groupBy('k')
    .aggregate(() => ({ n: count() }))
    .to(
      callback(() => {
        if (++seen === 3) process.send!('ready');
      }),
    ),
  { parallelism: slots },
);
for (const k of ['a', 'b', 'c']) await rows.push({ k });
