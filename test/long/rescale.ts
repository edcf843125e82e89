/**
 * Every example, from parallelism p to q, for p and q in {1, 2, 3, 5, 8}: by a crash or by a savepoint, at a random moment.
 * What its files hold is compared with a plain loop over the same rows.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createJiti } from 'jiti';
import { prng } from '../../core/base/prng.ts';
import type { Example, Lives } from './rescaled/lives.ts';
import type { LongSuite } from './suite.ts';

const parallelisms = [1, 2, 3, 5, 8];
const pairs = parallelisms.flatMap((from) => parallelisms.map((to) => ({ from, to })));
const rows: Readonly<Record<Example, number>> = {
  alerts: 20_000,
  flights: 0,
  fraud: 5000,
  monitoring: 5000,
  rules: 5000,
  telemetry: 12_000,
};
const names = Object.keys(rows) as Example[];
/** By end. */
type Answer = Readonly<Record<string, readonly string[]>>;

export const suite: LongSuite = {
  name: 'rescale',
  describe:
    'every example from one parallelism to another, by crash or savepoint: its files hold what a plain loop says',
  cases: 2 * pairs.length * names.length,
  casesInCi: names.length * 2,
  async run({ cases, seed, log }) {
    const source = (name: string): string => fileURLToPath(new URL(`../../${name}.ts`, import.meta.url));
    const jiti = createJiti(import.meta.url, {
      alias: {
        'millrace/functions': source('functions'),
        'millrace/testing': source('testing'),
        millrace: source('index'),
      },
    });
    const { lived } = (await jiti.import('./rescaled/lives.ts')) as typeof import('./rescaled/lives.ts');
    const failures: string[] = [];
    const coverage: Record<string, number> = { crash: 0, savepoint: 0, pairs: 0 };
    const seen = new Set<string>();
    const folder = mkdtempSync(join(tmpdir(), 'millrace-rescale-'));
    const write = process.stdout.write;
    try {
      const answers = await answersOf(folder);
      // Some examples print, too.
      process.stdout.write = (() => true) as typeof write;
      for (let i = 0; i < cases && failures.length < 10; i++) {
        const random = prng(seed + i);
        const example = names[i % names.length]!;
        // Each example meets each pair, once by a crash and once by a savepoint.
        const turn = Math.floor(i / names.length);
        const pair = pairs[cases < suite.cases ? random.below(pairs.length) : turn % pairs.length]!;
        const by = (turn + Math.floor(turn / pairs.length)) % 2 === 0 ? 'crash' : 'savepoint';
        const { params, all, answer } = answers[example];
        const rowsBefore = Math.floor(all * (0.1 + random.below(700) / 1000));
        const where = `seed ${seed + i}, ${example}, ${pair.from} to ${pair.to} by ${by} after ${rowsBefore} rows`;
        try {
          const wrong = difference(answer, await lived({ example, params, ...pair, by, rowsBefore, random } as Lives));
          if (wrong !== null) failures.push(`${where}: ${wrong}`);
        } catch (error) {
          failures.push(`${where}: ${error instanceof Error ? error.stack?.slice(0, 800) : error}`);
        }
        coverage[by]!++;
        coverage[example] = (coverage[example] ?? 0) + 1;
        seen.add(`${pair.from} ${pair.to}`);
        if (i % 30 === 29) log(`rescale: ${i + 1} of ${cases}, ${failures.length} failures`);
      }
    } finally {
      process.stdout.write = write;
      rmSync(folder, { recursive: true, force: true });
    }
    coverage.pairs = seen.size;
    return { cases, failures, coverage };
  },
};

interface Wanted {
  readonly params: Readonly<Record<string, unknown>>;
  /** Rows that its sources have. */
  readonly all: number;
  readonly answer: Answer;
}

/** Plain loops over the rows of each example. */
async function answersOf(folder: string): Promise<Readonly<Record<Example, Wanted>>> {
  const { collect, from, parquet, run } = await import('millrace');
  const { models } = await import('../../examples/models.ts');
  const { samples } = await import('../../examples/alerts.ts');
  const { readings } = await import('../../examples/telemetry.ts');
  const wanted = (example: Example, answer: Answer, all = rows[example]): Wanted => ({
    params: { rows: rows[example] },
    all,
    answer,
  });
  const modelled = async (example: Example): Promise<Wanted> => wanted(example, await models[example]!(rows[example]));

  // Some airports' flights: three million would take their time at 300 restarts.
  const flights = fileURLToPath(new URL('../data/flights-3m.parquet', import.meta.resolve('vega-datasets')));
  const data = join(folder, 'flights');
  const some = from(parquet(flights)).filter((f) =>
    (f as never as { origin: { lt(than: string): never } }).origin.lt('ABQ'),
  );
  await run(some.to(parquet(data)), { parallelism: 2 }).result();
  const flown = (await collect(from(parquet(data)), { parallelism: 1 })) as unknown as Flight[];
  return {
    alerts: wanted('alerts', alertsOf((await collect(from(samples(rows.alerts)), { parallelism: 1 })) as Sample[])),
    flights: {
      params: { data: join(data, readdirSync(data).length > 1 ? '*.parquet' : (readdirSync(data)[0] as string)) },
      all: flown.length,
      answer: { days: daysOf(flown) },
    },
    fraud: await modelled('fraud'),
    monitoring: await modelled('monitoring'),
    rules: await modelled('rules'),
    telemetry: wanted(
      'telemetry',
      minutesOf((await collect(from(readings(rows.telemetry)), { parallelism: 1 })) as Reading[]),
    ),
  };
}

