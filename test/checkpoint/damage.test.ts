/**
 * Damage: whatever byte of a checkpoint is flipped and wherever a file is cut, it is refused with the file's name, and the
 * checkpoint before it is taken. The reader is held to it as well, for what is damaged after the directory was opened.
 */
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../core/base/errors.ts';
import { prng } from '../../core/base/prng.ts';
import { checkpointReader } from '../../state/checkpoint/reader.ts';
import { type SimulatedDisk, simulatedDisk } from '../../testing/simulated-disk.ts';
import { house } from './house.ts';
import { contentOf, openAs } from './support.ts';

/** Two checkpoints of a few keys; the second has a file of its own that refers to nothing. */
async function twoCheckpoints(keys: number) {
  const disk = simulatedDisk(1);
  const state = openAs(disk, '/s', 1);
  const of = house({ keys: 'view', texts: true, directory: { disk, state, participant: 0 } });
  for (const id of [1, 2]) {
    of.feed(
      null,
      Array.from({ length: keys }, (_, i) => i),
      (i) => `a text of key ${i} at ${id}`,
    );
    of.feed(id, [1, 2, 3]);
    const { file, snapshot } = of.begin(id, id - 1, true);
    snapshot.read(Number.POSITIVE_INFINITY);
    const part = await file.finish();
    state.commit({ ...contentOf(id, part.files), parts: [{ participant: 0, file: part.file }] });
  }
  const manifest = state.latest().manifest!;
  state.close();
  return {
    disk,
    part: `/s/files/${manifest.files[0]!.name}`,
    manifest: '/s/manifests/MANIFEST-00000002',
    content: manifest,
  };
}

function replace(disk: SimulatedDisk, path: string, bytes: Uint8Array): void {
  disk.remove(path);
  const file = disk.create(path);
  file.write(bytes);
  file.close();
  // The disk forgets what led here.
  for (const directory of ['/s', '/s/files', '/s/manifests', '/s/staging']) disk.syncDirectory(directory);
}

/** Opens with `path` holding `bytes`: what is taken, and why the newest is not. */
function openWith(disk: SimulatedDisk, path: string, bytes: Uint8Array): { id: number | undefined; reason: string } {
  const whole = disk.read(path);
  replace(disk, path, bytes);
  const state = openAs(disk, '/s', 2);
  const { manifest, refused } = state.latest();
  state.close();
  replace(disk, path, whole);
  return { id: manifest?.checkpointId, reason: refused.map((one) => one.reason).join() };
}

describe('a small checkpoint', () => {
  test.each(['part', 'manifest'] as const)('every byte of its %s flipped', { timeout: 120_000 }, async (which) => {
    const { disk, ...paths } = await twoCheckpoints(20);
    const path = paths[which];
    const whole = disk.read(path).slice();
    const random = prng(7);
    for (let at = 0; at < whole.length; at++) {
      const bytes = whole.slice();
      bytes[at]! ^= 1 << random.below(8);
      const { id, reason } = openWith(disk, path, bytes);
      expect(id, `byte ${at}`).toBe(1);
      expect(reason).toContain(path);
    }
    expect(whole.length).toBeGreaterThan(500);
    expect(openWith(disk, path, whole).id).toBe(2);
  });

  test.each(['part', 'manifest'] as const)(
    'its %s cut at every length, and missing',
    { timeout: 120_000 },
    async (which) => {
      const { disk, ...paths } = await twoCheckpoints(20);
      const path = paths[which];
      const whole = disk.read(path).slice();
      for (let length = 0; length < whole.length; length++) {
        const { id, reason } = openWith(disk, path, whole.subarray(0, length));
        expect(id, `length ${length}`).toBe(1);
        expect(reason).toContain(path);
      }
      const longer = new Uint8Array(whole.length + 8);
      longer.set(whole);
      expect(openWith(disk, path, longer).id).toBe(1);
      if (which === 'manifest') return;
      disk.remove(path);
      const { manifest, refused } = openAs(disk, '/s', 2).latest();
      expect(manifest?.checkpointId).toBe(1);
      expect(refused[0]?.reason).toBe(`${path}: is missing`);
    },
  );
});

describe('a large checkpoint', () => {
  test('random flips are never silently loaded', { timeout: 120_000 }, async () => {
    const { disk, part, content } = await twoCheckpoints(20_000);
    const whole = disk.read(part).slice();
    expect(whole.length).toBeGreaterThan(1.5 * 1024 * 1024);
    const random = prng(11);
    for (let i = 0; i < 40; i++) {
      const bytes = whole.slice();
      const at = random.below(bytes.length);
      bytes[at]! ^= 1 << random.below(8);
      expect(openWith(disk, part, bytes).id, `byte ${at}`).toBe(1);
      // A reader that is not told beforehand refuses the record itself, or never comes near it.
      replace(disk, part, bytes);
      const read = (): number => {
        const reader = checkpointReader(disk, '/s/files', content.files, [content.parts[0]!.file!]);
        return reader
          .operator('o')
          .reduce(
            (sum, one) =>
              sum +
              one.tables.reduce((n, table) => n + [...table.chunks].length + [...(table.changes ?? [])].length, 0),
            0,
          );
      };
      let error: unknown = null;
      try {
        read();
      } catch (caught) {
        error = caught;
      }
      expect(error, `byte ${at}`).toBeInstanceOf(MillraceError);
      expect((error as MillraceError).code).toBe('state/corrupt');
      expect((error as MillraceError).message).toContain(part);
    }
    replace(disk, part, whole);
    expect(openWith(disk, part, whole).id).toBe(2);
  });
});
