/**
 * Readers of tables whose row n can be made anywhere: split i of p holds every p-th stripe of rows, so that event time
 * advances alike in all of them. Replayable: a position is the number of rows read of a split. With a rate, a row comes
 * when it is due and not before. Knows nothing of what the rows are.
 */
import {
  PollStatus,
  type ReaderContext,
  type ReadRequest,
  type SourceReader,
  type Split,
} from '../../core/ports/connector.ts';
import { type Batch, batch } from '../../core/record/batch.ts';
import type { ColumnMaker } from './columns.ts';

/** Rows of the table in turn: stripe s belongs to split s mod `of`. */
export interface Stripes {
  readonly index: number;
  readonly of: number;
  readonly stripe: number;
  /** Wall-clock milliseconds at which row 0 was due. */
  readonly startedAtMs: number;
}

/** What a reader makes rows of. */
export interface StripedTable {
  /** null: without end. */
  readonly rows: number | null;
  /** Milliseconds after the start at which a row of the table is due; null: at once. */
  readonly dueMs: ((row: number) => number) | null;
  makers(startedAtMs: number): readonly ColumnMaker[];
}

/** One split per subtask. `minimum`: the least event time in the table, in ticks. */
export function stripedSplits(
  rows: number | null,
  stripe: number,
  parallelism: number,
  startedAtMs: number,
  minimum: string | null,
): Split[] {
  return Array.from({ length: parallelism }, (_, index): Split => {
    const split = { index, of: parallelism, stripe, startedAtMs };
    return {
      id: `${index}`,
      options: split,
      position: null,
      estimatedRows: rows === null ? null : splitRows(rows, split),
      minimum,
    };
  });
}

/** Rows of a split of a table of `rows`. */
function splitRows(rows: number, { index, of, stripe }: Stripes): number {
  const round = stripe * of;
  return Math.floor(rows / round) * stripe + Math.max(0, Math.min(stripe, (rows % round) - index * stripe));
}

export class StripedReader implements SourceReader {
  readonly #table: StripedTable;
  readonly #label: string;
  readonly #request: ReadRequest;
  readonly #context: ReaderContext;
  #makers: readonly ColumnMaker[] | null = null;
  #split: Stripes | null = null;
  /** Rows of the split that were read, and that there are. */
  #read = 0;
  #rows = 0;
  /** When row 0 of the table was due, on the monotonic clock. */
  #startMs = 0;
  #batch: Batch | null = null;

  constructor(table: StripedTable, label: string, request: ReadRequest, context: ReaderContext) {
    this.#table = table;
    this.#label = label;
    this.#request = request;
    this.#context = context;
  }

  get batch(): Batch {
    return this.#batch!;
  }

  open(split: Split): void {
    const stripes = split.options as unknown as Stripes;
    this.#split = stripes;
    this.#read = split.position === null ? 0 : Number(split.position);
    this.#rows = this.#table.rows === null ? Number.MAX_SAFE_INTEGER : splitRows(this.#table.rows, stripes);
    // Rows are due from the start that their `due` columns count from, not from when this thread was ready. A restored
    // split goes on at its rate from here on; only `due` columns keep the first start.
    const { nowMs, monotonicMs } = this.#context;
    const alreadyDueMs = split.position === null ? Math.max(0, nowMs() - stripes.startedAtMs) : this.#dueMs(this.#read);
    this.#startMs = monotonicMs() - alreadyDueMs;
    this.#makers ??= this.#table.makers(stripes.startedAtMs);
  }

  poll(): PollStatus {
    const { stripe } = this.#split!;
    const { batchRows } = this.#context;
    const { dueMs: paced } = this.#table;
    const elapsedMs = paced === null ? 0 : this.#context.monotonicMs() - this.#startMs;
    const first = this.#read;
    let filled = 0;
    while (filled < batchRows && this.#read < this.#rows) {
      const within = this.#read % stripe;
      const count = Math.min(batchRows - filled, stripe - within, this.#rows - this.#read);
      if (paced !== null) {
        const dueMs = this.#dueMs(this.#read + count - 1);
        if (dueMs > elapsedMs) {
          if (filled > 0) break;
          this.#context.wakeAt(this.#startMs + dueMs);
          return PollStatus.starved;
        }
      }
      const n = BigInt(this.#rowOf(this.#read));
      for (const maker of this.#makers!) maker.fill(filled, n, count);
      filled += count;
      this.#read += count;
    }
    if (filled === 0) return PollStatus.ended;
    const columns = this.#makers!.map((m) => m.column);
    const origin = { source: `${this.#label}, split ${this.#split!.index}`, firstRow: first };
    this.#batch = batch(this.#request.layout, filled, columns, { origin });
    return PollStatus.moved;
  }

  position(): number {
    return this.#read;
  }

  close(): void {}

  /** Number in the table of row `local` of the split. */
  #rowOf(local: number): number {
    const { index, of, stripe } = this.#split!;
    const within = local % stripe;
    return (((local - within) / stripe) * of + index) * stripe + within;
  }

  #dueMs(local: number): number {
    const { dueMs } = this.#table;
    return dueMs === null ? 0 : dueMs(this.#rowOf(local));
  }
}
