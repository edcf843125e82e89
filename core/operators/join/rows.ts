/**
 * Results of a join on their way out: rows of the batch that is being joined, beside rows that the other side keeps in
 * state. Own columns are gathered by kernels when the batch is full; kept ones are read out as they are met, strings
 * copied, since state moves. Knows nothing of what matches.
 */
import { type Batch, batch as batchOf, type Column } from '../../record/batch.ts';
import { arenaBlocks } from '../../record/blocks.ts';
import type { ByteSource } from '../../record/bytes.ts';
import { type Layout, valueBytes } from '../../record/layout.ts';
import { type LeafTarget, type RowShape, readRowColumns, setBit, type TextRoom } from '../../record/row-columns.ts';
import { type ColumnBuffer, columnBuffers, takeBlock } from '../../record/row-store.ts';
import type { OperatorContext } from '../operator.ts';

/** Leaves of one side, by place in the result. */
export interface SideLeaves {
  /** In the side's input. */
  readonly leaves: readonly number[];
  /** What state holds of its rows. */
  readonly shape: RowShape;
}

/** No row of the batch: the own side is missing. */
export const noRow = -1;

export class JoinRows {
  /** Rows in it. */
  size = 0;
  readonly #context: OperatorContext;
  readonly #layout: Layout;
  readonly #sides: readonly [SideLeaves, SideLeaves];
  readonly #rowsMax: number;
  readonly #buffers: readonly ColumnBuffer[];
  /** By side: where each leaf of its shape goes. */
  readonly #targets: readonly (readonly (LeafTarget | null)[])[];
  readonly #texts: Texts;
  readonly #own: number;
  /** A bit per row: it has an own side. */
  readonly #present: number;
  readonly #kinds: number;
  #missing = false;
  #anyKind = 0;
  #batch: Batch | null = null;
  #port = 0;

