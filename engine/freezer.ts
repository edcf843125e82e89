/**
 * Checkpoints of one participant: each task's state freezes when its barrier comes, is read a few pages at a time while
 * the tasks go on, into the participant's file or into memory, and is handed over when all tasks have reached the barrier
 * and everything is durable. Sinks close their transactions at the barrier. A task that has ended takes part as it was when
 * it did: it will say nothing any more.
 */
import type { Clock } from '../core/base/clock.ts';
import type { Chain } from '../core/plan/physical.ts';
import type { FinishedPart } from '../core/ports/checkpoint.ts';
import type { Json, SinkWriter } from '../core/ports/connector.ts';
import type { CheckpointPurpose } from '../core/schedule/checkpoints.ts';
import type { CheckpointTarget, checkpointWriter } from '../state/checkpoint/writer.ts';
import type { StoredState } from '../state/slot-state.ts';
import type { StateSnapshot } from '../state/snapshot.ts';
import type { TaskMoment } from '../workers/task.ts';
import type { SnapshotPart, TaskSnapshot } from './messages.ts';

/** Pages are read for so long between two turns, and so many before it is looked at the clock. */
const readMs = 3;
const pagesPerLook = 8;

interface Frozen {
  readonly chain: Chain;
  readonly task: Omit<TaskSnapshot, 'state'>;
  readonly states: ReadonlyMap<string, StateSnapshot>;
}

export interface FreezerSetup {
  readonly clock: Clock;
  /** Frozen pages that are read between two rounds at most. */
  readonly pagesPerRound: number;
  /** Null: nothing is kept on disk. */
  readonly writer: ReturnType<typeof checkpointWriter> | null;
  /** The newest durable checkpoint when the attempt began; 0: none. */
  readonly committed: number;
  taken(id: number, part: SnapshotPart): void;
  /** The part cannot be made; the attempt goes on. */
  failed(id: number, error: unknown): void;
  /** The attempt cannot go on. */
  broken(error: unknown): void;
  /** Something that happens later may let tasks go on. */
  wake(): void;
}

/** What the freezer looks at. */
export interface Freezable {
  readonly chain: Chain;
  readonly ended: boolean;
  readonly subtask: number;
  moment(): TaskMoment;
}

export class Freezer {
  /** By operator id: an operator runs once in a slot. */
  readonly stored = new Map<string, StoredState>();
  /** Rows handed to each sink, by operator id. */
  readonly written = new Map<string, number>();
  /** Writers of sinks, by operator id. */
  readonly writers = new Map<string, SinkWriter>();
  readonly #setup: FreezerSetup;
  #committed: number;
  /** The last checkpoint that was asked for. */
  #asked = 0;
  /** The one under way, 0: none. */
  #id = 0;
  #frozen: Frozen[] = [];
  /** Where its pages go; null: into memory. */
  #file: CheckpointTarget | null = null;
  /** What sinks prepare. */
  #handles: Promise<{ readonly operator: string; readonly handles: readonly Json[] }>[] = [];
  /** Its file is being made durable: no other can begin meanwhile. */
  #finishing = false;

  constructor(setup: FreezerSetup) {
    this.#setup = setup;
    this.#committed = setup.committed;
  }

  /** A checkpoint was asked for. One that was never completed is given up. */
  asked(id: number, purpose: CheckpointPurpose): void {
    this.#drop();
    this.#asked = id;
    this.#id = id;
    if (purpose.kind === 'memory' || !this.#setup.writer || this.#finishing) return;
    this.#begin(this.#setup.writer);
  }

  #begin(writer: NonNullable<FreezerSetup['writer']>): void {
    const id = this.#id;
    try {
      this.#file = writer.begin(id, this.#committed) as CheckpointTarget;
    } catch (error) {
      this.#id = 0;
      this.#setup.failed(id, error);
    }
  }

  /** A barrier can be faster than the word that it is coming, or than the end of the checkpoint before. */
  knows(id: number): boolean {
    return id <= this.#asked && !this.#finishing;
  }

