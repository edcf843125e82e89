/** Random expressions of every function and type, rows of awkward values, and one case: compiled against interpreted. */
import { MillraceError } from '../../core/base/errors.ts';
import type { Prng } from '../../core/base/prng.ts';
import { sharesDearParts } from '../../core/compile/cost.ts';
import { type Projector, projector } from '../../core/compile/projector.ts';
import { bind } from '../../core/expr/bind.ts';
import { interpret } from '../../core/expr/interpret.ts';
import { exprText } from '../../core/expr/print.ts';
import type { Expr, LiteralValue, UnboundExpr } from '../../core/expr/tree.ts';
import { literalOfValue, type Value } from '../../core/expr/value.ts';
import type { Batch } from '../../core/record/batch.ts';
import type { DataType } from '../../core/record/types.ts';
import { leaf, type TestSlot } from './slot.ts';

export const kinds = ['BOOLEAN', 'INT', 'BIGINT', 'DOUBLE', 'D5', 'D10', 'D18', 'VARCHAR', 'DATE', 'T3', 'T6'] as const;
export type Kind = (typeof kinds)[number];
export const typeOf: Readonly<Record<Kind, DataType>> = {
  BOOLEAN: { kind: 'BOOLEAN' },
  INT: { kind: 'INT' },
  BIGINT: { kind: 'BIGINT' },
  DOUBLE: { kind: 'DOUBLE' },
  D5: { kind: 'DECIMAL', precision: 5, scale: 5 },
  D10: { kind: 'DECIMAL', precision: 10, scale: 2 },
  D18: { kind: 'DECIMAL', precision: 18, scale: 6 },
  VARCHAR: { kind: 'VARCHAR' },
  DATE: { kind: 'DATE' },
  T3: { kind: 'TIMESTAMP', precision: 3 },
  T6: { kind: 'TIMESTAMP', precision: 6 },
};
/** Two columns of each kind. */
export const layout = kinds.flatMap((k) => [
  leaf(`${k.toLowerCase()}1`, typeOf[k]),
  leaf(`${k.toLowerCase()}2`, typeOf[k]),
]);

const pick = <T>(random: Prng, of: readonly T[]): T => of[random.below(of.length)] as T;

const texts = [
  '', 'a', 'A', ' ', '  a b ', '%', '_', '\\', 'abc', 'ABC', 'abcd', 'aXbXc', 'aab', 'été', 'ÉTÉ', 'straße', 'ΑΣ', '日本語', '🎉🎊', 'a🎉b',
  'twelve bytes', 'thirteen byte', 'a text that is longer than twelve bytes', 'A TEXT THAT IS LONGER THAN TWELVE BYTES', 'a text that is longer, ends otherwise',
  '12', '-7', '0.00001', '-12345678.905', '999999999999.9999995', '.5', '1e-3', '-2.5e2', ' 42 ', '3.99', '+5', '-', '.', '1e3', 'NaN', 'Infinity', '2147483648', '-9223372036854775808', '9223372036854775808',
  'true', 'F', 'yes', '2001-01-31', '1969-12-31 23:59:59.999', '2000-02-29T12:00:00Z', '2001-02-29', '12:00',
]; // biome-ignore format: a list

