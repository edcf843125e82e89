/** A function of the user's inside expressions: filtered by, projected, grouped by. */
import { collection, count, decimal, from, job, scalarFunction, schema, t } from 'millrace';

const countChar = scalarFunction({
  name: 'count_char',
  args: [t.string(), t.string()],
  returns: t.bigint(),
  call: (text, char) => text.split(char).length - 1,
});
const firstWord = scalarFunction({
  name: 'first_word',
  args: [t.string()],
  returns: t.string().nullable(),
  call: (text) => /^\w+/.exec(text)?.[0] ?? null,
});
const withTax = scalarFunction({
  name: 'with_tax',
  args: [t.decimal(10, 2), t.timestamp(3), t.bigint()],
  returns: t.decimal(12, 2),
  call: (price, at, extra) => decimal(`${(Number(price.unscaled) + at.getUTCDate() + extra) / 100}` as `${number}`),
});
const picky = scalarFunction({
  name: 'picky',
  args: [t.bigint()],
  returns: t.double(),
  call(n) {
    if (n === 17) throw new Error('not seventeen');
    return n === 23 ? ('twenty-three' as never) : n / 2;
  },
});

/** What each argument is to the function. */
const kinds = scalarFunction({
  name: 'kinds',
  args: [t.string(), t.bigint(), t.decimal(10, 2), t.timestamp(3), t.double()],
  returns: t.string(),
  call: (text, n, price, at, x) => `${text} ${typeof n} ${n} ${price.unscaled} ${at.getTime()} ${typeof x} ${x}`,
});

const row = schema({
  id: t.bigint(),
  text: t.string().nullable(),
  price: t.decimal(10, 2),
  at: t.timestamp(3),
});
const texts = ['chalk and cheese', 'concoct', '', ' space first', null];

export default job(
  'scalar',
  ({ params }) => {
    const rows = from(
      collection(
        Array.from({ length: 500 }, (_, id) => ({
          id,
          text: texts[id % 5] ?? null,
          price: decimal(`${id}.25` as `${number}`),
          at: new Date(Date.UTC(2026, 0, 1 + (id % 28))),
        })),
        { schema: row },
      ),
    );
    if (params.what === 'picky') return rows.filter((r) => r.id.gt(params.from)).select((r) => ({ v: picky(r.id) }));
    if (params.what === 'literals') {
      return rows
        .filter((r) => r.id.eq(1))
        .select(() => ({ kinds: kinds('it', 5, decimal('1.25'), new Date(1000), Number.NaN) }));
    }
    if (params.what === 'grouped') {
      return rows
        .with((r) => ({ word: firstWord(r.text), cs: countChar(r.text, 'c') }))
        .groupBy('word', 'cs')
        .aggregate(() => ({ n: count() }));
    }
    return rows
      .filter((r) => countChar(r.text, 'c').gt(1))
      .select((r) => ({ id: r.id, cs: countChar(r.text, 'c'), dear: withTax(r.price, r.at, r.id) }));
  },
  { params: schema({ what: t.string(), from: t.bigint() }) },
);
