/**
 * Threads for slots: a Piscina pool whose tasks are the threads' loops. A thread outlives jobs; what it is to do arrives
 * over a channel of its own. Piscina cannot recycle one worker, so a thread that imported user code, or that must not be
 * trusted any more, is ended by aborting its task (which terminates it), and a fresh one takes its place when needed.
 */
import { availableParallelism, totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import { MessageChannel, type MessagePort, type Transferable } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { MillraceError } from '../core/base/errors.ts';
import { slotsMax, youngHeapMb } from '../core/base/limits.ts';

/** A thread at the disposal of one job. */
export interface SlotThread {
  post(message: unknown, transfer?: readonly Transferable[]): void;
  /** Who receives what the thread says; set by whoever holds the thread. */
  onMessage: (message: unknown) => void;
  /** The thread died under the job: out of memory, an exit, a crash of its loop. */
  onDeath: (error: unknown) => void;
}

interface Held extends SlotThread {
  readonly port: MessagePort;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/**
 * JavaScript heap of one thread: what Node gives to one (`--max-old-space-size` says so), but no more than lets as many
 * threads as there are cores stay within half of the machine. A thread that wants more dies, and its job with it; without
 * a limit the system would end the process.
 */
export function threadHeapMb(): number {
  const share = totalmem() / 2 / availableParallelism();
  return Math.floor(Math.min(getHeapStatistics().heap_size_limit, Math.max(share, 256 * 2 ** 20)) / 2 ** 20);
}

export class SlotPool {
  readonly #piscina: Piscina;
  readonly #idle: Held[] = [];
  readonly #waiting: { count: number; give: () => void }[] = [];
  #threads = 0;

  /** `entry`: file URL of the module whose default export is the thread's loop. */
  constructor(entry: string) {
    this.#piscina = new Piscina({
      filename: entry,
      minThreads: 0,
      maxThreads: slotsMax,
      idleTimeout: Number.POSITIVE_INFINITY,
      maxQueue: 0,
      concurrentTasksPerWorker: 1,
      atomics: 'disabled',
      // What the parent was started with (an inspector, loaders) must not leak in.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: threadHeapMb(), maxYoungGenerationSizeMb: youngHeapMb },
      recordTiming: false,
    });
    // A thread that was told to end can still run out of memory before it does; nobody holds it, and nobody need hear of it.
    this.#piscina.on('error', () => {});
  }

  /** Waits until `count` threads are free. `onWait` is called when it has to. */
  async acquire(count: number, onWait: () => void): Promise<SlotThread[]> {
    if (count > slotsMax)
      throw new MillraceError('option/invalid', `a process has at most ${slotsMax} slots, not ${count}`);
    if (this.#waiting.length > 0 || !this.#fits(count)) {
      onWait();
      await new Promise<void>((give) => this.#waiting.push({ count, give }));
    }
    const taken = this.#idle.splice(0, count);
    while (taken.length < count) taken.push(this.#start());
    return taken;
  }

  /** Starts threads ahead of the job that will want them: `count` are idle then, as far as the process may have them. */
  warm(count: number): void {
    while (this.#idle.length < count && this.#threads < slotsMax) this.#idle.push(this.#start());
  }

  /** Gives a thread back; `retire` ends it (it holds user code, or cannot be trusted). */
  release(thread: SlotThread, retire: boolean): Promise<void> {
    const held = thread as Held;
    held.onMessage = () => {};
    held.onDeath = () => {};
    let gone = Promise.resolve();
    if (retire) {
      held.abort.abort();
      gone = held.done;
    } else {
      this.#idle.push(held);
    }
    this.#admit();
    return gone;
  }

  /** Says something to every thread that no job holds. */
  tell(message: unknown): void {
    for (const thread of this.#idle) thread.post(message);
  }

  #fits(count: number): boolean {
    return this.#threads - this.#idle.length + count <= slotsMax;
  }

  #admit(): void {
    const next = this.#waiting[0];
    if (next && this.#fits(next.count)) {
      this.#waiting.shift();
      next.give();
    }
  }

  #start(): Held {
    const { port1, port2 } = new MessageChannel();
    const abort = new AbortController();
    this.#threads++;
    const done = this.#piscina
      .run(port2, { transferList: [port2], signal: abort.signal })
      .then(
        () => held.onDeath(new MillraceError('slot/died', 'the thread of the slot ended by itself')),
        (error: unknown) => {
          if (!abort.signal.aborted) held.onDeath(error);
        },
      )
      .finally(() => {
        this.#threads--;
        const at = this.#idle.indexOf(held);
        if (at >= 0) this.#idle.splice(at, 1);
        port1.close();
        this.#admit();
      });
    const held: Held = {
      port: port1,
      abort,
      done,
      post: (message, transfer) => port1.postMessage(message, transfer ?? []),
      onMessage: () => {},
      onDeath: () => {},
    };
    port1.on('message', (message: unknown) => held.onMessage(message));
    return held;
  }
}
