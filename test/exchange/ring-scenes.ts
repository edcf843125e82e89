/** The scenes of the exhaustive exploration: slots with tasks, joined by tiny rings, as the loop and gates use them. */
import { kindRows } from '../../core/record/frame-layout.ts';
import type { Atoms } from '../../workers/exchange/atoms.ts';
import type * as DoorbellModule from '../../workers/exchange/doorbell.ts';
import { type ChannelPlace, channelHeaderBytes, type DoorbellPlace } from '../../workers/exchange/inbox.ts';
import type * as RingModule from '../../workers/exchange/ring.ts';
import type { Actor, Scene } from './explore.ts';

/** The code under exploration: the engine's own, or with a bug planted in it. */
export interface Code {
  readonly ring: typeof RingModule;
  readonly doorbell: typeof DoorbellModule;
}
type Producer = RingModule.RingProducer;
type Consumer = RingModule.RingConsumer;
type Bell = DoorbellModule.Doorbell;

type Status = 'moved' | 'stuck' | 'ended';
interface Task {
  readonly local: object;
  /** Rings that the task holds an end of. */
  readonly ends: readonly object[];
  step(local: never): Status;
}

export interface SceneSpec {
  readonly name: string;
  readonly memoryBytes: number;
  build(code: Code): (memory: ArrayBuffer, atoms: Atoms) => Scene;
}

const attempt = 1;
/** Address 0 … 63 belongs to nobody; then a doorbell (3 lines) per slot; then rings. */
const bellBytes = 192;

class Builder {
  readonly peer;
  readonly atoms: Atoms;
  readonly code: Code;
  readonly bells: DoorbellPlace[];
  readonly doorbells: Bell[];
  #next: number;
  readonly #bits: number[];

  constructor(code: Code, memory: ArrayBuffer, atoms: Atoms, slots: number) {
    this.code = code;
    this.atoms = atoms;
    this.peer = {
      u8: new Uint8Array(memory),
      i32: new Int32Array(memory),
      u32: new Uint32Array(memory),
      f64: new Float64Array(memory),
    };
    this.bells = Array.from({ length: slots }, (_, i) => {
      const at = 64 + i * bellBytes;
      return { counter: at, waiting: at + 64, news: at + 128, words: 1 };
    });
    this.doorbells = this.bells.map((place) => new code.doorbell.Doorbell(this.peer.i32, place, atoms));
    this.#bits = this.bells.map(() => 0);
    this.#next = 64 + slots * bellBytes;
  }

  get eventCounts(): number[] {
    return this.bells.map((place) => place.counter >>> 2);
  }

  /** A ring of `ringBytes` from slot to slot, for frames of at most `frameBytesMax`. */
  ring(
    from: number,
    to: number,
    ringBytes: number,
    frameBytesMax: number,
  ): { out: Producer; in: Consumer; bit: number } {
    const bit = this.#bits[to]!++;
    const header = this.#next;
    const ring = header + channelHeaderBytes;
    this.#next = ring + ringBytes;
    const place: ChannelPlace = {
      edge: 0,
      bit,
      producer: from,
      consumer: to,
      header,
      ring,
      ringBytes,
      dictionaries: 0,
      dictionaryBytes: 0,
    };
    const setup = { peer: this.peer, place, atoms: this.atoms, attempt, frameBytesMax };
    const ringer = (slot: number) => new this.code.doorbell.Ringer(this.peer.i32, this.bells[slot]!, this.atoms);
    return {
      out: new this.code.ring.RingProducer(setup, ringer(to)),
      in: new this.code.ring.RingConsumer(setup, ringer(from)),
      bit,
    };
  }

