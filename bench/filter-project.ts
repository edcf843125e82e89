/** A filter, arithmetic and a sum without keys, 10 million rows of an Arrow table on the caller's shared buffers. */
import { prng } from '../core/base/prng.ts';
import { arrowTable, from, sum } from '../index.ts';
import { f64Column, i32Column, i64Column, type NumberColumn, tableOf } from './data.ts';
import type { Bench, CaseOptions, Engine } from './harness.ts';
import { duckdb, loadTable, openDuck } from './rivals/duckdb.ts';
import { millrace } from './rivals/millrace.ts';
import { polars } from './rivals/polars.ts';

export const filterProject: Bench = {
  name: 'filter-project',
  describe: 'filter, arithmetic, sum over an Arrow table, 10 M rows',
  cases: [
    { name: 'double', rows: 10_000_000, bar: 'duckdb × 1.0', engines: doubles },
    { name: 'bigint', rows: 10_000_000, bar: 'duckdb × 1.0', engines: integers },
  ],
};

/** The shape of TPC-H's query 6: about 1 row in 8 stays. */
async function doubles({ rows, slots }: CaseOptions): Promise<Engine[]> {
  const random = prng(6);
  const columns = {
    price: f64Column(rows, () => 900 + random.below(10_000_000) / 100),
    discount: f64Column(rows, () => random.below(11) / 100),
    quantity: i32Column(rows, () => 1 + random.below(50)),
  };
  const table = tableOf(columns);
  const duck = await openDuck(slots);
  await loadTable(duck, 't', columns);
  const all = [
    millrace(slots, ['total'], () =>
      from(arrowTable(table))
        .filter((r) => r.quantity.lt(24).and(r.discount.gte(0.05)).and(r.discount.lte(0.07)))
        .aggregate((r) => ({ total: sum(r.price.mul(r.discount)) })),
    ),
    duckdb(
      slots,
      duck,
      'SELECT sum(price * discount) AS total FROM t WHERE quantity < 24 AND discount >= 0.05::DOUBLE AND discount <= 0.07::DOUBLE',
    ),
    await polars(slots, 'filter-double', table),
  ];
  const [price, discount, quantity] = [columns.price, columns.discount, columns.quantity].map((c) => c.values) as [
    Float64Array,
    Float64Array,
    Int32Array,
  ];
  const plain: Engine = {
    name: 'plain-js',
    slots: 1,
    async run() {
      let total = 0;
      for (let i = 0; i < rows; i++) {
        const off = discount[i]!;
        if (quantity[i]! < 24 && off >= 0.05 && off <= 0.07) total += price[i]! * off;
      }
      return total;
    },
    rows: (total) => [[total as number]],
  };
  return slots === 1 ? [...all, plain] : all;
}

/** Half of the rows stay. */
async function integers({ rows, slots }: CaseOptions): Promise<Engine[]> {
  const random = prng(7);
  const columns = { a: i64Column(rows, () => random.below(1000)), b: i64Column(rows, () => random.below(1_000_000)) };
  const table = tableOf(columns);
  const duck = await openDuck(slots);
  await loadTable(duck, 't', columns);
  const all = [
    millrace(slots, ['total'], () =>
      from(arrowTable(table))
        .filter((r) => r.a.lt(500))
        .aggregate((r) => ({ total: sum(r.b.mul(3).add(r.a)) })),
    ),
    duckdb(slots, duck, 'SELECT sum(b * 3 + a) AS total FROM t WHERE a < 500'),
    await polars(slots, 'filter-int', table),
  ];
  const [a, b] = [columns.a, columns.b].map((c: NumberColumn) => new Int32Array(c.values.buffer)) as [
    Int32Array,
    Int32Array,
  ];
  const plain: Engine = {
    name: 'plain-js',
    slots: 1,
    async run() {
      let total = 0;
      for (let i = 0; i < rows * 2; i += 2) if (a[i]! < 500) total += b[i]! * 3 + a[i]!;
      return total;
    },
    rows: (total) => [[total as number]],
  };
  return slots === 1 ? [...all, plain] : all;
}
