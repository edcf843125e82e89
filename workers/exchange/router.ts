/**
 * The output of a chain along one edge: gathers rows per target in the producer's memory and sends them across as frames,
 * each in one copy. A full ring is an answer (`more`), after which only `resume` may be called until it answers `done`.
 * Knows nothing of the operators before it; whether an edge is one of several is the task's business.
 */
import { assert } from '../../core/base/assert.ts';
import { Progress, watermarkMin } from '../../core/operators/operator.ts';
import type { Edge, Exchange } from '../../core/plan/physical.ts';
import type { Batch, Column } from '../../core/record/batch.ts';
import {
  gather4,
  gather8,
  gatherBit,
  gatherEntry,
  gatherView,
  kindEnd,
  kindWatermark,
  sourceBytes,
} from '../../core/record/frame-layout.ts';
import type { Layout } from '../../core/record/layout.ts';
import type { ExchangeContext } from './context.ts';
import { dictionaryRoom, SentDictionary } from './dictionary.ts';
import { type ChannelPlace, chainOf, channelPlace, exchangeOf } from './inbox.ts';
import { KeyHasher } from './key-hasher.ts';
import { Lane } from './lane.ts';
import { RingProducer } from './ring.ts';
import { Stages } from './stages.ts';

export interface Router {
  /** Takes the rows that are in. After `more` the batch's buffers must not change until `resume` answers `done`. */
  emit(batch: Batch): Progress;
  /** Goes on with what answered `more`. */
  resume(): Progress;
  /** Sends what is gathered, and a watermark that has not travelled yet. Before a barrier, the end, parking, and every 5 ms. */
  flush(): Progress;
  /** No row at or before `timeMs` will follow. Travels with the next frame, or alone at the next flush. */
  watermark(timeMs: number, idle?: boolean): Progress;
  /** After a flush. `more` only when the consumer has not passed the barrier before this one. */
  barrier(checkpointId: number): Progress;
  /** No row will follow. Flushes first. */
  end(): Progress;
  /** Something waits for the next flush. */
  readonly hasBuffered: boolean;
  /** Nobody reads any more: what is emitted is dropped. */
  readonly closed: boolean;
  /** Sent so far. */
  readonly rows: number;
  readonly bytes: number;
  readonly frames: number;
  close(): void;
}

/** The router of `edge` in subtask `subtask` of the chain it comes from. Takes its buffers from the arena. */
export function createRouter(context: ExchangeContext, edge: Edge, subtask: number): Router {
  return new FrameRouter(context, edge, subtask);
}

/** What `resume` goes on with. */
type Work = 'nothing' | 'emit' | 'flush' | 'barrier' | 'end';
/** After so many changes between coded and plain batches a column goes plain. */
const modeChangesMax = 8;

class FrameRouter implements Router {
  rows = 0;
  readonly #context: ExchangeContext;
  readonly #layout: Layout;
  readonly #exchange: Exchange;
  readonly #lanes: readonly Lane[];
  readonly #stages: Stages;
  readonly #hasher: KeyHasher | null;
  readonly #dictionaries: readonly (SentDictionary | null)[];
  readonly #modeChanges: Uint8Array;
  readonly #time = { watermarkMs: watermarkMin, idle: false };
  /** Describes the batch at hand to the gather kernels. */
  readonly #sources: number;
  /** Row numbers by target, hash edges only. */
  readonly #lists: number;

  #work: Work = 'nothing';
  #batch: Batch | null = null;
  /** The batch at hand is described and apart; else that is still to do. */
  #prepared = false;
  /** Row numbers along which the batch at hand is gathered; 0: rows as they lie. */
  #listsAt = 0;
  /** The stage that gathering stands at. */
  #at = 0;
  /** The stage whose frame is prepared and crossing; −1: none. */
  #crossing = -1;
  #crossingRecord = false;
  /** broadcast: the next lane that the frame crosses over. rebalance: the lane whose turn it is. */
  #lane = 0;
  #barrierId = 0;
  #ended = false;

