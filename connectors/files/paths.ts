/**
 * Paths, patterns and directories to the files that they name, and what the operating system says when one cannot be
 * read. Knows no format.
 */
import { readdirSync, type Stats, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MillraceError } from '../../core/base/errors.ts';

/** What is there now. */
export interface Listing {
  /** Sorted. */
  readonly files: readonly string[];
  /** Directories in which a further file may appear. */
  readonly directories: readonly string[];
}

/**
 * The files that `path` names, sorted: a file, a directory's files with one of the `extensions`, or a pattern (`*` and `?`
 * within a name, `**` for directories). Hidden files, and those that tools put aside (`_SUCCESS`), are no data.
 * Errors: `source/not-found`, `source/forbidden`.
 */
export function filesOf(path: string, extensions: readonly string[]): readonly string[] {
  const { files } = listFiles(path, extensions);
  if (files.length > 0) return files;
  if (statOrNull(path)?.isDirectory()) {
    throw notFound(`no ${extensions.join(' or ')} file in the directory ${path}`, path);
  }
  throw notFound(isPattern(path) ? `no file matches ${path}` : `there is no file ${path}`, path);
}

/** As `filesOf`, of a place where there may be nothing yet. Errors: `source/forbidden`. */
export function listFiles(path: string, extensions: readonly string[]): Listing {
  const direct = statOrNull(path);
  if (direct?.isDirectory()) {
    const files = namesIn(path)
      .filter((name) => !isHidden(name) && extensions.some((extension) => name.toLowerCase().endsWith(extension)))
      .map((name) => join(path, name))
      .filter((file) => statOrNull(file)?.isFile());
    return { files: files.sort(), directories: [path] };
  }
  if (direct !== null) return { files: [path], directories: [dirname(path)] };
  if (!isPattern(path)) return { files: [], directories: [dirname(path)] };
  const parts = path.split('/');
  const read = new Set<string>();
  const files = parts[0] === '' ? expand('/', parts.slice(1), read) : expand('', parts, read);
  return { files: [...new Set(files)].sort(), directories: [...read] };
}

export const isPattern = (path: string): boolean => /[*?]/.test(path);

/** `read` gets the directories that were looked into. */
function expand(base: string, parts: readonly string[], read: Set<string>): string[] {
  const [first, ...rest] = parts as readonly [string, ...string[]];
  const here = base === '' ? '.' : base;
  const within = (name: string): string => join(base, name);
  if (first === '**') {
    read.add(here);
    const below = namesIn(here)
      .filter((name) => !isHidden(name) && statOrNull(within(name))?.isDirectory())
      .flatMap((name) => expand(within(name), parts, read));
    return rest.length === 0 ? below : [...expand(base, rest, read), ...below];
  }
  if (statOrNull(here)?.isDirectory() !== true) return [];
  if (isPattern(first) || rest.length === 0) read.add(here);
  const names = isPattern(first)
    ? namesIn(here).filter((name) => matches(name, first) && (!isHidden(name) || first.startsWith(name[0]!)))
    : [first];
  return names.flatMap((name) => {
    const found = statOrNull(within(name));
    if (rest.length > 0) return found?.isDirectory() ? expand(within(name), rest, read) : [];
    return found?.isFile() ? [within(name)] : [];
  });
}

const isHidden = (name: string): boolean => name.startsWith('.') || name.startsWith('_');

/** `*`: any characters, `?`: one. One level of backtracking, so that no pattern takes long. */
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

function statOrNull(path: string): Stats | null {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return null;
    throw readError(error, path);
  }
}

function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    throw readError(error, path);
  }
}

const notFound = (message: string, path: string): MillraceError =>
  new MillraceError('source/not-found', message, { where: { path } });

/** What the system said of a file that was to be read, as an error of ours. */
export function readError(cause: unknown, path: string): MillraceError {
  if (cause instanceof MillraceError) return cause;
  const where = { path };
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new MillraceError('source/not-found', `there is no file ${path}`, { where, cause });
    case 'EACCES':
    case 'EPERM':
      return new MillraceError('source/forbidden', `${path} may not be read by this user`, { where, cause });
    default:
      return new MillraceError('source/failed', `${path} cannot be read: ${(cause as Error).message}`, {
        where,
        cause,
      });
  }
}