  /** A slot's loop, as workers/loop.ts has it: arm, a round over the tasks, park when nothing moved. */
  slot(name: string, number: number, tasks: readonly Task[]): Actor {
    const bell = this.doorbells[number]!;
    interface Local {
      at: number;
      moved: boolean;
      ended: number;
      tasks: never[];
    }
    const local: Local = { at: -1, moved: false, ended: 0, tasks: tasks.map((task) => task.local as never) };
    return {
      name,
      objects: [bell, ...tasks.flatMap((task) => task.ends)],
      local,
      step: (l: Local) => {
        if (l.at === -1) {
          bell.arm();
          l.moved = false;
          l.at = 0;
          return 'again';
        }
        if (l.at < tasks.length) {
          if ((l.ended & (1 << l.at)) === 0) {
            const status = tasks[l.at]!.step(l.tasks[l.at]!);
            if (status !== 'stuck') l.moved = true;
            if (status === 'ended') l.ended |= 1 << l.at;
          }
          l.at++;
          return 'again';
        }
        if (l.ended === (1 << tasks.length) - 1) return 'done';
        l.at = -1;
        if (l.moved) return 'again';
        return bell.park() === null ? 'again' : 'parked';
      },
    };
  }

  /** Sends what `script` says: a number is a frame of so many bytes, a text a barrier. Then it ends. */
  sender(out: Producer, script: readonly (number | 'barrier')[]): Task {
    const { peer } = this;
    return {
      local: { at: 0 },
      ends: [out],
      step: (l: { at: number }) => {
        const what = script[l.at];
        if (what === undefined) return 'ended';
        if (what === 'barrier') {
          if (!out.placeBarrier(l.at + 1) && !out.closed) return 'stuck';
        } else {
          const at = out.reserve(what);
          if (at === 0) {
            if (!out.closed) return 'stuck';
          } else {
            write(peer, at, what, l.at + 1);
            out.commit();
          }
        }
        l.at++;
        return 'moved';
      },
    };
  }

  /** Reads frames and barriers of several rings as a gate does and checks that each ring's come in order; ends when all have. */
  receiver(
    slot: number,
    inputs: readonly { in: Consumer; bit: number; script: readonly (number | 'barrier')[] }[],
    closeAfter = Number.POSITIVE_INFINITY,
  ): Task {
    const { peer } = this;
    const bell = this.doorbells[slot]!;
    const mask = inputs.reduce((all, input) => all | (1 << input.bit), 0);
    interface Local {
      ready: number;
      held: number;
      reading: number;
      at: number[];
      frames: number;
    }
    return {
      local: { ready: mask, held: 0, reading: -1, at: inputs.map(() => 0), frames: 0 } satisfies Local,
      ends: inputs.map((input) => input.in),
      step: (l: Local) => {
        if (l.reading >= 0) {
          // The batch was worked on: its frame must be as it was.
          const input = inputs[l.reading]!;
          const place = l.at[l.reading]!;
          check(peer, input.in.frame, input.script[place] as number, place + 1);
          input.in.release();
          l.at[l.reading]!++;
          l.reading = -1;
          l.frames++;
          if (l.frames >= closeAfter) {
            for (const { in: ring } of inputs) ring.close();
            return 'ended';
          }
          return 'moved';
        }
        if (inputs.every((input, i) => l.at[i] === input.script.length)) return 'ended';
        l.ready |= bell.takeNews(0, mask);
        for (const [i, input] of inputs.entries()) {
          if ((l.ready & ~l.held & (1 << input.bit)) === 0) continue;
          const found = input.in.peek();
          if (found === this.code.ring.Peeked.empty) {
            l.ready &= ~(1 << input.bit);
            continue;
          }
          const place = l.at[i]!;
          if (found === this.code.ring.Peeked.barrier) {
            expect(input.script[place] === 'barrier', `a barrier where ${input.script[place]} was due`);
            expect(input.in.barrierId === place + 1, `barrier ${input.in.barrierId} at ${place}`);
            l.held |= 1 << input.bit;
            const live = inputs.filter((other, j) => l.at[j]! < other.script.length);
            if (live.every((other) => (l.held & (1 << other.bit)) !== 0)) {
              for (const other of live) {
                other.in.passBarrier();
                l.at[inputs.indexOf(other)]!++;
              }
              l.ready |= l.held;
              l.held = 0;
            }
            return 'moved';
          }
          check(peer, input.in.frame, input.script[place] as number, place + 1);
          l.reading = i;
          return 'moved';
        }
        return 'stuck';
      },
    };
  }

