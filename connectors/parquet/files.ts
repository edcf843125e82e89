/** Opening and reading files: what the operating system refuses becomes one of our errors. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { MillraceError } from '../../core/base/errors.ts';
import { corrupt, footerRange, type ParquetMetadata, parseMetadata } from './metadata.ts';

/** An open file. */
export interface OpenFile {
  readonly path: string;
  readonly fd: number;
  readonly bytes: number;
  readonly inode: string;
}

/** Errors: `source/not-found`, `source/forbidden`, `source/corrupt` when it is no plain file of some bytes. */
export function openFile(path: string): OpenFile {
  try {
    const fd = openSync(path, 'r');
    try {
      const stat = fstatSync(fd, { bigint: true });
      if (!stat.isFile()) throw corrupt('this is no file', path);
      if (stat.size < 12n) throw corrupt(`this is no Parquet file: it has ${stat.size} bytes`, path);
      return { path, fd, bytes: Number(stat.size), inode: String(stat.ino) };
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
