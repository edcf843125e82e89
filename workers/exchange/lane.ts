/**
 * A router's end of one channel: writes frames into the ring, in one copy, cut into chunks when they are larger than the
 * ring takes. Every send answers false when there is no room; the same send is then to be tried again. Knows headers and
 * byte ranges, nothing of columns.
 */
import { frameHeaderBytes } from '../../core/base/limits.ts';
import { watermarkMin } from '../../core/operators/operator.ts';
import { type CopyBytes, copyInto } from '../../core/record/copy.ts';
import { frameBytes, writeFrameHead } from '../../core/record/frame.ts';
import {
  flagIdle,
  frameFirst,
  frameHeapBytes,
  frameSecond,
  frameSequence,
  frameWatermark,
  kindChunk,
  kindDictionary,
  type kindEnd,
  kindRows,
  type kindWatermark,
} from '../../core/record/frame-layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import type { Peer } from './context.ts';
import type { SentDictionary } from './dictionary.ts';
import type { RingProducer } from './ring.ts';

/** A frame as byte ranges of the producer's memory: range i goes from `from[i]`, `bytes[i]` long, to offset `to[i]`. */
export interface FrameParts {
  readonly from: number[];
  readonly to: number[];
  readonly bytes: number[];
  count: number;
  /** Bytes of the whole frame, a multiple of 64. */
  length: number;
  flags: number;
}

/** Event time as the router has it. */
export interface RouterTime {
  watermarkMs: number;
  idle: boolean;
}

export class Lane {
  readonly ring: RingProducer;
  bytes = 0;
  frames = 0;
  readonly #peer: Peer;
  readonly #copy: CopyBytes;
  readonly #memory: SlotMemory;
  readonly #attempt: number;
  readonly #time: RouterTime;
  #sequence = 0;
  #sentWatermarkMs = watermarkMin;
  #sentIdle = false;
  /** Bytes of the record at hand that have crossed in chunks. */
  #chunked = 0;
  /** Entries, and bytes of their heap, that have crossed; by column. */
  readonly #entriesSent: number[] = [];
  readonly #heapSent: number[] = [];

  constructor(ring: RingProducer, peer: Peer, memory: SlotMemory, attempt: number, time: RouterTime) {
    this.ring = ring;
    this.#peer = peer;
    this.#copy = copyInto(peer.u8);
    this.#memory = memory;
    this.#attempt = attempt;
    this.#time = time;
  }

  /** Event time that no frame has carried yet. */
  get owesTime(): boolean {
    return this.#time.watermarkMs > this.#sentWatermarkMs || this.#time.idle !== this.#sentIdle;
  }

  /** In the middle of a record that crosses in chunks. */
  get chunking(): boolean {
    return this.#chunked > 0;
  }

