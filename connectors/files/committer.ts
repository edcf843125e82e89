/**
 * The second phase of file sinks: takes the directory over, gives prepared files their names, and leaves nothing behind.
 * All of it may be repeated after a crash at any call. It knows no format and no row.
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert } from '../../core/base/assert.ts';
import { MillraceError } from '../../core/base/errors.ts';
import type { CommitterContext, SinkCommitter } from '../../core/ports/connector.ts';
import type { Disk } from '../../core/ports/disk.ts';
import { guarded } from './output.ts';
import { isTimeHandle, type PartitionMarks, partitionDirectories, partitionMarks } from './partition-marks.ts';
import type { Partitions } from './partitions.ts';
import {
  checkJobKey,
  checkpointOf,
  epochOf,
  markName,
  markOf,
  type StagedFile,
  stagedFile,
  stagingDirectory,
} from './staging.ts';

/** Committer of the directory `path`, which may have partitions. */
export function fileCommitter(
  path: string,
  { disk, jobKey }: CommitterContext,
  partitions: Partitions | null = null,
): SinkCommitter {
  checkJobKey(jobKey);
  let staging: string | null = null;
  let epoch = 0;
  /** The last checkpoint all of whose files were committed, as far as is known. */
  let mark: number | null = null;
  /** Partitions that their parents are known to know. */
  const known = new Set<string>();
  let marks: PartitionMarks | null = null;

  /** What is not there any more where a later epoch is has been taken over. */
  const unlessFenced = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      const latest = Math.max(0, ...disk.list(path).flatMap((name) => epochOf(name, jobKey) ?? []));
      throw latest > epoch ? fenced(path, `its epoch is ${latest}, not ${epoch}`, error) : error;
    }
  };

  /** Also where it is there: who made it may have died before its parents were synced. */
  const makePartition = (directory: string): void => {
    if (known.has(directory) && disk.stat(join(path, directory)) !== null) return;
    disk.makeDirectory(join(path, directory), 0o777);
    for (let made = directory; made !== ''; made = parentIn(made)) disk.syncDirectory(join(path, parentIn(made)));
    if (known.size >= knownMax) known.clear();
    known.add(directory);
  };

  const commit = (files: readonly StagedFile[]): void => {
    assert(staging !== null, 'a sink commits before it was opened');
    const from = staging;
    const changed = new Set<string>();
    for (const file of files) {
      const at = file.final.lastIndexOf('/');
      const directory = at < 0 ? '' : file.final.slice(0, at);
      if (directory !== '' && !changed.has(directory)) makePartition(directory);
      // One that is visible already may be so only until power is lost: who renamed it may have died before the sync.
      if (renameIfThere(disk, join(from, file.staged), join(path, file.final))) changed.add(directory);
      else if (disk.stat(join(path, file.final)) !== null) changed.add(directory);
      else checkGone(file, from);
    }
    for (const directory of changed) disk.syncDirectory(directory === '' ? path : join(path, directory));
    marks?.touched([...changed].filter((directory) => directory !== ''));
    const last = files.reduce((most, file) => Math.max(most, file.checkpoint), mark ?? 0);
    if (files.length > 0) setMark(last);
  };

  /** A file is neither staged nor visible: is that as it should be? */
  const checkGone = (file: StagedFile, from: string): void => {
    const where = { path: join(path, file.final) };
    if (disk.stat(path) !== null && disk.stat(from) === null) throw fenced(path, 'nothing more is committed here');
    // It was visible, and somebody has fetched it since.
    if (mark !== null && file.checkpoint <= mark) return;
    throw new MillraceError(
      'sink/lost',
      `${file.rows} rows are gone: checkpoint ${file.checkpoint} had prepared ${file.final}, which is neither in ${path} nor staged in ${from}; if the sink had another path before the restart, give it that again`,
      { where },
    );
  };

  /** Tells a restart what may be missing. Only advice: where it is lost, a file that somebody fetched is missed. */
  const setMark = (checkpoint: number): void => {
    if (staging === null || checkpoint === mark) return;
    const to = join(staging, markName(checkpoint));
    if (mark === null || !renameIfThere(disk, join(staging, markName(mark)), to)) {
      if (disk.stat(to) === null) disk.create(to).close();
    }
    mark = checkpoint;
  };

  return {
    open(ownEpoch, pending, restored = null) {
      const work = (): void => {
        epoch = ownEpoch;
        const files = pending.filter((handle) => !isTimeHandle(handle)).map((handle) => stagedFile(handle, path));
        makeDurably(disk, path);
        staging = takeOver(disk, path, jobKey, epoch);
        const names = disk.list(staging);
        const known = names.flatMap((name) => markOf(name) ?? []);
        mark = known.length > 0 ? Math.max(...known) : null;
        marks = partitions && partitionMarks(disk, path, partitions);
        for (const file of files) checkWhole(disk, join(staging, file.staged), file);
        commit(files);
        if (restored !== null) {
          takeBack(disk, path, jobKey, restored);
          if (partitions) {
            // Whoever died while he took back has not said yet how far it is back.
            const mayBeHalf = mark === null ? restored > 0 : mark > restored;
            for (const directory of partitionDirectories(disk, path, partitions.columns.length)) {
              if (takeBack(disk, join(path, directory), jobKey, restored)) marks?.unmark(directory);
              else if (mayBeHalf) disk.syncDirectory(join(path, directory));
            }
          }
          if (mark !== null && mark > restored) setMark(restored);
        }
        marks?.mark(pending);
        const kept = mark === null ? null : markName(mark);
        for (const name of disk.list(staging)) if (name !== kept) disk.removeTree(join(staging, name));
      };
      guarded(path, () => unlessFenced(work));
    },
    commit(handles) {
      guarded(path, () =>
        unlessFenced(() => {
          const files = handles.filter((handle) => !isTimeHandle(handle));
          commit(files.map((handle) => stagedFile(handle, path)));
          marks?.mark(handles);
        }),
      );
    },
    close() {
      guarded(path, () => {
        if (staging !== null) disk.removeTree(staging);
        staging = null;
      });
    },
  };
}

