/** Damaged JSON lines, read in child processes with a memory cap: what JSON.parse says of them or a typed error, never a trap, hang or overrun. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FuzzReport } from '../connectors/fuzz-jsonl-child.ts';
import type { LongReport, LongSuite } from './suite.ts';

const casesPerChild = 10_000;
const heapMb = 128;
/** The child's own heap, code and file buffers, and the slot's 16 MB. */
const rssMbMax = 350;
const childMsMax = 600_000;

export const suite: LongSuite = {
  name: 'fuzz-jsonl',
  describe: 'changed JSON lines in random splits: the kernel agrees with JSON.parse row by row and error by error',
  cases: 100_000,
  casesInCi: 5_000,
  async run({ cases, seed, log }): Promise<LongReport> {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-fuzz-'));
    const progress = join(directory, 'case');
    const failures: string[] = [];
    const coverage: Record<string, number> = {
      'kernel: all lines taken': 0,
      'kernel: batch full': 0,
      'kernel: line refused': 0,
      'lines read': 0,
      'lines refused': 0,
      'cases read whole': 0,
      'cases with a bad line': 0,
      'columns found': 0,
    };
    let maxRssMb = 0;
    for (let first = 0; first < cases; first += casesPerChild) {
      const n = Math.min(casesPerChild, cases - first);
      try {
        const report = JSON.parse(await child([`${seed}`, `${first}`, `${n}`, progress])) as FuzzReport;
        failures.push(...report.failures);
        for (const [what, times] of Object.entries(report.coverage)) coverage[what] = (coverage[what] ?? 0) + times;
        maxRssMb = Math.max(maxRssMb, report.maxRssMb);
      } catch (error) {
        failures.push(`seed ${seed} case ${readFileSync(progress, 'utf8').trim()}: the process died: ${error}`);
      }
      log(`fuzz-jsonl: ${first + n} of ${cases}, ${failures.length} failures, ${Math.round(maxRssMb)} MB`);
    }
    rmSync(directory, { recursive: true, force: true });
    if (coverage['cases read whole']! * 3 < cases)
      failures.push(`only ${coverage['cases read whole']} of ${cases} cases were read whole`);
    if (maxRssMb > rssMbMax) failures.push(`a process took ${Math.round(maxRssMb)} MB`);
    return { cases, failures, coverage: Object.fromEntries(Object.entries(coverage).sort()) };
  },
};

function child(given: readonly string[]): Promise<string> {
  const script = fileURLToPath(new URL('../connectors/fuzz-jsonl-child.ts', import.meta.url));
  const options = { maxBuffer: 1 << 26, timeout: childMsMax, killSignal: 'SIGKILL' } as const;
  const flags = [`--max-old-space-size=${heapMb}`, '--import', 'jiti/register', script, ...given];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, flags, options, (error, stdout, stderr) => {
      if (error) reject(new Error(`${error.signal ?? error.code}: ${stderr.slice(-2000)}`));
      else resolve(stdout);
    });
  });
}
