/** Holds README.md: its programs compile and run, its commands, options, names and links are there. */
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as millrace from 'millrace';
import * as functions from 'millrace/functions';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
const cli = join(root, 'dist', 'cli', 'main.js');

/** Programs and command blocks, as they stand on the page. */
const blocks = [...readme.matchAll(/```(\w*)\n([\s\S]*?)```/g)].map(([, language, text]) => ({
  language,
  text: text!,
}));
const programs = blocks.filter(({ language }) => language === 'ts').map(({ text }) => text);
const commands = blocks
  .filter(({ language }) => language === '')
  .flatMap(({ text }) => text.split('\n'))
  .map((line) => line.replace(/#.*/, '').trim())
  .filter((line) => line !== '');

/** Within the repository, so that programs find `millrace` as others would. */
let folder: string;
beforeAll(() => {
  mkdirSync(join(root, 'out'), { recursive: true });
  folder = mkdtempSync(join(root, 'out', 'readme-'));
  const flights = fileURLToPath(new URL('../data/flights-3m.parquet', import.meta.resolve('vega-datasets')));
  symlinkSync(flights, join(folder, 'flights-3m.parquet'));
  programs.forEach((text, i) => {
    writeFileSync(fileOf(i), text);
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fileOf = (i: number): string => join(folder, `program-${i}.ts`);
const node = async (...args: readonly string[]): Promise<string> =>
  (await promisify(execFile)(process.execPath, args, { cwd: folder })).stdout;

/** What the README's jobs print, by their names. */
const shownBy: Record<string, readonly RegExp[]> = {
  delays: [/│ STL +│ 2001-06-04/, /10 rows/],
  silences: [/│ m1 +│ 1970-01-01 00:03:20/],
  standing: [/│ Ada +│ ink/, /│ Bo +│ NULL/, /2 rows/],
};
const rowsIn = (directory: string): number =>
  readdirSync(directory).flatMap((name) => readFileSync(join(directory, name), 'utf8').trim().split('\n')).length;

test('every program compiles', () => {
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const files = programs.map((_, i) => fileOf(i));
  const { options } = ts.parseJsonConfigFileContent({ ...config.config, include: [], files }, ts.sys, root);
  const program = ts.createProgram(files, { ...options, noEmit: true });
  const found = files.flatMap((path) => program.getSemanticDiagnostics(program.getSourceFile(path)));
  expect(found.map((one) => ts.flattenDiagnosticMessageText(one.messageText, '; '))).toEqual([]);
  expect(files.length).toBeGreaterThanOrEqual(2);
});

describe('every program runs', () => {
  programs.forEach((text, i) => {
    if (text.includes('export default job(')) {
      const name = text.split("job('")[1]!.split("'")[0]!;
      test(`${name}, a job file: run and explained`, async () => {
        const printed = await node(cli, 'run', fileOf(i), '-q');
        const lines = shownBy[name];
        expect(lines, `what the program '${name}' prints is known here`).toBeDefined();
        for (const line of lines!) expect(printed).toMatch(line);
        if (name === 'delays') expect(rowsIn(join(folder, 'out', 'delays'))).toBe(39_952);
        const explained = await node(cli, 'explain', fileOf(i));
        for (const word of ['Logical plan', 'Rewritten plan', 'Chains', 'Edges']) expect(explained).toContain(word);
      });
    } else {
      test(`program ${i}, from code`, async () => {
        const lines = (await node('--import', 'jiti/register', fileOf(i))).trim().split('\n');
        expect(lines.at(-1)).toBe('3');
        expect(lines).toContain('ink 2');
        expect(lines).toContain('pen 1');
      });
    }
  });
});

test('every command is there', async () => {
  const help: Record<string, string> = {};
  for (const verb of ['run', 'explain', 'stop', 'savepoint', 'cancel']) help[verb] = await node(cli, verb, '--help');
  for (const command of commands.flatMap((line) => line.split('&&').map((one) => one.trim()))) {
    const [program, name, third, ...rest] = command.split(/\s+/);
    if (program === 'npm') {
      const script = name === 'run' ? third! : name!;
      expect(name === 'ci' || manifest.scripts[script] !== undefined, command).toBe(true);
    } else {
      expect([program, name], command).toEqual(['npx', 'millrace']);
      const options = rest.filter((word) => word.startsWith('-'));
      for (const option of options) expect(help[third!], command).toContain(option);
    }
  }
  expect(commands.length).toBeGreaterThan(5);
});

test('every option of run is in the table, on the command line where it says so', async () => {
  const source = readFileSync(join(root, 'core', 'api', 'run.ts'), 'utf8');
  const fields = source.split('export interface RunOptions {')[1]!.split('\n}')[0]!;
  const declared = [...fields.matchAll(/^ {2}readonly (\w+)\?:/gm)].map(([, name]) => name);
  const table = readme.split('| `run(job, …)`')[1]!.split('\n\n')[0]!.split('\n').slice(2);
  const cells = table.map((line) => line.split('|').map((cell) => cell.trim()));
  expect(cells.flatMap(([, name]) => (name ? [name.replaceAll('`', '')] : [])).sort()).toEqual([...declared].sort());
  const help = await node(cli, 'run', '--help');
  const flags = (text: string): string[] => [...text.matchAll(/(?<![\w-])--?[a-z]+/g)].map(([flag]) => flag);
  const documented = new Set(cells.flatMap(([, , line]) => flags(line!)));
  expect([...documented].sort()).toEqual(
    [...new Set(flags(help.split('Options:')[1]!))].filter((f) => !['-h', '--help'].includes(f)).sort(),
  );
});

test('every name in the tables is exported', () => {
  const inventory = readme.split('## What there is')[1]!.split('\n\n')[1]!;
  const rows = new Map(
    inventory
      .split('\n')
      .slice(2)
      .map((line) => [line.split('|')[1]!.trim(), line.split('|')[2]!]),
  );
  const names = ['sources', 'sinks', 'windows', 'aggregates'].flatMap((row) =>
    [...rows.get(row)!.matchAll(/`([a-zA-Z ]+)`/g)].flatMap(([, text]) => text!.split(' ')),
  );
  const known = { ...millrace, ...functions } as Record<string, unknown>;
  expect(names.filter((name) => name !== 'allowedLateness' && typeof known[name] !== 'function')).toEqual([]);
  const stream = millrace.from(millrace.collection([{ a: 1 }])) as unknown as Record<string, unknown>;
  const grouped = (stream as { groupBy(key: string): Record<string, unknown> }).groupBy('a');
  const steps = rows.get('steps')!.replaceAll('`', '').trim().split(' ');
  expect(steps.filter((step) => typeof (stream[step] ?? grouped[step]) !== 'function')).toEqual([]);
});

test('every link leads somewhere', () => {
  const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map(([, to]) => to!).filter((to) => !to.includes('://'));
  expect(links.filter((to) => !existsSync(join(root, to)))).toEqual([]);
  const pages = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.ts'));
  expect(pages.filter((name) => !links.map((to) => basename(to)).includes(name))).toEqual([]);
});
