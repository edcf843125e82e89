/**
 * The whole engine on one thread from a seed: jobs of a dozen shapes, a virtual clock, a simulated disk, faults at every
 * step; what the committed files hold in the end is compared with a plain model. Every hundredth seed is run twice. Two
 * processes share the seeds.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { bundleOf, simulationFlags } from '../simulate/bundle.ts';
import type { LongSuite } from './suite.ts';

const root = join(import.meta.dirname, '..', '..');
const processes = 2;

interface Seeds {
  readonly lived: number;
  readonly failures: readonly string[];
  readonly coverage: Readonly<Record<string, number>>;
}

export const suite: LongSuite = {
  name: 'simulate',
  describe: 'jobs that crash, fail, stall and are rescaled, on a simulated disk, hold every result once',
  cases: 100_000,
  casesInCi: 1000,
  async run({ cases, seed, log }) {
    const file = await bundleOf(root, 'seeds');
    const share = Math.ceil(cases / Math.min(processes, cases));
    const runs: Promise<Seeds>[] = [];
    for (let from = 0; from < cases; from += share)
      runs.push(runSeeds(file, seed + from, Math.min(share, cases - from), log));
    const coverage: Record<string, number> = {};
    const failures: string[] = [];
    let lived = 0;
    for (const part of await Promise.all(runs)) {
      lived += part.lived;
      failures.push(...part.failures);
      for (const [what, count] of Object.entries(part.coverage)) coverage[what] = (coverage[what] ?? 0) + count;
    }
    return { cases: lived, failures, coverage };
  },
};

async function runSeeds(file: string, from: number, count: number, log: (line: string) => void): Promise<Seeds> {
  const child = spawn(process.execPath, [...simulationFlags, file, String(from), String(count)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  createInterface({ input: child.stderr }).on('line', log);
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const last = said.trim().split('\n').at(-1) ?? '';
  if (code !== 0 || last === '') throw new Error(`seeds from ${from}: the process ended with ${code} and no result`);
  return JSON.parse(last) as Seeds;
}