interface Flight {
  readonly origin: string;
  readonly date: Date;
  readonly delay: number | null;
}
function daysOf(flights: readonly Flight[]): string[] {
  const dayMs = 86_400_000;
  return grouped(flights, ({ origin, date }) =>
    JSON.stringify([origin, Math.floor(date.getTime() / dayMs) * dayMs]),
  ).map(([key, own]) => {
    const [origin, start] = JSON.parse(key) as [string, number];
    const delays = own.flatMap(({ delay }) => (delay === null ? [] : [delay]));
    return JSON.stringify({
      origin,
      window: window(start, dayMs),
      flights: own.length,
      mean: delays.length === 0 ? null : total(delays) / delays.length,
      worst: delays.length === 0 ? null : Math.max(...delays),
      late: delays.filter((delay) => delay > 15).length / own.length,
    });
  });
}

interface Sample {
  readonly machine: number;
  readonly at: Date;
  readonly load: number;
  readonly watts: number;
}
function alertsOf(samples: readonly Sample[]): Answer {
  const minuteMs = 60_000;
  const alerts = samples
    .filter(({ load, watts }) => load > 0.999 && watts > 500)
    .map(({ machine, load, watts, at }) =>
      JSON.stringify({
        machine,
        level: watts > 800 ? 'critical' : 'warning',
        text: `machine ${machine}: ${(load * 100).toFixed(2)} % at ${watts} W`,
        at,
      }),
    );
  const machines = grouped(
    samples,
    ({ machine, at }) => `${machine} ${Math.floor(at.getTime() / minuteMs) * minuteMs}`,
  ).map(([key, own]) => {
    const [machine, start] = key.split(' ').map(Number) as [number, number];
    const peak = Math.max(...own.map(({ load }) => load));
    const watts = total(own.map((sample) => sample.watts));
    return JSON.stringify({ machine, window: window(start, minuteMs), samples: own.length, peak, watts });
  });
  return { alerts, machines };
}

interface Reading {
  readonly device: string;
  readonly at: Date;
  readonly celsius: number | null;
}
/** Of ended input no reading is late. */
function minutesOf(readings: readonly Reading[]): Answer {
  const minuteMs = 60_000;
  const rollup = grouped(readings, ({ device, at }) =>
    JSON.stringify([device, Math.floor(at.getTime() / minuteMs) * minuteMs]),
  ).map(([key, own]) => {
    const [device, start] = JSON.parse(key) as [string, number];
    const known = own.flatMap(({ celsius }) => (celsius === null ? [] : [celsius]));
    const mean = known.length === 0 ? null : total(known) / known.length;
    const peak = known.length === 0 ? null : Math.max(...known);
    return JSON.stringify({ device, minute: new Date(start), readings: own.length, mean, peak });
  });
  return { rollup, late: [] };
}

const total = (of: readonly number[]): number => of.reduce((sum, one) => sum + one, 0);

function grouped<R>(of: readonly R[], keyOf: (row: R) => string): [string, R[]][] {
  const groups = new Map<string, R[]>();
  for (const row of of) {
    const group = groups.get(keyOf(row));
    if (group) group.push(row);
    else groups.set(keyOf(row), [row]);
  }
  return [...groups];
}

/** As a jsonl file has it. */
const window = (startMs: number, ms: number): { readonly start: Date; readonly end: Date } => ({
  start: new Date(startMs),
  end: new Date(startMs + ms),
});

/** Null: each end has each line once. Means may differ in the last digits, which depend on the order of summing. */
function difference(expected: Answer, found: ReadonlyMap<string, readonly string[]>): string | null {
  const settled = (line: string): string =>
    JSON.stringify(
      Object.entries(JSON.parse(line) as object).sort(([a], [b]) => (a < b ? -1 : 1)),
      (_key, value) =>
        typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(12)) : (value as unknown),
    );
  const one = found.size > 0 && [...found.keys()].every((name) => name.includes('.'));
  for (const [end, lines] of Object.entries(expected)) {
    const own = one ? [...found.values()].flat() : (found.get(end) ?? []);
    const left = new Map<string, number>();
    for (const line of lines.map(settled)) left.set(line, (left.get(line) ?? 0) + 1);
    const extra: string[] = [];
    for (const line of own.map(settled)) {
      const n = left.get(line) ?? 0;
      if (n === 0) extra.push(line);
      else left.set(line, n - 1);
    }
    const missing = [...left].filter(([, n]) => n > 0).map(([line]) => line);
    if (missing.length + extra.length > 0) {
      return `${end}: ${missing.length} missing (${missing[0]}), ${extra.length} too many (${extra[0]}), of ${lines.length}`;
    }
  }
  return null;
}
