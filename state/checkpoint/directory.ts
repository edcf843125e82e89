/**
 * A state directory: who owns it, what is published in it, what counts. Knows manifests and files by name and hash, not
 * what jobs mean by them.
 *
 *   LOCK                     who owns it, for people
 *   JOB, control.sock        (the engine's)
 *   staging/<epoch>.<owner>  everything not yet published; exactly one at any time. `<epoch>` alone: nobody owns it
 *   files/…                  published files of participants
 *   manifests/MANIFEST-<id>  one per checkpoint that counts
 *   manifests/passed-over-…  one that did not verify when an older one was gone on from, and counts no more
 *
 * **One owner.** Whoever renames `staging/<epoch>…` to `staging/<epoch + 1>.<himself>` owns the directory: a rename happens
 * once, so of any number of contenders one wins, and the name says who. A first start builds `staging` aside and renames it into
 * place, which fails where there is one. A crash between any two calls leaves a state from which the next start goes on.
 *
 * **Fencing.** Every change that an owner makes is a rename out of its staging directory (files and manifests) or into it
 * (what is removed). When a successor has taken over, that path is gone: whatever a stopped and continued owner still
 * does answers ENOENT, and it says `state/fenced`. Only after its rename does the successor look at manifests.
 *
 * **Doubt.** From the rename of a manifest until its directory is synced, nobody knows whether the checkpoint counts: readers
 * see it, and a loss of power may take it back. An owner whose sync fails knows no more, and neither does who finds the manifest
 * of a process that died in between. So nothing is committed or removed in doubt, and whoever looks for the checkpoint to go
 * on from looks at the directory itself, and makes what he found durable before he acts on it.
 */
import { assert } from '../../core/base/assert.ts';
import { MillraceError } from '../../core/base/errors.ts';
import type {
  FileRef,
  Manifest,
  ManifestContent,
  Owner,
  Refusal,
  StateDirectory,
} from '../../core/ports/checkpoint.ts';
import type { Disk } from '../../core/ports/disk.ts';
import { Damage, damageOf } from './block-reader.ts';
import {
  checkpointIdOf,
  decodeManifest,
  encodeManifest,
  manifestName,
  manifestVersion,
  passedOverIdOf,
  passedOverName,
} from './manifest.ts';

export interface DirectorySetup {
  readonly disk: Disk;
  readonly owner: Owner;
  /** Whether the process that an owner names is alive; `unknown`: it cannot be seen from here (another machine or container). */
  readonly life: (owner: Owner) => 'alive' | 'dead' | 'unknown';
  /** Takes it from a living owner, which is fenced then. */
  readonly takeOver: boolean;
  readonly nowMs: number;
}

/** Contenders that lose a race look again this often. */
const attemptsMax = 1000;

/** Errors: `state/locked` when a living process owns it; those of the disk. */
export function openStateDirectory(path: string, setup: DirectorySetup): StateDirectory {
  const { disk, owner } = setup;
  refuseForeign(disk, path);
  makeDurable(disk, path);
  const staging = `${path}/staging`;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const found = currentStaging(disk, staging);
    if (found === null) {
      begin(disk, path, staging, owner, attempt);
      continue;
    }
    if (found.owner !== null && !setup.takeOver) refuseLiving(path, found.owner, setup);
    const epoch = found.epoch + 1;
    const mine = `${staging}/${epoch}.${ownerToName(owner)}`;
    try {
      disk.rename(`${staging}/${found.name}`, mine);
    } catch (error) {
      // Somebody was faster.
      if (codeOf(error) === 'ENOENT') continue;
      throw error;
    }
    disk.syncDirectory(staging);
    return owned(path, mine, epoch, setup);
  }
  throw new MillraceError('state/locked', `${path}: its owner changes too often; start one job with it`, {
    where: { path },
    retryable: true,
  });
}

/** A directory with its parents, which know it when this returns. */
export function makeDurable(disk: Disk, path: string): void {
  if (disk.stat(path) !== null) return;
  const parent = path.slice(0, Math.max(0, path.lastIndexOf('/'))) || (path.startsWith('/') ? '/' : '.');
  if (parent !== path) makeDurable(disk, parent);
  disk.makeDirectory(path);
  disk.syncDirectory(parent);
}

