/**
 * Calls of the user's scalar functions inside expressions. A call is `user(name, functionId, signature, …arguments)`, the
 * first three literals, so that plans carry it as any other call; the function itself comes from who runs the expression.
 * NULL in any argument is NULL, without a call. It knows values, not memory.
 */
import { describeKind, describeValue, isPromise } from '../base/describe.ts';
import { MillraceError } from '../base/errors.ts';
import { decimalOf, isDecimal, unscaledOf } from '../record/decimal.ts';
import { type DataType, ticksPerMs, typeName } from '../record/types.ts';
import type { Expr } from './tree.ts';
import { bigintMax, bigintMin, fitsInt, type Value } from './value.ts';

type Present = Exclude<Value, null>;
type Call = Extract<Expr, { kind: 'call' }>;

/** The function of that id. Errors: `job/needs-module`. */
export type UserFunctions = (id: string) => (...args: unknown[]) => unknown;

export interface UserSignature {
  readonly args: readonly DataType[];
  readonly returns: DataType;
  /** Whether it may answer NULL. */
  readonly nullable: boolean;
}

/** Literals ahead of the arguments. */
export const userCallHead = 3;
export const isUserCall = (expr: Expr): boolean => expr.kind === 'call' && expr.fn === 'user';
/** What a function is called with. */
export const userArguments = (expr: Call): readonly Expr[] => expr.args.slice(userCallHead);
export const userFunctionName = (expr: Call): string => headOf(expr, 0);

const headOf = (expr: Call, at: number): string => String((expr.args[at] as { value?: unknown }).value);

/** The call over values that are not NULL. Errors: `function/threw`, `function/bad-result`, `value/unsafe-integer`. */
export function userCaller(expr: Call, functions: UserFunctions | null): (values: readonly Present[]) => Value {
  const name = userFunctionName(expr);
  const signature = JSON.parse(headOf(expr, 2)) as UserSignature;
  if (functions === null) throw new MillraceError('job/needs-module', `no functions here: ${name} cannot be called`);
  const call = functions(headOf(expr, 1));
  const given = signature.args.map((type, i) => toUser(type, `argument ${i + 1} of ${name}`));
  const taken = fromUser(signature.returns);
  const argumentsOf = (values: readonly Present[]): unknown[] => values.map((value, i) => (given[i] as ToUser)(value));
  const [first, second] = given as [ToUser, ToUser];
  // Most have one argument or two, and need no list of them.
  const apply =
    given.length === 1
      ? ([a]: readonly Present[]) => call(first(a as Present))
      : given.length === 2
        ? ([a, b]: readonly Present[]) => call(first(a as Present), second(b as Present))
        : (values: readonly Present[]) => call(...argumentsOf(values));
  return (values) => {
    let result: unknown;
    try {
      result = apply(values);
    } catch (error) {
      // Where it was an argument that could not be handed over, this throws again.
      const args = argumentsOf(values);
      const why = error instanceof Error ? error.message : String(error);
      throw new MillraceError(
        'function/threw',
        `${name}(${args.map((a) => describeValue(a)).join(', ')}) threw: ${why}`,
        {
          cause: error,
        },
      );
    }
    if (result === null && signature.nullable) return null;
    const value = taken(result);
    if (value !== null) return value;
    throw new MillraceError(
      'function/bad-result',
      `${name} is declared to return ${typeName(signature.returns)}${signature.nullable ? ' or null' : ''}, but returned ${describeValue(result)}, ${isPromise(result) ? 'a promise: it must not be async' : describeKind(result)}`,
    );
  };
}

type ToUser = (value: Present) => unknown;

function toUser(type: DataType, what: string): ToUser {
  switch (type.kind) {
    case 'BIGINT':
      if (type.asBigInt) return (value) => value;
      return (value) => {
        const number = Number(value);
        if (Number.isSafeInteger(number)) return number;
        throw new MillraceError(
          'value/unsafe-integer',
          `${what} is ${value}, which a JavaScript number cannot hold exactly; declare it t.bigint().asBigInt() to get a bigint`,
        );
      };
    case 'DECIMAL':
      return (value) => decimalOf(value as bigint, type.scale);
    case 'DATE':
      return (value) => new Date((value as number) * 86_400_000);
    case 'TIMESTAMP': {
      const perMs = BigInt(ticksPerMs(type.precision));
      return (value) => {
        const ticks = value as bigint;
        const rest = ((ticks % perMs) + perMs) % perMs;
        return new Date(Number((ticks - rest) / perMs));
      };
    }
    default:
      return (value) => value;
  }
}

/** Null: it is no value of that type. */
function fromUser(type: DataType): (result: unknown) => Value {
  switch (type.kind) {
    case 'BOOLEAN':
      return (result) => (typeof result === 'boolean' ? result : null);
    case 'INT':
      return (result) =>
        typeof result === 'number' && Number.isInteger(result) && fitsInt(result) ? result + 0 : null;
    case 'BIGINT':
      return (result) => {
        if (typeof result === 'number') return Number.isSafeInteger(result) ? BigInt(result) : null;
        return typeof result === 'bigint' && result >= bigintMin && result <= bigintMax ? result : null;
      };
    case 'DOUBLE':
      return (result) => (typeof result === 'number' ? result : null);
    case 'DECIMAL':
      return (result) => (isDecimal(result) ? unscaledOf(result, type.precision, type.scale) : null);
    case 'VARCHAR':
      return (result) => (typeof result === 'string' ? result : null);
    case 'DATE':
      return (result) => {
        const days = result instanceof Date ? Math.floor(result.getTime() / 86_400_000) : Number.NaN;
        return Number.isNaN(days) ? null : days;
      };
    case 'TIMESTAMP': {
      const perMs = BigInt(ticksPerMs(type.precision));
      return (result) => {
        const ms = result instanceof Date ? result.getTime() : Number.NaN;
        if (Number.isNaN(ms)) return null;
        const ticks = BigInt(ms) * perMs;
        return ticks >= bigintMin && ticks <= bigintMax ? ticks : null;
      };
    }
    default:
      return () => null;
  }
}
