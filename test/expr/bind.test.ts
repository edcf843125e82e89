import { expect, test } from 'vitest';
import { bind, bindAggregate, bindCondition, expandRow } from '../../core/expr/bind.ts';
import { exprText } from '../../core/expr/print.ts';
import type { UnboundExpr } from '../../core/expr/tree.ts';
import { layoutOf } from '../../core/record/layout.ts';
import { type DataType, typeName, windowType } from '../../core/record/types.ts';

const timestamp3: DataType = { kind: 'TIMESTAMP', precision: 3 };
const layout = layoutOf([
  { name: 'origin', type: { kind: 'VARCHAR' }, nullable: false },
  { name: 'delay', type: { kind: 'BIGINT' }, nullable: true },
  { name: 'distance', type: { kind: 'INT' }, nullable: false },
  { name: 'fare', type: { kind: 'DOUBLE' }, nullable: false },
  { name: 'date', type: { kind: 'TIMESTAMP', precision: 6 }, nullable: false },
  { name: 'day', type: { kind: 'DATE' }, nullable: false },
  { name: 'late', type: { kind: 'BOOLEAN' }, nullable: false },
  { name: 'window', type: windowType, nullable: false },
]);
const c = (...path: string[]): UnboundExpr => ({ kind: 'column', path });
const l = (value: boolean | number | string | null, type: DataType | null = null): UnboundExpr => ({
  kind: 'literal',
  value,
  type,
});
const f = (fn: string, ...args: UnboundExpr[]): UnboundExpr => ({ kind: 'call', fn, args });
const shown = (e: UnboundExpr) => {
  const bound = bind(e, layout);
  return `${exprText(bound, layout)}: ${typeName(bound.type)}${bound.nullable ? '' : ' NOT NULL'}`;
};

test('literals take the type of what they stand beside, and constants fold', () => {
  expect(shown(f('gt', c('delay'), l(15)))).toBe('delay > 15: BOOLEAN');
  expect(bind(f('gt', c('delay'), l(15)), layout)).toMatchObject({
    args: [{ index: 1 }, { value: '15', type: { kind: 'BIGINT' } }],
  });
  expect(shown(f('eq', c('date'), l('2001-01-31')))).toBe("date = TIMESTAMP '2001-01-31 00:00:00': BOOLEAN NOT NULL");
  expect(shown(f('eq', c('day'), l('2001-01-31')))).toBe("day = DATE '2001-01-31': BOOLEAN NOT NULL");
  expect(shown(f('lt', c('date'), l('980899200000', timestamp3)))).toBe(
    "date < TIMESTAMP '2001-01-31 00:00:00': BOOLEAN NOT NULL",
  );
  expect(shown(f('plus', c('distance'), f('times', l(2), l(3))))).toBe('distance + 6: INT NOT NULL');
  expect(shown(f('plus', c('distance'), l(3_000_000_000)))).toBe(
    'CAST(distance AS BIGINT) + 3000000000: BIGINT NOT NULL',
  );
  expect(shown(f('times', c('delay'), l(0.5)))).toBe('CAST(delay AS DOUBLE) * 0.5: DOUBLE');
  expect(shown(f('divide', c('delay'), c('distance')))).toBe('delay / CAST(distance AS BIGINT): DOUBLE');
});

test('short forms become what they are short for', () => {
  expect(shown(f('between', c('delay'), l(1), l(2)))).toBe('delay >= 1 AND delay <= 2: BOOLEAN');
  expect(shown(f('nullIf', c('distance'), l(0)))).toBe('CASE WHEN distance = 0 THEN NULL ELSE distance END: INT');
  expect(shown(f('extract', l('hour'), c('date')))).toBe('EXTRACT(HOUR FROM date): BIGINT NOT NULL');
  expect(shown(f('floor', c('date'), l('day')))).toBe('FLOOR(date TO DAY): TIMESTAMP(6) NOT NULL');
  expect(shown(f('coalesce', c('delay'), l(0)))).toBe('COALESCE(delay, 0): BIGINT NOT NULL');
  expect(shown(f('isNull', c('fare')))).toBe('FALSE: BOOLEAN NOT NULL');
  expect(shown(f('and', c('late'), f('or', c('late'), f('not', c('late')))))).toBe(
    'late AND (late OR NOT late): BOOLEAN NOT NULL',
  );
  expect(shown(f('minus', c('fare'), f('minus', c('fare'), l(1))))).toBe('fare - (fare - 1): DOUBLE NOT NULL');
});

test('an unknown column names its neighbours and the place', () => {
  expect(() => bind(c('dealy'), layout, { callSite: 'a.ts:3' })).toThrow(
    expect.objectContaining({
      code: 'plan/unknown-column',
      message: expect.stringContaining('there is no column dealy; did you mean delay'),
      where: { callSite: 'a.ts:3' },
    }),
  );
  expect(() => bind(c('window'), layout)).toThrow(/window is a ROW .* window\.start, window\.end/);
  expect(expandRow('window', layout)).toEqual([7, 8]);
});

test('a type error names the expression, both types and the place', () => {
  expect(() => bind(f('gt', c('origin'), l(3)), layout, { callSite: 'a.ts:3' })).toThrow(
    expect.objectContaining({
      code: 'plan/type',
      message: expect.stringContaining('origin is VARCHAR and 3 is INT: they cannot be compared'),
    }),
  );
  expect(() => bind(f('plus', c('origin'), c('delay')), layout)).toThrow(
    /origin is VARCHAR and delay is BIGINT: only numbers can be added/,
  );
  expect(() => bind(f('eq', c('date'), l('yesterday')), layout)).toThrow(/'yesterday' is no TIMESTAMP\(6\)/);
  expect(() => bindCondition(c('delay'), layout)).toThrow(/a condition must be BOOLEAN, but delay is BIGINT/);
  expect(() => bind(f('uper', c('origin')), layout)).toThrow(/no function uper; did you mean upper/);
  expect(() => bind(f('like', c('origin'), l('a!'), l('!')), layout)).toThrow(/escape character '!'/);
  expect(() => bind({ kind: 'cast', arg: c('delay'), type: timestamp3, safe: false }, layout)).toThrow(
    /cannot be cast to TIMESTAMP\(3\)/,
  );
});

test('aggregates: sum widens, avg of integers is a DOUBLE, only count is never NULL', () => {
  const keyed = { nullable: false, filtered: false, keyed: true };
  expect(bindAggregate('sum', { kind: 'INT' }, keyed)).toEqual({ type: { kind: 'BIGINT' }, nullable: false });
  expect(bindAggregate('avg', { kind: 'BIGINT' }, keyed)).toEqual({ type: { kind: 'DOUBLE' }, nullable: false });
  expect(bindAggregate('max', { kind: 'VARCHAR' }, { ...keyed, keyed: false })).toEqual({
    type: { kind: 'VARCHAR' },
    nullable: true,
  });
  expect(bindAggregate('count', null, { ...keyed, keyed: false })).toEqual({
    type: { kind: 'BIGINT' },
    nullable: false,
  });
  expect(() => bindAggregate('sum', { kind: 'VARCHAR' }, keyed)).toThrow(/SUM takes numbers/);
});
