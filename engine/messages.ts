/**
 * What threads say to one another. Three parties: the caller (the thread that called `run`), the coordinator (a thread
 * of its own) and the slots (Piscina threads). Rows never travel here: they cross by rings. Messages to one party arrive
 * in the order in which they were sent.
 */
import type { SerialisedError } from '../core/base/errors.ts';
import type { UnreadMinimum } from '../core/operators/source.ts';
import type { Plan } from '../core/plan/nodes.ts';
import type { PhysicalPlan } from '../core/plan/physical.ts';
import type { FileRef, FinishedPart, ParticipantPart } from '../core/ports/checkpoint.ts';
import type { Json, Split } from '../core/ports/connector.ts';
import type { CheckpointPolicy, CheckpointPurpose } from '../core/schedule/checkpoints.ts';
import type { JobOutcome, SourceKey, Unread } from '../core/schedule/job.ts';
import type { RestartStrategy } from '../core/schedule/restart.ts';
import type { InboxPlan } from '../workers/exchange/inbox.ts';
import type { MemoryMap } from './memory-map.ts';

/** Where user functions come from, and what they must look like there. */
export interface JobModule {
  readonly url: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** Function id → digest of its source. */
  readonly functions: Readonly<Record<string, string>>;
}

/** How a job is to be run, after checking. */
export interface JobOptions {
  readonly parallelism: number;
  readonly memoryBytes: number;
  /** null: as the sources are. */
  readonly mode: 'bounded' | 'stream' | null;
  readonly batchRows: number;
  readonly hashSeed: string;
  readonly callTimeoutMs: number;
  /** State that outlives the process; null: none is kept. */
  readonly durable: DurableOptions | null;
}

export interface DurableOptions {
  readonly stateDir: string;
  readonly policy: CheckpointPolicy;
  /** Checkpoints that stay, at least 2. */
  readonly retain: number;
  readonly restart: RestartStrategy;
  /** A savepoint to begin from, as long as the directory has no checkpoint of its own. */
  readonly from: string | null;
  readonly allowNonRestoredState: boolean;
  readonly takeOver: boolean;
}

/** What an attempt goes on from. */
export interface Restored {
  readonly parts: readonly SnapshotPart[];
  readonly unread: Unread;
  /** What sources that go on finding splits remembered, by source. */
  readonly enumerators: ReadonlyMap<SourceKey, Json>;
  /** Where state lies that is not in `parts`. */
  readonly files: {
    readonly directory: string;
    readonly parts: readonly ParticipantPart[];
    readonly refs: readonly FileRef[];
    /** State that nobody keeps any more is dropped (`allowNonRestoredState`). */
    readonly mayDrop: boolean;
  } | null;
}

/** What participants need to write checkpoints and transactions. */
export interface Transaction {
  readonly epoch: number;
  readonly jobKey: string;
  /** Where checkpoint files are written; published ones lie in `files`. */
  readonly staging: string;
  readonly files: string;
  /** The newest checkpoint whose manifest is durable; 0: none. */
  readonly committed: number;
}

/** What became of a job's checkpoints. */
export interface CheckpointNumbers {
  readonly lastId: number | null;
  readonly lastDurationMs: number;
  /** Written for it. */
  readonly lastBytes: number;
  readonly completed: number;
  readonly failed: number;
  readonly restoredFrom: number | null;
  /** Newer checkpoints that were damaged and passed over. */
  readonly restoredFromFallback: number;
  readonly restarts: number;
}

/** Everything a participant needs to build its tasks. */
export interface Deployment {
  readonly jobId: string;
  readonly attempt: number;
  /** 0 … parallelism − 1: slots; parallelism: the caller. */
  readonly participant: number;
  readonly parallelism: number;
  readonly plan: PhysicalPlan;
  readonly inboxes: InboxPlan;
  /** By participant; null where it has no tasks. */
  readonly memories: readonly (WebAssembly.Memory | null)[];
  /** Where things lie in each participant's memory. */
  readonly maps: readonly MemoryMap[];
  readonly counters: SharedArrayBuffer;
  readonly batchRows: number;
  readonly hashSeed: string;
  readonly module: JobModule | null;
  /** Values that are no JSON, by id: clones of those that may be read in a slot. */
  readonly resources: ReadonlyMap<string, unknown>;
  readonly restored: Restored | null;
  /** Operator ids of sources whose splits may never end. */
  readonly endless: readonly string[];
  /** Set where the job has a state directory. */
  readonly transaction: Transaction | null;
}

/** One participant's part of a snapshot, by chain. */
export interface SnapshotPart {
  readonly tasks: readonly TaskSnapshot[];
  /** What was written for a checkpoint; null: the state is in memory, in `tasks`. */
  readonly file: FinishedPart | null;
  /** Transactions of sinks that wait to be committed, by operator id. */
  readonly handles: readonly { readonly operator: string; readonly handles: readonly Json[] }[];
}
export interface TaskSnapshot {
  /** Ids of the chain's operators. Restoring goes by them: another parallelism may cut the plan into other chains. */
  readonly operators: readonly string[];
  /** Those of them that had ended here: they have no state, and say nothing any more. */
  readonly ended: readonly string[];
  readonly subtask: number;
  readonly watermarkMs: number;
  readonly source: {
    readonly operator: string;
    readonly splits: readonly Split[];
    readonly watermarkMs: number;
  } | null;
  /** Rows handed to each sink before the barrier, by operator id. */
  readonly written: ReadonlyMap<string, number>;
  /** By operator id: what the state room exported. */
  readonly state: ReadonlyMap<string, unknown>;
}

