import { expect, test } from 'vitest';
import { blackholeSink } from '../../connectors/blackhole/blackhole.ts';
import { callbackSink, handleSink } from '../../connectors/rows/callback.ts';
import { channelSource } from '../../connectors/rows/channel.ts';
import { collectionSource } from '../../connectors/rows/collection.ts';
import { inferFields } from '../../connectors/rows/fields.ts';
import { iterableSource } from '../../connectors/rows/iterable.ts';
import { type Channel, channel } from '../../core/api/channel.ts';
import { sourceOf } from '../../core/api/place.ts';
import { schema, t } from '../../core/api/schema.ts';
import { boundedQueue } from '../../core/base/queue.ts';
import { PollStatus, type SourceConnector } from '../../core/ports/connector.ts';
import { layoutOf } from '../../core/record/layout.ts';
import type { Fields } from '../../core/record/types.ts';
import { testSlot } from '../support/slot.ts';
import { batchesOf, writerContext } from './sink-support.ts';
import { readAll, readerContext, rowsOf, specOf, type Value } from './support.ts';

const fields: Fields = [
  { name: 'id', type: { kind: 'BIGINT' }, nullable: false },
  { name: 'name', type: { kind: 'VARCHAR' }, nullable: true },
  {
    name: 'window',
    type: {
      kind: 'ROW',
      fields: [
        { name: 'start', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false },
        { name: 'end', type: { kind: 'TIMESTAMP', precision: 6 }, nullable: false },
      ],
    },
    nullable: false,
  },
];
const row = (id: number, name: string | null = `row number ${id}`) => ({
  id,
  name,
  window: { start: new Date(id), end: new Date(id + 1) },
});
const rows = Array.from({ length: 100 }, (_, i) => row(i, i % 5 === 0 ? null : `row number ${i}`));
const stored = rows.map((r): Value[] => [BigInt(r.id), r.name, BigInt(r.id), BigInt(r.id + 1) * 1000n]);

for (const batchRows of [1, 7, 4096]) {
  test(`a collection gives its rows, also from a position in the middle: batches of ${batchRows}`, async () => {
    const spec = specOf('collection', { resource: 'r', schema: fields });
    const read = await readAll(collectionSource, spec, { batchRows, resources: { r: rows }, reopenEvery: 2 });
    expect(read.rows).toEqual(stored);
  });
}

test('only some leaves of a collection can be read, in any order, those of a ROW apart from one another', async () => {
  const spec = specOf('collection', { resource: 'r', schema: fields });
  const read = await readAll(collectionSource, spec, {
    resources: { r: rows },
    columns: ['window.end', 'id', 'window.start'],
  });
  expect(read.rows).toEqual(stored.map(([id, , start, end]) => [end, id, start]));
});

test('columns of a collection without a schema are found by looking at every row', () => {
  const found = inferFields([
    { a: 1, b: 1, c: 'x', d: null, e: 1n, f: { g: true }, h: new Date(0) },
    { a: 2.5, b: -2, c: 'y', d: 'late', e: 2n, f: { g: false, z: 1 } },
  ]);
  expect(found).toEqual([
    { name: 'a', type: { kind: 'DOUBLE' }, nullable: false },
    { name: 'b', type: { kind: 'BIGINT' }, nullable: false },
    { name: 'c', type: { kind: 'VARCHAR' }, nullable: false },
    { name: 'd', type: { kind: 'VARCHAR' }, nullable: true },
    { name: 'e', type: { kind: 'BIGINT', asBigInt: true }, nullable: false },
    {
      name: 'f',
      type: {
        kind: 'ROW',
        fields: [
          { name: 'g', type: { kind: 'BOOLEAN' }, nullable: false },
          { name: 'z', type: { kind: 'BIGINT' }, nullable: true },
        ],
      },
      nullable: false,
    },
    { name: 'h', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: true },
  ]);
  expect(() => inferFields([{ a: 1 }, { a: 'x' }])).toThrow(/'a' is BIGINT in rows before it and VARCHAR here/);
  expect(() => inferFields([{ a: [] }])).toThrow(/'a' holds an array/);
  expect(() => inferFields([{ a: null }])).toThrow(/null in every row/);
});

test('a row that does not fit is named by its number and column', async () => {
  const bad = [...rows.slice(0, 10), { ...row(10), id: 'ten' }];
  const spec = specOf('collection', { resource: 'r', schema: fields }, 'my rows');
  await expect(readAll(collectionSource, spec, { resources: { r: bad } })).rejects.toMatchObject({
    code: 'schema/mismatch',
    where: { position: 'row 10' },
    message: expect.stringContaining("'id'"),
  });
});

