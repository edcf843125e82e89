/**
 * How a benchmark is run: every engine once untimed, its result rows compared with the reference's; then timed turns in
 * alternation, medians. A benchmark is data: cases of engines. Nobody's time holds the making of JavaScript objects: a
 * result stays native while it is timed, and `rows` unpacks it for the comparison.
 */

export type EngineName = 'millrace' | 'duckdb' | 'polars' | 'plain-js';
export type Cell = number | bigint | string | boolean | null;

export interface Engine<Result = unknown> {
  readonly name: EngineName;
  /** Slots or threads. */
  readonly slots: number;
  /** The timed work, from data that is loaded to a native result. */
  run(): Promise<Result>;
  /** All result rows, in any order. Untimed. */
  rows(result: Result): Promise<readonly (readonly Cell[])[]> | readonly (readonly Cell[])[];
  close?(): Promise<void> | void;
}

/** A measure that is no race: a latency, a slope, bytes. */
export interface Measure {
  readonly value: number;
  readonly unit: string;
  /** Whether the answer behind it was checked. */
  readonly checked: boolean;
  readonly note?: string;
}

export interface CaseOptions {
  readonly rows: number;
  readonly slots: number;
  /** As small as shows that it works. */
  readonly smoke: boolean;
}

export interface BenchCase {
  /** Stable: `10k-i64`. */
  readonly name: string;
  /** Rows of the full run. */
  readonly rows: number;
  /** Rivals and we, on the same data. */
  readonly engines?: (options: CaseOptions) => Promise<readonly Engine[]>;
  /** Instead of a race. */
  readonly measure?: (
    options: CaseOptions,
  ) => Promise<readonly (Measure & { readonly engine: EngineName; readonly name: string })[]>;
  /** Slot counts that make sense; default 1 and 2. */
  readonly slots?: readonly number[];
  /** What must be reached, for the report: `duckdb × 0.8`. */
  readonly bar: string;
}

export interface Bench {
  readonly name: string;
  readonly describe: string;
  readonly cases: readonly BenchCase[];
}

/** One line of `--json`. */
export interface Line {
  readonly bench: string;
  readonly case: string;
  readonly engine: EngineName;
  readonly slots: number;
  readonly rows: number;
  readonly ms?: number;
  readonly msMin?: number;
  readonly msMax?: number;
  /** CPU time of the whole process in a turn, median: what a busy machine leaves comparable. 0 where a child did the work. */
  readonly cpuMs?: number;
  /** Its time ÷ ours: above 1, we are faster. Absent on our own line. */
  readonly ratio?: number;
  readonly measure?: string;
  readonly value?: number;
  readonly unit?: string;
  readonly checked: boolean;
}

export async function runCase(
  bench: Bench,
  one: BenchCase,
  options: CaseOptions & { readonly turns: number },
): Promise<Line[]> {
  const head = { bench: bench.name, case: one.name, slots: options.slots, rows: options.rows };
  if (one.measure) {
    const measures = await one.measure(options);
    return measures.map(({ engine, name, value, unit, checked }) => ({
      ...head,
      engine,
      measure: name,
      value,
      unit,
      checked,
    }));
  }
  const engines = await one.engines!(options);
  try {
    const checked = await compare(engines);
    const times = engines.map((): number[] => []);
    const cpuTimes = engines.map((): number[] => []);
    for (let turn = 0; turn < options.turns; turn++) {
      for (const [i, engine] of engines.entries()) {
        collectGarbage();
        const cpu = process.cpuUsage();
        const start = performance.now();
        await engine.run();
        times[i]!.push(performance.now() - start);
        const { user, system } = process.cpuUsage(cpu);
        cpuTimes[i]!.push((user + system) / 1000);
      }
    }
    const ours = median(times[engines.findIndex((engine) => engine.name === 'millrace')]!);
    return engines.map((engine, i) => {
      const ms = median(times[i]!);
      const line = {
        ...head,
        engine: engine.name,
        slots: engine.slots,
        ms: round(ms),
        msMin: round(Math.min(...times[i]!)),
        msMax: round(Math.max(...times[i]!)),
        cpuMs: round(median(cpuTimes[i]!)),
        checked: checked[i]!,
      };
      return engine.name === 'millrace' ? line : { ...line, ratio: round(ms / ours) };
    });
  } finally {
    for (const engine of engines) await engine.close?.();
  }
}

/** The untimed turn: every engine's rows against the first rival's. */
async function compare(engines: readonly Engine[]): Promise<boolean[]> {
  const canonical: string[][] = [];
  for (const engine of engines) canonical.push(normal(await engine.rows(await engine.run())));
  const reference = canonical[engines.findIndex((engine) => engine.name !== 'millrace')] ?? canonical[0]!;
  return canonical.map((rows) => rows.length === reference.length && rows.every((row, i) => row === reference[i]));
}

/** Nobody pays in its turn for what another left behind. Needs `node --expose-gc`. */
const collectGarbage = (): void => (globalThis as { gc?: () => void }).gc?.();

/** Rows as sorted text; sums of doubles may differ in the last digits. */
function normal(rows: readonly (readonly Cell[])[]): string[] {
  return rows.map((row) => row.map(cellText).join('|')).sort();
}

function cellText(cell: Cell): string {
  if (typeof cell === 'number' && !Number.isInteger(cell)) return Number(cell.toPrecision(10)).toString();
  return String(cell);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const round = (value: number): number => Number(value.toPrecision(4));
