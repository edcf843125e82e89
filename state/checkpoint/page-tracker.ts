/**
 * What of each page of a slot stands in which checkpoint file: for every page id, when it was last touched, when it was
 * last written, where its last whole record lies, and how much of it has been written as changes since. A page counts as
 * written only once the checkpoint that wrote it has been committed (`CheckpointWriter.begin` tells). Knows ids and
 * numbers, nothing of what pages hold.
 *
 * Times are checkpoint ids: what is touched after checkpoint n carries the stamp n + 1 (the least id the next one can
 * have).
 */

import type { FileRef } from '../../core/ports/checkpoint.ts';
import { pageDirty, pageFlags, pageFrozen } from '../../core/ports/page-layout.ts';

/** A file that pages may lie in. */
export interface TrackedFile {
  readonly ref: FileRef;
  readonly checkpoint: number;
  /** Bytes of pages, and of changes, that were written to it: what could count of it at most. */
  readonly pageBytes: number;
  /** Its pages are written again with the next checkpoint, so that it can go. */
  retired: boolean;
}

/** Pages that a checkpoint wrote: what becomes of them when it is committed. Columns, for there are many. */
export class WrittenPages {
  count = 0;
  ids = new Uint32Array(64);
  generations = new Uint32Array(64);
  /** Plus 1; 0: only changes were written. */
  positions = new Uint32Array(64);
  bytes = new Uint32Array(64);

  add(id: number, generation: number, position: number | null, bytes: number): void {
    if (this.count === this.ids.length) {
      this.ids = doubled(this.ids);
      this.generations = doubled(this.generations);
      this.positions = doubled(this.positions);
      this.bytes = doubled(this.bytes);
    }
    this.ids[this.count] = id;
    this.generations[this.count] = generation;
    this.positions[this.count] = position === null ? 0 : position + 1;
    this.bytes[this.count++] = bytes;
    this.totalBytes += bytes;
  }
  totalBytes = 0;
}

function doubled(column: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const longer = new Uint32Array(2 * column.length);
  longer.set(column);
  return longer;
}

export class PageTracker {
  readonly touchedAt: Uint32Array;
  readonly storedAt: Uint32Array;
  /** 0: no whole record of it is anywhere. */
  readonly baseFile: Uint32Array;
  readonly basePosition: Uint32Array;
  readonly baseBytes: Uint32Array;
  /** Bytes of changes since the whole record, and the checkpoint that wrote the first of them (0: none). */
  readonly changedBytes: Uint32Array;
  readonly changedFrom: Uint32Array;
  /** How often the id was given up: what was written of another page by that id does not count. */
  readonly generation: Uint32Array;
  /** By number, from 1 on; null: forgotten. */
  readonly files: (TrackedFile | null)[] = [null];
  /** Pages with changes of this checkpoint or before it are written again. */
  retiredUpTo = 0;

  /** `pages`: the largest id. */
  constructor(pages: number) {
    const column = (): Uint32Array => new Uint32Array(pages + 1);
    this.touchedAt = column();
    this.storedAt = column();
    this.baseFile = column();
    this.basePosition = column();
    this.baseBytes = column();
    this.changedBytes = column();
    this.changedFrom = column();
    this.generation = column();
  }

  /** The page freezes, its table entry being `entry`, while writes are stamped `stamp`. */
  note(id: number, entry: number, stamp: number): void {
    if ((entry & pageDirty) !== 0) this.touchedAt[id] = stamp;
  }

  /** Whether changes since `storedAt` are enough. */
  hasBase(id: number): boolean {
    const file = this.baseFile[id] as number;
    if (file === 0 || (this.files[file] as TrackedFile).retired) return false;
    const changedFrom = this.changedFrom[id] as number;
    return changedFrom === 0 || changedFrom > this.retiredUpTo;
  }

  /** The id was given up. */
  released(id: number): void {
    this.baseFile[id] = 0;
    this.baseBytes[id] = 0;
    this.touchedAt[id] = 0;
    this.storedAt[id] = 0;
    this.changedFrom[id] = 0;
    this.changedBytes[id] = 0;
    (this.generation[id] as number)++;
  }

