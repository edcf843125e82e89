/**
 * Stories for crash points: a life of something durable on a simulated disk, told until a fault comes, and what must hold
 * afterwards whatever came. Each disk call of a story is a point.
 */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { MillraceError } from '../../core/base/errors.ts';
import type { FinishedPart } from '../../core/ports/checkpoint.ts';
import { importSavepoint, openSavepoint, savedRows, writeSavepoint } from '../../engine/savepoint.ts';
import type { SimulatedDisk } from '../../testing/simulated-disk.ts';
import { copyOf, house, type Model, partsOf } from './house.ts';
import { contentOf, openAs } from './support.ts';

export interface CrashStory {
  readonly name: string;
  /** Throws what the disk throws. `told`: what has been acknowledged so far, for `check`. */
  tell(disk: SimulatedDisk, told: Told): Promise<void>;
  /** After a restart: throws when something does not hold. The disk has no faults now. */
  check(disk: SimulatedDisk, told: Told): Promise<void>;
}

/** What was begun, and what was acknowledged. */
export interface Told {
  /** By checkpoint: what it must restore to. */
  readonly states: Map<number, Map<string, Model>>;
  /** The newest checkpoint whose commit has returned. */
  acknowledged: number;
  /** Savepoints whose path was answered, and the checkpoint they are of. */
  readonly savepoints: Map<string, number>;
}

export const nothingTold = (): Told => ({ states: new Map(), acknowledged: 0, savepoints: new Map() });

const numbers = (n: number, from = 0): number[] => Array.from({ length: n }, (_, i) => from + i);

async function openAndCheckpoint(disk: SimulatedDisk, told: Told, withSavepoint: boolean): Promise<void> {
  const state = openAs(disk, '/s', 1);
  const of = house({ keys: 'view', texts: true, mb: 2, directory: { disk, state, participant: 0 } });
  let committed = 0;
  for (let id = state.lastCheckpointId + 1; id <= 4; id++) {
    of.feed(null, numbers(40, id), (i) => `text of ${i} in ${id}`);
    of.feed(id, [1, 2, 3]);
    if (id === 3) of.drop(1);
    told.states.set(id, copyOf(of.model));
    const { file, snapshot } = of.begin(id, committed);
    snapshot.read(Number.POSITIVE_INFINITY);
    const part: FinishedPart = await file.finish();
    const manifest = state.commit({ ...contentOf(id, part.files), parts: [{ participant: 0, file: part.file }] });
    committed = id;
    told.acknowledged = id;
    if (withSavepoint && id === 2) {
      const path = await writeSavepoint({ disk, into: '/out', manifest, files: state.files });
      told.savepoints.set(path, id);
    }
    state.clean(2);
  }
  state.close();
}

/** The newest checkpoint is one that was told, not older than the last acknowledged, and restores exactly; life goes on. */
async function checkDirectory(disk: SimulatedDisk, told: Told): Promise<void> {
  const state = openAs(disk, '/s', 2);
  const { manifest } = state.latest();
  const id = manifest?.checkpointId ?? 0;
  assert.ok(id >= told.acknowledged, `checkpoint ${told.acknowledged} was acknowledged, ${id} is there`);
  if (manifest) {
    const found = house({ keys: 'view', texts: true, mb: 2, restored: partsOf(disk, state, manifest) }).contents();
    assert.ok(isDeepStrictEqual(found, told.states.get(id)), `checkpoint ${id} restores to something else`);
  }
  // The next owner's checkpoints count, and what nobody refers to goes.
  for (const more of [1, 2]) state.commit(contentOf(Math.max(state.lastCheckpointId, id) + more, []));
  state.clean(2);
  assert.deepEqual(disk.list(state.files), [], 'files that no manifest refers to');
  assert.equal(disk.list(`${state.path}/manifests`).length, 2);
  assert.deepEqual(disk.list(state.staging), []);
  state.close();
}

async function checkSavepoints(disk: SimulatedDisk, told: Told): Promise<void> {
  for (const name of disk.list('/out')) {
    // What is not whole has another name.
    if (name.startsWith('.')) continue;
    const path = `/out/${name}`;
    const savepoint = openSavepoint(disk, path);
    for (const state of savepoint.states) assert.equal([...savedRows(disk, path, state)].length, state.rows);
    const state = openAs(disk, '/from-savepoint', 1);
    const manifest = await importSavepoint({ disk, path, state });
    const found = house({ keys: 'view', texts: true, mb: 2, restored: partsOf(disk, state, manifest) }).contents();
    assert.ok(isDeepStrictEqual(found, told.states.get(savepoint.checkpointId)), `${name} restores to something else`);
  }
  for (const path of told.savepoints.keys()) assert.ok(disk.stat(path) !== null, `${path} was answered and is gone`);
}

export const crashStories: readonly CrashStory[] = [
  {
    name: 'checkpoints',
    tell: (disk, told) => openAndCheckpoint(disk, told, false),
    check: checkDirectory,
  },
  {
    name: 'savepoint',
    tell: (disk, told) => openAndCheckpoint(disk, told, true),
    async check(disk, told) {
      await checkSavepoints(disk, told);
      await checkDirectory(disk, told);
    },
  },
  {
    name: 'restore from a savepoint',
    async tell(disk, told) {
      if (disk.stat('/out') === null) {
        const state = openAs(disk, '/s', 1);
        const of = house({ keys: 'view', texts: true, mb: 2, directory: { disk, state, participant: 0 } });
        of.feed(null, numbers(40), (i) => `text of ${i}`);
        told.states.set(1, copyOf(of.model));
        const { file, snapshot } = of.begin(1, 0);
        snapshot.read(Number.POSITIVE_INFINITY);
        const part = await file.finish();
        const content = { ...contentOf(1, part.files), parts: [{ participant: 0, file: part.file }] };
        const manifest = state.commit(content);
        told.savepoints.set(await writeSavepoint({ disk, into: '/out', manifest, files: state.files }), 1);
        state.close();
      }
      const state = openAs(disk, '/t', 1);
      if (state.latest().manifest === null) {
        const [path] = told.savepoints.keys() as IterableIterator<string>;
        await importSavepoint({ disk, path: path as string, state });
        told.acknowledged = 1;
      }
      state.close();
    },
    async check(disk, told) {
      if (told.savepoints.size === 0) return;
      const state = openAs(disk, '/t', 2);
      const { manifest } = state.latest();
      assert.ok(manifest !== null || told.acknowledged === 0, 'the savepoint was restored and is gone');
      if (manifest) {
        const found = house({ keys: 'view', texts: true, mb: 2, restored: partsOf(disk, state, manifest) }).contents();
        assert.ok(isDeepStrictEqual(found, told.states.get(1)), 'the savepoint restores to something else');
      }
      state.close();
      await checkSavepoints(disk, told);
    },
  },
];

/** Errors that a fault may come out as; anything else is a mistake of ours. */
export function isOutcome(error: unknown): boolean {
  if (error instanceof MillraceError) return /^state\/(failed|disk-full|corrupt|forbidden)$/.test(error.code);
  const { code } = error as NodeJS.ErrnoException;
  return ['EIO', 'ENOSPC', 'CRASHED'].includes(code ?? '');
}
