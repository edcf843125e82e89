/**
 * A participant: one slot's (or the caller's) part of one job attempt. Builds its tasks from a deployment, runs them by
 * the loop, and answers the coordinator. After a failure nothing in its memory is trusted: it stops, says why, and
 * acknowledges the cancel that follows.
 */
import { isMillraceError, MillraceError, serialiseError } from '../core/base/errors.ts';
import type { SourceDriver } from '../core/operators/source.ts';
import { checkpointReader } from '../state/checkpoint/reader.ts';
import { checkpointWriter } from '../state/checkpoint/writer.ts';
import { threadCpuMs } from '../workers/cpu.ts';
import { participantOf } from '../workers/exchange/inbox.ts';
import { runLoop } from '../workers/loop.ts';
import type { Task } from '../workers/task.ts';
import { Freezer } from './freezer.ts';
import type { Deployment, FromParticipant, ToParticipant } from './messages.ts';
import { openSlot, type ParticipantSetup, type Slot } from './slot.ts';
import { buildTask } from './task-builder.ts';
import { loadFunctions } from './user-functions.ts';

export class Participant {
  readonly #deployment: Deployment;
  readonly #setup: ParticipantSetup;
  readonly #post: (message: FromParticipant) => void;
  readonly #slot: Slot;
  readonly #freezer: Freezer;
  readonly #sources = new Map<string, SourceDriver>();
  readonly #cpuAtStartMs = threadCpuMs();
  #tasks: Task[] = [];
  #stopped = false;
  #finished = false;
  #deploying: Promise<void> = Promise.resolve();
  #restored: ReturnType<typeof checkpointReader> | null = null;
  #loop: Promise<void> = Promise.resolve();

  /** Null when the memory could not be laid out: `failed` was posted; who made it answers the cancel that follows. */
  static create(
    deployment: Deployment,
    setup: ParticipantSetup,
    post: (message: FromParticipant) => void,
  ): Participant | null {
    try {
      return new Participant(deployment, setup, post);
    } catch (error) {
      post({ kind: 'failed', error: serialiseError(error) });
      return null;
    }
  }

