/**
 * JavaScript per row (`map`, `flatMap`) or per Arrow batch (`mapBatch`). What a function returns is checked against the
 * declared columns; its rows take the event time and the kind of the row they came from. An iterable may yield any number
 * of rows: it is left where the output is full and gone on with later, so that memory stays bounded.
 */
import { describeKind, describeValue, isPromise } from '../base/describe.ts';
import { isMillraceError, MillraceError, withWhere } from '../base/errors.ts';
import { deadLetterRecordMax } from '../plan/dead-letters.ts';
import type { PhysicalNode } from '../plan/physical.ts';
import type { ArrowImporter } from '../ports/arrow.ts';
import { type Batch, type BatchOrigin, batch } from '../record/batch.ts';
import { layoutOf } from '../record/layout.ts';
import { type RowObject, type RowView, rowView } from '../record/row-view.ts';
import { type RowWriter, rowWriter } from '../record/row-writer.ts';
import { type DeadLetters, deadLetters, isPoison, reasonOf } from './dead-letters.ts';
import { type Operator, type OperatorContext, type Output, Progress, type UserFunction } from './operator.ts';
import { positionOf } from './source.ts';

type MapNode = Extract<PhysicalNode, { kind: 'map' }>;

export function mapOperator(node: MapNode, context: OperatorContext): Operator {
  return node.style === 'mapBatch' ? new MapBatches(node, context) : new MapRows(node, context);
}

/** `map` and `flatMap`. */
class MapRows implements Operator {
  readonly #node: MapNode;
  readonly #context: OperatorContext;
  readonly #call: UserFunction;
  readonly #view: RowView;
  readonly #writer: RowWriter;
  #batch: Batch | null = null;
  /** The next row of `#batch`, counted among those that are in. */
  #next = 0;
  /** The row that is being worked on, as an index into the columns. */
  #row = 0;
  /** Rows that the current row's function has still to give (`flatMap`). */
  #iterator: Iterator<unknown> | null = null;
  /** The row that is to be written next; it waits here while the batch is full. */
  #held: unknown = nothing;
  /** Input row of the writer's first one. */
  #firstRow = 0;
  #emitted = false;
  /** Rows that the function could not take, where somebody wants them. */
  readonly #letters: DeadLetters | null;
  #lettersEmitted = false;
  /** All that is held is to go out: rows, then letters. */
  #flushing = false;

