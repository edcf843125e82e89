/** `||` and `??` on expressions leave nothing behind; the callback's text shows them. What is JavaScript's own passes. */
import { expect, test } from 'vitest';
import { refuseShortCircuits } from '../../core/api/short-circuit.ts';
import { MillraceError } from '../../core/base/errors.ts';

/** From text, so that no compiler touches it first. */
const check = (text: string): void => {
  refuseShortCircuits(new Function('params', 'lower', 'names', `return (${text})`)(), 'filter');
};

for (const [text, operand] of [
  ["(f) => f.delay.gt(15) || f.origin.eq('SFO')", 'f.delay.gt(15)'],
  ['f => f.ok||f.late', 'f.ok'],
  ['({ delay, origin: o }) => delay.gt(1) || o.eq("a")', 'delay.gt(1)'],
  ['({ delay, origin: o }) => o.eq("a") || delay.gt(1)', 'o.eq("a")'],
  ['function (row) { return row.a.in([1, 2]) || row.b; }', 'row.a.in([1,2])'],
  ['(f) => (f.a.and(f.b)) || f.c', '(f.a.and(f.b))'],
  ["(f) => f['a b'].isNull() || f.c", "f['a b'].isNull()"],
  ["(f) => lower(f.a).eq('x') || f.c", "lower(f.a).eq('x')"],
  ['(f) => ({ x: f.delay ?? 0 })', 'f.delay'],
  ['(f) => ({ x: f.a.gt(1) && f.b.gt(2) || f.c })', 'f.b.gt(2)'],
] as const) {
  test(`refused: ${text}`, () => {
    let error: unknown = null;
    try {
      check(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(MillraceError);
    expect((error as MillraceError).code).toBe('plan/unused-expression');
    expect((error as MillraceError).message).toContain(`\`${operand} `);
  });
}

for (const text of [
  '(f) => f.delay.gt(params.least || 15)',
  '(f) => f.delay.gt(params.least ?? 15)',
  '(f) => params.all || f.ok',
  "(f) => f.text.eq('a || b')",
  '(f) => f.text.eq(`f || b`)',
  '(f) => f.ok /* f.a || f.b */',
  '(f) => { params.x ||= 1; return f.ok; }',
  '(f) => f.ok.or(f.late)',
  '(row) => row.n.in(names.map((f) => f || 1))',
  '() => params.a || params.b',
]) {
  test(`passes: ${text}`, () => check(text));
}

test('passes: functions whose text is not to be seen', () => {
  refuseShortCircuits(Math.max, 'filter');
  refuseShortCircuits(((f: { a: unknown }) => f.a).bind(null), 'filter');
  refuseShortCircuits(5, 'filter');
});
