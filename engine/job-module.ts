/**
 * Imports a person's job file, in any thread: JavaScript as it is, TypeScript by Node's own type stripping where it has
 * it, else through jiti.
 */
import { statSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeValue } from '../core/base/describe.ts';
import { isMillraceError, MillraceError } from '../core/base/errors.ts';

/** The module's default export. Errors: `job/not-found`, `job/import-failed`, `job/no-default-export`. */
export async function importDefault(url: string): Promise<unknown> {
  const module = await importModule(url);
  if (module.default !== undefined) return module.default;
  throw new MillraceError(
    'job/no-default-export',
    'the job file has no default export; end it with `export default job(name, () => …)`',
    { where: { path: url.startsWith('file:') ? fileURLToPath(url) : url } },
  );
}

/** All that the module exports. Errors: `job/not-found`, `job/import-failed`. */
export async function importModule(url: string): Promise<Readonly<Record<string, unknown>>> {
  const path = url.startsWith('file:') ? fileURLToPath(url) : url;
  const stat = url.startsWith('file:') ? statSync(path, { throwIfNoEntry: false }) : null;
  if (stat === undefined || stat?.isDirectory()) {
    const what = stat ? `${path} is a directory, not a job file` : `there is no job file at ${path}`;
    throw new MillraceError('job/not-found', what, { where: { path } });
  }
  try {
    return await importAny(url, path);
  } catch (error) {
    if (isMillraceError(error)) throw error;
    const said = error instanceof Error ? `${error.name}: ${error.message.replace(/\s+/g, ' ')}` : describeValue(error);
    const position = await placeOf(error, path);
    throw new MillraceError('job/import-failed', `the job file could not be imported: ${said}`, {
      where: { path, ...(position ? { position } : {}) },
      cause: error,
    });
  }
}

/**
 * Where in the file it went wrong: of an error it threw, the stack says; Node shows the place of a syntax error only to
 * who runs the file, so it is asked to check it.
 */
async function placeOf(error: unknown, path: string): Promise<string | null> {
  const name = basename(path).replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const lineIn = (text: string): string | null => {
    const line = new RegExp(`[/\\\\]${name}:(\\d+)`).exec(text)?.[1];
    return line ? `line ${line}` : null;
  };
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  if (!(error instanceof SyntaxError) || lineIn(stack)) return lineIn(stack);
  const { spawnSync } = await import('node:child_process');
  const check = spawnSync(process.execPath, ['--check', path], { encoding: 'utf8', timeout: 5000 });
  return lineIn(check.stderr ?? '');
}

async function importAny(url: string, path: string): Promise<Record<string, unknown>> {
  const typescript = ['.ts', '.mts', '.cts', '.tsx'].includes(extname(path));
  const native = (process.features as { typescript?: unknown }).typescript;
  if (!typescript || (native && !path.includes('node_modules'))) return import(url) as Promise<Record<string, unknown>>;
  const { createJiti } = await import('jiti');
  // The engine itself must be this very instance, not a copy that jiti made of it.
  const jiti = createJiti(import.meta.url, {
    interopDefault: false,
    alias: {},
    nativeModules: ['millrace', ...['../index.js', './index.js'].map((path) => new URL(path, import.meta.url).href)],
    fsCache: true,
  });
  return jiti.import<Record<string, unknown>>(path);
}