const openReader = async (connector: SourceConnector, resource: unknown, options: object = {}, batchRows = 16) => {
  const slot = testSlot();
  const clock = { nowMs: 0, wakeAt: null, wakes: 0 };
  const spec = specOf(connector.kind, { resource: 'r', schema: fields, ...options });
  const request = { layout: layoutOf(fields), prune: [], timeColumn: null };
  const [split] = await connector.enumerate(spec, request, 2, () => undefined);
  const reader = connector.reader(spec, request, readerContext(slot, batchRows, { r: resource }, clock));
  reader.open(split);
  return { reader, split, clock, rows: () => rowsOf(reader.batch, slot.memory) };
};
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('an async iterable is pulled as rows are taken, at most a bounded number ahead, and wakes the task', async () => {
  let made = 0;
  const from = async function* () {
    for (const r of [...rows, ...rows, ...rows, ...rows, ...rows]) {
      made++;
      yield r;
    }
  };
  const { reader, clock, rows: read } = await openReader(iterableSource, from());
  expect(reader.poll()).toBe(PollStatus.starved);
  for (let i = 0; i < 20; i++) await turn();
  expect(clock.wakes).toBe(1);
  expect(made).toBeLessThanOrEqual(257);
  const got: Value[][] = [];
  for (;;) {
    const status = reader.poll();
    if (status === PollStatus.ended) break;
    if (status === PollStatus.starved) await turn();
    else got.push(...read());
  }
  expect(got).toEqual([...stored, ...stored, ...stored, ...stored, ...stored]);
});

test('an iterable that throws fails the source with its cause; closing one returns its iterator', async () => {
  const boom = new Error('boom');
  const failing = await openReader(
    iterableSource,
    (async function* () {
      yield row(1);
      throw boom;
    })(),
  );
  failing.reader.poll();
  await turn();
  expect(failing.reader.poll()).toBe(PollStatus.moved);
  expect(() => failing.reader.poll()).toThrow(expect.objectContaining({ code: 'source/failed', cause: boom }));

  let returned = false;
  const endless = {
    *[Symbol.iterator]() {
      try {
        for (;;) yield row(1);
      } finally {
        returned = true;
      }
    },
  };
  const closing = await openReader(iterableSource, endless);
  expect(closing.reader.poll()).toBe(PollStatus.moved);
  closing.reader.close();
  expect(returned).toBe(true);
});

test('an iterable is read once; a function that makes one is called again and read up to the position', async () => {
  const once = await openReader(iterableSource, rows);
  once.reader.poll();
  expect(() => once.reader.open({ ...once.split, position: once.reader.position() })).toThrow(/can be read once/);

  const again = await openReader(iterableSource, () => rows);
  again.reader.poll();
  again.reader.poll();
  again.reader.open({ ...again.split, position: 16 });
  again.reader.poll();
  expect(again.rows()).toEqual(stored.slice(16, 32));
});

test('a channel holds back who pushes, wakes the task for new rows, and ends', async () => {
  const pipe = channel(schema({ id: t.bigint() }), { capacity: 2 }) as unknown as Channel<object>;
  const { reader, clock, rows: read } = await openReader(channelSource, sourceOf(pipe).resource!.value);
  expect(reader.poll()).toBe(PollStatus.starved);
  expect([pipe.tryPush(row(1)), pipe.tryPush(row(2)), pipe.tryPush(row(3))]).toEqual([true, true, false]);
  expect(clock.wakes).toBeGreaterThan(0);
  const pushed = pipe.push(row(3)).then(() => 'pushed');
  expect(await Promise.race([pushed, turn().then(() => 'held back')])).toBe('held back');
  expect(reader.poll()).toBe(PollStatus.moved);
  expect(await pushed).toBe('pushed');
  const got = read();
  pipe.end();
  for (let status = reader.poll(); status !== PollStatus.ended; status = reader.poll()) {
    if (status === PollStatus.moved) got.push(...read());
  }
  expect(got.map((r) => r[0])).toEqual([1n, 2n, 3n]);
});

test('a callback gets each row once, and a promise of its holds back the next', async () => {
  const slot = testSlot();
  const got: unknown[] = [];
  let release = (): void => {};
  const call = (item: { id: number }) => {
    got.push(item);
    return item.id === 2 ? new Promise<void>((resolve) => (release = resolve)) : undefined;
  };
  let wakes = 0;
  const spec = specOf('callback', { resource: 'f' });
  const writer = callbackSink.writer(
    spec,
    fields,
    writerContext(slot, fields, { resources: { f: call }, wake: () => wakes++ }),
  );
  const batch = batchesOf(slot, fields, [row(1), row(2), row(3), row(4)], { select: (i) => i !== 0 }).next().value!;
  expect(writer.write(batch)).toBe(false);
  expect(writer.write(batch)).toBe(false);
  release();
  await turn();
  expect(wakes).toBe(1);
  expect(writer.write(batch)).toBe(true);
  expect(got).toEqual([row(2), row(3), row(4)]);
});

