/** Aggregate functions: one value per group. Knows expressions only. */
import type { AggregateName } from '../expr/tree.ts';
import type { Aggregate, Count, Expr, Mean } from './columns.ts';
import { expression, treeOf } from './expression.ts';
import type { Numeric } from './schema.ts';

/** Rows of the group, or those where `of` is not null. */
// biome-ignore lint/suspicious/noExplicitAny: an expression of any type
export function count(of?: Expr<any>): Count {
  return aggregate('count', of) as Count;
}
/** Of INT and BIGINT a BIGINT, of DOUBLE a DOUBLE; nulls are left out, and of nothing but nulls it is null. */
export function sum<T extends Numeric | null>(of: Expr<T>): Aggregate<T> {
  return aggregate('sum', of) as Aggregate<T>;
}
/** Of integers, a DOUBLE. */
export function avg<T extends Numeric | null>(of: Expr<T>): Aggregate<Mean<T>> {
  return aggregate('avg', of) as Aggregate<Mean<T>>;
}
export function min<T extends Numeric | string | Date | null>(of: Expr<T>): Aggregate<T> {
  return aggregate('min', of) as Aggregate<T>;
}
export function max<T extends Numeric | string | Date | null>(of: Expr<T>): Aggregate<T> {
  return aggregate('max', of) as Aggregate<T>;
}

function aggregate(fn: AggregateName, of: unknown): unknown {
  const arg = of === undefined ? null : treeOf(of, `the argument of ${fn}`);
  return expression({ kind: 'aggregate', fn, arg, filter: null, distinct: false }, of);
}
