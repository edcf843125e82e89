/** State directories: one owner, fencing, what counts, what goes. On the simulated disk; the machine's own is in processes.test.ts. */
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../core/base/errors.ts';
import { encodeManifest } from '../../state/checkpoint/manifest.ts';
import { simulatedDisk } from '../../testing/simulated-disk.ts';
import { checkpoint, contentOf, openAs, stagePart } from './support.ts';

const code = (work: () => unknown): string | null => {
  try {
    work();
    return null;
  } catch (error) {
    if (error instanceof MillraceError) return error.code;
    throw error;
  }
};

describe('ownership', () => {
  test('a directory is made, owned, given up and owned again, with a larger epoch each time', () => {
    const disk = simulatedDisk(1);
    const first = openAs(disk, '/s', 1);
    expect(disk.list('/s')).toEqual(['LOCK', 'files', 'manifests', 'staging']);
    expect(JSON.parse(new TextDecoder().decode(disk.read('/s/LOCK')))).toMatchObject({ pid: 1, epoch: first.epoch });
    first.close();
    expect(disk.list('/s')).toEqual(['files', 'manifests', 'staging']);
    const second = openAs(disk, '/s', 2, { living: new Set([1]) });
    expect(second.epoch).toBeGreaterThan(first.epoch);
  });

  test('a living owner is left in peace, a dead one is not', () => {
    const disk = simulatedDisk(1);
    openAs(disk, '/s', 1);
    const before = disk.list('/s/staging');
    const refused = (): unknown => openAs(disk, '/s', 2, { living: new Set([1]) });
    expect(code(refused)).toBe('state/locked');
    expect(refused).toThrow(/process 1 since 1970-01-01T00:00:00.000Z.*--take-over/);
    expect(disk.list('/s/staging')).toEqual(before);
    expect(openAs(disk, '/s', 2).epoch).toBe(2);
  });

  test('a place that holds something else is refused and left as it is', () => {
    const disk = simulatedDisk(1);
    disk.makeDirectory('/home/photos');
    expect(code(() => openAs(disk, '/home', 1))).toBe('state/not-found');
    expect(disk.list('/home')).toEqual(['photos']);
  });

  test('what was staged and what contenders left is removed by the next owner', () => {
    const disk = simulatedDisk(1);
    const first = openAs(disk, '/s', 1);
    disk.create(`${first.staging}/half`).close();
    disk.makeDirectory('/s/init-9/0');
    const second = openAs(disk, '/s', 2);
    expect(disk.list(second.staging)).toEqual([]);
    expect(disk.list('/s')).toEqual(['LOCK', 'files', 'manifests', 'staging']);
  });
});

describe('fencing', () => {
  test('whoever was taken over from changes nothing any more, and is told', async () => {
    const disk = simulatedDisk(1);
    const zombie = openAs(disk, '/s', 1);
    await checkpoint(disk, zombie, 1);
    const staged = await stagePart(disk, zombie, 2);
    const successor = openAs(disk, '/s', 2, { living: new Set([1]), takeOver: true });
    const before = all(disk, '/s');
    expect(code(() => zombie.commit(contentOf(2, [staged])))).toBe('state/fenced');
    expect(code(() => zombie.commit(contentOf(3, [])))).toBe('state/fenced');
    await expect(stagePart(disk, zombie, 4)).rejects.toMatchObject({ code: 'ENOENT' });
    zombie.close();
    expect(all(disk, '/s')).toEqual(before);
    expect(successor.latest().manifest?.checkpointId).toBe(1);
    await checkpoint(disk, successor, 2);
  });
});

