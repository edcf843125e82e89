/** Walking and rewriting bound expressions: which columns they read, columns moved or replaced, conjuncts. */
import type { Expr } from '../expr/tree.ts';
import type { Layout, LayoutColumn } from '../record/layout.ts';
import type { DataType } from '../record/types.ts';

const boolean: DataType = { kind: 'BOOLEAN' };

export function columnExpr(layout: Layout, index: number): Expr {
  const column = layout[index] as LayoutColumn;
  return { kind: 'column', index, type: column.type, nullable: column.nullable };
}

/** One column reference per leaf, in order. */
export function identity(layout: Layout): Expr[] {
  return layout.map((_, index) => columnExpr(layout, index));
}

/** The expression's direct operands. */
export function operandsOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'column':
    case 'literal':
      return [];
    case 'call':
      return expr.args;
    case 'cast':
      return [expr.arg];
    case 'case':
      return [...expr.branches.flatMap((branch) => [branch.when, branch.then]), expr.otherwise];
  }
}

/** Replaces every column reference by what `to` gives for it. */
export function replaceColumns(expr: Expr, to: (index: number, column: Expr) => Expr): Expr {
  switch (expr.kind) {
    case 'column':
      return to(expr.index, expr);
    case 'literal':
      return expr;
    case 'call':
      return { ...expr, args: expr.args.map((arg) => replaceColumns(arg, to)) };
    case 'cast':
      return { ...expr, arg: replaceColumns(expr.arg, to) };
    case 'case':
      return {
        ...expr,
        branches: expr.branches.map((b) => ({ when: replaceColumns(b.when, to), then: replaceColumns(b.then, to) })),
        otherwise: replaceColumns(expr.otherwise, to),
      };
  }
}

/** The same expression over a layout in which leaf `i` is now leaf `to(i)`. */
export function moveColumns(expr: Expr, to: (index: number) => number): Expr {
  return replaceColumns(expr, (index, column) => ({ ...column, index: to(index) }) as Expr);
}

/** Adds 1 per reference to each leaf index. */
export function countColumns(expr: Expr | null, counts: Map<number, number>): Map<number, number> {
  if (expr === null) return counts;
  if (expr.kind === 'column') counts.set(expr.index, (counts.get(expr.index) ?? 0) + 1);
  for (const operand of operandsOf(expr)) countColumns(operand, counts);
  return counts;
}

export function columnsOf(...exprs: readonly (Expr | null)[]): Set<number> {
  const counts = new Map<number, number>();
  for (const expr of exprs) countColumns(expr, counts);
  return new Set(counts.keys());
}

/** The operands of nested ANDs. A filter keeps rows where all of them are TRUE. */
export function conjunctsOf(filter: Expr | null): Expr[] {
  if (filter === null) return [];
  if (filter.kind === 'call' && filter.fn === 'and') return filter.args.flatMap((arg) => conjunctsOf(arg));
  return [filter];
}

/** One condition of several, in order; null when there are none. */
export function conjunction(conjuncts: readonly Expr[]): Expr | null {
  return conjuncts.reduce<Expr | null>(
    (all, next) =>
      all === null
        ? next
        : { kind: 'call', fn: 'and', args: [all, next], type: boolean, nullable: all.nullable || next.nullable },
    null,
  );
}

/** Costs nothing to say twice. */
export function isTrivial(expr: Expr): boolean {
  return expr.kind === 'column' || expr.kind === 'literal';
}

/** Whether the columns are leaves 0, 1, 2 … of `layout`, all of them. */
export function isIdentity(columns: readonly Expr[], layout: Layout): boolean {
  return (
    columns.length === layout.length && columns.every((column, i) => column.kind === 'column' && column.index === i)
  );
}
