/** package.json and the lock file: complete for every platform, silent about where packages come from, nothing unused. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly engines?: { readonly node?: string };
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const root = join(import.meta.dirname, '..', '..');
const read = <T>(name: string): T => JSON.parse(readFileSync(join(root, name), 'utf8')) as T;
const manifest = read<Manifest>('package.json');
const { packages } = read<{ packages: Readonly<Record<string, Locked>> }>('package-lock.json');
const locked = Object.entries(packages).filter(([path]) => path !== '');

test('no package is locked to a place, every one to its bytes', () => {
  expect(locked.filter(([, of]) => of.resolved !== undefined).map(([path]) => path)).toEqual([]);
  expect(locked.filter(([, of]) => of.integrity === undefined).map(([path]) => path)).toEqual([]);
});

/** A version that some platform lacks is left out of the lock file without a word, and then `npm ci` fails everywhere. */
test('the packages of all platforms are locked', () => {
  const missing = locked.flatMap(([path, of]) =>
    Object.keys(of.optionalDependencies ?? {})
      .filter((name) => !packages[`node_modules/${name}`] && !packages[`${path}/node_modules/${name}`])
      .map((name) => `${name} of ${path}`),
  );
  expect(missing).toEqual([]);
});

/** npm leaves out an optional package that says it wants a newer Node, and then what needs it fails when imported. */
test('native parts run on Node 20', () => {
  const newer = locked.filter(([, of]) => /^>=? ?2[1-9]/.test(of.engines?.node ?? '')).map(([path]) => path);
  expect(newer).toEqual([]);
});

test('what is depended on is used', () => {
  const sources = execFileSync('git', ['ls-files', '*.ts', '*.mjs', '*.json', '.ci'], { cwd: root, encoding: 'utf8' })
    .split('\n')
    .filter((path) => path !== '' && path !== 'package-lock.json');
  const text = sources.map((path) => readFileSync(join(root, path), 'utf8')).join('\n');
  /** Used by name of a command, or by the compiler. */
  const commands: Readonly<Record<string, string>> = {
    '@biomejs/biome': 'biome check',
    '@types/node': '"node"',
    assemblyscript: "bin('asc')",
    rolldown: "import('rolldown')",
    typescript: "bin('tsc')",
  };
  const used = (name: string): boolean =>
    text.includes(commands[name] ?? `'${name}'`) || text.includes(`'${name}/`) || text.includes(`resolve('${name}`);
  const names = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)];
  expect(names.filter((name) => !used(name))).toEqual([]);
});
