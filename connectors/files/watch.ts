/**
 * The enumerator of a watched place: files that appear become splits, each once. It runs on the coordinator's thread.
 *
 * The system tells of changes (inotify and its kin), and every `everyMs` it looks anyhow, for places where the system
 * tells nothing (network file systems). A file is taken when it has not changed for `settleMs`. What was taken is known by
 * size and modification time, or by inode and size, so that neither a `touch` nor a copy of the whole place brings a file
 * again; a file that is replaced by another comes again, one that is changed in place is an error. Files that are gone are
 * forgotten: what is remembered is bounded by what is there, `watchedFilesMax` at most.
 */
import { type FSWatcher, statSync, watch } from 'node:fs';
import { join, relative } from 'node:path';
import { isMillraceError, MillraceError } from '../../core/base/errors.ts';
import { watchedDirectoriesMax, watchedFilesMax } from '../../core/base/limits.ts';
import type { ConnectorSpec, DiscoveryContext, Json, Split, SplitDiscovery } from '../../core/ports/connector.ts';
import { isPattern, listFiles, readError } from './paths.ts';

export interface WatchOptions {
  readonly everyMs: number;
  readonly settleMs: number;
}

/** `options.watch` of a place; null: it is read once. */
export function watchOf(spec: ConnectorSpec): WatchOptions | null {
  return (spec.options.watch as unknown as WatchOptions | undefined) ?? null;
}

/** For `explain`. */
export const watchNote = ({ everyMs, settleMs }: WatchOptions): string =>
  `watched: files are taken when they have not changed for ${settleMs} ms; looked at when the system tells, and every ${everyMs} ms`;

export interface FoundFile {
  readonly path: string;
  readonly bytes: number;
  readonly modifiedMs: number;
  readonly inode: string;
}

/** `splitsOf` cuts a file up. */
export function discoverFiles(
  path: string,
  extensions: readonly string[],
  options: WatchOptions,
  context: DiscoveryContext,
  splitsOf: (file: FoundFile) => readonly Split[],
): SplitDiscovery {
  return new Discovery(path, extensions, options, context, splitsOf);
}

/** Files looked at before others on the thread have their turn. */
const filesPerTurn = 1000;
/** Looks take a tenth of the time at most, however often files change. */
const restFactor = 10;
const restMsMin = 20;

interface Settling {
  readonly file: FoundFile;
  readonly sinceMs: number;
}

class Discovery implements SplitDiscovery {
  readonly #path: string;
  readonly #base: string;
  readonly #extensions: readonly string[];
  readonly #options: WatchOptions;
  readonly #context: DiscoveryContext;
  readonly #splitsOf: (file: FoundFile) => readonly Split[];
  /** Files that became splits and are still there, by path. */
  #seen = new Map<string, FoundFile>();
  /** Files that may still be written to, and since when they are as they are. */
  #settling = new Map<string, Settling>();
  readonly #watchers = new Map<string, FSWatcher>();
  #next: { readonly atMs: number; readonly callOff: () => void } | null = null;
  #look: Generator<void, void> | null = null;
  /** Something happened during a look. */
  #again = false;
  #restMs = restMsMin;
  #closed = false;

