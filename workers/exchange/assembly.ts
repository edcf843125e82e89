/**
 * Where a gate puts together a record that crosses in chunks: one buffer, grown as needed out of the arena, one record at
 * a time. Knows nothing of what the record holds.
 */
import { MillraceError } from '../../core/base/errors.ts';
import { frameHeaderBytes } from '../../core/base/limits.ts';
import { corrupt } from '../../core/record/frame.ts';
import { frameFirst, frameHeapBytes, frameSecond } from '../../core/record/frame-layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';

export class Assembly {
  /** The channel whose record is in work or in use; null: free. */
  holder: object | null = null;
  readonly #memory: SlotMemory;
  readonly #record = { at: 0, bytes: 0 };
  #room = 0;
  #filled = 0;

  constructor(memory: SlotMemory) {
    this.#memory = memory;
  }

  mayTake(channel: object): boolean {
    return this.holder === null || (this.holder === channel && this.#filled < this.#record.bytes);
  }

  /** Adds the chunk frame at `at`; the record when it is whole, which is in use until `free`. Errors: `record/corrupt-frame`, `record/too-large`. */
  add(channel: object, at: number, bytes: number): { readonly at: number; readonly bytes: number } | null {
    const { u8, u32 } = this.#memory;
    const part = u32[(at + frameHeapBytes) >>> 2]!;
    const whole = u32[(at + frameFirst) >>> 2]!;
    const offset = u32[(at + frameSecond) >>> 2]!;
    if (this.holder === null) {
      this.#begin(whole);
      this.holder = channel;
    }
    const record = this.#record;
    if (whole !== record.bytes || offset !== this.#filled || part === 0 || part > whole - offset) {
      throw corrupt(
        `bytes ${offset} to ${offset + part} of a record of ${whole}, behind ${this.#filled} of ${record.bytes}`,
      );
    }
    if (part > bytes - frameHeaderBytes) throw corrupt(`a chunk of ${part} bytes in a frame of ${bytes}`);
    u8.copyWithin(record.at + offset, at + frameHeaderBytes, at + frameHeaderBytes + part);
    this.#filled += part;
    return this.#filled === whole ? record : null;
  }

  free(): void {
    this.holder = null;
    this.#filled = 0;
  }

  #begin(whole: number): void {
    if (whole < frameHeaderBytes) throw corrupt(`a record of ${whole} bytes`);
    if (whole > this.#room) {
      // Twice the last size at least, so that the arena loses at most as much as the largest record takes.
      const room = Math.max(whole, Math.min(this.#room * 2, this.#memory.arena.freeBytes / 2));
      try {
        this.#record.at = this.#memory.arena.allocate(room, 'a record that came in chunks');
      } catch (cause) {
        throw new MillraceError(
          'record/too-large',
          `a record of ${whole} bytes does not fit into the slot's scratch area; raise 'memory' or make the record smaller`,
          { cause },
        );
      }
      this.#room = room;
    }
    this.#record.bytes = whole;
    this.#filled = 0;
  }
}
