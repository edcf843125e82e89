/**
 * Channel dictionaries. A router keeps one dictionary per string column of its edge: it translates the codes of whatever
 * dictionaries its batches bring into its own, which only grows; each channel is sent the additions it has not seen, ahead
 * of the frame that needs them. So a channel has one dictionary per column, in a bounded area of its own, whose entries
 * never move: frames in flight need no care. Beyond the area, 64 K entries or 1 MB the column goes plain, for good.
 *
 *   area of one column: views, 16 bytes an entry │ hashes, 8 bytes an entry │ heap
 */
import { dictionaryBytesMax, dictionaryEntriesMax, frameHeaderBytes } from '../../core/base/limits.ts';
import type { Kernels } from '../../core/ports/kernels.ts';
import type { Batch, Column, Dictionary } from '../../core/record/batch.ts';
import { corrupt, frameBytes } from '../../core/record/frame.ts';
import {
  dictionaryBlockBytes,
  dictionaryCount,
  dictionaryEntries,
  dictionaryHeap,
  dictionaryHeapMax,
  dictionaryHeapUsed,
  dictionaryIndex,
  dictionaryIndexMask,
  dictionaryViews,
  frameFirst,
  frameHeapBytes,
  frameRows,
  frameSecond,
} from '../../core/record/frame-layout.ts';
import type { Layout } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import type { ChannelPlace } from './inbox.ts';

/** Bytes an entry is expected to take in all; an area of n bytes holds n / 48 entries. */
const entryBytesExpected = 48;
const entryFixedBytes = 24;

/** What an area of `bytes` for one column holds. */
export interface DictionaryRoom {
  readonly entries: number;
  readonly heapBytes: number;
}

/** The room each view column has in a channel's dictionary area. */
export function dictionaryRoom(place: ChannelPlace, layout: Layout): DictionaryRoom {
  const bytes = columnAreaBytes(place, layout);
  const entries = Math.min(dictionaryEntriesMax, Math.floor(bytes / entryBytesExpected));
  return { entries, heapBytes: Math.min(dictionaryBytesMax, bytes - entries * entryFixedBytes) };
}

function columnAreaBytes(place: ChannelPlace, layout: Layout): number {
  const views = layout.filter((column) => column.storage === 'view').length;
  return views === 0 ? 0 : Math.floor(place.dictionaryBytes / views / frameHeaderBytes) * frameHeaderBytes;
}

/** The consumer's side: what a channel was sent of one column's dictionary. */
export class ReceivedDictionary {
  /** As batches carry it; a new object with a new id whenever it has grown. */
  current: Dictionary;
  readonly #memory: SlotMemory;
  readonly #kernels: Kernels;
  readonly #nextId: () => number;
  readonly #room: DictionaryRoom;
  readonly #heap: number;
  #heapUsed = 0;

  constructor(memory: SlotMemory, kernels: Kernels, nextId: () => number, area: number, room: DictionaryRoom) {
    this.#memory = memory;
    this.#kernels = kernels;
    this.#nextId = nextId;
    this.#room = room;
    const hashes = area + room.entries * 16;
    this.#heap = hashes + room.entries * 8;
    // Code 0 stands in null rows, whatever the dictionary holds.
    memory.u8.fill(0, area, area + 16);
    memory.u8.fill(0, hashes, hashes + 8);
    this.current = { id: nextId(), views: area, count: 0, hashes };
  }

  /** Takes in the dictionary frame of `bytes` bytes at `at`. Errors: `record/corrupt-frame`. */
  add(at: number, bytes: number): void {
    const { u32 } = this.#memory;
    const entries = u32[(at + frameRows) >>> 2]!;
    const heapBytes = u32[(at + frameHeapBytes) >>> 2]!;
    const first = u32[(at + frameSecond) >>> 2]!;
    const { views, count, hashes } = this.current;
    if (first !== count || count + entries > this.#room.entries || this.#heapUsed + heapBytes > this.#room.heapBytes) {
      throw corrupt(`${entries} dictionary entries from ${first} on, behind ${count}`);
    }
    if (frameBytes(frameHeaderBytes + entries * 16 + heapBytes) !== bytes) {
      throw corrupt(`${bytes} bytes for ${entries} dictionary entries and ${heapBytes} bytes of strings`);
    }
    const from = at + frameHeaderBytes;
    const to = views + count * 16;
    this.#kernels.copyBytes(to, from, entries * 16);
    this.#kernels.copyBytes(this.#heap + this.#heapUsed, from + entries * 16, heapBytes);
    const heapUsed = this.#heapUsed + heapBytes;
    const stop = this.#kernels.rebaseViews(to, entries, this.#heap, heapUsed);
    if (stop !== entries) throw corrupt(`dictionary entry ${first + stop}: a string outside its dictionary`);
    this.#kernels.hashDictionary(to, entries, hashes + count * 8);
    this.#heapUsed = heapUsed;
    this.current = { id: this.#nextId(), views, count: count + entries, hashes };
  }
}

/** The dictionaries of a channel, by column; null where the column is no string or has no room. */
export function receivedDictionaries(
  memory: SlotMemory,
  kernels: Kernels,
  nextId: () => number,
  place: ChannelPlace,
  layout: Layout,
): (ReceivedDictionary | null)[] {
  const bytes = columnAreaBytes(place, layout);
  const room = dictionaryRoom(place, layout);
  let area = place.dictionaries;
  return layout.map((column) => {
    if (column.storage !== 'view' || room.entries === 0) return null;
    const received = new ReceivedDictionary(memory, kernels, nextId, area, room);
    area += bytes;
    return received;
  });
}

/** The column a dictionary frame is for. */
export function dictionaryColumn(memory: SlotMemory, at: number): number {
  return memory.u32[(at + frameFirst) >>> 2]!;
}

/** The producer's side: one per string column of an edge. Takes its memory from the arena when the first codes come. */
export class SentDictionary {
  readonly #memory: SlotMemory;
  readonly #kernels: Kernels;
  readonly #room: DictionaryRoom;
  #block = 0;
  #plain: boolean;
  #source: Dictionary | null = null;
  #remap = 0;
  #remapEntries = 0;
  /** Translated codes, by row. */
  #codes = 0;

