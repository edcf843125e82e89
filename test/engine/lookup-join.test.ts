/** Rows looked up in a table, through the whole engine: what waits for it, what finds nothing, and what is refused. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  channel,
  collect,
  collection,
  count,
  csv,
  explain,
  from,
  job,
  jsonl,
  lookupTable,
  parquet,
  run,
  schema,
  sum,
  t,
  tumble,
} from '../../index.ts';
import { testDriver } from '../../testing.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-lookup-'));
afterAll(() => rmSync(folder, { recursive: true }));

const side = schema({ id: t.bigint(), name: t.string().nullable() });
const order = schema({ id: t.bigint(), buyer: t.bigint().nullable(), at: t.timestamp(3) });
const at = (seconds: number): Date => new Date(seconds * 1000);
const people = Array.from({ length: 3000 }, (_, id) => ({
  id,
  name: id % 10 === 0 ? null : `person ${id}, of a long name`,
}));
const orders = Array.from({ length: 5000 }, (_, id) => ({
  id,
  buyer: id % 7 === 0 ? null : (id * 13) % 4000,
  at: at(id),
}));
const expected = orders.map(({ id, buyer }) => ({
  id,
  name: buyer !== null && buyer < 3000 ? people[buyer]!.name : null,
}));

describe.each([1, 2, 3])('at parallelism %i', (parallelism) => {
  test.each(['collection', 'csv', 'jsonl', 'parquet'] as const)('a table in a %s', async (kind) => {
    const path = join(folder, `people-${parallelism}.${kind}`);
    const file = { csv, jsonl, parquet } as const;
    if (kind !== 'collection') await run(from(collection(people, { schema: side })).to(file[kind](path))).result();
    const table = lookupTable(
      kind === 'collection' ? collection(people, { schema: side }) : file[kind](path, { schema: side }),
      { key: 'id' },
    );
    const rows = await collect(
      from(collection(orders, { schema: order }))
        .lookupJoin(table, (o) => ({ id: o.buyer }))
        .select((o, p) => ({ id: o.id, name: p.name })),
      { parallelism },
    );
    expect(rows.sort((a, b) => a.id - b.id)).toEqual(expected);
  });

  test('rows keep their event time, and none is late for having waited; a crash in between changes nothing', async () => {
    const source = channel(order);
    const table = collection<(typeof people)[number]>([], { schema: side });
    const perMinute = from(source)
      .eventTime('at')
      .lookupJoin(lookupTable(table, { key: 'id' }), (o) => ({ id: o.buyer }))
      .select((o, p) => ({ id: o.id, name: p.name }))
      .groupBy(tumble('10 minutes'))
      .aggregate((o) => ({ orders: count(), known: count(o.name), ids: sum(o.id) }));
    await using driver = testDriver(
      job('looked-up', () => ({ perMinute })),
      { seed: parallelism, parallelism },
    );
    driver.push(source, orders.slice(0, 2000));
    driver.push(table, people.slice(0, 1000));
    driver.checkpoint();
    driver.push(source, orders.slice(2000, 3000));
    driver.crash();
    driver.restore({ parallelism: 4 - parallelism });
    driver.push(table, people.slice(1000));
    driver.push(source, orders.slice(3000, 3500));
    expect(await driver.read('perMinute')).toEqual([]);
    driver.end(table);
    const rows = (await driver.read('perMinute')) as unknown as { orders: number; known: number; ids: number }[];
    expect(rows.length).toBeGreaterThan(3);
    driver.checkpoint();
    driver.crash();
    driver.restore({ parallelism });
    driver.push(source, orders.slice(3500));
    driver.end();
    rows.push(...((await driver.read('perMinute')) as unknown as typeof rows));
    const total = (of: 'orders' | 'known' | 'ids'): number => rows.reduce((all, row) => all + row[of], 0);
    expect(total('orders')).toBe(orders.length);
    expect(total('known')).toBe(expected.filter(({ name }) => name !== null).length);
    expect(total('ids')).toBe(orders.reduce((all, { id }) => all + id, 0));
  });

  test('of two rows with one key the first counts, and the other is told of', async () => {
    const twice = [...people, { id: 5, name: 'another' }, { id: 6, name: 'another' }];
    const handle = run(
      from(collection(orders, { schema: order }))
        .lookupJoin(lookupTable(collection(twice, { schema: side }), { key: 'id' }), (o) => ({ id: o.buyer }))
        .select((o, p) => ({ id: o.id, name: p.name })),
      { parallelism },
    );
    const rows: { id: number; name: string | null }[] = [];
    for await (const row of handle) rows.push(row as (typeof rows)[number]);
    expect(rows.sort((a, b) => a.id - b.id)).toEqual(expected);
    await handle.result();
    expect(handle.metrics().skippedRows).toBe(2);
  });
});

test('explain says what is kept, and that rows stay where they are', async () => {
  const text = await explain(
    from(collection(orders, { schema: order }))
      .lookupJoin(lookupTable(collection(people, { schema: side }), { key: 'id' }), (o) => ({ id: o.buyer }))
      .select((o, p) => ({ id: o.id, name: p.name })),
    { parallelism: 2 },
  );
  expect(String(text)).toContain(
    'keeps the table by (id), whole, in every slot; rows of the left side until it was read',
  );
  expect(String(text)).toContain('broadcast');
});

describe('refused, with the reason', () => {
  const some = from(collection(orders, { schema: order }));
  const table = lookupTable(collection(people, { schema: side }), { key: 'id' });
  test('a source that does not end, and a table without a key', () => {
    expect(() => lookupTable(channel(side) as never, { key: 'id' } as never)).toThrow(/a source that ends/);
    expect(() => lookupTable(collection(people, { schema: side }), {} as never)).toThrow(/the columns to look up by/);
    expect(() => lookupTable(collection(people, { schema: side }), { key: 'ident' } as never)).toThrow(
      /lookupTable.*no column 'ident'; it has id, name/,
    );
  });
  test("a key that is not the table's", () => {
    expect(() => some.lookupJoin(table, (() => ({ ident: 1 })) as never)).toThrow(
      /looked up by id; 'id' was not given/,
    );
    expect(() => some.lookupJoin({} as never, () => ({}))).toThrow(/takes a lookupTable/);
    expect(() => some.lookupJoin(table, (() => 1) as never)).toThrow(/the key's columns by name/);
  });
  test('keys that cannot be compared, a constant key, and a table that is not there', async () => {
    const joined = (key: object) =>
      some.lookupJoin(table, (() => key) as never).select((o, p) => ({ id: o.id, name: p.name }));
    await expect(collect(joined({ id: 'text' }))).rejects.toThrow(/BIGINT|text/);
    await expect(collect(joined({ id: 5 }))).rejects.toThrow(/computed from columns of the row/);
    const missing = lookupTable(csv(join(folder, 'nowhere.csv'), { schema: side }), { key: 'id' });
    await expect(
      collect(some.lookupJoin(missing, (o) => ({ id: o.buyer })).select((o) => ({ id: o.id }))),
    ).rejects.toThrow(/nowhere\.csv/);
    const path = join(folder, 'other.csv');
    writeFileSync(path, 'name\nAda\n');
    const other = lookupTable(csv(path, { schema: side }), { key: 'id' });
    await expect(
      collect(some.lookupJoin(other, (o) => ({ id: o.buyer })).select((o, p) => ({ id: o.id, name: p.name }))),
    ).rejects.toThrow(/id/);
  });
  test('rows that may be taken back', async () => {
    const changed = from(channel(order))
      .groupBy('buyer')
      .aggregate(() => ({ orders: count() }))
      .lookupJoin(table, (o) => ({ id: o.buyer }))
      .select((o, p) => ({ orders: o.orders, name: p.name }));
    await expect(explain(changed)).rejects.toThrow(/put lookupJoin before that step/);
  });
});
