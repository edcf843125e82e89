/** Streams, schemas, jobs and channels as values: frozen, inert, and where they were made. */
import { expect, test } from 'vitest';
import { callSiteText, parseFrame } from '../../core/api/call-site.ts';
import type { RowQueue } from '../../core/api/channel.ts';
import { buildPlan, definitionOf } from '../../core/api/job.ts';
import {
  channel,
  collection,
  count,
  decimal,
  from,
  iterable,
  job,
  jsonl,
  parquet,
  schema,
  t,
  tumble,
} from '../../index.ts';

const click = schema({ page: t.string(), at: t.timestamp(3) });

function frozen(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(frozen);
}

test('streams, their steps, plans, schemas and places are frozen', () => {
  const clicks = from(jsonl('x', { schema: click })).eventTime('at');
  const grouped = clicks.groupBy('page', tumble('1 day'));
  const result = grouped.aggregate(() => ({ n: count() }));
  for (const value of [clicks, grouped, result, result.side, result.side.late, click, tumble('1 day'), parquet('x')]) {
    expect(Object.isFrozen(value)).toBe(true);
  }
  expect(frozen(buildPlan(result.filter((r) => r.n.gt(5)) as never).plan)).toBe(true);
  expect(() => Object.assign(result, { more: 1 })).toThrow(TypeError);
});

test('building touches nothing: no file is opened, no iterable is read, no row is looked at', () => {
  let reads = 0;
  const rows = new Proxy([{ a: 1 }], {
    get(target, key) {
      if (key === '0') reads += 1;
      return Reflect.get(target, key);
    },
  });
  const generate = function* () {
    reads += 1;
    yield { a: 1 };
  };
  const missing = from(parquet('/no/such/file.parquet', { schema: schema({ a: t.int() }) }));
  const rowsOf = from(collection(rows, { schema: schema({ a: t.int() }) }));
  const pulled = from(iterable(generate, { schema: schema({ a: t.int() }), bounded: true }));
  const plan = buildPlan(missing.union(rowsOf, pulled).map(schema({ a: t.int() }), (r) => { reads += 1; return r; }) as never).plan; // biome-ignore format: one line
  expect(plan.nodes).toHaveLength(6);
  expect(reads).toBe(0);
});

test('methods return new streams and leave the old one as it was', () => {
  const clicks = from(jsonl('x', { schema: click }));
  const plan = () => JSON.stringify(buildPlan(clicks as never).plan);
  const before = plan();
  clicks.filter((c) => c.page.eq('a')).named('filtered').drop('at'); // biome-ignore format: one line
  expect(plan()).toBe(before);
});

test('a job notes the file that made it, and takes another when told', () => {
  const here = job('j', () => from(jsonl('x')));
  const there = job('j', () => from(jsonl('x')), { module: 'file:///bundle.js' });
  expect(definitionOf(here)?.module).toMatch(/values\.test\.ts$/);
  expect(definitionOf(there)?.module).toBe('file:///bundle.js');
});

test('frames of every kind of stack tell file and line', () => {
  const frame = (line: string) => callSiteText(parseFrame(`Error\n    at ${line}`));
  expect(frame('file:///home/me/my%20jobs/delays.ts:10:5')).toBe('delays.ts:10');
  expect(frame('build (file:///home/me/delays.ts:10:5)')).toBe('delays.ts:10');
  expect(frame('Object.build [as default] (/home/me/delays.ts:11:22)')).toBe('delays.ts:11');
  expect(frame('async /home/me/delays.ts:12:1')).toBe('delays.ts:12');
  expect(frame('C:\\jobs\\delays.ts:13:1')).toBe('delays.ts:13');
  expect(frame('file:///C:/jobs/delays.ts?t=17:14:1')).toBe('delays.ts:14');
  expect(frame('/home/me (old)/delays.ts:15:1')).toBe('delays.ts:15');
  expect(frame('<anonymous>')).toBeNull();
  expect(callSiteText(parseFrame('Error'))).toBeNull();
});

