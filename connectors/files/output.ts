/**
 * A file that appears under its final name only when it is whole: written under a dot-name beside it, synced, renamed,
 * and the directory synced. Until then readers see nothing, or the file that was there before.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MillraceError } from '../../core/base/errors.ts';

export interface OutputFile {
  /** Writes all of `bytes`. Errors: `sink/disk-full`, `sink/failed`. */
  write(bytes: Uint8Array): void;
  /** Makes the file durable and gives it its name. Nothing can be written afterwards. */
  commit(): void;
  /** Takes away what was not committed. */
  discard(): void;
  /** Bytes written. */
  readonly bytes: number;
}

/** Opens a file that will become `path`. Errors: `sink/forbidden`, `sink/disk-full`, `sink/failed`. */
export function outputFile(path: string, attemptId: string): OutputFile {
  const directory = dirname(path);
  const inProgress = join(directory, `.${basename(path)}.${attemptId}.tmp`);
  const fd = guarded(path, () => {
    makeDirectories(directory);
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
      throw new MillraceError(
        'sink/failed',
        `${path} is a directory; name a file in it, or leave out the file's ending`,
        {
          where: { path },
        },
      );
    }
    return openSync(inProgress, 'wx', 0o666);
  });
  let open = true;
  let committed = false;
  let bytes = 0;
  const close = (): void => {
    if (open) closeSync(fd);
    open = false;
  };
  return {
    write(chunk) {
      guarded(path, () => {
        for (let from = 0; from < chunk.length; ) from += writeSync(fd, chunk, from, chunk.length - from);
      });
      bytes += chunk.length;
    },
    commit() {
      guarded(path, () => {
        fsyncSync(fd);
        close();
        renameSync(inProgress, path);
        committed = true;
        syncDirectory(directory);
      });
    },
    discard() {
      try {
        close();
      } finally {
        if (!committed) rmSync(inProgress, { force: true });
      }
    },
    get bytes() {
      return bytes;
    },
  };
}

export function isSingleFile(path: string, extensions: readonly string[]): boolean {
  return extensions.some((extension) => path.toLowerCase().endsWith(extension));
}

/** Where the `sequence`th file of a writer goes: the file itself, or a part of a directory. */
export function partPath(path: string, extensions: readonly string[], subtask: number, sequence = 0): string {
  if (isSingleFile(path, extensions)) return path;
  const rolled = sequence === 0 ? '' : `-${padded(sequence)}`;
  return join(path, `part-${padded(subtask)}${rolled}${extensions[0]}`);
}

const padded = (n: number): string => String(n).padStart(5, '0');

/** Takes away parts of an earlier run that had more: a directory holds one result. */
export function removeParts(
  path: string,
  extension: string,
  isOld: (subtask: number, sequence: number) => boolean,
): void {
  guarded(path, () => {
    for (const name of readdirSync(path)) {
      const part = /^part-(\d{5,})(?:-(\d{5,}))?\.\w+$/.exec(name);
      if (part && name.endsWith(extension) && isOld(Number(part[1]), Number(part[2] ?? 0))) {
        rmSync(join(path, name), { force: true });
      }
    }
  });
}

/** As `mkdirSync` with `recursive`, which never returns where a file system answers ENOENT to every mkdir (/proc). */
function makeDirectories(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectories(parent);
  try {
    mkdirSync(path);
  } catch (error) {
    // Another writer of the same directory was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Does `work` on a file; what the system refuses becomes an error that says what to do. */
export function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof MillraceError ? error : systemError(error, path);
  }
}

/** What the system said when `path` was to be written, as an error of ours. */
export function systemError(cause: unknown, path: string): MillraceError {
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  const where = { path };
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new MillraceError('sink/disk-full', `no room left on the disk of ${path}`, {
        where,
        cause,
        retryable: true,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new MillraceError('sink/forbidden', `${path} may not be written by this user`, { where, cause });
    default:
      return new MillraceError('sink/failed', `${path} cannot be written: ${(cause as Error).message}`, {
        where,
        cause,
      });
  }
}
