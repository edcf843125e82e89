/**
 * Looks the keys of a batch up among the rows that a side keeps, many at a time (core/ports/rows-layout.ts), and hands the matches on in
 * batches. Knows nothing of what they mean.
 */
import type { BlockPool } from '../../ports/blocks.ts';
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
import { type OperatorContext, Progress } from '../operator.ts';
import type { SideRoom } from './batch-side.ts';
import type { JoinSide } from './side.ts';

/** What is asked of the rows of a key. */
export interface Asked {
  /** That there are matches, and no more. */
  readonly only: boolean;
  /** Marks, a byte for each row that is in: it has matches. */
  readonly matched: number;
  /** A key has one row at most. */
  readonly once: boolean;
  /** Rows have a mark before their columns, which says whether they come out. */
  readonly marked: boolean;
}

export class KeySearch {
  readonly #context: OperatorContext;
  readonly #room: SideRoom;
  readonly #blocks: BlockPool;
  readonly #probe: number;
  /** Of the matches that were found: numbers of entries, then rows of the batch; addresses of the side's rows. */
  readonly #entries: number;
  readonly #own: number;
  readonly #kept: number;
  #long: { readonly address: number; readonly bytes: number } | null = null;

  constructor(room: SideRoom, context: OperatorContext) {
    const { memory, name, batchRows } = context;
    this.#context = context;
    this.#room = room;
    this.#blocks = context.blocks ?? arenaBlocks(memory.arena);
    const take = (bytes: number): number => memory.arena.allocate(bytes, `matches of ${name}`);
    this.#entries = take(4 * batchRows);
    this.#own = take(4 * batchRows);
    this.#kept = take(4 * batchRows);
    this.#probe = take(probeBytes);
    this.#set(probeMostAt, batchRows);
    this.#set(probeEntriesAt, this.#entries);
    this.#set(probeValuesAt, this.#kept);
    this.#set(probeRoomBytesAt, 0);
  }

  /** Begins a search for rows `from` to `to`, whose keys are in the room's entries. Answers whether it is done. */
  find(side: JoinSide, from: number, to: number, { only, matched, once, marked }: Asked): boolean {
    this.#set(probeOnlyAt, only ? 1 : 0);
    this.#set(probeMatchedAt, matched);
    this.#set(probeOnceAt, once ? 1 : 0);
    this.#set(probeMarkAt, marked ? 1 + side.shape.nullBytes + side.shape.headBytes : 0);
    this.#set(probeEntryAt, from);
    this.#set(probeLeafAt, 0);
    this.#set(probeUsedAt, 0);
    return side.table.size === 0 || side.table.probeMany(this.#room.entries, to, this.#probe);
  }

  /** Hands on the matches of rows `from` to `to` of the batch: rows of it at `own`, the side's at the addresses `kept`. */
  *each(
    batch: Batch,
    side: JoinSide,
    from: number,
    to: number,
    asked: Asked,
    found: (own: number, kept: number, n: number) => Progress,
  ): Generator<void> {
    const { table } = side;
    if (table.size === 0) return;
    let done = this.find(side, from, to, asked);
    for (;;) {
      const n = this.#get(probeCountAt);
      if (n > 0) {
        let own = this.#entries;
        if (batch.selection !== 0) {
          own = this.#own;
          this.#context.kernels.gather4(batch.selection, this.#entries, 0, n, own);
        }
        if (found(own, this.#kept, n) === Progress.more) yield;
      } else if (!done) this.#makeRoom(this.#get(probeNeedAt));
      if (done) break;
      this.#set(probeUsedAt, 0);
      done = table.probeMany(this.#room.entries, to, this.#probe);
    }
    this.#freeRoom();
  }

  /** Room for long rows of the side: as much as usual, or what one needs. */
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
