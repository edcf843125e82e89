/** The flights query for each engine: all airport-days, and the ten worst of those with at least 20 flights. */
import { open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Cell, Engine, EngineName } from '../harness.ts';

export const flightsRows = 3_000_000;
export const flightsPath = (): string =>
  fileURLToPath(new URL('../data/flights-3m.parquet', import.meta.resolve('vega-datasets')));

/** Loads what the engine needs and nothing of the others. */
export function flightsEngine(name: EngineName, slots: number): Promise<Engine> {
  switch (name) {
    case 'millrace':
      return ours(slots);
    case 'duckdb':
      return duck(slots);
    case 'plain-js':
      return plain();
    default:
      throw new Error(`no flights query for ${name}`);
  }
}

async function ours(slots: number): Promise<Engine> {
  const { arrowBatches, avg, count, desc, from, max, parquet, run, schema, t, tumble } = await import('../../index.ts');
  const { arrowRows } = await import('../data.ts');
  type Batches = Parameters<Parameters<typeof arrowBatches>[0]>[0][];
  const flight = schema({
    date: t.timestamp(6),
    delay: t.bigint().nullable(),
    distance: t.bigint(),
    origin: t.string(),
    destination: t.string(),
  });
  return {
    name: 'millrace',
    slots,
    async run() {
      const [days, worst]: [Batches, Batches] = [[], []];
      const perDay = from(parquet(flightsPath(), { schema: flight }))
        .eventTime('date', { outOfOrderness: '1 hour' })
        .groupBy('origin', tumble('1 day'))
        .aggregate((f) => ({
          flights: count(),
          mean: avg(f.delay),
          worst: max(f.delay),
          late: count().filter(f.delay.gt(15)).div(count()),
        }));
      const columns = perDay.select((d) => ({
        origin: d.origin,
        day: d.window.start,
        flights: d.flights,
        mean: d.mean,
        worst: d.worst,
        late: d.late,
      }));
      const ten = columns.filter((d) => d.flights.gte(20)).topN(10, { orderBy: desc('mean') });
      await run(
        { days: columns.to(arrowBatches((b) => days.push(b))), worst: ten.to(arrowBatches((b) => worst.push(b))) },
        { parallelism: slots },
      ).result();
      return [days, worst];
    },
    rows(result) {
      const [days, worst] = result as [Batches, Batches];
      const names = ['origin', 'day', 'flights', 'mean', 'worst', 'late'];
      return [
        ...arrowRows(days, names),
        ...arrowRows(worst, names).map((row): Cell[] => ['worst', row[2] as Cell, row[3] as Cell]),
      ];
    },
  };
}

async function duck(slots: number): Promise<Engine> {
  const { duckRows, openDuck } = await import('./duckdb.ts');
  const { connection, close } = await openDuck(slots);
  // The days are the answer too, and the ten worst come from them.
  const days = `CREATE OR REPLACE TEMP TABLE days AS
    SELECT origin, date_trunc('day', date)::TIMESTAMP AS day, count(*) AS flights, avg(delay) AS mean,
           max(delay) AS worst, count(*) FILTER (delay > 15) / count(*) AS late
    FROM read_parquet('${flightsPath()}') GROUP BY ALL`;
  const ten = 'SELECT * FROM days WHERE flights >= 20 ORDER BY mean DESC LIMIT 10';
  return {
    name: 'duckdb',
    slots,
    async run() {
      await connection.run(days);
      return connection.run(ten);
    },
    async rows(worst) {
      const all = await duckRows(await connection.run('SELECT * FROM days'));
      const first = await duckRows(worst as Parameters<typeof duckRows>[0]);
      return [...all, ...first.map((row): Cell[] => ['worst', row[2] as Cell, row[3] as Cell])];
    },
    close,
  };
}

interface Day {
  flights: number;
  delays: number;
  total: number;
  worst: number | null;
  late: number;
}
type Row = readonly [string, number, number, number | null, number | null, number];

/** hyparquet's columns, one row group after the other; a Map of Maps, one object to an airport and day. */
async function plain(): Promise<Engine> {
  const [{ parquetMetadataAsync, parquetRead }, { compressors }] = await Promise.all([
    import('hyparquet'),
    import('hyparquet-compressors'),
  ]);
  const columns = ['date', 'delay', 'origin'];
  return {
    name: 'plain-js',
    slots: 1,
    async run() {
      const handle = await open(flightsPath());
      try {
        const byteLength = (await handle.stat()).size;
        const file = {
          byteLength,
          async slice(from: number, to = byteLength): Promise<ArrayBuffer> {
            const bytes = new Uint8Array(to - from);
            await handle.read(bytes, 0, to - from, from);
            return bytes.buffer;
          },
        };
        const metadata = await parquetMetadataAsync(file);
        const airports = new Map<string, Map<number, Day>>();
        let rowStart = 0;
        for (const group of metadata.row_groups) {
          const rowEnd = rowStart + Number(group.num_rows);
          const read: Record<string, unknown[]> = {};
          await parquetRead({
            file,
            metadata,
            columns,
            rowStart,
            rowEnd,
            compressors,
            onChunk({ columnName, columnData }) {
              const part = Array.from(columnData as ArrayLike<unknown>);
              read[columnName] = read[columnName]?.concat(part) ?? part;
            },
          });
          rowStart = rowEnd;
          add(airports, read.date as Date[], read.delay as (bigint | null)[], read.origin as string[]);
        }
        return answer(airports);
      } finally {
        await handle.close();
      }
    },
    rows(result) {
      const { days, worst } = result as ReturnType<typeof answer>;
      return [...days, ...worst.map((row): Cell[] => ['worst', row[2], row[3]])];
    },
  };
}

function add(
  airports: Map<string, Map<number, Day>>,
  dates: readonly Date[],
  delays: readonly (bigint | null)[],
  origins: readonly string[],
): void {
  for (let i = 0; i < dates.length; i++) {
    let days = airports.get(origins[i]!);
    if (days === undefined) {
      days = new Map();
      airports.set(origins[i]!, days);
    }
    const start = Math.floor(dates[i]!.getTime() / 86_400_000);
    let day = days.get(start);
    if (day === undefined) {
      day = { flights: 0, delays: 0, total: 0, worst: null, late: 0 };
      days.set(start, day);
    }
    day.flights++;
    const of = delays[i];
    if (of === null || of === undefined) continue;
    const delay = Number(of);
    day.delays++;
    day.total += delay;
    if (day.worst === null || delay > day.worst) day.worst = delay;
    if (delay > 15) day.late++;
  }
}

function answer(airports: Map<string, Map<number, Day>>): { days: Row[]; worst: Row[] } {
  const days: Row[] = [];
  for (const [origin, perDay] of airports) {
    for (const [start, day] of perDay) {
      const mean = day.delays === 0 ? null : day.total / day.delays;
      days.push([origin, start * 86_400_000, day.flights, mean, day.worst, day.late / day.flights]);
    }
  }
  const worst = days
    .filter((row) => row[2] >= 20)
    .sort((a, b) => (b[3] ?? Number.NEGATIVE_INFINITY) - (a[3] ?? Number.NEGATIVE_INFINITY))
    .slice(0, 10);
  return { days, worst };
}
