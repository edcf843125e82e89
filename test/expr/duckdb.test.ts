/** The reference against DuckDB, where both mean the same; where Flink differs, semantics.test.ts has its own table. */
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import { bind } from '../../core/expr/bind.ts';
import { interpret } from '../../core/expr/interpret.ts';
import type { LiteralValue, UnboundExpr } from '../../core/expr/tree.ts';
import type { Value } from '../../core/expr/value.ts';
import { decimalText } from '../../core/record/decimal.ts';
import type { DataType } from '../../core/record/types.ts';
import { leaf } from './slot.ts';

const layout = [
  leaf('i', { kind: 'INT' }),
  leaf('j', { kind: 'INT' }),
  leaf('l', { kind: 'BIGINT' }),
  leaf('d', { kind: 'DOUBLE' }),
  leaf('e', { kind: 'DOUBLE' }),
  leaf('s', { kind: 'VARCHAR' }),
  leaf('u', { kind: 'VARCHAR' }),
  leaf('b', { kind: 'BOOLEAN' }),
  leaf('c', { kind: 'BOOLEAN' }),
  leaf('a', { kind: 'DATE' }),
  leaf('t', { kind: 'TIMESTAMP', precision: 3 }),
  leaf('m', { kind: 'TIMESTAMP', precision: 6 }),
  leaf('p', { kind: 'DECIMAL', precision: 8, scale: 2 }),
  leaf('q', { kind: 'DECIMAL', precision: 6, scale: 4 }),
];
const sqlTypes = [
  'INTEGER',
  'INTEGER',
  'BIGINT',
  'DOUBLE',
  'DOUBLE',
  'VARCHAR',
  'VARCHAR',
  'BOOLEAN',
  'BOOLEAN',
  'DATE',
  'TIMESTAMP',
  'TIMESTAMP',
  'DECIMAL(8, 2)',
  'DECIMAL(6, 4)',
];

const c = (name: string): UnboundExpr => ({ kind: 'column', path: [name] });
const lit = (value: LiteralValue, type: DataType | null = null): UnboundExpr => ({ kind: 'literal', value, type });
const f = (fn: string, ...args: (UnboundExpr | LiteralValue)[]): UnboundExpr => ({
  kind: 'call',
  fn,
  args: args.map((x) => (typeof x === 'object' && x !== null ? x : lit(x))),
});
const cast = (arg: UnboundExpr, type: DataType, safe = false): UnboundExpr => ({ kind: 'cast', arg, type, safe });
const [i, j, l, d, e, s, u, b, k, a, t, m] = ['i', 'j', 'l', 'd', 'e', 's', 'u', 'b', 'c', 'a', 't', 'm'].map(c) as [
  UnboundExpr, UnboundExpr, UnboundExpr, UnboundExpr, UnboundExpr, UnboundExpr,
  UnboundExpr, UnboundExpr, UnboundExpr, UnboundExpr, UnboundExpr, UnboundExpr,
]; // biome-ignore format: a tuple

const [p, q] = [c('p'), c('q')];
/** A decimal as text, with that many digits behind the point. */
const digits = (of: UnboundExpr, scale: number): UnboundExpr =>
  cast(cast(of, { kind: 'DECIMAL', precision: 18, scale }), { kind: 'VARCHAR' });

