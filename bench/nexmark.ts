/**
 * Nexmark's queries over ended input: ours over events that are made while the clock runs, DuckDB over the same events in
 * tables that are loaded before. Run in the repository: the queries are those of examples/nexmark.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isDecimal } from '../core/record/decimal.ts';
import { importModule } from '../engine/job-module.ts';
import { blackhole, type End, type Ends, from, job, parquet, run, type StreamOf } from '../index.ts';
import { type Nexmark, nexmark } from '../nexmark.ts';
import type { Bench, BenchCase, CaseOptions, Cell, Engine } from './harness.ts';
import { openDuck } from './rivals/duckdb.ts';
import { nexmarkSql } from './rivals/nexmark.ts';

export const nexmarkBench: Bench = {
  name: 'nexmark',
  describe: 'the queries of examples/nexmark over ended input, events made while the clock runs',
  cases: Object.keys(nexmarkSql).map(
    (name): BenchCase => ({ name, rows: 1_000_000, bar: 'shown', engines: (options) => engines(name, options) }),
  ),
};

type Row = Readonly<Record<string, unknown>>;
type Query = (of: Nexmark<number>) => StreamOf<Row, 'bounded'> & { to(sink: unknown): End };

async function engines(name: string, { rows, slots }: CaseOptions): Promise<Engine[]> {
  const module = pathToFileURL(resolve('examples', 'nexmark', `${name}.ts`)).href;
  const { query } = (await importModule(module)) as { query: Query };
  const { sql, determined } = nexmarkSql[name]!;
  const source = nexmark({ events: rows, rate: 100_000 });
  const duck = await openDuck(slots);
  const folder = mkdtempSync(join(tmpdir(), 'millrace-nexmark-'));
  const { persons, auctions, bids } = source;
  await run({
    person: from(persons).to(parquet(`${folder}/person`)),
    auction: from(auctions).to(parquet(`${folder}/auction`)),
    bid: from(bids).to(parquet(`${folder}/bid`)),
  }).result();
  for (const table of ['person', 'auction', 'bid']) {
    await duck.connection.run(`CREATE TABLE ${table} AS SELECT * FROM '${folder}/${table}/*.parquet'`);
  }
  rmSync(folder, { recursive: true, force: true });
  // Slots find the functions of the query in its page.
  const started = <const O extends Ends>(ends: O) =>
    run(
      job(`nexmark-${name}`, () => ends, { module }),
      { parallelism: slots },
    );
  return [
    {
      name: 'millrace',
      slots,
      run: () => started(query(source).to(blackhole())).result(),
      async rows() {
        const rows: Row[] = [];
        for await (const row of started(query(source))) rows.push(row);
        return cells(rows, determined ?? null);
      },
    },
    {
      name: 'duckdb',
      slots,
      run: () => duck.connection.run(sql),
      async rows() {
        const result = await duck.connection.runAndReadAll(sql);
        const columns = result.columnNames();
        const all = result.getRowsJS().map((row) => Object.fromEntries(row.map((value, i) => [columns[i]!, value])));
        return cells(all, determined ?? null);
      },
      close: () => duck.close(),
    },
  ];
}

/** Rows as plain cells, of these columns; null: of all. */
function cells(rows: readonly Row[], columns: readonly string[] | null): Cell[][] {
  return rows.map((row) =>
    (columns ?? Object.keys(row)).map((name): Cell => {
      const value = row[name];
      if (isDecimal(value)) return String(value);
      return value instanceof Date ? value.getTime() : ((value ?? null) as Cell);
    }),
  );
}
