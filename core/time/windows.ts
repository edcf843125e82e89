/**
 * Window arithmetic, Flink's: which windows hold a moment, when one ends, when it is over. Pure numbers in whole
 * milliseconds; knows neither state nor rows.
 *
 * Windows are cut into slices of length gcd(size, slide), so that every window is a whole number of slices and rows are
 * kept once, whatever the overlap. A slice is named by its end. Window [s, s + size) holds slice (e − g, e] iff
 * s ≤ e − g and e ≤ s + size, where s ≡ offset (mod slide).
 */

/** How time is cut into windows, wherever the rows stand in it. Times in milliseconds. */
export type SlicedWindow =
  | (WindowTime & { readonly kind: 'tumble'; readonly sizeMs: number; readonly offsetMs: number })
  | (WindowTime & {
      readonly kind: 'hop';
      readonly sizeMs: number;
      readonly slideMs: number;
      readonly offsetMs: number;
    });

interface WindowTime {
  /** Of the clock when a row arrives, instead of the row's own. */
  readonly time?: 'processing';
}

/** A window of each key of its own: rows that are not further apart than the gap, from the first to the gap behind the last. */
export interface SessionWindow extends WindowTime {
  readonly kind: 'session';
  readonly gapMs: number;
}

export type WindowSpec = SlicedWindow | SessionWindow;

export interface WindowMath {
  readonly sizeMs: number;
  readonly slideMs: number;
  /** In [0, slide). */
  readonly offsetMs: number;
  readonly sliceMs: number;
  /** End of the slice that holds `timeMs`. */
  sliceEnd(timeMs: number): number;
  /** Ends of the first and the last window that hold a slice; null: none does (a slide longer than the size leaves gaps). */
  firstWindowEnd(sliceEnd: number): number | null;
  lastWindowEnd(sliceEnd: number): number | null;
}

/** Errors: none; the planner has checked that sizes are positive. */
export function windowMath(spec: SlicedWindow): WindowMath {
  const sizeMs = spec.sizeMs;
  const slideMs = spec.kind === 'hop' ? spec.slideMs : spec.sizeMs;
  const sliceMs = gcd(sizeMs, slideMs);
  const offsetMs = floorMod(spec.offsetMs, slideMs);
  /** The last window start at or before a moment. */
  const startAtOrBefore = (timeMs: number): number => timeMs - floorMod(timeMs - offsetMs, slideMs);
  return {
    sizeMs,
    slideMs,
    offsetMs,
    sliceMs,
    sliceEnd: (timeMs) => timeMs - floorMod(timeMs - offsetMs, sliceMs) + sliceMs,
    firstWindowEnd(sliceEnd) {
      // The first aligned end at or behind the slice's.
      const end = startAtOrBefore(sliceEnd - sizeMs + slideMs - 1) + sizeMs;
      return end - sizeMs <= sliceEnd - sliceMs ? end : null;
    },
    lastWindowEnd(sliceEnd) {
      const end = startAtOrBefore(sliceEnd - sliceMs) + sizeMs;
      return end >= sliceEnd ? end : null;
    },
  };
}

/** A window that ends (exclusively) at `endMs` is complete at this watermark: its last moment has passed. */
export function isComplete(endMs: number, watermarkMs: number): boolean {
  return endMs - 1 <= watermarkMs;
}

/** Its state is no longer needed, and rows for it are late. */
export function isOver(endMs: number, allowedLatenessMs: number, watermarkMs: number): boolean {
  return endMs - 1 + allowedLatenessMs <= watermarkMs;
}

function gcd(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}

/** The remainder that is never negative, as Flink's windows need for times before 1970. */
export function floorMod(a: number, b: number): number {
  const r = a % b;
  return r < 0 ? r + b : r + 0;
}
