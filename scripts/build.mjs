// Builds the package into dist/: TypeScript by tsc, kernels by AssemblyScript. Both are skipped when nothing changed.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

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

function step(name, inputs, outputs, work) {
  const stamp = join('dist', `.${name}.stamp`);
  const now = digest(inputs);
  if (existsSync(stamp) && outputs.every((o) => existsSync(o)) && readFileSync(stamp, 'utf8') === now) return;
  mkdirSync('dist', { recursive: true });
  work();
  writeFileSync(stamp, now);
}

/** One .wasm per entry under kernels/assembly: `index` is in every slot, the others are loaded where needed. */
const modules = { index: 'kernels.wasm', parquet: 'parquet.wasm' };
for (const [entry, file] of Object.entries(modules)) {
  const from = join('kernels', 'assembly', `${entry}.ts`);
  if (!existsSync(from)) continue;
  step(
    `asc-${entry}`,
    [
      'kernels/assembly',
      'core/ports/page-layout.ts',
      'core/ports/ordered-layout.ts',
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
  'core',
  'kernels',
  'workers',
  'state',
  'connectors',
  'engine',
  'cli',
  'bench',
  'tsconfig.json',
  'tsconfig.build.json',
];
step('tsc', sources, [join('dist', 'index.js')], () => {
  try {
    execFileSync(bin('tsc'), ['-p', 'tsconfig.build.json'], { stdio: ['ignore', 'inherit', 'inherit'] });
  } catch {
    console.error('build: the types above are wrong');
    process.exit(1);
  }
});

// Threads start often and load a hundred files each: one file per thread, with its lazy parts beside it, loads in a third of the time.
step('threads', sources, [join('dist', 'bundle', 'threads', 'worker-main.js')], () => {
  const out = join('dist', 'bundle', 'threads');
  rmSync(out, { recursive: true, force: true });
  execFileSync(
    bin('rolldown'),
    [
      join('dist', 'engine', 'worker-main.js'),
      join('dist', 'engine', 'coordinator-main.js'),
      '-d',
      out,
      '--format',
      'esm',
      '--platform',
      'node',
      ...['piscina', 'apache-arrow', 'jiti', 'cli-table3'].flatMap((name) => ['--external', name]),
      '--log-level',
      'warn',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
});
