/**
 * The growing file behind a name, as `tail -F` sees it: where it goes on, when it has been rotated away, when it is not what
 * it was. It knows bytes, not lines.
 *
 * A position is an inode, a byte, and a checksum of what stands before that byte. Rotation by renaming (`app.log` becomes
 * `app.log.1`, `app.log-20260131`, …, and a new `app.log` begins) loses nothing: the old file is read to its end, then
 * those that were rotated after it, then the new one. What was truncated, removed or compressed before it was read is
 * `source/lost`, or, if that was asked for, the file that is there is read from its beginning.
 */
import { closeSync, type FSWatcher, fstatSync, openSync, readdirSync, readSync, statSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { MillraceError } from '../../core/base/errors.ts';
import type { Json, ReaderContext } from '../../core/ports/connector.ts';
import { readError } from './paths.ts';

export interface TailOptions {
  /** How often it looks where the system tells nothing. */
  readonly everyMs: number;
  /** Where a job without a checkpoint begins: at the first byte, or behind the last whole line. */
  readonly from: 'start' | 'end';
  /** What to do when bytes are gone that were not read. */
  readonly onLost: 'fail' | 'restart';
}

export const Look = {
  /** There are bytes up to `size`. */ more: 0,
  /** Nothing now; the context will be woken. */ wait: 1,
  /** The file has been rotated away and is as long as it will ever be; `next` goes to the one that follows. */ complete: 2,
  /** Another beginning: everything is read from byte 0 of the file that is open now. */ restart: 3,
} as const;
export type Look = (typeof Look)[keyof typeof Look];

interface TailPosition {
  /** Empty: the file was still to come, behind those rotated ones that were last written at `after`. */
  readonly inode: string;
  readonly byte: number;
  readonly mark: number;
  /** Nanoseconds, decimal. */
  readonly after?: string;
}

/** Bytes before a position that are compared. */
const markBytes = 64;
/** Who wrote a rotated file may go on for a moment, until it is told to open the new one. */
const rotatedMs = 1000;

export class Tail {
  readonly #path: string;
  readonly #options: TailOptions;
  readonly #context: Pick<ReaderContext, 'wake' | 'wakeAt' | 'monotonicMs'>;
  readonly #watcher: FSWatcher | null;
  #fd = -1;
  #inode = '';
  /** Size when last looked at. */
  #size = 0;
  /** Something may have happened since the last look. */
  #woken = true;
  #armedUntilMs = Number.NEGATIVE_INFINITY;
  /** When it was first seen to be rotated, or last grew after that. */
  #quietSinceMs: number | null = null;
  /** What stood before the place where it waits. */
  #mark: { readonly byte: number; readonly sum: number } | null = null;
  /** The byte to begin with. */
  #start = 0;
  /** Where none is open: rotated files that were last written at this moment, in nanoseconds, or before are done with. */
  #after = 0n;

  constructor(
    path: string,
    options: TailOptions,
    position: Json,
    context: Pick<ReaderContext, 'wake' | 'wakeAt' | 'monotonicMs'>,
  ) {
    this.#path = path;
    this.#options = options;
    this.#context = context;
    this.#watcher = this.#watch();
    try {
      if (position !== null) this.#goOn(position as unknown as TailPosition);
      else if (!this.#open(path)) this.#after = this.#newestRotated();
      else if (options.from === 'end') this.#start = this.#behindLastLine();
    } catch (error) {
      this.close();
      throw readError(error, path);
    }
  }

  /** Of the open file; -1: there is none yet. */
  get fd(): number {
    return this.#fd;
  }
  get size(): number {
    return this.#size;
  }
  get start(): number {
    return this.#start;
  }

  /** What there is behind `at`, the end of what was read. Errors: `source/lost`. */
  look(at: number): Look {
    const nowMs = this.#context.monotonicMs();
    if (!this.#woken && nowMs < this.#armedUntilMs) return Look.wait;
    this.#woken = false;
    if (this.#fd < 0) {
      if (!this.#open(this.#rotatedAfter(this.#after) ?? this.#path))
        return this.#wait(nowMs, at, this.#options.everyMs);
      return Look.restart;
    }
    const size = fstatSync(this.#fd).size;
    if (size < at) return this.#lost(`${this.#path} was cut from ${at} to ${size} bytes`);
    if (size > at) {
      if (this.#mark?.byte === at && this.#mark.sum !== this.#sumBefore(at)) {
        return this.#lost(`${this.#path} was cut and written anew`);
      }
      this.#size = size;
      // There may be more by the time that this was read.
      this.#woken = true;
      if (this.#quietSinceMs !== null) this.#quietSinceMs = nowMs;
      return Look.more;
    }
    if (this.#isCurrent()) return this.#wait(nowMs, at, this.#options.everyMs);
    this.#quietSinceMs ??= nowMs;
    const left = this.#quietSinceMs + rotatedMs - nowMs;
    return left <= 0 ? Look.complete : this.#wait(nowMs, at, left);
  }

  /** Behind `complete`: the file that follows, from its beginning; none is open when it is not there yet. */
  next(): void {
    const { mtimeNs } = fstatSync(this.#fd, { bigint: true });
    this.#after = mtimeNs;
    const path = this.#rotatedAfter(mtimeNs);
    this.#closeFile();
    this.#open(path ?? this.#path);
    this.#woken = true;
  }

  /** Position of a byte of the file that is open. */
  position(byte: number): Json {
    if (this.#fd < 0) return { inode: '', byte: 0, mark: 0, after: String(this.#after) };
    return { inode: this.#inode, byte, mark: this.#sumBefore(byte) };
  }

  close(): void {
    this.#watcher?.close();
    this.#closeFile();
  }

  #closeFile(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#size = 0;
    this.#start = 0;
    this.#mark = null;
    this.#quietSinceMs = null;
  }

  #open(path: string): boolean {
    try {
      this.#fd = openSync(path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw readError(error, path);
    }
    const { size, ino } = fstatSync(this.#fd, { bigint: true });
    this.#size = Number(size);
    this.#inode = String(ino);
    return true;
  }

  /** Asks to be woken when something changes, in `afterMs` at the latest. */
  #wait(nowMs: number, at: number, afterMs: number): Look {
    this.#mark = this.#fd < 0 ? null : { byte: at, sum: this.#sumBefore(at) };
    if (this.#armedUntilMs <= nowMs || this.#armedUntilMs > nowMs + afterMs) {
      this.#armedUntilMs = nowMs + afterMs;
      this.#context.wakeAt(this.#armedUntilMs);
    }
    return Look.wait;
  }

  /** The name still leads to the file that is open, or to none at all. */
  #isCurrent(): boolean {
    const found = statSync(this.#path, { bigint: true, throwIfNoEntry: false });
    return !found || String(found.ino) === this.#inode;
  }

  #goOn(position: TailPosition): void {
    if (position.inode === '') {
      this.#after = BigInt(position.after ?? 0);
      this.#open(this.#rotatedAfter(this.#after) ?? this.#path);
      return;
    }
    const path = this.#pathOf(position.inode);
    if (path === null || !this.#open(path)) {
      this.#lost(
        `the file that was read to byte ${position.byte} is not there any more, under no name like ${this.#path}`,
      );
      return;
    }
    if (this.#size < position.byte || this.#sumBefore(position.byte) !== position.mark) {
      this.#lost(
        `${path} is not what it was when it was read to byte ${position.byte}: it has ${this.#size} bytes now`,
      );
      return;
    }
    this.#start = position.byte;
  }

  /** Errors: `source/lost`, unless the job goes on with what is there. */
  #lost(what: string): Look {
    if (this.#options.onLost === 'fail') {
      throw new MillraceError(
        'source/lost',
        `${what}; lines that were not read are gone. Rotate by renaming, keep rotated files uncompressed until they were read, or go on at the beginning of what is there with onLost: 'restart'`,
        { where: { path: this.#path } },
      );
    }
    this.#closeFile();
    this.#open(this.#path);
    return Look.restart;
  }

  /** Where the file of that inode is now. */
  #pathOf(inode: string): string | null {
    const names = [basename(this.#path), ...this.#rotatedNames()];
    for (const name of names) {
      const path = join(dirname(this.#path), name);
      const found = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (found && String(found.ino) === inode) return path;
    }
    return null;
  }

  /** The oldest rotated file that was last written after that moment. Errors: `source/lost` when it is compressed. */
  #rotatedAfter(mtimeNs: bigint): string | null {
    let oldest: { readonly path: string; readonly mtimeNs: bigint } | null = null;
    for (const name of this.#rotatedNames()) {
      const path = join(dirname(this.#path), name);
      const found = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (!found?.isFile() || String(found.ino) === this.#inode || found.mtimeNs <= mtimeNs) continue;
      if (oldest === null || found.mtimeNs < oldest.mtimeNs) oldest = { path, mtimeNs: found.mtimeNs };
    }
    if (oldest === null || !compressed.test(oldest.path)) return oldest?.path ?? null;
    this.#lost(`${oldest.path} was rotated and compressed before it was read`);
    return null;
  }

  #newestRotated(): bigint {
    let newest = 0n;
    for (const name of this.#rotatedNames()) {
      const found = statSync(join(dirname(this.#path), name), { bigint: true, throwIfNoEntry: false });
      if (found && found.mtimeNs > newest) newest = found.mtimeNs;
    }
    return newest;
  }

  #rotatedNames(): string[] {
    const own = basename(this.#path);
    return readdirSync(dirname(this.#path)).filter(
      (name) => name.startsWith(own) && rotated.test(name.slice(own.length)),
    );
  }

  #sumBefore(byte: number): number {
    const length = Math.min(markBytes, byte);
    const bytes = new Uint8Array(length);
    let done = 0;
    for (let n = -1; n !== 0 && done < length; done += n)
      n = readSync(this.#fd, bytes, done, length - done, byte - length + done);
    return crc32(bytes.subarray(0, done));
  }

  /** Behind the last newline. */
  #behindLastLine(): number {
    const bytes = new Uint8Array(chunkBytes);
    for (let end = this.#size; end > 0; ) {
      const from = Math.max(0, end - chunkBytes);
      const length = readSync(this.#fd, bytes, 0, end - from, from);
      const at = bytes.subarray(0, length).lastIndexOf(0x0a);
      if (at >= 0) return from + at + 1;
      end = from;
    }
    return 0;
  }

  #watch(): FSWatcher | null {
    const name = basename(this.#path);
    try {
      const watcher = watch(dirname(this.#path), { persistent: false }, (_event, changed) => {
        if (changed !== null && changed !== name && !changed.startsWith(name)) return;
        this.#woken = true;
        this.#context.wake();
      });
      watcher.on('error', () => watcher.close());
      return watcher;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw readError(error, dirname(this.#path));
      // The system watches no more: it looks every `everyMs`.
      return null;
    }
  }
}

const chunkBytes = 64 * 1024;
/** What a rotated file has behind the name: `.1`, `-20260131`, `.2026-01-31.gz`. */
const rotated = /^[.-]\d[\d._-]*(\.\w+)?$/;
const compressed = /\.(gz|bz2|xz|zst|lz4|zip)$/;