export function randomValue(kind: Kind, random: Prng): Exclude<Value, null> {
  switch (kind) {
    case 'BOOLEAN':
      return random.below(2) === 1;
    case 'INT':
      return pick(random, [
        0,
        1,
        -1,
        2,
        3,
        7,
        -10,
        100,
        2147483647,
        -2147483648,
        random.u32() | 0,
        random.below(50) - 25,
      ]);
    case 'BIGINT':
      return pick(random, [
        0n,
        1n,
        -1n,
        10n,
        -3n,
        2n ** 31n,
        -(2n ** 31n) - 1n,
        2n ** 53n + 1n,
        2n ** 63n - 1n,
        -(2n ** 63n),
        BigInt.asIntN(64, BigInt(random.u32()) * BigInt(random.u32())),
        BigInt(random.below(50) - 25),
      ]);
    case 'DOUBLE':
      return pick(random, [
        0,
        -0,
        1,
        -1,
        0.5,
        -0.5,
        2.5,
        1.005,
        0.49999999999999994,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        1e300,
        5e-324,
        2147483647.5,
        -2147483648.5,
        9.2e18,
        1e19,
        random.next() * 1000 - 500,
        random.below(50) - 25,
      ]);
    case 'D5':
    case 'D10':
    case 'D18': {
      const { precision, scale } = typeOf[kind] as { precision: number; scale: number };
      const most = 10n ** BigInt(precision) - 1n;
      const one = 10n ** BigInt(scale);
      const any =
        (BigInt(random.u32()) * 2n ** 32n + BigInt(random.u32())) % 10n ** BigInt(1 + random.below(precision));
      const value = pick(random, [0n, 1n, 5n, one / 2n, one / 2n - 1n, one, 15n * one, most, any, any, any]);
      const signed = random.below(2) === 0 ? value : -value;
      return signed > most || -signed > most ? most : signed;
    }
    case 'VARCHAR':
      return pick(random, texts);
    case 'DATE':
      return pick(random, [0, -1, 1, 11_016, 10_956, -25_567, 18_261, random.below(60_000) - 20_000]);
    case 'T3':
      return BigInt(
        pick(random, [
          0,
          -1,
          1,
          86_400_000,
          -86_400_001,
          951_782_400_000,
          978_307_199_999,
          random.below(4_000_000) * 1_000_000 - 1_000_000_000_000 + random.below(1000),
        ]),
      );
    case 'T6':
      return (randomValue('T3', random) as bigint) * 1000n + BigInt(pick(random, [0, 0, 1, 999, random.below(1000)]));
  }
}

const column = (kind: Kind, random: Prng): UnboundExpr => ({
  kind: 'column',
  path: [`${kind.toLowerCase()}${1 + random.below(2)}`],
});
const literal = (value: LiteralValue, type: DataType | null = null): UnboundExpr => ({ kind: 'literal', value, type });

function randomLiteral(kind: Kind, random: Prng): UnboundExpr {
  if (random.below(12) === 0) return literal(null, typeOf[kind]);
  const value = randomValue(kind, random);
  if (isExact(kind)) return literal(literalOfValue(value, typeOf[kind]), typeOf[kind]);
  if (typeof value === 'bigint') return literal(value.toString(), typeOf[kind]);
  if (kind === 'DOUBLE' && typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))) {
    return literal(Object.is(value, -0) ? '-0' : String(value), typeOf[kind]);
  }
  return literal(value as LiteralValue, typeOf[kind]);
}

const numeric: readonly Kind[] = ['INT', 'BIGINT', 'DOUBLE'];
const exact: readonly Kind[] = ['D5', 'D10', 'D18'];
const isExact = (kind: Kind): boolean => exact.includes(kind);
const temporal: readonly Kind[] = ['DATE', 'T3', 'T6'];
const patterns = [
  '%',
  '_',
  '',
  'a%',
  '%a',
  '%b%',
  'a_c',
  '_b%',
  '%X_X%',
  '日_語',
  '_🎉%',
  '%é',
  '%a%b%',
  'a text%',
  '%bytes',
  '__',
  '%_',
  '%longer%bytes',
];
const units = ['second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year'];

type Make = (random: Prng, arg: (kind: Kind) => UnboundExpr) => UnboundExpr;
const call = (fn: string, ...args: UnboundExpr[]): UnboundExpr => ({ kind: 'call', fn, args });
const cast = (arg: UnboundExpr, to: Kind, safe: boolean): UnboundExpr => ({
  kind: 'cast',
  arg,
  type: typeOf[to],
  safe,
});

function casts(to: Kind, from: readonly Kind[]): [string, Make][] {
  return from.flatMap((f): [string, Make][] => [
    [`cast ${f} to ${to}`, (_, arg) => cast(arg(f), to, false)],
    [`try_cast ${f} to ${to}`, (_, arg) => cast(arg(f), to, true)],
  ]);
}
/** Decimals of whatever digits they got, as that kind. */
const asKind = (kind: Kind, arg: UnboundExpr): UnboundExpr => (isExact(kind) ? cast(arg, kind, true) : arg);

