/**
 * Cuts files into ranges of whole records. A line end may stand in quotes, and only who has read everything before it knows:
 * so a file that is to be read by several is looked through once, byte by byte where there are quotes.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Json, Split } from '../../core/ports/connector.ts';
import { readError } from '../files/paths.ts';
import { RecordTracker } from './records.ts';

const chunkBytes = 1024 * 1024;

/** About `count` ranges of about equal size; one reaches to where the next record begins. */
export async function splitsOf(
  path: string,
  size: number,
  count: number,
  delimiter: number,
): Promise<readonly Split[]> {
  const starts = count <= 1 ? [] : await recordStarts(path, size, count, delimiter);
  const bounds = [0, ...starts, size];
  return bounds.slice(1).flatMap((to, i) => (to > bounds[i]! ? [splitOf(path, bounds[i]!, to, size)] : []));
}

/** `inode`: the file is read only while it is that one. */
export function splitOf(path: string, from: number, to: number, size: number, inode: string | null = null): Split {
  const options: Readonly<Record<string, Json>> = { path, from, to, size, ...(inode === null ? {} : { inode }) };
  const id = `${path}:${from}${inode === null ? '' : `@${inode}`}`;
  return { id, options, position: null, estimatedRows: null, minimum: null };
}

async function recordStarts(path: string, size: number, count: number, delimiter: number): Promise<number[]> {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw readError(error, path);
  }
  try {
    const wanted = Array.from({ length: count - 1 }, (_, i) => Math.floor((size * (i + 1)) / count));
    const starts: number[] = [];
    const tracker = new RecordTracker(delimiter);
    const chunk = Buffer.alloc(chunkBytes);
    let next = 0;
    for (let at = markBytes(fd); next < wanted.length && at < size; ) {
      // A chunk ends where a start is wanted, so that one answer a chunk is enough.
      const behind = wanted[next]! <= at ? size : wanted[next]!;
      const read = readSync(fd, chunk, 0, Math.min(chunkBytes, behind - at), at);
      if (read === 0) break;
      const found = tracker.take(chunk.subarray(0, read), Math.max(0, wanted[next]! - at));
      if (found >= 0) {
        starts.push(at + found);
        while (next < wanted.length && wanted[next]! <= at + found) next++;
      }
      at += read;
      // Others on this thread have their turn.
      if (at % (64 * chunkBytes) < read) await new Promise((done) => setImmediate(done));
    }
    return starts;
  } catch (error) {
    throw readError(error, path);
  } finally {
    closeSync(fd);
  }
}

/** Bytes of the byte order mark that an open file begins with. */
function markBytes(fd: number): number {
  const first = Buffer.alloc(3);
  return readSync(fd, first, 0, 3, 0) === 3 && first[0] === 0xef && first[1] === 0xbb && first[2] === 0xbf ? 3 : 0;
}
