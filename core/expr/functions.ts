/**
 * The function registry: every function of expressions under the name that the API uses, in one exhaustive table. A new
 * name fails to compile here, in interpret.ts and in the compiler's table until all three know it. Names and meaning are
 * Flink SQL's; what differs and why stands in docs/decisions/expressions.md.
 */
import type { DataType } from '../record/types.ts';
import { typeName } from '../record/types.ts';
import { CastRule, castRule } from './casts.ts';
import {
  bigint,
  boolean,
  castTo,
  double,
  exactLiterals,
  exactPeers,
  expectType,
  int,
  isInteger,
  isNumeric,
  isTemporal,
  literal,
  type Site,
  typeError,
  unify,
  varchar,
} from './coerce.ts';
import { dateFormatTokens } from './date-format.ts';
import { type DecimalOperation, decimalFails, decimalResult, digitsOf, roundedType, wholeType } from './decimals.ts';
import { likeProblem } from './like.ts';
import { parseRegex } from './regex.ts';
import type { Expr } from './tree.ts';
import { type UserSignature, userCallHead } from './user-call.ts';

export type FunctionName =
  | 'eq' | 'ne' | 'lt' | 'lte' | 'gt' | 'gte'
  | 'isNull' | 'isNotNull' | 'in'
  | 'and' | 'or' | 'not'
  | 'plus' | 'minus' | 'times' | 'divide' | 'mod' | 'neg' | 'abs' | 'round' | 'floor' | 'ceil'
  | 'like' | 'length' | 'lower' | 'upper' | 'substring' | 'concat' | 'trim' | 'splitIndex' | 'regexpExtract'
  | 'year' | 'quarter' | 'month' | 'week' | 'dayOfMonth' | 'dayOfWeek' | 'dayOfYear' | 'hour' | 'minute' | 'second'
  | 'floorTo' | 'ceilTo' | 'dateFormat'
  | 'coalesce'
  | 'user'; // biome-ignore format: groups

/** How a NULL argument shows. strict: any NULL makes NULL; never: the result is never NULL; own: the function decides. */
export type NullRule = 'strict' | 'never' | 'own';

/** What a call becomes once its arguments are typed. */
export interface Inferred {
  readonly args: readonly Expr[];
  readonly type: DataType;
  /** Only where it is not "nullable if an argument is". */
  readonly nullable?: boolean;
}

export interface FunctionRule {
  readonly nulls: NullRule;
  /** Whether some values of the right types raise an error. */
  readonly fails: boolean | ((args: readonly Expr[], type: DataType) => boolean);
  readonly arity: readonly [number, number];
  infer(args: readonly Expr[], site: Site, name: string): Inferred;
  /** As SQL writes it, arguments printed and bracketed already where they need it. */
  print(args: readonly string[]): string;
}

/** Other names of the same functions: SQL's, and the API's methods. */
export const functionAliases: Readonly<Record<string, FunctionName>> = {
  add: 'plus', sub: 'minus', subtract: 'minus', mul: 'times', multiply: 'times', div: 'divide',
  negate: 'neg', charLength: 'length', characterLength: 'length', substr: 'substring', dayofmonth: 'dayOfMonth',
  dayofweek: 'dayOfWeek', dayofyear: 'dayOfYear', day: 'dayOfMonth', isIn: 'in', ceiling: 'ceil',
} satisfies Record<string, FunctionName>; // biome-ignore format: groups

/** Units of date-time rounding and EXTRACT, coarsest last. */
export const timeUnits = ['SECOND', 'MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR'] as const;
export type TimeUnit = (typeof timeUnits)[number];

const infix = (symbol: string) => (args: readonly string[]) => args.join(` ${symbol} `);
const call = (name: string) => (args: readonly string[]) => `${name}(${args.join(', ')})`;

function comparison(symbol: string): FunctionRule {
  return {
    nulls: 'strict',
    fails: false,
    arity: [2, 2],
    print: infix(symbol),
    infer: (args, site) => ({ args: exactPeers(args) ?? unify(args, site, 'compared'), type: boolean }),
  };
}

