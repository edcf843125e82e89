/**
 * From names to typed trees: `bind` resolves columns against a layout, infers types, widens, lets literals take the type
 * of what they stand beside, and folds what is constant. It plans nothing and evaluates only constants.
 */
import { type ErrorWhere, MillraceError, withWhere } from '../base/errors.ts';
import { decimalDigitsMax, parseDecimal } from '../record/decimal.ts';
import { type Layout, refusalOf } from '../record/layout.ts';
import { type DataType, typeName } from '../record/types.ts';
import { castRule } from './casts.ts';
import {
  bigint,
  boolean,
  double,
  expectType,
  int,
  isInteger,
  isNumeric,
  literal,
  type Site,
  typeError,
  unify,
  varchar,
} from './coerce.ts';
import { averageType, sumType } from './decimals.ts';
import { canFail, type FunctionName, functionOf, functions } from './functions.ts';
import { interpret } from './interpret.ts';
import { nearestNames } from './nearest.ts';
import { exprText, unboundText } from './print.ts';
import type { AggregateName, Expr, LiteralValue, UnboundExpr } from './tree.ts';
import { fitsInt, literalOfValue, type Value, valueOfLiteral } from './value.ts';

/**
 * Errors: `plan/unknown-column` (with the nearest names), `plan/type` (which expression, both types),
 * `plan/unsupported` for types of a later version.
 */
export function bind(expr: UnboundExpr, layout: Layout, where: ErrorWhere = {}): Expr {
  const site: Site = { where, text: (e) => exprText(e, layout), whole: unboundText(expr) };
  return bindNode(expr, layout, site);
}

/** As `bind`, for a filter: the result is BOOLEAN. */
export function bindCondition(expr: UnboundExpr, layout: Layout, where: ErrorWhere = {}): Expr {
  const site: Site = { where, text: (e) => exprText(e, layout), whole: unboundText(expr) };
  return expectType(bindNode(expr, layout, site), boolean, site, 'a condition');
}

/** Leaf indices of a column or of everything in a ROW (`window` → start, end). Errors: `plan/unknown-column`. */
export function expandRow(path: string | readonly string[], layout: Layout, where: ErrorWhere = {}): readonly number[] {
  const name = typeof path === 'string' ? path : path.join('.');
  const found: number[] = [];
  for (const [i, column] of layout.entries()) {
    if (column.name === name || column.name.startsWith(`${name}.`)) found.push(i);
  }
  if (found.length === 0) throw unknownColumn(name, layout, where);
  return found;
}

export interface AggregateType {
  readonly type: DataType;
  readonly nullable: boolean;
}

/**
 * Result type of an aggregate. `nullable`: of the argument; `filtered`: it has a FILTER; `keyed`: grouped by something,
 * so that no group is empty. SUM(INT) is a BIGINT and AVG of integers a DOUBLE (decided in api.md; Flink keeps INT); of
 * DECIMAL both are DECIMAL (decimals.ts).
 * Errors: `plan/type`.
 */
export function bindAggregate(
  fn: AggregateName,
  argType: DataType | null,
  more: { readonly nullable: boolean; readonly filtered: boolean; readonly keyed: boolean },
  where: ErrorWhere = {},
): AggregateType {
  if (fn === 'count') return { type: bigint, nullable: false };
  const name = fn.toUpperCase();
  if (argType === null) throw new MillraceError('plan/type', `${name} needs an argument`, { where });
  const nullable = more.nullable || more.filtered || !more.keyed;
  if (fn === 'min' || fn === 'max') return { type: argType, nullable };
  if (!isNumeric(argType)) {
    throw new MillraceError('plan/type', `${name} takes numbers, but its argument is ${typeName(argType)}`, { where });
  }
  if (argType.kind === 'DECIMAL') return { type: fn === 'sum' ? sumType(argType) : averageType(argType), nullable };
  return { type: fn === 'sum' && isInteger(argType) ? bigint : double, nullable };
}

function bindNode(expr: UnboundExpr, layout: Layout, site: Site): Expr {
  const go = (e: UnboundExpr): Expr => bindNode(e, layout, site);
  switch (expr.kind) {
    case 'column':
      return columnOf(expr.path.join('.'), layout, site);
    case 'literal':
      return expr.type === null ? naturalLiteral(expr.value) : literal(normal(expr.value, expr.type, site), expr.type);
    case 'cast':
      return castNode(go(expr.arg), expr.type, expr.safe, site);
    case 'case': {
      const results = unify([...expr.branches.map((b) => go(b.then)), go(expr.otherwise)], site, 'results of one CASE');
      const branches = expr.branches.map((b, i) => ({
        when: expectType(go(b.when), boolean, site, 'a condition of CASE'),
        then: results[i] as Expr,
      }));
      return caseNode(branches, results.at(-1) as Expr);
    }
    case 'call':
      return bindCall(expr.fn, expr.args.map(go), site);
    case 'aggregate':
      throw typeError(
        site,
        `${unboundText(expr)} is one value per group; it can stand in an aggregate only, or, with .over(…), in a select or with`,
      );
    case 'over':
      throw typeError(site, `${unboundText(expr)} can stand in a select or with only; make it a column there`);
  }
}

