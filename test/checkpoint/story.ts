/**
 * A life of a state directory, from a seed: whatever is fed, dropped, split, committed or given up, what a manifest names
 * must restore to what the state was when it froze, at any parallelism. Against a plain Map.
 */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { keyGroupRange } from '../../core/base/key-groups.ts';
import { prng } from '../../core/base/prng.ts';
import type { Manifest } from '../../core/ports/checkpoint.ts';
import { simulatedDisk } from '../../testing/simulated-disk.ts';
import { copyOf, type House, house, type KeyKind, type Model, merged, partsOf, someKeys } from './house.ts';
import { contentOf, openAs } from './support.ts';

export interface Coverage {
  checkpoints: number;
  aborted: number;
  unchanged: number;
  restores: number;
  'with changes': number;
  'files referred to': number;
}

/** What all participants held when they froze. */
interface Expected {
  readonly tables: Map<string, Model>;
  readonly rows: readonly string[];
}

export async function story(round: number, coverage: Coverage, steps = 60): Promise<void> {
  const random = prng(round);
  const disk = simulatedDisk(round);
  const state = openAs(disk, '/s', 1);
  const p = 1 + random.below(3);
  const options = {
    keys: (['i64', 'view'] as KeyKind[])[random.below(2)]!,
    texts: random.below(3) === 0,
    ordered: true,
  };
  const houses = Array.from({ length: p }, (_, participant) =>
    house({ ...options, keyGroups: keyGroupRange(participant, p), directory: { disk, state, participant } }),
  );
  const keysMax = [50, 3000, 12_000][random.below(3)]!;
  const text = (i: number): string => 'x'.repeat(random.below(40)) + i;
  const feed = (one: House, most = 600): void => {
    const slice = random.below(3) === 0 ? random.below(4) : null;
    const hot = random.below(2) === 0 ? Math.min(keysMax, 40) : keysMax;
    one.feed(slice, someKeys(random, 1 + random.below(most), hot), text);
  };
  let committed = 0;
  let id = 0;
  const expected = new Map<number, Expected>();
  for (const one of houses) one.feed(null, someKeys(random, keysMax, keysMax), text);

  for (let step = 0; step < steps; step++) {
    for (const one of houses) {
      if (random.below(4) > 0) feed(one);
      if (random.below(8) === 0) one.drop(random.below(4));
      if (random.below(3) === 0) one.put(someKeys(random, 1 + random.below(60), 2000));
    }
    if (random.below(3) > 0) continue;
    id += 1 + random.below(3);
    const before: Expected = {
      tables: merged(houses.map((one) => copyOf(one.model))),
      rows: houses.flatMap((one) => one.rows()).sort(),
    };
    const full = random.below(12) === 0;
    const runs = houses.map((one) => one.begin(id, committed, full));
    for (const [i, { snapshot }] of runs.entries()) {
      while (!snapshot.read(1 + random.below(16))) if (random.below(2) === 0) feed(houses[i]!, 100);
    }
    const aborts = random.below(5) === 0;
    if (aborts && random.below(2) === 0) {
      for (const { file } of runs) file.abandon();
      coverage.aborted++;
      continue;
    }
    const parts = await Promise.all(runs.map(({ file }) => file.finish()));
    if (aborts) {
      state.discard(id);
      coverage.aborted++;
      continue;
    }
    coverage.checkpoints++;
    if (parts.every(({ bytes }) => bytes === 0)) coverage.unchanged++;
    const files = [...new Map(parts.flatMap((part) => part.files.map((ref) => [ref.name, ref] as const))).values()];
    coverage['files referred to'] = Math.max(coverage['files referred to'], files.length);
    state.commit({
      ...contentOf(id, files),
      parallelism: p,
      parts: parts.map(({ file }, participant) => ({ participant, file })),
    });
    state.clean(2);
    committed = id;
    expected.set(id, before);
    if (random.below(2) === 0) restore(state.latest().manifest!, before);
  }
  if (committed > 0) restore(state.latest().manifest!, expected.get(committed)!);
  for (const one of houses) {
    one.operator.dispose();
    assert.equal(one.pool.free, one.baseFree, `seed ${round}: pages left behind`);
  }

  function restore(manifest: Manifest, before: Expected): void {
    const q = 1 + random.below(3);
    const parts = partsOf(disk, state, manifest);
    if (parts.some((part) => part.tables.some((table) => [...(table.changes ?? [])].length > 0)))
      coverage['with changes']++;
    const restored = Array.from({ length: q }, (_, subtask) =>
      house({ ...options, keyGroups: keyGroupRange(subtask, q), restored: parts }),
    );
    const found: Expected = {
      tables: merged(restored.map((one) => one.contents())),
      rows: restored.flatMap((one) => one.rows()).sort(),
    };
    // Only where they differ is it worth the time to say how.
    if (!isDeepStrictEqual(found, before)) {
      assert.deepEqual(found, before, `seed ${round}, checkpoint ${manifest.checkpointId}, ${p} to ${q}`);
    }
    coverage.restores++;
  }
}

export const noCoverage = (): Coverage => ({
  checkpoints: 0,
  aborted: 0,
  unchanged: 0,
  restores: 0,
  'with changes': 0,
  'files referred to': 0,
});
