/** Session windows through the whole engine, with a clock that stands still: what comes when, what is late, what is corrected. */
import { channel, count, from, job, max, schema, session, t } from 'millrace';
import { testDriver } from 'millrace/testing';
import { expect, test } from 'vitest';

const click = schema({ user: t.string(), url: t.string(), at: t.timestamp(3) });
const at = (seconds: number): Date => new Date(Date.UTC(2026, 0, 1) + seconds * 1000);
const row = (user: string, seconds: number, url = `a page with a long name, ${seconds}`) => ({
  user,
  url,
  at: at(seconds),
});

test('sessions come when they are over; a crash and another parallelism change nothing; late rows go aside', async () => {
  const clicks = channel(click);
  const sessions = from(clicks)
    .eventTime('at', { outOfOrderness: '1 minute' })
    .groupBy('user', session('10 seconds'))
    .aggregate((c) => ({ clicks: count(), last: max(c.url) }));
  await using driver = testDriver(
    job('sessions', () => ({
      sessions: sessions.select((s) => ({
        user: s.user,
        from: s.window.start,
        to: s.window.end,
        clicks: s.clicks,
        last: s.last,
      })),
      late: sessions.side.late,
    })),
    { parallelism: 2, startAt: at(0) },
  );
  await driver.push(clicks, [row('a', 0), row('b', 3), row('a', 9), row('a', 30), row('a', 22)]);
  await driver.watermark(clicks, at(12));
  expect(await driver.read('sessions')).toEqual([]);
  await driver.checkpoint();
  await driver.crash();
  await driver.restore({ parallelism: 3 });
  await driver.watermark(clicks, at(20));
  const over = await driver.read('sessions');
  expect(over.toSorted((a, b) => +b.from - +a.from)).toEqual([
    { user: 'b', from: at(3), to: at(13), clicks: 1, last: 'a page with a long name, 3' },
    { user: 'a', from: at(0), to: at(19), clicks: 2, last: 'a page with a long name, 9' },
  ]);
  await driver.push(clicks, [row('a', 5), row('a', 19)]);
  expect(await driver.read('late')).toEqual([row('a', 5)]);
  await driver.end();
  expect(await driver.read('sessions')).toEqual([
    { user: 'a', from: at(19), to: at(40), clicks: 3, last: 'a page with a long name, 30' },
  ]);
});
