/**
 * Files, as everything durable sees them: checkpoint files, manifests, locks, sinks. Two implementations: the machine's
 * own (engine/disk) and a simulated one that loses, tears and reorders writes and crashes at any call (testing/).
 *
 * Nothing is promised to survive a power loss but bytes before a `sync` that has resolved, and names before a
 * `syncDirectory`. A `sync` that failed says nothing about any byte of that file: it is never retried on the same handle.
 * Errors are Node's: an `Error` with a `code` (ENOENT, EEXIST, ENOSPC, EIO, …).
 */
export interface Disk {
  /** A new, empty file; `mode` (0600 unless said) less the process's umask. Errors: EEXIST where the name is taken, ENOENT where its directory is not there. */
  create(path: string, mode?: number): DiskFile;
  open(path: string): DiskReader;
  /** A small file, whole. */
  read(path: string): Uint8Array;
  /** Names in a directory, sorted; none where it does not exist. */
  list(directory: string): readonly string[];
  /** Of a file or a directory. Atomic; a file replaces a file at `to`, a directory an empty directory. Errors: ENOENT when `from` is gone. */
  rename(from: string, to: string): void;
  /** Removes a file. One that is not there is fine. */
  remove(path: string): void;
  /** Removes a directory with all it holds. One that is not there is fine. */
  removeTree(path: string): void;
  /** With its parents; `mode` (0700 unless said) less the process's umask. One that exists is fine. */
  makeDirectory(path: string, mode?: number): void;
  /** Makes names in it durable. */
  syncDirectory(path: string): void;
  /** Null where nothing is. */
  stat(
    path: string,
  ): { readonly kind: 'file' | 'directory'; readonly bytes: number; readonly modifiedMs: number } | null;
}

export interface DiskFile {
  /** Bytes written. */
  readonly bytes: number;
  /** Appends all of `bytes`, which may lie in shared memory. */
  write(bytes: Uint8Array): void;
  /** Resolves when all bytes are durable. */
  sync(): Promise<void>;
  /** The same, at once: for small files where nothing else runs. */
  syncNow(): void;
  /** Idempotent. */
  close(): void;
}

export interface DiskReader {
  readonly bytes: number;
  /** Up to `length` bytes from `at`; fewer only at the end of the file. */
  read(at: number, length: number): Uint8Array;
  /** Idempotent. */
  close(): void;
}
