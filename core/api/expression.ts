/**
 * How expressions are made: values whose methods grow an `UnboundExpr` tree. Knows nothing of streams; the types of
 * expressions are columns.ts's, and nothing is checked here that the planner can say.
 */
import { durationMs } from '../base/duration.ts';
import { MillraceError } from '../base/errors.ts';
import type { UnboundExpr } from '../expr/tree.ts';
import type { DataType } from '../record/types.ts';
import { describe, methodNames } from './describe.ts';
import { literalOf } from './literal.ts';
import { behind, type Made, madeOf, note, partsOf, unnote } from './notes.ts';
import { overOf } from './over.ts';
import { dataTypeOf, type Type } from './schema.ts';

/** The tree of an expression or of a literal. Errors: `plan/type` for what is neither. */
export function treeOf(value: unknown, where: string): UnboundExpr {
  return madeOf(value)?.tree ?? literalOf(value, where);
}

/** An expression value for `tree`, made from `from` (what of it is no expression is ignored). */
export function expression(tree: UnboundExpr, ...from: readonly unknown[]): unknown {
  return grown(tree, ...partsOf(from));
}

/** A call of the function registry (core/expr/functions.ts) on expressions and literals. */
export function call(fn: string, ...args: readonly unknown[]): unknown {
  const trees = args.map((arg, i) => treeOf(arg, `argument ${i + 1} of ${fn}`));
  return expression({ kind: 'call', fn, args: trees }, ...args);
}

/** A column, or a field of a ROW column: `path`. Its properties are the fields of the ROW; methods come before fields. */
export function column(path: readonly string[], parent: Made | null = null, noted = true): unknown {
  const tree: UnboundExpr = Object.freeze({ kind: 'column', path: Object.freeze([...path]) });
  const made: Made = { tree, parts: parent ? [parent] : [] };
  if (noted) note(made);
  const method = parent ? methodOf(path[path.length - 1] as string) : undefined;
  // A function, because `row.delay.add` may be a method to call or the field `add` of a ROW; which, only the use tells.
  const target = (): void => {};
  return new Proxy(target, {
    get: (_target, key) => {
      if (key === behind) return made;
      if (key === Symbol.toPrimitive) return () => noPrimitive(made);
      if (typeof key === 'symbol') return undefined;
      if (rowMethods.has(key)) return (...args: unknown[]) => methodOf(key)?.(made, args);
      return column([...path, key], made);
    },
    apply: (_target, _self, args) => {
      if (!method || !parent) throw noMethod(path);
      unnote(made);
      return method(parent, args);
    },
    has: (_target, key) => key === behind,
    set: () => false,
    defineProperty: () => false,
    deleteProperty: () => false,
  });
}

/**
 * The columns of a row: every property is a column, of a ROW column `of` where one is named. `names` are those that are
 * known; without them a row cannot be spread.
 */
export function rowColumns(names: readonly string[] | null, of: readonly string[] = []): unknown {
  // Spreading asks for a property's descriptor just before its value: such a read does not count as made.
  let spreading: string | null = null;
  return new Proxy(Object.create(null) as object, {
    get: (_target, key) => {
      if (typeof key === 'symbol') return undefined;
      const noted = spreading !== key;
      spreading = null;
      return column([...of, key], null, noted);
    },
    has: (_target, key) => typeof key === 'string' && (names === null || names.includes(key)),
    ownKeys: () => {
      if (names) return names;
      throw new MillraceError(
        'plan/unknown-column',
        'the columns of this row are not known here, so it cannot be spread or listed: give its source a schema, or name the columns',
      );
    },
    getOwnPropertyDescriptor: (_target, key) => {
      if (typeof key === 'symbol' || !names?.includes(key)) return undefined;
      spreading = key;
      return { configurable: true, enumerable: true, writable: false, value: undefined };
    },
    set: () => false,
    defineProperty: () => false,
    deleteProperty: () => false,
  });
}

function noMethod(path: readonly string[]): MillraceError {
  const of = path.slice(0, -1).join('.');
  const what =
    of === '' ? `\`${path[0]}\` is a column, not a function` : `\`${of}\` has no method \`${path[path.length - 1]}\``;
  return new MillraceError('plan/type', `${what}; functions such as upper(column) are in millrace/functions`);
}

function noPrimitive(made: Made): never {
  throw new MillraceError(
    'plan/type',
    `\`${describe(made.tree)}\` is an expression and has no value here: JavaScript's operators (>, +, \`\${}\`) do not work on it; write .gt(), .add(), concat()`,
  );
}

type Method = (self: Made, args: readonly unknown[]) => unknown;

function grown(tree: UnboundExpr, ...parts: readonly Made[]): unknown {
  return new Expression(note({ tree: Object.freeze(tree), parts: Object.freeze(parts) }));
}

/** A call of the registry on `self` and `args`; `method` is its name in messages. */
function callOn(self: Made, fn: string, args: readonly unknown[], method: string): unknown {
  const trees = args.map((arg) => treeOf(arg, `\`${describe(self.tree)}.${method}\``));
  return grown({ kind: 'call', fn, args: [self.tree, ...trees] }, self, ...partsOf(args));
}

/** A method that calls `fn` with exactly `arity` arguments. */
const calls =
  (fn: string, arity: 0 | 1): Method =>
  (self, args) => {
    const method = methodNames[fn] as string;
    if (args.length === arity) return callOn(self, fn, args, method);
    const expected = arity === 0 ? 'no argument' : 'one argument';
    throw new MillraceError('plan/type', `\`${describe(self.tree)}.${method}\` takes ${expected}, not ${args.length}`);
  };

