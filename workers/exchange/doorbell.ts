/**
 * One doorbell per participant: an event count with a bitmap of the channels that have news. Whoever sends to the
 * participant, or makes room for it, rings; the participant parks on it when none of its tasks can go on.
 *
 * Why no wake-up is lost: the owner reads the counter (`arm`) before it looks at its tasks, and parks only while the
 * counter still has that value. Whoever rings first makes its news visible, then bumps the counter, then looks at the
 * waiting flag, which the owner raised before it compared. Knows nothing of rings.
 */
import type { Atoms } from './atoms.ts';
import type { DoorbellPlace } from './inbox.ts';

/** The owner's side. */
export class Doorbell {
  readonly #atoms: Atoms;
  readonly #words: Int32Array;
  readonly #counter: number;
  readonly #waiting: number;
  readonly #news: number;
  /** Words of the news bitmap. */
  readonly words: number;
  /** The counter as `arm` saw it. */
  seen = 0;

  /** `words`: the owner's memory. */
  constructor(words: Int32Array, place: DoorbellPlace, atoms: Atoms) {
    this.#atoms = atoms;
    this.#words = words;
    this.#counter = place.counter >>> 2;
    this.#waiting = place.waiting >>> 2;
    this.#news = place.news >>> 2;
    this.words = place.words;
  }

  /** Call before each round over the tasks: what rings from now on keeps the next `park` from sleeping. */
  arm(): void {
    this.#atoms.store(this.#words, this.#waiting, 0);
    this.seen = this.#atoms.load(this.#words, this.#counter);
  }

  /**
   * Call when a whole round since `arm` found nothing to do. Null: something rang meanwhile, go round again; else a
   * promise that settles at the next ring. There is no timeout, and the pending promise does not keep Node alive: hold a
   * referenced handle. Whatever else should end the sleep (a timer, a message) calls `wake`; never park twice at once.
   */
  park(): Promise<unknown> | null {
    this.#atoms.store(this.#words, this.#waiting, 1);
    const answer = this.#atoms.waitAsync(this.#words, this.#counter, this.seen);
    return answer.async ? answer.value : null;
  }

  /** Ends the owner's sleep, or keeps it from falling asleep. For the owner's own timers and messages. */
  wake(): void {
    bump(this.#atoms, this.#words, this.#counter, this.#waiting);
  }

  /** Takes the news of word `word` of the bitmap that are in `mask`: they are the caller's to look after now. */
  takeNews(word: number, mask: number): number {
    const at = this.#news + word;
    if ((this.#atoms.load(this.#words, at) & mask) === 0) return 0;
    return this.#atoms.and(this.#words, at, ~mask) & mask;
  }
}

/** The side of those who ring. */
export class Ringer {
  readonly #atoms: Atoms;
  readonly #words: Int32Array;
  readonly #counter: number;
  readonly #waiting: number;
  readonly #news: number;

  /** `words`: the memory of the doorbell's owner. */
  constructor(words: Int32Array, place: DoorbellPlace, atoms: Atoms) {
    this.#atoms = atoms;
    this.#words = words;
    this.#counter = place.counter >>> 2;
    this.#waiting = place.waiting >>> 2;
    this.#news = place.news >>> 2;
  }

  /** Channel `bit` has something new, which is already visible. */
  news(bit: number): void {
    this.#atoms.or(this.#words, this.#news + (bit >>> 5), 1 << (bit & 31));
    bump(this.#atoms, this.#words, this.#counter, this.#waiting);
  }

  /** A ring that the owner writes to has room again. */
  room(): void {
    bump(this.#atoms, this.#words, this.#counter, this.#waiting);
  }
}

function bump(atoms: Atoms, words: Int32Array, counter: number, waiting: number): void {
  atoms.add(words, counter, 1);
  if (atoms.load(words, waiting) === 1) atoms.notify(words, counter);
}