function logic(word: string): FunctionRule {
  return {
    nulls: 'own',
    fails: false,
    arity: [1, 256],
    print: infix(word),
    infer: (args, site) => ({
      args: args.map((a) => expectType(a, boolean, site, `what ${word} joins`)),
      type: boolean,
    }),
  };
}

const integer = (_args: readonly Expr[], type: DataType): boolean => isInteger(type);

/** Whether an operation over numbers of these types can fail for some of them. */
const fails =
  (operation: DecimalOperation) =>
  ([a, b]: readonly Expr[], type: DataType): boolean => {
    if (type.kind === 'DECIMAL') return decimalFails(operation, (a as Expr).type, (b as Expr).type);
    return operation === 'divide' ? isInteger((a as Expr).type) : type.kind !== 'DOUBLE';
  };

/** Exact numbers, one of them a DECIMAL: operands stay what they are, the result has digits of its own. Null: they are not. */
function exactArithmetic(operation: DecimalOperation, args: readonly Expr[]): Inferred | null {
  const [a, b] = exactLiterals(args) as [Expr, Expr];
  if (a.type.kind !== 'DECIMAL' && b.type.kind !== 'DECIMAL') return null;
  if (digitsOf(a.type) === null || digitsOf(b.type) === null) return null;
  return { args: [a, b], type: decimalResult(operation, a.type, b.type) };
}

function arithmetic(operation: DecimalOperation, symbol: string, what: string): FunctionRule {
  return {
    nulls: 'strict',
    fails: fails(operation),
    arity: [2, 2],
    print: infix(symbol),
    infer(args, site) {
      if (args[1]?.type.kind === 'INTERVAL' && symbol !== '*') return shifted(args, site);
      const exact = exactArithmetic(operation, args);
      if (exact) return exact;
      const both = numbers(args, site, what);
      return { args: both, type: (both[0] as Expr).type };
    },
  };
}

function numbers(args: readonly Expr[], site: Site, what: string): Expr[] {
  for (const arg of args) {
    if (!isNumeric(arg.type) && !(arg.kind === 'literal' && arg.value === null)) {
      const others = args.filter((a) => a !== arg).map((a) => `${site.text(a)} is ${typeName(a.type)}`);
      throw typeError(
        site,
        `${site.text(arg)} is ${typeName(arg.type)}${others.length > 0 ? ` and ${others.join(', ')}` : ''}: only numbers can be ${what}`,
      );
    }
  }
  const unified = unify(args, site, what);
  return (unified[0] as Expr).type.kind === 'VARCHAR' ? unified.map((a) => castTo(a, int)) : unified;
}

/** A time and a length of time. */
function shifted(args: readonly Expr[], site: Site): Inferred {
  const [time, by] = args as [Expr, Expr];
  if (by.kind !== 'literal') throw typeError(site, `the length of time in ${site.whole} must be a literal`);
  if (!isTemporal(time.type)) {
    throw typeError(
      site,
      `${site.text(time)} is ${typeName(time.type)}: a length of time is added to a DATE or TIMESTAMP only`,
    );
  }
  if (time.type.kind === 'DATE' && Number(by.value) % 86_400_000 !== 0) {
    throw typeError(
      site,
      `${site.text(time)} is DATE: only whole days can be added to it; cast it to TIMESTAMP(3) first`,
    );
  }
  return { args, type: time.type };
}

function unary(
  what: string,
  print: FunctionRule['print'],
  fails: FunctionRule['fails'],
  decimal: typeof wholeType = (type) => type,
): FunctionRule {
  return {
    nulls: 'strict',
    fails,
    arity: [1, 1],
    print,
    infer(args, site) {
      const [of] = numbers(args, site, what) as [Expr];
      return { args: [of], type: of.type.kind === 'DECIMAL' ? decimal(of.type) : of.type };
    },
  };
}

function text(name: string, result: DataType): FunctionRule {
  return {
    nulls: 'strict',
    fails: false,
    arity: [1, 1],
    print: call(name),
    infer: (args, site) => ({
      args: args.map((a) => expectType(a, varchar, site, `the argument of ${name}`)),
      type: result,
    }),
  };
}

