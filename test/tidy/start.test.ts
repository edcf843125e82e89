/** What starts with every job is small: a library that only some jobs need is loaded when they do. */
import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const bundles = join(import.meta.dirname, '..', '..', 'dist', 'bundle');

/** Packages that importing `entry` loads at once, itself or by what it imports. */
function packagesOf(entry: string): string[] {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const [, from] of readFileSync(path, 'utf8').matchAll(/^import\s(?:.*?\sfrom\s)?["']([^"']+)["'];$/gm)) {
      if (from!.startsWith('.')) visit(join(path, '..', from!));
      else if (!from!.startsWith('node:') && !builtinModules.includes(from!)) packages.add(from!);
    }
  };
  visit(join(bundles, entry));
  expect(seen.size, `files of ${entry}`).toBeGreaterThan(1);
  return [...packages].sort();
}

test.each([
  ['threads/worker-main.js', []],
  ['threads/coordinator-main.js', ['piscina']],
  ['caller/index.js', []],
  ['caller/main.js', []],
] as const)('%s starts with no package but %j', (entry, packages) => {
  expect(packagesOf(entry)).toEqual(packages);
});