/** Somebody's home is not made a state directory. */
function refuseForeign(disk: Disk, path: string): void {
  const names = disk.list(path);
  if (names.includes('staging') || names.includes('manifests')) return;
  const foreign = names.filter((name) => !name.startsWith('init-') && !ownNames.includes(name));
  if (foreign.length === 0) return;
  throw new MillraceError(
    'state/not-found',
    `${path} is not a state directory: it holds ${foreign.slice(0, 3).join(', ')}${foreign.length > 3 ? ', …' : ''}; name one, or an empty or new directory`,
    { where: { path } },
  );
}
const ownNames = ['LOCK', 'JOB', 'control.sock', 'files'];

/** Makes `staging` as a whole; one that has come into being meanwhile stays. */
function begin(disk: Disk, path: string, staging: string, owner: Owner, attempt: number): void {
  const aside = `${path}/init-${ownerToName(owner)}-${attempt}`;
  const epoch = manifestsIn(disk, path).reduce((most, { manifest }) => Math.max(most, manifest?.epoch ?? 0), 0);
  disk.removeTree(aside);
  disk.makeDirectory(`${aside}/${epoch}`);
  disk.syncDirectory(aside);
  try {
    disk.rename(aside, staging);
  } catch (error) {
    const code = codeOf(error);
    // ENOENT: an owner that came meanwhile has cleaned up.
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOENT') throw error;
    disk.removeTree(aside);
    return;
  }
  disk.syncDirectory(path);
}

interface Staging {
  readonly name: string;
  readonly epoch: number;
  readonly owner: Owner | null;
}

function currentStaging(disk: Disk, staging: string): Staging | null {
  let found: Staging | null = null;
  for (const name of disk.list(staging)) {
    const one = stagingOf(name);
    if (one !== null && (found === null || one.epoch > found.epoch)) found = one;
  }
  return found;
}

/** The fields of an owner are plain: letters, digits, `_` and `-` (see `plainOwner`). */
function ownerToName({ pid, startTime, pidNamespace, bootId, host }: Owner): string {
  return [pid, startTime, pidNamespace, bootId, host].join('.');
}

/** An owner as names carry it. */
export function plainOwner(owner: Owner): Owner {
  const plain = (text: string): string => text.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, 48);
  return {
    pid: owner.pid,
    startTime: plain(owner.startTime),
    pidNamespace: plain(owner.pidNamespace),
    bootId: plain(owner.bootId),
    host: plain(owner.host),
  };
}

function stagingOf(name: string): Staging | null {
  const free = /^(\d+)$/.exec(name);
  if (free) return { name, epoch: Number(free[1]), owner: null };
  const match = /^(\d+)\.(\d+)\.([^.]*)\.([^.]*)\.([^.]*)\.([^.]*)$/.exec(name);
  if (match === null) return null;
  const [, epoch, pid, startTime, pidNamespace, bootId, host] = match as unknown as string[];
  return {
    name,
    epoch: Number(epoch),
    owner: { pid: Number(pid), startTime: startTime!, pidNamespace: pidNamespace!, bootId: bootId!, host: host! },
  };
}

function refuseLiving(path: string, owner: Owner, { disk, life, owner: { host } }: DirectorySetup): void {
  const state = life(owner);
  if (state === 'dead') return;
  const since = sinceOf(disk, path, owner);
  const who = `process ${owner.pid}${owner.host === host ? '' : ` on ${owner.host}`}${since === null ? '' : ` since ${since}`}`;
  throw new MillraceError(
    'state/locked',
    state === 'alive'
      ? `${path} is in use by ${who}; stop that job (millrace stop --state-dir ${path}), or take the directory from it with --take-over`
      : `${path} is in use by ${who}, which cannot be seen from here; when you know that it has ended, start with --take-over`,
    { where: { path } },
  );
}

/** When the owner took it, if LOCK is of that owner. */
function sinceOf(disk: Disk, path: string, owner: Owner): string | null {
  try {
    const lock = JSON.parse(new TextDecoder().decode(disk.read(`${path}/LOCK`))) as { pid?: number; since?: string };
    return lock.pid === owner.pid && typeof lock.since === 'string' ? lock.since : null;
  } catch {
    return null;
  }
}

interface ManifestFile {
  readonly path: string;
  readonly name: string;
  readonly checkpointId: number;
  /** Null: it does not verify, for `reason`. */
  readonly manifest: Manifest | null;
  readonly reason: string | null;
}

