/** Where in a file something stands, for people. */
import { readSync } from 'node:fs';

/** Number of the line at `byte`, from 1: counted when an error needs it, since splits begin in the middle. */
export function lineNumber(fd: number, byte: number): number {
  const chunk = Buffer.alloc(1024 * 1024);
  let line = 1;
  for (let at = 0; at < byte; ) {
    const n = readSync(fd, chunk, 0, Math.min(chunk.length, byte - at), at);
    if (n === 0) break;
    for (let i = chunk.indexOf(0x0a); i >= 0 && i < n; i = chunk.indexOf(0x0a, i + 1)) line++;
    at += n;
  }
  return line;
}
