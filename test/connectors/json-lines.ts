/** Random JSON lines together with the values that they say, for tests and the fuzzer: made value first, text second. */
import type { Prng } from '../../core/base/prng.ts';
import type { Fields } from '../../core/record/types.ts';
import type { Value } from './support.ts';

export const jsonFields: Fields = [
  { name: 'flag', type: { kind: 'BOOLEAN' }, nullable: true },
  { name: 'i32', type: { kind: 'INT' }, nullable: true },
  { name: 'i64', type: { kind: 'BIGINT' }, nullable: true },
  { name: 'x', type: { kind: 'DOUBLE' }, nullable: true },
  { name: 's', type: { kind: 'VARCHAR' }, nullable: true },
  { name: 'a longer name ü', type: { kind: 'VARCHAR' }, nullable: true },
  { name: 'day', type: { kind: 'DATE' }, nullable: true },
  { name: 'at', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: true },
  { name: 'fine', type: { kind: 'TIMESTAMP', precision: 6 }, nullable: true },
];

export function randomLines(random: Prng, count: number): { text: string; rows: Value[][] } {
  const pick = <T>(...from: readonly T[]): T => from[random.below(from.length)];
  const styles = {
    shuffled: random.below(2) === 0,
    spaces: random.below(2) === 0,
    extra: random.below(2) === 0,
    nulls: pick(0, 0.1, 0.6),
  };
  const eol = pick('\n', '\r\n');
  let text = '';
  const rows: Value[][] = [];
  for (let i = 0; i < count; i++) {
    const row: Value[] = [];
    let members: string[] = [];
    for (const field of jsonFields) {
      const [value, shown] =
        random.next() < styles.nulls ? [null, pick('null', '')] : randomValue(field.name, random, pick);
      row.push(value);
      if (shown !== '')
        members.push(
          `${JSON.stringify(field.name)}${space(styles.spaces, pick)}:${space(styles.spaces, pick)}${shown}`,
        );
    }
    if (styles.extra)
      members.push(
        pick(
          '"other":1.5e3',
          '"nested":{"a":[1,"}]"],"s":"x"}',
          '"list":[]',
          '"text":"a\\"b é"',
          '"e":""',
          '"no":null',
        ),
      );
    if (styles.shuffled)
      members = members
        .map((m) => ({ m, by: random.u32() }))
        .sort((a, b) => a.by - b.by)
        .map(({ m }) => m);
    text += `{${space(styles.spaces, pick)}${members.join(`${space(styles.spaces, pick)},${space(styles.spaces, pick)}`)}}`;
    rows.push(row);
    if (i < count - 1 || random.below(2) === 0) text += eol.repeat(random.below(20) === 0 ? 2 : 1);
  }
  return { text, rows };
}

type Pick = <T>(...from: readonly T[]) => T;
const space = (any: boolean, pick: Pick): string => (any ? pick('', ' ', '\t', '   ') : '');

function randomValue(name: string, random: Prng, pick: Pick): readonly [Value, string] {
  switch (name) {
    case 'flag': {
      const value = random.below(2) === 1;
      return [value, String(value)];
    }
    case 'i32': {
      const value = pick(random.u32() | 0, random.below(100) - 50, 2 ** 31 - 1, -(2 ** 31));
      return [value, String(value)];
    }
    case 'i64': {
      const value = pick(
        BigInt.asIntN(64, (BigInt(random.u32()) << 32n) | BigInt(random.u32())),
        BigInt(random.below(1000)),
      );
      return [value, pick(String(value), String(value), `"${value}"`)];
    }
    case 'x': {
      const value = pick(
        random.next(),
        random.below(1000),
        -random.next() * 10 ** (random.below(600) - 300),
        random.below(1e6) / 100,
      );
      return [value, pick(String(value), value.toExponential())];
    }
    case 'day': {
      const value = random.below(60_000) - 20_000;
      return [value, `"${new Date(value * 86_400_000).toISOString().slice(0, 10)}"`];
    }
    case 'at': {
      const ms = random.u32() * 700 - 1e12;
      return [
        BigInt(ms),
        pick(
          `"${new Date(ms).toISOString()}"`,
          String(ms),
          `"${new Date(ms).toISOString().replace('T', ' ').replace('Z', '')}"`,
        ),
      ];
    }
    case 'fine': {
      const ms = random.u32() * 700 - 1e12;
      const micros = random.below(1000);
      return [
        BigInt(ms) * 1000n + BigInt(micros),
        `"${new Date(ms).toISOString().replace('Z', `${String(micros).padStart(3, '0')}Z`)}"`,
      ];
    }
    default: {
      const alphabet = ['a', 'b', ' ', '"', '\\', '\n', '\u0001', 'é', '€', '🚀', '{', ',', ':'];
      const value = Array.from({ length: pick(0, 1, 3, 11, 12, 13, 30, 200) }, () =>
        random.below(3) === 0 ? pick(...alphabet) : 'x',
      ).join('');
      const shown = JSON.stringify(value);
      return [value, random.below(4) === 0 ? shown.replace(/[é€x🚀]/gu, escaped) : shown];
    }
  }
}

const escaped = (c: string): string =>
  Array.from({ length: c.length }, (_, i) => `\\u${c.charCodeAt(i).toString(16).padStart(4, '0')}`).join('');
