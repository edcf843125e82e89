/** Paths, globs and directories, and opening files: what the operating system refuses becomes one of our errors. */
import { closeSync, fstatSync, openSync, readdirSync, readSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError } from '../../core/base/errors.ts';
import { corrupt, footerRange, type ParquetMetadata, parseMetadata } from './metadata.ts';

/** The files that `path` names, sorted by name. Errors: `source/not-found`, `source/forbidden`. */
export function filesOf(path: string): string[] {
  const direct = statOrNull(path);
  if (direct?.isDirectory()) {
    const files = listing(path)
      .filter((name) => name.endsWith('.parquet') && !isHidden(name))
      .map((name) => join(path, name))
      .filter((file) => statOrNull(file)?.isFile());
    if (files.length === 0) throw notFound(`no .parquet file in the directory ${path}`, path);
    return files.sort();
  }
  if (direct !== null) return [path];
  if (!/[*?]/.test(path)) throw notFound(`there is no file ${path}`, path);
  const segments = path.split('/');
  const absolute = segments[0] === '';
  const files = expand(absolute ? '/' : '', absolute ? segments.slice(1) : segments);
  if (files.length === 0) throw notFound(`no file matches ${path}`, path);
  return [...new Set(files)].sort();
}

function expand(base: string, segments: readonly string[]): string[] {
  const [first, ...rest] = segments as readonly [string, ...string[]];
  const at = base === '' ? '.' : base;
  if (first === '**') {
    const below = listing(at)
      .filter((name) => !isHidden(name) && statOrNull(join(at, name))?.isDirectory())
      .flatMap((name) => expand(join(at, name), segments));
    return rest.length === 0 ? below : [...expand(base, rest), ...below];
  }
  if (!/[*?]/.test(first)) {
    const next = join(base, first);
    const found = statOrNull(next);
    if (found === null) return [];
    if (rest.length > 0) return found.isDirectory() ? expand(next, rest) : [];
    return found.isFile() ? [next] : [];
  }
  if (statOrNull(at)?.isDirectory() !== true) return [];
  return listing(at)
    .filter((name) => matches(name, first) && (!isHidden(name) || first.startsWith(name[0] as string)))
    .flatMap((name) => {
      const next = join(base, name);
      if (rest.length > 0) return statOrNull(next)?.isDirectory() ? expand(next, rest) : [];
      return statOrNull(next)?.isFile() ? [next] : [];
    });
}

/** Hidden files and those that tools put aside (`_metadata`, `_SUCCESS`) are no data. */
function isHidden(name: string): boolean {
  return name.startsWith('.') || name.startsWith('_');
}

/** `*`: any characters, `?`: one. Linear in practice: one level of backtracking. */
export function matches(name: string, pattern: string): boolean {
  let i = 0;
  let j = 0;
  let star = -1;
  let mark = 0;
  while (i < name.length) {
    if (j < pattern.length && (pattern[j] === '?' || (pattern[j] !== '*' && pattern[j] === name[i]))) {
      i++;
      j++;
    } else if (pattern[j] === '*') {
      star = j++;
      mark = i;
    } else if (star >= 0) {
      j = star + 1;
      i = ++mark;
    } else return false;
  }
  while (pattern[j] === '*') j++;
  return j === pattern.length;
}

/** An open file. */
export interface OpenFile {
  readonly path: string;
  readonly fd: number;
  readonly bytes: number;
}

/** Errors: `source/not-found`, `source/forbidden`, `source/corrupt` when it is no plain file of some bytes. */
export function openFile(path: string): OpenFile {
  try {
    const fd = openSync(path, 'r');
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw corrupt('this is no file', path);
      if (stat.size < 12) throw corrupt(`this is no Parquet file: it has ${stat.size} bytes`, path);
      return { path, fd, bytes: stat.size };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  } catch (error) {
    throw fileError(error, path);
  }
}

export function closeFile(file: OpenFile): void {
  closeSync(file.fd);
}

/** Fills `into` from `position`. Errors: `source/corrupt` when the file ends before. */
export function readExactly(file: OpenFile, into: Uint8Array, position: number): void {
  let done = 0;
  try {
    while (done < into.length) {
      const bytes = readSync(file.fd, into, done, into.length - done, position + done);
      if (bytes === 0) break;
      done += bytes;
    }
  } catch (error) {
    throw fileError(error, file.path);
  }
  if (done < into.length) {
    throw corrupt(`the file ends at byte ${position + done}, ${into.length - done} bytes too early`, file.path);
  }
}

/** The footer of an open file. Errors: `source/corrupt`. */
export function readMetadata(file: OpenFile): ParquetMetadata {
  const tail = new Uint8Array(8);
  readExactly(file, tail, file.bytes - 8);
  const range = footerRange(tail, file.bytes, file.path);
  const footer = new Uint8Array(range.bytes);
  readExactly(file, footer, range.offset);
  return parseMetadata(footer, file.bytes, file.path);
}

function statOrNull(path: string): Stats | null {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return null;
    throw fileError(error, path);
  }
}

function listing(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    throw fileError(error, path);
  }
}

function notFound(message: string, path: string): MillraceError {
  return new MillraceError('source/not-found', message, { where: { path } });
}

/** Also what opening and reading throw. */
export function fileError(error: unknown, path: string): MillraceError {
  if (error instanceof MillraceError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  const options = { where: { path }, cause: error };
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new MillraceError('source/not-found', `there is no file ${path}`, options);
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new MillraceError('source/forbidden', `the file ${path} may not be read`, options);
  }
  const retryable = code === 'EIO' || code === 'EMFILE' || code === 'ENFILE' || code === 'EAGAIN';
  return new MillraceError('source/failed', `${path}: ${(error as Error).message}`, { ...options, retryable });
}