/** `and` and `or` take any number of others, from left to right. */
const joins =
  (fn: 'and' | 'or'): Method =>
  (self, args) => {
    if (args.length > 0) return callOn(self, fn, args, fn);
    throw new MillraceError('plan/type', `\`${describe(self.tree)}.${fn}()\` needs an argument`);
  };

const isOneOf: Method = (self, [values]) => {
  if (Array.isArray(values) && values.length > 0) return callOn(self, 'in', values, 'in');
  throw new MillraceError('plan/type', `\`${describe(self.tree)}.in\` takes an array of one value or more`);
};

const between: Method = (self, [low, high]) => {
  const place = `\`${describe(self.tree)}.between\``;
  const from: UnboundExpr = { kind: 'call', fn: 'gte', args: [self.tree, treeOf(low, place)] };
  const to: UnboundExpr = { kind: 'call', fn: 'lte', args: [self.tree, treeOf(high, place)] };
  return grown({ kind: 'call', fn: 'and', args: [from, to] }, self, ...partsOf([low, high]));
};

const casts =
  (safe: boolean): Method =>
  (self, [to]) =>
    grown({ kind: 'cast', arg: self.tree, type: dataTypeOf(to as Type<unknown>), safe }, self);

/** `.plus('1 hour')`, `.minus('1 day')`: an INTERVAL literal in whole milliseconds. */
const shifts =
  (fn: 'plus' | 'minus'): Method =>
  (self, [by]) => {
    const type: DataType = { kind: 'INTERVAL', of: 'DAY_TIME' };
    const interval: UnboundExpr = { kind: 'literal', value: durationMs(String(by)), type };
    return grown({ kind: 'call', fn, args: [self.tree, interval] }, self);
  };

/** FILTER (WHERE …); a second one narrows the first. */
const filters: Method = (self, [condition]) => {
  const { tree } = self;
  if (tree.kind !== 'aggregate') {
    throw new MillraceError('plan/type', `\`${describe(tree)}\` is no aggregate and has no .filter()`);
  }
  const more = treeOf(condition, `\`${describe(tree)}.filter\``);
  const filter: UnboundExpr = tree.filter ? { kind: 'call', fn: 'and', args: [tree.filter, more] } : more;
  return grown({ ...tree, filter }, self, ...partsOf([condition]));
};

/** Of equal arguments one counts. */
const distinct: Method = (self) => {
  const { tree } = self;
  if (tree.kind !== 'aggregate') {
    throw new MillraceError('plan/type', `\`${describe(tree)}\` is no aggregate and has no .distinct()`);
  }
  if (tree.arg === null) {
    throw new MillraceError('plan/type', 'count().distinct() has nothing to compare; write count(column).distinct()');
  }
  return grown({ ...tree, distinct: true }, self);
};

/** OVER: beside a row, of the rows of its partition up to it. */
const over: Method = (self, [window]) => {
  const { tree } = self;
  if (tree.kind !== 'aggregate')
    throw new MillraceError('plan/type', `\`${describe(tree)}\` is no aggregate and has no .over()`);
  const place = `\`${describe(tree)}.over\``;
  const { partitionBy, orderBy, frame, made } = overOf(window, place);
  const trees = (of: readonly unknown[]): UnboundExpr[] => of.map((one) => treeOf(one, place));
  return grown(
    { kind: 'over', of: tree, partitionBy: trees(partitionBy), orderBy: trees(orderBy), frame },
    self,
    ...partsOf(made),
  );
};

const field: Method = (self, [key]) =>
  self.tree.kind === 'column'
    ? column([...self.tree.path, String(key)], self)
    : unsupported('fields of a computed ROW');

function unsupported(what: string): never {
  throw new MillraceError('plan/unsupported', `${what} are not supported yet`);
}

/** The methods of expressions, by name; columns.ts says which type of expression has which. */
const methods: Readonly<Record<string, Method>> = {
  eq: calls('eq', 1),
  ne: calls('ne', 1),
  lt: calls('lt', 1),
  lte: calls('lte', 1),
  gt: calls('gt', 1),
  gte: calls('gte', 1),
  isNull: calls('isNull', 0),
  isNotNull: calls('isNotNull', 0),
  and: joins('and'),
  or: joins('or'),
  not: calls('not', 0),
  in: isOneOf,
  between,
  add: calls('plus', 1),
  sub: calls('minus', 1),
  mul: calls('times', 1),
  div: calls('divide', 1),
  mod: calls('mod', 1),
  neg: calls('neg', 0),
  like: calls('like', 1),
  plus: shifts('plus'),
  minus: shifts('minus'),
  cast: casts(false),
  tryCast: casts(true),
  filter: filters,
  distinct,
  over,
  at: () => unsupported('elements of an ARRAY'),
  get: field,
};

/** Names that a ROW's fields give way to (columns.ts, RowExpr). */
const rowMethods: ReadonlySet<string> = new Set(['eq', 'ne', 'isNull', 'isNotNull', 'get']);

function methodOf(name: string): Method | undefined {
  return Object.hasOwn(methods, name) ? methods[name] : undefined;
}

/** What is no column: fields of it cannot be reached, so it is a plain object with the methods. */
class Expression {
  readonly [behind]: Made;

  constructor(made: Made) {
    this[behind] = made;
    Object.freeze(this);
  }

  [Symbol.toPrimitive](): never {
    return noPrimitive(this[behind]);
  }
}
for (const [name, method] of Object.entries(methods)) {
  Object.defineProperty(Expression.prototype, name, {
    value(this: Expression, ...args: unknown[]) {
      return method(this[behind], args);
    },
  });
}
