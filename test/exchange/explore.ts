/**
 * Explores every interleaving of a few actors over one small memory, one atomic operation at a time, and remembers the
 * states it has seen (by a 53-bit hash: among a million states, two different ones are taken for one with a chance below
 * one in ten thousand).
 *
 * Actors run the real code. A turn is the plain code before an atomic operation, and the operation; what comes after it
 * belongs to the next turn, so that whatever is not ordered by an operation is seen, or overwritten, as late as can be.
 * The operation after that throws; at its next turn the actor's step is run again from its beginning, with the answers
 * that it got and the memory as it then was.
 *
 * An operation on a word that nobody else writes (or, storing, touches) commutes with everything and is no turn of its
 * own. Which words these are is learned; when a guess proves wrong, the exploration starts over.
 */
import type { Atoms } from '../../workers/exchange/atoms.ts';

/** A thread: what it does is cut into steps; all it knows between steps is in `local` and in the open fields of `objects`. */
export interface Actor {
  readonly name: string;
  readonly objects: readonly object[];
  /** JSON. */
  readonly local: object;
  /** Changes `local`. `parked`: called Atoms.waitAsync last, and sleeps. */
  step(local: never): 'again' | 'parked' | 'done';
}

export interface Scene {
  readonly actors: readonly Actor[];
  /**
   * Words that count events: their owner loads them, others add to them, and all that matters is whether they still are
   * what the owner loaded. So a load sets them to 0, and they count to 1: far fewer states, and none of them different.
   */
  readonly eventCounts: readonly number[];
}

export interface Exploration {
  readonly states: number;
  readonly turns: number;
  /** Ways in which everybody was done. */
  readonly ends: number;
  /** Turns in which somebody fell asleep. */
  readonly sleeps: number;
  /** The first failure, with the turns that lead to it. */
  readonly failure: string | null;
  /** False: `statesMax` was reached, or something failed, before all was seen. */
  readonly complete: boolean;
}

interface ActorState {
  readonly local: string;
  /** The open fields of the actor's objects, at the beginning of the step. */
  readonly fields: readonly number[];
  readonly answers: readonly number[];
  /** The memory at the beginning of each answer's turn. */
  readonly memories: readonly Uint8Array[];
  /** The word it sleeps on; −1: awake. */
  readonly asleepOn: number;
  readonly done: boolean;
  readonly hashA: number;
  readonly hashB: number;
}

interface State {
  readonly memory: Uint8Array;
  readonly actors: readonly ActorState[];
  readonly path: Path | null;
}
interface Path {
  readonly actor: number;
  readonly what: string;
  readonly before: Path | null;
}

type Build = (memory: ArrayBuffer, atoms: Atoms) => Scene;

/** `build` makes the actors over `memory` and `atoms`. Explores at most `statesMax` states. */
export function explore(memoryBytes: number, build: Build, statesMax: number): Exploration {
  const words = new Words(memoryBytes >>> 2);
  for (;;) {
    const found = new Explorer(memoryBytes, build, words).run(statesMax);
    if (found !== null) return found;
  }
}

/** Who loads and who stores each word, as far as was seen: bit sets of actors. */
class Words {
  readonly #loads: Int32Array;
  readonly #stores: Int32Array;
  constructor(count: number) {
    this.#loads = new Int32Array(count);
    this.#stores = new Int32Array(count);
  }

