/**
 * The inner join of two sides that only insert, a batch at a time: the keys of a batch are looked for in the other side's
 * rows, matches come out, then its rows are kept for those to come. Rows do not become JavaScript values on the way.
 */
import { batchRowsMax, orderedPagesPerCall } from '../../base/limits.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import type { BlockPool } from '../../ports/blocks.ts';
import { entryBytes } from '../../ports/ordered-layout.ts';
import {
  probeBytes,
  probeCountAt,
  probeEntriesAt,
  probeEntryAt,
  probeLeafAt,
  probeMarkAt,
  probeMatchedAt,
  probeMostAt,
  probeNeedAt,
  probeOnceAt,
  probeOnlyAt,
  probeRoomAt,
  probeRoomBytesAt,
  probeUsedAt,
  probeValuesAt,
} from '../../ports/rows-layout.ts';
import type { Batch } from '../../record/batch.ts';
import { arenaBlocks } from '../../record/blocks.ts';
import { takeBlock } from '../../record/row-store.ts';
import { Work } from '../aggregate-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress, watermarkMin } from '../operator.ts';
import { BatchSide, SideRoom } from './batch-side.ts';
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
  readonly #blocks: BlockPool;
  readonly #probe: number;
  /** Of the matches that were found: numbers of entries, then rows of the batch; addresses of the other side's rows. */
  readonly #entries: number;
  readonly #own: number;
  readonly #kept: number;
  /** By row that is in, a byte each: it has matches; it is left out. */
  readonly #matched: number;
  readonly #marks: number;
  readonly #repeats: number;
  #long: { readonly address: number; readonly bytes: number } | null = null;

  constructor(node: JoinNode, context: OperatorContext) {
    const { memory, name, batchRows, state } = context;
    const { bounds } = node;
    this.#context = context;
    this.#blocks = context.blocks ?? arenaBlocks(memory.arena);
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
    this.#entries = take(4 * batchRows);
    this.#own = take(4 * batchRows);
    this.#kept = take(4 * batchRows);
    this.#matched = take(batchRowsMax);
    this.#marks = take(batchRowsMax);
    this.#probe = take(probeBytes);
    this.#set(probeMostAt, batchRows);
    this.#set(probeEntriesAt, this.#entries);
    this.#set(probeValuesAt, this.#kept);
    this.#set(probeRoomBytesAt, 0);
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
    this.#find(port, from, to, { only: true, matched: this.#marks });
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

  /** Begins a search for rows `from` to `to` among those of side `port`. */
  #find(port: number, from: number, to: number, { only, matched }: { only: boolean; matched: number }): boolean {
    const { side } = this.#sides[port]!;
    const bounds = this.#bounds?.[port];
    this.#set(probeOnlyAt, only ? 1 : 0);
    this.#set(probeMatchedAt, matched);
    this.#set(probeOnceAt, bounds?.once ? 1 : 0);
    // The mark stands before all other columns.
    this.#set(
      probeMarkAt,
      bounds != null && bounds.known !== null ? 1 + side.shape.nullBytes + side.shape.headBytes : 0,
    );
    this.#set(probeEntryAt, from);
    this.#set(probeLeafAt, 0);
    this.#set(probeUsedAt, 0);
    return side.table.size === 0 || side.table.probeMany(this.#room.entries, to, this.#probe);
  }

  /** Rows `from` to `to` of the batch beside those of the other side. */
  *#match(batch: Batch, port: number, from: number, to: number, out: Output): Generator<void> {
    const { kernels } = this.#context;
    const { table } = this.#sides[1 - port]!.side;
    if (table.size === 0) return;
    let done = this.#find(1 - port, from, to, { only: false, matched: this.#matched });
    for (;;) {
      const n = this.#get(probeCountAt);
      if (n > 0) {
        let own = this.#entries;
        if (batch.selection !== 0) {
          own = this.#own;
          kernels.gather4(batch.selection, this.#entries, 0, n, own);
        }
        const matches = this.#rows.take(batch, port, own, this.#kept, n);
        if (out.emit(matches) === Progress.more) yield;
      } else if (!done) this.#makeRoom(this.#get(probeNeedAt));
      if (done) break;
      this.#set(probeUsedAt, 0);
      done = table.probeMany(this.#room.entries, to, this.#probe);
    }
    this.#freeRoom();
  }

  /** Room for long rows of the other side: as much as usual, or what one needs. */
  #makeRoom(bytes: number): void {
    this.#freeRoom();
    const room = Math.max(bytes, longRoomBytes);
    this.#long = { address: takeBlock(this.#blocks, room, this.#context.name, 1), bytes: room };
    this.#set(probeRoomAt, this.#long.address);
    this.#set(probeRoomBytesAt, room);
  }

  #freeRoom(): void {
    if (this.#long) this.#blocks.give(this.#long.address, this.#long.bytes);
    this.#long = null;
    this.#set(probeRoomBytesAt, 0);
  }

  #get(at: number): number {
    return this.#context.memory.u32[(this.#probe + at) >>> 2] as number;
  }

  #set(at: number, value: number): void {
    this.#context.memory.u32[(this.#probe + at) >>> 2] = value;
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

const longRoomBytes = 64 * 1024;