function sameOf(kind: Kind): [string, Make][] {
  const same =
    (make: Make): Make =>
    (random, arg) =>
      make(random, (k) => (k === kind ? asKind(kind, arg(k)) : arg(k)));
  return sameTyped(kind).map(([name, make]) => [name, same(make)]);
}
function sameTyped(kind: Kind): [string, Make][] {
  return [
    [`coalesce ${kind}`, (_, arg) => call('coalesce', arg(kind), arg(kind), arg(kind))],
    [`nullIf ${kind}`, (_, arg) => call('nullIf', arg(kind), arg(kind))],
    [
      `case ${kind}`,
      (_, arg) => ({
        kind: 'case',
        branches: [
          { when: arg('BOOLEAN'), then: arg(kind) },
          { when: arg('BOOLEAN'), then: arg(kind) },
        ],
        otherwise: arg(kind),
      }),
    ],
  ];
}
const arithmeticOf = (kind: Kind): [string, Make][] => [
  ...['plus', 'minus', 'times', 'mod'].map((fn): [string, Make] => [
    `${fn} ${kind}`,
    (_, arg) => call(fn, arg(kind), arg(kind)),
  ]),
  ...['neg', 'abs', 'floor', 'ceil', 'round'].map((fn): [string, Make] => [
    `${fn} ${kind}`,
    (_, arg) => call(fn, arg(kind)),
  ]),
  [`round digits ${kind}`, (random, arg) => call('round', arg(kind), literal(random.below(7) - 3))],
];
/** Arithmetic whose operands are any exact numbers; the result has digits of its own. */
const decimalsOf = (kind: Kind): [string, Make][] => [
  ...['plus', 'minus', 'times', 'divide', 'mod'].flatMap((fn): [string, Make][] => [
    [`${fn} ${kind}`, (_, arg) => call(fn, arg(kind), arg(kind))],
    ...[...exact, 'INT' as const, 'BIGINT' as const]
      .filter((other) => other !== kind)
      .flatMap((other): [string, Make][] => [
        [`${fn} ${kind} ${other}`, (_, arg) => call(fn, arg(kind), arg(other))],
        [`${fn} ${other} ${kind}`, (_, arg) => call(fn, arg(other), arg(kind))],
      ]),
    [
      `${fn} ${kind} literal`,
      (random, arg) => call(fn, arg(kind), literal(pick(random, [0, 1, -1, 2, 0.908, -12.5, 1e-7, 1000000]))),
    ],
  ]),
  ...['neg', 'abs', 'floor', 'ceil', 'round'].map((fn): [string, Make] => [
    `${fn} ${kind}`,
    (_, arg) => call(fn, arg(kind)),
  ]),
  [`round digits ${kind}`, (random, arg) => call('round', arg(kind), literal(random.below(28) - 20))],
];
const day: DataType = { kind: 'INTERVAL', of: 'DAY_TIME' };
const timeOf = (kind: Kind): [string, Make][] => [
  [
    `plus interval ${kind}`,
    (random, arg) =>
      call(
        'plus',
        arg(kind),
        literal(
          String(BigInt(random.below(1000) - 500) * 86_400_000n + (kind === 'DATE' ? 0n : BigInt(random.below(5)))),
          day,
        ),
      ),
  ],
  [
    `minus interval ${kind}`,
    (random, arg) =>
      call(
        'minus',
        arg(kind),
        literal(String(pick(random, [0n, 86_400_000n, 2n ** 63n - (2n ** 63n % 86_400_000n) - 86_400_000n])), day),
      ),
  ],
  [
    `floorTo ${kind}`,
    (random, arg) => call('floorTo', arg(kind), literal(pick(random, kind === 'DATE' ? units.slice(3) : units))),
  ],
  [
    `ceilTo ${kind}`,
    (random, arg) => call('ceilTo', arg(kind), literal(pick(random, kind === 'DATE' ? units.slice(3) : units))),
  ],
];

const decimalMakers = (kind: Kind): [string, Make][] => [
  ...decimalsOf(kind),
  ...casts(kind, [...(['BOOLEAN', 'INT', 'BIGINT', 'DOUBLE', 'VARCHAR'] as const), ...exact.filter((k) => k !== kind)]),
  ...sameOf(kind),
];

