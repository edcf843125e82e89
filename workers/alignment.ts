/**
 * Keeps the subtasks of one source near each other in event time: windows stay open until the slowest has passed them,
 * so what the fastest reads ahead is state. A subtask that has read so many rows beyond the event time of the slowest
 * pauses until that one has come nearer, and is rung by whoever comes. Rows are counted, not time: they are what state
 * grows by, whatever the windows and however sparse the events.
 *
 * A subtask holds others only while it reads: not when it waits for data, is idle, has ended, or knows no event time yet.
 *
 * Why nobody waits for ever: who waits, waits for one whose event time is less than its own, so the slowest never does.
 * Why no ring is lost: a subtask stores its time, then looks at who waits; who waits stores for what, then looks at the times
 * once more. Knows nothing of tasks and splits.
 *
 * Words of a subtask, shared, each a time or `none`:  [ its event time | the event time it waits for ]
 */

/** Another subtask of the same source. */
export interface AlignedPeer {
  readonly words: BigInt64Array;
  /** Wakes its slot. */
  readonly ring: () => void;
}

export interface AlignmentSetup {
  readonly words: BigInt64Array;
  readonly peers: readonly AlignedPeer[];
  /** Rows read beyond the slowest's event time at most, but for one batch. */
  readonly rowsAheadMax: number;
}

const timeAt = 0;
const awaitedAt = 1;
/** What shared memory holds before anything is written; no time looks like it. */
const none = 0n;
const marksMax = 64;

export class Alignment {
  readonly #words: BigInt64Array;
  readonly #peers: readonly AlignedPeer[];
  readonly #rowsAheadMax: number;
  #rows = 0;
  #time = none;
  #awaited = none;
  /** Rows from `rows` on have event times up to `time`; both rise. */
  readonly #marks: { time: bigint; readonly rows: number }[] = [];

  constructor({ words, peers, rowsAheadMax }: AlignmentSetup) {
    this.#words = words;
    this.#peers = peers;
    this.#rowsAheadMax = rowsAheadMax;
    Atomics.store(words, timeAt, none);
    Atomics.store(words, awaitedAt, none);
  }

  /** Rows were read, and event time has come so far in what is being read. */
  read(rows: number, timeMs: number): void {
    const time = wordOf(timeMs);
    // A split from farther back has begun.
    if (time < this.#time) this.#marks.length = 0;
    const last = this.#marks.at(-1);
    if (!last || (time > last.time && this.#rows - last.rows >= this.#rowsAheadMax / marksMax))
      this.#marks.push({ time, rows: this.#rows });
    else if (time > last.time) last.time = time;
    this.#rows += rows;
    this.#tell(time);
  }

  /** Nothing to read for now, or ever: it holds nobody. */
  release(): void {
    this.#tell(none);
  }

  /** False: others are to come nearer first. Whoever does rings. */
  mayRead(): boolean {
    if (this.#awaited === none) {
      if (this.#rowsAhead() < this.#rowsAheadMax) return true;
      this.#forget(this.#slowest());
      if (this.#rowsAhead() < this.#rowsAheadMax) return true;
      // Half of what it is ahead by: it is woken for more than one batch.
      this.#await(this.#marks[this.#marks.length >>> 1]!.time);
    }
    const slowest = this.#slowest();
    if (slowest !== none && slowest < this.#awaited) return false;
    this.#forget(slowest);
    this.#await(none);
    return true;
  }

  #rowsAhead(): number {
    return this.#marks.length === 0 ? 0 : this.#rows - this.#marks[0]!.rows;
  }

  /** Rows that the others have come past are no longer ahead. */
  #forget(slowest: bigint): void {
    const ahead = slowest === none ? -1 : this.#marks.findIndex(({ time }) => time > slowest);
    this.#marks.splice(0, ahead < 0 ? this.#marks.length : ahead);
  }

  /** The least event time of those that hold others; `none`: nobody does. */
  #slowest(): bigint {
    let least = none;
    for (const { words } of this.#peers) {
      const time = Atomics.load(words, timeAt);
      if (time !== none && (least === none || time < least)) least = time;
    }
    return least;
  }

  #await(time: bigint): void {
    this.#awaited = time;
    Atomics.store(this.#words, awaitedAt, time);
  }

  /** Rings those that wait for just that: who waits for still others is not woken by every batch. */
  #tell(time: bigint): void {
    const before = this.#time;
    if (time === before) return;
    this.#time = time;
    Atomics.store(this.#words, timeAt, time);
    if (before === none) return;
    for (const { words, ring } of this.#peers) {
      const awaited = Atomics.load(words, awaitedAt);
      if (awaited !== none && before < awaited && (time === none || time >= awaited)) ring();
    }
  }
}

/** Odd, so never `none`. */
const wordOf = (timeMs: number): bigint => BigInt(timeMs) * 2n + 1n;
