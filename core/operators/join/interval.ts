/**
 * The interval join of streams that do not end, where rows come out alone or once: left, right, full, semi, anti. A row is kept until
 * event time says that no match can come any more; if it comes out alone, it does so then. All that comes out is final.
 * (An inner one is a join whose condition compares event time: insert-join.ts.)
 */
import type { PhysicalNode } from '../../plan/physical.ts';
import type { OrderedTable } from '../../ports/state.ts';
import { type Batch, RowKindByte } from '../../record/batch.ts';
import type { ByteSource } from '../../record/bytes.ts';
import { Work } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress, watermarkMin } from '../operator.ts';
import { DueRows } from './due-rows.ts';
import { type Alone, alone, type Residual, residualOf, waitForRoom } from './parts.ts';
import { JoinRows, noRow } from './rows.ts';
import { JoinSide } from './side.ts';

type JoinNode = Extract<PhysicalNode, { kind: 'join' }>;

export class IntervalJoin implements Operator {
  readonly #context: OperatorContext;
  readonly #times: readonly [number, number];
  /** By side: so long after its own time a row can meet no other that comes. */
  readonly #lastsMs: readonly [number, number];
  readonly #alone: readonly [Alone, Alone];
  /** Matches come out as rows of both sides. */
  readonly #pairs: boolean;
  readonly #sides: readonly [JoinSide, JoinSide];
  readonly #due: readonly [DueRows, DueRows];
  readonly #tables: readonly OrderedTable[];
  readonly #rows: JoinRows;
  readonly #residual: Residual | null;
  readonly #watermark: { get(): number; set(value: number): void };
  readonly #work = new Work();

  constructor(node: JoinNode, context: OperatorContext) {
    const { type, keys, output, residual, within } = node;
    const { times, fromMs, toMs } = within!;
    this.#context = context;
    this.#times = times;
    this.#lastsMs = [toMs, -fromMs];
    this.#alone = alone[type];
    this.#pairs = type !== 'semi' && type !== 'anti';
    const side = (i: 0 | 1): JoinSide => {
      const kept = [...new Set([...output[i], ...(residual?.leaves[i] ?? [])])].sort((a, b) => a - b);
      const tracked = this.#pairs && this.#alone[i] !== 'never';
      const name = i === 0 ? 'left.within' : 'right.within';
      return new JoinSide({ name, input: context.inputs[i]!, keys: keys[i], kept, counted: false, tracked }, context);
    };
    this.#sides = [side(0), side(1)];
    this.#due = [
      new DueRows('left.due', this.#sides[0].keyParts, context),
      new DueRows('right.due', this.#sides[1].keyParts, context),
    ];
    this.#tables = [...this.#sides, ...this.#due].map(({ table }) => table);
    const leaves = (of: readonly [readonly number[], readonly number[]]) =>
      [
        { leaves: of[0], shape: this.#sides[0].shape },
        { leaves: of[1], shape: this.#sides[1].shape },
      ] as const;
    this.#rows = new JoinRows(context.outputs[0]!, leaves(output), context.batchRows, context);
    this.#residual = residual === null ? null : residualOf(residual, context, leaves(residual.leaves));
    this.#watermark = context.state.value('watermark', watermarkMin, Math.min);
  }

  onBatch(batch: Batch, port: number, out: Output): Progress {
    return batch.size === 0 ? Progress.done : this.#work.start(this.#consume(batch, port, out));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  onWatermark(timeMs: number, out: Output): Progress {
    if (timeMs <= this.#watermark.get()) return Progress.done;
    this.#watermark.set(timeMs);
    return this.#work.start(this.#fire(timeMs, out));
  }

  *#consume(batch: Batch, port: number, out: Output): Generator<void> {
    const { counters, memory, state } = this.#context;
    const own = this.#sides[port]!;
    own.begin(batch);
    this.#rows.begin(batch, port);
    this.#residual?.begin(batch, port);
    const { values } = batch.columns[this.#times[port]!]!;
    for (let k = 0; k < batch.size; k++) {
      const row = batch.selection === 0 ? k : (memory.u32[(batch.selection >>> 2) + k] as number);
      const at = (values >>> 2) + 2 * row;
      const timeMs = (memory.i32[at + 1] as number) * 4294967296 + (memory.u32[at] as number);
      if (state.reading) yield* waitForRoom(state, this.#tables);
      if (timeMs <= this.#watermark.get()) counters.addLate(1);
      else if (own.hasKey(row)) yield* this.#row(k, row, timeMs, port, out);
      else if (this.#alone[port] === 'unmatched') yield* this.#emit(row, null, out);
    }
    yield* this.#leave(out);
    own.end();
    this.#rows.begin(null, 0);
  }

  *#row(k: number, row: number, timeMs: number, port: number, out: Output): Generator<void> {
    const own = this.#sides[port]!;
    const other = this.#sides[1 - port]!;
    own.open(k, row);
    own.encode(row);
    let matches = 0;
    own.probe(other);
    while (other.matches.next()) {
      const kept = other.matches.value();
      if (this.#residual !== null && !this.#residual.holds(row, kept)) continue;
      matches++;
      if (this.#pairs) {
        if (this.#alone[1 - port] !== 'never' && other.matched(kept) === 0) other.setMatched(kept, 1);
        const shown = other.matches.value();
        while (!this.#rows.add(row, shown, RowKindByte.insert)) yield* this.#leave(out);
      } else if (port === 0) break;
      else {
        // The left row has met its match: it comes out, or will not.
        if (this.#alone[0] === 'matched') yield* this.#emit(noRow, kept, out);
        other.matches.delete();
      }
      if (this.#context.state.reading) yield* waitForRoom(this.#context.state, this.#tables);
    }
    const dueMs = timeMs + this.#lastsMs[port]!;
    const isDue = dueMs <= this.#watermark.get();
    const shows = this.#alone[port];
    if (shows === 'matched' ? matches > 0 : shows === 'unmatched' && matches === 0 && isDue)
      yield* this.#emit(row, null, out);
    const settled = !this.#pairs && port === 0 && matches > 0;
    if (isDue || settled) return;
    own.put(Math.min(matches, 1));
    this.#due[port]!.put(dueMs, own.key, own.keyBytes);
  }

  /** Rows that no match can come for go; those that none came for come out, where they do alone. */
  *#fire(timeMs: number, out: Output): Generator<void> {
    const { state } = this.#context;
    for (const port of [0, 1] as const) {
      const side = this.#sides[port];
      const due = this.#due[port];
      this.#rows.begin(null, 1 - port);
      due.rewind(timeMs);
      while (due.next()) {
        if (state.reading) yield* waitForRoom(state, this.#tables);
        const kept = side.table.get(due.key, due.keyBytes);
        if (kept !== null) {
          if (this.#alone[port] === 'unmatched' && !(this.#pairs && side.matched(kept) > 0))
            yield* this.#emit(noRow, kept, out);
          side.table.delete(due.key, due.keyBytes);
        }
        due.deleteCurrent();
      }
      yield* this.#leave(out);
    }
  }

  *#emit(row: number, kept: ByteSource | null, out: Output): Generator<void> {
    while (!this.#rows.add(row, kept, RowKindByte.insert)) yield* this.#leave(out);
  }

  *#leave(out: Output): Generator<void> {
    if (this.#rows.size > 0 && out.emit(this.#rows.take()) === Progress.more) yield;
    this.#rows.reset();
  }
}