/** Ours, and what DuckDB computes; integers come back as BIGINT, times as microseconds. */
const pairs: readonly (readonly [UnboundExpr, string])[] = [
  ...(['eq', 'ne', 'lt', 'lte', 'gt', 'gte'] as const).flatMap((fn, at): [UnboundExpr, string][] => {
    const symbol = ['=', '<>', '<', '<=', '>', '>='][at];
    return [
      [f(fn, i, j), `i ${symbol} j`],
      [f(fn, i, l), `i ${symbol} l`],
      [f(fn, l, d), `l ${symbol} d`],
      [f(fn, s, u), `s ${symbol} u`],
      [f(fn, b, k), `b ${symbol} c`],
      [f(fn, t, m), `t ${symbol} m`],
      [f(fn, a, t), `a ${symbol} t`],
      [f(fn, i, 7), `i ${symbol} 7`],
      [f(fn, m, '1999-12-31 23:59:59.5'), `m ${symbol} TIMESTAMP '1999-12-31 23:59:59.5'`],
    ];
  }),
  [f('and', b, k), 'b AND c'],
  [f('or', b, k, f('gt', i, 3)), 'b OR c OR i > 3'],
  [f('not', b), 'NOT b'],
  [f('isNull', s), 's IS NULL'],
  [f('isNotNull', i), 'i IS NOT NULL'],
  [f('in', i, 1, 2, j), 'i IN (1, 2, j)'],
  [f('in', s, 'a', lit(null)), "s IN ('a', NULL)"],
  [f('between', i, j, 20), 'i BETWEEN j AND 20'],
  [f('plus', i, j), 'i + j'],
  [f('minus', l, i), 'l - i'],
  [f('times', i, j), 'i * j'],
  [f('times', d, i), 'd * i'],
  [f('divide', i, f('plus', f('abs', j), 1)), 'i / (abs(j) + 1)'],
  [f('divide', d, 4), 'd / 4'],
  [f('mod', i, f('plus', f('abs', j), 1)), 'i % (abs(j) + 1)'],
  [f('mod', d, 7.5), 'd % 7.5'],
  [f('neg', i), '-i'],
  [f('abs', d), 'abs(d)'],
  [f('round', d), 'round(d)'],
  [f('floor', d), 'floor(d)'],
  [f('ceil', d), 'ceil(d)'],
  [f('like', s, 'a%'), "s LIKE 'a%'"],
  [f('like', s, '%b_d%'), "s LIKE '%b_d%'"],
  [f('like', s, '_%é'), "s LIKE '_%é'"],
  [f('like', s, '100!%', '!'), "s LIKE '100!%' ESCAPE '!'"],
  [f('like', s, '%!_%a', '!'), "s LIKE '%!_%a' ESCAPE '!'"],
  [f('length', s), 'length(s)'],
  [f('lower', s), 'lower(s)'],
  [f('upper', u), 'upper(u)'],
  [f('trim', s), "trim(s, ' ')"],
  [f('substring', s, 2), 'substring(s, 2)'],
  [f('substring', s, 2, 3), 'substring(s, 2, 3)'],
  [f('concat', s, '-', u), "s || '-' || u"],
  [f('coalesce', i, j, 0), 'coalesce(i, j, 0)'],
  [f('nullIf', i, j), 'nullif(i, j)'],
  [
    {
      kind: 'case',
      branches: [
        { when: b, then: i },
        { when: k, then: j },
      ],
      otherwise: lit(null),
    },
    'CASE WHEN b THEN i WHEN c THEN j END',
  ],
  ...(['a', 't', 'm'] as const).flatMap((name): [UnboundExpr, string][] => [
    ...['year', 'quarter', 'month', 'week'].map((fn): [UnboundExpr, string] => [f(fn, c(name)), `${fn}(${name})`]),
    [f('dayOfMonth', c(name)), `day(${name})`],
    [f('dayOfYear', c(name)), `dayofyear(${name})`],
    // Sunday is 0 there and 1 in Flink.
    [f('dayOfWeek', c(name)), `dayofweek(${name}) + 1`],
  ]),
  ...(['t', 'm'] as const).flatMap((name): [UnboundExpr, string][] => [
    ...['hour', 'minute', 'second'].map((fn): [UnboundExpr, string] => [f(fn, c(name)), `${fn}(${name})`]),
    ...['second', 'minute', 'hour', 'day', 'month', 'quarter', 'year'].map((unit): [UnboundExpr, string] => [
      cast(f('floorTo', c(name), unit), { kind: 'TIMESTAMP', precision: 6 }),
      `CAST(date_trunc('${unit}', ${name}) AS TIMESTAMP)`,
    ]),
    // Weeks begin on Sunday in Flink, on Monday there.
    [
      cast(f('floorTo', c(name), 'week'), { kind: 'TIMESTAMP', precision: 6 }),
      `CAST(date_trunc('week', ${name} + INTERVAL 1 DAY) - INTERVAL 1 DAY AS TIMESTAMP)`,
    ],
    [
      f(
        'plus',
        cast(c(name), { kind: 'TIMESTAMP', precision: 6 }),
        lit('93784005', { kind: 'INTERVAL', of: 'DAY_TIME' }),
      ),
      `${name} + INTERVAL '93784.005 seconds'`,
    ],
  ]),
  [f('floorTo', a, 'month'), "CAST(date_trunc('month', a) AS DATE)"],
  [cast(d, { kind: 'BIGINT' }), 'CAST(trunc(d) AS BIGINT)'],
  [cast(i, { kind: 'VARCHAR' }), 'CAST(i AS VARCHAR)'],
  [cast(l, { kind: 'VARCHAR' }), 'CAST(l AS VARCHAR)'],
  [cast(b, { kind: 'VARCHAR' }), 'upper(CAST(b AS VARCHAR))'],
  [cast(a, { kind: 'VARCHAR' }), 'CAST(a AS VARCHAR)'],
  [cast(i, { kind: 'BOOLEAN' }), 'CAST(i AS BOOLEAN)'],
  [cast(a, { kind: 'TIMESTAMP', precision: 6 }), 'CAST(a AS TIMESTAMP)'],
  [cast(m, { kind: 'DATE' }), 'CAST(m AS DATE)'],
  [cast(cast(i, { kind: 'VARCHAR' }), { kind: 'INT' }), 'i'],
  [cast(cast(d, { kind: 'VARCHAR' }), { kind: 'DOUBLE' }), 'd'],
  [cast(cast(m, { kind: 'VARCHAR' }), { kind: 'TIMESTAMP', precision: 6 }), 'm'],
  [cast(u, { kind: 'DOUBLE' }, true), 'TRY_CAST(u AS DOUBLE)'],
  [f('minus', d, e), 'd - e'],
  ...(['eq', 'ne', 'lt', 'lte', 'gt', 'gte'] as const).flatMap((fn, at): [UnboundExpr, string][] => {
    const symbol = ['=', '<>', '<', '<=', '>', '>='][at];
    return [
      [f(fn, p, q), `p ${symbol} q`],
      [f(fn, p, i), `p ${symbol} i`],
      [f(fn, l, q), `l ${symbol} q`],
      [f(fn, p, 12.5), `p ${symbol} 12.5`],
    ];
  }),
  [digits(f('plus', p, q), 4), 'CAST(p + q AS VARCHAR)'],
  [digits(f('minus', q, p), 4), 'CAST(q - p AS VARCHAR)'],
  [digits(f('times', p, q), 6), 'CAST(p * q AS VARCHAR)'],
  [digits(f('plus', p, i), 2), 'CAST(CAST(p + i AS DECIMAL(18, 2)) AS VARCHAR)'],
  [digits(f('neg', p), 2), 'CAST(-p AS VARCHAR)'],
  [digits(f('abs', q), 4), 'CAST(abs(q) AS VARCHAR)'],
  [digits(f('round', q, 1), 1), 'CAST(CAST(round(q, 1) AS DECIMAL(18, 1)) AS VARCHAR)'],
  [digits(f('floor', p), 0), 'CAST(CAST(floor(p) AS DECIMAL(18, 0)) AS VARCHAR)'],
  [digits(f('ceil', p), 0), 'CAST(CAST(ceil(p) AS DECIMAL(18, 0)) AS VARCHAR)'],
  [digits(q, 2), 'CAST(CAST(q AS DECIMAL(18, 2)) AS VARCHAR)'],
  [digits(f('times', cast(l, { kind: 'DECIMAL', precision: 14, scale: 0 }), 0.908), 3), 'CAST(l * 0.908 AS VARCHAR)'],
  [
    digits(cast(u, { kind: 'DECIMAL', precision: 10, scale: 1 }, true), 1),
    'CAST(TRY_CAST(trim(u) AS DECIMAL(10, 1)) AS VARCHAR)',
  ],
  [cast(p, { kind: 'DOUBLE' }), 'CAST(p AS DOUBLE)'],
  [f('in', p, 0, 1.25, 3), 'p IN (0, 1.25, 3)'],
];

