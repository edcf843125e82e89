/**
 * Snapshots of one participant: each task's state freezes when its barrier comes, is read a few pages at a time while the
 * tasks go on, and is handed over when all tasks have reached the barrier. A participant one of whose tasks has ended
 * before its barrier declines.
 */
import type { SourcePosition } from '../core/operators/source.ts';
import type { Chain } from '../core/plan/physical.ts';
import type { StoredState } from '../state/slot-state.ts';
import type { StateSnapshot } from '../state/snapshot.ts';
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
  declined(id: number): void;
}

/** What the freezer looks at. */
export interface Freezable {
  readonly chain: Chain;
  readonly ended: boolean;
}

export class Freezer {
  /** By operator id: an operator runs once in a slot. */
  readonly stored = new Map<string, StoredState>();
  /** Rows handed to each sink, by operator id. */
  readonly written = new Map<string, number>();
  readonly #answers: FreezerAnswers;
  /** The snapshot under way, 0: none. */
  #id = 0;
  #frozen: Frozen[] = [];

  constructor(answers: FreezerAnswers) {
    this.#answers = answers;
  }

  /** A snapshot was asked for. One that was never completed is given up. */
  asked(id: number): void {
    this.#begin(id);
  }

  /** A task reached barrier `id`, with nothing in flight. */
  freeze(id: number, chain: Chain, subtask: number, position: SourcePosition | null, watermarkMs: number): void {
    if (this.#id !== id) this.#begin(id);
    const states = new Map<string, StateSnapshot>();
    const written = new Map<string, number>();
    for (const operator of chain.operators) {
      const stored = this.stored.get(operator.id);
      if (stored) states.set(operator.id, stored.snapshot());
      const rows = this.written.get(operator.id);
      if (rows !== undefined) written.set(operator.id, rows);
    }
    const source = position ? { operator: chain.operators[0]!.id, ...position } : null;
    const operators = chain.operators.map((operator) => operator.id);
    this.#frozen.push({ chain, states, task: { operators, subtask, watermarkMs, source, written } });
  }

  /** Reads some of what is frozen; true while there is more. Called between rounds. */
  read(tasks: readonly Freezable[]): boolean {
    if (this.#id === 0) return false;
    const reached = new Set(this.#frozen.map((frozen) => frozen.chain));
    if (tasks.some((task) => task.ended && !reached.has(task.chain))) {
      const id = this.#id;
      this.#begin(0);
      this.#answers.declined(id);
      return false;
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

  #begin(id: number): void {
    for (const { states } of this.#frozen) for (const state of states.values()) state.release();
    this.#frozen = [];
    this.#id = id;
  }
}
