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
import { pageDirty } from '../../core/ports/page-layout.ts';

/** A file that pages may lie in. */
export interface TrackedFile {
  readonly ref: FileRef;
  readonly checkpoint: number;
  /** Bytes of pages that still count. */
  liveBytes: number;
  /** Its pages are written again with the next checkpoint, so that it can go. */
  retired: boolean;
}

/** What becomes of a page when its checkpoint is committed. */
export interface WrittenPage {
  readonly id: number;
  readonly generation: number;
  /** Null: only changes were written. */
  readonly position: number | null;
  readonly bytes: number;
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

  /** Whether all of it stands in files that stay. */
  isStored(id: number): boolean {
    return (this.touchedAt[id] as number) <= (this.storedAt[id] as number) && this.hasBase(id);
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
    this.touchedAt[id] = 0;
    this.storedAt[id] = 0;
    this.changedFrom[id] = 0;
    this.changedBytes[id] = 0;
    (this.generation[id] as number)++;
  }

  addFile(ref: FileRef, checkpoint: number): number {
    this.files.push({ ref, checkpoint, liveBytes: 0, retired: false });
    return this.files.length - 1;
  }

  /** The checkpoint that wrote these pages has been committed. */
  adopt(pages: readonly WrittenPage[], file: number, checkpoint: number): void {
    for (const { id, generation, position, bytes } of pages) {
      if (generation !== this.generation[id]) continue;
      this.storedAt[id] = checkpoint;
      if (position === null) {
        if (this.changedFrom[id] === 0) this.changedFrom[id] = checkpoint;
        (this.changedBytes[id] as number) += bytes;
      } else {
        this.baseFile[id] = file;
        this.basePosition[id] = position;
        this.baseBytes[id] = bytes;
        this.changedBytes[id] = 0;
        this.changedFrom[id] = 0;
      }
    }
  }
}