const texts = [
  '',
  'a',
  'ab',
  'abcd',
  'ABCD',
  'été',
  'ÉTÉ',
  'straight',
  ' padded  ',
  '日本語',
  '🎉a🎉',
  '100%',
  '1000',
  '12.5',
  'a_a',
  'longer than twelve bytes',
];

function rowOf(random: ReturnType<typeof prng>): Value[] {
  const at = (values: readonly string[]) => values[random.below(values.length)] as string;
  const ms = BigInt(random.below(4_000_000)) * 1_000_003n - 1_900_000_000_000n;
  const row: Value[] = [
    random.below(60) - 30, random.below(60) - 30, BigInt(random.below(1000) - 500), (random.below(400) - 200) / 8, random.next() * 100 - 50, at(texts), at(texts),
    random.below(2) === 1, random.below(2) === 1, random.below(50_000) - 20_000, ms, ms * 1000n + BigInt(random.below(1000)),
    BigInt(random.below(random.below(2) === 0 ? 600 : 90_000_000) - 300), BigInt(random.below(900_000) - 450_000),
  ]; // biome-ignore format: a row
  return row.map((v) => (random.below(6) === 0 ? null : v));
}

function sqlLiteral(value: Value, at: number): string {
  if (value === null) return 'NULL';
  const type = sqlTypes[at];
  if (type === 'VARCHAR') return `'${String(value).replaceAll("'", "''")}'`;
  const of = layout[at]?.type;
  if (of?.kind === 'DECIMAL') return decimalText(value as bigint, of.scale);
  if (type === 'DATE') return `DATE '1970-01-01' + ${value}`;
  if (type === 'TIMESTAMP')
    return `make_timestamp(${layout[at]?.name === 't' ? (value as bigint) * 1000n : value}::BIGINT)`;
  return type === 'DOUBLE' ? `CAST(${value} AS DOUBLE)` : String(value);
}

