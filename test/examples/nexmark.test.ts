/**
 * The queries of examples/nexmark: against DuckDB's answer over the same events by SQL written on its own, at parallelism 1
 * to 3; as a stream, the changes of every run come to the same table.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { blackhole, type collect, type Ends, from, job, parquet, type RunOptions, run, sum } from 'millrace';
import { nexmark } from 'millrace/connectors/nexmark';
import { beforeAll, describe, expect, test } from 'vitest';
import { nexmarkSql } from '../../bench/rivals/nexmark.ts';
import type { query as perClock } from '../../examples/nexmark/q12.ts';
import { root } from './support.ts';

const events = 40_000;
const source = nexmark({ events, rate: 1000, seed: 7, start: '2026-03-01T23:59:50Z' });
type Row = Readonly<Record<string, unknown>>;
type Query = (
  of: typeof source,
) => Parameters<typeof collect<Row>>[0] & { to(sink: unknown): Parameters<typeof run>[0] };

const names = readdirSync(join(root, 'examples', 'nexmark')).map((file) => file.replace(/\.ts$/, ''));
const queries = new Map<string, Query>();
let answers: ReadonlyMap<string, readonly string[]>;

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-nexmark-'));
  const { persons, auctions, bids } = source;
  await run({
    person: from(persons).to(parquet(`${folder}/person`)),
    auction: from(auctions).to(parquet(`${folder}/auction`)),
    bid: from(bids).to(parquet(`${folder}/bid`)),
  }).result();
  const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
  for (const table of ['person', 'auction', 'bid']) {
    await duckdb.run(`CREATE TABLE ${table} AS SELECT * FROM '${folder}/${table}/*.parquet'`);
  }
  const all = new Map<string, readonly string[]>();
  for (const name of names) {
    const { query } = await import(`../../examples/nexmark/${name}.ts`);
    queries.set(name, name === 'q12' ? (of: typeof source) => inAll(query(of)) : query);
    const { sql, determined } = nexmarkSql[name]!;
    const result = await duckdb.runAndReadAll(sql);
    const columns = result.columnNames();
    const rows = result.getRowsJS().map((row) => Object.fromEntries(row.map((value, i) => [columns[i]!, value])));
    all.set(name, texts(rows, determined ?? columns));
  }
  answers = all;
  rmSync(folder, { recursive: true });
}, 120_000);

/** Which bids meet in a window of the clock is open: how many each bidder made is not. */
const inAll = (counts: ReturnType<typeof perClock>) =>
  counts.groupBy('bidder').aggregate((w) => ({ bid_count: sum(w.bid_count) }));

/** Slots find the functions of a query in its page. */
const started = <const O extends Ends>(name: string, ends: O, options: RunOptions) =>
  run(
    job(`nexmark-${name}`, () => ends, { module: join(root, 'examples', 'nexmark', `${name}.ts`) }),
    options,
  );

/** Rows as sorted text, of these columns. */
function texts(rows: readonly Row[], columns: readonly string[]): string[] {
  const plain = (value: unknown): unknown =>
    typeof value === 'bigint' ? Number(value) : value instanceof Date ? value.toISOString() : (value ?? null);
  return rows.map((row) => JSON.stringify(columns.map((column) => plain(row[column])))).sort();
}

test('every query has its SQL', () => {
  expect(names.filter((name) => !nexmarkSql[name])).toEqual([]);
  expect(names.length).toBeGreaterThan(5);
});

describe.each(names)('%s', (name) => {
  for (const parallelism of [1, 2, 3]) {
    test(`ended input at parallelism ${parallelism}`, async () => {
      const rows: Row[] = [];
      for await (const row of started(name, queries.get(name)!(source), { parallelism })) rows.push(row as Row);
      const expected = answers.get(name)!;
      expect(expected.length).toBeGreaterThan(0);
      const columns = nexmarkSql[name]!.determined ?? Object.keys(rows[0]!);
      expect(texts(rows, columns)).toEqual(expected);
    });

    test(`a stream at parallelism ${parallelism} comes to the same table`, async () => {
      const determined = nexmarkSql[name]!.determined;
      // A stream stays open when it has read as many rows as there are.
      const summed = async (slots: number, rowsToRead: number | null): Promise<{ sum: string; rowsIn: number }> => {
        const mode = rowsToRead === null ? 'bounded' : 'stream';
        const checksum = new SharedArrayBuffer(24);
        const made = queries.get(name)!(source) as unknown as {
          pick(...columns: string[]): typeof made;
          to: (sink: unknown) => never;
        };
        const rows = determined ? made.pick(...determined) : made;
        const handle = started(name, rows.to(blackhole({ checksum })), { parallelism: slots, mode });
        if (rowsToRead !== null) {
          let failed = false;
          handle.result().catch(() => {
            failed = true;
          });
          for (;;) {
            if (failed || handle.metrics().rowsIn >= rowsToRead) break;
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
          if (!failed) await handle.stop({ drain: true });
        }
        const { lateRows, rowsIn } = await handle.result();
        expect(lateRows).toBe(0);
        // The sum of the rows that are there in the end, and how many.
        return { sum: new BigInt64Array(checksum).slice(0, 2).join(), rowsIn };
      };
      const ended = await summed(1, null);
      expect((await summed(parallelism, ended.rowsIn)).sum).toBe(ended.sum);
    });
  }
});
