/** Digests of functions: the same however a file was loaded, another for another function. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createJiti } from 'jiti';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { digestOf } from '../../core/api/digest.ts';
import { functions } from './fixtures/loaded.ts';

type Functions = typeof functions;
const path = fileURLToPath(new URL('./fixtures/loaded.ts', import.meta.url));
const digests = (of: Functions) => Object.entries(of).map(([name, fn]) => `${name} ${digestOf(String(fn))}`);

/** The functions as the compiler prints them, in a module of this kind. */
function compiled(module: ts.ModuleKind, removeComments: boolean): Functions {
  const text = ts.transpile(readFileSync(path, 'utf8'), { module, target: ts.ScriptTarget.ES2022, removeComments });
  const body =
    module === ts.ModuleKind.CommonJS
      ? text
      : text.replace(/^import .*$/m, '').replace('export const functions =', 'exports.functions =');
  const exported = {} as { functions: Functions };
  new Function('exports', 'require', body)(exported, () => ({}));
  return exported.functions;
}

test('loaders agree: vite, jiti, the compiler as ES module and as CommonJS', async () => {
  const expected = digests(functions);
  const jiti = await createJiti(import.meta.url, { fsCache: false }).import<{ functions: Functions }>(path);
  expect(String(jiti.functions.arrow)).not.toBe(String(functions.arrow));
  expect(digests(jiti.functions)).toEqual(expected);
  expect(digests(compiled(ts.ModuleKind.ESNext, false))).toEqual(expected);
  expect(digests(compiled(ts.ModuleKind.CommonJS, true))).toEqual(expected);
});

test('white space, comments, quotes and trailing commas do not count', () => {
  expect(digestOf('(row) => row.a')).toBe(digestOf('( row )=>\n  /* first */ row.a'));
  expect(digestOf('row => f("a", [1,],)')).toBe(digestOf("(row) => f('a', [1])"));
  expect(digestOf('() => 1_000_000')).toBe(digestOf('() => 1e6'));
});

test('operators, names, numbers and the content of strings do', () => {
  const variants = [
    'r.a + 1',
    'r.a - 1',
    'r.a + 2',
    'r.b + 1',
    'q.a + 1',
    "r.a + '1 x'",
    "r.a + '1x'",
    'r.a ? 1 : 2',
    '!r.a',
    'r.a ?? 1',
  ];
  expect(new Set(variants.map((body) => digestOf(`(r) => ${body}`))).size).toBe(variants.length);
});