  /** Passes `count` frames of 64 bytes on; keeps one while there is no room for it. */
  relay(slot: number, input: { in: Consumer; bit: number }, out: Producer, count: number): Task {
    const { peer } = this;
    const bell = this.doorbells[slot]!;
    return {
      local: { done: 0, holds: false },
      ends: [input.in, out],
      step: (l: { done: number; holds: boolean }) => {
        if (l.done === count) return 'ended';
        if (!l.holds) {
          bell.takeNews(0, 1 << input.bit);
          if (input.in.peek() !== this.code.ring.Peeked.frame) return 'stuck';
          l.holds = true;
          return 'moved';
        }
        const at = out.reserve(64);
        if (at === 0) return 'stuck';
        check(peer, input.in.frame, 64, l.done + 1);
        write(peer, at, 64, l.done + 1);
        out.commit();
        input.in.release();
        l.holds = false;
        l.done++;
        return 'moved';
      },
    };
  }
}

interface Views {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
}

function write(peer: Views, at: number, bytes: number, tag: number): void {
  peer.u32[at >>> 2] = bytes;
  peer.u8[at + 4] = kindRows;
  peer.u32[(at + 8) >>> 2] = attempt;
  for (let word = 3; word < bytes / 4; word++) peer.u32[(at >>> 2) + word] = tag;
}

function check(peer: Views, at: number, bytes: number, tag: number): void {
  expect(peer.u32[at >>> 2] === bytes, `a frame of ${peer.u32[at >>> 2]} bytes where ${bytes} were due`);
  for (let word = 3; word < bytes / 4; word++) {
    expect(peer.u32[(at >>> 2) + word] === tag, `a frame says ${peer.u32[(at >>> 2) + word]} where ${tag} was due`);
  }
}

