/**
 * The input of a chain: all its channels, read frame by frame in fair turns. Aligns barriers, combines watermarks, counts
 * ends. Knows nothing of the operators behind it.
 */
import { assert } from '../../core/base/assert.ts';
import { watermarkMax, watermarkMin } from '../../core/operators/operator.ts';
import type { Chain } from '../../core/plan/physical.ts';
import type { Batch } from '../../core/record/batch.ts';
import { corrupt, FrameReader } from '../../core/record/frame.ts';
import {
  flagIdle,
  frameFlags,
  frameKind,
  frameSequence,
  frameWatermark,
  kindChunk,
  kindDictionary,
  kindEnd,
  kindRows,
  kindWatermark,
} from '../../core/record/frame-layout.ts';
import { Assembly } from './assembly.ts';
import type { ExchangeContext } from './context.ts';
import { dictionaryColumn, type ReceivedDictionary, receivedDictionaries } from './dictionary.ts';
import { channelPlace } from './inbox.ts';
import { Peeked, RingConsumer } from './ring.ts';

/** What `poll` found. */
export const GateEvent = {
  /** Nothing now; the doorbell will ring. */ empty: 0,
  /** `batch` for input port `port`; call `release` when it is consumed, before the next poll. */ batch: 1,
  /** Event time has passed `watermarkMs`, or `idle` changed. */ watermark: 2,
  /** Every channel has reached barrier `barrierId`: nothing of before is in flight, nothing of after was read. */
  barrier: 3,
  /** All channels have ended. */ end: 4,
  /** Of several input ports, `port` has ended. */ portEnd: 5,
} as const;
export type GateEvent = (typeof GateEvent)[keyof typeof GateEvent];

export interface Gate {
  /** The next event. Never blocks; after `end` it answers `end` for ever. Errors: `record/corrupt-frame`, `memory/exhausted`. */
  poll(): GateEvent;
  readonly batch: Batch;
  readonly port: number;
  readonly watermarkMs: number;
  /** Every channel that has not ended is idle. */
  readonly idle: boolean;
  readonly barrierId: number;
  /**
   * Nothing but barriers stands in any channel that has not ended: the next `poll` answers `barrier`. Looks without reading,
   * for a task that is in the middle of firing and cannot take rows.
   */
  atBarrier(): boolean;
  /** All channels have ended. */
  readonly ended: boolean;
  /** The batch of the last `poll` is consumed: its frame is the producer's again. */
  release(): void;
  /** No more input is wanted: producers drop what they have for this gate, and see it in `Router.closed`. */
  close(): void;
  /** Received so far. */
  readonly rows: number;
  readonly bytes: number;
  readonly frames: number;
}

/** The gate of one subtask of `chain`. `watermarkMs`: what a snapshot remembers; the combined watermark starts there. */
export function createGate(context: ExchangeContext, chain: Chain, subtask: number, watermarkMs = watermarkMin): Gate {
  return new FrameGate(context, chain, subtask, watermarkMs);
}

/** The gate's end of one channel. */
interface Channel {
  readonly ring: RingConsumer;
  readonly port: number;
  /** Its rows have no event time: it holds back nobody's. */
  readonly untimed: boolean;
  readonly bit: number;
  readonly reader: FrameReader;
  readonly dictionaries: readonly (ReceivedDictionary | null)[];
  sequence: number;
  watermarkMs: number;
  idle: boolean;
  /** Was idle, came back, and has not reached the combined watermark: it does not hold it back (as in Flink). */
  behind: boolean;
  ended: boolean;
  /** Stands at a barrier that others have not reached. */
  held: boolean;
}

