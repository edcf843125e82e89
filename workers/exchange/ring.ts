/**
 * One channel: a ring of frames with one producer and one consumer, in the consumer's memory. Positions are bytes
 * modulo 2^32; a frame is contiguous and 64-byte aligned, and what is left of the ring before a wrap is a pad frame.
 *
 *   producer   reserve → write → commit: tail, then the consumer's doorbell
 *   consumer   peek → read → release: head, then, if the producer waits and half of the ring is free, its doorbell
 *
 * The barrier cell holds one barrier with the position it stands at, so that a barrier needs no room. Its state is read
 * after the tail: a frame that can be seen can hide no barrier before it. Knows frames' lengths, nothing of what is in them.
 */
import { assert } from '../../core/base/assert.ts';
import { MillraceError } from '../../core/base/errors.ts';
import { frameBytesMaxOf, frameHeaderBytes } from '../../core/base/limits.ts';
import { frameAttempt, frameKind, frameLength, kindPad } from '../../core/record/frame-layout.ts';
import type { Atoms } from './atoms.ts';
import type { Peer } from './context.ts';
import type { Ringer } from './doorbell.ts';
import { ChannelLine, type ChannelPlace } from './inbox.ts';

/** Bytes of the barrier cell behind its state. */
const Barrier = { state: 0, position: 4, attempt: 8, checkpoint: 16 } as const;

/** What a ring is made over. */
export interface RingSetup {
  /** The consumer's memory. */
  readonly peer: Peer;
  readonly place: ChannelPlace;
  readonly atoms: Atoms;
  /** Positive; frames and barriers of another attempt are dropped. */
  readonly attempt: number;
  /** Default: a quarter of the ring. */
  readonly frameBytesMax?: number;
}

export class RingProducer {
  readonly frameBytesMax: number;
  // What changes is open, so that the exhaustive exploration (test/long/rings.ts) can go on from any state.
  tail = 0;
  headSeen = 0;
  reserved = 0;
  readonly #atoms: Atoms;
  readonly #peer: Peer;
  readonly #consumer: Ringer;
  readonly #attempt: number;
  readonly #bit: number;
  readonly #header: number;
  readonly #ring: number;
  readonly #bytes: number;

  /** `consumer` rings the doorbell of the ring's owner. */
  constructor(setup: RingSetup, consumer: Ringer) {
    const { place } = setup;
    this.#atoms = setup.atoms;
    this.#peer = setup.peer;
    this.#consumer = consumer;
    this.#attempt = setup.attempt;
    this.#bit = place.bit;
    this.#header = place.header;
    this.#ring = place.ring;
    this.#bytes = place.ringBytes;
    this.frameBytesMax = setup.frameBytesMax ?? frameBytesMaxOf(place.ringBytes);
  }

