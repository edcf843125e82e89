/** Texts that a group keeps: as many as an entry may have, as long as they may be, through a checkpoint. */
import { channel, from, job, max, min, schema, t } from 'millrace';
import { testDriver } from 'millrace/testing';
import { expect, test } from 'vitest';

const long = (letter: string, bytes: number): string => letter.repeat(bytes);

function extremes() {
  const rows = channel(schema({ k: t.bigint(), a: t.string(), b: t.string(), c: t.string() }));
  const all = from(rows)
    .groupBy('k')
    .aggregate((r) => ({ a: max(r.a), b: max(r.b), c: max(r.c), d: min(r.a), e: min(r.b), f: min(r.c) }));
  const driver = testDriver(
    job('extremes', () => all),
    { parallelism: 1 },
  );
  return { rows, driver };
}

test('six texts of 2,000 bytes in a group go through a checkpoint and a crash', async () => {
  const { rows, driver } = extremes();
  const row = { k: 1, a: long('a', 2000), b: long('b', 2000), c: long('c', 2000) };
  await driver.push(rows, row);
  expect(await driver.read('result')).toHaveLength(1);
  await driver.checkpoint();
  await driver.crash();
  await driver.restore({ parallelism: 2 });
  await driver.push(rows, { k: 1, a: 'a', b: 'b', c: 'c' });
  await driver.end();
  const last = (await driver.read('result')).at(-1);
  expect(last).toMatchObject({ kind: '+U', row: { a: row.a, b: row.b, c: row.c, d: 'a', e: 'b', f: 'c' } });
});

test('one that is longer than its share is refused when it comes, not when a checkpoint is taken', async () => {
  const { rows, driver } = extremes();
  await expect(driver.push(rows, { k: 1, a: long('a', 2001), b: 'b', c: 'c' })).rejects.toMatchObject({
    code: 'record/too-large',
    message: expect.stringMatching(/2001 bytes, at most 2000 are kept of each of the 6 texts/),
  });
});
