// Builds the package into dist/: TypeScript by tsc, kernels by AssemblyScript. Both are skipped when nothing changed.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const root = join(dirname(new URL(import.meta.url).pathname), '..');
process.chdir(root);
const bin = (name) => join('node_modules', '.bin', name);

function digest(paths) {
  const hash = createHash('sha256');
  const visit = (path) => {
    if (statSync(path).isDirectory()) {
      for (const name of readdirSync(path).sort()) if (name !== 'node_modules') visit(join(path, name));
    } else if (/\.(ts|json|mjs)$/.test(path)) hash.update(path).update(readFileSync(path));
  };
  for (const path of paths) if (existsSync(path)) visit(path);
  return hash.digest('hex');
}

async function step(name, inputs, outputs, work) {
  const stamp = join('dist', `.${name}.stamp`);
  const now = digest(inputs);
  if (existsSync(stamp) && outputs.every((o) => existsSync(o)) && readFileSync(stamp, 'utf8') === now) return;
  mkdirSync('dist', { recursive: true });
  await work();
  writeFileSync(stamp, now);
}

/** One .wasm per entry under kernels/assembly: `index` is in every slot, the others are loaded where needed. */
const modules = { index: 'kernels.wasm', parquet: 'parquet.wasm', nexmark: 'nexmark.wasm' };
for (const [entry, file] of Object.entries(modules)) {
  const from = join('kernels', 'assembly', `${entry}.ts`);
  if (!existsSync(from)) continue;
  await step(
    `asc-${entry}`,
    [
      'kernels/assembly',
      'core/ports/page-layout.ts',
      'core/ports/ordered-layout.ts',
      'core/ports/rows-layout.ts',
      'core/record/frame-layout.ts',
      'scripts/build.mjs',
    ],
    [join('dist', 'kernels', file)],
    () => {
      mkdirSync(join('dist', 'kernels'), { recursive: true });
      execFileSync(
        bin('asc'),
        [
          from,
          '-o',
          join('dist', 'kernels', file),
          '--importMemory',
          '--noExportMemory',
          '--sharedMemory',
          '--initialMemory',
          '1',
          '--maximumMemory',
          '65536',
          '--zeroFilledMemory',
          '--runtime',
          'stub',
          '--enable',
          'simd,threads,bulk-memory',
          '-O3',
          '--converge',
          '--noAssert',
          ...(process.env.KERNELS_WAT ? ['-t', join('dist', 'kernels', `${entry}.wat`)] : []),
        ],
        { stdio: ['ignore', 'inherit', 'inherit'] },
      );
    },
  );
}

const sources = [
  'index.ts',
  'functions.ts',
  'nexmark.ts',
  'testing.ts',
  'core',
  'kernels',
  'workers',
  'state',
  'connectors',
  'engine',
  'testing',
  'cli',
  'bench',
  'tsconfig.json',
  'tsconfig.build.json',
];
await step('tsc', sources, [join('dist', 'index.js')], () => {
  try {
    execFileSync(bin('tsc'), ['-p', 'tsconfig.build.json'], { stdio: ['ignore', 'inherit', 'inherit'] });
  } catch {
    console.error('build: the types above are wrong');
    process.exit(1);
  }
});

/**
 * Processes and threads start often and would load a hundred files each: one file per entry, with its lazy parts beside
 * it and without blanks and comments, loads in a third of the time. Names stay: stack traces are read. What the caller
 * imports (the public modules, the command) is one bundle, so that a job file and the command share their modules.
 */
const bundles = {
  threads: ['engine/worker-main.js', 'engine/coordinator-main.js'],
  caller: ['index.js', 'functions.js', 'nexmark.js', 'testing.js', 'cli/main.js'],
};
const external = ['piscina', 'apache-arrow', 'jiti', 'cli-table3', 'commander'];
const minify = false;

for (const [name, entries] of Object.entries(bundles)) {
  const dir = join('dist', 'bundle', name);
  const outputs = entries.map((entry) => join(dir, basename(entry)));
  await step(name, sources, outputs, async () => {
    rmSync(dir, { recursive: true, force: true });
    const { rolldown } = await import('rolldown');
    const bundle = await rolldown({
      input: entries.map((entry) => join('dist', entry)),
      external,
      platform: 'node',
      logLevel: 'warn',
    });
    await bundle.write({ dir, format: 'esm', comments: false, minify });
    await bundle.close();
  });
}