function bindCall(named: string, args: readonly Expr[], site: Site): Expr {
  const call = (fn: FunctionName, ...of: Expr[]): Expr => bindCall(fn, of, site);
  const [first, second, third] = args as [Expr, Expr, Expr];
  // Said by others: each of these is defined by what it is short for.
  if (named === 'between' && args.length === 3)
    return call('and', call('gte', first, second), call('lte', first, third));
  if (named === 'nullIf' && args.length === 2) {
    return caseNode([{ when: call('eq', first, second), then: literal(null, first.type) }], first);
  }
  if (named === 'extract' && args.length === 2) {
    const [unit, time] = first.kind === 'literal' && first.type.kind === 'VARCHAR' ? [first, second] : [second, first];
    const part = unit.kind === 'literal' ? parts[String(unit.value).toUpperCase()] : undefined;
    if (part === undefined) {
      throw typeError(
        site,
        `${site.text(unit)} is nothing that EXTRACT knows; write one of ${Object.keys(parts).join(', ')}`,
      );
    }
    return call(part, time);
  }
  if ((named === 'floor' || named === 'ceil') && args.length === 2)
    return call(named === 'floor' ? 'floorTo' : 'ceilTo', first, second);
  const fn = functionOf(named);
  if (fn === null) {
    const near = nearestNames(named, Object.keys(functions));
    throw typeError(
      site,
      `there is no function ${named}${near.length > 0 ? `; did you mean ${near.join(' or ')}?` : ''}`,
    );
  }
  const rule = functions[fn];
  if (args.length < rule.arity[0] || args.length > rule.arity[1]) {
    const [least, most] = rule.arity;
    throw typeError(
      site,
      `${named} takes ${least === most ? least : `${least} to ${most}`} arguments, not ${args.length}`,
    );
  }
  let inferred: ReturnType<typeof rule.infer>;
  try {
    inferred = rule.infer(args, site, fn);
  } catch (error) {
    throw withWhere(error, site.where, 'plan/type');
  }
  const nullable = inferred.nullable ?? inferred.args.some((a) => a.nullable);
  return simplify({ kind: 'call', fn, args: inferred.args, type: inferred.type, nullable });
}

const parts: Readonly<Record<string, FunctionName>> = {
  YEAR: 'year', QUARTER: 'quarter', MONTH: 'month', WEEK: 'week', DAY: 'dayOfMonth', DOW: 'dayOfWeek', DOY: 'dayOfYear',
  HOUR: 'hour', MINUTE: 'minute', SECOND: 'second',
}; // biome-ignore format: a table

function columnOf(name: string, layout: Layout, site: Site): Expr {
  const index = layout.findIndex((c) => c.name === name);
  const column = layout[index];
  if (column === undefined) throw unknownColumn(name, layout, site.where);
  return { kind: 'column', index, type: column.type, nullable: column.nullable };
}

function unknownColumn(name: string, layout: Layout, where: ErrorWhere): MillraceError {
  const inside = layout.filter((c) => c.name.startsWith(`${name}.`)).map((c) => c.name);
  if (inside.length > 0) {
    return new MillraceError(
      'plan/type',
      `${name} is a ROW and no single value; take one of its columns: ${inside.join(', ')}`,
      { where },
    );
  }
  const names = layout.map((c) => c.name).filter((n) => !n.startsWith('$'));
  const near = nearestNames(name, names);
  const shown = names.length > 12 ? `${names.slice(0, 12).join(', ')}, …` : names.join(', ');
  const hint = near.length > 0 ? `did you mean ${near.join(' or ')}?` : `there are ${shown}`;
  return new MillraceError('plan/unknown-column', `there is no column ${name}; ${hint}`, { where });
}

function naturalLiteral(value: LiteralValue): Expr {
  if (value === null) return literal(null, varchar);
  if (typeof value === 'boolean') return literal(value, boolean);
  if (typeof value === 'string') return literal(value, varchar);
  if (!Number.isInteger(value) || Object.is(value, -0)) return literal(literalOfValue(value, double), double);
  if (fitsInt(value)) return literal(value, int);
  return Number.isSafeInteger(value) ? literal(String(value), bigint) : literal(value, double);
}