const fenced = (path: string, why: string, cause?: unknown): MillraceError =>
  new MillraceError('state/fenced', `another process has taken over ${path}: ${why}`, { where: { path }, cause });

/** What earlier epochs staged goes where only this one looks. Errors: `state/fenced` where a later one was here. */
function takeOver(disk: Disk, path: string, jobKey: string, epoch: number): string {
  const staging = stagingDirectory(path, jobKey, epoch);
  const epochs = disk.list(path).flatMap((name) => epochOf(name, jobKey) ?? []);
  const latest = Math.max(0, ...epochs);
  if (latest > epoch) throw fenced(path, `its epoch is ${latest}, not ${epoch}`);
  const earlier = epochs.filter((other) => other < epoch).sort((a, b) => b - a);
  if (!epochs.includes(epoch)) {
    const previous = earlier.shift();
    if (previous === undefined) {
      disk.makeDirectory(staging);
      // Whoever was stopped before it made the first one finds a successor's beside it.
      const now = Math.max(epoch, ...disk.list(path).flatMap((name) => epochOf(name, jobKey) ?? []));
      if (now > epoch) {
        disk.removeTree(staging);
        throw fenced(path, `its epoch is ${now}, not ${epoch}`);
      }
    } else disk.rename(stagingDirectory(path, jobKey, previous), staging);
  }
  for (const other of earlier) disk.removeTree(stagingDirectory(path, jobKey, other));
  disk.syncDirectory(path);
  return staging;
}

/** Rows of later checkpoints will come again: an older one is restored than the newest that was committed. Answers whether there were any. */
function takeBack(disk: Disk, path: string, jobKey: string, restored: number): boolean {
  const later = disk.list(path).filter((name) => (checkpointOf(name, jobKey) ?? -1) > restored);
  for (const name of later) disk.remove(join(path, name));
  if (later.length > 0) disk.syncDirectory(path);
  return later.length > 0;
}

/** Errors: `sink/lost` when a prepared file is not what was prepared. One that is not there may have been committed. */
function checkWhole(disk: Disk, path: string, file: StagedFile): void {
  const found = disk.stat(path);
  if (found === null) return;
  let checksum = 0;
  if (found.bytes === file.bytes) {
    const reader = disk.open(path);
    try {
      for (let at = 0; at < file.bytes; at += chunkBytes) checksum = crc32(reader.read(at, chunkBytes), checksum);
    } finally {
      reader.close();
    }
    if (checksum === file.checksum) return;
  }
  throw new MillraceError(
    'sink/lost',
    `${path} is damaged: checkpoint ${file.checkpoint} had prepared ${file.bytes} bytes with checksum ${file.checksum}, and there are ${found.bytes}${found.bytes === file.bytes ? ` with checksum ${checksum}` : ''}; restore from an older checkpoint`,
    { where: { path } },
  );
}

const chunkBytes = 1024 * 1024;
/** Beyond so many partitions they are looked at again. */
const knownMax = 10_000;

/** Of a partition, within the sink's directory: `''` is that itself. */
const parentIn = (partition: string): string => partition.slice(0, Math.max(0, partition.lastIndexOf('/')));

/** Renames; false where there is no such file (or no such directory any more). */
function renameIfThere(disk: Disk, from: string, to: string): boolean {
  try {
    disk.rename(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** A directory that is there after a crash, too: each parent that did not know it is synced. */
function makeDurably(disk: Disk, path: string): void {
  const missing: string[] = [];
  for (let at = path; disk.stat(at) === null; ) {
    missing.push(at);
    const parent = join(at, '..');
    if (parent === at) break;
    at = parent;
  }
  if (missing.length === 0) return;
  disk.makeDirectory(path, 0o777);
  for (const made of missing.reverse()) disk.syncDirectory(join(made, '..'));
}
