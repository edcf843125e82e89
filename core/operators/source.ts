/**
 * The beginning of a chain: reads assigned splits one after the other, and knows how far event time has come in them. Splits
 * that never end, of which a restore at a lower parallelism brings several, are read in turn, each by a reader of its own. A split nobody has read yet holds the watermark at its least event time, or altogether where that is unknown: reading
 * row groups side by side must not make rows late.
 */
import { MillraceError } from '../base/errors.ts';
import type { WatermarkSpec } from '../plan/physical.ts';
import { type Json, PollStatus, type SourceReader, type Split } from '../ports/connector.ts';
import type { Kernels } from '../ports/kernels.ts';
import type { Batch } from '../record/batch.ts';
import type { LayoutColumn } from '../record/layout.ts';
import { ticksPerMs } from '../record/types.ts';
import type { DeadLetters } from './dead-letters.ts';
import { watermarkMax, watermarkMin } from './operator.ts';

/** What the reader of a subtask was told of splits it has not got. */
export type UnreadMinimum = string | 'unknown' | null;

export interface SourceSetup {
  readonly reader: SourceReader;
  /** Another reader, for a second split at once; absent: splits of this source end. */
  readonly another?: () => SourceReader;
  readonly watermark: WatermarkSpec | null;
  /** The event-time column of the source's layout, when there is a watermark. */
  readonly timeColumn: LayoutColumn | null;
  readonly kernels: Kernels;
  readonly name: string;
  readonly monotonicMs: () => number;
  /** Asks the coordinator for a split. */
  readonly wantSplit: () => void;
  /** Where the reader puts what it cannot read; absent: nobody asked for it. */
  readonly rejected?: DeadLetters;
}

/** A split with the position to go on from: what a snapshot keeps. */
export interface SourcePosition {
  readonly splits: readonly Split[];
  readonly watermarkMs: number;
}

export class SourceDriver {
  readonly #setup: SourceSetup;
  readonly #ticks: number;
  #queue: Split[] = [];
  /** Splits that came after a barrier was asked for: to the snapshot nobody has taken them. */
  #later: Split[] = [];
  #barrierAsked = false;
  readonly #lanes: Lane[];
  /** The one whose batch is at hand. */
  #lane: Lane;
  #skipped = 0;
  #asked = false;
  #noMore = false;
  #unread: UnreadMinimum = 'unknown';
  #watermarkMs = watermarkMin;
  #lastRowsAtMs: number;

