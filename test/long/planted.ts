/**
 * The simulation is checked: bugs kept as patches are planted in a copy of the tree, one at a time, and the simulation has to
 * find each of them. A patch that does not apply any more fails as well. The untouched copy must pass.
 */
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { bundleOf, simulationFlags } from '../simulate/bundle.ts';
import type { LongSuite } from './suite.ts';

const root = join(import.meta.dirname, '..', '..');
const patches = join(root, 'test', 'simulate', 'planted');
/** What the simulation is made of. */
const parts = [
  ...['core', 'kernels', 'state', 'connectors', 'workers', 'engine', 'testing', 'test/simulate'],
  ...['index.ts', 'functions.ts', 'testing.ts', 'package.json', 'tsconfig.json', 'dist/kernels'],
];
/** Seeds that a bug may take to be found. */
const seedsMax = 800;
/** A planted bug may stop everything: that is found, too. */
const stuckMs = 240_000;

export const suite: LongSuite = {
  name: 'planted',
  describe: 'bugs planted in a copy of the engine are found by the simulation, each by a seed',
  cases: Number.POSITIVE_INFINITY,
  casesInCi: 2,
  async run({ cases, seed, log }) {
    const names = readdirSync(patches)
      .filter((name) => name.endsWith('.patch'))
      .sort()
      .slice(0, cases);
    const failures: string[] = [];
    const coverage: Record<string, number> = {};
    for (const name of names) {
      const bug = name.slice(0, -'.patch'.length);
      const copy = mkdtempSync(join(tmpdir(), 'planted-'));
      try {
        for (const part of parts) {
          if (existsSync(join(root, part))) cpSync(join(root, part), join(copy, part), { recursive: true });
        }
        symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
        execFileSync('git', ['apply', '--whitespace=nowarn', join(patches, name)], { cwd: copy, stdio: 'pipe' });
        const caught = await untilCaught(copy, 1 + (seed % 1000), seedsMax);
        coverage[bug] = caught ? 1 : 0;
        if (caught) log(`planted: ${bug}: seed ${caught.seed}: ${caught.what.slice(0, 300)}`);
        else failures.push(`${bug} was not found in ${seedsMax} seeds`);
      } catch (error) {
        coverage[bug] = 0;
        failures.push(`${bug}: ${error instanceof Error ? error.message.slice(0, 500) : error}`);
      } finally {
        rmSync(copy, { recursive: true, force: true });
      }
    }
    return { cases: names.length, failures, coverage };
  },
};

interface Caught {
  readonly seed: number;
  readonly what: string;
}

async function untilCaught(copy: string, from: number, count: number): Promise<Caught | null> {
  const entry = await bundleOf(copy, 'until-caught');
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [...simulationFlags, entry, String(from), String(count)],
      { cwd: copy, timeout: stuckMs, killSignal: 'SIGKILL', maxBuffer: 1 << 24 },
    );
    return JSON.parse(stdout.trim().split('\n').at(-1)!) as Caught | null;
  } catch (error) {
    const { killed, stderr } = error as { killed?: boolean; stderr?: string };
    if (killed) return { seed: -1, what: `nothing came back within ${stuckMs / 1000} s` };
    throw new Error(stderr || String(error));
  }
}
