import { expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import { splitFilter } from '../../core/compile/simd-filter.ts';
import { bind } from '../../core/expr/bind.ts';
import type { UnboundExpr } from '../../core/expr/tree.ts';
import { differs, layout, randomRows, randomValue, typeOf } from './random.ts';
import { testSlot } from './slot.ts';

const orders = ['eq', 'ne', 'lt', 'lte', 'gt', 'gte'];
const columns = ['int1', 'bigint1', 'double1', 'date1', 't32', 't62'] as const;
const kindOf = { int1: 'INT', bigint1: 'BIGINT', double1: 'DOUBLE', date1: 'DATE', t32: 'T3', t62: 'T6' } as const;

test('comparisons of columns with constants go eight rows at a time and agree with the reference', () => {
  for (const seed of [1, 2, 3]) {
    const random = prng(seed);
    const slot = testSlot(128);
    // Lengths around the eights, with and without nulls.
    const inputs = [1, 7, 8, 9, 64, 203].flatMap((n) =>
      [0, 0.3].map((nulls) => {
        const rows = randomRows(random, n, nulls);
        return { rows, chosen: rows.map((_, i) => i), batch: slot.batch(layout, rows) };
      }),
    );
    const comparison = (column: (typeof columns)[number], fn: string): UnboundExpr => {
      const value = randomValue(kindOf[column], random);
      const text = typeof value === 'bigint' || !Number.isFinite(value) || Object.is(value, -0);
      const literal: UnboundExpr = {
        kind: 'literal',
        value: text ? (Object.is(value, -0) ? '-0' : String(value)) : (value as number),
        type: typeOf[kindOf[column]],
      };
      const path: UnboundExpr = { kind: 'column', path: [column] };
      return { kind: 'call', fn, args: random.below(2) ? [path, literal] : [literal, path] };
    };
    for (const column of columns) {
      for (const fn of orders) {
        const one = comparison(column, fn);
        expect(splitFilter(bind(one, layout))?.conditions, `${fn} of ${column}`).toHaveLength(1);
        expect(differs(one, inputs, slot, 64), `seed ${seed}`).toBe(null);
        const other = comparison(columns[random.below(columns.length)] as 'int1', orders[random.below(6)] as string);
        expect(differs({ kind: 'call', fn: 'and', args: [one, other] }, inputs, slot, 64), `seed ${seed}`).toBe(null);
      }
    }
  }
});