/** Every function by the kind that it makes. */
export const makers: Readonly<Record<Kind, readonly [string, Make][]>> = {
  BOOLEAN: [
    ...kinds.flatMap((k) =>
      ['eq', 'ne', 'lt', 'lte', 'gt', 'gte'].map((fn): [string, Make] => [
        `${fn} ${k}`,
        (_, arg) => call(fn, arg(k), arg(k)),
      ]),
    ),
    ...exact.flatMap((k) =>
      ['eq', 'ne', 'lt', 'lte', 'gt', 'gte'].flatMap((fn): [string, Make][] => [
        ...(['INT', 'BIGINT', 'DOUBLE', ...exact] as const).map((other): [string, Make] => [
          `${fn} ${k} ${other}`,
          (_, arg) => call(fn, arg(k), arg(other)),
        ]),
        [
          `${fn} ${k} literal`,
          (random) =>
            call(
              fn,
              { kind: 'column', path: [`${k.toLowerCase()}1`] },
              literal(pick(random, [0, 1, 0.5, -12.25, 1e9])),
            ),
        ],
      ]),
    ),
    ...kinds.flatMap((k): [string, Make][] => [
      [`isNull ${k}`, (_, arg) => call('isNull', arg(k))],
      [`isNotNull ${k}`, (_, arg) => call('isNotNull', arg(k))],
      [
        `in ${k}`,
        (random, arg) =>
          call(
            'in',
            asKind(k, arg(k)),
            ...Array.from({ length: random.below(4) }, () => randomLiteral(k, random)),
            asKind(k, arg(k)),
          ),
      ],
      [`between ${k}`, (_, arg) => call('between', arg(k), arg(k), arg(k))],
    ]),
    ['and', (_, arg) => call('and', arg('BOOLEAN'), arg('BOOLEAN'), arg('BOOLEAN'))],
    ['or', (_, arg) => call('or', arg('BOOLEAN'), arg('BOOLEAN'), arg('BOOLEAN'))],
    ['not', (_, arg) => call('not', arg('BOOLEAN'))],
    ['like', (random, arg) => call('like', arg('VARCHAR'), literal(pick(random, patterns)))],
    [
      'like escape',
      (random, arg) => call('like', arg('VARCHAR'), literal(pick(random, ['!%', 'a!_%', '%!!', '%!%%'])), literal('!')),
    ],
    [
      'vector filter',
      (random, arg) =>
        call(
          'and',
          call(pick(random, ['gt', 'ne', 'lte']), { kind: 'column', path: ['int1'] }, literal(random.below(9) - 4)),
          call(
            pick(random, ['lt', 'eq', 'gte']),
            { kind: 'column', path: [pick(random, ['bigint2', 'double1'])] },
            literal(random.below(30)),
          ),
          arg('BOOLEAN'),
        ),
    ],
    ...casts('BOOLEAN', ['INT', 'BIGINT', 'DOUBLE', ...exact, 'VARCHAR']),
    ...sameOf('BOOLEAN'),
  ],
  INT: [
    ...arithmeticOf('INT'),
    ['length', (_, arg) => call('length', arg('VARCHAR'))],
    ...casts('INT', ['BOOLEAN', 'BIGINT', 'DOUBLE', ...exact, 'VARCHAR']),
    ...sameOf('INT'),
  ],
  BIGINT: [
    ...arithmeticOf('BIGINT'),
    ...temporal.flatMap((k) =>
      ['year', 'quarter', 'month', 'week', 'dayOfMonth', 'dayOfWeek', 'dayOfYear'].map((fn): [string, Make] => [
        `${fn} ${k}`,
        (_, arg) => call(fn, arg(k)),
      ]),
    ),
    ...(['T3', 'T6'] as const).flatMap((k) =>
      ['hour', 'minute', 'second'].map((fn): [string, Make] => [`${fn} ${k}`, (_, arg) => call(fn, arg(k))]),
    ),
    ...casts('BIGINT', ['BOOLEAN', 'INT', 'DOUBLE', ...exact, 'VARCHAR']),
    ...sameOf('BIGINT'),
  ],
  DOUBLE: [
    ...arithmeticOf('DOUBLE'),
    ...numeric.map((k): [string, Make] => [`divide ${k}`, (_, arg) => call('divide', arg(k), arg(k))]),
    ...casts('DOUBLE', ['BOOLEAN', 'INT', 'BIGINT', ...exact, 'VARCHAR']),
    ...sameOf('DOUBLE'),
  ],
  D5: decimalMakers('D5'),
  D10: decimalMakers('D10'),
  D18: decimalMakers('D18'),
  VARCHAR: [
    ...['lower', 'upper', 'trim'].map((fn): [string, Make] => [fn, (_, arg) => call(fn, arg('VARCHAR'))]),
    [
      'substring 2',
      (random, arg) => call('substring', arg('VARCHAR'), random.below(2) ? literal(random.below(12) - 4) : arg('INT')),
    ],
    [
      'substring 3',
      (random, arg) =>
        call(
          'substring',
          arg('VARCHAR'),
          literal(random.below(12) - 4),
          random.below(2) ? literal(random.below(20) - 1) : arg('INT'),
        ),
    ],
    [
      'splitIndex',
      (random, arg) =>
        call(
          'splitIndex',
          arg('VARCHAR'),
          literal(pick(random, [' ', 'a', 'X', 'é', 'ab', ' that is longer'])),
          random.below(2) ? literal(random.below(6) - 1) : arg('INT'),
        ),
    ],
    [
      'regexpExtract',
      (random, arg) =>
        call(
          'regexpExtract',
          arg('VARCHAR'),
          literal(
            pick(random, ['a', '[^ ]+ ([a-z]*)', '(.)(.?)$', 'a?b|(x)', '\\d+', '(?:t|T)(.*?)( |$)', '^.{2,3}', 'é.*']),
          ),
          literal(0),
        ),
    ],
    [
      'regexpExtract group',
      (random, arg) =>
        call(
          'regexpExtract',
          arg('VARCHAR'),
          literal(
            pick(random, [
              '(a)',
              '[^ ]+ ([a-z]*)',
              '(.)(.?)$',
              'a?b|(x)',
              '(\\d+)\\D',
              '(?:t|T)(.*?)( |$)',
              '^(.{2,3})',
              '(longer).*(.)',
            ]),
          ),
          literal(1),
        ),
    ],
    ['concat', (random, arg) => call('concat', ...Array.from({ length: 1 + random.below(3) }, () => arg('VARCHAR')))],
    ...temporal.map((k): [string, Make] => [
      `dateFormat ${k}`,
      (random, arg) =>
        call(
          'dateFormat',
          arg(k),
          literal(pick(random, ["yyyy-MM-dd'T'HH:mm", 'EEE d MMM yy', 'h a', 'D', 'HH:mm:ss.SSSSSS', "y''yy h"])),
        ),
    ]),
    ...casts('VARCHAR', ['BOOLEAN', 'INT', 'BIGINT', 'DOUBLE', ...exact, 'DATE', 'T3', 'T6']),
    ...sameOf('VARCHAR'),
  ],
  DATE: [...timeOf('DATE'), ...casts('DATE', ['VARCHAR', 'T3', 'T6']), ...sameOf('DATE')],
  T3: [...timeOf('T3'), ...casts('T3', ['VARCHAR', 'DATE', 'T6']), ...sameOf('T3')],
  T6: [...timeOf('T6'), ...casts('T6', ['VARCHAR', 'DATE', 'T3']), ...sameOf('T6')],
};

