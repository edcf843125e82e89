/** Standard output as the print sink sees it: where text goes, whether a person watches, and that it may be closed. */
import type { WriteStream } from 'node:tty';

export interface Terminal {
  readonly isTty: boolean;
  /** Lines of the screen. */
  readonly rows: number;
  /** Who read it has gone. */
  readonly closed: boolean;
  /** Why nothing can be written any more, when its reader is not to blame: a full disk behind `> file`. */
  readonly failure?: Error | null;
  write(text: string | Uint8Array): void;
  /** Calls `tell` once when it is closed from outside. */
  onClosed(tell: () => void): void;
  /** Stops telling; the stream itself stays open. */
  close(): void;
}

export function terminalOf(stream: NodeJS.WriteStream): Terminal {
  let closed = stream.destroyed || stream.writableEnded;
  let failure: Error | null = null;
  let tell = (): void => {};
  const failed = (error: NodeJS.ErrnoException | null): void => {
    if (closed) return;
    closed = true;
    // Node forgets it: standard output cannot be destroyed.
    if (error && error.code !== 'EPIPE') failure = error;
    tell();
  };
  const watchers = watch(stream);
  watchers.add(failed);
  return {
    isTty: stream.isTTY === true,
    get rows() {
      // Some terminals say 0: they do not know.
      return (stream as WriteStream).rows || 40;
    },
    get closed() {
      return closed;
    },
    get failure() {
      return failure;
    },
    write(text) {
      if (closed || text.length === 0) return;
      stream.write(text);
      // Files and pipes are written at once; their event comes later, maybe too late for who is about to finish.
      if (stream.errored) failed(stream.errored);
    },
    onClosed(listener) {
      tell = listener;
    },
    close() {
      watchers.delete(failed);
    },
  };
}

type Watcher = (error: NodeJS.ErrnoException | null) => void;
const watched = new WeakMap<NodeJS.WriteStream, Set<Watcher>>();

/** One listener per stream, for good: the EPIPE of the last write may come when the job is over, and must not end the process. */
function watch(stream: NodeJS.WriteStream): Set<Watcher> {
  const known = watched.get(stream);
  if (known) return known;
  const watchers = new Set<Watcher>();
  const failed: Watcher = (error) => {
    for (const tell of watchers) tell(error);
  };
  stream.on('error', failed);
  stream.on('close', () => failed(null));
  watched.set(stream, watchers);
  return watchers;
}
