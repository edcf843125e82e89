import { expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import { sliceWorkBytes } from '../../core/ports/kernels-state.ts';
import { isComplete, isOver, type SlicedWindow, windowMath } from '../../core/time/windows.ts';

import { testSlot } from '../support/slot.ts';

/** Flink's assigners, as its documentation has them: every window that holds a moment, by start. */
function windowsOf(spec: SlicedWindow, timeMs: number): number[] {
  const slide = spec.kind === 'hop' ? spec.slideMs : spec.sizeMs;
  const starts: number[] = [];
  const mod = (((timeMs - spec.offsetMs) % slide) + slide) % slide;
  for (let start = timeMs - mod; start > timeMs - spec.sizeMs; start -= slide) starts.push(start);
  return starts.sort((a, b) => a - b);
}

test('first and last window of a slice are those that Flink assigns to each of its moments', () => {
  const random = prng(3);
  const specs: SlicedWindow[] = [
    { kind: 'tumble', sizeMs: 10, offsetMs: 0 },
    { kind: 'tumble', sizeMs: 7, offsetMs: -3 },
    { kind: 'hop', sizeMs: 10, slideMs: 2, offsetMs: 0 },
    { kind: 'hop', sizeMs: 10, slideMs: 4, offsetMs: 1 },
    { kind: 'hop', sizeMs: 9, slideMs: 6, offsetMs: -5 },
    { kind: 'hop', sizeMs: 4, slideMs: 10, offsetMs: 3 },
    { kind: 'hop', sizeMs: 6, slideMs: 6, offsetMs: 0 },
  ];
  for (const spec of specs) {
    const math = windowMath(spec);
    for (let i = 0; i < 2000; i++) {
      const time = random.below(400) - 200;
      const slice = math.sliceEnd(time);
      const ends = windowsOf(spec, time).map((start) => start + spec.sizeMs);
      const where = `${JSON.stringify(spec)} at ${time}`;
      expect(time < slice && time >= slice - math.sliceMs, where).toBe(true);
      expect(math.firstWindowEnd(slice) ?? undefined, where).toBe(ends[0]);
      expect(math.lastWindowEnd(slice) ?? undefined, where).toBe(ends.at(-1));
    }
  }
});

test('a window is complete when its last moment has passed, and over when its lateness has too', () => {
  expect(isComplete(10, 8)).toBe(false);
  expect(isComplete(10, 9)).toBe(true);
  expect(isOver(10, 5, 13)).toBe(false);
  expect(isOver(10, 5, 14)).toBe(true);
});

test('rows are put apart by slice as exact integer division says, in order within each, near and far, at the ends of time', () => {
  const { memory, kernels } = testSlot();
  const work = memory.arena.allocate(sliceWorkBytes, 'work');
  const list = memory.arena.allocate(4 * 4096, 'list');
  const times = memory.arena.allocate(8 * 4096, 'times');
  const ends = memory.arena.allocate(8 * 4096, 'ends');
  const floor = (a: bigint, b: bigint): bigint => a / b - (a % b < 0n ? 1n : 0n);
  for (let seed = 0; seed < 60; seed++) {
    const random = prng(seed);
    const n = 1 + random.below(4096);
    const length = BigInt([1, 7, 1000, 86_400_000][seed % 4] as number);
    const offset = BigInt(random.below(Number(length)));
    const spread = [1, 500, 300_000, 2 ** 31][random.below(4)] as number;
    const centre = [0n, 1_700_000_000_000n, -(2n ** 62n), 2n ** 62n][random.below(4)] as bigint;
    const values = Array.from(
      { length: n },
      () => centre + BigInt(random.below(spread)) * BigInt(1 + random.below(1000)),
    );
    memory.i64.set(values, times >>> 3);
    const rows = Array.from({ length: n }, (_, i) => i).filter(() => random.below(3) > 0 || n < 5);
    const selection = memory.arena.allocate(4 * n, 'selection');
    memory.u32.set(rows, selection >>> 2);
    const bins = kernels.partitionSlices(times, selection, rows.length, offset, length, work, list);
    const expected = new Map<bigint, number[]>();
    for (const row of rows) {
      const slice = floor((values[row] as bigint) - offset, length);
      const members = expected.get(slice);
      if (members) members.push(row);
      else expected.set(slice, [row]);
    }
    const found = new Map<bigint, number[]>();
    // Of a single bin the rows are those given.
    const lists = bins === 1 ? selection : list;
    for (let b = 0; b < bins; b++) {
      const [from, count] = memory.u32.subarray((work >>> 2) + 4 * b + 2, (work >>> 2) + 4 * b + 4) as unknown as [
        number,
        number,
      ];
      found.set(memory.i64[(work >>> 3) + 2 * b] as bigint, [
        ...memory.u32.subarray((lists >>> 2) + from, (lists >>> 2) + from + count),
      ]);
    }
    expect(found, `seed ${seed}`).toEqual(expected);
    kernels.sliceEnds(times, selection, rows.length, offset, length, ends);
    for (const [slice, members] of expected) {
      for (const row of members)
        if (memory.i64[(ends >>> 3) + row] !== (slice + 1n) * length + offset)
          throw new Error(`slice end, seed ${seed}`);
    }
  }
  // Whatever stands there, a kernel does not trap.
  memory.i64.set([-(2n ** 63n), 2n ** 63n - 1n, 0n], times >>> 3);
  expect(kernels.partitionSlices(times, 0, 3, 0n, 1n, work, list)).toBe(3);
});
