/**
 * Standard output as what it may be: a pipe whose reader leaves when it has seen enough (`| head`), which is no failure,
 * or a file on a disk that is full, which is one. Never a stack trace.
 */

import { describeError, MillraceError } from '../core/base/errors.ts';

let closed = false;
let failure: MillraceError | null = null;
const listeners = new Set<() => void>();

/** Who read standard output has gone, or it takes no more. */
export const outputClosed = (): boolean => closed;

/** Why standard output takes no more, when that is not its reader's doing. */
export const outputFailure = (): MillraceError | null => failure;

/** Calls `tell` when standard output is closed; at once if it is already. */
export function onOutputClosed(tell: () => void): void {
  if (closed) tell();
  else listeners.add(tell);
}

/** Resolves when more can be written; false: nobody takes it any more. */
export async function write(text: string): Promise<boolean> {
  if (closed) return false;
  if (!process.stdout.write(text)) {
    await new Promise<void>((resolve) => {
      process.stdout.once('drain', resolve);
      onOutputClosed(resolve);
    });
  }
  return !closed;
}

/** To be called first: an error of these streams that nobody hears ends the process with a stack trace. */
export function watchOutput(): void {
  process.stderr.on('error', () => {});
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    closed = true;
    if (error.code !== 'EPIPE') {
      const full = error.code === 'ENOSPC' || error.code === 'EDQUOT';
      const message = full ? 'no room left on the disk of standard output' : `standard output: ${error.message}`;
      failure = new MillraceError(full ? 'sink/disk-full' : 'sink/failed', message, { cause: error });
      fail(failure);
    }
    for (const tell of listeners) tell();
    listeners.clear();
  });
}

let told: string | null = null;

/** One line for people, once; exit code 1. */
export function fail(error: unknown): void {
  process.exitCode = 1;
  const line = `millrace: ${describeError(error)}\n`;
  if (line === told) return;
  told = line;
  process.stderr.write(line);
  if (process.env.MILLRACE_DEBUG) process.stderr.write(`${error instanceof Error ? error.stack : ''}\n`);
}
