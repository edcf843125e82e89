/** Changelogs as rows and rows as changelogs, through the whole engine: upserts are normalized, files of changes are read back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  callback,
  channel,
  collect,
  collection,
  count,
  from,
  job,
  jsonl,
  type Mode,
  run,
  type Stream,
  schema,
  sum,
  t,
} from 'millrace';
import { testDriver } from 'millrace/testing';
import { afterAll, expect, test } from 'vitest';

const directory = mkdtempSync(join(tmpdir(), 'millrace-changelogs-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const change = schema({ id: t.bigint(), country: t.string(), total: t.bigint().nullable(), row_kind: t.string() });
const upsert = (row_kind: string, id: number, country = '', total: number | null = null) => ({
  id,
  country,
  total,
  row_kind,
});

test('upserts are normalized by their key: what was before is told, also after a crash and in another parallelism', async () => {
  const upserts = channel(change);
  const orders = from(upserts).fromChangelog({ key: 'id' });
  await using driver = testDriver(
    job('orders', () => ({
      orders,
      byCountry: orders.groupBy('country').aggregate((o) => ({ orders: count(), total: sum(o.total) })),
    })),
    { parallelism: 2 },
  );
  await driver.push(upserts, [upsert('+I', 1, 'de', 10), upsert('+I', 2, 'fr', 5)]);
  await driver.read('orders');
  await driver.read('byCountry');
  await driver.checkpoint();
  await driver.crash();
  await driver.restore({ parallelism: 3 });
  // An update without what was before, one that changes nothing, a deletion by the key alone, one of nobody.
  await driver.push(upserts, [upsert('+U', 1, 'fr', 11), upsert('+I', 2, 'fr', 5), upsert('-D', 7)]);
  expect(await driver.read('orders')).toEqual([
    { kind: '-U', row: { id: 1, country: 'de', total: 10 } },
    { kind: '+U', row: { id: 1, country: 'fr', total: 11 } },
  ]);
  await driver.push(upserts, upsert('-D', 2));
  expect(await driver.read('orders')).toEqual([{ kind: '-D', row: { id: 2, country: 'fr', total: 5 } }]);
  const standing = new Map<string, unknown>();
  for (const { kind, row } of await driver.read('byCountry')) {
    if (kind.startsWith('+')) standing.set(row.country, row);
    else standing.delete(row.country);
  }
  expect([...standing.values()]).toEqual([{ country: 'fr', orders: 1, total: 11 }]);
});

test('a row whose kind is none fails the job, and is named', async () => {
  const rows = [upsert('+I', 1, 'de', 1), upsert('insert', 2, 'de', 1)];
  const orders = from(collection(rows, { schema: change })).fromChangelog({ key: 'id' });
  await expect(collect(orders, { parallelism: 1 })).rejects.toMatchObject({
    code: 'source/bad-record',
    message: expect.stringContaining('"insert"'),
    where: { operator: 'fromChangelog(id)' },
  });
});

test.each([1, 3])(
  'changes written to files and read back come to the same table (parallelism %i)',
  async (parallelism) => {
    const path = join(directory, `changes-${parallelism}.jsonl`);
    const row = schema({ k: t.bigint(), v: t.bigint() });
    const rows = Array.from({ length: 5_000 }, (_, i) => ({ k: (i * 7919) % 97, v: i % 13 }));
    const totals = <M extends Mode>(of: Stream<{ k: number; v: number }, M>) =>
      of.groupBy('k').aggregate((r) => ({ n: count(), total: sum(r.v) }));
    const live = channel(row);
    const writing = run(totals(from(live)).to(jsonl(path, { changelog: true })), { parallelism });
    for (const one of rows) await live.push(one);
    live.end();
    await writing.result();
    const written = schema({ row_kind: t.string(), k: t.bigint(), n: t.bigint(), total: t.bigint() });
    const changes = from(jsonl(path, { schema: written }));
    const back = await collect(changes.fromChangelog({ key: 'k' }), { parallelism });
    const expected = await collect(totals(from(collection(rows, { schema: row }))), { parallelism: 1 });
    const sorted = (all: readonly { k: number }[]) => [...all].sort((a, b) => a.k - b.k);
    expect(sorted(back)).toEqual(sorted(expected));
  },
);

test('changes as rows: each with its kind, and only added', async () => {
  const rows = channel(schema({ k: t.string() }));
  await using driver = testDriver(
    job('kinds', () =>
      from(rows)
        .groupBy('k')
        .aggregate(() => ({ n: count() }))
        .toChangelog()
        .filter((change) => change.row_kind.ne('-U')),
    ),
    { batchRows: 1 },
  );
  await driver.push(rows, [{ k: 'a' }, { k: 'b' }, { k: 'a' }]);
  expect(await driver.read('result')).toEqual([
    { k: 'a', n: 1, row_kind: '+I' },
    { k: 'b', n: 1, row_kind: '+I' },
    { k: 'a', n: 2, row_kind: '+U' },
  ]);
});

test('a sink that knows rows by the key of the result is told no −U', async () => {
  const rows = channel(schema({ k: t.string() }));
  const told: unknown[] = [];
  const counts = from(rows)
    .groupBy('k')
    .aggregate(() => ({ n: count() }));
  await using driver = testDriver(
    job('upserts', () => ({
      upserts: counts.to(callback<{ k: string; n: number }>(() => told, { changes: true, key: 'k' })),
      some: counts
        .filter((c) => c.n.lt(3))
        .to(callback<{ k: string; n: number }>(() => told, { changes: true, key: 'k' })),
    })),
    { batchRows: 1 },
  );
  await driver.push(rows, [{ k: 'a' }, { k: 'a' }, { k: 'a' }]);
  expect(await driver.read('upserts')).toEqual([
    { kind: '+I', row: { k: 'a', n: 1 } },
    { kind: '+U', row: { k: 'a', n: 2 } },
    { kind: '+U', row: { k: 'a', n: 3 } },
  ]);
  // The filter took the +U of the last update: what was before is deleted.
  expect(await driver.read('some')).toEqual([
    { kind: '+I', row: { k: 'a', n: 1 } },
    { kind: '-D', row: { k: 'a', n: 1 } },
    { kind: '+U', row: { k: 'a', n: 2 } },
    { kind: '-D', row: { k: 'a', n: 2 } },
  ]);
});

test('updates of a key that come from several subtasks end as the table does', async () => {
  const order = schema({ id: t.bigint(), customer: t.bigint(), row_kind: t.string() });
  const customer = schema({ id: t.bigint(), name: t.string(), row_kind: t.string() });
  for (let seed = 1; seed <= 20; seed++) {
    const [orders, customers] = [channel(order), channel(customer)];
    // Known by the order, sent by the customer: an order that goes from one to another comes from two subtasks.
    const named = from(orders)
      .fromChangelog({ key: 'id' })
      .join(from(customers).fromChangelog({ key: 'id' }), (o, c) => o.customer.eq(c.id))
      .select((o, c) => ({ id: o.id, name: c.name }));
    await using driver = testDriver(
      job('named', () => ({
        named: named.to(callback<{ id: number; name: string }>(() => 0, { changes: true, key: 'id' })),
      })),
      { parallelism: 3, seed },
    );
    const people = Array.from({ length: 7 }, (_, id) => ({ id, name: `customer ${id}`, row_kind: '+I' }));
    await driver.push(customers, people);
    const expected = new Map<number, string>();
    let state = seed;
    for (let round = 0; round < 5; round++) {
      const moved = Array.from({ length: 40 }, () => {
        state = (state * 1103515245 + 12345) % 2147483648;
        const id = (state >> 8) % 10;
        const gone = (state >> 16) % 8 === 0;
        const of = (state >> 20) % 7;
        if (gone) expected.delete(id);
        else expected.set(id, `customer ${of}`);
        return { id, customer: of, row_kind: gone ? '-D' : '+U' };
      });
      await driver.push(orders, moved);
    }
    const standing = new Map<number, string>();
    for (const { kind, row } of await driver.read('named')) {
      expect(kind).not.toBe('-U');
      if (kind === '-D') standing.delete(row.id);
      else standing.set(row.id, row.name);
    }
    expect([...standing].sort(([a], [b]) => a - b)).toEqual([...expected].sort(([a], [b]) => a - b));
  }
});

test('a key is of a sink of changes, and of columns that are there', () => {
  expect(() => jsonl('out', { key: 'id' })).toThrow(/ask for changes too/);
  expect(() => jsonl('out', { changelog: true, key: 'id', partitionBy: 'dt' })).toThrow(/add it to the key/);
});
