/**
 * Time to live: which written values are gone, and when a key's bytes are to be freed. Every key has one lazy timer for
 * each kind of time, a row of an ordered table by time; a timer that comes too early is set again by who finds that out
 * (operator.ts). What is read is checked exactly, whenever the timer comes.
 */
import type { SlotMemory } from '../../record/memory.ts';
import type { Call } from './call.ts';
import type { EntryLayout } from './slots.ts';
import type { TimeQueue } from './time-queue.ts';

/** The lazy timers by one kind of time. */
export class TtlClock {
  readonly time: 'event' | 'processing';
  readonly queue: TimeQueue;
  readonly #memory: SlotMemory;
  readonly #call: Call;
  readonly #bit: number;
  readonly #armedAt: number;

  constructor(
    time: 'event' | 'processing',
    parts: {
      readonly memory: SlotMemory;
      readonly call: Call;
      readonly queue: TimeQueue;
      readonly layout: EntryLayout;
      /** Of an entry's flags: its timer is set. */
      readonly bit: number;
    },
  ) {
    this.time = time;
    this.queue = parts.queue;
    this.#memory = parts.memory;
    this.#call = parts.call;
    this.#bit = parts.bit;
    this.#armedAt = parts.layout.take(8);
  }

  /** What time it is. */
  nowMs(): number {
    return this.time === 'event' ? this.#call.eventMs : this.#call.nowMs;
  }

  /** Something of the current key will be gone at `atMs`. */
  arm(atMs: number): void {
    const { u32, f64 } = this.#memory;
    const { entry } = this.#call;
    const armed = (entry + this.#armedAt) >>> 3;
    if (((u32[entry >>> 2] as number) & this.#bit) !== 0) {
      const before = f64[armed] as number;
      if (before <= atMs) return;
      this.queue.delete(before, this.#call, null);
    }
    u32[entry >>> 2] = (u32[entry >>> 2] as number) | this.#bit;
    f64[armed] = atMs;
    this.queue.put(atMs, this.#call, null);
  }

  /** The current key's timer of `atMs` has come: whether it was set for then. It is not set any more. */
  take(atMs: number): boolean {
    const { u32, f64 } = this.#memory;
    const { entry } = this.#call;
    if (((u32[entry >>> 2] as number) & this.#bit) === 0 || f64[(entry + this.#armedAt) >>> 3] !== atMs) return false;
    u32[entry >>> 2] = (u32[entry >>> 2] as number) & ~this.#bit;
    return true;
  }
}

/** The life of one state's values. */
export interface Life {
  readonly ms: number;
  readonly clock: TtlClock;
}

/** A value of the current key is written: answers what time it is, and sees to it that its bytes go in time. */
export function touch(life: Life): number {
  const writtenMs = life.clock.nowMs();
  life.clock.arm(writtenMs + life.ms);
  return writtenMs;
}

export function isGone(life: Life, writtenMs: number): boolean {
  return writtenMs + life.ms <= life.clock.nowMs();
}
