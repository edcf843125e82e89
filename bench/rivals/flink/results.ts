/** What has been measured: a file of JSON per case, so that a comparison that was stopped goes on where it was. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { median } from '../../harness.ts';
import type { Case } from './cases.ts';

export interface Run {
  readonly ms: number;
  readonly cpuMs: number;
  /** Rows handed to the sink, corrections among them. */
  readonly rowsOut: number;
  readonly digest: string | null;
  /** Of ours. */
  readonly windowsClosed?: number;
}

export class Results {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  runs(of: Case): readonly Run[] {
    const file = this.#file(of);
    if (!existsSync(file)) return [];
    const { events, runs } = JSON.parse(readFileSync(file, 'utf8')) as { events: number; runs: Run[] };
    // Of another size they are of another comparison.
    return events === of.events ? runs : [];
  }

  add(of: Case, run: Run): void {
    const runs = [...this.runs(of), run];
    writeFileSync(this.#file(of), `${JSON.stringify({ ...of, runs }, null, 1)}\n`);
  }

  /** Medians; null: it has not been measured. */
  median(of: Case): Run | null {
    const runs = this.runs(of);
    if (runs.length === 0) return null;
    const middle = (value: (run: Run) => number): number => median(runs.map(value));
    return { ...runs.at(-1)!, ms: middle((run) => run.ms), cpuMs: middle((run) => run.cpuMs) };
  }

  forget(of: Case): void {
    rmSync(this.#file(of), { force: true });
  }

  #file({ engine, query, parallelism, backend }: Case): string {
    return join(this.#folder, `${engine}-${query}-p${parallelism}-${backend}.json`);
  }
}
