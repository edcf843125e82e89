/** Checkpoints that write what changed. The long form is `npm run long -- checkpoints`. */
import { describe, expect, test } from 'vitest';
import { simulatedDisk } from '../../testing/simulated-disk.ts';
import { copyOf, house, partsOf } from './house.ts';
import { noCoverage, story } from './story.ts';
import { contentOf, openAs } from './support.ts';

const numbers = (n: number, from = 0): number[] => Array.from({ length: n }, (_, i) => from + i);

describe('incremental checkpoints', () => {
  test('restore to what was there when they froze', { timeout: 120_000 }, async () => {
    const coverage = noCoverage();
    for (let round = 1; round <= 12; round++) await story(round, coverage);
    for (const [what, n] of Object.entries(coverage)) if (what !== 'unchanged') expect(n, what).toBeGreaterThan(0);
    expect(coverage['files referred to']).toBeGreaterThan(4);
  });

  const one = (texts = false) => {
    const disk = simulatedDisk(1);
    const state = openAs(disk, '/s', 1);
    const of = house({ keys: 'i64', texts, directory: { disk, state, participant: 0 } });
    let committed = 0;
    return {
      ...of,
      disk,
      state,
      async checkpoint(id: number, commits = true, full = false) {
        const { file, snapshot } = of.begin(id, committed, full);
        snapshot.read(Number.POSITIVE_INFINITY);
        const part = await file.finish();
        if (commits) {
          state.commit({ ...contentOf(id, part.files), parts: [{ participant: 0, file: part.file }] });
          committed = id;
        }
        return part;
      },
    };
  };

  test('write nothing, and no file, when nothing changed', async () => {
    const s = one();
    s.feed(null, numbers(5000));
    const first = await s.checkpoint(1);
    expect(first.bytes).toBeGreaterThan(50_000);
    const second = await s.checkpoint(2);
    expect(second).toEqual({ ...first, bytes: 0 });
    expect(s.disk.list(s.state.files)).toHaveLength(1);
    s.watermark.set(7);
    const third = await s.checkpoint(3);
    expect(third.bytes).toBeGreaterThan(0);
    expect(third.bytes).toBeLessThan(5000);
    expect(third.files).toHaveLength(2);
  });

  test('a slice that is dropped is in none from then on, without its pages being written', async () => {
    const s = one();
    s.feed(null, numbers(100));
    s.feed(3, numbers(5000));
    await s.checkpoint(1);
    s.drop(3);
    const part = await s.checkpoint(2);
    expect(part.bytes).toBeLessThan(5000);
    const parts = partsOf(s.disk, s.state, s.state.latest().manifest!);
    expect(house({ keys: 'i64', texts: false, restored: parts }).contents()).toEqual(copyOf(s.model));
  });

  test('what was written for a checkpoint that did not count is written again', async () => {
    const s = one();
    s.feed(null, numbers(20_000));
    await s.checkpoint(1);
    s.feed(null, numbers(500));
    const lost = await s.checkpoint(2, false);
    s.state.discard(2);
    const again = await s.checkpoint(3);
    expect(again.bytes).toBe(lost.bytes);
    expect(again.files.map(({ name }) => name)).not.toContain(lost.file);
    const parts = partsOf(s.disk, s.state, s.state.latest().manifest!);
    expect(house({ keys: 'i64', texts: false, restored: parts }).contents()).toEqual(copyOf(s.model));
  });

  test('a full one refers to nothing', async () => {
    const s = one();
    s.feed(null, numbers(5000));
    const first = await s.checkpoint(1);
    const full = await s.checkpoint(2, true, true);
    expect(full.files).toEqual([expect.objectContaining({ name: full.file })]);
    expect(full.bytes).toBeGreaterThan(0.9 * first.bytes);
  });

  test('a disk that is full declines the checkpoint; the state goes on, and the next one holds all', async () => {
    const s = one();
    s.feed(null, numbers(5000));
    await s.checkpoint(1);
    s.feed(null, numbers(5000));
    let failing = true;
    s.disk.onCall = (call) => (failing && call === 'write' ? 'error' : null);
    await expect(s.checkpoint(2)).rejects.toMatchObject({ code: 'state/disk-full', retryable: true });
    failing = false;
    expect(s.disk.list(s.state.staging)).toEqual([]);
    s.feed(null, numbers(10));
    await s.checkpoint(3);
    const parts = partsOf(s.disk, s.state, s.state.latest().manifest!);
    expect(house({ keys: 'i64', texts: false, restored: parts }).contents()).toEqual(copyOf(s.model));
  });
});
