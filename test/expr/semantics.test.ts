/** The rules of docs/decisions/expressions.md, a case each, in the reference and in compiled code. */
import { describe, expect, test } from 'vitest';
import { projector } from '../../core/compile/projector.ts';
import { bind } from '../../core/expr/bind.ts';
import { interpret } from '../../core/expr/interpret.ts';
import type { LiteralValue, UnboundExpr } from '../../core/expr/tree.ts';
import type { Value } from '../../core/expr/value.ts';
import type { DataType } from '../../core/record/types.ts';
import { leaf, testSlot } from './slot.ts';

const INT: DataType = { kind: 'INT' };
const BIGINT: DataType = { kind: 'BIGINT' };
const DOUBLE: DataType = { kind: 'DOUBLE' };
const VARCHAR: DataType = { kind: 'VARCHAR' };
const BOOLEAN: DataType = { kind: 'BOOLEAN' };
const DATE: DataType = { kind: 'DATE' };
const T3: DataType = { kind: 'TIMESTAMP', precision: 3 };
const T6: DataType = { kind: 'TIMESTAMP', precision: 6 };

/** An argument: a column of that type with that value, or a literal. */
type Arg = readonly [DataType, Value] | LiteralValue | UnboundExpr;
const isColumn = (arg: Arg): arg is readonly [DataType, Value] => Array.isArray(arg);

interface Made {
  readonly expr: UnboundExpr;
  readonly types: readonly DataType[];
  readonly row: readonly Value[];
}
function make(build: (...args: UnboundExpr[]) => UnboundExpr, args: readonly Arg[]): Made {
  const types: DataType[] = [];
  const row: Value[] = [];
  const parts = args.map((arg): UnboundExpr => {
    if (isColumn(arg)) {
      types.push(arg[0]);
      row.push(arg[1]);
      return { kind: 'column', path: [`c${types.length - 1}`] };
    }
    return typeof arg === 'object' && arg !== null ? (arg as UnboundExpr) : { kind: 'literal', value: arg, type: null };
  });
  return { expr: build(...parts), types, row };
}
const f = (fn: string, ...args: Arg[]): Made => make((...parts) => ({ kind: 'call', fn, args: parts }), args);
const cast = (arg: Arg, type: DataType, safe = false): Made =>
  make((part) => ({ kind: 'cast', arg: part as UnboundExpr, type, safe }), [arg]);

/** `c0 AND 1 / c1 > 0` where c1 is 0. */
function guardedBy(fn: string, condition: Value): Made {
  const call = (name: string, ...args: UnboundExpr[]): UnboundExpr => ({ kind: 'call', fn: name, args });
  const number = (value: number): UnboundExpr => ({ kind: 'literal', value, type: null });
  return make(
    (c0, c1) => call(fn, c0!, call('gt', call('divide', number(1), c1!), number(0))),
    [
      [BOOLEAN, condition],
      [INT, 0],
    ],
  );
}

/** Both implementations' value; an error as its code. */
function evaluate({ expr, types, row }: Made): Value {
  const layout = types.map((type, i) => leaf(`c${i}`, type));
  const bound = bind(expr, layout);
  const codeOf = (error: unknown) => (error as { code: string }).code;
  let reference: Value;
  try {
    reference = interpret(bound)(row);
  } catch (error) {
    reference = codeOf(error);
  }
  const slot = testSlot(4);
  const output = [leaf('out', bound.type)];
  let compiled: Value = null;
  try {
    const of = projector(null, [bound], {
      memory: slot.memory,
      kernels: slot.kernels,
      input: layout,
      output,
      name: 'project',
      textRoomBytes: 1024,
    });
    of.begin(slot.batch(layout, [row]));
    const out = of.next();
    if (out) compiled = slot.read(output[0]!, out.columns[0]!, 0);
  } catch (error) {
    compiled = codeOf(error);
  }
  expect(compiled).toEqual(reference);
  return compiled;
}

const at = (text: string, ticks = 1n): bigint => BigInt(Date.parse(`${text}Z`)) * ticks;
const day = (text: string): number => Date.parse(text) / 86_400_000;

