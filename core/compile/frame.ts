/**
 * The parameter block of a projection: what one call is told and answers, the columns, and a frame of fixed places for
 * literals, intermediate views and host arguments. Places are found by key, so that every variant finds the same ones.
 *
 *   0 u32 start      4 u32 end       first and last turn (row, or place in the selection)
 *   8 u32 selection  12 u32 out      selection read, selection written
 *  16 u32 count                      rows written to `out`, going on from call to call
 *  20 u32 room      24 u32 roomEnd   where bytes of new strings go
 *  28 u32 reason                     why it stopped (StopReason)
 *  64 columns (columns.ts), then the frame
 */
import { assert } from '../base/assert.ts';
import type { SlotMemory } from '../record/memory.ts';
import { encodeUtf8, utf8Bytes, writeView } from '../record/text.ts';

export const Block = {
  start: 0,
  end: 4,
  selection: 8,
  out: 12,
  count: 16,
  room: 20,
  roomEnd: 24,
  reason: 28,
  columns: 64,
} as const;

export const StopReason = {
  /** Every row was done. */ done: 0,
  /** No room for a string's bytes: the row was not done. */ roomFull: 1,
  /** The row raises an error. */ badRow: 2,
  /** Some row, asked for or not, may raise an error: nothing is done, go row by row. */ unsure: 3,
} as const;
export type StopReason = (typeof StopReason)[keyof typeof StopReason];

/** Places behind the columns, relative to the block. */
export interface Frame {
  /** A place of that many bytes, 16-byte aligned; the same key gives the same place. */
  place(key: string, bytes: number): number;
  /** The place of a literal's view. */
  text(value: string): number;
  /** The place of a constant block. */
  constant(key: string, content: Uint8Array): number;
  /** What was asked for, in order. Frames that begin alike and were asked alike give the same places. */
  readonly asked: readonly Asked[];
  /** Asks for the same once more. */
  again(asked: Asked): void;
  /** Where its places begin and what was asked for, as text. */
  readonly state: string;
}

/** A request for a place: with what is to stand there, if anything. */
export type Asked =
  | { readonly key: string; readonly bytes: number }
  | { readonly text: string }
  | { readonly key: string; readonly content: Uint8Array };

/** A frame in the block at `block`, from `from` to `to` relative to it; written when asked for. */
export function frameIn(memory: SlotMemory, block: number, from: number, to: number): Frame {
  const places = new Map<string, number>();
  const asked: Asked[] = [];
  let next = Math.ceil(from / 16) * 16;
  let state = `${next}`;
  /** `write` is called with a place that is new. */
  const find = (key: string, bytes: number, of: Asked, write?: (at: number) => void): number => {
    const known = places.get(key);
    if (known !== undefined) return known;
    const at = next;
    next = Math.ceil((at + bytes) / 16) * 16;
    assert(next <= to, `a frame of ${to - from} bytes is too small`);
    places.set(key, at);
    asked.push(of);
    state += ` ${key}:${bytes}`;
    write?.(block + at);
    return at;
  };
  const frame: Frame = {
    asked,
    get state() {
      return state;
    },
    place: (key, bytes) => find(key, bytes, { key, bytes }),
    text(value) {
      const bytes = utf8Bytes(value);
      return find(`text ${value}`, 16 + bytes, { text: value }, (at) =>
        writeView(memory, at, at + 16, encodeUtf8(value, memory.u8, at + 16, bytes)),
      );
    },
    constant: (key, content) => find(key, content.length, { key, content }, (at) => memory.u8.set(content, at)),
    again(of) {
      if ('text' in of) frame.text(of.text);
      else if ('content' in of) frame.constant(of.key, of.content);
      else frame.place(of.key, of.bytes);
    },
  };
  return frame;
}
