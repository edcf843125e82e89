/**
 * How a person reaches a running job: a socket in its state directory that only the owner may use (mode 0600). A client
 * sends one JSON object in a line and gets one in a line. Bounded: few clients, short lines, nobody is waited for for ever.
 *
 *   → {"verb":"checkpoint"} | {"verb":"savepoint","directory":"/d"} | {"verb":"stop","drain":false,"savepoint":null} | {"verb":"cancel"}
 *   ← {"ok":true,"id":7,"path":null} | {"ok":false,"code":"checkpoint/failed","message":"…"}
 */
import { chmodSync, closeSync, openSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { type ErrorCode, isMillraceError, MillraceError } from '../core/base/errors.ts';
import type { JobAnswer, JobRun } from './job-run.ts';

export const socketName = 'control.sock';
const clientsMax = 16;
const lineBytesMax = 16 * 1024;
/** A client that says nothing is let go. */
const silenceMs = 10_000;
/** Paths of sockets are short; longer ones are reached through an open directory. */
const pathBytesMax = 100;

export type ControlRequest =
  | { readonly verb: 'checkpoint' }
  | { readonly verb: 'savepoint'; readonly directory: string }
  | { readonly verb: 'stop'; readonly drain: boolean; readonly savepoint: string | null }
  | { readonly verb: 'cancel' };

export type ControlAnswer =
  | { readonly ok: true; readonly id: number | null; readonly path: string | null }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** The part of a job that it reaches. */
export type Controlled = Pick<JobRun, 'ask' | 'stop' | 'cancel'>;

/** Requests from here are told apart from those of the program that runs the job. */
const firstRequest = 2 ** 40;

export class ControlSocket {
  readonly #job: Controlled;
  readonly #server: Server;
  readonly #path: string;
  readonly #directory: number | null;
  readonly #waiting = new Map<number, Socket>();
  readonly #clients = new Set<Socket>();
  #next = firstRequest;

  /** Null where there can be none: `notice` says why, and the job goes on. */
  static open(stateDir: string, job: Controlled, notice: (text: string) => void): ControlSocket | null {
    try {
      return new ControlSocket(stateDir, job, notice);
    } catch (error) {
      notice(`the job cannot be reached by millrace stop and savepoint: ${(error as Error).message}`);
      return null;
    }
  }

  private constructor(stateDir: string, job: Controlled, notice: (text: string) => void) {
    this.#job = job;
    this.#path = join(stateDir, socketName);
    // Whoever owned the directory before is gone, and so is who listened.
    rmSync(this.#path, { force: true });
    const { path, directory } = shortPath(stateDir);
    this.#directory = directory;
    this.#server = createServer({ allowHalfOpen: false }, (socket) => this.#accept(socket));
    this.#server.maxConnections = clientsMax;
    this.#server.on('error', (error) =>
      notice(`the job cannot be reached by millrace stop and savepoint: ${error.message}`),
    );
    this.#server.listen(path, () => {
      try {
        chmodSync(this.#path, 0o600);
      } catch {
        // Closed meanwhile.
      }
    });
    this.#server.unref();
  }

  /** Whether that answer was for a client of the socket, and is told. */
  answered(request: number, { id, path, error }: JobAnswer): boolean {
    if (request < firstRequest) return false;
    const socket = this.#waiting.get(request);
    this.#waiting.delete(request);
    if (!socket) return true;
    if (error) answer(socket, { ok: false, code: error.code ?? 'checkpoint/failed', message: error.message });
    else answer(socket, { ok: true, id, path });
    return true;
  }

  /** The job has ended: who still waits is told so. */
  close(): void {
    for (const request of [...this.#waiting.keys()])
      this.answered(request, { id: null, path: null, snapshot: null, error: null });
    this.#server.close();
    for (const socket of this.#clients) socket.destroySoon();
    rmSync(this.#path, { force: true });
    if (this.#directory !== null) closeSync(this.#directory);
  }

  #accept(socket: Socket): void {
    this.#clients.add(socket);
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(silenceMs, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#clients.delete(socket));
    socket.on('data', (piece: string) => {
      text += piece;
      const end = text.indexOf('\n');
      if (end < 0 && text.length <= lineBytesMax) return;
      socket.removeAllListeners('data');
      // From here on it waits for us.
      socket.setTimeout(0);
      const request = end < 0 || end > lineBytesMax ? null : parse(text.slice(0, end));
      if (request) this.#carryOut(request, socket);
      else answer(socket, { ok: false, code: 'option/invalid', message: 'the request is not one this version knows' });
    });
  }

  #carryOut(request: ControlRequest, socket: Socket): void {
    const number = this.#next++;
    if (request.verb === 'cancel') {
      answer(socket, { ok: true, id: null, path: null });
      this.#job.cancel();
      return;
    }
    this.#waiting.set(number, socket);
    if (request.verb === 'checkpoint') this.#job.ask({ kind: 'asked', request: number });
    else if (request.verb === 'savepoint')
      this.#job.ask({ kind: 'savepoint', request: number, directory: request.directory });
    else this.#job.stop(request.drain, number, request.savepoint);
  }
}

function answer(socket: Socket, text: ControlAnswer): void {
  socket.end(`${JSON.stringify(text)}\n`);
}

function parse(line: string): ControlRequest | null {
  let value: Partial<Record<'verb' | 'directory' | 'drain' | 'savepoint', unknown>>;
  try {
    value = JSON.parse(line) as typeof value;
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  switch (value.verb) {
    case 'checkpoint':
    case 'cancel':
      return { verb: value.verb };
    case 'savepoint':
      return typeof value.directory === 'string' ? { verb: 'savepoint', directory: value.directory } : null;
    case 'stop': {
      const { drain = false, savepoint = null } = value;
      if (typeof drain !== 'boolean' || (savepoint !== null && typeof savepoint !== 'string')) return null;
      return { verb: 'stop', drain, savepoint };
    }
    default:
      return null;
  }
}

/** A path to the socket that is short enough; `directory`: a descriptor that is to be closed with it. */
function shortPath(stateDir: string): { readonly path: string; readonly directory: number | null } {
  const path = join(stateDir, socketName);
  if (Buffer.byteLength(path) <= pathBytesMax) return { path, directory: null };
  const directory = openSync(stateDir, 'r');
  return { path: `/proc/self/fd/${directory}/${socketName}`, directory };
}

/** Asks the job that runs with `stateDir`. Errors: `job/not-running`, and what the job answers. */
export async function askJob(stateDir: string, request: ControlRequest): Promise<Extract<ControlAnswer, { ok: true }>> {
  let short: ReturnType<typeof shortPath>;
  try {
    short = shortPath(stateDir);
  } catch (error) {
    throw notRunning(stateDir, error);
  }
  try {
    const line = await exchange(short.path, `${JSON.stringify(request)}\n`);
    const said = JSON.parse(line) as ControlAnswer;
    if (said.ok) return said;
    throw new MillraceError(said.code as ErrorCode, said.message, { where: { path: stateDir } });
  } catch (error) {
    if (isMillraceError(error)) throw error;
    throw notRunning(stateDir, error);
  } finally {
    if (short.directory !== null) closeSync(short.directory);
  }
}

function exchange(path: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => socket.write(request));
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (piece: string) => {
      text += piece;
      if (text.length > lineBytesMax * 4) socket.destroy(new Error('the answer is too long'));
    });
    socket.on('error', reject);
    socket.on('close', () => {
      if (text.endsWith('\n')) resolve(text);
      else reject(new Error('the job ended before it answered'));
    });
  });
}

function notRunning(stateDir: string, cause: unknown): MillraceError {
  const code = (cause as NodeJS.ErrnoException).code;
  const why =
    code === 'ENOENT' || code === 'ECONNREFUSED'
      ? `no job runs with ${stateDir}`
      : `the job that runs with ${stateDir} did not answer: ${(cause as Error).message}`;
  return new MillraceError('job/not-running', `${why}; start it with millrace run … --state-dir ${stateDir}`, {
    where: { path: stateDir },
    cause,
  });
}
