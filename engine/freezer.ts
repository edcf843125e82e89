/**
 * Checkpoints of one participant: each task's state freezes when its barrier comes, is read a few pages at a time while
 * the tasks go on, and is handed over when all tasks have reached the barrier. A task that has ended takes part as it was
 * when it did: it will say nothing any more.
 */
import type { Chain } from '../core/plan/physical.ts';
import type { CheckpointPurpose } from '../core/schedule/checkpoints.ts';
import type { StoredState } from '../state/slot-state.ts';
import type { StateSnapshot } from '../state/snapshot.ts';
import type { TaskMoment } from '../workers/task.ts';
import type { SnapshotPart, TaskSnapshot } from './messages.ts';

/** Pages read between two turns: about a millisecond. */
const pagesPerTurn = 64;

interface Frozen {
  readonly chain: Chain;
  readonly task: Omit<TaskSnapshot, 'state'>;
  readonly states: ReadonlyMap<string, StateSnapshot>;
}

export interface FreezerAnswers {
  taken(id: number, part: SnapshotPart): void;
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
  readonly #answers: FreezerAnswers;
  /** The last checkpoint that was asked for. */
  #asked = 0;
  /** The one under way, 0: none. */
  #id = 0;
  #frozen: Frozen[] = [];

  constructor(answers: FreezerAnswers) {
    this.#answers = answers;
  }

  /** A checkpoint was asked for. One that was never completed is given up. */
  asked(id: number, _purpose: CheckpointPurpose): void {
    this.#begin(id);
    this.#asked = id;
  }

  /** A barrier can be faster than the word that it is coming. */
  knows(id: number): boolean {
    return id <= this.#asked;
  }

  /** It is given up. */
  forget(id: number): void {
    if (this.#id === id) this.#begin(0);
  }

  /** A task reached barrier `id`, with nothing in flight. */
  freeze(id: number, chain: Chain, subtask: number, moment: TaskMoment): void {
    if (this.#id !== id) return;
    const states = new Map<string, StateSnapshot>();
    for (const [index, operator] of chain.operators.entries()) {
      const stored = this.stored.get(operator.id);
      if (stored && !moment.ended.includes(index)) states.set(operator.id, stored.snapshot());
    }
    this.#frozen.push({ chain, states, task: this.#taskOf(chain, subtask, moment) });
  }

  /** What tasks that have all ended leave behind: no state. */
  lastPart(tasks: readonly Freezable[]): SnapshotPart {
    return {
      tasks: tasks.map((task) => ({ ...this.#taskOf(task.chain, task.subtask, task.moment()), state: new Map() })),
    };
  }

  /** Reads some of what is frozen; true while there is more. Called between rounds. */
  read(tasks: readonly Freezable[]): boolean {
    if (this.#id === 0) return false;
    for (const task of tasks) {
      if (task.ended && !this.#frozen.some((frozen) => frozen.chain === task.chain))
        this.freeze(this.#id, task.chain, task.subtask, task.moment());
    }
    for (const { states } of this.#frozen) {
      for (const state of states.values()) if (!state.read(pagesPerTurn)) return true;
    }
    if (this.#frozen.length < tasks.length) return false;
    const part: SnapshotPart = {
      tasks: this.#frozen.map(({ task, states }) => ({
        ...task,
        state: new Map([...states].map(([operator, state]) => [operator, state.part] as const)),
      })),
    };
    const id = this.#id;
    this.#id = 0;
    this.#frozen = [];
    this.#answers.taken(id, part);
    return false;
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

  #begin(id: number): void {
    for (const { states } of this.#frozen) for (const state of states.values()) state.release();
    this.#frozen = [];
    this.#id = id;
  }
}
