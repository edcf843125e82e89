/**
 * Stages: the frames that a router is filling, one per target, in the producer's memory, and how a full one becomes parts
 * to send. The gather kernels write them (layout: core/record/frame-layout.ts). Knows no channel.
 */
import { frameHeaderBytes } from '../../core/base/limits.ts';
import type { Batch } from '../../core/record/batch.ts';
import {
  type FrameOffsets,
  frameBytes,
  frameOffsets,
  placeBuffers,
  travelBytes,
  valuesFrom,
  writeFrameHead,
} from '../../core/record/frame.ts';
import {
  columnCoded,
  columnValidity,
  flagRowKinds,
  frameCapacity,
  frameHeapBytes,
  gather4,
  gatherEntry,
  gatherView,
  kindRows,
  sourceBytes,
  sourceGather,
  sourceValidity,
  sourceValues,
  sourceViews,
  stageCapacity,
  stageColumnBytes,
  stageHeadBytes,
  stageHeap,
  stageHeapCapacity,
  stageHeapUsed,
  stageKinds,
  stageKindsSeen,
  stageNext,
  stageRows,
  stageValidity,
  stageValiditySeen,
  stageValues,
} from '../../core/record/frame-layout.ts';
import type { Layout } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import type { FrameParts } from './lane.ts';

/** Heap bytes a row's long strings are expected to take, per view column, before any was seen. */
const heapBytesExpected = 16;
/** Less unused room than this crosses with the rows rather than being squeezed out. */
const slackBytes = 512;

export class Stages {
  readonly count: number;
  /** Address of stage 0; they lie `stride` apart. */
  readonly blocks: number;
  readonly stride: number;
  /** By column: 1 when it crosses as codes. */
  readonly coded: Uint8Array;
  readonly parts: FrameParts = { from: [], to: [], bytes: [], count: 0, length: 0, flags: 0 };
  readonly #memory: SlotMemory;
  readonly #layout: Layout;
  readonly #attempt: number;
  readonly #rowsMax: number;
  readonly #frames: number;
  readonly #frameBytes: number;
  readonly #full: FrameOffsets;
  readonly #sent: FrameOffsets;
  readonly #sentFlags: Uint8Array;
  readonly #allFlags: Uint8Array;
  /** By stage: heap bytes per row, as they came lately. */
  readonly #heapPerRow: Float64Array;

