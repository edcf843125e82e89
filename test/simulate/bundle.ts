/**
 * The simulation as one file, run by a process that optimises only what stays hot over many seeds: each is another job, and
 * code that was optimised for one is thrown away by the next (34 of 93 ms a seed were the compiler's by default). With a
 * budget ten times the usual, what all jobs share is optimised once, and a long run takes half the time of one that never does.
 */
import { join } from 'node:path';
import { rolldown } from 'rolldown';

/** Flags of the processes that run the bundle. */
export const simulationFlags = [
  '--interrupt-budget=1500000',
  '--sparkplug',
  '--liftoff-only',
  '--max-semi-space-size=64',
];

/** Bundles `test/simulate/<entry>.ts` of the tree at `root`; answers the file to run. Kernels must have been built there. */
export async function bundleOf(root: string, entry: 'seeds' | 'until-caught'): Promise<string> {
  const dir = join(root, 'dist', 'bundle', `simulate-${entry}`);
  const bundle = await rolldown({
    cwd: root,
    input: join(root, 'test', 'simulate', `${entry}.ts`),
    platform: 'node',
    external: ['piscina', 'apache-arrow', 'jiti', 'hyparquet', 'hyparquet-compressors'],
    logLevel: 'silent',
  });
  await bundle.write({ dir, format: 'esm' });
  await bundle.close();
  return join(dir, `${entry}.js`);
}