  constructor(deployment: Deployment, setup: ParticipantSetup, post: (message: FromParticipant) => void) {
    this.#deployment = deployment;
    this.#setup = setup;
    this.#post = post;
    this.#slot = openSlot(deployment);
    const { transaction, participant } = deployment;
    this.#freezer = new Freezer({
      clock: setup.clock,
      pagesPerRound: setup.pagesPerRound ?? Number.POSITIVE_INFINITY,
      writer: transaction
        ? checkpointWriter({ disk: setup.disk, staging: transaction.staging, epoch: transaction.epoch, participant })
        : null,
      committed: transaction?.committed ?? 0,
      taken: (id, part) => post({ kind: 'partTaken', id, part }),
      failed: (id, error) => post({ kind: 'partFailed', id, error: serialiseError(error) }),
      broken: (error) => this.#fail(error),
      wake: () => this.#slot.exchange.doorbell.wake(),
    });
  }

  get tasks(): readonly Task[] {
    return this.#tasks;
  }

  /** Builds the tasks; answers `deployed`, or `failed`. */
  deploy(): Promise<void> {
    this.#deploying = this.#deploy();
    return this.#deploying;
  }

  async #deploy(): Promise<void> {
    try {
      const { plan, inboxes, participant, module } = this.#deployment;
      const functions = this.#setup.functions ?? (await loadFunctions(module));
      this.#restored = this.#openRestored();
      const restored = this.#restored;
      const builder = {
        restored: (id: string) => restored?.operator(id) ?? [],
        deployment: this.#deployment,
        setup: this.#setup,
        slot: this.#slot,
        freezer: this.#freezer,
        functions,
        sources: this.#sources,
        wantSplit: (source: string) => this.#post({ kind: 'splitWanted', source }),
      };
      for (const chain of plan.chains) {
        for (let subtask = 0; subtask < chain.parallelism; subtask++) {
          if (participantOf(chain, subtask, inboxes.slots) !== participant) continue;
          if (this.#stopped) return;
          this.#tasks.push(await buildTask(builder, chain, subtask));
        }
      }
      this.#restored?.close();
      this.#slot.noteScratch();
      const wants = [...this.#sources].flatMap(([key, source]) => (source.begin() ? [key] : []));
      this.#post({ kind: 'deployed', wants });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** What operators held, in the files of a checkpoint. */
  #openRestored(): ReturnType<typeof checkpointReader> | null {
    const files = this.#deployment.restored?.files;
    if (!files) return null;
    const parts = files.parts.flatMap(({ file }) => (file === null ? [] : [file]));
    return checkpointReader(this.#setup.disk, files.directory, files.refs, parts);
  }

  receive(message: Exclude<ToParticipant, { kind: 'deploy' }>): void {
    switch (message.kind) {
      case 'start':
        this.#loop = this.#run();
        return;
      case 'assign':
        this.#sources.get(message.source)?.assign(message.split, message.ends, message.unreadMinimum);
        break;
      case 'unread':
        this.#sources.get(message.source)?.unreadChanged(message.unreadMinimum);
        break;
      case 'barrier':
        this.#freezer.asked(message.id, message.purpose);
        for (const task of this.#tasks) task.injectBarrier(message.id, message.hold);
        break;
      case 'forget':
        this.#freezer.forget(message.id);
        for (const task of this.#tasks) task.forgetBarrier(message.id);
        break;
      case 'completed':
        this.#freezer.completed(message.id);
        break;
      case 'stop':
        for (const task of this.#tasks) task.stop(message.drain);
        break;
      case 'cancel':
        void this.#cancel();
        break;
    }
    this.#slot.exchange.doorbell.wake();
  }

  /** Reads some of a snapshot; true while there is more. */
  readFrozen(): boolean {
    return this.#freezer.read(this.#tasks);
  }

  /**
   * All tasks have ended: files are closed, the coordinator is told. Where the job is checkpointed they stay, for the final
   * checkpoint commits what they wrote; answers whether they do.
   */
  finish(): boolean {
    const stays = this.#deployment.transaction !== null;
    if (this.#finished) return stays;
    this.#finished = true;
    const part = stays ? null : this.#freezer.lastPart(this.#tasks);
    if (!stays) this.#close();
    this.#post({ kind: 'finished', cpuMs: this.#cpuMs(), part });
    return stays;
  }

  #cpuMs(): number {
    const now = threadCpuMs();
    return now === null || this.#cpuAtStartMs === null ? 0 : now - this.#cpuAtStartMs;
  }

  async #run(): Promise<void> {
    try {
      await runLoop({
        tasks: this.#tasks,
        doorbell: this.#slot.exchange.doorbell,
        clock: this.#setup.clock,
        stopped: () => this.#stopped,
        background: () => this.readFrozen(),
        lingers: () => this.finish(),
      });
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#stopped = true;
    const { participant, parallelism } = this.#deployment;
    const where = participant < parallelism ? { slot: participant } : {};
    const known = isMillraceError(error)
      ? new MillraceError(error.code, error.message, {
          where: { ...where, ...error.where },
          cause: error.cause,
          retryable: error.retryable,
        })
      : error;
    this.#post({ kind: 'failed', error: serialiseError(known) });
  }

  async #cancel(): Promise<void> {
    this.#stopped = true;
    await this.#deploying;
    await this.#loop;
    this.#close();
    if (this.#finished) this.#post({ kind: 'released' });
    else this.#post({ kind: 'released', cpuMs: this.#cpuMs() });
  }

  #close(): void {
    const tasks = this.#tasks;
    this.#tasks = [];
    this.#restored?.close();
    this.#freezer.close();
    for (const task of tasks) {
      try {
        task.close();
      } catch (error) {
        this.#fail(error);
      }
    }
  }
}