  constructor(context: ExchangeContext, edge: Edge, subtask: number) {
    const { plan, inboxes, memory, batchRows } = context;
    this.#context = context;
    this.#layout = edge.layout;
    this.#exchange = exchangeOf(plan, edge);
    const places: ChannelPlace[] = [];
    for (let consumer = 0; consumer < chainOf(plan, edge.to.chain).parallelism; consumer++) {
      const place = channelPlace(plan, inboxes, edge.id, subtask, consumer);
      if (place) places.push(place);
    }
    assert(places.length > 0, `edge ${edge.id} leads nowhere from subtask ${subtask}`);
    this.#lanes = places.map((place) => {
      const peer = context.peers[place.consumer]!;
      const setup = { peer, place, atoms: context.atoms, attempt: context.attempt };
      const ring = new RingProducer(setup, context.ringers[place.consumer]!);
      return new Lane(ring, peer, memory, context.attempt, this.#time);
    });
    const hash = this.#exchange.kind === 'hash';
    const bytesMax = Math.min(...this.#lanes.map((lane) => lane.ring.frameBytesMax));
    this.#stages = new Stages(memory, edge.layout, hash ? places.length : 1, bytesMax, batchRows, context.attempt);
    this.#hasher = this.#exchange.kind === 'hash' ? new KeyHasher(context, edge.layout, this.#exchange.keys) : null;
    const rooms = places.map((place) => dictionaryRoom(place, edge.layout));
    const room = {
      entries: Math.min(...rooms.map((r) => r.entries)),
      heapBytes: Math.min(...rooms.map((r) => r.heapBytes)),
    };
    this.#dictionaries = edge.layout.map((column) =>
      column.storage === 'view' ? new SentDictionary(memory, context.kernels, room) : null,
    );
    this.#modeChanges = new Uint8Array(edge.layout.length);
    this.#sources = memory.arena.allocate(edge.layout.length * sourceBytes, 'columns being routed');
    this.#lists = hash ? memory.arena.allocate(batchRows * 8, 'rows by target') : 0;
  }

  emit(batch: Batch): Progress {
    assert(this.#work === 'nothing' && !this.#ended, 'a router was given rows before it was resumed');
    if (batch.size === 0) return Progress.done;
    this.rows += batch.size;
    this.#batch = batch;
    this.#prepared = false;
    return this.#do('emit');
  }

  resume(): Progress {
    return this.#do(this.#work);
  }

  flush(): Progress {
    assert(this.#work === 'nothing', 'a router was flushed before it was resumed');
    return this.#do('flush');
  }

  watermark(timeMs: number, idle = false): Progress {
    this.#time.watermarkMs = Math.max(this.#time.watermarkMs, timeMs);
    this.#time.idle = idle;
    return Progress.done;
  }

  barrier(checkpointId: number): Progress {
    assert(this.#work === 'nothing' && !this.hasBuffered, 'a barrier before a flush');
    this.#barrierId = checkpointId;
    this.#lane = 0;
    return this.#do('barrier');
  }

  end(): Progress {
    assert(this.#work === 'nothing' && !this.#ended, 'a router was ended before it was resumed');
    this.#at = 0;
    return this.#do('end');
  }

  get hasBuffered(): boolean {
    for (let t = 0; t < this.#stages.count; t++) if (this.#stages.rows(t) > 0) return true;
    return this.#lanes.some((lane) => lane.owesTime);
  }

  get closed(): boolean {
    return this.#lanes.every((lane) => lane.ring.closed);
  }

  get bytes(): number {
    return this.#lanes.reduce((n, lane) => n + lane.bytes, 0);
  }

  get frames(): number {
    return this.#lanes.reduce((n, lane) => n + lane.frames, 0);
  }

  close(): void {
    this.#batch = null;
  }

  #do(work: Work): Progress {
    this.#work = work;
    if (this.#crossing >= 0 && !this.#cross()) return Progress.more;
    const done =
      work === 'emit'
        ? this.#gather()
        : work === 'flush'
          ? this.#flush()
          : work === 'barrier'
            ? this.#bar()
            : this.#end();
    if (!done) return Progress.more;
    this.#work = 'nothing';
    this.#batch = null;
    return Progress.done;
  }

  // ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  #gather(): boolean {
    const batch = this.#batch!;
    if (!this.#prepared && !this.#prepare(batch)) return false;
    const stages = this.#stages;
    for (;;) {
      this.#at = this.#context.kernels.gatherStages(
        this.#sources,
        this.#layout.length,
        batch.kinds,
        this.#listsAt,
        stages.blocks,
        stages.stride,
        this.#at,
        stages.count,
      );
      if (this.#at === stages.count) return true;
      if (stages.rows(this.#at) > 0) {
        this.#crossing = this.#at;
      } else {
        const next = stages.next(this.#at);
        const row = this.#listsAt === 0 ? next : this.#context.memory.u32[(this.#listsAt >>> 2) + next]!;
        stages.prepareRecord(this.#at, this.#sources, batch, row);
        this.#crossing = this.#at;
        this.#crossingRecord = true;
        if (!this.#send()) return false;
        continue;
      }
      if (!this.#cross()) return false;
    }
  }

  /** Decides what crosses as codes, tells the kernels where the columns lie, and sets the rows apart by target. */
  #prepare(batch: Batch): boolean {
    const { memory, kernels, batchRows } = this.#context;
    const { u32 } = memory;
    const { coded } = this.#stages;
    let changes = false;
    for (let c = 0; c < this.#layout.length; c++) {
      const column = batch.columns[c]!;
      const dictionary = this.#dictionaries[c] ?? null;
      if (this.#modeChanges[c]! > modeChangesMax) dictionary?.goPlain();
      const codes = dictionary === null ? 0 : dictionary.translate(batch, column, batchRows);
      if (dictionary !== null && (codes !== 0) !== (coded[c] === 1)) changes = true;
      const word = (this.#sources + c * sourceBytes) >>> 2;
      u32[word] = codes !== 0 ? gather4 : gatherOf(this.#layout[c]!.storage, column);
      u32[word + 1] = codes !== 0 ? codes : column.values;
      u32[word + 2] = column.validity;
      u32[word + 3] = column.dictionary?.views ?? 0;
    }
    if (changes && !this.#changeModes()) return false;
    this.#at = 0;
    if (this.#hasher !== null) {
      const hashes = this.#hasher.hash(batch);
      const { blocks, stride, count } = this.#stages;
      kernels.partitionRows(hashes, batch.selection, batch.size, count, this.#lists, blocks, stride);
      this.#listsAt = this.#lists;
    } else {
      this.#listsAt = batch.selection;
      this.#stages.setList(0, 0, batch.size);
    }
    this.#prepared = true;
    return true;
  }

  /** Sends what was gathered in the old modes, then lays the stages out for the new ones. */
  #changeModes(): boolean {
    if (!this.#crossAll()) return false;
    const { u32 } = this.#context.memory;
    for (let c = 0; c < this.#layout.length; c++) {
      if (this.#layout[c]!.storage !== 'view') continue;
      const codes = u32[(this.#sources + c * sourceBytes) >>> 2] === gather4 ? 1 : 0;
      if (codes !== this.#stages.coded[c] && this.#modeChanges[c]! <= modeChangesMax) this.#modeChanges[c]!++;
      this.#stages.coded[c] = codes;
    }
    this.#stages.layOut();
    return true;
  }

  #crossAll(): boolean {
    for (let t = 0; t < this.#stages.count; t++) {
      if (this.#stages.rows(t) === 0) continue;
      this.#crossing = t;
      if (!this.#cross()) return false;
    }
    return true;
  }

  /** Prepares the crossing stage's frame, but for a record, which is prepared already, and sends it. */
  #cross(): boolean {
    if (!this.#crossingRecord) this.#stages.prepare(this.#crossing);
    return this.#send();
  }

  #send(): boolean {
    const lanes = this.#lanes;
    switch (this.#exchange.kind) {
      case 'hash':
        if (!this.#sendOver(lanes[this.#crossing]!)) return false;
        break;
      case 'forward':
        if (!this.#sendOver(lanes[0]!)) return false;
        break;
      case 'broadcast':
        for (; this.#lane < lanes.length; this.#lane++) if (!this.#sendOver(lanes[this.#lane]!)) return false;
        this.#lane = 0;
        break;
      case 'rebalance':
        if (!this.#sendToAny()) return false;
        break;
    }
    if (this.#crossingRecord) this.#stages.skipRow(this.#crossing);
    else this.#stages.reset(this.#crossing);
    this.#crossing = -1;
    this.#crossingRecord = false;
    return true;
  }

  /** To the lane whose turn it is, or the next one with room. A record half across stays with its lane. */
  #sendToAny(): boolean {
    const lanes = this.#lanes;
    for (let i = 0; i < lanes.length; i++) {
      const lane = (this.#lane + i) % lanes.length;
      if (this.#sendOver(lanes[lane]!)) {
        this.#lane = (lane + 1) % lanes.length;
        return true;
      }
      if (lanes[lane]!.chunking) {
        this.#lane = lane;
        return false;
      }
    }
    return false;
  }

  #sendOver(lane: Lane): boolean {
    for (let c = 0; c < this.#layout.length; c++) {
      if (this.#stages.coded[c] === 1 && !lane.sendDictionary(c, this.#dictionaries[c]!)) return false;
    }
    return lane.sendRows(this.#stages.parts);
  }

  // ── control ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #flush(): boolean {
    if (!this.#crossAll()) return false;
    for (const lane of this.#lanes) if (lane.owesTime && !lane.sendControl(kindWatermark)) return false;
    return true;
  }

  #bar(): boolean {
    for (; this.#lane < this.#lanes.length; this.#lane++) {
      const { ring } = this.#lanes[this.#lane]!;
      if (!ring.placeBarrier(this.#barrierId) && !ring.closed) return false;
    }
    this.#lane = 0;
    return true;
  }

  #end(): boolean {
    if (!this.#ended && !this.#flush()) return false;
    this.#ended = true;
    for (; this.#at < this.#lanes.length; this.#at++) if (!this.#lanes[this.#at]!.sendControl(kindEnd)) return false;
    return true;
  }
}

function gatherOf(storage: Layout[number]['storage'], column: Column): number {
  switch (storage) {
    case 'bit':
      return gatherBit;
    case 'i32':
      return gather4;
    case 'i64':
    case 'f64':
      return gather8;
    case 'view':
      return column.dictionary ? gatherEntry : gatherView;
  }
}
