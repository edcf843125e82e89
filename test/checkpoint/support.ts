/** State directories for tests: owners, small part files, manifests. */
import type { FileRef, ManifestContent, Owner, StateDirectory } from '../../core/ports/checkpoint.ts';
import type { Disk } from '../../core/ports/disk.ts';
import { blockFile } from '../../state/checkpoint/block-file.ts';
import { openStateDirectory, partName } from '../../state/checkpoint/directory.ts';
import { blockBytesMax, RecordKind } from '../../state/checkpoint/format.ts';

export const ownerOf = (pid: number): Owner => ({
  pid,
  startTime: `${pid * 10}`,
  bootId: 'boot',
  pidNamespace: '1',
  host: 'here',
});

/** Opens as process `pid`; `living` are the processes that are alive. */
export function openAs(
  disk: Disk,
  path: string,
  pid: number,
  options: { living?: ReadonlySet<number>; takeOver?: boolean } = {},
): StateDirectory {
  return openStateDirectory(path, {
    disk,
    owner: ownerOf(pid),
    life: (owner) => (options.living?.has(owner.pid) ? 'alive' : 'dead'),
    takeOver: options.takeOver ?? false,
    nowMs: 0,
  });
}

/** A part file with one record of `bytes` bytes. */
export async function stagePart(
  disk: Disk,
  directory: StateDirectory,
  checkpoint: number,
  participant = 0,
  bytes = 40,
): Promise<FileRef> {
  const file = blockFile({
    disk,
    directory: directory.staging,
    name: partName(checkpoint, directory.epoch, participant),
    checkpoint,
    epoch: directory.epoch,
    participant,
    buffer: new Uint8Array(blockBytesMax),
  });
  file.append(RecordKind.values, 0, 0, 0, new Uint8Array(bytes).fill(65 + (checkpoint % 26)));
  return await file.finish({ files: [], operators: [], tables: [] });
}

export function contentOf(checkpointId: number, files: readonly FileRef[]): ManifestContent {
  return {
    checkpointId,
    jobName: 'job',
    jobKey: 'job',
    timestampMs: 0,
    plan: { version: 1 },
    parallelism: 1,
    hashSeed: '1',
    finished: false,
    tasks: [],
    parts: files.map(({ name }, participant) => ({ participant, file: name })),
    sources: [],
    sinks: [],
    files,
  };
}

/** One whole checkpoint with a file of its own. */
export async function checkpoint(disk: Disk, directory: StateDirectory, id: number, also: readonly FileRef[] = []) {
  const file = await stagePart(disk, directory, id);
  return directory.commit(contentOf(id, [file, ...also]));
}
