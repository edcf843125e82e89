/** When checkpoints are taken, as tables of moments and what happens then. */
import { describe, expect, test } from 'vitest';
import { checkpointRequestsMax } from '../../core/base/limits.ts';
import {
  askFor,
  beginInterval,
  type CheckpointCommand,
  type CheckpointPolicy,
  type CheckpointPurpose,
  type CheckpointState,
  checkpointFailed,
  dueAtMs,
  finish,
  partTaken,
  published,
  startCheckpoints,
  startDue,
  type Who,
} from '../../core/schedule/checkpoints.ts';

const policy: CheckpointPolicy = { everyMs: 100, minPauseMs: 30, timeoutMs: 50, tolerateFailures: 1 };
const one: Who = { missing: new Set([0]), parts: new Map() };
const error = { name: 'Error', code: null, message: 'x', where: {}, retryable: false, stack: null, cause: null };
const kinds = (commands: readonly CheckpointCommand[]): string[] => commands.map((command) => command.kind);
const begun = (over: Partial<CheckpointPolicy> = {}): CheckpointState =>
  beginInterval(startCheckpoints({ ...policy, ...over }, 1), 0);
/** Starts what is due and lets it succeed after `tookMs`. */
function succeed(state: CheckpointState, atMs: number, tookMs: number): CheckpointState {
  const [running] = startDue(state, one, atMs);
  const { id } = running.running!;
  return published(partTaken(running, 0, id, null)[0], id, id, one, atMs + tookMs)[0];
}

describe('the interval', () => {
  test('begins when the job runs, and goes from start to start', () => {
    const state = begun();
    expect(dueAtMs(state)).toBe(100);
    expect(startDue(state, one, 99)[1]).toEqual([]);
    expect(startDue(state, one, 100)[1]).toMatchObject([{ kind: 'inject', id: 1, purpose: { kind: 'periodic' } }]);
    expect(dueAtMs(succeed(state, 100, 10))).toBe(200);
  });
  test('leaves a pause after a long one', () => {
    expect(dueAtMs(succeed(begun(), 100, 45))).toBe(200);
    expect(dueAtMs(succeed(begun({ timeoutMs: 1000 }), 100, 95))).toBe(225);
  });
  test('is none where only demand decides', () => {
    expect(dueAtMs(begun({ everyMs: null }))).toBeNull();
  });
});

describe('demand', () => {
  const purpose = (request: number): CheckpointPurpose => ({ kind: 'asked', request });
  test('waits for the one that is running, in turn', () => {
    let [state, commands] = askFor(begun(), purpose(1), one, 0);
    expect(kinds(commands)).toEqual(['inject']);
    [state, commands] = askFor(state, purpose(2), one, 1);
    expect(commands).toEqual([]);
    [state, commands] = published(partTaken(state, 0, 1, null)[0], 1, 1, one, 2);
    expect(commands).toMatchObject([
      { kind: 'completed', id: 1 },
      { kind: 'answer', request: 1, id: 1, error: null },
      { kind: 'inject', id: 2, purpose: { request: 2 } },
    ]);
  });
  test('is bounded', () => {
    let [state, commands] = askFor(begun(), purpose(0), one, 0);
    for (let i = 0; i < checkpointRequestsMax; i++) [state] = askFor(state, purpose(i), one, 0);
    [state, commands] = askFor(state, purpose(99), one, 0);
    expect(commands).toMatchObject([{ kind: 'answer', request: 99, error: { code: 'checkpoint/failed' } }]);
  });
  test('is refused where nothing is kept on disk', () => {
    expect(askFor(startCheckpoints(null, 1), purpose(3), one, 0)[1]).toMatchObject([
      { kind: 'answer', request: 3, error: { code: 'checkpoint/no-state-dir' } },
    ]);
  });
});

describe('a checkpoint that takes too long', () => {
  test('is given up, and the next one is tried', () => {
    const [running] = startDue(begun(), one, 100);
    expect(dueAtMs(running)).toBe(150);
    const [state, commands] = startDue(running, one, 150);
    expect(kinds(commands)).toEqual(['forget', 'failedOne']);
    expect(commands[1]).toMatchObject({ error: { code: 'checkpoint/timeout' } });
    expect(partTaken(state, 0, 1, null)).toEqual([state, []]);
    expect(dueAtMs(state)).toBe(200);
  });
  test('is not given up once all parts are there', () => {
    const [running] = startDue(begun(), one, 100);
    const [publishing, commands] = partTaken(running, 0, 1, 'p');
    expect(kinds(commands)).toEqual(['publish']);
    expect(dueAtMs(publishing)).toBeNull();
    expect(startDue(publishing, one, 10_000)).toEqual([publishing, []]);
  });
});

describe('failures', () => {
  const failAt = (state: CheckpointState, ms: number) => {
    const [running] = startDue(state, one, ms);
    return checkpointFailed(running, running.running!.id, error, one, ms + 1);
  };
  test('are put up with, as many in a row as was said', () => {
    const [first, told] = failAt(begun(), 100);
    expect(kinds(told)).toEqual(['forget', 'failedOne']);
    const [, enough] = failAt(first, 200);
    expect(kinds(enough)).toEqual(['forget', 'failedOne', 'giveUp']);
    const [afterSuccess] = failAt(succeed(first, 200, 1), 300);
    expect(afterSuccess.failures).toBe(1);
  });
  test('of what somebody asked for are told to who asked, and do not count', () => {
    const [asked] = askFor(begun({ tolerateFailures: 0 }), { kind: 'savepoint', request: 4, directory: '/s' }, one, 0);
    const [state, commands] = checkpointFailed(asked, 1, error, one, 1);
    expect(commands.at(-1)).toEqual({ kind: 'answer', request: 4, id: null, error });
    expect(state.failures).toBe(0);
  });
});

describe('the final one', () => {
  test('comes at once, after what was asked for, and no periodic one follows', () => {
    const [asked] = askFor(begun(), { kind: 'asked', request: 1 }, one, 0);
    const [ending, none] = finish(asked, one, 5);
    expect(none).toEqual([]);
    const [final, commands] = published(partTaken(ending, 0, 1, null)[0], 1, 1, one, 6);
    expect(commands.at(-1)).toMatchObject({ kind: 'inject', purpose: { kind: 'final' } });
    const [over, told] = published(partTaken(final, 0, 2, null)[0], 2, 2, one, 7);
    expect(kinds(told)).toEqual(['completed']);
    expect(dueAtMs(over)).toBeNull();
  });
  test('is tried again after a second when it fails', () => {
    const [final] = finish(begun(), one, 5);
    const [failed, commands] = checkpointFailed(final, 1, error, one, 10);
    expect(kinds(commands)).toEqual(['forget', 'failedOne']);
    expect(dueAtMs(failed)).toBe(1010);
    expect(startDue(failed, one, 1010)[1]).toMatchObject([{ kind: 'inject', id: 2, purpose: { kind: 'final' } }]);
  });
});
