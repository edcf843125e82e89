/**
 * Connectors as core sees them. A place is described by JSON (a `ConnectorSpec`, part of the plan); the connector of its
 * `kind` does the work. Reading: an enumerator (coordinator) lists splits, readers (slots) read them with positions.
 * Writing: one writer per subtask; files appear under their final name only when whole.
 */
import type { Batch } from '../record/batch.ts';
import type { Layout } from '../record/layout.ts';
import type { SlotMemory } from '../record/memory.ts';
import type { Fields } from '../record/types.ts';
import type { Disk } from './disk.ts';
import type { Kernels } from './kernels.ts';

/** A place, as the plan holds it: JSON only, no secrets expanded. */
export interface ConnectorSpec {
  /** `parquet`, `jsonl`, `collection`, `generator`, … */
  readonly kind: string;
  /** For people: `flights-3m.parquet`. */
  readonly label: string;
  readonly options: Readonly<Record<string, Json>>;
  /**
   * Sources of one job that say the same word here are read near each other in event time, as the subtasks of one source
   * are: parts of one history. Absent: a source is on its own.
   */
  readonly alignedWith?: string;
  /** Of a sink: columns by which it knows rows. It is told of an update as the row that is, +U, alone. */
  readonly upsertKey?: readonly string[];
  /** Of a sink: its writers are told event time, which the rows must have. */
  readonly eventTime?: true;
}
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A part of a source that one reader reads: JSON, so that it can move. */
export interface Split {
  /** Unique within the source. */
  readonly id: string;
  readonly options: Readonly<Record<string, Json>>;
  /** Where to begin; null: at its start. What `SplitReader.position` gave. */
  readonly position: Json;
  readonly estimatedRows: number | null;
  /** The least event time in it, in ticks of the event-time column, where statistics know it; a decimal string. */
  readonly minimum: string | null;
}

/** What planning needs to know of a source. */
export interface SourceInfo {
  /** Columns of the place itself, whatever the declared schema says. */
  readonly fields: Fields;
  readonly bounded: boolean;
  readonly estimatedRows: number | null;
  /** Where it is read: in the slots, or on the thread that called `run` (collections, iterables, channels). */
  readonly place: 'slot' | 'caller';
  /** False: what was read once is gone (an iterable, a channel); a restart cannot go on. Absent: it can. */
  readonly replayable?: boolean;
  /** Notes for `explain`: what is decoded by whom, what is not and why. */
  readonly notes: readonly string[];
}

/** A conjunct that a source may use to leave out row groups: leaf `column` compared with a literal. Never exact: rows are filtered again. */
export interface PruneCondition {
  readonly column: string;
  readonly op: 'eq' | 'lt' | 'lte' | 'gt' | 'gte';
  readonly value: boolean | number | string;
}

/** What a reader is asked for. */
export interface ReadRequest {
  /** Leaves to read, in this order, with the declared types; a type that differs from the file's is cast, checked. */
  readonly layout: Layout;
  readonly prune: readonly PruneCondition[];
  /** Column whose `minimum` splits should tell. */
  readonly timeColumn: string | null;
}

export interface SourceConnector {
  readonly kind: string;
  /** Looks at the place (coordinator side). Errors: `source/…` with path and position. */
  describe(spec: ConnectorSpec, resource: (id: string) => unknown): Promise<SourceInfo>;
  /** Its splits, in reading order. `parallelism` is a hint. `nowMs`: the job's clock, which may be a simulated one; absent: the machine's. */
  enumerate(
    spec: ConnectorSpec,
    request: ReadRequest,
    parallelism: number,
    resource: (id: string) => unknown,
    nowMs?: () => number,
  ): Promise<readonly Split[]>;
  /**
   * A place that goes on bringing splits (a watched directory): an enumerator on the coordinator's thread, from deployment to the job's
   * end; `enumerate` is not called. Null, or absent: `enumerate` names all splits that there will be.
   */
  discover?(spec: ConnectorSpec, request: ReadRequest, context: DiscoveryContext): SplitDiscovery | null;
  /** A reader factory for one subtask: buffers are taken from the arena once and reused for every split. */
  reader(spec: ConnectorSpec, request: ReadRequest, context: ReaderContext): SourceReader;
}

