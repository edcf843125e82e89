/**
 * What a process function emits: one writer of batches for each output. Rows of one call that find no room wait, as
 * copies, up to a limit; then the operator hands batches on until all have found room. Where a call may be taken back, rows
 * that wait have been checked, so that nothing of it can fail once it is over. Knows no key and no time.
 */
import { MillraceError } from '../../base/errors.ts';
import { emittedRowsMax } from '../../base/limits.ts';
import type { BlockPool } from '../../ports/blocks.ts';
import { type Layout, rowtimeName } from '../../record/layout.ts';
import type { SlotMemory } from '../../record/memory.ts';
import { type RowWriter, rowWriter } from '../../record/row-writer.ts';
import type { Fields } from '../../record/types.ts';
import { type Output, Progress } from '../operator.ts';
import { type Call, callOver } from './call.ts';

export class Emitted {
  /** Output port. */
  readonly port: number;
  readonly #writer: RowWriter;
  readonly #call: Call;
  /** Rows carry event time. */
  readonly #timed: boolean;
  readonly #name: string;
  /** Checks rows that wait; null: they are checked when there is room. */
  readonly #checker: RowWriter | null;
  #waiting: unknown[] = [];
  #waitingFrom = 0;
  /** The writer's batch is with the output. */
  #out = false;

  constructor(
    port: number,
    name: string,
    fields: Fields,
    layout: Layout,
    parts: {
      readonly memory: SlotMemory;
      readonly batchRows: number;
      readonly blocks?: BlockPool | undefined;
      readonly call: Call;
      /** Rows of a call may be taken back. */
      readonly undoable?: boolean;
    },
  ) {
    this.port = port;
    this.#name = name;
    this.#call = parts.call;
    this.#timed = layout.at(-1)?.name === rowtimeName;
    const options = parts.blocks ? { blocks: parts.blocks } : {};
    this.#writer = rowWriter(fields, layout, parts.memory, parts.batchRows, options);
    this.#checker = parts.undoable ? rowWriter(fields, layout, parts.memory, 1, options) : null;
  }

  /** A call begins. */
  mark(): void {
    this.#writer.mark();
  }

  /** The call that began last gave nothing. */
  takeBack(): void {
    this.#writer.rewind();
    this.#waiting = [];
    this.#waitingFrom = 0;
  }

  /** A row of the call that is under way. Errors: the writer's; `function/misuse`, `function/too-many`. */
  add(row: unknown): void {
    const call = this.#call;
    if (!call.active) throw callOver();
    if (this.#timed && call.rowtime === 0) {
      throw new MillraceError(
        'function/misuse',
        `${this.#name} is given by a row without event time, and later steps need one; say .eventTime(column) of the broadcast input, or emit from a keyed one`,
      );
    }
    if (this.#waiting.length === 0 && !this.#out && this.#writer.append(row, call.rowtime, 0)) return;
    if (this.#waiting.length - this.#waitingFrom >= emittedRowsMax) {
      throw new MillraceError(
        'function/too-many',
        `one call emitted more than ${emittedRowsMax} rows; make the handler a generator (*onRow) and yield them, so that it can stop where room ends`,
      );
    }
    if (this.#checker) {
      this.#checker.reset();
      this.#checker.append(row, call.rowtime, 0);
    }
    // The caller may change its object after the call.
    this.#waiting.push(typeof row === 'object' && row !== null ? { ...row } : row);
  }

  /** Nothing waits for room. */
  get settled(): boolean {
    return this.#waiting.length === 0;
  }

  get rows(): number {
    return this.#writer.rows;
  }

  /** Hands on what is written; `more`: the output is full, call `released` when resumed. */
  emit(out: Output): Progress {
    this.#out = true;
    const progress = out.emit(this.#writer.batch(), this.port);
    if (progress === Progress.done) this.released();
    return progress;
  }

  /** The output is done with the batch. */
  released(): void {
    if (!this.#out) return;
    this.#out = false;
    this.#writer.reset();
  }

  /** Writes what waits, as far as there is room. */
  fill(): void {
    const { rowtime } = this.#call;
    while (this.#waitingFrom < this.#waiting.length) {
      if (!this.#writer.append(this.#waiting[this.#waitingFrom], rowtime, 0)) return;
      this.#waiting[this.#waitingFrom++] = null;
    }
    this.#waiting = [];
    this.#waitingFrom = 0;
  }
}
