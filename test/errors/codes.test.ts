/** docs/errors.md, the codes, the source and the tests say the same. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const filesIn = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|mjs)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));

const definition = read('core/base/errors.ts');
const codes = [...definition.matchAll(/^ {2}\| '([a-z]+\/[a-z-]+)'/gm)].map((match) => match[1]!);
const mentioning = (files: readonly string[], besides: RegExp): Set<string> =>
  new Set(
    files
      .filter((file) => !besides.test(file))
      .flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/'([a-z]+\/[a-z-]+)'/g)].map((match) => match[1]!)),
  );

test('there are codes, each once', () => {
  expect(codes.length).toBeGreaterThan(30);
  expect(new Set(codes).size).toBe(codes.length);
});

test('every code has one line in docs/errors.md, with what happened and what to do, and no line is without a code', () => {
  const lines = [...read('docs/errors.md').matchAll(/^\| `([a-z]+\/[a-z-]+)` \| (.+) \| (.+) \|$/gm)];
  expect(lines.map((line) => line[1]!).sort()).toEqual([...codes].sort());
  for (const [, code, happened, remedy] of lines) {
    expect(happened!.length, code).toBeGreaterThan(15);
    expect(remedy!.length, code).toBeGreaterThan(10);
  }
});

test('every code is used in the source', () => {
  const folders = ['core', 'kernels', 'state', 'connectors', 'workers', 'engine', 'cli'];
  const used = mentioning(folders.flatMap(filesIn), /core[\\/]base[\\/]errors\.ts$/);
  expect(codes.filter((code) => !used.has(code))).toEqual([]);
});

test('every code has a test', () => {
  // Tests of messages and of what a child printed have it in other quotes.
  const text = filesIn('test')
    .filter((file) => !file.endsWith('codes.test.ts'))
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
  expect(codes.filter((code) => !text.includes(code) && !text.includes(code.replace('/', '\\/')))).toEqual([]);
});