export interface DiscoveryContext {
  readonly parallelism: number;
  /** What `SplitDiscovery.state` answered at the checkpoint that is restored; null: nothing was found yet. */
  readonly state: Json;
  /**
   * New splits, in reading order; never called from within `discover`. From then on they are the coordinator's: unread ones and assigned ones stand in
   * a checkpoint beside the state that says they were found.
   */
  emit(splits: readonly Split[]): void;
  /** The place cannot be looked at, or is not what it was: the attempt fails. */
  fail(error: unknown): void;
  /** Calls `work` once, later; the answer calls it off. A clock of the engine's, so that a simulation has its own. */
  schedule(afterMs: number, work: () => void): () => void;
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number;
  resource(id: string): unknown;
}

export interface SplitDiscovery {
  /** What was found so far: JSON, bounded, in step with `emit`. Asked for when a barrier is injected. */
  state(): Json;
  /** Looks no further. Idempotent. */
  close(): void;
}

export interface ReaderContext {
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  readonly batchRows: number;
  readonly subtask: number;
  /** Wakes the task after a `starved` (called from a callback of the reader's own, on the slot's thread). */
  wake(): void;
  /** A monotonic clock for rate limits, milliseconds. */
  monotonicMs(): number;
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number;
  /** Asks to be polled again at that monotonic time. */
  wakeAt(monotonicMs: number): void;
  /** What `spec.options.resource` names: values that are no JSON. Place `slot`: a structured clone (shared buffers stay shared); place `caller`: the value itself (rows, iterables, callbacks). */
  resource(id: string): unknown;
  /** Number of ids for dictionaries: each call a new one, unique within the slot. */
  nextDictionaryId(): number;
  /** Where records go that cannot be read (`onError: 'side'`); absent: nobody asked for them. */
  readonly rejected?: RejectedRecords;
}

/** Records on their way to a side output. */
export interface RejectedRecords {
  /** No more are taken: end the poll before the next one. */
  readonly full: boolean;
  /** `record`: as it stands in the place, shortened here. */
  add(position: string | null, reason: string, record: string): void;
}

export const PollStatus = {
  /** `batch` holds rows, valid until the next poll; none when loading took a poll's time and goes on. */ moved: 0,
  /** Nothing now; `wake` or `wakeAt` will tell. */ starved: 1,
  /** The split is finished. */ ended: 2,
} as const;
export type PollStatus = (typeof PollStatus)[keyof typeof PollStatus];

/** Reads one split at a time. Synchronous: a poll does at most a few milliseconds of work. */
export interface SourceReader {
  open(split: Split): void;
  poll(): PollStatus;
  /** The rows of the last `moved`. */
  readonly batch: Batch;
  /** Position behind the last batch: opening the split there goes on with the next row. */
  position(): Json;
  close(): void;
  /** Bad records left out so far (`onError: 'skip'` and `'side'`). */
  readonly skipped?: number;
  /** Event time that the place itself told of: no row at or before it follows in the open split. Null, or absent: it told nothing. */
  watermarkMs?(): number | null;
}

/** Which changes a sink takes. */
export type AcceptedChanges = 'insert' | 'all';

export interface SinkInfo {
  readonly accepts: AcceptedChanges;
  /** False: it does nothing with −U, which need not come where rows are known by a key. Absent: it does. */
  readonly updateBefore?: false;
  /** Writers at most: 1 for a single file. */
  readonly parallelismMax: number;
  /** Where rows are received: in the slots, or on the thread that called `run` (print, callbacks, iterators). */
  readonly place: 'slot' | 'caller';
}

/**
 * The second phase of a sink's transactions, in the coordinator. What a writer prepared is named by JSON handles that stand in
 * the checkpoint; committing makes it visible. Everything here may be repeated after a crash, with the same outcome.
 */
