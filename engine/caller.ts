/**
 * The caller's side of the coordinator: one connection per process, to a thread that starts with the first job. Keeps
 * Node alive while a job runs and not a moment longer.
 */
import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { MillraceError } from '../core/base/errors.ts';
import { youngHeapMb } from '../core/base/limits.ts';
import type { FromCoordinator, ToCoordinator } from './messages.ts';

type FromCoordinatorOfJob = Extract<FromCoordinator, { jobId: string }>;
type Explained = Extract<FromCoordinator, { kind: 'explained' }>;

/** Who hears of a job. */
export type JobListener = (message: FromCoordinatorOfJob) => void;

let connection: Connection | null = null;
let jobs = 0;

/** The process's connection, made when first asked for. */
export function coordinator(): Connection {
  connection ??= new Connection();
  return connection;
}

/** Unique within the process. */
export function nextJobId(): string {
  return `job-${++jobs}`;
}

/** The bundled thread, seen from the bundle, from a file of its own or from the source tree; else the module beside this file. */
function entry(): URL {
  const places = ['../threads/', '../bundle/threads/', '../dist/bundle/threads/', './'];
  const urls = places.map((place) => new URL(`${place}coordinator-main.js`, import.meta.url));
  return urls.find((url) => existsSync(url)) ?? urls[urls.length - 1]!;
}

export class Connection {
  readonly #worker: Worker;
  readonly #listeners = new Map<string, JobListener>();
  readonly #explaining = new Map<number, (answer: Explained) => void>();
  readonly #onLost = new Set<(error: unknown) => void>();
  #requests = 0;

  constructor() {
    this.#worker = new Worker(entry(), {
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: youngHeapMb },
      stdin: false,
    });
    this.#worker.on('message', (message: FromCoordinator) => this.#heard(message));
    this.#worker.on('error', (error) => this.#lost(error));
    this.#worker.on('exit', () => this.#lost(new MillraceError('slot/died', 'the coordinator thread ended')));
    this.#worker.unref();
  }

  send(message: ToCoordinator): void {
    this.#worker.postMessage(message);
  }

  /** Hears of job `jobId` until `forget`; the process stays alive as long. `lost`: the coordinator is gone. */
  listen(jobId: string, listener: JobListener, lost: (error: unknown) => void): void {
    this.#listeners.set(jobId, listener);
    this.#onLost.add(lost);
    this.#worker.ref();
  }

  forget(jobId: string, lost: (error: unknown) => void): void {
    this.#listeners.delete(jobId);
    this.#onLost.delete(lost);
    this.#idle();
  }

  explain(message: Omit<Extract<ToCoordinator, { kind: 'explain' }>, 'kind' | 'requestId'>): Promise<Explained> {
    const requestId = ++this.#requests;
    this.#worker.ref();
    return new Promise((resolve) => {
      this.#explaining.set(requestId, resolve);
      this.send({ kind: 'explain', requestId, ...message });
    });
  }

  #heard(message: FromCoordinator): void {
    if (message.kind === 'explained') {
      this.#explaining.get(message.requestId)?.(message);
      this.#explaining.delete(message.requestId);
      this.#idle();
      return;
    }
    this.#listeners.get(message.jobId)?.(message);
  }

  #idle(): void {
    if (this.#listeners.size === 0 && this.#explaining.size === 0) this.#worker.unref();
  }

  #lost(error: unknown): void {
    if (connection === this) connection = null;
    for (const lost of [...this.#onLost]) lost(error);
  }
}
