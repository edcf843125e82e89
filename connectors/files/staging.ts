/**
 * Where files of a job with checkpoints lie until they are committed, and what they are called.
 *
 *   <out>/part-<job>-<checkpoint>-<subtask>-<sequence>.<ending>     committed: whole, and never touched again
 *   <out>/<partition>/part-…                                       committed, where the directory has partitions
 *   <out>/.millrace-<job>.<epoch>/<attempt>-<subtask>-<sequence>    staged: being written, or prepared by a checkpoint
 *   <out>/.millrace-<job>.<epoch>/committed-<checkpoint>            empty: all of that checkpoint was committed
 *
 * The epoch is in the directory's name and not a level below, so that taking over is one rename and ending one removal of a
 * directory nobody else can be in: a successor has it under another name. Readers take no name that begins with a dot.
 */
import { join } from 'node:path';
import { MillraceError } from '../../core/base/errors.ts';
import type { Json } from '../../core/ports/connector.ts';

/** A prepared file, as it stands in a checkpoint. */
export interface StagedFile {
  /** Name in the staging directory of whichever epoch. */
  readonly staged: string;
  /** Name in the sink's directory; with its partition, where there are any. */
  readonly final: string;
  /** The checkpoint that named it first. */
  readonly checkpoint: number;
  readonly bytes: number;
  readonly rows: number;
  /** CRC-32 of its bytes. */
  readonly checksum: number;
}

export const stagingDirectory = (path: string, jobKey: string, epoch: number): string =>
  join(path, `${stagingPrefix(jobKey)}${epoch}`);

/** The epoch in the name of a staging directory of this job; null: it is none. */
export function epochOf(name: string, jobKey: string): number | null {
  const prefix = stagingPrefix(jobKey);
  if (!name.startsWith(prefix) || !/^\d+$/.test(name.slice(prefix.length))) return null;
  return Number(name.slice(prefix.length));
}

export const finalName = (
  jobKey: string,
  checkpoint: number,
  subtask: number,
  sequence: number,
  extension: string,
): string => `part-${jobKey}-${padded(checkpoint, 6)}-${padded(subtask, 5)}-${padded(sequence, 5)}${extension}`;

/** The checkpoint in the name of a committed file of this job; null: it is none. */
export function checkpointOf(name: string, jobKey: string): number | null {
  const prefix = `part-${jobKey}-`;
  const match = name.startsWith(prefix) ? /^(\d{6,})-\d{5,}-\d{5,}\.\w+$/.exec(name.slice(prefix.length)) : null;
  return match ? Number(match[1]) : null;
}

const markPattern = /^committed-(\d+)$/;
export const markName = (checkpoint: number): string => `committed-${checkpoint}`;
/** The checkpoint that a mark speaks of; null: it is none. */
export function markOf(name: string): number | null {
  const match = markPattern.exec(name);
  return match ? Number(match[1]) : null;
}

/** A handle of a checkpoint. Errors: `sink/lost` for what this sink did not write. */
export function stagedFile(handle: Json, path: string): StagedFile {
  const file = handle as Partial<Record<keyof StagedFile, unknown>> | null;
  if (
    typeof file === 'object' &&
    isName(file?.staged) &&
    isPlace(file?.final) &&
    [file.checkpoint, file.bytes, file.rows, file.checksum].every((n) => Number.isSafeInteger(n))
  ) {
    return file as StagedFile;
  }
  throw new MillraceError(
    'sink/lost',
    `${path}: the checkpoint names no file of this sink: ${JSON.stringify(handle)}`,
    {
      where: { path },
    },
  );
}

/** Errors: `option/invalid` for a key that cannot be part of a name. */
export function checkJobKey(jobKey: string): string {
  if (/^[\w-]{1,100}$/.test(jobKey)) return jobKey;
  throw new MillraceError(
    'option/invalid',
    `a job's key is letters, digits, '-' and '_', 100 at most, not '${jobKey}'`,
  );
}

const stagingPrefix = (jobKey: string): string => `.millrace-${jobKey}.`;
const padded = (n: number, digits: number): string => String(n).padStart(digits, '0');
/** Names stay in their directory, whatever a damaged manifest says. */
const isPlace = (name: unknown): boolean =>
  typeof name === 'string' &&
  name.split('/').every((part, i, all) => (i === all.length - 1 ? isName(part) : isPartitionPart(part)));
/** `dt=2015-07-15`: one level of a partition. */
export const isPartitionPart = (name: string): boolean => /^[^./][^/]*=[^/]*$/.test(name);
const isName = (name: unknown): name is string => typeof name === 'string' && /^\w[\w.-]*$/.test(name);