  constructor(
    path: string,
    extensions: readonly string[],
    options: WatchOptions,
    context: DiscoveryContext,
    splitsOf: (file: FoundFile) => readonly Split[],
  ) {
    this.#path = path;
    this.#base = baseOf(path);
    this.#extensions = extensions;
    this.#options = options;
    this.#context = context;
    this.#splitsOf = splitsOf;
    for (const file of filesOfState(context.state, this.#base)) this.#seen.set(file.path, file);
    this.#lookIn(0);
  }

  state(): Json {
    const files = [...this.#seen.values()].map((file): Json => {
      const { bytes, modifiedMs, inode } = file;
      return [relative(this.#base, file.path), bytes, modifiedMs, inode];
    });
    return { files };
  }

  close(): void {
    this.#closed = true;
    this.#next?.callOff();
    this.#next = null;
    this.#look = null;
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** Looks after so long, if not before. */
  #lookIn(afterMs: number): void {
    if (this.#closed) return;
    if (this.#look) {
      this.#again = true;
      return;
    }
    const atMs = this.#context.nowMs() + afterMs;
    if (this.#next && this.#next.atMs <= atMs) return;
    this.#next?.callOff();
    const callOff = this.#context.schedule(afterMs, () => {
      this.#next = null;
      this.#look = this.#lookRound();
      this.#step();
    });
    this.#next = { atMs, callOff };
  }

  /** Goes on with a look, so many files at a time. */
  #step(): void {
    if (this.#closed || !this.#look) return;
    const beganMs = this.#context.nowMs();
    try {
      if (!this.#look.next().done) {
        this.#context.schedule(0, () => this.#step());
        return;
      }
    } catch (error) {
      this.#look = null;
      // Directories come and go; what is not there has no files.
      if (isMillraceError(error) && error.code === 'source/not-found') this.#lookIn(this.#options.everyMs);
      else this.#context.fail(error);
      return;
    }
    this.#look = null;
    this.#restMs = Math.max(restMsMin, (this.#context.nowMs() - beganMs) * restFactor);
    const settles =
      this.#settling.size > 0 ? Math.max(restMsMin, this.#options.settleMs / 2) : Number.POSITIVE_INFINITY;
    this.#lookIn(Math.min(this.#options.everyMs, settles, this.#again ? this.#restMs : Number.POSITIVE_INFINITY));
    this.#again = false;
  }

  *#lookRound(): Generator<void, void> {
    const { files, directories } = listFiles(this.#path, this.#extensions);
    if (files.length > watchedFilesMax) {
      throw new MillraceError(
        'source/failed',
        `${this.#path}: there are ${files.length} files, and ${watchedFilesMax} can be watched; move those away that were read`,
        { where: { path: this.#path } },
      );
    }
    this.#watch(directories);
    const seen = new Map<string, FoundFile>();
    const settling = new Map<string, Settling>();
    const fresh: FoundFile[] = [];
    for (const [i, path] of files.entries()) {
      if (i % filesPerTurn === filesPerTurn - 1) yield;
      const file = fileAt(path);
      // One without bytes has no rows, and most likely somebody is about to write to it.
      if (!file || file.bytes === 0) continue;
      const known = this.#seen.get(path);
      if (known && isSame(known, file)) {
        seen.set(path, file);
        continue;
      }
      if (known?.inode === file.inode) throw changed(known, file);
      const since = this.#settledSince(file);
      if (since === null) {
        seen.set(path, file);
        fresh.push(file);
        continue;
      }
      settling.set(path, { file, sinceMs: since });
      if (known) seen.set(path, known);
    }
    fresh.sort((a, b) => a.modifiedMs - b.modifiedMs || (a.path < b.path ? -1 : 1));
    const splits = fresh.flatMap((file) => this.#splitsOf(file));
    this.#seen = seen;
    this.#settling = settling;
    if (splits.length > 0) this.#context.emit(splits);
  }

  /** Null: nobody has written to it for long enough. Else: since when it is as it is. */
  #settledSince(file: FoundFile): number | null {
    const { settleMs } = this.#options;
    const nowMs = this.#context.nowMs();
    if (nowMs - file.modifiedMs >= settleMs) return null;
    // Clocks of file servers differ from ours: what has not changed for so long here has settled, too.
    const before = this.#settling.get(file.path);
    if (!before || !isUnchanged(before.file, file)) return nowMs;
    return nowMs - before.sinceMs >= settleMs ? null : before.sinceMs;
  }

  #watch(directories: readonly string[]): void {
    for (const [directory, watcher] of this.#watchers) {
      if (directories.includes(directory)) continue;
      watcher.close();
      this.#watchers.delete(directory);
    }
    for (const directory of directories.slice(0, watchedDirectoriesMax)) {
      if (this.#watchers.has(directory)) continue;
      try {
        const watcher = watch(directory, { persistent: false }, (_event, name) => {
          if (!name?.startsWith('.')) this.#lookIn(this.#restMs);
        });
        watcher.on('error', () => {
          watcher.close();
          this.#watchers.delete(directory);
        });
        this.#watchers.set(directory, watcher);
        // What came before it was watched and after it was listed.
        this.#again = true;
      } catch {
        // The system watches no more directories, or not this one: it is looked at every `everyMs`.
      }
    }
  }
}

/** The directory that a path or pattern says without a wildcard. */
function baseOf(path: string): string {
  if (!isPattern(path)) return path;
  const parts = path.split('/');
  return parts.slice(0, parts.findIndex(isPattern)).join('/') || (path.startsWith('/') ? '/' : '.');
}

function filesOfState(state: Json, base: string): FoundFile[] {
  if (state === null) return [];
  const { files } = state as { readonly files: readonly (readonly [string, number, number, string])[] };
  return files.map(([name, bytes, modifiedMs, inode]) => ({ path: join(base, name), bytes, modifiedMs, inode }));
}

function fileAt(path: string): FoundFile | null {
  try {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (!found) return null;
    return { path, bytes: Number(found.size), modifiedMs: Number(found.mtimeMs), inode: String(found.ino) };
  } catch (error) {
    throw readError(error, path);
  }
}

const isSame = (a: FoundFile, b: FoundFile): boolean =>
  a.bytes === b.bytes && (a.inode === b.inode || a.modifiedMs === b.modifiedMs);
const isUnchanged = (a: FoundFile, b: FoundFile): boolean =>
  a.bytes === b.bytes && a.inode === b.inode && a.modifiedMs === b.modifiedMs;

/** A split's file was taken away before it was read. */
export function replaced(path: string): MillraceError {
  return new MillraceError(
    'source/failed',
    `${path} was replaced by another file before it was read; let files stay until their rows are in a checkpoint`,
    { where: { path } },
  );
}

function changed(was: FoundFile, is: FoundFile): MillraceError {
  return new MillraceError(
    'source/failed',
    `${is.path} had ${was.bytes} bytes when it was read and has ${is.bytes} now; watch() reads files that are whole when they appear: write them under a name with a dot in front and rename them, or read one growing file with follow()`,
    { where: { path: is.path } },
  );
}