class FrameGate implements Gate {
  port = 0;
  watermarkMs: number;
  idle = false;
  barrierId = 0;
  rows = 0;
  bytes = 0;
  frames = 0;
  readonly #context: ExchangeContext;
  readonly #channels: Channel[] = [];
  /** By doorbell bit. */
  readonly #byBit: (Channel | null)[] = [];
  /** By word of the doorbell's news: this gate's bits, those with something to read, those not to be read now. */
  readonly #mine: Int32Array;
  readonly #ready: Int32Array;
  readonly #barred: Int32Array;
  readonly #assembly: Assembly;
  #lastBit = -1;
  #batch: Batch | null = null;
  /** Whose frame `#batch` lies in. */
  #reading: Channel | null = null;
  #timeChanged = false;
  /** By input port: channels that have not ended. */
  readonly #liveOf: number[] = [];
  /** Ports that have ended and were not told of. */
  readonly #endedPorts: number[] = [];
  #live = 0;
  #held = 0;
  #ended = false;

  constructor(context: ExchangeContext, chain: Chain, subtask: number, watermarkMs: number) {
    this.#context = context;
    this.watermarkMs = watermarkMs;
    const { words } = context.doorbell;
    this.#mine = new Int32Array(words);
    this.#ready = new Int32Array(words);
    this.#barred = new Int32Array(words);
    this.#assembly = new Assembly(context.memory);
    for (const [port, edges] of chain.inputs.entries()) {
      this.#liveOf.push(0);
      for (const edge of edges) this.#join(port, edge, subtask);
    }
    this.#live = this.#channels.length;
    assert(this.#live > 0, `chain ${chain.id} has no input`);
    // A first look at everything: news may have come before the gate was made.
    for (const channel of this.#channels) setBit(this.#ready, channel.bit);
  }

  get batch(): Batch {
    assert(this.#batch, 'the last poll found no batch');
    return this.#batch;
  }

  poll(): GateEvent {
    assert(this.#batch === null, 'a gate was polled before its batch was released');
    this.#takeNews();
    for (;;) {
      if (this.#timeChanged && this.#combineTime()) return GateEvent.watermark;
      if (this.#endedPorts.length > 0) {
        this.port = this.#endedPorts.shift()!;
        return GateEvent.portEnd;
      }
      if (this.#held > 0 && this.#held === this.#live) return this.#passBarrier();
      if (this.#ended || this.#live === 0) {
        this.#ended = true;
        return GateEvent.end;
      }
      const bit = this.#nextReady();
      if (bit < 0) return GateEvent.empty;
      this.#lastBit = bit;
      const channel = this.#byBit[bit]!;
      switch (channel.ring.peek()) {
        case Peeked.empty:
          clearBit(this.#ready, bit);
          break;
        case Peeked.barrier:
          this.#hold(channel);
          break;
        case Peeked.frame:
          if (this.#take(channel)) return GateEvent.batch;
          break;
      }
    }
  }

  get ended(): boolean {
    return this.#ended || (this.#live === 0 && this.#endedPorts.length === 0);
  }

  atBarrier(): boolean {
    if (this.ended || this.#timeChanged || this.#endedPorts.length > 0 || this.#batch !== null) return false;
    this.#takeNews();
    for (const channel of this.#channels) {
      if (channel.ended || channel.held) continue;
      if (channel.ring.peek() !== Peeked.barrier) return false;
      this.#hold(channel);
    }
    return this.#held > 0 && this.#held === this.#live;
  }

  release(): void {
    const channel = this.#reading!;
    assert(this.#batch && channel, 'nothing to release');
    this.#batch = null;
    this.#reading = null;
    if (this.#assembly.holder === channel) this.#freeAssembly();
    else this.#releaseFrame(channel);
  }

  close(): void {
    this.#ended = true;
    this.#batch = null;
    this.#reading = null;
    for (const channel of this.#channels) channel.ring.close();
  }

  #join(port: number, edge: number, subtask: number): void {
    const { plan, inboxes, participant, memory, kernels, attempt, atoms, ringers } = this.#context;
    const { layout, untimed = false } = plan.edges.find((e) => e.id === edge)!;
    const reader = new FrameReader(memory, kernels, layout);
    const group = inboxes.inboxes[participant]!.groups.find((g) => g.edge === edge);
    assert(group && group.consumerSubtask === subtask, `edge ${edge} does not end in subtask ${subtask} here`);
    for (const producer of group.producers) {
      const place = channelPlace(plan, inboxes, edge, producer, subtask)!;
      const channel: Channel = {
        ring: new RingConsumer({ peer: memory, place, atoms, attempt }, ringers[place.producer]!),
        port,
        untimed,
        bit: place.bit,
        reader,
        dictionaries: receivedDictionaries(memory, kernels, this.#context.nextDictionaryId, place, layout),
        sequence: 0,
        watermarkMs: watermarkMin,
        idle: false,
        behind: false,
        ended: false,
        held: false,
      };
      this.#channels.push(channel);
      this.#liveOf[port]!++;
      this.#byBit[place.bit] = channel;
      setBit(this.#mine, place.bit);
    }
  }

  #takeNews(): void {
    const { doorbell } = this.#context;
    for (let w = 0; w < this.#mine.length; w++) {
      if (this.#mine[w] !== 0) this.#ready[w]! |= doorbell.takeNews(w, this.#mine[w]!);
    }
  }

  /** The next channel, in turn, that may have something; −1: none. */
  #nextReady(): number {
    const words = this.#ready.length;
    const from = this.#lastBit + 1;
    let word = (from >>> 5) % words;
    let bits = this.#ready[word]! & ~this.#barred[word]! & (-1 << (from & 31));
    for (let i = 0; i <= words; i++) {
      if (bits !== 0) return word * 32 + (31 - Math.clz32(bits & -bits));
      word = word + 1 === words ? 0 : word + 1;
      bits = this.#ready[word]! & ~this.#barred[word]!;
    }
    return -1;
  }

  // ── frames ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes in the frame that `peek` found; true: it made `#batch`. */
  #take(channel: Channel): boolean {
    const { ring } = channel;
    const { u8, f64 } = this.#context.memory;
    const at = ring.frame;
    const kind = u8[at + frameKind]!;
    const sequence = f64[(at + frameSequence) >>> 3]!;
    if (sequence !== channel.sequence) throw corrupt(`frame ${sequence} where ${channel.sequence} was due`);
    switch (kind) {
      case kindRows:
        if (this.#assembly.holder === channel) throw corrupt('rows in the middle of a record in chunks');
        this.#batch = channel.reader.rows(
          at,
          ring.frameBytes,
          (column) => channel.dictionaries[column]?.current ?? null,
        );
        return this.#received(channel);
      case kindChunk:
        return this.#takeChunk(channel);
      case kindDictionary: {
        const dictionary = channel.dictionaries[dictionaryColumn(this.#context.memory, at)] ?? null;
        if (dictionary === null) throw corrupt('a dictionary for a column that has none');
        dictionary.add(at, ring.frameBytes);
        this.#countFrame(channel);
        this.#giveBack(channel);
        return false;
      }
      case kindWatermark:
        this.#countFrame(channel);
        this.#releaseFrame(channel);
        return false;
      case kindEnd:
        this.#countFrame(channel);
        this.#giveBack(channel);
        channel.ended = true;
        this.#live--;
        if (--this.#liveOf[channel.port]! === 0 && this.#liveOf.length > 1) this.#endedPorts.push(channel.port);
        clearBit(this.#ready, channel.bit);
        this.#timeChanged = true;
        return false;
      default:
        throw corrupt(`a frame of kind ${kind}`);
    }
  }

  #takeChunk(channel: Channel): boolean {
    const { ring } = channel;
    if (!this.#assembly.mayTake(channel)) {
      // Another channel's record is being put together: this one waits, in its ring.
      setBit(this.#barred, channel.bit);
      return false;
    }
    const record = this.#assembly.add(channel, ring.frame, ring.frameBytes);
    if (record !== null) {
      this.#batch = channel.reader.rows(record.at, record.bytes, (c) => channel.dictionaries[c]?.current ?? null);
    }
    const whole = record !== null;
    if (whole) this.#received(channel);
    else this.#countFrame(channel);
    if (whole) this.#releaseFrame(channel);
    else this.#giveBack(channel);
    return whole;
  }

  #received(channel: Channel): true {
    this.#reading = channel;
    this.port = channel.port;
    this.rows += this.#batch!.size;
    this.#countFrame(channel);
    return true;
  }

  #countFrame(channel: Channel): void {
    channel.sequence++;
    this.bytes += channel.ring.frameBytes;
    this.frames++;
  }

  /** Gives the frame back to the producer and lets its event time count. */
  #releaseFrame(channel: Channel): void {
    const { u8, f64 } = this.#context.memory;
    const at = channel.ring.frame;
    const watermarkMs = f64[(at + frameWatermark) >>> 3]!;
    const idle = (u8[at + frameFlags]! & flagIdle) !== 0;
    this.#giveBack(channel);
    if (watermarkMs <= channel.watermarkMs && idle === channel.idle) return;
    if (!(watermarkMs >= watermarkMin && watermarkMs <= watermarkMax)) throw corrupt(`a watermark of ${watermarkMs}`);
    // Only who holds event time back, or comes or goes, can change the least of all.
    if (channel.watermarkMs <= this.watermarkMs || idle !== channel.idle || channel.behind) this.#timeChanged = true;
    channel.watermarkMs = Math.max(channel.watermarkMs, watermarkMs);
    if (channel.idle && !idle && channel.watermarkMs < this.watermarkMs) channel.behind = true;
    if (channel.watermarkMs >= this.watermarkMs) channel.behind = false;
    channel.idle = idle;
  }

  #giveBack(channel: Channel): void {
    const { ring } = channel;
    if (this.#context.poison) this.#context.memory.u8.fill(0xde, ring.frame, ring.frame + ring.frameBytes);
    ring.release();
  }

  #freeAssembly(): void {
    this.#assembly.free();
    this.#barred.fill(0);
    for (const channel of this.#channels) if (channel.held) setBit(this.#barred, channel.bit);
  }

  // ── event time, barriers ───────────────────────────────────────────────────────────────────────────────────────────

  /**
   * The least watermark of the channels that count; true when it, or idleness, changed. A channel that has come to the end of
   * event time limits nobody. Where all others are idle, event time stands: they may have windows that are yet to fire, whose
   * rows must not be late.
   */
  #combineTime(): boolean {
    this.#timeChanged = false;
    if (this.#live === 0) return false;
    let least = watermarkMax;
    let greatest = watermarkMin;
    let complete = 0;
    let going = 0;
    let active = 0;
    let counting = 0;
    for (const channel of this.#channels) {
      if (channel.untimed) continue;
      if (channel.watermarkMs === watermarkMax) complete++;
      if (channel.watermarkMs === watermarkMax || channel.ended) continue;
      going++;
      greatest = Math.max(greatest, channel.watermarkMs);
      if (channel.idle) continue;
      active++;
      if (channel.behind) continue;
      counting++;
      least = Math.min(least, channel.watermarkMs);
    }
    const idle = active === 0 && complete === 0;
    const stands = going > 0 && (active > 0 ? counting === 0 : complete > 0);
    const combined = stands ? this.watermarkMs : Math.max(this.watermarkMs, idle ? greatest : least);
    if (combined === this.watermarkMs && idle === this.idle) return false;
    this.watermarkMs = combined;
    this.idle = idle;
    return true;
  }

  /** A newer barrier overtakes an older one that not everybody has sent: the older checkpoint was given up. */
  #hold(channel: Channel): void {
    const id = channel.ring.barrierId;
    if (this.#held > 0 && id !== this.barrierId) {
      if (id < this.barrierId) {
        channel.ring.passBarrier();
        return;
      }
      this.#letGo();
    }
    this.barrierId = id;
    channel.held = true;
    this.#held++;
    setBit(this.#barred, channel.bit);
  }

  #passBarrier(): GateEvent {
    this.#letGo();
    return GateEvent.barrier;
  }

  #letGo(): void {
    for (const channel of this.#channels) {
      if (!channel.held) continue;
      channel.held = false;
      clearBit(this.#barred, channel.bit);
      setBit(this.#ready, channel.bit);
      channel.ring.passBarrier();
    }
    this.#held = 0;
  }
}

function setBit(words: Int32Array, bit: number): void {
  words[bit >>> 5]! |= 1 << (bit & 31);
}

function clearBit(words: Int32Array, bit: number): void {
  words[bit >>> 5]! &= ~(1 << (bit & 31));
}