export interface SinkCommitter {
  /**
   * Takes the place over for `epoch`, before any writer of it opens: what an earlier epoch staged moves out of a zombie's reach,
   * `pending` (of the checkpoint that is restored; none at a fresh start) is committed, everything else staged is removed.
   * May be called again for the same epoch, when no writer of it is left (a restart within the process). `restored`: the checkpoint
   * that the job goes on from. Where it is told, what later checkpoints of this job made visible is taken back: its rows will come
   * again (the newest checkpoint was damaged, and an older one was taken).
   */
  open(epoch: number, pending: readonly Json[], restored?: number | null): void;
  /**
   * Makes prepared transactions visible, each whole and once. Committed already: nothing happens. Errors: `sink/lost` when one is neither
   * staged nor visible; `state/fenced` when a successor has taken over.
   */
  commit(handles: readonly Json[]): void;
  /** The job has ended in order: nothing is left but results. */
  close(): void;
}

export interface CommitterContext {
  readonly disk: Disk;
  /** Of the job, stable over its restarts, new with every new state directory: names carry it. Letters, digits, `-` and `_`. */
  readonly jobKey: string;
}

export interface SinkConnector {
  readonly kind: string;
  /**
   * Checks that the place can take such rows. `updating`: row kinds will come. `checkpointed`: the job has a state directory, so rows
   * become visible with its checkpoints. Errors: `plan/changelog`, `sink/…`, `plan/unsupported` where that cannot be.
   */
  describe(spec: ConnectorSpec, fields: Fields, updating: boolean, checkpointed?: boolean): SinkInfo;
  /** One writer of one subtask. */
  writer(spec: ConnectorSpec, fields: Fields, context: WriterContext): SinkWriter;
  /** Absent: the sink is not transactional, rows are told again after a restart. */
  committer?(spec: ConnectorSpec, context: CommitterContext): SinkCommitter;
}

export interface WriterContext {
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  readonly layout: Layout;
  readonly batchRows: number;
  readonly subtask: number;
  readonly parallelism: number;
  /** See `ReaderContext.resource`. */
  resource(id: string): unknown;
  /** Wakes the task after a `write` that answered false. */
  wake(): void;
  /** Unique to this attempt of the job: names of files in progress carry it. */
  readonly attemptId: string;
  /** Rows may come with kinds other than +I (the plan's word; absent: no). */
  readonly updating?: boolean;
  /** The input ends by itself (absent: it does). `print` shows one table then. */
  readonly bounded?: boolean;
  /**
   * Set where the job checkpoints to disk: rows go through transactions that a committer ends; it has been opened for `epoch` before.
   * Absent: rows appear when the job ends in order.
   */
  readonly transaction?: { readonly epoch: number; readonly jobKey: string; readonly disk: Disk; nowMs(): number };
}

/** Writes rows of one subtask. Synchronous, like operators. A single-threaded writer of bounded buffering. */
export interface SinkWriter {
  /** False: nothing of `batch` was taken (a receiver on the caller's thread is behind); `wake` will tell when to try again. */
  write(batch: Batch): boolean;
  /** Event time: no row at or before `timeMs` follows; `watermarkMax` when the input has ended. */
  watermark?(timeMs: number): void;
  /** Hands what is buffered to the place (not yet committed). */
  flush(): void;
  /**
   * At a barrier (or, after `finish`, for the last time): what was written since the last one is closed, made durable and named by handles; it stays
   * invisible until they are committed. None where nothing was written. Only with `context.transaction`.
   * What was written until the call belongs to this checkpoint, whatever is written while the promise is pending. Handles of earlier calls are named
   * again until `completed` says that they stand in a durable checkpoint. An error is the end of the attempt: it is not tried again.
   */
  prepare?(checkpointId: number): Promise<readonly Json[]> | readonly Json[];
  /** That checkpoint is durable: later ones need not name what it and earlier ones prepared. */
  completed?(checkpointId: number): void;
  /** The input has ended or the job was stopped in order: make everything durable and visible under its final name. */
  finish(): void;
  /** The attempt is over without success: remove what is in progress. Also called after `finish`. */
  close(): void;
  /** Bytes written so far. */
  readonly bytes: number;
}
