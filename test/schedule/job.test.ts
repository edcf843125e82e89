/** The machine that runs a job, as tables of events and what it commands. */
import { describe, expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import type { Split } from '../../core/ports/connector.ts';
import type { CheckpointPolicy } from '../../core/schedule/checkpoints.ts';
import { type JobCommand, type JobEvent, type JobState, startJob, stepJob } from '../../core/schedule/job.ts';

const split = (id: string, minimum: string | null): Split => ({
  id,
  options: {},
  position: null,
  estimatedRows: null,
  minimum,
});

function drive(state: JobState, ...events: JobEvent[]): { state: JobState; commands: JobCommand[] } {
  const commands: JobCommand[] = [];
  for (const event of events) {
    const [next, more] = stepJob(state, event);
    state = next;
    commands.push(...more);
  }
  return { state, commands };
}
const running = (participants: number, splits: Split[] = [], idles = false): JobState =>
  drive(
    startJob({ participants, splits: new Map([['0/0', splits]]), idling: new Set(idles ? ['0/0'] : []) }),
    ...Array.from({ length: participants }, (_, participant) => ({ kind: 'deployed', participant }) as const),
  ).state;
const kinds = (commands: readonly JobCommand[]): string[] => commands.map((command) => command.kind);
const error = { name: 'Error', code: null, message: 'x', where: {}, retryable: false, stack: null, cause: null };

describe('deployment', () => {
  test('nobody starts before everybody is deployed', () => {
    const first = drive(startJob({ participants: 2, splits: new Map(), idling: new Set() }), {
      kind: 'deployed',
      participant: 1,
    });
    expect(first.commands).toEqual([]);
    const second = drive(first.state, { kind: 'deployed', participant: 0 });
    expect(second.commands).toEqual([
      { kind: 'start', participant: 0 },
      { kind: 'start', participant: 1 },
    ]);
  });
});

describe('splits', () => {
  const wanted = (participant: number) => ({ kind: 'splitWanted', participant, source: '0/0' }) as const;

  test('are handed out in order, with the least event time of what is left, which others hear when it changes', () => {
    const start = running(3, [split('a', '5'), split('b', '3'), split('c', '9')]);
    const { state, commands } = drive(start, wanted(1), wanted(0), wanted(1));
    expect(commands).toEqual([
      { kind: 'assign', participant: 1, source: '0/0', split: split('a', '5'), ends: false, unreadMinimum: '3' },
      { kind: 'assign', participant: 0, source: '0/0', split: split('b', '3'), ends: false, unreadMinimum: '9' },
      { kind: 'unread', participant: 1, source: '0/0', unreadMinimum: '9' },
      { kind: 'assign', participant: 1, source: '0/0', split: split('c', '9'), ends: false, unreadMinimum: null },
      { kind: 'unread', participant: 0, source: '0/0', unreadMinimum: null },
    ]);
    expect(state.unread.get('0/0')).toEqual([]);
  });

  test('first ones come before the start, to who said when deployed that it has none', () => {
    const setup = { participants: 2, splits: new Map([['0/0', [split('a', null)]]]), idling: new Set<string>() };
    const { commands } = drive(
      startJob(setup),
      { kind: 'deployed', participant: 1, wants: ['0/0'] },
      { kind: 'deployed', participant: 0, wants: [] },
    );
    expect(commands).toEqual([
      { kind: 'assign', participant: 1, source: '0/0', split: split('a', null), ends: false, unreadMinimum: null },
      { kind: 'start', participant: 0 },
      { kind: 'start', participant: 1 },
    ]);
  });

  test('a split without statistics holds the watermark altogether', () => {
    const { commands } = drive(running(1, [split('a', '5'), split('b', null)]), {
      kind: 'splitWanted',
      participant: 0,
      source: '0/0',
    });
    expect(commands[0]).toMatchObject({ unreadMinimum: 'unknown' });
  });

  test('when none is left a bounded source ends and an unbounded one idles', () => {
    expect(drive(running(1), wanted(0)).commands[0]).toMatchObject({ split: null, ends: true, unreadMinimum: null });
    expect(drive(running(1, [], true), wanted(0)).commands[0]).toMatchObject({ split: null, ends: false });
  });
});

test('a reader that asks ahead does not take the split that another reader has yet to ask for', () => {
  const setup = {
    participants: 2,
    splits: new Map([['0/0', [split('a', null), split('b', null), split('c', null)]]]),
    idling: new Set<string>(),
    readers: new Map([['0/0', 2]]),
  };
  const start = drive(
    startJob(setup),
    { kind: 'deployed', participant: 0 },
    { kind: 'deployed', participant: 1 },
  ).state;
  const wanted = (participant: number) => ({ kind: 'splitWanted', participant, source: '0/0' }) as const;
  const given = (commands: readonly JobCommand[]): string[] =>
    commands.flatMap((command) => (command.kind === 'assign' ? [`${command.participant}:${command.split?.id}`] : []));
  const first = drive(start, wanted(0), wanted(0), wanted(0));
  expect(given(first.commands)).toEqual(['0:a', '0:b']);
  expect(given(drive(first.state, wanted(1)).commands)).toEqual(['1:c', '0:undefined']);
});

describe('ends', () => {
  test('the job has finished when every participant has', () => {
    const one = drive(running(2), { kind: 'finished', participant: 0 });
    expect(one.commands).toEqual([]);
    expect(drive(one.state, { kind: 'finished', participant: 1 }).commands).toEqual([
      { kind: 'ended', outcome: { kind: 'finished' } },
    ]);
  });

  test('a failure cancels everybody and ends when all have acknowledged, with the first error', () => {
    const failed = drive(
      running(2),
      { kind: 'failed', participant: 1, error },
      { kind: 'failed', participant: 0, error: { ...error, message: 'y' } },
    );
    expect(kinds(failed.commands)).toEqual(['cancel', 'cancel']);
    const ended = drive(failed.state, { kind: 'released', participant: 0 }, { kind: 'released', participant: 1 });
    expect(ended.commands).toEqual([{ kind: 'ended', outcome: { kind: 'failed', error } }]);
  });

  test('a stop ends sources, also those that have splits left', () => {
    const stopped = drive(running(1, [split('a', null)], true), { kind: 'stopAsked', drain: true });
    expect(stopped.commands).toEqual([{ kind: 'stop', participant: 0, drain: true }]);
    expect(drive(stopped.state, { kind: 'splitWanted', participant: 0, source: '0/0' }).commands[0]).toMatchObject({
      split: null,
      ends: true,
    });
  });
});

test('a stop that comes before everybody is deployed is carried out then', () => {
  const early = drive(
    startJob({ participants: 1, splits: new Map([['0/0', [split('a', null)]]]), idling: new Set(['0/0']) }),
    { kind: 'stopAsked', drain: true },
    { kind: 'deployed', participant: 0 },
  );
  expect(kinds(early.commands)).toEqual(['start', 'stop']);
});

describe('checkpoints', () => {
  const memory = { kind: 'checkpointAsked', purpose: { kind: 'memory', request: 7 } } as const;
  const durable = (participants = 2, policy: Partial<CheckpointPolicy> = {}): JobState =>
    drive(
      startJob({
        participants,
        splits: new Map([['0/0', [split('a', null)]]]),
        idling: new Set(),
        policy: { everyMs: 1000, minPauseMs: 0, timeoutMs: 500, tolerateFailures: 0, ...policy },
        firstCheckpoint: 5,
      }),
      ...Array.from({ length: participants }, (_, participant) => ({ kind: 'deployed', participant }) as const),
    ).state;
  const taken = (participant: number, id: number) =>
    ({ kind: 'partTaken', participant, id, part: `p${participant}` }) as const;

  test('of memory are complete when every participant has given its part, with the splits nobody had taken', () => {
    const asked = drive(running(2, [split('a', null)]), memory);
    expect(kinds(asked.commands)).toEqual(['barrier', 'barrier']);
    const later = drive(asked.state, { kind: 'splitWanted', participant: 0, source: '0/0' }, taken(0, 1), taken(1, 1));
    const publish = later.commands.find((command) => command.kind === 'publish');
    expect(publish).toMatchObject({ id: 1, unread: new Map([['0/0', [split('a', null)]]]) });
    expect(publish?.kind === 'publish' && [...publish.parts]).toEqual([
      [0, 'p0'],
      [1, 'p1'],
    ]);
    expect(drive(later.state, { kind: 'published', id: 1 }).commands.slice(-2)).toEqual([
      { kind: 'completed', participant: 1, id: 1 },
      { kind: 'answer', request: 7, id: 1, error: null },
    ]);
  });

  test('who has ended and closed its tasks takes part with its last word', () => {
    const one = drive(running(2), { kind: 'finished', participant: 0, part: 'last' }, memory);
    expect(one.commands).toMatchObject([{ kind: 'barrier', participant: 1 }]);
    expect(drive(one.state, taken(1, 1)).commands).toMatchObject([{ kind: 'publish' }]);
    // It ends while the barrier is on its way to it.
    const meanwhile = drive(running(2), memory, { kind: 'finished', participant: 0, part: 'last' }, taken(1, 1));
    expect(kinds(meanwhile.commands)).toEqual(['barrier', 'barrier', 'publish']);
  });

  test('a job that keeps nothing ends at once when all has ended, and whoever waits is told', () => {
    const { commands } = drive(
      running(2),
      memory,
      { kind: 'finished', participant: 0, part: null },
      { kind: 'finished', participant: 1, part: null },
    );
    expect(commands.slice(2)).toMatchObject([
      { kind: 'forget' },
      { kind: 'forget' },
      { kind: 'answer', request: 7, id: null, error: { code: 'checkpoint/aborted' } },
      { kind: 'ended', outcome: { kind: 'finished' } },
    ]);
  });

  test('a durable job ends with a last one: then everybody lets go, then it has finished', () => {
    const ended = drive(durable(), { kind: 'finished', participant: 0 }, { kind: 'finished', participant: 1 });
    expect(ended.commands).toMatchObject([
      { kind: 'barrier', id: 5, purpose: { kind: 'final' }, hold: false },
      { kind: 'barrier', id: 5 },
    ]);
    const done = drive(ended.state, taken(0, 5), taken(1, 5), { kind: 'published', id: 5 });
    expect(kinds(done.commands)).toEqual(['publish', 'completedOne', 'completed', 'completed', 'cancel', 'cancel']);
    const over = drive(done.state, { kind: 'released', participant: 0 }, { kind: 'released', participant: 1 });
    expect(over.commands).toEqual([{ kind: 'ended', outcome: { kind: 'finished' } }]);
  });

  test('a stop holds the sources behind a last barrier and ends the job resumable', () => {
    const asked = drive(durable(1), { kind: 'stopAsked', drain: false, request: 3, savepoint: '/s' });
    expect(asked.commands).toMatchObject([
      { kind: 'barrier', hold: true, purpose: { kind: 'stop', request: 3, savepoint: '/s' } },
    ]);
    const done = drive(asked.state, taken(0, 5), { kind: 'published', id: 5 }, { kind: 'released', participant: 0 });
    expect(done.commands).toMatchObject([
      { kind: 'publish' },
      { kind: 'completedOne' },
      { kind: 'completed' },
      { kind: 'cancel' },
      { kind: 'answer', request: 3, id: 5, error: null },
      { kind: 'ended', outcome: { kind: 'finished', resumable: true } },
    ]);
  });

  test('a stop whose checkpoint fails lets the sources go on', () => {
    const { commands, state } = drive(
      durable(1),
      { kind: 'stopAsked', drain: false, request: 3 },
      { kind: 'partFailed', participant: 0, id: 5, error },
    );
    expect(commands.slice(1)).toMatchObject([
      { kind: 'forget', id: 5 },
      { kind: 'failedOne', id: 5 },
      { kind: 'answer', request: 3, id: null, error },
    ]);
    expect(state.phase).toBe('running');
  });

  test('none is taken while sources drain, then the final one answers who asked', () => {
    const draining = drive(durable(1), { kind: 'stopAsked', drain: true, request: 4, savepoint: null });
    expect(kinds(draining.commands)).toEqual(['stop']);
    expect(stepJob(draining.state, { kind: 'timePassed' }, 10_000)[1]).toEqual([]);
    const done = drive(draining.state, { kind: 'finished', participant: 0 }, taken(0, 5), { kind: 'published', id: 5 });
    expect(done.commands.find((command) => command.kind === 'answer')).toMatchObject({ request: 4, id: 5 });
  });

  test('a failure ends what is running and tells who asked', () => {
    const { commands } = drive(
      durable(1),
      { kind: 'checkpointAsked', purpose: { kind: 'asked', request: 9 } },
      { kind: 'failed', participant: 0, error },
    );
    expect(commands.slice(1)).toMatchObject([{ kind: 'answer', request: 9, id: null, error }, { kind: 'cancel' }]);
  });

  test('too many failures in a row fail the attempt', () => {
    let [state, commands] = stepJob(durable(1, { tolerateFailures: 1 }), { kind: 'timePassed' }, 1000);
    expect(kinds(commands)).toEqual(['barrier']);
    [state, commands] = stepJob(state, { kind: 'partFailed', participant: 0, id: 5, error }, 1001);
    expect(kinds(commands)).toEqual(['forget', 'failedOne']);
    [state] = stepJob(state, { kind: 'timePassed' }, 2000);
    [state, commands] = stepJob(state, { kind: 'partFailed', participant: 0, id: 6, error }, 2001);
    expect(kinds(commands)).toEqual(['forget', 'failedOne', 'cancel']);
    expect(state.outcome).toMatchObject({ kind: 'failed', error: { code: 'checkpoint/failed' } });
  });
});

test('whatever happens in whatever order, a job ends at most once and cancels nobody twice', () => {
  for (let seed = 1; seed <= 500; seed++) {
    const random = prng(seed);
    let state = startJob({
      participants: 3,
      splits: new Map([['0/0', [split('a', '1'), split('b', null)]]]),
      idling: new Set(random.below(2) === 0 ? [] : ['0/0']),
      policy: random.below(2) === 0 ? null : { everyMs: 3, minPauseMs: 1, timeoutMs: 9, tolerateFailures: 1 },
    });
    const all: JobCommand[] = [];
    for (let i = 0; i < 90; i++) {
      const participant = random.below(3);
      const events: JobEvent[] = [
        { kind: 'deployed', participant },
        { kind: 'splitWanted', participant, source: '0/0' },
        { kind: 'finished', participant },
        { kind: 'failed', participant, error },
        { kind: 'released', participant },
        { kind: 'cancelAsked' },
        { kind: 'stopAsked', drain: false },
        { kind: 'finished', participant, part: 'last' },
        { kind: 'checkpointAsked', purpose: { kind: 'memory', request: 1 } },
        { kind: 'checkpointAsked', purpose: { kind: 'asked', request: 2 } },
        { kind: 'stopAsked', drain: random.below(2) === 0, request: 3 },
        { kind: 'partTaken', participant, id: 1 + random.below(3), part: null },
        { kind: 'partFailed', participant, id: 1 + random.below(3), error },
        { kind: 'published', id: 1 + random.below(3) },
        { kind: 'timePassed' },
      ];
      const [next, commands] = stepJob(state, events[random.below(events.length)]!, i);
      state = next;
      all.push(...commands);
    }
    expect(all.filter((command) => command.kind === 'ended').length, `seed ${seed}`).toBeLessThanOrEqual(1);
    const cancelled = all.filter((command) => command.kind === 'cancel').map((command) => command.participant);
    expect(new Set(cancelled).size, `seed ${seed}`).toBe(cancelled.length);
  }
});
