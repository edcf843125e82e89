/** A state directory with two checkpoints, of which the newest is damaged in any way, and what must come of that. */
import { isMillraceError } from '../../core/base/errors.ts';
import { checkpointReader } from '../../state/checkpoint/reader.ts';
import { type SimulatedDisk, simulatedDisk } from '../../testing/simulated-disk.ts';
import { house } from './house.ts';
import { contentOf, openAs } from './support.ts';

export type Damaged = 'part' | 'manifest';

export interface Place {
  readonly pathOf: Readonly<Record<Damaged, string>>;
  /** As it was written. Not to be changed. */
  bytesOf(which: Damaged): Uint8Array;
  /** Opens the directory with other bytes there: what is taken, and why the newest is not. All is as before then. */
  openWith(which: Damaged, bytes: Uint8Array | null): { readonly id: number | undefined; readonly reason: string };
  /** Reads all of the part with other bytes there, as one who was not told. The error; null: it was read. */
  readWith(bytes: Uint8Array): unknown;
  /** Whether the newest checkpoint is taken as it is. */
  loads(): boolean;
}

/** Two checkpoints of `keys` keys; the second has a file of its own that refers to nothing. */
export async function twoCheckpoints(keys: number): Promise<Place> {
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
  const content = state.latest().manifest!;
  state.close();
  const pathOf = { part: `/s/files/${content.files[0]!.name}`, manifest: '/s/manifests/MANIFEST-00000002' };
  const whole = { part: disk.read(pathOf.part).slice(), manifest: disk.read(pathOf.manifest).slice() };

  const during = <T>(path: string, bytes: Uint8Array | null, work: () => T): T => {
    const before = disk.read(path).slice();
    replace(disk, path, bytes);
    try {
      return work();
    } finally {
      replace(disk, path, before);
    }
  };
  const open = (): { id: number | undefined; reason: string } => {
    const again = openAs(disk, '/s', 2);
    const { manifest, refused } = again.latest();
    again.close();
    return { id: manifest?.checkpointId, reason: refused.map((one) => one.reason).join() };
  };
  return {
    pathOf,
    bytesOf: (which) => whole[which],
    openWith: (which, bytes) => during(pathOf[which], bytes, open),
    readWith: (bytes) =>
      during(pathOf.part, bytes, () => {
        try {
          const reader = checkpointReader(disk, '/s/files', content.files, [content.parts[0]!.file!]);
          for (const { tables } of reader.operator('o')) {
            for (const table of tables) {
              for (const _chunk of table.chunks);
              for (const _change of table.changes ?? []);
            }
          }
          return null;
        } catch (error) {
          return error;
        }
      }),
    loads: () => open().id === 2,
  };
}

/** Null: the checkpoint before is taken, the file is named, and a reader that was not told refuses as well. */
export function refusesDamage(place: Place, which: Damaged, bytes: Uint8Array): string | null {
  const path = place.pathOf[which];
  const { id, reason } = place.openWith(which, bytes);
  if (id !== 1) return `checkpoint ${id} was taken`;
  if (!reason.includes(path)) return `it was said '${reason}'`;
  if (which === 'manifest') return null;
  const error = place.readWith(bytes);
  if (!isMillraceError(error) || error.code !== 'state/corrupt') return `a reader said ${error}`;
  return error.message.includes(path) ? null : `a reader said '${error.message}'`;
}

function replace(disk: SimulatedDisk, path: string, bytes: Uint8Array | null): void {
  disk.remove(path);
  if (bytes !== null) {
    const file = disk.create(path);
    file.write(bytes);
    file.close();
  }
  // The disk forgets what led here.
  for (const directory of ['/s', '/s/files', '/s/manifests', '/s/staging']) disk.syncDirectory(directory);
}
