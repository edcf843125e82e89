/** Expressions as SQL text, for explain and errors. Nothing here is ever parsed or run. */
import type { Layout } from '../record/layout.ts';
import { type DataType, ticksPerMs, typeName } from '../record/types.ts';
import { formatDate, formatTimestamp } from './calendar.ts';
import { type FunctionName, functionOf, functions } from './functions.ts';
import type { Expr, LiteralValue, OverFrame, UnboundExpr } from './tree.ts';

/** A bound expression: `delay > 15 AND origin LIKE 'S%'`. */
export function exprText(expr: Expr, layout: Layout): string {
  return text(expr, 0, (e) => layout[(e as { index: number }).index]?.name ?? '?');
}

/** The same before binding; aggregates too. */
export function unboundText(expr: UnboundExpr): string {
  return text(expr, 0, (e) => (e as { path: readonly string[] }).path.join('.'));
}

/** How tightly what was printed holds together; an argument that holds less tightly than its place asks gets brackets. */
const binding: Partial<Record<FunctionName, number>> = {
  or: 1, and: 2, not: 3, eq: 4, ne: 4, lt: 4, lte: 4, gt: 4, gte: 4, in: 4, like: 4, isNull: 4, isNotNull: 4,
  plus: 5, minus: 5, times: 6, divide: 6, neg: 7,
}; // biome-ignore format: a table

function text(expr: Expr | UnboundExpr, least: number, column: (expr: Expr | UnboundExpr) => string): string {
  const at = (e: Expr | UnboundExpr, place = 0): string => text(e, place, column);
  switch (expr.kind) {
    case 'column':
      return column(expr);
    case 'literal':
      return literalText(expr.value, expr.type);
    case 'cast':
      return `${expr.safe ? 'TRY_CAST' : 'CAST'}(${at(expr.arg)} AS ${typeName(expr.type)})`;
    case 'case':
      return `CASE ${expr.branches.map((b) => `WHEN ${at(b.when)} THEN ${at(b.then)}`).join(' ')} ELSE ${at(expr.otherwise)} END`;
    case 'aggregate': {
      const of = `${expr.fn.toUpperCase()}(${expr.distinct ? 'DISTINCT ' : ''}${expr.arg === null ? '*' : at(expr.arg)})`;
      return expr.filter === null ? of : `${of} FILTER (WHERE ${at(expr.filter)})`;
    }
    case 'over': {
      const parts =
        expr.partitionBy.length > 0 ? [`PARTITION BY ${expr.partitionBy.map((e) => at(e)).join(', ')}`] : [];
      const order = `ORDER BY ${expr.orderBy.map((e) => at(e)).join(', ')}`;
      return `${at(expr.of)} OVER (${[...parts, order, frameText(expr.frame)].join(' ')})`;
    }
    case 'call': {
      const name = functionOf(expr.fn);
      if (name === null) return `${expr.fn}(${expr.args.map((a) => at(a)).join(', ')})`;
      const own = binding[name] ?? 9;
      const args = (expr.args as readonly (Expr | UnboundExpr)[]).map((a, i) =>
        at(a, own === 9 || (name === 'in' && i > 0) ? 0 : i === 0 && own > 4 ? own : own + 1),
      );
      const printed = functions[name].print(args);
      return own < least ? `(${printed})` : printed;
    }
  }
}

/** A frame as SQL has it. */
export function frameText({ unit, preceding }: OverFrame): string {
  const from =
    preceding === null
      ? 'UNBOUNDED PRECEDING'
      : unit === 'rows'
        ? `${preceding} PRECEDING`
        : `INTERVAL '${preceding / 1000}' SECOND PRECEDING`;
  return `${unit.toUpperCase()} BETWEEN ${from} AND CURRENT ROW`;
}

function literalText(value: LiteralValue, type: DataType | null): string {
  if (value === null) return 'NULL';
  switch (type?.kind) {
    case 'TIMESTAMP': {
      const shown = formatTimestamp(BigInt(value), ticksPerMs(type.precision), type.precision);
      return `TIMESTAMP '${shown.replace(/\.0+$/, '')}'`;
    }
    case 'DATE':
      return `DATE '${formatDate(Number(value))}'`;
    case 'INTERVAL':
      return `INTERVAL '${Number(value) / 1000}' SECOND`;
    case 'BIGINT':
    case 'DECIMAL':
    case 'DOUBLE':
      return String(value);
    default:
      break;
  }
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`;
  return typeof value === 'boolean' ? String(value).toUpperCase() : String(value);
}
