/** Functions of the user's inside expressions: what they get and give, what is said when they fail, and what explain says. */

import { collect, collection, type Decimal, explain, from, run, scalarFunction, schema, t } from 'millrace';
import { describe, expect, test } from 'vitest';
import scalar from './jobs/scalar.ts';

async function rowsOf(what: string, parallelism: number, after = -1): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  for await (const row of run(scalar, { params: { what, from: after }, parallelism, mode: 'bounded' }))
    rows.push(row as never);
  return rows;
}
const cs = (text: string): number => text.split('c').length - 1;
const texts = ['chalk and cheese', 'concoct', '', ' space first', null];

describe.each([1, 2, 3])('at parallelism %i', (parallelism) => {
  test('filtered by and projected; NULL in is NULL out', async () => {
    const rows = await rowsOf('projected', parallelism);
    const expected = Array.from({ length: 500 }, (_, id) => ({ id, text: texts[id % 5] ?? null }))
      .filter(({ text }) => text !== null && cs(text) > 1)
      .map(({ id, text }) => [id, cs(text!), `${(id * 100 + 25 + 1 + (id % 28) + id) / 100}`]);
    const got = rows.map(({ id, cs, dear }) => [id, cs, `${(dear as Decimal).toNumber()}`]);
    expect(got.sort((a, b) => (a[0] as number) - (b[0] as number))).toEqual(expected);
  });

  test('what it gives is a key like any other', async () => {
    const rows = await rowsOf('grouped', parallelism);
    const words = rows.map(({ word, cs, n }) => `${word} ${cs} ${n}`).sort();
    expect(words).toEqual(['chalk 2 100', 'concoct 3 100', 'null 0 100', 'null 1 100', 'null null 100'].sort());
  });
});

test('literals are given as columns of their type are', async () => {
  expect(await rowsOf('literals', 1)).toEqual([{ kinds: 'it number 5 125 1000 number NaN' }]);
});

test('a call that throws, or gives something else, is told with the function, its arguments and the row', async () => {
  await expect(rowsOf('picky', 1)).rejects.toMatchObject({
    code: 'function/threw',
    message: expect.stringMatching(/picky\(17\) threw: not seventeen/),
    where: { position: expect.stringMatching(/17/) },
  });
  await expect(rowsOf('picky', 1, 17)).rejects.toMatchObject({
    code: 'function/bad-result',
    message: expect.stringMatching(/picky is declared to return DOUBLE, but returned .twenty-three., a string/),
  });
});

test('explain says that it is not compiled', async () => {
  const shown = String(await explain(scalar, { params: { what: 'projected', from: -1 } }));
  expect(shown).toContain("count_char(text, 'c') > 1");
  expect(shown).toContain('count_char is a JavaScript function, called row by row');
});

test('what cannot be declared, or called so, is refused', async () => {
  const make = (name: string, arg: ReturnType<typeof t.bigint> = t.bigint()) =>
    scalarFunction({ name, args: [arg], returns: t.bigint(), call: (n) => n });
  expect(() => make('two words')).toThrow(/letters, digits and _, not 'two words'/);
  expect(() => make('f', t.bigint().nullable() as never)).toThrow(/argument 1 of scalarFunction f is nullable/);
  const rows = from(collection([{ s: 'x' }], { schema: schema({ s: t.string() }) }));
  const half = make('half') as unknown as (arg: unknown) => never;
  await expect(collect(rows.select((r) => ({ h: half(r.s) })))).rejects.toMatchObject({ code: 'job/needs-module' });
  expect(() => (half as unknown as () => void)()).toThrow(/half takes 1 arguments, not 0/);
});