describe('what counts', () => {
  test('the newest manifest that verifies; what does not is told, with the file and the reason', async () => {
    const disk = simulatedDisk(1);
    const directory = openAs(disk, '/s', 1);
    expect(directory.latest()).toEqual({ manifest: null, refused: [] });
    for (const id of [1, 2, 3]) await checkpoint(disk, directory, id);
    damage(disk, `/s/files/${directory.latest().manifest!.files[0]!.name}`);
    directory.close();
    const again = openAs(disk, '/s', 2);
    const { manifest, refused } = again.latest();
    expect(manifest?.checkpointId).toBe(2);
    expect(refused).toHaveLength(1);
    expect(refused[0]).toMatchObject({ checkpointId: 3, manifest: '/s/manifests/MANIFEST-00000003' });
    expect(refused[0]!.reason).toContain('s00000003-e1-p0.state');
    expect(again.lastCheckpointId).toBe(3);
  });

  test('in doubt nothing is published or removed; what lies there then is durable before it is gone on from', async () => {
    const disk = simulatedDisk(1);
    const directory = openAs(disk, '/s', 1);
    await checkpoint(disk, directory, 1);
    const failing = async (id: number, call: string, path: string): Promise<void> => {
      const part = await stagePart(disk, directory, id);
      disk.onCall = (called, at) => (called === call && at.endsWith(path) ? 'error' : null);
      expect(() => directory.commit(contentOf(id, [part]))).toThrow(/EIO/);
      disk.onCall = () => null;
    };
    await failing(2, 'syncDirectory', '/s/files');
    expect(directory.inDoubt).toBe(false);
    expect(directory.latest().manifest?.checkpointId).toBe(1);
    await failing(3, 'syncDirectory', '/s/manifests');
    expect(directory.inDoubt).toBe(true);
    expect(() => directory.clean(2)).toThrow(/not known which is the newest/);
    expect(() => directory.commit(contentOf(4, []))).toThrow(/not known whether/);
    expect(directory.latest().manifest?.checkpointId).toBe(3);
    expect(directory.inDoubt).toBe(false);
    disk.crash();
    disk.restart();
    const next = openAs(disk, '/s', 2);
    expect(next.latest().manifest?.checkpointId).toBe(3);
    // An error of the rename itself tells no more.
    const part = await stagePart(disk, next, 4);
    disk.onCall = (called, at) => (called === 'rename' && at.endsWith('MANIFEST-00000004') ? 'error' : null);
    expect(() => next.commit(contentOf(4, [part]))).toThrow(/EIO/);
    disk.onCall = () => null;
    expect(next.inDoubt).toBe(true);
    expect(next.latest().manifest?.checkpointId).toBe(3);
    await checkpoint(disk, next, 5);
  });

  test('the manifest of a process that died before its directory was synced is durable before it is gone on from', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const disk = simulatedDisk(seed);
      const first = openAs(disk, '/s', 1);
      await checkpoint(disk, first, 1);
      const part = await stagePart(disk, first, 2);
      disk.onCall = (called, at) => (called === 'syncDirectory' && at === '/s/manifests' ? 'crashBefore' : null);
      expect(() => first.commit(contentOf(2, [part]))).toThrow(/crashed/);
      disk.onCall = () => null;
      disk.restart({ lossless: true });
      expect(openAs(disk, '/s', 2).latest().manifest?.checkpointId).toBe(2);
      disk.crash();
      disk.restart();
      expect(openAs(disk, '/s', 3).latest().manifest?.checkpointId, `seed ${seed}`).toBe(2);
    }
  });

  test('what was passed over counts no more, though the disk reads it the next time', async () => {
    const disk = simulatedDisk(1);
    const directory = openAs(disk, '/s', 1);
    for (const id of [1, 2, 3]) await checkpoint(disk, directory, id);
    disk.onCall = (call, path) => (call === 'open' && path.includes('s00000003-') ? 'error' : null);
    const { manifest, refused } = directory.latest();
    expect(manifest?.checkpointId).toBe(2);
    disk.onCall = () => null;
    expect(directory.latest().manifest?.checkpointId).toBe(3);
    directory.passOver(refused);
    expect(directory.latest()).toMatchObject({ manifest: { checkpointId: 2 }, refused: [] });
    // A loss of power brings it back no more, its number is not given again, and it goes with its neighbours.
    disk.crash();
    disk.restart();
    const again = openAs(disk, '/s', 2);
    expect(again.latest().manifest?.checkpointId).toBe(2);
    expect(again.lastCheckpointId).toBe(3);
    expect(disk.list('/s/manifests')).toContain('passed-over-00000003');
    for (const id of [4, 5]) await checkpoint(disk, again, id);
    again.clean(2);
    expect(disk.list('/s/manifests')).toEqual(['MANIFEST-00000004', 'MANIFEST-00000005']);
    expect(disk.list('/s/files').some((name) => name.startsWith('s00000003'))).toBe(false);
  });

  test('when none verifies, nothing is started and nothing removed', async () => {
    const disk = simulatedDisk(1);
    const directory = openAs(disk, '/s', 1);
    await checkpoint(disk, directory, 1);
    damage(disk, '/s/manifests/MANIFEST-00000001');
    directory.close();
    const again = openAs(disk, '/s', 2);
    expect(() => again.latest()).toThrow(/none of its 1 checkpoints is whole.*MANIFEST-00000001: .*hash/);
    expect(code(() => again.latest())).toBe('state/corrupt');
    again.clean(2);
    expect(disk.list('/s/files')).toHaveLength(1);
  });

  test('a manifest under another checkpoint’s name does not count', async () => {
    const disk = simulatedDisk(1);
    const directory = openAs(disk, '/s', 1);
    const manifest = await checkpoint(disk, directory, 1);
    const forged = disk.create('/s/manifests/MANIFEST-00000009');
    forged.write(encodeManifest(manifest));
    directory.close();
    const { manifest: found, refused } = openAs(disk, '/s', 2).latest();
    expect(found?.checkpointId).toBe(1);
    expect(refused[0]?.reason).toContain('is of checkpoint 1');
  });
});

