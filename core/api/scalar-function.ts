// biome-ignore-all lint/suspicious/noExplicitAny: arguments of any type
/**
 * Scalar functions of the user's: JavaScript inside an expression, called once per row. Typed by its declaration; the same
 * arguments must give the same result, for a call may be left out, or made again.
 */
import { MillraceError } from '../base/errors.ts';
import type { UnboundExpr } from '../expr/tree.ts';
import type { UserSignature } from '../expr/user-call.ts';
import type { Col, NullIn, Operand } from './columns.ts';
import { expression, treeOf } from './expression.ts';
import { fieldOf, type Type } from './schema.ts';

type Args<A> = { -readonly [I in keyof A]: A[I] extends Type<infer T> ? T : never };
type Operands<A> = { readonly [I in keyof A]: A[I] extends Type<infer T> ? Operand<T, 'row'> : never };

export interface ScalarFunction<A extends readonly Type<any>[], T> {
  /** What explain and errors call it: letters, digits and _. */
  readonly name: string;
  /** Not nullable: where an argument is NULL the result is, and nothing is called. */
  readonly args: A;
  readonly returns: Type<T>;
  call(...args: Args<A>): NoInfer<T>;
}

/**
 * A function for expressions: `const half = scalarFunction({ name: 'half', args: [t.double()], returns: t.double(), call: (x) => x / 2 })`,
 * then `select((r) => ({ h: half(r.price) }))`. It must be deterministic. Slots find it in the job module.
 * Errors: `option/invalid`.
 */
export function scalarFunction<const A extends readonly Type<any>[], T>(
  fn: ScalarFunction<A, T>,
): <O extends Operands<A>>(...args: O) => Col<T | NullIn<O[number & keyof O]>> {
  const { name, returns, call } = fn;
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    throw new MillraceError('option/invalid', `a scalarFunction is named by letters, digits and _, not '${name}'`);
  if (typeof call !== 'function') throw new MillraceError('option/invalid', `scalarFunction ${name} needs a call`);
  const args = fn.args.map((type, i) => {
    const { type: of, nullable } = fieldOf(type);
    if (nullable) {
      throw new MillraceError(
        'option/invalid',
        `argument ${i + 1} of scalarFunction ${name} is nullable: where an argument is NULL the result is, without a call; use coalesce before it`,
      );
    }
    return of;
  });
  const { type, nullable } = fieldOf(returns);
  const signature: UserSignature = { args, returns: type, nullable };
  const text = (value: string): UnboundExpr => ({ kind: 'literal', value, type: { kind: 'VARCHAR' } });
  return (...given: readonly unknown[]) => {
    if (given.length !== args.length)
      throw new MillraceError('plan/type', `${name} takes ${args.length} arguments, not ${given.length}`);
    const trees = given.map((value, i) => treeOf(value, `argument ${i + 1} of ${name}`));
    const tree: UnboundExpr & { readonly [called]: unknown } = Object.freeze({
      kind: 'call',
      fn: 'user',
      args: [text(name), text(''), text(JSON.stringify(signature)), ...trees],
      [called]: call,
    });
    return expression(tree, ...given) as never;
  };
}

/** Where a tree keeps the function that it calls: JSON does not see it. */
const called = Symbol.for('millrace.called');

/** `content` with the id of every function that is called in it, which `idOf` gives. */
export function withFunctionIds<T>(content: T, idOf: (call: (...args: never[]) => unknown) => string): T {
  if (typeof content !== 'object' || content === null) return content;
  if (Array.isArray(content)) return content.map((part) => withFunctionIds(part, idOf)) as T;
  const copy = Object.fromEntries(Object.entries(content).map(([key, part]) => [key, withFunctionIds(part, idOf)]));
  const call = (content as { [called]?: (...args: never[]) => unknown })[called];
  if (call !== undefined) {
    const [name, id, ...rest] = copy.args as readonly object[];
    copy.args = [name, { ...id, value: idOf(call) }, ...rest];
  }
  return copy as T;
}
