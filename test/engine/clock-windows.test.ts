/** Windows by the clock, through the whole engine with virtual time, against plain loops: they come when the clock passes them, rows or not. */
import {
  channel,
  collect,
  collection,
  count,
  from,
  hop,
  job,
  schema,
  session,
  t,
  tumble,
  type WindowKey,
} from 'millrace';
import { testDriver } from 'millrace/testing';
import { describe, expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';

const click = schema({ user: t.string() });

test('a window comes when the clock passes its end, also when nothing else happens, and after a crash', async () => {
  const clicks = channel(click);
  const perTen = from(clicks)
    .groupBy('user', tumble('10 seconds', { time: 'processing' }))
    .aggregate(() => ({ n: count() }))
    .select((w) => ({ user: w.user, n: w.n, end: w.window.end }));
  await using driver = testDriver(
    job('clicks', () => perTen),
    { parallelism: 2, startAt: new Date(3_000) },
  );
  await driver.push(clicks, [{ user: 'a' }, { user: 'a' }]);
  await driver.advance('6 seconds');
  await driver.push(clicks, [{ user: 'a' }]);
  expect(await driver.read('result')).toEqual([]);
  await driver.advance('1 second');
  expect(await driver.read('result')).toEqual([{ user: 'a', n: 3, end: new Date(10_000) }]);
  await driver.push(clicks, [{ user: 'b' }]);
  await driver.checkpoint();
  await driver.crash();
  await driver.restore({ parallelism: 3 });
  await driver.advance('30 seconds');
  expect(await driver.read('result')).toEqual([{ user: 'b', n: 1, end: new Date(20_000) }]);
  await driver.push(clicks, [{ user: 'b' }]);
  await driver.end();
  // Open when the input ended.
  expect(await driver.read('result')).toEqual([{ user: 'b', n: 1, end: new Date(50_000) }]);
});

interface Click {
  readonly user: string;
  readonly atMs: number;
}
const windows: Readonly<Record<string, { key: WindowKey; of: (clicks: readonly Click[]) => string[] }>> = {
  tumbling: {
    key: tumble('700 ms', { time: 'processing', offset: '50 ms' }),
    of: (clicks) => counted(clicks, (at) => [Math.floor((at - 50) / 700) * 700 + 50], 700),
  },
  hopping: {
    key: hop('900 ms', '300 ms', { time: 'processing' }),
    of: (clicks) => counted(clicks, (at) => [0, 300, 600].map((back) => Math.floor(at / 300) * 300 - back), 900),
  },
  sessions: {
    key: session('400 ms', { time: 'processing' }),
    of: (clicks) => {
      const sessions: { user: string; start: number; end: number; n: number }[] = [];
      for (const { user, atMs } of clicks) {
        const last = sessions.findLast((one) => one.user === user);
        // Over when the clock reaches its end.
        if (last && atMs < last.end) Object.assign(last, { end: atMs + 400, n: last.n + 1 });
        else sessions.push({ user, start: atMs, end: atMs + 400, n: 1 });
      }
      return sessions.map(({ user, start, end, n }) => `${user} ${start} ${end} ${n}`);
    },
  },
};

function counted(clicks: readonly Click[], starts: (atMs: number) => number[], size: number): string[] {
  const counts = new Map<string, number>();
  for (const { user, atMs } of clicks) {
    for (const start of starts(atMs)) {
      const key = `${user} ${start} ${start + size}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return [...counts].map(([key, n]) => `${key} ${n}`);
}

describe.each(Object.keys(windows))('%s windows by the clock', (name) => {
  test.each([1, 2, 3, 4])('hold what arrived in them (seed %i)', async (seed) => {
    const random = prng(seed);
    const { key, of } = windows[name]!;
    const clicks = channel(click);
    const counts = from(clicks)
      .groupBy('user', key)
      .aggregate(() => ({ n: count() }));
    await using driver = testDriver(
      job('clicks', () => counts),
      { seed, parallelism: 1 + random.below(3) },
    );
    const arrived: Click[] = [];
    const shown: string[] = [];
    const read = async (): Promise<void> => {
      for (const { user, window, n } of await driver.read('result'))
        shown.push(`${user} ${+window.start} ${+window.end} ${n}`);
    };
    let nowMs = 0;
    for (let step = 0; step < 30; step++) {
      const rows = Array.from({ length: random.below(6) }, () => ({ user: `u${random.below(4)}` }));
      await driver.push(clicks, rows);
      await driver.settled();
      arrived.push(...rows.map(({ user }) => ({ user, atMs: nowMs })));
      if (random.below(8) === 0) {
        await driver.checkpoint();
        await driver.crash();
        await driver.restore({ parallelism: 1 + random.below(3) });
      }
      const ms = random.below(500);
      await driver.advance(`${ms} ms`);
      nowMs += ms;
      await read();
      expect(shown.every((one) => Number(one.split(' ')[2]) <= nowMs)).toBe(true);
    }
    await driver.end();
    await read();
    expect(shown.toSorted()).toEqual(of(arrived).toSorted());
  });
});

test('on ended input the open ones come at its end, with the clock that is not late for anything', async () => {
  const rows = collection(Array.from({ length: 100 }, (_, i) => ({ user: `u${i % 3}` })));
  const perYear = from(rows)
    .groupBy('user', tumble('1000 days', { time: 'processing' }))
    .aggregate(() => ({ n: count() }));
  expect((await collect(perYear)).map(({ user, n }) => `${user} ${n}`).toSorted()).toEqual(['u0 34', 'u1 33', 'u2 33']);
});
