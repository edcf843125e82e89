/** A job whose one function does what it is told to. */
import { isMainThread } from 'node:worker_threads';
import { blackhole, from, generator, job, schema, t } from 'millrace';

const out = schema({ n: t.bigint() });
const plain = (row: { readonly n: number }) => ({ n: row.n });
const hoard: unknown[] = [];

const functions: Readonly<Record<string, (row: { readonly n: number; readonly note: string }) => { n: number }>> = {
  throws: (row) => {
    if (row.n === 1234) throw new TypeError('no such number');
    return { n: row.n };
  },
  'throws no error': (row) => {
    if (row.n === 1234) throw { reason: 'because' };
    return { n: row.n };
  },
  promises: (async (row: { readonly n: number }) => ({ n: row.n })) as never,
  'forgets to return': (() => {}) as never,
  'leaves a column out': (() => ({})) as never,
  loops: (row) => {
    while (row.n === 1234);
    return { n: row.n };
  },
  hoards: (row) => {
    for (let i = 0; i < 10_000; i++) hoard.push({ n: row.n, i, x: [i] });
    return { n: row.n };
  },
  exits: (row) => {
    if (row.n === 1234) process.exit(3);
    return { n: row.n };
  },
  'has another source in a worker': isMainThread ? (row) => ({ n: row.n }) : (row) => ({ n: row.n + 1 }),
};

export default job(
  'misbehaving',
  ({ params }) => {
    const numbers = from(
      generator({
        rows: 20_000,
        columns: (g) => ({ n: g.sequence(), note: g.constant(t.string(), 'a long note, '.repeat(100)) }),
      }),
    );
    // A worker that leaves the function out builds another job.
    if (params.how === 'is missing in a worker' && !isMainThread) return numbers.to(blackhole());
    return numbers
      .map(out, functions[params.how] ?? plain)
      .named('culprit')
      .to(blackhole());
  },
  { params: schema({ how: t.string() }) },
);
