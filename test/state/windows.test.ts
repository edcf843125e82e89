import { expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import type { WindowSpec } from '../../core/plan/nodes.ts';
import { isComplete, isOver, windowMath } from '../../core/time/windows.ts';

/** Flink's assigners, as its documentation has them: every window that holds a moment, by start. */
function windowsOf(spec: WindowSpec, timeMs: number): number[] {
  const slide = spec.kind === 'hop' ? spec.slideMs : spec.sizeMs;
  const starts: number[] = [];
  const mod = (((timeMs - spec.offsetMs) % slide) + slide) % slide;
  for (let start = timeMs - mod; start > timeMs - spec.sizeMs; start -= slide) starts.push(start);
  return starts.sort((a, b) => a - b);
}

test('first and last window of a slice are those that Flink assigns to each of its moments', () => {
  const random = prng(3);
  const specs: WindowSpec[] = [
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