  sendControl(kind: typeof kindWatermark | typeof kindEnd): boolean {
    const at = this.ring.reserve(frameHeaderBytes);
    if (at === 0) {
      if (!this.ring.closed) return false;
      this.#timeCrossed();
      return true;
    }
    writeFrameHead(this.#peer, at, frameHeaderBytes, kind, this.#flags(0), 0, this.#attempt, 0, this.#time.watermarkMs);
    this.#commit(at, frameHeaderBytes, true);
    return true;
  }

  /** A rows frame whose header and parts lie in the producer's memory. */
  sendRows(parts: FrameParts): boolean {
    if (parts.length > this.ring.frameBytesMax) return this.#sendChunks(parts);
    const at = this.ring.reserve(parts.length);
    if (at === 0) return this.ring.closed;
    copyParts(this.#memory.u8, parts, 0, parts.length, this.#copy, at);
    this.#peer.u32[(at + 4) >>> 2] =
      kindRows | (this.#flags(parts.flags) << 8) | (this.#peer.u32[(at + 4) >>> 2]! & ~0xffff);
    this.#commit(at, parts.length, true);
    return true;
  }

  /** The additions to `column`'s dictionary that this channel has not seen. */
  sendDictionary(column: number, dictionary: SentDictionary): boolean {
    const room = this.ring.frameBytesMax - frameHeaderBytes;
    const { u8 } = this.#memory;
    for (let first = this.#entriesSent[column] ?? 0; first < dictionary.count; first = this.#entriesSent[column]!) {
      const heapFrom = this.#heapSent[column] ?? 0;
      let entries = 0;
      let heapBytes = 0;
      while (first + entries < dictionary.count) {
        const more = dictionary.heapBytesOf(first + entries);
        if ((entries + 1) * 16 + heapBytes + more > room) break;
        heapBytes += more;
        entries++;
      }
      const length = frameBytes(frameHeaderBytes + entries * 16 + heapBytes);
      const at = this.ring.reserve(length);
      if (at === 0) return this.ring.closed;
      const peer = this.#peer;
      writeFrameHead(peer, at, length, kindDictionary, 0, 0, this.#attempt, entries, this.#sentWatermarkMs);
      peer.u32[(at + frameHeapBytes) >>> 2] = heapBytes;
      peer.u32[(at + frameFirst) >>> 2] = column;
      peer.u32[(at + frameSecond) >>> 2] = first;
      const views = dictionary.views + first * 16;
      const to = at + frameHeaderBytes;
      this.#copy(u8.subarray(views, views + entries * 16), to);
      const heap = dictionary.heap + heapFrom;
      this.#copy(u8.subarray(heap, heap + heapBytes), to + entries * 16);
      this.#entriesSent[column] = first + entries;
      this.#heapSent[column] = heapFrom + heapBytes;
      this.#commit(at, length, false);
    }
    return true;
  }

  #sendChunks(parts: FrameParts): boolean {
    const room = this.ring.frameBytesMax - frameHeaderBytes;
    while (this.#chunked < parts.length) {
      const bytes = Math.min(room, parts.length - this.#chunked);
      const length = frameBytes(frameHeaderBytes + bytes);
      const at = this.ring.reserve(length);
      if (at === 0) {
        if (!this.ring.closed) return false;
        break;
      }
      const last = this.#chunked + bytes === parts.length;
      const { u32 } = this.#peer;
      writeFrameHead(this.#peer, at, length, kindChunk, this.#flags(0), 0, this.#attempt, 0, this.#time.watermarkMs);
      u32[(at + frameHeapBytes) >>> 2] = bytes;
      u32[(at + frameFirst) >>> 2] = parts.length;
      u32[(at + frameSecond) >>> 2] = this.#chunked;
      copyParts(this.#memory.u8, parts, this.#chunked, bytes, this.#copy, at + frameHeaderBytes);
      this.#chunked += bytes;
      this.#commit(at, length, last);
    }
    this.#chunked = 0;
    return true;
  }

  #flags(flags: number): number {
    return this.#time.idle ? flags | flagIdle : flags;
  }

  #commit(at: number, length: number, carriesTime: boolean): void {
    this.#peer.f64[(at + frameSequence) >>> 3] = this.#sequence++;
    if (carriesTime) {
      this.#peer.f64[(at + frameWatermark) >>> 3] = this.#time.watermarkMs;
      this.#timeCrossed();
    }
    this.bytes += length;
    this.frames++;
    this.ring.commit();
  }

  #timeCrossed(): void {
    this.#sentWatermarkMs = this.#time.watermarkMs;
    this.#sentIdle = this.#time.idle;
  }
}

/** Bytes [offset, offset + bytes) of the frame, wherever its parts lie, to `at`. */
function copyParts(
  from: Uint8Array,
  parts: FrameParts,
  offset: number,
  bytes: number,
  copy: CopyBytes,
  at: number,
): void {
  const end = offset + bytes;
  for (let i = 0; i < parts.count; i++) {
    const start = Math.max(offset, parts.to[i]!);
    const stop = Math.min(end, parts.to[i]! + parts.bytes[i]!);
    if (start >= stop) continue;
    const source = parts.from[i]! + (start - parts.to[i]!);
    copy(from.subarray(source, source + (stop - start)), at + (start - offset));
  }
}
