/** The child in which Polars runs: see rivals/polars.ts. */
import { readFileSync } from 'node:fs';
import pl from 'nodejs-polars';

type Frame = ReturnType<typeof pl.DataFrame>;
interface Query {
  load(path: string): unknown;
  run(data: never): Promise<Frame> | Frame;
}

const ipc = (path: string): Frame => pl.readIPC(readFileSync(path)) as Frame;

const queries: Readonly<Record<string, Query>> = {
  'group-by': {
    load: ipc,
    run: (data: Frame) =>
      data.lazy().groupBy('k').agg(pl.col('v').sum().alias('total'), pl.count('v').alias('n')).collect(),
  },
  'filter-double': {
    load: ipc,
    run: (data: Frame) =>
      data
        .lazy()
        .filter(pl.col('quantity').lt(24).and(pl.col('discount').gtEq(0.05)).and(pl.col('discount').ltEq(0.07)))
        .select(pl.col('price').mul(pl.col('discount')).sum().alias('total'))
        .collect(),
  },
  'filter-int': {
    load: ipc,
    run: (data: Frame) =>
      data
        .lazy()
        .filter(pl.col('a').lt(500))
        .select(pl.col('b').mul(3).plus(pl.col('a')).sum().alias('total'))
        .collect(),
  },
};

let query: Query | null = null;
let data: unknown = null;
let result: Frame | null = null;

process.on('message', async (message: { kind: string; query?: string; path?: string }) => {
  try {
    if (message.kind === 'load') {
      query = queries[message.query!]!;
      data = query.load(message.path!);
    } else if (message.kind === 'run') result = await query!.run(data as never);
    process.send!({ value: message.kind === 'rows' ? rowsOf(result!) : null });
  } catch (error) {
    process.send!({ error: String(error) });
  }
});

function rowsOf(frame: Frame): unknown[][] {
  const columns = frame.columns.map((name) => frame.getColumn(name).toArray() as unknown[]);
  return Array.from({ length: frame.height }, (_, i) => columns.map((column) => column[i]));
}