function timePart(name: string, ofDay: boolean): FunctionRule {
  return {
    nulls: 'strict',
    fails: false,
    arity: [1, 1],
    print: (args) => `EXTRACT(${name} FROM ${args[0]})`,
    infer(args, site) {
      const [time] = args as [Expr];
      if (!isTemporal(time.type) || (ofDay && time.type.kind === 'DATE')) {
        throw typeError(
          site,
          `EXTRACT(${name} …) takes a ${ofDay ? '' : 'DATE or '}TIMESTAMP, but ${site.text(time)} is ${typeName(time.type)}`,
        );
      }
      return { args: [time], type: bigint };
    },
  };
}

function rounding(name: string): FunctionRule {
  return {
    nulls: 'strict',
    fails: false,
    arity: [2, 2],
    print: (args) => `${name}(${args[0]} TO ${(args[1] as string).replaceAll("'", '')})`,
    infer(args, site) {
      const [time, unit] = args as [Expr, Expr];
      if (!isTemporal(time.type))
        throw typeError(
          site,
          `${name}(… TO unit) takes a DATE or TIMESTAMP, but ${site.text(time)} is ${typeName(time.type)}`,
        );
      const word = unitOf(unit, site);
      if (time.type.kind === 'DATE' && timeUnits.indexOf(word) < timeUnits.indexOf('DAY')) {
        throw typeError(site, `${site.text(time)} is DATE and has no ${word}`);
      }
      return { args: [time, literal(word, varchar)], type: time.type };
    },
  };
}

export function unitOf(unit: Expr, site: Site): TimeUnit {
  const word = unit.kind === 'literal' ? String(unit.value).toUpperCase().replace(/S$/, '') : '';
  if (!(timeUnits as readonly string[]).includes(word)) {
    throw typeError(site, `${site.text(unit)} is no unit of time; write one of ${timeUnits.join(', ')}`);
  }
  return word as TimeUnit;
}

function literalText(expr: Expr | undefined, site: Site, role: string): string {
  if (expr?.kind !== 'literal' || typeof expr.value !== 'string' || expr.type.kind !== 'VARCHAR') {
    throw typeError(site, `${role} must be a string literal`);
  }
  return expr.value;
}