/** Our value as DuckDB's rows come back below. */
function comparable(value: Value, type: DataType): unknown {
  if (value === null) return null;
  if (type.kind === 'INT' || type.kind === 'BIGINT' || type.kind === 'DATE') return String(value);
  if (type.kind === 'TIMESTAMP') return String((value as bigint) * (type.precision === 3 ? 1000n : 1n));
  return Object.is(value, -0) ? 0 : value;
}

function theirs(value: unknown, type: DataType): unknown {
  if (value === null) return null;
  if (typeof value === 'object' && 'micros' in value) return String(value.micros);
  if (typeof value === 'object' && 'days' in value) return String(value.days);
  if (type.kind === 'INT' || type.kind === 'BIGINT') return String(value);
  return Object.is(value, -0) ? 0 : value;
}

test('the reference means what DuckDB means', async () => {
  const random = prng(20);
  const rows = Array.from({ length: 300 }, () => rowOf(random));
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  await connection.run(`CREATE TABLE r (n INTEGER, ${layout.map((x, at) => `${x.name} ${sqlTypes[at]}`).join(', ')})`);
  await connection.run(
    `INSERT INTO r VALUES ${rows.map((row, n) => `(${n}, ${row.map(sqlLiteral).join(', ')})`).join(', ')}`,
  );
  for (const [unbound, sql] of pairs) {
    const expr = bind(unbound, layout);
    const evaluate = interpret(expr);
    const result = await connection.runAndReadAll(`SELECT ${sql} FROM r ORDER BY n`);
    const want = result.getRows().map((row) => theirs(row[0], expr.type));
    const got = rows.map((row) => comparable(evaluate(row), expr.type));
    if (expr.type.kind === 'DOUBLE') {
      for (const [n, value] of got.entries()) {
        if (value === null) expect(want[n], sql).toBe(null);
        else expect(value, sql).toBeCloseTo(want[n] as number, 9);
      }
    } else expect(got, sql).toEqual(want);
  }
  connection.closeSync();
}, 20_000);