function expect(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

type Script = readonly (number | 'barrier')[];

/** One sender and one receiver, in two slots. */
function pair(name: string, ringBytes: number, frameBytesMax: number, script: Script, closeAfter?: number): SceneSpec {
  return {
    name,
    memoryBytes: 64 + 2 * bellBytes + channelHeaderBytes + ringBytes,
    build: (code) => (memory, atoms) => {
      const b = new Builder(code, memory, atoms, 2);
      const ring = b.ring(0, 1, ringBytes, frameBytesMax);
      return {
        eventCounts: b.eventCounts,
        actors: [
          b.slot('sender', 0, [b.sender(ring.out, script)]),
          b.slot('receiver', 1, [b.receiver(1, [{ ...ring, script }], closeAfter)]),
        ],
      };
    },
  };
}

/** Several senders, each in its slot, into one receiver. */
function join(name: string, ringBytes: number, scripts: readonly Script[], closeAfter?: number): SceneSpec {
  const slots = scripts.length + 1;
  return {
    name,
    memoryBytes: 64 + slots * bellBytes + scripts.length * (channelHeaderBytes + ringBytes),
    build: (code) => (memory, atoms) => {
      const b = new Builder(code, memory, atoms, slots);
      const rings = scripts.map((_, i) => b.ring(i + 1, 0, ringBytes, 64));
      return {
        eventCounts: b.eventCounts,
        actors: [
          b.slot('receiver', 0, [
            b.receiver(
              0,
              rings.map((ring, i) => ({ ...ring, script: scripts[i]! })),
              closeAfter,
            ),
          ]),
          ...rings.map((ring, i) => b.slot(`sender ${i + 1}`, i + 1, [b.sender(ring.out, scripts[i]!)])),
        ],
      };
    },
  };
}

/** Two slots; each has two senders, one to either slot, and a receiver from both. */
function allToAll(name: string, ringBytes: number, script: Script): SceneSpec {
  return {
    name,
    memoryBytes: 64 + 2 * bellBytes + 4 * (channelHeaderBytes + ringBytes),
    build: (code) => (memory, atoms) => {
      const b = new Builder(code, memory, atoms, 2);
      const rings = [0, 1].map((from) => [0, 1].map((to) => b.ring(from, to, ringBytes, 64)));
      return {
        eventCounts: b.eventCounts,
        actors: [0, 1].map((slot) =>
          b.slot(`slot ${slot}`, slot, [
            b.sender(rings[slot]![0]!.out, script),
            b.sender(rings[slot]![1]!.out, script),
            b.receiver(
              slot,
              [0, 1].map((from) => ({ ...rings[from]![slot]!, script })),
            ),
          ]),
        ),
      };
    },
  };
}

/** a → b → c, in three slots. */
function chain(name: string, ringBytes: number, frames: number): SceneSpec {
  const script: Script = Array<number>(frames).fill(64);
  return {
    name,
    memoryBytes: 64 + 3 * bellBytes + 2 * (channelHeaderBytes + ringBytes),
    build: (code) => (memory, atoms) => {
      const b = new Builder(code, memory, atoms, 3);
      const first = b.ring(0, 1, ringBytes, 64);
      const second = b.ring(1, 2, ringBytes, 64);
      return {
        eventCounts: b.eventCounts,
        actors: [
          b.slot('a', 0, [b.sender(first.out, script)]),
          b.slot('b', 1, [b.relay(1, first, second.out, frames)]),
          b.slot('c', 2, [b.receiver(2, [{ ...second, script }])]),
        ],
      };
    },
  };
}

/** a → b, c → d: a and d in one slot, b and c in the other, as slots share chains. */
function diamond(name: string, ringBytes: number, overB: number, overC: number): SceneSpec {
  const left: Script = Array<number>(overB).fill(64);
  const right: Script = Array<number>(overC).fill(64);
  return {
    name,
    memoryBytes: 64 + 2 * bellBytes + 4 * (channelHeaderBytes + ringBytes),
    build: (code) => (memory, atoms) => {
      const b = new Builder(code, memory, atoms, 2);
      const ab = b.ring(0, 1, ringBytes, 64);
      const ac = b.ring(0, 1, ringBytes, 64);
      const bd = b.ring(1, 0, ringBytes, 64);
      const cd = b.ring(1, 0, ringBytes, 64);
      return {
        eventCounts: b.eventCounts,
        actors: [
          b.slot('a and d', 0, [
            b.sender(ab.out, left),
            b.sender(ac.out, right),
            b.receiver(0, [
              { ...bd, script: left },
              { ...cd, script: right },
            ]),
          ]),
          b.slot('b and c', 1, [b.relay(1, ab, bd.out, overB), b.relay(1, ac, cd.out, overC)]),
        ],
      };
    },
  };
}

/** Small scenes first. */
export const scenes: readonly SceneSpec[] = [
  pair('cancel: the receiver leaves', 64, 64, [64, 64, 'barrier', 'barrier', 64], 1),
  pair('one-frame ring', 64, 64, [64, 64, 64]),
  pair('ring of two frames', 128, 64, [64, 64, 64, 64]),
  pair('frames that need a pad', 256, 128, [64, 128, 128, 64]),
  pair('record larger than the ring', 128, 64, [64, 64, 64, 64, 64]),
  pair('barrier behind a full ring', 64, 64, [64, 64, 'barrier', 'barrier', 64]),
  join(
    'cancel: the receiver of two leaves',
    64,
    [
      [64, 64],
      [64, 64],
    ],
    1,
  ),
  join('two senders, one-frame rings', 64, [[64, 64], [64]]),
  join('barriers of two senders', 64, [
    [64, 'barrier'],
    ['barrier', 64],
  ]),
  chain('chain', 64, 2),
  allToAll('2×2 all-to-all', 64, [64, 64]),
  diamond('diamond', 64, 2, 1),
];