  /** `bytesMax`: the frame bytes that the smallest of the rings takes. */
  constructor(memory: SlotMemory, layout: Layout, count: number, bytesMax: number, rowsMax: number, attempt: number) {
    this.#memory = memory;
    this.#layout = layout;
    this.#attempt = attempt;
    this.#rowsMax = rowsMax;
    this.count = count;
    this.coded = new Uint8Array(layout.length);
    this.stride = stageHeadBytes + layout.length * stageColumnBytes;
    this.blocks = memory.arena.allocate(count * this.stride, `the stages of ${count} targets`);
    this.#full = frameOffsets(layout.length);
    this.#sent = frameOffsets(layout.length);
    this.#sentFlags = new Uint8Array(layout.length);
    this.#allFlags = new Uint8Array(layout.length).fill(columnValidity);
    placeBuffers(this.#full, layout, this.#allFlags, true, 1);
    this.#frameBytes = Math.max(bytesMax, frameBytes(this.#full.heap));
    this.#frames = memory.arena.allocate(count * this.#frameBytes, `frames being filled for ${count} targets`);
    const views = layout.filter((column) => column.storage === 'view').length;
    this.#heapPerRow = new Float64Array(count).fill(views * heapBytesExpected);
    this.layOut();
  }

  /** Lays all stages out anew; they must be empty. After a change of `coded`. */
  layOut(): void {
    for (let t = 0; t < this.count; t++) this.#layOut(t, this.#capacityFor(t));
  }

  rows(stage: number): number {
    return this.#get(stage, stageRows);
  }

  /** Makes `parts` of what the stage holds: at least one row. */
  prepare(stage: number): void {
    const { parts } = this;
    const rows = this.#get(stage, stageRows);
    const capacity = this.#get(stage, stageCapacity);
    const kinds = this.#get(stage, stageKindsSeen) !== 0;
    this.#place(this.#full, this.#allFlags, true, capacity);
    this.#flagSent(stage);
    // Room for rows that did not come crosses too, if it is little: the values are one part then.
    const spare = ((capacity - rows) * this.#full.valuesEnd) / capacity;
    const sentCapacity = spare <= slackBytes ? capacity : rows;
    this.#place(this.#sent, this.#sentFlags, kinds, sentCapacity);
    const heapBytes = this.#get(stage, stageHeapUsed);
    const frame = this.#head(stage, rows, sentCapacity, kinds, heapBytes);
    if (sentCapacity === capacity) {
      this.#part(frame, 0, this.#sent.valuesEnd);
    } else {
      this.#part(frame, 0, valuesFrom(this.#layout.length));
      for (let c = 0; c < this.#layout.length; c++) {
        const bytes = travelBytes(this.#layout[c]!.storage, this.coded[c] === 1, rows);
        this.#part(frame + this.#full.values[c]!, this.#sent.values[c]!, bytes);
      }
    }
    for (let c = 0; c < this.#layout.length; c++) {
      if (this.#sent.validity[c] !== 0) {
        this.#part(frame + this.#full.validity[c]!, this.#sent.validity[c]!, (rows + 7) >>> 3);
      }
    }
    if (kinds) this.#part(frame + this.#full.kinds, this.#sent.kinds, rows);
    if (heapBytes > 0) this.#part(frame + this.#full.heap, this.#sent.heap, heapBytes);
    parts.length = frameBytes(this.#sent.heap + heapBytes);
  }

  /**
   * Makes `parts` of row `row` of the batch alone: its strings are larger than the stage's heap and cross from where
   * they lie. The stage must be empty; `sources` describes the batch's columns as for the gather kernels.
   */
  prepareRecord(stage: number, sources: number, batch: Batch, row: number): void {
    const { u8, u32 } = this.#memory;
    this.#sentFlags.fill(0);
    for (let c = 0; c < this.#layout.length; c++) {
      const source = sources + c * sourceBytes;
      const validity = u32[(source + sourceValidity) >>> 2]!;
      this.#sentFlags[c] =
        (this.coded[c] === 1 ? columnCoded : 0) | (validity !== 0 && !bitAt(u8, validity, row) ? columnValidity : 0);
    }
    const kinds = batch.kinds !== 0;
    this.#place(this.#sent, this.#sentFlags, kinds, 1);
    const frame = this.#head(stage, 1, 1, kinds, 0);
    u8.fill(0, frame + valuesFrom(this.#layout.length), frame + this.#sent.heap);
    this.#part(frame, 0, this.#sent.heap);
    let heapBytes = 0;
    for (let c = 0; c < this.#layout.length; c++) {
      if ((this.#sentFlags[c]! & columnValidity) !== 0) continue;
      const source = sources + c * sourceBytes;
      const gather = u32[(source + sourceGather) >>> 2]!;
      const values = u32[(source + sourceValues) >>> 2]!;
      const to = frame + this.#sent.values[c]!;
      if (gather === gatherView || gather === gatherEntry) {
        const view =
          gather === gatherView
            ? values + row * 16
            : u32[(source + sourceViews) >>> 2]! + u32[(values + row * 4) >>> 2]! * 16;
        u8.copyWithin(to, view, view + 16);
        const length = u32[view >>> 2]!;
        if (length <= 12) continue;
        u32[(to + 12) >>> 2] = heapBytes;
        this.#part(u32[(view + 12) >>> 2]!, this.#sent.heap + heapBytes, length);
        heapBytes += length;
      } else if (this.#layout[c]!.storage === 'bit') {
        u8[to] = bitAt(u8, values, row) ? 1 : 0;
      } else {
        const bytes = gather === gather4 ? 4 : 8;
        u8.copyWithin(to, values + row * bytes, values + (row + 1) * bytes);
      }
    }
    if (kinds) u8[frame + this.#sent.kinds] = u8[batch.kinds + row]!;
    u32[(frame + frameHeapBytes) >>> 2] = heapBytes;
    this.parts.length = frameBytes(this.#sent.heap + heapBytes);
    u32[frame >>> 2] = this.parts.length;
  }

  /** The frame has crossed: the stage begins the next. */
  reset(stage: number): void {
    const rows = this.#get(stage, stageRows);
    if (rows > 0) {
      const seen = this.#get(stage, stageHeapUsed) / rows;
      this.#heapPerRow[stage] = Math.max(seen, (this.#heapPerRow[stage]! + seen) / 2);
    }
    const capacity = this.#capacityFor(stage);
    const before = this.#get(stage, stageCapacity);
    if (Math.abs(capacity - before) * 8 > before) this.#layOut(stage, capacity);
    else this.#clear(stage);
  }

  /** The record that was prepared last has crossed. */
  skipRow(stage: number): void {
    this.#set(stage, stageNext, this.#get(stage, stageNext) + 1);
  }

  /** Where the stage's list goes on. */
  next(stage: number): number {
    return this.#get(stage, stageNext);
  }

  /** Sets the list of a stage that takes rows as they come. */
  setList(stage: number, next: number, end: number): void {
    this.#set(stage, stageNext, next);
    this.#set(stage, stageNext + 4, end);
  }

  #capacityFor(stage: number): number {
    this.#place(this.#full, this.#allFlags, true, 64);
    const fixed = valuesFrom(this.#layout.length) + this.#layout.length * 16 + 8;
    const rowBytes = (this.#full.heap - valuesFrom(this.#layout.length)) / 64 + this.#heapPerRow[stage]!;
    return Math.max(1, Math.min(this.#rowsMax, Math.floor((this.#frameBytes - fixed) / rowBytes)));
  }

  #layOut(stage: number, capacity: number): void {
    const frame = this.#frames + stage * this.#frameBytes;
    this.#place(this.#full, this.#allFlags, true, capacity);
    this.#set(stage, stageCapacity, capacity);
    this.#set(stage, stageHeap, frame + this.#full.heap);
    this.#set(stage, stageHeapCapacity, this.#frameBytes - this.#full.heap);
    this.#set(stage, stageKinds, frame + this.#full.kinds);
    for (let c = 0; c < this.#layout.length; c++) {
      const column = stageHeadBytes + c * stageColumnBytes;
      this.#set(stage, column + stageValues, frame + this.#full.values[c]!);
      this.#set(stage, column + stageValidity, frame + this.#full.validity[c]!);
    }
    this.#clear(stage);
  }

  #clear(stage: number): void {
    this.#set(stage, stageRows, 0);
    this.#set(stage, stageHeapUsed, 0);
    this.#set(stage, stageKindsSeen, 0);
    for (let c = 0; c < this.#layout.length; c++) {
      this.#set(stage, stageHeadBytes + c * stageColumnBytes + stageValiditySeen, 0);
    }
  }

  #flagSent(stage: number): void {
    for (let c = 0; c < this.#layout.length; c++) {
      const seen = this.#get(stage, stageHeadBytes + c * stageColumnBytes + stageValiditySeen);
      this.#sentFlags[c] = (seen !== 0 ? columnValidity : 0) | (this.coded[c] === 1 ? columnCoded : 0);
    }
  }

  /** Writes header and column flags at the beginning of the stage's frame and empties `parts`. */
  #head(stage: number, rows: number, capacity: number, kinds: boolean, heapBytes: number): number {
    const { parts } = this;
    const frame = this.#frames + stage * this.#frameBytes;
    parts.count = 0;
    parts.flags = kinds ? flagRowKinds : 0;
    const length = frameBytes(this.#sent.heap + heapBytes);
    writeFrameHead(this.#memory, frame, length, kindRows, parts.flags, this.#layout.length, this.#attempt, rows, 0);
    this.#memory.u32[(frame + frameCapacity) >>> 2] = capacity;
    this.#memory.u32[(frame + frameHeapBytes) >>> 2] = heapBytes;
    for (let c = 0; c < this.#layout.length; c++) {
      this.#memory.u8[frame + frameHeaderBytes + c] = this.#sentFlags[c]!;
    }
    return frame;
  }

  #part(from: number, to: number, bytes: number): void {
    const { parts } = this;
    parts.from[parts.count] = from;
    parts.to[parts.count] = to;
    parts.bytes[parts.count] = bytes;
    parts.count++;
  }

  #place(into: FrameOffsets, flags: Uint8Array, kinds: boolean, capacity: number): void {
    if (flags === this.#allFlags) {
      for (let c = 0; c < flags.length; c++) flags[c] = columnValidity | (this.coded[c] === 1 ? columnCoded : 0);
    }
    placeBuffers(into, this.#layout, flags, kinds, capacity);
  }

  #get(stage: number, field: number): number {
    return this.#memory.u32[(this.blocks + stage * this.stride + field) >>> 2]!;
  }

  #set(stage: number, field: number, value: number): void {
    this.#memory.u32[(this.blocks + stage * this.stride + field) >>> 2] = value;
  }
}

function bitAt(u8: Uint8Array, bits: number, row: number): boolean {
  return ((u8[bits + (row >>> 3)]! >>> (row & 7)) & 1) === 1;
}
