/**
 * Which partitions are whole: an empty file `_SUCCESS` appears in one when event time in all writers has passed its time and
 * the delay, with the checkpoint that says so, behind its files. After Flink's partition commit with the policy `success-file`.
 */
import { join } from 'node:path';
import type { Json, WriterContext } from '../../core/ports/connector.ts';
import type { Disk } from '../../core/ports/disk.ts';
import { type Partitions, partitionTimeMs } from './partitions.ts';
import { isPartitionPart } from './staging.ts';

export const successName = '_SUCCESS';

/** What a writer's event time is at a checkpoint; null: it knows none. */
interface TimeHandle {
  readonly subtask: number;
  readonly parallelism: number;
  readonly watermarkMs: number | null;
}

export const timeHandle = ({ subtask, parallelism }: WriterContext, watermarkMs: number | null): Json => ({
  subtask,
  parallelism,
  watermarkMs,
});

export const isTimeHandle = (handle: Json): boolean =>
  typeof handle === 'object' && handle !== null && !Array.isArray(handle) && 'watermarkMs' in handle;

/** Event time of the slowest of all writers, as the handles of one checkpoint have it; null: one does not know. */
function slowestOf(handles: readonly Json[]): number | null {
  const times = handles.filter(isTimeHandle) as unknown as readonly TimeHandle[];
  const writers = new Set(times.map(({ subtask }) => subtask));
  if (times.length === 0 || writers.size < times[0]!.parallelism) return null;
  let slowest = Number.POSITIVE_INFINITY;
  for (const { watermarkMs } of times) {
    if (watermarkMs === null) return null;
    slowest = Math.min(slowest, watermarkMs);
  }
  return slowest;
}

/** Directories of partitions below `path`, `levels` deep. */
export function partitionDirectories(disk: Disk, path: string, levels: number): readonly string[] {
  let found: readonly string[] = [''];
  for (let level = 0; level < levels; level++) {
    found = found.flatMap((above) =>
      disk
        .list(join(path, above))
        .filter(isPartitionPart)
        .map((name) => (above === '' ? name : `${above}/${name}`)),
    );
  }
  return found;
}

export interface PartitionMarks {
  /** Files came into these. One that was marked is marked anew when event time has passed it, which is at once. */
  touched(directories: Iterable<string>): void;
  /** Marks those that are whole by what a checkpoint's handles say. */
  mark(handles: readonly Json[]): void;
  /** Files of one were taken away again: it is not whole. */
  unmark(directory: string): void;
}

/** Of the partitions below `path`: those that are not marked are looked for once. */
export function partitionMarks(disk: Disk, path: string, { columns, commit }: Partitions): PartitionMarks {
  if (commit === null) return { touched() {}, mark() {}, unmark() {} };
  const isMarked = (directory: string): boolean => disk.stat(join(path, directory, successName)) !== null;
  const timeOf = (directory: string): number => {
    try {
      return partitionTimeMs(directory, commit);
    } catch {
      // Not of this sink: no writer makes one without a time.
      return Number.POSITIVE_INFINITY;
    }
  };
  /** Not yet marked, with their times. */
  const open = new Map<string, number>();
  for (const directory of partitionDirectories(disk, path, columns.length)) {
    if (!isMarked(directory)) open.set(directory, timeOf(directory));
  }
  return {
    touched(directories) {
      for (const directory of directories) if (!isMarked(directory)) open.set(directory, timeOf(directory));
    },
    mark(handles) {
      const slowest = slowestOf(handles);
      if (slowest === null) return;
      for (const [directory, timeMs] of open) {
        if (slowest < timeMs + commit.delayMs - 1) continue;
        const mark = join(path, directory, successName);
        if (disk.stat(mark) === null) {
          disk.create(mark, 0o666).close();
          disk.syncDirectory(join(path, directory));
        }
        open.delete(directory);
      }
    },
    unmark(directory) {
      if (isMarked(directory)) disk.remove(join(path, directory, successName));
      open.set(directory, timeOf(directory));
    },
  };
}