  addFile(ref: FileRef, checkpoint: number, pageBytes: number): number {
    this.files.push({ ref, checkpoint, pageBytes, retired: false });
    return this.files.length - 1;
  }

  /** The checkpoint that wrote these pages has been committed. */
  adopt({ count, ids, generations, positions, bytes }: WrittenPages, file: number, checkpoint: number): void {
    const { generation, storedAt, changedFrom, changedBytes, baseFile, basePosition, baseBytes } = this;
    for (let i = 0; i < count; i++) {
      const id = ids[i] as number;
      if (generations[i] !== generation[id]) continue;
      storedAt[id] = checkpoint;
      if (positions[i] === 0) {
        if (changedFrom[id] === 0) changedFrom[id] = checkpoint;
        (changedBytes[id] as number) += bytes[i] as number;
      } else {
        baseFile[id] = file;
        basePosition[id] = (positions[i] as number) - 1;
        baseBytes[id] = bytes[i] as number;
        changedBytes[id] = 0;
        changedFrom[id] = 0;
      }
    }
  }

  /** Bytes of whole pages that count, by file number. */
  liveBytes(): Float64Array {
    const live = new Float64Array(this.files.length);
    const { baseFile, baseBytes } = this;
    for (let id = 1; id < baseFile.length; id++) (live[baseFile[id] as number] as number) += baseBytes[id] as number;
    return live;
  }
}

/** A table's map as it froze: where each page stands, and which of them must be read. */
export interface FrozenMap {
  readonly ids: Uint32Array;
  readonly files: Uint32Array;
  readonly positions: Uint32Array;
  /** Indices of pages that are frozen, to be read, and where they are. */
  readonly wanted: Uint32Array;
  readonly addresses: Uint32Array;
  readonly generations: Uint32Array;
  readonly count: number;
  /** The first checkpoint of which changes of a page count; ∞: none. */
  readonly changedFrom: number;
}

/**
 * Freezes those pages whose whole is not in files that stay (`full`: all), and notes where the others are. One loop, for
 * it stops the slot: 1 GB of state is 65,536 pages. `pageTable`: index of the page table's first word in `words`.
 */
export function freezeChanged(
  tracker: PageTracker,
  words: Uint32Array,
  pageTable: number,
  of: readonly number[],
  from: number,
  partly: boolean,
  full: boolean,
  stamp: number,
): FrozenMap {
  const count = of.length - from;
  const ids = new Uint32Array(count);
  const files = new Uint32Array(count);
  const positions = new Uint32Array(count);
  const wanted = new Uint32Array(count);
  const addresses = new Uint32Array(count);
  const generations = new Uint32Array(count);
  const { touchedAt, storedAt, baseFile, basePosition, changedFrom, generation, retiredUpTo } = tracker;
  const retired = Uint8Array.from(tracker.files, (file) => (file === null || file.retired ? 1 : 0));
  let earliest = Number.POSITIVE_INFINITY;
  let n = 0;
  for (let i = 0; i < count; i++) {
    const id = of[from + i] as number;
    const entry = words[pageTable + id] as number;
    const dirty = (entry & pageDirty) !== 0;
    if (dirty) touchedAt[id] = stamp;
    const file = baseFile[id] as number;
    const first = changedFrom[id] as number;
    if (first !== 0 && first < earliest) earliest = first;
    ids[i] = id;
    files[i] = file;
    positions[i] = basePosition[id] as number;
    // `retired[0]` is 1: no file has it.
    const stored =
      (touchedAt[id] as number) <= (storedAt[id] as number) &&
      retired[file] === 0 &&
      (first === 0 || first > retiredUpTo);
    if (stored && !full && !(partly && i === 0)) continue;
    const address = (entry & ~pageFlags) >>> 0;
    wanted[n] = i;
    addresses[n] = address;
    generations[n++] = generation[id] as number;
    words[pageTable + id] = (address | pageFrozen) >>> 0;
  }
  return {
    ids,
    files,
    positions,
    wanted: wanted.subarray(0, n),
    addresses: addresses.subarray(0, n),
    generations,
    count,
    changedFrom: earliest,
  };
}
