/**
 * A bounded queue between two sides of one thread: a program that pushes and a job that takes, or a job that hands out
 * and a program that iterates. Neither side knows the other; a full queue is an answer, never a growing buffer.
 */
export interface BoundedQueue<T> extends AsyncIterable<T> {
  readonly capacity: number;
  readonly size: number;
  /** True: `end` or `fail` was called and everything was taken. */
  readonly drained: boolean;
  /** True: the taking side has gone; what is pushed is dropped. */
  readonly closed: boolean;
  /** False: full. Errors: an Error after `end`. */
  tryPush(item: T): boolean;
  /** Resolves when the item was taken in. Errors: an Error after `end`. */
  push(item: T): Promise<void>;
  /** Nothing more will be pushed. */
  end(): void;
  /** The same, with an error for who takes, behind the items that are still in. */
  fail(error: unknown): void;
  /** The next item; undefined when there is none now. Errors: what `fail` was told, once all items are taken. */
  shift(): T | undefined;
  /** The taking side has gone: items are dropped, whoever waits for room goes on. */
  close(): void;
  /** Calls `wake` once, when there is an item or the end; at once (synchronously) if that is so already. */
  whenItems(wake: () => void): void;
  /** Calls `wake` once, when there is room or the queue is closed; at once if that is so already. */
  whenRoom(wake: () => void): void;
  /** Calls `wake` once, when the queue is full; at once if it is already. */
  whenFull(wake: () => void): void;
}

/** A queue of at most `capacity` items, at least 1. One consumer: a second iterator takes from the same items. */
export function boundedQueue<T>(capacity: number): BoundedQueue<T> {
  let items: T[] = [];
  let head = 0;
  let ended = false;
  let failure: { readonly error: unknown } | null = null;
  let closed = false;
  let itemWaiters: (() => void)[] = [];
  let roomWaiters: (() => void)[] = [];
  let fullWaiters: (() => void)[] = [];
  const room = Math.max(1, Math.floor(capacity));

  const size = (): number => items.length - head;
  const news = (): void => {
    const waiting = itemWaiters;
    itemWaiters = [];
    for (const wake of waiting) wake();
  };
  const freed = (): void => {
    const waiting = roomWaiters;
    roomWaiters = [];
    for (const wake of waiting) wake();
  };
  const add = (item: T): void => {
    if (closed) return;
    items.push(item);
    news();
    if (fullWaiters.length > 0 && size() >= room) {
      const waiting = fullWaiters;
      fullWaiters = [];
      for (const wake of waiting) wake();
    }
  };

  const queue: BoundedQueue<T> = {
    capacity: room,
    get size() {
      return size();
    },
    get drained() {
      return ended && size() === 0;
    },
    get closed() {
      return closed;
    },
    tryPush(item) {
      if (ended && !closed) throw afterEnd();
      if (!closed && size() >= room) return false;
      add(item);
      return true;
    },
    async push(item) {
      while (!queue.tryPush(item)) await new Promise<void>((resolve) => queue.whenRoom(resolve));
    },
    end() {
      ended = true;
      news();
    },
    fail(error) {
      failure ??= { error };
      queue.end();
    },
    shift() {
      if (size() === 0) {
        if (failure) throw failure.error;
        return undefined;
      }
      const item = items[head] as T;
      items[head++] = undefined as T;
      if (head === items.length) {
        items = [];
        head = 0;
      } else if (head >= 1024 && head * 2 > items.length) {
        items = items.slice(head);
        head = 0;
      }
      if (roomWaiters.length > 0 && size() < room) freed();
      return item;
    },
    close() {
      closed = true;
      ended = true;
      items = [];
      head = 0;
      freed();
      news();
    },
    whenItems(wake) {
      if (size() > 0 || ended) wake();
      else itemWaiters.push(wake);
    },
    whenRoom(wake) {
      if (size() < room || closed) wake();
      else roomWaiters.push(wake);
    },
    whenFull(wake) {
      if (size() >= room) wake();
      else fullWaiters.push(wake);
    },
    [Symbol.asyncIterator]() {
      return {
        async next(): Promise<IteratorResult<T, undefined>> {
          for (;;) {
            if (size() > 0) return { done: false, value: queue.shift() as T };
            if (failure) throw failure.error;
            if (ended) return { done: true, value: undefined };
            await new Promise<void>((resolve) => queue.whenItems(resolve));
          }
        },
        async return(): Promise<IteratorResult<T, undefined>> {
          queue.close();
          return { done: true, value: undefined };
        },
      };
    },
  };
  return queue;
}

function afterEnd(): Error {
  return new Error('this channel was ended; nothing can be pushed any more');
}