/** A tree of at most that depth; `coverage` counts what stands in it. */
export function randomExpr(kind: Kind, depth: number, random: Prng, coverage: Record<string, number>): UnboundExpr {
  if (depth === 0 || random.below(8) === 0)
    return random.below(4) === 0 ? randomLiteral(kind, random) : column(kind, random);
  const [name, make] = pick(random, makers[kind]);
  coverage[name] = (coverage[name] ?? 0) + 1;
  return make(random, (k) => randomExpr(k, depth - 1, random, coverage));
}

export function randomRows(random: Prng, n: number, nulls: number): Value[][] {
  return Array.from({ length: n }, () =>
    layout.map(
      (c, i) => (random.next() < nulls ? null : randomValue(kinds[i >> 1] as Kind, random)) satisfies Value | typeof c,
    ),
  );
}

const same = (a: Value, b: Value): boolean => Object.is(a, b);
const shown = (v: Value): string => (Object.is(v, -0) ? '-0' : typeof v === 'string' ? JSON.stringify(v) : `${v}`);

type Row = { readonly row: number; readonly value: Value };
interface Outcome {
  readonly rows: readonly Row[];
  readonly error: MillraceError | null;
}

function drain(of: Projector, batch: Batch, slot: TestSlot, read: (out: Batch, row: number) => Value): Outcome {
  const rows: Row[] = [];
  try {
    of.begin(batch);
    for (let out = of.next(); out !== null; out = of.next()) {
      for (let k = 0; k < out.size; k++) {
        const row = out.selection === 0 ? k : (slot.memory.u32[(out.selection >>> 2) + k] as number);
        rows.push({ row, value: read(out, row) });
      }
    }
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return { rows, error };
  }
  return { rows, error: null };
}

