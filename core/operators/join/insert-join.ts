/**
 * The inner join of two sides that only insert, a batch at a time: the keys of a batch are looked for in the other side's
 * rows, matches come out, then its rows are kept for those to come. Rows do not become JavaScript values on the way.
 */
import { batchRowsMax, orderedPagesPerCall } from '../../base/limits.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import { entryBytes } from '../../ports/ordered-layout.ts';
import type { Batch } from '../../record/batch.ts';
import { Work } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress, watermarkMin } from '../operator.ts';
import { BatchSide, SideRoom } from './batch-side.ts';
import { type Asked, KeySearch } from './key-search.ts';
import { MatchRows } from './match-rows.ts';
import type { SideSpec } from './side.ts';
import { repeatBits, SideBounds } from './side-bounds.ts';

type JoinNode = Extract<PhysicalNode, { kind: 'join' }>;

/** Whether a join is one of these. */
export function onlyInserts({ type, residual, updating }: JoinNode): boolean {
  return type === 'inner' && residual === null && !updating[0] && !updating[1];
}

export class InsertJoin implements Operator {
  readonly #context: OperatorContext;
  readonly #room: SideRoom;
  readonly #sides: readonly [BatchSide, BatchSide];
  /** null: nothing bounds the rows that are kept. */
  readonly #bounds: readonly [SideBounds, SideBounds] | null;
  readonly #timeMs: { get(): number; set(value: number): void } | null;
  readonly #rows: MatchRows;
  readonly #work = new Work();
  readonly #search: KeySearch;
  /** By row that is in, a byte each: it has matches; it is left out. */
  readonly #matched: number;
  readonly #marks: number;
  readonly #repeats: number;