  /** False: somebody took the word for its own and was wrong. */
  learn(actor: number, word: number, stores: boolean): boolean {
    const bits = stores ? this.#stores : this.#loads;
    if ((bits[word]! & (1 << actor)) !== 0) return true;
    const users = this.#loads[word]! | this.#stores[word]!;
    const before = this.#owners(word, users);
    bits[word]! |= 1 << actor;
    return (before & ~this.#owners(word, users)) === 0;
  }

  /** Nobody else that is still `live` stores it; nor loads it, if this is a store. */
  isOwn(actor: number, word: number, stores: boolean, live = -1): boolean {
    const others = ~(1 << actor) & live;
    return (this.#stores[word]! & others) === 0 && (!stores || (this.#loads[word]! & others) === 0);
  }

  /** Bits of the users that may load the word at any time, and, 16 bits higher, of those that may store it. */
  #owners(word: number, users: number): number {
    let owners = 0;
    for (let actor = 0; actor < 16; actor++) {
      if ((users & (1 << actor)) === 0) continue;
      if ((this.#loads[word]! & (1 << actor)) !== 0 && this.isOwn(actor, word, false)) owners |= 1 << actor;
      if ((this.#stores[word]! & (1 << actor)) !== 0 && this.isOwn(actor, word, true)) owners |= 0x10000 << actor;
    }
    return owners;
  }
}

const suspend = new Error('the turn is over');
const startOver = new Error('a word is shared after all');
const sleeping = new Promise<string>(() => {});

class Explorer {
  readonly #bytes: Uint8Array;
  readonly #actors: readonly Actor[];
  readonly #eventCounts: ReadonlySet<number>;
  readonly #fields: readonly (readonly [Record<string, number | boolean>, string])[][];
  readonly #words: Words;
  // The turn at hand.
  #actor = 0;
  /** Bits of the actors that are not done. */
  #live = 0;
  /** Answers from before this turn. */
  #old = 0;
  #cursor = 0;
  #answers: number[] = [];
  /** The memory at the beginning of each piece of plain code: before the first operation, and behind each. */
  #memories: Uint8Array[] = [];
  /** The memory behind the operation that this turn was for; null: it is still to come. */
  #after: Uint8Array | null = null;
  #asleepOn = -1;
  #woken: number[] = [];
  #what = '';

  constructor(memoryBytes: number, build: Build, words: Words) {
    const memory = new ArrayBuffer(memoryBytes);
    this.#bytes = new Uint8Array(memory);
    this.#words = words;
    const scene = build(memory, this.#atoms);
    this.#actors = scene.actors;
    this.#eventCounts = new Set(scene.eventCounts);
    this.#fields = this.#actors.map((actor) =>
      actor.objects.flatMap((object) =>
        Object.entries(object)
          .filter(([, value]) => typeof value === 'number' || typeof value === 'boolean')
          .map(([name]) => [object as Record<string, number | boolean>, name] as const),
      ),
    );
  }

  /** Null: start over. */
  run(statesMax: number): Exploration | null {
    const first: State = {
      memory: this.#bytes.slice(),
      actors: this.#actors.map((actor, i) =>
        hashed({
          local: JSON.stringify(actor.local),
          fields: this.#save(i),
          answers: [],
          memories: [],
          asleepOn: -1,
          done: false,
        }),
      ),
      path: null,
    };
    const seen = new Set<number>([hash(first)]);
    const open: State[] = [first];
    const count = { turns: 0, ends: 0, sleeps: 0 };
    const answer = (failure: string | null): Exploration => ({
      states: seen.size,
      ...count,
      failure,
      complete: failure === null && open.length === 0,
    });
    while (open.length > 0 && seen.size < statesMax) {
      const state = open.pop()!;
      let enabled = 0;
      for (let i = 0; i < state.actors.length; i++) {
        if (state.actors[i]!.done || state.actors[i]!.asleepOn >= 0) continue;
        enabled++;
        count.turns++;
        let next: State;
        try {
          next = this.#turn(state, i);
        } catch (error) {
          if (error === startOver) return null;
          return answer(
            this.#story(state, `${this.#actors[i]!.name}: ${error instanceof Error ? error.message : String(error)}`),
          );
        }
        if (next.actors[i]!.asleepOn >= 0) count.sleeps++;
        const key = hash(next);
        if (seen.has(key)) continue;
        seen.add(key);
        open.push(next);
      }
      if (enabled > 0) continue;
      if (!state.actors.every((actor) => actor.done))
        return answer(this.#story(state, `nobody can go on: ${this.#asleep(state)}`));
      count.ends++;
    }
    return answer(null);
  }

  #turn(state: State, i: number): State {
    const before = state.actors[i]!;
    this.#actor = i;
    this.#live = state.actors.reduce((bits, actor, j) => (actor.done ? bits : bits | (1 << j)), 0);
    this.#old = before.answers.length;
    this.#cursor = 0;
    this.#answers = before.answers.slice();
    this.#memories = [...before.memories, state.memory];
    this.#after = null;
    this.#asleepOn = -1;
    this.#woken = [];
    this.#what = '';
    this.#bytes.set(this.#memories[0]!);
    this.#restore(i, before.fields);
    let { local, fields } = before;
    let done = false;
    try {
      for (;;) {
        const work = JSON.parse(local) as never;
        const outcome = this.#actors[i]!.step(work);
        // What the step does behind this turn's operation is for the next turn.
        if (this.#after !== null) break;
        local = JSON.stringify(work);
        fields = this.#save(i);
        this.#old = 0;
        this.#cursor = 0;
        this.#answers = [];
        this.#memories = [this.#bytes.slice()];
        done = outcome === 'done';
        if (done) break;
      }
    } catch (error) {
      if (error !== suspend) throw error;
    }
    const next = [...state.actors];
    for (const word of this.#woken) {
      for (const [j, other] of next.entries())
        if (other.asleepOn === word) next[j] = hashed({ ...other, asleepOn: -1 });
    }
    const memories = this.#memories.slice(0, this.#answers.length);
    next[i] = hashed({ local, fields, answers: this.#answers, memories, asleepOn: this.#asleepOn, done });
    return {
      memory: this.#after ?? this.#bytes.slice(),
      actors: next,
      path: { actor: i, what: this.#what, before: state.path },
    };
  }

  /** An atomic operation of the actor whose turn it is. */
  #do(what: string, word: number, stores: boolean, operation: () => number): number {
    if (this.#cursor < this.#old) {
      this.#bytes.set(this.#memories[++this.#cursor]!);
      return this.#answers[this.#cursor - 1]!;
    }
    if (this.#after !== null) throw suspend;
    if (!this.#words.learn(this.#actor, word, stores)) throw startOver;
    const answer = operation();
    this.#answers.push(answer);
    this.#after = this.#bytes.slice();
    if (what !== 'wait' && what !== 'notify' && this.#words.isOwn(this.#actor, word, stores, this.#live)) {
      this.#memories.push(this.#after);
      this.#after = null;
    } else {
      this.#what = `${what} ${word * 4} → ${answer}`;
    }
    return answer;
  }

  readonly #atoms: Atoms = {
    load: (words, index) => {
      if (!this.#eventCounts.has(index)) return this.#do('load', index, false, () => words[index]!);
      return this.#do('load', index, true, () => {
        words[index] = 0;
        return 0;
      });
    },
    store: (words, index, value) =>
      this.#do('store', index, true, () => {
        words[index] = value;
        return value;
      }),
    add: (words, index, value) =>
      this.#do('add', index, true, () => {
        const old = words[index]!;
        words[index] = this.#eventCounts.has(index) ? 1 : old + value;
        return old;
      }),
    and: (words, index, value) =>
      this.#do('and', index, true, () => {
        const old = words[index]!;
        words[index] = old & value;
        return old;
      }),
    or: (words, index, value) =>
      this.#do('or', index, true, () => {
        const old = words[index]!;
        words[index] = old | value;
        return old;
      }),
    notify: (_words, index) =>
      this.#do('notify', index, true, () => {
        this.#woken.push(index);
        return 0;
      }),
    waitAsync: (words, index, value) => {
      const sleeps = this.#do('wait', index, false, () => {
        if (words[index] !== value) return 0;
        this.#asleepOn = index;
        return 1;
      });
      return sleeps === 1 ? { async: true, value: sleeping } : { async: false, value: 'not-equal' };
    },
  };

  #save(i: number): number[] {
    return this.#fields[i]!.map(([object, name]) => Number(object[name]));
  }

  #restore(i: number, fields: readonly number[]): void {
    for (const [k, [object, name]] of this.#fields[i]!.entries()) {
      object[name] = typeof object[name] === 'boolean' ? fields[k] === 1 : fields[k]!;
    }
  }

  #asleep(state: State): string {
    return state.actors
      .map((actor, i) => `${this.#actors[i]!.name} ${actor.done ? 'is done' : `sleeps, at ${actor.local}`}`)
      .join('; ');
  }

  #story(state: State, what: string): string {
    const turns: string[] = [];
    for (let path = state.path; path; path = path.before)
      turns.unshift(`${this.#actors[path.actor]!.name} ${path.what}`);
    return `${what}\n    after ${turns.length} turns, the last: ${turns.slice(-40).join(', ')}`;
  }
}