describe('what goes', () => {
  test('old manifests, and files that none refers to; what a retained one needs stays', async () => {
    const disk = simulatedDisk(1);
    const directory = openAs(disk, '/s', 1);
    const first = await checkpoint(disk, directory, 1);
    for (const id of [2, 3, 4, 5]) await checkpoint(disk, directory, id, id < 5 ? first.files : []);
    directory.clean(3);
    expect(disk.list('/s/manifests')).toEqual(['MANIFEST-00000003', 'MANIFEST-00000004', 'MANIFEST-00000005']);
    expect(disk.list('/s/files').map((name) => Number(name.slice(1, 9)))).toEqual([1, 3, 4, 5]);
    await checkpoint(disk, directory, 6);
    directory.clean(1);
    expect(disk.list('/s/manifests')).toEqual(['MANIFEST-00000005', 'MANIFEST-00000006']);
    expect(disk.list('/s/files').map((name) => Number(name.slice(1, 9)))).toEqual([5, 6]);
  });

  test('what was staged for a checkpoint that did not come about', async () => {
    const disk = simulatedDisk(1);
    const directory = openAs(disk, '/s', 1);
    await stagePart(disk, directory, 1, 0);
    await stagePart(disk, directory, 2, 1);
    directory.discard(1);
    expect(disk.list(directory.staging)).toEqual(['s00000002-e1-p1.state']);
  });
});

type Disk = ReturnType<typeof simulatedDisk>;

/** Flips a bit in the middle of a file. */
function damage(disk: Disk, path: string): void {
  const bytes = disk.read(path).slice();
  bytes[bytes.length >>> 1]! ^= 4;
  disk.remove(path);
  disk.create(path).write(bytes);
}

function all(disk: Disk, path: string): Record<string, string> {
  const found: Record<string, string> = {};
  const visit = (at: string): void => {
    for (const name of disk.list(at)) {
      const below = `${at}/${name}`;
      if (disk.stat(below)?.kind === 'directory') visit(below);
      else found[below] = Buffer.from(disk.read(below)).toString('base64');
    }
  };
  visit(path);
  return found;
}
