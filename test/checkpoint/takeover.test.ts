/**
 * An owner that stops at any disk call, is taken over from, and goes on, changes nothing: exhaustively, by a disk that lets
 * the successor act in the middle of the n-th call of the zombie. With real processes and SIGSTOP: processes.test.ts.
 */
import { expect, test } from 'vitest';
import { MillraceError } from '../../core/base/errors.ts';
import type { Disk } from '../../core/ports/disk.ts';
import { type SimulatedDisk, simulatedDisk } from '../../testing/simulated-disk.ts';
import { checkpoint, contentOf, openAs, stagePart } from './support.ts';

/** The disk as the zombie sees it: before its n-th call, once, somebody else acts. */
function interrupted(disk: Disk, n: number, act: () => void): { disk: Disk; calls: () => number } {
  let calls = 0;
  const before = (): void => {
    if (++calls === n) act();
  };
  const wrapped = new Proxy(disk, {
    get(target, name) {
      const member = Reflect.get(target, name) as unknown;
      if (typeof member !== 'function') return member;
      return (...given: unknown[]) => {
        before();
        const answer = member.apply(target, given) as unknown;
        if (name !== 'create') return answer;
        return new Proxy(answer as object, {
          get(file, method) {
            const own = Reflect.get(file, method) as unknown;
            if (typeof own !== 'function') return own;
            return (...args: unknown[]) => {
              before();
              return own.apply(file, args) as unknown;
            };
          },
        });
      };
    },
  });
  return { disk: wrapped, calls: () => calls };
}

function all(disk: SimulatedDisk): Map<string, string> {
  const found = new Map<string, string>();
  const visit = (at: string): void => {
    for (const name of disk.list(at)) {
      const below = `${at}/${name}`;
      if (disk.stat(below)?.kind === 'directory') visit(below);
      else found.set(below, Buffer.from(disk.read(below)).toString('base64'));
    }
  };
  visit('/s');
  return found;
}

/** What an owner does: three checkpoints, old ones removed, one given up, then the end. */
async function life(disk: Disk): Promise<void> {
  const state = openAs(disk, '/s', 1);
  const first = await checkpoint(disk, state, state.lastCheckpointId + 1);
  await checkpoint(disk, state, first.checkpointId + 1, first.files);
  await stagePart(disk, state, first.checkpointId + 2);
  state.discard(first.checkpointId + 2);
  await checkpoint(disk, state, first.checkpointId + 3);
  state.clean(2);
  await checkpoint(disk, state, first.checkpointId + 4);
  state.clean(2);
  state.close();
}

/** As `life`, told of everything but being fenced. Answers whether it was. */
async function zombie(disk: Disk): Promise<boolean> {
  try {
    await life(disk);
    return false;
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'state/fenced') return true;
    // A file that cannot be created where the directory is gone: `CheckpointFile.finish` says `state/fenced` of it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    if (error instanceof MillraceError && error.code === 'state/locked') return true;
    throw error;
  }
}

test('a zombie that goes on after any of its disk calls changes nothing', async () => {
  let fenced = 0;
  let points = 0;
  for (let n = 1; ; n++) {
    const disk = simulatedDisk(n);
    await life(disk);
    let before: Map<string, string> | null = null;
    let successor: ReturnType<typeof openAs> | null = null;
    const seen = interrupted(disk, n, () => {
      successor = openAs(disk, '/s', 2, { living: new Set([1]), takeOver: true });
      successor.commit(contentOf(100, []));
      before = all(disk);
    });
    if (await zombie(seen.disk)) fenced++;
    if (seen.calls() < n) break;
    points++;
    // One that had not yet taken the directory when it was interrupted finds a living owner, here a dead one, and takes it.
    const mine = (successor as unknown as ReturnType<typeof openAs>).staging;
    if (disk.stat(mine) === null) continue;
    expect(all(disk), `call ${n}`).toEqual(before);
    expect((successor as unknown as ReturnType<typeof openAs>).latest().manifest?.checkpointId).toBe(100);
  }
  expect(points).toBeGreaterThan(100);
  expect(fenced).toBeGreaterThan(80);
});
