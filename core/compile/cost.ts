/**
 * What expressions cost, roughly: which operand of AND and OR is asked first, and what is worth remembering within a row. Knows no
 * code.
 */
import { canFail } from '../expr/functions.ts';
import type { Expr } from '../expr/tree.ts';
import { keyOf } from './hoist.ts';
import { hostReason, partsOf } from './host.ts';

/** A part whose own work is below this is computed again rather than remembered. */
const dearFrom = 20;

/** One operation on a number is 1. */
function ownCost(expr: Expr): number {
  if (expr.kind === 'column' || expr.kind === 'literal') return 0;
  if (hostReason(expr) !== null) return 200;
  if (expr.kind !== 'call') return 1;
  switch (expr.fn) {
    case 'regexpExtract':
      return 100;
    case 'dateFormat':
      return 40;
    case 'like':
    case 'lower':
    case 'upper':
    case 'splitIndex':
    case 'substring':
    case 'concat':
    case 'trim':
      return dearFrom;
    default:
      return partsOf(expr).some((part) => part.type.kind === 'VARCHAR') ? 3 : 1;
  }
}

/** `isKnown`: parts that are looked up. */
function costOf(expr: Expr, isKnown: (part: Expr) => boolean): number {
  if (isKnown(expr)) return 1;
  return partsOf(expr).reduce((sum, part) => sum + costOf(part, isKnown), ownCost(expr));
}

/** Operands of AND or OR in the order in which they are asked: the cheapest first, where none can raise an error. */
export function inOrder(operands: readonly Expr[], isKnown: (part: Expr) => boolean): readonly Expr[] {
  if (operands.some(canFail)) return operands;
  return [...operands].sort((a, b) => costOf(a, isKnown) - costOf(b, isKnown));
}

/** Dear parts that stand in several places of these expressions, equal ones once. */
export function repeatedParts(exprs: readonly Expr[]): readonly Expr[] {
  const times = new Map<string, { readonly expr: Expr; count: number }>();
  const visit = (expr: Expr): void => {
    if (ownCost(expr) >= dearFrom) {
      const entry = times.get(keyOf(expr)) ?? { expr, count: 0 };
      entry.count++;
      times.set(keyOf(expr), entry);
      // What stands within it is computed with it.
      if (entry.count > 1) return;
    }
    for (const part of partsOf(expr)) visit(part);
  };
  for (const expr of exprs) visit(expr);
  return [...times.values()].flatMap(({ expr, count }) => (count > 1 ? [expr] : []));
}

/** Whether a condition and what is computed where it holds have a dear part in common. */
export function sharesDearParts(condition: Expr, exprs: readonly Expr[]): boolean {
  const parts = new Set<string>();
  const visit = (expr: Expr, found: (part: Expr) => void): void => {
    if (ownCost(expr) >= dearFrom) found(expr);
    for (const part of partsOf(expr)) visit(part, found);
  };
  visit(condition, (part) => parts.add(keyOf(part)));
  let shares = false;
  for (const expr of exprs)
    visit(expr, (part) => {
      shares ||= parts.has(keyOf(part));
    });
  return shares;
}