  /**
   * The address, in the consumer's memory, of room for a frame of `bytes` (a multiple of 64, at most `frameBytesMax`);
   * 0: there is none, and the producer's doorbell will ring when there may be. Reserving again replaces the reservation.
   */
  reserve(bytes: number): number {
    assert(bytes % frameHeaderBytes === 0 && bytes <= this.frameBytesMax, `a frame of ${bytes} bytes`);
    const at = (this.tail & (this.#bytes - 1)) >>> 0;
    const toEnd = this.#bytes - at;
    const needed = bytes <= toEnd ? bytes : toEnd + bytes;
    if (this.#free() < needed && !this.#seesRoom(needed)) return 0;
    this.reserved = needed;
    if (bytes <= toEnd) return this.#ring + at;
    const pad = this.#ring + at;
    this.#peer.u32[(pad + frameLength) >>> 2] = toEnd;
    this.#peer.u8[pad + frameKind] = kindPad;
    this.#peer.u32[(pad + frameAttempt) >>> 2] = this.#attempt;
    return this.#ring;
  }

  /** The reserved frame is written: the consumer may read it. */
  commit(): void {
    this.tail = (this.tail + this.reserved) | 0;
    this.reserved = 0;
    this.#atoms.store(this.#peer.i32, (this.#header + ChannelLine.tail) >>> 2, this.tail);
    this.#consumer.news(this.#bit);
  }

  /** Places a barrier behind what was committed. False: the one before has not been passed; the doorbell will ring. */
  placeBarrier(checkpointId: number): boolean {
    const { i32, f64 } = this.#peer;
    const cell = this.#header + ChannelLine.barrier;
    const state = (cell + Barrier.state) >>> 2;
    if (this.#atoms.load(i32, state) !== 0) {
      this.#atoms.store(i32, this.#waitingIndex(), 1);
      if (this.#atoms.load(i32, state) !== 0) return false;
    }
    i32[(cell + Barrier.position) >>> 2] = this.tail;
    i32[(cell + Barrier.attempt) >>> 2] = this.#attempt;
    f64[(cell + Barrier.checkpoint) >>> 3] = checkpointId;
    this.#atoms.store(i32, state, 1);
    this.#consumer.news(this.#bit);
    return true;
  }

  /** The consumer reads no more. */
  get closed(): boolean {
    return this.#atoms.load(this.#peer.i32, (this.#header + ChannelLine.closed) >>> 2) !== 0;
  }

  #free(): number {
    return this.#bytes - ((this.tail - this.headSeen) | 0);
  }

  /** Looks at the head; without room raises the waiting flag and looks once more, for a release in between. */
  #seesRoom(needed: number): boolean {
    const { i32 } = this.#peer;
    const head = (this.#header + ChannelLine.head) >>> 2;
    this.headSeen = this.#atoms.load(i32, head);
    if (this.#free() >= needed) return true;
    this.#atoms.store(i32, this.#waitingIndex(), 1);
    this.headSeen = this.#atoms.load(i32, head);
    return this.#free() >= needed;
  }

  #waitingIndex(): number {
    return (this.#header + ChannelLine.producerWaiting) >>> 2;
  }
}

/** What `peek` found. */
export const Peeked = {
  /** Nothing; the doorbell will ring. */ empty: 0,
  /** A frame at `frame`; `release` it. */ frame: 1,
  /** Barrier `barrierId` stands here; `passBarrier` goes on. */ barrier: 2,
} as const;
export type Peeked = (typeof Peeked)[keyof typeof Peeked];

export class RingConsumer {
  /** Address and length of the frame last peeked. */
  frame = 0;
  frameBytes = 0;
  barrierId = 0;
  // Open for the same reason as the producer's.
  head = 0;
  tailSeen = 0;
  barrierSet = false;
  barrierAt = 0;
  readonly #atoms: Atoms;
  readonly #peer: Peer;
  readonly #producer: Ringer;
  readonly #attempt: number;
  readonly #header: number;
  readonly #ring: number;
  readonly #bytes: number;

  /** `producer` rings the doorbell of who writes this ring. */
  constructor(setup: RingSetup, producer: Ringer) {
    const { place } = setup;
    this.#atoms = setup.atoms;
    this.#peer = setup.peer;
    this.#producer = producer;
    this.#attempt = setup.attempt;
    this.#header = place.header;
    this.#ring = place.ring;
    this.#bytes = place.ringBytes;
  }

  /** What stands next. Peeking again without a release answers the same. Errors: `record/corrupt-frame`. */
  peek(): Peeked {
    for (;;) {
      if (this.head === this.tailSeen) this.#look();
      if (this.barrierSet && this.barrierAt === this.head) return Peeked.barrier;
      if (this.head === this.tailSeen) return Peeked.empty;
      const at = (this.head & (this.#bytes - 1)) >>> 0;
      const address = this.#ring + at;
      const { u8, u32 } = this.#peer;
      const length = u32[(address + frameLength) >>> 2]!;
      const seen = (this.tailSeen - this.head) | 0;
      if (length < frameHeaderBytes || length % frameHeaderBytes !== 0 || length > seen || length > this.#bytes - at) {
        throw new MillraceError('record/corrupt-frame', `a frame of ${length} bytes where ${seen} were sent`);
      }
      this.frame = address;
      this.frameBytes = length;
      if (u8[address + frameKind] !== kindPad && u32[(address + frameAttempt) >>> 2] === this.#attempt)
        return Peeked.frame;
      this.release();
    }
  }

  /** The frame last peeked is the producer's again. */
  release(): void {
    this.head = (this.head + this.frameBytes) | 0;
    this.frameBytes = 0;
    this.#atoms.store(this.#peer.i32, (this.#header + ChannelLine.head) >>> 2, this.head);
    // Waking the producer for every frame would cost more than the frame; half a ring always has room for one with its pad.
    if (2 * (this.#bytes - ((this.tailSeen - this.head) | 0)) >= this.#bytes) this.#wakeProducer();
  }

  /** Goes on behind the barrier that `peek` answered. */
  passBarrier(): void {
    this.barrierSet = false;
    this.#atoms.store(this.#peer.i32, (this.#header + ChannelLine.barrier + Barrier.state) >>> 2, 0);
    this.#wakeProducer();
  }

  /** Nothing will be read any more; the producer is told, and woken if it waits. */
  close(): void {
    this.#atoms.store(this.#peer.i32, (this.#header + ChannelLine.closed) >>> 2, 1);
    this.#wakeProducer();
  }

  /** Tail first, then the barrier cell: see the head of this file. */
  #look(): void {
    const { i32, f64 } = this.#peer;
    this.tailSeen = this.#atoms.load(i32, (this.#header + ChannelLine.tail) >>> 2);
    const cell = this.#header + ChannelLine.barrier;
    if (this.barrierSet || this.#atoms.load(i32, (cell + Barrier.state) >>> 2) === 0) return;
    if (i32[(cell + Barrier.attempt) >>> 2] !== this.#attempt) {
      this.#atoms.store(i32, (cell + Barrier.state) >>> 2, 0);
      return;
    }
    this.barrierSet = true;
    this.barrierAt = i32[(cell + Barrier.position) >>> 2]!;
    this.barrierId = f64[(cell + Barrier.checkpoint) >>> 3]!;
  }

  #wakeProducer(): void {
    const { i32 } = this.#peer;
    const waiting = (this.#header + ChannelLine.producerWaiting) >>> 2;
    if (this.#atoms.load(i32, waiting) === 0) return;
    this.#atoms.store(i32, waiting, 0);
    this.#producer.room();
  }
}