test('a callback that throws, or whose promise fails, names the row', async () => {
  const slot = testSlot();
  const batch = batchesOf(slot, fields, [row(7)]).next().value!;
  const writerOf = (f: unknown) =>
    callbackSink.writer(
      specOf('callback', { resource: 'f' }),
      fields,
      writerContext(slot, fields, { resources: { f } }),
    );
  const thrower = writerOf(() => {
    throw new Error('no room');
  });
  expect(() => thrower.write(batch)).toThrow(/no room; row: \{ id: 7/);
  const rejecter = writerOf(async () => {
    throw new Error('later');
  });
  expect(rejecter.write(batch)).toBe(false);
  await turn();
  expect(() => rejecter.write(batch)).toThrow(expect.objectContaining({ code: 'function/threw' }));
});

test('an updating result is refused by a callback that did not ask for changes, and comes as changes to one that did', () => {
  const spec = (changes: boolean) => specOf('callback', { resource: 'f', changes });
  expect(() => callbackSink.describe(spec(false), fields, true)).toThrow(
    expect.objectContaining({ code: 'plan/changelog' }),
  );
  expect(callbackSink.describe(spec(true), fields, true).accepts).toBe('all');
  const slot = testSlot();
  const got: unknown[] = [];
  const f = (item: unknown) => got.push(item);
  const writer = callbackSink.writer(spec(true), fields, writerContext(slot, fields, { resources: { f } }));
  const [batch] = batchesOf(slot, fields, [row(1), row(1), row(2), row(2)], { kinds: [0, 1, 2, 3] });
  writer.write(batch);
  expect(got).toEqual([
    { kind: '+I', row: row(1) },
    { kind: '-U', row: row(1) },
    { kind: '+U', row: row(2) },
    { kind: '-D', row: row(2) },
  ]);
});

test('a handle never holds more rows than its capacity, and iterating lets the job go on', async () => {
  const slot = testSlot();
  const queue = boundedQueue<{ id: number }>(3);
  let wake = (): void => {};
  const context = writerContext(slot, fields, { resources: { 'output:q': queue }, wake: () => wake() });
  const writer = handleSink.writer(specOf('handle', { output: 'q' }), fields, context);
  const job = (async () => {
    for (const batch of batchesOf(slot, fields, rows, { batchRows: 10 })) {
      while (!writer.write(batch)) await new Promise<void>((resolve) => (wake = resolve));
    }
    writer.finish();
  })();
  const got: number[] = [];
  for await (const { id } of queue) {
    expect(queue.size).toBeLessThanOrEqual(3);
    got.push(id);
  }
  await job;
  expect(got).toEqual(rows.map((r) => r.id));
});

test('who leaves the loop over a handle does not hold back the job', async () => {
  const queue = boundedQueue<number>(2);
  queue.tryPush(1);
  queue.tryPush(2);
  for await (const item of queue) if (item === 1) break;
  expect([queue.tryPush(3), queue.tryPush(4), queue.tryPush(5), queue.size]).toEqual([true, true, true, 0]);
});

test('the checksum of a black hole tells the final multiset, whatever order, slot and corrections rows came in', () => {
  const sum = (parts: readonly { rows: object[]; kinds?: number[]; select?: (i: number) => boolean }[]) => {
    const cell = new SharedArrayBuffer(24);
    for (const part of parts) {
      const slot = testSlot();
      const context = writerContext(slot, fields, { resources: { c: cell } });
      const writer = blackholeSink.writer(specOf('blackhole', { resource: 'c' }), fields, context);
      for (const batch of batchesOf(slot, fields, part.rows, { batchRows: 7, ...part })) writer.write(batch);
      writer.finish();
    }
    return [...new BigInt64Array(cell)].map(String);
  };
  const [a, b, c] = [row(1), row(2), row(3, null)];
  const want = sum([{ rows: [a, b, c] }]);
  expect(want.slice(1)).toEqual(['3', '3']);
  expect(sum([{ rows: [c, a] }, { rows: [b] }])).toEqual(want);
  expect(sum([{ rows: [a, row(9), c, b], select: (i) => i !== 1 }])).toEqual(want);
  expect(sum([{ rows: [a, row(9), b, row(9), c], kinds: [0, 0, 0, 1, 2] }]).slice(0, 2)).toEqual(want.slice(0, 2));
  expect(sum([{ rows: [a, b, b] }])[0]).not.toBe(want[0]);
  expect(sum([{ rows: [a, b, row(3, '')] }])[0]).not.toBe(want[0]);
});
