/**
 * Imports a person's job file, in any thread: JavaScript as it is, TypeScript by Node's own type stripping where it has
 * it, else through jiti.
 */
import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MillraceError } from '../core/base/errors.ts';

/** The module's default export. Errors: `job/not-found`, `job/import-failed`, `job/no-default-export`. */
export async function importDefault(url: string): Promise<unknown> {
  const path = url.startsWith('file:') ? fileURLToPath(url) : url;
  if (url.startsWith('file:') && !existsSync(path)) {
    throw new MillraceError('job/not-found', `there is no job file at ${path}`, { where: { path } });
  }
  let module: { default?: unknown };
  try {
    module = await importAny(url, path);
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new MillraceError('job/import-failed', `the job file could not be imported: ${message}`, {
      where: { path },
      cause: error,
    });
  }
  if (module.default === undefined) {
    throw new MillraceError(
      'job/no-default-export',
      'the job file has no default export; end it with `export default job(name, () => …)`',
      { where: { path } },
    );
  }
  return module.default;
}

async function importAny(url: string, path: string): Promise<{ default?: unknown }> {
  const typescript = ['.ts', '.mts', '.cts', '.tsx'].includes(extname(path));
  const native = (process.features as { typescript?: unknown }).typescript;
  if (!typescript || (native && !path.includes('node_modules'))) return import(url) as Promise<{ default?: unknown }>;
  const { createJiti } = await import('jiti');
  const self = new URL('../index.js', import.meta.url).href;
  // The engine itself must be this very instance, not a copy that jiti made of it.
  const jiti = createJiti(import.meta.url, {
    interopDefault: false,
    alias: {},
    nativeModules: ['millrace', self],
    fsCache: true,
  });
  return jiti.import<{ default?: unknown }>(path);
}