  constructor(memory: SlotMemory, kernels: Kernels, room: DictionaryRoom) {
    this.#memory = memory;
    this.#kernels = kernels;
    this.#room = room;
    this.#plain = room.entries === 0;
  }

  /**
   * The address of the batch's codes in the channel's terms, at 4 × row, or 0: the column is to cross plain. Once it
   * answered 0 for a coded column it always will.
   */
  translate(batch: Batch, column: Column, rowsMax: number): number {
    const { dictionary } = column;
    if (dictionary === null || this.#plain) return 0;
    if (dictionary.count > dictionaryEntriesMax || !this.#open(rowsMax) || !this.#know(dictionary))
      return this.goPlain();
    const done = this.#kernels.translateCodes(
      column.values,
      column.validity,
      batch.selection,
      batch.size,
      dictionary.views,
      dictionary.count,
      this.#remap,
      this.#block,
      this.#codes,
    );
    return done === batch.size ? this.#codes : this.goPlain();
  }

  goPlain(): 0 {
    this.#plain = true;
    return 0;
  }

  get count(): number {
    return this.#block === 0 ? 0 : this.#memory.u32[(this.#block + dictionaryCount) >>> 2]!;
  }
  /** Address of the views, 16 bytes an entry; long ones hold offsets into the heap. */
  get views(): number {
    return this.#memory.u32[(this.#block + dictionaryViews) >>> 2]!;
  }
  get heap(): number {
    return this.#memory.u32[(this.#block + dictionaryHeap) >>> 2]!;
  }

  /** Heap bytes of entry `code`. */
  heapBytesOf(code: number): number {
    const length = this.#memory.u32[(this.views + code * 16) >>> 2]!;
    return length > 12 ? length : 0;
  }

  #open(rowsMax: number): boolean {
    if (this.#block !== 0) return true;
    const { entries, heapBytes } = this.#room;
    const slots = 2 ** Math.ceil(Math.log2(entries * 2));
    const bytes = dictionaryBlockBytes + entries * 16 + heapBytes + slots * 4 + rowsMax * 4;
    const { arena, u32 } = this.#memory;
    // A dictionary is a saving, not a need: it takes at most a quarter of what is left.
    if (bytes > arena.freeBytes / 4) return false;
    const block = arena.allocate(bytes, 'a channel dictionary');
    const word = block >>> 2;
    const views = block + dictionaryBlockBytes;
    const codes = views + entries * 16;
    const index = codes + rowsMax * 4;
    const heap = index + slots * 4;
    u32.fill(0, index >>> 2, (index >>> 2) + slots);
    u32[word + (dictionaryCount >>> 2)] = 0;
    u32[word + (dictionaryEntries >>> 2)] = entries;
    u32[word + (dictionaryViews >>> 2)] = views;
    u32[word + (dictionaryHeap >>> 2)] = heap;
    u32[word + (dictionaryHeapUsed >>> 2)] = 0;
    u32[word + (dictionaryHeapMax >>> 2)] = heapBytes;
    u32[word + (dictionaryIndex >>> 2)] = index;
    u32[word + (dictionaryIndexMask >>> 2)] = slots - 1;
    this.#block = block;
    this.#codes = codes;
    return true;
  }

  /** Makes `dictionary` the one whose codes `#remap` translates. */
  #know(dictionary: Dictionary): boolean {
    if (this.#source !== null && this.#source.id === dictionary.id) return true;
    const { arena, u32 } = this.#memory;
    if (dictionary.count > this.#remapEntries) {
      const entries = 2 ** Math.ceil(Math.log2(Math.max(256, dictionary.count)));
      if (entries * 4 > arena.freeBytes / 4) return false;
      this.#remap = arena.allocate(entries * 4, 'codes of a dictionary');
      this.#remapEntries = entries;
    }
    u32.fill(0xffffffff, this.#remap >>> 2, (this.#remap >>> 2) + dictionary.count);
    this.#source = dictionary;
    return true;
  }
}
