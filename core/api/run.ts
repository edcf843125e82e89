// biome-ignore-all lint/suspicious/noExplicitAny: conditional types infer through rows of any type
/** What running a job takes and answers, as types. engine/ does the work; nothing here knows how. */
import type { Duration, Size } from '../base/duration.ts';
import type { Job } from './job.ts';
import type { Name, Received, StreamOf } from './modes.ts';
import type { Ends } from './stream.ts';

/** What `for await` over a handle, or over one of its outputs, gives: nothing where the end has a sink. */
export type RowsOf<E> = E extends { sink: true }
  ? never
  : E extends StreamOf<infer R, infer M>
    ? Received<R, M>
    : never;

export interface RunOptions {
  /** Slots: threads that each run a part of every chain. The number of cores, unless said. */
  readonly parallelism?: number;
  /** What the slots share. */
  readonly memory?: Size;
  /** Aborting stops the job in order. */
  readonly signal?: AbortSignal;
  /** Values for the job's `params`. */
  readonly params?: Readonly<Record<string, unknown>>;
  /** `stream` runs bounded sources as if they did not end by themselves: windows close on watermarks. */
  readonly mode?: 'bounded' | 'stream';
  /** One call of a user function may take this long, 30 seconds unless said: then its thread and the job are ended. */
  readonly callTimeout?: Duration;
  /** Rows in a batch at most, 4,096 unless said. Tests set it low. */
  readonly batchRows?: number;
  /** Seed of the hash by which keys find their slot, a decimal string. */
  readonly hashSeed?: string;
  /**
   * A directory for state that outlives the process: the job is checkpointed there, and goes on from its newest checkpoint
   * when it is started again, at whatever parallelism. One job, one process at a time.
   */
  readonly stateDir?: string;
  /** How it is checkpointed. Needs `stateDir`. */
  readonly checkpoint?: CheckpointOptions;
  /** What is done when it fails. Needs `stateDir`. Default: exponential delay from a second to a minute, ten times in a row. */
  readonly restart?: RestartOptions;
  /** A savepoint to begin from, as long as `stateDir` has no checkpoint of its own. */
  readonly from?: string;
  /** State whose operator is not in the job any more is dropped, and it is said so; else such a job is refused. */
  readonly allowNonRestoredState?: boolean;
  /** Takes `stateDir` from a process that still lives; that one can change nothing there any more. */
  readonly takeOver?: boolean;
}

export interface CheckpointOptions {
  /** From one checkpoint to the next; 10 seconds unless said. `'never'`: only on demand and at the end. */
  readonly every?: Duration | 'never';
  /** At least so long between the end of one and the start of the next; none unless said. */
  readonly minPause?: Duration;
  /** A checkpoint that takes longer is given up; 10 minutes unless said. */
  readonly timeout?: Duration;
  /** Checkpoints that may fail in a row; one more fails the attempt. 3 unless said. */
  readonly tolerateFailures?: number;
  /** Checkpoints that are kept, at least 2; 2 unless said. */
  readonly retain?: number;
}

export type RestartOptions =
  | 'none'
  | { readonly strategy: 'none' }
  | { readonly strategy: 'fixedDelay'; readonly attempts?: number; readonly delay?: Duration }
  | {
      readonly strategy: 'failureRate';
      readonly failures?: number;
      readonly interval?: Duration;
      readonly delay?: Duration;
    }
  | {
      readonly strategy: 'exponentialDelay';
      readonly initial?: Duration;
      readonly max?: Duration;
      readonly factor?: number;
      readonly jitter?: number;
      /** After so long without a failure the delay begins anew. */
      readonly resetAfter?: Duration;
      /** Restarts without such a reset. */
      readonly attempts?: number;
    };

