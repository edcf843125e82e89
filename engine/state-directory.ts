/**
 * Opens a state directory of this machine for this process: who we are, whether another owner lives, whether the place is
 * safe. What is in it is state/checkpoint's business.
 */
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { isMillraceError, MillraceError } from '../core/base/errors.ts';
import type { Owner, StateDirectory } from '../core/ports/checkpoint.ts';
import type { Disk } from '../core/ports/disk.ts';
import { openStateDirectory, plainOwner } from '../state/checkpoint/directory.ts';
import { stateError } from '../state/checkpoint/errors.ts';
import { realDisk } from './disk.ts';

export interface OpenOptions {
  /** Takes the directory from a living owner, which is fenced then. */
  readonly takeOver?: boolean;
  readonly disk?: Disk;
}

/** Errors: `state/locked`, `state/forbidden`, `state/not-found` where it is no state directory, `state/disk-full`, `state/failed`. */
export function openState(directory: string, options: OpenOptions = {}): StateDirectory {
  const path = resolve(directory);
  try {
    refuseUnsafe(path);
    return openStateDirectory(path, {
      disk: options.disk ?? realDisk,
      owner: thisOwner(),
      life,
      takeOver: options.takeOver ?? false,
      nowMs: Date.now(),
    });
  } catch (error) {
    throw isMillraceError(error) ? error : stateError(error, path);
  }
}

/** State that anybody may write is state that anybody may forge. */
export function refuseUnsafe(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isDirectory()) {
    throw new MillraceError('state/not-found', `${path} is a file; a state directory was expected`, {
      where: { path },
    });
  }
  if ((found.mode & 0o002) === 0) return;
  throw new MillraceError(
    'state/forbidden',
    `${path} may be written by everybody (mode ${(found.mode & 0o7777).toString(8)}); chmod o-w ${path}, or name another directory`,
    { where: { path } },
  );
}

/** This process. Where /proc is missing, a process id alone has to do. */
export function thisOwner(): Owner {
  return plainOwner({
    pid: process.pid,
    startTime: startTimeOf(process.pid) ?? '0',
    bootId: readOr('/proc/sys/kernel/random/boot_id', '0'),
    pidNamespace: pidNamespace(),
    host: hostname() || 'localhost',
  });
}

export function life(owner: Owner): 'alive' | 'dead' | 'unknown' {
  const me = thisOwner();
  if (owner.host !== me.host) return 'unknown';
  // The machine was started anew since.
  if (owner.bootId !== me.bootId) return 'dead';
  if (owner.pidNamespace !== me.pidNamespace) return 'unknown';
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return 'dead';
  }
  const startTime = startTimeOf(owner.pid);
  // Another process has got its number since; one that has ended and was not waited for is gone as well.
  if (startTime === null) return me.startTime === '0' ? 'alive' : 'dead';
  return startTime === owner.startTime ? 'alive' : 'dead';
}

/** Clock ticks from boot to its start: field 22 of /proc/<pid>/stat. Null: no such process, or a dead one that nobody waited for. */
function startTimeOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is a name in brackets, which may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid').replaceAll(/\D/g, '');
  } catch {
    return '0';
  }
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return otherwise;
  }
}
