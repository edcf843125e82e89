/**
 * The simulation as one file, run by a process that does not optimise: a seed's life is too short for that, each is another
 * job, and code that was optimised for one is thrown away by the next. Both together take half of the time of a seed.
 */
import { join } from 'node:path';
import { rolldown } from 'rolldown';

/** Flags of the processes that run the bundle. */
export const simulationFlags = ['--no-opt', '--sparkplug', '--liftoff-only', '--max-semi-space-size=64'];

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
