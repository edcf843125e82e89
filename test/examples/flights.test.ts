/** The flights of examples/flights.ts, in both regimes, against DuckDB over the same file; and the demo around them. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { beforeAll, describe, expect, test } from 'vitest';
import flights from '../../examples/flights.ts';
import { drained, millrace, node, root, rowsIn, sorted, temporary } from './support.ts';

const data = fileURLToPath(new URL('../data/flights-3m.parquet', import.meta.resolve('vega-datasets')));

interface Day {
  readonly origin: string;
  readonly day: string;
  readonly flights: number;
  readonly mean: number | null;
  readonly worst: number | null;
  readonly late: number;
}

let expected: readonly Day[];
let worst: readonly Day[];

beforeAll(async () => {
  const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
  const query = `
    SELECT origin, strftime(date_trunc('day', date), '%Y-%m-%d') AS day, count(*)::DOUBLE AS flights,
      avg(delay) AS mean, max(delay)::DOUBLE AS worst, count(*) FILTER (delay > 15) / count(*) AS late
    FROM '${data}' GROUP BY ALL`;
  const rows = async (sql: string): Promise<readonly Day[]> =>
    (await duckdb.runAndReadAll(sql)).getRowObjectsJson() as unknown as Day[];
  expected = sorted((await rows(query)).map(plain));
  worst = (await rows(`SELECT * FROM (${query}) WHERE flights >= 20 ORDER BY mean DESC LIMIT 10`)).map(plain);
});

describe('flights', () => {
  test('of ended input, by the command line: every airport-day and the ten worst as DuckDB has them', async () => {
    const out = temporary();
    const { stdout, stderr } = await millrace('flights.ts', out);
    expect(daysIn(out)).toEqual(expected);
    expect(tableOf(stdout)).toEqual(worst.map(printed));
    expect(stderr).toMatch(/^3,000,000 rows in, 39,962 rows out in .* rows\/s$/m);
  });

  for (const parallelism of [1, 2, 3]) {
    test(`as a stream at parallelism ${parallelism}: the same answer, and late rows are counted`, async () => {
      const out = temporary();
      const { lateRows, ...result } = await drained(flights, { out }, parallelism);
      const onTime = daysIn(out).reduce((all, day) => all + day.flights, 0);
      console.log(`flights at parallelism ${parallelism}: ${onTime} rows on time, ${lateRows} late`);
      expect(result.rowsIn).toBe(3_000_000);
      expect(onTime + lateRows).toBe(3_000_000);
      expect(lateRows).toBe(0);
      expect(daysIn(out)).toEqual(expected);
    });
  }
});

describe('the demo', () => {
  const demo = join(root, 'examples', 'demo.mjs');
  const onTerminal = ['--import', join(import.meta.dirname, 'terminal.mjs'), demo];

  test('prints the ten worst, its speed, the time to the first result and where the rest is', async () => {
    const out = temporary();
    const { stdout, stderr } = await node([demo, '-p', '2'], out);
    expect(tableOf(stdout)).toEqual(worst.map(printed));
    expect(stdout).toMatch(/^3,000,000 flights in \d+\.\d\d s: [\d,]+ rows\/s$/m);
    expect(stdout).toMatch(/^first result after \d+\.\d\d s$/m);
    expect(stdout).toMatch(/^CPU: slot 0 .*slot 1 .*calling thread/m);
    expect(stdout).toMatch(/^all airport-days: out\/flights\/\*\.jsonl$/m);
    expect(stderr).toBe('');
    expect(daysIn(join(out, 'out', 'flights'))).toEqual(expected);
  });

  test('shows progress on a terminal', async () => {
    const { stderr } = await node(onTerminal, temporary());
    expect(stderr).toMatch(/\r3,000,000 rows \(100 %\)/);
    expect(stderr.endsWith('\r\x1b[K')).toBe(true);
  });

  test('as a stream redraws the ten worst, counts late rows and compares the answers', async () => {
    const { stdout } = await node([...onTerminal, '--stream'], temporary());
    const tables = stdout.split('┌').slice(1);
    // The cursor goes up, and what is below it goes.
    expect(stdout).toContain('A\u001b[0J');
    expect(tables.length).toBeGreaterThanOrEqual(3);
    // The last that was drawn of the stream, and the one of the ended file.
    expect(tables.slice(-2).map(tableOf)).toEqual([worst.map(printed), worst.map(printed)]);
    expect(stdout).toMatch(/^0 rows came too late for their day\.$/m);
    expect(stdout).toMatch(/^Compared: all 39,952 airport-days are the same\.$/m);
  });
});

/** What examples/flights.ts writes, in the shape that DuckDB answers. */
function daysIn(folder: string): Day[] {
  type Row = Omit<Day, 'day'> & { readonly window: { readonly start: string } };
  return sorted(rowsIn<Row>(folder).map(({ window, ...row }) => plain({ ...row, day: window.start.slice(0, 10) })));
}

/** Keys in one order; the two engines' sums of whole numbers are exact, so that their quotients are equal to the last bit. */
const plain = ({ origin, day, flights, mean, worst, late }: Day): Day => ({ origin, day, flights, mean, worst, late });

/** Rows of the printed table, as texts. */
function tableOf(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('│'))
    .map((line) =>
      line
        .split('│')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .filter(([first]) => first !== 'origin');
}

const printed = (day: Day): string[] => [
  day.origin,
  day.day,
  String(day.flights),
  String(Math.round(day.mean! * 10) / 10),
  String(day.worst),
  String(Math.round(day.late * 1000) / 1000),
];
