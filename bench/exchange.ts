/**
 * Rows that cross: five columns, one a plain string of 16 bytes, hashed over the slots with nothing reduced before. Late
 * rows of the aggregate are wanted aside, as they came; so every row crosses whole, and the aggregate behind is cheap.
 */
import { prng } from '../core/base/prng.ts';
import {
  type ArrowBatch,
  arrowBatches,
  arrowTable,
  blackhole,
  count,
  explain,
  from,
  max,
  min,
  run,
  sum,
  tumble,
} from '../index.ts';
import { arrowRows, f64Column, i32Column, i64Column, tableOf, textColumn } from './data.ts';
import type { Bench, CaseOptions, Engine } from './harness.ts';

const columns = ['k', 'rows', 'a', 'b', 'c', 's'];

export const exchange: Bench = {
  name: 'exchange',
  describe: 'rows of five columns, one a plain string of 16 bytes, hashed over the slots, nothing reduced before',
  cases: [{ name: 'five-columns', rows: 10_000_000, slots: [2], bar: '10 M rows/s', engines }],
};

async function engines({ rows, slots }: CaseOptions): Promise<Engine[]> {
  const random = prng(5);
  const startMs = Date.parse('2026-01-01T00:00:00Z');
  const data = {
    k: i64Column(rows, () => random.below(1000)),
    at: i64Column(rows, (i) => startMs + (i % 60_000), 'time'),
    a: f64Column(rows, () => random.below(1 << 20)),
    c: i32Column(rows, () => random.below(1 << 20)),
    s: textColumn(rows, 1000, 16, 8),
  };
  const table = tableOf(data);
  const pipeline = (receive: (batch: ArrowBatch) => void) => {
    const grouped = from(arrowTable(table))
      .eventTime('at', { outOfOrderness: '1 minute' })
      .groupBy('k', tumble('1 hour'))
      .aggregate((r) => ({ rows: count(), a: sum(r.a), b: min(r.c), c: max(r.c), s: count(r.s) }));
    return { main: grouped.to(arrowBatches(receive)), late: grouped.side.late.to(blackhole()) };
  };
  const plan = await explain(
    pipeline(() => {}),
    { parallelism: slots },
  );
  const edge = plan.split('\n').find((line) => line.includes('hash(k)')) ?? '';
  if (!/k BIGINT.*s VARCHAR/.test(edge) || plan.includes('(partial)'))
    throw new Error(`the rows do not cross whole: ${edge || plan}`);
  const codes = data.s.codes;
  const keys = new Int32Array(data.k.values.buffer);
  const [a, c] = [data.a.values as Float64Array, data.c.values as Int32Array];
  return [
    {
      name: 'millrace',
      slots,
      async run() {
        const batches: ArrowBatch[] = [];
        await run(
          pipeline((batch) => batches.push(batch)),
          { parallelism: slots },
        ).result();
        return batches;
      },
      rows: (batches) => arrowRows(batches as ArrowBatch[], columns),
    },
    {
      name: 'plain-js',
      slots: 1,
      async run() {
        const groups = new Map<number, { rows: number; a: number; b: number; c: number; s: number }>();
        for (let i = 0; i < rows; i++) {
          const key = keys[i * 2]!;
          let group = groups.get(key);
          if (group === undefined) {
            group = { rows: 0, a: 0, b: Number.POSITIVE_INFINITY, c: Number.NEGATIVE_INFINITY, s: 0 };
            groups.set(key, group);
          }
          group.rows++;
          group.a += a[i]!;
          if (c[i]! < group.b) group.b = c[i]!;
          if (c[i]! > group.c) group.c = c[i]!;
          if (codes[i]! >= 0) group.s++;
        }
        return groups;
      },
      rows: (groups) =>
        [...(groups as Map<number, { rows: number; a: number; b: number; c: number; s: number }>)].map(([k, g]) => [
          k,
          g.rows,
          g.a,
          g.b,
          g.c,
          g.s,
        ]),
    },
  ];
}
