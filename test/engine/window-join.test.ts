/** Joins by equal windows through the whole engine: they come with their window, are final, and are results of that window themselves. */
import { channel, count, from, job, schema, t, tumble } from 'millrace';
import { testDriver } from 'millrace/testing';
import { expect, test } from 'vitest';

const click = schema({ user: t.string(), at: t.timestamp(3) });
const at = (seconds: number): Date => new Date(seconds * 1000);
const row = (user: string, seconds: number) => ({ user, at: at(seconds) });

test('rows of equal windows meet when the window is over, through a crash; the rest comes alone, and never again', async () => {
  const clicks = channel(click);
  const orders = channel(click);
  const per = (source: typeof clicks) =>
    from(source)
      .eventTime('at', { outOfOrderness: '1 hour' })
      .groupBy('user', tumble('10 seconds'))
      .aggregate(() => ({ n: count() }));
  const joined = per(clicks)
    .leftJoin(per(orders), (c, o) => c.user.eq(o.user).and(c.window.end.eq(o.window.end)))
    .select((c, o) => ({ user: c.user, window: c.window, clicks: c.n, orders: o.n }));
  const users = joined.groupBy('window').aggregate(() => ({ users: count() }));
  await using driver = testDriver(
    job('joined', () => ({ joined, users })),
    { parallelism: 2, startAt: at(0) },
  );
  // A left join may correct its rows, so ends are told changes; by windows there are none but inserts.
  const read = async (output: 'joined' | 'users') => {
    const changes = (await driver.read(output)) as { kind: string; row: Record<string, unknown> }[];
    expect(changes.filter(({ kind }) => kind !== '+I')).toEqual([]);
    return changes.map(({ row }) => row);
  };
  await driver.push(clicks, [row('a', 1), row('a', 2), row('b', 3), row('a', 11)]);
  await driver.push(orders, [row('a', 9), row('c', 1), row('b', 12)]);
  await driver.watermark(clicks, at(15));
  await driver.watermark(orders, at(9));
  expect(await read('joined')).toEqual([]);
  await driver.checkpoint();
  await driver.crash();
  await driver.restore({ parallelism: 3 });
  await driver.watermark(clicks, at(15));
  await driver.watermark(orders, at(15));
  const first = { start: at(0), end: at(10) };
  const rows = await read('joined');
  expect(rows.toSorted((a, b) => ((a.user as string) < (b.user as string) ? -1 : 1))).toEqual([
    { user: 'a', window: first, clicks: 2, orders: 1 },
    { user: 'b', window: first, clicks: 1, orders: null },
  ]);
  expect(await read('users')).toEqual([{ window: first, users: 2 }]);
  await driver.end();
  expect(await read('joined')).toEqual([
    { user: 'a', window: { start: at(10), end: at(20) }, clicks: 1, orders: null },
  ]);
});