  constructor(layout: Layout, sides: readonly [SideLeaves, SideLeaves], rowsMax: number, context: OperatorContext) {
    const { memory, name } = context;
    this.#context = context;
    this.#layout = layout;
    this.#sides = sides;
    this.#rowsMax = rowsMax;
    this.#buffers = columnBuffers(layout, memory, rowsMax, `results of ${name}`);
    this.#targets = sides.map(({ leaves, shape }, side) =>
      shape.leaves.map(({ leaf }) => {
        const place = leaves.indexOf(leaf);
        return place < 0 ? null : this.#buffers[this.#first(side) + place]!;
      }),
    );
    this.#texts = new Texts(context);
    this.#own = memory.arena.allocate(4 * rowsMax, `results of ${name}`);
    this.#present = memory.arena.allocate(valueBytes('bit', rowsMax) + 8, `results of ${name}`);
    this.#kinds = memory.arena.allocate(rowsMax, `results of ${name}`);
  }

  /** Rows that are added are of `batch`, which came on `port`; null: there is no own side. */
  begin(batch: Batch | null, port: number): void {
    this.#batch = batch;
    this.#port = port;
  }

  /**
   * Adds row `own` of the batch (`noRow`: none) beside a kept row of the other side (null: none). False: there is no room;
   * `take`, `reset`, and add it again. A row alone is always taken. Errors: `memory/exhausted`.
   */
  add(own: number, kept: ByteSource | null, kind: number): boolean {
    if (this.size === this.#rowsMax) return false;
    const { memory } = this.#context;
    const side = 1 - this.#port;
    if (kept !== null) {
      const start = kept.at;
      const shape = this.#sides[side]!.shape;
      const targets = this.#targets[side]!;
      const mark = this.#texts.next;
      while (!readRowColumns(memory, kept, shape, targets, this.size, this.#texts)) {
        kept.at = start;
        this.#texts.next = mark;
        if (this.size > 0) return false;
        this.#texts.grow(kept.end - kept.at);
      }
      kept.at = start;
    } else this.#leaveOut(side);
    const n = this.size++;
    memory.u32[(this.#own >>> 2) + n] = own < 0 ? 0 : own;
    if (own < 0) this.#missing = true;
    setBit(memory, this.#present, n, own >= 0);
    memory.u8[this.#kinds + n] = kind;
    this.#anyKind |= kind;
    return true;
  }

  /** What was added; valid until `reset`. */
  take(): Batch {
    const columns = this.#layout.map((_, place) => this.#column(place));
    return batchOf(this.#layout, this.size, columns, { kinds: this.#anyKind === 0 ? 0 : this.#kinds });
  }

  reset(): void {
    this.size = 0;
    this.#missing = false;
    this.#anyKind = 0;
    this.#texts.reset();
  }

  /** Where the side's leaves begin in the result. */
  #first(side: number): number {
    return side === 0 ? 0 : this.#sides[0].leaves.length;
  }

  /** The next row has nothing of that side. */
  #leaveOut(side: number): void {
    const { memory } = this.#context;
    const first = this.#first(side);
    const count = this.#sides[side]!.leaves.length;
    for (let place = first; place < first + count; place++) {
      const { validity, values } = this.#buffers[place] as ColumnBuffer;
      setBit(memory, validity, this.size, false);
      if (this.#layout[place]!.storage === 'view') {
        const word = (values >>> 2) + 4 * this.size;
        memory.u32.fill(0, word, word + 4);
      }
    }
  }

  #column(place: number): Column {
    const { kernels, memory } = this.#context;
    const { values, validity } = this.#buffers[place] as ColumnBuffer;
    const { storage, nullable } = this.#layout[place] as Layout[number];
    const first = this.#first(this.#port);
    const leaf = this.#sides[this.#port]!.leaves[place - first];
    if (place < first || leaf === undefined) return { values, validity: nullable ? validity : 0, dictionary: null };
    const n = this.size;
    if (this.#batch === null) {
      memory.u8.fill(0, validity, validity + valueBytes('bit', n));
      if (storage === 'view') memory.u8.fill(0, values, values + valueBytes('view', n));
      return { values, validity, dictionary: null };
    }
    const from = this.#batch.columns[leaf] as Column;
    if (nullable) kernels.gatherBits(from.validity, this.#own, 0, n, validity, 0);
    if (nullable && this.#missing) kernels.andBits(validity, this.#present, n);
    switch (storage) {
      case 'bit':
        kernels.gatherBits(from.values, this.#own, 0, n, values, 0);
        break;
      case 'i32':
        kernels.gather4(from.values, this.#own, 0, n, values);
        break;
      case 'view':
        kernels.gatherTexts(from.values, from.dictionary?.views ?? 0, from.validity, this.#own, 0, n, values);
        break;
      default:
        kernels.gather8(from.values, this.#own, 0, n, values);
    }
    return { values, validity: nullable ? validity : 0, dictionary: null };
  }
}

/** Room for the strings of a batch: as much as usual, or what one row needs. */
export class Texts implements TextRoom {
  next = 0;
  readonly #context: OperatorContext;
  readonly #usual: number;
  #from = 0;
  #bytes = 0;
  #grown: { readonly address: number; readonly bytes: number } | null = null;

  constructor(context: OperatorContext) {
    this.#context = context;
    this.#usual = Math.min(textBytesMost, Math.max(textBytesLeast, context.batchRows * 64));
  }

  take(bytes: number): number {
    if (this.#bytes === 0) {
      this.#from = this.#context.memory.arena.allocate(this.#usual, `strings of ${this.#context.name}`);
      this.#bytes = this.#usual;
      this.next = this.#from;
    }
    const [from, end] = this.#grown
      ? [this.#grown.address, this.#grown.address + this.#grown.bytes]
      : [this.#from, this.#from + this.#bytes];
    const at = this.next < from || this.next > end ? from : this.next;
    if (at + bytes > end) return 0;
    this.next = at + bytes;
    return at;
  }

  grow(bytes: number): void {
    const { blocks, memory, name } = this.#context;
    this.reset();
    const pool = blocks ?? arenaBlocks(memory.arena);
    this.#grown = { address: takeBlock(pool, bytes, name, 1), bytes };
    this.next = this.#grown.address;
  }

  reset(): void {
    if (this.#grown) this.#context.blocks?.give(this.#grown.address, this.#grown.bytes);
    this.#grown = null;
    this.next = this.#from;
  }
}

const textBytesLeast = 4 * 1024;
const textBytesMost = 256 * 1024;
