/**
 * A slot's loop: steps its tasks in fair turns, gives the event loop a turn after each round, and parks on the slot's
 * doorbell when nothing moves. The clock is read around each step; one system timer at most is armed, for the earliest
 * thing due. Everything that can wake it (rings, messages, timers, readers' callbacks) rings the same doorbell.
 */
import type { Clock } from '../core/base/clock.ts';
import { stepMs } from '../core/base/limits.ts';
import type { Doorbell } from './exchange/doorbell.ts';
import { type Task, TaskStatus } from './task.ts';

export interface LoopSetup {
  readonly tasks: readonly Task[];
  readonly doorbell: Doorbell;
  readonly clock: Clock;
  /** True ends the loop at the next turn. */
  readonly stopped: () => boolean;
  /** Work between rounds (reading a snapshot); true while there is more. */
  readonly background: () => boolean;
  /** All tasks have ended. True: what is left to do comes by messages, until `stopped`. Absent: the loop ends. */
  readonly lingers?: () => boolean;
}

/** Resolves when every task has ended or `stopped` says so. Throws what a task throws. */
export async function runLoop(setup: LoopSetup): Promise<void> {
  const { tasks, doorbell, clock, stopped, background } = setup;
  let first = 0;
  let deadline = 0;
  const overdue = (): boolean => clock.monotonicMs() >= deadline;
  while (!stopped()) {
    doorbell.arm();
    let moved = false;
    let live = 0;
    let wakeAtMs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < tasks.length; i++) {
      const task = tasks[(first + i) % tasks.length]!;
      if (task.ended) continue;
      live++;
      const startMs = clock.monotonicMs();
      deadline = startMs + stepMs;
      const status = task.step(overdue);
      task.counters.addStep(clock.monotonicMs() - startMs);
      task.lastStatus = status;
      if (status === TaskStatus.moved || status === TaskStatus.ended) moved = true;
      if (task.wakeAtMs !== null) wakeAtMs = Math.min(wakeAtMs, task.wakeAtMs);
    }
    if (background()) moved = true;
    else if (live === 0 && !setup.lingers?.()) return;
    first = (first + 1) % Math.max(1, tasks.length);
    if (moved) {
      await turn();
      continue;
    }
    const parkedMs = clock.monotonicMs();
    await parkUntil(doorbell, wakeAtMs - parkedMs);
    const ms = clock.monotonicMs() - parkedMs;
    for (const task of tasks) {
      if (task.lastStatus === TaskStatus.blocked) task.counters.addBlocked(ms);
      else if (task.lastStatus === TaskStatus.starved) task.counters.addStarved(ms);
    }
  }
}

/** Lets messages, timers and I/O callbacks run. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Sleeps until the doorbell rings, at most `inMs`; not at all when it rang since it was armed. */
async function parkUntil(doorbell: Doorbell, inMs: number): Promise<void> {
  const asleep = inMs > 0 ? doorbell.park() : null;
  if (!asleep) {
    await turn();
    return;
  }
  // A system timer counts 24 days at most: what is due later is looked at again then.
  const timer =
    inMs < Number.POSITIVE_INFINITY ? setTimeout(() => doorbell.wake(), Math.min(Math.ceil(inMs), 2 ** 31 - 1)) : null;
  await asleep;
  if (timer) clearTimeout(timer);
}
