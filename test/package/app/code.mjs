// A program that runs jobs itself: one that it imports, one without a module, and a Parquet file there and back.
import { collect, collection, from, parquet, run } from 'millrace';
import orders from './orders.js';

const rows = [];
const handle = run(orders, { parallelism: 2, params: { rows: 1000 } });
for await (const row of handle) rows.push(row);
const { rowsIn } = await handle.result();

const numbers = Array.from({ length: 100 }, (_, n) => ({ n, text: n % 3 === 0 ? null : `number ${n}` }));
await run(from(collection(numbers)).to(parquet('numbers.parquet')), { parallelism: 1 }).result();
const read = await collect(
  from(parquet('numbers.parquet')).filter((r) => r.n.gte(98)),
  { parallelism: 2 },
);
process.stdout.write(JSON.stringify({ rowsIn, rows, read }));
