/** Damaged Parquet files, read in child processes with a memory cap: rows or a typed error, never a trap, hang or overrun. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FuzzReport } from '../parquet/fuzz-child.ts';
import type { LongReport, LongSuite } from './suite.ts';

const casesPerChild = 5_000;
const heapMb = 192;
/** The child's own heap, code and file buffers, and the slot's 32 MB. */
const rssMbMax = 450;
const childMsMax = 600_000;

export const suite: LongSuite = {
  name: 'fuzz-parquet',
  describe: 'changed footers, page headers, levels, indices, lengths and compressed bytes of Parquet files',
  cases: 100_000,
  casesInCi: 3_000,
  async run({ cases, seed, log }): Promise<LongReport> {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-fuzz-'));
    const progress = join(directory, 'case');
    const failures: string[] = [];
    const coverage: Record<string, number> = { 'footers passed': 0, 'read whole': 0, 'pages: source/corrupt': 0 };
    for (const kernel of kernels) coverage[kernel] = 0;
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
      log(`fuzz-parquet: ${first + n} of ${cases}, ${failures.length} failures, ${Math.round(maxRssMb)} MB`);
    }
    rmSync(directory, { recursive: true, force: true });
    const passed = coverage['footers passed'] ?? 0;
    if (passed * 3 < cases) failures.push(`only ${passed} of ${cases} cases passed the footer`);
    if (maxRssMb > rssMbMax) failures.push(`a process took ${Math.round(maxRssMb)} MB`);
    return { cases, failures, coverage: Object.fromEntries(Object.entries(coverage).sort()) };
  },
};

/** Kernels that every run must reach. */
const kernels = [
  'castValues',
  'copyBits',
  'deltaIntegers',
  'fixedViews',
  'gather64',
  'hybridBits',
  'hybridValues',
  'lengthViews',
  'lz4Step',
  'plainViews',
  'prefixViews',
  'snappyStep',
  'spread128',
  'spread32',
  'spread64',
  'spreadBits',
  'unsplit',
  'zstdStep',
];

function child(given: readonly string[]): Promise<string> {
  const script = fileURLToPath(new URL('../parquet/fuzz-child.ts', import.meta.url));
  const options = { maxBuffer: 1 << 26, timeout: childMsMax, killSignal: 'SIGKILL' } as const;
  const flags = [`--max-old-space-size=${heapMb}`, '--import', 'jiti/register', script, ...given];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, flags, options, (error, stdout, stderr) => {
      if (error) reject(new Error(`${error.signal ?? error.code}: ${stderr.slice(-2000)}`));
      else resolve(stdout);
    });
  });
}
