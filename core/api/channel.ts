/**
 * An in-process source that a program pushes rows into, on the thread that runs the job. Bounded: a full channel makes
 * `push` wait and `tryPush` answer false. Not replayable. Knows nothing of what reads it.
 */
import { MillraceError } from '../base/errors.ts';
import type { Source } from './place.ts';
import type { Schema } from './schema.ts';
import { rowSource } from './sources.ts';

export interface Channel<R> extends Source<R, 'append'> {
  /** Resolves when the row is in the channel. Errors: `sink/closed` after `end`, and where it waits for a job that ended. */
  push(row: R): Promise<void>;
  /** False: there is no room, the row was not taken. Errors: `sink/closed` after `end`. */
  tryPush(row: R): boolean;
  /** No more rows will come: what reads the channel ends when it has read those that are in. */
  end(): void;
}

/** The reading side of a channel: the resource of a source of kind `channel`. One reader at a time. */
export interface RowQueue {
  /** Removes up to `max` rows from the front, oldest first. */
  take(max: number): readonly unknown[];
  /** Rows in the queue now. */
  readonly size: number;
  /** `end` was called; rows may still be in. */
  readonly ended: boolean;
  /** `wake` is called when an empty queue gets a row, and when it ends; null: nobody reads any more. */
  onNews(wake: (() => void) | null): void;
}

/** A channel for rows of this schema; `capacity` rows at most wait in it (1,024 unless said). Errors: `option/invalid`. */
export function channel<R>(row: Schema<R>, options: { readonly capacity?: number } = {}): Channel<R> {
  const capacity = options.capacity ?? 1024;
  if (!Number.isSafeInteger(capacity) || capacity < 1) {
    throw new MillraceError('option/invalid', `the capacity of a channel is a whole number from 1, not ${capacity}`);
  }
  const queue = new Queue<R>(capacity);
  return rowSource(
    'channel',
    'channel',
    { capacity },
    'append',
    row,
    { value: queue },
    {
      push: (value: R) => queue.push(value),
      tryPush: (value: R) => queue.tryPush(value),
      end: () => queue.end(),
    },
  );
}

class Queue<R> implements RowQueue {
  readonly #capacity: number;
  /** Rows from `#head` on; the part before is dropped now and then. */
  #rows: R[] = [];
  #head = 0;
  #ended = false;
  #wake: (() => void) | null = null;
  /** Who waits for room, in order. They hold one row each. */
  #waiting: { readonly row: R; readonly taken: () => void; readonly refused: (error: Error) => void }[] = [];
  /** There was a reader, and it went. Rows may still be put in while there is room: another job may read them. */
  #deserted = false;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#rows.length - this.#head;
  }

  get ended(): boolean {
    return this.#ended && this.#waiting.length === 0;
  }

  tryPush(row: R): boolean {
    this.#refuseAfterEnd();
    if (this.#waiting.length > 0 || this.size >= this.#capacity) return false;
    this.#add(row);
    return true;
  }

  async push(row: R): Promise<void> {
    if (this.tryPush(row)) return;
    if (this.#deserted) throw deserted();
    await new Promise<void>((taken, refused) => this.#waiting.push({ row, taken, refused }));
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#wake?.();
  }

  take(max: number): readonly unknown[] {
    const taken = this.#rows.slice(this.#head, this.#head + max);
    this.#head += taken.length;
    if (this.#head === this.#rows.length || this.#head >= 1024) {
      this.#rows = this.#rows.slice(this.#head);
      this.#head = 0;
    }
    for (const { row, taken: resolve } of this.#waiting.splice(0, this.#capacity - this.size)) {
      this.#rows.push(row);
      resolve();
    }
    return taken;
  }

  onNews(wake: (() => void) | null): void {
    this.#wake = wake;
    this.#deserted = wake === null;
    if (this.#deserted) for (const { refused } of this.#waiting.splice(0)) refused(deserted());
  }

  #add(row: R): void {
    const wasEmpty = this.size === 0;
    this.#rows.push(row);
    if (wasEmpty) this.#wake?.();
  }

  #refuseAfterEnd(): void {
    if (this.#ended)
      throw new MillraceError('sink/closed', 'the channel was ended; no more rows can be pushed into it');
  }
}

function deserted(): MillraceError {
  return new MillraceError('sink/closed', 'the channel is full, and the job that read it has ended');
}