test('types say nullable, and a BIGINT can be asked for as bigint', () => {
  const fields = buildPlan(from(jsonl('x', { schema: schema({ a: t.bigint().asBigInt().nullable(), b: t.bigint().nullable() }) })) as never).plan.nodes[0]; // biome-ignore format: one line
  expect(fields).toMatchObject({
    schema: [
      { name: 'a', type: { kind: 'BIGINT', asBigInt: true }, nullable: true },
      { name: 'b', type: { kind: 'BIGINT' }, nullable: true },
    ],
  });
  expect(schema({ a: t.int(), b: t.string() }).columns).toEqual(['a', 'b']);
  expect(decimal('-12.50')).toMatchObject({ unscaled: -1250n, scale: 2 });
  expect(`${decimal('-12.50')} ${decimal('0.5').toNumber()}`).toBe('-12.50 0.5');
});

/** The reading side of a channel, as a connector gets it. */
function queueOf(of: unknown): RowQueue {
  return [...buildPlan(from(of as never) as never).resources.values()][0] as RowQueue;
}

test('a channel holds its capacity, in order; then it refuses or makes wait', async () => {
  const clicks = channel(schema({ n: t.int() }), { capacity: 2 });
  const queue = queueOf(clicks);
  expect([1, 2, 3].map((n) => clicks.tryPush({ n }))).toEqual([true, true, false]);
  const order: string[] = [];
  const third = clicks.push({ n: 3 }).then(() => order.push('third'));
  const fourth = clicks.push({ n: 4 }).then(() => order.push('fourth'));
  await Promise.resolve();
  expect(order).toEqual([]);
  expect(clicks.tryPush({ n: 9 })).toBe(false);
  expect(queue.take(1)).toEqual([{ n: 1 }]);
  await third;
  expect(order).toEqual(['third']);
  expect(queue.size).toBe(2);
  clicks.end();
  expect(queue.ended).toBe(false);
  expect(queue.take(10)).toEqual([{ n: 2 }, { n: 3 }]);
  await fourth;
  expect(queue.take(10)).toEqual([{ n: 4 }]);
  expect(queue.ended).toBe(true);
  expect(() => clicks.tryPush({ n: 5 })).toThrow(/was ended/);
  await expect(clicks.push({ n: 5 })).rejects.toMatchObject({ code: 'sink/closed' });
});

test('a channel wakes its reader for the first row and for the end', () => {
  const clicks = channel(schema({ n: t.int() }));
  const queue = queueOf(clicks);
  let wakes = 0;
  queue.onNews(() => { wakes += 1; }); // biome-ignore format: one line
  clicks.tryPush({ n: 1 });
  clicks.tryPush({ n: 2 });
  expect(wakes).toBe(1);
  queue.take(5);
  clicks.tryPush({ n: 3 });
  expect(wakes).toBe(2);
  clicks.end();
  clicks.end();
  expect(wakes).toBe(3);
});

test('who waits for room in a channel is told when its reader goes', async () => {
  const clicks = channel(schema({ n: t.int() }), { capacity: 1 });
  const queue = queueOf(clicks);
  queue.onNews(() => {});
  clicks.tryPush({ n: 1 });
  const waiting = clicks.push({ n: 2 });
  queue.onNews(null);
  await expect(waiting).rejects.toMatchObject({ code: 'sink/closed' });
  await expect(clicks.push({ n: 3 })).rejects.toThrow(/has ended/);
  expect(clicks.tryPush({ n: 3 })).toBe(false);
  queue.onNews(() => {});
  const again = clicks.push({ n: 4 });
  expect(queue.take(5)).toEqual([{ n: 1 }]);
  await again;
  expect(queue.take(5)).toEqual([{ n: 4 }]);
});

test('a channel passes a hundred thousand rows through a small room, in order', async () => {
  const clicks = channel(schema({ n: t.int() }), { capacity: 7 });
  const queue = queueOf(clicks);
  const rows = 100_000;
  const pushed = (async () => {
    for (let n = 0; n < rows; n++) await clicks.push({ n });
    clicks.end();
  })();
  let next = 0;
  while (!(queue.ended && queue.size === 0)) {
    expect(queue.size).toBeLessThanOrEqual(7);
    for (const row of queue.take(5) as { n: number }[])
      if (row.n !== next++) throw new Error(`row ${row.n} at ${next}`);
    await Promise.resolve();
  }
  await pushed;
  expect(next).toBe(rows);
});
