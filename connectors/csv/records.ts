/**
 * Where records and fields begin and end, after RFC 4180: fields between delimiters, records between line ends (LF or
 * CRLF); a field that begins with a quote goes to the next single one, and may hold delimiters, line ends and doubled
 * quotes. A quote within an unquoted field is a character like others. What follows a closing quote must be a delimiter or
 * a line end; else the record is no good, and ends with its line. Knows bytes, not values and not files.
 */
import { newlineByte, quoteByte, returnByte } from './dialect.ts';

export const FieldKind = { plain: 0, quoted: 1, /** Holds doubled quotes. */ escaped: 2 } as const;

/** The fields of one record, without their quotes. */
export interface RecordFields {
  /** Number of fields; those beyond the room are counted only. */
  count: number;
  readonly from: Uint32Array;
  readonly to: Uint32Array;
  readonly kind: Uint8Array;
  /** Where something follows a closing quote; -1: nowhere. */
  badAt: number;
}

export function recordFields(room: number): RecordFields {
  return {
    count: 0,
    from: new Uint32Array(room),
    to: new Uint32Array(room),
    kind: new Uint8Array(room),
    badAt: -1,
  };
}

/** Reads the record at `at`; answers where the next one begins, or -1 when it is not whole before `end`. */
export function scanRecord(u8: Uint8Array, at: number, end: number, delimiter: number, record: RecordFields): number {
  const { from, to, kind } = record;
  const room = from.length;
  let count = 0;
  record.badAt = -1;
  let i = at;
  for (;;) {
    let fieldKind: number = FieldKind.plain;
    let fieldFrom = i;
    let fieldTo: number;
    if (i < end && u8[i] === quoteByte) {
      fieldKind = FieldKind.quoted;
      fieldFrom = ++i;
      for (;;) {
        while (i < end && u8[i] !== quoteByte) i++;
        // Whether this quote is the last one, the byte behind it tells.
        if (i + 1 >= end) return -1;
        if (u8[i + 1] !== quoteByte) break;
        fieldKind = FieldKind.escaped;
        i += 2;
      }
      fieldTo = i++;
      if (u8[i] === returnByte && i + 1 >= end) return -1;
      if (u8[i] === returnByte && u8[i + 1] === newlineByte) i++;
      if (u8[i] !== delimiter && u8[i] !== newlineByte) {
        record.badAt = i;
        while (i < end && u8[i] !== newlineByte) i++;
        if (i >= end) return -1;
      }
    } else {
      while (i < end && u8[i] !== delimiter && u8[i] !== newlineByte) i++;
      if (i >= end) return -1;
      fieldTo = i;
      if (u8[i] === newlineByte && fieldTo > fieldFrom && u8[fieldTo - 1] === returnByte) fieldTo--;
    }
    if (count < room) {
      from[count] = fieldFrom;
      to[count] = fieldTo;
      kind[count] = fieldKind;
    }
    count++;
    if (u8[i++] === newlineByte) break;
  }
  record.count = count;
  return i;
}

/** Takes doubled quotes apart, in place; answers the new end. */
export function undouble(u8: Uint8Array, from: number, to: number): number {
  let out = from;
  for (let i = from; i < to; i++) {
    u8[out++] = u8[i]!;
    if (u8[i] === quoteByte) i++;
  }
  return out;
}

const State = { fieldStart: 0, plain: 1, quoted: 2, quote: 3, bad: 4 } as const;

/**
 * Follows records through a file that is given in chunks, first to last: which line ends end records. What `scanRecord`
 * finds, by bytes instead of records.
 */
export class RecordTracker {
  readonly #delimiter: number;
  #state: number = State.fieldStart;

  constructor(delimiter: number) {
    this.#delimiter = delimiter;
  }

  /** Takes a chunk; answers where in it the first record begins at or after `wanted`, or -1. */
  take(chunk: Uint8Array, wanted: number): number {
    const quoted = this.#state === State.quoted || this.#state === State.quote;
    if (!quoted && chunk.indexOf(quoteByte) < 0) return this.#takePlain(chunk, wanted);
    let found = -1;
    let state = this.#state;
    const delimiter = this.#delimiter;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      if (state === State.quoted) {
        if (byte === quoteByte) state = State.quote;
        continue;
      }
      if (byte === newlineByte) {
        state = State.fieldStart;
        if (found < 0 && i + 1 >= wanted) found = i + 1;
      } else if (state === State.plain) {
        if (byte === delimiter) state = State.fieldStart;
      } else if (state === State.fieldStart) {
        if (byte === quoteByte) state = State.quoted;
        else if (byte !== delimiter) state = State.plain;
      } else if (state === State.quote) {
        if (byte === quoteByte) state = State.quoted;
        else if (byte === delimiter) state = State.fieldStart;
        // A CR as well: until the line ends, nothing counts.
        else state = State.bad;
      }
    }
    this.#state = state;
    return found;
  }

  /** Without quotes, and outside of them. */
  #takePlain(chunk: Uint8Array, wanted: number): number {
    const lineAt = chunk.lastIndexOf(newlineByte);
    if (lineAt >= 0 || this.#state !== State.bad) {
      const last = chunk[chunk.length - 1];
      if (chunk.length > 0)
        this.#state = last === newlineByte || last === this.#delimiter ? State.fieldStart : State.plain;
    }
    const found = chunk.indexOf(newlineByte, Math.max(0, wanted - 1));
    return found < 0 ? -1 : found + 1;
  }
}
