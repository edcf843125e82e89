/**
 * What depends on one dictionary-coded column alone is computed once per dictionary entry: LIKE, equality, UPPER, … .
 * Only what raises no error (an entry that no row refers to must not) and is NULL exactly where the column is, or where
 * the entry's result is.
 */
import { canFail, type FunctionName, functions } from '../expr/functions.ts';
import type { Expr } from '../expr/tree.ts';
import { partsOf } from './host.ts';

/** A part of an expression that can be looked up by code. */
export interface Hoistable {
  readonly expr: Expr;
  readonly column: number;
}

/** The largest such parts of `expr`, equal ones once. */
export function hoistables(exprs: readonly Expr[]): readonly Hoistable[] {
  const found = new Map<string, Hoistable>();
  const visit = (expr: Expr): void => {
    const column = soleTextColumn(expr);
    if (column !== null && expr.kind !== 'column' && propagatesNull(expr) && !canFail(expr)) {
      found.set(keyOf(expr), { expr, column });
    } else for (const part of partsOf(expr)) visit(part);
  };
  for (const expr of exprs) visit(expr);
  return [...found.values()];
}

/** Equal expressions have equal keys. */
export function keyOf(expr: Expr): string {
  let key = keys.get(expr);
  if (key === undefined) {
    key = JSON.stringify(expr);
    keys.set(expr, key);
  }
  return key;
}
const keys = new WeakMap<Expr, string>();

/** The expression with every column replaced by column 0: what runs over the dictionary's views. */
export function overEntries(expr: Expr): Expr {
  switch (expr.kind) {
    case 'column':
      return { ...expr, index: 0, nullable: false };
    case 'literal':
      return expr;
    case 'cast':
      return { ...expr, arg: overEntries(expr.arg) };
    case 'call':
      return { ...expr, args: expr.args.map(overEntries) };
    case 'case':
      return {
        ...expr,
        branches: expr.branches.map((b) => ({ when: overEntries(b.when), then: overEntries(b.then) })),
        otherwise: overEntries(expr.otherwise),
      };
  }
}

function soleTextColumn(expr: Expr): number | null {
  const columns = new Set<number>();
  let text = true;
  const visit = (e: Expr): void => {
    if (e.kind === 'column') {
      columns.add(e.index);
      text &&= e.type.kind === 'VARCHAR';
    } else for (const part of partsOf(e)) visit(part);
  };
  visit(expr);
  return text && columns.size === 1 ? ([...columns][0] as number) : null;
}

/** Whether a NULL column makes the whole NULL. */
function propagatesNull(expr: Expr): boolean {
  switch (expr.kind) {
    case 'column':
      return true;
    case 'literal':
    case 'case':
      return false;
    case 'cast':
      return propagatesNull(expr.arg);
    case 'call': {
      if (expr.fn === 'and' || expr.fn === 'or') return expr.args.every(propagatesNull);
      if (expr.fn === 'in') return propagatesNull(expr.args[0] as Expr);
      if (expr.fn === 'substring' || expr.fn === 'splitIndex' || expr.fn === 'regexpExtract')
        return expr.args.some(propagatesNull);
      return functions[expr.fn as FunctionName].nulls === 'strict' && expr.args.some(propagatesNull);
    }
  }
}