  constructor(setup: SourceSetup, restored: SourcePosition | null) {
    this.#setup = setup;
    const type = setup.timeColumn?.type;
    this.#ticks = type?.kind === 'TIMESTAMP' || type?.kind === 'TIMESTAMP_LTZ' ? ticksPerMs(type.precision) : 1;
    this.#lastRowsAtMs = setup.monotonicMs();
    if (restored) {
      this.#queue = [...restored.splits];
      this.#watermarkMs = restored.watermarkMs;
    }
    this.#lane = lane(setup.reader);
    this.#lanes = [this.#lane];
    if (setup.another) while (this.#lanes.length < this.#queue.length) this.#lanes.push(lane(setup.another()));
  }

  get batch(): Batch {
    return this.#lane.reader.batch;
  }

  /** True when it has nothing to read: whoever deploys it asks for its first split. */
  begin(): boolean {
    this.#asked = this.#queue.length === 0;
    return this.#asked;
  }

  /** What could not be read and has not been emitted; null: nothing. */
  get rejected(): DeadLetters | null {
    const { rejected } = this.#setup;
    return rejected && rejected.count > 0 ? rejected : null;
  }

  /** Records left out since the last call. */
  takeSkipped(): number {
    const all = this.#lanes.reduce((sum, { reader }) => sum + (reader.skipped ?? 0), 0);
    const fresh = all - this.#skipped;
    this.#skipped = all;
    return fresh;
  }

  /** An answer to `wantSplit`, or to what `begin` said. */
  assign(split: Split | null, ends: boolean, unread: UnreadMinimum): void {
    this.#asked = false;
    this.#unread = unread;
    if (split) (this.#barrierAsked ? this.#later : this.#queue).push(split);
    else if (ends) this.#noMore = true;
    else this.#asked = true; // an unbounded job without splits left: idle until stopped
  }

  /** A barrier is on its way: what is assigned from now on is not in its snapshot, whoever counts splits has it as unread. */
  barrierAsked(): void {
    this.#barrierAsked = true;
  }

  unreadChanged(unread: UnreadMinimum): void {
    this.#unread = unread;
  }

  /** Read no further: what is open or queued is dropped, the source ends. */
  stop(): void {
    for (const one of this.#lanes) {
      if (one.open) one.reader.close();
      one.open = null;
    }
    this.#queue = [];
    this.#later = [];
    this.#noMore = true;
  }

  /** `moved`: `batch` holds rows until the next poll. `ended`: no split will follow. */
  poll(): PollStatus {
    const first = this.#lanes.indexOf(this.#lane) + 1;
    let open = 0;
    for (let i = 0; i < this.#lanes.length; i++) {
      const one = this.#lanes[(first + i) % this.#lanes.length]!;
      const status = this.#pollLane(one);
      if (status !== PollStatus.ended) open++;
      if (status !== PollStatus.moved) continue;
      this.#lane = one;
      one.openedAt = null;
      this.#observe(one);
      // The next split is asked for while this one is still being read.
      if (this.#queue.length === 0 && !this.#noMore) this.#ask();
      return status;
    }
    if (open > 0) {
      // A restored split of which nothing comes: what nobody has taken may hold no event time, which the answer tells.
      if (this.#unread === 'unknown' && this.#queue.length === 0 && !this.#noMore) this.#ask();
      return PollStatus.starved;
    }
    if (this.#noMore) return PollStatus.ended;
    this.#ask();
    return PollStatus.starved;
  }

  /** `ended`: it has no split, and there is none for it. */
  #pollLane(one: Lane): PollStatus {
    for (;;) {
      if (!one.open) {
        const next = this.#queue.shift();
        if (!next) return PollStatus.ended;
        one.reader.open(next);
        one.open = next;
        one.openedAt = next.position;
        one.maxMs = watermarkMin;
        this.#lastRowsAtMs = this.#setup.monotonicMs();
      }
      const status = one.reader.poll();
      if (status !== PollStatus.ended) return status;
      // What the split has shown of event time stands after it.
      this.watermarkMs();
      one.open = null;
    }
  }

  #ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#setup.wantSplit();
  }

  #observe(one: Lane): void {
    const { batch } = one.reader;
    const { watermark, kernels, timeColumn, name } = this.#setup;
    if (!watermark || batch.rowCount === 0) return;
    const column = batch.columns[watermark.column]!;
    if (column.validity !== 0) {
      const row = kernels.firstNull(column.validity, batch.rowCount);
      if (row >= 0) {
        throw new MillraceError(
          'time/bad-event-time',
          `event time '${timeColumn?.name}' is NULL; every row needs one: filter such rows out before .eventTime, or give them a time with coalesce`,
          { where: { operator: name, ...positionOf(batch, row) } },
        );
      }
    }
    const max = kernels.maxI64(column.values, batch.rowCount);
    const maxMs = Math.floor(Number(max) / this.#ticks);
    if (maxMs > one.maxMs) one.maxMs = maxMs;
    this.#lastRowsAtMs = this.#setup.monotonicMs();
  }

  /**
   * The greatest event time of the split that is being read; of several, that of the one that is behind. It has one whenever
   * `poll` answered rows with a watermark.
   */
  get splitTimeMs(): number {
    let least = this.#lane.maxMs;
    for (const { open, maxMs } of this.#lanes) if (open && maxMs !== watermarkMin) least = Math.min(least, maxMs);
    return least;
  }

  /** It is not polled now, though it may have rows: that is not idleness. */
  pause(): void {
    this.#lastRowsAtMs = this.#setup.monotonicMs();
  }

  /** Event time of this subtask: no row at or before it will follow. Never goes back. */
  watermarkMs(): number {
    const { watermark } = this.#setup;
    if (!watermark) return watermarkMin;
    let limit = watermarkMax;
    if (this.#unread === 'unknown') limit = watermarkMin;
    else if (this.#unread !== null) limit = Math.floor(Number(this.#unread) / this.#ticks) - 1;
    for (const split of [...this.#queue, ...this.#later]) limit = Math.min(limit, this.#minimumMs(split));
    for (const { open, maxMs, reader } of this.#lanes) {
      if (!open) continue;
      const seen = maxMs === watermarkMin ? watermarkMin : maxMs - watermark.outOfOrdernessMs - 1;
      const told = reader.watermarkMs?.() ?? watermarkMin;
      limit = Math.min(limit, Math.max(seen, told, this.#minimumMs(open)));
    }
    if (limit !== watermarkMax && limit > this.#watermarkMs) this.#watermarkMs = limit;
    return this.#watermarkMs;
  }

  #minimumMs(split: Split): number {
    return split.minimum === null ? watermarkMin : Math.floor(Number(split.minimum) / this.#ticks) - 1;
  }

  /** Nothing to read here, or nothing came for `idleAfterMs`: this subtask does not hold others' event time. */
  idle(): boolean {
    if (this.#unread === null && this.#queue.length === 0 && this.#lanes.every(({ open }) => !open)) return true;
    const after = this.#setup.watermark?.idleAfterMs ?? null;
    return after !== null && this.#setup.monotonicMs() - this.#lastRowsAtMs >= after;
  }

  /** When `idle` may become true by itself, on the monotonic clock; null: never. */
  idleAtMs(): number | null {
    const after = this.#setup.watermark?.idleAfterMs ?? null;
    return after === null ? null : this.#lastRowsAtMs + after;
  }

  /** At a barrier: splits not finished, with positions behind the last row that was emitted. */
  position(): SourcePosition {
    const begun = this.#lanes.flatMap(({ open, openedAt, reader }) =>
      open ? [{ ...open, position: openedAt ?? reader.position() }] : [],
    );
    const splits = [...begun, ...this.#queue];
    this.#barrierAsked = false;
    this.#queue.push(...this.#later.splice(0));
    return { splits, watermarkMs: this.#watermarkMs };
  }

  close(): void {
    for (const { reader } of this.#lanes) reader.close();
  }
}

/** A reader with the split it reads. */
interface Lane {
  readonly reader: SourceReader;
  open: Split | null;
  /** The position it was opened at, until it has given rows. */
  openedAt: Json;
  /** Greatest event time seen in the split, milliseconds. */
  maxMs: number;
}

const lane = (reader: SourceReader): Lane => ({ reader, open: null, openedAt: null, maxMs: watermarkMin });

/** Where row `row` of a batch came from. */
export function positionOf(batch: Batch, row: number): { position?: string } {
  return batch.origin ? { position: `${batch.origin.source}, row ${batch.origin.firstRow + row}` } : {};
}
