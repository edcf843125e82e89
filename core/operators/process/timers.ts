/**
 * Named timers of keys: at most one of a name and key. Two queues of rows by time say when to look (event time,
 * processing time); when a timer is due stands with the key: the first one in its entry, others in an ordered table by
 * (hash, key, name). A timer that is moved to later keeps its row and is put again when that comes; so it has one row at
 * most, and what waits is bounded by the timers that are set.
 */
import { durationMs } from '../../base/duration.ts';
import { MillraceError } from '../../base/errors.ts';
import type { OperatorState, OrderedTable } from '../../ports/state.ts';
import { type ByteSink, byteSink } from '../../record/bytes.ts';
import { keyCodec } from '../../record/key-bytes.ts';
import type { Layout } from '../../record/layout.ts';
import type { SlotMemory } from '../../record/memory.ts';
import { decodeUtf8 } from '../../record/text.ts';
import { watermarkMin } from '../operator.ts';
import { alive, type Call, keyBytes } from './call.ts';
import type { EntryLayout } from './slots.ts';
import { keyParts, TimeQueue } from './time-queue.ts';
import type { Undo } from './undo.ts';

/** Bytes of a timer's name at most. */
export const timerNameBytesMax = 1024;
/** Names that are kept encoded. */
const namesMax = 256;
/** Bytes of a name that fits an entry. */
const shortMax = 12;
const slotBytes = 32;

export interface TimerParts {
  readonly memory: SlotMemory;
  readonly state: Pick<OperatorState, 'ordered'>;
  readonly call: Call;
  readonly keys: Layout;
  readonly layout: EntryLayout;
  /** Of an entry's flags: its timer is set; it waits for the clock; there are others in the table. */
  readonly bits: { readonly set: number; readonly processing: number; readonly others: number };
  readonly name: string;
  /** Whether rows have event time. */
  readonly timed: boolean;
  /** What a call changes may be taken back. */
  readonly undo?: Undo | null;
}

interface Name {
  /** As a part of a key: UTF-8, ended by two zeros. */
  readonly bytes: Uint8Array;
  /** A view of a short one; null: it is long. */
  readonly words: readonly number[] | null;
}

/** Where a timer was found. */
const Found = { nowhere: 0, entry: 1, table: 2 } as const;

export class Timers {
  readonly event: TimeQueue;
  readonly processing: TimeQueue;
  /** Timers at or before it are due: event time as the operator knows it. */
  watermarkMs = watermarkMin;
  /** A timer was set that is due already. */
  pastDue = false;
  /** While taken rows fire: one set before this time belongs between them. */
  lastTakenMs = Number.NEGATIVE_INFINITY;
  /** It has happened. */
  outOfOrder = false;
  readonly #parts: TimerParts;
  readonly #at: number;
  readonly #countAt: number;
  readonly #others: OrderedTable;
  readonly #value: ByteSink;
  readonly #names = new Map<string, Name>();
  readonly #durations = new Map<string, number>();
  readonly #encoded: ByteSink;
  /** The name that was decoded last. */
  #lastName = '';
  #lastBytes = new Uint8Array(0);
  // What `#find` found.
  #timeMs = 0;
  #armedMs = 0;
  #isProcessing = false;

