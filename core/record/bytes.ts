/**
 * Bytes being written and read: in the slot's memory while they fit the place that was made for them, on the JavaScript
 * heap when they are longer. What row-bytes.ts and key-bytes.ts write to and read from. Knows nothing of what they mean.
 */
import { MillraceError } from '../base/errors.ts';
import type { SlotMemory } from './memory.ts';

/** Bytes to be read: [`at`, `end`) of `u8`. Readers move `at`. */
export interface ByteSource {
  u8: Uint8Array;
  /** Over all of `u8`. */
  view: DataView;
  at: number;
  end: number;
}

/** Bytes being written: [`from`, `at`) of `u8`. One object, used again after `reset`. */
export interface ByteSink {
  u8: Uint8Array;
  /** Over all of `u8`. */
  view: DataView;
  from: number;
  at: number;
  end: number;
  /** They lie in the slot's memory, at address `from`. */
  inMemory: boolean;
  reset(): void;
  /** Makes room for `bytes` more behind `at`. Errors: `record/too-large`. */
  grow(bytes: number): void;
}

/** A source over the slot's memory; `open` it before reading. */
export function byteSource(memory: SlotMemory): ByteSource {
  return { u8: memory.u8, view: new DataView(memory.buffer), at: 0, end: 0 };
}

/** Reads [`at`, `end`) of `bytes` from now on. */
export function openBytes(source: ByteSource, bytes: Uint8Array, at: number, end: number): void {
  if (source.u8 !== bytes) {
    source.u8 = bytes;
    source.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  source.at = at;
  source.end = end;
}

/**
 * A sink that begins at `from` in the slot's memory, with room for `room` bytes; what is longer, up to `most` bytes,
 * goes to the heap. `what` names the value in errors.
 */
export function byteSink(memory: SlotMemory, from: number, room: number, most: number, what: string): ByteSink {
  const home = new DataView(memory.buffer);
  const sink: ByteSink = {
    u8: memory.u8,
    view: home,
    from,
    at: from,
    end: from + room,
    inMemory: true,
    reset() {
      if (!sink.inMemory) {
        sink.u8 = memory.u8;
        sink.view = home;
        sink.from = from;
        sink.end = from + room;
        sink.inMemory = true;
      }
      sink.at = from;
    },
    grow(bytes) {
      const used = sink.at - sink.from;
      if (used + bytes <= sink.end - sink.from) return;
      if (used + bytes > most) {
        throw new MillraceError('record/too-large', `${what} takes ${used + bytes} bytes, at most ${most} are kept`);
      }
      const grown = new Uint8Array(Math.min(most, Math.max(used + bytes, 2 * (sink.end - sink.from))));
      grown.set(sink.u8.subarray(sink.from, sink.at));
      sink.u8 = grown;
      sink.view = new DataView(grown.buffer);
      sink.from = 0;
      sink.at = used;
      sink.end = grown.length;
      sink.inMemory = false;
    },
  };
  return sink;
}
