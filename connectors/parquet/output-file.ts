/**
 * A file that appears under its final name only when it is whole: written under a hidden name in the same directory,
 * fsynced, renamed, the directory fsynced. What the operating system refuses becomes one of our errors.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MillraceError } from '../../core/base/errors.ts';

export interface OutputFile {
  write(bytes: Uint8Array): void;
  readonly bytes: number;
  /** Makes it durable under its final name. */
  commit(): void;
  /** Removes what is in progress; nothing after `commit`. */
  abandon(): void;
}

/** Errors: `sink/forbidden`, `sink/disk-full`, `sink/failed` with the path. */
export function outputFile(path: string, attemptId: string): OutputFile {
  const directory = dirname(path);
  // The attempt makes it unique; only what every file system takes may be in a name.
  const hidden = join(directory, `.${basename(path)}.${attemptId.replace(/[^\w-]/g, '_')}.part`);
  let fd = attempt(path, () => {
    mkdirSync(directory, { recursive: true });
    return openSync(hidden, 'w');
  });
  let bytes = 0;
  return {
    get bytes() {
      return bytes;
    },
    write(content) {
      attempt(path, () => {
        let done = 0;
        while (done < content.length) done += writeSync(fd, content, done, content.length - done);
      });
      bytes += content.length;
    },
    commit() {
      attempt(path, () => {
        fsyncSync(fd);
        closeSync(fd);
        fd = -1;
        renameSync(hidden, path);
        const folder = openSync(directory, 'r');
        try {
          fsyncSync(folder);
        } finally {
          closeSync(folder);
        }
      });
    },
    abandon() {
      if (fd >= 0) {
        closeSync(fd);
        fd = -1;
      }
      rmSync(hidden, { force: true });
    },
  };
}

export function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw sinkError(error, path);
  }
}

/** What a refused write is called. */
export function sinkError(error: unknown, path: string): MillraceError {
  const { code, message } = error as NodeJS.ErrnoException;
  const where = { path };
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new MillraceError('sink/disk-full', `no room to write ${path}`, { where, cause: error, retryable: true });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new MillraceError('sink/forbidden', `${path} may not be written`, { where, cause: error });
  }
  return new MillraceError('sink/failed', `${path}: ${message}`, { where, cause: error });
}