const cases: readonly (readonly [string, Made, Value])[] = [
  ['INT overflow is an error', f('plus', [INT, 2147483647], 1), 'expr/overflow'],
  ['INT underflow is an error', f('minus', [INT, -2147483648], 1), 'expr/overflow'],
  ['INT times INT is an INT', f('times', [INT, 65_536], [INT, 32_768]), 'expr/overflow'],
  ['the largest INT product', f('times', [INT, -65_536], [INT, 32_768]), -2147483648],
  ['BIGINT overflow is an error', f('plus', [BIGINT, 2n ** 63n - 1n], [BIGINT, 1n]), 'expr/overflow'],
  ['BIGINT product outside is an error', f('times', [BIGINT, 2n ** 32n], [BIGINT, 2n ** 31n]), 'expr/overflow'],
  ['-1 times the least BIGINT', f('times', [BIGINT, -1n], [BIGINT, -(2n ** 63n)]), 'expr/overflow'],
  ['the least BIGINT product', f('times', [BIGINT, -(2n ** 32n)], [BIGINT, 2n ** 31n]), -(2n ** 63n)],
  ['the negation of the least INT', f('neg', [INT, -2147483648]), 'expr/overflow'],
  ['ABS of the least BIGINT', f('abs', [BIGINT, -(2n ** 63n)]), 'expr/overflow'],
  ['INT beside a larger literal is a BIGINT', f('plus', [INT, 2147483647], 3_000_000_000), 5147483647n],
  ['a NULL operand overflows nothing', f('plus', [INT, 2147483647], [INT, null]), null],
  ['division of integers is a DOUBLE', f('divide', [INT, 5], [INT, 2]), 2.5],
  ['integer division by zero', f('divide', [INT, 5], [INT, 0]), 'expr/division-by-zero'],
  ['integer division of NULL by zero', f('divide', [INT, null], [INT, 0]), null],
  ['DOUBLE division by zero', f('divide', [DOUBLE, -5], [DOUBLE, 0]), Number.NEGATIVE_INFINITY],
  ['DOUBLE zero by zero', f('divide', [DOUBLE, 0], [DOUBLE, 0]), Number.NaN],
  ['MOD by zero', f('mod', [BIGINT, 5n], [BIGINT, 0n]), 'expr/division-by-zero'],
  ['MOD has the sign of the dividend', f('mod', [INT, -7], [INT, 3]), -1],
  ['MOD of the least INT by -1', f('mod', [INT, -2147483648], [INT, -1]), 0],
  ['NaN equals nothing', f('eq', [DOUBLE, Number.NaN], [DOUBLE, Number.NaN]), false],
  ['NaN differs from itself', f('ne', [DOUBLE, Number.NaN], [DOUBLE, Number.NaN]), true],
  ['NaN is in no order', f('gte', [DOUBLE, Number.NaN], 1), false],
  ['-0 equals 0', f('eq', [DOUBLE, -0], 0), true],
  ['-0 stays -0', f('times', [DOUBLE, -0], 1), -0],
  ['BIGINT beside DOUBLE compares as DOUBLE', f('lt', [BIGINT, 3n], 3.5), true],
  ['NULL AND FALSE', f('and', [BOOLEAN, null], [BOOLEAN, false]), false],
  ['NULL AND TRUE', f('and', [BOOLEAN, null], [BOOLEAN, true]), null],
  ['NULL OR TRUE', f('or', [BOOLEAN, null], [BOOLEAN, true]), true],
  ['NOT NULL', f('not', [BOOLEAN, null]), null],
  ['NULL = NULL', f('eq', [INT, null], [INT, null]), null],
  ['NULL IS NULL', f('isNull', [INT, null]), true],
  ['IN finds beside a NULL', f('in', [INT, 1], 1, null), true],
  ['IN without a match beside a NULL', f('in', [INT, 2], 1, null), null],
  ['a decided AND raises nothing behind it', guardedBy('and', false), false],
  ['an undecided AND evaluates what stands behind it', guardedBy('and', null), 'expr/division-by-zero'],
  ['a decided OR raises nothing behind it', guardedBy('or', true), true],
  ['BETWEEN with a NULL bound that does not matter', f('between', [INT, 5], [INT, null], 3), false],
  ['COALESCE', f('coalesce', [INT, null], [INT, 7]), 7],
  ['NULLIF', f('nullIf', [INT, 7], 7), null],
  ['CAST DOUBLE truncates', cast([DOUBLE, -2.9], INT), -2],
  ['CAST DOUBLE outside INT', cast([DOUBLE, 2147483648], INT), 'expr/cast'],
  ['CAST of the edge that truncates into INT', cast([DOUBLE, -2147483648.9], INT), -2147483648],
  ['CAST NaN', cast([DOUBLE, Number.NaN], BIGINT), 'expr/cast'],
  ['TRY_CAST NaN', cast([DOUBLE, Number.NaN], BIGINT, true), null],
  ['CAST 2^63', cast([DOUBLE, 2 ** 63], BIGINT), 'expr/cast'],
  ['CAST -2^63', cast([DOUBLE, -(2 ** 63)], BIGINT), -(2n ** 63n)],
  ['CAST BIGINT outside INT', cast([BIGINT, 2n ** 31n], INT), 'expr/cast'],
  ['CAST text to INT trims and cuts', cast([VARCHAR, ' -12.9 '], INT), -12],
  ['CAST text that is no number', cast([VARCHAR, '12a'], INT), 'expr/cast'],
  ['TRY_CAST text that is no number', cast([VARCHAR, '1e3'], BIGINT, true), null],
  ['CAST the least BIGINT', cast([VARCHAR, '-9223372036854775808'], BIGINT), -(2n ** 63n)],
  ['CAST text to DOUBLE', cast([VARCHAR, '1e3'], DOUBLE), 1000],
  ['CAST text to BOOLEAN', cast([VARCHAR, 'Yes'], BOOLEAN), true],
  ['CAST text that is no BOOLEAN', cast([VARCHAR, 'maybe'], BOOLEAN), 'expr/cast'],
  ['CAST BOOLEAN to text', cast([BOOLEAN, true], VARCHAR), 'TRUE'],
  ['CAST DOUBLE to text', cast([DOUBLE, 1], VARCHAR), '1.0'],
  ['CAST a large DOUBLE to text', cast([DOUBLE, 12_345_678_900], VARCHAR), '1.23456789E10'],
  ['CAST a small DOUBLE to text', cast([DOUBLE, 0.000123], VARCHAR), '1.23E-4'],
  ['CAST the least BIGINT to text', cast([BIGINT, -(2n ** 63n)], VARCHAR), '-9223372036854775808'],
  ['CAST TIMESTAMP(3) to text', cast([T3, at('1969-12-31T23:59:59.005')], VARCHAR), '1969-12-31 23:59:59.005'],
  ['CAST TIMESTAMP(6) to text', cast([T6, -1n], VARCHAR), '1969-12-31 23:59:59.999999'],
  ['CAST text to TIMESTAMP', cast([VARCHAR, '2000-02-29 12:00:00.12345'], T3), at('2000-02-29T12:00:00.123')],
  ['CAST text with an offset', cast([VARCHAR, '2000-03-01T00:30:00+01:00'], T3), at('2000-02-29T23:30:00')],
  ['CAST of a day that is none', cast([VARCHAR, '2001-02-29'], DATE), 'expr/cast'],
  ['CAST TIMESTAMP to DATE floors', cast([T3, -1n], DATE), -1],
  ['CAST to coarser ticks floors', cast([T6, -1n], T3), -1n],
  ['year before the epoch', f('year', [T3, -1n]), 1969n],
  ['a leap day', f('dayOfYear', [DATE, day('2000-12-31')]), 366n],
  ['Sunday is 1', f('dayOfWeek', [DATE, day('2001-01-07')]), 1n],
  ['the ISO week of a January 1st', f('week', [DATE, day('1999-01-01')]), 53n],
  ['hour before the epoch', f('hour', [T6, -1n]), 23n],
  ['FLOOR TO WEEK is a Sunday', f('floorTo', [DATE, day('2001-01-10')], 'week'), day('2001-01-07')],
  ['CEIL TO MONTH of its first', f('ceilTo', [DATE, day('2001-02-01')], 'month'), day('2001-02-01')],
  ['CEIL TO MONTH', f('ceilTo', [T3, at('2001-12-01T00:00:00.001')], 'month'), at('2002-01-01T00:00')],
  ['FLOOR TO HOUR before the epoch', f('floorTo', [T3, -1n], 'hour'), -3_600_000n],
  ['LIKE with _ takes one character', f('like', [VARCHAR, '🎉b'], '_b'), true],
  ['LIKE: _ takes a line feed', f('like', [VARCHAR, 'a\nb'], 'a_b'), true],
  ['LIKE: % may be nothing', f('like', [VARCHAR, ''], '%%'), true],
  ['LIKE with an escape', f('like', [VARCHAR, '100%'], '100!%', '!'), true],
  ['LIKE: a backslash is a character', f('like', [VARCHAR, 'a\\'], 'a\\'), true],
  ['LIKE: overlapping parts', f('like', [VARCHAR, 'aab'], '%ab'), true],
  ['LIKE: one text cannot be both ends', f('like', [VARCHAR, 'aba'], 'ab%ba'), false],
  ['text order is code point order', f('lt', [VARCHAR, '\uffff'], [VARCHAR, '😀']), true],
  ['a prefix comes first', f('lt', [VARCHAR, 'twelve bytes'], [VARCHAR, 'twelve bytes and more']), true],
  ['CHAR_LENGTH counts code points', f('length', [VARCHAR, 'é🎉日']), 3],
  ['CHAR_LENGTH of long text', f('length', [VARCHAR, 'é'.repeat(100)]), 100],
  ['SUBSTRING from the end', f('substring', [VARCHAR, 'abcdef'], -2), 'ef'],
  ['SUBSTRING before the start', f('substring', [VARCHAR, 'abc'], -5, 4), ''],
  ['SUBSTRING from 0', f('substring', [VARCHAR, 'abc'], 0, 2), 'ab'],
  ['SUBSTRING of negative length', f('substring', [VARCHAR, 'abc'], 1, [INT, -1]), null],
  ['SUBSTRING of characters', f('substring', [VARCHAR, 'a🎉é日'], 2, 2), '🎉é'],
  ['TRIM takes blanks only', f('trim', [VARCHAR, ' \ta ']), '\ta'],
  ['UPPER of ß', f('upper', [VARCHAR, 'straße']), 'STRASSE'],
  ['LOWER of a final sigma', f('lower', [VARCHAR, 'ΑΣ']), 'ας'],
  ['UPPER leaves what is no letter', f('upper', [VARCHAR, '@[`{az']), '@[`{AZ'],
  ['CONCAT with NULL', f('concat', [VARCHAR, 'a'], [VARCHAR, null]), null],
  ['ROUND half away from zero', f('round', [DOUBLE, -2.5]), -3],
  ['ROUND of what is just below a half', f('round', [DOUBLE, 0.49999999999999994]), 0],
  ['ROUND on decimal digits', f('round', [DOUBLE, 1.005], 2), 1.01],
  ['ROUND of an integer to tens', f('round', [INT, -15], -1), -20],
  ['SPLIT_INDEX counts from 0', f('splitIndex', [VARCHAR, 'a/bc//d'], '/', 1), 'bc'],
  ['SPLIT_INDEX of an empty part', f('splitIndex', [VARCHAR, 'a/bc//d'], '/', 2), ''],
  ['SPLIT_INDEX of the last part', f('splitIndex', [VARCHAR, 'a/bc//d'], '/', 3), 'd'],
  ['SPLIT_INDEX behind the last part', f('splitIndex', [VARCHAR, 'a/bc//d'], '/', 4), null],
  ['SPLIT_INDEX ends in a separator', f('splitIndex', [VARCHAR, 'a/'], '/', 1), ''],
  ['SPLIT_INDEX of a negative index', f('splitIndex', [VARCHAR, 'a/b'], '/', [INT, -1]), null],
  ['SPLIT_INDEX of no text has no parts', f('splitIndex', [VARCHAR, ''], '/', 0), null],
  [
    'SPLIT_INDEX by a long separator',
    f('splitIndex', [VARCHAR, 'one, and then, and then two'], ', and then', 2),
    ' two',
  ],
  ['SPLIT_INDEX of NULL', f('splitIndex', [VARCHAR, null], '/', 0), null],
  ['SPLIT_INDEX with a NULL index', f('splitIndex', [VARCHAR, 'a'], '/', [INT, null]), null],
  // Flink's documentation: REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2) returns "bar".
  ['REGEXP_EXTRACT as documented', f('regexpExtract', [VARCHAR, 'foothebar'], 'foo(.*?)(bar)', 2), 'bar'],
  ['REGEXP_EXTRACT of group 1', f('regexpExtract', [VARCHAR, 'foothebar'], 'foo(.*?)(bar)', 1), 'the'],
  ['REGEXP_EXTRACT without a group is the whole match', f('regexpExtract', [VARCHAR, 'foothebar'], 'o+t'), 'oot'],
  ['REGEXP_EXTRACT finds nothing', f('regexpExtract', [VARCHAR, 'foothebar'], 'x'), null],
  ['REGEXP_EXTRACT of nothing', f('regexpExtract', [VARCHAR, 'foothebar'], 'x*'), ''],
  ['REGEXP_EXTRACT of a group that is not in the match', f('regexpExtract', [VARCHAR, 'b'], '(a)|b', 1), null],
  ['REGEXP_EXTRACT: the first alternative wins', f('regexpExtract', [VARCHAR, 'ab'], 'a|ab'), 'a'],
  ['REGEXP_EXTRACT: the leftmost match wins', f('regexpExtract', [VARCHAR, 'xxab'], 'b|xa|a'), 'xa'],
  ['REGEXP_EXTRACT is greedy', f('regexpExtract', [VARCHAR, '<a><b>'], '<.+>'), '<a><b>'],
  ['REGEXP_EXTRACT is lazy where it says so', f('regexpExtract', [VARCHAR, '<a><b>'], '<.+?>'), '<a>'],
  [
    'REGEXP_EXTRACT of the query',
    f('regexpExtract', [VARCHAR, 'item.htm?query=1&channel_id=42&x=1'], '(&|^)channel_id=([^&]*)', 2),
    '42',
  ],
  [
    'REGEXP_EXTRACT of the query at its start',
    f('regexpExtract', [VARCHAR, 'channel_id='], '(&|^)channel_id=([^&]*)', 2),
    '',
  ],
  [
    'REGEXP_EXTRACT of the query, elsewhere',
    f('regexpExtract', [VARCHAR, 'a_channel_id=4&channel_id=5'], '(&|^)channel_id=([^&]*)', 2),
    '5',
  ],
  ['REGEXP_EXTRACT: . is a character of any length', f('regexpExtract', [VARCHAR, 'a🎉日é'], 'a(..)', 1), '🎉日'],
  ['REGEXP_EXTRACT: . is no line end', f('regexpExtract', [VARCHAR, 'ab\ncd'], 'b.c'), null],
  ['REGEXP_EXTRACT: [^x] is any other character', f('regexpExtract', [VARCHAR, 'é\n🎉x'], '[^x]+'), 'é\n🎉'],
  ['REGEXP_EXTRACT: a class of other alphabets', f('regexpExtract', [VARCHAR, 'abcдеf'], '[а-яё]+'), 'де'],
  ['REGEXP_EXTRACT: $ is before the last line end', f('regexpExtract', [VARCHAR, 'ab\r\n'], 'b$'), 'b'],
  ['REGEXP_EXTRACT: $ is not within it', f('regexpExtract', [VARCHAR, 'ab\r\n'], 'b\\r$'), null],
  ['REGEXP_EXTRACT: {m,n}', f('regexpExtract', [VARCHAR, 'aaaaa'], 'a{2,3}'), 'aaa'],
  ['REGEXP_EXTRACT: {m,n}? is lazy', f('regexpExtract', [VARCHAR, 'aaaaa'], 'a{2,3}?'), 'aa'],
  ['REGEXP_EXTRACT of NULL', f('regexpExtract', [VARCHAR, null], 'a'), null],
  ['DATE_FORMAT of a day', f('dateFormat', [T3, at('2015-07-15T09:08:07.065')], 'yyyy-MM-dd'), '2015-07-15'],
  ['DATE_FORMAT of a minute', f('dateFormat', [T3, at('2015-07-15T09:08:07.065')], 'HH:mm'), '09:08'],
  [
    'DATE_FORMAT of all parts',
    f('dateFormat', [T6, -1n], "yy/M/d 'day' D, h:m:s.SSSSSSS ''"),
    "69/12/31 day 365, 11:59:59.9999990 '",
  ],
  ['DATE_FORMAT before year 0', f('dateFormat', [T3, -70_000_000_000_000n], 'yyyy-MM-dd HH'), '-0249-10-15 19'],
  ['DATE_FORMAT of a late year', f('dateFormat', [DATE, 2147483647], 'yyyy D'), '5881580 193'],
  [
    'DATE_FORMAT',
    f('dateFormat', [T3, at('2001-02-03T16:05:06')], "EEE d MMM yyyy 'at' h:mm a"),
    'Sat 3 Feb 2001 at 4:05 PM',
  ],
  [
    'a day later',
    f('plus', [DATE, day('2000-02-28')], {
      kind: 'literal',
      value: '86400000',
      type: { kind: 'INTERVAL', of: 'DAY_TIME' },
    }),
    day('2000-02-29'),
  ],
];

