/**
 * Rows looked up in a table that ends, by a key of which it has one row at most. Every subtask has the whole table, in state, as
 * it was when it was read; rows of the left side that come before its end wait there, too, for their match or for the end. Later ones
 * are answered at once and kept nowhere.
 */
import { batchRowsMax, orderedPagesPerCall } from '../../base/limits.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import { entryBytes } from '../../ports/ordered-layout.ts';
import { type Batch, RowKindByte } from '../../record/batch.ts';
import type { ByteSource } from '../../record/bytes.ts';
import { Work } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress } from '../operator.ts';
import { BatchSide, SideRoom } from './batch-side.ts';
import { KeySearch } from './key-search.ts';
import { MatchRows } from './match-rows.ts';
import { JoinRows, noRow } from './rows.ts';
import { repeatBits } from './side-bounds.ts';

type JoinNode = Extract<PhysicalNode, { kind: 'join' }>;

export class LookupJoin implements Operator {
  readonly #context: OperatorContext;
  readonly #room: SideRoom;
  readonly #waiting: BatchSide;
  readonly #table: BatchSide;
  readonly #search: KeySearch;
  readonly #matches: MatchRows;
  /** Rows that nothing was found for. */
  readonly #alone: JoinRows;
  readonly #work = new Work();
  /** By row that is in, a byte each: it has a match; its key is there already. */
  readonly #matched: number;
  readonly #marks: number;
  readonly #repeats: number;
  /** The table has been read. */
  #whole = false;

  constructor(node: JoinNode, context: OperatorContext) {
    const { memory, name } = context;
    this.#context = context;
    this.#room = new SideRoom(memory, name);
    const side = (i: 0 | 1, of: string, lie: 'anywhere' | 'everywhere'): BatchSide => {
      const kept = [...node.output[i]].sort((a, b) => a - b);
      const spec = {
        name: of,
        input: context.inputs[i]!,
        keys: node.keys[i],
        kept,
        counted: false,
        tracked: false,
        lie,
      };
      return new BatchSide(spec, this.#room, context);
    };
    this.#waiting = side(0, 'waiting', 'anywhere');
    this.#table = side(1, 'table', 'everywhere');
    const leaves = [
      { leaves: node.output[0], shape: this.#waiting.side.shape },
      { leaves: node.output[1], shape: this.#table.side.shape },
    ] as const;
    this.#search = new KeySearch(this.#room, context);
    this.#matches = new MatchRows(context.outputs[0]!, leaves, context);
    this.#alone = new JoinRows(context.outputs[0]!, leaves, context.batchRows, context);
    const take = (bytes: number): number => memory.arena.allocate(bytes, `matches of ${name}`);
    this.#matched = take(batchRowsMax);
    this.#marks = take(batchRowsMax);
    this.#repeats = take(4 << repeatBits);
  }

  onBatch(batch: Batch, port: number, out: Output): Progress {
    if (batch.size === 0) return Progress.done;
    return this.#work.start(port === 0 ? this.#lookUp(batch, out) : this.#learn(batch, out));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  onInputEnd(port: number, out: Output): Progress {
    return port === 1 ? this.#work.start(this.#answerRest(out)) : Progress.done;
  }

  onEnd(): Progress {
    if (this.#context.bounded) this.#table.side.table.clear();
    return Progress.done;
  }

  /** What waits is not to be late when it comes out. */
  get holdsToEnd(): boolean {
    return !this.#whole && this.#waiting.side.table.size > 0;
  }

  *#lookUp(batch: Batch, out: Output): Generator<void> {
    const { u8 } = this.#context.memory;
    const own = this.#waiting;
    own.begin(batch);
    this.#alone.begin(batch, 0);
    for (let from = 0; from < batch.size; ) {
      const to = own.encodeKeys(from);
      u8.fill(0, this.#matched + from, this.#matched + to);
      yield* this.#search.each(batch, this.#table.side, from, to, this.#asked(this.#matched), (rows, kept, n) =>
        out.emit(this.#matches.take(batch, 0, rows, kept, n)),
      );
      yield* this.#leaveAlone(batch, from, to, out);
      if (!this.#whole) yield* own.put(from, to, this.#matched);
      from = to;
    }
    own.end();
    this.#alone.begin(null, 0);
  }

  /** Rows of the table: those that waited for them come out, then they are kept. */
  *#learn(batch: Batch, out: Output): Generator<void> {
    const { counters, kernels, memory } = this.#context;
    const own = this.#table;
    own.begin(batch);
    for (let from = 0; from < batch.size; ) {
      const to = own.encodeKeys(from);
      memory.u8.fill(0, this.#marks + from, this.#marks + to);
      memory.u8.fill(0, this.#matched + from, this.#matched + to);
      kernels.keysRepeat(this.#room.entries, from, to, this.#repeats, repeatBits, this.#marks);
      this.#search.find(own.side, from, to, { ...this.#asked(this.#marks), only: true });
      const repeats = kernels.entriesDrop(this.#room.entries, this.#marks, from, to);
      // Each subtask has the whole table, and one tells of it.
      if (repeats > 0 && this.#context.subtask === 0) counters.addSkipped(repeats);
      const asked = { ...this.#asked(this.#matched), once: false };
      yield* this.#search.each(batch, this.#waiting.side, from, to, asked, (rows, kept, n) =>
        out.emit(this.#matches.take(batch, 1, rows, kept, n)),
      );
      yield* this.#forget(from, to);
      yield* own.put(from, to, 0);
      from = to;
    }
    own.end();
  }

  /** What has waited in vain. */
  *#answerRest(out: Output): Generator<void> {
    const { table, matches } = this.#waiting.side;
    this.#alone.begin(null, 1);
    matches.prefix(0, 0);
    while (matches.next()) yield* this.#add(noRow, matches.value(), out);
    yield* this.#leave(out);
    table.clear();
    this.#whole = true;
  }

  /** Rows without a match come out alone: all of them when the table is whole, else those that can have none. */
  *#leaveAlone(batch: Batch, from: number, to: number, out: Output): Generator<void> {
    const { u8, u32 } = this.#context.memory;
    for (let k = from; k < to; k++) {
      if (u8[this.#matched + k] !== 0) continue;
      const hasKey = u32[(this.#room.entries + k * entryBytes + 4) >>> 2] !== 0;
      if (hasKey && !this.#whole) continue;
      const row = batch.selection === 0 ? k : (u32[(batch.selection >>> 2) + k] as number);
      yield* this.#add(row, null, out);
    }
    yield* this.#leave(out);
  }

  /** Rows that waited and have met their match. */
  *#forget(from: number, to: number): Generator<void> {
    const { memory, state } = this.#context;
    const { table } = this.#waiting.side;
    for (let k = from; k < to; k++) {
      if (memory.u8[this.#matched + k] === 0) continue;
      while (state.reading && state.freePages < 2 * orderedPagesPerCall) yield;
      const entry = (this.#room.entries + k * entryBytes) >>> 2;
      table.deletePrefix(memory.u32[entry] as number, memory.u32[entry + 1] as number);
    }
  }

  #asked(matched: number) {
    return { only: false, matched, once: true, marked: false };
  }

  *#add(row: number, kept: ByteSource | null, out: Output): Generator<void> {
    while (!this.#alone.add(row, kept, RowKindByte.insert)) yield* this.#leave(out);
  }

  *#leave(out: Output): Generator<void> {
    if (this.#alone.size > 0 && out.emit(this.#alone.take()) === Progress.more) yield;
    this.#alone.reset();
  }
}