/** Newest first. */
export function manifestsIn(disk: Disk, path: string): ManifestFile[] {
  const found: ManifestFile[] = [];
  for (const name of disk.list(`${path}/manifests`)) {
    const checkpointId = checkpointIdOf(name);
    if (checkpointId === null) continue;
    const at = `${path}/manifests/${name}`;
    found.push({ path: at, name, checkpointId, ...readManifest(disk, at, checkpointId) });
  }
  return found.sort((a, b) => b.checkpointId - a.checkpointId);
}

function readManifest(disk: Disk, path: string, checkpointId: number): Pick<ManifestFile, 'manifest' | 'reason'> {
  try {
    const manifest = decodeManifest(disk.read(path), path);
    if (manifest.checkpointId !== checkpointId) {
      return { manifest: null, reason: `${path}: is of checkpoint ${manifest.checkpointId}` };
    }
    return { manifest, reason: null };
  } catch (error) {
    if (error instanceof Damage || ['EIO', 'EISDIR'].includes(codeOf(error) ?? ''))
      return { manifest: null, reason: (error as Error).message };
    throw error;
  }
}

/** Reads every file of a manifest. Null: all are whole. */
export function filesDamage(
  disk: Disk,
  files: string,
  refs: readonly FileRef[],
  onBytes?: (bytes: number) => void,
): string | null {
  let before = 0;
  for (const ref of refs) {
    const reason = damageOf(disk, `${files}/${ref.name}`, ref, onBytes && ((bytes) => onBytes(before + bytes)));
    if (reason !== null) return reason;
    before += ref.bytes;
  }
  return null;
}

/** File names begin with the checkpoint that wrote them. */
export const partName = (checkpoint: number, epoch: number, participant: number): string =>
  `s${String(checkpoint).padStart(8, '0')}-e${epoch}-p${participant}.state`;
const checkpointOfPart = (name: string): number => Number(/^s(\d+)-/.exec(name)?.[1] ?? 0);

