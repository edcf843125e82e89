/** OVER of input that ends: rows are kept until then, in order, and come out with their results, partition by partition. */
import type { OrderedCursor } from '../../ports/state.ts';
import { type Batch, batch as batchOf } from '../../record/batch.ts';
import type { Layout } from '../../record/layout.ts';
import { waitForRoom } from '../join/parts.ts';
import { Work } from '../keyed-parts.ts';
import { type Operator, type OperatorContext, type Output, Progress } from '../operator.ts';
import { Chunk } from './chunk.ts';
import { Frames } from './frames.ts';
import { type OverNode, OverRows } from './rows.ts';

export class OverAtEnd implements Operator {
  readonly holdsToEnd = true;
  readonly #context: OperatorContext;
  readonly #rows: OverRows;
  readonly #chunk: Chunk;
  readonly #frames: Frames;
  readonly #carry: number;
  readonly #walk: OrderedCursor;
  readonly #arrivals: { get(): number; set(value: number): void };
  readonly #work = new Work();

  constructor(node: OverNode, results: Layout, context: OperatorContext) {
    this.#context = context;
    this.#rows = new OverRows(node, null, context);
    this.#chunk = new Chunk(this.#rows, results, context);
    this.#frames = new Frames(node, this.#rows, context);
    this.#carry = context.memory.arena.allocate(this.#frames.bytes, context.name);
    this.#walk = this.#rows.table.cursor();
    this.#arrivals = context.state.value('arrivals', 0, Math.max);
  }

  onBatch(batch: Batch): Progress {
    return batch.size === 0 ? Progress.done : this.#work.start(this.#consume(batch));
  }

  resume(): Progress {
    return this.#work.resume();
  }

  onEnd(out: Output): Progress {
    return this.#work.start(this.#finish(out));
  }

  *#consume(batch: Batch): Generator<void> {
    const { memory, state } = this.#context;
    let arrival = this.#arrivals.get();
    this.#rows.begin(batch);
    for (let k = 0; k < batch.size; k++) {
      const row = batch.selection === 0 ? k : (memory.u32[(batch.selection >>> 2) + k] as number);
      if (state.reading) yield* waitForRoom(state, [this.#rows.table]);
      this.#rows.writeKey(batch, k, row);
      this.#rows.put(batch, row, arrival++);
    }
    this.#arrivals.set(arrival);
  }

  *#finish(out: Output): Generator<void> {
    const chunk = this.#chunk;
    this.#walk.prefix(0, 0);
    let more = this.#walk.next();
    let goesOn = false;
    while (more) {
      chunk.reset();
      if (!goesOn) this.#frames.clear(this.#carry);
      while (more && (chunk.size === 0 || chunk.isOfPartition(this.#walk)) && chunk.add(this.#walk))
        more = this.#walk.next();
      goesOn = more && chunk.isOfPartition(this.#walk);
      this.#frames.compute(chunk, this.#carry);
      const rows = batchOf(this.#context.outputs[0]!, chunk.size, chunk.shown(chunk.results));
      if (out.emit(rows) === Progress.more) yield;
    }
    this.#rows.table.clear();
  }
}