  constructor(node: MapNode, context: OperatorContext) {
    this.#node = node;
    this.#context = context;
    this.#call = context.userFunction(node.functionId);
    this.#view = rowView(node.input, context.memory, { poison: context.poisonRows ?? false });
    this.#writer = rowWriter(node.output, context.outputs[0] ?? [], context.memory, context.batchRows, {
      kinds: true,
      ...(context.blocks ? { blocks: context.blocks } : {}),
    });
    this.#letters = node.onError === 'side' ? deadLetters(context.name, context.memory, context.blocks) : null;
  }

  onBatch(batch: Batch, _port: number, out: Output): Progress {
    this.#batch = batch;
    this.#next = 0;
    this.#view.open(batch);
    return this.#work(out);
  }

  resume(out: Output): Progress {
    return this.#work(out);
  }

  flush(out: Output): Progress {
    this.#flushing = true;
    return this.#work(out);
  }

  close(): void {
    this.#closeIterator();
  }

  /** Goes on from wherever the last call stopped. */
  #work(out: Output): Progress {
    this.#released();
    const batch = this.#batch;
    while (batch) {
      if (this.#letters?.full && this.#emitLetters(out) === Progress.more) return Progress.more;
      if (!this.#rowIsDone()) {
        if (this.#emit(out, batch) === Progress.more) return Progress.more;
        // Between two batches of one row the runtime may look at the clock.
        if (this.#iterator) return Progress.more;
        continue;
      }
      if (this.#next === batch.size) break;
      this.#begin(batch);
    }
    this.#batch = null;
    // One row in, one row out: nothing is gained by waiting. A flatMap's rows are gathered until `flush`.
    const leaves = this.#flushing || (batch !== null && this.#node.style === 'map');
    if (leaves && this.#writer.rows > 0 && this.#emit(out, batch) === Progress.more) return Progress.more;
    while (this.#flushing && this.#letters && this.#letters.count > 0) {
      if (this.#emitLetters(out) === Progress.more) return Progress.more;
    }
    this.#flushing = false;
    return Progress.done;
  }

  #emitLetters(out: Output): Progress {
    const letters = this.#letters as DeadLetters;
    this.#lettersEmitted = true;
    const progress = out.emit(letters.batch(), 1);
    if (progress === Progress.done) this.#released();
    return progress;
  }

  /** The row is left out, where that is asked for and it is the row's fault; else the job fails. */
  #leaveOut(error: unknown, view: RowObject): void {
    const why = this.#failure(error, view);
    const { counters } = this.#context;
    if (this.#node.onError === undefined || !isPoison(error) || isMisuse(error)) throw why;
    counters.addSkipped(1);
    if (!this.#letters) return;
    const position = why.where.position ?? null;
    const reason = isMillraceError(error) ? reasonOf(error) : `function/threw: ${reasonOf(error)}`;
    this.#letters.add(position, reason, describeValue(view, deadLetterRecordMax));
  }

  /** Calls the function for the next row. */
  #begin(batch: Batch): void {
    const { u32 } = this.#context.memory;
    const k = this.#next++;
    const row = batch.selection === 0 ? k : (u32[(batch.selection >>> 2) + k] as number);
    this.#row = row;
    if (this.#writer.rows === 0) this.#firstRow = row;
    const view = this.#view.at(row);
    try {
      const result = this.#call(view);
      this.#context.counters.countCall();
      if (this.#node.style === 'map') this.#held = checkedRow(result);
      else this.#iterator = iteratorOf(result);
    } catch (error) {
      this.#context.counters.countCall();
      this.#leaveOut(error, view);
    }
  }

  /** Takes over what the current row's function gives; false when the batch is full. */
  #rowIsDone(): boolean {
    try {
      for (;;) {
        if (this.#held !== nothing) {
          if (!this.#append(this.#held)) return false;
          this.#held = nothing;
        }
        if (!this.#iterator) break;
        const step = this.#iterator.next();
        this.#context.counters.countCall();
        if (step.done) this.#iterator = null;
        else this.#held = checkedRow(step.value);
      }
    } catch (error) {
      this.#closeIterator();
      this.#leaveOut(error, this.#view.at(this.#row));
    }
    this.#view.end();
    return true;
  }

  #append(row: unknown): boolean {
    const { memory } = this.#context;
    const batch = this.#batch as Batch;
    const { rowtime } = this.#node;
    const at = rowtime === null ? 0 : (batch.columns[rowtime]?.values ?? 0) + this.#row * 8;
    const kind = batch.kinds === 0 ? 0 : (memory.u8[batch.kinds + this.#row] as number);
    return this.#writer.append(row, at, kind);
  }

  #emit(out: Output, from: Batch | null): Progress {
    this.#emitted = true;
    const progress = out.emit(this.#writer.batch(this.#originOf(from)));
    if (progress === Progress.done) this.#released();
    return progress;
  }

  /** Downstream is done with the writer's batch. */
  #released(): void {
    if (this.#lettersEmitted) {
      this.#lettersEmitted = false;
      this.#letters?.reset();
    }
    if (!this.#emitted) return;
    this.#emitted = false;
    this.#writer.reset();
    this.#firstRow = this.#row;
  }

  /** A map's rows are those of its input one by one, so an error further down can name the record. */
  #originOf(from: Batch | null): BatchOrigin | null {
    if (!from?.origin || from.selection !== 0 || this.#node.style !== 'map' || this.#node.onError) return null;
    return { source: from.origin.source, firstRow: from.origin.firstRow + this.#firstRow };
  }

  #closeIterator(): void {
    const iterator = this.#iterator;
    this.#iterator = null;
    this.#held = nothing;
    try {
      iterator?.return?.();
    } catch {
      // The function has failed already, or nobody waits for it any more.
    }
  }

  #failure(error: unknown, view: RowObject): MillraceError {
    return failure(error, this.#node.style, this.#context.name, this.#batch as Batch, this.#row, view);
  }
}

/** `mapBatch`: an apache-arrow RecordBatch in, a RecordBatch or Table out. */
class MapBatches implements Operator {
  readonly #node: MapNode;
  readonly #context: OperatorContext;
  readonly #call: UserFunction;
  readonly #importer: ArrowImporter;
  /** Event time and kinds of the rows that come out, where rows have them. */
  readonly #rowtimes: number;
  readonly #kinds: number;
  #batch: Batch | null = null;
  #rows = 0;

  constructor(node: MapNode, context: OperatorContext) {
    const { memory, batchRows } = context;
    this.#node = node;
    this.#context = context;
    this.#call = context.userFunction(node.functionId);
    this.#importer = context.arrow.fromArrow(node.output, layoutOf(node.output), memory, batchRows);
    this.#rowtimes = node.rowtime === null ? 0 : memory.arena.allocate(batchRows * 8, 'event times');
    this.#kinds = memory.arena.allocate(batchRows, 'row kinds');
  }

  onBatch(batch: Batch, _port: number, out: Output): Progress {
    if (batch.size === 0) return Progress.done;
    const { arrow, memory } = this.#context;
    this.#batch = batch;
    this.#rows = 0;
    this.#guard(batch, () => {
      const result: unknown = this.#call(arrow.toArrow(batch, this.#node.input, memory));
      if (isPromise(result)) throw promised(result);
      this.#importer.begin(result);
    });
    return this.resume(out);
  }

  resume(out: Output): Progress {
    const batch = this.#batch;
    if (!batch) return Progress.done;
    for (;;) {
      const next = this.#guard(batch, () => this.#importer.next());
      if (!next) break;
      if (out.emit(this.#withTimes(batch, next)) === Progress.more) return Progress.more;
    }
    if (this.#carries(batch) && this.#rows !== batch.size) throw this.#otherRows(batch, this.#rows);
    this.#batch = null;
    return Progress.done;
  }

  #carries(batch: Batch): boolean {
    return this.#rowtimes !== 0 || batch.kinds !== 0;
  }

  /** The k-th row that comes out has the event time and the kind of the k-th that went in. */
  #withTimes(from: Batch, next: Batch): Batch {
    const first = this.#rows;
    this.#rows += next.rowCount;
    if (!this.#carries(from)) return next;
    if (this.#rows > from.size) throw this.#otherRows(from, this.#rows);
    const { memory, outputs } = this.#context;
    const { u32, u8 } = memory;
    const times = this.#node.rowtime === null ? 0 : (from.columns[this.#node.rowtime]?.values ?? 0);
    for (let k = 0; k < next.rowCount; k++) {
      const row = from.selection === 0 ? first + k : (u32[(from.selection >>> 2) + first + k] as number);
      if (times !== 0) {
        u32[(this.#rowtimes >>> 2) + 2 * k] = u32[(times >>> 2) + 2 * row] as number;
        u32[(this.#rowtimes >>> 2) + 2 * k + 1] = u32[(times >>> 2) + 2 * row + 1] as number;
      }
      if (from.kinds !== 0) u8[this.#kinds + k] = u8[from.kinds + row] as number;
    }
    const rowtime = { validity: 0, values: this.#rowtimes, dictionary: null };
    const columns = times === 0 ? next.columns : [...next.columns, rowtime];
    return batch(outputs[0] ?? [], next.rowCount, columns, { kinds: from.kinds === 0 ? 0 : this.#kinds });
  }

  #otherRows(batch: Batch, rows: number): MillraceError {
    return new MillraceError(
      'function/bad-result',
      `mapBatch got ${batch.size} rows and returned ${rows === batch.size ? rows : rows > batch.size ? 'more' : rows}; rows with event time or row kinds must come out one for one (use flatMap, or assign event time behind mapBatch)`,
      { where: { operator: this.#context.name, ...positionOf(batch, 0) } },
    );
  }

  #guard<T>(batch: Batch, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw failure(error, 'mapBatch', this.#context.name, batch, 0, null);
    }
  }
}

function checkedRow(result: unknown): unknown {
  if (isPromise(result)) throw promised(result);
  return result;
}

function iteratorOf(result: unknown): Iterator<unknown> {
  if (isPromise(result)) throw promised(result);
  if (typeof result === 'object' && result !== null) {
    if (Symbol.iterator in result) return (result as Iterable<unknown>)[Symbol.iterator]();
    if (Symbol.asyncIterator in result) {
      throw misuse('flatMap got an async iterable; it takes rows without waiting: make it function*');
    }
  }
  throw new MillraceError(
    'function/bad-result',
    `flatMap expects an iterable of rows (an array, a generator), got ${describeKind(result)}`,
  );
}

/** A row never meets a promise. Its own failure is nobody's any more. */
function promised(result: unknown): MillraceError {
  (result as PromiseLike<unknown>).then(
    () => undefined,
    () => undefined,
  );
  return misuse(
    'the function returned a promise; map, flatMap and mapBatch are synchronous: make it an ordinary function, without async',
  );
}

function failure(
  error: unknown,
  style: MapNode['style'],
  operator: string,
  batch: Batch,
  row: number,
  view: RowObject | null,
): MillraceError {
  const where = { operator, ...positionOf(batch, row) };
  const shown = view === null ? `a batch of ${batch.size} rows` : `row ${describeValue(view, rowTextMax)}`;
  if (isMillraceError(error)) {
    const message = view === null ? error.message : `${error.message}; the function was called for ${shown}`;
    const { cause, retryable } = error;
    return withWhere(
      new MillraceError(error.code, message, { where: error.where, cause, retryable }),
      where,
      error.code,
    );
  }
  const said = error instanceof Error ? `${error.name}: ${error.message}` : describeValue(error);
  return new MillraceError('function/threw', `the ${style} function threw ${said}; it was called for ${shown}`, {
    where,
    cause: error,
  });
}

/** A function of the wrong kind: it would fail for every row, so no policy passes over it. */
function misuse(message: string): MillraceError {
  const error = new MillraceError('function/bad-result', message);
  misuses.add(error);
  return error;
}
const misuses = new WeakSet<object>();
const isMisuse = (error: unknown): boolean => typeof error === 'object' && error !== null && misuses.has(error);

/** No row, not even one that is undefined. */
const nothing = Symbol('no row');
const rowTextMax = 240;
