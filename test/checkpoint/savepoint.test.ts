/** Savepoints: typed Arrow files of what a checkpoint holds, read by others, and restored exactly. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import polars from 'nodejs-polars';
import { afterAll, describe, expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import { realDisk } from '../../engine/disk.ts';
import { importSavepoint, openSavepoint, savedRows, writeSavepoint } from '../../engine/savepoint.ts';
import { openState } from '../../engine/state-directory.ts';
import { copyOf, house, type KeyKind, partsOf, someKeys } from './house.ts';
import { contentOf } from './support.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-savepoint-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let made = 0;

/** A house with three checkpoints, the last with changes, and a savepoint of it. */
async function saved(keys: KeyKind, texts: boolean, seed: number) {
  const random = prng(seed);
  const place = join(root, `${made++}`);
  const state = openState(join(place, 'state'));
  const of = house({ keys, texts, ordered: true, directory: { disk: realDisk, state, participant: 0 } });
  const text = (i: number): string => 'ü'.repeat(random.below(30)) + i;
  of.watermark.set(-0);
  for (const id of [1, 2, 3]) {
    of.feed(null, someKeys(random, id === 1 ? 5000 : 100, 3000), text);
    of.put(someKeys(random, 150, 300));
    of.feed(id - 2, someKeys(random, 50, 3000), text);
    if (id === 3) of.slices.open(77);
    const { file, snapshot } = of.begin(id, id - 1);
    snapshot.read(Number.POSITIVE_INFINITY);
    const part = await file.finish();
    state.commit({ ...contentOf(id, part.files), parts: [{ participant: 0, file: part.file }] });
  }
  const { manifest } = state.latest();
  const path = await writeSavepoint({
    disk: realDisk,
    into: join(place, 'out'),
    manifest: manifest!,
    files: state.files,
  });
  state.close();
  return { of, path, place };
}

describe('a savepoint', () => {
  test.each([
    ['i64', false],
    ['i64', true],
    ['view', true],
  ] as const)('of keys %s, texts %s, restores to what the state was', async (keys, texts) => {
    const { of, path, place } = await saved(keys, texts, 3);
    const state = openState(join(place, 'other'));
    const manifest = await importSavepoint({ disk: realDisk, path, state });
    expect(manifest).toMatchObject({ kind: 'checkpoint', checkpointId: 1, jobName: 'job' });
    expect(state.latest().manifest).toEqual(manifest);
    const again = house({ keys, texts, ordered: true, restored: partsOf(realDisk, state, manifest) });
    expect(again.contents()).toEqual(copyOf(of.model));
    expect(again.rows()).toEqual(of.rows());
    expect(again.slices.slices()).toEqual([-1, 0, 1, 77]);
    expect(Object.is(again.watermark.get(), -0)).toBe(true);
    state.close();
  });

  test('is read by other tools: keys, slices and accumulators are typed columns', async () => {
    const { of, path } = await saved('view', true, 4);
    const savepoint = openSavepoint(realDisk, path);
    expect(savepoint.states.map(({ name, rows }) => [name, rows])).toEqual([
      ['t', of.model.get('t')!.size],
      ['s', [-1, 0, 1].reduce((sum, slice) => sum + of.model.get(`s${slice}`)!.size, 0)],
      ['o', of.rows().length],
    ]);
    const rows = tableFromIPC(readFileSync(join(path, savepoint.states[2]!.file)));
    expect(rows.schema.fields.map(({ name, type }) => `${name} ${type}`)).toEqual([
      '$hash Uint64',
      'number Int64',
      'name Utf8',
      'ratio Float64',
      'seen Timestamp<MICROSECOND>',
      'tags List<Utf8>',
      'rates Map<{key:Utf8, value:Float64}>',
      'place Struct<{day:Date32<DAY>, open:Bool, size:Int32}>',
      'text Utf8',
    ]);
    const file = join(path, savepoint.states[1]!.file);
    const table = tableFromIPC(readFileSync(file));
    expect(table.schema.fields.map(({ name, type }) => [name, `${type}`])).toEqual([
      ['$slice', 'Int64'],
      ['$hash', 'Uint64'],
      ['key', 'Utf8'],
      ['n', 'Int64'],
      ['text', 'Utf8'],
    ]);
    const frame = polars.readIPC(readFileSync(file));
    expect(frame.height).toBe(savepoint.states[1]!.rows);
    for (const row of frame.toRecords()) {
      const held = of.model.get(`s${row.$slice}`)!.get(row.key as string)!;
      expect({ n: BigInt(row.n as number), text: row.text }).toEqual(held);
    }
    expect([...savedRows(realDisk, path, savepoint.states[0]!)]).toHaveLength(savepoint.states[0]!.rows);
  });

  test('may be moved, and is refused when a file of it is damaged, cut or missing, or is no savepoint', async () => {
    const { path, place } = await saved('i64', false, 5);
    const state = openState(join(place, 'other'));
    const refused = async (code: string, what: RegExp): Promise<void> => {
      const error = await importSavepoint({ disk: realDisk, path, state }).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code });
      expect((error as Error).message).toMatch(what);
      expect(readdirSync(state.staging)).toEqual([]);
      expect(state.latest().manifest).toBeNull();
    };
    for (const name of readdirSync(path)) {
      const at = join(path, name);
      const whole = readFileSync(at);
      const damaged = Buffer.from(whole);
      damaged[damaged.length >>> 1]! ^= 16;
      writeFileSync(at, damaged);
      await refused('state/corrupt', new RegExp(`${name}: .*hash`));
      writeFileSync(at, whole.subarray(0, -1));
      await refused('state/corrupt', new RegExp(`${name}: has`));
      rmSync(at);
      await refused(name === 'MANIFEST' ? 'state/not-found' : 'state/corrupt', new RegExp(name));
      writeFileSync(at, whole);
    }
    expect(() => openSavepoint(realDisk, join(place, 'state'))).toThrow(/state directory, not a savepoint/);
    await importSavepoint({ disk: realDisk, path, state });
    state.close();
  });
});
