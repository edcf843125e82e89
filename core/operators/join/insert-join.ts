/**
 * The inner join of two sides that only insert, a batch at a time: the keys of a batch are looked for in the other side's
 * rows, matches come out, then its rows are kept for those to come. Rows do not become JavaScript values on the way.
 */
import { batchRowsMax } from '../../base/limits.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import type { BlockPool } from '../../ports/blocks.ts';
import {
  probeBytes,
  probeCountAt,
  probeEntriesAt,
  probeEntryAt,
  probeLeafAt,
  probeMatchedAt,
  probeMostAt,
  probeNeedAt,
  probeOnceAt,
  probeRoomAt,
  probeRoomBytesAt,
  probeUsedAt,
  probeValuesAt,
} from '../../ports/rows-layout.ts';
import type { Batch } from '../../record/batch.ts';
import { arenaBlocks } from '../../record/blocks.ts';
import { takeBlock } from '../../record/row-store.ts';
import { Work } from '../aggregate-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress } from '../operator.ts';
import { BatchSide, SideRoom } from './batch-side.ts';
import { MatchRows } from './match-rows.ts';

type JoinNode = Extract<PhysicalNode, { kind: 'join' }>;

/** Whether a join is one of these. */
export function onlyInserts({ type, residual, updating }: JoinNode): boolean {
  return type === 'inner' && residual === null && !updating[0] && !updating[1];
}

export class InsertJoin implements Operator {
  readonly #context: OperatorContext;
  readonly #room: SideRoom;
  readonly #sides: readonly [BatchSide, BatchSide];
  readonly #rows: MatchRows;
  readonly #work = new Work();
  readonly #probe: number;
  /** Of the matches that were found: numbers of entries, then rows of the batch; addresses of the other side's rows. */
  readonly #entries: number;
  readonly #own: number;
  readonly #kept: number;
  readonly #matched: number;
  readonly #blocks: BlockPool;
  #long: { readonly address: number; readonly bytes: number } | null = null;

  constructor(node: JoinNode, context: OperatorContext) {
    const { memory, name, batchRows } = context;
    this.#context = context;
    this.#blocks = context.blocks ?? arenaBlocks(memory.arena);
    const room = new SideRoom(memory, name);
    this.#room = room;
    const side = (i: 0 | 1): BatchSide =>
      new BatchSide(
        {
          name: i === 0 ? 'left' : 'right',
          input: context.inputs[i]!,
          keys: node.keys[i],
          kept: [...node.output[i]].sort((a, b) => a - b),
          counted: false,
          tracked: false,
        },
        room,
        context,
      );
    this.#sides = [side(0), side(1)];
    const leaves = (i: 0 | 1) => ({ leaves: node.output[i], shape: this.#sides[i].side.shape });
    this.#rows = new MatchRows(context.outputs[0]!, [leaves(0), leaves(1)], context);
    const take = (bytes: number): number => memory.arena.allocate(bytes, `matches of ${name}`);
    this.#entries = take(4 * batchRows);
    this.#own = take(4 * batchRows);
    this.#kept = take(4 * batchRows);
    this.#matched = take(batchRowsMax);
    this.#probe = take(probeBytes);
    this.#set(probeMostAt, batchRows);
    this.#set(probeEntriesAt, this.#entries);
    this.#set(probeValuesAt, this.#kept);
    this.#set(probeMatchedAt, this.#matched);
    this.#set(probeOnceAt, 0);
    this.#set(probeRoomBytesAt, 0);
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

  *#consume(batch: Batch, port: number, out: Output): Generator<void> {
    const own = this.#sides[port]!;
    own.begin(batch);
    this.#context.memory.u8.fill(0, this.#matched, this.#matched + batch.size);
    for (let from = 0; from < batch.size; ) {
      const to = own.encodeKeys(from);
      yield* this.#match(batch, port, from, to, out);
      yield* own.put(from, to, 0);
      from = to;
    }
    own.end();
  }

  /** Rows `from` to `to` of the batch beside those of the other side. */
  *#match(batch: Batch, port: number, from: number, to: number, out: Output): Generator<void> {
    const { kernels, memory } = this.#context;
    const { table } = this.#sides[1 - port]!.side;
    if (table.size === 0) return;
    this.#set(probeEntryAt, from);
    this.#set(probeLeafAt, 0);
    for (let done = false; !done; ) {
      this.#set(probeUsedAt, 0);
      done = table.probeMany(this.#room.entries, to, this.#probe);
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
    }
    this.#freeRoom();
    memory.u32[(this.#probe + probeLeafAt) >>> 2] = 0;
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

const longRoomBytes = 64 * 1024;