export type ToParticipant =
  | { readonly kind: 'deploy'; readonly deployment: Deployment }
  | { readonly kind: 'start' }
  | {
      readonly kind: 'assign';
      readonly source: SourceKey;
      readonly split: Split | null;
      readonly ends: boolean;
      readonly unreadMinimum: UnreadMinimum;
    }
  | { readonly kind: 'unread'; readonly source: SourceKey; readonly unreadMinimum: UnreadMinimum }
  | { readonly kind: 'barrier'; readonly id: number; readonly purpose: CheckpointPurpose; readonly hold: boolean }
  /** Checkpoint `id` is given up. */
  | { readonly kind: 'forget'; readonly id: number }
  /** Checkpoint `id` is durable, and sinks have committed. */
  | { readonly kind: 'completed'; readonly id: number }
  | { readonly kind: 'stop'; readonly drain: boolean }
  | { readonly kind: 'cancel' };

/** What a slot's thread hears, with or without a job. `trim`: memories were let go, collect them. */
export type ToThread = ToParticipant | { readonly kind: 'trim' };

export type FromParticipant =
  /** `wants`: sources it has no split of yet. */
  | { readonly kind: 'deployed'; readonly wants: readonly SourceKey[] }
  | { readonly kind: 'splitWanted'; readonly source: SourceKey }
  /** All its tasks have ended. `part`: its last word, when it has closed them. */
  | { readonly kind: 'finished'; readonly cpuMs: number; readonly part: SnapshotPart | null }
  | { readonly kind: 'failed'; readonly error: SerialisedError }
  /** It has let go of everything. `cpuMs`: what it used, when it had not told by `finished`. */
  | { readonly kind: 'released'; readonly cpuMs?: number }
  | { readonly kind: 'partTaken'; readonly id: number; readonly part: SnapshotPart }
  | { readonly kind: 'partFailed'; readonly id: number; readonly error: SerialisedError };

/** From the caller to the coordinator. */
export type ToCoordinator =
  /** A job with so many slots will come soon: threads may start. */
  | { readonly kind: 'warm'; readonly slots: number }
  | {
      readonly kind: 'submit';
      readonly jobId: string;
      readonly plan: Plan;
      readonly options: JobOptions;
      readonly module: JobModule | null;
      readonly resources: ReadonlyMap<string, unknown>;
      readonly restore: {
        readonly parts: readonly SnapshotPart[];
        readonly unread: Unread;
      } | null;
    }
  | {
      readonly kind: 'explain';
      readonly requestId: number;
      readonly plan: Plan;
      readonly options: JobOptions;
      readonly resources: ReadonlyMap<string, unknown>;
    }
  | { readonly kind: 'cancel'; readonly jobId: string }
  /** Answered when `request` is not 0. */
  | {
      readonly kind: 'stop';
      readonly jobId: string;
      readonly drain: boolean;
      readonly request: number;
      readonly savepoint: string | null;
    }
  | {
      readonly kind: 'ask';
      readonly jobId: string;
      readonly purpose: Extract<CheckpointPurpose, { kind: 'asked' | 'savepoint' | 'memory' }>;
    }
  /** The caller is a participant too where the plan has tasks for it. */
  | { readonly kind: 'participant'; readonly jobId: string; readonly message: FromParticipant };

/** From the coordinator to the caller. */
export type FromCoordinator =
  /** All threads of the process are taken; the job starts when enough are free. */
  | { readonly kind: 'waiting'; readonly jobId: string }
  | {
      readonly kind: 'running';
      readonly jobId: string;
      readonly plan: PhysicalPlan;
      readonly counters: SharedArrayBuffer;
      readonly inboxBytes: number;
      readonly estimatedRows: number | null;
    }
  | { readonly kind: 'participant'; readonly jobId: string; readonly message: ToParticipant }
  | {
      readonly kind: 'ended';
      readonly jobId: string;
      readonly outcome: JobOutcome;
      readonly slots: readonly SlotReport[];
      /** Between the coordinator and participants, both ways. */
      readonly messages: number;
    }
  /** To `ask` and `stop`. */
  | {
      readonly kind: 'answer';
      readonly jobId: string;
      readonly request: number;
      /** Of the checkpoint; null: there is none, for `error`. */
      readonly id: number | null;
      /** Of a savepoint. */
      readonly path: string | null;
      readonly snapshot: { readonly parts: readonly SnapshotPart[]; readonly unread: Unread } | null;
      readonly error: SerialisedError | null;
    }
  | { readonly kind: 'checkpoints'; readonly jobId: string; readonly numbers: CheckpointNumbers }
  /** Something that a person should know. */
  | { readonly kind: 'notice'; readonly jobId: string; readonly text: string }
  | {
      readonly kind: 'explained';
      readonly requestId: number;
      readonly text: string | null;
      readonly error: SerialisedError | null;
    };

/** What a slot used over the job's life. */
export interface SlotReport {
  readonly slot: number;
  readonly cpuMs: number;
}
