/**
 * The join of two windowed streams by equal windows. Rows of both sides are kept by the end of their window, then by key; when
 * event time has passed the end, nothing can come for it any more: matches and rows without one come out, all of them final,
 * and the window's rows go. State is the windows that are open.
 */
import type { PhysicalNode } from '../../plan/physical.ts';
import { type Batch, RowKindByte } from '../../record/batch.ts';
import type { ByteSource } from '../../record/bytes.ts';
import { isComplete } from '../../time/windows.ts';
import { Work } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress, watermarkMax, watermarkMin } from '../operator.ts';
import { alone, type Residual, residualOf, waitForRoom } from './parts.ts';
import { JoinRows } from './rows.ts';
import { TimedRows } from './timed-rows.ts';

type JoinNode = Extract<PhysicalNode, { kind: 'join' }>;

export class WindowJoin implements Operator {
  readonly #node: JoinNode;
  readonly #context: OperatorContext;
  readonly #sides: readonly [TimedRows, TimedRows];
  readonly #rows: JoinRows;
  readonly #residual: Residual | null;
  readonly #watermark: { get(): number; set(value: number): void };
  readonly #work = new Work();

  constructor(node: JoinNode, context: OperatorContext) {
    const { output, residual, windowEnd } = node;
    this.#node = node;
    this.#context = context;
    const side = (i: 0 | 1): TimedRows => {
      const kept = new Set([...output[i], ...(residual?.leaves[i] ?? [])]);
      return new TimedRows(
        {
          name: i === 0 ? 'left' : 'right',
          input: context.inputs[i]!,
          keys: node.keys[i],
          time: windowEnd![i],
          kept: [...kept].sort((a, b) => a - b),
        },
        context,
      );
    };
    const sides = [side(0), side(1)] as const;
    this.#sides = sides;
    const leaves = (of: readonly [readonly number[], readonly number[]]) =>
      [
        { leaves: of[0], shape: sides[0].shape },
        { leaves: of[1], shape: sides[1].shape },
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

  get holdsToEnd(): boolean {
    return this.#context.bounded;
  }

  onWatermark(timeMs: number, out: Output): Progress {
    if (timeMs <= this.#watermark.get()) return Progress.done;
    this.#watermark.set(timeMs);
    return this.#work.start(this.#fire(out));
  }

  onEnd(out: Output): Progress {
    return this.onWatermark(watermarkMax, out);
  }

  *#consume(batch: Batch, port: number, out: Output): Generator<void> {
    const { bounded, counters, memory, state } = this.#context;
    const own = this.#sides[port]!;
    const tables = this.#sides.map(({ table }) => table);
    own.begin(batch);
    this.#rows.begin(batch, port);
    for (let k = 0; k < batch.size; k++) {
      const row = batch.selection === 0 ? k : (memory.u32[(batch.selection >>> 2) + k] as number);
      if (!bounded && isComplete(own.timeOf(row), this.#watermark.get())) counters.addLate(1);
      else if (own.hasKey(row)) {
        if (state.reading) yield* waitForRoom(state, tables);
        own.put(k, row);
      } else if (alone[this.#node.type][port] === 'unmatched') yield* this.#add(row, null, out);
    }
    own.endBatch();
    yield* this.#leave(out);
  }

  *#fire(out: Output): Generator<void> {
    const { type } = this.#node;
    const [left, right] = this.#sides;
    const until = this.#watermark.get();
    // Rows of the right side come out alone where none of the left side matches; the others by those of the left.
    yield* this.#walk(0, until, type === 'semi' || type === 'anti' ? 'once' : 'pairs', out);
    if (alone[type][1] === 'unmatched') yield* this.#walk(1, until, 'alone', out);
    for (const side of [left, right]) yield* this.#forget(side, until);
  }

  /** Goes through the rows of a side whose windows are over, each beside its matches of the other side. */
  *#walk(port: 0 | 1, until: number, how: 'pairs' | 'once' | 'alone', out: Output): Generator<void> {
    const side = this.#sides[port];
    const other = this.#sides[1 - port]!;
    const shows = alone[this.#node.type][port];
    side.rewind(lastOver(until));
    let batch = side.batch();
    this.#begin(batch, port);
    let row = 0;
    for (;;) {
      const more = side.next();
      const placed = more && row < this.#context.batchRows && side.place(row, row === 0);
      if (!placed) {
        yield* this.#leave(out);
        if (!more) return;
        batch = side.batch();
        this.#begin(batch, port);
        side.place(0, true);
        row = 0;
      }
      let matches = 0;
      other.probe(side);
      while (other.matches.next()) {
        const kept = other.matches.value();
        if (this.#residual !== null && !this.#residual.holds(row, kept)) continue;
        matches++;
        if (how !== 'pairs') break;
        yield* this.#add(row, other.matches.value(), out);
      }
      if ((shows === 'unmatched' && matches === 0) || (shows === 'matched' && matches > 0))
        yield* this.#add(row, null, out);
      row++;
    }
  }

  #begin(batch: Batch, port: number): void {
    this.#rows.begin(batch, port);
    this.#residual?.begin(batch, port);
  }

  *#add(row: number, kept: ByteSource | null, out: Output): Generator<void> {
    while (!this.#rows.add(row, kept, RowKindByte.insert)) yield* this.#leave(out);
  }

  *#leave(out: Output): Generator<void> {
    if (this.#rows.size > 0 && out.emit(this.#rows.take()) === Progress.more) yield;
    this.#rows.reset();
  }

  *#forget(side: TimedRows, until: number): Generator<void> {
    const { state } = this.#context;
    if (until === watermarkMax) return side.table.clear();
    side.rewind(lastOver(until));
    while (side.next()) {
      if (state.reading) yield* waitForRoom(state, [side.table]);
      side.deleteCurrent();
    }
  }
}

/** The last end of a window that is over: its last moment has passed. */
const lastOver = (timeMs: number): number => (timeMs === watermarkMax ? watermarkMax : timeMs + 1);
