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
}

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
  /** Keyed state of the whole slot. */
  readonly stateBytes: number;
  readonly watermarkMs: number;
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
  /** Ends the sources; `drain` also closes the windows that are open. */
  stop(options?: { readonly drain?: boolean }): Promise<void>;
  /** Ends the job where it is; sinks leave nothing unfinished behind. */
  cancel(): Promise<void>;
}

/** The type of `run`. */
export type Run = <O extends Ends>(what: Job<O> | O, options?: RunOptions) => JobHandle<O>;
/** The type of `collect`: all rows of a bounded stream. */
export type Collect = <R>(stream: StreamOf<R, 'bounded'>, options?: RunOptions) => Promise<R[]>;
