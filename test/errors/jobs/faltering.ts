/**
 * A job with state whose function fails, as it is told to, so many times in all (over all attempts, counted in a file), and
 * never before there is a checkpoint to go on from.
 */
import { appendFileSync, existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { from, generator, job, jsonl, schema, state, t } from 'millrace';

export const rows = 8000;
export const keys = 7;
const numbered = schema({ n: t.bigint(), k: t.bigint() });
const hoard: unknown[] = [];
const clock = new Int32Array(new SharedArrayBuffer(4));

const faults: Readonly<Record<string, (n: number) => void>> = {
  throws: (n) => {
    throw new RangeError(`not ${n}`);
  },
  exits: () => process.exit(3),
  loops: () => {
    for (;;);
  },
  hoards: () => {
    for (let i = 0; ; i++) hoard.push({ i, x: [i] });
  },
};

export default job(
  'faltering',
  ({ params }) => {
    const { how, times, place } = params;
    const fault = faults[how]!;
    const falter = (n: number): void => {
      const manifests = join(place, 'state', 'manifests');
      if (!existsSync(manifests) || readdirSync(manifests).length === 0) return;
      const marks = join(place, 'marks');
      if (existsSync(marks) && statSync(marks).size >= times) return;
      appendFileSync(marks, 'x');
      fault(n);
    };
    return from(generator({ rows, columns: (g) => ({ n: g.sequence(), k: g.bigint(0, keys - 1) }) }))
      .map(numbered, (row) => {
        // What reads is slow, so that checkpoints fall among the rows.
        if (row.n % 4 === 0) Atomics.wait(clock, 0, 0, 1);
        return row;
      })
      .keyBy('k')
      .process({
        output: schema({ n: t.bigint(), k: t.bigint(), count: t.int() }),
        state: { count: state.value(t.int()) },
        onRow(row, ctx) {
          const count = (ctx.state.count.get() ?? 0) + 1;
          ctx.state.count.set(count);
          // In one slot, but that memory may well run out in several at once.
          if (row.k === 0 || how === 'hoards') falter(row.n);
          ctx.emit({ n: row.n, k: row.k, count });
        },
      })
      .named('culprit')
      .to(jsonl(join(place, 'out')));
  },
  { params: schema({ how: t.string(), times: t.int(), place: t.string() }) },
);