describe('meaning', () => {
  test.each(cases)('%s', (_, made, want) => {
    expect(evaluate(made)).toEqual(want);
  });
});

test('an error names the operator and the row', () => {
  const slot = testSlot(4);
  const layout = [leaf('a', INT), leaf('b', INT)];
  const expr = bind(
    {
      kind: 'call',
      fn: 'divide',
      args: [
        { kind: 'column', path: ['a'] },
        { kind: 'column', path: ['b'] },
      ],
    },
    layout,
  );
  const of = projector(null, [expr], {
    memory: slot.memory,
    kernels: slot.kernels,
    input: layout,
    output: [leaf('q', DOUBLE)],
    name: 'share',
  });
  const rows = [[1, 1], [2, 2], [3, 0]]; // biome-ignore format: rows
  of.begin({ ...slot.batch(layout, rows), origin: { source: 'f.parquet, row group 3', firstRow: 100 } });
  expect(() => of.next()).toThrow(
    expect.objectContaining({
      code: 'expr/division-by-zero',
      where: { operator: 'share', position: 'f.parquet, row group 3, row 102' },
    }),
  );
});

test('text that does not fit the room ends the batch early, and goes on', () => {
  const slot = testSlot(4);
  const layout = [leaf('s', VARCHAR)];
  const expr = bind(
    {
      kind: 'call',
      fn: 'concat',
      args: [
        { kind: 'column', path: ['s'] },
        { kind: 'column', path: ['s'] },
      ],
    },
    layout,
  );
  const of = projector(null, [expr], {
    memory: slot.memory,
    kernels: slot.kernels,
    input: layout,
    output: [leaf('t', VARCHAR)],
    name: 'twice',
    textRoomBytes: 100,
  });
  const texts = Array.from({ length: 10 }, (_, i) => `text number ${i}, long`);
  of.begin(
    slot.batch(
      layout,
      texts.map((s) => [s]),
    ),
  );
  const got: Value[] = [];
  let batches = 0;
  for (let out = of.next(); out !== null; out = of.next(), batches++) {
    for (let k = 0; k < out.size; k++)
      got.push(slot.read(leaf('t', VARCHAR), out.columns[0]!, slot.memory.u32[(out.selection >>> 2) + k]!));
  }
  expect(got).toEqual(texts.map((s) => s + s));
  expect(batches).toBe(5);
  of.begin(slot.batch(layout, [['x'.repeat(60)]]));
  expect(() => of.next()).toThrow(expect.objectContaining({ code: 'record/too-large' }));
});
