/** LIKE patterns as the bytes that the `likeView` kernel reads; the layout stands above it (kernels/assembly/string.ts). */
import { likeElements } from '../expr/like.ts';

const anyChar = 0xff;

export function likeProgram(pattern: string, escapeChar: string | null): Uint8Array {
  const elements = likeElements(pattern, escapeChar);
  const encoder = new TextEncoder();
  const segments: number[][] = [];
  let current: number[] | null = null;
  for (const element of elements) {
    if (element === 'any') {
      current = null;
      continue;
    }
    if (current === null) {
      current = [];
      segments.push(current);
    }
    if (element === 'one') current.push(anyChar);
    else current.push(...encoder.encode(element.char));
  }
  // The empty pattern is one empty segment that stands at both ends.
  if (elements.length === 0) segments.push([]);
  const atStart = elements[0] !== 'any';
  const atEnd = elements.at(-1) !== 'any';
  const sizes = segments.map((s) => 4 + Math.ceil(s.length / 4) * 4);
  const bytes = new Uint8Array(8 + sizes.reduce((a, b) => a + b, 0));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, segments.length, true);
  view.setUint32(4, (atStart ? 1 : 0) | (atEnd ? 2 : 0), true);
  let at = 8;
  for (const [i, segment] of segments.entries()) {
    view.setUint32(at, segment.length, true);
    bytes.set(segment, at + 4);
    at += sizes[i] as number;
  }
  return bytes;
}