export const functions: { readonly [F in FunctionName]: FunctionRule } = {
  eq: comparison('='),
  ne: comparison('<>'),
  lt: comparison('<'),
  lte: comparison('<='),
  gt: comparison('>'),
  gte: comparison('>='),
  isNull: {
    nulls: 'never', fails: false, arity: [1, 1], print: (args) => `${args[0]} IS NULL`,
    infer: (args) => ({ args, type: boolean, nullable: false }),
  },
  isNotNull: {
    nulls: 'never', fails: false, arity: [1, 1], print: (args) => `${args[0]} IS NOT NULL`,
    infer: (args) => ({ args, type: boolean, nullable: false }),
  },
  in: {
    nulls: 'own', fails: false, arity: [1, 10_000], print: (args) => `${args[0]} IN (${args.slice(1).join(', ')})`,
    infer: (args, site) => ({ args: unify(args, site, 'compared'), type: boolean }),
  },
  and: logic('AND'),
  or: logic('OR'),
  not: {
    nulls: 'strict', fails: false, arity: [1, 1], print: (args) => `NOT ${args[0]}`,
    infer: (args, site) => ({ args: args.map((a) => expectType(a, boolean, site, 'what NOT turns')), type: boolean }),
  },
  plus: arithmetic('plus', '+', 'added'),
  minus: arithmetic('minus', '-', 'subtracted'),
  times: arithmetic('times', '*', 'multiplied'),
  divide: {
    nulls: 'strict', arity: [2, 2], print: infix('/'),
    fails: fails('divide'),
    infer: (args, site) => exactArithmetic('divide', args) ?? { args: numbers(args, site, 'divided'), type: double },
  },
  mod: {
    nulls: 'strict', fails: fails('mod'), arity: [2, 2], print: call('MOD'),
    infer(args, site) {
      const exact = exactArithmetic('mod', args);
      if (exact) return exact;
      const both = numbers(args, site, 'divided');
      return { args: both, type: (both[0] as Expr).type };
    },
  },
  neg: unary('negated', (args) => `-${args[0]}`, integer),
  abs: unary('taken the ABS of', call('ABS'), integer),
  round: {
    nulls: 'strict', arity: [1, 2], print: call('ROUND'),
    fails: (args, type) => type.kind !== 'DOUBLE' && args.length > 1,
    infer(args, site) {
      const [of] = numbers(args.slice(0, 1), site, 'rounded') as [Expr];
      const digits = args[1];
      if (digits !== undefined && (digits.kind !== 'literal' || digits.type.kind !== 'INT')) {
        throw typeError(site, 'the digits of ROUND must be an INT literal');
      }
      if (of.type.kind === 'DECIMAL') {
        const places = Number((digits as { value: unknown } | undefined)?.value ?? 0);
        return { args: digits ? [of, digits] : [of], type: roundedType(of.type, places) };
      }
      const needed = digits === undefined || Number((digits as { value: unknown }).value) >= 0;
      // Whole numbers have no digits behind the point.
      if (isInteger(of.type) && needed) return { args: [of], type: of.type };
      return { args: digits && (digits as { value: unknown }).value !== 0 ? [of, digits] : [of], type: of.type };
    },
  },
  floor: unary('rounded down', call('FLOOR'), false, wholeType),
  ceil: unary('rounded up', call('CEIL'), false, wholeType),
  like: {
    nulls: 'strict', fails: false, arity: [2, 3],
    print: (args) => `${args[0]} LIKE ${args[1]}${args[2] ? ` ESCAPE ${args[2]}` : ''}`,
    infer(args, site) {
      const subject = expectType(args[0] as Expr, varchar, site, 'what LIKE tests');
      const pattern = literalText(args[1], site, 'the pattern of LIKE');
      const escapeChar = args[2] === undefined ? null : literalText(args[2], site, 'the escape character of LIKE');
      const problem = likeProblem(pattern, escapeChar);
      if (problem !== null) throw typeError(site, problem);
      return { args: [subject, ...args.slice(1)], type: boolean };
    },
  },
  length: text('CHAR_LENGTH', int),
  lower: text('LOWER', varchar),
  upper: text('UPPER', varchar),
  trim: text('TRIM', varchar),
  substring: {
    nulls: 'own', fails: false, arity: [2, 3], print: call('SUBSTRING'),
    infer(args, site) {
      const of = expectType(args[0] as Expr, varchar, site, 'the text of SUBSTRING');
      const numbersOf = args.slice(1).map((a) => expectType(a, int, site, 'a position or length of SUBSTRING'));
      const length = numbersOf[1];
      const certain = length === undefined || (length.kind === 'literal' && Number(length.value) >= 0);
      const all = [of, ...numbersOf];
      return { args: all, type: varchar, nullable: !certain || all.some((a) => a.nullable) };
    },
  },
  concat: {
    nulls: 'strict', fails: false, arity: [1, 64], print: call('CONCAT'),
    infer: (args, site) => ({ args: args.map((a) => expectType(a, varchar, site, 'a part of CONCAT')), type: varchar }),
  },
  splitIndex: {
    nulls: 'own', fails: false, arity: [3, 3], print: call('SPLIT_INDEX'),
    infer(args, site) {
      const of = expectType(args[0] as Expr, varchar, site, 'the text of SPLIT_INDEX');
      if (literalText(args[1], site, 'the separator of SPLIT_INDEX') === '') throw typeError(site, 'the separator of SPLIT_INDEX is empty; it must be one character at least');
      const index = expectType(args[2] as Expr, int, site, 'the index of SPLIT_INDEX');
      return { args: [of, args[1] as Expr, index], type: varchar, nullable: true };
    },
  },
  regexpExtract: {
    nulls: 'own', fails: false, arity: [2, 3], print: call('REGEXP_EXTRACT'),
    infer(args, site) {
      const of = expectType(args[0] as Expr, varchar, site, 'the text of REGEXP_EXTRACT');
      const pattern = literalText(args[1], site, 'the pattern of REGEXP_EXTRACT');
      const group = args[2] ?? literal(0, int);
      if (group.kind !== 'literal' || group.type.kind !== 'INT' || Number(group.value) < 0) {
        throw typeError(site, 'the group of REGEXP_EXTRACT must be an INT literal from 0');
      }
      parseRegex(pattern, Number(group.value));
      return { args: [of, args[1] as Expr, group], type: varchar, nullable: true };
    },
  },
  year: timePart('YEAR', false),
  quarter: timePart('QUARTER', false),
  month: timePart('MONTH', false),
  week: timePart('WEEK', false),
  dayOfMonth: timePart('DAY', false),
  dayOfWeek: timePart('DOW', false),
  dayOfYear: timePart('DOY', false),
  hour: timePart('HOUR', true),
  minute: timePart('MINUTE', true),
  second: timePart('SECOND', true),
  floorTo: rounding('FLOOR'),
  ceilTo: rounding('CEIL'),
  dateFormat: {
    nulls: 'strict', fails: false, arity: [2, 2], print: call('DATE_FORMAT'),
    infer(args, site) {
      const [time, pattern] = args as [Expr, Expr];
      if (!isTemporal(time.type)) throw typeError(site, `DATE_FORMAT takes a DATE or TIMESTAMP, but ${site.text(time)} is ${typeName(time.type)}`);
      dateFormatTokens(literalText(pattern, site, 'the pattern of DATE_FORMAT'));
      return { args: [time, pattern], type: varchar };
    },
  },
  coalesce: {
    nulls: 'own', fails: false, arity: [1, 256], print: call('COALESCE'),
    infer(args, site) {
      const all = unify(args, site, 'alternatives of one COALESCE');
      const sure = all.findIndex((a) => !a.nullable);
      const used = sure < 0 ? all : all.slice(0, sure + 1);
      return { args: used, type: (all[0] as Expr).type, nullable: sure < 0 };
    },
  },
  user: {
    nulls: 'strict', fails: true, arity: [userCallHead, userCallHead + 64],
    print: (args) => `${(args[0] as string).slice(1, -1)}(${args.slice(userCallHead).join(', ')})`,
    infer(args, site) {
      const name = literalText(args[0], site, 'the name of a function');
      const signature = JSON.parse(literalText(args[2], site, `the signature of ${name}`)) as UserSignature;
      const given = args.slice(userCallHead).map((arg, i) =>
        expectType(arg, signature.args[i] as DataType, site, `argument ${i + 1} of ${name}`),
      );
      if (given.length !== signature.args.length) throw typeError(site, `${name} takes ${signature.args.length} arguments, not ${given.length}`);
      return { args: [...args.slice(0, userCallHead), ...given], type: signature.returns, nullable: signature.nullable || given.some((arg) => arg.nullable) };
    },
  },
}; // biome-ignore format: a table

export function functionOf(name: string): FunctionName | null {
  if (Object.hasOwn(functions, name)) return name as FunctionName;
  return Object.hasOwn(functionAliases, name) ? (functionAliases[name] as FunctionName) : null;
}

/** Whether evaluating `expr` can raise an error for some row. */
export function canFail(expr: Expr): boolean {
  switch (expr.kind) {
    case 'column':
    case 'literal':
      return false;
    case 'cast':
      return canFail(expr.arg) || (!expr.safe && castFails(expr.arg.type, expr.type));
    case 'case':
      return canFail(expr.otherwise) || expr.branches.some((b) => canFail(b.when) || canFail(b.then));
    case 'call': {
      const { fails } = functions[expr.fn as FunctionName];
      return (typeof fails === 'boolean' ? fails : fails(expr.args, expr.type)) || expr.args.some(canFail);
    }
  }
}

function castFails(from: DataType, to: DataType): boolean {
  return castRule(from, to) !== CastRule.total;
}