  constructor(node: JoinNode, context: OperatorContext) {
    const { memory, name, state } = context;
    const { bounds } = node;
    this.#context = context;
    const room = new SideRoom(memory, name);
    this.#room = room;
    const side = (i: 0 | 1): BatchSide =>
      new BatchSide({ ...specOf(node, i), input: context.inputs[i]!, counted: false, tracked: false }, room, context);
    this.#sides = [side(0), side(1)];
    const take = (bytes: number): number => memory.arena.allocate(bytes, `matches of ${name}`);
    const boundsOf = (i: 0 | 1) => new SideBounds(bounds!, i, this.#sides[i].side, context);
    this.#bounds = bounds ? [boundsOf(0), boundsOf(1)] : null;
    this.#timeMs = bounds ? state.value('watermark', watermarkMin, Math.min) : null;
    this.#repeats = bounds?.once.includes(true) ? take(4 << repeatBits) : 0;
    const leaves = (i: 0 | 1) => ({ leaves: node.output[i], shape: this.#sides[i].side.shape });
    this.#rows = new MatchRows(context.outputs[0]!, [leaves(0), leaves(1)], context);
    this.#search = new KeySearch(room, context);
    this.#matched = take(batchRowsMax);
    this.#marks = take(batchRowsMax);
    this.#passed();
  }

  onBatch(batch: Batch, port: number, out: Output): Progress {
    return batch.size === 0 ? Progress.done : this.#work.start(this.#consume(batch, port, out));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  onEnd(): Progress {
    if (this.#context.bounded) for (const { side } of this.#sides) side.table.clear();
    return Progress.done;
  }

  onWatermark(timeMs: number): Progress {
    if (this.#timeMs === null || timeMs <= this.#timeMs.get()) return Progress.done;
    this.#timeMs.set(timeMs);
    this.#passed();
    return Progress.done;
  }

  #passed(): void {
    if (this.#timeMs === null || this.#timeMs.get() === watermarkMin) return;
    for (const bounds of this.#bounds!) bounds.passed(this.#timeMs.get());
  }

  *#consume(batch: Batch, port: number, out: Output): Generator<void> {
    const own = this.#sides[port]!;
    const bounds = this.#bounds?.[port] ?? null;
    own.begin(batch);
    for (let from = 0; from < batch.size; ) {
      const to = own.encodeKeys(from);
      if (bounds !== null) this.#leaveOut(batch, port, bounds, from, to);
      this.#clear(this.#matched, from, to);
      yield* this.#match(batch, port, from, to, out);
      if (bounds?.once) yield* this.#settle(port, from, to);
      const skip = bounds === null ? 0 : this.#skipped(batch, port, bounds, from, to);
      const kept = yield* own.put(from, to, skip);
      bounds?.sweep(kept);
      from = to;
    }
    own.end();
  }

  /** Late rows, and those whose key was there although it never repeats, are counted and go no further. */
  #leaveOut(batch: Batch, port: number, bounds: SideBounds, from: number, to: number): void {
    const { counters, kernels } = this.#context;
    const { entries } = this.#room;
    this.#clear(this.#marks, from, to);
    if (bounds.markLate(batch, from, to, this.#marks))
      counters.addLate(kernels.entriesDrop(entries, this.#marks, from, to));
    if (!bounds.once) return;
    this.#clear(this.#marks, from, to);
    kernels.keysRepeat(entries, from, to, this.#repeats, repeatBits, this.#marks);
    this.#search.find(this.#sides[port]!.side, from, to, this.#asked(port, true, this.#marks));
    const repeats = kernels.entriesDrop(entries, this.#marks, from, to);
    if (repeats > 0) counters.addSkipped(repeats);
    if (bounds.known !== null)
      kernels.entriesOnly(entries, batch.columns[bounds.known]!.values, batch.selection, from, to);
  }

  /** Rows of the other side that waited for these, and for no others, have met them. */
  *#settle(port: number, from: number, to: number): Generator<void> {
    const { memory, state } = this.#context;
    const { table } = this.#sides[1 - port]!.side;
    for (let k = from; k < to; k++) {
      if (memory.u8[this.#matched + k] === 0) continue;
      while (state.reading && state.freePages < 2 * orderedPagesPerCall) yield;
      const entry = (this.#room.entries + k * entryBytes) >>> 2;
      table.deletePrefix(memory.u32[entry] as number, memory.u32[entry + 1] as number);
    }
  }

  /** Marks of rows that are not kept: those that met the one row they could meet, and those that will meet none. */
  #skipped(batch: Batch, port: number, bounds: SideBounds, from: number, to: number): number {
    const settled = this.#bounds![1 - port]!.once;
    if (!settled) this.#clear(this.#matched, from, to);
    bounds.markDead(batch, from, to, this.#matched);
    return this.#matched;
  }

  #clear(marks: number, from: number, to: number): void {
    this.#context.memory.u8.fill(0, marks + from, marks + to);
  }

  /** What is asked of the rows of side `port`. */
  #asked(port: number, only: boolean, matched: number): Asked {
    const bounds = this.#bounds?.[port];
    return { only, matched, once: bounds?.once ?? false, marked: bounds != null && bounds.known !== null };
  }

  /** Rows `from` to `to` of the batch beside those of the other side. */
  #match(batch: Batch, port: number, from: number, to: number, out: Output): Generator<void> {
    const asked = this.#asked(1 - port, false, this.#matched);
    return this.#search.each(batch, this.#sides[1 - port]!.side, from, to, asked, (own, kept, n) =>
      out.emit(this.#rows.take(batch, port, own, kept, n)),
    );
  }
}

/** What a side keeps: its mark and its bounded times first, where they are found without reading the rest. */
function specOf({ keys, output, bounds }: JoinNode, i: 0 | 1): Pick<SideSpec, 'name' | 'keys' | 'kept'> {
  const mark = bounds?.known[i] ?? null;
  const first = [...(mark === null ? [] : [mark]), ...(bounds?.dies[i].map(({ leaf }) => leaf) ?? [])];
  const rest = [...output[i]].sort((a, b) => a - b);
  const side = i === 0 ? 'left' : 'right';
  return { name: bounds ? `${side}.bounded` : side, keys: keys[i], kept: [...new Set([...first, ...rest])] };
}
