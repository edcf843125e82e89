/**
 * The demo's query over its real file, from the file to the answer: per origin airport and day in event time, then the ten
 * worst. Warm: the process has run it before. Cold: a process from its start to its end.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Bench, CaseOptions, Cell, Engine, EngineName } from './harness.ts';
import { flightsEngine, flightsRows } from './rivals/flights.ts';

export const flights: Bench = {
  name: 'flights',
  describe: "the demo's query over 3 M real flights, from the Parquet file to the answer",
  cases: [
    { name: 'warm', rows: flightsRows, bar: 'plain-js × 10, duckdb × 0.5', engines: warm },
    { name: 'cold', rows: flightsRows, bar: 'shown', engines: async (options) => cold(options) },
  ],
};

async function warm({ slots }: CaseOptions): Promise<Engine[]> {
  const names: EngineName[] = ['millrace', 'duckdb', 'plain-js'];
  return Promise.all(names.map((name) => flightsEngine(name, slots)));
}

/** Whole processes: Node's start and the loading of packages included. */
function cold({ slots }: CaseOptions): Engine[] {
  const script = fileURLToPath(new URL('./children/flights.js', import.meta.url));
  const child = async (name: EngineName, what: 'run' | 'rows'): Promise<string> => {
    const { stdout } = await promisify(execFile)(process.execPath, [script, name, String(slots), what], {
      maxBuffer: 1 << 28,
    });
    return stdout;
  };
  return (['millrace', 'duckdb', 'plain-js'] as const).map(
    (name): Engine => ({
      name,
      slots: name === 'plain-js' ? 1 : slots,
      run: () => child(name, 'run'),
      rows: async () => JSON.parse(await child(name, 'rows')) as Cell[][],
    }),
  );
}
