/** Holds mistakes.ts and assertions.ts: what they say of the compiler is true, and every expected error is one. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');

/** What the compiler says of these files (of others, `npm run check` tells). */
function diagnostics(...files: readonly string[]): string[] {
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config.config, include: [], files }, ts.sys, root);
  const program = ts.createProgram([...files], { ...options, noEmit: true });
  return files.flatMap((path) => {
    const file = program.getSourceFile(path);
    if (!file) return [`${path} is not there`];
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map((found) => {
      const { line } = file.getLineAndCharacterOfPosition(found.start ?? 0);
      return `${file.fileName.slice(root.length + 1)}:${line + 1} ${ts.flattenDiagnosticMessageText(found.messageText, '; ')}`;
    });
  });
}

test('every mistake is caught by the compiler, and every asserted type is exact', () => {
  expect(diagnostics(join(here, 'mistakes.ts'), join(here, 'assertions.ts'))).toEqual([]);
});

test('there are as many mistakes as we say', () => {
  const text = readFileSync(join(here, 'mistakes.ts'), 'utf8');
  expect(text.match(/^\s*\/\/ @ts-expect-error/gm)?.length).toBeGreaterThanOrEqual(50);
});