function owned(path: string, staging: string, epoch: number, { disk, owner, nowMs }: DirectorySetup): StateDirectory {
  const files = `${path}/files`;
  const manifests = `${path}/manifests`;
  let closed = false;
  let trashed = 0;
  let inDoubt = false;

  /** Runs what goes through the staging directory; when that is gone, a successor has it. */
  const fenced = <T>(work: () => T): T => {
    assert(!closed, 'a state directory is used after it was closed');
    try {
      return work();
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || disk.stat(staging) !== null) throw error;
      throw new MillraceError(
        'state/fenced',
        `${path} was taken over by another process (epoch ${epoch} is over); this job ends without having changed anything there`,
        { where: { path }, cause: error },
      );
    }
  };
  /** A small file, whole and durable, under its final name. `named`: it may have that from here on. */
  const publish = (name: string, bytes: Uint8Array, directory: string, named?: () => void): void => {
    const staged = `${staging}/${name}`;
    disk.remove(staged);
    const file = disk.create(staged);
    try {
      file.write(bytes);
      file.syncNow();
    } finally {
      file.close();
    }
    try {
      disk.rename(staged, `${directory}/${name}`);
    } catch (error) {
      // Any other error than this one means that nothing was renamed (POSIX, rename).
      if (codeOf(error) === 'EIO') named?.();
      throw error;
    }
    named?.();
    disk.syncDirectory(directory);
  };
  /** Removes by way of the staging directory, so that a zombie removes nothing. */
  const trash = (from: string): void => {
    const to = `${staging}/trash-${trashed++}`;
    try {
      disk.rename(from, to);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || disk.stat(staging) === null) throw error;
      // It was gone already.
      return;
    }
    disk.remove(to);
  };

  fenced(() => {
    for (const name of disk.list(staging)) disk.removeTree(`${staging}/${name}`);
    for (const name of disk.list(path)) if (name.startsWith('init-')) disk.removeTree(`${path}/${name}`);
    disk.makeDirectory(files);
    disk.makeDirectory(manifests);
    const lock = { ...owner, epoch, since: new Date(nowMs).toISOString() };
    publish('LOCK', new TextEncoder().encode(`${JSON.stringify(lock, null, 1)}\n`), path);
  });
  /** Newest first. */
  let known = manifestsIn(disk, path);
  const lastCheckpointId = Math.max(
    0,
    ...known.map(({ checkpointId }) => checkpointId),
    ...disk.list(files).map(checkpointOfPart),
    ...disk.list(manifests).map((name) => passedOverIdOf(name) ?? 0),
  );

  return {
    path,
    epoch,
    staging,
    files,
    lastCheckpointId,
    get inDoubt() {
      return inDoubt;
    },
    latest() {
      disk.syncDirectory(manifests);
      known = manifestsIn(disk, path);
      inDoubt = false;
      const refused: Refusal[] = [];
      for (const { path: at, checkpointId, manifest, reason } of known) {
        const wrong = manifest === null ? reason : filesDamage(disk, files, manifest.files);
        if (wrong === null) return { manifest, refused };
        refused.push({ manifest: at, checkpointId, reason: wrong });
      }
      if (refused.length === 0) return { manifest: null, refused };
      throw new MillraceError(
        'state/corrupt',
        `${path}: none of its ${refused.length} checkpoints is whole (${refused.map((one) => one.reason).join('; ')}); restore the files from a copy, start from a savepoint in a new directory, or start anew without --state-dir ${path}`,
        { where: { path } },
      );
    },
    passOver(refused) {
      if (refused.length === 0) return;
      fenced(() => {
        for (const { manifest: at, checkpointId } of refused) {
          // Out and in again by way of the staging directory, so that a zombie passes over nothing.
          const name = passedOverName(checkpointId);
          disk.rename(at, `${staging}/${name}`);
          disk.rename(`${staging}/${name}`, `${manifests}/${name}`);
        }
        disk.syncDirectory(manifests);
        const gone = new Set(refused.map(({ manifest }) => manifest));
        known = known.filter((one) => !gone.has(one.path));
      });
    },
    commit(content: ManifestContent) {
      assert(!inDoubt, 'a checkpoint is published while it is not known whether the one before counts');
      return fenced(() => {
        const staged = new Set(disk.list(staging));
        let published = 0;
        for (const { name } of content.files) {
          if (!staged.has(name)) continue;
          disk.rename(`${staging}/${name}`, `${files}/${name}`);
          published++;
        }
        if (published > 0) disk.syncDirectory(files);
        const manifest: Manifest = { version: manifestVersion, kind: 'checkpoint', epoch, ...content };
        const name = manifestName(content.checkpointId);
        publish(name, encodeManifest(manifest), manifests, () => {
          inDoubt = true;
        });
        inDoubt = false;
        const { checkpointId } = content;
        known = [{ path: `${manifests}/${name}`, name, checkpointId, manifest, reason: null }, ...known];
        return manifest;
      });
    },
    clean(retain) {
      assert(!inDoubt, 'old checkpoints are removed while it is not known which is the newest');
      fenced(() => {
        const least = Math.max(2, retain);
        const whole = known.filter(({ manifest }) => manifest !== null);
        if (whole.length > least) {
          const oldest = (whole[least - 1] as ManifestFile).checkpointId;
          const gone = known.filter(({ checkpointId }) => checkpointId < oldest);
          for (const one of gone) trash(one.path);
          for (const name of disk.list(manifests))
            if ((passedOverIdOf(name) ?? oldest) < oldest) trash(`${manifests}/${name}`);
          disk.syncDirectory(manifests);
          known = known.filter(({ checkpointId }) => checkpointId >= oldest);
        }
        // What a manifest that cannot be read refers to is not known: nothing goes while there is one.
        if (known.some(({ manifest }) => manifest === null)) return;
        const referred = new Set(known.flatMap(({ manifest }) => manifest?.files.map(({ name }) => name) ?? []));
        for (const name of disk.list(files)) if (!referred.has(name)) trash(`${files}/${name}`);
      });
    },
    discard(checkpointId) {
      fenced(() => {
        for (const name of disk.list(staging)) {
          if (checkpointOfPart(name) === checkpointId) disk.remove(`${staging}/${name}`);
        }
      });
    },
    close() {
      if (closed) return;
      try {
        fenced(() => {
          for (const name of disk.list(staging)) disk.removeTree(`${staging}/${name}`);
          trash(`${path}/LOCK`);
          disk.rename(staging, `${path}/staging/${epoch}`);
          disk.syncDirectory(`${path}/staging`);
        });
      } catch (error) {
        // A successor has it: nothing here is ours to give up.
        if (!(error instanceof MillraceError && error.code === 'state/fenced')) throw error;
      } finally {
        closed = true;
      }
    },
  };
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null)?.code;