  /** It is given up. */
  forget(id: number): void {
    if (this.#id === id) this.#drop();
  }

  /** It is durable. */
  completed(id: number): void {
    this.#committed = Math.max(this.#committed, id);
    for (const writer of this.writers.values()) writer.completed?.(id);
  }

  /** A task reached barrier `id`, with nothing in flight. */
  freeze(id: number, chain: Chain, subtask: number, moment: TaskMoment): void {
    if (this.#id !== id) return;
    const states = new Map<string, StateSnapshot>();
    for (const [index, operator] of chain.operators.entries()) {
      const stored = this.stored.get(operator.id);
      if (stored && !moment.ended.includes(index))
        states.set(operator.id, this.#file ? stored.snapshot(this.#file) : stored.snapshot());
      const writer = this.writers.get(operator.id);
      if (writer?.prepare && this.#file) this.#prepare(operator.id, writer, id);
    }
    this.#frozen.push({ chain, states, task: this.#taskOf(chain, subtask, moment) });
  }

  /** What was written until now belongs to this checkpoint: it is called at once, and waited for later. */
  #prepare(operator: string, writer: SinkWriter, id: number): void {
    const prepared = (async () => ({ operator, handles: await writer.prepare!(id) }))();
    prepared.catch((error: unknown) => this.#setup.broken(error));
    this.#handles.push(prepared);
  }

  /** What tasks that have all ended leave behind: no state. */
  lastPart(tasks: readonly Freezable[]): SnapshotPart {
    return {
      tasks: tasks.map((task) => ({ ...this.#taskOf(task.chain, task.subtask, task.moment()), state: new Map() })),
      file: null,
      handles: [],
    };
  }

  /** Reads some of what is frozen; true while there is more. Called between rounds. */
  read(tasks: readonly Freezable[]): boolean {
    if (this.#id === 0 || this.#finishing) return false;
    const { clock } = this.#setup;
    let left = this.#setup.pagesPerRound;
    const untilMs = clock.monotonicMs() + readMs;
    for (const task of tasks) {
      if (task.ended && !this.#frozen.some((frozen) => frozen.chain === task.chain))
        this.freeze(this.#id, task.chain, task.subtask, task.moment());
    }
    try {
      for (const { states } of this.#frozen) {
        for (const state of states.values()) {
          while (!state.read(Math.min(pagesPerLook, left))) {
            left -= pagesPerLook;
            if (left <= 0 || clock.monotonicMs() >= untilMs) return true;
          }
        }
      }
    } catch (error) {
      const id = this.#id;
      this.#drop();
      this.#setup.failed(id, error);
      return false;
    }
    if (this.#frozen.length < tasks.length) return false;
    if (this.#file) void this.#finish(this.#file);
    else this.#takenInMemory();
    return false;
  }

  #takenInMemory(): void {
    const part: SnapshotPart = {
      tasks: this.#frozen.map(({ task, states }) => ({
        ...task,
        state: new Map([...states].map(([operator, state]) => [operator, state.part] as const)),
      })),
      file: null,
      handles: [],
    };
    const id = this.#id;
    this.#id = 0;
    this.#frozen = [];
    this.#setup.taken(id, part);
  }

  async #finish(file: CheckpointTarget): Promise<void> {
    const id = this.#id;
    const tasks = this.#frozen.map(({ task }) => ({ ...task, state: new Map<string, unknown>() }));
    const prepared = this.#handles;
    this.#frozen = [];
    this.#handles = [];
    this.#file = null;
    this.#finishing = true;
    let finished: FinishedPart | null = null;
    let failure: unknown = null;
    try {
      finished = await file.finish();
      const handles = (await Promise.all(prepared)).filter((one) => one.handles.length > 0);
      // Given up meanwhile: nobody waits for it.
      if (this.#id === id) this.#setup.taken(id, { tasks, file: finished, handles });
    } catch (error) {
      failure = error;
    }
    this.#finishing = false;
    if (failure !== null && this.#id === id) this.#setup.failed(id, failure);
    if (this.#id === id) this.#id = 0;
    // Another one was asked for while this one became durable.
    else if (this.#id !== 0 && this.#setup.writer) this.#begin(this.#setup.writer);
    this.#setup.wake();
  }

  #taskOf(chain: Chain, subtask: number, { position, watermarkMs, ended }: TaskMoment): Omit<TaskSnapshot, 'state'> {
    const written = new Map<string, number>();
    for (const { id } of chain.operators) {
      const rows = this.written.get(id);
      if (rows !== undefined) written.set(id, rows);
    }
    return {
      operators: chain.operators.map(({ id }) => id),
      ended: ended.map((index) => chain.operators[index]!.id),
      subtask,
      watermarkMs,
      source: position ? { operator: chain.operators[0]!.id, ...position } : null,
      written,
    };
  }

  #drop(): void {
    for (const { states } of this.#frozen) for (const state of states.values()) state.release();
    this.#frozen = [];
    this.#handles = [];
    this.#file?.abandon();
    this.#file = null;
    this.#id = 0;
  }

  /** The attempt is over. */
  close(): void {
    this.#drop();
  }
}