  constructor(parts: TimerParts) {
    const { memory, state, keys, layout, name, undo } = parts;
    this.#parts = parts;
    this.#at = layout.take(slotBytes);
    this.#countAt = layout.take(8);
    this.event = new TimeQueue('timers.event', { memory, state, keys, named: true, undo });
    this.processing = new TimeQueue('timers.processing', { memory, state, keys, named: true, undo });
    this.#others = state.ordered({
      name: 'timers.others',
      keyGroupAt: 0,
      key: [...keyParts(keys), { name: 'name', type: { kind: 'VARCHAR' }, nullable: false }],
      value: [
        { name: 'due', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false },
        { name: 'looks', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false },
        { name: 'processing', type: { kind: 'BOOLEAN' }, nullable: false },
      ],
    });
    const take = (bytes: number): number => memory.arena.allocate(bytes, `timers of ${name}`);
    this.#value = byteSink(memory, take(32), 32, 32, 'a timer');
    this.#encoded = byteSink(memory, take(4096), 4096, 4096, "a timer's name");
  }

  // ── what the user's function calls ─────────────────────────────────────────────────────────────────────────────

  setEventTime(name: string, when: unknown): void {
    const { call, timed } = this.#parts;
    alive(call);
    if (!timed) {
      throw new MillraceError(
        'function/misuse',
        `timer '${name}' waits for event time, and the rows have none; say .eventTime(column) before keyBy, or set it by processingTime`,
      );
    }
    this.#set(name, this.#whenMs(name, when, call.timeMs ?? call.eventMs), false);
  }

  setProcessingTime(name: string, when: unknown): void {
    const { call } = this.#parts;
    alive(call);
    this.#set(name, this.#whenMs(name, when, call.nowMs), true);
  }

  cancel(name: string): void {
    const { call } = this.#parts;
    alive(call);
    const of = this.#nameOf(name);
    const found = this.#find(of);
    if (found === Found.nowhere) return;
    this.#queue(this.#isProcessing).delete(this.#armedMs, call, of.bytes);
    this.#forget(of, found);
  }

  // ── what the operator asks ─────────────────────────────────────────────────────────────────────────────────────

  /**
   * The row taken at `i` has come. True: its timer is due and not set any more; `firedName` is its name. Else it was
   * cancelled or moved: in the latter case it waits for its new time.
   */
  fires(queue: TimeQueue, i: number): boolean {
    const of = this.#takenName(queue, i);
    const timeMs = queue.timeMs(i);
    const processing = queue === this.processing;
    const found = this.#find(of);
    if (found === Found.nowhere || this.#armedMs !== timeMs || this.#isProcessing !== processing) return false;
    if (this.#timeMs > timeMs) {
      this.#keep(of, found, this.#timeMs, this.#timeMs, processing);
      this.#put(this.#timeMs, of, processing);
      return false;
    }
    this.#forget(of, found);
    this.firedName = this.#lastName;
    return true;
  }
  firedName = '';

  /** A call begins: the timers that it sets may be taken back. */
  mark(): void {
    this.event.mark();
    this.processing.mark();
    this.#pastDueBefore = this.pastDue;
    this.#outOfOrderBefore = this.outOfOrder;
  }
  #pastDueBefore = false;
  #outOfOrderBefore = false;

  /** The call that began last set and cancelled none; what lies with the key and in tables is put back by others. */
  rewind(): void {
    this.event.rewind();
    this.processing.rewind();
    this.pastDue = this.#pastDueBefore;
    this.outOfOrder = this.#outOfOrderBefore;
  }

  // ── helpers ────────────────────────────────────────────────────────────────────────────────────────────────────

  #set(name: string, timeMs: number, processing: boolean): void {
    const { call } = this.#parts;
    const of = this.#nameOf(name);
    const found = this.#find(of);
    let armedMs = timeMs;
    if (found === Found.nowhere) this.#put(timeMs, of, processing);
    else if (this.#isProcessing === processing && this.#armedMs <= timeMs) armedMs = this.#armedMs;
    else {
      this.#queue(this.#isProcessing).delete(this.#armedMs, call, of.bytes);
      this.#put(timeMs, of, processing);
    }
    this.#keep(of, found, timeMs, armedMs, processing);
    if (!processing && armedMs <= this.watermarkMs) this.pastDue = true;
  }

  #put(timeMs: number, of: Name, processing: boolean): void {
    this.#queue(processing).put(timeMs, this.#parts.call, of.bytes);
    if (timeMs < this.lastTakenMs) this.outOfOrder = true;
  }

  #queue(processing: boolean): TimeQueue {
    return processing ? this.processing : this.event;
  }

  #find(of: Name): number {
    const { memory, call, bits } = this.#parts;
    const { u32, f64 } = memory;
    const { entry } = call;
    const flags = u32[entry >>> 2] as number;
    const at = entry + this.#at;
    if ((flags & bits.set) !== 0 && of.words !== null && sameWords(u32, at >>> 2, of.words)) {
      this.#timeMs = f64[(at + 16) >>> 3] as number;
      this.#armedMs = f64[(at + 24) >>> 3] as number;
      this.#isProcessing = (flags & bits.processing) !== 0;
      return Found.entry;
    }
    if ((flags & bits.others) === 0) return Found.nowhere;
    const key = this.#key(of);
    const value = this.#others.get(key.from, key.at - key.from);
    if (value === null) return Found.nowhere;
    this.#timeMs = readNumber(value.view, value.at);
    this.#armedMs = readNumber(value.view, value.at + 8);
    this.#isProcessing = value.u8[value.at + 16] !== 0;
    return Found.table;
  }

  /** Notes when a timer is due and where its row is. */
  #keep(of: Name, found: number, timeMs: number, armedMs: number, processing: boolean): void {
    const { memory, call, bits } = this.#parts;
    const { u32, f64 } = memory;
    const flagsAt = call.entry >>> 2;
    const flags = u32[flagsAt] as number;
    const free = found === Found.nowhere && of.words !== null && (flags & bits.set) === 0;
    if (found === Found.entry || free) {
      const at = call.entry + this.#at;
      if (free) for (let i = 0; i < 4; i++) u32[(at >>> 2) + i] = (of.words as readonly number[])[i] as number;
      f64[(at + 16) >>> 3] = timeMs;
      f64[(at + 24) >>> 3] = armedMs;
      u32[flagsAt] = processing ? flags | bits.set | bits.processing : (flags | bits.set) & ~bits.processing;
      return;
    }
    const { view, from, u8 } = this.#value;
    writeNumber(view, from, timeMs);
    writeNumber(view, from + 8, armedMs);
    u8[from + 16] = processing ? 1 : 0;
    const key = this.#key(of);
    this.#others.put(key.from, key.at - key.from, from, 17);
    if (found === Found.table) return;
    const countAt = (call.entry + this.#countAt) >>> 2;
    u32[countAt] = (u32[countAt] as number) + 1;
    u32[flagsAt] = flags | bits.others;
  }

  #forget(of: Name, found: number): void {
    const { memory, call, bits } = this.#parts;
    const { u32 } = memory;
    const flagsAt = call.entry >>> 2;
    if (found === Found.entry) {
      u32[flagsAt] = (u32[flagsAt] as number) & ~(bits.set | bits.processing);
      return;
    }
    const key = this.#key(of);
    this.#others.delete(key.from, key.at - key.from);
    const countAt = (call.entry + this.#countAt) >>> 2;
    const count = (u32[countAt] as number) - 1;
    u32[countAt] = count;
    if (count === 0) u32[flagsAt] = (u32[flagsAt] as number) & ~bits.others;
  }

  #key(of: Name): ByteSink {
    const { call, memory } = this.#parts;
    const key = keyBytes(call, memory);
    key.grow(of.bytes.length);
    key.u8.set(of.bytes, key.at);
    key.at += of.bytes.length;
    return key;
  }

  #nameOf(name: unknown): Name {
    const known = this.#names.get(name as string);
    if (known !== undefined) return known;
    if (typeof name !== 'string' || name === '')
      throw new MillraceError('function/misuse', `a timer's name is a text that is not empty, not ${String(name)}`);
    const to = this.#encoded;
    to.reset();
    if (name.length <= timerNameBytesMax) nameCodec.write(name, to);
    if (name.length > timerNameBytesMax || to.at - to.from > timerNameBytesMax)
      throw new MillraceError(
        'function/misuse',
        `a timer's name takes ${timerNameBytesMax} bytes at most: '${name.slice(0, 40)}…'`,
      );
    const bytes = to.u8.slice(to.from, to.at);
    const length = bytes.length - 2;
    const words = length <= shortMax ? wordsOf(bytes, length) : null;
    const made = { bytes, words };
    // Names may be made of data: only so many are kept.
    if (this.#names.size >= namesMax) this.#names.clear();
    this.#names.set(name, made);
    return made;
  }

  /** The name of a taken row; most rows have the name of the one before. */
  #takenName(queue: TimeQueue, i: number): Name {
    const { u8 } = this.#parts.memory;
    const from = queue.nameFrom(i);
    const to = queue.nameTo(i);
    const last = this.#lastBytes;
    let same = last.length === to - from;
    for (let k = 0; same && k < last.length; k++) same = last[k] === u8[from + k];
    if (!same) {
      this.#lastBytes = u8.slice(from, to);
      this.#lastName = nameText(this.#lastBytes);
    }
    return this.#nameOf(this.#lastName);
  }

  #whenMs(name: string, when: unknown, fromMs: number): number {
    if (typeof when === 'string') {
      let ms = this.#durations.get(when);
      if (ms === undefined) {
        ms = durationMs(when);
        if (this.#durations.size >= namesMax) this.#durations.clear();
        this.#durations.set(when, ms);
      }
      return fromMs + ms;
    }
    const ms = when instanceof Date ? when.getTime() : Number.NaN;
    if (!Number.isNaN(ms)) return ms;
    throw new MillraceError(
      'function/misuse',
      `timer '${name}' is set for a Date or after a duration such as '1 minute', not ${String(when)}`,
    );
  }
}

const nameCodec = keyCodec({ name: "a timer's name", type: { kind: 'VARCHAR' }, nullable: false });

function nameText(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = bytes.length - 2;
  if (!bytes.subarray(0, length).includes(0)) return decodeUtf8(bytes, 0, length);
  return nameCodec.read({ u8: bytes, view, at: 0, end: bytes.length }) as string;
}

/** A view of up to 12 bytes, as u32. */
function wordsOf(bytes: Uint8Array, length: number): readonly number[] {
  const view = new Uint8Array(16);
  view.set(bytes.subarray(0, length), 4);
  const words = new Uint32Array(view.buffer);
  words[0] = length;
  return [...words];
}

function sameWords(u32: Uint32Array, at: number, words: readonly number[]): boolean {
  return u32[at] === words[0] && u32[at + 1] === words[1] && u32[at + 2] === words[2] && u32[at + 3] === words[3];
}

function readNumber(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * 4294967296 + view.getUint32(at, true);
}

function writeNumber(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / 4294967296);
  view.setInt32(at + 4, high, true);
  view.setUint32(at, value - high * 4294967296, true);
}