function hashed(actor: Omit<ActorState, 'hashA' | 'hashB'>): ActorState {
  const text = `${actor.local}|${actor.fields}|${actor.answers}|${actor.asleepOn}|${actor.done}`;
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 0x01000193);
    b = Math.imul((b << 5) | (b >>> 27), 1) ^ Math.imul(c + 1, 0xcc9e2d51);
  }
  return { ...actor, hashA: a, hashB: Math.imul(b ^ (b >>> 15), 0x85ebca6b) };
}

function hash(state: State): number {
  let a = 0x9e3779b9;
  let b = 0x85ebca6b;
  const { buffer, byteOffset, length } = state.memory;
  const words = new Uint32Array(buffer, byteOffset, length >>> 2);
  for (let i = 0; i < words.length; i++) {
    if (words[i] === 0) continue;
    a = Math.imul(a ^ words[i]! ^ Math.imul(i, 0x27d4eb2f), 0x01000193);
    a ^= a >>> 15;
    b = Math.imul(b ^ words[i]! ^ Math.imul(i, 0x165667b1), 0xcc9e2d51);
    b = (b << 13) | (b >>> 19);
  }
  for (const actor of state.actors) {
    a = Math.imul(a ^ actor.hashA, 0x85ebca6b);
    a ^= a >>> 13;
    b = Math.imul(((b << 7) | (b >>> 25)) ^ actor.hashB, 0xc2b2ae35);
    b ^= b >>> 16;
  }
  a ^= a >>> 16;
  b ^= b >>> 15;
  return (a >>> 0) * 2_097_152 + (b >>> 11);
}