export interface JobResult {
  readonly rowsIn: number;
  readonly rowsOut: number;
  /** Rows that came after their window had closed. */
  readonly lateRows: number;
  /** Records that could not be read or worked on, where `onError` let the job go on. */
  readonly skippedRows: number;
  readonly elapsedMs: number;
  /** CPU time of each slot's thread while it worked for the job; 0 where the system does not tell. */
  readonly slots: readonly { readonly slot: number; readonly cpuMs: number }[];
  /** CPU time of the thread that called `run`, from then to the end. */
  readonly callerCpuMs: number;
  /** Messages between threads. Rows travel by rings, so it does not grow with them. */
  readonly messages: number;
}

/** One chain of operators in one slot. Times in milliseconds. */
export interface TaskMetrics {
  readonly chain: number;
  /** Names of its operators. */
  readonly name: string;
  readonly slot: number | 'caller';
  readonly rowsRead: number;
  readonly rowsReceived: number;
  readonly rowsSent: number;
  readonly rowsWritten: number;
  readonly bytesSent: number;
  readonly bytesWritten: number;
  readonly busyMs: number;
  readonly blockedMs: number;
  readonly starvedMs: number;
  readonly lateRows: number;
  readonly skippedRows: number;
  /** Windows and sessions that closed here: one of time closes in every slot that has rows of it. */
  readonly windowsClosed: number;
  /** Keyed state of the whole slot. */
  readonly stateBytes: number;
  readonly watermarkMs: number;
}

export interface CheckpointMetrics {
  /** The newest; null: none yet. */
  readonly lastId: number | null;
  readonly lastDurationMs: number;
  /** Written for it: what had changed. */
  readonly lastBytes: number;
  readonly completed: number;
  readonly failed: number;
  /** The checkpoint that this process, or the last restart, went on from. */
  readonly restoredFrom: number | null;
  /** Newer ones that were damaged and passed over. */
  readonly restoredFromFallback: number;
  readonly restarts: number;
}

export interface JobMetrics {
  readonly rowsIn: number;
  readonly rowsOut: number;
  readonly lateRows: number;
  readonly skippedRows: number;
  readonly watermark: Date | null;
  /** Rows of all sources, where they know; an upper bound. */
  readonly estimatedRows: number | null;
  /** Shared memory that rings take, over all slots. */
  readonly inboxBytes: number;
  readonly tasks: readonly TaskMetrics[];
  /** Of a job with a state directory; null: it has none. */
  readonly checkpoints: CheckpointMetrics | null;
  /** All of it in Prometheus' text format. */
  prometheus(): string;
}

/** A running job. */
export interface JobHandle<O> extends AsyncIterable<RowsOf<O>>, AsyncDisposable {
  /** The rows of one of several ends. Read them side by side: rows of an end that wait for their reader hold the job back. */
  output<N extends Name<O>>(name: N): AsyncIterable<RowsOf<O[N]>>;
  /**
   * Resolves when every input has ended and every sink has finished; rejects with the job's error. Rows of ends without
   * a sink have to be read meanwhile when there are more than 4,096: `job/unread` if nobody begins to.
   */
  result(): Promise<JobResult>;
  metrics(): JobMetrics;
  /** A checkpoint now; resolves with its number when it is durable. Errors: `checkpoint/…`. */
  checkpoint(): Promise<number>;
  /** A savepoint in a new directory below `directory`; resolves with its path. Errors: `checkpoint/…`, `state/…`. */
  savepoint(directory: string): Promise<string>;
  /**
   * Ends the job in order. With a state directory a last checkpoint is taken, from which it can go on; else, and with `drain`,
   * its sources end. `drain` also closes the windows that are open. `savepoint`: a directory for a savepoint of where it ended.
   */
  stop(options?: { readonly drain?: boolean; readonly savepoint?: string }): Promise<void>;
  /** Ends the job where it is; sinks leave nothing unfinished behind. */
  cancel(): Promise<void>;
}

/** The type of `run`. */
export type Run = <O extends Ends>(what: Job<O> | O, options?: RunOptions) => JobHandle<O>;
/** The type of `collect`: all rows of a bounded stream. */
export type Collect = <R>(stream: StreamOf<R, 'bounded'>, options?: RunOptions) => Promise<R[]>;
