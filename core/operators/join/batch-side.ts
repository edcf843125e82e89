/**
 * One side of a join that works on whole batches: keys and rows cross between columns and state by kernels. State is
 * that of `JoinSide`. Knows nothing of what comes out.
 */
import { assert } from '../../base/assert.ts';
import { batchRowsMax, orderedInlineBytesMax, orderedPagesPerCall } from '../../base/limits.ts';
import { entryBytes } from '../../ports/ordered-layout.ts';
import { encodedBytes, encodedCountAt, encodedRowAt } from '../../ports/rows-layout.ts';
import type { Batch } from '../../record/batch.ts';
import { LeafList } from '../../record/leaf-list.ts';
import type { SlotMemory } from '../../record/memory.ts';
import { rowShape } from '../../record/row-columns.ts';
import { waitForPages } from '../keyed-parts.ts';
import type { OperatorContext } from '../operator.ts';
import { JoinSide, type SideSpec } from './side.ts';

/** Room that the sides of a join share: only one is being worked on at a time. */
export class SideRoom {
  /** By row that is in: the address and bytes of its key; 0 bytes: it has none. */
  readonly entries: number;
  readonly puts: number;
  readonly keys: number;
  readonly rows: number;
  readonly result: number;

  constructor(memory: SlotMemory, name: string) {
    const take = (bytes: number): number => memory.arena.allocate(bytes, `rows of ${name}`);
    this.entries = take(entryBytes * batchRowsMax);
    this.puts = take(entryBytes * batchRowsMax);
    this.keys = take(keyRoomBytes + 16);
    this.rows = take(rowRoomBytes + 16);
    this.result = take(encodedBytes);
  }
}

export class BatchSide {
  readonly side: JoinSide;
  readonly #context: OperatorContext;
  readonly #room: SideRoom;
  readonly #keys: LeafList;
  readonly #rows: LeafList;
  #batch: Batch | null = null;

  constructor(spec: SideSpec, room: SideRoom, context: OperatorContext) {
    this.side = new JoinSide(spec, context);
    this.#context = context;
    this.#room = room;
    this.#keys = new LeafList(rowShape(spec.input, spec.keys, 0).leaves, context.memory, context.name);
    this.#rows = new LeafList(this.side.shape.leaves, context.memory, context.name);
  }

  begin(batch: Batch): void {
    this.#batch = batch;
    this.side.begin(batch);
    this.#keys.read(batch);
    this.#rows.read(batch);
  }

  end(): void {
    this.#batch = null;
    this.side.end();
  }

  /** Writes the keys of rows `from` on to the room's entries; answers the row that they are for next. Errors: `record/too-large`. */
  encodeKeys(from: number): number {
    const { selection, size } = this.#batch as Batch;
    const { entries, keys } = this.#room;
    const to = this.#context.kernels.keysEncode(
      this.#keys.address,
      this.#keys.count,
      this.side.keyHashes,
      selection,
      from,
      size,
      entries,
      keys,
      keyRoomBytes,
    );
    if (to === from) this.side.refuseKey(from, this.#rowAt(from));
    return to;
  }

  /** Keeps rows `from` to `to`, whose keys are in the room's entries, but those marked in `skip` (0: none is). Answers how many. */
  *put(from: number, to: number, skip: number): Generator<void, number> {
    const { kernels, memory, state } = this.#context;
    const { table, shape } = this.side;
    const { entries, puts, rows, result } = this.#room;
    const { selection } = this.#batch as Batch;
    const number = this.side.takeNumbers(to - from) - from;
    let kept = 0;
    for (let at = from; at < to; ) {
      kernels.rowsEncode(
        this.#rows.address,
        this.#rows.count,
        shape.nullBytes,
        shape.headBytes,
        selection,
        at,
        to,
        entries,
        skip,
        BigInt(number),
        puts,
        rows,
        rowRoomBytes,
        orderedInlineBytesMax,
        result,
      );
      const stopped = memory.u32[(result + encodedRowAt) >>> 2] as number;
      const count = memory.u32[(result + encodedCountAt) >>> 2] as number;
      for (let done = 0; done < count; ) {
        done += table.putMany(puts + done * entryBytes, count - done);
        if (done < count) yield* waitForPages(table.stop, state);
      }
      kept += count;
      at = stopped;
      // A long row goes by itself.
      if (stopped < to && count === 0) {
        while (state.reading && state.freePages < 4 * orderedPagesPerCall) yield;
        this.side.putLong(stopped, this.#rowAt(stopped), number + stopped);
        kept++;
        at++;
      }
    }
    return kept;
  }

  #rowAt(k: number): number {
    const { selection } = this.#batch as Batch;
    return selection === 0 ? k : (this.#context.memory.u32[(selection >>> 2) + k] as number);
  }
}

const keyRoomBytes = 128 * 1024;
const rowRoomBytes = 256 * 1024;
assert(rowRoomBytes > orderedInlineBytesMax, 'a row that finds no room');