/** A typed literal in the form that literals have inside (numbers of BIGINT as text, -0 as '-0'). */
function normal(value: LiteralValue, type: DataType, site: Site): LiteralValue {
  if (value === null) return null;
  const wrong = () => typeError(site, `${JSON.stringify(value)} is no literal of type ${typeName(type)}`);
  switch (type.kind) {
    case 'BOOLEAN':
      if (typeof value !== 'boolean') throw wrong();
      return value;
    case 'INT':
    case 'DATE':
      if (typeof value !== 'number' || !Number.isInteger(value) || !fitsInt(value)) throw wrong();
      return value + 0;
    case 'BIGINT':
    case 'TIMESTAMP':
    case 'INTERVAL': {
      if (!/^-?\d+$/.test(String(value))) throw wrong();
      const exact = BigInt(value);
      if (BigInt.asIntN(64, exact) !== exact) throw wrong();
      return exact.toString();
    }
    case 'DOUBLE':
      if (typeof value === 'boolean') throw wrong();
      return typeof value === 'number' ? literalOfValue(value, type) : value;
    case 'DECIMAL': {
      const exact = parseDecimal(String(value));
      if (typeof value === 'boolean' || exact === null || exact.scale > type.scale) throw wrong();
      if (type.precision <= decimalDigitsMax) return literalOfValue(valueOfLiteral(String(value), type), type);
      throw new MillraceError('plan/unsupported', `the literal ${value}: ${refusalOf(type)}`, { where: site.where });
    }
    case 'VARCHAR':
      if (typeof value !== 'string') throw wrong();
      return value;
    default:
      throw new MillraceError('plan/unsupported', `literals of type ${typeName(type)} are not supported yet`, {
        where: site.where,
      });
  }
}

function castNode(arg: Expr, type: DataType, safe: boolean, site: Site): Expr {
  if (arg.kind === 'literal' && arg.value === null) return literal(null, type);
  const rule = castRule(arg.type, type);
  if (rule === null) {
    const known = castRule(type, type) !== null;
    throw known
      ? typeError(site, `${site.text(arg)} is ${typeName(arg.type)} and cannot be cast to ${typeName(type)}`)
      : new MillraceError('plan/unsupported', `${refusalOf(type)}, in ${site.whole}`, { where: site.where });
  }
  if (typeName(arg.type) === typeName(type)) return { ...arg, type };
  return simplify({ kind: 'cast', arg, safe, type, nullable: arg.nullable || (safe && rule === 'partial') });
}

function caseNode(branches: readonly { readonly when: Expr; readonly then: Expr }[], otherwise: Expr): Expr {
  const used: { when: Expr; then: Expr }[] = [];
  let last = otherwise;
  for (const branch of branches) {
    if (branch.when.kind === 'literal') {
      if (branch.when.value !== true) continue;
      last = branch.then;
      break;
    }
    used.push(branch);
  }
  if (used.length === 0) return last;
  const nullable = last.nullable || used.some((b) => b.then.nullable);
  return { kind: 'case', branches: used, otherwise: last, type: otherwise.type, nullable };
}

/** Folds what has only literals, unless it raises: then it raises when a row asks for it. */
function simplify(expr: Extract<Expr, { kind: 'call' | 'cast' }>): Expr {
  const args = expr.kind === 'cast' ? [expr.arg] : expr.args;
  if (args.length > 0 && args.every((a) => a.kind === 'literal')) {
    try {
      const value: Value = interpret(expr)([]);
      return literal(literalOfValue(value, expr.type), expr.type);
    } catch {
      return expr;
    }
  }
  if (expr.kind === 'cast') return expr;
  const [first] = args as [Expr];
  switch (expr.fn) {
    case 'isNull':
    case 'isNotNull':
      return first.nullable || canFail(first) ? expr : literal(expr.fn === 'isNotNull', boolean);
    case 'and':
    case 'or':
      return simplifyLogic(expr.fn, args, expr.nullable);
    case 'in':
      return args.length > 1 ? expr : first.nullable || canFail(first) ? expr : literal(false, boolean);
    case 'coalesce':
      return args.length === 1 ? first : expr;
    case 'concat':
      return args.length === 1 ? first : expr;
    case 'floor':
    case 'ceil':
    case 'round':
      return isInteger(expr.type) && args.length === 1 ? first : expr;
    default:
      return expr;
  }
}

/** Flattens, drops neutral literals, and is decided by a deciding one that nothing before it can raise. */
function simplifyLogic(fn: 'and' | 'or', args: readonly Expr[], nullable: boolean): Expr {
  const neutral = fn === 'and';
  const flat = args.flatMap((a) => (a.kind === 'call' && a.fn === fn ? a.args : [a]));
  const kept: Expr[] = [];
  for (const arg of flat) {
    if (arg.kind === 'literal' && arg.value === neutral) continue;
    if (arg.kind === 'literal' && arg.value === !neutral) {
      if (!kept.some(canFail)) return literal(!neutral, boolean);
      kept.push(arg);
      break;
    }
    kept.push(arg);
  }
  if (kept.length === 0) return literal(neutral, boolean);
  if (kept.length === 1) return kept[0] as Expr;
  return { kind: 'call', fn, args: kept, type: boolean, nullable };
}