/** What the reference says, row by row in order, until an error. */
function reference(
  expr: Expr,
  rows: readonly (readonly Value[])[],
  chosen: readonly number[],
  keep: (value: Value) => boolean,
): Outcome {
  const evaluate = interpret(expr);
  const out: Row[] = [];
  for (const row of chosen) {
    try {
      const value = evaluate(rows[row] as readonly Value[]);
      if (keep(value)) out.push({ row, value });
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      return { rows: out, error };
    }
  }
  return { rows: out, error: null };
}

function compareOutcomes(got: Outcome, want: Outcome): string | null {
  if (got.error?.code === 'record/too-large') return null;
  if (got.error?.message !== want.error?.message)
    return `raised ${got.error?.message ?? 'nothing'}, not ${want.error?.message ?? 'nothing'}`;
  if (want.error) return null;
  if (got.rows.length !== want.rows.length) return `${got.rows.length} rows, not ${want.rows.length}`;
  for (const [k, expected] of want.rows.entries()) {
    const { row, value } = got.rows[k] as Row;
    if (row !== expected.row || !same(value, expected.value))
      return `row ${row}: ${shown(value)}, not row ${expected.row}: ${shown(expected.value)}`;
  }
  return null;
}

export interface CaseInput {
  readonly rows: readonly (readonly Value[])[];
  readonly batch: Batch;
  readonly chosen: readonly number[];
}

const restartsMax = 20;

/** Null when compiled and interpreted agree on every row, as an output column and (BOOLEAN) as a filter. */
export function differs(
  unbound: UnboundExpr,
  inputs: readonly CaseInput[],
  slot: TestSlot,
  roomBytes: number,
): string | null {
  const expr = bind(unbound, layout);
  const output = [leaf('out', expr.type)];
  const context = {
    memory: slot.memory,
    kernels: slot.kernels,
    input: layout,
    output,
    name: 'test',
    textRoomBytes: roomBytes,
  };
  const asColumn = projector(
    null,
    [
      expr.kind === 'column'
        ? ({ kind: 'call', fn: 'coalesce', args: [expr, expr], type: expr.type, nullable: true } as Expr)
        : expr,
    ],
    context,
  );
  const asFilter =
    expr.type.kind === 'BOOLEAN'
      ? projector(expr, [{ kind: 'column', index: 2, type: typeOf.INT, nullable: true }], {
          ...context,
          output: [leaf('out', typeOf.INT)],
        })
      : null;
  const readOut = (out: Batch, row: number): Value =>
    slot.read(output[0] as (typeof output)[number], out.columns[0] as Batch['columns'][number], row);
  for (const { rows, batch, chosen } of inputs) {
    let rest = chosen;
    let part = batch;
    // A row that raises ends the run: both go on behind it.
    for (let restarts = 0; restarts < restartsMax && rest.length > 0; restarts++) {
      const want = reference(expr, rows, rest, () => true);
      const got = drain(asColumn, part, slot, readOut);
      const problem = compareOutcomes(got, want);
      if (problem !== null) return `${exprText(expr, layout)}: ${problem}`;
      if (asFilter) {
        const passed = drain(asFilter, part, slot, () => true);
        const wrong = compareOutcomes(
          passed,
          reference(expr, rows, rest, (v) => v === true),
        );
        if (wrong !== null) return `WHERE ${exprText(expr, layout)}: ${wrong}`;
      }
      if (want.error === null) break;
      rest = rest.slice(want.rows.length + 1);
      part = { ...batch, selection: slot.u32s(rest), size: rest.length };
    }
  }
  return null;
}

