/** The machine's own disk: the port over Node's file system. */
import {
  closeSync,
  constants,
  fstatSync,
  fsync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import type { Disk, DiskFile, DiskReader } from '../core/ports/disk.ts';

/** A name that has become a link is not followed. */
const readOnly = constants.O_RDONLY | constants.O_NOFOLLOW;

export const realDisk: Disk = {
  create(path, mode = 0o600) {
    return diskFile(openSync(path, 'wx', mode));
  },
  open(path) {
    return diskReader(openSync(path, readOnly));
  },
  read(path) {
    const handle = openSync(path, readOnly);
    try {
      return readFileSync(handle);
    } finally {
      closeSync(handle);
    }
  },
  list(directory) {
    try {
      return readdirSync(directory).sort();
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
  },
  rename: renameSync,
  remove(path) {
    try {
      unlinkSync(path);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  },
  removeTree(path) {
    rmSync(path, { recursive: true, force: true });
  },
  makeDirectory(path, mode = 0o700) {
    mkdirSync(path, { recursive: true, mode });
  },
  syncDirectory(path) {
    const handle = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  },
  stat(path) {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) return null;
    return { kind: found.isDirectory() ? 'directory' : 'file', bytes: found.size, modifiedMs: found.mtimeMs };
  },
};

function diskFile(handle: number): DiskFile {
  let bytes = 0;
  let open = true;
  /** A sync reads the handle on another thread: closing waits for it. */
  let syncing = 0;
  let closing = false;
  const closeIfIdle = (): void => {
    if (!closing || syncing > 0 || !open) return;
    open = false;
    closeSync(handle);
  };
  return {
    get bytes() {
      return bytes;
    },
    write(from) {
      // A full disk or a signal may cut a write short.
      for (let at = 0; at < from.length; ) at += writeSync(handle, from, at, from.length - at);
      bytes += from.length;
    },
    sync() {
      syncing++;
      return new Promise((resolve, reject) => {
        fsync(handle, (error) => {
          syncing--;
          closeIfIdle();
          if (error) reject(error);
          else resolve();
        });
      });
    },
    syncNow() {
      fsyncSync(handle);
    },
    close() {
      closing = true;
      closeIfIdle();
    },
  };
}

function diskReader(handle: number): DiskReader {
  const bytes = fstatSync(handle).size;
  let open = true;
  return {
    bytes,
    read(at, length) {
      const wanted = Math.max(0, Math.min(length, bytes - at));
      const into = new Uint8Array(wanted);
      let got = 0;
      while (got < wanted) {
        const more = readSync(handle, into, got, wanted - got, at + got);
        if (more === 0) break;
        got += more;
      }
      return got === wanted ? into : into.subarray(0, got);
    },
    close() {
      if (open) closeSync(handle);
      open = false;
    },
  };
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null)?.code;
