/**
 * What stands in a state directory or a savepoint, for tools: looked at, never owned, nothing changed.
 */
import { resolve } from 'node:path';
import { MillraceError } from '../core/base/errors.ts';
import type { Manifest } from '../core/ports/checkpoint.ts';
import { damageOf } from '../state/checkpoint/block-reader.ts';
import { manifestsIn } from '../state/checkpoint/directory.ts';
import { stateError } from '../state/checkpoint/errors.ts';
import type { StateColumn, StateRow } from '../state/savepoint/columns.ts';
import { realDisk } from './disk.ts';
import { openSavepoint, type Savepoint, savedRows } from './savepoint.ts';

export interface CheckpointInfo {
  readonly id: number;
  readonly path: string;
  /** Null: the manifest itself does not verify, for `reason`. */
  readonly manifest: Manifest | null;
  readonly reason: string | null;
  /** Of its files, those that it shares with others included. */
  readonly bytes: number;
}

/** Checkpoints of a state directory, newest first. Errors: `state/not-found`. */
export function checkpointsOf(directory: string): CheckpointInfo[] {
  const path = resolve(directory);
  try {
    if (realDisk.stat(`${path}/manifests`) === null) {
      const isSavepoint = realDisk.stat(`${path}/MANIFEST`) !== null;
      throw new MillraceError(
        'state/not-found',
        `${path} is ${isSavepoint ? 'a savepoint' : 'no state directory'}${isSavepoint ? `; millrace state show ${path} shows it` : ': it holds no manifests'}`,
        { where: { path } },
      );
    }
    return manifestsIn(realDisk, path).map(({ checkpointId: id, path: at, manifest, reason }) => ({
      id,
      path: at,
      manifest,
      reason,
      bytes: manifest?.files.reduce((sum, file) => sum + file.bytes, 0) ?? 0,
    }));
  } catch (error) {
    throw stateError(error, path);
  }
}

/**
 * Reads every file of every checkpoint, each once, and yields what is wrong with each checkpoint (null: nothing).
 * `onBytes` hears how far it has come, of how much.
 */
export function* verifyCheckpoints(
  directory: string,
  checkpoints: readonly CheckpointInfo[],
  onBytes: (done: number, all: number) => void,
): Generator<{ readonly checkpoint: CheckpointInfo; readonly reason: string | null }> {
  const files = `${resolve(directory)}/files`;
  const refs = new Map(checkpoints.flatMap(({ manifest }) => manifest?.files ?? []).map((ref) => [ref.name, ref]));
  const all = [...refs.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  const known = new Map<string, string | null>();
  let before = 0;
  for (const checkpoint of checkpoints) {
    let { reason } = checkpoint;
    for (const ref of checkpoint.manifest?.files ?? []) {
      let damage = known.get(ref.name);
      if (damage === undefined) {
        damage = damageOf(realDisk, `${files}/${ref.name}`, ref, (bytes) => onBytes(before + bytes, all));
        known.set(ref.name, damage);
        before += ref.bytes;
      }
      reason ??= damage;
    }
    yield { checkpoint, reason };
  }
}

/** A state of a savepoint, with its first rows. */
export interface StateSample {
  readonly columns: readonly StateColumn[];
  readonly rows: readonly StateRow[];
}

export interface SavepointInfo {
  readonly savepoint: Savepoint;
  /** Reads a state's file, all of it checked, and answers its first rows. */
  sample(state: Savepoint['states'][number], rows: number): StateSample;
}

/** Errors: `state/not-found`, `state/corrupt`. */
export function savepointOf(directory: string): SavepointInfo {
  const path = resolve(directory);
  const savepoint = openSavepoint(realDisk, path);
  return {
    savepoint,
    sample(state, most) {
      const rows: StateRow[] = [];
      for (const row of savedRows(realDisk, path, state)) {
        if (rows.length === most) break;
        rows.push(row);
      }
      return { columns: state.columns, rows };
    },
  };
}