/**
 * Null when a condition and columns that have dear parts in common give in one loop what the reference gives: rows in order, of those for
 * which the condition is TRUE the columns, up to the first error.
 */
export function differsTogether(
  unbound: { readonly condition: UnboundExpr; readonly columns: readonly UnboundExpr[] },
  inputs: readonly CaseInput[],
  slot: TestSlot,
  roomBytes: number,
  coverage: Record<string, number>,
): string | null {
  const condition = bind(unbound.condition, layout);
  const columns = unbound.columns.map((column) => bind(column, layout));
  if (
    !sharesDearParts(
      condition,
      columns.filter(({ kind }) => kind !== 'column'),
    )
  )
    return null;
  coverage.shared = (coverage.shared ?? 0) + 1;
  const output = columns.map(({ type }, i) => leaf(`out${i}`, type));
  const { memory, kernels } = slot;
  const of = projector(condition, columns, {
    memory,
    kernels,
    input: layout,
    output,
    name: 'test',
    textRoomBytes: roomBytes,
  });
  const holds = interpret(condition);
  const evaluators = columns.map(interpret);
  for (const { rows, batch, chosen } of inputs) {
    for (const [i, column] of output.entries()) {
      const want: { rows: Row[]; error: MillraceError | null } = { rows: [], error: null };
      for (const row of chosen) {
        try {
          const values = rows[row] as readonly Value[];
          if (holds(values) === true)
            want.rows.push({ row, value: evaluators.map((evaluate) => evaluate(values))[i]! });
        } catch (error) {
          if (!(error instanceof MillraceError)) throw error;
          want.error = error;
          break;
        }
      }
      const got = drain(of, batch, slot, (out, row) =>
        slot.read(column, out.columns[i] as Batch['columns'][number], row),
      );
      const problem = compareOutcomes(got, want);
      if (problem !== null)
        return `${columns.map((one) => exprText(one, layout)).join(', ')} WHERE ${exprText(condition, layout)}: ${problem}`;
    }
  }
  return null;
}

/** A dear part, a condition that has it, or has it in a branch, and columns that do. */
export function randomTogether(random: Prng, depth: number): Parameters<typeof differsTogether>[0] {
  const any = (kind: Kind): UnboundExpr => randomExpr(kind, random.below(depth + 1), random, {});
  const call = (fn: string, ...args: UnboundExpr[]): UnboundExpr => ({ kind: 'call', fn, args });
  const text = (value: string): UnboundExpr => ({ kind: 'literal', value, type: typeOf.VARCHAR });
  const dear = [
    () => call('upper', any('VARCHAR')),
    () => call('concat', any('VARCHAR'), text('…'), any('VARCHAR')),
    () => call('regexpExtract', any('VARCHAR'), text('([a-m]+)'), { kind: 'literal', value: 1, type: typeOf.INT }),
    () => call('substring', any('VARCHAR'), any('INT')),
  ][random.below(4)]!();
  const asks = (): UnboundExpr =>
    [call('isNotNull', dear), call('ne', dear, any('VARCHAR')), call('gt', dear, text('b'))][random.below(3)]!;
  const columnOf = (): UnboundExpr =>
    [
      dear,
      call('length', dear),
      {
        kind: 'case',
        branches: [
          { when: any('BOOLEAN'), then: any('VARCHAR') },
          { when: asks(), then: call('lower', dear) },
        ],
        otherwise: dear,
      } as const,
    ][random.below(3)]!;
  const other = any('BOOLEAN');
  const condition = [asks(), call('or', asks(), other), call('or', other, asks()), call('and', other, asks())][
    random.below(4)
  ]!;
  return { condition, columns: [columnOf(), column('INT', random), columnOf()] };
}
